"""A real Dovecot of one's own: one mailbox, IMAP with and without TLS; nothing of the system's configuration.

Needs the package and root: its processes change to users of their own, and it lets root read no mail.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.desk import free_port

BINARY = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
USER, PASSWORD = "bounces@mail.cascade.example", "mailbox-of-tests"
needs_dovecot = pytest.mark.skipif(
    BINARY is None or os.geteuid() != 0, reason="needs Dovecot (apt-get install dovecot-imapd) and root"
)
START_S = 10.0

_CONFIG = """\
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap
listen = 127.0.0.1
mail_location = maildir:{home}/mail
ssl = yes
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = no
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}
}}
"""


@dataclass
class Dovecot:
    home: Path
    imap: int
    imaps: int
    owner: tuple[int, int]

    @property
    def trusted(self) -> ssl.SSLContext:
        """Its certificate is its own."""
        return ssl.create_default_context(cafile=str(self.home / "cert.pem"))

    def receives(self, raw: bytes) -> None:
        """As the mailbox's own server delivers: into new/, whole (maildir(5))."""
        file = self.home / "mail" / "tmp" / f"{uuid4().hex}.test"
        file.write_bytes(raw)
        os.chown(file, *self.owner)
        file.rename(self.home / "mail" / "new" / file.name)

    def holds(self, folder: str = "") -> list[bytes]:
        """Messages of INBOX, or of another folder (Maildir++)."""
        at = self.home / "mail" / (f".{folder}" if folder else "")
        return sorted(f.read_bytes() for part in ("cur", "new") for f in (at / part).glob("*"))


@asynccontextmanager
async def dovecot() -> AsyncIterator[Dovecot]:
    """Beside pytest's own directories, which only root may enter."""
    assert BINARY is not None
    home = Path(tempfile.mkdtemp(prefix="ispbot-dovecot-"))
    home.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    for part in ("run", "state", "mail/cur", "mail/new", "mail/tmp"):
        (home / part).mkdir(parents=True)
    for path in (home / "mail", *(home / "mail").iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    _certificate(home)
    server = Dovecot(home, free_port(), free_port(), (nobody.pw_uid, nobody.pw_gid))
    config = home / "dovecot.conf"
    config.write_text(
        _CONFIG.format(
            home=home,
            imap=server.imap,
            imaps=server.imaps,
            password=PASSWORD,
            uid=nobody.pw_uid,
            gid=nobody.pw_gid,
        ),
        "utf-8",
    )
    process = await asyncio.create_subprocess_exec(BINARY, "-F", "-c", str(config))
    try:
        await _greets(server, process)
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        shutil.rmtree(home, ignore_errors=True)


async def _greets(server: Dovecot, process: asyncio.subprocess.Process) -> None:
    """It says nothing when it is ready: its port is knocked at until it greets."""
    deadline = asyncio.get_running_loop().time() + START_S
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.imap)
        except OSError:
            log = (server.home / "log").read_text("utf-8") if (server.home / "log").exists() else ""
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"Dovecot did not start: {log}") from None
            await asyncio.sleep(0.05)
            continue
        greeting = await reader.readline()
        writer.close()
        assert greeting.startswith(b"* OK"), greeting
        return


def _certificate(home: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (home / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (home / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
