"""A trial: the same mail by both routes to a test mailbox of our own; once a preview."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from uuid import UUID

from handlers.contract import CommandRequest, Services, audit, audit_key
from handlers.profile import TenantProfile
from handlers.reply import UserError
from handlers.trials import Side, TrialData
from handlers.workflows.profile_card import load_notices
from handlers.workflows.resend import Sent
from notifier.contexts import brand_context
from notifier.outbox import Draft, KeyConflict, email
from notifier.tracking import FOLLOWED_BY
from store.models import NotificationKind, Priority, RouteTrial
from store.types import new_id
from store.unit import Tx

TRIAL_SURFACE = "route_trial"
"""The card that shows both side by side; its key is the trial's id."""
LETTERS = "AB"


def routes_of(profile: TenantProfile) -> tuple[str, str]:
    """The one in use and the other; UserError where there is no other."""
    other = profile.remote_route
    if other == profile.default_route:  # the switch is set: the other one is whatever is not in use
        other = next((r.name for r in profile.routes if r.name != profile.default_route), None)
    if other is None:
        raise UserError(
            "There is no other mail server to compare with.", "An admin can set one up in app.yaml."
        )
    return profile.default_route, other


def mailbox_of(profile: TenantProfile, wanted: str) -> str:
    """One of the configured test mailboxes: tests go nowhere else."""
    known = profile.test_mailboxes
    if not known:
        raise UserError(
            "There is no test mailbox.", "An admin can name some in app.yaml: mail.test_mailboxes."
        )
    found = next((mailbox for mailbox in known if mailbox.casefold() == wanted.strip().casefold()), None)
    if found is None:
        raise UserError("Tests go to our own test mailboxes only.", f"They are {', '.join(known)}.")
    return found


async def begin(services: Services, request: CommandRequest, mailbox: str, preview: str) -> Sent:
    """Queues both, with the trial, its audit row and its card, in one transaction."""
    try:
        return await _begin(services, request, mailbox, preview)
    except KeyConflict:  # the same preview was pressed at the same moment
        return Sent.BEFORE


async def _begin(services: Services, request: CommandRequest, mailbox: str, preview: str) -> Sent:
    profile = services.profile(request.tenant)
    mailbox, routes = mailbox_of(profile, mailbox), routes_of(profile)
    keys = [f"trial:{preview}:{letter}" for letter in LETTERS]
    async with services.store.begin(request.tenant) as tx:
        if await tx.notifications.holders(keys):
            mine = await tx.audit.stands(audit_key(request, "trial.begin", f"trial:{preview}"))
            return Sent.NOW if mine else Sent.BEFORE
        trial_id = new_id()
        code = _code(trial_id)
        drafts = [
            _draft(profile, request, trial_id, f"{code}-{letter}", key, route, mailbox)
            for letter, key, route in zip(LETTERS, keys, routes, strict=True)
        ]
        queued = await services.outbox.enqueue_many(tx, drafts)
        sent = tuple((route, item.notification_id) for route, item in zip(routes, queued, strict=True))
        await tx.trials.add(RouteTrial(trial_id, code, mailbox, sent, request.actor.user_id, tx.now))
        await audit(
            tx,
            request,
            "trial.begin",
            f"trial:{preview}",
            detail={"trial": str(trial_id), "routes": list(routes), "mailbox": mailbox},
        )
        await tx.posts.want(TRIAL_SURFACE, str(trial_id), request.channel)
    return Sent.NOW


def _code(trial_id: UUID) -> str:
    """Four letters and digits that are told apart when read aloud (RFC 4648 base32 has no 0, 1 and 8)."""
    return b32encode(hashlib.sha256(trial_id.bytes).digest()).decode()[:4]


def _draft(
    profile: TenantProfile,
    request: CommandRequest,
    trial_id: UUID,
    code: str,
    key: str,
    route: str,
    mailbox: str,
) -> Draft:
    return Draft(
        key=key,
        kind=NotificationKind.TRIAL,
        language="en",
        context={
            "brand": brand_context(profile.brand),
            "code": code,
            FOLLOWED_BY: [TRIAL_SURFACE, str(trial_id)],
        },
        recipients=[email(mailbox)],
        route=route,
        requested_by=request.actor.user_id,
        priority=Priority.URGENT,
        receipt=True,
    )


async def load(tx: Tx, trial_id: UUID) -> TrialData | None:
    trial = await tx.trials.get(trial_id)
    if trial is None:
        return None
    found = await tx.notifications.get_many([item for _, item in trial.notifications])
    notices = {n.notification.id: n for n in await load_notices(tx, list(found.values()))}
    sides = tuple(
        Side(route, letter, notices[item])
        for letter, (route, item) in zip(LETTERS, trial.notifications, strict=True)
        if item in notices  # archived by age
    )
    return TrialData(trial, sides)


__all__ = ["TRIAL_SURFACE", "begin", "load", "mailbox_of", "routes_of"]
