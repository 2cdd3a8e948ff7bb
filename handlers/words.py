"""What is known of a delivery, in words an agent can repeat to a customer. Pure.

Words follow the confidence: a relay's 250 is "handed to the relay", never "delivered"; a server's 250 is
"accepted by gmail.com's server", never "in the inbox". Raw codes stay one press away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from handlers.format import clock_time, moment
from handlers.masks import mask_address, shown_domain
from handlers.text_words import (
    TEXT_CAUSES,
    TEXT_NEXT_STEP,
    text_event_words,
    text_next_step,
    text_status,
)
from store.models import (
    Aside,
    Channel,
    Confidence,
    Delivery,
    Event,
    EventKind,
    EventSource,
    Notification,
    NotificationKind,
    Outcome,
    Reason,
    Stage,
)

WHAT_A_TEST_SHOWS = (
    "It shows whether mail by this server gets through. That is evidence, not proof of whose fault it was: "
    "content, our do-not-send list and DMARC may explain the difference too."
)

BOUNCE_WORDS: dict[str, str] = {
    "no_such_user": "the mailbox does not exist",
    "mailbox_full": "the mailbox is full",
    "mailbox_disabled": "the mailbox is switched off",
    "domain_missing": "the domain takes no mail",
    "filtered": "the recipient's filter refused it",
    "blocked_auth": "their server refused it because our sender checks (SPF, DKIM, DMARC) failed",
    "blocked_reputation": "their server does not trust our mail server",
    "spam_content": "it was taken for spam",
    "too_big": "the mail is too big for them",
    "rate_limited": "their server asks us to wait",
    "relay_or_security": "their server does not accept mail for this address from us",
    "temporary": "their server had a passing fault",
    "other": "it was refused",
    "complaint": "the recipient marked our mail as spam",
} | TEXT_CAUSES

NEXT_STEP: dict[str, str] = {
    "no_such_user": "Check the address with the customer, letter by letter.",
    "mailbox_full": "Ask the customer to empty the mailbox, or for another address.",
    "mailbox_disabled": "Ask the customer for another address.",
    "domain_missing": "Check what stands behind the @ with the customer.",
    "filtered": "Ask the customer to allow our address, or for another one.",
    "blocked_auth": "Our side: check the SPF record. It says nothing against the address.",
    "blocked_reputation": "Our side: tell whoever runs our mail. It says nothing against the address.",
    "spam_content": "Our side: tell whoever writes our mails. It says nothing against the address.",
    "too_big": "Send it without the attachment.",
    "rate_limited": "Send it again later: their server was too busy for us the whole time.",
    "relay_or_security": "Our side: whoever runs our mail should look at the raw answer under Timeline.",
    "temporary": "Send it again later: their server had a fault the whole time.",
    "other": "Look at the raw answer under Timeline.",
    "complaint": "Ask the customer whether they want our mail, before a lead releases the address.",
} | TEXT_NEXT_STEP

REASON_WORDS: dict[Reason, str] = {
    Reason.NETWORK: "our mail server could not be reached",
    Reason.INFRASTRUCTURE: "something on our side failed",
    Reason.CONFIG: "our mail settings are wrong",
    Reason.CAPACITY: "there was no room for it in time",
}

KIND_WORDS: dict[NotificationKind, str] = {
    NotificationKind.INVOICE_ISSUED: "Invoice",
    NotificationKind.RESEND: "Copy of invoice",
    NotificationKind.REMINDER: "Reminder of invoice",
    NotificationKind.OVERDUE: "Overdue notice of invoice",
    NotificationKind.SUSPENDED: "Suspension",
    NotificationKind.UNSUSPENDED: "End of suspension",
    NotificationKind.REPLY: "Answer",
    NotificationKind.AUTO_REPLY: "Automatic answer",
    NotificationKind.ONCALL: "Text to who is on call",
    NotificationKind.TEST: "Test mail",
    NotificationKind.ADDRESS_QUESTION: "Question about an address",
    NotificationKind.TRIAL: "Test by two routes",
    NotificationKind.PACK: "Evidence pack",
}
"""What a message is, by its kind."""


def kind_words(notification: Notification) -> str:
    """Of evidence that leaves, whether it is the pack or the letter to a postmaster."""
    if notification.context.get("letter"):
        return "Letter to the postmaster"
    return KIND_WORDS[notification.kind]


def server_of(address: str) -> str:
    """Whose receipt counts: a mailbox's server; of a number, its carrier."""
    if "@" not in address:
        return "the carrier"
    return f"{shown_domain(address.rpartition('@')[2])}'s server"


