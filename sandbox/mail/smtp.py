"""An SMTP server on asyncio streams: RFC 5321 with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN, AUTH.

It knows the dialogue and its order, and says 5xx where a client breaks it; who may send what to whom is the
`Policy`'s. Bare CR or LF and over-long lines are refused rather than mended: the client is under test.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import enum
import socket
import time
from dataclasses import dataclass, field
from typing import Final, Protocol

from sandbox.mail.commands import CommandError, MailCommand, Offer, Recipient, parse_mail, parse_rcpt
from sandbox.mail.lines import MAX_MESSAGE, Lines, TooLong

MAX_RECIPIENTS: Final = 100
MAX_LINE: Final = 998  # RFC 5321 section 4.5.3.1.6, without its CRLF


class Ending(enum.Enum):
    """Instead of a reply to the end of data."""

    CLOSE = "connection closed"
    SILENCE = "no reply"


@dataclass
class Transaction:
    helo: str
    mail: MailCommand
    recipients: list[Recipient] = field(default_factory=list)


class Policy(Protocol):
    """What one listener decides. Replies are whole SMTP reply lines without CRLF."""

    @property
    def hostname(self) -> str: ...
    @property
    def offer(self) -> Offer: ...
    @property
    def pipelining(self) -> bool: ...
    @property
    def wants_auth(self) -> bool: ...
    def greeting(self) -> str: ...
    def authenticate(self, username: str, password: str) -> bool: ...
    def rcpt(self, transaction: Transaction, recipient: Recipient) -> str: ...
    async def data(self, transaction: Transaction, content: bytes) -> str | Ending: ...
    def note(self, method: str, status: str, ms: float, problem: str | None) -> None:
        """For the wire list: refusals, ends of data, and what the client did wrong."""
        ...


class SmtpServer:
    """One listening port, which can be closed (connections are refused by the kernel) and opened again."""

    def __init__(self, policy: Policy, host: str, port: int) -> None:
        self._policy = policy
        self._address = (host, port)
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Accepts connections from now on; no change when it already does."""
        if self._server is None:
            self._let_go()
            self._server = await asyncio.start_server(self._accept, *self._address)

    async def close(self) -> None:
        """Ends every session at once. The port stays bound, unheard, so that nobody else can take it."""
        await self._stop_listening()
        if self._held is None:
            held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                held.bind(self._address)
            except OSError:
                held.close()
                raise
            self._held = held

    async def stop(self) -> None:
        """Ends every session and lets the port go."""
        await self._stop_listening()
        self._let_go()

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._end_sessions()
            await self._server.wait_closed()
            self._server = None

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    async def _end_sessions(self) -> None:
        for task in self._sessions:
            task.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Session(Lines(reader, writer), self._policy).run()
        except (ConnectionError, TimeoutError):
            return  # the client has gone or sleeps: there is nobody to tell
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()


