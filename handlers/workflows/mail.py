"""Reads how our mail is doing: routes, who refuses us, our domains, bounces of the last days."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID

from handlers.contract import Services
from handlers.domain_words import dkim_kind
from handlers.mail_health import DAYS, MailData, Refuser, SendingDomain, trend
from handlers.profile import TenantProfile
from notifier.mx import destination
from notifier.oncall import About, kind_of, parse
from notifier.operators import operator_of, operator_of_domain
from store.models import DomainRecord, Incident
from store.unit import Tx

LATELY = timedelta(days=1)
MOST_ASKED = 20
"""Domains whose MX is asked for to name their operator; the rest go by their own names."""
PATIENCE_S = 2.0
"""Names are a comfort: without an answer by then a domain goes by its own."""


async def load(services: Services, tenant: int) -> MailData:
    profile = services.profile(tenant)
    async with services.store.read(tenant) as tx:
        routes = await tx.mail_health.routes([route.name for route in profile.routes], tx.now - LATELY)
        unresolved = [i for i in await tx.incidents.unresolved() if kind_of(i.cause).about is not About.OTHER]
        people = await tx.incidents.people([i.id for i in unresolved])
        ways = await tx.mail_health.routes_of([i.id for i in unresolved])
        records = await tx.domain_records.all()
        days, edges = _days(tx, profile)
        bounces = await tx.mail_health.bounces(edges)
        now = tx.now
    theirs = [i for i in unresolved if kind_of(i.cause).about is About.OPERATOR]
    busiest = sorted(bounces, key=lambda b: -b.count)
    names = await _names(services, [*(parse(i.cause).about for i in theirs), *(b.domain for b in busiest)])
    texts = profile.sms.route.name if profile.sms else ""
    ours = (
        i
        for i in unresolved
        if kind_of(i.cause).about in (About.ENVELOPE, About.ROUTE) and parse(i.cause).about != texts
    )
    return MailData(
        routes=routes,
        refusers=_refusers(theirs, people, ways, names),
        ours=tuple(ours),
        domains=sending_domains(profile, records),
        trend=trend(days, bounces, lambda domain: names.get(domain) or operator_of(domain)),
        now=now,
    )


def _days(tx: Tx, profile: TenantProfile) -> tuple[list[date], list[datetime]]:
    """The last DAYS days in the provider's zone, and when each began."""
    zone = profile.time_zone
    today = tx.now.astimezone(zone).date()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    return days, [datetime.combine(day, time.min, zone) for day in days]


async def _names(services: Services, domains: Iterable[str]) -> dict[str, str]:
    """Domain -> who runs its mail, by its MX; what DNS does not say in time goes by its own name."""
    wanted = [d for d in dict.fromkeys(domains) if "." in d][:MOST_ASKED]
    tasks = {d: asyncio.create_task(destination(services.resolver, d)) for d in wanted}
    if tasks:
        await asyncio.wait(tasks.values(), timeout=PATIENCE_S)
    names: dict[str, str] = {}
    for domain, task in tasks.items():
        if task.done():
            names[domain] = operator_of_domain(domain, task.result().hosts)
        else:
            task.cancel()
    return names


def _refusers(
    incidents: Sequence[Incident],
    people: Mapping[UUID, int],
    ways: Mapping[UUID, Sequence[str]],
    names: Mapping[str, str],
) -> tuple[Refuser, ...]:
    """One for each operator and cause: a company's own domain counts for whoever runs its mail."""
    groups: dict[tuple[str, str], list[Incident]] = defaultdict(list)
    for incident in incidents:
        cause = parse(incident.cause)
        operator = names.get(cause.about) or operator_of(cause.about)
        groups[operator, cause.name].append(incident)
    found = [
        Refuser(
            operator=operator,
            cause=cause,
            routes=tuple(sorted({route for i in group for route in ways.get(i.id, ())})),
            since=min(i.first_at for i in group),
            mails=sum(i.count for i in group),
            people=sum(people.get(i.id, 0) for i in group),
            incident_id=max(group, key=lambda i: i.count).id,
        )
        for (operator, cause), group in groups.items()
    ]
    return tuple(sorted(found, key=lambda r: (-r.mails, r.operator)))


def sending_domains(profile: TenantProfile, records: Sequence[DomainRecord]) -> tuple[SendingDomain, ...]:
    """The domains that this provider's mail bears, with what each is for and which records matter to that."""
    uses: dict[str, list[str]] = defaultdict(list)
    kinds: dict[str, list[str]] = defaultdict(list)
    facts = [route.sender_facts for route in profile.routes]
    for domain in dict.fromkeys(one.envelope_domain for one in facts):
        routes = " and ".join(one.route for one in facts if one.envelope_domain == domain)
        uses[domain].append(f"envelope of {routes}")
        kinds[domain] += ["spf", "mx"]
    for one in facts:
        uses[one.from_domain].append("From")
        kinds[one.from_domain] += ["dmarc", "mx"]
        if one.signs is not None:
            uses[one.signs.domain].append("DKIM")
            kinds[one.signs.domain].append(dkim_kind(one.signs.selector))
    return tuple(
        SendingDomain(
            domain=domain,
            uses=tuple(dict.fromkeys(what)),
            records=tuple(record for record in records if record.domain == domain),
            wanted=tuple(dict.fromkeys(kinds[domain])),
        )
        for domain, what in uses.items()
    )
