"""Holds: until their last day is over, reminders and our own suspension wait.

Of a held account new invoices still go; of a held town or tag none does. What an agent sends by hand goes
always. Whoever set a hold is told when it ends by itself.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Mapping, Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from billing import pauses
from billing.hold_words import held_by, held_thing, holder, subject_of, what_is_held
from notifier.truth import Wait
from store.models import ACCOUNT, TAG, TOWN, AuditEntry, Hold, Notification, NotificationKind, Subscriber
from store.subscribers import place_key
from store.unit import Store, Tx

log = structlog.get_logger()

HOLD_ENDED_SURFACE = "hold_ended"
"""The word to a hold's owner; its key is the hold's id."""
HELD_KINDS = frozenset({NotificationKind.REMINDER, NotificationKind.OVERDUE})
"""What waits while an account is held."""
AREA_KINDS = HELD_KINDS | {NotificationKind.INVOICE_ISSUED}
"""What waits while a town or a tag is held: every notice that goes by itself. Nobody whose house may have
burnt down gets a bill now; what an agent sends by hand still goes."""
SWEEP_S = 5.0
MOVED_EVERY = 12
"""Sweeps between two looks at who lives where: that reads the towns of all."""
_SLACK_USER = re.compile(r"[UW][A-Z0-9_]{2,}")


Touching = Mapping[UUID, Sequence[Hold]]


async def standing(
    tx: Tx, people: Sequence[Subscriber], *, accounts: bool = True, payers: bool = True
) -> Touching:
    """The holds that touch each of these subscribers, by account, town or tag, soonest end first.

    `payers`: those of whoever pays for them too. `accounts` False leaves out holds that name an account.
    """
    named = {s.account for s in people}
    paying = {s.payer_account for s in people if s.payer_account} if payers else set()
    holds = await tx.notes.standing(sorted(named | paying) if accounts else ())
    if not holds:
        return {}
    by_key: dict[tuple[str, str], list[Hold]] = {}
    for hold in holds:
        key = hold.scope_key if hold.scope == ACCOUNT else place_key(hold.scope_key)
        by_key.setdefault((hold.scope, key), []).append(hold)
    areas = any(hold.scope != ACCOUNT for hold in holds)
    absent = await tx.subscribers.by_accounts(sorted(paying - named)) if areas else {}
    by_account = {s.account: s for s in (*people, *absent.values())}
    tagged = sorted(key for scope, key in by_key if scope == TAG)
    tags = await tx.tags.of([s.id for s in by_account.values()], among=tagged) if tagged else {}

    def names(account: str) -> list[tuple[str, str]]:
        """What an account can be held by."""
        s = by_account.get(account)
        if s is None:
            return [(ACCOUNT, account)]
        return [(ACCOUNT, account), (TOWN, place_key(s.city)), *((TAG, tag) for tag in tags.get(s.id, ()))]

    found: dict[UUID, list[Hold]] = {}
    for s in people:
        mine = names(s.account) + (names(s.payer_account) if payers and s.payer_account else [])
        touching = {hold.id: hold for name in mine for hold in by_key.get(name, ())}
        if touching:
            found[s.id] = sorted(touching.values(), key=lambda h: (h.until, h.id))
    return found


async def touching(tx: Tx, person: Subscriber) -> tuple[Hold, ...]:
    """All that stand and touch this account itself, by its number, its town or a tag; soonest end first."""
    return tuple((await standing(tx, [person], payers=False)).get(person.id, ()))


def wait_for(notification: Notification, holds: Touching) -> Wait | None:
    """A payer who promised to pay is not reminded of what they pay for others either."""
    if notification.subscriber_id is None or notification.kind not in AREA_KINDS:
        return None
    counting = [
        hold
        for hold in holds.get(notification.subscriber_id, ())
        if hold.scope != ACCOUNT or notification.kind in HELD_KINDS
    ]
    if not counting:
        return None
    hold = counting[-1]  # the one that lasts longest
    why = f": {hold.reason}" if hold.reason else ""
    day = f"{hold.until:%b} {hold.until.day}, {hold.until.year}"
    return Wait(f"{what_is_held(hold)} is held until {day}{why}", holder(hold))


async def end(tx: Tx, hold: Hold, by: str | None) -> bool:
    """Ends it and lets go what waited for it; False when it had ended already. `by` None: its day is over."""
    if not await tx.notes.end_hold(hold.id, by):
        return False
    if not await _stands(tx, hold.scope, hold.scope_key):
        await tx.deliveries.release_held(tx.tenant, holder(hold))
    return True


async def _stands(tx: Tx, scope: str, key: str) -> bool:
    if scope == ACCOUNT:
        return bool(await tx.notes.holds_of(key))
    return bool(await tx.notes.of_area(scope, key))


async def let_go(tx: Tx, *, moved: bool = True) -> int:
    """Lets go what waits for a hold or a decision that does not stand any more; how many deliveries.
    `moved`: and, of holds on a town or a tag that stand, what is about somebody who moved away or lost it.

    A worker writes down that a message waits a moment after it has read why; whoever ended the hold in
    between found nothing to let go.
    """
    holders = await tx.deliveries.holders(tx.tenant)
    over: list[str] = []
    accounts: list[str] = []
    gone = 0
    for by in sorted(holders):
        named = held_thing(by)
        if named is None:
            continue
        scope, key = named
        if scope == ACCOUNT:
            accounts.append(key)
        elif not await _stands(tx, scope, key):
            over.append(by)
        elif moved:
            while ids := await tx.areas.moved_away(by, scope, key):
                gone += await tx.lines.let_go(ids)
    standing_holds = await tx.notes.holds_of_many(accounts)
    over += [held_by(account) for account in accounts if not standing_holds[account]]
    over += sorted(await pauses.decided(tx, holders))
    return gone + sum([await tx.deliveries.release_held(tx.tenant, by) for by in over])


class HoldSweep:
    """Ends holds whose last day is over, in each tenant's own zone, and tells their owners, once."""

    def __init__(
        self,
        store: Store,
        zones: Mapping[int, ZoneInfo],
        support_channels: Mapping[int, str],
        sweep_s: float = SWEEP_S,
    ) -> None:
        self._store, self._zones, self._channels, self._sweep_s = store, zones, support_channels, sweep_s

    async def run(self) -> None:
        """Until cancelled."""
        async with self._store.duty("holds") as duty:
            for turn in itertools.count():
                if await duty.mine():
                    await self.round(moved=turn % MOVED_EVERY == 0)
                await asyncio.sleep(self._sweep_s)

    async def round(self, *, moved: bool = True) -> None:
        """All providers; the trouble of one keeps no hold of another standing."""
        for tenant in self._zones:
            try:
                if ended := await self.sweep(tenant, moved=moved):
                    log.info("holds_ended", tenant=tenant, count=ended)
            except Exception as error:
                log.exception("holds_not_swept", tenant=tenant, error=type(error).__name__)

    async def sweep(self, tenant: int, *, moved: bool = True) -> int:
        async with self._store.read(tenant) as tx:
            today = tx.now.astimezone(self._zones[tenant]).date()
            over = await tx.notes.holds_over(today)
        for hold in over:
            async with self._store.begin(tenant) as tx:
                if not await end(tx, hold, None):
                    continue  # somebody was quicker, and tells of it
                # Slack takes a person's id for a channel: the direct message with them.
                where = hold.owner if _SLACK_USER.fullmatch(hold.owner) else self._channels[tenant]
                await tx.posts.want(HOLD_ENDED_SURFACE, str(hold.id), where)
                entry = AuditEntry(tx.now, "clock", "hold.over", subject_of(hold), {"hold": str(hold.id)})
                await tx.audit.append(f"hold:{hold.id}:over", entry)
        async with self._store.read(tenant) as tx:
            waiting = await tx.deliveries.holders(tenant)
        if waiting:
            async with self._store.begin(tenant) as tx:
                if forgotten := await let_go(tx, moved=moved):
                    log.info("forgotten_let_go", tenant=tenant, count=forgotten)
        return len(over)
