"""Where a domain's mail goes: its MX hosts in order (RFC 5321 section 5.1, RFC 7505). No I/O of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from notifier.mailauth import Question, Resolver, Status
from notifier.mailauth.answers import Steps, mx_hosts
from notifier.mailauth.driver import drive


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
    implicit: bool = False
    """No MX is published: mail goes to the domain's own address (the implicit MX)."""


async def destination(resolver: Resolver, domain: str) -> Destination:
    """MX, else the domain's own address record."""
    return await drive(destination_steps(domain), resolver)


def destination_steps(domain: str) -> Steps[Destination]:
    """The same, as questions: one where there is an MX, at most three."""
    answer = yield Question(domain, "MX")
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
        address = yield Question(domain, rtype)
        if address.status is Status.UNAVAILABLE:
            return Destination(MailHosts.UNKNOWN, why="DNS did not answer")
        if address.records:  # RFC 5321 section 5.1: without an MX the domain itself is the mail server
            return Destination(MailHosts.FOUND, (domain,), implicit=True)
    return Destination(MailHosts.NONE, why=NO_SERVER)
