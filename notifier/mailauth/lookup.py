"""The live resolver: dnspython underneath, with time-outs, retries, a TTL cache and look-ahead.

A time-out, SERVFAIL or broken answer is UNAVAILABLE, which means "unknown", never "missing". Negative answers
are kept for as long as the zone's SOA says (RFC 2308). One instance belongs to one event loop.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.PTR
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TXT
import dns.resolver
import dns.rrset

from notifier.mailauth.answers import Answer, Follow, Question, Resolver, Status
from notifier.mailauth.domains import is_queryable
from notifier.mailauth.zone import txt_answer, txt_text

MAX_TTL = 300.0
UNAVAILABLE_TTL = 5.0  # long enough that one check asks a dead server once, short enough to recover
MIN_TTL = 1.0  # so that what was asked ahead is still there when it is needed
_MAX_EDNS_PAYLOAD = 1232


class DnspythonResolver:
    """One question on the wire. `timeout` is per try, `lifetime` for all tries, both in seconds."""

    def __init__(
        self,
        nameservers: Sequence[str] | None = None,
        port: int = 53,
        *,
        timeout: float = 2.0,
        lifetime: float = 5.0,
    ) -> None:
        self._resolver = _configured(nameservers, port)
        self._resolver.timeout = timeout
        self._resolver.lifetime = lifetime
        self._resolver.cache = None
        self._resolver.retry_servfail = True
        self._resolver.use_edns(0, 0, _MAX_EDNS_PAYLOAD)

    async def query(self, name: str, rtype: str) -> Answer:
        plain = name.rstrip(".")
        if not is_queryable(plain):
            return Answer(Status.NXDOMAIN, detail="no DNS name can look like this")
        # From labels, since the presentation form gives a meaning to backslashes and other characters.
        labels = [label.encode("ascii") for label in plain.split(".")]
        try:
            answer = await self._resolver.resolve(
                dns.name.Name([*labels, b""]), rtype, raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN as error:
            return Answer(Status.NXDOMAIN, ttl=_negative_ttl(_any_response(error)))
        except (dns.exception.DNSException, OSError, EOFError) as error:
            return Answer(Status.UNAVAILABLE, ttl=UNAVAILABLE_TTL, detail=_reason(error))
        if answer.rrset is None:
            return Answer(Status.NODATA, ttl=_negative_ttl(answer.response))
        return _answer(answer.rrset, rtype)


class CachingResolver:
    """Any resolver, with a bounded TTL cache, one flight per question, and look-ahead.

    What is asked ahead runs beside the evaluator and ends in the cache; results stay the same.
    """

    def __init__(self, inner: Resolver, *, capacity: int = 10_000, max_ttl: float = MAX_TTL) -> None:
        self._inner = inner
        self._capacity = capacity
        self._max_ttl = max_ttl
        self._cache: OrderedDict[Question, tuple[float, Answer]] = OrderedDict()
        self._flights: dict[Question, asyncio.Task[Answer]] = {}
        self._ahead: set[asyncio.Task[None]] = set()

    async def query(self, name: str, rtype: str) -> Answer:
        return await self._ask(Question(name.rstrip(".").lower(), rtype.upper()))

    def prefetch(self, questions: Iterable[Question], follow: Follow) -> None:
        for question in questions:
            runner = asyncio.ensure_future(self._run_ahead(question, follow))
            self._ahead.add(runner)
            runner.add_done_callback(self._ahead.discard)

    def forget(self) -> None:
        """Drops what is cached, for someone who has just changed a record and looks again."""
        self._cache.clear()

    async def aclose(self) -> None:
        """Ends what still runs ahead."""
        running: list[asyncio.Task[None] | asyncio.Task[Answer]] = [*self._ahead, *self._flights.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run_ahead(self, question: Question, follow: Follow) -> None:
        answer = await self._ask(question)
        self.prefetch(follow(question, answer), follow)

    async def _ask(self, question: Question) -> Answer:
        cached = self._cache.get(question)
        if cached is not None:
            if cached[0] > asyncio.get_running_loop().time():
                self._cache.move_to_end(question)
                return cached[1]
            del self._cache[question]
        flight = self._flights.get(question)
        if flight is None:
            flight = asyncio.ensure_future(self._fly(question))
            self._flights[question] = flight
        # Shielded: someone who stops waiting must not take the answer away from the others.
        return await asyncio.shield(flight)

    async def _fly(self, question: Question) -> Answer:
        try:
            answer = await self._inner.query(question.name, question.rtype)
            ttl = min(max(answer.ttl, MIN_TTL), self._max_ttl)
            self._cache[question] = (asyncio.get_running_loop().time() + ttl, answer)
            while len(self._cache) > self._capacity:
                self._cache.popitem(last=False)
            return answer
        finally:
            self._flights.pop(question, None)


class DnsResolver(CachingResolver):
    """The resolver of a running deployment. Without `nameservers` the system's own are used."""

    def __init__(
        self,
        nameservers: Sequence[str] | None = None,
        port: int = 53,
        *,
        timeout: float = 2.0,
        lifetime: float = 5.0,
        capacity: int = 10_000,
        max_ttl: float = MAX_TTL,
    ) -> None:
        wire = DnspythonResolver(nameservers, port, timeout=timeout, lifetime=lifetime)
        super().__init__(wire, capacity=capacity, max_ttl=max_ttl)


def _configured(nameservers: Sequence[str] | None, port: int) -> dns.asyncresolver.Resolver:
    if nameservers is None:
        try:
            return dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            nameservers = ("127.0.0.1",)  # resolv.conf(5): without a file, this machine is asked
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = list(nameservers)
    resolver.port = port
    return resolver


def _answer(rrset: dns.rrset.RRset, rtype: str) -> Answer:
    ttl = float(rrset.ttl)
    if rtype == "TXT":
        texts = [rdata for rdata in rrset if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT)]
        return txt_answer([tuple(txt_text(part) for part in text.strings) for text in texts], ttl)
    return Answer(Status.OK, tuple(_presented(rdata) for rdata in rrset), ttl=ttl)


def _presented(rdata: object) -> str:
    if isinstance(rdata, dns.rdtypes.ANY.MX.MX):
        return f"{rdata.preference} {_name_text(rdata.exchange)}"
    if isinstance(rdata, dns.rdtypes.ANY.PTR.PTR):
        return _name_text(rdata.target)
    return str(rdata)


def _name_text(name: dns.name.Name) -> str:
    return ".".join(label.decode("latin-1") for label in name.labels if label)


def _any_response(error: dns.resolver.NXDOMAIN) -> dns.message.Message | None:
    responses = error.kwargs.get("responses") or {}
    return next(iter(responses.values()), None)


def _negative_ttl(response: dns.message.Message | None) -> float:
    """RFC 2308 section 5: the lesser of the SOA's own TTL and its minimum field."""
    for rrset in response.authority if response is not None else ():
        for rdata in rrset:
            if isinstance(rdata, dns.rdtypes.ANY.SOA.SOA):
                return float(min(rrset.ttl, rdata.minimum))
    return 0.0


def _reason(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "no name server answered in time"
    if isinstance(error, dns.resolver.NoNameservers):
        return "every name server refused or failed"
    return type(error).__name__
