"""Addresses as subscribers and billing systems give them: read, repaired, checked, and told about in words.

`parse_field` reads a billing field, `check_address` asks DNS about one address. Pure: evaluators that yield
questions; nothing here reaches for the network or the database.
"""

from notifier.addresses.check import (
    check_address,
    check_field,
    check_steps,
    domain_report,
    domain_steps,
    item_steps,
    mailbox_kind,
    unanswered,
)
from notifier.addresses.fields import FieldItem, meant_by, parse_field
from notifier.addresses.report import (
    KIND_WORDS,
    AddressReport,
    AddressStatus,
    Finding,
    Gravity,
    Kind,
    Known,
)
from notifier.addresses.spelling import GENUINE, KNOWN_TYPOS, WELL_KNOWN, nearest, respelled

__all__ = [
    "GENUINE",
    "KIND_WORDS",
    "KNOWN_TYPOS",
    "WELL_KNOWN",
    "AddressReport",
    "AddressStatus",
    "FieldItem",
    "Finding",
    "Gravity",
    "Kind",
    "Known",
    "check_address",
    "check_field",
    "check_steps",
    "domain_report",
    "domain_steps",
    "item_steps",
    "mailbox_kind",
    "meant_by",
    "nearest",
    "parse_field",
    "respelled",
    "unanswered",
]
