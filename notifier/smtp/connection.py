"""One SMTP connection that mails go over: a state machine on asyncio's protocol, without a task of its own.

With PIPELINING (RFC 2920) MAIL, RCPT and DATA leave in one write, and a mail's octets leave together with the
next mail's commands when that is there already: one round trip a mail. Without it, step by step. Each reply
belongs to the oldest command without one; a server that says more than it was asked loses the connection,
since from then on nobody knows which answer is whose.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from notifier.smtp.wire import CLOSING, START_DATA, BadReply, Offer, Reply, ReplyReader, command, shown


class SmtpLost(Exception):
    """Nobody there, not any more, or none who speaks SMTP; a sentence."""


class Step(StrEnum):
    """What an answer was given to."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = "END"
    """The end of data: before it nothing was sent, after it the mail may be there."""


_COMMAND, _RESET, _VOID = "command", "reset", "void"
_DATA = b"DATA\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What decided a mail. `code` is 0 where no answer came; `text` says what happened then."""

    step: Step
    code: int
    text: str


class _Mail:
    __slots__ = ("answer", "data", "mail", "rcpt", "waiter")

    def __init__(self, mail: bytes, rcpt: bytes, data: bytes, waiter: asyncio.Future[Answer]) -> None:
        self.mail, self.rcpt, self.data, self.waiter = mail, rcpt, data, waiter
        self.answer: Answer | None = None


