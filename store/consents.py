"""Consents: the ledger of who allowed or forbade us to write to an address, append-only.

A statement is identified by its source and its evidence (a MessageSid, "account 1042"): learning the same
one twice adds nothing. The latest statement stands; of two made at one instant the withdrawal does, unless
the second corrects the first (same source and evidence).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, tuple_

from store.models import Channel, ConsentState
from store.repository import BATCH, Repository, batched
from store.tables import consents
from store.types import new_id


@dataclass(frozen=True, slots=True)
class Consent:
    """One statement about one normalised address."""

    channel: Channel
    address: str
    state: ConsentState
    source: str
    evidence: str
    at: datetime

    @property
    def key(self) -> tuple[Channel, str]:
        return self.channel, self.address


def standing(statements: Iterable[Consent]) -> Consent | None:
    """The statement that counts, of `statements` in the order in which they were recorded."""
    latest: dict[tuple[str, str], Consent] = {}
    for statement in sorted(statements, key=lambda c: c.at):
        latest[(statement.source, statement.evidence)] = statement
    # Two accounts may share a number and disagree at once: then nobody has allowed us to write to it.
    return max(latest.values(), key=lambda c: (c.at, c.state == ConsentState.WITHDRAWN), default=None)


class Consents(Repository):
    async def grant(
        self, channel: Channel, address: str, *, source: str, evidence: str, at: datetime | None = None
    ) -> bool:
        """Consent was given; False when this statement was known already. `at` is now unless given."""
        return await self._state(ConsentState.GRANTED, channel, address, source, evidence, at)

    async def withdraw(
        self, channel: Channel, address: str, *, source: str, evidence: str, at: datetime | None = None
    ) -> bool:
        """Consent was withdrawn or refused; False when this statement was known already."""
        return await self._state(ConsentState.WITHDRAWN, channel, address, source, evidence, at)

    async def _state(
        self,
        state: ConsentState,
        channel: Channel,
        address: str,
        source: str,
        evidence: str,
        at: datetime | None,
    ) -> bool:
        return bool(
            await self.record([Consent(channel, address, state, source, evidence, at or self._tx.now)])
        )

    async def record(self, statements: Sequence[Consent]) -> int:
        """Appends what is new and gives its number: a source that says the same again adds no row."""
        known = await self.history([statement.key for statement in statements])
        fresh: list[Consent] = []
        for statement in statements:
            held = known[statement.key]
            before = standing(
                c
                for c in held
                if (c.source, c.evidence) == (statement.source, statement.evidence) and c.at <= statement.at
            )
            if before is None or before.state != statement.state:
                held.append(statement)
                fresh.append(statement)
        for batch in batched(fresh, BATCH):
            await self._tx.conn.execute(
                consents.insert(),
                [
                    {
                        "tenant_id": self._tenant,
                        "id": new_id(),
                        "channel": c.channel,
                        "address": c.address,
                        "state": c.state,
                        "source": c.source,
                        "evidence": c.evidence,
                        "at": c.at,
                    }
                    for c in batch
                ],
            )
        return len(fresh)

    async def current(
        self, addresses: Sequence[tuple[Channel, str]], *, other_than: str | None = None
    ) -> dict[tuple[Channel, str], Consent]:
        """The statement that stands for each address; addresses without one are left out.

        `other_than` leaves out what one source said: whether somebody else's statement stands against it.
        """
        found: dict[tuple[Channel, str], Consent] = {}
        for key, statements in (await self.history(addresses)).items():
            consent = standing(c for c in statements if c.source != other_than)
            if consent is not None:
                found[key] = consent
        return found

    async def history(
        self, addresses: Sequence[tuple[Channel, str]]
    ) -> dict[tuple[Channel, str], list[Consent]]:
        """Every statement about each address, oldest first."""
        found: dict[tuple[Channel, str], list[Consent]] = {key: [] for key in addresses}
        for batch in batched(list(found), BATCH):
            statement = (
                select(consents)
                .where(
                    consents.c.tenant_id == self._tenant,
                    tuple_(consents.c.channel, consents.c.address).in_(batch),
                )
                .order_by(consents.c.at, consents.c.id)
            )
            for row in await self._tx.conn.execute(statement):
                channel = Channel(row.channel)
                found[(channel, row.address)].append(
                    Consent(channel, row.address, ConsentState(row.state), row.source, row.evidence, row.at)
                )
        return found


__all__ = ["Consent", "Consents", "standing"]