def _named(remote: str) -> str:
    return f" {remote}" if remote else ""


def bounce_words(cls: str) -> str:
    return BOUNCE_WORDS.get(cls, BOUNCE_WORDS["other"])


def cause(outcome: Outcome, cls: str, reason: Reason) -> str:
    """Why deliveries that ended alike did not arrive, where many are counted together."""
    if outcome is Outcome.SUPPRESSED and reason is Reason.OPTED_OUT:
        return TEXT_CAUSES["opted_out"]
    if outcome is Outcome.SUPPRESSED:
        return "the address is on our do-not-send list"
    if outcome is Outcome.EXPIRED:
        return "it could not be sent in time"
    unknown = BOUNCE_WORDS["other"] if outcome is Outcome.BOUNCED else "it could not be handed over"
    return BOUNCE_WORDS.get(cls) or REASON_WORDS.get(reason, unknown)


def mark(delivery: Delivery) -> str:
    """One emoji that says how it stands, always beside words."""
    if delivery.outcome is Outcome.DELIVERED and delivery.confidence is not Confidence.PRESUMED:
        return ":white_check_mark:"
    if delivery.outcome in (Outcome.SENT, Outcome.DELIVERED):
        return ":outbox_tray:"
    if delivery.outcome in (Outcome.BOUNCED, Outcome.FAILED):
        return ":x:"
    if delivery.outcome in (Outcome.SUPPRESSED, Outcome.CANCELLED, Outcome.EXPIRED):
        return ":no_entry_sign:"
    return ":double_vertical_bar:" if delivery.stage is Stage.HELD else ":hourglass_flowing_sand:"


def status(delivery: Delivery, events: Sequence[Event], zone: ZoneInfo) -> str:
    """Where it stands, in one sentence."""
    if delivery.channel is Channel.SMS:
        return text_status(delivery, events, zone)
    if delivery.outcome is Outcome.NONE:
        return _under_way(delivery, events, zone)
    if delivery.outcome in NOT_SENT and any(e.kind is EventKind.IN_DOUBT for e in events):
        return f"It may have gone out, and is not tried again: {_why_not(delivery)}"
    if any(e.kind is EventKind.DELIVERED and e.source is EventSource.OPERATOR for e in events):
        return "A colleague says that it arrived; no server told us so"
    domain_server = server_of(delivery.address)
    match delivery.outcome:
        case Outcome.DELIVERED if delivery.confidence is Confidence.PRESUMED:
            return "Handed to the relay, no bounce in 72 hours: it has probably arrived"
        case Outcome.DELIVERED:
            return f"Accepted by {domain_server}"
        case Outcome.SENT:
            return f"Handed to the relay{_named(delivery.remote)}, no bounce reported so far"
        case Outcome.BOUNCED:
            return f"Not delivered: {bounce_words(delivery.cls)}"
        case _:
            return f"Not sent: {_why_not(delivery)}"


NOT_SENT = (Outcome.FAILED, Outcome.SUPPRESSED, Outcome.CANCELLED, Outcome.EXPIRED)


def _why_not(delivery: Delivery) -> str:
    if delivery.outcome is Outcome.SUPPRESSED:
        return "this address is on our do-not-send list"
    if delivery.outcome is Outcome.FAILED:
        unknown = "it could not be handed over"
        return BOUNCE_WORDS.get(delivery.cls) or REASON_WORDS.get(delivery.reason, unknown)
    return delivery.diagnostic or str(delivery.outcome)


def _under_way(delivery: Delivery, events: Sequence[Event], zone: ZoneInfo) -> str:
    if delivery.stage is Stage.HELD:
        return f"Held: {delivery.stage_reason}" if delivery.stage_reason else "Held"
    if delivery.stage is Stage.CLAIMED:
        return "Being sent now"
    waits = [e for e in events if e.kind in (EventKind.DEFERRED, EventKind.IN_DOUBT)]
    if delivery.stage_reason:
        return delivery.stage_reason
    if not waits:
        return "Queued"
    last = waits[-1]
    when = clock_time(delivery.due_at, zone)
    if last.kind is EventKind.IN_DOUBT:
        return f"We were cut off while it was being sent. Trying again at {when}"
    why = BOUNCE_WORDS.get(last.cls) or REASON_WORDS.get(last.reason, "our mail server could not be reached")
    return f"Not sent yet: {why}. Trying again at {when}"


