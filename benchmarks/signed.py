"""Invoice mails with a PDF and a DKIM signature, from the frozen context to the sink's 250, in one process.

Ours signs in threads (RSA, 2,048 bits) and keeps the base64 of a PDF; `limit` is signing alone
(one small mail after another); `peer` is the standard library's EmailMessage signed by dkimpy, not sent.
`RSA_SIGNER` and `CACHED_PDF` serve other benchmarks that want both.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from email.message import EmailMessage
from random import Random
from statistics import median
from typing import Any
from uuid import UUID

import dkim
import uvloop

from benchmarks.memory import peak_mb
from benchmarks.render import COMPOSER, CONTEXT, SOURCE, WORK
from benchmarks.sink import sink
from benchmarks.smtp import CONNECTIONS, route_to
from notifier import templates
from notifier.channels import Accepted, Route
from notifier.channels.email_smtp import CHANNEL
from notifier.mailauth.dkim_sign import load_signer, new_key
from notifier.mime import Attachment

MAILS, ROUNDS = 1_500, 3
_KEY = new_key()
RSA_SIGNER = load_signer("cascade.example", "bench", _KEY)
PDF = Attachment("Invoice-1042.pdf", "application/pdf", b"%PDF-1.3\n" + Random(1).randbytes(30_000))


class CachedPdf:
    """Fills notifier.attachments: a drawing that was made long ago, as big as an invoice's."""

    async def invoice(self, tenant: int, invoice_id: UUID) -> Attachment:
        return PDF


CACHED_PDF = CachedPdf()


async def _own(route: Route) -> float:
    sessions = [CHANNEL.session(route) for _ in range(CONNECTIONS)]

    async def send(number: int) -> None:
        for turn in range(MAILS // CONNECTIONS):
            item, wanted = WORK[(number + turn * CONNECTIONS) % len(WORK)]
            message = COMPOSER.compose(route, item, wanted, SOURCE, (PDF,))
            outcome = await sessions[number].submit(message)
            if not isinstance(outcome, Accepted):
                raise RuntimeError(f"not accepted: {outcome}")  # noqa: TRY004

    began = time.perf_counter()
    await asyncio.gather(*(send(number) for number in range(CONNECTIONS)))
    took = time.perf_counter() - began
    for session in sessions:
        await session.close()
    return MAILS / took


def _limit() -> float:
    content = COMPOSER.compose(route_to("", 25), *WORK[0], SOURCE).content
    began = time.perf_counter()
    for _ in range(MAILS // 3):
        RSA_SIGNER.sign(content, 1)
    return MAILS // 3 / (time.perf_counter() - began)


def _peer() -> float:
    whole = templates.render(SOURCE, {"language": "en"} | CONTEXT)
    began = time.perf_counter()
    for item, _ in WORK[: MAILS // 30]:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Message-ID"] = (
            "billing@cascade.example",
            item.address,
            item.message_id,
        )
        mail["Subject"] = whole.subject.strip()
        mail.set_content(whole.text)
        mail.add_alternative(whole.html, subtype="html")
        mail.add_attachment(PDF.content, maintype="application", subtype="pdf", filename=PDF.filename)
        both = (b"relaxed", b"relaxed")
        dkim.sign(mail.as_bytes(), b"bench", b"cascade.example", _KEY.encode(), canonicalize=both)
    return MAILS // 30 / (time.perf_counter() - began)


async def _measure() -> list[dict[str, Any]]:
    rates: dict[str, list[float]] = {"rate": [], "limit": [], "peer": []}
    async with sink() as (host, port, taken):
        route = replace(route_to(host, port), dkim=RSA_SIGNER)
        for _ in range(ROUNDS):
            rates["rate"].append(await _own(route))
            rates["limit"].append(_limit())
            rates["peer"].append(_peer())
        if taken() != MAILS * ROUNDS:
            raise RuntimeError(f"{taken()} mails arrived")
    found = {name: round(median(values), 1) for name, values in rates.items()}
    rss = peak_mb()
    return [{"name": "signed", **found, "rss_mb": rss}]


def run() -> list[dict[str, Any]]:
    return uvloop.run(_measure())
