"""What the kill sweep stands on: the sandbox, a database, the product's processes, messages, the ledger."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import yaml

from bot import demo
from bot.config import Config, load_config
from bot.wiring import ensure_tenants, open_store
from notifier.outbox import Draft, Outbox, email, text
from sandbox.__main__ import build
from sandbox.app import Site
from store import migrate
from store.engine import DatabaseGone
from store.models import Channel, Delivery, Event, EventKind, Fallback, NotificationKind, Outcome, Stage
from store.unit import Store
from tests.desk import ROOT
from tests.faults.nursery import Order, When

BRAND = {"name": "Cascade", "support_email": "help@cascade.example", "support_phone": ""}
STEP_S = 0.03


@dataclass
class Child:
    """One process of the product."""

    pid: int
    log: Path
    ended: asyncio.Future[int]
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    """It has reached its commit and kills itself or the database's server."""

    @property
    def began(self) -> bool:
        return self.log.exists() and '"event": "started"' in self.log.read_text()

    async def stop(self, sign: int) -> int:
        """Sends a signal, gives the exit code (minus the signal's number when that is what ended it)."""
        if sign != signal.SIGKILL:  # what has not begun yet knows of no orderly end
            async with asyncio.timeout(30):
                while not self.ended.done() and not self.began:  # noqa: ASYNC110
                    await asyncio.sleep(STEP_S)
        if not self.ended.done():
            os.kill(self.pid, sign)
        async with asyncio.timeout(30):
            return await asyncio.shield(self.ended)


