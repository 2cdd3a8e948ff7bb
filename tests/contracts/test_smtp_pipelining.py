"""PIPELINING (RFC 2920) and what can go wrong with it, heard from the server's end, octet by octet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from notifier.channels import Accepted, Deferred, InDoubt, Refused, SubmitOutcome
from notifier.channels.email_smtp import CHANNEL, SmtpSession
from tests.contracts.smtp_wire import OFFER, OK3, Line, Wire
from tests.contracts.test_channel_email_smtp import message_to, route_to, to

QUEUED = b"250 2.0.0 Ok: queued as 4QWIRE\r\n"


class Talk:
    """A session and the server's end of its connections."""

    def __init__(self, wire: Wire, session: SmtpSession) -> None:
        self.wire, self.session = wire, session

    def submit(self, number: int = 1, **more: Any) -> asyncio.Task[SubmitOutcome]:
        return asyncio.create_task(self.session.submit(message_to(number, **more)))

    async def greeted(self) -> Line:
        line = await self.wire.line()
        await line.greet()
        return line

    async def accepted(self, line: Line) -> None:
        """One mail that goes as it should, so that the line has been used."""
        task = self.submit(0)
        await line.data()
        line.say(OK3)
        await line.body()
        line.say(QUEUED)
        assert isinstance(await task, Accepted)


@asynccontextmanager
async def talking(**more: Any) -> AsyncIterator[Talk]:
    wire = Wire()
    async with wire.listening():
        session = CHANNEL.session(route_to(wire.port, **({"timeout_s": 5.0, "final_timeout_s": 5.0} | more)))
        try:
            yield Talk(wire, session)
        finally:
            for line in wire.all:  # or goodbyes would wait for an answer
                await line.hang_up()
            await session.close()


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    async with talking() as talk:
        yield talk


async def test_the_envelope_leaves_in_one_write_and_answers_may_come_in_pieces(talk: Talk) -> None:
    task = talk.submit()
    line = await talk.greeted()
    heard = (await line.data()).split(b"\r\n")  # before any of it is answered
    assert [command.split()[0] for command in heard if command] == [b"MAIL", b"RCPT", b"DATA"]
    for octet in OK3.replace(b"250 2.1.5 Ok", b"250-2.1.5 Ok\r\n250-and\r\n250 more"):
        line.say(bytes([octet]))
        await asyncio.sleep(0)
    assert await line.body()
    line.say(QUEUED)
    assert await task == Accepted("relay", "250 2.0.0 Ok: queued as 4QWIRE", "4QWIRE")


async def test_the_next_envelope_leaves_with_the_end_of_data_and_each_answer_is_its_own(talk: Talk) -> None:
    first, second, third = talk.submit(1), talk.submit(2), talk.submit(3)
    line = await talk.greeted()
    assert to(1).encode() in await line.data()
    line.say(OK3)
    assert b"<m1@here.example>" in await line.body()
    assert to(2).encode() in await line.data(), "though the first has no answer yet"
    line.say(b"554 5.7.1 Spam\r\n" + OK3)
    assert b"<m2@here.example>" in await line.body()
    heard = await line.data()
    assert heard.startswith(b"RSET\r\nMAIL ")
    assert to(3).encode() in heard
    line.say(QUEUED + b"250 2.0.0 Reset\r\n" + OK3)
    await line.body()
    line.say(b"451 4.3.0 Disk full\r\n")
    refused, accepted, deferred = await first, await second, await third
    assert isinstance(refused, Refused)
    assert refused.text == "554 5.7.1 Spam"
    assert isinstance(accepted, Accepted)
    assert isinstance(deferred, Deferred)
    assert (deferred.reply_code, deferred.route_down) == ("451", False)


@pytest.mark.parametrize(
    ("answers", "about_sender"),
    [
        (b"550 5.1.8 Bad sender\r\n503 5.5.1 What?\r\n503 5.5.1 What?\r\n", True),
        (b"250 Ok\r\n550 5.1.1 Nobody\r\n554 5.5.1 No valid recipients\r\n", False),
    ],
    ids=["MAIL", "RCPT"],
)
async def test_a_refused_envelope_sends_no_data_and_leaves_the_connection_good(
    talk: Talk, answers: bytes, about_sender: bool
) -> None:
    task = talk.submit(1)
    line = await talk.greeted()
    await line.data()
    line.say(answers)
    outcome = await task
    assert isinstance(outcome, Refused)
    assert outcome.about_sender is about_sender
    again = talk.submit(2)
    assert (await line.data()).startswith(b"RSET\r\nMAIL ")
    line.say(b"250 Reset\r\n" + OK3)
    assert b"<m2@here.example>" in await line.body()
    line.say(QUEUED)
    assert isinstance(await again, Accepted)


