"""The shared core of the sandbox: clock, changes, documents, wire, control calls, the product's processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.app import CorePart, Site
from sandbox.product import ProductPart
from sandbox.slack import SlackPart
from sandbox.world import WIRE_KEPT, ControlError, World, checked_keys

CHILD = "import sys,time\nprint('up', flush=True)\ntime.sleep(60)"
EXITS = "import sys\nsys.exit(3)"


@asynccontextmanager
async def world_at(state_dir: Path) -> AsyncIterator[World]:
    world = World(state_dir)
    try:
        yield world
    finally:
        await world.close()


@asynccontextmanager
async def site_at(state_dir: Path, *commands: list[str]) -> AsyncIterator[tuple[Site, aiohttp.ClientSession]]:
    world = World(state_dir)
    product = ProductPart(world, commands)
    slack = SlackPart(world)
    site = Site(world, [product, slack, CorePart(world, product, slack, None)])
    await site.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield site, http
    finally:
        await site.stop()


async def _json(http: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> tuple[int, Any]:
    async with http.request(method, url, json=body) as response:
        return response.status, await response.json()


async def test_documents_keep_their_place_and_survive_a_restart(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        for key in ("a", "b", "c"):
            world.documents.put("thing", key, {"key": key})
        world.documents.put("thing", "a", {"key": "a", "changed": True})
        world.documents.delete("thing", "b")
    async with world_at(tmp_path) as world:
        assert world.documents.all("thing") == [{"key": "a", "changed": True}, {"key": "c"}]
        assert world.documents.get("thing", "b") is None
        world.documents.delete_all("thing")
        assert world.documents.all("thing") == []


async def test_the_clock_moves_forward_for_everybody_and_stays_moved(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        before = world.clock.now()
        sleeper = asyncio.create_task(world.clock.sleep_until(before + timedelta(hours=2)))
        await asyncio.sleep(0)
        world.clock.advance(3600)
        await asyncio.sleep(0)
        assert not sleeper.done()
        world.clock.advance(3600)
        await asyncio.wait_for(sleeper, 1)
        assert json.loads((tmp_path / "clock.json").read_text()) == {"offset_s": 7200.0}
        with pytest.raises(ControlError):
            world.clock.advance(-1)
    async with world_at(tmp_path) as world:
        assert world.clock.offset_s == 7200.0


async def test_waiting_ends_with_the_first_wanted_topic_or_with_the_time(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        start = world.changes.seq
        waiter = asyncio.create_task(world.changes.wait({"mail"}, start, 5))
        await asyncio.sleep(0)
        world.changes.notify("slack")
        await asyncio.sleep(0)
        assert not waiter.done()
        world.changes.notify("mail")
        assert await asyncio.wait_for(waiter, 1) == start + 2
        assert world.changes.topics_since(start) == {"slack", "mail"}
        assert await world.changes.wait({"phone"}, start, 0.01) == start + 2


async def test_change_numbers_rise_over_a_restart(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        world.changes.notify("slack")
        before = world.changes.seq
    async with world_at(tmp_path) as world:
        assert world.changes.seq > before


async def test_the_wire_list_goes_on_after_a_restart_and_forgets_the_oldest(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        world.wire.record("slack", "in", "first", 200, 1.26, user="U_AGENT")
        [entry] = world.wire.since(0)
        assert (entry["ms"], entry["detail"]) == (1.3, {"user": "U_AGENT"})
    async with world_at(tmp_path) as world:
        for _ in range(WIRE_KEPT):
            world.wire.record("slack", "in", "more", 200, 1)
        kept = world.wire.since(0)
        assert (kept[0]["seq"], kept[-1]["seq"], len(kept)) == (2, WIRE_KEPT + 1, WIRE_KEPT)
        assert [entry["seq"] for entry in world.wire.since(WIRE_KEPT)] == [WIRE_KEPT + 1]


async def test_a_crash_in_the_background_shows_in_the_wire_list(tmp_path: Path) -> None:
    async def crash() -> None:
        raise RuntimeError("out of paper")

    async with world_at(tmp_path) as world:
        task = world.spawn(crash())
        await asyncio.wait([task])
        await asyncio.sleep(0)
        [entry] = world.wire.since(0)
        assert "out of paper" in entry["problem"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "Missing key: name."),
        ({"name": "x", "colour": 1, "age": 2}, "Unknown key: age, colour. Known keys: count, name, rate."),
        ({"name": 3}, "name must be text."),
        ({"name": "x", "count": 1.5}, "count must be a whole number."),
        ({"name": "x", "count": True}, "count must be a whole number."),
        ({"name": "x", "rate": "fast"}, "rate must be a number."),
    ],
)
def test_control_calls_name_what_is_wrong(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ControlError) as refusal:
        checked_keys(body, {"name": str}, {"count": int, "rate": float})
    assert refusal.value.sentence == sentence


def test_null_for_an_optional_key_counts_as_absent() -> None:
    assert checked_keys({"name": "x", "count": None}, {"name": str}, {"count": int}) == {"name": "x"}


async def test_control_errors_are_json_sentences(tmp_path: Path) -> None:
    async with site_at(tmp_path) as (site, http):
        async with http.post(f"{site.url}/sandbox/clock", data=b"{broken") as response:
            assert (response.status, await response.json()) == (400, {"error": "The body is not valid JSON."})
        assert (await _json(http, "GET", f"{site.url}/sandbox/nothing"))[0] == 404
        assert (await _json(http, "DELETE", f"{site.url}/sandbox/clock"))[0] == 405
        status, answer = await _json(http, "GET", f"{site.url}/sandbox/wait?for=slack,weather")
        assert (status, answer["error"].split(".")[0]) == (400, "Unknown topic: weather")
        status, answer = await _json(http, "POST", f"{site.url}/sandbox/product", {"signal": "KILL"})
        assert status == 409
        assert "--product" in answer["error"]


async def test_wait_answers_with_the_topics_that_changed(tmp_path: Path) -> None:
    async with site_at(tmp_path) as (site, http):
        _, now = await _json(http, "GET", f"{site.url}/sandbox/wait?timeout_s=0")
        waiter = asyncio.create_task(
            _json(http, "GET", f"{site.url}/sandbox/wait?for=clock,mail&since={now['seq']}&timeout_s=5")
        )
        await asyncio.sleep(0)
        status, clock = await _json(http, "POST", f"{site.url}/sandbox/clock", {"advance_s": 90})
        assert (status, clock["offset_s"]) == (200, 90)
        _, answer = await asyncio.wait_for(waiter, 5)
        assert answer["topics"] == ["clock"]
        assert answer["seq"] > now["seq"]


async def test_ports_and_secrets_stay_the_same_over_a_restart(tmp_path: Path) -> None:
    async with site_at(tmp_path) as (site, _):
        before = json.loads((tmp_path / "endpoints.json").read_text())
        assert before == site.world.endpoints
    async with site_at(tmp_path):
        assert json.loads((tmp_path / "endpoints.json").read_text()) == before


IDLE = {"running": False, "pids": [], "processes": 1, "ready": False}


async def test_the_product_is_started_killed_and_started_again(tmp_path: Path) -> None:
    async with site_at(tmp_path, [sys.executable, "-c", CHILD]) as (site, http):
        url = f"{site.url}/sandbox/product"
        assert await _json(http, "GET", url) == (200, IDLE)
        _, started = await _json(http, "POST", url, {"signal": "START"})
        assert started["running"] is True
        assert (await _json(http, "POST", url, {"signal": "START"}))[1]["pids"] == started["pids"]
        _, killed = await _json(http, "POST", url, {"signal": "KILL"})
        assert killed == IDLE
        with pytest.raises(ProcessLookupError):
            os.kill(started["pids"][0], 0)
        _, state = await _json(http, "GET", f"{site.url}/sandbox/state")
        assert state["ready"] is False
        _, again = await _json(http, "POST", url, {"signal": "START"})
        assert again["pids"] != started["pids"]
        assert (await _json(http, "POST", url, {"signal": "TERM"}))[1]["running"] is False
        assert [e["problem"] for e in site.world.wire.since(0) if e["problem"]] == []


async def test_a_product_that_ends_by_itself_is_a_problem_on_the_wire(tmp_path: Path) -> None:
    async with site_at(tmp_path, [sys.executable, "-c", EXITS]) as (site, http):
        await _json(http, "POST", f"{site.url}/sandbox/product", {"signal": "START"})
        seq = site.world.changes.seq
        while not any(entry["problem"] for entry in site.world.wire.since(0)):
            seq = await asyncio.wait_for(site.world.changes.wait({"wire"}, seq, 5), 6)
        problem = site.world.wire.since(0)[-1]["problem"]
        assert problem == "the product's process 0 ended by itself with 3; see product-0.log"


async def test_a_product_that_outlives_a_killed_sandbox_is_found_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD]
    child = await asyncio.create_subprocess_exec(*command, stdout=-3, start_new_session=True)
    async with world_at(tmp_path) as world:
        started_at = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
        kept = {"number": 0, "pid": child.pid, "started_at": started_at}
        world.documents.put("product_process", "0", kept)
        world.endpoints["product"] = {"http_port": 1, "bounce_port": 2}
        world.endpoints_file.write_text(json.dumps(world.endpoints))
    async with site_at(tmp_path, command) as (site, http):
        url = f"{site.url}/sandbox/product"
        found = (await _json(http, "GET", url))[1]
        assert (found["running"], found["pids"]) == (True, [child.pid])
        assert site.world.endpoints["product"]["http_port"] == 1
        assert (await _json(http, "POST", url, {"signal": "KILL"}))[1]["running"] is False
    assert await child.wait() == -signal.SIGKILL
