"""Runs benchmarks by name (all without one); a table, or with --json one line a measurement."""

from __future__ import annotations

import argparse
import json
import pkgutil
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import benchmarks

Row = dict[str, Any]


def available() -> dict[str, Callable[[], list[Row]]]:
    """Every module here that has a `run`."""
    found: dict[str, Callable[[], list[Row]]] = {}
    for info in pkgutil.iter_modules(benchmarks.__path__):
        if info.name != "__main__":
            run = getattr(import_module(f"benchmarks.{info.name}"), "run", None)
            if run is not None:
                found[info.name] = run
    return found


def main(argv: list[str]) -> int:
    known = available()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there is: {', '.join(known)}")
    for name in arguments.names or known:
        for row in known[name]():
            print(json.dumps(row) if arguments.json else _line(row), flush=True)
    return 0


def _line(row: Row) -> str:
    name, *rest = row.items()
    return f"{name[1]:32} " + "  ".join(f"{key} {_number(value)}" for key, value in rest)


def _number(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
