"""Slack's side of the bot: verify the raw bytes, understand the payload, answer within 3 s, persist, ack.

Bolt routes and acknowledges; nothing runs after its ack but what stands in the inbox. Verified before Bolt
sees it, since Bolt answers 500 to several forgeries (facts: Slack, request verification).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.inbox import Inbox, InboxFull
from bot.respond import URL_PURPOSE, Responder
from bot.roles import RoleBook
from bot.runner import Runner, error_reply, not_allowed, reference
from bot.shortcuts import BY_CALLBACK, which_one
from bot.signing import ForgedValue, StaleValue, ValueSigner, base_action
from handlers.blocks import actions, button, plain, section, spoken
from handlers.contract import Actor, Command, CommandRequest, Services
from handlers.intents import redact_cards
from handlers.pointers import pointers
from handlers.profile import Role
from handlers.reply import Answer, Modal, Reply, UserError
from handlers.typed import plain_text
from notifier.keys import Keyring
from store.models import Interaction, InteractionKind
from store.unit import Store

log = structlog.get_logger()
WINDOW_S = 300
ROLE_S = 1.0
BACKLOG = 2000
ANY = re.compile(".*")
THREAD, HOME = "thread", "home"
"""The commands that hear what people write in threads, and that fill App Home."""
_MENTION = re.compile(r"^\s*<@[UW][A-Z0-9_]+(?:\|[^>]*)?>")
Ack = Callable[..., Awaitable[Any]]


def verified(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Slack's v0 signature over the raw body, at most 300 s old, compared in constant time."""
    stamp, signature = headers.get("X-Slack-Request-Timestamp", ""), headers.get("X-Slack-Signature", "")
    if not re.fullmatch(r"[0-9]{1,12}", stamp) or not signature.isascii():
        return False
    if abs(now_s - int(stamp)) > WINDOW_S:
        return False
    mac = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={mac}", signature)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A Slack payload, understood."""

    kind: InteractionKind
    dedupe: str
    team: str
    user: str
    channel: str
    command: str
    action: str = ""
    text: str = ""
    value: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    response_url: str = ""
    trigger_id: str = ""
    message_ts: str = ""
    """Of a press: the message that everybody sees and that bears the button; empty for one of their own."""
    modal: Modal | None = None
    """The dialog that this opens, instead of what the command would answer."""


