"""What becomes of a text after Twilio took it: its statuses in business time, and a callback for each.

Both are stored with the text until done, so that a killed sandbox goes on where it was; a callback may then
come twice, as Twilio's do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sandbox.phone.account import Account
from sandbox.phone.behaviour import Behaviour
from sandbox.phone.messages import API_VERSION, Messages, Text
from sandbox.phone.timing import Timing
from sandbox.phone.webhook import Webhooks
from sandbox.world import World

RECEIPT_STATUSES: Final = frozenset({"delivered", "undelivered"})
# RawDlrDoneDate names no zone: the carrier's clock is the carrier's own.
CARRIER_ZONE: Final = ZoneInfo("America/Chicago")


class Carrier:
    def __init__(
        self, world: World, account: Account, messages: Messages, webhooks: Webhooks, timing: Timing
    ) -> None:
        self._world = world
        self._account = account
        self._messages = messages
        self._webhooks = webhooks
        self._timing = timing
        self._tasks: set[asyncio.Task[None]] = set()
        self._reporting: set[str] = set()

    def start(self) -> None:
        """Goes on with what was on its way."""
        for text in self._messages.all():
            if text["plan"]:
                self._spawn(self._advance(text))
            self._report(text)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def take(self, text: Text, behaviour: Behaviour, not_before: datetime | None = None) -> None:
        """Plans the text's way; `not_before` for a scheduled one."""
        due = max(not_before or self._world.clock.now(), self._world.clock.now())
        due += timedelta(seconds=self._timing.first_status_s)
        for status, error_code in behaviour.course():
            text["plan"].append({"status": status, "error_code": error_code, "due_at": due.isoformat()})
            due += timedelta(seconds=self._timing.next_status_s)
        text["shuffle"] = behaviour.shuffle
        text["duplicate"] = behaviour.duplicate
        if behaviour.lose_callbacks:
            text["callback"] = None
        self._messages.keep(text)
        if text["plan"]:
            self._spawn(self._advance(text))

    def cancel(self, text: Text) -> None:
        """A scheduled text that will not be sent."""
        text["plan"] = []
        self._change(text, "canceled", None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._world.spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _advance(self, text: Text) -> None:
        while text["plan"]:
            await self._world.clock.sleep_until(datetime.fromisoformat(text["plan"][0]["due_at"]))
            if not text["plan"] or self._messages.get(text["sid"]) is not text:
                return  # canceled or deleted meanwhile
            step = text["plan"].pop(0)
            self._change(text, step["status"], step["error_code"])

    def _change(self, text: Text, status: str, error_code: int | None) -> None:
        if text["callback"] is not None:
            at = self._world.clock.now().isoformat()
            text["pending"].append({"status": status, "error_code": error_code, "at": at})
            if text.get("shuffle") and not text["plan"]:
                text["pending"].reverse()
        self._messages.move(text, status, error_code)
        self._report(text)

    def _report(self, text: Text) -> None:
        held = text.get("shuffle") and text["plan"]
        if text["pending"] and not held and text["sid"] not in self._reporting:
            self._reporting.add(text["sid"])
            self._spawn(self._call_back(text))

    async def _call_back(self, text: Text) -> None:
        """One callback after the other, so that disorder comes only from those who ask for it."""
        try:
            while text["pending"]:
                event = text["pending"][0]
                params = self._params(text, event)
                for _ in range(2 if text.get("duplicate") else 1):
                    await self._webhooks.post(
                        "status callback", text["callback"], params, sid=text["sid"], state=event["status"]
                    )
                text["pending"].pop(0)
                if self._messages.get(text["sid"]) is text:
                    self._messages.keep(text)
        finally:
            self._reporting.discard(text["sid"])

    def _params(self, text: Text, event: dict[str, Any]) -> dict[str, str]:
        params = {
            "AccountSid": self._account.sid,
            "ApiVersion": API_VERSION,
            "From": text["from"],
            "MessageSid": text["sid"],
            "MessageStatus": event["status"],
            "SmsSid": text["sid"],
            "SmsStatus": event["status"],
            "To": text["to"],
        }
        if text["service"] is not None:
            params["MessagingServiceSid"] = text["service"]
        if event["error_code"] is not None:
            params["ErrorCode"] = str(event["error_code"])
        if event["status"] in RECEIPT_STATUSES:
            done = datetime.fromisoformat(event["at"]).astimezone(CARRIER_ZONE)
            params["RawDlrDoneDate"] = done.strftime("%y%m%d%H%M")
        return params
