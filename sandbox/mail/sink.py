"""Where accepted mail ends: octets in one append-only file, an entry for each recipient, indexes in memory.

An entry whose mail was accepted but never reached a mailbox (it bounced, or waits) is not `delivered`; it
counts in the ledger all the same, since the ledger tells what the product was told.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sandbox.mail.reading import read_mail, text_of
from sandbox.world import ControlError, Documents

KIND: Final = "mail"
COUNTER_KIND: Final = "counter"
BRIEF: Final = ("id", "envelope_from", "envelope_to", "received_at", "route", "subject", "attachments")


class Spool:
    """Content by offset; the file only grows, so that an offset stays true after any restart."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._end = os.fstat(self._file).st_size

    def append(self, content: bytes) -> tuple[int, int]:
        offset = self._end
        written = 0
        while written < len(content):
            written += os.write(self._file, content[written:])
        self._end += len(content)
        return offset, len(content)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._file, length, offset)

    def close(self) -> None:
        os.close(self._file)


class Sink:
    """All mail the world has accepted. Ids are "M1", "M2", ... in order of arrival."""

    def __init__(self, documents: Documents, spool: Spool) -> None:
        self._documents = documents
        self._spool = spool
        self._delivered: list[str] = []
        self._by_recipient: dict[str, list[str]] = {}
        self._messages: Counter[str] = Counter()
        self._briefs: dict[str, dict[str, Any]] = {}
        self._last = 0
        for entry in documents.all(KIND):
            self._last = max(self._last, int(entry["id"][1:]))
            self._count(entry)
        # Deferred mail is delivered later than it was accepted, so that arrival is not insertion.
        arrived = (entry for entry in documents.all(KIND) if entry["delivered"])
        for entry in sorted(arrived, key=lambda entry: (entry["received_at"], int(entry["id"][1:]))):
            self._show(entry)
        self._refused = int((documents.get(COUNTER_KIND, "mail_refused") or {"value": 0})["value"])

    def enter(
        self,
        *,
        route: str,
        message_id: str,
        sender: str,
        recipient: str,
        now: datetime,
        place: tuple[int, int],
        counted: bool,
        trace: str | None,
    ) -> str:
        """An accepted mail's entry; `counted` for one entry of each transaction.

        `trace` holds the header lines that the receiving server added, None when it has not got the mail yet.
        """
        self._last += 1
        mail_id = f"M{self._last}"
        entry = {
            "id": mail_id,
            "route": route,
            "message_id": message_id,
            "envelope_from": sender,
            "envelope_to": recipient,
            "received_at": now.isoformat(),
            "place": list(place),
            "trace": trace or "",
            "delivered": trace is not None,
            "counted": counted,
        }
        self._documents.put(KIND, mail_id, entry)
        self._count(entry)
        if trace is not None:
            self._show(entry)
        return mail_id

    def deliver(self, mail_id: str, *, trace: str, now: datetime) -> None:
        """A mail that waited is in its mailbox now."""
        entry = self._documents.get(KIND, mail_id)
        if entry is None or entry["delivered"]:
            return  # a repetition after a crash: it is there already
        entry.update(trace=trace, received_at=now.isoformat(), delivered=True)
        self._documents.put(KIND, mail_id, entry)
        self._show(entry)

    def content(self, mail_id: str) -> bytes:
        """The message as it lies in the mailbox, trace headers first; ControlError 404 for an unknown id."""
        entry = self._documents.get(KIND, mail_id)
        if entry is None or not entry["delivered"]:
            raise ControlError(f"There is no mail {mail_id}.", status=404)
        return str(entry["trace"]).encode("utf-8") + self._spool.read(*entry["place"])

    def ids(self, to: str | None, since: str | None, limit: int | None) -> list[str]:
        """Delivered mail, oldest first; `since` is the last id seen or an instant, `limit` keeps newest."""
        found = self._delivered if to is None else self._by_recipient.get(to.lower(), [])
        if since is not None:
            if since in found:
                found = found[found.index(since) + 1 :]
            else:
                instant = _instant(since)
                found = [mail_id for mail_id in found if self._received_at(mail_id) > instant]
        return found[max(len(found) - limit, 0) :] if limit is not None else list(found)

    def containing(self, part: str, limit: int) -> list[str]:
        """The newest `limit` whose recipient's address holds `part`, oldest first."""
        wanted = part.strip().lower()
        fits = (
            mail_id
            for mail_id in reversed(self._delivered)
            if wanted in str((self._documents.get(KIND, mail_id) or {})["envelope_to"]).lower()
        )
        return list(reversed(list(islice(fits, limit))))

    def brief(self, mail_id: str) -> dict[str, Any]:
        """A line of an inbox; remembered, since a mail that lies in its mailbox does not change."""
        known = self._briefs.get(mail_id)
        if known is None:
            shown = self.view(mail_id)
            known = {key: shown[key] for key in BRIEF}
            self._briefs[mail_id] = known
        return known

    def view(self, mail_id: str) -> dict[str, Any]:
        """One element of GET /sandbox/mail."""
        entry = self._documents.get(KIND, mail_id) or {}
        content = self.content(mail_id)
        wanted = ("id", "envelope_from", "envelope_to", "received_at", "route")
        return {**{key: entry[key] for key in wanted}, **read_mail(content), "raw": text_of(content)}

    def refused(self) -> None:
        self._refused += 1
        self._documents.put(COUNTER_KIND, "mail_refused", {"value": self._refused})

    def ledger(self) -> dict[str, Any]:
        """Transactions answered with 250, by the Message-ID that the product gave."""
        return {
            "by_message_id": dict(self._messages),
            "accepted": self._messages.total(),
            "unique": len(self._messages),
            "refused": self._refused,
        }

    def _count(self, entry: dict[str, Any]) -> None:
        if entry["counted"]:
            self._messages[entry["message_id"]] += 1

    def _show(self, entry: dict[str, Any]) -> None:
        self._delivered.append(entry["id"])
        self._by_recipient.setdefault(entry["envelope_to"].lower(), []).append(entry["id"])

    def _received_at(self, mail_id: str) -> datetime:
        entry = self._documents.get(KIND, mail_id) or {}
        return datetime.fromisoformat(entry["received_at"])


def _instant(text: str) -> datetime:
    try:
        # A plus sign in a query string that was not encoded arrives as a space.
        instant = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise ControlError("since must be the id of a mail in this list or an ISO 8601 instant.") from None
    if instant.tzinfo is None:
        raise ControlError("since must name its time zone.")
    return instant
