"""Whose turn it is at SQLite's one writer."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """A lock whose waiting line lets urgent work go first."""

    def __init__(self) -> None:
        self._taken = False
        self._lines: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque())

    async def acquire(self, *, urgent: bool = False) -> None:
        if not self._taken:
            self._taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines[0 if urgent else 1].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # it was this one's turn: the next takes it
            raise

    def release(self) -> None:
        for line in self._lines:
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)  # still taken, by the next
                    return
        self._taken = False

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()
