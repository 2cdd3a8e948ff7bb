"""E-mail over SMTP: the contract of every channel over the sandbox's relay, and what only SMTP has."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dkim
import pytest

from notifier.channels import (
    Accepted,
    Deferred,
    InDoubt,
    MailProvider,
    OutgoingMessage,
    Refused,
    Route,
    Session,
)
from notifier.channels.email_smtp import CHANNEL, SmtpSession, queue_id
from notifier.keys import DeliveryToken
from notifier.mailauth.dkim_sign import load_signer, new_key
from notifier.smtp import xtext
from store.models import Channel
from store.types import new_id
from tests.builders import KEYRING
from tests.contracts.channel import ChannelContract
from tests.contracts.smtp_script import QUEUED, SILENCE, Script
from tests.unit.sandbox.mail_world import MailWorld

TOKEN = KEYRING.delivery_token(DeliveryToken(1, new_id(), 1))


def to(number: int) -> str:
    return f"person{number}@inbox.example"


def message_to(number: int = 1, **more: Any) -> OutgoingMessage:
    content = (
        f"From: <billing@cascade.example>\r\nTo: <{to(number)}>\r\nMessage-ID: <m{number}@here.example>\r\n"
    )
    fields: dict[str, Any] = {
        "envelope_from": f"{TOKEN}@mail.cascade.example",
        "envelope_to": to(number),
        "content": f"{content}Subject: Hello\r\n\r\nHello\r\n".encode(),
        "envelope_id": TOKEN,
        "receipt": False,
    }
    return OutgoingMessage(**(fields | more))


def route_to(port: int, **more: Any) -> Route:
    fields: dict[str, Any] = {
        "name": "relay",
        "kind": "relay",
        "host": "127.0.0.1",
        "port": port,
        "envelope": "verp",
        "envelope_domain": "mail.cascade.example",
        "from_address": "billing@cascade.example",
        "from_name": "Cascade Fiber",
        "timeout_s": 0.5,
        "final_timeout_s": 0.5,
    }
    return Route(**(fields | more))


Mails = Session[OutgoingMessage]


@dataclass
class RelayLine:
    """The sandbox's relay "visp"."""

    world: MailWorld
    provider: MailProvider = CHANNEL

    @property
    def route(self) -> Route:
        return route_to(self.world.port("visp"))

    def message(self, number: int = 1) -> OutgoingMessage:
        return message_to(number)

    async def arrived(self, number: int = 1) -> int:
        return int((await self.world.ledger())["by_message_id"].get(f"<m{number}@here.example>", 0))

    async def refuse_for_good(self, number: int = 1) -> None:
        await self.world.behave(address=to(number), reply="550 5.1.1 No such user here")

    async def refuse_for_now(self, number: int = 1) -> None:
        await self.world.behave(address=to(number), reply="451 4.3.2 Try again later", at="data", times=1)

    async def go_down(self) -> None:
        await self.world.behave(relay="visp", refuse="connect")

    async def come_back(self) -> None:
        await self.world.behave(relay="visp", refuse=None)

    async def lose_an_answer(self) -> None:
        await self.world.behave(relay="visp", lose_reply=True, times=1)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[RelayLine]:
    (tmp_path / "world").mkdir()
    world = MailWorld(tmp_path / "world")
    await world.start()
    yield RelayLine(world)
    problems = world.problems()
    await world.stop()
    assert problems == [], "nothing in the dialogue broke the protocol"


@pytest.fixture
async def session(line: RelayLine) -> AsyncIterator[Session[OutgoingMessage]]:
    session = line.provider.session(line.route)
    yield session
    await session.close()


class TestEmailSmtp(ChannelContract):
    """The contract, over the fixtures above."""


@asynccontextmanager
async def dialogue(script: Script, **more: Any) -> AsyncIterator[SmtpSession]:
    """A session with a server that says what the script says."""
    async with script.listening():
        session = CHANNEL.session(route_to(script.port, **more))
        try:
            yield session
        finally:
            await session.close()


