"""The gate out to Slack: posted once, edited in place, faults waited out, nothing posted twice."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from bot.poster import POST_BURST, Poster
from bot.wiring import discover_surfaces
from notifier.tracking import DELIVERY_SURFACE
from store.models import Confidence, EventKind, Post
from store.types import new_id
from tests.builders import event
from tests.conftest import FakeClock
from tests.unit.bot.support import WORKER, Office
from tests.unit.handlers import cast


async def _wanted(office: Office, channel: str = "C_SUPPORT") -> tuple[UUID, UUID]:
    """A card wanted in a channel: (notification, its delivery)."""
    sid = await cast.dana(office.store)
    notification, (delivery,) = await cast.sent(
        office.store, str(new_id()), sid, "dana@inbox.example", requested_by="U_AGENT"
    )
    async with office.store.begin(1) as tx:
        await tx.posts.want(DELIVERY_SURFACE, str(notification.id), channel)
    return notification.id, delivery.id


async def _post(office: Office, notification: UUID) -> Post:
    async with office.store.read(1) as tx:
        (post,) = await tx.posts.of(DELIVERY_SURFACE, str(notification))
    return post


async def _error(office: Office) -> str | None:
    async with office.store.read(1) as tx:
        found: str | None = (await tx.conn.execute(text("SELECT error FROM posts"))).scalar_one()
    return found


async def _relayed(office: Office, delivery: UUID) -> None:
    more: dict[str, Any] = {"confidence": Confidence.HANDED_TO_RELAY, "remote": "visp"}
    await cast.learn(office.store, event(delivery, at=office.store.clock(), **more))


async def _calls(office: Office, *methods: str) -> list[str]:
    return [e["method"] for e in await office.slack.get("wire") if e["method"] in methods]


async def test_a_card_is_posted_once_and_edited_in_place(office: Office, clock: FakeClock) -> None:
    notification, delivery = await _wanted(office)
    assert await office.poster.show_behind() == 1
    (card,) = await office.slack.messages("U_LEAD")
    assert card["text"] == "Test mail: Under way"
    await _relayed(office, delivery)
    clock.advance(seconds=2)
    assert await office.poster.show_behind() == 1
    (edited,) = await office.slack.messages("U_LEAD")
    assert (edited["ts"], edited["edits"]) == (card["ts"], 1)
    assert edited["text"] == "Test mail: Handed to the relay"
    post = await _post(office, notification)
    assert (post.ts, post.wanted, post.shown, post.posting) == (card["ts"], 2, 2, False)
    assert await office.slack.problems() == []


async def test_what_is_shown_already_is_left_alone(office: Office) -> None:
    await _wanted(office)
    assert [await office.poster.show_behind() for _ in range(3)] == [1, 0, 0]


async def test_changes_that_come_close_together_become_one_edit(office: Office, clock: FakeClock) -> None:
    notification, delivery = await _wanted(office)
    await office.poster.show_behind()
    for kind in (EventKind.DEFERRED, EventKind.IN_DOUBT, EventKind.DELAYED):
        await cast.learn(office.store, event(delivery, kind, at=clock()))
    assert await office.poster.show_behind() == 0
    clock.advance(seconds=2)
    assert await office.poster.show_behind() == 1
    (card,) = await office.slack.messages("U_LEAD")
    assert card["edits"] == 1
    assert (await _post(office, notification)).shown == 4


async def test_a_rate_limit_is_waited_out_for_as_long_as_slack_says(office: Office, clock: FakeClock) -> None:
    await _wanted(office)
    office.behaves("chat.postMessage", status=429, retry_after=30, times=1)
    await office.poster.show_behind()
    assert await office.slack.messages("U_LEAD") == []
    clock.advance(seconds=29)
    assert await office.poster.show_behind() == 0
    clock.advance(seconds=2)
    assert await office.poster.show_behind() == 1
    assert len(await office.slack.messages("U_LEAD")) == 1


async def test_a_post_whose_answer_was_lost_is_found_again_and_not_posted_twice(
    office: Office, clock: FakeClock
) -> None:
    notification, _ = await _wanted(office)
    office.behaves("chat.postMessage", lose_response=True, times=1)
    await office.poster.show_behind()
    assert (await _post(office, notification)).ts is None
    clock.advance(seconds=10)
    await office.poster.show_behind()
    (card,) = await office.slack.messages("U_LEAD")
    assert (await _post(office, notification)).ts == card["ts"]
    assert await _calls(office, "chat.postMessage", "conversations.history", "chat.update") == [
        "chat.postMessage",
        "conversations.history",
        "chat.update",
    ]


async def test_a_direct_message_whose_answer_was_lost_is_not_sent_twice(
    office: Office, clock: FakeClock
) -> None:
    """A person's id stands for their direct message when one posts, not when one looks."""
    notification, _ = await _wanted(office, "U_LEAD")
    office.behaves("chat.postMessage", lose_response=True, times=1)
    await office.poster.show_behind()
    clock.advance(seconds=10)
    await office.poster.show_behind()
    (told,) = await office.slack.messages("U_LEAD", "D_U_LEAD")
    assert await office.slack.messages("U_LEAD") == []
    post = await _post(office, notification)
    assert (post.ts, post.place) == (told["ts"], "D_U_LEAD")


