"""Short ways to run a check or a lint over a zone that a test writes out."""

import asyncio
from collections.abc import Mapping, Sequence

from notifier.mailauth import Mistake, SpfCheck, SpfReport, StaticResolver, check_host, lint_spf

ZoneDict = Mapping[str, object]

SENDER = "joe@d.example"
NOBODY = "203.0.113.200"  # no zone in these tests authorises this address


def spf(*records: object) -> dict[str, object]:
    return {"TXT": list(records)}


def check(
    zone: ZoneDict,
    ip: str = NOBODY,
    sender: str = SENDER,
    helo: str = "mail.d.example",
    receiver: str = "mx.receiver.example",
    now: float = 1_700_000_000.0,
) -> SpfCheck:
    resolver = StaticResolver(zone)
    return asyncio.run(check_host(ip, sender, helo, resolver=resolver, receiver=receiver, now=now))


def check_record(record: object, extra: ZoneDict | None = None, ip: str = NOBODY) -> SpfCheck:
    """The check of d.example with this record, over a small zone of helpers."""
    return check({**HELPERS, **(extra or {}), "d.example": {**D_HOSTS, **spf(record)}}, ip)


D_HOSTS: dict[str, object] = {
    "A": ["192.0.2.10"],
    "AAAA": ["2001:db8::10"],
    "MX": ["10 mx1.d.example", "20 mx2.d.example"],
}
HELPERS: dict[str, object] = {
    "mx1.d.example": {"A": ["192.0.2.11"], "AAAA": ["2001:db8::11"]},
    "mx2.d.example": {"A": ["192.0.2.12"], "AAAA": ["2001:db8::12"]},
    "host.example": {"A": ["192.0.2.40", "192.0.2.41"], "AAAA": ["2001:db8::40"]},
    "pass.example": spf("v=spf1 ip4:192.0.2.50 -all"),
    "soft.example": spf("v=spf1 ip4:192.0.2.51 ~all"),
    "neutral.example": spf("v=spf1 ip4:192.0.2.52 ?all"),
    "malformed.example": spf("v=spf1 moo -all"),
    "twice.example": spf("v=spf1 -all", "v=spf1 ~all"),
    "norecord.example": {"A": ["192.0.2.60"]},
    "down.example": "TIMEOUT",
}


def lint(
    zone: ZoneDict, required: str | None = "spf.visp.net", ips: Sequence[str] = (), domain: str = "d.example"
) -> SpfReport:
    return asyncio.run(
        lint_spf(domain, resolver=StaticResolver(zone), required_include=required, sending_ips=ips)
    )


def codes(report: SpfReport) -> set[Mistake]:
    return {problem.code for problem in report.problems}
