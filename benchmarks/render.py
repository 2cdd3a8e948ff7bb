"""A subscriber's invoice mail, from the frozen context to the octets that leave: mails per second of CPU.

`rate` is the whole way: token, template, MIME, with attempt and recipient of its own. `peer` is the standard
library's EmailMessage with the same content, which it gets rendered already.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from itertools import cycle
from statistics import median
from typing import Any

from benchmarks.memory import peak_mb
from benchmarks.smtp import route_to
from notifier import templates
from notifier.compose import Composer
from notifier.keys import Keyring
from notifier.mime import own_mailbox
from store.models import (
    Channel,
    Confidence,
    Delivery,
    Notification,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
    Stage,
)
from store.types import new_id

MAILS, ROUNDS, RECIPIENTS = 4_000, 3, 500
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ROUTE = route_to("127.0.0.1", 25)
SOURCE = templates.load(NotificationKind.INVOICE_ISSUED, "en")
COMPOSER = Composer(Keyring.parse("1:a secret of the benchmark"), lambda: AT)
CONTEXT: dict[str, Any] = {
    "brand": {
        "name": "Cascade Fiber",
        "support_email": "help@cascade.example",
        "support_phone": "541-555-0100",
    },
    "subscriber": {"name": "Dana Whitfield", "account": "1042"},
    "invoice": {
        "number": "INV-1042-03",
        "paid": False,
        "due": "$49.90",
        "due_on": "March 15, 2026",
        "issued_on": "March 1, 2026",
        "total": "$59.90",
    },
    "portal_url": "https://pay.cascade.example",
    "link": "https://in.cascade.example/i/Xk3vB9qTz0aL",
}


def notification(number: int) -> Notification:
    subscriber = {"name": f"Dana Whitfield {number}", "account": str(1000 + number)}
    return Notification(
        id=new_id(),
        kind=NotificationKind.INVOICE_ISSUED,
        subscriber_id=None,
        invoice_id=None,
        template_hash=SOURCE.hash,
        language="en",
        context=CONTEXT | {"subscriber": subscriber},
        requested_by="run",
        priority=Priority.BULK,
        receipt=False,
        expires_at=AT + timedelta(days=3),
        created_at=AT,
    )


def delivery(wanted: Notification, number: int) -> Delivery:
    key = new_id()
    return Delivery(
        id=key,
        tenant=1,
        notification_id=wanted.id,
        subscriber_id=None,
        channel=Channel.EMAIL,
        address=f"dana{number}@inbox.example",
        route="sink",
        priority=Priority.BULK,
        stage=Stage.CLAIMED,
        stage_reason=None,
        stage_by=None,
        due_at=AT,
        attempt=1,
        outcome=Outcome.NONE,
        reason=Reason.NONE,
        confidence=Confidence.UNKNOWN,
        outcome_at=None,
        cls="",
        diagnostic="",
        remote="",
        message_id=f"<{key.hex}@mail.cascade.example>",
        expires_at=AT + timedelta(days=3),
        created_at=AT,
    )


WORK = [(delivery(wanted, n), wanted) for n in range(RECIPIENTS) for wanted in (notification(n),)]


def _own() -> float:
    def one(item: Delivery, wanted: Notification) -> bytes:
        return COMPOSER.compose(ROUTE, item, wanted, SOURCE).content

    return _rate(MAILS, one)


def _peer() -> float:
    sender = own_mailbox(ROUTE.from_name, ROUTE.from_address)
    whole = templates.render(SOURCE, {"language": "en"} | CONTEXT)

    def one(item: Delivery, _wanted: Notification) -> bytes:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Message-ID"] = sender, item.address, item.message_id
        mail["X-Delivery-Ref"], mail["Auto-Submitted"] = item.id.hex, "auto-generated"
        mail["Date"], mail["Subject"] = format_datetime(AT), whole.subject.strip()
        mail.set_content(whole.text)
        mail.add_alternative(whole.html, subtype="html")
        return mail.as_bytes()

    return _rate(MAILS // 10, one)


def _rate(mails: int, one: Callable[[Delivery, Notification], bytes]) -> float:
    work = cycle(WORK)
    began = time.process_time()
    for _ in range(mails):
        one(*next(work))
    return mails / (time.process_time() - began)


def run() -> list[dict[str, Any]]:
    _own()  # compiled and warm, as in a worker
    found: dict[str, list[float]] = {"rate": [], "peer": []}
    for _ in range(ROUNDS):
        for name, way in (("rate", _own), ("peer", _peer)):
            found[name].append(way())
    rates = {name: round(median(values), 1) for name, values in found.items()}
    rss = peak_mb()
    return [{"name": "render", "rate": rates["rate"], "limit": None, "peer": rates["peer"], "rss_mb": rss}]
