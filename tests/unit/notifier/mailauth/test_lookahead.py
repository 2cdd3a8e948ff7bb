"""Look-ahead only saves time: with and without it, results, counts and traces are the same."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.mailauth import Answer, Question, SpfCheck, StaticResolver, Status, check_host
from notifier.mailauth.lookahead import LookAhead
from notifier.mailauth.lookup import CachingResolver
from notifier.mailauth.record import DomainSpec, parse_record
from tests.unit.notifier.mailauth.support import NOBODY
from tests.unit.notifier.mailauth.test_spf_differential import (
    CLIENTS,
    Zone,
    built,
    host_zones,
    pointers,
    zones,
)


def fixed(spec: DomainSpec, _: str) -> str | None:
    return spec.name


def look(family: int = 4, address: int = -1) -> LookAhead:
    return LookAhead(family, address, "9.9.9.9.in-addr.arpa", fixed)


def planned(record: str, ahead: LookAhead | None = None) -> list[Question]:
    return (ahead or look()).plan("d.example", parse_record(record))


def test_it_guesses_what_the_terms_will_ask() -> None:
    record = "v=spf1 a mx:m.example include:i.example exists:e.example ptr ip4:192.0.2.1 redirect=r.example"
    assert planned(record) == [
        ("d.example", "A"),
        ("m.example", "MX"),
        ("i.example", "TXT"),
        ("e.example", "A"),
        ("9.9.9.9.in-addr.arpa", "PTR"),
        ("r.example", "TXT"),
    ]
    assert planned("v=spf1 a", look(6)) == [("d.example", "AAAA")]


def test_it_stops_where_the_evaluation_will_stop() -> None:
    assert planned("v=spf1 a -all mx redirect=r.example") == [("d.example", "A")]
    assert planned("v=spf1 ip4:192.0.2.0/24 a -all", look(address=0xC0000201)) == []
    assert planned("v=spf1 moo a -all") == []


def test_a_hostile_record_cannot_make_it_ask_more_than_the_limits_allow() -> None:
    ahead = look()
    many = " ".join(f"include:i{n}.example mx:m{n}.example" for n in range(30))
    questions = ahead.plan("d.example", parse_record(f"v=spf1 {many} -all"))
    assert len(questions) == 10
    hosts = Answer(Status.OK, tuple(f"{n} h{n}.example" for n in range(50)))
    again = Answer(Status.OK, (f"v=spf1 {many} -all",))
    following = [ahead.follow(question, hosts if question.rtype == "MX" else again) for question in questions]
    assert sum(len(one) for one in following) <= 30


def test_failed_and_foreign_answers_lead_nowhere() -> None:
    ahead = look()
    assert ahead.follow(Question("x.example", "MX"), Answer(Status.UNAVAILABLE)) == []
    assert ahead.follow(Question("x.example", "TXT"), Answer(Status.OK, ("v=spf1 a -all",))) == []


@settings(max_examples=150, deadline=None)
@given(zones, host_zones, pointers, st.sampled_from(CLIENTS))
def test_results_counts_and_traces_are_the_same_with_look_ahead(
    domains: Zone, addresses: dict[str, list[str]], names: list[str], ip: str
) -> None:
    zone = built(domains, addresses, names)

    async def both() -> tuple[SpfCheck, SpfCheck]:
        plain = StaticResolver(zone)
        early = CachingResolver(StaticResolver(zone))
        first = await check_host(ip, "joe@d.example", "h.example", resolver=plain)
        second = await check_host(ip, "joe@d.example", "h.example", resolver=early)
        await early.aclose()
        return first, second

    alone, ahead = asyncio.run(both())
    assert alone == ahead
    assert alone.trace == ahead.trace


async def test_a_broken_name_met_only_ahead_does_not_matter() -> None:
    zone = {
        "d.example": {"TXT": ["v=spf1 +exists:ok.example a:down.example -all"]},
        "ok.example": {"A": ["127.0.0.2"]},
        "down.example": "TIMEOUT",
    }
    resolver = CachingResolver(StaticResolver(zone))
    check = await check_host(NOBODY, "joe@d.example", "h.example", resolver=resolver)
    await resolver.aclose()
    assert (check.result, check.lookups) == ("pass", 1)
