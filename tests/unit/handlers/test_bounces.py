"""/isp bounces: what belongs to no message is seen, matched by hand, dismissed; and never stops mail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from handlers.commands.bounces.view import WHY, raw
from handlers.contract import Services
from handlers.profile import Role
from handlers.reply import Home, To, UserError
from handlers.unmatched import PAGE
from notifier.dsn import Received, receive
from store.models import (
    Channel,
    Confidence,
    Delivery,
    EventKind,
    EventSource,
    Orphan,
    Outcome,
    Unmatched,
)
from store.types import new_id
from store.unit import Store
from tests.builders import KEYRING, NOW, billing_email, event
from tests.conftest import FakeClock
from tests.contracts.reports import block, dsn
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import HOSTILE, Agent, buttons, golden, legal_modal, obeyed, profile, said

DANA = "dana@inbox.example"
FIXED = "bounces@mail.cascade.example"
DEAD = "550 5.1.1 <dana@inbox.example>: User unknown"


def report(address: str = DANA, **more: Any) -> bytes:
    return dsn(block(address, diagnostic=more.pop("diagnostic", DEAD)), **more)


async def comes(store: Store, raw_: bytes, to: str = FIXED) -> Received:
    return await receive(store, KEYRING, raw=raw_, envelope_to=to, tenant=1)


async def mailed(store: Store) -> Delivery:
    """Dana's invoice, handed to the relay."""
    sid = await cast.dana(store)
    _, (d,) = await cast.sent(store, "k", sid, DANA, invoice="20001")
    accepted = event(d.id, EventKind.ACCEPTED, attempt=0, confidence=Confidence.HANDED_TO_RELAY)
    await cast.learn(store, accepted)
    return d


async def now(store: Store, d: Delivery) -> Delivery:
    async with store.read(1) as tx:
        found = await tx.deliveries.get(d.id)
    assert found is not None
    return found


async def suppressed(store: Store) -> bool:
    async with store.read(1) as tx:
        return bool(await tx.suppressions.active([(Channel.EMAIL, DANA)]))


async def history(store: Store, d: Delivery) -> list[tuple[EventKind, EventSource, str]]:
    async with store.read(1) as tx:
        found = (await tx.events.of([(1, d.id)]))[1, d.id]
    return [(e.kind, e.source, e.actor) for e in found if e.kind is not EventKind.ACCEPTED]


async def test_an_empty_queue_is_good_news(viewer: Agent) -> None:
    reply = await viewer.types("bounces")
    assert "belongs to a message" in said(reply)
    assert not buttons(reply)


async def test_the_queue_tells_whom_what_and_why_masked(store: Store, agent: Agent, viewer: Agent) -> None:
    await comes(store, report())
    await comes(store, b"From: dana@inbox.example\r\nSubject: Hi\r\n\r\nWhen is it due?\r\n")
    reply = await agent.types("bounces")
    golden("bounces_queue", reply)
    shown = said(reply)
    assert "d•••@inbox.example" in shown
    assert DANA not in shown
    assert "the mailbox does not exist" in shown
    assert WHY[Unmatched.NO_TOKEN] in shown
    assert WHY[Unmatched.NO_REPORT] in shown
    assert sum(name.startswith("bounces.match") for name in buttons(reply)) == 1, "a letter matches nothing"
    assert not buttons(await viewer.types("bounces"))


async def test_many_are_paged_through_in_place(store: Store, agent: Agent, clock: FakeClock) -> None:
    for number in range(PAGE + 2):
        clock.advance(minutes=1)
        await comes(store, report(f"p{number}@inbox.example"))
    first = await agent.types("bounces")
    assert "8 bounces belong to no message" in said(first)
    older = await agent.presses(first, "bounces.page:older")
    assert older.to is To.REPLACE
    assert "p•••@inbox.example" in said(older)
    assert sum(name.startswith("bounces.raw") for name in buttons(older)) == 2
    newer = await agent.presses(older, "bounces.page:newer")
    assert sum(name.startswith("bounces.raw") for name in buttons(newer)) == PAGE


async def test_the_raw_report_is_one_press_away_and_the_look_is_audited(store: Store, agent: Agent) -> None:
    await comes(store, report(words="The long story. " * 2000))
    reply = await agent.types("bounces")
    request = agent.press(reply, "bounces.raw:0")
    modal = (await agent.answer(request)).modal
    assert modal is not None
    shown = str(modal.blocks)
    assert "MAILER-DAEMON" in shown
    assert "The long story" in shown
    assert "The beginning only" in shown
    assert await agent.commands["bounces"].run(request, agent.services) == []
    assert "bounce.look" in await audited(store)


