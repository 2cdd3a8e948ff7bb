"""The listeners' decisions: a relay takes nearly all and reports later, a recipient's server says it now.

Both verify recipients against the behaviours' `reply`; only the direct listener tells SPF refusals and
`onward_reply` in the dialogue, since it is the recipient's own server.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Final

from sandbox.mail.behaviour import Behaviour, Faults, ListenerFaults
from sandbox.mail.commands import Offer, Recipient
from sandbox.mail.post import MESSAGE_ID, Handover, Post, message_id_of, new_queue_id, slowest
from sandbox.mail.receiving import Destination, Verdict, trace_headers
from sandbox.mail.smtp import Ending, Transaction

ACCEPTED_RCPT: Final = "250 2.1.5 Ok"


@dataclass(frozen=True)
class Identity:
    """A listener's name for the control calls, its host name, and the address the world sees it at."""

    name: str
    hostname: str
    public_ip: str


class Listener:
    """What relay and direct listener share: faults, behaviours told at RCPT and at the end of data."""

    def __init__(self, identity: Identity, post: Post, faults: ListenerFaults) -> None:
        self.identity = identity
        self.faults = faults
        self._post = post

    @property
    def hostname(self) -> str:
        return self.identity.hostname

    @property
    def offer(self) -> Offer:
        return Offer(dsn=self.faults.current.dsn is not False)

    @property
    def pipelining(self) -> bool:
        return self.faults.current.pipelining

    @property
    def wants_auth(self) -> bool:
        return self.faults.current.username is not None or self.faults.current.refuse == "auth"

    def greeting(self) -> str:
        if self.faults.current.refuse == "greeting":
            return f"554 5.3.2 {self.hostname} takes no mail at present"
        return f"220 {self.hostname} ESMTP Postfix"

    def authenticate(self, username: str, password: str) -> bool:
        now = self.faults.current
        if now.refuse == "auth" or now.username is None:
            return False
        expected = f"{now.username}\0{now.password or ''}".encode()
        return hmac.compare_digest(expected, f"{username}\0{password}".encode())

    def note(self, method: str, status: str, ms: float, problem: str | None) -> None:
        if status[:1] in {"4", "5"} and problem is None:
            self._post.sink.refused()
        self._post.world.wire.record("mail", "in", f"{self.identity.name} {method}", status, ms, problem)

    def rcpt(self, transaction: Transaction, recipient: Recipient) -> str:
        behaviour = self._post.behaviours.of(recipient.address)
        if behaviour.reply is not None and behaviour.at == "rcpt":
            self._post.behaviours.spend(recipient.address)
            return behaviour.reply
        return self._rcpt(transaction, recipient)

    async def data(self, transaction: Transaction, content: bytes) -> str | Ending:
        faults = self.faults.take_fault()
        behaviours = [self._post.behaviours.of(recipient.address) for recipient in transaction.recipients]
        if (delay_s := faults.accept_delay_s + slowest(behaviours)) > 0:
            await asyncio.sleep(delay_s)
        self._spend_told(transaction, behaviours)
        for behaviour in behaviours:
            if behaviour.reply is not None and behaviour.at == "data":
                return behaviour.reply
        if faults.close_after_data == "discard":
            return Ending.CLOSE
        queue_id = new_queue_id()
        self._take(transaction, content, queue_id, faults, behaviours)
        if faults.close_after_data:
            return Ending.CLOSE
        return Ending.SILENCE if faults.lose_reply else f"250 2.0.0 Ok: queued as {queue_id}"

    def _spend_told(self, transaction: Transaction, behaviours: Sequence[Behaviour]) -> None:
        for recipient, behaviour in zip(transaction.recipients, behaviours, strict=True):
            told_now = behaviour.slow_s > 0 or (behaviour.reply is not None and behaviour.at == "data")
            # What is told later too is counted then, and once.
            if told_now and behaviour.bounce is None and behaviour.onward_reply is None:
                self._post.behaviours.spend(recipient.address)

    def _rcpt(self, transaction: Transaction, recipient: Recipient) -> str:
        raise NotImplementedError

    def _take(
        self,
        transaction: Transaction,
        content: bytes,
        queue_id: str,
        faults: Faults,
        behaviours: Sequence[Behaviour],
    ) -> None:
        raise NotImplementedError

    def _handovers(
        self, transaction: Transaction, content: bytes, queue_id: str, faults: Faults
    ) -> list[Handover]:
        sender = transaction.mail.sender
        forward_as = self._rewritten(sender, queue_id, faults)
        place = self._post.spool(content)
        return [
            Handover(
                mail_id="",
                queue_id=queue_id,
                server=self.hostname,
                client_ip=self.identity.public_ip,
                sender=forward_as,
                # A fixed address in the sender's place gets the reports too; a coded one is decoded again.
                return_path=forward_as if isinstance(faults.rewrite_envelope, str) else sender,
                address=recipient.address,
                taken_at=self._post.world.clock.now().isoformat(),
                place=place,
                expire_s=faults.expire_s,
                notify=None if recipient.notify is None else sorted(recipient.notify),
                orcpt=recipient.orcpt,
                ret=transaction.mail.ret,
                envid=transaction.mail.envid,
            )
            for recipient in transaction.recipients
        ]

    def _rewritten(self, sender: str, queue_id: str, faults: Faults) -> str:
        if not sender or faults.rewrite_envelope is False:
            return sender
        if isinstance(faults.rewrite_envelope, str):
            return faults.rewrite_envelope
        local, _, domain = sender.rpartition("@")
        return f"srs0={queue_id[:4].lower()}={domain}={local[:24]}@{self.hostname}"