async def test_a_post_that_was_never_made_is_made_after_looking_for_it(
    office: Office, clock: FakeClock
) -> None:
    await _wanted(office)
    office.behaves("chat.postMessage", status=500, times=1)
    await office.poster.show_behind()
    clock.advance(minutes=2)
    await office.poster.show_behind()
    assert len(await office.slack.messages("U_LEAD")) == 1


async def test_another_cards_message_is_not_taken_for_the_lost_one(office: Office, clock: FakeClock) -> None:
    await _wanted(office)
    await office.poster.show_behind()
    office.behaves("chat.postMessage", status=500, times=1)
    await _wanted(office)
    await office.poster.show_behind()
    clock.advance(minutes=2)
    await office.poster.show_behind()
    assert len(await office.slack.messages("U_LEAD")) == 2


async def test_where_the_bot_is_not_a_member_the_card_goes_to_the_support_channel(office: Office) -> None:
    await office.slack.post("slack/membership", channel="C_ONCALL", user="U_BOT", member=False)
    notification, _ = await _wanted(office, "C_ONCALL")
    await office.poster.show_behind()
    await office.poster.show_behind()
    assert len(await office.slack.messages("U_LEAD", "C_SUPPORT")) == 1
    post = await _post(office, notification)
    assert (post.channel, post.posted_in) == ("C_ONCALL", "C_SUPPORT")


async def test_a_channel_that_does_not_exist_is_replaced_by_the_support_channel(office: Office) -> None:
    await _wanted(office, "C_GONE")
    await office.poster.show_behind()
    await office.poster.show_behind()
    assert len(await office.slack.messages("U_LEAD", "C_SUPPORT")) == 1


async def test_when_the_support_channel_is_closed_too_it_waits_and_the_row_says_why(office: Office) -> None:
    await office.slack.post("slack/membership", channel="C_SUPPORT", user="U_BOT", member=False)
    notification, _ = await _wanted(office)
    await office.poster.show_behind()
    post = await _post(office, notification)
    assert (post.shown, post.wanted, post.ts) == (0, 1, None)
    async with office.store.read(1) as tx:
        errors = (await tx.conn.execute(text("SELECT surface, error FROM posts"))).all()
    assert ("delivery", "not_in_channel") in {tuple(row) for row in errors}


async def test_a_card_that_somebody_deleted_is_not_posted_again(office: Office, clock: FakeClock) -> None:
    _, delivery = await _wanted(office)
    await office.poster.show_behind()
    (card,) = await office.slack.messages("U_LEAD")
    await office.slack.api("chat.delete", channel="C_SUPPORT", ts=card["ts"])
    await _relayed(office, delivery)
    clock.advance(seconds=2)
    await office.poster.show_behind()
    clock.advance(seconds=2)
    assert await office.poster.show_behind() == 0
    assert await office.slack.messages("U_LEAD") == []
    assert await _error(office) == "message_not_found"


@pytest.mark.parametrize("surface", [DELIVERY_SURFACE, "a surface of an older version"])
async def test_what_cannot_be_drawn_is_given_up(office: Office, surface: str) -> None:
    async with office.store.begin(1) as tx:
        await tx.posts.want(surface, str(new_id()), "C_SUPPORT")
    assert [await office.poster.show_behind() for _ in range(2)] == [1, 0]
    assert await _error(office) == "nothing to show"
    assert await office.slack.messages("U_LEAD") == []


