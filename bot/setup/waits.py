"""What waits on others before mail goes to everybody: DNS, the carriers, the proxy. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.checks.finding import Finding
from bot.setup.written import listed


def waits(a: Mapping[str, str], findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """(who or what, what they do), in the order in which it takes longest."""
    key, domain = a["key"], a["envelope_domain"]
    wrong = {finding.what: finding for finding in findings if finding.state != "ok"}
    found: list[tuple[str, str]] = []
    if a.get("texts") in ("yes", "y") and a.get("region") == "US":
        found.append(
            (
                "carriers (texts, days to weeks)",
                "Register brand and campaign for 10DLC in the Twilio console: without it carriers block "
                "texts from a long number. A toll-free number is verified there too.",
            )
        )
    if (spf := wrong.get(f"SPF of {key}")) is not None:
        found.append(("DNS: SPF", spf.remedy))
    if (bounces := wrong.get(f"bounces of {key}")) is not None:
        found.append(("DNS: MX", bounces.remedy))
    found.append(
        (
            "network: port 25",
            f"Lead port 25 of the MX of {domain} to port 8025 of this machine, so that bounces come in.",
        )
    )
    if a["slack_mode"] == "http":
        found.append(
            (
                "proxy",
                f"A certificate for {a['public_url']}, and a proxy from there to http://127.0.0.1:8081.",
            )
        )
    if not listed(a.get("egress_ips", "")):
        found.append(
            (
                "relay",
                "Ask which addresses your mail leaves from, and add them as egress_ips: then SPF is checked.",
            )
        )
    found.append(
        ("DNS: DKIM", "Unless your relay signs: ispbot dkim --help makes a key and prints the record.")
    )
    return found


__all__ = ["waits"]
