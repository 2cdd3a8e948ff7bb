"""RFC 3464 and 6533 reports: every recipient, every field, and what returned."""

from __future__ import annotations

import base64

import pytest

from notifier.bounces import BounceClass, BounceReport, Fault, parse_bounce, returned_headers


def delivery_report(
    status: str, human: str = "It did not work.", returned: str = "", kind: str = "message"
) -> bytes:
    part = "message/global-delivery-status" if kind == "global" else "message/delivery-status"
    return (
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net (Mail Delivery System)\n"
        "To: b-token@bounce.example.org\nSubject: Undelivered Mail Returned to Sender\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="XX/mx.example.net"\n\n'
        f"This is a MIME message.\n\n--XX/mx.example.net\nContent-Type: text/plain; charset=utf-8\n"
        f"\n{human}\n"
        f"\n--XX/mx.example.net\nContent-Type: {part}\n\n{status}\n"
        f"\n--XX/mx.example.net\nContent-Type: message/rfc822\n\n{returned}\n\n--XX/mx.example.net--\n"
    ).encode()


def only(raw: bytes) -> BounceReport:
    found = parse_bounce(raw)
    assert len(found) == 1
    return found[0]


def block(recipient: str, action: str, status: str, diagnostic: str = "") -> str:
    lines = f"Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {status}\n"
    return lines + (f"Diagnostic-Code: smtp; {diagnostic}\n" if diagnostic else "")


def test_every_field_of_a_plain_report_is_handed_on() -> None:
    report = only(
        delivery_report(
            "Reporting-MTA: dns; mx.example.net\nOriginal-Envelope-Id: token-17\n\n"
            "Original-Recipient: rfc822;alias@example.com\nFinal-Recipient: rfc822; bob@example.com\n"
            "Action: failed\nStatus: 5.1.1\nRemote-MTA: dns; mail.example.com\n"
            "Diagnostic-Code: smtp; 550 5.1.1 <bob@example.com>:\n    User unknown\n"
        )
    )
    assert report == BounceReport(
        recipient="bob@example.com",
        original_recipient="alias@example.com",
        cls=BounceClass.NO_SUCH_USER,
        hard=True,
        fault=Fault.RECIPIENT,
        status="5.1.1",
        reply_code="550",
        diagnostic="550 5.1.1 <bob@example.com>: User unknown",
        action="failed",
        remote_mta="mail.example.com",
        envelope_id="token-17",
    )


def test_no_recipient_of_a_large_report_is_lost() -> None:
    blocks = [block(f"user{n}@example.com", "failed", "5.1.1", "550 5.1.1 User unknown") for n in range(100)]
    found = parse_bounce(delivery_report("Reporting-MTA: dns; mx\n\n" + "\n".join(blocks)))
    assert [r.recipient for r in found] == [f"user{n}@example.com" for n in range(100)]
    assert all(r.hard for r in found)


def test_recipients_without_a_blank_line_between_them_are_kept_apart() -> None:
    status = "Reporting-MTA: dns; mx\n\n" + block("a@example.com", "failed", "5.1.1", "550 no such user")
    status += block("b@example.com", "failed", "5.2.2", "552 mailbox full")
    found = parse_bounce(delivery_report(status))
    assert [(r.recipient, r.cls) for r in found] == [
        ("a@example.com", BounceClass.NO_SUCH_USER),
        ("b@example.com", BounceClass.MAILBOX_FULL),
    ]


def test_recipient_fields_in_the_message_block_are_read() -> None:
    status = "Reporting-MTA: dns; mx\nAction: failed\nFinal-Recipient: rfc822; a@example.com\nStatus: 5.2.2\n"
    report = only(delivery_report(status))
    assert (report.recipient, report.cls) == ("a@example.com", BounceClass.MAILBOX_FULL)


