"""What is odd about an invoice run that is about to begin, against the last one of its kind. Pure.

Each anomaly is a sentence with examples, for whoever starts or approves the run. None of them stops it: a
person decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FEW = 20
"""Differences of fewer invoices are chance."""
MUCH = 1.5
"""So many times last time's is much more, and last time's that is so many times this is much less."""
MANY_STALE = 0.05
ONE_ADDRESS = 10
"""So many accounts behind one billing address are more likely a placeholder than a landlord."""
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """What is compared from run to run. Examples are account or invoice numbers, never an address."""

    audience: int = 0
    mails: int = 0
    """Addresses that get a mail."""
    zero: int = 0
    """Invoices over nothing at all that are neither drafts nor void."""
    zero_examples: tuple[str, ...] = ()
    stale: int = 0
    """Left out because every address is dead: on our do-not-send list, or no address at all."""
    unproven: int = 0
    """Of `mails`: nothing has ever arrived there."""
    templates: Mapping[str, str] = field(default_factory=dict)
    """Language -> hash of the words."""
    shared: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """(how many accounts, the first of them) behind one billing address."""
    same_pdf: tuple[tuple[str, str, str, str], ...] = ()
    """(invoice, account, other invoice, its account): one drawing for two customers."""
    alike: tuple[tuple[str, str, str, str], ...] = ()
    """The same of numbers that differ only in zeros, dashes or letters' size."""

    def as_json(self) -> dict[str, Any]:
        """What the next run is compared with."""
        return {
            "audience": self.audience,
            "mails": self.mails,
            "zero": self.zero,
            "stale": self.stale,
            "unproven": self.unproven,
            "templates": dict(self.templates),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Figures:
        def number(name: str) -> int:
            return int(value.get(name, 0))

        return Figures(
            audience=number("audience"),
            mails=number("mails"),
            zero=number("zero"),
            stale=number("stale"),
            unproven=number("unproven"),
            templates=dict(value.get("templates", {})),
        )


def anomalies(now: Figures, last: Figures | None) -> tuple[str, ...]:
    """Sentences, the worst first; `last`: of the last run of this kind."""
    found = [
        *_two_customers(now),
        _zero(now, last),
        _size(now, last),
        _stale(now, last),
        _unproven(now, last),
        *_one_address(now),
        _words(now, last),
    ]
    return tuple(sentence for sentence in found if sentence)


def _two_customers(now: Figures) -> list[str]:
    rows = [
        f"Invoices {a} (account {of_a}) and {b} (account {of_b}) have the very same PDF: one of the two "
        "customers would get the other's invoice."
        for a, of_a, b, of_b in now.same_pdf[:EXAMPLES]
    ]
    return rows + [
        f"Invoices {a} (account {of_a}) and {b} (account {of_b}) have numbers that are easily taken for one "
        "another."
        for a, of_a, b, of_b in now.alike[:EXAMPLES]
    ]


def _zero(now: Figures, last: Figures | None) -> str:
    usual = last.zero if last else 0
    if not now.zero or now.zero <= usual * MUCH:
        return ""
    verb = "is" if now.zero == 1 else "are"
    such = f"{now.zero:,} invoice{'' if now.zero == 1 else 's'} {verb} about 0.00"
    return f"{such} ({_listed(now.zero_examples, now.zero)}){_then(last, usual)}."


def _size(now: Figures, last: Figures | None) -> str:
    if last is None or abs(now.audience - last.audience) < FEW:
        return ""
    if now.audience > last.audience * MUCH:
        much = "larger"
    elif last.audience > now.audience * MUCH:
        much = "smaller"
    else:
        return ""
    return f"The audience is much {much} than last time: {now.audience:,} invoices, {last.audience:,} then."


def _stale(now: Figures, last: Figures | None) -> str:
    share = now.stale / now.audience if now.audience else 0.0
    usual = last.stale / last.audience if last and last.audience else 0.0
    if now.stale < ONE_ADDRESS or share < MANY_STALE or share <= usual * MUCH:
        return ""
    return (
        f"{now.stale:,} of {now.audience:,} have no address that works ({share:.0%})"
        f"{f'; last time it was {usual:.0%}' if last else ''}."
    )


def _unproven(now: Figures, last: Figures | None) -> str:
    """Only against the last time: at first nothing is proven yet."""
    if last is None or not now.mails or not last.mails:
        return ""
    share, usual = now.unproven / now.mails, last.unproven / last.mails
    if now.unproven < FEW or share < MANY_STALE or share <= usual * MUCH:
        return ""
    return (
        f"Nothing has ever arrived at {now.unproven:,} of the {now.mails:,} addresses ({share:.0%}); "
        f"last time it was {usual:.0%}. Were addresses imported anew?"
    )


def _one_address(now: Figures) -> list[str]:
    return [
        f"{count:,} accounts have one and the same billing address ({_listed(accounts, count)}): "
        "is it a placeholder?"
        for count, accounts in now.shared
        if count >= ONE_ADDRESS
    ]


def _words(now: Figures, last: Figures | None) -> str:
    if last is None:
        return ""
    changed = [
        lang for lang in now.templates if last.templates.get(lang, now.templates[lang]) != now.templates[lang]
    ]
    if not changed:
        return ""
    languages = ", ".join(sorted(changed))
    return f"The words have changed since the last run ({languages}): read one before many get it."


def _listed(examples: Sequence[str], count: int) -> str:
    return ", ".join(examples[:EXAMPLES]) + (", …" if count > len(examples[:EXAMPLES]) else "")


def _then(last: Figures | None, count: int) -> str:
    return "" if last is None else f"; last time there {'was' if count == 1 else 'were'} {count or 'none'}"
