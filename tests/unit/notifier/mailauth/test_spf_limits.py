"""The limits of RFC 7208 section 4.6.4, each one met and passed."""

import pytest

from notifier.mailauth import SpfResult
from tests.unit.notifier.mailauth.support import check, spf

HOSTS: dict[str, object] = {f"h{n}.example": {"A": ["198.51.100.1"]} for n in range(20)}


def names(mechanism: str, count: int) -> str:
    return " ".join(f"{mechanism}:h{n}.example" for n in range(count))


@pytest.mark.parametrize("mechanism", ["a", "-exists:x.%{d}", "ptr", "mx"])
def test_ten_terms_are_allowed_and_the_eleventh_is_a_permerror(mechanism: str) -> None:
    zone = {
        **HOSTS,
        "d.example": {"A": ["198.51.100.1"], "MX": ["1 h1.example"]},
        "200.113.0.203.in-addr.arpa": {"PTR": ["h1.example"]},
        "x.d.example": {"A": []},
    }
    term = "a" if mechanism.startswith("-exists") else mechanism
    ten = check({**zone, "d.example": {**_domain(zone), **spf(f"v=spf1 {' '.join([term] * 10)} ?all")}})
    eleven = check({**zone, "d.example": {**_domain(zone), **spf(f"v=spf1 {' '.join([term] * 11)} ?all")}})
    assert (ten.result, ten.lookups) == (SpfResult.NEUTRAL, 10)
    assert eleven.result is SpfResult.PERMERROR
    assert eleven.problem is not None
    assert "more than 10" in eleven.problem


def _domain(zone: dict[str, object]) -> dict[str, object]:
    content = zone["d.example"]
    assert isinstance(content, dict)
    return content


def test_an_early_match_hides_an_overlong_record() -> None:
    record = f"v=spf1 ip4:192.0.2.1 {names('a', 11)} -all"
    assert check({**HOSTS, "d.example": spf(record)}, "192.0.2.1").result is SpfResult.PASS
    assert check({**HOSTS, "d.example": spf(record)}).result is SpfResult.PERMERROR


def test_terms_of_includes_and_redirects_count_together() -> None:
    def zone(inner: int) -> dict[str, object]:
        return {
            **HOSTS,
            "d.example": spf(f"v=spf1 {names('a', 4)} include:i.example redirect=r.example"),
            "i.example": spf(f"v=spf1 {names('a', 3)} ?all"),
            "r.example": spf(f"v=spf1 {names('a', inner)} ~all"),
        }

    assert check(zone(1)).result is SpfResult.SOFTFAIL
    assert check(zone(1)).lookups == 10
    assert check(zone(2)).result is SpfResult.PERMERROR


@pytest.mark.parametrize("record", ["v=spf1 include:d.example -all", "v=spf1 redirect=d.example"])
def test_a_loop_ends_at_the_limit(record: str) -> None:
    answer = check({"d.example": spf(record)})
    assert (answer.result, answer.lookups) == (SpfResult.PERMERROR, 11)


def test_plain_addresses_all_and_exp_do_not_count() -> None:
    addresses = " ".join(f"ip4:192.0.2.{n}" for n in range(60))
    zone = {
        **HOSTS,
        "d.example": spf(f"v=spf1 {addresses} {names('a', 10)} -all exp=why.example"),
        "why.example": {"TXT": ["no"]},
    }
    answer = check(zone)
    assert (answer.result, answer.lookups, answer.explanation) == (SpfResult.FAIL, 10, "no")


def test_the_ptr_lookup_of_the_p_macro_counts_once() -> None:
    zone = {
        **HOSTS,
        "200.113.0.203.in-addr.arpa": {"PTR": ["h1.example"]},
        "unknown.example": {"A": ["10.0.0.1"]},
    }
    terms = "-exists:%{p}.gone.example -exists:%{p}.gone.example"
    assert check({**zone, "d.example": spf(f"v=spf1 {terms} ~all")}).lookups == 3


@pytest.mark.parametrize(("voids", "expected"), [(2, SpfResult.FAIL), (3, SpfResult.PERMERROR)])
@pytest.mark.parametrize("term", ["a:gone{n}.example", "mx:gone{n}.example", "exists:gone{n}.example"])
def test_two_void_lookups_are_allowed(term: str, voids: int, expected: SpfResult) -> None:
    terms = " ".join(term.format(n=n) for n in range(voids))
    answer = check({"d.example": spf(f"v=spf1 {terms} -all")})
    assert (answer.result, answer.voids) == (expected, voids)


def test_nodata_is_as_void_as_nxdomain() -> None:
    zone = {f"n{n}.example": {"TXT": ["x"]} for n in range(3)}
    record = "v=spf1 a:n0.example a:n1.example a:n2.example -all"
    assert check({**zone, "d.example": spf(record)}).result is SpfResult.PERMERROR


def test_mx_hosts_without_addresses_are_void_lookups() -> None:
    zone = {"d.example": {**spf("v=spf1 mx -all"), "MX": ["1 x.example", "2 y.example", "3 z.example"]}}
    assert check(zone).result is SpfResult.PERMERROR


def test_a_missing_explanation_is_no_void_lookup() -> None:
    zone = {"d.example": spf("v=spf1 a:g1.example a:g2.example -all exp=g3.example")}
    answer = check(zone)
    assert (answer.result, answer.voids, answer.explanation) == (SpfResult.FAIL, 2, None)


@pytest.mark.parametrize(("count", "expected"), [(10, SpfResult.SOFTFAIL), (11, SpfResult.PERMERROR)])
def test_more_than_ten_mx_hosts_are_a_permerror(count: int, expected: SpfResult) -> None:
    zone = {
        **HOSTS,
        "d.example": {**spf("v=spf1 mx ~all"), "MX": [(n, f"h{n}.example") for n in range(count)]},
    }
    assert check(zone).result is expected


def test_a_null_mx_matches_nothing_and_asks_nothing_more() -> None:
    answer = check({"d.example": {**spf("v=spf1 mx ~all"), "MX": ["0 ."]}})
    assert (answer.result, len(answer.trace[0].asked), answer.voids) == (SpfResult.SOFTFAIL, 1, 0)


def test_ptr_names_after_the_tenth_are_ignored() -> None:
    def zone(place: int) -> dict[str, object]:
        pointers = [f"h{n}.example" for n in range(12)]
        pointers[place] = "good.d.example"
        return {
            **HOSTS,
            "d.example": spf("v=spf1 ptr -all"),
            "good.d.example": {"A": ["192.0.2.5"]},
            "5.2.0.192.in-addr.arpa": {"PTR": pointers},
        }

    assert check(zone(9), "192.0.2.5").result is SpfResult.PASS
    assert check(zone(10), "192.0.2.5").result is SpfResult.FAIL
