"""check_host: each mechanism and modifier of RFC 7208 sections 4 to 6, over zones written out here."""

import asyncio
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.mailauth import (
    Answer,
    SpfResult,
    StaticResolver,
    Status,
    TermOutcome,
    check_host,
    lint_spf,
)
from tests.unit.notifier.mailauth.support import D_HOSTS, HELPERS, NOBODY, check, check_record, spf

PASS, FAIL, SOFTFAIL, NEUTRAL = SpfResult.PASS, SpfResult.FAIL, SpfResult.SOFTFAIL, SpfResult.NEUTRAL
NONE, TEMPERROR, PERMERROR = SpfResult.NONE, SpfResult.TEMPERROR, SpfResult.PERMERROR


@pytest.mark.parametrize(
    ("record", "ip", "expected"),
    [
        ("v=spf1 -all", NOBODY, FAIL),
        ("v=spf1 ~all", NOBODY, SOFTFAIL),
        ("v=spf1 ?all", NOBODY, NEUTRAL),
        ("v=spf1 +all", NOBODY, PASS),
        ("v=spf1 all", NOBODY, PASS),
        ("v=spf1", NOBODY, NEUTRAL),
        ("v=spf1   ", NOBODY, NEUTRAL),
        ("v=SpF1 -ALL", NOBODY, FAIL),
        # ip4 and ip6 (section 5.6)
        ("v=spf1 ip4:192.0.2.1 -all", "192.0.2.1", PASS),
        ("v=spf1 ip4:192.0.2.1 -all", "192.0.2.2", FAIL),
        ("v=spf1 ip4:192.0.2.130/25 -all", "192.0.2.129", PASS),
        ("v=spf1 ip4:192.0.2.130/25 -all", "192.0.2.127", FAIL),
        ("v=spf1 -ip4:0.0.0.0/0 +all", NOBODY, FAIL),
        ("v=spf1 -ip4:0.0.0.0/0 +all", "2001:db8::1", PASS),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8:1::5", PASS),
        ("v=spf1 IP6:2001:DB8::5 -all", "2001:db8::5", PASS),
        ("v=spf1 ip6:::/0 -all", "2001:db8::5", PASS),
        ("v=spf1 ip6:::ffff:192.0.2.1 -all", "192.0.2.1", FAIL),
        ("v=spf1 ip4:192.0.2.1 -all", "::ffff:192.0.2.1", PASS),
        # a (section 5.3)
        ("v=spf1 a -all", "192.0.2.10", PASS),
        ("v=spf1 A -all", "2001:db8::10", PASS),
        ("v=spf1 a:HOST.example -all", "192.0.2.41", PASS),
        ("v=spf1 a:host.example. -all", "192.0.2.41", PASS),
        ("v=spf1 a:host.example/24 -all", "192.0.2.255", PASS),
        ("v=spf1 a:host.example/24 -all", "2001:db8::41", FAIL),
        ("v=spf1 a:host.example//64 -all", "2001:db8::41", PASS),
        ("v=spf1 a:host.example/24//64 -all", "192.0.2.1", PASS),
        ("v=spf1 a/0 -all", NOBODY, PASS),
        ("v=spf1 a:gone.example -all", NOBODY, FAIL),
        ("v=spf1 a:down.example -all", NOBODY, TEMPERROR),
        # mx (section 5.4)
        ("v=spf1 mx -all", "192.0.2.12", PASS),
        ("v=spf1 mx//120 -all", "2001:db8::20", PASS),
        ("v=spf1 mx:host.example -all", "192.0.2.40", FAIL),  # no MX: the host itself does not stand in
        ("v=spf1 mx:down.example -all", NOBODY, TEMPERROR),
        # exists (section 5.7) asks for A even over IPv6
        ("v=spf1 exists:host.example -all", "2001:db8::99", PASS),
        ("v=spf1 exists:gone.example -all", NOBODY, FAIL),
        ("v=spf1 exists:%{i}.known.example -all", "192.0.2.77", PASS),
        # include (section 5.2)
        ("v=spf1 include:pass.example ~all", "192.0.2.50", PASS),
        ("v=spf1 include:pass.example ~all", NOBODY, SOFTFAIL),
        ("v=spf1 include:soft.example -all", NOBODY, FAIL),
        ("v=spf1 include:neutral.example -all", NOBODY, FAIL),
        ("v=spf1 -include:pass.example +all", "192.0.2.50", FAIL),
        ("v=spf1 include:down.example -all", NOBODY, TEMPERROR),
        ("v=spf1 include:malformed.example -all", NOBODY, PERMERROR),
        ("v=spf1 include:twice.example -all", NOBODY, PERMERROR),
        ("v=spf1 include:norecord.example -all", NOBODY, PERMERROR),
        ("v=spf1 include:gone.example -all", NOBODY, PERMERROR),
        ("v=spf1 include:%{l} -all", NOBODY, PERMERROR),  # a single label is "none", and none is permerror
        # redirect (section 6.1)
        ("v=spf1 redirect=pass.example", "192.0.2.50", PASS),
        ("v=spf1 redirect=soft.example", NOBODY, SOFTFAIL),
        ("v=spf1 redirect=soft.example -all", NOBODY, FAIL),
        ("v=spf1 redirect=pass.example ip4:192.0.2.1", "192.0.2.1", PASS),
        ("v=spf1 redirect=norecord.example", NOBODY, PERMERROR),
        ("v=spf1 redirect=down.example", NOBODY, TEMPERROR),
        ("v=spf1 REDIRECT=soft.example", NOBODY, SOFTFAIL),
        # unknown modifiers (section 6)
        ("v=spf1 moo=cow moo=cow x-y_z.1=%{d} -all", NOBODY, FAIL),
        ("v=spf1 default=pass op=auth -all", NOBODY, FAIL),
        ("v=spf1 include=pass.example -all", "192.0.2.50", FAIL),
        # names that DNS cannot be asked about match nothing (section 4.8)
        ("v=spf1 a:a..example -all", NOBODY, FAIL),
        (f"v=spf1 a:{'x' * 64}.example -all", NOBODY, FAIL),
        ("v=spf1 exists:%{d}%%.%_x%{d} -all", NOBODY, FAIL),
    ],
)
def test_records_give_the_result_that_the_standard_says(record: str, ip: str, expected: SpfResult) -> None:
    extra = {"192.0.2.77.known.example": {"A": ["127.0.0.2"]}}
    assert check_record(record, extra, ip).result is expected


