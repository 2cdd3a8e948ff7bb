"""Acknowledgements go before the work that they promise."""

from __future__ import annotations

import asyncio

from bot.quiet import Quiet
from tests.unit.bot.support import Office


async def test_work_waits_until_nobody_is_inside_and_not_for_ever() -> None:
    quiet = Quiet()
    await quiet.wait(0)
    order: list[str] = []

    async def work() -> None:
        await quiet.wait(10)
        order.append("work")

    with quiet:
        waiting = asyncio.create_task(work())
        with quiet:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        order.append("acknowledged")
    await waiting
    assert order == ["acknowledged", "work"]
    with quiet:
        await quiet.wait(0.01)


async def test_a_command_is_carried_out_after_all_who_wait_have_their_acknowledgement(office: Office) -> None:
    with office.runner.asked:
        acked = await office.slack.command("/isp echo x", "U_AGENT", "C_SUPPORT")
        assert acked["status"] == 200
        await asyncio.sleep(0)
        assert office.echo.runs == [], "somebody still waits for theirs"
    await office.settled()
    assert len(office.echo.runs) == 1
