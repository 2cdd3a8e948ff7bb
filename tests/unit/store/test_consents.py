"""The consent ledger, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from store.consents import Consent
from store.models import Channel, ConsentState
from store.unit import Store
from tests.conftest import FakeClock

NUMBER = "+15415550142"
KEY = (Channel.SMS, NUMBER)
DAY = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(DAY)


async def test_nothing_is_known_of_an_address_until_somebody_says_something(store: Store) -> None:
    async with store.read(1) as tx:
        assert await tx.consents.current([KEY]) == {}


async def test_a_withdrawal_stands_until_a_later_grant(store: Store) -> None:
    async with store.begin(1) as tx:
        assert await tx.consents.grant(*KEY, source="csv", evidence="account 1", at=DAY - timedelta(days=2))
        assert await tx.consents.withdraw(*KEY, source="sms", evidence="SM1", at=DAY - timedelta(days=1))
        assert (await tx.consents.current([KEY]))[KEY].state is ConsentState.WITHDRAWN
        assert await tx.consents.grant(*KEY, source="sms", evidence="SM2")
        assert (await tx.consents.current([KEY]))[KEY] == Consent(
            *KEY, ConsentState.GRANTED, "sms", "SM2", DAY
        )


async def test_the_same_statement_learnt_twice_is_one_row(store: Store) -> None:
    async with store.begin(1) as tx:
        assert await tx.consents.withdraw(*KEY, source="sms", evidence="SM1")
        assert not await tx.consents.withdraw(*KEY, source="sms", evidence="SM1")
        assert len((await tx.consents.history([KEY]))[KEY]) == 1


async def test_a_statement_from_the_past_learnt_twice_is_one_row_and_does_not_overrule(store: Store) -> None:
    old = DAY - timedelta(days=9)
    async with store.begin(1) as tx:
        await tx.consents.withdraw(*KEY, source="csv", evidence="account 1")
        assert await tx.consents.grant(*KEY, source="csv", evidence="account 1", at=old)
        assert not await tx.consents.grant(*KEY, source="csv", evidence="account 1", at=old)
        assert (await tx.consents.current([KEY]))[KEY].state is ConsentState.WITHDRAWN


async def test_of_two_statements_at_one_instant_the_withdrawal_stands(store: Store) -> None:
    for first, second in (("grant", "withdraw"), ("withdraw", "grant")):
        key = (Channel.SMS, f"+1541555010{len(first)}")
        async with store.begin(1) as tx:
            await getattr(tx.consents, first)(*key, source="csv", evidence="account 1")
            await getattr(tx.consents, second)(*key, source="csv", evidence="account 2")
            assert (await tx.consents.current([key]))[key].state is ConsentState.WITHDRAWN


async def test_one_source_can_be_left_out_of_the_question(store: Store) -> None:
    async with store.begin(1) as tx:
        await tx.consents.withdraw(*KEY, source="sms", evidence="SM1", at=DAY - timedelta(days=3))
        await tx.consents.grant(*KEY, source="csv", evidence="account 1")
        assert (await tx.consents.current([KEY]))[KEY].source == "csv"
        assert (await tx.consents.current([KEY], other_than="csv"))[KEY].source == "sms"


async def test_consent_given_to_one_tenant_is_none_for_another(store: Store) -> None:
    async with store.begin(1) as tx:
        await tx.consents.grant(*KEY, source="csv", evidence="account 1")
    async with store.read(2) as tx:
        assert await tx.consents.current([KEY]) == {}


async def test_consent_to_texts_says_nothing_about_an_equal_address_of_another_channel(store: Store) -> None:
    async with store.begin(1) as tx:
        await tx.consents.grant(*KEY, source="csv", evidence="account 1")
        assert await tx.consents.current([(Channel.EMAIL, NUMBER)]) == {}
