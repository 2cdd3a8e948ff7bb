"""While not everything leaves, everything that people are shown says so first; when it does, nothing does."""

from __future__ import annotations

from typing import Any

import pytest

from bot.badges import badge, badges
from bot.config import AppConfig, MailConfig
from bot.signing import ValueSigner
from handlers.blocks import section
from store.unit import Store
from tests.builders import KEYRING
from tests.unit.bot.deployment import settings
from tests.unit.bot.support import Office
from tests.unit.bot.support import office as open_office
from tests.unit.bot.test_config import TENANT
from tests.unit.handlers import cast
from tests.unit.sandbox.bolt_app import Slack

TEXT = badge(
    MailConfig.model_validate({**TENANT["mail"], "send_mode": "only_to", "only_to": ["me@x.example"]})
)


@pytest.mark.parametrize(
    ("mail", "says"),
    [
        ({"send_mode": "live"}, ""),
        ({"send_mode": "off"}, "Sending is off"),
        ({"send_mode": "only_to", "only_to": ["a@x.example"]}, "Only a@x.example gets messages"),
        (
            {"send_mode": "only_to", "only_to": ["a@x.example", "+15415550100"]},
            "Only a@x.example and +15415550100 get messages",
        ),
        ({"send_mode": "only_to", "only_to": ["a@x", "b@x", "c@x"]}, "Only 3 test addresses get messages"),
    ],
)
def test_the_badge_says_who_gets_anything(mail: dict[str, Any], says: str) -> None:
    told = badge(MailConfig.model_validate({**TENANT["mail"], **mail}))
    assert (says in told, bool(told)) == (True, bool(says))


def test_a_provider_that_is_live_has_none(tmp_path: Any) -> None:
    app = AppConfig.model_validate(settings(tmp_path))
    assert badges(app) == {}
    mail = app.tenants["cascade"].mail.model_copy(update={"send_mode": "off"})
    tenant = app.tenants["cascade"].model_copy(update={"mail": mail})
    assert list(badges(app.model_copy(update={"tenants": {"cascade": tenant}}))) == [1]


def test_a_message_that_is_full_keeps_its_badge_and_slacks_limit() -> None:
    signer = ValueSigner(KEYRING, {1: TEXT})
    full = signer.blocks(1, [section(f"row {n}") for n in range(50)])
    assert len(full) == 50
    assert "Test mode" in str(full[0])
    assert len(signer.blocks(1, [section("x")] * 100)) == 100
    assert signer.blocks(1, []) == []
    assert "Test mode" not in str(signer.blocks(2, [section("x")]))


async def shown(office: Office, typed: str) -> list[Any]:
    """What somebody who typed this sees: the blocks of the answer."""
    answer = await office.types(typed, user="U_ADMIN")
    return list(answer["blocks"])


@pytest.mark.parametrize("mode", [{1: TEXT}, None], ids=["test mode", "live"])
async def test_every_commands_answer_bears_it_in_test_mode_and_none_when_live(
    slack: Slack, sqlite_store: Store, mode: dict[int, str] | None
) -> None:
    async with open_office(slack, sqlite_store, badges=mode) as office:
        await cast.dana(office.store)
        seen = 0
        for name, command in office.commands.items():
            for example in command.spec.examples[:1] if name != "echo" else ():
                blocks = await shown(office, example)
                if blocks:
                    assert ("Test mode" in str(blocks[0])) is (mode is not None), (name, blocks[0])
                    seen += 1
        assert seen > 15
        card = await office.types("1001")
        await office.presses(card, "find.share")
        await office.poster.show_behind()
        (shared,) = [m for m in await office.slack.messages("U_LEAD") if not m["ephemeral_to"]]
        assert ("Test mode" in str(shared["blocks"][0])) is (mode is not None)
