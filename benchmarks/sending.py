"""A worker as a deployment runs it, on a backlog and a sink: what the benchmarks about sending share."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
import uvloop

from benchmarks.backlog import DOMAIN, KEYRING, ROUTE
from benchmarks.databases import TENANT, opened
from billing.truth import BillingTruth, SendMode
from bot import garbage
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
    """Only what is wrong is told; garbage is looked for as in a process that serves."""
    garbage.look_rarely()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


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


async def _one(url: str, host: str, port: str, name: str) -> None:
    quiet()
    async with opened(url) as store:
        await worker(store, route(host, int(port)), name).run()


if __name__ == "__main__":  # a worker in a process of its own, which loads no more than one needs
    uvloop.run(_one(*sys.argv[1:]))
