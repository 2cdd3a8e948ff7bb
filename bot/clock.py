"""Business time: real time plus an offset that only the sandbox moves (a small JSON file).

Due times, expiry, quiet hours and links follow it; leases, time-outs and signatures never do.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_LOOK_S = 0.05


class BusinessClock:
    def __init__(self, offset_file: Path | None = None) -> None:
        self._file = offset_file
        self._offset = timedelta()
        self._looked = -1.0
        self._stamp: tuple[int, int] | None = None

    def __call__(self) -> datetime:
        """Aware UTC."""
        if self._file is not None:
            self._look(self._file)
        return datetime.now(UTC) + self._offset

    def _look(self, file: Path) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        try:
            info = file.stat()
        except FileNotFoundError:
            return
        stamp = (info.st_mtime_ns, info.st_ino)
        if stamp != self._stamp:
            self._offset = timedelta(seconds=float(json.loads(file.read_text())["offset_s"]))
            self._stamp = stamp
