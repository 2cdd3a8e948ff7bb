"""Short sentences that settle a case before the long tables are asked: each says why it goes first."""

from __future__ import annotations

from ..verdict import BounceClass as C
from .rule import Rule

# Exim and Postfix look our own sender up, and quote what they were told of it.
OUR_SENDER_LOOKED_UP = Rule(
    C.BLOCKED_REPUTATION,
    ("sender verify failed", "sender verify callout", "sender verification failed", "sender callout"),
)

# A reporter that looked into its own directory, in its own words.
REPORTERS_OWN_DIRECTORY = Rule(
    C.NO_SUCH_USER,
    (
        "not listed in domino directory",  # Domino, Notes
        "not listed in public name",
        "not listed in the domino directory",
        "not unique. several matches found in domino",
        "multiple matches found in domino directory",
        "recipient name is not recognized",  # Exchange 5.5
        "e mail account does not exist at the organization",  # Exchange 2000, 2003
        "the e mail address you entered couldnt be found",  # Exchange 2007 and later
        "email address you entered couldnt be found",
        "wasnt found at",
        "no valid recipients for this mm",  # Verizon's MMS gateway
        "dd this user doesnt have a",  # Yahoo
        "dd requested mail action aborted mailbox not found",
        "unrouteable address",  # Exim's router
        "unroutable address",
        "unknown local part",
    ),
    firm=True,
)

# The recipient himself, said outright, before what is also said of machines and lists.
RECIPIENT_HIMSELF = Rule(
    C.FILTERED,
    (
        "blocked by the user",
        "blocked by user",
        "rejected by the user ",
        "refused by the user ",
        "the user has blocked",
        "recipient has blocked",
        "recipients block list",
        "recipients blocklist",
        "recipients blacklist",
        "personal blacklist",
        "personal black list",
        "personal block list",
        "personal blocklist",
        "user does not accept",
        "user doesnt accept",
        "user does not want",
        "recipient is not accepting mail from",
        "user is not accepting mail from",
    ),
)

# What the letter links to.
LINKS = Rule(
    C.SPAM_CONTENT,
    (
        "blacklisted url",
        "blocklisted url",
        "url is listed",
        "url listed",
        "url blacklist",
        "url blocklist",
        "listed uri",
        "content rejected",
        "surbl",
        "uribl",
    ),
)

# A program behind the mailbox failed; what it printed may name users and files.
LOCAL_PROGRAM = Rule(
    C.OTHER, ("procmail ", "unknown mailer error", "mailer error", " on hold", "due to a recipient error")
)

# exim-based panels say all they can think of; the domain is the first of it.
DOMAIN_FIRST = Rule(C.DOMAIN_MISSING, ("account or domain may not exist", "domain is not reachable"))

HOST_TRY_AGAIN = Rule(
    C.TEMPORARY,
    ("host not found try again", "dont treat it as local", "could not be found in domain name service"),
)

# Google Groups and list managers quote advice about SPF; the first words are the reason.
SPAM_FIRST = Rule(
    C.SPAM_CONTENT,
    ("due to spam classification", "rejected as spam", "classified as spam", "is likely unsolicited"),
)

# Exchange Online directory-based edge blocking: this is its only wording for an unknown recipient.
EDGE_BLOCKING = Rule(C.NO_SUCH_USER, ("recipient address rejected access denied",), firm=True)

ALL_RECIPIENTS = Rule(C.BLOCKED_REPUTATION, ("all recipient addresses rejected",))
