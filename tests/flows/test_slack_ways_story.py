"""What only Slack does: Socket Mode beside HTTP with the same handlers, mentions in threads, shortcuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.desk import Desk, Message, action_ids, endpoints, running_demo, words
from tests.flows.conftest import empty_postgres

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module", params=["socket-sqlite", "http-postgresql", "socket-postgresql"])
def way(request: pytest.FixtureRequest) -> tuple[str, str | None]:
    """How Slack reaches the product, and the database (None: SQLite)."""
    mode, _, database = str(request.param).partition("-")
    if database == "sqlite":
        return mode, None
    server: str = request.getfixturevalue("postgres_server")
    with asyncio.Runner() as runner:
        return mode, runner.run(empty_postgres(server))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(way: tuple[str, str | None], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    mode, database = way
    more = ["--socket-mode"] if mode == "socket" else []
    more += ["--halves"] if database else []
    async with running_demo(tmp_path_factory.mktemp("demo") / "state", database, *more) as running:
        yield running


async def shortcut(desk: Desk, callback: str, message: Message | None = None) -> None:
    body = {"user": "U_AGENT", "callback_id": callback}
    if message is not None:
        body |= {"channel": message["channel"], "ts": message["ts"]}
    answer = await desk.call("POST", "/sandbox/slack/shortcut", body)
    assert answer["status"] == 200, answer


async def says(desk: Desk, text: str, thread_ts: str | None = None) -> Message:
    """A person's message in the support channel, as everybody sees it."""
    body = {"user": "U_AGENT", "channel": "C_SUPPORT", "text": text}
    await desk.call("POST", "/sandbox/slack/message", body | ({"thread_ts": thread_ts} if thread_ts else {}))
    path = "/sandbox/slack/messages?channel=C_SUPPORT&user=U_AGENT"
    seen = await desk.call("GET", path + (f"&thread_ts={thread_ts}" if thread_ts else ""))
    return next(m for m in reversed(seen) if m["text"] == text)


async def test_a_command_a_press_and_a_dialog_work(desk: Desk) -> None:
    card = await desk.type("/isp 1001")
    assert "Maria Santos · 1001" in words(card)
    await desk.press(card, "find.contacts")
    await desk.shows("maria.santos@inbox.example", after="0")
    menu = await desk.type("/isp")
    await desk.press(menu, "find.ask")
    (view,) = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"]
    submitted = {"user": "U_AGENT", "view_id": view["id"], "values": {"query": {"query": "1010"}}}
    await desk.call("POST", "/sandbox/slack/submit", submitted)
    await desk.shows("· 1010", after=menu["ts"])


async def test_http_is_believed_only_where_it_is_the_way(desk: Desk, way: tuple[str, str | None]) -> None:
    port = endpoints(desk.state)["product"]["http_port"]
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/slack/events", data=b"command=%2Fisp") as answer,
    ):
        assert answer.status == 401


async def test_what_was_acknowledged_is_answered_after_a_kill(desk: Desk) -> None:
    await desk.killed_after_the_ack("1011")


async def test_slack_renews_its_connections_and_nothing_is_missed(
    desk: Desk, way: tuple[str, str | None]
) -> None:
    if way[0] == "http":
        pytest.skip("HTTP has no connection to renew")
    assert (await desk.call("POST", "/sandbox/slack/renew"))["renewed"] == 1

    async def works() -> bool:
        body = {"user": "U_AGENT", "channel": "C_SUPPORT", "text": "/isp 1012"}
        return bool((await desk.call("POST", "/sandbox/slack/command", body))["status"] == 200)

    await desk.until(works, "a command over the new connection")
    await desk.shows("· 1012")


async def test_a_mention_in_a_thread_is_about_whom_the_thread_is_about_and_answered_there(desk: Desk) -> None:
    card = await desk.type("/isp 1013")
    await desk.press(card, "find.share")
    shared = await desk.shows("· 1013", after=card["ts"])
    assert not shared["ephemeral"]
    await says(desk, "<@U_BOT> diagnose", thread_ts=shared["ts"])

    async def answered() -> Message | None:
        path = f"/sandbox/slack/messages?channel=C_SUPPORT&user=U_AGENT&thread_ts={shared['ts']}"
        seen = await desk.call("GET", path)
        return next((m for m in seen if m["ephemeral"] and "1013" in words(m)), None)

    verdict = await desk.until(answered, "the verdict in the thread")
    assert verdict["ephemeral_to"] == "U_AGENT"


async def test_a_mention_in_a_thread_about_nobody_asks_whom(desk: Desk) -> None:
    about_nobody = await says(desk, "Who has the keys of the van?")
    await says(desk, "<@U_BOT> diagnose", thread_ts=about_nobody["ts"])

    async def asked() -> bool:
        path = f"/sandbox/slack/messages?channel=C_SUPPORT&user=U_AGENT&thread_ts={about_nobody['ts']}"
        return any("Whose invoice" in words(m) for m in await desk.call("GET", path))

    await desk.until(asked, "the question back")


async def test_a_shortcut_on_a_message_finds_whom_it_names(desk: Desk) -> None:
    told = await says(desk, "Maria called again (maria.santos@inbox.example), no invoice since May")
    await shortcut(desk, "find_in_message", told)
    card = await desk.shows("Maria Santos · 1001", after=told["ts"])
    assert card["ephemeral_to"] == "U_AGENT"


async def test_a_message_that_names_several_is_asked_about(desk: Desk) -> None:
    told = await says(desk, "account 1014 and account 1015 both say they got nothing")
    await shortcut(desk, "diagnose_message", told)
    (view,) = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"]
    assert view["title"]["text"] == "Which one?"
    submitted = {"user": "U_AGENT", "view_id": view["id"], "values": {"query": {"query": "account 1015"}}}
    await desk.call("POST", "/sandbox/slack/submit", submitted)
    await desk.shows("1015", after=told["ts"])


async def test_a_message_that_names_nobody_opens_the_dialog(desk: Desk) -> None:
    told = await says(desk, "The customer with the dog says the line is fine")
    await shortcut(desk, "find_in_message", told)
    (view,) = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"]
    assert view["title"]["text"] == "Find a subscriber"
    await desk.call("POST", "/sandbox/slack/close", {"user": "U_AGENT", "view_id": view["id"]})


async def test_a_shortcut_from_everywhere_opens_the_dialog_and_a_stranger_gets_none(desk: Desk) -> None:
    await shortcut(desk, "diagnose_anybody")
    (view,) = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"]
    assert "find out" in view["submit"]["text"].casefold()
    body = {"user": "U_OUTSIDER", "callback_id": "find_anybody"}
    await desk.call("POST", "/sandbox/slack/shortcut", body)
    assert (await desk.call("GET", "/sandbox/slack/views?user=U_OUTSIDER"))["modals"] == []


async def test_nothing_that_crossed_would_have_displeased_slack(desk: Desk) -> None:
    assert "find.ask" in action_ids(await desk.type("/isp"))
    expected = ("not acknowledged over Socket Mode",)  # while the product was killed, or between connections
    problems = [row for row in await desk.problems() if not str(row["problem"]).startswith(expected)]
    assert problems == []
