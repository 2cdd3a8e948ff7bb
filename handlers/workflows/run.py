"""An invoice run: the audience, who is left out and why, and the notices, in batches that survive kill -9.

Every invoice of the audience ends as a notice or as an exclusion with a reason: audience = notices +
exclusions, to the row. A batch of 500 is decided and written in one transaction; a run that is taken up
again finds its own notices by their keys and its exclusions by their rows, and goes on behind them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from handlers.contract import Services
from handlers.format import day
from handlers.profile import TenantProfile
from handlers.reply import UserError
from handlers.runs import Criteria, LeftOut, Notice, Rehearsal, What
from handlers.workflows.invoices import invoice_context
from handlers.workflows.resend import billing_addresses
from notifier import runs as following
from notifier import templates
from notifier.links import CODE_LENGTH, Wanted, links_for
from notifier.local_time import zones_of
from notifier.outbox import Draft, KeyConflict
from notifier.outbox import email as to_email
from notifier.outbox import text as to_text
from notifier.quiet import next_opening
from notifier.sms_text import count_segments
from store.consents import Consent
from store.models import (
    Channel,
    ConsentState,
    ContactRole,
    Exclusion,
    Fallback,
    Hold,
    Invoice,
    InvoiceStatus,
    Notification,
    NotificationKind,
    Point,
    Priority,
    Run,
    RunState,
    Subscriber,
    SubscriberStatus,
    Suppression,
)
from store.types import new_id
from store.unit import Tx

BATCH = 500
_EXAMPLES = 5
_PRICED = 500
"""Texts whose segments are counted one by one; those beyond cost what these do on average."""
_TRIES = 3
LIFETIME = {
    NotificationKind.INVOICE_ISSUED: timedelta(days=3),
    NotificationKind.OVERDUE: timedelta(days=3),
    NotificationKind.REMINDER: timedelta(days=1),
}
"""How long a notice is still worth sending."""
Progress = Callable[[int], None]
Decided = Notice | LeftOut


async def audience(tx: Tx, criteria: Criteria, after: str, size: int = BATCH) -> list[Invoice]:
    """The next `size` invoices behind the number `after`. UserError: the one named is not on file."""
    if criteria.what is What.INVOICE:
        if after:
            return []
        invoice = await tx.invoices.by_number(criteria.number)
        if invoice is None:
            raise UserError(f"There is no invoice {criteria.number}.", "Look at the number again.")
        return [invoice]
    if criteria.what is What.ISSUED:
        first = criteria.since or criteria.today
        return await tx.invoices.issued_page(first, criteria.today, after=after, limit=size)
    return await tx.invoices.due_page(*criteria.due, after=after, limit=size)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one batch's people, read at once."""

    owners: dict[UUID, Subscriber]
    payers: dict[str, Subscriber]
    points: dict[UUID, list[Point]]
    suppressed: dict[tuple[Channel, str], Suppression]
    consents: dict[tuple[Channel, str], Consent]
    holds: dict[str, list[Hold]]
    told: dict[str, Notification]
    reached: Mapping[UUID, UUID]
    """Of those told: invoice -> the newest message about it that arrived or still may (store.proof)."""

    def payer_of(self, owner: Subscriber) -> Subscriber:
        return self.payers.get(owner.payer_account or "", owner)


async def facts_of(tx: Tx, criteria: Criteria, invoices: Sequence[Invoice]) -> Facts:
    owners = await tx.subscribers.by_ids(list({i.subscriber_id for i in invoices}))
    accounts = sorted({o.payer_account for o in owners.values() if o.payer_account})
    payers = await tx.subscribers.by_accounts(accounts)
    points = await tx.subscribers.points(list({s.id for s in (*owners.values(), *payers.values())}))
    addresses = sorted({(p.channel, p.address) for found in points.values() for p in found})
    held = criteria.what in (What.OVERDUE, What.REMINDERS)
    holders = await tx.notifications.holders([criteria.key(i) for i in invoices])
    notifications = await tx.notifications.get_many(list(holders.values()))
    told = {key: notifications[nid] for key, nid in holders.items() if nid in notifications}
    return Facts(
        owners,
        payers,
        points,
        await tx.suppressions.active(addresses),
        await tx.consents.current([a for a in addresses if a[0] is Channel.SMS]),
        await _holds(tx, criteria, owners.values()) if held else {},
        told,
        await tx.failures.standing([i.id for i in invoices if criteria.key(i) in told]),
    )


