"""Slack, a relay, Twilio and DNS at the wire, for the wizard to try answers on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.dns import DnsPart
from sandbox.world import World
from tests.unit.sandbox.bolt_app import slack_world
from tests.unit.sandbox.mail_world import MailWorld
from tests.unit.sandbox.phone_world import phone_world


@dataclass
class Around:
    """What the wizard asks: `answers` are right ones."""

    home: Path
    answers: dict[str, Any]
    app_token: str

    @property
    def config(self) -> Path:
        return self.home / "app.yaml"


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[Around]:
    for part in ("home", "mail", "slack", "phones"):
        (tmp_path / part).mkdir()
    async with AsyncExitStack() as stack:
        world = World(tmp_path / "names")
        stack.push_async_callback(world.close)
        names = DnsPart(world)
        await names.start()
        stack.push_async_callback(names.stop)
        mail = MailWorld(tmp_path / "mail")
        await mail.start()
        stack.push_async_callback(mail.stop)
        slack = await stack.enter_async_context(slack_world(tmp_path / "slack", socket_mode=True))
        phones = await stack.enter_async_context(phone_world(tmp_path / "phones"))
        twilio = phones.twilio
        yield Around(
            tmp_path / "home",
            {
                "brand": "Cascade Broadband",
                "support_email": "help@cascade.example",
                "time_zone": "America/Los_Angeles",
                "database_kind": "sqlite",
                "slack_mode": "http",
                "public_url": "http://127.0.0.1:9",
                "slack_api_url": slack.endpoints["slack"]["api"],
                "ISPBOT_CASCADE_BROADBAND_BOT_TOKEN": slack.token,
                "ISPBOT_SLACK_SIGNING_SECRET": "signing-secret",
                "support_channel": "C_SUPPORT",
                "oncall_channel": "C_ONCALL",
                "admins": ["U_ADMIN"],
                "agents": ["U_AGENT", "U_LEAD"],
                "envelope_domain": "mail.cascade.example",
                "from_address": "billing@cascade.example",
                "relay_host": "127.0.0.1",
                "relay_port": mail.port("visp"),
                "relay_tls": "off",
                "egress_ips": ["203.0.113.25"],
                "required_include": "",
                "only_to": "me@inbox.example",
                "texts": True,
                "twilio_sid": twilio["account_sid"],
                "twilio_api_url": twilio["api"],
                "twilio_sender": twilio["senders"][0],
                "ISPBOT_CASCADE_BROADBAND_TWILIO": twilio["auth_token"],
                "billing": "local",
                "billing_link": "https://billing.example/clients/{account}",
                "dns_servers": [world.endpoints["dns"]["host"]],
                "dns_port": world.endpoints["dns"]["port"],
            },
            str(slack.endpoints["slack"]["app_token"]),
        )
