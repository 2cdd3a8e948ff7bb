"""Token buckets in memory, against guessing: so many at once, then so many a second. Monotonic time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

_MOST_KEYS = 20_000
"""Beyond that the longest unused are forgotten: nobody can fill the memory with keys."""


class Buckets:
    def __init__(self, *, size: int, per_s: float, now: Callable[[], float]) -> None:
        """`size` may be taken at once; `per_s` come back each second."""
        self._size, self._per_s, self._now = float(size), per_s, now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """key -> (left, when that was)."""

    def take(self, key: str) -> bool:
        """One for this key; False when there is none left."""
        left = self.left(key)
        if left < 1:
            return False
        self._set(key, left - 1)
        return True

    def give_back(self, key: str) -> None:
        self._set(key, min(self.left(key) + 1, self._size))

    def left(self, key: str) -> float:
        left, at = self._left.get(key, (self._size, self._now()))
        return min(left + (self._now() - at) * self._per_s, self._size)

    def wait_s(self, key: str) -> int:
        """Whole seconds until there is one again."""
        missing = max(1 - self.left(key), 0.0)
        return max(int(missing / self._per_s + 0.999), 1)

    def _set(self, key: str, left: float) -> None:
        self._left[key] = (left, self._now())
        self._left.move_to_end(key)
        if len(self._left) > _MOST_KEYS:
            self._left.popitem(last=False)
