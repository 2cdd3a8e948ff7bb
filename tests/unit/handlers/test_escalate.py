"""Escalating, on both databases: what is in the pack, where it goes, and the letter to a postmaster."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from handlers.contract import Services
from handlers.profile import EscalationProfile, Role
from handlers.reply import Reply, UserError
from notifier import templates
from notifier.tracking import DELIVERY_SURFACE
from store.domain_records import Seen
from store.models import (
    Channel,
    Confidence,
    Delivery,
    EventKind,
    EventSource,
    NotificationKind,
    Reason,
    RecordVerdict,
)
from tests.builders import billing_email, event, mobile
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import RELAY, Agent, buttons, golden, said
from tests.unit.handlers.texting import PHONE, texting

HELPERS = "success@visp.example"
MAILBOX = "franziska.mustermann@inbox.example"
NAME = "Franziska Mustermann"
RAW = f"550 5.7.1 <{MAILBOX}> we do not trust 198.51.100.10"
DESK: dict[str, Any] = {
    "routes": (replace(RELAY, egress_ips=("198.51.100.10",)),),
    "escalation": EscalationProfile(HELPERS, "https://support.visp.example/new"),
}
PERSONAL = (NAME, "Mustermann", MAILBOX, PHONE, "49.90", "Alder Street")


@pytest.fixture
async def agent(services: Services) -> Agent:
    desk = texting(services, **DESK)
    points = (billing_email(MAILBOX), mobile(PHONE))
    sid = await cast.add(desk.store, "1042", *points, name=NAME, invoices=("20042",))
    await refused(desk.services, sid)
    return desk.agent()


async def refused(services: Services, sid: UUID, cls: str = "blocked_reputation", **more: Any) -> Delivery:
    _, (mail,) = await cast.sent(
        services.store,
        "issued",
        sid,
        MAILBOX,
        invoice="20042",
        kind=NotificationKind.INVOICE_ISSUED,
        route="visp",
    )
    bounced = {
        "attempt": 0,
        "source": EventSource.DSN,
        "cls": cls,
        "reason": Reason.INFRASTRUCTURE,
        "reply_code": "550",
        "status": "5.7.1",
        "diagnostic": RAW,
    }
    kind = more.pop("kind", EventKind.BOUNCED)
    await cast.learn(services.store, event(mail.id, kind, **(bounced | more)))
    return mail


async def mailed(agent: Agent, to: str) -> list[dict[str, Any]]:
    """The contexts of what waits for this address."""
    async with agent.services.store.read(1) as tx:
        waiting = await tx.deliveries.waiting_to(Channel.EMAIL, to)
        found = await tx.notifications.get_many([d.notification_id for d in waiting])
    assert all(n.kind is NotificationKind.PACK for n in found.values())
    assert all(n.subscriber_id is None and n.invoice_id is None for n in found.values())
    return [dict(n.context) for n in found.values()]


async def asked(agent: Agent, preview: Reply, question: str = "Why is this?") -> Any:
    press = agent.press(preview, "escalate.ask")
    answer = await agent.answer(press)
    assert answer.modal is not None
    assert HELPERS in str(answer.modal.blocks)
    carry = answer.modal.carry
    return agent.request("escalate", "asked", value=carry, inputs={"question": question})


async def test_the_pack_has_the_evidence_and_nothing_personal(agent: Agent) -> None:
    preview = await agent.types("escalate 1042")
    shown = said(preview)
    for part in (
        "Escalate account 1042?",
        HELPERS,
        "About: account 1042, invoice 20042",
        "Asked by: an agent (U_AGENT) of Cascade",
        "All times are in UTC.",
        "visp: 198.51.100.10 (envelope sender mail.cascade.example)",
        "How sure: certain",
        "Message-ID &lt;b",
        "2026-03-02 09:00:00 UTC",
        "550 5.7.1 &lt;f•••n@inbox.example&gt; we do not trust 198.51.100.10",
        "SPF record: mail.cascade.example",
        "https://support.visp.example/new",
    ):
        assert part in shown, part
    for secret in PERSONAL:
        assert secret not in shown, secret


async def test_it_is_mailed_once_to_the_configured_address_with_the_question_masked(agent: Agent) -> None:
    preview = await agent.types("escalate 1042")
    request = await asked(agent, preview, f"{MAILBOX} says no. Call +15415550142?")
    assert f"On its way to {HELPERS}" in said(await agent.run(request))
    assert f"On its way to {HELPERS}" in said(await agent.run(request)), "run again after a crash"
    again = replace(request, id="0" * 64)
    assert "one mail went out, not two" in said(await agent.run(again)), "the dialog sent twice"
    (context,) = await mailed(agent, HELPERS)
    assert context["question"] == "f•••n@inbox.example says no. Call •••• 0142?"
    source = templates.load(NotificationKind.PACK, "en")
    mail = templates.render(source, {"language": "en"} | context)
    for part in (mail.text, mail.html):
        assert "https://support.visp.example/new" in part
        assert "does not trust our mail server" in part
        for secret in PERSONAL:
            assert secret not in part, secret
    assert "Help wanted: account 1042, invoice 20042" in mail.subject
    desk = texting(agent.services, **DESK)
    (post,) = [p for p in await desk.posts() if p.surface == DELIVERY_SURFACE]
    card = said(await desk.drawn(post.surface, post.key))
    assert "Evidence pack* · account 1042" in card
    assert HELPERS not in card
    async with agent.services.store.read(1) as tx:
        (row,) = [r for r in await tx.audit.of("account:1042") if r.action == "pack.mail"]
    assert row.detail["to"] == HELPERS


async def test_what_was_done_here_is_in_it_and_who_looked_is_not(agent: Agent) -> None:
    async with agent.services.store.read(1) as tx:
        known = await tx.subscribers.by_account("1042")
        assert known is not None
    value = {"s": str(known.id)}
    mend = agent.request("contact", "mended", value=value, inputs={"address": "f.mustermann@gmail.com"})
    await agent.run(mend)
    shown = said(await agent.types("escalate 1042"))
    assert "an agent (U_AGENT) mended an e-mail address" in shown
    assert "f.mustermann" not in shown
    assert "look" not in shown.partition("What was done here")[2]


async def test_our_own_records_are_in_it_as_they_were_last_seen(agent: Agent) -> None:
    value = "v=spf1 mx -all"
    seen = Seen("mail.cascade.example", "spf", value, RecordVerdict.WRONG, "It lacks our relay.")
    async with agent.services.store.begin(1) as tx:
        await tx.domain_records.seen(seen)
    shown = said(await agent.types("escalate 1042"))
    assert "mail.cascade.example spf: wrong. It lacks our relay." in shown
    assert value in shown


async def test_the_address_comes_from_the_configuration_and_from_nowhere_else(agent: Agent) -> None:
    request = await asked(agent, await agent.types("escalate 1042"))
    forged = replace(
        request,
        value={**request.value, "to": MAILBOX, "address": MAILBOX},
        inputs={**request.inputs, "to": MAILBOX, "address": MAILBOX},
    )
    await agent.run(forged)
    assert len(await mailed(agent, HELPERS)) == 1
    async with agent.services.store.read(1) as tx:
        assert await tx.deliveries.waiting_to(Channel.EMAIL, MAILBOX) == []


async def test_a_subscriber_s_address_by_mistake_in_the_configuration_gets_nothing(agent: Agent) -> None:
    request = await asked(agent, await agent.types("escalate 1042"))
    await cast.add(agent.services.store, "1043", billing_email(HELPERS))
    with pytest.raises(UserError, match="is a subscriber's"):
        await agent.run(request)
    assert await mailed(agent, HELPERS) == []


async def test_it_is_a_subscriber_s_however_its_letters_are_written(services: Services) -> None:
    desk = texting(services, **(DESK | {"escalation": EscalationProfile("Success@Visp.Example")}))
    sid = await cast.add(desk.store, "1042", billing_email(HELPERS), name=NAME, invoices=("20042",))
    request = desk.agent().request("escalate", "asked", value={"s": str(sid), "n": "x"})
    with pytest.raises(UserError, match="is a subscriber's"):
        await desk.agent().run(request)


async def test_a_card_number_stays_out_of_it(agent: Agent) -> None:
    request = await asked(agent, await agent.types("escalate 1042"), "they paid with 4242 4242 4242 4242")
    answer = await agent.answer(request)
    assert answer.errors is not None
    await agent.run(request)
    (context,) = await mailed(agent, HELPERS)
    assert "4242" not in context["question"]


async def test_without_an_address_the_pack_is_shown_and_mailed_to_nobody(services: Services) -> None:
    desk = texting(services, **(DESK | {"escalation": None}))
    sid = await cast.add(desk.store, "1042", billing_email(MAILBOX), name=NAME, invoices=("20042",))
    await refused(desk.services, sid)
    preview = await desk.agent().types("escalate 1042")
    assert "Nobody is set up" in said(preview)
    assert "escalate.ask" not in buttons(preview)
    with pytest.raises(UserError, match="Nobody is set up"):
        await desk.agent().run(desk.agent().request("escalate", "asked", value={"s": str(sid), "n": "x"}))


async def test_the_letter_names_the_mailbox_and_nothing_else_of_the_subscriber(agent: Agent) -> None:
    letter = await agent.presses(await agent.types("escalate 1042"), "escalate.postmaster")
    shown = said(letter)
    for part in (
        "postmaster@inbox.example",
        f"Recipient: {MAILBOX}",
        "Sending servers: 198.51.100.10",
        "Envelope sender: mail.cascade.example",
        "Answer, 2026-03-02 09:00:00 UTC: 550 5.7.1",
    ):
        assert part in shown, part
    for secret in (NAME, PHONE, "1042", "20042", "49.90"):
        assert secret not in shown, secret
    assert "escalate.mail" not in buttons(letter), "to be copied: mailing is for leads"


async def test_a_lead_mails_the_letter_once_in_the_words_that_were_shown(agent: Agent) -> None:
    lead = agent_on(agent.services, Role.LEAD, "U_LEAD")
    letter = await lead.presses(await lead.types("escalate 1042"), "escalate.postmaster")
    golden("escalate_letter", _without_ids(letter))
    press = lead.press(letter, "escalate.mail")
    assert "postmaster@inbox.example" in said(await lead.run(press))
    assert "one mail went out, not two" in said(await lead.presses(letter, "escalate.mail"))
    (context,) = await mailed(lead, "postmaster@inbox.example")
    assert (context["question"], context["ticket_url"]) == ("", "")
    assert RAW in context["pack"]


async def test_what_was_learnt_since_is_shown_before_it_is_mailed(agent: Agent) -> None:
    lead = agent_on(agent.services, Role.LEAD, "U_LEAD")
    letter = await lead.presses(await lead.types("escalate 1042"), "escalate.postmaster")
    async with agent.services.store.read(1) as tx:
        known = await tx.subscribers.by_account("1042")
        assert known is not None
        (mail,) = [
            d
            for ds in (
                await tx.deliveries.of_notifications(
                    [n.id for n in (await tx.notifications.page(subscriber_ids=[known.id]))[0]]
                )
            ).values()
            for d in ds
        ]
    more = {"attempt": 0, "key": "dsn", "source": EventSource.DSN, "reply_code": "550"}
    more["diagnostic"] = "550 5.7.1 still not"
    await cast.learn(agent.services.store, event(mail.id, EventKind.BOUNCED, **more))
    changed = await lead.presses(letter, "escalate.mail")
    assert "Something has changed since" in said(changed)
    assert await mailed(lead, "postmaster@inbox.example") == []
    assert "postmaster@" in said(await lead.presses(changed, "escalate.mail"))
    assert len(await mailed(lead, "postmaster@inbox.example")) == 1


async def test_two_presses_at_once_mail_one_letter_and_note_it_once(agent: Agent) -> None:
    lead = agent_on(agent.services, Role.LEAD, "U_LEAD")
    letter = await lead.presses(await lead.types("escalate 1042"), "escalate.postmaster")
    one = lead.press(letter, "escalate.mail")
    replies = await asyncio.gather(lead.run(one), lead.run(replace(one, id="1" * 64)))
    assert sum("one mail went out, not two" in said(reply) for reply in replies) == 1
    assert len(await mailed(lead, "postmaster@inbox.example")) == 1
    async with agent.services.store.read(1) as tx:
        rows = [r for r in await tx.audit.of("account:1042") if r.action == "pack.postmaster"]
    assert len(rows) == 1
    desk = texting(agent.services, **DESK)
    (post,) = [p for p in await desk.posts() if p.surface == DELIVERY_SURFACE]
    card = said(await desk.drawn(post.surface, post.key))
    assert "Letter to the postmaster* · account 1042" in card
    assert "Evidence pack" not in card


async def test_an_empty_question_is_asked_for(agent: Agent) -> None:
    preview = await agent.types("escalate 1042")
    for empty in ("", " \n "):
        answer = await agent.answer(await asked(agent, preview, empty))
        assert answer.errors is not None
        assert "question" in answer.errors.errors
    assert (await agent.answer(await asked(agent, preview))).errors is None


async def test_a_card_or_a_telephone_number_in_a_server_s_words_stays_out_of_the_pack(
    services: Services,
) -> None:
    desk = texting(services, **DESK)
    sid = await cast.add(desk.store, "1042", billing_email(MAILBOX), name=NAME, invoices=("20042",))
    words = "550 5.7.1 rejected: 4242 4242 4242 4242, call 541-555-0142"
    await refused(desk.services, sid, diagnostic=words)
    preview = said(await desk.agent().types("escalate 1042"))
    assert "550 5.7.1 rejected" in preview
    assert "4242" not in preview
    assert "555-0142" not in preview
    assert "What servers answered stands in their words" in preview


async def test_every_time_in_the_pack_is_in_utc(agent: Agent) -> None:
    request = await asked(agent, await agent.types("escalate 1042"))
    await agent.run(request)
    (context,) = await mailed(agent, HELPERS)
    assert " AM UTC" in context["pack"], "the log's line"
    assert not re.search(r"P[SD]T|[AP]M(?! UTC)", context["pack"])


async def test_where_nobody_refused_anything_there_is_no_letter(services: Services) -> None:
    desk = texting(services, **DESK)
    await cast.dana(desk.store)
    preview = await desk.agent().types("escalate 1001")
    assert "none was sent from here" in said(preview)
    assert "escalate.postmaster" not in buttons(preview)


@pytest.mark.parametrize("cls", ["no_such_user", "mailbox_full", "domain_missing"])
async def test_what_no_postmaster_can_change_makes_no_letter(services: Services, cls: str) -> None:
    desk = texting(services, **DESK)
    sid = await cast.add(desk.store, "1042", billing_email(MAILBOX), name=NAME, invoices=("20042",))
    await refused(desk.services, sid, cls)
    preview = await desk.agent().types("escalate 1042")
    assert "550 5.7.1" in said(preview)
    assert "escalate.postmaster" not in buttons(preview)
    with pytest.raises(UserError, match="postmaster could change"):
        await desk.agent().run(desk.agent().request("escalate", "postmaster", value={"s": str(sid)}))


@pytest.mark.parametrize(
    "more",
    [
        {"source": EventSource.SMTP},
        {"source": EventSource.SMTP, "kind": EventKind.FAILED, "reply_code": "", "status": ""},
    ],
    ids=["our relay refused", "nobody answered"],
)
async def test_what_their_server_has_not_said_is_no_letter_to_them(
    services: Services, more: dict[str, Any]
) -> None:
    desk = texting(services, **DESK)
    sid = await cast.add(desk.store, "1042", billing_email(MAILBOX), name=NAME, invoices=("20042",))
    await refused(desk.services, sid, **more)
    assert "escalate.postmaster" not in buttons(await desk.agent().types("escalate 1042"))


async def test_a_mail_that_was_put_off_and_got_through_is_no_letter(services: Services) -> None:
    desk = texting(services, **DESK)
    sid = await cast.add(desk.store, "1042", billing_email(MAILBOX), name=NAME, invoices=("20042",))
    mail = await refused(desk.services, sid, kind=EventKind.DEFERRED)
    assert "escalate.postmaster" in buttons(await desk.agent().types("escalate 1042"))
    there = event(mail.id, EventKind.DELIVERED, attempt=0, confidence=Confidence.ACCEPTED_BY_SERVER)
    await cast.learn(desk.store, there)
    assert "escalate.postmaster" not in buttons(await desk.agent().types("escalate 1042"))


def _without_ids(reply: Reply) -> Reply:
    """Tests have random Message-IDs of their own form; golden() knows those."""
    blocks = [
        {**b, "elements": [{k: v for k, v in e.items() if k != "value"} for e in b["elements"]]}
        if b["type"] == "actions"
        else b
        for b in reply.blocks
    ]
    return replace(reply, blocks=[b for b in blocks if b["type"] != "actions"])
