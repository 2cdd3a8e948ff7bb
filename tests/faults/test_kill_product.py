"""Kill -9 of the product: nothing lost, nothing repeated but what was on the wire, nobody left unanswered."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from bot.config import load_config
from bot.wiring import open_store
from store.models import Delivery, EventKind, Stage
from store.unit import Store, Tx
from tests.desk import ROOT, Desk, words
from tests.flows.conftest import demo_database, desk, empty_postgres

__all__ = ["demo_database", "desk", "empty_postgres"]
pytestmark = [pytest.mark.asyncio(loop_scope="module")]

MAILS = 1000
KILLS = 20
CONNECTIONS = 4 + 2  # of the relay, and the urgent ones


def the_store(state: Path) -> Store:
    environ = {}
    for line in (state / "environment").read_text().splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        environ[name] = value.strip("'")
    return open_store(load_config(state / "app.yaml", environ))


async def enqueue(state: Path, count: int) -> None:
    script = ROOT / "tests" / "faults" / "enqueue_many.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(state), str(count), cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    assert await process.wait() == 0


async def test_twenty_kills_in_a_thousand_sends_lose_nothing_and_repeat_only_what_was_on_the_wire(
    desk: Desk,
) -> None:
    await desk.product("TERM")
    known = await different_mails(desk)
    await enqueue(desk.state, MAILS)
    await desk.behaviour(relay="visp", accept_delay_s=0.03)
    chance = random.Random(20)
    for _ in range(KILLS):
        before = (await desk.call("GET", "/sandbox/mail/ledger"))["accepted"]
        await desk.product("START")
        step = chance.randint(1, 40)

        async def moved(goal: int = before + step) -> bool:
            return bool((await desk.call("GET", "/sandbox/mail/ledger"))["accepted"] >= goal)

        await desk.until(moved, f"{step} more mails")
        await desk.product("KILL")
    await desk.behaviour(relay="visp", accept_delay_s=None)
    await desk.product("START")

    async def enough() -> bool:  # the ledger is small: asking for all mails at each change takes longer
        return await different_mails(desk) >= known + MAILS

    await desk.until(enough, "as many mails as subscribers", timeout_s=60)
    await desk.until(lambda: nothing_left(desk.state), "everything is settled", timeout_s=60)
    await desk.product("TERM")

    mails = [m for m in await desk.call("GET", "/sandbox/mail") if m["envelope_to"].startswith("kill")]
    assert len({m["envelope_to"] for m in mails}) == MAILS, "every subscriber has the mail"
    ids: dict[str, set[str]] = {}
    for mail in mails:
        ids.setdefault(mail["envelope_to"], set()).add(mail["headers"]["Message-ID"])
    assert all(len(found) == 1 for found in ids.values()), "the same Message-ID on every copy"
    counts = (await desk.call("GET", "/sandbox/mail/ledger"))["by_message_id"]
    repeated = {mid: n - 1 for found in ids.values() for mid in found if (n := counts[mid]) > 1}
    # One on the wire, and sometimes one whose end was in the group being written.
    assert sum(repeated.values()) <= KILLS * CONNECTIONS * 2
    assert set(repeated) <= await broken_claims(desk.state), "only attempts that a kill cut short"
    print(f"{MAILS} mails, {KILLS} kills, {sum(repeated.values())} copies too many, none lost")
    await desk.product("START")


async def different_mails(desk: Desk) -> int:
    return len((await desk.call("GET", "/sandbox/mail/ledger"))["by_message_id"])


async def deliveries_of(tx: Tx) -> list[Delivery]:
    keys = [f"kill:{number}" for number in range(MAILS)]
    ids = list((await tx.notifications.holders(keys)).values())
    assert len(ids) == MAILS
    return [d for ds in (await tx.deliveries.of_notifications(ids)).values() for d in ds]


async def nothing_left(state: Path) -> bool:
    """No attempt is left to make: everything was handed over."""
    store = the_store(state)
    try:
        async with store.read(1) as tx:
            return all(d.stage in (Stage.AWAITING, Stage.CLOSED) for d in await deliveries_of(tx))
    finally:
        await store.close()


async def broken_claims(state: Path) -> set[str]:
    """Message-IDs of deliveries one of whose attempts was cut short."""
    store = the_store(state)
    try:
        async with store.read(1) as tx:
            deliveries = await deliveries_of(tx)
            events = await tx.events.of([(d.tenant, d.id) for d in deliveries])
            return {
                d.message_id
                for d in deliveries
                if any(e.kind is EventKind.IN_DOUBT for e in events[(d.tenant, d.id)])
            }
    finally:
        await store.close()


@pytest.mark.parametrize("round_", range(5))
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
    await desk.slack_behaviour(method="response_url", delay_s=5)
    before = {m["ts"] for m in await desk.messages()}
    body = {"user": "U_AGENT", "channel": "C_SUPPORT", "text": "/isp 1011"}
    await desk.call("POST", "/sandbox/slack/command", body)
    await desk.product("KILL")
    await desk.slack_behaviour(method="response_url")
    await desk.product("START")

    async def answer() -> bool:
        return any("· 1011" in words(m) for m in await desk.messages() if m["ts"] not in before)

    await desk.until(answer, "the card of 1011")
