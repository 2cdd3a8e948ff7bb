"""How the recipients' servers of the cast behave, as data: who refuses what, in which words, and when.

`onward_reply` is what the recipient's own server answers: a client that connects to it directly hears it
at once, a relay has said 250 by then and reports it in a DSN. `reply` is heard at RCPT on every way.
"""

from typing import Any, Final

ENVELOPE_DOMAIN: Final = "mail.cascade.example"
ISP_DOMAIN: Final = "cascade.example"
RELAY_DOMAIN: Final = "visp.net"
TYPO_DOMAIN: Final = "gmial.com"
STRICT_DOMAIN: Final = "strict.example"
GREYLIST_DOMAIN: Final = "greylist.example"
BIG_DOMAIN: Final = "bigmail.example"
BUSINESS_DOMAIN: Final = "harborview.example"
NULL_MX_DOMAIN: Final = "nullmx.example"
NO_MX_DOMAIN: Final = "nomx.example"

NOBODYS_MAILBOX: Final = "me@inbox.example"
HELPERS_DOMAIN: Final = "visp.example"
HELPERS_MAILBOX: Final = f"success@{HELPERS_DOMAIN}"
"""Client Success: whom the provider asks when it knows no further."""
FULL_MAILBOX: Final = "t.lindqvist@mailbox.example"
DEAD_MAILBOX: Final = f"r.oldfield@{BUSINESS_DOMAIN}"

# Domains whose server takes nothing but an SPF pass; everyone else takes softfail and refuses fail.
STRICT_SPF_DOMAINS: Final = frozenset({STRICT_DOMAIN})

BEHAVIOURS: Final[tuple[dict[str, Any], ...]] = (
    {
        "domain": TYPO_DOMAIN,
        "onward_reply": "550 5.1.1 The account you wrote to is not known here, check the spelling",
    },
    {
        "address": FULL_MAILBOX,
        "onward_reply": "552 5.2.2 This mailbox has no room left, ask its owner to delete some mail",
    },
    {"address": DEAD_MAILBOX, "onward_reply": "550 5.1.1 No such user at harborview.example"},
    {
        "domain": GREYLIST_DOMAIN,
        "reply": "451 4.7.1 Greylisted, come back in a few minutes",
        "times": 2,
    },
    {
        "domain": BIG_DOMAIN,
        "onward_reply": (
            "550 5.7.1 Messages from this address range were turned away because of its sending reputation. "
            "Ask your provider to apply at the Bigmail sender desk (S3150)"
        ),
    },
)
