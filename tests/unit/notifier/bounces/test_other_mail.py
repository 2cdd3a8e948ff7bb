"""Complaints, automatic replies, and ordinary mail that must never look like a bounce."""

from __future__ import annotations

import pytest

from notifier.bounces import BounceClass, Fault, parse_bounce

ARF = """From: Feedback <feedback@fbl.example.com>
To: abuse@isp.example
Subject: FW: Your invoice
Content-Type: multipart/report; report-type=feedback-report; boundary=arf

--arf
Content-Type: text/plain

This is an email abuse report.

--arf
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1
{recipients}
--arf
Content-Type: message/rfc822

From: billing@isp.example
To: bob@example.com
Message-ID: <t1@isp.example>

Your invoice
--arf--
"""


def test_complaint_is_feedback_and_names_the_complainer() -> None:
    (report,) = parse_bounce(ARF.format(recipients="Original-Rcpt-To: <bob@example.com>\n").encode())
    assert (report.recipient, report.cls, report.hard) == ("bob@example.com", BounceClass.FEEDBACK, False)
    assert report.diagnostic == "abuse"
    assert report.fault is Fault.RECIPIENT


def test_complaint_with_two_recipients_loses_none() -> None:
    raw = ARF.format(recipients="Original-Rcpt-To: ann@example.com\nOriginal-Rcpt-To: bob@example.com\n")
    assert [r.recipient for r in parse_bounce(raw.encode())] == ["ann@example.com", "bob@example.com"]


def test_complaint_without_a_recipient_takes_the_returned_mails() -> None:
    (report,) = parse_bounce(ARF.format(recipients="").encode())
    assert report.recipient == "bob@example.com"


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied\nSubject: Re: Your invoice",
        "Auto-Submitted: auto-replied (vacation)\nSubject: Thanks",
        "X-Autoreply: yes\nSubject: Thanks",
        "Precedence: auto_reply\nSubject: Thanks",
        "Subject: Automatic reply: Your invoice",
        "Subject: Out of Office: Your invoice",
        "Subject: Abwesenheitsnotiz",
        "Subject: =?utf-8?B?UsOpcG9uc2UgYXV0b21hdGlxdWU=?=",
        "Subject: =?iso-2022-jp?B?GyRCPCtGMDF+RXobKEI=?=",
    ],
)
def test_out_of_office_is_an_auto_reply(headers: str) -> None:
    (report,) = parse_bounce(f"From: Bob <bob@example.com>\n{headers}\n\nI am away until Monday.\n".encode())
    assert (report.recipient, report.cls, report.hard) == ("bob@example.com", BounceClass.AUTO_REPLY, False)


def test_read_receipt_is_an_auto_reply() -> None:
    raw = (
        b"From: bob@example.com\nSubject: Read: invoice\nContent-Type: multipart/report;\n"
        b" report-type=disposition-notification; boundary=m\n\n--m\n\nRead.\n--m\n"
        b"Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; bob@example.com\n"
        b"Disposition: manual-action/MDN-sent-manually; displayed\n--m--\n"
    )
    assert [(r.recipient, r.cls) for r in parse_bounce(raw)] == [("bob@example.com", BounceClass.AUTO_REPLY)]


def test_unsubscribe_click_of_a_mail_program_is_feedback() -> None:
    raw = b"From: bob@example.com\nSubject: unsubscribe\nAuto-Submitted: auto-replied\n\nSent by Mail.\n"
    assert [r.cls for r in parse_bounce(raw)] == [BounceClass.FEEDBACK]


ORDINARY = {
    "newsletter": (
        "From: News <news@shop.example>\nSubject: Delivery news: our undelivered promises\n"
        "List-Unsubscribe: <mailto:x@y>\n"
        "\nYour parcel could not be delivered? Read how. user unknown, mailbox full.\n"
    ),
    "a reply": "From: Bob <bob@example.com>\nSubject: Re: Your invoice\n\nThanks, I paid it yesterday.\n",
    "a reply about a bounce": (
        "From: Bob <bob@example.com>\nIn-Reply-To: <x@y>\nSubject: Re: Undelivered Mail Returned to "
        "Sender\n\n"
        "What does this mean?\n\n> <ann@example.com>: host mx said: 550 5.1.1 User unknown\n"
        "> Final-Recipient: rfc822; ann@example.com\n> Action: failed\n> Status: 5.1.1\n\nBob\n"
    ),
    "a bounce in the middle of a talk": (
        "From: Bob <bob@example.com>\nSubject: invoice problem\n\nHi, I sent you a mail and got this:\n\n"
        "Final-Recipient: rfc822; ann@example.com\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 user unknown\n\nCan you help?\n"
    ),
    "a forward with a remark": (
        "From: Bob <bob@example.com>\nSubject: Fwd: Undelivered Mail Returned to Sender\n\n"
        "Please have a look at this, I get it every day since I changed my provider.\n\n"
        "> Final-Recipient: rfc822; ann@example.com\n> Action: failed\n> Status: 5.1.1\n"
    ),
    "a forward as attachment": (
        "From: Bob <bob@example.com>\nSubject: what is this\nContent-Type: multipart/mixed; "
        "boundary=q\n\n--q\n\nSee below.\n"
        "--q\nContent-Type: message/rfc822\n\nFrom: MAILER-DAEMON@mx\nSubject: failure notice\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=r\n\n--r\n"
        "Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@b.example\nAction: "
        "failed\nStatus: 5.1.1\n--r--\n--q--\n"
    ),
    "a parcel service": (
        "From: no-reply@parcel.example\nSubject: Delivery failed: we could not deliver your parcel\n\n"
        "Your parcel could not be delivered today. Contact help@parcel.example.\n"
    ),
    "a ticket system's receipt": (
        "From: support@helpdesk.example\nAuto-Submitted: auto-generated\nSubject: [#4711] Mail "
        "problem\n\nWe got your request.\n"
    ),
    "a discussion of quotas": "From: ann@example.com\nSubject: quota exceeded\n\nMy mailbox is full "
    "again, 552 5.2.2.\n",
    "a mailing list post": (
        "From: Bob <bob@example.com>\nList-Id: <mail.example>\nSubject: Undelivered mail\n\n550 "
        "5.1.1 <x@y.example> User unknown\n"
    ),
    "nothing at all": "",
    "only a header": "Subject: Hello",
}


@pytest.mark.parametrize("raw", list(ORDINARY.values()), ids=list(ORDINARY))
def test_ordinary_mail_is_no_bounce(raw: str) -> None:
    assert parse_bounce(raw.encode()) == []


def test_report_passed_on_without_a_word_is_read() -> None:
    raw = (
        b"From: Bob <bob@example.com>\nSubject: Fwd: Returned mail\n\nBegin forwarded message:\n\n> "
        b"From: MAILER-DAEMON\n"
        b"> Final-Recipient: rfc822; ann@example.com\n> Action: failed\n> Status: 5.1.1\n"
    )
    assert [(r.recipient, r.hard) for r in parse_bounce(raw)] == [("ann@example.com", True)]
