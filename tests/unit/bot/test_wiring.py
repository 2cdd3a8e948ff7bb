"""The composition root: what is found and under which names, and the worker half of a real process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import billing.systems
import handlers.commands
import handlers.surfaces
import notifier.channels
from billing.truth import SEND_MODE, SendMode
from bot.config import Config, ConfigProblems
from bot.wiring import (
    DuplicateName,
    Runtime,
    build_services,
    discover_billing,
    discover_channels,
    discover_commands,
    discover_surfaces,
    ensure_tenants,
    open_billing,
    open_store,
    profile_of,
    routes_of,
    send_modes,
)
from store import migrate
from store.models import Channel, Delivery, Outcome, Stage
from store.unit import Store
from tests.builders import draft
from tests.contracts.sending import MARIA, eventually
from tests.unit.bot.deployment import load, tenant
from tests.unit.sandbox.mail_world import MailWorld

LEO = "leo.park@inbox.example"


def folders(package: ModuleType) -> set[str]:
    """What lies in a package's first folder, told by its files alone."""
    (home, *_) = package.__path__
    found = (path for path in Path(home).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
    return {path.stem for path in found if not path.name.startswith("_")}


def test_every_command_folder_is_found() -> None:
    commands, words = discover_commands()
    assert set(commands) == folders(handlers.commands)
    for name, command in commands.items():
        assert command.spec.name == name
        for word in (name, *command.spec.aliases):
            assert words[word] == name
    assert set(words.values()) == set(commands)


def test_every_surface_file_is_found() -> None:
    assert len(discover_surfaces()) == len(folders(handlers.surfaces))
    assert all(surface.name == name for name, surface in discover_surfaces().items())


VERIFIERS = {"twilio_webhooks"}
"""They send nothing: they tell a genuine webhook from a forged one."""


def test_every_channel_file_is_found() -> None:
    assert len(discover_channels()) == len(folders(notifier.channels) - VERIFIERS)
    assert discover_channels()[Channel.EMAIL].channel is Channel.EMAIL


def test_every_billing_system_is_found() -> None:
    assert set(discover_billing()) == folders(billing.systems)


Drop = Callable[[ModuleType, str, str], None]


@pytest.fixture
def drop_in(tmp_path: Path) -> Iterator[Drop]:
    """Adds a file to a package from another folder, as an outside package may; it is gone after the test."""
    before = set(sys.modules)
    added: list[tuple[ModuleType, str]] = []

    def drop(package: ModuleType, file: str, text: str) -> None:
        home = tmp_path / package.__name__
        path = home / file
        path.parent.mkdir(parents=True)
        if path.parent != home:
            (path.parent / "__init__.py").touch()
        path.write_text(text)
        package.__path__.append(str(home))
        added.append((package, str(home)))

    yield drop
    for package, home in added:
        package.__path__.remove(home)
        for name in set(sys.modules) - before:
            parent, _, child = name.rpartition(".")
            if parent == package.__name__:
                delattr(package, child)
            if name.startswith(f"{package.__name__}."):
                del sys.modules[name]


def test_a_new_folder_is_a_new_command(drop_in: Drop) -> None:
    text = """
from handlers.profile import CommandSpec
class Ping:
    spec = CommandSpec("ping", "ping", "Say pong", aliases=("pong",))
COMMAND = Ping()
"""
    drop_in(handlers.commands, "ping/command.py", text)
    commands, words = discover_commands()
    assert commands["ping"].spec.summary == "Say pong"
    assert (words["pong"], "find" in commands) == ("ping", True)


@pytest.mark.parametrize(
    "spec", ['CommandSpec("find", "", "")', 'CommandSpec("x", "", "", aliases=("find",))']
)
def test_two_commands_of_one_word_stop_the_start(drop_in: Drop, spec: str) -> None:
    text = f"from handlers.profile import CommandSpec\nclass Again:\n    spec = {spec}\nCOMMAND = Again()\n"
    drop_in(handlers.commands, "zz_again/command.py", text)
    with pytest.raises(DuplicateName, match="two commands are called find"):
        discover_commands()


def test_two_surfaces_of_one_name_stop_the_start(drop_in: Drop) -> None:
    drop_in(handlers.surfaces, "zz_again.py", "from handlers.surfaces.delivery import SURFACE as SURFACE\n")
    with pytest.raises(DuplicateName, match="two surfaces are called delivery"):
        discover_surfaces()


def test_two_channels_for_one_kind_of_address_stop_the_start(drop_in: Drop) -> None:
    drop_in(notifier.channels, "zz_again.py", "from notifier.channels.email_smtp import CHANNEL as CHANNEL\n")
    with pytest.raises(DuplicateName, match="two channels send email"):
        discover_channels()


def test_two_billing_systems_of_one_name_stop_the_start(drop_in: Drop) -> None:
    drop_in(billing.systems, "zz_again.py", "from billing.systems.local import BILLING as BILLING\n")
    with pytest.raises(DuplicateName, match="two billing systems are called local"):
        discover_billing()


def test_a_new_file_is_a_new_billing_system_that_a_tenant_may_name(
    drop_in: Drop, tmp_path: Path, sqlite_store: Store
) -> None:
    config = load(tmp_path, tenants={"cascade": tenant() | {"billing": "abacus"}})
    with pytest.raises(ConfigProblems, match="billing: 'abacus' is none of local, uisp"):
        open_billing(config, sqlite_store)
    text = """
class Abacus:
    name = "abacus"
    def open(self, store, tenant):
        return (self.name, tenant)
BILLING = Abacus()
"""
    drop_in(billing.systems, "abacus.py", text)
    opened: Any = open_billing(config, sqlite_store)
    assert opened == {1: ("abacus", 1)}


def test_a_file_that_exposes_nothing_is_no_part(drop_in: Drop) -> None:
    before = set(discover_surfaces())
    drop_in(handlers.surfaces, "zz_notes.py", "NOTES = 'nothing to see'\n")
    assert set(discover_surfaces()) == before


def test_a_route_carries_the_tenants_domain_sender_and_password(tmp_path: Path) -> None:
    relay = {
        "kind": "relay",
        "host": "127.0.0.1",
        "port": 2525,
        "envelope": "fixed",
        "username": "cascade",
        "password_env": "ISPBOT_RELAY_PASSWORD",
        "egress_ips": ["198.51.100.10"],
        "connections": 7,
        "timeout_s": 12,
    }
    mx = {"kind": "direct", "host": "127.0.0.1", "port": 25}
    environ = {"ISPBOT_RELAY_PASSWORD": "relay-password"}
    config = load(tmp_path, environ, tenants={"cascade": tenant(routes={"relay": relay, "mx": mx})})
    first, second = routes_of(config, "cascade", config.app.tenants["cascade"])
    assert (first.name, first.kind, first.envelope, first.port) == ("relay", "relay", "fixed", 2525)
    assert (first.envelope_domain, first.from_address, first.from_name) == (
        "mail.cascade.example",
        "billing@cascade.example",
        "Cascade Billing",
    )
    assert (first.username, first.password) == ("cascade", "relay-password")
    assert (first.egress_ips, first.connections, first.timeout_s) == (("198.51.100.10",), 7, 12)
    assert (second.name, second.kind, second.envelope, second.password) == ("mx", "direct", "verp", None)


@pytest.mark.parametrize(("switch", "route"), [(False, "relay"), (True, "far")])
def test_the_remote_mail_server_switch_decides_the_route_of_new_mail(
    tmp_path: Path, switch: bool, route: str
) -> None:
    way = {"kind": "relay", "host": "127.0.0.1"}
    mail: dict[str, Any] = {
        "routes": {"relay": way, "far": way},
        "remote_route": "far",
        "use_remote_mail_server": switch,
    }
    config = load(tmp_path, tenants={"cascade": tenant(**mail)})
    profile = profile_of(config, "cascade", config.app.tenants["cascade"])
    assert (profile.default_route, profile.route().name) == (route, route)


def test_every_tenant_has_its_own_send_mode_and_addresses_are_compared_without_case(tmp_path: Path) -> None:
    cascade = tenant(send_mode="only_to", only_to=["Me@Cascade.example", "+1 (541) 555-0142"])
    config = load(tmp_path, tenants={"cascade": cascade, "rio": tenant("rio", 2, send_mode="off")})
    mode = send_modes(config)
    assert mode(1) == SendMode("only_to", frozenset({"me@cascade.example", "+15415550142"}))
    assert (mode(1).allows("ME@cascade.EXAMPLE"), mode(1).allows(MARIA)) == (True, False)
    assert mode(2).allows(MARIA) is False


@pytest.fixture
async def mail(tmp_path: Path) -> AsyncIterator[MailWorld]:
    (tmp_path / "mail").mkdir()
    world = MailWorld(tmp_path / "mail")
    await world.start()
    yield world
    await world.stop()


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[None]:
    """The worker half of one process, from its start to an orderly stop."""
    started, stop = asyncio.Event(), asyncio.Event()
    process = asyncio.create_task(Runtime(config, bot=False, worker=True).run(started.set, stop))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({process, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(15):
            await process


async def queue(config: Config, *addresses: str) -> list[Delivery]:
    """Written as the bot half would, in its own time."""
    store = open_store(config)
    try:
        await ensure_tenants(store, config)
        services = build_services(config, store, {})
        async with store.begin(1) as tx:
            found = await services.outbox.enqueue(tx, draft("k", *addresses))
            return (await tx.deliveries.of_notifications([found.notification_id]))[found.notification_id]
    finally:
        await store.close()


async def reached(store: Store, item: Delivery, stage: Stage) -> Delivery:
    async def look() -> Delivery | None:
        async with store.read(1) as tx:
            found = await tx.deliveries.get(item.id)
        return found if found is not None and found.stage is stage else None

    return await eventually(look, f"{item.address} {stage}")


async def test_what_the_send_mode_held_leaves_at_a_restart_in_a_mode_that_lets_it(
    tmp_path: Path, mail: MailWorld
) -> None:
    """off, then only_to one of two, then live: each restart lets out what its mode allows."""
    routes = {"relay": {"kind": "relay", "host": "127.0.0.1", "port": mail.port("visp")}}

    def deployed(**mode: Any) -> Config:
        return load(tmp_path, tenants={"cascade": tenant(routes=routes, **mode)})

    config = deployed(send_mode="off")
    await migrate.upgrade(config.database_url)
    by_address = {item.address: item for item in await queue(config, MARIA, LEO)}
    watcher = open_store(config)
    try:
        async with running(config):
            for item in by_address.values():
                held = await reached(watcher, item, Stage.HELD)
                assert (held.stage_by, held.attempt) == (SEND_MODE, 0)
        assert (await mail.ledger())["accepted"] == 0
        async with running(deployed(send_mode="only_to", only_to=[MARIA])):
            await reached(watcher, by_address[MARIA], Stage.AWAITING)
            await reached(watcher, by_address[LEO], Stage.HELD)
        assert (await mail.ledger())["accepted"] == 1
        async with running(deployed(send_mode="live")):
            last = await reached(watcher, by_address[LEO], Stage.AWAITING)
            assert (last.outcome, last.attempt) == (Outcome.SENT, 1)
    finally:
        await watcher.close()
    by_message_id = {item.message_id: 1 for item in by_address.values()}
    assert (await mail.ledger())["by_message_id"] == by_message_id
