"""The audit's chain, notes, holds and billing acts, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Table, and_, delete, update

from store.models import AuditEntry
from store.tables import audit, audit_personal
from store.unit import Store, Tx
from tests.builders import NOW


def entry(**more: Any) -> AuditEntry:
    fields: dict[str, Any] = {
        "at": NOW,
        "actor": "U_LEAD",
        "action": "delivery.resend",
        "subject": "subscriber:1042",
        "detail": {"invoice": "INV-1", "n": 2, "why": "Ünd", "nested": {"b": None, "a": [1.5, True]}},
        "personal": {"address": "dana@example.com"},
    }
    return AuditEntry(**(fields | more))


async def append(store: Store, *step_keys: str, tenant: int = 1, **more: Any) -> None:
    async with store.begin(tenant) as tx:
        for step_key in step_keys:
            await tx.audit.append(step_key, entry(**more))


async def seal(store: Store, tenant: int = 1, limit: int = 500) -> int:
    async with store.begin(tenant) as tx:
        return await tx.audit.seal(limit)


async def verify(store: Store, tenant: int = 1) -> int | None:
    async with store.read(tenant) as tx:
        return await tx.audit.verify()


def row(tx: Tx, seq: int, table: Table = audit) -> ColumnElement[bool]:
    """The row of tenant 1 with this sequence number, in either table."""
    if table is audit:
        return and_(audit.c.tenant_id == tx.tenant, audit.c.seq == seq)
    sealed = audit.select().with_only_columns(audit.c.id).where(audit.c.seq == seq)
    return and_(table.c.tenant_id == tx.tenant, table.c.audit_id.in_(sealed))


async def test_an_act_is_audited_once_however_often_its_step_runs(store: Store) -> None:
    async with store.begin(1) as tx:
        assert await tx.audit.append("i-1:resend", entry())
        assert not await tx.audit.append("i-1:resend", entry(actor="U_AGENT"))
        assert await tx.audit.append("i-1:other", entry(personal={}))
    async with store.begin(2) as tx:
        assert await tx.audit.append("i-1:resend", entry())
    async with store.read(1) as tx:
        assert await tx.audit.of("subscriber:1042") == [entry(personal={}), entry()]


async def test_an_audit_row_goes_with_its_transaction(store: Store) -> None:
    async def fail() -> None:
        async with store.begin(1) as tx:
            await tx.audit.append("k", entry())
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with store.read(1) as tx:
        assert await tx.audit.of("subscriber:1042") == []


async def test_sealing_chains_what_is_new_and_the_chain_verifies(store: Store) -> None:
    assert (await seal(store), await verify(store)) == (0, None)
    await append(store, "a", "b", "c")
    assert (await seal(store), await verify(store)) == (3, None)
    await append(store, "d")
    assert (await seal(store), await seal(store), await verify(store)) == (1, 0, None)


async def test_a_long_backlog_is_sealed_in_parts(store: Store) -> None:
    await append(store, *(f"k{n}" for n in range(7)))
    assert [await seal(store, limit=3) for _ in range(4)] == [3, 3, 1, 0]
    assert await verify(store) is None


async def test_tenants_have_chains_of_their_own(store: Store) -> None:
    await append(store, "a", "b")
    await append(store, "a", tenant=2)
    assert (await seal(store), await seal(store, tenant=2)) == (2, 1)
    assert (await verify(store), await verify(store, tenant=2)) == (None, None)


async def test_two_sealers_at_once_make_one_chain(store: Store) -> None:
    await append(store, *(f"k{n}" for n in range(30)))
    sealed = await asyncio.gather(*(seal(store, limit=8) for _ in range(6)))
    assert sum(sealed) == 30
    assert await verify(store) is None


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "U_SOMEBODY"},
        {"action": "nothing"},
        {"subject": "subscriber:1043"},
        {"detail": {"invoice": "INV-2"}},
        {"at": NOW + timedelta(microseconds=1)},
        {"step_key": "other"},
        {"personal_hmac": "0" * 64},
        {"hash": "0" * 64},
        {"seq": 9},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_tampering_with_any_column_is_found_at_its_row(store: Store, change: dict[str, Any]) -> None:
    await append(store, "a", "b", "c")
    await seal(store)
    async with store.begin(1) as tx:
        await tx.conn.execute(update(audit).where(row(tx, 2)).values(**change))
    assert await verify(store) == 2


async def test_a_row_taken_out_of_the_middle_is_missed(store: Store) -> None:
    await append(store, "a", "b", "c")
    await seal(store)
    async with store.begin(1) as tx:
        await tx.conn.execute(delete(audit).where(row(tx, 2)))
    assert await verify(store) == 2


async def test_erasing_personal_fields_keeps_the_chain(store: Store) -> None:
    await append(store, "a", "b", "c")
    await seal(store)
    async with store.begin(1) as tx:
        await tx.conn.execute(delete(audit_personal).where(row(tx, 2, audit_personal)))
    assert await verify(store) is None
    async with store.read(1) as tx:
        assert [e.personal for e in await tx.audit.of("subscriber:1042")] == [
            {"address": "dana@example.com"},
            {},
            {"address": "dana@example.com"},
        ]


async def test_personal_fields_that_were_exchanged_are_found(store: Store) -> None:
    await append(store, "a", "b", "c")
    await seal(store)
    async with store.begin(1) as tx:
        await tx.conn.execute(
            update(audit_personal)
            .where(row(tx, 2, audit_personal))
            .values(fields={"address": "other@example.com"})
        )
    assert await verify(store) == 2


async def test_the_chain_does_not_give_the_same_personal_fields_away(store: Store) -> None:
    """Two rows about one address have different HMACs: the chain alone does not even show that."""
    await append(store, "a", "b")
    async with store.read(1) as tx:
        macs = (
            (await tx.conn.execute(audit.select().with_only_columns(audit.c.personal_hmac))).scalars().all()
        )
    assert len(set(macs)) == 2
