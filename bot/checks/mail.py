"""Mail: each route and its signature, the envelope domain's SPF and MX, the bounce listener; a test mail when
somebody asks for one.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, make_msgid
from typing import Final

from bot.checks.finding import LINE_S, Finding, Look, all_tried
from bot.config import Config, TenantConfig
from bot.imap_intake import Mailbox, MailboxError, Session
from bot.wiring import mailboxes_of, routes_of
from handlers.contract import Services
from handlers.masks import mask_address, mask_in_text
from handlers.spf_look import SpfState
from handlers.workflows.spf import look_at
from notifier.channels import Accepted, OutgoingMessage, Route
from notifier.channels.email_smtp import CHANNEL as MAIL
from notifier.channels.email_smtp import server_of
from notifier.mailauth import Resolver, Status, check_dkim_record
from notifier.mailauth.dkim_sign import DkimSigner
from notifier.mime import is_addr_spec
from notifier.mx import Destination, MailHosts, destination
from notifier.smtp import LoginRefused, SmtpLost, SmtpRefused, open_connection

STEP_S: Final = 10.0


async def mail(
    config: Config, services: Services, send_test: str | None, line_s: float = LINE_S
) -> list[Finding]:
    looks: list[tuple[str, Look]] = []
    for key, tenant in config.app.tenants.items():
        looks += _looks(config, key, tenant, services, send_test)
    return await all_tried(looks, line_s)


def _looks(
    config: Config, key: str, tenant: TenantConfig, services: Services, send_test: str | None
) -> list[tuple[str, Look]]:
    resolver, routes = services.resolver, routes_of(config, key, tenant)
    names = {route.name: f"{key}/{route.name}" for route in routes}
    looks: list[tuple[str, Look]] = []
    for route in routes:
        what = f"mail route {names[route.name]}"
        looks.append((what, _route(what, route, resolver)))
    for route in routes:
        if route.dkim is not None:
            what = f"DKIM of {names[route.name]}"
            looks.append((what, _signature(what, route.dkim, resolver)))
    looks.append((what := f"SPF of {key}", _spf(what, tenant, services)))
    boxes = [box for box in mailboxes_of(config) if box.tenant == tenant.id]
    for box in boxes:
        looks.append((what := f"bounce mailbox of {key}", _mailbox(what, box)))
    if not boxes:
        looks.append((what := f"bounces of {key}", _bounce_path(what, tenant, resolver)))
    looks.append((what := f"sending of {key}", _mode(what, tenant)))
    if send_test is not None:
        for route in routes:
            what = f"test mail by {names[route.name]}"
            looks.append((what, _test_mail(what, key, tenant, route, send_test, resolver)))
    return looks


async def dns(config: Config, resolver: Resolver) -> list[Finding]:
    """Any answer will do, a "no such name" too."""
    domain = next(iter(config.app.tenants.values())).mail.envelope_domain
    answer = await resolver.query(domain, "TXT")
    if answer.status is Status.UNAVAILABLE:
        asked = ", ".join(config.app.dns.servers) or "the servers of this machine (/etc/resolv.conf)"
        remedy = f"Check that {asked} can be reached, or set dns.servers."
        return [Finding("DNS", False, "no answer", remedy)]
    return [Finding("DNS", True, "answers")]


async def _route(what: str, route: Route, resolver: Resolver) -> Finding:
    """Connects, greets, secures and logs in; sends nothing. A direct route is tried at our own mail host."""
    host, remedy = route.host, f"Check host, port and tls of {route.name}."
    if not host:
        found = await destination(resolver, route.from_address.rpartition("@")[2])
        if found.kind is not MailHosts.FOUND:
            return Finding(
                what, True, "goes straight to recipients; not tried", "Try it: --send-test ADDRESS"
            )
        host = found.hosts[0]
        remedy = "Many networks close port 25 on the way out: ask whoever runs yours, or go by a relay."
    return await _opens(what, route, host, remedy)


async def route_answers(what: str, route: Route) -> Finding:
    """A relay that nobody uses yet."""
    return await _opens(what, route, route.host, "Check host, port and TLS, user name and password.")


async def _opens(what: str, route: Route, host: str, remedy: str) -> Finding:
    try:
        connection = await open_connection(replace(server_of(route, host), step_s=STEP_S))
    except LoginRefused:
        return Finding(what, False, "refused our login", f"Check username and password of {route.name}.")
    except (SmtpLost, SmtpRefused) as error:
        return Finding(what, False, f"{host}:{route.port}: {error}", remedy)
    await connection.quit(STEP_S)
    return Finding(what, True, f"{host}:{route.port} answers")


async def _signature(what: str, signer: DkimSigner, resolver: Resolver) -> Finding:
    record = await check_dkim_record(signer.domain, signer.selector, signer.public, resolver)
    remedy = "" if record.right else "Run: ispbot dkim (it prints the record to publish)"
    return Finding(what, record.right, record.sentence, remedy)


async def _spf(what: str, tenant: TenantConfig, services: Services) -> Finding:
    domain = tenant.mail.envelope_domain.lower()
    look = await look_at(services, tenant.id, domain)
    if look.state is SpfState.RIGHT:
        return Finding(what, True, look.sentence)
    if look.state is SpfState.UNKNOWN:
        remedy = "Set egress_ips of each route to the addresses that its mail leaves from."
        unknown = any(way.check is None for way in look.ways)
        return Finding(what, True, look.sentence, remedy if unknown else "DNS did not answer: try again.")
    publish = look.report.corrected
    remedy = f"Publish this TXT record at {domain}: {publish}" if publish else f"Run: ispbot spf {domain}"
    return Finding(what, False, look.sentence, remedy)


async def _bounce_path(what: str, tenant: TenantConfig, resolver: Resolver) -> Finding:
    """Bounces go to the envelope domain's mail server: that has to be us, or somebody who hands them on."""
    domain = tenant.mail.envelope_domain.lower()
    found: Destination = await destination(resolver, domain)
    if found.kind is MailHosts.UNKNOWN:
        return Finding(what, True, "DNS did not answer", "Try again.")
    if found.kind is MailHosts.NONE:
        remedy = f"Publish an MX record at {domain} that names the machine where bounces come in."
        return Finding(what, False, f"nobody takes mail for {domain}: {found.why}", remedy)
    if found.implicit:
        remedy = f"Better publish an MX record at {domain}: some servers ask for nothing else."
        return Finding(what, True, f"go to {domain} itself, which has no MX", remedy)
    return Finding(what, True, f"go to {', '.join(found.hosts[:3])}")


