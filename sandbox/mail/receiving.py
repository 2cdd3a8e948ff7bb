"""The recipients' side: which server takes a domain's mail, and what that server says to a sender.

Routes follow RFC 5321 section 5.1 and RFC 7505 from the world's zone. Most domains take an SPF softfail and
refuse a fail; the strict ones take nothing but a pass (RFC 7208 section 8 leaves that to the receiver).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final

from sandbox.cast_mail import STRICT_SPF_DOMAINS
from sandbox.dns import Rcode, Zone
from sandbox.dns.seed import PRODUCT_IP
from sandbox.mail.behaviour import Behaviours
from sandbox.mail.spf_check import SpfChecker, SpfResult


class Destination(enum.Enum):
    MAILBOXES = "mailboxes"  # the sink plays the server
    PRODUCT = "product"  # the product's own bounce listener
    NOWHERE = "nowhere"


@dataclass(frozen=True)
class Route:
    """`host` takes the mail; for NOWHERE, `status` and `trouble` say why nobody does."""

    destination: Destination
    host: str = ""
    status: str = ""
    trouble: str = ""

    @property
    def temporary(self) -> bool:
        return self.status.startswith("4")


@dataclass(frozen=True)
class Verdict:
    """What the recipient's server says: `refusal` is its reply, None for yes."""

    refusal: str | None
    spf: SpfResult

    @property
    def temporary(self) -> bool:
        return self.refusal is not None and self.refusal.startswith("4")


class ReceivingSide:
    def __init__(self, zone: Zone, behaviours: Behaviours) -> None:
        self._zone = zone
        self._behaviours = behaviours
        self._spf = SpfChecker(zone)
        self._routes: dict[str, Route] = {}
        self._revision = zone.revision

    def route(self, domain: str) -> Route:
        """Where mail to this domain goes now."""
        if self._revision != self._zone.revision:
            self._routes.clear()
            self._revision = self._zone.revision
        if domain not in self._routes:
            self._routes[domain] = self._find_route(domain)
        return self._routes[domain]

    def verdict(self, *, sender: str, recipient: str, helo: str, client_ip: str) -> Verdict:
        """The answer to MAIL and RCPT from this client. A told `onward_reply` counts as one of its times."""
        spf = self.spf(sender, helo, client_ip)
        refusal = _spf_refusal(spf, strict=recipient.rpartition("@")[2].lower() in STRICT_SPF_DOMAINS)
        if refusal is None:
            refusal = self._behaviours.of(recipient).onward_reply
            if refusal is not None:
                self._behaviours.spend(recipient)
        return Verdict(refusal, spf)

    def spf(self, sender: str, helo: str, client_ip: str) -> SpfResult:
        """The SPF result alone, for the trace header of an accepted mail."""
        return self._spf.check(client_ip, sender, helo)

    def _find_route(self, domain: str) -> Route:
        answer = self._zone.lookup(domain, "MX")
        if answer.rcode in (Rcode.SERVFAIL, Rcode.TIMEOUT):
            return _nowhere("4.4.3", f"Host or domain name not found: {answer.rcode.value} for {domain}")
        if answer.rcode is Rcode.NXDOMAIN:
            return _nowhere("5.4.4", f"Host or domain name not found: {domain} does not exist")
        records: list[Any] = sorted(answer.records("MX"), key=lambda record: record.preference)
        hosts = [record.exchange.to_text(omit_final_dot=True) for record in records]
        if hosts == ["."]:
            return _nowhere("5.1.10", f"Domain {domain} does not accept mail (null MX)")
        # RFC 5321 section 5.1: without an MX the domain itself is the mail server.
        for host in hosts or [domain]:
            addresses = self._addresses(host)
            if addresses:
                home = Destination.PRODUCT if PRODUCT_IP in addresses else Destination.MAILBOXES
                return Route(home, host)
        return _nowhere("5.4.4", f"Host or domain name not found: no address for the mail server of {domain}")

    def _addresses(self, host: str) -> set[str]:
        return {
            str(record.to_text())
            for rdtype in ("A", "AAAA")
            for record in self._zone.lookup(host, rdtype).records(rdtype)
        }


def _nowhere(status: str, trouble: str) -> Route:
    return Route(Destination.NOWHERE, status=status, trouble=trouble)


SPF_REFUSALS: Final = {
    # RFC 7372 section 3.2: 5.7.23 for a failed validation, 5.7.24 for an error during it.
    "permerror": "550 5.7.24 SPF validation error",
    "temperror": "451 4.7.24 SPF validation error, try again later",
}


def _spf_refusal(spf: SpfResult, *, strict: bool) -> str | None:
    if spf.result == "pass" or (not strict and spf.result != "fail"):
        return None
    reply = SPF_REFUSALS.get(spf.result, "550 5.7.23 SPF validation failed")
    domain = spf.sender.rpartition("@")[2] or spf.helo
    return f"{reply}: {domain} does not designate {spf.client_ip} ({spf.result})"


def trace_headers(
    *, sender: str, recipient: str, spf: SpfResult, host: str, helo: str, mail_id: str, now: datetime
) -> str:
    """What the recipient's server puts above the message (RFC 5321 section 4.4, RFC 7208 section 9.1)."""
    received = (
        f"from {helo} ({helo} [{spf.client_ip}])\r\n\tby {host} with ESMTP id {mail_id}"
        f"\r\n\tfor <{recipient}>; {format_datetime(now)}"
    )
    return f"Return-Path: <{sender}>\r\n{spf.header(host)}\r\nReceived: {received}\r\n"
