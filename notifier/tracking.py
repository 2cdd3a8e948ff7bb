"""What becomes known of deliveries: events recorded once, outcome folded, stage moved, in one transaction.

Worker, bounce reports, webhooks and sweeps make the same events and come through `record`. Rows are locked
in one order; an event that is known already changes nothing; a worker that lost its claim (another attempt
was begun) moves no stage, but what it learnt still counts as evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from notifier import fallback
from notifier.outcome import Verdict, evidence, fold, given_back, gives_back
from notifier.schedule import (
    A_PERSON,
    DOUBT_RETRY,
    FIRST_RETRY,
    PRESUMED_AFTER,
    ROUTE_RETRY,
    SETTLING,
    SETTLING_PERIOD,
    STILL_TRYING,
    TRANSITIONS_OF,
    Ignored,
    Next,
    next_attempt,
    next_check,
)
from notifier.sms_codes import RETRY_AFTER
from store.deliveries import DeliveryChange, Ref
from store.ends import Alike, HandOver, plain
from store.events import kept
from store.models import (
    Channel,
    Confidence,
    Delivery,
    Event,
    EventKind,
    EventSource,
    Notification,
    Outcome,
    Priority,
    Reason,
    Stage,
)
from store.suppressions import Suppressing
from store.unit import Tx

MOST_DOUBTS = 4
IN_DOUBT = "We were cut off while it was being sent. We ask the provider before anything is sent again"
CARRIER = "carrier"
"""The source of what a refusal says about consent."""
TOO_DOUBTFUL = "It may have gone out several times already. Check with the customer before sending again"
_DECISIONS = (EventKind.SUPPRESSED, EventKind.CANCELLED, EventKind.EXPIRED)
COMPLAINT = "complaint"
"""The reason of a suppression that the recipient asked for, by marking our mail as spam."""
DELIVERY_SURFACE = "delivery"
"""The posts that show a notification's deliveries; their key is the notification's id."""
TEXT_SURFACE = "conversation_text"
"""A text of ours in a conversation's thread, with what became of it; keyed alike."""
FOLLOWING = (DELIVERY_SURFACE, TEXT_SURFACE)
"""All surfaces whose posts are keyed by a notification's id and follow its deliveries."""
RUN_SURFACE = "run"
"""The posts that follow an invoice run; their key is the run's id."""
FOLLOWED_BY = "followed_by"
"""In a notification's context: [surface, key] of one more card that shows what becomes of it."""


@dataclass(frozen=True, slots=True)
class Report:
    """One event of one tenant's delivery. `fenced`: only the holder of that attempt's claim may say so."""

    tenant: int
    event: Event
    fenced: bool = False
    jitter: float = 0.0
    soon: bool = False
    """Our own way out failed, not the receiving side: tried again sooner."""
    named: timedelta | None = None
    """For how long the receiving side asked us to wait."""
    queue_id: str = ""
    content_hash: str | None = None
    """SHA-256 of the octets of the attempt as they went (a signature included), or of a text's words."""
    pdf_hash: str | None = None
    about: tuple[Delivery, Notification] | None = None
    """What the claim read of it: with it the plain case is written without reading anything again."""


@dataclass(frozen=True, slots=True)
class Recorded:
    report: Report
    new: bool
    """False: known already."""
    moved: bool
    """The stage changed."""


