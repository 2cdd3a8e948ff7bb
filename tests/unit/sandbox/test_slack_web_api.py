"""The Web API's refusals: tokens, scopes, rates, channels, triggers, views, files, and faults on request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.slack.limits import Buckets
from sandbox.slack.timing import Timing
from tests.unit.sandbox.bolt_app import Slack, slack_world


@dataclass
class Hand:
    """A clock that a test moves."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def by_hand(hand: Hand) -> Timing:
    return Timing(monotonic=hand, epoch=hand)


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def modal(text: str = "x", **more: Any) -> dict[str, Any]:
    title = {"type": "plain_text", "text": "Title"}
    return {"type": "modal", "title": title, "blocks": [section(text)], **more}


def trigger(slack: Slack, user: str = "U_AGENT", view_id: str | None = None) -> str:
    return slack.part.desk.triggers.issue(user, view_id)


async def test_a_wrong_token_is_refused(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        url = f"{slack.endpoints['slack']['api']}auth.test"
        for headers, error in (({"Authorization": "Bearer xoxb-no"}, "invalid_auth"), ({}, "not_authed")):
            async with slack.http.post(url, headers=headers) as response:
                assert await response.json() == {"ok": False, "error": error}
        async with slack.http.post(url, data={"token": slack.token}) as response:
            assert (await response.json())["user_id"] == "U_BOT"
            assert "chat:write" in response.headers["x-oauth-scopes"]


@pytest.mark.parametrize(
    ("method", "body", "error"),
    [
        ("chat.nothing", {}, "unknown_method"),
        ("files.upload", {}, "method_deprecated"),
        ("reactions.add", {}, "missing_scope"),
        ("chat.postMessage", {"channel": "C_SUPPORT"}, "no_text"),
        ("chat.postMessage", {"channel": "C_NOWHERE", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "U_BOT", "text": "x"}, "cannot_dm_bot"),
        ("chat.postMessage", {"channel": "C_SUPPORT", "text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", {"channel": "C_SUPPORT", "text": "x", "username": "y"}, "missing_scope"),
        ("chat.postMessage", {"channel": "C_SUPPORT", "text": "x", "thread_ts": "1.1"}, "thread_not_found"),
        ("chat.postMessage", {"channel": "C_SUPPORT", "blocks": [{"type": "x"}]}, "invalid_blocks"),
        (
            "chat.postEphemeral",
            {"channel": "D_U_LEAD", "user": "U_AGENT", "text": "x"},
            "user_not_in_channel",
        ),
        ("chat.update", {"channel": "C_SUPPORT", "ts": "1.1", "text": "x"}, "message_not_found"),
        ("chat.delete", {"channel": "C_SUPPORT"}, "invalid_arguments"),
        ("conversations.open", {"users": "U_NOBODY"}, "user_not_found"),
        ("conversations.open", {"users": "U_AGENT,U_LEAD"}, "missing_scope"),
        ("conversations.list", {"types": "private_channel"}, "missing_scope"),
        ("conversations.info", {"channel": "D_U_AGENT"}, "missing_scope"),
        ("conversations.history", {"channel": "C_SUPPORT", "limit": 5000}, "invalid_limit"),
        ("conversations.history", {"channel": "C_SUPPORT", "cursor": "???"}, "invalid_cursor"),
        ("conversations.replies", {"channel": "C_SUPPORT", "ts": "1.1"}, "thread_not_found"),
        ("users.info", {"user": "U_NOBODY"}, "user_not_found"),
        ("usergroups.list", {}, "paid_teams_only"),
        ("bots.info", {"bot": "B_NO"}, "bot_not_found"),
        ("views.open", {"trigger_id": "made-up", "view": modal()}, "invalid_arguments"),
        ("views.update", {"view_id": "V_NO", "view": modal()}, "not_found"),
        ("views.publish", {"user_id": "U_AGENT", "view": modal()}, "invalid_arguments"),
        ("files.info", {"file": "F_NO"}, "file_not_found"),
    ],
)
async def test_refusals_have_the_code_of_slack(
    tmp_path: Path, method: str, body: dict[str, Any], error: str
) -> None:
    async with slack_world(tmp_path) as slack:
        answer = await slack.api(method, **body)
        assert (answer["ok"], answer["error"]) == (False, error)
        [entry] = await slack.get("wire")
        assert (entry["method"], entry["direction"]) == (method, "in")
        # A free workspace is no mistake of the app.
        assert (entry["problem"] is None) == (error == "paid_teams_only")


async def test_invalid_blocks_name_the_path(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        answer = await slack.api("chat.postMessage", channel="C_SUPPORT", blocks=[section("x" * 3001)])
        assert answer["response_metadata"]["messages"] == [
            "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
        ]
        assert await slack.messages() == []


async def test_the_app_cannot_post_where_it_is_no_member(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        await slack.post("slack/membership", channel="C_ONCALL", user="U_BOT", member=False)
        answer = await slack.api("chat.postMessage", channel="C_ONCALL", text="x")
        assert answer["error"] == "not_in_channel"


async def test_posting_too_fast_in_one_channel_meets_429(tmp_path: Path) -> None:
    hand = Hand()
    async with slack_world(tmp_path, by_hand(hand)) as slack:

        async def post(channel: str) -> tuple[int, str | None]:
            url = f"{slack.endpoints['slack']['api']}chat.postMessage"
            headers = {"Authorization": f"Bearer {slack.token}"}
            async with slack.http.post(
                url, data={"channel": channel, "text": "x"}, headers=headers
            ) as answer:
                return answer.status, answer.headers.get("Retry-After")

        assert [await post("C_SUPPORT") for _ in range(6)] == [(200, None)] * 5 + [(429, "1")]
        assert await post("C_ONCALL") == (200, None)
        hand.now += 1
        assert await post("C_SUPPORT") == (200, None)


def test_edits_run_out_later_than_posts_and_come_back_with_time() -> None:
    hand = Hand()
    buckets = Buckets(by_hand(hand))
    passed = [buckets.take("chat.update", "C") for _ in range(26)]
    assert passed[:25] == [None] * 25
    assert passed[25] == 2
    hand.now += 2
    assert buckets.take("chat.update", "C") is None


async def test_a_trigger_opens_one_view_within_three_seconds(tmp_path: Path) -> None:
    hand = Hand()
    async with slack_world(tmp_path, by_hand(hand)) as slack:
        used, late = trigger(slack), trigger(slack)
        assert (await slack.api("views.open", trigger_id=used, view=modal()))["ok"] is True
        assert (await slack.api("views.open", trigger_id=used, view=modal()))[
            "error"
        ] == "exchanged_trigger_id"
        hand.now += 3.1
        assert (await slack.api("views.open", trigger_id=late, view=modal()))["error"] == "expired_trigger_id"


async def test_an_invalid_view_leaves_the_open_modal_alone(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        await slack.api("views.open", trigger_id=trigger(slack), view=modal(callback_id="first"))
        refused = await slack.api("views.open", trigger_id=trigger(slack), view=modal("x" * 3001))
        assert refused["error"] == "invalid_arguments"
        assert "/view/blocks/0/text/text" in refused["response_metadata"]["messages"][0]
        assert [view["callback_id"] for view in await slack.modals()] == ["first"]


async def test_updating_a_view_with_an_old_hash_conflicts(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        view = modal(external_id="form")
        opened = (await slack.api("views.open", trigger_id=trigger(slack), view=view))["view"]
        await slack.api("views.update", external_id="form", view=view, hash=opened["hash"])
        again = await slack.api("views.update", view_id=opened["id"], view=view, hash=opened["hash"])
        assert again["error"] == "hash_conflict"
        other = await slack.api("views.open", trigger_id=trigger(slack, "U_LEAD"), view=view)
        assert other["error"] == "duplicate_external_id"


async def test_history_pages_backwards_in_a_window_and_hides_threads_and_ephemerals(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        add = slack.part.desk.messages.add
        sent = [add("C_SUPPORT", "U_BOT", str(number))["ts"] for number in range(5)]
        add("C_SUPPORT", "U_BOT", "reply", thread_ts=sent[0])
        add("C_SUPPORT", "U_BOT", "secret", ephemeral_to="U_AGENT")
        first = await slack.api("conversations.history", channel="C_SUPPORT", limit=2)
        assert [one["text"] for one in first["messages"]] == ["4", "3"]
        assert first["has_more"] is True
        cursor = first["response_metadata"]["next_cursor"]
        second = await slack.api("conversations.history", channel="C_SUPPORT", limit=4, cursor=cursor)
        assert [one["text"] for one in second["messages"]] == ["2", "1", "0"]
        assert second["messages"][-1]["reply_count"] == 1
        window = await slack.api("conversations.history", channel="C_SUPPORT", oldest=sent[1], latest=sent[3])
        assert [one["text"] for one in window["messages"]] == ["2"]
        thread = await slack.api("conversations.replies", channel="C_SUPPORT", ts=sent[0])
        assert [one["text"] for one in thread["messages"]] == ["0", "reply"]


async def test_edits_keep_what_is_not_given_and_empty_blocks_remove_them(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        posted = await slack.api("chat.postMessage", channel="C_SUPPORT", text="a", blocks=[section("b")])
        where = {"channel": "C_SUPPORT", "ts": posted["ts"]}
        await slack.api("chat.update", **where, text="c")
        kept = await slack.last()
        assert (kept["text"], len(kept["blocks"]), kept["edits"]) == ("c", 1, 1)
        await slack.api("chat.update", **where, text="d", blocks=[])
        assert (await slack.last())["blocks"] == []
        theirs = await slack.post("slack/message", user="U_AGENT", channel="C_SUPPORT", text="mine")
        refused = await slack.api("chat.update", channel="C_SUPPORT", ts=theirs["ts"], text="x")
        assert refused["error"] == "cant_update_message"


async def test_an_ephemeral_message_cannot_be_edited_by_its_ts(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        sent = await slack.api("chat.postEphemeral", channel="C_SUPPORT", user="U_AGENT", text="psst")
        edit = await slack.api("chat.update", channel="C_SUPPORT", ts=sent["message_ts"], text="x")
        assert edit["error"] == "message_not_found"
        assert [one["text"] for one in await slack.messages("U_LEAD")] == []


async def test_a_broadcast_that_came_through_unescaped_is_posted_and_reported(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        answer = await slack.api("chat.postMessage", channel="C_SUPPORT", text="name: <!channel>")
        assert answer["ok"] is True
        assert await slack.problems() == ["unescaped control sequence: <!channel> at /text"]


async def test_a_link_that_slack_would_fetch_and_show_is_reported(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        post = {"channel": "C_SUPPORT", "text": "see https://desk.example/i/abc"}
        await slack.api("chat.postMessage", **post, unfurl_links=False, unfurl_media=False)
        assert await slack.problems() == []
        await slack.api("chat.postMessage", **post, unfurl_links=False)
        assert await slack.problems() == ["Slack would fetch the links in it and show what they lead to"]


async def test_a_file_goes_up_in_three_steps_and_is_shared(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        client = slack.bolt().client
        await client.files_upload_v2(
            channel="C_SUPPORT", filename="proof <1>.pdf", content=b"%PDF-1.4", initial_comment="The proof"
        )
        message = await slack.last()
        assert message["text"] == "The proof"
        [file] = message["files"]
        assert (file["name"], file["size"], file["mimetype"]) == ("proof <1>.pdf", 8, "application/pdf")
        info = await client.files_info(file=file["id"])
        assert info["file"]["channels"] == ["C_SUPPORT"]
        async with slack.http.get(file["url_private"]) as response:
            assert await response.read() == b"%PDF-1.4"
            assert response.headers["Content-Disposition"].startswith("attachment")
        assert await slack.problems() == []


async def test_a_method_misbehaves_as_told_and_then_recovers(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        fault: dict[str, Any] = {"method": "chat.postMessage", "times": 1}
        await slack.post("slack/behaviour", **fault, error="fatal_error")
        post = {"channel": "C_SUPPORT", "text": "x"}
        assert (await slack.api("chat.postMessage", **post))["error"] == "fatal_error"
        assert (await slack.api("chat.postMessage", **post))["ok"] is True
        await slack.post("slack/behaviour", **fault, lose_response=True)
        with pytest.raises(aiohttp.ClientError):
            await slack.api("chat.postMessage", **post)
        assert len(await slack.messages()) == 2
        await slack.post("slack/behaviour", method="chat.postMessage", status=429, retry_after=7)
        assert (await slack.api("chat.postMessage", **post))["error"] == "ratelimited"
        await slack.post("slack/behaviour", method="chat.postMessage")
        assert (await slack.api("chat.postMessage", **post))["ok"] is True
        assert await slack.problems() == []
        refused = await slack.post("slack/behaviour", expect=400, method="chat.dance", error="x")
        assert "There is no method chat.dance" in refused["error"]


async def test_messages_views_and_response_urls_survive_a_restart(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        posted = await slack.api("chat.postMessage", channel="C_SUPPORT", text="kept")
        await slack.api(
            "views.publish", user_id="U_AGENT", view={"type": "home", "blocks": [section("home")]}
        )
        url = slack.part.desk.response_urls.issue("U_AGENT", "C_SUPPORT", original_ts=posted["ts"])
    async with slack_world(tmp_path) as slack:
        async with slack.http.post(url, json={"text": "replaced", "replace_original": True}) as response:
            assert (response.status, await response.text()) == (200, "ok")
        [message] = await slack.messages()
        assert (message["ts"], message["text"]) == (posted["ts"], "replaced")
        assert (await slack.get("slack/views", user="U_AGENT"))["home"]["blocks"][0]["text"]["text"] == "home"


async def test_a_response_url_expires_after_half_an_hour(tmp_path: Path) -> None:
    hand = Hand()
    async with slack_world(tmp_path, by_hand(hand)) as slack:
        url = slack.part.desk.response_urls.issue("U_AGENT", "C_SUPPORT")
        hand.now += 1801
        async with slack.http.post(url, json={"text": "late"}) as response:
            assert (response.status, await response.text()) == (404, "expired_url")
        assert await slack.problems() == ["expired_url"]
