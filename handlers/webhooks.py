"""What providers tell by webhook, verified at the rim and read from the inbox: to tracking.

A word on a delivery that is not there, or on a text that is not the one we know, is kept among the orphans.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import structlog

from notifier.keys import DeliveryToken, Keyring
from notifier.texts import Learnt, Told, learn
from store.models import EventSource
from store.unit import Store

log = structlog.get_logger()


async def text_status(store: Store, keyring: Keyring, payload: Mapping[str, Any]) -> str:
    """A status callback of a text; gives what became of it."""
    token, params = keyring.read_delivery_token(str(payload["token"])), payload["params"]
    if token is None:  # its key was retired while it lay in the inbox
        return Learnt.NO_DELIVERY
    code = str(params.get("ErrorCode", ""))
    done = str(params.get("RawDlrDoneDate", ""))
    told = Told(
        sid=str(params["MessageSid"]),
        status=str(params["MessageStatus"]),
        error_code=int(code) if code.isdecimal() and len(code) < 9 else None,
        remark=f"carrier's clock {done}" if done.isdecimal() else "",
    )
    async with store.system() as tx:
        learnt = await learn(
            tx,
            tenant=token.tenant,
            delivery_id=token.delivery_id,
            attempt=token.attempt,
            told=told,
            source=EventSource.WEBHOOK,
        )
    if learnt in (Learnt.NO_DELIVERY, Learnt.OTHER_TEXT):
        log.warning("text_status_unmatched", why=learnt, status=told.status[:40])
        await _keep(store, token, params, learnt)
    return learnt


async def _keep(store: Store, token: DeliveryToken, params: Mapping[str, Any], why: Learnt) -> None:
    async with store.begin(token.tenant) as tx:
        await tx.orphans.keep(
            source=EventSource.WEBHOOK,
            recipient="",
            envelope_to=str(token.delivery_id),
            summary=f"{why}: {params['MessageStatus']}"[:500],
            raw=json.dumps(dict(params), sort_keys=True).encode(),
        )