async def record(
    tx: Tx,
    reports: Sequence[Report],
    *,
    locked: Mapping[Ref, Delivery] | None = None,
    histories: Mapping[Ref, Sequence[Event]] | None = None,
) -> list[Recorded]:
    """Idempotent and order-free. Deliveries that do not exist (any more) are skipped: `new` is False.

    `locked`: those that the caller has locked in this very transaction, all that the reports are about, and
    `histories` the events of them that it has read since.
    """
    refs: list[Ref] = sorted({(r.tenant, r.event.delivery_id) for r in reports})
    if locked is None:
        locked = await tx.deliveries.lock(refs)
    known = [r for r in reports if (r.tenant, r.event.delivery_id) in locked]
    new = await tx.events.append([(r.tenant, r.event) for r in known])
    fresh = [r for r in known if (r.event.delivery_id, r.event.key) in new]
    by_delivery: dict[Ref, list[Report]] = {}
    for report in fresh:
        by_delivery.setdefault((report.tenant, report.event.delivery_id), []).append(report)
    touched = sorted(by_delivery)
    if histories is None:
        histories = await tx.events.of(touched)
    else:
        said = {ref: [kept(r.event, tx.now) for r in mine] for ref, mine in by_delivery.items()}
        histories = {ref: [*histories[ref], *_once(said[ref])] for ref in touched}
    changes, moved = [], set()
    for ref in touched:
        delivery = locked[ref]
        change = _change(delivery, histories[ref], by_delivery[ref], tx.now)
        changes.append(change)
        if change.stage is not delivery.stage:
            moved.add(ref)
    await tx.deliveries.change(changes)
    await _suppress(tx, locked, fresh)
    failed = [c for c in changes if fallback.leads_on(c.stage, c.outcome)]
    await fallback.open_second_way(tx, [(c.tenant, locked[(c.tenant, c.id)].notification_id) for c in failed])
    await bump_cards(tx, [locked[ref] for ref in touched])
    if any(change.stage is Stage.QUEUED for change in changes):
        tx.signal("deliveries")
    return [
        Recorded(
            r,
            new=(r.tenant, r.event.delivery_id) in by_delivery and (r.event.delivery_id, r.event.key) in new,
            moved=(r.tenant, r.event.delivery_id) in moved,
        )
        for r in reports
    ]


def _once(events: Sequence[Event]) -> list[Event]:
    """The same thing told twice is one event."""
    return list({event.key: event for event in reversed(events)}.values())[::-1]


async def hand_over(tx: Tx, reports: Sequence[Report]) -> set[Ref]:
    """Writes the plain ends among these (`is_plain`) in one step; gives those that it has written.

    The others are for `record`, in a transaction of its own: each of the two locks its rows in one order.
    Whatever this writes, `record` would have written alike.
    """
    groups: dict[Alike, dict[Ref, Report]] = {}
    for report in reports:
        groups.setdefault(_alike(report, tx.now), {})[report.tenant, report.event.delivery_id] = report
    written: set[Ref] = set()
    await tx.ends.lock([(r.tenant, r.event.delivery_id) for r in reports])  # not group by group: in one order
    for alike in sorted(groups, key=lambda a: (a.tenant, a.source, a.confidence, a.due_at)):
        items = [HandOver(r.event, r.queue_id, r.content_hash, r.pdf_hash) for r in groups[alike].values()]
        written |= {(alike.tenant, one) for one in await tx.ends.hand_over(alike, items)}
    done = [r.about for r in reports if r.about and (r.tenant, r.event.delivery_id) in written]
    await tx.posts.bump_all(_cards(done))
    return written


def is_plain(report: Report) -> bool:
    """The end that nearly every attempt comes to: its holder says that it was accepted, and no more."""
    return report.about is not None and report.fenced and plain(report.event)


def _alike(report: Report, now: datetime) -> Alike:
    event = report.event
    assert report.about is not None  # noqa: S101  # is_plain
    outcome = evidence(event)
    assert outcome is not None  # noqa: S101  # an acceptance
    due_at = _evidence_by(report.about[0], now)
    return Alike(report.tenant, event.source, event.reason, event.confidence, outcome, due_at)


def _cards(touched: Iterable[tuple[Delivery, Notification]]) -> set[tuple[int, str, str]]:
    """(tenant, surface, key) of all posts that show something of these."""
    found = set()
    for delivery, notification in touched:
        found |= {(delivery.tenant, surface, str(delivery.notification_id)) for surface in FOLLOWING}
        if delivery.priority is Priority.BULK:
            if notification.run_id is not None:
                found.add((delivery.tenant, RUN_SURFACE, str(notification.run_id)))
        elif FOLLOWED_BY in notification.context:
            surface, key = notification.context[FOLLOWED_BY]
            found.add((delivery.tenant, surface, key))
    return found