async def _mailbox(what: str, box: Mailbox) -> Finding:
    """Logs in, opens the folder, counts; takes nothing."""
    try:
        session = await asyncio.to_thread(Session, box)
        try:
            waiting = await asyncio.to_thread(session.waiting)
        finally:
            await asyncio.to_thread(session.close)
    except MailboxError as trouble:
        remedy = "Check host, port, tls, user name, password and folder of mail.bounce_mailbox."
        return Finding(what, False, trouble.sentence, remedy)
    return Finding(what, True, f"{box.host}: {len(waiting):,} waiting")


async def listener(config: Config) -> list[Finding]:
    """Whether the process that takes bounces answers; it runs with the product."""
    what, bounces = "bounce listener", config.app.bounces
    try:
        async with asyncio.timeout(STEP_S):
            reader, writer = await asyncio.open_connection(bounces.host, bounces.port)
            try:
                greeting = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        remedy = "It runs with the product: start `ispbot run` or `ispbot bot`."
        return [Finding(what, True, f"nothing answers at {bounces.host}:{bounces.port} now", remedy)]
    if greeting.startswith(b"220"):
        return [Finding(what, True, f"answers at {bounces.host}:{bounces.port}")]
    remedy = f"Something else has port {bounces.port}: set bounces.port."
    return [Finding(what, False, f"{bounces.host}:{bounces.port} is no SMTP server of ours", remedy)]


async def _mode(what: str, tenant: TenantConfig) -> Finding:
    mode = tenant.mail.send_mode
    if mode == "live":
        return Finding(what, True, "live")
    if mode == "off":
        return Finding(what, True, "off: everything is held", "Run: ispbot golive (when all else is right)")
    count = len(tenant.mail.only_to)
    found = f"only to {count} {'address' if count == 1 else 'addresses'} of app.yaml"
    return Finding(what, True, found, "Run: ispbot golive (when all else is right)")


async def _test_mail(
    what: str, key: str, tenant: TenantConfig, route: Route, address: str, resolver: Resolver
) -> Finding:
    """By this route, signed as its mails are; what the server said is told."""
    shown = mask_address(address)
    if not is_addr_spec(address):
        return Finding(what, False, "not sent", "Give one plain e-mail address after --send-test.")
    allowed = {one.casefold() for one in (*tenant.mail.only_to, *tenant.mail.test_mailboxes)}
    if tenant.mail.send_mode != "live" and address.casefold() not in allowed:
        remedy = f"Add the address to tenants.{key}.mail.only_to or test_mailboxes."
        return Finding(what, False, f"not sent: {shown} is not among those who may get mail now", remedy)

    async def hosts(domain: str) -> Destination:
        return await destination(resolver, domain)

    session = MAIL.session(route, None if route.host else hosts)
    try:
        outcome = await session.submit(_message(route, address))
    finally:
        await session.close()
    if isinstance(outcome, Accepted):
        return Finding(what, True, f"{shown}: {mask_in_text(outcome.text)}", "Look into that mailbox.")
    return Finding(
        what,
        False,
        f"{shown}: {mask_in_text(outcome.text)}",
        "What the server said tells why; then try again.",
    )


def _message(route: Route, address: str) -> OutgoingMessage:
    message = EmailMessage()
    message["From"] = formataddr((route.from_name, route.from_address))
    message["To"] = address
    message["Subject"] = f"A test of the mail route {route.name}"
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=route.envelope_domain)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday reply answers it
    message.set_content(
        f"This mail was sent by `ispbot check --send-test` by the route {route.name}.\n"
        "If you read it, that way works. Nobody needs to answer.\n"
    )
    sender = f"check@{route.envelope_domain}"
    content = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return OutgoingMessage(sender, address, content, "check", receipt=False)


__all__ = ["dns", "listener", "mail", "route_answers"]
