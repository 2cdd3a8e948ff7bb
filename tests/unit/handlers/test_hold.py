"""/isp hold on both databases: set, shown everywhere, moved, ended by hand or by its day, told once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from billing.hold_words import held_by
from billing.holds import HOLD_ENDED_SURFACE, HoldSweep
from handlers.contract import Services
from handlers.profile import Role
from handlers.reply import UserError
from handlers.surfaces.hold_ended import SURFACE
from store.models import Hold, Post, Stage
from tests.builders import draft, hold_of, outbox, usd
from tests.conftest import FakeClock
from tests.contracts.attempts import claim_in
from tests.unit.handlers import cast
from tests.unit.handlers.support import HOSTILE, Agent, buttons, golden, legal, profile, said

# In Los Angeles: the clock of these tests stands at 09:00 UTC on March 2.
TODAY = date(2026, 3, 2)


async def _holds(services: Services, account: str = "1001") -> list[Hold]:
    async with services.store.read(1) as tx:
        return await tx.notes.holds_of(account)


async def _posts(services: Services, hold: Hold) -> list[Post]:
    async with services.store.read(1) as tx:
        return await tx.posts.of(HOLD_ENDED_SURFACE, str(hold.id))


def sweep(services: Services) -> HoldSweep:
    zone, channel = profile().time_zone, profile().support_channel
    return HoldSweep(services.store, {1: zone}, {1: channel})


@pytest.mark.parametrize(
    ("text", "until", "reason"),
    [
        ("1001 until Mar 20 promised to pay", date(2026, 3, 20), "promised to pay"),
        ("1001 until 2026-03-20", date(2026, 3, 20), ""),
        ("1001 friday", date(2026, 3, 6), ""),
        ("1001 +7d payday", date(2026, 3, 9), "payday"),
        ("dana whitfield until tomorrow", date(2026, 3, 3), ""),
        ("1001 UNTIL Mar 20", date(2026, 3, 20), ""),
        ("account 1001 until mar 20", date(2026, 3, 20), ""),
    ],
)
async def test_a_hold_is_set_as_it_was_meant(agent: Agent, text: str, until: date, reason: str) -> None:
    await cast.dana(agent.services.store)
    reply = await agent.types(f"hold {text}")
    (hold,) = await _holds(agent.services)
    assert (hold.until, hold.reason, hold.owner) == (until, reason, "U_AGENT")
    assert "Reminders and our own suspension wait" in said(reply)
    async with agent.services.store.read(1) as tx:
        (row,) = [r for r in await tx.audit.of("account:1001") if r.action == "hold.set"]
    assert row.detail["until"] == until.isoformat()


async def test_what_was_set_is_shown_with_its_ways_on(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    reply = await agent.types("hold 1001 until Mar 20 promised to pay")
    golden("hold_set", reply)
    assert set(buttons(reply)) == {"hold.ask", "hold.end"}
    assert "Billing may still suspend" not in said(reply), "our own record does nothing by itself"
    for command in ("find 1001", "hold 1001"):
        assert "Held until *Mar 20, 2026*: promised to pay — <@U_AGENT>" in said(await agent.types(command))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1001 until", "Until which day?"),
        ("1001 until whenever", "I do not understand that day"),
        ("1001 until 3/20", "I do not understand that day"),
        ("1001 until Mar 1", "Mar 1, 2026 is past"),
        ("1001 until 2027-03-01", "more than 180 days away"),
        ("1001 for a while", "Until which day?"),
        ("until friday", "Whose account"),
        ("", "Whose account"),
        (f"1001 until friday {'x' * 201}", "longer than 200 characters"),
        ("9999 until friday", "Nobody fits"),
    ],
)
async def test_what_cannot_be_meant_is_refused_kindly(agent: Agent, text: str, sentence: str) -> None:
    await cast.dana(agent.services.store)
    with pytest.raises(UserError, match=sentence) as told:
        await agent.types(f"hold {text}")
    assert told.value.next_step
    assert await _holds(agent.services) == []


async def test_without_a_hold_it_says_so_and_offers_one(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    reply = await agent.types("hold 1001")
    assert "There is no hold on account 1001" in said(reply)
    assert "`/isp hold 1001 until Dec 5 promised to pay`" in said(reply)
    assert set(buttons(reply)) == {"hold.ask"}


async def test_several_who_fit_are_asked_about_and_the_day_is_remembered(agent: Agent) -> None:
    store = agent.services.store
    for account in ("1001", "1002"):
        await cast.add(store, account, name="Dana Whitfield")
    asked = await agent.types("hold dana until Mar 20 promised")
    await agent.presses(asked, "hold.open:1")
    assert [h.until for h in await _holds(agent.services, "1002")] == [date(2026, 3, 20)]
    assert await _holds(agent.services, "1001") == []


async def test_the_dialog_starts_from_what_stands_and_moves_it(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    shown = await agent.types("hold 1001 until Mar 20 promised")
    modal = (await agent.answer(agent.press(shown, "hold.ask"))).modal
    assert modal is not None
    until, reason = (block["element"] for block in modal.blocks[1:])
    assert (until["initial_date"], reason["initial_value"]) == ("2026-03-20", "promised")
    for day, sentence in (("2026-03-01", "is past"), ("", "Choose a day"), ("2027-01-01", "180 days")):
        refused = await agent.answer(_sent(agent, modal.carry, day))
        assert refused.errors is not None
        assert sentence in refused.errors.errors["until"]
    sent = _sent(agent, modal.carry, "2026-03-25", "moved once")
    assert (await agent.answer(sent)).errors is None
    await agent.run(sent)
    await agent.run(sent)  # again, after a crash
    (hold,) = await _holds(agent.services)
    assert (hold.until, hold.reason) == (date(2026, 3, 25), "moved once")


async def test_run_again_after_a_crash_it_does_not_end_what_a_colleague_has_set_since(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    mine = agent.request("hold", text="1001 until Mar 20 promised")
    await agent.run(mine)
    other = Agent(agent.services, agent.commands, user="U_OTHER")
    await other.types("hold 1001 until Mar 25 called again")
    assert "called again" in said(await agent.run(mine))
    assert [(h.until, h.owner) for h in await _holds(agent.services)] == [(date(2026, 3, 25), "U_OTHER")]


def _sent(agent: Agent, carry: Any, until: str, reason: str = "") -> Any:
    return agent.request("hold", "asked", value=dict(carry), inputs={"until": until, "reason": reason})


async def test_ending_a_hold_is_audited_and_done_once(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    shown = await agent.types("hold 1001 until Mar 20")
    press = agent.press(shown, "hold.end")
    reply = await agent.run(press)
    assert "The hold on account 1001 has ended" in said(reply)
    await agent.run(press)
    assert await _holds(agent.services) == []
    async with agent.services.store.read(1) as tx:
        rows = [row.action for row in await tx.audit.of("account:1001")]
    assert rows.count("hold.end") == 1
    other = Agent(agent.services, agent.commands, user="U_OTHER")
    with pytest.raises(UserError, match="has ended already"):
        await other.presses(shown, "hold.end")


async def test_its_owner_is_told_once_when_its_last_day_is_over(agent: Agent, clock: FakeClock) -> None:
    await cast.dana(agent.services.store)
    await agent.types("hold 1001 until Mar 3 promised to pay")
    (hold,) = await _holds(agent.services)
    clock.advance(days=1)  # March 3 there: its last day
    assert await sweep(agent.services).sweep(1) == 0
    clock.advance(days=1)
    for _ in range(2):
        await sweep(agent.services).sweep(1)
    (post,) = await _posts(agent.services, hold)
    assert post.channel == "U_AGENT"
    reply = await SURFACE.draw(agent.services, 1, str(hold.id))
    assert reply is not None
    golden("hold_ended", legal(reply))
    assert "Balance still *$49.90*, 1 invoice overdue" in said(reply)
    assert set(buttons(reply)) == {"find.open", "hold.ask"}
    assert await _holds(agent.services) == []


async def test_what_a_worker_puts_aside_for_a_hold_that_ends_at_this_moment_is_let_go(agent: Agent) -> None:
    """The worker read the hold, it was ended, then the worker wrote down that the message waits for it."""
    store = agent.services.store
    await cast.dana(store)
    async with store.begin(1) as tx:
        for key, by in (("a", held_by("1001")), ("b", held_by("1002")), ("c", "send_mode")):
            await outbox().enqueue(tx, draft(key, f"{key}@a.example"))
            item = await claim_in(tx)
            assert await tx.deliveries.hold(item, reason="held", by=by)
        await tx.notes.add_hold(hold_of("1002"))
    await sweep(agent.services).sweep(1)
    async with store.read(1) as tx:
        assert await tx.deliveries.holders(1) == {held_by("1002"), "send_mode"}
        assert (await tx.deliveries.under_way())[Stage.QUEUED] == 1


async def test_the_day_is_over_by_the_tenants_own_midnight(agent: Agent, clock: FakeClock) -> None:
    await cast.dana(agent.services.store)
    async with agent.services.store.begin(1) as tx:
        await tx.notes.add_hold(hold_of("1001", until=TODAY))
    clock.advance(hours=22)  # 07:00 UTC on March 3: still March 2 in Los Angeles
    assert await sweep(agent.services).sweep(1) == 0
    clock.advance(hours=2)
    assert await sweep(agent.services).sweep(1) == 1


async def test_a_hold_ended_by_hand_sends_no_word_and_one_of_nobody_goes_to_the_channel(
    agent: Agent, clock: FakeClock
) -> None:
    await cast.dana(agent.services.store)
    shown = await agent.types("hold 1001 tomorrow")
    (mine,) = await _holds(agent.services)
    await agent.presses(shown, "hold.end")
    imported = hold_of("1001", until=TODAY + timedelta(days=1), owner="import")
    async with agent.services.store.begin(1) as tx:
        await tx.notes.add_hold(imported)
    clock.advance(days=3)
    await sweep(agent.services).sweep(1)
    assert await _posts(agent.services, mine) == []
    assert [p.channel for p in await _posts(agent.services, imported)] == ["C_SUPPORT"]


async def test_whoever_has_paid_by_then_is_said_to_owe_nothing(agent: Agent) -> None:
    await cast.add(agent.services.store, "1001", balance=usd("0.00"))
    async with agent.services.store.begin(1) as tx:
        hold = hold_of("1001")
        await tx.notes.add_hold(hold)
    reply = await SURFACE.draw(agent.services, 1, str(hold.id))
    assert reply is not None
    assert "nothing is owed" in said(reply)


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - {"empty", "blank", "lines"}))
async def test_a_hostile_reason_stays_words_on_every_card(agent: Agent, name: str) -> None:
    await cast.dana(agent.services.store)
    reason = HOSTILE[name].replace("\x00", "").encode("utf-8", "replace").decode()[:200]
    async with agent.services.store.begin(1) as tx:
        hold = hold_of("1001", reason=reason)
        await tx.notes.add_hold(hold)
    await agent.types("hold 1001")
    await agent.types("find 1001")
    reply = await SURFACE.draw(agent.services, 1, str(hold.id))
    assert reply is not None
    legal(reply)


def test_holding_is_an_agents_right(services: Services) -> None:
    spec = next(spec for spec in services.specs if spec.name == "hold")
    assert {spec.needs(action) for action in ("", "ask", "asked", "end", "open")} == {Role.AGENT}


async def test_a_hold_that_takes_the_place_of_another_names_it(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    await agent.types("hold 1001 until Mar 20")
    moved = await agent.types("hold 1001 until Mar 10")
    assert "It took the place of the hold until Mar 20, 2026." in said(moved)
