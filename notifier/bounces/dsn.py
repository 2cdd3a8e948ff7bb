"""RFC 3464 and 6533 delivery reports: the machine-readable part, field by field, none lost.

Real reports put recipient fields into the message block, drop the blank line between recipients, leave
Status empty, invent actions; what is said is kept and judged with the words of the human part.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from .addresses import typed_address
from .classify import (
    Certainty,
    Judgement,
    Stage,
    answer_in,
    enhanced_in,
    fault_of,
    judge,
    reply_code_in,
    stage_in,
)
from .codes import CATEGORIES, EXITS
from .mime import parse_headers
from .verdict import FAULT_OF, HARD_CLASSES, BounceClass, BounceReport

MAX_RECIPIENTS = 1000
MAX_SNIPPET = 3000

# RFC 3464 section 2.3.3; the rest is what systems write instead.
ACTIONS: dict[str, str] = {
    "failed": "failed",
    "delayed": "delayed",
    "delivered": "delivered",
    "relayed": "relayed",
    "expanded": "expanded",
    "failure": "failed",
    "fail": "failed",
    "expired": "failed",
    "rejected": "failed",
    "bounced": "failed",
    "error": "failed",
    "deferred": "delayed",
    "delay": "delayed",
    "warning": "delayed",
    "success": "delivered",
    "deliverable": "delivered",
    "transferred": "relayed",
}
_SUCCESS = frozenset({"delivered", "relayed", "expanded"})

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})")
_FIELD_START = re.compile(
    rb"^(?:final-recipient|original-recipient|action|status|diagnostic-code)[ \t]*:", re.I | re.M
)


@dataclass(slots=True)
class Recipient:
    """The fields of one recipient as they were written."""

    fields: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.fields.get(name, "")

    @property
    def address(self) -> str:
        final = typed_address(self.get("final-recipient"))
        original = typed_address(self.get("original-recipient"))
        # A store's inner name (user@hostname, a source route) is nobody's address outside.
        if original and "." in original.rpartition("@")[2] and "." not in final.rpartition("@")[2]:
            return original
        return final or original


@dataclass(slots=True)
class DeliveryStatus:
    """A whole delivery-status part: what holds for the message, and its recipients."""

    envelope_id: str | None = None
    reporting_mta: str = ""
    recipients: list[Recipient] = field(default_factory=list)


_ABOUT_RECIPIENT = frozenset(
    {
        "final-recipient",
        "original-recipient",
        "action",
        "status",
        "diagnostic-code",
        "remote-mta",
        "x-actual-recipient",
        "x-powermta-bouncecategory",
    }
)


def looks_like_status(data: bytes) -> bool:
    """Whether a text holds the fields of a delivery report (some systems put them into plain text)."""
    found = {m[0].split(b":")[0].strip().lower() for m in _FIELD_START.finditer(data)}
    return b"final-recipient" in found and len(found) >= 3


def parse_status(data: bytes) -> DeliveryStatus:
    """The blocks of a delivery-status body; blank lines and repeated fields both begin a recipient."""
    report = DeliveryStatus()
    current: Recipient | None = None
    for block in re.split(rb"\n[ \t]*\n", data):
        fresh = True
        for name, value in _fields(block):
            if name == "original-envelope-id" and report.envelope_id is None:
                report.envelope_id = value or None
            elif name == "reporting-mta" and not report.reporting_mta:
                report.reporting_mta = mta_name(value)
            if name not in _ABOUT_RECIPIENT:
                continue
            if current is None or name in current.fields or (fresh and _complete(current)):
                if len(report.recipients) >= MAX_RECIPIENTS:
                    return report
                current = Recipient()
                report.recipients.append(current)
            fresh = False
            current.fields[name] = value
    report.recipients = [r for r in report.recipients if r.fields.keys() - {"remote-mta"}]
    return report


def _complete(recipient: Recipient) -> bool:
    return "final-recipient" in recipient.fields and bool(recipient.fields.keys() & {"action", "status"})


def _fields(block: bytes) -> list[tuple[str, str]]:
    """The fields in the order written: a repeated field begins the next recipient."""
    headers = parse_headers(block)
    if all(len(values) == 1 for values in headers.values()):
        return [(name, values[0]) for name, values in headers.items()]
    ordered: list[tuple[str, str]] = []
    taken: dict[str, int] = {}
    for line in block.split(b"\n"):
        name = line.split(b":")[0].strip().lower().decode("latin-1")
        if line[:1] not in b" \t" and name in headers:
            at = taken.get(name, 0)
            if at < len(headers[name]):
                ordered.append((name, headers[name][at]))
                taken[name] = at + 1
    return ordered


def mta_name(value: str) -> str:
    """`dns; mx.example.org (192.0.2.1)` -> mx.example.org."""
    name = value.partition(";")[2] or value
    return name.strip().split(" ")[0].rstrip(".")[:255] if name.strip() else ""


def diagnostic_text(value: str) -> str:
    """The Diagnostic-Code without its type, on one line."""
    kind, semicolon, rest = value.partition(";")
    text = rest if semicolon and len(kind) <= 40 and " " not in kind.strip() else value
    return " ".join(text.split())[:MAX_SNIPPET]


def status_of(field_value: str, diagnostic: str) -> str:
    """The Status field, or what the diagnostic says where the field is missing or only x.0.0."""
    match = _STATUS.search(field_value)
    stated = f"{match[1]}.{int(match[2])}.{int(match[3])}" if match else ""
    if stated and not stated.endswith(".0.0"):
        return stated
    return enhanced_in(diagnostic) or stated


def action_of(value: str) -> str:
    words = value.split("(")[0].split()
    word = words[0].strip(";,.").lower() if words else ""
    return ACTIONS.get(word, word[:40])


class HumanPart:
    """The words of a report, and where in them each recipient is spoken of."""

    def __init__(self, text: str, recipients: set[str]) -> None:
        self.text = text
        low = text.casefold()
        self._places = {address: low.find(address) for address in recipients}
        self._starts = sorted(place for place in self._places.values() if place >= 0)
        self._exact = len(low) == len(text)  # a few letters fold to two, and places no longer fit

    def about(self, address: str) -> str:
        """What is said about one recipient: from its first mention up to the next recipient's."""
        start = self._places.get(address.casefold(), -1)
        if start < 0 or not self._exact:
            return self.text[:MAX_SNIPPET] if len(self._places) <= 1 else ""
        following = bisect_right(self._starts, start + len(address) - 1)
        end = self._starts[following] if following < len(self._starts) else len(self.text)
        return self.text[start : min(end, start + MAX_SNIPPET)]