async def _holds(tx: Tx, criteria: Criteria, owners: Iterable[Subscriber]) -> dict[str, list[Hold]]:
    """Account -> holds that stand on the day of the run."""
    found = await tx.notes.holds_of_many([o.account for o in owners])
    standing = {account: [h for h in holds if h.until >= criteria.today] for account, holds in found.items()}
    return {account: holds for account, holds in standing.items() if holds}


async def decide(
    tx: Tx, profile: TenantProfile, criteria: Criteria, invoices: Sequence[Invoice], run_id: UUID | None
) -> list[Decided]:
    """A notice or a reason for each invoice, in their order; those that this run has told already are left
    out of the list."""
    facts = await facts_of(tx, criteria, invoices)
    known = await tx.runs.excluded(run_id, [i.id for i in invoices]) if run_id else set()
    decided: list[Decided] = []
    for invoice in invoices:
        told = facts.told.get(criteria.key(invoice))
        if invoice.id in known or (told is not None and run_id is not None and told.run_id == run_id):
            continue
        owner = facts.owners[invoice.subscriber_id]
        reason = billing_reason(invoice, owner) or _desk_reason(profile, facts, invoice, owner, told)
        if reason is not None:
            decided.append(LeftOut(invoice, owner, *reason))
        else:
            decided.append(_addressed(profile, facts, invoice, owner))
    return decided


_BY_STATUS = {
    InvoiceStatus.DRAFT: "draft",
    InvoiceStatus.VOID: "void",
    InvoiceStatus.UNCOLLECTIBLE: "written_off",
    InvoiceStatus.PAID: "paid",
}


def billing_reason(invoice: Invoice, owner: Subscriber) -> tuple[str, str] | None:
    if invoice.status in _BY_STATUS:
        return _BY_STATUS[invoice.status], ""
    if invoice.due.minor <= 0:
        return "paid", ""
    if owner.status is SubscriberStatus.ARCHIVED:
        return "archived", ""
    if not owner.invoice_notices:
        return "notices_off", ""
    return None


def _desk_reason(
    profile: TenantProfile, facts: Facts, invoice: Invoice, owner: Subscriber, told: Notification | None
) -> tuple[str, str] | None:
    if holds := facts.holds.get(owner.account):
        return "held", f"until {day(max(h.until for h in holds), profile.locale)}"
    if told is not None:
        local = told.created_at.astimezone(profile.time_zone).date()
        return "already" if invoice.id in facts.reached else "failed", f"on {day(local, profile.locale)}"
    return None


def _addressed(profile: TenantProfile, facts: Facts, invoice: Invoice, owner: Subscriber) -> Decided:
    """E-mail first, to every billing address of the payer; by text where there is no mail, or behind it."""
    payer = facts.payer_of(owner)
    points = facts.points.get(payer.id, [])
    mails = billing_addresses(points)
    sound = [address for address, problem in mails if problem is None]
    usable = [a for a in sound if (Channel.EMAIL, a) not in facts.suppressed]
    number = number_of(facts, points) if texts_possible(profile) else None
    texts_behind = profile.sms is not None and profile.sms.fallback
    if usable:
        way = number if texts_behind else None
        return Notice(
            invoice,
            owner,
            payer,
            tuple(to_email(a, payer.id) for a in usable),
            (Fallback(Channel.SMS, way, sms_route(profile)),) if way else (),
        )
    if number is not None and (not mails or texts_behind):
        return Notice(invoice, owner, payer, (to_text(number, payer.id),))
    return LeftOut(invoice, owner, *_no_way(profile, facts, points, mails, sound))


