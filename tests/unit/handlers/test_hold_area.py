"""/isp hold by town and by tag on both databases: shown first, on every card, told at its end."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from billing.holds import HOLD_ENDED_SURFACE, HoldSweep
from handlers.profile import Role
from handlers.reply import UserError
from handlers.surfaces.hold_ended import SURFACE
from store.models import Hold, NotificationKind, Stage
from tests.builders import draft, hold_of, outbox
from tests.conftest import FakeClock
from tests.contracts.attempts import claim_in
from tests.unit.handlers import cast
from tests.unit.handlers.support import Agent, buttons, golden, legal, said
from tests.unit.handlers.test_hold import sweep

TOWN = 'town:"Grants Pass"'


@pytest.fixture
async def lead(agent: Agent) -> Agent:
    """A lead's desk: 1001 lives in Bend, 1002 and 1003 in Grants Pass, and 1002 pays for 1004."""
    store = agent.services.store
    await cast.dana(store)
    people: dict[str, dict[str, Any]] = {
        "1002": {"city": "Grants Pass", "tags": ("fire-2026",)},
        "1003": {"city": "grants pass"},
        "1004": {"payer_account": "1002"},
    }
    for account, more in people.items():
        sid = await cast.add(store, account, **more)
        async with store.begin(1) as tx:
            for kind in (NotificationKind.INVOICE_ISSUED, NotificationKind.RESEND):
                wanted = draft(f"{account}:{kind}", f"a{account}@a.example", kind=kind, subscriber_id=sid)
                await outbox().enqueue(tx, wanted)
    return Agent(agent.services, agent.commands, role=Role.LEAD, user="U_LEAD")


async def standing(agent: Agent, scope: str = "town") -> list[Hold]:
    async with agent.services.store.read(1) as tx:
        return await tx.notes.of_area(scope)


@pytest.mark.parametrize(
    ("text", "accounts", "waiting"),
    [
        (f"{TOWN} until Mar 20 wildfire", 3, 3),
        ("town:grants pass until Mar 20 wildfire", 3, 3),
        ("tag:FIRE-2026 until Mar 20 wildfire", 2, 2),
        ("tag: fire-2026 Mar 20 wildfire", 2, 2),
        ("town Grants Pass until Mar 20 wildfire", 3, 3),
        ("tag fire-2026 until Mar 20 wildfire", 2, 2),
    ],
)
async def test_what_a_hold_would_touch_is_shown_before_anything_is_held(
    lead: Agent, text: str, accounts: int, waiting: int
) -> None:
    reply = await lead.types(f"hold {text}")
    assert f"It touches *{accounts} accounts*" in said(reply)
    assert f"with {waiting} notices that wait now" in said(reply)
    assert [*await standing(lead), *await standing(lead, "tag")] == []
    assert buttons(reply)["hold.area"]["r"] == "wildfire"


async def test_held_it_shows_on_every_card_it_touches_and_ends_by_hand(lead: Agent) -> None:
    preview = await lead.types(f"hold {TOWN} until Mar 20 wildfire")
    golden("hold_area_preview", preview)
    press = lead.press(preview, "hold.area")
    shown = await lead.run(press)
    golden("hold_area_set", shown)
    await lead.run(press)  # again, after a crash
    (hold,) = await standing(lead)
    assert (hold.until, hold.owner) == (date(2026, 3, 20), "U_LEAD")
    card = said(await lead.types("find 1003"))
    assert "The town grants pass is held until *Mar 20, 2026*: wildfire — <@U_LEAD>" in card
    assert "wildfire" not in said(await lead.types("find 1001"))
    async with lead.services.store.begin(1) as tx:
        item = await claim_in(tx)
        assert await tx.deliveries.hold(item, reason="held", by=f"hold:town:{hold.scope_key}")
    ended = await lead.presses(await lead.types(f"hold {TOWN}"), "hold.end")
    assert "has ended. If notices waited for it" in said(ended)
    async with lead.services.store.read(1) as tx:
        assert Stage.HELD not in await tx.deliveries.under_way()
        actions = [row.action for row in await tx.audit.of(f"town:{hold.scope_key}")]
    assert (actions.count("hold.set"), actions.count("hold.end")) == (1, 1)


