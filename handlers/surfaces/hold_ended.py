"""The word to whoever set a hold, once its last day is over. Key: the hold's id."""

from __future__ import annotations

from uuid import UUID

from billing.hold_words import thing
from billing.holds import AREA_KINDS, HOLD_ENDED_SURFACE
from handlers import format as fmt
from handlers.blocks import actions, button, context, fit, lines, md, section
from handlers.cards import is_overdue
from handlers.contract import Services
from handlers.masks import shown_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply
from store.models import ACCOUNT, Hold, Subscriber


class HoldEndedSurface:
    name = HOLD_ENDED_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        profile = services.profile(tenant)
        async with services.store.read(tenant) as tx:
            hold = await tx.notes.hold(UUID(key))
            if hold is None:
                return None
            if hold.scope != ACCOUNT:
                area = await tx.areas.find(hold.scope, hold.scope_key, AREA_KINDS)
                return area_word(hold, area.accounts if area else 0, profile)
            subscriber = await tx.subscribers.by_account(hold.scope_key)
            if subscriber is None:
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


def area_word(hold: Hold, accounts: int, profile: TenantProfile) -> Reply:
    """Pure. Of a town or a tag."""
    title = f"The hold on {thing(hold.scope, hold.scope_key)} is over"
    why = md(": {}", hold.reason) if hold.reason else ""
    until = fmt.day(hold.until, profile.locale)
    again = f'{profile.command} hold {hold.scope}:"{hold.scope_key}" until +7d'
    now = (
        f"{accounts:,} account{'s' if accounts != 1 else ''}: what waited goes out now, if it is still true."
    )
    blocks = [
        section(lines([md(":hourglass: *{}*", title), md("It stood until {}{}", until, why), md("{}", now)])),
        context(md("To hold it again: `{}`", again)),
    ]
    return Reply(f"{title}. {now}", fit(blocks))


SURFACE = HoldEndedSurface()