@pytest.mark.parametrize("last", [b"554 5.5.1 No valid recipients\r\n", QUEUED], ids=["554", "250"])
@pytest.mark.parametrize(
    "answers",
    [b"250 Ok\r\n550 5.1.1 Nobody\r\n354 Go on\r\n", b"550 5.1.8 Bad sender\r\n250 Ok\r\n354 Go on\r\n"],
    ids=["RCPT", "MAIL"],
)
async def test_data_that_is_asked_for_though_nobody_is_to_get_it_is_a_lone_dot_and_no_acceptance(
    talk: Talk, answers: bytes, last: bytes
) -> None:
    task = talk.submit(1)
    line = await talk.greeted()
    await line.data()
    line.say(answers)
    assert await line.hear() == b".\r\n"
    assert isinstance(await task, Refused), "before and whatever it says to the dot"
    again = talk.submit(2)
    assert (await line.data()).startswith(b"RSET\r\nMAIL ")
    line.say(last + b"250 Reset\r\n" + OK3)
    assert b"<m2@here.example>" in await line.body()
    line.say(QUEUED)
    assert isinstance(await again, Accepted)


@pytest.mark.parametrize(
    "answers",
    [
        OK3 + b"250 2.0.0 Ok: queued as EARLY\r\n",
        b"250 Ok\r\n250 Ok\r\n250 Ok\r\n",
        b"354 Go on\r\n250 Ok\r\n250 Ok\r\n",
        b"250 Ok\r\n250 Ok\r\nabc\r\n",
        b"250 Ok\r\n250 Ok\r\n99 too short\r\n",
        b"250 Ok\r\n250 Ok\r\n250" + b"-x" * 5_000,
        b"250 Ok\r\n" + b"250-and so on\r\n" * 6_000,
    ],
    ids=["too early", "250 to DATA", "354 to MAIL", "garbage", "two digits", "endless line", "endless reply"],
)
async def test_a_server_that_answers_what_cannot_be_gets_no_mail_and_nobody_calls_it_accepted(
    talk: Talk, answers: bytes
) -> None:
    task = talk.submit()
    line = await talk.greeted()
    await line.data()
    line.say(answers)
    outcome = await task
    assert isinstance(outcome, Deferred)
    assert (outcome.route_down, outcome.reply_code) == (True, "")
    assert await line.gone() == b"", "it hangs up, since nobody knows which answer is whose"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"354 Go on\r\n", InDoubt),
        (b"abc\r\n", InDoubt),
        (b"250" + b" x" * 9_000, InDoubt),
        (b"250-not yet whole\r\n", InDoubt),
        (b"421 4.3.2 Shutting down\r\n", Deferred),
    ],
    ids=["354", "garbage", "endless line", "half a reply", "421"],
)
async def test_after_the_end_of_data_only_a_whole_answer_settles_it(
    talk: Talk, answer: bytes, kind: type
) -> None:
    task = talk.submit()
    line = await talk.greeted()
    await line.data()
    line.say(OK3)
    await line.body()
    line.say(answer)
    if answer.startswith(b"250-"):
        await line.hang_up()
    outcome = await task
    assert isinstance(outcome, kind)


@pytest.mark.parametrize("answered", [0, 1, 2], ids=["nothing", "MAIL", "MAIL and RCPT"])
async def test_a_connection_that_ends_before_the_data_has_sent_nothing_and_a_used_one_is_replaced(
    talk: Talk, answered: int
) -> None:
    task = talk.submit(1)
    line = await talk.greeted()
    await line.data()
    line.say(b"250 Ok\r\n" * answered)
    await line.hang_up()
    outcome = await task
    assert isinstance(outcome, Deferred)
    assert outcome.route_down
    fresh, second = talk.submit(2), await talk.greeted()
    await second.data()
    second.say(OK3)
    await second.body()
    second.say(QUEUED)
    assert isinstance(await fresh, Accepted)
    again = talk.submit(3)
    await second.data()
    second.say(b"250 Ok\r\n" * answered)
    await second.hang_up()
    third = await talk.greeted()
    await third.data()
    third.say(OK3)
    await third.body()
    third.say(QUEUED)
    assert isinstance(await again, Accepted)


async def test_a_loss_between_two_mails_leaves_one_in_doubt_and_sends_the_other_elsewhere(talk: Talk) -> None:
    first, second = talk.submit(1), talk.submit(2)
    line = await talk.greeted()
    await line.data()
    line.say(OK3)
    await line.body()
    await line.data()
    await line.hang_up()
    assert isinstance(await first, InDoubt)
    fresh = await talk.greeted()
    assert to(2).encode() in await fresh.data()
    fresh.say(OK3)
    await fresh.body()
    fresh.say(QUEUED)
    assert isinstance(await second, Accepted)


