"""Checking an address: only what DNS says, no guess about right domains, no verdict from silence."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from notifier.addresses import (
    KIND_WORDS,
    AddressReport,
    AddressStatus,
    Gravity,
    Kind,
    Known,
    check_address,
    check_field,
    check_steps,
    unanswered,
)
from notifier.mailauth import Question, StaticResolver

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
    "yopmail.com": {"MX": ["10 mx.yopmail.com"]},
    "xn--bcher-kva.example": {"MX": ["10 mx.inbox.example"]},
    "xn--pypal-4ve.com": {"MX": ["10 mx.inbox.example"]},
    "xn--80ak6aa92e.com": {"MX": ["10 mx.inbox.example"]},
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


async def kinds(address: str, known: Known | None = None) -> list[Kind]:
    report = await check_address(address, StaticResolver(ZONE), *([known] if known else []))
    return [finding.kind for finding in report.findings]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ann@inbox.example", []),
        ("ann@bare.example", [Kind.NO_MX_BUT_HOST]),
        ("ann@nullmx.example", [Kind.NULL_MX]),
        ("ann@nomx.example", [Kind.NO_MX]),
        ("ann@gone.example", [Kind.NO_DOMAIN]),
        ("ann@slow.example", [Kind.UNKNOWN]),
        ("ann@gmial.com", [Kind.TYPO]),
        ("ann lee@inbox.example", [Kind.MALFORMED]),
        ("a" * 65 + "@inbox.example", [Kind.MALFORMED]),
        (" mailto:ann@inbox.example,", [Kind.REPAIRED]),
        ("info@inbox.example", [Kind.ROLE]),
        ("accounts-payable@inbox.example", [Kind.ROLE]),
        ("billing+cedar@inbox.example", [Kind.ROLE]),
        ("informant@inbox.example", []),
        ("no-reply@inbox.example", [Kind.NO_REPLY]),
        ("DoNotReply@inbox.example", [Kind.NO_REPLY]),
        ("no.email@inbox.example", [Kind.PLACEHOLDER]),
        ("ann@yopmail.com", [Kind.DISPOSABLE]),
        ("ann@b\u00fccher.example", [Kind.INTERNATIONAL]),
        ("ann@xn--bcher-kva.example", [Kind.INTERNATIONAL]),
        ("ann@p\u0430ypal.com", [Kind.LOOKALIKE]),
        ("ann@\u0430\u0440\u0440\u04cf\u0435.com", [Kind.LOOKALIKE]),
        ("noreply@bare.example", [Kind.NO_REPLY, Kind.NO_MX_BUT_HOST]),
    ],
)
async def test_what_is_worth_knowing_is_found(address: str, expected: list[Kind]) -> None:
    assert await kinds(address) == expected


async def test_an_international_domain_is_shown_both_ways_and_a_disguise_is_named() -> None:
    report = await check_address("ann@b\u00fccher.example", StaticResolver(ZONE))
    assert (report.address, report.shown) == ("ann@xn--bcher-kva.example", "b\u00fccher.example")
    disguised = await check_address("ann@\u0430\u0440\u0440\u04cf\u0435.com", StaticResolver(ZONE))
    assert "it is not apple.com" in disguised.findings[0].sentence


async def test_a_dead_domain_in_letters_that_look_like_a_known_one_is_a_slip_for_it() -> None:
    report = await check_address("ann@gm\u0430il.com", StaticResolver(ZONE))
    assert (report.status, report.suggestion) == (AddressStatus.TYPO, "ann@gmail.com")


async def test_our_own_books_count_and_name_nobody() -> None:
    known = Known(datetime(2026, 3, 2, tzinfo=UTC), "the mailbox does not exist", 1)
    report = await check_address("info@inbox.example", StaticResolver(ZONE), known)
    assert [f.kind for f in report.findings] == [Kind.SUPPRESSED, Kind.SHARED, Kind.ROLE]
    listed, shared, _ = report.findings
    assert listed.sentence == (
        "It is on our do-not-send list since March 2, 2026, because the mailbox does not exist."
    )
    assert "a lead releases it" in listed.todo
    assert shared.sentence == "1 other account uses this address too."
    assert (report.status, report.blocked, report.warnings) == (AddressStatus.OK, None, (listed,))


async def test_the_gravest_comes_first_and_a_slip_weighs_by_where_the_mail_would_go() -> None:
    dead = await check_address("noreply@hotmial.com,", StaticResolver(ZONE), Known(others=12))
    assert [f.gravity for f in dead.findings] == sorted(f.gravity for f in dead.findings)
    assert dead.blocked is not None
    assert dead.blocked.kind is Kind.TYPO
    alive = await check_address("ann@gmial.com", StaticResolver(ZONE))
    assert alive.blocked is None
    assert "a stranger's" in alive.findings[0].sentence
    assert alive.findings[0].suggestion == "ann@gmail.com"


async def test_no_sentence_repeats_what_stands_before_the_at() -> None:
    for domain in ZONE | {"gone.example": {}, "-bad": {}, "b\u00fccher.example": {}}:
        report = await check_address(f" secretname@{domain},", StaticResolver(ZONE), Known(others=2))
        for finding in report.findings:
            assert "secret" not in finding.sentence


async def test_a_whole_field_is_checked_address_by_address() -> None:
    field = "Ann <ann@inbox.example>; bob@gmial.com, none, cy@gone.example,"
    reports = await check_field(field, StaticResolver(ZONE), {"ann@inbox.example": Known(others=3)})
    assert [r.status for r in reports] == [
        AddressStatus.OK,
        AddressStatus.TYPO,
        AddressStatus.MALFORMED,
        AddressStatus.NO_DOMAIN,
    ]
    assert [f.kind for f in reports[0].findings] == [Kind.SHARED, Kind.REPAIRED]
    assert [f.kind for f in reports[3].findings] == [Kind.NO_DOMAIN, Kind.REPAIRED]
    assert await check_field("  ", StaticResolver(ZONE)) == ()


async def test_a_malformed_one_offers_what_was_plainly_meant() -> None:
    report = await check_address("ann@gmail,com", StaticResolver(ZONE))
    assert (report.status, report.suggestion) == (AddressStatus.MALFORMED, "ann@gmail.com")
    assert report.blocked is not None
    assert report.blocked.todo == "It may be meant as ann@gmail.com. Ask."


def test_a_malformed_address_asks_nothing_and_a_good_one_asks_once() -> None:
    with pytest.raises(StopIteration) as done:
        next(check_steps("not an address"))
    assert done.value.value.status is AddressStatus.MALFORMED
    assert next(check_steps("ann@inbox.example")) == Question("inbox.example", "MX")


def test_silence_is_unknown_and_what_needs_no_dns_is_told_all_the_same() -> None:
    report = unanswered("info@inbox.example", Known(others=2))
    assert (report.status, report.takes_mail) == (AddressStatus.UNKNOWN, None)
    assert [f.kind for f in report.findings] == [Kind.SHARED, Kind.UNKNOWN, Kind.ROLE]


def test_every_kind_has_words_and_a_report_compares_by_its_values() -> None:
    assert set(KIND_WORDS) == set(Kind)
    assert AddressReport("a@x.example", AddressStatus.OK) == AddressReport("a@x.example", AddressStatus.OK)
    assert Gravity.BLOCKS < Gravity.WARNS < Gravity.TELLS
