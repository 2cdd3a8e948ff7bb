"""SPF macros: the examples of RFC 7208 section 7.4, then what sections 7.2 and 7.3 say besides."""

import pytest

from notifier.mailauth import SpfResult
from notifier.mailauth.domains import fit_name
from notifier.mailauth.macros import EXPLANATION_LETTERS, compile_macros, expand
from tests.unit.notifier.mailauth.support import check, spf

V4 = {
    "s": "strong-bad@email.example.com",
    "l": "strong-bad",
    "o": "email.example.com",
    "d": "email.example.com",
    "i": "192.0.2.3",
    "p": "mx.example.org",
    "v": "in-addr",
    "h": "mx.example.org",
    "c": "192.0.2.3",
    "r": "receiver.example.net",
    "t": "1700000000",
}
V6 = {**V4, "i": ".".join("20010db800000000000000000000cb01"), "v": "ip6"}
REVERSED_V6 = ".".join(reversed("20010db800000000000000000000cb01"))


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        # section 7.4, IPv4
        ("%{s}", V4, "strong-bad@email.example.com"),
        ("%{o}", V4, "email.example.com"),
        ("%{d}", V4, "email.example.com"),
        ("%{d4}", V4, "email.example.com"),
        ("%{d3}", V4, "email.example.com"),
        ("%{d2}", V4, "example.com"),
        ("%{d1}", V4, "com"),
        ("%{dr}", V4, "com.example.email"),
        ("%{d2r}", V4, "example.email"),
        ("%{l}", V4, "strong-bad"),
        ("%{l-}", V4, "strong.bad"),
        ("%{lr}", V4, "strong-bad"),
        ("%{lr-}", V4, "bad.strong"),
        ("%{l1r-}", V4, "strong"),
        ("%{ir}.%{v}._spf.%{d2}", V4, "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", V4, "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", V4, "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", V4, "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", V4, "example.com.trusted-domains.example.net"),
        # section 7.4, IPv6
        ("%{ir}.%{v}._spf.%{d2}", V6, f"{REVERSED_V6}.ip6._spf.example.com"),
        # sections 7.2 and 7.3
        ("%%x%_y%-z", V4, "%x y%20z"),
        ("%{S}", V4, "strong-bad%40email.example.com"),
        ("%{s3+-.,/_=}", V4, "bad@email.example.com"),
        ("%{LR-}", V4, "bad.strong"),
        ("%{i99}", V4, "192.0.2.3"),
        ("%{i" + "9" * 5000 + "}", V4, "192.0.2.3"),
        ("%{d02}", V4, "example.com"),
        ("%{p}|%{h}|%{v}", V4, "mx.example.org|mx.example.org|in-addr"),
        ("%{c} %{r} %{t}", V4, "192.0.2.3 receiver.example.net 1700000000"),
        ("plain", V4, "plain"),
        ("", V4, ""),
    ],
)
def test_macro_examples_expand_as_printed(text: str, values: dict[str, str], expected: str) -> None:
    assert expand(compile_macros(text, EXPLANATION_LETTERS), values.__getitem__) == expected


def test_empty_parts_are_kept_when_a_value_is_split() -> None:
    values = {"l": "-a--b-"}
    assert expand(compile_macros("%{l-}"), values.__getitem__) == ".a..b."
    assert expand(compile_macros("%{l2r-}"), values.__getitem__) == "a."


def test_an_expansion_that_is_too_long_loses_labels_from_the_left() -> None:
    long = ".".join(["abcdefghi"] * 30) + ".example"
    fitted = fit_name(long)
    assert len(fitted) <= 253
    assert long.endswith("." + fitted)
    assert len(fitted) + 10 > 253


def test_an_escaped_letter_is_url_encoded_in_a_name_too() -> None:
    zone = {"d.example": spf("v=spf1 exists:%{L}.ok.example -all"), "a%2bb.ok.example": {"A": ["127.0.0.2"]}}
    assert check(zone, sender="a+b@d.example").result is SpfResult.PASS


@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("exists:%{ir}.%{v}.x.example", "200.113.0.203.in-addr.x.example"),
        ("exists:%{h}.x.example", "mail.d.example.x.example"),
        ("exists:%{o2}.x.example", "d.example.x.example"),
        ("a:%{d1r}.x.example", "d.x.example"),
        ("mx:%{l}.x.example", "joe.x.example"),
    ],
)
def test_names_are_asked_as_expanded(term: str, name: str) -> None:
    answer = check({"d.example": spf(f"v=spf1 {term} -all")})
    assert answer.trace[0].asked[0].name == name


def test_d_is_the_current_domain_inside_an_include_and_o_stays_the_senders() -> None:
    zone = {
        "d.example": spf("v=spf1 include:inner.example -all"),
        "inner.example": spf("v=spf1 exists:%{d}.%{o}.x.example -all"),
    }
    assert check(zone).trace[0].children[0].asked[0].name == "inner.example.d.example.x.example"


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        ("192.0.2.5", "sub.d.example"),  # a subdomain is preferred
        ("192.0.2.6", "d.example"),  # the domain itself even more
        ("192.0.2.7", "other.example"),
        ("192.0.2.8", "unknown"),  # not validated
        ("192.0.2.9", "unknown"),  # no PTR
        ("192.0.2.10", "unknown"),  # DNS error
    ],
)
def test_p_is_the_validated_name_nearest_to_the_domain(ip: str, name: str) -> None:
    zone = {
        "d.example": {**spf("v=spf1 exists:%{p}.x.example -all"), "A": ["192.0.2.6"]},
        "5.2.0.192.in-addr.arpa": {"PTR": ["other.example", "sub.d.example"]},
        "6.2.0.192.in-addr.arpa": {"PTR": ["other.example", "sub.d.example", "d.example"]},
        "7.2.0.192.in-addr.arpa": {"PTR": ["other.example"]},
        "8.2.0.192.in-addr.arpa": {"PTR": ["liar.example"]},
        "10.2.0.192.in-addr.arpa": "TIMEOUT",
        "other.example": {"A": ["192.0.2.5", "192.0.2.6", "192.0.2.7"]},
        "sub.d.example": {"A": ["192.0.2.5", "192.0.2.6"]},
        "liar.example": {"A": ["198.51.100.1"]},
    }
    assert check(zone, ip).trace[0].asked[-1].name == f"{name}.x.example"


def test_p_asks_for_at_most_ten_names_and_only_once() -> None:
    zone: dict[str, object] = {
        "d.example": spf("v=spf1 exists:%{p}.x.example exists:%{p}.y.example -all"),
        "5.2.0.192.in-addr.arpa": {"PTR": [f"h{n}.example" for n in range(15)]},
        **{f"h{n}.example": {"A": ["198.51.100.1"]} for n in range(15)},
    }
    first, second, _ = check(zone, "192.0.2.5").trace
    assert [asked.rtype for asked in first.asked] == ["PTR", *["A"] * 10, "A"]
    assert [asked.name for asked in second.asked] == ["unknown.y.example"]
