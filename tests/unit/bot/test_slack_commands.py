"""What people do in Slack, end to end through Bolt: commands, presses, dialogs, and who may do them."""

from __future__ import annotations

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from sqlalchemy import text

from bot.config import RoleMembers, Roles
from bot.slack import ROLE_S
from handlers.blocks import section
from handlers.reply import Answer, Modal, Reply
from store.unit import Store
from tests.builders import KEYRING
from tests.desk import action_ids
from tests.unit.bot.support import Office, roles
from tests.unit.bot.support import office as open_office
from tests.unit.handlers import cast
from tests.unit.sandbox.bolt_app import Slack


async def test_a_command_is_answered_to_its_asker_alone(office: Office) -> None:
    await cast.dana(office.store)
    answer = await office.types("find 1001")
    assert answer["text"].startswith("Dana Whitfield · 1001")
    assert answer["ephemeral_to"] == "U_AGENT"
    assert await office.slack.messages("U_LEAD") == []
    assert await office.slack.problems() == []


async def test_without_a_command_word_all_of_it_is_looked_up_and_nothing_is_the_menu(office: Office) -> None:
    await cast.dana(office.store)
    assert "1001" in (await office.types("1001"))["text"]
    assert "1001" in (await office.types("Dana Whitfield"))["text"]
    assert (await office.types(""))["text"] == "What would you like to do?"
    assert "1001" in (await office.types("LOOKUP 1001"))["text"]


async def test_a_hostile_name_pings_nobody_and_passes_slacks_checks(office: Office) -> None:
    await cast.add(office.store, "1666", name="<!channel> <https://evil.example|https://bank.example>")
    answer = await office.types("1666")
    assert "&lt;!channel&gt;" in answer["text"]
    assert await office.slack.problems() == []
    await office.presses(answer, "find.share")
    await office.poster.show_behind()
    assert await office.slack.problems() == []


async def test_a_name_of_ten_kilobytes_is_shown_cut(office: Office) -> None:
    await cast.add(office.store, "1666", name="😀" * 10_000)
    answer = await office.types("1666")
    assert "1666" in str(answer["blocks"])
    await office.presses(answer, "find.share")
    await office.poster.show_behind()
    assert await office.slack.problems() == []


async def test_a_resend_goes_from_command_to_card_by_pressing(office: Office) -> None:
    await cast.dana(office.store)
    preview = await office.types("resend 1001")
    await office.presses(preview, "resend.send")
    shown = await office.slack.last()
    assert (shown["ts"], shown["text"]) == (preview["ts"], "On its way.")
    await office.poster.show_behind()
    card = (await office.slack.messages("U_LEAD"))[-1]
    assert card["text"] == "Copy of invoice 20001: Under way"
    assert await office.slack.problems() == []


async def test_an_outsider_is_refused_and_nothing_is_kept(office: Office) -> None:
    answer = await office.types("find 1001", "U_OUTSIDER")
    assert "another organisation" in answer["text"]
    assert await _kept(office.store) == 0


async def _kept(store: Store) -> int:
    async with store.read(1) as tx:
        return int((await tx.conn.execute(text("SELECT count(*) FROM interactions"))).scalar_one())


async def test_a_viewer_may_look_and_not_resend(office: Office) -> None:
    await cast.dana(office.store)
    card = await office.types("find 1001", "U_VIEWER")
    assert "Dana" in card["text"]
    assert "is not enough for that" in (await office.types("resend 1001", "U_VIEWER"))["text"]
    assert action_ids(card) == ["diagnose.open", "messages.open"], "no buttons that would only be refused"
    office.members[1] = roles(viewer=["U_AGENT"])
    before = await office.types("find 1001", "U_AGENT")
    assert "dana@inbox.example" not in str(before)


async def test_somebody_without_a_role_is_told_so(slack: Slack, sqlite_store: Store) -> None:
    async with open_office(slack, sqlite_store, desk_roles=roles(agent=[])) as office:
        answer = await office.types("find 1001")
    assert "not on this desk's list" in answer["text"]


