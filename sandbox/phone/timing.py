"""How long things take: business seconds between statuses, real seconds on the wire."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """`rate` create calls a real second in the long run, `burst` at once: more meet a 429 (20429)."""

    first_status_s: float = 0.2
    next_status_s: float = 0.5
    retry_pause_s: float = 0.2
    connect_s: float = 5.0
    answer_s: float = 15.0
    rate: float = 100.0
    burst: int = 300
    monotonic: Callable[[], float] = time.monotonic


class Bucket:
    """A token bucket in monotonic time."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._level = float(timing.burst)
        self._since = timing.monotonic()

    def take(self) -> bool:
        now = self._timing.monotonic()
        gained = (now - self._since) * self._timing.rate
        self._level, self._since = min(float(self._timing.burst), self._level + gained), now
        if self._level < 1:
            return False
        self._level -= 1
        return True
