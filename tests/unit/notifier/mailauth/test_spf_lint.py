"""Linting: one row per mistake, with its name, its place, and the record that we would publish instead."""

import pytest

from notifier.mailauth import Mistake, Required, SpfReport
from tests.unit.notifier.mailauth.support import codes, lint, spf

OK = "include:spf.visp.net"
ZONE: dict[str, object] = {
    "spf.visp.net": spf("v=spf1 ip4:203.0.113.0/24 -all"),
    "one.example": spf("v=spf1 ip4:198.51.100.0/26 -all"),
    "two.example": spf("v=spf1 ip4:198.51.100.64/26 -all"),
    "mx.d.example": {"A": ["192.0.2.4"], "AAAA": ["2001:db8::4"]},
    "web.example": {"A": ["192.0.2.5"], "AAAA": ["2001:db8::5"]},
    "norecord.example": {"A": ["192.0.2.6"]},
    "broken.example": spf("v=spf1 moo -all"),
    "twice.example": spf("v=spf1 -all", "v=spf1 ~all"),
    "loop.example": spf("v=spf1 include:d.example -all"),
    "circle.example": spf("v=spf1 include:circle.example -all"),
    "down.example": "TIMEOUT",
    "many-mx.example": {"MX": [f"{n} h{n}.example" for n in range(11)]},
    **{f"i{n}.example": spf(f"v=spf1 ip4:10.0.{n}.0/24 -all") for n in range(12)},
    "deep.example": spf("v=spf1 include:i0.example include:i1.example include:i2.example -all"),
    "dynamic.example": spf("v=spf1 exists:%{i}.x.example include:i0.example include:i1.example -all"),
    **{f"v4-{n}.example": {"A": ["192.0.2.7"]} for n in range(3)},
}
M = Mistake
JOINED = M.STRINGS_JOINED


def zone_with(*records: object) -> dict[str, object]:
    domain = {**spf(*records), "A": ["192.0.2.3"], "AAAA": ["2001:db8::3"], "MX": ["10 mx.d.example"]}
    return {**ZONE, "d.example": domain}


def lint_record(*records: object, required: str | None = "spf.visp.net") -> SpfReport:
    return lint(zone_with(*records), required)


