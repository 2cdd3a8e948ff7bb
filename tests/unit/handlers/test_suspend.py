"""/isp suspend and unsuspend on both databases: shown whole, refused kindly, intended once, told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.acts import ACT_SURFACE, ActExecutor
from billing.port import AccountFacts, Unavailable
from billing.systems.local import LocalSystem
from handlers.contract import Services
from handlers.profile import Role, SmsProfile
from handlers.reply import Modal, Reply, UserError
from handlers.surfaces.act import SURFACE
from handlers.workflows import suspension
from handlers.workflows.act_notices import ActNotices
from notifier.channels import SmsRoute
from store.models import (
    ActKind,
    ActState,
    BillingAct,
    Channel,
    Confidence,
    EventKind,
    Facts,
    NoteLevel,
    PackageStatus,
    SubscriberStatus,
)
from tests.builders import (
    NOW,
    billing_email,
    event,
    hold_of,
    mobile,
    note_of,
    package_record,
    service_record,
    subscriber_record,
    usd,
)
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import HOSTILE, Agent, buttons, golden, legal, profile, said, signed

SMS = SmsProfile(SmsRoute("twilio", "+15415550100", "AC" + "0" * 32, ("token",), "http://127.0.0.1:1"))


@pytest.fixture
def services(services: Services) -> Services:
    return replace(services, tenants={1: profile(sms=SMS), 2: profile(id=2)})


@pytest.fixture
def lead(services: Services) -> Agent:
    return agent_on(services, Role.LEAD, "U_LEAD")


async def _late(services: Services, account: str = "1333", **more: Any) -> UUID:
    """Owes 49.90 since two weeks, one package with two services."""
    points = (billing_email("pat@inbox.example"), mobile("+15415550177"))
    sid = await cast.add(services.store, account, *points, invoices=(f"2{account}",), name="Pat Late", **more)
    lines = (service_record("Line"), service_record("Router"))
    async with services.store.begin(1) as tx:
        await tx.packages.upsert([package_record(sid, f"P-{account}", services=lines)])
    return sid


def executor(services: Services) -> ActExecutor:
    return ActExecutor(
        store=services.store,
        systems=services.billing,
        outbox=services.outbox,
        announce=ActNotices(services.tenants),
        name="w1",
    )


async def _acts(services: Services, sid: UUID) -> list[BillingAct]:
    async with services.store.read(1) as tx:
        return await tx.acts.of_subscriber(sid)


async def _card(services: Services, act: BillingAct) -> Reply:
    reply = await SURFACE.draw(services, 1, str(act.id))
    assert reply is not None
    return legal(reply)


def _initial(modal: Modal) -> dict[str, str]:
    """What is sent when the dialog is sent as it opens."""
    found = {}
    for block in modal.blocks:
        element: Mapping[str, Any] = block.get("element", {})
        if "initial_option" in element:
            found[block["block_id"]] = element["initial_option"]["value"]
        elif block["type"] == "input":
            found[block["block_id"]] = str(element.get("initial_value", ""))
    return found


async def _submit(agent: Agent, preview: Reply, word: str = "suspend", **inputs: str) -> Reply:
    answer = await agent.answer(agent.press(preview, f"{word}.choose"))
    assert answer.modal is not None
    carried = json.loads(json.dumps(dict(answer.modal.carry or {})))
    sent = agent.request(word, "chosen", value=carried, inputs=_initial(answer.modal) | inputs)
    assert (await agent.answer(sent)).errors is None
    return await agent.run(sent)


async def test_the_preview_shows_everything_that_speaks_for_and_against(lead: Agent) -> None:
    sid = await _late(lead.services)
    async with lead.services.store.begin(1) as tx:
        await tx.notes.add(note_of(sid, level=NoteLevel.WARN, text="Calls after six."))
    preview = await lead.types("suspend 1333")
    golden("suspend_preview", preview)
    text = said(preview)
    assert "*$49.90*" in text
    assert "15 days overdue" in text
    assert "No proof that an invoice arrived" in text
    assert "none of these went from here to what is on file" in text
    assert ":warning: *Calls after six.* — <@U_AGENT>" in text
    assert await _acts(lead.services, sid) == []


@pytest.mark.parametrize(
    ("fields", "expected", "warned"),
    [
        ({"kind": EventKind.DELIVERED, "confidence": Confidence.ACCEPTED_BY_SERVER}, "Accepted by", False),
        ({"confidence": Confidence.HANDED_TO_RELAY, "remote": "visp"}, "but no bounce either", True),
        (
            {"kind": EventKind.BOUNCED, "cls": "no_such_user", "hard": True},
            "The invoices did not arrive",
            True,
        ),
    ],
)
async def test_whether_the_invoice_provably_arrived_is_told_in_words(
    lead: Agent, fields: dict[str, Any], expected: str, warned: bool
) -> None:
    sid = await _late(lead.services)
    _, (delivery,) = await cast.sent(lead.services.store, "k", sid, "pat@inbox.example", invoice="21333")
    under_way = await lead.types("suspend 1333")
    assert "one is still on its way" in said(under_way)
    await cast.learn(lead.services.store, event(delivery.id, **fields))
    preview = await lead.types("suspend 1333")
    assert expected in said(preview)
    assert ("suspend.choose" in buttons(preview)) is True
    style = next(
        e.get("style")
        for b in signed(preview.blocks)
        if b["type"] == "actions"
        for e in b["elements"]
        if e["action_id"] == "suspend.choose"
    )
    assert style == (None if warned else "primary")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"balance": usd("0.00")}, "its balance is zero"),
        ({"balance": usd("-5.00")}, "is in credit"),
        ({"status": SubscriberStatus.ARCHIVED}, "is archived"),
        ({"status": SubscriberStatus.PROSPECT}, "is a prospect"),
    ],
)
async def test_what_may_not_be_suspended_is_said_kindly_and_has_no_button(
    lead: Agent, more: dict[str, Any], sentence: str
) -> None:
    await _late(lead.services, **more)
    preview = await lead.types("suspend 1333")
    assert sentence in said(preview)
    assert sentence in preview.text
    assert "suspend.choose" not in buttons(preview)


async def _forbid(services: Services, sid: UUID, how: str) -> None:
    async with services.store.begin(1) as tx:
        if how == "hold":
            await tx.notes.add_hold(hold_of("1333"))
        elif how == "block":
            await tx.notes.add(note_of(sid, level=NoteLevel.BLOCK, text="Medical line"))
        elif how == "paid":
            await tx.subscribers.upsert([subscriber_record("1333", balance=usd("10.00"))])
        else:
            (package,) = await tx.packages.of_subscriber(sid)
            facts = Facts("local", tx.now)
            await tx.packages.change_status(package.id, package.status, PackageStatus(how), facts)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("hold", "is held until Mar 20 (promise to pay)"),
        ("block", "A note blocks this account: Medical line"),
        ("suspended", "Fiber 500 is suspended already"),
        ("hibernated", "Fiber 500 is hibernated"),
    ],
)
async def test_a_hold_a_block_and_the_package_itself_refuse(lead: Agent, how: str, sentence: str) -> None:
    sid = await _late(lead.services)
    await _forbid(lead.services, sid, how)
    preview = await lead.types("suspend 1333")
    assert sentence in said(preview)
    assert "suspend.choose" not in buttons(preview)


@pytest.mark.parametrize("how", ["hold", "block", "paid", "suspended"])
async def test_what_happens_between_preview_and_press_refuses_at_the_press_and_at_the_submission(
    lead: Agent, how: str
) -> None:
    sid = await _late(lead.services)
    preview = await lead.types("suspend 1333")
    answer = await lead.answer(lead.press(preview, "suspend.choose"))
    assert answer.modal is not None
    await _forbid(lead.services, sid, how)
    with pytest.raises(UserError):
        await lead.answer(lead.press(preview, "suspend.choose"))
    value = dict(answer.modal.carry or {})
    with pytest.raises(UserError):
        await lead.run(lead.request("suspend", "chosen", value=value, inputs=_initial(answer.modal)))
    assert await _acts(lead.services, sid) == []


async def test_a_submission_is_intended_once_done_verified_and_told_by_mail_and_text(lead: Agent) -> None:
    services = lead.services
    sid = await _late(services)
    said_to_asker = await _submit(lead, await lead.types("suspend 1333"), detail="third month")
    assert "Suspending Fiber 500" in said(said_to_asker)
    (act,) = await _acts(services, sid)
    assert (act.actor, act.reason, act.tell) == ("U_LEAD", "Unpaid balance: third month", True)
    before = await _card(services, act)
    golden("act_card_intended", before)
    assert "About to be done" in said(before)

    await executor(services).work()
    (act,) = await _acts(services, sid)
    assert act.state is ActState.DONE
    card = await _card(services, act)
    golden("act_card_done", card)
    text = said(card)
    assert "Suspended, read back from billing" in text
    assert "Pat L." in text
    assert "pat@inbox.example" not in text
    assert "p•••@inbox.example" in text
    assert "•••• 0177" in text
    assert set(buttons(card)) == {"unsuspend.undo", "find.open", "messages.timeline"}
    async with services.store.read(1) as tx:
        told = (await tx.deliveries.of_notifications([act.id]))[act.id]
        (package,) = await tx.packages.of_subscriber(sid)
        rows = {row.action for row in await tx.audit.of("account:1333")}
    routes = {(d.channel, d.address, d.route) for d in told}
    assert routes == {
        (Channel.EMAIL, "pat@inbox.example", "visp"),
        (Channel.SMS, "+15415550177", "twilio"),
    }
    assert {package.status, *(s.status for s in package.services)} == {PackageStatus.SUSPENDED}
    assert rows == {"subscriber.look", "billing.suspend", "billing.suspend.done"}


async def test_the_card_follows_what_becomes_of_the_notice(lead: Agent) -> None:
    services = lead.services
    sid = await _late(services)
    await _submit(lead, await lead.types("suspend 1333"))
    await executor(services).work()
    (act,) = await _acts(services, sid)
    async with services.store.read(1) as tx:
        (post,) = await tx.posts.of(ACT_SURFACE, str(act.id))
        mail = next(
            d for d in (await tx.deliveries.of_notifications([act.id]))[act.id] if d.channel is Channel.EMAIL
        )
    await cast.learn(services.store, event(mail.id, confidence=Confidence.ACCEPTED_BY_SERVER))
    async with services.store.read(1) as tx:
        (after,) = await tx.posts.of(ACT_SURFACE, str(act.id))
    assert after.wanted > post.wanted
    assert "Accepted by inbox.example's server" in said(await _card(services, act))


async def test_a_submission_run_again_after_a_crash_intends_nothing_new(lead: Agent) -> None:
    services = lead.services
    sid = await _late(services)
    preview = await lead.types("suspend 1333")
    modal = (await lead.answer(lead.press(preview, "suspend.choose"))).modal
    assert modal is not None
    sent = lead.request("suspend", "chosen", value=dict(modal.carry or {}), inputs=_initial(modal))
    await lead.run(sent)
    await executor(services).work()
    await lead.run(sent)  # it is suspended by now: still no complaint, and nothing new
    assert len(await _acts(services, sid)) == 1


async def test_while_one_act_is_under_way_there_is_no_second(lead: Agent) -> None:
    sid = await _late(lead.services)
    preview = await lead.types("suspend 1333")
    await _submit(lead, preview)
    with pytest.raises(UserError, match="Something is being done with Fiber 500 already"):
        await _submit(lead, preview)
    assert "suspend.choose" not in buttons(await lead.types("suspend 1333"))
    assert len(await _acts(lead.services, sid)) == 1


async def test_undo_takes_it_back_and_both_cards_tell(lead: Agent) -> None:
    services = lead.services
    sid = await _late(services)
    await _submit(lead, await lead.types("suspend 1333"))
    await executor(services).work()
    (act,) = await _acts(services, sid)
    await lead.presses(await _card(services, act), "unsuspend.undo")
    await executor(services).work()
    back, first = await _acts(services, sid)
    assert (back.kind, back.state) == (ActKind.UNSUSPEND, ActState.DONE)
    old = await _card(services, first)
    assert "Taken back since, by <@U_LEAD>" in said(old)
    assert "unsuspend.undo" not in buttons(old)
    assert "Active again, read back from billing" in said(await _card(services, back))
    with pytest.raises(UserError):
        await lead.run(lead.request("unsuspend", "undo", value={"a": str(first.id)}))


async def test_an_old_undo_does_not_take_back_a_later_suspension(lead: Agent) -> None:
    """The card of the first one is still on somebody's screen."""
    services = lead.services
    sid = await _late(services)
    await _submit(lead, await lead.types("suspend 1333"))
    await executor(services).work()
    (first,) = await _acts(services, sid)
    old = await _card(services, first)
    await lead.presses(old, "unsuspend.undo")
    await executor(services).work()
    await _submit(lead, await lead.types("suspend 1333"))
    await executor(services).work()
    with pytest.raises(UserError, match="has been taken back or followed by another one"):
        await lead.presses(old, "unsuspend.undo")
    assert len(await _acts(services, sid)) == 3


