"""Counts what a record may cost in the worst case, through every include (RFC 7208 section 4.6.4).

An evaluation for one address stops at the first match and so hides an over-long record; this walks
everything before `all`, for IPv4 and IPv6 clients at once. Pure: it yields questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from notifier.mailauth.answers import Answer, Question, Status, Steps, mx_hosts
from notifier.mailauth.client import address_text, address_value
from notifier.mailauth.domains import is_queryable
from notifier.mailauth.record import Directive, Modifier, is_spf, mask_of, parse_record
from notifier.mailauth.report import Mistake, SpfNode

MAX_QUESTIONS = 200  # a hostile tree of includes ends here
MAX_WALKED = 500  # terms; includes that double at each level would otherwise grow without new questions
MAX_DEPTH = 20  # twice what receivers would ever follow
_MAX_NETWORKS = 60


@dataclass(slots=True)
class Trouble:
    code: Mistake
    sentence: str


@dataclass(slots=True)
class Cost:
    """One term: what it costs, what is wrong below it, and the networks it stands for.

    `networks` is None when they cannot be written down once and for all (macros, exists, ptr, signs).
    """

    text: str
    target: str | None = None
    record: str | None = None
    lookups: int = 0
    voids: int = 0
    voids_ipv6: int = 0
    dead: bool = False
    troubles: list[Trouble] = field(default_factory=list)
    networks: list[str] | None = field(default_factory=list)
    children: list["Cost"] = field(default_factory=list)

    def adopt(self, children: list["Cost"]) -> None:
        self.children = children
        for child in children:
            self.lookups += child.lookups
            self.voids += child.voids
            self.voids_ipv6 += child.voids_ipv6
            self.troubles += child.troubles
            if self.networks is not None:
                self.networks = None if child.networks is None else self.networks + child.networks
        if self.networks is not None:
            self.networks = list(dict.fromkeys(self.networks))
            if len(self.networks) > _MAX_NETWORKS:
                self.networks = None

    def includes(self, domain: str) -> bool:
        return self.target == domain or any(child.includes(domain) for child in self.children)

    def path_to(self, domain: str) -> tuple[str, ...]:
        """Domains from this term down to the include of `domain`; empty when it is not below."""
        if self.target is None:
            return ()
        if self.target == domain:
            return (self.target,)
        for child in self.children:
            below = child.path_to(domain)
            if below:
                return (self.target, *below)
        return ()

    def has(self, code: Mistake) -> bool:
        return any(trouble.code is code for trouble in self.troubles)

    def node(self) -> SpfNode:
        own = [trouble.sentence for trouble in self.troubles]
        return SpfNode(
            self.text,
            self.target or "",
            self.record,
            self.lookups,
            self.voids,
            self.voids_ipv6,
            own[0] if own else None,
            tuple(child.node() for child in self.children if child.lookups),
        )


class Walker:
    """Walks one domain's terms. Answers are remembered, since the same include may appear twice."""

    def __init__(self) -> None:
        self._answers: dict[Question, Answer] = {}
        self._walked = 0

    def ask(self, name: str, rtype: str) -> Steps[Answer]:
        question = Question(name, rtype)
        answer = self._answers.get(question)
        if answer is None:
            if len(self._answers) >= MAX_QUESTIONS:
                return Answer(Status.UNAVAILABLE, detail="the record leads to too many others")
            answer = yield question
            self._answers[question] = answer
        return answer

    def term(self, term: Directive | Modifier, domain: str, path: Sequence[str]) -> Steps[Cost]:
        self._walked += 1
        if isinstance(term, Modifier):
            return (yield from self._nested(term, domain, path))
        cost = Cost(term.text)
        mechanism = term.mechanism
        if mechanism == "all":
            return cost
        if term.family:
            prefix = f"/{term.prefix4}" if term.prefix4 < (32 if term.family == 4 else 128) else ""
            cost.networks = [f"ip{term.family}:{address_text(term.network, term.family)}{prefix}"]
        elif mechanism == "include":
            return (yield from self._nested(term, domain, path))
        else:
            cost.lookups = 1
            cost.target = domain if term.spec is None else term.spec.name
            if mechanism in ("ptr", "exists") or (term.spec is not None and not term.spec.fixed):
                cost.networks = None
            if cost.target is not None and mechanism != "ptr":
                yield from self._hosts(term, cost, cost.target)
        if term.qualifier != "+":
            cost.networks = None
        return cost

    def _hosts(self, term: Directive, cost: Cost, target: str) -> Steps[None]:
        names = [target]
        if term.mechanism == "exists":
            answer = yield from self.ask(target, "A")
            if not self._unavailable(cost, target, answer):
                cost.voids += answer.void
                cost.voids_ipv6 += answer.void
            return
        if term.mechanism == "mx":
            answer = yield from self.ask(target, "MX")
            if self._unavailable(cost, target, answer):
                return
            if answer.void:
                cost.voids += 1
                cost.voids_ipv6 += 1
                cost.dead = True
            names = mx_hosts(answer.records)
            if len(names) > 10:
                cost.troubles.append(
                    Trouble(Mistake.TOO_MANY_MX, f"{target} has {len(names)} MX hosts; SPF allows ten.")
                )
                cost.networks = None
                return
        for name in names:
            if is_queryable(name):
                yield from self._addresses(term, cost, name)

    def _addresses(self, term: Directive, cost: Cost, name: str) -> Steps[None]:
        v4 = yield from self.ask(name, "A")
        v6 = yield from self.ask(name, "AAAA")
        if self._unavailable(cost, name, v4) or self._unavailable(cost, name, v6):
            return
        cost.voids += v4.void
        cost.voids_ipv6 += v6.void
        cost.dead = cost.dead or (v4.void and v6.void)
        if cost.networks is not None:
            cost.networks += _networks(v4, 4, term.prefix4) + _networks(v6, 6, term.prefix6)

    def _unavailable(self, cost: Cost, name: str, answer: Answer) -> bool:
        if answer.status is not Status.UNAVAILABLE:
            return False
        cost.networks = None
        cost.troubles.append(
            Trouble(Mistake.INCLUDE_UNAVAILABLE, f"DNS gave no answer about {name}, so it is not known yet.")
        )
        return True

    # --- include and redirect

    def _nested(self, term: Directive | Modifier, domain: str, path: Sequence[str]) -> Steps[Cost]:
        cost = Cost(term.text, lookups=1)
        spec = term.spec
        if spec is None or not spec.fixed or spec.name is None:
            cost.networks = None
            return cost
        target = cost.target = spec.name
        if len(path) > MAX_DEPTH or self._walked > MAX_WALKED:
            cost.networks = None
            return cost
        if target in path or target == domain:
            cost.networks = None
            cost.troubles.append(
                Trouble(Mistake.INCLUDE_LOOP, f"'{term.text}' in {domain} leads back to {target}: a circle.")
            )
            return cost
        answer = yield from self.ask(target, "TXT")
        if self._unavailable(cost, target, answer):
            return cost
        cost.voids = cost.voids_ipv6 = int(answer.void)
        trouble = self._record_trouble(target, answer, cost)
        if trouble is not None:
            cost.networks = None
            cost.troubles.append(trouble)
            return cost
        children = yield from self._children(target, [*path, domain], cost.record or "")
        cost.adopt(children)
        if isinstance(term, Directive) and term.qualifier != "+":
            cost.networks = None
        return cost

    def _record_trouble(self, target: str, answer: Answer, cost: Cost) -> Trouble | None:
        texts = [text for text in answer.records if is_spf(text)]
        if not texts:
            return Trouble(
                Mistake.INCLUDE_WITHOUT_RECORD,
                f"{target} has no SPF record, so receivers treat yours as broken.",
            )
        if len(texts) > 1:
            return Trouble(Mistake.INCLUDE_TWO_RECORDS, f"{target} has {len(texts)} SPF records.")
        cost.record = texts[0]
        problem = parse_record(texts[0]).problem
        if problem is not None:
            return Trouble(Mistake.INCLUDE_MALFORMED, f"The SPF record of {target} is malformed: {problem}.")
        return None

    def _children(self, domain: str, path: Sequence[str], text: str) -> Steps[list[Cost]]:
        record = parse_record(text)
        children: list[Cost] = []
        for term in record.directives:
            if term.mechanism == "all":
                if term.qualifier == "+":
                    children.append(Cost(term.text, networks=None))
                return children
            children.append((yield from self.term(term, domain, path)))
        if record.redirect is not None:
            children.append((yield from self.term(record.redirect, domain, path)))
        return children


def _networks(answer: Answer, family: int, prefix: int) -> list[str]:
    width = 32 if family == 4 else 128
    networks: list[str] = []
    for text in answer.records:
        value = address_value(text, family)
        if value is not None:
            shown = address_text(value & mask_of(prefix, family), family)
            networks.append(f"ip{family}:{shown}" + (f"/{prefix}" if prefix < width else ""))
    return networks
