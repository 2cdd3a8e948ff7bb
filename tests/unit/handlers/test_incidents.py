"""From failures to an incident, its card and its texts: the watch over a real store, both databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from handlers.contract import Services
from handlers.profile import OncallProfile, SmsProfile
from handlers.reply import Reply
from handlers.surfaces.delivery import DeliverySurface
from handlers.surfaces.incident import IncidentSurface
from handlers.workflows.incidents import INCIDENT_SURFACE
from handlers.workflows.oncall import OVERLAP, Watch, text_body, text_due
from notifier.channels import SmsRoute
from notifier.oncall import QUIET, STUCK_AFTER, TEXT_AGAIN
from notifier.tracking import DELIVERY_SURFACE, Report, record, worker_event
from store.models import (
    ABOUT_NOBODY,
    Channel,
    Confidence,
    Delivery,
    EventKind,
    EventSource,
    Incident,
    IncidentState,
    NotificationKind,
    Post,
    Priority,
    Reason,
)
from store.unit import Store
from tests.builders import NOW, billing_email, draft, event, outbox, subscriber_record, take
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, golden, legal, profile, said

REPUTATION: dict[str, Any] = {
    "source": EventSource.DSN,
    "cls": "blocked_reputation",
    "reason": Reason.INFRASTRUCTURE,
    "reply_code": "550",
    "status": "5.7.1",
    "diagnostic": "550 5.7.1 <dana@bigmail.example> not trusted (S3150)",
    "remote": "mx1.bigmail.example",
}
DEAD: dict[str, Any] = {
    "source": EventSource.DSN,
    "cls": "no_such_user",
    "reason": Reason.RECIPIENT,
    "hard": True,
    "reply_code": "550",
    "status": "5.1.1",
    "diagnostic": "550 5.1.1 no such user",
    "remote": "mx.gone.example",
}
TEXTING = SmsProfile(SmsRoute("sms", "+15415550100", "AC1", ("token",)))
NUMBER = "+17755550123"


def on_call(services: Services, **more: Any) -> Services:
    """With an on-call number and texts."""
    fields: dict[str, Any] = {"oncall": OncallProfile(numbers=(NUMBER,)), "sms": TEXTING}
    return replace(services, tenants={1: profile(**(fields | more))})


async def mail(store: Store, *addresses: str, key: str = "m", **more: Any) -> list[Delivery]:
    """One message to each of these addresses, each of an account of its own (m0, m1, ...)."""
    accounts = [f"{key}{index}" for index in range(len(addresses))]
    pairs = list(zip(accounts, addresses, strict=True))
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert(
            [subscriber_record(account, points=(billing_email(address),)) for account, address in pairs]
        )
        wanted = [
            draft(account, address, subscriber_id=ids[account], route="visp", **more)
            for account, address in pairs
        ]
        queued = await outbox().enqueue_many(tx, wanted)
        deliveries = await tx.deliveries.of_notifications([q.notification_id for q in queued])
    return [deliveries[q.notification_id][0] for q in queued]


async def fail(store: Store, items: Sequence[Delivery], **fields: Any) -> None:
    kind = fields.pop("kind", EventKind.BOUNCED)
    await cast.learn(store, *(event(d.id, kind, at=store.clock(), **fields) for d in items))


async def refused(store: Store, count: int = 1, key: str = "m", **more: Any) -> list[Delivery]:
    items = await mail(store, *(f"{key}{n}@bigmail.example" for n in range(count)), key=key, **more)
    await fail(store, items, **REPUTATION)
    return items


async def unresolved(store: Store) -> list[Incident]:
    async with store.read(1) as tx:
        return await tx.incidents.unresolved()


async def only(store: Store) -> Incident:
    (found,) = await unresolved(store)
    return found


async def posts(store: Store, surface: str, key: object) -> list[Post]:
    async with store.read(1) as tx:
        return await tx.posts.of(surface, str(key))


async def texts(store: Store) -> list[tuple[str, Priority, str]]:
    """(to, priority, what it says) of the texts to the on-call."""
    async with store.read(1) as tx:
        keys = [f"oncall:{i.id}:{n}" for i in await tx.incidents.unresolved() for n in (1, 2, 3)]
        held = await tx.notifications.holders(keys)
        found = await tx.notifications.get_many(list(held.values()))
        deliveries = await tx.deliveries.of_notifications(list(found))
    assert all(n.kind is NotificationKind.ONCALL for n in found.values())
    return [
        (d.address, d.priority, str(found[nid].context["body"]))
        for nid in held.values()
        for d in deliveries[nid]
        if d.channel is Channel.SMS
    ]


async def card_of(services: Services, incident: Incident) -> Reply:
    drawn = await IncidentSurface().draw(services, 1, str(incident.id))
    assert drawn is not None
    return legal(drawn)


async def test_a_failure_of_ours_makes_one_incident_with_one_card_in_the_oncall_channel(
    services: Services,
) -> None:
    watch = Watch(services, 1)
    await refused(services.store, 3)
    assert await watch.sweep() == 3
    found = await only(services.store)
    assert (found.cause, found.count) == ("blocked_reputation:bigmail.example", 3)
    (post,) = await posts(services.store, INCIDENT_SURFACE, found.id)
    assert post.channel == "C_ONCALL"
    await refused(services.store, 2, key="later")
    assert await watch.sweep() == 2
    assert (await only(services.store)).count == 5
    (again,) = await posts(services.store, INCIDENT_SURFACE, found.id)
    assert (again.id, again.wanted > post.wanted) == (post.id, True)


async def test_reading_the_same_failures_again_changes_nothing(services: Services) -> None:
    await refused(services.store, 3)
    await Watch(services, 1).sweep()
    before = await only(services.store)
    watch = Watch(services, 1)  # a restart, or another process, which remembers nothing
    assert await watch.sweep() == 3
    assert await watch.sweep() == 0
    assert await only(services.store) == before


async def test_what_is_committed_late_is_not_missed(services: Services, clock: FakeClock) -> None:
    """PostgreSQL: a transaction that began before the last one seen may commit after it."""
    watch = Watch(services, 1)
    late = await mail(services.store, "late@bigmail.example", key="late")
    clock.advance(OVERLAP / 2)
    await refused(services.store, 1)
    await watch.sweep()
    clock.now = NOW
    await fail(services.store, late, **REPUTATION)
    clock.advance(OVERLAP / 2)
    await watch.sweep()
    assert (await only(services.store)).count == 2


async def test_what_failed_long_before_the_first_look_is_not_told(
    services: Services, clock: FakeClock
) -> None:
    await refused(services.store, 3)
    clock.advance(hours=2)
    await Watch(services, 1).sweep()
    assert await unresolved(services.store) == []


async def test_a_dead_address_raises_nothing_and_a_burst_of_them_one_incident(
    services: Services, clock: FakeClock
) -> None:
    watch = Watch(services, 1)
    burst = services.profile(1).oncall.burst
    items = await mail(services.store, *(f"a{n}@gone.example" for n in range(burst + 5)))
    await fail(services.store, items[: burst - 1], **DEAD)
    await watch.sweep()
    assert await unresolved(services.store) == []
    clock.advance(minutes=5)
    await fail(services.store, items[burst - 1 : burst], **DEAD)
    await watch.sweep()
    found = await only(services.store)
    assert (found.cause, found.count) == ("burst:gone.example:no_such_user", burst)
    await fail(services.store, items[burst:], **DEAD)
    await watch.sweep()
    assert (await only(services.store)).count == burst + 5, "the next ones join it"
    await watch.look()
    assert not (await only(services.store)).urgent


async def test_failures_that_are_spread_over_time_are_no_burst(services: Services, clock: FakeClock) -> None:
    watch = Watch(services, 1)
    burst = services.profile(1).oncall.burst
    items = await mail(services.store, *(f"a{n}@gone.example" for n in range(burst)))
    for item in items:
        await fail(services.store, [item], **DEAD)
        await watch.sweep()
        clock.advance(minutes=1)
    assert await unresolved(services.store) == []


async def test_many_different_failures_at_once_are_one_incident_together(services: Services) -> None:
    few = replace(services, tenants={1: profile(oncall=OncallProfile(burst=3))})
    watch = Watch(few, 1)
    items = await mail(few.store, *(f"a@gone{n}.example" for n in range(10)))
    await fail(few.store, items[:8], **DEAD)
    await watch.sweep()
    assert await unresolved(few.store) == []
    await fail(few.store, items[8:9], **DEAD)
    await watch.sweep()
    assert ((await only(few.store)).cause, (await only(few.store)).count) == ("burst_all", 9)
    await fail(few.store, items[9:], **DEAD)
    await watch.sweep()
    assert (await only(few.store)).count == 10


async def test_a_resolved_burst_is_not_opened_again_by_what_made_it(
    services: Services, agent: Agent, clock: FakeClock
) -> None:
    watch = Watch(services, 1)
    burst = services.profile(1).oncall.burst
    items = await mail(services.store, *(f"a{n}@gone.example" for n in range(burst + 1)))
    await fail(services.store, items[:burst], **DEAD)
    await watch.sweep()
    clock.advance(minutes=1)
    async with services.store.begin(1) as tx:
        assert await tx.incidents.resolve((await tx.incidents.unresolved())[0].id, "U_AGENT", "a typo")
    clock.advance(seconds=1)
    await fail(services.store, items[burst:], **DEAD)
    await watch.sweep()
    assert await unresolved(services.store) == []


def _deferred(item: Delivery, clock: FakeClock) -> Any:
    fields = {"source": EventSource.SMTP, "reason": Reason.NETWORK, "remote": "visp", "diagnostic": "refused"}
    return worker_event(item, EventKind.DEFERRED, clock.now, **fields)


async def _route_down(services: Services, clock: FakeClock, priority: Priority) -> Delivery:
    await mail(services.store, "wait@inbox.example", priority=priority)
    async with services.store.system() as tx:
        (item,) = await take(
            tx,
            route="visp",
            limit=1,
            worker="w1",
            lease_s=60,
            retry_at=clock.now + timedelta(minutes=1),
        )
    async with services.store.system() as tx:
        await record(tx, [Report(1, _deferred(item, clock), fenced=True)])
    return item


async def test_a_route_that_is_down_with_work_waiting_becomes_urgent_after_five_minutes(
    services: Services, clock: FakeClock
) -> None:
    watch = Watch(services, 1)
    await _route_down(services, clock, Priority.BULK)
    await watch.sweep()
    await watch.look()
    found = await only(services.store)
    assert (found.cause, found.urgent) == ("route_down:visp", False)
    clock.advance(STUCK_AFTER)
    await watch.look()
    assert (await only(services.store)).urgent
    assert "1 message waits for it" in said(await card_of(services, await only(services.store)))


async def test_an_urgent_message_that_is_stuck_makes_its_cause_urgent_at_once(
    services: Services, clock: FakeClock
) -> None:
    watch = Watch(services, 1)
    await _route_down(services, clock, Priority.URGENT)
    await watch.sweep()
    await watch.look()
    assert (await only(services.store)).urgent


async def test_refusals_of_bulk_mail_wait_until_morning_unless_they_are_many(services: Services) -> None:
    watch = Watch(services, 1)
    burst = services.profile(1).oncall.burst
    await refused(services.store, burst)
    await watch.sweep()
    await watch.look()
    assert not (await only(services.store)).urgent
    await refused(services.store, 1, key="one")
    await watch.sweep()
    await watch.look()
    assert (await only(services.store)).urgent


async def _urgent(services: Services) -> Watch:
    """More refusals than a burst."""
    watch = Watch(services, 1)
    await refused(services.store, services.profile(1).oncall.burst + 1)
    await watch.sweep()
    await watch.look()
    return watch


async def test_what_is_urgent_and_not_acknowledged_is_texted_and_once_more(
    services: Services, clock: FakeClock
) -> None:
    services = on_call(services)
    watch = await _urgent(services)
    assert await texts(services.store) == []
    assert "is texted at" in said(await card_of(services, await only(services.store)))
    clock.advance(services.profile(1).oncall.text_after - timedelta(seconds=1))
    await watch.look()
    assert await texts(services.store) == []
    clock.advance(seconds=1)
    await watch.look()
    await watch.look()
    ((to, priority, body),) = await texts(services.store)
    assert (to, priority) == (NUMBER, Priority.URGENT)
    assert body.startswith("URGENT: bigmail.example refuses our mail server. 21 messages since 1:00 AM.")
    assert "The on-call number was texted" in said(await card_of(services, await only(services.store)))
    clock.advance(TEXT_AGAIN)
    await watch.look()
    assert [body.split(":")[0] for _, _, body in await texts(services.store)] == ["URGENT", "STILL URGENT"]
    clock.advance(hours=5)
    await watch.look()
    assert len(await texts(services.store)) == 2
    assert "was texted again" in said(await card_of(services, await only(services.store)))


async def test_two_processes_send_one_text(services: Services, clock: FakeClock) -> None:
    services = on_call(services)
    first = await _urgent(services)
    clock.advance(minutes=10)
    await first.look()
    await Watch(services, 1).look()
    assert len(await texts(services.store)) == 1


async def test_acknowledging_stops_the_texts(services: Services, clock: FakeClock) -> None:
    services = on_call(services)
    watch = await _urgent(services)
    card = await card_of(services, await only(services.store))
    answer = await agent_on(services).presses(card, "incidents.acknowledge")
    assert "yours now" in said(answer)
    clock.advance(hours=1)
    await watch.look()
    assert await texts(services.store) == []
    shown = said(await card_of(services, await only(services.store)))
    assert "<@U_AGENT> has it since" in shown
    assert "texted" not in shown


OBSTACLES: list[tuple[dict[str, Any], str]] = [
    ({"sms": None}, "texting is not set up"),
    ({"oncall": OncallProfile()}, "no on-call number is set up"),
]


@pytest.mark.parametrize(("more", "sentence"), OBSTACLES)
async def test_where_nobody_can_be_texted_the_card_says_so(
    services: Services, clock: FakeClock, more: dict[str, Any], sentence: str
) -> None:
    services = on_call(services, **more)
    watch = await _urgent(services)
    clock.advance(hours=1)
    await watch.look()
    assert await texts(services.store) == []
    assert f"Nobody is texted: {sentence}" in said(await card_of(services, await only(services.store)))


async def test_trouble_with_texting_itself_is_not_texted(services: Services, clock: FakeClock) -> None:
    services = on_call(services)
    async with services.store.begin(1) as tx:
        await tx.incidents.alarm("login_refused:sms", "The route sms refuses our login", urgent=True)
    clock.advance(hours=1)
    await Watch(services, 1).look()
    assert await texts(services.store) == []
    shown = said(await card_of(services, await only(services.store)))
    assert "Nobody is texted: it is texting itself that does not work" in shown


def test_the_text_is_due_by_state_urgency_and_time() -> None:
    one = Incident(UUID(int=1), "recorder", "t", IncidentState.OPEN, True, 1, NOW, NOW)
    desk = profile(oncall=OncallProfile(numbers=(NUMBER,)), sms=TEXTING)
    late = NOW + timedelta(hours=9)
    assert text_due(one, desk, late) == 1
    for state in (IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED):
        assert text_due(replace(one, state=state), desk, late) is None
    assert text_due(replace(one, texts=1, texted_at=NOW), desk, late) == 2
    assert text_due(replace(one, texts=2, texted_at=NOW), desk, late) is None
    assert len(text_body(replace(one, title="x" * 80), desk)) < 300


async def test_it_seems_over_when_it_is_quiet_and_mail_gets_through_again(
    services: Services, clock: FakeClock
) -> None:
    services = on_call(services)
    watch = await _urgent(services)
    clock.advance(QUIET)
    await watch.look()
    assert "Seems over" not in said(await card_of(services, await only(services.store))), "quiet is no proof"
    (again,) = await mail(services.store, "new@bigmail.example", key="again")
    accepted = {"source": EventSource.DSN, "confidence": Confidence.ACCEPTED_BY_SERVER, "at": clock.now}
    await cast.learn(services.store, event(again.id, EventKind.DELIVERED, **accepted))
    before = (await posts(services.store, INCIDENT_SURFACE, (await only(services.store)).id))[0].wanted
    clock.advance(minutes=6)
    await watch.look()
    await watch.look()
    (post,) = await posts(services.store, INCIDENT_SURFACE, (await only(services.store)).id)
    assert post.wanted == before + 1, "told by one edit"
    found = await only(services.store)
    shown = await card_of(services, found)
    assert "Seems over" in said(shown)
    assert found.state is IncidentState.OPEN, "a person resolves it"
    assert await texts(services.store) == [], "nobody is woken for what is over"
    await refused(services.store, 1, key="back")
    await watch.sweep()
    await watch.look()
    assert "Seems over" not in said(await card_of(services, await only(services.store)))


async def test_resolving_asks_for_a_note_and_shows_it(services: Services, clock: FakeClock) -> None:
    watch = await _urgent(services)
    agent = agent_on(services)
    incident = await only(services.store)
    card = await card_of(services, incident)
    opened = await agent.answer(agent.press(card, "incidents.resolve"))
    assert opened.modal is not None
    assert opened.done
    value = dict(opened.modal.carry or {})
    empty = agent.request("incidents", "resolved", value=value, inputs={"note": "  "})
    refusal = await agent.answer(empty)
    assert refusal.errors is not None
    submit = agent.request("incidents", "resolved", value=value, inputs={"note": "They took us off"})
    assert (await agent.answer(submit)).errors is None
    clock.advance(minutes=1)
    assert "Resolved" in said(await agent.run(submit))
    assert "Resolved" in said(await agent.run(submit)), "run again after a crash"
    async with services.store.read(1) as tx:
        after = await tx.incidents.get(incident.id)
        audit = await tx.audit.of(f"incident:{incident.id}")
    assert after is not None
    shown = await card_of(services, after)
    assert "Resolved by <@U_AGENT>" in said(shown)
    assert "They took us off" in said(shown)
    assert not {"incidents.acknowledge", "incidents.resolve"} & set(buttons(shown))
    assert [row.action for row in audit] == ["incident.resolve"]
    late = await agent_on(services, user="U_LEAD").run(replace(submit, id="x" * 64))
    assert "Resolved" in said(late) or "resolved already" in said(late)
    clock.advance(minutes=1)
    await refused(services.store, 1, key="back")
    await watch.sweep()
    assert "It has come back: resolved by <@U_AGENT>" in said(
        await card_of(services, await only(services.store))
    )


async def test_a_second_acknowledgement_says_who_has_it(services: Services) -> None:
    await _urgent(services)
    card = await card_of(services, await only(services.store))
    await agent_on(services).presses(card, "incidents.acknowledge")
    other = await agent_on(services, user="U_LEAD").presses(card, "incidents.acknowledge")
    assert "Somebody has it already." in said(other)
    assert "<@U_AGENT>" in said(other)
    assert (await only(services.store)).acknowledged_by == "U_AGENT"


async def test_growth_after_acknowledgement_is_told_on_the_card(services: Services) -> None:
    watch = Watch(services, 1)
    await refused(services.store, 2)
    await watch.sweep()
    await agent_on(services).presses(
        await card_of(services, await only(services.store)), "incidents.acknowledge"
    )
    await refused(services.store, 1, key="n")
    await watch.sweep()
    assert "has grown" not in said(await card_of(services, await only(services.store)))
    await refused(services.store, 1, key="o")
    await watch.sweep()
    assert "It has grown from 2 to 4 messages" in said(await card_of(services, await only(services.store)))


async def test_those_affected_are_listed_by_account_and_masked(services: Services, viewer: Agent) -> None:
    await refused(services.store, 20)
    await Watch(services, 1).sweep()
    card = await card_of(services, await only(services.store))
    first = await viewer.presses(card, "incidents.affected")
    assert "account *m" in said(first)
    assert "1 to 15 of 20" in said(first)
    assert "@bigmail.example" in said(first)
    assert "m3@bigmail" not in said(first)
    second = await viewer.presses(first, "incidents.affected:older")
    assert "16 to 20 of 20" in said(second)
    assert set(buttons(second)) == {"incidents.affected:newer"}


async def test_what_the_servers_said_is_one_press_away_and_masked(services: Services, viewer: Agent) -> None:
    await refused(services.store, 3)
    await Watch(services, 1).sweep()
    card = await card_of(services, await only(services.store))
    assert "550" not in said(card), "raw codes stay one press away"
    raw = said(await viewer.presses(card, "incidents.raw"))
    assert raw.count("S3150") == 1, "the same words once"
    assert "dana@" not in raw
    assert "mx1.bigmail.example said" in raw


async def test_a_sender_check_that_fails_offers_to_check_spf(services: Services) -> None:
    items = await mail(services.store, "a@strict.example")
    spf = REPUTATION | {"cls": "blocked_auth", "reason": Reason.CONFIG, "status": "5.7.23"}
    await fail(services.store, items, **spf)
    await Watch(services, 1).sweep()
    card = await card_of(services, await only(services.store))
    assert buttons(card)["spf.open"] == {"d": "mail.cascade.example"}
    answer = await agent_on(services).presses(card, "spf.open")
    assert "does not authorise the Visp server" in said(answer)


async def test_cards_of_those_affected_name_the_incident_until_it_is_resolved(
    services: Services, agent: Agent
) -> None:
    items = await refused(services.store, 3)
    async with services.store.begin(1) as tx:
        await tx.posts.want(DELIVERY_SURFACE, str(items[0].notification_id), "C_SUPPORT")
    await Watch(services, 1).sweep()
    line = "*Known incident:* bigmail.example refuses our mail server, since"
    card = await agent.types("find m0")
    assert line in said(card)
    assert "1:00 AM, 2 others" in said(card)
    assert line in said(await agent.types("messages m0"))
    assert line in said(await agent.presses(await agent.types("messages m0"), "messages.timeline:0"))
    (post,) = await posts(services.store, DELIVERY_SURFACE, items[0].notification_id)
    assert post.wanted > 1, "a card in a channel is drawn again"
    drawn = await DeliverySurface().draw(services, 1, str(items[0].notification_id))
    assert drawn is not None
    assert line in said(legal(drawn))
    await cast.dana(services.store)
    assert line not in said(await agent.types("find 1001"))
    incident = await only(services.store)
    await agent.presses(await card_of(services, incident), "incidents.acknowledge")
    assert "<@U_AGENT> has it" in said(await agent.types("find m0"))
    async with services.store.begin(1) as tx:
        await tx.incidents.resolve(incident.id, "U_AGENT", "mended")
    assert line not in said(await agent.types("find m0"))


async def test_the_list_tells_what_is_going_on_and_what_was_resolved(
    services: Services, agent: Agent, viewer: Agent
) -> None:
    assert "No open incident" in said(await viewer.types("incidents"))
    await refused(services.store, 2)
    await Watch(services, 1).sweep()
    async with services.store.begin(1) as tx:
        other = await tx.incidents.alarm("route_down:visp", "The route visp cannot be reached", urgent=True)
        await tx.incidents.alarm("sms_account:sms", "The texting account is suspended", urgent=False)
        await tx.incidents.resolve(other.incident.id, "U_LEAD", "a cable")
    listed = await agent.types("incidents")
    golden("incidents_list", listed)
    assert "2 incidents unresolved" in said(listed)
    assert "a cable" in said(listed)
    opened = await viewer.presses(listed, "incidents.open:0")
    assert not {"incidents.acknowledge", "incidents.resolve"} & set(buttons(opened))
    assert "incidents.acknowledge" in buttons(await agent.presses(listed, "incidents.open:0"))


async def test_the_card_as_it_stands_in_the_channel(services: Services, clock: FakeClock) -> None:
    services = on_call(services, oncall=OncallProfile(numbers=(NUMBER,), burst=2))
    watch = Watch(services, 1)
    for key in ("a", "b", "c"):
        await refused(services.store, 1, key=key)
        clock.advance(minutes=1)
    await watch.sweep()
    await watch.look()
    golden("incident_card", await card_of(services, await only(services.store)))


async def test_an_incident_that_is_gone_is_not_drawn(services: Services) -> None:
    assert await IncidentSurface().draw(services, 1, str(UUID(int=7))) is None


@pytest.mark.parametrize("kind", ABOUT_NOBODY)
async def test_a_refusal_of_our_own_test_or_letter_is_no_incident(
    services: Services, store: Store, kind: NotificationKind
) -> None:
    async with store.begin(1) as tx:
        context = {"body": "x"}
        queued = await outbox().enqueue(
            tx, draft("t", "me@bigmail.example", kind=kind, route="visp", context=context)
        )
        items = (await tx.deliveries.of_notifications([queued.notification_id]))[queued.notification_id]
    await fail(store, items, **REPUTATION)
    await Watch(services, 1).sweep()
    assert await unresolved(store) == []
    await refused(store)
    await Watch(services, 1).sweep()
    assert (await only(store)).count == 1, "a subscriber's mail counts"