async def bump(tx: Tx, notifications: Sequence[tuple[int, UUID]]) -> None:
    """(tenant, notification id): whatever shows them is drawn again."""
    await tx.posts.bump_all([(tenant, s, str(one)) for tenant, one in notifications for s in FOLLOWING])


async def bump_cards(tx: Tx, touched: Sequence[Delivery]) -> None:
    """Once a transaction for each notice and each run, however many deliveries changed."""
    refs = {(tenant, s, str(one)) for tenant, one in _notices(touched) for s in FOLLOWING}
    bulk = _notices(d for d in touched if d.priority is Priority.BULK)
    refs |= {(tenant, RUN_SURFACE, str(run)) for tenant, run in await tx.runs.of_notifications(bulk)}
    single = _notices(d for d in touched if d.priority is not Priority.BULK)
    refs |= set(await tx.notifications.followed_by(single, FOLLOWED_BY))
    await tx.posts.bump_all(refs)


def _notices(touched: Iterable[Delivery]) -> list[tuple[int, UUID]]:
    return sorted({(d.tenant, d.notification_id) for d in touched})


def _change(
    delivery: Delivery, history: Sequence[Event], fresh: Sequence[Report], now: datetime
) -> DeliveryChange:
    verdict = fold(history)
    stage, due_at, reason, by = delivery.stage, delivery.due_at, delivery.stage_reason, delivery.stage_by
    for report in fresh:
        step = TRANSITIONS_OF[delivery.channel][stage][report.event.kind]
        if isinstance(step, Ignored) or not _may_move(delivery, report, stage):
            continue
        stage, due_at = _step(step, report, delivery, now)
        reason, by = (IN_DOUBT, SETTLING) if step is Next.SETTLE else (None, None)
    decided = verdict.decided_by
    if stage is Stage.QUEUED and _too_doubtful(history, fresh):
        stage, reason, by = Stage.HELD, TOO_DOUBTFUL, A_PERSON
    waiting = stage is Stage.QUEUED or (stage is Stage.HELD and by == SETTLING)
    handed_over = stage is Stage.AWAITING or (waiting and stage is not Stage.QUEUED)
    if handed_over and given_back(history, delivery.attempt):
        stage, due_at, reason, by = Stage.QUEUED, _later(delivery, history, fresh, now), None, None
        waiting = True
    if stage is not Stage.CLAIMED and decided is not None:
        before = stage
        stage, due_at = _by_evidence(stage, due_at, waiting, delivery, history, verdict, now)
        if stage is not before:
            reason = by = None
    news = stage is not delivery.stage or any(r.event.kind is EventKind.DELAYED for r in fresh)
    if stage is Stage.AWAITING and news and any(e.kind is EventKind.DELAYED for e in history):
        due_at = max(due_at, now + STILL_TRYING)  # while somebody still tries, silence is no arrival
    return DeliveryChange(
        tenant=delivery.tenant,
        id=delivery.id,
        stage=stage,
        due_at=due_at,
        stage_reason=reason,
        stage_by=by,
        outcome=verdict.outcome,
        reason=verdict.reason,
        confidence=verdict.confidence,
        outcome_at=verdict.at,
        cls=decided.cls if decided else "",
        diagnostic=decided.diagnostic if decided else "",
        remote=decided.remote if decided else "",
        queue_id=_queue_id(delivery, fresh),
        content_hash=next((r.content_hash for r in fresh if r.content_hash and _latest(r, delivery)), None),
        pdf_hash=next((r.pdf_hash for r in fresh if r.pdf_hash and _latest(r, delivery)), None),
        checks=0 if stage is not delivery.stage and stage in (Stage.AWAITING, Stage.HELD) else None,
    )


