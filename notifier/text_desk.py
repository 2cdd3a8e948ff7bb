"""What is asked of the provider about texts: those in doubt, and those whose receipt does not come.

A text in doubt is never simply sent again (docs/adr/0009-doubt-in-texts.md): it is held for one settling
period, then the provider is listed, outside any transaction. Found: its sid and status are ours. Absent
twice: it did not go out, and is queued again. A text handed over without a final status is fetched after ten
minutes, an hour and a day; then it stays "handed to the carrier, no receipt".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from notifier import templates, tracking
from notifier.channels import Inquiry, KnownText, NoAnswer, SmsRoute, TextProvider
from notifier.compose import Composer
from notifier.schedule import (
    A_PERSON,
    PRESUMED_AFTER,
    RECEIPT_CHECKS,
    SETTLE,
    SETTLING,
    SETTLING_PERIOD,
    UNCLEAR,
    Look,
    Settle,
    next_check,
)
from notifier.sms_text import smart_encoded
from notifier.texts import Told, learn
from notifier.tracking import Report, worker_event
from store.models import Delivery, Event, EventKind, EventSource
from store.unit import Store, Tx

log = structlog.get_logger()
CLOCKS_DIFFER = timedelta(minutes=5)
ASK_AGAIN = timedelta(minutes=10)
"""When no answer came."""
AT_ONCE = 100
"""Texts that are taken to be asked for in one go."""


@dataclass(frozen=True, slots=True)
class Found:
    look: Look
    text: KnownText | None = None


def look_for(
    body: str, since: datetime, listed: Sequence[KnownText] | NoAnswer, taken: frozenset[str]
) -> Found:
    """What the list says of a text with this body, created after `since`; `taken` sids are known deliveries'.

    The provider gives back no id of ours, so it is told by number, words and time.
    """
    if isinstance(listed, NoAnswer):
        return Found(Look.NO_ANSWER)
    free = [
        text
        for text in listed
        if text.sid not in taken and (text.created_at is None or text.created_at >= since)
    ]
    fits = [text for text in free if _same(text.body, body)]
    if fits:
        return Found(Look.FOUND, fits[-1])  # the list's newest comes first: the oldest one is the first try
    return Found(Look.UNCLEAR if any(not text.body for text in free) else Look.ABSENT)


def _same(theirs: str, ours: str) -> bool:
    """The provider may have written it in the plain alphabet."""
    return theirs.strip() == ours.strip() or smart_encoded(theirs).strip() == smart_encoded(ours).strip()


def begun_after(delivery: Delivery, history: Sequence[Event]) -> datetime:
    """Nothing of the attempt that runs now is older than this."""
    earlier = [event.at for event in history if event.attempt < delivery.attempt]
    return max([delivery.created_at, *earlier]) - CLOCKS_DIFFER


class TextDesk:
    def __init__(
        self, store: Store, routes: Mapping[int, SmsRoute], provider: TextProvider, composer: Composer
    ) -> None:
        self._store, self._routes, self._composer = store, routes, composer
        self._inquiries: dict[int, Inquiry] = {t: provider.inquiry(route) for t, route in routes.items()}

    async def close(self) -> None:
        for inquiry in self._inquiries.values():
            await inquiry.close()

    async def settle(self, limit: int = AT_ONCE) -> int:
        """Looks for the texts in doubt whose settling period is over; how many there were."""
        async with self._store.system() as tx:
            doubtful = await tx.deliveries.take_doubtful(tx.now + SETTLING_PERIOD, limit)
        for delivery in doubtful:
            await self._guarded(delivery, self._settle)
        return len(doubtful)

    async def _guarded(self, delivery: Delivery, ask: Callable[[Delivery], Awaitable[None]]) -> None:
        """What cannot be asked about one text keeps nobody from asking about the others."""
        try:
            await ask(delivery)
        except Exception as error:
            log.exception("text_not_asked_for", delivery=str(delivery.id), error=type(error).__name__)

    async def _settle(self, delivery: Delivery) -> None:
        inquiry = self._inquiries.get(delivery.tenant)
        found = Found(Look.NO_ANSWER) if inquiry is None else await self._look(delivery, inquiry)
        step = SETTLE[found.look, delivery.checks > 0]
        log.info("text_in_doubt", delivery=str(delivery.id), look=found.look, step=step)
        async with self._store.system() as tx:
            if step is Settle.ADOPT and found.text is not None:
                if await _taken(tx, delivery, found.text.sid):
                    return  # a text with the same words has it: this one is looked for again
                await learn(
                    tx,
                    tenant=delivery.tenant,
                    delivery_id=delivery.id,
                    attempt=delivery.attempt,
                    told=_told(found.text),
                    source=EventSource.SWEEP,
                )
            elif step is Settle.QUEUE:
                await tracking.record(tx, [_requeued(delivery, tx.now)])
            elif step is Settle.ASK_A_PERSON:
                await tx.deliveries.give_to_a_person(delivery, reason=UNCLEAR, by=A_PERSON)
                await tracking.bump_cards(tx, [delivery])
            elif found.look is not Look.NO_ANSWER:
                await tx.deliveries.checked(delivery, tx.now + SETTLING_PERIOD)

    async def _look(self, delivery: Delivery, inquiry: Inquiry) -> Found:
        async with self._store.read(delivery.tenant) as tx:
            notification = (await tx.notifications.get_many([delivery.notification_id]))[
                delivery.notification_id
            ]
            source = await tx.notifications.template(notification.template_hash)
            history = (await tx.events.of([(delivery.tenant, delivery.id)]))[delivery.tenant, delivery.id]
        if source is None:
            raise LookupError("the template of a text in doubt is not stored")
        route = self._routes[delivery.tenant]
        try:
            body = self._composer.text(route, delivery, notification, source).body
        except (templates.TemplateProblem, ValueError):
            return Found(Look.ABSENT)  # what cannot be written was never sent
        listed = await inquiry.sent_to(delivery.address)
        sids = [] if isinstance(listed, NoAnswer) else [text.sid for text in listed]
        async with self._store.read(delivery.tenant) as tx:
            taken = frozenset(await tx.deliveries.known_queue_ids(sids))
        return look_for(body, begun_after(delivery, history), listed, taken)

    async def ask_for_receipts(self) -> int:
        """Fetches texts that have no final status yet; how many were due."""
        async with self._store.system() as tx:
            due = await tx.deliveries.take_unreceipted(tx.now + ASK_AGAIN)
        for delivery in due:
            await self._guarded(delivery, self._ask)
        return len(due)

    async def _ask(self, delivery: Delivery) -> None:
        inquiry = self._inquiries.get(delivery.tenant)
        answer: KnownText | NoAnswer = NoAnswer("there is nobody to ask")
        if inquiry is not None and delivery.queue_id:
            answer = await inquiry.fetch(delivery.queue_id)
        async with self._store.system() as tx:
            if isinstance(answer, KnownText):
                await learn(
                    tx,
                    tenant=delivery.tenant,
                    delivery_id=delivery.id,
                    attempt=delivery.attempt,
                    told=_told(answer),
                    source=EventSource.SWEEP,
                )
            handed_over, checks = delivery.outcome_at or delivery.created_at, delivery.checks + 1
            given_up = tx.now >= handed_over + PRESUMED_AFTER
            if given_up or (isinstance(answer, KnownText) and checks >= len(RECEIPT_CHECKS)):
                await tracking.record(tx, [_settled(delivery, tx.now)])
            elif isinstance(answer, KnownText):
                await tx.deliveries.checked(delivery, next_check(handed_over, checks))


async def _taken(tx: Tx, delivery: Delivery, sid: str) -> bool:
    """Whether another delivery has become this text since the look. Two with the same words to one number may
    be settled at once: whoever comes second waits here for the first."""
    mine = tx.of(delivery.tenant).deliveries
    in_doubt = [
        d for d in await mine.waiting_to(delivery.channel, delivery.address) if d.stage_by == SETTLING
    ]
    await mine.lock([(d.tenant, d.id) for d in in_doubt])
    return bool(await mine.known_queue_ids([sid]))


def _told(text: KnownText) -> Told:
    return Told(text.sid, text.status, text.error_code)


def _requeued(delivery: Delivery, at: datetime) -> Report:
    said = "not on the provider's list, looked for twice: it did not go out"
    event = worker_event(delivery, EventKind.REQUEUED, at, source=EventSource.SWEEP, diagnostic=said)
    return Report(delivery.tenant, event)


def _settled(delivery: Delivery, at: datetime) -> Report:
    said = "no receipt came: the provider was asked three times"
    event = worker_event(delivery, EventKind.SETTLED, at, source=EventSource.SWEEP, diagnostic=said)
    return Report(delivery.tenant, event)
