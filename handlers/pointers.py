"""What in a message points at a subscriber: addresses, telephone numbers, accounts and invoices. Pure.

Only what looks like one; whether somebody has it is looked up afterwards. Nothing is guessed from names.
"""

from __future__ import annotations

import re

import phonenumbers

from handlers.typed import plain_text

MOST = 10
"""So many are offered; a message that holds more is a list, not a question."""
_EMAIL = re.compile(r"[^\s<>()\[\]\"',;:]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_NAMED = re.compile(
    r"\b(account|acct|invoice|inv)\.?\s*(?:no\.?|number)?\s*[:#]?\s*([A-Za-z]{0,4}-?\d{2,12})\b", re.I
)
_BARE = re.compile(r"(?<![\w./:$€£-])#?(\d{3,9})(?![\w%]|[./:,-]\d)")
_WORD = {"account": "account", "acct": "account", "invoice": "invoice", "inv": "invoice"}


def pointers(text: str, region: str = "US") -> list[str]:
    """In the words of `find`, the surest first, each once: `invoice 20042`, an e-mail, E.164, `1042`.

    `region`: how telephone numbers without a country are read (ISO 3166).
    """
    text = plain_text(text)
    found: dict[str, None] = {}

    def take(pattern: re.Pattern[str], told: str) -> str:
        for match in pattern.finditer(told):
            word = (
                _WORD[match[1].casefold()] + " " + match[2] if pattern is _NAMED else match[match.re.groups]
            )
            found.setdefault(word.rstrip(".!?"))
        return pattern.sub(" ", told)

    text = take(_NAMED, text)
    text = take(_EMAIL, text)
    for match in reversed(list(phonenumbers.PhoneNumberMatcher(text, region))):
        number = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
        found.setdefault(number)
        text = f"{text[: match.start]} {text[match.end :]}"
    take(_BARE, text)
    return list(found)[:MOST]
