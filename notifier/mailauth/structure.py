"""What is wrong with the terms of one record taken together, and with what DNS says about them. Pure."""

from notifier.mailauth.correct import normal_form
from notifier.mailauth.evaluate import MAX_TERMS, MAX_VOIDS
from notifier.mailauth.reading import ReadTerm
from notifier.mailauth.record import Directive, Modifier
from notifier.mailauth.report import Mistake, Severity, SpfProblem
from notifier.mailauth.walk import Cost

LONG_RECORD = 450  # RFC 7208 section 3.4: beyond this an answer may not fit a UDP packet


def at(read: ReadTerm, severity: Severity, code: Mistake, sentence: str) -> SpfProblem:
    return SpfProblem(severity, code, read.start, read.end, read.written, sentence, read.record)


def is_all(read: ReadTerm) -> bool:
    return isinstance(read.term, Directive) and read.term.mechanism == "all"


def split_at_all(terms: list[ReadTerm]) -> tuple[list[ReadTerm], ReadTerm | None, list[ReadTerm]]:
    for index, read in enumerate(terms):
        if is_all(read):
            return terms[:index], read, terms[index + 1 :]
    return terms, None, []


def structure_problems(terms: list[ReadTerm], lost: list[tuple[int, int]], text: str) -> list[SpfProblem]:
    """`terms` and `lost` are of one record, whose text is `text`."""
    before, closing, after = split_at_all(terms)
    problems = _all_problems(terms, closing, text)
    problems += [_too_wide(read) for read in before if _is_too_wide(read.term)]
    if closing is not None:
        problems += [_after_all(read) for read in after if isinstance(read.term, Directive)]
        problems += [_lost_after_all(place, text, closing) for place in lost if place[0] > closing.start]
    problems += _repeated(terms)
    for read in terms:
        if isinstance(read.term, Directive) and read.term.mechanism == "ptr":
            sentence = (
                "'ptr' is slow and unreliable and RFC 7208 advises against it. "
                "List your servers with 'ip4:' or 'a:' instead."
            )
            problems.append(at(read, Severity.WARNING, Mistake.PTR, sentence))
        if isinstance(read.term, Modifier) and read.term.name == "redirect" and closing is not None:
            sentence = (
                f"Receivers ignore '{read.written}', since the record also has 'all'. Keep one of them."
            )
            problems.append(at(read, Severity.WARNING, Mistake.REDIRECT_WITH_ALL, sentence))
    return problems


def _all_problems(terms: list[ReadTerm], closing: ReadTerm | None, text: str) -> list[SpfProblem]:
    redirected = any(isinstance(read.term, Modifier) and read.term.name == "redirect" for read in terms)
    if closing is None:
        if redirected:
            return []
        sentence = "The record does not say what holds for all other servers. End it with '~all'."
        record = terms[0].record if terms else 0
        end = len(text)
        return [SpfProblem(Severity.WARNING, Mistake.NO_ALL, end, end, "", sentence, record)]
    sign = closing.term.qualifier if isinstance(closing.term, Directive) else ""
    if sign == "+":
        sentence = "'+all' (or 'all' without a sign) lets the whole world send in your name. Write '~all'."
        return [at(closing, Severity.ERROR, Mistake.PLUS_ALL, sentence)]
    if sign == "?":
        sentence = "'?all' says nothing about forged mail, so the record protects nobody. Write '~all'."
        return [at(closing, Severity.WARNING, Mistake.NEUTRAL_ALL, sentence)]
    return []


_NARROWEST = {4: 8, 6: 16}
"""Prefix lengths: nobody was ever given a larger block than these (IANA's address registries)."""


def _is_too_wide(term: Directive | Modifier) -> bool:
    if not isinstance(term, Directive) or term.qualifier != "+":
        return False
    if term.family:
        return (term.prefix4 if term.family == 4 else term.prefix6) < _NARROWEST[term.family]
    return term.prefix4 < _NARROWEST[4] or term.prefix6 < _NARROWEST[6]


def _too_wide(read: ReadTerm) -> SpfProblem:
    sentence = (
        f"'{read.written}' lets a great part of the internet send in your name, nearly as '+all' does. "
        "Name your own servers only."
    )
    return at(read, Severity.WARNING, Mistake.TOO_WIDE, sentence)


def _after_all(read: ReadTerm) -> SpfProblem:
    sentence = f"Receivers stop at 'all' and never see '{read.written}'. Put it before 'all', or remove it."
    return at(read, Severity.WARNING, Mistake.TEXT_AFTER_ALL, sentence)