def reports(status: DeliveryStatus, human: str, fallback: list[str]) -> list[BounceReport]:
    """One report for each recipient. `fallback` names recipients for blocks that name nobody."""
    known = {r.address.casefold() for r in status.recipients if r.address}
    spare = [a for a in fallback if a.casefold() not in known]
    words = HumanPart(human, known | {a.casefold() for a in spare})
    found: list[BounceReport] = []
    for recipient in status.recipients:
        address = recipient.address
        if not address:
            if spare:
                address = spare.pop(0)
            elif found and not recipient.get("final-recipient"):
                continue  # stray fields after the last recipient
        found.append(_report(recipient, address, status, words))
    return found


def _report(recipient: Recipient, address: str, status: DeliveryStatus, human: HumanPart) -> BounceReport:
    action = action_of(recipient.get("action"))
    diagnostic = diagnostic_text(recipient.get("diagnostic-code"))
    code = status_of(recipient.get("status"), diagnostic)
    snippet = human.about(address)
    reply = reply_code_in(diagnostic) or (reply_code_in(snippet) if not diagnostic else "")
    if not code or (code.endswith(".0.0") and not diagnostic):
        code = enhanced_in(snippet) or code
    original = typed_address(recipient.get("original-recipient")) or None
    remote = mta_name(recipient.get("remote-mta"))
    if action in _SUCCESS or (not action and code.startswith("2.")):
        delivered = BounceClass.DELIVERED
        return BounceReport(
            address,
            original,
            delivered,
            False,
            FAULT_OF[delivered],
            code,
            reply,
            diagnostic,
            action or "delivered",
            remote,
            status.envelope_id,
        )
    judgement = _of_program(recipient) or judged(
        reply, code, diagnostic, recipient.get("status"), snippet, human.text, remote
    )
    category = CATEGORIES.get(recipient.get("x-powermta-bouncecategory").lower())
    if category is not None and judgement.certainty <= Certainty.WEAK:
        judgement = Judgement(category, category in HARD_CLASSES, Certainty.SPECIFIC)
    cls = judgement.cls
    if action == "delayed" and judgement.certainty <= Certainty.CODE:
        cls = BounceClass.TEMPORARY
    # A delay never ends an address: the next report may say that it was delivered.
    hard = judgement.hard and action != "delayed"
    return BounceReport(
        address,
        original,
        cls,
        hard,
        fault_of(cls, hard),
        code,
        reply,
        diagnostic or " ".join(snippet.split())[:MAX_SNIPPET],
        action,
        remote,
        status.envelope_id,
    )


