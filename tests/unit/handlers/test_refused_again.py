"""What an operator refused, sent again by one press once they take our mail: the card, and a lead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from handlers.commands.failures.command import COMMAND
from handlers.contract import Services
from handlers.profile import Role
from handlers.surfaces.incident import IncidentSurface
from handlers.workflows.incidents import INCIDENT_SURFACE
from handlers.workflows.oncall import Watch
from store.models import Delivery, EventSource, Incident, Reason
from store.unit import Store
from tests.builders import hold_of
from tests.conftest import FakeClock
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import buttons, legal, said
from tests.unit.handlers.test_failures import failed, town
from tests.unit.handlers.test_run import texting

REFUSED = {"source": EventSource.DSN, "diagnostic": "550 5.7.606 Access denied", "reply_code": "550"}


async def _incident(store: Store) -> Incident:
    async with store.read(1) as tx:
        return next(i for i in await tx.incidents.unresolved() if i.cause.startswith("blocked_reputation"))


async def _breaker(store: Store, item: Delivery, state: str) -> None:
    async with store.begin(1) as tx:
        key = (item.route, "inbox.example")
        row = (await tx.breakers.lock([key], tx.now))[key]
        soon = tx.now + timedelta(minutes=1)
        await tx.breakers.put(replace(row, state=state, failures=0, probe_at=soon, window_from=tx.now))


async def _shown(store: Store, incident: Incident) -> int:
    """How often its card was asked for."""
    async with store.read(1) as tx:
        return (await tx.posts.of(INCIDENT_SURFACE, str(incident.id)))[0].wanted


async def _card(services: Services, incident: Incident) -> str:
    drawn = await IncidentSurface().draw(services, 1, str(incident.id))
    assert drawn is not None
    return said(legal(drawn))


async def test_a_lead_sends_again_what_was_refused_once_the_operator_takes_our_mail(
    services: Services, store: Store, clock: FakeClock
) -> None:
    services = texting(services, sms=None)
    items = await town(store, services)
    for item in items[5:]:
        await failed(store, item, "blocked_reputation", reason=Reason.INFRASTRUCTURE, **REFUSED)
    await Watch(services, 1).sweep()
    incident = await _incident(store)
    await _breaker(store, items[6], "open")
    watch, before = Watch(services, 1), await _shown(store, incident)
    for _ in range(2):
        await watch.look()
    assert await _shown(store, incident) == before + 1, "drawn again, once: it is held now"
    card = await _card(services, incident)
    assert "Mail to *inbox.example* by" in card
    assert "is held (nothing waits yet); one mail at a time tries it" in card
    assert "refused again" not in card
    clock.advance(minutes=2)
    await _breaker(store, items[6], "closed")
    drawn = await IncidentSurface().draw(services, 1, str(incident.id))
    assert drawn is not None
    assert "goes again since" in said(drawn)
    assert "Send the 1 refused again" in said(drawn)
    lead = agent_on(services, Role.LEAD, "U_LEAD")
    preview = await lead.presses(drawn, "failures.again")
    assert "*1*: " in said(preview)
    before = await _shown(store, incident)
    assert "1 message on the way" in said(await lead.presses(preview, "failures.do_again"))
    assert await _shown(store, incident) > before, "its card must not offer them any more"
    drawn = await IncidentSurface().draw(services, 1, str(incident.id))
    assert drawn is not None
    assert "failures.again" not in buttons(drawn), "it is on its way"


async def test_what_is_resolved_is_sent_again_though_no_mail_has_closed_the_breaker(
    services: Services, store: Store
) -> None:
    """Nothing else is queued for that operator: what was refused is what tries it, one mail at a time."""
    services = texting(services, sms=None)
    items = await town(store, services)
    await failed(store, items[6], "blocked_reputation", reason=Reason.INFRASTRUCTURE, **REFUSED)
    await Watch(services, 1).sweep()
    incident = await _incident(store)
    await _breaker(store, items[6], "open")
    assert "refused again" not in await _card(services, incident), "it is refused at this moment"
    async with store.begin(1) as tx:
        assert await tx.incidents.resolve(incident.id, "U_LEAD", "they took us off their list")
    assert "Send the 1 refused again" in await _card(services, incident)
    drawn = await IncidentSurface().draw(services, 1, str(incident.id))
    assert drawn is not None
    lead = agent_on(services, Role.LEAD, "U_LEAD")
    assert "failures.do_again" in buttons(await lead.presses(drawn, "failures.again"))
    async with store.begin(1) as tx:
        await tx.notes.add_hold(hold_of("Bend", scope="town"))
    held = await lead.presses(drawn, "failures.again")
    assert "failures.do_again" not in buttons(held), "it would wait for the town, not go"
    assert "on hold" in said(held)


def test_only_a_lead_may_send_it_again() -> None:
    assert COMMAND.spec.action_roles["again"] is Role.LEAD
    assert COMMAND.spec.action_roles["do_again"] is Role.LEAD


async def test_an_agents_button_does_not_stand_in_for_a_leads(services: Services, store: Store) -> None:
    """The same press under the name that agents may use sends nothing."""
    services = texting(services, sms=None)
    items = await town(store, services)
    await failed(store, items[6], "blocked_reputation", reason=Reason.INFRASTRUCTURE, **REFUSED)
    await Watch(services, 1).sweep()
    incident = await _incident(store)
    value = {"s": {"i": str(incident.id)}, "k": "refused", "b": "retry", "p": "p1", "n": 5}
    agent = agent_on(services, Role.AGENT)
    reply = await agent.run(agent.request("failures", "do", value=value))
    assert said(reply) == ":white_check_mark: Nobody is left with this cause."
