"""A run in people's hands: approved by a second person, paused, gone on with, retried, reconciled."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from bot.retention import RetentionDuty
from handlers import run_card
from handlers.contract import Services
from handlers.profile import Role, RunsProfile
from handlers.reply import File, Reply
from handlers.runs import Criteria, What
from handlers.surfaces.incident import IncidentSurface
from handlers.surfaces.run import SURFACE
from handlers.workflows import run as workflow
from handlers.workflows import run_ledger
from handlers.workflows.incidents import INCIDENT_SURFACE
from handlers.workflows.run_shown import load
from handlers.workflows.run_watch import LEAST, draw_again, judge, reconcile, stop, take_up
from notifier import runs as following
from notifier import tracking
from notifier.tracking import RUN_SURFACE, Report
from store.models import Channel, Confidence, Delivery, EventKind, Exclusion, InvoicePdf, Run, RunState, Stage
from store.types import new_id
from store.unit import Store
from tests.builders import billing_email, event, mobile
from tests.conftest import FakeClock
from tests.unit.handlers.cast import add, learn
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, golden, legal, said
from tests.unit.handlers.test_run import SINCE, notices_of, texting

ASK = "run issued since 2026-02-01"


def guarded(services: Services, approve_above: int | None, stop_at: int | None = 5) -> Services:
    desk = replace(services.tenants[1], runs=RunsProfile(approve_above, stop_at))
    return replace(services, tenants={**services.tenants, 1: desk})


def lead(services: Services, name: str = "U_LEAD") -> Agent:
    return agent_on(services, Role.LEAD, name)


async def people(store: Store, number: int, first: int = 3000) -> None:
    for n in range(first, first + number):
        await add(store, str(n), billing_email(f"p{n}@a.example"), invoices=(f"9{n}",))


async def only_run(store: Store) -> Run:
    async with store.read(1) as tx:
        (run,) = await tx.runs.latest()
    return run


async def card(services: Services, run: Run) -> Reply:
    drawn = await SURFACE.draw(services, 1, str(run.id))
    assert drawn is not None
    return legal(drawn)


async def deliveries(store: Store, run: Run) -> list[Delivery]:
    return [d for _, found in await notices_of(store, run) for d in found]


async def fail(store: Store, items: list[Delivery], cls: str = "mailbox_full") -> None:
    async with store.system() as tx:
        reports = [Report(1, event(d.id, EventKind.BOUNCED, attempt=d.attempt, cls=cls)) for d in items]
        await tracking.record(tx, reports)


async def test_a_large_run_waits_for_somebody_else_who_sees_what_is_odd(
    services: Services, store: Store
) -> None:
    services = guarded(services, 2)
    await people(store, 3)
    asker, other = lead(services), lead(services, "U_OTHER")
    preview = await asker.types(ASK)
    assert "somebody else has to approve it" in said(preview)
    assert "waits for somebody else" in said(await asker.presses(preview, "run.start"))
    run = await only_run(store)
    assert (run.state, await deliveries(store, run)) == (RunState.WAITING, [])
    shown = await card(services, run)
    golden("run_card_waits", shown)
    assert "somebody else with the role lead approves it" in said(await asker.presses(shown, "run.approve"))
    assert (await only_run(store)).state is RunState.WAITING
    press = other.press(shown, "run.approve")
    assert "Approved" in said(await other.run(press))
    run = await only_run(store)
    assert (run.state, run.approved_by) == (RunState.RUNNING, "U_OTHER")
    assert len(await deliveries(store, run)) == 3
    assert "approved" in said(await card(services, run))
    assert "not wait for approval any more" in said(
        await lead(services, "U_THIRD").presses(shown, "run.approve")
    )


async def test_an_audience_that_changed_much_is_shown_and_asked_about_again(
    services: Services, store: Store
) -> None:
    services = guarded(services, 2)
    await people(store, 3)
    await lead(services).presses(await lead(services).types(ASK), "run.start")
    await people(store, 30, first=5000)
    other, run = lead(services, "U_OTHER"), await only_run(store)
    shown = await card(services, run)
    assert "another one now" in said(await other.presses(shown, "run.approve"))
    again = await card(services, run)
    assert "*33 notices*" in said(again)
    assert "Approved" in said(await other.presses(again, "run.approve"))
    assert len(await deliveries(store, run)) == 33


async def test_a_desk_with_one_lead_switches_approval_off(services: Services, store: Store) -> None:
    services = guarded(services, None)
    await people(store, 3)
    assert "has begun" in said(await lead(services).presses(await lead(services).types(ASK), "run.start"))


async def test_pause_holds_resume_goes_on_and_the_card_says_who(
    services: Services, store: Store, clock: FakeClock
) -> None:
    await people(store, 4)
    boss = lead(services)
    await boss.presses(await boss.types(ASK), "run.start")
    run = await only_run(store)
    shown = await card(services, run)
    assert {"run.pause", "run.cancel"} <= set(buttons(shown))
    clock.advance(minutes=1)
    answer = await boss.presses(shown, "run.pause")
    assert "4 messages held" in said(answer)
    paused = await card(services, run)
    golden("run_card_paused", paused)
    assert {d.stage for d in await deliveries(store, run)} == {Stage.HELD}
    assert "paused already" in said(await lead(services, "U_OTHER").presses(shown, "run.pause"))
    clock.advance(minutes=9)
    assert "Going on with 4 messages" in said(await lead(services, "U_OTHER").presses(paused, "run.resume"))
    assert {d.stage for d in await deliveries(store, run)} == {Stage.QUEUED}
    going = said(await card(services, run))
    assert "paused Mar 2, 2026, 1:01:00 AM PST by <@U_LEAD> · resumed Mar 2, 2026" in going
    assert "<@U_OTHER>" in going
    assert "not paused" in said(await boss.presses(paused, "run.resume"))


async def test_a_pause_of_which_nothing_waits_says_so(services: Services, store: Store) -> None:
    """All were handed over while somebody reached for the button."""
    await people(store, 2)
    boss = lead(services)
    await boss.presses(await boss.types(ASK), "run.start")
    run = await only_run(store)
    before = await card(services, run)
    for item in await deliveries(store, run):
        await learn(store, event(item.id, EventKind.ACCEPTED, attempt=0))
    assert "0 messages" not in said(await boss.presses(before, "run.pause"))
    paused = await card(services, run)
    assert "Paused, with nothing left to send" in said(paused)
    assert "They wait until" not in said(paused)
    assert "0 messages" not in said(await boss.presses(paused, "run.resume"))


async def test_what_is_tried_again_later_has_its_own_time_on_the_card(
    services: Services, store: Store, clock: FakeClock
) -> None:
    await people(store, 2)
    await lead(services).presses(await lead(services).types(ASK), "run.start")
    run = await only_run(store)
    async with store.read(1) as tx:
        made = await load(tx, run.id)
    assert made is not None
    assert made.next_at == store.clock()
    assert await draw_again(services, 1) == 1
    later = replace(made, next_at=store.clock() + timedelta(minutes=8))
    assert "0 of 2, the rest from 1:08 AM on" in said(legal(run_card.card(later, services.profile(1))))


async def test_a_run_is_written_held_while_it_is_paused_and_gone_on_with_by_itself(
    services: Services, store: Store, clock: FakeClock
) -> None:
    """It met an error after its first batch: nobody has to press anything."""
    await people(store, 6)
    async with store.begin(1) as tx:
        run = await workflow.begin(tx, SINCE, "run:p", requested_by="U_LEAD", locale="en_US")

    def broken(size: int) -> None:
        raise OSError("the disk was full")

    with pytest.raises(OSError, match="full"):
        await workflow.carry_out(services, 1, run, broken, size=2)
    assert len(await deliveries(store, run)) == 2
    assert await take_up(services, 1) == 0, "somebody may be writing at it"
    boss = lead(services)
    await boss.presses(await card(services, run), "run.pause")
    clock.advance(seconds=31)
    assert await take_up(services, 1) == 1
    found = await deliveries(store, run)
    assert [d.stage for d in found] == [Stage.HELD] * 6
    assert (await only_run(store)).audience == 6
    await boss.presses(await card(services, run), "run.resume")
    assert {d.stage for d in await deliveries(store, run)} == {Stage.QUEUED}


async def test_a_run_that_cannot_be_written_keeps_no_other_one_waiting(
    services: Services, store: Store, clock: FakeClock
) -> None:
    await people(store, 2)
    lost = Criteria(What.INVOICE, SINCE.today, number="not on file any more")
    async with store.begin(1) as tx:
        await workflow.begin(tx, lost, "run:lost", requested_by="U_LEAD", locale="en_US")
        sound = await workflow.begin(tx, SINCE, "run:sound", requested_by="U_LEAD", locale="en_US")
    clock.advance(seconds=31)
    assert await take_up(services, 1) == 1
    assert len(await deliveries(store, sound)) == 2
    assert await take_up(services, 1) == 0, "tried again"
    async with store.read(1) as tx:
        (incident,) = await tx.incidents.unresolved()
    assert incident.title.startswith(
        "The notices of an invoice run cannot be written to the end: Invoice not"
    )
    assert incident.count == 1


async def test_a_run_of_which_too_many_fail_pauses_itself_once_and_tells(
    services: Services, store: Store, clock: FakeClock
) -> None:
    await people(store, LEAST + 8)
    boss = lead(services)
    await boss.presses(await boss.types(ASK), "run.start")
    run = await only_run(store)
    items = await deliveries(store, run)
    await fail(store, items[: LEAST - 1])
    assert await judge(services, 1) == 0, "a few are no reason"
    await fail(store, items[LEAST - 1 : LEAST])
    assert await judge(services, 1) == 1
    assert await judge(services, 1) == 0
    shown = await card(services, run)
    golden("run_card_stopped", shown)
    async with store.read(1) as tx:
        (incident,) = await tx.incidents.unresolved()
        assert await tx.posts.of(INCIDENT_SURFACE, str(incident.id))
    assert incident.title.startswith("An invoice run has paused itself")
    clock.advance(minutes=5)
    await boss.presses(shown, "run.resume")
    async with store.read(1) as tx:
        assert await tx.incidents.unresolved() == [], "nobody has to answer the alarm a second time"
        answered = await tx.incidents.get(incident.id)
    assert answered is not None
    assert (answered.resolved_by, answered.note) == (boss.user, "Resumed.")
    assert await judge(services, 1) == 0, "what failed before it went on is known"
    assert (await only_run(store)).state is RunState.RUNNING


async def test_a_run_that_a_person_has_ended_meanwhile_is_not_said_to_have_paused_itself(
    services: Services, store: Store
) -> None:
    await people(store, 2)
    boss = lead(services)
    await boss.presses(await boss.types(ASK), "run.start")
    run = await only_run(store)
    await boss.presses(await card(services, run), "run.cancel")
    assert not await stop(services, 1, run, "too many failed")
    async with store.read(1) as tx:
        assert await tx.incidents.unresolved() == []


async def test_a_run_whose_messages_are_archived_by_age_has_no_gap(
    services: Services, store: Store, clock: FakeClock
) -> None:
    """They are notices by then: nothing is missing, and nobody on call is told so."""
    await people(store, 3)
    await lead(services).presses(await lead(services).types(ASK), "run.start")
    run = await only_run(store)
    for item in await deliveries(store, run):
        await learn(store, event(item.id, EventKind.DELIVERED, attempt=0))
    await following.sweep(store)
    shown = await card(services, run)
    clock.advance(days=800)
    await RetentionDuty(store, [1], pause_s=0).sweep(1)
    assert await deliveries(store, run) == []
    assert await reconcile(services, 1, set()) == 0
    async with store.read(1) as tx:
        issued = Criteria.from_json(run.criteria)
        days = await tx.run_ledger.of_days(issued.since or issued.today, issued.today)
    assert (days.told, days.outside, days.gap) == (3, 0, 0)
    more = said(await lead(services).presses(shown, "run.more"))
    assert "missing" not in more
    assert "3 archived by age" in more


async def test_an_invoice_whose_first_notice_is_archived_by_age_is_told_already(
    services: Services, store: Store, clock: FakeClock
) -> None:
    """Its key is kept for seven years; the run of today neither tells it twice nor loses it."""
    await people(store, 2)
    boss = lead(services)
    await boss.presses(await boss.types(ASK), "run.start")
    first = await only_run(store)
    arrived, bounced = await deliveries(store, first)
    await learn(store, event(arrived.id, EventKind.DELIVERED, attempt=0))
    await fail(store, [bounced])
    await following.sweep(store)
    clock.advance(days=800)
    await RetentionDuty(store, [1], pause_s=0).sweep(1)
    await add(store, "3000", billing_email("new@a.example"))  # other content under its key
    await add(store, "4000", billing_email("p4000@a.example"), invoices=("94000",))
    await boss.presses(await boss.types(ASK), "run.start")
    async with store.read(1) as tx:
        again = (await tx.runs.latest())[0]
        made = await tx.run_ledger.of_run(again)
    assert again.id != first.id
    assert (made.issued, made.told, made.gap) == (3, 1, 0)
    assert made.left_out == {"already": 1, "failed": 1}


async def test_a_run_that_ends_with_a_gap_raises_one_incident(services: Services, store: Store) -> None:
    await people(store, 2)
    await lead(services).presses(await lead(services).types(ASK), "run.start")
    run, known = await only_run(store), set[UUID]()
    for item in await deliveries(store, run):
        await learn(store, event(item.id, EventKind.DELIVERED, attempt=0))
    await following.sweep(store)
    assert await reconcile(services, 1, known) == 0
    async with store.begin(1) as tx:  # as if a batch had been counted whose rows were lost
        await tx.runs.written(run.id, "99999", 1)
    assert await reconcile(services, 1, known) == 0, "looked at already"
    assert await reconcile(services, 1, set()) == 1
    assert "*1* missing" in said(await card(services, run)), "the card adds up to its audience, too"
    assert "= 3 invoices" in said(await card(services, run))
    more = await lead(services).presses(await card(services, run), "run.more")
    assert "*1 missing*: tell whoever runs this bot" in said(more)
    async with store.read(1) as tx:
        (incident,) = await tx.incidents.unresolved()
    assert incident.title == "The run Invoices issued since Feb 1, 2026 ended with a gap in its ledger"
    drawn = await IncidentSurface().draw(services, 1, str(incident.id))
    assert drawn is not None
    assert "1 message" not in said(drawn), "it counts itself"
    assert await reconcile(services, 1, set()) == 0, "raised already, by whoever looked before a restart"
    async with store.begin(1) as tx:
        assert await tx.incidents.resolve(incident.id, "U_LEAD", "looked into it")
    assert await reconcile(services, 1, set()) == 0, "a person has resolved it"


async def test_the_gap_of_a_run_is_found_however_many_runs_came_after_it(
    services: Services, store: Store
) -> None:
    """A run over a relay ends three days after it was sent: many single notices may have come meanwhile."""
    await people(store, 1)
    await lead(services).presses(await lead(services).types(ASK), "run.start")
    run, known = await only_run(store), set[UUID]()
    async with store.begin(1) as tx:
        await tx.runs.written(run.id, "99999", 1)
        for n in range(25):
            await tx.runs.create(replace(run, id=new_id(), settled_at=None), f"later:{n}")
    assert await reconcile(services, 1, known) == 0, "it is not over yet"
    for item in await deliveries(store, run):
        await learn(store, event(item.id, EventKind.DELIVERED, attempt=0))
    await following.sweep(store)
    assert await reconcile(services, 1, known) == 1


async def test_an_invoice_that_no_run_decided_about_is_a_gap_too(services: Services, store: Store) -> None:
    """The run's own sums are right: it never counted the one that it passed over."""
    await people(store, 2)
    async with store.begin(1) as tx:
        run = await workflow.begin(tx, SINCE, "run:p", requested_by="U_LEAD", locale="en_US")
        decided = await tx.invoices.by_number("93000")
        assert decided is not None
        await tx.runs.exclude([Exclusion(run.id, decided.subscriber_id, decided.id, "notices_off")])
        await tx.runs.written(run.id, "93001", 1)
        assert await tx.runs.ready(run.id)
    await following.sweep(store)
    async with store.read(1) as tx:
        (ledger, days, missing) = await run_ledger.of_run(tx, run)
    assert (ledger.gap, days.gap if days else None, missing) == (0, 1, ["93001"])
    assert await reconcile(services, 1, set()) == 1


