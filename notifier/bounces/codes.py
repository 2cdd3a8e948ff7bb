"""What an RFC 3463 status code or a bare SMTP reply code says when the words say nothing.

Sources: RFC 3463, RFC 5248 and the IANA registry, RFC 7372 (authentication), RFC 7505 (null MX),
RFC 7293 (owner changed), Microsoft's list of Exchange Online NDR codes (three-digit details).
"""

from __future__ import annotations

from .verdict import BounceClass as C

# subject.detail -> class. These say one thing only, and outrank vague words ("rejected", "denied").
SPECIFIC: dict[str, C] = {
    # RFC 3463 section 3.2, address status
    "1.1": C.NO_SUCH_USER,
    "1.2": C.DOMAIN_MISSING,
    "1.3": C.NO_SUCH_USER,
    "1.6": C.MAILBOX_DISABLED,  # moved, no forwarding address: hard, see MOVED
    "1.7": C.BLOCKED_REPUTATION,  # it is our sender address that is refused
    "1.8": C.BLOCKED_REPUTATION,
    "1.10": C.RELAY_OR_SECURITY,  # RFC 7505 null MX: hard, see MAIL_LESS
    # section 3.3, mailbox status
    "2.2": C.MAILBOX_FULL,
    "2.3": C.TOO_BIG,
    # section 3.4, mail system status
    "3.1": C.TEMPORARY,
    "3.4": C.TOO_BIG,
    # section 3.5, network and routing
    "4.3": C.TEMPORARY,
    "4.6": C.TEMPORARY,
    "4.7": C.TEMPORARY,
    # section 3.6, protocol
    "5.3": C.RATE_LIMITED,  # too many recipients
    # section 3.8 and RFC 4954: credentials and encryption
    "7.8": C.RELAY_OR_SECURITY,
    "7.10": C.RELAY_OR_SECURITY,
    "7.11": C.RELAY_OR_SECURITY,
    "7.12": C.RELAY_OR_SECURITY,
    "7.17": C.MAILBOX_DISABLED,  # RFC 7293: the mailbox has another owner now
    "7.18": C.MAILBOX_DISABLED,
    # RFC 7372 and the registry
    "7.20": C.BLOCKED_AUTH,
    "7.21": C.BLOCKED_AUTH,
    "7.22": C.BLOCKED_AUTH,
    "7.23": C.BLOCKED_AUTH,
    "7.24": C.BLOCKED_AUTH,
    "7.25": C.BLOCKED_AUTH,
    "7.26": C.BLOCKED_AUTH,
    "7.27": C.BLOCKED_AUTH,
    "7.28": C.RATE_LIMITED,  # mail flood
    "7.29": C.BLOCKED_AUTH,  # ARC
    "7.30": C.RELAY_OR_SECURITY,  # REQUIRETLS
    # Exchange Online: details of three digits
    "1.351": C.NO_SUCH_USER,
    "1.90": C.RATE_LIMITED,
    "2.121": C.RATE_LIMITED,
    "2.122": C.RATE_LIMITED,
    "4.300": C.TEMPORARY,
    "4.310": C.DOMAIN_MISSING,
    "4.312": C.TEMPORARY,
    "4.316": C.TEMPORARY,
    "4.317": C.TEMPORARY,
    "7.57": C.RELAY_OR_SECURITY,
    "7.60": C.RELAY_OR_SECURITY,
    "7.64": C.RELAY_OR_SECURITY,
    "7.124": C.FILTERED,
    "7.129": C.FILTERED,
    "7.133": C.RELAY_OR_SECURITY,
    "7.134": C.RELAY_OR_SECURITY,
    "7.136": C.RELAY_OR_SECURITY,
    "7.501": C.BLOCKED_REPUTATION,
    "7.502": C.BLOCKED_REPUTATION,
    "7.503": C.BLOCKED_REPUTATION,
    "7.508": C.RATE_LIMITED,
    "7.509": C.BLOCKED_AUTH,
    "7.510": C.BLOCKED_REPUTATION,
    "7.511": C.BLOCKED_REPUTATION,
    "7.512": C.BLOCKED_REPUTATION,
    "7.515": C.BLOCKED_AUTH,
    "7.606": C.BLOCKED_REPUTATION,
    "7.700": C.BLOCKED_REPUTATION,
    "7.705": C.BLOCKED_REPUTATION,
    "7.708": C.BLOCKED_REPUTATION,
    "7.750": C.BLOCKED_REPUTATION,
}

# Reply codes that one operator uses for one thing (Symantec Email Security.cloud: address validation).
SPECIFIC_REPLY: dict[str, C] = {"542": C.NO_SUCH_USER}

