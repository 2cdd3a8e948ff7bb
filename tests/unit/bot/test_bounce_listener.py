"""The MX of the envelope domain by real SMTP: own domains only, and on disk before the 250."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiosmtplib
import pytest
from sqlalchemy import text

from bot.bounce_listener import (
    LINE_LIMIT,
    MAX_RECIPIENTS,
    SIZE_LIMIT,
    BounceHandler,
    Gate,
    Limits,
    listen,
    listen_lmtp,
)
from bot.inbox import Inbox
from notifier import dsn
from store.models import InteractionKind
from store.unit import Store
from tests.unit.bot.support import Office

BOUNCE = b"From: <>\r\nSubject: Undelivered\r\n\r\nno report in it\r\n"
MINE = f"b{'a' * 47}@mail.cascade.example"


@dataclass
class Listener:
    port: int
    office: Office

    async def client(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port, timeout=5, start_tls=False)
        await client.connect()
        await client.ehlo()
        return client

    async def sends(self, *recipients: str, body: bytes = BOUNCE) -> tuple[int, str]:
        client = await self.client()
        try:
            await client.mail("")
            for recipient in recipients:
                await client.rcpt(recipient)
            answer = await client.data(body)
        except aiosmtplib.SMTPResponseException as refusal:
            return refusal.code, refusal.message
        finally:
            client.close()
        return answer.code, answer.message

    async def rows(self) -> list[tuple[int, str, bytes]]:
        async with self.office.store.read(1) as tx:
            found = await tx.conn.execute(text("SELECT tenant_id, payload, body FROM interactions"))
            return [(row.tenant_id, str(row.payload), bytes(row.body)) for row in found]


async def _listening(office: Office, inbox: Inbox) -> tuple[asyncio.Server, Listener]:
    domains = {"mail.cascade.example": 1, "mail.rio.example": 2}
    handler = BounceHandler(store=office.store, inbox=inbox, runner=office.runner, domains=domains)
    server = await listen(handler, "127.0.0.1", 0, "mail.cascade.example")
    return server, Listener(server.sockets[0].getsockname()[1], office)


@pytest.fixture
async def listener(office: Office) -> AsyncIterator[Listener]:
    server, found = await _listening(office, office.inbox)
    # Until a test has looked nothing is carried out: what is done with leaves the inbox.
    runner = office.runner
    runner._at_groups.add(InteractionKind.DSN)
    yield found
    runner._in_background(runner._carry_out_groups(InteractionKind.DSN))
    server.close()
    await server.wait_closed()
    await office.settled()


async def test_a_bounce_is_on_disk_when_it_is_answered_250(listener: Listener) -> None:
    code, _ = await listener.sends(MINE)
    assert code == 250
    ((tenant, payload, body),) = await listener.rows()
    assert (tenant, body) == (1, BOUNCE)
    assert MINE in payload


async def test_the_domain_says_whose_it_is_in_whatever_case(listener: Listener) -> None:
    assert (await listener.sends("bounces@MAIL.Rio.Example"))[0] == 250
    ((tenant, _, _),) = await listener.rows()
    assert tenant == 2


@pytest.mark.parametrize(
    "recipient", ["a@gmail.com", "a@mail.cascade.example.evil.example", "a@cascade.example"]
)
async def test_mail_for_others_is_refused_for_good(listener: Listener, recipient: str) -> None:
    code, answer = await listener.sends(recipient)
    assert code == 550
    assert "own domains only" in answer
    assert await listener.rows() == []


async def test_the_same_bounce_again_is_taken_and_kept_once(listener: Listener) -> None:
    assert [(await listener.sends(MINE))[0] for _ in range(3)] == [250] * 3
    assert len(await listener.rows()) == 1


async def test_each_recipient_of_one_message_is_kept(listener: Listener) -> None:
    assert (await listener.sends(MINE, f"b{'c' * 47}+tag@mail.cascade.example"))[0] == 250
    assert len(await listener.rows()) == 2


async def test_octets_that_are_no_text_are_kept_as_they_are(listener: Listener) -> None:
    odd = b"Subject: \xff\xfe\r\n\r\n" + bytes(range(128, 256)) + b"\r\n"
    assert (await listener.sends(MINE, body=odd))[0] == 250
    assert (await listener.rows())[0][2] == odd


async def test_a_full_inbox_is_a_temporary_answer_and_nothing_is_lost(office: Office) -> None:
    server, listener = await _listening(office, Inbox(office.store, worker="w", lease_s=30, room=0))
    code, _ = await listener.sends(MINE)
    assert code == 451
    assert await listener.rows() == []
    server.close()
    await server.wait_closed()


async def test_a_database_that_fails_is_a_temporary_answer(listener: Listener) -> None:
    store: Store = listener.office.store
    async with store.system() as tx:
        await tx.conn.execute(text("ALTER TABLE interactions RENAME TO elsewhere"))
    assert (await listener.sends(MINE))[0] == 451
    async with store.system() as tx:
        await tx.conn.execute(text("ALTER TABLE elsewhere RENAME TO interactions"))
    assert (await listener.sends(MINE))[0] == 250


async def test_an_announced_size_over_the_limit_is_refused_before_it_is_sent(listener: Listener) -> None:
    client = await listener.client()
    with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
        await client.mail("", options=[f"SIZE={SIZE_LIMIT + 1}"])
    assert refused.value.code == 552
    client.close()


async def test_an_oversized_message_is_refused_and_not_kept(listener: Listener) -> None:
    line = b"x" * 990 + b"\r\n"
    code, _ = await listener.sends(MINE, body=b"Subject: x\r\n\r\n" + line * (SIZE_LIMIT // 990 + 10))
    assert code == 552
    assert await listener.rows() == []


async def test_too_many_recipients_are_put_off(listener: Listener) -> None:
    client = await listener.client()
    await client.mail("")
    for number in range(MAX_RECIPIENTS):
        await client.rcpt(f"b{'a' * 46}{'abcdefghijklmnop'[number % 16]}+{number}@mail.cascade.example")
    with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
        await client.rcpt("postmaster@mail.cascade.example")
    assert refused.value.code == 452
    client.close()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _handler(office: Office, gate: Gate) -> BounceHandler:
    domains = {"mail.cascade.example": 1}
    return BounceHandler(
        store=office.store, inbox=office.inbox, runner=office.runner, domains=domains, gate=gate
    )


@asynccontextmanager
async def gated(office: Office, gate: Gate) -> AsyncIterator[Listener]:
    server = await listen(_handler(office, gate), "127.0.0.1", 0, "mail.cascade.example")
    yield Listener(server.sockets[0].getsockname()[1], office)
    server.close()
    await server.wait_closed()
    await office.settled()


async def test_a_client_that_sends_too_much_is_told_when_to_come_again(office: Office) -> None:
    clock = Clock()
    async with gated(office, Gate(Limits(per_client_per_s=1 / 30), clock)) as listener:
        assert [(await listener.sends(MINE))[0] for _ in range(2)] == [250, 250]
        code, words = await listener.sends(MINE)
        assert (code, words) == (451, "4.7.1 Too many messages from 127.0.0.1, try again in 30 s")
        clock.now += 30
        assert (await listener.sends(MINE))[0] == 250


async def test_too_much_from_everybody_is_put_off_too(office: Office) -> None:
    clock = Clock()
    async with gated(office, Gate(Limits(per_s=1 / 60), clock)) as listener:
        assert (await listener.sends(MINE))[0] == 250
        code, words = await listener.sends(MINE)
        assert (code, words) == (451, "4.3.2 Too many messages at once, try again in 60 s")


async def test_one_connection_too_many_is_told_and_hung_up_on(office: Office) -> None:
    gate = Gate(Limits(connections_per_client=1))
    async with gated(office, gate) as listener:
        first = await listener.client()
        with pytest.raises(aiosmtplib.SMTPConnectError, match="Too many connections"):
            await listener.client()
        await first.quit()
        code, _ = await listener.sends(MINE)
        assert code == 250, "whoever hangs up makes room"
    assert gate.open.total() == 0


async def test_a_long_line_in_a_report_is_no_reason_to_lose_it(listener: Listener) -> None:
    long = b"Subject: x\r\n\r\n" + b"y" * 50_000 + b"\r\n"
    assert (await listener.sends(MINE, body=long))[0] == 250
    assert (await listener.rows())[0][2] == long


async def test_a_line_without_an_end_is_refused_and_not_kept(listener: Listener) -> None:
    code, _ = await listener.sends(MINE, body=b"Subject: x\r\n\r\n" + b"y" * (LINE_LIMIT + 1000) + b"\r\n")
    assert code == 500
    assert await listener.rows() == []


async def lmtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *lines: bytes) -> list[str]:
    """Says the lines one after the other; the first line of each answer, and all that follow DATA's end."""
    told = [(await reader.readline()).decode()]
    for line in lines:
        writer.write(line + b"\r\n")
        while (answer := (await reader.readline()).decode())[3:4] == "-":
            pass
        told.append(answer)
    return [answer[:3] for answer in told]


