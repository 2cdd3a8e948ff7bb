"""DMARC (RFC 9989): whose policy holds for a From domain, and whether SPF or DKIM speaks for that domain.

The organisational domain is found by the DNS tree walk, without any list of public suffixes. A generator in
`dmarc_steps`; `check_dmarc` runs it over a resolver. What DNS did not answer is unknown, never "no policy".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from notifier.mailauth.answers import Ahead, Answer, Follow, Lookup, Question, Resolver, Status, Steps
from notifier.mailauth.dmarc_record import DmarcRecord, Mode, Policy, is_dmarc, parse_dmarc
from notifier.mailauth.dmarc_words import sentences
from notifier.mailauth.domains import checkable_domain
from notifier.mailauth.driver import TIME_LIMIT, drive

PREFIX = "_dmarc."
MAX_LABELS = 7  # of the second and later names of a walk, so that no walk asks more than eight questions
_NO_FOLLOW: Follow = lambda _question, _answer: ()  # noqa: E731  # an answer leads nowhere here
_UNSURE = frozenset({"temperror"})
_PASS = "pass"  # noqa: S105  # the result's name in RFC 8601 section 2.7


class DmarcResult(StrEnum):
    """The names of RFC 8601 section 2.7.1; `permerror` is a record that receivers cannot use."""

    NONE = "none"
    PASS = _PASS
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Identifier(NamedTuple):
    """A domain that SPF (of the envelope sender) or a DKIM signature (d=) speaks for, with its result:
    pass, fail, none, temperror or another word of RFC 8601."""

    domain: str
    result: str


@dataclass(frozen=True, slots=True)
class Aligned:
    """One identifier against the From domain. `organisational` is None when a strict rule or an equal name
    needed no tree walk, `aligned` None when DNS did not answer."""

    method: str  # "spf" or "dkim"
    domain: str
    result: str
    mode: Mode
    organisational: str | None
    aligned: bool | None

    @property
    def passes(self) -> bool:
        """It authenticates the From domain: aligned, and the check itself passed."""
        return self.aligned is True and self.result == _PASS


@dataclass(frozen=True, slots=True)
class DmarcCheck:
    """DMARC's answer for one From domain and what authenticated the message.

    `record_domain` is whose record applies (its name has `_dmarc.` before it), `organisational` the
    organisational domain. `policy` is what that record asks for mail that fails, by its tag `policy_tag` (p,
    sp or np); `disposition` is what receivers are asked to do, one step milder while `testing`. Without a
    record these are None and `result` is none. `problem` is a sentence for temperror and permerror.
    """

    result: DmarcResult
    domain: str
    organisational: str | None
    record_domain: str | None
    record: str | None
    policy: Policy | None
    policy_tag: str | None
    disposition: Policy | None
    testing: bool
    spf: Aligned | None
    dkim: tuple[Aligned, ...]
    asked: tuple[Lookup, ...]
    problem: str | None

    @property
    def passing(self) -> tuple[Aligned, ...]:
        """What makes it pass, SPF first."""
        return tuple(one for one in (self.spf, *self.dkim) if one is not None and one.passes)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Plain words: whose policy it is, what it asks, and how each identifier stands."""
        return sentences(self)


async def check_dmarc(
    from_domain: str,
    *,
    spf: tuple[str, str] | None = None,
    dkim: Iterable[tuple[str, str]] = (),
    resolver: Resolver,
    time_limit: float = TIME_LIMIT,
) -> DmarcCheck:
    """DMARC for a message with this domain in its From. `spf` is (domain of the envelope sender, result),
    `dkim` one (d= domain, result) for each signature."""
    steps = dmarc_steps(
        from_domain, None if spf is None else Identifier(*spf), [Identifier(*one) for one in dkim]
    )
    return await drive(steps, resolver, time_limit=time_limit)


class Unanswered(Exception):
    """DNS did not answer, so that nothing can be said. Not a defect."""

    def __init__(self, name: str, answer: Answer) -> None:
        detail = f" ({answer.detail})" if answer.detail else ""
        super().__init__(f"DNS gave no answer about {name}{detail}; the result is not known yet")


class Found(NamedTuple):
    domain: str
    record: DmarcRecord


