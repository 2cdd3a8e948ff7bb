"""check_host of RFC 7208 section 4 as a generator: it yields DNS questions and receives their answers.

No I/O and no clock. Temporary trouble (temperror) and wrong records (permerror) are kept apart throughout:
an unanswered question is never "no such record".
"""

import re
from collections.abc import Generator
from functools import partial

from notifier.mailauth.answers import Ahead, Answer, Lookup, Question, Status, Steps, mx_hosts
from notifier.mailauth.client import Client, Envelope, address_value
from notifier.mailauth.domains import fit_name, is_queryable
from notifier.mailauth.lookahead import LookAhead
from notifier.mailauth.macros import EXPLANATION_LETTERS, MacroError, MacroText, compile_macros, expand
from notifier.mailauth.record import Directive, DomainSpec, Modifier, Record, is_spf, mask_of, parse_record
from notifier.mailauth.result import SpfCheck, SpfResult, TermOutcome, TermTrace
from notifier.mailauth.verdict import Stop, Verdict, Visit, Work, unanswered

MAX_TERMS = 10
MAX_VOIDS = 2
MAX_MX = 10
MAX_PTR = 10

_BY_QUALIFIER = {
    "+": SpfResult.PASS,
    "-": SpfResult.FAIL,
    "~": SpfResult.SOFTFAIL,
    "?": SpfResult.NEUTRAL,
}
_UNKNOWN = "unknown"
_PLAIN = re.compile(
    r"[ -~]*"
)  # section 6.2: an explanation is US-ASCII, and no control characters stand in it
_new = tuple.__new__  # a NamedTuple's own constructor costs three times as much, and here it counts


