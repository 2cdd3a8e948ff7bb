"""Whatever a server says, in whatever pieces: each answer is its command's, and each mail's end is true."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.smtp import Answer, SmtpConnection, Step
from notifier.smtp.wire import Offer

SAYINGS = [b"250 Ok", b"250 Ok", b"250 Ok", b"354 Go on", b"354 Go on", b"550 No", b"451 Later", b"421 Bye"]
SAYINGS += [b"garbage", b"250-two\r\n250 lines", b"220 Hm"]
MAILS = 3


class Transport:
    """The client's end of a connection that leads nowhere; it keeps what was written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, octets: bytes) -> None:
        assert not self.closed
        self.written += octets

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


@dataclass
class Heard:
    """What an honest server makes of it: each command, whose it is, and the answer that it gave."""

    commands: list[tuple[str, int]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    _at: int = 0
    _mail: int = -1

    def read(self, written: bytes) -> None:
        while self._at < len(written):
            in_data = bool(self.commands) and self.commands[-1][0] == "DATA" and self._answer_to_last() == 354
            if in_data:
                end = written.index(b".\r\n", self._at) + 3
                body = written[self._at : end]
                self.commands.append(("END" if body != b".\r\n" else "VOID", self._mail))
                assert body in (b".\r\n", f"mail {self._mail}\r\n.\r\n".encode())
            else:
                end = written.index(b"\r\n", self._at) + 2
                verb = written[self._at : end].split()[0].decode()
                if verb == "MAIL":
                    self._mail = int(written[self._at : end].split()[1])
                self.commands.append((verb, self._mail))
            self._at = end

    def _answer_to_last(self) -> int:
        last = len(self.commands) - 1
        return self.answers[last] if last < len(self.answers) else 0


async def converse(said: list[bytes], cuts: list[int], pipelining: bool) -> tuple[list[Answer], Heard, bool]:
    connection, transport, heard = SmtpConnection(step_s=60, final_s=60), Transport(), Heard()
    connection.connection_made(cast(asyncio.Transport, transport))
    connection.data_received(b"220 here\r\n")
    connection.offer = Offer({"pipelining": ""} if pipelining else {})
    waiting = [
        connection.submit(b"MAIL %d\r\n" % n, b"RCPT %d\r\n" % n, b"mail %d\r\n.\r\n" % n)
        for n in range(MAILS)
    ]
    heard.read(transport.written)
    for saying, cut in zip(said, cuts, strict=False):
        octets = saying + b"\r\n"
        for piece in (octets[: cut % len(octets)], octets[cut % len(octets) :]):
            if not transport.closed and piece:
                connection.data_received(piece)
        if saying[:3].isdigit() and len(heard.answers) < len(heard.commands):
            heard.answers.append(int(saying[:3]))
        heard.read(transport.written)
    gone = transport.closed
    connection.connection_lost(None)
    assert all(future.done() for future in waiting), "nobody waits for ever"
    return [future.result() for future in waiting], heard, gone


sayings: Any = st.lists(st.sampled_from(SAYINGS), max_size=16)
GOOD = [b"250 Ok", b"250 Ok", b"354 Go on", b"250 Ok"]


@settings(max_examples=300, deadline=None)
@given(sayings, st.lists(st.integers(0, 30), min_size=16, max_size=16), st.booleans())
@example(GOOD * MAILS, [0] * 16, True)
@example(GOOD * MAILS, [0] * 16, False)
@example([b"250 Ok", b"550 No", b"354 Go on", b"250 Ok", b"250 Ok", *GOOD], [3] * 16, True)
def test_each_answer_is_its_commands_and_every_mail_has_an_end_that_is_true(
    said: list[bytes], cuts: list[int], pipelining: bool
) -> None:
    answers, heard, _ = asyncio.run(converse(said, cuts, pipelining))
    given_to = {
        (verb, mail): heard.answers[at] if at < len(heard.answers) else 0
        for at, (verb, mail) in enumerate(heard.commands)
    }
    for mail, answer in enumerate(answers):
        sent = ("END", mail) in given_to
        if sent:
            assert [given_to["MAIL", mail] // 100, given_to["RCPT", mail] // 100, given_to["DATA", mail]] == [
                2,
                2,
                354,
            ]
        if answer.code:
            assert given_to[answer.step, mail] == answer.code
        if answer.step is Step.END:
            assert sent, "a doubt or an acceptance is only of what was sent"
        else:
            assert not sent, "and what was sent ends by the answer to its end, or in doubt"
            assert answer.code == 0 or answer.code >= 400


def test_a_conversation_as_it_should_be_accepts_them_all() -> None:
    for pipelining in (True, False):
        answers, heard, gone = asyncio.run(converse(GOOD * MAILS, [0] * 16, pipelining))
        assert [(answer.step, answer.code) for answer in answers] == [(Step.END, 250)] * MAILS
        assert not gone
        assert len(heard.commands) == len(GOOD) * MAILS
