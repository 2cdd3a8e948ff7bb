"""The read-only commands at a terminal: the workflows of Slack's, told as tables or as JSON.

They read in transactions that cannot write, so that they work beside a running product on SQLite too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.terminal.blocks import rendered
from handlers import format as fmt
from handlers import words
from handlers.blocks import clean
from handlers.commands.diagnose import view as diagnose_view
from handlers.commands.failures.view import count, scope_words
from handlers.commands.find import view as find_view
from handlers.commands.mail import view as mail_view
from handlers.commands.messages.view import title_of
from handlers.commands.spf import view as spf_view
from handlers.commands.spf.command import typed_domain
from handlers.contract import Services
from handlers.failures import Failing, read_scope
from handlers.found import AccountOrInvoice, Found, One, Several
from handlers.profile import Role, TenantProfile
from handlers.reply import To, UserError
from handlers.spf_look import SpfState
from handlers.waiting import Waiting, age, ceilings, holder_words, span
from handlers.workflows import failures, incidents, mail, spf, waiting
from handlers.workflows.diagnose import examine
from handlers.workflows.lookup import find
from handlers.workflows.profile_card import load_card, page_of_notices
from store.models import IncidentState

FOUND: Final = 0
WRONG: Final = 1
"""What was looked at is not as it should be."""
ASKED: Final = 3
"""Several fit: which one has to be said."""


@dataclass(frozen=True, slots=True)
class Told:
    """`data` for programs, `shown` for people; `code` is what the command exits with."""

    data: Any
    shown: RenderableType
    code: int = FOUND


Twin = Callable[[Services, int, str], Awaitable[Told]]


async def _who(services: Services, tenant: int, text: str, example: str) -> Found:
    if not text:
        raise UserError("Whom is it about?", f"Say an account, a name, a phone, an e-mail: `{example} 1042`.")
    async with services.store.read(tenant) as tx:
        return await find(tx, services.profile(tenant), text)


def _which(found: Several | AccountOrInvoice) -> Told:
    """Never a guess: the ones that fit."""
    if isinstance(found, AccountOrInvoice):
        invoice, account = found.invoice, found.account
        table = Table("say", "is")
        table.add_row(f"account {account.account}", clean(account.name))
        table.add_row(f"invoice {invoice.number}", "an invoice with that number")
        return Told({"account": account, "invoice": invoice}, table, ASKED)
    title = "Nobody is called exactly so. Did you mean one of these?" if found.close else "Several fit:"
    table = Table("account", "name", "kind", "status", title=title, title_justify="left")
    for one in found.subscribers:
        table.add_row(one.account, clean(one.name), one.kind, one.status)
    more = [Text("There are more: add a letter or two.", style="dim")] if found.more else []
    return Told({"several": found.subscribers, "more": found.more}, Group(table, *more), ASKED)


async def _find(services: Services, tenant: int, text: str) -> Told:
    found = await _who(services, tenant, text, "ispbot find")
    if not isinstance(found, One):
        return _which(found)
    profile = services.profile(tenant)
    async with services.store.read(tenant) as tx:
        data = await load_card(tx, profile, found.subscriber, found.invoice)
    return Told(data, rendered(find_view.card(data, profile, masked=False, role=Role.VIEWER).blocks))


async def _diagnose(services: Services, tenant: int, text: str) -> Told:
    found = await _who(services, tenant, text, "ispbot diagnose")
    if not isinstance(found, One):
        return _which(found)
    diagnosis = await examine(services, tenant, found.subscriber, found.invoice)
    return Told(diagnosis, rendered(diagnose_view.verdict(diagnosis, services.profile(tenant)).blocks))


_MOST_MESSAGES: Final = 50


async def _messages(services: Services, tenant: int, text: str) -> Told:
    found = await _who(services, tenant, text, "ispbot messages")
    if not isinstance(found, One):
        return _which(found)
    invoice = found.invoice
    async with services.store.read(tenant) as tx:
        notices, total = await page_of_notices(
            tx,
            subscriber_ids=[found.subscriber.id],
            invoice_id=invoice.id if invoice else None,
            limit=_MOST_MESSAGES,
        )
    profile = services.profile(tenant)
    about = f"invoice {invoice.number}" if invoice else f"account {found.subscriber.account}"
    table = Table("when", "what", "to", "how it stands", title=f"Messages · {about}", title_justify="left")
    for notice in notices:
        when = fmt.moment(notice.notification.created_at, profile.time_zone, profile.locale)
        what = title_of(notice) + (" (archived)" if notice.archived_at else "")
        for d in notice.deliveries:
            state = words.status(d, notice.events[d.id], profile.time_zone)
            table.add_row(when, clean(what), words.masked_target(d), clean(state))
    if not notices:
        return Told([], Text(f"No message was sent for {about} from here."))
    more = [Text(f"The newest {len(notices)} of {total:,}.", style="dim")] if total > len(notices) else []
    return Told(notices, Group(table, *more))


async def _spf(services: Services, tenant: int, text: str) -> Told:
    profile = services.profile(tenant)
    domain = typed_domain(text) if text else profile.route().envelope_domain.lower()
    look = await spf.look_at(services, tenant, domain)
    code = FOUND if look.state is SpfState.RIGHT else WRONG
    return Told(look, rendered(spf_view.answer(look, To.ASKER).blocks), code)


async def _mail(services: Services, tenant: int, text: str) -> Told:
    data = await mail.load(services, tenant)
    reply = mail_view.overview(data, services.profile(tenant), Role.VIEWER)
    return Told(data, rendered(reply.blocks))


async def _failures(services: Services, tenant: int, text: str) -> Told:
    profile = services.profile(tenant)
    scope = read_scope(text, "ispbot")
    async with services.store.read(tenant) as tx:
        failing = await failures.load(tx, profile, scope)
    return Told(failing, _failing(failing))


def _failing(failing: Failing) -> RenderableType:
    title = f"Without a proven notice: {scope_words(failing)}"
    if not failing.groups:
        return Text(f"{title}: nobody. Every notice got through or is still on its way.")
    table = Table("rows", "why", "assigned", "what helps", title=title, title_justify="left")
    for group in failing.groups:
        mine = sum(row.assigned is not None for row in group.rows)
        table.add_row(f"{len(group.rows):,}", clean(group.title), f"{mine:,}" if mine else "", group.hint)
    people = count(failing.people, "person", "people")
    return Group(table, Text(f"{people}, {count(failing.addresses, 'row')}", style="dim"))


async def _queue(services: Services, tenant: int, text: str) -> Told:
    data = await waiting.load(services, tenant)
    return Told(data, _waiting(data, services.profile(tenant)))


def _waiting(data: Waiting, profile: TenantProfile) -> RenderableType:
    ways = Table("route", "kind", "due", "urgent", "oldest", "with a worker", "later")
    for way in data.ways:
        q = way.queued
        oldest = age(q.oldest_due, data.now) if q and q.oldest_due else ""
        numbers = [q.due, q.urgent] if q else [0, 0]
        ways.add_row(
            way.name,
            way.channel,
            *(f"{number:,}" for number in numbers),
            oldest,
            f"{way.in_hand:,}",
            f"{q.later if q else 0:,}",
        )
    parts: list[RenderableType] = [ways]
    if data.held:
        held = Table("held", "by", "route", "oldest")
        for one in data.held:
            by = clean(holder_words(one.by, data))
            held.add_row(f"{one.count:,}", by, one.route, age(one.oldest, data.now))
        parts.append(held)
    for ceiling in ceilings(data):
        whose = f"{ceiling.way}: " if ceiling.way else ""
        end = f" At this rate it is over in {span(ceiling.ends_in)}." if ceiling.ends_in is not None else ""
        parts.append(Text(f"{whose}{ceiling.sentence}{end}"))
    return Group(*parts)


async def _incidents(services: Services, tenant: int, text: str) -> Told:
    profile = services.profile(tenant)
    async with services.store.read(tenant) as tx:
        found = [await incidents.load_incident(tx, one) for one in await tx.incidents.unresolved()]
        now = tx.now
    if not found:
        return Told([], Text("No open incident."))
    table = Table("since", "what", "urgent", "people", "messages", "how it stands")
    for data in found:
        i = data.incident
        state = "acknowledged" if i.state is IncidentState.ACKNOWLEDGED else "nobody has it yet"
        table.add_row(
            fmt.lately(i.first_at, now, profile.time_zone, profile.locale),
            clean(i.title),
            "yes" if i.urgent else "",
            f"{data.people:,}",
            f"{i.count:,}",
            f"{state}, seems over" if data.over else state,
        )
    return Told(found, table, WRONG)


TWINS: Final[dict[str, Twin]] = {
    "find": _find,
    "diagnose": _diagnose,
    "messages": _messages,
    "spf": _spf,
    "mail": _mail,
    "failures": _failures,
    "queue": _queue,
    "incidents": _incidents,
}

__all__ = ["TWINS", "Told", "Twin"]
