"""May this act be done, on these facts? Asked for the preview and again right before the call. Pure.

No suspension on a zero balance or with a payment posted since, none under a hold or a blocking note
(facts/billing.md). What speaks against an act without forbidding it is the preview's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from billing.hold_words import what_is_held
from billing.package_states import ACTS, Becomes, Stays
from store.models import (
    ActKind,
    Hold,
    Note,
    NoteLevel,
    Package,
    PackageKind,
    Subscriber,
    SubscriberStatus,
)


class Against(StrEnum):
    """Why an act is refused."""

    ARCHIVED = "archived"
    PROSPECT = "prospect"
    NO_PACKAGE = "no_package"
    ZERO_BALANCE = "zero_balance"
    CREDIT = "credit"
    PAID_SINCE = "paid_since"
    HELD = "held"
    BLOCKED = "blocked"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`sentence` and `next_step` in plain words, for an agent."""

    against: Against
    sentence: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """What is known at the moment of judging."""

    subscriber: Subscriber
    packages: Sequence[Package]
    holds: Sequence[Hold]
    notes: Sequence[Note]


def refusal(
    kind: ActKind, case: Case, package: Package | None = None, owed_before: int | None = None
) -> Refusal | None:
    """None: it may be done. `package` None asks about the subscriber: is there any package to act on?

    `owed_before` is what was owed (minor units) when a person decided.
    """
    return (
        _standing(case.subscriber)
        or (_money(case.subscriber, owed_before) if kind is ActKind.SUSPEND else None)
        or (_held(case.holds) if kind is ActKind.SUSPEND else None)
        or _blocked(case.notes)
        or _packages(kind, case.packages, package)
    )


def _standing(s: Subscriber) -> Refusal | None:
    if s.status is SubscriberStatus.ARCHIVED:
        return Refusal(Against.ARCHIVED, f"Account {s.account} is archived: nothing of it is running.")
    if s.status is SubscriberStatus.PROSPECT:
        return Refusal(Against.PROSPECT, f"Account {s.account} is a prospect: nothing of it is running yet.")
    return None


def _money(s: Subscriber, owed_before: int | None) -> Refusal | None:
    if s.balance.minor < 0:
        return Refusal(
            Against.CREDIT,
            f"Account {s.account} is in credit: nothing is owed, so it is not suspended.",
            "If that surprises you, look at the payments in billing.",
        )
    if s.balance.minor == 0:
        return Refusal(
            Against.ZERO_BALANCE,
            f"Account {s.account} owes nothing: its balance is zero, so it is not suspended.",
            "If that surprises you, look at the payments in billing.",
        )
    if owed_before is not None and s.balance.minor < owed_before:
        return Refusal(
            Against.PAID_SINCE,
            f"A payment on account {s.account} came in since you looked: less is owed now.",
            "Look again, and decide anew.",
        )
    return None


def _held(holds: Sequence[Hold]) -> Refusal | None:
    if not holds:
        return None
    last = max(holds, key=lambda hold: hold.until)
    reason = f" ({last.reason})" if last.reason else ""
    return Refusal(
        Against.HELD,
        f"{what_is_held(last)} is held until {last.until:%b} {last.until.day}{reason}: "
        "reminders and suspension wait.",
        "End the hold first, if it does not count any more.",
    )


def _blocked(notes: Sequence[Note]) -> Refusal | None:
    block = next((note for note in notes if note.level is NoteLevel.BLOCK), None)
    if block is None:
        return None
    return Refusal(
        Against.BLOCKED,
        f"A note blocks this account: {block.text}",
        "Talk to whoever wrote it, or remove the note.",
    )


_NOUN = {ActKind.SUSPEND: "suspend", ActKind.UNSUSPEND: "unsuspend", ActKind.PAUSE: "pause"}


def step_of(kind: ActKind, package: Package) -> Becomes | Stays:
    """What the act makes of this package: only the internet is paused (facts/billing.md)."""
    step = ACTS[package.status][kind]
    if kind is ActKind.PAUSE and isinstance(step, Becomes) and package.kind is not PackageKind.INTERNET:
        return Stays("is no internet package, and only those are paused")
    return step


def _packages(kind: ActKind, packages: Sequence[Package], package: Package | None) -> Refusal | None:
    if package is not None:
        step = step_of(kind, package)
        if not isinstance(step, Stays):
            return None
        return Refusal(Against.STATUS, f"{package.name} {step.because}.")
    if not packages:
        return Refusal(Against.NO_PACKAGE, f"There is no package to {_NOUN[kind]}.")
    steps = [(p, step_of(kind, p)) for p in packages]
    if any(not isinstance(step, Stays) for _, step in steps):
        return None
    told = "; ".join(f"{p.name} {step.because}" for p, step in steps if isinstance(step, Stays))
    return Refusal(Against.STATUS, f"There is nothing to {_NOUN[kind]}: {told}.")
