"""What a check found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Right with a remedy is worth a look: nothing fails of it today."""

    what: str
    ok: bool
    found: str
    remedy: str = ""

    @property
    def state(self) -> str:
        """`ok`, `look` or `fails`."""
        if not self.ok:
            return "fails"
        return "look" if self.remedy else "ok"


__all__ = ["Finding"]
