"""Carries interactions out from their rows: runs the handler, tells the asker, marks the row done.

What was left by a dead process is taken up again; every write of a handler is keyed by interaction and
step, so that a second run changes nothing twice. Permission is checked here, when the thing happens.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError

from bot.groups import GROUPED, MOST, Groups
from bot.quiet import Quiet
from bot.respond import Responder
from bot.roles import RoleBook
from handlers import sms_replies, webhooks
from handlers.blocks import context, md, section
from handlers.contract import Actor, Command, CommandRequest, NotYet, Services
from handlers.profile import Role
from handlers.reply import File, Home, Reply, UserError
from handlers.workflows.thread_subject import subject
from notifier import dsn
from notifier.keys import Keyring
from store.models import EventSource, Interaction, InteractionKind, Unmatched
from store.unit import Store

log = structlog.get_logger()
MAX_ATTEMPTS = 5
EVERYTHING = 100_000
BILLING_AT_ONCE = 20
"""Events of a billing system that wait for its answer; those about one client share it."""
REMATCH_AT_START, REMATCH_EVERY = timedelta(days=7), timedelta(minutes=10)
"""Unmatched bounce reports are tried again: those of a week at the start, then what is new twice."""


def reference() -> str:
    """What an agent quotes and the log has; without letters that are mistaken for each other."""
    return "".join(secrets.choice("23456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(8))


def error_reply(error: UserError) -> Reply:
    blocks = [section(md(":warning: {}", error.sentence))]
    if error.next_step:
        blocks.append(context(md("{}", error.next_step)))
    return Reply(error.sentence, blocks)


def failure_reply(ref: str) -> Reply:
    text = f"Something went wrong on our side, and nothing more was done. Reference {ref}."
    return Reply(
        text,
        [
            section(md(":x: Something went wrong on our side, and nothing more was done.")),
            context(
                md("Try again in a minute. If it stays, give whoever runs this bot the reference *{}*.", ref)
            ),
        ],
    )


def not_allowed(needed: Role, actual: Role) -> UserError:
    if actual is Role.NONE:
        return UserError(
            "You are not on this desk's list, so I cannot show you customers.",
            "Ask an admin of the desk to add you.",
        )
    return UserError(
        f"Your role here, {actual.name.lower()}, is not enough for that.",
        f"Somebody with the role {needed.name.lower()} can do it.",
    )


class Runner:
    def __init__(
        self,
        *,
        store: Store,
        services: Services,
        commands: Mapping[str, Command],
        roles: RoleBook,
        responder: Responder,
        keyring: Keyring,
        worker: str,
        lease_s: float,
        mx_hosts: dsn.MxHosts = dsn.no_hosts,
        at_once: int = 50,
        bounces_at_once: int = 8,
        texts_at_once: int = 8,
    ) -> None:
        self._store, self._services, self._commands, self._roles = store, services, commands, roles
        self._responder, self._keyring = responder, keyring
        self._worker, self._lease_s = worker, lease_s
        self._mx_hosts = mx_hosts
        self._desk = {tenant: profile.support_channel for tenant, profile in services.tenants.items()}
        # Of their own: ten thousand bounces or texts must not stand before a person's command.
        self._slots = asyncio.Semaphore(at_once)
        self._slots_of = {
            InteractionKind.DSN: asyncio.Semaphore(bounces_at_once),
            InteractionKind.SMS: asyncio.Semaphore(texts_at_once),
            InteractionKind.SMS_STATUS: asyncio.Semaphore(bounces_at_once),
            InteractionKind.BILLING: asyncio.Semaphore(BILLING_AT_ONCE),
        }
        self._groups = Groups(store, keyring, mx_hosts=mx_hosts, desk=self._desk)
        self._gathering: dict[InteractionKind, list[Interaction]] = {kind: [] for kind in GROUPED}
        self._at_groups: set[InteractionKind] = set()
        """Kinds of which a group is being carried out."""
        self.asked = Quiet()
        """Entered by whoever waits for an acknowledgement."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: set[tuple[int, str]] = set()
        self._look: asyncio.Task[None] | None = None
        """At what still waits; nobody has to wait for it."""

    def start(self, item: Interaction) -> None:
        """Runs it in the background; the row remembers it should this process die."""
        if item.kind in GROUPED and item.attempt == 1:  # what failed before is tried by itself
            self._running.add((item.tenant, item.id))
            self._gathering[item.kind].append(item)
            if item.kind not in self._at_groups:
                self._at_groups.add(item.kind)
                self._in_background(self._carry_out_groups(item.kind))
            return
        self._in_background(self._carry_out(item))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def backlog(self) -> int:
        """What was taken in and has not ended; whoever takes in asks before taking more."""
        return len(self._tasks) + sum(map(len, self._gathering.values()))

    async def resume(self, dead: Sequence[str] = ()) -> None:
        """Takes up what the dead (store.presence) left; once, and before anything new is taken in."""
        for name in dead:
            async with self._store.system() as tx:
                left = await tx.interactions.claim_left(
                    worker=self._worker, lease_s=self._lease_s, limit=EVERYTHING, dead_worker=name
                )
            self._take_up(left)

    async def run(self) -> None:
        """Takes up what was left, renews what is running, purges what is old; until cancelled."""
        last_purge = self._store.clock() - timedelta(hours=1)
        last_look = self._store.clock() - REMATCH_AT_START
        while True:
            async with self._store.system() as tx:
                if self._running:
                    await tx.interactions.renew(self._worker, sorted(self._running), self._lease_s)
                left = await tx.interactions.claim_left(worker=self._worker, lease_s=self._lease_s)
                if tx.now - last_purge >= timedelta(hours=1):
                    last_purge = tx.now
                    await tx.interactions.purge(
                        urls_before=tx.now - timedelta(days=1), rows_before=tx.now - timedelta(days=30)
                    )
            self._take_up(left)
            now = self._store.clock()
            if now - last_look >= REMATCH_EVERY and (self._look is None or self._look.done()):
                # Beside the loop: it asks DNS about strangers' domains, and leases have to be renewed.
                since = last_look - REMATCH_EVERY
                self._look = asyncio.get_running_loop().create_task(self._rematch(since))
                last_look = now
            if not left:
                await asyncio.sleep(min(self._lease_s / 3, 2.0))

    async def _rematch(self, since: datetime) -> None:
        try:
            found = await dsn.rematch(
                self._store, self._keyring, since=since, mx_hosts=self._mx_hosts, desk=self._desk
            )
        except Exception as error:  # they still wait, and are looked at again
            log.exception("rematch_failed", error=type(error).__name__)
            return
        if found:
            log.info("reports_rematched", count=found)

    def _take_up(self, left: Sequence[Interaction]) -> None:
        for item in left:
            log.info("interaction_resumed", interaction=item.id[:12], kind=item.kind, attempt=item.attempt)
            self.start(item)

    async def drain(self, timeout_s: float) -> None:
        """Waits for what runs; what does not end in time is taken up after the restart."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=timeout_s)
        for task in list(self._tasks):
            task.cancel()

    async def _carry_out_groups(self, kind: InteractionKind) -> None:
        """Until nothing has gathered any more."""
        try:
            while gathered := self._gathering[kind]:
                items, self._gathering[kind] = gathered[:MOST], gathered[MOST:]
                try:
                    await self._groups.carry_out(kind, items)
                except Exception as error:  # one of them, or the database: each tells by itself
                    log.exception("group_failed", kind=kind, count=len(items), error=type(error).__name__)
                    for item in items:
                        await self._carry_out(item)
                finally:
                    self._running.difference_update((item.tenant, item.id) for item in items)
        finally:
            self._at_groups.discard(kind)

    async def _carry_out(self, item: Interaction) -> None:
        key = (item.tenant, item.id)
        self._running.add(key)  # while it waits for its slot too: it is ours
        async with self._slots_of.get(item.kind, self._slots):
            ref = reference()
            if item.kind not in self._slots_of:
                await self.asked.wait()
            try:
                with structlog.contextvars.bound_contextvars(interaction=item.id[:12]):
                    await self._dispatch(item, ref)
            except Exception as error:
                # The row keeps its lease; it is taken up again when that ends.
                log.exception("interaction_failed", reference=ref, error=type(error).__name__)
                if item.attempt >= MAX_ATTEMPTS:
                    await self._give_up(item, f"{ref} {type(error).__name__}")
            finally:
                self._running.discard(key)

    async def _dispatch(self, item: Interaction, ref: str) -> None:
        if item.kind is InteractionKind.DSN:
            received = await dsn.receive(
                self._store,
                self._keyring,
                raw=item.body,
                envelope_to=item.payload["envelope_to"],
                tenant=item.tenant,
                mx_hosts=self._mx_hosts,
                desk=self._desk,
            )
            log.info("bounce_message", result=received)
            await self._finish(item, None)
            return
        if item.kind is InteractionKind.SMS:
            await sms_replies.receive(self._services, item.tenant, item.payload, item.id)
            await self._finish(item, None)
            return
        if item.kind is InteractionKind.SMS_STATUS:
            learnt = await webhooks.text_status(self._store, self._keyring, item.payload)
            log.info("text_status", result=learnt)
            await self._finish(item, None)
            return
        if item.kind is InteractionKind.BILLING:
            became = await webhooks.billing_event(self._services, item.tenant, item.payload)
            log.info("billing_event", result=became)
            await self._finish(item, None)
            return
        error: str | None = None
        try:
            replies: Sequence[Reply | Home | File] = await self._handle_when_known(item)
        except UserError as problem:
            replies = [error_reply(problem)]
        except NotYet:
            if item.attempt < MAX_ATTEMPTS:
                log.info("interaction_waits", kind=item.kind)
                return  # the row keeps its lease, and is taken up when that ends
            log.warning("interaction_about_nothing", kind=item.kind)
            replies = []
        except Exception as failure:
            log.exception("command_failed", reference=ref, error=type(failure).__name__)
            replies, error = [failure_reply(ref)], f"{ref} {type(failure).__name__}"
        try:
            for reply in replies:
                await self._responder.deliver(item, reply)
        except (SlackApiError, ValueError) as failure:
            # Slack will not show it, now or later: the asker is told at least that.
            log.exception("reply_refused", reference=ref, error=type(failure).__name__)
            error = f"{ref} {type(failure).__name__}"
            await self._responder.deliver(item, failure_reply(ref))
        await self._finish(item, error)

    async def _handle_when_known(self, item: Interaction) -> Sequence[Reply | Home | File]:
        """Waits a moment for what is being written just now; NotYet when that takes longer."""
        deadline = asyncio.get_running_loop().time() + min(self._lease_s / 3, 5.0)
        written = self._store.signals.subscribe("posts")
        try:
            while True:
                try:
                    return await self._handle(item)
                except NotYet:
                    left = deadline - asyncio.get_running_loop().time()
                    if left <= 0 or not await written.wait(left):
                        raise
        finally:
            written.close()

    async def _handle(self, item: Interaction) -> Sequence[Reply | Home | File]:
        payload = item.payload
        command = self._commands.get(payload["command"])
        if command is None:
            raise UserError("This button is from an older version.", "Ask for it again.")
        role = await self._roles.role_of(item.tenant, payload["user"])
        needed = command.spec.needs(payload["action"])
        if role < needed:
            raise not_allowed(needed, role)
        request = CommandRequest(
            tenant=item.tenant,
            id=item.id,
            actor=Actor(payload["user"], role),
            channel=payload["channel"],
            command=payload["command"],
            action=payload["action"],
            text=payload["text"] or await self._subject(item, command),
            value=payload["value"],
            inputs=payload["inputs"],
        )
        return await command.run(request, self._services)

    async def _subject(self, item: Interaction, command: Command) -> str:
        """Whom the thread is about, for a mention there that names nobody."""
        thread = (item.payload["value"] or {}).get("thread_ts")
        typed = item.kind is InteractionKind.EVENT and not item.payload["action"]
        if not (thread and typed and command.spec.takes_account):
            return ""
        async with self._store.read(item.tenant) as tx:
            return await subject(tx, item.payload["channel"], str(thread))

    async def _give_up(self, item: Interaction, error: str) -> None:
        """Tried often enough. A bounce is kept for a person; it may be somebody's only news."""
        async with self._store.begin(item.tenant) as tx:
            if item.kind is InteractionKind.DSN:
                await tx.orphans.keep(
                    source=EventSource.DSN,
                    recipient="",
                    envelope_to=str(item.payload["envelope_to"]),
                    summary=f"could not be worked on: {error}",
                    raw=item.body,
                    why=Unmatched.GIVEN_UP,
                )
            await tx.interactions.finish(item, error=error)
        log.error("interaction_given_up", interaction=item.id[:12], kind=item.kind, error=error)

    async def _finish(self, item: Interaction, error: str | None) -> None:
        async with self._store.begin(item.tenant) as tx:
            await tx.interactions.finish(item, error=error)
