"""Holds: until their last day is over, reminders and our own suspension wait.

New invoices and what an agent sends by hand still go. Whoever set a hold is told when it ends by itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import structlog

from billing import pauses
from notifier.truth import Wait
from store.models import AuditEntry, Hold, Notification, NotificationKind, Subscriber
from store.unit import Store, Tx

log = structlog.get_logger()

HOLD_ENDED_SURFACE = "hold_ended"
"""The word to a hold's owner; its key is the hold's id."""
HELD_KINDS = frozenset({NotificationKind.REMINDER, NotificationKind.OVERDUE})
SWEEP_S = 5.0
_PREFIX = "hold:"
_SLACK_USER = re.compile(r"[UW][A-Z0-9_]{2,}")


def held_by(account: str) -> str:
    """Who holds a delivery because of a hold on this account."""
    return f"{_PREFIX}{account}"


async def standing(tx: Tx, people: Sequence[Subscriber]) -> dict[str, Hold]:
    """Account -> the hold that lasts longest, for these subscribers and whoever pays for them."""
    accounts = {s.account for s in people} | {s.payer_account for s in people if s.payer_account}
    found = await tx.notes.holds_of_many(sorted(accounts))
    return {account: holds[-1] for account, holds in found.items() if holds}


def wait_for(notification: Notification, person: Subscriber | None, holds: Mapping[str, Hold]) -> Wait | None:
    """A payer who promised to pay is not reminded of what they pay for others either."""
    if person is None or notification.kind not in HELD_KINDS:
        return None
    hold = holds.get(person.account) or holds.get(person.payer_account or "")
    if hold is None:
        return None
    why = f": {hold.reason}" if hold.reason else ""
    day = f"{hold.until:%b} {hold.until.day}, {hold.until.year}"
    return Wait(f"Account {hold.scope_key} is held until {day}{why}", held_by(hold.scope_key))


async def end(tx: Tx, hold: Hold, by: str | None) -> bool:
    """Ends it and lets go what waited for it; False when it had ended already. `by` None: its day is over."""
    if not await tx.notes.end_hold(hold.id, by):
        return False
    if not await tx.notes.holds_of(hold.scope_key):
        await tx.deliveries.release_held(tx.tenant, held_by(hold.scope_key))
    return True


async def let_go(tx: Tx) -> int:
    """Lets go what waits for a hold or a decision that does not stand any more; how many deliveries.

    A worker writes down that a message waits a moment after it has read why; whoever ended the hold in
    between found nothing to let go.
    """
    holders = await tx.deliveries.holders(tx.tenant)
    accounts = sorted(h.removeprefix(_PREFIX) for h in holders if h.startswith(_PREFIX))
    standing_holds = await tx.notes.holds_of_many(accounts)
    over = [held_by(account) for account in accounts if not standing_holds[account]]
    over += sorted(await pauses.decided(tx, holders))
    return sum([await tx.deliveries.release_held(tx.tenant, by) for by in over])


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
            while True:
                if await duty.mine():
                    for tenant in self._zones:
                        if ended := await self.sweep(tenant):
                            log.info("holds_ended", tenant=tenant, count=ended)
                await asyncio.sleep(self._sweep_s)

    async def sweep(self, tenant: int) -> int:
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
                entry = AuditEntry(
                    tx.now, "clock", "hold.over", f"account:{hold.scope_key}", {"hold": str(hold.id)}
                )
                await tx.audit.append(f"hold:{hold.id}:over", entry)
        async with self._store.read(tenant) as tx:
            waiting = await tx.deliveries.holders(tenant)
        if waiting:
            async with self._store.begin(tenant) as tx:
                if forgotten := await let_go(tx):
                    log.info("forgotten_let_go", tenant=tenant, count=forgotten)
        return len(over)
