"""Holds the limits of every way out across all workers: slots from the database, lines for what finds none.

What is over a route's own limit stays queued (nothing behind it could go either). What is over a domain's
limit gets its place in that domain's line as a due time, with everything to that domain that is due behind
it, so that mail to others passes. Rates are in the database's real time, due times in business time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from notifier.admission import Admission, Admit, NotBefore, Wish
from notifier.channels import SmsRoute
from notifier.limits import (
    AHEAD_S,
    BOTH_AHEAD_S,
    NONE,
    SLOWED_AGAIN,
    SLOWED_FOR,
    RouteLimits,
    by_of,
    domain_key,
    line_key,
    rate_words,
    reserve,
    room,
    route_key,
    segments_key,
    slowed_key,
    slower,
)
from notifier.way import Way
from store.models import Channel, Delivery, Priority
from store.unit import Store, Tx

RouteOf = tuple[int, str]
LINE_POLL_S = 0.1
"""While a line moves, its next is looked for so often."""


def domain_of(delivery: Delivery) -> str:
    return delivery.address.rpartition("@")[2].casefold() if delivery.channel is Channel.EMAIL else ""


@dataclass(slots=True)
class _Domain:
    """The wishes of one claim to one domain that has a limit."""

    domain: str
    per_s: float
    slowed: bool
    wishes: list[Wish] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        if self.slowed:
            return f"{self.domain} asked us to slow down: it gets {rate_words(self.per_s)} for now"
        return f"Waits its turn: {self.domain} gets {rate_words(self.per_s)} at most"


class Pacing:
    def __init__(self, store: Store, limits: Mapping[RouteOf, RouteLimits]) -> None:
        self._store, self._limits = store, limits
        self._slowed: dict[tuple[int, str], float] = {}
        """(tenant, key) -> messages a second, of domains that asked us to slow down; as last read."""
        self._moving: dict[RouteOf, float] = {}
        """Until when (monotonic) a line of this way moves."""
        self._too_fast: dict[tuple[int, str, str], None] = {}
        """(tenant, route, domain) that said so and is not written down yet."""

    def patience(self, way: Way, poll_s: float) -> float:
        moving = self._moving.get((way.tenant, way.route.name), 0.0) > time.monotonic()
        return min(poll_s, LINE_POLL_S) if moving else poll_s

    async def allowance(self, way: Way, highest: Priority, wanted: int) -> int:
        limits = self._of(way)
        if limits.per_s is None or highest is Priority.URGENT:
            return wanted
        async with self._store.read(way.tenant) as tx:
            free_at, now = await tx.limits.peek(_way_key(way))
        if free_at is None:
            return min(wanted, room(now, now, limits.per_s))
        there = room(free_at, now, limits.per_s)
        if not there:
            until = (free_at - now).total_seconds() - AHEAD_S
            await asyncio.sleep(min(max(until, 0.005), AHEAD_S))
        return min(wanted, there)

    def _of(self, way: Way) -> RouteLimits:
        return self._limits.get((way.tenant, way.route.name), NONE)

    def _domains(self, way: Way, wishes: Sequence[Wish]) -> dict[str, _Domain]:
        """The limited domains among the wishes, by the limit's key."""
        limits, route = self._of(way), way.route.name
        if isinstance(way.route, SmsRoute) or (not limits.domains and not self._slowed):
            return {}
        found: dict[str, _Domain] = {}
        for wish in wishes:
            domain = domain_of(wish.delivery)
            set_to = limits.of_domain(domain)
            slowed = self._slowed.get((way.tenant, slowed_key(route, domain)))
            rates = [rate for rate in (set_to, slowed) if rate is not None]
            if rates:
                key, per_s = domain_key(route, domain), min(rates)
                entry = found.setdefault(key, _Domain(domain, per_s, slowed=per_s != set_to))
                entry.wishes.append(wish)
        return found

    async def admit(self, way: Way, wishes: Sequence[Wish]) -> Mapping[UUID, Admission]:
        new = [wish for wish in wishes if wish.weight]
        decided: dict[UUID, Admission] = {w.delivery.id: Admit() for w in wishes if not w.weight}
        return {**decided, **(await self._dealt(way, new) if new else {})}

    async def _dealt(self, way: Way, wishes: Sequence[Wish]) -> Mapping[UUID, Admission]:
        limits, domains = self._of(way), self._domains(way, wishes)
        if limits.per_s is None and not domains:
            at_once = Admit()
            return {wish.delivery.id: at_once for wish in wishes}
        rates = {key: f"{entry.per_s:g}" for key, entry in domains.items()}
        if limits.per_s is not None:
            rates[_way_key(way)] = f"{limits.per_s:g}"
        async with self._store.begin(way.tenant) as tx:
            locked, now = await tx.limits.lock(rates)
            free = {key: limit.free_at for key, limit in locked.items()}
            slots = self._deal(limits, domains, free, now)
            limited = _ids(domains)
            going = [w for w in wishes if w.delivery.id in slots or w.delivery.id not in limited]
            if limits.per_s is not None:
                going.sort(key=lambda wish: wish.delivery.priority)
                key = _way_key(way)
                dealt = reserve(free[key], now, limits.per_s, [w.weight for w in going], ahead_s=None)
                free[key] = dealt.free_at
                for wish, slot in zip(going, dealt.slots, strict=True):
                    slots[wish.delivery.id] = max(slot, slots.get(wish.delivery.id, slot))
            await tx.limits.set_many({key: (free[key], rates[key]) for key in rates})
        zero = time.monotonic()
        decided: dict[UUID, Admission] = {
            wish.delivery.id: Admit(_monotonic(slots.get(wish.delivery.id), now, zero)) for wish in going
        }
        for key, entry in domains.items():
            left = [wish.delivery for wish in entry.wishes if wish.delivery.id not in decided]
            if left:
                decided.update(await self._line_up(way, key, entry, left, free[key]))
        return decided

    def _deal(
        self, limits: RouteLimits, domains: Mapping[str, _Domain], free: dict[str, datetime], now: datetime
    ) -> dict[UUID, datetime]:
        """Slots by the domains' limits, the urgent first and always; `free` moves on."""
        slots: dict[UUID, datetime] = {}
        ahead_s = AHEAD_S if limits.per_s is None else BOTH_AHEAD_S
        for key, entry in domains.items():
            for urgent in (True, False):
                wishes = [w for w in entry.wishes if (w.delivery.priority is Priority.URGENT) == urgent]
                wishes.sort(key=lambda w: (w.delivery.priority, w.delivery.stage_by != by_of(key)))
                dealt = reserve(
                    free[key], now, entry.per_s, [1] * len(wishes), ahead_s=None if urgent else ahead_s
                )
                free[key] = dealt.free_at
                slots.update((w.delivery.id, slot) for w, slot in zip(wishes, dealt.slots, strict=False))
        return slots

    async def _line_up(
        self, way: Way, key: str, entry: _Domain, left: Sequence[Delivery], free_at: datetime
    ) -> dict[UUID, Admission]:
        """Places for those without a slot, and for all to this domain that are due behind them."""
        by, step = by_of(key), timedelta(seconds=1 / entry.per_s)
        decided: dict[UUID, Admission] = {}
        async with self._store.begin(way.tenant) as tx:
            now = await tx.limits.real_now()
            business = tx.now - now
            # Whoever was in line already had its turn and found it taken: the very next ones are theirs.
            again = [d for d in left if d.stage_by == by]
            for place, delivery in enumerate(again):
                at = max(free_at, now) + place * step + business
                decided[delivery.id] = NotBefore(at, entry.sentence, by)
            until = now + timedelta(seconds=1)
            for priority in (Priority.NORMAL, Priority.BULK):
                new = [d for d in left if d.stage_by != by and d.priority is priority]
                if new:
                    places, until = await self._places(tx, way, key, entry, new, free_at)
                    decided.update((i, NotBefore(at, entry.sentence, by)) for i, at in places.items())
        route = (way.tenant, way.route.name)
        moving = time.monotonic() + (until - now).total_seconds()
        self._moving[route] = max(self._moving.get(route, 0.0), moving)
        return decided

    async def _places(
        self, tx: Tx, way: Way, key: str, entry: _Domain, new: Sequence[Delivery], free_at: datetime
    ) -> tuple[dict[UUID, datetime], datetime]:
        """The due times of `new` at the end of their line; who is due behind them is put there too."""
        priority = new[0].priority
        line = line_key(key, int(priority))
        rate = f"{entry.per_s:g}"
        locked, now = await tx.limits.lock({line: rate})
        behind = await tx.lines.due_to_domain(way.route.name, priority, entry.domain)
        end = max(locked[line].free_at, free_at)  # the line begins where the dealt slots end
        dealt = reserve(end, now, entry.per_s, [1] * (len(new) + len(behind)), ahead_s=None)
        await tx.limits.set(line, dealt.free_at, rate)
        # A little early: a slot is taken when it is dealt, not when it has come.
        shift = tx.now - now - timedelta(seconds=AHEAD_S / 2)
        due = [slot + shift for slot in dealt.slots]
        await tx.lines.line_up(
            dict(zip(behind, due[len(new) :], strict=True)), reason=entry.sentence, by=by_of(key)
        )
        return {d.id: at for d, at in zip(new, due, strict=False)}, dealt.free_at

    def too_fast(self, way: Way, delivery: Delivery) -> None:
        """Its domain asked us to slow down: that domain, not the route."""
        domain = domain_of(delivery)
        self._too_fast[way.tenant, way.route.name, domain] = None
        slowed = (way.tenant, slowed_key(way.route.name, domain))
        if slowed not in self._slowed:
            self._slowed[slowed] = slower(None, self._of(way).of_domain(domain))

    async def tend(self, tenants: Sequence[int]) -> None:
        """Writes down who asked to be slowed down, and reads what other workers were told."""
        told, self._too_fast = list(self._too_fast), {}
        for tenant in tenants:
            mine = [(route, domain) for t, route, domain in told if t == tenant]
            if mine:
                async with self._store.begin(tenant) as tx:
                    await self._slow_down(tx, mine)
            async with self._store.read(tenant) as tx:
                slowed = await tx.limits.ahead("slowed")
            others = {key: rate for key, rate in self._slowed.items() if key[0] != tenant}
            before = self._slowed.keys()
            self._slowed = others | {(tenant, limit.key): float(limit.per_s) for limit in slowed}
            if before - self._slowed.keys():  # somebody may be sent to faster again: not by the old places
                await self._renew_lines(tenant)

    async def _slow_down(self, tx: Tx, told: Sequence[tuple[str, str]]) -> None:
        for route, domain in sorted(told):
            key = slowed_key(route, domain)
            limits = self._limits.get((tx.tenant, route), NONE)
            known = {limit.key: limit for limit in await tx.limits.ahead("slowed")}
            first = f"{slower(None, limits.of_domain(domain)):g}"
            locked, now = await tx.limits.lock({key: first})
            row, rate = locked[key], first
            if key in known:  # still slowed: halve it again, but one time for all answers of one moment
                again = now - row.updated_at >= SLOWED_AGAIN
                rate = f"{slower(float(row.per_s), None):g}" if again else row.per_s
                if not again:
                    continue
            await tx.limits.set(key, now + SLOWED_FOR, rate)

    async def begin(self, tenants: Sequence[int]) -> None:
        """Lines that were made for another rate are made anew."""
        await self.tend(tenants)  # who is slowed now
        for tenant in tenants:
            await self._renew_lines(tenant)
            async with self._store.begin(tenant) as tx:
                await tx.limits.forget(await tx.limits.real_now() - timedelta(days=1))

    async def _renew_lines(self, tenant: int) -> None:
        """Everybody in a line that was made for another rate than today's is due now."""
        async with self._store.begin(tenant) as tx:
            now = await tx.limits.real_now()
            for line in await tx.limits.ahead("line"):
                key = line.key.split(":", 2)[2]
                if line.per_s != self._rate_of(tenant, key):
                    await tx.lines.dissolve(by_of(key))
                    await tx.limits.set(line.key, now, line.per_s)

    def _rate_of(self, tenant: int, key: str) -> str:
        """What holds for `domain:ROUTE:DOMAIN` today."""
        _, route, domain = key.split(":", 2)
        set_to = self._limits.get((tenant, route), NONE).of_domain(domain)
        slowed = self._slowed.get((tenant, slowed_key(route, domain)))
        rates = [rate for rate in (set_to, slowed) if rate is not None]
        return f"{min(rates):g}" if rates else ""


def _way_key(way: Way) -> str:
    name = way.route.name
    return segments_key(name) if isinstance(way.route, SmsRoute) else route_key(name)


def _ids(domains: Mapping[str, _Domain]) -> set[UUID]:
    return {wish.delivery.id for entry in domains.values() for wish in entry.wishes}


def _monotonic(slot: datetime | None, now: datetime, zero: float) -> float:
    return 0.0 if slot is None else zero + (slot - now).total_seconds()
