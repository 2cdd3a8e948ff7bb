"""One look at a domain's SPF record and at what it says of our own servers, judged and in words. Pure.

RFC 7208: the record is judged whole by the lint; each sending address of a route is checked as a receiver
would check it (section 4), for the domain in the envelope.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from notifier.mailauth import (
    Mistake,
    Required,
    SendingIdentity,
    Severity,
    SpfCheck,
    SpfProblem,
    SpfReport,
    SpfResult,
)

_OF_ADDRESSES = frozenset({Mistake.SENDING_IP_NOT_COVERED, Mistake.SENDING_IP_UNKNOWN})


class SpfState(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """DNS did not answer: nothing can be said."""


@dataclass(frozen=True, slots=True)
class Way:
    """One sending address of a route. `check` is None where app.yaml names no address (`ip` empty)."""

    route: str
    ip: str
    check: SpfCheck | None
    matters: bool
    """Mail of the domain goes out this way, so it has to pass."""


@dataclass(frozen=True, slots=True)
class SpfLook:
    report: SpfReport
    include: str
    """The include that the provider's mail needs."""
    ways: tuple[Way, ...] = ()
    alignment: tuple[str, ...] = ()
    """What DMARC makes of our mail, in a sentence or two; empty for a domain that is not ours."""

    @property
    def ours(self) -> bool:
        """Mail of ours goes out with this domain."""
        return bool(self.alignment)

    @property
    def problems(self) -> tuple[SpfProblem, ...]:
        """What is wrong with the record; how our addresses fare stands in `ways`."""
        return tuple(p for p in self.report.problems if p.code not in _OF_ADDRESSES)

    @property
    def broken(self) -> bool:
        """The record itself has a mistake."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    @property
    def domain(self) -> str:
        return self.report.domain

    @property
    def partial(self) -> bool:
        """DNS did not answer about a part of the record: what was judged is the rest."""
        return any(problem.code is Mistake.INCLUDE_UNAVAILABLE for problem in self.report.problems)

    @property
    def state(self) -> SpfState:
        report = self.report
        if report.unavailable and report.record is None:
            return SpfState.UNKNOWN
        results = [way.check.result for way in self.ways if way.check is not None and way.matters]
        if self.broken or report.required is Required.MISSING:
            return SpfState.WRONG
        if any(result not in (SpfResult.PASS, SpfResult.TEMPERROR) for result in results):
            return SpfState.WRONG
        if report.required is Required.UNKNOWN or SpfResult.TEMPERROR in results:
            return SpfState.UNKNOWN
        if self.partial and SpfResult.PASS not in results:
            return SpfState.UNKNOWN  # no address of ours was seen to pass before the part that is not known
        return SpfState.RIGHT

    @property
    def sentence(self) -> str:
        """The verdict, without a mark."""
        return _sentence(self)


def _sentence(look: SpfLook) -> str:
    report, domain = look.report, look.domain
    if report.unavailable and report.record is None:
        return f"DNS gave no answer for {domain}, so nothing can be said. Try again soon."
    if not report.records:
        return f"{domain} has no SPF record: it says nothing about who may send for it."
    if report.required is Required.MISSING:
        if report.record and f"include:{look.include}" in report.record.casefold():
            return f"{domain} names {look.include}, but not in a way that authorises it. See below."
        return f"{domain} does not authorise the Visp server: include:{look.include} is missing."
    if look.broken:
        if report.required is Required.NOT_ASKED:
            return f"The record of {domain} has a mistake that makes it useless."
        return f"{domain} names {look.include}, but a mistake in the record makes it useless."
    if refused := sorted({way.route for way in look.ways if way.matters and _refused(way)}):
        return f"{domain} does not authorise our server {' and '.join(refused)}."
    if look.state is SpfState.UNKNOWN:
        return f"A part of the record of {domain} could not be read, so this is not sure."
    if report.required is Required.NOT_ASKED:
        return f"The record of {domain} is sound."
    via = f" (through {' > '.join(report.required_path)})" if report.required is Required.NESTED else ""
    return f"{domain} authorises the Visp server{via}."


def _refused(way: Way) -> bool:
    return way.check is not None and way.check.result not in (SpfResult.PASS, SpfResult.TEMPERROR)


RESULT_WORDS: dict[SpfResult, str] = {
    SpfResult.PASS: "authorised",
    SpfResult.FAIL: "receivers refuse it",
    SpfResult.SOFTFAIL: "receivers distrust it",
    SpfResult.NEUTRAL: "the record says nothing about it",
    SpfResult.NONE: "there is no record to go by",
    SpfResult.TEMPERROR: "DNS did not answer, so it is not known",
    SpfResult.PERMERROR: "the record is broken, so it counts for nothing",
}
"""RFC 7208 section 2.6, and what receivers do about it (section 8)."""


def alignment(identities: Iterable[SendingIdentity]) -> tuple[str, ...]:
    """What DMARC makes of our mail: one sentence for all routes that stand alike."""
    by_headline: dict[str, list[str]] = {}
    for identity in identities:
        by_headline.setdefault(identity.headline, []).append(identity.facts.route)
    if len(by_headline) == 1:
        return tuple(by_headline)
    return tuple(f"{' and '.join(routes)}: {headline}" for headline, routes in by_headline.items())
