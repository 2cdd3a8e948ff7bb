"""A worker on a real store and the sandbox's phones: what the suites about texts share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from handlers import webhooks
from notifier.channels import SmsRoute, sms_twilio
from notifier.compose import Composer
from notifier.outbox import text
from notifier.text_desk import TextDesk
from notifier.worker import Worker
from store.models import Channel, Delivery, NotificationKind
from store.unit import Store
from tests.builders import KEYRING, draft, outbox
from tests.conftest import FakeClock
from tests.contracts.sending import Sending
from tests.unit.sandbox.phone_world import MARIA, Phones

WORDS = "The technician comes at nine."


class Texting(Sending):
    """Callbacks reach the product while `listening`; what came before waits in the sandbox's queue."""

    def __init__(
        self, store: Store, clock: FakeClock, phones: Phones, logs: Sequence[MutableMapping[str, Any]]
    ) -> None:
        super().__init__(store, clock, None, logs)  # type: ignore[arg-type]  # no mail here
        self.phones = phones
        self.learnt: list[str] = []
        self.displeased: set[str] = set()
        """What a test provokes on the wire."""

    def text_route(self, **more: Any) -> SmsRoute:
        fields: dict[str, Any] = {
            "name": "twilio",
            "sender": self.phones.sender,
            "account_sid": self.phones.twilio["account_sid"],
            "auth_tokens": (self.phones.twilio["auth_token"],),
            "api_url": self.phones.twilio["api"],
            "callback_url": f"http://127.0.0.1:{self.phones.product.port}/twilio/status",
            "connections": 2,
            "timeout_s": 2.0,
        }
        return SmsRoute(**(fields | more))

    def text_desk(self) -> TextDesk:
        """One process's, without the rest of its worker."""
        composer = Composer(KEYRING, self.clock)
        return TextDesk(self.store, {1: self.text_route()}, sms_twilio.CHANNEL, composer)

    def texter(self, *, route: SmsRoute | None = None, **more: Any) -> Worker:
        return self.worker(routes={}, texts={1: route or self.text_route()}, **more)

    @asynccontextmanager
    async def texting(self, **more: Any) -> AsyncIterator[None]:
        """A worker runs meanwhile; its end is a cancellation, as at a stop of the process."""
        task = asyncio.create_task(self.texter(**more).run())
        try:
            yield
        finally:
            if task.done():
                await task
            task.cancel()
            await asyncio.wait([task])

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Status callbacks are worked on, those that came before first."""

        async def work() -> None:
            while True:
                received = await self.phones.product.received.get()
                assert received.genuine
                token = received.path.rpartition("/")[2]
                payload = {"token": token, "params": received.params}
                self.learnt.append(await webhooks.text_status(self.store, KEYRING, payload))

        task = asyncio.create_task(work())
        try:
            yield
        finally:
            if task.done():
                await task
            task.cancel()
            await asyncio.wait([task])

    async def queue_text(self, number: str = MARIA, body: str = WORDS, **more: Any) -> Delivery:
        fields: dict[str, Any] = {
            "kind": NotificationKind.TEST,
            "recipients": [text(number)],
            "sms_route": "twilio",
            "context": {"brand": {"name": "Cascade"}, "body": body},
        }
        wanted = draft(more.pop("key", next(self._keys)), **(fields | more))
        async with self.store.begin(1) as tx:
            found = await outbox().enqueue(tx, wanted)
            (queued,) = (await tx.deliveries.of_notifications([found.notification_id]))[found.notification_id]
        return queued

    async def copies_at(self, number: str = MARIA) -> int:
        """How many texts the phone has."""
        return len(await self.phones.shown(number))

    async def suppressed_numbers(self, *numbers: str) -> dict[str, str]:
        """Number -> why, of those that are."""
        async with self.store.read(1) as tx:
            found = await tx.suppressions.active([(Channel.SMS, number) for number in numbers])
        return {number: suppression.reason for (_, number), suppression in found.items()}
