"""Debian's chromium, driven by playwright's async API; skipped with a message where it is not installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright

from tests.desk import Desk, running_demo

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    if not (Path(CHROMIUM).exists() or shutil.which("chromium")):
        pytest.skip("chromium is not installed: apt-get install chromium")
    async with running_demo(tmp_path_factory.mktemp("demo") / "state") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(desk: Desk) -> AsyncIterator[Page]:
    """The demo's page as a support agent sees it; anything on its console is an error."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = await browser.new_page(viewport={"width": 1600, "height": 900})
        complaints: list[str] = []
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        await opened.goto(desk.url)
        yield opened
        await browser.close()
        assert complaints == []
