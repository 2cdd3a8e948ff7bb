"""Every text of this world, out and in: stored documents, an index by phone, and its two faces.

`resource` is Twilio's Message resource; `view` is what the control API shows.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final

from sandbox.phone.errors import failure_words
from sandbox.world import World

KIND: Final = "phone_message"
MEDIA_KIND: Final = "phone_media"
API_VERSION: Final = "2010-04-01"
PRICE: Final = 0.0079
# Before a Messaging Service has chosen the sender.
WITHOUT_SENDER: Final = frozenset({"accepted", "scheduled"})

Text = dict[str, Any]
"""A stored text; `plan` are its statuses to come, `pending` its callbacks to make."""


def new_sid(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(16)}"


class Messages:
    def __init__(self, world: World, account_sid: str) -> None:
        self._world = world
        self._account_sid = account_sid
        self._by_number: dict[str, list[str]] = {}
        for text in world.documents.all(KIND):
            self._by_number.setdefault(phone_of(text), []).append(text["sid"])

    def enter(self, direction: str, sender: str, to: str, body: str, status: str, **more: Any) -> Text:
        """A new text; `direction` in Twilio's words."""
        now = self._world.clock.now().isoformat()
        media = more.get("media", [])
        text: Text = {
            "sid": new_sid("MM" if media else "SM"),
            "direction": direction,
            "from": sender,
            "to": to,
            "body": body,
            "status": status,
            "error_code": None,
            "segments": 1,
            "service": None,
            "media": media,
            "created_at": now,
            "updated_at": now,
            "sent_at": None,
            "automatic": False,
            "callback": None,
            "plan": [],
            "pending": [],
            **more,
        }
        self.keep(text)
        self._by_number.setdefault(phone_of(text), []).append(text["sid"])
        return text

    def keep(self, text: Text) -> None:
        self._world.documents.put(KIND, text["sid"], text)
        self._world.changes.notify("phone")

    def move(self, text: Text, status: str, error_code: int | None = None) -> None:
        """The text has this status now."""
        text["status"], text["error_code"] = status, error_code
        text["updated_at"] = self._world.clock.now().isoformat()
        if text["sent_at"] is None and status not in WITHOUT_SENDER | {"queued", "sending", "canceled"}:
            text["sent_at"] = text["updated_at"]
        self.keep(text)

    def get(self, sid: str) -> Text | None:
        return self._world.documents.get(KIND, sid)

    def all(self) -> list[Text]:
        """Oldest first."""
        return self._world.documents.all(KIND)

    def of_number(self, number: str) -> list[Text]:
        return [text for sid in self._by_number.get(number, []) if (text := self.get(sid)) is not None]

    def last_of(self, number: str) -> Text | None:
        sids = self._by_number.get(number)
        return self.get(sids[-1]) if sids else None

    def numbers(self) -> list[str]:
        """The phones with any text, in order of their first one."""
        return [number for number, sids in self._by_number.items() if sids]

    def delete(self, text: Text) -> None:
        self._world.documents.delete(KIND, text["sid"])
        self._by_number[phone_of(text)].remove(text["sid"])
        self._world.changes.notify("phone")

    def keep_media(self, content_type: str, base64: str) -> str:
        """The sid of an attachment that the API will serve."""
        sid = new_sid("ME")
        self._world.documents.put(MEDIA_KIND, sid, {"content_type": content_type, "base64": base64})
        return sid

    def media(self, sid: str) -> dict[str, Any] | None:
        return self._world.documents.get(MEDIA_KIND, sid)

    def uri(self, text: Text) -> str:
        return f"/{API_VERSION}/Accounts/{self._account_sid}/Messages/{text['sid']}"

    def resource(self, text: Text) -> dict[str, Any]:
        """As Twilio's API answers: counts as strings, RFC 2822 dates, no sender until one is chosen."""
        undecided = text["status"] in WITHOUT_SENDER
        uri = self.uri(text)
        return {
            "account_sid": self._account_sid,
            "api_version": API_VERSION,
            "body": text["body"],
            "date_created": _rfc2822(text["created_at"]),
            "date_sent": _rfc2822(text["sent_at"]),
            "date_updated": _rfc2822(text["updated_at"]),
            "direction": text["direction"],
            "error_code": text["error_code"],
            "error_message": failure_words(text["error_code"]),
            "from": None if undecided else text["from"],
            "messaging_service_sid": text["service"],
            "num_media": str(len(text["media"])),
            "num_segments": "0" if undecided else str(text["segments"]),
            "price": f"-{PRICE * text['segments']:.5f}" if text["sent_at"] else None,
            "price_unit": "USD",
            "sid": text["sid"],
            "status": text["status"],
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": text["to"],
            "uri": f"{uri}.json",
        }


def phone_of(text: Text) -> str:
    """The subscriber's number: the side of the text that is not ours."""
    return str(text["from"] if text["direction"] == "inbound" else text["to"])


def view(text: Text) -> dict[str, Any]:
    """One element of GET /sandbox/phone."""
    return {
        "sid": text["sid"],
        "from": text["from"],
        "to": text["to"],
        "body": text["body"],
        "direction": "inbound" if text["direction"] == "inbound" else "outbound",
        "status": text["status"],
        "at": text["created_at"],
        "error_code": text["error_code"],
        "num_segments": text["segments"],
        "media": [{key: one.get(key) for key in ("content_type", "url")} for one in text["media"]],
        "automatic": text["automatic"],
    }


def _rfc2822(instant: str | None) -> str | None:
    return None if instant is None else format_datetime(datetime.fromisoformat(instant))
