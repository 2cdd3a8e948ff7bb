"""An agent at a desk without Slack: real services, real store, and every reply checked as legal Block Kit.

Golden files are renewed with RENEW_GOLDEN=1 in the environment; look at the diff before keeping it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.signing import ValueSigner
from handlers.contract import Actor, Command, CommandRequest, Services
from handlers.profile import Brand, Role, TenantProfile
from handlers.reply import Answer, Block, Modal, Reply
from notifier.channels import Route
from notifier.keys import Keyring
from sandbox.slack.blocks import check_blocks, check_view
from sandbox.slack.content import MOST_UPDATED, read_reply, suspicious
from sandbox.slack.rules import Surface
from tests.builders import DOMAIN, KEYRING

GOLDEN = Path(__file__).parent / "golden"
RENEW = "RENEW_GOLDEN"

RELAY = Route(
    name="visp",
    kind="relay",
    host="127.0.0.1",
    port=2525,
    envelope="verp",
    envelope_domain=DOMAIN[1],
    from_address="billing@cascade.example",
    from_name="Cascade Fiber Billing",
)


def profile(**more: Any) -> TenantProfile:
    fields: dict[str, Any] = {
        "id": 1,
        "key": "cascade",
        "brand": Brand("Cascade Fiber", "help@cascade.example", "541-555-0100"),
        "time_zone": ZoneInfo("America/Los_Angeles"),
        "locale": "en_US",
        "region": "US",
        "command": "/isp",
        "support_channel": "C_SUPPORT",
        "oncall_channel": "C_ONCALL",
        "routes": (RELAY,),
        "default_route": "visp",
        "required_include": "spf.visp.net",
        "send_mode": "live",
    }
    return TenantProfile(**(fields | more))


HOSTILE = {
    "broadcast": "<!channel> & <!here> <https://evil.example|https://bank.example>",
    "mention": "<@U_LEAD> approve <#C_SUPPORT>",
    "emoji": "😀" * 2500,
    "two huge words": "😀" * 1300 + " " + "é" * 5000,
    "ampersands": "&" * 4000,
    "markup": "*bold* _it_ ~no~ `code` ```fence``` >quote",
    "control": "Ann\x00\x07\x1b[31m\x7f\x85 Bell",
    "direction": "\u202egro.live\u202c \u2066x\u2069 \u200fy\u061c",
    "format": "{0} {name} {} %s {{x}}",
    "empty": "",
    "blank": " \t\n ",
    "lines": "Ann\n*Paid in full*\n:white_check_mark:",
    "surrogate": "half \ud83d of it",
}


def signed(blocks: Sequence[Block], keyring: Keyring = KEYRING) -> list[Block]:
    """As the rim would send them."""
    return ValueSigner(keyring).blocks(1, blocks)


def legal(reply: Reply) -> Reply:
    """The reply itself, once Slack would take it, quietly, and people who hear it learn something."""
    blocks = signed(reply.blocks)
    assert [str(fault) for fault in check_blocks(blocks, Surface.MESSAGE)] == []
    read_reply({"text": reply.text, "blocks": blocks})  # the total length too
    assert reply.text.strip(), "a reply needs a text for notifications and screen readers"
    assert suspicious(None, blocks) is None
    json.dumps(blocks, ensure_ascii=False).encode()
    return reply


def legal_modal(modal: Modal) -> Modal:
    view: dict[str, Any] = {
        "type": "modal",
        "callback_id": modal.callback,
        "title": {"type": "plain_text", "text": modal.title},
        "blocks": signed(modal.blocks),
    }
    if modal.submit:
        view["submit"] = {"type": "plain_text", "text": modal.submit}
    assert [str(fault) for fault in check_view(view, Surface.MODAL)] == []
    return modal


def _nodes(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _nodes(item)


def said(reply: Reply) -> str:
    """All that is read on the screen, one text a line."""
    kinds = ("mrkdwn", "plain_text")
    return "\n".join(str(n["text"]) for n in _nodes(list(reply.blocks)) if n.get("type") in kinds)


def obeyed(reply: Reply) -> str:
    """What Slack reads as markup; plain text is shown as it is."""
    return "\n".join(str(n["text"]) for n in _nodes(list(reply.blocks)) if n.get("type") == "mrkdwn")


def buttons(reply: Reply) -> dict[str, Mapping[str, Any]]:
    """action id -> what the button carries."""
    return {str(n["action_id"]): n["value"] for n in _nodes(list(reply.blocks)) if n.get("type") == "button"}


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TOKEN = re.compile(r"\bb[a-z2-7]{47}\b")


def golden(name: str, reply: Reply) -> None:
    """Compares the whole reply with golden/NAME.json; ids and tokens, which are random, by their order."""
    legal(reply)
    shape = {"text": reply.text, "to": reply.to, "blocks": list(reply.blocks)}
    text = json.dumps(shape, indent=1, ensure_ascii=False) + "\n"
    numbers: dict[str, str] = {}
    text = _UUID.sub(lambda m: numbers.setdefault(m.group(), f"id-{len(numbers) + 1}"), text)
    text = _TOKEN.sub("TOKEN", text)
    file = GOLDEN / f"{name}.json"
    if os.environ.get(RENEW):
        file.write_text(text, "utf-8")
    assert file.exists(), f"there is no golden {name}.json: run the tests once with {RENEW}=1"
    assert json.loads(text) == json.loads(file.read_text("utf-8")), f"{RENEW}=1 renews golden/{name}.json"


@dataclass
class Agent:
    """Somebody who types and presses; each time is an interaction of its own unless `id` says otherwise."""

    services: Services
    commands: Mapping[str, Command]
    role: Role = Role.AGENT
    user: str = "U_AGENT"
    channel: str = "C_SUPPORT"
    _serial: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def request(self, command: str, action: str = "", **more: Any) -> CommandRequest:
        fields: dict[str, Any] = {
            "tenant": 1,
            # As long as real ones: what is keyed by them has to fit its column.
            "id": hashlib.sha256(f"{self.user}-{next(self._serial)}".encode()).hexdigest(),
            "actor": Actor(self.user, self.role),
            "channel": self.channel,
        }
        return CommandRequest(**(fields | {"command": command, "action": action} | more))

    async def run(self, request: CommandRequest) -> Reply:
        (reply,) = await self.commands[request.command].run(request, self.services)
        assert isinstance(reply, Reply)
        return legal(reply)

    async def answer(self, request: CommandRequest) -> Answer:
        answer = await self.commands[request.command].answer(request, self.services)
        if answer.modal is not None:
            legal_modal(answer.modal)
        return answer

    async def types(self, text: str, **more: Any) -> Reply:
        """`resend 1001 to a@b.example`: a command and the rest."""
        command, _, rest = text.partition(" ")
        return await self.run(self.request(command, text=rest, **more))

    def press(self, reply: Reply, action_id: str, **more: Any) -> CommandRequest:
        """The interaction that pressing this button of this reply makes."""
        value = json.loads(json.dumps(dict(buttons(reply)[action_id])))
        command, _, action = action_id.partition(":")[0].partition(".")
        return self.request(command, action, **({"value": value} | more))

    async def presses(self, reply: Reply, action_id: str, **more: Any) -> Reply:
        return await self.run(self.press(reply, action_id, **more))


__all__ = ["HOSTILE", "MOST_UPDATED", "Agent", "buttons", "golden", "legal", "legal_modal", "profile", "said"]
