"""Whether anything speaks against a batch of messages: one statement, which of a run finds next to nothing.

It only says where to look: what is found is read, and judged, by whoever asks (billing.truth). Written by
hand, for each of the two databases, as all statements between a claim and its sends are.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from store.models import TAG, TOWN, InvoiceStatus, RunState, SubscriberStatus
from store.repository import Repository

_ADDRESS, _INVOICE, _PERSON, _RUN, _AREA = "address", "invoice", "person", "run", "area"


@dataclass(slots=True)
class Objections:
    """Of what was asked about that of which something has to be read; `areas`: a town or a tag is held."""

    addresses: set[str] = field(default_factory=set)
    invoices: set[UUID] = field(default_factory=set)
    people: set[UUID] = field(default_factory=set)
    runs: set[UUID] = field(default_factory=set)
    areas: bool = False


def _words(*words: str) -> str:
    return ", ".join(f"'{word}'" for word in words)


_OVER = _words(InvoiceStatus.VOID, InvoiceStatus.PAID, InvoiceStatus.UNCOLLECTIBLE)
_NOT_RUNNING = _words(RunState.WAITING, RunState.PAUSED, RunState.CANCELLED)
_SUPPRESSED = "t.released_at IS NULL AND t.channel IN ('email', 'sms')"
_NOTHING_DUE = f"(t.status IN ({_OVER}) OR t.paid_minor >= t.total_minor)"
_NO_NOTICE = (
    f"(t.status = '{SubscriberStatus.ARCHIVED}' OR t.invoice_notices IS FALSE OR t.balance_minor <= 0)"
)
_STOPPED = f"t.state IN ({_NOT_RUNNING})"
_HELD_AREA = f"""SELECT '{_AREA}', '' WHERE EXISTS (SELECT 1 FROM holds t WHERE t.tenant_id = {{tenant}}
    AND t.ended_at IS NULL AND t.scope IN ({_words(TOWN, TAG)}))"""  # noqa: S608  # no value in it

_ASKED = (
    (_ADDRESS, "suppressions", "address", _SUPPRESSED, "text"),
    (_INVOICE, "invoices", "id", _NOTHING_DUE, "uuid"),
    (_PERSON, "subscribers", "id", _NO_NOTICE, "uuid"),
    (_RUN, "runs", "id", _STOPPED, "uuid"),
)
_POSTGRESQL = " UNION ALL ".join(
    [
        f"SELECT '{what}', t.{key}::text FROM {table} t "  # noqa: S608  # no value in it
        f"WHERE t.tenant_id = $1 AND t.{key} = ANY(${place}::{of}[]) AND {against}"
        for place, (what, table, key, against, of) in enumerate(_ASKED, 2)
    ]
    + [_HELD_AREA.format(tenant="$1")]
)
_SQLITE = " UNION ALL ".join(
    [
        f"SELECT '{what}', t.{key} FROM json_each(?{place}) k "  # noqa: S608  # no value in it
        f"CROSS JOIN {table} t ON t.tenant_id = ?1 AND t.{key} = k.value WHERE {against}"
        for place, (what, table, key, against, _) in enumerate(_ASKED, 2)
    ]
    + [_HELD_AREA.format(tenant="?1")]
)


class ObjectionsOf(Repository):
    async def to(
        self,
        *,
        addresses: Collection[str],
        invoices: Collection[UUID],
        people: Collection[UUID],
        runs: Collection[UUID],
    ) -> Objections:
        """What may speak against sending to these addresses, about these; of either channel."""
        say = self._tx.conn.exec_driver_sql
        rows: list[Any]
        if self._tx.sqlite:
            given = [json.dumps(list(addresses))]
            given += [json.dumps([one.hex for one in ids]) for ids in (invoices, people, runs)]
            rows = list(await say(_SQLITE, (self._tenant, *given)))
        else:
            lists = [list(asked) for asked in (addresses, invoices, people, runs)]
            rows = list(await say(_POSTGRESQL, (self._tenant, *lists)))
        found = Objections()
        by_id = {_INVOICE: found.invoices, _PERSON: found.people, _RUN: found.runs}
        for what, key in rows:
            if what == _ADDRESS:
                found.addresses.add(key)
            elif what == _AREA:
                found.areas = True
            else:
                by_id[what].add(UUID(key))
        return found
