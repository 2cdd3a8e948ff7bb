"""Linting our own DMARC records: each mistake by its name, place and remedy."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.mailauth import DmarcMistake, DmarcReport, Policy, Severity, StaticResolver, lint_dmarc
from notifier.mailauth.dmarc_record import is_dmarc, parse_dmarc

GOOD = "v=DMARC1; p=reject; rua=mailto:dmarc@d.example"
M = DmarcMistake


def lint(zone: Mapping[str, object], domain: str = "d.example") -> DmarcReport:
    return asyncio.run(lint_dmarc(domain, resolver=StaticResolver(zone)))


def lint_record(*records: str) -> DmarcReport:
    return lint({"_dmarc.d.example": {"TXT": list(records)}})


def codes(report: DmarcReport) -> set[DmarcMistake]:
    return {problem.code for problem in report.problems}


@pytest.mark.parametrize(
    "record",
    [
        GOOD,
        "v=DMARC1;p=quarantine;rua=mailto:a@d.example,mailto:b@mail.d.example",
        "v=DMARC1; p=reject; sp=reject; np=reject; adkim=s; aspf=r; fo=0:d; psd=n; rua=mailto:a@d.example",
    ],
)
def test_a_good_record_has_no_problems(record: str) -> None:
    report = lint_record(record)
    assert report.problems == ()
    assert report.ok
    assert report.record_domain == "d.example"


@pytest.mark.parametrize(
    ("record", "mistake", "term", "corrected"),
    [
        ("v=dmarc1; p=reject; rua=mailto:dmarc@d.example", M.BAD_VERSION, "v=dmarc1", GOOD),
        ("v=DMARC1 p=reject; rua=mailto:dmarc@d.example", M.BAD_VERSION, "v=DMARC1 ", GOOD),
        ("v=DMARC1, p=reject; rua=mailto:dmarc@d.example", M.BAD_VERSION, "v=DMARC1", GOOD),
        (" v=DMARC1; p=reject; rua=mailto:dmarc@d.example", M.BAD_VERSION, " v=DMARC1", GOOD),
        ("DMARC1; p=reject; rua=mailto:dmarc@d.example", M.BAD_VERSION, "DMARC1", GOOD),
        ("p=reject; rua=mailto:dmarc@d.example", M.BAD_VERSION, "", GOOD),
        ("google-site-verification=x", None, "", None),
        ('"v=DMARC1; p=reject; rua=mailto:dmarc@d.example"', M.QUOTES, '"', GOOD),
        ("v=DMARC1; p=reject, rua=mailto:dmarc@d.example", M.MISSING_SEMICOLON, ", ", GOOD),
        ("v=DMARC1; p=reject rua=mailto:dmarc@d.example", M.MISSING_SEMICOLON, " ", GOOD),
        (f"{GOOD}; hello", M.MALFORMED_TAG, "hello", GOOD),
        (f"{GOOD}; x=y", M.UNKNOWN_TAG, "x=y", GOOD),
        (f"{GOOD}; p=none", M.DUPLICATE_TAG, "p=none", GOOD),
        (f"{GOOD}; pct=50", M.OBSOLETE_TAG, "pct=50", GOOD),
        (f"{GOOD}; rf=afrf", M.OBSOLETE_TAG, "rf=afrf", GOOD),
        (f"{GOOD}; ri=86400", M.OBSOLETE_TAG, "ri=86400", GOOD),
        (f"{GOOD}; adkim=strict", M.VALUE_INVALID, "adkim=strict", GOOD),
        (f"{GOOD}; aspf=x", M.VALUE_INVALID, "aspf=x", GOOD),
        (f"{GOOD}; fo=2", M.VALUE_INVALID, "fo=2", GOOD),
        (f"{GOOD}; t=yes", M.VALUE_INVALID, "t=yes", GOOD),
        ("v=DMARC1; rua=mailto:dmarc@d.example", M.POLICY_MISSING, "", GOOD.replace("reject", "none")),
        ("v=DMARC1; p=block; rua=mailto:dmarc@d.example", M.POLICY_INVALID, "p=block",
         GOOD.replace("reject", "none")),
        (f"{GOOD}; sp=block", M.POLICY_INVALID, "sp=block", GOOD),
        (GOOD.replace("reject", "none"), M.POLICY_NONE, "p=none", GOOD.replace("reject", "none")),
        ("v=DMARC1; p=reject; sp=none; rua=mailto:dmarc@d.example", M.SUBDOMAINS_WEAKER, "sp=none", None),
        (f"{GOOD}; np=quarantine", M.SUBDOMAINS_WEAKER, "np=quarantine", None),
        ("v=DMARC1; p=reject; t=y; rua=mailto:dmarc@d.example", M.TESTING, "t=y", None),
        (f"{GOOD}; psd=y", M.PUBLIC_SUFFIX, "psd=y", GOOD),
        ("v=DMARC1; p=reject", M.REPORTS_MISSING, "", "v=DMARC1; p=reject; rua=mailto:postmaster@d.example"),
        ("v=DMARC1; p=reject; rua=dmarc@d.example", M.REPORT_ADDRESS_INVALID, "rua=dmarc@d.example", GOOD),
        ("v=DMARC1; p=reject; rua=https://d.example/", M.REPORT_ADDRESS_INVALID, "rua=https://d.example/",
         "v=DMARC1; p=reject; rua=mailto:postmaster@d.example"),
        (f"{GOOD}!10m", M.REPORT_SIZE_LIMIT, "rua=mailto:dmarc@d.example!10m", GOOD),
    ],
)  # fmt: skip
def test_each_mistake_has_its_own_name_and_place_and_correction(
    record: str, mistake: DmarcMistake | None, term: str, corrected: str | None
) -> None:
    report = lint_record(record)
    if mistake is None:  # nothing that anybody could take for a DMARC record
        assert codes(report) == {M.NO_RECORD}
        return
    assert codes(report) == {mistake}
    (problem,) = report.problems
    assert problem.term == term
    assert report.record is not None
    assert report.record[problem.start : problem.end] == term
    assert problem.sentence.endswith(".")
    assert corrected is None or report.corrected == corrected


def test_no_record_gets_one_that_harms_nobody() -> None:
    report = lint({})
    assert codes(report) == {M.NO_RECORD}
    assert report.name == "_dmarc.d.example"
    assert report.strings == ("v=DMARC1; p=none; rua=mailto:postmaster@d.example",)
    assert not report.ok


def test_two_records_are_none_and_say_so() -> None:
    report = lint_record(GOOD, "v=DMARC1; p=none; rua=mailto:dmarc@d.example")
    assert M.TWO_RECORDS in codes(report)
    assert (report.policy, report.corrected) == (None, GOOD)


def test_a_record_at_the_domain_itself_is_in_the_wrong_place() -> None:
    report = lint({"d.example": {"TXT": ["v=spf1 -all", GOOD]}})
    assert codes(report) == {M.WRONG_PLACE}
    assert (report.name, report.corrected, report.record_domain) == ("_dmarc.d.example", GOOD, None)


def test_a_subdomain_is_judged_by_the_record_above_it() -> None:
    zone = {"_dmarc.d.example": {"TXT": ["v=DMARC1; p=reject; sp=quarantine; rua=mailto:dmarc@d.example"]}}
    report = lint(zone, "billing.d.example")
    assert codes(report) == {M.INHERITED, M.SUBDOMAINS_WEAKER}
    assert (report.record_domain, report.policy) == ("d.example", Policy.QUARANTINE)
    assert report.organisational == "d.example"
    assert report.ok


def test_reports_to_strangers_need_their_consent() -> None:
    record = {"TXT": ["v=DMARC1; p=reject; rua=mailto:in@reports.test"]}
    consent = "d.example._report._dmarc.reports.test"
    report = lint({"_dmarc.d.example": record})
    assert codes(report) == {M.REPORT_NOT_AUTHORISED}
    assert consent in report.problems[0].sentence
    assert report.problems[0].severity is Severity.WARNING
    assert lint({"_dmarc.d.example": record, consent: {"TXT": ["v=DMARC1;"]}}).problems == ()
    assert codes(lint({"_dmarc.d.example": record, consent: "TIMEOUT"})) == {M.REPORT_UNKNOWN}


def test_a_thousand_report_addresses_cost_no_thousand_questions() -> None:
    targets = ",".join(f"mailto:a@r{n}.test" for n in range(1000))
    report = lint_record(f"v=DMARC1; p=reject; rua={targets}")
    assert len([problem for problem in report.problems if problem.code is M.REPORT_NOT_AUTHORISED]) == 10


def test_two_addresses_at_one_domain_are_asked_about_once() -> None:
    report = lint_record("v=DMARC1; p=reject; rua=mailto:a@reports.test,mailto:b@reports.test")
    assert [problem.code for problem in report.problems] == [M.REPORT_NOT_AUTHORISED]


def test_dns_that_does_not_answer_means_unknown_and_never_missing() -> None:
    report = lint({"_dmarc.d.example": "TIMEOUT"})
    assert codes(report) == {M.DNS_UNAVAILABLE}
    assert (report.unavailable, report.corrected, report.ok) == (True, None, False)


def test_what_is_no_domain_is_said_to_be_none() -> None:
    assert codes(lint({}, "nodots")) == {M.DOMAIN_INVALID}


@given(st.text(alphabet='v=DMARC1;p =rnoejctsua:mil@.,!"x0\u201c', max_size=80))
def test_whatever_is_published_gets_a_report_and_a_record_that_works(text: str) -> None:
    report = lint_record(f"v=DMARC1{text}")
    assert report.corrected is not None
    assert is_dmarc(report.corrected)
    assert parse_dmarc(report.corrected).usable
    assert lint_record(report.corrected).errors == ()


@given(st.text(max_size=60))
def test_no_text_breaks_the_linter(text: str) -> None:
    assert lint_record(text, f"v=DMARC1;{text}").problems
