"""Writes into UISP's own books: an entry in the client's log, a ticket. Once, however often it is tried.

POST is not repeatable, so each text ends with a mark of its own; after a lost answer the client's entries are
looked through for it before anything is written again.
"""

from __future__ import annotations

from typing import Any

from billing.uisp.client import UispClient
from store.filings import Filing, FilingKind

_PATHS = {FilingKind.LOG: "client-logs", FilingKind.TICKET: "ticketing/tickets"}
BUSY_S = 10.0


async def put(client: UispClient, client_id: str, filing: Filing) -> str:
    """UISP's own id of it, where it gives one; UispError."""
    path, marked = _PATHS[filing.kind], mark(filing)
    if filing.called_at is not None:
        async for _, page in client.pages(path, [("clientId", client_id)], patience_s=BUSY_S):
            for entry in page:
                if marked in _texts(entry):
                    return str(entry.get("id") or "")
    body: dict[str, Any] = {"clientId": int(client_id)}
    if filing.kind is FilingKind.LOG:
        body["message"] = f"{filing.body}\n{marked}"
    else:
        comment = {"body": f"{filing.body}\n\n{marked}", "public": False}
        body |= {"subject": filing.subject, "status": 0, "public": False, "activity": [{"comment": comment}]}
    entry = await client.change("POST", path, body, patience_s=BUSY_S)
    return str(entry.get("id") or "") if isinstance(entry, dict) else ""


def mark(filing: Filing) -> str:
    return f"[ispbot {filing.id.hex[:16]}]"


def _texts(entry: Any) -> str:
    """Of a log entry, or of a ticket with its comments."""
    if not isinstance(entry, dict):
        return ""
    told = [str(entry.get("message") or "")]
    for activity in entry.get("activity") or ():
        comment = activity.get("comment") if isinstance(activity, dict) else None
        told.append(str(comment.get("body") or "") if isinstance(comment, dict) else "")
    return "\n".join(told)
