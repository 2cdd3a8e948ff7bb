"""The rounds by themselves and by hand: when they are due, what is told, and who keeps nobody waiting."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from billing.port import Progress, SyncResult, Unavailable
from billing.systems.local import BILLING as LOCAL
from billing.systems.local import LocalSystem
from bot import billing_sync
from bot.billing_sync import BillingSync
from bot.cli import app
from store.unit import Store
from tests.conftest import FakeClock
from tests.uisp_world import OWES, small_cast, uisp_world
from tests.unit.bot.deployment import ENVIRON, tenant, write

KEYS = ENVIRON | {"UISP_KEY": "set by the test"}


class Followed(LocalSystem):
    """A remote system that only counts its rounds."""

    every = (timedelta(minutes=15), timedelta(days=1))
    webhook_secret = ""

    def __init__(self, store: Store, number: int) -> None:
        super().__init__(store, number)
        self._books, self._number = store, number
        self.rounds: list[bool] = []
        self.trouble = ""
        self.went = asyncio.Event()

    async def sync(self, *, full: bool, progress: Progress | None = None) -> SyncResult | Unavailable:
        self.rounds.append(full)
        self.went.set()
        async with self._books.begin(self._number) as tx:
            await tx.billing_sync.begin(full=full, section="clients")
            if self.trouble:
                await tx.billing_sync.failed(self.trouble)
                return Unavailable(self.trouble)
            await tx.billing_sync.done(full=full, started_at=tx.now)
        return SyncResult(full)

    async def heard(self, event_id: str) -> str:
        raise NotImplementedError


async def test_a_full_round_at_first_short_ones_then_and_a_full_one_a_day(
    store: Store, clock: FakeClock
) -> None:
    system = Followed(store, 1)
    duty = BillingSync(store, {1: system, 2: LOCAL.open(store, 2)})
    assert duty.needed
    for _ in range(2):
        await duty.round()
    clock.advance(minutes=15)
    for _ in range(2):
        await duty.round()
    clock.advance(hours=24)
    await duty.round()
    assert system.rounds == [True, False, True]


async def test_whoever_has_nothing_remote_has_nothing_to_follow(store: Store) -> None:
    assert not BillingSync(store, {1: LOCAL.open(store, 1)}).needed


async def test_a_round_that_fails_is_tried_again_a_minute_later_and_says_why(
    store: Store, clock: FakeClock
) -> None:
    system = Followed(store, 1)
    system.trouble = "UISP cannot be reached."
    duty = BillingSync(store, {1: system})
    with capture_logs() as logs:
        await duty.round()
        await duty.round()
    assert len(system.rounds) == 1
    assert [row["why"] for row in logs if row["event"] == "billing_sync_waits"] == [system.trouble]
    clock.advance(minutes=1)
    system.trouble = ""
    await duty.round()
    assert system.rounds == [True, True]


async def test_the_trouble_of_one_provider_keeps_no_other_waiting(store: Store) -> None:
    class Broken(Followed):
        async def sync(self, *, full: bool, progress: Progress | None = None) -> SyncResult | Unavailable:
            raise ZeroDivisionError

    good = Followed(store, 2)
    with capture_logs() as logs:
        await BillingSync(store, {1: Broken(store, 1), 2: good}).round()
    assert good.rounds == [True]
    assert [row["tenant"] for row in logs if row["event"] == "billing_sync_failed"] == [1]


async def test_it_is_one_process_that_does_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(billing_sync, "LOOK_S", 0.01)
    first, second = Followed(store, 1), Followed(store, 1)
    one = asyncio.create_task(BillingSync(store, {1: first}).run())
    await asyncio.wait_for(first.went.wait(), 10)
    other = asyncio.create_task(BillingSync(store, {1: second}).run())
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    async with store.begin(1) as tx:
        await tx.billing_sync.begin(full=True, section="clients")  # something is to be done again
    await asyncio.wait_for(second.went.wait(), 10)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert (first.rounds, second.rounds) == ([True], [True])


def _ispbot(*words: object, environ: dict[str, str]) -> Result:
    return CliRunner(env={**environ, "COLUMNS": "240"}).invoke(app, [str(word) for word in words])


async def test_sync_by_hand_tells_what_came_and_what_did_not(tmp_path: Path) -> None:
    async with uisp_world(tmp_path / "uisp", small_cast("1001", OWES)) as world:
        environ = KEYS | {"UISP_KEY": world.endpoint["app_key"]}
        uisp = {"url": world.endpoint["api"], "app_key_env": "UISP_KEY"}
        config = write(tmp_path, tenants={"cascade": tenant() | {"billing": "uisp", "uisp": uisp}})
        migrated = await asyncio.to_thread(_ispbot, "migrate", "-c", config, environ=environ)
        assert migrated.exit_code == 0
        await world.change("1001", service={"status": 99})
        result = await asyncio.to_thread(_ispbot, "sync", "--full", "-c", config, environ=environ)
        assert result.exit_code == 0, result.output
        assert "2 clients" in result.stdout
        assert "1 could not be taken in" in result.stdout
        assert "Its status is not known to this version." in result.stdout
        await world.behave(status=401)
        refused = await asyncio.to_thread(_ispbot, "sync", "-c", config, environ=environ)
    assert refused.exit_code == 2
    assert "does not accept our app key" in refused.stderr
    assert "goes on where it stopped" in refused.stderr


def test_sync_says_where_there_is_nothing_to_catch_up_with(tmp_path: Path) -> None:
    config = write(tmp_path)
    assert _ispbot("migrate", "-c", config, environ=ENVIRON).exit_code == 0
    result = _ispbot("sync", "-c", config, environ=ENVIRON)
    assert result.exit_code == 2
    assert "there is nothing to catch up with" in result.stderr
