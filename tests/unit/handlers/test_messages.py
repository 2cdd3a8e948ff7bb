"""/isp messages on both databases: pages, the timeline with raw answers, and the card in the channel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from bot.retention import RetentionDuty
from handlers.contract import Services
from handlers.reply import To, UserError
from handlers.surfaces.delivery import SURFACE as DELIVERY
from handlers.surfaces.messages import SURFACE as MESSAGES
from handlers.surfaces.subscriber import SURFACE as SUBSCRIBER
from store.models import (
    Channel,
    Confidence,
    EventKind,
    EventSource,
    Fallback,
    NotificationKind,
    Reason,
)
from store.unit import Store
from tests.builders import NOW, billing_email, event
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.support import Agent, buttons, golden, legal, said

BOUNCE: dict[str, Any] = {
    "reply_code": "550",
    "status": "5.1.1",
    "diagnostic": "550 5.1.1 user unknown",
    "remote": "mx.inbox.example",
    "cls": "no_such_user",
    "hard": True,
    "reason": Reason.RECIPIENT,
    "source": EventSource.DSN,
}


async def _history(services: Services) -> UUID:
    """Dana with eleven notices, the newest one bounced after the relay took it."""
    store = services.store
    sid = await cast.dana(store)
    for number in range(11):
        more: dict[str, Any] = {"kind": NotificationKind.INVOICE_ISSUED, "requested_by": "invoice run"}
        _, (last,) = await cast.sent(store, f"k{number}", sid, "dana@inbox.example", **more)
    relay: dict[str, Any] = {
        "confidence": Confidence.HANDED_TO_RELAY,
        "remote": "visp",
        "diagnostic": "250 2.0.0 Ok: q1",
    }
    await cast.learn(
        store,
        event(last.id, **relay),
        event(last.id, EventKind.BOUNCED, at=NOW + timedelta(minutes=3), **BOUNCE),
    )
    return last.notification_id


async def test_pages_of_five_newest_first_lead_to_each_other(agent: Agent) -> None:
    await _history(agent.services)
    first = await agent.types("messages 1001")
    golden("messages_page", first)
    assert first.to is To.ASKER
    assert "messages.page:newer" not in buttons(first)
    second = await agent.presses(first, "messages.page:older")
    assert second.to is To.REPLACE
    third = await agent.presses(second, "messages.page:older")
    assert "11 to 11 of 11" in said(third)
    assert "messages.page:older" not in buttons(third)
    back = await agent.presses(third, "messages.page:newer")
    assert said(back) == said(second)


async def test_addresses_in_the_log_are_masked_and_words_have_no_codes(agent: Agent) -> None:
    await _history(agent.services)
    page = said(await agent.types("messages 1001"))
    assert "dana@inbox.example" not in page
    assert "Not delivered: the mailbox does not exist" in page
    assert "550" not in page


async def test_the_timeline_tells_every_event_and_the_servers_own_words(agent: Agent) -> None:
    await _history(agent.services)
    timeline = await agent.presses(await agent.types("messages 1001"), "messages.timeline:0")
    golden("messages_timeline", timeline)
    shown = said(timeline)
    assert "```250 2.0.0 Ok: q1\n550 5.1.1 user unknown```" in shown
    assert "Check the address with the customer, letter by letter." in shown


async def test_the_messages_of_one_invoice_are_asked_for_by_its_number(agent: Agent) -> None:
    store = agent.services.store
    sid = await cast.dana(store)
    await cast.sent(store, "a", sid, "dana@inbox.example", invoice="20001")
    await cast.sent(store, "b", sid, "dana@inbox.example")
    page = await agent.types("messages invoice 20001")
    assert "1 to 1 of 1" in said(page)
    assert "1 to 2 of 2" in said(await agent.types("messages 1001"))


async def test_an_invoice_never_sent_offers_to_send_it(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    page = await agent.types("messages invoice 20001")
    assert "No message was sent for invoice 20001" in said(page)
    assert "resend.open" in buttons(page)
    preview = await agent.presses(page, "resend.open")
    assert "Resend invoice 20001?" in said(preview)


async def test_an_account_never_written_to_says_so(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    page = await agent.types("messages 1001")
    assert "No message was sent for account 1001" in said(page)
    assert buttons(page) == {}


async def test_ambiguous_numbers_and_names_are_asked_about(agent: Agent) -> None:
    store = agent.services.store
    await cast.add(store, "7001", name="Kim One")
    await cast.add(store, "7002", name="Kim Two", invoices=("7001",))
    question = await agent.types("messages 7001")
    assert "invoice 7001" in said(await agent.presses(question, "messages.open:1"))
    picker = await agent.types("messages kim")
    assert "account 7002" in said(await agent.presses(picker, "messages.open:1"))


async def test_what_is_gone_is_said_to_be_gone(agent: Agent) -> None:
    nobody = "01900000-0000-7000-8000-000000000000"
    for action, value in (("timeline", {"n": nobody}), ("open", {"s": nobody})):
        with pytest.raises(UserError, match="not on file any more"):
            await agent.run(agent.request("messages", action, value=value))


async def test_looking_is_audited_once_a_look(agent: Agent) -> None:
    await _history(agent.services)
    request = agent.request("messages", text="1001")
    await agent.run(request)
    await agent.run(request)
    async with agent.services.store.read(1) as tx:
        rows = await tx.audit.of("account:1001")
    assert [row.action for row in rows] == ["messages.look"]


async def test_the_card_in_the_channel_is_masked_and_says_what_to_do(services: Services) -> None:
    notification = await _history(services)
    card = await DELIVERY.draw(services, 1, str(notification))
    assert card is not None
    golden("delivery_card_bounced", card)
    shown = said(card)
    assert "Whitfield" not in shown
    assert "dana@inbox.example" not in shown
    assert "Asked for by invoice run" in shown


async def test_the_card_of_a_resend_offers_another_address_once_it_is_in_trouble(agent: Agent) -> None:
    services = agent.services
    await cast.family(services.store)
    await agent.presses(await agent.types("resend 1103"), "resend.send")
    async with services.store.read(1) as tx:
        invoice = await tx.invoices.by_number("20103")
        assert invoice is not None
        ((notification,), _) = await tx.notifications.page(invoice_id=invoice.id)
        deliveries = (await tx.deliveries.of_notifications([notification.id]))[notification.id]
    card = await DELIVERY.draw(services, 1, str(notification.id))
    assert card is not None
    assert "Under way" in said(card)
    assert "resend.other" not in buttons(card)
    first, second = sorted(deliveries, key=lambda d: d.address)
    await cast.learn(services.store, event(first.id, EventKind.BOUNCED, **BOUNCE))
    relay: dict[str, Any] = {"confidence": Confidence.HANDED_TO_RELAY, "remote": "visp"}
    await cast.learn(services.store, event(second.id, **relay))
    card = await DELIVERY.draw(services, 1, str(notification.id))
    assert card is not None
    golden("delivery_card_mixed", card)
    assert "resend.other" in buttons(card)
    assert "Handed to the relay" in card.text
    assert "<@U_AGENT>" in said(card)
    opened = await agent.answer(agent.press(card, "resend.other"))
    assert opened.modal is not None


async def test_a_card_of_a_message_that_is_gone_is_nothing(services: Services) -> None:
    assert await DELIVERY.draw(services, 1, "01900000-0000-7000-8000-000000000000") is None
    assert await SUBSCRIBER.draw(services, 1, "01900000-0000-7000-8000-000000000000:i-1") is None


async def test_a_card_is_drawn_for_its_own_tenant_only(services: Services) -> None:
    notification = await _history(services)
    assert await DELIVERY.draw(services, 2, str(notification)) is None


async def test_a_shared_card_is_masked_and_opens_only_for_who_presses(services: Services) -> None:
    sid = await cast.dana(services.store)
    card = await SUBSCRIBER.draw(services, 1, f"{sid}:i-1")
    assert card is not None
    golden("subscriber_card_shared", legal(card))
    assert "Whitfield" not in said(card)
    assert "inbox.example" not in said(card)
    assert set(buttons(card)) == {"find.open"}


async def test_a_text_that_stands_in_for_a_failed_mail_is_told_as_such(
    agent: Agent, services: Services, store: Store, clock: FakeClock
) -> None:
    sid = await cast.add(store, "1042", billing_email("maria@gmial.com"), invoices=("20042",))
    way = (Fallback(Channel.SMS, "+15415550142", "twilio"),)
    _, (mail,) = await cast.sent(store, "k", sid, "maria@gmial.com", invoice="20042", fallback=way)
    clock.advance(minutes=5)
    await cast.learn(store, event(mail.id, EventKind.BOUNCED, attempt=0, cls="no_such_user"))
    page = await agent.types("messages 1042")
    assert "m•••a@gmial.com: Not delivered" in said(page)
    assert "•••• 0142, by text instead: Queued" in said(page)
    async with store.read(1) as tx:
        (text,) = [d for d in await tx.deliveries.of_refs([(1, mail.notification_id)]) if d.id != mail.id]
    receipt = {"confidence": Confidence.HANDSET_RECEIPT, "attempt": 0}
    await cast.learn(store, event(text.id, EventKind.DELIVERED, **receipt))
    timeline = await agent.presses(page, "messages.timeline:0")
    assert "Queued as a text, since every mail had failed" in said(timeline)
    drawn = await DELIVERY.draw(services, 1, str(mail.notification_id))
    assert drawn is not None
    assert "Delivered to the phone, but 1 of 2 not" in said(legal(drawn))
    assert "•••• 0142, by text instead: Delivered to the phone" in said(drawn)


async def test_asked_for_nothing_it_says_how_it_is_written(agent: Agent) -> None:
    with pytest.raises(UserError) as told:
        await agent.types("messages ")
    assert "/isp messages 1042" in told.value.next_step


async def test_whoever_turns_a_page_of_a_shared_card_turns_it_for_themselves(agent: Agent) -> None:
    sid = await cast.dana(agent.services.store)
    for _ in range(6):
        await agent.presses(await agent.types("resend 1001"), "resend.send")
    shared = await MESSAGES.draw(agent.services, 1, f"s{sid}:0:n")
    assert shared is not None
    assert (await agent.presses(shared, "messages.page:older")).to is To.ASKER
    mine = await agent.types("messages 1001")
    assert (await agent.presses(mine, "messages.page:older")).to is To.REPLACE


async def test_what_is_archived_is_shown_with_its_answers_and_said_to_be(
    agent: Agent, store: Store, clock: FakeClock
) -> None:
    sid = await cast.dana(store)
    _, (item,) = await cast.sent(store, "old", sid, "dana@inbox.example", invoice="20001")
    refused = {"diagnostic": "552 5.2.2 mailbox full", "status": "5.2.2", "cls": "mailbox_full"}
    await cast.learn(store, event(item.id, EventKind.BOUNCED, attempt=0, **refused))
    clock.advance(days=900)
    await cast.sent(store, "new", sid, "dana@inbox.example", invoice="20001")
    await RetentionDuty(store, [1], pause_s=0).sweep(1)
    page = await agent.types("messages 1001")
    assert "1 to 2 of 2" in said(page)
    assert "Not delivered: the mailbox is full" in said(page)
    assert said(page).count("archived") == 1
    timeline = await agent.presses(page, "messages.timeline:1")
    assert "552 5.2.2 mailbox full" in said(timeline)
    assert "every answer is kept for seven years" in said(timeline)
    assert "come from the archive" in said(await agent.types("diagnose 1001"))
