"""What a desk does stands in the billing system's own books too, where it has some; on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from billing.port import Remote
from billing.systems.uisp import BILLING
from handlers.contract import Services
from handlers.profile import EscalationProfile
from store.filings import FilingKind
from store.tables import billing_filings
from tests.builders import billing_email
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, profile, said

HELPERS = "success@visp.example"


@pytest.fixture
async def desk(services: Services) -> AsyncIterator[Agent]:
    """A desk whose billing is UISP, which nobody asks here."""
    uisp = BILLING.open(services.store, 1, Remote("https://uisp.example.net/crm/api/v1.0", "key"))
    tenants = {1: profile(escalation=EscalationProfile(HELPERS, ""))}
    yield agent_on(replace(services, billing={1: uisp}, tenants=tenants))
    await uisp.close()


async def filed(agent: Agent) -> list[tuple[str, str, str]]:
    async with agent.services.store.read(1) as tx:
        rows = await tx.conn.execute(billing_filings.select().order_by(billing_filings.c.created_at))
        return [(row.kind, row.subject, row.body) for row in rows]


async def mends(agent: Agent, sid: UUID, **more: Any) -> Any:
    value, inputs = {"s": str(sid)}, {"address": "dana@gmail.com"}
    return await agent.run(agent.request("contact", "mended", value=value, inputs=inputs, **more))


async def test_a_mended_address_and_its_way_back_are_told_in_the_clients_log(desk: Agent) -> None:
    sid = await cast.add(desk.services.store, "1001", billing_email("dana@gmial.com"))
    mended = await mends(desk, sid, id="a" * 64)
    await mends(desk, sid, id="a" * 64)
    ((kind, _, body),) = await filed(desk)
    assert kind == FilingKind.LOG
    assert "from dana@gmial.com to dana@gmail.com, by U_AGENT" in body
    await desk.presses(mended, "contact.undo")
    assert "was taken back, by U_AGENT" in (await filed(desk))[1][2]


async def test_where_billing_takes_no_entries_none_wait(agent: Agent) -> None:
    sid = await cast.add(agent.services.store, "1001", billing_email("dana@gmial.com"))
    await mends(agent, sid)
    assert await filed(agent) == []


async def test_escalating_opens_a_private_ticket_and_says_so_before(desk: Agent) -> None:
    await cast.add(desk.services.store, "1042", billing_email("dana@inbox.example"), invoices=("20042",))
    preview = await desk.types("escalate 1042")
    assert f"{HELPERS}* and into a private ticket in UISP" in said(preview)
    answer = await desk.answer(desk.press(preview, "escalate.ask"))
    assert answer.modal is not None
    assert "a private ticket in UISP" in str(answer.modal.blocks)
    asked = desk.request(
        "escalate", "asked", value=dict(answer.modal.carry or {}), inputs={"question": "Why? ann@x.example"}
    )
    sent = await desk.run(asked)
    assert "opened in UISP too" in said(sent)
    await desk.run(asked)
    ((kind, subject, body),) = await filed(desk)
    assert kind == FilingKind.TICKET
    assert "1042" in subject
    assert body.startswith("Why?")
    assert "ann@x.example" not in body, "masked, as in the mail"
