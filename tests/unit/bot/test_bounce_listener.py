"""The MX of the envelope domain by real SMTP: own domains only, and on disk before the 250."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiosmtplib
import pytest
from sqlalchemy import text

from bot.bounce_listener import MAX_RECIPIENTS, SIZE_LIMIT, BounceHandler, listen
from bot.inbox import Inbox
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
    yield found
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
