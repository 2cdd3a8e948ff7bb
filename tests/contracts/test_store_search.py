"""Search on both databases: any word, one slip, addresses, numbers; kept with what it is made from."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from store import migrate
from store.models import Channel, ContactRole, PackageStatus, SubscriberStatus
from store.search_words import cuts, mendable, name_terms, one_slip, phone_term, words_of
from store.subscribers import PointRecord
from store.tables import search_cuts, search_terms
from store.unit import Store
from tests.builders import package_record, service_record, subscriber_record
from tests.conftest import OpenStore

PEOPLE = {
    "1": {"name": "Dana Whitfield", "address": "12 Juniper Lane", "city": "Bend"},
    "2": {"name": "Whitfield Farms LLC", "address": "9 Ranch Road", "city": "Redmond"},
    "3": {"name": "Rosa Bender", "address": "4 Dana Court", "city": "Sisters"},
    "4": {"name": "José Ibáñez", "address": "77 Juniper Lane", "city": "Bend"},
    "5": {"name": "Dana Holm", "city": "Sisters", "status": SubscriberStatus.ARCHIVED},
}


def point(channel: Channel, address: str, role: ContactRole = ContactRole.BILLING) -> PointRecord:
    return PointRecord(role, channel, address, address)


async def put(store: Store, **more: Sequence[PointRecord]) -> dict[str, UUID]:
    """The people, with points by account number (`_1=[…]`)."""
    records = [
        subscriber_record(account, **facts, points=tuple(more.get(f"_{account}", ())))
        for account, facts in PEOPLE.items()
    ]
    async with store.begin(1) as tx:
        return await tx.subscribers.upsert(records)


async def found(store: Store, text: str, limit: int = 10, tenant: int = 1) -> tuple[str, bool]:
    """The accounts in their order, and whether they fit exactly."""
    async with store.read(tenant) as tx:
        hits = await tx.search.words(text, limit)
    return " ".join(one.account for one in hits.subscribers), hits.exact


@pytest.mark.parametrize(
    ("asked", "accounts"),
    [
        ("whitfield", "2 1"),
        ("WHITFIELD dana", "1"),
        ("dana whit", "1"),
        ("dana", "1 3 5"),
        ("ibanez", "4"),
        ("jos", "4"),
        ("juniper", "1 4"),
        ("juniper jose", "4"),
        ("77 juniper", "4"),
        ("bend", "3 1 4"),
        ("sisters rosa", "3"),
        ("farms redmond", "2"),
        ("llc", "2"),
    ],
)
async def test_any_word_finds_and_names_stand_before_places(store: Store, asked: str, accounts: str) -> None:
    await put(store)
    assert await found(store, asked) == (accounts, True)


@pytest.mark.parametrize(
    ("asked", "accounts"),
    [
        ("whitfeld", "1 2"),
        ("hwitfield", "1 2"),
        ("whittfield", "1 2"),
        ("whitfiels", "1 2"),
        ("dana whitfeild", "1"),
        ("dnaa whitfield", "1"),
        ("ibanes", "4"),
        ("junipr rosa", ""),
        ("juniperr", "1 4"),
        ("whitfedl", ""),
        ("whtfeld", ""),
        ("zzzzzz", ""),
    ],
)
async def test_one_slip_is_forgiven_and_said(store: Store, asked: str, accounts: str) -> None:
    await put(store)
    assert await found(store, asked) == (accounts, False)


async def test_a_word_of_three_letters_is_not_mended(store: Store) -> None:
    await put(store)
    assert await found(store, "dna") == ("", False)


async def test_another_provider_finds_none_of_them(store: Store) -> None:
    await put(store)
    assert await found(store, "dana", tenant=2) == ("", False)
    assert await found(store, "whitfeld", tenant=2) == ("", False)


async def test_more_than_the_limit_are_cut_after_the_best(store: Store) -> None:
    await put(store)
    assert await found(store, "dana", limit=2) == ("1 3", True)
    assert await found(store, "   ") == ("", True)


async def test_a_new_name_is_found_and_the_old_one_is_forgotten(store: Store) -> None:
    await put(store)
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("1", name="Dana Okafor", city="Bend")])
    assert await found(store, "okafor") == ("1", True)
    assert await found(store, "dana whitfield") == ("", False)
    assert await found(store, "juniper") == ("4", True)
    assert await found(store, "whitfeld") == ("2", False), "somebody else is called so"
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("2", name="Okafor Farms")])
    async with store.read(1) as tx:
        left = (await tx.conn.execute(select(search_cuts.c.word).distinct())).scalars().all()
        terms = (await tx.conn.execute(select(search_terms.c.term).distinct())).scalars().all()
    assert "whitfield" not in left
    assert "whitfield" not in terms
    assert "okafor" in left


async def test_addresses_are_found_by_their_beginning_and_numbers_by_their_end(store: Store) -> None:
    ids = await put(
        store,
        _1=[point(Channel.EMAIL, "dana.w@inbox.example"), point(Channel.SMS, "+15415550142")],
        _2=[point(Channel.EMAIL, "dana.w@farm.example"), point(Channel.SMS, "+15035550142")],
    )

    async def by(kind: str, text: str) -> str:
        async with store.read(1) as tx:
            people = await getattr(tx.search, kind)(text, 10)
        return " ".join(sorted(one.account for one in people))

    assert await by("by_mail", "Dana.W@") == "1 2"
    assert await by("by_mail", "dana.w@i") == "1"
    assert await by("by_last_digits", "5550142") == "1 2"
    async with store.begin(1) as tx:
        await tx.subscribers.change_point(
            ids["1"], ContactRole.BILLING, Channel.EMAIL, "dana.w@inbox.example", "whit@inbox.example"
        )
        await tx.subscribers.add_point(ids["3"], ContactRole.SERVICE, Channel.SMS, "+15415550142")
        await tx.subscribers.remove_point(ids["2"], ContactRole.BILLING, Channel.SMS, "+15035550142")
    assert await by("by_mail", "dana.w@") == "2"
    assert await by("by_mail", "whit@inbox") == "1"
    assert await by("by_last_digits", "5550142") == "1 3"
    async with store.begin(1) as tx:  # the same number stands with another of their contacts
        await tx.subscribers.add_point(ids["3"], ContactRole.BILLING, Channel.SMS, "+15415550142")
        await tx.subscribers.remove_point(ids["3"], ContactRole.SERVICE, Channel.SMS, "+15415550142")
    assert await by("by_last_digits", "5550142") == "1 3"


async def test_a_subscriber_is_found_by_the_ip_and_mac_of_a_service(store: Store) -> None:
    ids = await put(store)
    service = service_record("Line", ip="192.0.2.7", mac="00:00:5e:00:53:01", status=PackageStatus.ACTIVE)
    async with store.begin(1) as tx:
        await tx.packages.upsert([package_record(ids["4"], services=(service,))])
        (by_ip,) = await tx.search.by_ip("192.0.2.7", 10)
        (by_mac,) = await tx.search.by_mac("00:00:5e:00:53:01", 10)
        assert await tx.search.by_ip("192.0.2.8", 10) == ()
    assert by_ip.account == by_mac.account == "4"


async def test_very_common_words_together_are_narrowed_by_the_rarer_one(store: Store) -> None:
    records = [
        subscriber_record(f"C{n}", name=f"Maria {'Santos' if n % 300 else 'Rarely'}") for n in range(900)
    ]
    async with store.begin(1) as tx:
        await tx.subscribers.upsert(records)
    accounts, exact = await found(store, "maria rarely")
    assert (sorted(accounts.split()), exact) == (["C0", "C300", "C600"], True)
    assert len((await found(store, "maria santos", limit=26))[0].split()) == 26


def _slip(word: str, kind: int, place: int, letter: str) -> str:
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + letter + word[place:]
    if kind == 2:
        return word[:place] + letter + word[place + 1 :]
    return word[:place] + word[place + 1 : place + 2] + word[place : place + 1] + word[place + 2 :]


words = st.text(string.ascii_lowercase, min_size=4, max_size=20)


@given(words, st.integers(0, 3), st.integers(0, 19), st.sampled_from(string.ascii_lowercase))
def test_whatever_the_slip_the_word_shares_a_cut_and_is_taken_for_it(
    word: str, kind: int, place: int, letter: str
) -> None:
    asked = _slip(word, kind, place % len(word), letter)
    if asked != word:
        assert cuts(asked) & cuts(word)
        assert one_slip(asked, [word]) == [word]
    else:
        assert one_slip(asked, [word]) == []


@given(words, words)
def test_what_is_further_away_is_not_taken_for_it(one: str, other: str) -> None:
    if abs(len(one) - len(other)) > 1:
        assert one_slip(one, [other]) == []


def test_closer_looking_words_come_first() -> None:
    assert one_slip("santos", ["pantos", "santo", "santas", "santoss", "other"]) == [
        "santas",
        "santo",
        "santoss",
        "pantos",
    ]


@given(st.text(max_size=200))
def test_any_text_makes_terms_of_bounded_length_without_control_characters(text: str) -> None:
    terms = name_terms(text, text) | set(words_of(text))
    assert all(len(term) <= 61 and term.isprintable() for term in terms)
    assert len(words_of(text)) <= 6


def test_what_is_too_short_or_no_word_has_no_slips() -> None:
    assert [mendable(term) for term in ("abc", "abcd", "~abcd", "12345", "#5550142", "@dana")] == [
        None,
        "abcd",
        "abcd",
        None,
        None,
        None,
    ]
    assert phone_term("+1 (541) 555-0142") == "#5550142"
    assert phone_term("911") is None


async def test_random_names_are_found_again_by_every_word(store: Store) -> None:
    dice = random.Random(7)
    names = {
        f"R{n}": " ".join("".join(dice.choices("abcdeéñ", k=dice.randint(2, 9))) for _ in range(3))
        for n in range(60)
    }
    async with store.begin(1) as tx:
        await tx.subscribers.upsert(
            [subscriber_record(account, name=name) for account, name in names.items()]
        )
    for account, name in names.items():
        for word in words_of(name):
            hits: Any = await found(store, f"{word} {name.split()[0]}", limit=200)
            assert account in hits[0].split()


async def test_the_migration_makes_the_words_of_those_who_are_on_file(
    database_url: str, open_store: OpenStore, store: Store
) -> None:
    """Down and up again: what it makes is what the repository wrote."""
    await put(
        store,
        _1=[point(Channel.EMAIL, "dana@inbox.example"), point(Channel.SMS, "+15415550142")],
        _4=[point(Channel.SMS, "911")],
    )
    before = await _made(store)
    await store.close()
    await migrate.downgrade(database_url, "0006")
    await migrate.upgrade(database_url)
    assert len(before[0]) > 20
    assert await _made(await open_store(database_url)) == before


async def _made(store: Store) -> tuple[set[tuple[str, UUID]], set[tuple[str, str]]]:
    async with store.read(1) as tx:
        terms = await tx.conn.execute(select(search_terms.c.term, search_terms.c.subscriber_id))
        made = await tx.conn.execute(select(search_cuts.c.cut, search_cuts.c.word))
        return {(term, one) for term, one in terms}, {(cut, word) for cut, word in made}


async def test_the_planner_is_told_how_large_the_mirror_has_become(store: Store) -> None:
    await put(store)
    async with store.begin(1) as tx:
        await tx.statistics.renew()
        if not tx.sqlite:  # which has none that an empty table could have spoilt
            rows = text("SELECT reltuples FROM pg_class WHERE relname = 'subscribers'")
            assert (await tx.conn.execute(rows)).scalar_one() == len(PEOPLE)
