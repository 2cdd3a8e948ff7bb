"""Every parser, given whatever: its own word for what it cannot read, and never an accident.

Those with a suite of their own (bounces, SPF, DMARC, addresses, replies by text) have properties there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from billing.csv_kinds import ImportKind
from billing.csv_reader import ImportProblem
from billing.csv_shapes import Wanted, read_map
from billing.csv_values import Ambiguous, OtherCurrency, amount, day, yes_or_no
from billing.local import open_csv
from bot.bounce_address import envelope_to
from bot.config import ConfigProblems, load_config, parse
from bot.setup.answers import Answers, SetupProblem
from bot.setup.cli import given_in
from bot.setup.send_mode import NotThere, with_send_mode
from handlers.commands.hold.command import split as split_hold
from handlers.commands.hold.command import split_area
from handlers.commands.spf.command import typed_domain
from handlers.dates import leading_day, read_day
from handlers.failures import read_scope
from handlers.pointers import pointers
from handlers.proofs.period import read_period
from handlers.proofs.period import split as split_period
from handlers.reply import UserError
from handlers.typed import plain_text, split_by, split_to
from notifier import dsn, returned
from notifier.retry_after import in_words
from store.money import Money, MoneyError
from store.search_words import name_terms, phone_term, search_key, words_of

TODAY = date(2026, 11, 26)
ANYTHING = st.text(st.characters(codec="utf-8"), max_size=120)
NASTY = st.sampled_from(
    [
        "",
        " ",
        "\u202e1042",
        "\u200f\u200e",
        "😀" * 2_500,
        "9" * 5_000,
        "-" * 300,
        "until until until 2026-02-30",
        "Feb 30",
        "0000-00-00",
        "9999-12-31 to 0001-01-01",
        '=HYPERLINK("x")',
        "<!channel> <@U1> <https://a|b>",
        "\x00\x1b[2J",
        "1e400",
        "٣٤٥",
        "Infinity",
        "ẞ" * 50,
    ]
)
TYPED: dict[str, tuple[Callable[[str], Any], tuple[type[Exception], ...]]] = {
    "a day": (lambda text: read_day(text, TODAY), ()),
    "a day before words": (lambda text: leading_day(text, TODAY), ()),
    "a period": (lambda text: read_period(text, TODAY), (UserError,)),
    "an account and a period": (lambda text: split_period(text, TODAY), (UserError,)),
    "a hold": (lambda text: split_hold(text, TODAY), (UserError,)),
    "a hold of many": (lambda text: split_area(text, TODAY), (UserError,)),
    "a domain": (typed_domain, (UserError,)),
    "a scope of failures": (lambda text: read_scope(text, "/isp"), (UserError,)),
    "what is typed": (plain_text, ()),
    "to whom": (split_to, ()),
    "by what": (split_by, ()),
    "whom a message names": (pointers, ()),
    "an amount": (amount, (Ambiguous, OtherCurrency)),
    "an amount in a currency": (lambda text: amount(text, None, "USD"), (Ambiguous, OtherCurrency)),
    "a day of a file": (day, (Ambiguous,)),
    "yes or no": (yes_or_no, ()),
    "money": (lambda text: Money.parse(text, "KWD"), (MoneyError,)),
    "a currency": (lambda text: Money.parse("1", text), (MoneyError,)),
    "columns by theirs": (
        lambda text: read_map(text, ImportKind.INVOICES, ("number", "total")),
        (ImportProblem,),
    ),
    "when to come again": (in_words, ()),
    "words to search for": (words_of, ()),
    "words of a name": (lambda text: name_terms(text, text), ()),
    "a telephone number to search for": (phone_term, ()),
    "a key of a name": (search_key, ()),
    "the token of an address": (returned.verp_token, ()),
    "where the send mode stands": (lambda text: with_send_mode(text, "a", "live"), (NotThere,)),
}


@pytest.mark.parametrize("what", TYPED)
@given(text=ANYTHING | NASTY)
@settings(deadline=None, max_examples=80)
def test_whatever_is_typed_is_read_or_refused_in_words(what: str, text: str) -> None:
    read, refusals = TYPED[what]
    refusal = refused(lambda: read(text), *refusals)
    assert refusal is None or type(refusal) is NotThere or str(refusal)


def refused(read: Callable[[], Any], *refusals: type[Exception]) -> Exception | None:
    """The word of ours for what cannot be read; anything else is an accident."""
    try:
        read()
    except refusals as refusal:
        return refusal
    return None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


BYTES = st.binary(max_size=400) | ANYTHING.map(str.encode)
CALM = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
HEAD = b"number,account,status,issued_on,due_on,total,paid,currency\n"


@given(content=BYTES | BYTES.map(lambda rows: HEAD + rows))
@example(content=HEAD + b'"' * 5)
@example(content=b"\xff\xfe" + "number,account\n".encode("utf-16-le"))
@CALM
def test_a_file_is_read_row_by_row_or_refused_as_a_whole(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    def read() -> None:
        with open_csv(ImportKind.INVOICES, file, Wanted()) as opened:
            while opened.batch(50):
                pass

    assert str(refused(read, ImportProblem))


YAMLISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii"), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tenants", "mail", "slack", "database", "public_url", "x"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(content=BYTES | YAMLISH.map(lambda data: repr(data).encode()))
@example(content=b"a: &x [*x]")
@example(content=b"tenants: {a: {mail: {send_mode: off}}}\n? [1]\n: 2")
@CALM
def test_a_configuration_is_read_or_refused_with_every_problem(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    for read in (lambda: parse(file), lambda: load_config(file, {})):
        with pytest.raises(ConfigProblems) as refused:
            read()
        assert all(where and sentence for where, sentence in refused.value.problems)


@given(content=BYTES | YAMLISH.map(lambda data: repr(data).encode()))
@CALM
def test_answers_for_the_wizard_are_read_or_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert str(refused(lambda: given_in(file), SetupProblem))
    for name in ("setup.json", "environment"):
        (file.parent / name).write_bytes(content)
        assert str(refused(lambda: Answers(file.parent), SetupProblem))
        (file.parent / name).unlink()


@given(raw=st.binary(max_size=600))
@settings(deadline=None, max_examples=80)
def test_whatever_comes_as_a_bounce_is_read(raw: bytes) -> None:
    envelope_to(raw, ["mail.cascade.example"])
    asyncio.run(dsn.read(raw))
