"""Single duties: what one process does for all of them (sweeps, sealing, partitions).

PostgreSQL: a session advisory lock on a connection of the store's own. Whose connection dies has lost its
duties at that moment, and another takes them at its next look; one that hangs (a stopped process) loses its
session after `IDLE_S`. SQLite serves one process: there a duty is taken when nobody else in it has it.

A duty saves work, it guards nothing: what is done under it stays correct when two do it for a moment.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog
from asyncpg import InterfaceError, PostgresError

from store.engine import Engine

log = structlog.get_logger()
IDLE_S = 90
"""A holder that does not look after its duties for so long loses them (PostgreSQL's idle_session_timeout)."""
ANSWER_S = 10.0
_LOST = (OSError, PostgresError, InterfaceError)


class Duty:
    """One loop's wish to do something that one process does for all."""

    def __init__(self, duties: Duties, name: str) -> None:
        self._duties, self._name = duties, name

    async def mine(self) -> bool:
        """Whether it is ours now; asked anew before each round. A database that is gone raises."""
        return await self._duties.take(self._name, self)


class Duties:
    """Those that this store (one process) holds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = asyncio.Lock()
        self._raw: asyncpg.Connection | None = None
        self._owners: dict[str, Duty] = {}
        """In this process; a session's lock would let a second loop in."""
        self._locked: set[str] = set()

    @asynccontextmanager
    async def duty(self, name: str) -> AsyncIterator[Duty]:
        """For a whole loop: what it holds is let go at its end, however it ends."""
        wish = Duty(self, name)
        try:
            yield wish
        finally:
            await self._release(name, wish)

    async def take(self, name: str, wish: Duty) -> bool:
        if self._owners.setdefault(name, wish) is not wish:
            return False
        if self._engine.sqlite:
            return True
        async with self._turn:
            if self._raw is not None:
                try:
                    return await self._asked(name)
                except _LOST:  # what it held is free for others; so is the next session to ask for it
                    log.warning("duties_lost")
            return await self._asked(name)

    async def _asked(self, name: str) -> bool:
        try:
            raw = await self._session()
            if name in self._locked:  # still: a connection that was cut unseen holds nothing any more
                await raw.fetchval("SELECT 1", timeout=ANSWER_S)
            elif await raw.fetchval("SELECT pg_try_advisory_lock($1)", _number(name), timeout=ANSWER_S):
                self._locked.add(name)
                log.info("duty_taken", duty=name)
        except BaseException:  # a cancelled question may have been answered: the session is given up
            self._drop()
            raise
        return name in self._locked

    async def _session(self) -> asyncpg.Connection:
        if self._raw is None:
            self._raw = await self._engine.own_session()
            await self._raw.execute(f"SET idle_session_timeout = '{IDLE_S}s'", timeout=ANSWER_S)
        return self._raw

    async def _release(self, name: str, wish: Duty) -> None:
        if self._owners.get(name) is not wish:
            return
        del self._owners[name]
        async with self._turn:
            if name not in self._locked or self._raw is None:
                return
            self._locked.discard(name)
            try:
                await self._raw.fetchval("SELECT pg_advisory_unlock($1)", _number(name), timeout=ANSWER_S)
            except BaseException as error:  # with the session its locks are gone too
                self._drop()
                if not isinstance(error, _LOST):
                    raise

    def _drop(self) -> None:
        """Ends the session, and with it every duty; asks nothing that a dead server would have to answer."""
        raw, self._raw = self._raw, None
        self._locked.clear()
        if raw is not None:
            raw.terminate()

    def close(self) -> None:
        self._drop()


def _number(name: str) -> int:
    """An advisory lock is a 64-bit number of this database."""
    return int.from_bytes(hashlib.sha256(f"ispbot/duty/{name}".encode()).digest()[:8], "big", signed=True)
