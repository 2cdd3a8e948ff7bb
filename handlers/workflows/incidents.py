"""What is done with an incident and what is known of it: acknowledge, resolve, how it stands now."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from handlers.cards import Example, IncidentData
from handlers.contract import CommandRequest, audit
from handlers.profile import TenantProfile
from handlers.reply import UserError
from handlers.workflows import incident_breakers
from handlers.workflows.failures import refused_in
from notifier.breaker import State
from notifier.oncall import DRIFT, NEXT, QUIET, About, Cause, Ignored, Press, Urgent, kind_of, parse
from notifier.tracking import DELIVERY_SURFACE
from store.incidents import Waiting
from store.models import Delivery, DomainRecord, Incident, IncidentState, Run
from store.unit import Tx

INCIDENT_SURFACE = "incident"
"""The posts that show an incident; their key is its id."""
_SAMPLE = 200
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """`over`: nothing has failed for a while, and something has got through since."""

    waiting: Waiting
    over: bool


async def standing(tx: Tx, incident: Incident) -> Standing:
    """How an unresolved incident stands now."""
    kind = kind_of(incident.cause)
    if kind.about is About.ROUTE and kind.urgent is not Urgent.MANY:
        waiting = await tx.incidents.waiting_for(parse(incident.cause).about)
    else:
        waiting = await tx.incidents.stuck(incident.id)
    quiet = tx.now - incident.last_at >= QUIET
    return Standing(waiting, quiet and await _got_through(tx, incident))


async def _got_through(tx: Tx, incident: Incident) -> bool:
    """Whether anything like what failed has arrived since the last failure."""
    kind, since = kind_of(incident.cause), incident.last_at
    if await tx.incidents.got_through(incident.id, since, kind.proof):
        return True
    if kind.about in (About.OTHER, About.RECORD, About.WATCH):
        return False
    newest = await tx.failed_attempts.newest_successes(since, kind.proof)
    if kind.about is About.ROUTE:
        return any(route == parse(incident.cause).about for route, _ in newest)
    members = await tx.incidents.members(incident.id, limit=_SAMPLE)
    caught = await tx.deliveries.get_many([m.delivery_id for m in members])
    refused = {_domain(d.address) for d in caught.values()}
    return any(_domain(address) in refused for _, address in newest)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].casefold()


def text_obstacle(incident: Incident, profile: TenantProfile) -> str:
    """Why the on-call is not texted about it; empty when nothing stands against it."""
    if not profile.oncall.numbers:
        return "no on-call number is set up"
    if profile.sms is None:
        return "texting is not set up"
    kind, cause = kind_of(incident.cause), parse(incident.cause)
    if cause.name == "no_worker":
        return "it is a worker that would send the text"
    if kind.about is About.ROUTE and cause.about == profile.sms.route.name:
        return "it is texting itself that does not work"
    return ""


async def load_incident(tx: Tx, incident: Incident) -> IncidentData:
    """Everything that its card shows."""
    unresolved = incident.state is not IncidentState.RESOLVED
    now = await standing(tx, incident) if unresolved else Standing(Waiting(), over=False)
    examples = await load_examples(tx, incident.id, 0, EXAMPLES)
    breakers = await incident_breakers.of_incident(tx, incident)
    # A breaker that is still open speaks against no second try of what is over: the first of them is its
    # probe, the rest waits for that. Without bulk mail for that operator nothing else would ever close it.
    closed = bool(breakers) and all(line.state is State.CLOSED for line in breakers)
    recovered = closed or now.over or not unresolved
    return IncidentData(
        incident=incident,
        people=(await tx.incidents.people([incident.id]))[incident.id],
        examples=tuple(examples),
        waiting=now.waiting.count,
        over=now.over,
        earlier=await tx.incidents.get(incident.earlier_id) if incident.earlier_id else None,
        texts=await _texts(tx, incident),
        now=tx.now,
        record=await _record(tx, incident) if kind_of(incident.cause).about is About.RECORD else None,
        breakers=breakers,
        refused=len(await refused_in(tx, incident.id)) if recovered else 0,
    )


def cause_of_record(record: DomainRecord) -> Cause:
    """The cause of the incident that a record makes when it gets worse."""
    return Cause(DRIFT, record.domain, record.kind)


def cause_of_run(name: str, run: Run) -> Cause:
    """The cause of an incident about an invoice run; `name` is one of notifier.oncall."""
    return Cause(name, run.label.replace(":", " "))


async def _record(tx: Tx, incident: Incident) -> DomainRecord | None:
    """By the whole key: a long cause is cut."""
    records = await tx.domain_records.all()
    return next((record for record in records if cause_of_record(record).key == incident.cause), None)


async def load_examples(tx: Tx, incident_id: UUID, offset: int, limit: int) -> list[Example]:
    """Deliveries that it caught, latest first, with what was said of each last."""
    members = await tx.incidents.members(incident_id, offset=offset, limit=limit)
    ids = [member.delivery_id for member in members]
    found = await tx.deliveries.get_many(ids)
    failures = await tx.failed_attempts.of_deliveries(ids)
    people = await tx.subscribers.by_ids([m.subscriber_id for m in members if m.subscriber_id])
    return [
        Example(
            delivery=found[member.delivery_id],
            subscriber=people.get(member.subscriber_id) if member.subscriber_id else None,
            failure=failures.get(member.delivery_id),
        )
        for member in members
        if member.delivery_id in found
    ]


async def _texts(tx: Tx, incident: Incident) -> tuple[Delivery, ...]:
    """The deliveries of the newest text to the on-call."""
    if not incident.texts:
        return ()
    key = text_key(incident.id, incident.texts)
    notification = (await tx.notifications.holders([key])).get(key)
    if notification is None:
        return ()
    return tuple((await tx.deliveries.of_notifications([notification]))[notification])


def text_key(incident_id: UUID, number: int) -> str:
    """The idempotency key of the `number`th text about an incident."""
    return f"oncall:{incident_id}:{number}"


async def incident_of(tx: Tx, request: CommandRequest) -> Incident:
    found = await tx.incidents.get(UUID(request.value["i"]))
    if found is None:
        raise UserError("This incident is not on file any more.")
    return found


@dataclass(frozen=True, slots=True)
class Pressed:
    """`refusal`: why nothing changed, in words; empty when this press (or its first run) did it."""

    incident: Incident
    refusal: str = ""


async def acknowledge(tx: Tx, request: CommandRequest) -> Pressed:
    incident = await incident_of(tx, request)
    if await tx.incidents.acknowledge(incident.id, request.actor.user_id):
        return await _done(tx, request, incident.id, Press.ACKNOWLEDGE)
    mine = incident.state is IncidentState.ACKNOWLEDGED and incident.acknowledged_by == request.actor.user_id
    return Pressed(incident, "" if mine else await _refusal(tx, incident.id, Press.ACKNOWLEDGE))


async def resolve(tx: Tx, request: CommandRequest, note: str) -> Pressed:
    incident = await incident_of(tx, request)
    if await tx.incidents.resolve(incident.id, request.actor.user_id, note):
        return await _done(tx, request, incident.id, Press.RESOLVE, note)
    mine = incident.resolved_by == request.actor.user_id and incident.note == note
    return Pressed(incident, "" if mine else await _refusal(tx, incident.id, Press.RESOLVE))


async def _done(tx: Tx, request: CommandRequest, incident_id: UUID, press: Press, note: str = "") -> Pressed:
    after = await tx.incidents.get(incident_id)
    if after is None:
        raise LookupError("an incident went while it was changed")
    detail = {"cause": after.cause, "count": after.count}
    personal = {"note": note} if note else None
    subject = f"incident:{incident_id}"
    await audit(tx, request, f"incident.{press}", subject, detail=detail, personal=personal)
    await show_again(tx, incident_id)
    return Pressed(after)


async def _refusal(tx: Tx, incident_id: UUID, press: Press) -> str:
    """By the state that it has now: somebody else was quicker."""
    now = await tx.incidents.get(incident_id)
    step = NEXT[(now.state, press)] if now is not None else None
    return step.reason if isinstance(step, Ignored) else "Somebody was quicker."


async def show_again(tx: Tx, incident_id: UUID) -> None:
    """Its own card, and those of the messages that it caught."""
    await tx.posts.bump(INCIDENT_SURFACE, [(tx.tenant, str(incident_id))])
    notifications = await tx.incidents.notifications_of(incident_id)
    await tx.posts.bump(DELIVERY_SURFACE, [(tx.tenant, str(nid)) for nid in notifications])
