"""The invoice as a one-page PDF: pure drawing from facts to bytes, with fpdf2.

The same facts give the same bytes (the creation date is the invoice's own), so a hash tells revisions
apart. The built-in Helvetica is used: no font file is carried along, a page takes under two milliseconds
and two kilobytes; billing.latin says how names in other letters are written. A4 or US Letter by region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time

from billing.latin import latin, spelled
from notifier.contexts import Brand, day, locale_of, money
from store.models import Invoice, InvoiceStatus, Package, PackageStatus, Subscriber
from store.money import Money

LETTER_REGIONS = frozenset(
    {"US", "CA", "MX", "PR", "CO", "VE", "CL", "PH", "CR", "GT", "PA", "DO", "SV", "NI"}
)
"""Where paper is US Letter (CLDR `paperSize`); everywhere else it is A4."""
MOST_LINES = 18
"""Packages that fit on the page; more are told as one line, so that there is always one page."""
_INK, _QUIET, _BLUE, _RULE, _BOX = (
    (28, 39, 51),
    (91, 107, 123),
    (11, 90, 138),
    (214, 221, 229),
    (243, 248, 252),
)
_MARGIN = 20.0
_LIVE = (PackageStatus.ACTIVE, PackageStatus.SUSPENDED, PackageStatus.HIBERNATED)
_PT = 72 / 25.4

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "invoice": "Invoice",
        "number": "Invoice number",
        "issued": "Issued",
        "due": "Due",
        "account": "Account",
        "to": "Billed to",
        "for": "Service of",
        "what": "Description",
        "amount": "Amount",
        "services": "Services",
        "packages": "Services ({count} packages)",
        "total": "Total",
        "received": "Paid so far",
        "amount_due": "Amount due",
        "how": "How to pay",
        "online": "Online: {url}",
        "call": "By telephone: {phone}",
        "mail": "Questions: {email}",
        "quote": "Please name account {account} and invoice {number}.",
        "page": "Page 1 of 1",
        InvoiceStatus.PAID: "Paid in full. Thank you.",
        InvoiceStatus.VOID: "Cancelled. Nothing is to be paid.",
        InvoiceStatus.UNCOLLECTIBLE: "Please call us about this invoice.",
        InvoiceStatus.DRAFT: "Draft. Not to be paid yet.",
    },
    "es": {
        "invoice": "Factura",
        "number": "Número de factura",
        "issued": "Fecha de emisión",
        "due": "Vence",
        "account": "Cuenta",
        "to": "Facturado a",
        "for": "Servicio de",
        "what": "Descripción",
        "amount": "Importe",
        "services": "Servicios",
        "packages": "Servicios ({count} paquetes)",
        "total": "Total",
        "received": "Pagado hasta ahora",
        "amount_due": "Importe pendiente",
        "how": "Cómo pagar",
        "online": "En línea: {url}",
        "call": "Por teléfono: {phone}",
        "mail": "Preguntas: {email}",
        "quote": "Indique la cuenta {account} y la factura {number}.",
        "page": "Página 1 de 1",
        InvoiceStatus.PAID: "Pagada por completo. Gracias.",
        InvoiceStatus.VOID: "Anulada. No hay nada que pagar.",
        InvoiceStatus.UNCOLLECTIBLE: "Llámenos acerca de esta factura.",
        InvoiceStatus.DRAFT: "Borrador. Aún no se paga.",
    },
}


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The provider as its invoices show it."""

    brand: Brand
    region: str
    locale: str
    portal_url: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """What is drawn. `owner` is whose invoice it is, `payer` who gets it (bill-to-another)."""

    invoice: Invoice
    owner: Subscriber
    payer: Subscriber
    packages: Sequence[Package] = ()
    """The owner's."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    amount: str


def draw(letterhead: Letterhead, bill: Bill) -> bytes:
    """One page."""
    return _Page(letterhead, bill).draw()


def lines_of(bill: Bill) -> list[tuple[str, Money]]:
    """The owner's packages where they add up to the invoice's total, else nothing: then it is one sum.

    The mirror knows what somebody has now, not what the invoice was made of; only packages that explain its
    total to the cent may stand on it.
    """
    total = bill.invoice.total
    for statuses in (_LIVE, (PackageStatus.ACTIVE,)):
        chosen = [p for p in bill.packages if p.status in statuses and p.price.minor]
        same_currency = all(p.price.currency == total.currency for p in chosen)
        if chosen and same_currency and sum(p.price.minor for p in chosen) == total.minor:
            return [(p.name, p.price) for p in chosen]
    return []


def _fitted(text: str, font: str, size: float, width: float) -> tuple[str, float]:
    """The text and its length in millimetres, cut with an ellipsis where it exceeds `width` (0: never).

    Measured here: fpdf2's own measuring copies its whole state each time and makes a page three times slower.
    """
    from fpdf.fonts import CORE_FONTS_CHARWIDTHS

    widths = CORE_FONTS_CHARWIDTHS[font]

    def measured(part: str) -> float:
        return sum(widths[char] for char in part.encode("cp1252").decode("latin-1")) * size / 1000 / _PT

    length = measured(text)
    if not width or length <= width:
        return text, length
    kept, room = 0, width - measured("…")
    for char in text:
        room -= measured(char)
        if room < 0:
            break
        kept += 1
    cut = text[:kept].rstrip() + "…"
    return cut, measured(cut)


class _Page:
    def __init__(self, letterhead: Letterhead, bill: Bill) -> None:
        self._head, self._bill = letterhead, bill
        self._locale = locale_of(bill.payer, letterhead.locale)
        language = "es" if bill.payer.language.startswith("es") else "en"
        self._words = _WORDS[language]
        # It brings font tools and an imaging library along: a start that draws nothing does without them.
        from fpdf import FPDF

        paper = "letter" if letterhead.region in LETTER_REGIONS else "a4"
        pdf = self._pdf = FPDF(format=paper)
        pdf.core_fonts_encoding = "cp1252"
        pdf.set_auto_page_break(False)
        pdf.set_creation_date(datetime.combine(bill.invoice.issued_on, time(), UTC))
        pdf.set_producer("ispbot")
        pdf.set_lang("es-US" if language == "es" else "en-US")
        pdf.set_title(f"{self._words['invoice']} {latin(bill.invoice.number)}")
        pdf.set_author(latin(letterhead.brand.name))
        pdf.add_page()
        self._right = pdf.w - _MARGIN
        self._width = pdf.w - 2 * _MARGIN

    def draw(self) -> bytes:
        y = self._masthead()
        y = self._addresses(y)
        y = self._table(y)
        y = self._totals(y)
        self._how_to_pay(y)
        self._foot()
        return bytes(self._pdf.output())

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 10,
        bold: bool = False,
        colour: tuple[int, int, int] = _INK,
        right: bool = False,
        width: float = 0,
    ) -> None:
        """One line with its baseline at `y`; `right`: ends at `x`; `width`: cut with an ellipsis there."""
        shown, length = _fitted(latin(text), "helveticaB" if bold else "helvetica", size, width)
        pdf = self._pdf
        pdf.set_font("helvetica", "B" if bold else "", size)
        pdf.set_text_color(*colour)
        if shown:
            pdf.text(x - length if right else x, y, shown)

    def _rule(self, y: float, left: float = _MARGIN) -> None:
        self._pdf.set_draw_color(*_RULE)
        self._pdf.set_line_width(0.25)
        self._pdf.line(left, y, self._right, y)

    def _masthead(self) -> float:
        invoice, words = self._bill.invoice, self._words
        self._text(_MARGIN, 28, self._head.brand.name, size=18, bold=True, colour=_BLUE, width=110)
        self._text(self._right, 28, words["invoice"], size=18, bold=True, right=True)
        rows = [
            (words["number"], invoice.number),
            (words["issued"], day(invoice.issued_on, self._locale)),
            (words["due"], day(invoice.due_on, self._locale)),
            (words["account"], self._bill.owner.account),
        ]
        y = 40.0
        for label, value in rows:
            self._text(self._right - 45, y, label, size=9, colour=_QUIET, right=True)
            self._text(self._right, y, value, bold=label == words["number"], right=True, width=43)
            y += 6
        return y

    def _addresses(self, y: float) -> float:
        payer, owner, words = self._bill.payer, self._bill.owner, self._words
        top = 40.0
        self._text(_MARGIN, top, words["to"], size=9, colour=_QUIET)
        place = " ".join(part for part in (payer.region, payer.postal_code) if part)
        city = ", ".join(part for part in (payer.city, place) if part)
        for row, line in enumerate(line for line in (self._name(payer), payer.address, city) if line.strip()):
            self._text(_MARGIN, top + 6 + 5.2 * row, line, size=11, bold=row == 0, width=85)
        if owner.id != payer.id:
            self._text(_MARGIN, top + 26, words["for"], size=9, colour=_QUIET)
            self._text(_MARGIN, top + 31, self._name(owner), width=85)
        return max(y, top + 34) + 8

    def _name(self, subscriber: Subscriber) -> str:
        """A name whose letters cannot all be shown is not shown mangled: the account is named instead."""
        name, missing = spelled(subscriber.name)
        return f"{self._words['account']} {subscriber.account}" if missing or not name else name

    def _table(self, y: float) -> float:
        words, bill = self._words, self._bill
        found = lines_of(bill)
        lines = [_Line(name, money(price, self._locale)) for name, price in found]
        if not 1 <= len(lines) <= MOST_LINES:
            many = words["packages"].format(count=len(lines)) if lines else words["services"]
            lines = [_Line(many, money(bill.invoice.total, self._locale))]
        self._text(_MARGIN, y, words["what"], size=9, colour=_QUIET)
        self._text(self._right, y, words["amount"], size=9, colour=_QUIET, right=True)
        self._rule(y + 2.5)
        y += 9
        for line in lines:
            # A name of which nothing can be shown is still a line with an amount.
            self._text(_MARGIN, y, latin(line.text) or words["services"], width=self._width - 45)
            self._text(self._right, y, line.amount, right=True)
            y += 6.4
        self._rule(y - 2.4)
        return y + 5

    def _totals(self, y: float) -> float:
        invoice, words = self._bill.invoice, self._words
        left = self._right - 80
        for label, value in ((words["total"], invoice.total), (words["received"], invoice.paid)):
            self._text(left, y, label)
            self._text(self._right, y, money(value, self._locale), right=True)
            y += 6.4
        self._rule(y - 2.4, left)
        y += 4
        self._text(left, y, words["amount_due"], size=12, bold=True)
        self._text(self._right, y, money(invoice.due, self._locale), size=12, bold=True, right=True)
        return y + 14

    def _how_to_pay(self, y: float) -> None:
        invoice, words, brand = self._bill.invoice, self._words, self._head.brand
        told = words.get(invoice.status)
        if told is None and invoice.due.minor <= 0:
            told = words[InvoiceStatus.PAID]
        ways = [
            words["online"].format(url=self._head.portal_url) if self._head.portal_url else "",
            words["call"].format(phone=brand.support_phone) if brand.support_phone else "",
            words["mail"].format(email=brand.support_email) if brand.support_email else "",
        ]
        quote = words["quote"].format(account=self._bill.owner.account, number=invoice.number)
        rows = [told] if told else [*(way for way in ways if way), quote]
        height = 9 + 6 * len(rows) + (0 if told else 3)
        self._pdf.set_fill_color(*_BOX)
        self._pdf.rect(_MARGIN, y, self._width, height, style="F")
        y += 8
        if not told:
            self._text(_MARGIN + 6, y, words["how"], size=11, bold=True)
            y += 7
        for row in rows:
            self._text(_MARGIN + 6, y, row, bold=bool(told), width=self._width - 12)
            y += 6

    def _foot(self) -> None:
        brand, y = self._head.brand, self._pdf.h - 15
        contact = " · ".join(part for part in (brand.name, brand.support_phone, brand.support_email) if part)
        self._rule(y - 5)
        self._text(_MARGIN, y, contact, size=8, colour=_QUIET, width=self._width - 30)
        self._text(self._right, y, self._words["page"], size=8, colour=_QUIET, right=True)
