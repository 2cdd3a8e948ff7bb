"""Partitions of deliveries and events on PostgreSQL: months of ids, made ahead and dropped whole.

Ids are UUIDv7 (RFC 9562 section 5.7): the first 48 bits are the milliseconds of their birth in real time, and
a derived id has its parent's; so a range of ids is a range of time, and business clocks, which the sandbox
moves, play no part. `_first` is the table that stood before there were partitions, `_default` takes what no
month is made for (a machine whose clock is wrong), so that no insert ever fails for want of a partition; when
its month is made those rows move there. SQLite has one table. Rows are removed by age elsewhere
(store.retention), which knows of legal holds; here the months that this leaves empty are dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text

from store.repository import Repository
from store.tables import deliveries, events

TABLES = {"deliveries": deliveries, "events": events}
AHEAD = 2
"""Months that are made before they begin."""
LOCK_TIMEOUT = "2s"
"""A new or an old partition needs the table for a moment; behind a long reader it is tried the next time,
since whoever waits for a lock makes everybody else wait behind them."""
_CHILD = re.compile(rf"({'|'.join(TABLES)})_(first|default|\d{{4}}_\d{{2}})")
_BOUND = re.compile(r"'([0-9a-f-]{36})'|MINVALUE|MAXVALUE")


def is_partition(name: str) -> bool:
    """Whether a table of this name is a part of another one."""
    return _CHILD.fullmatch(name) is not None


def lowest_id(moment: datetime) -> UUID:
    """No UUIDv7 born at this moment or later is below it, none born earlier is above."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def month_of(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return datetime(moment.year, moment.month, 1, tzinfo=UTC)


def month_after(moment: datetime) -> datetime:
    return datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Partition:
    """Rows with lower <= id < upper; None: no bound on that side, both None: the default."""

    name: str
    lower: UUID | None
    upper: UUID | None

    @property
    def default(self) -> bool:
        return self.lower is None and self.upper is None


class Partitions(Repository):
    """In a transaction of its own (`system()`): each change locks its table for a moment."""

    async def of(self, table: str) -> list[Partition]:
        """In the order of their ids, the default last; none on SQLite."""
        if self._tx.sqlite:
            return []
        rows = await self._tx.conn.execute(
            text(
                "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
                "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST(:parent AS regclass)"
            ),
            {"parent": _known(table)},
        )
        found = [Partition(name, *_bounds(expression)) for name, expression in rows]
        return sorted(found, key=lambda part: (part.default, part.lower.int if part.lower else 0))

    async def make_ahead(self, table: str, months: int = AHEAD) -> list[str]:
        """The months from now on that have no partition yet; the names of those that were made."""
        if self._tx.sqlite:
            return []
        now: datetime = (await self._tx.conn.execute(text("SELECT clock_timestamp()"))).scalar_one()
        standing = [part for part in await self.of(table) if not part.default]
        made, lower = [], month_of(now)
        for _ in range(months + 1):
            upper = month_after(lower)
            if not any(_overlap(part, lowest_id(lower), lowest_id(upper)) for part in standing):
                made.append(await self._make(table, lower, upper))
            lower = upper
        return made

    async def _make(self, table: str, lower: datetime, upper: datetime) -> str:
        """Takes along what waits in the default partition, which must hold nothing of the new one's range."""
        name = f"{_known(table)}_{lower:%Y_%m}"
        bounds = f"'{lowest_id(lower)}'", f"'{lowest_id(upper)}'"
        within = f"id >= {bounds[0]} AND id < {bounds[1]}"
        for statement in (
            f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'",
            f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE",
            f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING INDEXES)",
            f"INSERT INTO {name} SELECT * FROM {table}_default WHERE {within}",  # noqa: S608  # names of ours
            f"DELETE FROM {table}_default WHERE {within}",  # noqa: S608
            f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({bounds[0]}) TO ({bounds[1]})",
        ):
            await self._tx.conn.execute(text(statement))
        return name

    async def drop_emptied(self, table: str, cutoff: datetime) -> int:
        """Drops the months before `cutoff` (real time) of which no row is left; one a call.

        Where rows were kept (a legal hold), their month stays.
        """
        before = lowest_id(cutoff)
        for part in await self.of(table):
            if part.upper is None or part.lower is None or part.upper > before:
                continue
            anything = await self._tx.conn.execute(text(f"SELECT 1 FROM {part.name} LIMIT 1"))  # noqa: S608
            if anything.first() is None:
                await self._drop(table, part)
                return 1
        return 0

    async def _drop(self, table: str, part: Partition) -> None:
        for statement in (
            f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'",
            f"ALTER TABLE {table} DETACH PARTITION {part.name}",
            f"DROP TABLE {part.name}",
        ):
            await self._tx.conn.execute(text(statement))


def _bounds(expression: str) -> tuple[UUID | None, UUID | None]:
    """Of PostgreSQL's words: `FOR VALUES FROM (MINVALUE) TO ('0193...')`, `DEFAULT`."""
    lower, upper = [UUID(found) if found else None for found in _BOUND.findall(expression)] or (None, None)
    return lower, upper


def _overlap(part: Partition, lower: UUID, upper: UUID) -> bool:
    return (part.lower is None or part.lower < upper) and (part.upper is None or lower < part.upper)


def _known(table: str) -> str:
    """A name that goes into a statement as it is."""
    if table not in TABLES:
        raise ValueError(f"{table} has no partitions")
    return table
