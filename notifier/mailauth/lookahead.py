"""Guesses what a check will ask, so that a resolver can ask it at the same time. Pure; never changes results.

Guesses follow the order of evaluation and its limits (ten terms, ten MX hosts), so that a hostile record
cannot make more traffic than RFC 7208 section 4.6.4 allows it anyway.
"""

from collections.abc import Callable

from notifier.mailauth.answers import Answer, Question, Status, mx_hosts
from notifier.mailauth.domains import is_queryable
from notifier.mailauth.record import Directive, DomainSpec, Record, is_spf, parse_record

_TERMS = 10
_HOSTS = 30
_RTYPES = {"include": "TXT", "mx": "MX", "exists": "A"}

Expand = Callable[[DomainSpec, str], str | None]


class LookAhead:
    """For one check: `plan` gives the questions of a record, `follow` those that an answer leads to."""

    def __init__(self, family: int, address: int, reverse_name: str, expand: Expand) -> None:
        self._family = family
        self._address = address
        self._address_type = "A" if family == 4 else "AAAA"
        self._reverse_name = reverse_name
        self._expand = expand
        self._terms_left = _TERMS
        self._hosts_left = _HOSTS
        self._seen: set[Question] = set()
        self._records: set[Question] = set()

    def plan(self, domain: str, record: Record) -> list[Question]:
        questions: list[Question] = []
        if record.problem:
            return questions
        for term in record.directives:
            if self._ends_here(term):
                return questions
            self._add(questions, self._question(term, domain))
        if record.redirect is not None and record.redirect.spec is not None and not record.has_all:
            name = self._expand(record.redirect.spec, domain)
            self._add(questions, Question(name, "TXT") if name else None)
        return questions

    def follow(self, question: Question, answer: Answer) -> list[Question]:
        if answer.status is not Status.OK:
            return []
        if question in self._records:
            texts = [text for text in answer.records if is_spf(text)]
            return self.plan(question.name, parse_record(texts[0])) if len(texts) == 1 else []
        if question.rtype == "MX":
            names = mx_hosts(answer.records)
        elif question.rtype == "PTR":
            names = [name.rstrip(".").lower() for name in answer.records]
        else:
            return []
        hosts = [name for name in names[:_TERMS] if is_queryable(name)][: self._hosts_left]
        self._hosts_left -= len(hosts)
        asked = [Question(host, self._address_type) for host in hosts]
        return [self._mark(question) for question in asked if question not in self._seen]

    def _ends_here(self, term: Directive) -> bool:
        if term.mechanism == "all":
            return True
        return term.family == self._family and self._address & term.mask == term.network

    def _question(self, term: Directive, domain: str) -> Question | None:
        if term.family:
            return None
        if term.mechanism == "ptr":
            return Question(self._reverse_name, "PTR")
        name = domain if term.spec is None else self._expand(term.spec, domain)
        return Question(name, _RTYPES.get(term.mechanism, self._address_type)) if name else None

    def _add(self, questions: list[Question], question: Question | None) -> None:
        if question is None or self._terms_left <= 0 or question in self._seen:
            return
        self._terms_left -= 1
        if question.rtype == "TXT":
            self._records.add(question)
        questions.append(self._mark(question))

    def _mark(self, question: Question) -> Question:
        self._seen.add(question)
        return question
