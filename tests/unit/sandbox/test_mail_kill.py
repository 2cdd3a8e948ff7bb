"""kill -9 of the real process in the middle of work: what was answered with 250 is not lost."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import aiosmtplib
import pytest

from sandbox.mail.smtp import SmtpServer
from tests.unit.sandbox.mail_world import MESSAGE, ProductBounces

ROOT = Path(__file__).parents[3]
BEFORE_THE_KILL = 150


class Process:
    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    async def start(self) -> None:
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sandbox", "--port", "0", "--state", str(self._state_dir)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._child.stdout is not None
        async with asyncio.timeout(20):
            assert b"ready" in await self._child.stdout.readline()
        self.endpoints: dict[str, Any] = json.loads((self._state_dir / "endpoints.json").read_text())

    async def end(self, how: signal.Signals) -> None:
        if self._child.returncode is None:
            self._child.send_signal(how)
            await self._child.wait()


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(tmp_path)
    await process.start()
    yield process
    await process.end(signal.SIGTERM)


async def test_no_acknowledged_mail_and_no_report_is_lost(process: Process) -> None:
    acknowledged: list[str] = []
    enough = asyncio.Event()
    port = int(process.endpoints["relays"][0]["port"])

    async def send_until_the_end(number: int) -> None:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
        try:
            await client.connect()
            for place in range(10_000):
                name = f"{number}-{place}"
                await client.mail(f"{name}@mail.cascade.example")
                await client.rcpt("t.lindqvist@mailbox.example" if place % 2 else "me@inbox.example")
                await client.data(MESSAGE.replace(b"<one@", f"<{name}@".encode()))
                acknowledged.append(name)
                if len(acknowledged) >= BEFORE_THE_KILL:
                    enough.set()
        except aiosmtplib.SMTPServerDisconnected:
            client.close()

    senders = [asyncio.create_task(send_until_the_end(number)) for number in range(5)]
    async with asyncio.timeout(20):
        await enough.wait()
    await process.end(signal.SIGKILL)
    await asyncio.gather(*senders)
    product = ProductBounces()
    await process.start()
    listener = SmtpServer(product, "127.0.0.1", int(process.endpoints["product"]["bounce_port"]))
    await listener.open()
    async with aiohttp.ClientSession(process.endpoints["http"]) as http:
        async with http.get("/sandbox/mail/ledger") as response:
            counted = (await response.json())["by_message_id"]
        async with http.get("/sandbox/mail", params={"to": "me@inbox.example"}) as response:
            arrived = {mail["envelope_from"].partition("@")[0] for mail in await response.json()}
        assert {f"<{name}@cascade.example>" for name in acknowledged} <= set(counted)
        for name in acknowledged:
            assert (int(name.partition("-")[2]) % 2 == 1) or name in arrived
        async with http.post("/sandbox/clock", json={"advance_s": 2}) as response:
            assert response.status == 200
        reported: set[str] = set()
        bounced = {name for name in acknowledged if int(name.partition("-")[2]) % 2}
        while not bounced <= reported:
            reported.add((await product.next()).recipient.partition("@")[0])
    await listener.stop()
