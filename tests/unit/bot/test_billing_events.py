"""What anybody may post to /billing: a hint when the secret is right, read back from UISP, never believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import text
from structlog.testing import capture_logs

from billing.port import SyncResult
from billing.systems.local import BILLING as LOCAL
from billing.systems.uisp import BILLING
from billing.uisp.system import UispSystem
from bot.billing_events import LONGEST, BillingEvents, secrets_of
from handlers.webhooks import billing_event
from store.models import InvoiceStatus, PackageStatus, Subscriber, SubscriberStatus
from store.unit import Store
from tests.uisp_world import OWES, UispWorld, small_cast, uisp_world
from tests.unit.bot.support import Office
from tests.unit.bot.support import office as open_office
from tests.unit.sandbox.bolt_app import Slack


@dataclass
class Listening:
    office: Office
    world: UispWorld
    system: UispSystem
    url: str

    async def post(self, body: Any = None, *, secret: str = "", raw: bytes | None = None) -> int:
        url = f"{self.url}/billing/{secret or self.system.webhook_secret}"
        async with self.world.http.post(url, json=body, data=raw) as answer:
            return answer.status

    async def told(self, **what: Any) -> None:
        """Somebody works in UISP, and its events have arrived and are carried out."""
        await self.world.call("POST", "billing/change", what)
        await self.heard()

    async def heard(self) -> None:
        """Every event that UISP has sent was answered, and what it told was carried out."""
        seq = 0
        async with asyncio.timeout(20):
            while True:
                books = await self.world.books()
                wire = await self.world.call("GET", "wire")
                sent = {row["detail"].get("uuid") for row in wire if row["direction"] == "out"}
                if {event["uuid"] for event in books["events"]} <= sent:
                    break
                seq = (await self.world.call("GET", f"wait?for=wire&since={seq}&timeout_s=1"))["seq"]
        await self.office.settled()

    async def subscriber(self, account: str) -> Subscriber:
        async with self.office.store.read(1) as tx:
            found = await tx.subscribers.by_account(account)
        assert found is not None
        return found

    async def kept(self) -> int:
        async with self.office.store.read(1) as tx:
            found = await tx.conn.execute(text("SELECT count(*) FROM interactions WHERE kind = 'billing'"))
            return int(found.scalar_one())


@pytest.fixture
async def listening(slack: Slack, sqlite_store: Store, tmp_path: Path) -> AsyncIterator[Listening]:
    async with (
        open_office(slack, sqlite_store) as office,
        uisp_world(tmp_path / "uisp", small_cast("1001", OWES, "1042")) as world,
    ):
        system = BILLING.open(sqlite_store, 1, world.remote())
        assert isinstance(system, UispSystem)
        assert isinstance(await system.sync(full=True), SyncResult)
        office.services.billing[1] = system  # type: ignore[index]  # a dict here
        events = BillingEvents(services=office.services, inbox=office.inbox, runner=office.runner)
        app = web.Application()
        app.add_routes(events.routes())
        site = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await site.setup()
        port = world.site.world.endpoints["product"]["http_port"]
        await web.TCPSite(site, "127.0.0.1", port).start()
        yield Listening(office, world, system, f"http://127.0.0.1:{port}")
        await site.cleanup()
        await system.close()


async def test_a_payment_is_known_here_as_soon_as_uisp_tells_of_it(listening: Listening) -> None:
    await listening.told(account=OWES, paid="all")
    assert (await listening.subscriber(OWES)).balance.minor == 0
    async with listening.office.store.read(1) as tx:
        sid = (await listening.subscriber(OWES)).id
        assert await tx.invoices.of_subscriber(sid, [InvoiceStatus.OPEN]) == []


async def test_a_suspension_made_in_uisp_and_a_renamed_client_are_known_too(listening: Listening) -> None:
    await listening.told(account="1001", service={"status": 3})
    sid = (await listening.subscriber("1001")).id
    async with listening.office.store.read(1) as tx:
        assert PackageStatus.SUSPENDED in {p.status for p in await tx.packages.of_subscriber(sid)}
    await listening.told(account="1001", client={"userIdent": "8001"})
    assert (await listening.subscriber("8001")).id == sid


async def test_what_was_deleted_is_at_its_end_here(listening: Listening) -> None:
    listening.office.store.clock.advance(minutes=1)  # type: ignore[attr-defined]  # FakeClock
    books = await listening.world.client(OWES)
    service = books["services"][0]["id"]
    number = next(one["number"] for one in books["invoices"] if one["status"] == 1)
    await listening.told(account=OWES, service={"id": service, "gone": True})
    listening.office.store.clock.advance(minutes=1)  # type: ignore[attr-defined]
    await listening.told(account=OWES, invoice={"number": number, "gone": True})
    sid = (await listening.subscriber(OWES)).id
    async with listening.office.store.read(1) as tx:
        packages = {p.ref: p.status for p in await tx.packages.of_subscriber(sid)}
        invoice = await tx.invoices.by_number(number)
    assert packages[f"uisp:{service}"] is PackageStatus.INACTIVE
    assert invoice is not None
    assert invoice.status is InvoiceStatus.VOID
    await listening.told(account="1042", gone=True)
    assert (await listening.subscriber("1042")).status is SubscriberStatus.ARCHIVED


async def test_an_event_that_never_happened_changes_nothing(listening: Listening) -> None:
    since = (await listening.world.call("GET", "wire"))[-1]["seq"]
    with capture_logs() as logs:
        await listening.world.call("POST", "billing/event", {"entity": "client", "entity_id": 1})
        await listening.heard()
    assert [row["result"] for row in logs if row["event"] == "billing_event"] == ["forged"]
    asked = await listening.world.asked(since)
    assert [call.split("/")[0] for call in asked] == ["GET webhook-events"], "no client was read"


async def test_a_wrong_secret_is_refused_and_leaves_nothing(listening: Listening) -> None:
    for secret in ("wrong", listening.system.webhook_secret[:-1], listening.system.webhook_secret + "x"):
        assert await listening.post({"uuid": "0" * 32}, secret=secret) == 403
    assert await listening.kept() == 0


async def test_the_same_event_again_is_carried_out_once(listening: Listening) -> None:
    await listening.told(account="1001", client={"city": "Bend"})
    (event,) = (await listening.world.books())["events"]
    with capture_logs() as logs:
        for _ in range(3):
            assert await listening.post(event) == 200
        await listening.office.settled()
    assert [row for row in logs if row["event"] == "billing_event"] == []
    assert await listening.kept() == 1


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"{}", b'{"uuid": 7}', b'{"uuid": "../clients"}', b"[" * 100_000]
)
async def test_what_is_no_event_is_refused(listening: Listening, raw: bytes) -> None:
    assert await listening.post(raw=raw) == 400
    assert await listening.kept() == 0


async def test_an_event_of_any_size_is_not_read(listening: Listening) -> None:
    assert await listening.post(raw=b"x" * (LONGEST + 1)) == 413


async def test_a_uisp_that_does_not_answer_is_asked_again_later(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.uisp.system.BUSY_S", 0.0)
    await listening.world.behave(path="webhook-events", status=503, times=1)
    with capture_logs() as logs:
        await listening.told(account=OWES, paid="all")
    assert [row["error"] for row in logs if row["event"] == "interaction_failed"] == ["Lost"]
    async with listening.office.store.begin(1) as tx:
        await tx.conn.execute(text("UPDATE interactions SET lease_until = NULL, state = 'pending'"))
        left = await tx.of(0).interactions.claim_left(worker="desk1-bot", lease_s=30)
    for item in left:
        listening.office.runner.start(item)
    await listening.office.settled()
    assert (await listening.subscriber(OWES)).balance.minor == 0


async def test_many_events_about_one_client_share_their_looks(listening: Listening) -> None:
    since = (await listening.world.call("GET", "wire"))[-1]["seq"]
    client = (await listening.world.client(OWES))["client"]["id"]
    became = await asyncio.gather(*(listening.system._read_anew(str(client)) for _ in range(20)))
    assert set(became) == {"read"}
    asked = await listening.world.asked(since)
    assert asked.count(f"GET clients/{client}") <= 2


async def test_events_for_a_system_that_is_not_followed_any_more_are_ignored(listening: Listening) -> None:
    local = LOCAL.open(listening.office.store, 1)
    listening.office.services.billing[1] = local  # type: ignore[index]
    assert await billing_event(listening.office.services, 1, {"event": "0" * 32}) == "ignored"
    assert secrets_of({1: local}) == {}
