"""The last look before a text leaves: opted out, dead numbers, test numbers; on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from billing.truth import SEND_MODE, SendMode
from notifier.truth import Decision, Go, Stop, Wait
from store.models import Channel, EventKind, NotificationKind, Reason
from store.unit import Store
from tests.builders import NOW, delivery, notification
from tests.unit.billing.test_truth import DANA, EVERY_KIND, Pair, decide, to

PHONE = "+15415550142"


def texted(
    kind: NotificationKind = NotificationKind.RESEND, address: str = PHONE, at: datetime = NOW, **more: Any
) -> Pair:
    wanted = notification(kind=kind, created_at=at)
    return delivery(address, channel=Channel.SMS, notification_id=wanted.id, **more), wanted


async def withdraw(store: Store, at: datetime = NOW, address: str = PHONE) -> None:
    async with store.begin(1) as tx:
        await tx.consents.withdraw(Channel.SMS, address, source="sms", evidence="SM1", at=at)


OPTED_OUT = Stop(EventKind.SUPPRESSED, Reason.OPTED_OUT, "The subscriber has opted out of texts.")


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_whoever_opted_out_gets_no_text_and_mail_goes_on(store: Store, kind: NotificationKind) -> None:
    await withdraw(store, NOW - timedelta(days=1))
    expected: Decision = Go() if kind is NotificationKind.ONCALL else OPTED_OUT
    assert await decide(store, texted(kind)) == expected, "a colleague on call is no subscriber"
    assert await decide(store, to(DANA)) == Go()


@pytest.mark.parametrize(
    ("kind", "after", "goes"),
    [
        (NotificationKind.AUTO_REPLY, timedelta(0), True),
        (NotificationKind.AUTO_REPLY, timedelta(minutes=5), True),
        (NotificationKind.AUTO_REPLY, timedelta(minutes=6), False),
        (NotificationKind.AUTO_REPLY, timedelta(minutes=-1), False),
        (NotificationKind.REPLY, timedelta(0), False),
    ],
)
async def test_one_text_may_confirm_an_opt_out_within_five_minutes(
    store: Store, kind: NotificationKind, after: timedelta, goes: bool
) -> None:
    await withdraw(store, NOW)
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(Channel.SMS, PHONE, reason="opted_out", actor="subscriber")
    decision = await decide(store, texted(kind, at=NOW + after))
    assert decision == (Go() if goes else OPTED_OUT)


async def test_a_number_suppressed_for_an_opt_out_stops_the_one_on_call_too(store: Store) -> None:
    """The carrier would refuse it anyway."""
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(Channel.SMS, PHONE, reason="opted_out", actor="bounce")
    assert await decide(store, texted(NotificationKind.ONCALL)) == OPTED_OUT


async def test_who_opted_in_again_gets_texts(store: Store) -> None:
    await withdraw(store, NOW - timedelta(days=2))
    async with store.begin(1) as tx:
        await tx.consents.grant(Channel.SMS, PHONE, source="sms", evidence="SM2", at=NOW - timedelta(days=1))
    assert await decide(store, texted()) == Go()


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_a_dead_number_gets_no_text_of_any_kind(store: Store, kind: NotificationKind) -> None:
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(Channel.SMS, PHONE, reason="sms_landline", actor="bounce")
    decision = await decide(store, texted(kind))
    assert decision == Stop(EventKind.SUPPRESSED, Reason.RECIPIENT, "This number is on our do-not-text list.")


async def test_only_to_names_numbers_too(store: Store) -> None:
    mode = SendMode("only_to", frozenset({PHONE}))
    assert await decide(store, texted(), mode) == Go()
    assert await decide(store, texted(address="+15415550143"), mode) == Wait(
        "Only test numbers get texts now (send_mode: only_to).", SEND_MODE
    )
    assert isinstance(await decide(store, texted(), SendMode("off")), Wait)
