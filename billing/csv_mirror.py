"""From judged rows to the mirror: one importer for each kind of file, a batch of rows at a time.

Each remembers what only the whole file can tell: duplicates, packages whose rows lie apart, payers that
stand further down. A consent in a file never lifts a withdrawal that came from elsewhere (a STOP).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from billing.csv_addresses import AddressTally
from billing.csv_kinds import ImportKind
from billing.csv_reader import Row, RowError
from billing.csv_rows import (
    Cells,
    InvoiceRow,
    PackageRow,
    SubscriberRow,
    invoice_row,
    package_row,
    subscriber_row,
)
from notifier.addresses import Kind
from store.consents import Consent
from store.invoices import InvoiceRecord
from store.models import Channel, ConsentState, Facts, Point, Subscriber
from store.overrides import reapply
from store.packages import PackageRecord, ServiceRecord
from store.subscribers import SubscriberRecord
from store.unit import Tx

B = TypeVar("B")
"""What a batch has to write."""


@dataclass(slots=True)
class ImportResult:
    """What an import did, or in a dry run would do."""

    kind: ImportKind
    dry_run: bool = False
    rows: int = 0
    """Rows of the file, header and empty ones left out."""
    accepted: int = 0
    """Rows without an error."""
    written: int = 0
    """Subscribers, packages or invoices written, each counted once; 0 in a dry run."""
    created: int | None = None
    updated: int | None = None
    unchanged: int | None = None
    """Subscribers only: the mirror did not hold them, held other facts, or held these facts already
    (their age is renewed). None for packages and invoices, where the store does not tell."""
    consents: int = 0
    """Consents that were news and written."""
    errors: list[RowError] = field(default_factory=list)
    """Why rows were skipped, by line."""
    warnings: list[RowError] = field(default_factory=list)
    """What somebody should look at in rows that were imported, by line."""
    addresses: AddressTally = field(default_factory=AddressTally)
    """What was found about e-mail addresses, by kind; DNS is asked only when somebody wants it."""
    dropped_columns: tuple[str, ...] = ()
    """Columns that look like passwords: neither stored nor logged."""
    ignored_columns: tuple[str, ...] = ()
    """Columns of another system's file that fill none of ours."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Our column -> what the file calls it, where that is not the same."""


class Importer(Generic[B]):
    """Judges rows and writes them, a batch at a time; remembers what the whole file must agree on.

    The next batch is judged, in a thread, while one is written: what `write` uses is given to it.
    """

    def __init__(self, facts: Facts, region: str, result: ImportResult) -> None:
        self._facts, self._region, self._result = facts, region, result
        self._lines: dict[str, int] = {}
        """Where each account or number of the file stands."""

    def judge(self, rows: Sequence[Row | RowError]) -> B:
        """What `write` writes of these rows; no rows at all are the end of the file."""
        self._result.rows += len(rows)
        self._begin_batch(last=not rows)
        for row in rows:
            if isinstance(row, RowError):
                self._result.errors.append(row)
                continue
            cells = Cells(row)
            self._judge_row(cells)
            if cells.errors:
                self._result.errors += cells.errors
            else:
                self._result.warnings += cells.warnings
        return self._judged()

    def _begin_batch(self, *, last: bool) -> None:
        raise NotImplementedError

    def _judge_row(self, cells: Cells) -> None:
        raise NotImplementedError

    def _judged(self) -> B:
        raise NotImplementedError

    async def write(self, tx: Tx, batch: B) -> None:
        raise NotImplementedError

    async def finish(self, tx: Tx) -> None:
        """After the last row: what only the whole file can tell."""

    def _first_time(self, cells: Cells, column: str, key: str, sentence: str) -> None:
        if key in self._lines:
            cells.wrong(column, sentence.format(key=key, line=self._lines[key]))
        elif key:
            self._lines[key] = cells.row.line

    async def _known(self, tx: Tx, accounts: dict[str, list[int]]) -> dict[str, UUID]:
        """The ids of those accounts that exist; the others become errors of their lines."""
        found = await tx.subscribers.by_accounts(list(accounts))
        for account, lines in accounts.items():
            if account not in found:
                sentence = f"Account {account} is not known. Import its subscriber first."
                self._result.errors += [RowError(line, "account", sentence) for line in lines]
        return {account: subscriber.id for account, subscriber in found.items()}


