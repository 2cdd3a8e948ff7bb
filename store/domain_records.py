"""What was last seen in DNS of the domains that a tenant sends from, and whose turn the daily look is.

An answer that did not come changes nothing: only `seen` writes, and only what DNS really said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update

from store.models import DomainRecord, RecordVerdict
from store.repository import Repository, storable
from store.tables import domain_records, sweep_cursors

_SWEEP = "domains"


@dataclass(frozen=True, slots=True)
class Seen:
    """One record as DNS has it now."""

    domain: str
    kind: str
    value: str
    verdict: RecordVerdict
    said: str
    partial: bool = False
    """DNS did not answer about a part of what it leads to: the verdict holds for the rest."""


def _record(row: Row[Any]) -> DomainRecord:
    return DomainRecord(
        domain=row.domain,
        kind=row.kind,
        value=row.value,
        verdict=RecordVerdict(row.verdict),
        said=row.said,
        checked_at=row.checked_at,
        before=row.before,
        was=RecordVerdict(row.was) if row.was else None,
        changed_at=row.changed_at,
    )


class DomainRecords(Repository):
    async def all(self) -> list[DomainRecord]:
        c = domain_records.c
        statement = select(domain_records).where(c.tenant_id == self._tenant).order_by(c.domain, c.kind)
        return [_record(row) for row in await self._tx.conn.execute(statement)]

    async def get(self, domain: str, kind: str) -> DomainRecord | None:
        row = (await self._tx.conn.execute(self._one(domain, kind))).first()
        return _record(row) if row else None

    def _one(self, domain: str, kind: str) -> Any:
        c = domain_records.c
        return select(domain_records).where(c.tenant_id == self._tenant, c.domain == domain, c.kind == kind)

    async def seen(self, seen: Seen) -> DomainRecord | None:
        """Writes it down. Gives the record when its value or verdict has changed since it was seen last;
        None when it is as it was, or is seen for the first time."""
        value, said = storable(seen.value), storable(seen.said)
        insert = self._insert(domain_records).values(
            tenant_id=self._tenant,
            domain=seen.domain,
            kind=seen.kind,
            value=value,
            verdict=seen.verdict,
            said=said,
            checked_at=self._tx.now,
        )
        made = await self._tx.conn.execute(insert.on_conflict_do_nothing().returning(domain_records.c.kind))
        if made.first() is not None:
            return None
        # Locked: of two looks at once the second compares with what the first has written.
        there = _record(
            (await self._tx.conn.execute(self._one(seen.domain, seen.kind).with_for_update())).one()
        )
        changed = (value, seen.verdict) != (there.value, there.verdict)
        change: dict[str, Any] = (
            {"before": there.value, "was": there.verdict, "changed_at": self._tx.now} if changed else {}
        )
        c = domain_records.c
        statement = (
            update(domain_records)
            .where(c.tenant_id == self._tenant, c.domain == seen.domain, c.kind == seen.kind)
            .values(value=value, verdict=seen.verdict, said=said, checked_at=self._tx.now, **change)
            .returning(domain_records)
        )
        after = _record((await self._tx.conn.execute(statement)).one())
        return after if changed else None

    async def take_turn(self, never: datetime, until: datetime) -> bool:
        """Whether the look is due and ours. Nobody else takes it before `until`: a process that dies over it
        leaves it to the next one. `never`: from when it is due where nobody ever looked."""
        insert = self._insert(sweep_cursors).values(tenant_id=self._tenant, name=_SWEEP, at=never)
        await self._tx.conn.execute(insert.on_conflict_do_nothing())
        c = sweep_cursors.c
        result = await self._tx.conn.execute(
            update(sweep_cursors)
            .where(c.tenant_id == self._tenant, c.name == _SWEEP, c.at <= self._tx.now)
            .values(at=until)
        )
        return bool(result.rowcount)

    async def next_turn(self, at: datetime) -> None:
        """When the next look is due."""
        c = sweep_cursors.c
        await self._tx.conn.execute(
            update(sweep_cursors).where(c.tenant_id == self._tenant, c.name == _SWEEP).values(at=at)
        )

    async def due(self) -> bool:
        """Without writing: what is asked every few seconds."""
        c = sweep_cursors.c
        statement = select(c.at).where(c.tenant_id == self._tenant, c.name == _SWEEP)
        at = (await self._tx.conn.execute(statement)).scalar_one_or_none()
        return at is None or at <= self._tx.now
