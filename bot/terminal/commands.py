"""The twins as commands of `ispbot`; what they need is loaded when one is called."""

# Annotations are values here (no `from __future__`): each command has help of its own in them.

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

TOLD: Final[dict[str, tuple[str, str]]] = {
    "find": ("account, name, phone, e-mail, invoice, IP or MAC", "Look a subscriber up."),
    "diagnose": ("account or invoice", "Find out why an invoice did not arrive."),
    "messages": ("account or invoice", "See what was sent, and what became of it."),
    "spf": ("domain; the envelope domain's unless given", "Check that our mail servers are authorised."),
    "mail": ("", "See how our mail is doing: routes, refusals, DNS, bounces."),
    "failures": ("today, 3 days or run", "People without a proven notice, by cause."),
    "queue": ("", "See what waits, who holds it, and why it is slow."),
    "incidents": ("", "See what is going wrong for many at once."),
}
"""Name -> what it takes, and what it is for."""

Run = Callable[[str, str, Path, Path | None, str | None, bool, bool], None]
"""Name, text, configuration, environment, provider, as JSON, with contacts."""


def add_to(app: typer.Typer, run: Run, config: Path) -> None:
    for name, (takes, summary) in TOLD.items():
        app.command(name, help=summary)(_command(name, takes, run, config))


def _command(name: str, takes: str, run: Run, default: Path) -> Callable[..., None]:
    def command(
        what: Annotated[list[str] | None, typer.Argument(help=takes, hidden=not takes)] = None,
        config: Annotated[Path, typer.Option("--config", "-c", help="app.yaml of this deployment")] = default,
        environment: Annotated[Path | None, typer.Option(help="file with secrets to read first")] = None,
        tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="one JSON object, for programs")] = False,
        contacts: Annotated[
            bool, typer.Option("--contacts", help="addresses in full in JSON; without it they are masked")
        ] = False,
    ) -> None:
        if what and not takes:
            raise typer.BadParameter(f"{name} takes no words.")
        run(name, " ".join(what or ()), config, environment, tenant, as_json, contacts)

    return command


__all__ = ["TOLD", "add_to"]