async def test_a_card_that_cannot_be_drawn_this_time_holds_up_no_other(
    office: Office, clock: FakeClock
) -> None:
    async with office.store.begin(1) as tx:
        await tx.posts.want(DELIVERY_SURFACE, "not an id", "C_SUPPORT")
    await _wanted(office)
    assert await office.poster.show_behind() == 2
    assert len(await office.slack.messages("U_LEAD")) == 1
    clock.advance(minutes=2)
    assert await office.poster.show_behind() == 1


async def test_two_posters_show_one_card_once(office: Office) -> None:
    await _wanted(office)
    async with office.store.system() as tx:
        (claimed,) = await tx.posts.claim_behind(worker="desk2-bot", lease_s=30)
    assert claimed.attempt == 1
    assert await office.poster.show_behind() == 0
    await office.poster.release(["desk2-bot"])
    assert await office.poster.show_behind() == 1
    assert len(await office.slack.messages("U_LEAD")) == 1


async def test_a_poster_that_lost_its_lease_records_nothing(office: Office) -> None:
    notification, _ = await _wanted(office)
    async with office.store.system() as tx:
        (stale,) = await tx.posts.claim_behind(worker=WORKER, lease_s=-1)
        (fresh,) = await tx.posts.claim_behind(worker="desk2-bot", lease_s=30)
        assert not await tx.posts.about_to_post(stale)
        assert await tx.posts.about_to_post(fresh)
    assert (await _post(office, notification)).posting


async def test_the_loop_shows_what_is_wanted_as_soon_as_it_is_wanted(office: Office) -> None:
    changes = office.slack.site.world.changes
    running = asyncio.create_task(office.poster.run())
    await _wanted(office)
    seen = changes.seq
    while not await office.slack.messages("U_LEAD"):
        seen = await changes.wait({"slack"}, seen, 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _poster(office: Office, passed: list[float]) -> Poster:
    """One whose pace is measured by `passed`, seconds."""
    return Poster(
        store=office.store,
        services=office.services,
        surfaces=discover_surfaces(),
        clients={1: office.client},
        signer=office.signer,
        worker=WORKER,
        lease_s=30,
        monotonic=lambda: passed[0],
    )


async def _shown(office: Office, wanted: list[UUID]) -> list[bool]:
    return [(await _post(office, notification)).ts is not None for notification in wanted]


async def test_a_burst_is_spread_before_slack_has_to_refuse_it(office: Office, clock: FakeClock) -> None:
    passed = [0.0]
    poster = _poster(office, passed)
    wanted = [(await _wanted(office))[0] for _ in range(POST_BURST + 3)]
    await poster.show_behind()
    assert await _shown(office, wanted) == [True] * POST_BURST + [False] * 3
    wanted.append((await _wanted(office))[0])
    await poster.show_behind()
    passed[0] += 1.1  # one more may go
    clock.advance(seconds=3)
    await poster.show_behind()
    assert await _shown(office, wanted) == [True] * (POST_BURST + 1) + [False] * 3, "nobody overtakes"
    assert await office.slack.problems() == []


async def test_a_thread_reads_in_order_though_its_first_post_comes_late(
    office: Office, clock: FakeClock
) -> None:
    poster = _poster(office, [0.0])
    root = (await _wanted(office))[0]
    parent = await _post(office, root)
    lines: list[UUID] = []
    for _ in range(2):
        sid = await cast.add(office.store, f"9{len(lines)}", name="Ann Lee")
        notification, _ = await cast.sent(office.store, str(new_id()), sid, "dana@inbox.example")
        async with office.store.begin(1) as tx:
            await tx.posts.want(DELIVERY_SURFACE, str(notification.id), "C_SUPPORT", parent=parent.id)
        lines.append(notification.id)
    async with office.store.begin(1) as tx:  # another poster has the root in hand
        await tx.conn.execute(
            text("UPDATE posts SET not_before = not_before + 500000 WHERE parent_id IS NULL")
        )
    await poster.show_behind()
    assert await _shown(office, [root, *lines]) == [False, False, False]
    clock.advance(seconds=1)
    await poster.show_behind()
    found = [m for m in await office.slack.messages("U_LEAD") if m["thread_ts"]]
    first, second = [(await _post(office, line)).ts for line in lines]
    assert [m["ts"] for m in found] == [first, second]
