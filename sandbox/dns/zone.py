"""The zone and its answers: NXDOMAIN apart from NODATA, aliases followed, wild cards (RFC 1034, 2308, 4592).

It plays the whole tree, so its apex is the root; names are compared without regard to case (RFC 4343).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

from sandbox.world import ControlError, Documents

KIND: Final = "dns"
TTL_S: Final = 5
LONGEST_ALIAS_CHAIN: Final = 8
TXT_STRING_OCTETS: Final = 255
SERVED_TYPES: Final = frozenset(
    {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SPF", "SRV", "TLSA", "TXT"}
)
SOA_TEXT: Final = f"ns.sandbox.example. hostmaster.sandbox.example. 1 3600 600 86400 {TTL_S}"

Value = str | list[str]


class Rcode(enum.Enum):
    NOERROR = "NOERROR"
    NXDOMAIN = "NXDOMAIN"
    SERVFAIL = "SERVFAIL"
    TIMEOUT = "TIMEOUT"  # no answer at all


@dataclass(frozen=True)
class Answer:
    """`rrsets` in the order of the alias chain; NOERROR with no set of the wanted type is NODATA."""

    rcode: Rcode
    rrsets: tuple[dns.rrset.RRset, ...] = ()

    def records(self, rdtype: str) -> list[dns.rdata.Rdata]:
        """The records of the wanted type, aliases left out."""
        wanted = dns.rdatatype.from_text(rdtype)
        return [rdata for rrset in self.rrsets if rrset.rdtype == wanted for rdata in rrset]


@dataclass(frozen=True)
class _Entry:
    rdatas: tuple[dns.rdata.Rdata, ...]
    fault: Rcode | None = None


class Zone:
    """Records by name and type. `revision` grows with each change, for callers that cache."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._entries: dict[dns.name.Name, dict[str, _Entry]] = {}
        self._existing: set[dns.name.Name] = set()
        self.revision = 0
        for document in documents.all(KIND):
            self._admit(document["name"], document["type"], document["values"])
        self._index()

    def records(self) -> list[dict[str, Any]]:
        """`[{name, type, values}]` as they were put, oldest first."""
        return [dict(document) for document in self._documents.all(KIND)]

    def put(self, name: str, rdtype: str, values: object) -> dict[str, Any]:
        """Replaces the records of one name and type; ControlError names what is wrong with them."""
        key, rdtype = _canonical(name), rdtype.upper()
        checked = _checked_values(values)
        document = {"name": key, "type": rdtype, "values": checked}
        if not checked:
            self._entries.get(_name(key), {}).pop(rdtype, None)
            self._documents.delete(KIND, f"{key} {rdtype}")
        else:
            self._refuse_alias_beside_others(key, rdtype)
            self._admit(key, rdtype, checked)
            self._documents.put(KIND, f"{key} {rdtype}", document)
        self._index()
        return document

    def lookup(self, name: str | dns.name.Name, rdtype: str) -> Answer:
        """What the server would answer, aliases followed. Never raises for a name that cannot exist."""
        try:
            owner = _name(name) if isinstance(name, str) else name
        except dns.exception.DNSException:
            return Answer(Rcode.NXDOMAIN)
        chain: list[dns.rrset.RRset] = []
        for _ in range(LONGEST_ALIAS_CHAIN):
            entries, exists = self._at(owner)
            fault = next(
                (entries[t].fault for t in (rdtype, "ANY") if t in entries and entries[t].fault), None
            )
            if fault is not None:
                return Answer(fault)
            if not exists:
                return Answer(Rcode.NXDOMAIN, tuple(chain))
            if rdtype == "ANY":
                return Answer(
                    Rcode.NOERROR, tuple(_rrset(owner, e.rdatas) for e in entries.values() if e.rdatas)
                )
            if rdtype in entries:
                return Answer(Rcode.NOERROR, (*chain, _rrset(owner, entries[rdtype].rdatas)))
            alias = entries.get("CNAME")
            if alias is None or not alias.rdatas:
                return Answer(Rcode.NOERROR, tuple(chain))
            chain.append(_rrset(owner, alias.rdatas))
            owner = alias.rdatas[0].target  # type: ignore[attr-defined]  # a CNAME's Rdata, typed as its base
        return Answer(Rcode.SERVFAIL)

    def _at(self, owner: dns.name.Name) -> tuple[dict[str, _Entry], bool]:
        """The entries at a name and whether it exists; RFC 4592: a wild card stands in for what does not."""
        if owner in self._existing:
            return self._entries.get(owner, {}), True
        encloser = owner
        while encloser != dns.name.root:
            encloser = encloser.parent()
            wild = dns.name.Name((b"*", *encloser.labels))
            if wild in self._entries:
                return self._entries[wild], True
            if encloser in self._existing:
                break
        return {}, False

    def _admit(self, name: str, rdtype: str, values: str | list[Value]) -> None:
        if rdtype not in SERVED_TYPES and not (rdtype == "ANY" and isinstance(values, str)):
            raise ControlError(f"The zone does not serve type {rdtype}: {', '.join(sorted(SERVED_TYPES))}.")
        if isinstance(values, str):
            entry = _Entry((), Rcode(values))
        else:
            entry = _Entry(tuple(_rdata(rdtype, value) for value in values))
        self._entries.setdefault(_name(name), {})[rdtype] = entry

    def _refuse_alias_beside_others(self, name: str, rdtype: str) -> None:
        # RFC 2181 section 10.1: an alias has no other records, and is alone.
        others = {t for t, e in self._entries.get(_name(name), {}).items() if t != rdtype and e.rdatas}
        if rdtype == "CNAME" and others:
            raise ControlError(f"{name} has {', '.join(sorted(others))} records: a CNAME must stand alone.")
        if rdtype != "CNAME" and "CNAME" in others:
            raise ControlError(f"{name} is a CNAME: delete that before giving it other records.")

    def _index(self) -> None:
        """Every name with records and every name above one exists (RFC 8020: empty non-terminals)."""
        self.revision += 1
        self._entries = {name: entries for name, entries in self._entries.items() if entries}
        existing = {dns.name.root}
        for name in self._entries:
            while name not in existing:
                existing.add(name)
                name = name.parent()
        self._existing = existing


