"""The composition root: Config -> everything that runs. Finds commands, surfaces and channels by what they
expose, and fails on two of one name.
"""

from __future__ import annotations

import asyncio
import pkgutil
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import structlog
from aiohttp import web
from babel import Locale
from slack_sdk.web.async_client import AsyncWebClient

import billing.systems
import handlers.commands
import handlers.surfaces
import notifier.channels
from billing.acts import ActExecutor
from billing.filing_clerk import FilingClerk
from billing.holds import HoldSweep
from billing.invoice_pdf import Letterhead
from billing.pdfs import InvoicePdfs
from billing.port import BillingProvider, BillingSystem, GivesPdfs, Remote
from billing.truth import SEND_MODE, BillingTruth, SendMode
from bot import http
from bot.badges import badges
from bot.billing_events import BillingEvents
from bot.billing_sync import BillingSync
from bot.bounce_listener import BounceHandler, Gate, Limits, listen, listen_lmtp
from bot.clock import BusinessClock
from bot.config import Config, ConfigProblems, TenantConfig
from bot.domains import DnsLooks
from bot.imap_intake import ImapIntake, Mailbox
from bot.inbound_texts import InboundTexts
from bot.inbox import Inbox
from bot.limits import failovers, route_limits
from bot.media import MediaPages
from bot.oncall import OncallWatch
from bot.pages import InvoicePages
from bot.poster import Poster
from bot.practice import PracticeRooms
from bot.questions import QuestionSweep
from bot.respond import Responder
from bot.retention import RetentionDuty
from bot.roles import RoleBook
from bot.run_watch import RunWatch
from bot.runner import Runner
from bot.sealer import Sealer
from bot.signing import ValueSigner
from bot.slack import SlackRim
from bot.slack_trouble import SlackTroubles, WatchedClient
from bot.socket_mode import SocketMode
from bot.text_statuses import TextStatuses
from bot.watchdog import SignOfLife, Watch
from handlers.contract import Command, Services, Surface
from handlers.profile import Brand, EscalationProfile, OncallProfile, RunsProfile, SmsProfile, TenantProfile
from handlers.workflows.act_notices import ActNotices
from notifier.channels import AnyProvider, Route, SmsRoute
from notifier.compose import Composer
from notifier.gate import SharedGate
from notifier.mailauth.lookup import DnsResolver
from notifier.mx import destination
from notifier.outbox import Outbox
from notifier.quiet import QuietHours
from notifier.templates import BUILT_IN
from notifier.worker import Pace, Worker
from store import migrate
from store.engine import DatabaseError, Engine
from store.models import Channel, Tenant
from store.presence import Presence, dead_names
from store.unit import Store
from store.upkeep import Upkeep

log = structlog.get_logger()
Loop = Callable[[], Any]
DRAIN_S = 10.0


class DuplicateName(Exception):
    """Two parts call themselves the same."""


def exposed(package: ModuleType, attribute: str, *, inside: str = "") -> Iterator[Any]:
    """What the modules of a package expose under `attribute` (in their submodule `inside`)."""
    for info in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{info.name}" + (f".{inside}" if inside else "")
        found = getattr(import_module(name), attribute, None)
        if found is not None:
            yield found


def discover_commands() -> tuple[dict[str, Command], dict[str, str]]:
    """Commands by name, and every word that calls one (names and aliases)."""
    commands: dict[str, Command] = {}
    words: dict[str, str] = {}
    for command in exposed(handlers.commands, "COMMAND", inside="command"):
        commands[command.spec.name] = command
        for word in (command.spec.name, *command.spec.aliases):
            if word in words:
                raise DuplicateName(f"two commands are called {word}")
            words[word] = command.spec.name
    return commands, words


def discover_surfaces() -> dict[str, Surface]:
    surfaces: dict[str, Surface] = {}
    for surface in exposed(handlers.surfaces, "SURFACE"):
        if surface.name in surfaces:
            raise DuplicateName(f"two surfaces are called {surface.name}")
        surfaces[surface.name] = surface
    return surfaces


def discover_channels() -> dict[Channel, AnyProvider]:
    providers: dict[Channel, AnyProvider] = {}
    for provider in exposed(notifier.channels, "CHANNEL"):
        if provider.channel in providers:
            raise DuplicateName(f"two channels send {provider.channel}")
        providers[provider.channel] = provider
    return providers


def discover_billing() -> dict[str, BillingProvider]:
    providers: dict[str, BillingProvider] = {}
    for provider in exposed(billing.systems, "BILLING"):
        if provider.name in providers:
            raise DuplicateName(f"two billing systems are called {provider.name}")
        providers[provider.name] = provider
    return providers


