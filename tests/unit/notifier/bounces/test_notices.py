"""Notices in words: the shapes of systems that never learnt RFC 3464."""

from __future__ import annotations

import pytest

from notifier.bounces import BounceClass, parse_bounce

DAEMON = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nTo: billing@isp.example\n"

QMAIL = (
    DAEMON
    + """Subject: failure notice

Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ann@example.com>:
192.0.2.9 does not like recipient.
Remote host said: 552 5.2.2 mailbox for ann is full
Giving up on 192.0.2.9.

<bob@example.com>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

To: ann@example.com, bob@example.com
"""
)

EXIM = (
    DAEMON
    + """X-Failed-Recipients: bob@example.com
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  bob@example.com
    host mx.example.com [192.0.2.9]
    SMTP error from remote mail server after RCPT TO:<bob@example.com>:
    550 5.7.1 Client host blocked using zen.spamhaus.org

------ This is a copy of the message, including all the headers. ------
"""
)

EXIM_WARNING = (
    DAEMON
    + """Subject: Warning: message 1abc delayed 24 hours

A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue on mx.example.net.

The address to which the message has not yet been delivered is:

  bob@example.com
    Delay reason: unknown user, says a resolver that is out of order

No action is required on your part.
"""
)

OLD_SENDMAIL = (
    DAEMON
    + """Subject: Returned mail: User unknown

   ----- Transcript of session follows -----
While talking to mail.example.com:
>>> RCPT To:<bob@example.com>
<<< 550 <bob@example.com>... User unknown
550 <bob@example.com>... User unknown

   ----- Unsent message follows -----
Received: by mx.example.net
To: bob@example.com
"""
)

EXCHANGE = """Return-Path: <>
From: System Administrator <postmaster@example.com>
To: billing@isp.example
Subject: Undeliverable: Your invoice

Your message

      To:      billing-copy@isp.example
      Subject: Your invoice
      Sent:    4/29/26 11:34:45 PM

did not reach the following recipient(s):

bob@example.com on Thu, 29 Apr 2026 23:34:45 +0900
    The recipient name is not recognized
\tThe MTS-ID of the original message is: c=us;a= ;p=example;l=HQ1
    MSEXCH:IMS:EXAMPLE:SITE:HQ1 0 (000C05A6) Unknown Recipient
"""

NOTES = (
    "From: postmaster@notes.example.com\nTo: billing@isp.example\nSubject: DELIVERY FAILURE\n\n"
    "------- Failure Reasons  --------\n\nUser not listed in public Name & Address Book\nbob@example.com\n\n"
    "------- Returned Message --------\nReceived: from x\n"
)

GOOGLE = (
    "From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\nTo: billing@isp.example\n"
    "Subject: Delivery Status Notification (Failure)\n\nDelivery to the following recipient failed "
    "permanently:\n\n"
    "     bob@example.com\n\nTechnical details of permanent failure: \nGoogle tried to deliver your "
    "message, but it was "
    "rejected by the recipient domain. The error that the other server returned was: 550 550 5.7.1 "
    "Relaying denied "
    "(state 14).\n\n----- Original message -----\n"
)

CARRIER = (
    "Return-Path: <>\nFrom: Postmaster@phone.example\nTo: billing@isp.example\nSubject: Mail System "
    "Error - Returned Mail\n"
    'Content-Type: multipart/mixed; boundary="=="\n\n--==\nContent-Type: text/plain; '
    'charset="ISO-2022-JP"\n\n'
    "Each of the following recipients was rejected by a remote\nmail server.\n\n    Recipient: "
    "<bob@phone.example>\n"
    "    >>> RCPT TO:<bob@phone.example>\n    <<< 550 <bob@phone.example>: User unknown\n\n--==\n"
    "Content-Type: message/rfc822\n\n"
    "To: bob@phone.example\n\n--==--\n"
)

HTML_ONLY = (
    "From: postmaster@example.com\nTo: billing@isp.example\nSubject: Undeliverable: invoice\n"
    "Content-Type: text/html; charset=utf-8\n\n<html><head><style>p {color: red}</style></head><body>"
    "<p>Delivery has failed to these recipients:</p><p>&lt;bob@example.com&gt;</p>"
    "<p>The recipient&#39;s mailbox is full and can&#39;t accept messages now.</p></body></html>\n"
)

ROWS = [
    (EXIM, "bob@example.com", BounceClass.BLOCKED_REPUTATION, False),
    (EXIM_WARNING, "bob@example.com", BounceClass.FILTERED, False),
    (OLD_SENDMAIL, "bob@example.com", BounceClass.NO_SUCH_USER, True),
    (EXCHANGE, "bob@example.com", BounceClass.NO_SUCH_USER, True),
    (NOTES, "bob@example.com", BounceClass.NO_SUCH_USER, True),
    (GOOGLE, "bob@example.com", BounceClass.RELAY_OR_SECURITY, False),
    (CARRIER, "bob@phone.example", BounceClass.NO_SUCH_USER, True),
    (HTML_ONLY, "bob@example.com", BounceClass.MAILBOX_FULL, False),
]


@pytest.mark.parametrize(
    ("raw", "recipient", "cls", "hard"),
    ROWS,
    ids=["exim", "exim warning", "old sendmail", "exchange", "notes", "google", "carrier", "html"],
)
def test_shape_is_understood(raw: str, recipient: str, cls: BounceClass, hard: bool) -> None:
    found = [(r.recipient, r.cls, r.hard) for r in parse_bounce(raw.encode())]
    assert found == [(recipient, cls, hard)]


def test_qmail_names_two_recipients_with_a_reason_each() -> None:
    found = [(r.recipient, r.cls, r.status, r.hard) for r in parse_bounce(QMAIL.encode())]
    assert found == [
        ("ann@example.com", BounceClass.MAILBOX_FULL, "5.2.2", False),
        ("bob@example.com", BounceClass.NO_SUCH_USER, "5.1.1", True),
    ]


def test_warning_says_delayed() -> None:
    assert [r.action for r in parse_bounce(EXIM_WARNING.encode())] == ["delayed"]


def test_helpdesk_address_is_not_taken_for_the_recipient() -> None:
    raw = QMAIL.replace("Hi. This", "For assistance contact help@example.net.\nHi. This")
    assert "help@example.net" not in [r.recipient for r in parse_bounce(raw.encode())]


def test_notice_that_hides_its_recipient_is_still_a_bounce() -> None:
    raw = DAEMON + "Subject: Undelivered mail\n\nYour message could not be delivered. 552 mailbox full\n"
    (report,) = parse_bounce(raw.encode())
    assert (report.recipient, report.cls) == ("", BounceClass.MAILBOX_FULL)


def test_mail_to_ones_own_address_bounces_too() -> None:
    raw = QMAIL.replace("<ann@example.com>", "<billing@isp.example>").replace(
        "<bob@example.com>", "<billing@isp.example>"
    )
    assert {r.recipient for r in parse_bounce(raw.encode())} == {"billing@isp.example"}


def test_amazon_event_by_mail_is_read() -> None:
    raw = (
        "From: SES <no-reply@sns.amazonaws.com>\nSubject: AWS Notification Message\n\n"
        '{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":'
        '"bob@example.com","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 '
        'user unknown"}]}}\n\n--\nfoot'
    )
    (report,) = parse_bounce(raw.encode())
    assert (report.recipient, report.cls, report.hard) == ("bob@example.com", BounceClass.NO_SUCH_USER, True)