async def test_an_undo_run_again_after_a_crash_says_what_it_said(lead: Agent) -> None:
    services = lead.services
    sid = await _late(services)
    await _submit(lead, await lead.types("suspend 1333"))
    await executor(services).work()
    (act,) = await _acts(services, sid)
    press = lead.press(await _card(services, act), "unsuspend.undo")
    assert said(await lead.run(press)) == said(await lead.run(press))
    assert len(await _acts(services, sid)) == 2


async def test_of_two_who_suspend_at_once_one_is_told_that_it_is_being_done(lead: Agent) -> None:
    services = lead.services
    sid = await _late(services)
    other = agent_on(services, Role.LEAD, "U_OTHER")
    previews = [(who, await who.types("suspend 1333")) for who in (lead, other)]
    told = await asyncio.gather(*(_submit(w, p) for w, p in previews), return_exceptions=True)
    assert [type(t) for t in told].count(UserError) == 1
    assert len(await _acts(services, sid)) == 1


async def test_a_refused_act_says_why_on_its_card(lead: Agent) -> None:
    services = lead.services
    sid = await _late(services)
    await _submit(lead, await lead.types("suspend 1333"))
    await _forbid(services, sid, "paid")
    await executor(services).work()
    (act,) = await _acts(services, sid)
    card = await _card(services, act)
    golden("act_card_refused", card)
    assert "A payment on account 1333 came in since you looked" in said(card)
    assert set(buttons(card)) == {"find.open"}


