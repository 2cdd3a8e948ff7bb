"""Builds the record to publish instead: the domain's own mechanisms, mended, within the limits.

Pure and without DNS: it gets each term with its cost. Order: mechanisms, the include that we need, `all`
or redirect, then the other modifiers.
"""

from dataclasses import dataclass

from notifier.mailauth.evaluate import MAX_TERMS, MAX_VOIDS
from notifier.mailauth.reading import ReadTerm
from notifier.mailauth.record import VERSION, Directive, Modifier, parse_term
from notifier.mailauth.report import Mistake
from notifier.mailauth.walk import Cost

SAFE_ALL = "~all"  # softfail: shows forged mail as such and lets a forgotten sender be found first
# An include with one of these makes the whole record permerror, so it authorises nobody.
FATAL = frozenset(
    {
        Mistake.INCLUDE_WITHOUT_RECORD,
        Mistake.INCLUDE_TWO_RECORDS,
        Mistake.INCLUDE_MALFORMED,
        Mistake.INCLUDE_LOOP,
        Mistake.TOO_MANY_MX,
    }
)


@dataclass(slots=True)
class Candidate:
    text: str
    cost: Cost
    keep: bool = False  # ours: never dropped or flattened


@dataclass(frozen=True, slots=True)
class Corrected:
    text: str
    flattened: tuple[str, ...]  # terms that had to be replaced by their addresses


def final_all(terms: list[ReadTerm], *, has_redirect: bool) -> str | None:
    """The `all` to publish: the author's own when it protects; the softer one of several records."""
    signs = _first_signs(terms).values()
    if not signs:
        return None if has_redirect else SAFE_ALL
    if all(sign == "-" for sign in signs):
        return "-all"
    return SAFE_ALL


def _first_signs(terms: list[ReadTerm]) -> dict[int, str]:
    """The sign of the `all` that counts, by record."""
    signs: dict[int, str] = {}
    for read in terms:
        if isinstance(read.term, Directive) and read.term.mechanism == "all":
            signs.setdefault(read.record, read.term.qualifier)
    return signs


@dataclass(frozen=True, slots=True)
class Wanted:
    """The include that we need: `add` when the record does not have it yet, `cost` what it costs then."""

    domain: str
    cost: Cost
    add: bool

    def stands_in(self, term: Directive) -> bool:
        return term.mechanism == "include" and term.spec is not None and term.spec.name == self.domain


def corrected_record(
    terms: list[ReadTerm], costs: list[Cost], wanted: Wanted | None, extra: list[str]
) -> Corrected:
    """`costs` are those of `terms`, one each; `extra` are further terms of ours."""
    candidates, redirect, modifiers = _chosen(terms, costs, wanted)
    if wanted is not None and wanted.add:
        candidates.append(Candidate(f"include:{wanted.domain}", wanted.cost, keep=True))
    have = {candidate.text.lower() for candidate in candidates}
    candidates.extend(Candidate(text, Cost(text), keep=True) for text in extra if text not in have)
    closing = final_all(terms, has_redirect=redirect is not None)
    flattened = _within_limits(candidates, redirect)
    parts = [VERSION, *(candidate.text for candidate in candidates)]
    if redirect is not None:
        parts.append(redirect.text)
    elif closing is not None:
        parts.append(closing)
    return Corrected(" ".join([*parts, *modifiers]), flattened)


def _chosen(
    terms: list[ReadTerm], costs: list[Cost], wanted: Wanted | None
) -> tuple[list[Candidate], Candidate | None, list[str]]:
    """Mechanisms to keep in their order, the redirect to keep, and the other modifiers."""
    closed = set(_first_signs(terms))
    candidates: list[Candidate] = []
    redirect: Candidate | None = None
    modifiers: dict[str, str] = {}
    seen: set[str] = set()
    for read, cost in zip(terms, costs, strict=True):
        term = read.term
        if isinstance(term, Modifier) and term.name != "redirect":
            modifiers.setdefault(term.name, term.text)
        elif isinstance(term, Modifier):
            if read.record in closed or _fatal(cost):
                continue  # RFC 7208 section 6.1: redirect is ignored beside all
            if closed:  # another of the merged records has an all, so this one's redirect must come before
                candidates.append(Candidate(f"include:{term.value}", cost))
            else:
                redirect = redirect or Candidate(term.text, cost)
        else:
            keep = wanted is not None and wanted.stands_in(term)
            if _unwanted(term, cost, keep=keep) or normal_form(term) in seen:
                continue
            seen.add(normal_form(term))
            candidates.append(Candidate(term.text, cost, keep))
    return candidates, redirect, list(modifiers.values())


def _unwanted(term: Directive, cost: Cost, *, keep: bool) -> bool:
    if keep:
        return term.qualifier != "+"  # an include of ours that does not pass is added anew
    return term.mechanism in ("all", "ptr") or _fatal(cost)


def normal_form(term: Directive) -> str:
    sign = "" if term.qualifier == "+" else term.qualifier
    return sign + term.text.lstrip("+-~?").rstrip(".").lower()


def _fatal(cost: Cost) -> bool:
    return any(trouble.code in FATAL for trouble in cost.troubles)


def _within_limits(candidates: list[Candidate], redirect: Candidate | None) -> tuple[str, ...]:
    """Drops dead names over the limit of void lookups, then flattens the dearest terms over ten."""
    tail = [redirect] if redirect is not None else []
    while _voids(candidates + tail) > MAX_VOIDS:
        dead = [one for one in candidates if one.cost.voids and not one.keep and one.cost.dead]
        if not dead:
            break
        candidates.remove(dead[-1])
    flattened: list[str] = []
    while sum(one.cost.lookups for one in candidates + tail) > MAX_TERMS:
        flat = [
            one for one in candidates if one.cost.lookups and one.cost.networks is not None and not one.keep
        ]
        if not flat:
            break
        dearest = max(flat, key=lambda one: one.cost.lookups)
        place = candidates.index(dearest)
        have = {one.text.lower() for one in candidates}
        fresh = [text for text in dearest.cost.networks or [] if text not in have]
        candidates[place : place + 1] = [_plain(text) for text in fresh]
        flattened.append(dearest.text)
    return tuple(flattened)


def _plain(text: str) -> Candidate:
    term = parse_term(text)
    return Candidate(term.text, Cost(text))


def _voids(candidates: list[Candidate]) -> int:
    return sum(one.cost.voids for one in candidates)
