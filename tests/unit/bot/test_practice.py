"""Practice at the wire: everything works on invented people; the real database and its routes see none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.practice import UNSENT, without_ways_out
from handlers.contract import Services
from handlers.practice import BADGE, reply
from handlers.reply import File, Home, UserError
from store.models import Outcome, Stage
from store.tables import billing_acts, deliveries, incidents, metadata, notifications, posts, subscribers
from store.unit import Store
from tests.unit.bot.support import Office
from tests.unit.bot.support import office as open_office
from tests.unit.handlers import cast
from tests.unit.handlers.support import profile
from tests.unit.sandbox.bolt_app import Slack


@pytest.fixture
async def office(slack: Slack, sqlite_store: Store) -> AsyncIterator[Office]:
    async with open_office(slack, sqlite_store) as desk:
        yield desk


async def room(office: Office) -> Services:
    assert office.services.practice is not None
    return await office.services.practice.open(1)


async def counts(store: Store) -> dict[str, int]:
    async with store.read(1) as tx:
        return {
            table.name: int((await tx.conn.execute(select(func.count()).select_from(table))).scalar_one())
            for table in metadata.sorted_tables
            if table.name not in ("interactions", "rate_limits")
        }


def button_named(message: Any, start: str) -> str:
    """The action id of the message's first button that begins so."""
    found = [
        str(element["action_id"])
        for block in message["blocks"]
        for element in [*block.get("elements", ()), block.get("accessory") or {}]
        if str(element.get("action_id", "")).startswith(start)
    ]
    assert found, message["blocks"]
    return found[0]


async def test_the_tour_says_what_to_try_and_that_nothing_is_sent(office: Office) -> None:
    tour = await office.types("practice")
    assert "Nothing is sent" in str(tour["blocks"][0])
    assert "/isp practice find 1042" in str(tour["blocks"])


async def test_a_press_on_the_tour_shows_one_of_the_cast_whose_buttons_lead_back(office: Office) -> None:
    tour = await office.types("practice")
    await office.presses(tour, "practice.try:0")
    card = await office.slack.last("U_AGENT", "C_SUPPORT")
    assert "Nadia Santos" in str(card["blocks"])
    assert "Nothing is sent" in str(card["blocks"][0])
    ids = [e["action_id"] for b in card["blocks"] for e in b.get("elements", ()) if "action_id" in e]
    assert ids
    assert all(one.startswith("practice.") for one in ids)


async def test_a_shared_card_is_the_askers_alone_and_no_post(office: Office) -> None:
    card = await office.types("practice find 1042")
    await office.presses(card, button_named(card, "practice.find.share"))
    await office.poster.show_behind()
    assert [m for m in await office.slack.messages("U_LEAD") if not m["ephemeral_to"]] == []
    shown = await office.slack.last("U_AGENT", "C_SUPPORT")
    assert "1042" in str(shown["blocks"])
    async with (await room(office)).store.read(1) as tx:
        (row,) = (await tx.conn.execute(select(posts))).all()
    assert (row.surface, row.ts, row.shown) == ("subscriber", None, row.wanted)


async def test_a_resend_in_practice_is_settled_unsent_and_the_real_database_has_none_of_it(
    office: Office,
) -> None:
    await cast.dana(office.store)
    before = await counts(office.store)
    preview = await office.types("practice resend 1001")
    assert "Nothing is sent" in str(preview["blocks"][0])
    await office.presses(preview, button_named(preview, "practice.resend.send"))
    there = (await room(office)).store
    async with there.read(1) as tx:
        (row,) = (await tx.conn.execute(select(deliveries))).all()
        assert (row.stage, row.outcome) == (Stage.CLOSED, Outcome.CANCELLED)
        assert await tx.deliveries.unsent() == []
    assert await counts(office.store) == before
    told = await office.slack.last("U_AGENT", "C_SUPPORT")
    assert "Nothing is sent" in str(told["blocks"][0])


