"""What an import counts about addresses; DNS is asked once a domain, many at a time, within a limit."""

from __future__ import annotations

import asyncio

from billing.csv_addresses import AddressTally, Example
from notifier.addresses import Kind, parse_field
from notifier.mailauth import Answer, StaticResolver, Status


def tally_of(*fields: str) -> AddressTally:
    """One field a line, from line 2; each an account of its own."""
    tally = AddressTally()
    for line, field in enumerate(fields, 2):
        for item in parse_field(field):
            tally.see(line, f"account {line}", item)
    return tally


def counts(tally: AddressTally) -> dict[Kind, int]:
    return {kind: found.count for kind, found in tally.found.items()}


class Slow:
    """Answers when it is let, and remembers who asked and how many waited at once."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.asked: list[str] = []
        self.waiting = self.most = 0
        self._go = asyncio.Event()
        self._stuck = stuck

    async def query(self, name: str, rtype: str) -> Answer:
        self.asked.append(name)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if self._stuck:
            await self._go.wait()
        await asyncio.sleep(0)
        self.waiting -= 1
        return Answer(Status.OK, ("10 mx.example",))


async def test_each_domain_is_asked_about_once_the_most_used_first() -> None:
    tally = tally_of("a@one.example", "b@two.example, c@two.example", "d@two.example; e@one.example")
    resolver, told = Slow(), list[tuple[int, int]]()
    await tally.judge_domains(
        resolver, progress=lambda done, total: told.append((done, total)), concurrency=1
    )
    assert resolver.asked == ["two.example", "one.example"]
    assert told == [(1, 2), (2, 2)]
    assert counts(tally) == {}


async def test_a_domain_s_finding_counts_for_all_of_its_addresses_and_shows_a_line() -> None:
    tally = tally_of("a@gone.example", "b@gone.example, c@inbox.example")
    await tally.judge_domains(StaticResolver({"inbox.example": {"MX": ["10 mx.example"]}}))
    assert counts(tally) == {Kind.NO_DOMAIN: 2}
    assert tally.found[Kind.NO_DOMAIN].examples == [Example(2, "gone.example")]


async def test_no_more_are_asked_at_once_than_is_allowed() -> None:
    resolver = Slow()
    tally = tally_of(*(f"a@d{n}.example" for n in range(40)))
    await tally.judge_domains(resolver, concurrency=7)
    assert resolver.most == 7
    assert len(resolver.asked) == 40


async def test_what_is_not_answered_in_time_is_unknown_and_never_wrong() -> None:
    tally = tally_of("a@one.example", "b@gmial.com", "c@two.example")
    await tally.judge_domains(Slow(stuck=True), concurrency=2, time_limit=0.05)
    assert counts(tally) == {Kind.UNKNOWN: 2, Kind.TYPO: 1}


async def test_an_address_of_several_accounts_counts_once_and_twice_in_one_row_not_at_all() -> None:
    tally = AddressTally()
    for line, account in ((2, "1001"), (2, "1001"), (3, "1002"), (4, "1003")):
        (item,) = parse_field("books@cedar.example")
        tally.see(line, account, item)
    assert tally.found[Kind.SHARED].count == 1
    assert tally.found[Kind.SHARED].examples == [Example(3, "cedar.example")]


def test_what_is_no_address_shows_its_line_and_nothing_of_its_text() -> None:
    tally = tally_of("ann lee@inbox.example", "ann@gmail,com")
    assert tally.found[Kind.MALFORMED].examples == [Example(2), Example(3)]
    assert (tally.addresses, tally.suggested, tally.domains) == (2, 1, ())


def test_three_examples_are_kept_however_many_there_are() -> None:
    tally = tally_of(*(f"info@d{n}.example" for n in range(9)))
    assert (tally.found[Kind.ROLE].count, len(tally.found[Kind.ROLE].examples)) == (9, 3)


async def test_a_field_without_addresses_asks_nothing() -> None:
    tally = tally_of("", " ; ")
    await tally.judge_domains(Slow())
    tally.judge_domains_unasked()
    assert tally.found == {}
