"""Money as integer minor units with an ISO 4217 currency and its exponent (JPY 0, KWD 3).

Conversions go through Decimal, never float.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache

from babel.numbers import get_currency_precision, list_currencies


class MoneyError(ValueError):
    """The text is no amount in this currency; the message may be shown to a person."""


@cache
def exponent(currency: str) -> int:
    """Digits after the decimal point of a currency; MoneyError when ISO 4217 does not know it."""
    if currency not in list_currencies():
        raise MoneyError(f"{currency!r} is not a currency code. Use an ISO 4217 code such as USD.")
    return int(get_currency_precision(currency))


@dataclass(frozen=True, slots=True)
class Money:
    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """An amount such as "49.90"; MoneyError when it is none or finer than the currency."""
        places = exponent(currency)
        try:
            amount = Decimal(text.strip())
        except InvalidOperation:
            raise MoneyError(f"{text!r} is not an amount. Write it as 49.90.") from None
        scaled = amount.scaleb(places) if amount.is_finite() else Decimal("NaN")
        if not scaled.is_finite() or scaled != scaled.to_integral_value():
            raise MoneyError(f"{text!r} is not an amount in {currency} (at most {places} decimals).")
        if abs(scaled) > 10**15:
            raise MoneyError(f"{text!r} is too large to be an amount.")
        return cls(int(scaled), currency)

    @property
    def amount(self) -> Decimal:
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def __sub__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise MoneyError(f"{self.currency} and {other.currency} cannot be subtracted.")
        return Money(self.minor - other.minor, self.currency)