def _no_way(
    profile: TenantProfile,
    facts: Facts,
    points: Sequence[Point],
    mails: Sequence[tuple[str, str | None]],
    sound: Sequence[str],
) -> tuple[str, str]:
    """The reason that somebody can do most about."""
    if sound:
        return "suppressed", ""
    if mails:
        return "unusable", next(problem for _, problem in mails if problem)
    texts = [p for p in points if p.channel is Channel.SMS]
    if not texts:
        return "no_address", ""
    if not texts_possible(profile):
        return "no_address", "only a telephone number, and this desk sends no texts"
    if any(withdrawn(facts, p) for p in texts):
        return "opted_out", ""
    if any((Channel.SMS, p.address) in facts.suppressed for p in texts):
        return "suppressed", ""
    return "unusable", next((p.problem for p in texts if p.problem), "")


def number_of(facts: Facts, points: Sequence[Point]) -> str | None:
    """The first number that may be texted: billing, else service. One text is enough."""
    for role in (ContactRole.BILLING, ContactRole.SERVICE):
        of_role = (p for p in sorted(points, key=lambda p: p.position) if p.role is role)
        found = next((p.address for p in of_role if p.channel is Channel.SMS and _textable(facts, p)), None)
        if found is not None:
            return found
    return None


def _textable(facts: Facts, point: Point) -> bool:
    suppressed = (Channel.SMS, point.address) in facts.suppressed
    return not point.problem and not suppressed and not withdrawn(facts, point)


def withdrawn(facts: Facts, point: Point) -> bool:
    consent = facts.consents.get((Channel.SMS, point.address))
    return consent is not None and consent.state is ConsentState.WITHDRAWN


def texts_possible(profile: TenantProfile) -> bool:
    """A text about an invoice carries a link; without anywhere to lead there is nothing to text."""
    return profile.sms is not None and bool(profile.public_url or profile.portal_url)


def sms_route(profile: TenantProfile) -> str:
    return profile.sms.route.name if profile.sms else ""


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


async def begin(tx: Tx, criteria: Criteria, step_key: str, *, requested_by: str, locale: str) -> Run:
    """The run of this step; begun again it is the one that stands."""
    return await tx.runs.create(
        Run(
            id=new_id(),
            kind=criteria.kind,
            label=criteria.label(locale),
            criteria=criteria.as_json(),
            state=RunState.RUNNING,
            requested_by=requested_by,
            created_at=tx.now,
        ),
        step_key,
    )


async def carry_out(
    services: Services, tenant: int, run: Run, progress: Progress | None = None, *, size: int = BATCH
) -> None:
    """Writes every notice and exclusion of the run. Called again it goes on where it was cut off.

    `progress` is told how many invoices each batch had. A run that is cancelled meanwhile stops here too.
    """
    criteria = Criteria.from_json(run.criteria)
    after = ""
    while True:
        invoices = await _batch(services, tenant, run, criteria, after, size)
        if invoices is None:
            return
        if progress is not None:
            progress(len(invoices))
        if len(invoices) < size:
            break
        after = invoices[-1].number
    await _complete(services, tenant, run.id)


async def _batch(
    services: Services, tenant: int, run: Run, criteria: Criteria, after: str, size: int
) -> list[Invoice] | None:
    """One transaction; None when the run was cancelled."""
    for _ in range(_TRIES - 1):
        try:
            return await _try_batch(services, tenant, run, criteria, after, size)
        except KeyConflict:  # another run told one of them meanwhile: decided again, it is left out
            continue
    return await _try_batch(services, tenant, run, criteria, after, size)


async def _try_batch(
    services: Services, tenant: int, run: Run, criteria: Criteria, after: str, size: int
) -> list[Invoice] | None:
    profile = services.profile(tenant)
    async with services.store.begin(tenant) as tx:
        # Locked: a cancel waits for this batch and calls it back with the rest.
        current = await tx.runs.get(run.id, lock=True)
        if current is None or current.state is RunState.CANCELLED:
            await tx.runs.ready(run.id)
            return None
        invoices = await audience(tx, criteria, after, size)
        decided = await decide(tx, profile, criteria, invoices, run.id)
        notices = [d for d in decided if isinstance(d, Notice)]
        left_out = [d for d in decided if isinstance(d, LeftOut)]
        left_out += await _enqueue(tx, services, profile, run, criteria, notices)
        await tx.runs.exclude(
            [Exclusion(run.id, d.owner.id, d.invoice.id, d.reason, d.detail) for d in left_out]
        )
        await following.bump(tx, [(tenant, str(run.id))])
    return invoices


