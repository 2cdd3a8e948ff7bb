"""Opting out of texts and back in: the ledger of consents, the do-not-send list, and what waits already.

47 CFR 64.1200(a)(10): a revocation by any reasonable means counts at once, for every text of ours to that
number. E-mail goes on. Only what an opt-out suppressed is released again by an opt-in: a dead number stays.
"""

from __future__ import annotations

from notifier.tracking import Report, record
from store.consents import Consent
from store.models import Channel, ConsentState, Event, EventKind, EventSource, Reason
from store.unit import Tx

OPTED_OUT = "opted_out"
"""The reason of the suppression."""
BY_TEXT = "sms"
"""Source of a statement that came by text; its evidence is the MessageSid."""
BY_AGENT = "agent"


async def opted_out(tx: Tx, number: str) -> Consent | None:
    """The withdrawal that stands for this number, if one does."""
    key = (Channel.SMS, number)
    consent = (await tx.consents.current([key])).get(key)
    return consent if consent is not None and consent.state is ConsentState.WITHDRAWN else None


async def opt_out(tx: Tx, number: str, *, source: str, evidence: str, actor: str) -> int:
    """Nothing more goes to this number by text; gives how many texts that waited are not sent now."""
    before = await opted_out(tx, number)
    if before is None or before.source not in (BY_TEXT, BY_AGENT):  # the first word counts, and its time
        await tx.consents.withdraw(Channel.SMS, number, source=source, evidence=evidence)
    await tx.suppressions.suppress(Channel.SMS, number, reason=OPTED_OUT, actor=actor)
    # Said again, it must not take back the one text that confirms it; the truth check stops the rest.
    waiting = await tx.deliveries.waiting_to(Channel.SMS, number) if before is None else []
    reports = [
        Report(
            delivery.tenant,
            Event(
                delivery_id=delivery.id,
                attempt=delivery.attempt,
                kind=EventKind.SUPPRESSED,
                key=f"opted_out:{evidence}",
                at=tx.now,
                source=EventSource.OPERATOR if source == BY_AGENT else EventSource.WEBHOOK,
                reason=Reason.OPTED_OUT,
                diagnostic="The subscriber opted out of texts.",
                actor=actor,
            ),
        )
        for delivery in waiting
    ]
    if reports:
        await record(tx, reports)
    return len(reports)


async def opt_in(tx: Tx, number: str, *, source: str, evidence: str, actor: str) -> None:
    """Texts may go to this number again; the consent is kept with its evidence."""
    await tx.consents.grant(Channel.SMS, number, source=source, evidence=evidence)
    key = (Channel.SMS, number)
    suppression = (await tx.suppressions.active([key])).get(key)
    if suppression is not None and suppression.reason == OPTED_OUT:
        await tx.suppressions.release(Channel.SMS, number, actor=actor)
