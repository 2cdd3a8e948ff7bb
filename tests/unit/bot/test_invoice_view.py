"""The invoice page as people read it: states, languages, tries, and nothing personal before the ZIP code."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.invoice_view import POLICY, invoice_html, notice_html
from bot.invoice_words import WORDS, language_of
from handlers.invoice_page import Gate, InvoicePage, PageState, Tried, state_of, zip_key
from handlers.profile import Brand
from store.models import Invoice, InvoiceLink, InvoiceStatus, Subscriber, SubscriberKind, SubscriberStatus
from tests.builders import FACTS, NOW, usd
from tests.unit.handlers.support import profile

INVOICE = Invoice(
    UUID(int=1),
    UUID(int=2),
    "20042",
    InvoiceStatus.OPEN,
    date(2026, 2, 1),
    date(2026, 3, 15),
    usd("49.90"),
    usd("0"),
    1,
    FACTS,
)
READER = Subscriber(
    id=UUID(int=2),
    account="1042",
    kind=SubscriberKind.RESIDENTIAL,
    status=SubscriberStatus.ACTIVE,
    name="Dana Whitfield",
    language="en",
    time_zone=None,
    address="12 Alder Street",
    city="Bend",
    region="OR",
    postal_code="97701",
    payer_account=None,
    balance=usd("49.90"),
    invoice_notices=True,
    facts=FACTS,
)
LINK = InvoiceLink(UUID(int=3), "c" * 18, INVOICE.id, READER.id, NOW + timedelta(days=30), NOW)
PORTAL = "https://my.cascade.example/pay"


def page(
    *,
    today: date = date(2026, 3, 2),
    failed: int = 0,
    expired: bool = False,
    desk: dict[str, Any] | None = None,
    reader: dict[str, Any] | None = None,
    **invoice: Any,
) -> InvoicePage:
    return InvoicePage(
        profile(**({"portal_url": PORTAL} | (desk or {}))),
        replace(LINK, failed=failed),
        replace(INVOICE, **invoice),
        replace(READER, **(reader or {})),
        today,
        expired,
    )


class Reader(HTMLParser):
    """What a browser would make of it: texts, and elements with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._in = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in != "style" and data.strip():
            self.words.append(" ".join(data.split()))

    def one(self, tag: str, **attributes: str) -> dict[str, str | None] | None:
        wanted = attributes.items()
        return next((a for t, a in self.elements if t == tag and wanted <= a.items()), None)


def read(found: InvoicePage, tried: Tried | None = None, **more: Any) -> Reader:
    return Reader(invoice_html(found, tried, **more))


@pytest.mark.parametrize(
    ("status", "paid", "today", "state"),
    [
        (InvoiceStatus.OPEN, "0", date(2026, 3, 14), PageState.DUE),
        (InvoiceStatus.OPEN, "0", date(2026, 3, 15), PageState.DUE),
        (InvoiceStatus.OPEN, "0", date(2026, 3, 16), PageState.OVERDUE),
        (InvoiceStatus.PARTIALLY_PAID, "10", date(2026, 3, 16), PageState.OVERDUE),
        (InvoiceStatus.PARTIALLY_PAID, "49.90", date(2026, 3, 16), PageState.PAID),
        (InvoiceStatus.OPEN, "60", date(2026, 3, 1), PageState.PAID),
        (InvoiceStatus.PAID, "49.90", date(2026, 3, 16), PageState.PAID),
        (InvoiceStatus.PAID, "0", date(2026, 3, 16), PageState.PAID),
        (InvoiceStatus.VOID, "0", date(2026, 3, 16), PageState.VOID),
        (InvoiceStatus.UNCOLLECTIBLE, "0", date(2026, 3, 16), PageState.CALL),
        (InvoiceStatus.DRAFT, "0", date(2026, 3, 1), PageState.CALL),
    ],
)
def test_what_the_page_says_follows_the_facts(
    status: InvoiceStatus, paid: str, today: date, state: PageState
) -> None:
    assert state_of(replace(INVOICE, status=status, paid=usd(paid)), today) is state


def test_an_invoice_to_be_paid_shows_amount_date_and_where_to_pay() -> None:
    found = read(page())
    assert {"Cascade Fiber", "Invoice 20042", "Amount due", "$49.90", "Due Mar 15, 2026"} <= set(found.words)
    button = found.one("a", href=PORTAL)
    assert button is not None
    assert "Pay online" in found.words
    assert any(word.startswith("As of Mar 2, 2026, 1:00 AM.") for word in found.words)
    assert found.one("a", href="tel:5415550100") is not None
    assert found.one("a", href="mailto:help@cascade.example") is not None


