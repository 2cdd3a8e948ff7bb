"""E-mail over SMTP (RFC 5321) with persistent connections, DSN options (RFC 3461) where offered, DKIM-signed.

One message has one recipient. What a refusal means is judged by notifier.bounces; what a lost connection
means depends on when: before the end of data nothing was sent, after it the message is in doubt.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace

import aiosmtplib
import structlog
from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from notifier.bounces import classify_reply
from notifier.channels import (
    Accepted,
    Deferred,
    Destinations,
    InDoubt,
    OutgoingMessage,
    Refused,
    Route,
    SubmitOutcome,
)
from notifier.mime import is_addr_spec
from notifier.mx import MailHosts
from store.models import Channel
from store.unit import in_transaction

log = structlog.get_logger()

_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_QUEUED_AS = re.compile(
    r"(?:queued as|id=|queued mail for delivery\W*)\s*<?([A-Za-z0-9._-]{4,100})", re.IGNORECASE
)
_CLOSING = 421  # RFC 5321 section 3.8: the server is closing the connection
_LOST = (SMTPException, OSError, TimeoutError)
QUIT_S = 1.0
"""A courtesy: a server that does not answer must not hold up the end of the process."""
_LOGIN = frozenset({530, 534, 535, 538})
"""RFC 4954 section 6: the server wants another login from us. No recipient has a part in that."""


def queue_id(text: str) -> str:
    """The server's own name for the message, from its 250; empty when it tells none."""
    found = _QUEUED_AS.search(text)
    return found.group(1) if found else ""


