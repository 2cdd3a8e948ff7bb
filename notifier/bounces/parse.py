"""One raw message to its reports: complaint, delivery report, notice in words, or automatic reply.

The order is by strength of proof; a message that proves nothing is no bounce. Never raises.
"""

from __future__ import annotations

import re
from functools import lru_cache

from . import dsn, notices, reports
from .addresses import addresses
from .mime import (
    MAX_BYTES,
    MAX_TEXT,
    Headers,
    Part,
    canonical,
    decoded_words,
    leaves,
    parse_headers,
    split_message,
)
from .verdict import BounceReport

_STATUS_PARTS = frozenset(
    {"message/delivery-status", "message/global-delivery-status", "text/delivery-status"}
)
_RETURNED_PARTS = frozenset(
    {
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "text/rfc822-header",
        "message/rfc822-headers",
        "message/global-headers",
        "text/rfc822",
    }
)
_RETURNED_FIELDS = {"message-id": "Message-ID", "x-delivery-ref": "X-Delivery-Ref"}
_QUOTED_FIELD = re.compile(
    rb"^[ \t>|]*(message-id|x-delivery-ref)[ \t]*:[ \t]*(?:\n[ \t]+)?([^\s][^\n]{0,998})", re.I | re.M
)


_MAX_WRAPPING = 2
_MAX_MESSAGES = 50
# RFC 4155: the line that separates messages; a date and then a header tell it from prose.
_MBOX_LINE = re.compile(rb"^From \S+ +\w{3} \w{3} +\d+ +\d+:\d\d[^\n]*\r?\n(?=[A-Za-z-]+:)", re.MULTILINE)
_MAX_OWN_WORDS = 40
_FORWARD = re.compile(r"\s*(?:fwd?|wg|tr|rv|enc|i)\s*:", re.IGNORECASE)
_QUOTE_MARK = re.compile(r"^(?:[ \t]*>)+[ \t]?", re.MULTILINE)
_FORWARD_LINE = re.compile(
    r"^[ \t>]*(?:begin forwarded|-{2,} ?(?:forwarded|original|weiter)|from\s*:|>)", re.IGNORECASE
)


class _Message:
    """A message taken apart once: what each reader below needs of it."""

    def __init__(self, raw: bytes) -> None:
        data = canonical(raw)
        self.headers, body = split_message(data)
        self.parts = leaves(self.headers, body)
        self.subject = decoded_words(self.headers.first("subject"))
        self.returned_part = next((p for p in self.parts if p.content_type in _RETURNED_PARTS), None)
        self.returned = _returned(self.returned_part)
        self.status_parts = [p for p in self.parts if p.content_type in _STATUS_PARTS]

    @property
    def human(self) -> str:
        """The words of the notice: plain text where there is any, else the HTML."""
        plain: list[str] = []
        html: list[str] = []
        for part in self.parts:
            if part is self.returned_part:
                break
            if part.content_type == "text/html":
                html.append(part.text)
            elif part.content_type.startswith("text/") and not _is_attachment(part):
                plain.append(part.text)
        text = "\n".join(plain)
        return (text if text.strip() else "\n".join(html))[:MAX_TEXT]


def _is_attachment(part: Part) -> bool:
    return part.headers.first("content-disposition").lower().startswith("attachment") and bool(
        part.params.get("name") or "filename" in part.headers.first("content-disposition").lower()
    )


def _returned(part: Part | None) -> Headers:
    if part is None:
        return Headers()
    payload = part.payload.lstrip(b"\n \t")
    return parse_headers(payload.split(b"\n\n", 1)[0])


def parse_bounce(raw: bytes) -> list[BounceReport]:
    """What `raw` says about each recipient; empty when it is no bounce, complaint or automatic reply.

    At most 1 MiB of it is looked at. A report may have an empty recipient where the notice hides it: the
    envelope's token still tells whose delivery it was.
    """
    found: list[BounceReport] = []
    for message in _mailbox(raw[:MAX_BYTES]):
        found.extend(_parse(message, 0))
    return found


def _mailbox(raw: bytes) -> list[bytes]:
    """A file in mbox form may hold several messages; anything else is one."""
    if not raw.startswith(b"From "):
        return [raw]
    starts = [m.start() for m in _MBOX_LINE.finditer(raw)][:_MAX_MESSAGES] or [0]
    return [raw[a:b] for a, b in zip(starts, [*starts[1:], len(raw)], strict=True)]


@lru_cache(maxsize=1)
def _taken_apart(raw: bytes) -> _Message:
    """Whoever asks for the reports asks for the returned headers too: one reading does for both."""
    return _Message(raw)


