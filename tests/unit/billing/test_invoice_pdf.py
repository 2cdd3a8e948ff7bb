"""Invoices on paper: one page, the same bytes for the same facts, and no name that breaks it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.invoice_pdf import LETTER_REGIONS, MOST_LINES, Bill, Letterhead, draw, lines_of
from handlers.profile import Brand
from store.models import (
    Invoice,
    InvoiceStatus,
    Package,
    PackageKind,
    PackageStatus,
    Subscriber,
    SubscriberKind,
    SubscriberStatus,
)
from store.money import Money
from tests.builders import FACTS, usd
from tests.pdf_text import texts

HEAD = Letterhead(
    Brand("Cascade Broadband", "help@cascade.example", "541-555-0100"),
    "US",
    "en_US",
    "https://my.cascade.example/pay",
)
OWNER_ID, PAYER_ID, INVOICE_ID = (UUID(int=n) for n in (1, 2, 3))


def person(**more: Any) -> Subscriber:
    fields: dict[str, Any] = {
        "id": OWNER_ID,
        "account": "1042",
        "kind": SubscriberKind.RESIDENTIAL,
        "status": SubscriberStatus.ACTIVE,
        "name": "José Núñez",
        "language": "en",
        "time_zone": None,
        "address": "12 Alder Street",
        "city": "Bend",
        "region": "OR",
        "postal_code": "97701",
        "payer_account": None,
        "balance": usd("0"),
        "invoice_notices": True,
        "facts": FACTS,
    }
    return Subscriber(**(fields | more))


def invoice(**more: Any) -> Invoice:
    fields: dict[str, Any] = {
        "id": INVOICE_ID,
        "subscriber_id": OWNER_ID,
        "number": "20042",
        "status": InvoiceStatus.OPEN,
        "issued_on": date(2026, 2, 1),
        "due_on": date(2026, 2, 15),
        "total": usd("89.80"),
        "paid": usd("0"),
        "revision": 1,
        "facts": FACTS,
    }
    return Invoice(**(fields | more))


def package(
    name: str, price: str, status: PackageStatus = PackageStatus.ACTIVE, currency: str = "USD"
) -> Package:
    amount = Money.parse(price, currency)
    return Package(UUID(int=9), OWNER_ID, name, name, PackageKind.INTERNET, status, None, amount, FACTS)


def bill(
    owner: Subscriber | None = None, payer: Subscriber | None = None, *packages: Package, **more: Any
) -> Bill:
    owner = owner or person()
    return Bill(invoice(**more), owner, payer or owner, packages)


def shown(found: Bill, head: Letterhead = HEAD) -> list[str]:
    content = draw(head, found)
    assert content.startswith(b"%PDF-1.")
    assert content.rstrip().endswith(b"%%EOF")
    assert content.count(b"/Type /Page\n") == 1
    return texts(content)


def test_an_invoice_shows_whose_it_is_what_is_due_and_how_to_pay() -> None:
    said = shown(bill(paid=usd("10.00"), status=InvoiceStatus.PARTIALLY_PAID))
    for text in (
        "Cascade Broadband",
        "20042",
        "Feb 1, 2026",
        "Feb 15, 2026",
        "1042",
        "José Núñez",
        "12 Alder Street",
        "Bend, OR 97701",
        "$89.80",
        "$10.00",
        "$79.80",
        "Online: https://my.cascade.example/pay",
        "By telephone: 541-555-0100",
        "Please name account 1042 and invoice 20042.",
        "Page 1 of 1",
    ):
        assert text in said, text


def test_the_same_facts_are_the_same_bytes_and_another_amount_is_not() -> None:
    assert draw(HEAD, bill()) == draw(HEAD, bill())
    assert draw(HEAD, bill()) != draw(HEAD, bill(paid=usd("0.01")))


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (InvoiceStatus.PAID, "Paid in full. Thank you."),
        (InvoiceStatus.VOID, "Cancelled. Nothing is to be paid."),
        (InvoiceStatus.UNCOLLECTIBLE, "Please call us about this invoice."),
        (InvoiceStatus.DRAFT, "Draft. Not to be paid yet."),
    ],
)
def test_an_invoice_that_is_not_open_asks_for_no_money(status: InvoiceStatus, says: str) -> None:
    said = shown(bill(status=status, paid=usd("89.80")))
    assert says in said
    assert "How to pay" not in said


@pytest.mark.parametrize("status", [InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID])
def test_an_open_invoice_tells_how_to_pay_unless_nothing_is_left(status: InvoiceStatus) -> None:
    assert "How to pay" in shown(bill(status=status))
    assert "Paid in full. Thank you." in shown(bill(status=status, paid=usd("89.80")))


def test_a_spanish_payer_gets_a_spanish_invoice() -> None:
    said = shown(bill(payer=person(language="es-MX")))
    assert {"Factura", "Importe pendiente", "15 feb 2026", "Página 1 de 1"} <= set(said)
    assert "Amount due" not in said


def test_an_invoice_paid_by_another_account_names_both() -> None:
    payer = person(
        id=PAYER_ID, account="1100", name="Harborview Hotels", address="1 Quay", postal_code="97702"
    )
    said = shown(bill(person(account="1103", name="Ray Oldfield", address="9 Hidden Lane"), payer))
    for text in ("Harborview Hotels", "1 Quay", "Service of", "Ray Oldfield", "1103"):
        assert text in said, text
    assert "9 Hidden Lane" not in said, "only whom it is billed to has an address on it"


def test_packages_stand_on_it_where_they_add_up() -> None:
    both = (package("Fiber 500", "49.90"), package("Home phone", "39.90", PackageStatus.SUSPENDED))
    assert [name for name, _ in lines_of(bill(None, None, *both))] == ["Fiber 500", "Home phone"]
    said = shown(bill(None, None, *both))
    assert {"Fiber 500", "Home phone", "$49.90", "$39.90"} <= set(said)
    assert "Services" not in said


@pytest.mark.parametrize(
    "packages",
    [
        (),
        (package("Fiber 500", "49.90"),),
        (package("Fiber 500", "89.80", currency="EUR"),),
        (package("Old", "89.80", PackageStatus.INACTIVE),),
        (package("New", "89.80", PackageStatus.PENDING),),
    ],
)
def test_packages_that_do_not_explain_the_total_are_one_line(packages: tuple[Package, ...]) -> None:
    found = bill(None, None, *packages)
    assert lines_of(found) == []
    assert "Services" in shown(found)


def test_packages_no_longer_used_do_not_count_where_the_active_ones_add_up() -> None:
    found = bill(None, None, package("Fiber", "89.80"), package("Asleep", "5", PackageStatus.HIBERNATED))
    assert [name for name, _ in lines_of(found)] == ["Fiber"]


def test_more_packages_than_fit_are_told_as_their_number() -> None:
    many = [package(f"Line {n}", "1.00") for n in range(MOST_LINES + 1)]
    said = shown(bill(None, None, *many, total=usd(str(MOST_LINES + 1))))
    assert f"Services ({MOST_LINES + 1} packages)" in said
    assert "Line 3" not in said


@pytest.mark.parametrize("name", ["王小明", "محمد", "😀", "", "  "])
def test_somebody_whose_name_cannot_be_shown_is_named_by_account(name: str) -> None:
    said = shown(bill(person(name=name)))
    assert "Account 1042" in said
    assert not any("?" in text for text in said)


@pytest.mark.parametrize(("region", "box"), [("US", "612.00 792.00"), ("DE", "595.28 841.89")])
def test_the_paper_is_the_region_s(region: str, box: str) -> None:
    assert f"/MediaBox [0 0 {box}]".encode() in draw(replace(HEAD, region=region), bill())
    assert "DE" not in LETTER_REGIONS


def test_a_provider_without_telephone_or_portal_shows_what_it_has() -> None:
    said = shown(bill(), Letterhead(Brand("Rio", "help@rio.example"), "MX", "es_MX"))
    assert "Questions: help@rio.example" in said
    assert not any(text.startswith(("Online", "By telephone")) for text in said)


hostile = st.text(max_size=80) | st.sampled_from(["(", ")", "\\", "W" * 500, "\\) Tj ET", "%%EOF", "\x00"])


@settings(max_examples=60, deadline=None)
@given(hostile, hostile, hostile, hostile, st.integers(-(10**15), 10**15))
def test_no_fact_breaks_the_page(name: str, street: str, number: str, package_name: str, total: int) -> None:
    owner = person(name=name, address=street, city=street)
    money = Money(total, "USD")
    line = replace(package("x", "1"), name=package_name, price=money)
    said = shown(bill(owner, None, line, number=number, total=money))
    assert "Page 1 of 1" in said
