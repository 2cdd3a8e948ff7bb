"""What a check found, and what to do about it; a check that hangs or breaks is a finding too."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

import structlog

PATIENCE_S: Final = 45.0
"""For each check: a server that accepts and says nothing keeps no other one waiting."""
LINE_S: Final = 36.0
"""For each line of a check that has several: it gives up before its check does."""
Look = Coroutine[Any, Any, "Finding | list[Finding]"]


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


async def tried(what: str, look: Look, patience_s: float) -> list[Finding]:
    """What it found. One that has no end, or breaks off, is told by its name and hides no other."""
    try:
        async with asyncio.timeout(patience_s):
            found = await look
    except TimeoutError:
        remedy = "Try again, and look at its server."
        return [Finding(what, False, f"no end within {patience_s:.0f} s", remedy)]
    except Exception as error:  # noqa: BLE001  # whatever it is, the others are told
        structlog.get_logger().exception("check_broke_off", check=what, error=type(error).__name__)
        remedy = "This is a fault of ours: report it with what the log says."
        return [Finding(what, False, f"broke off ({type(error).__name__})", remedy)]
    return found if isinstance(found, list) else [found]


async def all_tried(looks: list[tuple[str, Look]], patience_s: float) -> list[Finding]:
    """All at once; findings in the order of `looks`."""
    each = await asyncio.gather(*(tried(what, look, patience_s) for what, look in looks))
    return [finding for findings in each for finding in findings]


__all__ = ["LINE_S", "PATIENCE_S", "Finding", "Look", "all_tried", "tried"]
