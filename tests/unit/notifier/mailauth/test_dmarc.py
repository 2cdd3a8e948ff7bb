"""DMARC by RFC 9989: the tree walk, whose policy holds, alignment, and what is not known."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.mailauth import DmarcCheck, DmarcResult, Mode, Policy, StaticResolver, check_dmarc
from notifier.mailauth.dmarc import walk_names
from notifier.mailauth.dmarc_record import is_dmarc, parse_dmarc

SpfPair = tuple[str, str] | None


def txt(*records: str) -> dict[str, list[str]]:
    return {"TXT": list(records)}


def dmarc(
    zone: Mapping[str, object], domain: str, spf: SpfPair = None, dkim: list[tuple[str, str]] | None = None
) -> DmarcCheck:
    return asyncio.run(check_dmarc(domain, spf=spf, dkim=dkim or [], resolver=StaticResolver(zone)))


def test_a_walk_asks_the_name_itself_and_then_at_most_seven_labels() -> None:
    assert walk_names("a.mail.example.com") == [
        "a.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    long = "a.b.c.d.e.f.g.h.i.j.mail.example.com"
    assert walk_names(long)[:3] == [long, "g.h.i.j.mail.example.com", "h.i.j.mail.example.com"]
    assert len(walk_names(long)) == 8
    assert walk_names("a.b.c.d.e.f.g.example")[1] == "b.c.d.e.f.g.example"


@pytest.mark.parametrize(
    ("zone", "domain", "organisational"),
    [
        # the shortest name with a record
        ({"_dmarc.mail.d.example": txt("v=DMARC1; p=none"), "_dmarc.d.example": txt("v=DMARC1; p=none")},
         "a.mail.d.example", "d.example"),
        # psd=n ends the walk where it stands
        ({"_dmarc.mail.d.example": txt("v=DMARC1; p=none; psd=n"), "_dmarc.d.example": txt("v=DMARC1")},
         "a.mail.d.example", "mail.d.example"),
        # psd=y makes the name one label below it the organisation, record or not
        ({"_dmarc.example": txt("v=DMARC1; p=reject; psd=y")}, "a.mail.d.example", "d.example"),
        ({"_dmarc.co.example": txt("v=DMARC1; p=none; psd=y"), "_dmarc.example": txt("v=DMARC1; p=none")},
         "a.d.co.example", "d.co.example"),
        # psd=y of the very name that the walk began with says nothing about itself
        ({"_dmarc.co.example": txt("v=DMARC1; p=none; psd=y")}, "co.example", "co.example"),
        # nothing found: the name itself
        ({}, "a.d.example", "a.d.example"),
        # several records at one name are none
        ({"_dmarc.d.example": txt("v=DMARC1; p=none", "v=DMARC1; p=reject"),
          "_dmarc.a.d.example": txt("v=DMARC1; p=none")}, "a.d.example", "a.d.example"),
        # other TXT records do not count
        ({"_dmarc.d.example": txt("hello", "v=DMARC1; p=none", "v=DMARC12; p=none")},
         "a.d.example", "d.example"),
    ],
)  # fmt: skip
def test_the_organisational_domain_is_found_by_the_walk(
    zone: dict[str, object], domain: str, organisational: str
) -> None:
    assert dmarc(zone, domain).organisational == organisational


@pytest.mark.parametrize(
    ("record", "domain", "policy", "tag"),
    [
        ("v=DMARC1; p=reject; sp=none", "d.example", Policy.REJECT, "p"),
        ("v=DMARC1; p=reject; sp=none", "www.d.example", Policy.NONE, "sp"),
        ("v=DMARC1; p=none; sp=quarantine; np=reject", "www.d.example", Policy.QUARANTINE, "sp"),
        ("v=DMARC1; p=none; sp=quarantine; np=reject", "nowhere.d.example", Policy.REJECT, "np"),
        ("v=DMARC1; p=none; sp=quarantine", "nowhere.d.example", Policy.QUARANTINE, "sp"),
        ("v=DMARC1; p=reject", "nowhere.d.example", Policy.REJECT, "p"),
        ("v=DMARC1; np=reject; p=none", "v6.d.example", Policy.NONE, "p"),
        ("v=DMARC1;p=Reject", "d.example", Policy.REJECT, "p"),
        ("v = DMARC1 ; P = quarantine ;", "d.example", Policy.QUARANTINE, "p"),
        # without a valid policy, but with somewhere to report to, it counts as p=none
        ("v=DMARC1; rua=mailto:a@d.example", "d.example", Policy.NONE, "p"),
        ("v=DMARC1; p=refuse; rua=mailto:a@d.example", "d.example", Policy.NONE, "p"),
        ("v=DMARC1; p=reject; sp=refuse; rua=mailto:a@d.example", "d.example", Policy.NONE, "p"),
        ("v=DMARC1; p=reject; pct=10", "d.example", Policy.REJECT, "p"),
    ],
)
def test_the_policy_is_that_of_the_domain_a_subdomain_or_a_name_that_does_not_exist(
    record: str, domain: str, policy: Policy, tag: str
) -> None:
    zone = {
        "_dmarc.d.example": txt(record),
        "www.d.example": {"A": ["192.0.2.1"]},
        "v6.d.example": {"AAAA": ["2001:db8::1"]},
    }
    check = dmarc(zone, domain, spf=("else.example", "pass"))
    assert (check.policy, check.policy_tag, check.record_domain) == (policy, tag, "d.example")
    assert check.result is DmarcResult.FAIL


def test_a_public_suffix_speaks_for_domains_that_have_no_record() -> None:
    zone = {
        "_dmarc.example": txt("v=DMARC1; p=none; sp=quarantine; np=reject; psd=y"),
        "d.example": {"A": ["::"]},
    }
    assert dmarc(zone, "d.example").policy is Policy.QUARANTINE
    assert dmarc(zone, "ghost.example").policy is Policy.REJECT


@pytest.mark.parametrize(
    "record", ["v=DMARC1", "v=DMARC1; p=refuse", "v=DMARC1; p=reject; sp=x; rua=nowhere"]
)
def test_a_record_without_a_policy_and_without_reports_is_not_applied(record: str) -> None:
    check = dmarc({"_dmarc.d.example": txt(record)}, "d.example", spf=("d.example", "pass"))
    assert check.result is DmarcResult.PERMERROR
    assert check.problem is not None
    assert "d.example" in check.problem


def test_a_test_record_asks_for_one_step_less() -> None:
    check = dmarc(
        {"_dmarc.d.example": txt("v=DMARC1; p=reject; t=y")}, "d.example", spf=("x.example", "fail")
    )
    assert (check.policy, check.disposition, check.testing) == (Policy.REJECT, Policy.QUARANTINE, True)
    milder = dmarc({"_dmarc.d.example": txt("v=DMARC1; p=quarantine; t=y")}, "d.example")
    assert milder.disposition is Policy.NONE


@pytest.mark.parametrize(
    ("tags", "spf", "dkim", "result"),
    [
        ("", ("mail.d.example", "pass"), [], "pass"),
        ("", ("MAIL.D.Example.", "pass"), [], "pass"),
        ("aspf=s", ("mail.d.example", "pass"), [], "fail"),
        ("aspf=s", ("d.example", "pass"), [], "pass"),
        ("", ("mail.d.example", "softfail"), [], "fail"),
        ("", ("other.example", "pass"), [], "fail"),
        ("", ("notd.example", "pass"), [], "fail"),
        ("", ("other.example", "pass"), [("x.example", "pass"), ("k.d.example", "pass")], "pass"),
        ("adkim=s", None, [("k.d.example", "pass")], "fail"),
        ("adkim=S", None, [("d.example", "pass")], "pass"),
        ("", None, [("d.example", "fail")], "fail"),
        ("", None, [], "fail"),
        ("", ("d.example", "temperror"), [], "temperror"),
        ("", ("other.example", "temperror"), [], "fail"),
        ("", ("d.example", "temperror"), [("d.example", "pass")], "pass"),
    ],
)
def test_alignment_decides_whether_what_passed_counts(
    tags: str, spf: SpfPair, dkim: list[tuple[str, str]], result: str
) -> None:
    zone = {"_dmarc.d.example": txt(f"v=DMARC1; p=reject; {tags}")}
    assert dmarc(zone, "d.example", spf, dkim).result == result


def test_a_sister_domain_is_aligned_with_a_subdomain_of_the_same_organisation() -> None:
    zone = {"_dmarc.d.example": txt("v=DMARC1; p=reject")}
    check = dmarc(zone, "billing.d.example", spf=("bounce.mail.d.example", "pass"))
    assert check.result is DmarcResult.PASS
    assert check.spf is not None
    assert (check.spf.organisational, check.spf.mode) == ("d.example", Mode.RELAXED)


def test_without_a_record_nothing_passes_or_fails_but_alignment_is_told() -> None:
    check = dmarc({}, "d.example", spf=("mail.d.example", "pass"), dkim=[("x.example", "pass")])
    assert check.result is DmarcResult.NONE
    assert check.spf is not None
    assert check.spf.aligned is True
    assert check.dkim[0].aligned is False
    assert "has no DMARC record" in check.sentences[0]


def test_an_unanswered_name_of_the_walk_is_temperror_and_never_no_policy() -> None:
    check = dmarc({"_dmarc.example": "TIMEOUT"}, "d.example", spf=("d.example", "pass"))
    assert check.result is DmarcResult.TEMPERROR
    assert check.problem is not None
    assert "_dmarc.example" in check.problem


def test_an_unanswered_walk_of_the_signer_is_unknown_unless_something_else_passes() -> None:
    zone = {"_dmarc.d.example": txt("v=DMARC1; p=reject; psd=n"), "_dmarc.x.test": "TIMEOUT"}
    unknown = dmarc(zone, "d.example", dkim=[("x.test", "pass")])
    assert unknown.result is DmarcResult.TEMPERROR
    assert unknown.dkim[0].aligned is None
    assert dmarc(zone, "d.example", ("d.example", "pass"), [("x.test", "pass")]).result is DmarcResult.PASS
    assert dmarc(zone, "d.example", dkim=[("x.test", "fail")]).result is DmarcResult.FAIL


@pytest.mark.parametrize("domain", ["", "localhost", "a..example", "[192.0.2.1]", "x" * 64 + ".example"])
def test_what_is_no_domain_is_a_permerror_without_any_question(domain: str) -> None:
    check = dmarc({}, domain)
    assert (check.result, check.asked) == (DmarcResult.PERMERROR, ())


def test_unicode_and_case_make_no_difference() -> None:
    zone = {"_dmarc.xn--bcher-kva.example": txt("v=DMARC1; p=reject")}
    assert dmarc(zone, "BÜCHER.example.", spf=("bücher.example", "pass")).result is DmarcResult.PASS


def test_each_name_is_asked_once() -> None:
    zone = {"_dmarc.d.example": txt("v=DMARC1; p=reject")}
    check = dmarc(zone, "a.d.example", ("b.d.example", "pass"), [("c.d.example", "pass")])
    names = [one.name for one in check.asked]
    assert len(names) == len(set(names))
    assert names.count("_dmarc.d.example") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("v=DMARC1", True), ("V = DMARC1; p=none", True), ("v=dmarc1; p=none", False),
     ("v=DMARC1 p=none", False), (" v=DMARC1; p=none", False),
     ("p=none; v=DMARC1", False), ("v=DMARC10; p=none", False)],
)  # fmt: skip
def test_a_record_is_known_by_its_first_tag(text: str, expected: bool) -> None:
    assert is_dmarc(text) is expected


def test_the_first_of_a_repeated_tag_counts_and_unknown_ones_do_not() -> None:
    record = parse_dmarc(
        "v=DMARC1; p=reject; p=none; x=y; rua=mailto:a@d.example!10m, mailto:b@e.example,junk"
    )
    assert record.policy is Policy.REJECT
    assert [(one.address, one.size_limit) for one in record.reports] == [
        ("a@d.example", "!10m"),
        ("b@e.example", ""),
    ]


def test_the_sentences_say_whose_policy_what_it_asks_and_why() -> None:
    zone = {"_dmarc.d.example": txt("v=DMARC1; p=reject; t=y; aspf=s")}
    check = dmarc(zone, "d.example", ("mail.d.example", "pass"), [("d.example", "pass")])
    assert check.sentences == (
        "The DMARC policy of d.example is its own; it asks receivers to refuse mail that fails.",
        "It is marked as a test (t=y), so for now it asks receivers to treat mail that fails as suspicious "
        "(the spam folder).",
        "SPF passes for mail.d.example, but that domain does not count for d.example "
        "(the policy wants the very same name).",
        "DKIM passes for d.example, and that domain counts for d.example.",
        "DMARC passes by DKIM.",
    )


TAGS = st.sampled_from(
    [
        "",
        "p=reject",
        "p=none",
        "psd=y",
        "psd=n",
        "sp=x",
        "np=reject",
        "aspf=s",
        "t=y",
        "rua=mailto:a@b.example",
    ]
)
LABELS = st.lists(st.sampled_from(["a", "b", "mail", "xn--p1ai"]), max_size=9).map(
    lambda some: ".".join([*some, "d", "example"])
)


@given(
    st.dictionaries(LABELS, st.lists(TAGS, max_size=3).map("; ".join), max_size=6),
    LABELS,
    LABELS,
    st.sampled_from(["pass", "fail", "none", "temperror"]),
)
def test_any_tree_of_records_gives_a_result_in_few_questions(
    records: dict[str, str], domain: str, other: str, result: str
) -> None:
    zone = {f"_dmarc.{name}": txt(f"v=DMARC1; {tags}") for name, tags in records.items()}
    check = dmarc(zone, domain, (other, result))
    assert check.organisational is not None
    assert domain == check.organisational or domain.endswith(f".{check.organisational}")
    assert len([one for one in check.asked if one.rtype == "TXT"]) <= 16
    assert (check.result == "pass") == bool(check.policy and check.passing)
    assert (check.policy is None) == (check.result in ("none", "permerror"))
    assert check.sentences
    # Who is of the same organisation is so from either side.
    back = dmarc(zone, other, (domain, result))
    if check.policy and back.policy and "aspf=s" not in f"{check.record} {back.record}":
        assert check.spf is not None
        assert back.spf is not None
        assert check.spf.aligned == back.spf.aligned
