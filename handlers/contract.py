"""The contract between the rim and what people can do. Handlers never see Bolt: they get a
CommandRequest and Services, and give back Replies; they are tested by comparing data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from billing.port import BillingSystem
from handlers.profile import CommandSpec, Role, TenantProfile
from handlers.reply import Answer, File, Home, Reply
from notifier.keys import Keyring
from notifier.mailauth import Resolver
from notifier.outbox import Outbox
from store.models import AuditEntry
from store.unit import Store, Tx


@dataclass(frozen=True, slots=True)
class Actor:
    user_id: str
    role: Role


class NotYet(Exception):
    """Where a post of ours stands is being written at this moment: to be run again once it is, at the latest
    when the interaction's lease ends."""


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """Somebody typed a command, pressed a button or sent a dialog."""

    tenant: int
    id: str
    """The interaction: every write is keyed by it and a step, so that a second run adds nothing."""
    actor: Actor
    channel: str
    command: str
    action: str = ""
    """Empty for typed text; else what was pressed."""
    text: str = ""
    value: Mapping[str, Any] = field(default_factory=dict)
    """What the button or dialog carried; verified."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """action id -> what was typed or chosen; a selection in a message is the one with its own action id."""

    def step(self, name: str) -> str:
        return f"{self.id}:{name}"


def _nothing_kept() -> None:
    """A resolver without a cache has nothing to forget."""


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers work with. Built once, in bot.wiring."""

    store: Store
    outbox: Outbox
    resolver: Resolver
    tenants: Mapping[int, TenantProfile]
    specs: Sequence[CommandSpec]
    keyring: Keyring
    forget_dns: Callable[[], None] = _nothing_kept
    """Drops cached DNS answers: whoever asks again has just changed something."""
    billing: Mapping[int, BillingSystem] = field(default_factory=dict)
    """Each tenant's system of record."""
    practice: PracticeDesk | None = None
    """Where people try things; None: there is none, as at the practice desk itself."""

    def profile(self, tenant: int) -> TenantProfile:
        return self.tenants[tenant]

    def now(self) -> datetime:
        return self.store.clock()


class Command(Protocol):
    """`answer` is read-only and part of the acknowledgement; `run` is persisted first."""

    spec: CommandSpec

    async def answer(self, request: CommandRequest, services: Services) -> Answer: ...

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply | Home | File]: ...


class PracticeDesk(Protocol):
    """A desk of invented people for each tenant: a database of its own, which no worker reads (ADR 20)."""

    commands: Mapping[str, Command]

    async def open(self, tenant: int) -> Services: ...

    async def after(self, tenant: int) -> Sequence[Reply]:
        """Settles what a command has left, unsent; gives the cards that it would have posted."""
        ...

    async def reset(self, tenant: int) -> None: ...


class Surface(Protocol):
    """A message that follows what it shows. `key` is what `posts` rows name."""

    name: str

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        """From current state; None when there is nothing to show (any more)."""
        ...


async def audit(
    tx: Tx,
    request: CommandRequest,
    action: str,
    subject: str,
    *,
    detail: Mapping[str, Any] | None = None,
    personal: Mapping[str, Any] | None = None,
) -> None:
    """One audit row of this interaction, in the caller's transaction; a second run adds none."""
    entry = AuditEntry(tx.now, request.actor.user_id, action, subject, detail or {}, personal or {})
    await tx.audit.append(audit_key(request, action, subject), entry)


def audit_key(request: CommandRequest, action: str, subject: str) -> str:
    """The key of that row; whether it stands tells whether this interaction did the thing before."""
    # A domain is up to 253 characters, the key of a row 160: what it is about goes in by its hash.
    about = hashlib.sha256(subject.encode()).hexdigest()[:16]
    return request.step(f"{action}:{about}")
