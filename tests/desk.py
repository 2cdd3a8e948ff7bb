"""The demo as a black box: started as a process, driven only through the sandbox's control API.

Waiting is done on the sandbox's own long poll, never by sleeping.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parent.parent
START_S = 60.0
WAIT_S = 20.0
Message = dict[str, Any]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def words(message: Message) -> str:
    """Everything that a person reads in a message, one text a line."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") in ("mrkdwn", "plain_text"):
                found.append(str(node["text"]))
                return
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(message["blocks"])
    return "\n".join(found) or str(message["text"])


def action_ids(message: Message) -> list[str]:
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "action_id" in node:
                found.append(str(node["action_id"]))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(message["blocks"])
    return found


class Desk:
    """One running demo."""

    def __init__(self, url: str, state: Path, session: aiohttp.ClientSession) -> None:
        self.url, self.state, self._session = url, state, session

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, self.url + path, json=body) as answer:
            content = await answer.json()
            if answer.status >= 400:
                raise AssertionError(f"{method} {path}: {answer.status} {content}")
            return content

    async def seq(self) -> int:
        return int((await self.call("GET", "/sandbox/wait?for=slack&since=0&timeout_s=0"))["seq"])

    async def until(self, look: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
        """`look` is an async function; its first truthy answer, looked at again after each change."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        seq = await self.seq()
        while True:
            found = await look()
            if found:
                return found
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise AssertionError(f"not within {timeout_s} s: {what}")
            query = f"for=slack,mail,wire,clock&since={seq}&timeout_s={min(left, 5.0):.2f}"
            seq = int((await self.call("GET", f"/sandbox/wait?{query}"))["seq"])

    async def messages(self, user: str = "U_AGENT", channel: str = "C_SUPPORT") -> list[Message]:
        path = f"/sandbox/slack/messages?channel={channel}&user={user}"
        found: list[Message] = await self.call("GET", path)
        return found

    async def type(self, text: str, user: str = "U_AGENT", channel: str = "C_SUPPORT") -> Message:
        """Types a command and waits for its answer, which is the asker's alone; cards come by themselves."""
        before = {m["ts"] for m in await self.messages(user, channel)}
        await self.call("POST", "/sandbox/slack/command", {"user": user, "channel": channel, "text": text})

        async def answer() -> Message | None:
            found = await self.messages(user, channel)
            return next((m for m in found if m["ts"] not in before and m["ephemeral_to"] == user), None)

        found: Message = await self.until(answer, f"an answer to {text}")
        return found

    async def press(self, message: Message, action: str, user: str = "U_AGENT") -> Any:
        body = {"user": user, "channel": message["channel"], "ts": message["ts"], "action_id": action}
        return await self.call("POST", "/sandbox/slack/action", body)

    async def reread(self, message: Message, user: str = "U_AGENT") -> Message:
        return next(m for m in await self.messages(user, message["channel"]) if m["ts"] == message["ts"])

    async def shows(
        self, text: str, user: str = "U_AGENT", channel: str = "C_SUPPORT", after: str = "0"
    ) -> Message:
        """The newest message later than `after` whose words hold `text`."""

        async def look() -> Message | None:
            found = [
                m
                for m in await self.messages(user, channel)
                if text in words(m) and float(m["ts"]) > float(after)
            ]
            return found[-1] if found else None

        try:
            found: Message = await self.until(look, f"a message with {text!r}")
        except AssertionError as error:
            latest = [words(m) for m in (await self.messages(user, channel))[-5:]]
            raise AssertionError(f"{error}; the latest were {latest!r}") from None
        return found

    async def resend(self, what: str, user: str = "U_AGENT") -> Message:
        """Types the command, presses Send, gives the preview."""
        preview = await self.type(f"/isp resend {what}", user)
        assert "resend.send" in action_ids(preview), words(preview)
        await self.press(preview, "resend.send", user)
        return preview

    async def mails(self, to: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.call("GET", f"/sandbox/mail?to={to}")
        return found

    async def behaviour(self, **body: Any) -> None:
        await self.call("POST", "/sandbox/mail/behaviour", body)

    async def slack_behaviour(self, **body: Any) -> None:
        await self.call("POST", "/sandbox/slack/behaviour", body)

    async def product(self, signal_name: str) -> None:
        """KILL, TERM, or START and wait until it answers."""
        await self.call("POST", "/sandbox/product", {"signal": signal_name})
        if signal_name == "START":

            async def ready() -> bool:
                return bool((await self.call("GET", "/sandbox/state"))["ready"])

            deadline = asyncio.get_running_loop().time() + START_S
            while not await ready():  # a process that starts tells nobody: asked again, not slept for
                assert asyncio.get_running_loop().time() < deadline, "the product does not answer"
                await self.call("GET", "/sandbox/wait?for=wire&since=999999999&timeout_s=0.1")

    async def killed_after_the_ack(self, account: str) -> None:
        """A command whose answer is held back until the product was killed and started; until it is there."""
        await self.slack_behaviour(method="response_url", delay_s=5)
        before = {m["ts"] for m in await self.messages()}
        body = {"user": "U_AGENT", "channel": "C_SUPPORT", "text": f"/isp {account}"}
        acknowledged = await self.call("POST", "/sandbox/slack/command", body)
        assert acknowledged["status"] == 200, acknowledged
        await self.product("KILL")
        await self.slack_behaviour(method="response_url")
        await self.product("START")

        async def answered() -> bool:
            return any(f"· {account}" in words(m) for m in await self.messages() if m["ts"] not in before)

        await self.until(answered, f"the card of {account}")

    async def problems(self) -> list[dict[str, Any]]:
        """Wire calls that the real service would not have liked.

        Not among them: a call that found nobody listening, since the worker may start before the bot does
        and a text's status calls back at once. What it would have said is fetched later.
        """
        rows: list[dict[str, Any]] = await self.call("GET", "/sandbox/wire?since=0")
        return [row for row in rows if row.get("problem") and row["status"] != "connection_failed"]

    def logs(self) -> str:
        return "\n".join(f.read_text() for f in sorted(self.state.glob("product-*.log")))


def cast(state: Path) -> list[dict[str, str]]:
    with (state / "cast" / "subscribers.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def of_person(row: Mapping[str, str]) -> Iterator[str]:
    """What tells who somebody is, where they live, and how they are reached."""
    if row["kind"] == "residential" and " " in row["name"]:
        yield row["name"]
    yield row["address"]
    for mails in (row["email_billing"], row["email_service"]):
        yield from (mail.strip() for mail in mails.replace(",", ";").split(";") if "@" in mail)
    digits = "".join(c for c in row["phone"] if c.isdigit())
    if len(digits) >= 10:
        yield row["phone"]
        yield digits[-10:]


def assert_no_person(desk: Desk) -> None:
    """Whatever a story did: no line of the product's logs names anybody of the cast, or a secret."""
    logs = desk.logs()
    for row in cast(desk.state):
        for private in of_person(row):
            assert private not in logs, f"{private!r} stands in the product's log"
    for secret in ("xoxb-", "xapp-", "/slack/response/"):
        assert secret not in logs, f"{secret!r} stands in the product's log"


@asynccontextmanager
async def running_demo(state: Path, database: str | None = None, *extra: str) -> AsyncIterator[Desk]:
    """Starts `ispbot demo`, waits for its "ready" line, ends it with SIGTERM."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "bot.cli",
        "demo",
        "--port",
        str(port),
        "--state",
        str(state),
        "--no-browser",
    ]
    command += [*extra, *(["--database", database] if database else [])]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    try:
        said: list[str] = []
        async with asyncio.timeout(START_S):
            while not (said and said[-1].startswith("ready ")):
                line = (await process.stdout.readline()).decode()
                if not line:
                    raise AssertionError("the demo ended: " + "".join(said))
                said.append(line)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            desk = Desk(said[-1].split()[1], state, session)
            yield desk
        assert_no_person(desk)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def endpoints(state: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((state / "endpoints.json").read_text())
    return found