async def test_an_act_in_doubt_says_what_to_do_and_can_be_looked_at_again(lead: Agent) -> None:
    services = lead.services
    sid = await _late(services)
    await _submit(lead, await lead.types("suspend 1333"))
    async with services.store.system() as tx:
        (taken,) = await tx.acts.claim(worker="w", lease_s=30)
        await tx.acts.put_off(taken, ActState.IN_DOUBT, result="Billing did not answer.", wait_s=None)
    (act,) = await _acts(services, sid)
    card = await _card(services, act)
    golden("act_card_in_doubt", card)
    assert "Look at the package in billing before doing anything else" in said(card)
    again = await lead.presses(card, "suspend.check")
    assert "Looking at it again" in said(again)
    await executor(services).work()
    assert "Suspended, read back" in said(await _card(services, act))
    with pytest.raises(UserError, match="not in doubt any more"):
        await lead.presses(card, "suspend.check")


async def test_somebody_without_any_address_is_to_be_called(lead: Agent) -> None:
    services = lead.services
    sid = await cast.add(services.store, "1333", invoices=("21333",), name="Pat Late")
    async with services.store.begin(1) as tx:
        await tx.packages.upsert([package_record(sid)])
    await _submit(lead, await lead.types("suspend 1333"))
    await executor(services).work()
    (act,) = await _acts(services, sid)
    assert "Nobody could be told" in said(await _card(services, act))


