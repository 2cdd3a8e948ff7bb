"""The sending side of SMTP, for one message at a time: DSNs, forwards and injected mail (RFC 5321).

Unlike a mail library's client it alters nothing but line ends (a lone LF becomes CRLF; a bare CR stays, since
broken bounces contain them) and it returns the reply that ended the attempt, word for word.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Final

LONE_LF: Final = re.compile(rb"(?<!\r)\n")
MAX_REPLY_LINES: Final = 100


@dataclass(frozen=True)
class Sent:
    """`reply` is the whole reply to the end of data, or to the command that was refused."""

    command: str
    reply: str

    @property
    def accepted(self) -> bool:
        return self.command == "." and self.reply.startswith("2")

    @property
    def temporary(self) -> bool:
        return self.reply.startswith("4")


async def send(
    host: str, port: int, *, helo: str, sender: str, recipient: str, content: bytes, timeout_s: float = 30.0
) -> Sent:
    """Deliver one message. OSError, EOFError or TimeoutError when the dialogue could not be finished."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            return await _dialogue(reader, writer, helo, sender, recipient, content)
        finally:
            writer.close()


async def _dialogue(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    helo: str,
    sender: str,
    recipient: str,
    content: bytes,
) -> Sent:
    greeting = await _reply(reader)
    if not greeting.startswith("220"):
        return Sent("connect", greeting)
    hello = await _ask(reader, writer, f"EHLO {helo}")
    if not hello.startswith("250"):
        return Sent("EHLO", hello)
    words = {line[4:].split(" ")[0].upper() for line in hello.split("\n")}
    body = " BODY=8BITMIME" if not content.isascii() and "8BITMIME" in words else ""
    utf8 = " SMTPUTF8" if not (sender + recipient).isascii() and "SMTPUTF8" in words else ""
    for command in (f"MAIL FROM:<{sender}>{body}{utf8}", f"RCPT TO:<{recipient}>"):
        reply = await _ask(reader, writer, command)
        if not reply.startswith("2"):
            return Sent(command[:4], reply)
    reply = await _ask(reader, writer, "DATA")
    if not reply.startswith("354"):
        return Sent("DATA", reply)
    writer.write(_stuffed(content) + b".\r\n")
    reply = await _reply(reader)
    writer.write(b"QUIT\r\n")
    return Sent(".", reply)


def _stuffed(content: bytes) -> bytes:
    content = LONE_LF.sub(b"\r\n", content)
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    content = content.replace(b"\r\n.", b"\r\n..")
    return b"." + content if content.startswith(b".") else content


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, command: str) -> str:
    writer.write(f"{command}\r\n".encode())
    await writer.drain()
    return await _reply(reader)


async def _reply(reader: asyncio.StreamReader) -> str:
    """All lines of one reply, joined by LF."""
    lines: list[str] = []
    while len(lines) < MAX_REPLY_LINES:
        raw = await reader.readline()
        if not raw.endswith(b"\n"):
            raise EOFError("the connection ended in the middle of a reply")
        lines.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
        if lines[-1][3:4] != "-":
            return "\n".join(lines)
    raise EOFError("a reply of too many lines")