class Session:
    """One connection: state is the greeting name, whether it signed in, and the open transaction."""

    def __init__(self, lines: Lines, policy: Policy) -> None:
        self._lines = lines
        self._policy = policy
        self._helo: str | None = None
        self._signed_in = False
        self._transaction: Transaction | None = None
        self._refused_mail = False
        """The latest MAIL was refused: what a pipelining client sent along with it cannot be taken either."""
        self._ended = False

    async def run(self) -> None:
        greeting = self._policy.greeting()
        self._lines.reply(greeting)
        self._ended = not greeting.startswith("220")
        while not self._ended:
            try:
                line = await self._lines.line()
            except TooLong:
                self._say("500 5.5.2 Command line too long", "?", "a command line over 2,048 octets")
                continue
            await self._command(line)
        await self._lines.flush()

    def _say(self, reply: str, method: str = "", problem: str | None = None) -> None:
        self._lines.reply(reply)
        self._ended = self._ended or reply.startswith("421")
        if problem is not None:
            self._policy.note(method, reply, 0.0, problem)

    def _wrong(self, reply: str, method: str) -> None:
        """A reply to a command that a correct client would not have sent."""
        self._say(reply, method, f"the client broke the protocol: {reply}")

    async def _command(self, line: bytes) -> None:
        try:
            verb, _, argument = line.decode("utf-8").partition(" ")
        except UnicodeDecodeError:
            self._wrong("500 5.5.2 The command is not UTF-8", "?")
            return
        verb = verb.upper()
        match verb:
            case "EHLO" | "HELO":
                self._hello(verb, argument.strip())
            case "MAIL":
                self._mail(argument)
            case "RCPT":
                self._rcpt(argument)
            case "DATA":
                await self._data(argument)
            case "RSET":
                self._transaction = None
                self._say("250 2.0.0 Ok")
            case "NOOP":
                self._say("250 2.0.0 Ok")
            case "VRFY":
                self._say("252 2.1.5 Send some mail, it will be tried")
            case "QUIT":
                self._say("221 2.0.0 Bye")
                self._ended = True
            case "AUTH":
                await self._auth(argument)
            case _:
                self._wrong("500 5.5.2 Command not recognised", verb[:20])

    def _hello(self, verb: str, name: str) -> None:
        if not name:
            self._wrong(f"501 5.5.4 Syntax: {verb} hostname", verb)
            return
        self._helo, self._transaction = name, None
        if verb == "HELO":
            self._say(f"250 {self._policy.hostname}")
            return
        words = ["PIPELINING"] if self._policy.pipelining else []
        words += [f"SIZE {MAX_MESSAGE}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        words += ["DSN"] if self._policy.offer.dsn else []
        words += ["AUTH PLAIN LOGIN"] if self._policy.wants_auth else []
        lines = [self._policy.hostname, *words]
        self._lines.reply(*(f"250-{word}" for word in lines[:-1]), f"250 {lines[-1]}")

    def _mail(self, argument: str) -> None:
        if self._helo is None:
            self._wrong("503 5.5.1 Send EHLO first", "MAIL")
            return
        if self._transaction is not None:
            self._wrong("503 5.5.1 Nested MAIL command", "MAIL")
            return
        self._refused_mail = True
        if self._policy.wants_auth and not self._signed_in:
            self._say("530 5.7.0 Authentication required")
            self._policy.note("MAIL", "530 5.7.0", 0.0, None)
        else:
            try:
                command = parse_mail(argument, self._policy.offer)
            except CommandError as error:
                self._wrong(error.reply, "MAIL")
                return
            if command.size is not None and command.size > MAX_MESSAGE:
                self._say("552 5.3.4 Message size exceeds the limit")
                self._policy.note("MAIL", "552 5.3.4", 0.0, None)
                return
            self._transaction = Transaction(self._helo, command)
            self._refused_mail = False
            self._say("250 2.1.0 Ok")

    def _no_mail(self, method: str) -> None:
        reply = "503 5.5.1 Need MAIL command"
        if self._refused_mail and self._policy.pipelining:
            # RFC 2920 section 3.1: it was sent before the answer to MAIL could be known.
            self._say(reply)
        else:
            self._wrong(reply, method)

    def _rcpt(self, argument: str) -> None:
        if self._transaction is None:
            self._no_mail("RCPT")
            return
        if len(self._transaction.recipients) >= MAX_RECIPIENTS:
            self._say("452 4.5.3 Too many recipients")
            return
        try:
            recipient = parse_rcpt(argument, self._policy.offer, smtputf8=self._transaction.mail.smtputf8)
        except CommandError as error:
            self._wrong(error.reply, "RCPT")
            return
        reply = self._policy.rcpt(self._transaction, recipient)
        if reply.startswith("2"):
            self._transaction.recipients.append(recipient)
        else:
            self._policy.note(f"RCPT {recipient.address}", reply, 0.0, None)
        self._say(reply)

    async def _data(self, argument: str) -> None:
        transaction = self._transaction
        if argument.strip():
            self._wrong("501 5.5.4 Syntax: DATA", "DATA")
        elif transaction is None:
            self._no_mail("DATA")
        elif not transaction.recipients:
            # RFC 2920 section 3.1: a pipelining client may find itself here without having erred.
            self._say("554 5.5.1 No valid recipients")
        else:
            if self._lines.waiting:
                self._policy.note("DATA", "354", 0.0, "more was sent after DATA without waiting for the 354")
            self._lines.reply("354 End data with <CR><LF>.<CR><LF>")
            await self._content(transaction)

    async def _content(self, transaction: Transaction) -> None:
        self._transaction = None
        try:
            content = await self._lines.body()
        except TooLong:
            self._say("552 5.3.4 Message size exceeds the limit")
            self._policy.note("DATA", "552 5.3.4", 0.0, None)
            return
        fault = _content_fault(content)
        if fault is not None:
            self._wrong(f"550 5.6.0 {fault}", "DATA")
            return
        if not content.isascii() and not transaction.mail.eight_bit and not transaction.mail.smtputf8:
            self._policy.note("DATA", "250", 0.0, "8-bit content without BODY=8BITMIME")
        started = time.perf_counter()
        reply = await self._policy.data(transaction, content)
        ms = (time.perf_counter() - started) * 1000
        status = reply if isinstance(reply, str) else reply.value
        self._policy.note(f"DATA {_names(transaction)}", status, ms, None)
        if isinstance(reply, str):
            self._say(reply)
        elif reply is Ending.SILENCE:
            await self._lines.drain_for_ever()
        else:
            self._ended = True

    async def _auth(self, argument: str) -> None:
        if not self._policy.wants_auth or self._helo is None:
            self._wrong("503 5.5.1 AUTH is not offered", "AUTH")
            return
        if self._signed_in or self._transaction is not None:
            self._wrong("503 5.5.1 AUTH is not possible now", "AUTH")
            return
        mechanism, _, initial = argument.strip().partition(" ")
        try:
            match mechanism.upper():
                case "PLAIN":
                    _, username, password = (await self._secret(initial, "")).split("\0")
                case "LOGIN":
                    username = await self._secret(initial, "VXNlcm5hbWU6")
                    password = await self._secret("", "UGFzc3dvcmQ6")
                case _:
                    self._wrong("504 5.5.4 Mechanism not offered", "AUTH")
                    return
        except (ValueError, binascii.Error, TooLong):
            self._wrong("501 5.5.2 Cannot decode the credentials", "AUTH")
            return
        self._signed_in = self._policy.authenticate(username, password)
        reply = (
            "235 2.7.0 Authenticated" if self._signed_in else "535 5.7.8 Authentication credentials invalid"
        )
        self._policy.note("AUTH", reply, 0.0, None)
        self._say(reply)

    async def _secret(self, initial: str, prompt: str) -> str:
        if not initial:
            self._lines.reply(f"334 {prompt}")
            initial = (await self._lines.line()).decode("ascii")
        return base64.b64decode("" if initial == "=" else initial, validate=True).decode("utf-8")


def _content_fault(content: bytes) -> str | None:
    ends = content.count(b"\r\n")
    if content.count(b"\n") != ends or content.count(b"\r") != ends:
        # RFC 5321 section 2.3.8: CR and LF only together; a bare one is how messages are smuggled in.
        return "Bare CR or LF in the message"
    if len(max(content.split(b"\r\n"), key=len)) > MAX_LINE:
        return f"A line is over {MAX_LINE} octets"
    if b"\0" in content:
        return "NUL in the message"
    return None


def _names(transaction: Transaction) -> str:
    first, *others = transaction.recipients
    return first.address if not others else f"{first.address} and {len(others)} more"
