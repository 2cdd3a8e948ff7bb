"""A result with what it is compared with: what the screen says of time and change. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from store.models import PastDiagnosis


@dataclass(frozen=True, slots=True)
class Kept:
    result: PastDiagnosis
    earlier: PastDiagnosis | None = None
    """The last one of the same account, or the one that this was run again for."""
    changed: tuple[str, ...] | None = None
    """What has changed since `earlier`; None: it is named, and not compared with."""


__all__ = ["Kept"]
