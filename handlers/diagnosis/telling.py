"""From a ruling to words: what fills the blanks of handlers.diagnosis.tellings. Pure."""

from __future__ import annotations

from datetime import datetime

from babel.dates import format_date

from handlers import format as fmt
from handlers import words
from handlers.diagnosis.case import Case, Tried, complained
from handlers.diagnosis.causes import Cause
from handlers.diagnosis.rules import Check, Ruling, named_checks
from handlers.diagnosis.tellings import TELLINGS
from handlers.masks import shown_domain
from handlers.profile import TenantProfile
from handlers.text_words import TEXT_CAUSES
from store.models import Channel, Delivery, Invoice, Outcome, Reason


class Blanks(dict[str, str]):
    """A blank that this case knows nothing of is left empty, never shown as a brace."""

    def __missing__(self, key: str) -> str:
        return ""


def fill(template: str, blanks: Blanks) -> str:
    return template.format_map(blanks)


def month(invoice: Invoice, profile: TenantProfile) -> str:
    return format_date(invoice.issued_on, format="LLLL", locale=profile.locale)


def called(invoice: Invoice, profile: TenantProfile) -> str:
    return f"your {month(invoice, profile)} invoice ({invoice.number})"


def when(value: datetime, now: datetime, profile: TenantProfile) -> str:
    """`at 10:12 AM PST`, or with its day where that is not today's."""
    zone = profile.time_zone
    if value.astimezone(zone).date() == now.astimezone(zone).date():
        return f"at {fmt.clock_time(value, zone, profile.locale)} {value.astimezone(zone):%Z}"
    clock = fmt.clock_time(value, zone, profile.locale)
    return f"on {local_day(value, profile)} at {clock} {value.astimezone(zone):%Z}"


def local_day(value: datetime, profile: TenantProfile) -> str:
    return fmt.day(value.astimezone(profile.time_zone).date(), profile.locale)


def blanks_of(case: Case, ruling: Ruling, profile: TenantProfile) -> Blanks:
    e, facts = case.e, case.facts
    blanks = Blanks(
        sender=profile.route(e.route).from_address,
        brand=profile.brand.name,
        route=e.route,
        company=_company(case, profile),
        because=_because(case, ruling.about, profile),
        left_out=f" ({case.excluded.replace('_', ' ')})" if case.excluded else "",
    )
    if e.payer.id != e.subscriber.id:
        blanks |= {"payer": f" of account {e.payer.account}, which pays,", "payer_account": e.payer.account}
    if facts is not None:
        name = called(facts.invoice, profile)
        blanks |= {"invoice": name, "Invoice": name[:1].upper() + name[1:]}
    if case.partly:
        failed, everyone = len(case.failed_on_file), len([t for t in case.mails if t.address or t.arrived])
        blanks |= {"failed": str(failed), "all": str(everyone), "reached": str(everyone - failed)}
    slip = case.slip_on_file
    if slip is not None:
        meant = (slip.finding.suggestion or "").rpartition("@")[2]
        domain = slip.point.address.rpartition("@")[2]
        blanks |= {"slip": shown_domain(domain), "slip_meant": shown_domain(meant)}
    if ruling.about is not None:
        blanks |= _of_attempt(case, ruling.about, profile)
    return Blanks(blanks)


def _of_attempt(case: Case, tried: Tried, profile: TenantProfile) -> dict[str, str]:
    d, now = tried.delivery, case.e.now
    server = words.server_of(d.address) if d.channel is Channel.EMAIL else "the telephone network"
    suggestion = tried.suggestion or ""
    witness = f"our relay {d.route}" if case.by_our_relay(tried) else server
    named = named_checks(tried)
    identity = case.e.identity
    suppression = tried.address.suppression if tried.address else None
    copy = case.refused_copy(tried)
    return {
        "route": d.route,
        "copy": words.status(copy.delivery, copy.events, profile.time_zone).lower() if copy else "",
        "server": server,
        "SERVER": server.upper(),
        "said_so": unsigned(tried) or f"{witness} said so",
        "checks": ", ".join(named) if named else "SPF, DKIM, DMARC",
        "looked": _looked(case, named),
        "unaligned": identity.headline.rstrip(".") if identity else "",
        "trouble": trouble(tried),
        "delay": _delay(tried, server),
        "delayed_by": d.route,
        "put_off": words.BOUNCE_WORDS.get(tried.last_wait.cls, "") if tried.last_wait else "",
        "domain": shown_domain(tried.domain),
        "meant": shown_domain(suggestion.rpartition("@")[2]),
        "refused": _refused(tried, server),
        "checked": "" if tried.domain_dead else ", or did when it was sent",
        "day": local_day(tried.notice.notification.created_at, profile),
        "age": fmt.age(d.outcome_at or d.created_at, now),
        "next": when(d.due_at, now, profile),
        "since": local_day(suppression.created_at, profile) if suppression else "an earlier bounce",
        "waits": _waits(d),
        "by": f": {d.stage_reason}".rstrip(".") if d.stage_reason else "",
        "why": _why(tried),
        "text_why": TEXT_CAUSES.get(d.cls, TEXT_CAUSES["sms_other"]),
        "how": words.status(d, tried.events, profile.time_zone).lower(),
    }


