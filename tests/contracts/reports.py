"""Delivery reports (RFC 3464) as relays send them, for the suites about bounces."""

from __future__ import annotations

from collections.abc import Sequence

from tests.contracts.attempts import DANA

DEAD = "550 5.1.1 <dana@example.com>: Recipient address rejected: User unknown"


def block(address: str = DANA, action: str = "failed", status: str = "5.1.1", diagnostic: str = DEAD) -> str:
    """The fields of one recipient (RFC 3464 section 2.3)."""
    fields = f"Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {status}\r\n"
    return fields + (f"Diagnostic-Code: smtp; {diagnostic}\r\n" if diagnostic else "")


def dsn(
    *blocks: str,
    returned: Sequence[str] = ("Subject: your invoice",),
    queue_id: str = "",
    words: str = "report",
) -> bytes:
    """A multipart/report as a relay sends it; `returned` are headers of our mail that it gives back."""
    of_message = "Reporting-MTA: dns; relay.example.net\r\n" + (
        f"X-Postfix-Queue-ID: {queue_id}\r\n" if queue_id else ""
    )
    status = "\r\n".join([of_message, *(blocks or (block(),))])
    return (
        "From: MAILER-DAEMON@relay.example.net\r\nTo: <>\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="cut"\r\n\r\n'
        f"--cut\r\nContent-Type: text/plain\r\n\r\n{words}\r\n"
        f"--cut\r\nContent-Type: message/delivery-status\r\n\r\n{status}\r\n"
        "--cut\r\nContent-Type: text/rfc822-headers\r\n\r\n" + "\r\n".join(returned) + "\r\n--cut--\r\n"
    ).encode()


def complaint(address: str, token: str, words: str = "A complaint.", kind: str = "abuse") -> bytes:
    """A feedback report (RFC 5965) about the mail that bears `token`; without `address` it names nobody."""
    named = f"Original-Rcpt-To: {address}" if address else "X-Nobody: named"
    return (
        "From: fbl@isp.example\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="cut"\r\n\r\n'
        f"--cut\r\nContent-Type: text/plain\r\n\r\n{words}\r\n"
        f"--cut\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nVersion: 1\r\n"
        f"User-Agent: fbl/1\r\n{named}\r\n"
        "--cut\r\nContent-Type: message/rfc822\r\n\r\n"
        f"X-Delivery-Ref: {token}\r\nSubject: x\r\n\r\nhi\r\n"
        "--cut--\r\n"
    ).encode()
