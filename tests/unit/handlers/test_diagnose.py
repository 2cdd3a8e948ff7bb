"""/isp diagnose on both databases: planted situations, each named by its cause, proof and next step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from handlers.contract import Services
from handlers.profile import Role, SmsProfile
from handlers.reply import Reply, To, UserError
from handlers.surfaces.diagnosis import SURFACE
from handlers.surfaces.diagnosis_change import SURFACE as CHANGES
from handlers.workflows.diagnose import DNS_LIMIT_S, examine
from notifier.channels import SmsRoute
from notifier.mailauth import Answer, StaticResolver, Status
from notifier.tracking import Report, record
from store.models import (
    Channel,
    Confidence,
    Delivery,
    Event,
    EventKind,
    InvoiceStatus,
    PackageStatus,
    Post,
    Reason,
    SubscriberStatus,
)
from store.retention import Kept
from store.unit import Store
from tests.builders import billing_email, event, invoice_record, mobile, package_record, take, usd
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import ZONE, agent_on
from tests.unit.handlers.support import RELAY, Agent, buttons, golden, legal, profile, said

SMS = SmsProfile(SmsRoute("twilio", "+15415550100", "AC1", ("secret",)))
REMOTE = replace(RELAY, name="remote")
DESK = profile(sms=SMS, routes=(RELAY, REMOTE), remote_route="remote")
RIGHT_SPF = {**ZONE, "mail.cascade.example": {"TXT": ["v=spf1 include:spf.visp.net -all"]}}


@pytest.fixture
def services(services: Services) -> Services:
    return replace(services, tenants={1: DESK})


@pytest.fixture
def agent(services: Services) -> Agent:
    return agent_on(services)


def accepted(d: Delivery, **more: Any) -> Event:
    return event(d.id, EventKind.ACCEPTED, **({"confidence": Confidence.HANDED_TO_RELAY} | more))


def bounced(d: Delivery, cls: str, reason: Reason = Reason.RECIPIENT, **more: Any) -> Event:
    fields = {"cls": cls, "reason": reason, "status": "5.1.1", "diagnostic": f"550 {cls}"}
    return event(d.id, EventKind.BOUNCED, **(fields | more))


HARD = {"hard": True}


async def one(store: Store, address: str = "dana@inbox.example", **more: Any) -> tuple[UUID, Delivery]:
    """1001 with one invoice, mailed to one address."""
    sid = await cast.add(
        store, "1001", billing_email(address), mobile("+15415550142"), invoices=("20001",), **more
    )
    _, (d,) = await cast.sent(store, "k-1", sid, address, invoice="20001")
    return sid, d


async def claim(store: Store, d: Delivery) -> Delivery:
    """As a worker takes it."""
    async with store.system() as tx:
        (taken,) = await take(
            tx,
            route="relay",
            highest=d.priority,
            lowest=d.priority,
            limit=1,
            worker="w",
            lease_s=60,
            retry_at=tx.now + timedelta(minutes=5),
        )
    return taken


ASIDE = {"messages.timeline", "diagnose.more", "diagnose.again"}
"""Beside the next steps."""
Plant = Callable[[Store], Awaitable[Any]]


@dataclass(frozen=True)
class Scenario:
    name: str
    plant: Plant
    headline: str
    shows: tuple[str, ...] = ()
    first: str = ""
    """The action of the first button; empty: not looked at."""
    asks: str = "1001"
    zone: dict[str, object] | None = None


async def nothing_issued(store: Store) -> None:
    await cast.add(store, "1001", billing_email("dana@inbox.example"))


async def only_a_draft(store: Store) -> None:
    sid = await cast.add(store, "1001", billing_email("dana@inbox.example"))
    async with store.begin(1) as tx:
        await tx.invoices.upsert([invoice_record(sid, "20001", status=InvoiceStatus.DRAFT)])


def invoice_that_is(status: InvoiceStatus) -> Plant:
    async def plant(store: Store) -> None:
        await cast.add(store, "1001", billing_email("dana@inbox.example"), invoices=("20001",))
        paid = {"paid": usd("49.90")} if status is InvoiceStatus.PAID else {}
        await cast.set_invoice(store, "20001", status=status, **paid)

    return plant


async def no_address(store: Store) -> None:
    await cast.add(store, "1001", mobile("+15415550142"), invoices=("20001",))


async def unusable_address(store: Store) -> None:
    bad = billing_email("dana whitfield@inbox.example", problem="There is a space inside the address.")
    await cast.add(store, "1001", bad, invoices=("20001",))


def unmailed(**more: Any) -> Plant:
    async def plant(store: Store) -> None:
        await cast.add(
            store,
            "1001",
            billing_email("dana@inbox.example"),
            mobile("+15415550142"),
            invoices=("20001",),
            **more,
        )

    return plant


async def suppressed_before(store: Store) -> None:
    await unmailed()(store)
    await cast.suppress(store, "dana@inbox.example")


def bounce_of(
    cls: str, reason: Reason = Reason.RECIPIENT, address: str = "dana@inbox.example", **more: Any
) -> Plant:
    async def plant(store: Store) -> None:
        _, d = await one(store, address)
        await cast.learn(store, bounced(d, cls, reason, **more))

    return plant


async def look_alike_took_it(store: Store) -> None:
    _, d = await one(store, "dana@gmial.com")
    await cast.learn(store, accepted(d))


async def one_story(store: Store) -> None:
    """October bounced for good; November was stopped by that."""
    sid = await cast.add(store, "1001", billing_email("dana@inbox.example"))
    async with store.begin(1) as tx:
        months = {"20009": date(2025, 9, 1), "20010": date(2025, 10, 1), "20011": date(2025, 11, 1)}
        await tx.invoices.upsert([invoice_record(sid, n, issued_on=day) for n, day in months.items()])
    _, (sept,) = await cast.sent(store, "k-9", sid, "dana@inbox.example", invoice="20009")
    await cast.learn(store, accepted(sept))
    _, (october,) = await cast.sent(store, "k-10", sid, "dana@inbox.example", invoice="20010")
    await cast.learn(store, bounced(october, "no_such_user", hard=True))
    _, (november,) = await cast.sent(store, "k-11", sid, "dana@inbox.example", invoice="20011")
    await cast.learn(store, event(november.id, EventKind.SUPPRESSED, reason=Reason.RECIPIENT))


async def queued(store: Store) -> None:
    await one(store)


async def claimed(store: Store) -> None:
    _, d = await one(store)
    await claim(store, d)


def put_off(kind: EventKind = EventKind.DEFERRED, **fields: Any) -> Plant:
    async def plant(store: Store) -> None:
        _, d = await one(store)
        taken = await claim(store, d)
        ended = event(taken.id, kind, attempt=taken.attempt, **fields)
        async with store.begin(1) as tx:
            await record(tx, [Report(1, ended, fenced=True)])

    return plant


def held_by(who: str, reason: str) -> Plant:
    async def plant(store: Store) -> None:
        _, d = await one(store)
        taken = await claim(store, d)
        async with store.begin(1) as tx:
            assert await tx.deliveries.hold(taken, reason=reason, by=who)

    return plant


def told(*kinds: EventKind, **fields: Any) -> Plant:
    async def plant(store: Store) -> None:
        _, d = await one(store)
        await cast.learn(store, *(event(d.id, kind, **fields) for kind in kinds))

    return plant


async def some_failed(store: Store) -> None:
    addresses = ("a@cedar.example", "b@cedar.example", "c@cedar.example")
    sid = await cast.add(store, "1001", *map(billing_email, addresses), invoices=("20001",))
    _, deliveries = await cast.sent(store, "k-1", sid, *addresses, invoice="20001")
    for d in deliveries:
        lost = d.address.startswith("b@")
        await cast.learn(store, bounced(d, "no_such_user", hard=True) if lost else accepted(d))


async def paid_by_another(store: Store) -> None:
    await cast.family(store)
    async with store.begin(1) as tx:
        branch = await tx.subscribers.by_account("1103")
        assert branch is not None
    _, deliveries = await cast.sent(
        store, "k-1", branch.id, "books@cedar.example", "owner@cedar.example", invoice="20103"
    )
    await cast.learn(store, *map(accepted, deliveries))


async def mended_since(store: Store) -> None:
    sid, d = await one(store, "dana@gmial.com")
    await cast.learn(store, bounced(d, "no_such_user", hard=True))
    async with store.begin(1) as tx:
        (point,) = [p for p in (await tx.subscribers.points([sid]))[sid] if p.channel is Channel.EMAIL]
        assert await tx.subscribers.change_point(
            sid, point.role, Channel.EMAIL, "dana@gmial.com", "dana@gmail.com"
        )


async def refused_with_others(store: Store) -> None:
    for account in ("1001", "1002", "1003"):
        address = f"p{account}@inbox.example"
        number = f"2{account}"
        sid = await cast.add(
            store, account, billing_email(address), mobile("+15415550142"), invoices=(number,)
        )
        _, (d,) = await cast.sent(store, f"k-{account}", sid, address, invoice=number)
        await cast.learn(store, bounced(d, "blocked_reputation", Reason.INFRASTRUCTURE))


async def opted_out_of_texts(store: Store) -> None:
    _, d = await one(store)
    await cast.learn(store, accepted(d))
    async with store.begin(1) as tx:
        await tx.consents.withdraw(Channel.SMS, "+15415550142", source="sms", evidence="SM1")


async def a_landline(store: Store) -> None:
    _, d = await one(store)
    await cast.learn(store, accepted(d))
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(Channel.SMS, "+15415550142", reason="sms_landline", actor="sms")


async def suspended_and_late(store: Store) -> None:
    sid, d = await one(store)
    await cast.learn(store, accepted(d))
    async with store.begin(1) as tx:
        await tx.packages.upsert([package_record(sid, "P-1", status=PackageStatus.SUSPENDED)])


SERVER = "inbox.example's server"
SCENARIOS = [
    Scenario("no invoice", nothing_issued, "NOTHING TO SEND: no invoice was issued"),
    Scenario("a draft", only_a_draft, "NOT SENT: the invoice is still a draft"),
    Scenario("void", invoice_that_is(InvoiceStatus.VOID), "NOT SENT: the invoice was voided"),
    Scenario(
        "written off", invoice_that_is(InvoiceStatus.UNCOLLECTIBLE), "NOT SENT: the invoice was written off"
    ),
    Scenario("paid", invoice_that_is(InvoiceStatus.PAID), "PAID ALREADY", first="resend.open"),
    Scenario("no address", no_address, "NOT SENT: no e-mail address on file", first="contact.mend"),
    Scenario(
        "unusable address",
        unusable_address,
        "NOT SENT: the address on file cannot be used",
        ("There is a space inside the address",),
        "contact.mend",
    ),
    Scenario(
        "notices off",
        unmailed(invoice_notices=False),
        "NOT SENT: invoice notices are switched off",
        ("notices switched off",),
    ),
    Scenario("archived", unmailed(status=SubscriberStatus.ARCHIVED), "NOT SENT: the account is archived"),
    Scenario("sent elsewhere", unmailed(), "NOT SENT FROM HERE", ("Not certain",), "resend.open"),
    Scenario(
        "never tried",
        suppressed_before,
        "NOT SENT: the address is on our do-not-send list",
        ("on our do-not-send list since Mar 2, 2026 (the mailbox does not exist)",),
        "contact.mend",
    ),
    Scenario(
        "misspelled, and a server said so",
        bounce_of("no_such_user", address="dana@gmial.com", hard=True),
        "NOT DELIVERED: misspelled address",
        ("gmial.com looks like gmail.com", "Likely", "a stranger may read it"),
        "contact.mend",
    ),
    Scenario(
        "misspelled, and no such domain",
        bounce_of("domain_missing", address="dana@gmail.con", hard=True),
        "NOT DELIVERED: misspelled address",
        ("gmail.con takes no mail, and gmail.con looks like gmail.com",),
    ),
    Scenario(
        "a look-alike accepts everything",
        look_alike_took_it,
        "TAKEN BY A LOOK-ALIKE DOMAIN",
        ("a stranger may read it",),
        "contact.mend",
    ),
    Scenario(
        "dead domain",
        bounce_of("domain_missing", address="dana@gone.example", hard=True),
        "NOT DELIVERED: gone.example does not exist",
        ("DNS says so", "its domain does not exist"),
    ),
    Scenario(
        "no mail server",
        bounce_of("domain_missing", address="dana@nomx.example", hard=True),
        "NOT DELIVERED: nomx.example does not exist or has no mail server",
        ("its domain has no mail server",),
    ),
    Scenario(
        "null MX",
        bounce_of("domain_missing", address="dana@nullmx.example", hard=True),
        "NOT DELIVERED: nullmx.example says that it takes no mail",
    ),
    Scenario(
        "DNS is silent",
        bounce_of("no_such_user", address="dana@down.example", hard=True),
        "NOT DELIVERED: no such mailbox at down.example",
        ("its domain could not be looked up in time",),
    ),
    Scenario(
        "no such mailbox",
        bounce_of("no_such_user", hard=True),
        "NOT DELIVERED: no such mailbox at inbox.example",
        (f"Certain: {SERVER} said so",),
        "contact.mend",
    ),
    Scenario(
        "mailbox full",
        bounce_of("mailbox_full", Reason.CAPACITY),
        "NOT DELIVERED: the mailbox is full",
        ("Please make some room",),
        "resend.bytext",
    ),
    Scenario(
        "mailbox switched off", bounce_of("mailbox_disabled"), "NOT DELIVERED: the mailbox is switched off"
    ),
    Scenario("filtered", bounce_of("filtered", Reason.POLICY), "NOT DELIVERED: the recipient's own filter"),
    Scenario(
        "not tried because the month before bounced",
        one_story,
        "NOT SENT: the address is on our do-not-send list since Mar 2, 2026",
        (
            "October bounced (no such mailbox); November was not tried because October bounced.",
            "September",
        ),
        "contact.mend",
    ),
    Scenario(
        "SPF is wrong still",
        bounce_of("blocked_auth", Reason.CONFIG),
        f"OUR PROBLEM: our SPF record is wrong, so {SERVER} refuses us",
        ("the record is still wrong",),
        "spf.open",
    ),
    Scenario(
        "SPF was mended since",
        bounce_of("blocked_auth", Reason.CONFIG),
        f"WAS OUR PROBLEM: {SERVER} refused our sender checks",
        ("Likely",),
        "resend.open",
        zone=RIGHT_SPF,
    ),
    Scenario(
        "SPF cannot be looked up",
        bounce_of("blocked_auth", Reason.CONFIG),
        f"OUR PROBLEM: {SERVER} refuses our sender checks",
        ("DNS gave no answer in time",),
        zone={**ZONE, "mail.cascade.example": "TIMEOUT"},
    ),
    Scenario(
        "reputation",
        refused_with_others,
        "OUR PROBLEM: inbox.example refuses our server (2 others in the same case since Mar 2, 2026)",
        ("this was not about your address",),
        "resend.bytext",
    ),
    Scenario(
        "spam", bounce_of("spam_content", Reason.CONTENT), f"OUR PROBLEM: {SERVER} took our mail for spam"
    ),
    Scenario(
        "too big", bounce_of("too_big", Reason.CONTENT), f"NOT DELIVERED: the mail is too big for {SERVER}"
    ),
    Scenario(
        "refused without a reason",
        bounce_of("other", Reason.POLICY),
        f"NOT DELIVERED: {SERVER} refused it, and does not say clearly why",
        ("Not certain",),
    ),
    Scenario(
        "relaying denied",
        bounce_of("relay_or_security", Reason.POLICY),
        f"PROBABLY OUR PROBLEM: {SERVER} does not take mail",
    ),
    Scenario(
        "put off to the end",
        told(EventKind.FAILED, cls="rate_limited", reason=Reason.POLICY),
        f"NOT DELIVERED: {SERVER} made us wait until it was too late",
        first="resend.open",
    ),
    Scenario(
        "our way out failed",
        told(EventKind.FAILED, reason=Reason.NETWORK),
        "OUR PROBLEM: it never left our side: our mail server could not be reached",
    ),
    Scenario("queued", queued, "NOT SENT YET: it waits in the queue, due at 1:00 AM PST"),
    Scenario("being sent", claimed, "BEING SENT right now"),
    Scenario(
        "greylisted",
        put_off(cls="rate_limited", reason=Reason.POLICY, reply_code="451"),
        f"NOT DELIVERED YET: {SERVER} asked us to wait, next try at 1:0",
        ("We try again at 1:0", "PST"),
        "resend.bytext",
    ),
    Scenario(
        "our route is down",
        put_off(reason=Reason.NETWORK),
        "OUR PROBLEM: our mail server relay cannot be reached, next try at",
        ("cannot be reached, as of the last try",),
    ),
    Scenario(
        "in doubt",
        put_off(EventKind.IN_DOUBT, reason=Reason.NETWORK),
        "NOT KNOWN: we were cut off while it was being sent",
        ("Not certain",),
    ),
    Scenario(
        "held by the send mode",
        held_by("send_mode", "Sending is switched off (send_mode: off)."),
        "NOT SENT YET: sending is switched off on this desk",
    ),
    Scenario(
        "held by somebody",
        held_by("U_LEAD", "Waiting for the new price list."),
        "NOT SENT YET: held: Waiting for the new price list",
        ("by U_LEAD",),
    ),
    Scenario(
        "expired", told(EventKind.EXPIRED, reason=Reason.STALE), "NOT SENT: it could not be sent in time"
    ),
    Scenario(
        "cancelled",
        told(EventKind.CANCELLED, reason=Reason.OPERATOR, diagnostic="The run was stopped."),
        "NOT SENT: it was cancelled: The run was stopped",
    ),
    Scenario(
        "accepted",
        told(EventKind.ACCEPTED, confidence=Confidence.ACCEPTED_BY_SERVER),
        "ACCEPTED BY INBOX.EXAMPLE'S SERVER",
        ("spam and promotions folders",),
        "resend.open",
    ),
    Scenario(
        "accepted, then marked as spam",
        told(EventKind.ACCEPTED, EventKind.COMPLAINT, confidence=Confidence.ACCEPTED_BY_SERVER),
        "ACCEPTED BY INBOX.EXAMPLE'S SERVER, then marked as spam",
    ),
    Scenario(
        "handed to the relay",
        told(EventKind.ACCEPTED, confidence=Confidence.HANDED_TO_RELAY),
        "HANDED TO THE RELAY, no bounce reported",
        ("a bounce may still come for 72 hours",),
    ),
    Scenario(
        "no bounce for three days",
        told(EventKind.ACCEPTED, EventKind.PRESUMED, confidence=Confidence.PRESUMED),
        "HANDED TO THE RELAY, no bounce in 72 hours: it has probably arrived",
    ),
    Scenario(
        "some of several addresses failed",
        some_failed,
        "PARTLY DELIVERED: 1 of 3 addresses failed",
        ("b•••@cedar.example: Not delivered: the mailbox does not exist",),
        "contact.mend",
    ),
    Scenario(
        "sent to the payer",
        paid_by_another,
        "SENT TO THE PAYER: account 1100 gets this invoice",
        ("invoices go to account 1100, which pays for it",),
        "find.open",
        asks="1103",
    ),
    Scenario(
        "mended since",
        mended_since,
        "NOT DELIVERED, and the address was mended since",
        first="resend.open",
    ),
    Scenario(
        "opted out of texts",
        opted_out_of_texts,
        "HANDED TO THE RELAY",
        ("•••• 0142 opted out of texts (since Mar 2, 2026)",),
    ),
    Scenario(
        "a landline",
        a_landline,
        "HANDED TO THE RELAY",
        ("0142 cannot get texts: the number is a landline, known since",),
    ),
    Scenario(
        "suspended and past due",
        suspended_and_late,
        "HANDED TO THE RELAY",
        ("package suspended", "1 invoice past due"),
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
async def test_the_planted_cause_is_named(services: Services, scenario: Scenario) -> None:
    await scenario.plant(services.store)
    if scenario.zone is not None:
        services = replace(services, resolver=StaticResolver(scenario.zone))
    reply = await agent_on(services).types(f"diagnose {scenario.asks}")
    assert reply.text.startswith(scenario.headline), reply.text
    for text in scenario.shows:
        assert text in said(reply)
    if scenario.first:
        steps = [a for a in buttons(reply) if a not in ASIDE]
        assert steps[0] == scenario.first
    assert "dana@" not in said(reply), "contacts are masked"


async def test_the_screen_of_a_misspelled_address(agent: Agent) -> None:
    await bounce_of("no_such_user", address="dana@gmial.com", hard=True)(agent.services.store)
    golden("diagnose_misspelled", await agent.types("diagnose 1001"))


async def test_the_screen_of_a_story(agent: Agent) -> None:
    await one_story(agent.services.store)
    golden("diagnose_story", await agent.types("diagnose 1001"))


async def test_the_screen_of_a_fault_of_ours_for_a_viewer(services: Services) -> None:
    await refused_with_others(services.store)
    golden("diagnose_reputation_viewer", await agent_on(services, Role.VIEWER).types("diagnose 1001"))


async def test_asked_for_an_invoice_it_is_about_that_one(agent: Agent) -> None:
    await one_story(agent.services.store)
    reply = await agent.types("diagnose invoice 20009")
    assert reply.text.startswith("HANDED TO THE RELAY")
    assert "October" not in said(reply)


async def test_at_most_three_steps_and_the_rest_under_more_by_role(services: Services) -> None:
    await bounce_of("no_such_user", hard=True)(services.store)
    for role, more in (
        (Role.AGENT, {"messages.open", "escalate.open", "diagnose.share"}),
        (Role.LEAD, {"release.ask", "messages.open", "trial.open", "escalate.open", "diagnose.share"}),
    ):
        desk = agent_on(services, role)
        reply = await desk.types("diagnose 1001")
        shown = set(buttons(reply)) - ASIDE
        assert shown == {"contact.mend", "resend.bytext", "resend.other"}
        assert set(buttons(await desk.presses(reply, "diagnose.more"))) == more
    viewer = await agent_on(services, Role.VIEWER).types("diagnose 1001")
    assert set(buttons(viewer)) == {"messages.timeline", "messages.open", "diagnose.again"}


async def shared_card(agent: Agent) -> tuple[Post, Reply]:
    """A bounce, diagnosed and shared; the post and what it shows."""
    await bounce_of("no_such_user", hard=True)(agent.services.store)
    rest = await agent.presses(await agent.types("diagnose 1001"), "diagnose.more")
    for _ in range(2):
        await agent.presses(rest, "diagnose.share")
    (post,) = await wanted(agent)
    card = await SURFACE.draw(agent.services, 1, post.key)
    assert card is not None
    return post, legal(card)


async def wanted(agent: Agent) -> list[Post]:
    """What the poster would show now, as it is once it stands there."""
    async with agent.services.store.begin(1) as tx:
        posts = await tx.posts.claim_behind(worker="w", lease_s=60)
        for n, post in enumerate(posts):
            ts = post.ts or f"100.{post.id.int % 1000}{n}"
            assert await tx.posts.shown(
                post, ts=ts, revision=post.wanted, channel=post.channel, next_edit=tx.now
            )
    return posts


async def test_sharing_posts_one_masked_card(agent: Agent) -> None:
    _, card = await shared_card(agent)
    golden("diagnose_shared", card)
    assert "Whitfield" not in said(card), "a person's name is cut short in a channel"
    assert set(buttons(card)) == {"diagnose.open", "diagnose.rerun"}


async def test_a_card_shared_from_an_older_sheet_says_the_time_of_what_it_shows(
    agent: Agent, clock: FakeClock
) -> None:
    await bounce_of("no_such_user", hard=True)(agent.services.store)
    rest = await agent.presses(await agent.types("diagnose 1001"), "diagnose.more")
    clock.advance(minutes=5)
    await deliver_a_copy(agent.services.store)
    await agent.presses(rest, "diagnose.share")
    (post,) = await wanted(agent)
    card = await SURFACE.draw(agent.services, 1, post.key)
    assert card is not None
    assert card.text.startswith("ACCEPTED BY INBOX.EXAMPLE")
    assert "As of Mar 2, 2026, 1:05:00 AM PST; last run Mar 2, 2026, 1:00:00 AM PST by <@U_AGENT>" in said(
        card
    )


async def deliver_a_copy(store: Store) -> None:
    """Somebody resends to the same address, and their server takes it."""
    async with store.begin(1) as tx:
        subscriber = await tx.subscribers.by_account("1001")
    assert subscriber is not None
    address = "dana@inbox.example"
    _, (d,) = await cast.sent(store, "k-2", subscriber.id, address, invoice="20001")
    await cast.learn(store, accepted(d, confidence=Confidence.ACCEPTED_BY_SERVER))


async def test_running_it_again_in_the_thread_says_what_has_changed(
    agent: Agent, services: Services, clock: FakeClock
) -> None:
    post, card = await shared_card(agent)
    clock.advance(minutes=5)
    other = replace(agent, user="U_LEAD")
    press = other.press(card, "diagnose.rerun")
    for _ in range(2):  # as after a crash
        assert await other.commands["diagnose"].run(press, services) == []
    same = await thread_of(agent, post)
    assert [said(reply) for reply in same] == [
        ":arrows_counterclockwise: Nothing has changed since 1:00 AM.\nRun again by <@U_LEAD>."
    ]

    await deliver_a_copy(services.store)
    mended = replace(services, resolver=StaticResolver(RIGHT_SPF))
    clock.advance(minutes=5)
    await other.commands["diagnose"].run(other.press(card, "diagnose.rerun"), mended)
    told = said((await thread_of(agent, post))[-1])
    assert "Changed since 1:05 AM" in told, "compared with the last result that the thread has told"
    assert "• SPF record: was wrong, is right now" in told
    assert "• February (20001): bounced (no such mailbox) → accepted by inbox.example's server" in told
    before, after = "NOT DELIVERED: no such mailbox at inbox.example", "ACCEPTED BY INBOX.EXAMPLE'S SERVER"
    assert f"• Verdict: {before} → {after}" in told
    assert "dana@" not in told
    drawn = await SURFACE.draw(mended, 1, post.key)
    assert drawn is not None
    assert drawn.text == after, "the card follows"
    assert "Checked Mar 2, 2026, 1:10:00 AM PST by <@U_LEAD>" in said(drawn)


async def thread_of(agent: Agent, card: Post) -> list[Reply]:
    await wanted(agent)
    async with agent.services.store.read(1) as tx:
        posts = await tx.posts.under(card.id)
    drawn = [await CHANGES.draw(agent.services, 1, post.key) for post in posts]
    return [legal(reply) for reply in drawn if reply is not None]


async def test_running_it_again_on_ones_own_screen_replaces_the_answer(
    agent: Agent, services: Services, clock: FakeClock
) -> None:
    await bounce_of("mailbox_full", Reason.CAPACITY)(services.store)
    first = await agent.types("diagnose 1001")
    assert "Diagnosed before" not in said(first)
    clock.advance(minutes=2)
    again = await agent.presses(first, "diagnose.again")
    assert again.to is To.REPLACE
    assert "Nothing has changed since 1:00 AM." in said(again)
    await deliver_a_copy(services.store)
    third = await agent.presses(again, "diagnose.again")
    assert "Changed since 1:02 AM" in said(third)
    assert "bounced (mailbox full) → accepted by inbox.example's server" in said(third)


async def test_an_earlier_diagnosis_of_the_account_is_named_for_thirty_days(
    agent: Agent, services: Services, clock: FakeClock
) -> None:
    await bounce_of("mailbox_full", Reason.CAPACITY)(services.store)
    await replace(agent, user="U_LEAD").types("diagnose 1001")
    clock.advance(days=3)
    line = "Diagnosed before: Mar 2, 2026 by <@U_LEAD>: NOT DELIVERED: the mailbox is full"
    assert line in said(await agent.types("diagnose 1001"))
    clock.advance(days=31)
    assert "Diagnosed before" not in said(await agent.types("diagnose 1001"))


async def test_carried_out_twice_one_result_is_kept(agent: Agent) -> None:
    await bounce_of("mailbox_full", Reason.CAPACITY)(agent.services.store)
    request = agent.request("diagnose", text="1001")
    for _ in range(2):
        reply = await agent.run(request)
        assert "Diagnosed before" not in said(reply), "it is not earlier than itself"
    async with agent.services.store.read(1) as tx:
        subscriber = await tx.subscribers.by_account("1001")
        assert subscriber is not None
        kept = await tx.diagnoses.latest(subscriber.id, since=tx.now - timedelta(days=1))
        assert kept is not None
        assert await tx.diagnoses.latest(subscriber.id, since=tx.now, other_than=kept.id) is None
    assert kept.cause == "mailbox_full"
    assert kept.certainty == "certain"
    assert kept.actor == "U_AGENT"
    assert ("Last answer", "bad", "Not delivered: the mailbox is full") in kept.findings
    assert "dana@" not in str(kept.findings), "contacts are masked"


async def test_old_results_are_forgotten(agent: Agent, clock: FakeClock) -> None:
    await bounce_of("mailbox_full", Reason.CAPACITY)(agent.services.store)
    share = await agent.presses(await agent.types("diagnose 1001"), "diagnose.more")
    clock.advance(days=900)
    async with agent.services.store.begin(1) as tx:
        assert await tx.retention.remove(Kept.DIAGNOSES) == 1
    with pytest.raises(UserError, match="not kept any more"):
        await agent.presses(share, "diagnose.share")


async def test_looking_is_audited(agent: Agent) -> None:
    await queued(agent.services.store)
    await agent.types("diagnose 1001")
    async with agent.services.store.read(1) as tx:
        assert [row.action for row in await tx.audit.of("account:1001")] == ["subscriber.diagnose"]


async def test_nobody_asked_for_is_asked_back(agent: Agent) -> None:
    with pytest.raises(UserError, match="Whose invoice"):
        await agent.types("diagnose ")


class Slow:
    """A resolver that never answers."""

    async def query(self, name: str, rtype: str) -> Answer:
        import asyncio

        await asyncio.Event().wait()
        return Answer(Status.UNAVAILABLE)


async def test_slow_dns_is_unknown_and_never_waited_for_longer_than_the_limit(services: Services) -> None:
    import asyncio

    await bounce_of("blocked_auth", Reason.CONFIG)(services.store)
    services = replace(services, resolver=Slow())
    async with services.store.read(1) as tx:
        subscriber = await tx.subscribers.by_account("1001")
    assert subscriber is not None
    async with asyncio.timeout(DNS_LIMIT_S + 1.5):
        found = await examine(services, 1, subscriber, None)
    assert found.cause == "sender_checks"
    assert "could not be looked up in time" in " ".join(line.text for line in found.lines)


async def test_a_held_delivery_is_no_longer_held_once_it_is_tried(
    services: Services, clock: FakeClock
) -> None:
    await held_by("U_LEAD", "Not yet.")(services.store)
    async with services.store.begin(1) as tx:
        await tx.deliveries.release_held(1, "U_LEAD")
    reply = await agent_on(services).types("diagnose 1001")
    assert reply.text.startswith("NOT SENT YET: it waits in the queue")
