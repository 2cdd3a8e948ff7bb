"""What an import found about e-mail addresses: counts by kind, with lines and domains as examples.

The domains are asked about once each, after the rows are in: many at a time, within one time limit. Nothing
here keeps a mailbox: what is shown is a line of the file and a domain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from notifier.addresses import AddressReport, FieldItem, Kind, domain_report, domain_steps, mailbox_kind
from notifier.mailauth import Resolver
from notifier.mailauth.driver import drive

EXAMPLES: Final = 3
CONCURRENCY: Final = 50
TIME_LIMIT_S: Final = 60.0
"""For all domains together; what is not answered by then is unknown."""
ONE_S: Final = 6.0
"""For one domain: the resolver's own tries."""


@dataclass(frozen=True, slots=True)
class Example:
    line: int
    domain: str = ""
    """Empty where the text is no address."""


@dataclass(slots=True)
class Tally:
    """One kind of finding: how many addresses, and the first few."""

    count: int = 0
    examples: list[Example] = field(default_factory=list)

    def add(self, example: Example, times: int = 1) -> None:
        self.count += times
        if len(self.examples) < EXAMPLES and example not in self.examples:
            self.examples.append(example)


@dataclass(slots=True)
class _Domain:
    count: int = 0
    lines: list[int] = field(default_factory=list)


class AddressTally:
    """Filled while rows are judged; `judge_domains` adds what DNS says, or what is known without it."""

    def __init__(self) -> None:
        self.addresses = 0
        """Addresses read, broken ones included."""
        self.suggested = 0
        """Of the broken ones, those whose slip is plain."""
        self.found: dict[Kind, Tally] = {}
        self._domains: dict[str, _Domain] = {}
        self._owners: dict[int, str | None] = {}
        """Hash of an address -> the account that had it first; None when it is counted as shared."""

    @property
    def domains(self) -> tuple[str, ...]:
        """The distinct ones, most used first."""
        return tuple(sorted(self._domains, key=lambda d: (-self._domains[d].count, d)))

    def note(self, kind: Kind, line: int, domain: str = "", times: int = 1) -> None:
        self.found.setdefault(kind, Tally()).add(Example(line, domain), times)

    def see(self, line: int, account: str, item: FieldItem) -> None:
        """One address of one row that is taken in."""
        self.addresses += 1
        if item.problem is not None:
            self.note(Kind.MALFORMED, line)
            self.suggested += item.suggestion is not None
            return
        local, _, domain = item.address.rpartition("@")
        if item.repairs:
            self.note(Kind.REPAIRED, line, domain)
        if (kind := mailbox_kind(local, domain)) is not None:
            self.note(kind, line, domain)
        used = self._domains.setdefault(domain, _Domain())
        used.count += 1
        if len(used.lines) < EXAMPLES:
            used.lines.append(line)
        self._share(line, account, item.address, domain)

    def _share(self, line: int, account: str, address: str, domain: str) -> None:
        owner = self._owners.setdefault(hash(address), account)
        if owner is not None and owner != account:
            self._owners[hash(address)] = None
            self.note(Kind.SHARED, line, domain)

    async def judge_domains(
        self,
        resolver: Resolver,
        *,
        progress: Callable[[int, int], None] | None = None,
        concurrency: int = CONCURRENCY,
        time_limit: float = TIME_LIMIT_S,
    ) -> None:
        """Asks DNS about each distinct domain; `progress` is told how many of how many are done."""
        reports = await _asked(self.domains, resolver, progress, concurrency, time_limit)
        for domain in self.domains:
            self._take(domain, reports.get(domain) or domain_report(domain))

    def judge_domains_unasked(self) -> None:
        """Only what the names themselves tell: known misspellings, other scripts."""
        for domain in self.domains:
            self._take(domain, domain_report(domain), unasked=True)

    def _take(self, domain: str, report: AddressReport, *, unasked: bool = False) -> None:
        used = self._domains[domain]
        for finding in report.findings:
            if finding.kind in _OF_MAILBOXES or (unasked and finding.kind is Kind.UNKNOWN):
                continue
            meant = (finding.suggestion or "").rpartition("@")[2]
            shown = f"{domain} for {meant}" if meant else domain
            self.note(finding.kind, used.lines[0], shown, used.count)


_OF_MAILBOXES: Final = frozenset({Kind.ROLE, Kind.NO_REPLY, Kind.PLACEHOLDER, Kind.DISPOSABLE})
"""Counted by address already."""


async def _asked(
    domains: tuple[str, ...],
    resolver: Resolver,
    progress: Callable[[int, int], None] | None,
    concurrency: int,
    time_limit: float,
) -> Mapping[str, AddressReport]:
    """A fixed number of askers over one list; what they have by the time limit is kept."""
    reports: dict[str, AddressReport] = {}
    waiting: Iterator[str] = iter(domains)

    async def ask() -> None:
        for domain in waiting:
            reports[domain] = await drive(domain_steps(domain), resolver, time_limit=ONE_S)
            if progress is not None:
                progress(len(reports), len(domains))

    try:
        async with asyncio.timeout(time_limit), asyncio.TaskGroup() as askers:
            for _ in range(min(concurrency, len(domains))):
                askers.create_task(ask())
    except TimeoutError:
        pass  # told as unknown, by each domain that has no report
    return reports


__all__ = ["AddressTally", "Example", "Tally"]
