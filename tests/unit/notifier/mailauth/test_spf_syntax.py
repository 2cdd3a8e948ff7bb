"""The grammar of RFC 7208 sections 4.6.1, 5, 6, 7.1 and 12: one row per production, right or wrong."""

from ipaddress import AddressValueError, IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.mailauth import SpfResult
from notifier.mailauth.record import (
    Modifier,
    TermError,
    is_spf,
    parse_ip4,
    parse_ip6,
    parse_record,
    parse_term,
)
from tests.unit.notifier.mailauth.support import check_record

WRONG = [
    "moo",
    "all:",
    "all:x.example",
    "all/8",
    "-",
    "--all",
    "*all",
    "-all.",
    "ip",
    "ip4",
    "ip4:",
    "ip4/8",
    "ip4:192.0.2",
    "ip4:192.0.2.1.1",
    "ip4:192.0.2.256",
    "ip4:192.0.02.1",
    "ip4:192.0.2.1/",
    "ip4:192.0.2.1/33",
    "ip4:192.0.2.1/08",
    "ip4:192.0.2.1/00",
    "ip4:192.0.2.1/-1",
    "ip4:192.0.2.1//32",
    "ip4:192.0.2.1:25",
    "ip4:2001:db8::1",
    "ip4:%{i}",
    "ip6:",
    "ip6:192.0.2.1",
    "ip6:2001:db8::g",
    "ip6:2001:db8::1::2",
    "ip6:2001:db8::1/129",
    "ip6:2001:db8::1/064",
    "ip6:fe80::1%eth0",
    "a:",
    "a:/24",
    "a/",
    "a/33",
    "a/024",
    "a//129",
    "a//024",
    "a/24//",
    "a/24/24",
    "a/24/64//64",
    "a:localhost",
    "a:192.0.2.1",
    "a:host.example:8080",
    "a:host.example-",
    "a:host.-example",
    "a:host.example..",
    "a:host.1",
    "a:host.exam_ple",
    "a:foo%{d}bar",
    "a:%%{d}",
    "mx:",
    "mx/33",
    "ptr/0",
    "ptr:",
    "ptr:host.example/24",
    "include",
    "include:",
    "include/24",
    "include:host.example/24",
    "exists",
    "exists:",
    "exists:host.example//64",
    "redirect=",
    "redirect=localhost",
    "redirect:host.example",
    "-redirect=host.example",
    "exp=",
    "exp=localhost",
    "redirect=a.example redirect=b.example",
    "exp=a.example exp=b.example",
    "exp=a.example EXP=a.example",
    "=x",
    "1moo=x",
    "moo=%",
    "moo=%{",
    "moo=%{}",
    "moo=%{x}",
    "moo=%x",
    "exists:%{d0}.example",
    "exists:%{dx}.example",
    "exists:%{d2r.}.example%",
    "exists:%{c}.example",
    "exists:%{r}.example",
    "exists:%{t}.example",
    "exp=%{t}.example",
    "exists:%(ir).example",
    "a\tmx",
    "a:h\u00f6st.example",
    "\u201call\u201d",
]
RIGHT = [
    "a:host.example.",
    "a:host.e1",
    "a:host.1e",
    "a:host.xn--p1ai",
    "a:_host.example",
    "a:host.example/0//0",
    "a:host.example/32//128",
    "a/24",
    "a//64",
    "a:%{d}",
    "a:%{d}/24",
    "a:%{D2R.-+,/_=}",
    "a:x%%",
    "a:x%_",
    "a:x%-",
    "a:b/c.example/24",
    "exists:host.example/24.example",
    "exists:%{l1r+-}.%{ir}.%{v}._spf.%{d2}",
    "ip4:0.0.0.0/0",
    "ip4:255.255.255.255/32",
    "ip6:::1/128",
    "ip6:2001:db8::192.0.2.1",
    "PTR:Host.Example",
    "moo=",
    "moo=%{c}%{R}%{t}",
    "moo.cow-1_2=man:dog/cat",
    "include=",
    "exp=x.%{d}",
]


