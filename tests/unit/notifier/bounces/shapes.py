# ruff: noqa: E501 (texts stand as they come)
"""Notices in the shapes of mail systems that report in words of their own, one a system, written for these tests.

Each row: name -> (message, recipients with the class they get). Headers and layout follow the systems'
templates; names and addresses are invented.
"""

from __future__ import annotations

from notifier.bounces import BounceClass as C

Expected = tuple[tuple[str, C], ...]

RETURNED = "Received: from isp.example\nFrom: billing@isp.example\nTo: {0}\nSubject: Invoice\nMessage-ID: <1@isp.example>\n\nHello\n"


def _mail(sender: str, subject: str, body: str, extra: str = "") -> str:
    return f"From: {sender}\nTo: billing@isp.example\nSubject: {subject}\n{extra}\n{body}"


def _parts(sender: str, subject: str, *parts: tuple[str, str], kind: str = "mixed", extra: str = "") -> str:
    body = "".join(f"--bb\nContent-Type: {content}\n\n{text}\n" for content, text in parts)
    return _mail(
        sender, subject, body + "--bb--\n", f'{extra}Content-Type: multipart/{kind}; boundary="bb"\n'
    )


BACK = RETURNED.format("bob@example.com")
PLAIN = "text/plain; charset=utf-8"
RFC822 = "message/rfc822"

