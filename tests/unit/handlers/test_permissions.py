"""Nothing that changes anything runs below the role it is for: every command, every action, walked.

The actions are read out of the source, so that a new one has to be given a place here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.runner import not_allowed
from bot.wiring import discover_commands
from handlers.contract import CommandRequest, Services
from handlers.profile import Role
from handlers.reply import File, Home, Reply, UserError
from handlers.workflows.oncall import Watch
from store.models import EventKind, EventSource, Reason
from store.tables import metadata
from store.unit import Store
from tests.builders import billing_email, event
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, legal
from tests.unit.handlers.test_run import SINCE, notices_of, run_of, texting

COMMANDS, _ = discover_commands()
READS: dict[str, tuple[str, ...]] = {
    "bounces": ("", "open", "page"),
    "diagnose": ("", "ask", "asked", "open", "more", "again"),
    "failures": ("", "cause", "export", "open", "run", "dismiss"),
    "find": ("", "ask", "asked", "open"),
    "help": ("", "menu", "open"),
    "home": ("", "opened", "refresh"),
    "incidents": ("", "open", "affected", "raw", "list"),
    "mail": ("", "trend", "drift"),
    "messages": ("", "ask", "asked", "open", "page", "timeline"),
    "queue": ("", "open", "list"),
    "run": ("dismiss", "left", "more", "ledger"),
    "spf": ("", "check", "open", "recheck"),
}
"""What people below an agent may do: looking, which is audited, and nothing else."""
NOTES = {"thread": ("said",)}
"""A viewer's note in a conversation's thread is kept on purpose; it is never sent (test_thread)."""
LEADS = {
    "proof": ("", "open", "ask", "make", "holding", "held", "keep", "released"),
    "escalate": ("mail",),
    "release": ("", "ask", "confirmed"),
    "resend": ("byroute", "test"),
    "run": ("", "ask", "asked", "start", "cancel", "who"),
    "trial": ("", "open", "send", "cancel"),
    "suspend": ("", "choose", "chosen", "check", "cancel", "open"),
    "unsuspend": ("undo",),
}


_NOT_PRESSED = {"failures.csv", "messages.addresses", "messages.look"}
"""A file's name, and audit rows that a variable names."""


def _actions() -> dict[str, set[str]]:
    """Every `command.action` in the source, less the names of audit rows, and the declared ones."""
    names = "|".join(COMMANDS)
    found = {name: {"", *command.spec.action_roles} for name, command in COMMANDS.items()}
    for file in (Path(__file__).parents[3] / "handlers").rglob("*.py"):
        source = file.read_text("utf-8")
        audited = set(re.findall(r'audit(?:_key)?\(\s*(?:\w+,\s*){1,2}"([a-z_.]+)"', source))
        for command, action in re.findall(rf'"({names})\.([a-z_]+)["\':]', source):
            if f"{command}.{action}" not in audited | _NOT_PRESSED:
                found[command].add(action)
    return found


ACTIONS = _actions()
ALL = [(command, action) for command in sorted(ACTIONS) for action in sorted(ACTIONS[command])]


def test_the_walk_knows_the_actions() -> None:
    assert {"send", "test", "text", "byroute"} <= ACTIONS["resend"]
    assert {"written", "send", "close", "chosen"} <= ACTIONS["thread"]
    assert {"chosen", "choose"} <= ACTIONS["suspend"]


@pytest.mark.parametrize(("command", "action"), ALL, ids=[f"{c}.{a}" for c, a in ALL])
def test_every_action_below_an_agent_s_is_known_to_only_read(command: str, action: str) -> None:
    if COMMANDS[command].spec.needs(action) < Role.AGENT:
        assert action in READS.get(command, ()) + NOTES.get(command, ()), "which role is it for?"


@pytest.mark.parametrize(("command", "action"), [(c, a) for c, names in LEADS.items() for a in names])
def test_what_is_for_leads_is_not_for_agents(command: str, action: str) -> None:
    assert COMMANDS[command].spec.needs(action) >= Role.LEAD


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_an_action_that_nobody_knows_needs_the_command_s_own_role(command: str) -> None:
    spec = COMMANDS[command].spec
    assert spec.needs("no_such_action") == spec.role


async def _snapshot(store: Store) -> Mapping[str, Sequence[Any]]:
    """Every row of every table but those that grow by looking: the audit trail, and what was found."""
    found = {}
    async with store.system() as tx:
        for table in metadata.sorted_tables:
            if table.name not in ("audit", "diagnoses"):
                rows = await tx.conn.execute(select(table))
                found[table.name] = sorted(map(repr, rows))
    return found


