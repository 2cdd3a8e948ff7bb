"""Lints a domain's SPF record: every mistake by name, place and remedy, and the record to publish instead.

An unanswered DNS question makes things unknown, never missing. Pure generator in `lint_steps`; `lint_spf`
runs it over a resolver.
"""

from collections.abc import Sequence
from functools import partial

from notifier.mailauth.answers import Ahead, Answer, Question, Resolver, Status, Steps
from notifier.mailauth.client import Client, client_of, envelope_of
from notifier.mailauth.correct import FATAL, SAFE_ALL, Corrected, Wanted, corrected_record
from notifier.mailauth.domains import ascii_domain, checkable_domain
from notifier.mailauth.driver import drive
from notifier.mailauth.evaluate import Evaluation
from notifier.mailauth.lookahead import LookAhead
from notifier.mailauth.reading import Reading, ReadTerm, looks_like_spf, read_record
from notifier.mailauth.record import VERSION, Directive, Modifier, includes, is_spf, parse_record, parse_term
from notifier.mailauth.report import (
    Mistake,
    Required,
    Severity,
    SpfNode,
    SpfProblem,
    SpfReport,
    txt_strings,
)
from notifier.mailauth.result import SpfCheck, SpfResult
from notifier.mailauth.structure import LONG_RECORD, at, cost_problems, split_at_all, structure_problems
from notifier.mailauth.walk import Cost, Walker
from notifier.mailauth.zone import txt_answer

LINT_TIME_LIMIT = 30.0
MAX_RECORDS = 5
MAX_READ = 4096
"""Characters of a record that are read: no honest one is as long, and a hostile one must not take seconds."""


async def lint_spf(
    domain: str,
    *,
    resolver: Resolver,
    required_include: str | None,
    sending_ips: Sequence[str] = (),
    time_limit: float = LINT_TIME_LIMIT,
) -> SpfReport:
    """Judges the published record of `domain`. `required_include` is the domain that its record must
    include for our mail to pass; `sending_ips` are addresses that must pass. Raises ValueError when one of
    those is no IP address, or `required_include` no domain."""
    steps = lint_steps(domain, required_include, sending_ips)
    return await drive(steps, resolver, time_limit=time_limit)


def lint_steps(domain: str, required_include: str | None, sending_ips: Sequence[str]) -> Steps[SpfReport]:
    clients = [(ip, client_of(ip)) for ip in sending_ips]
    if required_include and checkable_domain(required_include) is None:
        raise ValueError(f"'{required_include}' is not a full domain name, so no record can include it")
    name = checkable_domain(domain)
    if name is None:
        sentence = f"'{domain}' is not a full domain name, so it cannot have an SPF record. Correct the name."
        return _empty(domain, Mistake.DOMAIN_INVALID, sentence, Severity.ERROR)
    return (yield from _Lint(name, required_include, clients).run())


