"""Carries billing acts out: claim -> ask billing again -> judge -> call -> read back -> record, and tell.

Killed at any point, the act is taken up again once its lease ran out (or at once, when the dead process
is known): what the first try did, reading back tells, and the call is repeatable. State, audit row,
subscriber's notice and card change in one transaction, fenced by the attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from billing import holds
from billing.act_states import ActEvent, after
from billing.judgement import Case, refusal
from billing.package_states import WANTED
from billing.port import (
    FRESH,
    AccountFacts,
    Applied,
    BillingSystem,
    Rejected,
    TakesFilings,
    Unavailable,
    Unclear,
)
from notifier.outbox import Draft, Outbox
from store.acts import SIGNAL
from store.filings import FilingKind
from store.models import ActKind, AuditEntry, BillingAct, Package, Subscriber
from store.types import derived_id
from store.unit import Store, Tx

log = structlog.get_logger()

ACT_SURFACE = "act"
"""The card of an act; its key is the act's id."""
GIVE_UP_AFTER = timedelta(hours=1)
"""An act that billing could not even be asked about for so long is not wanted any more unseen."""
AGAIN_S = 20.0
MOST_LOOKS = 10
"""So often an act in doubt is looked at by itself; then a person decides."""


class Announce(Protocol):
    """What the subscriber is told of a finished act; None when there is no way to tell them."""

    async def __call__(
        self, tx: Tx, act: BillingAct, subscriber: Subscriber, package: Package
    ) -> Draft | None: ...


@dataclass(frozen=True, slots=True)
class End:
    """How one attempt ended."""

    event: ActEvent
    result: str = ""
    ref: str | None = None
    facts: AccountFacts | None = None


