"""Counts, tree, required include, flattening and sending addresses in a lint report."""

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.mailauth import Mistake, Required, Severity, SpfResult, StaticResolver, lint_spf, txt_strings
from notifier.mailauth.domains import fit_name
from notifier.mailauth.lookup import CachingResolver
from tests.unit.notifier.mailauth.support import check, codes, lint, spf
from tests.unit.notifier.mailauth.test_spf_lint import MANY, OK, ZONE, lint_record, zone_with

M = Mistake


def test_the_worst_case_counts_what_an_early_match_would_hide() -> None:
    report = lint_record(f"v=spf1 ip4:0.0.0.0/0 include:deep.example mx {OK} -all")
    assert (report.lookups, report.voids) == (6, 0)


def test_terms_after_all_and_a_redirect_beside_all_cost_nothing() -> None:
    assert lint_record(f"v=spf1 {OK} -all mx include:deep.example redirect=one.example").lookups == 1


def test_the_tree_shows_each_record_with_its_cost() -> None:
    report = lint_record(f"v=spf1 include:deep.example {OK} -all")
    assert report.tree is not None
    assert [(node.domain, node.lookups) for node in report.tree.children] == [
        ("deep.example", 4),
        ("spf.visp.net", 1),
    ]
    deep = report.tree.children[0]
    assert [node.domain for node in deep.children] == ["i0.example", "i1.example", "i2.example"]
    assert deep.record is not None
    assert report.tree.lookups == report.lookups == 5


def test_names_without_ipv6_are_counted_apart() -> None:
    report = lint_record(f"v=spf1 a:v4-0.example a:v4-1.example a:v4-2.example {OK} -all")
    assert (report.voids, report.voids_ipv6) == (0, 3)
    assert codes(report) == {M.TOO_MANY_VOIDS_IPV6}
    assert report.errors == ()


def test_a_required_include_behind_another_is_found_with_its_path() -> None:
    zone = {**zone_with("v=spf1 include:nest.example -all"), "nest.example": spf(f"v=spf1 {OK} -all")}
    report = lint(zone)
    assert (report.required, report.required_path) == (Required.NESTED, ("nest.example", "spf.visp.net"))
    assert report.corrected == "v=spf1 include:nest.example -all"
    assert [problem.severity for problem in report.problems] == [Severity.INFO]


@pytest.mark.parametrize(
    ("record", "expected"), [(f"v=spf1 {OK} -all", Required.DIRECT), ("v=spf1 -all", Required.MISSING)]
)
def test_direct_and_missing_are_told_apart(record: str, expected: Required) -> None:
    assert lint_record(record).required is expected


def test_nothing_is_required_of_our_own_record() -> None:
    assert lint(ZONE, domain="spf.visp.net").required is Required.NOT_ASKED


def test_a_required_include_that_is_broken_itself_is_added_and_said_to_be_broken() -> None:
    report = lint(zone_with("v=spf1 mx -all"), "norecord.example")
    assert M.REQUIRED_BROKEN in codes(report)
    assert report.corrected == "v=spf1 mx include:norecord.example -all"


def test_flattening_is_advised_and_spares_the_required_include() -> None:
    report = lint_record(f"v=spf1 include:deep.example {' '.join(MANY.split()[3:])} {OK} -all")
    assert report.lookups == 13
    assert report.flattening is not None
    assert "include:deep.example" in report.flattening
    assert report.corrected is not None
    assert OK in report.corrected
    assert "ip4:10.0.0.0/24 ip4:10.0.1.0/24 ip4:10.0.2.0/24" in report.corrected
    assert lint_record(report.corrected).errors == ()


def test_what_depends_on_the_message_is_never_flattened() -> None:
    report = lint_record(f"v=spf1 include:dynamic.example {' '.join(MANY.split()[:7])} {OK} -all")
    assert report.corrected is not None
    assert "include:dynamic.example" in report.corrected
    assert lint_record(report.corrected).errors == ()