def next_step(delivery: Delivery) -> str:
    """What to do about it; empty when nothing is to be done."""
    if delivery.channel is Channel.SMS:
        return text_next_step(delivery)
    if delivery.outcome is Outcome.BOUNCED:
        return NEXT_STEP.get(delivery.cls, "Look at the raw answer under Timeline.")
    if delivery.outcome is Outcome.SUPPRESSED:
        return "It is on our do-not-send list. Ask for another address, or let a lead release it."
    return ""


EVENT_WORDS: dict[EventKind, str] = {
    EventKind.PRESUMED: "No bounce came in 72 hours: taken as arrived",
    EventKind.IN_DOUBT: "The connection broke in the middle: it may or may not have gone out",
    EventKind.DELAYED: "The relay is still trying",
    EventKind.COMPLAINT: "The recipient marked it as spam",
    EventKind.ANSWERED: "The mailbox answered automatically (out of office or the like)",
    EventKind.REQUEUED: "Put back in the queue",
    EventKind.SETTLED: "No receipt came, and none is waited for any more",
    EventKind.SUPPRESSED: "Not sent: the address is on our do-not-send list",
}


def event_words(event: Event, address: str) -> str:
    """One line of a timeline, without codes; `address` is a mailbox or a telephone number."""
    if "@" not in address:
        return text_event_words(event)
    if event.kind is EventKind.IN_DOUBT and event.source is EventSource.SWEEP:
        return "We were cut off while it was in our hands: it may or may not have gone out"
    if event.kind in EVENT_WORDS:
        return EVENT_WORDS[event.kind]
    if event.kind is EventKind.ACCEPTED:
        if event.confidence is Confidence.HANDED_TO_RELAY:
            return f"Handed to the relay{_named(event.remote)}"
        return f"Accepted by {server_of(address)}"
    if event.kind is EventKind.DELIVERED:
        return f"Accepted by {server_of(address)} (the relay reports)"
    if event.kind is EventKind.DEFERRED:
        why = BOUNCE_WORDS.get(event.cls) or REASON_WORDS.get(event.reason, "no answer")
        return f"Put off: {why}"
    if event.kind is EventKind.BOUNCED:
        return f"Bounced: {bounce_words(event.cls)}"
    if event.kind is EventKind.FAILED:
        why = BOUNCE_WORDS.get(event.cls) or REASON_WORDS.get(event.reason, "it could not be handed over")
        return f"Given up: {why}"
    return f"{event.kind.capitalize()}: {event.diagnostic}" if event.diagnostic else event.kind.capitalize()


def matched_by_hand(event: Event) -> bool:
    return event.source is EventSource.OPERATOR and event.key.startswith("dsn:")


def raw_answer(event: Event) -> str:
    """The server's own words, with its codes; empty where no server spoke."""
    spoke = event.reply_code or event.status or event.diagnostic.startswith(("201 ", "250 "))
    return event.diagnostic if spoke or "250" in event.diagnostic else ""


def masked_target(delivery: Delivery) -> str:
    return mask_address(delivery.address)


def is_second_way(delivery: Delivery, asked_at: datetime) -> bool:
    """A text that stands in for mails that failed (notifier.fallback): it came after what was asked for."""
    return delivery.channel is Channel.SMS and delivery.created_at > asked_at


ASIDE_WORDS: dict[Aside | None, str] = {
    Aside.TEST: "",  # the title says so
    Aside.ELSEWHERE: " (not on file)",
    Aside.MENDED: " (mended since)",
    Aside.KEPT: " (mended since)",
}
"""Behind an address that counts less as proof (store.proof)."""


def target_of(delivery: Delivery, asked_at: datetime) -> str:
    """Whom it goes to, masked; `asked_at` is when its notice was asked for."""
    instead = ", by text instead" if is_second_way(delivery, asked_at) else ""
    return f"{masked_target(delivery)}{instead}"


def at(value: datetime, zone: ZoneInfo) -> str:
    return moment(value, zone)
