"""The billing system at the wire answers as the real one would: key, filters, pages, refusals, rates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.phone.timing import Timing
from tests.uisp_world import OWES, UispWorld, small_cast, uisp_world

CAST = small_cast("1001", "1042", OWES, "1260")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[UispWorld]:
    async with uisp_world(tmp_path, CAST) as running:
        yield running


async def ask(
    world: UispWorld,
    path: str,
    method: str = "GET",
    body: Any = None,
    key: str | None = None,
    raw: Any = None,
) -> tuple[int, Any]:
    headers = {"X-Auth-App-Key": world.endpoint["app_key"] if key is None else key}
    url = f"{world.endpoint['api']}/{path}"
    async with world.http.request(method, url, json=body, data=raw, headers=headers) as answer:
        kind = answer.content_type
        return answer.status, await answer.json() if kind == "application/json" else await answer.read()


async def control(world: UispWorld, method: str, path: str, body: Any = None) -> tuple[int, str]:
    async with world.http.request(method, f"{world.site.url}/sandbox/{path}", json=body) as answer:
        content = await answer.json()
        return answer.status, content.get("error", "") if isinstance(content, dict) else ""


async def test_nobody_is_let_in_without_the_key(world: UispWorld) -> None:
    assert (await ask(world, "version"))[0] == 200
    for key in ("", "wrong"):
        status, body = await ask(world, "clients", key=key)
        assert (status, body["code"]) == (401, 401)


@pytest.mark.parametrize(
    ("query", "idents"),
    [
        ("userIdent=1042", {"1042"}),
        ("userIdent=nobody", set()),
        ("limit=4", {"1001", OWES, "1042", "1260"}),
        ("offset=100", set()),
    ],
)
async def test_clients_are_found_by_filters(world: UispWorld, query: str, idents: set[str]) -> None:
    status, found = await ask(world, f"clients?{query}")
    assert status == 200
    assert {c["userIdent"] for c in found} == idents


async def test_pages_are_pieces_of_one_list_and_words_find_whoever_has_them(world: UispWorld) -> None:
    _, everyone = await ask(world, "clients")
    pieces = [(await ask(world, f"clients?limit=1&offset={n}"))[1] for n in range(4)]
    assert [one for piece in pieces for one in piece] == everyone
    word = everyone[0]["street1"].split()[0]
    _, found = await ask(world, f"clients?query={word}")
    assert everyone[0]["id"] in [one["id"] for one in found]


async def test_a_client_is_found_by_mail_and_by_phone(world: UispWorld) -> None:
    _, everyone = await ask(world, "clients")
    contact = everyone[0]["contacts"][0]
    for name in ("email", "phone"):
        value = contact[name].replace("+", "%2B").replace(" ", "%20")
        assert (await ask(world, f"clients?{name}={value}"))[1][0]["id"] == everyone[0]["id"]


async def test_invoices_are_found_by_number_status_and_what_is_overdue(world: UispWorld) -> None:
    client = (await world.client(OWES))["client"]["id"]
    _, unpaid = await ask(world, f"invoices?clientId={client}&statuses[]=1&statuses[]=2")
    assert unpaid
    assert {one["status"] for one in unpaid} <= {1, 2}
    _, named = await ask(world, f"invoices?number={unpaid[0]['number']}")
    assert [one["id"] for one in named] == [unpaid[0]["id"]]
    _, late = await ask(world, "invoices?overdue=1")
    assert {one["id"] for one in unpaid} <= {one["id"] for one in late}


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=10001", "offset=-1"])
async def test_a_page_that_is_none_is_refused(world: UispWorld, query: str) -> None:
    status, body = await ask(world, f"clients?{query}")
    assert status == 400
    assert "is not valid" in body["message"]
    assert await world.problems() != [], "whoever asks so has a bug"


async def _service(world: UispWorld, account: str, status: int = 1) -> int:
    services = (await world.client(account))["services"]
    return int(next(one["id"] for one in services if one["status"] == status))


@pytest.mark.parametrize(
    ("act", "body", "field"),
    [
        ("suspend", {}, "suspensionReasonId"),
        ("suspend", {"suspensionReasonId": 99}, "suspensionReasonId"),
        ("suspend", {"suspensionReasonId": 1, "why": "x"}, "why"),
        ("pause", {"pauseDate": "2026-03-02"}, "reactivateDate"),
        ("pause", {}, "pauseDate"),
    ],
)
async def test_a_form_that_is_wrong_is_refused_by_field(
    world: UispWorld, act: str, body: dict[str, Any], field: str
) -> None:
    service = await _service(world, OWES)
    status, answer = await ask(world, f"clients/services/{service}/{act}", "PATCH", body)
    assert status == 422
    assert list(answer["errors"]) == [field]
    assert await _service(world, OWES) == service


async def test_acts_that_do_not_fit_the_status_are_refused(world: UispWorld) -> None:
    active, suspended = await _service(world, OWES), await _service(world, "1260", 3)
    day = {"pauseDate": "2026-03-02", "reactivateDate": "2026-04-02"}
    for path, body in (
        (f"{active}/cancel-suspend", {}),
        (f"{suspended}/suspend", {"suspensionReasonId": 1}),
        (f"{suspended}/pause", day),
    ):
        assert (await ask(world, f"clients/services/{path}", "PATCH", body))[0] == 422
    assert (await ask(world, f"clients/services/{suspended}/cancel-suspend", "PATCH", {}))[0] == 200
    client = (await world.client("1260"))["client"]
    assert client["hasSuspendedService"] is False
    assert (await ask(world, "clients/services/9999/suspend", "PATCH", {}))[0] == 404


async def test_an_invoice_is_voided_once(world: UispWorld) -> None:
    invoice = next(one for one in (await world.client(OWES))["invoices"] if one["status"] == 1)
    assert (await ask(world, f"invoices/{invoice['id']}/void", "PATCH", {}))[1]["status"] == 4
    assert (await ask(world, f"invoices/{invoice['id']}/void", "PATCH", {}))[0] == 422


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("client-logs", {"clientId": 999999, "message": "x"}, "clientId"),
        ("client-logs", {"clientId": 1, "message": " "}, "message"),
        ("client-logs", {"clientId": 1}, "message"),
        ("ticketing/tickets", {"clientId": 1}, "subject"),
        ("ticketing/tickets", {"clientId": 1, "subject": "x", "colour": 1}, "colour"),
    ],
)
async def test_what_is_written_needs_a_client_and_words(
    world: UispWorld, path: str, body: dict[str, Any], field: str
) -> None:
    status, answer = await ask(world, path, "POST", body)
    assert (status, list(answer["errors"])) == (422, [field])


@pytest.mark.parametrize("raw", ["{", "[]"])
async def test_a_body_that_is_no_object_is_refused(world: UispWorld, raw: str) -> None:
    assert (await ask(world, "client-logs", "POST", raw=raw))[0] == 400


async def test_what_is_not_there_is_404_and_so_is_an_event_that_never_happened(world: UispWorld) -> None:
    for path in ("clients/999", "clients/x", "invoices/999/pdf", "payments/1", "webhook-events/none", "moon"):
        assert (await ask(world, path))[0] == 404, path


async def test_too_much_at_once_is_429_with_a_time(tmp_path: Path) -> None:
    async with uisp_world(tmp_path, CAST, timing=Timing(rate=0.001, burst=2)) as world:
        assert [(await ask(world, "version"))[0] for _ in range(3)] == [200, 200, 429]
        headers = {"X-Auth-App-Key": world.endpoint["app_key"]}
        async with world.http.get(f"{world.endpoint['api']}/version", headers=headers) as answer:
            assert answer.headers["Retry-After"] == "1"


async def test_a_payment_settles_the_oldest_first_and_what_is_left_is_credit(world: UispWorld) -> None:
    before = await world.client(OWES)
    owed = before["client"]["accountOutstanding"]
    unpaid = sorted(
        (one for one in before["invoices"] if one["status"] in (1, 2)), key=lambda one: str(one["dueDate"])
    )
    await world.change(OWES, paid="1.00")
    first = next(one for one in (await world.client(OWES))["invoices"] if one["id"] == unpaid[0]["id"])
    assert (first["status"], first["amountPaid"]) == (2, unpaid[0]["amountPaid"] + 1)
    await world.change(OWES, paid=str(owed + 9))
    after = await world.client(OWES)
    assert after["client"]["accountCredit"] == pytest.approx(10)
    assert {one["status"] for one in after["invoices"]} <= {0, 3, 4}


async def test_the_books_outlive_a_restart(tmp_path: Path) -> None:
    async with uisp_world(tmp_path, CAST) as world:
        await world.change("1042", client={"city": "Elsewhere"})
        await world.change("1001", gone=True)
        key = world.endpoint["app_key"]
    async with uisp_world(tmp_path, CAST) as world:
        assert world.endpoint["app_key"] == key
        assert (await world.client("1042"))["client"]["city"] == "Elsewhere"
        assert (await control(world, "GET", "billing/client?account=1001"))[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("billing/change", {"account": "nobody"}, "Billing has no client nobody"),
        ("billing/change", {"account": "1001", "paid": "much"}, "paid must be an amount"),
        ("billing/change", {"account": "1001", "paid": "-1"}, "paid must be an amount"),
        ("billing/change", {"account": "1001", "client": {"colour": 1}}, "Unknown field: colour"),
        ("billing/change", {"account": "1001", "service": {"id": 999}}, "no such service"),
        ("billing/change", {"account": "1001", "moon": 1}, "Unknown key: moon"),
        ("billing/behaviour", {"status": 200}, "status must be 400 to 599"),
        ("billing/behaviour", {"access": "none"}, "access must be"),
        ("billing/event", {"entity": "client"}, "Missing key: entity_id"),
    ],
)
async def test_a_control_call_that_cannot_be_obeyed_says_why(
    world: UispWorld, path: str, body: dict[str, Any], words: str
) -> None:
    status, error = await control(world, "POST", path, body)
    assert 400 <= status < 500
    assert words in error


async def test_an_event_that_finds_nobody_is_in_the_wire_list(world: UispWorld) -> None:
    await world.call("POST", "billing/event", {"entity": "client", "entity_id": 1, "times": 2})
    wire = await world.call("GET", "wire")
    sent = [row["status"] for row in wire if row["method"] == "event client.edit"]
    assert sent == ["ClientConnectorError"] * 2
