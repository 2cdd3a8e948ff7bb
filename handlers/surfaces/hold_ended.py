"""The word to whoever set a hold, once its last day is over. Key: the hold's id."""

from __future__ import annotations

from uuid import UUID

from billing.holds import HOLD_ENDED_SURFACE
from handlers import format as fmt
from handlers.blocks import actions, button, fit, lines, md, section
from handlers.cards import is_overdue
from handlers.contract import Services
from handlers.masks import shown_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply
from store.models import Hold, Subscriber


class HoldEndedSurface:
    name = HOLD_ENDED_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        profile = services.profile(tenant)
        async with services.store.read(tenant) as tx:
            hold = await tx.notes.hold(UUID(key))
            subscriber = await tx.subscribers.by_account(hold.scope_key) if hold else None
            if hold is None or subscriber is None:
                return None
            today = tx.now.astimezone(profile.time_zone).date()
            overdue = sum(is_overdue(i, today) for i in await tx.invoices.latest(subscriber.id, 12))
        return word(hold, subscriber, overdue, profile)


def word(hold: Hold, s: Subscriber, overdue: int, profile: TenantProfile) -> Reply:
    """Pure. Masked: a hold that nobody in particular set is told in the channel."""
    title = f"The hold on account {s.account} is over"
    until = fmt.day(hold.until, profile.locale)
    why = md(": {}", hold.reason) if hold.reason else ""
    balance = fmt.money(s.balance, profile.locale)
    if s.balance.minor > 0:
        late = f", {overdue} invoice{'s' if overdue != 1 else ''} overdue" if overdue else ""
        text = "Balance still *{}*{}. Reminders go out again; nothing is suspended by itself."
        stands = md(text, balance, late)
    else:
        stands = md("Balance *{}*: nothing is owed.", balance)
    value = {"s": str(s.id)}
    blocks: list[Block] = [
        section(
            lines(
                [
                    md(":hourglass: *{}* · {}", title, shown_name(s)),
                    md("It stood until {}{}", until, why),
                    stands,
                ]
            )
        ),
        *actions(button("Open for me", "find.open", value), button("Hold again…", "hold.ask", value)),
    ]
    return Reply(f"{title}. Balance {balance}.", fit(blocks))


SURFACE = HoldEndedSurface()
