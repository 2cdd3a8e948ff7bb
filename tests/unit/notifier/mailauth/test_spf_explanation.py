"""exp= and the text it leads to (RFC 7208 section 6.2): never changes a result, only says why."""

import pytest

from notifier.mailauth import SpfCheck, SpfResult, TermOutcome
from tests.unit.notifier.mailauth.support import check, spf


def explained(
    text: object, sender: str = "joe@d.example", record: str = "v=spf1 -all exp=why.%{d}"
) -> SpfCheck:
    values = text if isinstance(text, list) else [text]
    return check({"d.example": spf(record), "why.d.example": {"TXT": values}}, sender=sender)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Not from here.", "Not from here."),
        (
            [("See http://%{d}/why.html?", "s=%{S}&i=%{I}")],
            "See http://d.example/why.html?s=joe%40d.example&i=203.0.113.200",
        ),
        ("%{c} %{r} %{t} %{h}", "203.0.113.200 mx.receiver.example 1700000000 mail.d.example"),
        ("100%% of%_us%-say no", "100% of us%20say no"),
        ("v=spf1 looks odd", "v=spf1 looks odd"),
    ],
)
def test_the_explanation_is_expanded(text: object, expected: str) -> None:
    answer = explained(text)
    assert (answer.result, answer.explanation) == (SpfResult.FAIL, expected)
    assert answer.trace[-1].outcome is TermOutcome.USED


def test_an_explanation_names_the_sender_in_the_letters_that_it_was_written_in() -> None:
    said = explained("%{s} %{o} %{D2}", sender="Joe@D.Example.").explanation
    assert said == "Joe@D.Example D.Example D.Example"
    zone = {"xn--bcher-kva.example": spf("v=spf1 -all exp=why.example"), "why.example": {"TXT": ["%{o}"]}}
    assert check(zone, sender="joe@Bücher.example").explanation == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    "text",
    ["%{x}", "100%", "caf\u00e9", b"caf\xe9", ["one", "two"], [], "tab\there"],
)
def test_an_explanation_that_cannot_be_used_is_left_out(text: object) -> None:
    answer = explained(text)
    assert (answer.result, answer.explanation) == (SpfResult.FAIL, None)
    assert (answer.trace[-1].term, answer.trace[-1].outcome) == ("exp=why.%{d}", TermOutcome.IGNORED)


def test_dns_trouble_with_the_explanation_changes_nothing() -> None:
    answer = check({"d.example": spf("v=spf1 -all exp=why.d.example"), "why.d.example": "TIMEOUT"})
    assert (answer.result, answer.explanation, answer.problem) == (SpfResult.FAIL, None, None)


def test_a_local_part_beyond_ascii_does_not_reach_the_explanation() -> None:
    assert explained("no mail from %{s}", sender="jürgen@d.example").explanation is None
    assert explained("no mail from %{S}", sender="jürgen@d.example").explanation == (
        "no mail from j%C3%BCrgen%40d.example"
    )


@pytest.mark.parametrize("end", ["~all", "?all", "+all", ""])
def test_only_a_fail_is_explained(end: str) -> None:
    answer = explained("no", record=f"v=spf1 {end} exp=why.d.example")
    assert answer.explanation is None
    assert all(term.term != "exp=why.d.example" for term in answer.trace)


def test_the_explanation_of_an_included_record_is_never_used() -> None:
    zone = {
        "d.example": spf("v=spf1 include:i.example -all"),
        "i.example": spf("v=spf1 -all exp=why.example"),
        "why.example": {"TXT": ["wrong"]},
    }
    assert check(zone).explanation is None


def test_a_redirect_brings_its_own_explanation_and_drops_the_first() -> None:
    zone: dict[str, object] = {
        "d.example": spf("v=spf1 redirect=r.example exp=first.example"),
        "r.example": spf("v=spf1 -all exp=second.%{d}"),
        "first.example": {"TXT": ["first"]},
        "second.r.example": {"TXT": ["second, by %{d} for %{o}"]},
    }
    assert check(zone).explanation == "second, by r.example for d.example"
    zone["r.example"] = spf("v=spf1 -all")
    assert check(zone).explanation is None


def test_the_p_macro_of_an_explanation_costs_no_lookup() -> None:
    zone = {
        "d.example": spf("v=spf1 -all exp=why.d.example"),
        "why.d.example": {"TXT": ["you are %{p}"]},
        "200.113.0.203.in-addr.arpa": {"PTR": [f"h{n}.example" for n in range(12)]},
    }
    answer = check(zone)
    assert (answer.explanation, answer.lookups, answer.voids) == ("you are unknown", 0, 0)
