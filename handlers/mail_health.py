"""How our mail is doing, read already: what `/isp mail` shows. Pure: values and their sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from store.models import Bounces, DomainRecord, Incident, RouteCounts

DAYS = 14


@dataclass(frozen=True, slots=True)
class Refuser:
    """An operator that does not take our mail, for one reason; its incidents together."""

    operator: str
    cause: str
    """A key of notifier.oncall.CAUSES."""
    routes: tuple[str, ...]
    since: datetime
    mails: int
    people: int
    incident_id: UUID
    """The largest of them, for its card."""


@dataclass(frozen=True, slots=True)
class SendingDomain:
    """A domain of ours and what was last seen of its records; none yet before the first look."""

    domain: str
    uses: tuple[str, ...]
    """What it is for: `envelope of visp`, `From`, `DKIM`."""
    records: tuple[DomainRecord, ...]
    wanted: tuple[str, ...] = ()
    """Kinds of records that matter to what it is for."""

    @property
    def signed(self) -> bool:
        return any(kind.startswith("dkim:") for kind in self.wanted)

    @property
    def unseen(self) -> list[str]:
        seen = {record.kind for record in self.records}
        return [kind for kind in self.wanted if kind not in seen]


@dataclass(frozen=True, slots=True)
class Trend:
    """Bounces of the last DAYS days; the last one is today."""

    days: tuple[date, ...]
    counts: tuple[int, ...]
    causes: tuple[tuple[str, tuple[int, ...]], ...]
    """Class -> a day, most first."""
    domains: tuple[tuple[str, tuple[int, ...]], ...]
    """Recipients' domain or operator -> a day, most first."""

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class MailData:
    routes: Mapping[str, RouteCounts]
    refusers: tuple[Refuser, ...]
    ours: tuple[Incident, ...]
    """Unresolved incidents that are about ourselves: our sender checks, our routes."""
    domains: tuple[SendingDomain, ...]
    trend: Trend
    now: datetime


def trend(days: Sequence[date], bounces: Iterable[Bounces], called: Callable[[str], str]) -> Trend:
    """`called`: a recipients' domain by the name that people know."""
    total: Counter[int] = Counter()
    causes: dict[str, Counter[int]] = {}
    domains: dict[str, Counter[int]] = {}
    for found in bounces:
        total[found.day] += found.count
        causes.setdefault(found.cls, Counter())[found.day] += found.count
        domains.setdefault(called(found.domain), Counter())[found.day] += found.count
    size = range(len(days))
    return Trend(
        tuple(days), tuple(total[n] for n in size), _ranked(causes, len(days)), _ranked(domains, len(days))
    )


def _ranked(counted: Mapping[str, Counter[int]], size: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    rows = [(name, tuple(days[n] for n in range(size))) for name, days in counted.items()]
    return tuple(sorted(rows, key=lambda row: (-sum(row[1]), row[0])))
