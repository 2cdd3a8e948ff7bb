"""Link codes: short, readable on the telephone, unguessable, and refused without a database when made up."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.keys import Keyring
from notifier.links import CODE_LENGTH, make_code, read_code
from notifier.sms_text import count_segments
from store.types import new_id
from tests.builders import KEYRING

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
tenants = st.integers(0, 2**24 - 1)


@given(tenants, st.uuids(), st.integers(0, 3))
def test_a_code_is_18_plain_letters_and_digits_and_carries_its_tenant(
    tenant: int, link: UUID, salt: int
) -> None:
    code = make_code(KEYRING, tenant, link, salt)
    assert len(code) == CODE_LENGTH == 18
    assert set(code) <= set(BASE58)
    assert read_code(KEYRING, code) == tenant


@given(tenants, st.uuids(), st.integers(0, CODE_LENGTH - 1), st.sampled_from(BASE58 + "0OIl-_ é\x00/%"))
def test_a_code_with_one_letter_changed_is_none_of_ours(
    tenant: int, link: UUID, at: int, letter: str
) -> None:
    code = make_code(KEYRING, tenant, link)
    altered = code[:at] + letter + code[at + 1 :]
    assert altered == code or read_code(KEYRING, altered) is None


@given(st.text(max_size=40) | st.text(alphabet=BASE58, min_size=18, max_size=18))
def test_any_other_text_is_no_code_and_nothing_breaks(text: str) -> None:
    assert read_code(KEYRING, text) is None


@pytest.mark.parametrize("text", ["", "z" * 18, "1" * 18, "z" * 10_000, "１" * 18])
def test_the_ends_of_the_number_range_are_refused(text: str) -> None:
    assert read_code(KEYRING, text) is None


def test_a_code_cannot_be_cut_lengthened_or_written_in_another_case() -> None:
    code = make_code(KEYRING, 1, new_id())
    for altered in (code[:-1], code + "1", "1" + code, f" {code}", f"{code}\n", code.swapcase()):
        assert read_code(KEYRING, altered) is None


def test_after_a_rotation_old_codes_are_good_until_their_key_is_retired() -> None:
    link = new_id()
    before = make_code(Keyring.parse("1:the older of two secrets"), 7, link)
    assert read_code(KEYRING, before) == 7
    assert make_code(KEYRING, 7, link) != before, "the newest key signs"
    assert read_code(Keyring.parse("2:the newer of two secrets"), before) is None


def test_links_made_one_after_the_other_have_nothing_in_common() -> None:
    codes = [make_code(KEYRING, 1, new_id()) for _ in range(200)]
    assert len({code[:6] for code in codes}) == 200
    assert len({code[-5:] for code in codes}) == 200


def test_a_link_leaves_room_for_words_in_one_segment() -> None:
    link = f"https://bills.cascadebroadband.example/i/{make_code(KEYRING, 1, new_id())}"
    assert len(link) < 60
    assert len(count_segments(f"{link} " + "x" * (160 - len(link) - 1)).parts) == 1