def test_strings_of_one_record_are_joined_without_a_space() -> None:
    assert check_record(["v=spf1 ip4:192.0.", "2.1 -a", "ll"], ip="192.0.2.1").result is PASS
    assert check_record(["v=spf1 a", "mx -all"]).result is PERMERROR


def test_other_txt_records_do_not_matter_even_when_they_are_not_ascii() -> None:
    zone = {"d.example": spf("v=spf10 -all", "v=spf1-all", b"caf\xe9 \xff", "", "v=spf1 ~all")}
    assert check(zone).result is SOFTFAIL


def test_octets_beyond_ascii_in_the_record_are_a_permerror() -> None:
    assert check({"d.example": spf(b"v=spf1 \xef\xbb\xbfmx -all")}).result is PERMERROR
    assert check({"d.example": spf(b"v=spf1 -all moo=\xff")}).result is PERMERROR


def test_two_records_are_a_permerror_and_the_sentence_says_so() -> None:
    answer = check({"d.example": spf("v=spf1 -all", "V=SPF1 mx -all")})
    assert answer.result is PERMERROR
    assert answer.problem is not None
    assert "2 SPF records" in answer.problem


@pytest.mark.parametrize(
    "content", [{}, {"A": ["192.0.2.1"]}, {"SPF": ["v=spf1 -all"]}, {"TXT": ["v=spf2 x"]}]
)
def test_a_domain_without_a_record_is_none(content: dict[str, object]) -> None:
    assert check({"d.example": content}).result is NONE
    assert check({}).result is NONE


def test_an_unanswered_record_lookup_is_temperror_not_none() -> None:
    answer = check({"d.example": "TIMEOUT"})
    assert answer.result is TEMPERROR
    assert answer.problem is not None
    assert "d.example" in answer.problem