def open_billing(config: Config, store: Store) -> dict[int, BillingSystem]:
    """Each tenant's system of record; ConfigProblems when app.yaml names one that there is not."""
    providers = discover_billing()
    opened: dict[int, BillingSystem] = {}
    for key, tenant in config.app.tenants.items():
        if tenant.billing not in providers:
            sentence = f"{tenant.billing!r} is none of {', '.join(sorted(providers))}"
            raise ConfigProblems([(f"tenants.{key}.billing", sentence)])
        provider = providers[tenant.billing]
        # Only where there is one: a provider of somebody's own may know nothing of remote systems.
        more = (remote_of(config, key, tenant),) if tenant.uisp is not None else ()
        opened[tenant.id] = provider.open(store, tenant.id, *more)
    return opened


def remote_of(config: Config, key: str, tenant: TenantConfig) -> Remote:
    """How the provider's remote system of record is reached; config has seen that it is set up."""
    uisp, secrets = tenant.uisp, config.secrets.billing[key]
    if uisp is None:
        raise LookupError("a remote system that is not set up")
    return Remote(
        url=uisp.api,
        app_key=secrets.app_key,
        webhook_secret=secrets.webhook_secret,
        language=Locale.parse(tenant.locale).language,
        region=tenant.region,
        time_zone=ZoneInfo(tenant.time_zone),
        timeout_s=uisp.timeout_s,
        catch_up_every=timedelta(minutes=uisp.sync_minutes),
        read_all_every=timedelta(hours=uisp.full_sync_hours),
        suspends_by_itself=uisp.suspends_by_itself,
        suspension_reason=uisp.suspension_reason,
    )


async def close_billing(systems: Mapping[int, BillingSystem]) -> None:
    for system in systems.values():
        await system.close()


def routes_of(config: Config, key: str, tenant: TenantConfig) -> tuple[Route, ...]:
    mail = tenant.mail
    return tuple(
        Route(
            name=name,
            kind=route.kind,
            host=route.host,
            port=route.port,
            envelope=route.envelope,
            envelope_domain=mail.envelope_domain,
            from_address=mail.sender.address,
            from_name=mail.sender.name,
            egress_ips=route.egress_ips,
            tls=route.tls,
            username=route.username,
            password=config.secrets.passwords.get((key, name)),
            dkim=config.secrets.signers.get((key, name)),
            connections=route.connections,
            mailbox=mail.bounce_mailbox.address.partition("@")[0] if mail.bounce_mailbox else "",
            timeout_s=route.timeout_s,
        )
        for name, route in mail.routes.items()
    )


def mailboxes_of(config: Config) -> list[Mailbox]:
    """Where bounces are fetched from."""
    return [
        Mailbox(
            tenant.id,
            box.address,
            (tenant.mail.envelope_domain.casefold(),),
            box.host,
            box.port,
            box.tls,
            box.username,
            config.secrets.mailboxes[key],
            box.folder,
            box.done,
            box.every_s,
        )
        for key, tenant in config.app.tenants.items()
        if (box := tenant.mail.bounce_mailbox) is not None
    ]


def profile_of(config: Config, key: str, tenant: TenantConfig) -> TenantProfile:
    brand = tenant.brand
    return TenantProfile(
        id=tenant.id,
        key=key,
        brand=Brand(brand.name, brand.support_email, brand.support_phone),
        time_zone=ZoneInfo(tenant.time_zone),
        locale=tenant.locale,
        region=tenant.region,
        command=config.app.slack.command,
        support_channel=tenant.channels.support,
        oncall_channel=tenant.channels.oncall,
        routes=routes_of(config, key, tenant),
        default_route=tenant.mail.route_in_use,
        required_include=tenant.mail.required_include,
        send_mode=tenant.mail.send_mode,
        public_url=config.app.public_url.rstrip("/"),
        remote_route=tenant.mail.remote_route,
        test_mailboxes=tenant.mail.test_mailboxes,
        attach_pdf=tenant.mail.attach_pdf,
        sms=sms_profile_of(config, key, tenant),
        oncall=OncallProfile(
            numbers=tenant.oncall.numbers,
            text_after=timedelta(minutes=tenant.oncall.text_after_minutes),
            burst=tenant.oncall.burst,
            burst_window=timedelta(minutes=tenant.oncall.burst_minutes),
        ),
        limits={route: found for (of, route), found in route_limits(config.app).items() if of == tenant.id},
        runs=RunsProfile(tenant.runs.approve_above, tenant.runs.stop_at_percent),
        portal_url=tenant.portal_url,
        billing=tenant.billing,
        billing_link=tenant.billing_link,
        templates=config.templates.get(key, BUILT_IN),
        escalation=(
            EscalationProfile(tenant.escalation.address, tenant.escalation.ticket_url)
            if tenant.escalation is not None
            else None
        ),
    )