class SubscriberImporter(Importer[list[SubscriberRow]]):
    def __init__(self, facts: Facts, region: str, result: ImportResult) -> None:
        super().__init__(facts, region, result)
        result.created = result.updated = result.unchanged = 0
        self._batch: list[SubscriberRow] = []
        self._payers: dict[str, list[int]] = {}
        self._taken: set[str] = set()
        """Accounts of the file whose rows are right."""

    def _begin_batch(self, *, last: bool) -> None:
        self._batch = []

    def _judge_row(self, cells: Cells) -> None:
        row = subscriber_row(cells, self._facts, self._region)
        sentence = "Account {key} stands on line {line} of this file already."
        self._first_time(cells, "account", row.record.account, sentence)
        if cells.errors:
            return
        self._batch.append(row)
        for item in cells.addresses:
            self._result.addresses.see(row.line, row.record.account, item)
        self._taken.add(row.record.account)
        if row.record.payer_account is not None:
            self._payers.setdefault(row.record.payer_account, []).append(row.line)

    def _judged(self) -> list[SubscriberRow]:
        return self._batch

    async def write(self, tx: Tx, batch: list[SubscriberRow]) -> None:
        known = await tx.subscribers.by_accounts([row.record.account for row in batch])
        ids = [subscriber.id for subscriber in known.values()]
        points = await tx.subscribers.points(ids)
        overrides = await tx.overrides.active(ids)
        tags = await tx.tags.of(ids)
        records: list[SubscriberRecord] = []
        result = self._result
        created = updated = unchanged = 0
        for row in batch:
            before = known.get(row.record.account)
            if before is None:
                created += 1
                records.append(row.record)
                continue
            # The file has no time zone: what was learnt of it elsewhere stays.
            record = replace(row.record, time_zone=before.time_zone)
            # What was mended here is no news that the file brings.
            mended = reapply(record.points, overrides.get(before.id, ())).points
            same = says_the_same(before, points[before.id], replace(record, points=mended))
            same = same and (record.tags is None or sorted(record.tags) == tags.get(before.id, []))
            unchanged, updated = unchanged + same, updated + (not same)
            records.append(record)
        await self._listed(tx, batch)
        consents = await self._consents(tx, batch)
        result.created = (result.created or 0) + created
        result.updated = (result.updated or 0) + updated
        result.unchanged = (result.unchanged or 0) + unchanged
        if not result.dry_run:
            await tx.subscribers.upsert(records)
            result.consents += await tx.consents.record(consents)
            result.written += len(records)

    async def _listed(self, tx: Tx, batch: Sequence[SubscriberRow]) -> None:
        """Counts the addresses of the batch that nothing is sent to."""
        lines = {
            (Channel.EMAIL, point.address): row.line
            for row in batch
            for point in row.record.points
            if point.channel is Channel.EMAIL and point.problem is None
        }
        for key in await tx.suppressions.active(list(lines)):
            self._result.addresses.note(Kind.SUPPRESSED, lines[key], key[1].rpartition("@")[2])

    async def _consents(self, tx: Tx, batch: Sequence[SubscriberRow]) -> list[Consent]:
        """The consents of the batch, less those that somebody's own withdrawal outweighs."""
        stated = [
            (row.line, Consent(Channel.SMS, row.sms_number, row.consent, *self._evidence(row)))
            for row in batch
            if row.sms_number is not None and row.consent is not None
        ]
        keys = [consent.key for _, consent in stated]
        others = await tx.consents.current(keys, other_than=self._facts.source)
        kept: list[Consent] = []
        for line, consent in stated:
            other = others.get(consent.key)
            withdrawn = other is not None and other.state == ConsentState.WITHDRAWN
            if consent.state == ConsentState.GRANTED and withdrawn:
                sentence = "The file says yes, but this number was opted out elsewhere: that stands."
                self._result.warnings.append(RowError(line, "sms_consent", sentence))
            else:
                kept.append(consent)
        return kept

    def _evidence(self, row: SubscriberRow) -> tuple[str, str, datetime]:
        # By account: two accounts may share a number and disagree, and neither is news the next time.
        return self._facts.source, f"account {row.record.account}", self._facts.as_of

    async def finish(self, tx: Tx) -> None:
        elsewhere = [payer for payer in self._payers if payer not in self._taken]
        found = await tx.subscribers.by_accounts(elsewhere)
        for payer in elsewhere:
            if payer not in found:
                sentence = f"Invoices go to account {payer}, which is not known."
                self._result.warnings += [RowError(line, "bill_to", sentence) for line in self._payers[payer]]


def says_the_same(held: Subscriber, points: Sequence[Point], record: SubscriberRecord) -> bool:
    """Whether the mirror holds these facts already, whatever their age and source."""
    mirrored = SubscriberRecord(
        account=held.account,
        kind=held.kind,
        status=held.status,
        name=held.name,
        language=held.language,
        address=held.address,
        city=held.city,
        region=held.region,
        postal_code=held.postal_code,
        payer_account=held.payer_account,
        balance=held.balance,
        invoice_notices=held.invoice_notices,
        facts=record.facts,
        time_zone=held.time_zone,
        points=record.points,
        tags=record.tags,
    )
    ordered = sorted(points, key=lambda point: point.position)
    held_points = [(p.role, p.channel, p.address, p.raw, p.problem) for p in ordered]
    return mirrored == record and held_points == [
        (p.role, p.channel, p.address, p.raw, p.problem) for p in record.points
    ]


