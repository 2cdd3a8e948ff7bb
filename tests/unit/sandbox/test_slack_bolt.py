"""The emulated Slack against the real slack-bolt and slack_sdk: nothing in the app knows of the sandbox."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from sandbox.slack.timing import Timing
from tests.unit.sandbox.bolt_app import Slack, slack_world


def _button(action_id: str, value: str, **more: Any) -> dict[str, Any]:
    text = {"type": "plain_text", "text": action_id}
    return {"type": "button", "action_id": action_id, "value": value, "text": text, **more}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _modal(callback_id: str, *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    title = {"type": "plain_text", "text": callback_id}
    submit = {"type": "plain_text", "text": "Save"}
    return {"type": "modal", "callback_id": callback_id, "title": title, "submit": submit, **more} | {
        "blocks": list(blocks)
    }


def _input(block_id: str, element: dict[str, Any], **more: Any) -> dict[str, Any]:
    label = {"type": "plain_text", "text": block_id}
    element = {"action_id": "a", **element}
    return {"type": "input", "block_id": block_id, "label": label, "element": element, **more}


async def test_a_command_is_answered_by_its_acknowledgement_only_to_who_typed_it(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = slack.bolt()

        @app.command("/isp")
        async def isp(ack: Any, command: dict[str, str]) -> None:
            await ack(f"you said {command['text']} in {command['channel_name']}")

        async with slack.serving(app):
            answer = await slack.command("/isp find 1042")
        assert answer["ack"] == "you said find 1042 in support"
        assert answer["status"] == 200
        shown = await slack.last()
        assert (shown["text"], shown["ephemeral_to"]) == ("you said find 1042 in support", "U_AGENT")
        assert await slack.messages("U_LEAD") == []
        assert await slack.problems() == []


async def test_respond_posts_through_the_response_url_and_the_sixth_use_is_refused(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = slack.bolt()
        statuses: list[int] = []

        @app.command("/isp")
        async def isp(ack: Any, respond: Any) -> None:
            await ack()
            for number in range(6):
                statuses.append(
                    (await respond(text=f"part {number}", response_type="in_channel")).status_code
                )
            done.set()

        done = asyncio.Event()
        async with slack.serving(app):
            await slack.command("/isp report")
            await asyncio.wait_for(done.wait(), 5)
        assert statuses == [200] * 5 + [404]
        assert [m["text"] for m in await slack.messages("U_LEAD")] == [f"part {n}" for n in range(5)]
        assert await slack.problems() == ["used_url"]


async def test_a_button_on_an_ephemeral_card_replaces_that_card(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = slack.bolt()
        pressed: list[dict[str, Any]] = []

        @app.command("/isp")
        async def isp(ack: Any) -> None:
            actions = {"type": "actions", "elements": [_button("resend", "signed-value", style="primary")]}
            await ack(text="card", blocks=[_section("*card*"), actions])

        @app.action("resend")
        async def resend(ack: Any, body: dict[str, Any], respond: Any) -> None:
            await ack()
            pressed.append(body)
            await respond(text="sent", replace_original=True)
            done.set()

        done = asyncio.Event()
        async with slack.serving(app):
            await slack.command("/isp 1042")
            card = await slack.last()
            refused = await slack.press(card, "resend", "U_LEAD", expect=404)
            assert "sees no message" in refused["error"]
            missing = await slack.press(card, "void", expect=404)
            assert missing["error"].endswith("there is: resend.")
            await slack.press(card, "resend")
            await asyncio.wait_for(done.wait(), 5)
        [message] = await slack.messages()
        assert (message["text"], message["blocks"], message["edits"]) == ("sent", [], 1)
        [body] = pressed
        assert body["actions"][0]["value"] == "signed-value"
        assert body["container"]["is_ephemeral"] is True
        assert "message" not in body
        assert await slack.problems() == []


async def test_a_posted_card_is_edited_found_by_its_metadata_and_deleted(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        client = slack.bolt().client
        metadata = {"event_type": "delivery_card", "event_payload": {"key": "n-1"}}
        posted = await client.chat_postMessage(channel="#support", text="queued", metadata=metadata)
        await client.chat_update(channel="C_SUPPORT", ts=posted["ts"], text="sent", blocks=[_section("sent")])
        history = await client.conversations_history(channel="C_SUPPORT", include_all_metadata=True, limit=5)
        [found] = history["messages"]
        assert found["metadata"] == metadata
        assert found["blocks"][0]["text"]["text"] == "sent"
        assert found["bot_id"] == "B_ISPBOT"
        [shown] = await slack.messages()
        assert shown["edits"] == 1
        assert "metadata" not in shown
        await client.chat_delete(channel="C_SUPPORT", ts=posted["ts"])
        assert await slack.messages() == []
        with pytest.raises(SlackApiError) as refusal:
            await client.chat_update(channel="C_SUPPORT", ts=posted["ts"], text="late")
        assert refusal.value.response["error"] == "message_not_found"


def _modal_app(slack: Slack) -> AsyncApp:
    app = slack.bolt()

    @app.command("/isp")
    async def isp(ack: Any, body: dict[str, Any], client: Any) -> None:
        await ack()
        view = _modal(
            "promise",
            _input("amount", {"type": "plain_text_input"}),
            _input("day", {"type": "datepicker", "initial_date": "2026-01-31"}, optional=True),
            _input("account", {"type": "external_select", "min_query_length": 0}, optional=True),
            private_metadata="1042",
            notify_on_close=True,
        )
        await client.views_open(trigger_id=body["trigger_id"], view=view)

    @app.options("a")
    async def options(ack: Any, body: dict[str, Any]) -> None:
        text = {"type": "plain_text", "text": f"Account {body['value']}"}
        await ack(options=[{"text": text, "value": "id-1042"}] if body["value"] else [])

    return app


async def test_a_modal_shows_errors_then_is_saved(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = _modal_app(slack)
        saved: list[dict[str, Any]] = []

        @app.view("promise")
        async def promise(ack: Any, view: dict[str, Any]) -> None:
            values = view["state"]["values"]
            if not values["amount"]["a"]["value"].isdigit():
                await ack(response_action="errors", errors={"amount": "Not an amount."})
                return
            saved.append(values)
            await ack()

        async with slack.serving(app):
            await slack.command("/isp promise 1042")
            [view] = await slack.modals()
            assert view["private_metadata"] == "1042"

            async def submit(**values: Any) -> Any:
                return await slack.post("slack/submit", user="U_AGENT", view_id=view["id"], values=values)

            empty = await submit()
            assert empty["errors"] == {"amount": "Please complete this required field."}
            assert empty["status"] is None
            wrong = await submit(amount={"a": "ten"})
            assert wrong["errors"] == {"amount": "Not an amount."}
            assert [one["id"] for one in wrong["views"]] == [view["id"]]
            good = await submit(amount={"a": "10"}, account={"a": "1042"})
        assert good["errors"] is None
        assert good["views"] == []
        [values] = saved
        assert values["amount"]["a"] == {"type": "plain_text_input", "value": "10"}
        assert values["day"]["a"]["selected_date"] == "2026-01-31"
        assert values["account"]["a"]["selected_option"]["value"] == "id-1042"
        assert await slack.problems() == []


async def test_modals_stack_up_to_three_and_come_back_when_one_is_closed(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = slack.bolt()
        closed: list[str] = []
        more_button = {"type": "actions", "elements": [_button("more", "1")]}

        @app.command("/isp")
        async def isp(ack: Any, body: dict[str, Any], client: Any) -> None:
            await ack()
            await client.views_open(
                trigger_id=body["trigger_id"], view=_modal("depth", more_button, notify_on_close=True)
            )

        @app.action("more")
        async def more(ack: Any, body: dict[str, Any], client: Any) -> None:
            try:
                await client.views_push(trigger_id=body["trigger_id"], view=_modal("depth", more_button))
            except SlackApiError as refusal:
                closed.append(refusal.response["error"])
            await ack()

        @app.view_closed("depth")
        async def gone(ack: Any, view: dict[str, Any]) -> None:
            closed.append(view["id"])
            await ack()

        async with slack.serving(app):
            await slack.command("/isp deep")
            for depth in (1, 2, 3):
                stack = await slack.modals()
                assert len(stack) == depth
                await slack.post("slack/action", user="U_AGENT", view_id=stack[-1]["id"], action_id="more")
            assert closed == ["push_limit_reached"]
            stack = await slack.modals()
            assert stack[2]["previous_view_id"] == stack[1]["id"]
            await slack.post("slack/close", user="U_AGENT", view_id=stack[2]["id"])
            assert len(await slack.modals()) == 2
            await slack.post("slack/close", user="U_AGENT", view_id=stack[1]["id"], all=True)
            assert await slack.modals() == []
        assert closed[1:] == [stack[0]["id"]]


async def test_a_mention_reaches_the_app_twice_and_is_answered_in_the_thread(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = slack.bolt()
        seen: list[str] = []

        @app.event("message")
        async def message(event: dict[str, Any]) -> None:
            seen.append(event["text"])

        @app.event("app_mention")
        async def mention(event: dict[str, Any], say: Any) -> None:
            await say(text="here", thread_ts=event["ts"])
            done.set()

        done = asyncio.Event()
        async with slack.serving(app):
            sent = await slack.post(
                "slack/message", user="U_AGENT", channel="C_SUPPORT", text="@ISP Bot is 1 < 2 & true?"
            )
            await asyncio.wait_for(done.wait(), 5)
        assert seen == ["<@U_BOT> is 1 &lt; 2 &amp; true?"]
        thread = await slack.messages(thread_ts=sent["ts"])
        assert [one["user"] for one in thread] == ["U_AGENT", "U_BOT"]


async def test_an_outsider_carries_their_own_team(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = slack.bolt()
        teams: list[Any] = []

        @app.command("/isp")
        async def isp(ack: Any, command: dict[str, str]) -> None:
            teams.append(command["team_id"])
            await ack()

        @app.event("message")
        async def message(event: dict[str, Any], body: dict[str, Any]) -> None:
            teams.append((body["team_id"], event["user_team"], body["is_ext_shared_channel"]))
            done.set()

        done = asyncio.Event()
        async with slack.serving(app):
            await slack.command("/isp find", user="U_OUTSIDER")
            await slack.post("slack/message", user="U_OUTSIDER", channel="C_SUPPORT", text="hello")
            await asyncio.wait_for(done.wait(), 5)
        assert teams == ["T_OTHER", ("T_CASCADE", "T_OTHER", True)]


async def test_opening_the_home_tab_lets_the_app_publish_it(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = slack.bolt()

        @app.event("app_home_opened")
        async def home(event: dict[str, Any], client: Any) -> None:
            await client.views_publish(
                user_id=event["user"], view={"type": "home", "blocks": [_section("Welcome")]}
            )
            done.set()

        done = asyncio.Event()
        async with slack.serving(app):
            await slack.post("slack/home", user="U_LEAD")
            await asyncio.wait_for(done.wait(), 5)
        views = await slack.get("slack/views", user="U_LEAD")
        assert views["home"]["blocks"][0]["text"]["text"] == "Welcome"
        assert (await slack.get("slack/views", user="U_AGENT"))["home"] is None


async def test_an_app_that_acknowledges_late_shows_operation_timeout(tmp_path: Path) -> None:
    async with slack_world(tmp_path, Timing(ack_s=0.2)) as slack:
        release = asyncio.Event()

        async def never(request: Any) -> Any:
            await release.wait()

        async with slack.serving_raw(never):
            answer = await slack.command("/isp 1042")
            release.set()
        assert answer["status"] == "operation_timeout"
        shown = await slack.last()
        assert (shown["user"], shown["ephemeral"]) == ("USLACKBOT", True)
        assert "operation_timeout" in shown["text"]
        assert await slack.problems() == ["not acknowledged within 0.2 s: operation_timeout"]


async def test_events_that_fail_come_again_with_their_number(tmp_path: Path) -> None:
    async with slack_world(tmp_path, Timing(retry_after_s=(0.0, 0.0, 0.0))) as slack:
        attempts: list[tuple[str | None, str]] = []
        done = asyncio.Event()

        async def broken(request: Any) -> Any:
            body = await request.json()
            attempts.append((request.headers.get("X-Slack-Retry-Num"), body["event_id"]))
            if len(attempts) == 4:
                done.set()
            return web.Response(status=500)

        async with slack.serving_raw(broken):
            answer = await slack.post("slack/message", user="U_AGENT", channel="D_U_AGENT", text="hello")
            await asyncio.wait_for(done.wait(), 5)
        assert answer["status"] == 500
        assert [number for number, _ in attempts] == [None, "1", "2", "3"]
        assert len({event_id for _, event_id in attempts}) == 1


async def test_without_the_product_people_see_dispatch_failed(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        answer = await slack.command("/isp 1042")
        assert answer["status"] == "dispatch_failed"
        assert "does not answer" in answer["error"]
        assert "dispatch_failed" in (await slack.last())["text"]
