"""The sandbox's mail world and a worker's desk on it, for the suites about sending."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from store.unit import Store
from tests.conftest import FakeClock
from tests.contracts.sending import Sending
from tests.unit.sandbox.mail_world import MailWorld


@pytest.fixture
async def mail(tmp_path: Path) -> AsyncIterator[MailWorld]:
    (tmp_path / "world").mkdir()
    world = MailWorld(tmp_path / "world")
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
async def sending(store: Store, clock: FakeClock, mail: MailWorld) -> AsyncIterator[Sending]:
    """On both databases; a loop of the worker that fails unexpectedly fails the test."""
    with capture_logs() as logs:
        desk = Sending(store, clock, mail, logs)
        yield desk
    assert desk.surprises() == []
