"""Memory of this process, in MB."""

from __future__ import annotations

import os
import resource
from pathlib import Path


def peak_mb() -> float:
    """The most that it ever held."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def resident_mb() -> float:
    """What it holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
