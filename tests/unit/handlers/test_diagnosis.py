"""The decision procedure without a database: every rule has a case that it decides, every cause its row.

docs/diagnosis.md is held to the tables: DIAGNOSIS_DOC=1 in the environment writes it anew.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from handlers.cards import KnownIncident, Notice
from handlers.commands.diagnose import view
from handlers.diagnosis import (
    TELLINGS,
    Act,
    AddressFact,
    Cause,
    Certainty,
    Company,
    Evidence,
    InvoiceFacts,
    PhoneFact,
    SpfFact,
    SpfState,
    diagnose,
)
from handlers.diagnosis.case import Case
from handlers.diagnosis.known import operators_of
from handlers.diagnosis.lines import Mark, Step
from handlers.diagnosis.rules import ATTEMPT_RULES, INVOICE_RULES, rule_on
from handlers.profile import Role
from handlers.workflows.diagnose import MOST_ASKED, _ask_dns
from notifier.addresses import AddressReport, AddressStatus
from notifier.mailauth import Answer, SpfResult, Status
from notifier.mailauth.dmarc import DmarcCheck, DmarcResult
from notifier.mailauth.dmarc_record import Policy
from notifier.mailauth.identity import SenderFacts, SendingIdentity, Standing
from sandbox.slack.content import suspicious
from store.models import (
    Aside,
    Channel,
    Confidence,
    ContactOverride,
    ContactRole,
    Delivery,
    Event,
    EventKind,
    EventSource,
    Exclusion,
    Facts,
    Incident,
    IncidentState,
    Invoice,
    InvoiceStatus,
    NotificationKind,
    Outcome,
    Point,
    Reason,
    Stage,
    Subscriber,
    SubscriberKind,
    SubscriberStatus,
    Suppression,
)
from store.types import new_id
from tests.builders import NOW, delivery, event, hold_of, notification, usd
from tests.unit.handlers.support import HOSTILE, legal, obeyed, profile, said

DOC = Path(__file__).parents[3] / "docs" / "diagnosis.md"
FACTS = Facts("local", NOW)
ADDRESS = "dana@inbox.example"


def person(account: str = "1001", **more: Any) -> Subscriber:
    fields: dict[str, Any] = {
        "id": new_id(),
        "account": account,
        "kind": SubscriberKind.RESIDENTIAL,
        "status": SubscriberStatus.ACTIVE,
        "name": "Dana Whitfield",
        "language": "en",
        "time_zone": None,
        "address": "",
        "city": "",
        "region": "",
        "postal_code": "",
        "payer_account": None,
        "balance": usd("49.90"),
        "invoice_notices": True,
        "facts": FACTS,
    }
    return Subscriber(**(fields | more))


def invoice(**more: Any) -> Invoice:
    fields: dict[str, Any] = {
        "id": new_id(),
        "subscriber_id": new_id(),
        "number": "20001",
        "status": InvoiceStatus.OPEN,
        "issued_on": NOW.date().replace(month=2, day=1),
        "due_on": NOW.date(),
        "total": usd("49.90"),
        "paid": usd("0.00"),
        "revision": 1,
        "facts": FACTS,
    }
    return Invoice(**(fields | more))


def at(address: str = ADDRESS, status: AddressStatus = AddressStatus.OK, **more: Any) -> AddressFact:
    point = Point(
        new_id(),
        new_id(),
        ContactRole.BILLING,
        Channel.EMAIL,
        address,
        address,
        0,
        more.pop("problem", None),
        FACTS,
    )
    meant = "dana@gmail.com" if status is AddressStatus.TYPO else None
    takes = {AddressStatus.OK: True, AddressStatus.UNKNOWN: None}.get(status, status is AddressStatus.TYPO)
    return AddressFact(point, AddressReport(address, status, meant, takes), **more)


def listed(reason: str = "no_such_user") -> Suppression:
    return Suppression(Channel.EMAIL, ADDRESS, reason, NOW, new_id())


def notice(*deliveries: Delivery, events: tuple[Event, ...] = ()) -> Notice:
    return Notice(
        notification(kind=NotificationKind.INVOICE_ISSUED),
        None,
        deliveries,
        {d.id: events for d in deliveries},
    )


def evidence(*notices: Notice, **more: Any) -> Evidence:
    someone = more.pop("subscriber", None) or person()
    exclusion = more.pop("exclusion", None)
    of = more.pop("invoice", None) or invoice()
    fields: dict[str, Any] = {
        "subscriber": someone,
        "payer": someone,
        "addresses": (at(),),
        "phones": (),
        "invoices": (InvoiceFacts(of, notices, exclusion),),
        "asked": None,
        "draft": None,
        "packages": (),
        "holds": (),
        "spf": SpfFact("mail.cascade.example", SpfState.RIGHT),
        "company": None,
        "incidents": (),
        "caught": frozenset(),
        "route": "visp",
        "relays": frozenset({"visp"}),
        "other_route": "remote",
        "send_mode": "live",
        "texts": True,
        "now": NOW,
        "today": NOW.date(),
    }
    return Evidence(**(fields | more))


def excluded(reason: str) -> Exclusion:
    return Exclusion(new_id(), new_id(), None, reason)


def mail(outcome: Outcome = Outcome.NONE, cls: str = "", **more: Any) -> Delivery:
    address = more.pop("address", ADDRESS)
    stage = Stage.CLOSED if outcome is not Outcome.NONE else more.pop("stage", Stage.QUEUED)
    return delivery(address, outcome=outcome, cls=cls, stage=stage, **more)


def sms(outcome: Outcome, reason: Reason = Reason.NONE, **more: Any) -> Delivery:
    return mail(outcome, address="+15415550142", channel=Channel.SMS, reason=reason, **more)


def waited(kind: EventKind = EventKind.DEFERRED, **more: Any) -> tuple[Event, ...]:
    return (event(new_id(), kind, **more),)


def identity(standing: Standing, *ips: str) -> SendingIdentity:
    """Neither SPF nor DKIM counts, whatever the standing says."""
    facts = SenderFacts(
        "visp", "cascade.example", "mail.cascade.example", ips or ("192.0.2.1",), "mx.example"
    )
    domain, record = "cascade.example", "v=DMARC1; p=reject"
    policy = Policy.REJECT
    dmarc = DmarcCheck(
        DmarcResult.FAIL, domain, domain, domain, record, policy, "p", policy, False, None, (), (), None
    )
    return SendingIdentity(facts, (), SpfResult.SOFTFAIL, None, dmarc, standing)


@dataclass(frozen=True)
class Attempt:
    """What one attempt looks like to a rule."""

    rule: str
    delivery: Delivery
    events: tuple[Event, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    later: tuple[Delivery, ...] = ()
    """Copies asked for afterwards."""

    @property
    def evidence(self) -> Evidence:
        copy = notification(kind=NotificationKind.RESEND)
        copies = (replace(notice(d), notification=copy) for d in self.later)
        return evidence(*copies, notice(self.delivery, events=self.events), **self.more)


BOUNCED, FAILED = Outcome.BOUNCED, Outcome.FAILED
TYPO = {"addresses": (at(ADDRESS, AddressStatus.TYPO),)}
WRONG = {"spf": SpfFact("mail.cascade.example", SpfState.WRONG)}
ATTEMPTS = [
    Attempt("the handset confirmed the text", sms(Outcome.DELIVERED, confidence=Confidence.HANDSET_RECEIPT)),
    Attempt("the text was taken", sms(Outcome.SENT)),
    Attempt("the number opted out", sms(Outcome.SUPPRESSED, Reason.OPTED_OUT)),
    Attempt("the number takes no texts", sms(BOUNCED, Reason.RECIPIENT, cls="sms_landline")),
    Attempt("the text failed", sms(BOUNCED, Reason.RECIPIENT, cls="sms_unreachable")),
    Attempt("the text waits", sms(Outcome.NONE)),
    Attempt("the send mode holds it", mail(stage=Stage.HELD, stage_by="send_mode")),
    Attempt("it waits for a person after too many doubts", mail(stage=Stage.HELD, stage_by="doubt")),
    Attempt("somebody holds it", mail(stage=Stage.HELD, stage_by="U_LEAD")),
    Attempt("it is in a worker's hands", mail(stage=Stage.CLAIMED)),
    Attempt("we were cut off", mail(), waited(EventKind.IN_DOUBT)),
    Attempt("our way out is down", mail(), waited(reason=Reason.NETWORK)),
    Attempt(
        "their server puts us off for a fault of ours",
        mail(),
        waited(cls="blocked_reputation", reason=Reason.INFRASTRUCTURE, reply_code="421"),
    ),
    Attempt("their server asked us to wait", mail(), waited(cls="rate_limited", reason=Reason.POLICY)),
    Attempt("it is in the queue", mail()),
    Attempt("refused, and the domain is misspelled", mail(BOUNCED, "no_such_user"), more=TYPO),
    Attempt(
        "refused, and the domain takes no mail",
        mail(BOUNCED, "domain_missing"),
        more={"addresses": (at(ADDRESS, AddressStatus.NULL_MX),)},
    ),
    Attempt(
        "refused, and the domain is dead",
        mail(BOUNCED, "domain_missing"),
        more={"addresses": (at(ADDRESS, AddressStatus.NO_DOMAIN),)},
    ),
    Attempt("there is no such mailbox", mail(BOUNCED, "no_such_user")),
    Attempt("the mailbox is full", mail(BOUNCED, "mailbox_full")),
    Attempt("the mailbox is switched off", mail(BOUNCED, "mailbox_disabled")),
    Attempt("the recipient's filter refused it", mail(BOUNCED, "filtered")),
    Attempt(
        "its reader has complained of our mail",
        mail(Outcome.SUPPRESSED),
        more={"addresses": (at(suppression=listed("complaint")),)},
    ),
    Attempt(
        "the address is on the do-not-send list",
        mail(Outcome.SUPPRESSED),
        more={"addresses": (at(suppression=listed()),)},
    ),
    Attempt(
        "refused for our server's name in DNS",
        mail(BOUNCED, "blocked_auth", diagnostic="550 5.7.25 The IP address has no PTR record"),
        more=WRONG,
    ),
    Attempt(
        "refused by DMARC, which fails still",
        mail(BOUNCED, "blocked_auth", diagnostic="550 5.7.26 Refused by DMARC policy"),
        more=WRONG | {"identity": identity(Standing.FAILS)},
    ),
    Attempt(
        "refused by DMARC, which passes now",
        mail(BOUNCED, "blocked_auth", diagnostic="550 5.7.26 Refused by DMARC policy"),
        more=WRONG | {"identity": identity(Standing.DKIM)},
    ),
    Attempt("refused for SPF, which is still wrong", mail(BOUNCED, "blocked_auth"), more=WRONG),
    Attempt("refused for sender checks, and SPF is right now", mail(BOUNCED, "blocked_auth")),
    Attempt("refused for sender checks", mail(BOUNCED, "blocked_auth"), more={"spf": None}),
    Attempt("refused for our server's reputation", mail(BOUNCED, "blocked_reputation")),
    Attempt("taken for spam", mail(BOUNCED, "spam_content")),
    Attempt("too big", mail(BOUNCED, "too_big")),
    Attempt(
        "our own relay refused to pass it on",
        mail(BOUNCED, "relay_or_security", route="visp"),
        (event(new_id(), EventKind.BOUNCED, source=EventSource.SMTP),),
    ),
    Attempt("refused as a relay or for security", mail(BOUNCED, "relay_or_security")),
    Attempt("put off until it was too late", mail(FAILED, "rate_limited", reason=Reason.POLICY)),
    Attempt("it never left our side", mail(FAILED, reason=Reason.CONFIG)),
    Attempt("it went out of date", mail(Outcome.EXPIRED)),
    Attempt("it was cancelled", mail(Outcome.CANCELLED)),
    Attempt("a look-alike domain took it", mail(Outcome.DELIVERED), more=TYPO),
    Attempt("the recipient marked it as spam", mail(Outcome.DELIVERED), waited(EventKind.COMPLAINT)),
    Attempt("the relay is still trying", mail(Outcome.SENT), waited(EventKind.DELAYED)),
    Attempt("it went to the payer", mail(Outcome.DELIVERED), more={"payer": person("1100")}),
    Attempt(
        "it was taken, and a later copy was refused",
        mail(Outcome.SENT),
        later=(mail(BOUNCED, "no_such_user", id=new_id()),),
    ),
    Attempt("no bounce in 72 hours", mail(Outcome.DELIVERED, confidence=Confidence.PRESUMED)),
    Attempt("their server took it", mail(Outcome.DELIVERED)),
    Attempt("the relay took it", mail(Outcome.SENT)),
    Attempt("refused without a clear reason", mail(BOUNCED, "other")),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda a: a.rule)
def test_an_attempt_is_decided_by_its_rule(attempt: Attempt) -> None:
    e = attempt.evidence
    assert rule_on(Case(e, e.invoices[0])).rule == attempt.rule


def test_every_attempt_rule_has_its_case_and_every_name_is_its_own() -> None:
    names = [rule.name for rule in ATTEMPT_RULES]
    assert sorted(names) == sorted(a.rule for a in ATTEMPTS)
    everything = [*names, *(rule.name for rule in INVOICE_RULES)]
    assert len(set(everything)) == len(everything)


GONE = notice(mail(BOUNCED, "no_such_user", address="old@inbox.example"))


def apart(aside: Aside, *deliveries: Delivery) -> Notice:
    """A copy whose deliveries count less as proof."""
    made = notice(*deliveries)
    copy = notification(kind=NotificationKind.RESEND)
    return replace(made, notification=copy, aside={d.id: aside for d in deliveries})


OLD = apart(Aside.MENDED, mail(Outcome.SENT, address="old@inbox.example"))
NEW = "new@inbox.example"


def changed(old: str, new: str, status: AddressStatus = AddressStatus.OK) -> AddressFact:
    """An address that stands for another since."""
    by = ContactOverride(new_id(), new_id(), ContactRole.BILLING, Channel.EMAIL, old, new, "U_AGENT", NOW)
    return at(new, status, override=by)


def one_of_two_bounced(status: AddressStatus = AddressStatus.OK) -> Evidence:
    lost = mail(BOUNCED, "no_such_user", address="old@inbox.example", id=new_id())
    both = notice(mail(Outcome.SENT, id=new_id()), lost)
    return evidence(both, addresses=(at(), changed("old@inbox.example", NEW, status)))


INVOICES: dict[str, Evidence] = {
    "the only invoice is a draft": evidence(invoice=invoice(status=InvoiceStatus.DRAFT)),
    "there is no invoice": evidence(invoices=()),
    "it was voided before anything went out": evidence(invoice=invoice(status=InvoiceStatus.VOID)),
    "it was written off before anything went out": evidence(
        invoice=invoice(status=InvoiceStatus.UNCOLLECTIBLE)
    ),
    "what is on file since it was mailed looks misspelled": evidence(GONE, **TYPO),
    "it was mailed to addresses that were mended since": evidence(GONE),
    "it went to an address that was mended since, and not to the new one": evidence(OLD),
    "some of several addresses failed": evidence(
        notice(mail(BOUNCED, "no_such_user"), mail(Outcome.SENT, address="b@inbox.example"))
    ),
    "one of several addresses was mended since, and nothing has gone to the new one": one_of_two_bounced(),
    "the account is archived, and all was called off": evidence(
        subscriber=person(status=SubscriberStatus.ARCHIVED)
    ),
    "it was paid before anything went out": evidence(invoice=invoice(status=InvoiceStatus.PAID)),
    "notices are switched off, and all was called off": evidence(
        notice(mail(Outcome.CANCELLED)), subscriber=person(invoice_notices=False)
    ),
    "nobody has an address on file": evidence(addresses=()),
    "no address on file can be used": evidence(addresses=(at("x", problem="There is no @ sign."),)),
    "whoever reads the only addresses has complained of our mail": evidence(
        addresses=(at(suppression=listed("complaint")),)
    ),
    "every address is on the do-not-send list": evidence(addresses=(at(suppression=listed()),)),
    "the run left it out for its suppressed address": evidence(exclusion=excluded("suppressed")),
    "the run left it out": evidence(exclusion=excluded("held")),
    "nothing was sent from here": evidence(),
}


@pytest.mark.parametrize("rule", INVOICES, ids=str)
def test_an_invoice_is_decided_by_its_rule(rule: str) -> None:
    e = INVOICES[rule]
    facts = e.invoices[0] if e.invoices else None
    assert rule_on(Case(e, facts)).rule == rule


def test_every_invoice_rule_has_its_case() -> None:
    assert [rule.name for rule in INVOICE_RULES] == list(INVOICES)


def test_every_cause_has_a_rule_and_a_row() -> None:
    ruled = {r.cause for r in INVOICE_RULES} | {r.cause for r in ATTEMPT_RULES}
    assert ruled == set(Cause)
    assert list(TELLINGS) == list(Cause)


def everything() -> list[Evidence]:
    return [*INVOICES.values(), *(a.evidence for a in ATTEMPTS)]


@pytest.mark.parametrize("e", everything())
def test_no_brace_and_no_empty_blank_reaches_the_screen(e: Evidence) -> None:
    found = diagnose(e, profile())
    for text in (found.headline, found.proof, found.customer, found.story):
        assert "{" not in text
        assert "  " not in text, "a blank was left open"
        assert not re.search(r"\s[,.;)]", text)
    legal(view.verdict(found, profile(), role=Role.LEAD, kept=None))
    legal(view.verdict(found, profile(), masked=True))
    legal(view.more(found, Role.LEAD, str(new_id())))


def test_of_several_addresses_the_mended_one_alone_is_sent_to() -> None:
    e = one_of_two_bounced()
    found = diagnose(e, profile())
    assert "mended since, and nothing has gone to the new one" in found.headline
    assert found.resend_to == NEW
    shown = legal(view.verdict(found, profile(), role=Role.AGENT))
    assert NEW in str(shown.blocks), "in the value of the button"
    assert NEW not in said(shown)
    facts = e.invoices[0]
    again = replace(facts, notices=(notice(mail(Outcome.SENT, address=NEW)), *facts.notices))
    assert diagnose(replace(e, invoices=(again,)), profile()).cause is Cause.HANDED_OVER


def test_nobody_is_told_that_an_address_is_corrected_while_a_slip_is_on_file() -> None:
    for e in (evidence(GONE, **TYPO), evidence(OLD, **TYPO), one_of_two_bounced(AddressStatus.TYPO)):
        found = diagnose(e, profile())
        assert found.cause is Cause.SLIP_ON_FILE
        assert found.acts[0] is Act.MEND
        assert found.mend is not None
        assert found.mend.finding.suggestion
        assert "corrected" not in found.customer
    taken_back = evidence(OLD, notice(mail(BOUNCED, "no_such_user")), **TYPO)
    assert diagnose(taken_back, profile()).cause is Cause.SLIP_ON_FILE


def test_a_refused_copy_is_told_where_nothing_else_had_come_back() -> None:
    for taken in (mail(Outcome.SENT), mail(Outcome.DELIVERED, confidence=Confidence.PRESUMED)):
        refused = Attempt("", taken, later=(mail(BOUNCED, "no_such_user", id=new_id()),)).evidence
        found = diagnose(refused, profile())
        assert "a later copy to the same address was refused" in found.headline
        assert "the mailbox does not exist" in found.proof
        assert "nothing has come back" not in found.customer
        ours = Attempt("", taken, later=(mail(FAILED, reason=Reason.NETWORK, id=new_id()),)).evidence
        assert diagnose(ours, profile()).cause is not Cause.COPY_REFUSED, "no server has spoken"


def test_the_only_address_is_on_file_beside_no_other() -> None:
    for addresses, told in (
        ((at(NEW),), "is on file, and nothing has gone there"),
        ((at(), at(NEW)), "is on file too"),
    ):
        found = diagnose(evidence(notice(mail(BOUNCED, "no_such_user")), addresses=addresses), profile())
        (line,) = [line for line in found.lines if line.step is Step.OTHER_WAYS]
        assert line.text.startswith(f"n•••@inbox.example {told};")


def test_what_arrived_counts_before_what_failed_at_an_address_that_is_gone() -> None:
    newer, older = notice(mail(Outcome.DELIVERED)), GONE
    assert diagnose(evidence(newer, older), profile()).cause is Cause.ACCEPTED


def test_the_newest_attempt_at_one_address_decides() -> None:
    again = evidence(notice(mail(Outcome.DELIVERED)), notice(mail(BOUNCED, "mailbox_full")))
    assert diagnose(again, profile()).cause is Cause.ACCEPTED
    worse = evidence(notice(mail(BOUNCED, "mailbox_full")), notice(mail(Outcome.DELIVERED)))
    assert diagnose(worse, profile()).cause is Cause.MAILBOX_FULL


def last_answer(e: Evidence) -> tuple[Mark, str]:
    line = next(line for line in diagnose(e, profile()).lines if line.step is Step.ERRORS)
    return line.mark, line.text


def test_a_copy_that_failed_does_not_undo_what_had_arrived_at_that_address_and_is_still_told() -> None:
    copy = notification(kind=NotificationKind.RESEND)
    failed = replace(notice(mail(BOUNCED, "mailbox_full")), notification=copy)
    both = evidence(failed, notice(mail(Outcome.DELIVERED)))
    assert diagnose(both, profile()).cause is Cause.ACCEPTED
    mark, text = last_answer(both)
    assert mark is Mark.WARN
    assert "the mailbox is full" in text


def test_the_last_answer_is_the_newest_and_its_mark_fits_the_verdict() -> None:
    e = evidence(notice(mail(Outcome.DELIVERED)), GONE)
    assert diagnose(e, profile()).cause is Cause.ACCEPTED
    mark, text = last_answer(e)
    assert mark is Mark.OK
    assert text.index("d•••@inbox.example: Accepted") < text.index("o•••@inbox.example: Not delivered")
    assert last_answer(evidence(GONE, notice(mail(BOUNCED, "mailbox_full"))))[0] is Mark.BAD


@pytest.mark.parametrize("aside", [Aside.ELSEWHERE, Aside.TEST])
def test_what_went_elsewhere_is_a_line_of_evidence_and_decides_nothing(aside: Aside) -> None:
    copy = apart(aside, mail(Outcome.DELIVERED, address="agent@inbox.example"))
    found = diagnose(evidence(copy, notice(mail(BOUNCED, "mailbox_full"))), profile())
    assert found.cause is Cause.MAILBOX_FULL
    told = [line.text for line in found.lines if "a•••t@inbox.example" in line.text]
    assert len(told) == 1
    assert "no proof that they have it" in told[0]
    assert diagnose(evidence(copy), profile()).cause is Cause.UNSEEN


def test_after_the_payer_s_address_was_mended_nobody_is_sent_to_ask_there_first() -> None:
    payer = person("1100")
    found = diagnose(evidence(OLD, payer=payer), profile())
    assert found.cause is Cause.OLD_ADDRESS
    assert "mended since" in found.headline
    again = evidence(notice(mail(Outcome.SENT)), OLD, payer=payer)
    assert diagnose(again, profile()).cause is Cause.SENT_TO_PAYER


def test_that_an_account_is_archived_now_says_nothing_of_older_invoices() -> None:
    newest, older = invoice(number="20002"), invoice(number="20001")
    gone = person(status=SubscriberStatus.ARCHIVED)
    both = (InvoiceFacts(newest), InvoiceFacts(older))
    story = diagnose(evidence(subscriber=gone, invoices=both), profile()).story
    assert story.count("the account is archived") == 1
    assert "20001) was not sent from here" in story
    asked = evidence(subscriber=gone, invoices=both[1:], asked=older, newest=newest.id)
    assert diagnose(asked, profile()).cause is Cause.UNSEEN


def test_a_hold_without_a_reason_ends_without_a_colon() -> None:
    (line, *_) = diagnose(evidence(holds=(replace(hold_of("1001"), reason=""),)), profile()).lines
    assert "held until" in line.text
    assert ": ," not in line.text
    assert not line.text.endswith((":", ": "))


def test_past_due_invoices_are_counted_beyond_the_one_that_was_asked_for() -> None:
    (line, *_) = diagnose(evidence(late=2), profile()).lines
    assert "2 invoices past due" in line.text


def test_a_text_that_arrived_is_told_where_the_mail_failed() -> None:
    both = evidence(
        notice(mail(BOUNCED, "mailbox_full"), sms(Outcome.DELIVERED, confidence=Confidence.HANDSET_RECEIPT))
    )
    assert diagnose(both, profile()).cause is Cause.TEXT_ARRIVED


def test_a_misspelled_address_behind_an_outage_of_ours_is_not_blamed() -> None:
    ours = evidence(notice(mail(FAILED, reason=Reason.NETWORK)), **TYPO)
    assert diagnose(ours, profile()).cause is Cause.OUR_FAULT


def test_a_report_that_nobody_signed_is_never_certain() -> None:
    by = {EventSource.DSN: Certainty.CERTAIN, EventSource.OPERATOR: Certainty.LIKELY}
    for source, certainty in by.items():
        events = (event(new_id(), EventKind.BOUNCED, source=source, cls="no_such_user", actor="U_LEAD"),)
        found = diagnose(evidence(notice(mail(BOUNCED, "no_such_user"), events=events)), profile())
        assert found.cause is Cause.NO_MAILBOX
        assert found.certainty is certainty
        by_hand = "U_LEAD matched a report that bears no signature of ours"
        assert (found.proof == by_hand) is (source is EventSource.OPERATOR)
        assert ("was that this mailbox does not exist" in found.customer) is (source is EventSource.DSN)
        assert ("no signature of ours" in last_answer(found.evidence)[1]) is (source is EventSource.OPERATOR)


def test_a_report_matched_by_a_queue_id_alone_is_not_certain_until_a_signed_one_says_the_same() -> None:
    loose = event(new_id(), EventKind.BOUNCED, cls="no_such_user", source=EventSource.DSN)
    loose = replace(loose, key="dsn:1:unsigned-abc")
    signed = replace(loose, key="dsn:1:abc")
    bounced = mail(BOUNCED, "no_such_user")
    for events, sure in (((loose,), Certainty.LIKELY), ((signed, loose), Certainty.CERTAIN)):
        found = diagnose(evidence(notice(bounced, events=events)), profile())
        assert found.certainty is sure
        assert ("bears no signature of ours" in found.proof) is (sure is Certainty.LIKELY)


def test_steps_that_cannot_be_taken_are_not_offered() -> None:
    refused = notice(mail(BOUNCED, "no_such_user"))
    bare = diagnose(evidence(refused, other_route=None), profile())
    assert Act.TEXT not in bare.acts
    assert Act.OTHER_SERVER not in bare.acts
    assert Act.RELEASE not in bare.acts
    number = Point(new_id(), new_id(), ContactRole.SERVICE, Channel.SMS, "+15415550142", "", 0, None, FACTS)
    for phone, offered in ((PhoneFact(number), True), (PhoneFact(number, NOW), False)):
        assert (Act.TEXT in diagnose(evidence(refused, phones=(phone,)), profile()).acts) is offered
    assert (
        Act.TEXT not in diagnose(evidence(refused, phones=(PhoneFact(number),), texts=False), profile()).acts
    )


def test_an_open_incident_is_named() -> None:
    ours = incident_of("route_down:visp", "The route visp cannot be reached")
    e = evidence(notice(mail()), incidents=(ours,), caught=frozenset({ours.incident.id}))
    (line,) = [line for line in diagnose(e, profile()).lines if line.step is Step.KNOWN]
    assert line.mark is Mark.BAD
    assert line.text == (
        "The route visp cannot be reached, since 1:00 AM: 41 messages of 38 subscribers, this one among them"
    )


CONCERNED: dict[str, tuple[str, dict[str, Any], bool]] = {
    "their operator": ("blocked_reputation:inbox.example", {"operators": frozenset({"inbox.example"})}, True),
    "another operator": ("blocked_reputation:other.example", {"operators": frozenset({"i.example"})}, False),
    "a burst at their operator": (
        "burst:inbox.example:temporary",
        {"operators": frozenset({"inbox.example"})},
        True,
    ),
    "DNS did not say whose it is": ("blocked_reputation:inbox.example", {}, False),
    "our way out": ("route_down:visp", {}, True),
    "our other way out": ("route_down:remote", {}, False),
    "our envelope domain": ("blocked_auth:mail.cascade.example", {}, False),
    "texts": ("sms_filtered:+15415550100", {}, False),
}


@pytest.mark.parametrize("name", CONCERNED)
def test_an_incident_is_named_also_where_this_mail_was_not_part_of_it(name: str) -> None:
    cause, more, concerned = CONCERNED[name]
    e = evidence(incidents=(incident_of(cause, "Something refuses us"),), **more)
    told = [line for line in diagnose(e, profile()).lines if line.step is Step.KNOWN]
    assert bool(told) is concerned
    if told:
        assert told[0].mark is Mark.WARN
        assert told[0].text.endswith("41 messages of 38 subscribers, nothing of this invoice so far")


def test_who_runs_the_mail_of_a_domain() -> None:
    assert operators_of("cedar.example", ("mx1.bigmail.example", "mx2.bigmail.example")) == {
        "cedar.example",
        "bigmail.example",
    }
    assert operators_of("bigmail.example", ("mx.bigmail.example",)) == {"bigmail.example"}
    assert operators_of("cedar.example", ()) == {"cedar.example"}


def incident_of(cause: str, title: str) -> KnownIncident:
    return KnownIncident(Incident(new_id(), cause, title, IncidentState.OPEN, False, 41, NOW, NOW), 38)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_data_is_shown_and_never_obeyed(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    someone = person(text[:40], name=text, kind=SubscriberKind.BUSINESS)
    address = f"{text[:60]}@{text[:60]}.example"
    override = ContactOverride(
        new_id(), someone.id, ContactRole.BILLING, Channel.EMAIL, address, address, text[:80], NOW
    )
    for status in AddressStatus:
        fact = at(address, status, suppression=listed(text[:40]), override=override)
        fact = replace(fact, finding=replace(fact.finding, suggestion=address))
        deliveries = tuple(
            mail(outcome, text[:24], address=address, id=new_id(), stage_reason=text, diagnostic=text)
            for outcome in Outcome
        )
        for d in deliveries:
            e = evidence(
                notice(d, events=waited(diagnostic=text, cls=text[:24])),
                subscriber=someone,
                payer=person(text[:40], name=text),
                invoice=invoice(number=text[:40]),
                addresses=(fact,) * 6,
                holds=(hold_of("1", reason=text),),
                incidents=(known := incident_of("k", text),),
                caught=frozenset({known.incident.id}),
                reports={address: NOW},
                company=Company(3, NOW),
            )
            found = diagnose(e, profile())
            for masked in (True, False):
                reply = legal(view.verdict(found, profile(), role=Role.LEAD, masked=masked, kept=None))
                assert suspicious(obeyed(reply), None) is None
                for forbidden in ("\x00", "\x1b", "\u202e"):
                    assert forbidden not in said(reply)
            legal(view.more(found, Role.LEAD, str(new_id())))


_SURE = {
    Certainty.CERTAIN: "certain",
    Certainty.LIKELY: "likely",
    Certainty.UNKNOWN: "not certain",
}
_STEPS = {
    Act.MEND: "mend the address",
    Act.RESEND: "resend",
    Act.TEXT: "text the link",
    Act.OTHER_ADDRESS: "another address",
    Act.SPF: "check SPF",
    Act.RELEASE: "release the suppression (lead)",
    Act.OTHER_SERVER: "the other server (lead)",
    Act.LOG: "messages",
    Act.PAYER: "open the payer",
}


def documented() -> str:
    rows = ["| cause | verdict | how sure | next steps |", "|---|---|---|---|"]
    for cause, telling in TELLINGS.items():
        headline = re.sub(r"\{(\w+)\}", lambda m: f"‹{m[1].lower()}›", telling.headline)
        steps = ", ".join(_STEPS[act] for act in telling.acts)
        rows.append(f"| `{cause}` | {headline} | {_SURE[telling.certainty]} | {steps} |")
    return "\n".join(rows)


def documented_rules() -> str:
    both = {
        "The invoice as a whole": [(r.name, r.cause) for r in INVOICE_RULES],
        "The attempt that decides": [(r.name, r.cause) for r in ATTEMPT_RULES],
    }
    parts = []
    for title, rules in both.items():
        rows = [f"{n}. {name}: `{cause}`" for n, (name, cause) in enumerate(rules, start=1)]
        parts.append(f"**{title}**\n\n" + "\n".join(rows))
    return "\n\n".join(parts)


def test_the_page_in_docs_shows_these_tables() -> None:
    text = DOC.read_text("utf-8")
    for name, content in (("causes", documented()), ("rules", documented_rules())):
        between = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        assert between.search(text), name
        wanted = between.sub(lambda m, c=content: f"{m[1]}{c}{m[2]}", text)  # type: ignore[misc]
        if os.environ.get("DIAGNOSIS_DOC"):
            DOC.write_text(wanted, "utf-8")
            text = wanted
        assert text == wanted, "DIAGNOSIS_DOC=1 writes docs/diagnosis.md anew"


GMAIL = (
    "550-5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all "
    "senders to authenticate with either SPF or DKIM. DKIM = did not pass. "
    "SPF [mail.cascade.example] = did not pass"
)


@pytest.mark.parametrize(
    ("said", "spf", "cause", "sure"),
    [
        (GMAIL, SpfState.WRONG, Cause.SPF_WRONG, Certainty.CERTAIN),
        (GMAIL, SpfState.RIGHT, Cause.SPF_MENDED, Certainty.LIKELY),
        (GMAIL, SpfState.UNKNOWN, Cause.SENDER_CHECKS, Certainty.LIKELY),
        ("550 5.7.26 Multiple checks failed", SpfState.WRONG, Cause.DMARC_WRONG, Certainty.CERTAIN),
        ("550 5.7.1 Sender not authenticated", SpfState.WRONG, Cause.SPF_WRONG, Certainty.LIKELY),
    ],
)
def test_a_server_that_asks_for_spf_or_dkim_says_nothing_of_dmarc_and_only_what_it_names_is_certain(
    said: str, spf: SpfState, cause: Cause, sure: Certainty
) -> None:
    tried = notice(mail(BOUNCED, "blocked_auth", diagnostic=said))
    fact = SpfFact("mail.cascade.example", spf)
    found = diagnose(evidence(tried, spf=fact, identity=identity(Standing.FAILS)), profile())
    assert (found.cause, found.certainty) == (cause, sure)


class Counting:
    def __init__(self) -> None:
        self.names: set[str] = set()

    async def query(self, name: str, _rtype: str) -> Answer:
        self.names.add(name)
        return Answer(Status.NXDOMAIN)


async def test_a_field_with_hundreds_of_addresses_asks_dns_about_twenty_of_them() -> None:
    many = evidence(addresses=tuple(at(f"a@x{n}.example") for n in range(300)))
    resolver = Counting()
    found = await _ask_dns(resolver, profile(), many)
    assert len([name for name in resolver.names if name.startswith("x")]) == MOST_ASKED
    assert [a.finding.status for a in found.addresses[:MOST_ASKED]] == [AddressStatus.NO_DOMAIN] * MOST_ASKED
