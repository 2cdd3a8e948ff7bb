"""What workflows know, as JSON for other programs: fields as they are called here, addresses masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from handlers.masks import mask_in_text
from store.money import Money


def as_json(value: object, *, contacts: bool = False) -> Any:
    """Nothing but objects, lists, texts, numbers, booleans and null.

    Money is `{"amount": "49.90", "currency": "USD"}`, instants are ISO 8601 in UTC, durations seconds. Mail
    addresses and telephone numbers are masked in every text unless `contacts`. TypeError for anything else.
    """
    return _json(value, str if contacts else mask_in_text)


def _json(value: object, text: Callable[[str], str]) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return text(value)
    if (known := _known(value)) is not None:
        return known
    if is_dataclass(value):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: _json(one, text) for name, one in held.items() if not callable(one)}
    if isinstance(value, Mapping):
        return {_key(name, text): _json(one, text) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [_json(one, text) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((_json(one, text) for one in value), key=str)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _known(value: object) -> Any:
    match value:
        case Money():
            return {"amount": f"{value.amount:f}", "currency": value.currency}
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID() | Decimal() | ZoneInfo():
            return str(value)
        case bytes():
            return value.hex()
    return None


def _key(name: object, text: Callable[[str], str]) -> str:
    """Names of a mapping that are several things become one, with a slash between."""
    if isinstance(name, tuple):
        return "/".join(_key(part, text) for part in name)
    found = _json(name, text)
    return found if isinstance(found, str) else str(found)


__all__ = ["as_json"]
