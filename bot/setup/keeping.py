"""app.yaml where one is already: what somebody wrote into it by hand is never lost, and nobody's mail stops.

It is written anew only when the answers are others; what was there stays beside it, by a name of its own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape

from bot.config import AppConfig, ConfigProblems, parse
from bot.setup.answers import STATE, Answers, SetupProblem, write_private
from bot.setup.asking import Asking
from bot.setup.send_mode import NotThere, with_send_mode

_MADE: Final = "made_of"
_LEFT: Final = "left_as"
"""In the file of answers: hashes of what the answers make, and of app.yaml as it was left."""


def put(path: Path, text: str, ask: Asking, out: Console) -> None:
    """SetupProblem where app.yaml must stay as it is."""
    made = _hash(text)
    if path.exists() and ask.answers[_MADE] == made and not ask.again:
        out.print(f"\nYour answers are as they were: {escape(str(path))} stays as it is.")
        return
    before = path.read_text("utf-8", "replace") if path.exists() else text
    text = _as_live_as_before(path, before, text, ask.answers["key"])
    part = path.with_name(f".{path.name}.new")
    write_private(part, text)
    try:
        parse(part)
    except ConfigProblems as problems:
        part.unlink()
        told = "; ".join(f"{where}: {sentence}" for where, sentence in problems.problems)
        raise SetupProblem(f"These answers do not fit together: {told}. Run: ispbot setup --again") from None
    if before != text:
        _may_go(path, part, before, text, ask, out)
        kept = _free(path)
        path.replace(kept)
        out.print(f"The {escape(path.name)} that was there is kept as {escape(kept.name)}.")
    part.replace(path)
    ask.answers.keep(_MADE, made)
    ask.answers.keep(_LEFT, _hash(text))
    out.print(f"\nWritten: [bold]{escape(str(path))}[/bold], and the secrets in environment beside it.")


def put_back(path: Path, out: Console) -> None:
    """The latest that was kept; the one that is there now stays beside it too."""
    kept = _kept(path)
    if not kept:
        raise SetupProblem(f"There is nothing to put back: no {path.name}.before-setup beside {path}.")
    if path.exists():
        path.replace(path.with_name(f"{path.name}.undone"))
    kept[-1].replace(path)
    answers = Answers(path.resolve().parent)
    answers.forget(_MADE)
    answers.forget(_LEFT)
    out.print(
        f"{escape(str(path))} is what it was before; the other one is kept as {escape(path.name)}.undone."
    )
    out.print("Restart the product: it reads app.yaml at its start.")


def _may_go(path: Path, part: Path, before: str, text: str, ask: Asking, out: Console) -> None:
    there = _parsed(path)
    if there is not None and len(there.tenants) > 1:
        part.unlink()
        raise SetupProblem(
            f"{path} has {len(there.tenants)} providers, and the wizard writes one. Change it by hand: "
            f"your answers are in {STATE}."
        )
    if ask.answers[_LEFT] == _hash(before):
        return  # as we left it
    new = {line.split("#")[0].strip() for line in text.splitlines()}
    gone = [line for line in before.splitlines() if (said := line.split("#")[0].strip()) and said not in new]
    if not gone:
        return
    out.print(f"\nSomebody wrote into {escape(path.name)}. These lines would not be in the new one:")
    for line in gone:
        out.print(f"  {escape(line.rstrip())}", style="dim", highlight=False)
    if ask.unattended or typer.confirm("Replace it? It is kept beside the new one.", default=False):
        return
    aside = path.with_name(f"{path.name}.new")
    part.replace(aside)
    raise SetupProblem(
        f"{path.name} stays as it is. The new one is in {aside}: take over what you want of it."
    )


def _as_live_as_before(path: Path, before: str, text: str, key: str) -> str:
    """Whoever sends to everybody already, goes on doing so."""
    there = _parsed(path) if before != text else None
    if there is None or key not in there.tenants or there.tenants[key].mail.send_mode == "only_to":
        return text
    try:
        return with_send_mode(text, key, there.tenants[key].mail.send_mode, "as it was before ispbot setup")
    except NotThere:
        return text  # the parser tells what is wrong with it


def _parsed(path: Path) -> AppConfig | None:
    try:
        return parse(path)
    except ConfigProblems:
        return None


def _kept(path: Path) -> list[Path]:
    """Oldest first."""
    found = path.parent.glob(f"{path.name}.before-setup*")
    return sorted(found, key=lambda one: (len(one.name), one.name))


def _free(path: Path) -> Path:
    first = path.with_name(f"{path.name}.before-setup")
    number = 1
    while first.exists():
        number += 1
        first = path.with_name(f"{path.name}.before-setup-{number}")
    return first


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


__all__ = ["put", "put_back"]
