"""Removing by age, class by class, on both databases, with the clock moved by years."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from bot.retention import RetentionDuty, due
from handlers.workflows.profile_card import notice_of, page_of_notices
from store.filed import Asked, Filed, LegalHold
from store.filings import FilingKind
from store.models import (
    Confidence,
    EventKind,
    EventSource,
    InvoiceLink,
    InvoicePdf,
    NotificationKind,
    Outcome,
    Reason,
    RouteTrial,
    Stage,
    TemplateSource,
)
from store.retention import Kept, before
from store.tables import (
    deliveries,
    events,
    idempotency,
    invoice_links,
    invoice_pdfs,
    notices,
    notifications,
    orphans,
    route_trials,
    template_sources,
)
from store.types import new_id
from store.unit import Store
from tests.builders import billing_email, event, invoice_record
from tests.conftest import FakeClock
from tests.unit.handlers import cast

ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
SAID = "550 5.1.1 nobody here by that name"


@pytest.fixture(autouse=True)
def _begins_today(clock: FakeClock) -> None:
    """Old rows are found by their ids, which are born in real time: business time is never behind it."""
    clock.now = datetime.now(UTC).replace(microsecond=0)


async def rows(store: Store, table: Any) -> int:
    async with store.system() as tx:
        return int((await tx.conn.execute(select(func.count()).select_from(table))).scalar_one())


async def bounced(store: Store, sid: UUID, key: str, address: str, number: str | None = None) -> UUID:
    """One message that its server refused for good; gives the notification's id."""
    message, (item,) = await cast.sent(
        store, key, sid, address, invoice=number, kind=NotificationKind.INVOICE_ISSUED
    )
    more: dict[str, Any] = {"cls": "no_such_user", "hard": True, "reason": Reason.RECIPIENT, "attempt": 0}
    await cast.learn(store, event(item.id, EventKind.BOUNCED, diagnostic=SAID, status="5.1.1", **more))
    return message.id


def sweeper(store: Store) -> RetentionDuty:
    return RetentionDuty(store, [1], pause_s=0)


async def filed(store: Store, sid: UUID) -> list[Filed]:
    async with store.read(1) as tx:
        return await tx.notices.filed(Asked(sid, None, *ALWAYS), 100)


async def test_after_thirteen_months_a_message_is_a_notice_with_every_answer_and_after_seven_years_gone(
    store: Store, clock: FakeClock
) -> None:
    sid = await cast.dana(store)
    message = await bounced(store, sid, "k1", "dana@inbox.example", "20001")
    (live,) = await filed(store, sid)
    clock.advance(days=390)
    await sweeper(store).sweep(1)
    assert await rows(store, notices) == 0
    clock.advance(days=10)
    assert (await due(store, 1))[Kept.MESSAGES].removable == 1
    removed = await sweeper(store).sweep(1)
    assert removed[Kept.MESSAGES] == 1
    live_tables = (notifications, deliveries, events)
    assert [await rows(store, table) for table in (*live_tables, notices)] == [0, 0, 0, 1]
    (kept,) = await filed(store, sid)
    # In the same shape, to the event: what told the story then tells it now.
    assert kept.archived_at == clock()
    assert kept.events == live.events
    assert (kept.delivery.outcome, kept.delivery.cls) == (Outcome.BOUNCED, "no_such_user")
    assert kept.delivery.diagnostic == SAID
    assert kept.notification.context == live.notification.context
    async with store.read(1) as tx:
        page, total = await page_of_notices(tx, subscriber_ids=[sid])
        again = await notice_of(tx, message)
    assert total == 1
    assert page[0].archived_at is not None
    assert again == page[0]
    # The key still stands: the same notice is not sent a second time.
    assert await rows(store, idempotency) == 1
    clock.advance(days=7 * 366)
    await sweeper(store).sweep(1)
    assert await rows(store, notices) == 0
    assert await rows(store, idempotency) == 0


async def test_what_is_not_settled_stays_however_old(store: Store, clock: FakeClock) -> None:
    sid = await cast.dana(store)
    await cast.sent(store, "k1", sid, "dana@inbox.example")
    clock.advance(days=500)
    assert (await sweeper(store).sweep(1))[Kept.MESSAGES] == 0
    assert await rows(store, deliveries) == 1


