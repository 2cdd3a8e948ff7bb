"""Writes what UISP says into the mirror, in the caller's transaction; whoever is renamed there stays one.

A client is known by UISP's id (store.billing_refs). One that is not known yet takes over the account of that
number where files brought it before. What UISP does not know (payer, language, region, whether notices are
wanted) stays as it is on file. What is on file already and newer stays too: a page of a round may be older
than what somebody has asked for meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from billing.hold_words import held_by
from billing.uisp import mapping
from billing.uisp.mapping import SOURCE, Client, InvoiceFacts, Problems, Unreadable
from store.billing_refs import RefKind
from store.invoices import NOT_OVER, InvoiceRecord
from store.models import Facts, Subscriber
from store.packages import PackageRecord
from store.subscribers import SubscriberRecord
from store.unit import Tx

T = TypeVar("T")
NO_CLIENT = "Its client could not be taken in yet."


@dataclass(frozen=True, slots=True)
class Reading:
    """What UISP's entries do not say of themselves."""

    language: str
    region: str
    zone: ZoneInfo


async def write_clients(
    tx: Tx, reading: Reading, entries: Sequence[Any], facts: Facts, problems: Problems
) -> dict[str, UUID]:
    """Their id -> ours, of those that were written."""

    def one(entry: Any) -> Client:
        return mapping.client(entry, facts, language=reading.language, region=reading.region)

    read = {c.remote_id: c for c in _read("client", one, entries, problems)}
    refs = await tx.billing_refs.local(RefKind.CLIENT, list(read))
    known = await tx.subscribers.by_ids(list(refs.values()))
    holders = await _holders(tx, [c.record.account for r, c in read.items() if r not in refs])
    records: dict[str, SubscriberRecord] = {}
    taken: set[str] = set()
    for remote, found in read.items():
        before = known.get(refs[remote]) if remote in refs else None
        if before is None:
            account, before = _new_account(found, holders, taken, problems)
        else:
            account = await _followed(tx, before, found, problems)
        taken.add(account)
        if before is not None and _newer(before.facts, facts):
            continue
        records[remote] = _kept(replace(found.record, account=account), before)
    ids = await tx.subscribers.upsert(list(records.values()))
    written = {remote: ids[record.account] for remote, record in records.items()}
    await tx.billing_refs.keep(RefKind.CLIENT, written)
    return written


def _newer(held: Facts, facts: Facts) -> bool:
    return held.source == SOURCE and held.as_of > facts.as_of


async def _holders(tx: Tx, accounts: Sequence[str]) -> dict[str, Subscriber | None]:
    """Who has these accounts already; None: another client of UISP."""
    found = await tx.subscribers.by_accounts(accounts)
    theirs = await tx.billing_refs.remote(RefKind.CLIENT, [one.id for one in found.values()])
    return {account: None if one.id in theirs else one for account, one in found.items()}


def _new_account(
    found: Client, holders: Mapping[str, Subscriber | None], taken: set[str], problems: Problems
) -> tuple[str, Subscriber | None]:
    """The account that a client gets who is not known yet, and who has it already."""
    account = found.record.account
    free = account not in holders or holders[account] is not None
    if account not in taken and free:
        return account, holders.get(account)
    problems.told.append((f"client {found.remote_id}", "Its number is another client's too: both are kept."))
    return f"{account[:25]}-{found.remote_id}", None


async def _followed(tx: Tx, before: Subscriber, found: Client, problems: Problems) -> str:
    """The account of somebody known, renamed where UISP has renamed them."""
    account, now = before.account, found.record.account
    if account in (now, f"{now[:25]}-{found.remote_id}"):
        return account
    if not await tx.subscribers.rename(before.id, now):
        problems.told.append((f"client {found.remote_id}", "Its new number is another account's."))
        return account
    # What waits for a hold by the old number is judged anew, and waits by the new one.
    await tx.deliveries.release_held(tx.tenant, held_by(account))
    return now


def _kept(record: SubscriberRecord, before: Subscriber | None) -> SubscriberRecord:
    if before is None:
        return record
    return replace(
        record,
        language=before.language,
        region=before.region,
        time_zone=before.time_zone,
        payer_account=before.payer_account,
        invoice_notices=before.invoice_notices,
    )


