"""The SMTP dialogue itself, spoken word for word: what a correct client may do, and what is refused."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import pytest

from sandbox.mail.commands import CommandError, Offer, decode_xtext, parse_mail, parse_rcpt
from tests.unit.sandbox.mail_world import MESSAGE, MailWorld

DSN = Offer()


@pytest.fixture
async def mail(tmp_path: Path) -> AsyncIterator[MailWorld]:
    world = MailWorld(tmp_path)
    await world.start()
    yield world
    await world.stop()


class Dialogue:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> str:
        """One whole reply."""
        lines = []
        while True:
            async with asyncio.timeout(5):
                line = (await self._reader.readline()).decode().rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, command: str | bytes) -> str:
        self.write(command)
        return await self.read()

    def write(self, octets: str | bytes) -> None:
        line = octets.encode() + b"\r\n" if isinstance(octets, str) else octets
        self._writer.write(line)

    async def at_end(self) -> bool:
        async with asyncio.timeout(5):
            return await self._reader.read(1) == b""

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def talk(mail: MailWorld) -> AsyncIterator[Dialogue]:
    dialogue = Dialogue(*await asyncio.open_connection("127.0.0.1", mail.port("visp")))
    assert (await dialogue.read()).startswith("220 relay.visp.net ")
    yield dialogue
    dialogue.close()


async def envelope(talk: Dialogue) -> None:
    await talk.say("EHLO app.cascade.example")
    assert (await talk.say("MAIL FROM:<b@mail.cascade.example>")).startswith("250")
    assert (await talk.say("RCPT TO:<me@inbox.example>")).startswith("250")
    assert (await talk.say("DATA")).startswith("354")


async def test_the_extensions_are_announced(talk: Dialogue) -> None:
    words = (await talk.say("EHLO app.cascade.example")).split("\n")
    assert words[0] == "250-relay.visp.net"
    offered = {line[4:] for line in words[1:]}
    assert offered == {
        *("PIPELINING", "SIZE 26214400", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"),
    }


async def test_a_whole_group_of_commands_is_answered_in_order(talk: Dialogue) -> None:
    await talk.say("EHLO app.cascade.example")
    talk.write(
        b"MAIL FROM:<b@mail.cascade.example>\r\nRCPT TO:<mei@greylist.example>\r\n"
        b"RCPT TO:<me@inbox.example>\r\nDATA\r\n"
    )
    assert [(await talk.read())[:3] for _ in range(4)] == ["250", "451", "250", "354"]
    talk.write(MESSAGE + b".\r\nMAIL FROM:<c@mail.cascade.example>\r\nRCPT TO:<me@inbox.example>\r\nDATA\r\n")
    assert [(await talk.read())[:3] for _ in range(4)] == ["250", "250", "250", "354"]


async def test_data_without_a_recipient_that_was_accepted_is_refused(talk: Dialogue) -> None:
    await talk.say("EHLO app.cascade.example")
    await talk.say("MAIL FROM:<b@mail.cascade.example>")
    await talk.say("RCPT TO:<mei@greylist.example>")
    assert (await talk.say("DATA")).startswith("554 5.5.1")


async def test_commands_out_of_order_are_503_and_named_in_the_wire_list(
    mail: MailWorld, talk: Dialogue
) -> None:
    assert (await talk.say("MAIL FROM:<b@mail.cascade.example>")).startswith("503")
    await talk.say("EHLO app.cascade.example")
    assert (await talk.say("RCPT TO:<me@inbox.example>")).startswith("503")
    assert (await talk.say("DATA")).startswith("503")
    await talk.say("MAIL FROM:<b@mail.cascade.example>")
    assert (await talk.say("MAIL FROM:<c@mail.cascade.example>")).startswith("503 5.5.1 Nested")
    assert (await talk.say("RSET")).startswith("250")
    assert (await talk.say("MAIL FROM:<c@mail.cascade.example>")).startswith("250")
    assert len(mail.problems()) == 4


async def test_small_commands(talk: Dialogue) -> None:
    assert await talk.say("HELO app.cascade.example") == "250 relay.visp.net"
    assert (await talk.say("NOOP")).startswith("250")
    assert (await talk.say("VRFY me")).startswith("252")
    assert (await talk.say("EHLO")).startswith("501")
    assert (await talk.say("TURN")).startswith("500")
    assert (await talk.say(b"MAIL FROM:<\xff@x>\r\n")).startswith("500")
    assert (await talk.say("NOOP " + "x" * 3000)).startswith("500 5.5.2")
    assert (await talk.say("AUTH PLAIN AGEAYg==")).startswith("503")
    assert (await talk.say("QUIT")).startswith("221")
    assert await talk.at_end()


async def test_dots_are_unstuffed(mail: MailWorld, talk: Dialogue) -> None:
    await envelope(talk)
    assert (await talk.say(b"..first\r\n\r\n..\r\n...two\r\na.b\r\n.\r\n")).startswith("250 2.0.0")
    (found,) = await mail.inbox("me@inbox.example")
    assert found["raw"].endswith("\r\n.first\r\n\r\n.\r\n..two\r\na.b\r\n")


async def test_an_empty_message_is_one(mail: MailWorld, talk: Dialogue) -> None:
    await envelope(talk)
    assert (await talk.say(b".\r\n")).startswith("250")
    assert len(await mail.inbox("me@inbox.example")) == 1


async def test_the_end_of_data_may_arrive_in_pieces(mail: MailWorld, talk: Dialogue) -> None:
    await envelope(talk)
    for piece in (b"Subject: x\r\n\r", b"\nbody\r", b"\n.", b"\r"):
        talk.write(piece)
        await asyncio.sleep(0)
    assert (await talk.say(b"\n")).startswith("250")
    assert (await mail.inbox("me@inbox.example"))[0]["text"] == "body\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\nbare\nline feed\r\n",
        b"Subject: x\r\n\r\nbare\rreturn\r\n",
        b"Subject: x\n.\nMAIL FROM:<smuggled@x.example>\r\n",
        b"Subject: " + b"x" * 1000 + b"\r\n\r\n",
        b"Subject: x\r\n\r\nnul\0\r\n",
    ],
)
async def test_content_that_no_client_may_send_is_refused(
    mail: MailWorld, talk: Dialogue, content: bytes
) -> None:
    await envelope(talk)
    assert (await talk.say(content + b".\r\n")).startswith("550 5.6.0")
    assert (await mail.ledger())["accepted"] == 0
    assert len(mail.problems()) == 1


async def test_a_line_of_998_octets_is_allowed(talk: Dialogue) -> None:
    await envelope(talk)
    assert (await talk.say(b"Subject: x\r\n\r\n" + b"x" * 998 + b"\r\n.\r\n")).startswith("250")


async def test_8_bit_content_without_the_parameter_is_taken_and_reported(
    mail: MailWorld, talk: Dialogue
) -> None:
    await envelope(talk)
    assert (await talk.say("Subject: x\r\n\r\nné\r\n.".encode() + b"\r\n")).startswith("250")
    assert mail.problems() == ["8-bit content without BODY=8BITMIME"]


async def test_too_big_is_said_at_mail_and_after_the_data(talk: Dialogue) -> None:
    await talk.say("EHLO app.cascade.example")
    assert (await talk.say("MAIL FROM:<b@mail.cascade.example> SIZE=99999999")).startswith("552 5.3.4")
    await envelope(talk)
    line = b"x" * 900 + b"\r\n"
    for _ in range(30):
        talk.write(line * 1000)
    assert (await talk.say(b".\r\n")).startswith("552 5.3.4")
    assert (await talk.say("NOOP")).startswith("250")


async def test_what_was_pipelined_behind_a_refused_mail_is_refused_and_no_fault_of_the_client(
    mail: MailWorld, talk: Dialogue
) -> None:
    await talk.say("EHLO app.cascade.example")
    talk.write(b"MAIL FROM:<b@mail.cascade.example> SIZE=99999999\r\nRCPT TO:<me@inbox.example>\r\nDATA\r\n")
    assert [(await talk.read())[:3] for _ in range(3)] == ["552", "503", "503"]
    assert mail.problems() == []


async def test_sending_on_without_waiting_for_the_354_is_reported(mail: MailWorld, talk: Dialogue) -> None:
    await talk.say("EHLO app.cascade.example")
    talk.write(
        b"MAIL FROM:<b@mail.cascade.example>\r\nRCPT TO:<me@inbox.example>\r\nDATA\r\n" + MESSAGE + b".\r\n"
    )
    assert [(await talk.read())[:3] for _ in range(4)] == ["250", "250", "354", "250"]
    assert "without waiting" in mail.problems()[0]


async def test_a_client_that_goes_before_the_dot_has_sent_nothing(mail: MailWorld, talk: Dialogue) -> None:
    await envelope(talk)
    talk.write(b"Subject: x\r\n\r\nhalf")
    talk.close()
    await mail.send("me@inbox.example")
    assert (await mail.ledger())["accepted"] == 1


async def test_signing_in_when_the_relay_asks_for_it(mail: MailWorld) -> None:
    await mail.behave(relay="visp", username="ispbot", password="s3cret")
    with pytest.raises(aiosmtplib.SMTPSenderRefused):
        await mail.send("me@inbox.example")
    for mechanism in ("auth_plain", "auth_login"):
        async with mail.client() as client:
            assert "auth" in client.esmtp_extensions
            with pytest.raises(aiosmtplib.SMTPAuthenticationError):
                await getattr(client, mechanism)("ispbot", "wrong")
            await getattr(client, mechanism)("ispbot", "s3cret")
            await client.mail("b@mail.cascade.example")


async def test_broken_credentials_are_refused(mail: MailWorld, talk: Dialogue) -> None:
    await mail.behave(relay="visp", username="ispbot", password="s3cret")
    await talk.say("EHLO app.cascade.example")
    assert (await talk.say("AUTH PLAIN ???")).startswith("501")
    assert (await talk.say("AUTH CRAM-MD5")).startswith("504")
    assert await talk.say("AUTH PLAIN") == "334 "
    assert (await talk.say(base64.b64encode(b"\0ispbot\0s3cret").decode())).startswith("235")
    assert (await talk.say("AUTH PLAIN AGEAYg==")).startswith("503")


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("FROM: <a@b.example>", "501"),
        ("FROM:a@b.example", "501"),
        ("FROM:<a@b.example", "501"),
        ("FROM:<a b@c.example>", "553"),
        ("FROM:<a..b@c.example>", "553"),
        ("FROM:<a@b..example>", "553"),
        ("FROM:<a@-b.example>", "553"),
        ("FROM:<a>", "553"),
        (f"FROM:<{'x' * 65}@b.example>", "553"),
        (f"FROM:<x@{'y.' * 130}example>", "553"),
        ("FROM:<é@b.example>", "553 5.6.7"),
        ("FROM:<a@b.example> BODY=9BIT", "501"),
        ("FROM:<a@b.example> RET=SOME", "501"),
        ("FROM:<a@b.example> ENVID=a+2", "501"),
        ("FROM:<a@b.example> ENVID=a=b", "501"),
        ("FROM:<a@b.example> SIZE=1 SIZE=2", "501"),
        ("FROM:<a@b.example> HOLD=1", "555"),
    ],
)
def test_mail_commands_that_the_grammar_does_not_allow(argument: str, reply: str) -> None:
    with pytest.raises(CommandError) as error:
        parse_mail(argument, DSN)
    assert error.value.reply.startswith(reply)


def test_mail_commands_that_it_does() -> None:
    assert parse_mail("FROM:<>", DSN).sender == ""
    assert parse_mail('FROM:<"a b>"@c.example>', DSN).sender == '"a b>"@c.example'
    assert parse_mail("from:<@relay.example:a@c.example>", DSN).sender == "a@c.example"
    assert parse_mail(f"FROM:<{'x' * 64}@b.example>", DSN).sender.startswith("x")
    full = parse_mail("FROM:<é@b.example> SIZE=12 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb", DSN)
    assert (full.size, full.eight_bit, full.smtputf8, full.ret, full.envid) == (12, True, True, "HDRS", "a+b")


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("TO:<>", "553"),
        ("TO:<a@b.example> NOTIFY=NEVER,FAILURE", "501"),
        ("TO:<a@b.example> NOTIFY=", "501"),
        ("TO:<a@b.example> NOTIFY=DELAY,DELAY", "501"),
        ("TO:<a@b.example> ORCPT=a@b.example", "501"),
        ("TO:<a@b.example> ORCPT=rfc822;a+b@c.example", "501"),
        ("TO:<é@b.example>", "553"),
        ("TO:<a@b.example> RET=FULL", "555"),
    ],
)
def test_rcpt_commands_that_the_grammar_does_not_allow(argument: str, reply: str) -> None:
    with pytest.raises(CommandError) as error:
        parse_rcpt(argument, DSN, smtputf8=False)
    assert error.value.reply.startswith(reply)


def test_rcpt_commands_that_it_does() -> None:
    recipient = parse_rcpt(
        "TO:<a@B.example> NOTIFY=success,Failure ORCPT=rfc822;a+2Bb@c.example", DSN, smtputf8=False
    )
    assert recipient.domain == "b.example"
    assert recipient.orcpt == "rfc822;a+b@c.example"
    assert [recipient.wants(word) for word in ("SUCCESS", "FAILURE", "DELAY")] == [True, True, False]
    plain = parse_rcpt("TO:<Postmaster>", DSN, smtputf8=False)
    assert [plain.wants(word) for word in ("SUCCESS", "FAILURE", "DELAY")] == [False, True, True]
    assert not parse_rcpt("TO:<a@b.example> NOTIFY=NEVER", DSN, smtputf8=False).wants("FAILURE")


def test_without_dsn_its_parameters_are_unknown() -> None:
    with pytest.raises(CommandError) as error:
        parse_rcpt("TO:<a@b.example> NOTIFY=NEVER", Offer(dsn=False), smtputf8=False)
    assert error.value.reply.startswith("555")
    with pytest.raises(CommandError):
        parse_mail("FROM:<a@b.example> RET=FULL", Offer(dsn=False))


def test_xtext_is_read_strictly() -> None:
    assert decode_xtext("a+2Bb+3Dc") == "a+b=c"
    for bad in ("a+2b", "a+", "a b", "a=b", "é"):
        with pytest.raises(CommandError):
            decode_xtext(bad)