def _lost_after_all(place: tuple[int, int], text: str, closing: ReadTerm) -> SpfProblem:
    written = text[place[0] : place[1]]
    sentence = f"'{written}' stands after 'all' and is malformed, which spoils the whole record. Remove it."
    return SpfProblem(
        Severity.ERROR, Mistake.TEXT_AFTER_ALL, place[0], place[1], written, sentence, closing.record
    )


def _repeated(terms: list[ReadTerm]) -> list[SpfProblem]:
    problems: list[SpfProblem] = []
    directives: set[str] = set()
    modifiers: set[str] = set()
    for read in terms:
        term = read.term
        if isinstance(term, Modifier):
            if term.name in modifiers and term.spec is not None:
                sentence = f"'{term.name}=' may appear only once. Remove this one."
                problems.append(at(read, Severity.ERROR, Mistake.DUPLICATE_MODIFIER, sentence))
            modifiers.add(term.name)
            continue
        key = normal_form(term)
        if key in directives and term.mechanism != "all":
            include = term.mechanism == "include"
            code = Mistake.DUPLICATE_INCLUDE if include else Mistake.DUPLICATE_TERM
            cost = " and costs a DNS lookup each time" if include else ""
            problems.append(
                at(read, Severity.WARNING, code, f"'{read.written}' is there twice{cost}. Remove this one.")
            )
        directives.add(key)
    return problems


_WARNINGS = frozenset({Mistake.INCLUDE_UNAVAILABLE})


def cost_problems(terms: list[ReadTerm], costs: list[Cost]) -> list[SpfProblem]:
    """`terms` are those that receivers reach, in order, with their costs."""
    problems: list[SpfProblem] = []
    for read, cost in zip(terms, costs, strict=True):
        for trouble in cost.troubles:
            severity = Severity.WARNING if trouble.code in _WARNINGS else Severity.ERROR
            problems.append(at(read, severity, trouble.code, trouble.sentence))
        if cost.dead:
            sentence = f"'{read.written}' leads to a name without addresses and authorises nobody. Remove it."
            problems.append(at(read, Severity.WARNING, Mistake.DEAD_NAME, sentence))
    return problems + _limit_problems(terms, costs)


def _limit_problems(terms: list[ReadTerm], costs: list[Cost]) -> list[SpfProblem]:
    problems: list[SpfProblem] = []
    lookups = [cost.lookups for cost in costs]
    if sum(lookups) > MAX_TERMS:
        sentence = (
            f"Receivers need {sum(lookups)} DNS lookups for this record and may use only {MAX_TERMS}; "
            f"the limit is passed here, and the record then counts as broken. {_saving(terms, costs)}"
        )
        problems.append(
            at(_crossing(terms, lookups, MAX_TERMS), Severity.ERROR, Mistake.TOO_MANY_LOOKUPS, sentence)
        )
    voids = [cost.voids for cost in costs]
    voids_ipv6 = [cost.voids_ipv6 for cost in costs]
    if sum(voids) > MAX_VOIDS:
        sentence = (
            f"{sum(voids)} names in this record do not exist; receivers accept {MAX_VOIDS}. Remove them."
        )
        problems.append(
            at(_crossing(terms, voids, MAX_VOIDS), Severity.ERROR, Mistake.TOO_MANY_VOIDS, sentence)
        )
    elif sum(voids_ipv6) > MAX_VOIDS:
        sentence = (
            f"For mail over IPv6, {sum(voids_ipv6)} names in this record have no address; receivers accept "
            f"{MAX_VOIDS}. Use 'ip4:' and 'ip6:' instead of names without AAAA records."
        )
        place = _crossing(terms, voids_ipv6, MAX_VOIDS)
        problems.append(at(place, Severity.WARNING, Mistake.TOO_MANY_VOIDS_IPV6, sentence))
    return problems


def _crossing(terms: list[ReadTerm], counts: list[int], limit: int) -> ReadTerm:
    total = 0
    for read, count in zip(terms, counts, strict=True):
        total += count
        if total > limit:
            return read
    return terms[-1]


def _saving(terms: list[ReadTerm], costs: list[Cost]) -> str:
    """Which terms to look at first, dearest first."""
    both = zip(terms, costs, strict=True)
    pairs = [(cost.lookups, read.written) for read, cost in both if cost.lookups > 1]
    pairs.sort(key=lambda pair: -pair[0])
    if not pairs:
        return "Remove terms that you no longer need, or list addresses with 'ip4:' instead of names."
    dear = ", ".join(f"'{written}' ({lookups})" for lookups, written in pairs[:3])
    return f"The dearest terms are {dear}: remove what you no longer need, or list their addresses instead."
