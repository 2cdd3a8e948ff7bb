"""The on-call watch: failures become incidents, and urgent ones that nobody takes are texted.

The sweep reads what was recorded since its cursor, a minute over again each time, and adds it up once a
cause and page; the store knows each delivery, so that reading twice counts once. Any number of processes
may run it: the cursor's row is whose turn it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from handlers.contract import Services
from handlers.format import clock_time
from handlers.profile import TenantProfile
from handlers.workflows.incident_breakers import of_incident
from handlers.workflows.incidents import INCIDENT_SURFACE, Standing, standing, text_key, text_obstacle
from notifier.breaking import count_reports
from notifier.contexts import brand_context
from notifier.oncall import (
    CAUSES,
    MOST_TEXTS,
    OVERALL,
    TEXT_AGAIN,
    About,
    Cause,
    Urgent,
    Way,
    burst_of,
    cause_of,
    is_urgent,
    kind_of,
)
from notifier.outbox import Draft
from notifier.outbox import text as to_text
from notifier.tracking import DELIVERY_SURFACE
from store.failed_attempts import NOTHING, Position
from store.incidents import Caught
from store.models import (
    ABOUT_NOBODY,
    AuditEntry,
    FailedAttempt,
    Incident,
    IncidentState,
    NotificationKind,
    Priority,
)
from store.unit import Tx

OVERLAP = timedelta(minutes=1)
"""Transactions that began before the cursor may commit after it: none takes so long."""
PAGE = 2000
MOST_OF_A_WINDOW = 20_000
ONCALL = "on-call"
"""Who asked for the texts."""
TEXT_LIFETIME = timedelta(hours=1)
"""Later than that it would only wake somebody for what others have seen."""
_ALL = Cause("burst_all")


class Watch:
    """One tenant's watch in one process. What it remembers only saves work: nothing depends on it."""

    def __init__(self, services: Services, tenant: int) -> None:
        self._services, self._profile = services, services.profile(tenant)
        self._seen: dict[UUID, datetime] = {}
        """Events of the overlap that were added up already."""
        self._over: dict[UUID, bool] = {}
        """What the cards say of whether it seems over."""
        self._breakers: dict[UUID, tuple[object, ...]] = {}
        """What they say of breakers."""

    async def sweep(self) -> int:
        """Adds up what was recorded since; gives how many failures were new to this process."""
        store, tenant = self._services.store, self._profile.id
        async with store.read(tenant) as tx:
            cursor = await tx.failed_attempts.cursor(self._begin(tx))
        position: Position = (cursor - OVERLAP, NOTHING)
        looked_at = 0
        while True:
            async with store.read(tenant) as tx:
                page = await tx.failed_attempts.recorded_after(position, PAGE)
                unseen = [event for _, event in page if event not in self._seen]
                failures = await tx.failed_attempts.of_events(unseen)
            if failures and not await self._take(failures):
                return looked_at  # another process is at it; what it leaves is read the next time
            looked_at += len(failures)
            if len(page) < PAGE:
                self._forget(cursor)
                return looked_at
            position = page[-1]

    def _begin(self, tx: Tx) -> datetime:
        """Where nobody ever looked: what failed long ago is not told now."""
        return tx.now - self._profile.oncall.burst_window

    async def _take(self, failures: Sequence[FailedAttempt]) -> bool:
        async with self._services.store.begin(self._profile.id) as tx:
            if await tx.failed_attempts.take_turn(self._begin(tx)) is None:
                return False
            await raise_incidents(tx, self._profile, failures)
            await count_reports(tx, [f for f in failures if f.notification_kind not in ABOUT_NOBODY])
            await tx.failed_attempts.advance(failures[-1].recorded_at)
        self._seen.update((failure.event_id, failure.recorded_at) for failure in failures)
        return True

    def _forget(self, cursor: datetime) -> None:
        self._seen = {event: at for event, at in self._seen.items() if at >= cursor - OVERLAP}

    async def look(self) -> None:
        """At what is unresolved: is it urgent now, does it seem over, has somebody to be texted?"""
        async with self._services.store.read(self._profile.id) as tx:
            found = [(incident, await standing(tx, incident)) for incident in await tx.incidents.unresolved()]
            states: dict[UUID, tuple[object, ...]] = {
                incident.id: tuple(
                    (b.route, b.operator, b.state, b.trial) for b in await of_incident(tx, incident)
                )
                for incident, _ in found
            }
        for incident, now in found:
            await self._judge(incident, now, states[incident.id])
        self._over = {incident.id: now.over for incident, now in found}
        self._breakers = states

    async def _judge(self, incident: Incident, standing: Standing, breakers: tuple[object, ...]) -> None:
        """Writes only where something changes."""
        profile, now = self._profile, self._services.now()
        urgent = incident.urgent or _urgent(incident, standing, profile, now)
        number = text_due(incident, profile, now) if urgent and not standing.over else None
        told = self._over.get(incident.id, False) == standing.over
        told = told and self._breakers.get(incident.id, ()) == breakers
        if told and urgent == incident.urgent and number is None:
            return
        async with self._services.store.begin(profile.id) as tx:
            if urgent and not incident.urgent:
                await tx.incidents.mark_urgent(incident.id)
            if number is not None:
                await self._text(tx, incident, number)
            await tx.posts.bump(INCIDENT_SURFACE, [(tx.tenant, str(incident.id))])

    async def _text(self, tx: Tx, incident: Incident, number: int) -> None:
        """To every number on call, whatever the hour; only if nobody took it at this moment."""
        profile = self._profile
        if profile.sms is None or not await tx.incidents.texted(incident.id, number):
            return
        key = text_key(incident.id, number)
        await self._services.outbox.enqueue(
            tx,
            Draft(
                key=key,
                kind=NotificationKind.ONCALL,
                language=profile.locale.partition("_")[0],
                context={"brand": brand_context(profile.brand), "body": text_body(incident, profile)},
                recipients=[to_text(to) for to in profile.oncall.numbers],
                route=profile.default_route,
                sms_route=profile.sms.route.name,
                requested_by=ONCALL,
                priority=Priority.URGENT,
                lifetime=TEXT_LIFETIME,
            ),
        )
        detail = {"cause": incident.cause, "text": number}
        await tx.audit.append(
            key, AuditEntry(tx.now, ONCALL, "incident.text", f"incident:{incident.id}", detail)
        )


