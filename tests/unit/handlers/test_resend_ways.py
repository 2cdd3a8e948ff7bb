"""/isp resend by text and by another mail server, on both databases: seen before, sent once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from handlers.contract import Services
from handlers.profile import Role, SmsProfile
from handlers.reply import Reply, UserError
from handlers.typed import split_by
from handlers.workflows.diagnose import examine
from notifier import templates
from notifier.channels import SmsRoute
from notifier.tracking import DELIVERY_SURFACE
from store.models import Channel, Confidence, Delivery, EventKind, InvoiceStatus, Notification, Priority
from store.unit import Store
from tests.builders import billing_email, event, mobile, usd
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import RELAY, Agent, buttons, golden, profile, said

NOON = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
NIGHT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PHONE = "+15415550142"
SMS = SmsProfile(SmsRoute("twilio", "+15415550100", "AC1", ("secret",)), segment_price=Decimal("0.0079"))
DESK = profile(
    sms=SMS,
    routes=(RELAY, replace(RELAY, name="remote")),
    remote_route="remote",
    public_url="https://desk.example",
    test_mailboxes=("me@inbox.example",),
)


@pytest.fixture
def services(services: Services, clock: FakeClock) -> Services:
    clock.now = NOON
    return replace(services, tenants={1: DESK})


@pytest.fixture
def agent(services: Services) -> Agent:
    return agent_on(services)


@pytest.fixture
def lead(services: Services) -> Agent:
    return agent_on(services, Role.LEAD, "U_LEAD")


async def sent(store: Store, number: str = "20001") -> list[tuple[Notification, list[Delivery]]]:
    async with store.read(1) as tx:
        invoice = await tx.invoices.by_number(number)
        assert invoice is not None
        found, _ = await tx.notifications.page(invoice_id=invoice.id, limit=50)
        deliveries = await tx.deliveries.of_notifications([n.id for n in found])
    return [(n, deliveries[n.id]) for n in found]


def shown_text(reply: Reply) -> str:
    """What stands in the code block."""
    return said(reply).partition("```")[2].partition("```")[0]


async def test_the_preview_shows_the_exact_text_its_cost_and_the_time_there(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001 by text")
    assert PHONE in said(preview)
    assert "1 segment* · $0.0079" in said(preview)
    assert "It is *12:00 PM* where they live" in said(preview)
    assert "https://desk.example/i/" in shown_text(preview)
    assert await sent(agent.services.store) == []


async def test_what_is_sent_is_what_was_shown_once_and_followed_on_a_card(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001 by text")
    assert "On its way" in said(await agent.presses(preview, "resend.text"))
    again = await agent.presses(preview, "resend.text")
    assert "one text went out, not two" in said(again)
    ((notification, (d,)),) = await sent(agent.services.store)
    assert (d.channel, d.address, d.route, d.priority) == (Channel.SMS, PHONE, "twilio", Priority.URGENT)
    async with agent.services.store.read(1) as tx:
        source = await tx.notifications.template(notification.template_hash)
        assert source is not None
        assert len(await tx.posts.of(DELIVERY_SURFACE, str(notification.id))) == 1
        (row,) = [r for r in await tx.audit.of("account:1001") if r.action == "invoice.resend"]
    body = templates.render_sms(source, {"language": "en", **notification.context})
    assert body == shown_text(preview)
    assert row.personal == {"to": [PHONE]}
    assert row.detail["channel"] == "sms"


async def test_the_same_press_carried_out_twice_says_the_same(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001 by text")
    press = agent.press(preview, "resend.text")
    assert await agent.run(press) == await agent.run(press)
    assert len(await sent(agent.services.store)) == 1


async def test_words_that_changed_since_are_shown_again_and_then_sent(agent: Agent) -> None:
    store = agent.services.store
    await cast.dana(store)
    preview = await agent.types("resend 1001 by text")
    await cast.set_invoice(store, "20001", status=InvoiceStatus.PAID, paid=usd("49.90"))
    second = await agent.presses(preview, "resend.text")
    assert "Nothing went out on your press" in said(second)
    assert "paid" in shown_text(second)
    assert await sent(store) == []
    await agent.presses(second, "resend.text")
    assert len(await sent(store)) == 1


@pytest.mark.parametrize("how", ["opted out", "suppressed"])
async def test_a_number_that_must_not_be_texted_is_shown_and_left_out(agent: Agent, how: str) -> None:
    store = agent.services.store
    await cast.dana(store)
    before = await agent.types("resend 1001 by text")
    async with store.begin(1) as tx:
        if how == "opted out":
            await tx.consents.withdraw(Channel.SMS, PHONE, source="sms", evidence="SM1")
        else:
            await tx.suppressions.suppress(Channel.SMS, PHONE, reason="not_a_mobile", actor="sms")
    preview = await agent.types("resend 1001 by text")
    assert "not texted" in said(preview)
    assert "Mail it instead" in said(preview)
    assert "resend.text" not in buttons(preview)
    with pytest.raises(UserError, match="cannot go any more: "):
        await agent.presses(before, "resend.text")
    assert await sent(store) == []


async def test_since_when_texts_do_not_reach_a_number_is_a_day_of_the_desk(
    agent: Agent, clock: FakeClock
) -> None:
    store = agent.services.store
    await cast.dana(store)
    clock.now = datetime(2026, 3, 3, 1, tzinfo=UTC)  # 5 PM on March 2 at the desk
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(Channel.SMS, PHONE, reason="not_a_mobile", actor="sms")
    assert "known since Mar 02, 2026" in said(await agent.types("resend 1001 by text"))


async def test_where_no_number_is_on_file_one_may_be_given(agent: Agent) -> None:
    await cast.add(agent.services.store, "1001", billing_email("dana@inbox.example"), invoices=("20001",))
    assert "No mobile number on file" in said(await agent.types("resend 1001 by text"))
    preview = await agent.types("resend 1001 to 541-555-0177 by text")
    assert "not on file for this account" in said(preview)
    await agent.presses(preview, "resend.text")
    ((_, (d,)),) = await sent(agent.services.store)
    assert d.address == "+15415550177"
    with pytest.raises(UserError, match="cannot be texted"):
        await agent.types("resend 1001 to 12 by text")


async def test_a_number_of_two_accounts_gets_one_text_about_the_one_that_was_asked_for(agent: Agent) -> None:
    store = agent.services.store
    for account in ("1204", "1205"):
        await cast.add(store, account, mobile(PHONE), invoices=(f"2{account}",))
    preview = await agent.types("resend 1204 by text")
    assert "Account 1205 has this number too" in said(preview)
    await agent.presses(preview, "resend.text")
    assert len(await sent(store, "21204")) == 1
    assert await sent(store, "21205") == []
    (_, (d,)) = (await sent(store, "21204"))[0]
    assert d.address == PHONE


async def test_at_night_it_warns_and_lets_the_agent_decide(agent: Agent, clock: FakeClock) -> None:
    clock.now = NIGHT
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001 by text")
    assert "It may wake somebody" in said(preview)
    assert "Text it all the same" in said(preview)
    await agent.presses(preview, "resend.text")
    assert len(await sent(agent.services.store)) == 1


async def test_a_spanish_subscriber_reads_spanish(agent: Agent) -> None:
    await cast.add(agent.services.store, "1001", mobile(PHONE), invoices=("20001",), language="es")
    assert "factura" in shown_text(await agent.types("resend 1001 by sms"))


async def test_a_desk_without_texts_says_so(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    mute = agent_on(replace(agent.services, tenants={1: replace(DESK, sms=None)}))
    with pytest.raises(UserError, match="sends no texts"):
        await mute.types("resend 1001 by text")


async def test_the_text_button_of_a_diagnosis_opens_this_preview(agent: Agent) -> None:
    store = agent.services.store
    sid = await cast.dana(store)
    _, (d,) = await cast.sent(store, "k", sid, "dana@inbox.example", invoice="20001")
    await cast.learn(store, event(d.id, EventKind.BOUNCED, cls="mailbox_full"))
    found = await agent.types("diagnose 1001")
    assert "Text the link of invoice 20001?" in said(await agent.presses(found, "resend.bytext"))


async def test_another_server_is_for_leads(agent: Agent, lead: Agent) -> None:
    await cast.dana(agent.services.store)
    with pytest.raises(UserError, match="for leads"):
        await agent.types("resend 1001 by remote")
    spec = lead.commands["resend"].spec
    assert spec.needs("byroute") is spec.needs("test") is Role.LEAD


async def test_a_test_goes_by_the_other_server_and_says_what_it_does_not_prove(lead: Agent) -> None:
    await cast.dana(lead.services.store)
    preview = await lead.types("resend 1001 by remote")
    golden("resend_route_test", preview)
    assert "not proof of whose fault" in said(preview)
    await lead.presses(preview, "resend.test")
    ((notification, (d,)),) = await sent(lead.services.store)
    assert (d.route, d.address) == ("remote", "dana@inbox.example")
    assert notification.context["test_of"] == "remote"
    async with lead.services.store.read(1) as tx:
        (row,) = [r for r in await tx.audit.of("account:1001") if r.action == "invoice.resend"]
    assert row.detail["test_of"] == "remote"


async def test_a_test_goes_to_nobody_else(lead: Agent) -> None:
    await cast.dana(lead.services.store)
    with pytest.raises(UserError, match="own addresses or to a test mailbox"):
        await lead.types("resend 1001 to stranger@inbox.example by remote")
    preview = await lead.types("resend 1001 to me@inbox.example by remote")
    assert buttons(preview)["resend.test"]["to"] == ["me@inbox.example"]


async def test_a_test_to_a_mailbox_of_ours_is_no_proof_that_the_subscriber_got_it(lead: Agent) -> None:
    store = lead.services.store
    sid = await cast.dana(store)
    _, (d,) = await cast.sent(store, "k", sid, "dana@inbox.example", invoice="20001")
    await cast.learn(store, event(d.id, EventKind.BOUNCED, cls="mailbox_full"))
    preview = await lead.types("resend 1001 to me@inbox.example by remote")
    await lead.presses(preview, "resend.test")
    (_, (test,)) = (await sent(store))[0]
    await cast.learn(store, event(test.id, EventKind.ACCEPTED, confidence=Confidence.ACCEPTED_BY_SERVER))
    async with store.read(1) as tx:
        subscriber = await tx.subscribers.by_account("1001")
    assert subscriber is not None
    assert (await examine(lead.services, 1, subscriber, None)).cause == "mailbox_full"


@pytest.mark.parametrize("typed", ["1001 by pigeon", "1001 by"])
async def test_a_way_that_there_is_not_is_said(agent: Agent, typed: str) -> None:
    await cast.dana(agent.services.store)
    with pytest.raises(UserError) as said_so:
        await agent.types(f"resend {typed}")
    assert "`by remote`" in said_so.value.next_step


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("1001", ("1001", None)),
        ("1001 by text", ("1001", "text")),
        ("1001 by Text", ("1001", "text")),
        ("1001 by remote to a@b.example", ("1001 to a@b.example", "remote")),
        ("1001 to a@b.example by remote", ("1001 to a@b.example", "remote")),
        ("1001 by", ("1001", "")),
        ("by text", ("by text", None)),
    ],
)
def test_the_way_is_read_wherever_it_stands(typed: str, found: tuple[str, Any]) -> None:
    assert split_by(typed) == found