MANY = " ".join(f"include:i{n}.example" for n in range(11))
ROWS: list[tuple[object, Mistake, str, str]] = [
    # published text, mistake, the text at its place, corrected
    (f"v=spf1 ptr {OK} -all", M.PTR, "ptr", f"v=spf1 {OK} -all"),
    (f"v=spf1 {OK} +all", M.PLUS_ALL, "+all", f"v=spf1 {OK} ~all"),
    (f"v=spf1 {OK} all", M.PLUS_ALL, "all", f"v=spf1 {OK} ~all"),
    (f"v=spf1 {OK} ?all", M.NEUTRAL_ALL, "?all", f"v=spf1 {OK} ~all"),
    (f"v=spf1 mx {OK}", M.NO_ALL, "", f"v=spf1 mx {OK} ~all"),
    (f"v=spf1 ip4:1.2.3.4/0 {OK} -all", M.TOO_WIDE, "ip4:1.2.3.4/0", f"v=spf1 ip4:1.2.3.4/0 {OK} -all"),
    (f"v=spf1 a/7 {OK} -all", M.TOO_WIDE, "a/7", f"v=spf1 a/7 {OK} -all"),
    (f"v=spf1 mx//0 {OK} -all", M.TOO_WIDE, "mx//0", f"v=spf1 mx//0 {OK} -all"),
    (f"v=spf1 ip6:2000::/3 {OK} -all", M.TOO_WIDE, "ip6:2000::/3", f"v=spf1 ip6:2000::/3 {OK} -all"),
    (f"v=spf1 {OK} -all mx", M.TEXT_AFTER_ALL, "mx", f"v=spf1 {OK} mx -all"),
    (f"v=spf1 {OK} -all moo", M.TEXT_AFTER_ALL, "moo", f"v=spf1 {OK} -all"),
    (f"v=spf1 a:192.0.2.1 {OK} -all", M.A_WITH_IP, "a:192.0.2.1", f"v=spf1 ip4:192.0.2.1 {OK} -all"),
    (f"v=spf1 a:192.0.2.0/24 {OK} -all", M.A_WITH_IP, "a:192.0.2.0/24", f"v=spf1 ip4:192.0.2.0/24 {OK} -all"),
    (f"v=spf1 mx:192.0.2.1 {OK} -all", M.MX_WITH_IP, "mx:192.0.2.1", f"v=spf1 ip4:192.0.2.1 {OK} -all"),
    (
        f"v=spf1 include:192.0.2.1 {OK} -all",
        M.INCLUDE_WITH_IP,
        "include:192.0.2.1",
        f"v=spf1 ip4:192.0.2.1 {OK} -all",
    ),
    (
        f"v=spf1 ip4:2001:db8::1 {OK} -all",
        M.IP4_WITH_IPV6,
        "ip4:2001:db8::1",
        f"v=spf1 ip6:2001:db8::1 {OK} -all",
    ),
    (f"v=spf1 ip6:192.0.2.1 {OK} -all", M.IP6_WITH_IPV4, "ip6:192.0.2.1", f"v=spf1 ip4:192.0.2.1 {OK} -all"),
    (f"v=spf1 192.0.2.1 {OK} -all", M.BARE_IP, "192.0.2.1", f"v=spf1 ip4:192.0.2.1 {OK} -all"),
    (f"v=spf1 2001:db8::/32 {OK} -all", M.BARE_IP, "2001:db8::/32", f"v=spf1 ip6:2001:db8::/32 {OK} -all"),
    (f"v=spf1 ip:192.0.2.1 {OK} -all", M.IP_COLON, "ip:192.0.2.1", f"v=spf1 ip4:192.0.2.1 {OK} -all"),
    (f"v=spf1 ip:2001:db8::1 {OK} -all", M.IP_COLON, "ip:2001:db8::1", f"v=spf1 ip6:2001:db8::1 {OK} -all"),
    ("v=spf1 includes:spf.visp.net -all", M.INCLUDES, "includes:spf.visp.net", f"v=spf1 {OK} -all"),
    (f"v=spf1 mx,{OK},-all", M.COMMA, f"mx,{OK},-all", f"v=spf1 mx {OK} -all"),
    (f"v=spf1 mx, {OK} -all", M.COMMA, "mx,", f"v=spf1 mx {OK} -all"),
    (
        f"v=spf1 {OK} ip4:192.0.2.1,192.0.2.2 -all",
        M.COMMA,
        "ip4:192.0.2.1,192.0.2.2",
        f"v=spf1 {OK} ip4:192.0.2.1 ip4:192.0.2.2 -all",
    ),
    (
        "v=spf1 include:one.example,spf.visp.net -all",
        M.COMMA,
        "include:one.example,spf.visp.net",
        f"v=spf1 include:one.example {OK} -all",
    ),
    (f"v=spf1 mx;{OK};-all", M.SEMICOLON, f"mx;{OK};-all", f"v=spf1 mx {OK} -all"),
    ("v=spf1 include: spf.visp.net -all", M.SPACE_AFTER_COLON, "include: spf.visp.net", f"v=spf1 {OK} -all"),
    ("v=spf1 include :spf.visp.net -all", M.SPACE_AFTER_COLON, "include :spf.visp.net", f"v=spf1 {OK} -all"),
    ("v=spf1 include spf.visp.net -all", M.MISSING_COLON, "include spf.visp.net", f"v=spf1 {OK} -all"),
    (f"v=spf1 {OK} - all", M.SPACE_AFTER_QUALIFIER, "- all", f"v=spf1 {OK} -all"),
    ([f"v=spf1 {OK}", "mx -all"], JOINED, f"{OK}mx", f"v=spf1 {OK} mx -all"),
    ([f"v=spf1 {OK}", "a -all"], JOINED, f"{OK}a", f"v=spf1 {OK} a -all"),
    (["v=spf1 ip4:192.0.2.1", f"{OK} -all"], JOINED, f"ip4:192.0.2.1{OK}", f"v=spf1 ip4:192.0.2.1 {OK} -all"),
    ([f"v=spf1 {OK}", "-all"], JOINED, f"{OK}-all", f"v=spf1 {OK} -all"),
    (["v=spf1", f"{OK} -all"], JOINED, "v=spf1", f"v=spf1 {OK} -all"),
    (f'"v=spf1 {OK} -all"', M.QUOTES, '"', f"v=spf1 {OK} -all"),
    (f'v=spf1 "{OK}" -all', M.QUOTES, '"', f"v=spf1 {OK} -all"),
    (f"v=spf1 \u201c{OK}\u201d -all", M.SMART_QUOTES, "\u201c", f"v=spf1 {OK} -all"),
    (f"v=spf1 {OK} \u2013all", M.SMART_DASH, "\u2013", f"v=spf1 {OK} -all"),
    (f"v=spf1 {OK}\u00a0-all", M.INVISIBLE_CHARACTER, "\u00a0", f"v=spf1 {OK} -all"),
    (f"\ufeffv=spf1 {OK} -all", M.INVISIBLE_CHARACTER, "\ufeff", f"v=spf1 {OK} -all"),
    (f"v=spf1\t{OK} -all", M.INVISIBLE_CHARACTER, "\t", f"v=spf1 {OK} -all"),
    (f"v=spf1 {OK} a:caf\u00e9.example -all", M.NON_ASCII, "a:caf\u00e9.example", f"v=spf1 {OK} -all"),
    (f"  v=spf1 {OK} -all", M.LEADING_SPACE, "  ", f"v=spf1 {OK} -all"),
    (f"v=spf1; {OK} -all", M.VERSION_PUNCTUATION, "v=spf1;", f"v=spf1 {OK} -all"),
    (f"v = spf1 {OK} -all", M.BAD_VERSION, "v = spf1", f"v=spf1 {OK} -all"),
    (f"v=spf {OK} -all", M.BAD_VERSION, "v=spf", f"v=spf1 {OK} -all"),
    (f"spf1 {OK} -all", M.BAD_VERSION, "spf1", f"v=spf1 {OK} -all"),
    (f"v=spf1{OK} -all", M.BAD_VERSION, "v=spf1", f"v=spf1 {OK} -all"),
    (f"v=spf1 v=spf1 {OK} -all", M.VERSION_REPEATED, "v=spf1", f"v=spf1 {OK} -all"),
    (
        f"v=spf1 {OK} redirect=one.example -all",
        M.REDIRECT_WITH_ALL,
        "redirect=one.example",
        f"v=spf1 {OK} -all",
    ),
    (f"v=spf1 {OK} {OK} -all", M.DUPLICATE_INCLUDE, OK, f"v=spf1 {OK} -all"),
    (f"v=spf1 mx {OK} MX -all", M.DUPLICATE_TERM, "MX", f"v=spf1 mx {OK} -all"),
    (
        f"v=spf1 {OK} redirect=one.example redirect=two.example",
        M.DUPLICATE_MODIFIER,
        "redirect=two.example",
        f"v=spf1 {OK} redirect=one.example",
    ),
    (
        f"v=spf1 {OK} redirect:one.example",
        M.COLON_FOR_EQUALS,
        "redirect:one.example",
        f"v=spf1 {OK} redirect=one.example",
    ),
    ("v=spf1 include=spf.visp.net -all", M.EQUALS_FOR_COLON, "include=spf.visp.net", f"v=spf1 {OK} -all"),
    ("v=spf1 incldue:spf.visp.net -all", M.MISSPELT, "incldue:spf.visp.net", f"v=spf1 {OK} -all"),
    (f"v=spf1 ipv4:192.0.2.1 {OK} -all", M.MISSPELT, "ipv4:192.0.2.1", f"v=spf1 ip4:192.0.2.1 {OK} -all"),
    (f"v=spf1 {OK} -all.", M.TRAILING_PUNCTUATION, "-all.", f"v=spf1 {OK} -all"),
    (f"v=spf1 {OK} --all", M.DOUBLE_QUALIFIER, "--all", f"v=spf1 {OK} -all"),
    (
        "v=spf1 include:https://spf.visp.net/ -all",
        M.URL_IN_TERM,
        "include:https://spf.visp.net/",
        f"v=spf1 {OK} -all",
    ),
    (
        f"v=spf1 ip4:192.0.2.0/255.255.255.0 {OK} -all",
        M.BAD_PREFIX,
        "ip4:192.0.2.0/255.255.255.0",
        f"v=spf1 ip4:192.0.2.0/24 {OK} -all",
    ),
    (
        f"v=spf1 ip4:192.0.2.1/33 {OK} -all",
        M.BAD_PREFIX,
        "ip4:192.0.2.1/33",
        f"v=spf1 ip4:192.0.2.1 {OK} -all",
    ),
    (f"v=spf1 ip4:192.0.2.01 {OK} -all", M.BAD_ADDRESS, "ip4:192.0.2.01", f"v=spf1 ip4:192.0.2.1 {OK} -all"),
    (f"v=spf1 ip4:192.0.2 {OK} -all", M.BAD_ADDRESS, "ip4:192.0.2", f"v=spf1 {OK} -all"),
    (
        f"v=spf1 ip4:web.example {OK} -all",
        M.IP_WITH_NAME,
        "ip4:web.example",
        f"v=spf1 a:web.example {OK} -all",
    ),
    (f"v=spf1 exists:%{{x}}.example {OK} -all", M.BAD_MACRO, "exists:%{x}.example", f"v=spf1 {OK} -all"),
    (f"v=spf1 a:localhost {OK} -all", M.MALFORMED_TERM, "a:localhost", f"v=spf1 {OK} -all"),
    (f"v=spf1 moo {OK} -all", M.UNKNOWN_MECHANISM, "moo", f"v=spf1 {OK} -all"),
    (
        f"v=spf1 include:norecord.example {OK} -all",
        M.INCLUDE_WITHOUT_RECORD,
        "include:norecord.example",
        f"v=spf1 {OK} -all",
    ),
    (
        f"v=spf1 include:gone.example {OK} -all",
        M.INCLUDE_WITHOUT_RECORD,
        "include:gone.example",
        f"v=spf1 {OK} -all",
    ),
    (
        f"v=spf1 include:twice.example {OK} -all",
        M.INCLUDE_TWO_RECORDS,
        "include:twice.example",
        f"v=spf1 {OK} -all",
    ),
    (
        f"v=spf1 include:broken.example {OK} -all",
        M.INCLUDE_MALFORMED,
        "include:broken.example",
        f"v=spf1 {OK} -all",
    ),
    (f"v=spf1 include:d.example {OK} -all", M.INCLUDE_LOOP, "include:d.example", f"v=spf1 {OK} -all"),
    (f"v=spf1 include:loop.example {OK} -all", M.INCLUDE_LOOP, "include:loop.example", f"v=spf1 {OK} -all"),
    (
        f"v=spf1 include:circle.example {OK} -all",
        M.INCLUDE_LOOP,
        "include:circle.example",
        f"v=spf1 {OK} -all",
    ),
    (f"v=spf1 {OK} redirect=d.example", M.INCLUDE_LOOP, "redirect=d.example", f"v=spf1 {OK} ~all"),
    (f"v=spf1 mx:many-mx.example {OK} -all", M.TOO_MANY_MX, "mx:many-mx.example", f"v=spf1 {OK} -all"),
    (
        f"v=spf1 a:x.example a:y.example a:z.example {OK} -all",
        M.TOO_MANY_VOIDS,
        "a:z.example",
        f"v=spf1 a:x.example a:y.example {OK} -all",
    ),
    (f"v=spf1 a:x.example {OK} -all", M.DEAD_NAME, "a:x.example", f"v=spf1 {OK} -all"),
    ("v=spf1 mx -all", M.REQUIRED_MISSING, "", f"v=spf1 mx {OK} -all"),
    ("v=spf1 redirect=one.example", M.REQUIRED_MISSING, "", f"v=spf1 {OK} redirect=one.example"),
    (f"v=spf1 mx -all {OK}", M.REQUIRED_MISSING, "", f"v=spf1 mx {OK} -all"),
    (
        "v=spf1 -include:spf.visp.net mx -all",
        M.REQUIRED_NOT_PASSING,
        "-include:spf.visp.net",
        f"v=spf1 mx {OK} -all",
    ),
    (
        f"v=spf1 {MANY} {OK} -all",
        M.TOO_MANY_LOOKUPS,
        "include:i10.example",
        "v=spf1 ip4:10.0.0.0/24 ip4:10.0.1.0/24 "
        + " ".join(f"include:i{n}.example" for n in range(2, 11))
        + f" {OK} -all",
    ),
]