class _Lint:
    def __init__(self, domain: str, required: str | None, clients: list[tuple[str, Client]]) -> None:
        self._domain = domain
        self._required = ascii_domain(required) if required else None
        if self._required == domain:
            self._required = None  # our own record need not include itself
        self._clients = clients
        self._walker = Walker()
        self._lengths: list[int] = []  # of the records as published
        self._problems: list[SpfProblem] = []

    def run(self) -> Steps[SpfReport]:
        answer = yield from self._walker.ask(self._domain, "TXT")
        if answer.status is Status.UNAVAILABLE:
            sentence = f"DNS gave no answer about {self._domain}; its record is not known. Try again later."
            return _empty(self._domain, Mistake.DNS_UNAVAILABLE, sentence, Severity.WARNING)
        published = [
            (text, strings)
            for text, strings in zip(answer.records, _strings(answer), strict=True)
            if is_spf(text) or looks_like_spf(text)
        ]
        published.sort(key=lambda one: not is_spf(one[0]))  # what receivers see comes first
        self._lengths = [len(text) for text, _ in published]
        published = [_readable(text, strings) for text, strings in published[:MAX_RECORDS]]
        if not published:
            return (yield from self._without_record(answer))
        yield from self._look_ahead(published[0][0])
        return (yield from self._with_records(published))

    def _look_ahead(self, text: str) -> Steps[None]:
        for family in (4, 6):
            # No address matches, so that everything before `all` is asked.
            look = LookAhead(family, -1, "", lambda spec, _: spec.name if spec.fixed else None)
            yield Ahead(partial(look.plan, self._domain, parse_record(text)), look.follow)

    # --- no record

    def _without_record(self, answer: Answer) -> Steps[SpfReport]:
        exists = "" if answer.status is not Status.NXDOMAIN else " (DNS does not know the name at all)"
        sentence = (
            f"{self._domain} has no SPF record{exists}. Publish the record below as a TXT record, "
            "and add your own mail servers to it if you have any."
        )
        self._problems.append(SpfProblem(Severity.ERROR, Mistake.NO_RECORD, 0, 0, "", sentence))
        checks = yield from self._checked()
        wanted = None
        if self._required is not None:
            wanted = Wanted(self._required, (yield from self._required_cost()), add=True)
        corrected = yield from self._corrected([], [], wanted)
        status = Required.NOT_ASKED if self._required is None else Required.MISSING
        return self._report((), None, corrected, None, status, (), checks)

    # --- one record or more

    def _with_records(self, published: list[tuple[str, tuple[str, ...]]]) -> Steps[SpfReport]:
        readings = [read_record(strings, index) for index, (_, strings) in enumerate(published)]
        texts = tuple(text for text, _ in published)
        self._record_problems(readings, texts)
        terms = [read for reading in readings for read in reading.terms]
        reached = [read for reading in readings for read in _reached(reading)]
        costs: dict[int, Cost] = {}
        for read in terms:
            costs[id(read)] = yield from self._walker.term(read.term, self._domain, ())
        reached_costs = [costs[id(read)] for read in reached]
        self._problems += cost_problems(reached, reached_costs)
        status, path = self._find_required(reached, reached_costs)
        wanted = None
        if self._required is not None:
            add = status in (Required.MISSING, Required.UNKNOWN)
            add = add and not _stands(self._required, terms)
            wanted = Wanted(self._required, (yield from self._required_cost()), add)
            self._required_problems(status, path, reached, texts[0])
        checks = yield from self._checked()
        corrected = yield from self._corrected(terms, [costs[id(read)] for read in terms], wanted)
        tree = self._tree(texts[0], reached_costs)
        return self._report(texts, tree, corrected, wanted, status, path, checks)

    def _record_problems(self, readings: list[Reading], texts: tuple[str, ...]) -> None:
        for index, (reading, text) in enumerate(zip(readings, texts, strict=True)):
            self._problems += reading.problems
            self._problems += structure_problems(reading.terms, reading.lost, text)
            length = self._lengths[index]
            if length > LONG_RECORD:
                severity = Severity.ERROR if length > MAX_READ else Severity.WARNING
                sentence = f"The record has {length} characters; above {LONG_RECORD} some cannot fetch it."
                if length > MAX_READ:
                    sentence += f" Only the first {MAX_READ} were looked at."
                self._problems.append(
                    SpfProblem(severity, Mistake.RECORD_TOO_LONG, LONG_RECORD, len(text), "", sentence, index)
                )
        for index, text in enumerate(texts[1:], start=1):
            sentence = (
                f"{self._domain} has {len(self._lengths)} SPF records and may have only one, so receivers "
                "use none of them. Replace them by the one below, which has the terms of all."
            )
            self._problems.append(
                SpfProblem(Severity.ERROR, Mistake.TWO_RECORDS, 0, len(text), text, sentence, index)
            )

    # --- the include that we need

    def _required_cost(self) -> Steps[Cost]:
        cost = yield from self._walker.term(parse_term(f"include:{self._required}"), self._domain, ())
        for trouble in cost.troubles:
            if trouble.code in FATAL:
                sentence = f"Mend {self._required} first: {trouble.sentence}"
                self._problems.append(
                    SpfProblem(Severity.WARNING, Mistake.REQUIRED_BROKEN, 0, 0, "", sentence)
                )
        return cost

    def _find_required(self, reached: list[ReadTerm], costs: list[Cost]) -> tuple[Required, tuple[str, ...]]:
        required = self._required
        if required is None:
            return Required.NOT_ASKED, ()
        paths: list[tuple[str, ...]] = []
        for read, cost in zip(reached, costs, strict=True):
            nesting = isinstance(read.term, Modifier) or read.term.mechanism == "include"
            passing = isinstance(read.term, Modifier) or read.term.qualifier == "+"
            path = cost.path_to(required)
            if path and nesting and passing:
                paths.append(path)
        if paths:
            shortest = min(paths, key=len)
            return (Required.DIRECT if len(shortest) == 1 else Required.NESTED), shortest
        if any(cost.has(Mistake.INCLUDE_UNAVAILABLE) for cost in costs):
            return Required.UNKNOWN, ()
        return Required.MISSING, ()

    def _required_problems(
        self, status: Required, path: tuple[str, ...], reached: list[ReadTerm], text: str
    ) -> None:
        required = self._required
        for read in reached:
            term = read.term
            if includes(term, required) and term.qualifier != "+":
                sentence = f"'{read.written}' refuses the mail that it names. Write 'include:{required}'."
                self._problems.append(at(read, Severity.ERROR, Mistake.REQUIRED_NOT_PASSING, sentence))
        place = _end_of_mechanisms(reached, text)
        if status is Required.NESTED:
            sentence = f"'{required}' is included through {' and '.join(path[:-1])}. That works."
            self._problems.append(
                SpfProblem(Severity.INFO, Mistake.REQUIRED_NESTED, place, place, "", sentence)
            )
        elif status is Required.MISSING:
            sentence = f"'include:{required}' is missing, so our mail does not pass. Put it before 'all'."
            self._problems.append(
                SpfProblem(Severity.ERROR, Mistake.REQUIRED_MISSING, place, place, "", sentence)
            )

    # --- addresses that must pass

    def _checked(self) -> Steps[tuple[tuple[str, SpfCheck], ...]]:
        checks: list[tuple[str, SpfCheck]] = []
        for ip, client in self._clients:
            check = yield from self._evaluated(client, None)
            checks.append((ip, check))
            if check.result is SpfResult.TEMPERROR:
                sentence = f"Whether {ip} passes is not known: {check.problem}."
                code, severity = Mistake.SENDING_IP_UNKNOWN, Severity.WARNING
            elif check.result is not SpfResult.PASS:
                sentence = f"Mail from {ip} does not pass: the result is '{check.result}'."
                code, severity = Mistake.SENDING_IP_NOT_COVERED, Severity.ERROR
            else:
                continue
            self._problems.append(SpfProblem(severity, code, 0, 0, "", sentence))
        return tuple(checks)

    def _evaluated(self, client: Client, text: str | None) -> Steps[SpfCheck]:
        """The check of one address against what is published, or against `text` in its place."""
        steps = Evaluation(client, envelope_of(f"postmaster@{self._domain}", self._domain)).run()
        step = next(steps)
        while True:
            if not isinstance(step, Question):
                answer = yield step
            elif text is not None and step == (self._domain, "TXT"):
                answer = txt_answer([(text,)])
            else:
                answer = yield from self._walker.ask(step.name, step.rtype)
            try:
                step = steps.send(answer)
            except StopIteration as done:
                check: SpfCheck = done.value
                return check

    # --- what to publish

    def _corrected(self, terms: list[ReadTerm], costs: list[Cost], wanted: Wanted | None) -> Steps[Corrected]:
        extra: list[str] = []
        corrected = corrected_record(terms, costs, wanted, extra)
        for _, client in self._clients:
            check = yield from self._evaluated(client, corrected.text)
            if check.result not in (SpfResult.PASS, SpfResult.TEMPERROR):
                extra.append(f"ip{client.family}:{client.readable}")
        if not terms and wanted is None and not extra:
            # Nothing is known of this domain's senders: the servers that receive its mail are a fair guess.
            answer = yield from self._walker.ask(self._domain, "MX")
            text = f"{VERSION} mx {SAFE_ALL}" if answer.status is Status.OK else f"{VERSION} -all"
            return Corrected(text, ())
        return corrected_record(terms, costs, wanted, extra) if extra else corrected

    def _tree(self, text: str, costs: list[Cost]) -> SpfNode:
        root = Cost("", target=self._domain, record=text)
        root.adopt(costs)
        return root.node()

    def _report(
        self,
        texts: tuple[str, ...],
        tree: SpfNode | None,
        corrected: Corrected,
        wanted: Wanted | None,
        status: Required,
        path: tuple[str, ...],
        checks: tuple[tuple[str, SpfCheck], ...],
    ) -> SpfReport:
        problems = tuple(sorted(self._problems, key=lambda problem: (problem.record, problem.start)))
        serious = any(problem.severity is not Severity.INFO for problem in problems)
        added = wanted is not None and wanted.add
        text = corrected.text if serious or added or not texts else texts[0]
        flattening = None
        if corrected.flattened:
            one = len(corrected.flattened) == 1
            flattening = (
                f"To stay within ten lookups, {', '.join(corrected.flattened)} had to be replaced by the "
                f"addresses behind {'it' if one else 'them'}. Look again when "
                f"{'that provider changes its' if one else 'one of those providers changes its'} servers."
            )
        return SpfReport(
            self._domain,
            texts,
            texts[0] if texts else None,
            problems,
            text,
            txt_strings(text),
            tree.lookups if tree else 0,
            tree.voids if tree else 0,
            tree.voids_ipv6 if tree else 0,
            tree,
            flattening,
            status,
            path,
            checks,
            unavailable=False,
        )