async def test_nobody_is_told_when_the_lead_says_so(lead: Agent) -> None:
    sid = await _late(lead.services)
    await _submit(lead, await lead.types("suspend 1333"), tell="no")
    await executor(lead.services).work()
    (act,) = await _acts(lead.services, sid)
    card = await _card(lead.services, act)
    assert "not told, as asked" in said(card)
    assert "messages.timeline" not in buttons(card)


async def test_an_import_of_yesterday_asks_whether_payments_were_looked_for(
    lead: Agent, clock: FakeClock
) -> None:
    await _late(lead.services, facts=Facts("csv", NOW))
    clock.advance(timedelta(hours=25))
    preview = await lead.types("suspend 1333")
    assert "Payments made elsewhere since then are not known here" in said(preview)
    modal = (await lead.answer(lead.press(preview, "suspend.choose"))).modal
    assert modal is not None
    inputs = _initial(modal)
    sent = lead.request("suspend", "chosen", value=dict(modal.carry or {}), inputs=inputs)
    refused = (await lead.answer(sent)).errors
    assert refused is not None
    assert "Look for payments" in refused.errors["checked"]
    looked = replace(sent, inputs=inputs | {"checked": "checked"})
    assert (await lead.answer(looked)).errors is None
    await lead.run(looked)
    async with lead.services.store.read(1) as tx:
        (row,) = [r for r in await tx.audit.of("account:1333") if r.action == "billing.suspend"]
    assert row.detail["checked_payments"] is True
    assert "reason" not in row.detail, "what somebody wrote is personal, and can be erased"
    assert "Unpaid balance" in str(row.personal)


