"""StaticResolver and OverlayResolver: zones written by hand answer like a name server would."""

import asyncio

import pytest

from notifier.mailauth import Answer, Mistake, OverlayResolver, Resolver, StaticResolver, Status
from tests.unit.notifier.mailauth.support import codes, lint, spf

ZONE: dict[str, object] = {
    "D.Example.": {
        "TXT": ["one", ("two ", "strings"), [b"caf\xc3\xa9"]],
        "MX": ["10 mx.d.example", (20, "b.d.example")],
        "A": "192.0.2.1",
        "AAAA": "TIMEOUT",
        "SPF": ["v=spf1 -all"],
        "NS": [],
    },
    "alias.example": {"CNAME": ["d.example"], "TXT": ["own"]},
    "down.example": "TIMEOUT",
    "x.deep.example": {"A": ["192.0.2.2"]},
}


def ask(name: str, rtype: str, resolver: Resolver | None = None) -> Answer:
    return asyncio.run((resolver or StaticResolver(ZONE)).query(name, rtype))


@pytest.mark.parametrize(
    ("name", "rtype", "status", "records"),
    [
        ("d.example", "TXT", Status.OK, ("one", "two strings", "caf\u00e9")),
        ("D.EXAMPLE.", "mx", Status.OK, ("10 mx.d.example", "20 b.d.example")),
        ("d.example", "A", Status.OK, ("192.0.2.1",)),
        ("d.example", "a", Status.OK, ("192.0.2.1",)),
        ("d.example", "AAAA", Status.UNAVAILABLE, ()),
        ("d.example", "SPF", Status.NODATA, ()),
        ("d.example", "NS", Status.NODATA, ()),
        ("d.example", "PTR", Status.NODATA, ()),
        ("alias.example", "A", Status.OK, ("192.0.2.1",)),
        ("alias.example", "TXT", Status.OK, ("own",)),
        ("down.example", "A", Status.UNAVAILABLE, ()),
        ("deep.example", "A", Status.NODATA, ()),
        ("gone.example", "A", Status.NXDOMAIN, ()),
    ],
)
def test_a_zone_answers_by_name_and_type(
    name: str, rtype: str, status: Status, records: tuple[str, ...]
) -> None:
    answer = ask(name, rtype)
    assert (answer.status, answer.records) == (status, records)


@pytest.mark.parametrize(
    "content", ["DOWN", 5, {"A": 5}, {"TXT": [[5]]}], ids=["word", "number", "values", "string"]
)
def test_a_zone_that_makes_no_sense_is_refused_at_once(content: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        StaticResolver({"d.example": content})


def test_an_overlay_shows_what_publishing_a_record_would_do() -> None:
    overlay = OverlayResolver(StaticResolver(ZONE), {"D.example.": "v=spf1 -all"})
    assert ask("d.example", "TXT", overlay).records == ("v=spf1 -all",)
    assert ask("d.example", "A", overlay).records == ("192.0.2.1",)
    assert ask("alias.example", "TXT", overlay).records == ("own",)


# --- names of a linted record that lead nowhere


@pytest.mark.parametrize(
    ("term", "mistake"),
    [
        ("mx:gone.example", Mistake.DEAD_NAME),
        ("mx:down.example", Mistake.INCLUDE_UNAVAILABLE),
        ("a:down.example", Mistake.INCLUDE_UNAVAILABLE),
        ("redirect=down.example", Mistake.INCLUDE_UNAVAILABLE),
    ],
)
def test_dead_and_unanswered_names_are_told_apart(term: str, mistake: Mistake) -> None:
    report = lint({"d.example": spf(f"v=spf1 {term}"), "down.example": "TIMEOUT"}, None)
    assert mistake in codes(report)
    assert report.errors == ()


def test_an_exists_that_never_answers_counts_as_void_in_the_worst_case() -> None:
    terms = " ".join(f"exists:e{n}.example" for n in range(3))
    report = lint({"d.example": spf(f"v=spf1 {terms} -all")}, None)
    assert (report.voids, report.voids_ipv6) == (3, 3)
    assert Mistake.TOO_MANY_VOIDS in codes(report)


@pytest.mark.parametrize("inner", ["include:{next} a:h{n}.example", "include:{next} ?include:{next}"])
def test_a_hostile_tree_of_includes_is_cut_short(inner: str) -> None:
    zone: dict[str, object] = {"d.example": spf("v=spf1 include:n0.example -all")}
    for n in range(300):
        terms = inner.format(n=n, next=f"n{n + 1}.example")
        zone[f"n{n}.example"] = spf(f"v=spf1 {terms} -all")
    report = lint(zone, None)
    assert Mistake.TOO_MANY_LOOKUPS in codes(report)
    assert report.lookups < 1000


@pytest.mark.parametrize(
    ("content", "rtype", "expected"),
    [
        (["TIMEOUT"], "A", Status.UNAVAILABLE),
        ("servfail", "A", Status.UNAVAILABLE),
        ({"A": "SERVFAIL"}, "A", Status.UNAVAILABLE),
        ({"a": ["timeout"]}, "A", Status.UNAVAILABLE),
        ({"A": None}, "A", Status.NODATA),
        ({"CNAME": []}, "A", Status.NODATA),
        ({"MX": ["10\t mx.d.example"]}, "MX", ("10 mx.d.example",)),
        ({"MX": ["mx.d.example"]}, "MX", ("0 mx.d.example",)),
        ({"MX": [(0, "")]}, "MX", ("0 ",)),
        ({"MX": (10, "mx.d.example")}, "MX", ("10 mx.d.example",)),
    ],
)
def test_a_zone_may_be_written_in_more_than_one_way(
    content: object, rtype: str, expected: Status | tuple[str, ...]
) -> None:
    answer = ask("x.example", rtype, StaticResolver({"X.Example.": content}))
    assert expected in (answer.status, answer.records)