async def test_a_run_that_mostly_succeeds_goes_on(services: Services, store: Store) -> None:
    services = guarded(services, None, 50)
    await people(store, 2 * LEAST)
    await lead(services).presses(await lead(services).types(ASK), "run.start")
    run = await only_run(store)
    items = await deliveries(store, run)
    for item in items[LEAST:]:
        await learn(store, event(item.id, attempt=0, confidence=Confidence.HANDED_TO_RELAY))
    await fail(store, items[:LEAST])
    assert await judge(services, 1) == 0, "half of them is not more than half"


async def test_only_the_failed_are_tried_again_once_by_mail_and_by_text(
    services: Services, store: Store
) -> None:
    services = texting(services)
    await people(store, 2)
    await add(store, "4001", mobile("+15415550101"), invoices=("94001",))
    await add(store, "4002", billing_email("gone@a.example"), invoices=("94002",))
    boss = lead(services)
    await boss.presses(await boss.types(ASK), "run.start")
    run = await only_run(store)
    by_address = {d.address: d for d in await deliveries(store, run)}
    await learn(store, event(by_address["p3001@a.example"].id, EventKind.DELIVERED, attempt=0))
    await fail(store, [by_address["p3000@a.example"]])
    await fail(store, [by_address["+15415550101"]], "sms_unreachable")
    await fail(store, [by_address["gone@a.example"]], "no_such_user")
    preview = await boss.presses(await card(services, run), "run.retry")
    golden("run_retry", preview)
    press = boss.press(preview, "run.again")
    assert "2 messages on the way" in said(await boss.run(press))
    assert "nothing went out twice" in said(await boss.run(press))
    assert "nobody for whom" in said(await boss.presses(await card(services, run), "run.retry"))
    assert "2 of them told since" in said(await card(services, run))
    text = by_address["+15415550101"]
    async with store.read(1) as tx:
        newest, *_ = (await tx.notifications.page(subscriber_ids=[text.subscriber_id or new_id()]))[0]
        (second,) = (await tx.deliveries.of_notifications([newest.id]))[newest.id]
    assert (second.channel, second.address) == (Channel.SMS, text.address)
    assert second.id != text.id
    assert newest.context["link"].startswith("https://in.cascade.example/i/")


