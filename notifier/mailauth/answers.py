"""What the mail-authentication evaluators ask of DNS and what they get back: values and protocols only.

An evaluator yields a Question and receives an Answer. NODATA and NXDOMAIN are answers ("void" in RFC 7208
section 4.6.4); UNAVAILABLE (a time-out, SERVFAIL) means "unknown" and never "missing".
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar


class Status(StrEnum):
    OK = "ok"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    UNAVAILABLE = "unavailable"


class Question(NamedTuple):
    name: str
    rtype: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Records in presentation form: TXT joined without spaces, MX as "10 host", addresses as text.

    `strings` holds the character-strings of each TXT record as published, for whoever must show them.
    `ttl` is in seconds.
    """

    status: Status
    records: tuple[str, ...] = ()
    strings: tuple[tuple[str, ...], ...] = ()
    ttl: float = 0.0
    detail: str = ""

    @property
    def void(self) -> bool:
        return self.status is Status.NODATA or self.status is Status.NXDOMAIN


class Lookup(NamedTuple):
    """One question of a trace, with its answer."""

    name: str
    rtype: str
    answer: Answer


Plan = Callable[[], Iterable[Question]]
Follow = Callable[[Question, Answer], Iterable[Question]]
Prefetch = Callable[[Iterable[Question], Follow], None]


class Ahead(NamedTuple):
    """A hint, not a question: what will probably be asked, and what follows from each of those answers."""

    plan: Plan
    follow: Follow


Result = TypeVar("Result")
Steps = Generator[Question | Ahead, Answer, Result]
NOTHING = Answer(Status.NODATA)  # what a generator receives after a hint


class Resolver(Protocol):
    async def query(self, name: str, rtype: str) -> Answer: ...


class LookAheadResolver(Resolver, Protocol):
    """A resolver that can ask early. It only ever changes how long an answer takes."""

    def prefetch(self, questions: Iterable[Question], follow: Follow) -> None: ...


def mx_hosts(records: Iterable[str]) -> list[str]:
    """Host names of MX records, most preferred first. A null MX (RFC 7505) has none."""
    pairs: list[tuple[int, str]] = []
    for record in records:
        preference, _, host = record.partition(" ")
        host = host.rstrip(".").lower()
        if host:
            pairs.append((int(preference) if preference.isdecimal() else 0, host))
    if len(pairs) > 1:
        pairs.sort()
    return [host for _, host in pairs]
