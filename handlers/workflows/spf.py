"""SPF looked at, and watched until it is right: "tell me when it is fixed".

A watch looks 1, 2, 5, 10, 15 and 30 minutes after it was asked for, then every hour for a week (business
time). Its card is edited in place; the word that it is fixed stands in the card's thread. A look that DNS
does not answer ends nothing.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from handlers.contract import CommandRequest, Services, audit, audit_key
from handlers.profile import TenantProfile
from handlers.reply import UserError
from handlers.spf_look import SpfLook, SpfState, Way, alignment
from notifier.channels import Route
from notifier.mailauth import SpfCheck, check_host, lint_spf, sending_identity
from notifier.mailauth.domains import ascii_domain
from store.models import AuditEntry, DnsWatch, Post, WatchEnd
from store.unit import Tx

SPF = "spf"
"""The kind of these watches."""
SPF_SURFACE = "spf"
"""Shared looks. Key: a domain, a hash sign, what shared it; or a hash sign and the watch's id."""
SPF_WORD_SURFACE = "spf_word"
"""The word in a watch's thread when it ends. Key: the watch's id."""
LIFETIME = timedelta(days=7)
EARLY = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30))
HOURLY = timedelta(hours=1)
CLOCK = "clock"


def next_look(watch_since: datetime, now: datetime) -> datetime:
    """When the first look after `now` is due; those that were slept through are not made up for."""
    for step in EARLY:
        if watch_since + step > now:
            return watch_since + step
    hours = (now - watch_since) // HOURLY + 1
    return watch_since + hours * HOURLY


async def look_at(services: Services, tenant: int, domain: str) -> SpfLook:
    """The record of a domain, and what it says of each address that our routes send from."""
    profile = services.profile(tenant)
    domain = ascii_domain(domain) or domain  # typed in its own letters it is ours all the same
    facts = [route.sender_facts for route in profile.routes]
    # The record to publish has to let all of them pass.
    ours = [ip for one in facts if one.envelope_domain == domain for ip in one.egress_ips]
    report, ways = await asyncio.gather(
        lint_spf(
            domain,
            resolver=services.resolver,
            required_include=profile.required_include,
            sending_ips=tuple(dict.fromkeys(ours)),
        ),
        _ways(services, profile, domain),
    )
    return SpfLook(report, profile.required_include, ways, await _alignment(services, profile, domain))


async def _alignment(services: Services, profile: TenantProfile, domain: str) -> tuple[str, ...]:
    """What DMARC makes of the mail whose envelope bears this domain."""
    facts = [route.sender_facts for route in profile.routes]
    facts = [one for one in facts if one.envelope_domain == domain]
    found = await asyncio.gather(*(sending_identity(one, resolver=services.resolver) for one in facts))
    return alignment(found)


async def _ways(services: Services, profile: TenantProfile, domain: str) -> tuple[Way, ...]:
    asked = [(route, ip) for route in profile.routes for ip in route.egress_ips or ("",)]
    checks = await asyncio.gather(*(_checked(services, route, ip, domain) for route, ip in asked))
    ours = {route.sender_facts.envelope_domain for route in profile.routes}
    return tuple(
        # Of a domain that none of our envelopes has, the question is what would be if one had.
        Way(
            route.name,
            ip,
            check,
            domain == route.sender_facts.envelope_domain or _in_use(profile, route, domain, ours),
        )
        for (route, ip), check in zip(asked, checks, strict=True)
    )


def _in_use(profile: TenantProfile, route: Route, domain: str, ours: set[str]) -> bool:
    return domain not in ours and route.name == profile.default_route


async def _checked(services: Services, route: Route, ip: str, domain: str) -> SpfCheck | None:
    if not ip:
        return None
    return await check_host(ip, f"bounces@{domain}", route.helo or domain, resolver=services.resolver)