async def test_more_shows_a_ledger_that_adds_up_and_its_file(services: Services, store: Store) -> None:
    await people(store, 2)
    await add(store, "4001", invoices=("94001",))
    boss = lead(services)
    await boss.presses(await boss.types(ASK), "run.start")
    run = await only_run(store)
    more = await boss.presses(await card(services, run), "run.more")
    golden("run_ledger", more)
    request = boss.press(more, "run.ledger")
    file, told = await boss.commands["run"].run(request, services)
    assert isinstance(file, File)
    assert file.content.decode().splitlines() == [
        "invoice,account,issued_on,standing,reason",
        "93000,3000,2026-02-01,under way,",
        "93001,3001,2026-02-01,under way,",
        "94001,4001,2026-02-01,left out,no address on file",
    ]
    assert isinstance(told, Reply)


async def test_what_is_odd_is_told_before_a_run_and_kept_for_its_approver(
    services: Services, store: Store
) -> None:
    services = guarded(services, 2)
    for n in range(11):
        await add(store, f"70{n:02}", billing_email("desk@town.example"), invoices=(f"A-{n:03}",))
    await add(store, "7100", billing_email("other@town.example"), invoices=("A007",))
    asker = lead(services)
    preview = await asker.types(ASK)
    for reply in (preview, None):
        text = said(reply or await card(services, await only_run(store)))
        assert "11 accounts have one and the same billing address" in text
        assert "Invoices A-007 (account 7007) and A007 (account 7100) have numbers" in text
        if reply is not None:
            await asker.presses(reply, "run.start")
    async with store.read(1) as tx:
        assert await tx.posts.of(RUN_SURFACE, str((await only_run(store)).id))


async def test_two_customers_with_one_drawing_are_told(services: Services, store: Store) -> None:
    await people(store, 2)
    async with store.begin(1) as tx:
        for number in ("93000", "93001"):
            invoice = await tx.invoices.by_number(number)
            assert invoice is not None
            await tx.pdfs.keep(InvoicePdf(invoice.id, invoice.revision, "same", b"%PDF"))
    text = said(await lead(services).types(ASK))
    assert "Invoices 93000 (account 3000) and 93001 (account 3001) have the very same PDF" in text
