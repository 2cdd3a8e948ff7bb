"""What checking an address answers: one status, and findings in words, the gravest first. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final


class AddressStatus(StrEnum):
    OK = "ok"
    """The domain names mail servers, or has an address to deliver to."""
    UNKNOWN = "unknown"
    """DNS did not answer."""
    TYPO = "typo"
    """Probably mistyped; `suggestion` is what was probably meant."""
    NO_DOMAIN = "no_domain"
    NULL_MX = "null_mx"
    """The domain says that it takes no mail (RFC 7505)."""
    NO_MX = "no_mx"
    """The domain exists without a mail server or an address."""
    MALFORMED = "malformed"
    """It is no address; a finding says why."""


class Gravity(IntEnum):
    """How much a finding weighs; the lowest first."""

    BLOCKS = 0
    """Nothing can arrive there."""
    WARNS = 1
    """Somebody should look before mail goes there."""
    TELLS = 2
    """Good to know."""


class Kind(StrEnum):
    """What can be found, in the order in which findings of one gravity are told."""

    MALFORMED = "malformed"
    TYPO = "typo"
    NO_DOMAIN = "no_domain"
    NULL_MX = "null_mx"
    NO_MX = "no_mx"
    SUPPRESSED = "suppressed"
    LOOKALIKE = "lookalike"
    PLACEHOLDER = "placeholder"
    NO_REPLY = "no_reply"
    DISPOSABLE = "disposable"
    SHARED = "shared"
    REPAIRED = "repaired"
    UNKNOWN = "unknown"
    NO_MX_BUT_HOST = "no_mx_but_host"
    ROLE = "role"
    INTERNATIONAL = "international"


KIND_WORDS: Final[Mapping[Kind, str]] = {
    Kind.MALFORMED: "not an address",
    Kind.TYPO: "probably mistyped",
    Kind.NO_DOMAIN: "domain does not exist",
    Kind.NULL_MX: "domain takes no mail",
    Kind.NO_MX: "domain has no mail server",
    Kind.SUPPRESSED: "on our do-not-send list",
    Kind.LOOKALIKE: "domain looks like another",
    Kind.PLACEHOLDER: "made up to fill the field",
    Kind.NO_REPLY: "a no-reply mailbox",
    Kind.DISPOSABLE: "a throw-away mailbox",
    Kind.SHARED: "used by several accounts",
    Kind.REPAIRED: "repaired",
    Kind.UNKNOWN: "DNS gave no answer",
    Kind.NO_MX_BUT_HOST: "no MX, mail goes to the host",
    Kind.ROLE: "a mailbox of a role",
    Kind.INTERNATIONAL: "international domain",
}
"""In a table, a line each."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`sentence` and `todo` are plain and name at most the domain, never the mailbox."""

    kind: Kind
    gravity: Gravity
    sentence: str
    todo: str = ""
    suggestion: str | None = None
    """The whole address that was probably meant."""


@dataclass(frozen=True, slots=True)
class Known:
    """What our own books say of an address; read by the caller."""

    suppressed_since: datetime | None = None
    suppressed_for: str = ""
    """Why, in words that follow "because"; empty: not known."""
    others: int = 0
    """How many other accounts have it on file. How many, never who."""


@dataclass(frozen=True, slots=True)
class AddressReport:
    """`takes_mail` False: nothing can arrive there. None: not known. With TYPO and True a stranger's server
    takes the mail, and may show it to a stranger."""

    address: str
    """In its normal form; as typed when it is malformed."""
    status: AddressStatus
    suggestion: str | None = None
    takes_mail: bool | None = None
    findings: tuple[Finding, ...] = ()
    shown: str = ""
    """An international domain as people read it; empty for the others."""

    def of(self, *kinds: Kind) -> Finding | None:
        """The gravest finding of these kinds."""
        return next((finding for finding in self.findings if finding.kind in kinds), None)

    @property
    def blocked(self) -> Finding | None:
        """Why nothing can arrive there."""
        return next((f for f in self.findings if f.gravity is Gravity.BLOCKS), None)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What blocks and what somebody should look at."""
        return tuple(f for f in self.findings if f.gravity < Gravity.TELLS)


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    order = list(Kind)
    return tuple(sorted(findings, key=lambda f: (f.gravity, order.index(f.kind))))


__all__ = [
    "KIND_WORDS",
    "AddressReport",
    "AddressStatus",
    "Finding",
    "Gravity",
    "Kind",
    "Known",
    "in_order",
]
