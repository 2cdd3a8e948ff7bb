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
    found = [f"{_WORD[match[1].casefold()]} {match[2]}" for match in _NAMED.finditer(text)]
    text = _NAMED.sub(" ", text)
    found += [match[0].rstrip(".!?") for match in _EMAIL.finditer(text)]
    text = _EMAIL.sub(" ", text)
    for match in reversed(list(phonenumbers.PhoneNumberMatcher(text, region))):
        found.append(phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164))
        text = f"{text[: match.start]} {text[match.end :]}"
    found += [match[1] for match in _BARE.finditer(text)]
    return list(dict.fromkeys(found))[:MOST]