def _urgent(incident: Incident, standing: Standing, profile: TenantProfile, now: datetime) -> bool:
    return is_urgent(
        kind_of(incident.cause),
        count=incident.count,
        burst=profile.oncall.burst,
        waiting=standing.waiting.count,
        urgent=standing.waiting.urgent,
        age=now - incident.first_at,
    )


def text_due(incident: Incident, profile: TenantProfile, now: datetime) -> int | None:
    """Which text to the on-call is due about an urgent incident: the first, the second, or none."""
    if incident.state is not IncidentState.OPEN or text_obstacle(incident, profile):
        return None
    if incident.texted_at is None:
        return 1 if now - incident.first_at >= profile.oncall.text_after else None
    again = incident.texts < MOST_TEXTS and now - incident.texted_at >= TEXT_AGAIN
    return incident.texts + 1 if again else None


def text_body(incident: Incident, profile: TenantProfile) -> str:
    """Short: where it is told in full is Slack."""
    since = clock_time(incident.first_at, profile.time_zone, profile.locale)
    count = f"{incident.count:,} message{'' if incident.count == 1 else 's'} since"
    if kind_of(incident.cause).about is About.WATCH:  # no message tells of it
        count = "Since"
    still = "STILL URGENT" if incident.texts else "URGENT"
    return f"{still}: {incident.title}. {count} {since}. Nobody has acknowledged it in Slack yet."


async def raise_incidents(tx: Tx, profile: TenantProfile, failures: Sequence[FailedAttempt]) -> None:
    """What these failures make: ours by cause; the rest only where many come at once."""
    raising = _Raising(tx, profile)
    ours: dict[Cause, list[FailedAttempt]] = defaultdict(list)
    bursts: dict[Cause, list[FailedAttempt]] = defaultdict(list)
    for failure in failures:
        if failure.notification_kind in ABOUT_NOBODY:
            continue
        if (cause := cause_of(failure, raising.ways)) is not None:
            ours[cause].append(failure)
        elif (burst := burst_of(failure)) is not None:
            bursts[burst].append(failure)
    for cause in sorted(ours):  # in one order: two sweeps must not wait for each other
        await raising.add(cause, ours[cause])
    if bursts:
        await raising.add_bursts(bursts)
    await raising.show()


