"""Webhooks of the billing system: unsigned, sent once, and read back by their uuid."""

from __future__ import annotations

import time
import uuid
from typing import Any

import aiohttp

from sandbox.world import World

ANSWER_S = 5.0


class Events:
    def __init__(self, world: World, url: str) -> None:
        """`url`: the product's, with the secret as its last part."""
        self._world, self.url = world, url
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S), trust_env=False)

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    def get(self, event_id: str) -> dict[str, Any] | None:
        """As the API documents it: less than what was sent."""
        kept = self._world.documents.get("billing_event", event_id)
        if kept is None:
            return None
        return {name: kept[name] for name in ("uuid", "changeType", "entity", "entityId")}

    def happened(self, change: str, entity: str, number: int) -> dict[str, Any]:
        event = event_of(str(uuid.uuid4()), change, entity, number)
        self._world.documents.put("billing_event", event["uuid"], event)
        self._world.spawn(self.send(event))
        return event

    async def send(self, event: dict[str, Any], url: str = "") -> None:
        """Whether anybody listens there is for the wire list: UISP sends to what is set up in it."""
        if self._session is None:
            return
        started, status = time.monotonic(), "no answer"
        try:
            async with self._session.post(url or self.url, json=event, allow_redirects=False) as answer:
                status = str(answer.status)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            status = type(error).__name__
        ms = (time.monotonic() - started) * 1000
        told = f"event {event['eventName']}"
        self._world.wire.record("billing", "out", told, status, ms, uuid=event["uuid"])


def event_of(event_id: str, change: str, entity: str, number: int) -> dict[str, Any]:
    return {
        "uuid": event_id,
        "changeType": change,
        "entity": entity,
        "entityId": str(number),
        "eventName": f"{entity}.{change}",
        "extraData": {"entity": {"id": number}},
    }
