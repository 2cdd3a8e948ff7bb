"""The rehearsal of an invoice run: what it would do now, batch by batch, with nothing written."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from handlers.contract import Services
from handlers.profile import TenantProfile
from handlers.run_anomalies import ONE_ADDRESS, Figures, anomalies
from handlers.runs import Criteria, LeftOut, Notice, Rehearsal, What
from handlers.workflows.invoices import invoice_context
from handlers.workflows.run_audience import BATCH, Decided, audience, decide
from notifier.estimate import LONG_CODE, PER_CONNECTION, Ceiling, Estimate, estimate
from notifier.limits import NONE, rate_words
from notifier.links import CODE_LENGTH
from notifier.local_time import zones_of
from notifier.quiet import next_opening
from notifier.sms_text import count_segments
from notifier.templates import render_sms
from store.models import Channel, InvoiceStatus
from store.run_checks import Scope
from store.unit import Tx

_EXAMPLES = 5
_MOST_DOMAINS = 2000
_NOT_ASKED = (InvoiceStatus.DRAFT, InvoiceStatus.VOID)
_STALE = ("no_address", "unusable", "suppressed")
_PRICED = 500
"""Texts whose segments are counted one by one; those beyond cost what these do on average."""


async def rehearse(services: Services, tenant: int, criteria: Criteria) -> Rehearsal:
    """What a run would do now; nothing is written."""
    profile = services.profile(tenant)
    tally = _Tally(profile, criteria)
    async for decided in _batches(services, tenant, criteria):
        for one in decided:
            tally.add(one, services)
        addresses = sorted({r.address for d in decided if isinstance(d, Notice) for r in d.recipients})
        async with services.store.read(tenant) as tx:
            tally.arrived(len(addresses), len(await tx.run_checks.proven(addresses)))
    made = tally.rehearsal()
    if criteria.what is What.INVOICE:
        return made
    async with services.store.read(tenant) as tx:
        figures = await _compared(tx, criteria, made.figures)
        last = await tx.run_checks.last_of(criteria.kind)
    before = Figures.from_json(last.rehearsal.get("figures", {})) if last is not None else None
    return replace(made, figures=figures, anomalies=anomalies(figures, before))


async def _compared(tx: Tx, criteria: Criteria, figures: Figures) -> Figures:
    """With what only the database can tell of the whole audience."""
    if criteria.what is What.ISSUED:
        scope = Scope(criteria.since or criteria.today, criteria.today)
    else:
        scope = Scope(*criteria.due, owed=True)
    checks = tx.run_checks
    return replace(
        figures,
        shared=tuple(await checks.shared(scope, ONE_ADDRESS)),
        same_pdf=tuple(await checks.same_pdf(scope)),
        alike=tuple(await checks.alike(scope)),
    )


async def who(
    services: Services, tenant: int, criteria: Criteria, reason: str, *, offset: int, limit: int
) -> list[LeftOut]:
    """Those whom a run would leave out for this reason."""
    found: list[LeftOut] = []
    async for decided in _each(services, tenant, criteria):
        if isinstance(decided, LeftOut) and decided.reason == reason:
            found.append(decided)
            if len(found) >= offset + limit:
                break
    return found[offset:]


async def _each(services: Services, tenant: int, criteria: Criteria) -> AsyncIterator[Decided]:
    """The whole audience, decided."""
    async for decided in _batches(services, tenant, criteria):
        for one in decided:
            yield one


async def _batches(services: Services, tenant: int, criteria: Criteria) -> AsyncIterator[list[Decided]]:
    """Each in a reading transaction of its own."""
    profile = services.profile(tenant)
    after = ""
    while True:
        async with services.store.read(tenant) as tx:
            invoices = await audience(tx, criteria, after)
            decided = await decide(tx, profile, criteria, invoices, None)
        yield decided
        if len(invoices) < BATCH:
            return
        after = invoices[-1].number


class _Tally:
    """Counts a rehearsal."""

    def __init__(self, profile: TenantProfile, criteria: Criteria) -> None:
        self._profile, self._made = profile, Rehearsal(criteria)
        self._left_out: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}
        self._texts: list[int] = []
        self._fallbacks: list[int] = []
        self._domains: Counter[str] = Counter()
        self._languages: set[str] = set()
        self._zero, self._zeros, self._unproven, self._addresses = 0, list[str](), 0, 0

    def arrived(self, addresses: int, proven: int) -> None:
        """Of one batch: how many addresses are written to, and where something has arrived before."""
        self._addresses += addresses
        self._unproven += addresses - proven

    def add(self, decided: Decided, services: Services) -> None:
        if not decided.invoice.total.minor and decided.invoice.status not in _NOT_ASKED:
            self._zero += 1
            self._zeros += [decided.invoice.number] if len(self._zeros) < _EXAMPLES else []
        if isinstance(decided, LeftOut):
            self._left_out[decided.reason] = self._left_out.get(decided.reason, 0) + 1
            examples = self._examples.setdefault(decided.reason, [])
            if len(examples) < _EXAMPLES:
                examples.append(decided.owner.account)
            return
        made = self._made
        self._languages.add(decided.payer.language)
        if decided.recipients[0].channel is Channel.SMS:
            self._count(self._texts, decided)
            waits = self._waits(decided, services)
            self._made = replace(made, by_text=made.by_text + 1, waiting=made.waiting + waits)
            return
        self._domains.update(r.address.rpartition("@")[2] for r in decided.recipients)
        if len(self._domains) > _MOST_DOMAINS:  # the rare ones decide nothing, and memory stays flat
            self._domains = Counter(dict(self._domains.most_common(_MOST_DOMAINS // 2)))
        if decided.fallback:
            self._count(self._fallbacks, decided)
        self._made = replace(
            made,
            by_mail=made.by_mail + 1,
            mails=made.mails + len(decided.recipients),
            with_fallback=made.with_fallback + bool(decided.fallback),
        )

    def _count(self, counted: list[int], notice: Notice) -> None:
        if len(counted) < _PRICED:
            counted.append(segments_of(self._profile, self._made.criteria, notice))

    def _waits(self, notice: Notice, services: Services) -> bool:
        sms = self._profile.sms
        if sms is None:
            return False
        zones = zones_of(notice.payer, notice.recipients[0].address, self._profile.time_zone)
        return next_opening(sms.window, zones, services.now()) is not None

    def rehearsal(self) -> Rehearsal:
        made = self._made
        segments = _scaled(self._texts, made.by_text)
        return replace(
            made,
            segments=segments,
            figures=self._figures(),
            takes=takes(
                self._profile,
                self._domains,
                made.mails,
                _scaled(self._texts, made.by_text - made.waiting),
            ),
            fallback_segments=_scaled(self._fallbacks, made.with_fallback),
            left_out=self._left_out,
            examples=self._examples,
        )

    def _figures(self) -> Figures:
        kind = self._made.criteria.kind
        stale = sum(self._left_out.get(reason, 0) for reason in _STALE)
        return Figures(
            audience=self._made.notices + sum(self._left_out.values()),
            mails=self._addresses,
            zero=self._zero,
            zero_examples=tuple(self._zeros),
            stale=stale,
            unproven=self._unproven,
            templates={
                lang: self._profile.templates.load(kind, lang).hash for lang in sorted(self._languages)
            },
        )


def takes(profile: TenantProfile, domains: Mapping[str, int], mails: int, segments: int) -> Estimate | None:
    """By the limits that are set; where there are none, by what a relay and a long code commonly take."""
    route, sms = profile.route(), profile.sms
    limits = profile.limits.get(route.name, NONE)
    per_s = PER_CONNECTION * route.connections
    way = Ceiling(per_s, f"{route.connections} connections of the route {route.name}")
    if limits.per_s is not None and limits.per_s < per_s:
        way = Ceiling(limits.per_s, f"the route {route.name}: {rate_words(limits.per_s)}")

    def of_domain(domain: str) -> Ceiling | None:
        found = limits.of_domain(domain) if domain else None
        return Ceiling(found, f"{domain}: {rate_words(found)}") if found is not None else None

    known = sum(domains.values())
    counted = dict(domains) | ({"": mails - known} if mails > known else {})
    return estimate(counted, segments, route=way, sender=_sender(profile) if sms else None, domain=of_domain)


def _sender(profile: TenantProfile) -> Ceiling:
    name = profile.sms.route.name if profile.sms is not None else ""
    per_s = profile.limits.get(name, NONE).per_s or LONG_CODE
    return Ceiling(per_s, f"the texting number: {rate_words(per_s, 'segments' if per_s != 1 else 'segment')}")


def _scaled(counted: Sequence[int], number: int) -> int:
    return round(sum(counted) * number / len(counted)) if counted else 0


def segments_of(profile: TenantProfile, criteria: Criteria, notice: Notice) -> int:
    """What the text of this notice costs; its link is as long as a real one."""
    link = f"{profile.public_url}/i/{'x' * CODE_LENGTH}" if profile.public_url else profile.portal_url
    context = invoice_context(profile, notice.invoice, notice.payer, notice.owner) | {"link": link}
    source = profile.templates.load(criteria.kind, notice.payer.language)
    return count_segments(render_sms(source, context)).count
