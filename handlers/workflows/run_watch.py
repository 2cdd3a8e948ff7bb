"""What happens to invoice runs by themselves: one that was cut off is written on, and one of which too many
fail pauses itself and tells.

A run that meets an unexpected error stands still with part of its notices; nobody has to press anything: it
goes on behind what is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from handlers.contract import Services
from handlers.profile import TenantProfile
from handlers.run_card import ERRORS, causes_of
from handlers.runs import Criteria, What
from handlers.workflows.incidents import INCIDENT_SURFACE, cause_of_run
from handlers.workflows.run import carry_out
from handlers.workflows.run_control import pause
from notifier import runs as following
from notifier.oncall import LEDGER_GAP, RUN_STOPPED, RUN_STUCK, Cause
from store.models import Run, RunState, Tally
from store.unit import Tx

log = structlog.get_logger()
STILL = timedelta(seconds=30)
"""A run that nobody has written at for so long was cut off. Two that write the same one share it."""
RECONCILED = timedelta(days=7)
"""So long after its end a run's ledger is looked at; a relay's run ends three days after it was sent."""
LEAST = 10
"""So many failures at least: one of two stops no run."""


async def take_up(services: Services, tenant: int) -> int:
    """Writes on what was cut off; how many runs. One that cannot be written is told of, and keeps no other
    one waiting."""
    async with services.store.read(tenant) as tx:
        left = await tx.runs.unwritten(tx.now - STILL)
    written = 0
    for run in left:
        log.info("run_taken_up", run=str(run.id), written=run.audience)
        try:
            await carry_out(services, tenant, run)
            written += 1
        except Exception as error:
            log.exception("run_not_written", run=str(run.id), error=type(error).__name__)
            await _stuck(services, tenant, run)
    return written


async def _stuck(services: Services, tenant: int, run: Run) -> None:
    """Once, while it stands: it is tried again every few seconds."""
    cause = cause_of_run(RUN_STUCK, run)
    async with services.store.begin(tenant) as tx:
        if all(incident.cause != cause.key for incident in await tx.incidents.unresolved()):
            await _alert(tx, services.profile(tenant), cause)


async def judge(services: Services, tenant: int) -> int:
    """Pauses runs of which too many fail; how many."""
    async with services.store.read(tenant) as tx:
        running = [run for run in await tx.runs.open_runs() if run.state is RunState.RUNNING]
        stopped = [(run, reason) for run in running if (reason := await too_many(tx, run))]
    return sum([await stop(services, tenant, run, reason) for run, reason in stopped])


async def stop(services: Services, tenant: int, run: Run, reason: str) -> bool:
    """Pauses it and tells, both or neither; False when a person has paused or ended it by now."""

    async def tell(tx: Tx) -> None:
        await _alert(tx, services.profile(tenant), cause_of_run(RUN_STOPPED, run))

    step = f"run:{run.id}:{run.resumed_at}"
    made = await pause(services, tenant, run.id, ERRORS, step, reason, also=tell)
    if made.done:
        log.warning("run_paused_by_errors", run=str(run.id))
    return made.done


async def draw_again(services: Services, tenant: int) -> int:
    """The pace on a card gets old by itself: cards of runs that go on are drawn anew; how many."""
    async with services.store.read(tenant) as tx:
        going = [run for run in await tx.runs.open_runs() if run.state is RunState.RUNNING]
        going = [run for run in going if await tx.runs.waits(run.id)]
    if going:
        async with services.store.begin(tenant) as tx:
            await following.bump(tx, [(tenant, str(run.id)) for run in going])
    return len(going)


async def reconcile(services: Services, tenant: int, known: set[UUID]) -> int:
    """Raises an incident for each run that ended with a gap in its ledger; how many.

    `known`: those that were looked at; it only saves work. Whatever was raised before, by another process
    too, is not raised again: somebody may have resolved it since.
    """
    profile = services.profile(tenant)
    async with services.store.read(tenant) as tx:
        over = [run for run in await tx.runs.settled(tx.now - RECONCILED) if run.id not in known]
        gaps = [run for run in over if await _gap(tx, run)]
        raised = await _raised(tx, gaps)
    gaps = [run for run in gaps if run.id not in raised]
    for run in gaps:
        async with services.store.begin(tenant) as tx:
            await _alert(tx, profile, cause_of_run(LEDGER_GAP, run))
        log.error("run_ledger_gap", run=str(run.id))
    known.update(run.id for run in over)  # at the end: what could not be told is looked at again
    return len(gaps)


async def _gap(tx: Tx, run: Run) -> bool:
    """Counted, or on file before it began, and neither told nor left out with a reason."""
    if (await tx.run_ledger.of_run(run)).gap:
        return True
    criteria = Criteria.from_json(run.criteria)
    if criteria.what is not What.ISSUED or criteria.since is None or run.state is not RunState.SETTLED:
        return False
    return bool(await tx.run_ledger.missing(criteria.since, criteria.today))


async def _raised(tx: Tx, gaps: Sequence[Run]) -> set[UUID]:
    """Those whose incident stands, or was resolved after they had ended."""
    if not gaps:
        return set()
    causes = {run.id: cause_of_run(LEDGER_GAP, run).key for run in gaps}
    standing = {incident.cause for incident in await tx.incidents.unresolved()}
    resolved = await tx.incidents.last_resolved(causes.values())

    def known(run: Run) -> bool:
        cause = causes[run.id]
        closed = resolved.get(cause)
        return cause in standing or bool(closed and run.settled_at and closed >= run.settled_at)

    return {run.id for run in gaps if known(run)}


async def too_many(tx: Tx, run: Run) -> str:
    """Why it has to pause, in a sentence; empty: it goes on. What failed before it was resumed is known."""
    if run.stop_at is None:
        return ""
    since = run.resumed_at or run.approved_at or run.created_at
    failed = await tx.run_ledger.failing(run.id, since)
    if failed < LEAST:
        return ""
    # No more is counted than it takes to be below the threshold: a large run is asked every few seconds.
    enough = failed * 100 // run.stop_at
    ended = await tx.run_ledger.ended(run.id, since, enough + 1)
    if ended > enough or failed * 100 <= run.stop_at * ended:
        return ""
    if not await tx.runs.waits(run.id):
        return ""  # all are sent: there is nothing left to save
    return reason_of(failed, ended, run.stop_at, await tx.runs.tally(run.id))


def reason_of(failed: int, ended: int, stop_at: int, tally: Sequence[Tally]) -> str:
    causes = ", ".join(f"{cause} ({number:,})" for number, cause in causes_of(tally)[:3])
    return (
        f"{failed:,} of {ended:,} messages failed: more than {stop_at}%. "
        f"{causes[:1].upper()}{causes[1:]}. Mend the cause, then resume."
    )


async def _alert(tx: Tx, profile: TenantProfile, cause: Cause) -> None:
    """An edit of its card would be seen by nobody: an alert stands in the on-call channel."""
    raised = await tx.incidents.alarm(cause.key, cause.title)
    await tx.posts.want(INCIDENT_SURFACE, str(raised.incident.id), profile.oncall_channel)
    await tx.posts.bump(INCIDENT_SURFACE, [(tx.tenant, str(raised.incident.id))])
