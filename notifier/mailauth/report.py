"""What linting an SPF record answers: each mistake by name and place, counts, and the record to publish."""

from dataclasses import dataclass
from enum import StrEnum

from notifier.mailauth.result import SpfCheck


class Severity(StrEnum):
    ERROR = "error"  # receivers answer permerror or the wrong thing
    WARNING = "warning"
    INFO = "info"


class Mistake(StrEnum):
    """One name for each thing that people get wrong in SPF records."""

    # the record as a whole
    DOMAIN_INVALID = "domain_invalid"
    DNS_UNAVAILABLE = "dns_unavailable"
    NO_RECORD = "no_record"
    TWO_RECORDS = "two_records"
    RECORD_TOO_LONG = "record_too_long"
    # how the text was published
    LEADING_SPACE = "leading_space"
    QUOTES = "quotes"
    SMART_QUOTES = "smart_quotes"
    SMART_DASH = "smart_dash"
    INVISIBLE_CHARACTER = "invisible_character"
    NON_ASCII = "non_ascii"
    STRINGS_JOINED = "strings_joined_without_space"
    BAD_VERSION = "bad_version"
    VERSION_PUNCTUATION = "version_punctuation"
    VERSION_REPEATED = "version_repeated"
    # one term
    COMMA = "comma_between_terms"
    SEMICOLON = "semicolon_between_terms"
    SPACE_AFTER_COLON = "space_after_colon"
    SPACE_AFTER_QUALIFIER = "space_after_qualifier"
    MISSING_COLON = "missing_colon"
    TRAILING_PUNCTUATION = "trailing_punctuation"
    BARE_IP = "bare_ip"
    IP_COLON = "ip_colon"
    INCLUDES = "includes"
    MISSPELT = "misspelt_mechanism"
    A_WITH_IP = "a_with_ip"
    MX_WITH_IP = "mx_with_ip"
    INCLUDE_WITH_IP = "include_with_ip"
    IP4_WITH_IPV6 = "ip4_with_ipv6"
    IP6_WITH_IPV4 = "ip6_with_ipv4"
    IP_WITH_NAME = "ip_with_name"
    BAD_ADDRESS = "bad_address"
    BAD_PREFIX = "bad_prefix"
    URL_IN_TERM = "url_in_term"
    COLON_FOR_EQUALS = "colon_for_equals"
    EQUALS_FOR_COLON = "equals_for_colon"
    DOUBLE_QUALIFIER = "double_qualifier"
    BAD_MACRO = "bad_macro"
    MALFORMED_TERM = "malformed_term"
    UNKNOWN_MECHANISM = "unknown_mechanism"
    UNKNOWN_MODIFIER = "unknown_modifier"
    # the terms together
    PTR = "ptr"
    PLUS_ALL = "plus_all"
    NEUTRAL_ALL = "neutral_all"
    NO_ALL = "no_all"
    TOO_WIDE = "too_wide"
    TEXT_AFTER_ALL = "text_after_all"
    REDIRECT_WITH_ALL = "redirect_with_all"
    DUPLICATE_INCLUDE = "duplicate_include"
    DUPLICATE_TERM = "duplicate_term"
    DUPLICATE_MODIFIER = "duplicate_modifier"
    # what DNS says about the terms
    TOO_MANY_LOOKUPS = "too_many_lookups"
    TOO_MANY_VOIDS = "too_many_voids"
    TOO_MANY_VOIDS_IPV6 = "too_many_voids_ipv6"
    TOO_MANY_MX = "too_many_mx"
    DEAD_NAME = "dead_name"
    INCLUDE_WITHOUT_RECORD = "include_without_record"
    INCLUDE_TWO_RECORDS = "include_two_records"
    INCLUDE_MALFORMED = "include_malformed"
    INCLUDE_LOOP = "include_loop"
    INCLUDE_UNAVAILABLE = "include_unavailable"
    # what we need from it
    REQUIRED_MISSING = "required_include_missing"
    REQUIRED_NESTED = "required_include_nested"
    REQUIRED_BROKEN = "required_include_broken"
    REQUIRED_NOT_PASSING = "required_include_not_passing"
    SENDING_IP_NOT_COVERED = "sending_ip_not_covered"
    SENDING_IP_UNKNOWN = "sending_ip_unknown"


class Required(StrEnum):
    """Where the include that we need stands."""

    NOT_ASKED = "not_asked"
    DIRECT = "direct"
    NESTED = "nested"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SpfProblem:
    """`start` and `end` are character offsets in `SpfReport.records[record]`; both 0 when the problem has
    no place. `term` is the text there."""

    severity: Severity
    code: Mistake
    start: int
    end: int
    term: str
    sentence: str
    record: int = 0


@dataclass(frozen=True, slots=True)
class SpfNode:
    """A record in the include tree. `lookups` and `voids` count the term that led here and all below it."""

    term: str
    domain: str
    record: str | None
    lookups: int
    voids: int
    voids_ipv6: int
    problem: str | None
    children: tuple["SpfNode", ...]


@dataclass(frozen=True, slots=True)
class SpfReport:
    """Problems in the order of the record, worst-case counts, and `corrected` ready to paste.

    `lookups` and `voids` are of the worst case, however early a message may match. `corrected` is None only
    when nothing can be said (DNS gave no answer, no such domain name); `strings` is it in TXT strings.
    """

    domain: str
    records: tuple[str, ...]
    record: str | None
    problems: tuple[SpfProblem, ...]
    corrected: str | None
    strings: tuple[str, ...]
    lookups: int
    voids: int
    voids_ipv6: int
    tree: SpfNode | None
    flattening: str | None
    required: Required
    required_path: tuple[str, ...]
    checks: tuple[tuple[str, SpfCheck], ...]
    unavailable: bool

    @property
    def errors(self) -> tuple[SpfProblem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)

    @property
    def ok(self) -> bool:
        return not self.unavailable and not self.errors


MAX_STRING = 255


def txt_strings(text: str) -> tuple[str, ...]:
    """The record in strings of at most 255 octets. No string begins or ends with a space, since zone
    editors trim those and the terms around them would grow together."""
    strings: list[str] = []
    rest = text
    while len(rest) > MAX_STRING:
        cut = MAX_STRING
        while cut > 1 and " " in (rest[cut - 1], rest[cut]):
            cut -= 1
        strings.append(rest[:cut])
        rest = rest[cut:]
    return (*strings, rest)
