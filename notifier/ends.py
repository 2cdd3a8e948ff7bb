"""What the end of an attempt is recorded as: a channel's outcome to kind and fields of an event."""

from __future__ import annotations

from typing import Any

from notifier.bounces import BounceClass, BounceVerdict, Fault
from notifier.channels import Accepted, Deferred, InDoubt, Refused, SubmitOutcome
from notifier.dsn import reason_of
from notifier.sms_codes import SmsClass, TextVerdict
from store.models import Confidence, EventKind, Reason

NOT_WRITTEN = "The message could not be written"


def not_composed(error: Exception) -> Refused:
    verdict = BounceVerdict(BounceClass.OTHER, hard=False, fault=Fault.OURS, permanent=True)
    return Refused("", "", "", f"{NOT_WRITTEN}: {error}", verdict, about_sender=True)


def describe(outcome: SubmitOutcome, accepted_as: Confidence) -> tuple[EventKind, dict[str, Any], str]:
    """The event that an attempt's end makes, and the server's queue id."""
    if isinstance(outcome, Accepted):
        accepted = {"confidence": accepted_as, "remote": outcome.remote, "diagnostic": outcome.text}
        return EventKind.ACCEPTED, accepted, outcome.queue_id
    if isinstance(outcome, InDoubt):
        return EventKind.IN_DOUBT, {"remote": outcome.remote, "diagnostic": outcome.text}, ""
    verdict = outcome.verdict
    fields: dict[str, Any] = {
        "remote": outcome.remote,
        "diagnostic": outcome.text,
        "reply_code": outcome.reply_code,
        "status": outcome.status,
        "cls": verdict.cls if verdict else "",
        "reason": _reason(verdict) if verdict else Reason.NETWORK,
    }
    if isinstance(verdict, TextVerdict):
        return verdict.kind, fields | {"hard": verdict.hard}, ""
    if isinstance(outcome, Deferred):
        if outcome.route_down:  # nothing was said about this message or its recipient
            login = outcome.reply_code.startswith("53")
            fields |= {"cls": "", "reason": Reason.CONFIG if login else Reason.NETWORK}
        return EventKind.DEFERRED, fields, ""
    if outcome.about_sender:
        reason = Reason.CONFIG if outcome.reply_code else Reason.INFRASTRUCTURE
        return EventKind.FAILED, fields | {"cls": "", "reason": reason}, ""
    fields["hard"] = verdict.hard if verdict else False
    # No reply code: it never reached a server. That is a failure of ours, not a bounce.
    return (EventKind.BOUNCED if outcome.reply_code or outcome.status else EventKind.FAILED), fields, ""


def _reason(verdict: BounceVerdict | TextVerdict) -> Reason:
    return verdict.reason if isinstance(verdict, TextVerdict) else reason_of(verdict.cls, verdict.fault)


def tried_again_soon(outcome: SubmitOutcome) -> bool:
    """Nobody on the other side asked us to wait: our own way out was down, or we were too fast for it."""
    if not isinstance(outcome, Deferred):
        return False
    return outcome.route_down or (
        isinstance(outcome.verdict, TextVerdict) and outcome.verdict.cls is SmsClass.BUSY
    )
