"""Tokens: 48 octets that travel anywhere, that nobody can alter, and that outlive a rotation."""

from __future__ import annotations

import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.keys import DeliveryToken, Key, Keyring, KeyringError
from notifier.mime import is_addr_spec

OLD, NEW = "1:the older of two secrets", "2:the newer of two secrets"
RING = Keyring.parse(f"{NEW},{OLD}")
TOKEN = DeliveryToken(tenant=7, delivery_id=UUID("01890a5d-ac96-774b-bcce-b302099a8057"), attempt=3)
LETTERS = string.ascii_lowercase + "234567"

tokens = st.builds(
    DeliveryToken, tenant=st.integers(0, 2**24 - 1), delivery_id=st.uuids(), attempt=st.integers(0, 255)
)


@given(tokens)
def test_a_token_is_48_octets_of_a_local_part_and_reads_back(token: DeliveryToken) -> None:
    text = RING.delivery_token(token)
    assert len(text.encode("ascii")) == 48
    assert text[0] == "b"
    assert set(text) <= set(LETTERS)
    assert is_addr_spec(f"{text}@mail.cascade.example")
    assert RING.read_delivery_token(text) == token


def test_a_token_is_the_same_every_time() -> None:
    assert RING.delivery_token(TOKEN) == RING.delivery_token(TOKEN)


@given(tokens)
def test_mail_systems_may_change_the_case_of_a_token(token: DeliveryToken) -> None:
    text = RING.delivery_token(token)
    assert RING.read_delivery_token(text.upper()) == RING.read_delivery_token(text.title()) == token


@pytest.mark.parametrize("position", range(48))
def test_no_character_of_a_token_can_be_exchanged_for_another(position: int) -> None:
    text = RING.delivery_token(TOKEN)
    for letter in LETTERS + "018=-_.+ \n\x00é":
        altered = text[:position] + letter + text[position + 1 :]
        if altered.lower() != text:
            assert RING.read_delivery_token(altered) is None, (position, letter)


@pytest.mark.parametrize("trick", ["ſ", "ı", "\u212a", "ß", "ﬁ", "２"])
def test_letters_that_only_fold_to_ascii_are_none_of_ours(trick: str) -> None:
    for plain in RING.delivery_token(TOKEN):
        for altered in (
            RING.delivery_token(TOKEN).replace(plain, trick, 1),
            RING.delivery_token(TOKEN).replace(plain, trick),
        ):
            assert RING.read_delivery_token(altered) is None


@given(st.text(max_size=60) | st.text(alphabet=LETTERS, min_size=48, max_size=48))
def test_any_other_text_is_no_token(text: str) -> None:
    assert RING.read_delivery_token(text) is None
    assert RING.read_delivery_token("b" + text[1:]) is None


@given(tokens, tokens)
def test_two_deliveries_never_share_a_token(one: DeliveryToken, two: DeliveryToken) -> None:
    assert (RING.delivery_token(one) == RING.delivery_token(two)) == (one == two)


def test_a_token_cannot_be_cut_or_lengthened() -> None:
    text = RING.delivery_token(TOKEN)
    for altered in (text[:-1], text + "a", text[1:], "b" + text, text + "=", f" {text}", f"{text}\n"):
        assert RING.read_delivery_token(altered) is None


def test_an_attempt_beyond_what_fits_is_told_as_the_last_that_does() -> None:
    text = RING.delivery_token(DeliveryToken(1, TOKEN.delivery_id, 300))
    assert RING.read_delivery_token(text) == DeliveryToken(1, TOKEN.delivery_id, 255)


def test_after_a_rotation_old_tokens_are_good_until_their_key_is_retired() -> None:
    before = Keyring.parse(OLD).delivery_token(TOKEN)
    assert RING.read_delivery_token(before) == TOKEN
    assert RING.delivery_token(TOKEN) != before, "the newest key signs"
    assert Keyring.parse(NEW).read_delivery_token(before) is None


def test_a_key_with_the_same_number_and_another_secret_verifies_nothing() -> None:
    assert (
        Keyring.parse("2:some other secret of ours").read_delivery_token(RING.delivery_token(TOKEN)) is None
    )


def test_subkeys_are_one_per_purpose_and_key_oldest_first() -> None:
    assert RING.subkey("links") != RING.subkey("delivery")
    assert RING.subkeys("links") == [
        Keyring.parse(OLD).subkey("links"),
        Keyring.parse(NEW).subkey("links"),
    ]
    assert RING.subkey("links") == RING.subkeys("links")[-1]
    assert len(RING.subkey("links")) == 32


@given(st.binary(max_size=200))
def test_what_was_sealed_opens_for_its_own_purpose_only(plain: bytes) -> None:
    sealed = RING.encrypt("response_url", plain)
    assert RING.decrypt("response_url", sealed) == plain
    assert RING.decrypt("audit", sealed) is None
    assert plain not in sealed or len(plain) < 4


def test_sealed_values_outlive_a_rotation_until_their_key_is_retired() -> None:
    sealed = Keyring.parse(OLD).encrypt("response_url", b"https://hooks")
    assert RING.decrypt("response_url", sealed) == b"https://hooks"
    assert Keyring.parse(NEW).decrypt("response_url", sealed) is None


@pytest.mark.parametrize("position", [0, 1, 20, 40, -1])
def test_a_sealed_value_that_was_touched_does_not_open(position: int) -> None:
    sealed = bytearray(RING.encrypt("response_url", b"https://hooks"))
    sealed[position] ^= 0x04
    assert RING.decrypt("response_url", bytes(sealed)) is None


@pytest.mark.parametrize("text", [b"", b"nonsense", b"gAAAAA", "é".encode()])
def test_what_was_never_sealed_does_not_open(text: bytes) -> None:
    assert RING.decrypt("response_url", text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "NUMBER:SECRET"),
        ("no number and no colon", "NUMBER:SECRET"),
        ("0:long enough to be a secret", "NUMBER:SECRET"),
        ("16:long enough to be a secret", "NUMBER:SECRET"),
        ("-1:long enough to be a secret", "NUMBER:SECRET"),
        ("²:long enough to be a secret", "NUMBER:SECRET"),
        ("x:long enough to be a secret", "NUMBER:SECRET"),
        (f"{NEW},", "NUMBER:SECRET"),
        ("1:too short", "too short"),
        (f"{NEW},2:another long secret here", "same number"),
    ],
)
def test_a_key_list_that_cannot_be_used_is_refused_without_telling_secrets(text: str, says: str) -> None:
    with pytest.raises(KeyringError, match=says) as refused:
        Keyring.parse(text)
    assert "secret of" not in str(refused.value)
    assert "long" not in str(refused.value)


def test_spaces_around_keys_do_not_count_and_a_secret_may_hold_colons() -> None:
    ring = Keyring.parse(f"  {NEW} , 1:a:secret:with:colons:in:it ")
    assert Keyring.parse(NEW).subkey("x") == ring.subkey("x")
    assert Keyring([Key(1, b"a:secret:with:colons:in:it")]).subkey("x") == ring.subkeys("x")[0]
