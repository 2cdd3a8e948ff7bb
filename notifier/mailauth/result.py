"""What an SPF check answers: a result, and the tree of terms that led to it (RFC 7208 section 2.6)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from notifier.mailauth.answers import Lookup


class SpfResult(StrEnum):
    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105  the word that RFC 7208 section 2.6.3 gives this result
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class TermOutcome(StrEnum):
    MATCHED = "matched"
    NOT_MATCHED = "not_matched"
    ERROR = "error"  # the term ended the whole check with temperror or permerror
    USED = "used"  # a modifier that took effect
    IGNORED = "ignored"  # an exp= that could not be used; it never changes the result


@dataclass(frozen=True, slots=True)
class TermTrace:
    """One evaluated term. `domain` is whose record it stands in, `target` the name that it asked about,
    `children` are the terms of the included or redirected record and `record` that record's text."""

    term: str
    qualifier: str
    domain: str
    target: str | None
    asked: tuple[Lookup, ...]
    outcome: TermOutcome
    note: str = ""
    record: str | None = None
    children: tuple["TermTrace", ...] = ()


@dataclass(frozen=True, slots=True)
class SpfCheck:
    """The answer of check_host.

    `lookups` counts the DNS-querying terms that were reached (limit 10), `voids` the lookups that found
    nothing (limit 2). `matching_term` is None when nothing matched. `problem` is a sentence for temperror,
    permerror and none.
    """

    result: SpfResult
    explanation: str | None
    domain: str
    record: str | None
    asked: tuple[Lookup, ...]  # the lookup of the record itself
    lookups: int
    voids: int
    matching_term: str | None
    problem: str | None
    _tracer: Callable[[], tuple[TermTrace, ...]] = field(default=tuple, repr=False, compare=False)

    @property
    def trace(self) -> tuple[TermTrace, ...]:
        """The terms in the order of evaluation. Built anew at each call, since most callers never look."""
        return self._tracer()
