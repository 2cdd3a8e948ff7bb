"""/isp trial: the same test mail by both mail servers, and which of them gets through. Leads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from handlers.commands.trial import view
from handlers.contract import CommandRequest, Services
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, Reply
from handlers.workflows import trials
from handlers.workflows.resend import Sent


class Trial:
    spec = CommandSpec(
        name="trial",
        usage="trial [mailbox]",
        summary="Test both mail servers side by side",
        examples=("trial", "trial me@inbox.example"),
        role=Role.LEAD,
        action_max_age={"send": timedelta(hours=1)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "cancel":
            return [view.cancelled()]
        if request.action == "send":
            mailbox, preview = str(request.value["m"]), str(request.value["n"])
            sent = await trials.begin(services, request, mailbox, preview)
            return [view.sent() if sent is Sent.NOW else view.sent_before()]
        profile = services.profile(request.tenant)
        routes = trials.routes_of(profile)
        wanted = request.text.strip() or next(iter(profile.test_mailboxes), "")
        first = trials.mailbox_of(profile, wanted)
        mailboxes = [first] if request.text.strip() else list(profile.test_mailboxes)
        return [view.preview(profile, routes, mailboxes, request.id)]


COMMAND = Trial()
