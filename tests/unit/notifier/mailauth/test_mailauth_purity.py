"""The evaluators stay free of I/O: nobody but `lookup` reaches for DNS, sockets or an event loop."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import notifier.mailauth

PACKAGE = Path(notifier.mailauth.__file__).parent
FORBIDDEN = {"asyncio", "socket", "dns", "aiohttp", "sqlalchemy", "anyio", "threading", "subprocess"}
PURE = sorted(path for path in PACKAGE.glob("*.py") if path.name != "lookup.py")


def imported(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    return modules


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.stem)
def test_pure_modules_import_nothing_that_does_io(path: Path) -> None:
    modules = imported(path)
    assert not {module.partition(".")[0] for module in modules} & FORBIDDEN
    assert "notifier.mailauth.lookup" not in modules


def test_importing_the_package_loads_neither_dnspython_nor_asyncio() -> None:
    code = (
        "import sys, notifier.mailauth;"
        f"print(sorted({{name.partition('.')[0] for name in sys.modules}} & {FORBIDDEN!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert not loaded & {"dns", "asyncio", "socket", "aiohttp", "sqlalchemy"}