def test_recipients_of_one_report_are_judged_one_by_one() -> None:
    human = (
        "<a@example.com>: host mx said: 552 5.2.2 Quota exceeded (in reply to RCPT TO command)\n\n"
        "<b@example.com>: host mx said: 550 5.1.1 no such user (in reply to RCPT TO command)\n"
    )
    status = "Reporting-MTA: dns; mx\n\n" + "\n".join(
        f"Final-Recipient: rfc822; {name}@example.com\nAction: failed\nStatus: 5.0.0\n" for name in "ab"
    )
    found = parse_bounce(delivery_report(status, human))
    assert [r.cls for r in found] == [BounceClass.MAILBOX_FULL, BounceClass.NO_SUCH_USER]
    assert [r.status for r in found] == ["5.2.2", "5.1.1"]


def test_delay_is_never_hard_whatever_it_quotes() -> None:
    report = only(delivery_report(block("a@example.com", "delayed", "4.1.1", "450 4.1.1 User unknown")))
    assert (report.action, report.hard) == ("delayed", False)


def test_delay_without_a_reason_is_temporary() -> None:
    assert only(delivery_report(block("a@example.com", "delayed", "4.0.0"))).cls is BounceClass.TEMPORARY


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_good_news_is_delivered_and_keeps_its_action(action: str) -> None:
    report = only(delivery_report(block("a@example.com", action, "2.0.0", "250 2.0.0 OK")))
    assert (report.cls, report.action, report.hard) == (BounceClass.DELIVERED, action, False)


def test_action_of_an_unlisted_word_is_understood() -> None:
    report = only(delivery_report(block("a@example.com", "expired", "", "Connection timed out")))
    assert (report.action, report.cls) == ("failed", BounceClass.TEMPORARY)


def test_internationalised_report_gives_the_utf8_address() -> None:
    status = "Final-Recipient: utf-8; jörg@bücher.example\nAction: failed\nStatus: 5.1.1\n"
    assert only(delivery_report(status, kind="global")).recipient == "jörg@bücher.example"


def test_escaped_utf8_address_is_decoded() -> None:
    status = r"Final-Recipient: utf-8; j\x{F6}rg@b\x{FC}cher.example" + "\nAction: failed\nStatus: 5.1.1\n"
    assert only(delivery_report(status)).recipient == "jörg@bücher.example"


def test_impossible_code_point_is_left_as_it_is() -> None:
    status = r"Final-Recipient: utf-8; j\x{D800}g@example.com" + "\nAction: failed\nStatus: 5.1.1\n"
    assert only(delivery_report(status)).recipient.endswith("g@example.com")


def test_path_as_final_recipient_gives_way_to_the_named_address() -> None:
    status = "Final-Recipient: rfc822; /var/spool/mail/bob\nAction: failed\nStatus: 5.0.0\n"
    human = "Failed:\n\n  save to /var/spool/mail/bob\n    generated by bob@example.com\n    mailbox full\n"
    report = only(delivery_report(status, human))
    assert (report.recipient, report.cls) == ("bob@example.com", BounceClass.MAILBOX_FULL)


def test_report_without_a_recipient_field_names_the_returned_mails_recipient() -> None:
    status = "Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 full\n"
    assert (
        only(delivery_report(status, returned="To: bob@example.com\nSubject: Bill")).recipient
        == "bob@example.com"
    )


def test_status_in_the_diagnostic_fills_a_vague_status_field() -> None:
    report = only(delivery_report(block("a@example.com", "failed", "5.0.0", "550 5.7.26 unauthenticated")))
    assert (report.status, report.cls) == ("5.7.26", BounceClass.BLOCKED_AUTH)