def _latest(report: Report, delivery: Delivery) -> bool:
    """What was sent is kept of the latest attempt."""
    return report.event.attempt >= delivery.attempt


def _queue_id(delivery: Delivery, fresh: Sequence[Report]) -> str | None:
    """The name that the latest attempt has on the other side; an earlier one's only where there is none."""
    named = [r for r in fresh if r.queue_id]
    latest = [r for r in named if r.event.attempt >= delivery.attempt or delivery.queue_id is None]
    return latest[-1].queue_id if latest else None


def _later(delivery: Delivery, history: Sequence[Event], fresh: Sequence[Report], now: datetime) -> datetime:
    """When to try again what was given back; how soon depends on why."""
    mine = [e for e in history if e.attempt == delivery.attempt and gives_back(e)]
    first = RETRY_AFTER.get(mine[-1].cls, FIRST_RETRY)
    return next_attempt(delivery.attempt, now, fresh[-1].jitter, first)


def _too_doubtful(history: Sequence[Event], fresh: Sequence[Report]) -> bool:
    """Each doubt may have been a mail: after a few a person decides, not a timer."""
    doubts = sum(event.kind is EventKind.IN_DOUBT for event in history)
    return doubts >= MOST_DOUBTS and any(r.event.kind is EventKind.IN_DOUBT for r in fresh)


def _may_move(delivery: Delivery, report: Report, stage: Stage) -> bool:
    """The fencing number is the attempt: a claim taken since has another one.

    While an attempt runs, only its holder says how it ended (or the sweep, that nobody holds it): a report
    about an earlier attempt must not end this one. Evidence of a hand-over counts also when the claim was
    taken away and the delivery only waits: making another attempt would send the same thing twice.
    """
    kind = report.event.kind
    if kind is EventKind.REQUEUED:  # what somebody else holds is not ours to let go
        return delivery.stage_by == SETTLING and report.event.attempt == delivery.attempt
    if stage is Stage.CLAIMED:
        ours = report.fenced or kind in _DECISIONS or kind is EventKind.IN_DOUBT
        return ours and report.event.attempt == delivery.attempt
    return not report.fenced or kind in (EventKind.ACCEPTED, EventKind.BOUNCED)


def _step(step: Next, report: Report, delivery: Delivery, now: datetime) -> tuple[Stage, datetime]:
    if step is Next.RETRY:
        first = ROUTE_RETRY if report.soon else FIRST_RETRY
        return Stage.QUEUED, next_attempt(delivery.attempt, now, report.jitter, first, report.named)
    if step is Next.RETRY_SOON:
        return Stage.QUEUED, next_attempt(delivery.attempt, now, report.jitter, DOUBT_RETRY)
    if step is Next.SETTLE:
        return Stage.HELD, now + SETTLING_PERIOD
    if step is Next.REQUEUE:
        return Stage.QUEUED, now
    if step is Next.AWAIT:
        return Stage.AWAITING, _evidence_by(delivery, now)
    return Stage.CLOSED, now


def _evidence_by(delivery: Delivery, now: datetime) -> datetime:
    """Until when evidence is waited for; of a text, when its receipt is asked for first."""
    return next_check(now, 0) if delivery.channel is Channel.SMS else now + PRESUMED_AFTER


def _by_evidence(
    stage: Stage,
    due_at: datetime,
    waiting: bool,
    delivery: Delivery,
    history: Sequence[Event],
    verdict: Verdict,
    now: datetime,
) -> tuple[Stage, datetime]:
    """The stage that the evidence asks for, in whatever order it came and whatever was decided before."""
    handed_over = verdict.outcome in (Outcome.SENT, Outcome.DELIVERED)
    final = _final(verdict, history)
    if handed_over and not final and (waiting or stage is Stage.CLOSED):
        # The claim was lost or the delivery cancelled, but some attempt was accepted: another one would
        # repeat it, and its bounce may still come.
        return Stage.AWAITING, _evidence_by(delivery, now)
    decided = verdict.decided_by
    same_attempt = decided is not None and decided.attempt == delivery.attempt
    if final and (stage is Stage.AWAITING or (waiting and (handed_over or same_attempt))):
        return Stage.CLOSED, now
    return stage, due_at


