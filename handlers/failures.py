"""People without a proven notice, as values: one row an address, grouped by cause. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from handlers import words
from handlers.reply import UserError
from handlers.runs import REASONS
from store.models import (
    Assignment,
    Channel,
    Delivery,
    Invoice,
    NotificationKind,
    Outcome,
    Reason,
    Recipient,
    Run,
    Subscriber,
)

_DAYS = re.compile(r"(?:last\s+)?(\d{1,3})\s*d(?:ays?)?", re.I)
MOST_DAYS = 90


@dataclass(frozen=True, slots=True)
class Scope:
    """Since local midnight, of the last days, of one run (empty: the latest), or of one incident."""

    days: int = 1
    run: str | None = None
    incident: str | None = None
    """What it caught and could be sent again."""

    def as_json(self) -> dict[str, Any]:
        if self.incident is not None:
            return {"i": self.incident}
        return {"d": self.days} | ({} if self.run is None else {"r": self.run})

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Scope:
        return Scope(int(value.get("d", 1)), value.get("r"), value.get("i"))


def read_scope(text: str, command: str) -> Scope:
    """`today` or nothing, `run`, `3 days`; UserError says what is understood."""
    text = text.strip(" .?!").casefold()
    if text in ("", "today"):
        return Scope()
    if text in ("run", "last run", "latest run"):
        return Scope(run="")
    if text in ("week", "this week"):
        return Scope(days=7)
    found = _DAYS.fullmatch(text)
    if found and 1 <= int(found[1]) <= MOST_DAYS:
        return Scope(days=int(found[1]))
    raise UserError(
        "Which failures?",
        f"`{command} failures` for today, `{command} failures 3 days` (up to {MOST_DAYS}) or "
        f"`{command} failures run` for the latest run.",
    )


class Bulk(StrEnum):
    """What can be done for many at once."""

    TEXT = "text"
    RETRY = "retry"


REFUSED = "refused"
"""The one group of an incident's scope."""
RETRY_HELPS = frozenset(
    {"mailbox_full", "rate_limited", "temporary", "blocked_auth", "blocked_reputation", "filtered", "too_big"}
)
"""Classes where the same address may work later, or once our side is mended. Never a dead mailbox."""
TEXT_RETRY_HELPS = frozenset(
    {
        "sms_unreachable",
        "sms_carrier",
        "sms_busy",
        "sms_daily_cap",
        "sms_expired",
        "sms_sender",
        "sms_sender_unregistered",
        "sms_region",
        "sms_account",
        "sms_login",
        "sms_request",
        "sms_canceled",
        "sms_other",
    }
)
"""The same of texts: the phone was off, a carrier or our account was the trouble. Never a landline, a number
that does not exist, an opt-out, or words that carriers filter."""
_RETRY_REASONS = frozenset({Reason.NETWORK, Reason.INFRASTRUCTURE, Reason.CONFIG, Reason.CAPACITY})
_MEND_FIRST = {
    "blocked_auth": "Mend the SPF record first, or it fails again.",
    "blocked_reputation": "It fails again until their operator trusts our server.",
    "mailbox_full": "It fails again until the mailbox was emptied.",
    "filtered": "It fails again until the customer has allowed our address.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One address that did not get a notice; without a delivery it was left out of a run."""

    whose: Subscriber | None
    payer: Subscriber | None
    invoice: Invoice | None
    delivery: Delivery | None = None
    reason: str = ""
    """The run's reason where there is no delivery."""
    assigned: Assignment | None = None
    left_by: UUID | None = None
    """The run that left it out."""
    kind: NotificationKind | None = None
    """What it was about; a second try says the same."""

    @property
    def since(self) -> UUID | None:
        """A message about the same invoice that is newer makes it good (store.failures)."""
        return self.delivery.notification_id if self.delivery else self.left_by

    @property
    def subject(self) -> str:
        """What an assignment names."""
        if self.invoice is not None:
            return f"notice:{self.invoice.id}"
        return f"delivery:{self.delivery.id}" if self.delivery else ""

    @property
    def cause(self) -> str:
        """The group: a stable key."""
        if self.delivery is None:
            return f"left:{self.reason}"
        d = self.delivery
        return f"{d.outcome}:{d.cls or (d.reason if d.reason is not Reason.NONE else '')}"

    @property
    def may_retry(self) -> bool:
        d = self.delivery
        if d is None or d.outcome is Outcome.SUPPRESSED:
            return False
        if d.channel is Channel.SMS and d.cls:
            return d.cls in TEXT_RETRY_HELPS
        return (
            d.cls in RETRY_HELPS or (not d.cls and d.reason in _RETRY_REASONS) or d.outcome is Outcome.EXPIRED
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Everybody with one cause."""

    cause: str
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        d = self.rows[0].delivery
        if d is None:
            return f"left out: {REASONS.get(self.rows[0].reason, self.rows[0].reason)}"
        return words.cause(d.outcome, d.cls, d.reason)

    @property
    def hint(self) -> str:
        """What helps, in a sentence; empty where nothing is known."""
        d = self.rows[0].delivery
        return _LEFT.get(self.rows[0].reason, "") if d is None else words.next_step(d)

    @property
    def retriable(self) -> int:
        return sum(row.may_retry for row in self.rows)

    @property
    def caution(self) -> str:
        d = self.rows[0].delivery
        return _MEND_FIRST.get(d.cls, "") if d is not None else ""


_LEFT = {
    "no_address": "Ask the customer for an address, and enter it in billing.",
    "unusable": "Check the address with the customer, and mend it in billing.",
    "suppressed": "It is on our do-not-send list. Ask for another address, or let a lead release it.",
    "opted_out": "They answered STOP: ask for a mail address by telephone or letter.",
}


def grouped(rows: Sequence[Row]) -> tuple[Group, ...]:
    """The many first; within a cause by account."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.cause, []).append(row)
    made = [Group(cause, tuple(sorted(found, key=_place))) for cause, found in groups.items()]
    return tuple(sorted(made, key=lambda g: (-len(g.rows), g.cause)))


def _place(row: Row) -> tuple[int, str, str]:
    account = row.whose.account if row.whose else ""
    return len(account), account, row.delivery.address if row.delivery else ""


@dataclass(frozen=True, slots=True)
class Failing:
    """All of a scope."""

    scope: Scope
    groups: tuple[Group, ...]
    run: Run | None = None

    @property
    def people(self) -> int:
        return len({row.whose.id for g in self.groups for row in g.rows if row.whose is not None})

    @property
    def addresses(self) -> int:
        return sum(len(g.rows) for g in self.groups)

    def group(self, cause: str) -> Group | None:
        return next((g for g in self.groups if g.cause == cause), None)


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """What a bulk action would do now."""

    bulk: Bulk
    group: Group
    going: tuple[tuple[Row, tuple[Recipient, ...]], ...]
    """One a notice, with the addresses and numbers it goes to."""
    segments: int = 0
    waiting: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Words -> how many."""

    def to(self, channel: Channel) -> int:
        """How many addresses or numbers of this channel it goes to."""
        return sum(r.channel is channel for _, recipients in self.going for r in recipients)
