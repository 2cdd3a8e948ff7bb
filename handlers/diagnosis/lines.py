"""The evidence in a few short lines: the steps of the guide, each with a mark. Pure.

Addresses are masked here already: these lines are read aloud, shared and copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from billing.hold_words import thing
from handlers import format as fmt
from handlers import words
from handlers.cards import is_overdue
from handlers.diagnosis.case import Case, Tried, may_text
from handlers.diagnosis.evidence import AddressFact, PhoneFact
from handlers.diagnosis.known import known_to, known_words
from handlers.diagnosis.telling import local_day, trouble
from handlers.masks import mask_address, shown_domain
from handlers.profile import TenantProfile
from handlers.spf_look import SpfState
from handlers.text_words import TEXT_CAUSES
from notifier.addresses import AddressStatus, Kind
from notifier.sms_codes import SmsClass
from store.models import ACCOUNT, Aside, Hold, Outcome, PackageStatus, Stage, SubscriberStatus

MOST_ADDRESSES = 4


class Step(StrEnum):
    """The guide "Troubleshooting missing invoice e-mails", in its order."""

    KNOWN = "Known incident"
    """Before the guide's own steps: what hits many needs no search."""
    PROFILE = "Profile"
    ADDRESS = "Address"
    LOG = "Message log"
    ERRORS = "Last answer"
    SETTINGS = "Our mail server"
    REPORTS = "Reports"
    SPF = "SPF record"
    IDENTITY = "DKIM and DMARC"
    OTHER_WAYS = "Other ways"
    SMS = "Texts"


class Mark(StrEnum):
    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    SKIPPED = "skipped"
    """Not checked, or nothing to check."""


@dataclass(frozen=True, slots=True)
class Line:
    step: Step
    mark: Mark
    text: str


def lines_of(case: Case, profile: TenantProfile) -> tuple[Line, ...]:
    return (
        *_known(case, profile),
        _profile(case, profile),
        *_addresses(case, profile),
        _log(case, profile),
        *_apart(case, profile),
        _errors(case, profile),
        *_reports(case, profile),
        _settings(case),
        _spf(case),
        *_identity(case),
        _other_ways(case),
        *_texts(case, profile),
    )


def _known(case: Case, profile: TenantProfile) -> list[Line]:
    known = known_to(case)
    if known is None:
        return []
    mark = Mark.BAD if known.incident.id in case.e.caught else Mark.WARN
    return [Line(Step.KNOWN, mark, known_words(known, case, profile))]


def _reports(case: Case, profile: TenantProfile) -> list[Line]:
    """What nobody has signed proves nothing: it is told, and blames nobody."""
    return [
        Line(
            Step.REPORTS,
            Mark.WARN,
            f"a report about {mask_address(address)} waits unmatched since {local_day(since, profile)}, "
            f"and may be forged: {profile.command} bounces shows it",
        )
        for address, since in sorted(case.e.reports.items())
    ]


def _identity(case: Case) -> list[Line]:
    identity = case.e.identity
    if identity is None:
        return []
    mark = {SpfState.RIGHT: Mark.OK, SpfState.WRONG: Mark.WARN, SpfState.UNKNOWN: Mark.SKIPPED}[case.dmarc]
    if mark is Mark.SKIPPED and not identity.facts.egress_ips:
        told = f"not judged: nobody has told us the addresses that {identity.facts.route} sends from"
        return [Line(Step.IDENTITY, mark, told)]
    return [Line(Step.IDENTITY, mark, identity.headline.rstrip("."))]


_BAD_STATUS = {
    SubscriberStatus.ARCHIVED: "archived",
    SubscriberStatus.PROSPECT: "a prospect",
    SubscriberStatus.ACTIVE: "active",
}


