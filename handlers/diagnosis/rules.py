"""The decision procedure: two ordered tables of named rules, the first that holds decides. Pure.

INVOICE_RULES look at the invoice as a whole. Where something was tried and none of them holds, the attempt
that decides is judged by ATTEMPT_RULES. The last rule of each table always holds: nothing is left unsaid.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from handlers.diagnosis.case import ARRIVED, Case, Tried, complained
from handlers.diagnosis.causes import Cause
from handlers.spf_look import SpfState
from notifier.addresses import AddressStatus
from notifier.sms_codes import SmsClass
from store.models import (
    Channel,
    Confidence,
    EventKind,
    InvoiceStatus,
    Outcome,
    Reason,
    Stage,
)

SEND_MODE, DOUBT, SETTLING = "send_mode", "doubt", "settling"
"""Who holds deliveries (billing.truth, notifier.tracking)."""


@dataclass(frozen=True, slots=True)
class InvoiceRule:
    name: str
    cause: Cause
    holds: Callable[[Case], bool]


@dataclass(frozen=True, slots=True)
class AttemptRule:
    name: str
    cause: Cause
    holds: Callable[[Case, Tried], bool]


def _called_off(case: Case) -> bool:
    """Nothing was tried, or all that was asked for was cancelled."""
    return all(t.delivery.outcome is Outcome.CANCELLED for t in case.tried)


def _untried(case: Case) -> bool:
    return not case.tried


def _left_out_for(*reasons: str) -> Callable[[Case], bool]:
    return lambda case: _untried(case) and case.excluded in reasons


INVOICE_RULES: tuple[InvoiceRule, ...] = (
    InvoiceRule(
        "the only invoice is a draft",
        Cause.DRAFT,
        lambda c: c.invoice_is(InvoiceStatus.DRAFT) or (c.facts is None and c.e.draft is not None),
    ),
    InvoiceRule("there is no invoice", Cause.NO_INVOICE, lambda c: c.facts is None),
    InvoiceRule(
        "it was voided before anything went out",
        Cause.VOID,
        lambda c: c.invoice_is(InvoiceStatus.VOID) and _called_off(c),
    ),
    InvoiceRule(
        "it was written off before anything went out",
        Cause.WRITTEN_OFF,
        lambda c: c.invoice_is(InvoiceStatus.UNCOLLECTIBLE) and _called_off(c),
    ),
    InvoiceRule(
        "what is on file since it was mailed looks misspelled",
        Cause.SLIP_ON_FILE,
        lambda c: c.slip_on_file is not None,
    ),
    InvoiceRule("it was mailed to addresses that were mended since", Cause.MENDED, lambda c: c.mended),
    InvoiceRule(
        "it went to an address that was mended since, and not to the new one",
        Cause.OLD_ADDRESS,
        lambda c: c.went_to_the_old,
    ),
    InvoiceRule("some of several addresses failed", Cause.SOME_FAILED, lambda c: c.partly),
    InvoiceRule(
        "one of several addresses was mended since, and nothing has gone to the new one",
        Cause.ONE_MENDED,
        lambda c: bool(c.mended_in_part),
    ),
    InvoiceRule(
        "the account is archived, and all was called off",
        Cause.ARCHIVED,
        lambda c: c.archived and _called_off(c) and (c.is_newest or c.excluded == "archived"),
    ),
    InvoiceRule(
        "it was paid before anything went out",
        Cause.PAID,
        lambda c: c.invoice_is(InvoiceStatus.PAID) and _called_off(c),
    ),
    InvoiceRule(
        "notices are switched off, and all was called off",
        Cause.NOTICES_OFF,
        lambda c: _called_off(c) and not c.e.subscriber.invoice_notices,
    ),
    InvoiceRule(
        "nobody has an address on file", Cause.NO_ADDRESS, lambda c: _untried(c) and not c.e.addresses
    ),
    InvoiceRule(
        "no address on file can be used", Cause.UNUSABLE_ADDRESS, lambda c: _untried(c) and not c.usable
    ),
    InvoiceRule(
        "whoever reads the only addresses has complained of our mail",
        Cause.COMPLAINED,
        lambda c: _untried(c) and bool(c.usable) and all(complained(a) for a in c.usable),
    ),
    InvoiceRule(
        "every address is on the do-not-send list",
        Cause.NOT_TRIED,
        lambda c: _untried(c) and all(a.suppression is not None for a in c.usable),
    ),
    InvoiceRule(
        "the run left it out for its suppressed address", Cause.NOT_TRIED, _left_out_for("suppressed")
    ),
    InvoiceRule("the run left it out", Cause.LEFT_OUT, lambda c: _untried(c) and bool(c.excluded)),
    InvoiceRule("nothing was sent from here", Cause.UNSEEN, _untried),
)


def _is(*outcomes: Outcome) -> Callable[[Case, Tried], bool]:
    return lambda _, t: t.delivery.outcome in outcomes


def _held_by(*names: str) -> Callable[[Case, Tried], bool]:
    return lambda _, t: t.delivery.stage is Stage.HELD and t.delivery.stage_by in names


def _at(stage: Stage) -> Callable[[Case, Tried], bool]:
    return lambda _, t: t.delivery.outcome is Outcome.NONE and t.delivery.stage is stage


def _waits(kind: EventKind) -> Callable[[Case, Tried], bool]:
    def holds(_: Case, t: Tried) -> bool:
        queued = t.delivery.outcome is Outcome.NONE and t.delivery.stage is Stage.QUEUED
        return queued and t.last_wait is not None and t.last_wait.kind is kind

    return holds


_OURS_DOWN = (Reason.NETWORK, Reason.CONFIG, Reason.INFRASTRUCTURE)
_REFUSED = (Outcome.BOUNCED, Outcome.FAILED)


def _route_down(case: Case, t: Tried) -> bool:
    wait = t.last_wait
    return (
        _waits(EventKind.DEFERRED)(case, t)
        and wait is not None
        and not wait.cls
        and wait.reason in _OURS_DOWN
    )


def _never_left(_: Case, t: Tried) -> bool:
    """Nobody but ourselves has said anything."""
    d = t.delivery
    return d.outcome is Outcome.FAILED and d.reason in _OURS_DOWN and not d.cls


def _by_our_relay(case: Case, t: Tried) -> bool:
    """Its refusal to pass anything on says nothing of the recipient."""
    return _refused("relay_or_security")(case, t) and case.by_our_relay(t)


def _refused(*classes: str) -> Callable[[Case, Tried], bool]:
    return lambda _, t: t.delivery.outcome in _REFUSED and t.delivery.cls in classes


def _put_off_for_us(case: Case, t: Tried) -> bool:
    """It is tried again, and will not mend itself (notifier.oncall counts it as ours, too)."""
    wait = t.last_wait
    ours = ("blocked_auth", "blocked_reputation", "spam_content")
    return _waits(EventKind.DEFERRED)(case, t) and wait is not None and wait.cls in ours


class Check(StrEnum):
    """What a server may find wrong with a sender."""

    SPF = "SPF"
    DKIM = "DKIM"
    DMARC = "DMARC"
    REVERSE_DNS = "reverse DNS"


# RFC 7372 section 3 and the IANA registry of enhanced status codes: 5.7.20 to 22 DKIM, 23 and 24 SPF, 25
# reverse DNS, 26 several checks at once.
_CHECK_NAMES: dict[Check, re.Pattern[str]] = {
    Check.REVERSE_DNS: re.compile(r"5\.7\.25\b|\bptr\b|reverse[ -]?(?:dns|lookup|hostname)|\brdns\b", re.I),
    Check.DMARC: re.compile(r"\bdmarc", re.I),
    Check.SPF: re.compile(r"5\.7\.2[34]\b|\bspf\b", re.I),
    Check.DKIM: re.compile(r"5\.7\.2[012]\b|\bdkim\b", re.I),
}


_SEVERAL = re.compile(r"5\.7\.26\b")


def named_checks(tried: Tried) -> tuple[Check, ...]:
    """Which checks the server names in its answer; none where it only says that they failed."""
    ended = tried.ended_by
    said = f"{ended.status} {ended.diagnostic}" if ended else tried.delivery.diagnostic
    named = tuple(check for check, pattern in _CHECK_NAMES.items() if pattern.search(said))
    # Operators that answer with 26 mean DMARC, unless they name what failed ("either SPF or DKIM").
    return named or ((Check.DMARC,) if _SEVERAL.search(said) else ())


def _auth(check: Check, state: SpfState) -> Callable[[Case, Tried], bool]:
    """Refused for our sender checks, by this one or without a word on which, and how it stands now."""

    def holds(case: Case, tried: Tried) -> bool:
        if not _refused("blocked_auth")(case, tried):
            return False
        named = named_checks(tried)
        if check is Check.DMARC:
            return Check.DMARC in named and case.dmarc is state
        return (Check.SPF in named or not named) and Check.DMARC not in named and case.spf is state

    return holds


_ADDRESS_WRONG = ("no_such_user", "domain_missing")


def _about_the_address(t: Tried) -> bool:
    """A server said so of this address, now or on an earlier mail."""
    if t.delivery.outcome in _REFUSED:
        return t.delivery.cls in _ADDRESS_WRONG
    if t.delivery.outcome is Outcome.SUPPRESSED:
        suppression = t.address.suppression if t.address else None
        return suppression is not None and suppression.reason in _ADDRESS_WRONG
    return False


def _no_mail(_: Case, t: Tried) -> bool:
    """RFC 7505 section 4.1: a null MX comes back as a refusal for good, of whatever class."""
    if t.delivery.outcome is Outcome.SUPPRESSED:
        return t.address is not None and t.address.suppression is not None
    return t.delivery.outcome in _REFUSED and t.delivery.cls == "relay_or_security"


def _domain_gone(case: Case, t: Tried) -> bool:
    return _refused("domain_missing")(case, t) or (_about_the_address(t) and t.domain_dead)


def _sms(t: Tried) -> bool:
    return t.delivery.channel is Channel.SMS


_NO_TEXTS = (SmsClass.LANDLINE, SmsClass.INVALID_NUMBER, SmsClass.NUMBER_UNKNOWN)


def _sms_opted_out(_: Case, t: Tried) -> bool:
    d = t.delivery
    stopped = d.outcome in (Outcome.SUPPRESSED, *_REFUSED) and d.reason is Reason.OPTED_OUT
    return _sms(t) and (stopped or (d.outcome is Outcome.SUPPRESSED and d.cls == "opted_out"))


def _receipt(_: Case, t: Tried) -> bool:
    d = t.delivery
    return _sms(t) and d.outcome is Outcome.DELIVERED and d.confidence is Confidence.HANDSET_RECEIPT


ATTEMPT_RULES: tuple[AttemptRule, ...] = (
    # Texts first: their networks speak another language than mail servers.
    AttemptRule("the handset confirmed the text", Cause.TEXT_ARRIVED, _receipt),
    AttemptRule("the text was taken", Cause.TEXTED, lambda _, t: _sms(t) and t.delivery.outcome in ARRIVED),
    AttemptRule("the number opted out", Cause.OPTED_OUT, _sms_opted_out),
    AttemptRule(
        "the number takes no texts",
        Cause.BAD_NUMBER,
        lambda _, t: _sms(t) and t.lost and t.delivery.cls in _NO_TEXTS,
    ),
    AttemptRule("the text failed", Cause.TEXT_FAILED, lambda _, t: _sms(t) and t.lost),
    AttemptRule("the text waits", Cause.QUEUED, lambda c, t: _sms(t) and _at(Stage.QUEUED)(c, t)),
    # Not gone yet.
    AttemptRule("the send mode holds it", Cause.SENDING_OFF, _held_by(SEND_MODE)),
    AttemptRule("it waits for a person after too many doubts", Cause.IN_DOUBT, _held_by(DOUBT, SETTLING)),
    AttemptRule("somebody holds it", Cause.HELD, _at(Stage.HELD)),
    AttemptRule("it is in a worker's hands", Cause.SENDING, _at(Stage.CLAIMED)),
    AttemptRule("we were cut off", Cause.IN_DOUBT, _waits(EventKind.IN_DOUBT)),
    AttemptRule("our way out is down", Cause.ROUTE_DOWN, _route_down),
    AttemptRule("their server puts us off for a fault of ours", Cause.PUT_OFF_FOR_US, _put_off_for_us),
    AttemptRule("their server asked us to wait", Cause.DEFERRED, _waits(EventKind.DEFERRED)),
    AttemptRule("it is in the queue", Cause.QUEUED, _at(Stage.QUEUED)),
    # The address is wrong.
    AttemptRule(
        "refused, and the domain is misspelled",
        Cause.MISSPELLED,
        # Whatever it was refused for: the address is what has to be mended first.
        # Where nobody answered, because our own way out was down, nothing is said against it.
        lambda c, t: t.misspelled and t.lost and not _never_left(c, t) and not _by_our_relay(c, t),
    ),
    AttemptRule(
        "refused, and the domain takes no mail",
        Cause.NO_MAIL_DOMAIN,
        lambda c, t: t.is_dns(AddressStatus.NULL_MX) and (_domain_gone(c, t) or _no_mail(c, t)),
    ),
    AttemptRule("refused, and the domain is dead", Cause.DEAD_DOMAIN, _domain_gone),
    AttemptRule("there is no such mailbox", Cause.NO_MAILBOX, _refused("no_such_user")),
    AttemptRule("the mailbox is full", Cause.MAILBOX_FULL, _refused("mailbox_full")),
    AttemptRule("the mailbox is switched off", Cause.MAILBOX_DISABLED, _refused("mailbox_disabled")),
    AttemptRule("the recipient's filter refused it", Cause.FILTERED, _refused("filtered")),
    AttemptRule(
        "its reader has complained of our mail",
        Cause.COMPLAINED,
        lambda _, t: t.delivery.outcome is Outcome.SUPPRESSED and t.complained,
    ),
    AttemptRule("the address is on the do-not-send list", Cause.SUPPRESSED, _is(Outcome.SUPPRESSED)),
    # We are wrong.
    AttemptRule(
        "refused for our server's name in DNS",
        Cause.REVERSE_DNS,
        lambda c, t: _refused("blocked_auth")(c, t) and named_checks(t) == (Check.REVERSE_DNS,),
    ),
    AttemptRule("refused by DMARC, which fails still", Cause.DMARC_WRONG, _auth(Check.DMARC, SpfState.WRONG)),
    AttemptRule("refused by DMARC, which passes now", Cause.DMARC_MENDED, _auth(Check.DMARC, SpfState.RIGHT)),
    AttemptRule("refused for SPF, which is still wrong", Cause.SPF_WRONG, _auth(Check.SPF, SpfState.WRONG)),
    AttemptRule(
        "refused for sender checks, and SPF is right now", Cause.SPF_MENDED, _auth(Check.SPF, SpfState.RIGHT)
    ),
    AttemptRule("refused for sender checks", Cause.SENDER_CHECKS, _refused("blocked_auth")),
    AttemptRule("refused for our server's reputation", Cause.REPUTATION, _refused("blocked_reputation")),
    AttemptRule("taken for spam", Cause.CONTENT, _refused("spam_content")),
    AttemptRule("too big", Cause.TOO_BIG, _refused("too_big")),
    AttemptRule(
        "our own relay refused to pass it on",
        Cause.OUR_RELAY_REFUSED,
        _by_our_relay,
    ),
    AttemptRule("refused as a relay or for security", Cause.RELAY_REFUSED, _refused("relay_or_security")),
    AttemptRule("put off until it was too late", Cause.TOO_BUSY, _refused("rate_limited", "temporary")),
    AttemptRule(
        "it never left our side",
        Cause.OUR_FAULT,
        _never_left,
    ),
    AttemptRule("it went out of date", Cause.EXPIRED, _is(Outcome.EXPIRED)),
    AttemptRule("it was cancelled", Cause.CANCELLED, _is(Outcome.CANCELLED)),
    # It was taken.
    AttemptRule("a look-alike domain took it", Cause.LOOKALIKE, lambda _, t: t.misspelled and not t.lost),
    AttemptRule(
        "the recipient marked it as spam",
        Cause.COMPLAINT,
        lambda _, t: t.delivery.outcome in ARRIVED and t.happened(EventKind.COMPLAINT),
    ),
    AttemptRule("the relay is still trying", Cause.STILL_TRYING, lambda _, t: t.delayed is not None),
    AttemptRule(
        "it went to the payer",
        Cause.SENT_TO_PAYER,
        lambda c, t: c.e.payer.id != c.e.subscriber.id and t.delivery.outcome in ARRIVED,
    ),
    AttemptRule(
        "it was taken, and a later copy was refused",
        Cause.COPY_REFUSED,
        # A server that took it is a proof of its own; that nothing came back is none any more.
        lambda c, t: (
            (t.delivery.outcome is Outcome.SENT or t.delivery.confidence is Confidence.PRESUMED)
            and c.refused_copy(t) is not None
        ),
    ),
    AttemptRule(
        "no bounce in 72 hours",
        Cause.PROBABLY_ARRIVED,
        lambda _, t: t.delivery.outcome is Outcome.DELIVERED and t.delivery.confidence is Confidence.PRESUMED,
    ),
    AttemptRule("their server took it", Cause.ACCEPTED, _is(Outcome.DELIVERED)),
    AttemptRule("the relay took it", Cause.HANDED_OVER, _is(Outcome.SENT)),
    AttemptRule("refused without a clear reason", Cause.REFUSED, lambda _, __: True),
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What decided: the rule, its cause, and the attempt it is about."""

    rule: str
    cause: Cause
    about: Tried | None = None


def rule_on(case: Case) -> Ruling:
    for invoice_rule in INVOICE_RULES:
        if invoice_rule.holds(case):
            about = case.failed_on_file[0] if invoice_rule.cause is Cause.SOME_FAILED else case.decider
            return Ruling(invoice_rule.name, invoice_rule.cause, about)
    tried = case.decider
    if tried is None:
        raise AssertionError("the last invoice rule holds for whatever was not tried")
    return rule_on_attempt(case, tried)


def rule_on_attempt(case: Case, tried: Tried) -> Ruling:
    for rule in ATTEMPT_RULES:
        if rule.holds(case, tried):
            return Ruling(rule.name, rule.cause, tried)
    raise AssertionError("the last attempt rule always holds")
