"""A DNS server for one zone on UDP and TCP (RFC 1035, 7766), EDNS sizes included (RFC 6891).

The question's spelling is given back as it came, so that resolvers that mix the case (0x20) accept it.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from typing import Final

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.renderer
import dns.rrset

from sandbox.dns.zone import Answer, Rcode, Zone, soa

SMALLEST_UDP: Final = 512
LARGEST_UDP: Final = 1232
TCP_IDLE_S: Final = 10.0

RCODES: Final = {
    Rcode.NOERROR: dns.rcode.NOERROR,
    Rcode.NXDOMAIN: dns.rcode.NXDOMAIN,
    Rcode.SERVFAIL: dns.rcode.SERVFAIL,
}

Recorder = Callable[[str, str, float], None]
"""Called with the question, the result and the milliseconds it took."""


class Responder:
    """From a query's octets to the answer's, or None where silence is the answer."""

    def __init__(self, zone: Zone, record: Recorder) -> None:
        self._zone = zone
        self._record = record

    def respond(self, wire: bytes, *, tcp: bool) -> bytes | None:
        started = time.perf_counter()
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return _format_error(wire)
        if query.flags & dns.flags.QR:
            return None  # an answer, not a question: replying could make two servers talk for ever
        response = dns.message.make_response(query, recursion_available=True, our_payload=LARGEST_UDP)
        refusal = _refusal(query)
        if refusal is not None:
            response.set_rcode(refusal)
            return response.to_wire()
        question = query.question[0]
        rdtype = dns.rdatatype.to_text(question.rdtype)
        answer = self._zone.lookup(question.name, rdtype)
        self._record(
            f"{rdtype} {question.name.to_text(omit_final_dot=True)}",
            _result(answer),
            (time.perf_counter() - started) * 1000,
        )
        if answer.rcode is Rcode.TIMEOUT:
            return None
        _fill(response, question, answer)
        if tcp:
            return response.to_wire(max_size=65_535)
        room = min(max(query.payload, SMALLEST_UDP), LARGEST_UDP) if query.edns >= 0 else SMALLEST_UDP
        return _fitting(response, room)


def _refusal(query: dns.message.Message) -> dns.rcode.Rcode | None:
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if query.edns > 0:
        return dns.rcode.BADVERS  # RFC 6891 section 6.1.3
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    if query.question[0].rdclass != dns.rdataclass.IN:
        return dns.rcode.REFUSED
    return None


def _fill(response: dns.message.Message, question: dns.rrset.RRset, answer: Answer) -> None:
    response.flags |= dns.flags.AA
    response.set_rcode(RCODES[answer.rcode])
    for rrset in answer.rrsets:
        if rrset.name == question.name:
            # A copy under the name as asked: equal names may differ in case.
            response.answer.append(dns.rrset.from_rdata_list(question.name, rrset.ttl, list(rrset)))
        else:
            response.answer.append(rrset)
    wanted = any(rrset.rdtype == question.rdtype for rrset in answer.rrsets)
    if answer.rcode is Rcode.NXDOMAIN or (answer.rcode is Rcode.NOERROR and not wanted):
        response.authority.append(soa())


def _fitting(response: dns.message.Message, room: int) -> bytes:
    """The answer if it fits, else an empty one marked TC: the client comes back over TCP."""
    wire = response.to_wire(max_size=65_535)
    if len(wire) <= room:
        return wire
    response.flags |= dns.flags.TC
    response.answer, response.authority, response.additional = [], [], []
    return response.to_wire(max_size=65_535)


def _result(answer: Answer) -> str:
    if answer.rcode is Rcode.NOERROR and not answer.rrsets:
        return "NODATA"
    return answer.rcode.value


def _format_error(wire: bytes) -> bytes | None:
    if len(wire) < 12 or wire[2] & 0x80:
        return None
    return wire[:2] + struct.pack("!HHHHH", 0x8000 | dns.rcode.FORMERR, 0, 0, 0, 0)


class DnsServer:
    """One address, both transports."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _UdpProtocol(self._responder), local_addr=(host, port)
        )
        self._tcp = await asyncio.start_server(self._accept, host, port)

    async def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._tcp is not None:
            await self._tcp.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE_S):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    wire = await reader.readexactly(length)
                answer = self._responder.respond(wire, tcp=True)
                if answer is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            return  # the client has gone, or says nothing more
        finally:
            writer.close()


class _UdpProtocol(asyncio.DatagramProtocol):
    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # typeshed has the base class here
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        answer = self._responder.respond(data, tcp=False)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