def _reached(reading: Reading) -> list[ReadTerm]:
    """The terms of one record that receivers get to: those before all, or else the redirect too."""
    before, closing, _ = split_at_all(reading.terms)
    directives = [read for read in before if isinstance(read.term, Directive)]
    if closing is not None:
        return directives
    redirects = [read for read in before if isinstance(read.term, Modifier) and read.term.name == "redirect"]
    return directives + redirects[:1]


def _stands(required: str, terms: list[ReadTerm]) -> bool:
    """Whether it is there anywhere, passing: behind `all` it only has to move."""
    return any(includes(read.term, required) and read.term.qualifier == "+" for read in terms)


def _strings(answer: Answer) -> tuple[tuple[str, ...], ...]:
    return answer.strings or tuple((text,) for text in answer.records)


def _end_of_mechanisms(reached: list[ReadTerm], text: str) -> int:
    ends = [read.end for read in reached if isinstance(read.term, Directive) and read.record == 0]
    return max(ends, default=min(len(VERSION), len(text)))


def _empty(domain: str, code: Mistake, sentence: str, severity: Severity) -> SpfReport:
    problem = SpfProblem(severity, code, 0, 0, "", sentence)
    status = Required.UNKNOWN
    unavailable = code is Mistake.DNS_UNAVAILABLE
    return SpfReport(domain, (), None, (problem,), None, (), 0, 0, 0, None, None, status, (), (), unavailable)


def _readable(text: str, strings: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The beginning of a record that is longer than anybody writes one, up to a whole term."""
    if len(text) <= MAX_READ:
        return text, strings
    cut = text[:MAX_READ].rpartition(" ")[0] or text[:MAX_READ]
    return cut, (cut,)
