"""The live resolver against a small DNS server of our own on loopback: real packets, no outside world."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from notifier.mailauth import Answer, Question, SpfResult, Status, check_host
from notifier.mailauth.lookup import CachingResolver, DnsResolver

SERVFAIL, REFUSED, SILENT = "SERVFAIL", "REFUSED", "SILENT"
Content = Mapping[str, "str | Mapping[str, list[str]]"]
SOA = "ns.example. root.example. 1 3600 600 86400 {minimum}"


class ZoneServer(asyncio.DatagramProtocol):
    """Answers UDP questions from a dict. A whole name may be SERVFAIL, REFUSED or SILENT."""

    def __init__(self, zone: Content, delay: float = 0.0, ttl: int = 60) -> None:
        self.zone = zone
        self.delay = delay
        self.ttl = ttl
        self.asked: Counter[tuple[str, str]] = Counter()
        self.waiting = self.most_waiting = 0
        """Questions not answered yet: now, and at most so far."""
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # 3.11's own class is no subclass
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._reply(dns.message.from_wire(data))
        if reply is not None and self._transport is not None:
            transport = self._transport
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)

            def answer() -> None:
                self.waiting -= 1
                _send(transport, reply.to_wire(), addr)

            asyncio.get_running_loop().call_later(self.delay, answer)

    def _reply(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        rtype = dns.rdatatype.to_text(question.rdtype)
        self.asked[(name, rtype)] += 1
        content = self.zone.get(name)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if content == SILENT:
            return None
        if isinstance(content, str):
            reply.set_rcode(dns.rcode.from_text(content))
            return reply
        values = content.get(rtype, []) if content is not None else []
        if values:
            reply.answer.append(dns.rrset.from_text_list(question.name, self.ttl, "IN", rtype, values))
            return reply
        if content is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", SOA.format(minimum=self.ttl)))
        return reply


def _send(transport: asyncio.DatagramTransport, packet: bytes, addr: tuple[str, int]) -> None:
    if not transport.is_closing():
        transport.sendto(packet, addr)


@asynccontextmanager
async def serving(
    zone: Content, delay: float = 0.0, ttl: int = 60
) -> AsyncIterator[tuple[ZoneServer, DnsResolver]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: ZoneServer(zone, delay, ttl), local_addr=("127.0.0.1", 0)
    )
    resolver = DnsResolver(["127.0.0.1"], server.port, timeout=0.2, lifetime=0.5)
    try:
        yield server, resolver
    finally:
        await resolver.aclose()
        transport.close()


ZONE: Content = {
    "d.example": {
        "TXT": ['"v=spf1 mx a:h\\226.example" " -all"', '"caf\\195\\169"'],
        "A": ["192.0.2.1", "192.0.2.2"],
        "AAAA": ["2001:db8::1"],
        "MX": ["10 MX1.d.example.", "20 mx2.d.example."],
    },
    "5.2.0.192.in-addr.arpa": {"PTR": ["mail.d.example."]},
    "null.example": {"MX": ["0 ."]},
    "broken.example": SERVFAIL,
    "closed.example": REFUSED,
    "silent.example": SILENT,
    "odd\\\\name.example": {"A": ["192.0.2.9"]},
}


async def test_each_type_arrives_in_the_form_that_evaluators_expect() -> None:
    async with serving(ZONE) as (_, resolver):
        assert sorted((await resolver.query("d.example", "A")).records) == ["192.0.2.1", "192.0.2.2"]
        assert (await resolver.query("d.example", "AAAA")).records == ("2001:db8::1",)
        assert sorted((await resolver.query("D.example.", "MX")).records) == [
            "10 MX1.d.example",
            "20 mx2.d.example",
        ]
        assert (await resolver.query("5.2.0.192.in-addr.arpa", "PTR")).records == ("mail.d.example",)
        assert (await resolver.query("null.example", "MX")).records == ("0 ",)
        texts = await resolver.query("d.example", "TXT")
        assert set(texts.strings) == {("v=spf1 mx a:h\xe2.example", " -all"), ("caf\xe9",)}
        assert set(texts.records) == {"v=spf1 mx a:h\xe2.example -all", "caf\xe9"}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("gone.example", Status.NXDOMAIN),
        ("null.example", Status.NODATA),
        ("broken.example", Status.UNAVAILABLE),
        ("closed.example", Status.UNAVAILABLE),
        ("silent.example", Status.UNAVAILABLE),
        ("a..example", Status.NXDOMAIN),
        (f"{'x' * 64}.example", Status.NXDOMAIN),
    ],
)
async def test_no_such_name_and_no_answer_are_told_apart(name: str, status: Status) -> None:
    async with serving(ZONE) as (_, resolver):
        answer = await resolver.query(name, "A")
        assert answer.status is status
        assert bool(answer.detail) == (status is Status.UNAVAILABLE or ".." in name or "x" * 64 in name)


async def test_a_backslash_in_a_name_is_a_character_and_no_escape() -> None:
    async with serving(ZONE) as (server, resolver):
        answer = await resolver.query("odd\\name.example", "A")
        assert answer.records == ("192.0.2.9",), server.asked


async def test_answers_are_kept_for_their_ttl_negative_ones_too() -> None:
    async with serving(ZONE) as (server, resolver):
        for name in ("d.example", "gone.example", "null.example"):
            await resolver.query(name, "A")
            await resolver.query(name.upper(), "A")
            assert server.asked[(name, "A")] == 1


async def test_forgetting_makes_a_changed_record_visible() -> None:
    async with serving(ZONE) as (server, resolver):
        await resolver.query("d.example", "A")
        resolver.forget()
        await resolver.query("d.example", "A")
        assert server.asked[("d.example", "A")] == 2


async def test_one_question_asked_by_many_at_once_crosses_the_wire_once() -> None:
    async with serving(ZONE, delay=0.02) as (server, resolver):
        answers = await asyncio.gather(*(resolver.query("d.example", "A") for _ in range(20)))
        assert server.asked[("d.example", "A")] == 1
        assert len({answer.records for answer in answers}) == 1


async def test_someone_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    async with serving(ZONE, delay=0.02) as (server, resolver):
        impatient = asyncio.ensure_future(resolver.query("d.example", "A"))
        patient = asyncio.ensure_future(resolver.query("d.example", "A"))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).status is Status.OK
        assert server.asked[("d.example", "A")] == 1


# --- the cache alone, over a resolver that only counts


class Counting:
    def __init__(self, answer: Callable[[str], Answer]) -> None:
        self.asked: Counter[str] = Counter()
        self._answer = answer

    async def query(self, name: str, rtype: str) -> Answer:
        self.asked[name] += 1
        await asyncio.sleep(0)
        return self._answer(name)


async def test_the_cache_is_bounded_and_drops_what_was_used_least_recently() -> None:
    inner = Counting(lambda _: Answer(Status.OK, ("192.0.2.1",), ttl=60))
    resolver = CachingResolver(inner, capacity=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        await resolver.query(name, "A")
    assert inner.asked == {"a": 1, "b": 2, "c": 1}


async def test_nothing_is_kept_longer_than_the_maximum() -> None:
    inner = Counting(lambda _: Answer(Status.OK, ("192.0.2.1",), ttl=86400))
    resolver = CachingResolver(inner, max_ttl=0.0)
    await resolver.query("a", "A")
    await resolver.query("a", "A")
    assert inner.asked["a"] == 2


async def test_what_is_asked_ahead_leads_to_further_questions_and_fills_the_cache() -> None:
    inner = Counting(lambda _: Answer(Status.OK, ("192.0.2.1",), ttl=60))
    resolver = CachingResolver(inner)
    done = asyncio.Event()

    def follow(question: Question, _: Answer) -> list[Question]:
        if question.name == "a":
            return [Question("b", "A")]
        done.set()
        return []

    resolver.prefetch([Question("a", "A")], follow)
    await asyncio.wait_for(done.wait(), 2)
    await resolver.query("b", "A")
    assert inner.asked == {"a": 1, "b": 1}


# --- a whole check over the wire

MX_HOSTS = {f"m{n}.d.example": {"A": [f"192.0.2.{n + 20}"]} for n in range(3)}
INCLUDES = {f"i{n}.example": {"TXT": [f'"v=spf1 a:h{n}.example -all"']} for n in range(4)}
HOSTS = {f"h{n}.example": {"A": [f"198.51.100.{n}"]} for n in range(4)}
CHECK_ZONE: Content = {
    "d.example": {
        "TXT": [
            '"v=spf1 mx " "include:i0.example include:i1.example include:i2.example include:i3.example -all"'
        ],
        "MX": [f"{n} m{n}.d.example." for n in range(3)],
    },
    **MX_HOSTS,
    **INCLUDES,
    **HOSTS,
}


async def test_a_check_runs_over_the_wire_and_asks_each_question_once() -> None:
    async with serving(CHECK_ZONE) as (server, resolver):
        check = await check_host("203.0.113.9", "joe@d.example", "h.example", resolver=resolver)
        assert (check.result, check.lookups, check.voids) == (SpfResult.FAIL, 9, 0)
        assert set(server.asked.values()) == {1}
        assert len(server.asked) == 13


async def test_independent_lookups_are_under_way_at_the_same_time() -> None:
    async with serving(CHECK_ZONE, delay=0.03) as (server, resolver):
        check = await check_host("203.0.113.9", "joe@d.example", "h.example", resolver=resolver)
        assert check.result is SpfResult.FAIL
        assert sum(server.asked.values()) == 13
        # The record names an MX and four includes: all five are asked before the first has answered.
        assert server.most_waiting >= 5


async def test_a_dead_name_server_is_temperror_within_the_lifetime() -> None:
    async with serving({"d.example": SILENT}) as (_, resolver):
        check = await check_host("203.0.113.9", "joe@d.example", "h.example", resolver=resolver)
        assert check.result is SpfResult.TEMPERROR
