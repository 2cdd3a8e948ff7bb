"""Questions asked as one: fresh answers, failures for those who asked, nobody taken along."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from billing.gathered import Gathered


class Slow:
    """Answers when it is let; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.begun, self.let = asyncio.Event(), asyncio.Event()
        self.facts = 1
        self.error: Exception | None = None

    async def __call__(self, keys: Sequence[int]) -> Mapping[int, int]:
        self.asked.append(list(keys))
        known = self.facts
        self.begun.set()
        await self.let.wait()
        if self.error is not None:
            raise self.error
        return dict.fromkeys(keys, known)


async def test_who_comes_during_a_question_shares_the_next_and_gets_what_is_true_then() -> None:
    slow = Slow()
    gathered = Gathered(slow)
    first = asyncio.create_task(gathered.get(1))
    await slow.begun.wait()
    slow.facts = 2
    later = [asyncio.create_task(gathered.get(key)) for key in (1, 2, 3, 2)]
    await asyncio.sleep(0)
    slow.let.set()
    assert await first == 1
    assert await asyncio.gather(*later) == [2, 2, 2, 2], "not what was read before they asked"
    assert slow.asked == [[1], [1, 2, 3]]


async def test_a_failure_is_told_to_those_who_asked_and_the_next_is_asked_anew() -> None:
    slow = Slow()
    slow.error = ConnectionError("gone")
    slow.let.set()
    gathered = Gathered(slow)
    found = await asyncio.gather(gathered.get(1), gathered.get(2), return_exceptions=True)
    assert [type(one) for one in found] == [ConnectionError, ConnectionError]
    slow.error = None
    assert await gathered.get(1) == 1


async def test_who_gives_up_takes_nobody_along_and_batches_have_an_end() -> None:
    slow = Slow()
    gathered = Gathered(slow, most=2)
    tasks = [asyncio.create_task(gathered.get(key)) for key in range(5)]
    await slow.begun.wait()
    tasks[0].cancel()
    slow.let.set()
    assert await asyncio.gather(*tasks[1:]) == [1, 1, 1, 1]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert slow.asked == [[0, 1], [2, 3], [4]]
