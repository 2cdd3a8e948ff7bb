"""What a CSV file may hold; apart, since the command line needs no more of the importer to start."""

from __future__ import annotations

from enum import StrEnum


class ImportKind(StrEnum):
    SUBSCRIBERS = "subscribers"
    PACKAGES = "packages"
    INVOICES = "invoices"


__all__ = ["ImportKind"]
