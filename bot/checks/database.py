"""The database: answers, has the schema of this version and room for us, and its clock goes as ours."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.checks.finding import Finding
from bot.config import Config
from store import migrate
from store.connections import PER_PROCESS, Connections, connections
from store.engine import Engine, is_sqlite, sqlite_file

# Corruption at a WAL reset between connections: fixed in 3.51.3, back-ported to 3.50.7 and 3.44.6.
_WAL_FIXED: Final = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
APART: Final = timedelta(seconds=5)
"""Leases are told by the database's clock and business by ours: some seconds do no harm."""


async def database(config: Config) -> list[Finding]:
    if is_sqlite(config.database_url) and not sqlite_file(config.database_url).exists():
        empty = Finding("schema", False, "at nothing", "Run: ispbot migrate")
        return [Finding("database", True, "no file yet"), empty]
    try:
        engine = Engine(config.database_url)
        try:
            theirs, ours = await engine.time(), datetime.now(UTC)
            revision = await migrate.current(config.database_url)
            room = None if is_sqlite(config.database_url) else await connections(engine)
        finally:
            await engine.close()
    except Exception as error:  # noqa: BLE001  # whatever the driver says, it is a finding
        found = f"no answer ({type(error).__name__})"
        return [Finding("database", False, found, "Check the URL, and that the server runs.")]
    findings = [Finding("database", True, "answers"), _schema(revision)]
    if room is None:
        findings.append(_sqlite_version())
    else:
        findings.append(enough(room))
        findings.append(clock("clock of the database", theirs, ours))
    return findings


def _schema(revision: str | None) -> Finding:
    up_to_date = revision == migrate.head()
    remedy = "" if up_to_date else "Run: ispbot migrate"
    return Finding("schema", up_to_date, f"at {revision or 'nothing'}", remedy)


def enough(room: Connections) -> Finding:
    """For one process more; those that run already have theirs, so that too few are only worth a look."""
    found = f"{room.free} of {room.limit} are free"
    if room.free >= PER_PROCESS:
        return Finding("connections", True, found)
    remedy = f"Raise max_connections (or our role's limit) by {PER_PROCESS} for each process of ours."
    return Finding("connections", True, found, remedy)


def clock(what: str, theirs: datetime, ours: datetime, apart: timedelta = APART) -> Finding:
    """Whether both clocks tell the same, within `apart`."""
    off = (theirs - ours).total_seconds()
    if abs(off) <= apart.total_seconds():
        return Finding(what, True, "as ours")
    way = "ahead of" if off > 0 else "behind"
    found = f"{abs(off):,.0f} s {way} ours"
    return Finding(what, False, found, "Set both machines' clocks by NTP: timedatectl set-ntp true")


def _sqlite_version() -> Finding:
    version = sqlite3.sqlite_version_info
    fixed = any(version[:2] == f[:2] and version >= f for f in _WAL_FIXED) or version >= _WAL_FIXED[0]
    note = "" if fixed else " (has the WAL reset race; we checkpoint from one connection, which avoids it)"
    return Finding("SQLite", True, sqlite3.sqlite_version + note)


__all__ = ["APART", "clock", "database", "enough"]
