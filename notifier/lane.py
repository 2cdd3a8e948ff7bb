"""One lane of a route: what was claimed, most urgent first, on its way to connections that are free.

How much is claimed ahead follows the pace at which it leaves: what a moment (`AHEAD_S`) takes, so that after
kill -9 little waits for its lease to end, and no truth grows old. Connections run ahead of the disk by a few
messages, no more: that many may go out twice (docs/adr/0014-batches-and-doubt.md). No I/O.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from store.models import Priority

AHEAD_S = 0.2
MOST_AHEAD = 400
LET_BY_S = 0.05
NEAR_S = 0.3
"""What has its slot later than that waits beside the line: no connection stands still for it, and it takes no
room from others, unless more than MOST_AHEAD wait so."""
UNWRITTEN = 16
"""Ends of attempts that one connection may leave unwritten while it goes on."""


class FirstGo:
    """Urgent work under way in this process: other connections begin nothing meanwhile, for a moment at most.

    One process has one loop: what twenty bulk mails do between two steps of an urgent one, it waits for.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._over = asyncio.Event()

    @contextmanager
    def urgent(self) -> Iterator[None]:
        self._under_way += 1
        self._over.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._over.set()

    async def let_by(self) -> None:
        """Waits until no urgent work is under way; no longer than LET_BY_S, since its server may be slow."""
        if self._under_way:
            with suppress(TimeoutError):
                async with asyncio.timeout(LET_BY_S):
                    await self._over.wait()


class Ordered(Protocol):
    @property
    def order(self) -> tuple[float, int, int]:
        """Its slot, in the seconds of the lane's clock, then what counts among equal ones."""
        ...


W = TypeVar("W", bound=Ordered)


@dataclass
class Ahead:
    """How many to hold at once: queued here or on the wire."""

    least: int
    most: int = MOST_AHEAD
    size: int = 0
    _left: int = 0
    _since: float = 0.0

    def __post_init__(self) -> None:
        self.size = self.least

    def left(self) -> None:
        """One more has left."""
        self._left += 1

    def measure(self, now: float) -> None:
        """`now` in monotonic seconds, at each claim. Less than `AHEAD_S` tells no pace: when a few slow
        messages end at one moment, a thousand a second seem to leave."""
        took = now - self._since
        if took < AHEAD_S:
            return
        self.size = max(self.least, min(self.most, round(self._left / took * AHEAD_S)))
        self._left, self._since = 0, now


class Lane(Generic[W]):
    def __init__(
        self,
        highest: Priority,
        lowest: Priority,
        connections: int,
        *,
        now: Callable[[], float],
        hurry: Callable[[int], None],
    ) -> None:
        """`hurry` is called with how much has to be pending to be written at once: anything when connections
        stand still, and half of what may be unwritten, so that they need not."""
        self.highest, self.lowest, self.connections = highest, lowest, connections
        self._ahead = Ahead(connections * 2, max(connections * 2, MOST_AHEAD))
        self._most_unwritten = connections * UNWRITTEN
        self._now, self._hurry = now, hurry
        self._ready: list[tuple[tuple[float, int, int], W]] = []
        self._later: dict[int, tuple[W, asyncio.TimerHandle]] = {}
        self._on_the_wire = self._unwritten = 0
        self._free = asyncio.Event()
        self._idle: deque[asyncio.Future[None]] = deque()

    async def room(self) -> int:
        """How many more are worth claiming; waits until that is a good part of what is held."""
        while (free := self._places) < self._worth:
            self._free.clear()
            await self._free.wait()
        self._ahead.measure(self._now())
        return max(free, self._places)

    @property
    def _places(self) -> int:
        beside = max(0, len(self._later) - MOST_AHEAD)
        return self._ahead.size - len(self._ready) - self._on_the_wire - beside

    @property
    def _worth(self) -> int:
        return max(1, self._ahead.size // 3)

    def put(self, items: Iterable[W]) -> None:
        for item in items:
            wait_s = item.order[0] - self._now() - NEAR_S
            if wait_s > 0:
                timer = asyncio.get_running_loop().call_later(wait_s, self._comes_near, id(item))
                self._later[id(item)] = (item, timer)
            else:
                heapq.heappush(self._ready, (item.order, item))
        self._wake(len(self._ready))

    def _comes_near(self, key: int) -> None:
        item, _ = self._later.pop(key)
        heapq.heappush(self._ready, (item.order, item))
        self._wake(1)

    def clear(self) -> list[W]:
        """What no connection has taken yet."""
        left, self._ready = [item for _, item in self._ready], []
        later, self._later = list(self._later.values()), {}
        for item, timer in later:
            timer.cancel()
            left.append(item)
        self._free.set()
        return left

    async def take(self) -> W:
        """The next for a connection, which calls `done` when its attempt is over."""
        while not self._ready or self._unwritten >= self._most_unwritten:
            if self._ready:
                self._hurry(1)
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake(1)  # it was this one's turn: the next takes it
                raise
        if self._unwritten >= (half := self._most_unwritten // 2):
            self._hurry(half)
        self._on_the_wire += 1
        return heapq.heappop(self._ready)[1]

    def done(self, *, to_write: bool) -> None:
        """An attempt is over; `to_write`: its end is on its way to the disk, and `written` will follow."""
        self._on_the_wire -= 1
        self._unwritten += to_write
        self._ahead.left()
        if self._places >= self._worth:
            self._free.set()

    def written(self) -> None:
        self._unwritten -= 1
        if self._ready:
            self._wake(1)

    def _wake(self, count: int) -> None:
        while count and self._idle:
            turn = self._idle.popleft()
            if not turn.done():
                turn.set_result(None)
                count -= 1
