"""The other end of one SMTP connection after another, octet by octet: a test hears and says what it wants."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

OFFER = b"250-here.example\r\n250-PIPELINING\r\n250-DSN\r\n250 8BITMIME\r\n"
OK3 = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 Go on\r\n"


class Line:
    """One connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def hear(self, end: bytes = b"\r\n") -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readuntil(end)

    async def gone(self) -> bytes:
        """What is said until the client hangs up."""
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
            return b""

    def say(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def hang_up(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def greet(self, offer: bytes = OFFER) -> None:
        self.say(b"220 here.example ESMTP\r\n")
        assert (await self.hear()).startswith(b"EHLO ")
        self.say(offer)

    async def data(self) -> bytes:
        """MAIL, RCPT and DATA of one mail."""
        return await self.hear(b"DATA\r\n")

    async def body(self) -> bytes:
        return await self.hear(b"\r\n.\r\n")


class Wire:
    def __init__(self) -> None:
        self.port = 0
        self._lines: asyncio.Queue[Line] = asyncio.Queue()
        self.all: list[Line] = []

    async def line(self) -> Line:
        """The next connection that was opened."""
        async with asyncio.timeout(5):
            return await self._lines.get()

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.all.append(Line(reader, writer))
            self._lines.put_nowait(self.all[-1])

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for line in self.all:
                line.writer.close()
            await server.wait_closed()


def certificate(folder: Path, address: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate of this address: its file, to trust it, and the server's side of TLS."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "t")]),
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "cert.pem", folder / "key.pem"
    trusted.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, private)
    return trusted, context
