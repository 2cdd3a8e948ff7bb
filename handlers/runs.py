"""Invoice runs as values: what was asked for, whom it reaches, whom it leaves out and why. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from handlers.blocks import Mrkdwn, lines, md
from handlers.format import day
from handlers.reply import UserError
from handlers.run_anomalies import Figures
from notifier.estimate import Estimate
from store.models import Fallback as Way
from store.models import Invoice, NotificationKind, Recipient, Run, Standing, Subscriber

REMIND_AHEAD = timedelta(days=5)
"""Reminders go to whose invoice is due within these days."""


class What(StrEnum):
    ISSUED = "issued"
    OVERDUE = "overdue"
    REMINDERS = "reminders"
    INVOICE = "invoice"


_KINDS = {
    What.ISSUED: NotificationKind.INVOICE_ISSUED,
    What.OVERDUE: NotificationKind.OVERDUE,
    What.REMINDERS: NotificationKind.REMINDER,
    What.INVOICE: NotificationKind.INVOICE_ISSUED,
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Whose notice. `today` is frozen when it is asked for: a run that is taken up later means the same."""

    what: What
    today: date
    since: date | None = None
    number: str = ""

    @property
    def kind(self) -> NotificationKind:
        return _KINDS[self.what]

    @property
    def due(self) -> tuple[date | None, date]:
        """The days on which invoices of this run are due (overdue and reminders)."""
        if self.what is What.OVERDUE:
            return None, self.today - timedelta(days=1)
        return self.today, self.today + REMIND_AHEAD

    def key(self, invoice: Invoice) -> str:
        """One notice of a kind for what was billed, whichever run it is in: a payment makes no second one."""
        return notice_key(invoice, self.kind)

    def label(self, locale: str = "en_US") -> str:
        match self.what:
            case What.ISSUED if self.since is not None:
                return f"Invoices issued since {day(self.since, locale)}"
            case What.INVOICE:
                return f"Invoice {self.number}"
            case What.OVERDUE:
                return f"Overdue invoices, {day(self.today, locale)}"
            case _:
                return f"Reminders, due until {day(self.due[1], locale)}"

    def as_json(self) -> dict[str, Any]:
        made: dict[str, Any] = {"what": str(self.what), "today": self.today.isoformat()}
        if self.since is not None:
            made["since"] = self.since.isoformat()
        return made | ({"number": self.number} if self.number else {})

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Criteria:
        since = value.get("since")
        return Criteria(
            What(value["what"]),
            date.fromisoformat(value["today"]),
            date.fromisoformat(since) if since else None,
            str(value.get("number", "")),
        )


_ISSUED = re.compile(r"(?:issued|invoices)?\s*(?:since|from)\s+(.*)", re.I)
_WORDS = {
    "overdue": What.OVERDUE,
    "past due": What.OVERDUE,
    "reminder": What.REMINDERS,
    "reminders": What.REMINDERS,
    "due soon": What.REMINDERS,
}


def read_criteria(text: str, today: date, command: str) -> Criteria:
    """`issued since 2026-11-01`, `overdue`, `invoice 20042`, `reminders`. UserError: none of these."""
    text = " ".join(text.split()).strip(" .?!")
    if text.casefold() in _WORDS:
        return Criteria(_WORDS[text.casefold()], today)
    if found := _ISSUED.fullmatch(text):
        return issued_since(found[1], today)
    word, _, rest = text.partition(" ")
    if word.casefold() in ("invoice", "inv") and rest:
        return Criteria(What.INVOICE, today, number=rest.lstrip("#").strip())
    raise UserError(
        "Which invoices?",
        f"`{command} run issued since {today.replace(day=1).isoformat()}`, `{command} run overdue`, "
        f"`{command} run reminders` or `{command} run invoice 20042`.",
    )


def issued_since(text: str, today: date) -> Criteria:
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        since = named.get(text.casefold()) or date.fromisoformat(text.strip())
    except ValueError:
        raise UserError("I cannot read that date.", f"Write it like {today.isoformat()}.") from None
    if since > today:
        raise UserError("That day has not come yet.", "Name the first day of issue that counts.")
    return Criteria(What.ISSUED, today, since)


LEDGER_HEAD = ("invoice", "account", "issued_on", "standing", "reason")
STANDING_WORDS: Mapping[Standing, str] = {
    Standing.ACCEPTED: "accepted by their servers",
    Standing.HANDED: "handed to the relay and may still bounce",
    Standing.PRESUMED: "handed over without a bounce in 72 hours",
    Standing.UNDER_WAY: "under way",
    Standing.FAILED: "failed",
    Standing.SUPPRESSED: "not sent: on the do-not-send list",
    Standing.CANCELLED: "not sent: called back, paid or void by then",
    Standing.EXPIRED: "out of date",
}
"""How notices stand, in the order in which they are told."""

