"""One transaction per use case: `begin(tenant)` to write, `read(tenant)` to look, `system()` across tenants.

Nothing awaits the network inside. `system()` is for claims and sweeps only: the one way across tenants.
`Tx.signal` wakes whoever waits for that topic once the transaction is committed, in this process and,
on PostgreSQL, in every other one.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property

import structlog
from asyncpg import InterfaceError, PostgresError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from store.acts import BillingActs
from store.address_questions import AddressQuestions
from store.areas import Areas
from store.assignments import Assignments
from store.audit import Audit
from store.billing_refs import BillingRefs
from store.billing_sync import BillingSync
from store.breakers import Breakers
from store.claims import Claims
from store.connection_slots import ConnectionSlots
from store.consents import Consents
from store.conversations import Conversations
from store.deliveries import Deliveries
from store.diagnoses import Diagnoses
from store.dns_watches import DnsWatches
from store.domain_records import DomainRecords
from store.duties import Duties, Duty
from store.ends import Ends
from store.engine import DatabaseGone, Engine
from store.events import Events
from store.failed_attempts import FailedAttempts
from store.failures import Failures
from store.filings import Filings
from store.incidents import Incidents
from store.interactions import Interactions
from store.invoices import Invoices
from store.legal_holds import LegalHolds
from store.lines import Lines
from store.links import Links
from store.mail_health import MailHealth
from store.notes import Notes
from store.notices import Notices
from store.notifications import Notifications
from store.objections import ObjectionsOf
from store.orphans import Orphans
from store.overrides import Overrides
from store.packages import Packages
from store.partitions import Partitions
from store.pdfs import Pdfs
from store.posts import Posts
from store.processes import Processes
from store.queue import Queue
from store.rate_limits import RateLimits
from store.retention import Retention
from store.route_trials import RouteTrials
from store.run_checks import RunChecks
from store.run_ledger import RunLedgers
from store.runs import Runs
from store.search import Search
from store.statistics import Statistics
from store.subscribers import Subscribers
from store.suppressions import Suppressions
from store.tags import Tags
from store.tenants import Tenants

log = structlog.get_logger()

_open: contextvars.ContextVar[int] = contextvars.ContextVar("store_open", default=0)
_CHANNEL = "ispbot"


def in_transaction() -> bool:
    """Whether this task holds a transaction open; whoever talks to the network refuses then."""
    return _open.get() > 0


class Signals:
    """Topics that loops wait on. A wait that saw nothing ends at its time-out: polling is the fallback."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Event]] = {}

    def fire(self, topic: str) -> None:
        for event in self._waiters.get(topic, ()):
            event.set()

    def subscribe(self, *topics: str) -> Subscription:
        event = asyncio.Event()
        for topic in topics:
            self._waiters.setdefault(topic, set()).add(event)
        return Subscription(self._waiters, topics, event)

    async def keep_working(self, topic: str, work: Callable[[], Awaitable[int]], poll_s: float) -> None:
        """Rounds until cancelled; after one that took nothing it waits for `topic`, at most `poll_s`."""
        wanted = self.subscribe(topic)
        try:
            while True:
                if not await work():
                    await wanted.wait(poll_s)
        finally:
            wanted.close()


