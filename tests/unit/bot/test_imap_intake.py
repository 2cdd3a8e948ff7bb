"""Bounces fetched from a mailbox: by a real Dovecot, and by servers that fail at each step."""

from __future__ import annotations

import asyncio
import imaplib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from bot.checks.mail import _mailbox
from bot.imap_intake import AT_ONCE, CAUSE, TELL_AFTER, ImapIntake, Mailbox, MailboxError, Session
from notifier import returned
from notifier.compose import Composer
from store.models import EventKind, Outcome, TemplateSource
from tests.builders import KEYRING
from tests.unit.bot.dovecot import PASSWORD, USER, Dovecot, dovecot, needs_dovecot
from tests.unit.bot.support import Office
from tests.unit.handlers import cast

TOKEN = f"b{'a' * 47}"


def mail(number: int = 0, to: str = f"bounces+{TOKEN}@mail.cascade.example") -> bytes:
    head = f"Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: <>\r\nSubject: Undelivered {number}\r\n\r\n"
    return f"{head}no report in it\r\n".encode()


def box(port: int, **more: Any) -> Mailbox:
    known: dict[str, Any] = {
        "tenant": 1,
        "address": USER,
        "domains": ("mail.cascade.example",),
        "host": "127.0.0.1",
        "port": port,
        "tls": "off",
        "username": USER,
        "password": PASSWORD,
        "every_s": 0.01,
    }
    return Mailbox(**known | more)


def intake(office: Office, *boxes: Mailbox) -> ImapIntake:
    return ImapIntake(office.services, office.inbox, office.runner, boxes, office.store)


async def rows(office: Office) -> list[tuple[str, bytes]]:
    async with office.store.read(1) as tx:
        found = await tx.conn.execute(
            text("SELECT payload, body FROM interactions WHERE kind = 'dsn' ORDER BY received_at, id")
        )
        return [(str(row.payload), bytes(row.body)) for row in found]


@pytest.fixture
async def server() -> AsyncIterator[Dovecot]:
    async with dovecot() as running:
        yield running


@needs_dovecot
@pytest.mark.parametrize("tls", ["off", "starttls", "implicit"])
async def test_what_is_in_the_mailbox_is_taken_once_and_moved_away(
    office: Office, server: Dovecot, tls: str
) -> None:
    port = server.imaps if tls == "implicit" else server.imap
    here = box(port, tls=tls, trusted=server.trusted)
    server.receives(mail(1))
    server.receives(mail(2, to="bounces@mail.cascade.example"))
    reading = intake(office, here)
    assert await reading.round(here) is False
    await office.settled()
    (first, _), (second, _) = sorted(await rows(office))
    assert {TOKEN in first, TOKEN in second} == {True, False}
    assert USER in first + second, "without a token it came to the mailbox"
    assert server.holds() == []
    assert len(server.holds("Processed")) == 2
    assert await reading.round(here) is False, "nothing is there any more"
    assert len(await rows(office)) == 2


@needs_dovecot
async def test_what_was_taken_and_not_moved_is_taken_once(office: Office, server: Dovecot) -> None:
    """A crash between: the message is there again, and is the same row."""
    here = box(server.imap)
    server.receives(mail(1))
    await intake(office, here).round(here)
    server.receives(server.holds("Processed")[0])
    await intake(office, here).round(here)
    await office.settled()
    assert len(await rows(office)) == 1
    assert len(server.holds("Processed")) == 2


@needs_dovecot
async def test_more_than_a_round_takes_is_taken_in_the_next(office: Office, server: Dovecot) -> None:
    here = box(server.imap)
    for number in range(AT_ONCE + 3):
        server.receives(mail(number))
    reading = intake(office, here)
    assert await reading.round(here) is True
    assert len(server.holds()) == 3
    assert await reading.round(here) is False
    await office.settled()
    assert len(await rows(office)) == AT_ONCE + 3


@needs_dovecot
async def test_a_full_inbox_leaves_them_where_they_are(office: Office, server: Dovecot) -> None:
    here = box(server.imap)
    server.receives(mail(1))
    office.inbox._room = 0
    assert await intake(office, here).round(here) is False
    assert (len(server.holds()), await rows(office)) == (1, [])


@needs_dovecot
async def test_a_bounce_of_a_mail_of_ours_becomes_its_end(office: Office, server: Dovecot) -> None:
    """From the envelope that was composed to the outcome: by the token behind the mailbox's name."""
    sid = await cast.dana(office.store)
    notification, (delivery,) = await cast.sent(
        office.store, "r-imap", sid, "dana@inbox.example", requested_by="U_AGENT"
    )
    route = office.services.profile(1).route()
    source = TemplateSource("f" * 64, "own", "en", "Subject", "Text", "<p>Text</p>")
    own = replace(route, envelope="verp", mailbox="bounces", envelope_domain="mail.cascade.example")
    composer = Composer(KEYRING, office.store.clock)
    message = composer.compose(own, replace(delivery, attempt=1), notification, source)
    local = message.envelope_from.partition("@")[0]
    assert local.startswith("bounces+b")
    assert len(local) <= 64
    assert returned.verp_token(message.envelope_from) == local.partition("+")[2]
    report = (
        f"Delivered-To: {message.envelope_from}\r\nFrom: MAILER-DAEMON@mx.inbox.example\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n"
        "--x\r\n\r\nNobody of that name.\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.inbox.example\r\n\r\nFinal-Recipient: rfc822; dana@inbox.example\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n--x--\r\n"
    )
    server.receives(report.encode())
    here = box(server.imap)
    await intake(office, here).round(here)
    await office.settled()
    async with office.store.read(1) as tx:
        (known,) = (await tx.deliveries.of_notifications([notification.id]))[notification.id]
        events = (await tx.events.of([(1, delivery.id)]))[1, delivery.id]
    assert [event.kind for event in events][-1] is EventKind.BOUNCED
    assert known.outcome is Outcome.BOUNCED


