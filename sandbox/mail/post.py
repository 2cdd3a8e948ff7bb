"""What lies behind every listener: taking a message over, handing it on, and reporting what became of it.

A message counts as taken only when all that follows from it is stored: its place in a mailbox, the next try,
or the DSN that is due. The reply 250 comes after that, so that a kill at any moment loses nothing.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.mail import dsn
from sandbox.mail.behaviour import Behaviour, Behaviours, Bounce
from sandbox.mail.client import Sent, send
from sandbox.mail.commands import Recipient
from sandbox.mail.queue import DueQueue
from sandbox.mail.receiving import Destination, ReceivingSide, Route, trace_headers
from sandbox.mail.sink import Sink, Spool
from sandbox.world import World

REFUSAL_DSN_AFTER: Final = timedelta(seconds=1)
RELAYED_DSN_AFTER: Final = timedelta(seconds=0.3)
TRY_AGAIN_AFTER: Final = timedelta(seconds=5)
GIVE_UP_AFTER: Final = timedelta(days=5)  # RFC 5321 section 4.5.4.1
LONGEST_BACKOFF_S: Final = 5.0
ENHANCED: Final = re.compile(r"\d\d\d[ -]([245]\.\d{1,3}\.\d{1,3})")
MESSAGE_ID: Final = re.compile(
    rb"^message-id:[ \t]*(?:\r\n[ \t]+)*([^\r\n]*)\r\n", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class Handover:
    """One message for one recipient, on its way through one server: everything a later report needs.

    `sender` is the envelope sender that the next server sees, `return_path` the one that reports go to.
    """

    mail_id: str
    queue_id: str
    server: str
    client_ip: str
    sender: str
    return_path: str
    address: str
    taken_at: str
    place: tuple[int, int]
    expire_s: float
    notify: list[str] | None = None
    orcpt: str | None = None
    ret: str | None = None
    envid: str | None = None

    def wants(self, event: str) -> bool:
        # RFC 3461 section 5.2.9 and RFC 5321 section 4.5.5: no report about a message from the null sender.
        notify = None if self.notify is None else frozenset(self.notify)
        return bool(self.return_path) and Recipient(self.address, notify).wants(event)

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()


class Post:
    """The mail world's inside, shared by its listeners."""

    def __init__(
        self, world: World, receiving: ReceivingSide, behaviours: Behaviours, sink: Sink, spool: Spool
    ) -> None:
        self.world = world
        self.receiving = receiving
        self.behaviours = behaviours
        self.sink = sink
        self._spool = spool
        self._product_down_until: datetime | None = None
        self._backoff_s = 0.0
        self.queue = DueQueue(world, {"outgoing": self._run_outgoing, "onward": self._run_onward})

    def spool(self, content: bytes) -> tuple[int, int]:
        return self._spool.append(content)

    def enter(self, handover: Handover, message_id: str, *, counted: bool, trace: str | None) -> Handover:
        """Writes the accepted mail down; what comes back knows its id."""
        now = self.world.clock.now()
        mail_id = self.sink.enter(
            route=handover.server,
            message_id=message_id,
            sender=handover.sender,
            recipient=handover.address,
            now=now,
            place=handover.place,
            counted=counted,
            trace=trace,
        )
        if trace is not None:
            self.world.changes.notify("mail")
        return replace(handover, mail_id=mail_id)

    def hand_on(self, handover: Handover, message_id: str, *, counted: bool) -> None:
        """A relay's first try at the recipient's server, at once: there is no network to wait for."""
        behaviour = self.behaviours.of(handover.address)
        outcome = self._try(handover)
        if outcome.trace is not None and behaviour.bounce is not None:
            self.behaviours.spend(handover.address)
            bounce = behaviour.bounce
            trace = outcome.trace if bounce.action == "delayed" else None
            handover = self.enter(handover, message_id, counted=counted, trace=trace)
            self.bounce_later(handover, bounce, handover.server, outcome.route.host)
            return
        handover = self.enter(handover, message_id, counted=counted, trace=outcome.trace)
        self._follow_up(handover, outcome)

    def bounce_later(self, handover: Handover, bounce: Bounce, reporter: str, remote: str | None) -> None:
        """The DSN of a `bounce` behaviour."""
        action = dsn.Action(bounce.action)
        if handover.wants("DELAY" if action is dsn.Action.DELAYED else "FAILURE"):
            due = self.world.clock.now() + timedelta(seconds=bounce.after_s)
            self._report(handover, action, bounce.status, bounce.diagnostic, due, reporter, remote)

    def report_delivered(self, handover: Handover, host: str) -> None:
        """The DSN of a server that does know DSN and has put the mail into the mailbox."""
        if handover.wants("SUCCESS"):
            due = self.world.clock.now() + RELAYED_DSN_AFTER
            self._report(handover, dsn.Action.DELIVERED, "2.0.0", "smtp; 250 2.0.0 Ok", due, host, None)

    def _try(self, handover: Handover) -> Outcome:
        route = self.receiving.route(handover.domain)
        if route.destination is Destination.NOWHERE:
            return Outcome(route, None, route.status, f"X-Sandbox; {route.trouble}")
        if route.destination is Destination.PRODUCT:
            return Outcome(route, None, "2.0.0", "smtp; 250 2.0.0 Ok")
        verdict = self.receiving.verdict(
            sender=handover.sender,
            recipient=handover.address,
            helo=handover.server,
            client_ip=handover.client_ip,
        )
        if verdict.refusal is not None:
            found = ENHANCED.match(verdict.refusal)
            status = found[1] if found else f"{verdict.refusal[0]}.0.0"
            return Outcome(route, None, status, f"smtp; {verdict.refusal}")
        trace = trace_headers(
            sender=handover.sender,
            recipient=handover.address,
            spf=verdict.spf,
            host=route.host,
            helo=handover.server,
            mail_id=handover.queue_id,
            now=self.world.clock.now(),
        )
        return Outcome(route, trace, "2.0.0", f"smtp; 250 2.0.0 Ok: accepted by {route.host}")

    def _follow_up(self, handover: Handover, outcome: Outcome) -> None:
        """What is due after a try that ended for good or must be repeated."""
        now = self.world.clock.now()
        remote = outcome.route.host or None
        if outcome.trace is not None:
            if handover.wants("SUCCESS"):
                # RFC 3461 section 5.2.3: the next server does not know DSN, so the story ends with "relayed".
                due = now + RELAYED_DSN_AFTER
                relayed = dsn.Action.RELAYED
                self._report(handover, relayed, "2.0.0", outcome.diagnostic, due, handover.server, remote)
        elif outcome.status.startswith("2"):
            content = self._spool.read(*handover.place)
            self._send_out(handover.sender, handover.address, content, now, f"forward {handover.queue_id}")
        elif outcome.status.startswith("4"):
            self.queue.add("onward", now + TRY_AGAIN_AFTER, handover=asdict(handover))
        elif handover.wants("FAILURE"):
            due, failed = now + REFUSAL_DSN_AFTER, dsn.Action.FAILED
            self._report(handover, failed, outcome.status, outcome.diagnostic, due, handover.server, remote)

    async def _run_onward(self, piece: dict[str, Any]) -> datetime | None:
        """Another try at a server that said "later"; the sender hears of the delay once, and of the end."""
        given = piece["handover"]
        handover = Handover(**{**given, "place": (given["place"][0], given["place"][1])})
        outcome = self._try(handover)
        now = self.world.clock.now()
        ends_at = datetime.fromisoformat(handover.taken_at) + timedelta(seconds=handover.expire_s)
        if outcome.trace is not None:
            self.sink.deliver(handover.mail_id, trace=outcome.trace, now=now)
            self.world.changes.notify("mail")
        elif outcome.status.startswith("4"):
            if now < ends_at:
                if piece["tries"] == 0 and handover.wants("DELAY"):
                    self._report_delay(handover, outcome, now, ends_at)
                piece["tries"] += 1
                return min(now + TRY_AGAIN_AFTER, ends_at)
            # Expired: the last temporary answer is what the report shows, as mail servers do.
            if handover.wants("FAILURE"):
                remote, failed = outcome.route.host or None, dsn.Action.FAILED
                self._report(
                    handover, failed, outcome.status, outcome.diagnostic, now, handover.server, remote
                )
            return None
        self._follow_up(handover, outcome)
        return None

    def _report_delay(self, handover: Handover, outcome: Outcome, now: datetime, ends_at: datetime) -> None:
        self._report(
            handover,
            dsn.Action.DELAYED,
            outcome.status,
            outcome.diagnostic,
            now,
            handover.server,
            outcome.route.host or None,
            will_retry_until=ends_at,
        )

    def _report(
        self,
        handover: Handover,
        action: dsn.Action,
        status: str,
        diagnostic: str,
        due: datetime,
        reporter: str,
        remote: str | None,
        will_retry_until: datetime | None = None,
    ) -> None:
        report = dsn.Report(
            reporting_mta=reporter,
            queue_id=handover.queue_id,
            dsn_id=new_queue_id(),
            return_path=handover.return_path,
            sender_time=datetime.fromisoformat(handover.taken_at),
            report_time=due,
            final_recipient=handover.address,
            action=action,
            status=status,
            diagnostic=diagnostic,
            remote_mta=remote,
            original_recipient=handover.orcpt,
            envelope_id=handover.envid,
            will_retry_until=will_retry_until,
            ret=handover.ret,
            returned=self._spool.read(*handover.place),
        )
        label = f"DSN {action.value} {status} for {handover.address}"
        self._send_out("", handover.return_path, dsn.build(report), due, label)

    def _send_out(self, sender: str, recipient: str, content: bytes, due: datetime, label: str) -> None:
        self.queue.add(
            "outgoing",
            due,
            sender=sender,
            recipient=recipient,
            content=content.decode("latin-1"),
            label=label,
            first_at=due.isoformat(),
        )

    async def _run_outgoing(self, piece: dict[str, Any]) -> datetime | None:
        """A DSN or a forward to whoever takes mail for its recipient's domain."""
        recipient, content = piece["recipient"], piece["content"].encode("latin-1")
        route = self.receiving.route(recipient.rpartition("@")[2].lower())
        match route.destination:
            case Destination.MAILBOXES:
                self._own_mail(piece, content, route)
                return None
            case Destination.NOWHERE if not route.temporary:
                # RFC 5321 section 6.1: a report that cannot be delivered is not reported on.
                self._lost(piece, f"the report was lost: {route.trouble}")
                return None
            case Destination.NOWHERE:
                return self._later(
                    piece, f"the report was lost: {route.trouble}", backoff_s=LONGEST_BACKOFF_S
                )
            case _:
                return await self._to_product(piece, content)

    def _own_mail(self, piece: dict[str, Any], content: bytes, route: Route) -> None:
        now = self.world.clock.now()
        self.sink.enter(
            route=route.host,
            message_id=message_id_of(content),
            sender=piece["sender"],
            recipient=piece["recipient"],
            now=now,
            place=self.spool(content),
            counted=False,
            trace=f"Return-Path: <{piece['sender']}>\r\n",
        )
        self.world.changes.notify("mail")

    async def _to_product(self, piece: dict[str, Any], content: bytes) -> datetime | None:
        now = self.world.clock.now()
        if self._product_down_until is not None and now < self._product_down_until:
            return self._later(piece, "the product took no mail for five days", self._backoff_s)
        started = now
        try:
            sent = await self.to_product(piece["sender"], piece["recipient"], content)
        except (OSError, EOFError, TimeoutError) as error:
            self._backoff_s = min(max(self._backoff_s * 2, 0.1), LONGEST_BACKOFF_S)
            self._product_down_until = self.world.clock.now() + timedelta(seconds=self._backoff_s)
            if piece["tries"] == 0:
                trouble = f"the product's bounce listener: {type(error).__name__}"
                self.world.wire.record("mail", "out", piece["label"], "no answer", 0.0, None, trouble=trouble)
            piece["tries"] += 1
            return self._later(piece, "the product took no mail for five days", self._backoff_s)
        self._product_down_until, self._backoff_s = None, 0.0
        ms = (self.world.clock.now() - started).total_seconds() * 1000
        if not sent.accepted and sent.temporary:
            self.world.wire.record("mail", "out", piece["label"], sent.reply, ms, to=piece["recipient"])
            piece["tries"] += 1
            backoff_s = min(0.1 * 2 ** min(piece["tries"], 10), LONGEST_BACKOFF_S)
            return self._later(piece, "the product deferred it for five days", backoff_s)
        problem = None if sent.accepted else f"the product refused it for good at {sent.command}"
        self.world.wire.record("mail", "out", piece["label"], sent.reply, ms, problem, to=piece["recipient"])
        return None

    async def to_product(self, sender: str, recipient: str, content: bytes) -> Sent:
        """One try at the product's bounce listener, as the server "mx.out.example"."""
        port = int(self.world.endpoints["product"]["bounce_port"])
        return await send(
            self.world.host, port, helo="mx.out.example", sender=sender, recipient=recipient, content=content
        )

    def _later(self, piece: dict[str, Any], loss: str, backoff_s: float) -> datetime | None:
        now = self.world.clock.now()
        if now - datetime.fromisoformat(piece["first_at"]) > GIVE_UP_AFTER:
            self._lost(piece, loss)
            return None
        return now + timedelta(seconds=backoff_s)

    def _lost(self, piece: dict[str, Any], problem: str) -> None:
        self.world.wire.record("mail", "out", piece["label"], "given up", 0.0, problem, to=piece["recipient"])


@dataclass(frozen=True)
class Outcome:
    """How a try at the recipient's server ended; with `trace` the mail is in the mailbox."""

    route: Route
    trace: str | None
    status: str
    diagnostic: str


def slowest(behaviours: list[Behaviour]) -> float:
    return max((behaviour.slow_s for behaviour in behaviours), default=0.0)


def new_queue_id() -> str:
    return secrets.token_hex(6).upper()


def message_id_of(content: bytes) -> str:
    """The Message-ID header, empty when there is none."""
    found = MESSAGE_ID.search(dsn.header_block(content))
    return found[1].decode("utf-8", "replace").strip() if found else ""
