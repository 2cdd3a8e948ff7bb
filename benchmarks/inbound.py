"""What the benchmarks of inbound traffic share: deliveries that wait for news, the product's own inbox and
runner over them, and how a round is timed. The load comes from a process of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from sqlalchemy import func, select, update

from benchmarks import databases
from benchmarks.databases import TENANT
from benchmarks.load import write_requests
from benchmarks.memory import resident_mb
from bot.inbox import Inbox
from bot.respond import Responder
from bot.roles import RoleBook
from bot.runner import Runner
from bot.signing import ValueSigner
from handlers.contract import Services
from handlers.profile import Brand, SmsProfile, TenantProfile
from notifier.channels import Route, SmsRoute
from notifier.keys import DeliveryToken, Keyring
from notifier.mailauth import StaticResolver
from notifier.outbox import Draft, Outbox, email, text
from store.models import Channel, Confidence, Event, EventKind, EventSource, NotificationKind, Outcome, Stage
from store.tables import deliveries, events, interactions
from store.unit import Store

DOMAIN, KEYRING = "mail.cascade.example", Keyring.parse("1:a secret of a benchmark")
SMS_ROUTE = SmsRoute(
    name="twilio",
    sender="+15415550100",
    account_sid="AC" + "0" * 32,
    auth_tokens=("a token of a benchmark",),
    callback_url="https://desk.cascade.example/twilio/status",
)
MAIL_ROUTE = Route(
    name="relay",
    kind="relay",
    host="127.0.0.1",
    port=25,
    envelope="verp",
    envelope_domain=DOMAIN,
    from_address="billing@cascade.example",
    from_name="Cascade Fiber",
)
ROUNDS = 3
Timing = tuple[float, float]
"""Per second of wall time, and CPU microseconds of this process for each."""
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """One delivery that was handed over and waits for news."""

    token: str
    address: str
    sid: str


def services_of(store: Store) -> Services:
    profile = TenantProfile(
        id=TENANT.id,
        key=TENANT.key,
        brand=Brand("Cascade Fiber", "help@cascade.example"),
        time_zone=ZoneInfo(TENANT.time_zone),
        locale="en_US",
        region="US",
        command="/isp",
        support_channel="C_SUPPORT",
        oncall_channel="C_ONCALL",
        routes=(MAIL_ROUTE,),
        default_route="relay",
        required_include="spf.visp.net",
        send_mode="live",
        sms=SmsProfile(route=SMS_ROUTE),
    )
    return Services(
        store=store,
        outbox=Outbox(KEYRING, {TENANT.id: DOMAIN}),
        resolver=StaticResolver({}),
        tenants={TENANT.id: profile},
        specs=(),
        keyring=KEYRING,
    )


async def handed_over(store: Store, channel: Channel, number: int) -> list[Waiting]:
    """So many messages, each accepted by a relay or by the text provider."""
    outbox = Outbox(KEYRING, {TENANT.id: DOMAIN})
    found: list[Waiting] = []
    for start in range(0, number, BATCH):
        stop = min(start + BATCH, number)
        drafts = [_draft(channel, n) for n in range(start, stop)]
        async with store.begin(TENANT.id) as tx:
            queued = await outbox.enqueue_many(tx, drafts)
            by = await tx.deliveries.of_notifications([q.notification_id for q in queued])
            told = []
            for n, one in enumerate(queued, start):
                (item,) = by[one.notification_id]
                sid = f"SM{n:032x}"
                said = f"queued {sid}" if channel is Channel.SMS else f"250 2.0.0 Ok: queued as Q{n:08x}"
                told.append(
                    Event(
                        delivery_id=item.id,
                        attempt=1,
                        kind=EventKind.ACCEPTED,
                        key="worker:1:accepted",
                        at=tx.now,
                        source=EventSource.SMTP,
                        confidence=Confidence.HANDED_TO_RELAY,
                        diagnostic=said,
                    )
                )
                token = KEYRING.delivery_token(DeliveryToken(TENANT.id, item.id, 1))
                found.append(Waiting(token, item.address, sid))
            await tx.events.append([(TENANT.id, event) for event in told])
            ids = [event.delivery_id for event in told]
            for part in range(0, len(ids), 500):
                await tx.conn.execute(
                    update(deliveries)
                    .where(deliveries.c.tenant_id == TENANT.id, deliveries.c.id.in_(ids[part : part + 500]))
                    .values(
                        stage=Stage.AWAITING,
                        attempt=1,
                        outcome=Outcome.SENT,
                        confidence=Confidence.HANDED_TO_RELAY,
                        outcome_at=tx.now,
                        due_at=tx.now + timedelta(days=3),
                    )
                )
    return found


def _draft(channel: Channel, n: int) -> Draft:
    whom = text(f"+1541{n:07d}") if channel is Channel.SMS else email(f"p{n}@inbox.example")
    return Draft(
        key=f"bench:{channel}:{n}",
        kind=NotificationKind.INVOICE_ISSUED,
        language="en",
        context={"invoice": {"number": str(n)}},
        recipients=[whom],
        route="relay",
        requested_by="U_BENCH",
    )


@asynccontextmanager
async def desk(store: Store) -> AsyncIterator[tuple[Services, Inbox, Runner]]:
    """As a deployment runs them, without Slack."""
    services = services_of(store)
    async with aiohttp.ClientSession() as session:
        responder = Responder(
            store=store, session=session, clients={}, keyring=KEYRING, signer=ValueSigner(KEYRING)
        )
        runner = Runner(
            store=store,
            services=services,
            commands={},
            roles=RoleBook({}, {}),
            responder=responder,
            keyring=KEYRING,
            worker="bench",
            lease_s=60,
        )
        inbox = Inbox(store, worker="bench", lease_s=60)
        loops = [asyncio.create_task(inbox.run()), asyncio.create_task(runner.run())]
        try:
            yield services, inbox, runner
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await runner.drain(5)


async def folded(store: Store, runner: Runner, before: int, number: int) -> None:
    """Until each piece of news is an event, committed, and its row in the inbox is done."""
    while True:
        if not runner.backlog:
            async with store.read(TENANT.id) as tx:
                now = await event_count(tx)
                left = (
                    await tx.conn.execute(
                        select(func.count()).select_from(interactions).where(interactions.c.state != "done")
                    )
                ).scalar_one()
            if now - before >= number and not left:
                return
        await asyncio.sleep(0.02)


async def event_count(tx: Any) -> int:
    found = await tx.conn.execute(select(func.count()).select_from(events))
    return int(found.scalar_one())


async def taken_in(store: Store, runner: Runner, load: Callable[[], Awaitable[None]], number: int) -> Timing:
    """From the first octet that the load sends until all of its news is folded."""
    async with store.read(TENANT.id) as tx:
        before = await event_count(tx)

    async def work() -> None:
        await load()
        await folded(store, runner, before, number)

    return await timed(work, number)


async def measured(
    name: str,
    kind: str,
    channel: Channel,
    count: int,
    requests: Callable[[list[Waiting]], list[bytes]],
    limit: Callable[[Path, int], Awaitable[Timing]],
    ours: Callable[[Store, Path, int], Awaitable[Timing]],
) -> dict[str, Any]:
    """ROUNDS times the limit and ours, by turns, each round with news of `count` deliveries."""
    rates: list[Timing] = []
    limits: list[Timing] = []
    async with databases.of(kind) as url, databases.opened(url) as store:
        waiting = await handed_over(store, channel, count * ROUNDS)
        with tempfile.TemporaryDirectory(prefix="ispbot-") as home:
            file = Path(home) / "requests"
            for turn in range(ROUNDS):
                made = requests(waiting[turn * count : (turn + 1) * count])
                await asyncio.to_thread(write_requests, file, made)
                limits.append(await limit(file, len(made)))
                rates.append(await ours(store, file, len(made)))
    return row(f"{name}_{kind}", rates, limits)


async def timed(work: Callable[[], Awaitable[None]], number: int) -> tuple[float, float]:
    """(per second of wall time, CPU microseconds of this process each)."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return number / (time.perf_counter() - wall), (time.process_time() - cpu) / number * 1e6


def row(
    name: str, ours: Sequence[tuple[float, float]], limits: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    return {
        "name": name,
        "rate": round(median(rate for rate, _ in ours), 1),
        "limit": round(median(rate for rate, _ in limits), 1) if limits else None,
        "peer": None,
        "rss_mb": round(resident_mb(), 1),
        "cpu_us": round(median(cpu for _, cpu in ours), 1),
        "limit_cpu_us": round(median(cpu for _, cpu in limits), 1) if limits else None,
    }