def xtext(value: str) -> str:
    """RFC 3461 section 4: `+` and `=` and whatever is not printable as +HH."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in value)


class SmtpSession:
    """One connection, opened when first needed and again after a loss."""

    def __init__(self, route: Route, destinations: Destinations | None = None) -> None:
        self._route, self._destinations = route, destinations
        self._client: SMTP | None = None
        self._domain = ""
        """Whose server the open connection leads to, on a direct route."""

    async def submit(self, message: OutgoingMessage) -> SubmitOutcome:
        if in_transaction():
            raise RuntimeError("a message was about to be submitted inside a database transaction")
        if not (is_addr_spec(message.envelope_to) and is_addr_spec(message.envelope_from)):
            raise ValueError("an envelope address is not one plain addr-spec")
        message = await self._signed(message)
        reused = self._client is not None and self._client.is_connected
        outcome = await self._attempt(message)
        ended = isinstance(outcome, Deferred) and (outcome.route_down or outcome.reply_code == str(_CLOSING))
        if reused and ended:
            # A server may close an idle connection at any time (RFC 5321 section 4.5.3.2.7): nothing was
            # sent on it, so a fresh one is tried at once.
            outcome = await self._attempt(message)
        return outcome

    async def _signed(self, message: OutgoingMessage) -> OutgoingMessage:
        """Signed at the attempt: `t=` is its time, whatever business time is; the Message-ID stays."""
        signer = self._route.dkim
        if signer is None:
            return message
        at = int(time.time())
        if signer.slow:  # an RSA signature takes as long as ten other steps of a mail
            content = await asyncio.to_thread(signer.sign, message.content, at)
        else:
            content = signer.sign(message.content, at)
        return replace(message, content=content)

    async def _attempt(self, message: OutgoingMessage) -> SubmitOutcome:
        domain = message.envelope_to.rpartition("@")[2].casefold()
        hosts: tuple[str, ...] = (self._route.host,)
        if self._by_mx:
            if self._domain != domain:
                await self.close()
            found = await self._where(domain)
            if isinstance(found, Refused | Deferred):
                return found
            hosts = found
        try:
            client = await self._connected(hosts)
        except SMTPResponseException as error:
            return self._answer(error.code, error.message, route_down=True)
        except _LOST as error:
            return Deferred(self._route.name, "", "", _plain(error), route_down=True)
        self._domain = domain
        return await self._transaction(client, message)

    @property
    def _by_mx(self) -> bool:
        return self._route.kind == "direct" and not self._route.host

    async def _where(self, domain: str) -> tuple[str, ...] | Refused | Deferred:
        """The recipient's own servers, best first."""
        if self._destinations is None:
            raise RuntimeError("a direct route needs to know where domains take their mail")
        found = await self._destinations(domain)
        if found.kind is MailHosts.NONE:
            # 5.1.2: bad destination system address (RFC 3463); no server spoke, DNS did.
            verdict = classify_reply(550, "5.1.2", "Host or domain name not found")
            return Refused(domain, "", "5.1.2", found.why, verdict)
        if found.kind is MailHosts.UNKNOWN:
            return Deferred(domain, "", "", found.why)
        return found.hosts

    async def _connected(self, hosts: tuple[str, ...]) -> SMTP:
        """The open connection, or a new one to the first host that answers."""
        if self._client is not None and self._client.is_connected:
            return self._client
        for host in hosts[:-1]:
            try:
                return await self._connect(host)
            except _LOST as error:
                log.info("next_mail_host", route=self._route.name, error=type(error).__name__)
        return await self._connect(hosts[-1])

    async def _connect(self, host: str) -> SMTP:
        route = self._route
        client = SMTP(
            hostname=host,
            port=route.port,
            timeout=route.timeout_s,
            local_hostname=route.helo or route.envelope_domain,
            use_tls=route.tls == "implicit",
            start_tls=route.tls == "starttls",
            username=route.username,
            password=route.password,
        )
        await client.connect()
        if client.is_ehlo_or_helo_needed:  # now, since the DSN options depend on what is offered
            try:
                await client.ehlo()
            except aiosmtplib.SMTPHeloError:
                await client.helo()
        self._client = client
        return client

    async def _transaction(self, client: SMTP, message: OutgoingMessage) -> SubmitOutcome:
        mail_options, rcpt_options = _dsn_options(client, message)
        about_sender = True
        try:
            await client.mail(message.envelope_from, options=mail_options)
            about_sender = False
            await client.rcpt(message.envelope_to, options=rcpt_options)
        except SMTPResponseException as error:
            if error.code == _CLOSING or (about_sender and error.code in _LOGIN):
                await self.close()
                # In answer to RCPT it is that recipient's matter (too many mails, a policy), not the route's.
                return self._answer(error.code, error.message, route_down=about_sender)
            outcome = self._answer(error.code, error.message)
            await self._reset(client)
            if isinstance(outcome, Refused):
                return replace(outcome, about_sender=about_sender)
            return outcome
        except _LOST as error:
            await self.close()
            return Deferred(self._route.name, "", "", _plain(error), route_down=True)
        try:
            response = await client.data(message.content, timeout=self._route.final_timeout_s)
        except aiosmtplib.SMTPDataError as error:
            outcome = self._answer(error.code, error.message)
            await self._reset(client)
            return outcome
        except _LOST as error:
            await self.close()
            return InDoubt(self._route.name, _plain(error))
        return Accepted(self._route.name, f"{response.code} {response.message}", queue_id(response.message))

    def _answer(self, code: int, text: str, *, route_down: bool = False) -> Refused | Deferred:
        found = _ENHANCED.search(text)
        status = found.group(1) if found else ""
        verdict = classify_reply(code, status, text)
        if code >= 500 and not route_down:
            return Refused(self._route.name, str(code), status, f"{code} {text}", verdict)
        return Deferred(self._route.name, str(code), status, f"{code} {text}", verdict, route_down=route_down)

    async def _reset(self, client: SMTP) -> None:
        """After a refusal the next MAIL would get 503: RSET, or a new connection."""
        try:
            await client.rset()
        except _LOST:
            await self.close()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and client.is_connected:
            try:
                await client.quit(timeout=min(self._route.timeout_s, QUIT_S))
            except _LOST as error:
                log.debug("smtp_quit_failed", route=self._route.name, error=type(error).__name__)
                client.close()


def _dsn_options(client: SMTP, message: OutgoingMessage) -> tuple[list[str], list[str]]:
    if not client.supports_extension("dsn"):
        return [], []
    notify = "SUCCESS,FAILURE,DELAY" if message.receipt else "FAILURE,DELAY"
    return (
        ["RET=HDRS", f"ENVID={xtext(message.envelope_id)}"],
        [f"NOTIFY={notify}", f"ORCPT=rfc822;{xtext(message.envelope_to)}"],
    )


def _plain(error: BaseException) -> str:
    """What went wrong, in words without the message in them."""
    return str(error) or type(error).__name__


class EmailSmtp:
    channel = Channel.EMAIL

    def session(self, route: Route, destinations: Destinations | None = None) -> SmtpSession:
        return SmtpSession(route, destinations)


CHANNEL = EmailSmtp()