class Evaluation:
    """One check_host call. `now` is seconds since the epoch, for %{t}; `receiver` is our name, for %{r}."""

    def __init__(self, client: Client, envelope: Envelope, *, receiver: str = _UNKNOWN, now: int = 0) -> None:
        self._client = client
        self._envelope = envelope
        self._receiver = receiver
        self._now = now
        self._address_type = client.address_type
        self._family = client.family
        self._value = client.value
        self._lookups = 0
        self._voids = 0
        self._most_voids = MAX_VOIDS
        self._validated: list[str] | None = None
        self._ptr_voids: list[Answer] = []
        self._ptr_name = _UNKNOWN
        self._look: LookAhead | None = None

    def run(self) -> Steps[SpfCheck]:
        domain = self._envelope.domain
        if domain is None:
            shown = self._envelope.shown_domain
            return self._none(shown, (), f"'{shown}' is not a full domain name, so it has no SPF record")
        work = Work()
        explanation: str | None = None
        explained: TermTrace | None = None
        problem: str | None = None
        try:
            answer = yield _new(Question, (domain, "TXT"))
            record = self._record(domain, answer, work, first=True)
            if record is None:
                return self._none(domain, tuple(work.asked), f"{domain} has no SPF record")
            work.visit = Visit(domain, record)
            yield Ahead(partial(self._plan, domain, record), self._follow)
            verdict = yield from self._check(work.visit)
        except Stop as stop:
            verdict = Verdict(stop.result)
            problem = stop.problem
        if verdict.explain is not None and verdict.result is SpfResult.FAIL:
            explanation, explained = yield from self._explain(verdict, verdict.explain)
        return SpfCheck(
            verdict.result,
            explanation,
            domain,
            work.record,
            tuple(work.asked),
            self._lookups,
            self._voids,
            verdict.matching_term,
            problem,
            partial(_trace, work.visit, explained),
        )

    def _none(self, domain: str, asked: tuple[Lookup, ...], problem: str) -> SpfCheck:
        return SpfCheck(SpfResult.NONE, None, domain, None, asked, 0, 0, None, problem)

    # --- records

    def _record(self, domain: str, answer: Answer, work: Work, *, first: bool = False) -> Record | None:
        """RFC 7208 sections 4.4 to 4.6: the domain's one record, or None for "none"."""
        work.target = domain
        work.asked.append(_new(Lookup, (domain, "TXT", answer)))
        if answer.status is not Status.OK:
            if answer.status is Status.UNAVAILABLE:
                raise Stop(SpfResult.TEMPERROR, unanswered(domain, "TXT", answer))
            if not first:
                self._count_void(answer)
            return None
        texts = [text for text in answer.records if is_spf(text)]
        if not texts:
            return None
        if len(texts) > 1:
            raise Stop(
                SpfResult.PERMERROR, f"{domain} publishes {len(texts)} SPF records; there may be only one"
            )
        work.record = texts[0]
        record = parse_record(texts[0])
        if record.problem:
            raise Stop(SpfResult.PERMERROR, f"the SPF record of {domain} is malformed: {record.problem}")
        return record

    def _check(self, visit: Visit) -> Steps[Verdict]:
        record, domain = visit.record, visit.domain
        family, value = self._family, self._value
        reached = 0
        try:
            for term in record.directives:
                reached += 1
                if term.family:
                    matched = term.family == family and value & term.mask == term.network
                elif term.mechanism == "all":
                    matched = True
                else:
                    work = Work()
                    visit.works.append(work)
                    matched = yield from self._ask(term, domain, work)
                if matched:
                    visit.matched = True
                    return _decided(term, domain, record)
            if record.redirect is not None and not record.has_all:
                return (yield from self._redirect(record.redirect, visit))
        except Stop as stop:
            visit.fatal = stop.problem
            raise
        finally:
            visit.reached = reached
        # RFC 7208 section 4.7: no match and no redirect is neutral.
        return Verdict(SpfResult.NEUTRAL)

    # --- mechanisms (RFC 7208 section 5)

    def _ask(self, term: Directive, domain: str, work: Work) -> Steps[bool]:
        self._count_term()
        spec = term.spec
        if spec is None:
            target: str | None = domain
        elif spec.fixed:
            target = spec.name
        else:
            target = yield from self._expanded(spec, domain, work)
        mechanism = term.mechanism
        if mechanism == "include":
            verdict = yield from self._nested(term, target, work)
            return verdict.result is SpfResult.PASS
        if target is None:
            return False  # section 4.8: a name that DNS cannot be asked about matches nothing
        work.target = target
        if mechanism == "ptr":
            return (yield from self._ptr(target, work))
        if mechanism == "mx":
            return (yield from self._mx(term, target, work))
        # Section 5.7: exists asks for A whatever the connection's address family is.
        rtype = "A" if mechanism == "exists" else self._address_type
        answer = yield _new(Question, (target, rtype))
        work.asked.append(_new(Lookup, (target, rtype, answer)))
        if answer.status is not Status.OK:
            self._count(target, rtype, answer)
        return bool(answer.records) if mechanism == "exists" else self._covers(term, answer)

    def _nested(self, term: Directive | Modifier, target: str | None, work: Work) -> Steps[Verdict]:
        """The other domain's own check. RFC 7208 sections 5.2 and 6.1: "none" there is permerror here."""
        record = None
        if target is not None and "." in target:  # section 4.3: a single label is "none"
            answer = yield _new(Question, (target, "TXT"))
            record = self._record(target, answer, work)
        if record is None or target is None:
            where = target or "a name that cannot exist"
            raise Stop(SpfResult.PERMERROR, f"'{term.text}' points to {where}, which has no SPF record")
        work.visit = Visit(target, record)
        return (yield from self._check(work.visit))

    def _redirect(self, modifier: Modifier, visit: Visit) -> Steps[Verdict]:
        work = visit.redirected = Work()
        self._count_term()
        spec, target = modifier.spec, None
        if spec is not None:
            target = spec.name if spec.fixed else (yield from self._expanded(spec, visit.domain, work))
        return (yield from self._nested(modifier, target, work))

    def _mx(self, term: Directive, target: str, work: Work) -> Steps[bool]:
        answer = yield _new(Question, (target, "MX"))
        self._note(target, "MX", answer, work)
        hosts = mx_hosts(answer.records)
        if len(hosts) > MAX_MX:
            # Section 4.6.4; at once, since the order of equal preferences is nobody's choice.
            raise Stop(
                SpfResult.PERMERROR, f"{target} has {len(hosts)} MX hosts; '{term.text}' may use at most ten"
            )
        for host in hosts:
            if not is_queryable(host):
                continue
            answer = yield _new(Question, (host, self._address_type))
            self._note(host, self._address_type, answer, work)
            if self._covers(term, answer):
                return True
        return False

    def _ptr(self, target: str, work: Work) -> Steps[bool]:
        if self._validated is not None:
            for answer in self._ptr_voids:  # known already, but this term counts as one that found nothing
                self._count_void(answer)
        names = yield from self._validated_names(work)
        return any(name == target or name.endswith(f".{target}") for name in names)

    def _validated_names(self, work: Work) -> Steps[list[str]]:
        """Section 5.5: the client's names that lead back to its address. DNS errors only shorten the list."""
        if self._validated is not None:
            return self._validated
        names: list[str] = []
        self._validated = names
        reverse_name = self._client.reverse_name
        answer = yield _new(Question, (reverse_name, "PTR"))
        self._note_pointer(reverse_name, "PTR", answer, work)
        # Section 4.6.4: all but the first ten names are ignored.
        for pointer in answer.records[:MAX_PTR]:
            name = pointer.rstrip(".").lower()
            if not is_queryable(name):
                continue
            answer = yield _new(Question, (name, self._address_type))
            self._note_pointer(name, self._address_type, answer, work)
            if any(address_value(text, self._family) == self._value for text in answer.records):
                names.append(name)
        return names

    def _note_pointer(self, name: str, rtype: str, answer: Answer, work: Work) -> None:
        work.asked.append(_new(Lookup, (name, rtype, answer)))
        if answer.void:
            self._ptr_voids.append(answer)
        self._count_void(answer)

    def _covers(self, term: Directive, answer: Answer) -> bool:
        prefix = term.prefix4 if self._family == 4 else term.prefix6
        if prefix == 32 and self._family == 4:
            return self._client.dotted in answer.records  # an IPv4 address has one spelling only
        mask = mask_of(prefix, self._family)
        wanted = self._value & mask
        for text in answer.records:
            value = address_value(text, self._family)
            if value is not None and value & mask == wanted:
                return True
        return False

    # --- limits (RFC 7208 section 4.6.4)

    def _count_term(self) -> None:
        self._lookups += 1
        if self._lookups > MAX_TERMS:
            raise Stop(SpfResult.PERMERROR, f"more than {MAX_TERMS} terms need DNS lookups")

    def _count_void(self, answer: Answer) -> None:
        if answer.void:
            self._voids += 1
            if self._voids > self._most_voids:
                raise Stop(SpfResult.PERMERROR, f"more than {MAX_VOIDS} DNS lookups found nothing")

    def _note(self, name: str, rtype: str, answer: Answer, work: Work) -> None:
        work.asked.append(_new(Lookup, (name, rtype, answer)))
        if answer.status is not Status.OK:
            self._count(name, rtype, answer)

    def _count(self, name: str, rtype: str, answer: Answer) -> None:
        if answer.status is Status.UNAVAILABLE:
            raise Stop(SpfResult.TEMPERROR, unanswered(name, rtype, answer))
        self._count_void(answer)

    # --- macros (RFC 7208 section 7)

    def _expanded(self, spec: DomainSpec, domain: str, work: Work) -> Steps[str | None]:
        if spec.macros.needs_ptr:
            yield from self._prepare_ptr(domain, work)
        return self._expand(spec, domain)

    def _expand(self, spec: DomainSpec, domain: str) -> str | None:
        name = fit_name(self._text(spec.macros, domain))
        # RFC 8616 section 4: a local part that is not ASCII makes a name that matches nothing.
        return name if is_queryable(name) else None

    def _text(self, macros: MacroText, domain: str) -> str:
        return expand(macros, lambda letter: self._macro_value(letter, domain))

    def _macro_value(self, letter: str, domain: str) -> str:
        envelope = self._envelope
        match letter:
            case "d":
                return envelope.written if domain == envelope.domain else domain
            case "i":
                return self._client.dotted
            case "v":
                return self._client.zone
            case "l":
                return envelope.local
            case "o":
                return envelope.written
            case "s":
                return f"{envelope.local}@{envelope.written}"
            case "h":
                return envelope.helo
            case "p":
                return self._ptr_name
            case "c":
                return self._client.readable
            case "r":
                return self._receiver
            case _:
                return str(self._now)

    def _prepare_ptr(self, domain: str, work: Work, *, counted: bool = True) -> Steps[None]:
        """Section 7.3, %{p}: the validated name nearest to the domain, else any, else "unknown"."""
        if self._validated is None and counted:
            self._count_term()  # section 4.6.4 counts the PTR lookup of %{p} among the ten
        names = yield from self._validated_names(work)
        related = [name for name in names if name == domain or name.endswith(f".{domain}")]
        if domain in related:
            self._ptr_name = domain
        else:
            self._ptr_name = (related or names or [_UNKNOWN])[0]

    # --- explanation (RFC 7208 section 6.2)

    def _explain(self, verdict: Verdict, spec: DomainSpec) -> Steps[tuple[str | None, TermTrace]]:
        """Any trouble here means "no explanation"; it never changes the result or its counts."""
        work = Work()
        lookups, voids = self._lookups, self._voids
        # Section 4.6.4 limits what decides; names behind %{p} are ten at most, and "unknown" where none is.
        self._most_voids = voids + MAX_PTR + 1
        domain = verdict.explain_domain
        try:
            text, note = yield from self._explanation(spec, domain, work)
        except Stop as stop:
            text, note = None, stop.problem
        self._lookups, self._voids = lookups, voids
        outcome = TermOutcome.IGNORED if text is None else TermOutcome.USED
        used = TermTrace(verdict.explain_term, "", domain, work.target, tuple(work.asked), outcome, note)
        return text, used

    def _explanation(
        self, spec: DomainSpec, domain: str, work: Work
    ) -> Generator[Question | Ahead, Answer, tuple[str | None, str]]:
        if spec.macros.needs_ptr:
            yield from self._prepare_ptr(domain, work, counted=False)
        target = spec.name if spec.fixed else self._expand(spec, domain)
        if target is None:
            return None, "the name expands to something that DNS cannot be asked about"
        work.target = target
        answer = yield _new(Question, (target, "TXT"))
        work.asked.append(Lookup(target, "TXT", answer))
        if answer.status is not Status.OK or len(answer.records) != 1:
            return None, f"{target} does not hold exactly one TXT record"
        text = answer.records[0]
        if not _PLAIN.fullmatch(text):
            return None, "the explanation is not plain US-ASCII"
        try:
            macros = compile_macros(text, EXPLANATION_LETTERS)
        except MacroError as error:
            return None, str(error)
        if macros.needs_ptr:
            yield from self._prepare_ptr(domain, work, counted=False)
        explanation = self._text(macros, domain)
        # The sender's local part and the HELO name may bring in what the published text did not have.
        if not _PLAIN.fullmatch(explanation):
            return None, "the explanation is not plain US-ASCII"
        return explanation, ""

    # --- look-ahead

    def _plan(self, domain: str, record: Record) -> list[Question]:
        self._look = LookAhead(self._family, self._value, self._client.reverse_name, self._early)
        return self._look.plan(domain, record)

    def _follow(self, question: Question, answer: Answer) -> list[Question]:
        return [] if self._look is None else self._look.follow(question, answer)

    def _early(self, spec: DomainSpec, domain: str) -> str | None:
        if spec.fixed:
            return spec.name
        return None if spec.macros.needs_ptr else self._expand(spec, domain)


def _decided(term: Directive, domain: str, record: Record) -> Verdict:
    exp = record.explanation
    if exp is None:
        return _new(Verdict, (_BY_QUALIFIER[term.qualifier], term.text, None, "", ""))
    return Verdict(_BY_QUALIFIER[term.qualifier], term.text, exp.spec, exp.text, domain)


def _trace(visit: Visit | None, explained: TermTrace | None) -> tuple[TermTrace, ...]:
    trace = () if visit is None else visit.trace()
    return trace if explained is None else (*trace, explained)
