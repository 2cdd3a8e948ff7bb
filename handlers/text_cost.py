"""What a text costs and what time it is where it is read, as previews show it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.numbers import format_currency

from handlers import format as fmt
from handlers.blocks import code, md, section
from handlers.profile import TenantProfile
from handlers.reply import Block
from notifier.sms_text import Encoding, Segments

_LONGEST_BLOCK, _PIECE = 2600, 500


def exactly(text: str) -> list[Block]:
    """As the handset shows it; escaping may make it longer than one block holds."""
    if len(code(text)) < _LONGEST_BLOCK:
        return [section(code(text))]
    return [section(code(text[at : at + _PIECE])) for at in range(0, len(text), _PIECE)]


def price(count: int, each: Decimal, currency: str, locale: str) -> str:
    """Fractions of a cent matter here."""
    return format_currency(each * count, currency, "¤0.00##", locale=locale, currency_digits=False)


def cost_rows(segments: Segments, each: Decimal | None, currency: str, profile: TenantProfile) -> list[str]:
    """`each` is the price of one segment; None: not known."""

    def counted(count: int) -> tuple[str, str]:
        priced = f" · {price(count, each, currency, profile.locale)}" if each is not None else ""
        return f"{count} segment{'' if count == 1 else 's'}", priced

    rows: list[str] = [md("*{}*{}", *counted(segments.count))]
    plain = segments.gsm_alternative
    if segments.encoding is Encoding.UCS_2 and segments.count > 1:
        rows[0] = md("{} because of {}", rows[0], " ".join(segments.forcing[:6]))
    if plain is not None and plain.count < segments.count:
        rows.append(md(":bulb: Without accents it is {}{}.", *counted(plain.count)))
    return rows


def time_rows(
    zones: Sequence[ZoneInfo], now: datetime, profile: TenantProfile, *, in_window: bool
) -> list[str]:
    """What time it is in each of the zones in which they may be; a warning outside the window."""
    times = sorted({now.astimezone(zone).replace(tzinfo=None) for zone in zones})
    shown = [_clock(at, profile) for at in times]
    there = shown[0] if len(shown) == 1 else f"between {shown[0]} and {shown[-1]}"
    names = ", ".join(zone.key.rpartition("/")[2].replace("_", " ") for zone in zones)
    rows: list[str] = [md("It is *{}* where they live ({})", there, names)]
    if not in_window and profile.sms is not None:
        start, end = (_hour(hour) for hour in profile.sms.window)
        rows.append(md(":warning: *Outside {} to {}.* It may wake somebody.", start, end))
    return rows


def _hour(hour: time) -> str:
    return f"{hour:%H:%M}"


def _clock(at: datetime, profile: TenantProfile) -> str:
    return fmt.clock_time(at.replace(tzinfo=profile.time_zone), profile.time_zone, profile.locale)
