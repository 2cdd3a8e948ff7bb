"""Starts the product's own commands as processes that can be told at which commit to die, quickly.

Everything is imported once; each child is a fork that then runs `ispbot run`, `bot` or `worker` as it is. The
only thing added to it stands around the driver's COMMIT: right before or right after the N-th one that
writes, it kills -9 itself or the database's server. Reads one JSON order a line, tells one JSON line for each
start, each kill and each end.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import await_only

from bot import cli, wiring

When = Literal["before", "after"]
WHENS: tuple[When, ...] = ("before", "after")
_TOLD = 3
"""The file descriptor on which lines are told; a child has its own output in a log file."""


@dataclass(frozen=True, slots=True)
class Order:
    """One process to be started. `commit` 0: it lives until somebody else ends it."""

    words: Sequence[str]
    """Of the command line, such as ["worker", "--config", ...]."""
    log: str
    commit: int = 0
    when: When = "before"
    postmaster: int = 0
    """Kill this server and all of its children in the place of oneself."""

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def tell(**facts: Any) -> None:
    os.write(_TOLD, json.dumps(facts).encode() + b"\n")


def kill_server(postmaster: int) -> None:
    """As a machine that loses its power: the server and whoever works for it, without a word."""
    home = Path(f"/proc/{postmaster}/cwd").readlink()
    os.kill(postmaster, signal.SIGSTOP)  # or it would start what is killed again
    for _ in range(2):  # one that it was just starting
        for pid in working_in(home) - {postmaster}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    os.kill(postmaster, signal.SIGKILL)


def working_in(home: Path) -> set[int]:
    """The living processes of a server, told by its data's directory, which they all work in."""
    found = set[int]()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink() == home:
                found.add(int(entry.name))
    return found


def _wrote(connection: Any, before: dict[int, int]) -> bool:
    """Whether this transaction has changed anything: a commit of nothing is no commit point."""
    driver = connection.driver_connection
    if hasattr(driver, "total_changes"):
        changes = driver.total_changes
        known = before.get(id(driver), 0)
        before[id(driver)] = changes
        return bool(changes != known)
    if not driver.is_in_transaction():
        return False
    return bool(await_only(driver.fetchval("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")))


def die_at(commit: int, when: When, die: Callable[[], None]) -> None:
    """Once in this process, around the driver's COMMIT of every engine."""
    seen, known = 0, dict[int, int]()
    original = DefaultDialect.do_commit

    def do_commit(self: DefaultDialect, connection: Any) -> None:
        nonlocal seen
        here = False
        if _wrote(connection, known):
            seen += 1
            here = seen == commit
        if here and when == "before":
            die()
        original(self, connection)  # type: ignore[no-untyped-call]
        if here and when == "after":
            die()

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]


def _child(order: Order) -> int:
    def die() -> None:
        tell(pid=os.getpid(), killed="server" if order.postmaster else "self")
        if order.postmaster:
            kill_server(order.postmaster)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    if order.commit:
        die_at(order.commit, order.when, die)
    try:
        cli.app(list(order.words), standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def _start(order: Order) -> None:
    pid = os.fork()
    if pid:
        tell(started=pid)
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for mine, theirs in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(mine, theirs)
    code = _child(order)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _reap(*_: object) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        tell(ended=pid, code=os.waitstatus_to_exitcode(status))


def main() -> None:
    os.dup2(1, _TOLD)
    wiring.discover_commands(), wiring.discover_surfaces(), wiring.discover_channels()
    wiring.discover_billing()
    inspect.stack()  # Bolt looks at it, and the first look reads every module
    gc.freeze()
    signal.signal(signal.SIGCHLD, _reap)
    tell(ready=os.getpid())
    for line in sys.stdin:
        _start(Order(**json.loads(line)))


if __name__ == "__main__":
    main()
