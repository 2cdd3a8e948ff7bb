"""The control calls: what a person can and cannot do, and what Slack's client makes of the app's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.sandbox.bolt_app import Slack, slack_world
from tests.unit.sandbox.test_slack_blocks import actions, button, field, modal, option, plain, section, select


class App:
    """Answers everything with `reply` and remembers what it was sent."""

    def __init__(self, reply: Any = None) -> None:
        self.reply = reply
        self.forms: list[dict[str, str]] = []
        self.payloads: list[dict[str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        if "payload" in form:
            self.payloads.append(json.loads(str(form["payload"])))
        else:
            self.forms.append({key: str(value) for key, value in form.items()})
        return web.Response() if self.reply is None else web.json_response(self.reply)


async def posted(slack: Slack, *blocks: dict[str, Any], channel: str = "C_SUPPORT") -> Any:
    answer = await slack.api("chat.postMessage", channel=channel, text="card", blocks=list(blocks))
    assert answer["ok"], answer
    return await slack.last(channel=channel)


async def opened(slack: Slack, view: dict[str, Any]) -> Any:
    trigger = slack.part.desk.triggers.issue("U_AGENT")
    answer = await slack.api("views.open", trigger_id=trigger, view=view)
    assert answer["ok"], answer
    return answer["view"]


async def submit(slack: Slack, view: Any, **values: Any) -> Any:
    return await slack.post("slack/submit", user="U_AGENT", view_id=view["id"], values=values)


@pytest.mark.parametrize(
    ("call", "body", "expect", "words"),
    [
        ("command", {"user": "U_NO", "channel": "C_SUPPORT", "text": "/isp"}, 404, "no user U_NO"),
        ("command", {"user": "U_BOT", "channel": "C_SUPPORT", "text": "/isp"}, 404, "no user U_BOT"),
        ("command", {"user": "U_LEAD", "channel": "D_U_AGENT", "text": "/isp"}, 404, "no channel D_U_AGENT"),
        ("command", {"user": "U_LEAD", "channel": "C_SUPPORT", "text": "/rm -rf"}, 400, "/rm is no command"),
        ("message", {"user": "U_LEAD", "channel": "C_SUPPORT", "text": " "}, 400, "needs text"),
        (
            "message",
            {"user": "U_LEAD", "channel": "C_SUPPORT", "text": "x", "thread_ts": "1.1"},
            404,
            "no message 1.1",
        ),
        ("action", {"user": "U_LEAD", "action_id": "x"}, 400, "Say which"),
        ("action", {"user": "U_LEAD", "action_id": "x", "view_id": "V"}, 404, "no view V"),
        ("submit", {"user": "U_LEAD", "view_id": "V"}, 404, "no view V"),
        ("submit", {"user": "U_LEAD", "view_id": "V", "force": True}, 400, "Unknown key: force"),
    ],
)
async def test_what_a_person_cannot_do_is_said_in_a_sentence(
    tmp_path: Path, call: str, body: dict[str, Any], expect: int, words: str
) -> None:
    async with slack_world(tmp_path) as slack:
        refused = await slack.post(f"slack/{call}", expect=expect, **body)
        assert words in refused["error"]


async def test_a_command_carries_what_slack_sends(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = App()
        async with slack.serving_raw(app.answer):
            await slack.command("/isp  find O'Neil & Sons ", channel="D_U_AGENT")
        [form] = app.forms
        assert (form["command"], form["text"]) == ("/isp", "find O'Neil & Sons")
        assert (form["channel_id"], form["channel_name"]) == ("D_U_AGENT", "directmessage")
        assert (form["user_id"], form["team_id"]) == ("U_AGENT", "T_CASCADE")
        assert form["response_url"].startswith(slack.site.url)
        assert form["trigger_id"]


async def test_an_in_channel_answer_is_for_everybody_and_bad_blocks_for_nobody(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = App({"response_type": "in_channel", "text": "all"})
        async with slack.serving_raw(app.answer):
            await slack.command("/isp")
            assert (await slack.last("U_VIEWER"))["text"] == "all"
            app.reply = {"blocks": [{"type": "nonsense"}]}
            await slack.command("/isp")
        assert 'failed with the error "invalid_blocks"' in (await slack.last())["text"]
        assert "[json-pointer:/blocks/0/type]" in (await slack.problems())[0]


async def test_selections_in_a_message_are_kept_for_each_person(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        boxes = {"type": "checkboxes", "action_id": "boxes", "options": [option("a"), option("b")]}
        message = await posted(slack, actions(select(), boxes, block_id="row"))
        app = App()
        async with slack.serving_raw(app.answer):
            await slack.press(message, "pick", value="b")
            await slack.press(message, "boxes", value=["a"])
            refused = await slack.press(message, "pick", value="z", expect=400)
            await slack.press(message, "pick", "U_LEAD", value="a")
        assert refused["error"] == "There is no option z; there is: a, b."
        first, second, other = app.payloads
        assert first["actions"][0]["selected_option"]["value"] == "b"
        state = second["state"]["values"]["row"]
        assert state["pick"]["selected_option"]["value"] == "b"
        assert [one["value"] for one in state["boxes"]["selected_options"]] == ["a"]
        assert other["state"]["values"]["row"]["boxes"]["selected_options"] == []
        assert other["message"]["ts"] == message["ts"]


async def test_a_row_of_a_list_is_chosen_by_its_block_or_its_value(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        rows = [section(block_id=f"row{n}", accessory=button(value=f"v{n}")) for n in range(3)]
        message = await posted(slack, *rows)
        app = App()
        async with slack.serving_raw(app.answer):
            await slack.press(message, "press")
            await slack.press(message, "press", block_id="row2")
            await slack.press(message, "press", value="v1")
            await slack.press(message, "press", block_id="row0", value="forged")
        pressed = [payload["actions"][0] for payload in app.payloads]
        assert [(one["block_id"], one["value"]) for one in pressed] == [
            ("row0", "v0"),
            ("row2", "v2"),
            ("row1", "v1"),
            ("row0", "forged"),
        ]


async def test_an_overflow_menu_sends_the_chosen_option(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        menu = {"type": "overflow", "action_id": "more", "options": [option("hold"), option("history")]}
        message = await posted(slack, section(accessory=menu))
        app = App({"text": "ignored by Slack"})
        async with slack.serving_raw(app.answer):
            await slack.press(message, "more", value="history")
        assert app.payloads[0]["actions"][0]["selected_option"]["value"] == "history"
        assert await slack.problems() == ["Slack ignores the body of this acknowledgement"]


async def test_external_options_come_from_the_app_and_bad_ones_are_a_problem(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        element = {"type": "external_select", "action_id": "who"}
        message = await posted(slack, section(accessory=element))
        where = {"channel": "C_SUPPORT", "ts": message["ts"]}
        app = App({"options": [option("1042", "Dana")]})
        async with slack.serving_raw(app.answer):
            ask = {"user": "U_AGENT", "action_id": "who", "query": "dan", **where}
            assert (await slack.post("slack/options", **ask))["options"] == [option("1042", "Dana")]
            assert (app.payloads[0]["type"], app.payloads[0]["value"]) == ("block_suggestion", "dan")
            app.reply = {"options": [option("v" * 151)]}
            assert (await slack.post("slack/options", **ask))["options"] == []
        assert "/options/0/value" in (await slack.problems())[0]


async def test_a_message_shortcut_carries_the_message(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        message = await posted(slack, section("x"))
        app = App()
        async with slack.serving_raw(app.answer):
            body: dict[str, Any] = {"user": "U_AGENT", "callback_id": "explain"}
            await slack.post("slack/shortcut", **body, channel="C_SUPPORT", ts=message["ts"])
            await slack.post("slack/shortcut", **body)
        assert [payload["type"] for payload in app.payloads] == ["message_action", "shortcut"]
        assert app.payloads[0]["message"]["text"] == "card"


@pytest.mark.parametrize(
    ("reply", "titles"),
    [
        (None, ["below"]),
        ({"response_action": "clear"}, []),
        ({"response_action": "update", "view": modal(title=plain("new"))}, ["below", "new"]),
        ({"response_action": "push", "view": modal(title=plain("above"))}, ["below", "top", "above"]),
    ],
)
async def test_what_an_acknowledged_submission_does_to_the_stack(
    tmp_path: Path, reply: Any, titles: list[str]
) -> None:
    async with slack_world(tmp_path) as slack:
        below = await opened(slack, modal(title=plain("below")))
        trigger = slack.part.desk.triggers.issue("U_AGENT", below["id"])
        pushed = await slack.api("views.push", trigger_id=trigger, view=modal(title=plain("top")))
        async with slack.serving_raw(App(reply).answer):
            answer = await submit(slack, pushed["view"])
        assert [view["title"]["text"] for view in answer["views"]] == titles
        assert await slack.problems() == []


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"response_action": "errors", "errors": {"nothing": "x"}}, "no inputs of the modal: nothing"),
        ({"response_action": "errors", "errors": {}}, "without errors"),
        ({"response_action": "dance"}, "unknown response_action: dance"),
        ({"response_action": "update", "view": {"type": "modal"}}, "invalid_arguments"),
        ("saved", "nothing or with a response_action"),
    ],
)
async def test_a_wrong_acknowledgement_keeps_the_modal_and_is_a_problem(
    tmp_path: Path, reply: Any, words: str
) -> None:
    async with slack_world(tmp_path) as slack:
        view = await opened(slack, modal())
        async with slack.serving_raw(App(reply).answer):
            answer = await submit(slack, view)
        assert answer["error"] == "We had some trouble connecting. Try again?"
        assert [one["id"] for one in answer["views"]] == [view["id"]]
        assert words in (await slack.problems())[0]


async def test_a_submission_that_fails_keeps_what_was_typed(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        text = {"type": "plain_text_input", "action_id": "a", "max_length": 5}
        view = await opened(slack, modal(field(text, block_id="b")))
        answer = await submit(slack, view, b={"a": "typed"})
        assert answer["status"] == "dispatch_failed"
        assert answer["views"][0]["state"]["values"]["b"]["a"]["value"] == "typed"
        bad: dict[str, Any] = {"user": "U_AGENT", "view_id": view["id"]}
        refused = await slack.post("slack/submit", expect=400, **bad, values={"no": {}})
        assert "no input block no" in refused["error"]
        refused = await slack.post("slack/submit", expect=400, **bad, values={"b": {"a": "too long"}})
        assert "at most 5" in refused["error"]


async def test_an_update_keeps_what_was_typed_into_inputs_that_remain(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        text = {"type": "plain_text_input", "action_id": "a"}
        dated = {"type": "datepicker", "action_id": "d", "initial_date": "2026-02-01"}
        view = await opened(slack, modal(field(text, block_id="b")))
        await slack.post("slack/action", user="U_AGENT", view_id=view["id"], action_id="a", value="typed")
        fresh = modal(field(text, block_id="b"), field(dated, block_id="c"))
        await slack.api("views.update", view_id=view["id"], view=fresh)
        [shown] = await slack.modals()
        assert shown["state"]["values"]["b"]["a"]["value"] == "typed"
        assert shown["state"]["values"]["c"]["d"]["selected_date"] == "2026-02-01"


async def test_replacing_needs_an_original(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        app = App()
        async with slack.serving_raw(app.answer):
            await slack.command("/isp")
        body = {"text": "new", "replace_original": True}
        async with slack.http.post(app.forms[0]["response_url"], json=body) as response:
            assert response.status == 200
        assert (await slack.last())["text"] == "new"
        assert "nothing to replace" in (await slack.problems())[0]


async def test_an_ephemeral_card_is_deleted_through_its_response_url(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        await slack.api(
            "chat.postEphemeral", channel="C_SUPPORT", user="U_AGENT", text="x", blocks=[actions(button())]
        )
        app = App()
        async with slack.serving_raw(app.answer):
            await slack.press(await slack.last(), "press")
        url = app.payloads[0]["response_url"]
        async with slack.http.post(url, json={"delete_original": True}) as response:
            assert response.status == 200
        assert await slack.messages() == []
        async with slack.http.post(url, json={"delete_original": "true"}) as response:
            assert (response.status, (await response.json())["error"]) == (404, "message_not_found")