async def test_a_legal_hold_keeps_everything_of_its_account_and_of_nobody_else(
    store: Store, clock: FakeClock
) -> None:
    held, other = (
        await cast.dana(store),
        await cast.add(store, "1002", billing_email("leo@inbox.example"), invoices=("20002",)),
    )
    for sid, name, number in ((held, "dana", "20001"), (other, "leo", "20002")):
        await bounced(store, sid, f"k-{name}", f"{name}@inbox.example", number)
        async with store.begin(1) as tx:
            invoice = await tx.invoices.by_number(number)
            assert invoice is not None
            soon = clock() + timedelta(days=30)
            await tx.filings.add(new_id(), FilingKind.LOG, sid, "Something happened.")
            await tx.links.add([InvoiceLink(new_id(), f"code{name}", invoice.id, sid, soon, clock())])
            await tx.pdfs.keep(InvoicePdf(invoice.id, 1, "0" * 64, b"%PDF"))
            await tx.orphans.keep(
                source=EventSource.DSN,
                recipient=f"{name}@inbox.example",
                envelope_to="",
                summary="",
                raw=name.encode(),
            )
    async with store.begin(1) as tx:
        await tx.legal_holds.add(LegalHold(new_id(), held, "case 77", "U_LEAD", clock()))
        await tx.trials.add(RouteTrial(new_id(), "T1", "test@inbox.example", (), "U_LEAD", clock()))
    clock.advance(days=500)
    before_round = await due(store, 1)
    assert {kept: (d.removable, d.held) for kept, d in before_round.items() if d.removable or d.held} == {
        Kept.MESSAGES: (1, 1),
        Kept.LINKS: (1, 1),
        Kept.PDFS: (1, 1),
        Kept.REPORTS: (1, 1),
        Kept.TRIALS: (1, 0),
        Kept.FILINGS: (1, 1),
    }
    await sweeper(store).sweep(1)
    counted = [
        await rows(store, t) for t in (notifications, invoice_links, invoice_pdfs, orphans, route_trials)
    ]
    assert counted == [1, 1, 1, 1, 0]
    assert [f.archived_at for f in await filed(store, held)] == [None]
    # Seven years on it still stands; released, the next round takes it.
    clock.advance(days=8 * 366)
    await sweeper(store).sweep(1)
    assert await rows(store, notices) == 0
    assert await rows(store, notifications) == 1
    async with store.begin(1) as tx:
        assert await tx.legal_holds.release(held, "U_LEAD") == 1
    await sweeper(store).sweep(1)
    assert [await rows(store, t) for t in (notifications, events, orphans, invoice_links)] == [0, 0, 0, 0]


async def test_a_round_that_was_cut_off_goes_on_and_loses_nothing(store: Store, clock: FakeClock) -> None:
    sid = await cast.dana(store)
    for number in range(5):
        await bounced(store, sid, f"k{number}", f"d{number}@inbox.example")
    clock.advance(days=500)
    async with store.begin(1) as tx:
        first = await tx.retention.archive(limit=2)
    assert first.messages == 2
    with pytest.raises(ZeroDivisionError):
        await _killed(store, first.last)
    assert await rows(store, notices) == 2
    assert len(await filed(store, sid)) == 5
    assert (await sweeper(store).sweep(1))[Kept.MESSAGES] == 3
    assert len(await filed(store, sid)) == 5
    assert all(item.archived_at and item.events for item in await filed(store, sid))
    assert (await sweeper(store).sweep(1))[Kept.MESSAGES] == 0


async def _killed(store: Store, after: UUID | None) -> None:
    """In the middle of a batch."""
    async with store.begin(1) as tx:
        await tx.retention.archive(after, limit=2)
        raise ZeroDivisionError


async def test_a_report_that_comes_after_its_message_was_archived_changes_nothing(
    store: Store, clock: FakeClock
) -> None:
    sid = await cast.dana(store)
    _, (item,) = await cast.sent(store, "k1", sid, "dana@inbox.example")
    await cast.learn(store, event(item.id, attempt=0, confidence=Confidence.HANDED_TO_RELAY))
    clock.advance(hours=73)
    await cast.learn(store, event(item.id, EventKind.PRESUMED, attempt=0, key="p"))
    clock.advance(days=500)
    await sweeper(store).sweep(1)
    await cast.learn(store, event(item.id, EventKind.BOUNCED, attempt=0, key="late"))
    (kept,) = await filed(store, sid)
    assert [e.kind for e in kept.events] == [EventKind.ACCEPTED, EventKind.PRESUMED]
    assert kept.delivery.stage is Stage.CLOSED
    assert await rows(store, events) == 0


async def test_template_sources_stay_as_long_as_anything_refers_to_them(
    store: Store, clock: FakeClock
) -> None:
    sid = await cast.dana(store)
    async with store.begin(1) as tx:
        await tx.invoices.upsert([invoice_record(sid, "20001")])
        await tx.notifications.keep_template(TemplateSource("f" * 64, "old", "en", "", "", ""))
    await bounced(store, sid, "k1", "dana@inbox.example")
    clock.advance(days=7 * 366)  # the message is archived in this round, and not past its seven years by then
    async with store.begin(1) as tx:
        await tx.retention.archive()
        assert await tx.retention.remove(Kept.TEMPLATES) == 1
    assert await rows(store, template_sources) == 1


@pytest.mark.parametrize(
    ("now", "kept", "expected"),
    [
        (datetime(2026, 3, 31, 9, tzinfo=UTC), Kept.MESSAGES, datetime(2025, 2, 28, 9, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), Kept.NOTICES, datetime(2021, 2, 28, tzinfo=UTC)),
        (datetime(2026, 1, 15, tzinfo=UTC), Kept.MESSAGES, datetime(2024, 12, 15, tzinfo=UTC)),
        (datetime(2026, 4, 1, tzinfo=UTC), Kept.REPORTS, datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_terms_are_calendar_months_and_days(now: datetime, kept: Kept, expected: datetime) -> None:
    assert before(now, kept) == expected
