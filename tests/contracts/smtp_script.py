"""An SMTP server that says what a test wants, verb by verb: what the sandbox's mail world never would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = bytes | None
"""One whole reply without its CRLF; None closes the connection instead."""

SILENCE = b""
"""No reply, ever."""
QUEUED = b"250 2.0.0 Ok: queued as 4QSCRIPT"
USUAL: dict[str, Answer] = {
    "GREETING": b"220 script.example ESMTP",
    "EHLO": b"250-script.example\r\n250 DSN",
    "HELO": b"250 script.example",
    "MAIL": b"250 2.1.0 Ok",
    "RCPT": b"250 2.1.5 Ok",
    "DATA": b"354 End data with <CR><LF>.<CR><LF>",
    "END": QUEUED,
    "RSET": b"250 2.0.0 Ok",
    "QUIT": b"221 2.0.0 Bye",
}


@dataclass
class Script:
    """`answers` holds, for a verb, what is said the first times; afterwards the usual is said.

    GREETING and END (of data) count as verbs. A reply that starts with 421 ends the connection.
    """

    answers: dict[str, Sequence[Answer]] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    """The commands of all connections, in order."""
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _said: dict[str, int] = field(default_factory=dict)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    def verbs(self) -> list[str]:
        return [command.partition(" ")[0] for command in self.heard]

    def _next(self, verb: str) -> Answer:
        turn = self._said.get(verb, 0)
        self._said[verb] = turn + 1
        given = self.answers.get(verb, ())
        return given[turn] if turn < len(given) else USUAL.get(verb, b"502 5.5.1 Not known here")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Script]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):  # the client has gone
                await self._talk(reader, writer)
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb, goes_on = "GREETING", True
        while goes_on:
            answer = self._next(verb)
            if answer is None:
                return
            if answer == SILENCE:
                await reader.read()  # until the client has had enough
                return
            writer.write(answer + b"\r\n")
            await writer.drain()
            if verb == "QUIT" or answer.startswith(b"421"):
                return
            if verb == "DATA" and answer.startswith(b"354"):
                self.bodies.append(await reader.readuntil(b"\r\n.\r\n"))
                verb = "END"
                continue
            line = (await reader.readline()).decode("ascii").strip()
            goes_on = bool(line)
            if line:
                self.heard.append(line)
                verb = line.partition(" ")[0].upper()
