"""Button values: ours, for this button, of this tenant, young enough, also after a change of keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.signing import ForgedValue, StaleValue, ValueSigner, base_action
from notifier.keys import Keyring
from tests.builders import KEYRING

OLD = Keyring.parse("1:the older of two secrets")
NEW = Keyring.parse("3:a third secret of its own")
SIGNER = ValueSigner(KEYRING)
VALUE = {"s": "01900000-0000-7000-8000-000000000000", "to": ["a@b.example"], "o": 5}


def test_what_was_signed_is_read_again() -> None:
    assert SIGNER.read(1, "find.open", SIGNER.sign(1, "find.open", VALUE)) == VALUE


@pytest.mark.parametrize(("tenant", "action"), [(2, "find.open"), (1, "find.contacts"), (1, ""), (1, "find")])
def test_a_value_moved_to_another_tenant_or_action_is_forged(tenant: int, action: str) -> None:
    text = SIGNER.sign(1, "find.open", VALUE)
    with pytest.raises(ForgedValue):
        SIGNER.read(tenant, action, text)


@pytest.mark.parametrize("position", range(0, 120, 7))
def test_a_changed_character_is_forged(position: int) -> None:
    text = SIGNER.sign(1, "find.open", VALUE)
    other = "A" if text[position] != "A" else "B"
    with pytest.raises(ForgedValue):
        SIGNER.read(1, "find.open", text[:position] + other + text[position + 1 :])


@pytest.mark.parametrize("text", ["", "x", ".", "a.b.c", "é" * 50, "\ud83d", "null", "." * 1000])
def test_rubbish_is_forged(text: str) -> None:
    with pytest.raises(ForgedValue):
        SIGNER.read(1, "find.open", text)


def test_a_value_older_than_it_may_be_is_stale() -> None:
    text = SIGNER.sign(1, "resend.send", VALUE)
    with pytest.raises(StaleValue):
        SIGNER.read(1, "resend.send", text, timedelta(seconds=-1))


def test_old_keys_verify_and_new_ones_sign() -> None:
    before = ValueSigner(OLD).sign(1, "find.open", VALUE)
    assert SIGNER.read(1, "find.open", before) == VALUE
    with pytest.raises(ForgedValue):
        ValueSigner(OLD).read(1, "find.open", SIGNER.sign(1, "find.open", VALUE))


def test_a_retired_key_verifies_no_more() -> None:
    with pytest.raises(ForgedValue):
        ValueSigner(NEW).read(1, "find.open", SIGNER.sign(1, "find.open", VALUE))


def test_a_value_too_long_for_a_button_is_a_mistake_of_ours() -> None:
    noise = "".join(chr(0x100 + n) for n in range(2000))
    with pytest.raises(ValueError, match=r"find\.open is too long"):
        SIGNER.sign(1, "find.open", {"x": noise})


def test_every_mapping_in_a_message_is_signed_for_its_own_action_and_nothing_else_changes() -> None:
    blocks: list[Any] = [
        {"type": "section", "accessory": {"action_id": "find.open:3", "value": {"s": "1"}}},
        {"type": "actions", "elements": [{"action_id": "find.ask", "value": {}}, {"text": {"text": "x"}}]},
        {"type": "input", "element": {"options": [{"value": "plain"}]}},
    ]
    signed = SIGNER.blocks(1, blocks)
    assert SIGNER.read(1, "find.open", signed[0]["accessory"]["value"]) == {"s": "1"}
    assert SIGNER.read(1, "find.ask", signed[1]["elements"][0]["value"]) == {}
    assert signed[1]["elements"][1] == {"text": {"text": "x"}}
    assert signed[2] == blocks[2]
    assert blocks[0]["accessory"]["value"] == {"s": "1"}


def test_the_number_of_a_button_is_not_part_of_its_action() -> None:
    assert base_action("find.open:3") == base_action("find.open") == "find.open"


def test_slack_reads_nothing_into_texts_that_we_did_not_write_as_markup() -> None:
    text = {"type": "mrkdwn", "text": "see http://evil.example, @channel"}
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": text, "fields": [dict(text)]},
        {"type": "header", "text": {"type": "plain_text", "text": "http://evil.example"}},
    ]
    section, header = SIGNER.blocks(1, blocks)
    assert section["text"] == text | {"verbatim": True}
    assert section["fields"] == [text | {"verbatim": True}]
    assert header == blocks[1]
    assert "verbatim" not in text, "what was given stays as it was"
