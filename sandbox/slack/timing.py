"""The real-time limits of Slack and the clocks they are measured by; tests bring their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds. `monotonic` measures triggers and rates, `epoch` response URLs, which survive a restart."""

    ack_s: float = 3.0
    retry_after_s: tuple[float, ...] = (0.0, 60.0, 300.0)
    trigger_s: float = 3.0
    response_s: float = 30 * 60.0
    monotonic: Callable[[], float] = time.monotonic
    epoch: Callable[[], float] = time.time
