"""The shape of the house: what import-linter's contracts cannot say by themselves."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {c["name"]: c for c in PROJECT["tool"]["importlinter"]["contracts"]}
OUTSIDE_THE_CONTRACTS = {"tests", "benchmarks"}


def packages() -> set[str]:
    return {path.parent.name for path in ROOT.glob("*/__init__.py")}


def test_every_top_level_package_is_under_the_import_contracts() -> None:
    assert packages() - OUTSIDE_THE_CONTRACTS == set(PROJECT["tool"]["importlinter"]["root_packages"])


def test_every_top_level_package_is_type_checked() -> None:
    assert packages() == set(PROJECT["tool"]["mypy"]["packages"])


def test_every_command_is_declared_independent() -> None:
    commands = {f"handlers.commands.{p.parent.name}" for p in ROOT.glob("handlers/commands/*/command.py")}
    assert commands == set(CONTRACTS["commands are independent of each other"]["modules"])


def test_every_view_is_declared_pure() -> None:
    views = {f"handlers.commands.{p.parent.name}.view" for p in ROOT.glob("handlers/commands/*/view.py")}
    assert views <= set(CONTRACTS["pure modules do no I/O"]["source_modules"])


def test_no_contract_has_exceptions() -> None:
    assert not any("ignore_imports" in contract for contract in CONTRACTS.values())


def test_tracked_files_name_no_registry_and_no_path_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    forbidden = re.compile(rf"index-url\s*=|pypi\.org|registry\.npmjs|{re.escape(str(ROOT))}/|/root/")
    me = Path(__file__).relative_to(ROOT)
    guilty = [
        name
        for name in listed.stdout.split()
        if Path(name) != me
        and (ROOT / name).is_file()
        and Path(name).suffix != ".png"
        and forbidden.search((ROOT / name).read_text("utf-8", "ignore"))
    ]
    assert guilty == []
