"""Which unresolved incident concerns this recipient: it caught this mail, or it is at their operator or on
our way there. Pure.
"""

from __future__ import annotations

from collections.abc import Collection

from handlers.cards import KnownIncident
from handlers.diagnosis.case import Case
from handlers.incident_words import when
from handlers.profile import TenantProfile
from notifier.oncall import About, Urgent, kind_of, organisation, parse
from store.models import Channel, InvoiceStatus, Outcome


def operators_of(domain: str, hosts: tuple[str, ...]) -> frozenset[str]:
    """Who runs the mail of `domain`: itself, and the organisation of its best mail server.

    As notifier.oncall names them: companies have addresses at their own domain and mail at an operator's.
    """
    found = {domain}
    if hosts and hosts[0] != domain and not hosts[0].endswith(f".{domain}"):
        found.add(organisation(hosts[0]))
    return frozenset(found)


def known_to(case: Case) -> KnownIncident | None:
    """The gravest one: it caught a delivery of this invoice, else at the operator, else on our way out."""
    caught = [k for k in case.e.incidents if k.incident.id in case.e.caught]
    there = [k for k in case.e.incidents if _is_about(k, About.OPERATOR, case.e.operators)]
    # Of what recipients make of our envelope domain the SPF record tells, for each of them anew.
    down = (k for k in case.e.incidents if kind_of(k.incident.cause).urgent in _NOTHING_PASSES)
    way = [k for k in down if _is_about(k, About.ROUTE, {case.e.route})] if _may_leave(case) else []
    return next(iter((*caught, *there, *way)), None)


_NOTHING_PASSES = (Urgent.AT_ONCE, Urgent.STUCK)


def _may_leave(case: Case) -> bool:
    """A mail that has not gone: what has left has no part in a way out that is down since."""
    decider = case.decider
    if decider is None:
        return bool(case.usable) and case.invoice_is(InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID)
    return decider.delivery.channel is Channel.EMAIL and decider.delivery.outcome is Outcome.NONE


def _is_about(known: KnownIncident, about: About, whom: Collection[str]) -> bool:
    return kind_of(known.incident.cause).about is about and parse(known.incident.cause).about in whom


def known_words(known: KnownIncident, case: Case, profile: TenantProfile) -> str:
    """ "outlook.com refuses our mail server since 1:02 PM, 41 mails of 38 subscribers; ..."."""
    incident = known.incident
    since = when(incident.first_at, profile, case.e.now)
    mails = f"{incident.count:,} message{'s' if incident.count != 1 else ''}"
    people = f" of {known.people:,} subscriber{'s' if known.people != 1 else ''}" if known.people else ""
    mine = incident.id in case.e.caught
    tail = "this one among them" if mine else "nothing of this invoice so far"
    return f"{incident.title}, since {since}: {mails}{people}, {tail}"


__all__ = ["known_to", "known_words", "operators_of"]