def _parse(raw: bytes, depth: int) -> list[BounceReport]:
    message = _taken_apart(raw)
    found = reports.feedback_report(message.parts, message.returned)
    if not found:
        found = _delivery_reports(message)
    if not found and (raw.lstrip()[:1] == b"{" or len(message.parts) == 1):
        text = raw.decode("utf-8", "replace") if raw.lstrip()[:1] == b"{" else message.human
        found = reports.service_notification(text)
    if not found:
        found = reports.read_receipt(message.parts)
    if not found:
        found = reports.old_style_complaint(
            message.headers, message.returned, message.returned_part is not None
        )
    if not found and depth < _MAX_WRAPPING:
        found = _wrapped(message, depth)
    if not found and _answered_by_a_person(message):
        return reports.auto_reply(message.headers, message.human)
    if not found:
        found = _forwarded(message) or _notice(message)
    if not found and reports.is_auto_reply(message.headers, message.subject):
        found = reports.auto_reply(message.headers, message.human)
    return found


def _answered_by_a_person(message: _Message) -> bool:
    """An automatic reply under a person's name, whatever its words: robots answer in their own."""
    headers = message.headers
    if notices.names_robot(headers) or "x-failed-recipients" in headers or message.returned_part is not None:
        return False
    return bool(headers.first("from").strip("<> ")) and reports.is_auto_reply(headers, message.subject)


def _delivery_reports(message: _Message) -> list[BounceReport]:
    found: list[BounceReport] = []
    if message.status_parts:
        human, _ = notices.cut_returned(message.human)
        for part in message.status_parts:
            status = dsn.parse_status(part.text.encode("utf-8", "replace"))
            found.extend(dsn.reports(status, human, _fallback(message, human)))
        return found
    return found


def _fallback(message: _Message, human: str) -> list[str]:
    """Recipients named outside the machine-readable part, for blocks that name nobody."""
    stated = [a for v in message.headers.get("x-failed-recipients", []) for a in addresses(v)]
    if stated:
        return stated
    own = addresses(message.headers.first("to")) + addresses(message.headers.first("from"))
    named = [
        a
        for a in addresses(human)
        if a not in own and not a.lower().startswith(("postmaster@", "mailer-daemon@"))
    ]
    elsewhere = reports.returned_recipient(message.returned)
    return named or ([elsewhere] if elsewhere else [])


def _wrapped(message: _Message, depth: int) -> list[BounceReport]:
    """A gateway that returns a whole delivery report as its attachment adds nothing: the inner one counts."""
    part = message.returned_part
    if part is None or part.content_type != "message/rfc822" or not notices.is_robot(message.headers):
        return []
    if "report-type" not in message.returned.first("content-type").lower():
        return []
    inner = _parse(part.payload, depth + 1)
    return inner if any(report.recipient for report in inner) else []


def _forwarded(message: _Message) -> list[BounceReport]:
    """A delivery report passed on untouched by a person: no words of his own, every field still there.

    A reply, or a forward with a remark, is a conversation about a bounce and none itself.
    """
    if not _FORWARD.match(message.subject) or "in-reply-to" in message.headers:
        return []
    own = 0
    human = message.human
    for line in human.split("\n")[:50]:
        if _FORWARD_LINE.match(line):
            break
        own += len(line.strip())
    text = _QUOTE_MARK.sub("", human)
    words = text.encode("utf-8", "replace")
    if own > _MAX_OWN_WORDS or not dsn.looks_like_status(words):
        return []
    return dsn.reports(dsn.parse_status(words), text, [])


def _notice(message: _Message) -> list[BounceReport]:
    human = message.human
    kind = message.headers.first("content-type").lower()
    failed = "x-failed-recipients" in message.headers
    evidence = failed or ("multipart/report" in kind and "disposition" not in kind and "feedback" not in kind)
    words = human.encode("utf-8", "replace")
    if dsn.looks_like_status(words) and notices.is_notice(
        message.headers, message.subject, human, message.returned_part is not None
    ):
        # Amazon WorkMail and others print the machine-readable fields into the text.
        status = dsn.parse_status(words)
        found = dsn.reports(status, human, _fallback(message, human))
        if found:
            return found
    return notices.notice(message.headers, message.subject, human, message.returned, evidence)


def returned_headers(raw: bytes) -> dict[str, str]:
    """Message-ID and X-Delivery-Ref of the mail that came back, where the bounce holds them."""
    message = _taken_apart(raw)
    found: dict[str, str] = {}
    for name, shown in _RETURNED_FIELDS.items():
        value = message.returned.first(name)
        if value:
            found[shown] = value
    if found:
        return found
    for part in message.parts:
        for match in _QUOTED_FIELD.finditer(part.text.encode("utf-8", "replace")):
            shown = _RETURNED_FIELDS[match[1].decode("ascii").lower()]
            found.setdefault(shown, match[2].decode("utf-8", "replace").strip())
    return found
