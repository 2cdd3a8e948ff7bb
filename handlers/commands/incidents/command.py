"""/isp incidents: what is going wrong for many at once; Acknowledge, Resolve, whom it affects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from handlers.blocks import text_input
from handlers.commands.incidents import view
from handlers.contract import CommandRequest, Services, audit
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, Modal, Reply, To
from handlers.workflows import incidents
from store.unit import Tx

RECENT = timedelta(days=3)
SAID_BY = 25
"""Deliveries whose answers are looked through for different ones."""


class Incidents:
    spec = CommandSpec(
        name="incidents",
        usage="incidents",
        summary="See what is going wrong for many at once",
        examples=("incidents",),
        aliases=("incident", "alerts", "oncall"),
        role=Role.VIEWER,
        action_roles={"acknowledge": Role.AGENT, "resolve": Role.AGENT, "resolved": Role.AGENT},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "resolve":
            note = text_input(
                "note",
                "What was done about it?",
                placeholder="For example: Bigmail has taken us off its list",
                hint="One line for the next one who meets it. It stands on the card.",
                longest=300,
            )
            modal = Modal("incidents.resolved", "Resolve", [note], submit="Resolve", carry=request.value)
            return Answer(modal=modal, done=True)
        if request.action == "resolved" and not request.inputs.get("note", "").strip():
            return Answer(errors=FieldErrors({"note": "Write a word or two: others will look for it."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        async with services.store.begin(request.tenant) as tx:
            return [await _RUN.get(request.action, _list)(tx, request, services)]


async def _list(tx: Tx, request: CommandRequest, services: Services) -> Reply:
    unresolved = await tx.incidents.unresolved()
    shown = [await incidents.load_incident(tx, incident) for incident in unresolved[: view.MOST_LISTED]]
    recent = await tx.incidents.recently_resolved(tx.now - RECENT, limit=5)
    return view.listing(shown, recent, services.profile(request.tenant), len(unresolved))


async def _open(tx: Tx, request: CommandRequest, services: Services) -> Reply:
    incident = await incidents.incident_of(tx, request)
    profile = services.profile(request.tenant)
    obstacle = incidents.text_obstacle(incident, profile)
    data = await incidents.load_incident(tx, incident)
    return view.card(data, profile, obstacle=obstacle, role=request.actor.role)


async def _acknowledge(tx: Tx, request: CommandRequest, services: Services) -> Reply:
    pressed = await incidents.acknowledge(tx, request)
    return view.unchanged(pressed.refusal, pressed.incident) if pressed.refusal else view.acknowledged()


async def _resolved(tx: Tx, request: CommandRequest, services: Services) -> Reply:
    pressed = await incidents.resolve(tx, request, request.inputs["note"].strip())
    return view.unchanged(pressed.refusal, pressed.incident) if pressed.refusal else view.resolved()


async def _affected(tx: Tx, request: CommandRequest, services: Services) -> Reply:
    """Account numbers with what became of their messages: a look that is audited."""
    incident = await incidents.incident_of(tx, request)
    offset = max(int(request.value.get("o", 0)), 0)
    await audit(tx, request, "incident.affected", f"incident:{incident.id}", detail={"offset": offset})
    examples = await incidents.load_examples(tx, incident.id, offset, view.PAGE)
    data = await incidents.load_incident(tx, incident)
    to = To.REPLACE if "p" in request.value else To.ASKER
    return view.affected(data, examples, offset, services.profile(request.tenant), to)


async def _raw(tx: Tx, request: CommandRequest, services: Services) -> Reply:
    incident = await incidents.incident_of(tx, request)
    return view.raw(incident, await incidents.load_examples(tx, incident.id, 0, SAID_BY))


_RUN = {
    "acknowledge": _acknowledge,
    "resolved": _resolved,
    "affected": _affected,
    "raw": _raw,
    "open": _open,
}
COMMAND = Incidents()
