"""What linting a DMARC record answers: each mistake by name and place, and the record to publish."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from notifier.mailauth.dmarc_record import Policy
from notifier.mailauth.report import Severity


class DmarcMistake(StrEnum):
    """One name for each thing that people get wrong in DMARC records."""

    # where and whether
    DOMAIN_INVALID = "domain_invalid"
    DNS_UNAVAILABLE = "dns_unavailable"
    NO_RECORD = "no_record"
    TWO_RECORDS = "two_records"
    WRONG_PLACE = "wrong_place"
    INHERITED = "inherited"
    # how it is written
    BAD_VERSION = "bad_version"
    QUOTES = "quotes"
    MISSING_SEMICOLON = "missing_semicolon"
    MALFORMED_TAG = "malformed_tag"
    UNKNOWN_TAG = "unknown_tag"
    DUPLICATE_TAG = "duplicate_tag"
    OBSOLETE_TAG = "obsolete_tag"
    VALUE_INVALID = "value_invalid"
    # what it says
    POLICY_MISSING = "policy_missing"
    POLICY_INVALID = "policy_invalid"
    POLICY_NONE = "policy_none"
    SUBDOMAINS_WEAKER = "subdomains_weaker"
    TESTING = "testing"
    PUBLIC_SUFFIX = "public_suffix"
    # where reports go
    REPORTS_MISSING = "reports_missing"
    REPORT_ADDRESS_INVALID = "report_address_invalid"
    REPORT_SIZE_LIMIT = "report_size_limit"
    REPORT_NOT_AUTHORISED = "report_not_authorised"
    REPORT_UNKNOWN = "report_unknown"


@dataclass(frozen=True, slots=True)
class DmarcProblem:
    """`start` and `end` are character offsets in `DmarcReport.record`; both 0 when it has no place."""

    severity: Severity
    code: DmarcMistake
    start: int
    end: int
    term: str
    sentence: str


@dataclass(frozen=True, slots=True)
class DmarcReport:
    """`record` applies to `domain` and stands at `_dmarc.` before `record_domain`, which may be a domain
    above. `name` is where `corrected` belongs, `strings` is it in TXT strings; `policy` is what is asked for
    mail of `domain` itself. `corrected` is None when nothing can be said."""

    domain: str
    organisational: str | None
    record_domain: str | None
    record: str | None
    problems: tuple[DmarcProblem, ...]
    policy: Policy | None
    name: str
    corrected: str | None
    strings: tuple[str, ...]
    unavailable: bool

    @property
    def errors(self) -> tuple[DmarcProblem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)

    @property
    def ok(self) -> bool:
        return not self.unavailable and not self.errors
