"""Why an invoice did not arrive: evidence in, a verdict out that never blames without proof. Pure.

`diagnose` rules on the newest invoice (or the one asked for) by the tables of handlers.diagnosis.rules, tells
the last three as one story, and offers what can be done next. docs/diagnosis.md is held to these tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from handlers.diagnosis.case import Case, Tried
from handlers.diagnosis.causes import Act, Cause, Certainty, Telling
from handlers.diagnosis.evidence import (
    AddressFact,
    Company,
    Evidence,
    InvoiceFacts,
    PhoneFact,
    SpfFact,
)
from handlers.diagnosis.lines import Line, Mark, Step, lines_of
from handlers.diagnosis.rules import Ruling, named_checks, rule_on
from handlers.diagnosis.telling import blanks_of, brief, fill, month
from handlers.diagnosis.tellings import TELLINGS, UNPROVEN
from handlers.profile import TenantProfile
from handlers.spf_look import SpfState
from store.addresses import MAX_ADDRESS
from store.models import Invoice, InvoiceStatus


@dataclass(frozen=True, slots=True)
class Diagnosis:
    evidence: Evidence
    cause: Cause
    rule: str
    """The name of the rule that decided."""
    certainty: Certainty
    headline: str
    proof: str
    lines: tuple[Line, ...]
    story: str
    """The last invoices, oldest first, in one sentence; empty when one was asked for."""
    told: tuple[tuple[str, str], ...]
    """(invoice, what became of it), newest first."""
    customer: str
    """One sentence or two to say to the customer."""
    acts: tuple[Act, ...]
    """What can be done next, the best first; only what is possible."""
    invoice: Invoice | None
    about: Tried | None
    """The attempt that decided."""
    mend: AddressFact | None
    """The address to mend; None: there is none, one can be added."""
    resend_to: str | None
    """The only address that has not got it; None: it is resent to all on file."""
    release: AddressFact | None
    """The address that may be taken off the do-not-send list."""


def diagnose(evidence: Evidence, profile: TenantProfile) -> Diagnosis:
    facts = evidence.invoices[0] if evidence.invoices else None
    case = Case(evidence, facts)
    ruling = rule_on(case)
    telling, blanks = TELLINGS[ruling.cause], blanks_of(case, ruling, profile)
    proof, customer = _words(telling, ruling)
    mend = _to_mend(case, ruling)
    release = next((a for a in evidence.addresses if a.suppression is not None), None)
    return Diagnosis(
        evidence=evidence,
        cause=ruling.cause,
        rule=ruling.rule,
        certainty=_certainty(telling, ruling),
        headline=fill(telling.headline, blanks),
        proof=fill(proof, blanks),
        lines=lines_of(case, profile),
        story=_story(evidence, profile),
        told=_told(evidence, profile),
        customer=fill(customer, blanks),
        acts=tuple(act for act in (*_wanted(telling, mend), *ALWAYS) if _POSSIBLE[act](case, mend, release)),
        invoice=facts.invoice if facts else None,
        about=ruling.about,
        mend=mend,
        resend_to=_resend_to(case, ruling),
        release=release,
    )


def _certainty(telling: Telling, ruling: Ruling) -> Certainty:
    """What nobody signed is never certain, nor is the one of our sender checks that no server has named."""
    about = ruling.about
    unsigned = about is not None and about.unsigned
    unnamed = about is not None and ruling.cause is Cause.SPF_WRONG and not named_checks(about)
    return (
        Certainty.LIKELY
        if (unsigned or unnamed) and telling.certainty is Certainty.CERTAIN
        else telling.certainty
    )


def _words(telling: Telling, ruling: Ruling) -> tuple[str, str]:
    """(proof, what to say): nothing is put into a server's mouth that a report without a signature says."""
    about, on_a_server_s_word = ruling.about, telling.proof.startswith("{said_so}")
    if about is None or not about.unsigned:
        return telling.proof, telling.customer
    if ruling.cause is Cause.SOME_FAILED:
        return "{said_so}", UNPROVEN
    return telling.proof, UNPROVEN if on_a_server_s_word else telling.customer


