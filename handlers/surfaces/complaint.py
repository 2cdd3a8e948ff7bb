"""The word to the desk that somebody marked our mail as spam. Key: the delivery's id."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from handlers import format as fmt
from handlers.blocks import actions, button, context, fit, lines, md, section
from handlers.contract import Services
from handlers.masks import mask_address, shown_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply
from handlers.words import KIND_WORDS
from notifier.dsn import COMPLAINT_SURFACE
from notifier.tracking import COMPLAINT
from store.models import Channel, Delivery, EventKind, Invoice, Notification, Subscriber


@dataclass(frozen=True, slots=True)
class Complained:
    """A complaint with what it is about."""

    delivery: Delivery
    notification: Notification
    invoice: Invoice | None
    whose: Subscriber | None
    stopped: bool
    """The address is on the do-not-send list for it."""
    proven: bool = True
    """Signed, for spam, and about this very mailbox; else it is told, and says no more than it shows."""


class ComplaintSurface:
    name = COMPLAINT_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            delivery = await tx.deliveries.get(UUID(key))
            notification = await tx.notifications.get(delivery.notification_id) if delivery else None
            if delivery is None or notification is None:
                return None
            invoice_id, whose = notification.invoice_id, delivery.subscriber_id or notification.subscriber_id
            invoice = await tx.invoices.by_id(invoice_id) if invoice_id else None
            subscriber = await tx.subscribers.by_id(whose) if whose else None
            place = (Channel.EMAIL, delivery.address)
            standing = (await tx.suppressions.active([place])).get(place)
            stopped = standing is not None and standing.reason == COMPLAINT
            events = (await tx.events.of([(tenant, delivery.id)]))[tenant, delivery.id]
        proven = stopped or any(e.kind is EventKind.COMPLAINT and e.hard for e in events)
        data = Complained(delivery, notification, invoice, subscriber, stopped, proven)
        return word(data, services.profile(tenant))


_MEANT = (
    "Ask whether they meant it: many press “spam” to tidy up. If they want their invoices by mail, "
    "a lead releases the address."
)
_UNPROVEN = (
    "It names another mailbox or another reason than spam, or nobody signed it. Read it before you call: "
    "it does not prove that they want no mail."
)


def word(data: Complained, profile: TenantProfile) -> Reply:
    """Pure. Masked: it stands in a channel."""
    s = data.whose
    who = md("account {} · {}", s.account, shown_name(s)) if s else md("nobody on file")
    title = f"Account {s.account} marked our mail as spam" if s else "A recipient marked our mail as spam"
    if not data.proven:
        title = f"A complaint about our mail to {f'account {s.account}' if s else 'a recipient'}"
    what = KIND_WORDS[data.notification.kind] + (f" {data.invoice.number}" if data.invoice else "")
    sent = fmt.moment(data.delivery.created_at, profile.time_zone, profile.locale)
    stands = (
        md(
            "We send no more mail there, invoices included, until a lead releases the address. "
            "Their other addresses and texts go on."
        )
        if data.stopped
        else md("Mail to this address goes on.")
    )
    blocks: list[Block] = [
        section(
            lines(
                [
                    md(":no_bell: *{}*", title),
                    md("{} · {}", who, mask_address(data.delivery.address)),
                    md("About: {} of {}", what, sent),
                    stands,
                ]
            )
        ),
        section(md(":point_right: {}", _MEANT if data.proven else _UNPROVEN)),
        *actions(
            button("Open for me", "find.open", {"s": str(s.id)}) if s else None,
            button("Release… (leads)", "release.ask", {"c": Channel.EMAIL, "a": data.delivery.address})
            if data.stopped
            else None,
        ),
        context("Their mailbox provider told us, about a mail that bears our signature.")
        if data.proven
        else context("It is on the mail's timeline, in its own words."),
    ]
    return Reply(f"{title}: {what}.", fit(blocks))


SURFACE = ComplaintSurface()