def test_a_late_invoice_says_so_and_what_is_paid_of_it() -> None:
    found = read(page(today=date(2026, 3, 20), paid=usd("10"), status=InvoiceStatus.PARTIALLY_PAID))
    assert {"Past due", "$39.90", "Was due Mar 15, 2026", "$10.00 of $49.90 is paid already."} <= set(
        found.words
    )


def test_a_paid_invoice_thanks_and_asks_for_no_money() -> None:
    found = read(page(status=InvoiceStatus.PAID, paid=usd("49.90")))
    assert {"Paid, thank you", "$49.90", "Nothing more is due on this invoice."} <= set(found.words)
    assert found.one("a", href=PORTAL) is None
    assert found.one("input", id="zip") is not None, "a paid invoice can still be had as a PDF"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (InvoiceStatus.VOID, "This invoice was cancelled. You do not have to pay it."),
        (
            InvoiceStatus.UNCOLLECTIBLE,
            "Call 541-555-0100 or write to help@cascade.example about this invoice.",
        ),
    ],
)
def test_an_invoice_that_is_not_to_be_paid_has_no_button_and_no_pdf(status: InvoiceStatus, says: str) -> None:
    found = read(page(status=status))
    assert says in found.words
    assert found.one("a", href=PORTAL) is None
    assert found.one("form") is None
    assert "$49.90" not in found.words


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("failed", [0, 3, 5])
@pytest.mark.parametrize("status", list(InvoiceStatus))
def test_no_page_tells_who_the_subscriber_is(status: InvoiceStatus, failed: int, expired: bool) -> None:
    html = invoice_html(page(status=status, failed=failed, expired=expired), Tried.WRONG if failed else None)
    for secret in ("Dana", "Whitfield", "Alder", "Bend", "97701", "1042"):
        assert secret not in html, secret


def test_the_zip_code_is_asked_for_with_the_number_keys() -> None:
    found = read(page())
    field = found.one("input", id="zip")
    assert field is not None
    assert (field["inputmode"], field["autocomplete"], field["name"]) == ("numeric", "postal-code", "zip")
    assert found.one("label", **{"for": "zip"}) is not None
    form = found.one("form")
    assert form is not None
    assert (form["method"], form.get("action")) == ("post", None), (
        "to where the page is, also behind a prefix"
    )
    assert "ZIP code of your service address" in found.words


def test_elsewhere_a_postal_code_may_have_letters() -> None:
    found = read(page(desk={"region": "CA"}, reader={"postal_code": "V5K 0A1"}))
    field = found.one("input", id="zip")
    assert field is not None
    assert "inputmode" not in field
    assert "Postal code of your service address" in found.words


@pytest.mark.parametrize(
    ("tried", "failed", "says"),
    [
        (Tried.WRONG, 1, "That is not the code we have on file. 4 tries left."),
        (Tried.WRONG, 4, "That is not the code we have on file. One try left."),
        (Tried.UNREADABLE, 2, "Type the 5 digits of your ZIP code. This did not count as a try."),
    ],
)
def test_a_try_that_failed_says_what_next(tried: Tried, failed: int, says: str) -> None:
    found = read(page(failed=failed), tried)
    assert says in found.words
    assert found.one("p", role="alert") is not None
    field = found.one("input", id="zip")
    assert field is not None
    assert field["aria-invalid"] == "true"


@pytest.mark.parametrize("tried", [None, Tried.WRONG, Tried.REFUSED])
def test_after_five_wrong_tries_the_page_says_whom_to_call(tried: Tried | None) -> None:
    found = read(page(failed=5), tried)
    assert found.one("form") is None
    assert any(
        "Call 541-555-0100 or write to help@cascade.example, and we will send it" in w for w in found.words
    )
    assert "$49.90" in found.words, "the amount stays readable"


@pytest.mark.parametrize("postal", ["", "  ", "unknown", "9770"])
def test_without_a_zip_code_on_file_nothing_is_asked(postal: str) -> None:
    found = page(reader={"postal_code": postal})
    assert found.gate is Gate.NO_ZIP
    assert read(found).one("form") is None
    assert any(word.startswith("Call 541-555-0100") and "no ZIP code" in word for word in read(found).words)


def test_a_pdf_that_cannot_be_made_now_says_so() -> None:
    found = read(page(), failed=True)
    assert any("try again in a few minutes, or call 541-555-0100" in word for word in found.words)


