"""`ispbot export`: subscribers, packages or invoices as a CSV file that `ispbot import` takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from billing.csv_export import ExportResult, export_csv, whole_file
from billing.csv_kinds import ImportKind
from bot.config import Config
from bot.wiring import open_store
from handlers.reply import UserError


async def export(
    loaded: Config, key: str, kind: ImportKind, path: Path, err: Console, *, mended: bool, force: bool
) -> None:
    """UserError where there is a file already. `-` is standard output. What it did is told on `err`."""
    store = open_store(loaded)
    try:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err) as progress:
            task = progress.add_task(kind.value, total=None)

            def step(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            tenant = loaded.app.tenants[key].id
            with _opened(path, force=force) as file:
                result = await export_csv(store, tenant, kind, file, mended=mended, progress=step)
    finally:
        await store.close()
    _tell(result, path, err)


_STDOUT = Path("-")


@contextmanager
def _opened(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    if path == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not force:
        raise UserError(f"{path} is there already.", "Name another file, or add --force to replace it.")
    with whole_file(path) as file:
        yield file


def _tell(result: ExportResult, path: Path, err: Console) -> None:
    rows = f"{result.rows:,} {'row' if result.rows == 1 else 'rows'}"
    err.print(f"{rows} written." if path == _STDOUT else f"{rows} written to {escape(str(path))}.")
    if result.left_out:
        err.print(
            f"{result.left_out:,} further telephone numbers have no column and are left out: "
            "a file has one of each subscriber."
        )
    if path != _STDOUT:
        err.print("The file holds personal data: only you may read it. Delete it when it is not needed.")
