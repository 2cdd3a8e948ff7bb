"""App Home on both databases: what needs attention, counted by cause; kind words where there is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.commands.home import view
from handlers.contract import Services
from handlers.failures import Failing, Row, Scope, grouped
from handlers.profile import Role, SmsProfile
from handlers.reply import Home, Reply
from handlers.workflows.failures import load
from notifier.channels import SmsRoute
from sandbox.slack.blocks import check_view
from sandbox.slack.content import suspicious
from sandbox.slack.rules import Surface
from store.models import (
    EventKind,
    EventSource,
    Incident,
    IncidentState,
    NotificationKind,
    Outcome,
    Reason,
    Run,
    RunState,
    Stage,
)
from store.types import new_id
from tests.builders import NOW, billing_email, delivery, event, take
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, profile, said, signed

GONE: dict[str, Any] = {"cls": "no_such_user", "hard": True, "reason": Reason.RECIPIENT}
DISTRUSTED: dict[str, Any] = {"cls": "blocked_reputation", "hard": True, "reason": Reason.POLICY}


def legal_home(home: Home) -> Reply:
    """As a reply, for the helpers that read replies, once Slack would take it as a home tab."""
    shown = {"type": "home", "blocks": signed(home.blocks)}
    assert [str(fault) for fault in check_view(shown, Surface.HOME)] == []
    assert suspicious(None, shown["blocks"]) is None
    return Reply("home", home.blocks)


async def opened(agent: Agent, action: str = "opened") -> Reply:
    replies = await agent.commands["home"].run(agent.request("home", action), agent.services)
    home = replies[0]
    assert isinstance(home, Home)
    return legal_home(home)


async def bounced(services: Services, count: int, cause: dict[str, Any], *, key: str) -> None:
    sid = await cast.add(services.store, f"A{key}")
    for number in range(count):
        kind = NotificationKind.INVOICE_ISSUED
        _, (one,) = await cast.sent(
            services.store, f"{key}{number}", sid, f"{key}{number}@inbox.example", kind=kind
        )
        failure = event(one.id, EventKind.BOUNCED, at=NOW, source=EventSource.DSN, **cause)
        await cast.learn(services.store, event(one.id), failure)


async def test_a_quiet_desk_is_told_so(agent: Agent) -> None:
    text = said(await opened(agent))
    assert "You are an *agent* here:" in text
    assert "Nobody is without a notice that failed in the last 3 days" in text
    assert "every message has come to its end" in text


async def test_people_are_counted_as_failures_does_by_cause_and_ours_are_told_apart(agent: Agent) -> None:
    await bounced(agent.services, 3, DISTRUSTED, key="d")
    await bounced(agent.services, 1, GONE, key="g")
    sid = await cast.add(agent.services.store, "A3")
    await cast.sent(agent.services.store, "waits", sid, "waits@inbox.example")
    home = await opened(agent)
    rows = said(home).splitlines()
    assert "*Needs attention* · 2 people without a proven notice, last 3 days" in rows
    ours = rows.index(":wrench: *3* · their server does not trust our mail server (our side)")
    assert rows[ours + 1] == ":bust_in_silhouette: *1* · the mailbox does not exist"
    assert "*1* waiting to be sent" in rows
    assert not any("inbox.example" in row for row in rows)
    listed = said(await agent.presses(home, "failures.open"))
    assert "Without a proven notice: the last 3 days" in listed
    assert "*2 people*" in listed


async def test_whoever_was_told_by_another_way_needs_no_attention(agent: Agent) -> None:
    store = agent.services.store
    sid = await cast.add(store, "A1", billing_email("a@inbox.example"), invoices=("1",))
    kind = NotificationKind.INVOICE_ISSUED
    _, (mail,) = await cast.sent(store, "k", sid, "a@inbox.example", invoice="1", kind=kind)
    await cast.learn(store, event(mail.id, EventKind.BOUNCED, attempt=0, **GONE))
    assert "1 person without a proven notice" in said(await opened(agent))
    await cast.sent(store, "k2", sid, "a@inbox.example", invoice="1", kind=NotificationKind.RESEND)
    assert "Nobody is without" in said(await opened(agent))


async def test_what_failed_last_week_is_old_news(agent: Agent, clock: FakeClock) -> None:
    await bounced(agent.services, 2, GONE, key="g")
    clock.advance(days=3)
    assert "Nobody is without" in said(await opened(agent))


async def test_another_provider_s_failures_are_not_counted(agent: Agent) -> None:
    await bounced(agent.services, 2, GONE, key="g")
    async with agent.services.store.read(2) as tx:
        assert (await load(tx, profile(id=2), Scope(days=3))).groups == ()
        assert await tx.deliveries.under_way() == {}


async def test_held_and_handed_over_messages_are_under_way(agent: Agent) -> None:
    store = agent.services.store
    sid = await cast.add(store, "A4")
    _, (held,) = await cast.sent(store, "held", sid, "held@inbox.example")
    _, (awaited,) = await cast.sent(store, "awaited", sid, "awaited@inbox.example")
    async with store.system() as tx:
        claimed = await take(
            tx,
            route=held.route,
            highest=held.priority,
            lowest=held.priority,
            limit=10,
            worker="w1",
            lease_s=30.0,
            retry_at=tx.now,
        )
        assert {one.id for one in claimed} == {held.id, awaited.id}
        assert await tx.deliveries.hold(
            next(one for one in claimed if one.id == held.id), reason="you asked", by="U_LEAD"
        )
    async with store.read(1) as tx:
        assert await tx.deliveries.under_way() == {Stage.HELD: 1, Stage.CLAIMED: 1}
    text = said(await opened(agent))
    assert ":double_vertical_bar: *1* held" in text
    assert "*1* being sent" in text


async def test_somebody_who_is_not_on_the_list_is_told_whom_to_ask(services: Services) -> None:
    home = await opened(agent_on(services, Role.NONE, "U_NEW"))
    assert "You are not on this desk's list" in said(home)
    assert buttons(home) == {}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT, Role.LEAD, Role.ADMIN])
async def test_every_button_leads_to_a_command_that_the_person_may_use(
    services: Services, role: Role
) -> None:
    agent = agent_on(services, role)
    home = await opened(agent)
    assert next(iter(buttons(home))) == "diagnose.ask"
    for action_id in buttons(home):
        name, _, action = action_id.partition(".")
        assert role >= agent.commands[name].spec.needs(action)
        if action == "ask":
            assert (await agent.answer(agent.press(home, action_id))).modal is not None


async def test_refreshing_draws_it_again_and_typing_it_says_where_to_look(agent: Agent) -> None:
    assert said(await opened(agent, "refresh")) == said(await opened(agent))
    home, told = await agent.commands["home"].run(agent.request("home"), agent.services)
    assert isinstance(home, Home)
    assert isinstance(told, Reply)
    assert "Home tab" in told.text


CLASSES = "no_such_user mailbox_full mailbox_disabled domain_missing filtered too_big spam_content temporary"


def _failing(*rows: tuple[Outcome, str, int]) -> Failing:
    return Failing(
        Scope(days=3),
        grouped(
            [
                Row(None, None, None, delivery(outcome=outcome, cls=cls, reason=Reason.RECIPIENT))
                for outcome, cls, count in rows
                for _ in range(count)
            ]
        ),
    )


NOBODY = Failing(Scope(days=3), ())


def test_rare_causes_are_counted_together() -> None:
    causes = [(Outcome.BOUNCED, cls, 20 - index) for index, cls in enumerate(CLASSES.split())]
    text = said(legal_home(view.home(view.Desk(NOW, _failing(*causes), {}), Role.LEAD, [], profile())))
    assert "and 27 for 2 other reasons" in text


async def test_open_incidents_are_one_press_away(agent: Agent) -> None:
    assert "incidents.list" not in buttons(await opened(agent))
    async with agent.services.store.begin(1) as tx:
        await tx.incidents.alarm("database:away", "The database was away", urgent=True)
    shown = await agent.presses(await opened(agent), "incidents.list")
    assert "1 incident unresolved" in said(shown)


def drawn(desk: view.Desk, **more: Any) -> str:
    return said(legal_home(view.home(desk, Role.AGENT, [], profile(**more))))


async def test_open_incidents_and_conversations_are_told_from_the_store(agent: Agent) -> None:
    store = agent.services.store
    async with store.begin(1) as tx:
        raised = await tx.incidents.alarm("database:away", "The database was away <!channel>", urgent=True)
        await tx.incidents.acknowledge(raised.incident.id, "U_LEAD")
        await tx.conversations.open("+15415550142", "+12065550100")
        waiting, _ = await tx.conversations.open("+15415550143", "+12065550100")
        await tx.conversations.pause(waiting.id, True)
        closed, _ = await tx.conversations.open("+15415550144", "+12065550100")
        await tx.conversations.close(closed.id, "U_AGENT")
    rows = said(await opened(agent)).splitlines()
    (incident,) = [row for row in rows if "database was away" in row]
    assert incident.startswith(":rotating_light: *The database was away &lt;!channel&gt;*")
    assert incident.endswith("taken by <@U_LEAD>")
    assert ":speech_balloon: *2* open by text, in <#C_SUPPORT>" in rows
    assert ":double_vertical_bar: in *1* of them our texts wait for an agent" in rows
    async with store.read(2) as tx:
        assert await tx.conversations.count_open() == (0, 0)


def test_incidents_beyond_a_handful_are_counted() -> None:
    one = Incident(new_id(), "c", "Outlook refuses us", IncidentState.OPEN, False, 9, NOW, NOW)
    text = drawn(view.Desk(NOW, NOBODY, {}, incidents=[one] * 7))
    assert text.count("Outlook refuses us* · 9 messages · began just now · nobody yet") == view.INCIDENTS
    assert "and 3 more" in text


def test_a_desk_that_texts_is_told_that_nobody_waits() -> None:
    assert "Conversations" not in drawn(view.Desk(NOW, NOBODY, {}))
    route = SmsRoute("twilio", "+12065550100", "AC1", ("t",), "http://127.0.0.1:9")
    assert "Nobody who texted us is waiting" in drawn(view.Desk(NOW, NOBODY, {}), sms=SmsProfile(route))


def test_a_run_that_goes_on_is_named() -> None:
    run = Run(new_id(), NotificationKind.REMINDER, "reminders <b>", {}, RunState.RUNNING, "U_LEAD", NOW)
    assert "Run “reminders &lt;b&gt;” is going on" in drawn(view.Desk(NOW, NOBODY, {}, runs=[(run, False)]))


def test_a_run_that_has_left_is_not_said_to_be_going_on() -> None:
    run = Run(new_id(), NotificationKind.REMINDER, "reminders", {}, RunState.RUNNING, "U_LEAD", NOW)
    text = drawn(view.Desk(NOW, NOBODY, {}, runs=[(run, True)]))
    assert "Run “reminders” is all sent, and may still bounce" in text
    assert "going on" not in text


@pytest.mark.parametrize("command", ["diagnose", "find", "messages"])
async def test_the_dialogs_of_home_find_what_is_typed_into_them(agent: Agent, command: str) -> None:
    await cast.dana(agent.services.store)
    refused = await agent.answer(agent.request(command, "asked", inputs={"query": " "}))
    assert refused.errors is not None
    assert "query" in refused.errors.errors
    reply = await agent.run(agent.request(command, "asked", inputs={"query": "1001"}))
    assert "1001" in said(reply)
