"""Whether an address can take mail at all, and what its domain was probably meant to be.

Asks DNS for the domain alone (MX, RFC 5321 section 5.1; null MX, RFC 7505); a mailbox is never probed. No
answer is UNKNOWN, never "invalid". A misspelling is suggested only for a domain that takes no mail or that
stands on the list of known ones: edit distance alone would turn proton.me and hey.com into others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rapidfuzz.distance import OSA

from notifier.mailauth import Resolver
from notifier.mx import NO_DOMAIN, NO_SERVER, NULL_MX, MailHosts, destination


class AddressStatus(StrEnum):
    OK = "ok"
    """The domain names mail servers."""
    UNKNOWN = "unknown"
    """DNS did not answer."""
    TYPO = "typo"
    """Probably mistyped; `suggestion` is what was probably meant."""
    NO_DOMAIN = "no_domain"
    NULL_MX = "null_mx"
    """The domain says that it takes no mail (RFC 7505)."""
    NO_MX = "no_mx"
    """The domain exists without a mail server or an address."""


@dataclass(frozen=True, slots=True)
class AddressFinding:
    """`takes_mail` False: nothing can arrive there. None: not known. With TYPO and True a stranger's server
    takes the mail, and may show it to a stranger."""

    address: str
    status: AddressStatus
    suggestion: str | None = None
    takes_mail: bool | None = None


WELL_KNOWN: Final = (
    *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com"),
    *("ymail.com", "aol.com", "icloud.com", "me.com", "mac.com", "comcast.net", "verizon.net", "att.net"),
    *("sbcglobal.net", "bellsouth.net", "charter.net", "cox.net", "earthlink.net", "centurylink.net"),
    *("frontier.com", "spectrum.net", "protonmail.com", "proton.me", "hey.com", "fastmail.com", "gmx.com"),
)
_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "gmail.com": (
        *("gmial.com", "gamil.com", "gmai.com", "gmal.com", "gmil.com", "gmaill.com", "gnail.com"),
        *("gmali.com", "gmaul.com", "gmsil.com", "gimail.com", "gmail.con", "gmail.co", "gmail.cm"),
        *("gmail.om", "gmail.comm", "gmail.cpm", "gmail.vom", "gmailcom.com", "ggmail.com", "g.mail.com"),
    ),
    "hotmail.com": (
        *("hotmial.com", "hotmal.com", "hotmai.com", "hotmil.com", "hotnail.com", "hotmaill.com"),
        *("homail.com", "hormail.com", "hotmail.con", "hotmail.co", "hotmail.cm"),
    ),
    "outlook.com": ("outlok.com", "outloo.com", "outlool.com", "outllok.com", "oulook.com", "outlook.con"),
    "yahoo.com": ("yaho.com", "yahooo.com", "yhaoo.com", "yhoo.com", "yahoo.con", "yahho.com", "yahoo.cm"),
    "icloud.com": ("iclod.com", "icloud.con", "icoud.com", "iclould.com", "icluod.com"),
    "aol.com": ("aol.con", "aol.cm", "aoll.com"),
    "comcast.net": ("comcast.com.net", "comcat.net", "comcast.ent", "concast.net", "comcast.con"),
    "live.com": ("live.con",),
    "msn.com": ("msn.con",),
}
KNOWN_TYPOS: Final[Mapping[str, str]] = {typo: meant for meant, typos in _SPELLINGS.items() for typo in typos}
_ABSENT: Final = {
    NO_DOMAIN: AddressStatus.NO_DOMAIN,
    NULL_MX: AddressStatus.NULL_MX,
    NO_SERVER: AddressStatus.NO_MX,
}


async def check_address(address: str, resolver: Resolver) -> AddressFinding:
    """`address` in its normal form. At most three questions; the caller sets the time limit."""
    domain = address.rpartition("@")[2]
    found = await destination(resolver, domain)
    if found.kind is MailHosts.UNKNOWN:
        return unanswered(address)
    takes_mail = found.kind is MailHosts.FOUND
    meant = KNOWN_TYPOS.get(domain) or (None if takes_mail else nearest(domain))
    if meant is not None:
        return AddressFinding(address, AddressStatus.TYPO, _at(address, meant), takes_mail)
    status = AddressStatus.OK if takes_mail else _ABSENT[found.why]
    return AddressFinding(address, status, None, takes_mail)


def unanswered(address: str) -> AddressFinding:
    """What is known without DNS: the list of known misspellings, and nothing else."""
    meant = KNOWN_TYPOS.get(address.rpartition("@")[2])
    if meant is None:
        return AddressFinding(address, AddressStatus.UNKNOWN)
    return AddressFinding(address, AddressStatus.TYPO, _at(address, meant), None)


def nearest(domain: str) -> str | None:
    """The well-known domain that this one is a slip of the finger away from; None when none is, or two are.

    One edit, two where the name is long enough for two to be a slip; a transposition is one.
    """
    if domain in WELL_KNOWN:
        return None
    close = [(distance, known) for known in WELL_KNOWN if (distance := OSA.distance(domain, known)) <= 2]
    close = [(distance, known) for distance, known in close if distance == 1 or len(known) >= 9]
    if not close:
        return None
    best = min(close)[0]
    candidates = [known for distance, known in close if distance == best]
    return candidates[0] if len(candidates) == 1 else None


def _at(address: str, domain: str) -> str:
    return f"{address.rpartition('@')[0]}@{domain}"