# What remains when neither words nor a specific code decide.
GENERIC: dict[str, C] = {
    "1.0": C.NO_SUCH_USER,
    "1.4": C.OTHER,
    "1.9": C.TEMPORARY,
    "2.0": C.FILTERED,
    "2.1": C.MAILBOX_DISABLED,
    "2.4": C.FILTERED,
    "3.0": C.OTHER,
    "3.2": C.RELAY_OR_SECURITY,
    "3.3": C.TEMPORARY,
    "3.5": C.TEMPORARY,
    "4.0": C.TEMPORARY,
    "4.1": C.TEMPORARY,
    "4.2": C.TEMPORARY,
    "4.4": C.TEMPORARY,
    "4.5": C.TEMPORARY,
    "6": C.SPAM_CONTENT,
    "7": C.RELAY_OR_SECURITY,
    "5": C.OTHER,
    "4": C.TEMPORARY,
}

# RFC 5321 section 4.2.3; used last of all. 550 and 554 alone say nothing.
REPLY_CODES: dict[str, C] = {
    "421": C.TEMPORARY,
    "422": C.MAILBOX_FULL,
    "432": C.TEMPORARY,
    "441": C.TEMPORARY,
    "442": C.TEMPORARY,
    "450": C.TEMPORARY,
    "451": C.TEMPORARY,
    "452": C.TEMPORARY,
    "454": C.TEMPORARY,
    "511": C.NO_SUCH_USER,
    "512": C.DOMAIN_MISSING,
    "521": C.RELAY_OR_SECURITY,  # RFC 7504: the host takes no mail
    "523": C.TOO_BIG,
    "530": C.RELAY_OR_SECURITY,
    "535": C.RELAY_OR_SECURITY,
    "538": C.RELAY_OR_SECURITY,
    "551": C.MAILBOX_DISABLED,
    "552": C.MAILBOX_FULL,
    "556": C.RELAY_OR_SECURITY,  # RFC 7504: the domain takes no mail
}

# Codes whose class is not hard by itself, but which end the address for good.
MOVED = frozenset({"1.6", "7.17", "7.18"})
MAIL_LESS = frozenset({"1.10"})
HARD_DETAILS = MOVED | MAIL_LESS
HARD_REPLY_CODES = frozenset({"551", "556"})

# A user or a carrier's filter that plays dead once it has seen the content: the operator's own meaning of it.
OPERATOR_AT_DATA: dict[str, C] = {"docomo.ne.jp": C.BLOCKED_REPUTATION}

# Details that outrank what a sentence seems to mean: registered for one cause, or numbered by Microsoft.
_MICROSOFT = frozenset(detail for detail in SPECIFIC if len(detail) >= 5)
_AUTHENTICATION = frozenset(f"7.{number}" for number in range(20, 28))
FIRM = MOVED | MAIL_LESS | _MICROSOFT | _AUTHENTICATION | {"2.2"}

# `Diagnostic-Code: x-unix; 77`: how a local program ended (sysexits.h). Others say only that it failed.
EXITS: dict[str, C] = {
    "65": C.OTHER,
    "67": C.NO_SUCH_USER,
    "68": C.DOMAIN_MISSING,
    **dict.fromkeys(("69", "70", "71", "72", "73", "74", "75", "77", "78"), C.TEMPORARY),
    "76": C.OTHER,
}

# PowerMTA's own reading of the answer (X-PowerMTA-BounceCategory, PowerMTA user's guide).
CATEGORIES: dict[str, C] = {
    "bad-mailbox": C.NO_SUCH_USER,
    "bad-domain": C.DOMAIN_MISSING,
    "inactive-mailbox": C.MAILBOX_DISABLED,
    "quota-issues": C.MAILBOX_FULL,
    "spam-related": C.SPAM_CONTENT,
    "spam-block": C.BLOCKED_REPUTATION,
    "virus-related": C.SPAM_CONTENT,
    "content-related": C.SPAM_CONTENT,
    "policy-related": C.BLOCKED_REPUTATION,
    "invalid-sender": C.BLOCKED_REPUTATION,
    "relaying-issues": C.RELAY_OR_SECURITY,
    "bad-connection": C.TEMPORARY,
    "bad-configuration": C.TEMPORARY,
    "no-answer-from-host": C.TEMPORARY,
    "message-expired": C.TEMPORARY,
    "routing-errors": C.TEMPORARY,
    "protocol-errors": C.OTHER,
}

# Those that outrank even a known phrase: nobody uses them for anything else (x.7.27 is used at random).
EXACT = FIRM - HARD_DETAILS - {"7.27", "2.2"}
