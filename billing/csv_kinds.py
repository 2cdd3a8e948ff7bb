"""What a CSV file may hold; apart, since the command line needs no more of the importer to start."""

from __future__ import annotations

from enum import StrEnum


class ImportKind(StrEnum):
    SUBSCRIBERS = "subscribers"
    PACKAGES = "packages"
    INVOICES = "invoices"


class Preset(StrEnum):
    """Exports of other systems whose columns are known (billing.csv_presets)."""

    UISP = "uisp"
    SPLYNX = "splynx"
    GENERIC = "generic"


class DecimalSign(StrEnum):
    POINT = "point"
    COMMA = "comma"


class DayOrder(StrEnum):
    MDY = "mdy"
    DMY = "dmy"


__all__ = ["DayOrder", "DecimalSign", "ImportKind", "Preset"]