class PackageImporter(Importer[dict[str, list[PackageRow]]]):
    """One row is one service; a package is written with all of its own, and loses those that are gone.

    The package of a batch's last row waits for the next batch, where its rows may go on. Where rows of a
    package lie further apart, or one was refused, the services they name stay as the mirror holds them.
    """

    def __init__(self, facts: Facts, region: str, result: ImportResult) -> None:
        super().__init__(facts, region, result)
        self._batch: dict[str, list[PackageRow]] = {}
        self._current: str | None = None
        """The package of the latest row."""
        self._last = False
        self._said: dict[str, tuple[int, int]] = {}
        """For each package its first line, and a hash of what that line says of it."""
        self._written: set[str] = set()
        self._torn: set[str] = set()
        """Packages with a refused row."""

    def _begin_batch(self, *, last: bool) -> None:
        waiting = self._current if self._current in self._batch else None
        self._batch = {waiting: self._batch[waiting]} if waiting is not None else {}
        self._last = last

    def _judge_row(self, cells: Cells) -> None:
        row = package_row(cells)
        service = row.service.name if row.service else ""
        sentence = "This package stands on line {line} of this file already, without a service."
        if service:
            sentence = "This service of the package stands on line {line} of this file already."
        if row.ref:
            self._first_time(cells, "service" if service else "package", _key(row.ref, service), sentence)
        line, said = self._said.get(row.ref, (0, 0))
        if line and said != hash(row.package) and not cells.errors:
            cells.wrong(
                "package",
                f"Line {line} says otherwise of this package: account, name, kind, status, "
                "status_until, price and currency must be the same on each of its rows.",
            )
        if cells.errors:
            self._torn.add(row.ref)
            return
        self._said.setdefault(row.ref, (row.line, hash(row.package)))
        self._batch.setdefault(row.ref, []).append(row)
        self._current = row.ref

    def _judged(self) -> dict[str, list[PackageRow]]:
        return {ref: rows for ref, rows in self._batch.items() if self._last or ref != self._current}

    async def write(self, tx: Tx, batch: dict[str, list[PackageRow]]) -> None:
        accounts: dict[str, list[int]] = {}
        for rows in batch.values():
            accounts.setdefault(rows[0].package.account, []).extend(row.line for row in rows)
        ids = await self._known(tx, accounts)
        records = [
            await self._record(tx, ref, rows, ids[rows[0].package.account])
            for ref, rows in batch.items()
            if rows[0].package.account in ids
        ]
        if not self._result.dry_run:
            await tx.packages.upsert(records)
            self._result.written += len({record.ref for record in records} - self._written)
        self._written.update(record.ref for record in records)

    async def _record(
        self, tx: Tx, ref: str, rows: Sequence[PackageRow], subscriber_id: UUID
    ) -> PackageRecord:
        said = rows[0].package
        services = {row.service.name: row.service for row in rows if row.service}
        if ref in self._written or ref in self._torn:
            for package in await tx.packages.of_subscriber(subscriber_id):
                for held in package.services if package.ref == ref else ():
                    if _key(ref, held.name) in self._lines:
                        kept = ServiceRecord(held.name, held.kind, held.status, held.ip, held.mac)
                        services.setdefault(held.name, kept)
        return PackageRecord(
            subscriber_id=subscriber_id,
            ref=ref,
            name=said.name,
            kind=said.kind,
            status=said.status,
            status_until=said.status_until,
            price=said.price,
            facts=self._facts,
            services=tuple(services.values()),
        )


def _key(ref: str, service: str) -> str:
    return f"{ref}\n{service}"  # no value holds a line break


class InvoiceImporter(Importer[list[InvoiceRow]]):
    def __init__(self, facts: Facts, region: str, result: ImportResult) -> None:
        super().__init__(facts, region, result)
        self._batch: list[InvoiceRow] = []

    def _begin_batch(self, *, last: bool) -> None:
        self._batch = []

    def _judge_row(self, cells: Cells) -> None:
        row = invoice_row(cells)
        self._first_time(
            cells, "number", row.number, "Invoice {key} stands on line {line} of this file already."
        )
        if not cells.errors:
            self._batch.append(row)

    def _judged(self) -> list[InvoiceRow]:
        return self._batch

    async def write(self, tx: Tx, batch: list[InvoiceRow]) -> None:
        accounts: dict[str, list[int]] = {}
        for row in batch:
            accounts.setdefault(row.account, []).append(row.line)
        ids = await self._known(tx, accounts)
        records = [
            InvoiceRecord(
                subscriber_id=ids[row.account],
                number=row.number,
                status=row.status,
                issued_on=row.issued_on,
                due_on=row.due_on,
                total=row.total,
                paid=row.paid,
                facts=self._facts,
            )
            for row in batch
            if row.account in ids
        ]
        if not self._result.dry_run:
            await tx.invoices.upsert(records)
            self._result.written += len(records)


IMPORTERS: Mapping[ImportKind, type[Importer[Any]]] = {
    ImportKind.SUBSCRIBERS: SubscriberImporter,
    ImportKind.PACKAGES: PackageImporter,
    ImportKind.INVOICES: InvoiceImporter,
}

__all__ = ["IMPORTERS", "ImportResult", "Importer", "says_the_same"]
