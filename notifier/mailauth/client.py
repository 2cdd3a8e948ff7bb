"""The connecting client and the message's envelope, as the macros and mechanisms of RFC 7208 see them."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from notifier.mailauth.domains import checkable_domain
from notifier.mailauth.record import parse_ip4, parse_ip6


@dataclass(frozen=True, slots=True)
class Client:
    """`dotted` is the %{i} form, `readable` the %{c} form, `reverse_name` where its PTR records are."""

    family: int
    value: int
    dotted: str
    readable: str

    @property
    def zone(self) -> str:
        return "in-addr" if self.family == 4 else "ip6"

    @property
    def address_type(self) -> str:
        return "A" if self.family == 4 else "AAAA"

    @property
    def reverse_name(self) -> str:
        return f"{'.'.join(reversed(self.dotted.split('.')))}.{self.zone}.arpa"


@dataclass(frozen=True, slots=True)
class Envelope:
    """`domain` is None when there is no name to look up, which RFC 7208 section 4.3 answers "none" to."""

    local: str
    domain: str | None
    shown_domain: str
    helo: str

    @property
    def written(self) -> str:
        """The domain in the letters that the client wrote, for explanations; DNS knows no letter case."""
        plain = self.shown_domain.strip().removesuffix(".")
        return plain if plain.isascii() else self.domain or ""


def client_of(ip: str) -> Client:
    """Raises ValueError for text that is not an IP address."""
    plain = parse_ip4(ip)
    if plain is not None:
        return Client(4, plain, ip, ip)
    address = ip_address(ip.strip())
    if isinstance(address, IPv6Address):
        # RFC 7208 section 5: an IPv4-mapped IPv6 address is an IPv4 address.
        if address.ipv4_mapped is None:
            value = int(address)
            return Client(6, value, ".".join(f"{value:032x}"), str(IPv6Address(value)))
        address = address.ipv4_mapped
    return Client(4, int(address), str(address), str(address))


def envelope_of(mail_from: str, helo: str) -> Envelope:
    """RFC 7208 sections 2.4 and 4.3: an empty sender is postmaster at the HELO name, and a sender without
    a local part has "postmaster" as its own."""
    sender, helo = mail_from.strip(), helo.strip()
    if sender.startswith("<") and sender.endswith(">"):
        sender = sender[1:-1]
    if not sender:
        # An HELO name is a name: one with an at sign in it is malformed, not somebody's address.
        return Envelope("postmaster", None if "@" in helo else checkable_domain(helo), helo, helo)
    local, _, shown = sender.rpartition("@")
    return Envelope(local or "postmaster", checkable_domain(shown), shown, helo)


def address_value(text: str, family: int) -> int | None:
    """An A or AAAA record's address; None for text that is not one."""
    return parse_ip4(text) if family == 4 else parse_ip6(text)


def address_text(value: int, family: int) -> str:
    return str(IPv4Address(value) if family == 4 else IPv6Address(value))