def _profile(case: Case, profile: TenantProfile) -> Line:
    e = case.e
    said, mark = [f"account {_BAD_STATUS[e.subscriber.status]}"], Mark.OK
    if e.subscriber.status is not SubscriberStatus.ACTIVE:
        mark = Mark.BAD
    if any(p.status is PackageStatus.SUSPENDED for p in e.packages):
        said.append("package suspended")
        mark = max(mark, Mark.WARN, key=_WEIGHT.index)
    if e.subscriber.invoice_notices:
        said.append("notices on")
    else:
        said.append("notices switched off")
        mark = Mark.BAD
    balance = e.subscriber.balance
    if balance.minor > 0:
        said.append(f"{fmt.money(balance, profile.locale)} owed")
    elif balance.minor == 0:
        said.append("nothing owed")
    late = sum(is_overdue(f.invoice, e.today) for f in e.invoices) if e.late is None else e.late
    if late:
        said.append(f"{late} invoice{'s' if late > 1 else ''} past due")
        mark = max(mark, Mark.WARN, key=_WEIGHT.index)
    if e.payer.id != e.subscriber.id:
        said.append(f"invoices go to account {e.payer.account}, which pays for it")
        mark = max(mark, Mark.WARN, key=_WEIGHT.index)
    said += [f"{_whose(h)}held until {fmt.day(h.until, profile.locale)}{_why(h)}" for h in e.holds[:2]]
    return Line(Step.PROFILE, mark, ", ".join(said))


def _whose(hold: Hold) -> str:
    """Nothing before a hold on the account itself."""
    return "" if hold.scope == ACCOUNT else f"{thing(hold.scope, hold.scope_key)} is "


def _why(hold: Hold) -> str:
    return f": {hold.reason}" if hold.reason.strip() else ""


_WEIGHT = (Mark.SKIPPED, Mark.OK, Mark.WARN, Mark.BAD)


def _addresses(case: Case, profile: TenantProfile) -> list[Line]:
    facts = case.e.addresses
    if not facts:
        whose = f" for account {case.e.payer.account}" if case.e.payer.id != case.e.subscriber.id else ""
        return [Line(Step.ADDRESS, Mark.BAD, f"none on file{whose}")]
    shown = [_address(fact, profile) for fact in facts[:MOST_ADDRESSES]]
    if len(facts) > MOST_ADDRESSES:
        shown.append(Line(Step.ADDRESS, Mark.SKIPPED, f"and {len(facts) - MOST_ADDRESSES} more"))
    return shown


_FINDINGS = {
    AddressStatus.OK: (Mark.OK, "its domain takes mail"),
    AddressStatus.UNKNOWN: (Mark.SKIPPED, "its domain could not be looked up in time"),
    AddressStatus.NO_DOMAIN: (Mark.BAD, "its domain does not exist"),
    AddressStatus.NULL_MX: (Mark.BAD, "its domain says that it takes no mail"),
    AddressStatus.NO_MX: (Mark.BAD, "its domain has no mail server"),
    AddressStatus.MALFORMED: (Mark.BAD, "it is not an address"),
}


_WORTH_KNOWING: Mapping[Kind, tuple[Mark, str]] = {
    Kind.LOOKALIKE: (Mark.WARN, "its domain only looks like another"),
    Kind.PLACEHOLDER: (Mark.WARN, "it looks made up to fill the field"),
    Kind.NO_REPLY: (Mark.WARN, "by its name nobody reads it"),
    Kind.DISPOSABLE: (Mark.WARN, "it is a mailbox to throw away"),
    Kind.NO_MX_BUT_HOST: (Mark.OK, "without an MX, so to the domain's own address"),
    Kind.ROLE: (Mark.OK, "a mailbox of a role"),
}
"""Findings beside the status of an address; the others stand in it, or are told with their day."""


def _more(fact: AddressFact, mark: Mark, text: str) -> tuple[Mark, str]:
    """The line with what else is worth knowing; a warning makes a good mark a warning."""
    for finding in fact.finding.findings:
        weight, said = _WORTH_KNOWING.get(finding.kind, (Mark.OK, ""))
        text = f"{text}; {said}" if said else text
        mark = weight if mark is Mark.OK else mark
    if fact.others:
        text += f"; {fact.others} other account{'s use' if fact.others > 1 else ' uses'} it too"
    return mark, text