class ActExecutor:
    """Does what was intended, for every tenant; any number of them may run."""

    def __init__(
        self,
        *,
        store: Store,
        systems: Mapping[int, BillingSystem],
        outbox: Outbox,
        announce: Announce,
        name: str,
        dead: Sequence[str] = (),
        lease_s: float = 30.0,
        poll_s: float = 1.0,
    ) -> None:
        self._store, self._systems, self._outbox, self._announce = store, systems, outbox, announce
        self._name, self._dead, self._lease_s, self._poll_s = name, dead, lease_s, poll_s

    async def run(self) -> None:
        """Until cancelled."""
        if self._dead:
            async with self._store.system() as tx:
                await tx.acts.release(self._dead)
            self._dead = ()
        await self._store.signals.keep_working(SIGNAL, self.work, self._poll_s)

    async def work(self) -> int:
        """One round; gives how many acts were taken."""
        async with self._store.system() as tx:
            acts = await tx.acts.claim(worker=self._name, lease_s=self._lease_s)
            await tx.posts.bump(ACT_SURFACE, [(act.tenant, str(act.id)) for act in acts])
        await asyncio.gather(*(self._guarded(act) for act in acts))
        return len(acts)

    async def _guarded(self, act: BillingAct) -> None:
        try:
            # Shorter than the lease: whoever takes over must not meet us in the middle of a call.
            async with asyncio.timeout(self._lease_s * 0.8):
                end = await self._attempt(act)
            await self._record(act, end)
        except Exception as error:
            # The row keeps its lease, and is taken up again when that ends.
            log.exception("act_failed", act=str(act.id), error=type(error).__name__)

    async def _attempt(self, act: BillingAct) -> End:
        system = self._systems[act.tenant]
        facts = await system.refresh(act.subscriber_id)
        if isinstance(facts, Unavailable):
            return self._not_asked(act, facts.sentence)
        if self._store.clock() - facts.as_of > FRESH:
            return self._not_asked(act, "Billing gives only facts that are older than a minute.")
        package = facts.package(act.package_id)
        if package is None:
            return End(ActEvent.REFUSED, "This package is not on file any more.")
        if act.called_at is not None and _is_as_wanted(act, package):
            return End(ActEvent.DONE, facts=facts)
        async with self._store.begin(act.tenant) as tx:
            case = Case(
                facts.subscriber,
                facts.packages,
                await holds.touching(tx, facts.subscriber),
                await tx.notes.of_subscriber(act.subscriber_id),
            )
            against = refusal(act.kind, case, package, act.owed_minor)
            if against is not None:
                return End(ActEvent.REFUSED, against.sentence)
            if not await tx.acts.about_to_call(act):
                raise LookupError("the claim is somebody else's")
        answer = await system.carry_out(act.kind, act.subscriber_id, act.package_id, act.reason, act.until)
        return await self._read_back(system, act, answer)

    def _not_asked(self, act: BillingAct, why: str) -> End:
        if act.called_at is not None:
            return End(ActEvent.DOUBTED, f"Whether it was done is not known: {_lower(why)}")
        if self._store.clock() - act.created_at > GIVE_UP_AFTER:
            return End(ActEvent.REFUSED, f"Billing could not be asked for an hour: {_lower(why)}")
        return End(ActEvent.PUT_OFF, why)

    async def _read_back(
        self, system: BillingSystem, act: BillingAct, answer: Applied | Rejected | Unclear
    ) -> End:
        """Believed is what is read, not what was answered."""
        ref = answer.ref if isinstance(answer, Applied) else None
        facts = await system.refresh(act.subscriber_id)
        package = facts.package(act.package_id) if isinstance(facts, AccountFacts) else None
        if isinstance(facts, AccountFacts) and package is not None and _is_as_wanted(act, package):
            return End(ActEvent.DONE, ref=ref, facts=facts)
        if isinstance(answer, Rejected):
            return End(ActEvent.REFUSED, answer.sentence)
        if isinstance(answer, Unclear):
            return End(ActEvent.DOUBTED, answer.sentence, ref)
        why = "Billing says that it is done, but reading it back does not show it."
        return End(ActEvent.DOUBTED, why, ref)

    async def _record(self, act: BillingAct, end: End) -> None:
        state = after(act.state, end.event)
        async with self._store.begin(act.tenant) as tx:
            if end.event in (ActEvent.PUT_OFF, ActEvent.DOUBTED):
                looks_left = end.event is ActEvent.PUT_OFF or act.attempt < MOST_LOOKS
                mine = await tx.acts.put_off(
                    act, state, result=end.result, wait_s=AGAIN_S if looks_left else None
                )
            else:
                verified = tx.now if end.event is ActEvent.DONE else None
                mine = await tx.acts.finish(
                    act, state, result=end.result, external_ref=end.ref, verified_at=verified
                )
            if not mine:
                log.warning("act_claim_lost", act=str(act.id), attempt=act.attempt)
                return
            await self._audit(tx, act, end)
            if end.event is ActEvent.DONE and end.facts is not None:
                await self._tell(tx, act, end.facts)
                await self._file(tx, act, end.facts)
            # An earlier card of this package shows that it was undone.
            others = [(act.tenant, str(a.id)) for a in await tx.acts.of_subscriber(act.subscriber_id)]
            await tx.posts.bump(ACT_SURFACE, others)
        log.info("act", act=str(act.id), kind=act.kind, result=end.event, attempt=act.attempt)

    async def _audit(self, tx: Tx, act: BillingAct, end: End) -> None:
        subscriber = await tx.subscribers.by_id(act.subscriber_id)
        account = subscriber.account if subscriber else str(act.subscriber_id)
        detail = {"act": str(act.id), "attempt": act.attempt, "result": end.result}
        entry = AuditEntry(tx.now, act.actor, f"billing.{act.kind}.{end.event}", f"account:{account}", detail)
        await tx.audit.append(f"act:{act.id}:{act.attempt}:{end.event}", entry)

    async def _file(self, tx: Tx, act: BillingAct, facts: AccountFacts) -> None:
        """Into the client's log there as well, where billing has one."""
        system: object = self._systems[act.tenant]
        package = facts.package(act.package_id)
        if isinstance(system, TakesFilings) and package is not None:
            until = f" until {act.until}" if act.until else ""
            body = (
                f"Support desk: {package.name} {_DONE[act.kind]}{until}, by {act.actor}. Reason: {act.reason}"
            )
            await tx.filings.add(derived_id(act.id, "filing"), FilingKind.LOG, act.subscriber_id, body)

    async def _tell(self, tx: Tx, act: BillingAct, facts: AccountFacts) -> None:
        package = facts.package(act.package_id)
        if not act.tell or package is None:
            return
        draft = await self._announce(tx, act, facts.subscriber, package)
        if draft is not None:
            await self._outbox.enqueue(tx, draft)


def _is_as_wanted(act: BillingAct, package: Package) -> bool:
    """The package, and none of its services left behind."""
    wanted = WANTED[act.kind]
    left_behind = WANTED[_REVERSE[act.kind]]
    return package.status is wanted and all(s.status is not left_behind for s in package.services)


_DONE = {ActKind.SUSPEND: "suspended", ActKind.UNSUSPEND: "brought back", ActKind.PAUSE: "paused"}
_REVERSE = {
    ActKind.SUSPEND: ActKind.UNSUSPEND,
    ActKind.UNSUSPEND: ActKind.SUSPEND,
    ActKind.PAUSE: ActKind.UNSUSPEND,
}


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
