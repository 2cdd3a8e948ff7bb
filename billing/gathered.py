"""Many single questions asked as one: who comes while one is under way shares the next.

No waiting for company: the first goes at once, and what comes meanwhile goes together. An answer is always
from a question that was begun after one asked, never from one that was under way already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Gathered(Generic[K, V]):
    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], most: int = 100) -> None:
        """`ask` answers for all it is given, or raises for all of them."""
        self._ask, self._most = ask, most
        self._waiting: dict[K, asyncio.Future[V]] = {}
        self._work: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V:
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._work is None:
            self._work = asyncio.create_task(self._until_answered())
        # Whoever gives up waiting takes nobody along.
        return await asyncio.shield(answer)

    async def _until_answered(self) -> None:
        try:
            while self._waiting:
                batch = {key: self._waiting.pop(key) for key in list(islice(self._waiting, self._most))}
                await self._answer(batch)
        finally:
            self._work = None

    async def _answer(self, batch: Mapping[K, asyncio.Future[V]]) -> None:
        try:
            found = await self._ask(list(batch))
            for key, answer in batch.items():
                answer.set_result(found[key])
        except BaseException as error:
            for answer in batch.values():
                if not answer.done():
                    answer.set_exception(_for_all(error))
                    answer.exception()  # told to whoever still waits; nobody else is to be warned of it
            if not isinstance(error, Exception):
                raise


def _for_all(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else ConnectionError("it was broken off")