async def test_a_button_drawn_for_one_is_checked_for_whoever_presses_it(office: Office) -> None:
    await cast.dana(office.store)
    await office.presses(await office.types("find 1001"), "find.share")
    await office.poster.show_behind()
    card = (await office.slack.messages("U_OUTSIDER"))[-1]
    await office.presses(card, "find.open", "U_OUTSIDER")
    told = (await office.slack.messages("U_OUTSIDER"))[-1]
    assert "another organisation" in told["text"]
    assert "dana@" not in str(told)


async def test_a_value_that_nobody_signed_is_refused(office: Office) -> None:
    await cast.dana(office.store)
    card = await office.types("find 1001")
    ack = await office.presses(card, "find.contacts", value="bm90LW1pbmU")
    assert ack["status"] == 200
    assert "not one of mine" in (await office.slack.last())["text"]


async def test_a_value_moved_to_another_button_is_refused(office: Office) -> None:
    sid = await cast.dana(office.store)
    card = await office.types("find 1001")
    moved = office.signer.sign(1, "messages.open", {"s": str(sid)})
    await office.presses(card, "find.contacts", value=moved)
    assert "not one of mine" in (await office.slack.last())["text"]


class _HoursAgo(TimestampSigner):
    """Signs as if two hours ago."""

    def get_timestamp(self) -> int:
        return super().get_timestamp() - 7200


async def test_a_send_button_of_two_hours_ago_is_too_old_while_looking_is_not(office: Office) -> None:
    sid = await cast.dana(office.store)
    old = URLSafeTimedSerializer(KEYRING.subkeys("button"), salt="ispbot.button", signer=_HoursAgo)
    preview = await office.types("resend 1001")
    await office.presses(preview, "resend.send", value=old.dumps([1, "resend.send", {}]))
    assert "too old" in (await office.slack.last())["text"]
    card = await office.types("find 1001")
    await office.presses(card, "messages.open", value=old.dumps([1, "messages.open", {"s": str(sid)}]))
    assert "No message was sent" in (await office.slack.last())["text"]


async def test_a_button_of_a_command_that_is_gone_says_so(office: Office) -> None:
    office.echo.replies = [
        Reply("old", [{"type": "actions", "elements": [_button("gone.open"), _button("echo.boss")]}])
    ]
    message = await office.types("echo")
    await office.presses(message, "gone.open")
    assert "from an older version" in (await office.slack.last())["text"]
    await office.presses(message, "echo.boss")
    assert "is not enough for that" in (await office.slack.last())["text"]
    assert len(office.echo.runs) == 1


def _button(action_id: str) -> dict[str, object]:
    text = {"type": "plain_text", "text": action_id}
    return {"type": "button", "text": text, "action_id": action_id, "value": {}}


async def test_a_dialog_opens_refuses_and_answers_in_its_channel(office: Office) -> None:
    await cast.dana(office.store)
    menu = await office.types("")
    await office.presses(menu, "find.ask")
    (modal,) = await office.slack.modals()
    values = {"query": {"query": "\u00a0"}}
    refused = await office.slack.post("slack/submit", user="U_AGENT", view_id=modal["id"], values=values)
    assert list(refused["errors"]) == ["query"]
    values = {"query": {"query": "1001"}}
    done = await office.slack.post("slack/submit", user="U_AGENT", view_id=modal["id"], values=values)
    assert (done["errors"], done["views"]) == (None, [])
    await office.settled()
    shown = await office.slack.last()
    assert shown["text"].startswith("Dana Whitfield")
    assert shown["ephemeral_to"] == "U_AGENT"
    assert await office.slack.problems() == []


async def test_a_dialog_turns_a_page_before_anything_runs(office: Office) -> None:
    sid = await cast.dana(office.store)
    shown = await office.types("contact 1001")
    await office.presses(shown, "contact.add")
    (modal,) = await office.slack.modals()
    values = {"address": {"address": "noreply@inbox.example"}}
    turned = await office.slack.post("slack/submit", user="U_AGENT", view_id=modal["id"], values=values)
    assert turned["errors"] is None
    (page,) = await office.slack.modals()
    assert (page["id"], page["submit"]["text"]) == (modal["id"], "Save all the same")
    await office.settled()
    async with office.store.read(1) as tx:
        assert await tx.overrides.active([sid]) == {}, "nothing ran yet"
    values = {"again1": {"again1": "noreply@inbox.example"}}
    done = await office.slack.post("slack/submit", user="U_AGENT", view_id=modal["id"], values=values)
    assert (done["errors"], done["views"]) == (None, [])
    await office.settled()
    assert (await office.slack.last())["text"] == "Added for account 1001."
    assert await office.slack.problems() == []


