"""Whoever waits for an acknowledgement goes first: work that may take longer begins when nobody waits.

Slack gives three seconds, and fifty people may type at one moment; what they asked for is on disk by then.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

AT_MOST_S: Final = 0.5
"""Where requests never end coming, work begins all the same."""


class Quiet:
    """Entered by each request; `wait` returns once none is inside."""

    def __init__(self) -> None:
        self._inside = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    def __enter__(self) -> None:
        self._inside += 1
        self._nobody.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
        if not self._inside:
            self._nobody.set()

    async def wait(self, at_most_s: float = AT_MOST_S) -> None:
        try:
            async with asyncio.timeout(at_most_s):
                await self._nobody.wait()
        except TimeoutError:
            return  # long enough


__all__ = ["Quiet"]
