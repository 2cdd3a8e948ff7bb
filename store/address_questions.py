"""Questions by text whether an address is right, and how each ended: one open question a number.

A state is left once: whoever changes it first has changed it, and learns so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, select, text, update

from store.models import AddressQuestion, ContactRole, QuestionState
from store.repository import Repository
from store.tables import address_questions


def _question(row: Row[Any]) -> AddressQuestion:
    return AddressQuestion(
        id=row.id,
        subscriber_id=row.subscriber_id,
        role=ContactRole(row.role),
        old_address=row.old_address,
        suggested=row.suggested,
        number=row.number,
        invoice_id=row.invoice_id,
        notification_id=row.notification_id,
        state=QuestionState(row.state),
        actor=row.actor,
        channel_id=row.channel_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        answered_at=row.answered_at,
        answer=row.answer,
    )


# Literal, as the partial index has it: SQLite compares the words of a condition, not its meaning.
_ASKED = text("state = 'asked'")


class AddressQuestions(Repository):
    def _mine(self) -> Select[Any]:
        return select(address_questions).where(address_questions.c.tenant_id == self._tenant)

    async def add(self, question: AddressQuestion) -> bool:
        """False when it stands already, or another question to this number is open."""
        insert = self._insert(address_questions).values(
            tenant_id=self._tenant,
            id=question.id,
            subscriber_id=question.subscriber_id,
            role=question.role,
            old_address=question.old_address,
            suggested=question.suggested,
            number=question.number,
            invoice_id=question.invoice_id,
            notification_id=question.notification_id,
            state=question.state,
            actor=question.actor,
            channel_id=question.channel_id,
            created_at=question.created_at,
            expires_at=question.expires_at,
            answered_at=None,
            answer=None,
        )
        done = await self._tx.conn.execute(insert.on_conflict_do_nothing().returning(address_questions.c.id))
        return done.first() is not None

    async def get(self, question_id: UUID) -> AddressQuestion | None:
        row = (await self._tx.conn.execute(self._mine().where(address_questions.c.id == question_id))).first()
        return _question(row) if row else None

    async def open_for(self, number: str, *, lock: bool = False) -> AddressQuestion | None:
        """The question to this number that is still to be answered; not one whose time is over."""
        c = address_questions.c
        statement = self._mine().where(c.number == number, _ASKED, c.expires_at > self._tx.now)
        if lock:
            statement = statement.with_for_update()
        row = (await self._tx.conn.execute(statement)).first()
        return _question(row) if row else None

    async def end(self, question_id: UUID, state: QuestionState, *, answer: str | None = None) -> bool:
        """False: it had ended before."""
        values = {"state": state, "answered_at": self._tx.now, "answer": answer}
        return bool(await self._change(address_questions.c.id == question_id, **values))

    async def correct(self, question_id: UUID, answer: str) -> bool:
        """They have written another address after a no, or after another one. False: it ended otherwise."""
        c = address_questions.c
        done = await self._tx.conn.execute(
            update(address_questions)
            .where(
                c.tenant_id == self._tenant,
                c.id == question_id,
                c.state.in_((QuestionState.DECLINED, QuestionState.OTHER)),
            )
            .values(state=QuestionState.OTHER, answered_at=self._tx.now, answer=answer)
            .returning(c.id)
        )
        return done.first() is not None

    async def expire(self) -> list[UUID]:
        """Ends those whose time is over; their ids."""
        over = address_questions.c.expires_at <= self._tx.now
        return await self._change(over, state=QuestionState.EXPIRED)

    async def overtake(self, subscriber_id: UUID, old_address: str) -> list[UUID]:
        """The address is no longer what it was: nothing is left to ask about it."""
        c = address_questions.c
        about = (c.subscriber_id == subscriber_id) & (c.old_address == old_address)
        return await self._change(about, state=QuestionState.OVERTAKEN)

    async def open_ones(self, limit: int = 500) -> list[AddressQuestion]:
        # By number, as their index has them: by id SQLite would go through all that were ever asked.
        statement = self._mine().where(_ASKED).order_by(address_questions.c.number).limit(limit)
        return [_question(row) for row in await self._tx.conn.execute(statement)]

    async def of_subscribers(self, ids: Sequence[UUID], limit: int = 20) -> list[AddressQuestion]:
        """Newest first."""
        c = address_questions.c
        statement = self._mine().where(c.subscriber_id.in_(list(ids))).order_by(c.id.desc()).limit(limit)
        return [_question(row) for row in await self._tx.conn.execute(statement)]

    async def _change(self, which: ColumnElement[bool], **values: Any) -> list[UUID]:
        c = address_questions.c
        done = await self._tx.conn.execute(
            update(address_questions)
            .where(c.tenant_id == self._tenant, _ASKED, which)
            .values(**values)
            .returning(c.id)
        )
        return sorted(done.scalars().all())


__all__ = ["AddressQuestions"]
