"""What subscribers read, kind by kind in both languages; golden/templates holds the words themselves."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from notifier import contexts
from notifier.sms_text import Encoding, count_segments
from notifier.templates import TemplateProblem, load, render, render_sms
from store.models import (
    Facts,
    Invoice,
    InvoiceStatus,
    NotificationKind,
    Package,
    PackageKind,
    PackageStatus,
    Subscriber,
    SubscriberKind,
    SubscriberStatus,
)
from store.types import derived_id, new_id
from tests.builders import NOW, usd

GOLDEN = Path(__file__).parent / "golden" / "templates"
LINK = "https://in.cascade.example/i/Xk3vB9qTz0aL"
FACTS = Facts("local", NOW)
INVOICE_KINDS = (
    NotificationKind.INVOICE_ISSUED,
    NotificationKind.REMINDER,
    NotificationKind.OVERDUE,
    NotificationKind.RESEND,
)
KINDS = (*INVOICE_KINDS, NotificationKind.SUSPENDED, NotificationKind.UNSUSPENDED)
LANGUAGES = ("en", "es")


@dataclass(frozen=True)
class Cascade:
    name: str = "Cascade Broadband"
    support_email: str = "help@cascade.example"
    support_phone: str = "541-555-0100"


def subscriber(language: str) -> Subscriber:
    return Subscriber(
        id=derived_id(new_id(), "subscriber"),
        account="1042",
        kind=SubscriberKind.RESIDENTIAL,
        status=SubscriberStatus.ACTIVE,
        name="Maria Santos",
        language=language,
        time_zone=None,
        address="12 Alder Street",
        city="Bend",
        region="OR",
        postal_code="97701",
        payer_account=None,
        balance=usd("129.90"),
        invoice_notices=True,
        facts=FACTS,
    )


def invoice(**more: Any) -> Invoice:
    made = Invoice(
        id=new_id(),
        subscriber_id=new_id(),
        number="200422",
        status=InvoiceStatus.OPEN,
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 11, 15),
        total=usd("129.90"),
        paid=usd("0.00"),
        revision=1,
        facts=FACTS,
    )
    return replace(made, **more)


PACKAGE = Package(
    new_id(),
    new_id(),
    "P-1",
    "Fiber 500",
    PackageKind.INTERNET,
    PackageStatus.SUSPENDED,
    None,
    usd("59"),
    FACTS,
)


def sample(
    kind: NotificationKind, language: str, *, brand: Cascade | None = None, **more: Any
) -> dict[str, Any]:
    """The context as the product makes it, with what senders add to it."""
    person, portal = subscriber(language), "https://pay.cascade.example"
    made: dict[str, Any] = (
        contexts.invoice_context(brand or Cascade(), "en_US", portal, invoice(), person, person)
        | {"link": LINK, "attached": True}
        if kind in INVOICE_KINDS
        else contexts.suspension_context(brand or Cascade(), "en_US", portal, person, PACKAGE)
    )
    return {"language": language} | made | more


ALL = [(kind, language) for kind in KINDS for language in LANGUAGES]


@pytest.mark.parametrize(("kind", "language"), ALL)
def test_every_word_that_a_subscriber_reads_is_the_one_that_was_agreed(
    kind: NotificationKind, language: str
) -> None:
    source = load(kind, language)
    assert source.language == language
    rendered = render(source, sample(kind, language))
    sms = render_sms(source, sample(kind, language))
    cost = count_segments(sms)
    written = (
        f"{rendered.subject}\n{rendered.text}\n--- by text, {cost.encoding}, {cost.count} segment(s)\n{sms}\n"
    )
    file = GOLDEN / f"{kind}.{language}.txt"
    if os.environ.get("RENEW_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(written, "utf-8")
    assert written == file.read_text("utf-8")


@pytest.mark.parametrize(("kind", "language"), ALL)
def test_the_html_says_what_the_text_says_and_loads_nothing_from_outside(
    kind: NotificationKind, language: str
) -> None:
    rendered = render(load(kind, language), sample(kind, language))
    html = rendered.html
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert "<img" not in html
    assert "url(" not in html
    assert "src=" not in html
    assert "prefers-color-scheme: dark" in html
    assert html.count("<table") == html.count("</table>")
    assert html.count("<tr>") == html.count("</tr>")
    assert html.count("<td") == html.count("</td>")
    words = re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S))
    for sentence in [line for line in rendered.text.splitlines() if line.endswith(".")]:
        assert sentence in words, sentence


@pytest.mark.parametrize(("kind", "language"), ALL)
def test_mail_says_why_it_came_and_whom_to_call_and_offers_no_unsubscribing(
    kind: NotificationKind, language: str
) -> None:
    rendered = render(load(kind, language), sample(kind, language))
    for part in (rendered.text, rendered.html):
        assert "help@cascade.example, 541-555-0100." in part
        assert ("billed to this address" if language == "en" else "se factura a esta dirección") in part
        assert "nsubscribe" not in part
    assert "\n\n\n" not in rendered.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_copy_to_an_address_off_file_says_that_somebody_asked_for_it(language: str) -> None:
    kind = NotificationKind.RESEND
    rendered = render(load(kind, language), sample(kind, language, copy=True))
    for part in (rendered.text, rendered.html):
        assert ("somebody asked Cascade" if language == "en" else "alguien pidió a Cascade") in part
        assert "billed to this address" not in part
        assert "se factura a esta" not in part


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", INVOICE_KINDS)
def test_mail_names_the_attachment_the_portal_and_the_link_only_where_there_are_some(
    kind: NotificationKind, language: str
) -> None:
    source = load(kind, language)
    bare = sample(kind, language, portal_url="", attached=False, link="")
    for part in (render(source, bare).text, render(source, bare).html):
        assert "PDF" not in part
        assert "https://" not in part
    del bare["attached"], bare["link"], bare["portal_url"]
    assert "PDF" not in render(source, bare).text, "whoever fills in less gets a mail all the same"
    full = sample(kind, language)
    for part in (render(source, full).text, render(source, full).html):
        assert "PDF" in part
        assert LINK in part
        assert "https://pay.cascade.example" in part


@pytest.mark.parametrize(("kind", "language"), ALL)
def test_a_text_begins_with_the_brand_and_needs_no_ucs_2(kind: NotificationKind, language: str) -> None:
    text = render_sms(load(kind, language), sample(kind, language))
    assert text.startswith("Cascade Broadband: ")
    assert "\n" not in text
    segments = count_segments(text, smart=False)
    assert segments.encoding is Encoding.GSM_7, segments.forcing
    assert segments.count == 1, text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", INVOICE_KINDS)
def test_a_text_about_an_invoice_carries_its_link_and_is_refused_without(
    kind: NotificationKind, language: str
) -> None:
    context = sample(kind, language)
    assert LINK in render_sms(load(kind, language), context).split()
    del context["link"]
    with pytest.raises(TemplateProblem, match="'link'"):
        render_sms(load(kind, language), context)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_is_suspended_can_pay_or_call_also_without_a_portal_or_a_telephone(language: str) -> None:
    source = load(NotificationKind.SUSPENDED, language)

    def text(brand: Cascade, portal: str) -> str:
        return render_sms(
            source, sample(NotificationKind.SUSPENDED, language, brand=brand, portal_url=portal)
        )

    silent = replace(Cascade(), support_phone="")
    assert text(Cascade(), "https://pay.example").endswith("541-555-0100")
    assert text(silent, "https://pay.example").endswith("https://pay.example")
    assert text(Cascade(), "").endswith(": 541-555-0100")
    assert text(silent, "").endswith(": help@cascade.example")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", [NotificationKind.INVOICE_ISSUED, NotificationKind.RESEND])
def test_a_paid_invoice_asks_for_no_money_by_mail_or_text(kind: NotificationKind, language: str) -> None:
    paid = invoice(status=InvoiceStatus.PAID, paid=usd("129.90"))
    person = subscriber(language)
    context = {"language": language, "link": LINK} | contexts.invoice_context(
        Cascade(), "en_US", "https://pay.cascade.example", paid, person, person
    )
    rendered = render(load(kind, language), context)
    for part in (rendered.text, rendered.html, render_sms(load(kind, language), context)):
        assert "0.00" not in part
        assert "pay.cascade" not in part


def test_amounts_and_dates_are_written_in_the_payers_language_and_the_owner_is_named() -> None:
    parent, child = replace(subscriber("es"), account="1100"), subscriber("en")
    made = contexts.invoice_context(Cascade(), "en_US", "", invoice(), parent, child)
    assert made["subscriber"] == {"name": "Maria Santos", "account": "1042 (Maria Santos)"}
    assert made["invoice"] == {
        "number": "200422",
        "paid": False,
        "due": "$129.90",
        "total": "$129.90",
        "due_on": "15 nov 2026",
        "issued_on": "1 nov 2026",
    }
