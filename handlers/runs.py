"""Invoice runs as values: what was asked for, whom it reaches, whom it leaves out and why. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from handlers.format import day
from handlers.reply import UserError
from store.models import Fallback as Way
from store.models import Invoice, NotificationKind, Recipient, Subscriber

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


REASONS: dict[str, str] = {
    "no_address": "no address on file",
    "unusable": "the address on file cannot be used",
    "suppressed": "every address is on our do-not-send list",
    "opted_out": "opted out of texts, and no mail address",
    "notices_off": "notices are switched off",
    "archived": "the account is archived",
    "paid": "nothing left to pay",
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

    @property
    def notices(self) -> int:
        return self.by_mail + self.by_text

    @property
    def excluded(self) -> int:
        return sum(self.left_out.values())

    @property
    def audience(self) -> int:
        return self.notices + self.excluded


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
