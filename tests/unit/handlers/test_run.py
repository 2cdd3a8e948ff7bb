"""/isp run at the desk: everybody is told once or left out with a reason, to the row."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from billing.truth import BillingTruth, SendMode
from handlers.contract import Services
from handlers.profile import Role, SmsProfile
from handlers.reply import FieldErrors, UserError
from handlers.runs import REASONS, Criteria, What, notice_key, read_criteria
from handlers.surfaces.run import SURFACE
from handlers.workflows import rehearsal
from handlers.workflows import run as workflow
from notifier import runs as following
from notifier.channels import SmsRoute
from notifier.runs import RUN_SURFACE
from notifier.truth import Go
from store.models import (
    Channel,
    Confidence,
    ContactRole,
    Delivery,
    EventKind,
    InvoiceStatus,
    Notification,
    NotificationKind,
    Outcome,
    Priority,
    Run,
    RunState,
    Stage,
    SubscriberStatus,
)
from store.unit import Store
from tests.builders import billing_email, event, hold_of, invoice_record, mobile, usd
from tests.conftest import FakeClock
from tests.unit.handlers.cast import add, learn, sent, set_invoice, suppress
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, golden, legal, profile, said

TODAY = date(2026, 3, 2)
SINCE = Criteria(What.ISSUED, TODAY, date(2026, 2, 1))
OVERDUE = Criteria(What.OVERDUE, TODAY)
SMS = SmsProfile(
    SmsRoute("twilio", "+15415550100", "AC1", ("secret",)), segment_price=Decimal("0.0079"), fallback=True
)


def texting(services: Services, **more: Any) -> Services:
    desk = profile(**({"sms": SMS, "public_url": "https://in.cascade.example"} | more))
    return replace(services, tenants={**services.tenants, 1: desk})


@pytest.fixture
def lead(services: Services) -> Agent:
    return agent_on(services, Role.LEAD, "U_LEAD")


async def everybody(store: Store) -> None:
    """One account for every way to be told, and one for every reason to be left out."""
    dana = billing_email("dana@inbox.example")
    await add(store, "1001", dana, mobile("+15415550101"), invoices=("20001",), name="Dana Whitfield")
    points = [billing_email(a) for a in ("books@cedar.example", "owner@cedar.example")]
    await add(store, "1100", *points, name="Cedar Mill LLC")
    await add(store, "1103", name="Cedar Mill Branch", payer_account="1100", invoices=("20103",))
    await add(store, "1110", mobile("+15415550110"), invoices=("20110",), name="Only Phone", region="OR")
    await add(store, "2001", invoices=("20201",), name="No Address")
    broken = billing_email("x y@a.example", problem="There is a space inside the address.")
    await add(store, "2002", broken, invoices=("20202",))
    await add(store, "2003", billing_email("dead@a.example"), invoices=("20203",))
    await suppress(store, "dead@a.example")
    await add(store, "2004", mobile("+15415550104"), invoices=("20204",))
    await add(store, "2005", billing_email("off@a.example"), invoices=("20205",), invoice_notices=False)
    gone = {"status": SubscriberStatus.ARCHIVED}
    await add(store, "2006", billing_email("gone@a.example"), invoices=("20206",), **gone)
    numbers = ("20207", "20208", "20209", "20210")
    await add(store, "2007", billing_email("fine@a.example"), invoices=numbers)
    await set_invoice(store, "20207", status=InvoiceStatus.PAID, paid=usd("49.90"))
    await set_invoice(store, "20208", status=InvoiceStatus.VOID)
    await set_invoice(store, "20209", status=InvoiceStatus.DRAFT)
    await set_invoice(store, "20210", status=InvoiceStatus.UNCOLLECTIBLE)
    told = await add(store, "2008", billing_email("told@a.example"), invoices=("20211",))
    async with store.begin(1) as tx:
        billed = await tx.invoices.by_number("20211")
        assert billed is not None
    kind = NotificationKind.INVOICE_ISSUED
    await sent(store, notice_key(billed), told, "told@a.example", invoice="20211", kind=kind)
    async with store.begin(1) as tx:
        await tx.consents.withdraw(Channel.SMS, "+15415550104", source="text", evidence="SM1")


async def run_of(services: Services, criteria: Criteria, step: str = "run:p1") -> Run:
    async with services.store.begin(1) as tx:
        run = await workflow.begin(tx, criteria, step, requested_by="U_LEAD", locale="en_US")
    await workflow.carry_out(services, 1, run)
    return run


async def notices_of(store: Store, run: Run) -> list[tuple[Notification, list[Delivery]]]:
    async with store.read(1) as tx:
        invoices = await tx.invoices.issued_page(date(2026, 1, 1), TODAY)
        pages = [await tx.notifications.page(invoice_id=i.id) for i in invoices]
        mine = [n for found, _ in pages for n in found if n.run_id == run.id]
        deliveries = await tx.deliveries.of_notifications([n.id for n in mine])
    return [(n, deliveries[n.id]) for n in mine]


async def test_everybody_is_told_or_left_out_with_one_reason(services: Services, store: Store) -> None:
    await everybody(store)
    made = await rehearsal.rehearse(texting(services), 1, SINCE)
    assert made.left_out == {
        "no_address": 1,
        "unusable": 1,
        "suppressed": 1,
        "opted_out": 1,
        "notices_off": 1,
        "archived": 1,
        "paid": 1,
        "void": 1,
        "draft": 1,
        "written_off": 1,
        "already": 1,
    }
    assert set(made.left_out) <= set(REASONS)
    assert (made.by_mail, made.mails, made.by_text, made.with_fallback) == (2, 3, 1, 1)
    assert (made.audience, made.notices, made.excluded) == (14, 3, 11)
    assert (made.segments, made.fallback_segments, made.waiting) == (1, 1, 1)
    assert made.examples["no_address"] == ["2001"]


async def test_a_run_writes_what_its_rehearsal_said_to_the_row(services: Services, store: Store) -> None:
    await everybody(store)
    desk = texting(services)
    made = await rehearsal.rehearse(desk, 1, SINCE)
    run = await run_of(desk, SINCE)
    found = {n.context["invoice"]["number"]: (n, d) for n, d in await notices_of(store, run)}
    async with store.read(1) as tx:
        assert await tx.runs.left_out(run.id) == made.left_out
        current = await tx.runs.get(run.id)
    assert current is not None
    assert current.ready_at is not None
    assert sorted(found) == ["20001", "20103", "20110"]
    mail, deliveries = found["20001"]
    assert (mail.kind, mail.priority, mail.attach_pdf) == (
        NotificationKind.INVOICE_ISSUED,
        Priority.BULK,
        True,
    )
    assert [(d.channel, d.address) for d in deliveries] == [(Channel.EMAIL, "dana@inbox.example")]
    assert [(f.channel, f.address, f.route) for f in mail.fallback] == [
        (Channel.SMS, "+15415550101", "twilio")
    ]
    assert mail.context["link"].startswith("https://in.cascade.example/i/")
    branch, deliveries = found["20103"]
    assert {d.address for d in deliveries} == {"books@cedar.example", "owner@cedar.example"}
    assert branch.context["subscriber"] == {"name": "Cedar Mill LLC", "account": "1103 (Cedar Mill Branch)"}
    _, (text,) = found["20110"]
    assert (text.channel, text.address, text.route) == (Channel.SMS, "+15415550110", "twilio")


async def test_a_rehearsal_promises_no_notice_that_the_last_look_would_cancel(
    services: Services, store: Store
) -> None:
    """An account in credit gets none, one that owes nothing no reminder; the last look agrees on each."""
    for number, balance in (("1", "-0.01"), ("2", "0.00"), ("3", "0.01")):
        await add(
            store,
            f"500{number}",
            billing_email(f"a{number}@a.example"),
            invoices=(f"5000{number}",),
            balance=usd(balance),
        )
        await set_invoice(store, f"5000{number}", due_on=TODAY - timedelta(days=3))
    for criteria, left in ((SINCE, {"in_credit": 1}), (OVERDUE, {"in_credit": 1, "owes_nothing": 1})):
        made = await rehearsal.rehearse(services, 1, criteria)
        assert (made.left_out, made.notices) == (left, 3 - sum(left.values())), criteria.what
        assert set(left) <= set(REASONS)
        run = await run_of(services, criteria, f"run:{criteria.what}")
        written = [(items[0], n) for n, items in await notices_of(store, run)]
        async with store.begin(1) as tx:
            looked = await BillingTruth(lambda _: SendMode("live")).check(tx, written)
        assert len(looked) == made.notices
        assert all(isinstance(decision, Go) for decision in looked.values()), criteria.what


async def test_those_whose_notice_did_not_arrive_are_named_apart(services: Services, store: Store) -> None:
    """No run has been there: the words must not speak of one."""
    for n in ("1", "2"):
        sid = await add(store, f"500{n}", billing_email(f"a{n}@a.example"), invoices=(f"5000{n}",))
        async with store.read(1) as tx:
            billed = await tx.invoices.by_number(f"5000{n}")
        assert billed is not None
        kind = NotificationKind.INVOICE_ISSUED
        _, (item,) = await sent(
            store, notice_key(billed), sid, f"a{n}@a.example", invoice=f"5000{n}", kind=kind
        )
        await learn(store, event(item.id, attempt=0))
    await learn(store, event(item.id, EventKind.BOUNCED, attempt=0, cls="mailbox_full"))
    made = await rehearsal.rehearse(texting(services), 1, SINCE)
    assert made.left_out == {"already": 1, "failed": 1}
    assert made.examples["failed"] == ["5002"]
    assert "run" not in REASONS["already"]
    assert "did not arrive" in REASONS["failed"]
    preview = said(
        await agent_on(texting(services), Role.LEAD, "U_LEAD").types("run issued since 2026-02-01")
    )
    assert "Nobody is left whom a run could tell. `/isp failures` helps" in preview


async def test_a_second_run_tells_nobody_twice(services: Services, store: Store) -> None:
    await everybody(store)
    desk = texting(services)
    await run_of(desk, SINCE)
    again = await rehearsal.rehearse(desk, 1, SINCE)
    assert again.notices == 0
    assert again.left_out["already"] == 4
    run = await run_of(desk, SINCE, "run:p2")
    assert await notices_of(store, run) == []


async def test_a_run_that_was_cut_off_goes_on_and_its_ledger_adds_up(
    services: Services, store: Store
) -> None:
    await everybody(store)
    desk = texting(services)
    seen: list[int] = []

    class CutOff(Exception):
        pass

    def cut(size: int) -> None:
        seen.append(size)
        if len(seen) == 2:
            raise CutOff

    async with store.begin(1) as tx:
        run = await workflow.begin(tx, SINCE, "run:p", requested_by="U_LEAD", locale="en_US")
    with pytest.raises(CutOff):
        await workflow.carry_out(desk, 1, run, cut, size=4)
    async with store.read(1) as tx:
        half = await tx.runs.get(run.id)
        assert half is not None
        assert half.ready_at is None
        before = sum((await tx.runs.left_out(run.id)).values())
    # What changed meanwhile does not move those that were decided already.
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(Channel.EMAIL, "dana@inbox.example", reason="x", actor="bounce")
    await workflow.carry_out(desk, 1, run, size=4)
    async with store.read(1) as tx:
        left_out = await tx.runs.left_out(run.id)
    assert before < sum(left_out.values())
    assert len(await notices_of(store, run)) + sum(left_out.values()) == 14


async def test_two_runs_at_once_tell_each_of_them_once(services: Services, store: Store) -> None:
    await everybody(store)
    desk = texting(services)
    one, two = await asyncio.gather(run_of(desk, SINCE, "run:a"), run_of(desk, SINCE, "run:b"))
    told = len(await notices_of(store, one)) + len(await notices_of(store, two))
    assert told == 3
    async with store.read(1) as tx:
        for run in (one, two):
            left = sum((await tx.runs.left_out(run.id)).values())
            assert left + len(await notices_of(store, run)) == 14


async def test_overdue_and_reminders_wait_for_a_promise_where_a_new_invoice_does_not(
    services: Services, store: Store
) -> None:
    await add(store, "1260", billing_email("sam@inbox.example"), invoices=("20260",), name="Sam Ortiz")
    async with store.begin(1) as tx:
        await tx.notes.add_hold(hold_of("1260"))
    assert (await rehearsal.rehearse(services, 1, OVERDUE)).left_out == {"held": 1}
    assert (await rehearsal.rehearse(services, 1, SINCE)).notices == 1
    assert (await rehearsal.rehearse(services, 1, replace(OVERDUE, today=date(2026, 3, 21)))).notices == 1
    await set_invoice(store, "20260", due_on=TODAY + timedelta(days=5))
    assert (await rehearsal.rehearse(services, 1, OVERDUE)).audience == 0
    assert (await rehearsal.rehearse(services, 1, Criteria(What.REMINDERS, TODAY))).left_out == {"held": 1}


async def test_each_kind_of_notice_is_told_once_for_what_was_billed(services: Services, store: Store) -> None:
    await add(store, "1001", billing_email("dana@inbox.example"), invoices=("20001",))
    await run_of(services, SINCE)
    assert (await rehearsal.rehearse(services, 1, OVERDUE)).notices == 1, "another kind"
    await run_of(services, OVERDUE, "run:2")
    assert (await rehearsal.rehearse(services, 1, OVERDUE)).left_out == {"already": 1}
    part = {"status": InvoiceStatus.PARTIALLY_PAID, "paid": usd("20.00")}
    await set_invoice(store, "20001", **part)
    assert (await rehearsal.rehearse(services, 1, SINCE)).left_out == {"already": 1}, "a payment is no reason"
    assert (await rehearsal.rehearse(services, 1, OVERDUE)).left_out == {"already": 1}
    await set_invoice(store, "20001", total=usd("59.90"))
    assert (await rehearsal.rehearse(services, 1, OVERDUE)).notices == 1, "another amount"


async def test_who_has_no_mail_is_left_out_by_a_desk_without_texts(services: Services, store: Store) -> None:
    await add(store, "1110", mobile("+15415550110"), invoices=("20110",))
    (left,) = await rehearsal.who(services, 1, SINCE, "no_address", offset=0, limit=5)
    assert "this desk sends no texts" in left.detail
    found = await rehearsal.rehearse(texting(services, public_url=""), 1, SINCE)
    assert found.left_out == {"no_address": 1}, "a text without a link says nothing"


async def test_dead_mail_goes_by_text_only_where_texts_may_stand_in(services: Services, store: Store) -> None:
    await add(store, "1042", billing_email("x@gmial.com"), mobile("+15415550142"), invoices=("20042",))
    await suppress(store, "x@gmial.com")
    assert (await rehearsal.rehearse(texting(services), 1, SINCE)).by_text == 1
    strict = texting(services, sms=replace(SMS, fallback=False))
    assert (await rehearsal.rehearse(strict, 1, SINCE)).left_out == {"suppressed": 1}


async def test_a_billing_number_is_texted_before_a_service_number(services: Services, store: Store) -> None:
    billing = replace(mobile("+15415550122"), role=ContactRole.BILLING)
    await add(store, "1110", mobile("+15415550110"), billing, invoices=("20110",))
    run = await run_of(texting(services), SINCE)
    ((_, (text,)),) = await notices_of(store, run)
    assert text.address == "+15415550122"


@pytest.mark.parametrize(
    ("typed", "criteria"),
    [
        ("issued since 2026-02-01", SINCE),
        ("since 2026-02-01", SINCE),
        ("Issued from 2026-02-01.", SINCE),
        ("issued since yesterday", replace(SINCE, since=date(2026, 3, 1))),
        ("overdue", OVERDUE),
        ("Past due", OVERDUE),
        ("reminders", Criteria(What.REMINDERS, TODAY)),
        ("invoice 20042", Criteria(What.INVOICE, TODAY, number="20042")),
        ("inv #20042", Criteria(What.INVOICE, TODAY, number="20042")),
    ],
)
def test_what_people_type_is_read(typed: str, criteria: Criteria) -> None:
    found = read_criteria(typed, TODAY, "/isp")
    assert found == criteria
    assert Criteria.from_json(found.as_json()) == found


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Which invoices?"),
        ("everybody", "Which invoices?"),
        ("invoice", "Which invoices?"),
        ("issued since march", "I cannot read that date."),
        ("issued since 2026-03-03", "That day has not come yet."),
    ],
)
def test_what_cannot_be_read_is_asked_back(typed: str, sentence: str) -> None:
    with pytest.raises(UserError) as raised:
        read_criteria(typed, TODAY, "/isp")
    assert raised.value.sentence == sentence
    assert raised.value.next_step


async def test_the_rehearsal_shows_whom_it_reaches_and_what_it_costs(
    services: Services, store: Store
) -> None:
    await everybody(store)
    lead = agent_on(texting(services), Role.LEAD, "U_LEAD")
    preview = await lead.types("run issued since 2026-02-01")
    golden("run_rehearsal", preview)
    assert buttons(preview)["run.start"]["n"] == 3
    who = await lead.presses(preview, "run.who:no_address")
    assert "`2001`" in said(who)
    assert "invoice 20201" in said(who)
    async with store.read(1) as tx:
        assert await tx.runs.latest() == [], "a rehearsal writes nothing"


async def test_one_press_starts_one_run_with_a_card_and_an_audit_row(lead: Agent, store: Store) -> None:
    await everybody(store)
    preview = await lead.types("run issued since 2026-02-01")
    press = lead.press(preview, "run.start")
    assert "has begun" in said(await lead.run(press))
    assert "nobody is told twice" in said(await lead.run(press))
    async with store.read(1) as tx:
        (run,) = await tx.runs.latest()
        (post,) = await tx.posts.of(RUN_SURFACE, str(run.id))
    assert post.channel == "C_SUPPORT"
    assert len(await notices_of(store, run)) == 2
    assert run.requested_by == "U_LEAD"


async def test_a_press_on_an_old_preview_asks_again_when_more_would_be_told(
    lead: Agent, store: Store
) -> None:
    await add(store, "1001", billing_email("dana@inbox.example"), invoices=("20001",))
    preview = await lead.types("run issued since 2026-02-01")
    await add(store, "1002", billing_email("leo@inbox.example"), invoices=("20002",))
    again = await lead.presses(preview, "run.start")
    assert "Nothing went out" in said(again)
    assert "has begun" in said(await lead.presses(again, "run.start"))


async def draw(services: Services, run_id: UUID) -> str:
    reply = await SURFACE.draw(services, 1, str(run_id))
    assert reply is not None
    return said(legal(reply))


async def test_the_card_follows_the_run_until_it_is_settled(
    services: Services, store: Store, clock: FakeClock
) -> None:
    for n in range(6):
        await add(store, f"300{n}", billing_email(f"p{n}@a.example"), invoices=(f"3000{n}",))
    await add(store, "3009", invoices=("30009",))
    run = await run_of(services, SINCE)
    text = await draw(services, run.id)
    assert "0 of 6" in text
    assert "1* left out (1 no address on file)" in text
    assert "= 7 invoices" in text
    items = [d for _, (d,) in await notices_of(store, run)]
    by_server, by_relay = Confidence.ACCEPTED_BY_SERVER, Confidence.HANDED_TO_RELAY
    await learn(store, event(items[0].id, attempt=0, confidence=by_server))
    await learn(store, event(items[1].id, attempt=0, confidence=by_relay))
    for item in items[2:4]:
        bounce = event(item.id, EventKind.BOUNCED, attempt=0, cls="no_such_user", hard=True)
        await learn(store, bounce)
    assert "4 of 6" in await draw(services, run.id)
    for item in items[4:]:
        await learn(store, event(item.id, attempt=0, confidence=by_server))
    text = await draw(services, run.id)
    assert "All sent. 1 may still bounce" in text
    assert "2 × the mailbox does not exist" in text
    reply = await SURFACE.draw(services, 1, str(run.id))
    assert reply is not None
    assert "run.cancel" not in buttons(reply), "nothing is left to call back"
    clock.advance(hours=73)
    for item in [items[0], items[1], *items[4:]]:
        await learn(store, event(item.id, EventKind.PRESUMED, attempt=0, confidence=Confidence.PRESUMED))
    assert await following.sweep(store) == 1
    reply = await SURFACE.draw(services, 1, str(run.id))
    assert reply is not None
    golden("run_card_settled", reply)
    assert "Settled" in said(reply)


async def test_cancel_calls_back_what_waits_and_says_how_many(lead: Agent, store: Store) -> None:
    for n in range(3):
        await add(store, f"300{n}", billing_email(f"p{n}@a.example"), invoices=(f"3000{n}",))
    await lead.presses(await lead.types("run issued since 2026-02-01"), "run.start")
    async with store.read(1) as tx:
        (run,) = await tx.runs.latest()
    first, *rest = [d for _, (d,) in await notices_of(store, run)]
    await learn(store, event(first.id, attempt=0, confidence=Confidence.HANDED_TO_RELAY))
    card = await SURFACE.draw(lead.services, 1, str(run.id))
    assert card is not None
    assert "2 messages called back" in said(await lead.presses(card, "run.cancel"))
    assert "nothing left to cancel" in said(await lead.presses(card, "run.cancel"))
    for _, (d,) in await notices_of(store, run):
        expected = (Stage.AWAITING, Outcome.SENT) if d.id == first.id else (Stage.CLOSED, Outcome.CANCELLED)
        assert (d.stage, d.outcome) == expected
    async with store.read(1) as tx:
        current = await tx.runs.get(run.id)
    assert current is not None
    assert current.state is RunState.CANCELLED
    assert "still followed" in await draw(lead.services, run.id)
    assert len(rest) == 2


async def test_the_card_s_list_names_who_was_left_out_and_why(lead: Agent, store: Store) -> None:
    await everybody(store)
    await lead.presses(await lead.types("run issued since 2026-02-01"), "run.start")
    async with store.read(1) as tx:
        (run,) = await tx.runs.latest()
    card = await SURFACE.draw(lead.services, 1, str(run.id))
    assert card is not None
    listed = await lead.presses(card, "run.left")
    assert "`2001` No A. · invoice 20201 · no address on file" in said(listed)
    only = await lead.presses(listed, "run.left:archived")
    assert "`2006`" in said(only)
    assert "`2001`" not in said(only)


async def test_the_dialog_asks_and_refuses_what_makes_no_sense(lead: Agent) -> None:
    opened = await lead.answer(lead.request("run"))
    assert opened.modal is not None
    assert opened.done

    async def submit(**inputs: str) -> FieldErrors | None:
        return (await lead.answer(lead.request("run", "asked", inputs=inputs))).errors

    assert await submit(what="issued", since="2026-02-01") is None
    assert await submit(what="overdue", since="2026-02-01") is None
    wrong = await submit(what="invoice", since="2026-02-01", number="")
    assert wrong is not None
    assert list(wrong.errors) == ["number"]
    late = await submit(what="issued", since="2027-02-01")
    assert late is not None
    assert list(late.errors) == ["since"]
    assert "nobody would be told" in said(
        await lead.run(lead.request("run", "asked", inputs={"what": "overdue", "since": "2026-02-01"}))
    )


async def test_only_leads_may_run(services: Services) -> None:
    spec = agent_on(services).commands["run"].spec
    assert spec.needs("") is Role.LEAD
    assert spec.needs("start") is Role.LEAD
    assert spec.needs("cancel") is Role.LEAD
    assert spec.needs("left") is Role.VIEWER


async def test_an_unknown_invoice_is_named(lead: Agent) -> None:
    with pytest.raises(UserError, match="no invoice 9"):
        await lead.types("run invoice 9")


async def test_an_invoice_named_by_number_is_told_alone(lead: Agent, store: Store) -> None:
    sid = await add(store, "1001", billing_email("dana@inbox.example"), invoices=("20001",))
    async with store.begin(1) as tx:
        await tx.invoices.upsert([invoice_record(sid, "20002")])
    await lead.presses(await lead.types("run invoice 20002"), "run.start")
    async with store.read(1) as tx:
        (run,) = await tx.runs.latest()
    ((notification, _),) = await notices_of(store, run)
    assert notification.context["invoice"]["number"] == "20002"
