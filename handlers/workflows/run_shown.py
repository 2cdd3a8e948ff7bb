"""A run as its card and its ledger show it, read in one transaction."""

from __future__ import annotations

from uuid import UUID

from handlers.run_card import MINUTE, RunCard
from store.models import RunState, Standing
from store.unit import Tx

_FEW = 2000
"""When so few are left they may be those that are tried again later: it is worth a look."""


async def load(tx: Tx, run_id: UUID) -> RunCard | None:
    run = await tx.runs.get(run_id)
    if run is None:
        return None
    standings = await tx.runs.standings(run.id)
    failed = standings.get(Standing.FAILED, 0)
    # Only once all are sent: it is looked for message by message.
    over = failed and not standings.get(Standing.UNDER_WAY)
    mended = failed - await tx.failures.still_of_run(run.id) if over else 0
    few = 0 < standings.get(Standing.UNDER_WAY, 0) <= _FEW and run.state is RunState.RUNNING
    return RunCard(
        run,
        standings,
        await tx.runs.tally(run.id, tx.now - MINUTE),
        await tx.runs.left_out(run.id),
        tx.now,
        mended=max(mended, 0),
        expires=await tx.runs.first_to_expire(run.id) if run.state is RunState.PAUSED else None,
        next_at=await tx.runs.next_due(run.id) if few else None,
    )
