"""What the composer offers behind "/": the manifest's commands, and what the app says they understand.

Slack itself knows no sub-commands; whoever starts the app may leave them in STATE/commands.json as
`[{"text": "/isp find", "usage": "/isp find <account>", "hint": "..."}]`, for the page's completion alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from sandbox.slack.workspace import COMMANDS

FILE: Final = "commands.json"
LONGEST: Final = 200


def command_offers(state_dir: Path) -> list[dict[str, str]]:
    """`[{text, usage, hint}]`, the manifest's first; a file that cannot be read offers nothing more."""
    offers = [{"text": name, "usage": name, "hint": hint} for name, hint in COMMANDS.items()]
    try:
        found = json.loads((state_dir / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return offers
    for one in found if isinstance(found, list) else []:
        if isinstance(one, dict) and str(one.get("text", "")).partition(" ")[0] in COMMANDS:
            offers.append({key: str(one.get(key, ""))[:LONGEST] for key in ("text", "usage", "hint")})
    return offers
