"""From connecting to the first mail: TLS that is checked and never given up, and logins by each method."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import uvloop

from notifier.smtp import LoginRefused, Server, SmtpConnection, SmtpLost, SmtpRefused, open_connection
from tests.contracts.smtp_wire import Line, Wire, certificate


def server(wire: Wire, **more: Any) -> Server:
    fields: dict[str, Any] = {"host": "127.0.0.1", "port": wire.port, "helo": "us.example", "step_s": 5.0}
    return Server(**(fields | more))


def trusting(file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(file))


async def to_starttls(line: Line, offer: bytes = b"250-here.example\r\n250 STARTTLS\r\n") -> None:
    await line.greet(offer)
    assert await line.hear() == b"STARTTLS\r\n"


async def over_starttls(folder: Path) -> tuple[SmtpConnection, bytes]:
    """A connection that was upgraded, and what the server heard inside TLS."""
    file, context = certificate(folder)
    wire = Wire()
    async with wire.listening():
        task = asyncio.create_task(
            open_connection(server(wire, tls="starttls", username="dana", password="pw"), trusting(file))
        )
        line = await wire.line()
        await to_starttls(line, b"250-here.example\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
        line.say(b"220 Go on\r\n")
        await line.writer.drain()
        await line.writer.start_tls(context)
        heard = await line.hear()
        line.say(b"250-here.example\r\n250-AUTH LOGIN\r\n250 PIPELINING\r\n")
        heard += await line.hear()
        line.say(b"334 UGFzc3dvcmQ6\r\n")
        heard += await line.hear()
        line.say(b"235 2.7.0 Welcome\r\n")
        connection = await task
        assert connection.usable
        connection.fail("the test is over")
        return connection, heard


async def test_starttls_asks_again_inside_and_only_then_logs_in(tmp_path: Path) -> None:
    connection, heard = await over_starttls(tmp_path)
    login, password = b64encode(b"dana"), b64encode(b"pw")
    assert heard == b"EHLO us.example\r\nAUTH LOGIN " + login + b"\r\n" + password + b"\r\n"
    assert "pipelining" in connection.offer
    assert "starttls" not in connection.offer, (
        "RFC 3207 section 4.2: what was offered before counts for nothing"
    )


def test_starttls_works_on_uvloop_as_well(tmp_path: Path) -> None:
    async def with_the_servers_side_of_asyncio() -> None:
        file, context = certificate(tmp_path)
        wire = Wire()
        async with wire.listening(context):
            task = asyncio.create_task(open_connection(server(wire, tls="implicit"), trusting(file)))
            line = await wire.line()
            await line.greet(b"250 here.example\r\n")
            connection = await task
            await asyncio.gather(connection.quit(5.0), _bye(line))

    uvloop.run(with_the_servers_side_of_asyncio())
    _, heard = uvloop.run(over_starttls(tmp_path))
    assert heard.startswith(b"EHLO us.example\r\nAUTH LOGIN ")


async def _bye(line: Line) -> None:
    assert await line.hear() == b"QUIT\r\n"
    line.say(b"221 2.0.0 Bye\r\n")


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("fault", ["a stranger's", "another host's"])
async def test_a_certificate_that_is_not_the_hosts_ends_it_before_any_password(
    tmp_path: Path, tls: str, fault: str
) -> None:
    file, context = certificate(tmp_path, "127.0.0.1" if fault == "a stranger's" else "127.0.0.9")
    trust = ssl.create_default_context() if fault == "a stranger's" else trusting(file)
    wire = Wire()
    async with wire.listening(context if tls == "implicit" else None):
        task = asyncio.create_task(
            open_connection(server(wire, tls=tls, username="dana", password="pw"), trust)
        )
        if tls == "starttls":
            line = await wire.line()
            await to_starttls(line)
            line.say(b"220 Go on\r\n")
            await line.writer.drain()
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                await line.writer.start_tls(context)
        with pytest.raises(SmtpLost, match="certificate"):
            await task


async def test_what_is_slipped_in_before_tls_is_not_read_as_said_inside(tmp_path: Path) -> None:
    file, _ = certificate(tmp_path)
    wire = Wire()
    async with wire.listening():
        task = asyncio.create_task(open_connection(server(wire, tls="starttls"), trusting(file)))
        line = await wire.line()
        await to_starttls(line)
        line.say(b"220 Go on\r\n250 forged.example\r\n")
        with pytest.raises(SmtpLost, match="spoke"):
            await task
        assert await line.gone() == b""


async def test_a_server_that_refuses_or_offers_no_tls_is_left() -> None:
    wire = Wire()
    async with wire.listening():
        for offer, answer, error in (
            (b"250-here.example\r\n250 STARTTLS\r\n", b"454 4.7.0 Not now\r\n", SmtpRefused),
            (b"250 here.example\r\n", b"", SmtpLost),
        ):
            task = asyncio.create_task(open_connection(server(wire, tls="starttls", username="dana")))
            line = await wire.line()
            await line.greet(offer)
            if answer:
                assert await line.hear() == b"STARTTLS\r\n"
                line.say(answer)
            with pytest.raises(error):
                await task
            assert await line.gone() == b""


async def logged_in(wire: Wire, offer: bytes, *dialogue: tuple[bytes, bytes]) -> SmtpConnection:
    """`dialogue`: what has to be heard, and what is said to it."""
    task = asyncio.create_task(open_connection(server(wire, username="dana", password="päss")))
    line = await wire.line()
    await line.greet(b"250-here.example\r\n" + offer + b"\r\n")
    for wanted, answer in dialogue:
        assert (await line.hear()).rstrip() == wanted
        line.say(answer + b"\r\n")
    return await task


CHALLENGE = b"<1896.697170952@here.example>"
CRAM = b64encode(b"dana " + hmac.new("päss".encode(), CHALLENGE, "md5").hexdigest().encode())
PLAIN = b"AUTH PLAIN " + b64encode("\0dana\0päss".encode())
LOGIN = b"AUTH LOGIN " + b64encode(b"dana")
PASSWORD = b64encode("päss".encode())


@pytest.mark.parametrize(
    ("offer", "dialogue"),
    [
        (b"250 AUTH LOGIN PLAIN", [(PLAIN, b"235 2.7.0 Welcome")]),
        (b"250 AUTH=LOGIN", [(LOGIN, b"334 UGFzc3dvcmQ6"), (PASSWORD, b"235 Welcome")]),
        (
            b"250 AUTH PLAIN CRAM-MD5",
            [(b"AUTH CRAM-MD5", b"334 " + b64encode(CHALLENGE)), (CRAM, b"235 Welcome")],
        ),
        (
            b"250 AUTH CRAM-MD5 PLAIN LOGIN",
            [
                (b"AUTH CRAM-MD5", b"334 not base64!"),
                (b"*", b"501 5.7.0 Taken back"),
                (PLAIN, b"535 5.7.8 No"),
                (LOGIN, b"334 UGFzc3dvcmQ6"),
                (PASSWORD, b"235 2.7.0 Welcome"),
            ],
        ),
    ],
    ids=["plain", "login, the old way", "cram-md5", "one after another"],
)
async def test_each_method_that_is_offered_logs_in(offer: bytes, dialogue: list[tuple[bytes, bytes]]) -> None:
    wire = Wire()
    async with wire.listening():
        connection = await logged_in(wire, offer, *dialogue)
        assert connection.usable
        connection.fail("the test is over")


@pytest.mark.parametrize(
    ("offer", "dialogue", "error"),
    [
        (b"250 AUTH PLAIN", [(PLAIN, b"535 5.7.8 No")], LoginRefused),
        (b"250 AUTH GSSAPI", [], SmtpLost),
        (b"250 DSN", [], SmtpLost),
    ],
    ids=["wrong password", "unknown method", "no login"],
)
async def test_without_a_login_there_is_no_connection(
    offer: bytes, dialogue: list[tuple[bytes, bytes]], error: type[Exception]
) -> None:
    wire = Wire()
    async with wire.listening():
        with pytest.raises(error) as caught:
            await logged_in(wire, offer, *dialogue)
        assert "päss" not in str(caught.value)
        assert await wire.all[0].gone() == b""


async def test_a_host_that_is_not_there_is_lost_and_leaves_nothing_behind() -> None:
    wire = Wire()
    async with wire.listening():
        closed = server(wire)
    for gone in (closed, server(wire, host="x" * 70 + ".example"), server(wire, host="")):
        with pytest.raises(SmtpLost):
            await open_connection(gone)


async def test_a_greeting_that_never_comes_is_waited_for_only_so_long() -> None:
    wire = Wire()
    async with wire.listening():
        with pytest.raises(SmtpLost, match="in time"):
            await open_connection(server(wire, step_s=0.1))
