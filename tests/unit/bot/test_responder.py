"""How an asker is told: by response_url, else ephemeral, else a direct message, else it is an error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.respond import URL_PURPOSE, URL_USES
from handlers.reply import File, Reply, To
from store.models import Interaction
from tests.builders import KEYRING, interaction
from tests.conftest import FakeClock
from tests.unit.bot.support import WORKER, Office
from tests.unit.sandbox.bolt_app import Slack

HELLO = Reply("hello", [{"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}])


async def _asked(office: Office, url: str | None = None, **more: Any) -> Interaction:
    """An interaction on disk, with a fresh response_url of the sandbox."""
    if url is None:
        url = office.slack.part.desk.response_urls.issue("U_AGENT", "C_SUPPORT")
    payload = {"user": "U_AGENT", "channel": "C_SUPPORT"} | more.pop("payload", {})
    item = interaction(
        "i-1",
        payload=payload,
        received_at=office.store.clock(),
        response_url=KEYRING.encrypt(URL_PURPOSE, url.encode()) if url else b"",
        **more,
    )
    async with office.store.system() as tx:
        await tx.interactions.add([item], worker=WORKER, lease_s=30)
    return item


async def _ways(slack: Slack) -> list[str]:
    """The calls by which something was said, in their order, with what they answered."""
    ways = ("response_url", "chat.postEphemeral", "chat.postMessage")
    return [f"{e['method']} {e['status']}" for e in await slack.get("wire") if e["method"] in ways]


async def test_a_young_response_url_is_used_first(office: Office) -> None:
    await office.responder.deliver(await _asked(office), HELLO)
    assert await _ways(office.slack) == ["response_url 200"]
    shown = await office.slack.last()
    assert (shown["text"], shown["ephemeral_to"]) == ("hello", "U_AGENT")


async def test_five_answers_go_by_the_url_and_the_sixth_as_an_ephemeral_message(office: Office) -> None:
    item = await _asked(office)
    for _ in range(URL_USES + 1):
        await office.responder.deliver(item, HELLO)
    assert await _ways(office.slack) == ["response_url 200"] * 5 + ["chat.postEphemeral 200"]
    assert await office.slack.problems() == []


async def test_an_answer_of_after_half_an_hour_does_not_try_the_url(office: Office, clock: FakeClock) -> None:
    item = await _asked(office)
    clock.advance(minutes=31)
    await office.responder.deliver(item, HELLO)
    assert await _ways(office.slack) == ["chat.postEphemeral 200"]


@pytest.mark.parametrize("status", [404, 410, 500])
async def test_a_url_that_slack_refuses_is_followed_by_an_ephemeral_message(
    office: Office, status: int
) -> None:
    office.behaves("response_url", status=status, times=1)
    await office.responder.deliver(await _asked(office), HELLO)
    assert await _ways(office.slack) == [f"response_url {status}", "chat.postEphemeral 200"]
    assert (await office.slack.last())["ephemeral_to"] == "U_AGENT"


async def test_a_url_nobody_answers_is_followed_by_an_ephemeral_message(office: Office) -> None:
    await office.responder.deliver(await _asked(office, "http://127.0.0.1:9/slack/response/x"), HELLO)
    assert await _ways(office.slack) == ["chat.postEphemeral 200"]


async def test_a_url_under_a_key_that_is_gone_is_left_alone(office: Office) -> None:
    item = replace(await _asked(office), response_url=b"gAAAAA not ours")
    await office.responder.deliver(item, HELLO)
    assert await _ways(office.slack) == ["chat.postEphemeral 200"]


async def test_without_a_seat_in_the_channel_the_answer_is_a_direct_message(office: Office) -> None:
    await office.slack.post("slack/membership", channel="C_SUPPORT", user="U_BOT", member=False)
    office.behaves("response_url", status=404, times=1)
    await office.responder.deliver(await _asked(office), HELLO)
    (shown,) = await office.slack.messages("U_AGENT", "D_U_AGENT")
    assert shown["text"] == "hello"
    assert await office.slack.messages("U_AGENT", "C_SUPPORT") == []


async def test_without_any_channel_the_answer_is_a_direct_message(office: Office) -> None:
    await office.responder.deliver(await _asked(office, "", payload={"channel": ""}), HELLO)
    (shown,) = await office.slack.messages("U_AGENT", "D_U_AGENT")
    assert shown["text"] == "hello"


async def test_when_no_way_is_left_it_is_an_error_and_not_silence(office: Office) -> None:
    office.behaves("response_url", status=404)
    office.behaves("chat.postEphemeral", error="internal_error")
    with pytest.raises(SlackApiError):
        await office.responder.deliver(await _asked(office), HELLO)


async def test_replacing_takes_the_place_of_the_pressed_message(office: Office) -> None:
    first = office.slack.part.desk.messages.add("C_SUPPORT", "U_BOT", "before", ephemeral_to="U_AGENT")
    urls = office.slack.part.desk.response_urls
    url = urls.issue("U_AGENT", "C_SUPPORT", original_ts=first["ts"])
    await office.responder.deliver(await _asked(office, url), Reply("after", to=To.REPLACE))
    (shown,) = await office.slack.messages()
    assert (shown["text"], shown["ts"]) == ("after", first["ts"])


async def test_an_answer_never_takes_the_place_of_a_card_that_everybody_sees(office: Office) -> None:
    desk = office.slack.part.desk
    card = desk.messages.add("C_SUPPORT", "U_BOT", "the card")
    async with office.store.begin(1) as tx:
        await tx.posts.want("delivery", "d1", "C_SUPPORT")
    async with office.store.system() as tx:
        (post,) = await tx.posts.claim_behind(worker=WORKER, lease_s=30)
        await tx.posts.shown(
            post, ts=card["ts"], revision=post.wanted, channel="C_SUPPORT", next_edit=office.store.clock()
        )
    url = desk.response_urls.issue("U_AGENT", "C_SUPPORT", original_ts=card["ts"])
    item = await _asked(office, url, payload={"message_ts": card["ts"]})
    await office.responder.deliver(item, Reply("*k@gmial.com* again", to=To.REPLACE))
    shared, own = await office.slack.messages()
    assert (shared["text"], shared["ts"]) == ("the card", card["ts"])
    assert (own["text"], own["ephemeral_to"]) == ("*k@gmial.com* again", "U_AGENT")


async def test_telling_at_once_uses_a_fresh_url_and_without_one_does_nothing(office: Office) -> None:
    await office.responder.tell("", HELLO)
    assert await _ways(office.slack) == []
    await office.responder.tell(office.slack.part.desk.response_urls.issue("U_AGENT", "C_SUPPORT"), HELLO)
    assert await _ways(office.slack) == ["response_url 200"]


async def test_buttons_are_signed_on_every_way(office: Office) -> None:
    button = {"type": "button", "action_id": "find.open:1", "value": {"s": "1"}}
    button["text"] = {"type": "plain_text", "text": "Open"}
    reply = Reply("pick", [{"type": "actions", "elements": [button]}])
    await office.responder.deliver(await _asked(office), reply)
    shown = (await office.slack.last())["blocks"][0]["elements"][0]
    assert office.signer.read(1, "find.open", shown["value"]) == {"s": "1"}


async def test_a_file_lies_in_the_askers_direct_message_whole_and_with_its_words(office: Office) -> None:
    content = "account,cause\n1042,the mailbox is full\n".encode("utf-8-sig")
    await office.responder.deliver(await _asked(office), File("failures.csv", "1 row, <today>", content))
    (message,) = await office.slack.get("slack/messages", channel="D_U_AGENT", user="U_AGENT")
    (file,) = message["files"]
    assert (file["name"], file["size"]) == ("failures.csv", len(content))
    assert message["text"] == "1 row, &lt;today&gt;"
    assert await _ways(office.slack) == []
    assert await office.slack.problems() == []


async def test_a_file_that_slack_does_not_take_is_an_error_and_no_message(office: Office) -> None:
    office.behaves("files.getUploadURLExternal", error="missing_scope", times=1)
    with pytest.raises(SlackApiError):
        await office.responder.deliver(await _asked(office), File("failures.csv", "1 row", b"x"))
    assert await office.slack.get("slack/messages", channel="D_U_AGENT", user="U_AGENT") == []
