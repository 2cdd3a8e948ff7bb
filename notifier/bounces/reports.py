"""Mail that is no bounce but says something about a recipient: complaints, receipts, auto-replies.

RFC 5965 and 6591 (feedback reports), RFC 8098 (read receipts), RFC 3834 (automatic responses) and the
headers and subjects that out-of-office systems really use.
"""

from __future__ import annotations

import json
import re

from . import wording
from .addresses import first_address, typed_address
from .classify import enhanced_in, fault_of, judge, reply_code_in
from .mime import Headers, Part, parse_headers
from .verdict import FAULT_OF, BounceClass, BounceReport
from .wording import any_of

# RFC 5965 section 3.2; Removal-Recipient is the older opt-out form.
_FEEDBACK_RECIPIENT = ("original-rcpt-to", "removal-recipient", "redacted-address", "final-recipient")

_AUTO_REPLY_SUBJECT = any_of(wording.AUTO_REPLY_SUBJECTS, r"\s*")
_AUTO_HEADERS = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply",
    "x-auto-respond",
    "x-mail-autoreply",
)


def feedback_report(parts: list[Part], returned: Headers) -> list[BounceReport]:
    """Complaints of an ARF part, one per recipient; a redacted recipient is an empty string."""
    body = next((p for p in parts if p.content_type == "message/feedback-report"), None)
    if body is None:
        return []
    fields = parse_headers(body.text.encode("utf-8", "replace"))
    recipients: dict[str, None] = {}
    for name in _FEEDBACK_RECIPIENT:
        for value in fields.get(name, []):
            address = typed_address(value) if ";" in value else first_address(value)
            if address:
                recipients.setdefault(address)
        if recipients:
            break
    if not recipients:
        recipients.setdefault(returned_recipient(returned))
    kind = fields.first("feedback-type").lower()
    envelope_id = fields.first("original-envelope-id") or None
    remote = fields.first("reporting-mta").partition(";")[2].strip()
    return [_plain(BounceClass.FEEDBACK, a, kind, envelope_id, remote) for a in recipients]


def service_notification(text: str) -> list[BounceReport]:
    """Amazon SES by way of SNS e-mail: the event is one JSON object in the text (SES developer guide)."""
    start = text.find('{"notificationType"')
    start = start if start >= 0 else text.find('{"eventType"')
    if start < 0:
        return []
    # Relays cut long lines with "!" and a leading space.
    joined = text[start:].replace("!\n ", "").replace("\n", " ")
    try:
        event, _ = json.JSONDecoder().raw_decode(joined)
    except (ValueError, RecursionError):
        return []
    return _service_event(event) if isinstance(event, dict) else []


def _service_event(event: dict[str, object]) -> list[BounceReport]:
    kind = str(event.get("notificationType") or event.get("eventType")).lower()
    detail = event.get(kind)
    if not isinstance(detail, dict):
        return []
    if kind == "delivery":
        answer = str(detail.get("smtpResponse") or "")
        return [
            BounceReport(
                str(address),
                None,
                BounceClass.DELIVERED,
                False,
                FAULT_OF[BounceClass.DELIVERED],
                enhanced_in(answer),
                reply_code_in(answer),
                answer,
                "delivered",
                str(detail.get("reportingMTA") or ""),
            )
            for address in _list(detail.get("recipients"))
        ]
    if kind == "complaint":
        named = [_field(r, "emailAddress") for r in _list(detail.get("complainedRecipients"))]
        return [
            _plain(BounceClass.FEEDBACK, a, str(detail.get("complaintFeedbackType") or "abuse"))
            for a in named
        ]
    if kind != "bounce":
        return []
    return [_bounced(r, str(detail.get("bounceType") or "")) for r in _list(detail.get("bouncedRecipients"))]


