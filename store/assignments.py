"""Who takes care of what: one assignee a subject, the latest one counts."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from store.models import Assignment
from store.repository import BATCH, Repository, batched
from store.tables import assignments


class Assignments(Repository):
    async def assign(self, subjects: Sequence[str], assignee: str, *, actor: str) -> None:
        """`subject` names the thing, such as `invoice:ID`; idempotent."""
        rows = [
            {
                "tenant_id": self._tenant,
                "subject": subject,
                "assignee": assignee,
                "actor": actor,
                "at": self._tx.now,
            }
            for subject in subjects
        ]
        await self._upsert(assignments, ["subject"], rows)

    async def of(self, subjects: Sequence[str]) -> dict[str, Assignment]:
        """Those that somebody takes care of."""
        found: dict[str, Assignment] = {}
        for batch in batched(subjects, BATCH):
            statement = select(assignments).where(
                assignments.c.tenant_id == self._tenant, assignments.c.subject.in_(batch)
            )
            for row in await self._tx.conn.execute(statement):
                found[row.subject] = Assignment(row.subject, row.assignee, row.actor, row.at)
        return found