async def test_nobody_real_is_found_in_practice(office: Office) -> None:
    await cast.dana(office.store)
    async with office.store.read(1) as tx:
        (name,) = (await tx.conn.execute(select(subscribers.c.name))).scalars().all()
    found = await office.types(f"practice find {name}")
    assert "practice.find.share" not in str(found["blocks"])
    async with (await room(office)).store.read(1) as tx:
        names = (await tx.conn.execute(select(subscribers.c.name))).scalars().all()
    assert name not in names


async def test_what_leads_do_works_in_practice_and_counts_nowhere(office: Office) -> None:
    for typed in ("suspend 1001", "failures", "queue", "incidents", "run issued since 2026-01-01", "spf"):
        answer = await office.types(f"practice {typed}")
        assert "Nothing is sent" in str(answer["blocks"][0]), typed
        assert "went wrong" not in str(answer["blocks"]), typed
    real = await counts(office.store)
    assert {real[t.name] for t in (deliveries, notifications, incidents, posts, subscribers)} == {0}


async def test_a_suspension_is_carried_out_there_and_its_notices_are_unsent(office: Office) -> None:
    asked = await office.types("practice suspend 1001")
    await office.presses(asked, "practice.suspend.choose")
    (dialog,) = await office.slack.modals()
    assert "Nothing is sent" in str(dialog["blocks"][0])
    typed = {
        block: {action: _as_typed(element) for action, element in elements.items()}
        for block, elements in dialog["state"]["values"].items()
    }
    await office.slack.post("slack/submit", user="U_AGENT", view_id=dialog["id"], values=typed)
    await office.settled()
    async with (await room(office)).store.read(1) as tx:
        acts = (await tx.conn.execute(select(billing_acts))).all()
        sent = (await tx.conn.execute(select(deliveries))).all()
    assert [(act.kind, act.state) for act in acts] == [("suspend", "done")]
    assert [one.channel for one in sent] == ["email"]
    assert {(one.stage, one.outcome) for one in sent} == {(Stage.CLOSED, Outcome.CANCELLED)}
    assert (await counts(office.store))["billing_acts"] == 0


def _as_typed(element: Any) -> str:
    return str((element.get("selected_option") or {}).get("value") or element.get("value") or "")


async def test_a_reset_starts_anew(office: Office) -> None:
    old = await room(office)
    await office.types("practice note 1042 calls after six only")
    told = await office.types("practice reset")
    assert "as new again" in str(told["blocks"])
    new = await room(office)
    assert new.store is not old.store
    await office.types("practice reset")
    assert (await room(office)).store is not new.store


async def test_practice_within_practice_is_refused_in_a_sentence(office: Office) -> None:
    told = await office.types("practice practice")
    assert "cannot be practised" in str(told["blocks"])


async def test_a_viewer_does_not_practise(office: Office) -> None:
    ack = await office.slack.command("/isp practice", "U_VIEWER", "C_SUPPORT")
    assert "not enough" in str(ack)


async def test_without_a_desk_it_says_so(office: Office) -> None:
    command = office.commands["practice"]
    alone = replace(office.services, practice=None)
    with pytest.raises(UserError, match="no practice here"):
        await command.run(_request("find 1"), alone)


def _request(text: str) -> Any:
    from handlers.contract import Actor, CommandRequest
    from handlers.profile import Role

    return CommandRequest(1, "id", Actor("U_AGENT", Role.AGENT), "C_SUPPORT", "practice", text=text)


def test_the_profile_of_practice_has_no_secret_and_nobody_to_alarm() -> None:
    there = without_ways_out(profile())
    assert [(r.host, r.username, r.password, r.dkim) for r in there.routes] == [("", None, None, None)]
    assert (there.oncall.numbers, there.public_url, there.escalation) == ((), "", None)


def test_files_and_home_pages_say_it_too() -> None:
    file = reply(File("proof.zip", "Your proof.", b"x"))
    assert isinstance(file, File)
    assert (file.name, "nothing is sent" in file.text) == ("practice-proof.zip", True)
    home = reply(Home([]))
    assert isinstance(home, Home)
    assert BADGE in str(home.blocks[0])
    assert UNSENT.startswith("Practice")
