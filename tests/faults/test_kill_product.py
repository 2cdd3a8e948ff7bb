"""Kill -9 of the product between the ack of a press and its answer: nobody is left unanswered.

What becomes of messages is swept through in test_kill_sweep.
"""

from __future__ import annotations

import pytest

from tests.desk import Desk, words
from tests.flows.conftest import demo_database, desk, empty_postgres

__all__ = ["demo_database", "desk", "empty_postgres"]
pytestmark = [pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("round_", range(2))
async def test_kill_between_ack_and_answer_still_answers_and_does_nothing_twice(
    desk: Desk, round_: int
) -> None:
    address = f"acked{round_}@inbox.example"
    preview = await desk.type(f"/isp resend 1010 to {address}")
    # The answer to the press is held back, so that the kill falls after the ack and before it.
    await desk.slack_behaviour(method="response_url", delay_s=5)
    pressed = await desk.press(preview, "resend.send")
    assert pressed["status"] == 200, "the press was acknowledged"
    await desk.product("KILL")
    await desk.slack_behaviour(method="response_url")
    await desk.product("START")

    async def answered() -> bool:
        return "On its way" in words(await desk.reread(preview))

    await desk.until(answered, "the press is answered")
    await desk.shows("Accepted by inbox.example's server", after=preview["ts"])
    assert len(await desk.mails(address)) == 1
    cards = [
        m for m in await desk.messages() if f"a•••{round_}@inbox.example" in words(m) and not m["ephemeral"]
    ]
    assert len([m for m in cards if float(m["ts"]) > float(preview["ts"])]) == 1


async def test_command_killed_right_after_its_ack_is_answered_after_the_restart(desk: Desk) -> None:
    await desk.killed_after_the_ack("1011")