class Relay(Listener):
    """The provider's outgoing server: 250 means no more than "handed to the relay"."""

    def _rcpt(self, transaction: Transaction, recipient: Recipient) -> str:
        del transaction, recipient
        return ACCEPTED_RCPT

    def _take(
        self,
        transaction: Transaction,
        content: bytes,
        queue_id: str,
        faults: Faults,
        behaviours: Sequence[Behaviour],
    ) -> None:
        del behaviours  # a later bounce is looked up when the recipient's server has said yes
        submitted_as = message_id_of(content)
        if faults.rewrite_message_id:
            content = _with_message_id(content, f"<{queue_id}@{self.hostname}>")
        content = self._received(transaction, queue_id) + content
        for place, handover in enumerate(self._handovers(transaction, content, queue_id, faults)):
            self._post.hand_on(handover, submitted_as, counted=place == 0)

    def _received(self, transaction: Transaction, queue_id: str) -> bytes:
        at = format_datetime(self._post.world.clock.now())
        line = f"Received: from {transaction.helo}\r\n\tby {self.hostname} with ESMTP id {queue_id}; {at}\r\n"
        return line.encode("utf-8")


class Direct(Listener):
    """The recipients' own servers, for a product that delivers by itself from its public address."""

    @property
    def offer(self) -> Offer:
        # Most receiving servers do not know DSN; this one does when it is told to.
        return Offer(dsn=self.faults.current.dsn is True)

    def _rcpt(self, transaction: Transaction, recipient: Recipient) -> str:
        route = self._post.receiving.route(recipient.domain)
        if route.destination is Destination.PRODUCT:
            return "550 5.7.1 Relaying denied"
        if route.destination is Destination.NOWHERE:
            code = "450" if route.temporary else "550"
            return f"{code} {route.status} {route.trouble}"
        return self._verdict(transaction, recipient).refusal or ACCEPTED_RCPT

    def _verdict(self, transaction: Transaction, recipient: Recipient) -> Verdict:
        return self._post.receiving.verdict(
            sender=transaction.mail.sender,
            recipient=recipient.address,
            helo=transaction.helo,
            client_ip=self.identity.public_ip,
        )

    def _take(
        self,
        transaction: Transaction,
        content: bytes,
        queue_id: str,
        faults: Faults,
        behaviours: Sequence[Behaviour],
    ) -> None:
        submitted_as = message_id_of(content)
        handovers = self._handovers(transaction, content, queue_id, faults)
        for place, (handover, behaviour) in enumerate(zip(handovers, behaviours, strict=True)):
            host = self._post.receiving.route(handover.domain).host
            recipient = transaction.recipients[place]
            trace: str | None = trace_headers(
                sender=handover.sender,
                recipient=handover.address,
                spf=self._post.receiving.spf(handover.sender, transaction.helo, handover.client_ip),
                host=host,
                helo=transaction.helo,
                mail_id=queue_id,
                now=self._post.world.clock.now(),
            )
            bounce = behaviour.bounce
            if bounce is not None and bounce.action == "failed":
                trace = None
            handover = self._post.enter(handover, submitted_as, counted=place == 0, trace=trace)
            if bounce is not None:
                self._post.behaviours.spend(recipient.address)
                self._post.bounce_later(handover, bounce, host, None)
            elif self.offer.dsn:
                self._post.report_delivered(handover, host)


def _with_message_id(content: bytes, message_id: str) -> bytes:
    line = f"Message-ID: {message_id}\r\n".encode("ascii")
    head, separator, body = content.partition(b"\r\n\r\n")
    head += b"\r\n"
    pattern = re.compile(MESSAGE_ID.pattern + rb"(?:[ \t][^\r\n]*\r\n)*", MESSAGE_ID.flags)
    head, found = pattern.subn(line, head, count=1)
    return (head if found else line + head) + (b"\r\n" if separator else b"") + body
