"""Mail authentication as receivers see it: SPF (RFC 7208) checks and SPF records, judged without any I/O.

`lookup` (the live resolver) is imported separately: nothing here reaches for the network.
"""

from notifier.mailauth.answers import Answer, LookAheadResolver, Lookup, Question, Resolver, Status
from notifier.mailauth.lint import lint_spf, lint_steps
from notifier.mailauth.report import (
    Mistake,
    Required,
    Severity,
    SpfNode,
    SpfProblem,
    SpfReport,
    txt_strings,
)
from notifier.mailauth.result import SpfCheck, SpfResult, TermOutcome, TermTrace
from notifier.mailauth.spf import check_host
from notifier.mailauth.zone import OverlayResolver, StaticResolver, Zone

__all__ = [
    "Answer",
    "LookAheadResolver",
    "Lookup",
    "Mistake",
    "OverlayResolver",
    "Question",
    "Required",
    "Resolver",
    "Severity",
    "SpfCheck",
    "SpfNode",
    "SpfProblem",
    "SpfReport",
    "SpfResult",
    "StaticResolver",
    "Status",
    "TermOutcome",
    "TermTrace",
    "Zone",
    "check_host",
    "lint_spf",
    "lint_steps",
    "txt_strings",
]
