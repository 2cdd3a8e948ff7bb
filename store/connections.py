"""How many connections a PostgreSQL server has left, for a deployment of several processes.

postgresql.org/docs/current/runtime-config-connection.html. SQLite has no such number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from store.engine import Engine

PER_PROCESS: Final = 21
"""A full pool, and one beside it for duties (docs/scale.md)."""

# Of the server (what is reserved is not for us), of our role and of our database; -1: that one has no limit.
_ASKED: Final = text(
    """
    select current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0),
           (select coalesce(sum(numbackends), 0)::int from pg_stat_database)
    union all
    select rolconnlimit, (select count(*)::int from pg_stat_activity where usename = current_user)
      from pg_roles where rolname = current_user
    union all
    select datconnlimit, (select numbackends from pg_stat_database where datname = current_database())
      from pg_database where datname = current_database()
    """
)


@dataclass(frozen=True, slots=True)
class Connections:
    """Those that may be open, and those that are open now."""

    limit: int
    used: int

    @property
    def free(self) -> int:
        return max(0, self.limit - self.used)


async def connections(engine: Engine) -> Connections:
    """PostgreSQL only. The limit that leaves the fewest free: the server's, our role's or our database's."""
    async with engine.read() as conn:
        rows = (await conn.execute(_ASKED)).all()
    return min((Connections(limit, used) for limit, used in rows if limit >= 0), key=lambda one: one.free)


__all__ = ["PER_PROCESS", "Connections", "connections"]
