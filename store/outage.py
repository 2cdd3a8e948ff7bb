"""A database server that cannot be reached: told once when it goes and once when it is back.

Every loop of a process meets an outage, again and again. What they raise and log on the way is the same news:
`DatabaseGone` marks it, so that the logs can leave it out (`quieten`).
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from asyncpg import InterfaceError
from asyncpg.exceptions import CannotConnectNowError, OperatorInterventionError, PostgresConnectionError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

log = structlog.get_logger()
_GONE = (OSError, PostgresConnectionError, CannotConnectNowError, OperatorInterventionError)


_SERVERS = ("25006", "53", "55", "57", "58")
"""SQLSTATEs (PostgreSQL, appendix A): it only reads; classes: disk or memory full, something is in use, an
operator, its files."""
_FILES = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY}
    | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}
)


def of_the_database(error: BaseException) -> bool:
    """Whether a statement failed for what the database is in, not for what it was given: it may pass."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    state, code = getattr(cause, "sqlstate", None), getattr(cause, "sqlite_errorcode", None)
    return (state is not None and state.startswith(_SERVERS)) or (code is not None and code & 0xFF in _FILES)


class DatabaseError(Exception):
    """The database cannot be used; the message says why and what to do."""


class DatabaseGone(DatabaseError):
    """Its server does not answer; whoever works on goes on by itself when it does again."""

    def __init__(self) -> None:
        super().__init__("The database's server does not answer. Is it running, and is its address right?")


class Outage:
    """Of one database, as this process meets it."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._back: float | None = None

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Around taking a connection: whatever fails there is the server."""
        try:
            yield
        except (*_GONE, PoolTimeout, TimeoutError, InterfaceError, DBAPIError) as error:
            raise self._met(error) from error

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around a transaction: a statement that is refused is no outage, a connection that is cut is."""
        try:
            yield
        except DBAPIError as error:
            cause = error.orig.__cause__ if error.orig is not None else None
            if error.connection_invalidated or isinstance(error.orig, _GONE) or isinstance(cause, _GONE):
                raise self._met(error) from error
            raise
        self.over()

    def _met(self, error: BaseException) -> DatabaseGone:
        if self._since is None:
            self._since = time.monotonic()
            log.error("database_gone", error=type(error).__name__)
        return DatabaseGone()

    def over(self) -> None:
        if self._since is not None:
            self._back = time.monotonic()
            log.warning("database_back", after_s=round(self._back - self._since, 1))
            self._since = None

    def lately(self, within_s: float) -> bool:
        """Whether it is gone or came back less than that ago: nobody could renew a lease or write an end."""
        if self._since is not None:
            return True
        return self._back is not None and time.monotonic() - self._back < within_s


def quieten(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: what failed only because the database is gone was told when it went."""
    told = event.get("exc_info")
    error = sys.exc_info()[1] if told is True else told
    while isinstance(error, BaseException):
        if isinstance(error, DatabaseGone):
            raise structlog.DropEvent
        error = error.__cause__ or error.__context__
    return event
