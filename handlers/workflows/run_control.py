"""What people do with an invoice run: approve, pause, resume, cancel.

Each press is one compare-and-set with its audit row and a new drawing of the card; what it means for many
deliveries follows batch by batch, and the sweep (notifier.runs) finishes it should this process die.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

from handlers.contract import Services
from handlers.reply import UserError
from handlers.runs import Approval, Criteria, Pressed, changed_much
from handlers.workflows.incidents import cause_of_run, show_again
from handlers.workflows.rehearsal import rehearse
from handlers.workflows.run import carry_out
from notifier import runs as following
from notifier.oncall import RUN_STOPPED
from store.models import AuditEntry, Run, RunState
from store.unit import Tx

_Step = Callable[[Tx, int, UUID], Awaitable[int]]
_Change = Callable[[Tx], Awaitable[bool]]
_Also = Callable[[Tx], Awaitable[None]]


class _Press(NamedTuple):
    """Who did what to which run; `step` keys it, so that the same press run again is audited once."""

    run_id: UUID
    by: str
    step: str
    action: str


async def standing(tx: Tx, run_id: UUID) -> Run:
    """UserError: there is no such run."""
    run = await tx.runs.get(run_id)
    if run is None:
        raise UserError("This run is not on file any more.", "Begin a new one.")
    return run


async def approve(services: Services, tenant: int, run_id: UUID, by: str, step: str) -> Approval:
    """By somebody else than its asker; rehearsed again, since the audience may be another one by now."""
    async with services.store.read(tenant) as tx:
        run = await standing(tx, run_id)
    if run.state is not RunState.WAITING:
        if run.approved_by == by and run.ready_at is None:  # this very press, cut off and taken up again
            await carry_out(services, tenant, run)
            return Approval.APPROVED
        return Approval.OVER
    if run.requested_by == by:
        return Approval.OWN
    made = await rehearse(services, tenant, Criteria.from_json(run.criteria))
    async with services.store.begin(tenant) as tx:
        if changed_much(made, run.rehearsal):
            await tx.runs.foresee(run_id, made.as_json())
            await following.bump(tx, [(tenant, str(run_id))])
            return Approval.CHANGED
        if not await tx.runs.approve(run_id, by, made.as_json()):
            return Approval.OVER
        await _audit(tx, _Press(run_id, by, step, "run.approve"))
        await following.bump(tx, [(tenant, str(run_id))])
        run = await standing(tx, run_id)
    await carry_out(services, tenant, run)
    return Approval.APPROVED


async def pause(
    services: Services,
    tenant: int,
    run_id: UUID,
    by: str,
    step: str,
    reason: str = "",
    *,
    also: _Also | None = None,
) -> Pressed:
    """`also`: what belongs to it, in the transaction that pauses; not called where nothing was paused."""
    press = _Press(run_id, by, step, "run.pause")
    run, done = await _changed(services, tenant, press, lambda tx: tx.runs.pause(run_id, by, reason), also)
    held = await _each(services, tenant, run_id, following.hold_back)
    return Pressed(run, done or (run.state is RunState.PAUSED and run.paused_by == by), held)


async def resume(services: Services, tenant: int, run_id: UUID, by: str, step: str) -> Pressed:
    """What is void or paid meanwhile is stopped by the truth check, as everything is."""
    press = _Press(run_id, by, step, "run.resume")
    also = _answers_alarm(press, "Resumed.")
    run, done = await _changed(services, tenant, press, lambda tx: tx.runs.resume(run_id, by), also)
    let_go = await _each(services, tenant, run_id, following.let_go)
    return Pressed(run, done or (run.state is RunState.RUNNING and run.resumed_by == by), let_go)


async def cancel(services: Services, tenant: int, run_id: UUID, by: str, step: str) -> Pressed:
    """Nothing more of it is begun; what nobody has begun to send is called back."""
    press = _Press(run_id, by, step, "run.cancel")
    also = _answers_alarm(press, "Cancelled.")
    run, done = await _changed(services, tenant, press, lambda tx: tx.runs.cancel(run_id, by), also)
    called = 0
    if run.state is RunState.CANCELLED:

        async def back(tx: Tx, tenant: int, run_id: UUID) -> int:
            return await following.call_back(tx, tenant, run_id, by)

        # A run cancelled by this very press before a crash is called back to the end all the same.
        called = await _each(services, tenant, run_id, back)
    return Pressed(run, done, called)


async def _changed(
    services: Services, tenant: int, press: _Press, change: _Change, also: _Also | None = None
) -> tuple[Run, bool]:
    """The run as it stands then, and whether this press changed it: audited and drawn again, if so."""
    async with services.store.begin(tenant) as tx:
        await standing(tx, press.run_id)
        done = await change(tx)
        if done:
            await _audit(tx, press)
            await following.bump(tx, [(tenant, str(press.run_id))])
            if also is not None:
                await also(tx)
        return await standing(tx, press.run_id), done


def _answers_alarm(press: _Press, note: str) -> _Also:
    """What it alarmed about when it paused itself is decided: nobody has to resolve that as well."""

    async def resolve(tx: Tx) -> None:
        cause = cause_of_run(RUN_STOPPED, await standing(tx, press.run_id)).key
        for incident in await tx.incidents.unresolved():
            if incident.cause == cause and await tx.incidents.resolve(incident.id, press.by, note):
                await show_again(tx, incident.id)

    return resolve


async def _each(services: Services, tenant: int, run_id: UUID, step: _Step) -> int:
    """Batch by batch, each in its own transaction, until nothing is left; how many in all."""
    total = 0
    while True:
        async with services.store.begin(tenant) as tx:
            taken = await step(tx, tenant, run_id)
            if taken:
                await following.bump(tx, [(tenant, str(run_id))])
        total += taken
        if not taken:
            return total


async def _audit(tx: Tx, press: _Press) -> None:
    entry = AuditEntry(tx.now, press.by, press.action, f"run:{press.run_id}", {})
    await tx.audit.append(f"{press.step}:{press.action}", entry)