def _address(fact: AddressFact, profile: TenantProfile) -> Line:
    point, finding = fact.point, fact.finding
    shown = mask_address(point.address)
    if point.problem is not None:
        return Line(Step.ADDRESS, Mark.BAD, f"{shown}: {point.problem}".rstrip("."))
    if finding.status is AddressStatus.TYPO:
        meant = shown_domain((finding.suggestion or "").rpartition("@")[2])
        danger = "; that domain takes mail, so a stranger may read it" if finding.takes_mail else ""
        mark, text = Mark.BAD, f"looks like a slip for {meant}{danger}"
    else:
        mark, text = _FINDINGS[finding.status]
    mark, text = _more(fact, mark, text)
    if fact.suppression is not None:
        since = local_day(fact.suppression.created_at, profile)
        why = words.bounce_words(fact.suppression.reason)
        mark, text = Mark.BAD, f"{text}; on our do-not-send list since {since} ({why})"
    if fact.billing:
        text = f"{text}; mended here, billing still has {mask_address(fact.billing)}"
    elif fact.billing is not None:
        text = f"{text}; added here, billing does not have it"
    return Line(Step.ADDRESS, mark, f"{shown}: {text}")


def _log(case: Case, profile: TenantProfile) -> Line:
    if case.facts is None:
        return Line(Step.LOG, Mark.SKIPPED, "no invoice, so no message")
    notices = case.notices
    if not notices:
        went = "went to them" if case.apart else "left"
        return Line(
            Step.LOG, Mark.BAD, f"no message about invoice {case.facts.invoice.number} {went} from here"
        )
    newest = notices[0]
    at = fmt.moment(newest.notification.created_at, profile.time_zone, profile.locale)
    count = len(newest.deliveries)
    to = f"{count} address{'es' if count != 1 else ''}"
    earlier = len(notices) - 1
    more = f", and {earlier} earlier message{'s' if earlier > 1 else ''}" if earlier else ""
    return Line(Step.LOG, Mark.OK, f"invoice {case.facts.invoice.number} to {to}, {at}{more}")


def _apart(case: Case, profile: TenantProfile) -> list[Line]:
    """Copies and tests, in one line: they prove nothing about the reader."""
    if not case.apart:
        return []
    newest = case.apart[0]
    said = words.status(newest.delivery, newest.events, profile.time_zone)
    target = mask_address(newest.delivery.address)
    copy = newest.aside is Aside.ELSEWHERE
    what = f"a copy went to {target}, not on file" if copy else f"a test of a mail server went to {target}"
    more = f", and {len(case.apart) - 1} more before" if len(case.apart) > 1 else ""
    return [Line(Step.LOG, Mark.SKIPPED, f"{what}{more}: {said} (no proof that they have it)")]


def _errors(case: Case, profile: TenantProfile) -> Line:
    """Newest first; the mark fits the verdict, which is about what arrived, where anything did."""
    tried = case.answers
    if not tried:
        return Line(Step.ERRORS, Mark.SKIPPED, "nothing was sent, so nobody answered")
    said = [_answer(case, t, profile, name=len(tried) > 1) for t in tried[:3]]
    if case.decider is not None and case.decider.arrived and not case.partly:
        mark = Mark.WARN if any(t.lost and t.address is not None for t in tried) else Mark.OK
    elif any(t.lost or (t.misspelled and t.delivery.outcome is not Outcome.NONE) for t in tried):
        mark = Mark.BAD
    elif any(t.delivery.outcome is Outcome.NONE for t in tried):
        mark = Mark.WARN
    else:
        mark = Mark.OK
    return Line(Step.ERRORS, mark, "; ".join(said))


