"""The desk of handlers' tests: discovered commands over a real store, DNS from a dict, no Slack."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from billing.systems.local import BILLING
from bot.wiring import discover_commands
from handlers.contract import Services
from handlers.profile import Role
from notifier.mailauth import StaticResolver
from store.engine import Engine
from store.unit import Store
from tests.builders import KEYRING, outbox
from tests.conftest import TENANTS, FakeClock
from tests.unit.handlers.support import Agent, profile

ZONE: dict[str, object] = {
    # The envelope domain as the demo has it at first: without the relay's include.
    "mail.cascade.example": {
        "TXT": ["v=spf1 mx ip4:203.0.113.25 ~all"],
        "MX": ["10 mx.mail.cascade.example"],
    },
    "mx.mail.cascade.example": {"A": ["203.0.113.80"]},
    "cascade.example": {"TXT": ["v=spf1 include:spf.visp.net ~all"]},
    "nested.example": {"TXT": ["v=spf1 include:cascade.example -all"]},
    "broken.example": {"TXT": ["v=spf1 include:spf.visp.net moo -all"]},
    "twice.example": {"TXT": ["v=spf1 include:spf.visp.net -all", "v=spf1 -all"]},
    "nothing.example": {"A": ["192.0.2.1"]},
    "down.example": "TIMEOUT",
    "hostile.example": {"TXT": ["v=spf1 include:spf.visp.net ```<!channel>``` -all"]},
    "spf.visp.net": {"TXT": ["v=spf1 include:spf-a.visp.net include:spf-b.visp.net -all"]},
    "spf-a.visp.net": {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]},
    # Where subscribers have their mailboxes.
    "inbox.example": {"MX": ["10 mx.inbox.example"]},
    "gmial.com": {"MX": ["10 mx.gmial.com"]},
    "gmail.com": {"MX": ["10 mx.gmail.com"]},
    "nullmx.example": {"MX": ["0 ."]},
    "nomx.example": {"TXT": ["no mail here"]},
    "cedar.example": {"MX": ["10 mx.cedar.example"]},
    "other.example": {"MX": ["10 mx.other.example"]},
    "spf-b.visp.net": {"TXT": ["v=spf1 ip4:192.0.2.128/25 -all"]},
}


def services_on(store: Store) -> Services:
    commands, _ = discover_commands()
    return Services(
        store=store,
        outbox=outbox(),
        keyring=KEYRING,
        resolver=StaticResolver(ZONE),
        tenants={1: profile(), 2: profile(id=2, key="rio")},
        specs=[command.spec for command in commands.values()],
        billing={1: BILLING.open(store, 1), 2: BILLING.open(store, 2)},
    )


def agent_on(services: Services, role: Role = Role.AGENT, user: str = "U_AGENT") -> Agent:
    commands, _ = discover_commands()
    return Agent(services, commands, role, user)


async def _execute(url: str, *statements: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def desk_postgres(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """One database for all tests here, emptied between them: cheaper than one for each."""
    name = f"ispbot_desk_{os.getpid()}"
    asyncio.run(_execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template}"))
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


_EMPTY = """DO $$ BEGIN EXECUTE (
    SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'); END $$"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "desk_postgres")
    return url


@pytest.fixture
async def store(database_url: str, clock: FakeClock) -> AsyncIterator[Store]:
    """As tests/conftest.py has it: an empty, migrated database of either kind."""
    if database_url.startswith("postgresql"):
        await _execute(database_url, _EMPTY)
    store = Store(Engine(database_url), clock)
    async with store.system() as tx:
        for tenant in TENANTS:
            await tx.tenants.ensure(tenant)
    yield store
    await store.close()


@pytest.fixture
def services(store: Store) -> Services:
    return services_on(store)


@pytest.fixture
def agent(services: Services) -> Agent:
    return agent_on(services)


@pytest.fixture
def viewer(services: Services) -> Agent:
    return agent_on(services, Role.VIEWER, "U_VIEWER")
