"""Links to invoice pages: one for a message, kept with it, told apart by tenant; on both databases."""

from __future__ import annotations

from datetime import timedelta

from notifier.keys import Keyring
from notifier.links import LIFETIME, Wanted, link_for, links_for, make_code, read_code
from store.models import Invoice, InvoiceLink
from store.types import new_id
from store.unit import Store
from tests.builders import KEYRING, NOW, invoice_record, subscriber_record
from tests.conftest import FakeClock

URL = "https://bills.example"


async def an_invoice(store: Store, number: str = "20042", payer: str | None = None) -> Invoice:
    """Account 1103's, of the parent 1100 when asked."""
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert(
            [subscriber_record("1100"), subscriber_record("1103", payer_account=payer)]
        )
        await tx.invoices.upsert([invoice_record(ids["1103"], number)])
        found = await tx.invoices.by_number(number)
    assert found is not None
    return found


async def link(store: Store, invoice: Invoice, key: str = "k", keyring: Keyring = KEYRING) -> InvoiceLink:
    async with store.begin(1) as tx:
        url = await link_for(tx, keyring, URL, invoice, key=key)
    assert url.startswith(f"{URL}/i/")
    async with store.read(1) as tx:
        found = await tx.links.by_code(url.rpartition("/")[2])
    assert found is not None
    return found


async def test_a_link_is_kept_with_whom_it_went_to_and_how_long_it_is_good(store: Store) -> None:
    invoice = await an_invoice(store)
    found = await link(store, invoice)
    assert (found.invoice_id, found.subscriber_id) == (invoice.id, invoice.subscriber_id)
    assert (found.failed, found.opened_at, found.created_at) == (0, None, NOW)
    assert found.expires_at == NOW + LIFETIME
    assert read_code(KEYRING, found.code) == 1


async def test_the_same_message_has_the_same_link_also_later_and_under_newer_keys(
    store: Store, clock: FakeClock
) -> None:
    invoice = await an_invoice(store)
    first = await link(store, invoice, keyring=Keyring.parse("1:the older of two secrets"))
    clock.advance(days=2)
    assert await link(store, invoice) == first
    assert await link(store, invoice, "another message") != first


async def test_the_link_to_a_child_s_invoice_belongs_to_whoever_pays(store: Store) -> None:
    invoice = await an_invoice(store, payer="1100")
    async with store.read(1) as tx:
        payer = await tx.subscribers.by_account("1100")
    assert payer is not None
    assert (await link(store, invoice)).subscriber_id == payer.id


async def test_a_payer_that_is_not_on_file_leaves_the_link_with_the_owner(store: Store) -> None:
    invoice = await an_invoice(store, payer="9999")
    assert (await link(store, invoice)).subscriber_id == invoice.subscriber_id


async def test_hundreds_of_links_come_in_the_order_they_were_asked_for(store: Store) -> None:
    invoice, other = await an_invoice(store), await an_invoice(store, "20043")
    wanted = [Wanted((invoice, other)[n % 2], f"run:{n}") for n in range(601)] + [Wanted(invoice, "run:0")]
    async with store.begin(1) as tx:
        urls = await links_for(tx, KEYRING, URL, wanted, lifetime=timedelta(days=3))
        again = await links_for(tx, KEYRING, URL, wanted)
        found = await tx.links.by_code(urls[1].rpartition("/")[2])
    assert urls == again
    assert len(set(urls)) == 601
    assert urls[-1] == urls[0]
    assert found is not None
    assert (found.invoice_id, found.expires_at) == (other.id, NOW + timedelta(days=3))


async def test_two_links_of_one_code_do_not_share_it(store: Store) -> None:
    invoice = await an_invoice(store)
    first = await link(store, invoice)
    async with store.begin(1) as tx:
        taken = InvoiceLink(new_id(), first.code, invoice.id, invoice.subscriber_id, NOW, NOW)
        assert await tx.links.add([taken]) == {}
    assert make_code(KEYRING, 1, first.id, salt=1) != first.code


async def test_another_tenant_does_not_find_the_code(store: Store) -> None:
    found = await link(store, await an_invoice(store))
    async with store.read(2) as tx:
        assert await tx.links.by_code(found.code) is None


async def test_opening_counts_once_and_wrong_tries_add_up(store: Store, clock: FakeClock) -> None:
    found = await link(store, await an_invoice(store))
    for _ in range(2):
        clock.advance(minutes=5)
        async with store.begin(1) as tx:
            await tx.links.opened(found.id)
            await tx.links.wrong_zip(found.id)
    async with store.begin(1) as tx:
        seen = await tx.links.by_code(found.code, lock=True)
    assert seen is not None
    assert (seen.opened_at, seen.failed) == (NOW + timedelta(minutes=5), 2)