class SlackRim:
    def __init__(
        self,
        *,
        store: Store,
        services: Services,
        commands: Mapping[str, Command],
        aliases: Mapping[str, str],
        teams: Mapping[str, int],
        clients: Mapping[int, AsyncWebClient],
        bot_tokens: Mapping[int, str],
        signing_secret: str,
        signer: ValueSigner,
        roles: RoleBook,
        inbox: Inbox,
        runner: Runner,
        responder: Responder,
        keyring: Keyring,
    ) -> None:
        self._store, self._services, self._commands, self._aliases = store, services, commands, aliases
        self._teams, self._clients, self._secret, self._signer = teams, clients, signing_secret, signer
        self._roles, self._inbox, self._runner, self._keyring = roles, inbox, runner, keyring
        self._responder = responder
        # Either of these silently switches Bolt to OAuth and drops the token (measured).
        for name in ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"):
            os.environ.pop(name, None)

        async def authorize(team_id: str | None, **_: Any) -> AuthorizeResult:
            tenant = teams.get(team_id or "", next(iter(teams.values())))
            return AuthorizeResult(
                enterprise_id=None, team_id=team_id, bot_token=bot_tokens[tenant], bot_user_id="", bot_id=""
            )

        # Otherwise Bolt acknowledges events by itself, before they are on disk, and Slack sends each once.
        self._app = AsyncApp(
            authorize=authorize,
            request_verification_enabled=False,
            ssl_check_enabled=False,
            process_before_response=True,
        )
        self._telling: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[Role]] = set()
        self._register()

    def _register(self) -> None:
        app = self._app

        @app.command(ANY)
        async def on_command(ack: Ack, body: dict[str, Any]) -> None:
            await self._guarded(ack, body, self._command)

        @app.action(ANY)
        async def on_action(ack: Ack, body: dict[str, Any]) -> None:
            await self._guarded(ack, body, self._action)

        @app.shortcut(ANY)
        async def on_shortcut(ack: Ack, body: dict[str, Any]) -> None:
            await self._guarded(ack, body, self._shortcut)

        @app.view(ANY)
        async def on_view(ack: Ack, body: dict[str, Any]) -> None:
            await self._guarded(ack, body, self._submission)

        @app.view_closed(ANY)
        async def on_closed(ack: Ack) -> None:
            await ack()

        @app.options(ANY)
        async def on_options(ack: Ack) -> None:
            await ack(options=[])

        @app.event(ANY)
        async def on_event(ack: Ack, body: dict[str, Any], event: dict[str, Any]) -> None:
            if str(event.get("type", "")).startswith("subteam_"):
                self._roles.forget_groups()
            if _is_addressed(event):
                await self._guarded(ack, body, self._addressed)
            elif _is_said_in_thread(event, body) and THREAD in self._commands:
                await self._guarded(ack, body, self._said_in_thread)
            elif _is_home_opened(event) and HOME in self._commands:
                await self._guarded(ack, body, self._home_opened)
            else:
                await ack()

    async def handle(self, request: web.Request) -> web.Response:
        """POST /slack/events: commands, interactions and events."""
        body = await request.read()
        # Without a secret (Socket Mode) nothing that comes by HTTP can be Slack's.
        if not self._secret or not verified(self._secret, request.headers, body, time.time()):
            log.warning("slack_signature_refused", size=len(body))
            return web.Response(status=401, text="The signature is not valid.")
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            return web.Response(status=400, text="The body is not UTF-8.")
        if self._too_much:
            return web.Response(status=503, text="Too much at once. Try again.", headers={"Retry-After": "1"})
        try:
            with self._runner.asked:
                response = await self._app.async_dispatch(await to_bolt_request(request))
        except Exception as error:
            log.exception("slack_payload_unreadable", size=len(body), error=type(error).__name__)
            return _unreadable()
        # Signed, yet of no shape that Slack sends: Bolt raises for some of these and answers 500 for others.
        return _unreadable() if response.status >= 500 else await to_aiohttp_response(response)

    @property
    def _too_much(self) -> bool:
        return self._inbox.full or self._runner.backlog >= BACKLOG

    async def take(self, request: SocketModeRequest) -> BoltResponse | None:
        """What came over a connection of ours (Socket Mode), with the same handlers. None: it must not be
        acknowledged, so that Slack sends it again or tells the person."""
        if self._too_much:
            log.warning("slack_socket_too_much")
            return None
        try:
            with self._runner.asked:
                response = await run_async_bolt_app(self._app, request)
        except Exception as error:
            log.exception("slack_payload_unreadable", type=request.type, error=type(error).__name__)
            return None
        return response if response.status == 200 else None

    async def _guarded(
        self, ack: Ack, body: Mapping[str, Any], understand: Callable[[Mapping[str, Any]], Incoming]
    ) -> None:
        """Nothing may escape: an exception soon after ack() would erase it (measured)."""
        ref = reference()
        problem: UserError | None = None
        try:
            await self._take(ack, understand(body))
        except UserError as error:
            problem = error
        except StaleValue:
            problem = UserError("This button is too old to be used.", "Ask for it again.")
        except ForgedValue:
            log.warning("forged_value")
            problem = UserError("This button is not one of mine.", "Ask for it again.")
        except InboxFull:
            problem = UserError("There is too much going on this second.", "Try again in a moment.")
        except Exception as error:
            log.exception("slack_request_failed", reference=ref, error=type(error).__name__)
            problem = UserError(
                f"Something went wrong on our side. Reference {ref}.", "Try again in a minute."
            )
        if problem is not None:
            await self._say(ack, body, problem)

    async def _say(self, ack: Ack, body: Mapping[str, Any], error: UserError) -> None:
        """A sentence where the person looks: a command's answer, the dialog, or below the button."""
        reply = error_reply(error)
        if "view" in body and body.get("type") == "view_submission":
            view = {
                "type": "modal",
                "title": plain("That did not work", 24),
                "close": plain("Close", 24),
                "blocks": list(reply.blocks),
            }
            await ack(response_action="update", view=view)
        elif body.get("type") == "event_callback":
            await ack()  # events are acknowledged and nothing else; strangers are not answered
        elif body.get("type") in ("block_actions", "message_action", "shortcut"):
            await ack()
            # Beside it: whoever waits for the sentence waits less badly than for the button.
            telling = asyncio.create_task(self._below(body, reply))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
        else:
            await ack(text=spoken(reply.text), blocks=list(reply.blocks), response_type="ephemeral")

    async def told(self) -> None:
        """Until every sentence about a refused press is out, and every role is known that was asked for."""
        await asyncio.gather(*self._telling, *self._asking)

    async def _below(self, body: Mapping[str, Any], reply: Reply) -> None:
        """By the button's response_url; one on App Home or in a dialog has none, so by direct message."""
        url, tenant = str(body.get("response_url", "")), self._teams.get(_team_of(body))
        if url:
            await self._responder.tell(url, reply)
        if url or tenant is None:
            return
        try:
            await self._responder.directly(tenant, body["user"]["id"], reply)
        except (SlackApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("reply_refused", error=type(error).__name__)

    async def _take(self, ack: Ack, incoming: Incoming) -> None:
        tenant = self._teams.get(incoming.team)
        if tenant is None:
            raise UserError(
                "This support desk belongs to another organisation.", "Ask your own desk, or its admin."
            )
        command = self._commands.get(incoming.command)
        if command is None:
            raise UserError("This button is from an older version.", "Ask for it again.")
        role = await self._role_in_time(tenant, incoming.user)
        needed = command.spec.needs(incoming.action)
        if role is not None and role < needed:
            raise not_allowed(needed, role)
        request = CommandRequest(
            tenant=tenant,
            id=_hashed(incoming.dedupe),
            actor=Actor(incoming.user, role or Role.NONE),
            channel=incoming.channel,
            command=incoming.command,
            action=incoming.action,
            text=incoming.text,
            value=incoming.value,
            inputs=incoming.inputs,
        )
        if incoming.modal is not None:
            answer = Answer(modal=incoming.modal, done=True)
        else:
            answer = await command.answer(request, self._services)
        if answer.errors is not None:
            await ack(response_action="errors", errors=dict(answer.errors.errors))
            return
        if answer.modal is not None:
            if role is None:  # a dialog may show people: nobody sees it before we know who they are
                raise UserError("Slack did not tell me your role in time.", "Try it once more.")
            if incoming.kind is InteractionKind.SUBMIT:
                # The next page of the same dialog: a second one would only hide the first.
                await ack(response_action="update", view=self._view(answer.modal, incoming, tenant))
                return
            await self._open(answer.modal, incoming, tenant)
        if not answer.done:
            item = self._interaction(incoming, tenant)
            if await self._inbox.put(item):
                self._runner.start(item)
        await ack()

    async def _role_in_time(self, tenant: int, user: str) -> Role | None:
        """None when Slack does not tell a group's members in time: the runner asks again, after the ack.

        The question goes on beside it: whoever tries again is known by then.
        """
        asking = asyncio.create_task(self._roles.role_of(tenant, user))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        done, _ = await asyncio.wait([asking], timeout=ROLE_S)
        return asking.result() if done else None

    def _view(self, modal: Modal, incoming: Incoming, tenant: int) -> dict[str, Any]:
        carry = {"v": dict(modal.carry or {}), "c": incoming.channel}
        view = {
            "type": "modal",
            "callback_id": modal.callback,
            "title": plain(modal.title, 24),
            "close": plain("Cancel", 24),
            "blocks": self._signer.blocks(tenant, modal.blocks),
            "private_metadata": self._signer.sign(tenant, modal.callback, carry),
        }
        if modal.submit:
            view["submit"] = plain(modal.submit, 24)
        return view

    async def _open(self, modal: Modal, incoming: Incoming, tenant: int) -> None:
        view = self._view(modal, incoming, tenant)
        try:
            await self._clients[tenant].views_open(trigger_id=incoming.trigger_id, view=view)
        except SlackApiError as error:
            if error.response.get("error") not in ("expired_trigger_id", "exchanged_trigger_id"):
                raise
            # A trigger lives 3 s and opens once; a button makes a new one.
            again = button(
                "Continue", f"{incoming.command}.{incoming.action}", incoming.value, style="primary"
            )
            blocks = [section("That took too long to open."), *actions(again)]
            late = Reply("That took too long to open.", self._signer.blocks(tenant, blocks))
            await self._responder.tell(incoming.response_url, late)

    def _interaction(self, incoming: Incoming, tenant: int) -> Interaction:
        url = incoming.response_url.encode()
        return Interaction(
            tenant=tenant,
            id=_hashed(incoming.dedupe),
            kind=incoming.kind,
            payload={
                "user": incoming.user,
                "channel": incoming.channel,
                "command": incoming.command,
                "action": incoming.action,
                "text": incoming.text,
                "value": dict(incoming.value),
                "inputs": dict(incoming.inputs),
                "message_ts": incoming.message_ts,
            },
            received_at=self._store.clock(),
            response_url=self._keyring.encrypt(URL_PURPOSE, url) if url else b"",
            attempt=1,
        )

    def _command(self, body: Mapping[str, Any]) -> Incoming:
        """Typed text."""
        command, action, remaining = self._read(plain_text(str(body.get("text", ""))))
        return Incoming(
            kind=InteractionKind.COMMAND,
            dedupe=_identity(body),
            team=str(body.get("team_id", "")),
            user=str(body.get("user_id", "")),
            channel=str(body.get("channel_id", "")),
            command=command,
            action=action,
            text=remaining,
            response_url=str(body.get("response_url", "")),
            trigger_id=str(body.get("trigger_id", "")),
        )

    def _addressed(self, body: Mapping[str, Any]) -> Incoming:
        """A direct message or a mention is read as if it had been typed behind the command."""
        event = body["event"]
        text = plain_text(_MENTION.sub("", str(event.get("text", "")), count=1))
        command, action, remaining = self._read(text)
        return Incoming(
            kind=InteractionKind.EVENT,
            dedupe=str(body.get("event_id") or _identity(body)),
            team=str(event.get("user_team") or body.get("team_id", "")),
            user=str(event.get("user", "")),
            channel=str(event.get("channel", "")),
            command=command,
            action=action,
            text=remaining,
            # Answered there; a command that names nobody is about whom the thread is about.
            value={"thread_ts": str(event["thread_ts"])} if event.get("thread_ts") else {},
        )

    def _said_in_thread(self, body: Mapping[str, Any]) -> Incoming:
        """A person wrote below a message in a channel; the command decides whether that thread is ours."""
        event = body["event"]
        return Incoming(
            kind=InteractionKind.EVENT,
            dedupe=str(body.get("event_id") or _identity(body)),
            team=str(event.get("user_team") or body.get("team_id", "")),
            user=str(event.get("user", "")),
            channel=str(event.get("channel", "")),
            command=THREAD,
            action="said",
            # A note, never a look-up: people paste card numbers that were read to them on the telephone.
            text=redact_cards(plain_text(str(event.get("text", "")))),
            value={"thread_ts": str(event["thread_ts"]), "ts": str(event.get("ts", ""))},
        )

    def _home_opened(self, body: Mapping[str, Any]) -> Incoming:
        event = body["event"]
        return Incoming(
            kind=InteractionKind.EVENT,
            dedupe=str(body.get("event_id") or _identity(body)),
            team=str(body.get("team_id", "")),
            user=str(event.get("user", "")),
            channel="",
            command=HOME,
            action="opened",
            value={"tab": str(event.get("tab", "home"))},
        )

    def _read(self, text: str) -> tuple[str, str, str]:
        """(command, action, the rest): the first word is a command or an alias, else all is looked up."""
        word, _, rest = text.partition(" ")
        name = self._aliases.get(word.casefold())
        if not text:
            return "help", "menu", ""
        return (name, "", rest.strip()) if name else ("find", "", text)

    def _action(self, body: Mapping[str, Any]) -> Incoming:
        pressed = body["actions"][0]
        action_id = base_action(pressed["action_id"])
        command, _, action = action_id.partition(".")
        team = _team_of(body)
        tenant = self._teams.get(team)
        value: Mapping[str, Any] = {}
        chosen = _chosen(pressed) if pressed.get("type") != "button" else ""
        if tenant is not None and pressed.get("type") == "button" and "value" in pressed:
            value = self._signer.read(tenant, action_id, pressed["value"], self._max_age(command, action))
        return Incoming(
            kind=InteractionKind.ACTION,
            dedupe=_identity(body),
            team=team,
            user=body["user"]["id"],
            # On App Home there is no channel: what is to be followed is followed in the direct message.
            channel=(body.get("channel") or {}).get("id", "") or body["user"]["id"],
            command=command,
            action=action,
            value=value,
            inputs={action_id: chosen} if chosen else {},
            response_url=str(body.get("response_url", "")),
            trigger_id=str(body.get("trigger_id", "")),
            message_ts=_shared_message(body),
        )

    def _max_age(self, command: str, action: str) -> timedelta:
        known = self._commands.get(command)
        default = timedelta(days=30)
        return known.spec.action_max_age.get(action, default) if known else default

    def _shortcut(self, body: Mapping[str, Any]) -> Incoming:
        """Of a message or of everywhere (bot.shortcuts): runs, asks which one, or opens the dialog."""
        shortcut = BY_CALLBACK.get(str(body.get("callback_id", "")))
        if shortcut is None:
            word = next(iter(self._services.tenants.values())).command
            raise UserError("This shortcut is from an older version.", f"Type `{word}` instead.")
        team = _team_of(body)
        tenant, message = self._teams.get(team), body.get("message") or {}
        found: list[str] = []
        if shortcut.on_message and tenant is not None:
            found = pointers(_all_text(message), self._services.profile(tenant).region)
        channel = (body.get("channel") or {}).get("id", "") or body["user"]["id"]
        thread = str(message.get("thread_ts", ""))
        return Incoming(
            kind=InteractionKind.ACTION,
            dedupe=_identity(body),
            team=team,
            user=body["user"]["id"],
            channel=channel,
            command=shortcut.command,
            action="" if len(found) == 1 else "ask",
            text=found[0] if len(found) == 1 else "",
            value={"thread_ts": thread} if thread else {},
            response_url=str(body.get("response_url", "")),
            trigger_id=str(body.get("trigger_id", "")),
            modal=which_one(shortcut, found) if len(found) > 1 else None,
        )

    def _submission(self, body: Mapping[str, Any]) -> Incoming:
        view = body["view"]
        command, _, action = str(view["callback_id"]).partition(".")
        team = _team_of(body)
        tenant = self._teams.get(team)
        carried: Mapping[str, Any] = {}
        if tenant is not None:
            carried = self._signer.read(tenant, view["callback_id"], view["private_metadata"])
        content = json.dumps([view["id"], view.get("hash"), view["state"]["values"]], sort_keys=True)
        return Incoming(
            kind=InteractionKind.SUBMIT,
            dedupe=str(body.get("trigger_id") or content),
            team=team,
            user=body["user"]["id"],
            channel=carried.get("c", ""),
            command=command,
            action=action,
            value=carried.get("v", {}),
            inputs=_inputs(view["state"]["values"]),
            trigger_id=str(body.get("trigger_id", "")),
        )


def _unreadable() -> web.Response:
    return web.Response(status=400, text="The payload is not one that Slack sends.")


def _inputs(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
    """block id -> what was typed or chosen (a dialog has one element a block)."""
    return {
        block_id: _chosen(element) for block_id, elements in values.items() for element in elements.values()
    }


def _chosen(element: Mapping[str, Any]) -> str:
    """What stands in an input or was chosen in a menu; empty for nothing."""
    option = element.get("selected_option") or {}
    simple = (element.get(key) for key in ("value", "selected_user", "selected_date", "selected_time"))
    return str(next(filter(None, simple), None) or option.get("value") or "")


def _all_text(message: Mapping[str, Any]) -> str:
    """What a message says: its text, and that of its blocks where a bot wrote it."""
    said = [str(message.get("text", ""))]

    def walk(item: Any) -> None:
        if isinstance(item, Mapping):
            if isinstance(item.get("text"), str):
                said.append(item["text"])
            for value in item.values():
                walk(value)
        elif isinstance(item, list):
            for value in item:
                walk(value)

    walk(message.get("blocks"))
    return "\n".join(said)


def _team_of(body: Mapping[str, Any]) -> str:
    """The organisation of whoever pressed: an outsider's own, in a shared channel."""
    user, team = body.get("user") or {}, body.get("team") or {}
    return str(user.get("team_id") or team.get("id") or "")


def _identity(body: Mapping[str, Any]) -> str:
    """One per press or command; the whole body where Slack gives none, lest two strangers be one."""
    return str(body.get("trigger_id") or json.dumps(body, sort_keys=True, default=str))


def _hashed(dedupe: str) -> str:
    return hashlib.sha256(dedupe.encode()).hexdigest()


def _is_addressed(event: Mapping[str, Any]) -> bool:
    """Somebody speaks to us: a mention, or a message of a person in our direct messages."""
    if event.get("bot_id") or event.get("subtype") or not event.get("user"):
        return False
    direct = event.get("type") == "message" and event.get("channel_type") == "im"
    return direct or event.get("type") == "app_mention"


def _is_home_opened(event: Mapping[str, Any]) -> bool:
    """The Home tab came into view; its Messages tab tells the same with another `tab`."""
    return event.get("type") == "app_home_opened" and event.get("tab", "home") == "home"


def _is_said_in_thread(event: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """A person's message below another one, in a channel. A broadcast reply is one too.

    One that begins with our own name is a command: it comes again as an app_mention.
    """
    mention = _MENTION.match(str(event.get("text", "")))
    if mention and any(str(a.get("user_id")) in mention.group() for a in body.get("authorizations") or ()):
        return False
    if event.get("bot_id") or not event.get("user") or event.get("type") != "message":
        return False
    if event.get("subtype") not in (None, "thread_broadcast", "file_share"):
        return False
    return bool(event.get("thread_ts")) and event["thread_ts"] != event.get("ts")


def _shared_message(body: Mapping[str, Any]) -> str:
    """The ts of the pressed message, unless only the presser sees it."""
    container = body.get("container") or {}
    return "" if container.get("is_ephemeral") else str(container.get("message_ts", ""))
