"""Interactions are carried out from their rows: told, finished, resumed after a crash, never done twice."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from bot.runner import MAX_ATTEMPTS, reference
from handlers.contract import Actor, CommandRequest, NotYet
from handlers.profile import Role
from handlers.reply import Reply, UserError
from notifier.dsn import receive
from store.models import Interaction, InteractionKind
from store.unit import Store
from tests.builders import KEYRING, interaction
from tests.conftest import FakeClock
from tests.contracts.reports import block, dsn
from tests.unit.bot.support import WORKER, Office, roles
from tests.unit.bot.support import office as open_office
from tests.unit.handlers import cast
from tests.unit.handlers.support import buttons
from tests.unit.sandbox.bolt_app import Slack


def _item(office: Office, id: str = "i-1", **more: Any) -> Interaction:
    payload = {
        "user": "U_AGENT",
        "channel": "C_SUPPORT",
        "command": "echo",
        "action": "",
        "text": "",
        "value": {},
        "inputs": {},
    } | more.pop("payload", {})
    return interaction(id, payload=payload, received_at=office.store.clock(), attempt=1, **more)


async def _left(office: Office, *items: Interaction, worker: str = WORKER, lease_s: float = 1000) -> None:
    """Rows that an earlier process began and never ended."""
    async with office.store.system() as tx:
        await tx.interactions.add(items, worker=worker, lease_s=lease_s)


async def _carried_out(office: Office, item: Interaction) -> None:
    await office.inbox.put(item)
    office.runner.start(item)
    await office.settled()


async def test_a_row_is_carried_out_answered_and_done(office: Office) -> None:
    await _carried_out(office, _item(office))
    assert [run.id for run in office.echo.runs] == ["i-1"]
    assert (await office.slack.last())["text"] == "echo"
    assert await office.state_of("i-1") == ("done", None)


async def test_an_expected_end_is_told_in_its_own_words(office: Office) -> None:
    office.echo.failure = UserError("Nobody fits <!channel>.", "Try `/isp find 1042`.")
    await _carried_out(office, _item(office))
    shown = await office.slack.last()
    assert shown["text"] == "Nobody fits &lt;!channel&gt;."
    assert "Try `/isp find 1042`." in str(shown["blocks"])
    assert await office.state_of("i-1") == ("done", None)


async def test_a_crash_is_told_with_the_reference_that_the_log_has(office: Office) -> None:
    office.echo.failure = RuntimeError("dana@inbox.example exploded")
    with capture_logs() as logs:
        await _carried_out(office, _item(office))
    shown = await office.slack.last()
    (ref,) = re.findall(r"Reference ([0-9A-Z]{8})\.", shown["text"])
    assert "exploded" not in str(shown)
    (entry,) = [e for e in logs if e["event"] == "command_failed"]
    assert entry["reference"] == ref
    assert await office.state_of("i-1") == ("failed", f"{ref} RuntimeError")


def test_references_have_no_letters_that_are_mistaken_for_each_other() -> None:
    found = {reference() for _ in range(200)}
    assert len(found) == 200
    assert all(re.fullmatch(r"[2-9A-HJKMNP-Z]{8}", one) for one in found)


async def test_a_role_lost_between_drawing_and_running_counts(office: Office) -> None:
    office.members[1] = roles(agent=[])
    await _carried_out(office, _item(office))
    assert office.echo.runs == []
    assert "not on this desk's list" in (await office.slack.last())["text"]


async def test_an_action_that_needs_more_is_refused_when_it_happens(office: Office) -> None:
    await _carried_out(office, _item(office, payload={"action": "boss"}))
    assert office.echo.runs == []
    assert "is not enough for that" in (await office.slack.last())["text"]


async def test_a_command_that_is_gone_says_so(office: Office) -> None:
    await _carried_out(office, _item(office, payload={"command": "gone"}))
    assert "from an older version" in (await office.slack.last())["text"]


async def test_what_is_about_a_post_that_is_just_being_written_waits_for_it(office: Office) -> None:
    office.echo.failure = NotYet()
    item = _item(office)
    await office.inbox.put(item)
    office.runner.start(item)
    await office.echo.started.wait()
    office.echo.failure = None
    office.store.signals.fire("posts")
    await office.settled()
    assert len(office.echo.runs) == 2
    assert (await office.slack.last())["text"] == "echo"
    assert await office.state_of("i-1") == ("done", None)


async def test_what_waits_for_too_long_keeps_its_row_and_ends_without_a_word_after_five_tries(
    slack: Slack, sqlite_store: Store
) -> None:
    async with open_office(slack, sqlite_store, lease_s=0.03) as office:
        office.echo.failure = NotYet()
        await _left(office, _item(office))
        for _ in range(2, MAX_ATTEMPTS):
            await _again(office)
            assert (await office.state_of("i-1"))[0] == "running"
        await _again(office)
        assert await office.state_of("i-1") == ("done", None)
        assert await office.slack.messages() == []


async def test_what_the_dead_namesake_left_is_run_once_each_however_much_it_is(office: Office) -> None:
    office.echo.gate = asyncio.Event()
    await _left(office, *(_item(office, f"i-{n}") for n in range(45)))
    await office.runner.resume([WORKER])
    running = asyncio.create_task(office.runner.run())
    await office.echo.started.wait()
    for _ in range(5):  # transactions take their turns: the loop goes round while all of them still run
        async with office.store.system() as tx:
            await tx.tenants.all()
    office.echo.gate.set()
    await office.settled()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sorted(run.id for run in office.echo.runs) == sorted(f"i-{n}" for n in range(45))
    assert {(await office.state_of(f"i-{n}"))[0] for n in range(45)} == {"done"}


async def test_what_another_living_process_runs_is_left_alone(office: Office) -> None:
    await _left(office, _item(office), worker="desk2-bot")
    await office.runner.resume([WORKER])
    await office.settled()
    assert office.echo.runs == []


async def test_what_anybody_left_is_taken_up_when_its_lease_ends(office: Office) -> None:
    await _left(office, _item(office), worker="desk2-bot", lease_s=-1)
    running = asyncio.create_task(office.runner.run())
    await asyncio.wait_for(office.echo.started.wait(), 5)
    await office.settled()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(office.echo.runs) == 1


async def test_dns_that_does_not_answer_about_old_reports_holds_up_nobody(
    slack: Slack, sqlite_store: Store
) -> None:
    asked = asyncio.Event()

    async def silent(_domain: str) -> frozenset[str]:
        asked.set()
        await asyncio.Event().wait()
        return frozenset()

    relayed = block("eve@slow.example", "relayed", "2.0.0", "250 ok") + "Remote-MTA: dns; mx.else.example\r\n"
    async with open_office(slack, sqlite_store, mx_hosts=silent) as office:
        await receive(sqlite_store, KEYRING, raw=dsn(relayed), envelope_to="bounces@x", tenant=1)
        running = asyncio.create_task(office.runner.run())
        await asyncio.wait_for(asked.wait(), 5)
        await _left(office, _item(office), worker="desk2-bot", lease_s=-1)
        await asyncio.wait_for(office.echo.started.wait(), 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await office.runner.drain(0.1)


async def test_a_resumed_send_changes_nothing_twice_and_is_answered(office: Office) -> None:
    await cast.dana(office.store)
    resend = office.commands["resend"]
    asked = _item(office, "i-ask", payload={"command": "resend", "text": "1001"})
    request = CommandRequest(1, "i-ask", Actor("U_AGENT", Role.AGENT), "C_SUPPORT", "resend", text="1001")
    (preview,) = await resend.run(request, office.services)
    assert isinstance(preview, Reply)
    value = dict(buttons(preview)["resend.send"])
    pressed = replace(
        asked, id="i-press", payload={**asked.payload, "action": "send", "text": "", "value": value}
    )
    await _left(office, pressed)
    again = replace(request, id="i-press", action="send", text="", value=value)
    await resend.run(again, office.services)  # the process died after this and before its answer
    await office.runner.resume([WORKER])
    await office.settled()
    async with office.store.read(1) as tx:
        count = await tx.conn.execute(text("SELECT count(*) FROM notifications"))
        acts = [row for row in await tx.audit.of("account:1001") if row.action == "invoice.resend"]
    assert (count.scalar_one(), len(acts)) == (1, 1)
    assert "On its way" in (await office.slack.last())["text"]
    assert (await office.state_of("i-press"))[0] == "done"


async def test_an_answer_that_cannot_be_told_is_tried_again_and_given_up_after_five_attempts(
    office: Office,
) -> None:
    office.behaves("chat.postEphemeral", error="internal_error")
    await _left(office, _item(office))
    for attempt in range(2, MAX_ATTEMPTS):
        await _again(office)
        assert (await office.state_of("i-1"))[0] == "running", attempt
    await _again(office)
    state, error = await office.state_of("i-1")
    assert state == "failed"
    assert error is not None
    assert error.endswith("SlackApiError")
    assert len(office.echo.runs) == MAX_ATTEMPTS - 1


async def _again(office: Office) -> None:
    await office.runner.resume([WORKER])
    await office.settled()


async def test_at_most_so_many_run_at_once(slack: Slack, sqlite_store: Store) -> None:
    async with open_office(slack, sqlite_store, at_once=2) as office:
        office.echo.gate = asyncio.Event()
        await _left(office, *(_item(office, f"i-{n}") for n in range(5)))
        await office.runner.resume([WORKER])
        await office.echo.started.wait()
        for _ in range(5):
            async with office.store.system() as tx:
                await tx.tenants.all()
        assert len(office.echo.runs) == 2
        office.echo.gate.set()
        await office.settled()
        assert len(office.echo.runs) == 5


async def test_draining_leaves_what_does_not_end_to_the_next_process(office: Office) -> None:
    office.echo.gate = asyncio.Event()
    item = _item(office)
    await office.inbox.put(item)
    office.runner.start(item)
    await office.echo.started.wait()
    await office.runner.drain(0.01)
    assert (await office.state_of("i-1"))[0] == "running"
    office.echo.gate.set()
    await _again(office)
    assert (await office.state_of("i-1"))[0] == "done"


async def test_old_urls_and_rows_are_forgotten(office: Office, clock: FakeClock) -> None:
    await _carried_out(office, _item(office, response_url=b"encrypted"))
    clock.advance(days=31)
    await _left(office, _item(office, "i-2"))
    running = asyncio.create_task(office.runner.run())
    await asyncio.wait_for(_until_gone(office), 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _until_gone(office: Office) -> None:
    while True:
        async with office.store.read(1) as tx:
            rows = await tx.conn.execute(text("SELECT count(*) FROM interactions WHERE id = 'i-1'"))
            if rows.scalar_one() == 0:
                return


async def test_a_bounce_that_matches_nothing_is_kept_and_its_row_is_done(office: Office) -> None:
    item = _item(
        office,
        kind=InteractionKind.DSN,
        payload={"envelope_to": "bnobody@mail.cascade.example"},
        body=b"Subject: hello\r\n\r\nhello",
    )
    await _carried_out(office, item)
    async with office.store.read(1) as tx:
        assert len(await tx.orphans.waiting()) == 1
    assert (await office.state_of("i-1"))[0] == "done"
    assert await office.slack.messages() == []


@pytest.mark.parametrize("replies", [[], [Reply("one"), Reply("two")]])
async def test_every_reply_is_told_in_order(office: Office, replies: list[Reply]) -> None:
    office.echo.replies = replies
    await _carried_out(office, _item(office))
    assert [m["text"] for m in await office.slack.messages()] == [r.text for r in replies]
