"""A worker as a deployment runs it, on a backlog and a sink: what the benchmarks about sending share."""

from __future__ import annotations

import logging
from typing import Any

import structlog

from benchmarks.backlog import DOMAIN, KEYRING, ROUTE
from benchmarks.databases import TENANT
from billing.invoice_pdf import Letterhead
from billing.pdfs import InvoicePdfs
from billing.truth import BillingTruth, SendMode
from handlers.profile import Brand
from notifier.channels import AnyProvider, Route, email_smtp, sms_twilio
from notifier.compose import Composer
from notifier.worker import Worker
from store.models import Channel
from store.unit import Store

CONNECTIONS = 10


def route(host: str, port: int, **more: Any) -> Route:
    fields: dict[str, Any] = {
        "name": ROUTE,
        "kind": "relay",
        "host": host,
        "port": port,
        "envelope": "verp",
        "envelope_domain": DOMAIN,
        "from_address": "billing@cascade.example",
        "from_name": "Cascade Fiber",
        "connections": CONNECTIONS,
    }
    return Route(**(fields | more))


def quiet() -> None:
    """Only what is wrong is told."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


class LetterheadOfAll(InvoicePdfs):
    """PDFs as the product keeps them, under one letterhead."""

    def __init__(self, store: Store) -> None:
        brand = Brand("Cascade Fiber", "help@cascade.example", "+1 541 555 0100")
        letterhead = Letterhead(brand, "US", "en_US", "https://portal.cascade.example")
        super().__init__(store, {TENANT.id: letterhead})


def worker(
    store: Store, way: Route, name: str = "w1", provider: AnyProvider = email_smtp.CHANNEL, **more: Any
) -> Worker:
    return Worker(
        store=store,
        routes={TENANT.id: [way]},
        providers={Channel.EMAIL: provider, Channel.SMS: sms_twilio.CHANNEL},
        truth=BillingTruth(lambda tenant: SendMode("live")),
        composer=Composer(KEYRING, store.clock),
        name=name,
        **more,
    )