@pytest.mark.parametrize("terms", WRONG)
def test_a_malformed_term_anywhere_is_a_permerror_before_anything_is_asked(terms: str) -> None:
    for record in (f"v=spf1 ip4:0.0.0.0/0 {terms} -all", f"v=spf1 +all {terms}", f"v=spf1 {terms}"):
        answer = check_record(record)
        assert (answer.result, answer.lookups, answer.trace) == (SpfResult.PERMERROR, 0, ())
        assert answer.problem is not None
        assert "malformed" in answer.problem


@pytest.mark.parametrize("term", RIGHT)
def test_a_well_formed_term_is_accepted(term: str) -> None:
    assert parse_record(f"v=spf1 {term} -all").problem is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=spf1", True),
        ("V=SPF1 ", True),
        ("v=spf1 -all", True),
        ("v=spf10", False),
        ("v=spf1\t-all", False),
        (" v=spf1", False),
        ("v=spf1;", False),
        ("", False),
    ],
)
def test_a_record_is_spf_by_its_version_section(text: str, expected: bool) -> None:
    assert is_spf(text) is expected


def test_each_term_knows_its_place_in_the_record() -> None:
    text = "v=spf1  a:host.example   -all "
    record = parse_record(text)
    assert [text[term.start : term.start + len(term.text)] for term in record.directives] == [
        "a:host.example",
        "-all",
    ]


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    record = parse_record(f"v=spf1 {text}")
    assert record.problem is None or record.problem


@given(
    st.sampled_from(["", "+", "-", "~", "?"]),
    st.sampled_from(["a", "mx", "ptr", "include", "exists", "ip4", "ip6", "all", "redirect", "moo"]),
    st.text(alphabet="abz019.:/-%{}dlr_=+,", max_size=20),
)
def test_near_terms_are_accepted_or_refused_but_never_both(sign: str, name: str, rest: str) -> None:
    term = f"{sign}{name}{rest}"
    record = parse_record(f"v=spf1 {term}")
    parsed: object = None
    refusal = None
    try:
        parsed = parse_term(term, 7)
    except TermError as error:
        refusal = str(error)
    assert record.problem == refusal
    # The record's quick way past plain terms leads to the very same values.
    assert refusal or isinstance(parsed, Modifier) or record.directives == (parsed,)


@pytest.mark.parametrize("sign", ["", "+", "-", "~", "?"])
@pytest.mark.parametrize(
    "term",
    ["all", "a", "mx", "a:Host.example", "mx:h_1.example", "include:x.example", "exists:x-.example",
     "ip4:192.0.2.77/26", "ip4:192.0.2.77", "ip4:0.0.0.0/0", "ip6:2001:DB8::77/33", "ip6:::",
     "ip6:1:2:3:4:5:6:7:8/0"],
)  # fmt: skip
def test_the_quick_way_past_plain_terms_gives_the_same_as_the_grammar(sign: str, term: str) -> None:
    (read,) = parse_record(f"v=spf1 {sign}{term}").directives
    assert read == parse_term(sign + term, 7)


@given(
    st.one_of(
        st.ip_addresses(v=6).map(str),
        st.ip_addresses(v=6).map(lambda address: address.exploded.upper()),
        st.text(alphabet="0123456789abcdefABCDEFg:.%+_ x", max_size=24),
        st.lists(st.sampled_from(["0", "ffff", "12345", "", "1"]), max_size=9).map(":".join),
    )
)
def test_ipv6_is_read_as_the_standard_library_reads_it(text: str) -> None:
    try:
        expected = None if "%" in text else int(IPv6Address(text))
    except AddressValueError:
        expected = None
    assert parse_ip6(text) == expected


@given(st.one_of(st.ip_addresses(v=4).map(str), st.text(alphabet="0123456789.+_ ", max_size=16)))
def test_ipv4_is_read_as_the_standard_library_reads_it(text: str) -> None:
    try:
        expected = int(IPv4Address(text))
    except AddressValueError:
        expected = None
    assert parse_ip4(text) == expected