class Subscription:
    """A standing interest in topics; what fires between two waits is not missed."""

    def __init__(
        self, waiters: dict[str, set[asyncio.Event]], topics: tuple[str, ...], event: asyncio.Event
    ) -> None:
        self._waiters, self._topics, self._event = waiters, topics, event

    async def wait(self, timeout_s: float) -> bool:
        """True when a topic fired, False after `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def close(self) -> None:
        for topic in self._topics:
            self._waiters[topic].discard(self._event)


class Tx:
    """An open transaction of one tenant and its repositories. `now` is business time."""

    def __init__(self, conn: AsyncConnection, tenant: int, now: datetime, signals: set[str]) -> None:
        self.conn, self.tenant, self.now, self._signals = conn, tenant, now, signals

    def signal(self, topic: str) -> None:
        self._signals.add(topic)

    def of(self, tenant: int) -> Tx:
        """This very transaction as one of that tenant's; for what `system()` finds to be done for one."""
        return Tx(self.conn, tenant, self.now, self._signals)

    @property
    def sqlite(self) -> bool:
        return self.conn.dialect.name == "sqlite"

    @cached_property
    def tenants(self) -> Tenants:
        return Tenants(self)

    @cached_property
    def subscribers(self) -> Subscribers:
        return Subscribers(self)

    @cached_property
    def statistics(self) -> Statistics:
        return Statistics(self)

    @cached_property
    def search(self) -> Search:
        return Search(self)

    @cached_property
    def packages(self) -> Packages:
        return Packages(self)

    @cached_property
    def invoices(self) -> Invoices:
        return Invoices(self)

    @cached_property
    def notifications(self) -> Notifications:
        return Notifications(self)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(self)

    @cached_property
    def claims(self) -> Claims:
        return Claims(self)

    @cached_property
    def ends(self) -> Ends:
        return Ends(self)

    @cached_property
    def events(self) -> Events:
        return Events(self)

    @cached_property
    def orphans(self) -> Orphans:
        return Orphans(self)

    @cached_property
    def partitions(self) -> Partitions:
        return Partitions(self)

    @cached_property
    def suppressions(self) -> Suppressions:
        return Suppressions(self)

    @cached_property
    def consents(self) -> Consents:
        return Consents(self)

    @cached_property
    def interactions(self) -> Interactions:
        return Interactions(self)

    @cached_property
    def posts(self) -> Posts:
        return Posts(self)

    @cached_property
    def audit(self) -> Audit:
        return Audit(self)

    @cached_property
    def notes(self) -> Notes:
        return Notes(self)

    @cached_property
    def acts(self) -> BillingActs:
        return BillingActs(self)

    @cached_property
    def billing_refs(self) -> BillingRefs:
        return BillingRefs(self)

    @cached_property
    def billing_sync(self) -> BillingSync:
        return BillingSync(self)

    @cached_property
    def filings(self) -> Filings:
        return Filings(self)

    @cached_property
    def processes(self) -> Processes:
        return Processes(self)

    @cached_property
    def queue(self) -> Queue:
        return Queue(self)

    @cached_property
    def areas(self) -> Areas:
        return Areas(self)

    @cached_property
    def tags(self) -> Tags:
        return Tags(self)

    @cached_property
    def runs(self) -> Runs:
        return Runs(self)

    @cached_property
    def run_ledger(self) -> RunLedgers:
        return RunLedgers(self)

    @cached_property
    def run_checks(self) -> RunChecks:
        return RunChecks(self)

    @cached_property
    def failures(self) -> Failures:
        return Failures(self)

    @cached_property
    def conversations(self) -> Conversations:
        return Conversations(self)

    @cached_property
    def incidents(self) -> Incidents:
        return Incidents(self)

    @cached_property
    def failed_attempts(self) -> FailedAttempts:
        return FailedAttempts(self)

    @cached_property
    def links(self) -> Links:
        return Links(self)

    @cached_property
    def pdfs(self) -> Pdfs:
        return Pdfs(self)

    @cached_property
    def assignments(self) -> Assignments:
        return Assignments(self)

    @cached_property
    def overrides(self) -> Overrides:
        return Overrides(self)

    @cached_property
    def domain_records(self) -> DomainRecords:
        return DomainRecords(self)

    @cached_property
    def mail_health(self) -> MailHealth:
        return MailHealth(self)

    @cached_property
    def dns_watches(self) -> DnsWatches:
        return DnsWatches(self)

    @cached_property
    def questions(self) -> AddressQuestions:
        return AddressQuestions(self)

    @cached_property
    def trials(self) -> RouteTrials:
        return RouteTrials(self)

    @cached_property
    def objections(self) -> ObjectionsOf:
        return ObjectionsOf(self)

    @cached_property
    def breakers(self) -> Breakers:
        return Breakers(self)

    @cached_property
    def slots(self) -> ConnectionSlots:
        return ConnectionSlots(self)

    @cached_property
    def lines(self) -> Lines:
        return Lines(self)

    @cached_property
    def limits(self) -> RateLimits:
        return RateLimits(self)

    @cached_property
    def notices(self) -> Notices:
        return Notices(self)

    @cached_property
    def retention(self) -> Retention:
        return Retention(self)

    @cached_property
    def legal_holds(self) -> LegalHolds:
        return LegalHolds(self)

    @cached_property
    def diagnoses(self) -> Diagnoses:
        return Diagnoses(self)


