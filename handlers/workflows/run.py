"""An invoice run: the notices, in batches that survive kill -9.

Every invoice of the audience ends as a notice or as an exclusion with a reason: audience = notices +
exclusions, to the row. A batch of 500 is decided and written in one transaction; a run that is taken up
again finds its own notices by their keys and its exclusions by their rows, and goes on behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from handlers.contract import Services
from handlers.profile import RunsProfile, TenantProfile
from handlers.reply import UserError
from handlers.runs import Criteria, LeftOut, Notice, Rehearsal
from handlers.workflows.invoices import invoice_context
from handlers.workflows.run_audience import BATCH, audience, decide, sms_route
from notifier import runs as following
from notifier.links import Wanted, links_for
from notifier.outbox import Draft, KeyConflict
from store.models import (
    Channel,
    Exclusion,
    NotificationKind,
    Priority,
    Run,
    RunState,
    Subscriber,
)
from store.types import new_id
from store.unit import Tx

_TRIES = 3
WRITING = (RunState.RUNNING, RunState.PAUSED)
"""In which the notices are written; those of a paused run are held at once."""
LIFETIME = {
    NotificationKind.INVOICE_ISSUED: timedelta(days=3),
    NotificationKind.OVERDUE: timedelta(days=3),
    NotificationKind.REMINDER: timedelta(days=1),
}
"""How long a notice is still worth sending."""
Progress = Callable[[int], None]


async def begin(
    tx: Tx,
    criteria: Criteria,
    step_key: str,
    *,
    requested_by: str,
    locale: str,
    made: Rehearsal | None = None,
    guard: RunsProfile | None = None,
) -> Run:
    """The run of this step; begun again it is the one that stands. It waits for a second person where
    `guard` says so."""
    most = guard.approve_above if guard is not None else None
    waits = most is not None and made is not None and made.notices > most
    return await tx.runs.create(
        Run(
            id=new_id(),
            kind=criteria.kind,
            label=criteria.label(locale),
            criteria=criteria.as_json(),
            state=RunState.WAITING if waits else RunState.RUNNING,
            requested_by=requested_by,
            created_at=tx.now,
            stop_at=guard.stop_at_percent if guard is not None else None,
            rehearsal=made.as_json() if made is not None else {},
        ),
        step_key,
    )


async def carry_out(
    services: Services, tenant: int, run: Run, progress: Progress | None = None, *, size: int = BATCH
) -> None:
    """Writes every notice and exclusion of the run. Called again it goes on where it was cut off.

    `progress` is told how many invoices each batch had. A run that is cancelled meanwhile stops here too.
    Two that write the same run share its batches: each takes up behind what is written.
    """
    criteria = Criteria.from_json(run.criteria)
    while True:
        written = await _batch(services, tenant, run, criteria, size)
        if written is None:
            return
        if progress is not None:
            progress(written)
        if written < size:
            break
    await _complete(services, tenant, run.id)


async def _batch(services: Services, tenant: int, run: Run, criteria: Criteria, size: int) -> int | None:
    """One transaction: how many invoices it had; None when the run is not to be written (any more)."""
    for _ in range(_TRIES - 1):
        try:
            return await _try_batch(services, tenant, run, criteria, size)
        except KeyConflict:  # another run told one of them meanwhile: decided again, it is left out
            continue
    return await _try_batch(services, tenant, run, criteria, size)


async def _try_batch(services: Services, tenant: int, run: Run, criteria: Criteria, size: int) -> int | None:
    profile = services.profile(tenant)
    async with services.store.begin(tenant) as tx:
        # Locked: a cancel waits for this batch and calls it back with the rest.
        current = await tx.runs.get(run.id, lock=True)
        if current is None or current.state not in WRITING:
            return None
        invoices = await audience(tx, criteria, current.written_to, size)
        decided = await decide(tx, profile, criteria, invoices, run.id)
        notices = [d for d in decided if isinstance(d, Notice)]
        left_out = [d for d in decided if isinstance(d, LeftOut)]
        left_out += await _enqueue(tx, services, profile, run, criteria, notices)
        await tx.runs.exclude(
            [Exclusion(run.id, d.owner.id, d.invoice.id, d.reason, d.detail) for d in left_out]
        )
        await tx.runs.written(run.id, invoices[-1].number if invoices else current.written_to, len(invoices))
        if current.state is RunState.PAUSED:
            await following.hold_back(tx, tenant, run.id, size * 4)
        await following.bump(tx, [(tenant, str(run.id))])
    return len(invoices)


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
        if (other := others.get(q.notification_id)) is None or other.run_id != run.id
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
