"""Everything that `/isp queue` shows, read in one transaction."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from billing.hold_words import held_thing
from handlers.contract import Services
from handlers.waiting import Limited, Waiting, Way
from handlers.workflows.watchdog import SILENT_S
from notifier.ceilings import Ceiling, Kind, ceilings
from notifier.oncall import About, kind_of, parse
from notifier.schedule import PRESUMED_AFTER
from store.models import ACCOUNT, Held, Hold, Run
from store.unit import Tx

MINUTE = timedelta(minutes=1)
_LIMITS = (Kind.ROUTE_RATE, Kind.SEGMENTS, Kind.DOMAIN, Kind.SLOWED)


async def load(services: Services, tenant: int) -> Waiting:
    profile = services.profile(tenant)
    async with services.store.read(tenant) as tx:
        queued = {q.route: q for q in await tx.queue.queued()}
        in_hand, held = await tx.queue.claimed(), await tx.queue.held()
        lately = await tx.queue.handed_over(MINUTE, PRESUMED_AFTER)
        troubles = {
            parse(i.cause).about: i
            for i in reversed(await tx.incidents.unresolved())
            if kind_of(i.cause).about is About.ROUTE
        }
        ways = [(route.name, "e-mail", route.connections) for route in profile.routes]
        if profile.sms is not None:
            text = profile.sms.route
            ways.append((text.name, "text", text.connections))
        found = [
            Way(
                name,
                channel,
                connections,
                queued.get(name),
                in_hand.get(name, 0),
                await tx.queue.later(name) if name in queued and queued[name].later else {},
                lately.get(name, 0),
                troubles.get(name),
            )
            for name, channel, connections in ways
        ]
        return Waiting(
            ways=tuple(found),
            held=tuple(held),
            limited=tuple(_limited(c) for c in await ceilings(tx) if c.kind in _LIMITS),
            holds=await _holds(tx, held),
            runs=await _runs(tx, held),
            works=any(process.works for process in await tx.processes.alive(SILENT_S)),
            send_mode=profile.send_mode,
            now=tx.now,
        )


def _limited(ceiling: Ceiling) -> Limited:
    seconds = ceiling.lasts_s
    lasts = timedelta(seconds=seconds) if seconds is not None else None
    return Limited(ceiling.route, ceiling.subject, ceiling.waiting, ceiling.sentence, lasts)


async def _holds(tx: Tx, held: list[Held]) -> dict[str, Hold]:
    found: dict[str, Hold] = {}
    for by in {h.by for h in held}:
        if (named := held_thing(by)) is None:
            continue
        scope, key = named
        standing = await tx.notes.holds_of(key) if scope == ACCOUNT else await tx.notes.of_area(scope, key)
        if standing:
            found[by] = standing[-1]
    return found


async def _runs(tx: Tx, held: list[Held]) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for by in {h.by for h in held if h.by.startswith("run:")}:
        run = await tx.runs.get(UUID(by.removeprefix("run:")))
        if run is not None:
            found[by] = run
    return found