def test_an_expired_link_shows_no_amount_and_what_to_do() -> None:
    found = read(page(expired=True))
    assert "This link has expired" in found.words
    assert any("we will send you a new one" in word for word in found.words)
    assert found.one("a", href=PORTAL) is not None
    assert not any("$" in word for word in found.words)
    assert found.one("form") is None


def test_a_provider_without_telephone_or_portal_names_its_mail() -> None:
    desk = {"brand": Brand("Rio", "help@rio.example"), "portal_url": ""}
    found = read(page(desk=desk, failed=5))
    assert any("Write to help@rio.example" in word for word in found.words)
    assert not any((a.get("href") or "").startswith(("tel:", "http")) for t, a in found.elements if t == "a")


@pytest.mark.parametrize("expired", [False, True])
def test_a_spanish_subscriber_reads_spanish(expired: bool) -> None:
    html = invoice_html(page(reader={"language": "es-MX"}, expired=expired, failed=2), Tried.WRONG)
    assert '<html lang="es">' in html
    english = ("Invoice", "Due", "Amount", "code we have", "Questions", "expired")
    assert not [word for word in english if word in " ".join(Reader(html).words)]


def test_both_languages_say_the_same_things() -> None:
    assert WORDS["en"].keys() == WORDS["es"].keys()
    for key in WORDS["en"]:
        holes = [sorted(re.findall(r"{\w+}", WORDS[language][key])) for language in ("en", "es")]
        assert holes[0] == holes[1], key


@pytest.mark.parametrize(
    ("text", "language"), [("es", "es"), ("es-MX,es;q=0.9", "es"), ("en-US", "en"), ("", "en"), ("fr", "en")]
)
def test_languages_we_do_not_write_are_english(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("kind", ["unknown", "slow"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_pages_about_no_invoice_name_nobody(kind: str, language: str) -> None:
    html = notice_html(kind, language)
    assert f'<html lang="{language}">' in html
    assert "@" not in Reader(html).words
    assert Reader(html).one("a") is None


def test_the_page_loads_nothing_and_its_style_is_the_one_that_the_policy_names() -> None:
    html = invoice_html(page())
    found = Reader(html)
    assert {tag for tag, _ in found.elements}.isdisjoint({"script", "img", "iframe", "object", "base"})
    assert [a["href"] for t, a in found.elements if t == "link"] == ["data:,"]
    assert not any(name.startswith("on") or name == "style" for _, a in found.elements for name in a)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert "url(" not in style
    assert "default-src 'none'" in POLICY


hostile = st.text(max_size=60) | st.sampled_from(
    ["<script>alert(1)</script>", '"><img src=x>', "{{ 7*7 }}", "'"]
)


@settings(max_examples=60, deadline=None)
@given(hostile, hostile, hostile)
def test_no_fact_can_add_an_element(number: str, name: str, phone: str) -> None:
    plain = [tag for tag, _ in read(page(failed=5)).elements]
    found = read(page(failed=5, number=number, desk={"brand": Brand(name, "a@b.example", "1" + phone)}))
    assert [tag for tag, _ in found.elements] == plain


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("97701", "97701"),
        (" 97701 ", "97701"),
        ("97701-1234", "97701"),
        ("97701 1234", "97701"),
        ("977011234", "97701"),
        ("９７７０１", "97701"),
        ("97701\u20131234", "97701"),
        ("9 7 7 0 1", "97701"),
        ("9770", None),
        ("977011", None),
        ("97701-12", None),
        ("O7701", None),
        ("", None),
        ("97701; DROP", None),
        ("٩٧٧٠١", None),
        ("9" * 500, None),
    ],
)
def test_zip_codes_are_read_as_people_type_them(typed: str, key: str | None) -> None:
    assert zip_key(typed, "US") == key


@pytest.mark.parametrize(
    ("typed", "key"), [("v5k 0a1", "V5K0A1"), ("V5K-0A1", "V5K0A1"), ("ab", None), ("V5K 0Ä1", None)]
)
def test_postal_codes_with_letters_are_compared_without_spaces(typed: str, key: str | None) -> None:
    assert zip_key(typed, "CA") == key


@given(st.text(max_size=50), st.sampled_from(["US", "CA", "MX", "DE"]))
def test_any_text_is_a_key_of_plain_characters_or_none(text: str, region: str) -> None:
    key = zip_key(text, region)
    assert key is None or (key.isascii() and key.isalnum() and zip_key(key, region) == key)