def sms_profile_of(config: Config, key: str, tenant: TenantConfig) -> SmsProfile | None:
    sms = tenant.sms
    if sms is None:
        return None
    return SmsProfile(
        route=SmsRoute(
            name=sms.name,
            sender=sms.sender,
            account_sid=sms.account_sid,
            auth_tokens=config.secrets.sms_tokens[key],
            api_url=sms.api_url,
            messaging_service_sid=sms.messaging_service_sid,
            callback_url=f"{config.app.public_url.rstrip('/')}/twilio/status",
            connections=sms.connections,
            timeout_s=sms.timeout_s,
        ),
        segment_price=sms.segment_price,
        currency=sms.currency,
        fallback=sms.fallback,
        window=sms.window,
    )


def open_store(config: Config) -> Store:
    offset = Path(config.app.clock_file) if config.app.clock_file else None
    return Store(Engine(config.database_url), BusinessClock(offset))


async def schema_fits(url: str) -> None:
    """DatabaseError where this version cannot work on the schema that is there."""
    problems = await migrate.unfit(url)
    if not problems:
        return
    raise DatabaseError(
        f"The database's schema is not that of this version: {'; '.join(problems[:3])}. Run `ispbot migrate` "
        "of the newest version, and start that one (in a demo: `ispbot demo --fresh`)."
    )


async def ensure_tenants(store: Store, config: Config) -> None:
    async with store.system() as tx:
        for key, tenant in config.app.tenants.items():
            await tx.tenants.ensure(Tenant(tenant.id, key, tenant.brand.name, tenant.time_zone))


def open_resolver(config: Config) -> DnsResolver:
    return DnsResolver(list(config.app.dns.servers) or None, config.app.dns.port)


def build_services(config: Config, store: Store, commands: Mapping[str, Command]) -> Services:
    profiles = {t.id: profile_of(config, key, t) for key, t in config.app.tenants.items()}
    domains = {t.id: t.mail.envelope_domain for t in config.app.tenants.values()}
    resolver = open_resolver(config)
    return Services(
        store=store,
        outbox=Outbox(config.secrets.keyring, domains, {t: p.templates for t, p in profiles.items()}),
        resolver=resolver,
        forget_dns=resolver.forget,
        tenants=profiles,
        specs=[command.spec for command in commands.values()],
        keyring=config.secrets.keyring,
        billing=open_billing(config, store),
    )


def _plain(address: str) -> str:
    """A mailbox in small letters; a number as E.164 has it, however it was spaced."""
    return re.sub(r"[\s().-]", "", address) if address.startswith("+") else address.casefold()


def send_modes(config: Config) -> Callable[[int], SendMode]:
    modes = {
        t.id: SendMode(t.mail.send_mode, frozenset(_plain(a) for a in t.mail.only_to))
        for t in config.app.tenants.values()
    }
    return modes.__getitem__


def invoice_pdfs(store: Store, services: Services) -> InvoicePdfs:
    letterheads = {
        tenant: Letterhead(profile.brand, profile.region, profile.locale, profile.portal_url)
        for tenant, profile in services.tenants.items()
    }
    own = {tenant: system for tenant, system in services.billing.items() if isinstance(system, GivesPdfs)}
    return InvoicePdfs(store, letterheads, documents=own)


def quiet_hours(services: Services) -> Callable[[int], QuietHours | None]:
    """When each provider's bulk texts go, in their readers' own time."""
    hours = {
        tenant: QuietHours(profile.sms.window, profile.time_zone)
        for tenant, profile in services.tenants.items()
        if profile.sms is not None
    }
    return hours.get


