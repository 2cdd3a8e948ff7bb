"""Made-up subscribers, many of them, with names as unevenly spread as real ones: for search and import."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate

_ENDS = ("son", "ez", "ski", "man", "berg", "field", "ton", "ley", "ova", "ard")
_SYLLABLES = (
    "ba",
    "cor",
    "da",
    "el",
    "fi",
    "gra",
    "ho",
    "in",
    "ja",
    "ke",
    "lu",
    "mar",
    "no",
    "or",
    "pe",
    "ri",
)
_STREETS = ("Juniper", "Ranch", "Canyon", "Main", "Alder", "Obsidian", "Reed Market", "Galveston", "Cooley")
_TOWNS = ("Bend", "Redmond", "Sisters", "Prineville", "Madras", "La Pine", "Sunriver", "Culver", "Metolius")


def _names(dice: random.Random, count: int) -> list[str]:
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(dice.choices(_SYLLABLES, k=dice.randint(1, 3))).title() + dice.choice(_ENDS)] = None
    return list(made)


class People:
    """The same people for the same seed; a name's share falls with its rank, as in a telephone book."""

    def __init__(self, seed: int = 1) -> None:
        self._dice = random.Random(seed)  # a benchmark
        self.first, self.last = _names(self._dice, 3_000), _names(self._dice, 20_000)
        self._weights = [
            list(accumulate(1 / (rank + 8) for rank in range(len(names))))
            for names in (self.first, self.last)
        ]

    def name(self) -> tuple[str, str]:
        first, last = (
            self._dice.choices(names, cum_weights=weights)[0]
            for names, weights in zip((self.first, self.last), self._weights, strict=True)
        )
        return first, last

    def rows(self, count: int) -> Iterator[dict[str, str]]:
        """As in our CSV format."""
        for number in range(count):
            first, last = self.name()
            yield {
                "account": f"A{number:07}",
                "kind": "residential",
                "status": "active",
                "name": f"{first} {last}",
                "language": "en",
                "email_billing": f"{first}.{last}{number}@inbox{number % 40}.example".lower(),
                "email_service": "",
                "phone": f"+1541{2_000_000 + number:07}",
                "address": f"{1 + number % 9000} {self._dice.choice(_STREETS)} Lane",
                "city": self._dice.choice(_TOWNS),
                "state": "OR",
                "zip": "97701",
                "bill_to": "",
                "balance": "49.90",
                "currency": "USD",
                "invoice_notices": "yes",
                "sms_consent": "",
            }

    def ip(self, number: int) -> str:
        return f"100.{64 + number // 65536}.{number // 256 % 256}.{number % 256}"

    def mac(self, number: int) -> str:
        text = f"{number:012x}"
        return ":".join(text[place : place + 2] for place in range(0, 12, 2))
