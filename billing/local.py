"""The importer behind `ispbot import`: our CSV files into the mirror, 500 rows to a transaction.

Every row is judged; a wrong one is skipped and reported, the others are written. Importing a file twice
changes nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from billing.csv_kinds import ImportKind
from billing.csv_mirror import IMPORTERS, Importer, ImportResult
from billing.csv_reader import CsvFile, ImportProblem, RowError
from billing.csv_rows import COLUMNS, OPTIONAL
from billing.csv_shapes import Shape, Wanted, preset_that_fits, shape_of
from store.models import Facts
from store.repository import BATCH
from store.unit import Store, Tx


async def import_csv(
    store: Store,
    tenant: int,
    kind: ImportKind,
    path: Path,
    *,
    source: str = "csv",
    dry_run: bool = False,
    as_of: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
    region: str = "US",
    wanted: Wanted = Wanted(),  # noqa: B008  # frozen
    encoding: str = "",
) -> ImportResult:
    """Imports one file; ImportProblem when it as a whole cannot be used.

    `as_of` is the age of the facts (now, unless given), `region` reads telephone numbers without a country
    code, `progress` is told the bytes done and the bytes of the file after each batch. `wanted`: how a file
    that is not in our own format is read.
    """
    result = ImportResult(kind, dry_run)
    importer = IMPORTERS[kind](Facts(source, as_of or store.clock()), region, result)
    with open_csv(kind, path, wanted, encoding) as file:
        result.dropped_columns = file.layout.dropped
        if isinstance(file.layout, Shape):
            result.ignored_columns, result.names = file.layout.ignored, file.layout.names
        count, stale = 0, 1
        async with aclosing(_judged(file, importer)) as batches:
            async for batch, position in batches:
                async with _transaction(store, tenant, dry_run) as tx:
                    await importer.write(tx, batch)
                count += 1
                if count == stale and not dry_run:
                    async with store.begin(tenant) as tx:
                        await tx.statistics.renew()
                    stale *= _GROWS
                if progress is not None:
                    progress(position, file.size)
    async with store.read(tenant) as tx:
        await importer.finish(tx)
    result.accepted = result.rows - len({error.line for error in result.errors})
    columns = (*COLUMNS[kind], *OPTIONAL[kind])

    def place(found: RowError) -> tuple[int, int]:
        return found.line, -1 if found.column not in columns else columns.index(found.column)

    result.errors.sort(key=place)
    result.warnings.sort(key=place)
    return result


def open_csv(kind: ImportKind, path: Path, wanted: Wanted, encoding: str = "") -> CsvFile:
    """ImportProblem where its header cannot be used, with what to add."""
    columns, optional = COLUMNS[kind], OPTIONAL[kind]

    def shape(names: Sequence[str]) -> Shape:
        return shape_of(kind, names, (*columns, *optional), wanted, path.name)

    def hint(names: Sequence[str]) -> str:
        own = sum(name.lower() in columns for name in names)
        fits = preset_that_fits(kind, names) if own * 2 < len(columns) else ""  # else it is ours, with a slip
        return f"It looks like an export of another system: add --preset {fits}." if fits else ""

    return CsvFile(path, columns, optional, shape=shape if wanted.any else None, hint=hint, encoding=encoding)


_GROWS = 4
"""How much a file has grown the mirror until the planner looks at it again."""


async def _judged(file: CsvFile, importer: Importer[Any]) -> AsyncGenerator[tuple[Any, int], None]:
    """Each batch with where the file was after it; the next is judged while one is written.

    In a thread: judging 500 rows takes some 50 ms, too long for a loop that also serves others.
    """

    def take() -> tuple[Any, int, bool]:
        rows = file.batch(BATCH)
        return importer.judge(rows), file.position, bool(rows)

    loop = asyncio.get_running_loop()
    ahead = loop.run_in_executor(None, take)
    try:
        more = True
        while more:
            batch, position, more = await asyncio.shield(ahead)
            if more:
                ahead = loop.run_in_executor(None, take)
            yield batch, position
    finally:
        await asyncio.gather(ahead, return_exceptions=True)  # whoever stops early closes the file it reads


@asynccontextmanager
async def _transaction(store: Store, tenant: int, dry_run: bool) -> AsyncIterator[Tx]:
    async with store.read(tenant) if dry_run else store.begin(tenant) as tx:
        yield tx


__all__ = ["ImportKind", "ImportProblem", "ImportResult", "RowError", "import_csv"]
