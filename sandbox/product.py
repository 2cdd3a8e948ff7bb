"""The product's processes, as `ispbot demo` runs them: start, kill, and notice when one ends by itself.

KILL takes each child's whole process group at once (a power cut); TERM asks the child and waits.
Children outlive a killed sandbox; the next one on the same state directory finds them by pid and start time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from sandbox.world import ControlError, World, control_body, control_query

TERM_GRACE_S = 10.0
KIND = "product_process"


class Survivor:
    """A child of an earlier sandbox. Its exit code is lost to us, its end is not (pidfd, Linux)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    async def wait(self) -> int | None:
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return None


def _started_at(pid: int) -> str | None:
    """When a living process started, in ticks since boot: proc(5), field 22 of stat."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]


class ProductPart:
    def __init__(self, world: World, commands: Sequence[Sequence[str]]) -> None:
        self._world = world
        self._commands = [list(command) for command in commands]
        self._children: dict[int, Process | Survivor] = {}
        self._watchers: dict[int, asyncio.Task[None]] = {}
        self._ending: set[int] = set()
        self._turn = asyncio.Lock()
        self.was_started = False

    async def start(self) -> None:
        """Chooses the ports on which the product will listen, and finds what already runs there."""
        survivors = self._survivors()
        before = self._world.previous_endpoints.get("product", {})
        self._world.endpoints["product"] = {
            name: before[name] if survivors else self._world.free_port(before.get(name))
            for name in ("http_port", "bounce_port")
        }
        for number, survivor in survivors.items():
            self.was_started = True
            self._keep(number, survivor)

    def _survivors(self) -> dict[int, Survivor]:
        found = {}
        for kept in self._world.documents.all(KIND):
            alive = kept["started_at"] is not None and _started_at(kept["pid"]) == kept["started_at"]
            if alive and kept["number"] < len(self._commands):
                found[int(kept["number"])] = Survivor(kept["pid"])
        return found

    def _keep(self, number: int, child: Process | Survivor) -> None:
        self._children[number] = child
        kept = {"number": number, "pid": child.pid, "started_at": _started_at(child.pid)}
        self._world.documents.put(KIND, str(number), kept)
        self._watchers[number] = asyncio.create_task(self._watch(number, child, time.monotonic()))

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/product", self._show),
            web.post("/sandbox/product", self._signal),
        ]

    @property
    def http_port(self) -> int:
        return int(self._world.endpoints["product"]["http_port"])

    async def answers(self) -> bool:
        """Whether something accepts connections where the product's HTTP should be."""
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.http_port), 1.0)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    async def _show(self, request: web.Request) -> web.Response:
        control_query(request)
        return await self._answer()

    async def _signal(self, request: web.Request) -> web.Response:
        wanted = (await control_body(request, {"signal": str}))["signal"]
        if wanted not in ("START", "KILL", "TERM"):
            raise ControlError("signal must be START, KILL or TERM.")
        if not self._commands:
            raise ControlError("The sandbox was started without --product: it has no process to signal.", 409)
        async with self._turn:
            if wanted == "START":
                await self._start_missing()
            else:
                await self._end(signal.SIGKILL if wanted == "KILL" else signal.SIGTERM)
        return await self._answer()

    async def _answer(self) -> web.Response:
        """`processes`: how many there should be; `ready`: its HTTP accepts connections."""
        pids = [self._children[number].pid for number in sorted(self._children)]
        ready = bool(pids) and await self.answers()
        view = {"running": bool(pids), "pids": pids, "processes": len(self._commands), "ready": ready}
        return web.json_response(view)

    async def _start_missing(self) -> None:
        self.was_started = True
        for number, argv in enumerate(self._commands):
            if number in self._children:
                continue
            log_path = self._world.state_dir / f"product-{number}.log"
            with log_path.open("ab") as log:
                try:
                    child = await asyncio.create_subprocess_exec(
                        *argv,
                        stdin=asyncio.subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                except OSError as error:
                    raise ControlError(f"Cannot start {argv[0]}: {error.strerror}.", 409) from None
            self._keep(number, child)
            self._world.wire.record("product", "out", "start", "running", 0.0, number=number, pid=child.pid)

    async def _watch(self, number: int, child: Process | Survivor, started: float) -> None:
        code = await child.wait()
        self._children.pop(number, None)
        self._world.documents.delete(KIND, str(number))
        problem = None
        if number not in self._ending:
            how = "" if code is None else f" with {code}"
            problem = f"the product's process {number} ended by itself{how}; see product-{number}.log"
        self._ending.discard(number)
        lived_ms = (time.monotonic() - started) * 1000
        status = "?" if code is None else code
        self._world.wire.record(
            "product",
            "in",
            "exit",
            status,
            lived_ms,
            problem,
            number=number,
            pid=child.pid,
        )

    async def _end(self, how: signal.Signals) -> None:
        watchers = [self._watchers[number] for number in self._children]
        for number, child in list(self._children.items()):
            self._ending.add(number)
            _send(child.pid, how, group=how == signal.SIGKILL)
        if not watchers:
            return
        _, late = await asyncio.wait(watchers, timeout=TERM_GRACE_S)
        if late:
            for child in list(self._children.values()):
                _send(child.pid, signal.SIGKILL, group=True)
            await asyncio.wait(late)


def _send(pid: int, how: signal.Signals, *, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        if group:
            os.killpg(pid, how)
        else:
            os.kill(pid, how)