async def _suspended(services: Services, balance: str) -> UUID:
    sid = await _late(services, balance=usd(balance))
    await _forbid(services, sid, "suspended")
    return sid


async def test_an_agent_unsuspends_whoever_has_paid(services: Services) -> None:
    agent = agent_on(services)
    sid = await _suspended(services, "0.00")
    preview = await agent.types("unsuspend 1333")
    golden("unsuspend_preview", preview)
    await _submit(agent, preview, "unsuspend")
    await executor(services).work()
    (act,) = await _acts(services, sid)
    assert (act.state, act.reason) == (ActState.DONE, "paid")
    async with services.store.read(1) as tx:
        (package,) = await tx.packages.of_subscriber(sid)
    assert {package.status, *(s.status for s in package.services)} == {PackageStatus.ACTIVE}


async def test_with_money_owed_it_is_a_leads_decision(services: Services, lead: Agent) -> None:
    agent = agent_on(services)
    sid = await _suspended(services, "49.90")
    preview = await agent.types("unsuspend 1333")
    assert "Only a lead may unsuspend it now" in said(preview)
    assert "unsuspend.choose" not in buttons(preview)
    forced = await lead.types("unsuspend 1333")
    assert "*$49.90 is still owed.*" in said(forced)
    modal = (await agent.answer(agent.press(forced, "unsuspend.choose"))).modal
    assert modal is not None
    with pytest.raises(UserError, match="a lead's decision"):
        await agent.run(
            agent.request("unsuspend", "chosen", value=dict(modal.carry or {}), inputs=_initial(modal))
        )
    await _submit(lead, forced, "unsuspend", reason="pays on Friday")
    (act,) = await _acts(services, sid)
    assert (act.actor, act.reason) == ("U_LEAD", "pays on Friday")


def test_suspending_is_a_leads_and_so_is_undoing(services: Services) -> None:
    specs = {spec.name: spec for spec in services.specs}
    assert {specs["suspend"].needs(a) for a in ("", "open", "choose", "chosen", "check")} == {Role.LEAD}
    assert specs["unsuspend"].needs("undo") is Role.LEAD
    assert specs["unsuspend"].needs("") is Role.AGENT


async def test_the_find_card_offers_acts_to_whom_they_belong(services: Services, lead: Agent) -> None:
    await _late(services)
    agent = agent_on(services)
    assert "suspend.open" in buttons(await lead.types("find 1333"))
    assert {"hold.ask", "note.ask"} <= set(buttons(await agent.types("find 1333")))
    assert "suspend.open" not in buttons(await agent.types("find 1333"))
    preview = await lead.presses(await lead.types("find 1333"), "suspend.open")
    assert "Suspend account 1333?" in said(preview)


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - {"empty", "blank"}))
async def test_hostile_names_and_reasons_stay_words(lead: Agent, name: str) -> None:
    services = lead.services
    text = HOSTILE[name].replace("\x00", "").encode("utf-8", "replace").decode()
    sid = await _late(services, account="1333")
    async with services.store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("1333", name=text[:3000] or "x")])
        await tx.packages.upsert([package_record(sid, "P-1333", name=text[:500] or "x")])
        await tx.notes.add(note_of(sid, text=text[:400], level=NoteLevel.WARN))
    await _submit(lead, await lead.types("suspend 1333"), detail=text[:150])
    (act,) = await _acts(services, sid)
    await _card(services, act)
    assert act.state is ActState.INTENDED


async def test_a_dialog_opens_in_time_though_billing_is_slow_and_the_submission_asks_again(
    lead: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _late(lead.services)
    preview = await lead.types("suspend 1333")
    monkeypatch.setattr(suspension, "WITHIN_S", 0.01)
    never = asyncio.Event()

    class Slow(LocalSystem):
        asked = 0

        async def refresh(self, subscriber_id: UUID) -> AccountFacts | Unavailable:
            Slow.asked += 1
            if Slow.asked == 1:
                await never.wait()
            return await super().refresh(subscriber_id)

    slow = agent_on(replace(lead.services, billing={1: Slow(lead.services.store, 1)}), Role.LEAD, "U_LEAD")
    await _submit(slow, preview)
    assert Slow.asked == 2, "once for the dialog, and once more before anything is intended"
