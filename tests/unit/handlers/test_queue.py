"""/isp queue on both databases: what waits, who holds it, the limit that decides; and deciding a doubt."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from handlers.commands.queue import view
from handlers.profile import Role
from handlers.reply import UserError
from handlers.surfaces.delivery import SURFACE as CARD
from handlers.waiting import Limited, Waiting, Way, ceilings, span
from notifier.schedule import A_PERSON
from store.models import (
    Delivery,
    EventKind,
    Held,
    Incident,
    IncidentState,
    NotificationKind,
    Outcome,
    Priority,
    Queued,
    Stage,
)
from store.types import new_id
from tests.builders import NOW, delivery, event, hold_of, notification
from tests.conftest import FakeClock
from tests.contracts.test_runs import run_of
from tests.unit.handlers import cast
from tests.unit.handlers.support import Agent, buttons, golden, legal, profile, said


@pytest.fixture
async def waiting(agent: Agent, clock: FakeClock) -> Agent:
    """A worker runs; mail is due, put off and held by a town's hold, a person and a breaker."""
    store = agent.services.store
    sid = await cast.add(store, "1002", city="Grants Pass")
    clock.now = NOW + timedelta(minutes=12)
    async with store.system() as tx:
        await tx.processes.seen("m1/worker/1/2/3", "worker", 0)
    wanted = notification(kind=NotificationKind.INVOICE_ISSUED, subscriber_id=sid)
    rows: list[dict[str, Any]] = [
        *({"priority": p} for p in (Priority.URGENT, Priority.BULK, Priority.BULK)),
        {"due_at": NOW + timedelta(hours=1), "stage_reason": "Waits until 9:00 AM their time"},
        {"stage": Stage.HELD, "stage_by": "hold:town:Grants Pass", "stage_reason": "The town is held"},
        {"stage": Stage.HELD, "stage_by": A_PERSON, "stage_reason": "Cut off too often", "attempt": 4},
        {"stage": Stage.HELD, "stage_by": "breaker:visp:microsoft", "stage_reason": "Refused"},
    ]
    async with store.begin(1) as tx:
        await tx.notifications.add([wanted])
        items = [
            delivery(f"a{n}@inbox.example", notification_id=wanted.id, route="visp", **row)
            for n, row in enumerate(rows)
        ]
        await tx.deliveries.add(items)
        await tx.notes.add_hold(hold_of("Grants Pass", scope="town", until=date(2026, 3, 20)))
        await tx.events.append([(1, event(items[5].id, EventKind.IN_DOUBT, attempt=4))])
    return agent


async def doubtful(agent: Agent) -> Delivery:
    async with agent.services.store.read(1) as tx:
        (found,) = await tx.queue.held_by(A_PERSON)
    return found


async def test_what_waits_is_told_by_route_and_by_holder(waiting: Agent) -> None:
    reply = await waiting.types("queue")
    golden("queue", reply)
    told = said(reply)
    assert "3 due, 1 of them urgent, the first for 12 minutes" in told
    assert "1 for later (1 waits until 9:00 AM their time)" in told
    assert "*1* by the hold on the town Grants Pass until Mar 20" in told
    assert "*1* by a breaker: microsoft refuses our mail by visp" in told
    assert "It is due, and no worker has taken it yet" in told
    assert not any(name.startswith("hold.end") for name in buttons(reply)), "a town's hold is a lead's to end"
    lead = Agent(waiting.services, waiting.commands, role=Role.LEAD)
    assert any(name.startswith("hold.end") for name in buttons(await lead.types("queue")))


async def test_what_was_never_tried_is_not_said_to_be_tried_again(agent: Agent) -> None:
    """A run that goes on after a pause lets its texts go for the morning, without a word of why."""
    store = agent.services.store
    wanted = notification(kind=NotificationKind.INVOICE_ISSUED)
    later = {"notification_id": wanted.id, "route": "visp", "due_at": NOW + timedelta(hours=1)}
    async with store.begin(1) as tx:
        await tx.notifications.add([wanted])
        new = [delivery(f"a{n}@inbox.example", **later) for n in range(2)]
        await tx.deliveries.add([*new, delivery("b@inbox.example", **later, attempt=1)])
    told = said(await agent.types("queue"))
    assert "3 for later (2 not begun, due at a set time; 1 tried again by itself)" in told


async def test_those_that_one_holds_are_listed_by_account_with_addresses_masked(waiting: Agent) -> None:
    reply = await waiting.types("queue")
    (by_town,) = [n for n, value in buttons(reply).items() if value.get("by") == "hold:town:Grants Pass"]
    listed = said(await waiting.presses(reply, by_town))
    assert "account 1002" in listed
    assert "a4@inbox.example" not in listed
    assert "waits for 12 minutes" in listed