async def write_services(
    tx: Tx, reading: Reading, entries: Sequence[Any], facts: Facts, problems: Problems
) -> int:
    """How many were written."""
    today = tx.now.astimezone(reading.zone).date()
    read = _read("service", lambda e: mapping.service(e, today, reading.zone), entries, problems)
    owners = await tx.billing_refs.local(RefKind.CLIENT, [one.client_id for one in read])
    held = await tx.packages.facts_of([one.ref for one in read])
    records = []
    for one in read:
        if one.client_id not in owners:
            problems.told.append((f"service {one.remote_id}", NO_CLIENT))
            continue
        if one.ref in held and _newer(held[one.ref], facts):
            continue
        records.append(
            PackageRecord(
                subscriber_id=owners[one.client_id],
                ref=one.ref,
                name=one.name,
                kind=one.kind,
                status=one.status,
                status_until=one.status_until,
                price=one.price,
                facts=facts,
                services=(one.service,),
            )
        )
    await tx.packages.upsert(records)
    return len(records)


async def write_invoices(
    tx: Tx, reading: Reading, entries: Sequence[Any], facts: Facts, problems: Problems
) -> int:
    """How many were written."""
    read = _read("invoice", lambda e: mapping.invoice(e, reading.zone), entries, problems)
    read = list({one.remote_id: one for one in read}.values())
    owners = await tx.billing_refs.local(RefKind.CLIENT, [one.client_id for one in read])
    written = []
    for one in await _numbered(tx, read, facts, problems):
        if one.client_id in owners:
            written.append(one)
        else:
            problems.told.append((f"invoice {one.remote_id}", NO_CLIENT))
    await tx.invoices.upsert([_record(one, owners[one.client_id], facts) for one in written])
    present = await tx.invoices.by_numbers([one.number for one in written])
    await tx.billing_refs.keep(RefKind.INVOICE, {one.remote_id: present[one.number].id for one in written})
    return len(written)


async def _numbered(
    tx: Tx, read: Sequence[InvoiceFacts], facts: Facts, problems: Problems
) -> list[InvoiceFacts]:
    """Those whose number is theirs. A draft that is issued keeps its row, and what is known of it."""
    refs = await tx.billing_refs.local(RefKind.INVOICE, [one.remote_id for one in read])
    standing = await tx.invoices.by_ids(list(refs.values()))
    holders = await tx.invoices.by_numbers([one.number for one in read])
    theirs = await tx.billing_refs.remote(RefKind.INVOICE, [held.id for held in holders.values()])
    fine: dict[str, InvoiceFacts] = {}
    for one in read:
        held = holders.get(one.number)
        stranger = held is not None and theirs.get(held.id, one.remote_id) != one.remote_id
        before = standing.get(refs[one.remote_id]) if one.remote_id in refs else None
        renamed = before is not None and before.number != one.number
        if stranger or one.number in fine or (renamed and held is not None):
            problems.told.append((f"invoice {one.remote_id}", "Its number is another invoice's."))
            continue
        if before is not None and _newer(before.facts, facts):
            continue
        if renamed and before is not None:
            await tx.invoices.renumber(before.id, one.number)
        fine[one.number] = one
    return list(fine.values())


def _record(one: InvoiceFacts, subscriber_id: UUID, facts: Facts) -> InvoiceRecord:
    return InvoiceRecord(
        subscriber_id=subscriber_id,
        number=one.number,
        status=one.status,
        issued_on=one.issued_on,
        due_on=one.due_on,
        total=one.total,
        paid=one.paid,
        facts=facts,
    )


async def write_gone(tx: Tx, remote: str, subscriber_id: UUID) -> None:
    """UISP does not have this client any more: archived, with packages and open invoices at their end."""
    await tx.subscribers.archive(subscriber_id, Facts(SOURCE, tx.now))
    await tx.billing_sync.end_packages(tx.now + timedelta(microseconds=1), SOURCE, subscriber_id)
    await void_unseen(tx, subscriber_id, tx.now + timedelta(microseconds=1))
    await tx.billing_refs.forget(RefKind.CLIENT, [remote])


async def void_unseen(tx: Tx, subscriber_id: UUID, since: datetime) -> None:
    """Open invoices of theirs that UISP has not told of since `since`, when it told of all: not there."""
    for invoice in await tx.invoices.of_subscriber(subscriber_id, NOT_OVER):
        if invoice.facts.as_of < since:
            await tx.invoices.void(invoice.id, Facts(SOURCE, tx.now))


def _read(kind: str, reader: Callable[[Any], T], entries: Sequence[Any], problems: Problems) -> list[T]:
    read = []
    for entry in entries:
        try:
            read.append(reader(entry if isinstance(entry, dict) else {}))
        except Unreadable as why:
            problems.note(kind, entry, str(why))
    return read
