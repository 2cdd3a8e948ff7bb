"""Delivery status notifications as a mail server writes them, pure (RFC 3462, 3464, 6533; fields: RFC 3461).

Built as bytes rather than by the library's MIME layer: the exact form is the point, and bounces come in bulk.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final

RETURNED_WHOLE_UP_TO: Final = 100_000


class Action(enum.StrEnum):
    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True)
class Report:
    """One recipient's fate. `diagnostic` is "type; text"; `returned` is the message as reported on."""

    reporting_mta: str
    queue_id: str
    dsn_id: str
    return_path: str
    sender_time: datetime
    report_time: datetime
    final_recipient: str
    action: Action
    status: str
    diagnostic: str
    remote_mta: str | None = None
    original_recipient: str | None = None
    envelope_id: str | None = None
    will_retry_until: datetime | None = None
    ret: str | None = None
    returned: bytes = b""


SUBJECTS: Final = {
    Action.FAILED: "Undelivered Mail Returned to Sender",
    Action.DELAYED: "Delayed Mail (still being retried)",
    Action.DELIVERED: "Successful Mail Delivery Report",
    Action.RELAYED: "Successful Mail Delivery Report",
    Action.EXPANDED: "Successful Mail Delivery Report",
}
SENTENCES: Final = {
    Action.FAILED: "Your message could not be delivered to the recipient below. Nothing more will be tried.",
    Action.DELAYED: "Your message has not been delivered yet. It will be tried again; do nothing for now.",
    Action.DELIVERED: "Your message was put into the mailbox of the recipient below.",
    Action.RELAYED: "Your message was handed to a server that does not report on delivery itself.",
    Action.EXPANDED: "Your message was handed on to the members of a list.",
}


def build(report: Report) -> bytes:
    """The whole message with CRLF line ends, ready for the envelope <> -> `report.return_path`."""
    utf8 = not report.final_recipient.isascii() or not report.return_path.isascii()
    boundary = f"=_{report.dsn_id}/{report.reporting_mta}"
    status_type = "message/global-delivery-status" if utf8 else "message/delivery-status"
    encoding = "8bit" if utf8 else "7bit"
    head = [
        f"Date: {format_datetime(report.report_time)}",
        f"From: Mail Delivery System <MAILER-DAEMON@{report.reporting_mta}>",
        f"Subject: {SUBJECTS[report.action]}",
        f"To: {report.return_path}",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        f"Message-ID: <{report.dsn_id}@{report.reporting_mta}>",
        "",
        "This is a MIME-encapsulated message.",
        "",
        f"--{boundary}",
        "Content-Description: Notification",
        f"Content-Type: text/plain; charset={'utf-8' if utf8 else 'us-ascii'}",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        f"This is the mail system at host {report.reporting_mta}.",
        "",
        SENTENCES[report.action],
        "",
        f"<{report.final_recipient}>: {_one_line(report.diagnostic.partition('; ')[2])}",
        "",
        f"--{boundary}",
        "Content-Description: Delivery report",
        f"Content-Type: {status_type}",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        *_status_fields(report, utf8=utf8),
        "",
        f"--{boundary}",
        "",
    ]
    return "\r\n".join(head).encode("utf-8") + _returned_part(report) + f"\r\n--{boundary}--\r\n".encode()


def _status_fields(report: Report, *, utf8: bool) -> list[str]:
    """RFC 3464 sections 2.2 and 2.3: a group for the message, an empty line, a group for the recipient."""
    fields = [f"Reporting-MTA: dns; {report.reporting_mta}"]
    if report.envelope_id is not None:
        fields.append(f"Original-Envelope-Id: {_one_line(report.envelope_id)}")
    fields += [
        f"X-Postfix-Queue-ID: {report.queue_id}",
        f"Arrival-Date: {format_datetime(report.sender_time)}",
        "",
        f"Final-Recipient: {'utf-8' if utf8 else 'rfc822'}; {report.final_recipient}",
    ]
    if report.original_recipient is not None:
        fields.append(f"Original-Recipient: {_one_line(report.original_recipient)}")
    fields += [f"Action: {report.action.value}", f"Status: {report.status}"]
    if report.remote_mta is not None:
        fields.append(f"Remote-MTA: dns; {report.remote_mta}")
    fields.append(f"Diagnostic-Code: {_one_line(report.diagnostic)}")
    if report.will_retry_until is not None:
        fields.append(f"Will-Retry-Until: {format_datetime(report.will_retry_until)}")
    return fields


def _returned_part(report: Report) -> bytes:
    """RFC 3461 section 4.3: RET speaks of failures only; everything else returns headers alone."""
    whole = (
        report.action is Action.FAILED
        and report.ret != "HDRS"
        and len(report.returned) <= RETURNED_WHOLE_UP_TO
    )
    content = report.returned if whole else header_block(report.returned)
    encoding = "7bit" if content.isascii() else "8bit"
    head = [
        f"Content-Description: {'Undelivered Message' if whole else 'Message Headers'}",
        f"Content-Type: {'message/rfc822' if whole else 'text/rfc822-headers'}",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        "",
    ]
    return "\r\n".join(head).encode() + content


def header_block(content: bytes) -> bytes:
    """The headers of a message with their last CRLF, without the empty line."""
    if content.startswith(b"\r\n"):
        return b""
    head, separator, _ = content.partition(b"\r\n\r\n")
    return head + b"\r\n" if separator else content


def _one_line(text: str) -> str:
    return " ".join(text.split())
