"""Every cause that a diagnosis can name, how sure one can be, and what can be done next. Pure.

Words follow the proof. CERTAIN is for what a server said or our own records show; LIKELY for what they
suggest; UNKNOWN where nothing was said. What is said of each cause is in handlers.diagnosis.tellings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Certainty(StrEnum):
    CERTAIN = "certain"
    LIKELY = "likely"
    UNKNOWN = "unknown"


class Act(StrEnum):
    """What can be done next; handlers.commands.diagnose.view knows the button of each."""

    MEND = "mend"
    ASK = "ask"
    """By text, whether a suggested address is right."""
    RESEND = "resend"
    TEXT = "text"
    OTHER_ADDRESS = "other_address"
    SPF = "spf"
    RELEASE = "release"
    OTHER_SERVER = "other_server"
    TRIAL = "trial"
    """The same test mail by both servers, to a mailbox of our own."""
    ESCALATE = "escalate"
    """With the evidence, to whoever helps us."""
    LOG = "log"
    PAYER = "payer"


class Cause(StrEnum):
    NO_INVOICE = "no_invoice"
    DRAFT = "draft"
    VOID = "void"
    WRITTEN_OFF = "written_off"
    PAID = "paid"
    NO_ADDRESS = "no_address"
    UNUSABLE_ADDRESS = "unusable_address"
    NOTICES_OFF = "notices_off"
    ARCHIVED = "archived"
    LEFT_OUT = "left_out"
    NOT_TRIED = "not_tried"
    COMPLAINED = "complained"
    UNSEEN = "unseen"
    MENDED = "mended"
    OLD_ADDRESS = "old_address"
    SLIP_ON_FILE = "slip_on_file"
    SOME_FAILED = "some_failed"
    ONE_MENDED = "one_mended"
    SENDING_OFF = "sending_off"
    HELD = "held"
    QUEUED = "queued"
    SENDING = "sending"
    PUT_OFF_FOR_US = "put_off_for_us"
    DEFERRED = "deferred"
    STILL_TRYING = "still_trying"
    ROUTE_DOWN = "route_down"
    IN_DOUBT = "in_doubt"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    MISSPELLED = "misspelled"
    LOOKALIKE = "lookalike"
    DEAD_DOMAIN = "dead_domain"
    NO_MAIL_DOMAIN = "no_mail_domain"
    NO_MAILBOX = "no_mailbox"
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_DISABLED = "mailbox_disabled"
    FILTERED = "filtered"
    SUPPRESSED = "suppressed"
    OPTED_OUT = "opted_out"
    BAD_NUMBER = "bad_number"
    TEXT_FAILED = "text_failed"
    REVERSE_DNS = "reverse_dns"
    DMARC_WRONG = "dmarc_wrong"
    DMARC_MENDED = "dmarc_mended"
    SPF_WRONG = "spf_wrong"
    SPF_MENDED = "spf_mended"
    SENDER_CHECKS = "sender_checks"
    REPUTATION = "reputation"
    CONTENT = "content"
    TOO_BIG = "too_big"
    OUR_RELAY_REFUSED = "our_relay_refused"
    RELAY_REFUSED = "relay_refused"
    TOO_BUSY = "too_busy"
    OUR_FAULT = "our_fault"
    REFUSED = "refused"
    COMPLAINT = "complaint"
    SENT_TO_PAYER = "sent_to_payer"
    ACCEPTED = "accepted"
    COPY_REFUSED = "copy_refused"
    HANDED_OVER = "handed_over"
    PROBABLY_ARRIVED = "probably_arrived"
    TEXTED = "texted"
    TEXT_ARRIVED = "text_arrived"


@dataclass(frozen=True, slots=True)
class Telling:
    """`brief` goes behind "October"; `customer` is what an agent may read out, word for word."""

    headline: str
    brief: str
    certainty: Certainty
    proof: str
    customer: str
    acts: tuple[Act, ...]