def test_sending_addresses_are_checked_and_added_when_nothing_covers_them() -> None:
    ips = ["203.0.113.9", "192.0.2.77", "192.0.2.4", "2001:db8::77"]
    report = lint(zone_with("v=spf1 mx -all"), ips=ips)
    assert [check.result for _, check in report.checks] == [
        SpfResult.FAIL,
        SpfResult.FAIL,
        SpfResult.PASS,
        SpfResult.FAIL,
    ]
    uncovered = [problem for problem in report.problems if problem.code is M.SENDING_IP_NOT_COVERED]
    assert len(uncovered) == 3
    assert report.corrected == f"v=spf1 mx {OK} ip4:192.0.2.77 ip6:2001:db8::77 -all"
    assert lint(zone_with(report.corrected), ips=ips).ok


def test_a_sending_address_whose_check_is_unanswered_is_unknown() -> None:
    report = lint(zone_with(f"v=spf1 include:down.example {OK} -all"), ips=["192.0.2.77"])
    assert M.SENDING_IP_UNKNOWN in codes(report)
    assert M.SENDING_IP_NOT_COVERED not in codes(report)


def test_a_long_record_is_split_into_strings_without_spaces_at_the_seams() -> None:
    text = "v=spf1 " + " ".join(f"ip4:198.51.100.{n}" for n in range(60)) + f" {OK} -all"
    strings = txt_strings(text)
    assert "".join(strings) == text
    assert all(len(string) <= 255 and string == string.strip() for string in strings)
    report = lint_record(list(strings))
    assert codes(report) == {M.RECORD_TOO_LONG}
    assert report.strings == strings


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet=' vspf1=alinclude:mx.-~+?,;"\u201c\u00a0\u20134/%{}d', max_size=80))
def test_whatever_is_published_gets_a_report_and_a_clean_correction(text: str) -> None:
    report = lint_record(f"v=spf1 {text}")
    assert report.corrected is not None
    assert lint_record(report.corrected).errors == ()
    for problem in report.problems:
        assert 0 <= problem.start <= problem.end <= len(f"v=spf1 {text}")


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_arbitrary_strings_never_break_the_linter(strings: list[str]) -> None:
    lint_record(strings)
    lint_record(["v=spf1 ", *strings])


def test_look_ahead_does_not_change_a_report() -> None:
    zone = zone_with(f"v=spf1 include:deep.example mx a:x.example {OK} -all")

    async def report() -> object:
        resolver = CachingResolver(StaticResolver(zone))
        found = await lint_spf("d.example", resolver=resolver, required_include="spf.visp.net")
        await resolver.aclose()
        return found

    assert asyncio.run(report()) == lint(zone)


HOSTILE = ["a,", "exists:%{l}", "a/", "include:", "ip6::", "x=y ", "%{", "-", "a.", "all ", "+", "\u201ca"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_record_of_60_kb_takes_no_seconds(piece: str) -> None:
    text = f"v=spf1 {piece * (60_000 // len(piece))}"
    strings = tuple(text[at : at + 255] for at in range(0, len(text), 255))
    zone = {"d.example": {"TXT": [strings]}}
    started = time.process_time()
    report = lint(zone)
    answer = check(zone, sender=f"{'a.' * 30}a@d.example")
    assert time.process_time() - started < 2
    assert answer.result in SpfResult
    assert Mistake.RECORD_TOO_LONG in codes(report)
    assert report.corrected is not None


def test_many_records_are_counted_and_the_first_few_read() -> None:
    report = lint({"d.example": {"TXT": [f"v=spf1 ip4:192.0.2.{n} -all" for n in range(200)]}})
    assert len(report.records) == 5
    assert "has 200 SPF records" in report.problems[-1].sentence


def test_an_expansion_that_is_too_long_keeps_as_many_labels_as_fit() -> None:
    for length in range(1, 400):
        name = ".".join(["abc"] * length)
        fitted = fit_name(name)
        assert name.endswith(fitted)
        assert len(fitted) == min(len(name), 251)
    assert fit_name(f"{'a' * 300}.example") == "example"