@needs_dovecot
@pytest.mark.parametrize(
    ("more", "says", "refused"),
    [
        ({"password": "of last year"}, "refuses our login", True),
        ({"folder": "Nowhere"}, "does not let us open the folder", False),
        ({"tls": "implicit", "trusted": None}, "no safe connection", False),
        ({"port": 9}, "does not answer", False),
    ],
)
async def test_what_is_wrong_is_said_plainly_and_without_a_secret(
    server: Dovecot, more: dict[str, Any], says: str, refused: bool
) -> None:
    port = server.imaps if "tls" in more else server.imap
    with pytest.raises(MailboxError) as caught:
        await asyncio.to_thread(Session, box(port, **more) if "port" not in more else box(**more))
    assert says in caught.value.sentence
    assert caught.value.refused is refused
    assert PASSWORD not in str(caught.value)
    assert "of last year" not in str(caught.value)


class Scripted:
    """An IMAP server that answers as it is told, and hangs up at a word."""

    def __init__(self, hang_at: str = "", without: str = "MOVE") -> None:
        self.hang_at, self.without, self.said = hang_at, without, list[str]()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := (await reader.readline()).decode():
            tag, _, rest = line.strip().partition(" ")
            self.said.append(rest)
            verb = rest.split()[1] if rest.upper().startswith("UID ") else rest.split()[0]
            if verb.upper() == self.hang_at:
                break
            for answer in self._answers(verb.upper()):
                writer.write(f"{answer}\r\n".encode())
            writer.write(f"{tag} OK done\r\n".encode())
        writer.close()
        await writer.wait_closed()

    def _answers(self, verb: str) -> list[str]:
        capabilities = " ".join(c for c in ("IMAP4rev1", "MOVE") if c != self.without)
        body = mail(1).decode()
        return {
            "CAPABILITY": [f"* CAPABILITY {capabilities}"],
            "SELECT": ["* 1 EXISTS"],
            "SEARCH": ["* SEARCH 7"],
            "FETCH": [f"* 1 FETCH (UID 7 BODY[]<0> {{{len(body)}}}\r\n{body})"],
            "LOGOUT": ["* BYE"],
        }.get(verb, [])


@pytest.fixture
async def scripted() -> AsyncIterator[Callable[[Scripted], Awaitable[int]]]:
    servers: list[asyncio.Server] = []

    async def start(script: Scripted) -> int:
        servers.append(await asyncio.start_server(script.__call__, "127.0.0.1", 0))
        return int(servers[-1].sockets[0].getsockname()[1])

    yield start
    for one in servers:
        one.close()
        await one.wait_closed()


Start = Callable[[Scripted], Awaitable[int]]


async def test_a_server_that_cannot_move_copies_marks_and_removes(office: Office, scripted: Start) -> None:
    script = Scripted()
    here = box(await scripted(script))
    assert await intake(office, here).round(here) is False
    await office.settled()
    assert len(await rows(office)) == 1
    after = script.said[script.said.index("UID SEARCH ALL") :]
    assert [line.split()[0] if not line.startswith("UID") else line.split()[1] for line in after] == [
        *("SEARCH", "FETCH", "CREATE", "COPY", "STORE", "EXPUNGE", "LOGOUT"),
    ]


@pytest.mark.parametrize("verb", ["LOGIN", "SELECT", "SEARCH", "FETCH", "COPY", "STORE", "EXPUNGE"])
async def test_a_server_that_hangs_up_at_any_step_loses_nothing(
    office: Office, scripted: Start, verb: str
) -> None:
    port = await scripted(Scripted(hang_at=verb))
    with pytest.raises(MailboxError):
        await intake(office, box(port)).round(box(port))
    again = box(await scripted(Scripted()))
    await intake(office, again).round(again)
    await office.settled()
    assert len(await rows(office)) == 1


async def test_a_mailbox_that_cannot_be_read_is_told_once_and_ends_by_itself(
    office: Office, scripted: Start
) -> None:
    script = Scripted(hang_at="SELECT")
    here = box(await scripted(script))
    told = office.store.signals.subscribe("posts")
    reading = asyncio.create_task(intake(office, here).run())
    try:
        assert await told.wait(10)
        (incident,) = await _incidents(office)
        assert incident.cause == CAUSE
        assert incident.title.startswith("The mailbox of bounces cannot be read: the mailbox hung up while")
        assert script.said.count('SELECT "INBOX"') >= TELL_AFTER or len(script.said) >= TELL_AFTER
        script.hang_at = ""
        async with asyncio.timeout(20):
            while await _incidents(office):
                await told.wait(1)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        told.close()
    await office.settled()
    assert len(await rows(office)) == 1


async def _incidents(office: Office) -> list[Any]:
    async with office.store.read(1) as tx:
        return list(await tx.incidents.unresolved())


def test_the_library_raises_what_we_catch() -> None:
    assert issubclass(imaplib.IMAP4.abort, imaplib.IMAP4.error)
    assert issubclass(imaplib.IMAP4.readonly, imaplib.IMAP4.error)


@needs_dovecot
async def test_the_check_logs_in_and_counts_and_takes_nothing(server: Dovecot) -> None:
    server.receives(mail(1))
    found = await _mailbox("bounces", box(server.imap))
    assert (found.ok, found.found) == (True, "127.0.0.1: 1 waiting")
    assert len(server.holds()) == 1
    wrong = await _mailbox("bounces", box(server.imap, password="of last year"))
    assert (wrong.ok, "refuses our login" in wrong.found) == (False, True)
    assert "mail.bounce_mailbox" in wrong.remedy
