"""What people do in Slack (commands, messages, presses, modals) and what their client makes of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from sandbox.slack.call import Desk
from sandbox.slack.content import read_reply, suspicious
from sandbox.slack.elements import check_options_answer
from sandbox.slack.errors import SlackError
from sandbox.slack.outbound import Answer, Dispatcher
from sandbox.slack.payloads import (
    action_entry,
    actor,
    button_value,
    channel_of,
    has_outsiders,
    message_event,
    typed_text,
)
from sandbox.slack.state import EXTERNAL, entered, find, matching, state_of
from sandbox.slack.workspace import (
    APP_ID,
    BOT_USER_ID,
    COMMANDS,
    SLACKBOT_ID,
    Channel,
    User,
)
from sandbox.world import ControlError

CHOSEN = "slack_chosen"


class Interactions:
    def __init__(self, desk: Desk, dispatcher: Dispatcher) -> None:
        self._desk = desk
        self._dispatcher = dispatcher

    # --- commands and messages ---------------------------------------------------------------------

    async def command(self, user: User, channel: Channel, typed: str) -> dict[str, Any]:
        name, _, text = typed.strip().partition(" ")
        if name not in COMMANDS:
            raise ControlError(f"{name or 'Nothing'} is no command of this workspace: {', '.join(COMMANDS)}.")
        response_url = self._desk.response_urls.issue(user.id, channel.id)
        fields = {
            "token": "unused",
            "team_id": user.team_id,
            "team_domain": user.team_domain,
            "channel_id": channel.id,
            "channel_name": channel.name,
            "user_id": user.id,
            "user_name": user.handle,
            "command": name,
            "text": text.strip(),
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": response_url,
            "trigger_id": self._desk.triggers.issue(user.id),
        }
        answer = await self._dispatcher.form("command", fields, user=user.id, text=typed)
        if answer.failure:
            self._slackbot(user, channel.id, f'{name} failed with the error "{answer.failure}"')
        else:
            self._command_ack(user, channel.id, name, answer.ack())
        return answer.control()

    def _command_ack(self, user: User, channel: str, name: str, ack: Any) -> None:
        """An acknowledgement may already be the reply: text, or JSON of a message."""
        if ack is None:
            return
        content = ack if isinstance(ack, Mapping) else {"text": ack}
        try:
            text, blocks = read_reply(content, newer=self._desk.newer_blocks)
        except SlackError as refusal:
            self._problem("command ack", refusal.sentence())
            self._slackbot(user, channel, f'{name} failed with the error "{refusal.code}"')
            return
        if trouble := suspicious(text, blocks):
            self._problem("command ack", trouble)
        visible = content.get("response_type") == "in_channel"
        self._desk.messages.add(
            channel, BOT_USER_ID, text, blocks=blocks, ephemeral_to=None if visible else user.id
        )

    async def message(
        self, user: User, channel: Channel, typed: str, thread_ts: str | None = None
    ) -> dict[str, Any]:
        if not typed.strip():
            raise ControlError("A message needs text.")
        if thread_ts is not None:
            root = self._desk.messages.get(channel.id, thread_ts)
            if root is None or root["ephemeral"]:
                raise ControlError(f"There is no message {thread_ts} in {channel.id} to reply to.", 404)
            thread_ts = str(root["thread_ts"] or root["ts"])
        text = typed_text(typed)
        message = self._desk.messages.add(channel.id, user.id, text, thread_ts=thread_ts)
        event = message_event(user, channel.id, message["ts"], text, thread_ts)
        events = [event]
        if f"<@{BOT_USER_ID}>" in text and not channel.is_im:
            mention = {k: v for k, v in event.items() if k != "channel_type"} | {"type": "app_mention"}
            events.append(mention)
        if not self._desk.workspace.is_member(channel, BOT_USER_ID):
            return {"ts": message["ts"], "ack_ms": None, "ack": None, "status": None}
        shared = has_outsiders(channel.id)
        answers = await asyncio.gather(*(self._dispatcher.event(one, ext_shared=shared) for one in events))
        worst = next((answer for answer in answers if not answer.ok), answers[0])
        return {"ts": message["ts"], **worst.control()}

    async def open_home(self, user: User, tab: str) -> dict[str, Any]:
        event: dict[str, Any] = {
            "type": "app_home_opened",
            "user": user.id,
            "channel": f"D_{user.id}",
            "tab": tab,
            "event_ts": self._desk.messages.next_ts(),
        }
        if (view := self._desk.views.home(user.id)) is not None and tab == "home":
            event["view"] = view
        return (await self._dispatcher.event(event)).control()

    async def shortcut(
        self, user: User, callback_id: str, channel: Channel | None, ts: str | None
    ) -> dict[str, Any]:
        payload = {**actor(user), "type": "shortcut", "callback_id": callback_id}
        payload |= {
            "trigger_id": self._desk.triggers.issue(user.id),
            "action_ts": self._desk.messages.next_ts(),
        }
        if channel is not None:
            message = self.seen(user, channel, str(ts))
            if message["ephemeral"]:
                raise ControlError("Message shortcuts are not offered on ephemeral messages.")
            payload |= {
                "type": "message_action",
                "channel": channel_of(channel.id),
                "message_ts": message["ts"],
                "message": self._desk.messages.api_view(message),
                "response_url": self._desk.response_urls.issue(user.id, channel.id, original_ts=ts),
            }
        return (await self._dispatcher.interaction(payload, user=user.id, callback_id=callback_id)).control()

    # --- presses and selections ----------------------------------------------------------------------

    def seen(self, user: User, channel: Channel, ts: str) -> dict[str, Any]:
        """The message, if this person can see it: an ephemeral of somebody else is not there."""
        message = self._desk.messages.get(channel.id, ts)
        if message is None or message["ephemeral_to"] not in (None, user.id):
            raise ControlError(f"{user.id} sees no message {ts} in {channel.id}.", 404)
        return message

    async def message_action(
        self, user: User, channel: Channel, ts: str, action_id: str, block_id: str | None, value: Any
    ) -> dict[str, Any]:
        message = self.seen(user, channel, ts)
        block, element = find(message["blocks"], action_id, block_id, value)
        place = self._message_place(user, message)
        use = await self._use(user, element, block, place, value)
        chosen = self._chosen(user, message)
        if element["type"] not in ("button", "overflow"):
            chosen.setdefault(block["block_id"], {})[element["action_id"]] = use
            self._desk.world.documents.put(CHOSEN, f"{channel.id}:{ts}:{user.id}", {"values": chosen})
            self._desk.world.changes.notify("slack")
        payload = {
            **actor(user),
            "type": "block_actions",
            **place,
            "trigger_id": self._desk.triggers.issue(user.id),
            "response_url": self._desk.response_urls.issue(user.id, channel.id, original_ts=ts),
            "state": {"values": state_of(message["blocks"], chosen)},
            "actions": [action_entry(block, element, use)],
        }
        answer = await self._dispatcher.interaction(payload, user=user.id, action_id=action_id, ts=ts)
        if answer.failure:
            self._slackbot(user, channel.id, f'That did not work: "{answer.failure}"')
        return self._pressed(answer)

    def _message_place(self, user: User, message: dict[str, Any]) -> dict[str, Any]:
        container: dict[str, Any] = {
            "type": "message",
            "message_ts": message["ts"],
            "channel_id": message["channel"],
            "is_ephemeral": message["ephemeral"],
        }
        if message["thread_ts"] is not None:
            container["thread_ts"] = message["thread_ts"]
        place: dict[str, Any] = {"container": container, "channel": channel_of(message["channel"])}
        if not message["ephemeral"]:
            place["message"] = self._desk.messages.api_view(message)
        return place

    def _chosen(self, user: User, message: dict[str, Any]) -> dict[str, Any]:
        """What this person chose in the message's selects so far."""
        key = f"{message['channel']}:{message['ts']}:{user.id}"
        kept = self._desk.world.documents.get(CHOSEN, key)
        return dict(kept["values"]) if kept else {}

    async def view_action(
        self, user: User, view_id: str, action_id: str, block_id: str | None, value: Any
    ) -> dict[str, Any]:
        view = self._desk.views.shown(user.id, view_id)
        block, element = find(view["blocks"], action_id, block_id, value)
        place = {"container": {"type": "view", "view_id": view_id}, "view": view}
        use = await self._use(user, element, block, place, value)
        if element["type"] not in ("button", "overflow"):
            self._desk.views.keep_state(view, block["block_id"], action_id, use)
        if block["type"] == "input" and not block.get("dispatch_action"):
            # Slack tells the app nothing about an input before the modal is submitted.
            return {"ack_ms": None, "ack": None, "status": None}
        payload = {
            **actor(user),
            "type": "block_actions",
            **place,
            "trigger_id": self._desk.triggers.issue(user.id, view_id if view["type"] == "modal" else None),
            "actions": [action_entry(block, element, use)],
        }
        answer = await self._dispatcher.interaction(payload, user=user.id, action_id=action_id, view=view_id)
        return self._pressed(answer)

    async def _use(
        self,
        user: User,
        element: dict[str, Any],
        block: dict[str, Any],
        place: dict[str, Any],
        value: Any,
    ) -> dict[str, Any]:
        """A button's value, or the new state of what was chosen or typed."""
        if element["type"] == "button":
            return button_value(element, value)
        offered: list[dict[str, Any]] = []
        if element["type"] in EXTERNAL and value not in (None, ""):
            offered = await self._offered(user, element, block, place, value)
        return entered(element, value, offered)

    def _pressed(self, answer: Answer) -> dict[str, Any]:
        if answer.ok and answer.ack() not in (None, {}):
            self._problem("block_actions ack", "Slack ignores the body of this acknowledgement")
        return answer.control()

    # --- options of external selects -------------------------------------------------------------------

    async def options(
        self, user: User, place: dict[str, Any], block: dict[str, Any], element: dict[str, Any], typed: str
    ) -> list[dict[str, Any]]:
        """What the app offers for the typed text; an answer that Slack would not show is a problem."""
        payload = {
            **actor(user),
            "type": "block_suggestion",
            **place,
            "block_id": block["block_id"],
            "action_id": element["action_id"],
            "value": typed,
        }
        answer = await self._dispatcher.interaction(payload, user=user.id, action_id=element["action_id"])
        ack = answer.ack()
        if not answer.ok:
            return []
        if not isinstance(ack, dict):
            self._problem("block_suggestion ack", "no options or option_groups in the answer")
            return []
        if faults := check_options_answer(ack).faults:
            self._problem("block_suggestion ack", "; ".join(str(fault) for fault in faults[:5]))
            return []
        groups = [ack, *(ack.get("option_groups") or [])]
        return [option for group in groups for option in group.get("options") or []]

    async def _offered(
        self, user: User, element: dict[str, Any], block: dict[str, Any], place: dict[str, Any], value: Any
    ) -> list[dict[str, Any]]:
        """Options as a person finds them: by typing the wanted text, else by opening the menu."""
        found: list[dict[str, Any]] = []
        for typed in value if isinstance(value, list) else [value]:
            for query in (str(typed), ""):
                options = await self.options(user, place, block, element, query)
                found += options
                if matching(options, typed, loosely=True) is not None:
                    break
        return found

    async def external_choice(
        self, user: User, view: dict[str, Any], block: dict[str, Any], element: dict[str, Any], value: Any
    ) -> dict[str, Any]:
        """The state after choosing `value` in a modal's external select."""
        place = {"container": {"type": "view", "view_id": view["id"]}, "view": view}
        return await self._use(user, element, block, place, value)

    def place_of(self, user: User, channel: Channel | None, ts: str | None, view_id: str | None) -> Any:
        """(blocks, place) of a message or a view, for asking options."""
        if view_id is not None:
            view = self._desk.views.shown(user.id, view_id)
            return view["blocks"], {"container": {"type": "view", "view_id": view_id}, "view": view}
        if channel is None or ts is None:
            raise ControlError("Say which: channel and ts of a message, or view_id.")
        message = self.seen(user, channel, ts)
        return message["blocks"], self._message_place(user, message)

    # --- shared ------------------------------------------------------------------------------------------

    def _slackbot(self, user: User, channel: str, text: str) -> None:
        self._desk.messages.add(channel, SLACKBOT_ID, text, ephemeral_to=user.id)

    def _problem(self, method: str, problem: str) -> None:
        self._desk.world.wire.record("slack", "in", method, "refused", 0.0, problem)
