"""Posts: what is wanted against what is shown, one poster at a time, on both databases."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

from store.models import Post
from store.unit import Store
from tests.builders import NOW
from tests.conftest import FakeClock


async def want(store: Store, key: str = "k", channel: str = "C_SUPPORT", **more: Any) -> None:
    async with store.begin(more.pop("tenant", 1)) as tx:
        await tx.posts.want("delivery", key, channel, **more)


async def bump(store: Store, *refs: tuple[int, str]) -> None:
    async with store.system() as tx:
        await tx.posts.bump("delivery", refs)


async def claim(store: Store, **more: Any) -> list[Post]:
    fields: dict[str, Any] = {"worker": "p1", "lease_s": 60.0}
    async with store.system() as tx:
        return await tx.posts.claim_behind(**(fields | more))


async def show(store: Store, post: Post, revision: int | None = None, **more: Any) -> bool:
    fields: dict[str, Any] = {
        "ts": "1700.1",
        "revision": post.wanted if revision is None else revision,
        "channel": post.channel,
        "next_edit": NOW,
    }
    async with store.system() as tx:
        return await tx.posts.shown(post, **(fields | more))


async def only(store: Store, key: str = "k", tenant: int = 1) -> Post:
    async with store.read(tenant) as tx:
        (post,) = await tx.posts.of("delivery", key)
        assert await tx.posts.get(post.id) == post
    return post


async def test_a_post_may_stand_from_the_call_until_its_place_or_a_refusal_is_recorded(store: Store) -> None:
    async def may_stand(surface: str = "delivery", channel: str = "C_SUPPORT") -> bool:
        async with store.read(1) as tx:
            return await tx.posts.may_stand(surface, channel)

    await want(store)
    (post,) = await claim(store)
    assert not await may_stand()
    async with store.system() as tx:
        await tx.posts.about_to_post(post)
    assert await may_stand()
    assert not await may_stand("conversation")
    assert not await may_stand(channel="C_OTHER")
    await show(store, post)
    assert not await may_stand()

    await want(store, "refused")
    (post,) = await claim(store)
    async with store.system() as tx:
        await tx.posts.about_to_post(post)
        await tx.posts.put_off(post, until=NOW, error="not_in_channel", refused=True)
    assert not await may_stand()


async def test_wanting_the_same_post_again_changes_nothing(store: Store) -> None:
    await want(store, thread_ts="1699.5")
    first = await only(store)
    await want(store, thread_ts="1699.5")
    assert await only(store) == first
    assert (first.wanted, first.shown, first.ts, first.thread_ts, first.posting) == (
        1,
        0,
        None,
        "1699.5",
        False,
    )


async def test_the_same_thing_may_be_shown_in_several_channels(store: Store) -> None:
    await want(store, channel="C_SUPPORT")
    await want(store, channel="C_ONCALL")
    async with store.read(1) as tx:
        posts = await tx.posts.of("delivery", "k")
    assert {post.channel for post in posts} == {"C_SUPPORT", "C_ONCALL"}
    await bump(store, (1, "k"))
    assert {post.wanted for post in await claim(store)} == {2}


async def test_a_bump_reaches_its_own_tenants_posts_only(store: Store) -> None:
    await want(store)
    await want(store, tenant=2)
    await bump(store, (1, "k"), (1, "k"), (1, "nobody shows this"))
    assert ((await only(store)).wanted, (await only(store, tenant=2)).wanted) == (2, 1)


async def test_a_post_that_is_behind_is_claimed_once(store: Store) -> None:
    await want(store)
    (post,) = await claim(store)
    assert (post.wanted, post.shown, post.attempt) == (1, 0, 1)
    assert await claim(store, worker="p2") == []


async def test_concurrent_posters_never_share_a_post(store: Store) -> None:
    for n in range(20):
        await want(store, f"k{n}")
    batches = await asyncio.gather(*(claim(store, worker=f"p{n}", limit=3) for n in range(8)))
    taken = [post.id for batch in batches for post in batch]
    assert len(taken) == len(set(taken))


async def test_what_is_shown_is_up_to_date_until_the_next_bump(store: Store) -> None:
    await want(store)
    (post,) = await claim(store)
    assert await show(store, post)
    assert await claim(store) == []
    shown = await only(store)
    assert (shown.ts, shown.shown, shown.posting) == ("1700.1", 1, False)
    await bump(store, (1, "k"))
    assert [p.wanted for p in await claim(store)] == [2]


async def test_a_bump_while_it_is_being_shown_is_not_lost(store: Store) -> None:
    await want(store)
    (post,) = await claim(store)
    await bump(store, (1, "k"))
    assert await show(store, post)
    assert [(p.wanted, p.shown) for p in await claim(store)] == [(2, 1)]


async def test_edits_are_coalesced_until_the_next_edit_is_allowed(store: Store, clock: FakeClock) -> None:
    await want(store)
    (post,) = await claim(store)
    await show(store, post, next_edit=clock.now + timedelta(seconds=3))
    for _ in range(5):
        await bump(store, (1, "k"))
    assert await claim(store) == []
    clock.advance(seconds=3)
    assert [(p.wanted, p.shown) for p in await claim(store)] == [(6, 1)]


async def test_a_poster_that_lost_its_lease_cannot_record_anything(store: Store) -> None:
    await want(store)
    (old,) = await claim(store, lease_s=-1)
    (new,) = await claim(store, worker="p2")
    assert new.attempt == 2
    assert not await show(store, old, ts="1700.9")
    async with store.system() as tx:
        assert not await tx.posts.about_to_post(old)
        assert not await tx.posts.put_off(old, until=NOW, error="late")
        assert not await tx.posts.give_up(old, error="late")
        assert not await tx.posts.redirect(old, "C_ONCALL")
    assert await only(store) == new
    assert await show(store, new, ts="1700.2")


async def test_a_dead_posters_post_is_free_before_its_lease_ends(store: Store) -> None:
    await want(store)
    await claim(store, worker="p1")
    assert await claim(store, worker="p2", dead_worker="p3") == []
    assert len(await claim(store, worker="p2", dead_worker="p1")) == 1


async def test_a_call_whose_answer_was_lost_stays_marked_until_it_is_shown(store: Store) -> None:
    await want(store)
    (post,) = await claim(store, lease_s=-1)
    async with store.system() as tx:
        assert await tx.posts.about_to_post(post)
    (again,) = await claim(store)
    assert again.posting
    await show(store, again)
    assert not (await only(store)).posting


async def test_a_post_put_off_comes_back_when_its_time_has_come(store: Store, clock: FakeClock) -> None:
    await want(store)
    (post,) = await claim(store)
    async with store.system() as tx:
        assert await tx.posts.put_off(post, until=clock.now + timedelta(seconds=30), error="ratelimited")
    assert await claim(store) == []
    clock.advance(seconds=30)
    assert len(await claim(store)) == 1


async def test_a_post_given_up_is_left_alone_until_it_changes_again(store: Store) -> None:
    await want(store)
    await bump(store, (1, "k"))
    (post,) = await claim(store)
    async with store.system() as tx:
        assert await tx.posts.give_up(post, error="channel_not_found")
    assert await claim(store) == []
    await bump(store, (1, "k"))
    assert len(await claim(store)) == 1


async def test_a_redirected_post_is_free_to_be_shown_elsewhere(store: Store) -> None:
    await want(store)
    (post,) = await claim(store)
    async with store.system() as tx:
        assert await tx.posts.redirect(post, "D_U_AGENT")
    (again,) = await claim(store)
    assert (again.channel, again.posted_in) == (post.channel, "D_U_AGENT"), "what was asked for is kept"
    await want(store)
    assert await only(store) == again, "asking once more is still the same post"


async def test_bumping_wakes_the_poster_only_when_something_is_shown(store: Store) -> None:
    waiting = store.signals.subscribe("posts")
    await bump(store, (1, "k"))
    assert not await waiting.wait(0)
    await want(store)
    assert await waiting.wait(5)
    await bump(store, (1, "k"))
    assert await waiting.wait(5)
    waiting.close()


async def test_many_who_bump_the_same_posts_do_not_wait_for_each_other_for_ever(
    postgres_store: Store,
) -> None:
    """PostgreSQL ends such a wait with an error, and rows move about as they are changed."""
    keys = [str(number) for number in range(150)]
    async with postgres_store.begin(1) as tx:
        for key in keys:
            await tx.posts.want("delivery", key, "C_SUPPORT")

    async def often(seed: int) -> None:
        chosen = random.Random(seed)  # repeatable, hides nothing
        for _ in range(25):
            async with postgres_store.system() as tx:
                await tx.posts.bump("delivery", [(1, key) for key in chosen.sample(keys, 100)])

    await asyncio.gather(*(often(seed) for seed in range(5)))
    async with postgres_store.read(1) as tx:
        bumped = [(await tx.posts.of("delivery", key))[0].wanted - 1 for key in keys]
    assert sum(bumped) == 5 * 25 * 100
