"""Looking subscribers up: who may, what they see, and what is asked back."""

from __future__ import annotations

import asyncio
import json
import logging
import re

import pytest
import structlog
from typer.testing import CliRunner, Result

from bot.cli import app
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


async def at_a_terminal(desk: Desk, *typed: str) -> Result:
    """A command of `ispbot` beside the running product, in a thread as it runs a loop of its own."""
    files = ("-c", str(desk.state / "app.yaml"), "--environment", str(desk.state / "environment"))
    root = logging.getLogger()
    handlers, level, rendering = list(root.handlers), root.level, structlog.get_config()
    try:
        runner = CliRunner(env={"COLUMNS": "200"})
        return await asyncio.to_thread(runner.invoke, app, [*typed, *files])
    finally:  # the command sets them for a process of its own
        root.handlers, root.level = handlers, level
        structlog.configure(**rendering)


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("find 1001", 0, "Maria Santos · 1001"),
        ("find santos", 3, "Several fit:"),
        ("find zzzz", 2, "Nobody fits"),
        ("find", 2, "Whom is it about?"),
        ("diagnose 1042", 0, "Kevin O'Brien · account 1042"),
        ("diagnose santos", 3, "│ 1001"),
        ("messages 1042", 0, "Messages · account 1042"),
        ("messages 1358", 0, "No message was sent for account 1358"),
        ("spf", 1, "include:spf.visp.net is missing"),
        ("spf not-a-domain", 2, "not a domain name"),
        ("mail", 0, "Routes"),
        ("failures 3 days", 0, "Without a proven notice: the last 3 days"),
        ("failures yesterday", 2, "ispbot failures"),
        ("queue", 0, "with a worker"),
        ("incidents", 1, "bigmail.example refuses our mail server"),
        ("incidents now", 2, "takes no words"),
    ],
)
async def test_what_only_reads_is_told_at_a_terminal_too(
    desk: Desk, typed: str, code: int, says: str
) -> None:
    """Beside the running product, on SQLite as well: nothing is written."""
    told = await at_a_terminal(desk, *typed.split())
    assert (told.exit_code, says in told.output) == (code, True), told.output
    assert "maria.santos@" not in told.output
    if code in (0, 1, 3):
        found = await at_a_terminal(desk, *typed.split(), "--json")
        assert found.exit_code == code
        assert json.loads(found.stdout) is not None
        assert not _WHOLE_ADDRESS.search(found.stdout)


_WHOLE_ADDRESS = re.compile(r"[a-z]{2}[\w.+-]*@[a-z]+\.")


async def test_a_terminal_gives_whole_addresses_only_when_asked(desk: Desk) -> None:
    found = await at_a_terminal(desk, "find", "1001", "--json", "--contacts")
    assert "maria.santos@inbox.example" in found.stdout


async def test_the_deployment_is_checked_while_it_runs_and_a_test_mail_goes_by_each_route(desk: Desk) -> None:
    address = f"check-{desk.state.parent.name[-6:]}@inbox.example".lower()
    told = await at_a_terminal(desk, "check", "--json", "--send-test", address)
    findings = {one["what"]: one for one in json.loads(told.stdout)}
    failing = [one["what"] for one in findings.values() if not one["ok"]]
    assert (told.exit_code, failing) == (1, ["SPF of cascade"]), told.output
    assert "include:spf.visp.net" in findings["SPF of cascade"]["remedy"]
    for route in ("visp", "remote"):
        assert "250 2.0.0 Ok" in findings[f"test mail by cascade/{route}"]["found"]
    mails = await desk.call("GET", f"/sandbox/mail?to={address}")
    assert len(mails) == 2, mails
