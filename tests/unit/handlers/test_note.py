"""/isp note on both databases: stuck to every card, as loud as wished, removed with a trace."""

from __future__ import annotations

import pytest

from handlers.commands.note.command import split
from handlers.contract import Services
from handlers.intents import REMOVED_CARD
from handlers.profile import Role
from handlers.reply import UserError
from store.models import Note, NoteLevel
from tests.builders import note_of
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.support import HOSTILE, Agent, buttons, golden, said


async def _notes(services: Services, account: str = "1001") -> list[Note]:
    async with services.store.read(1) as tx:
        found = await tx.subscribers.by_account(account)
        assert found is not None
        return await tx.notes.of_subscriber(found.id)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1042 calls after six only", ("1042", "calls after six only", NoteLevel.INFO)),
        ("1042 calls after six --warn", ("1042", "calls after six", NoteLevel.WARN)),
        ("--block 1042 medical line", ("1042", "medical line", NoteLevel.BLOCK)),
        ("1042 medical --BLOCK line", ("1042", "medical line", NoteLevel.BLOCK)),
        ("account 1042 hello", ("account 1042", "hello", NoteLevel.INFO)),
        ("1042 see --warning lights", ("1042", "see --warning lights", NoteLevel.INFO)),
        ("1042", ("1042", "", NoteLevel.INFO)),
        ("santos", ("santos", "", NoteLevel.INFO)),
        ("", ("", "", NoteLevel.INFO)),
    ],
)
def test_a_note_is_read_as_it_was_meant(text: str, expected: tuple[str, str, NoteLevel]) -> None:
    assert split(text) == expected


def test_a_note_does_not_warn_and_block_at_once() -> None:
    with pytest.raises(UserError, match="not both"):
        split("1042 careful --warn --block")


async def test_a_note_is_stuck_to_every_card_with_its_author(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    reply = await agent.types("note 1001 calls after six only --warn")
    golden("note_added", reply)
    (note,) = await _notes(agent.services)
    assert (note.text, note.level, note.author) == ("calls after six only", NoteLevel.WARN, "U_AGENT")
    assert ":warning: *calls after six only* — <@U_AGENT>" in said(await agent.types("find 1001"))
    async with agent.services.store.read(1) as tx:
        (row,) = [r for r in await tx.audit.of("account:1001") if r.action == "note.add"]
    assert "calls" not in str(row.detail), "what it says is personal, and can be erased"


async def test_a_card_number_is_not_kept_in_a_note_or_a_hold(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    await agent.types("note 1001 wants 4111 1111 1111 1111 charged")
    await agent.types("hold 1001 until 2026-03-20 gave 4111111111111111 as card")
    (note,) = await _notes(agent.services)
    assert note.text == f"wants {REMOVED_CARD} charged"
    async with agent.services.store.read(1) as tx:
        (hold,) = await tx.notes.holds_of("1001")
        rows = await tx.audit.of("account:1001")
    assert hold.reason == f"gave {REMOVED_CARD} as card"
    assert "1111" not in repr(rows)


async def test_a_crash_after_writing_adds_no_second_note(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    request = agent.request("note", text="1001 once")
    await agent.run(request)
    await agent.run(request)
    assert len(await _notes(agent.services)) == 1


async def test_notes_are_listed_and_removed_one_by_one(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    await agent.types("note 1001 first")
    await agent.types("note 1001 second --block")
    listed = await agent.types("note 1001")
    assert "Account 1001 has 2 notes" in said(listed)
    value = next(v for k, v in buttons(listed).items() if k.startswith("note.remove"))
    left = await agent.presses(listed, next(k for k in buttons(listed) if k.startswith("note.remove")))
    assert "Account 1001 has 1 note." in said(left)
    assert str(value["n"]) not in {str(n.id) for n in await _notes(agent.services)}
    await agent.run(agent.request("note", "remove", value=dict(value)))
    async with agent.services.store.read(1) as tx:
        rows = [row.action for row in await tx.audit.of("account:1001")]
    assert rows.count("note.remove") == 1


async def test_a_dialog_writes_one_from_the_card(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    card = await agent.types("find 1001")
    modal = (await agent.answer(agent.press(card, "note.ask"))).modal
    assert modal is not None
    value = dict(modal.carry or {})
    empty = agent.request("note", "asked", value=value, inputs={"text": " \n", "level": "info"})
    refused = (await agent.answer(empty)).errors
    assert refused is not None
    await agent.run(
        agent.request("note", "asked", value=value, inputs={"text": "dog in yard\nbig", "level": "block"})
    )
    (note,) = await _notes(agent.services)
    assert (note.text, note.level) == ("dog in yard big", NoteLevel.BLOCK)


async def test_too_long_and_too_many_are_refused_kindly(agent: Agent) -> None:
    sid = await cast.dana(agent.services.store)
    with pytest.raises(UserError, match="401 characters, and a note holds 400"):
        await agent.types(f"note 1001 {'x' * 401}")
    async with agent.services.store.begin(1) as tx:
        for _ in range(20):
            await tx.notes.add(note_of(sid))
    with pytest.raises(UserError, match="20 notes already"):
        await agent.types("note 1001 one more")
    await agent.types("note 1001")
    assert "… and 15 more notes" in said(await agent.types("find 1001"))


async def test_blocks_and_warnings_are_shown_before_the_rest(agent: Agent, clock: FakeClock) -> None:
    await cast.dana(agent.services.store)
    for text in ("one", "two", "three", "four", "five", "loud --warn", "louder --block"):
        clock.advance(minutes=1)
        await agent.types(f"note 1001 {text}")
    text = said(await agent.types("find 1001"))
    assert text.index("louder") < text.index("*loud*") < text.index("five")
    assert "… and 2 more notes" in text


async def test_whoever_is_meant_is_asked_about_and_the_note_is_remembered(agent: Agent) -> None:
    await cast.add(agent.services.store, "1204", invoices=("20001",), name="Lou")
    await cast.add(agent.services.store, "1050", invoices=("1204",), name="Sue")
    asked = await agent.types("note 1204 shares a number --warn")
    await agent.presses(asked, "note.open:1")
    (note,) = await _notes(agent.services, "1050")
    assert (note.text, note.level) == ("shares a number", NoteLevel.WARN)


async def test_a_name_with_a_text_behind_it_is_told_to_begin_with_the_number(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    with pytest.raises(UserError, match="Nobody fits") as told:
        await agent.types("note dana calls late")
    assert "`/isp note 1042 calls late`" in told.value.next_step
    assert "has no notes" in said(await agent.types("note dana"))


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - {"empty", "blank"}))
async def test_a_hostile_note_stays_words(agent: Agent, name: str) -> None:
    sid = await cast.dana(agent.services.store)
    text = HOSTILE[name].replace("\x00", "").encode("utf-8", "replace").decode()[:400]
    async with agent.services.store.begin(1) as tx:
        await tx.notes.add(note_of(sid, text=text, level=NoteLevel.BLOCK, author=text[:80]))
    await agent.types("note 1001")
    await agent.types("find 1001")


def test_noting_is_an_agents_right(services: Services) -> None:
    spec = next(spec for spec in services.specs if spec.name == "note")
    assert {spec.needs(action) for action in ("", "ask", "asked", "remove", "open")} == {Role.AGENT}
