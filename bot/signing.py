"""Blocks on their way out: button values and dialog memory signed, checked and aged when they come back.

A value is bound to its tenant and its action, so that it cannot be moved to another button.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from handlers.blocks import BLOCKS_MAX as MESSAGE_MAX
from handlers.blocks import context
from handlers.reply import Block
from notifier.keys import Keyring

MAX_AGE = timedelta(days=30)


class StaleValue(Exception):
    """The button is older than it may be."""


class ForgedValue(Exception):
    """Nobody of ours signed this for this button."""


class ValueSigner:
    def __init__(self, keyring: Keyring, badges: Mapping[int, str] | None = None) -> None:
        """`badges`: what stands on top of everything that a tenant's people are shown (bot.badges)."""
        self._badges = badges or {}
        self._serializer = URLSafeTimedSerializer(keyring.subkeys("button"), salt="ispbot.button")

    def sign(self, tenant: int, action: str, value: Mapping[str, Any]) -> str:
        """At most 2,000 characters (Slack's limit of a button value)."""
        text = str(self._serializer.dumps([tenant, action, dict(value)]))
        if len(text) > 2000:
            raise ValueError(f"the value of {action} is too long for a button")
        return text

    def read(self, tenant: int, action: str, text: str, max_age: timedelta = MAX_AGE) -> dict[str, Any]:
        try:
            content = self._serializer.loads(text, max_age=int(max_age.total_seconds()))
        except SignatureExpired:
            raise StaleValue from None
        except (BadData, UnicodeError):
            raise ForgedValue from None
        signed_tenant, signed_action, value = content
        if signed_tenant != tenant or signed_action != action:
            raise ForgedValue
        return dict(value)

    def blocks(self, tenant: int, blocks: Sequence[Block]) -> list[Block]:
        """The same blocks with every button's mapping signed, and texts read by Slack as they stand.

        Without `verbatim` Slack makes links of whatever looks like one, and may read names of channels and
        broadcasts out of a subscriber's words (docs.slack.dev, text object). Our own markup still counts.
        """
        badge = self._badges.get(tenant)
        # Where a message is full already, its last block is a word that there is more: the badge counts more.
        kept = [context(badge), *blocks][: max(MESSAGE_MAX, len(blocks))] if badge and blocks else blocks
        return [self._walk(tenant, block) for block in kept]

    def _walk(self, tenant: int, node: Any) -> Any:
        if isinstance(node, list):
            return [self._walk(tenant, item) for item in node]
        if not isinstance(node, Mapping):
            return node
        copy = {key: self._walk(tenant, item) for key, item in node.items() if key != "value"}
        if node.get("type") == "mrkdwn":
            copy["verbatim"] = True
        if "value" in node:
            value = node["value"]
            action = base_action(str(node.get("action_id", "")))
            copy["value"] = self.sign(tenant, action, value) if isinstance(value, Mapping) else value
        return copy


def base_action(action_id: str) -> str:
    """`find.open:3` is the action `find.open`."""
    return action_id.partition(":")[0]
