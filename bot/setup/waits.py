"""What waits on others before mail goes to everybody: DNS, the carriers, the proxy. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

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
        found.append(("DNS: SPF", spf.remedy if "v=spf1" in spf.remedy else _spf(a)))
    if f"bounces of {key}" in wrong:
        found.append(("DNS: MX", _mx(a)))
    found.append(
        (
            "network: port 25",
            f"Lead port 25 of the MX of {domain} to port 8025 of this machine, so that bounces come in.",
        )
    )
    if (proxy := _proxy(a)) is not None:
        found.append(("proxy", proxy))
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


def _spf(a: Mapping[str, str]) -> str:
    """Where DNS tells nothing: what is right when there is no record yet."""
    ways = [f"ip{'6' if ':' in ip else '4'}:{ip}" for ip in listed(a.get("egress_ips", ""))]
    if a.get("required_include"):
        ways.append(f"include:{a['required_include']}")
    if not ways:
        return f"A TXT record at {a['envelope_domain']} with the addresses that your mail leaves from."
    record = " ".join(["v=spf1", *ways, "-all"])
    return f'Where there is none: {a["envelope_domain"]}. IN TXT "{record}"'


def _mx(a: Mapping[str, str]) -> str:
    host = urlsplit(a["public_url"]).hostname or ""
    if host in ("", "localhost") or _is_ip(host):
        host = "NAME-OF-THIS-MACHINE.example.net"  # an MX record names a host, never an address (RFC 1035)
    return f"{a['envelope_domain']}. IN MX 10 {host}. (the machine where bounces come in)"


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _proxy(a: Mapping[str, str]) -> str | None:
    """Who calls us at the public address; None: nobody has to."""
    callers = [
        *(["Slack"] if a["slack_mode"] == "http" else []),
        *(["Twilio"] if a.get("texts") in ("yes", "y") else []),
    ]
    if not callers:
        return None
    if not a["public_url"].startswith("https://"):
        needs = "need" if len(callers) > 1 else "needs"
        return f"{' and '.join(callers)} {needs} a public https:// address: then ispbot setup --again."
    return f"A certificate for {a['public_url']}, and a proxy from there to http://127.0.0.1:8081."


__all__ = ["waits"]
