"""`begin`, `read` and `system` mean the same on both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import DBAPIError

from store.models import Tenant
from store.types import new_id
from store.unit import SYSTEM_TENANT, Store, in_transaction
from tests.builders import note_of, subscriber_record
from tests.conftest import FakeClock, OpenStore


async def _accounts(store: Store, tenant: int = 1) -> list[str]:
    async with store.read(tenant) as tx:
        return sorted(s.account for s in (await tx.search.words("a", 1000)).subscribers)


async def test_what_begin_wrote_is_read_afterwards(store: Store) -> None:
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("1001", name="Ada")])
    assert await _accounts(store) == ["1001"]


async def test_an_exception_leaves_nothing_behind(store: Store) -> None:
    async def fail() -> None:
        async with store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record("1001", name="Ada")])
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await _accounts(store) == []


async def test_a_refused_statement_leaves_nothing_behind_and_the_store_usable(store: Store) -> None:
    async def fail() -> None:
        async with store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record("1001", name="Ada")])
            await tx.notes.add(note_of(new_id()))  # of a subscriber that does not exist

    with pytest.raises(DBAPIError):
        await fail()
    assert await _accounts(store) == []
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("1002", name="Abel")])
    assert await _accounts(store) == ["1002"]


async def test_a_transaction_sees_its_own_writes_and_others_do_not(store: Store) -> None:
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("1001", name="Ada")])
        assert await tx.subscribers.by_account("1001") is not None
        async with store.read(1) as beside:
            assert await beside.subscribers.by_account("1001") is None


async def test_tenants_do_not_see_each_other(store: Store) -> None:
    for tenant in (1, 2):
        async with store.begin(tenant) as tx:
            await tx.subscribers.upsert([subscriber_record("1001", name=f"Ada of {tenant}")])
    for tenant in (1, 2):
        async with store.read(tenant) as tx:
            found = await tx.subscribers.by_account("1001")
            assert found is not None
            assert found.name == f"Ada of {tenant}"
            assert await tx.subscribers.count() == 1


async def test_system_carries_the_tenant_that_is_nobody(store: Store) -> None:
    async with store.system() as tx:
        assert tx.tenant == SYSTEM_TENANT
        assert [tenant.id for tenant in await tx.tenants.all()] == [1, 2]


async def test_ensuring_a_tenant_again_renames_it(store: Store) -> None:
    async with store.system() as tx:
        await tx.tenants.ensure(Tenant(2, "norte", "Norte Red", "America/Bogota"))
    async with store.read(2) as tx:
        assert (await tx.tenants.all())[1] == Tenant(2, "norte", "Norte Red", "America/Bogota")


async def test_now_is_business_time(store: Store, clock: FakeClock) -> None:
    clock.advance(days=400)
    async with store.begin(1) as tx, store.read(1) as beside:
        assert tx.now == beside.now == clock.now


async def test_in_transaction_is_true_inside_begin_read_and_system_only(store: Store) -> None:
    assert not in_transaction()
    async with store.begin(1):
        assert in_transaction()
        async with store.read(1):
            assert in_transaction()
        assert in_transaction()
    assert not in_transaction()
    async with store.system():
        assert in_transaction()
    with pytest.raises(LookupError):
        async with store.begin(1):
            raise LookupError
    assert not in_transaction()


async def test_another_task_is_not_in_this_tasks_transaction(store: Store) -> None:
    asked, answer = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def beside() -> None:
        await asked.wait()
        answer.set_result(in_transaction())

    task = asyncio.create_task(beside())
    async with store.begin(1):
        asked.set()
        assert await answer is False
    await task


async def test_a_read_transaction_cannot_write(store: Store) -> None:
    with pytest.raises(DBAPIError):
        async with store.read(1) as tx:
            await tx.subscribers.upsert([subscriber_record("1001")])


async def test_reading_works_before_anything_was_written(database_url: str, open_store: OpenStore) -> None:
    store = await open_store(database_url)
    async with store.read(1) as tx:
        assert await tx.subscribers.count() == 0


async def test_many_transactions_at_once_all_commit(store: Store) -> None:
    async def write(number: int) -> None:
        async with store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record(str(number), name="Ada")])

    await asyncio.gather(*(write(number) for number in range(60)))
    assert await _accounts(store) == sorted(str(number) for number in range(60))


async def test_one_of_many_concurrent_transactions_fails_alone(store: Store) -> None:
    async def write(number: int) -> None:
        async with store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record(str(number), name="Ada")])
            if number % 7 == 3:
                await tx.notes.add(note_of(new_id()))

    results = await asyncio.gather(*(write(number) for number in range(40)), return_exceptions=True)
    failed = {number for number, result in enumerate(results) if isinstance(result, DBAPIError)}
    assert failed == {number for number in range(40) if number % 7 == 3}
    assert await _accounts(store) == sorted(str(n) for n in range(40) if n % 7 != 3)


async def test_concurrent_increments_are_not_lost(store: Store) -> None:
    async with store.begin(1) as tx:
        await tx.posts.want("delivery", "k", "C_SUPPORT")

    async def bump() -> None:
        async with store.system() as tx:
            await tx.posts.bump("delivery", [(1, "k")])

    await asyncio.gather(*(bump() for _ in range(25)))
    async with store.read(1) as tx:
        assert [post.wanted for post in await tx.posts.of("delivery", "k")] == [26]


async def test_a_task_cancelled_between_statements_leaves_nothing_behind(store: Store) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record("1001", name="Ada")])
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _accounts(store) == []
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("1002", name="Abel")])
    assert await _accounts(store) == ["1002"]


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_a_task_cancelled_anywhere_harms_no_other(store: Store, turns: int) -> None:
    """The cancellation falls after some number of turns of the loop: before, within and after statements."""

    async def write(number: int) -> int:
        async with store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record(str(number), name="Ada")])
        return number

    tasks = [asyncio.create_task(write(number)) for number in range(6)]
    for _ in range(turns):
        await asyncio.sleep(0)
    victims = (tasks[0], tasks[3])
    for victim in victims:
        victim.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    others = {0, 1, 2, 3, 4, 5} - {tasks.index(victim) for victim in victims}
    assert others <= {result for result in results if isinstance(result, int)}
    told = {str(result) for result in results if isinstance(result, int)}
    assert told <= set(await _accounts(store))
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("99", name="Abel")])
    assert "99" in await _accounts(store)
