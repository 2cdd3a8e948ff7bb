"""The decision procedure over combined evidence: one verdict, always, and nobody blamed without proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.diagnosis import Cause, Certainty, Evidence, InvoiceFacts, SpfFact, SpfState, diagnose
from handlers.diagnosis.case import Case
from handlers.diagnosis.rules import rule_on
from notifier.addresses import AddressStatus
from notifier.mailauth.identity import Standing
from store.models import (
    Channel,
    Confidence,
    Delivery,
    Event,
    EventKind,
    EventSource,
    InvoiceStatus,
    Outcome,
    Reason,
    Stage,
    SubscriberStatus,
)
from store.types import new_id
from tests.builders import NOW, delivery, event, usd
from tests.unit.handlers.support import profile
from tests.unit.handlers.test_diagnosis import (
    ADDRESS,
    at,
    evidence,
    excluded,
    identity,
    incident_of,
    invoice,
    listed,
    notice,
    person,
)

PROFILE = profile()
THEIRS = ("no_such_user", "mailbox_full", "mailbox_disabled", "filtered", "domain_missing")
OURS = ("blocked_auth", "blocked_reputation", "spam_content", "relay_or_security")
NEITHER = ("too_big", "rate_limited", "temporary", "other", "")
BLAMES_THEM = {
    Cause.NO_MAILBOX,
    Cause.MAILBOX_FULL,
    Cause.MAILBOX_DISABLED,
    Cause.FILTERED,
    Cause.DEAD_DOMAIN,
    Cause.NO_MAIL_DOMAIN,
    Cause.MISSPELLED,
}
ANSWERS = (
    "",
    "550 5.7.23 SPF validation failed",
    "550 5.7.26 refused by DMARC",
    "550 5.7.25 no PTR",
    "550 5.7.1 no",
)
REASONS = {"filtered": Reason.POLICY, "too_big": Reason.CONTENT, "blocked_auth": Reason.CONFIG}


@st.composite
def attempts(draw: st.DrawFn, address: str = ADDRESS) -> tuple[Delivery, tuple[Event, ...]]:
    outcome = draw(st.sampled_from(Outcome))
    refused = outcome in (Outcome.BOUNCED, Outcome.FAILED)
    cls = draw(st.sampled_from((*THEIRS, *OURS, *NEITHER))) if refused else ""
    reason = draw(st.sampled_from((Reason.NETWORK, Reason.CONFIG))) if refused and not cls else Reason.NONE
    if cls in REASONS:
        reason = REASONS[cls]
    confidence = draw(st.sampled_from(Confidence)) if outcome is Outcome.DELIVERED else Confidence.UNKNOWN
    stages = (Stage.QUEUED, Stage.HELD, Stage.CLAIMED) if outcome is Outcome.NONE else (Stage.CLOSED,)
    by = draw(st.sampled_from((None, "U_LEAD", "send_mode", "doubt")))
    diagnostic = draw(st.sampled_from(ANSWERS))
    d = delivery(
        address,
        outcome=outcome,
        cls=cls,
        route="visp",
        stage=draw(st.sampled_from(stages)),
        stage_by=by,
        reason=reason,
        confidence=confidence,
        diagnostic=diagnostic,
        id=new_id(),
    )
    kinds = st.sampled_from((EventKind.DEFERRED, EventKind.DELAYED, EventKind.IN_DOUBT, EventKind.COMPLAINT))
    told = [
        event(d.id, kind, cls=draw(st.sampled_from(("", "rate_limited"))), reason=Reason.POLICY)
        for kind in draw(st.lists(kinds, max_size=2))
    ]
    if refused:
        source = draw(st.sampled_from((EventSource.SMTP, EventSource.DSN)))
        told.append(event(d.id, EventKind.BOUNCED, source=source, diagnostic=diagnostic, cls=cls))
    return d, tuple(told)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    addresses = []
    for name in draw(st.lists(st.sampled_from((ADDRESS, "bob@inbox.example")), unique=True, max_size=2)):
        suppression = draw(st.none() | st.just(listed()))
        problem = draw(st.sampled_from((None, None, None, "There is no @ sign.")))
        status = draw(st.sampled_from(AddressStatus))
        addresses.append(at(name, status, suppression=suppression, problem=problem))
    notices = []
    for _ in range(draw(st.integers(0, 2))):
        d, events = draw(attempts(draw(st.sampled_from((ADDRESS, "bob@inbox.example")))))
        notices.append(notice(d, events=events))
    status = draw(st.sampled_from(InvoiceStatus))
    of = invoice(status=status, paid=usd("49.90") if status is InvoiceStatus.PAID else usd("0.00"))
    someone = person(
        status=draw(st.sampled_from(SubscriberStatus)), invoice_notices=draw(st.sampled_from((True, False)))
    )
    known = incident_of(
        draw(st.sampled_from(("blocked_reputation:inbox.example", "route_down:visp"))), "Known"
    )
    return evidence(
        *notices,
        subscriber=someone,
        payer=draw(st.sampled_from((someone, person("1100")))),
        addresses=tuple(addresses),
        invoices=(InvoiceFacts(of, tuple(notices), draw(st.none() | st.just(excluded("suppressed")))),),
        spf=SpfFact("mail.cascade.example", draw(st.sampled_from(SpfState))),
        identity=identity(draw(st.sampled_from(Standing))),
        incidents=draw(st.sampled_from(((), (known,)))),
        operators=frozenset({"inbox.example"}),
        send_mode=draw(st.sampled_from(("live", "off"))),
        reports=draw(st.sampled_from(({}, {ADDRESS: NOW}))),
        today=date(2026, 3, 2) + timedelta(days=draw(st.integers(0, 30))),
    )


@settings(max_examples=120, deadline=None)
@given(evidences())
def test_there_is_one_verdict_and_it_keeps_its_word(e: Evidence) -> None:
    found = diagnose(e, PROFILE)
    assert rule_on(Case(e, e.invoices[0])).rule == found.rule, "asked twice, the same rule decides"
    assert found.headline
    assert "{" not in found.headline + found.proof + found.customer
    shown = found.headline.replace("NOT DELIVERED", "").replace("PARTLY DELIVERED", "")
    assert "DELIVERED" not in shown, "a server's yes is not the inbox"
    assert len(found.acts) == len(set(found.acts))


@settings(max_examples=120, deadline=None)
@given(evidences())
def test_nobody_is_blamed_for_what_was_ours(e: Evidence) -> None:
    found = diagnose(e, PROFILE)
    if found.about is None or found.cause not in BLAMES_THEM:
        return
    d = found.about.delivery
    if d.outcome in (Outcome.BOUNCED, Outcome.FAILED):
        assert d.cls, "a recipient is blamed only for what a server said"
    if found.certainty is Certainty.CERTAIN and d.cls in OURS:
        assert found.cause is Cause.NO_MAIL_DOMAIN, "what is our fault is nobody else's for certain"
        assert found.about.is_dns(AddressStatus.NULL_MX), "but where DNS itself says that no mail is taken"


@settings(max_examples=120, deadline=None)
@given(evidences())
def test_what_nobody_signed_and_what_dns_did_not_say_decide_nothing(e: Evidence) -> None:
    without = replace(e, reports={}, incidents=())
    assert diagnose(e, PROFILE).cause is diagnose(without, PROFILE).cause
    found = diagnose(e, PROFILE)
    if found.about is not None and found.about.is_dns(AddressStatus.UNKNOWN):
        assert found.cause not in (Cause.NO_MAIL_DOMAIN, Cause.MISSPELLED, Cause.LOOKALIKE)


@settings(max_examples=80, deadline=None)
@given(attempts())
def test_whatever_is_still_under_way_is_not_called_lost(made: tuple[Delivery, tuple[Event, ...]]) -> None:
    d, events = made
    if d.outcome is not Outcome.NONE or d.channel is not Channel.EMAIL:
        return
    found = diagnose(evidence(notice(d, events=events), addresses=(at(),)), PROFILE)
    for word in ("NOT DELIVERED:", "ACCEPTED", "HANDED"):
        assert not found.headline.startswith(word)