class Walk(NamedTuple):
    """Records from the longest name to the shortest, and the organisational domain that they make."""

    start: str
    records: tuple[Found, ...]
    organisational: str

    def at(self, domain: str) -> Found | None:
        return next((found for found in self.records if found.domain == domain), None)

    @property
    def applies(self) -> Found | None:
        """Section 4.10.1: the record of the From domain, else of the organisational, else of the suffix."""
        suffix = self.records[-1] if self.records and self.records[-1].record.psd else None
        return self.at(self.start) or self.at(self.organisational) or suffix


def walk_names(domain: str) -> list[str]:
    """The domains that a tree walk asks about, longest first (section 4.10): at most eight."""
    labels = domain.split(".")
    first = min(len(labels) - 1, MAX_LABELS)
    return [domain, *(".".join(labels[-count:]) for count in range(first, 0, -1))]


def walk_questions(domain: str) -> list[Question]:
    """What a tree walk from here may ask; none for what is no full domain name."""
    plain = checkable_domain(domain)
    return [] if plain is None else [Question(PREFIX + name, "TXT") for name in walk_names(plain)]


class TreeWalker:
    """Tree walks of one evaluation; each name is asked once."""

    def __init__(self) -> None:
        self.asked: list[Lookup] = []
        self._answers: dict[Question, Answer] = {}
        self._walks: dict[str, Walk] = {}

    def ask(self, name: str, rtype: str) -> Steps[Answer]:
        """Raises Unanswered."""
        question = Question(name, rtype)
        answer = self._answers.get(question)
        if answer is None:
            answer = yield question
            self._answers[question] = answer
            self.asked.append(Lookup(name, rtype, answer))
        if answer.status is Status.UNAVAILABLE:
            raise Unanswered(name, answer)
        return answer

    def walk(self, domain: str) -> Steps[Walk]:
        """Raises Unanswered: a record that was not seen might have been the one that decides."""
        known = self._walks.get(domain)
        if known is not None:
            return known
        names = walk_names(domain)
        wanted = walk_questions(domain)
        yield Ahead(lambda: [one for one in wanted if one not in self._answers], _NO_FOLLOW)
        records: list[Found] = []
        for name in names:
            record = yield from self._record(name)
            if record is None:
                continue
            records.append(Found(name, record))
            if record.psd is not None:
                break
        walk = self._walks[domain] = Walk(domain, tuple(records), _organisational(domain, records))
        return walk

    def _record(self, domain: str) -> Steps[DmarcRecord | None]:
        answer = yield from self.ask(PREFIX + domain, "TXT")
        texts = [text for text in answer.records if is_dmarc(text)]
        # Section 4.10: several records at one name are all discarded.
        return parse_dmarc(texts[0]) if len(texts) == 1 else None


def _organisational(domain: str, records: Sequence[Found]) -> str:
    """Section 4.10.2."""
    for found in records:
        if found.record.psd is False:
            return found.domain
        if found.record.psd and found.domain != domain:
            labels = found.domain.count(".") + 2
            return ".".join(domain.split(".")[-labels:])
    return records[-1].domain if records else domain


def dmarc_steps(from_domain: str, spf: Identifier | None, dkim: Sequence[Identifier]) -> Steps[DmarcCheck]:
    domain = checkable_domain(from_domain)
    if domain is None:
        problem = f"'{from_domain}' is not a full domain name, so no DMARC policy can apply to it"
        return _without_record(from_domain, None, DmarcResult.PERMERROR, (), problem)
    walker = TreeWalker()
    try:
        walk = yield from walker.walk(domain)
    except Unanswered as unknown:
        return _without_record(domain, None, DmarcResult.TEMPERROR, tuple(walker.asked), str(unknown))
    return (yield from _Evaluation(walker, walk, spf, dkim).run())


