"""What providers tell by webhook, verified at the rim and read from the inbox: to tracking.

A word on a delivery that is not there, or on a text that is not the one we know, is kept among the orphans.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from billing.port import Followed
from handlers.contract import Services
from notifier.keys import Keyring
from notifier.texts import Learnt, News, Told, learn_many
from store.models import EventSource
from store.unit import Store, Tx

log = structlog.get_logger()
Payload = Mapping[str, Any]


async def text_status(store: Store, keyring: Keyring, payload: Payload) -> str:
    """A status callback of a text; gives what became of it."""
    async with store.system() as tx:
        return (await text_statuses(tx, keyring, [payload]))[0]


async def text_statuses(tx: Tx, keyring: Keyring, payloads: Sequence[Payload]) -> list[str]:
    """Several, as if they came one after the other, in a `system()` transaction."""
    results: list[str] = [Learnt.NO_DELIVERY] * len(payloads)
    waiting = [(n, news) for n, payload in enumerate(payloads) if (news := _news(keyring, payload))]
    while waiting:
        # Two about one text: the second is judged by what the first has changed.
        seen: dict[tuple[int, Any], int] = {}
        for n, news in waiting:
            seen.setdefault(news.ref, n)
        now = [(n, news) for n, news in waiting if seen[news.ref] == n]
        waiting = [(n, news) for n, news in waiting if seen[news.ref] != n]
        learnt = await learn_many(tx, [news for _, news in now], EventSource.WEBHOOK)
        for (n, news), result in zip(now, learnt, strict=True):
            results[n] = result
            if result in (Learnt.NO_DELIVERY, Learnt.OTHER_TEXT):
                log.warning("text_status_unmatched", why=result, status=news.told.status[:40])
                await _keep(tx, news, payloads[n]["params"], result)
    return results


async def billing_event(services: Services, tenant: int, payload: Payload) -> str:
    """What became of it, in a word. Raises while billing cannot be asked back: it is tried again then."""
    system: object = services.billing.get(tenant)
    if not isinstance(system, Followed):
        return "ignored"  # another system of record since
    return await system.heard(str(payload["event"]))


def _news(keyring: Keyring, payload: Payload) -> News | None:
    """None: its key was retired while it lay in the inbox."""
    token, params = keyring.read_delivery_token(str(payload["token"])), payload["params"]
    if token is None:
        return None
    code = str(params.get("ErrorCode", ""))
    done = str(params.get("RawDlrDoneDate", ""))
    told = Told(
        sid=str(params["MessageSid"]),
        status=str(params["MessageStatus"]),
        error_code=int(code) if code.isdecimal() and len(code) < 9 else None,
        remark=f"carrier's clock {done}" if done.isdecimal() else "",
    )
    return News(token.tenant, token.delivery_id, token.attempt, told)


async def _keep(tx: Tx, news: News, params: Mapping[str, Any], why: Learnt) -> None:
    await tx.of(news.tenant).orphans.keep(
        source=EventSource.WEBHOOK,
        recipient="",
        envelope_to=str(news.delivery_id),
        summary=f"{why}: {params['MessageStatus']}"[:500],
        raw=json.dumps(dict(params), sort_keys=True).encode(),
    )
