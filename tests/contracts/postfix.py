"""A real Postfix of the tests' own: private configuration, queue and port on loopback.

Needs the package and root (or sudo that does not ask): its processes change to users of their own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LIFETIME_S = 4
"""How long it tries before it gives a mail up; it warns after one second."""

_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/log
maillog_file_prefixes = {home}
default_database_type = texthash
myhostname = relay.postfix.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
transport_maps = texthash:{home}/etc/transport
smtp_connect_timeout = 5s
maximal_queue_lifetime = {lifetime}s
bounce_queue_lifetime = {lifetime}s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
transport_retry_time = 1s
delay_warning_time = 1s
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Postfix:
    port: int
    home: Path

    def log(self) -> str:
        return _root("cat", str(self.home / "log")).stdout


def missing() -> str:
    """Why there can be none here; empty when there can."""
    if shutil.which("postfix", path=_PATH) is None:
        return "no postfix here: apt-get install --no-install-recommends postfix"
    if os.geteuid() and subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode:
        return "postfix starts as root only, and sudo asks for a password"
    return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(home: Path, transports: Mapping[str, str]) -> Iterator[Postfix]:
    """`transports`: domain -> where its mail goes (transport(5)); the rest goes where DNS says."""
    port = free_port()
    for name in ("etc", "queue", "data"):
        (home / name).mkdir(parents=True)
    (home / "etc/main.cf").write_text(_MAIN.format(home=home, lifetime=LIFETIME_S))
    (home / "etc/master.cf").write_text(_MASTER.format(port=port))
    (home / "etc/transport").write_text("".join(f"{d} {way}\n" for d, way in transports.items()))
    home.chmod(0o755)  # its processes have to get there
    _root("chown", "-R", "root:root", str(home / "etc"), str(home / "queue"))
    _root("chown", "postfix", str(home / "data"))
    _root("postfix", "-c", str(home / "etc"), "start")
    try:
        yield Postfix(port, home)
    finally:
        _root("postfix", "-c", str(home / "etc"), "abort")  # nothing of it is wanted; a stop takes seconds
        _root("rm", "-rf", str(home))


def _root(*command: str) -> subprocess.CompletedProcess[str]:
    sudo = ["sudo", "-n"] if os.geteuid() else []
    done = subprocess.run(
        [*sudo, "env", f"PATH={_PATH}", *command], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr or done.stdout}"
    return done


async def answers(port: int) -> None:
    """Returns once it greets."""
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            greeting = await reader.readline()
            writer.close()
            assert greeting.startswith(b"220"), greeting
            return
        except ConnectionError:
            assert asyncio.get_running_loop().time() < deadline, "postfix does not answer"
            await asyncio.sleep(0.05)