def text_of(published: object) -> str:
    return "".join(published) if isinstance(published, list) else str(published)


@pytest.mark.parametrize(
    ("published", "mistake", "place", "corrected"), ROWS, ids=lambda value: str(value)[:60]
)
def test_each_mistake_has_its_own_name_and_place_and_correction(
    published: object, mistake: Mistake, place: str, corrected: str
) -> None:
    report = lint_record(published)
    found = [problem for problem in report.problems if problem.code is mistake]
    assert found, sorted(codes(report))
    assert place in [text_of(published)[problem.start : problem.end] for problem in found]
    assert all(problem.term == text_of(published)[problem.start : problem.end] for problem in found)
    assert all(problem.sentence.endswith(".") for problem in found)
    if mistake is not M.DEAD_NAME:
        assert report.corrected == corrected


@pytest.mark.parametrize(
    ("published", "mistake", "place", "corrected"), ROWS, ids=lambda value: str(value)[:60]
)
def test_the_corrected_record_has_no_errors_and_is_its_own_correction(
    published: object, mistake: Mistake, place: str, corrected: str
) -> None:
    first = lint_record(published)
    again = lint_record(list(first.strings))
    assert again.errors == ()
    assert again.corrected == first.corrected
    assert again.required is Required.DIRECT
    assert "".join(first.strings) == first.corrected


