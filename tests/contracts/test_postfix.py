"""The proof with a real Postfix: mails of the real worker come back as real reports, by SMTP and by LMTP,
through the real listener, inbox and runner, and end in the right state.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiosmtpd.smtp import SMTP

from bot.bounce_listener import BounceHandler, listen, listen_lmtp
from bot.inbox import Inbox
from bot.respond import Responder
from bot.roles import RoleBook
from bot.runner import Runner
from bot.signing import ValueSigner
from notifier.keys import DeliveryToken
from store.models import Confidence, Delivery, Event, EventKind, EventSource, Outcome, Reason, Stage
from store.unit import Store
from tests.builders import DOMAIN, KEYRING
from tests.contracts import postfix
from tests.contracts.attempts import suppressed
from tests.contracts.postfix import Postfix
from tests.contracts.sending import Sending
from tests.unit.handlers.conftest import services_on

pytestmark = pytest.mark.skipif(bool(postfix.missing()), reason=postfix.missing())

UNKNOWN, POLICY, SLOW, FINE = (f"{who}@sink.example" for who in ("unknown", "policy", "slow", "fine"))
MISSING = "somebody@missing.invalid"
ANSWERS = {
    UNKNOWN: f"550 5.1.1 <{UNKNOWN}>: Recipient address rejected: User unknown",
    POLICY: "550 5.7.1 Message refused: client host blocked by our local policy",
    SLOW: "450 4.2.0 Try again later",
}
LISTENER, LMTP, SINK = (postfix.free_port() for _ in range(3))


@pytest.fixture(scope="module")
def relay() -> Iterator[Postfix]:
    transports = {
        DOMAIN[1]: f"smtp:[127.0.0.1]:{LISTENER}",
        DOMAIN[2]: f"lmtp:inet:127.0.0.1:{LMTP}",
        "sink.example": f"smtp:[127.0.0.1]:{SINK}",
    }
    if not _dns_says_no():  # without a name server Postfix would try again: its own words for a missing name
        transports["missing.invalid"] = "error:5.4.4 Host or domain name not found"
    home = Path(tempfile.mkdtemp(prefix="ispbot-postfix-"))
    with postfix.running(home, transports) as found:
        yield found
    shutil.rmtree(home, ignore_errors=True)


def _dns_says_no() -> bool:
    try:
        socket.getaddrinfo("missing.invalid", 25)
    except socket.gaierror as error:
        return error.errno == socket.EAI_NONAME
    return False


class Sink:
    """Where the subscribers have their mailboxes."""

    async def handle_RCPT(
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        refusal = ANSWERS.get(address)
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 2.1.5 Ok"


class Watched(BounceHandler):
    """The listener, and what came to it."""

    came: list[tuple[str, bytes]]

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.came += [(address, bytes(envelope.content)) for address in envelope.rcpt_tos]
        return await super().handle_DATA(server, session, envelope)


@dataclass
class Office:
    """The bot half's way in for mail, without Slack."""

    sending: Sending
    relay: Postfix
    handler: Watched

    def route(self, tenant: int = 1, **more: Any) -> Any:
        return self.sending.route(tenant=tenant, port=self.relay.port, timeout_s=10, **more)

    async def ends(self, item: Delivery, stage: Stage = Stage.CLOSED) -> Delivery:
        return await self.sending.until(item, stage, timeout_s=90)

    async def last(self, item: Delivery, kind: EventKind) -> Event:
        return (await self.said(item, kind))[-1]

    async def said(self, item: Delivery, kind: EventKind) -> list[Event]:
        found = await self.sending.until_said(item, kind)
        return [e for e in found if e.kind is kind]

    def reports_to(self, item: Delivery) -> list[bytes]:
        address = f"{verp(item)}@{DOMAIN[item.tenant]}"
        return [raw for to, raw in self.handler.came if to == address]


def verp(item: Delivery) -> str:
    return KEYRING.delivery_token(DeliveryToken(item.tenant, item.id, 1))


