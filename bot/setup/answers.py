"""What the wizard knows: answers in a file that holds no secret, secrets in one that only its owner may read.

Both are written after each answer, so that whoever stops goes on where they were.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bot.environment import variables

STATE: Final = "setup.json"
SECRETS: Final = "environment"


class SetupProblem(Exception):
    """The wizard cannot go on; the sentence may be shown."""


class Answers:
    """`given` are answers of a file, for a run where nobody is asked; they go before what was kept."""

    def __init__(self, home: Path, given: Mapping[str, Any] | None = None) -> None:
        self.home = home
        self.given = {name: _text(value) for name, value in (given or {}).items()}
        self.kept: dict[str, str] = _kept(home / STATE)
        self.secrets: dict[str, str] = _secrets(home / SECRETS)

    def keep(self, name: str, value: str) -> None:
        self.kept[name] = value
        self._write_kept()

    def forget(self, name: str) -> None:
        if self.kept.pop(name, None) is not None:
            self._write_kept()

    def keep_secret(self, variable: str, value: str) -> None:
        self.secrets[variable] = value
        self._write_secrets()

    def forget_secret(self, variable: str) -> None:
        if self.secrets.pop(variable, None) is not None:
            self._write_secrets()

    def _write_kept(self) -> None:
        write_private(self.home / STATE, json.dumps(self.kept, indent=2, ensure_ascii=False) + "\n")

    def _write_secrets(self) -> None:
        lines = [f"export {name}={shlex.quote(text)}" for name, text in sorted(self.secrets.items())]
        head = "# Secrets: nobody but the owner may read them. Never put them under version control.\n"
        write_private(self.home / SECRETS, head + "\n".join(lines) + "\n")

    def __getitem__(self, name: str) -> str:
        return self.kept.get(name, "")


def _text(value: Any) -> str:
    """YAML's numbers, booleans and lists as one types them."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "" if value is None else str(value)


def _kept(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise SetupProblem(f"{path} cannot be read. Move it away to begin anew.") from None
    if not isinstance(found, dict):
        raise SetupProblem(f"{path} is not what the wizard wrote. Move it away to begin anew.")
    return {str(name): str(value) for name, value in found.items()}


def _secrets(path: Path) -> dict[str, str]:
    """All that is in it, whoever wrote it: the file is written whole again."""
    if not path.exists():
        return {}
    try:
        return variables(path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise SetupProblem(f"{path} is not UTF-8 text. Mend it, or move it away.") from None
    except ValueError as error:
        raise SetupProblem(f"{path} cannot be read: {error}. Mend it, or move it away.") from None


def write_private(path: Path, text: str) -> None:
    """Whole or not at all; only its owner may read it."""
    part = path.with_name(f".{path.name}.part")
    with open(part, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    part.replace(path)


__all__ = ["SECRETS", "STATE", "Answers", "SetupProblem", "write_private"]