async def _enqueue(
    tx: Tx,
    services: Services,
    profile: TenantProfile,
    run: Run,
    criteria: Criteria,
    notices: Sequence[Notice],
) -> list[LeftOut]:
    """Gives those that another run was quicker to tell."""
    links = await _links(tx, services, profile, criteria, notices)
    drafts = [_draft(profile, run, criteria, n, links.get(n.invoice.id, "")) for n in notices]
    queued = await services.outbox.enqueue_many(tx, drafts)
    quicker = [(n, q) for n, q in zip(notices, queued, strict=True) if not q.created]
    others = await tx.notifications.get_many([q.notification_id for _, q in quicker])
    return [
        LeftOut(n.invoice, n.owner, "already")
        for n, q in quicker
        if (other := others.get(q.notification_id)) is not None and other.run_id != run.id
    ]


async def _links(
    tx: Tx, services: Services, profile: TenantProfile, criteria: Criteria, notices: Sequence[Notice]
) -> dict[UUID, str]:
    """Invoice -> its short link, for notices that go or may go by text."""
    texted = [n for n in notices if n.fallback or n.recipients[0].channel is Channel.SMS]
    if not profile.public_url:
        return {n.invoice.id: profile.portal_url for n in texted}
    wanted = [Wanted(n.invoice, criteria.key(n.invoice), n.payer.id) for n in texted]
    made = await links_for(tx, services.keyring, profile.public_url, wanted)
    return {n.invoice.id: link for n, link in zip(texted, made, strict=True)}


def _draft(profile: TenantProfile, run: Run, criteria: Criteria, notice: Notice, link: str) -> Draft:
    context = invoice_context(profile, notice.invoice, notice.payer, notice.owner)
    return Draft(
        key=criteria.key(notice.invoice),
        kind=criteria.kind,
        language=notice.payer.language,
        context=context | ({"link": link} if link else {}),
        recipients=notice.recipients,
        route=profile.default_route,
        sms_route=sms_route(profile),
        requested_by=run.requested_by,
        subscriber_id=notice.owner.id,
        invoice_id=notice.invoice.id,
        priority=Priority.BULK,
        lifetime=LIFETIME[criteria.kind],
        run_id=run.id,
        attach_pdf=profile.attach_pdf,
        fallback=notice.fallback,
    )


async def _complete(services: Services, tenant: int, run_id: UUID) -> None:
    async with services.store.begin(tenant) as tx:
        await tx.runs.ready(run_id)
        await following.bump(tx, [(tenant, str(run_id))])


async def cancel(tx: Tx, tenant: int, run_id: UUID) -> bool:
    """Nothing more of it is begun; False when it was over. What waits is called back by `call_back`."""
    cancelled = await tx.runs.cancel(run_id)
    await following.bump(tx, [(tenant, str(run_id))])
    return cancelled


async def call_back(services: Services, tenant: int, run_id: UUID, actor: str) -> int:
    """Batch by batch, each in its own transaction; how many were called back."""
    called = 0
    while True:
        async with services.store.begin(tenant) as tx:
            taken = await following.call_back(tx, tenant, run_id, actor)
        called += taken
        if not taken:
            return called


async def left_out_of(
    services: Services, tenant: int, run_id: UUID, *, reason: str | None, offset: int, limit: int
) -> tuple[Run, list[tuple[Exclusion, Subscriber | None, str]], dict[str, int]]:
    """Of a run that has begun: whom it left out with their invoice's number, and how many by reason."""
    async with services.store.read(tenant) as tx:
        run = await tx.runs.get(run_id)
        if run is None:
            raise UserError("This run is not on file any more.", "Begin a new one.")
        found = await tx.runs.exclusions(run_id, reason=reason, offset=offset, limit=limit)
        people = await tx.subscribers.by_ids(list({e.subscriber_id for e in found}))
        invoices = await tx.invoices.by_ids([e.invoice_id for e in found if e.invoice_id])
        counts = await tx.runs.left_out(run_id)

    def number(exclusion: Exclusion) -> str:
        invoice = invoices.get(exclusion.invoice_id) if exclusion.invoice_id else None
        return invoice.number if invoice else ""

    return run, [(e, people.get(e.subscriber_id), number(e)) for e in found], counts
