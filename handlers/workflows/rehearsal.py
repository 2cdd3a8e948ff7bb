"""The rehearsal of an invoice run: what it would do now, batch by batch, with nothing written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from handlers.contract import Services
from handlers.profile import TenantProfile
from handlers.runs import Criteria, LeftOut, Notice, Rehearsal
from handlers.workflows.invoices import invoice_context
from handlers.workflows.run_audience import BATCH, Decided, audience, decide
from notifier import templates
from notifier.links import CODE_LENGTH
from notifier.local_time import zones_of
from notifier.quiet import next_opening
from notifier.sms_text import count_segments
from store.models import Channel

_EXAMPLES = 5
_PRICED = 500
"""Texts whose segments are counted one by one; those beyond cost what these do on average."""


async def rehearse(services: Services, tenant: int, criteria: Criteria) -> Rehearsal:
    """What a run would do now; nothing is written."""
    profile = services.profile(tenant)
    tally = _Tally(profile, criteria)
    async for decided in _each(services, tenant, criteria):
        tally.add(decided, services)
    return tally.rehearsal()


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
    """The whole audience, decided; each batch in a reading transaction of its own."""
    profile = services.profile(tenant)
    after = ""
    while True:
        async with services.store.read(tenant) as tx:
            invoices = await audience(tx, criteria, after)
            decided = await decide(tx, profile, criteria, invoices, None)
        for one in decided:
            yield one
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

    def add(self, decided: Decided, services: Services) -> None:
        if isinstance(decided, LeftOut):
            self._left_out[decided.reason] = self._left_out.get(decided.reason, 0) + 1
            examples = self._examples.setdefault(decided.reason, [])
            if len(examples) < _EXAMPLES:
                examples.append(decided.owner.account)
            return
        made = self._made
        if decided.recipients[0].channel is Channel.SMS:
            self._count(self._texts, decided)
            waits = self._waits(decided, services)
            self._made = replace(made, by_text=made.by_text + 1, waiting=made.waiting + waits)
            return
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
        return replace(
            made,
            segments=_scaled(self._texts, made.by_text),
            fallback_segments=_scaled(self._fallbacks, made.with_fallback),
            left_out=self._left_out,
            examples=self._examples,
        )


def _scaled(counted: Sequence[int], number: int) -> int:
    return round(sum(counted) * number / len(counted)) if counted else 0


def segments_of(profile: TenantProfile, criteria: Criteria, notice: Notice) -> int:
    """What the text of this notice costs; its link is as long as a real one."""
    link = f"{profile.public_url}/i/{'x' * CODE_LENGTH}" if profile.public_url else profile.portal_url
    context = invoice_context(profile, notice.invoice, notice.payer, notice.owner) | {"link": link}
    source = templates.load(criteria.kind, notice.payer.language)
    return count_segments(templates.render_sms(source, context)).count
