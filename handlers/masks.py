"""Personal data made fit for a channel that many read. Pure."""

from __future__ import annotations

import re

from notifier.addresses.scripts import looks_like, readable
from store.models import Subscriber, SubscriberKind


def mask_email(address: str) -> str:
    """`maria.santos@inbox.example` -> `m•••s@inbox.example`: the domain is what support needs, and two
    addresses of one person should not look the same. Short ones keep one letter."""
    local, at, domain = address.rpartition("@")
    if not at:
        return "•••"
    return f"{local[:1]}•••{local[-1:] if len(local) >= 5 else ''}@{shown_domain(domain)}"


def shown_domain(domain: str) -> str:
    """As people read it (`xn--mnchen-3ya.example`: münchen.example), unless it would pass for another."""
    if "xn--" not in domain:
        return domain
    shown = readable(domain)
    return domain if looks_like(shown) is not None else shown


def mask_phone(number: str) -> str:
    """`+15415550142` -> `•••• 0142`."""
    digits = "".join(c for c in number if c.isdigit())
    return f"•••• {digits[-4:]}" if len(digits) >= 7 else "••••"


def mask_address(address: str) -> str:
    return mask_email(address) if "@" in address else mask_phone(address)


def mask_name(name: str) -> str:
    """`Maria Santos Vega` -> `Maria V.`; a single word keeps its first three letters."""
    words = name.split()
    if not words:
        return "•••"
    if len(words) == 1:
        return words[0][:3] + "•••"
    return f"{words[0]} {words[-1][:1]}."


def shown_name(subscriber: Subscriber) -> str:
    """A business is known by its name; a person is not for everybody to read."""
    return subscriber.name if subscriber.kind is SubscriberKind.BUSINESS else mask_name(subscriber.name)


_IN_TEXT = re.compile(r"[^\s<>()\[\]\"',;:]+@[A-Za-z0-9.-]+")


_NUMBER_IN_TEXT = re.compile(
    r"\+\d[\d ().-]{6,17}\d(?!\w)"
    r"|(?<![\w.:/+-])(?:1[ .-]?)?\(?[2-9]\d{2}\)?[ .-]?[2-9]\d{2}[ .-]?\d{4}(?![\w-]|\.\d)"
)
"""With a plus, or as they are written in North America; not codes, versions or IP addresses."""


_INVOICE_LINK = re.compile(r"https?://[^\s<>|]*/i/\w+")


def mask_links(text: str) -> str:
    """Whoever opens an invoice's link sees its amount: in a channel it is not shown."""
    return _INVOICE_LINK.sub("[link]", text)


def mask_emails(text: str) -> str:
    """A text that names addresses, for a channel."""
    return _IN_TEXT.sub(lambda found: mask_email(found.group()), text)


def mask_in_text(text: str) -> str:
    """Raw answers of servers and of text providers quote whom they were asked about; domains stay."""
    text = mask_emails(text)
    return _NUMBER_IN_TEXT.sub(lambda found: mask_phone(found.group()), text)
