"""When Python looks for garbage that refers to itself: rarely, and not among what a process is made of.

A busy worker makes a hundred objects a mail that all go by themselves; its collector's defaults look through
them at every 700th, which was a twelfth of the CPU of a mail.
"""

from __future__ import annotations

import gc

YOUNG = 5_000
"""So many new objects between two looks at the young ones."""


def look_rarely() -> None:
    """For a process that serves, once its modules are loaded: those are never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
