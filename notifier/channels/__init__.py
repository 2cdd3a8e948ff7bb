"""What a channel is: it opens sessions on a route; a session submits one message and says what came of it.

A provider is one file here that exposes CHANNEL; providers know nothing of each other, of the database or
of retries. Expected ends are values (Accepted, Refused, Deferred, InDoubt), never exceptions. A provider
whose messages may not be sent twice can be asked what it has of ours (Inquiry).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from notifier.bounces import BounceVerdict
from notifier.mailauth.dkim_sign import DkimSigner
from notifier.mailauth.identity import SenderFacts
from notifier.mx import Destination
from notifier.sms_codes import TextVerdict
from store.models import Channel, Confidence

Destinations = Callable[[str], Awaitable[Destination]]


@dataclass(frozen=True, slots=True)
class Route:
    """One way out for e-mail: a relay, or the recipients' own servers (direct: `host` is empty then)."""

    name: str
    kind: Literal["direct", "relay"]
    host: str
    port: int
    envelope: Literal["verp", "fixed"]
    envelope_domain: str
    from_address: str
    from_name: str
    egress_ips: tuple[str, ...] = ()
    helo: str | None = None
    tls: Literal["off", "starttls", "implicit"] = "off"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    dkim: DkimSigner | None = field(default=None, repr=False)
    """Signs what leaves by this route; None leaves it to the relay."""
    connections: int = 4
    mailbox: str = ""
    """Local part of the mailbox of bounces, `bounces` of `bounces+TOKEN@...`; empty: a token alone."""
    timeout_s: float = 30.0
    """For connecting and for each answer but the last."""
    final_timeout_s: float = 600.0
    """For the answer to the end of data (RFC 5321 section 4.5.3.2.6: 10 minutes): giving up earlier than
    the server does makes a second copy of a mail that it takes."""

    @property
    def confidence(self) -> Confidence:
        """What a 250 on this route means."""
        return Confidence.HANDED_TO_RELAY if self.kind == "relay" else Confidence.ACCEPTED_BY_SERVER

    @property
    def sender_facts(self) -> SenderFacts:
        """What recipients judge its mail by: ask `notifier.mailauth.identity.sending_identity` about it."""
        return SenderFacts(
            self.name,
            self.from_address.rpartition("@")[2].lower(),
            self.envelope_domain.lower(),
            self.egress_ips,
            self.helo or self.envelope_domain,
            None if self.dkim is None else self.dkim.signing_key,
            relayed=self.kind == "relay",
        )


@dataclass(frozen=True, slots=True)
class SmsRoute:
    """One way out for texts: a sender of an account at Twilio."""

    name: str
    sender: str
    """E.164; what subscribers see and answer to."""
    account_sid: str
    auth_tokens: tuple[str, ...] = field(repr=False)
    """The first signs our calls; all of them verify webhooks (rotation)."""
    api_url: str = "https://api.twilio.com"
    messaging_service_sid: str | None = None
    callback_url: str = ""
    """Where status callbacks come, without the delivery's token."""
    connections: int = 4
    timeout_s: float = 15.0

    @property
    def confidence(self) -> Confidence:
        """What the provider's "accepted" means: it will try."""
        return Confidence.HANDED_TO_RELAY


AnyRoute = Route | SmsRoute


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message for one recipient, ready for the wire."""

    envelope_from: str
    envelope_to: str
    content: bytes
    envelope_id: str
    receipt: bool
    """Ask for a report of success too (RFC 3461 NOTIFY=SUCCESS)."""


@dataclass(frozen=True, slots=True)
class OutgoingText:
    """One text for one phone, ready for the wire."""

    to: str
    """E.164."""
    body: str
    callback_url: str
    """Where its statuses are told; it names the delivery and the attempt. Empty: nowhere."""
    validity_s: int
    """The carrier gives up after so long: a text that comes too late is worse than none."""


@dataclass(frozen=True, slots=True)
class Accepted:
    remote: str
    text: str
    queue_id: str
    content_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A permanent answer (5xx)."""

    remote: str
    reply_code: str
    status: str
    text: str
    verdict: BounceVerdict | TextVerdict
    about_sender: bool = False
    """It answered MAIL FROM: nothing was said about the recipient, who must not suffer for it."""
    content_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Deferred:
    """A transient answer (4xx), or nobody there: certainly not sent."""

    remote: str
    reply_code: str
    status: str
    text: str
    verdict: BounceVerdict | TextVerdict | None = None
    route_down: bool = False
    named: timedelta | None = None
    """For how long it asked us to wait, where it said so (notifier.retry_after)."""
    content_hash: str | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The connection went while the message was on its way: it may or may not be there."""

    remote: str
    text: str
    content_hash: str | None = None


SubmitOutcome = Accepted | Refused | Deferred | InDoubt
"""`content_hash`: SHA-256 of what went, where those are other octets than the channel was given (signed)."""


M_contra = TypeVar("M_contra", contravariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class Session(Protocol[M_contra]):
    def submit(self, message: M_contra) -> Awaitable[SubmitOutcome]:
        """Hands one message over; never called inside a transaction."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class KnownText:
    """A text as its provider knows it."""

    sid: str
    to: str
    body: str
    """Empty where it was redacted there."""
    status: str
    """The provider's word; unknown ones are possible."""
    error_code: int | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The provider could not be asked, or did not say; `text` in its words."""

    text: str


class Inquiry(Protocol):
    """What a provider knows of texts that it was given. Never called inside a transaction."""

    async def fetch(self, sid: str) -> KnownText | NoAnswer:
        """One text, as it stands now."""
        ...

    async def sent_to(self, number: str) -> Sequence[KnownText] | NoAnswer:
        """The latest texts from our sender to this number, newest first, those not sent yet too."""
        ...

    async def account(self) -> str | NoAnswer:
        """The account's state in the provider's word, such as `active`: whether our login is good."""
        ...

    async def owns(self, number: str) -> bool | NoAnswer:
        """Whether this number (E.164) is the account's own, to send from."""
        ...

    async def close(self) -> None: ...


class Provider(Protocol[R_contra, M_contra]):
    """What a file in this package exposes as CHANNEL."""

    channel: Channel

    def session(self, route: R_contra, destinations: Destinations | None = None) -> Session[M_contra]:
        """`destinations` finds the servers of a domain, for routes that go there directly."""
        ...


class TextProvider(Provider[SmsRoute, OutgoingText], Protocol):
    def inquiry(self, route: SmsRoute) -> Inquiry: ...


MailProvider = Provider[Route, OutgoingMessage]
AnyProvider = Provider[Any, Any]
