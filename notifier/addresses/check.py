"""Whether an address can take mail at all, and what is worth knowing before mail goes there.

Asks DNS for the domain alone (MX, RFC 5321 section 5.1; null MX, RFC 7505); a mailbox is never probed. No
answer is UNKNOWN, never "invalid". Pure: an evaluator that yields questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from notifier.addresses.fields import FieldItem, parse_field, read_item
from notifier.addresses.mailboxes import Mailbox, mailbox_of
from notifier.addresses.report import AddressReport, AddressStatus, Finding, Gravity, Kind, Known, in_order
from notifier.addresses.scripts import looks_like, readable
from notifier.addresses.spelling import is_well_known, nearest, respelled
from notifier.mailauth import Resolver
from notifier.mailauth.answers import Steps
from notifier.mailauth.driver import drive
from notifier.mx import NO_DOMAIN, NO_SERVER, NULL_MX, Destination, MailHosts, destination_steps

NOTHING_KNOWN: Final = Known()
_ABSENT: Final = {
    NO_DOMAIN: AddressStatus.NO_DOMAIN,
    NULL_MX: AddressStatus.NULL_MX,
    NO_SERVER: AddressStatus.NO_MX,
}
_DEAD: Final[Mapping[AddressStatus, tuple[Kind, str, str]]] = {
    AddressStatus.NO_DOMAIN: (
        Kind.NO_DOMAIN,
        "The domain {domain} does not exist.",
        "Check what stands behind the @ sign.",
    ),
    AddressStatus.NULL_MX: (
        Kind.NULL_MX,
        "The domain {domain} says that it takes no mail at all.",
        "Ask for another address.",
    ),
    AddressStatus.NO_MX: (
        Kind.NO_MX,
        "The domain {domain} has no mail server, so nothing can arrive there.",
        "Check what stands behind the @ sign, or ask for another address.",
    ),
}
_MAILBOXES: Final[Mapping[Mailbox, tuple[Kind, Gravity, str, str]]] = {
    Mailbox.ROLE: (Kind.ROLE, Gravity.TELLS, "It is the mailbox of a role: several people may read it.", ""),
    Mailbox.NO_REPLY: (
        Kind.NO_REPLY,
        Gravity.WARNS,
        "By its name nobody reads this mailbox.",
        "Ask for an address that somebody reads.",
    ),
    Mailbox.PLACEHOLDER: (
        Kind.PLACEHOLDER,
        Gravity.WARNS,
        "It looks as if it was typed to fill the field.",
        "Ask for a real address, or leave the field empty.",
    ),
    Mailbox.DISPOSABLE: (
        Kind.DISPOSABLE,
        Gravity.WARNS,
        "{domain} gives mailboxes to throw away, which anybody may read.",
        "Ask for an address that lasts.",
    ),
}


async def check_address(address: str, resolver: Resolver, known: Known = NOTHING_KNOWN) -> AddressReport:
    """One address, as typed: it is repaired first where that is plain. The caller sets the time limit.

    At most three questions, six where a mistyped end of the domain makes a guess worth checking.
    """
    return await drive(check_steps(address, known), resolver)


async def check_field(
    text: str, resolver: Resolver, known: Mapping[str, Known] | None = None
) -> tuple[AddressReport, ...]:
    """Every address of a billing field, in order; `known` by normal address."""
    books = known or {}
    return tuple(
        [
            await drive(item_steps(item, books.get(item.address, NOTHING_KNOWN)), resolver)
            for item in parse_field(text)
        ]
    )


def check_steps(address: str, known: Known = NOTHING_KNOWN) -> Steps[AddressReport]:
    return (yield from item_steps(read_item(address), known))


def item_steps(item: FieldItem, known: Known = NOTHING_KNOWN) -> Steps[AddressReport]:
    """One item of a field that was read already."""
    if item.problem is not None:
        return _malformed(item)
    domain = item.address.rpartition("@")[2]
    found = yield from destination_steps(domain)
    takes_mail = None if found.kind is MailHosts.UNKNOWN else found.kind is MailHosts.FOUND
    meant = respelled(domain, takes_mail=takes_mail) or _passed_for(domain, takes_mail=takes_mail)
    if meant is not None and not is_well_known(meant):
        # A guess at a domain that we do not know: it has to take mail itself.
        there = yield from destination_steps(meant)
        meant = meant if there.kind is MailHosts.FOUND else None
    return _judged(item, found, takes_mail, meant, known)


def _passed_for(domain: str, *, takes_mail: bool | None) -> str | None:
    """The well-known domain that a dead one in look-alike letters was meant to be."""
    like = looks_like(readable(domain)) if takes_mail is False else None
    return like if like is not None and is_well_known(like) else None


def unanswered(address: str, known: Known = NOTHING_KNOWN) -> AddressReport:
    """What is known without DNS: the list of known misspellings, and what the address itself tells."""
    return unanswered_item(read_item(address), known)


def unanswered_item(item: FieldItem, known: Known = NOTHING_KNOWN) -> AddressReport:
    if item.problem is not None:
        return _malformed(item)
    meant = respelled(item.address.rpartition("@")[2], takes_mail=None)
    return _judged(item, Destination(MailHosts.UNKNOWN), None, meant, known)


def domain_steps(domain: str) -> Steps[AddressReport]:
    """A domain alone, as an import asks it: once for all that share it. The report is about `@domain`."""
    return (yield from item_steps(FieldItem(f"@{domain}", f"@{domain}")))


def domain_report(domain: str) -> AddressReport:
    """The same without DNS."""
    return unanswered_item(FieldItem(f"@{domain}", f"@{domain}"))


def _malformed(item: FieldItem) -> AddressReport:
    todo = "Ask for the address, letter by letter."
    if item.suggestion is not None:
        todo = f"It may be meant as {item.suggestion}. Ask."
    finding = Finding(Kind.MALFORMED, Gravity.BLOCKS, item.problem or "", todo, item.suggestion)
    return AddressReport(item.address, AddressStatus.MALFORMED, item.suggestion, False, (finding,))


def _judged(
    item: FieldItem, found: Destination, takes_mail: bool | None, meant: str | None, known: Known
) -> AddressReport:
    local, _, domain = item.address.rpartition("@")
    shown = readable(domain)
    if meant is not None:
        status, suggestion = AddressStatus.TYPO, f"{local}@{meant}"
    elif takes_mail is None:
        status, suggestion = AddressStatus.UNKNOWN, None
    else:
        status, suggestion = AddressStatus.OK if takes_mail else _ABSENT[found.why], None
    findings = [
        *_about_domain(status, found, shown, meant, suggestion, takes_mail),
        *_about_script(domain, shown),
        *_about_mailbox(local, domain),
        *_about_books(known),
    ]
    if item.repairs:
        done = "; ".join(item.repairs)
        findings.append(Finding(Kind.REPAIRED, Gravity.TELLS, f"It was repaired: {done}."))
    return AddressReport(
        item.address, status, suggestion, takes_mail, in_order(findings), shown if shown != domain else ""
    )


def _about_domain(
    status: AddressStatus,
    found: Destination,
    shown: str,
    meant: str | None,
    suggestion: str | None,
    takes_mail: bool | None,
) -> list[Finding]:
    if meant is not None:
        danger = {
            True: "; mail to it arrives, at a stranger's",
            False: ", and nothing can arrive there",
            None: "",
        }
        said = f"{shown} looks like a slip for {meant}{danger[takes_mail]}."
        gravity = Gravity.BLOCKS if takes_mail is False else Gravity.WARNS
        return [Finding(Kind.TYPO, gravity, said, f"Ask whether {meant} is meant.", suggestion)]
    if status in _DEAD:
        kind, sentence, todo = _DEAD[status]
        return [Finding(kind, Gravity.BLOCKS, sentence.format(domain=shown), todo)]
    if status is AddressStatus.UNKNOWN:
        said = f"DNS gave no answer about {shown}, so nobody knows yet."
        return [Finding(Kind.UNKNOWN, Gravity.TELLS, said, "Check again in a few minutes.")]
    if found.implicit:
        said = f"{shown} names no mail server: mail goes to the domain's own address, which may not take it."
        return [Finding(Kind.NO_MX_BUT_HOST, Gravity.TELLS, said)]
    return []


def _about_script(domain: str, shown: str) -> list[Finding]:
    if shown == domain:
        return []
    like = looks_like(shown)
    if like is not None:
        said = f"{shown} ({domain}) is written in letters that look like others"
        said += f": it is not {like}." if like != shown else "."
        return [Finding(Kind.LOOKALIKE, Gravity.WARNS, said, "Ask the customer to spell it.")]
    return [Finding(Kind.INTERNATIONAL, Gravity.TELLS, f"{shown} is {domain} on the wire.")]


def mailbox_kind(local: str, domain: str) -> Kind | None:
    """What the name of a mailbox tells, of `local` and `domain` in lower case."""
    row = _MAILBOXES.get(mailbox_of(local, domain))
    return row[0] if row else None


def _about_mailbox(local: str, domain: str) -> list[Finding]:
    row = _MAILBOXES.get(mailbox_of(local, domain))
    if row is None:
        return []
    kind, gravity, sentence, todo = row
    return [Finding(kind, gravity, sentence.format(domain=domain), todo)]


def _about_books(known: Known) -> list[Finding]:
    found: list[Finding] = []
    if known.suppressed_since is not None:
        why = f", because {known.suppressed_for}" if known.suppressed_for else ""
        said = f"It is on our do-not-send list since {_day(known.suppressed_since)}{why}."
        todo = "Nothing is sent there until a lead releases it."
        found.append(Finding(Kind.SUPPRESSED, Gravity.WARNS, said, todo))
    if known.others:
        several = "account uses" if known.others == 1 else "accounts use"
        said = f"{known.others:,} other {several} this address too."
        found.append(Finding(Kind.SHARED, Gravity.TELLS, said, "Make sure that it is this customer's."))
    return found


def _day(moment: datetime) -> str:
    return f"{moment:%B} {moment.day}, {moment.year}"


__all__ = [
    "check_address",
    "check_field",
    "check_steps",
    "domain_report",
    "domain_steps",
    "item_steps",
    "mailbox_kind",
    "nearest",
    "unanswered",
]
