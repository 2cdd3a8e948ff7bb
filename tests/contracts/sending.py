"""A worker on a real store and the sandbox's mail world: what the suites about sending share."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from billing.truth import BillingTruth, SendMode
from notifier.admission import Gate
from notifier.attachments import Attachments
from notifier.channels import AnyProvider, Route, SmsRoute, email_smtp, sms_twilio
from notifier.compose import Composer
from notifier.truth import Truth
from notifier.worker import Pace, Worker
from store.models import Channel, Delivery, Event, EventKind, Stage
from store.unit import Store
from tests.builders import DOMAIN, KEYRING, draft, outbox
from tests.conftest import FakeClock
from tests.contracts.attempts import row
from tests.unit.sandbox.mail_world import MailWorld

T = TypeVar("T")

MARIA = "maria.santos@inbox.example"
LIVE, OFF = SendMode("live"), SendMode("off")
QUICK = Pace(lease_s=30, poll_s=0.02, record_s=0.001, sweep_s=0.05)
"""Nothing in it decides an outcome; a test that is about a lease or a pause brings its own."""
SURPRISES = frozenset({"worker_loop_failed", "record_failed"})


async def eventually(look: Callable[[], Awaitable[T | None]], what: str, timeout_s: float = 10) -> T:
    """The first truthy answer of `look`, which is asked again and again."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        found = await look()
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.01)


class Sending:
    """`logs` holds what was logged; a test names the SURPRISES that it provokes in `expected`."""

    def __init__(
        self, store: Store, clock: FakeClock, mail: MailWorld, logs: Sequence[MutableMapping[str, Any]]
    ) -> None:
        self.store, self.clock, self.mail, self.logs = store, clock, mail, logs
        self.expected: set[str] = set()
        self._keys = (f"key-{number}" for number in itertools.count(1))

    def surprises(self) -> list[MutableMapping[str, Any]]:
        return [entry for entry in self.logs if entry["event"] in SURPRISES - self.expected]

    def route(self, via: str = "visp", tenant: int = 1, **more: Any) -> Route:
        """The way out by a relay of the sandbox, or by "mx" to the recipients' own servers."""
        fields: dict[str, Any] = {
            "name": "relay",
            "kind": "direct" if via == "mx" else "relay",
            "host": "127.0.0.1",
            "port": self.mail.port(via),
            "envelope": "verp",
            "envelope_domain": DOMAIN[tenant],
            "from_address": "billing@cascade.example",
            "from_name": "Cascade Fiber",
            "connections": 2,
            "timeout_s": 5.0,
            "final_timeout_s": more.get("timeout_s", 5.0),
        }
        return Route(**(fields | more))

    async def queue(self, *addresses: str, tenant: int = 1, **more: Any) -> list[Delivery]:
        """A test mail to each address, in their order."""
        wanted = draft(more.pop("key", next(self._keys)), *(addresses or (MARIA,)), **more)
        async with self.store.begin(tenant) as tx:
            found = await outbox().enqueue(tx, wanted)
            queued = (await tx.deliveries.of_notifications([found.notification_id]))[found.notification_id]
        by_address = {item.address: item for item in queued}
        return [by_address[recipient.address] for recipient in wanted.recipients]

    def worker(
        self,
        route: Route | None = None,
        *,
        routes: Mapping[int, Sequence[Route]] | None = None,
        mode: SendMode = LIVE,
        name: str = "w1",
        pace: Pace = QUICK,
        store: Store | None = None,
        truth: Truth | None = None,
        provider: AnyProvider = email_smtp.CHANNEL,
        dead: Sequence[str] = (),
        attachments: Attachments | None = None,
        texts: Mapping[int, SmsRoute] | None = None,
        gate: Gate | None = None,
    ) -> Worker:
        return Worker(
            store=store or self.store,
            routes={1: [route or self.route()]} if routes is None else routes,
            text_routes=texts or {},
            providers={Channel.EMAIL: provider, Channel.SMS: sms_twilio.CHANNEL},
            truth=truth or BillingTruth(lambda tenant: mode),
            composer=Composer(KEYRING, self.clock),
            name=name,
            pace=pace,
            dead=dead,
            attachments=attachments,
            gate=gate,
        )

    @asynccontextmanager
    async def working(self, route: Route | None = None, **more: Any) -> AsyncIterator[None]:
        """A worker runs meanwhile; its end is a cancellation, as at a stop of the process."""
        task = asyncio.create_task(self.worker(route, **more).run())
        try:
            yield
        finally:
            if task.done():
                await task  # it never ends by itself: what it raised is what went wrong
            task.cancel()
            await asyncio.wait([task])

    async def row(self, item: Delivery) -> Delivery:
        return await row(self.store, item)

    async def events(self, item: Delivery) -> list[Event]:
        async with self.store.read(item.tenant) as tx:
            return (await tx.events.of([(item.tenant, item.id)]))[item.tenant, item.id]

    async def kinds(self, item: Delivery) -> list[EventKind]:
        return [event.kind for event in await self.events(item)]

    async def until(
        self, item: Delivery, *stages: Stage, attempt: int | None = None, timeout_s: float = 10
    ) -> Delivery:
        """The delivery once it stands at one of `stages` (with this attempt's number)."""

        async def look() -> Delivery | None:
            found = await self.row(item)
            reached = found.stage in stages and attempt in (None, found.attempt)
            return found if reached else None

        return await eventually(look, f"{item.address} at {stages}, attempt {attempt}", timeout_s)

    async def until_said(self, item: Delivery, kind: EventKind, times: int = 1) -> list[Event]:
        """The events of a delivery once one of this kind is among them, so many times."""

        async def look() -> list[Event] | None:
            found = await self.events(item)
            return found if [event.kind for event in found].count(kind) >= times else None

        return await eventually(look, f"{kind} of {item.address}, {times} times")

    async def accepted(self) -> int:
        """How many messages the world has said 250 to (or taken without an answer)."""
        return int((await self.mail.ledger())["accepted"])

    async def copies(self, item: Delivery) -> int:
        """How often this very message was taken, told by its Message-ID."""
        return int((await self.mail.ledger())["by_message_id"].get(item.message_id, 0))
