"""How garbage is looked for in a process that serves."""

from __future__ import annotations

import subprocess
import sys

_SERVING = """
import gc, weakref
from bot.garbage import YOUNG, look_rarely

class Ring:
    def __init__(self):
        self.me = self

look_rarely()
assert gc.get_freeze_count() > 1000, "modules are not looked at"
gone = weakref.ref(Ring())
kept = [[] for _ in range(2 * YOUNG)]
assert gone() is None, "what refers to itself still goes"
"""


def test_modules_are_not_looked_at_and_what_refers_to_itself_still_goes() -> None:
    subprocess.run([sys.executable, "-c", _SERVING], check=True, timeout=60)  # our own words
