"""Mending an address here, before billing does: what it was, what it becomes, and the way back.

The mirror is changed and an override kept, so that the next import does not bring the old one back. One
dialog mends once, however often it arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

from handlers.contacts import Contact, Mended, TakenBack, Weighed, billing_has, field_of
from handlers.contract import CommandRequest, Services, audit, audit_key
from handlers.reply import UserError
from handlers.workflows import filings
from handlers.workflows.address_books import known_of, look_at
from handlers.workflows.address_questions import address_changed, is_on_file
from handlers.workflows.diagnose import billing_points
from notifier.addresses import AddressReport, Known, unanswered
from store.addresses import normalise_email
from store.models import Channel, ContactOverride, ContactRole, Point, Subscriber
from store.types import derived_id
from store.unit import Tx


async def contact_of(tx: Tx, subscriber_id: UUID) -> Contact:
    subscriber = await tx.subscribers.by_id(subscriber_id)
    if subscriber is None:
        raise UserError("This subscriber is not on file any more.", "Look them up again.")
    points = (await tx.subscribers.points([subscriber.id]))[subscriber.id]
    return Contact(subscriber, tuple(billing_points(points, Channel.EMAIL)))


def chosen(points: Sequence[Point], point_id: str) -> Point | None:
    """The point of that id; the only one where there is one; None where there is none."""
    if point_id:
        return next((p for p in points if str(p.id) == point_id), None)
    return points[0] if len(points) == 1 else None


_ON_FILE = "This address is on file already."


def _typed(request: CommandRequest) -> str:
    return request.inputs.get(field_of(request.inputs), "")


async def look(services: Services, contact: Contact, known: Mapping[str, Known]) -> list[AddressReport]:
    """What is known of each address on file. What DNS does not answer in time is unknown."""
    return await asyncio.gather(
        *(look_at(services.resolver, p.address, known.get(p.address)) for p in contact.points)
    )


async def weigh(services: Services, request: CommandRequest) -> Weighed:
    """What speaks against the address that was typed. No answer of DNS in time is no objection."""
    typed = _typed(request)
    address = normalise_email(typed).address
    async with services.store.read(request.tenant) as tx:
        contact = await contact_of(tx, UUID(request.value["s"]))
        known = await _known(tx, services, address, contact)
    report = await look_at(services.resolver, typed, known)
    refused = ""
    if any(p.address == report.address and p.problem is None for p in contact.points):
        refused = _ON_FILE
    elif report.blocked is not None and report.suggestion is None:
        refused = f"{report.blocked.sentence} {report.blocked.todo}".strip()
    return Weighed(contact, _before(contact, request), typed, report, refused)


async def problem_with(services: Services, request: CommandRequest) -> str | None:
    """What speaks against an address that nobody is there to weigh, in a sentence; None when nothing does."""
    found = await weigh(services, request)
    if found.refused:
        return found.refused
    return next((finding.sentence for finding in found.report.warnings), None)


async def _known(tx: Tx, services: Services, address: str, contact: Contact) -> Known:
    zone = services.profile(tx.tenant).time_zone
    return (await known_of(tx, [address], other_than=contact.subscriber.id, zone=zone))[address]


def _before(contact: Contact, request: CommandRequest) -> Point | None:
    """The address that is to be replaced; None: one more is added."""
    if request.value.get("add"):
        return None
    return chosen(contact.points, request.inputs.get("which") or str(request.value.get("p", "")))


async def mend(services: Services, request: CommandRequest) -> Mended:
    """Changes the mirror, keeps the override and its audit row, in one transaction."""
    new = normalise_email(_typed(request))
    if new.problem is not None:
        raise UserError(f"That address cannot be used: {new.problem}", "Check it and try again.")
    async with services.store.begin(request.tenant) as tx:
        contact = await contact_of(tx, UUID(request.value["s"]))
        override_id = derived_id(contact.subscriber.id, "override", request.id)
        before = await tx.overrides.get(override_id)
        known = await _known(tx, services, new.address, contact)
        report = unanswered(new.address, known)
        if before is not None:
            return Mended(contact.subscriber, before, report, await _at_billing(tx, before))
        point, adding = _before(contact, request), bool(request.value.get("add"))
        if adding and any(p.address == new.address for p in contact.points):
            raise UserError(_ON_FILE, "There is nothing to add.")
        if point is None and contact.points and not adding:
            raise UserError("That address is not on file any more.", "Look the subscriber up again.")
        override = ContactOverride(
            id=override_id,
            subscriber_id=contact.subscriber.id,
            role=_role(contact, point),
            channel=Channel.EMAIL,
            old_address=point.address if point else "",
            new_address=new.address,
            actor=request.actor.user_id,
            created_at=tx.now,
        )
        # The question first, then the address: in the order in which an answer to it locks them.
        await address_changed(tx, override.subscriber_id, override.old_address)
        await _put(tx, override)
        await tx.overrides.add(override)
        await _audited(tx, request, "contact.mend", contact.subscriber, override)
        await filings.mended(tx, services, override, by=override.actor)
        billing = await _at_billing(tx, override)
    return Mended(contact.subscriber, override, report, billing)


async def _at_billing(tx: Tx, override: ContactOverride) -> str | None:
    standing = (await tx.overrides.active([override.subscriber_id])).get(override.subscriber_id, [])
    return billing_has(standing, override.new_address)


def _role(contact: Contact, point: Point | None) -> ContactRole:
    """One more goes beside the others: a first billing address would turn invoices away from theirs."""
    beside = point or next(iter(contact.points), None)
    return beside.role if beside else ContactRole.BILLING


async def _put(tx: Tx, override: ContactOverride) -> None:
    who, role, channel = override.subscriber_id, override.role, override.channel
    if not override.old_address:
        await tx.subscribers.add_point(who, role, channel, override.new_address)
    elif not await tx.subscribers.change_point(
        who, role, channel, override.old_address, override.new_address
    ):
        raise UserError("Somebody has changed this address a moment ago.", "Look the subscriber up again.")


async def undo(services: Services, request: CommandRequest) -> tuple[Mended, TakenBack]:
    """Puts the old address back, unless the change does not stand any more."""
    async with services.store.begin(request.tenant) as tx:
        override = await tx.overrides.get(UUID(request.value["o"]))
        subscriber = await tx.subscribers.by_id(override.subscriber_id) if override else None
        if override is None or subscriber is None:
            raise UserError("This address is not on file any more.", "Look the subscriber up again.")
        mended = Mended(subscriber, override)
        if not await tx.overrides.end([override.id]):
            return mended, await _ended_before(tx, request, mended)
        who, role, channel = override.subscriber_id, override.role, override.channel
        await address_changed(tx, who, override.new_address)
        if override.old_address:
            problem = normalise_email(override.old_address).problem
            back = await tx.subscribers.change_point(
                who, role, channel, override.new_address, override.old_address, problem=problem
            )
        else:
            back = await tx.subscribers.remove_point(who, role, channel, override.new_address)
        if not back:
            raise UserError("This address was changed again since.", "Take the later change back first.")
        await _audited(tx, request, "contact.undo", subscriber, override)
        await filings.mended_back(tx, services, override, by=request.actor.user_id)
    return mended, TakenBack.NOW


async def _ended_before(tx: Tx, request: CommandRequest, mended: Mended) -> TakenBack:
    """By this very press, run again; by billing, whose import agrees; or taken back."""
    if await tx.audit.stands(audit_key(request, "contact.undo", f"account:{mended.subscriber.account}")):
        return TakenBack.NOW
    return TakenBack.BILLING if await is_on_file(tx, mended.override) else TakenBack.BEFORE


async def _audited(
    tx: Tx, request: CommandRequest, action: str, subscriber: Subscriber, override: ContactOverride
) -> None:
    await audit(
        tx,
        request,
        action,
        f"account:{subscriber.account}",
        detail={"channel": override.channel, "role": override.role, "override": str(override.id)},
        personal={"old": override.old_address, "new": override.new_address},
    )
