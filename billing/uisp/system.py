"""UISP as a system of record: one account's facts, acts that are verified by reading, documents, its log.

Everything is asked outside transactions. An act asks first how the service stands: repeating one that was
done is no second one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import structlog

from billing.gathered import Gathered
from billing.package_states import ACTS, WANTED, Stays
from billing.port import (
    AccountFacts,
    Applied,
    Progress,
    Rejected,
    Remote,
    SyncResult,
    Unavailable,
    Unclear,
    outside_transactions,
)
from billing.uisp import filing, mirror, sync
from billing.uisp.client import NotThere, Refused, UispClient, UispError
from billing.uisp.mapping import SERVICE_STATUSES, SOURCE, Problems, ref_of, service_of
from billing.uisp.mirror import Reading
from store.billing_refs import RefKind
from store.filings import Filing
from store.models import ActKind, Facts, Invoice
from store.unit import Store, Tx

log = structlog.get_logger()

_PATHS = {
    ActKind.SUSPEND: "suspend",
    ActKind.UNSUSPEND: "cancel-suspend",
    ActKind.PAUSE: "pause",
}
BUSY_S = 3.0
"""How long somebody who waits for a card waits for a busy UISP."""
LONGEST_PDF = 10 * 1024 * 1024


class UispSystem:
    label = "UISP"
    pauses = True

    def __init__(self, store: Store, tenant: int, remote: Remote) -> None:
        self._store, self._tenant, self._remote = store, tenant, remote
        self._client = UispClient(remote.url, remote.app_key, timeout_s=remote.timeout_s)
        self._reading = Reading(remote.language, remote.region, remote.time_zone)
        self._reason = remote.suspension_reason
        self._looks: Gathered[str, str | UispError] = Gathered(self._look)

    @property
    def acts_by_itself(self) -> bool:
        return self._remote.suspends_by_itself

    @property
    def every(self) -> tuple[timedelta, timedelta]:
        return self._remote.catch_up_every, self._remote.read_all_every

    @property
    def webhook_secret(self) -> str:
        return self._remote.webhook_secret

    async def close(self) -> None:
        await self._client.close()

    async def refresh(self, subscriber_id: UUID) -> AccountFacts | Unavailable:
        outside_transactions()
        async with self._store.read(self._tenant) as tx:
            client_id = (await tx.billing_refs.remote(RefKind.CLIENT, [subscriber_id])).get(subscriber_id)
        if client_id is None:
            return Unavailable("UISP does not know this account.")
        try:
            problems = await self.reread(client_id, subscriber_id)
        except NotThere:
            # One 404 may be a wrong address in app.yaml: a round or an event of UISP's own archives.
            return Unavailable("UISP does not have this client any more.")
        except UispError as error:
            return Unavailable(error.sentence)
        if unreadable := next((why for what, why in problems.told if what == f"client {client_id}"), None):
            return Unavailable(f"What UISP has of this client cannot be read: {unreadable}")
        async with self._store.read(self._tenant) as tx:
            subscriber = await tx.subscribers.by_id(subscriber_id)
            packages = tuple(await tx.packages.of_subscriber(subscriber_id))
        if subscriber is None:
            return Unavailable("This subscriber is not on file any more.")
        return AccountFacts(subscriber, packages, subscriber.facts.as_of)

    async def reread(self, client_id: str, subscriber_id: UUID | None = None) -> Problems:
        """Everything of one client, into the mirror. UispError; NotThere when it is gone."""
        asked_at = self._store.clock()
        mine = [("clientId", client_id)]
        client, services, invoices = await asyncio.gather(
            self._client.get(f"clients/{client_id}", patience_s=BUSY_S),
            self._all("clients/services", mine),
            self._all("invoices", mine),
        )
        problems, facts = Problems(), Facts(SOURCE, asked_at)
        async with self._store.begin(self._tenant) as tx:
            known = await mirror.write_clients(tx, self._reading, [client], facts, problems)
            subscriber_id = known.get(client_id, subscriber_id)
            await mirror.write_services(tx, self._reading, services, facts, problems)
            await mirror.write_invoices(tx, self._reading, invoices, facts, problems)
            if subscriber_id is not None:
                await self._without_the_rest(tx, subscriber_id, facts, problems)
        return problems

    async def _without_the_rest(self, tx: Tx, subscriber_id: UUID, facts: Facts, problems: Problems) -> None:
        """What was not among all that UISP has of a client is not there; what could not be read may be."""
        if not any(what.startswith("service ") for what, _ in problems.told):
            await tx.billing_sync.end_packages(facts.as_of, SOURCE, subscriber_id)
        if not any(what.startswith("invoice ") for what, _ in problems.told):
            await mirror.void_unseen(tx, subscriber_id, facts.as_of)

    async def _all(self, path: str, query: Sequence[tuple[str, str]]) -> list[Any]:
        found: dict[Any, Any] = {}
        try:
            async for _, page in self._client.pages(path, query, patience_s=BUSY_S):
                found.update((entry.get("id"), entry) for entry in page if isinstance(entry, dict))
        except NotThere:  # a list is there, if an empty one: this is no client that is gone
            raise Refused("UISP's lists cannot be read. An admin has to look at its address.") from None
        return list(found.values())

    async def carry_out(
        self,
        kind: ActKind,
        subscriber_id: UUID,
        package_id: UUID,
        reason: str,
        until: date | None = None,
    ) -> Applied | Rejected | Unclear:
        outside_transactions()
        if kind is ActKind.PAUSE and until is None:
            return Rejected("UISP pauses a package only until a day.")
        async with self._store.read(self._tenant) as tx:
            packages = await tx.packages.of_subscriber(subscriber_id)
        package = next((p for p in packages if p.id == package_id), None)
        service_id = service_of(package.ref) if package else None
        if service_id is None:
            return Rejected("UISP has no such package.")
        try:
            return await self._act(kind, service_id, until)
        except NotThere:
            return Rejected("UISP does not have this package any more.")
        except Refused as error:
            return Rejected(error.sentence)
        except UispError as error:
            return Unclear(error.sentence)

    async def _act(self, kind: ActKind, service_id: str, until: date | None) -> Applied | Rejected | Unclear:
        path = f"clients/services/{service_id}"
        entry = await self._client.get(path, patience_s=BUSY_S)
        code = entry.get("status") if isinstance(entry, dict) else None
        status = SERVICE_STATUSES.get(code) if isinstance(code, int) else None
        if status is None:
            return Rejected("UISP gives this package a status that this version does not know.")
        if status is WANTED[kind]:
            return Applied(service_id)
        step = ACTS[status][kind]
        if isinstance(step, Stays):
            return Rejected(f"This package {step.because}.")
        body: dict[str, Any] = {}
        if kind is ActKind.SUSPEND:
            body = {"suspensionReasonId": await self._reason_id()}
        elif kind is ActKind.PAUSE and until is not None:
            body = {"pauseDate": self._midnight(self._today()), "reactivateDate": self._midnight(until)}
        await self._client.change("PATCH", f"{path}/{_PATHS[kind]}", body, patience_s=BUSY_S)
        return Applied(service_id)

    def _today(self) -> date:
        return self._store.clock().astimezone(self._remote.time_zone).date()

    def _midnight(self, day: date) -> str:
        """As UISP writes instants: 2016-09-12T00:00:00+0000."""
        at = datetime.combine(day, time(), self._remote.time_zone)
        return at.strftime("%Y-%m-%dT%H:%M:%S%z")

    async def _reason_id(self) -> int:
        """Asked for once: the first that UISP offers, unless app.yaml names one."""
        if self._reason is None:
            found = await self._client.get("service-suspension-reasons", patience_s=BUSY_S)
            ids = [one["id"] for one in found if isinstance(one, dict) and isinstance(one.get("id"), int)]
            if not ids:
                raise Refused("UISP has no reason for a suspension. Add one there, in its settings.")
            self._reason = ids[0]
        return self._reason

    async def invoice_pdf(self, invoice: Invoice) -> bytes | Unavailable:
        outside_transactions()
        async with self._store.read(self._tenant) as tx:
            remote = (await tx.billing_refs.remote(RefKind.INVOICE, [invoice.id])).get(invoice.id)
        if remote is None:
            return Unavailable("UISP has no such invoice.")
        try:
            content = await self._client.read(f"invoices/{remote}/pdf", patience_s=BUSY_S)
        except UispError as error:
            return Unavailable(error.sentence)
        if not content.startswith(b"%PDF-") or len(content) > LONGEST_PDF:
            return Unavailable("What UISP gave as the invoice is no PDF that can be sent.")
        return content

    async def file(self, filing_: Filing) -> Applied | Rejected | Unclear:
        outside_transactions()
        async with self._store.read(self._tenant) as tx:
            refs = await tx.billing_refs.remote(RefKind.CLIENT, [filing_.subscriber_id])
        client_id = refs.get(filing_.subscriber_id)
        if client_id is None:
            return Rejected("UISP does not know this account.")
        try:
            return Applied(await filing.put(self._client, client_id, filing_))
        except Refused as error:
            return Rejected(error.sentence)
        except UispError as error:
            return Unclear(error.sentence)

    async def sync(self, *, full: bool, progress: Progress | None = None) -> SyncResult | Unavailable:
        outside_transactions()
        round_ = sync.Round(self._store, self._tenant, self._client, self._reading, progress)
        return await round_.run(full=full)

    async def heard(self, event_id: str) -> str:
        """Events are unsigned: what counts is what UISP says when it is asked."""
        outside_transactions()
        try:
            event = await self._client.get(f"webhook-events/{event_id}", patience_s=BUSY_S)
        except NotThere:
            log.warning("billing_event_forged", billing=SOURCE)
            return "forged"
        entity = str(event.get("entity", "")) if isinstance(event, dict) else ""
        found = str(event.get("entityId") or "") if isinstance(event, dict) else ""
        if entity not in _ENTITIES or not found.isdecimal():
            return "ignored"
        return await self._told_of(entity, found)

    async def _told_of(self, entity: str, entity_id: str) -> str:
        client_id = entity_id
        if entity != "client":
            try:
                entry = await self._client.get(f"{_ENTITIES[entity]}/{entity_id}", patience_s=BUSY_S)
            except NotThere:
                return await self._told_of_gone(entity, entity_id)
            client_id = str(entry.get("clientId") or "") if isinstance(entry, dict) else ""
        if not client_id.isdecimal():
            return "ignored"
        return await self._read_anew(client_id)

    async def _told_of_gone(self, entity: str, entity_id: str) -> str:
        """What is gone has no client any more; ours knows whose it was."""
        async with self._store.read(self._tenant) as tx:
            owner: UUID | None = None
            if entity == "invoice":
                local = (await tx.billing_refs.local(RefKind.INVOICE, [entity_id])).get(entity_id)
                invoice = await tx.invoices.by_id(local) if local else None
                owner = invoice.subscriber_id if invoice else None
            elif entity == "service":
                owner = await tx.packages.owner_of(ref_of(entity_id))
            client_id = (await tx.billing_refs.remote(RefKind.CLIENT, [owner])).get(owner) if owner else None
        return await self._read_anew(client_id) if client_id else "ignored"

    async def _read_anew(self, client_id: str) -> str:
        """Of many events about one client, as a run of invoices makes them, those that wait share a look."""
        became = await self._looks.get(client_id)
        if isinstance(became, UispError):
            raise became
        return became

    async def _look(self, client_ids: Sequence[str]) -> Mapping[str, str | UispError]:
        """One after the other: UISP has others to serve."""
        became: dict[str, str | UispError] = {}
        for client_id in client_ids:
            try:
                became[client_id] = await self._look_at(client_id)
            except UispError as error:
                became[client_id] = error
        return became

    async def _look_at(self, client_id: str) -> str:
        try:
            problems = await self.reread(client_id)
        except NotThere:
            async with self._store.begin(self._tenant) as tx:
                known = await tx.billing_refs.local(RefKind.CLIENT, [client_id])
                if client_id in known:
                    await mirror.write_gone(tx, client_id, known[client_id])
            return "gone"
        if problems.told:
            log.warning("billing_entry_unreadable", billing=SOURCE, problems=problems.told[:5])
        return "read"


_ENTITIES = {
    "client": "clients",
    "service": "clients/services",
    "invoice": "invoices",
    "payment": "payments",
    "refund": "refunds",
}
