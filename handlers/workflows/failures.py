"""People without a proven notice: who they are, who takes care of them, and what is done for many at once.

A bulk action is planned twice, for its preview and again at the press. One preview acts once: each of its
messages is keyed by the preview and the invoice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from uuid import UUID

from handlers.contract import CommandRequest, Services, audit
from handlers.failures import REFUSED, Bulk, BulkPlan, Failing, Group, Row, Scope, grouped
from handlers.profile import TenantProfile
from handlers.reply import UserError
from handlers.runs import NEEDS_A_PERSON, REASONS, Criteria, Notice, What
from handlers.workflows.invoices import invoice_context
from handlers.workflows.rehearsal import segments_of
from handlers.workflows.run_audience import (
    Facts,
    billing_reason,
    facts_of,
    number_of,
    sms_route,
    texts_possible,
    withdrawn,
)
from notifier.links import Wanted, links_for
from notifier.local_time import zones_of
from notifier.outbox import Draft
from notifier.outbox import email as to_email
from notifier.outbox import text as to_text
from notifier.quiet import next_opening
from store.failures import Failed
from store.models import Channel, Invoice, NotificationKind, Point, Priority, Recipient, Run, Subscriber
from store.unit import Tx

_MOST_LEFT_OUT = 5_000
_MOST_CAUGHT = 50_000


async def load(tx: Tx, profile: TenantProfile, scope: Scope) -> Failing:
    """Everybody in the scope, with who takes care of them."""
    run: Run | None = None
    if scope.incident is not None:
        rows = _unique(await refused_in(tx, UUID(scope.incident)))
        return Failing(scope, (Group(REFUSED, tuple(rows)),) if rows else ())
    if scope.run is not None:
        run = await _run(tx, scope.run)
        failed, runs = await tx.failures.of_run(run.id), [run]
    else:
        since = _since(profile, tx.now, scope.days)
        failed = await tx.failures.since(since)
        runs = [run for run in await tx.runs.latest(20) if run.created_at >= since]
    rows = await _rows(tx, failed) + await _left_out(tx, runs)
    assigned = await tx.assignments.of(sorted({row.subject for row in rows if row.subject}))
    rows = [replace(row, assigned=assigned.get(row.subject)) for row in _unique(rows)]
    return Failing(scope, grouped(rows), run)


async def _run(tx: Tx, run_id: str) -> Run:
    found = await tx.runs.get(UUID(run_id)) if run_id else next(iter(await tx.runs.latest(1)), None)
    if found is None:
        raise UserError("There is no run yet.", "Failures of single messages: leave the word run out.")
    return found


async def refused_in(tx: Tx, incident_id: UUID) -> list[Row]:
    """What an incident caught that has failed, was not made good since, and may be sent again."""
    incident = await tx.incidents.get(incident_id)
    if incident is None:
        return []
    caught = {member.delivery_id for member in await tx.incidents.members(incident_id, limit=_MOST_CAUGHT)}
    # A mail is known to have failed when it is put off no more: never before what it was caught for.
    failed = [f for f in await tx.failures.since(incident.first_at) if f.delivery.id in caught]
    return [row for row in await _rows(tx, failed) if row.may_retry]


def _since(profile: TenantProfile, now: datetime, days: int) -> datetime:
    """Local midnight, `days` - 1 days ago."""
    today = now.astimezone(profile.time_zone).date()
    return datetime.combine(today - timedelta(days=days - 1), time(), tzinfo=profile.time_zone)


async def _rows(tx: Tx, failed: Sequence[Failed]) -> list[Row]:
    ids = {i for f in failed for i in (f.subscriber_id, f.delivery.subscriber_id) if i is not None}
    people = await tx.subscribers.by_ids(sorted(ids))
    invoices = await tx.invoices.by_ids(sorted({f.invoice_id for f in failed if f.invoice_id}))
    return [
        Row(
            whose=people.get(f.subscriber_id) if f.subscriber_id else None,
            payer=people.get(f.delivery.subscriber_id) if f.delivery.subscriber_id else None,
            invoice=invoices.get(f.invoice_id) if f.invoice_id else None,
            delivery=f.delivery,
            kind=f.kind,
        )
        for f in failed
    ]


async def _left_out(tx: Tx, runs: Sequence[Run]) -> list[Row]:
    """Whom these runs left out though they ought to be told, unless somebody has told them since."""
    rows: list[Row] = []
    for run in runs:
        found = [
            e
            for reason in NEEDS_A_PERSON
            for e in await tx.runs.exclusions(run.id, reason=reason, limit=_MOST_LEFT_OUT)
        ]
        told = await tx.failures.told_since(run.id, [e.invoice_id for e in found if e.invoice_id])
        people = await tx.subscribers.by_ids(sorted({e.subscriber_id for e in found}))
        invoices = await tx.invoices.by_ids([e.invoice_id for e in found if e.invoice_id])
        rows += [
            Row(
                people.get(e.subscriber_id),
                None,
                invoices.get(e.invoice_id) if e.invoice_id else None,
                reason=e.reason,
                left_by=run.id,
            )
            for e in found
            if e.invoice_id not in told
        ]
    return rows


def _unique(rows: Iterable[Row]) -> list[Row]:
    """One row an address and person: the newest failure counts."""
    unique: dict[tuple[object, ...], Row] = {}
    for row in rows:
        who = row.whose.id if row.whose else None
        address = (row.delivery.channel, row.delivery.address) if row.delivery else (row.reason, row.subject)
        unique.setdefault((who, *address), row)
    return list(unique.values())


async def plan(tx: Tx, services: Services, profile: TenantProfile, group: Group, bulk: Bulk) -> BulkPlan:
    """Whom it reaches, what it costs, and who is left out with the reason in words."""
    going: list[tuple[Row, tuple[Recipient, ...]]] = []
    left_out: Counter[str] = Counter()
    segments = waiting = 0
    notices: dict[UUID, list[Row]] = {}
    for row in group.rows:
        if row.invoice is None or row.whose is None:
            left_out["not about an invoice"] += 1
        else:
            notices.setdefault(row.invoice.id, []).append(row)
    criteria = _criteria(profile, tx.now)
    invoices = [row.invoice for rows in notices.values() for row in rows[:1] if row.invoice is not None]
    facts = await facts_of(tx, criteria, invoices)
    for invoice in invoices:
        owner = facts.owners[invoice.subscriber_id]
        payer = facts.payer_of(owner)
        targets, refusal = _targets(profile, facts, notices[invoice.id], owner, bulk)
        if refusal:
            left_out[refusal] += 1
            continue
        row = notices[invoice.id][0]
        going.append((row, targets))
        for target in targets:
            if target.channel is Channel.SMS:
                said = replace(criteria, what=_WHAT.get(_kind(row, bulk), What.ISSUED))
                segments += segments_of(profile, said, Notice(invoice, owner, payer, (target,)))
                waiting += _waits(services, profile, payer, target.address)
    return BulkPlan(bulk, group, tuple(going), segments, waiting, left_out)


async def plan_again(tx: Tx, services: Services, profile: TenantProfile, run: Run) -> BulkPlan:
    """All that failed in this run, whatever the cause, as one second try."""
    rows = await _rows(tx, await tx.failures.of_run(run.id))
    group = Group("run", tuple(_unique(rows)))
    return await plan(tx, services, profile, group, Bulk.RETRY)


def _targets(
    profile: TenantProfile, facts: Facts, rows: Sequence[Row], owner: Subscriber, bulk: Bulk
) -> tuple[tuple[Recipient, ...], str]:
    """Where one notice goes, or the words for why it does not."""
    invoice = rows[0].invoice
    reason = billing_reason(invoice, owner, _kind(rows[0], bulk)) if invoice is not None else None
    if reason is not None:
        return (), REASONS[reason[0]]
    if facts.holds.get(owner.account):  # of its town or a tag: it would wait, not go
        return (), REASONS["held"]
    payer = facts.payer_of(owner)
    points = facts.points.get(payer.id, [])
    if bulk is Bulk.RETRY:
        return _again(profile, facts, rows, payer, points)
    number = number_of(facts, points) if texts_possible(profile) else None
    if number:
        return (to_text(number, payer.id),), ""
    opted_out = any(p.channel is Channel.SMS and withdrawn(facts, p) for p in points)
    return (), "opted out of texts" if opted_out else "no number that can be texted"


def _again(
    profile: TenantProfile, facts: Facts, rows: Sequence[Row], payer: Subscriber, points: Sequence[Point]
) -> tuple[tuple[Recipient, ...], str]:
    """The same addresses and numbers where it may help, as far as they are still on file."""
    failed = [r.delivery for r in rows if r.delivery is not None and r.may_retry]
    if not failed:
        return (), "trying again cannot help" if any(r.delivery for r in rows) else "no way to reach them"
    on_file = {(p.channel, p.address): p for p in points}
    targets = []
    refusal = "not on file any more: the notice goes to the new address by a copy"
    for d in failed:
        point = on_file.get((d.channel, d.address))
        if point is None:
            continue
        if d.channel is Channel.SMS and (not texts_possible(profile) or withdrawn(facts, point)):
            refusal = "opted out of texts" if withdrawn(facts, point) else "this desk sends no texts"
        elif (d.channel, d.address) in facts.suppressed:
            refusal = "on our do-not-send list by now"
        else:
            make = to_text if d.channel is Channel.SMS else to_email
            targets.append(make(d.address, payer.id))
    return tuple(targets), "" if targets else refusal


_WHAT = {NotificationKind.OVERDUE: What.OVERDUE, NotificationKind.REMINDER: What.REMINDERS}


def _kind(row: Row, bulk: Bulk) -> NotificationKind:
    """A second try says what the first one said; a link is about the invoice."""
    again = bulk is Bulk.RETRY and row.kind in _WHAT
    return row.kind if again and row.kind is not None else NotificationKind.INVOICE_ISSUED


def _criteria(profile: TenantProfile, now: datetime) -> Criteria:
    """Invoices are told of as new ones."""
    return Criteria(What.ISSUED, now.astimezone(profile.time_zone).date())


def _waits(services: Services, profile: TenantProfile, payer: Subscriber, number: str) -> bool:
    if profile.sms is None:
        return False
    return (
        next_opening(profile.sms.window, zones_of(payer, number, profile.time_zone), services.now())
        is not None
    )


async def act(services: Services, request: CommandRequest, made: BulkPlan, preview: str) -> int:
    """Writes the messages and one audit row, in one transaction; how many are new."""
    profile = services.profile(request.tenant)
    invoices = {row.invoice.id: row.invoice for row, _ in made.going if row.invoice is not None}
    failed = {row.invoice.id: row.since for row, _ in made.going if row.invoice is not None}
    by_text = {
        row.invoice.id
        for row, targets in made.going
        if row.invoice is not None and any(t.channel is Channel.SMS for t in targets)
    }
    async with services.store.begin(request.tenant) as tx:
        await tx.invoices.lock(list(invoices))
        # Somebody who pressed at the same time has told these already, by this preview or another one.
        for told, message in (await tx.failures.standing(list(invoices))).items():
            if (since := failed[told]) is None or message > since:
                del invoices[told]
        facts = await facts_of(tx, _criteria(profile, tx.now), list(invoices.values()))
        texted = [i for i in invoices.values() if i.id in by_text]
        links = await _links(tx, services, profile, texted, preview)
        drafts = [
            _draft(
                profile,
                facts,
                row.invoice,
                targets,
                kind=_kind(row, made.bulk),
                key=f"failures:{preview}:{row.invoice.id}",
                requested_by=request.actor.user_id,
                link=links.get(row.invoice.id, ""),
            )
            for row, targets in made.going
            if row.invoice is not None and row.invoice.id in invoices
        ]
        # Pressed twice, or run again after a crash: what stands under its key stays as it is.
        standing = await tx.notifications.holders([draft.key for draft in drafts])
        fresh = [draft for draft in drafts if draft.key not in standing]
        await services.outbox.enqueue_many(tx, fresh)
        detail = {"cause": made.group.cause, "messages": len(drafts)}
        await audit(tx, request, f"failures.{made.bulk}", "failures", detail=detail)
    return len(fresh)


async def _links(
    tx: Tx,
    services: Services,
    profile: TenantProfile,
    invoices: Sequence[Invoice],
    preview: str,
) -> dict[UUID, str]:
    """Of those that go by text."""
    if not profile.public_url:
        return {invoice.id: profile.portal_url for invoice in invoices}
    wanted = [Wanted(invoice, f"failures:{preview}") for invoice in invoices]
    found = await links_for(tx, services.keyring, profile.public_url, wanted)
    return {invoice.id: link for invoice, link in zip(invoices, found, strict=True)}


def _draft(
    profile: TenantProfile,
    facts: Facts,
    invoice: Invoice,
    recipients: Sequence[Recipient],
    *,
    kind: NotificationKind,
    key: str,
    requested_by: str,
    link: str,
) -> Draft:
    owner = facts.owners[invoice.subscriber_id]
    payer = facts.payer_of(owner)
    context = invoice_context(profile, invoice, payer, owner)
    return Draft(
        key=key,
        kind=kind,
        language=payer.language,
        context=context | ({"link": link} if link else {}),
        recipients=recipients,
        route=profile.default_route,
        sms_route=sms_route(profile),
        requested_by=requested_by,
        subscriber_id=owner.id,
        invoice_id=invoice.id,
        priority=Priority.NORMAL,
        attach_pdf=profile.attach_pdf,
    )
