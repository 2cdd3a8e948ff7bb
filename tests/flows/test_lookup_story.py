"""Looking subscribers up: who may, what they see, and what is asked back."""

from __future__ import annotations

import pytest

from tests.desk import Desk, action_ids, words

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


async def test_bare_command_shows_a_menu_and_help_lists_every_command(desk: Desk) -> None:
    menu = await desk.type("/isp")
    assert "find.ask" in action_ids(menu)
    guide = await desk.type("/isp help")
    for command in ("find", "messages", "resend", "spf"):
        assert f"/isp {command}" in words(guide)


@pytest.mark.parametrize(
    "typed",
    [
        "/isp 1001",
        "/isp find 1001",
        "/isp find Maria Santos",
        "/isp find <mailto:maria.santos@inbox.example|maria.santos@inbox.example>",
        "/isp find account 1001",
        "/isp lookup “1001”",
    ],
)
async def test_every_spelling_finds_the_same_subscriber(desk: Desk, typed: str) -> None:
    card = await desk.type(typed)
    assert "Maria Santos · 1001" in words(card)
    assert card["ephemeral"]
    assert "maria.santos@" not in words(card), "contacts are masked until they are asked for"


async def test_phone_of_two_accounts_is_asked_about(desk: Desk) -> None:
    numbers = (await desk.call("GET", "/sandbox/state"))["numbers"]
    shared = next(n["number"] for n in numbers if set(n["accounts"]) == {"1204", "1205"})
    picker = await desk.type(f"/isp find <tel:{shared}|{shared}>")
    assert "1204" in words(picker)
    assert "1205" in words(picker)


async def test_number_that_is_account_and_invoice_is_asked_about(desk: Desk) -> None:
    question = await desk.type("/isp 1204")
    assert "is an account and an invoice" in words(question)
    await desk.press(question, "find.open:0")
    await desk.shows("· 1204", after=question["ts"])


async def test_contacts_are_shown_to_the_asker_alone(desk: Desk) -> None:
    card = await desk.type("/isp 1001")
    await desk.press(card, "find.contacts")
    await desk.shows("maria.santos@inbox.example", after="0")
    for other in ("U_LEAD", "U_VIEWER"):
        assert all("maria.santos@" not in words(m) for m in await desk.messages(other))


async def test_sharing_posts_a_masked_card_for_everyone(desk: Desk) -> None:
    card = await desk.type("/isp 1001")
    await desk.press(card, "find.share")
    shared = await desk.shows("Maria S. · 1001", user="U_VIEWER")
    assert not shared["ephemeral"]
    assert "Santos" not in words(shared)
    assert "maria.santos@" not in words(shared)


async def test_viewer_may_look_but_not_send(desk: Desk) -> None:
    assert "Maria Santos" in words(await desk.type("/isp 1001", user="U_VIEWER"))
    refused = await desk.type("/isp resend 1001", user="U_VIEWER")
    assert "is not enough for that" in words(refused)


async def test_viewer_cannot_press_what_stands_in_the_channel_for_agents(desk: Desk) -> None:
    await desk.behaviour(address="nobody@inbox.example", reply="550 5.1.1 No such user")
    preview = await desk.resend("1012 to nobody@inbox.example")
    card = await desk.shows("Not delivered", user="U_VIEWER", after=preview["ts"])
    await desk.press(card, "resend.other", user="U_VIEWER")
    await desk.shows("is not enough for that", user="U_VIEWER", after=card["ts"])
    assert (await desk.call("GET", "/sandbox/slack/views?user=U_VIEWER"))["modals"] == []


async def test_viewer_is_not_shown_buttons_for_agents(desk: Desk) -> None:
    card = await desk.type("/isp 1001", user="U_VIEWER")
    assert action_ids(card) == ["diagnose.open", "messages.open"]


async def test_outsider_is_told_nothing(desk: Desk) -> None:
    answer = await desk.type("/isp 1001", user="U_OUTSIDER")
    assert "another organisation" in words(answer)
    assert "Santos" not in words(answer)


async def test_cast_s_log_tells_the_planted_troubles_in_words(desk: Desk) -> None:
    for account, trouble in (
        ("1042", "the mailbox does not exist"),
        ("1077", "the mailbox is full"),
        ("1311", "does not trust our mail server"),
        ("1150", "sender checks (SPF, DKIM, DMARC) failed"),
    ):

        async def told(account: str = account, trouble: str = trouble) -> bool:
            return trouble in words(await desk.type(f"/isp messages {account}"))

        await desk.until(told, f"{account}: {trouble}")


async def test_nonsense_gets_a_kind_sentence_and_a_next_step(desk: Desk) -> None:
    for typed in (
        "/isp find zzqx",
        "/isp find <!channel>",
        "/isp find " + "😀" * 500,
        "/isp spf not a domain",
    ):
        answer = await desk.type(typed)
        assert words(answer).startswith(":warning:")
        assert "<!channel>" not in words(answer)


async def test_nothing_on_the_wire_would_have_displeased_the_real_services(desk: Desk) -> None:
    assert [row["problem"] for row in await desk.problems()] == []
