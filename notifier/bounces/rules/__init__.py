"""What mail systems say, as data: phrases in order of precedence, most telling first.

Tokens of `operators` are matched on the lower-case text as it stands. All other phrases are matched on
normalised text (see `rulebook.normalised`: lower case, addresses as `addr`, quotes, brackets, hyphens and
most punctuation as single spaces, apostrophes dropped), so write them plainly. ` * ` bridges up to 80
characters; a leading or trailing space ties a phrase to a word boundary. The order of STRONG is the
precedence.
"""

from __future__ import annotations

from . import first, mailbox, message, ours, recipient, session
from .operators import PROVIDER
from .rule import Rule
from .vague import WEAK

__all__ = ["LATE", "MAIL_LESS", "PROVIDER", "STRONG", "WEAK", "Rule"]

MAIL_LESS: tuple[Rule, ...] = (recipient.MAIL_LESS,)
STRONG: tuple[Rule, ...] = (
    first.OUR_SENDER_LOOKED_UP,
    first.REPORTERS_OWN_DIRECTORY,
    first.RECIPIENT_HIMSELF,
    first.LINKS,
    first.LOCAL_PROGRAM,
    first.DOMAIN_FIRST,
    first.HOST_TRY_AGAIN,
    first.SPAM_FIRST,
    first.EDGE_BLOCKING,
    first.ALL_RECIPIENTS,
    session.TOO_MUCH_AT_ONCE,
    ours.STANDARDS,
    ours.AUTHENTICATION,
    ours.OUTGOING_QUOTA,
    mailbox.FULL,
    message.TOO_BIG,
    mailbox.MOVED,
    mailbox.CLOSED,
    ours.STANDING,
    message.CONTENT,
    recipient.NO_DOMAIN,
    recipient.UNWANTED,
)
# After the meanings: permission, absence and machines are spoken of in sentences about other things too.
LATE: tuple[Rule, ...] = (session.RELAY, recipient.NOBODY, session.PASSING, session.PROTOCOL)