async def ask(tx: Tx, request: CommandRequest, look: SpfLook) -> DnsWatch:
    """Opens the watch, or joins the one that there is; its card stands in the asker's channel too."""
    watch = await tx.dns_watches.open_or_join(
        SPF,
        look.domain,
        request.actor.user_id,
        seen=look.sentence,
        next_at=next_look(tx.now, tx.now),
        expires_at=tx.now + LIFETIME,
    )
    await tx.posts.want(SPF_SURFACE, card_key(watch.id), request.channel)
    await tx.posts.bump(SPF_SURFACE, [(tx.tenant, card_key(watch.id))])
    about = f"domain:{look.domain}"[:120]
    await audit(tx, request, "spf.watch", about, detail={"channel": request.channel, "watch": str(watch.id)})
    return watch


async def stop(tx: Tx, request: CommandRequest) -> DnsWatch:
    """Whoever asked leaves it to the others; the last one, or somebody who did not ask, ends it."""
    watch = await _of(tx, request)
    about = f"domain:{watch.domain}"[:120]
    if await tx.audit.stands(audit_key(request, "spf.stop", about)):
        return watch  # carried out before a crash: who has left already must not end it for the others
    if not await tx.dns_watches.leave(watch.id, request.actor.user_id):
        await tx.dns_watches.end(watch.id, WatchEnd.CANCELLED, request.actor.user_id)
    await tx.posts.bump(SPF_SURFACE, [(tx.tenant, card_key(watch.id))])
    await audit(tx, request, "spf.stop", about, detail={"watch": str(watch.id)})
    return await tx.dns_watches.get(watch.id) or watch


async def look_now(tx: Tx, request: CommandRequest) -> bool:
    """The next look is due at once; False when the watch is over."""
    return await tx.dns_watches.look_now((await _of(tx, request)).id)


async def hurry(tx: Tx, domain: str) -> None:
    """Somebody has just seen that it is right: those who wait for it are told at once."""
    watch = await tx.dns_watches.open_for(SPF, domain)
    if watch is not None:
        await tx.dns_watches.look_now(watch.id)


async def _of(tx: Tx, request: CommandRequest) -> DnsWatch:
    watch = await tx.dns_watches.get(UUID(str(request.value["w"])))
    if watch is None:
        raise UserError("This watch is not on file any more.", "Ask again with `/isp spf`.")
    return watch


def card_key(watch_id: UUID) -> str:
    return f"#{watch_id}"


class SpfWatches:
    """Takes looks that are due, of every tenant of this deployment."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def sweep(self) -> int:
        """One round; gives how many watches were looked at."""
        async with self._services.store.system() as tx:
            due = await tx.dns_watches.take_due(
                list(self._services.tenants), lambda watch: next_look(watch.created_at, tx.now)
            )
        if due:
            self._services.forget_dns()
        ends = await asyncio.gather(*(self._look(watch) for watch in due), return_exceptions=True)
        for end in ends:  # one domain's trouble must not keep the others from being told
            if isinstance(end, BaseException):
                raise end
        return len(due)

    async def _look(self, watch: DnsWatch) -> None:
        found = await look_at(self._services, watch.tenant, watch.domain)
        async with self._services.store.begin(watch.tenant) as tx:
            if not await tx.dns_watches.looked(watch.id, found.sentence):
                return  # stopped while we looked
            if found.state is SpfState.RIGHT:
                await _end(tx, watch, WatchEnd.FIXED)
            elif tx.now >= watch.expires_at:
                await _end(tx, watch, WatchEnd.EXPIRED)
            await tx.posts.bump(SPF_SURFACE, [(tx.tenant, card_key(watch.id))])


async def _end(tx: Tx, watch: DnsWatch, how: WatchEnd) -> None:
    if not await tx.dns_watches.end(watch.id, how):
        return
    cards: list[Post] = await tx.posts.of(SPF_SURFACE, card_key(watch.id))
    for card in cards:
        await tx.posts.want(SPF_WORD_SURFACE, str(watch.id), card.channel, parent=card.id)
    entry = AuditEntry(
        tx.now, CLOCK, f"spf.{how}", f"domain:{watch.domain}"[:120], {"looks": watch.checks + 1}
    )
    await tx.audit.append(f"watch:{watch.id}:{how}", entry)
