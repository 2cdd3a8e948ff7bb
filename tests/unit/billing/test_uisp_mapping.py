"""What UISP answers becomes records of the mirror, or a sentence that repeats none of its values."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.uisp import mapping
from billing.uisp.mapping import Problems, Unreadable
from store.models import (
    Channel,
    ContactRole,
    Facts,
    InvoiceStatus,
    PackageKind,
    PackageStatus,
    SubscriberKind,
    SubscriberStatus,
)
from store.money import Money

FACTS = Facts("uisp", datetime(2026, 3, 2, 9, tzinfo=UTC))
ZONE = ZoneInfo("America/Los_Angeles")
TODAY = date(2026, 3, 2)
CLIENT: dict[str, Any] = {
    "id": 42,
    "userIdent": "1042",
    "clientType": 1,
    "firstName": "Maria",
    "lastName": "Santos",
    "companyName": None,
    "isArchived": False,
    "street1": "1 Oak St",
    "street2": "Apt  2",
    "city": "Bend",
    "zipCode": "97701",
    "contacts": [],
    "accountBalance": Decimal("-49.90"),
    "accountOutstanding": Decimal("49.90"),
    "currencyCode": "USD",
}
SERVICE: dict[str, Any] = {
    "id": 7,
    "clientId": 42,
    "name": "Fiber 500",
    "servicePlanType": "Internet",
    "status": 1,
    "price": Decimal("79.9"),
    "totalPrice": Decimal("84.9"),
    "currencyCode": "USD",
    "activeTo": None,
    "ipRanges": ["203.0.113.7/32"],
}
INVOICE: dict[str, Any] = {
    "id": 9,
    "clientId": 42,
    "number": "2026000123",
    "createdDate": "2026-03-01T00:00:00-0800",
    "dueDate": "2026-03-15T00:00:00-0700",
    "total": Decimal("84.9"),
    "amountPaid": 0,
    "currencyCode": "USD",
    "status": 1,
}


def client(**changed: Any) -> mapping.Client:
    return mapping.client(CLIENT | changed, FACTS, language="es", region="US")


def invoice(**changed: Any) -> mapping.InvoiceFacts:
    return mapping.invoice(INVOICE | changed, ZONE)


def service(**changed: Any) -> mapping.ServiceFacts:
    return mapping.service(SERVICE | changed, TODAY, ZONE)


def test_a_client_becomes_a_subscriber() -> None:
    found = client()
    record = found.record
    assert found.remote_id == "42"
    assert (record.account, record.name, record.language) == ("1042", "Maria Santos", "es")
    assert (record.address, record.city, record.postal_code) == ("1 Oak St Apt 2", "Bend", "97701")
    assert (record.kind, record.status) == (SubscriberKind.RESIDENTIAL, SubscriberStatus.ACTIVE)
    assert record.balance == Money(4990, "USD"), "what is owed is positive here, and a credit there"


def test_a_client_without_a_number_of_their_own_is_called_by_uisps_id() -> None:
    assert client(userIdent=None).record.account == "42"
    assert client(userIdent="  ").record.account == "42"


def test_a_credit_is_below_zero_here() -> None:
    assert client(accountBalance=Decimal("12.5")).record.balance == Money(-1250, "USD")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"isArchived": True}, SubscriberStatus.ARCHIVED),
        ({"isLead": True}, SubscriberStatus.PROSPECT),
        ({"isArchived": True, "isLead": True}, SubscriberStatus.ARCHIVED),
    ],
)
def test_archived_clients_and_leads_are_known_as_such(
    changed: dict[str, Any], status: SubscriberStatus
) -> None:
    assert client(**changed).record.status is status


def test_a_company_is_called_by_its_name_and_a_nameless_client_by_its_id() -> None:
    assert client(clientType=2, companyName="Cinder Brewing").record.name == "Cinder Brewing"
    assert client(clientType=2, companyName=None).record.name == "Maria Santos"
    assert client(firstName=None, lastName="").record.name == "Client 42"


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("49.90", "USD", 4990),
        ("49.900000000000006", "USD", 4990),
        ("-0.01", "USD", -1),
        ("1200", "JPY", 1200),
        ("1.234", "KWD", 1234),
    ],
)
def test_amounts_are_minor_units_of_their_currency(amount: str, currency: str, minor: int) -> None:
    parsed = json.loads(amount, parse_float=Decimal)
    assert mapping.money(Decimal(parsed), currency) == Money(minor, currency)


@pytest.mark.parametrize(("amount", "currency"), [("49.905", "USD"), ("1.5", "JPY"), ("1e40", "USD")])
def test_an_amount_that_its_currency_does_not_have_is_an_error(amount: str, currency: str) -> None:
    with pytest.raises(Unreadable):
        mapping.money(Decimal(amount), currency)


def test_each_address_of_a_field_counts_and_goes_by_its_contacts_role() -> None:
    contacts = [
        {"id": 1, "email": "ann@a.example, bob@b.example", "phone": "541-555-0100", "isBilling": True},
        {"id": 2, "email": "Site@C.example", "phone": None, "isBilling": False, "isContact": True},
        {"id": 3, "email": "noc@d.example", "types": [{"id": 5, "name": "Technical"}]},
        {"id": 4, "email": "both@e.example", "isBilling": True, "isContact": True},
        {"id": 5, "email": "nobody at all", "phone": "541-555-0101 / 541-555-0102"},
    ]
    found = [(p.role, p.channel, p.address) for p in client(contacts=contacts).record.points]
    assert found == [
        (ContactRole.BILLING, Channel.EMAIL, "ann@a.example"),
        (ContactRole.BILLING, Channel.EMAIL, "bob@b.example"),
        (ContactRole.BILLING, Channel.SMS, "+15415550100"),
        (ContactRole.SERVICE, Channel.EMAIL, "site@c.example"),
        (ContactRole.TECHNICAL, Channel.EMAIL, "noc@d.example"),
        (ContactRole.BILLING, Channel.EMAIL, "both@e.example"),
        (ContactRole.SERVICE, Channel.EMAIL, "both@e.example"),
        (ContactRole.SERVICE, Channel.EMAIL, "nobody at all"),
        (ContactRole.SERVICE, Channel.SMS, "+15415550101"),
        (ContactRole.SERVICE, Channel.SMS, "+15415550102"),
    ]
    broken = client(contacts=contacts).record.points[7]
    assert broken.problem is not None, "kept, so that somebody can mend it"


def test_tags_come_along_and_no_tags_at_all_say_nothing() -> None:
    assert client(tags=[{"id": 1, "name": " Fire-2026 "}, {"id": 2, "name": ""}]).record.tags == (
        "fire-2026",
    )
    assert client().record.tags is None


@pytest.mark.parametrize(("code", "status"), list(mapping.SERVICE_STATUSES.items()))
def test_each_status_of_a_service_has_one_of_ours(code: int, status: PackageStatus) -> None:
    assert service(status=code).status is status


@pytest.mark.parametrize(
    ("plan", "name", "kind"),
    [
        ("Internet", "Voice and fiber", PackageKind.INTERNET),
        ("General", "VoIP line", PackageKind.VOICE),
        ("General", "Stream TV Basic", PackageKind.TV),
        ("General", "Static IP", PackageKind.INTERNET),
    ],
)
def test_what_a_plan_is_its_type_or_its_name_tells(plan: str, name: str, kind: PackageKind) -> None:
    assert service(servicePlanType=plan, name=name).kind is kind


def test_a_service_becomes_a_package_that_holds_itself() -> None:
    found = service(activeTo="2026-06-01T00:00:00-0700")
    assert (found.ref, mapping.service_of(found.ref)) == ("uisp:7", "7")
    assert (found.price, found.status_until) == (Money(8490, "USD"), date(2026, 6, 1))
    assert (found.service.name, found.service.ip) == ("Fiber 500", "203.0.113.7")
    assert service(activeTo="2020-06-01T00:00:00-0700").status_until is None
    assert service(ipRanges=["nonsense"]).service.ip is None
    assert service(totalPrice=None).price == Money(7990, "USD")
    assert mapping.service_of("P-1") is None


@pytest.mark.parametrize(("code", "status"), list(mapping.INVOICE_STATUSES.items()))
def test_each_status_of_an_invoice_has_one_of_ours(code: int, status: InvoiceStatus) -> None:
    assert invoice(status=code).status is status


def test_an_invoice_is_dated_by_the_providers_own_calendar() -> None:
    found = invoice(createdDate="2026-03-02T07:30:00+0000")
    assert (found.issued_on, found.due_on) == (date(2026, 3, 1), date(2026, 3, 15))
    assert invoice(dueDate=None).due_on == date(2026, 3, 1)


def test_what_is_written_off_is_owed_no_more_and_a_draft_has_no_number_yet() -> None:
    assert invoice(uncollectible=True).status is InvoiceStatus.UNCOLLECTIBLE
    assert invoice(uncollectible=True, status=3).status is InvoiceStatus.PAID
    assert invoice(number=None, status=0).number == "draft-9"


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (client, {"id": None}),
        (client, {"id": True}),
        (client, {"id": -3}),
        (client, {"clientType": 3}),
        (client, {"clientType": []}),
        (client, {"currencyCode": "XXQ"}),
        (client, {"currencyCode": None}),
        (client, {"accountBalance": "12"}),
        (client, {"accountBalance": None}),
        (client, {"accountBalance": Decimal("NaN")}),
        (client, {"userIdent": "x" * 41}),
        (client, {"contacts": [{"email": "x" * 501 + "@a.example"}]}),
        (service, {"status": 9}),
        (service, {"status": None}),
        (service, {"clientId": None}),
        (service, {"activeTo": "soon"}),
        (invoice, {"status": 6}),
        (invoice, {"amountPaid": 100}),
        (invoice, {"createdDate": None}),
        (invoice, {"number": "9" * 41}),
        (invoice, {"total": True}),
    ],
)
def test_what_cannot_be_read_is_said_without_its_values(kind: Any, changed: dict[str, Any]) -> None:
    with pytest.raises(Unreadable) as told:
        kind(**changed)
    sentence = str(told.value)
    assert sentence.endswith(".")
    assert "Santos" not in sentence
    assert "XXQ" not in sentence


def test_a_problem_names_the_entry_by_its_id() -> None:
    problems = Problems()
    problems.note("client", {"id": 7}, "It has no accountBalance.")
    problems.note("client", [], "It has no id.")
    assert problems.told == [("client 7", "It has no accountBalance."), ("client ?", "It has no id.")]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(
        [
            *((client, name) for name in sorted(CLIENT | {"tags": 0, "isLead": 0})),
            *((service, name) for name in sorted(SERVICE)),
            *((invoice, name) for name in sorted(INVOICE)),
        ]
    ),
    VALUES,
)
def test_no_value_anywhere_does_more_than_be_refused(which: tuple[Any, str], value: Any) -> None:
    read, name = which
    with suppress(Unreadable):
        read(**{name: value})
