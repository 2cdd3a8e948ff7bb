"""Troubles planted for /isp diagnose, as data: what is done to the world, and what must then be named first.

Each row is a subscriber of its own, with an account, a domain `{d}` whose mail server takes everything, and
an invoice that a run sends. What is done to the row's mailbox, number, records or facts is the trouble;
`says` is how the verdict begins, `sure` how sure it is, `first` the first step that is offered. `ours`
rows must never ask the customer to spell an address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MEND, RESEND, TEXT, OTHER, SPF = "contact.mend", "resend.open", "resend.bytext", "resend.other", "spf.open"
MESSAGES, PAYER = "messages.open", "find.open"
CERTAIN, LIKELY, UNSURE = "Certain", "Likely", "Not certain"
Body = dict[str, Any]


@dataclass(frozen=True)
class Row:
    name: str
    says: str
    sure: str = CERTAIN
    first: str = ""
    """Empty: not looked at."""
    shows: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    """What must not be said: it would blame somebody innocent, or promise too much."""
    ours: bool = False
    to: str = "ann@{d}"
    """The billing field; `{a}` the account, `{d}` its domain, `{n}` the account of the row before."""
    mailbox: str = ""
    """Whose behaviour is set, where the field holds several; empty: the whole field."""
    mail: Body = field(default_factory=dict)
    phone: bool = False
    number: Body = field(default_factory=dict)
    """What the texting provider does with the number."""
    facts: Body = field(default_factory=dict)
    """Columns of subscribers.csv."""
    invoice: Body | None = field(default_factory=dict)
    """Columns of invoices.csv; None: there is no invoice."""
    facts_since: Body = field(default_factory=dict)
    invoice_since: Body = field(default_factory=dict)
    """What billing says once everything is settled."""
    zone: tuple[tuple[str, str, Any], ...] = ()
    """Records planted before the run: (name, type, values)."""
    later_zone: tuple[tuple[str, str, Any], ...] = ()
    """Records planted once everything is settled."""
    older: bool = False
    """An invoice of the month before, sent first and by itself."""
    older_does: str = ""
    """What happens to that one before the run."""
    waits: bool = False
    """Its mail is still under way when all else is settled."""
    does: str = ""
    """What happens after the run: the name of a function of the story."""
    late: str = ""
    """What is done right before it is diagnosed, because it touches everybody."""


def bounce(status: str, text: str, after_s: float = 0.3, action: str = "failed") -> Body:
    return {"bounce": {"after_s": after_s, "status": status, "diagnostic": text, "action": action}}


def refuses(reply: str) -> Body:
    """The recipient's own server says so; our relay hears it and reports."""
    return {"onward_reply": reply}


NO_USER = refuses("550 5.1.1 The email account that you tried to reach does not exist")
FULL = refuses("552 5.2.2 Mailbox full, quota exceeded")
REPUTATION = refuses("550 5.7.1 Refused because of the poor reputation of your IP address")
DMARC = refuses(
    "550 5.7.26 Unauthenticated email from cascade.example is not accepted due to the domain's DMARC policy"
)