@pytest.mark.parametrize(
    "sender",
    [
        "joe@localhost",
        "joe@",
        "joe@[192.0.2.1]",
        "joe@192.0.2.1",
        "joe@a..example",
        f"joe@{'x' * 64}.example",
        f"joe@{'abcdefg.' * 32}example",
        "joe@d example",
        "joe@.example",
    ],
)
def test_what_is_no_domain_name_is_none_without_any_lookup(sender: str) -> None:
    answer = check({}, sender=sender)
    assert answer.result is NONE
    assert answer.asked == ()


def test_an_empty_sender_is_checked_as_postmaster_at_the_helo_name() -> None:
    zone = {
        "mail.d.example": spf("v=spf1 exists:%{l}.%{o}.known.example -all"),
        "postmaster.mail.d.example.known.example": {"A": ["127.0.0.2"]},
    }
    for sender in ("", "<>"):
        answer = check(zone, sender=sender)
        assert (answer.result, answer.domain) == (PASS, "mail.d.example")


@pytest.mark.parametrize("sender", ["@d.example", "d.example"])
def test_a_sender_without_local_part_is_postmaster(sender: str) -> None:
    zone = {
        "d.example": spf("v=spf1 exists:%{l}.ok.example -all"),
        "postmaster.ok.example": {"A": ["127.0.0.2"]},
    }
    assert check(zone, sender=sender).result is PASS


def test_the_domain_is_what_follows_the_last_at_sign() -> None:
    assert check({"d.example": spf("v=spf1 ~all")}, sender='"a@b"@D.Example.').result is SOFTFAIL


def test_unicode_domains_are_looked_up_as_a_labels() -> None:
    zone = {"xn--bcher-kva.example": spf("v=spf1 ~all")}
    assert check(zone, sender="joe@Bücher.example").result is SOFTFAIL
    assert check(zone, sender="joe@bücher。example").result is SOFTFAIL
    assert check(zone, sender="joe@\u200d.example").result is NONE


def test_a_local_part_beyond_ascii_matches_nothing_but_breaks_nothing() -> None:
    zone = {"d.example": spf("v=spf1 exists:%{l}.ok.example ~all")}
    assert check(zone, sender="jürgen@d.example").result is SOFTFAIL


def test_cnames_are_followed_and_loops_are_unknown() -> None:
    zone = {
        **HELPERS,
        "d.example": {"CNAME": ["real.example."]},
        "real.example": spf("v=spf1 a:alias.example -all"),
        "alias.example": {"CNAME": ["host.example"]},
        "x.example": spf("v=spf1 a:loop.example -all"),
        "loop.example": {"CNAME": ["loop.example"]},
    }
    assert check(zone, "192.0.2.40").result is PASS
    assert check(zone, sender="a@x.example").result is TEMPERROR


# --- ptr (section 5.5)

PTR_ZONE = {
    "d.example": spf("v=spf1 ptr -all"),
    "5.2.0.192.in-addr.arpa": {"PTR": ["liar.d.example", "mail.D.example."]},
    "liar.d.example": {"A": ["198.51.100.1"]},
    "mail.d.example": {"A": ["192.0.2.5"]},
    "6.2.0.192.in-addr.arpa": {"PTR": ["notd.example"]},
    "notd.example": {"A": ["192.0.2.6"]},
    "7.2.0.192.in-addr.arpa": "TIMEOUT",
    "8.2.0.192.in-addr.arpa": {"PTR": ["slow.d.example", "mail8.d.example"]},
    "slow.d.example": "TIMEOUT",
    "mail8.d.example": {"A": ["192.0.2.8"]},
}


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("192.0.2.5", PASS),  # a validated name below the domain
        ("192.0.2.6", FAIL),  # "notd.example" merely ends with the same letters
        ("192.0.2.7", FAIL),  # a DNS error on the PTR lookup means no match
        ("192.0.2.8", PASS),  # a DNS error on one name skips that name
        ("192.0.2.9", FAIL),
    ],
)
def test_ptr_needs_a_name_that_leads_back_to_the_address(ip: str, expected: SpfResult) -> None:
    assert check(PTR_ZONE, ip).result is expected


def test_ptr_works_over_ipv6() -> None:
    reverse = ".".join(reversed("20010db8000000000000000000000005")) + ".ip6.arpa"
    zone = {
        "d.example": spf("v=spf1 ptr:other.example -all"),
        reverse: {"PTR": ["m.other.example"]},
        "m.other.example": {"AAAA": ["2001:DB8::5"]},
    }
    assert check(zone, "2001:db8::5").result is PASS


