"""A desk whose billing is UISP, through the wire, on both databases: facts, acts, news, documents, its log.

Late payers of the cast with an active package: 1033 (two packages), 1049, 1110, 1145.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests.desk import Desk, Message, action_ids, running_demo, words
from tests.flows.test_suspend_story import _dialog, _submit, _suspend

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(demo_database: str | None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    more = ["--halves"] if demo_database else []
    state = tmp_path_factory.mktemp("demo") / "state"
    async with running_demo(state, demo_database, "--billing", "uisp", *more) as running:
        yield running


async def _books(desk: Desk) -> dict[str, Any]:
    found: dict[str, Any] = await desk.call("GET", "/sandbox/billing")
    return found


async def _services(desk: Desk, account: str) -> dict[str, int]:
    found = await desk.call("GET", f"/sandbox/billing/client?account={account}")
    return {service["name"]: service["status"] for service in found["services"]}


async def _change(desk: Desk, **what: Any) -> None:
    await desk.call("POST", "/sandbox/billing/change", what)


async def _logged(desk: Desk, text: str) -> Mapping[str, Any]:
    async def look() -> Mapping[str, Any] | None:
        return next((entry for entry in (await _books(desk))["logs"] if text in entry["message"]), None)

    found: Mapping[str, Any] = await desk.until(look, f"an entry with {text!r} in UISP's client log")
    return found


async def test_cards_say_that_the_facts_are_uisps_and_how_old_they_are(desk: Desk) -> None:
    card = words(await desk.type("/isp find 1033", "U_LEAD"))
    assert "Facts from uisp, read" in card


async def test_a_late_payer_is_suspended_in_uisp_read_back_told_and_written_down_there(desk: Desk) -> None:
    preview = await desk.type("/isp suspend 1033", "U_LEAD")
    assert "Facts asked for just now: uisp." in words(preview)
    modal = await _dialog(desk, preview, "suspend.choose", "U_LEAD")
    assert await _submit(desk, modal, "U_LEAD") is None
    await desk.shows("Suspended, read back from billing", "U_LEAD", after=preview["ts"])
    assert sorted((await _services(desk, "1033")).values()) == [1, 3], "one package, and not the other"
    entry = await _logged(desk, "suspended, by U_LEAD. Reason: Unpaid balance")
    client = (await desk.call("GET", "/sandbox/billing/client?account=1033"))["client"]["id"]
    assert entry["clientId"] == client


async def _balance_is(desk: Desk, account: str, wanted: str) -> Message:
    async def look() -> Message | None:
        card = await desk.type(f"/isp find {account}", "U_LEAD")
        return card if wanted in words(card) else None

    found: Message = await desk.until(look, f"{wanted} on the card of {account}")
    return found


async def test_a_payment_in_uisp_is_known_at_once_and_an_agent_brings_it_back(desk: Desk) -> None:
    await _change(desk, account="1033", paid="all")
    await _balance_is(desk, "1033", "$0.00")
    refused = await desk.type("/isp suspend 1033", "U_LEAD")
    assert "owes nothing: its balance is zero" in words(refused)
    preview = await desk.type("/isp unsuspend 1033")
    modal = await _dialog(desk, preview, "unsuspend.choose", "U_AGENT")
    assert await _submit(desk, modal, "U_AGENT") is None
    await desk.shows("Active again, read back from billing", "U_AGENT", after=preview["ts"])
    assert set((await _services(desk, "1033")).values()) == {1}


async def test_killed_after_the_intention_it_is_asked_of_uisp_once(desk: Desk) -> None:
    preview = await _suspend(desk, "1110")
    await desk.product("KILL")
    await desk.product("START")
    await desk.shows("Suspended, read back from billing", "U_LEAD", after=preview["ts"])
    wire = await desk.call("GET", "/sandbox/wire?since=0")
    service = next(
        one["id"]
        for one in (await desk.call("GET", "/sandbox/billing/client?account=1110"))["services"]
        if one["status"] == 3
    )
    calls = [row for row in wire if row["method"] == f"PATCH clients/services/{service}/suspend"]
    assert len(calls) == 1
    await _logged(desk, "suspended, by U_LEAD")


async def test_a_lost_answer_ends_in_what_uisp_shows(desk: Desk) -> None:
    await desk.call(
        "POST", "/sandbox/billing/behaviour", {"method": "PATCH", "lose_response": True, "times": 1}
    )
    preview = await _suspend(desk, "1145")
    await desk.shows("Suspended, read back from billing", "U_LEAD", after=preview["ts"])
    await desk.call("POST", "/sandbox/billing/behaviour", {})


async def test_a_uisp_in_trouble_is_told_and_nothing_is_done_before_it_answers(desk: Desk) -> None:
    await desk.call("POST", "/sandbox/billing/behaviour", {"path": "clients", "status": 503})
    preview = await desk.type("/isp suspend 1049", "U_LEAD")
    assert "UISP has trouble of its own (HTTP 503)" in words(preview)
    assert "Nothing is done before billing answers" in words(preview)
    await desk.call("POST", "/sandbox/billing/behaviour", {})


async def test_a_resent_invoice_carries_uisps_own_document(desk: Desk) -> None:
    client = (await desk.call("GET", "/sandbox/billing/client?account=1001"))["client"]
    address = client["contacts"][0]["email"]
    before = len(await desk.mails(address))
    await desk.resend("1001")

    async def arrived() -> list[dict[str, Any]]:
        return (await desk.mails(address))[before:]

    (mail,) = await desk.until(arrived, "the copy")
    (paper,) = mail["attachments"]
    assert paper["content_type"] == "application/pdf"
    wire = await desk.call("GET", "/sandbox/wire?since=0")
    assert any(row["method"].startswith("GET invoices/") and row["method"].endswith("/pdf") for row in wire)


async def test_a_forged_event_and_a_wrong_secret_change_nothing(desk: Desk) -> None:
    await desk.call("POST", "/sandbox/billing/event", {"entity": "client", "entity_id": 1})
    await desk.call("POST", "/sandbox/billing/event", {"entity": "client", "entity_id": 1, "secret": "wrong"})
    wire = await desk.call("GET", "/sandbox/wire?since=0")
    sent = [row["status"] for row in wire if row["method"] == "event client.edit"]
    assert sent[-2:] == ["200", "403"]


async def test_a_client_that_is_deleted_in_uisp_is_archived_here(desk: Desk) -> None:
    await _change(desk, account="1128", gone=True)
    await _balance_is(desk, "1128", "rchived")


async def test_nothing_on_the_wire_would_have_displeased_the_real_services(desk: Desk) -> None:
    assert [row["problem"] for row in await desk.problems()] == []
    assert "suspend.choose" in action_ids(await desk.type("/isp suspend 1049", "U_LEAD"))
