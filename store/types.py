"""Column types and ids: UTC instants on both databases, UUIDv7, ids derived from what they name."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, DateTime, Dialect, Float, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine
from uuid_utils.compat import uuid7

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """As SQLite holds it: microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def of_micros(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime. SQLite has no time zones: there it is integer microseconds since 1970."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored instant needs a time zone")
        if dialect.name == "sqlite":
            return micros(value)
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return of_micros(int(value))
        return value.astimezone(UTC)  # type: ignore[no-any-return]  # the driver gives a datetime


class _DbNow(FunctionElement[datetime]):
    """The database's own real time; leases live on it, business time never touches it."""

    type = UtcDateTime()
    inherit_cache = True
    name = "db_now"


@compiles(_DbNow, "postgresql")
def _pg_now(element: _DbNow, compiler: SQLCompiler, **kw: Any) -> str:
    return "clock_timestamp()"


@compiles(_DbNow, "sqlite")
def _sqlite_now(element: _DbNow, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


class _DbNowPlus(FunctionElement[datetime]):
    type = UtcDateTime()
    inherit_cache = True
    name = "db_now_plus"


@compiles(_DbNowPlus, "postgresql")
def _pg_plus(element: _DbNowPlus, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"clock_timestamp() + make_interval(secs => CAST({seconds} AS float8))"


@compiles(_DbNowPlus, "sqlite")
def _sqlite_plus(element: _DbNowPlus, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"CAST((julianday('now') - 2440587.5) * 86400000000 + ({seconds}) * 1000000 AS INTEGER)"


def db_now() -> ColumnElement[datetime]:
    return _DbNow()


def db_now_plus(seconds: float) -> ColumnElement[datetime]:
    return _DbNowPlus(literal(float(seconds), Float()))


_RANDOM = ~(0xF << 76 | 0x3 << 62)
_VERSION_7 = 0x7 << 76 | 0x2 << 62
"""RFC 9562 section 5.7: four bits of version, two of variant."""


def new_id() -> UUID:
    """A fresh UUIDv7 (RFC 9562 section 5.7): ids of one table sort by birth."""
    return uuid7()


def derived_range(parent: UUID) -> tuple[UUID, UUID]:
    """Lowest and highest of what `derived_id` may make of this one: where partitions are ranges of ids, a
    question that says so is asked of one of them."""
    low = parent.int >> 80 << 80
    return UUID(int=low), UUID(int=low | (1 << 80) - 1)


def derived_id(parent: UUID, *names: str) -> UUID:
    """A UUIDv7 with the parent's time and a hash of `names` in place of randomness.

    The same thing gets the same id, so the primary key alone refuses a second one, also on a table
    partitioned by RANGE(id), where PostgreSQL allows no other unique constraint.
    """
    named = parent.bytes + "\x00".join(("", *names)).encode()
    number = int.from_bytes(named[:6] + hashlib.sha256(named).digest()[:10], "big")
    return UUID(int=number & _RANDOM | _VERSION_7)