SYSTEM_TENANT = 0
"""What `system()` transactions carry as tenant: nobody's."""


class Store:
    """The database of one deployment."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.engine, self.clock, self.signals = engine, clock, Signals()
        self._listener: asyncio.Task[None] | None = None
        self._duties = Duties(engine)

    def duty(self, name: str) -> AbstractAsyncContextManager[Duty]:
        """What one process does for all; around a whole loop, which asks `mine()` before each round."""
        return self._duties.duty(name)

    @asynccontextmanager
    async def begin(self, tenant: int, *, urgent: bool = False) -> AsyncIterator[Tx]:
        """A writing transaction; commits at the end, rolls back on an exception. `urgent`: see `write`."""
        if in_transaction():
            raise RuntimeError("a transaction is open in this task already")  # SQLite would wait for itself
        fired: set[str] = set()
        async with self.engine.write(urgent=urgent) as conn:
            token = _open.set(_open.get() + 1)
            try:
                yield Tx(conn, tenant, self.clock(), fired)
                if fired and not self.engine.sqlite:
                    await conn.execute(
                        text(
                            "SELECT pg_notify(:channel, topic) FROM unnest(CAST(:topics AS text[])) AS topic"
                        ),
                        {"channel": _CHANNEL, "topics": sorted(fired)},
                    )
            finally:
                _open.reset(token)
        for topic in fired:
            self.signals.fire(topic)

    @asynccontextmanager
    async def read(self, tenant: int) -> AsyncIterator[Tx]:
        """A reading transaction; on SQLite it runs beside the writer."""
        async with self.engine.read() as conn:
            token = _open.set(_open.get() + 1)
            try:
                yield Tx(conn, tenant, self.clock(), set())
            finally:
                _open.reset(token)

    @asynccontextmanager
    async def system(self, *, urgent: bool = False) -> AsyncIterator[Tx]:
        """A writing transaction across tenants, for claims and sweeps only."""
        async with self.begin(SYSTEM_TENANT, urgent=urgent) as tx:
            yield tx

    async def start(self) -> None:
        if not self.engine.sqlite and self._listener is None:
            self._listener = asyncio.create_task(self._listen(), name="store-listen")

    async def _listen(self) -> None:
        """LISTEN on a connection of its own; on loss it comes back, and polling covers the gap."""
        while True:
            try:
                conn = await self.engine.raw()
                try:
                    lost = asyncio.Event()
                    raw = (await conn.get_raw_connection()).driver_connection
                    if raw is None:
                        raise ConnectionError("no driver connection")
                    raw.add_termination_listener(lambda *_, lost=lost: lost.set())
                    await raw.add_listener(_CHANNEL, lambda *args: self.signals.fire(args[3]))
                    await lost.wait()
                finally:
                    await conn.invalidate()
                    await conn.close()
            except DatabaseGone:
                pass  # told once already; it is tried until it is back
            except (OSError, SQLAlchemyError, PostgresError, InterfaceError) as error:
                log.warning("listen_lost", error=type(error).__name__)
            await asyncio.sleep(1)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
            self._listener = None
        self._duties.close()
        await self.engine.close()


__all__ = ["SYSTEM_TENANT", "Signals", "Store", "Subscription", "Tx", "in_transaction"]
