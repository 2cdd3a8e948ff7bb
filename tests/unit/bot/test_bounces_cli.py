"""`ispbot bounce` as it is typed: files of every kind, the same way in, twice is once."""

from __future__ import annotations

import asyncio
import io
import json
import mailbox
from pathlib import Path
from typing import Any

import pytest

from bot.bounce_address import envelope_to
from bot.bounce_listener import SIZE_LIMIT
from bot.bounces_cli import Found, Intake, messages
from bot.config import load_config
from bot.wiring import open_store
from notifier.dsn import Received
from notifier.keys import DeliveryToken
from notifier.outbox import Outbox
from store.models import Channel, Delivery, Outcome
from store.unit import Store
from tests.builders import KEYRING, billing_email, draft, outbox, subscriber_record
from tests.contracts.reports import dsn
from tests.unit.bot.deployment import ENVIRON, write
from tests.unit.bot.test_cli import ispbot
from tests.unit.handlers.conftest import services_on

DOMAIN = "mail.cascade.example"
DANA = "dana@example.com"


def to(address: str, raw: bytes = b"") -> bytes:
    return f"Delivered-To: {address}\r\n".encode() + (raw or dsn())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = write(tmp_path)
    assert ispbot("migrate", "-c", path).exit_code == 0
    return path


def mailed(path: Path) -> str:
    """The VERP address of an invoice to Dana of account 1042."""

    async def queue() -> str:
        config = load_config(path, dict(ENVIRON))
        store = open_store(config)
        try:
            async with store.begin(1) as tx:
                ids = await tx.subscribers.upsert([subscriber_record("1042", points=(billing_email(DANA),))])
                box = Outbox(config.secrets.keyring, {1: DOMAIN})
                found = await box.enqueue(tx, draft("k", DANA, subscriber_id=ids["1042"]))
                (d,) = (await tx.deliveries.of_notifications([found.notification_id]))[found.notification_id]
            return f"{config.secrets.keyring.delivery_token(DeliveryToken(1, d.id, 1))}@{DOMAIN}"
        finally:
            await store.close()

    return asyncio.run(queue())


def suppressed(path: Path) -> bool:
    async def look() -> bool:
        store = open_store(load_config(path, dict(ENVIRON)))
        try:
            async with store.read(1) as tx:
                return bool(await tx.suppressions.active([(Channel.EMAIL, DANA)]))
        finally:
            await store.close()

    return asyncio.run(look())


