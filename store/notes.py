"""Sticky notes and holds of a subscriber, shown on every card."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from store.models import Hold, Note, NoteLevel
from store.repository import Repository
from store.tables import holds, notes


class Notes(Repository):
    async def of_subscriber(self, subscriber_id: UUID) -> list[Note]:
        statement = (
            select(notes)
            .where(
                notes.c.tenant_id == self._tenant,
                notes.c.subscriber_id == subscriber_id,
                notes.c.removed_at.is_(None),
            )
            .order_by(notes.c.created_at.desc())
        )
        return [
            Note(row.id, row.subscriber_id, row.text, NoteLevel(row.level), row.author, row.created_at)
            for row in await self._tx.conn.execute(statement)
        ]

    async def add(self, note: Note) -> None:
        """Idempotent by the note's id."""
        insert = self._insert(notes).values(
            tenant_id=self._tenant,
            id=note.id,
            subscriber_id=note.subscriber_id,
            text=note.text,
            level=note.level,
            author=note.author,
            created_at=note.created_at,
        )
        await self._tx.conn.execute(insert.on_conflict_do_nothing())

    async def holds_of(self, account: str) -> list[Hold]:
        """Holds on this account that have not ended."""
        statement = (
            select(holds)
            .where(
                holds.c.tenant_id == self._tenant,
                holds.c.scope == "account",
                holds.c.scope_key == account,
                holds.c.ended_at.is_(None),
            )
            .order_by(holds.c.until)
        )
        return [
            Hold(row.id, row.scope, row.scope_key, row.until, row.reason, row.owner, row.created_at)
            for row in await self._tx.conn.execute(statement)
        ]

    async def add_hold(self, hold: Hold) -> None:
        """Idempotent by the hold's id."""
        insert = self._insert(holds).values(
            tenant_id=self._tenant,
            id=hold.id,
            scope=hold.scope,
            scope_key=hold.scope_key,
            until=hold.until,
            reason=hold.reason,
            owner=hold.owner,
            created_at=hold.created_at,
        )
        await self._tx.conn.execute(insert.on_conflict_do_nothing())
