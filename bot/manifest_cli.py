"""`ispbot manifest`: needs app.yaml, not yet the secrets, which Slack gives out afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from bot.config import ConfigProblems, parse
from bot.manifest import ManifestProblem, manifest, scopes
from bot.wiring import discover_commands
from handlers.reply import UserError


def written(path: Path, *, name: str, socket_mode: bool, as_json: bool) -> str:
    """The manifest as text, each scope with its reason in the YAML; UserError says what is wrong."""
    try:
        app = parse(path)
        if socket_mode:
            app = app.model_copy(update={"slack": app.slack.model_copy(update={"mode": "socket"})})
        commands, _ = discover_commands()
        made = manifest(app, [command.spec for command in commands.values()], name)
    except ConfigProblems as problems:
        raise UserError(f"{path} cannot be used: {problems}.", "Mend it, then run this again.") from None
    except ManifestProblem as problem:
        raise UserError(str(problem)) from None
    if as_json:
        return json.dumps(made, indent=2) + "\n"
    why = "".join(f"# {scope}: {reason}\n" for scope, reason in sorted(scopes(app).items()))
    return f"# Scopes, and what each is for:\n{why}" + yaml.safe_dump(made, sort_keys=False, width=110)
