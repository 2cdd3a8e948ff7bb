"""What UISP may answer, and what is said of it: never a key, never a client's data, never a silent half."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from billing.uisp import client as module
from billing.uisp.client import Busy, Lost, NoAccess, NotThere, Refused, UispClient, UispError

KEY = "the-app-key"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(
    handler: Handler, waits: list[float] | None = None, timeout_s: float = 5.0
) -> AsyncIterator[UispClient]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    server = TestServer(app)
    await server.start_server()

    async def sleep(seconds: float) -> None:
        (waits if waits is not None else []).append(seconds)

    client = UispClient(f"http://127.0.0.1:{server.port}", KEY, timeout_s=timeout_s, sleep=sleep)
    try:
        yield client
    finally:
        await client.close()
        await server.close()


def always(status: int = 200, **how: Any) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["X-Auth-App-Key"] == KEY
        return web.Response(status=status, **how)

    return answer


async def test_numbers_with_a_point_are_decimals() -> None:
    async with answering(always(text='{"a": 49.9, "b": 3}')) as client:
        assert await client.get("x") == {"a": Decimal("49.9"), "b": 3}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, "", NoAccess, "does not accept our app key"),
        (403, "", NoAccess, "may not do this in UISP"),
        (404, "", NotThere, "does not have this any more"),
        (
            422,
            '{"code":422,"message":"m","errors":{"email":["is bad","again"],"x":"no."}}',
            Refused,
            "email: is bad; email: again; x: no.",
        ),
        (422, '{"message":"Only so."}', Refused, "UISP refuses it: Only so."),
        (422, '{"errors": 7}', Refused, "it gives no reason."),
        (400, "<html>", Refused, "it gives no reason."),
        (400, "[]", Refused, "it gives no reason."),
        (302, "", Refused, "HTTP 302"),
        (405, "", Refused, "HTTP 405"),
        (500, "", Lost, "trouble of its own (HTTP 500)"),
        (599, "", Lost, "HTTP 599"),
        (200, "<html>", Lost, "not JSON"),
    ],
)
async def test_each_answer_has_its_words(status: int, body: str, kind: type, words: str) -> None:
    async with answering(always(status, text=body)) as client:
        with pytest.raises(UispError) as told:
            await client.get("clients")
    assert type(told.value) is kind
    assert words in told.value.sentence
    assert KEY not in told.value.sentence
    assert "127.0.0.1" not in told.value.sentence


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    seen: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.path)
        raise web.HTTPFound("/login")

    async with answering(elsewhere) as client:
        with pytest.raises(Refused):
            await client.get("clients")
    assert seen == ["/clients"]


async def test_an_endless_answer_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_BODY", 1000)
    async with answering(always(body=b"x" * 5000)) as client:
        with pytest.raises(Lost, match="larger than anything"):
            await client.read("invoices/1/pdf")


async def test_a_small_answer_that_unpacks_to_a_large_one_is_not_read_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LONGEST_BODY", 1000)
    packed = gzip.compress(b"[" + b"0," * 100_000 + b"0]")
    async with answering(always(body=packed, headers={"Content-Encoding": "gzip"})) as client:
        with pytest.raises(Lost):
            await client.get("clients")


async def test_a_server_that_hangs_in_the_middle_is_lost_after_its_time() -> None:
    over = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"[")
        await over.wait()
        return answer

    async with answering(hang, timeout_s=0.3) as client:
        with pytest.raises(Lost, match="did not answer to the end"):
            await client.get("clients")
        over.set()


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        ("0", 0.1, 0.1),
        ("", 5, 5),
        ("soon", 5, 5),
        ("in an hour", 3500, 3600),
        ("9" * 8, 4 * 3600, 4 * 3600),
    ],
)
async def test_a_busy_server_says_when_to_come_back(header: str, least: float, most: float) -> None:
    if header == "in an hour":
        header = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    asked = 0

    async def busy(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 1:
            return web.Response(status=429, headers={"Retry-After": header} if header else {})
        return web.json_response([])

    waits: list[float] = []
    async with answering(busy, waits) as client:
        assert await client.get("clients", patience_s=1e12) == []
    assert least <= waits[0] <= most


async def test_whoever_cannot_wait_so_long_is_told_that_it_is_busy() -> None:
    async with answering(always(429, headers={"Retry-After": "60"})) as client:
        with pytest.raises(Busy, match="in 60 seconds; nothing was done"):
            await client.change("PATCH", "x", {}, patience_s=3)


async def test_reading_is_tried_again_with_longer_pauses_and_writing_is_not() -> None:
    asked: list[str] = []

    async def down(request: web.Request) -> web.Response:
        asked.append(request.method)
        return web.Response(status=502)

    waits: list[float] = []
    async with answering(down, waits) as client:
        with pytest.raises(Lost):
            await client.get("clients", patience_s=6)
        with pytest.raises(Lost):
            await client.change("PATCH", "x", {}, patience_s=6)
    assert waits == [1, 2, 4]
    assert asked == ["GET"] * 4 + ["PATCH"]


async def test_an_empty_answer_to_a_change_is_fine_and_what_is_no_list_is_no_page() -> None:
    async with answering(always(204)) as client:
        assert await client.change("PATCH", "x", {}) is None
    async with answering(always(text="{}")) as client:
        with pytest.raises(Lost, match="something else than a list"):
            await anext(client.pages("clients"))


@pytest.mark.parametrize("cap", [2, 3, 5, 100])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 20])
async def test_every_entry_comes_whatever_the_size_of_pages(
    cap: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 5)
    entries = [{"id": number} for number in range(1, count + 1)]

    async def listed(request: web.Request) -> web.Response:
        offset, limit = int(request.query["offset"]), min(int(request.query["limit"]), cap)
        return web.json_response(entries[offset : offset + limit])

    found: list[int] = []
    async with answering(listed) as client:
        async for position, page in client.pages("clients"):
            found += [entry["id"] for entry in page]
            assert position == len(found)
    assert found == list(range(1, count + 1))


@pytest.mark.parametrize("removed", [1, 2, 3, 6, 9])
async def test_entries_that_are_removed_between_two_pages_hide_no_other(
    removed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 5)
    entries = [{"id": number} for number in range(1, 21)]
    asked = 0

    async def listed(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 3:
            del entries[:removed]
        offset = int(request.query["offset"])
        return web.json_response(entries[offset : offset + int(request.query["limit"])])

    found: set[int] = set()
    async with answering(listed) as client:
        async for _, page in client.pages("clients"):
            found |= {entry["id"] for entry in page}
    assert set(range(removed + 1, 21)) <= found