class Runtime:
    """What one process runs: the bot half, the worker half, or both."""

    def __init__(self, config: Config, *, bot: bool, worker: bool) -> None:
        self._config, self._bot, self._worker = config, bot, worker

    async def run(self, started: Callable[[], None], stop: asyncio.Event) -> None:
        """Until `stop` is set: then nothing new is taken, and what runs is ended in order."""
        async with AsyncExitStack() as stack:
            loops, runner, worker = await self._start(stack)
            tasks = [asyncio.create_task(self._keep(loop), name=loop.__qualname__) for loop in loops]
            started()
            await stop.wait()
            log.info("stopping")
            drains = [half.drain(DRAIN_S) for half in (runner, worker) if half is not None]
            await asyncio.gather(*drains)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, loop: Loop) -> None:
        """A loop that fails (database gone, a bug) is logged and begins again."""
        while True:
            try:
                await loop()
            except Exception as error:
                log.exception("loop_failed", loop=loop.__qualname__, error=type(error).__name__)
            await asyncio.sleep(1)

    async def _start(self, stack: AsyncExitStack) -> tuple[list[Loop], Runner | None, Worker | None]:
        config = self._config
        store = open_store(config)
        stack.push_async_callback(store.close)
        store.engine.lock_process()
        await schema_fits(config.database_url)
        await store.start()
        await ensure_tenants(store, config)
        commands, words = discover_commands()
        services = build_services(config, store, commands)
        stack.push_async_callback(close_billing, services.billing)
        if self._bot:
            practice = PracticeRooms(services, commands, discover_surfaces())
            stack.push_async_callback(practice.close)
            services = replace(services, practice=practice)
        role = "-".join(name for name, on in (("bot", self._bot), ("worker", self._worker)) if on)
        presence = Presence.mine(role)
        dead = await dead_names(store, presence)
        loops: list[Loop] = []
        runner: Runner | None = None
        worker: Worker | None = None
        if self._worker:
            worker = await self._worker_half(store, services, presence.name, dead)
            sweeps = [OncallWatch(services).run, DnsLooks(services).run, QuestionSweep(services).run]
            sweeps.append(RetentionDuty(store, list(services.tenants)).run)
            runs = RunWatch(services)
            loops += [worker.run, *sweeps, Upkeep(store).run, *runs.loops()]
            loops += self._billing_half(store, services, presence.name, dead)
        if self._bot:
            bot_loops, runner = await self._bot_half(
                stack, store, services, commands, words, presence.name, dead
            )
            loops += bot_loops
        loops += [SignOfLife(store, presence).run, Watch(services).run]  # each half watches the other
        return loops, runner, worker

    async def _worker_half(self, store: Store, services: Services, name: str, dead: Sequence[str]) -> Worker:
        for tenant, profile in services.tenants.items():
            if profile.send_mode != "off":
                async with store.system() as tx:
                    await tx.deliveries.release_held(tenant, SEND_MODE)
        pace = self._config.app.worker
        return Worker(
            store=store,
            routes={tenant: profile.routes for tenant, profile in services.tenants.items()},
            text_routes={t: profile.sms.route for t, profile in services.tenants.items() if profile.sms},
            providers=discover_channels(),
            truth=BillingTruth(send_modes(self._config), quiet_hours(services)),
            composer=Composer(self._config.secrets.keyring, store.clock),
            name=name,
            dead=dead,
            destinations=lambda domain: destination(services.resolver, domain),
            attachments=invoice_pdfs(store, services),
            gate=SharedGate(
                store,
                list(services.tenants),
                route_limits(self._config.app),
                failover=failovers(self._config.app),
                destinations=lambda domain: destination(services.resolver, domain),
                worker=name,
            ),
            pace=Pace(lease_s=pace.lease_s, poll_s=pace.poll_s, sweep_s=pace.sweep_s),
        )

    def _billing_half(self, store: Store, services: Services, name: str, dead: Sequence[str]) -> list[Loop]:
        pace = self._config.app.worker
        executor = ActExecutor(
            store=store,
            systems=services.billing,
            outbox=services.outbox,
            announce=ActNotices(services.tenants),
            name=name,
            dead=dead,
            lease_s=pace.lease_s,
            poll_s=pace.poll_s,
        )
        zones = {tenant: profile.time_zone for tenant, profile in services.tenants.items()}
        channels = {tenant: profile.support_channel for tenant, profile in services.tenants.items()}
        clerk = FilingClerk(store, services.billing, poll_s=pace.poll_s)
        filing = [clerk.run] if clerk.needed else []
        return [executor.run, HoldSweep(store, zones, channels).run, *filing]

    async def _bot_half(
        self,
        stack: AsyncExitStack,
        store: Store,
        services: Services,
        commands: Mapping[str, Command],
        words: Mapping[str, str],
        name: str,
        dead: Sequence[str],
    ) -> tuple[list[Loop], Runner]:
        config = self._config
        keyring, lease_s = config.secrets.keyring, config.app.worker.lease_s
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15), trust_env=False)
        )
        troubles = SlackTroubles(store, services.tenants)
        clients = slack_clients(config, session, troubles)
        signer = ValueSigner(keyring, badges(self._config.app))
        roles = RoleBook({t.id: t.roles for t in config.app.tenants.values()}, clients)
        responder = Responder(store=store, session=session, clients=clients, keyring=keyring, signer=signer)
        runner = Runner(
            store=store,
            services=services,
            commands=commands,
            roles=roles,
            responder=responder,
            keyring=keyring,
            mx_hosts=mx_hosts(services),
            worker=name,
            lease_s=lease_s,
        )
        inbox = Inbox(store, worker=name, lease_s=lease_s)
        rim = SlackRim(
            store=store,
            services=services,
            commands=commands,
            aliases=words,
            teams={t.slack.team_id: t.id for t in config.app.tenants.values()},
            clients=clients,
            bot_tokens={t.id: config.secrets.bot_tokens[key] for key, t in config.app.tenants.items()},
            signing_secret=config.secrets.signing_secret,
            signer=signer,
            roles=roles,
            inbox=inbox,
            runner=runner,
            responder=responder,
            keyring=keyring,
        )
        poster = Poster(
            store=store,
            services=services,
            surfaces=discover_surfaces(),
            clients=clients,
            signer=signer,
            worker=name,
            lease_s=lease_s,
        )
        await poster.release(dead)
        # Before anything new is taken in: what comes later bears our name from the start.
        await runner.resume(dead)
        inbox_task = asyncio.create_task(inbox.run(), name="inbox")
        stack.push_async_callback(_cancelled, inbox_task)
        for server in await _bounce_servers(config, store, inbox, runner):
            stack.callback(server.close)
        pages = InvoicePages(services, invoice_pdfs(store, services))
        texts = InboundTexts(store=store, inbox=inbox, runner=runner, tenants=services.tenants)
        statuses = TextStatuses(services=services, inbox=inbox, runner=runner)
        outside = await stack.enter_async_context(
            aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        )
        media = MediaPages(services, outside)
        events = BillingEvents(services=services, inbox=inbox, runner=runner)
        routes = [*pages.routes(), *texts.routes(), *statuses.routes(), *media.routes(), *events.routes()]
        await self._serve(stack, http.application(store, rim, routes, troubles.names))
        tenants = [t.id for t in config.app.tenants.values()]
        loops: list[Loop] = [runner.run, poster.run, Sealer(store, tenants).run]
        if (following := BillingSync(store, services.billing)).needed:
            loops.append(following.run)
        if boxes := mailboxes_of(config):
            loops.append(ImapIntake(services, inbox, runner, boxes, store).run)
        if config.app.slack.mode == "socket":
            own = config.app.slack
            loops.append(SocketMode(rim, config.secrets.app_token, own.api_url, session).run)
        return loops, runner

    async def _serve(self, stack: AsyncExitStack, app: web.Application) -> None:
        site_runner = web.AppRunner(app, access_log=None)
        await site_runner.setup()
        stack.push_async_callback(site_runner.cleanup)
        await web.TCPSite(site_runner, self._config.app.http.host, self._config.app.http.port).start()


