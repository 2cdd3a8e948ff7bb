"""What every channel must do, whatever it speaks: a suite to inherit, with a `line` fixture of one's own.

A line is a channel's way to one emulated other side that can be told to refuse, to be late or to be silent.
"""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from notifier.channels import Accepted, AnyProvider, AnyRoute, Deferred, InDoubt, Refused, Session
from store.unit import Store

Submits = Session[Any]


class Line(Protocol):
    """One route of the channel under test, and the other side of it."""

    provider: AnyProvider

    @property
    def route(self) -> AnyRoute: ...

    def message(self, number: int = 1) -> Any:
        """Messages of one number are the same message: a second attempt."""
        ...

    async def arrived(self, number: int = 1) -> int:
        """How many copies of it the other side has taken."""
        ...

    async def refuse_for_good(self, number: int = 1) -> None: ...

    async def refuse_for_now(self, number: int = 1) -> None:
        """Once."""
        ...

    async def go_down(self) -> None: ...

    async def come_back(self) -> None: ...

    async def lose_an_answer(self) -> None:
        """The next message is taken, and nobody hears so."""
        ...


class ChannelContract:
    """Inherit it as `class TestX(ChannelContract)` and give the fixtures `line` and `session`."""

    async def test_an_accepted_message_is_there(self, line: Line, session: Submits) -> None:
        outcome = await session.submit(line.message())
        assert isinstance(outcome, Accepted)
        assert (outcome.remote, await line.arrived()) == (line.route.name, 1)
        assert outcome.text, "the words are kept, for the one who asks later"

    async def test_many_messages_go_over_one_session(self, line: Line, session: Submits) -> None:
        for number in range(1, 6):
            assert isinstance(await session.submit(line.message(number)), Accepted)
            assert await line.arrived(number) == 1

    async def test_a_refusal_for_good_is_a_value_with_a_verdict(self, line: Line, session: Submits) -> None:
        await line.refuse_for_good()
        outcome = await session.submit(line.message())
        assert isinstance(outcome, Refused)
        assert outcome.verdict.permanent
        assert outcome.reply_code
        assert await line.arrived() == 0

    async def test_a_refusal_for_now_is_deferred_and_is_not_our_ways_fault(
        self, line: Line, session: Submits
    ) -> None:
        await line.refuse_for_now()
        outcome = await session.submit(line.message())
        assert isinstance(outcome, Deferred)
        assert (outcome.route_down, bool(outcome.reply_code)) == (False, True)
        assert await line.arrived() == 0
        assert isinstance(await session.submit(line.message()), Accepted)

    async def test_one_that_is_refused_does_not_hurt_the_next(self, line: Line, session: Submits) -> None:
        await line.refuse_for_good(2)
        await line.refuse_for_now(4)
        kinds = [type(await session.submit(line.message(number))) for number in range(1, 6)]
        assert kinds == [Accepted, Refused, Accepted, Deferred, Accepted]

    async def test_nobody_there_is_deferred_with_the_route_down(self, line: Line, session: Submits) -> None:
        await line.go_down()
        outcome = await session.submit(line.message())
        assert isinstance(outcome, Deferred)
        assert (outcome.route_down, outcome.reply_code, outcome.verdict) == (True, "", None)
        await line.come_back()
        assert isinstance(await session.submit(line.message()), Accepted)
        assert await line.arrived() == 1

    async def test_a_way_out_that_was_down_for_a_while_costs_a_used_session_nothing(
        self, line: Line, session: Submits
    ) -> None:
        assert isinstance(await session.submit(line.message(1)), Accepted)
        await line.go_down()
        await line.come_back()
        assert isinstance(await session.submit(line.message(2)), Accepted)

    async def test_an_answer_that_got_lost_is_a_doubt_and_never_an_acceptance_or_a_refusal(
        self, line: Line, session: Submits
    ) -> None:
        await line.lose_an_answer()
        assert isinstance(await session.submit(line.message()), InDoubt)
        assert isinstance(await session.submit(line.message()), Accepted)
        assert await line.arrived() == 2, "the same message, so that the other side can fold them"

    async def test_nothing_is_submitted_inside_a_transaction(
        self, line: Line, session: Submits, sqlite_store: Store
    ) -> None:
        for transaction in (sqlite_store.begin, sqlite_store.read):
            async with transaction(1):
                with pytest.raises(RuntimeError, match="inside a database transaction"):
                    await session.submit(line.message())
        assert await line.arrived() == 0
        assert isinstance(await session.submit(line.message()), Accepted)

    async def test_a_session_may_be_closed_at_any_time_and_more_than_once(
        self, line: Line, session: Submits
    ) -> None:
        await session.close()
        assert isinstance(await session.submit(line.message(1)), Accepted)
        await session.close()
        await session.close()
        assert isinstance(await session.submit(line.message(2)), Accepted)

    async def test_sessions_of_one_route_are_independent(self, line: Line, session: Submits) -> None:
        other = line.provider.session(line.route)
        assert isinstance(await other.submit(line.message(1)), Accepted)
        assert isinstance(await session.submit(line.message(2)), Accepted)
        await other.close()
        assert isinstance(await session.submit(line.message(3)), Accepted)
