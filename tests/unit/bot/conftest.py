"""A Slack, a store and the bot between them. Business time starts now: the sandbox's messages live in it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from store.unit import Store
from tests.conftest import FakeClock
from tests.unit.bot.support import Office
from tests.unit.bot.support import office as open_office
from tests.unit.sandbox.bolt_app import Slack, slack_world


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Commands set it up for a process of their own, and libraries take their levels from what they find."""
    root = logging.getLogger()
    handlers, level, rendering = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**rendering)


@pytest.fixture
async def slack(tmp_path: Path) -> AsyncIterator[Slack]:
    async with slack_world(tmp_path / "world") as world:
        yield world


@pytest.fixture
async def office(slack: Slack, sqlite_store: Store) -> AsyncIterator[Office]:
    async with open_office(slack, sqlite_store) as desk:
        yield desk
