"""The zone's answers, over real sockets with dnspython as the client and in process."""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.asyncresolver
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.resolver
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sandbox.app import control_errors
from sandbox.dns import DnsPart, Rcode
from sandbox.world import ControlError, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield world
    await world.close()


@pytest.fixture
async def part(world: World) -> AsyncIterator[DnsPart]:
    part = DnsPart(world)
    await part.start()
    yield part
    await part.stop()


class Asker:
    def __init__(self, world: World) -> None:
        self.host: str = world.endpoints["dns"]["host"]
        self.port: int = world.endpoints["dns"]["port"]

    async def udp(self, name: str, rdtype: str, **options: Any) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, **options)
        return await dns.asyncquery.udp(query, self.host, port=self.port, timeout=3)

    async def tcp(self, name: str, rdtype: str) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype)
        return await dns.asyncquery.tcp(query, self.host, port=self.port, timeout=3)

    def resolver(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [self.host], self.port
        return resolver


@pytest.fixture
def ask(part: DnsPart, world: World) -> Asker:
    return Asker(world)


async def test_the_resolver_of_the_product_finds_the_mail_server(ask: Asker) -> None:
    answer = await ask.resolver().resolve("mail.cascade.example", "MX")
    assert [(r.preference, r.exchange.to_text()) for r in answer] == [(10, "mx.mail.cascade.example.")]


async def test_the_spf_record_is_wrong_at_first(ask: Asker) -> None:
    answer = await ask.udp("mail.cascade.example", "TXT")
    assert [r.strings for r in answer.answer[0]] == [(b"v=spf1 mx ip4:203.0.113.25 ~all",)]
    assert answer.flags & dns.flags.AA


async def test_a_name_that_is_not_there_is_nxdomain_with_the_soa(ask: Asker) -> None:
    answer = await ask.udp("nobody.gone.example", "MX")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert [rrset.rdtype.name for rrset in answer.authority] == ["SOA"]


async def test_a_name_without_that_type_is_nodata(ask: Asker) -> None:
    answer = await ask.udp("nomx.example", "MX")
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.answer == []
    assert len(answer.authority) == 1


async def test_a_name_between_others_exists_though_it_has_no_records(ask: Asker) -> None:
    assert (await ask.udp("example", "A")).rcode() == dns.rcode.NOERROR
    part_of_the_tree = await ask.udp("net", "TXT")
    assert (part_of_the_tree.rcode(), part_of_the_tree.answer) == (dns.rcode.NOERROR, [])


async def test_a_domain_that_takes_no_mail_says_so_with_a_null_mx(ask: Asker) -> None:
    answer = await ask.resolver().resolve("nullmx.example", "MX")
    assert [(r.preference, r.exchange) for r in answer] == [(0, dns.name.root)]


async def test_an_alias_is_followed_inside_the_zone(part: DnsPart, ask: Asker) -> None:
    part.zone.put("www.cascade.example", "CNAME", ["cascade.example"])
    answer = await ask.udp("www.cascade.example", "A")
    assert [rrset.rdtype.name for rrset in answer.answer] == ["CNAME", "A"]
    assert (await ask.resolver().resolve("www.cascade.example", "A"))[0].address == "203.0.113.10"


async def test_an_alias_to_nowhere_is_nxdomain_with_the_alias(part: DnsPart, ask: Asker) -> None:
    part.zone.put("dangling.example", "CNAME", ["gone.example"])
    answer = await ask.udp("dangling.example", "TXT")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert [rrset.rdtype.name for rrset in answer.answer] == ["CNAME"]


async def test_aliases_in_a_circle_fail(part: DnsPart, ask: Asker) -> None:
    part.zone.put("a.circle.example", "CNAME", ["b.circle.example"])
    part.zone.put("b.circle.example", "CNAME", ["a.circle.example"])
    assert (await ask.udp("a.circle.example", "A")).rcode() == dns.rcode.SERVFAIL


async def test_a_wild_card_answers_only_for_names_that_do_not_exist(part: DnsPart, ask: Asker) -> None:
    part.zone.put("*.wild.example", "TXT", ["any"])
    part.zone.put("real.wild.example", "A", ["192.0.2.9"])
    assert len((await ask.udp("x.y.wild.example", "TXT")).answer) == 1
    assert (await ask.udp("real.wild.example", "TXT")).answer == []
    assert (await ask.udp("below.real.wild.example", "TXT")).rcode() == dns.rcode.NXDOMAIN


async def test_a_long_text_is_cut_at_255_octets(part: DnsPart, ask: Asker) -> None:
    part.zone.put("long.example", "TXT", ["x" * 300])
    answer = await ask.udp("long.example", "TXT")
    assert [len(string) for string in answer.answer[0][0].strings] == [255, 45]


async def test_a_list_of_strings_is_cut_where_the_caller_cut(part: DnsPart, ask: Asker) -> None:
    part.zone.put("split.example", "TXT", [["v=spf1 ip4:192.0.2.1", "-all"], "another"])
    answer = await ask.udp("split.example", "TXT")
    assert {r.strings for r in answer.answer[0]} == {(b"v=spf1 ip4:192.0.2.1", b"-all"), (b"another",)}


async def test_an_answer_that_does_not_fit_is_truncated_and_whole_over_tcp(part: DnsPart, ask: Asker) -> None:
    part.zone.put("big.example", "TXT", ["y" * 700])
    small = await ask.udp("big.example", "TXT", use_edns=False)
    assert small.flags & dns.flags.TC
    assert small.answer == []
    assert len((await ask.udp("big.example", "TXT", payload=1232)).answer) == 1
    assert len((await ask.tcp("big.example", "TXT")).answer) == 1
    part.zone.put("big.example", "TXT", ["z" * 3000])
    assert (await ask.udp("big.example", "TXT", payload=4096)).flags & dns.flags.TC
    answer = await ask.resolver().resolve("big.example", "TXT")
    assert b"".join(answer[0].strings) == b"z" * 3000


async def test_the_spelling_of_the_question_comes_back(ask: Asker) -> None:
    answer = await ask.udp("mAiL.CasCADE.eXample", "MX")
    assert answer.question[0].name.to_text() == "mAiL.CasCADE.eXample."
    assert answer.answer[0].name.to_text() == "mAiL.CasCADE.eXample."


async def test_servfail_and_timeout_can_be_played(part: DnsPart, ask: Asker) -> None:
    part.zone.put("broken.example", "TXT", "SERVFAIL")
    assert (await ask.udp("broken.example", "TXT")).rcode() == dns.rcode.SERVFAIL
    part.zone.put("silent.example", "ANY", "TIMEOUT")
    query = dns.message.make_query("silent.example", "MX")
    with pytest.raises(dns.exception.Timeout):
        await dns.asyncquery.udp(query, ask.host, port=ask.port, timeout=0.1)
    assert part.zone.lookup("silent.example", "A").rcode is Rcode.TIMEOUT


async def test_an_empty_list_deletes(part: DnsPart, ask: Asker) -> None:
    part.zone.put("passing.example", "A", ["192.0.2.77"])
    part.zone.put("passing.example", "A", [])
    assert (await ask.udp("passing.example", "A")).rcode() == dns.rcode.NXDOMAIN


async def test_the_zone_survives_a_restart(tmp_path: Path) -> None:
    before = World(tmp_path)
    DnsPart(before).zone.put("kept.example", "TXT", ["still here"])
    DnsPart(before).zone.put("gmial.com", "MX", [])
    await before.close()
    after = World(tmp_path)
    zone = DnsPart(after).zone
    assert len(zone.lookup("kept.example", "TXT").records("TXT")) == 1
    assert zone.lookup("gmial.com", "MX").records("MX") == []
    await after.close()


async def test_nonsense_is_answered_with_a_format_error_or_not_at_all(ask: Asker) -> None:
    reader, writer = await asyncio.open_connection(ask.host, ask.port)
    junk = b"\x12\x34" + b"\x00\x00\x00\x05" + b"\xff" * 20
    writer.write(struct.pack("!H", len(junk)) + junk)
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    reply = await reader.readexactly(length)
    assert reply[:2] == b"\x12\x34"
    assert reply[3] & 0x0F == dns.rcode.FORMERR
    writer.close()
    await writer.wait_closed()


async def test_other_opcodes_classes_and_edns_versions_are_refused(ask: Asker) -> None:
    query = dns.message.make_query("cascade.example", "A", rdclass="CH")
    assert (await dns.asyncquery.udp(query, ask.host, port=ask.port, timeout=3)).rcode() == dns.rcode.REFUSED
    query = dns.message.make_query("cascade.example", "A")
    query.set_opcode(dns.opcode.STATUS)
    assert (await dns.asyncquery.udp(query, ask.host, port=ask.port, timeout=3)).rcode() == dns.rcode.NOTIMP
    query = dns.message.make_query("cascade.example", "A", use_edns=1)
    assert (await dns.asyncquery.udp(query, ask.host, port=ask.port, timeout=3)).rcode() == dns.rcode.BADVERS


@pytest.mark.parametrize(
    ("name", "rdtype", "values"),
    [
        ("a..b", "A", ["192.0.2.1"]),
        ("cascade.example", "A", ["not an address"]),
        ("cascade.example", "WKS", ["x"]),
        ("cascade.example", "A", "SOMETIMES"),
        ("cascade.example", "TXT", [7]),
        ("cascade.example", "TXT", [["x" * 256]]),
        ("cascade.example", "CNAME", ["elsewhere.example"]),
        ("cascade.example", "ANY", ["x"]),
    ],
)
async def test_a_bad_record_is_refused_and_changes_nothing(
    part: DnsPart, name: str, rdtype: str, values: object
) -> None:
    before = part.zone.records()
    with pytest.raises(ControlError):
        part.zone.put(name, rdtype, values)
    assert part.zone.records() == before


async def test_the_control_calls_show_and_change_the_zone(part: DnsPart, ask: Asker) -> None:
    app = web.Application(middlewares=[control_errors])
    app.router.add_routes(part.routes())
    async with TestClient(TestServer(app)) as client:
        mended = "v=spf1 mx ip4:203.0.113.25 include:spf.visp.net ~all"
        record = {"name": "Mail.Cascade.Example.", "type": "txt", "values": [mended]}
        assert (await client.put("/sandbox/dns", json=record)).status == 200
        records = await (await client.get("/sandbox/dns")).json()
        assert {"name": "mail.cascade.example", "type": "TXT", "values": [mended]} in records
        refused = await client.put("/sandbox/dns", json={**record, "ttl": 5})
        assert refused.status == 400
        assert "ttl" in (await refused.json())["error"]
    assert (await ask.udp("mail.cascade.example", "TXT")).answer[0][0].strings == (mended.encode(),)


async def test_questions_are_in_the_wire_list_but_a_flood_is_not(world: World, ask: Asker) -> None:
    for _ in range(60):
        await ask.udp("gone.example", "MX")
    entries = [entry for entry in world.wire.since(0) if entry["service"] == "dns"]
    assert entries[0]["method"] == "MX gone.example"
    assert entries[0]["status"] == "NXDOMAIN"
    assert 20 <= len(entries) < 60
