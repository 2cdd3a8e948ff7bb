"""One text that came in, with everything that it is read with, and the answers that go out by themselves.

What must not wait for a person answers itself, a few times an hour at most, and never to somebody who opted
out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from handlers.contract import Services
from handlers.intents import Intent
from handlers.profile import TenantProfile
from handlers.reply_texts import Auto, language_of, text_of
from handlers.workflows.conversations import send_automatic, tell, want_thread
from store.consents import Consent
from store.models import AUTO, AuditEntry, Conversation, ConversationLine, Subscriber
from store.unit import Tx

SUBSCRIBER = "subscriber"
"""Whose act it is, in the audit trail."""

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
MOST_AN_HOUR = 8
"""Automatic texts to one number, of whatever kind: two machines must not talk for ever."""
_LIMITS: dict[Auto, tuple[int, timedelta]] = {
    Auto.HELP: (1, HOUR),
    Auto.INVOICE: (3, DAY),
    Auto.NO_INVOICE: (1, HOUR),
    Auto.BALANCE: (5, HOUR),
    Auto.BALANCE_ZERO: (5, HOUR),
    Auto.BALANCE_CREDIT: (5, HOUR),
    Auto.PAY: (2, HOUR),
    Auto.PAY_BY_PHONE: (2, HOUR),
    Auto.CARD: (2, HOUR),
    Auto.WHICH: (2, HOUR),
    Auto.STOPPED: (3, HOUR),
    Auto.STARTED: (3, HOUR),
    Auto.ADDRESS_SENT: (3, HOUR),
    Auto.ADDRESS_NOTED: (3, HOUR),
}
_OPTED_OUT = frozenset({Auto.STOPPED, Auto.STARTED})
"""What somebody who opted out may still get: the truth check lets no more through."""
_PAUSED = _OPTED_OUT | {Auto.HELP}
"""What goes out while a colleague decides what was meant."""


@dataclass(frozen=True, slots=True)
class Received:
    """One text and everything it is read with."""

    tx: Tx
    services: Services
    profile: TenantProfile
    conversation: Conversation
    opened: bool
    people: tuple[Subscriber, ...]
    out: Consent | None
    """The opt-out that stood when the text came."""
    intent: Intent
    line: ConversationLine
    sid: str
    step: str

    @property
    def subscriber(self) -> Subscriber | None:
        """The one whom it is about, when that is known."""
        wanted = self.conversation.subscriber_id
        return next((person for person in self.people if person.id == wanted), None)

    @property
    def language(self) -> str:
        known = {person.language for person in self.people}
        chosen = self.subscriber.language if self.subscriber else known.pop() if len(known) == 1 else "en"
        return language_of(self.intent.redacted, chosen)

    async def want(self) -> None:
        await want_thread(self.tx, self.profile, self.conversation)

    async def tell(self, words: str, name: str, author: str = "") -> ConversationLine | None:
        once = f"{self.step}:{name}"
        return await tell(self.tx, self.profile, self.conversation, words, once=once, author=author)

    async def audit(self, action: str) -> None:
        entry = AuditEntry(
            self.tx.now,
            SUBSCRIBER,
            action,
            f"conversation:{self.conversation.id}",
            {"message": self.sid, "rule": self.intent.rule},
            {"number": self.conversation.number},
        )
        await self.tx.audit.append(f"{self.step}:{action}", entry)

    async def answer(self, which: Auto, **values: str) -> bool:
        """Sends an automatic text, unless it was sent often enough; False when it is not sent."""
        sms = self.profile.sms
        refused = self.out is not None and which not in _OPTED_OUT
        waits = self.conversation.paused and which not in _PAUSED
        if sms is None or refused or waits or not await self._within_limits(which):
            return False
        body = text_of(which, self.language, brand=self.profile.brand.name, **values)
        await send_automatic(
            self.services,
            self.tx,
            self.profile,
            self.conversation,
            which,
            body,
            self.language,
            step=f"{self.sid}:{which}",
        )
        return True

    async def _within_limits(self, which: Auto) -> bool:
        now = self.tx.now
        recent = await self.tx.conversations.auto_since(self.conversation.number, now - DAY)
        most, window = _LIMITS[which]
        alike = [line for line in recent if line.author == f"{AUTO}{which}" and line.at > now - window]
        return len(alike) < most and sum(line.at > now - HOUR for line in recent) < MOST_AN_HOUR


__all__ = ["DAY", "HOUR", "MOST_AN_HOUR", "SUBSCRIBER", "Received"]
