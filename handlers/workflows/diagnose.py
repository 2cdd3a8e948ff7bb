"""Gathering what a diagnosis needs: the database in one read transaction, then DNS, outside of it.

DNS questions run side by side under one time limit; whatever is not answered by then is "unknown", never
"wrong". The whole takes about two seconds at worst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from billing import holds
from handlers.cards import KnownIncident, is_overdue
from handlers.contacts import billing_has
from handlers.contract import Services
from handlers.diagnosis import (
    AddressFact,
    Company,
    Diagnosis,
    Evidence,
    InvoiceFacts,
    PhoneFact,
    SpfFact,
    SpfState,
    diagnose,
)
from handlers.diagnosis.case import Case
from handlers.diagnosis.known import operators_of
from handlers.diagnosis.rules import rule_on
from handlers.profile import TenantProfile
from handlers.workflows.lookup import payer_of
from handlers.workflows.profile_card import page_of_notices
from notifier.addresses import check_address, unanswered
from notifier.channels import Route
from notifier.mailauth import Required, Resolver, SpfResult, lint_spf
from notifier.mailauth.identity import sending_identity
from notifier.mx import Destination, MailHosts, destination
from store.consents import Consent
from store.models import (
    Channel,
    ConsentState,
    ContactRole,
    Invoice,
    Point,
    Subscriber,
    Suppression,
)
from store.unit import Tx

T = TypeVar("T")
U = TypeVar("U")
DNS_LIMIT_S = 1.5
STORY = 3
LOOKED_AT = 24
"""Invoices among which those past due are counted."""
MOST_ASKED = 20
"""Addresses of one field that DNS is asked about; of the rest it says that they were not looked up."""
NOTICES = 40
"""Messages looked at: far more than three invoices ever have."""
COMPANY = timedelta(days=30)
_SHARED_CLASSES = ("blocked_reputation", "blocked_auth", "spam_content")


async def examine(
    services: Services, tenant: int, subscriber: Subscriber, asked: Invoice | None
) -> Diagnosis:
    """`asked`: the invoice that was named; None is the account, with its last three as one story."""
    profile = services.profile(tenant)
    async with services.store.read(tenant) as tx:
        evidence = await _evidence(tx, profile, subscriber, asked)
    return diagnose(await _ask_dns(services.resolver, profile, evidence), profile)


async def _evidence(
    tx: Tx, profile: TenantProfile, subscriber: Subscriber, asked: Invoice | None
) -> Evidence:
    payer = await payer_of(tx, subscriber)
    points = (await tx.subscribers.points([payer.id]))[payer.id]
    latest = await tx.invoices.latest(subscriber.id, LOOKED_AT)
    invoices = [asked] if asked is not None else latest[:STORY]
    today = tx.now.astimezone(profile.time_zone).date()
    facts = await _invoice_facts(tx, invoices)
    route = profile.route()
    evidence = Evidence(
        subscriber=subscriber,
        payer=payer,
        addresses=await _addresses(tx, payer, points),
        phones=await _phones(tx, points),
        invoices=facts,
        asked=asked,
        draft=None if invoices else await tx.invoices.draft_of(subscriber.id),
        packages=tuple(await tx.packages.of_subscriber(subscriber.id)),
        holds=await holds.touching(tx, subscriber),
        spf=None,
        company=None,
        incidents=await _unresolved(tx),
        caught=await _caught(tx, facts),
        route=route.name,
        relays=frozenset(r.name for r in profile.routes if r.kind == "relay"),
        other_route=profile.remote_route if profile.remote_route != route.name else None,
        send_mode=profile.send_mode,
        texts=profile.sms is not None,
        now=tx.now,
        today=today,
        newest=latest[0].id if latest else None,
        late=sum(is_overdue(invoice, today) for invoice in latest),
    )
    by = _route_taken(profile, evidence) or route
    other = profile.remote_route if profile.remote_route != by.name else None
    evidence = replace(evidence, route=by.name, other_route=other)
    return replace(evidence, company=await _company(tx, evidence), reports=await _reports(tx, evidence))


def _route_taken(profile: TenantProfile, evidence: Evidence) -> Route | None:
    """By which the deciding mail went; None: nothing was mailed, or that route is no longer there."""
    decider = Case(evidence, evidence.invoices[0] if evidence.invoices else None).decider
    name = decider.delivery.route if decider is not None else ""
    return next((route for route in profile.routes if route.name == name), None)


async def _unresolved(tx: Tx) -> tuple[KnownIncident, ...]:
    """Which of them concerns the recipient is known once DNS has said who runs their mail."""
    found = await tx.incidents.unresolved()
    people = await tx.incidents.people([incident.id for incident in found])
    return tuple(KnownIncident(incident, people[incident.id]) for incident in found)


async def _caught(tx: Tx, facts: Sequence[InvoiceFacts]) -> frozenset[UUID]:
    ids = [d.id for notice in (facts[0].notices if facts else ()) for d in notice.deliveries]
    return frozenset(incident.id for incident in (await tx.incidents.of_deliveries(ids)).values())


async def _reports(tx: Tx, evidence: Evidence) -> Mapping[str, datetime]:
    """About the addresses on file and those that were mailed."""
    newest = evidence.invoices[0].notices if evidence.invoices else ()
    mailed = [d.address for n in newest for d in n.deliveries if d.channel is Channel.EMAIL]
    return await tx.orphans.waiting_about([*(a.point.address for a in evidence.addresses), *mailed])


async def _invoice_facts(tx: Tx, invoices: Sequence[Invoice]) -> tuple[InvoiceFacts, ...]:
    found: list[InvoiceFacts] = []
    owners = list({invoice.subscriber_id for invoice in invoices})
    left_out = [e for pairs in (await tx.runs.exclusions_of(owners)).values() for _, e in pairs]
    for invoice in invoices:
        notices, _ = await page_of_notices(tx, invoice_id=invoice.id, limit=NOTICES)
        exclusion = next((e for e in left_out if e.invoice_id == invoice.id), None)
        found.append(InvoiceFacts(invoice, tuple(notices), exclusion))
    return tuple(found)


def billing_points(points: Sequence[Point], channel: Channel) -> list[Point]:
    """Those that invoices go to: billing contacts, else service contacts, in their order."""
    for role in (ContactRole.BILLING, ContactRole.SERVICE):
        found = [p for p in points if p.channel is channel and p.role is role]
        if found:
            return sorted(found, key=lambda p: p.position)
    return []


async def _addresses(tx: Tx, payer: Subscriber, points: Sequence[Point]) -> tuple[AddressFact, ...]:
    mine = billing_points(points, Channel.EMAIL)
    suppressed = await tx.suppressions.active([(Channel.EMAIL, p.address) for p in mine])
    blamed = await _blamed(tx, list(suppressed.values()))
    overrides = (await tx.overrides.active([payer.id])).get(payer.id, [])
    sharing = await tx.subscribers.sharing(Channel.EMAIL, [p.address for p in mine], other_than=payer.id)
    # Before DNS has answered: what is known without it.
    return tuple(
        AddressFact(
            point=p,
            finding=unanswered(p.address),
            suppression=(suppression := suppressed.get((Channel.EMAIL, p.address))),
            blamed=blamed.get(suppression.delivery_id) if suppression and suppression.delivery_id else None,
            override=next((o for o in reversed(overrides) if o.new_address == p.address), None),
            billing=billing_has(overrides, p.address),
            others=sharing.get(p.address, 0),
        )
        for p in mine
    )


async def _blamed(tx: Tx, suppressions: Sequence[Suppression]) -> Mapping[UUID, Invoice]:
    """delivery id -> the invoice that it carried."""
    deliveries = await tx.deliveries.get_many([s.delivery_id for s in suppressions if s.delivery_id])
    notifications = await tx.notifications.get_many([d.notification_id for d in deliveries.values()])
    ids = [n.invoice_id for n in notifications.values() if n.invoice_id]
    invoices = await tx.invoices.by_ids(ids)
    found: dict[UUID, Invoice] = {}
    for delivery in deliveries.values():
        notification = notifications.get(delivery.notification_id)
        if notification is not None and notification.invoice_id in invoices:
            found[delivery.id] = invoices[notification.invoice_id]
    return found


async def _phones(tx: Tx, points: Sequence[Point]) -> tuple[PhoneFact, ...]:
    mine = [p for p in points if p.channel is Channel.SMS]
    unique = list({p.address: p for p in reversed(mine)}.values())[::-1]
    keys = [(Channel.SMS, p.address) for p in unique]
    consents = await tx.consents.current(keys)
    suppressed = await tx.suppressions.active(keys)
    return tuple(
        PhoneFact(p, withdrawn(consents.get(key)), suppressed.get(key))
        for p, key in zip(unique, keys, strict=True)
    )


def withdrawn(consent: Consent | None) -> datetime | None:
    """Since when texts are not wanted; None when they are, or nothing was ever said."""
    return consent.at if consent is not None and consent.state is ConsentState.WITHDRAWN else None


async def _company(tx: Tx, evidence: Evidence) -> Company | None:
    """How many others the same operator refuses for the same reason of ours."""
    if not evidence.invoices:
        return None
    about = rule_on(Case(evidence, evidence.invoices[0])).about
    if about is None or about.delivery.cls not in _SHARED_CLASSES:
        return None
    others, first = await tx.deliveries.in_the_same_case(
        about.delivery.cls,
        about.domain,
        since=tx.now - COMPANY,
        other_than=about.delivery.subscriber_id,
    )
    return Company(others, first) if others and first is not None else None


async def _ask_dns(resolver: Resolver, profile: TenantProfile, evidence: Evidence) -> Evidence:
    """Everything side by side; what is not answered within the limit is unknown."""
    usable = [a.point.address for a in evidence.addresses if a.point.problem is None][:MOST_ASKED]
    domains = sorted({address.rpartition("@")[2] for address in usable})
    route = profile.route(evidence.route)
    checks = [_in_time(check_address(address, resolver), unanswered(address)) for address in usable]
    servers = [_in_time(destination(resolver, domain), _NOT_KNOWN) for domain in domains]
    findings, hosts, spf, identity = await asyncio.gather(
        asyncio.gather(*checks),
        asyncio.gather(*servers),
        spf_of(resolver, profile, route),
        _in_time(sending_identity(route.sender_facts, resolver=resolver), None),
    )
    of = dict(zip(usable, findings, strict=True))
    return replace(
        evidence,
        addresses=tuple(
            replace(fact, finding=of.get(fact.point.address, fact.finding)) for fact in evidence.addresses
        ),
        spf=spf,
        identity=identity,
        operators=frozenset().union(
            *(operators_of(domain, found.hosts) for domain, found in zip(domains, hosts, strict=True))
        ),
    )


_NOT_KNOWN = Destination(MailHosts.UNKNOWN)


async def _in_time(work: Coroutine[Any, Any, T], otherwise: U) -> T | U:
    try:
        async with asyncio.timeout(DNS_LIMIT_S):
            return await work
    except TimeoutError:
        return otherwise


async def spf_of(resolver: Resolver, profile: TenantProfile, route: Route) -> SpfFact:
    """Whether the route may send for its envelope domain: its addresses pass, else the include is there."""
    domain = route.envelope_domain
    unknown = SpfFact(domain, SpfState.UNKNOWN)

    async def look() -> SpfFact:
        report = await lint_spf(
            domain,
            resolver=resolver,
            required_include=profile.required_include,
            sending_ips=route.egress_ips,
            time_limit=DNS_LIMIT_S,
        )
        if report.unavailable and report.record is None:
            return unknown
        results = [check.result for _, check in report.checks]
        if results:
            if SpfResult.TEMPERROR in results:
                return unknown
            right = all(result is SpfResult.PASS for result in results)
        else:
            if report.required is Required.UNKNOWN:
                return unknown
            right = report.required in (Required.DIRECT, Required.NESTED) and not report.errors
        return SpfFact(domain, SpfState.RIGHT if right else SpfState.WRONG)

    return await _in_time(look(), unknown)


__all__ = ["billing_points", "examine", "spf_of", "withdrawn"]