def soa() -> dns.rrset.RRset:
    """The authority section of a negative answer (RFC 2308)."""
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.SOA, SOA_TEXT)
    return dns.rrset.from_rdata(dns.name.root, TTL_S, rdata)


def txt_strings(value: Value) -> tuple[bytes, ...]:
    """The character-strings of one TXT record: cut at 255 octets, or where the caller cut."""
    if isinstance(value, str):
        octets = value.encode("utf-8")
        starts = range(0, max(len(octets), 1), TXT_STRING_OCTETS)
        return tuple(octets[at : at + TXT_STRING_OCTETS] for at in starts)
    strings = tuple(part.encode("utf-8") for part in value)
    if not strings or any(len(part) > TXT_STRING_OCTETS for part in strings):
        raise ControlError("A TXT record is one or more strings of at most 255 octets each.")
    return strings


def _rrset(owner: dns.name.Name, rdatas: Iterable[dns.rdata.Rdata]) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(owner, TTL_S, list(rdatas))


def _rdata(rdtype: str, value: Value) -> dns.rdata.Rdata:
    number = dns.rdatatype.from_text(rdtype)
    if rdtype in {"TXT", "SPF"}:
        return TXT(dns.rdataclass.IN, number, txt_strings(value))
    if not isinstance(value, str):
        raise ControlError(f"A value of type {rdtype} is one text, not a list.")
    try:
        return dns.rdata.from_text(dns.rdataclass.IN, number, value, origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise ControlError(f"{value!r} is not a value of type {rdtype}: {error}") from None


def _checked_values(values: object) -> str | list[Value]:
    if isinstance(values, list) and len(values) == 1 and values[0] in ("TIMEOUT", "SERVFAIL"):
        values = values[0]
    if isinstance(values, str):
        if values not in ("TIMEOUT", "SERVFAIL"):
            raise ControlError('values must be a list of records, "TIMEOUT" or "SERVFAIL".')
        return values
    if not isinstance(values, list) or not all(_is_value(value) for value in values):
        raise ControlError("values must be a list of texts; a TXT record may be a list of strings.")
    return values


def _is_value(value: object) -> bool:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(isinstance(part, str) for part in value)
    return isinstance(value, str)


def _name(name: str) -> dns.name.Name:
    return dns.name.from_text(name, dns.name.root)


def _canonical(name: str) -> str:
    # Presentation escapes are kept out: a name of the world is letters, digits, hyphen, underscore, star.
    if not re.fullmatch(r"\.|(?:\*\.)?[\w-]+(?:\.[\w-]+)*\.?", name):
        raise ControlError(f"{name!r} is not a domain name.")
    try:
        return _name(name).to_text(omit_final_dot=True).lower() if name != "." else "."
    except dns.exception.DNSException as error:
        raise ControlError(f"{name!r} is not a domain name: {error}") from None