def _answer(case: Case, tried: Tried, profile: TenantProfile, *, name: bool) -> str:
    d = tried.delivery
    said = words.status(d, tried.events, profile.time_zone)
    if d.cls == "relay_or_security" and case.by_our_relay(tried):
        said = "Not sent: our own mail server refused to pass it on"
    if d.stage is Stage.HELD and d.stage_by and d.stage_by not in said:
        said = f"{said} (by {d.stage_by})"
    if tried.unsigned:
        said = f"{said} (so says a report that bears no signature of ours)"
    return f"{mask_address(d.address)}: {said}" if name else said


def _settings(case: Case) -> Line:
    e = case.e
    kind = f"the relay {e.route}" if e.relay else e.route
    if e.send_mode != "live":
        return Line(Step.SETTINGS, Mark.BAD, f"{kind}; send mode {e.send_mode}: not everything leaves")
    if any(t.delivery.cls == "relay_or_security" and case.by_our_relay(t) for t in case.mails):
        return Line(Step.SETTINGS, Mark.BAD, f"{kind} refused to pass it on")
    failing = [
        t for t in case.mails if t.last_wait and not t.last_wait.cls and t.delivery.outcome is Outcome.NONE
    ]
    if failing:
        return Line(Step.SETTINGS, Mark.BAD, f"{kind} {trouble(failing[0])}, as of the last try")
    return Line(Step.SETTINGS, Mark.OK, f"{kind}, no trouble known")


def _spf(case: Case) -> Line:
    spf = case.e.spf
    if spf is None:
        return Line(Step.SPF, Mark.SKIPPED, "not checked")
    if spf.state is SpfState.UNKNOWN:
        return Line(Step.SPF, Mark.SKIPPED, f"{spf.domain}: DNS gave no answer in time")
    if spf.state is SpfState.RIGHT:
        return Line(Step.SPF, Mark.OK, f"{spf.domain} authorises our server")
    return Line(Step.SPF, Mark.WARN, f"{spf.domain} does not authorise our server: strict ones refuse us")


def _other_ways(case: Case) -> Line:
    e = case.e
    tried = {t.delivery.address for t in case.mails}
    others = [a for a in case.usable if a.point.address not in tried and a.suppression is None]
    beside = len(others) < len(case.usable)
    told = "is on file too" if beside else "is on file, and nothing has gone there"
    said = [f"{mask_address(a.point.address)} {told}" for a in others[:1] if tried]
    if not said:
        said = ["no other address on file"]
    said.append(f"other mail server: {e.other_route}" if e.other_route else "no other mail server set up")
    return Line(Step.OTHER_WAYS, Mark.SKIPPED, "; ".join(said))


def _texts(case: Case, profile: TenantProfile) -> list[Line]:
    e = case.e
    if not e.texts:
        return [Line(Step.SMS, Mark.SKIPPED, "this desk sends no texts")]
    if not e.phones:
        return [Line(Step.SMS, Mark.WARN, "no mobile number on file")]
    return [_phone(phone, profile) for phone in e.phones[:2]]


def _phone(phone: PhoneFact, profile: TenantProfile) -> Line:
    shown = mask_address(phone.point.address)
    if may_text(phone):
        return Line(Step.SMS, Mark.OK, f"{shown} can be texted")
    suppression = phone.suppression
    if phone.withdrawn_at is not None or (suppression and suppression.reason == SmsClass.OPTED_OUT):
        since = phone.withdrawn_at or (suppression.created_at if suppression else None)
        told = f" (since {local_day(since, profile)})" if since else ""
        return Line(Step.SMS, Mark.WARN, f"{shown} opted out of texts{told}")
    if suppression is not None:
        known = local_day(suppression.created_at, profile)
        why = TEXT_CAUSES.get(suppression.reason, "they do not reach it")
        return Line(Step.SMS, Mark.WARN, f"{shown} cannot get texts: {why}, known since {known}")
    return Line(Step.SMS, Mark.WARN, f"{shown}: {phone.point.problem}".rstrip("."))


__all__ = ["Line", "Mark", "Step", "lines_of"]
