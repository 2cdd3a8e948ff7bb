"""`ispbot check` as a table, or as JSON for a monitor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table

from bot.checks import Finding, run_checks
from bot.config import Config, ConfigProblems

_MARKS: Final = {"ok": "[green]ok[/green]", "look": "[yellow]look[/yellow]", "fails": "[red]fails[/red]"}


async def look(config: Config, send_test: str | None, out: Console, err: Console, *, as_json: bool) -> bool:
    """Whether nothing fails."""
    with Progress(
        TextColumn("checking"), BarColumn(), MofNCompleteColumn(), console=err, transient=True
    ) as bar:
        task = bar.add_task("checking", total=None)

        def step(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        findings = await run_checks(config, send_test=send_test, progress=step)
    if as_json:
        out.out(as_data(findings), highlight=False)
    else:
        out.print(table(findings))
        out.print(_summary(findings))
    return all(finding.ok for finding in findings)


def as_data(findings: Sequence[Finding]) -> str:
    """One JSON list."""
    told = [asdict(finding) | {"state": finding.state} for finding in findings]
    return json.dumps(told, ensure_ascii=False)


def unusable(problems: ConfigProblems, path: Path) -> list[Finding]:
    """What a monitor is told where nothing can be tried."""
    remedy = f"Mend it in {path}, or set the environment variable that it names."
    return [
        Finding("configuration", False, f"{where}: {sentence}", remedy)
        for where, sentence in problems.problems
    ]


def table(findings: Sequence[Finding]) -> Table:
    shown = Table("", Column("what", no_wrap=True), "found", "what to do")
    for finding in findings:
        cells = (finding.what, finding.found, finding.remedy)
        shown.add_row(_MARKS[finding.state], *(escape(cell) for cell in cells))
    return shown


def _summary(findings: Sequence[Finding]) -> str:
    failing = sum(not finding.ok for finding in findings)
    if failing:
        return f"[red]{failing} of {len(findings)} fail.[/red] What to do stands beside each."
    return f"All {len(findings)} are in order."


__all__ = ["as_data", "look", "table", "unusable"]
