"""`ispbot export` as it is typed: a file that is whole and private, the terminal, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from billing.csv_export import whole_file
from store.engine import Engine
from tests.unit.bot.deployment import write
from tests.unit.bot.test_cli import PERSON, ispbot, subscribers


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A deployment on SQLite with one subscriber."""
    path = write(tmp_path)
    assert ispbot("migrate", "-c", path).exit_code == 0
    file = subscribers(tmp_path, PERSON)
    assert ispbot("import", "subscribers", file, "-c", path, "--no-dns").exit_code == 0
    return path


def test_a_file_is_private_tells_what_it_holds_and_comes_in_unchanged(config: Path) -> None:
    file = config.parent / "out.csv"
    result = ispbot("export", "subscribers", file, "-c", config)
    assert result.exit_code == 0, result.output
    assert f"1 row written to {file}" in result.stderr.replace("\n", "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in config.parent.glob(".out*")] == []
    before = file.read_bytes()
    again = ispbot("import", "subscribers", file, "-c", config, "--no-dns")
    assert (again.exit_code, "1 rows read" in again.stdout) == (0, True)
    assert ispbot("export", "subscribers", file, "-c", config, "--force").exit_code == 0
    assert file.read_bytes() == before


def test_the_terminal_gets_the_rows_and_nothing_else(config: Path) -> None:
    result = ispbot("export", "subscribers", "-", "-c", config)
    header, row, end = result.stdout_bytes.split(b"\r\n")
    assert header.startswith(b"account,kind,status,name")
    assert row.startswith(b"1042,residential,active,Maria Santos")
    assert end == b""


@pytest.mark.parametrize("name", ["there.csv", "no-such-directory/out.csv"])
def test_a_file_that_cannot_be_written_is_said(config: Path, name: str) -> None:
    (config.parent / "there.csv").write_text("mine", "utf-8")
    result = ispbot("export", "invoices", config.parent / name, "-c", config)
    assert result.exit_code in (1, 2)
    assert ("is there already" in result.stderr) or ("No such file" in result.stderr)
    assert (config.parent / "there.csv").read_text("utf-8") == "mine"


def test_what_is_cut_off_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("older", "utf-8")

    def half() -> None:
        with whole_file(tmp_path / "out.csv") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text("utf-8") == "older"


def test_reading_goes_beside_a_running_product(config: Path) -> None:
    """SQLite has one writing process; an export and a rehearsed import only read."""
    running = Engine(f"sqlite:///{config.parent}/ispbot.db")
    running.lock_process()
    try:
        exported = ispbot("export", "subscribers", "-", "-c", config)
        file = subscribers(config.parent, {**PERSON, "account": "1043"})
        rehearsed = ispbot("import", "subscribers", file, "-c", config, "--dry-run", "--no-dns")
    finally:
        asyncio.run(running.close())
    assert (exported.exit_code, rehearsed.exit_code) == (0, 0), exported.output + rehearsed.output
    assert "1 subscribers would be taken in" in rehearsed.stdout
