"""The mirror as CSV files of our own format: what `ispbot import` of them finds unchanged.

Rows come in the order of their keys' code points, so that both databases write the same octets. Addresses
are written as the source has them; what was mended here is put on again by the import, as long as it stands.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from uuid import UUID

from billing.csv_kinds import ImportKind
from billing.csv_rows import COLUMNS, OPTIONAL
from notifier.addresses import parse_field
from store.consents import Consent, standing
from store.models import (
    Channel,
    ConsentState,
    ContactOverride,
    ContactRole,
    Invoice,
    Package,
    Point,
    Service,
    Subscriber,
)
from store.overrides import reapply
from store.points import PointRecord
from store.unit import Store, Tx

BETWEEN: Final = "; "
Line = Sequence[str]


@dataclass(slots=True)
class ExportResult:
    rows: int = 0
    left_out: int = 0
    """Telephone numbers that have no column: the format has one of each subscriber."""


async def export_csv(
    store: Store,
    tenant: int,
    kind: ImportKind,
    file: IO[bytes],
    *,
    mended: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExportResult:
    """Writes one kind to `file`, some hundred rows at a time.

    `mended` writes addresses as they are used here instead of as the source has them. `progress` is told the
    entries done and those expected.
    """
    result = ExportResult()
    file.write(_octets([(*COLUMNS[kind], *OPTIONAL[kind])]))
    async with store.read(tenant) as tx:
        total, done = await _COUNT[kind](tx), 0
        async for entries, lines in _PAGES[kind](tx, mended, result):
            file.write(_octets(lines))
            result.rows += len(lines)
            done += entries
            if progress is not None:
                progress(done, max(total, done))
    return result


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that only its owner may read and that is there once it is whole. OSError where it cannot be."""
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _octets(lines: Sequence[Line]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue().encode()


Pages = AsyncIterator[tuple[int, list[Line]]]
"""How many entries these lines are of, and the lines."""


async def _subscribers(tx: Tx, mended: bool, result: ExportResult) -> Pages:
    async for people in tx.subscribers.all():
        ids = [one.id for one in people]
        points = await tx.subscribers.points(ids)
        overrides = await tx.overrides.active(ids)
        tags = await tx.tags.of(ids)
        numbers = [(Channel.SMS, p.address) for own in points.values() for p in own if _is_phone(p)]
        stated = await tx.consents.history(numbers)
        lines: list[Line] = []
        for one in people:
            own = sorted(points[one.id], key=lambda point: point.position)
            phones = [point for point in own if point.channel is Channel.SMS]
            phone = next(filter(_is_phone, phones), None)
            result.left_out += len(phones) - (phone is not None)
            lines.append(
                (
                    *(one.account, one.kind, one.status, one.name, one.language),
                    *(
                        _addresses(own, overrides.get(one.id, ()), role, mended)
                        for role in (ContactRole.BILLING, ContactRole.SERVICE)
                    ),
                    (phone.address if mended else phone.raw or phone.address) if phone else "",
                    *(one.address, one.city, one.region, one.postal_code, one.payer_account or ""),
                    *(f"{one.balance.amount:f}", one.balance.currency, _yes_or_no(one.invoice_notices)),
                    _consent(one, stated[(Channel.SMS, phone.address)]) if phone else "",
                    BETWEEN.join(tags.get(one.id, ())),
                )
            )
        yield len(people), lines


def _is_phone(point: Point) -> bool:
    return point.channel is Channel.SMS and point.role is ContactRole.BILLING


def _addresses(
    points: Sequence[Point], overrides: Sequence[ContactOverride], role: ContactRole, mended: bool
) -> str:
    mine = [point for point in points if (point.role, point.channel) == (role, Channel.EMAIL)]
    if mended:
        return BETWEEN.join(point.address for point in mine)
    here = [one for one in overrides if (one.role, one.channel) == (role, Channel.EMAIL)]
    added = {one.new_address for one in here if not one.old_address}
    field = BETWEEN.join(p.raw or p.address for p in mine if p.address not in added or p.raw != p.address)
    # Where the mended address was on file already the wrong one is gone: the source still has it.
    read = [PointRecord(role, Channel.EMAIL, i.address, i.raw, i.problem) for i in parse_field(field)]
    lost = set(reapply(read, here).ended)
    return BETWEEN.join(filter(None, (field, *(one.old_address for one in here if one.id in lost))))


def _consent(one: Subscriber, statements: Sequence[Consent]) -> str:
    """What this source said of this account; nothing where somebody's own withdrawal outweighs it: a file
    with a yes would be believed by a database that never heard of the STOP."""
    own = standing(
        c for c in statements if (c.source, c.evidence) == (one.facts.source, f"account {one.account}")
    )
    now = standing(statements)
    if own is None or now is None:
        return ""
    if own.state is ConsentState.GRANTED:
        return "yes" if now.state is ConsentState.GRANTED else ""
    return "no"


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


async def _packages(tx: Tx, mended: bool, result: ExportResult) -> Pages:
    async for packages in tx.packages.all():
        accounts = await _accounts(tx, [package.subscriber_id for package in packages])
        lines: list[Line] = []
        for package in packages:
            lines += [
                (*_package(accounts[package.subscriber_id], package), *_service(service))
                for service in sorted(package.services, key=lambda one: one.name) or (None,)
            ]
        yield len(packages), lines


def _package(account: str, package: Package) -> Line:
    until = package.status_until.isoformat() if package.status_until else ""
    return (
        *(account, package.ref, package.name, package.kind, package.status, until),
        *(f"{package.price.amount:f}", package.price.currency),
    )


def _service(service: Service | None) -> Line:
    if service is None:
        return ("",) * 5
    return service.name, service.kind, service.status, service.ip or "", service.mac or ""


async def _invoices(tx: Tx, mended: bool, result: ExportResult) -> Pages:
    async for invoices in tx.invoices.all():
        accounts = await _accounts(tx, [invoice.subscriber_id for invoice in invoices])
        yield len(invoices), [_invoice(accounts[invoice.subscriber_id], invoice) for invoice in invoices]


def _invoice(account: str, invoice: Invoice) -> Line:
    return (
        *(invoice.number, account, invoice.status, invoice.issued_on.isoformat(), invoice.due_on.isoformat()),
        *(f"{invoice.total.amount:f}", f"{invoice.paid.amount:f}", invoice.total.currency),
    )


async def _accounts(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, str]:
    found = await tx.subscribers.by_ids(list(dict.fromkeys(ids)))
    return {one: subscriber.account for one, subscriber in found.items()}


_COUNT: Final = {
    ImportKind.SUBSCRIBERS: lambda tx: tx.subscribers.count(),
    ImportKind.PACKAGES: lambda tx: tx.packages.count(),
    ImportKind.INVOICES: lambda tx: tx.invoices.count(),
}
_PAGES: Final[dict[ImportKind, Callable[[Tx, bool, ExportResult], Pages]]] = {
    ImportKind.SUBSCRIBERS: _subscribers,
    ImportKind.PACKAGES: _packages,
    ImportKind.INVOICES: _invoices,
}

__all__ = ["ExportResult", "export_csv", "whole_file"]
