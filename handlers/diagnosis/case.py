"""One invoice's case: the newest attempt at each address, and the questions that rules ask of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from handlers.cards import Notice
from handlers.diagnosis.evidence import AddressFact, Evidence, InvoiceFacts, PhoneFact
from handlers.spf_look import SpfState
from notifier.addresses import AddressStatus
from notifier.mailauth.identity import Standing
from store.models import (
    Aside,
    Channel,
    Delivery,
    Event,
    EventKind,
    EventSource,
    InvoiceStatus,
    NotificationKind,
    Outcome,
    SubscriberStatus,
)

ARRIVED = (Outcome.SENT, Outcome.DELIVERED)
COMPLAINT = "complaint"
"""Why an address is on the do-not-send list whose owner has complained (notifier.tracking)."""
LOST = (Outcome.BOUNCED, Outcome.FAILED, Outcome.SUPPRESSED, Outcome.EXPIRED)
_APART = (Aside.TEST, Aside.ELSEWHERE)
_DNS_DEAD = (AddressStatus.NO_DOMAIN, AddressStatus.NULL_MX, AddressStatus.NO_MX)


@dataclass(frozen=True)
class Tried:
    """One delivery, with what is known of its address."""

    delivery: Delivery
    events: tuple[Event, ...]
    notice: Notice
    address: AddressFact | None
    """None: not on file (any more), or a telephone number."""

    @property
    def domain(self) -> str:
        return self.delivery.address.rpartition("@")[2]

    @property
    def suggestion(self) -> str | None:
        return self.address.finding.suggestion if self.address else None

    def is_dns(self, *statuses: AddressStatus) -> bool:
        return self.address is not None and self.address.finding.status in statuses

    @property
    def misspelled(self) -> bool:
        return self.is_dns(AddressStatus.TYPO)

    @property
    def domain_dead(self) -> bool:
        return self.is_dns(*_DNS_DEAD)

    @property
    def last_wait(self) -> Event | None:
        waits = [e for e in self.events if e.kind in (EventKind.DEFERRED, EventKind.IN_DOUBT)]
        return waits[-1] if waits else None

    @property
    def lost(self) -> bool:
        """It will not arrive; cancelled is no loss."""
        return self.delivery.outcome in LOST

    @property
    def delayed(self) -> Event | None:
        """A relay took it and reports that it is still trying."""
        if self.delivery.outcome is not Outcome.SENT:
            return None
        return next((e for e in reversed(self.events) if e.kind is EventKind.DELAYED), None)

    @property
    def arrived(self) -> bool:
        """Taken by a server that is probably the right one."""
        taken = self.delivery.outcome in ARRIVED and self.aside is not Aside.MENDED
        return taken and not self.misspelled and self.delayed is None

    @property
    def aside(self) -> Aside | None:
        """Why it counts less as proof; None: it counts."""
        return self.notice.aside.get(self.delivery.id)

    @property
    def ended_by(self) -> Event | None:
        """The event that tells how it was lost; None: it was not, or only we decided it.

        What bears a signature of ours counts before what bears none, in whatever order they came.
        """
        ends = [e for e in self.events if e.kind in (EventKind.BOUNCED, EventKind.FAILED)]
        proven = [e for e in ends if not _unsigned(e)]
        return next(reversed(proven or ends), None)

    @property
    def unsigned(self) -> bool:
        """Only a report without a signature of ours says that it was lost: no proof, and perhaps forged."""
        if self.delivery.channel is not Channel.EMAIL or not self.lost:
            return False
        return self.ended_by is not None and _unsigned(self.ended_by)

    @property
    def matched_by(self) -> str:
        """Who says that the unsigned report is about it; empty: nobody, or it is signed."""
        by_hand = self.ended_by is not None and self.ended_by.source is EventSource.OPERATOR
        return self.ended_by.actor if self.ended_by is not None and self.unsigned and by_hand else ""

    @property
    def idle(self) -> bool:
        """A copy that failed: it says nothing against what had arrived before."""
        return self.lost and self.notice.notification.kind is NotificationKind.RESEND

    @property
    def complained(self) -> bool:
        """Its owner has marked mail of ours as spam before."""
        return self.address is not None and complained(self.address)

    def happened(self, kind: EventKind) -> bool:
        return any(e.kind is kind for e in self.events)


def _unsigned(event: Event) -> bool:
    """Matched by hand, or by a queue id, which anybody may know (notifier.dsn keys it so)."""
    return event.source is EventSource.OPERATOR or ":unsigned-" in event.key


@dataclass(frozen=True)
class Case:
    e: Evidence
    facts: InvoiceFacts | None
    """None: there is no invoice."""

    @cached_property
    def _all(self) -> tuple[Tried, ...]:
        by_address = {fact.point.address: fact for fact in self.e.addresses}
        return tuple(
            Tried(d, tuple(notice.events.get(d.id, ())), notice, by_address.get(d.address))
            for notice in (self.facts.notices if self.facts else ())
            for d in notice.deliveries
        )

    @cached_property
    def tried(self) -> tuple[Tried, ...]:
        """The newest delivery to each address, newest first; copies and tests tell nothing of the reader.

        A copy that failed does not undo what had arrived there before.
        """
        found: dict[tuple[Channel, str], Tried] = {}
        for tried in self._all:
            place = (tried.delivery.channel, tried.delivery.address)
            if tried.aside not in _APART and (place not in found or (found[place].idle and tried.arrived)):
                found[place] = tried
        return tuple(found.values())

    @cached_property
    def answers(self) -> tuple[Tried, ...]:
        """What was said last at each address, newest first; also of a copy that failed."""
        newest: dict[tuple[Channel, str], Tried] = {}
        for tried in self._all:
            if tried.aside not in _APART:
                newest.setdefault((tried.delivery.channel, tried.delivery.address), tried)
        return tuple(newest.values())

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Messages of which some delivery tells of the reader, newest first."""
        found = self.facts.notices if self.facts else ()
        return tuple(n for n in found if any(n.aside.get(d.id) not in _APART for d in n.deliveries))

    @cached_property
    def apart(self) -> tuple[Tried, ...]:
        """Tests, and copies to what is not on file; newest first."""
        return tuple(tried for tried in self._all if tried.aside in _APART)

    @cached_property
    def mails(self) -> tuple[Tried, ...]:
        return tuple(t for t in self.tried if t.delivery.channel is Channel.EMAIL)

    @cached_property
    def decider(self) -> Tried | None:
        """The attempt that the verdict is about: what arrived, else what may still, else what was lost.

        Of those of one kind the newest notice counts, and in it the mail before the text.
        """

        def rank(t: Tried) -> tuple[int, bool]:
            if t.arrived:
                return 0, t.delivery.channel is Channel.SMS
            if t.delivery.outcome is Outcome.NONE or t.delayed is not None:
                return 1, t.delivery.channel is Channel.SMS
            return 2 if t.lost or t.delivery.outcome in ARRIVED else 3, t.delivery.channel is Channel.SMS

        # Sorting is stable: newest first stays so within one rank.
        return min(self.tried, key=rank, default=None)

    @cached_property
    def failed_on_file(self) -> tuple[Tried, ...]:
        """Losses that still matter: at addresses to which the next invoice goes too."""
        return tuple(t for t in self.mails if (t.lost or t.misspelled) and t.address is not None)

    @property
    def partly(self) -> bool:
        return bool(self.failed_on_file) and any(t.arrived for t in self.mails)

    @property
    def mended(self) -> bool:
        """All that was tried is lost, at addresses that are not on file any more; the new are untried."""
        if not self.tried or not self.usable or any(not t.lost for t in self.tried):
            return False
        return all(t.address is None and t.delivery.channel is Channel.EMAIL for t in self.tried)

    @property
    def went_to_the_old(self) -> bool:
        """It left for addresses that were mended since, and for no other; the new ones are untried."""
        went = [t for t in self.tried if not t.lost]
        elsewhere = any(t.address is not None or t.delivery.channel is not Channel.EMAIL for t in self.tried)
        if not went or elsewhere or not self.usable:
            return False
        return all(t.aside in (Aside.MENDED, Aside.KEPT) for t in went)

    @property
    def untried(self) -> tuple[AddressFact, ...]:
        """Addresses that can be used, and to which nothing has gone."""
        tried = {t.delivery.address for t in self.mails}
        return tuple(a for a in self.usable if a.point.address not in tried)

    @property
    def mended_in_part(self) -> tuple[AddressFact, ...]:
        """Of several addresses, those that stand for one that got nothing, and to which nothing has gone."""
        gone = [t for t in self.mails if t.address is None and (t.lost or t.aside is Aside.MENDED)]
        if not gone or not any(t.arrived for t in self.mails):
            return ()
        return tuple(a for a in self.untried if a.override is not None)

    @property
    def slip_on_file(self) -> AddressFact | None:
        """What went out went elsewhere, and what is on file by now looks misspelled."""
        slips = [a for a in self.usable if a.finding.status is AddressStatus.TYPO]
        mended = [a for a in self.mended_in_part if a in slips]
        if mended or not slips or len(slips) < len(self.usable):
            return next(iter(mended), None)
        t = self.decider
        gone = t is not None and t.address is None and t.delivery.channel is Channel.EMAIL
        return slips[0] if gone and t is not None and t.delivery.outcome is not Outcome.NONE else None

    def refused_copy(self, tried: Tried) -> Tried | None:
        """A later mail to the same address that a server refused; None: nothing has come back."""
        place = (tried.delivery.channel, tried.delivery.address)
        last = next((t for t in self.answers if (t.delivery.channel, t.delivery.address) == place), tried)
        refused = last.delivery.outcome in (Outcome.BOUNCED, Outcome.FAILED) and last.delivery.cls
        return last if last is not tried and refused else None

    @property
    def is_newest(self) -> bool:
        """Of the account's invoices: what is so now says nothing of why an older one was not sent."""
        newest = self.e.newest or (self.e.invoices[0].invoice.id if self.e.invoices else None)
        return self.facts is not None and self.facts.invoice.id == newest

    @property
    def usable(self) -> tuple[AddressFact, ...]:
        return tuple(a for a in self.e.addresses if a.point.problem is None)

    @property
    def textable(self) -> tuple[PhoneFact, ...]:
        return tuple(p for p in self.e.phones if may_text(p)) if self.e.texts else ()

    @property
    def excluded(self) -> str:
        return self.facts.exclusion.reason if self.facts and self.facts.exclusion else ""

    def invoice_is(self, *statuses: InvoiceStatus) -> bool:
        return self.facts is not None and self.facts.invoice.status in statuses

    @property
    def archived(self) -> bool:
        return self.e.subscriber.status is SubscriberStatus.ARCHIVED

    @property
    def spf(self) -> SpfState:
        return self.e.spf.state if self.e.spf else SpfState.UNKNOWN

    @property
    def dmarc(self) -> SpfState:
        """Whether DMARC passes for what the route sends; unknown where nobody told us its addresses."""
        identity = self.e.identity
        if identity is None or identity.standing is Standing.UNKNOWN:
            return SpfState.UNKNOWN
        if identity.passes:
            return SpfState.RIGHT
        return SpfState.WRONG if identity.facts.egress_ips else SpfState.UNKNOWN

    def by_our_relay(self, tried: Tried) -> bool:
        """What was said to us, our own relay said: no recipient's server has spoken."""
        ended = tried.ended_by
        return (
            ended is not None and ended.source is EventSource.SMTP and tried.delivery.route in self.e.relays
        )


def complained(fact: AddressFact) -> bool:
    return fact.suppression is not None and fact.suppression.reason == COMPLAINT


def may_text(phone: PhoneFact) -> bool:
    return phone.point.problem is None and phone.withdrawn_at is None and phone.suppression is None
