"""SPF as the receiving side checks it: pyspf (RFC 7208), asking the world's zone instead of the network.

pyspf looks every record up through its module's `DNSLookup`, which callers may replace; the replacement here
finds the zone in a context variable, so that several worlds can live in one process.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import spf

from sandbox.dns import Rcode, Zone

CACHE_KEPT: Final = 10_000

_asked: ContextVar[_Lookups] = ContextVar("spf_lookups")


@dataclass(frozen=True)
class SpfResult:
    """`result` is one of pass, fail, softfail, neutral, none, temperror, permerror."""

    result: str
    explanation: str
    client_ip: str
    sender: str
    helo: str

    def header(self, receiver: str) -> str:
        """RFC 7208 section 9.1, without the line's CRLF."""
        identity = "mailfrom" if self.sender else "helo"
        return (
            f"Received-SPF: {self.result} ({receiver}: {self.explanation or 'no SPF record'})"
            f' client-ip={self.client_ip}; envelope-from="{self.sender}"; helo={self.helo};'
            f" identity={identity}; receiver={receiver}"
        )


class _Lookups:
    """One evaluation's questions; with macros in a record the result may hang on the local part."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self.macros_seen = False

    def __call__(self, name: str, qtype: str) -> list[tuple[tuple[str, str], Any]]:
        answer = self._zone.lookup(name, qtype)
        if answer.rcode in (Rcode.SERVFAIL, Rcode.TIMEOUT):
            raise spf.TempError(f"DNS {answer.rcode.value}")
        return [((name, qtype), self._value(qtype, rdata)) for rdata in answer.records(qtype)]

    def _value(self, qtype: str, rdata: Any) -> Any:
        match qtype:
            case "A" | "AAAA":
                return rdata.address
            case "MX":
                return (rdata.preference, rdata.exchange.to_text(True))
            case "PTR":
                return rdata.target.to_text(True)
            case _:
                self.macros_seen = self.macros_seen or any(b"%" in part for part in rdata.strings)
                return rdata.strings


def _lookup(name: str, qtype: str, strict: bool = True, timeout: float = 20) -> list[Any]:
    del strict, timeout  # the zone answers at once
    return _asked.get()(name, qtype)


spf.DNSLookup = _lookup


class SpfChecker:
    """Results are kept while the zone stays the same, except where a record asks for the local part."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._revision = zone.revision
        self._known: dict[tuple[str, str, str], tuple[str, str]] = {}

    def check(self, client_ip: str, sender: str, helo: str) -> SpfResult:
        """`sender` is empty for the null sender: then the HELO name is checked."""
        if self._zone.revision != self._revision or len(self._known) > CACHE_KEPT:
            self._known.clear()
            self._revision = self._zone.revision
        key = (client_ip, sender.rpartition("@")[2].lower(), helo.lower())
        if key not in self._known:
            lookups = _Lookups(self._zone)
            token = _asked.set(lookups)
            try:
                verdict = _evaluate(spf.query, client_ip, sender, helo)
            finally:
                _asked.reset(token)
            if lookups.macros_seen:
                return SpfResult(*verdict, client_ip, sender, helo)
            self._known[key] = verdict
        return SpfResult(*self._known[key], client_ip, sender, helo)


def _evaluate(query: Callable[..., Any], client_ip: str, sender: str, helo: str) -> tuple[str, str]:
    try:
        result, _, explanation = query(i=client_ip, s=sender, h=helo).check()
    except UnicodeError:
        # pyspf knows no internationalised domains: RFC 7208 section 2.4 has them as A-labels.
        return "none", "not a domain in ASCII"
    return str(result), " ".join(str(explanation).split())
