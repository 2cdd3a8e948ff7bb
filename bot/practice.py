"""The practice desk: a database of its own for each tenant, in a directory that ends with it (ADR 20).

No worker, no watch and no report reads it: what is written there cannot leave, nor count. It asks no DNS, and
its profile has no secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from billing.acts import ActExecutor
from billing.local import import_csv
from billing.systems.local import SOURCE, LocalSystem
from bot import practice_cast
from handlers.contract import Command, Services, Surface
from handlers.profile import OncallProfile, TenantProfile
from handlers.reply import Reply, To
from handlers.workflows.act_notices import ActNotices
from notifier import tracking
from notifier.mailauth import StaticResolver
from notifier.tracking import Report
from store import migrate
from store.engine import Engine
from store.models import Delivery, Event, EventKind, EventSource, Post, Reason, Tenant
from store.unit import Store, Tx

UNSENT = "Practice: nothing is sent."
_BY = "practice"
_LEASE_S = 30.0


class CastRefused(Exception):
    """The importer does not take the invented people: a mistake of ours."""


@dataclass(frozen=True, slots=True)
class _Room:
    """One tenant's desk."""

    services: Services
    place: TemporaryDirectory[str]

    async def close(self) -> None:
        await self.services.store.close()
        await asyncio.to_thread(self.place.cleanup)


class PracticeRooms:
    """Opened when somebody first practises. Whoever practises at one tenant shares its room."""

    def __init__(
        self, services: Services, commands: Mapping[str, Command], surfaces: Mapping[str, Surface]
    ) -> None:
        self.commands = commands
        self._real, self._surfaces = services, surfaces
        self._rooms: dict[int, _Room] = {}
        self._left: dict[int, _Room] = {}
        """The one before the last reset: somebody may be in it still."""
        self._opening = asyncio.Lock()

    async def open(self, tenant: int) -> Services:
        async with self._opening:
            if tenant not in self._rooms:
                self._rooms[tenant] = await self._furnished(tenant)
            return self._rooms[tenant].services

    async def reset(self, tenant: int) -> None:
        async with self._opening:
            old, before = self._rooms.pop(tenant, None), self._left.pop(tenant, None)
            if old is not None:
                self._left[tenant] = old
            if before is not None:
                await before.close()

    async def close(self) -> None:
        for room in (*self._rooms.values(), *self._left.values()):
            await room.close()
        self._rooms.clear()
        self._left.clear()

    async def after(self, tenant: int) -> Sequence[Reply]:
        services = await self.open(tenant)
        acts = ActExecutor(
            store=services.store,
            systems=services.billing,
            outbox=services.outbox,
            announce=ActNotices(services.tenants),
            name=_BY,
        )
        await acts.work()
        async with services.store.begin(tenant) as tx:
            await _settle(tx, tenant)
        async with services.store.system() as tx:
            behind = await tx.posts.claim_behind(worker=_BY, lease_s=_LEASE_S)
        return [card for post in behind if (card := await self._card(services, post)) is not None]

    async def _card(self, services: Services, post: Post) -> Reply | None:
        """To the asker alone. Never `shown`, which would give it a place in Slack: it ends here."""
        drawn = await self._surfaces[post.surface].draw(services, post.tenant, post.key)
        async with services.store.begin(post.tenant) as tx:
            await tx.posts.give_up(post, error=_BY)
        return None if drawn is None else replace(drawn, to=To.ASKER, thread_ts="")

    async def _furnished(self, tenant: int) -> _Room:
        place = TemporaryDirectory(prefix="ispbot-practice-")
        url = f"sqlite:///{Path(place.name) / 'practice.db'}"
        await migrate.upgrade(url)
        store = Store(Engine(url), self._real.store.clock)
        profile = without_ways_out(self._real.profile(tenant))
        async with store.system() as tx:
            await tx.tenants.ensure(Tenant(tenant, profile.key, profile.brand.name, str(profile.time_zone)))
        await _fill(store, profile, Path(place.name))
        services = replace(
            self._real,
            store=store,
            resolver=StaticResolver(_zone(profile)),
            forget_dns=_nothing_kept,
            tenants={tenant: profile},
            billing={tenant: LocalSystem(store, tenant)},
            practice=None,
        )
        return _Room(services, place)


def _nothing_kept() -> None:
    """Nobody's answers are cached here."""


def without_ways_out(real: TenantProfile) -> TenantProfile:
    """What is said is as on the real desk; no secret, nobody to alarm, no page of ours, no other system."""
    sms = real.sms
    return replace(
        real,
        command=f"{real.command} practice",
        routes=tuple(replace(r, host="", username=None, password=None, dkim=None) for r in real.routes),
        send_mode="live",
        public_url="",
        test_mailboxes=("probe@inbox.example",),
        sms=None if sms is None else replace(sms, route=replace(sms.route, auth_tokens=())),
        oncall=OncallProfile(),
        billing="local",
        billing_link="",
        escalation=None,
    )


def _zone(profile: TenantProfile) -> dict[str, dict[str, list[str]]]:
    mx = {domain: {"MX": [f"10 mx.{domain}"]} for domain in practice_cast.MAILBOXES}
    return {**mx, profile.route().envelope_domain: {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}


async def _fill(store: Store, profile: TenantProfile, place: Path) -> None:
    today = store.clock().astimezone(profile.time_zone).date()
    for kind, text in practice_cast.files(today).items():
        file = place / f"{kind}.csv"
        await asyncio.to_thread(file.write_text, text, "utf-8")
        result = await import_csv(store, profile.id, kind, file, source=SOURCE)
        if result.errors:
            first = result.errors[0]
            raise CastRefused(f"{kind}.csv: line {first.line}, {first.column}: {first.reason}")


async def _settle(tx: Tx, tenant: int) -> None:
    """No route is opened: each is cancelled where it stands."""
    while waiting := await tx.deliveries.unsent():
        await tracking.record(tx, [Report(tenant, _unsent(tx, delivery)) for delivery in waiting])


def _unsent(tx: Tx, delivery: Delivery) -> Event:
    return Event(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        kind=EventKind.CANCELLED,
        key=f"practice:{delivery.attempt}",
        at=tx.now,
        source=EventSource.OPERATOR,
        reason=Reason.OPERATOR,
        diagnostic=UNSENT,
        actor=_BY,
    )


__all__ = ["CastRefused", "PracticeRooms", "without_ways_out"]
