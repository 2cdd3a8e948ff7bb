"""/isp resend on both databases: a preview tells everything, sends once, and facts count at the press."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from handlers.contract import Services
from handlers.reply import Reply, To, UserError
from notifier import tracking
from notifier.tracking import DELIVERY_SURFACE
from store.models import (
    AuditEntry,
    Channel,
    Confidence,
    ContactRole,
    Delivery,
    EventKind,
    InvoiceStatus,
    NoteLevel,
    Notification,
    NotificationKind,
    Priority,
    Reason,
    Stage,
)
from tests.builders import billing_email, event, note_of, usd
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, golden, profile, said, signed


async def _notifications(services: Services, invoice: str) -> list[Notification]:
    async with services.store.read(1) as tx:
        found = await tx.invoices.by_number(invoice)
        assert found is not None
        return (await tx.notifications.page(invoice_id=found.id, limit=50))[0]


async def _deliveries(services: Services, invoice: str) -> list[Delivery]:
    notifications = await _notifications(services, invoice)
    async with services.store.read(1) as tx:
        by_notification = await tx.deliveries.of_notifications([n.id for n in notifications])
    return [d for n in notifications for d in by_notification[n.id]]


async def _acts(services: Services, account: str) -> list[AuditEntry]:
    async with services.store.read(1) as tx:
        return [row for row in await tx.audit.of(f"account:{account}") if row.action == "invoice.resend"]


async def test_the_preview_shows_what_goes_where(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001")
    golden("resend_preview", preview)
    assert buttons(preview)["resend.send"]["to"] == ["dana@inbox.example"]
    assert await _notifications(agent.services, "20001") == []


async def test_looking_at_the_preview_is_a_look_at_contacts_and_audited(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    await agent.types("resend 1001")
    async with agent.services.store.read(1) as tx:
        (row,) = await tx.audit.of("account:1001")
    assert (row.action, row.detail) == ("subscriber.contacts", {"for": "resend preview"})


async def test_a_childs_invoice_goes_to_all_usable_billing_addresses_of_whoever_pays(agent: Agent) -> None:
    await cast.family(agent.services.store)
    preview = await agent.types("resend 1103")
    golden("resend_preview_payer", preview)
    assert buttons(preview)["resend.send"]["to"] == ["books@cedar.example", "owner@cedar.example"]
    assert "account 1100 pays for 1103" in said(preview)
    assert "front desk@cedar.example: not sent, There is a space" in said(preview)


async def test_a_suppressed_address_is_shown_and_left_out(agent: Agent) -> None:
    await cast.family(agent.services.store)
    await cast.suppress(agent.services.store, "books@cedar.example")
    preview = await agent.types("resend 1103")
    assert "books@cedar.example: not sent, on our do-not-send list" in said(preview)
    assert buttons(preview)["resend.send"]["to"] == ["owner@cedar.example"]


async def test_since_when_an_address_is_suppressed_is_a_day_of_the_desk(
    agent: Agent, clock: FakeClock
) -> None:
    await cast.family(agent.services.store)
    clock.advance(hours=16)  # March 3 in UTC, 5 PM on March 2 at the desk
    await cast.suppress(agent.services.store, "books@cedar.example")
    preview = await agent.types("resend 1103")
    assert "on our do-not-send list since Mar 02, 2026" in said(preview)


async def test_with_no_usable_address_there_is_no_send_button(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    await cast.suppress(agent.services.store, "dana@inbox.example")
    preview = await agent.types("resend 1001")
    assert set(buttons(preview)) == {"contact.mend", "resend.bytext", "resend.other"}, "the other ways"
    assert "Ask for another address, or another way" in said(preview)


async def test_a_typed_look_alike_is_warned_of_and_what_was_meant_comes_first(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001 to dana@gmial.com")
    assert "Its owner is probably a stranger" in said(preview)
    assert list(buttons(preview)) == ["resend.use", "resend.send", "resend.cancel"]
    assert "Send all the same" in said(preview)
    meant = await agent.presses(preview, "resend.use")
    assert buttons(meant)["resend.send"]["to"] == ["dana@gmail.com"]
    assert "stranger" not in said(meant)


async def test_a_typed_address_where_nothing_can_arrive_is_not_sent_to(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    for address in ("x@nosuch.example", "x@nullmx.example"):
        preview = await agent.types(f"resend 1001 to {address}")
        assert f"{address}: not sent, " in said(preview)
        assert "resend.send" not in buttons(preview)


async def test_an_address_on_file_that_looks_mistyped_is_told_and_still_goes(agent: Agent) -> None:
    await cast.add(agent.services.store, "1001", billing_email("dana@gmial.com"), invoices=("20001",))
    preview = await agent.types("resend 1001")
    assert "Its owner is probably a stranger" in said(preview)
    assert buttons(preview)["resend.send"]["to"] == ["dana@gmial.com"]


async def test_an_address_that_was_taken_back_since_gets_nothing_on_the_press(agent: Agent) -> None:
    sid = await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001")
    async with agent.services.store.begin(1) as tx:
        assert await tx.subscribers.change_point(
            sid, ContactRole.BILLING, Channel.EMAIL, "dana@inbox.example", "d@inbox.example"
        )
    again = await agent.presses(preview, "resend.send")
    assert "An address was changed since. Nothing went out on your press." in said(again)
    assert "dana@inbox.example (not on file for this account)" in said(again)
    assert await _notifications(agent.services, "20001") == []
    assert (await agent.presses(again, "resend.send")).text == "On its way.", "now it was read"


async def test_a_copy_to_an_address_off_file_does_not_say_that_the_account_is_billed_to_it(
    agent: Agent,
) -> None:
    await cast.dana(agent.services.store)
    await agent.presses(await agent.types("resend 1001 to me@inbox.example"), "resend.send")
    await agent.presses(await agent.types("resend 1001"), "resend.send")
    own, copy = await _notifications(agent.services, "20001")
    assert ("copy" in copy.context, "copy" in own.context) == (True, False)


@pytest.mark.parametrize(
    ("domain", "hint"),
    [
        ("mail.cascade.example", "It will fail again until our SPF record is mended: `/isp spf`."),
        ("down.example", "DNS does not say whether our SPF record is right"),
        ("nested.example", "Our SPF record is right now."),
    ],
)
async def test_a_mail_refused_for_our_record_says_how_the_record_is_now(
    agent: Agent, domain: str, hint: str
) -> None:
    await cast.dana(agent.services.store)
    await agent.presses(await agent.types("resend 1001"), "resend.send")
    (delivery,) = await _deliveries(agent.services, "20001")
    refused = event(
        delivery.id, EventKind.BOUNCED, cls="blocked_auth", status="5.7.23", reason=Reason.INFRASTRUCTURE
    )
    async with agent.services.store.system() as tx:
        await tracking.record(tx, [tracking.Report(1, refused)])
    ours = agent.services.tenants[1]
    routes = tuple(replace(route, envelope_domain=domain, egress_ips=()) for route in ours.routes)
    services = replace(agent.services, tenants={1: replace(ours, routes=routes)})
    assert hint in said(await agent_on(services).types("resend 1001"))


async def test_the_dialog_for_another_address_says_whose_invoice_it_is(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    await cast.suppress(agent.services.store, "dana@inbox.example")
    press = agent.press(await agent.types("resend 1001"), "resend.other")
    modal = (await agent.answer(press)).modal
    assert modal is not None
    assert "Dana Whitfield* · account 1001 · invoice 20001" in str(modal.blocks)


async def test_without_any_address_the_preview_says_so(agent: Agent) -> None:
    await cast.add(agent.services.store, "1290", name="Lou Landline", invoices=("20290",))
    preview = await agent.types("resend 1290")
    assert "No e-mail address on file" in said(preview)
    assert set(buttons(preview)) == {"contact.mend", "resend.bytext", "resend.other"}, "the other ways"


async def test_a_new_address_is_warned_about(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001 to new@other.example")
    assert "new@other.example (not on file for this account)" in said(preview)
    assert "Is it theirs?" in said(preview)
    assert buttons(preview)["resend.send"]["to"] == ["new@other.example"]


async def test_an_address_on_file_is_not_warned_about(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    assert "Is it theirs?" not in said(await agent.types("resend 1001 to DANA@inbox.example"))


async def test_an_address_that_cannot_be_used_is_refused_with_a_reason(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    for address in ("me@", "me", "a@b@c.example", "me@localhost", "x y@z.example"):
        with pytest.raises(UserError, match="That address cannot be used: "):
            await agent.types(f"resend 1001 to {address}")


async def test_a_void_invoice_and_a_draft_are_refused(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    await cast.set_invoice(agent.services.store, "20001", status=InvoiceStatus.VOID)
    with pytest.raises(UserError, match="was voided"):
        await agent.types("resend invoice 20001")
    await cast.set_invoice(agent.services.store, "20001", status=InvoiceStatus.DRAFT)
    with pytest.raises(UserError, match="is a draft"):
        await agent.types("resend invoice 20001")


async def test_a_paid_invoice_and_an_archived_account_are_said_and_can_be_sent(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    await cast.archived(agent.services.store)
    paid = await agent.types("resend invoice 20000")
    assert "$49.90*, paid" in said(paid)
    gone = await agent.types("resend 1315")
    assert "This account is archived." in said(gone)
    assert "resend.send" in buttons(paid)
    assert "resend.send" in buttons(gone)


async def test_an_account_without_invoices_names_the_account_that_gets_them(agent: Agent) -> None:
    await cast.add(agent.services.store, "1400", name="Nia New", payer_account="1100")
    with pytest.raises(UserError, match="Account 1400 has no invoice yet") as told:
        await agent.types("resend 1400")
    assert "`/isp find 1100`" in told.value.next_step


async def test_the_invoice_still_to_be_paid_comes_before_a_newer_paid_one(agent: Agent) -> None:
    store = agent.services.store
    await cast.dana(store)
    newer: dict[str, Any] = {
        "issued_on": date(2026, 2, 20),
        "status": InvoiceStatus.PAID,
        "paid": usd("49.90"),
    }
    await cast.set_invoice(store, "20000", **newer)
    assert "Resend invoice 20001?" in said(await agent.types("resend 1001"))


async def test_a_second_copy_is_warned_about_in_words_that_are_true(agent: Agent) -> None:
    store = agent.services.store
    sid = await cast.dana(store)
    _, (delivery,) = await cast.sent(store, "k", sid, "dana@inbox.example", invoice="20001")
    under_way = await agent.types("resend 1001")
    assert "One is under way already" in said(under_way)
    assert _style(under_way) is None, "a second copy is not what is suggested"
    relay: dict[str, Any] = {"confidence": Confidence.HANDED_TO_RELAY, "remote": "visp"}
    await cast.learn(store, event(delivery.id, **relay))
    again = await agent.types("resend 1001")
    golden("resend_preview_again", again)
    assert "Already sent" in said(again)
    assert "delivered" not in said(again).casefold()
    assert _style(again) is None


def _style(preview: Reply) -> object:
    elements = [e for block in preview.blocks if block["type"] == "actions" for e in block["elements"]]
    return elements[0].get("style")


async def test_a_bounced_copy_is_no_reason_to_warn(agent: Agent) -> None:
    store = agent.services.store
    sid = await cast.dana(store)
    _, (delivery,) = await cast.sent(store, "k", sid, "dana@inbox.example", invoice="20001")
    await cast.learn(store, event(delivery.id, EventKind.BOUNCED, reply_code="550"))
    assert "Already sent" not in said(await agent.types("resend 1001"))


async def test_one_press_writes_one_urgent_notification_an_audit_row_and_a_post(agent: Agent) -> None:
    await cast.family(agent.services.store)
    sent = await agent.presses(await agent.types("resend 1103"), "resend.send")
    assert sent.to is To.REPLACE
    (notification,) = await _notifications(agent.services, "20103")
    assert notification.kind is NotificationKind.RESEND
    assert notification.priority is Priority.URGENT
    assert notification.receipt
    assert notification.requested_by == "U_AGENT"
    deliveries = await _deliveries(agent.services, "20103")
    assert sorted(d.address for d in deliveries) == ["books@cedar.example", "owner@cedar.example"]
    assert {d.stage for d in deliveries} == {Stage.QUEUED}
    (row,) = await _acts(agent.services, "1103")
    assert row.detail == {"invoice": "20103", "notification": str(notification.id)}
    assert row.personal == {"to": ["books@cedar.example", "owner@cedar.example"]}
    async with agent.services.store.read(1) as tx:
        (post,) = await tx.posts.of(DELIVERY_SURFACE, str(notification.id))
    assert post.channel == "C_SUPPORT"


async def test_a_resent_invoice_carries_its_pdf_and_a_link_for_whoever_pays(agent: Agent) -> None:
    await cast.family(agent.services.store)
    await agent.presses(await agent.types("resend 1103"), "resend.send")
    (notification,) = await _notifications(agent.services, "20103")
    assert notification.attach_pdf
    assert notification.context["attached"] is True
    code = notification.context["link"].rpartition("/i/")[2]
    async with agent.services.store.read(1) as tx:
        link = await tx.links.by_code(code)
        payer = await tx.subscribers.by_account("1100")
    assert link is not None
    assert payer is not None
    assert (link.invoice_id, link.subscriber_id) == (notification.invoice_id, payer.id)


async def test_two_presses_of_one_preview_send_once_and_the_second_says_so(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001")
    assert (await agent.presses(preview, "resend.send")).text == "On its way."
    second = await agent.presses(preview, "resend.send")
    assert "one mail went out, not two" in second.text
    assert len(await _notifications(agent.services, "20001")) == 1
    assert len(await _deliveries(agent.services, "20001")) == 1


async def test_one_press_run_twice_after_a_crash_sends_once_and_audits_once(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    press = agent.press(await agent.types("resend 1001"), "resend.send")
    await agent.run(press)
    await agent.run(press)
    assert len(await _notifications(agent.services, "20001")) == 1
    assert len(await _acts(agent.services, "1001")) == 1
    (notification,) = await _notifications(agent.services, "20001")
    async with agent.services.store.read(1) as tx:
        assert len(await tx.posts.of(DELIVERY_SURFACE, str(notification.id))) == 1


async def test_a_second_press_after_a_payment_or_a_bounce_still_says_that_it_was_sent(agent: Agent) -> None:
    await cast.family(agent.services.store)
    preview = await agent.types("resend 1103")
    await agent.presses(preview, "resend.send")
    await cast.set_invoice(agent.services.store, "20103", paid=usd("10.00"))
    assert "one mail went out, not two" in (await agent.presses(preview, "resend.send")).text
    await cast.suppress(agent.services.store, "books@cedar.example")
    assert "one mail went out, not two" in (await agent.presses(preview, "resend.send")).text
    assert len(await _deliveries(agent.services, "20103")) == 2


async def test_two_previews_are_two_copies_since_each_was_looked_at(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    for _ in range(2):
        await agent.presses(await agent.types("resend 1001"), "resend.send")
    assert len(await _notifications(agent.services, "20001")) == 2


async def test_two_who_press_send_at_once_send_one_copy(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    other = agent_on(agent.services, user="U_OTHER")
    previews = [(who, await who.types("resend 1001")) for who in (agent, other)]
    told = await asyncio.gather(*(who.presses(preview, "resend.send") for who, preview in previews))
    assert len(await _notifications(agent.services, "20001")) == 1
    assert sum("resend.send" in buttons(reply) for reply in told) == 1, "the slower one looks again first"


async def test_an_address_suppressed_since_the_preview_is_left_out_at_the_press(agent: Agent) -> None:
    await cast.family(agent.services.store)
    preview = await agent.types("resend 1103")
    await cast.suppress(agent.services.store, "books@cedar.example")
    await agent.presses(preview, "resend.send")
    assert [d.address for d in await _deliveries(agent.services, "20103")] == ["owner@cedar.example"]


async def test_when_all_are_suppressed_since_nothing_is_sent(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001")
    await cast.suppress(agent.services.store, "dana@inbox.example")
    with pytest.raises(UserError, match="None of these addresses can be used any more"):
        await agent.presses(preview, "resend.send")
    assert await _notifications(agent.services, "20001") == []
    assert await _acts(agent.services, "1001") == []


async def test_an_invoice_voided_since_the_preview_is_not_sent(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    preview = await agent.types("resend 1001")
    await cast.set_invoice(agent.services.store, "20001", status=InvoiceStatus.VOID)
    with pytest.raises(UserError, match="was voided"):
        await agent.presses(preview, "resend.send")
    assert await _notifications(agent.services, "20001") == []


async def test_more_addresses_than_go_at_once_are_shown_as_left_out_and_fit_into_a_button(
    agent: Agent,
) -> None:
    addresses = [f"{'accounts-payable-' * 3}{n}@branch{n}.cedar.example" for n in range(14)]
    points = [billing_email(address) for address in addresses]
    await cast.add(agent.services.store, "1500", *points, name="Many Desks Inc", invoices=("20500",))
    preview = await agent.types("resend 1500")
    going = buttons(preview)["resend.send"]["to"]
    assert 0 < len(going) <= 10
    assert said(preview).count("only 10 addresses go at once") == 14 - len(going)
    signed(preview.blocks)
    await agent.presses(preview, "resend.send")
    assert sorted(d.address for d in await _deliveries(agent.services, "20500")) == sorted(going)


async def test_cancel_sends_nothing(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    cancelled = await agent.presses(await agent.types("resend 1001"), "resend.cancel")
    assert cancelled.to is To.REPLACE
    assert await _notifications(agent.services, "20001") == []


async def test_an_ambiguous_number_is_asked_about_and_the_address_is_carried_along(agent: Agent) -> None:
    store = agent.services.store
    await cast.add(store, "7001", billing_email("a@inbox.example"), name="Ada", invoices=("20701",))
    await cast.add(store, "7002", billing_email("i@inbox.example"), name="Ivo", invoices=("7001",))
    question = await agent.types("resend 7001 to other@inbox.example")
    preview = await agent.presses(question, "resend.open:1")
    assert "Resend invoice 7001?" in said(preview)
    assert buttons(preview)["resend.send"]["to"] == ["other@inbox.example"]


async def test_several_people_are_listed_and_the_chosen_one_is_previewed(agent: Agent) -> None:
    store = agent.services.store
    for number in (1, 2):
        mail = billing_email(f"k{number}@inbox.example")
        await cast.add(store, f"120{number}", mail, name=f"Kim {number}", invoices=(f"2120{number}",))
    picker = await agent.types("resend kim")
    assert "Resend invoice 21202?" in said(await agent.presses(picker, "resend.open:1"))


async def test_another_address_is_asked_for_in_a_dialog_and_previewed(agent: Agent) -> None:
    store = agent.services.store
    await cast.dana(store)
    async with store.read(1) as tx:
        invoice = await tx.invoices.by_number("20001")
    assert invoice is not None
    opened = await agent.answer(agent.request("resend", "other", value={"i": str(invoice.id)}))
    assert opened.done
    assert opened.modal is not None
    carried = dict(opened.modal.carry or {})
    wrong = await agent.answer(agent.request("resend", "asked", value=carried, inputs={"address": "me@"}))
    assert wrong.errors is not None
    assert wrong.errors.errors.keys() == {"address"}
    right = agent.request("resend", "asked", value=carried, inputs={"address": " New@Other.Example "})
    assert (await agent.answer(right)).errors is None
    preview = await agent.run(right)
    assert buttons(preview)["resend.send"]["to"] == ["new@other.example"]


async def test_the_send_mode_is_told_unless_it_is_live(agent: Agent, services: Services) -> None:
    await cast.dana(services.store)
    assert "held" not in said(await agent.types("resend 1001"))
    held = agent_on(replace(services, tenants={1: profile(send_mode="off")}))
    assert "held*: sending is off" in said(await held.types("resend 1001"))


async def test_a_note_that_warns_or_blocks_is_read_before_anything_is_sent(agent: Agent) -> None:
    store = agent.services.store
    sid = await cast.dana(store)
    async with store.begin(1) as tx:
        await tx.notes.add(note_of(sid, text="Just so you know"))
        await tx.notes.add(note_of(sid, text="Send nothing to the office", level=NoteLevel.WARN))
    preview = await agent.types("resend 1001")
    assert ":warning: *Send nothing to the office* — <@U_AGENT>" in said(preview)
    assert "Just so you know" not in said(preview)
    assert "resend.send" in buttons(preview)