def test_sendmail_transcript_tells_a_refused_rcpt_from_refused_content() -> None:
    def transcript(after: str) -> str:
        return (
            "   ----- The following addresses had permanent fatal errors -----\n<bob@example.com>\n\n"
            "   ----- Transcript of session follows -----\n... while talking to mx.example.com.:\n"
            f">>> DATA\n<<< 550 Unknown user\n{after}\n"
        )

    def status(code: str) -> str:
        return block("bob@example.com", "failed", code, "550 Unknown user")

    # Sendmail gives a refused RCPT without a code x.1.1 of its own, refused content x.2.0.
    refused_rcpt = transcript("550 5.1.1 <bob@example.com>... User unknown\n<<< 503 Need RCPT")
    at_rcpt = only(delivery_report(status("5.1.1"), refused_rcpt))
    at_data = only(delivery_report(status("5.2.0"), transcript("554 5.0.0 Service unavailable")))
    assert (at_rcpt.cls, at_data.cls) == (BounceClass.NO_SUCH_USER, BounceClass.FILTERED)
    # A server that states x.0.0 itself hides which of the two it was: no proof, nobody is suppressed.
    assert only(delivery_report(status("5.0.0"), refused_rcpt)).cls is BounceClass.FILTERED


def test_returned_headers_identify_the_message() -> None:
    returned = "Message-ID: <t1@mail.example.org>\nX-Delivery-Ref: t1\nTo: a@example.com\n\nbody"
    raw = delivery_report(block("a@example.com", "failed", "5.1.1"), returned=returned)
    assert returned_headers(raw) == {"Message-ID": "<t1@mail.example.org>", "X-Delivery-Ref": "t1"}


def test_returned_headers_are_found_in_a_notice_without_parts() -> None:
    raw = (
        b"From: MAILER-DAEMON@mx\nSubject: failure notice\n\n<bob@example.com>:\nno mailbox here. "
        b"(#5.1.1)\n\n"
        b"--- Below this line is a copy of the message.\n\nMessage-ID:\n <t2@mail.example.org>\n> "
        b"X-Delivery-Ref: t2\n"
    )
    assert returned_headers(raw) == {"Message-ID": "<t2@mail.example.org>", "X-Delivery-Ref": "t2"}


def test_the_bounces_own_message_id_is_not_the_returned_one() -> None:
    assert returned_headers(b"Message-ID: <own@mx>\nFrom: a@b\n\nhello") == {}


def test_base64_status_part_is_read() -> None:
    status = base64.encodebytes(block("a@example.com", "failed", "5.2.2").encode()).decode()
    raw = delivery_report(status).replace(
        b"Content-Type: message/delivery-status\n",
        b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n",
    )
    assert only(raw).recipient == "a@example.com"


@pytest.mark.parametrize("ending", [b"\r\n", b"\r"])
def test_line_ends_make_no_difference(ending: bytes) -> None:
    raw = delivery_report(block("a@example.com", "failed", "5.1.1", "550 5.1.1 User unknown"))
    assert parse_bounce(raw.replace(b"\n", ending)) == parse_bounce(raw)


def test_bounce_wrapped_by_a_gateway_is_unwrapped() -> None:
    inner = delivery_report(block("a@example.com", "failed", "5.1.1", "550 5.1.1 User unknown")).decode()
    raw = (
        "From: MAILER-DAEMON@gw.example.net\nSubject: Returned mail\nContent-Type: multipart/mixed; "
        "boundary=out\n\n"
        f"--out\nContent-Type: text/plain\n\nSee the attachment.\n\n--out\nContent-Type: "
        f"message/rfc822\n\n{inner}\n--out--\n"
    ).encode()
    assert only(raw).recipient == "a@example.com"


def test_mailbox_file_gives_the_reports_of_all_its_messages() -> None:
    one = b"From MAILER-DAEMON Thu Jul  2 12:05:05 2026\n" + delivery_report(
        block("a@example.com", "failed", "5.1.1")
    )
    two = b"From MAILER-DAEMON Thu Jul  2 12:05:06 2026\n" + delivery_report(
        block("b@example.com", "failed", "5.2.2")
    )
    assert [r.recipient for r in parse_bounce(one + two)] == ["a@example.com", "b@example.com"]
