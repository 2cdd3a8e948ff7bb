"""`ispbot dkim` as it is typed: the record to publish, what DNS has of it, and new keys."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from notifier.mailauth.dkim_sign import load_signer, new_key
from sandbox.dns import DnsPart
from sandbox.world import World
from tests.unit.bot.deployment import ENVIRON, tenant, write
from tests.unit.bot.test_cli import ispbot

KEY = new_key()
RECORD = load_signer("cascade.example", "k1", KEY).public.record
NAME = "k1._domainkey.cascade.example"
DKIM = {"domain": "cascade.example", "selector": "k1", "key_env": "CASCADE_DKIM"}
ROUTE: dict[str, Any] = {"kind": "relay", "host": "127.0.0.1", "port": 9}


@pytest.fixture
async def dns(tmp_path: Path) -> AsyncIterator[DnsPart]:
    (tmp_path / "world").mkdir()
    world = World(tmp_path / "world")
    part = DnsPart(world)
    await part.start()
    part.zone.put("_dmarc.cascade.example", "TXT", ["v=DMARC1; p=reject"])
    yield part
    await part.stop()
    await world.close()


async def dkim(
    tmp_path: Path,
    dns: DnsPart,
    routes: Mapping[str, Any] | None = None,
    key: str = KEY,
    command: str = "dkim",
) -> Result:
    port = dns._world.endpoints["dns"]["port"]
    wanted = routes or {"relay": ROUTE | {"dkim": DKIM}}
    config = write(
        tmp_path,
        tenants={"cascade": tenant(routes=wanted, default_route=next(iter(wanted)))},
        dns={"servers": ["127.0.0.1"], "port": port},
    )
    return await asyncio.to_thread(ispbot, command, "-c", config, environ=ENVIRON | {"CASCADE_DKIM": key})


def pasted(output: str) -> str:
    """The record as it would be typed into a zone: the strings behind "Value:", joined."""
    (line,) = [line for line in output.splitlines() if "Value:" in line]
    strings = re.findall(r'"([^"]*)"', line)
    assert all(len(part) <= 255 for part in strings)
    return "".join(strings)


@pytest.mark.parametrize(
    ("published", "state"),
    [
        ([RECORD], "right"),
        ([], "missing"),
        (["v=DKIM1; k=rsa; p="], "revoked"),
        ([load_signer("cascade.example", "k1", new_key()).public.record], "different"),
    ],
)
async def test_the_record_is_printed_and_compared_and_only_a_right_one_is_a_success(
    tmp_path: Path, dns: DnsPart, published: Any, state: str
) -> None:
    dns.zone.put(NAME, "TXT", published)
    result = await dkim(tmp_path, dns)
    assert f"DNS:   {state}." in result.stdout
    assert NAME in result.stdout
    assert pasted(result.stdout) == RECORD
    assert result.exit_code == (0 if state == "right" else 1)
    assert not any(line in result.output for line in KEY.splitlines())


async def test_what_it_prints_is_right_once_it_is_published(tmp_path: Path, dns: DnsPart) -> None:
    first = await dkim(tmp_path, dns)
    dns.zone.put(NAME, "TXT", [pasted(first.stdout)])
    again = await dkim(tmp_path, dns)
    assert (first.exit_code, again.exit_code) == (1, 0)


async def test_a_signature_that_does_not_count_for_the_from_is_said_to_be_useless(
    tmp_path: Path, dns: DnsPart
) -> None:
    dns.zone.put("k1._domainkey.visp.example", "TXT", [RECORD])
    routes = {"relay": ROUTE | {"dkim": DKIM | {"domain": "visp.example"}}, "plain": ROUTE}
    result = await dkim(tmp_path, dns, routes)
    assert "visp.example does not count for cascade.example" in result.stdout
    assert "cascade/plain" not in result.stdout
    assert result.exit_code == 0


async def test_without_any_key_it_says_how_to_begin(tmp_path: Path, dns: DnsPart) -> None:
    result = await dkim(tmp_path, dns, {"relay": ROUTE})
    assert result.exit_code == 0
    assert "`ispbot dkim new FILE`" in result.stdout


async def test_check_tells_whether_the_key_record_is_right(tmp_path: Path, dns: DnsPart) -> None:
    missing = await dkim(tmp_path, dns, command="check")
    assert "There is no TXT record" in missing.stdout
    assert "Run: ispbot dkim" in missing.stdout
    dns.zone.put(NAME, "TXT", [RECORD])
    row = next(
        line for line in (await dkim(tmp_path, dns, command="check")).stdout.splitlines() if "DKIM" in line
    )
    assert "ok" in row


@pytest.mark.parametrize("kind", [[], ["--ed25519"]], ids=["RSA", "Ed25519"])
def test_a_new_key_is_for_its_owner_only_and_comes_with_its_record(tmp_path: Path, kind: list[str]) -> None:
    path = tmp_path / "dkim.pem"
    result = ispbot("dkim", "new", path, "--domain", "cascade.example", *kind)
    assert result.exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    signer = load_signer("cascade.example", "ispbot1", path.read_text())
    assert pasted(result.stdout) == signer.public.record
    assert "ispbot1._domainkey.cascade.example" in result.stdout
    assert "PRIVATE" not in result.output
    assert signer.bits == (256 if kind else 2048)


def test_a_key_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "dkim.pem"
    path.write_text("the key that signs")
    result = ispbot("dkim", "new", path, "--domain", "cascade.example", "--ed25519")
    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert path.read_text() == "the key that signs"


@pytest.mark.parametrize(("domain", "selector"), [("cascade", "k1"), ("cascade.example", "k 1")])
def test_a_key_for_a_name_that_is_none_is_not_made(tmp_path: Path, domain: str, selector: str) -> None:
    path = tmp_path / "dkim.pem"
    result = ispbot("dkim", "new", path, "--domain", domain, "--selector", selector, "--ed25519")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert not path.exists()
