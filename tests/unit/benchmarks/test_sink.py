"""The sink that mails are measured against: it answers what it hears, in pieces or at once, and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from benchmarks.sink import Peer, sink


async def test_the_sink_takes_mails_in_pieces_or_at_once_and_counts_them() -> None:
    async with sink() as (host, port, count):
        reader, writer = await asyncio.open_connection(host, port)
        assert await reader.readline() == b"220 sink.example ESMTP\r\n"
        envelope = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
        writer.write(envelope + b"Subject: x\r\n\r\nhello\r\n.\r\n" + envelope)
        writer.write(b".\r\n" + envelope + b"x\r\n.")
        assert (await reader.readuntil(b"queued as 1\r\n")).count(b"\r\n") == 4
        await reader.readuntil(b"queued as 2\r\n")
        writer.write(b"\r\nQUIT\r\n")
        assert (await reader.read()).endswith(b"250 2.0.0 queued as 3\r\n221 2.0.0 Bye\r\n")
        writer.close()
        assert count() == 3


class Wire(asyncio.Transport):
    """Keeps what was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.said += data

    def close(self) -> None:
        self.said += b"(closed)"


class Count:
    """In this process."""

    def __init__(self) -> None:
        self.mails = 0

    def add(self, more: int) -> None:
        self.mails += more

    def value(self) -> int:
        return self.mails


def answers(pieces: Sequence[bytes]) -> bytes:
    wire, peer = Wire(), Peer(Count(), pipelining=True)
    peer.connection_made(wire)
    for piece in pieces:
        peer.data_received(piece)
    return wire.said


def test_wherever_what_it_hears_is_cut_in_two_the_answers_are_the_same() -> None:
    envelope = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
    heard = envelope + b"hello\r\n.\r\n" + envelope + b".\r\n" + envelope + b"x\r\n.\r\nQUIT\r\n"
    whole = answers([heard])
    assert whole.count(b"queued as") == 3
    for cut in range(1, len(heard)):
        assert answers([heard[:cut], heard[cut:]]) == whole, heard[:cut]
