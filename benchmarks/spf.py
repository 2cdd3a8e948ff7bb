"""SPF against pyspf 2.0.14: evaluations per CPU second, and wall time when each DNS answer takes 30 ms.

Both sides read the same zone in this process, take turns, and count their best of five (the others tell what
else the machine was doing). A measurement passes when `rate` is at least `limit`; for wall times a rate is
evaluations per second of wall time.
`spf_cpu` is as it runs, with parsed records kept; `spf_cpu_uncached` forgets them before each evaluation.
`times` is our rate over pyspf's.
"""

import asyncio
import json
import resource
import time
from collections.abc import Callable

import spf

from notifier.mailauth import Answer, StaticResolver, check_host
from notifier.mailauth.lookup import CachingResolver
from notifier.mailauth.record import parse_record

IP, SENDER, HELO = "203.0.113.200", "billing@visp.example", "mail.visp.example"
RECORD = (
    "v=spf1 a mx include:one.example include:two.example include:three.example a:web.example "
    "exists:%{ir}.seen.example include:four.example a:relay.example mx:five.example -all"
)
# One TXT, ten terms, and an address for each of the two MX hosts: 13 questions on the way to -all.
ZONE: dict[str, dict[str, list[str]]] = {
    "visp.example": {"TXT": [RECORD], "A": ["192.0.2.10"], "MX": ["10 mx.visp.example"]},
    "mx.visp.example": {"A": ["192.0.2.11"]},
    "one.example": {"TXT": ["v=spf1 ip4:198.51.100.0/26 ip4:198.51.100.64/27 -all"]},
    "two.example": {"TXT": ["v=spf1 ip4:198.51.100.128/26 ip6:2001:db8:2::/48 ~all"]},
    "three.example": {"TXT": ["v=spf1 ip4:198.51.100.192/27 ip4:192.0.2.128/28 -all"]},
    "four.example": {"TXT": ["v=spf1 ip4:192.0.2.144/28 ip4:192.0.2.160/28 ?all"]},
    "web.example": {"A": ["192.0.2.20"]},
    "relay.example": {"A": ["192.0.2.21", "192.0.2.22"]},
    "five.example": {"MX": ["5 mx.five.example"]},
    "mx.five.example": {"A": ["192.0.2.30"]},
}
QUESTIONS = 13
DELAY = 0.030
ROUNDS = 5
EVALUATIONS = 1000

_PeerRow = tuple[tuple[str, str], object]


def _peer_rows(name: str, rtype: str) -> list[_PeerRow]:
    rows: list[_PeerRow] = []
    for value in ZONE.get(name.lower(), {}).get(rtype, []):
        shown: object = value
        if rtype == "TXT":
            shown = (value.encode(),)
        elif rtype == "MX":
            preference, _, host = value.partition(" ")
            shown = (int(preference), host)
        rows.append(((name, rtype), shown))
    return rows


def _peer_lookup(delay: float) -> Callable[..., list[_PeerRow]]:
    def lookup(name: str, rtype: str, _strict: object = True, _timeout: float = 20) -> list[_PeerRow]:
        if delay:
            time.sleep(delay)
        return _peer_rows(name, rtype)

    return lookup


class DelayedResolver:
    """The zone at a distance: each answer takes `delay` seconds. Counts what it is asked."""

    def __init__(self, inner: StaticResolver, delay: float) -> None:
        self._inner = inner
        self._delay = delay
        self.asked = 0

    async def query(self, name: str, rtype: str) -> Answer:
        self.asked += 1
        await asyncio.sleep(self._delay)
        return await self._inner.query(name, rtype)


def _peer_check() -> None:
    result = spf.check2(i=IP, s=SENDER, h=HELO)[0]
    if result != "fail":
        raise RuntimeError(f"pyspf answered {result}")


def _peer_cpu(evaluations: int) -> float:
    spf.DNSLookup = _peer_lookup(0)
    started = time.process_time()
    for _ in range(evaluations):
        _peer_check()
    return evaluations / (time.process_time() - started)


def _own_cpu(evaluations: int, *, cold: bool) -> float:
    resolver = StaticResolver(ZONE)

    async def loop() -> None:
        for _ in range(evaluations):
            if cold:
                parse_record.cache_clear()
            check = await check_host(IP, SENDER, HELO, resolver=resolver)
            if check.result != "fail":
                raise RuntimeError(f"we answered {check.result}")

    started = time.process_time()
    asyncio.run(loop())
    return evaluations / (time.process_time() - started)


def _peer_wall() -> float:
    spf.DNSLookup = _peer_lookup(DELAY)
    started = time.perf_counter()
    _peer_check()
    return 1 / (time.perf_counter() - started)


def _own_wall() -> float:
    async def once() -> float:
        slow = DelayedResolver(StaticResolver(ZONE), DELAY)
        resolver = CachingResolver(slow)  # empty: every question is asked, some of them side by side
        started = time.perf_counter()
        check = await check_host(IP, SENDER, HELO, resolver=resolver)
        took = time.perf_counter() - started
        await resolver.aclose()
        if check.result != "fail" or slow.asked != QUESTIONS:
            raise RuntimeError(f"we answered {check.result} after {slow.asked} questions")
        return 1 / took

    return asyncio.run(once())


def _measure(
    name: str, own: Callable[[], float], peer: Callable[[], float], times: float
) -> dict[str, object]:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours.append(own())
        theirs.append(peer())
    rate, other = max(ours), max(theirs)
    return {
        "name": name,
        "rate": round(rate, 2),
        "limit": round(other * times, 2),
        "peer": round(other, 2),
        "times": round(rate / other, 2),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def run() -> list[dict[str, object]]:
    _own_cpu(50, cold=False)  # both sides start warm
    _peer_cpu(50)
    return [
        _measure(
            "spf_cpu", lambda: _own_cpu(EVALUATIONS, cold=False), lambda: _peer_cpu(EVALUATIONS // 2), 2.0
        ),
        _measure(
            "spf_cpu_uncached",
            lambda: _own_cpu(EVALUATIONS, cold=True),
            lambda: _peer_cpu(EVALUATIONS // 2),
            2.5,
        ),
        _measure("spf_wall_30ms", _own_wall, _peer_wall, 4.0),
    ]


def main() -> None:
    for measurement in run():
        print(json.dumps(measurement))


if __name__ == "__main__":
    main()
