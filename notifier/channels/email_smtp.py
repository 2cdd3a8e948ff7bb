"""E-mail over SMTP (RFC 5321) with persistent connections, DSN options (RFC 3461) where offered, DKIM-signed.

One message has one recipient. What a refusal means is judged by notifier.bounces; what a lost connection
means depends on when: before the end of data nothing was sent, after it the message is in doubt.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import time
from dataclasses import replace

import structlog

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
from notifier.retry_after import in_words
from notifier.smtp import (
    CLOSING,
    Answer,
    Server,
    SmtpConnection,
    SmtpLost,
    SmtpRefused,
    Step,
    envelope,
    mail_data,
    open_connection,
)
from store.models import Channel
from store.unit import in_transaction

log = structlog.get_logger()

_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_QUEUED_AS = re.compile(
    r"(?:queued as|id=|queued mail for delivery\W*)\s*<?([A-Za-z0-9._-]{4,100})", re.IGNORECASE
)
_BYE = str(CLOSING)
QUIT_S = 1.0
"""A courtesy: a server that does not answer must not hold up the end of the process."""
_OUR_WAY = frozenset({CLOSING, 503, 530, 534, 535, 538})
"""In answer to MAIL no recipient has a part in these: it closes; it believes that another mail is open, which
none is on a fresh connection; it wants another login from us (RFC 4954 section 6)."""


def queue_id(text: str) -> str:
    """The server's own name for the message, from its 250; empty when it tells none."""
    found = _QUEUED_AS.search(text)
    return found.group(1) if found else ""


def server_of(route: Route, host: str) -> Server:
    """How the route's connections are opened."""
    return Server(
        host,
        route.port,
        route.helo or route.envelope_domain,
        route.tls,
        route.username,
        route.password,
        route.timeout_s,
        route.final_timeout_s,
    )


class SmtpSession:
    """One connection, opened when first needed and again after a loss.

    Who submits the next message before the last one's end has them share round trips (RFC 2920) where the
    server offers it and the route leads to one server.
    """

    def __init__(self, route: Route, destinations: Destinations | None = None) -> None:
        self._route, self._destinations = route, destinations
        self._connection: SmtpConnection | None = None
        self._opening = asyncio.Lock()
        self._tls: ssl.SSLContext | None = None
        self._domain = ""
        """Whose server the open connection leads to, on a direct route."""

    async def submit(self, message: OutgoingMessage) -> SubmitOutcome:
        if in_transaction():
            raise RuntimeError("a message was about to be submitted inside a database transaction")
        if not (is_addr_spec(message.envelope_to) and is_addr_spec(message.envelope_from)):
            raise ValueError("an envelope address is not one plain addr-spec")
        given, message = message, await self._signed(message)
        outcome, used = await self._attempt(message)
        if used and isinstance(outcome, Deferred) and (outcome.route_down or outcome.reply_code == _BYE):
            # A server may close an idle connection at any time (RFC 5321 section 4.5.3.2.7): nothing was
            # sent on it, so a fresh one is tried at once.
            outcome, _ = await self._attempt(message)
        if message is given:
            return outcome
        return replace(outcome, content_hash=hashlib.sha256(message.content).hexdigest())

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

    async def _attempt(self, message: OutgoingMessage) -> tuple[SubmitOutcome, bool]:
        """What came of it, and whether the connection had carried others before."""
        if not self._by_mx:
            return await self._over((self._route.host,), message)
        async with self._opening:  # the connection is one domain's: two of them take turns
            domain = message.envelope_to.rpartition("@")[2].casefold()
            if self._domain != domain:
                await self._leave()
            found = await self._where(domain)
            if isinstance(found, Refused | Deferred):
                return found, False
            self._domain = domain
            return await self._over(found, message)

    async def _over(self, hosts: tuple[str, ...], message: OutgoingMessage) -> tuple[SubmitOutcome, bool]:
        try:
            connection = self._usable() or await self._opened(hosts)
        except SmtpRefused as error:
            return self._refusal(error.code, error.text, route_down=True), False
        except SmtpLost as error:
            return Deferred(self._route.name, "", "", str(error), route_down=True), False
        mail, rcpt = envelope(
            connection.offer,
            sender=message.envelope_from,
            recipient=message.envelope_to,
            content=message.content,
            envelope_id=message.envelope_id,
            receipt=message.receipt,
        )
        used = connection.started > 0
        answer = await connection.submit(mail, rcpt, mail_data(message.content))
        return self._outcome(connection, answer), used

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

    def _usable(self) -> SmtpConnection | None:
        return self._connection if self._connection is not None and self._connection.usable else None

    async def _opened(self, hosts: tuple[str, ...]) -> SmtpConnection:
        """A new connection to the first host that answers; whoever comes meanwhile waits for it."""
        if self._by_mx:
            return await self._first_of(hosts)
        async with self._opening:
            return self._usable() or await self._first_of(hosts)

    async def _first_of(self, hosts: tuple[str, ...]) -> SmtpConnection:
        if self._route.tls != "off" and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)  # reads some 150 certificates
        for host in hosts[:-1]:
            try:
                return await self._connect(host)
            except (SmtpLost, SmtpRefused) as error:
                log.info("next_mail_host", route=self._route.name, error=type(error).__name__)
        return await self._connect(hosts[-1])

    async def _connect(self, host: str) -> SmtpConnection:
        self._connection = await open_connection(server_of(self._route, host), self._tls)
        return self._connection

    def _outcome(self, connection: SmtpConnection, answer: Answer) -> SubmitOutcome:
        route, code, text = self._route, answer.code, answer.text
        if code == 0:
            if answer.step is Step.END:
                return InDoubt(route.name, text)
            return Deferred(route.name, "", "", text, route_down=True)
        if code < 400:  # only of the end of data: nothing else that is positive decides a mail
            return Accepted(route.name, f"{code} {text}", queue_id(text))
        about_sender = answer.step is Step.MAIL
        if about_sender and code in _OUR_WAY:
            connection.fail("the connection was given up")
            return self._refusal(code, text, route_down=True)
        # In answer to RCPT a 421 is that recipient's matter (too many mails, a policy), not the route's.
        outcome = self._refusal(code, text)
        if about_sender and isinstance(outcome, Refused):
            return replace(outcome, about_sender=True)
        return outcome

    def _refusal(self, code: int, text: str, *, route_down: bool = False) -> Refused | Deferred:
        found = _ENHANCED.search(text)
        status = found.group(1) if found else ""
        verdict = classify_reply(code, status, text)
        if code >= 500 and not route_down:
            return Refused(self._route.name, str(code), status, f"{code} {text}", verdict)
        named = None if route_down else in_words(text)
        return Deferred(
            self._route.name, str(code), status, f"{code} {text}", verdict, route_down=route_down, named=named
        )

    async def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.quit(min(self._route.timeout_s, QUIT_S))

    async def close(self) -> None:
        await self._leave()


class EmailSmtp:
    channel = Channel.EMAIL

    def session(self, route: Route, destinations: Destinations | None = None) -> SmtpSession:
        return SmtpSession(route, destinations)


CHANNEL = EmailSmtp()
