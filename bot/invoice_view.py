"""The invoice page as HTML: pure, from facts to text. No script, nothing from elsewhere, all escaped."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bot.invoice_words import WORDS, language_of
from handlers import format as fmt
from handlers.invoice_page import NUMERIC_REGIONS, Gate, InvoicePage, PageState, Tried
from handlers.profile import Brand
from notifier.contexts import locale_of

_TEMPLATES = Path(__file__).parent / "templates"
_STYLE = (_TEMPLATES / "invoice.css").read_text("utf-8")
_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_template = _environment.get_template("invoice.html")

_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy: our own style, known by its hash, and nothing else."""

_NOTHING: dict[str, Any] = {
    "brand": None,
    "sum": None,
    "lines": [],
    "button": None,
    "pdf": None,
    "questions": "",
}


def invoice_html(page: InvoicePage, tried: Tried | None = None, *, failed: bool = False) -> str:
    """As facts are now. `tried`: how the ZIP code just sent was; `failed`: the PDF could not be made."""
    language = language_of(page.reader.language)
    words, brand = WORDS[language], page.profile.brand
    if page.expired:
        return _expired(page, language)
    owed = page.state in (PageState.DUE, PageState.OVERDUE)
    button = {"before": "", "url": page.profile.portal_url, "text": words["pay"]}
    return _render(
        language,
        title=words["title"].format(number=page.invoice.number),
        brand=_brand(brand),
        questions=words["questions"],
        sum=_sum(page, words),
        button=button if owed and page.profile.portal_url else None,
        pdf=_pdf(page, words, tried, failed=failed),
    )


def _sum(page: InvoicePage, words: dict[str, str]) -> dict[str, str]:
    invoice, state = page.invoice, page.state
    locale = locale_of(page.reader, page.profile.locale)
    owed = state in (PageState.DUE, PageState.OVERDUE)
    amounts = {PageState.DUE: invoice.due, PageState.OVERDUE: invoice.due, PageState.PAID: invoice.total}
    amount = amounts.get(state)
    part = words["part"].format(paid=fmt.money(invoice.paid, locale), total=fmt.money(invoice.total, locale))
    zone, as_of = page.profile.time_zone, invoice.facts.as_of
    moment = f"{fmt.day(as_of.astimezone(zone).date(), locale)}, {fmt.clock_time(as_of, zone, locale)}"
    return {
        "state": state,
        "label": words[f"{state}.label"],
        "amount": fmt.money(amount, locale) if amount else "",
        "line": words[f"{state}.line"].format(
            date=fmt.day(invoice.due_on, locale), call=_call(page.profile.brand, words)
        ),
        "part": part if owed and invoice.paid.minor > 0 else "",
        "as_of": words["as_of"].format(moment=moment) if owed else "",
    }


def _pdf(
    page: InvoicePage, words: dict[str, str], tried: Tried | None, *, failed: bool
) -> dict[str, Any] | None:
    gate = page.gate
    if gate is Gate.NONE:
        return None
    call = _call(page.profile.brand, words)
    numeric = page.profile.region in NUMERIC_REGIONS
    left = page.tries_left
    told = {
        Tried.WRONG: words["wrong.one"] if left == 1 else words["wrong.many"].format(count=left),
        Tried.UNREADABLE: words["unreadable" if numeric else "unreadable.postal"].format(length=5),
    }.get(tried or Tried.RIGHT, "")
    if failed:
        told = words["failed"].format(call_lower=call[:1].lower() + call[1:])
    if gate is not Gate.ASK:
        told = words[gate].format(call=call)
    form = {
        "label": words["zip" if page.profile.region == "US" else "postal"],
        "hint": words["hint"],
        "button": words["open"],
        "numeric": numeric,
    }
    return {"title": words["pdf"], "told": told, "form": form if gate is Gate.ASK else None}


def _expired(page: InvoicePage, language: str) -> str:
    words, portal = WORDS[language], page.profile.portal_url
    button = {"before": words["expired.pay"], "url": portal, "text": words["expired.portal"]}
    return _render(
        language,
        title=words["expired.title"],
        brand=_brand(page.profile.brand),
        questions=words["questions"],
        lines=[words["expired.line"].format(call=_call(page.profile.brand, words))],
        button=button if portal else None,
    )


def notice_html(kind: str, language: str) -> str:
    """`unknown` or `slow`: pages that know of no provider."""
    words = WORDS[language]
    return _render(language, title=words[f"{kind}.title"], lines=[words[f"{kind}.line"]])


def _call(brand: Brand, words: dict[str, str]) -> str:
    if brand.support_phone:
        return words["call_or_write"].format(phone=brand.support_phone, email=brand.support_email)
    return words["write"].format(email=brand.support_email)


def _brand(brand: Brand) -> dict[str, str]:
    dial = "".join(c for c in brand.support_phone if c.isascii() and (c.isdigit() or c == "+"))
    return {
        "name": brand.name,
        "email": brand.support_email,
        "phone": brand.support_phone if dial else "",
        "dial": dial,
    }


def _render(language: str, **more: Any) -> str:
    # The style is ours and stands by its hash: escaping it would change it.
    style = Markup(_STYLE)  # noqa: S704
    return _template.render(_NOTHING | {"language": language, "style": style} | more)
