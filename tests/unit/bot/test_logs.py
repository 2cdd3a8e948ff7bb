"""What a log line never holds, tracebacks included: tokens, mailboxes, numbers, response URLs, passwords."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from bot import logs
from notifier.links import make_code
from store.types import new_id
from tests.builders import KEYRING

SECRETS = {
    "a bot token": ("xoxb-123-456-AbCdEf", "xoxb-123"),
    "an app token": ("token xapp-1-A111-222-deadbeef end", "deadbeef"),
    "a refresh token": ("xoxe-1-My0xLTE", "My0xLTE"),
    "a row that PostgreSQL refuses": ("null\nDETAIL:  Failing row contains (1, Dana Whitfield, \n).", "Dana"),
    "a key that PostgreSQL refuses": ("DETAIL:  Key (tenant_id, name)=(1, Dana) already exists.", "Dana"),
    "a value of the wrong kind": ("invalid input for query argument $3: 'Dana' (expected int)", "Dana"),
    "a mailbox": ("to maria.santos+x@inbox.example now", "maria"),
    "a mailbox in brackets": ("550 5.1.1 <maria@gmial.com>: unknown", "maria"),
    "a mailbox in letters beyond ASCII": ("josé.núñez@correo.example", "núñez"),
    "a mailbox of a domain in letters beyond ASCII": ("maria@bücher.example", "maria"),
    "two mailboxes": ("maria@a.example,santos@b.example", "santos"),
    "a mailbox as a keyword": ("address=maria@a.example", "maria"),
    "an E.164 number": ("to +15415550142", "5550142"),
    "a number with spaces": ("541 555 0142", "0142"),
    "a number with brackets": ("(541) 555-0142", "0142"),
    "a number with dots": ("541.555.0142", "0142"),
    "a number behind a colon": ("tel:5415550142", "0142"),
    "a number behind tel": ("<tel:+15415550142|x>", "0142"),
    "a response URL": ("https://hooks.slack.com/commands/T1/2/abcdef", "abcdef"),
    "an action's URL": ("https://hooks.slack.com/actions/T1/2/abcdef?x", "abcdef"),
    "the sandbox's URL": ("http://127.0.0.1:8080/slack/response/abcdef", "abcdef"),
    "a database's password": ("postgresql+asyncpg://isp:hunter2@db/isp", "hunter2"),
    "a password with an @": ("postgresql://isp:hun@ter2@db/isp", "ter2"),
    "a short scheme": ("postgres://isp:hunter2@db", "hunter2"),
    "a web login": ("https://isp:hunter2@proxy.example/x", "hunter2"),
    "a relay's login": ("smtp://isp:hunter2@relay.example", "hunter2"),
}
KEPT = (
    "550 5.1.1 user unknown",
    "127.0.0.1:18080",
    "http://127.0.0.1:18080/ready",
    "ABCD2345",
    "01a20000-0000-7000-8000-000000000000",
    "invoice 20042 of account 1042",
    "d41d8cd98f00b204e9800998ecf8427e",
    "mail.cascade.example",
)

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The JSON lines written since; logging is put back afterwards."""
    root, stream = logging.getLogger(), io.StringIO()
    before = (list(root.handlers), root.level, structlog.get_config())
    levels = {
        name: logging.getLogger(name).level for name in ("slack_bolt", "slack_sdk", "aiohttp", "asyncio")
    }
    logs.configure(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers, root.level = before[0], before[1]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(**before[2])


@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_masked(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in logs.redact(text)


def _fail(text: str) -> None:
    raise RuntimeError(text)


@pytest.mark.parametrize("text", KEPT)
def test_what_operators_look_for_stays(text: str) -> None:
    assert logs.redact(text) == text


def test_an_invoice_link_loses_its_code() -> None:
    link = f"https://bills.example/i/{make_code(KEYRING, 1, new_id())}"
    assert logs.redact(f"GET {link}?x=1") == "GET https://bills.example/i/[code]?x=1"


def test_an_address_keeps_its_domain() -> None:
    assert logs.redact("to maria@gmial.com") == "to [mail]@gmial.com"
    assert logs.redact("postgresql://isp:hunter2@db/isp") == "postgresql://[login]@db/isp"


@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_masked_wherever_it_stands_in_a_line(lines: Lines, text: str, secret: str) -> None:
    log = structlog.get_logger()
    log.warning(
        text,
        value=text,
        nested={"deep": [text, (text,)], text: 1},
        odd=ValueError(text),
        raw=text.encode(),
        group=frozenset({text}),
    )
    try:
        _fail(text)
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("elsewhere").exception("failed with %s", text)
    found = lines()
    assert len(found) == 3
    assert all("RuntimeError" in line["exception"] for line in found[1:])
    assert secret not in json.dumps(found, ensure_ascii=False)


def test_a_line_is_one_object_with_its_level_time_and_reference(lines: Lines) -> None:
    structlog.get_logger().info("hello", reference="ABCD2345", count=3, ok=True, nothing=None)
    (line,) = lines()
    assert line["timestamp"].endswith("Z")
    assert line | {"timestamp": ""} == {
        "event": "hello",
        "level": "info",
        "reference": "ABCD2345",
        "count": 3,
        "ok": True,
        "nothing": None,
        "timestamp": "",
    }


def test_a_new_line_in_the_data_makes_no_second_line(lines: Lines) -> None:
    structlog.get_logger().info("x", name='a\n{"event": "forged"}')
    assert len(lines()) == 1


@pytest.mark.parametrize("name", ["slack_bolt.AsyncApp", "slack_sdk.web", "aiohttp.access"])
def test_libraries_that_log_bodies_are_silent_below_warning(lines: Lines, name: str) -> None:
    logging.getLogger(name).info("body: text=find+1042")
    assert lines() == []
    logging.getLogger(name).warning("trouble")
    assert len(lines()) == 1


def test_what_is_bound_to_a_context_is_in_the_line_and_masked(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(interaction="abc", who="maria@a.example"):
        structlog.get_logger().info("x")
    assert (lines()[0]["interaction"], lines()[0]["who"]) == ("abc", "[mail]@a.example")
