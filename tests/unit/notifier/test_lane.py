"""What waits between the claim and the connections: order, how much is claimed ahead, when to stand still."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from notifier.lane import MOST_AHEAD, NEAR_S, UNWRITTEN, Ahead, FirstGo, Lane
from store.models import Priority


@dataclass
class Item:
    order: tuple[float, int, int]


class Desk:
    """A lane of two connections, a clock that is moved by hand, and what it said when others must hurry."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hurried: list[int] = []
        self.lane: Lane[Item] = Lane(
            Priority.NORMAL, Priority.BULK, 2, now=lambda: self.now, hurry=self.hurried.append
        )


@pytest.mark.parametrize(
    ("left", "took_s", "size"),
    [
        pytest.param(500, 0.2, MOST_AHEAD, id="never more than the most"),
        pytest.param(20, 0.2, 20, id="what leaves in a fifth of a second"),
        pytest.param(20, 1.0, 8, id="two a connection when it goes slowly"),
        pytest.param(0, 5.0, 8, id="after a pause as at the start"),
    ],
)
def test_what_is_claimed_ahead_follows_the_pace_at_which_it_leaves(
    left: int, took_s: float, size: int
) -> None:
    ahead = Ahead(least=8)
    for _ in range(left):
        ahead.left()
    ahead.measure(took_s)
    assert ahead.size == size


async def test_the_earliest_slot_goes_first_then_the_most_urgent_then_who_came_first() -> None:
    lane = Desk().lane
    late, bulk, second, first = (Item(o) for o in ((NEAR_S, 5, 0), (0.0, 9, 1), (0.0, 5, 3), (0.0, 5, 2)))
    lane.put([late, bulk, second, first])
    assert [await lane.take() for _ in range(4)] == [first, second, bulk, late]


async def test_what_has_its_slot_much_later_keeps_no_connection_and_no_room_from_others() -> None:
    """A domain that asked us to slow down: its urgent mails have slots of the next minutes."""
    lane = Desk().lane
    far = [Item((60.0 + n, 1, n)) for n in range(8)]
    lane.put([*far, Item((NEAR_S + 0.02, 1, 8))])
    assert await lane.room() == 4, "all of it"
    taking = asyncio.create_task(lane.take())
    lane.put([now := Item((0.0, 1, 9))])
    assert await taking is now
    assert (await lane.take()).order[2] == 8, "its time has come"
    assert lane.clear() == far


async def test_what_waits_for_a_slot_takes_room_once_there_is_more_of_it_than_a_lane_holds() -> None:
    lane = Desk().lane
    lane.put([Item((60.0, 1, n)) for n in range(MOST_AHEAD + 4)])
    asking = asyncio.create_task(lane.room())
    await asyncio.sleep(0)
    assert not asking.done()
    lane.clear()
    assert await asking == 4


async def test_no_more_is_claimed_while_what_was_claimed_is_not_out() -> None:
    desk = Desk()
    lane = desk.lane
    assert await lane.room() == 4
    lane.put([Item((0.0, 5, number)) for number in range(4)])
    waiting = asyncio.ensure_future(lane.room())
    await lane.take()
    await asyncio.sleep(0)
    assert not waiting.done(), "what is on the wire is not over yet"
    desk.now = 1.0
    lane.done(to_write=True)
    assert await waiting == 1


async def test_connections_stand_still_when_too_many_ends_are_unwritten_and_say_so() -> None:
    desk = Desk()
    desk.lane.put([Item((0.0, 5, number)) for number in range(2 * UNWRITTEN + 1)])
    for _ in range(2 * UNWRITTEN):
        await desk.lane.take()
        desk.lane.done(to_write=True)
    waiting = asyncio.ensure_future(desk.lane.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert desk.hurried == [UNWRITTEN] * UNWRITTEN + [1], "from the half on, lest they need to"
    desk.lane.written()
    assert (await waiting).order[2] == 2 * UNWRITTEN


async def test_a_connection_that_is_cancelled_when_its_turn_comes_passes_it_on() -> None:
    lane = Desk().lane
    first, second = asyncio.ensure_future(lane.take()), asyncio.ensure_future(lane.take())
    await asyncio.sleep(0)
    lane.put([Item((0.0, 5, 1))])
    first.cancel()
    assert (await second).order[2] == 1


async def test_what_no_connection_has_taken_can_be_given_back() -> None:
    lane = Desk().lane
    items = [Item((0.0, 5, number)) for number in range(3)]
    lane.put(items)
    await lane.take()
    assert lane.clear() == items[1:]
    assert lane.clear() == []


async def test_other_work_lets_urgent_work_by_and_goes_on_when_it_is_over() -> None:
    first_go = FirstGo()
    await first_go.let_by()  # nothing urgent is under way
    with first_go.urgent():
        with first_go.urgent():
            waiting = asyncio.ensure_future(first_go.let_by())
        await asyncio.sleep(0)
        assert not waiting.done(), "one of the two is still under way"
    await waiting


async def test_urgent_work_that_its_server_holds_up_stops_other_work_for_a_moment_only() -> None:
    first_go = FirstGo()
    with first_go.urgent():
        await first_go.let_by()
