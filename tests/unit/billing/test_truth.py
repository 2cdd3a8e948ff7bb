"""The last look before a message leaves, from the mirror's facts on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from billing.holds import end
from billing.truth import SEND_MODE, BillingTruth, SendMode
from notifier.quiet import QuietHours
from notifier.truth import Decision, Go, Later, Stop, Wait
from store.models import (
    Channel,
    Delivery,
    EventKind,
    Hold,
    InvoiceStatus,
    Notification,
    NotificationKind,
    Priority,
    Reason,
    Stage,
    SubscriberStatus,
)
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, delivery, hold_of, invoice_record, notification, subscriber_record, usd

DANA = "dana@inbox.example"
LIVE = SendMode("live")
EVERY_KIND = list(NotificationKind)
NOTICES = (NotificationKind.INVOICE_ISSUED, NotificationKind.REMINDER, NotificationKind.OVERDUE)
Pair = tuple[Delivery, Notification]


async def about(store: Store, kind: NotificationKind, bill: dict[str, Any], person: dict[str, Any]) -> Pair:
    """A delivery of a message about one invoice of one account, both as the mirror has them now."""
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert([subscriber_record("1001", **person)])
        await tx.invoices.upsert([invoice_record(ids["1001"], "INV-1", **bill)])
        invoice = await tx.invoices.by_number("INV-1")
    assert invoice is not None
    wanted = notification(kind=kind, subscriber_id=ids["1001"], invoice_id=invoice.id)
    return delivery(DANA, notification_id=wanted.id), wanted


def to(address: str = DANA, **more: Any) -> Pair:
    """A delivery of a message about nothing."""
    wanted = notification()
    return delivery(address, notification_id=wanted.id, **more), wanted


async def ask(
    store: Store, pairs: Sequence[Pair], mode: SendMode = LIVE, tenant: int = 1
) -> dict[UUID, Decision]:
    async with store.read(tenant) as tx:
        return dict(await BillingTruth(lambda _: mode).check(tx, pairs))


async def decide(store: Store, pair: Pair, mode: SendMode = LIVE, tenant: int = 1) -> Decision:
    return (await ask(store, [pair], mode, tenant))[pair[0].id]


async def suppress(store: Store, address: str, channel: Channel = Channel.EMAIL) -> None:
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(channel, address, reason="no_such_user", actor="bounce")


async def test_what_nothing_speaks_against_goes(store: Store) -> None:
    assert await decide(store, to()) == Go()


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_a_voided_invoice_is_sent_in_no_way(store: Store, kind: NotificationKind) -> None:
    pair = await about(store, kind, {"status": InvoiceStatus.VOID}, {})
    assert await decide(store, pair) == Stop(EventKind.CANCELLED, Reason.STALE, "The invoice was voided.")


@pytest.mark.parametrize(
    ("bill", "person", "sentence"),
    [
        ({"status": InvoiceStatus.PAID, "paid": usd("49.90")}, {}, "The invoice is paid."),
        ({}, {"status": SubscriberStatus.ARCHIVED}, "The account is archived."),
        ({}, {"invoice_notices": False}, "Invoice notices are switched off for this account."),
    ],
    ids=["paid", "archived", "notices off"],
)
@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_a_notice_is_cancelled_where_somebody_who_asks_for_a_copy_gets_it(
    store: Store, kind: NotificationKind, bill: dict[str, Any], person: dict[str, Any], sentence: str
) -> None:
    decision = await decide(store, await about(store, kind, bill, person))
    if kind in NOTICES:
        assert decision == Stop(EventKind.CANCELLED, Reason.STALE, sentence)
    else:
        assert decision == Go()


@pytest.mark.parametrize(
    ("status", "paid"), [(InvoiceStatus.OPEN, "0.00"), (InvoiceStatus.PARTIALLY_PAID, "10.00")]
)
async def test_the_notice_of_an_invoice_still_owed_goes(
    store: Store, status: InvoiceStatus, paid: str
) -> None:
    pair = await about(store, NotificationKind.INVOICE_ISSUED, {"status": status, "paid": usd(paid)}, {})
    assert await decide(store, pair) == Go()


async def test_a_payment_that_came_in_since_the_last_look_counts(store: Store) -> None:
    pair = await about(store, NotificationKind.INVOICE_ISSUED, {}, {})
    assert await decide(store, pair) == Go()
    paid = {"status": InvoiceStatus.PAID, "paid": usd("49.90")}
    await about(store, NotificationKind.INVOICE_ISSUED, paid, {})
    assert isinstance(await decide(store, pair), Stop)


async def test_an_invoice_that_is_no_longer_in_the_mirror_does_not_stop_its_message(store: Store) -> None:
    wanted = notification(kind=NotificationKind.RESEND, invoice_id=new_id(), subscriber_id=new_id())
    assert await decide(store, (delivery(DANA, notification_id=wanted.id), wanted)) == Go()


async def test_a_suppressed_address_is_the_recipients_matter(store: Store) -> None:
    await suppress(store, DANA)
    decision = await decide(store, to())
    assert isinstance(decision, Stop)
    assert (decision.kind, decision.reason) == (EventKind.SUPPRESSED, Reason.RECIPIENT)


async def test_a_released_address_gets_mail_again(store: Store) -> None:
    await suppress(store, DANA)
    async with store.begin(1) as tx:
        await tx.suppressions.release(Channel.EMAIL, DANA, actor="U_LEAD")
    assert await decide(store, to()) == Go()


async def test_a_suppression_is_of_one_channel_one_address_and_one_tenant(store: Store) -> None:
    await suppress(store, "other@inbox.example")
    await suppress(store, DANA, Channel.SMS)
    assert await decide(store, to()) == Go()
    await suppress(store, DANA)
    assert await decide(store, to(tenant=2), tenant=2) == Go()


@pytest.mark.parametrize(
    ("left", "goes"), [(timedelta(microseconds=1), True), (timedelta(), False), (timedelta(-1), False)]
)
async def test_what_has_expired_is_out_of_date(store: Store, left: timedelta, goes: bool) -> None:
    decision = await decide(store, to(expires_at=NOW + left))
    if goes:
        assert decision == Go()
    else:
        assert isinstance(decision, Stop)
        assert (decision.kind, decision.reason) == (EventKind.EXPIRED, Reason.STALE)


async def test_with_sending_off_everything_waits_for_the_mode_to_change(store: Store) -> None:
    decision = await decide(store, to(), SendMode("off"))
    assert decision == Wait("Sending is switched off (send_mode: off).", SEND_MODE)


@pytest.mark.parametrize(
    ("address", "goes"), [(DANA, True), ("Dana@INBOX.example", True), ("leo@inbox.example", False)]
)
async def test_with_only_to_the_named_addresses_get_mail(store: Store, address: str, goes: bool) -> None:
    decision = await decide(store, to(address), SendMode("only_to", frozenset({DANA})))
    if goes:
        assert decision == Go()
    else:
        assert decision == Wait("Only test addresses get mail now (send_mode: only_to).", SEND_MODE)


async def test_live_with_addresses_named_sends_to_everybody(store: Store) -> None:
    assert await decide(store, to(), SendMode("live", frozenset({"leo@inbox.example"}))) == Go()


@pytest.mark.parametrize(
    ("why", "kind"),
    [
        ({"bill": {"status": InvoiceStatus.VOID}}, EventKind.CANCELLED),
        ({"suppressed": True}, EventKind.SUPPRESSED),
        ({"suppressed": True, "expired": True}, EventKind.EXPIRED),
    ],
    ids=["void", "suppressed", "expired"],
)
async def test_what_must_never_go_is_not_kept_waiting_for_the_mode(
    store: Store, why: dict[str, Any], kind: EventKind
) -> None:
    item, wanted = await about(store, NotificationKind.RESEND, why.get("bill", {}), {})
    if why.get("suppressed"):
        await suppress(store, DANA)
    if why.get("expired"):
        item = delivery(DANA, notification_id=wanted.id, expires_at=NOW)
    decision = await decide(store, (item, wanted), SendMode("off"))
    assert isinstance(decision, Stop)
    assert decision.kind is kind


async def test_every_delivery_of_a_batch_gets_its_own_decision(store: Store) -> None:
    void = await about(store, NotificationKind.RESEND, {"status": InvoiceStatus.VOID}, {})
    dead, fine, stale = to("dead@inbox.example"), to("fine@inbox.example"), to(expires_at=NOW)
    await suppress(store, "dead@inbox.example")
    decisions = await ask(store, [void, dead, fine, stale])
    assert [getattr(decisions[item.id], "kind", None) for item, _ in (void, dead, fine, stale)] == [
        EventKind.CANCELLED,
        EventKind.SUPPRESSED,
        None,
        EventKind.EXPIRED,
    ]
    assert await ask(store, []) == {}


async def test_the_mode_is_the_tenants_own(store: Store) -> None:
    modes = {1: SendMode("off"), 2: LIVE}
    truth = BillingTruth(modes.__getitem__)
    for tenant, kind in ((1, Wait), (2, Go)):
        item, wanted = to(tenant=tenant)
        async with store.read(tenant) as tx:
            assert isinstance((await truth.check(tx, [(item, wanted)]))[item.id], kind)


QUIET = QuietHours((time(9), time(20)), ZoneInfo("America/New_York"))
NUMBER = "+15415550142"
NIGHT_IN_OREGON = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
"""6:00 there, 9:00 in New York."""


async def texted(store: Store, kind: NotificationKind, priority: Priority, **more: Any) -> Decision:
    """The decision about a text to an Oregonian at 6:00 in the morning, of a provider in New York."""
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert([subscriber_record("1001", region="OR", postal_code="97701")])
    wanted = notification(kind=kind, subscriber_id=ids["1001"])
    item = delivery(
        str(more.get("address", NUMBER)),
        **{
            "notification_id": wanted.id,
            "channel": Channel.SMS,
            "priority": priority,
            "subscriber_id": ids["1001"],
            "expires_at": NIGHT_IN_OREGON + timedelta(days=3),
        }
        | {name: value for name, value in more.items() if name != "address"},
    )
    async with store.read(1) as tx:
        tx.now = NIGHT_IN_OREGON
        return (await BillingTruth(lambda _: LIVE, lambda _: QUIET).check(tx, [(item, wanted)]))[item.id]


@pytest.mark.parametrize("priority", [Priority.BULK, Priority.NORMAL])
async def test_a_text_that_nobody_waits_for_comes_by_day_where_its_reader_lives(
    store: Store, priority: Priority
) -> None:
    decision = await texted(store, NotificationKind.INVOICE_ISSUED, priority)
    assert decision == Later(datetime(2026, 3, 2, 17, 0, tzinfo=UTC), "Waits until 9:00 AM their time")


@pytest.mark.parametrize(
    ("kind", "priority", "more"),
    [
        (NotificationKind.RESEND, Priority.URGENT, {}),
        (NotificationKind.AUTO_REPLY, Priority.NORMAL, {}),
        (NotificationKind.REPLY, Priority.NORMAL, {}),
        (NotificationKind.ONCALL, Priority.NORMAL, {}),
        (NotificationKind.INVOICE_ISSUED, Priority.BULK, {"channel": Channel.EMAIL, "address": DANA}),
        (NotificationKind.INVOICE_ISSUED, Priority.BULK, {"address": "+12125550142", "subscriber_id": None}),
    ],
    ids=["asked for", "answer", "agent's words", "on call", "mail", "by day in New York"],
)
async def test_answers_calls_and_mails_know_no_quiet_hours(
    store: Store, kind: NotificationKind, priority: Priority, more: dict[str, Any]
) -> None:
    assert await texted(store, kind, priority, **more) == Go()


HELD_KINDS = (NotificationKind.REMINDER, NotificationKind.OVERDUE)


async def hold(store: Store, account: str = "1001") -> Hold:
    held = hold_of(account)
    async with store.begin(1) as tx:
        await tx.notes.add_hold(held)
    return held


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_while_an_account_is_held_reminders_wait_and_nothing_else_does(
    store: Store, kind: NotificationKind
) -> None:
    await hold(store)
    decision = await decide(store, await about(store, kind, {}, {}))
    if kind in HELD_KINDS:
        assert decision == Wait("Account 1001 is held until Mar 20, 2026: promise to pay", "hold:1001")
    else:
        assert not isinstance(decision, Wait)


async def test_a_held_payer_is_not_reminded_of_what_they_pay_for_others(store: Store) -> None:
    await hold(store, "1100")
    pair = await about(store, NotificationKind.OVERDUE, {}, {"payer_account": "1100"})
    decision = await decide(store, pair)
    assert isinstance(decision, Wait)
    assert decision.by == "hold:1100"


async def test_somebody_elses_hold_and_another_providers_hold_nobody_here(store: Store) -> None:
    await hold(store, "1002")
    async with store.begin(2) as tx:
        await tx.notes.add_hold(hold_of("1001"))
    assert await decide(store, await about(store, NotificationKind.REMINDER, {}, {})) == Go()


async def test_when_the_last_hold_of_an_account_ends_what_waited_for_it_goes(store: Store) -> None:
    first, second = await hold(store), await hold(store)
    await hold(store, "1002")
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert([subscriber_record("1001")])
        waiting = [
            delivery(
                f"{account}@inbox.example",
                subscriber_id=ids["1001"],
                stage=Stage.HELD,
                stage_reason="held",
                stage_by=f"hold:{account}",
            )
            for account in ("1001", "1002")
        ]
        await tx.deliveries.add(waiting)
    for ended, stage in ((first, Stage.HELD), (second, Stage.QUEUED)):
        async with store.begin(1) as tx:
            assert await end(tx, ended, "U_AGENT")
            assert not await end(tx, ended, "U_LEAD")
            found = await tx.deliveries.get(waiting[0].id)
            other = await tx.deliveries.get(waiting[1].id)
        assert found is not None
        assert other is not None
        assert (found.stage, other.stage) == (stage, Stage.HELD)
