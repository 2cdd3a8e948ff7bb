"""Groups of news: as if each had come alone, and one that cannot be worked on stops no other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from notifier.keys import DeliveryToken
from store.models import Channel, Confidence, Delivery, Interaction, InteractionKind, Outcome, Stage
from store.tables import interactions
from store.unit import Store
from tests.builders import DOMAIN, KEYRING, NOW, delivery
from tests.contracts.reports import block, dsn
from tests.unit.bot.support import Office
from tests.unit.bot.support import office as open_office
from tests.unit.sandbox.bolt_app import Slack


@pytest.fixture
async def desk(slack: Slack, store: Store) -> AsyncIterator[Office]:
    async with open_office(slack, store) as office:
        yield office


def token_of(item: Delivery) -> str:
    return KEYRING.delivery_token(DeliveryToken(1, item.id, 1))


async def handed_over(store: Store, *addresses: str) -> list[Delivery]:
    made = [
        delivery(
            address,
            channel=Channel.EMAIL if "@" in address else Channel.SMS,
            stage=Stage.AWAITING,
            attempt=1,
            outcome=Outcome.SENT,
            confidence=Confidence.HANDED_TO_RELAY,
        )
        for address in addresses
    ]
    async with store.begin(1) as tx:
        await tx.deliveries.add(made)
    return made


def item(number: int, kind: InteractionKind, payload: dict[str, object], body: bytes = b"") -> Interaction:
    return Interaction(1, f"{number:064x}", kind, payload, NOW, body=body, attempt=1)


def told(number: int, token: str, status: str, sid: str = "SM" + "1" * 32) -> Interaction:
    params = {"MessageSid": sid, "MessageStatus": status}
    return item(number, InteractionKind.SMS_STATUS, {"token": token, "params": params})


async def take(desk: Office, *items: Interaction) -> dict[str, tuple[str, bytes]]:
    """In one group; gives the rows of the inbox by id."""
    async with desk.store.system() as tx:
        await tx.interactions.add(items, worker="desk1-bot", lease_s=30)
    for one in items:
        desk.runner.start(one)
    await desk.settled()
    async with desk.store.read(1) as tx:
        rows = await tx.conn.execute(select(interactions.c.id, interactions.c.state, interactions.c.body))
        return {row.id: (row.state, row.body) for row in rows}


async def standing(store: Store, *items: Delivery) -> list[tuple[Outcome, int]]:
    async with store.read(1) as tx:
        found = await tx.deliveries.get_many([one.id for one in items])
        events = await tx.events.of([(1, one.id) for one in items])
    return [(found[one.id].outcome, len(events[1, one.id])) for one in items]


async def test_two_statuses_of_one_text_and_one_of_another_are_folded_in_one_group(desk: Office) -> None:
    first, second = await handed_over(desk.store, "+15415550141", "+15415550142")
    rows = await take(
        desk,
        told(1, token_of(first), "sent"),
        told(2, token_of(first), "delivered"),
        told(3, token_of(second), "undelivered", "SM" + "2" * 32),
        told(4, token_of(first), "delivered", "SM" + "3" * 32),  # another text's: kept for a person
    )
    assert {state for state, _ in rows.values()} == {"done"}
    assert await standing(desk.store, first, second) == [(Outcome.DELIVERED, 2), (Outcome.BOUNCED, 1)]
    async with desk.store.read(1) as tx:
        assert len((await tx.conn.execute(select(interactions.c.id))).all()) == 4


async def test_bounces_of_many_mails_are_one_group_and_a_poisoned_one_stops_no_other(desk: Office) -> None:
    items = await handed_over(desk.store, *(f"p{n}@inbox.example" for n in range(4)))
    news = [
        item(
            n,
            InteractionKind.DSN,
            {"envelope_to": f"{token_of(one)}@{DOMAIN[1]}"},
            dsn(block(one.address)),
        )
        for n, one in enumerate(items)
    ]
    poisoned = item(9, InteractionKind.DSN, {"no": "envelope"}, b"x")
    rows = await take(desk, *news, poisoned)
    assert [rows[one.id] for one in news] == [("done", b"")] * 4
    assert rows[poisoned.id][0] == "running"  # its lease runs; it is tried again by itself
    assert await standing(desk.store, *items) == [(Outcome.BOUNCED, 1)] * 4
