"""What was said by text with each number: conversations and their lines.

A number and a sender of ours have one open conversation at a time. Lines are appended, in the order of
their ids; what makes a line (a MessageSid, an interaction's step) makes it once. Bodies come redacted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select, update

from store.models import AUTO, Conversation, ConversationLine, Said
from store.repository import Repository, storable
from store.tables import conversation_lines, conversations
from store.types import new_id


def _conversation(row: Row[Any]) -> Conversation:
    return Conversation(
        id=row.id,
        number=row.number,
        sender=row.sender,
        subscriber_id=row.subscriber_id,
        choices=tuple(UUID(choice) for choice in row.choices),
        paused=row.paused,
        created_at=row.created_at,
        last_at=row.last_at,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
    )


def _line(row: Row[Any]) -> ConversationLine:
    return ConversationLine(
        id=row.id,
        conversation_id=row.conversation_id,
        said=Said(row.said),
        body=row.body,
        author=row.author,
        at=row.at,
        notification_id=row.notification_id,
        provider_id=row.provider_id,
        ts=row.ts,
    )


class Conversations(Repository):
    def _mine(self) -> Select[Any]:
        return select(conversations).where(conversations.c.tenant_id == self._tenant)

    def _lines(self) -> Select[Any]:
        return select(conversation_lines).where(conversation_lines.c.tenant_id == self._tenant)

    async def open(self, number: str, sender: str) -> tuple[Conversation, bool]:
        """The open conversation with this number, locked until the transaction ends; True: opened now."""
        still_open = self._mine().where(
            conversations.c.number == number,
            conversations.c.sender == sender,
            conversations.c.closed_at.is_(None),
        )
        opened = False
        while True:
            row = (await self._tx.conn.execute(still_open.with_for_update())).first()
            if row is not None:
                return _conversation(row), opened
            insert = self._insert(conversations).values(
                tenant_id=self._tenant,
                id=new_id(),
                number=number,
                sender=sender,
                subscriber_id=None,
                choices=[],
                paused=False,
                created_at=self._tx.now,
                last_at=self._tx.now,
            )
            # Another one may open it at this moment, or close it right after: then it is looked for again.
            result = await self._tx.conn.execute(insert.on_conflict_do_nothing())
            opened = bool(result.rowcount)

    async def get(self, conversation_id: UUID, *, lock: bool = False) -> Conversation | None:
        statement = self._mine().where(conversations.c.id == conversation_id)
        statement = statement.with_for_update() if lock else statement
        row = (await self._tx.conn.execute(statement)).first()
        return _conversation(row) if row else None

    async def open_of(self, subscriber_id: UUID) -> list[Conversation]:
        """The open conversations about this subscriber, the newest first."""
        statement = (
            self._mine()
            .where(conversations.c.subscriber_id == subscriber_id, conversations.c.closed_at.is_(None))
            .order_by(conversations.c.id.desc())
        )
        return [_conversation(row) for row in await self._tx.conn.execute(statement)]

    async def count_open(self) -> tuple[int, int]:
        """(all open ones, those of them in which automatic texts wait for an agent)."""
        c = conversations.c
        statement = (
            select(c.paused, func.count())
            .where(c.tenant_id == self._tenant, c.closed_at.is_(None))
            .group_by(c.paused)
        )
        found = {bool(paused): count for paused, count in await self._tx.conn.execute(statement)}
        return sum(found.values()), found.get(True, 0)

    async def paused(self, numbers: Sequence[str]) -> dict[str, Conversation]:
        """Of these numbers those with an open conversation in which automatic texts wait."""
        statement = self._mine().where(
            conversations.c.number.in_(sorted(set(numbers))),
            conversations.c.paused,
            conversations.c.closed_at.is_(None),
        )
        return {row.number: _conversation(row) for row in await self._tx.conn.execute(statement)}

    async def about(self, conversation_id: UUID, subscriber_id: UUID | None) -> None:
        """Whom it is about is known now, or (None) not any more; nothing is asked any more."""
        await self._set(conversation_id, subscriber_id=subscriber_id, choices=[])

    async def asked(self, conversation_id: UUID, choices: Sequence[UUID]) -> None:
        """The subscriber was asked which of these accounts is meant."""
        await self._set(conversation_id, choices=[str(choice) for choice in choices])

    async def pause(self, conversation_id: UUID, paused: bool) -> None:
        await self._set(conversation_id, paused=paused)

    async def close(self, conversation_id: UUID, by: str) -> bool:
        """False: it was closed before."""
        values = {"closed_at": self._tx.now, "closed_by": by, "choices": [], "paused": False}
        return await self._set(conversation_id, **values)

    async def _set(self, conversation_id: UUID, **values: Any) -> bool:
        c = conversations.c
        result = await self._tx.conn.execute(
            update(conversations)
            .where(c.tenant_id == self._tenant, c.id == conversation_id, c.closed_at.is_(None))
            .values(**values)
        )
        return bool(result.rowcount)

    async def say(
        self,
        conversation_id: UUID,
        said: Said,
        body: str,
        *,
        once: str,
        author: str = "",
        notification_id: UUID | None = None,
        ts: str | None = None,
    ) -> ConversationLine | None:
        """A new line; None when the one that `once` names (a MessageSid, a step) stands already."""
        insert = (
            self._insert(conversation_lines)
            .values(
                tenant_id=self._tenant,
                id=new_id(),
                conversation_id=conversation_id,
                said=said,
                body=storable(body),
                author=author,
                at=self._tx.now,
                notification_id=notification_id,
                provider_id=once,
                ts=ts,
            )
            .on_conflict_do_nothing()
            .returning(conversation_lines)
        )
        row = (await self._tx.conn.execute(insert)).first()
        if row is None:
            return None
        if said is not Said.DRAFT:
            await self._tx.conn.execute(
                update(conversations)
                .where(conversations.c.tenant_id == self._tenant, conversations.c.id == conversation_id)
                .values(last_at=self._tx.now)
            )
        return _line(row)

    async def line(self, line_id: UUID) -> ConversationLine | None:
        row = (await self._tx.conn.execute(self._lines().where(conversation_lines.c.id == line_id))).first()
        return _line(row) if row else None

    async def line_once(self, once: str) -> ConversationLine | None:
        """The line that this MessageSid or step made."""
        found = await self._tx.conn.execute(self._lines().where(conversation_lines.c.provider_id == once))
        row = found.first()
        return _line(row) if row else None

    async def line_of(self, notification_id: UUID) -> ConversationLine | None:
        """The line that this notification is sent for."""
        c = conversation_lines.c
        row = (await self._tx.conn.execute(self._lines().where(c.notification_id == notification_id))).first()
        return _line(row) if row else None

    async def drop_draft(self, line_id: UUID) -> None:
        c = conversation_lines.c
        await self._tx.conn.execute(
            conversation_lines.delete().where(
                c.tenant_id == self._tenant, c.id == line_id, c.said == Said.DRAFT
            )
        )

    async def lines(
        self,
        conversation_id: UUID,
        limit: int = 50,
        *,
        said: Sequence[Said] = (Said.IN, Said.OUT, Said.EVENT),
    ) -> list[ConversationLine]:
        """The newest `limit` lines of these kinds, oldest first; drafts were never said."""
        c = conversation_lines.c
        statement = (
            self._lines()
            .where(c.conversation_id == conversation_id, c.said.in_(said))
            .order_by(c.id.desc())
            .limit(limit)
        )
        return [_line(row) for row in await self._tx.conn.execute(statement)][::-1]

    async def nth_newest(self, conversation_id: UUID, n: int) -> ConversationLine | None:
        """The n-th newest text that came in (1 is the newest)."""
        c = conversation_lines.c
        statement = (
            self._lines()
            .where(c.conversation_id == conversation_id, c.said == Said.IN)
            .order_by(c.id.desc())
            .offset(n - 1)
            .limit(1)
        )
        row = (await self._tx.conn.execute(statement)).first()
        return _line(row) if row else None

    async def came_between(
        self, conversation_id: UUID, start: datetime, end: datetime
    ) -> tuple[int, ConversationLine | None]:
        """How many texts came in then (end excluded), and the last of them."""
        c = conversation_lines.c
        then = (c.conversation_id == conversation_id, c.said == Said.IN, c.at >= start, c.at < end)
        count = (
            await self._tx.conn.execute(
                select(func.count()).select_from(conversation_lines).where(c.tenant_id == self._tenant, *then)
            )
        ).scalar_one()
        last = (
            await self._tx.conn.execute(self._lines().where(*then).order_by(c.id.desc()).limit(1))
        ).first()
        return int(count), _line(last) if last else None

    async def all_between(
        self, conversation_id: UUID, start: datetime, end: datetime, limit: int = 100
    ) -> list[ConversationLine]:
        """What came in then (end excluded), oldest first."""
        c = conversation_lines.c
        then = (c.conversation_id == conversation_id, c.said == Said.IN, c.at >= start, c.at < end)
        rows = await self._tx.conn.execute(self._lines().where(*then).order_by(c.id).limit(limit))
        return [_line(row) for row in rows]

    async def auto_since(self, number: str, since: datetime, limit: int = 100) -> list[ConversationLine]:
        """Automatic texts to this number, in all its conversations, the newest first."""
        c = conversation_lines.c
        theirs = select(conversations.c.id).where(
            conversations.c.tenant_id == self._tenant,
            conversations.c.number == number,
            conversations.c.last_at >= since,
        )
        found: list[ConversationLine] = []
        # One by one, along their index: asked for all of them SQLite would go through every line of all.
        for conversation_id in (await self._tx.conn.execute(theirs)).scalars().all():
            statement = (
                self._lines()
                .where(
                    c.conversation_id == conversation_id,
                    c.said == Said.OUT,
                    c.at >= since,
                    c.author.like(f"{AUTO}%"),
                )
                .order_by(c.id.desc())
                .limit(limit)
            )
            found += [_line(row) for row in await self._tx.conn.execute(statement)]
        return sorted(found, key=lambda line: line.id, reverse=True)[:limit]


__all__ = ["Conversations"]
