"""What the part before the @, and a few domains, tell about who reads a mailbox. Tables; pure.

Role names: RFC 2142, and what businesses use beside them. Nothing here makes an address unusable.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Mailbox(StrEnum):
    PERSONAL = "personal"
    ROLE = "role"
    """Several people probably read it."""
    NO_REPLY = "no_reply"
    """Its owner says that nobody reads it."""
    PLACEHOLDER = "placeholder"
    """Typed to get past a form: there is no such mailbox."""
    DISPOSABLE = "disposable"
    """Thrown away within hours, and often open for anybody to read."""


ROLES: Final = frozenset(
    (
        *("abuse", "admin", "administrator", "administration", "contact", "customerservice", "desk"),
        *("frontdesk", "hello", "help", "helpdesk", "hostmaster", "hr", "info", "information", "inquiries"),
        *("it", "jobs", "legal", "mail", "marketing", "noc", "office", "operations", "orders", "postmaster"),
        *("press", "purchasing", "reception", "root", "sales", "security", "service", "shop", "staff"),
        *("support", "team", "webmaster", "accounting", "accounts", "accountspayable", "ap", "ar"),
        *("billing", "bookkeeper", "bookkeeping", "books", "finance", "invoice", "invoices", "invoicing"),
        *("payable", "payables", "payments", "payroll", "receivables", "treasurer"),
        *("administracion", "contabilidad", "facturacion", "facturas", "info1", "oficina", "ventas"),
        *("buchhaltung", "rechnung", "rechnungen", "buero", "kontakt", "compta", "comptabilite", "factures"),
    )
)
NO_REPLY: Final = frozenset(
    (
        *("noreply", "donotreply", "dontreply", "noresponse", "bounce", "bounces", "mailerdaemon"),
        *("devnull", "autoreply", "noresponder", "nepasrepondre", "keineantwort"),
    )
)
PLACEHOLDERS: Final = frozenset(
    (
        *("noemail", "nomail", "none", "na", "nothing", "unknown", "notprovided", "noaddress", "null"),
        *("noemailaddress", "noemailonfile", "noemailgiven", "refused", "declined", "invalid", "fake"),
        *("donthaveone", "doesnothaveemail", "placeholder", "tbd", "asdf", "sincorreo", "notiene"),
    )
)
PLACEHOLDER_DOMAINS: Final = frozenset(
    (
        *("noemail.com", "nomail.com", "none.com", "na.com", "noemail.net", "none.net", "no-email.com"),
        *("email.invalid", "donotreply.com", "example.com", "example.org", "example.net", "fake.com"),
    )
)
DISPOSABLE: Final = frozenset(
    (
        *("mailinator.com", "guerrillamail.com", "guerrillamail.net", "guerrillamail.org", "sharklasers.com"),
        *("grr.la", "10minutemail.com", "10minutemail.net", "yopmail.com", "yopmail.fr", "yopmail.net"),
        *("trashmail.com", "trashmail.de", "temp-mail.org", "tempmail.com", "throwawaymail.com"),
        *("dispostable.com", "maildrop.cc", "getnada.com", "fakeinbox.com", "mailnesia.com", "mohmal.com"),
        *("mailcatch.com", "spamgourmet.com", "mintemail.com", "emailondeck.com", "discard.email"),
    )
)
"""The best known only: such domains come by the hundred, and a longer list would be out of date."""


def mailbox_of(local: str, domain: str) -> Mailbox:
    """`local` and `domain` in lower case; a `+tag` and the dots, hyphens and underscores do not count."""
    name = local.partition("+")[0].translate(_BETWEEN)
    if name in PLACEHOLDERS or domain in PLACEHOLDER_DOMAINS:
        return Mailbox.PLACEHOLDER
    if domain in DISPOSABLE:
        return Mailbox.DISPOSABLE
    if name in NO_REPLY:
        return Mailbox.NO_REPLY
    return Mailbox.ROLE if name in ROLES else Mailbox.PERSONAL


_BETWEEN: Final = str.maketrans("", "", ".-_")
