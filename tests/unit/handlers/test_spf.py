"""/isp spf: the verdict in a sentence, what to publish, and nothing obeyed that stands in DNS."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from handlers.commands.spf.command import typed_domain
from handlers.commands.spf.view import marked
from handlers.contract import Services
from handlers.profile import Role
from handlers.reply import To, UserError
from handlers.surfaces.spf import SURFACE
from handlers.surfaces.spf_word import SURFACE as WORD
from handlers.workflows.spf import SPF_SURFACE, SPF_WORD_SURFACE, SpfWatches, next_look
from notifier.mailauth import Mistake, Severity, SpfProblem, StaticResolver
from store.models import DnsWatch, Post, WatchEnd
from tests.builders import NOW
from tests.conftest import FakeClock
from tests.unit.handlers.conftest import ZONE, agent_on
from tests.unit.handlers.support import RELAY, Agent, buttons, golden, legal, profile, said


async def test_the_seeds_envelope_domain_lacks_the_include_and_gets_a_record_to_publish(agent: Agent) -> None:
    answer = await agent.types("spf")
    golden("spf_missing", answer)
    assert answer.text == (
        "mail.cascade.example does not authorise the Visp server: include:spf.visp.net is missing."
    )
    assert "*Publish this TXT record at mail.cascade.example*" in said(answer)
    assert "include:spf.visp.net" in said(answer).split("*Publish this")[1]


async def test_a_right_record_is_said_to_be_right_and_nothing_is_to_be_published(agent: Agent) -> None:
    answer = await agent.types("spf cascade.example")
    golden("spf_right", answer)
    assert answer.text == "cascade.example authorises the Visp server."
    assert "Publish this" not in said(answer)


VERDICTS = {
    "nested.example": "nested.example authorises the Visp server (through",
    "broken.example": "a mistake in the record makes it useless",
    "nothing.example": "nothing.example has no SPF record: it says nothing about who may send for it.",
    "nowhere.example": "nowhere.example has no SPF record:",
    "down.example": "DNS gave no answer for down.example, so nothing can be said.",
}


async def test_every_state_of_a_domain_has_its_sentence(agent: Agent) -> None:
    for domain, sentence in VERDICTS.items():
        assert sentence in (await agent.types(f"spf {domain}")).text, domain


async def test_two_records_are_both_shown(agent: Agent) -> None:
    answer = await agent.types("spf twice.example")
    assert said(answer).count("Published now") == 2
    assert "authorises the Visp server." not in answer.text


async def test_what_stands_in_dns_is_shown_and_not_obeyed(agent: Agent) -> None:
    shown = said(await agent.types("spf hostile.example"))
    assert "<!channel>" not in shown
    assert "&lt;!channel&gt;" in shown


async def test_recheck_asks_again_forgets_what_dns_said_and_takes_the_answers_place(
    services: Services,
) -> None:
    forgotten: list[str] = []
    agent = agent_on(replace(services, forget_dns=lambda: forgotten.append("all")))
    first = await agent.types("spf cascade.example")
    again = await agent.presses(first, "spf.recheck")
    assert (first.to, again.to) == (To.ASKER, To.REPLACE)
    assert said(again) == said(first)
    assert len(forgotten) == 2


async def test_the_longest_domain_is_answered_and_audited(agent: Agent) -> None:
    label = "a" * 60
    domain = ".".join([label] * 4)[:245] + ".example"
    answer = await agent.types(f"spf {domain}")
    assert "Try again" in said(answer) or "no SPF record" in said(answer)
    assert {"spf.recheck", "spf.share"} <= set(buttons(answer))


VISP = replace(RELAY, egress_ips=("198.51.100.10", "2001:db8:9::1"))
OWN = replace(RELAY, name="own", egress_ips=("203.0.113.25",))
ENVELOPE = "mail.cascade.example"
MENDED = "v=spf1 mx ip4:203.0.113.25 ip6:2001:db8:9::/48 include:spf.visp.net ~all"


def with_routes(services: Services, zone: dict[str, object] | None = None) -> Services:
    tenants = {1: profile(routes=(VISP, OWN)), 2: services.profile(2)}
    return replace(services, tenants=tenants, resolver=StaticResolver(zone or ZONE))


def mended(**more: object) -> dict[str, object]:
    return ZONE | {ENVELOPE: {"TXT": [MENDED]}} | more


async def test_each_sending_address_of_our_routes_gets_the_answer_that_a_receiver_would(
    services: Services,
) -> None:
    answer = await agent_on(with_routes(services)).types("spf")
    golden("spf_routes", answer)
    shown = said(answer)
    assert ":x: *visp* · 198.51.100.10 · softfail by `~all`: receivers distrust it" in shown
    assert ":x: *visp* · 2001:db8:9::1 · softfail by `~all`" in shown
    assert ":white_check_mark: *own* · 203.0.113.25 · pass by `ip4:203.0.113.25`: authorised" in shown
    after = await agent_on(with_routes(services, mended())).types("spf")
    assert after.text == "mail.cascade.example authorises the Visp server."
    assert "· pass by `include:spf.visp.net`" in said(after)
    assert "· pass by `ip6:2001:db8:9::/48`" in said(after)
    assert "spf.watch" not in buttons(after)


async def test_a_record_that_has_the_include_and_not_our_other_server_is_wrong_and_says_which(
    services: Services,
) -> None:
    zone = mended() | {ENVELOPE: {"TXT": ["v=spf1 include:spf.visp.net ip6:2001:db8:9::1 -all"]}}
    answer = await agent_on(with_routes(services, zone)).types("spf")
    assert answer.text == "mail.cascade.example does not authorise our server own."
    assert ":x: *own* · 203.0.113.25 · fail by `-all`: receivers refuse it" in said(answer)
    assert "spf.watch" in buttons(answer)
    record = "v=spf1 include:spf.visp.net ip6:2001:db8:9::1 ip4:203.0.113.25 -all"
    assert record in said(answer), "the record to publish lets it pass too"
    fixed = with_routes(services, ZONE | {ENVELOPE: {"TXT": [record]}})
    assert (await agent_on(fixed).types("spf")).text == "mail.cascade.example authorises the Visp server."


async def test_servers_that_a_foreign_domain_leaves_out_are_no_mistake_of_its_own(services: Services) -> None:
    zone = ZONE | {"other.example": {"TXT": ["v=spf1 include:spf.visp.net ip6:2001:db8:9::1 -all"]}}
    answer = await agent_on(with_routes(services, zone)).types("spf other.example")
    assert answer.text == "other.example authorises the Visp server."
    assert ":heavy_minus_sign: *own* · 203.0.113.25 · fail" in said(answer)


@pytest.mark.parametrize(
    ("places", "shown"),
    [
        ([(10, 12)], "v=spf1 mx ⟦aa⟧1 -all"),
        ([(7, 9), (10, 12)], "v=spf1 ⟦mx⟧1 ⟦aa⟧2 -all"),
        ([(10, 12), (10, 12)], "v=spf1 mx ⟦aa⟧1,2 -all"),
        ([(9, 9)], "v=spf1 mx ⟦…⟧1 aa -all"),
        ([(17, 17)], "v=spf1 mx aa -all ⟦…⟧1"),
        ([(0, 17)], "v=spf1 mx aa -all"),
        ([(7, 12), (10, 12)], "v=spf1 ⟦mx aa⟧1 -all"),
        ([], "v=spf1 mx aa -all"),
    ],
)
def test_each_problem_s_place_is_marked_in_the_record(places: list[tuple[int, int]], shown: str) -> None:
    problems = [
        (n, SpfProblem(Severity.ERROR, Mistake.MALFORMED_TERM, start, end, "", ""))
        for n, (start, end) in enumerate(places, 1)
    ]
    assert marked("v=spf1 mx aa -all", problems) == shown


# --- tell me when it is fixed


async def the_watch(services: Services) -> DnsWatch:
    (card,) = {post.key for post in await cards(services)}
    async with services.store.read(1) as tx:
        found = await tx.dns_watches.get(UUID(card.removeprefix("#")))
    assert found is not None
    return found


async def cards(services: Services) -> list[Post]:
    async with services.store.system() as tx:
        posts = await tx.posts.claim_behind(worker="test", lease_s=0)
    return [post for post in posts if post.surface == SPF_SURFACE]


async def drawn(services: Services, watch: DnsWatch) -> str:
    reply = await SURFACE.draw(services, 1, f"#{watch.id}")
    assert reply is not None
    return said(legal(reply))


async def words(services: Services, watch: DnsWatch) -> list[Post]:
    async with services.store.read(1) as tx:
        return await tx.posts.of(SPF_WORD_SURFACE, str(watch.id))


async def test_a_watch_looks_on_its_schedule_and_tells_in_the_thread_when_it_is_fixed(
    services: Services, clock: FakeClock
) -> None:
    wrong = with_routes(services)
    agent = agent_on(wrong)
    answer = await agent.types("spf")
    assert "I look, and tell you here" in said(await agent.presses(answer, "spf.watch"))
    watch = await the_watch(wrong)
    shown = await drawn(wrong, watch)
    assert ":eyes: *Watching* for <@U_AGENT>, the first look is within a minute" in shown
    assert await SpfWatches(wrong).sweep() == 0, "nothing is due yet"
    clock.advance(minutes=1)
    assert await SpfWatches(wrong).sweep() == 1
    assert await SpfWatches(wrong).sweep() == 0
    assert "last look 1:01 AM, 1 look" in await drawn(wrong, watch)
    assert await words(wrong, watch) == []

    right = with_routes(services, mended())
    clock.advance(minutes=1)
    assert await SpfWatches(right).sweep() == 1
    assert ":tada: *Fixed*, seen at 1:02 AM after 2 looks" in await drawn(right, await the_watch(right))
    (told,) = await words(right, watch)
    (card,) = await cards(right)
    assert told.parent_id == card.id, "in the card's thread"
    reply = await WORD.draw(right, 1, told.key)
    assert reply is not None
    golden("spf_fixed_word", reply)
    assert "<@U_AGENT> *The SPF record of mail.cascade.example is right now.*" in said(reply)
    clock.advance(days=1)
    assert await SpfWatches(right).sweep() == 0
    async with right.store.read(1) as tx:
        actions = [row.action for row in await tx.audit.of(f"domain:{ENVELOPE}")]
    assert {"spf.watch", "spf.fixed"} <= set(actions)


async def test_two_who_ask_share_one_watch_and_are_both_named(services: Services, clock: FakeClock) -> None:
    wrong = with_routes(services)
    agent, lead = agent_on(wrong), agent_on(wrong, Role.LEAD, "U_LEAD")
    answer = await agent.types("spf")
    first = agent.press(answer, "spf.watch")
    await agent.run(first)
    await agent.run(first)  # carried out again after a crash
    joined = await lead.presses(await lead.types("spf"), "spf.watch")
    assert "It was watched already: you are told too" in said(joined)
    watch = await the_watch(wrong)
    assert watch.actors == ("U_AGENT", "U_LEAD")
    assert "*Watching* for <@U_AGENT> and <@U_LEAD>" in await drawn(wrong, watch)
    clock.advance(minutes=1)
    right = with_routes(services, mended())
    await SpfWatches(right).sweep()
    reply = await WORD.draw(right, 1, str(watch.id))
    assert reply is not None
    assert "<@U_AGENT> and <@U_LEAD>" in said(legal(reply))


async def test_who_asks_in_another_channel_gets_the_card_and_the_word_there(
    services: Services, clock: FakeClock
) -> None:
    wrong = with_routes(services)
    agent, lead = agent_on(wrong), agent_on(wrong, Role.LEAD, "U_LEAD")
    lead.channel = "C_BILLING"
    for who in (agent, lead):
        await who.presses(await who.types("spf"), "spf.watch")
    watch = await the_watch(wrong)
    clock.advance(minutes=1)
    await SpfWatches(with_routes(services, mended())).sweep()
    places = {post.id: post.channel for post in await cards(services)}
    told = await words(services, watch)
    assert sorted(post.channel for post in told) == ["C_BILLING", "C_SUPPORT"]
    assert all(post.parent_id and places[post.parent_id] == post.channel for post in told)


async def test_nobody_can_wait_for_what_is_no_domain_name(agent: Agent) -> None:
    assert "spf.watch" not in buttons(await agent.types(f"spf {'a' * 70}.example"))


async def test_whoever_asked_may_leave_and_the_last_one_stops_it(
    services: Services, clock: FakeClock
) -> None:
    wrong = with_routes(services)
    agent, lead = agent_on(wrong), agent_on(wrong, Role.LEAD, "U_LEAD")
    await agent.presses(await agent.types("spf"), "spf.watch")
    await lead.presses(await lead.types("spf"), "spf.watch")
    watch = await the_watch(wrong)
    card = await SURFACE.draw(wrong, 1, f"#{watch.id}")
    assert card is not None
    assert set(buttons(card)) == {"spf.look", "spf.stop"}
    assert "You are not told any more" in said(await agent.presses(card, "spf.stop"))
    assert (await the_watch(wrong)).actors == ("U_LEAD",)
    assert "I look now" in said(await lead.presses(card, "spf.look"))
    assert await SpfWatches(wrong).sweep() == 1, "looked at once"
    assert "not watched any more" in said(await lead.presses(card, "spf.stop"))
    assert "stopped by <@U_LEAD>" in await drawn(wrong, watch)
    assert "not watched any more" in said(await lead.presses(card, "spf.look"))
    clock.advance(days=8)
    assert await SpfWatches(wrong).sweep() == 0
    assert await words(wrong, watch) == []


async def test_a_watch_ends_with_a_word_after_a_week(services: Services, clock: FakeClock) -> None:
    wrong = with_routes(services)
    agent = agent_on(wrong)
    await agent.presses(await agent.types("spf"), "spf.watch")
    watch = await the_watch(wrong)
    clock.advance(days=7)
    assert await SpfWatches(wrong).sweep() == 1
    reply = await WORD.draw(wrong, 1, str(watch.id))
    assert reply is not None
    assert "right in a week, and stop looking" in said(legal(reply))
    assert "not seen right in a week and 1 look" in await drawn(wrong, watch)
    async with wrong.store.read(1) as tx:
        ended = await tx.dns_watches.get(watch.id)
    assert ended is not None
    assert ended.ended is WatchEnd.EXPIRED


async def test_dns_that_does_not_answer_ends_no_watch(services: Services, clock: FakeClock) -> None:
    wrong = with_routes(services)
    agent = agent_on(wrong)
    await agent.presses(await agent.types("spf"), "spf.watch")
    watch = await the_watch(wrong)
    clock.advance(minutes=1)
    down = with_routes(services, ZONE | {ENVELOPE: "TIMEOUT"})
    assert await SpfWatches(down).sweep() == 1
    shown = await drawn(down, await the_watch(down))
    assert "DNS gave no answer" in shown
    assert "*Watching*" in shown
    assert await words(down, watch) == []


async def test_a_check_that_finds_it_right_hurries_the_watch(services: Services, clock: FakeClock) -> None:
    wrong = with_routes(services)
    agent = agent_on(wrong)
    await agent.presses(await agent.types("spf"), "spf.watch")
    clock.advance(hours=3)
    await SpfWatches(wrong).sweep()
    assert await SpfWatches(wrong).sweep() == 0, "the next look is in an hour"
    agent.services = with_routes(services, mended())
    await agent.types("spf")
    assert await SpfWatches(agent.services).sweep() == 1
    assert len(await words(agent.services, await the_watch(services))) == 1


async def test_what_is_right_already_when_it_is_pressed_is_not_watched(services: Services) -> None:
    answer = await agent_on(with_routes(services)).types("spf")
    right = agent_on(with_routes(services, mended()))
    assert "authorises the Visp server." in said(await right.presses(answer, "spf.watch"))
    assert await cards(services) == []


def test_the_schedule_is_early_looks_and_then_hourly_ones_that_are_never_made_up_for() -> None:
    now, minutes = NOW, []
    for _ in range(9):
        now = next_look(NOW, now)
        minutes.append((now - NOW) // timedelta(minutes=1))
    assert minutes == [1, 2, 5, 10, 15, 30, 60, 120, 180]
    assert next_look(NOW, NOW + timedelta(hours=50, minutes=7)) == NOW + timedelta(hours=51)


async def test_viewers_are_offered_no_watch(viewer: Agent) -> None:
    assert set(buttons(await viewer.types("spf"))) == {"spf.recheck"}


async def test_a_check_is_audited(agent: Agent) -> None:
    await agent.types("spf")
    async with agent.services.store.read(1) as tx:
        (row,) = await tx.audit.of("domain:mail.cascade.example")
    assert (row.action, row.detail) == ("spf.check", {"ok": False})


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        ("example.net", "example.net"),
        (" Example.NET. ", "example.net"),
        ("https://example.net/", "example.net"),
        ("billing@mail.example.net", "mail.example.net"),
        ("bücher.example", "bücher.example"),
    ],
)
def test_a_domain_is_understood_however_it_is_written(typed: str, domain: str) -> None:
    assert typed_domain(typed) == domain


@pytest.mark.parametrize("typed", ["x", "not a domain", "<!channel>", "a" * 260 + ".example", "@"])
def test_what_is_no_domain_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match="not a domain name"):
        typed_domain(typed)


async def test_who_leaves_a_watch_does_not_end_it_for_the_others_when_that_is_carried_out_twice(
    services: Services,
) -> None:
    wrong = with_routes(services)
    agent, lead = agent_on(wrong), agent_on(wrong, Role.LEAD, "U_LEAD")
    await agent.presses(await agent.types("spf"), "spf.watch")
    await lead.presses(await lead.types("spf"), "spf.watch")
    card = await SURFACE.draw(wrong, 1, f"#{(await the_watch(wrong)).id}")
    assert card is not None
    press = agent.press(card, "spf.stop")
    await agent.run(press)
    again = await agent.run(press)  # after a crash
    watch = await the_watch(wrong)
    assert (watch.actors, watch.ended) == (("U_LEAD",), None)
    assert "still watched for the others" in said(again)


async def test_a_domain_of_ours_that_is_typed_in_its_own_letters_is_ours(services: Services) -> None:
    ours = replace(VISP, envelope_domain="xn--bcher-kva.example")
    tenants = {1: profile(routes=(ours,)), 2: services.profile(2)}
    zone = ZONE | {"xn--bcher-kva.example": {"TXT": ["v=spf1 include:spf.visp.net -all"]}}
    there = replace(services, tenants=tenants, resolver=StaticResolver(zone))
    shown = said(await agent_on(there).types("spf bücher.example"))
    assert "mailboxes make of it" in shown, "what DMARC makes of our mail is told of our own domains alone"


async def test_a_domain_that_our_mail_does_not_use_is_not_told_what_to_publish(agent: Agent) -> None:
    told = said(await agent.types("spf nothing.example"))
    assert "None of our mail goes out as nothing.example" in told
    assert "Publish this TXT record at nothing.example" not in told
