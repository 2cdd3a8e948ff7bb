"""The octets of an SMTP session: lines in, bodies in, replies out together (RFC 5321, 2920)."""

from __future__ import annotations

import asyncio
from typing import Final

MAX_MESSAGE: Final = 26_214_400
MAX_COMMAND: Final = 2_048
IDLE_S: Final = 300.0


class TooLong(Exception):
    """A line or a message over its limit; what was over is already read and forgotten."""


class Gone(ConnectionError):
    """The client has closed the connection."""


class Lines:
    """Buffered both ways: the replies to a pipelined group leave together (RFC 2920 section 3.2)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self._replies: list[bytes] = []

    @property
    def waiting(self) -> bool:
        """Whether the client has already sent more."""
        return bool(self._buffer)

    def reply(self, *lines: str) -> None:
        """One reply; several lines are a multi-line one and carry their own continuation marks."""
        self._replies.append("\r\n".join((*lines, "")).encode("utf-8"))

    async def flush(self) -> None:
        if self._replies:
            self._writer.write(b"".join(self._replies))
            self._replies.clear()
            await self._writer.drain()

    async def _more(self) -> None:
        await self.flush()
        async with asyncio.timeout(IDLE_S):
            chunk = await self._reader.read(262_144)
        if not chunk:
            raise Gone
        self._buffer += chunk

    async def line(self) -> bytes:
        """One line without its CRLF (or bare LF: commands are read leniently)."""
        start = 0
        too_long = False
        while (end := self._buffer.find(b"\n", start)) < 0:
            if len(self._buffer) > MAX_COMMAND:
                self._buffer.clear()
                too_long = True
            start = len(self._buffer)
            await self._more()
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        if too_long or len(line) > MAX_COMMAND:
            raise TooLong
        return line

    async def body(self) -> bytes:
        """The message up to the line with a single dot, dots unstuffed. Raises TooLong after the end."""
        # The CRLF of the DATA command counts as the one before the dot: a body may be empty.
        if not self._buffer:
            await self._more()
        self._buffer[:0] = b"\r\n"
        start, dropped = 0, False
        while (end := self._buffer.find(b"\r\n.\r\n", start)) < 0:
            if len(self._buffer) > MAX_MESSAGE + 2:
                del self._buffer[:-4]
                dropped = True
            start = max(len(self._buffer) - 4, 0)
            await self._more()
        content = bytes(self._buffer[2 : end + 2]) if not dropped else b""
        del self._buffer[: end + 5]
        if dropped or len(content) > MAX_MESSAGE:
            raise TooLong
        if content.startswith(b"."):
            content = content[1:]
        return content.replace(b"\r\n.", b"\r\n")

    async def drain_for_ever(self) -> None:
        """Reads and forgets until the client goes away."""
        while True:
            self._buffer.clear()
            await self._more()