@pytest.mark.parametrize(
    "record",
    [
        f"v=spf1 mx {OK} ~all",
        f"v=SpF1 A {OK} -ALL",
        f"v=spf1   mx  {OK}   -all ",
        f"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 exists:%{{i}}.x.example {OK} -all exp=why.%{{d}}",
        f"v=spf1 {OK} redirect=one.example",
    ],
)
def test_a_good_record_is_left_as_it_is(record: str) -> None:
    report = lint_record(record)
    assert report.problems == ()
    assert report.ok
    assert (report.corrected, report.record) == (record, record)


@pytest.mark.parametrize(
    "strings",
    [
        ["v=spf1 include:spf.vi", "sp.net mx ip4:192.0.2", ".1 -a", "ll"],
        ["v=spf1 ", f"{OK} ", "mx -all"],
        ["v=spf1 ip6:2001:db8::", "a -all include:spf.visp.net"],
    ],
)
def test_strings_that_were_split_inside_a_term_on_purpose_are_no_mistake(strings: list[str]) -> None:
    assert M.STRINGS_JOINED not in codes(lint_record(strings))


def test_a_name_that_was_cut_where_the_string_was_full_is_no_mistake() -> None:
    addresses = " ".join(f"ip4:198.51.100.{n}" for n in range(100, 111))
    first = f"v=spf1 {addresses} {OK} a:web.example.c"
    assert 240 < len(first) <= 255
    assert M.STRINGS_JOINED not in codes(lint_record([first, "a -all"]))