@pytest.mark.parametrize(
    "word", [b"421 4.4.2 Idle for too long\r\n", b"250 2.0.0 Ok: queued as STRAY\r\n"], ids=["421", "250"]
)
async def test_what_is_said_unasked_is_nobodys_answer(talk: Talk, word: bytes) -> None:
    task = talk.submit(0)
    line = await talk.greeted()
    await line.data()
    line.say(OK3)
    await line.body()
    line.say(QUEUED + word)
    assert isinstance(await task, Accepted)
    assert await line.gone() == b""
    again = talk.submit(1)
    fresh = await talk.greeted()
    await fresh.data()
    fresh.say(OK3)
    await fresh.body()
    fresh.say(b"554 5.7.1 Spam\r\n")
    assert isinstance(await again, Refused)


async def test_a_mail_that_nobody_waits_for_any_more_is_not_sent(talk: Talk) -> None:
    task = talk.submit(1)
    line = await talk.greeted()
    await line.data()
    task.cancel()
    await asyncio.wait([task])
    line.say(OK3)
    assert await line.gone() == b"", "not even an end of data: that would be a mail of nothing"


@pytest.mark.parametrize(
    ("times", "heard_all", "kind"),
    [
        ({"timeout_s": 0.1, "final_timeout_s": 60.0}, False, Deferred),
        ({"timeout_s": 60.0, "final_timeout_s": 0.1}, True, InDoubt),
    ],
    ids=["an answer before", "the last answer"],
)
async def test_each_answer_has_its_own_time(times: dict[str, Any], heard_all: bool, kind: type) -> None:
    async with talking(**times) as talk:
        task = talk.submit()
        line = await talk.greeted()
        await line.data()
        if heard_all:
            line.say(OK3)
            await line.body()
        async with asyncio.timeout(5):
            assert isinstance(await task, kind)


async def test_no_line_end_but_ours_can_end_a_mail_or_begin_a_command(talk: Talk) -> None:
    smuggled = b"a\n.\nMAIL FROM:<x@y.example>\r.\rb\r\n.\r\n.c\r\n"
    task = talk.submit(1, content=b"Subject: x\r\n\r\n" + smuggled)
    line = await talk.greeted()
    await line.data()
    line.say(OK3)
    assert await line.body() == (
        b"Subject: x\r\n\r\na\r\n..\r\nMAIL FROM:<x@y.example>\r\n..\r\nb\r\n..\r\n..c\r\n.\r\n"
    )
    line.say(QUEUED)
    assert isinstance(await task, Accepted)


async def test_size_and_octets_of_eight_bits_are_told_where_a_server_wants_to_know() -> None:
    async with talking() as talk:
        content = "Subject: x\r\n\r\né\r\n".encode()
        task = talk.submit(1, content=content)
        line = await talk.wire.line()
        await line.greet(OFFER.replace(b"250-DSN", b"250-SIZE 100"))
        mail, rcpt, _ = (await line.data()).decode().split("\r\n", 2)
        assert mail.endswith(f"> SIZE={len(content)} BODY=8BITMIME")
        assert rcpt == f"RCPT TO:<{to(1)}>"
        line.say(b"552 5.3.4 Too big\r\n503 What?\r\n503 What?\r\n")
        assert isinstance(await task, Refused)


async def test_without_pipelining_each_command_waits_for_its_answer() -> None:
    async with talking() as talk:
        first, second = talk.submit(1), talk.submit(2)
        line = await talk.wire.line()
        await line.greet(b"250 here.example\r\n")
        # Were more of it sent at once, it would stand here before the next is heard.
        for said, answer in (
            (b"MAIL", b"250 Ok\r\n"),
            (b"RCPT", b"550 5.1.1 Nobody\r\n"),
            (b"RSET", b"250 Ok\r\n"),
        ):
            assert (await line.hear())[:4] == said
            line.say(answer)
        assert isinstance(await first, Refused)
        for said, answer in ((b"MAIL", b"250 Ok\r\n"), (b"RCPT", b"250 Ok\r\n"), (b"DATA", b"354 Go on\r\n")):
            assert (await line.hear())[:4] == said
            line.say(answer)
        await line.body()
        line.say(QUEUED)
        assert isinstance(await second, Accepted)


def test_it_works_on_uvloop_as_well() -> None:
    async def scenario() -> None:
        async with talking() as talk:
            first, second = talk.submit(1), talk.submit(2)
            line = await talk.greeted()
            await line.data()
            line.say(OK3)
            await line.body()
            await line.data()
            line.say(QUEUED + OK3)
            await line.body()
            await line.hang_up()
            assert [type(await task) for task in (first, second)] == [Accepted, InDoubt]

    uvloop.run(scenario())