# --- what the answer carries


def test_the_trace_is_a_tree_of_terms_with_questions_and_answers() -> None:
    answer = check_record("v=spf1 a include:pass.example ~all", ip="192.0.2.50")
    first, include = answer.trace
    assert (first.term, first.outcome, first.target) == ("a", TermOutcome.NOT_MATCHED, "d.example")
    assert [(asked.name, asked.rtype, asked.answer.records) for asked in first.asked] == [
        ("d.example", "A", ("192.0.2.10",))
    ]
    assert (include.outcome, include.record) == (TermOutcome.MATCHED, "v=spf1 ip4:192.0.2.50 -all")
    assert [(child.term, child.domain, child.outcome) for child in include.children] == [
        ("ip4:192.0.2.50", "pass.example", TermOutcome.MATCHED)
    ]
    assert (answer.matching_term, answer.lookups, answer.voids) == ("include:pass.example", 2, 0)
    assert answer.problem is None


def test_the_trace_shows_the_question_that_ended_the_check() -> None:
    answer = check_record(
        "v=spf1 a include:soft.example redirect=inner.example",
        {"inner.example": spf("v=spf1 mx:down.example")},
    )
    redirect = answer.trace[-1]
    assert (redirect.term, redirect.outcome) == ("redirect=inner.example", TermOutcome.ERROR)
    assert redirect.children[0].outcome is TermOutcome.ERROR
    assert redirect.children[0].asked[0].name == "down.example"
    assert redirect.children[0].note == answer.problem


def test_the_matching_term_behind_a_redirect_is_named() -> None:
    answer = check_record("v=spf1 redirect=soft.example")
    assert (answer.matching_term, answer.trace[-1].outcome) == ("~all", TermOutcome.USED)


def test_text_that_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="not-an-ip"):
        check({}, ip="not-an-ip")


def test_a_check_that_takes_too_long_is_temperror() -> None:
    zone = {"d.example": spf("v=spf1 -all")}
    answer = asyncio.run(
        check_host(NOBODY, "a@d.example", "h", resolver=StaticResolver(zone), time_limit=-1.0)
    )
    assert answer.result is TEMPERROR


class Dead:
    """Name servers that keep everybody waiting and then say nothing."""

    def __init__(self) -> None:
        self.asked = 0

    async def query(self, _name: str, rtype: str) -> Answer:
        self.asked += 1
        await asyncio.sleep(0.02)
        if rtype == "TXT":
            return Answer(Status.OK, ("v=spf1 " + " ".join(f"a:h{n}.example" for n in range(9)) + " -all",))
        return Answer(Status.UNAVAILABLE)


async def test_once_the_time_is_over_nothing_more_is_asked() -> None:
    dead = Dead()
    report = await lint_spf("d.example", resolver=dead, required_include=None, time_limit=0.05)
    assert report.problems
    assert dead.asked <= 4, "nine names, each with A and AAAA, would be eighteen more"


@given(
    st.text(alphabet="v=spf1 +-~?almxincudetrp46:/.%{}dslohi_,\u00e9\x00\t0128", max_size=60),
    st.text(max_size=20),
    st.text(max_size=20),
    st.sampled_from([NOBODY, "2001:db8::10", "::ffff:192.0.2.10"]),
)
def test_whatever_is_published_or_said_ends_in_a_result(record: str, local: str, helo: str, ip: str) -> None:
    zone = {**HELPERS, "d.example": {**D_HOSTS, **spf(f"v=spf1 {record}")}}
    answer = check(zone, ip, f"{local}@d.example", helo)
    assert answer.result in SpfResult
    assert (answer.problem is None) == (answer.result not in ("none", "temperror", "permerror"))
    assert check(zone, ip, "", helo).result in SpfResult


def test_no_sender_at_all_is_an_empty_one_and_an_address_may_come_as_an_object() -> None:
    zone = StaticResolver({"mail.d.example": spf("v=spf1 ip4:192.0.2.1 -all")})
    for ip in ("192.0.2.1", ip_address("192.0.2.1"), ip_address("::ffff:192.0.2.1")):
        answer = asyncio.run(check_host(ip, None, "mail.d.example", resolver=zone))
        assert answer.result is PASS
