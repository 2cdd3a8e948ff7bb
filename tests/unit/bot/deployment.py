"""A deployment on disk for tests: app.yaml with everything a test does not name, and its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bot.config import Config, load_config

ENVIRON = {
    "ISPBOT_KEYS": "1:a secret of sixteen or more",
    "ISPBOT_SLACK_SIGNING_SECRET": "signing-secret",
    "ISPBOT_CASCADE_BOT_TOKEN": "xoxb-cascade",
    "ISPBOT_RIO_BOT_TOKEN": "xoxb-rio",
}
NOWHERE = 9
"""The discard port: nobody listens there."""


def tenant(key: str = "cascade", number: int = 1, **mail: Any) -> dict[str, Any]:
    return {
        "id": number,
        "brand": {"name": key.title(), "support_email": f"help@{key}.example"},
        "time_zone": "America/Los_Angeles",
        "slack": {"team_id": f"T_{key.upper()}", "bot_token_env": f"ISPBOT_{key.upper()}_BOT_TOKEN"},
        "channels": {"support": "C_SUPPORT", "oncall": "C_ONCALL"},
        "roles": {"agent": {"users": ["U_AGENT"]}},
        "mail": {
            "envelope_domain": f"mail.{key}.example",
            "from": {"address": f"billing@{key}.example", "name": f"{key.title()} Billing"},
            "routes": {"relay": {"kind": "relay", "host": "127.0.0.1", "port": NOWHERE}},
            "default_route": "relay",
            "send_mode": "live",
        }
        | mail,
    }


def settings(home: Path, **more: Any) -> dict[str, Any]:
    return {
        "database": f"sqlite:///{home}/ispbot.db",
        "public_url": "http://127.0.0.1",
        "slack": {"api_url": f"http://127.0.0.1:{NOWHERE}/api/"},
        "worker": {"lease_s": 5, "poll_s": 0.05},
        "tenants": {"cascade": tenant()},
    } | more


def write(home: Path, **more: Any) -> Path:
    """The path of a new app.yaml."""
    path = home / "app.yaml"
    path.write_text(yaml.safe_dump(settings(home, **more), sort_keys=False), encoding="utf-8")
    return path


def load(home: Path, environ: dict[str, str] | None = None, **more: Any) -> Config:
    return load_config(write(home, **more), ENVIRON | (environ or {}))
