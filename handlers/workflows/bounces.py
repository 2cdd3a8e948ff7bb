"""The queue of unmatched bounce reports: looked through, matched by hand, dismissed.

Nobody signed such a report: matching puts it on the message's timeline as the word of whoever matched it, and
never stops mail to an address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from handlers.contract import CommandRequest, Services, audit
from handlers.found import One
from handlers.reply import UserError
from handlers.unmatched import PAGE, Candidate, Matching, Queue
from notifier import dsn
from notifier.keys import Keyring
from store.addresses import normalise_email
from store.models import Channel, Delivery, Orphan, Unmatched
from store.unit import Tx

RECENT = timedelta(days=30)
MOST = 20
_TOKEN = re.compile(r"\bb[a-z2-7]{47}\b", re.IGNORECASE)


async def load(tx: Tx, offset: int = 0) -> Queue:
    total = await tx.orphans.count_waiting()
    offset = max(min(offset, (total - 1) // PAGE * PAGE), 0)
    return Queue(await tx.orphans.waiting(PAGE, offset), offset, total, tx.now)


async def orphan_of(tx: Tx, request: CommandRequest) -> Orphan:
    found = await tx.orphans.get(UUID(request.value["r"]))
    if found is None:
        raise UserError("This report is not on file any more.", "Reports are kept for 90 days.")
    return found


def _matched_already() -> UserError:
    return UserError("This report was matched already.", "It stands on that message's timeline.")


async def waiting(tx: Tx, request: CommandRequest) -> Orphan:
    """The report, if nobody was quicker."""
    found = await orphan_of(tx, request)
    if found.matched_at is not None:
        raise _matched_already()
    if found.dismissed_at is not None:
        raise UserError("This report was dismissed already.", "Whoever dismissed it can undo that.")
    return found


async def matching(tx: Tx, orphan: Orphan) -> Matching:
    """The mails of the last 30 days to the report's own recipient."""
    if not orphan.recipient:
        return Matching(orphan, ())
    address = normalise_email(orphan.recipient).address
    sent = await tx.deliveries.recent_mails(address, since=tx.now - RECENT, limit=MOST)
    return Matching(orphan, await _candidates(tx, sent))


async def matching_named(tx: Tx, orphan: Orphan, found: One) -> Matching:
    """The mails of the last 30 days about this invoice, or to this account."""
    about, _ = await tx.notifications.page(
        subscriber_ids=[found.subscriber.id],
        invoice_id=found.invoice.id if found.invoice else None,
        limit=MOST,
    )
    of = await tx.deliveries.of_notifications([n.id for n in about])
    since = tx.now - RECENT
    sent = [d for n in about for d in of[n.id] if d.channel is Channel.EMAIL and d.created_at >= since]
    return Matching(orphan, await _candidates(tx, sent[:MOST]))


async def matching_token(tx: Tx, keyring: Keyring, orphan: Orphan, text: str) -> Matching | None:
    """The mail whose Message-ID was typed; None when none of ours was."""
    found = _TOKEN.search(text)
    token = keyring.read_delivery_token(found[0].lower()) if found else None
    if token is None or token.tenant != tx.tenant:
        return None
    delivery = await tx.deliveries.get(token.delivery_id)
    mail = delivery is not None and delivery.channel is Channel.EMAIL
    return Matching(orphan, await _candidates(tx, [delivery])) if delivery and mail else None


async def _candidates(tx: Tx, sent: Sequence[Delivery]) -> list[Candidate]:
    notices = await tx.notifications.get_many(sorted({d.notification_id for d in sent}))
    invoices = await tx.invoices.by_ids([n.invoice_id for n in notices.values() if n.invoice_id])
    whose = {d.id: d.subscriber_id or notices[d.notification_id].subscriber_id for d in sent}
    people = await tx.subscribers.by_ids(sorted({s for s in whose.values() if s}))
    found: list[Candidate] = []
    for d in sent:
        notice, owner = notices[d.notification_id], whose[d.id]
        invoice = invoices.get(notice.invoice_id) if notice.invoice_id else None
        found.append(Candidate(d, notice, invoice, people.get(owner) if owner else None))
    return found


async def match(services: Services, request: CommandRequest, delivery_id: UUID) -> Matching:
    """Records the report as events of that mail; a second run changes nothing. UserError: too late."""
    async with services.store.read(request.tenant) as tx:
        orphan = await orphan_of(tx, request)
    found = await dsn.read(orphan.raw)
    async with services.store.begin(request.tenant) as tx:
        delivery = await tx.deliveries.get(delivery_id)
        if delivery is None:
            raise UserError("This message is not on file any more.", "Choose another one.")
        orphan = await orphan_of(tx, request)
        if orphan.delivery_id != delivery.id:
            orphan = await waiting(tx, request)
            if orphan.why is Unmatched.NO_REPORT:
                raise UserError("There is no report in this mail.", "Read it under Raw, then dismiss it.")
            if not await tx.orphans.matched(orphan.id, delivery.id, by=request.actor.user_id):
                raise _matched_already()  # by somebody whose press came in at the same moment
            await dsn.record_by_hand(tx, orphan, found, delivery, request.actor.user_id)
            await audit(
                tx, request, "bounce.match", f"delivery:{delivery.id}", detail={"report": str(orphan.id)}
            )
            delivery = await tx.deliveries.get(delivery.id) or delivery
        return Matching(orphan, await _candidates(tx, [delivery]))


async def dismiss(tx: Tx, request: CommandRequest) -> Orphan:
    """Twice by the same interaction is once. UserError: somebody matched it meanwhile."""
    orphan = await orphan_of(tx, request)
    mine = orphan.dismissed_at is not None and orphan.closed_by == request.actor.user_id
    if not mine:
        orphan = await waiting(tx, request)
        if not await tx.orphans.dismiss(orphan.id, by=request.actor.user_id):
            raise UserError("Somebody was quicker with this report.", "Open the queue again.")
        await audit(tx, request, "bounce.dismiss", f"report:{orphan.id}")
    return orphan


async def undo(tx: Tx, request: CommandRequest) -> Orphan:
    """Back into the queue. UserError: it has been matched since."""
    orphan = await orphan_of(tx, request)
    if orphan.matched_at is not None:
        raise _matched_already()
    if await tx.orphans.reopen(orphan.id):
        await audit(tx, request, "bounce.undo", f"report:{orphan.id}")
    return orphan