class _Evaluation:
    def __init__(
        self, walker: TreeWalker, walk: Walk, spf: Identifier | None, dkim: Sequence[Identifier]
    ) -> None:
        self._walker, self._walk, self._spf, self._dkim = walker, walk, spf, dkim

    def run(self) -> Steps[DmarcCheck]:
        walk, found = self._walk, self._walk.applies
        record = None if found is None else found.record
        # Without a record the defaults are shown, as they would hold once there is one.
        modes = (Mode.RELAXED, Mode.RELAXED) if record is None else (record.spf, record.dkim)
        spf = None if self._spf is None else (yield from self._aligned("spf", self._spf, modes[0]))
        dkim: list[Aligned] = []
        for one in self._dkim:
            dkim.append((yield from self._aligned("dkim", one, modes[1])))
        asked = tuple(self._walker.asked)
        if found is None or record is None:
            return _without_record(
                walk.start, walk.organisational, DmarcResult.NONE, asked, None, spf, tuple(dkim)
            )
        if not record.usable:
            problem = f"the DMARC record of {found.domain} has no valid policy, so receivers ignore it"
            return _without_record(
                walk.start, walk.organisational, DmarcResult.PERMERROR, asked, problem, spf, tuple(dkim)
            )
        result, unknown = _result([one for one in (spf, *dkim) if one is not None])
        tag = yield from self._tag(found)
        policy = {"p": record.policy, "sp": record.subdomains, "np": record.nonexistent}[tag] or record.policy
        return DmarcCheck(
            result,
            walk.start,
            walk.organisational,
            found.domain,
            record.text,
            policy,
            tag,
            milder(policy) if record.testing else policy,
            record.testing,
            spf,
            tuple(dkim),
            tuple(self._walker.asked),
            unknown,
        )

    def _tag(self, found: Found) -> Steps[str]:
        """Section 4.7: p for the domain itself; np for a subdomain that does not exist, else sp, else p."""
        record = found.record
        if found.domain == self._walk.start:
            return "p"
        if record.nonexistent is not None and not (yield from self._exists()):
            return "np"
        return "sp" if record.subdomains is not None else "p"

    def _exists(self) -> Steps[bool]:
        """Section 3.2.13: a domain without A, AAAA and MX does not exist. Unanswered counts as existing."""
        for rtype in ("MX", "A", "AAAA"):
            try:
                answer = yield from self._walker.ask(self._walk.start, rtype)
            except Unanswered:
                return True
            if answer.records:
                return True
        return False

    def _aligned(self, method: str, identifier: Identifier, mode: Mode) -> Steps[Aligned]:
        """Section 4.4: the same name, or in relaxed mode the same organisational domain."""
        start = self._walk.start
        domain = checkable_domain(identifier.domain)
        if domain is None:
            return Aligned(method, identifier.domain, identifier.result, mode, None, False)
        if domain == start or mode is Mode.STRICT:
            return Aligned(method, domain, identifier.result, mode, None, domain == start)
        try:
            other = yield from self._walker.walk(domain)
        except Unanswered:
            return Aligned(method, domain, identifier.result, mode, None, None)
        aligned = other.organisational == self._walk.organisational
        if not self._walk.records and domain.endswith(f".{start}"):
            aligned = True  # as it will be once the From domain has a record
        return Aligned(method, domain, identifier.result, mode, other.organisational, aligned)


def _result(identifiers: Sequence[Aligned]) -> tuple[DmarcResult, str | None]:
    if any(one.passes for one in identifiers):
        return DmarcResult.PASS, None
    for one in identifiers:
        if one.aligned is None and one.result == _PASS:
            return DmarcResult.TEMPERROR, f"DNS did not tell whether {one.domain} belongs to the From domain"
        if one.aligned is not False and one.result in _UNSURE:
            name = one.method.upper()
            return DmarcResult.TEMPERROR, f"{name} of {one.domain} is not known, since DNS gave no answer"
    return DmarcResult.FAIL, None


def milder(policy: Policy) -> Policy:
    """Section 4.7, t=y: one step below what the policy says."""
    return Policy.QUARANTINE if policy is Policy.REJECT else Policy.NONE


def _without_record(
    domain: str,
    organisational: str | None,
    result: DmarcResult,
    asked: tuple[Lookup, ...],
    problem: str | None,
    spf: Aligned | None = None,
    dkim: tuple[Aligned, ...] = (),
) -> DmarcCheck:
    return DmarcCheck(
        result, domain, organisational, None, None, None, None, None, False, spf, dkim, asked, problem
    )