def unsigned(tried: Tried) -> str:
    """What there is instead of a server's word; empty: a server's word is proven."""
    if not tried.unsigned:
        return ""
    if tried.matched_by:
        return f"{tried.matched_by} matched a report that bears no signature of ours"
    return "a report that bears no signature of ours says so"


def _refused(tried: Tried, server: str) -> str:
    if tried.address is not None and tried.address.finding.takes_mail is False:
        return f"{shown_domain(tried.domain)} takes no mail"
    return unsigned(tried) or f"{server} refused mail to it"


def _looked(case: Case, named: tuple[Check, ...]) -> str:
    """What we could find out ourselves where the record is not plainly at fault, or mended."""
    if named == (Check.DKIM,):
        identity = case.e.identity
        return identity.headline.rstrip(".") if identity else "DKIM could not be looked at just now"
    what = "DMARC" if Check.DMARC in named else "SPF"
    return f"how we stand with {what} could not be looked up just now"


_LOGIN = ("530", "534", "535", "538")


def trouble(tried: Tried) -> str:
    """What our way out did (RFC 4954 section 6 for the login); whoever answers has been reached."""
    wait = tried.last_wait
    if wait is not None and (wait.reply_code in _LOGIN or wait.reason is Reason.CONFIG):
        return "refuses our login"
    return "turns us away" if wait is not None and wait.reply_code else "cannot be reached"


def _waits(d: Delivery) -> str:
    """Why it does, behind when it leaves."""
    why = (d.stage_reason or "").rstrip(".")
    return f" ({why[:1].lower()}{why[1:]})" if why else ""


def _delay(tried: Tried, server: str) -> str:
    delayed = tried.delayed
    if delayed is None:
        return ""
    if delayed.cls not in words.BOUNCE_WORDS:
        return f", {server} has not taken it"
    return f" at {server}: {words.BOUNCE_WORDS[delayed.cls]}"


def _why(tried: Tried) -> str:
    d = tried.delivery
    if d.outcome is Outcome.FAILED and d.reason in words.REASON_WORDS:
        return f": {words.REASON_WORDS[d.reason]}"
    if d.outcome is Outcome.CANCELLED and d.diagnostic:
        return f": {d.diagnostic}".rstrip(".")
    wait = tried.last_wait
    if d.outcome is Outcome.EXPIRED and wait is not None and wait.cls in words.BOUNCE_WORDS:
        return f": {words.BOUNCE_WORDS[wait.cls]}"
    return ""


def _because(case: Case, about: Tried | None, profile: TenantProfile) -> str:
    """ "because October bounced", when it is known which invoice put the address on the list."""
    fact = about.address if about else next((a for a in case.usable if a.suppression), None)
    if fact is None or fact.suppression is None:
        return ""
    if complained(fact):
        return " because our mail was marked as spam"
    if fact.blamed is not None and (case.facts is None or fact.blamed.id != case.facts.invoice.id):
        return f" because {month(fact.blamed, profile)} bounced"
    return f" because mail to it bounced ({words.bounce_words(fact.suppression.reason)})"


def _company(case: Case, profile: TenantProfile) -> str:
    company = case.e.company
    if company is None or not company.subscribers:
        return ""
    others = "1 other" if company.subscribers == 1 else f"{company.subscribers} others"
    return f" ({others} in the same case since {local_day(company.since, profile)})"


def brief(case: Case, ruling: Ruling, profile: TenantProfile) -> str:
    """What became of this invoice, with the month as its subject."""
    cause = ruling.cause
    # The root may be a misspelling; what happened to this one is that it was not tried.
    if ruling.about is not None and ruling.about.delivery.outcome is Outcome.SUPPRESSED:
        by_mail = ruling.about.delivery.channel is Channel.EMAIL and cause is not Cause.COMPLAINED
        cause = Cause.SUPPRESSED if by_mail else cause
    return fill(TELLINGS[cause].brief, blanks_of(case, ruling, profile))