def options(script: Script, verb: str) -> set[str]:
    (line,) = [line for line in script.heard if line.startswith(verb)]
    return set(line.split()[2:])


async def test_it_is_the_channel_for_mail() -> None:
    assert CHANNEL.channel is Channel.EMAIL


@pytest.mark.parametrize(
    ("receipt", "notify"), [(False, "NOTIFY=FAILURE,DELAY"), (True, "NOTIFY=SUCCESS,FAILURE,DELAY")]
)
async def test_a_server_that_knows_dsn_is_asked_for_reports_with_our_token(
    receipt: bool, notify: str
) -> None:
    script = Script()
    async with dialogue(script) as session:
        await session.submit(message_to(1, receipt=receipt))
    assert options(script, "MAIL") == {"RET=HDRS", f"ENVID={TOKEN}"}
    assert options(script, "RCPT") == {notify, f"ORCPT=rfc822;{to(1)}"}


@pytest.mark.parametrize("verb", ["EHLO", "HELO"], ids=["EHLO without DSN", "HELO only"])
async def test_a_server_that_does_not_know_dsn_is_told_no_options(verb: str) -> None:
    script = Script({"EHLO": [b"250 plain.example" if verb == "EHLO" else b"502 5.5.1 What?"]})
    async with dialogue(script) as session:
        assert isinstance(await session.submit(message_to(receipt=True)), Accepted)
    assert (options(script, "MAIL"), options(script, "RCPT")) == (set(), set())
    assert f"{verb} mail.cascade.example" in script.heard


@pytest.mark.parametrize(
    ("plain", "coded"),
    [("a-b@c.example", "a-b@c.example"), ("a+b=c d", "a+2Bb+3Dc+20d"), ("é~!", "+E9~!")],
)
def test_xtext_codes_plus_equals_and_what_cannot_be_printed(plain: str, coded: str) -> None:
    assert xtext(plain) == coded


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2.0.0 Ok: queued as 4QABC12345", "4QABC12345"),
        ("OK id=1tXyZ0-0000ab-2C", "1tXyZ0-0000ab-2C"),
        ("2.6.0 <x@y> Queued mail for delivery 17D4A9", "17D4A9"),
        ("2.0.0 OK  1741000000 d9443c01a7336-22550 - gsmtp", ""),
        ("Ok", ""),
    ],
)
def test_the_servers_own_name_for_a_mail_is_read_from_its_250(text: str, found: str) -> None:
    assert queue_id(text) == found


async def test_the_queue_id_comes_with_the_acceptance() -> None:
    async with dialogue(Script()) as session:
        outcome = await session.submit(message_to())
    assert outcome == Accepted("relay", QUEUED.decode(), "4QSCRIPT")


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"GREETING": [b"554 5.3.2 No service today"]}, "554"),
        ({"GREETING": [b"421 4.3.2 Too busy"]}, "421"),
        ({"EHLO": [b"550 5.7.1 Go away"], "HELO": [b"550 5.7.1 Go away"]}, "550"),
        ({"MAIL": [b"530 5.7.0 Authentication required"]}, "530"),
        ({"GREETING": [None]}, ""),
        ({"EHLO": [None]}, ""),
        ({"MAIL": [None]}, ""),
        ({"RCPT": [None]}, ""),
    ],
    ids=["greeting 554", "greeting 421", "EHLO 550", "login wanted", "shut", "at EHLO", "at MAIL", "at RCPT"],
)
async def test_what_goes_wrong_before_the_message_is_said_is_our_ways_fault(
    answers: dict[str, list[bytes | None]], code: str
) -> None:
    script = Script({verb: list(given) for verb, given in answers.items()})
    async with dialogue(script) as session:
        outcome = await session.submit(message_to())
        assert isinstance(outcome, Deferred)
        assert (outcome.route_down, outcome.reply_code) == (True, code)
        assert script.bodies == []
        assert isinstance(await session.submit(message_to()), Accepted), "on a connection of its own"


