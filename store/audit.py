"""The audit: a row in the act's own transaction, chained by hash a moment later.

The chain holds an HMAC of the personal fields under a key of the row's own; fields and key sit in a
side table, so that erasing them keeps the chain provable and the HMAC beyond guessing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update

from store.filed import ChainHead
from store.models import AuditEntry
from store.repository import Repository
from store.tables import audit, audit_personal
from store.types import new_id

GENESIS = "0" * 64


def canonical(value: Any) -> bytes:
    """One byte string per JSON value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def row_hash(previous: str, row: Row[Any]) -> str:
    """SHA-256 over the previous hash and everything in the row but the personal fields themselves."""
    content = [
        row.tenant_id,
        row.id.hex,
        row.step_key,
        row.at.isoformat(),
        row.actor,
        row.action,
        row.subject,
        row.detail,
        row.personal_hmac,
    ]
    return hashlib.sha256(previous.encode() + canonical(content)).hexdigest()


def personal_hmac(key: bytes, fields: Any) -> str:
    return hmac.new(key, canonical(fields), hashlib.sha256).hexdigest()


class Audit(Repository):
    async def append(self, step_key: str, entry: AuditEntry) -> bool:
        """Idempotent by `step_key` (interaction id + step); False when it stands already."""
        key = secrets.token_bytes(32)
        audit_id = new_id()
        insert = (
            self._insert(audit)
            .values(
                tenant_id=self._tenant,
                id=audit_id,
                step_key=step_key,
                at=entry.at,
                actor=entry.actor,
                action=entry.action,
                subject=entry.subject,
                detail=dict(entry.detail),
                personal_hmac=personal_hmac(key, dict(entry.personal)),
            )
            .on_conflict_do_nothing()
            .returning(audit.c.id)
        )
        if (await self._tx.conn.execute(insert)).first() is None:
            return False
        if entry.personal:
            await self._tx.conn.execute(
                audit_personal.insert().values(
                    tenant_id=self._tenant, audit_id=audit_id, key=key, fields=dict(entry.personal)
                )
            )
        return True

    async def stands(self, step_key: str) -> bool:
        """Whether this step was done before."""
        statement = select(audit.c.id).where(audit.c.tenant_id == self._tenant, audit.c.step_key == step_key)
        return (await self._tx.conn.execute(statement)).first() is not None

    async def seal(self, limit: int = 500) -> int:
        """Chains what is unsealed; one sealer per tenant at a time (PostgreSQL: an advisory lock)."""
        if not self._tx.sqlite:
            await self._tx.conn.execute(select(func.pg_advisory_xact_lock(0x15B0, self._tenant)))
        last = (
            await self._tx.conn.execute(
                select(audit.c.seq, audit.c.hash)
                .where(audit.c.tenant_id == self._tenant, audit.c.seq.is_not(None))
                .order_by(audit.c.seq.desc())
                .limit(1)
            )
        ).first()
        seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
        rows = (
            await self._tx.conn.execute(
                select(audit)
                .where(audit.c.tenant_id == self._tenant, audit.c.seq.is_(None))
                .order_by(audit.c.id)
                .limit(limit)
            )
        ).all()
        for row in rows:
            seq, previous = seq + 1, row_hash(previous, row)
            await self._tx.conn.execute(
                update(audit)
                .where(audit.c.tenant_id == self._tenant, audit.c.id == row.id)
                .values(seq=seq, hash=previous)
            )
        return len(rows)

    async def head(self) -> ChainHead | None:
        """The last sealed row; None while nothing is sealed."""
        statement = (
            select(audit.c.seq, audit.c.hash, audit.c.at)
            .where(audit.c.tenant_id == self._tenant, audit.c.seq.is_not(None))
            .order_by(audit.c.seq.desc())
            .limit(1)
        )
        row = (await self._tx.conn.execute(statement)).first()
        return ChainHead(row.seq, row.hash, row.at) if row else None

    async def hash_at(self, seq: int) -> str | None:
        """The hash of the row with this number; None: there is none."""
        statement = select(audit.c.hash).where(audit.c.tenant_id == self._tenant, audit.c.seq == seq)
        found: str | None = (await self._tx.conn.execute(statement)).scalar_one_or_none()
        return found

    async def between(
        self, subject: str, actions: Sequence[str], since: datetime, until: datetime, limit: int = 1000
    ) -> list[AuditEntry]:
        """What was done about `subject` in [since, until), oldest first, without its personal fields."""
        c = audit.c
        statement = (
            select(audit)
            .where(
                c.tenant_id == self._tenant,
                c.subject == subject,
                c.action.in_(list(actions)),
                c.at >= since,
                c.at < until,
            )
            .order_by(c.at, c.id)
            .limit(limit)
        )
        rows = await self._tx.conn.execute(statement)
        return [AuditEntry(row.at, row.actor, row.action, row.subject, row.detail) for row in rows]

    async def verify(self) -> int | None:
        """The first sequence number at which the chain does not hold; None when all of it holds.

        Personal fields that are still there must be those that the chain knows; erased ones prove nothing.
        """
        previous = GENESIS
        expected = 1
        statement = (
            select(audit, audit_personal.c.key, audit_personal.c.fields)
            .outerjoin(
                audit_personal,
                (audit_personal.c.tenant_id == audit.c.tenant_id) & (audit_personal.c.audit_id == audit.c.id),
            )
            .where(audit.c.tenant_id == self._tenant, audit.c.seq.is_not(None))
            .order_by(audit.c.seq)
        )
        for row in await self._tx.conn.execute(statement):
            previous = row_hash(previous, row)
            if row.seq != expected or row.hash != previous:
                return expected
            if row.key is not None and personal_hmac(row.key, row.fields) != row.personal_hmac:
                return expected
            expected += 1
        return None

    async def erase(self, subject: str) -> int:
        """Forgets the personal fields of every row about `subject`; the chain still holds."""
        mine = select(audit.c.id).where(audit.c.tenant_id == self._tenant, audit.c.subject == subject)
        result = await self._tx.conn.execute(
            delete(audit_personal).where(
                audit_personal.c.tenant_id == self._tenant, audit_personal.c.audit_id.in_(mine)
            )
        )
        return int(result.rowcount)

    async def of(self, subject: str, limit: int = 50) -> list[AuditEntry]:
        statement = (
            select(audit, audit_personal.c.fields)
            .outerjoin(
                audit_personal,
                (audit_personal.c.tenant_id == audit.c.tenant_id) & (audit_personal.c.audit_id == audit.c.id),
            )
            .where(audit.c.tenant_id == self._tenant, audit.c.subject == subject)
            .order_by(audit.c.id.desc())
            .limit(limit)
        )
        return [
            AuditEntry(row.at, row.actor, row.action, row.subject, row.detail, row.fields or {})
            for row in await self._tx.conn.execute(statement)
        ]
