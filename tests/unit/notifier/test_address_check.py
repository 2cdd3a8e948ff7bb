"""Checking an address: only what DNS says, no guess about right domains, no verdict from silence."""

from __future__ import annotations

import pytest

from notifier.addresses import KNOWN_TYPOS, WELL_KNOWN, AddressStatus, check_address, nearest, unanswered
from notifier.mailauth import StaticResolver

ZONE: dict[str, object] = {
    "inbox.example": {"MX": ["10 mx.inbox.example"]},
    "bare.example": {"A": ["192.0.2.7"]},
    "six.example": {"AAAA": ["2001:db8::7"]},
    "nullmx.example": {"MX": ["0 ."], "A": ["192.0.2.8"]},
    "nomx.example": {"TXT": ["nothing here"]},
    "slow.example": "TIMEOUT",
    "gmial.com": {"MX": ["10 mx.gmial.com"]},
    "proton.me": {"MX": ["10 mx.proton.me"]},
    "hey.com": {"MX": ["10 mx.hey.com"]},
    "hotmall.com": {"MX": ["10 mx.hotmall.com"]},
}

CASES = [
    ("ann@inbox.example", AddressStatus.OK, None, True),
    ("ann@bare.example", AddressStatus.OK, None, True),
    ("ann@six.example", AddressStatus.OK, None, True),
    ("ann@nullmx.example", AddressStatus.NULL_MX, None, False),
    ("ann@nomx.example", AddressStatus.NO_MX, None, False),
    ("ann@gone.example", AddressStatus.NO_DOMAIN, None, False),
    ("ann@slow.example", AddressStatus.UNKNOWN, None, None),
    ("ann@gmial.com", AddressStatus.TYPO, "ann@gmail.com", True),
    ("ann@gmail.con", AddressStatus.TYPO, "ann@gmail.com", False),
    ("ann@hotmial.com", AddressStatus.TYPO, "ann@hotmail.com", False),
    ("ann@yahooo.com", AddressStatus.TYPO, "ann@yahoo.com", False),
    ("ann@comcats.net", AddressStatus.TYPO, "ann@comcast.net", False),
    ("ann@proton.me", AddressStatus.OK, None, True),
    ("ann@hey.com", AddressStatus.OK, None, True),
    # One letter from hotmail.com, not on the list, and it takes mail: somebody's domain like any other.
    ("ann@hotmall.com", AddressStatus.OK, None, True),
]


@pytest.mark.parametrize(("address", "status", "suggestion", "takes_mail"), CASES)
async def test_an_address_is_judged_by_what_dns_says_of_its_domain(
    address: str, status: AddressStatus, suggestion: str | None, takes_mail: bool | None
) -> None:
    found = await check_address(address, StaticResolver(ZONE))
    assert (found.status, found.suggestion, found.takes_mail) == (status, suggestion, takes_mail)


def test_a_known_misspelling_is_known_without_dns_and_nothing_else_is() -> None:
    assert unanswered("ann@gmial.com").suggestion == "ann@gmail.com"
    assert unanswered("ann@gmial.com").takes_mail is None
    assert unanswered("ann@gone.example").status is AddressStatus.UNKNOWN


@pytest.mark.parametrize("domain", WELL_KNOWN)
def test_no_well_known_domain_is_a_misspelling_of_another(domain: str) -> None:
    assert nearest(domain) is None
    assert domain not in KNOWN_TYPOS


@pytest.mark.parametrize(
    ("domain", "meant"),
    [("mail.com", None), ("you.com", None), ("harborview.example", None), ("hotmaul.com", "hotmail.com")],
)
def test_domains_between_two_or_far_from_all_are_not_guessed_at(domain: str, meant: str | None) -> None:
    assert nearest(domain) == meant
