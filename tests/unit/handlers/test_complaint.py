"""The word to the desk about a complaint: who, masked; about what; what it means and what to do."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from handlers.contract import Services
from handlers.surfaces.complaint import SURFACE, Complained, word
from notifier.tracking import COMPLAINT
from store.models import Channel, SubscriberKind
from store.unit import Store
from tests.unit.handlers import cast
from tests.unit.handlers.support import HOSTILE, buttons, golden, legal, obeyed, profile, said


async def told(store: Store, services: Services, *, stopped: bool = True) -> str:
    sid = await cast.dana(store)
    _, (delivery,) = await cast.sent(store, "k", sid, "dana@inbox.example", invoice="20001")
    if stopped:
        async with store.begin(1) as tx:
            await tx.suppressions.suppress(
                Channel.EMAIL, delivery.address, reason=COMPLAINT, actor="complaint"
            )
    return str(delivery.id)


async def test_the_desk_reads_who_about_what_and_what_to_do(store: Store, services: Services) -> None:
    reply = await SURFACE.draw(services, 1, await told(store, services))
    assert reply is not None
    golden("complaint", reply)
    text = said(reply)
    assert "d•••@inbox.example" in text
    assert "dana@inbox.example" not in text
    assert "Whitfield" not in text
    assert "20001" in text
    assert {"find.open", "release.ask"} <= set(buttons(reply))


async def test_a_complaint_that_stopped_nothing_says_so(store: Store, services: Services) -> None:
    reply = await SURFACE.draw(services, 1, await told(store, services, stopped=False))
    assert reply is not None
    legal(reply)
    assert "Mail to this address goes on." in said(reply)
    assert "marked our mail as spam" not in said(reply), "it may be about a virus, or another mailbox"
    assert "bears our signature" not in said(reply)
    assert "release.ask" not in buttons(reply)


async def test_a_delivery_that_is_gone_shows_nothing(services: Services) -> None:
    assert await SURFACE.draw(services, 1, str(uuid4())) is None


@pytest.mark.parametrize("name", sorted(HOSTILE))
async def test_a_hostile_name_stays_text(sqlite_store: Store, name: str) -> None:
    sid = await cast.dana(sqlite_store)
    notification, (delivery,) = await cast.sent(sqlite_store, "k", sid, "dana@inbox.example", invoice="20001")
    async with sqlite_store.read(1) as tx:
        dana = await tx.subscribers.by_id(sid)
    assert dana is not None
    business = replace(dana, name=HOSTILE[name], kind=SubscriberKind.BUSINESS)
    reply = word(Complained(delivery, notification, None, business, True), profile())
    assert "<!channel>" not in obeyed(legal(reply))
