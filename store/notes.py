"""Sticky notes and holds of a subscriber, shown on every card."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, or_, select, update

from store.models import ACCOUNT, TAG, TOWN, Hold, Note, NoteLevel
from store.repository import BATCH, Repository, batched
from store.subscribers import place_key
from store.tables import holds, notes


def _note(row: Row[Any]) -> Note:
    return Note(row.id, row.subscriber_id, row.text, NoteLevel(row.level), row.author, row.created_at)


def _hold(row: Row[Any]) -> Hold:
    return Hold(
        id=row.id,
        scope=row.scope,
        scope_key=row.scope_key,
        until=row.until,
        reason=row.reason,
        owner=row.owner,
        created_at=row.created_at,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
    )


class Notes(Repository):
    async def of_subscriber(self, subscriber_id: UUID) -> list[Note]:
        """Newest first, removed ones left out."""
        statement = (
            select(notes)
            .where(
                notes.c.tenant_id == self._tenant,
                notes.c.subscriber_id == subscriber_id,
                notes.c.removed_at.is_(None),
            )
            .order_by(notes.c.created_at.desc())
        )
        return [_note(row) for row in await self._tx.conn.execute(statement)]

    async def get(self, note_id: UUID) -> Note | None:
        """None when it was removed, or never was."""
        statement = select(notes).where(
            notes.c.tenant_id == self._tenant, notes.c.id == note_id, notes.c.removed_at.is_(None)
        )
        row = (await self._tx.conn.execute(statement)).first()
        return _note(row) if row else None

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

    async def remove(self, note_id: UUID, by: str) -> bool:
        """False when it was gone already. The row stays, for whoever asks later."""
        result = await self._tx.conn.execute(
            update(notes)
            .where(notes.c.tenant_id == self._tenant, notes.c.id == note_id, notes.c.removed_at.is_(None))
            .values(removed_at=self._tx.now, removed_by=by)
        )
        return bool(result.rowcount)

    async def holds_of(self, account: str) -> list[Hold]:
        """Holds on this account that have not ended, soonest end first."""
        return (await self.holds_of_many([account]))[account]

    async def holds_of_many(self, accounts: Sequence[str]) -> dict[str, list[Hold]]:
        """The standing holds of each of these accounts, soonest end first."""
        found: dict[str, list[Hold]] = {account: [] for account in accounts}
        for batch in batched(found, BATCH):
            statement = (
                select(holds)
                .where(
                    holds.c.tenant_id == self._tenant,
                    holds.c.scope == "account",
                    holds.c.scope_key.in_(batch),
                    holds.c.ended_at.is_(None),
                )
                .order_by(holds.c.until, holds.c.id)
            )
            for row in await self._tx.conn.execute(statement):
                found[row.scope_key].append(_hold(row))
        return found

    async def standing(self, accounts: Sequence[str] = ()) -> list[Hold]:
        """Those on towns and tags, and on these accounts; soonest end first."""
        c = holds.c
        mine = (c.tenant_id == self._tenant, c.ended_at.is_(None))
        found: list[Hold] = []
        wanted: list[ColumnElement[bool]] = [c.scope.in_([TOWN, TAG])]
        for batch in batched(accounts, BATCH):
            named = (c.scope == ACCOUNT) & c.scope_key.in_(batch)
            rows = await self._tx.conn.execute(select(holds).where(*mine, or_(named, *wanted)))
            found += [_hold(row) for row in rows]
            wanted = []  # those of places came with the first batch
        if wanted:
            found += [_hold(row) for row in await self._tx.conn.execute(select(holds).where(*mine, *wanted))]
        return sorted(found, key=lambda h: (h.until, h.id))

    async def follow(self, before: str, account: str) -> None:
        """The account `before` has a new number: its holds stand under that."""
        c = holds.c
        await self._tx.conn.execute(
            update(holds)
            .where(c.tenant_id == self._tenant, c.scope == ACCOUNT, c.scope_key == before)
            .values(scope_key=account)
        )

    async def of_area(self, scope: str, key: str | None = None) -> list[Hold]:
        """The standing holds of towns or of tags, or of one of them; soonest end first."""
        c = holds.c
        statement = (
            select(holds)
            .where(c.tenant_id == self._tenant, c.scope == scope, c.ended_at.is_(None))
            .order_by(c.until, c.id)
        )
        found = [_hold(row) for row in await self._tx.conn.execute(statement)]
        return [h for h in found if key is None or place_key(h.scope_key) == place_key(key)]

    async def holds_between(
        self, account: str, places: Collection[tuple[str, str]], since: datetime, until: datetime
    ) -> list[Hold]:
        """All that stood at some time in [since, until) on this account or these places (scope, place_key).

        Ended ones too; oldest first.
        """
        c = holds.c
        statement = (
            select(holds)
            .where(
                c.tenant_id == self._tenant,
                or_((c.scope == ACCOUNT) & (c.scope_key == account), c.scope.in_([TOWN, TAG])),
                c.created_at < until,
                or_(c.ended_at.is_(None), c.ended_at >= since),
            )
            .order_by(c.created_at, c.id)
        )
        found = [_hold(row) for row in await self._tx.conn.execute(statement)]
        return [h for h in found if h.scope == ACCOUNT or (h.scope, place_key(h.scope_key)) in places]

    async def hold(self, hold_id: UUID) -> Hold | None:
        """Standing or ended."""
        statement = select(holds).where(holds.c.tenant_id == self._tenant, holds.c.id == hold_id)
        row = (await self._tx.conn.execute(statement)).first()
        return _hold(row) if row else None

    async def add_hold(self, hold: Hold) -> bool:
        """Idempotent by the hold's id; False when it was set before, whether or not it stands still."""
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
        result = await self._tx.conn.execute(insert.on_conflict_do_nothing())
        return bool(result.rowcount)

    async def end_hold(self, hold_id: UUID, by: str | None) -> bool:
        """`by` None: its last day is over. False when it had ended already: whoever gets True tells of it."""
        result = await self._tx.conn.execute(
            update(holds)
            .where(holds.c.tenant_id == self._tenant, holds.c.id == hold_id, holds.c.ended_at.is_(None))
            .values(ended_at=self._tx.now, ended_by=by)
        )
        return bool(result.rowcount)

    async def holds_over(self, today: date, limit: int = 200) -> list[Hold]:
        """Those whose last day was before `today` and that nobody has ended yet."""
        statement = (
            select(holds)
            .where(holds.c.tenant_id == self._tenant, holds.c.until < today, holds.c.ended_at.is_(None))
            .order_by(holds.c.until, holds.c.id)
            .limit(limit)
        )
        return [_hold(row) for row in await self._tx.conn.execute(statement)]
