"""From a host's name to a connection that mails can go over: TCP, greeting, EHLO, TLS, login.

STARTTLS (RFC 3207) and implicit TLS (RFC 8314) check the certificate against the host's name and never fall
back: a server without the TLS that was asked for gets neither a password nor a mail.
"""

from __future__ import annotations

import asyncio
import binascii
import ssl
from dataclasses import dataclass, field
from typing import Literal

from notifier.smtp.connection import SmtpConnection, SmtpLost
from notifier.smtp.wire import CLOSING, GO_ON_LOGIN, LOGGED_IN, READY, Offer, Reply, login_steps


class SmtpRefused(Exception):
    """The server said no before any mail was begun."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text


class LoginRefused(SmtpRefused):
    """It does not know our name or password."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect and how. Times in seconds: `step_s` for each answer, `final_s` for the one to the end
    of data."""

    host: str
    port: int
    helo: str
    tls: Literal["off", "starttls", "implicit"] = "off"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    step_s: float = 30.0
    final_s: float = 600.0


async def open_connection(server: Server, context: ssl.SSLContext | None = None) -> SmtpConnection:
    """SmtpRefused or SmtpLost when it is not to be had; then nothing is left open. `context` instead of one
    that trusts what the system trusts."""
    if server.tls != "off" and context is None:
        context = await asyncio.to_thread(ssl.create_default_context)  # reads some 150 certificates
    try:
        async with asyncio.timeout(server.step_s):
            connection = await _connected(server, context if server.tls == "implicit" else None)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise SmtpLost(_why(error)) from error
    try:
        await _prepared(connection, server, context)
    except BaseException:
        connection.fail("the connection was given up")
        raise
    return connection


async def _connected(server: Server, context: ssl.SSLContext | None) -> SmtpConnection:
    connection = SmtpConnection(step_s=server.step_s, final_s=server.final_s)
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            server.host,
            server.port,
            ssl=context,
            ssl_handshake_timeout=server.step_s if context else None,
        )
    except BaseException:
        connection.fail("it was never reached")
        raise
    return connection


async def _prepared(connection: SmtpConnection, server: Server, context: ssl.SSLContext | None) -> None:
    greeting = await connection.greeting
    if greeting.code != READY:
        raise SmtpRefused(greeting.code, greeting.text)
    await _greet(connection, server.helo)
    if server.tls == "starttls":
        assert context is not None  # noqa: S101  # made above
        await _start_tls(connection, server, context)
        # RFC 3207 section 4.2: what was offered before TLS counts for nothing.
        await _greet(connection, server.helo)
    if server.username is not None:
        await _log_in(connection, server.username, server.password or "")


async def _greet(connection: SmtpConnection, helo: str) -> None:
    """EHLO, and HELO for a server that does not know it (RFC 5321 section 3.2)."""
    connection.offer = Offer()
    reply = await connection.ask(f"EHLO {helo}")
    if reply.code == 250:
        connection.offer = Offer.of(reply.text)
        return
    if reply.code != CLOSING:
        reply = await connection.ask(f"HELO {helo}")
    if reply.code != 250:
        raise SmtpRefused(reply.code, reply.text)


async def _start_tls(connection: SmtpConnection, server: Server, context: ssl.SSLContext) -> None:
    if "starttls" not in connection.offer:
        raise SmtpLost("it offers no STARTTLS")
    reply = await connection.ask("STARTTLS")
    if reply.code != READY:
        raise SmtpRefused(reply.code, reply.text)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(server.step_s):
            await connection.upgrade(
                lambda transport: loop.start_tls(
                    transport,
                    connection,
                    context,
                    server_hostname=server.host,
                    ssl_handshake_timeout=server.step_s,
                )
            )
    except (OSError, TimeoutError) as error:
        raise SmtpLost(_why(error)) from error
    if not connection.usable:
        raise SmtpLost("the connection was lost during TLS")


async def _log_in(connection: SmtpConnection, username: str, password: str) -> None:
    """By the first method that it takes; some servers offer what they do not do (RFC 4954)."""
    methods = connection.offer.logins
    if not methods:
        raise SmtpLost("it offers no login that we know")
    refused: Reply | None = None
    for method in methods:
        refused = await _tried(connection, method, username, password)
        if refused is None:
            return
    assert refused is not None  # noqa: S101  # there was a method
    raise LoginRefused(refused.code, refused.text)


async def _tried(connection: SmtpConnection, method: str, username: str, password: str) -> Reply | None:
    steps = login_steps(method, username, password)
    said = next(steps)
    while True:
        reply = await connection.ask(said)
        if reply.code == LOGGED_IN:
            return None
        if reply.code != GO_ON_LOGIN:
            return reply
        try:
            said = steps.send(reply.text)
        except (StopIteration, binascii.Error, ValueError):
            # RFC 4954 section 4: a lone asterisk takes the attempt back.
            await connection.ask("*")
            return Reply(GO_ON_LOGIN, f"it asks {method.upper()} for what that does not know")


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "it did not answer in time"
    return str(error) or type(error).__name__
