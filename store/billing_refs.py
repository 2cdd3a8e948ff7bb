"""What a remote billing system calls the things of the mirror: its id beside ours, whatever it renames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select

from store.repository import BATCH, Repository, batched
from store.tables import billing_refs


class RefKind(StrEnum):
    CLIENT = "client"
    INVOICE = "invoice"


class BillingRefs(Repository):
    async def local(self, kind: RefKind, remote_ids: Sequence[str]) -> dict[str, UUID]:
        """Ours of theirs; those that are not known are left out."""
        c = billing_refs.c
        found: dict[str, UUID] = {}
        for batch in batched(sorted(set(remote_ids)), BATCH):
            statement = select(c.remote_id, c.local_id).where(
                c.tenant_id == self._tenant, c.kind == kind, c.remote_id.in_(batch)
            )
            found.update((row.remote_id, row.local_id) for row in await self._tx.conn.execute(statement))
        return found

    async def remote(self, kind: RefKind, local_ids: Sequence[UUID]) -> dict[UUID, str]:
        """Theirs of ours; those that are not known are left out."""
        c = billing_refs.c
        found: dict[UUID, str] = {}
        for batch in batched(sorted(set(local_ids)), BATCH):
            statement = select(c.remote_id, c.local_id).where(
                c.tenant_id == self._tenant, c.kind == kind, self._among(c.local_id, batch)
            )
            found.update((row.local_id, row.remote_id) for row in await self._tx.conn.execute(statement))
        return found

    async def keep(self, kind: RefKind, refs: Mapping[str, UUID]) -> None:
        rows = [
            {"tenant_id": self._tenant, "kind": kind, "remote_id": remote, "local_id": local}
            for remote, local in refs.items()
        ]
        await self._upsert(billing_refs, ["kind", "remote_id"], rows)

    async def forget(self, kind: RefKind, remote_ids: Sequence[str]) -> None:
        """They do not stand for anything of ours any more."""
        c = billing_refs.c
        for batch in batched(sorted(set(remote_ids)), BATCH):
            await self._tx.conn.execute(
                billing_refs.delete().where(
                    c.tenant_id == self._tenant, c.kind == kind, c.remote_id.in_(batch)
                )
            )

    async def count(self, kind: RefKind) -> int:
        c = billing_refs.c
        statement = (
            select(func.count()).select_from(billing_refs).where(c.tenant_id == self._tenant, c.kind == kind)
        )
        return int((await self._tx.conn.execute(statement)).scalar_one())


__all__ = ["BillingRefs", "RefKind"]