REASONS: dict[str, str] = {
    "no_address": "no address on file",
    "unusable": "the address on file cannot be used",
    "suppressed": "every address is on our do-not-send list",
    "opted_out": "opted out of texts, and no mail address",
    "notices_off": "notices are switched off",
    "archived": "the account is archived",
    "paid": "nothing left to pay",
    "in_credit": "in credit, which covers the invoice",
    "owes_nothing": "the account owes nothing",
    "void": "the invoice was voided",
    "draft": "the invoice is a draft",
    "written_off": "the invoice was written off",
    "held": "on hold",
    "already": "a notice went out already",
    "failed": "a notice went out already, and did not arrive",
}
"""Why somebody is left out, in the words of an agent."""

NEEDS_A_PERSON = ("no_address", "unusable", "suppressed", "opted_out")
"""Left out though they ought to be told: somebody has to find another way."""

PRESSING = (*NEEDS_A_PERSON, "failed")
"""Shown first: these have no notice. Those whose notice failed stand in `/isp failures` by themselves."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One invoice that will be told of."""

    invoice: Invoice
    owner: Subscriber
    payer: Subscriber
    recipients: tuple[Recipient, ...]
    fallback: tuple[Way, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One invoice that will not, and why. `detail` holds no address."""

    invoice: Invoice
    owner: Subscriber
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a run would do now. Every invoice of the audience is in exactly one of the counts."""

    criteria: Criteria
    by_mail: int = 0
    mails: int = 0
    """Addresses: one payer may have several."""
    by_text: int = 0
    segments: int = 0
    """Of the texts that go at once."""
    with_fallback: int = 0
    fallback_segments: int = 0
    """At most, if every mail failed."""
    waiting: int = 0
    """Texts that wait for the morning of whoever reads them."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Reason -> the first account numbers."""
    figures: Figures = field(default_factory=Figures)
    anomalies: tuple[str, ...] = ()
    """What is odd about it, in sentences: whoever approves sees them."""
    takes: Estimate | None = None
    """How long the sending takes at least; None: nothing goes at once."""

    def as_json(self) -> dict[str, Any]:
        """What is kept with the run: what the next one is compared with, and what its approver sees."""
        counts = {
            "audience": self.audience,
            "notices": self.notices,
            "by_mail": self.by_mail,
            "by_text": self.by_text,
            "segments": self.segments,
            "waiting": self.waiting,
        }
        takes = {"takes_s": round(self.takes.seconds), "takes_by": self.takes.decides} if self.takes else {}
        kept = {"left_out": dict(self.left_out), "figures": self.figures.as_json()}
        return counts | kept | takes | {"anomalies": list(self.anomalies)}

    @property
    def notices(self) -> int:
        return self.by_mail + self.by_text

    @property
    def excluded(self) -> int:
        return sum(self.left_out.values())

    @property
    def audience(self) -> int:
        return self.notices + self.excluded


class Approval(StrEnum):
    """What came of a press on Approve."""

    APPROVED = "approved"
    CHANGED = "changed"
    """The audience is another one than was shown: the card shows it now, and asks again."""
    OWN = "own"
    """Whoever asked for the run cannot approve it."""
    OVER = "over"
    """It waits no more."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a press did: to which run, whether it was this press, and to how many messages."""

    run: Run
    done: bool
    messages: int = 0


MUCH_CHANGED = 0.1
FEW = 20


def changed_much(made: Rehearsal, then: Mapping[str, Any]) -> bool:
    """Whether whoever approved `then` would have to look again."""
    foreseen = int(then.get("notices", made.notices))
    difference = abs(made.notices - foreseen)
    more_odd = len(made.anomalies) > len(then.get("anomalies", ()))
    return difference > max(FEW, foreseen * MUCH_CHANGED) or more_odd


def count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def lasts(seconds: float) -> str:
    """`less than a minute`, `about 12 minutes`, `about 3 hours`: no more exact than it is known."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 100:
        return f"about {count(minutes, 'minute')}"
    hours = round(minutes / 60)
    return f"about {count(hours, 'hour')}" if hours < 48 else f"about {count(round(hours / 24), 'day')}"


def odd(sentences: Sequence[str]) -> Mrkdwn:
    """What is odd about a run, for whoever starts or approves it."""
    return lines([md(":warning: *Look at this first*"), *(md("• {}", sentence) for sentence in sentences)])


def cost(segments: int, price: Decimal | None, currency: str) -> str:
    """`$3.16`, or nothing where no price is configured."""
    if price is None:
        return ""
    amount = (price * segments).quantize(Decimal("0.01"))
    return f"${amount}" if currency == "USD" else f"{amount} {currency}"


def notice_key(invoice: Invoice, kind: NotificationKind = NotificationKind.INVOICE_ISSUED) -> str:
    """The idempotency key of the notice of this kind about what this invoice bills."""
    tail = "" if kind is NotificationKind.INVOICE_ISSUED else f":{kind}"
    return f"invoice:{invoice.issue}{tail}"