def _bounced(recipient: object, kind: str) -> BounceReport:
    diagnostic = _field(recipient, "diagnosticCode").partition(";")[2].strip()
    status = _field(recipient, "status") or enhanced_in(diagnostic)
    reply = reply_code_in(diagnostic)
    verdict = judge(reply, status, diagnostic)
    hard = verdict.hard and kind.lower() != "transient"
    return BounceReport(
        _field(recipient, "emailAddress"),
        None,
        verdict.cls,
        hard,
        fault_of(verdict.cls, hard),
        status,
        reply,
        diagnostic,
        _field(recipient, "action") or "failed",
    )


def _list(value: object) -> list[object]:
    return value[:1000] if isinstance(value, list) else []


def _field(value: object, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def old_style_complaint(headers: Headers, returned: Headers, has_returned: bool) -> list[BounceReport]:
    """Complaints from before ARF: Microsoft's JMRP and "complaint about message from" loops."""
    marked = "x-hmxmroriginalrecipient" in returned or "x-hmxmroriginalrecipient" in headers
    subject = headers.first("subject").lower()
    sender = headers.first("from").lower()
    if not marked and not (
        has_returned
        and (subject.startswith("complaint about message from") or "abuse report" in subject[:60])
        and re.search(r"feedback|fbl|staff@hotmail|scomp|abuse|complaint|postmaster", sender)
    ):
        return []
    address = first_address(
        returned.first("x-hmxmroriginalrecipient") or headers.first("x-hmxmroriginalrecipient")
    ) or returned_recipient(returned)
    return [_plain(BounceClass.FEEDBACK, address, "abuse")]


def read_receipt(parts: list[Part]) -> list[BounceReport]:
    """RFC 8098: somebody's program answered; that is an automatic reply, whatever it disposed of."""
    for part in parts:
        if part.content_type in (
            "message/disposition-notification",
            "message/global-disposition-notification",
        ):
            fields = parse_headers(part.text.encode("utf-8", "replace"))
            address = typed_address(fields.first("final-recipient")) or typed_address(
                fields.first("original-recipient")
            )
            return [_plain(BounceClass.AUTO_REPLY, address, fields.first("disposition"))]
    return []


def is_auto_reply(headers: Headers, subject: str) -> bool:
    """RFC 3834 section 5, and what was used before it."""
    kinds = [v.split(";")[0].strip().lower() for v in headers.get("auto-submitted", [])]
    if any(kind.startswith("auto-replied") for kind in kinds):
        return True
    if any(headers.first(name).lower() not in ("", "no", "false") for name in _AUTO_HEADERS):
        return True
    if headers.first("precedence").lower() in ("auto_reply", "auto-reply", "autoreply"):
        return True
    if headers.first("delivered-to").lower() == "autoresponder":
        return True
    return bool(_AUTO_REPLY_SUBJECT.match(subject))


def auto_reply(headers: Headers, text: str) -> list[BounceReport]:
    """The one who answered is the recipient whom our mail reached."""
    address = (
        first_address(headers.first("from"))
        or first_address(headers.first("reply-to"))
        or first_address(headers.first("return-path"))
    )
    if headers.first("subject").strip().lower() == "unsubscribe":
        # RFC 2369 mailto: unsubscription, sent by the recipient's mail program at his click.
        return [_plain(BounceClass.FEEDBACK, address, "opt-out")]
    return [_plain(BounceClass.AUTO_REPLY, address, " ".join(text.split())[:500])]


def returned_recipient(returned: Headers) -> str:
    """Whom the returned message was for, as far as its own headers tell."""
    for name in ("x-original-to", "delivered-to", "x-hmxmroriginalrecipient", "x-rcpt-to", "to", "cc"):
        found = first_address(returned.first(name))
        if found and "redacted" not in found:
            return found
    return ""


def _plain(
    cls: BounceClass, address: str, diagnostic: str, envelope_id: str | None = None, remote: str = ""
) -> BounceReport:
    return BounceReport(
        address,
        None,
        cls,
        False,
        FAULT_OF[cls],
        diagnostic=diagnostic,
        remote_mta=remote,
        envelope_id=envelope_id,
    )
