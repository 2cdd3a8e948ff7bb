"""The bookkeeping of one SPF evaluation: what each term has asked and where each record's check ended.

Evaluating only notes; the tree of TermTrace is built when somebody looks at it.
"""

from typing import NamedTuple

from notifier.mailauth.answers import Answer, Lookup
from notifier.mailauth.record import Directive, DomainSpec, Modifier, Record
from notifier.mailauth.result import SpfResult, TermOutcome, TermTrace


class Stop(Exception):
    """temperror or permerror, which end the whole check from however deep. Not a defect."""

    def __init__(self, result: SpfResult, problem: str) -> None:
        super().__init__(problem)
        self.result = result
        self.problem = problem


class Verdict(NamedTuple):
    result: SpfResult
    matching_term: str | None = None
    explain: DomainSpec | None = None  # of the record that decided, wherever a redirect led
    explain_term: str = ""
    explain_domain: str = ""


class Work:
    """What one term has asked, and the check of the record that it led to."""

    __slots__ = ("asked", "record", "target", "visit")

    def __init__(self) -> None:
        self.asked: list[Lookup] = []
        self.target: str | None = None
        self.record: str | None = None
        self.visit: Visit | None = None

    def traced(self, term: Directive | Modifier, domain: str, outcome: TermOutcome, note: str) -> TermTrace:
        return TermTrace(
            term.text,
            term.qualifier if isinstance(term, Directive) else "",
            domain,
            self.target,
            tuple(self.asked),
            outcome,
            note,
            self.record,
            () if self.visit is None else self.visit.trace(),
        )


class Visit:
    """The check of one record: how many of its directives were reached and how the last of them ended."""

    __slots__ = ("domain", "fatal", "matched", "reached", "record", "redirected", "works")

    def __init__(self, domain: str, record: Record) -> None:
        self.domain = domain
        self.record = record
        self.works: list[Work] = []  # of the terms that ask DNS, in their order
        self.reached = 0
        self.matched = False
        self.fatal: str | None = None
        self.redirected: Work | None = None

    def trace(self) -> tuple[TermTrace, ...]:
        works = iter(self.works)
        last = self.reached - 1
        trace: list[TermTrace] = []
        for index, term in enumerate(self.record.directives[: self.reached]):
            outcome, note = TermOutcome.NOT_MATCHED, ""
            if index == last and self.matched:
                outcome = TermOutcome.MATCHED
            elif index == last and self.fatal is not None and self.redirected is None:
                outcome, note = TermOutcome.ERROR, self.fatal
            if term.family or term.mechanism == "all":
                trace.append(TermTrace(term.text, term.qualifier, self.domain, None, (), outcome, note))
            else:
                trace.append(next(works).traced(term, self.domain, outcome, note))
        if self.redirected is not None and self.record.redirect is not None:
            outcome = TermOutcome.USED if self.fatal is None else TermOutcome.ERROR
            redirect = self.record.redirect
            trace.append(self.redirected.traced(redirect, self.domain, outcome, self.fatal or ""))
        return tuple(trace)


def unanswered(name: str, rtype: str, answer: Answer) -> str:
    detail = f" ({answer.detail})" if answer.detail else ""
    return f"DNS gave no answer about {name} {rtype}{detail}; the result is not known yet"
