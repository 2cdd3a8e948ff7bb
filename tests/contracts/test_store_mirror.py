"""Subscribers, packages and invoices: the mirror of the billing system, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest

from store.models import Channel, ContactRole, InvoiceStatus, PackageStatus, Subscriber, SubscriberStatus
from store.money import Money
from store.subscribers import SubscriberRecord
from store.types import new_id
from store.unit import Store, Tx
from tests.builders import (
    FACTS,
    NOW,
    billing_email,
    invoice_record,
    mobile,
    package_record,
    service_record,
    subscriber_record,
    usd,
)


async def put(store: Store, *records: SubscriberRecord, tenant: int = 1) -> dict[str, UUID]:
    async with store.begin(tenant) as tx:
        return await tx.subscribers.upsert(records)


async def test_a_subscriber_comes_back_as_it_was_given(store: Store) -> None:
    record = subscriber_record(
        "1001", time_zone="America/Boise", payer_account="1000", balance=Money(-5, "JPY")
    )
    ids = await put(store, record)
    async with store.read(1) as tx:
        found = await tx.subscribers.by_account("1001")
        assert found is not None
        assert await tx.subscribers.by_id(ids["1001"]) == found
    assert found.id == ids["1001"]
    for name in ("kind", "status", "name", "language", "address", "city", "region", "postal_code", "balance"):
        assert getattr(found, name) == getattr(record, name), name
    assert (found.time_zone, found.payer_account) == ("America/Boise", "1000")
    assert (found.invoice_notices, found.facts) == (True, FACTS)


async def test_an_unknown_account_is_none(store: Store) -> None:
    async with store.read(1) as tx:
        assert await tx.subscribers.by_account("9999") is None
        assert await tx.subscribers.by_id(new_id()) is None


async def test_writing_again_keeps_the_id_and_takes_the_new_facts(store: Store) -> None:
    first = await put(store, subscriber_record("1001"))
    second = await put(store, subscriber_record("1001", name="Dana Cole", status=SubscriberStatus.ARCHIVED))
    assert first == second
    async with store.read(1) as tx:
        found = await tx.subscribers.by_account("1001")
        assert found is not None
        assert (found.name, found.status) == ("Dana Cole", SubscriberStatus.ARCHIVED)
        assert [s.account for s in await named(tx, "cole", 5)] == ["1001"]
        assert await named(tx, "whitfield", 5) == []


async def test_an_account_given_twice_in_one_batch_is_one_subscriber_with_the_later_facts(
    store: Store,
) -> None:
    """An export that lists an account twice must not stop the import."""
    await put(store, subscriber_record("1001", name="Old"), subscriber_record("1001", name="New"))
    async with store.read(1) as tx:
        assert await tx.subscribers.count() == 1
        found = await tx.subscribers.by_account("1001")
    assert found is not None
    assert found.name == "New"


async def test_more_subscribers_than_fit_in_one_statement(store: Store) -> None:
    records = [
        subscriber_record(str(n), points=(billing_email(f"p{n}@example.com"),)) for n in range(1000, 2201)
    ]
    ids = await put(store, *records)
    async with store.read(1) as tx:
        assert await tx.subscribers.count() == 1201
        assert len(await tx.subscribers.by_accounts(list(ids))) == 1201
        assert len(await tx.subscribers.by_ids(list(ids.values()))) == 1201
        assert all(len(points) == 1 for points in (await tx.subscribers.points(list(ids.values()))).values())


async def test_points_keep_the_order_of_the_source_and_billing_comes_first(store: Store) -> None:
    record = subscriber_record(
        points=(
            mobile("+15417543010"),
            billing_email("z@example.com", raw="Z@Example.com"),
            billing_email("a@example.com", problem="domain does not exist"),
        )
    )
    ids = await put(store, record)
    async with store.read(1) as tx:
        points = (await tx.subscribers.points([ids["1001"]]))[ids["1001"]]
    assert [(p.role, p.channel, p.address) for p in points] == [
        (ContactRole.BILLING, Channel.EMAIL, "z@example.com"),
        (ContactRole.BILLING, Channel.EMAIL, "a@example.com"),
        (ContactRole.SERVICE, Channel.SMS, "+15417543010"),
    ]
    assert (points[0].raw, points[1].problem, points[0].facts) == (
        "Z@Example.com",
        "domain does not exist",
        FACTS,
    )


async def test_a_point_that_the_source_no_longer_has_is_removed_and_the_others_keep_their_id(
    store: Store,
) -> None:
    keep, drop = billing_email("keep@example.com"), billing_email("drop@example.com")
    ids = await put(store, subscriber_record(points=(drop, keep)))
    async with store.read(1) as tx:
        before = {p.address: p.id for p in (await tx.subscribers.points([ids["1001"]]))[ids["1001"]]}
    await put(store, subscriber_record(points=(keep,)))
    async with store.read(1) as tx:
        after = {p.address: p.id for p in (await tx.subscribers.points([ids["1001"]]))[ids["1001"]]}
        assert await tx.subscribers.by_address(Channel.EMAIL, "drop@example.com") == []
    assert after == {"keep@example.com": before["keep@example.com"]}


async def test_how_many_others_use_an_address_is_counted_and_nobody_is_named(store: Store) -> None:
    shared, own = billing_email("books@example.com"), billing_email("own@example.com")
    service = replace(shared, role=ContactRole.SERVICE)
    ids = await put(
        store,
        subscriber_record("1001", points=(shared, own, service)),
        subscriber_record("1002", points=(shared,)),
        subscriber_record("1003", points=(shared,), status=SubscriberStatus.ARCHIVED),
        subscriber_record("1004", points=(service,)),
        subscriber_record("1005", points=(shared,), payer_account="1001"),
    )
    addresses = ["books@example.com", "own@example.com", "nobody@example.com"]
    async with store.read(1) as tx:
        everybody = await tx.subscribers.sharing(Channel.EMAIL, addresses)
        others = await tx.subscribers.sharing(Channel.EMAIL, addresses, other_than=ids["1001"])
        assert await tx.subscribers.sharing(Channel.SMS, addresses) == {}
        assert await tx.subscribers.sharing(Channel.EMAIL, []) == {}
    async with store.read(2) as tx:
        assert await tx.subscribers.sharing(Channel.EMAIL, addresses) == {}
    assert everybody == {"books@example.com": 4, "own@example.com": 1}
    assert others == {"books@example.com": 2}, "1005 is billed to 1001: that is one customer"


async def test_an_address_listed_twice_in_one_field_is_one_point_at_its_first_place(store: Store) -> None:
    twice = subscriber_record(
        points=(
            billing_email("a@example.com"),
            billing_email("b@example.com"),
            billing_email("a@example.com"),
        )
    )
    ids = await put(store, twice)
    async with store.read(1) as tx:
        points = (await tx.subscribers.points([ids["1001"]]))[ids["1001"]]
    assert [(p.address, p.position) for p in points] == [("a@example.com", 0), ("b@example.com", 1)]


async def test_the_same_address_may_belong_to_several_subscribers(store: Store) -> None:
    shared = mobile("+15417543010")
    await put(store, subscriber_record("1205", points=(shared,)), subscriber_record("1204", points=(shared,)))
    await put(store, subscriber_record("1204", points=(shared,)), tenant=2)
    async with store.read(1) as tx:
        found = await tx.subscribers.by_address(Channel.SMS, "+15417543010")
        assert await tx.subscribers.by_address(Channel.EMAIL, "+15417543010") == []
    assert [s.account for s in found] == ["1204", "1205"]


async def test_those_billed_to_a_parent_are_found(store: Store) -> None:
    await put(
        store,
        subscriber_record("1100"),
        subscriber_record("1104", payer_account="1100"),
        subscriber_record("1103", payer_account="1100"),
    )
    async with store.read(1) as tx:
        assert [s.account for s in await tx.subscribers.billed_to("1100")] == ["1103", "1104"]


async def named(tx: Tx, text: str, limit: int) -> list[Subscriber]:
    hits = await tx.search.words(text, limit)
    return list(hits.subscribers) if hits.exact else []


async def test_names_are_found_by_the_start_of_any_word_whole_names_first(store: Store) -> None:
    names = {
        "1": "Grace  Anders",
        "2": "Anders Holm",
        "3": "ANDERSEN Ltd",
        "4": "Xander Wood",
        "5": "Ändra Öst",
    }
    await put(store, *(subscriber_record(account, name=name) for account, name in names.items()))
    async with store.read(1) as tx:
        assert [s.account for s in await named(tx, "anders", 10)] == ["2", "3", "1"]
        assert [s.account for s in await named(tx, "Grace And", 10)] == ["1"]
        assert [s.account for s in await named(tx, "ÄNDRA", 10)] == ["5"]
        assert len(await named(tx, "anders", 2)) == 2
        assert await named(tx, "   ", 10) == []


@pytest.mark.parametrize("wild", ["%", "_", "\\", "'", "%_%"])
async def test_a_wildcard_in_a_search_finds_nobody_by_itself(store: Store, wild: str) -> None:
    await put(store, subscriber_record("1", name="Abel"), subscriber_record("2", name="Bea Inc"))
    async with store.read(1) as tx:
        assert await named(tx, wild, 10) == []


@pytest.mark.parametrize(
    "typed", ["obrien", "O'Brien", "o’brien", "kevin obr", "KEVIN O'B", "ibanez", "Ibáñez"]
)
async def test_accents_and_apostrophes_need_not_be_typed(store: Store, typed: str) -> None:
    await put(
        store,
        subscriber_record("1", name="Kevin O'Brien"),
        subscriber_record("2", name="Lucía Ibáñez"),
    )
    async with store.read(1) as tx:
        (found,) = await named(tx, typed, 10)
    assert found.account == ("2" if typed.casefold().startswith("ib") else "1")


async def test_packages_come_with_their_services(store: Store) -> None:
    sid = (await put(store, subscriber_record()))["1001"]
    package = package_record(
        sid,
        status=PackageStatus.SUSPENDED,
        status_until=date(2026, 4, 1),
        services=(
            service_record("Voice", kind="voip"),
            service_record("Line", ip="192.0.2.7", mac="00:00:5e:00:53:01"),
        ),
    )
    async with store.begin(1) as tx:
        await tx.packages.upsert([package_record(sid, "P-2", name="TV"), package])
    async with store.read(1) as tx:
        first, second = await tx.packages.of_subscriber(sid)
    assert (first.ref, first.status, first.status_until) == ("P-1", PackageStatus.SUSPENDED, date(2026, 4, 1))
    assert [(s.name, s.kind, s.ip, s.mac) for s in first.services] == [
        ("Line", "fiber", "192.0.2.7", "00:00:5e:00:53:01"),
        ("Voice", "voip", None, None),
    ]
    assert (second.name, second.services, second.price, second.facts) == ("TV", (), usd("49.90"), FACTS)


async def test_a_package_written_again_keeps_its_id_and_its_services_theirs(store: Store) -> None:
    sid = (await put(store, subscriber_record()))["1001"]
    record = package_record(sid, services=(service_record(),))
    async with store.begin(1) as tx:
        await tx.packages.upsert([record])
        (before,) = await tx.packages.of_subscriber(sid)
        await tx.packages.upsert([replace(record, status=PackageStatus.HIBERNATED)])
        (after,) = await tx.packages.of_subscriber(sid)
    assert (after.id, after.services) == (before.id, before.services)
    assert after.status is PackageStatus.HIBERNATED


async def test_a_service_that_the_source_no_longer_has_is_removed(store: Store) -> None:
    sid = (await put(store, subscriber_record()))["1001"]
    async with store.begin(1) as tx:
        await tx.packages.upsert(
            [package_record(sid, services=(service_record("Line"), service_record("TV")))]
        )
        await tx.packages.upsert([package_record(sid, services=(service_record("Line"),))])
        (package,) = await tx.packages.of_subscriber(sid)
    assert [service.name for service in package.services] == ["Line"]


async def test_a_subscriber_without_packages_has_none(store: Store) -> None:
    async with store.read(1) as tx:
        assert await tx.packages.of_subscriber(new_id()) == []


async def test_the_same_facts_again_are_no_new_revision_of_an_invoice(store: Store) -> None:
    sid = (await put(store, subscriber_record()))["1001"]
    record = invoice_record(sid)
    later = replace(record, facts=replace(FACTS, as_of=NOW + timedelta(days=1)))
    async with store.begin(1) as tx:
        for one in (record, record, later):
            await tx.invoices.upsert([one])
        found = await tx.invoices.by_number("INV-1")
    assert found is not None
    assert (found.revision, found.due, found.facts) == (1, usd("49.90"), later.facts)


@pytest.mark.parametrize(
    "change",
    [
        {"total": usd("59.90")},
        {"issued_on": date(2026, 2, 2)},
        {"due_on": date(2026, 2, 20)},
        {"total": Money(4990, "EUR"), "paid": Money(0, "EUR")},
        {"paid": usd("10.00"), "status": InvoiceStatus.PARTIALLY_PAID},
        {"status": InvoiceStatus.VOID},
    ],
)
async def test_another_amount_date_or_status_is_a_new_revision_under_the_same_id(
    store: Store, change: dict[str, object]
) -> None:
    sid = (await put(store, subscriber_record()))["1001"]
    record = invoice_record(sid)
    async with store.begin(1) as tx:
        await tx.invoices.upsert([record])
        first = await tx.invoices.by_number("INV-1")
        await tx.invoices.upsert([replace(record, **change)])  # type: ignore[arg-type]  # fields by name
        second = await tx.invoices.by_number("INV-1")
        await tx.invoices.upsert([record])
        third = await tx.invoices.by_number("INV-1")
    assert first is not None
    assert second is not None
    assert third is not None
    assert [i.revision for i in (first, second, third)] == [1, 2, 3]
    assert first.id == second.id == third.id


async def test_an_invoice_comes_back_as_it_was_given(store: Store) -> None:
    sid = (await put(store, subscriber_record()))["1001"]
    record = invoice_record(sid, total=Money(1234567, "KWD"), paid=Money(1, "KWD"))
    async with store.begin(1) as tx:
        await tx.invoices.upsert([record])
        found = await tx.invoices.by_number("INV-1")
        assert found is not None
        assert await tx.invoices.by_id(found.id) == found
        assert await tx.invoices.by_ids([found.id, new_id()]) == {found.id: found}
        assert await tx.invoices.by_number("INV-2") is None
        assert await tx.invoices.by_id(new_id()) is None
    for name in ("subscriber_id", "number", "status", "issued_on", "due_on", "total", "paid", "facts"):
        assert getattr(found, name) == getattr(record, name), name


async def test_the_latest_invoices_are_newest_first_without_drafts(store: Store) -> None:
    sid = (await put(store, subscriber_record()))["1001"]
    records = [
        invoice_record(sid, f"INV-{n}", issued_on=date(2026, 1, 1) + timedelta(days=n)) for n in range(1, 6)
    ]
    records[4] = replace(records[4], status=InvoiceStatus.DRAFT)
    async with store.begin(1) as tx:
        await tx.invoices.upsert(records)
        assert [i.number for i in await tx.invoices.latest(sid)] == ["INV-4", "INV-3", "INV-2"]
        assert [i.number for i in await tx.invoices.latest(sid, limit=1)] == ["INV-4"]


async def test_invoices_issued_between_two_days_include_both(store: Store) -> None:
    sid = (await put(store, subscriber_record()))["1001"]
    async with store.begin(1) as tx:
        await tx.invoices.upsert(
            [invoice_record(sid, f"INV-{day}", issued_on=date(2026, 1, day)) for day in (1, 2, 3, 4)]
        )
        found = await tx.invoices.issued_between(date(2026, 1, 2), date(2026, 1, 3))
    assert [i.number for i in found] == ["INV-2", "INV-3"]


async def test_the_mirror_of_one_tenant_is_not_the_others(store: Store) -> None:
    sid = (await put(store, subscriber_record()))["1001"]
    async with store.begin(1) as tx:
        await tx.packages.upsert([package_record(sid)])
        await tx.invoices.upsert([invoice_record(sid)])
    async with store.read(2) as tx:
        assert await tx.subscribers.by_account("1001") is None
        assert (await tx.subscribers.points([sid]))[sid] == []
        assert await tx.packages.of_subscriber(sid) == []
        assert await tx.invoices.by_number("INV-1") is None
        assert await tx.invoices.latest(sid) == []


async def test_instants_keep_their_microseconds_and_come_back_in_utc(store: Store) -> None:
    odd = NOW.replace(microsecond=123457)
    await put(store, subscriber_record(facts=replace(FACTS, as_of=odd)))
    async with store.read(1) as tx:
        found = await tx.subscribers.by_account("1001")
    assert found is not None
    assert found.facts.as_of == odd
    assert found.facts.as_of.utcoffset() == timedelta(0)