class SmtpConnection(asyncio.Protocol):
    """`offer` is set by the one who greets (notifier.smtp.opening). Times are in seconds."""

    def __init__(self, *, step_s: float, final_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._step_s, self._final_s = step_s, final_s
        self._offer, self._pipelining = Offer(), False
        self._reader = ReplyReader()
        self._transport: asyncio.Transport | None = None
        self._expected: deque[tuple[str, Any]] = deque()
        """What each answer to come belongs to: (a step, its mail), or (_COMMAND, who waits for it)."""
        self._out: list[bytes] = []
        self._waiting: deque[_Mail] = deque()
        self._open: _Mail | None = None
        """The mail whose DATA has no answer yet: RFC 2920 section 3.1, nothing may follow DATA until then."""
        self._reset_first = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._gone = False
        self._why = "the connection is not open"
        self.started = 0
        """So many mails were begun on it."""
        self.greeting: asyncio.Future[Reply] = self._loop.create_future()
        self._expected.append((_COMMAND, self.greeting))

    # What a caller may ask for

    @property
    def offer(self) -> Offer:
        return self._offer

    @offer.setter
    def offer(self, offer: Offer) -> None:
        self._offer, self._pipelining = offer, "pipelining" in offer

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and not self._gone

    async def ask(self, line: str) -> Reply:
        """One command of the time before mails, and its answer; SmtpLost when none comes."""
        if not self.usable:
            raise SmtpLost(self._why)
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self._say(command(line), _COMMAND, waiter)
        self._flush()
        return await waiter

    def submit(self, mail: bytes, rcpt: bytes, data: bytes) -> asyncio.Future[Answer]:
        """Begins a mail, or lets it follow those on their way; octets as notifier.smtp.wire makes them.
        Who does not want it any more cancels the future: what is not sent yet is not sent then."""
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        item = _Mail(mail, rcpt, data, waiter)
        self.started += 1
        if not self.usable:
            self._settle(item, Step.MAIL, 0, self._why)
            return waiter
        self._waiting.append(item)
        self._advance()
        self._flush()
        return waiter

    async def upgrade(self, start: Callable[[asyncio.Transport], Any]) -> None:
        """Goes on over TLS: `start` makes the new transport of the old one."""
        if self._transport is None or not self.usable:
            raise SmtpLost(self._why)
        if not self._reader.empty:
            # RFC 3207 section 4.2: what stands here came from whoever sits in between.
            raise SmtpLost("it spoke before TLS had begun")
        self._transport = cast(asyncio.Transport, await start(self._transport))

    async def quit(self, patience_s: float) -> None:
        """Says goodbye where nothing is on its way, and is gone in any case."""
        if self.usable and not self._expected:
            try:
                async with asyncio.timeout(patience_s):
                    await self.ask("QUIT")
            except (SmtpLost, TimeoutError):
                pass  # a courtesy that was not answered
        self.fail("the connection was closed")

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail("the connection was lost" if exc is None else f"the connection was lost: {exc}")

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while not self._gone and (reply := self._reader.next()) is not None:
                self._take(*reply)
        except BadReply as error:
            self.fail(str(error))
        self._flush()

    def fail(self, why: str) -> None:
        """The connection is of no use any more. Whoever waits is told, by how far each mail has come."""
        if self._gone:
            return
        self._gone, self._why = True, why
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._out.clear()
        for kind, target in self._expected:
            if kind == _COMMAND:
                if not target.done():
                    target.set_exception(SmtpLost(why))
                    target.exception()  # the one who waited may have gone
            elif target is not None:
                self._settle(target, Step.MAIL if kind == _RESET else Step(kind), 0, why)
        for item in self._waiting:
            self._settle(item, Step.MAIL, 0, why)
        self._expected.clear()
        self._waiting.clear()

    # What is said and heard

    def _say(self, octets: bytes, kind: str, target: Any) -> None:
        self._out.append(octets)
        self._expected.append((kind, target))
        if len(self._expected) == 1:
            self._watch()

    def _flush(self) -> None:
        if self._out and self._transport is not None:
            self._transport.write(b"".join(self._out) if len(self._out) > 1 else self._out[0])
            self._out.clear()

    def _advance(self) -> None:
        """Begins the next mail as soon as the last one lets it."""
        while self._open is None and self._waiting:
            item = self._waiting.popleft()
            if item.waiter.cancelled():
                continue
            self._open = item
            if self._reset_first:
                # RFC 5321 section 4.1.4: after a refusal the next MAIL could find the last one's still open.
                self._reset_first = False
                self._say(b"RSET\r\n", _RESET, item)
                if not self._pipelining:
                    return
            self._say(item.mail, Step.MAIL, item)
            if self._pipelining:
                self._out += (item.rcpt, _DATA)
                self._expected += ((Step.RCPT, item), (Step.DATA, item))

    def _take(self, code: int, text: bytes) -> None:
        if not self._expected:
            raise BadReply(f"it spoke unasked: {code} {shown(text)}")
        kind, target = self._expected.popleft()
        if self._expected:
            self._watch()
        try:
            self._answered(kind, target, code, text)
        except BadReply:
            self._expected.appendleft((kind, target))  # it has no answer yet
            raise
        if code == CLOSING and not self._gone:
            # RFC 5321 section 3.8: it may say so to anything, and closes then.
            self.fail(f"{code} {shown(text)}")

    def _answered(self, kind: str, target: Any, code: int, text: bytes) -> None:
        if kind == _COMMAND:
            if not target.done():
                target.set_result(Reply(code, shown(text)))
        elif kind == Step.END:
            self._ended(target, code, text)
        elif kind == Step.DATA:
            self._data_answered(target, code, text)
        elif kind == _RESET:
            if not self._pipelining:
                self._say(target.mail, Step.MAIL, target)
        elif kind != _VOID:
            self._envelope_answered(kind, target, code, text)

    def _envelope_answered(self, kind: str, item: _Mail, code: int, text: bytes) -> None:
        if 300 <= code < 400:
            raise BadReply(f"it answers {kind} with {code}")
        if code >= 400 and item.answer is None:
            self._settle(item, Step(kind), code, shown(text))
            self._reset_first = True
        if self._pipelining:
            return
        if item.answer is not None:
            self._open = None
            self._advance()
        elif kind == Step.MAIL:
            self._say(item.rcpt, Step.RCPT, item)
        else:
            self._say(_DATA, Step.DATA, item)

    def _data_answered(self, item: _Mail, code: int, text: bytes) -> None:
        if code == START_DATA:
            if not self._reader.empty:
                raise BadReply("it spoke before the mail was there")
            self._send_data(item)
        elif code < 400:
            raise BadReply(f"it answers DATA with {code}")
        else:
            self._reset_first = True
            if item.answer is None:
                self._settle(item, Step.DATA, code, shown(text))
        if self._pipelining or code != START_DATA:
            self._open = None
            self._advance()

    def _send_data(self, item: _Mail) -> None:
        if item.answer is not None:
            # RFC 2920 section 3.1: it takes data for nobody. A lone dot, and what it says to that is no
            # acceptance of anything.
            self._say(b".\r\n", _VOID, None)
        elif item.waiter.cancelled():
            # An end of data would make a mail of nothing; without one there is none (RFC 5321, 4.1.1.4).
            raise BadReply("nobody waits for this mail any more")
        else:
            self._say(item.data, Step.END, item)
            item.data = b""

    def _ended(self, item: _Mail, code: int, text: bytes) -> None:
        if 300 <= code < 400:
            raise BadReply(f"it answers the end of data with {code}")
        self._settle(item, Step.END, code, shown(text))
        if code >= 400:
            self._reset_first = True
        if not self._pipelining:
            self._open = None
            self._advance()

    @staticmethod
    def _settle(item: _Mail, step: Step, code: int, text: str) -> None:
        if item.answer is None:
            item.answer = Answer(step, code, text)
            if not item.waiter.done():
                item.waiter.set_result(item.answer)

    # How long it may take

    def _watch(self) -> None:
        """The oldest question's time begins now. One timer serves them all: it looks again when it rings."""
        final = bool(self._expected) and self._expected[0][0] == Step.END
        self._deadline = self._loop.time() + (self._final_s if final else self._step_s)
        if self._timer is None:
            self._timer = self._loop.call_later(min(self._step_s, self._final_s), self._ring)

    def _ring(self) -> None:
        self._timer = None
        if not self._expected or self._gone:
            return
        left = self._deadline - self._loop.time()
        if left <= 0:
            self.fail("it did not answer in time")
        else:
            self._timer = self._loop.call_later(min(left, self._step_s, self._final_s), self._ring)
