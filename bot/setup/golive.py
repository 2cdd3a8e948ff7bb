"""`ispbot golive`: mail to everybody, once all is in order and billing's own notices are off; and back."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.markup import escape

from bot.checks import run_checks
from bot.checks.cli import table
from bot.config import Config, ConfigProblems, parse
from bot.setup.answers import SetupProblem, write_private
from bot.setup.send_mode import NotThere, with_send_mode

_ASKED = "Are the billing system's own invoice notices switched off?"


def go_live(loaded: Config, key: str, out: Console, *, undo: bool, notices_off: bool, anyway: bool) -> None:
    """SetupProblem where it must not be; typer.Abort where somebody says no. Nothing was changed then."""
    tenant = loaded.app.tenants[key]
    mode = "only_to" if undo else "live"
    if tenant.mail.send_mode == mode:
        out.print(f"{key} is {'in test mode' if undo else 'live'} already.")
        return
    if undo:
        if not tenant.mail.only_to:
            raise SetupProblem(
                f"Who may still get mail? Put your address into tenants.{key}.mail.only_to of {loaded.path}."
            )
        _change(loaded.path, key, mode, "")
        out.print(f"{key} is back in test mode: only {', '.join(tenant.mail.only_to)} gets anything.")
        out.print("What is queued for others is held. Restart the product: it reads app.yaml at its start.")
        return
    _in_order(loaded, out, anyway=anyway)
    if not notices_off:
        out.print(
            "With both on, every subscriber gets each invoice twice. In your billing system look for "
            "“send invoices by e-mail”, reminders and suspension notices."
        )
        if not typer.confirm(_ASKED, default=False):
            out.print("Nothing was changed. Switch them off first, then run this again.")
            raise typer.Abort
    now = datetime.now(ZoneInfo(tenant.time_zone))
    _change(loaded.path, key, mode, f"since {now:%Y-%m-%d}; billing's own notices are off")
    out.print(f"[green]{escape(key)} is live:[/green] subscribers get mail once the product is restarted.")
    out.print("Nothing that is on file already is sent by itself: invoices go with `ispbot notify invoices`.")
    out.print("Back to test mode at any time: ispbot golive --undo")


def _in_order(loaded: Config, out: Console, *, anyway: bool) -> None:
    with out.status("trying everything"):
        findings = asyncio.run(run_checks(loaded))
    failing = [finding for finding in findings if not finding.ok]
    if failing:
        out.print(table(failing))
        if not anyway:
            raise SetupProblem(
                "Mend these first, or go live all the same with --anyway. Nothing was changed."
            )


def _change(path: Path, key: str, mode: str, remark: str) -> None:
    """In its place; the file that was there stays beside it."""
    before = path.read_text("utf-8")
    try:
        after = with_send_mode(before, key, mode, remark)
    except NotThere:
        raise SetupProblem(f"{path} has no tenants.{key}.mail that could be changed.") from None
    part = path.with_name(f".{path.name}.new")
    write_private(part, after)
    part.chmod(path.stat().st_mode & 0o777)
    try:
        parse(part)
    except ConfigProblems as problems:
        part.unlink()
        raise SetupProblem(f"{path} would not be taken any more: {problems}. Nothing was changed.") from None
    write_private(path.with_name(f"{path.name}.before-{mode}"), before)
    part.replace(path)


__all__ = ["go_live"]