@pytest.mark.parametrize("last", [b"421 4.4.2 Idle for too long", None], ids=["421", "closed"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
async def test_a_used_connection_that_ends_is_replaced_at_once(verb: str, last: bytes | None) -> None:
    script = Script({verb: [b"250 2.1.0 Ok", last]})
    async with dialogue(script) as session:
        assert isinstance(await session.submit(message_to(1)), Accepted)
        assert isinstance(await session.submit(message_to(2)), Accepted)
    assert (script.connections, len(script.bodies)) == (2, 2)


@pytest.mark.parametrize(("verb", "route_down"), [("MAIL", True), ("RCPT", False)])
async def test_a_fresh_connection_that_ends_is_not_tried_again_and_again(verb: str, route_down: bool) -> None:
    script = Script({verb: [b"421 4.7.0 Too many connections from you"] * 9})
    async with dialogue(script) as session:
        outcome = await session.submit(message_to())
    assert isinstance(outcome, Deferred)
    assert outcome.route_down is route_down, "said of a recipient, it is no fault of the route"
    assert script.connections == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(b"552 5.3.4 Too big", Refused), (b"451 4.3.0 Disk full", Deferred), (b"554 5.7.1 Spam", Refused)],
)
@pytest.mark.parametrize("verb", ["DATA", "END"])
async def test_a_refused_message_leaves_the_connection_good_for_the_next(
    verb: str, answer: bytes, kind: type
) -> None:
    script = Script({verb: [answer]})
    async with dialogue(script) as session:
        outcome = await session.submit(message_to(1))
        assert isinstance(outcome, kind)
        assert isinstance(outcome, Refused | Deferred)
        assert outcome.text == answer.decode()
        assert isinstance(await session.submit(message_to(2)), Accepted)
    assert script.connections == 1
    assert "RSET" in script.verbs(), "or the next MAIL would get 503"


@pytest.mark.parametrize(
    ("code", "about_sender"), [("550 5.1.8 Sender domain not found", True), ("550 5.1.1 Nobody", False)]
)
async def test_a_refusal_of_our_sender_is_told_apart_from_one_of_the_recipient(
    code: str, about_sender: bool
) -> None:
    script = Script({"MAIL" if about_sender else "RCPT": [code.encode()]})
    async with dialogue(script) as session:
        outcome = await session.submit(message_to())
    assert isinstance(outcome, Refused)
    assert outcome.about_sender is about_sender


@pytest.mark.parametrize("answer", [None, b"garbage"], ids=["closed", "no reply code"])
async def test_a_message_whose_end_got_no_proper_answer_is_in_doubt(answer: bytes | None) -> None:
    script = Script({"END": [answer]})
    async with dialogue(script) as session:
        outcome = await session.submit(message_to())
    assert not isinstance(outcome, Accepted | Refused)
    assert isinstance(outcome, InDoubt)


@pytest.mark.parametrize(
    "address",
    [
        "a@inbox.example, b@inbox.example",
        "a@inbox.example;b@inbox.example",
        "a@inbox.example\r\nRCPT TO:<b@inbox.example>",
        "<a@inbox.example>",
        "a@inbox.example NOTIFY=NEVER",
        "josé@inbox.example",
        "",
    ],
)
@pytest.mark.parametrize("place", ["envelope_to", "envelope_from"])
async def test_what_is_not_one_plain_address_never_reaches_the_wire(place: str, address: str) -> None:
    script = Script()
    async with dialogue(script) as session:
        with pytest.raises(ValueError, match="not one plain addr-spec"):
            await session.submit(message_to(1, **{place: address}))
    assert script.heard == []