def test_two_records_are_merged_into_one() -> None:
    report = lint_record("v=spf1 mx include:one.example -all", "v=spf1 mx include:two.example ~all")
    assert M.TWO_RECORDS in codes(report)
    assert report.corrected == f"v=spf1 mx include:one.example include:two.example {OK} ~all"
    assert lint_record(report.corrected).errors == ()


def test_a_redirect_of_one_of_two_records_becomes_an_include() -> None:
    report = lint_record("v=spf1 redirect=one.example", f"v=spf1 {OK} -all")
    assert report.corrected == f"v=spf1 include:one.example {OK} -all"


def test_a_damaged_record_beside_a_good_one_is_a_second_record() -> None:
    report = lint_record('"v=spf1 mx -all"', f"v=spf1 {OK} -all")
    assert {M.TWO_RECORDS, M.QUOTES} <= codes(report)
    assert report.record == f"v=spf1 {OK} -all"
    quotes = next(problem for problem in report.problems if problem.code is M.QUOTES)
    assert report.records[quotes.record][quotes.start : quotes.end] == '"'


@pytest.mark.parametrize(
    "texts", [[], ["google-site-verification=x"], ["v=DMARC1; p=none"], ["spf2.0/pra -all"]]
)
def test_no_record_at_all_gets_a_fresh_one(texts: list[str]) -> None:
    report = lint_record(*texts)
    assert codes(report) == {M.NO_RECORD}
    assert (report.corrected, report.required) == (f"v=spf1 {OK} ~all", Required.MISSING)
    assert lint_record(report.corrected).ok


def test_a_fresh_record_without_anything_required_follows_the_mx() -> None:
    assert lint_record(required=None).corrected == "v=spf1 mx ~all"
    assert lint({"d.example": {"A": ["192.0.2.1"]}}, None).corrected == "v=spf1 -all"


def test_dns_that_does_not_answer_means_unknown_and_never_missing() -> None:
    report = lint({"d.example": "TIMEOUT"})
    assert codes(report) == {M.DNS_UNAVAILABLE}
    assert (report.unavailable, report.ok, report.required, report.corrected) == (
        True,
        False,
        Required.UNKNOWN,
        None,
    )


def test_an_include_that_does_not_answer_makes_the_required_include_unknown() -> None:
    report = lint_record("v=spf1 include:down.example -all")
    assert report.required is Required.UNKNOWN
    assert codes(report) == {M.INCLUDE_UNAVAILABLE}
    assert report.errors == ()
    assert report.corrected == f"v=spf1 include:down.example {OK} -all"


def test_what_is_no_domain_is_said_to_be_none() -> None:
    assert codes(lint({}, domain="localhost")) == {M.DOMAIN_INVALID}
    with pytest.raises(ValueError, match="include it"):
        lint({}, required="not a domain")


@pytest.mark.parametrize(
    "term", ["ip4:10.0.0.0/8", "?ip4:0.0.0.0/0", "-ip4:0.0.0.0/0", "a/8//16", "ip6:2600::/16"]
)
def test_a_block_that_somebody_may_own_or_that_does_not_pass_is_not_too_wide(term: str) -> None:
    assert M.TOO_WIDE not in codes(lint_record(f"v=spf1 {term} {OK} -all"))