def test_a_file_tells_whom_what_and_whose_and_twice_is_once(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.eml"
    file.write_bytes(to(mailed(config)))
    dry = ispbot("bounce", file, "--dry-run", "-c", config)
    assert "account 1042: would be recorded" in dry.output
    assert "1 message: 1 would be recorded. Nothing was written" in dry.output
    assert "Nothing was written" in dry.output
    assert not suppressed(config)
    done = ispbot("bounce", file, "-c", config)
    assert done.exit_code == 0, done.output
    assert f"{file}: d•••@example.com, the mailbox does not exist, account 1042: recorded" in done.output
    assert "1 message: 1 recorded." in done.output
    assert suppressed(config)
    again = ispbot("bounce", file, "--full", "-c", config)
    assert "dana@example.com" in again.output
    assert "1 message: 1 known already." in again.output
    late = ispbot("bounce", file, "--dry-run", "-c", config)
    assert "account 1042: known already" in late.output
    assert "1 message: 1 known already. Nothing was written" in late.output
    (told,) = json.loads(ispbot("bounce", file, "--dry-run", "--json", "-c", config).stdout)["messages"]
    assert (told["result"], told["reports"][0]["new"]) == ("known", False)


def test_what_cannot_be_read_is_told_and_does_not_stop_the_rest(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a-empty.eml").write_bytes(b"")
    (folder / "b-large.eml").write_bytes(b"x" * (SIZE_LIMIT + 1))
    (folder / "c-letter.eml").write_bytes(b"From: a@b.example\r\nSubject: Hi\r\n\r\nHello\r\n")
    (folder / "d-noise.eml").write_bytes(bytes(range(256)) * 20)
    (folder / "e-good.eml").write_bytes(dsn())
    done = ispbot("bounce", folder, tmp_path / "nowhere.eml", "-c", config)
    assert done.exit_code == 1
    for words in (
        "a-empty.eml: is empty",
        "b-large.eml: is larger than 2 MiB",
        "c-letter.eml: no report in it",
        "e-good.eml: d•••@example.com, the mailbox does not exist, belongs to no message: see /isp bounces",
        "nowhere.eml: cannot be read: No such file or directory",
        "6 messages: 1 belong to no message, 2 without a report, 3 could not be read.",
    ):
        assert words in done.output, done.output


def test_json_is_one_document(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.eml"
    file.write_bytes(to(mailed(config)))
    done = ispbot("bounce", file, "--json", "-c", config)
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    (message,) = document["messages"]
    (report,) = message["reports"]
    assert (report["account"], report["class"], report["new"]) == ("1042", "no_such_user", True)
    assert document["summary"]["recorded"] == 1


def test_a_running_product_on_sqlite_is_not_disturbed(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.eml"
    file.write_bytes(dsn())
    store = open_store(load_config(config, dict(ENVIRON)))
    store.engine.lock_process()
    try:
        refused = ispbot("bounce", file, "-c", config)
        assert refused.exit_code == 1
        assert "bounce port" in " ".join(refused.output.split())
        assert ispbot("bounce", file, "--dry-run", "-c", config).exit_code == 0
    finally:
        asyncio.run(store.close())


def names(source: Any, stdin: bytes = b"") -> list[tuple[str, bytes, str]]:
    found = messages(str(source), io.BytesIO(stdin))
    return [(f.name.rpartition("/")[2], f.raw, f.problem) for f in found]


def test_an_mbox_file_gives_each_of_its_messages(tmp_path: Path) -> None:
    path = tmp_path / "box"
    box = mailbox.mbox(path)
    for number in range(3):
        box.add(b"Subject: %d\n\nFrom here on\n" % number)
    box.close()
    found = names(path)
    assert [name for name, _, _ in found] == ["box#1", "box#2", "box#3"]
    assert b"Subject: 2" in found[2][1]
    assert names("-", path.read_bytes())[1][0] == "standard input#2"


def test_a_maildir_gives_what_is_new_and_what_was_read(tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "Maildir")
    for number in range(2):
        box.add(b"Subject: %d\n\nx\n" % number)
    (tmp_path / "Maildir/cur/1.a:2,S").write_bytes(b"Subject: read\n\nx\n")
    (tmp_path / "Maildir/tmp/9").write_bytes(b"Subject: half written\n\nx\n")
    assert len(names(tmp_path / "Maildir")) == 3


def test_a_plain_message_on_standard_input_is_one(tmp_path: Path) -> None:
    assert names("-", dsn()) == [("standard input", dsn(), "")]
    assert names(tmp_path) == [(tmp_path.name, b"", "nothing in it")]


TOKEN = "b" + "a" * 47


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (f"To: <{TOKEN}@{DOMAIN}>", f"{TOKEN}@{DOMAIN}"),
        (f"To: x@{DOMAIN}\nDelivered-To: bounces@{DOMAIN}", f"bounces@{DOMAIN}"),
        (f"X-Original-To: {TOKEN}@{DOMAIN.upper()}\nTo: bounces@{DOMAIN}", f"{TOKEN}@{DOMAIN.upper()}"),
        (f"To: {TOKEN}@elsewhere.example, bounces@{DOMAIN}", f"bounces@{DOMAIN}"),
        ("To: somebody@elsewhere.example", ""),
        ("Subject: no recipient at all", ""),
        ("To: \xff\xfe <@@,,>", ""),
    ],
)
def test_the_headers_tell_to_which_address_of_ours_it_came(headers: str, expected: str) -> None:
    assert envelope_to(headers.encode("latin-1") + b"\n\nbody", [DOMAIN]) == expected


@pytest.mark.parametrize("filling", ["(", "<", '"a', "a,", "a"])
def test_no_header_however_made_stops_the_reading(filling: str) -> None:
    made = f"Delivered-To: {filling * 20_000}\nTo: bounces@{DOMAIN}\n\nbody"
    assert envelope_to(made.encode(), [DOMAIN]) == f"bounces@{DOMAIN}"


async def test_it_is_the_same_way_in_on_both_databases(store: Store) -> None:
    async with store.begin(1) as tx:
        found = await outbox().enqueue(tx, draft("k", DANA))
        (d,) = (await tx.deliveries.of_notifications([found.notification_id]))[found.notification_id]
    address = f"{KEYRING.delivery_token(DeliveryToken(1, d.id, 1))}@{DOMAIN}"
    intake = Intake(services_on(store), KEYRING, {DOMAIN: 1}, 1)
    message = Found("x", to(address))
    looked = await intake.take(message, dry_run=True)
    assert (looked.taken and looked.taken.result) is Received.RECORDED
    assert (await now(store, d)).outcome is Outcome.NONE, "only looked at"
    for expected in (Received.RECORDED, Received.KNOWN):
        told = await intake.take(message, dry_run=False)
        assert (told.taken and told.taken.result) is expected
    looked = await intake.take(message, dry_run=True)
    assert (looked.taken and looked.taken.result) is Received.KNOWN
    assert (await now(store, d)).outcome is Outcome.BOUNCED


async def now(store: Store, d: Delivery) -> Delivery:
    async with store.read(1) as tx:
        found = await tx.deliveries.get(d.id)
    assert found is not None
    return found
