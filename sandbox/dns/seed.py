"""The zone at first: the provider's wrong record, its relay's right ones, and the servers of the recipients.

Addresses are the documentation blocks of RFC 5737. The provider's bounce host also sends directly, so its
address is the client address of the direct route.
"""

from typing import Any, Final

from sandbox.cast_mail import (
    BIG_DOMAIN,
    BUSINESS_DOMAIN,
    ENVELOPE_DOMAIN,
    GREYLIST_DOMAIN,
    HELPERS_DOMAIN,
    ISP_DOMAIN,
    NO_MX_DOMAIN,
    NULL_MX_DOMAIN,
    RELAY_DOMAIN,
    STRICT_DOMAIN,
    TYPO_DOMAIN,
)
from sandbox.cast_people import ORDINARY_DOMAINS

VISP_IP: Final = "198.51.100.10"
REMOTE_IP: Final = "203.0.113.25"
PRODUCT_IP: Final = "203.0.113.80"

MAIL_DOMAINS: Final = (
    *ORDINARY_DOMAINS,
    *(TYPO_DOMAIN, STRICT_DOMAIN, GREYLIST_DOMAIN, BIG_DOMAIN, BUSINESS_DOMAIN, RELAY_DOMAIN),
    # What a mistyped domain may have meant, and two short ones that are right as they stand.
    *("gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "proton.me", "hey.com"),
    HELPERS_DOMAIN,
)


def seed_records() -> list[dict[str, Any]]:
    """`[{name, type, values}]`; `gone.example` and everything else not named here does not exist."""
    records: list[tuple[str, str, list[str]]] = [
        (ENVELOPE_DOMAIN, "MX", [f"10 mx.{ENVELOPE_DOMAIN}."]),
        # Wrong on purpose: it lacks include:spf.visp.net.
        (ENVELOPE_DOMAIN, "TXT", [f"v=spf1 mx ip4:{REMOTE_IP} ~all"]),
        (f"mx.{ENVELOPE_DOMAIN}", "A", [PRODUCT_IP]),
        (ISP_DOMAIN, "TXT", [f"v=spf1 include:spf.{RELAY_DOMAIN} ~all", "cascade-site-check=4417-demo"]),
        (ISP_DOMAIN, "MX", [f"10 mx.{ISP_DOMAIN}."]),
        (ISP_DOMAIN, "A", ["203.0.113.10"]),
        (f"mx.{ISP_DOMAIN}", "A", ["203.0.113.11"]),
        (f"_dmarc.{ISP_DOMAIN}", "TXT", [f"v=DMARC1; p=none; rua=mailto:dmarc@{ISP_DOMAIN}"]),
        (
            f"spf.{RELAY_DOMAIN}",
            "TXT",
            [f"v=spf1 include:spf-a.{RELAY_DOMAIN} include:spf-b.{RELAY_DOMAIN} -all"],
        ),
        (f"spf-a.{RELAY_DOMAIN}", "TXT", ["v=spf1 ip4:198.51.100.0/24 -all"]),
        (f"spf-b.{RELAY_DOMAIN}", "TXT", ["v=spf1 ip4:192.0.2.128/25 ip6:2001:db8:25::/48 -all"]),
        (RELAY_DOMAIN, "TXT", [f"v=spf1 include:spf.{RELAY_DOMAIN} -all"]),
        (f"relay.{RELAY_DOMAIN}", "A", [VISP_IP]),
        (f"relay.{RELAY_DOMAIN}", "TXT", [f"v=spf1 ip4:{VISP_IP} -all"]),
        ("remote-relay.example", "A", [REMOTE_IP]),
        (NULL_MX_DOMAIN, "MX", ["0 ."]),
        (NULL_MX_DOMAIN, "A", ["192.0.2.90"]),
        (NO_MX_DOMAIN, "TXT", ["a name without a mail server"]),
    ]
    for place, domain in enumerate(MAIL_DOMAINS, start=1):
        records += [
            (domain, "MX", [f"10 mx.{domain}."]),
            (domain, "A", [f"192.0.2.{place}"]),
            (f"mx.{domain}", "A", [f"192.0.2.{place + 50}"]),
        ]
    records.append((BIG_DOMAIN, "TXT", ["v=spf1 mx -all"]))
    return [{"name": name, "type": rdtype, "values": values} for name, rdtype, values in records]
