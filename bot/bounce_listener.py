"""The MX of the envelope domain: takes bounce messages by SMTP into the inbox.

A message is answered 250 only when it is on disk; a full inbox answers 451, so that the relay tries again.
Which tenant it belongs to is told by the recipient's domain; what is in it is judged later.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import structlog
from aiosmtpd.smtp import SMTP

from bot.inbox import Inbox, InboxFull
from bot.runner import Runner
from store.models import Interaction, InteractionKind
from store.unit import Store

log = structlog.get_logger()
SIZE_LIMIT = 2 * 1024 * 1024
MAX_RECIPIENTS = 10
BACKLOG = 500
OUR_LOCAL_PARTS = re.compile(r"(?:b[a-z2-7]{47}(?:[+-][^@]{0,64})?|bounces|postmaster)", re.IGNORECASE)
"""A token of ours (a relay may have tagged it), the fixed sender, and postmaster (RFC 5321 section 4.5.1)."""


class BounceHandler:
    """aiosmtpd's handler: one call per RCPT, one per message."""

    def __init__(self, *, store: Store, inbox: Inbox, runner: Runner, domains: Mapping[str, int]) -> None:
        self._store, self._inbox, self._runner = store, inbox, runner
        self._domains = {domain.casefold(): tenant for domain, tenant in domains.items()}

    async def handle_RCPT(
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        local, _, domain = address.rpartition("@")
        if domain.casefold() not in self._domains:
            return "550 5.7.1 Bounces are taken for our own domains only"
        if not OUR_LOCAL_PARTS.fullmatch(local):
            return "550 5.1.1 Nobody of that name here"
        if self._runner.backlog >= BACKLOG:
            return "451 4.3.2 Too much at once, try again later"
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:
        raw = bytes(envelope.content)
        try:
            for address in envelope.rcpt_tos:
                item = self._interaction(address, raw)
                if await self._inbox.put(item):
                    self._runner.start(item)
        except InboxFull:
            return "451 4.3.2 Too much at once, try again later"
        except Exception as error:
            log.exception("bounce_not_stored", error=type(error).__name__)
            return "451 4.3.0 Not stored, try again later"
        return "250 2.0.0 Ok: stored"

    def _interaction(self, address: str, raw: bytes) -> Interaction:
        digest = hashlib.sha256(address.encode("utf-8", "surrogateescape") + b"\x00" + raw).hexdigest()
        return Interaction(
            tenant=self._domains[address.rpartition("@")[2].casefold()],
            id=digest,
            kind=InteractionKind.DSN,
            payload={"envelope_to": address},
            received_at=self._store.clock(),
            body=raw,
            attempt=1,
        )


async def listen(handler: BounceHandler, host: str, port: int, hostname: str) -> asyncio.Server:
    """In our own loop; aiosmtpd's Controller would run a thread."""
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            handler,
            hostname=hostname,
            ident="ESMTP",
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    return await loop.create_server(protocol, host, port)
