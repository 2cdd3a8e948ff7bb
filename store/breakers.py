"""Breakers of one route to one mailbox operator, and who runs which domain's mail.

What becomes of a breaker is decided on its locked row (notifier.breaker), whichever worker it was that learnt
something; a probe is taken by the same lock, so that there is one at a time. Real time throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from store.repository import BATCH, Repository, batched, storable
from store.tables import breakers, domain_operators
from store.types import db_now


@dataclass(frozen=True, slots=True)
class BreakerRow:
    route: str
    operator: str
    state: str
    failures: int
    successes: int
    window_from: datetime
    cause: str
    said: str
    opened_at: datetime | None
    probe_at: datetime | None
    probes: int
    worker: str | None
    """The delivery that probes."""


def _row(row: object) -> BreakerRow:
    return BreakerRow(**{name: getattr(row, name) for name in BreakerRow.__slots__})


class Breakers(Repository):
    async def all(self) -> list[BreakerRow]:
        """Those that were ever counted on, in order; closed ones too."""
        c = breakers.c
        statement = select(breakers).where(c.tenant_id == self._tenant).order_by(c.route, c.operator)
        return [_row(row) for row in await self._tx.conn.execute(statement)]

    async def lock(self, keys: Sequence[tuple[str, str]], now: datetime) -> dict[tuple[str, str], BreakerRow]:
        """By (route, operator), in one order; made (closed) where there is none."""
        found: dict[tuple[str, str], BreakerRow] = {}
        c = breakers.c
        for route, operator in sorted(set(keys)):
            insert = self._insert(breakers).values(
                tenant_id=self._tenant,
                route=route,
                operator=operator,
                state="closed",
                failures=0,
                successes=0,
                window_from=now,
                cause="",
                said="",
                probes=0,
                updated_at=now,
            )
            await self._tx.conn.execute(insert.on_conflict_do_nothing())
            statement = (
                select(breakers)
                .where(c.tenant_id == self._tenant, c.route == route, c.operator == operator)
                .with_for_update()
            )
            found[route, operator] = _row((await self._tx.conn.execute(statement)).one())
        return found

    async def put(self, row: BreakerRow) -> None:
        """A locked row's new values."""
        values = {name: getattr(row, name) for name in BreakerRow.__slots__}
        values["said"] = storable(row.said, 2000)
        insert = self._insert(breakers).values(tenant_id=self._tenant, updated_at=db_now(), **values)
        new = insert.excluded
        changed = {name: new[name] for name in values if name not in ("route", "operator")}
        await self._tx.conn.execute(
            insert.on_conflict_do_update(
                index_elements=["tenant_id", "route", "operator"],
                set_=changed | {"updated_at": new.updated_at},
            )
        )

    async def forget_others(self, tenant: int, routes: Sequence[str]) -> int:
        """Those of routes that are not among these: nobody probes them, so what they hold would wait for
        ever. What is held by no breaker is let go by notifier.breaking."""
        c = breakers.c
        result = await self._tx.conn.execute(
            delete(breakers).where(c.tenant_id == tenant, c.route.not_in(list(routes)))
        )
        return int(result.rowcount)

    async def operators(self, domains: Sequence[str]) -> dict[str, tuple[str, datetime]]:
        """domain -> (who runs its mail, when that was looked up)."""
        found: dict[str, tuple[str, datetime]] = {}
        c = domain_operators.c
        for batch in batched(domains, BATCH):
            for row in await self._tx.conn.execute(select(domain_operators).where(c.domain.in_(batch))):
                found[row.domain] = (row.operator, row.checked_at)
        return found

    async def know_operators(self, found: Mapping[str, str]) -> None:
        for batch in batched(sorted(found.items()), BATCH):
            insert = self._insert(domain_operators).values(
                [{"domain": d, "operator": o[:80], "checked_at": db_now()} for d, o in batch]
            )
            new = insert.excluded
            await self._tx.conn.execute(
                insert.on_conflict_do_update(
                    index_elements=["domain"],
                    set_={"operator": new.operator, "checked_at": new.checked_at},
                )
            )
