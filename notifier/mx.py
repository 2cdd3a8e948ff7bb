"""Where a domain's mail goes: its MX hosts in order (RFC 5321 section 5.1, RFC 7505). No I/O of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from notifier.mailauth import Resolver, Status
from notifier.mailauth.answers import mx_hosts


class MailHosts(StrEnum):
    FOUND = "found"
    NONE = "none"
    """No such domain, no server, or a null MX: nothing can ever be delivered there."""
    UNKNOWN = "unknown"
    """DNS did not answer: try later."""


NO_DOMAIN = "the domain does not exist"
NULL_MX = "the domain says that it takes no mail"
NO_SERVER = "the domain has no mail server"


@dataclass(frozen=True, slots=True)
class Destination:
    """`hosts` best first; `why` says in words what is missing when there is none."""

    kind: MailHosts
    hosts: tuple[str, ...] = ()
    why: str = ""


async def destination(resolver: Resolver, domain: str) -> Destination:
    """MX, else the domain's own address record (the implicit MX)."""
    answer = await resolver.query(domain, "MX")
    if answer.status is Status.UNAVAILABLE:
        return Destination(MailHosts.UNKNOWN, why="DNS did not answer")
    if answer.status is Status.NXDOMAIN:
        return Destination(MailHosts.NONE, why=NO_DOMAIN)
    if answer.records:
        hosts = tuple(host.rstrip(".").casefold() for host in mx_hosts(answer.records))
        if not hosts:  # RFC 7505: "MX 0 ." takes no mail
            return Destination(MailHosts.NONE, why=NULL_MX)
        return Destination(MailHosts.FOUND, hosts)
    for rtype in ("A", "AAAA"):
        address = await resolver.query(domain, rtype)
        if address.status is Status.UNAVAILABLE:
            return Destination(MailHosts.UNKNOWN, why="DNS did not answer")
        if address.records:
            return Destination(MailHosts.FOUND, (domain,))
    return Destination(MailHosts.NONE, why=NO_SERVER)
