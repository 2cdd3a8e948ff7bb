"""Diagnoses as they were shown: kept, so that running one again can say what has changed since."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, select

from store.models import PastDiagnosis
from store.repository import Repository, storable
from store.tables import diagnoses


def _diagnosis(row: Row[Any]) -> PastDiagnosis:
    return PastDiagnosis(
        id=row.id,
        subscriber_id=row.subscriber_id,
        asked_invoice_id=row.asked_invoice_id,
        invoice_id=row.invoice_id,
        cause=row.cause,
        certainty=row.certainty,
        headline=row.headline,
        findings=tuple((step, mark, text) for step, mark, text in row.findings),
        actor=row.actor,
        created_at=row.created_at,
        previous_id=row.previous_id,
    )


class Diagnoses(Repository):
    async def add(self, item: PastDiagnosis) -> None:
        """Idempotent by its id, which is derived from whatever asked for it: the first result stays."""
        insert = self._insert(diagnoses).values(
            tenant_id=self._tenant,
            id=item.id,
            subscriber_id=item.subscriber_id,
            asked_invoice_id=item.asked_invoice_id,
            invoice_id=item.invoice_id,
            cause=item.cause,
            certainty=item.certainty,
            headline=storable(item.headline),
            findings=[[storable(part) for part in finding] for finding in item.findings],
            actor=item.actor,
            created_at=item.created_at,
            previous_id=item.previous_id,
        )
        await self._tx.conn.execute(insert.on_conflict_do_nothing())

    def _mine(self) -> Select[Any]:
        return select(diagnoses).where(diagnoses.c.tenant_id == self._tenant)

    async def get(self, diagnosis_id: UUID) -> PastDiagnosis | None:
        row = (await self._tx.conn.execute(self._mine().where(diagnoses.c.id == diagnosis_id))).first()
        return _diagnosis(row) if row else None

    async def latest(
        self, subscriber_id: UUID, *, since: datetime, other_than: UUID | None = None
    ) -> PastDiagnosis | None:
        """The newest of this account that is not older than `since`."""
        c = diagnoses.c
        statement = self._mine().where(c.subscriber_id == subscriber_id, c.created_at >= since)
        if other_than is not None:
            statement = statement.where(c.id != other_than)
        ordered = statement.order_by(c.created_at.desc(), c.id.desc()).limit(1)
        row = (await self._tx.conn.execute(ordered)).first()
        return _diagnosis(row) if row else None
