"""From the world's state to HTML: one function for each part of the page, templates beside this file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from sandbox.cast_mail import ISP_DOMAIN
from sandbox.page import times
from sandbox.page.commands import command_offers
from sandbox.page.mrkdwn import emoji, is_safe, linked, markdown, mrkdwn, plain, rich
from sandbox.page.phone import behaviour_words, dashed, status_words
from sandbox.page.scene import Scene
from sandbox.slack.call import Desk
from sandbox.slack.interactions import CHOSEN
from sandbox.slack.state import STATEFUL, initial, options_of
from sandbox.slack.workspace import CHANNELS, PEOPLE, USERS
from sandbox.world import World

MESSAGES_SHOWN = 100
WIRE_SHOWN = 150
WIRE_LOOKED_AT = 1000
"""Calls among which the wire list looks for problems."""
TINTS = 6
DRAWN_KEPT = 1000
"""Messages whose HTML is remembered."""


class Renderer:
    def __init__(self, world: World, desk: Desk) -> None:
        self._world = world
        self._desk = desk
        self._drawn: dict[str, Markup] = {}
        loader = FileSystemLoader(__file__.rpartition("/")[0])
        self._templates = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self._templates.filters.update(
            mrkdwn=mrkdwn, plain=plain, markdown=markdown, rich=rich, emoji=emoji, linked=linked
        )
        self._templates.filters.update(
            clock=times.clock, day=times.day, hour=times.hour, moment=times.moment, date_of=times.date_of
        )
        self._templates.filters.update(brief=lambda when: times.brief(when, world.clock.now()))
        self._templates.filters.update(pretty=_pretty, tint=_tint, initials=_initials, size=_size)
        self._templates.filters.update(dashed=dashed, status_words=status_words, doing=behaviour_words)
        self._templates.globals.update(
            text=_text_object, current=_current, options_of=options_of, safe_url=is_safe, users=USERS
        )
        self._templates.globals.update(channels=CHANNELS, entered=_entered_text, grouped=_grouped)

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)

    def page(self, scene: Scene, parts: dict[str, str], seq: int) -> str:
        # Each part escaped its own content.
        safe = {name: Markup(html) for name, html in parts.items()}  # noqa: S704
        return self._render(
            "page.html",
            scene=scene,
            people=PEOPLE,
            parts=safe,
            seq=seq,
            commands=command_offers(self._world.state_dir),
            zone=times.ZONE.key,
            title=self._channel_name(scene),
        )

    def _channel_name(self, scene: Scene) -> str:
        if scene.at_home or CHANNELS[scene.channel].is_im:
            return "ISP Bot"
        return f"#{CHANNELS[scene.channel].name}"

    def sidebar(self, scene: Scene) -> str:
        own = [one for one in self._desk.workspace.channels_of(scene.user.id) if not one.is_im]
        return self._render("sidebar.html", scene=scene, own=own)

    def news(self, scene: Scene) -> str:
        """The newest message of each channel, for the marks of what was not read."""
        channels = self._desk.workspace.channels_of(scene.user.id)
        newest = {one.id: self._desk.messages.newest(one.id, scene.user.id) for one in channels}
        return self._render("news.html", newest=newest)

    def messages(self, scene: Scene) -> str:
        if scene.at_home:
            return ""
        seen = self._desk.messages.visible(scene.channel, scene.user.id)
        top = [one for one in seen if one["thread_ts"] is None or one["broadcast"]]
        shown = scene.shown("messages", MESSAGES_SHOWN)
        return self._message_list(scene, top[-shown:], in_thread=False, earlier=len(top) > shown)

    def thread(self, scene: Scene) -> str:
        if not scene.thread or scene.at_home:
            return ""
        return self._message_list(
            scene,
            self._desk.messages.visible(scene.channel, scene.user.id, scene.thread),
            in_thread=True,
        )

    def _message_list(
        self,
        scene: Scene,
        messages: Sequence[dict[str, Any]],
        *,
        in_thread: bool,
        earlier: bool = False,
    ) -> str:
        rows = [{"ts": one["ts"], "html": self._message(scene, one, in_thread=in_thread)} for one in messages]
        return self._render("messages.html", scene=scene, rows=rows, in_thread=in_thread, earlier=earlier)

    def _message(self, scene: Scene, message: dict[str, Any], *, in_thread: bool) -> Markup:
        """One message, remembered as it was drawn: a busy channel changes a message at a time."""
        place = f"{message['channel']}:{message['ts']}"
        chosen = self._world.documents.get(CHOSEN, f"{place}:{scene.user.id}") or {"values": {}}
        replies = 0 if in_thread else len(self._desk.messages.replies(message))
        key = f"{place}:{message['edits']}:{replies}:{in_thread}:{scene.address()}:{chosen['values']}"
        known = self._drawn.pop(key, None)
        if known is None:
            html = self._render(
                "message.html",
                scene=scene,
                m=message,
                in_thread=in_thread,
                replies=replies,
                state=chosen["values"],
            )
            known = Markup(html)  # noqa: S704 - the template escaped its content
        self._drawn[key] = known  # the latest used last
        if len(self._drawn) > DRAWN_KEPT:
            del self._drawn[next(iter(self._drawn))]
        return known

    def home(self, scene: Scene) -> str:
        if not scene.at_home:
            return ""
        view = self._desk.views.home(scene.user.id)
        return self._render("home.html", scene=scene, view=view)

    def modal(self, scene: Scene) -> str:
        stack = self._desk.views.stack(scene.user.id)
        return self._render("modal.html", view=stack[-1], depth=len(stack)) if stack else ""

    def inbox(self, scene: Scene, mails: Sequence[dict[str, Any]], *, older: bool) -> str:
        return self._render("inbox.html", scene=scene, mails=mails, older=older)

    def mail(self, scene: Scene, mail: dict[str, Any] | None, behaviours: Sequence[dict[str, Any]]) -> str:
        address = mail["envelope_to"] if mail else scene.to if "@" in scene.to else ""
        set_for = {one.get("address") or one.get("domain"): one for one in behaviours}
        behaviour = set_for.get(address.lower()) or set_for.get(address.lower().rpartition("@")[2])
        shown = {k: v for k, v in (behaviour or {}).items() if k not in ("address", "domain")}
        return self._render("mail.html", mail=mail, address=address, behaviour=shown)

    def numbers(self, scene: Scene, rows: Sequence[dict[str, Any]], *, more: bool) -> str:
        return self._render("numbers.html", scene=scene, rows=rows, more=more)

    def phone(self, row: dict[str, Any] | None) -> str:
        return self._render("phone.html", row=row)

    def bubbles(self, texts: Sequence[dict[str, Any]], *, earlier: bool) -> str:
        return self._render("bubbles.html", texts=texts, earlier=earlier)

    def dns(self, records: Sequence[dict[str, Any]]) -> str:
        rows = [
            {**record, "lines": _dns_lines(record["values"]), "own": _is_own(record["name"])}
            for record in records
        ]
        return self._render("dns.html", records=sorted(rows, key=lambda row: not row["own"]))

    def product(self, state: Mapping[str, Any]) -> str:
        return self._render("product.html", **state)

    def process(self, state: Mapping[str, Any]) -> str:
        return self._render("process.html", **state)

    def clock(self) -> str:
        clock = self._world.clock
        return self._render("clock.html", now=clock.now(), offset_s=clock.offset_s)

    def wire(self, scene: Scene) -> str:
        """The newest calls, and the problems among more of them: a flood must not hide those."""
        entries = self._world.wire.since(self._world.wire.seq - WIRE_LOOKED_AT)
        shown = scene.shown("wire", WIRE_SHOWN)
        first = entries[-shown]["seq"] if len(entries) > shown else 0
        kept = [entry for entry in entries if entry["seq"] >= first or entry["problem"]]
        return self._render("wire.html", entries=list(reversed(kept)), older=len(entries) > shown)

    def badge(self) -> str:
        entries = self._world.wire.since(self._world.wire.seq - WIRE_LOOKED_AT)
        return self._render("badge.html", problems=sum(1 for entry in entries if entry["problem"]))


def _is_own(name: str) -> bool:
    """A record that the provider itself can change: the others play the rest of the world."""
    return name == ISP_DOMAIN or name.endswith(f".{ISP_DOMAIN}")


def _pretty(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _tint(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0] % TINTS


def _initials(name: str) -> str:
    return "".join(word[0] for word in name.split()[:2]).upper()


def _size(octets: int) -> str:
    return f"{octets} bytes" if octets < 1024 else f"{octets / 1024:.0f} KB"


def _text_object(value: dict[str, Any] | None) -> Markup:
    if not value:
        return Markup("")
    return mrkdwn(value["text"]) if value["type"] == "mrkdwn" else plain(value["text"])


def _current(element: dict[str, Any], block_id: str, state: dict[str, Any]) -> Any:
    """What is entered or chosen in an element now."""
    kind = element["type"]
    entry = state.get(block_id, {}).get(element["action_id"]) or initial(element)
    value = entry.get(STATEFUL[kind][0])
    if isinstance(value, dict) and "value" in value:
        return value["value"]
    if isinstance(value, list):
        return [one["value"] if isinstance(one, dict) else one for one in value]
    return value


def _entered_text(element: dict[str, Any], block_id: str, state: dict[str, Any]) -> str:
    """What an external select shows as chosen."""
    entry = state.get(block_id, {}).get(element["action_id"]) or initial(element)
    value = entry.get(STATEFUL[element["type"]][0])
    many = value if isinstance(value, list) else [value]
    return ", ".join(one["text"]["text"] for one in many if isinstance(one, dict))


def _grouped(element: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """[(group label, options)], the label empty for options without groups."""
    if element.get("option_groups"):
        return [(group["label"]["text"], group["options"]) for group in element["option_groups"]]
    return [("", element.get("options") or [])]


def _dns_lines(values: Any) -> str:
    if isinstance(values, str):
        return values
    return "\n".join(value if isinstance(value, str) else json.dumps(value) for value in values)
