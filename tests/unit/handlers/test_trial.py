"""The same mail by two routes, side by side, on both databases: sent once each, and what it proves."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from handlers.cards import Notice
from handlers.contract import Services
from handlers.profile import Role
from handlers.reply import Reply, UserError
from handlers.trials import Side, Stand, seconds, verdict
from handlers.workflows.trials import TRIAL_SURFACE
from store.models import (
    Channel,
    Confidence,
    Delivery,
    EventKind,
    EventSource,
    NotificationKind,
    Outcome,
    Priority,
    Stage,
)
from tests.builders import NOW, delivery, event, notification
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import RELAY, Agent, buttons, golden, said
from tests.unit.handlers.texting import texting

MAILBOX = "me@inbox.example"
DESK = {
    "routes": (RELAY, replace(RELAY, name="remote")),
    "remote_route": "remote",
    "test_mailboxes": (MAILBOX, "Test@Gmail.com"),
}


@pytest.fixture
def lead(services: Services) -> Agent:
    return agent_on(texting(services, **DESK).services, Role.LEAD, "U_LEAD")


async def queued(agent: Agent) -> dict[str, Delivery]:
    async with agent.services.store.read(1) as tx:
        waiting = await tx.deliveries.waiting_to(Channel.EMAIL, MAILBOX)
        for item in waiting:
            found = await tx.notifications.get(item.notification_id)
            assert found is not None
            assert found.kind is NotificationKind.TRIAL
            assert (found.subscriber_id, found.invoice_id, found.priority) == (None, None, Priority.URGENT)
    return {item.route: item for item in waiting}


async def trial_card(agent: Agent) -> Reply:
    desk = texting(agent.services, **DESK)
    (key,) = {post.key for post in await desk.posts() if post.surface == TRIAL_SURFACE}
    return await desk.drawn(TRIAL_SURFACE, key)


async def test_both_go_out_with_a_code_each_and_one_card_follows_them(lead: Agent) -> None:
    preview = await lead.types("trial")
    assert (await queued(lead)) == {}, "a preview sends nothing"
    assert "Both are on their way" in said(await lead.presses(preview, "trial.send:0"))
    both = await queued(lead)
    assert set(both) == {"visp", "remote"}
    async with lead.services.store.read(1) as tx:
        found = await tx.notifications.get_many([d.notification_id for d in both.values()])
    codes = sorted(str(n.context["code"]) for n in found.values())
    assert [code[4:] for code in codes] == ["-A", "-B"]
    assert len({code[:4] for code in codes}) == 1
    assert "Still under way: visp and remote." in said(await trial_card(lead))

    assert "runs already" in said(await lead.presses(preview, "trial.send:0"))
    assert await queued(lead) == both, "pressed twice, sent once each"


async def test_run_again_after_a_crash_it_sends_nothing_twice(lead: Agent) -> None:
    press = lead.press(await lead.types("trial"), "trial.send:0")
    assert "on their way" in said(await lead.run(press))
    before = await queued(lead)
    assert "on their way" in said(await lead.run(press))
    assert await queued(lead) == before


async def test_the_card_shows_who_answered_what_how_fast_and_a_later_bounce(lead: Agent) -> None:
    await lead.presses(await lead.types(f"trial {MAILBOX}"), "trial.send:0")
    both = await queued(lead)
    took: dict[str, Any] = {"attempt": 0, "diagnostic": "250 2.0.0 Ok: queued as 4F1A2", "remote": "mx.one"}
    relay = {"confidence": Confidence.HANDED_TO_RELAY}
    await cast.learn(
        lead.services.store,
        event(both["visp"].id, EventKind.ACCEPTED, took_ms=412, **took, **relay),
        event(both["remote"].id, EventKind.ACCEPTED, took_ms=640, **took, **relay),
    )
    shown = said(await trial_card(lead))
    assert "Both were handed over: visp in 0.4 s, remote in 0.6 s." in shown
    assert "250 2.0.0 Ok: queued as 4F1A2" in shown
    assert not any("250" in line for line in shown.splitlines()[:2]), "no raw codes on the first lines"
    later = {"attempt": 0, "at": NOW + timedelta(seconds=2), "source": EventSource.DSN}
    await cast.learn(
        lead.services.store,
        event(
            both["visp"].id,
            EventKind.BOUNCED,
            key="dsn",
            cls="blocked_reputation",
            reply_code="550",
            status="5.7.1",
            diagnostic="550 5.7.1 we do not trust 203.0.113.25",
            **later,
        ),
        event(
            both["remote"].id,
            EventKind.DELIVERED,
            key="dsn",
            confidence=Confidence.ACCEPTED_BY_SERVER,
            **later,
        ),
    )
    card = await trial_card(lead)
    code = card.text.partition("code ")[2][:4]
    blocks = json.loads(json.dumps(list(card.blocks)).replace(code, "K7Q2"))
    golden("trial_one_refused", replace(card, text=card.text.replace(code, "K7Q2"), blocks=blocks))
    assert "Refused by visp only: it is our server visp, not the message." in said(card)
    assert "550 5.7.1 we do not trust 203.0.113.25" in said(card)
    timeline = await lead.presses(card, "messages.timeline:0")
    assert "Test by two routes" in said(timeline)
    assert "trial.open" in buttons(card)


async def test_two_different_refusals_are_both_told_and_sender_checks_lead_to_spf(lead: Agent) -> None:
    await lead.presses(await lead.types(f"trial {MAILBOX}"), "trial.send:0")
    both = await queued(lead)
    said_no = {"attempt": 0, "took_ms": 40}
    spf = "550 5.7.23 SPF validation failed"
    await cast.learn(
        lead.services.store,
        event(both["visp"].id, EventKind.BOUNCED, cls="blocked_auth", diagnostic=spf, **said_no),
        event(both["remote"].id, EventKind.BOUNCED, cls="mailbox_full", diagnostic="452 full", **said_no),
    )
    card = await trial_card(lead)
    assert "each for another reason" in said(card)
    assert "it is not the route" not in said(card)
    assert "remote: the mailbox is full" in card.text
    assert "visp: their server refused it because our sender checks" in card.text
    assert buttons(card)["spf.open"] == {"d": "mail.cascade.example"}


async def test_it_goes_to_our_own_test_mailboxes_only(lead: Agent) -> None:
    await cast.dana(lead.services.store)
    with pytest.raises(UserError, match="our own test mailboxes only"):
        await lead.types("trial dana@inbox.example")
    press = replace(
        lead.press(await lead.types("trial"), "trial.send:0"), value={"m": "x@y.example", "n": "1"}
    )
    with pytest.raises(UserError, match="our own test mailboxes only"):
        await lead.run(press)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [({"test_mailboxes": ()}, "no test mailbox"), ({"routes": (RELAY,), "remote_route": None}, "no other")],
)
async def test_without_a_mailbox_or_another_server_it_says_so(
    services: Services, more: dict[str, Any], sentence: str
) -> None:
    desk = texting(services, **(DESK | more))
    with pytest.raises(UserError, match=sentence):
        await agent_on(desk.services, Role.LEAD).types("trial")


async def test_with_the_remote_switch_on_the_two_are_still_two(services: Services) -> None:
    desk = texting(services, **(DESK | {"default_route": "remote"}))
    assert "Test remote and visp side by side?" in said(
        await agent_on(desk.services, Role.LEAD).types("trial")
    )


def side(route: str, outcome: Outcome, took_ms: int | None = 400, **more: Any) -> Side:
    wanted = notification(kind=NotificationKind.TRIAL)
    fields = {"outcome": outcome, "route": route, "stage": Stage.AWAITING} | more
    d = delivery(MAILBOX, notification_id=wanted.id, **fields)
    events = (event(d.id, EventKind.ACCEPTED, took_ms=took_ms),) if took_ms is not None else ()
    return Side(route, "A", Notice(wanted, None, (d,), {d.id: events}))


def test_the_verdict_says_no_more_than_was_shown() -> None:
    taken = {"confidence": Confidence.ACCEPTED_BY_SERVER}
    both = [side("visp", Outcome.DELIVERED, 412, **taken), side("remote", Outcome.DELIVERED, 604, **taken)]
    assert verdict(both) == "Both were taken: visp in 0.4 s, remote in 0.6 s."
    refused = side("visp", Outcome.BOUNCED)
    assert verdict([refused, both[1]]) == "Refused by visp only: it is our server visp, not the message."
    assert "no bounce has come so far" in verdict([refused, side("remote", Outcome.SENT)])
    assert "it is not the route" in verdict([refused, side("remote", Outcome.BOUNCED)])
    checks = [side(name, Outcome.BOUNCED, cls="blocked_auth") for name in ("visp", "remote")]
    assert "because our sender checks" in verdict(checks)
    assert "72 hours" in verdict([both[0], side("remote", Outcome.DELIVERED, confidence=Confidence.PRESUMED)])
    presumed = side("remote", Outcome.DELIVERED, confidence=Confidence.PRESUMED)
    assert "it is probably our server visp" in verdict([refused, presumed])
    unsent = side("remote", Outcome.FAILED, None)
    assert verdict([both[0], unsent]) == "Nothing proven: it was not sent by remote. Visp got through."
    assert (
        verdict([side("visp", Outcome.NONE), refused]) == "Still under way: visp. So far: visp was refused."
    )


@pytest.mark.parametrize(("one", "other"), list(product(Outcome, Outcome)))
def test_every_pair_of_outcomes_has_a_verdict(one: Outcome, other: Outcome) -> None:
    said_ = verdict([side("visp", one), side("remote", other)])
    assert said_.endswith(".")
    proven = {side("visp", one).stand, side("remote", other).stand} == {Stand.TAKEN, Stand.REFUSED}
    assert ("not the message" in said_) is proven


@pytest.mark.parametrize(
    ("took_ms", "shown"),
    [(None, ""), (0, "0 ms"), (49, "49 ms"), (50, "0.1 s"), (412, "0.4 s"), (61_000, "61.0 s")],
)
def test_times_are_written_short(took_ms: int | None, shown: str) -> None:
    assert seconds(took_ms) == shown