async def test_the_octets_of_a_message_arrive_as_they_left(
    line: RelayLine, session: Session[OutgoingMessage]
) -> None:
    body = b".\r\n..two dots\r\nA line of " + b"x" * 900 + b"\r\n\r\n.last\r\n"
    content = b"From: <a@b.example>\r\nMessage-ID: <dots@here.example>\r\n\r\n" + body
    assert isinstance(await session.submit(message_to(1, content=content)), Accepted)
    (mail,) = await line.world.inbox(to(1))
    assert mail["raw"].encode().endswith(body)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_server_without_the_tls_that_was_asked_for_gets_neither_password_nor_mail(tls: str) -> None:
    script = Script()
    async with dialogue(script, tls=tls, username="cascade", password="secret") as session:
        outcome = await session.submit(message_to())
    assert isinstance(outcome, Deferred)
    assert outcome.route_down
    assert not {"AUTH", "MAIL"} & set(script.verbs())


async def test_the_right_login_opens_a_relay_and_a_wrong_one_is_our_ways_fault(line: RelayLine) -> None:
    await line.world.behave(relay="visp", username="cascade", password="right")
    for password, kind in (("wrong", Deferred), ("right", Accepted)):
        session = CHANNEL.session(replace(line.route, username="cascade", password=password))
        outcome = await session.submit(line.message())
        await session.close()
        assert isinstance(outcome, kind)
        if isinstance(outcome, Deferred):
            assert (outcome.route_down, outcome.reply_code) == (True, "535")
    assert await line.arrived() == 1


async def test_closing_does_not_wait_for_a_server_that_does_not_answer_any_more() -> None:
    script = Script({"QUIT": [SILENCE]})
    async with dialogue(script, timeout_s=60) as session:
        assert isinstance(await session.submit(message_to()), Accepted)
        async with asyncio.timeout(5):
            await session.close()
    assert script.verbs()[-1] == "QUIT"


async def test_a_server_that_never_answers_is_given_up_after_the_routes_time(line: RelayLine) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client has had enough
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        session = CHANNEL.session(route_to(server.sockets[0].getsockname()[1], timeout_s=0.2))
        outcome = await session.submit(line.message())
        await session.close()
    assert isinstance(outcome, Deferred)
    assert (outcome.route_down, outcome.reply_code) == (True, "")


@pytest.mark.parametrize("ed25519", [False, True])
async def test_a_route_with_a_key_signs_each_attempt_and_keeps_the_message(ed25519: bool) -> None:
    signer = load_signer("cascade.example", "k1", new_key(ed25519=ed25519))
    script = Script({"MAIL": [b"250 2.1.0 Ok", b"421 4.4.2 Idle for too long"]})
    async with dialogue(script, dkim=signer) as session:
        ends = [await session.submit(message_to()) for _ in range(2)]
    assert [type(end) for end in ends] == [Accepted, Accepted]
    for body, end in zip(script.bodies, ends, strict=True):
        assert end.content_hash == hashlib.sha256(body.removesuffix(b".\r\n")).hexdigest(), "as it went"
        signature, _, rest = body.partition(b"From: <billing@cascade.example>")
        assert signature.startswith(b"DKIM-Signature: ")
        assert b"d=cascade.example; s=k1;" in signature
        assert b"Message-ID: <m1@here.example>" in rest
        content = body.removesuffix(b".\r\n")
        assert ed25519 or dkim.verify(content, dnsfunc=lambda *_, **__: signer.public.record.encode())


async def test_a_signature_outlives_the_relay(line: RelayLine) -> None:
    signer = load_signer("cascade.example", "k1", new_key())
    line.world.mend_spf()
    session = line.provider.session(replace(line.route, dkim=signer))
    message = message_to(content=message_to().content + b".dots\r\n..and spaces \t \r\n\r\n")
    assert isinstance(await session.submit(message), Accepted)
    await session.close()
    (mail,) = await line.world.inbox(to(1))
    raw = mail["raw"].encode()
    assert b"Received:" in raw
    assert dkim.verify(raw, dnsfunc=lambda *_, **__: signer.public.record.encode())


async def test_a_route_without_a_key_leaves_the_message_as_it_is() -> None:
    script = Script()
    async with dialogue(script) as session:
        assert (await session.submit(message_to())).content_hash is None, "that of what it was given"
    assert not script.bodies[0].startswith(b"DKIM-Signature")
