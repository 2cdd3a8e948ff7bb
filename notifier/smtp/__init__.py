"""An SMTP client of our own (RFC 5321) with PIPELINING (RFC 2920): open_connection(), then submit mails.

It knows nothing of routes, outcomes or bounces: it says which command got which answer, or that none came
(docs/adr/0013-our-own-smtp-client.md). Errors: SmtpLost (nobody there, or no SMTP) and SmtpRefused with its
LoginRefused; after the opening, all ends of a mail are values.
"""

from notifier.smtp.connection import Answer, SmtpConnection, SmtpLost, Step
from notifier.smtp.opening import LoginRefused, Server, SmtpRefused, open_connection
from notifier.smtp.wire import CLOSING, envelope, mail_data, xtext

__all__ = [
    "CLOSING",
    "Answer",
    "LoginRefused",
    "Server",
    "SmtpConnection",
    "SmtpLost",
    "SmtpRefused",
    "Step",
    "envelope",
    "mail_data",
    "open_connection",
    "xtext",
]