class _Raising:
    """One transaction's incidents. Cards are bumped once, at its end: others bump them too."""

    def __init__(self, tx: Tx, profile: TenantProfile) -> None:
        self._tx, self._profile = tx, profile
        self.ways = {r.name: Way(r.envelope_domain, relay=r.kind == "relay") for r in profile.routes}
        self._incidents: set[UUID] = set()
        self._notifications: set[UUID] = set()

    async def add(self, cause: Cause, failures: Iterable[FailedAttempt]) -> None:
        by_delivery = {f.delivery_id: f for f in failures}
        caught = [Caught(f.delivery_id, f.subscriber_id, f.recorded_at) for f in by_delivery.values()]
        urgent = CAUSES[cause.name].urgent is Urgent.AT_ONCE
        for raised in await self._tx.incidents.raise_or_count(cause.key, cause.title, caught, urgent=urgent):
            if raised.opened:
                key = str(raised.incident.id)
                await self._tx.posts.want(INCIDENT_SURFACE, key, self._profile.oncall_channel)
            self._incidents.add(raised.incident.id)
            self._notifications |= {by_delivery[did].notification_id for did in raised.added}

    async def add_bursts(self, new: Mapping[Cause, list[FailedAttempt]]) -> None:
        """Where a burst is open already they join it; else the window says whether they make one."""
        known = {incident.cause for incident in await self._tx.incidents.unresolved()}
        for cause in sorted(new):
            if cause.key in known:
                await self.add(cause, new[cause])
        if all(cause.key in known for cause in new):
            return
        counted = await _window(self._tx, self._profile, self.ways)
        left: list[FailedAttempt] = []
        for cause in sorted(cause for cause in counted if cause.key not in known):
            failures = list(counted[cause].values())
            if len(failures) >= self._profile.oncall.burst:
                await self.add(cause, failures)
            elif cause.name == "burst":
                left += failures
        await self._add_overall(left, is_open=_ALL.key in known)

    async def _add_overall(self, failures: Sequence[FailedAttempt], *, is_open: bool) -> None:
        """Those that make no burst of their own may make one together."""
        resolved = (await self._tx.incidents.last_resolved([_ALL.key])).get(_ALL.key)
        fresh = [f for f in failures if resolved is None or f.recorded_at > resolved]
        if fresh and (is_open or len(fresh) >= self._profile.oncall.burst * OVERALL):
            await self.add(_ALL, fresh)

    async def show(self) -> None:
        tenant = self._tx.tenant
        await self._tx.posts.bump(INCIDENT_SURFACE, [(tenant, str(i)) for i in self._incidents])
        await self._tx.posts.bump(DELIVERY_SURFACE, [(tenant, str(n)) for n in self._notifications])


async def _window(
    tx: Tx, profile: TenantProfile, ways: Mapping[str, Way]
) -> dict[Cause, dict[UUID, FailedAttempt]]:
    """The failures of the last while that are not ours, by the burst that they may make and by delivery.

    Those from before a burst was resolved made that one, and make no other.
    """
    counted: dict[Cause, dict[UUID, FailedAttempt]] = defaultdict(dict)
    position: Position = (tx.now - profile.oncall.burst_window, NOTHING)
    for failure in await tx.failed_attempts.after(position, MOST_OF_A_WINDOW):
        if cause_of(failure, ways) is None and (burst := burst_of(failure)) is not None:
            counted[burst][failure.delivery_id] = failure
    resolved = await tx.incidents.last_resolved([cause.key for cause in counted])
    return {
        cause: {
            did: f
            for did, f in failures.items()
            if cause.key not in resolved or f.recorded_at > resolved[cause.key]
        }
        for cause, failures in counted.items()
    }