async def _bounce_servers(config: Config, store: Store, inbox: Inbox, runner: Runner) -> list[asyncio.Server]:
    own = config.app.bounces
    domains = {t.mail.envelope_domain: t.id for t in config.app.tenants.values()}
    hostname = next(iter(domains))
    limits = Limits(own.per_client_per_s, own.per_s, own.connections, own.connections_per_client)
    handler = BounceHandler(store=store, inbox=inbox, runner=runner, domains=domains, gate=Gate(limits))
    socket = Path(own.lmtp_socket) if own.lmtp_socket else None
    return [
        await listen(handler, own.host, own.port, hostname),
        *await listen_lmtp(handler, own.host, own.lmtp_port, socket, hostname),
    ]


def mx_hosts(services: Services) -> Callable[[str], Awaitable[frozenset[str]]]:
    async def hosts(domain: str) -> frozenset[str]:
        return frozenset((await destination(services.resolver, domain)).hosts)

    return hosts


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def slack_clients(
    config: Config, session: aiohttp.ClientSession, troubles: SlackTroubles | None = None
) -> dict[int, AsyncWebClient]:
    """One client a tenant on one session; no automatic repeats, since a repeated post is a second post.

    With `troubles` what Slack refuses for good is told to the on-call.
    """
    clients: dict[int, AsyncWebClient] = {}
    for key, t in config.app.tenants.items():
        more: dict[str, Any] = {
            "token": config.secrets.bot_tokens[key],
            "base_url": config.app.slack.api_url,
            "session": session,
            "retry_handlers": [],
            "timeout": 10,
        }
        if troubles is None:
            clients[t.id] = AsyncWebClient(**more)
        else:
            clients[t.id] = WatchedClient(tenant=t.id, troubles=troubles, **more)
    return clients
