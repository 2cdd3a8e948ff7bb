"""The breakers of a deployment at work: counts how attempts end, holds what would be refused, sends probes.

Counting is cheap and in memory; every second it is written to the breakers' rows, whose locks make all
workers one. What gets through is written only where something was refused. Operators are looked up here, off
the way of the mail: until one is known, a domain is its own. Business time, as with every due time.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import structlog

from notifier import breaker as br
from notifier.admission import HeldBy, Wish
from notifier.breaker import WHOLE_ROUTE, Breaker, Counted, Happened, Ignored, State, by_of
from notifier.channels import Destinations, Route, SubmitOutcome
from notifier.failover import Failover
from notifier.mx import MailHosts
from notifier.operators import operator_of_domain
from notifier.pacing import RouteOf, domain_of
from notifier.way import Way
from store.breakers import BreakerRow
from store.models import Channel, Delivery, EventSource, FailedAttempt, Priority
from store.unit import Store, Tx

log = structlog.get_logger()
LOOKUPS = 100
"""Domains looked up at once, each second."""
MOST_KNOWN = 50_000
"""Domains in memory; beyond that it begins anew, from the table."""
KNOWN_FOR = timedelta(days=7)
Key = tuple[int, str, str]
"""(tenant, route, operator)."""


@dataclass(frozen=True, slots=True)
class _Told:
    domain: str
    delivery: UUID
    counted: Counted


def breaker_of(row: BreakerRow) -> Breaker:
    return Breaker(
        State(row.state),
        row.window_from,
        row.failures,
        row.successes,
        row.cause,
        row.said,
        row.opened_at,
        row.probe_at,
        row.probes,
        row.worker or "",
    )


def row_of(row: BreakerRow, now_is: Breaker) -> BreakerRow:
    return replace(
        row,
        state=now_is.state.value,
        window_from=now_is.window_from,
        failures=now_is.failures,
        successes=now_is.successes,
        cause=now_is.cause,
        said=now_is.said,
        opened_at=now_is.opened_at,
        probe_at=now_is.probe_at,
        probes=now_is.probes,
        worker=now_is.probe or None,
    )


class Breaking:
    def __init__(
        self,
        store: Store,
        *,
        failover: Mapping[RouteOf, str] | None = None,
        destinations: Destinations | None = None,
    ) -> None:
        self._store, self._destinations = store, destinations
        self._failover = Failover(store, failover or {})
        self._open: dict[Key, BreakerRow] = {}
        self._counting: set[Key] = set()
        """Closed ones with something refused in their window."""
        self._operators: dict[str, str] = {}
        self._unknown: dict[str, None] = {}
        self._told: list[tuple[int, str, _Told]] = []
        self._through: Counter[tuple[int, str, str, Happened]] = Counter()
        """By tenant, route and domain."""
        self._through_from = store.clock()

    def operator(self, domain: str) -> str:
        """As far as it is known; a domain that is not looked up yet is its own, but for famous ones."""
        found = self._operators.get(domain)
        return found if found is not None else operator_of_domain(domain, ())

    async def hold(self, way: Way, wishes: Sequence[Wish]) -> dict[UUID, HeldBy]:
        """Those of the wishes that are held; a probe is not."""
        tenant, route = way.tenant, way.route.name
        if not any(key[:2] == (tenant, route) for key in self._open):
            return {}
        held: dict[UUID, HeldBy] = {}
        for wish in wishes:
            for operator in self._concerned(wish.delivery):
                row = self._open.get((tenant, route, operator))
                if row is not None and not await self._may_probe(tenant, row, wish.delivery):
                    held[wish.delivery.id] = HeldBy(sentence(row), by_of(route, operator))
                    break
        return held

    def _concerned(self, delivery: Delivery) -> list[str]:
        """Operators of the breakers that may hold it: urgent mail is held by a dead route alone."""
        concerned = [WHOLE_ROUTE]
        if delivery.channel is Channel.EMAIL and delivery.priority is not Priority.URGENT:
            domain = domain_of(delivery)
            if domain not in self._operators:
                self._unknown[domain] = None
            concerned.append(self.operator(domain))
        return concerned

    async def _may_probe(self, tenant: int, row: BreakerRow, delivery: Delivery) -> bool:
        """It is the probe, or becomes it at this moment; decided on the locked row."""
        now = self._store.clock()
        if row.worker == str(delivery.id):
            return True
        if row.probe_at is not None and now < row.probe_at:
            return False
        async with self._store.begin(tenant) as tx:
            locked = (await tx.breakers.lock([(row.route, row.operator)], tx.now))[row.route, row.operator]
            found = breaker_of(locked)
            if found.state is State.CLOSED or found.probe == str(delivery.id):
                return True
            step = br.after(found, Happened.PROBE_LEAVES, tx.now, probe=str(delivery.id))
            if isinstance(step, Ignored):
                self._open[tenant, row.route, row.operator] = locked
                return False
            after = row_of(locked, step)
            await tx.breakers.put(after)
        self._open[tenant, row.route, row.operator] = after
        return True

    def ended(self, way: Way, delivery: Delivery, outcome: SubmitOutcome) -> None:
        tenant, route = way.tenant, way.route.name
        self._failover.ended(way, delivery, outcome)
        relay = not (isinstance(way.route, Route) and way.route.kind == "direct")
        counted = br.counted(outcome, relay=relay)
        domain = domain_of(delivery)
        if self._probes(tenant, route, delivery):
            self._told.append((tenant, route, _Told(domain, delivery.id, _of_probe(counted))))
        elif counted is None:
            return
        elif counted.happened is Happened.REFUSED:
            self._told.append((tenant, route, _Told(domain, delivery.id, counted)))
        else:
            self._through[tenant, route, domain, counted.happened] += 1

    def _probes(self, tenant: int, route: str, delivery: Delivery) -> bool:
        probe = str(delivery.id)
        return any(row.worker == probe for key, row in self._open.items() if key[:2] == (tenant, route))

    async def tend(self, tenants: Sequence[int]) -> None:
        told, self._told = self._told, []
        domains = {one.domain for _, _, one in told if one.domain}
        await self._look_up(domains | set(self._unknown))
        self._unknown.clear()
        for tenant in tenants:
            mine = [(route, one) for t, route, one in told if t == tenant]
            through = {key[1:]: n for key, n in self._through.items() if key[0] == tenant}
            await self._count(tenant, mine, through)
            await self._refresh(tenant)
            await self._look(tenant)
        now = self._store.clock()
        if now - self._through_from >= br.WINDOW:
            self._through, self._through_from = Counter(), now

    async def _count(
        self,
        tenant: int,
        told: Sequence[tuple[str, _Told]],
        through: Mapping[tuple[str, str, Happened], int],
    ) -> None:
        refused: dict[tuple[str, str], list[_Told]] = defaultdict(list)
        for route, one in told:
            for operator in self._speaks_of(tenant, route, one):
                refused[route, operator].append(one)
        passed: dict[tuple[str, str], Counter[Happened]] = defaultdict(Counter)
        for (route, domain, happened), times in through.items():
            for operator in (self.operator(domain), WHOLE_ROUTE):
                row_key = (tenant, route, operator)
                if (route, operator) in refused or row_key in self._counting or row_key in self._open:
                    passed[route, operator][happened] += times
        if not refused and not passed:
            return
        async with self._store.begin(tenant) as tx:
            rows = await tx.breakers.lock([*refused, *passed], tx.now)
            for key, row in rows.items():
                await _apply(tx, row, passed.get(key, Counter()), refused.get(key, []))
        for key3 in [k for k in self._through if k[0] == tenant]:
            del self._through[key3]

    def _speaks_of(self, tenant: int, route: str, one: _Told) -> list[str]:
        """The operators of the breakers that this end of an attempt is about."""
        if one.counted.whole_route or not one.domain:
            return [WHOLE_ROUTE]
        operators = [self.operator(one.domain)]
        row = self._open.get((tenant, route, WHOLE_ROUTE))
        if row is not None and row.worker == str(one.delivery):
            operators.append(WHOLE_ROUTE)  # it came as far as an operator: the route lives
        return operators

    async def _refresh(self, tenant: int) -> None:
        async with self._store.read(tenant) as tx:
            rows = await tx.breakers.all()
        states = {state.value for state in State}
        mine = {(tenant, row.route, row.operator): row for row in rows if row.state in states}
        still = {key: row for key, row in self._open.items() if key[0] != tenant}
        self._open = still | {k: r for k, r in mine.items() if r.state != State.CLOSED}
        self._counting = {k for k in self._counting if k[0] != tenant} | {
            k for k, r in mine.items() if r.state == State.CLOSED and r.failures
        }

    async def _look(self, tenant: int) -> None:
        """Probes that are due, those whose time is over, and what nobody holds any more."""
        now = self._store.clock()
        for key, row in list(self._open.items()):
            if key[0] == tenant and (row.probe_at is None or now >= row.probe_at):
                await self._next_probe(tenant, row)
        await self._failover.tend(tenant)
        async with self._store.read(tenant) as tx:
            held = await tx.lines.held_by("breaker:")
        standing = {by_of(route, operator) for t, route, operator in self._open if t == tenant}
        for by in held.keys() - standing:  # held by a worker that had not heard of the end yet
            async with self._store.begin(tenant) as tx:
                await tx.deliveries.release_held(tenant, by)

    async def _next_probe(self, tenant: int, row: BreakerRow) -> None:
        async with self._store.begin(tenant) as tx:
            locked = (await tx.breakers.lock([(row.route, row.operator)], tx.now))[row.route, row.operator]
            before = breaker_of(locked)
            if before.state is State.HALF_OPEN:
                step = br.after(before, Happened.TIME, tx.now)
                if not isinstance(step, Ignored):
                    await settle(tx, locked, before, step)
                return
            held = await tx.lines.first_held(by_of(row.route, row.operator), 1)
            if not held:
                return  # the next that comes is the probe
            step = br.after(before, Happened.PROBE_LEAVES, tx.now, probe=str(held[0]))
            if isinstance(step, Ignored):
                return
            after = row_of(locked, step)
            await tx.breakers.put(after)
            await tx.lines.let_go(held)
        self._open[tenant, row.route, row.operator] = after

    async def _look_up(self, domains: set[str]) -> None:
        """By the cache first; DNS for a few at a time."""
        if len(self._operators) > MOST_KNOWN:
            self._operators.clear()
        wanted = sorted(domains - self._operators.keys())
        if not wanted:
            return
        async with self._store.read(0) as tx:
            known = await tx.breakers.operators(wanted)
            now = await tx.limits.real_now()
        fresh = {d: o for d, (o, at) in known.items() if now - at < KNOWN_FOR}
        self._operators |= fresh
        asked = [d for d in wanted if d not in fresh][:LOOKUPS]
        if not asked or self._destinations is None:
            return
        answers = await asyncio.gather(*(self._destinations(d) for d in asked), return_exceptions=True)
        found: dict[str, str] = {}
        for domain, answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException):
                log.warning("operator_not_looked_up", error=type(answer).__name__)
            elif answer.kind is not MailHosts.UNKNOWN:
                found[domain] = operator_of_domain(domain, () if answer.implicit else answer.hosts)
        if found:
            async with self._store.system() as tx:
                await tx.breakers.know_operators(found)
        self._operators |= found


async def _apply(tx: Tx, row: BreakerRow, passed: Mapping[Happened, int], told: Sequence[_Told]) -> None:
    """What was learnt, to a locked row."""
    before = state = breaker_of(row)
    whole = row.operator == WHOLE_ROUTE
    for happened, times in passed.items():
        step = br.after(state, happened, tx.now, times=times)
        state = state if isinstance(step, Ignored) else step
    for one in told:
        counted, happened = one.counted, one.counted.happened
        if whole and not counted.whole_route:
            happened = _ALIVE.get(happened, happened)  # any answer shows that the route lives
        if happened is Happened.REFUSED and state.probe == str(one.delivery):
            happened = Happened.PROBE_REFUSED
        step = br.after(
            state,
            happened,
            tx.now,
            cause=counted.cause,
            said=counted.said,
            first=br.ROUTE_PROBE if whole else br.FIRST_PROBE,
            jitter=random.random(),  # noqa: S311  # spreads probes, hides nothing
        )
        state = state if isinstance(step, Ignored) else step
    await settle(tx, row, before, state)


async def count_reports(tx: Tx, failures: Sequence[FailedAttempt]) -> None:
    """Refusals that came back as reports: all that a relay lets us know of an operator behind it."""
    told = [f for f in failures if f.source is EventSource.DSN and not f.hard and f.cls in br.ABOUT_US]
    if not told:
        return
    domains = {f.delivery_id: f.address.rpartition("@")[2].casefold() for f in told}
    known = await tx.breakers.operators(sorted(set(domains.values())))
    by_row: dict[tuple[str, str], list[_Told]] = defaultdict(list)
    for failure in told:
        domain = domains[failure.delivery_id]
        operator = known[domain][0] if domain in known else operator_of_domain(domain, ())
        refused = Counted(Happened.REFUSED, failure.cls, failure.diagnostic)
        by_row[failure.route, operator].append(_Told(domain, failure.delivery_id, refused))
    for key, row in (await tx.breakers.lock(list(by_row), tx.now)).items():
        await _apply(tx, row, {}, by_row[key])


_ALIVE = {
    Happened.REFUSED: Happened.TAKEN,
    Happened.HANDED_ON: Happened.TAKEN,
    Happened.PROBE_REFUSED: Happened.PROBE_TAKEN,
    Happened.PROBE_HANDED_ON: Happened.PROBE_TAKEN,
}
_PROBE = {
    Happened.REFUSED: Happened.PROBE_REFUSED,
    Happened.TAKEN: Happened.PROBE_TAKEN,
    Happened.HANDED_ON: Happened.PROBE_HANDED_ON,
}


def _of_probe(counted: Counted | None) -> Counted:
    if counted is None:
        return Counted(Happened.PROBE_LOST)
    return replace(counted, happened=_PROBE[counted.happened])


async def settle(tx: Tx, row: BreakerRow, before: Breaker, after: Breaker) -> None:
    """Writes what has become of a locked row; closing lets go what it held."""
    if after == before:
        return
    await tx.breakers.put(row_of(row, after))
    if after.state is before.state:
        return
    log.warning("breaker", route=row.route, operator=row.operator, state=after.state.value, cause=after.cause)
    if after.state is State.CLOSED:
        released = await tx.deliveries.release_held(tx.tenant, by_of(row.route, row.operator))
        log.info("breaker_released", route=row.route, operator=row.operator, count=released)
    tx.signal("deliveries")


WORDS = {
    "blocked_auth": "says that our sender checks fail",
    "blocked_reputation": "refuses our mail server",
    "rate_limited": "says that we send too much",
    "relay_or_security": "does not accept our mails",
    br.UNREACHABLE: "cannot be reached",
    br.SENDER_REFUSED: "refuses our sender address",
    br.ROUTE_DOWN: "cannot be reached",
    br.LOGIN_REFUSED: "refuses our login",
}


def sentence(row: BreakerRow) -> str:
    """Why its mail is held, to an agent."""
    who = f"the route {row.route}" if row.operator == WHOLE_ROUTE else row.operator
    does = WORDS.get(row.cause, "refuses our mail")
    return f"Held: {who} {does}. One mail at a time tries it; the rest goes when that gets through"
