"""Every view with every kind of hostile data in every field: legal, escaped, and never silently obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from bot.runner import error_reply, failure_reply
from handlers.blocks import spoken
from handlers.cards import CardData, Notice
from handlers.commands.find import view as find_view
from handlers.commands.help import view as help_view
from handlers.commands.messages import card as delivery_card
from handlers.commands.messages import view as messages_view
from handlers.commands.resend import view as resend_view
from handlers.commands.spf import view as spf_view
from handlers.found import AccountOrInvoice, Several
from handlers.plans import ResendPlan, Target
from handlers.profile import Brand, CommandSpec
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Reply, To, UserError
from handlers.spf_look import SpfLook, Way
from notifier.mailauth import (
    Mistake,
    Required,
    Severity,
    SpfCheck,
    SpfNode,
    SpfProblem,
    SpfReport,
    SpfResult,
)
from sandbox.slack.content import suspicious
from store.models import (
    Channel,
    ContactRole,
    DnsWatch,
    EventKind,
    Facts,
    Hold,
    Invoice,
    InvoiceStatus,
    Note,
    NoteLevel,
    NotificationKind,
    Outcome,
    Package,
    PackageKind,
    PackageStatus,
    Point,
    Stage,
    Subscriber,
    SubscriberKind,
    SubscriberStatus,
    WatchEnd,
)
from store.types import new_id
from tests.builders import NOW, delivery, event, notification, usd
from tests.unit.handlers.support import HOSTILE, MOST_UPDATED, legal, obeyed, profile, said

TODAY = date(2026, 3, 2)
STORABLE = {name: text for name, text in HOSTILE.items() if name != "surrogate"}
"""No database gives half a character back."""


class _World:
    """One account whose every text field is the same hostile text."""

    def __init__(self, text: str, many: int = 1) -> None:
        self.text, facts = text, Facts(text[:40], NOW)
        self.person = Subscriber(
            id=new_id(),
            account=text[:40],
            kind=SubscriberKind.BUSINESS,
            status=SubscriberStatus.ACTIVE,
            name=text,
            language="en",
            time_zone=None,
            address=text,
            city=text,
            region=text,
            postal_code=text,
            payer_account=text[:40],
            balance=usd("49.90"),
            invoice_notices=False,
            facts=facts,
        )
        self.payer = replace(self.person, id=new_id())
        self.invoice = Invoice(
            id=new_id(),
            subscriber_id=self.person.id,
            number=text[:40],
            status=InvoiceStatus.OPEN,
            issued_on=TODAY,
            due_on=date(2026, 2, 1),
            total=usd("49.90"),
            paid=usd("0.00"),
            revision=1,
            facts=facts,
        )
        self.point = Point(
            new_id(), self.person.id, ContactRole.BILLING, Channel.EMAIL, text, text, 0, text, facts
        )
        package = Package(
            new_id(),
            self.person.id,
            text,
            text,
            PackageKind.INTERNET,
            PackageStatus.SUSPENDED,
            TODAY,
            usd("1.00"),
            facts,
        )
        wanted = notification(kind=NotificationKind.RESEND, requested_by=text[:80])
        sent = tuple(
            delivery(
                "x@x.example",
                id=new_id(),
                outcome=outcome,
                stage=Stage.HELD,
                stage_reason=text,
                diagnostic=text,
                remote=text[:200],
                cls=text[:40],
                notification_id=wanted.id,
            )
            for outcome in Outcome
        )
        sent = tuple(replace(d, address=f"{text}@x.example") for d in sent)
        events = tuple(
            event(new_id(), kind, diagnostic=text, remote=text[:200], reply_code="550", key=f"k{kind}")
            for kind in EventKind
        )
        self.notice = Notice(wanted, self.invoice, sent, {d.id: events for d in sent})
        self.data = CardData(
            subscriber=self.person,
            payer=self.payer,
            billed_for=(self.payer,) * 9 * many,
            points=(self.point,) * many,
            payer_points=(self.point,),
            suppressed=frozenset({text}),
            packages=(package,) * many,
            invoices=(self.invoice,) * 3,
            notes=(Note(new_id(), self.person.id, text, NoteLevel.BLOCK, text[:80], NOW),) * many,
            holds=(Hold(new_id(), "account", "1", TODAY, text, text[:80], NOW),) * many,
            last_notice=self.notice,
            now=NOW,
            today=TODAY,
        )

    def replies(self) -> Iterator[tuple[str, Reply]]:
        text, desk = self.text, profile(brand=Brand(self.text, self.text, self.text))
        for masked in (True, False):
            for shown in (True, False):
                yield "card", find_view.card(self.data, desk, masked=masked, contacts_shown=shown)
        log: dict[str, Any] = {"subscriber": self.person, "profile": desk, "to": To.ASKER}
        yield "page", messages_view.page([self.notice] * 5, 11, 5, invoice=self.invoice, **log)
        yield "empty", messages_view.page([], 0, 0, invoice=self.invoice, **log)
        yield "timeline", messages_view.timeline(self.notice, desk)
        yield "delivery", delivery_card.card(self.notice, self.person, desk)
        targets = tuple(Target(text, on_file, refusal) for on_file in (True, False) for refusal in ("", text))
        plan = ResendPlan(self.invoice, self.person, self.payer, targets, self.notice.deliveries)
        yield "preview", resend_view.preview(plan, desk, "i-1")
        nobody = ResendPlan(self.invoice, self.person, self.payer, (), ())
        yield "preview of nothing", resend_view.preview(nobody, desk, "i-1")
        both = AccountOrInvoice(self.invoice.number, self.person, self.invoice, self.payer)
        yield "question", account_or_invoice(both, "find.open")
        yield "picker", narrow_down(Several((self.person,) * 25, more=True), "find.open")
        spec = CommandSpec(text, text, text, examples=(text,))
        yield "menu", help_view.menu([spec], desk)
        yield "help", help_view.help_page([spec] * 30, desk)
        yield "spf", spf_view.answer(self._spf(), To.ASKER)
        yield "watched spf", spf_view.watch_card(self._spf(), self._watch(), desk, NOW)
        for how in (WatchEnd.FIXED, WatchEnd.EXPIRED):
            yield "spf word", spf_view.word(replace(self._watch(), ended=how))
        yield "error", error_reply(UserError(f"Nobody fits “{text}”.", text))
        yield "failure", failure_reply("ABCD2345")

    def _watch(self) -> DnsWatch:
        return DnsWatch(
            tenant=1,
            id=new_id(),
            kind="spf",
            domain=self.text[:253] or "x.example",
            actors=(self.text, "U_ADMIN", "U_AGENT"),
            created_at=NOW,
            next_at=NOW,
            expires_at=NOW,
            checks=3,
            last_seen=self.text,
            last_at=NOW,
        )

    def _spf(self) -> SpfLook:
        check = SpfCheck(SpfResult.FAIL, self.text, self.text, self.text, (), 1, 0, self.text, self.text)
        ways = (Way(self.text, self.text, check, matters=True), Way(self.text, "", None, matters=False))
        return SpfLook(self._report(), self.text, ways * 5, (self.text,) * 3)

    def _report(self) -> SpfReport:
        leaf = SpfNode(self.text, self.text, self.text, 1, 0, 0, self.text, ())
        problem = SpfProblem(Severity.ERROR, Mistake.QUOTES, 0, 1, self.text, self.text)
        return SpfReport(
            domain=self.text[:253] or "x.example",
            records=(self.text,) * 5,
            record=self.text,
            problems=(problem,) * 20,
            corrected=f"{self.text} -all",
            strings=(self.text, self.text),
            lookups=3,
            voids=0,
            voids_ipv6=0,
            tree=SpfNode("", self.text, self.text, 1, 0, 0, None, (leaf,) * 60),
            flattening=None,
            required=Required.NESTED,
            required_path=(self.text, self.text),
            checks=(),
            unavailable=False,
        )


@pytest.mark.parametrize("many", [1, 60])
@pytest.mark.parametrize("text", STORABLE.values(), ids=STORABLE.keys())
def test_every_view_is_legal_and_escaped_whatever_stands_in_its_data(text: str, many: int) -> None:
    for view, reply in _World(text, many).replies():
        legal(reply)
        beside = spoken(reply.text)
        assert len(beside) <= MOST_UPDATED, view
        assert suspicious(beside, None) is None, view
        for forbidden in ("<!channel", "<!here", "<@U_LEAD", "<#C_SUPPORT", "<https:"):
            assert forbidden not in obeyed(reply), (view, forbidden)
        for forbidden in ("\x00", "\x1b", "\u202e", "\u2066"):
            assert forbidden not in said(reply), (view, forbidden)


def test_nothing_in_the_data_fills_a_template() -> None:
    for view, reply in _World("{0} {name} {}").replies():
        if view == "card":
            assert "{name}" in said(reply)


def test_a_message_without_deliveries_is_still_a_legal_card() -> None:
    bare = Notice(notification(), None, (), {})
    legal(delivery_card.card(bare, None, profile()))
    legal(messages_view.timeline(bare, profile()))


@pytest.mark.parametrize("who", ["invoice run", "Upgrade run", "U", "W_x"])
def test_only_a_slack_user_is_mentioned_as_the_asker(who: str) -> None:
    card = delivery_card.card(Notice(notification(requested_by=who), None, (), {}), None, profile())
    assert f"Asked for by {who} " in said(card)