@pytest.fixture
async def office(sending: Sending, relay: Postfix, store: Store) -> AsyncIterator[Office]:
    async with aiohttp.ClientSession() as session:
        signer = ValueSigner(KEYRING)
        responder = Responder(store=store, session=session, clients={}, keyring=KEYRING, signer=signer)
        runner = Runner(
            store=store,
            services=services_on(store),
            commands={},
            roles=RoleBook({}, {}),
            responder=responder,
            keyring=KEYRING,
            worker="w",
            lease_s=3,
        )
        inbox = Inbox(store, worker="w", lease_s=3)
        domains = {name: tenant for tenant, name in DOMAIN.items()}
        handler = Watched(store=store, inbox=inbox, runner=runner, domains=domains)
        handler.came = []
        loop = asyncio.get_running_loop()
        loops = [asyncio.create_task(inbox.run()), asyncio.create_task(runner.run())]
        servers = [
            await listen(handler, "127.0.0.1", LISTENER, DOMAIN[1]),
            *await listen_lmtp(handler, "127.0.0.1", LMTP, None, DOMAIN[1]),
            await loop.create_server(lambda: SMTP(Sink(), loop=loop), "127.0.0.1", SINK),
        ]
        await postfix.answers(relay.port)
        yield Office(sending, relay, handler)
        print(relay.log(), *sending.logs, sep="\n")  # shown where a test fails
        for server in servers:
            server.close()
        await runner.drain(10)
        for task in loops:
            task.cancel()
        await asyncio.wait(loops)


async def test_real_reports_end_in_the_right_state(office: Office) -> None:
    sending, store = office.sending, office.sending.store
    unknown, policy, missing, slow, fine = await sending.queue(UNKNOWN, POLICY, MISSING, SLOW, FINE)
    async with sending.working(office.route()):
        for item, reason, status, hard in (
            (unknown, Reason.RECIPIENT, "5.1.1", True),
            (policy, Reason.INFRASTRUCTURE, "5.7.1", False),
            (missing, Reason.RECIPIENT, "5.4.4", True),
        ):
            after = await office.ends(item)
            assert (after.outcome, after.reason) == (Outcome.BOUNCED, reason), after.diagnostic
            bounce = await office.last(item, EventKind.BOUNCED)
            assert (bounce.source, bounce.status, bounce.hard) == (EventSource.DSN, status, hard)
        delayed = await office.said(slow, EventKind.DELAYED)
        assert delayed[0].status == "4.2.0"
        gone = await office.ends(slow)
        assert gone.outcome is Outcome.BOUNCED, "given up after its time in the queue"
        assert not (await office.last(slow, EventKind.BOUNCED)).hard
        accepted = await office.ends(fine, Stage.AWAITING)
    assert (accepted.outcome, accepted.confidence) == (Outcome.SENT, Confidence.HANDED_TO_RELAY)
    assert await suppressed(store, UNKNOWN, POLICY, MISSING, SLOW, FINE) == {UNKNOWN, MISSING}
    async with store.read(1) as tx:
        assert await tx.orphans.waiting() == []
    for item in (unknown, policy, missing, slow):
        (report, *_) = office.reports_to(item)  # VERP survives
        assert re.search(rb"^Original-Envelope-Id: " + verp(item).encode(), report, re.I | re.M), "ENVID too"


async def test_with_a_fixed_sender_and_by_lmtp_the_returned_header_tells_whose_it_is(office: Office) -> None:
    sending = office.sending
    (item,) = await sending.queue(UNKNOWN, tenant=2)
    async with sending.working(routes={2: [office.route(tenant=2, envelope="fixed")]}):
        after = await office.ends(item)
    assert after.outcome is Outcome.BOUNCED
    assert [to for to, _ in office.handler.came] == [f"bounces@{DOMAIN[2]}"]
    assert await suppressed(sending.store, UNKNOWN, tenant=2) == {UNKNOWN}


async def test_a_receipt_that_only_says_relayed_is_no_arrival(office: Office) -> None:
    """The sink offers no DSN: Postfix answers NOTIFY=SUCCESS with "relayed" (RFC 3461 section 5.2.2)."""
    sending = office.sending
    (item,) = await sending.queue(FINE, receipt=True)
    async with sending.working(office.route()):
        await sending.until_said(item, EventKind.ACCEPTED, 2)
    after = await sending.row(item)
    assert (after.stage, after.outcome) == (Stage.AWAITING, Outcome.SENT)
    assert office.reports_to(item)
