"""Every fact that speaks against a message, for every kind of message and both channels, on both databases.

A line of FACTS says which kinds a fact stops, and what becomes of them; all others must go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from billing.truth import BillingTruth, SendMode
from notifier.quiet import QuietHours
from notifier.truth import Decision, Later, Stop, Wait
from store.models import (
    Channel,
    Delivery,
    Facts,
    InvoiceStatus,
    Notification,
    NotificationKind,
    Priority,
    Reason,
    Run,
    RunState,
    SubscriberStatus,
)
from store.types import new_id
from store.unit import Store, Tx
from tests.builders import NOW, delivery, hold_of, invoice_record, notification, subscriber_record, usd

K, C = NotificationKind, Channel
EVERY = frozenset((kind, channel) for kind in K for channel in C)
RUN = UUID("019cb000-0000-7000-8000-0000000000aa")
ADDRESS = {C.EMAIL: "dana@inbox.example", C.SMS: "+15415550142"}


def of(*kinds: NotificationKind, channels: tuple[Channel, ...] = tuple(C)) -> frozenset[Any]:
    return frozenset((kind, channel) for kind in kinds for channel in channels)


NOTICES = of(K.INVOICE_ISSUED, K.REMINDER, K.OVERDUE)
REMINDERS = of(K.REMINDER, K.OVERDUE)


@dataclass(frozen=True)
class Fact:
    stops: frozenset[Any]
    outcome: str
    """The kind of a Stop, the holder of a Wait, or "later"."""
    sentence: str
    person: Mapping[str, Any] | None = None
    bill: Mapping[str, Any] | None = None
    tags: tuple[str, ...] = ()
    then: Callable[[Tx], Awaitable[object]] | None = None
    expires: timedelta = timedelta(days=3)
    mode: Literal["off", "live"] = "live"
    window: tuple[time, time] | None = None


async def _suppress(tx: Tx) -> None:
    for channel, address in ADDRESS.items():
        await tx.suppressions.suppress(channel, address, reason="no_such_user", actor="bounce")


def _held(scope: str, key: str) -> Callable[[Tx], Awaitable[object]]:
    return lambda tx: tx.notes.add_hold(hold_of(key, scope=scope, until=date(2026, 3, 20), reason="fire"))


def _run(state: RunState) -> Callable[[Tx], Awaitable[object]]:
    run = Run(RUN, K.INVOICE_ISSUED, "March", {}, state, "U_LEAD", NOW)
    return lambda tx: tx.runs.create(run, "step")


FACTS = {
    "nothing": Fact(frozenset(), "", ""),
    "void": Fact(EVERY, "cancelled", "The invoice was voided.", bill={"status": InvoiceStatus.VOID}),
    "paid": Fact(
        NOTICES,
        "cancelled",
        "The invoice is paid.",
        bill={"status": InvoiceStatus.PAID, "paid": usd("49.90")},
    ),
    "written off": Fact(
        NOTICES, "cancelled", "The invoice was written off.", bill={"status": InvoiceStatus.UNCOLLECTIBLE}
    ),
    "in credit": Fact(
        NOTICES,
        "cancelled",
        "The account is in credit, which covers the invoice.",
        person={"balance": usd("-5.00")},
    ),
    "owes nothing": Fact(
        REMINDERS, "cancelled", "The account owes nothing any more.", person={"balance": usd("0.00")}
    ),
    "archived": Fact(
        NOTICES, "cancelled", "The account is archived.", person={"status": SubscriberStatus.ARCHIVED}
    ),
    "notices off": Fact(
        NOTICES,
        "cancelled",
        "Invoice notices are switched off for this account.",
        person={"invoice_notices": False},
    ),
    "old facts": Fact(
        NOTICES,
        "cancelled",
        "The invoice is paid, by what billing said 2 days before.",
        bill={
            "status": InvoiceStatus.PAID,
            "paid": usd("49.90"),
            "facts": Facts("local", NOW - timedelta(days=2)),
        },
    ),
    "account held": Fact(
        REMINDERS,
        "hold:1001",
        "Account 1001 is held until Mar 20, 2026: fire",
        then=_held("account", "1001"),
    ),
    "town held": Fact(
        NOTICES,
        "hold:town:grants  PASS",
        "The town grants  PASS is held until Mar 20, 2026: fire",
        person={"city": "Grants Pass"},
        then=_held("town", "grants  PASS"),
    ),
    "another town held": Fact(frozenset(), "", "", then=_held("town", "Grants Pass")),
    "tag held": Fact(
        NOTICES,
        "hold:tag:fire-2026",
        "The tag fire-2026 is held until Mar 20, 2026: fire",
        tags=("Fire-2026", "vip"),
        then=_held("tag", "fire-2026"),
    ),
    "another tag held": Fact(frozenset(), "", "", tags=("vip",), then=_held("tag", "fire-2026")),
    "suppressed": Fact(EVERY, "suppressed", "do-not-", then=_suppress),
    "consent withdrawn": Fact(
        frozenset((kind, C.SMS) for kind in K if kind is not K.ONCALL),
        "suppressed",
        "The subscriber has opted out of texts.",
        then=lambda tx: tx.consents.withdraw(
            C.SMS, ADDRESS[C.SMS], source="sms", evidence="SM1", at=NOW - timedelta(days=1)
        ),
    ),
    "quiet hours": Fact(
        frozenset((kind, C.SMS) for kind in K if kind not in (K.REPLY, K.AUTO_REPLY, K.ONCALL)),
        "later",
        "Waits until",
        window=(time(10), time(20)),
    ),
    "expired": Fact(EVERY, "expired", "It could not be sent in time", expires=timedelta(0)),
    "run paused": Fact(EVERY, f"run:{RUN}", "Its run is paused", then=_run(RunState.PAUSED)),
    "run cancelled": Fact(
        EVERY, "cancelled", "The run was cancelled before it went out.", then=_run(RunState.CANCELLED)
    ),
    "run running": Fact(frozenset(), "", "", then=_run(RunState.RUNNING)),
    "sending off": Fact(EVERY, "send_mode", "Sending is switched off", mode="off"),
}


async def put(store: Store, fact: Fact) -> tuple[UUID, UUID]:
    """The account and its invoice as the mirror has them."""
    async with store.begin(1) as tx:
        record = subscriber_record("1001", tags=fact.tags, **(fact.person or {}))
        subscriber = (await tx.subscribers.upsert([record]))["1001"]
        await tx.invoices.upsert([invoice_record(subscriber, "INV-1", **(fact.bill or {}))])
        invoice = await tx.invoices.by_number("INV-1")
        if fact.then is not None:
            await fact.then(tx)
    assert invoice is not None
    return subscriber, invoice.id


def message(
    kind: NotificationKind, channel: Channel, subscriber: UUID, invoice: UUID, expires_at: datetime
) -> tuple[Delivery, Notification]:
    wanted = notification(
        kind=kind,
        subscriber_id=subscriber,
        invoice_id=invoice,
        run_id=RUN,
        created_at=NOW - timedelta(hours=1),
    )
    item = delivery(
        ADDRESS[channel],
        id=new_id(),
        notification_id=wanted.id,
        channel=channel,
        subscriber_id=subscriber,
        priority=Priority.NORMAL,
        expires_at=expires_at,
    )
    return item, wanted


@pytest.mark.parametrize("name", FACTS)
async def test_each_fact_stops_what_it_speaks_against_and_nothing_else(store: Store, name: str) -> None:
    fact = FACTS[name]
    subscriber, invoice = await put(store, fact)
    pairs = {
        (kind, channel): message(kind, channel, subscriber, invoice, NOW + fact.expires)
        for kind, channel in EVERY
    }
    quiet = QuietHours(fact.window, ZoneInfo("UTC")) if fact.window else None
    async with store.read(1) as tx:
        tx.now = NOW  # one in the morning where the subscriber lives
        truth = BillingTruth(lambda _: SendMode(fact.mode), lambda _: quiet)
        decisions = await truth.check(tx, list(pairs.values()))
    stopped = {
        key: decisions[item.id] for key, (item, _) in pairs.items() if _told(decisions[item.id]) is not None
    }
    assert set(stopped) == fact.stops
    for decision in stopped.values():
        outcome, reason, sentence = _told(decision) or ("", Reason.NONE, "")
        assert outcome == fact.outcome
        assert sentence.startswith(fact.sentence) or fact.sentence in sentence
        assert reason is not Reason.NONE or not isinstance(decision, Stop), "a stop says whose matter it is"


def _told(decision: Decision) -> tuple[str, Reason, str] | None:
    """What becomes of it, whose matter that is, and why; None: it goes."""
    if isinstance(decision, Stop):
        return decision.kind, decision.reason, decision.sentence
    if isinstance(decision, Wait):
        return decision.by, Reason.NONE, decision.sentence
    return ("later", Reason.NONE, decision.sentence) if isinstance(decision, Later) else None


async def test_what_a_payer_is_held_for_is_held_for_those_they_pay_for(store: Store) -> None:
    async with store.begin(1) as tx:
        payer = subscriber_record("1100", city="Grants Pass")
        ids = await tx.subscribers.upsert([payer, subscriber_record("1001", payer_account="1100")])
        await tx.notes.add_hold(hold_of("Grants Pass", scope="town"))
    wanted = notification(kind=K.INVOICE_ISSUED, subscriber_id=ids["1001"])
    item = delivery(ADDRESS[C.EMAIL], notification_id=wanted.id, subscriber_id=ids["1100"])
    async with store.read(1) as tx:
        (decision,) = (await BillingTruth(lambda _: SendMode("live")).check(tx, [(item, wanted)])).values()
    assert isinstance(decision, Wait)
    assert decision.by == "hold:town:Grants Pass"