@pytest.fixture
async def town(store: Store, services: Services) -> Services:
    """A run with a dead mailbox, an incident, somebody healthy, somebody in trouble, a text in a thread."""
    desk = texting(services)
    await cast.dana(store)
    await cast.troubled(store)
    await cast.family(store)
    await cast.add(store, "3001", billing_email("p1@inbox.example"), invoices=("33001",))
    run = await run_of(desk, SINCE)
    items = {d.address: d.id for _, deliveries in await notices_of(store, run) for d in deliveries}
    dead = {
        "attempt": 0,
        "cls": "no_such_user",
        "hard": True,
        "reason": Reason.RECIPIENT,
        "diagnostic": "550 5.1.1 nobody",
    }
    ours = {"attempt": 0, "cls": "blocked_reputation", "reason": Reason.INFRASTRUCTURE}
    await cast.learn(store, event(items["p1@inbox.example"], EventKind.BOUNCED, **dead))
    await cast.learn(
        store, event(items["books@cedar.example"], EventKind.BOUNCED, diagnostic="550 not trusted", **ours)
    )
    await Watch(desk, 1).sweep()
    async with store.begin(1) as tx:
        for number in range(8):  # more than a page of them
            await tx.orphans.keep(
                source=EventSource.DSN,
                recipient=f"gone{number}@inbox.example",
                envelope_to="bounces@mail.cascade.example",
                summary="no_such_user: 550",
                raw=b"Subject: returned",
                cls="no_such_user",
            )
    return desk


async def _walk(agent: Agent) -> set[tuple[str, str]]:
    """Types everything that may be typed, then presses every button seen, each kind once."""
    typed = {
        "bounces": ("",),
        "diagnose": ("1001", "1260", "3001", "1100", "Cedar", "nobody"),
        "failures": ("", "run", "3 days"),
        "find": ("1001", "1260", "Cedar", "20001", "nobody"),
        "help": ("", "find"),
        "home": ("",),
        "incidents": ("",),
        "mail": ("",),
        "messages": ("1001", "20001", "nobody"),
        "queue": ("",),
        "spf": ("", "nested.example"),
    }
    left = [agent.request(command, text=text) for command, texts in typed.items() for text in texts]
    left += [agent.request(c, "asked", inputs={"query": "1001"}) for c in ("diagnose", "find", "messages")]
    left += [agent.request(c, "ask") for c in ("diagnose", "find", "messages")]
    left += [agent.request("home", "opened", value={"tab": "home"}), agent.request("run", "dismiss")]
    left += [agent.request("failures", "dismiss"), agent.request("bounces", "open")]
    left += [agent.request("mail", "drift"), agent.request("queue", "open")]
    left += [agent.request("queue", "list", value={"by": "send_mode"})]
    async with agent.services.store.read(1) as tx:
        (run,) = await tx.runs.latest()
        known = await tx.subscribers.by_account("3001")
        assert known is not None
    left += [agent.request("diagnose", "more", value={"s": str(known.id)})]
    left += [agent.request("run", action, value={"r": str(run.id)}) for action in ("left", "more")]
    left += [agent.request("failures", "run", value={"r": str(run.id)})]
    done: set[tuple[str, str]] = set()
    while left:
        request = left.pop(0)
        for reply in await _happens(agent, request):
            for action_id in buttons(reply):
                press = agent.press(reply, action_id)
                spec = COMMANDS[press.command].spec
                key = (press.command, press.action)
                if key not in done and agent.role >= spec.needs(press.action):
                    left.append(press)
        done.add((request.command, request.action))
    return done


async def _happens(agent: Agent, request: CommandRequest) -> list[Reply]:
    command = COMMANDS[request.command]
    assert agent.role >= command.spec.needs(request.action)
    try:
        answer = await agent.answer(request)
        found = [] if answer.done else await command.run(request, agent.services)
    except UserError:
        return []
    shown = [Reply("home", r.blocks) if isinstance(r, Home) else r for r in found if not isinstance(r, File)]
    return [r if any(isinstance(h, Home) for h in found) else legal(r) for r in shown]


async def test_whatever_a_viewer_does_changes_nothing(town: Services) -> None:
    before = await _snapshot(town.store)
    done = await _walk(agent_on(town, Role.VIEWER, "U_VIEWER"))
    assert await _snapshot(town.store) == before
    missed = {(c, a) for c, names in READS.items() for a in names} - done
    # Reached from a card of more than a page, and from a typed word that a button also carries.
    assert missed <= {
        ("help", "open"),
        ("messages", "page"),
        ("spf", "check"),
        ("spf", "open"),
        ("help", "menu"),
    }


async def test_nobody_sees_nothing_and_changes_nothing(town: Services) -> None:
    before = await _snapshot(town.store)
    stranger = agent_on(town, Role.NONE, "U_STRANGER")
    open_to_all = [(c, a) for c, a in ALL if COMMANDS[c].spec.needs(a) is Role.NONE]
    assert {c for c, _ in open_to_all} == {"home", "thread"}
    for command, action in [*open_to_all, ("home", "opened")]:
        value = {"thread_ts": "1750000000.000100", "ts": "1750000000.000200", "tab": "home"}
        request = stranger.request(command, action, value=value, text="hello")
        for reply in await COMMANDS[command].run(request, town):
            assert isinstance(reply, Home)
            assert buttons(Reply("", reply.blocks)) == {}
            shown = repr(reply.blocks)
            assert not re.search(r"\d", shown.replace("U_STRANGER", "")), "not even counts"
    assert await _snapshot(town.store) == before


def test_whoever_may_not_is_told_who_can() -> None:
    assert "admin" in (not_allowed(Role.AGENT, Role.NONE).next_step or "")
    assert "lead" in (not_allowed(Role.LEAD, Role.AGENT).next_step or "")