@pytest.mark.parametrize("way", ["port", "socket"])
async def test_lmtp_answers_for_each_recipient(office: Office, tmp_path: Path, way: str) -> None:
    """RFC 2033 section 4.2: the refused one has no answer after the data, the others have one each."""
    socket = tmp_path / "lmtp"
    handler = _handler(office, Gate())
    port, path = (0, None) if way == "port" else (None, socket)
    (server,) = await listen_lmtp(handler, "127.0.0.1", port, path, "mail.cascade.example")
    if way == "port":
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    else:
        assert socket.stat().st_mode & 0o777 == 0o660
        reader, writer = await asyncio.open_unix_connection(socket)
    ours = b"bounces@mail.cascade.example"
    said = await lmtp(
        reader,
        writer,
        b"EHLO relay.example",
        b"LHLO relay.example",
        b"MAIL FROM:<>",
        b"RCPT TO:<" + MINE.encode() + b">",
        b"RCPT TO:<nobody@mail.cascade.example>",
        b"RCPT TO:<" + ours + b">",
        b"DATA",
    )
    assert said == ["220", "500", "250", "250", "250", "550", "250", "354"]
    writer.write(BOUNCE + b".\r\n")
    assert [(await reader.readline())[:3] for _ in range(2)] == [b"250", b"250"]
    writer.close()
    server.close()
    await server.wait_closed()
    await office.settled()
    async with office.store.read(1) as tx:
        found = await tx.conn.execute(text("SELECT count(*) FROM interactions"))
        assert found.scalar_one() == 2


async def test_a_hostile_message_does_not_hold_up_the_loop(office: Office) -> None:
    """2 MB made to be slow are taken apart beside the loop: it turns all the while."""
    nested = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(2000)
    )
    raw = nested + b"550 5.1.1 <a@b> unknown " * (SIZE_LIMIT // 24)
    longest, turns, done = 0.0, 0, asyncio.Event()

    async def turning() -> None:
        nonlocal longest, turns
        last = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, turns, last = max(longest, now - last), turns + 1, now

    watch = asyncio.create_task(turning())
    await dsn.read(raw[:SIZE_LIMIT])
    done.set()
    await watch
    assert turns > 3
    assert longest < 0.5, longest