async def test_it_is_a_leads_to_set_and_to_lift_and_anybodys_to_look_at(lead: Agent, agent: Agent) -> None:
    with pytest.raises(UserError, match="lead's decision"):
        await agent.types(f"hold {TOWN} until Mar 20")
    preview = await lead.types(f"hold {TOWN} until Mar 20")
    with pytest.raises(UserError, match="lead's decision"):
        await agent.presses(preview, "hold.area")
    shown = await lead.presses(preview, "hold.area")
    with pytest.raises(UserError, match="lead's decision"):
        await agent.presses(shown, "hold.end")
    assert "is held until" in said(await agent.types(f"hold {TOWN}"))


@pytest.mark.parametrize(
    ("text", "sentence", "step"),
    [
        ('town:"Grants Pas" until Mar 20', "Nobody lives in a town of that name", "Did you mean"),
        ("tag:flood until Mar 20", "Nobody has that tag", "On file are: fire-2026"),
        (f"{TOWN} until whenever", "Until which day", "Dec 5"),
        (f"{TOWN} until Mar 1", "is past", "Give a day to come"),
        ("tag:", "Which tag", "tag:fire-2026"),
        (f"{TOWN} until Mar 20 {'x' * 201}", "longer than 200", "sentence"),
    ],
)
async def test_an_area_that_cannot_be_meant_is_refused_kindly(
    lead: Agent, text: str, sentence: str, step: str
) -> None:
    with pytest.raises(UserError, match=sentence) as told:
        await lead.types(f"hold {text}")
    assert step in told.value.next_step


async def test_its_owner_is_told_once_when_the_last_day_of_an_area_is_over(
    lead: Agent, clock: FakeClock
) -> None:
    await lead.presses(await lead.types(f"hold {TOWN} until Mar 3 wildfire"), "hold.area")
    (hold,) = await standing(lead)
    clock.advance(days=2)
    for _ in range(2):
        await sweep(lead.services).sweep(1)
    async with lead.services.store.read(1) as tx:
        posts = await tx.posts.of(HOLD_ENDED_SURFACE, str(hold.id))
    assert [post.channel for post in posts] == ["U_LEAD"]
    word = await SURFACE.draw(lead.services, 1, str(hold.id))
    assert word is not None
    assert "is over" in said(legal(word))
    assert "3 accounts: what waited goes out now" in said(word)


async def test_nobody_in_a_held_town_is_suspended_and_runs_leave_them_out(lead: Agent) -> None:
    await cast.add(lead.services.store, "1003", city="Grants Pass", invoices=("30003",))
    await lead.presses(await lead.types(f"hold {TOWN} until Mar 20 wildfire"), "hold.area")
    assert "The town Grants Pass is held until Mar 20 (wildfire)" in said(await lead.types("suspend 1003"))
    assert "on hold" in said(await lead.types("run invoice 30003"))


async def test_what_waits_for_a_town_goes_when_its_subscriber_is_found_to_live_elsewhere(lead: Agent) -> None:
    """Whoever still lives there, or has a payer there, waits on."""
    store = lead.services.store
    await lead.presses(await lead.types(f"hold {TOWN} until Mar 20 wildfire"), "hold.area")
    (hold,) = await standing(lead)
    async with store.begin(1) as tx:
        for _ in range(6):
            item = await claim_in(tx)
            assert await tx.deliveries.hold(item, reason="held", by=f"hold:town:{hold.scope_key}")
    await cast.add(store, "1003", city="Medford")
    await sweep(lead.services).sweep(1)
    async with store.read(1) as tx:
        held = await tx.queue.held_by(f"hold:town:{hold.scope_key}", limit=50)
        people = await tx.subscribers.by_accounts(["1002", "1003", "1004"])
    waiting = {d.address for d in held}
    assert waiting == {"a1002@a.example", "a1004@a.example"}
    assert people["1003"].city == "Medford"


async def test_the_trouble_of_one_provider_keeps_no_hold_of_another_standing(
    lead: Agent, clock: FakeClock
) -> None:
    store, zone = lead.services.store, lead.services.profile(1).time_zone
    for tenant in (1, 2):
        async with store.begin(tenant) as tx:
            await tx.notes.add_hold(hold_of("1001", until=date(2026, 3, 3), owner="import"))
    clock.advance(days=3)
    broken = HoldSweep(store, {1: zone, 2: zone}, {2: "C_OTHER"})  # the first has nowhere to tell it
    await broken.round()
    for tenant, standing_still in ((1, 1), (2, 0)):
        async with store.read(tenant) as tx:
            assert len(await tx.notes.holds_of("1001")) == standing_still