class Nursery:
    """tests.faults.nursery, the process that starts the others."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._children: dict[int, Child] = {}
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Nursery]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.nursery", cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        nursery = cls(process)
        try:
            await nursery._next()
            yield nursery
        finally:
            for child in nursery._children.values():
                if not child.ended.done():
                    os.kill(child.pid, signal.SIGKILL)
                    await child.ended
            process.terminate()
            await process.wait()
            await nursery._reading

    async def _next(self) -> int:
        async with asyncio.timeout(60):
            return await self._started.get()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        early: dict[int, int] = {}
        while line := await self._process.stdout.readline():
            told = json.loads(line)
            if "ready" in told:
                self._started.put_nowait(told["ready"])
            elif "started" in told:
                child = Child(told["started"], Path(), asyncio.get_running_loop().create_future())
                self._children[child.pid] = child
                if child.pid in early:
                    child.ended.set_result(early.pop(child.pid))
                self._started.put_nowait(child.pid)
            elif told["ended" if "ended" in told else "pid"] not in self._children:
                early[told["ended"]] = told["code"]
            elif "killed" in told:
                self._children[told["pid"]].struck.set()
            else:
                self._children[told["ended"]].ended.set_result(told["code"])

    async def start(self, order: Order) -> Child:
        assert self._process.stdin is not None
        self._process.stdin.write(order.line())
        child = self._children[await self._next()]
        child.log = Path(order.log)
        return child


@dataclass(frozen=True)
class Ledger:
    """Where every notice stands, told by its best delivery; `row` adds up or `check` says what does not."""

    enqueued: int
    accepted: int
    bounced: int
    failed: int
    suppressed: int
    cancelled: int
    expired: int
    waiting: int
    copies: int
    """Mails that came once more than once, each after a doubt."""

    def __str__(self) -> str:
        ends = ("accepted", "bounced", "failed", "suppressed", "cancelled", "expired", "waiting")
        sums = " + ".join(f"{getattr(self, name)} {name}" for name in ends)
        return f"{self.enqueued} enqueued = {sums}; {self.copies} mails came again after a doubt"

    def adds_up(self) -> bool:
        ends = self.accepted + self.bounced + self.failed + self.suppressed + self.cancelled + self.expired
        return self.enqueued == ends + self.waiting


@dataclass
class World:
    """One database and what is around it. `wanted` are the deliveries that were enqueued, by their key."""

    site: Site
    state: Path
    config: Config
    store: Store
    nursery: Nursery
    http: aiohttp.ClientSession
    wanted: list[UUID] = field(default_factory=list)
    under_way: list[UUID] = field(default_factory=list)
    """Those that had not ended when they were last looked at."""
    rounds: int = 0
    started: int = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, state: Path, database: str | None, nursery: Nursery) -> AsyncIterator[World]:
        state.mkdir(parents=True, exist_ok=True)
        site = build(state, 0)
        await site.start()
        try:
            ends = site.world.endpoints
            environ = demo._environment(state, database) | demo._wire_secrets(ends)
            demo._write_environment(state, environ)
            demo._write_config(state, ends, demo.DemoOptions(0, state, False, database))
            app = yaml.safe_load((state / "app.yaml").read_text())
            app["worker"] = {"lease_s": 1, "poll_s": 0.2, "sweep_s": 0.2}
            (state / "app.yaml").write_text(yaml.safe_dump(app))
            config = load_config(state / "app.yaml", environ)
            await migrate.upgrade(config.database_url)
            store = open_store(config)
            try:
                await ensure_tenants(store, config)
                async with aiohttp.ClientSession() as http:
                    yield cls(site, state, config, store, nursery, http)
            finally:
                await store.close()
        finally:
            await site.stop()

    async def start(self, half: str, commit: int = 0, when: When = "before", postmaster: int = 0) -> Child:
        """`ispbot HALF`, which dies (or kills the server) at its N-th commit."""
        self.started += 1
        words = [half, "--config", str(self.state / "app.yaml")]
        words += ["--environment", str(self.state / "environment")]
        log = self.state / f"{half}-{self.started}.log"
        return await self.nursery.start(Order(words, str(log), commit, when, postmaster))

    async def control(self, path: str, **body: Any) -> None:
        async with self.http.post(f"{self.site.url}/sandbox/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def enqueue(self) -> None:
        """One of each fate: taken, bounced later, refused (and then by its second way), put off, and texts:
        one that arrives and one whose answer is lost."""
        self.rounds += 1
        n = self.rounds
        late, refused, put_off = (f"{fate}{n}@inbox.example" for fate in ("late", "refused", "off"))
        reached, second, doubted = (f"+1541555{block}{n:03}" for block in (1, 2, 3))
        await self.control(
            "mail/behaviour", address=late, bounce={"after_s": 0, "status": "5.1.1", "diagnostic": "No such"}
        )
        await self.control("mail/behaviour", address=refused, reply="550 5.1.1 No such user")
        await self.control("mail/behaviour", address=put_off, reply="451 4.7.1 Try again later", times=1)
        await self.control("phone/behaviour", number=doubted, lose_response=True, times=1)
        texts = [text(number) for number in (reached, doubted)]
        drafts = [self._draft(f"{n}:{to}", email(to)) for to in (f"taken{n}@inbox.example", late, put_off)]
        drafts += [self._draft(f"{n}:{to.address}", to) for to in texts]
        way = Fallback(Channel.SMS, second, "twilio")
        drafts.append(self._draft(f"{n}:{refused}", email(refused), fallback=(way,)))
        await self._enqueue(drafts)

    async def enqueue_mails(self, number: int) -> list[UUID]:
        """Plain ones, which are taken."""
        self.rounds += 1
        names = [f"plain{self.rounds}-{n}@inbox.example" for n in range(number)]
        return await self._enqueue([self._draft(name, email(name)) for name in names])

    async def _enqueue(self, drafts: Sequence[Draft]) -> list[UUID]:
        outbox = Outbox(self.config.secrets.keyring, {1: "mail.cascade.example"})
        async with self.store.begin(1) as tx:
            found = [one.notification_id for one in await outbox.enqueue_many(tx, drafts)]
        self.wanted += found
        self.under_way += found
        return found

    def _draft(self, key: str, to: Any, **more: Any) -> Draft:
        context = {"brand": BRAND, "route": "visp", "body": f"Notice {key}."}
        return Draft(
            key=key, kind=NotificationKind.TEST, language="en", context=context, recipients=[to],
            route="visp", sms_route="twilio", requested_by="test", **more,
        )  # fmt: skip

    async def deliveries(self, notices: Sequence[UUID] | None = None) -> list[Delivery]:
        """Of these notices, all when none are named."""
        async with self.store.read(1) as tx:
            found = await tx.deliveries.of_notifications(self.wanted if notices is None else notices)
        return [d for ds in found.values() for d in ds]

    async def settle(self, until: Callable[[], bool] = lambda: False, limit_s: float = 60) -> bool:
        """Moves business time on whenever nothing else happens. True: every notice is settled and every
        report that was to come is here; False: `until` came first."""
        loop = asyncio.get_running_loop()
        deadline, still, before = loop.time() + limit_s, 0, None
        while not until():
            try:
                open_rows = [d for d in await self.deliveries(self.under_way) if not _ended(d)]
            except DatabaseGone:  # the server was killed; whoever killed it starts it again
                await asyncio.sleep(STEP_S)
                continue
            self.under_way = list({d.notification_id for d in open_rows})
            if not open_rows:
                return True
            assert loop.time() < deadline, [(d.address, d.stage, d.stage_by, d.due_at) for d in open_rows]
            now = {d.id: (d.stage, d.attempt, d.due_at) for d in open_rows}
            still = still + 1 if now == before else 0
            before = now
            if still >= 10 and not any(d.stage is Stage.CLAIMED for d in open_rows):
                self._next_moment(open_rows)
                still = 0
            await asyncio.sleep(STEP_S)
        return False

    def _next_moment(self, rows: Sequence[Delivery]) -> None:
        """To when the next one is due; in small steps where something else is waited for."""
        clock = self.site.world.clock
        dues = [d.due_at for d in rows if d.due_at > clock.now()]
        wait = (min(dues) - clock.now()).total_seconds() if dues else 1.0
        clock.advance(min(max(wait, 1.0), 900.0))

    async def ledger(self) -> Ledger:
        """Checks each notice against what the outside world has seen of it."""
        try:
            rows = await self.deliveries()
        except DatabaseGone:  # a connection from before the server was killed: the next one is a fresh one
            rows = await self.deliveries()
        async with self.store.read(1) as tx:
            histories = await tx.events.of([(d.tenant, d.id) for d in rows])
        came = Counter(await self._by_message_id())
        copies = 0
        by_notice: dict[UUID, list[Delivery]] = {}
        for d in rows:
            by_notice.setdefault(d.notification_id, []).append(d)
            history: Sequence[Event] = histories[(d.tenant, d.id)]
            doubts = sum(e.kind is EventKind.IN_DOUBT for e in history)
            if d.channel is Channel.EMAIL:
                assert came[d.message_id] <= 1 + doubts, f"{d.address} came again without a doubt"
                if d.outcome in (Outcome.SENT, Outcome.DELIVERED):
                    assert came[d.message_id] >= 1, f"{d.address} is told as sent and never came"
                copies += max(came[d.message_id] - 1, 0)
            else:
                texts = await self._texts(d.address)
                assert len(texts) == 1, f"{d.address} got {len(texts)} texts, not one"
        assert len(by_notice) == len(self.wanted), "a notice has no delivery"
        ends = Counter(_end(ds) for ds in by_notice.values())
        names = ("accepted", "bounced", "failed", "suppressed", "cancelled", "expired", "waiting")
        return Ledger(enqueued=len(self.wanted), copies=copies, **{name: ends[name] for name in names})

    async def copies(self, notices: Sequence[UUID]) -> list[int]:
        """How often each of their mails has come."""
        came = await self._by_message_id()
        return [came.get(d.message_id, 0) for d in await self.deliveries(notices)]

    async def _by_message_id(self) -> dict[str, int]:
        async with self.http.get(f"{self.site.url}/sandbox/mail/ledger") as answer:
            found: dict[str, int] = (await answer.json())["by_message_id"]
            return found

    async def _texts(self, number: str) -> list[dict[str, Any]]:
        path = f"{self.site.url}/sandbox/phone"
        async with self.http.get(path, params={"number": number}) as answer:
            assert answer.status == 200, await answer.text()
            found: list[dict[str, Any]] = await answer.json()
        return found


def _ended(d: Delivery) -> bool:
    """Nothing more is to come of this one, as the sandbox was told to treat it."""
    if d.stage in (Stage.QUEUED, Stage.CLAIMED, Stage.HELD):
        return False
    if d.channel is Channel.SMS:
        return d.outcome is Outcome.DELIVERED
    return d.outcome is Outcome.BOUNCED if d.address.startswith(("late", "refused")) else True


def _end(deliveries: Sequence[Delivery]) -> str:
    """The one line of the ledger on which a notice stands: the best that any of its deliveries reached."""
    outcomes = {d.outcome for d in deliveries}
    if outcomes & {Outcome.SENT, Outcome.DELIVERED}:
        return "accepted"
    if any(d.stage is not Stage.CLOSED for d in deliveries):
        return "waiting"
    order = (Outcome.BOUNCED, Outcome.FAILED, Outcome.SUPPRESSED, Outcome.CANCELLED, Outcome.EXPIRED)
    return next(str(outcome) for outcome in order if outcome in outcomes)
