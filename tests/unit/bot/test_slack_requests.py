"""What anybody may send to /slack/events: refused or answered, never a 500, never run twice."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from sqlalchemy import text

from bot.slack import WINDOW_S, verified
from store.unit import Store
from tests.unit.bot.support import FORM, Office, command_body, payload_body, signature
from tests.unit.bot.support import office as open_office
from tests.unit.sandbox.bolt_app import Slack

STAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"
SECRET = "the-signing-secret"


def test_slacks_own_signature_is_accepted_within_five_minutes_either_way() -> None:
    for shift in (0, WINDOW_S, -WINDOW_S):
        assert verified(SECRET, signature(SECRET, b"x", 1_000_000 + shift), b"x", 1_000_000.0)
    for shift in (WINDOW_S + 1, -WINDOW_S - 1):
        assert not verified(SECRET, signature(SECRET, b"x", 1_000_000 + shift), b"x", 1_000_000.0)


@pytest.mark.parametrize("stamp", ["", "soon", "1e9", "-1000000", "１０００000", "1000000.0", "9" * 400, "٣"])
def test_a_strange_timestamp_is_refused_even_when_it_is_signed(stamp: str) -> None:
    assert not verified(SECRET, signature(SECRET, b"x", stamp), b"x", 1_000_000.0)


@pytest.mark.parametrize("mac", ["", "v0=", "v0=ü", "v0=" + "0" * 64, "v1=0", "\udce4"])
def test_a_strange_signature_is_refused(mac: str) -> None:
    assert not verified(SECRET, {STAMP: "1000000", SIGNATURE: mac}, b"x", 1_000_000.0)


def test_a_signature_of_another_body_or_secret_is_refused() -> None:
    headers = signature(SECRET, b"x", 1_000_000)
    assert not verified(SECRET, headers, b"y", 1_000_000.0)
    assert not verified("another secret", headers, b"x", 1_000_000.0)
    assert not verified(SECRET, {}, b"x", 1_000_000.0)


UNSIGNED: dict[str, dict[str, str]] = {
    "no headers": {STAMP: "-", SIGNATURE: "-"},
    "words as timestamp": {STAMP: "yesterday"},
    "a float as timestamp": {STAMP: "1.5"},
    "signature in letters beyond ASCII": {SIGNATURE: "v0=äöü"},
    "an empty signature": {SIGNATURE: "v0="},
    "old": {STAMP: str(int(time.time()) - 3600)},
    "of tomorrow": {STAMP: str(int(time.time()) + 86_400)},
}
BODIES = {
    "a command": (FORM, command_body("echo x")),
    "not UTF-8": (FORM, b"text=\xff\xfe\x80"),
    "broken JSON": ("application/json", b"{broken"),
    "junk payload": (FORM, b"payload=junk"),
    "ssl_check": (FORM, b"ssl_check=1&token=x"),
    "url_verification": ("application/json", b'{"type": "url_verification", "challenge": "c"}'),
    "empty": (FORM, b""),
    "JSON of a number": ("application/json", b"17"),
    "a list as payload": (FORM, payload_body([1])),
}


@pytest.mark.parametrize("headers", UNSIGNED.values(), ids=UNSIGNED.keys())
async def test_whatever_is_not_signed_is_a_401(office: Office, headers: dict[str, str]) -> None:
    for name, (kind, body) in BODIES.items():
        status, _ = await office.posts(body, kind, **headers)
        assert status == 401, name
    assert office.echo.runs == []


SIGNED_JUNK: dict[str, tuple[str, bytes]] = {
    **{name: both for name, both in BODIES.items() if name not in ("a command", "url_verification")},
    "no type at all": ("text/plain", b"hello"),
    "an unknown payload": (FORM, payload_body({"type": "surprise"})),
    "a press without actions": (FORM, payload_body({"type": "block_actions", "user": {"id": "U"}})),
    "a press of nothing": (
        FORM,
        payload_body({"type": "block_actions", "user": {"id": "U"}, "team": None, "actions": [{}]}),
    ),
    "a submission without a view": (FORM, payload_body({"type": "view_submission", "view": None})),
    "an event without content": ("application/json", b'{"type": "event_callback", "event": null}'),
    "nulls": ("application/json", b'{"type": null, "event": {"type": null}}'),
    "deep JSON": ("application/json", b"[" * 5000 + b"]" * 5000),
    "deeper payload": (FORM, b"payload=" + b"[" * 100_000),
}


@pytest.mark.parametrize(("kind", "body"), SIGNED_JUNK.values(), ids=SIGNED_JUNK.keys())
async def test_signed_junk_is_answered_without_a_500(office: Office, kind: str, body: bytes) -> None:
    status, _ = await office.posts(body, kind)
    assert status < 500


async def test_slacks_url_check_is_answered(office: Office) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "the challenge"}).encode()
    status, answer = await office.posts(body)
    assert (status, "the challenge" in answer) == (200, True)


async def test_more_than_a_mebibyte_is_refused(office: Office) -> None:
    body = b"text=" + b"x" * (1024 * 1024 + 1)
    status, _ = await office.posts(body, FORM)
    assert status == 413


async def test_a_request_replayed_within_five_minutes_runs_once(office: Office) -> None:
    body = command_body("echo x")
    statuses = [(await office.posts(body, FORM))[0] for _ in range(3)]
    at_once = await asyncio.gather(*(office.posts(body, FORM) for _ in range(5)))
    await office.settled()
    assert statuses + [status for status, _ in at_once] == [200] * 8
    assert len(office.echo.runs) == 1


async def test_a_replay_after_a_day_has_a_timestamp_that_is_too_old(office: Office) -> None:
    body = command_body("echo x")
    stamped = signature(office.secret, body, int(time.time()) - 86_400)
    assert (await office.posts(body, FORM, **stamped))[0] == 401


async def test_two_commands_without_a_trigger_are_not_taken_for_one(office: Office) -> None:
    for words in ("echo a", "echo b"):
        await office.posts(command_body(words, trigger_id=""), FORM)
    await office.settled()
    assert sorted(run.text for run in office.echo.runs) == ["a", "b"]


async def test_a_full_inbox_answers_503_and_keeps_nothing(slack: Slack, sqlite_store: Store) -> None:
    async with open_office(slack, sqlite_store, room=0) as office:
        status, _ = await office.posts(command_body("echo x"), FORM)
        assert status == 503
        await office.settled()
        assert office.echo.runs == []


async def test_a_row_is_on_disk_before_the_acknowledgement(office: Office) -> None:
    office.echo.gate = asyncio.Event()
    status, _ = await office.posts(command_body("echo x"), FORM)
    assert status == 200
    async with office.store.read(1) as tx:
        row = (await tx.conn.execute(text("SELECT state, payload FROM interactions"))).one()
    assert row.state == "running"
    office.echo.gate.set()
    await office.settled()
    assert (await office.state_of(office.echo.runs[0].id))[0] == "done"


async def test_forgeries_leave_no_phone_number_or_url_in_the_log(
    office: Office, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    body = command_body("find +15415550142", response_url="https://hooks.slack.com/commands/T/1/abc")
    await office.posts(body, FORM, **{SIGNATURE: "v0=0"})
    printed = capsys.readouterr()
    for stream in (caplog.text, printed.out, printed.err):
        assert "5550142" not in stream
        assert "hooks.slack.com" not in stream


async def test_the_process_says_that_it_lives_and_whether_its_database_answers(office: Office) -> None:
    async def get(path: str) -> tuple[int, Any]:
        async with office.session.get(office.url + path) as answer:
            return answer.status, await answer.json()

    assert await get("/health") == (200, {"ok": True})
    assert await get("/ready") == (200, {"ready": True, "slack": []})
    async with office.store.system() as tx:
        await tx.conn.execute(text("ALTER TABLE tenants RENAME TO gone"))
    status, answer = await get("/ready")
    assert (status, answer["ready"]) == (503, False)
    assert "gone" not in answer["why"]