def _of_program(recipient: Recipient) -> Judgement | None:
    """RFC 3464 `x-unix` is a local program's exit: without telling words the program failed, nothing else."""
    kind, _, rest = recipient.get("diagnostic-code").partition(";")
    words = rest.strip().lower()
    if kind.strip().lower() != "x-unix":
        return None
    if words in EXITS:
        return Judgement(EXITS[words], EXITS[words] in HARD_CLASSES, Certainty.SPECIFIC)
    if words in ("temporary failure", "") or (words.isascii() and words.isdecimal()):
        return Judgement(BounceClass.OTHER, False, Certainty.SPECIFIC)
    return None


def judged(
    reply: str, code: str, diagnostic: str, status_field: str, snippet: str, human: str, remote: str = ""
) -> Judgement:
    """The most telling of: the diagnostic, the comment in Status, the human part about this recipient."""
    stage = stage_of(snippet, human, diagnostic)
    best = judge(reply, code, diagnostic, stage, remote)
    if best.cls is BounceClass.FILTERED and "mailbox disabled" in status_field.lower():
        return Judgement(BounceClass.MAILBOX_DISABLED, False, Certainty.SPECIFIC)  # PowerMTA's own reading
    if best.certainty < Certainty.MEANT and "(" in status_field:
        best = max(best, judge(reply, code, status_field, stage), key=lambda j: j.certainty)
    if best.certainty < Certainty.MEANT and snippet:
        other = judge(reply, code, answer_in(snippet) or snippet, stage)
        if other.certainty > best.certainty:
            best = other
    return best


# Sendmail and Courier `>>>`, MDaemon `-->`, InterScan `Sent >>>`, Kerio `Sent:`, hMailServer `sent:`.
_COMMAND = re.compile(
    r"^(?:sent )?(?:>{3,}|-{2,}>|(?:\w+ )?sent:)\s*(mail|rcpt|data|ehlo|helo|\S+)", re.IGNORECASE
)
_ANSWER = re.compile(r"^(?:received )?(?:<{3,}|<-{2,}|received:|remote server replied:)", re.IGNORECASE)


def stage_of(snippet: str, human: str, diagnostic: str) -> Stage:
    """The SMTP stage that was answered, from the reporter's words or sendmail's transcript."""
    stage = stage_in(snippet) or stage_in(diagnostic)
    if stage is Stage.UNKNOWN or ">>>" in human or "-->" in human:
        stage = _transcript_stage(human) or stage
    return stage


def _transcript_stage(human: str) -> Stage:
    """The command before the first refusal in a transcript.

    Sendmail pipelines, so DATA may stand where RCPT was meant; then its status x.1.1 tells that nobody is
    there (see `classify`), and without one "unknown" is no proof.
    """
    last = Stage.UNKNOWN
    for line in human.split("\n"):
        line = line.strip()
        match = _COMMAND.match(line)
        if match:
            last = {"mail": Stage.MAIL, "rcpt": Stage.RCPT, "data": Stage.DATA}.get(match[1].lower(), last)
        elif _ANSWER.match(line) and reply_code_in(line)[:1] in ("4", "5"):
            return last
    return Stage.UNKNOWN