def _wanted(telling: Telling, mend: AddressFact | None) -> tuple[Act, ...]:
    """A misspelling is worth mending whatever became of this one mail."""
    if mend is None or mend.finding.suggestion is None:
        return telling.acts
    acts = telling.acts if Act.MEND in telling.acts else (Act.MEND, *telling.acts)
    # Whoever has the subscriber on the line mends it at once; who has not, asks by text.
    return (*acts[:_ASK_AT], Act.ASK, *acts[_ASK_AT:])


def _to_mend(case: Case, ruling: Ruling) -> AddressFact | None:
    """The address that failed, else the one with a problem, else the first."""
    if case.slip_on_file is not None:
        return case.slip_on_file
    if ruling.about is not None and ruling.about.address is not None:
        return ruling.about.address
    wrong = (a for a in case.e.addresses if a.suppression or a.finding.suggestion or a.point.problem)
    return next(wrong, next(iter(case.e.addresses), None))


def _resend_to(case: Case, ruling: Ruling) -> str | None:
    new = case.mended_in_part if ruling.cause is Cause.ONE_MENDED else ()
    return new[0].point.address if len(new) == 1 and len(new[0].point.address) <= MAX_ADDRESS else None


ALWAYS = (Act.TRIAL, Act.ESCALATE)
"""Offered last, whatever the cause."""
_ASK_AT = 2
"""Behind the first two, so that it is among the three that are seen first."""
_NEVER_SENT = (InvoiceStatus.VOID, InvoiceStatus.DRAFT, InvoiceStatus.UNCOLLECTIBLE)


def _sendable(case: Case) -> bool:
    return case.facts is not None and case.facts.invoice.status not in _NEVER_SENT


_POSSIBLE: dict[Act, Callable[[Case, AddressFact | None, AddressFact | None], bool]] = {
    Act.MEND: lambda _, __, ___: True,
    Act.ASK: lambda c, mend, _: bool(c.textable) and mend is not None,
    Act.RESEND: lambda c, _, __: _sendable(c) and any(a.suppression is None for a in c.usable),
    Act.TEXT: lambda c, _, __: _sendable(c) and bool(c.textable),
    Act.OTHER_ADDRESS: lambda c, _, __: _sendable(c),
    Act.SPF: lambda c, _, __: True,
    Act.RELEASE: lambda _, __, release: release is not None and len(release.point.address) <= MAX_ADDRESS,
    Act.OTHER_SERVER: lambda c, _, __: _sendable(c) and c.e.other_route is not None and bool(c.usable),
    Act.TRIAL: lambda c, _, __: c.e.other_route is not None,
    Act.ESCALATE: lambda _, __, ___: True,
    Act.LOG: lambda c, _, __: bool(c.facts and c.facts.notices),
    Act.PAYER: lambda c, _, __: c.e.payer.id != c.e.subscriber.id,
}


def _story(evidence: Evidence, profile: TenantProfile) -> str:
    """ "October bounced; November was not tried because October bounced." """
    if evidence.asked is not None or len(evidence.invoices) < 2:
        return ""
    months = Counter(month(f.invoice, profile) for f in evidence.invoices)
    told = []
    for facts in reversed(evidence.invoices):
        case = Case(evidence, facts)
        name = month(facts.invoice, profile)
        named = f"{name} ({facts.invoice.number})" if months[name] > 1 else name
        told.append(f"{named} {brief(case, rule_on(case), profile)}")
    return "; ".join(told) + "."


def _told(evidence: Evidence, profile: TenantProfile) -> tuple[tuple[str, str], ...]:
    """By month and number: a name that stays the same, whichever invoices stand beside it."""
    cases = [Case(evidence, facts) for facts in evidence.invoices]
    names = (f"{month(f.invoice, profile)} ({f.invoice.number})" for f in evidence.invoices)
    return tuple((name, brief(case, rule_on(case), profile)) for name, case in zip(names, cases, strict=True))


__all__ = [
    "TELLINGS",
    "Act",
    "AddressFact",
    "Cause",
    "Certainty",
    "Company",
    "Diagnosis",
    "Evidence",
    "InvoiceFacts",
    "Line",
    "Mark",
    "PhoneFact",
    "SpfFact",
    "SpfState",
    "Step",
    "Telling",
    "diagnose",
]
