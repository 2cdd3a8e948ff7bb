"""Answers that mail systems really give, by the class that an operator would put them in."""

from __future__ import annotations

from notifier.bounces import BounceClass as C

# (reply code, RFC 3463 code, text); empty where the answer has none.
REPLIES: dict[C, tuple[tuple[str, str, str], ...]] = {
    C.NO_SUCH_USER: (
        (
            "550",
            "5.1.1",
            "<bob@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
        ),
        (
            "550",
            "5.1.1",
            "The email account that you tried to reach does not exist. Please try "
            "double-checking the recipient's email address for typos or unnecessary spaces. "
            "Learn more at https://support.google.com/mail/?p=NoSuchUser",
        ),
        ("550", "", "Requested action not taken: mailbox unavailable (S2017062302)"),
        (
            "554",
            "",
            "delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [-9] "
            "- mta1001.mail.bf1.yahoo.com",
        ),
        (
            "550",
            "5.4.1",
            "Recipient address rejected: Access denied. [AM0EUR02.prod.protection.outlook.com]",
        ),
        ("550", "", "<bob@example.net>: no such user here"),
        ("511", "", "sorry, no mailbox here by that name (#5.1.1 - chkuser)"),
        ("550", "", "sorry, no mailbox here by that name. (#5.7.17)"),
        (
            "550",
            "5.1.10",
            "RESOLVER.ADR.RecipientNotFound; Recipient bob@example.com not found by SMTP address lookup",
        ),
        ("550", "", "Unrouteable address"),
        ("550", "5.1.1", "#5.1.1 user unknown"),
        ("550", "", "Mailbox not found! [xx]"),
        (
            "550",
            "",
            "Message was not accepted -- invalid mailbox. Local mailbox bob@mail.ru is "
            "unavailable: user not found",
        ),
        ("550", "5.7.1", "No such user!"),
        ("550", "", "User not found: bob@163.com"),
        ("550", "", "The recipient may contain a non-existent account, please check the recipient address."),
        (
            "550",
            "",
            "Requested action not taken: mailbox unavailable. For explanation visit "
            "https://postmaster.gmx.net/en/error-messages",
        ),
        ("550", "", "Address rejected"),
        ("550", "5.1.1", "Benutzer unbekannt / user unknown"),
        ("550", "", "account closed"),
        ("550", "5.1.1", "<bob@icloud.com>: user does not exist"),
    ),
    C.RELAY_OR_SECURITY: (
        ("553", "", "sorry, that domain isn't in my list of allowed rcpthosts; no valid cert"),
        ("556", "5.1.10", "Recipient address has null MX"),
        ("550", "", "relay not permitted"),
        ("554", "5.7.1", "<bob@example.com>: Relay access denied"),
        ("550", "5.7.54", "SMTP; Unable to relay recipient in non-accepted domain"),
        ("550", "5.7.1", "Unable to relay"),
        ("530", "5.7.0", "Must issue a STARTTLS command first"),
        ("530", "5.7.1", "Authentication required"),
        ("535", "5.7.8", "Error: authentication failed"),
        ("550", "5.7.64", "TenantAttribution; Relay Access Denied"),
        ("454", "4.7.5", "Certificate validation failure, Reason:CertificateExpired"),
        ("550", "5.7.1", "RESOLVER.RST.AuthRequired; authentication required"),
        ("550", "5.7.1", "RESOLVER.RST.RestrictedToRecipientsPermission; not authorized"),
    ),
    C.MAILBOX_FULL: (
        (
            "552",
            "5.2.2",
            "The email account that you tried to reach is over quota and inactive. Please "
            "direct the recipient to ...?p=OverQuotaPerm",
        ),
        ("452", "4.2.2", "The email account that you tried to reach is over quota"),
        ("552", "", "Requested mail action aborted: exceeded storage allocation"),
        ("550", "5.2.2", "STOREDRV.Deliver; mailbox full. The recipient mailbox is full"),
        ("422", "", "The recipient's mailbox is over its storage limit"),
        ("550", "", "Quota exceeded. The recipients mailbox is full"),
        ("452", "", "4.1.1 bob@x requested mail action not taken: mailbox for user is full"),
        ("554", "", "5.2.2 mailbox full"),
        ("550", "", "Mailbox size limit exceeded"),
        ("452", "4.2.2", "Le compte est plein - boite aux lettres pleine"),
        ("550", "", "Postfach ist voll"),
    ),
    C.MAILBOX_DISABLED: (
        (
            "550",
            "5.2.1",
            "The email account that you tried to reach is disabled. Learn more at "
            "https://support.google.com/mail/?p=DisabledUser",
        ),
        (
            "554",
            "",
            "30 Sorry, your message to bob@yahoo.com cannot be delivered. This mailbox is disabled (554.30).",
        ),
        ("550", "", "User suspended"),
        ("550", "", "Account is locked"),
        ("550", "5.7.1", "Mailbox is inactive"),
        ("550", "", "This account has been temporarily suspended"),
        ("551", "", "User not local; please try <bob@example.net>"),
    ),
    C.DOMAIN_MISSING: (
        ("512", "", "5.1.2 Host unknown"),
        ("550", "5.1.2", "Bad destination host 'DNS Hard Error looking up example.nx (MX): NXDomain'"),
        (
            "550",
            "",
            "Host or domain name not found. Name service error for name=example.nx type=MX: Host not found",
        ),
        ("550", "5.4.310", "DNS domain gmial.con does not exist [Message=InfoDomainNonexistent]"),
        ("", "", "Sorry, I couldn't find any host named example.nx. (#5.1.2)"),
        ("550", "", 'Unrouteable mail domain "example.nx"'),
    ),
    C.FILTERED: (
        ("550", "5.7.124", "Sender not in allowed-senders list"),
        ("550", "", "Mail rejected by recipient"),
        ("550", "", "The recipient is only accepting mail from specific email addresses"),
        ("550", "", "user filtered"),
    ),
    C.BLOCKED_AUTH: (
        (
            "550",
            "5.7.26",
            "This mail has been blocked because the sender is unauthenticated. Gmail requires "
            "all senders to authenticate with either SPF or DKIM.",
        ),
        (
            "550",
            "5.7.26",
            "Unauthenticated email from example.com is not accepted due to domain's DMARC policy.",
        ),
        ("550", "5.7.1", "SPF check failed"),
        ("550", "5.7.23", "The message was rejected because of Sender Policy Framework violation"),
        ("550", "5.7.509", "Access denied, sending domain example.com does not pass DMARC verification"),
        (
            "550",
            "5.7.515",
            "Access denied, sending domain example.com doesn't meet the required authentication level",
        ),
        ("450", "4.7.1", "Client host rejected: cannot find your reverse hostname, [192.0.2.1]"),
        ("550", "5.7.25", "The IP address sending this message does not have a PTR record setup"),
        ("554", "5.7.1", "The sending IP address has no reverse DNS"),
        ("554", "", "(RTR:BB) AOL requires reverse DNS"),
        ("550", "", "Message rejected by SPF: 192.0.2.1 is not allowed to send from example.com"),
        (
            "554",
            "",
            "mx-ha.web.de Nemesis ESMTP Service not available No SMTP service Bad DNS PTR resource record.",
        ),
        ("421", "4.7.0", "This message does not pass authentication checks (SPF and DKIM both do not pass)"),
        ("550", "", "MI:SPF mx14 Please see http://mail.163.com/help/help_spam_16.htm"),
        ("550", "5.7.1", "Email rejected per SPF policy"),
        ("550", "5.7.1", "Email rejected per DMARC policy for example.com"),
        ("504", "5.5.2", "<localhost>: Helo command rejected: need fully-qualified hostname"),
    ),
    C.BLOCKED_REPUTATION: (
        (
            "550",
            "5.7.1",
            "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; "
            "https://www.spamhaus.org/query/ip/192.0.2.1",
        ),
        ("554", "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using Spamcop"),
        ("550", "5.7.606", "Access denied, banned sending IP [192.0.2.1]"),
        (
            "550",
            "5.7.1",
            "Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
            "Internet service provider since part of their network is on our block list "
            "(S3140).",
        ),
        (
            "550",
            "5.7.1",
            "[192.0.2.1      12] Our system has detected that this message is likely "
            "suspicious due to the very low reputation of the sending IP address.",
        ),
        (
            "550",
            "5.7.1",
            "[192.0.2.1] The IP you're using to send mail is not authorized to send email "
            "directly to our servers. Please use the SMTP relay at your service provider "
            "instead.",
        ),
        (
            "554",
            "",
            "IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or contact "
            "tobr@rx.t-online.de to clarify.",
        ),
        (
            "421",
            "4.7.0",
            "[TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1",
        ),
        (
            "554",
            "",
            "5.7.1 [CS01] Message rejected due to local policy. Please visit "
            "https://support.apple.com/en-us/HT204137",
        ),
        ("554", "", "Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1"),
        (
            "550",
            "",
            "5.7.1 Connection refused: your IP is listed in the barracuda reputation list "
            "http://www.barracudacentral.org/reputation",
        ),
        ("550", "", "5.2.0 t-online: Message rejected. policy"),
        (
            "554",
            "",
            "Your access to this mail system has been rejected due to the sending MTA's poor "
            "reputation. If you believe that this failure is in error, please contact the "
            "intended recipient via alternate means.",
        ),
        ("550", "5.1.8", "<x@nx.example>: Sender address rejected: Domain not found"),
        ("550", "", "Sender verify failed"),
        ("421", "", "4.7.1 [BL21] Connections not accepted from IP addresses on Spamhaus PBL"),
        ("550", "", "cmsmtp 192.0.2.1 blocked AUP#BL"),
    ),
    C.SPAM_CONTENT: (
        ("554", "", "5.7.1 Email cannot be delivered. Reason: Email detected as Spam by spam filters."),
        (
            "550",
            "5.7.1",
            "[192.0.2.1 12] Our system has detected that this message is likely unsolicited "
            "mail. To reduce the amount of spam sent to Gmail, this message has been blocked.",
        ),
        ("554", "5.7.1", "Message rejected as spam by Content Filtering."),
        ("550", "", "Spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=abc"),
        ("554", "5.7.1", "[2] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc"),
        ("550", "5.7.1", "Message contains spam or virus"),
        ("554", "", "5.7.0 Reject, id=12345-01 - INFECTED: Eicar-Test-Signature"),
        ("550", "", "DT:SPM 163 mx10, please see http://mail.163.com/help"),
        ("554", "5.6.0", "Message content rejected due to spam"),
        ("550", "5.7.350", "Remote server returned message detected as spam -> 550 spam message rejected"),
        (
            "552",
            "5.2.0",
            "This message has been rejected due to content judged to be spam by the internet community IB212",
        ),
    ),
    C.TOO_BIG: (
        ("552", "5.3.4", "Message size exceeds fixed maximum message size"),
        ("523", "", "the message size exceeds the recipient's size limit"),
        ("552", "5.2.3", "Message length exceeds administrative limit"),
        ("552", "", "Message size exceeds fixed limit"),
        ("550", "5.2.3", "RESOLVER.RST.RecipSizeLimit; message too large for this recipient"),
        ("552", "5.3.4", "Your message exceeded Google's message size limits"),
    ),
    C.RATE_LIMITED: (
        ("451", "4.7.1", "Greylisted, please try again in 300 seconds"),
        (
            "450",
            "4.2.0",
            "<bob@example.com>: Recipient address rejected: Greylisted, see "
            "http://postgrey.schweikert.ch/help",
        ),
        (
            "421",
            "4.7.0",
            "[192.0.2.1] Our system has detected an unusual rate of unsolicited mail "
            "originating from your IP address.",
        ),
        (
            "450",
            "4.2.1",
            "The user you are trying to contact is receiving mail too quickly. Please resend "
            "your message at a later time.",
        ),
        (
            "421",
            "",
            "RP-001 (RP-001) Unfortunately, some messages from 192.0.2.1 weren't sent. Please "
            "try again. The mail server IP connecting has exceeded the rate limit allowed.",
        ),
        ("421", "", "Too many concurrent SMTP connections from this IP address; please try again later."),
        ("421", "4.7.28", "mail flood"),
        ("452", "4.5.3", "Too many recipients"),
        ("454", "", "Throttling failure: Maximum sending rate exceeded."),
        ("554", "", "Daily message quota exceeded"),
        ("421", "", "4.3.2 Too many open connections"),
        ("550", "5.4.5", "Daily user sending limit exceeded"),
    ),
    C.TEMPORARY: (
        ("421", "4.3.2", "Service shutting down"),
        ("451", "4.3.0", "Temporary lookup failure"),
        ("450", "4.2.0", "Mailbox temporarily unavailable"),
        ("451", "", "Requested action aborted: local error in processing"),
        ("421", "", "Service not available, closing transmission channel"),
        ("452", "4.3.1", "Insufficient system storage"),
        ("554", "5.4.14", "Hop count exceeded - possible mail loop"),
        ("550", "4.4.7", "QUEUE.Expired; message expired"),
        ("451", "4.4.0", "DNS query failed"),
        ("", "", "Connection timed out"),
        ("450", "", "4.4.316 Connection refused [Message=Socket error code 10061]"),
        ("451", "4.7.500", "Server busy. Please try again later from [192.0.2.1]. (S77719)"),
    ),
    C.OTHER: (
        ("500", "5.5.1", "Command unrecognized"),
        ("554", "", "Transaction failed"),
        ("554", "5.3.0", "unknown mailer error 1"),
    ),
    C.DELIVERED: (("250", "2.0.0", "OK"),),
}
