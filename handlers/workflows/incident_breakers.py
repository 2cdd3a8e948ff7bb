"""What the breakers of an incident say: who is held off, what tries it, where its mail goes meanwhile."""

from __future__ import annotations

from handlers.cards import BreakerLine
from notifier.breaker import WHOLE_ROUTE, State, by_of
from notifier.failover import Trial
from notifier.oncall import About, kind_of, parse
from notifier.operators import operator_of_domain
from store.breakers import BreakerRow
from store.models import Incident
from store.unit import Tx

_SAMPLE = 200


async def of_incident(tx: Tx, incident: Incident) -> tuple[BreakerLine, ...]:
    """Those that are open, and those that were closed since it began."""
    rows = await tx.breakers.all()
    if not rows:
        return ()
    wanted = await _concerned(tx, incident)
    held = await tx.lines.held_by("breaker:")
    trials = {row.route: row for row in rows if row.operator.startswith(">")}
    return tuple(
        _line(row, held, trials.get(row.route))
        for row in rows
        if (row.route, row.operator) in wanted and (row.state != State.CLOSED or _recovered(row, incident))
    )


async def _concerned(tx: Tx, incident: Incident) -> set[tuple[str, str]]:
    """(route, operator) of the breakers that can have to do with it."""
    cause = parse(incident.cause)
    if kind_of(incident.cause).about is About.ROUTE:
        return {(cause.about, WHOLE_ROUTE)}
    members = await tx.incidents.members(incident.id, limit=_SAMPLE)
    caught = (await tx.deliveries.get_many([m.delivery_id for m in members])).values()
    domains = {d.address.rpartition("@")[2].casefold() for d in caught}
    known = await tx.breakers.operators(sorted(domains))
    operators = {d: known[d][0] if d in known else operator_of_domain(d, ()) for d in domains}
    return {(d.route, operators[d.address.rpartition("@")[2].casefold()]) for d in caught}


def _recovered(row: BreakerRow, incident: Incident) -> bool:
    """Closed after the incident had begun, and nothing was refused since."""
    return row.state == State.CLOSED and not row.failures and row.window_from > incident.first_at


def _line(row: BreakerRow, held: dict[str, int], trial: BreakerRow | None) -> BreakerLine:
    state = State(row.state)
    whole = row.operator == WHOLE_ROUTE
    return BreakerLine(
        row.route,
        "" if whole else row.operator,
        state,
        held.get(by_of(row.route, row.operator), 0),
        row.probe_at,
        row.window_from if state is State.CLOSED else None,
        trial.operator.removeprefix(">") if whole and trial else "",
        trial.state if whole and trial and trial.state != Trial.CLOSED else "",
        trial.probes if whole and trial else 0,
    )
