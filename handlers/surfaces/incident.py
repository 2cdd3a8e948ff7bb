"""The on-call card, edited in place while its cause catches messages. Key: the incident's id."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.incidents import view
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows.incidents import INCIDENT_SURFACE, load_incident, text_obstacle


class IncidentSurface:
    name = INCIDENT_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        profile = services.profile(tenant)
        async with services.store.read(tenant) as tx:
            incident = await tx.incidents.get(UUID(key))
            if incident is None:
                return None
            data = await load_incident(tx, incident)
        return view.card(data, profile, obstacle=text_obstacle(incident, profile))


SURFACE = IncidentSurface()