def _final(verdict: Verdict, history: Sequence[Event]) -> bool:
    """Nothing more is waited for: it bounced, failed, its arrival was reported, or no receipt will come."""
    decided = verdict.decided_by
    if verdict.outcome is Outcome.SENT and decided is not None:
        return any(e.kind is EventKind.SETTLED and e.attempt == decided.attempt for e in history)
    if verdict.outcome is Outcome.DELIVERED:
        return any(event.kind in (EventKind.DELIVERED, EventKind.PRESUMED) for event in history)
    return verdict.outcome in (Outcome.BOUNCED, Outcome.FAILED)


async def _suppress(tx: Tx, locked: Mapping[Ref, Delivery], fresh: Sequence[Report]) -> None:
    """A hard bounce about the recipient, or their complaint, suppresses that one address; nothing else ever
    does here.

    That somebody has opted out of texts is their word: it stands in the ledger of consents too. Mail goes on.
    """
    ending = [r for r in fresh if r.event.kind in (EventKind.BOUNCED, EventKind.COMPLAINT) and r.event.hard]
    wanted = []
    for report in ending:
        complained = report.event.kind is EventKind.COMPLAINT
        delivery = locked[(report.tenant, report.event.delivery_id)]
        wanted.append(
            Suppressing(
                report.tenant,
                delivery.channel,
                delivery.address,
                reason=COMPLAINT if complained else report.event.cls,
                actor="complaint" if complained else "bounce",
                delivery_id=delivery.id,
            )
        )
        if report.event.reason is Reason.OPTED_OUT:
            await tx.of(report.tenant).consents.withdraw(
                delivery.channel, delivery.address, source=CARRIER, evidence=report.event.key
            )
    await tx.suppressions.suppress_many(wanted)


def worker_event(delivery: Delivery, kind: EventKind, at: datetime, **more: object) -> Event:
    """What a worker says of the attempt it holds; one such event per attempt and kind."""
    return Event(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        kind=kind,
        key=f"worker:{delivery.attempt}:{kind}",
        at=at,
        **({"source": EventSource.WORKER} | more),  # type: ignore[arg-type]  # fields of Event by name
    )


async def sweep_lost(tx: Tx, *, dead_worker: str | None = None) -> int:
    """Claims that nobody holds any more: a mail goes again with the same Message-ID, a text is settled."""
    lost = await tx.deliveries.lost(dead_worker=dead_worker)
    reports = [
        Report(
            d.tenant,
            worker_event(
                d, EventKind.IN_DOUBT, tx.now, source=EventSource.SWEEP, diagnostic="the worker stopped"
            ),
        )
        for d in lost
    ]
    if reports:
        await record(tx, reports)
    return len(lost)


async def sweep_settled(tx: Tx) -> int:
    """Handed over long ago and never bounced: presumed, and closed."""
    due = await tx.deliveries.settle_due()
    reports = [
        Report(
            d.tenant,
            worker_event(
                d, EventKind.PRESUMED, tx.now, source=EventSource.SWEEP, confidence=Confidence.PRESUMED
            ),
        )
        for d in due
    ]
    if reports:
        await record(tx, reports)
    return len(due)


async def sweep_overdue(tx: Tx) -> int:
    """Waiting past their expiry: out of date, also where no claim would ever look."""
    overdue = await tx.deliveries.overdue()
    reports = [
        Report(
            d.tenant,
            worker_event(
                d,
                EventKind.EXPIRED,
                tx.now,
                source=EventSource.SWEEP,
                reason=Reason.STALE,
                diagnostic="It could not be sent in time and is out of date now.",
            ),
        )
        for d in overdue
    ]
    if reports:
        await record(tx, reports)
    return len(overdue)
