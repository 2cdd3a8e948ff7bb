"""Subscribers by any word of their name or address, with one slip, by the beginning of an e-mail address, by
the end of a telephone number, by IP and MAC (ADR 18).

`search_terms` is kept in the transaction that writes a subscriber or one of its addresses; `search_cuts`
has the words in which slips are looked for, each once for a provider however many are called so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    delete,
    func,
    intersect,
    literal,
    or_,
    select,
    union_all,
)

from store.models import Subscriber, SubscriberStatus
from store.repository import BATCH, Repository, batched
from store.search_words import MAIL, PHONE, PLACE, cuts, mendable, one_slip, search_key, words_of
from store.tables import packages, search_cuts, search_terms, services

_ABOVE: Final = "\U0010ffff"
_CANDIDATES: Final = 120
"""How many are ranked; whoever asks so that more fit is asked for another letter anyway."""
_MANY: Final = 90
"""From so many on there may be more: somebody may be among the candidates by two words."""
_FEW: Final = 2_000
"""Up to so many each is asked about the other words by itself."""
_SAMPLE: Final = 1_200
"""So many of them are asked first where the other word is very common: enough may have it."""
_RARE: Final = 500
"""A word that fewer have needs no comparing with how many have the others."""
_READ: Final = 20_000
"""Rows of the rarest word that are looked at; with two very common words the rest are not."""
_MENDS: Final = 40
"""Words one slip apart that are tried."""


@dataclass(frozen=True, slots=True)
class Hits:
    """`exact` False: nobody has these words, and these have words that are one slip from them."""

    subscribers: tuple[Subscriber, ...]
    exact: bool = True


_Word = Sequence[tuple[str, str]]
"""The ranges [from, to) of terms of which a subscriber has to have one."""


def _prefix(text: str) -> tuple[str, str]:
    return text, text + _ABOVE


def _whole(text: str) -> tuple[str, str]:
    return text, text + "\x01"  # no term has a control character


class Search(Repository):
    async def words(self, text: str, limit: int) -> Hits:
        """Those who have every word, or one that begins with it; best first."""
        asked = words_of(text)
        if not asked:
            return Hits(())
        found = await self._with_all([[_prefix(word), _prefix(PLACE + word)] for word in asked])
        if len(found) >= _MANY:  # these are not all of them: the best are asked for
            found = await self._best(asked, limit) or found
        if found:
            return Hits(await self._ranked(found, asked, limit))
        return Hits(await self._ranked(await self._with_a_slip(asked), asked, limit), exact=False)

    async def _best(self, asked: Sequence[str], limit: int) -> list[UUID]:
        """Who has the words in the name, before who only lives in a place that is called so."""
        found: dict[UUID, None] = {}
        for ways in ([[_whole(word)] for word in asked], [[_prefix(word)] for word in asked]):
            if len(found) < limit:
                found.update(dict.fromkeys(await self._with_all(ways)))
        return list(found) if len(found) >= limit else []

    async def by_mail(self, text: str, limit: int) -> tuple[Subscriber, ...]:
        """Those with an address that begins with this."""
        return await self._ranked(await self._with_all([[_prefix(MAIL + text.casefold())]]), [], limit)

    async def by_last_digits(self, digits: str, limit: int) -> tuple[Subscriber, ...]:
        return await self._ranked(await self._with_all([[_whole(PHONE + digits)]]), [], limit)

    async def by_ip(self, ip: str, limit: int) -> tuple[Subscriber, ...]:
        return await self._by_service(services.c.ip == ip, limit)

    async def by_mac(self, mac: str, limit: int) -> tuple[Subscriber, ...]:
        """`mac` as the mirror has it: six pairs in small letters with colons."""
        return await self._by_service(services.c.mac == mac, limit)

    async def _by_service(self, which: ColumnElement[bool], limit: int) -> tuple[Subscriber, ...]:
        statement = (
            select(packages.c.subscriber_id)
            .join(
                services,
                and_(services.c.tenant_id == packages.c.tenant_id, services.c.package_id == packages.c.id),
            )
            .where(services.c.tenant_id == self._tenant, which)
            .distinct()
            .limit(_CANDIDATES)
        )
        ids = list((await self._tx.conn.execute(statement)).scalars())
        return await self._ranked(ids, [], limit)

    async def _with_all(self, ways: Sequence[_Word]) -> list[UUID]:
        least, most, (first, *others) = await self._rarest_first(ways)
        rare = self._having(first)
        if least <= _FEW or self._tx.sqlite:
            return await self._asked_each(rare.limit(_READ), others)
        if most >= _READ:  # a town, say: among some who have the one word many have the other
            found = await self._asked_each(rare.limit(_SAMPLE), others)
            if len(found) >= _MANY:
                return found
        return await self._intersected(rare.limit(_READ), others)

    def _having(self, way: _Word) -> Select[tuple[UUID]]:
        """Whoever has one of these, once for each; every range is read from its index, as OR would not be."""
        t = search_terms.c
        mine = select(t.subscriber_id).where(t.tenant_id == self._tenant)
        whole = _wholes(way)
        parts = [mine.where(t.term.in_(whole))] if whole else []
        parts += [mine.where(t.term >= low, t.term < high) for low, high in way if low not in whole]
        if len(parts) == 1:
            return parts[0]
        every = union_all(*parts).subquery()
        return select(every.c.subscriber_id)

    async def _asked_each(self, rare: Select[tuple[UUID]], others: Sequence[_Word]) -> list[UUID]:
        found = rare.subquery()
        statement = select(found.c.subscriber_id).limit(_CANDIDATES)
        for other in others:
            o = search_terms.alias()
            mine = and_(o.c.tenant_id == self._tenant, o.c.subscriber_id == found.c.subscriber_id)
            # A statement of its own for each of the rarest word's people, by OFFSET 0: joined, it would be
            # planned by how rare a range looks, which for a name is far from the truth.
            has = select(literal(1)).where(mine, _has(o, other)).offset(0)
            statement = statement.where(has.exists())
        # Somebody may have two words that begin so.
        return list(dict.fromkeys((await self._tx.conn.execute(statement)).scalars()))

    async def _intersected(self, rare: Select[tuple[UUID]], others: Sequence[_Word]) -> list[UUID]:
        """By one pass over each word's index, hashed: cheaper than thousands of questions."""
        each = (self._having(other).subquery().select() for other in others)
        both = intersect(rare.subquery().select(), *each).subquery()
        return list((await self._tx.conn.execute(select(both.c.subscriber_id).limit(_CANDIDATES))).scalars())

    async def _rarest_first(self, ways: Sequence[_Word]) -> tuple[int, int, list[_Word]]:
        """With how many have the rarest and the most common of those that were counted."""
        if len(ways) == 1:
            return 0, 0, list(ways)
        counted: list[tuple[int, int]] = []
        for place, way in enumerate(ways):
            count = select(func.count()).select_from(self._having(way).limit(_READ).subquery())
            counted.append((int((await self._tx.conn.execute(count)).scalar_one()), place))
            if counted[-1][0] < _RARE:
                break
        least, rarest = min(counted)
        return (
            least,
            max(counted)[0],
            [ways[rarest], *(way for place, way in enumerate(ways) if place != rarest)],
        )

    async def _with_a_slip(self, asked: Sequence[str]) -> list[UUID]:
        """One word is mended, the others are taken as they stand."""
        found: dict[UUID, None] = {}
        for place, word in enumerate(asked):
            if mendable(word) is None:
                continue
            mended = [
                way for close in await self._close_to(word) for way in (_whole(close), _whole(PLACE + close))
            ]
            if mended:
                rest = [[_prefix(other), _prefix(PLACE + other)] for other in asked]
                found.update(dict.fromkeys(await self._with_all([*rest[:place], mended, *rest[place + 1 :]])))
        return list(found)

    async def _close_to(self, word: str) -> list[str]:
        c = search_cuts.c
        statement = (
            select(c.word).where(c.tenant_id == self._tenant, c.cut.in_(sorted(cuts(word)))).distinct()
        )
        words = (await self._tx.conn.execute(statement)).scalars()
        return one_slip(word, words)[:_MENDS]

    async def _ranked(
        self, ids: Collection[UUID], asked: Sequence[str], limit: int
    ) -> tuple[Subscriber, ...]:
        """Whole names first, then those that begin so, then by their words; the archived last."""
        people = await self._tx.subscribers.by_ids(list(ids))
        text = " ".join(asked)

        def key(one: Subscriber) -> tuple[Any, ...]:
            name = search_key(one.name)
            whole = sum(word in name.split() for word in asked)
            begun = sum(any(own.startswith(word) for own in name.split()) for word in asked)
            archived = one.status is SubscriberStatus.ARCHIVED
            return archived, name != text, not name.startswith(text), -begun, -whole, name, one.account

        return tuple(sorted(people.values(), key=key)[:limit])

    async def keep(self, wanted: Mapping[UUID, Collection[str]]) -> None:
        """These are all the terms of these subscribers: what is new is added, what is left over goes."""
        kept = await self._kept(wanted)
        new = [(term, one) for one, terms in wanted.items() for term in terms if term not in kept[one]]
        gone = [(term, one) for one, terms in kept.items() for term in terms if term not in wanted[one]]
        await self._add(new)
        await self._drop(gone)

    async def _kept(self, ids: Iterable[UUID]) -> dict[UUID, set[str]]:
        kept: dict[UUID, set[str]] = {one: set() for one in ids}
        t = search_terms.c
        for batch in batched(kept, BATCH):
            mine = (t.tenant_id == self._tenant) & self._among(t.subscriber_id, batch)
            for row in await self._tx.conn.execute(select(t.subscriber_id, t.term).where(mine)):
                kept[row.subscriber_id].add(row.term)
        return kept

    async def add(self, subscriber_id: UUID, term: str | None) -> None:
        if term is not None:
            await self._add([(term, subscriber_id)])

    async def drop(self, subscriber_id: UUID, term: str | None) -> None:
        if term is not None:
            await self._drop([(term, subscriber_id)])

    async def _add(self, rows: Sequence[tuple[str, UUID]]) -> None:
        if not rows:
            return
        # In one order: two writers never wait for each other.
        rows = sorted(set(rows), key=lambda row: (row[0], row[1].int))
        await self._insert_all("search_terms", "term", "subscriber_id", rows)
        words = {word for term, _ in rows if (word := mendable(term)) is not None}
        new = sorted(words - await self._known(words))
        pairs = sorted((cut, word) for word in new for cut in cuts(word))
        await self._insert_all("search_cuts", "cut", "word", pairs)

    async def _insert_all(
        self, table: str, first: str, second: str, rows: Sequence[tuple[str, UUID | str]]
    ) -> None:
        """One statement, always the same: as VALUES it would be written anew for each number of rows."""
        if not rows:
            return
        say = self._tx.conn.exec_driver_sql
        if self._tx.sqlite:
            values = [(self._tenant, a, b.hex if isinstance(b, UUID) else b) for a, b in rows]
            statement = f"INSERT OR IGNORE INTO {table} (tenant_id, {first}, {second}) VALUES (?, ?, ?)"  # noqa: S608
            await say(statement, values)
            return
        kind = "uuid" if second == "subscriber_id" else "text"
        await say(
            f"INSERT INTO {table} (tenant_id, {first}, {second}) "  # noqa: S608  # names of ours
            f"SELECT $1, * FROM unnest($2::text[], $3::{kind}[]) ON CONFLICT DO NOTHING",
            (self._tenant, [a for a, _ in rows], [b for _, b in rows]),
        )

    async def _known(self, words: Collection[str]) -> set[str]:
        """Those whose slips are found already; each stands among its own cuts."""
        known: set[str] = set()
        c = search_cuts.c
        for batch in batched(sorted(words), BATCH):
            mine = and_(c.tenant_id == self._tenant, self._among(c.cut, batch), c.word == c.cut)
            known.update((await self._tx.conn.execute(select(c.word).where(mine))).scalars())
        return known

    async def _drop(self, rows: Sequence[tuple[str, UUID]]) -> None:
        t = search_terms.c
        by_term: dict[str, list[UUID]] = {}
        for term, one in sorted(rows):
            by_term.setdefault(term, []).append(one)
        for term, ids in by_term.items():
            for batch in batched(ids, BATCH):
                await self._tx.conn.execute(
                    delete(search_terms).where(
                        t.tenant_id == self._tenant, t.term == term, self._among(t.subscriber_id, batch)
                    )
                )
        for word in {word for term in by_term if (word := mendable(term)) is not None}:
            await self._forget_unused(word)

    async def _forget_unused(self, word: str) -> None:
        """A name that nobody has any more is not kept for its own sake."""
        t, c = search_terms.c, search_cuts.c
        used = select(t.term).where(t.tenant_id == self._tenant, t.term.in_([word, PLACE + word])).limit(1)
        if (await self._tx.conn.execute(used)).first() is None:
            mine = and_(c.tenant_id == self._tenant, c.cut.in_(sorted(cuts(word))), c.word == word)
            await self._tx.conn.execute(delete(search_cuts).where(mine))


def _wholes(ranges: _Word) -> list[str]:
    return [low for low, high in ranges if (low, high) == _whole(low)]


def _has(table: FromClause, ranges: _Word) -> ColumnElement[bool]:
    """Asked of one subscriber: a whole word by its key, else among that subscriber's few words.

    `|| ''` keeps the planner from looking through everybody who has a word in the range.
    """
    whole = _wholes(ranges)
    if len(ranges) == len(whole) == 1:
        return table.c.term == whole[0]
    term: ColumnElement[str] = table.c.term.concat("")
    ways = [term.in_(whole)] if whole else []
    return or_(*ways, *(and_(term >= low, term < high) for low, high in ranges if low not in whole))


__all__ = ["Hits", "Search"]