async def audited(store: Store) -> list[str]:
    async with store.read(1) as tx:
        return list((await tx.conn.execute(text("SELECT action FROM audit"))).scalars())


async def dialog(agent: Agent) -> tuple[Any, Any]:
    """(the modal of the first report, what its submission carries)."""
    request = agent.press(await agent.types("bounces"), "bounces.match:0")
    modal = (await agent.answer(request)).modal
    assert modal is not None
    return modal, dict(modal.carry or {})


async def test_an_agent_matches_a_report_to_the_mail_it_is_about(store: Store, agent: Agent) -> None:
    d = await mailed(store)
    await comes(store, report())
    modal, carry = await dialog(agent)
    assert str(d.id) in str(modal.blocks)
    assert "20001" in str(modal.blocks)
    assert "mail to the address goes on" in str(modal.blocks)
    submit = agent.request("bounces", "matched", value=carry, inputs={"which": str(d.id)})
    assert (await agent.answer(submit)).errors is None
    reply = await agent.run(submit)
    golden("bounces_matched", reply)
    assert (await now(store, d)).outcome is Outcome.BOUNCED
    assert await history(store, d) == [(EventKind.BOUNCED, EventSource.OPERATOR, "U_AGENT")]
    assert not await suppressed(store), "nobody signed it"
    await agent.run(submit)
    assert len(await history(store, d)) == 1, "a second run changes nothing"
    timeline = await agent.presses(await agent.types("messages 1001"), "messages.timeline:0")
    assert "Bounced: the mailbox does not exist · matched by <@U_AGENT>" in said(timeline)
    why = said(await agent.types("diagnose 1001"))
    assert "Likely: <@U_AGENT> matched a report that bears no signature of ours" in why
    assert "said so" not in why
    assert "was that this mailbox" not in why
    assert (await audited(store)).count("bounce.match") == 1
    assert "No bounce waits" in said(await agent.types("bounces"))


async def test_the_signed_report_that_comes_later_still_counts(store: Store, agent: Agent) -> None:
    d = await mailed(store)
    await comes(store, report())
    _, carry = await dialog(agent)
    await agent.run(agent.request("bounces", "matched", value=carry, inputs={"which": str(d.id)}))
    signed = f"{d.message_id.strip('<').partition('@')[0]}@mail.cascade.example"
    assert await comes(store, report(), signed) is Received.RECORDED
    assert await suppressed(store)


async def test_who_comes_second_is_told_so(store: Store, services: Services, agent: Agent) -> None:
    d = await mailed(store)
    await comes(store, report())
    _, carry = await dialog(agent)
    await agent.run(agent.request("bounces", "matched", value=carry, inputs={"which": str(d.id)}))
    other = agent_on(services, Role.AGENT, "U_OTHER")
    with pytest.raises(UserError, match="matched already"):
        await other.run(other.request("bounces", "dismiss", value=carry))


async def test_two_who_match_one_report_at_once_note_it_on_one_mail(
    store: Store, services: Services, agent: Agent
) -> None:
    sent = [await mailed(store)]
    _, more = await cast.sent(store, "k2", await cast.dana(store), DANA, invoice="20001")
    sent += more
    await comes(store, report())
    _, carry = await dialog(agent)
    both = [agent, agent_on(services, Role.AGENT, "U_OTHER")]
    done = await asyncio.gather(
        *(
            who.run(who.request("bounces", "matched", value=carry, inputs={"which": str(d.id)}))
            for who, d in zip(both, sent, strict=True)
        ),
        return_exceptions=True,
    )
    assert [type(one) for one in done if isinstance(one, Exception)] == [UserError]
    noted = [EventKind.BOUNCED in [kind for kind, *_ in await history(store, d)] for d in sent]
    assert sorted(noted) == [False, True]
    assert (await audited(store)).count("bounce.match") == 1


