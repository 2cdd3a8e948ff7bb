"""An SMTP server that takes every mail and keeps none, in a process of its own: never the bottleneck.

`async with sink() as (host, port, count)` starts one; `count()` is how many mails it has said 250 to so far.
Where it is installed, Postfix's `smtp-sink` serves as a second opinion: `async with postfix_sink() as ...`.
"""

from __future__ import annotations

import argparse
import asyncio
import mmap
import shutil
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, cast

_HOST = "127.0.0.1"
_COUNT = struct.Struct("<Q")
_END = b"\r\n.\r\n"
POSTFIX_SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/sbin:/bin")

Sink = tuple[str, int, Callable[[], int]]


class Counter(Protocol):
    def add(self, more: int) -> None: ...

    def value(self) -> int: ...


class _Counter:
    """A number in a file that two processes map: to count costs no system call."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _COUNT.size)

    def add(self, more: int) -> None:
        _COUNT.pack_into(self._map, 0, self.value() + more)

    def value(self) -> int:
        return int(_COUNT.unpack_from(self._map, 0)[0])


class Peer(asyncio.Protocol):
    """One client's connection: what came in one read is answered in one write."""

    def __init__(self, counter: Counter, pipelining: bool) -> None:
        self._counter = counter
        offered = b"250-PIPELINING\r\n" if pipelining else b""
        self._ehlo = b"250-sink.example\r\n" + offered + b"250-8BITMIME\r\n250-DSN\r\n250 SIZE 52428800\r\n"
        self._buffer = b""
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        replies: list[bytes] = []
        at = taken = 0
        while True:
            if self._in_data:
                # `at` is where the mail begins: an empty one ends there, right after DATA's own line end.
                end = at - 2 if buffer.startswith(b".\r\n", at) else buffer.find(_END, at)
                if end == -1:
                    break
                at, self._in_data, taken = end + len(_END), False, taken + 1
                replies.append(b"250 2.0.0 queued as %X\r\n" % (self._counter.value() + taken))
                continue
            end = buffer.find(b"\r\n", at)
            if end < 0:
                break
            reply = self._command(buffer[at : at + 4].upper())
            at = end + 2
            replies.append(reply)
            if reply.startswith(b"354"):
                self._in_data = True
        self._buffer = buffer[at:]
        if taken:
            self._counter.add(taken)
        if replies:
            self._transport.write(b"".join(replies))
        if replies and replies[-1].startswith(b"221"):
            self._transport.close()

    def _command(self, verb: bytes) -> bytes:
        if verb in (b"MAIL", b"RCPT", b"RSET", b"NOOP"):
            return b"250 2.0.0 Ok\r\n"
        if verb == b"DATA":
            return b"354 Go on\r\n"
        if verb == b"EHLO":
            return self._ehlo
        if verb == b"HELO":
            return b"250 sink.example\r\n"
        return b"221 2.0.0 Bye\r\n" if verb == b"QUIT" else b"502 5.5.1 Not known here\r\n"


async def _serve(counter: _Counter, pipelining: bool) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Peer(counter, pipelining), _HOST, 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The parent holds the other end of our standard input: it ends when the parent does, however it ends.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


@asynccontextmanager
async def sink(*, pipelining: bool = True) -> AsyncIterator[Sink]:
    """A sink in its own process: its host, its port, and how many mails it has taken."""
    with tempfile.NamedTemporaryFile(prefix="sink-") as file:
        file.write(_COUNT.pack(0))
        file.flush()
        counter = _Counter(Path(file.name))
        arguments = ["-m", "benchmarks.sink", file.name, *([] if pipelining else ["--no-pipelining"])]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(await asyncio.wait_for(process.stdout.readline(), 30))
            yield _HOST, port, counter.value
        finally:
            process.stdin.close()
            await process.wait()


@asynccontextmanager
async def postfix_sink() -> AsyncIterator[tuple[str, int]]:
    """Postfix's own sink, which does not tell what it has counted; only where POSTFIX_SINK is set."""
    assert POSTFIX_SINK is not None
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port = int(probe.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        POSTFIX_SINK, "-u", "nobody", f"{_HOST}:{port}", "512", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection(_HOST, port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        yield _HOST, port
    finally:
        process.terminate()
        await process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=__doc__)
    parser.add_argument("counter", type=Path)
    parser.add_argument("--no-pipelining", action="store_true")
    arguments = parser.parse_args()
    import uvloop

    uvloop.run(_serve(_Counter(arguments.counter), not arguments.no_pipelining))


if __name__ == "__main__":
    main()
