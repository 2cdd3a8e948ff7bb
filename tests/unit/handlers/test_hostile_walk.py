"""A lead walks the whole desk, presses everything and fills in every dialog, while every name, note, reason,
server's answer and text is the same hostile text: all of it stays legal, harmless and without a crash.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.runner import error_reply
from bot.wiring import discover_commands, discover_surfaces
from handlers.blocks import spoken
from handlers.contract import CommandRequest
from handlers.profile import Role
from handlers.reply import File, Home, Modal, Reply, UserError
from handlers.workflows.oncall import Watch
from notifier.dsn import COMPLAINT_SURFACE
from store.models import EventKind, EventSource, Reason
from store.unit import Store
from tests.builders import billing_email, event, hold_of, mobile, note_of, package_record
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import services_on
from tests.unit.handlers.support import HOSTILE, MOST_UPDATED, Agent, buttons, legal, obeyed
from tests.unit.handlers.test_run import SINCE, notices_of, run_of
from tests.unit.handlers.texting import SMS, Texting, texting

COMMANDS, _ = discover_commands()
SURFACES = discover_surfaces()
TEXTS = {
    name: HOSTILE[name]
    for name in (
        "broadcast",
        "mention",
        "emoji",
        "ampersands",
        "control",
        "direction",
        "lines",
        "markup",
        "format",
    )
}
FORBIDDEN = ("<!channel", "<!here", "<@U_LEAD>", "approve <#C_SUPPORT", "<https://evil")
PHONE = "+15415550171"


async def _world(store: Store, text: str) -> Texting:
    desk = texting(services_on(store), sms=SMS)
    name = text[:200]
    rough = {"name": name, "address": name, "city": name[:80]}
    healthy = await cast.add(
        store, "1001", billing_email("p0@inbox.example"), mobile(PHONE), invoices=("20001",), **rough
    )
    await cast.add(store, "3001", billing_email("p1@inbox.example"), invoices=("33001",), **rough)
    await cast.add(
        store,
        "3002",
        billing_email("p2@inbox.example"),
        billing_email("p3@inbox.example"),
        invoices=("33002",),
        **rough,
    )
    async with store.begin(1) as tx:
        await tx.packages.upsert([package_record(healthy, name=text[:80])])
        await tx.notes.add(note_of(healthy, text=text[:500]))
        await tx.notes.add_hold(hold_of("3001", reason=text[:200]))
    run = await run_of(desk.services, SINCE)
    items = {d.address: d.id for _, deliveries in await notices_of(store, run) for d in deliveries}
    said: dict[str, Any] = {"attempt": 0, "diagnostic": text, "remote": text[:200]}
    await cast.learn(
        store,
        event(
            items["p1@inbox.example"],
            EventKind.BOUNCED,
            cls="no_such_user",
            hard=True,
            reason=Reason.RECIPIENT,
            **said,
        ),
        event(
            items["p2@inbox.example"],
            EventKind.BOUNCED,
            cls="blocked_reputation",
            reason=Reason.INFRASTRUCTURE,
            **said,
        ),
    )
    async with store.begin(1) as tx:
        for recipient in ("p0@inbox.example", text[:200], ""):
            await tx.orphans.keep(
                source=EventSource.DSN,
                recipient=recipient,
                envelope_to=text[:200],
                summary=text[:500],
                raw=f"Subject: {text}\n\n{text}".encode(),
                cls="no_such_user",
            )
        await tx.posts.want(COMPLAINT_SURFACE, str(items["p2@inbox.example"]), "C_SUPPORT")
    await cast.suppress(store, "p1@inbox.example")
    await Watch(desk.services, 1).sweep()
    for body in (text[:1600], "please cancel my internet", text[:300]):
        await desk.texts(body, PHONE)
    return desk


@dataclass
class Walker:
    agent: Agent
    text: str
    done: set[tuple[str, str]] = field(default_factory=set)
    left: list[CommandRequest] = field(default_factory=list)

    async def walk(self) -> None:
        while self.left:
            request = self.left.pop(0)
            key = (request.command, request.action)
            if request.action and key in self.done:
                continue
            self.done.add(key)
            for reply in await self._happens(request):
                self.sees(reply)

    def sees(self, reply: Reply) -> None:
        harmless(reply)
        self.left += [self.agent.press(reply, action_id) for action_id in buttons(reply)]

    async def _happens(self, request: CommandRequest) -> list[Reply]:
        try:
            answer = await self.agent.answer(request)
            if answer.modal is not None:
                self.left.append(self._sent(answer.modal))
            found = [] if answer.done else await COMMANDS[request.command].run(request, self.agent.services)
        except UserError as error:
            return [error_reply(error)]
        shown = []
        for reply in found:
            if isinstance(reply, Home):
                assert not any(bad in obeyed(Reply("home", reply.blocks)) for bad in FORBIDDEN)
            elif not isinstance(reply, File):
                shown.append(reply)
        return shown

    def _sent(self, modal: Modal) -> CommandRequest:
        """The dialog with what it opened with, and hostile text wherever one may write."""
        inputs = {}
        for block in modal.blocks:
            if block["type"] == "input":
                inputs[block["block_id"]] = self._typed(block["element"])
        command, _, action = modal.callback.partition(".")
        value = json.loads(json.dumps(dict(modal.carry or {})))
        return self.agent.request(command, action, value=value, inputs=inputs)

    def _typed(self, element: Mapping[str, Any]) -> str:
        match element["type"]:
            case "static_select":
                return str((element.get("initial_option") or element["options"][0])["value"])
            case "datepicker":
                return str(element.get("initial_date", "2026-03-20"))
            case "users_select":
                return "U_AGENT"
        return self.text[: element.get("max_length", 3000)]


def harmless(reply: Reply) -> None:
    legal(reply)
    assert len(spoken(reply.text)) <= MOST_UPDATED
    for bad in FORBIDDEN:
        assert bad not in obeyed(reply), reply.text


def _typed() -> Iterator[tuple[str, str]]:
    for account in ("1001", "3001", "3002"):
        for command in (
            "find",
            "diagnose",
            "messages",
            "contact",
            "ask",
            "escalate",
            "note",
            "hold",
            "text",
            "suspend",
            "unsuspend",
        ):
            yield command, account
    yield from (("resend", rest) for rest in ("20001", "20001 by text", "33001", "33002 to x@inbox.example"))
    yield from (("run", "overdue"), ("run", "issued since 2026-02-01"), ("release", "p1@inbox.example"))
    yield from (
        (name, "") for name in ("bounces", "failures", "incidents", "help", "home", "spf", "run", "trial")
    )


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_nothing_hostile_breaks_or_commands_anything_anywhere(sqlite_store: Store, text: str) -> None:
    desk = await _world(sqlite_store, text)
    walker = Walker(desk.agent(Role.ADMIN, "U_ADMIN"), text)
    walker.left = [walker.agent.request(command, text=rest) for command, rest in _typed()]
    walker.left += [walker.agent.request(command, text=text[:500]) for command in COMMANDS]
    await walker.walk()
    drawn = set()
    for _ in range(2):  # what the posts' own buttons lead to, and what that posts
        for post in await desk.posts():
            reply = await SURFACES[post.surface].draw(desk.services, 1, post.key)
            if reply is not None:
                drawn.add(post.surface)
                walker.sees(reply)
        await walker.walk()
    assert len(drawn) >= 6, drawn
    assert len(walker.done) >= 60, walker.done
