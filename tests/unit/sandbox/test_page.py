"""The page as the server renders it: formats, hostile text, and what each person sees."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.page import times
from sandbox.page.commands import command_offers
from sandbox.page.emoji import EMOJI
from sandbox.page.mrkdwn import is_safe, linked, markdown, mrkdwn, plain, rich
from sandbox.page.render import MESSAGES_SHOWN, WIRE_SHOWN, Renderer
from sandbox.page.scene import MOST_PAGES, read_scene
from sandbox.slack import SlackPart
from sandbox.world import World
from tests.desk import ROOT
from tests.unit.sandbox.bolt_app import Slack, slack_world

HOSTILE = "<img src=x onerror=alert(1)>\"'&<!channel><javascript:alert(1)|free money>"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* _it_ ~gone~ `co*d*e`", "<strong>bold</strong> <em>it</em> <s>gone</s> <code>co*d*e</code>"),
        ("2*3*4 and snake_case_name", "2*3*4 and snake_case_name"),
        ("a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"),
        (":tada: :unknown_thing:", "🎉 :unknown_thing:"),
        ("<@U_LEAD>", '<span class="mention">@Leo Lead</span>'),
        ("<#C_SUPPORT>", '<span class="mention">#support</span>'),
        ("<!here>", '<span class="mention loud">@here</span>'),
        ("<!date^1700000000^{date}|then>", "2023-11-14"),
        ("<javascript:alert(1)|click>", "click"),
    ],
)
def test_mrkdwn_becomes_the_tags_that_slack_shows(text: str, html: str) -> None:
    assert mrkdwn(text) == f"<p>{html}</p>"


def test_links_open_elsewhere_and_only_with_known_schemes() -> None:
    assert 'href="https://example.org/?a=1&amp;b=2"' in mrkdwn("<https://example.org/?a=1&amp;b=2|pay>")
    assert 'href="https://example.org/x"' in mrkdwn("see https://example.org/x.")
    assert [is_safe(one) for one in ("https://a.b", "mailto:a@b.c", "javascript:x", "data:x", "//[")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_quotes_lists_and_fences_are_blocks() -> None:
    assert mrkdwn("&gt; one\n&gt; two\nafter") == "<blockquote>one<br>two</blockquote><p>after</p>"
    assert mrkdwn("• a\n• b") == "<ul><li>a</li><li>b</li></ul>"
    assert mrkdwn("```\n*x* &lt;y&gt;```") == "<pre>*x* &lt;y&gt;</pre>"
    assert markdown("# T\n**b** [l](https://a.b)").startswith(
        "<p><strong>T</strong><br><strong>b</strong> <a "
    )


@pytest.mark.parametrize("made", [mrkdwn(HOSTILE), plain(HOSTILE), markdown(HOSTILE)])
def test_hostile_text_never_becomes_a_tag_of_its_own(made: str) -> None:
    assert "<img" not in made
    assert "href" not in made


def test_rich_text_is_escaped_and_styled() -> None:
    element = {
        "type": "rich_text_section",
        "elements": [
            {"type": "text", "text": "<b>", "style": {"bold": True}},
            {"type": "link", "url": "javascript:x", "text": "no"},
        ],
    }
    assert rich(element) == "<p><strong>&lt;b&gt;</strong>no</p>"


@pytest.mark.parametrize(
    ("query", "user", "channel"),
    [
        ({}, "U_AGENT", "C_SUPPORT"),
        ({"user": "U_NOBODY", "channel": "C_NOWHERE"}, "U_AGENT", "C_SUPPORT"),
        ({"user": "U_LEAD", "channel": "D_U_AGENT"}, "U_LEAD", "C_SUPPORT"),
        ({"user": "U_LEAD", "channel": "D_U_LEAD"}, "U_LEAD", "D_U_LEAD"),
        ({"user": "U_BOT", "channel": "home"}, "U_AGENT", "home"),
    ],
)
def test_the_address_never_shows_what_a_person_cannot_see(
    query: dict[str, str], user: str, channel: str
) -> None:
    scene = read_scene(query)
    assert (scene.user.id, scene.channel) == (user, channel)


async def page(slack: Slack, **query: str) -> str:
    async with slack.http.get(f"{slack.site.url}/", params=query) as response:
        assert response.status == 200
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        return await response.text()


async def test_everything_in_a_message_is_escaped(tmp_path: Path) -> None:
    text = {"type": "plain_text", "text": HOSTILE[:70]}
    option = {"text": text, "value": HOSTILE}
    confirm = {"title": text, "text": text, "confirm": text | {"text": "<i>"}, "deny": text | {"text": "<u>"}}
    button: dict[str, Any] = {"type": "button", "text": text, "value": HOSTILE, "action_id": HOSTILE}
    blocks = [
        {"type": "header", "text": text},
        {"type": "section", "text": {"type": "mrkdwn", "text": HOSTILE}, "fields": [text]},
        {"type": "context", "elements": [{"type": "image", "image_url": HOSTILE, "alt_text": HOSTILE}]},
        {"type": "actions", "elements": [button | {"confirm": confirm, "url": "javascript:alert(1)"}]},
        {
            "type": "actions",
            "elements": [{"type": "static_select", "options": [option], "placeholder": text}],
        },
        {"type": "actions", "elements": [{"type": "overflow", "options": [option]}]},
        {"type": "actions", "elements": [{"type": "checkboxes", "options": [option]}]},
        {"type": "input", "label": text, "element": {"type": "plain_text_input", "initial_value": HOSTILE}},
        {"type": "table", "rows": [[{"type": "raw_text", "text": HOSTILE}]]},
        {"type": "markdown", "text": HOSTILE},
    ]
    async with slack_world(tmp_path) as slack:
        answer = await slack.api("chat.postMessage", channel="C_SUPPORT", text=HOSTILE, blocks=blocks)
        assert answer["ok"] is True, answer
        html = await page(slack)
    assert "<img" not in html
    assert not re.search(r'(href|data-url)="javascript', html)
    # An attribute that ended early would leave onerror as an attribute of its own.
    assert not re.search(r'<[^<>]*"[^<>"=]*\sonerror=', html)


async def test_ephemeral_messages_are_marked_and_shown_to_their_user_alone(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        await slack.api("chat.postEphemeral", channel="C_SUPPORT", user="U_AGENT", text="for Ana")
        assert "Only visible to you" in await page(slack)
        assert "for Ana" not in await page(slack, user="U_LEAD")


async def test_edits_threads_and_home_are_shown(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        root = await slack.api("chat.postMessage", channel="C_SUPPORT", text="the root")
        await slack.api("chat.postMessage", channel="C_SUPPORT", text="the reply", thread_ts=root["ts"])
        await slack.api("chat.update", channel="C_SUPPORT", ts=root["ts"], text="the changed root")
        html = await page(slack)
        assert "(edited)" in html
        assert "1 reply" in html
        assert "the reply" not in html
        assert "the reply" in await page(slack, thread=root["ts"])
        assert "has not published a home tab" in await page(slack, channel="home")


async def test_a_permalink_leads_to_its_message(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        root = await slack.api("chat.postMessage", channel="C_ONCALL", text="look here")
        link = await slack.api("chat.getPermalink", channel="C_ONCALL", message_ts=root["ts"])
        async with slack.http.get(link["permalink"], allow_redirects=False) as response:
            assert response.headers["Location"].endswith(f"#m-{root['ts']}")
        async with slack.http.get(link["permalink"]) as response:
            assert response.url.query["channel"] == "C_ONCALL"
            assert "look here" in await response.text()


async def test_events_tell_what_changed_and_parts_are_rendered_anew(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        seq = str(slack.site.world.changes.seq)
        async with slack.http.get(f"{slack.site.url}/page/events", params={"since": seq}) as stream:
            await slack.api("chat.postMessage", channel="C_SUPPORT", text="news")
            lines: list[str] = []
            while not lines or not lines[-1].startswith("data:"):
                lines.append((await stream.content.readline()).decode())
            assert "slack" in lines[-1]
        async with slack.http.get(
            f"{slack.site.url}/page/parts", params={"names": "messages,nothing"}
        ) as parts:
            answer = await parts.json()
        assert list(answer) == ["messages"]
        assert "news" in answer["messages"]


def test_every_emoji_that_the_product_writes_is_one_that_the_page_shows() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "handlers").rglob("*.py")]
    written = {name for text in sources for name in re.findall(r"(?<![\w:]):([a-z0-9_+-]+):(?![\w:])", text)}
    assert {"warning", "x"} <= written
    assert sorted(written - set(EMOJI) - {"mailto"}) == []  # a scheme, in one pattern


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Pay at http://127.0.0.1:8080/i/abc.", 'Pay at <a href="http://127.0.0.1:8080/i/abc"'),
        ("(https://a.example/x?y=1&z=2)", 'href="https://a.example/x?y=1&amp;z=2"'),
        ('https://a.example/"onclick="x', 'href="https://a.example/"'),
    ],
)
def test_addresses_in_texts_are_links(text: str, html: str) -> None:
    assert html in linked(text)
    assert linked(text).striptags() == " ".join(text.split())


def test_what_looks_like_an_address_and_is_none_stays_words() -> None:
    for text in ("javascript:alert(1)", "http://", "<b>https</b>", "ftp://a.example"):
        assert "<a" not in linked(text)
    assert "<b>" not in linked("<b>")


def test_times_are_those_of_the_provider_s_people() -> None:
    winter, summer = "2026-11-25T18:04:05+00:00", "2026-07-01T06:30:00+00:00"
    assert times.moment(winter) == "Nov 25, 2026, 10:04:05 AM PST"
    assert times.moment(summer) == "Jun 30, 2026, 11:30:00 PM PDT"
    now = datetime.fromisoformat("2026-11-26T05:00:00+00:00")
    assert times.brief(winter, now) == "10:04 AM"
    assert times.brief(summer, now) == "Jun 30"
    assert times.brief("2025-12-31T20:00:00+00:00", now) == "Dec 31, 2025"
    assert times.day("1764000000.000100") == "Monday, November 24, 2025"


def test_the_product_s_own_words_complete_a_command_and_a_broken_file_does_no_harm(tmp_path: Path) -> None:
    (bare,) = command_offers(tmp_path)
    assert bare["text"] == "/isp"
    (tmp_path / "commands.json").write_text(
        '[{"text": "/isp find", "usage": "/isp find <account>", "hint": "Look up"}, {"text": "/rm"}, 7]'
    )
    assert [one["usage"] for one in command_offers(tmp_path)] == ["/isp", "/isp find <account>"]
    (tmp_path / "commands.json").write_text("{broken")
    assert command_offers(tmp_path) == [bare]


def test_more_is_shown_only_of_lists_that_were_asked_for() -> None:
    scene = read_scene({"more": "messages:2,inbox:x,:3,wire:999999"})
    assert (scene.shown("messages", 10), scene.shown("inbox", 10)) == (30, 10)
    assert scene.shown("wire", 10) == 10 * (1 + MOST_PAGES)


async def test_long_lists_are_cut_and_grow_when_asked(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        for number in range(MESSAGES_SHOWN + 5):
            slack.part.desk.messages.add("C_SUPPORT", "U_BOT", f"message number {number}.")
        html = await page(slack)
        assert "message number 4." not in html
        assert "Show earlier messages" in html
        html = await page(slack, more="messages:1")
        assert "message number 4." in html
        assert "Show earlier messages" not in html


async def test_a_problem_is_still_listed_after_a_flood_of_calls(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        slack.site.world.wire.record("mail", "in", "the odd one", 200, 1.0, "that was wrong")
        for number in range(WIRE_SHOWN * 2):
            slack.site.world.wire.record("dns", "in", f"call-{number}", "NOERROR", 1.0)
        html = await page(slack)
        assert "that was wrong" in html
        assert ">call-0<" not in html
        assert "Show older calls" in html


def test_the_provider_s_own_records_come_first(tmp_path: Path) -> None:
    world = World(tmp_path)
    renderer = Renderer(world, SlackPart(world).desk)
    records = [
        {"name": name, "type": "TXT", "values": ["x"]}
        for name in ("visp.net", "cascade.example", "notcascade.example", "mail.cascade.example")
    ]
    html = renderer.dns(records)
    order = re.findall(r'data-name="([^"]+)"', html)
    assert order == ["cascade.example", "mail.cascade.example", "visp.net", "notcascade.example"]
    assert html.count(">ours<") == 2
    world.documents.close()


@pytest.mark.parametrize(
    ("state", "banner"),
    [
        ({"processes": 0}, ""),
        ({"processes": 1, "running": False, "pids": [], "ready": False}, "The product is down"),
        ({"processes": 1, "running": True, "pids": [7], "ready": False}, "is starting"),
        ({"processes": 1, "running": True, "pids": [7], "ready": True}, ""),
    ],
)
def test_a_product_that_does_not_answer_is_told(tmp_path: Path, state: dict[str, Any], banner: str) -> None:
    world = World(tmp_path)
    html = Renderer(world, SlackPart(world).desk).product(state)
    assert (banner in html) if banner else (html.strip() == "")
    world.documents.close()


async def test_only_what_others_left_outside_threads_is_news(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        messages = slack.part.desk.messages
        assert messages.newest("C_SUPPORT", "U_AGENT") == ""
        theirs = messages.add("C_SUPPORT", "U_BOT", "hello")
        messages.add("C_SUPPORT", "U_AGENT", "my own")
        messages.add("C_SUPPORT", "U_BOT", "to another", ephemeral_to="U_LEAD")
        messages.add("C_SUPPORT", "U_BOT", "in a thread", thread_ts=theirs["ts"])
        assert messages.newest("C_SUPPORT", "U_AGENT") == theirs["ts"]
