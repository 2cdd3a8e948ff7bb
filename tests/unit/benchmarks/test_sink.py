"""The sink that mails are measured against: it answers what it hears, in pieces or at once, and counts."""

from __future__ import annotations

import asyncio

from benchmarks.sink import sink


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