SHAPES: dict[str, tuple[str, Expected]] = {
    "mailmarshal": (
        _parts(
            "postmaster@gw.example",
            'Undeliverable Mail: "Invoice"',
            (
                PLAIN,
                "Your message:\n   From:    billing@isp.example\n   Subject: Invoice\n\nCould not be delivered because of\n\n"
                "550 5.1.1 User unknown\n\nThe following recipients were affected: \n    bob@example.com\n\n"
                "Additional Information\n======================\nOriginal Sender:    <billing@isp.example>\n"
                "Sender-MTA:         <192.0.2.1>\nRemote-MTA:         <192.0.2.2>\nReporting-MTA:      <gw.example>\n"
                "MessageName:        <B549996730000.000000000001.0003.mml>\nLast-Attempt-Date:  <16:21:07 seg, 22 Dezembro 2014>\n",
            ),
            (RFC822, RETURNED.format("bob@example.com")),
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "amavis spam": (
        _parts(
            '"Content-filter at gw.example" <postmaster@gw.example>',
            "Considered UNSOLICITED BULK EMAIL, apparently from you",
            (
                PLAIN,
                "A message from <billing@isp.example> to:\n-> bob@example.com\n\nwas considered unsolicited bulk e-mail (UBE).\n\n"
                "Our internal reference code for your message is 12345-01/abc\n\nThe message carried your return address.\n",
            ),
            (
                "message/delivery-status",
                "Reporting-MTA: dns; gw.example\n\nOriginal-Recipient: rfc822;bob@example.com\n"
                "Final-Recipient: rfc822;bob@example.com\nAction: failed\nStatus: 5.7.0\n"
                "Diagnostic-Code: smtp; 554 5.7.0 Reject, id=12345-01 - SPAM\n",
            ),
            ("text/rfc822-headers", RETURNED.format("bob@example.com")),
            kind="report; report-type=delivery-status",
        ),
        (("bob@example.com", C.SPAM_CONTENT),),
    ),
    "james": (
        _parts(
            "postmaster@james.example",
            "[BOUNCE]",
            (
                PLAIN,
                "Hi. This is the James mail server at james.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n"
                "This is a permanent error; I've given up. Sorry it didn't work out.  Below\nI include the list of recipients and the reason why I was unable to deliver\nyour message.\n\n"
                "Failed recipient(s):\nbob@example.com\n\nError message:\n550 - Requested action not taken: no such user here\n\n",
            ),
            (RFC822, RETURNED.format("bob@example.com")),
        ),
        (("bob@example.com", C.FILTERED),),
    ),
    "biglobe": (
        _parts(
            "postmaster@biglobe.ne.jp",
            "Returned mail: Mail quota exceeded",
            (
                PLAIN,
                "   ----- The following addresses had delivery problems -----\n********@biglobe.ne.jp bob@biglobe.ne.jp\n\n"
                "   ----- Non-delivered information -----\nThe number of messages in recipient's mailbox exceeded the local limit.\n",
            ),
            (RFC822, RETURNED.format("bob@biglobe.ne.jp")),
        ),
        (("bob@biglobe.ne.jp", C.MAILBOX_FULL),),
    ),
    "interscan": (
        _parts(
            '"InterScan MSS" <imss@gw.example>',
            "Mail could not be delivered",
            (
                PLAIN,
                "Sent >>> RCPT TO:<bob@example.com>\nReceived <<< 550 5.1.1 <bob@example.com>... User Unknown\n\n"
                "Unable to deliver message to <bob@example.com>\n",
            ),
            (RFC822, RETURNED.format("bob@example.com")),
            extra="Return-Path: <>\n",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "qmail clone with a form of its own": (
        _mail(
            "MAILER-DAEMON@mx.example",
            "failure notice",
            "We're sorry. There's a problem with the e-mail address(es) you're trying to send to. Please verify the address(es) and try again.\n\n"
            "<bob@example.com>:\nThis user doesn't have an account here. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\n"
            + RETURNED.format("bob@example.com"),
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "ezweb over quota": (
        _mail(
            "Postmaster@ezweb.ne.jp",
            "Mail System Error - Returned Mail",
            "The user(s) account is temporarily over quota.\n\n<bob@ezweb.ne.jp>\n\n-----\n"
            + RETURNED.format("bob@ezweb.ne.jp"),
            "Return-Path: <>\n",
        ),
        (("bob@ezweb.ne.jp", C.MAILBOX_FULL),),
    ),
    "ezweb suspended": (
        _mail(
            "Postmaster@ezweb.ne.jp",
            "Mail System Error - Returned Mail",
            "The user(s) account is disabled.\n\n<bob@ezweb.ne.jp>\n\n-----\n"
            + RETURNED.format("bob@ezweb.ne.jp"),
            "Return-Path: <>\n",
        ),
        (("bob@ezweb.ne.jp", C.MAILBOX_DISABLED),),
    ),
    "mcafee": (
        _parts(
            "Mail Delivery System <MAILER-DAEMON@gw.example>",
            "Returned mail: User unknown",
            (
                PLAIN,
                "This message was not delivered to one or more recipients.\n\n--- The following addresses had delivery problems ---\n\n"
                "<bob@example.com>   (User unknown)\n\n--- The original message follows ---\n",
            ),
            (RFC822, RETURNED.format("bob@example.com")),
        ),
        (("bob@example.com", C.FILTERED),),
    ),
    "courier": (
        _mail(
            '"Courier mail server at mx.example" <@mx.example>',
            "NOTICE: mail delivery status.",
            "This is a delivery status notification from mx.example,\nrunning the Courier mail server, version 0.65.2.\n\n"
            "The original message was received on Thu, 29 Apr 2010\nfrom isp.example\n\n"
            "---------------------------------------------------------------------------\n\n                           UNDELIVERABLE MAIL\n\n"
            "Your message to the following recipients cannot be delivered:\n\n<bob@example.com>:\n    mx.example.com [192.0.2.9]:\n"
            ">>> RCPT TO:<bob@example.com>\n<<< 550 User unknown.\n\n"
            "---------------------------------------------------------------------------\n\n"
            "If your message was also sent to additional recipients, their delivery\nstatus is not included in this report.\n",
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "mdaemon": (
        _mail(
            "MDaemon at example.com <MDaemon@example.com>",
            "Permanent Delivery Failure",
            "The attached message had PERMANENT fatal delivery errors!\n\nAfter one or more unsuccessful delivery attempts the attached message has\n"
            "been removed from the mail queue on this server.\n\nYOUR MESSAGE WAS NOT DELIVERED TO ONE OR MORE RECIPIENTS!\n\n"
            "Failed address: bob@example.com\n\n--- Session Transcript ---\n Thu 2010: <-- 220 mx.example.com ESMTP\n --> MAIL From:<billing@isp.example>\n"
            " <-- 250 ok\n --> RCPT To:<bob@example.com>\n <-- 550 <bob@example.com>: Recipient unknown\n --> QUIT\n--- End Transcript ---\n",
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "groupwise": (
        _mail(
            "Mailer-Daemon@gw.example",
            "Message status - undeliverable",
            "The message that you sent was undeliverable to the following:\n\tbob@example.com (user not found)\n\n"
            "Possibly truncated original message follows:\n\n" + RETURNED.format("bob@example.com"),
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.FILTERED),),
    ),
    "mailenable": (
        _mail(
            "postmaster@mx.example",
            "Message Delivery Failure",
            "Message Delivery Failure - Mailbox quota exceeded\n\nThe following recipient(s) could not be reached:\n\n\tRecipient: [SMTP:bob@example.com]\n"
            "\tReason: The message could not be delivered because the recipient's mailbox is over its quota.\n\nMessage headers follow:\n\n"
            + RETURNED.format("bob@example.com"),
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.MAILBOX_FULL),),
    ),
    "opensmtpd": (
        _parts(
            "Mailer Daemon <MAILER-DAEMON@mx.example>",
            "Delivery status notification: error",
            (
                PLAIN,
                "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n    An error has occurred while attempting to deliver a message for\n"
                "    the following list of recipients:\n\nbob@example.com: 550 5.2.2 <bob@example.com>... Mailbox Full\n\n    Below is a copy of the original message:\n",
            ),
            (RFC822, RETURNED.format("bob@example.com")),
        ),
        (("bob@example.com", C.MAILBOX_FULL),),
    ),
    "exchange 2003": (
        _parts(
            "System Administrator <postmaster@ex.example>",
            "Undeliverable: Invoice",
            (
                PLAIN,
                "Your message\n\n  To:      bob@example.com\n  Subject: Invoice\n  Sent:    Thu, 29 Apr 2010 18:14:35 +0000\n\n"
                "did not reach the following recipient(s):\n\nbob@example.com on Thu, 29 Apr 2010 18:14:40 +0000\n"
                "    The e-mail account does not exist at the organization this message was sent to.  Check the e-mail address, or contact the recipient directly.\n"
                "        <ex.example #5.1.1>\n",
            ),
            (RFC822, RETURNED.format("bob@example.com")),
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "exchange online": (
        _parts(
            "Microsoft Outlook <postmaster@outlook.com>",
            "Undeliverable: Invoice",
            (
                "text/html; charset=utf-8",
                '<html><body><p>Your message to <a href="mailto:bob@example.com">bob@example.com</a> couldn\'t be delivered.</p>'
                "<p><b>bob</b> wasn't found at <b>example.com</b>.</p><table><tr><td>Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'</td></tr></table></body></html>",
            ),
            (RFC822, RETURNED.format("bob@example.com")),
            kind="report; report-type=delivery-status",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "exim several": (
        _mail(
            "Mail Delivery System <Mailer-Daemon@mx.example>",
            "Mail delivery failed: returning message to sender",
            "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\n"
            "recipients. This is a permanent error. The following address(es) failed:\n\n  bob@example.com\n    host mx.example.com [192.0.2.9]\n"
            "    SMTP error from remote mail server after RCPT TO:<bob@example.com>:\n    552 5.2.2 Over quota\n  eve@example.com\n"
            "    Unrouteable address\n  zoe@example.org\n    all relevant MX records point to non-existent hosts\n\n"
            "------ This is a copy of the message, including all the headers. ------\n\n"
            + RETURNED.format("bob@example.com"),
            "X-Failed-Recipients: bob@example.com,\n eve@example.com,\n zoe@example.org\nAuto-Submitted: auto-replied\n",
        ),
        (
            ("bob@example.com", C.MAILBOX_FULL),
            ("eve@example.com", C.NO_SUCH_USER),
            ("zoe@example.org", C.DOMAIN_MISSING),
        ),
    ),
    "sms gateway": (
        _parts(
            "post_master@vtext.com",
            "Undeliverable Message",
            (
                PLAIN,
                "Error:  550 - Requested action not taken: no such user here\nMessage could not be delivered to mobile.\nRecipient: <4155550100@vtext.com>\n",
            ),
            (RFC822, RETURNED.format("4155550100@vtext.com")),
        ),
        (("4155550100@vtext.com", C.FILTERED),),
    ),
    "imail": (
        _mail(
            "Postmaster@mx.example",
            "Undeliverable Mail",
            "User mailbox exceeds allowed size: bob@example.com\n\n\n\n\nOriginal message follows.\n\n"
            + RETURNED.format("bob@example.com"),
            "X-Mailer: <SMTP32 v8.22>\n",
        ),
        (("bob@example.com", C.MAILBOX_FULL),),
    ),
    "sendmail of old": (
        _mail(
            "Mail Delivery Subsystem <MAILER-DAEMON@mx.example>",
            "Returned mail: Cannot send message for 3 days",
            "   ----- Transcript of session follows -----\n421 mx.example.com (smtp)... Deferred: Connection timed out during user open with mx.example.com\n\n"
            "   ----- Unsent message follows -----\n" + RETURNED.format("bob@example.com"),
        ),
        (("bob@example.com", C.TEMPORARY),),
    ),
    "symantec": (
        _mail(
            "Mail Delivery Subsystem <postmaster@messagelabs.com>",
            "Undeliverable: Invoice",
            "This is a delivery failure notification message indicating that\nan email you addressed to email address :\n-- bob@example.com\n\n"
            "could not be delivered. The problem appears to be :\n-- Recipient email server rejected the message\n\nAdditional information follows :\n"
            "-- 550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown\n\n"
            "This condition occurred after 1 attempt(s) to deliver over\na period of 0 hour(s).\n\nIf you sent the email to multiple recipients, you will receive one\n"
            "of these messages for each one which failed delivery,  otherwise\nthey have been sent.\n",
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "japanese": (
        _mail(
            "MAILER-DAEMON@mx.example.jp",
            "=?utf-8?b?6YWN5L+h5aSx5pWX?=",
            "以下のメールアドレスへの送信に失敗しました。\n\nbob@example.jp\n\nメールボックスの容量が不足しています。\n\n--- 元のメール ---\n"
            + RETURNED.format("bob@example.jp"),
            "Return-Path: <>\nContent-Type: text/plain; charset=utf-8\n",
        ),
        (("bob@example.jp", C.MAILBOX_FULL),),
    ),
    "german": (
        _mail(
            "Mailer-Daemon <mailer-daemon@mx.example.de>",
            "Unzustellbare Nachricht",
            "Ihre Nachricht konnte nicht zugestellt werden.\n\nEmpfänger: bob@example.de\nGrund: Das Postfach des Empfängers ist überfüllt.\n\n",
            "Return-Path: <>\nContent-Type: text/plain; charset=utf-8\n",
        ),
        (("bob@example.de", C.MAILBOX_FULL),),
    ),
    "french": (
        _mail(
            "postmaster@mx.example.fr",
            "Non remis : Facture",
            "Votre message n'a pas pu être remis au destinataire suivant :\n\nbob@example.fr\n    Adresse inconnue (550 5.1.1)\n\n",
            "Return-Path: <>\nContent-Type: text/plain; charset=utf-8\n",
        ),
        (("bob@example.fr", C.NO_SUCH_USER),),
    ),
    "portuguese": (
        _mail(
            "Mail Delivery System <MAILER-DAEMON@mx.example.br>",
            "Mensagem não entregue",
            "Sua mensagem não pôde ser entregue ao destinatário abaixo:\n\n<bob@example.br>: 550 5.1.1 usuário inexistente\n\n",
            "Return-Path: <>\nContent-Type: text/plain; charset=utf-8\n",
        ),
        (("bob@example.br", C.NO_SUCH_USER),),
    ),
    "russian": (
        _mail(
            "MAILER-DAEMON@mx.example.ru",
            "Письмо не доставлено",
            "Ваше сообщение не может быть доставлено получателю:\n\nbob@example.ru\n    550 5.1.1 пользователь не найден\n\n",
            "Return-Path: <>\nContent-Type: text/plain; charset=utf-8\n",
        ),
        (("bob@example.ru", C.NO_SUCH_USER),),
    ),
    "chinese": (
        _mail(
            "Postmaster@mx.example.cn",
            "系统退信",
            "很抱歉，您发送的邮件被退回。\n\n收件人：bob@example.cn\n退信原因：550 5.1.1 用户不存在\n\n",
            "Return-Path: <>\nContent-Type: text/plain; charset=utf-8\n",
        ),
        (("bob@example.cn", C.NO_SUCH_USER),),
    ),
    "spanish": (
        _mail(
            "Postmaster <postmaster@mx.example.es>",
            "No se puede entregar: Factura",
            "No se pudo entregar su mensaje a los siguientes destinatarios:\n\n  bob@example.es\n     La cuenta de correo no existe (#5.1.1)\n\n",
            "Return-Path: <>\nContent-Type: text/plain; charset=utf-8\n",
        ),
        (("bob@example.es", C.NO_SUCH_USER),),
    ),
    "italian": (
        _mail(
            "postmaster@mx.example.it",
            "Mancata consegna del messaggio",
            "Impossibile recapitare il messaggio ai seguenti destinatari:\n\n<bob@example.it>\n   552 5.2.2 casella piena\n\n",
            "Return-Path: <>\nContent-Type: text/plain; charset=utf-8\n",
        ),
        (("bob@example.it", C.MAILBOX_FULL),),
    ),
    "polish": (
        _mail(
            "MAILER-DAEMON@mx.example.pl",
            "Niedostarczona wiadomość",
            "Wiadomość nie mogła zostać dostarczona do:\n\n<bob@example.pl>: 550 5.1.1 użytkownik nie istnieje\n\n",
            "Return-Path: <>\nContent-Type: text/plain; charset=utf-8\n",
        ),
        (("bob@example.pl", C.NO_SUCH_USER),),
    ),
    "list manager": (
        _mail(
            "news-owner@lists.example",
            "Request to mailing list News rejected",
            "You are not allowed to post to this mailing list, and your message has\nbeen automatically rejected. Recipient: news@lists.example\n",
            "Return-Path: <>\n",
        ),
        (("news@lists.example", C.BLOCKED_REPUTATION),),
    ),
    "surfcontrol": (
        _parts(
            "<>",
            "Invoice",
            (
                PLAIN,
                "Your message could not be sent.\nA transcript of the attempts to send the message follows.\nThe number of attempts made: 1\nAddressed To: bob@example.com\n\n"
                "Thu 29 Apr 2010 23:34:45 +0900\nFailed to send to identified host,\nbob@example.com: [192.0.2.5], 550 bob@example.com... No such user\n--- Message non-deliverable.\n",
            ),
            (RFC822, RETURNED.format("bob@example.com")),
            kind="report; report-type=delivery-status",
        ),
        (("bob@example.com", C.FILTERED),),
    ),
    "kerio": (
        _parts(
            "postmaster@kerio.example",
            "Delivery status notification: Failed",
            (
                PLAIN,
                "Your message could not be delivered to one or more recipients.\n\n bob@example.com\n   Remote server (192.0.2.9) issued an error.\n   Sent:     RCPT TO:<bob@example.com>\n"
                "   Received: 550 5.7.1 Message blocked because your IP is listed in a blacklist\n",
            ),
            (RFC822, RETURNED.format("bob@example.com")),
        ),
        (("bob@example.com", C.BLOCKED_REPUTATION),),
    ),
    "hmailserver": (
        _mail(
            "mailer-daemon@hm.example",
            "Message undeliverable: Invoice",
            "Your message did not reach some or all of the intended recipients.\n\n   Sent: Thu, 29 Apr 2010\n   Subject: Invoice\n\nThe following recipient(s) could not be reached:\n\n"
            "bob@example.com\n   Error Type: SMTP\n   Remote server (192.0.2.9) issued an error.\n   hMailServer sent: RCPT TO:<bob@example.com>\n"
            "   Remote server replied: 550 5.1.1 <bob@example.com>: user unknown\n\nhMailServer\n",
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "exchange 2007": (
        _parts(
            "Microsoft Exchange <postmaster@ex.example>",
            "Undeliverable: Invoice",
            (
                "text/html; charset=utf-8",
                "<html><body><p>Delivery has failed to these recipients or distribution lists:</p><a href=\"mailto:bob@example.com\">bob@example.com</a><br>The recipient's e-mail address was not found in the recipient's e-mail system. Microsoft Exchange will not try to redeliver this message for you.<br><hr><p>Diagnostic information for administrators:</p><p>Generating server: ex.example</p><p>bob@example.com<br>#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##</p><p>Original message headers:</p><pre>Received: from x</pre></body></html>",
            ),
            kind="report; report-type=delivery-status",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "exchange 2007 plain": (
        _parts(
            "<MicrosoftExchange@ex.example>",
            "Non remis : Facture",
            (
                PLAIN,
                "Diagnostic information for administrators:\n\nGenerating server: mta22.neko.example.org\n\nbob@example.com\n#< #5.2.2 smtp;550 5.2.2 STOREDRV.Deliver: mailbox full> #SMTP#\n\nOriginal message headers:\n\nReceived: from x\n",
            ),
            (RFC822, BACK),
        ),
        (("bob@example.com", C.MAILBOX_FULL),),
    ),
    "old sendmail recipients": (
        _mail(
            "MAILER-DAEMON (Mail Delivery Subsystem)",
            "Returned mail: Host unknown",
            "   ----- Transcript of session follows -----\n550 Host unknown\n\n   ----- Recipients of this delivery -----\nBounced, cannot deliver:\n   bob@example.com\n\n   ----- Unsent message follows -----\n"
            + BACK,
        ),
        (("bob@example.com", C.DOMAIN_MISSING),),
    ),
    "gmail several": (
        _mail(
            "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
            "Delivery Status Notification (Failure)",
            "Delivery to the following recipients failed permanently:\n\n     bob@example.com\n     eve@example.com\n\nTechnical details of permanent failure: \nThe email account that you tried to reach does not exist. (#5.1.1)\n\n   ----- Original message -----\n"
            + BACK,
            "X-Failed-Recipients: bob@example.com, eve@example.com\nReturn-Path: <>\n",
        ),
        (("bob@example.com", C.NO_SUCH_USER), ("eve@example.com", C.NO_SUCH_USER)),
    ),
    "smail": (
        _mail(
            "<MAILER-DAEMON@mx.example>",
            "mail failed, returning to sender",
            "|------------------------- Message log follows: -------------------------|\n no valid recipients were found for this message\n|------------------------- Failed addresses follow: ---------------------|\n <bob@example.com> ... unknown host\n|------------------------- Message text follows: ------------------------|\n"
            + BACK,
            "Reference: <m1@mx>\n",
        ),
        (("bob@example.com", C.DOMAIN_MISSING),),
    ),
    "communigate": (
        _parts(
            "<MAILER-DAEMON@cg.example>",
            "Undeliverable mail",
            (
                PLAIN,
                "Failed to deliver to 'bob@example.com'\nSMTP module(domain example.com) reports:\n host mx.example.com says:\n 550 5.1.1 <bob@example.com>: no such user\n",
            ),
            (RFC822, BACK),
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "communigate local": (
        _parts(
            "<MAILER-DAEMON@cg.example>",
            "Undeliverable mail",
            (
                PLAIN,
                "Failed to deliver to 'bob@example.com'\nLOCAL module(account bob) reports:\n account is full (quota exceeded)\n",
            ),
            (RFC822, BACK),
        ),
        (("bob@example.com", C.MAILBOX_FULL),),
    ),
    "icewarp": (
        _mail(
            "Mail Delivery Subsystem <mailer-daemon@iw.example>",
            "Undelivered Mail: Invoice",
            "Your message wasn't delivered to the following recipients:\n\n<bob@example.com>; Failed; 5.1.1 (bad destination mailbox address)\n  remote MTA mx.example.com: network error\n - SMTP protocol diagnostic: 550 5.1.1 <bob@example.com> User unknown\n",
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "x3": (
        _parts(
            "Mail Delivery System <Mail.Delivery.System@mx.example>",
            "Delivery status notification",
            (
                PLAIN,
                "============================================================================\n      This is an automatically generated Delivery Status Notification.      \n\nDelivery to the following recipients failed permanently:\n\n  * bob@example.com\n\n\n============================================================================\n                             Technical details:                             \n\nSMTP:RCPT host mx.example.com: 553 5.3.0 <bob@example.com>... No such user here\n\n\n============================================================================\n",
            ),
            (RFC822, BACK),
            kind="report; report-type=delivery-status",
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "yahoo": (
        _mail(
            "MAILER-DAEMON@yahoo.com",
            "Failure Notice",
            "Sorry, we were unable to deliver your message to the following address.\n\n<bob@example.com>:\n554: 5.7.1 <bob@example.com>: Relay access denied\n\n--- Below this line is a copy of the message.\n\n"
            + BACK,
        ),
        (("bob@example.com", C.RELAY_OR_SECURITY),),
    ),
    "zoho": (
        _parts(
            "mailer-daemon@mail.zoho.com",
            "Undelivered Mail Returned to Sender",
            (
                PLAIN,
                "This message was created automatically by mail delivery software.\n A message that you sent could not be delivered to one or more of its recipients. This is a permanent error. \n\nbob@example.com Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 <bob@example.com>... User unknown\n\n\nReceived:from mail.zoho.com by mx.zohomail.com\n\twith SMTP id 1; Mon, 1 Jan 2014\n",
            ),
        ),
        (("bob@example.com", C.NO_SUCH_USER),),
    ),
    "delay exim": (
        _mail(
            "Mail Delivery System <Mailer-Daemon@mx.example>",
            "Warning: message 1abc delayed 24 hours",
            "This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue on mx.example.\n\nThe message identifier is:     1abc\nThe subject of the message is: Invoice\n\nThe address to which the message has not yet been delivered is:\n\n  bob@example.com\n    Delay reason: Connection timed out\n\nNo action is required on your part. Delivery attempts will continue for\nsome time, and this warning may be repeated at intervals.\n",
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.TEMPORARY),),
    ),
    "postfix several": (
        _parts(
            "MAILER-DAEMON@mx.example (Mail Delivery System)",
            "Undelivered Mail Returned to Sender",
            (
                PLAIN,
                "This is the mail system at host mx.example.\n\n<bob@example.com>: host mx.example.com[192.0.2.9] said: 550 5.1.1\n    <bob@example.com>: Recipient address rejected: User unknown (in reply to\n    RCPT TO command)\n\n<eve@example.com>: host mx.example.com[192.0.2.9] said: 552 5.2.2 Mailbox full\n    (in reply to RCPT TO command)\n",
            ),
            (
                "message/delivery-status",
                "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; bob@example.com\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 <bob@example.com>: Recipient address\n    rejected: User unknown\n\nFinal-Recipient: rfc822; eve@example.com\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 Mailbox full\n",
            ),
            (RFC822, BACK),
            kind="report; report-type=delivery-status",
        ),
        (("bob@example.com", C.NO_SUCH_USER), ("eve@example.com", C.MAILBOX_FULL)),
    ),
    "relayed": (
        _parts(
            "MAILER-DAEMON@mx.example",
            "Successful Mail Delivery Report",
            (
                PLAIN,
                "Your message was successfully delivered to the destination(s)\nlisted below.\n\n<bob@example.com>: delivery via mx.example.com[192.0.2.9]:25: 250 2.0.0 Ok\n",
            ),
            (
                "message/delivery-status",
                "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; bob@example.com\nAction: relayed\nStatus: 2.0.0\nDiagnostic-Code: smtp; 250 2.0.0 Ok\n",
            ),
            kind="report; report-type=delivery-status",
        ),
        (("bob@example.com", C.DELIVERED),),
    ),
    "utf8 address": (
        _parts(
            "MAILER-DAEMON@mx.example",
            "Undelivered Mail Returned to Sender",
            (PLAIN, "no\n"),
            (
                "message/global-delivery-status",
                "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: utf-8; b\\x{F6}b@example.com\nAction: failed\nStatus: 5.1.1\n",
            ),
            kind="report; report-type=delivery-status",
        ),
        (("böb@example.com", C.NO_SUCH_USER),),
    ),
    "dot-qmail forward": (
        _mail(
            "MAILER-DAEMON@mx.example",
            "failure notice",
            "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<bob@example.com>:\nThis message is looping: it already has my Delivered-To line. (#5.4.6)\n\n<eve@example.org>:\n192.0.2.9 does not like recipient.\nRemote host said: 550 5.7.1 <eve@example.org>... SPF fail\nGiving up on 192.0.2.9.\n\n--- Below this line is a copy of the message.\n\n"
            + BACK,
            "Return-Path: <>\n",
        ),
        (("bob@example.com", C.TEMPORARY), ("eve@example.org", C.BLOCKED_AUTH)),
    ),
}