ROWS: tuple[Row, ...] = (
    # The recipient's side.
    Row(
        "no such mailbox, said to our relay",
        "NOT DELIVERED: no such mailbox at {d}",
        first=MEND,
        mail=NO_USER,
        shows=("{d}'s server said so", "letter by letter"),
    ),
    Row(
        "no such mailbox, said at RCPT",
        "NOT DELIVERED: no such mailbox at {d}",
        first=MEND,
        mail={"reply": "550 5.1.1 No such user here"},
    ),
    Row(
        "a bounce after it was accepted",
        "NOT DELIVERED: no such mailbox at {d}",
        first=MEND,
        mail=bounce("5.1.1", "550 5.1.1 User unknown", 1.0),
        silent=("ACCEPTED",),
    ),
    Row(
        "mailbox full",
        "NOT DELIVERED: the mailbox is full",
        first=RESEND,
        mail=FULL,
        shows=("make some room",),
        silent=("letter by letter", "do-not-send list"),
    ),
    Row(
        "mailbox full, said after the message",
        "NOT DELIVERED: the mailbox is full",
        mail={"reply": "552 5.2.2 Over quota", "at": "data"},
        silent=("letter by letter",),
    ),
    Row(
        "mailbox switched off",
        "NOT DELIVERED: the mailbox is switched off",
        first=OTHER,
        mail=refuses("550 5.2.1 The email account that you tried to reach is disabled"),
    ),
    Row(
        "the recipient's own filter",
        "NOT DELIVERED: the recipient's own filter refused it",
        mail=refuses("550 5.7.1 Your message was rejected by the recipient's filter rules"),
        shows=("Please allow",),
        silent=("letter by letter",),
    ),
    Row(
        "misspelled, and refused there",
        "NOT DELIVERED: misspelled address",
        LIKELY,
        MEND,
        to="ann{a}@hotmial.com",
        mail=NO_USER,
        zone=(("hotmial.com", "MX", ["10 mx.inbox.example."]),),
        shows=("hotmial.com looks like hotmail.com", "a stranger may read it"),
    ),
    Row(
        "misspelled, and no such domain",
        "NOT DELIVERED: misspelled address",
        LIKELY,
        MEND,
        to="ann{a}@gmail.con",
        shows=("gmail.con looks like gmail.com", "takes no mail"),
    ),
    Row(
        "a look-alike domain takes everything",
        "TAKEN BY A LOOK-ALIKE DOMAIN: gamil.com",
        LIKELY,
        MEND,
        to="ann{a}@gamil.com",
        zone=(("gamil.com", "MX", ["10 mx.inbox.example."]),),
        shows=("a stranger may read it",),
    ),
    Row(
        "a dead domain",
        "NOT DELIVERED: gone{a}.example does not exist",
        first=MEND,
        to="ann@gone{a}.example",
        shows=("its domain does not exist",),
    ),
    Row(
        "a domain without a mail server",
        "NOT DELIVERED: nomx.example does not exist or has no mail server",
        first=MEND,
        to="ann{a}@nomx.example",
        shows=("has no mail server",),
    ),
    Row(
        "a domain that takes no mail (null MX)",
        "NOT DELIVERED: nullmx.example says that it takes no mail",
        first=MEND,
        to="ann{a}@nullmx.example",
        shows=("RFC 7505",),
    ),
    Row(
        "DNS is silent about an address that bounced",
        "NOT DELIVERED: no such mailbox at {d}",
        mail=NO_USER,
        later_zone=(("{d}", "MX", "TIMEOUT"),),
        shows=("could not be looked up in time",),
        silent=("does not exist or has no mail server", "misspelled"),
    ),
    Row(
        "DNS is silent about an address that took it",
        "HANDED TO THE RELAY, no bounce reported",
        LIKELY,
        later_zone=(("{d}", "MX", "TIMEOUT"),),
        shows=("could not be looked up in time",),
        silent=("does not exist", "cannot be used"),
    ),
    Row(
        "accepted, then marked as spam",
        "ACCEPTED BY {D}'S SERVER, then marked as spam",
        does="complaint",
        shows=("spam folder",),
        silent=("letter by letter",),
    ),
    # Our side.
    Row(
        "our SPF record is wrong",
        "OUR PROBLEM: our SPF record is wrong, so strict.example's server refuses us",
        first=SPF,
        to="ann{a}@strict.example",
        ours=True,
        shows=("does not authorise our server", "this was not about your address"),
    ),
    Row(
        "DMARC: what was not aligned is named",
        "OUR PROBLEM: our mail fails DMARC, so {d}'s server refuses it",
        first=SPF,
        mail=DMARC,
        ours=True,
        shows=("SPF does not pass for mail.cascade.example", "we do not sign with DKIM"),
        silent=("our SPF record is wrong, so",),
    ),
    Row(
        "our server has no name in DNS",
        "OUR PROBLEM: {d}'s server refuses us because our mail server has no proper name in DNS",
        mail=refuses("550 5.7.25 The IP address sending this message does not have a PTR record"),
        ours=True,
        silent=("our SPF record is wrong, so",),
    ),
    Row(
        "our server's reputation",
        "OUR PROBLEM: shared-op.example refuses our server",
        to="ann{a}@shared-op.example",
        zone=(
            ("shared-op.example", "MX", ["10 mx.shared-op.example."]),
            ("mx.shared-op.example", "A", ["192.0.2.180"]),
        ),
        mail=REPUTATION,
        ours=True,
        shows=("in the same case", "Known incident", "this one among them"),
    ),
    Row(
        "the same, for somebody else",
        "OUR PROBLEM: shared-op.example refuses our server",
        to="bob{a}@shared-op.example",
        mail=REPUTATION,
        ours=True,
        shows=("in the same case",),
    ),
    Row(
        "taken for spam",
        "OUR PROBLEM: {d}'s server took our mail for spam",
        mail=refuses("554 5.7.1 Message rejected as spam by content filtering"),
        ours=True,
    ),
    Row(
        "too big",
        "NOT DELIVERED: the mail is too big for {d}'s server",
        mail=refuses("552 5.3.4 Message size exceeds fixed limit"),
        silent=("letter by letter",),
    ),
    Row(
        "relaying denied",
        "PROBABLY OUR PROBLEM: {d}'s server does not take mail for this address from us",
        LIKELY,
        mail=refuses("550 5.7.1 Relaying denied"),
        ours=True,
    ),
    Row(
        "refused without a reason",
        "NOT DELIVERED: {d}'s server refused it, and does not say clearly why",
        UNSURE,
        mail=refuses("554 5.0.0 Transaction failed"),
        silent=("letter by letter",),
    ),
    Row(
        "relaying denied, by our own relay",
        "OUR PROBLEM: our mail server visp refuses to pass our mail on",
        mail={"reply": "554 5.7.1 Relay access denied"},
        ours=True,
        shows=("our relay visp said so",),
    ),
    Row(
        "greylisted",
        "NOT DELIVERED YET: {d}'s server asked us to wait, next try at",
        mail={"reply": "451 4.7.1 Greylisted, come back in a few minutes"},
        waits=True,
        shows=("by ourselves",),
        silent=("letter by letter",),
    ),
    Row(
        "put off for a fault of ours",
        "OUR PROBLEM: {d}'s server puts our mail off because of us, next try at",
        first=SPF,
        mail={"reply": "451 4.7.23 SPF validation failed, try again later"},
        ours=True,
        waits=True,
        shows=("this was not about your address", "our sender checks"),
    ),
    Row(
        "a rate limit",
        "NOT DELIVERED YET: {d}'s server asked us to wait, next try at",
        mail={"reply": "450 4.7.0 Too many messages from your address, try again later"},
        waits=True,
    ),
    Row(
        "a rate limit (421), said to our relay",
        "NOT DELIVERED YET: the relay is still trying at {d}'s server: their server asks us to wait",
        mail=refuses("421 4.7.0 Too many connections from your address, try again later"),
        silent=("NO BOUNCE", "letter by letter"),
    ),
    Row(
        "the relay is still trying",
        "NOT DELIVERED YET: the relay is still trying",
        mail=refuses("451 4.3.2 System not accepting network messages"),
        shows=("{d}'s server",),
        silent=("NO BOUNCE", "letter by letter"),
    ),
    Row(
        "put off until it was given up",
        "NOT DELIVERED: {d}'s server made us wait until it was too late",
        first=RESEND,
        mail=bounce("4.4.7", "smtp; 451 4.7.1 Try again later, rate limit exceeded"),
    ),
    # What our own records say.
    Row("no invoice", "NOTHING TO SEND: no invoice was issued", invoice=None),
    Row("a draft", "NOT SENT: the invoice is still a draft", invoice={"status": "draft"}),
    Row("void", "NOT SENT: the invoice was voided", invoice={"status": "void"}),
    Row("written off", "NOT SENT: the invoice was written off", invoice={"status": "uncollectible"}),
    Row("paid", "PAID ALREADY", first=RESEND, invoice={"status": "paid", "paid": "54.95"}),
    Row("no address", "NOT SENT: no e-mail address on file", first=MEND, to=""),
    Row(
        "an address without an at sign",
        "NOT SENT: the address on file cannot be used",
        first=MEND,
        to="ann.at.example",
    ),
    Row("notices are off", "NOT SENT: invoice notices are switched off", facts={"invoice_notices": "no"}),
    Row("archived", "NOT SENT: the account is archived", facts={"status": "archived"}),
    Row(
        "no run has had it",
        "NOT SENT FROM HERE: the billing system may have sent it itself",
        UNSURE,
        RESEND,
        invoice={"issued_on": "{yesterday}"},
    ),
    Row(
        "on hold: reminders wait, invoices do not",
        "HANDED TO THE RELAY, no bounce reported",
        LIKELY,
        does="hold",
        shows=("held until", "paying in December"),
    ),
    Row(
        "on the do-not-send list from an older bounce",
        "NOT SENT: the address is on our do-not-send list",
        first=MEND,
        older=True,
        mail=NO_USER,
        shows=("because", "bounced", "do-not-send list since"),
    ),
    Row(
        "marked as spam a month ago",
        "NOT SENT: our mail was marked as spam there, so we have stopped mailing",
        older=True,
        older_does="complaint",
        shows=("the recipient's provider told us",),
        silent=("bounced", "letter by letter"),
    ),
    Row(
        "full at first, and a copy was taken since",
        "ACCEPTED BY {D}'S SERVER",
        mail=FULL | {"times": 1},
        does="resend",
        silent=("NOT DELIVERED", "make some room"),
    ),
    # Several at once.
    Row(
        "one of three addresses is dead",
        "PARTLY DELIVERED: 1 of 3 addresses failed",
        first=MEND,
        to="ann@{d}; bob@{d}; eve@{d}",
        mailbox="bob@{d}",
        mail=NO_USER,
        shows=("b•••@{d}",),
    ),
    Row(
        "paid by another account, one of whose addresses is dead",
        "PARTLY DELIVERED: 1 of 3 addresses of account {n}, which pays, failed",
        first=MEND,
        to="",
        facts={"bill_to": "{n}"},
        shows=("invoices go to account {n}",),
    ),
    Row("who pays for the next", "HANDED TO THE RELAY, no bounce reported", LIKELY, RESEND),
    Row(
        "paid by another account",
        "SENT TO THE PAYER: account {n} gets this invoice",
        first=PAYER,
        to="",
        facts={"bill_to": "{n}"},
        shows=("invoices go to account {n}",),
    ),
    Row(
        "misspelled, and refused for our reputation",
        "NOT DELIVERED: misspelled address",
        LIKELY,
        MEND,
        to="ann{a}@hotmal.com",
        zone=(("hotmal.com", "MX", ["10 mx.hotmal.com."]), ("mx.hotmal.com", "A", ["192.0.2.181"])),
        mail=REPUTATION,
        shows=("does not trust our mail server",),
    ),
    Row(
        "bounced, and the account was archived since",
        "NOT DELIVERED: no such mailbox at {d}",
        mail=NO_USER,
        facts_since={"status": "archived"},
        shows=("account archived",),
    ),
    Row(
        "paid since, and it had bounced",
        "NOT DELIVERED: the mailbox is full",
        mail=FULL,
        invoice_since={"status": "paid", "paid": "54.95"},
        shows=(", paid",),
    ),
    # Reports that prove nothing.
    Row(
        "a forged bounce",
        "HANDED TO THE RELAY, no bounce reported",
        LIKELY,
        does="forge",
        shows=("waits unmatched",),
        silent=("does not exist", "letter by letter"),
    ),
    Row(
        "an auto-reply",
        "HANDED TO THE RELAY, no bounce reported",
        LIKELY,
        does="auto_reply",
        silent=("NOT DELIVERED", "letter by letter"),
    ),
    # Texts.
    Row("only a telephone: the text arrived", "TEXTED, and the handset confirmed it", to="", phone=True),
    Row(
        "a landline",
        "NOT TEXTED: the number is a landline",
        to="",
        phone=True,
        number={"error_code": 30006},
    ),
    Row(
        "no such number",
        "NOT TEXTED: the number does not exist",
        to="",
        phone=True,
        number={"error_code": 21211},
    ),
    Row(
        "the carrier took it for spam",
        "NOT TEXTED: the carrier took it for spam",
        to="",
        phone=True,
        number={"error_code": 30007},
    ),
    Row(
        "the mail bounced, and the text instead arrived",
        "TEXTED, and the handset confirmed it",
        phone=True,
        mail=FULL,
        shows=("the mailbox is full",),
    ),
    Row(
        "opted out of texts; the mail was taken",
        "HANDED TO THE RELAY, no bounce reported",
        LIKELY,
        phone=True,
        facts={"sms_consent": "no"},
        shows=("opted out of texts",),
    ),
    # What touches everybody, in this order and at the end.
    Row(
        "the operator refuses others, and this one's mail was not part of it",
        "NOT SENT FROM HERE",
        UNSURE,
        to="new{a}@shared-op.example",
        invoice={"issued_on": "{yesterday}"},
        shows=(
            "Known incident",
            "shared-op.example refuses our mail server",
            "nothing of this invoice so far",
        ),
    ),
    Row(
        "our SPF record cannot be looked up",
        "OUR PROBLEM: strict.example's server refuses our sender checks",
        LIKELY,
        to="bob{a}@strict.example",
        ours=True,
        late="hide_spf",
        shows=("DNS gave no answer in time",),
    ),
    Row(
        "our SPF record was mended since",
        "WAS OUR PROBLEM: strict.example's server refused our sender checks",
        LIKELY,
        RESEND,
        to="eve{a}@strict.example",
        late="mend_spf",
        shows=("authorises our server",),
    ),
    Row(
        "our server cannot be reached",
        "OUR PROBLEM: our mail server visp cannot be reached, next try",
        late="close_relay",
        ours=True,
    ),
    Row(
        "our server refuses our login",
        "OUR PROBLEM: our mail server visp",
        late="lock_relay",
        ours=True,
        shows=("login",),
    ),
    Row(
        "cut off while it was being sent",
        "NOT KNOWN: we were cut off while it was being sent",
        UNSURE,
        late="cut_relay",
        silent=("letter by letter",),
    ),
    Row(
        "a text waits for the morning",
        "NOT SENT YET: it waits in the queue, due on",
        to="",
        phone=True,
        invoice={"issued_on": "{yesterday}"},
        late="by_night",
        shows=("9:00",),
    ),
    Row(
        "sending is switched off",
        "NOT SENT YET: sending is switched off on this desk",
        first=MESSAGES,
        invoice={"issued_on": "{yesterday}"},
        late="switch_off",
        shows=("send mode off",),
    ),
)
