"""Every cause that a diagnosis can name, and what is said and offered for each: one table. Pure.

Words follow the proof. CERTAIN is for what a server said or our own records show; LIKELY for what they
suggest; UNKNOWN where nothing was said. `{...}` are filled by handlers.diagnosis.telling.
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
    RESEND = "resend"
    TEXT = "text"
    OTHER_ADDRESS = "other_address"
    SPF = "spf"
    RELEASE = "release"
    OTHER_SERVER = "other_server"
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
    UNSEEN = "unseen"
    MENDED = "mended"
    SOME_FAILED = "some_failed"
    SENDING_OFF = "sending_off"
    HELD = "held"
    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
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
    SPF_WRONG = "spf_wrong"
    SPF_MENDED = "spf_mended"
    SENDER_CHECKS = "sender_checks"
    REPUTATION = "reputation"
    CONTENT = "content"
    TOO_BIG = "too_big"
    RELAY_REFUSED = "relay_refused"
    TOO_BUSY = "too_busy"
    OUR_FAULT = "our_fault"
    REFUSED = "refused"
    COMPLAINT = "complaint"
    SENT_TO_PAYER = "sent_to_payer"
    ACCEPTED = "accepted"
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


_C, _L, _U = Certainty.CERTAIN, Certainty.LIKELY, Certainty.UNKNOWN
_RECORDS = "our own records"
_SERVER = "{server} said so"
_SENT_TO = "We sent {invoice} on {day}"
_SPELL = "Could you spell your e-mail address for me, letter by letter?"
_OURS = "The fault is on our side, and your address is fine. I can send it to you another way right now."
_ANOTHER = "Is there another address that I can send it to?"

TELLINGS: dict[Cause, Telling] = {
    Cause.NO_INVOICE: Telling(
        "NOTHING TO SEND: no invoice was issued",
        "was never issued",
        _C,
        "billing's facts",
        "There is no invoice for your account yet, so nothing was sent.",
        (Act.PAYER, Act.LOG),
    ),
    Cause.DRAFT: Telling(
        "NOT SENT: the invoice is still a draft",
        "is still a draft",
        _C,
        "billing's facts",
        "Your invoice is not issued yet. You get it once it is.",
        (Act.LOG,),
    ),
    Cause.VOID: Telling(
        "NOT SENT: the invoice was voided",
        "was voided",
        _C,
        "billing's facts",
        "{Invoice} was cancelled, so there is nothing to pay on it.",
        (Act.LOG,),
    ),
    Cause.WRITTEN_OFF: Telling(
        "NOT SENT: the invoice was written off",
        "was written off",
        _C,
        "billing's facts",
        "{Invoice} is closed; I will ask billing about it.",
        (Act.LOG,),
    ),
    Cause.PAID: Telling(
        "PAID ALREADY: nothing was sent from here",
        "is paid",
        _C,
        "billing's facts",
        "{Invoice} is paid already. I can send you a copy for your records.",
        (Act.RESEND, Act.LOG),
    ),
    Cause.NO_ADDRESS: Telling(
        "NOT SENT: no e-mail address on file",
        "was not sent, there is no address",
        _C,
        _RECORDS,
        "We have no e-mail address of yours for invoices. Which one may we use?",
        (Act.MEND, Act.TEXT, Act.OTHER_ADDRESS),
    ),
    Cause.UNUSABLE_ADDRESS: Telling(
        "NOT SENT: the address on file cannot be used",
        "was not sent, the address cannot be used",
        _C,
        _RECORDS,
        f"The e-mail address that we have of yours is incomplete. {_SPELL}",
        (Act.MEND, Act.TEXT, Act.OTHER_ADDRESS),
    ),
    Cause.NOTICES_OFF: Telling(
        "NOT SENT: invoice notices are switched off",
        "was not sent, notices are switched off",
        _C,
        "billing's facts",
        "Invoice mails are switched off for your account. Shall I have them switched on again?",
        (Act.RESEND, Act.TEXT, Act.LOG),
    ),
    Cause.ARCHIVED: Telling(
        "NOT SENT: the account is archived",
        "was not sent, the account is archived",
        _C,
        "billing's facts",
        "Your account with us is closed, so no more invoices are mailed.",
        (Act.RESEND, Act.LOG),
    ),
    Cause.LEFT_OUT: Telling(
        "NOT SENT: the invoice run left it out{left_out}",
        "was left out of the run",
        _C,
        _RECORDS,
        "Your invoice was not mailed with the others. I can send it to you right now.",
        (Act.RESEND, Act.TEXT, Act.LOG),
    ),
    Cause.NOT_TRIED: Telling(
        "NOT SENT: the address is on our do-not-send list",
        "was not tried{because}",
        _C,
        _RECORDS,
        f"Mail to the address that we have of yours came back before, so this one was not sent. {_SPELL}",
        (Act.MEND, Act.TEXT, Act.RELEASE, Act.OTHER_ADDRESS),
    ),
    Cause.UNSEEN: Telling(
        "NOT SENT FROM HERE: the billing system may have sent it itself, which we cannot see",
        "was not sent from here",
        _U,
        "we see only what is sent from here",
        "I cannot see whether it was mailed. I can send you a copy right now.",
        (Act.RESEND, Act.TEXT, Act.LOG),
    ),
    Cause.MENDED: Telling(
        "NOT DELIVERED, and the address was mended since",
        "bounced (the address was mended since)",
        _C,
        _RECORDS,
        "We have corrected your e-mail address. I am sending {invoice} again right now.",
        (Act.RESEND, Act.TEXT, Act.LOG),
    ),
    Cause.SOME_FAILED: Telling(
        "PARTLY DELIVERED: {failed} of {all} addresses{payer} failed",
        "reached {reached} of {all} addresses",
        _C,
        "each address has its own answer",
        _SENT_TO + " to {all} addresses, and {failed} of them did not take it. Is that address still right?",
        (Act.MEND, Act.RESEND, Act.LOG),
    ),
    Cause.SENDING_OFF: Telling(
        "NOT SENT YET: sending is switched off on this desk",
        "waits, sending is switched off",
        _C,
        _RECORDS,
        "Your invoice waits on our side. You get it as soon as we send again.",
        (Act.LOG,),
    ),
    Cause.HELD: Telling(
        "NOT SENT YET: held{by}",
        "is held",
        _C,
        _RECORDS,
        "Your invoice is held on our side. I will find out and call you back.",
        (Act.LOG, Act.TEXT),
    ),
    Cause.QUEUED: Telling(
        "NOT SENT YET: it waits in the queue, due {next}{by}",
        "is in the queue",
        _C,
        _RECORDS,
        "Your invoice is about to leave. Please look again in a few minutes.",
        (Act.LOG, Act.TEXT),
    ),
    Cause.SENDING: Telling(
        "BEING SENT right now",
        "is being sent",
        _C,
        _RECORDS,
        "Your invoice is leaving this minute. Please look again in a few minutes.",
        (Act.LOG,),
    ),
    Cause.DEFERRED: Telling(
        "NOT DELIVERED YET: {server} asked us to wait, next try {next}",
        "was put off, next try {next}",
        _C,
        _SERVER,
        "Your mail server asked us to come back later. We try again {next}, by ourselves.",
        (Act.TEXT, Act.LOG, Act.OTHER_SERVER, Act.OTHER_ADDRESS),
    ),
    Cause.ROUTE_DOWN: Telling(
        "OUR PROBLEM: our mail server {route} cannot be reached, next try {next}",
        "waits for our mail server",
        _C,
        _RECORDS,
        "Our mail server has a fault. Your invoice goes out as soon as it is mended.",
        (Act.TEXT, Act.OTHER_SERVER, Act.LOG),
    ),
    Cause.IN_DOUBT: Telling(
        "NOT KNOWN: we were cut off while it was being sent",
        "may or may not have left",
        _U,
        "it may or may not have gone out",
        _SENT_TO + ", and the line broke. Have you got it by now, perhaps twice?",
        (Act.LOG, Act.TEXT, Act.RESEND),
    ),
    Cause.EXPIRED: Telling(
        "NOT SENT: it could not be sent in time{why}",
        "was not sent in time",
        _C,
        _RECORDS,
        "We could not send your invoice in time. I am sending it again right now.",
        (Act.RESEND, Act.TEXT, Act.OTHER_SERVER, Act.LOG),
    ),
    Cause.CANCELLED: Telling(
        "NOT SENT: it was cancelled{why}",
        "was cancelled",
        _C,
        _RECORDS,
        "Your invoice was not mailed. I can send it to you right now.",
        (Act.RESEND, Act.TEXT, Act.LOG),
    ),
    Cause.MISSPELLED: Telling(
        "NOT DELIVERED: misspelled address",
        "bounced (misspelled address)",
        _L,
        "{refused}, and {domain} looks like {meant}",
        _SENT_TO + " to an address that seems to have a slip of the pen in it. " + _SPELL,
        (Act.MEND, Act.TEXT, Act.OTHER_ADDRESS, Act.LOG, Act.RELEASE),
    ),
    Cause.LOOKALIKE: Telling(
        "TAKEN BY A LOOK-ALIKE DOMAIN: {domain} is probably not what was meant",
        "went to a look-alike domain",
        _L,
        "{domain} looks like {meant}, and takes mail for anybody: a stranger may read it",
        "We may have a slip of the pen in your e-mail address. " + _SPELL,
        (Act.MEND, Act.TEXT, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.DEAD_DOMAIN: Telling(
        "NOT DELIVERED: {domain} does not exist or has no mail server",
        "bounced (dead domain)",
        _C,
        "DNS says so{checked}",
        _SENT_TO + " to an address at {domain}, which takes no mail. " + _SPELL,
        (Act.MEND, Act.TEXT, Act.OTHER_ADDRESS, Act.LOG, Act.RELEASE),
    ),
    Cause.NO_MAIL_DOMAIN: Telling(
        "NOT DELIVERED: {domain} says that it takes no mail",
        "bounced (the domain takes no mail)",
        _C,
        "its DNS says so (RFC 7505)",
        _SENT_TO + " to an address at {domain}, which takes no mail at all. " + _ANOTHER,
        (Act.MEND, Act.TEXT, Act.OTHER_ADDRESS, Act.LOG, Act.RELEASE),
    ),
    Cause.NO_MAILBOX: Telling(
        "NOT DELIVERED: no such mailbox at {domain}",
        "bounced (no such mailbox)",
        _C,
        _SERVER,
        _SENT_TO + ", and your mail provider answered that this mailbox does not exist. " + _SPELL,
        (Act.MEND, Act.TEXT, Act.OTHER_ADDRESS, Act.RELEASE, Act.LOG),
    ),
    Cause.MAILBOX_FULL: Telling(
        "NOT DELIVERED: the mailbox is full",
        "bounced (mailbox full)",
        _C,
        _SERVER,
        _SENT_TO
        + ", and it came back because your mailbox is full. Please make some room, then I send it again.",
        (Act.TEXT, Act.RESEND, Act.OTHER_ADDRESS, Act.MEND, Act.LOG),
    ),
    Cause.MAILBOX_DISABLED: Telling(
        "NOT DELIVERED: the mailbox is switched off",
        "bounced (mailbox switched off)",
        _C,
        _SERVER,
        _SENT_TO + ", and your mail provider answered that this mailbox is switched off. " + _ANOTHER,
        (Act.OTHER_ADDRESS, Act.TEXT, Act.MEND, Act.LOG),
    ),
    Cause.FILTERED: Telling(
        "NOT DELIVERED: the recipient's own filter refused it",
        "was refused by their filter",
        _C,
        _SERVER,
        "A filter on your side refused our mail of {day}. Please allow {sender}, or give me another address.",
        (Act.TEXT, Act.OTHER_ADDRESS, Act.OTHER_SERVER, Act.LOG),
    ),
    Cause.SUPPRESSED: Telling(
        "NOT SENT: the address is on our do-not-send list since {since}",
        "was not tried{because}",
        _C,
        _RECORDS,
        f"Mail to the address that we have of yours came back before, so this one was not sent. {_SPELL}",
        (Act.MEND, Act.TEXT, Act.RELEASE, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.OPTED_OUT: Telling(
        "NOT TEXTED: this number opted out of texts",
        "was not texted, the number opted out",
        _C,
        _RECORDS,
        "You asked us not to text you, so we did not. If you want texts again, answer START to our number.",
        (Act.RESEND, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.BAD_NUMBER: Telling(
        "NOT TEXTED: {text_why}",
        "was not texted, {text_why}",
        _C,
        "the telephone network said so",
        "The number that we have of yours cannot get texts. Is there a mobile number that we may use?",
        (Act.RESEND, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.TEXT_FAILED: Telling(
        "NOT TEXTED: {text_why}",
        "was not texted, {text_why}",
        _C,
        "our text provider said so",
        "We tried to text you on {day}, and it did not arrive. Is there another way to reach you?",
        (Act.RESEND, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.SPF_WRONG: Telling(
        "OUR PROBLEM: our SPF record is wrong, so {server} refuses us",
        "was refused because of our SPF record",
        _C,
        _SERVER + ", and the record is still wrong",
        _OURS,
        (Act.SPF, Act.TEXT, Act.OTHER_SERVER, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.SPF_MENDED: Telling(
        "WAS OUR PROBLEM: {server} refused our sender checks, and our SPF record is right now",
        "was refused because of our sender checks",
        _L,
        _SERVER + "; the record was looked at just now",
        "The fault was on our side and seems to be mended. I am sending it again right now.",
        (Act.RESEND, Act.SPF, Act.TEXT, Act.LOG),
    ),
    Cause.SENDER_CHECKS: Telling(
        "OUR PROBLEM: {server} refuses our sender checks (SPF, DKIM, DMARC)",
        "was refused because of our sender checks",
        _L,
        _SERVER + "; our SPF record could not be looked at just now",
        _OURS,
        (Act.SPF, Act.TEXT, Act.OTHER_SERVER, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.REPUTATION: Telling(
        "OUR PROBLEM: {domain} refuses our server{company}",
        "was refused, {domain} does not trust our server",
        _C,
        _SERVER,
        _OURS,
        (Act.TEXT, Act.OTHER_SERVER, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.CONTENT: Telling(
        "OUR PROBLEM: {server} took our mail for spam",
        "was refused as spam",
        _C,
        _SERVER,
        "Your mail provider took our mail for spam. " + _OURS,
        (Act.TEXT, Act.OTHER_SERVER, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.TOO_BIG: Telling(
        "NOT DELIVERED: the mail is too big for {server}",
        "was refused, too big",
        _C,
        _SERVER,
        "Your mail provider does not take a mail of this size. I can text you a link instead.",
        (Act.TEXT, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.RELAY_REFUSED: Telling(
        "PROBABLY OUR PROBLEM: {server} does not take mail for this address from us",
        "was refused by {server}",
        _L,
        _SERVER,
        "Your mail provider does not take our mail. I can send it to you another way right now.",
        (Act.TEXT, Act.OTHER_SERVER, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.TOO_BUSY: Telling(
        "NOT DELIVERED: {server} made us wait until it was too late",
        "was given up, their server was too busy",
        _C,
        _SERVER,
        "Your mail server had no room for us for days. I am sending it again right now.",
        (Act.RESEND, Act.TEXT, Act.OTHER_SERVER, Act.LOG),
    ),
    Cause.OUR_FAULT: Telling(
        "OUR PROBLEM: it never left our side{why}",
        "never left our side",
        _C,
        _RECORDS,
        _OURS,
        (Act.RESEND, Act.TEXT, Act.OTHER_SERVER, Act.LOG),
    ),
    Cause.REFUSED: Telling(
        "NOT DELIVERED: {server} refused it, and does not say clearly why",
        "was refused",
        _U,
        "the raw answer tells what was said",
        _SENT_TO + ", and your mail provider refused it. " + _ANOTHER,
        (Act.TEXT, Act.OTHER_ADDRESS, Act.OTHER_SERVER, Act.RESEND, Act.LOG),
    ),
    Cause.COMPLAINT: Telling(
        "ACCEPTED BY {SERVER}, then marked as spam by the recipient",
        "was accepted, then marked as spam",
        _C,
        "the recipient's provider told us",
        "Our mail of {day} arrived and was marked as spam. Please look in your spam folder for {sender}.",
        (Act.TEXT, Act.RESEND, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.SENT_TO_PAYER: Telling(
        "SENT TO THE PAYER: account {payer_account} gets this invoice",
        "went to account {payer_account}, which pays",
        _C,
        "billing's facts (bill to another); {how}",
        "Your invoices go to account {payer_account}, which pays for you. Please ask there first.",
        (Act.PAYER, Act.RESEND, Act.OTHER_ADDRESS, Act.LOG),
    ),
    Cause.ACCEPTED: Telling(
        "ACCEPTED BY {SERVER}",
        "was accepted by {server}",
        _C,
        _SERVER + "; what it did with it then, nobody tells us",
        "Your mail provider took it on {day}. Please look in your spam and promotions folders for {sender}.",
        (Act.RESEND, Act.TEXT, Act.OTHER_ADDRESS, Act.LOG, Act.OTHER_SERVER),
    ),
    Cause.HANDED_OVER: Telling(
        "HANDED TO THE RELAY, no bounce reported",
        "was handed to the relay, no bounce",
        _L,
        "the relay took it {age}; a bounce may still come for 72 hours",
        _SENT_TO
        + ", and nothing has come back. Please look in your spam and promotions folders for {sender}.",
        (Act.RESEND, Act.TEXT, Act.OTHER_ADDRESS, Act.LOG, Act.OTHER_SERVER),
    ),
    Cause.PROBABLY_ARRIVED: Telling(
        "HANDED TO THE RELAY, no bounce in 72 hours: it has probably arrived",
        "has probably arrived",
        _L,
        "a mail that fails comes back within 72 hours, nearly always",
        _SENT_TO
        + ", and nothing has come back. Please look in your spam and promotions folders for {sender}.",
        (Act.RESEND, Act.TEXT, Act.OTHER_ADDRESS, Act.LOG, Act.OTHER_SERVER),
    ),
    Cause.TEXTED: Telling(
        "TEXTED, no receipt so far",
        "was texted, no receipt",
        _L,
        "the provider took it; the handset has not confirmed it",
        "We texted you a link on {day}. Please look for a message from {brand}.",
        (Act.RESEND, Act.TEXT, Act.LOG),
    ),
    Cause.TEXT_ARRIVED: Telling(
        "TEXTED, and the handset confirmed it",
        "was texted and confirmed",
        _C,
        "the telephone network said so",
        "We texted you a link on {day}, and your telephone got it. Please look for a message from {brand}.",
        (Act.RESEND, Act.TEXT, Act.LOG),
    ),
}
"""Every cause has its row; tests/unit/handlers/test_diagnosis.py holds it to that."""
