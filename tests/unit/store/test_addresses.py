"""E-mail addresses and numbers as people write them (facts: RFC 5321, RFC 5890, E.164)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.addresses import (
    NormalEmail,
    NormalPhone,
    Repair,
    normalise_email,
    normalise_phone,
    split_addresses,
)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("", []),
        (" ,; \n", []),
        ("ann@x.example", ["ann@x.example"]),
        ("ann@x.example, bob@y.example", ["ann@x.example", "bob@y.example"]),
        ("ann@x.example;bob@y.example;", ["ann@x.example", "bob@y.example"]),
        (
            "ann@x.example bob@y.example\r\ncy@z.example",
            ["ann@x.example", "bob@y.example", "cy@z.example"],
        ),
        ('"Lee, Ann" <ann@x.example>, bob@y.example', ['"Lee, Ann" <ann@x.example>', "bob@y.example"]),
        ('"Lee; Ann"<ann@x.example>', ['"Lee; Ann"<ann@x.example>']),
        (
            "Ann Lee <ann@x.example> Bob <bob@y.example>",
            ["Ann Lee <ann@x.example>", "Bob <bob@y.example>"],
        ),
        ("ann@x.example <bob@y.example>", ["ann@x.example", "<bob@y.example>"]),
        (
            "<mailto:ann@x.example|ann@x.example> <mailto:bob@y.example|bob@y.example>",
            ["<mailto:ann@x.example|ann@x.example>", "<mailto:bob@y.example|bob@y.example>"],
        ),
        ('"ann@x.example, bob@y.example', ['"ann@x.example', "bob@y.example"]),
        ("ann\uff20x.example\uff0cbob@y.example", ["ann\uff20x.example", "bob@y.example"]),
        ('"lee, ann"@x.example, bob@y.example', ['"lee, ann"@x.example', "bob@y.example"]),
        (
            "ann@x.example (office, weekdays) bob@y.example",
            ["ann@x.example (office, weekdays)", "bob@y.example"],
        ),
        ("ann@x.example and bob@y.example", ["ann@x.example", "bob@y.example"]),
        ("ann@x.example & Bob <bob@y.example>", ["ann@x.example", "Bob <bob@y.example>"]),
        ("ann@x.example / bob@y.example", ["ann@x.example", "bob@y.example"]),
        ("ann@x.example/bob@y.example", ["ann@x.example", "bob@y.example"]),
        ("a/b@x.example", ["a/b@x.example"]),
        ("lee and ann@x.example", ["lee and ann@x.example"]),
        ("ann@gmail,com", ["ann@gmail,com"]),
        ("ann@gmail, com; bob@y.example", ["ann@gmail, com", "bob@y.example"]),
        ("ann@gmail com", ["ann@gmail com"]),
        ("ann@gmail .com", ["ann@gmail .com"]),
        ("ann@x.example,us@y.example", ["ann@x.example", "us@y.example"]),
        ("ann@box,com@y.example", ["ann@box", "com@y.example"]),
        ("ann@ x.example", ["ann@ x.example"]),
        ("ann @ x.example, bob@y.example", ["ann @ x.example", "bob@y.example"]),
        ("ann@ bob.lee@x.example", ["ann@", "bob.lee@x.example"]),
        ("ann (at) x.example", ["ann (at) x.example"]),
        ("no e-mail", ["no e-mail"]),
        ("n/a", ["n/a"]),
    ],
)
def test_a_field_is_split_into_its_addresses_in_order(field: str, expected: list[str]) -> None:
    assert split_addresses(field) == expected


def test_a_very_long_field_is_split_in_no_time() -> None:
    for text in ("a" * 50_000, "a " * 25_000, "a@" * 25_000, "(" * 50_000, '"' * 5_000, "a@b" + " " * 50_000):
        began = time.process_time()
        split_addresses(text)
        assert time.process_time() - began < 0.5


def test_a_word_before_an_address_makes_one_doubtful_item_and_no_invoice_for_a_stranger() -> None:
    [item] = split_addresses("maria santos@x.example")
    assert normalise_email(item).problem == "There is a space inside the address."


def test_an_item_that_is_no_address_does_not_hide_its_neighbours() -> None:
    items = split_addresses("ann@x.example, none, bob@y.example")
    assert [normalise_email(item).problem is None for item in items] == [True, False, True]


@given(st.lists(st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.example", fullmatch=True), max_size=6))
def test_any_mix_of_separators_keeps_every_address(addresses: list[str]) -> None:
    separators = [", ", ";", "\n", " ", ",,", " ; "]
    field = "".join(a + separators[i % len(separators)] for i, a in enumerate(addresses))
    assert split_addresses(field) == addresses


@given(st.text(alphabet="ab@.,;<>\"' |:\n\u200f\uff20", max_size=60))
def test_no_text_makes_splitting_or_normalising_raise_and_an_address_is_never_unsafe(text: str) -> None:
    for item in split_addresses(text):
        email = normalise_email(item)
        if email.problem is None:
            assert email.address.count("@") == 1
            assert not set(email.address) & set(" \r\n<>,;\"'|:")
    normalise_phone(text)


def test_two_spellings_of_one_mailbox_have_one_normal_form() -> None:
    assert normalise_email("Ann.Lee@INBOX.Example") == NormalEmail("ann.lee@inbox.example")
    assert normalise_email("ann.lee@inbox.example") == NormalEmail("ann.lee@inbox.example")


@pytest.mark.parametrize("domain", ["b\u00fccher.example", "B\u00dcCHER.example", "xn--bcher-kva.example"])
def test_an_international_domain_becomes_its_a_label(domain: str) -> None:
    assert normalise_email(f"ann@{domain}").address == "ann@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("typed", "repairs"),
    [
        (" ann@x.example ", [Repair.SPACE]),
        ("\u00a0ann@x.example\u3000", [Repair.SPACE]),
        ("ann@x.example,", [Repair.PUNCTUATION]),
        ("ann@x.example.", [Repair.PUNCTUATION]),
        (", ann@x.example;", [Repair.PUNCTUATION]),
        ("<ann@x.example>", [Repair.BRACKETS]),
        ("ann@x.example>", [Repair.BRACKETS]),
        ("<ann@x.example", [Repair.BRACKETS]),
        ("(ann@x.example)", [Repair.BRACKETS]),
        ("[ann@x.example]", [Repair.BRACKETS]),
        ("mailto:ann@x.example", [Repair.SCHEME]),
        ("MAILTO:ann@x.example?subject=Invoice", [Repair.SCHEME]),
        ("mailto:ann%40x.example", [Repair.SCHEME]),
        ("ann\uff20x.example", [Repair.WIDE]),
        ("ann\ufe6bx\u3002example", [Repair.WIDE]),
        ("\uff41\uff4e\uff4e\uff20\uff58\uff0eexample", [Repair.WIDE]),
        ("\u200fann@x.example\u200b", [Repair.INVISIBLE]),
        ("\ufeffann@x.example", [Repair.INVISIBLE]),
        ("<mailto:ann@x.example|ann@x.example>", [Repair.BRACKETS, Repair.SCHEME]),
        (
            '"<mailto:ann@x.example|ann@x.example>",',
            [Repair.QUOTES, Repair.PUNCTUATION, Repair.BRACKETS, Repair.SCHEME],
        ),
        ('"Lee, Ann" <ann@x.example>', [Repair.NAME]),
        ("Ann Lee <mailto:ann@x.example>", [Repair.NAME, Repair.SCHEME]),
        ("ann@x.example <Ann@x.example>", [Repair.NAME]),
        ("ann@x.example (office)", [Repair.REMARK]),
        ("'ann@x.example'", [Repair.QUOTES]),
        ("\u201cann@x.example\u201d", [Repair.QUOTES]),
    ],
)
def test_a_plain_slip_is_repaired_and_said(typed: str, repairs: list[Repair]) -> None:
    found = normalise_email(typed)
    assert (found.address, found.problem, found.repaired) == ("ann@x.example", None, "ann@x.example")
    assert sorted(found.repairs) == sorted(repairs)


def test_what_needs_no_repair_names_none() -> None:
    assert normalise_email("ann@x.example").repairs == ()
    assert normalise_email("Ann@X.example").repairs == ()


def test_slack_escapes_ampersands_in_its_own_links_only() -> None:
    wrapped = normalise_email("<mailto:a&amp;b@x.example|a&amp;b@x.example>")
    assert wrapped.address == "a&b@x.example"
    assert normalise_email("a&b@x.example").repaired is None


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "no address"),
        ("ann.x.example", "no @ sign"),
        ("ann@bob@x.example", "more than one @"),
        ("ann@x.example bob@y.example", "more than one @"),
        ("ann@x.example <bob@y.example>", "more than one @"),
        ("ann lee@x.example", "space inside"),
        ("ann@@x.example", "stands there twice"),
        ("ann@x,com", "a comma in the domain"),
        ("ann@x.example\r\nBcc: bob", "space inside"),
        ("@x.example", "nothing before"),
        ("ann@", "nothing after"),
        ("jos\u00e9@x.example", "outside ASCII"),
        ("a" * 65 + "@x.example", "longer than 64"),
        ("a@" + "x" * 60 + ("." + "x" * 60) * 4, "longer than 254"),
        ('"ann lee"@x.example', "Quotes"),
        (".ann@x.example", "dots before"),
        ("ann..lee@x.example", "dots before"),
        ("ann.@x.example", "dots before"),
        ("ann(home)@x.example", "character before"),
        ("ann\x00@x.example", "character before"),
        ("ann@[192.0.2.1]", "not an IP address"),
        ("ann@x..example", "dots after"),
        ("ann@.x.example", "dots after"),
        ("ann@inbox", "not complete"),
        ("ann@x.invalid", "reserved"),
        ("ann@printer.local", "reserved"),
        ("ann@localhost", "reserved"),
        ("ann@my_shop.example", "not a valid domain"),
        ("ann@-x.example", "not a valid domain"),
        ("ann@192.0.2.1", "not a valid domain"),
        ("ann@" + "x" * 64 + ".example", "not a valid domain"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_the_text_is_kept(typed: str, says: str) -> None:
    email = normalise_email(typed)
    assert email.problem is not None
    assert says in email.problem
    assert (email.address, email.repaired) == (typed, None)


def test_a_problem_never_repeats_the_address() -> None:
    for typed in ("secretname@x..example", "secret name@x.example", "secretname@-bad.example", "secretname"):
        assert "secret" not in str(normalise_email(typed).problem)
        assert "bad" not in str(normalise_email(typed).problem)


def test_sixty_four_octets_before_the_at_are_the_limit() -> None:
    assert normalise_email("a" * 64 + "@x.example").problem is None


@pytest.mark.parametrize(
    "typed", ["+15415550142", "541-555-0142", "(541) 555 0142", "1.541.555.0142", "+1 541 555\u20110142"]
)
def test_a_number_becomes_e164(typed: str) -> None:
    assert normalise_phone(typed) == NormalPhone("+15415550142")


@pytest.mark.parametrize(
    "typed",
    [
        "tel:+1-541-555-0142",
        "<tel:+15415550142|541-555-0142>",
        "\u200f+15415550142",
        "\u202a+1 541 555 0142\u202c",
        " 541-555-0142,",
    ],
)
def test_a_number_in_wrapping_or_with_direction_marks_is_repaired(typed: str) -> None:
    assert normalise_phone(typed) == NormalPhone("+15415550142", None, "+15415550142")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "no number"),
        ("541-555-0142 x3", "extension"),
        ("tel:+15415550142;ext=9", "extension"),
        ("whatsapp:+15415550142", "not one telephone number"),
        ("call 541-555-0142", "not one telephone number"),
        ("1-800-FLOWERS", "not one telephone number"),
        ("541-555-0142, 541-555-0143", "not one telephone number"),
        ("541-555-0142 / 541-555-0143", "not one telephone number"),
        ("none", "not one telephone number"),
        ("911", "incomplete or not in use"),
        ("555-0142", "incomplete or not in use"),
        ("+15558675310", "incomplete or not in use"),
        ("+34 600 111 222", "country"),
        ("+1 876 555 0123", "country"),
    ],
)
def test_a_number_that_cannot_be_texted_says_why_and_is_kept(typed: str, says: str) -> None:
    number = normalise_phone(typed)
    assert number.problem is not None
    assert says in number.problem
    assert (number.address, number.repaired) == (typed, None)


def test_the_region_reads_national_numbers_and_decides_who_is_texted() -> None:
    assert normalise_phone("600 111 222", region="ES").address == "+34600111222"
    assert normalise_phone("+15415550142", region="ES").problem is not None
    assert normalise_phone("+34600111222", allowed={"US", "ES"}).problem is None
    assert normalise_phone("+14165550123").problem is None  # Canada, from the US
