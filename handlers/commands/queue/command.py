"""/isp queue: what waits now and for whom, why it is not faster, and what a person may let go."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from handlers.commands.queue import view
from handlers.contract import CommandRequest, Services, audit
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, Reply, To
from handlers.waiting import Decision
from handlers.workflows import doubts, waiting


class QueueCommand:
    spec = CommandSpec(
        name="queue",
        usage="queue",
        summary="See what waits, who holds it, and why it is slow",
        examples=("queue",),
        aliases=("why-slow", "whyslow", "slow", "waiting", "held"),
        role=Role.VIEWER,
        action_roles={
            "doubt": Role.AGENT,
            "again": Role.AGENT,
            "arrived": Role.AGENT,
            "giveup": Role.AGENT,
        },
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        profile = services.profile(request.tenant)
        if request.action == "list":
            return [await self._list(request, services)]
        if request.action in ("doubt", *Decision):
            async with services.store.begin(request.tenant) as tx:
                delivery_id = UUID(request.value["d"])
                if request.action == "doubt":
                    delivery = await doubts.in_doubt(tx, delivery_id)
                    ref = (request.tenant, delivery_id)
                    return [view.doubt(delivery, (await tx.events.of([ref]))[ref])]
                decision = Decision(request.action)
                await doubts.decide(tx, request, delivery_id, decision)
            return [view.decided(decision)]
        found = await waiting.load(services, request.tenant)
        to = To.REPLACE if "p" in request.value else To.ASKER
        return [view.overview(found, profile, request.actor.role, to)]

    async def _list(self, request: CommandRequest, services: Services) -> Reply:
        by, offset = str(request.value["by"]), max(int(request.value.get("o", 0)), 0)
        async with services.store.begin(request.tenant) as tx:
            found = await tx.queue.held_by(by, offset=offset, limit=view.PAGE + 1)
            notifications = await tx.notifications.get_many([d.notification_id for d in found])
            people = await tx.subscribers.by_ids(
                sorted({n.subscriber_id for n in notifications.values() if n.subscriber_id})
            )
            await audit(tx, request, "queue.look", "queue", detail={"by": by, "offset": offset})
            now = tx.now
        return view.listing(by, found, notifications, people, offset, now, request.actor.role)


COMMAND = QueueCommand()