async def test_another_account_is_named_and_its_mails_are_chosen_from(store: Store, agent: Agent) -> None:
    d = await mailed(store)
    await comes(store, report("forwarded@elsewhere.example", diagnostic="550 5.1.1 User unknown"))
    modal, carry = await dialog(agent)
    assert "No mail went to this address" in str(modal.blocks)
    for empty in ({}, {"other": "  "}, {"other": "9999"}):
        answer = await agent.answer(agent.request("bounces", "matched", value=carry, inputs=empty))
        assert answer.errors is not None
    named = agent.request("bounces", "matched", value=carry, inputs={"other": "1001"})
    assert (await agent.answer(named)).errors is None
    chosen = await agent.run(named)
    golden("bounces_choose", chosen)
    matched = await agent.presses(chosen, "bounces.pick:0")
    assert "It went to d•••@inbox.example, another address" in said(matched)
    assert (await now(store, d)).outcome is Outcome.BOUNCED
    assert not await suppressed(store)


async def test_what_is_typed_wins_over_the_message_that_stood_chosen(store: Store, agent: Agent) -> None:
    d = await mailed(store)
    sid = await cast.add(store, "1042", billing_email("x@elsewhere.example"), invoices=("20042",))
    _, (other,) = await cast.sent(store, "k2", sid, "x@elsewhere.example", invoice="20042")
    await comes(store, report())
    _, carry = await dialog(agent)
    nobody = {"which": str(d.id), "other": "9999"}
    answer = await agent.answer(agent.request("bounces", "matched", value=carry, inputs=nobody))
    assert answer.errors is not None
    both = {"which": str(d.id), "other": "1042"}
    named = agent.request("bounces", "matched", value=carry, inputs=both)
    assert (await agent.answer(named)).errors is None
    assert str(other.id) in str(buttons(await agent.run(named)))
    assert EventKind.BOUNCED not in [kind for kind, *_ in await history(store, d)]


async def test_a_message_id_names_its_mail(store: Store, agent: Agent) -> None:
    d = await mailed(store)
    await comes(store, report("x@elsewhere.example", diagnostic="550 5.1.1 User unknown"))
    _, carry = await dialog(agent)
    named = agent.request("bounces", "matched", value=carry, inputs={"other": d.message_id})
    assert (await agent.answer(named)).errors is None
    assert str(d.id) in str(buttons(await agent.run(named)))


async def test_mails_of_long_ago_are_not_offered(store: Store, agent: Agent, clock: FakeClock) -> None:
    d = await mailed(store)
    clock.advance(days=31)
    await comes(store, report())
    modal, _ = await dialog(agent)
    assert str(d.id) not in str(modal.blocks)


async def test_dismissed_is_gone_and_undo_brings_it_back(store: Store, agent: Agent) -> None:
    await comes(store, report())
    gone = await agent.presses(await agent.types("bounces"), "bounces.dismiss:0")
    assert gone.to is To.REPLACE
    assert "Dismissed: the report about d•••@inbox.example." in said(gone)
    assert "No bounce waits" in said(await agent.types("bounces"))
    back = await agent.presses(gone, "bounces.undo")
    assert "1 bounce belongs to no message" in said(back)
    assert {"bounce.dismiss", "bounce.undo"} <= set(await audited(store))
    assert await comes(store, report()) is Received.UNMATCHED
    assert "1 bounce belongs" in said(await agent.types("bounces")), "the same one is not kept again"


async def test_the_home_tab_counts_them(store: Store, agent: Agent) -> None:
    await comes(store, report())
    request = agent.request("home", "refresh")
    (home,) = await agent.commands["home"].run(request, agent.services)
    assert isinstance(home, Home)
    assert "1 bounce belongs to no message" in str(home.blocks)


@pytest.mark.parametrize("name", sorted(HOSTILE))
async def test_hostile_reports_stay_text(sqlite_store: Store, name: str) -> None:
    octets = HOSTILE[name].encode("utf-8", "replace")
    found = Orphan(
        new_id(), EventSource.DSN, HOSTILE[name], HOSTILE[name], "", octets + b"\n\n" + octets * 3, NOW
    )
    modal = legal_modal(raw(found, profile()))
    assert "<!channel" not in str([b for b in modal.blocks if b.get("type") != "section"])


async def test_a_hostile_report_goes_through_the_whole_desk(store: Store, agent: Agent) -> None:
    bad = HOSTILE["broadcast"]
    await mailed(store)
    await comes(store, report(f'"{bad}"@inbox.example', diagnostic=f"550 5.1.1 {bad}", words=bad))
    reply = await agent.types("bounces")
    assert "<!channel" not in obeyed(reply)
    await agent.answer(agent.press(reply, "bounces.raw:0"))
    await agent.answer(agent.press(reply, "bounces.match:0"))
    assert "<!channel" not in obeyed(await agent.presses(reply, "bounces.dismiss:0"))