async def test_a_dialog_whose_opener_lost_the_role_says_so_in_the_dialog(office: Office) -> None:
    menu = await office.types("", "U_VIEWER")
    await office.presses(menu, "find.ask", "U_VIEWER")
    (modal,) = await office.slack.modals("U_VIEWER")
    office.members[1] = roles(viewer=[])
    values = {"query": {"query": "1001"}}
    answer = await office.slack.post("slack/submit", user="U_VIEWER", view_id=modal["id"], values=values)
    (shown,) = answer["views"]
    assert "not on this desk's list" in str(shown["blocks"])
    assert shown["title"]["text"] == "That did not work"


async def test_a_dialog_that_cannot_open_in_time_asks_for_another_press(office: Office) -> None:
    menu = await office.types("")
    office.behaves("views.open", error="expired_trigger_id", times=1)
    ack = await office.presses(menu, "find.ask")
    assert ack["status"] == 200
    late = await office.slack.last()
    assert "took too long to open" in late["text"]
    await office.presses(late, "find.ask")
    assert len(await office.slack.modals("U_AGENT")) == 1, "Continue opens it after all"


@pytest.mark.parametrize(("user", "then"), [("U_LEAD", 1), ("U_AGENT", 0)])
async def test_no_dialog_opens_before_it_is_known_who_asks(office: Office, user: str, then: int) -> None:
    office.slack.part.desk.paid_plan = True
    office.members[1] = Roles(agent=RoleMembers(groups=("S_LEADS",)))
    office.echo.answered = Answer(modal=Modal("echo.asked", "Echo", [section("Maria Santos")]), done=True)
    office.behaves("usergroups.users.list", delay_s=ROLE_S + 0.3, times=1)
    await office.types("echo x", user)
    assert await office.slack.modals(user) == []
    assert "did not tell me your role in time" in (await office.slack.last(user))["text"]
    await office.slack.command("/isp echo x", user)
    assert len(await office.slack.modals(user)) == then, "by then it is known"


async def test_slack_refusing_a_dialog_is_a_failure_with_a_reference(office: Office) -> None:
    menu = await office.types("")
    office.behaves("views.open", error="internal_error", times=1)
    await office.presses(menu, "find.ask")
    assert "Reference " in (await office.slack.last())["text"]


async def test_what_is_answered_at_once_is_not_kept(office: Office) -> None:
    office.echo.answered = Answer(done=True)
    await office.slack.command("/isp echo x")
    await office.settled()
    assert office.echo.runs == []
    assert await _kept(office.store) == 0


async def test_a_crash_while_understanding_is_answered_with_a_reference_and_never_a_500(
    office: Office,
) -> None:
    office.echo.answered = None  # type: ignore[assignment]  # a bug in a command
    ack = await office.slack.command("/isp echo x")
    assert ack["status"] == 200
    assert "Something went wrong on our side. Reference " in (await office.slack.last())["text"]


async def test_events_are_acknowledged_and_a_changed_group_is_forgotten(office: Office) -> None:
    answer = await office.slack.post("slack/message", user="U_AGENT", channel="C_SUPPORT", text="hello")
    assert answer["status"] == 200
    assert (await office.slack.post("slack/home", user="U_AGENT"))["status"] == 200
    assert await office.slack.problems() == []


async def test_the_response_url_is_kept_encrypted(office: Office) -> None:
    await office.types("echo x")
    async with office.store.read(1) as tx:
        row = (await tx.conn.execute(text("SELECT response_url, payload FROM interactions"))).one()
    assert b"http" not in bytes(row.response_url)
    assert "http" not in str(row.payload)