async def _decide(agent: Agent, press: str) -> Delivery:
    item = await doubtful(agent)
    card = await CARD.draw(agent.services, 1, str(item.notification_id))
    assert card is not None
    (name,) = [n for n in buttons(legal(card)) if n.startswith("queue.doubt")]
    asked = await agent.presses(card, name)
    assert "Did it arrive?" in said(asked)
    await agent.presses(asked, press)
    with pytest.raises(UserError, match="decided already"):
        await agent.presses(asked, "queue.giveup" if press != "queue.giveup" else "queue.again")
    async with agent.services.store.read(1) as tx:
        after = await tx.deliveries.get(item.id)
        (row,) = await tx.audit.of(f"delivery:{item.id}")
    assert after is not None
    assert (row.actor, row.action) == ("U_AGENT", press.replace("queue", "doubt"))
    return after


@pytest.mark.parametrize(
    ("press", "stage", "outcome"),
    [
        ("queue.again", Stage.QUEUED, Outcome.NONE),
        ("queue.arrived", Stage.CLOSED, Outcome.DELIVERED),
        ("queue.giveup", Stage.CLOSED, Outcome.CANCELLED),
    ],
)
async def test_a_person_decides_a_doubt_once_and_it_is_written_down(
    waiting: Agent, press: str, stage: Stage, outcome: Outcome
) -> None:
    after = await _decide(waiting, press)
    assert (after.stage, after.outcome, after.stage_by) == (stage, outcome, None)
    card = await CARD.draw(waiting.services, 1, str(after.notification_id))
    assert card is not None
    words = {
        "queue.again": "Queued",
        "queue.arrived": "A colleague says that it arrived",
        "queue.giveup": "It may have gone out, and is not tried again: a colleague gave it up",
    }
    if press != "queue.again":
        assert words[press] in said(card)


async def test_what_is_out_of_date_is_not_sent_again_and_deciding_is_an_agents_right(
    waiting: Agent, clock: FakeClock
) -> None:
    item = await doubtful(waiting)
    clock.now = item.expires_at
    request = waiting.request("queue", "again", value={"d": str(item.id)})
    with pytest.raises(UserError, match="out of date"):
        await waiting.run(request)
    spec = next(spec for spec in waiting.services.specs if spec.name == "queue")
    assert {spec.needs(a) for a in ("again", "arrived", "giveup", "doubt")} == {Role.AGENT}
    assert spec.needs("") is Role.VIEWER


def _incident(title: str) -> Incident:
    return Incident(new_id(), "route_down:visp", title, IncidentState.OPEN, False, 3, NOW, NOW)


def way(**more: Any) -> Way:
    fields: dict[str, Any] = {
        "name": "visp",
        "channel": "e-mail",
        "connections": 4,
        "queued": Queued("visp", 1200, 0, 0, NOW),
    }
    return Way(**(fields | more))


def standing(*ways: Way, **more: Any) -> Waiting:
    fields: dict[str, Any] = {
        "ways": ways,
        "held": (),
        "limited": (),
        "holds": {},
        "runs": {},
        "works": True,
        "send_mode": "live",
        "now": NOW,
    }
    return Waiting(**(fields | more))


@pytest.mark.parametrize(
    ("found", "sentence", "minutes"),
    [
        (standing(way(), works=False), "No worker is running", None),
        (standing(way(), send_mode="off"), "Sending is switched off", None),
        (standing(way(trouble=_incident("The route visp cannot be reached"))), "cannot be reached", None),
        (
            standing(
                way(in_hand=4), limited=(Limited("visp", "", 1200, "20 a second", timedelta(minutes=1)),)
            ),
            "The limit of this route decides: 20 a second, all workers together",
            1,
        ),
        (standing(way(in_hand=4, last_minute=600)), "all connections are busy (600 in the last minute)", 2),
        (standing(way(in_hand=2, last_minute=600)), "Nothing holds it up", 2),
        (standing(way()), "no worker has taken it yet", None),
        (
            standing(
                way(queued=None),
                limited=(Limited("visp", "gmail.example", 600, "10 a second at most", timedelta(minutes=1)),),
            ),
            "600 to gmail.example wait in its line (10 a second at most); other mail passes them",
            1,
        ),
        (standing(way(queued=None)), "", None),
    ],
)
def test_the_one_thing_that_decides_how_fast_it_goes_is_named(
    found: Waiting, sentence: str, minutes: int | None
) -> None:
    told = ceilings(found)
    assert [sentence in one.sentence for one in told] == ([True] if sentence else [])
    ends = told[0].ends_in if told else None
    assert ends == (timedelta(minutes=minutes) if minutes else None)


def test_a_span_is_told_roughly() -> None:
    told = {40: "about 40 seconds", 100: "about 2 minutes", 7200: "about 2 hours", 1: "about 1 second"}
    assert {seconds: span(timedelta(seconds=seconds)) for seconds in told} == told


def test_a_lead_goes_on_with_a_paused_run_from_here() -> None:
    run = run_of()
    by = f"run:{run.id}"
    found = standing(way(queued=None), held=(Held(by, "visp", 15, NOW),), runs={by: run})
    reply = legal(view.overview(found, profile(), Role.LEAD))
    assert "*15* by its run, which is paused: Invoices issued" in said(reply)
    assert buttons(reply)["run.resume:0"] == {"r": str(run.id)}
    assert "run.resume:0" not in buttons(view.overview(found, profile(), Role.AGENT))
