"""Values as people and other systems write them: amounts, days, yes and no. Pure.

What could mean two things is refused with the option that decides, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

_SPACES: Final = re.compile(r"[\s\u00a0\u202f'’]")
_SIGNS: Final[Mapping[str, frozenset[str]]] = {
    "zł": frozenset({"PLN"}),
    "kr.": frozenset({"DKK", "ISK", "NOK", "SEK"}),
    "kr": frozenset({"DKK", "ISK", "NOK", "SEK"}),
    "r$": frozenset({"BRL"}),
    "€": frozenset({"EUR"}),
    "£": frozenset({"EGP", "FKP", "GBP", "GIP", "LBP", "SHP"}),
    "¥": frozenset({"CNY", "JPY"}),
    "₹": frozenset({"INR"}),
    "₽": frozenset({"RUB"}),
    "₩": frozenset({"KPW", "KRW"}),
    "₴": frozenset({"UAH"}),
    "₺": frozenset({"TRY"}),
    "₦": frozenset({"NGN"}),
}
"""Sign, case folded -> the currencies that it can mean."""
_DOLLARS: Final[Mapping[str, str]] = {
    "us$": "USD",
    "ca$": "CAD",
    "c$": "CAD",
    "au$": "AUD",
    "a$": "AUD",
    "nz$": "NZD",
    "mx$": "MXN",
    "hk$": "HKD",
    "s$": "SGD",
}
"""A $ that says whose. Any dollar and any peso is written $ alone, which rules out what has a sign above."""
_NO_DOLLAR: Final = frozenset().union(*_SIGNS.values())
_MARK: Final = re.compile(
    r"\b[a-z]{3}(?![a-z])|(?<![a-z])[a-z]{3}\b|"  # codes first: KRW begins with a sign
    + "|".join(re.escape(sign) for sign in sorted((*_SIGNS, *_DOLLARS, "$"), key=len, reverse=True)),
    re.IGNORECASE,
)
_ISO: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?")
_SLASHED: Final = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?: .*)?")
_WORDED: Final = ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d %Y")


class Ambiguous(ValueError):
    """It could be read in two ways; the text says which option decides."""


class OtherCurrency(ValueError):
    """An amount names a currency that is not its row's."""


def amount(text: str, decimal: str | None = None, currency: str = "") -> str:
    """`$1,234.50` or `1.234,50 €` as `1234.50`, `(12.00)` or `12.00-` as `-12.00`; what is no amount stays.

    Ambiguous: `1,234` alone is a thousand or a fraction. OtherCurrency: `EUR 12` where `currency` is USD.
    """
    bare = _without_currency(_SPACES.sub(" ", text.strip()), currency.strip().upper()).replace(" ", "")
    negative = bare.startswith(("-", "(")) or bare.endswith("-")
    digits = bare.strip("()-+")
    if not digits or not re.fullmatch(r"[0-9.,]+", digits) or not digits[-1].isdigit():
        return text.strip()
    point = "," if decimal == "comma" else "." if decimal == "point" else _point(digits)
    whole, _, fraction = digits.rpartition(point) if point and point in digits else (digits, "", "")
    if (point and point in whole) or not _is_whole(whole):
        return text.strip()  # two decimal points, or groups that are none
    thousands = re.sub(r"[.,]", "", whole) or "0"
    return f"{'-' if negative else ''}{thousands}{'.' if fraction else ''}{fraction}"


def _without_currency(text: str, currency: str) -> str:
    """Signs and codes are taken away; one of another currency than the row's is refused."""
    for mark in _MARK.findall(text) if currency else ():
        if not _means(mark.casefold(), currency):
            raise OtherCurrency(f"This amount is in another currency than {currency}, which its row is in.")
    return _MARK.sub("", text)


def _means(mark: str, currency: str) -> bool:
    if mark == "$":
        return currency not in _NO_DOLLAR
    if mark in _DOLLARS:
        return currency == _DOLLARS[mark]
    return currency in _SIGNS[mark] if mark in _SIGNS else currency == mark.upper()


def _is_whole(digits: str) -> bool:
    """12345, 1,234,567 or, as in India, 12,34,567; empty before a fraction such as .50."""
    groups = re.split(r"[.,]", digits)
    if len(groups) == 1:
        return True
    return (
        len(set(re.findall(r"[.,]", digits))) == 1
        and 1 <= len(groups[0]) <= 3
        and all(len(group) in (2, 3) for group in groups[1:-1])
        and len(groups[-1]) == 3
    )


def _point(digits: str) -> str:
    """The decimal separator, empty for none."""
    comma, point = digits.count(","), digits.count(".")
    if comma and point:
        return max(",.", key=digits.rindex)
    if not comma and not point:
        return ""
    sign = "," if comma else "."
    if comma + point > 1:
        return ""
    if sign == "," and len(digits.rpartition(",")[2]) == 3:
        raise Ambiguous("This may be a thousand or a fraction. Say --decimal point or --decimal comma.")
    return sign


def day(text: str, order: str | None = None) -> str:
    """A day as 2026-01-31; what is no day stays as it is. Ambiguous: 03/04/2026 without an order."""
    text = text.strip()
    if match := _ISO.fullmatch(text):
        return _iso(int(match[1]), int(match[2]), int(match[3]), text)
    if match := _SLASHED.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        order = "dmy" if match[2] == "." and order is None else order
        if order is None and first <= 12 and second <= 12 and first != second:
            raise Ambiguous("Which is the month here? Say --dates mdy or --dates dmy.")
        month_first = order == "mdy" or (order is None and second > 12)
        return _iso(year, first, second, text) if month_first else _iso(year, second, first, text)
    for form in _WORDED:
        try:
            return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007  # a day has no zone
        except ValueError:
            continue
    return text


def _iso(year: int, month: int, day_: int, text: str) -> str:
    try:
        return date(year, month, day_).isoformat()
    except ValueError:
        return text


def yes_or_no(text: str) -> str:
    """`yes`, `no` or empty; anything else as it is."""
    word = text.strip().casefold()
    if word in ("yes", "y", "true", "1", "on", "enabled", "si", "sí", "oui", "ja"):
        return "yes"
    if word in ("no", "n", "false", "0", "off", "disabled", "non", "nein"):
        return "no"
    return word


__all__ = ["Ambiguous", "OtherCurrency", "amount", "day", "yes_or_no"]
