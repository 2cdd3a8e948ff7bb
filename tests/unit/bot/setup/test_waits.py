"""What waits on others: each with the text that goes to whoever does it."""

from __future__ import annotations

import pytest

from bot.checks.finding import Finding
from bot.setup.waits import waits

ANSWERS = {
    "key": "one",
    "envelope_domain": "mail.one.example",
    "slack_mode": "socket",
    "public_url": "https://desk.one.example",
    "egress_ips": "198.51.100.10, 2001:db8::1",
    "required_include": "spf.relay.example",
    "region": "US",
}
SILENT = [
    Finding("SPF of one", True, "nothing can be said", "DNS did not answer: try again."),
    Finding("bounces of one", True, "DNS did not answer", "Try again."),
]


def told(findings: list[Finding], **more: str) -> dict[str, str]:
    return dict(waits({**ANSWERS, **more}, findings))


def test_records_are_told_in_full_where_dns_tells_nothing() -> None:
    found = told(SILENT)
    record = "v=spf1 ip4:198.51.100.10 ip6:2001:db8::1 include:spf.relay.example -all"
    assert found["DNS: SPF"] == f'Where there is none: mail.one.example. IN TXT "{record}"'
    assert found["DNS: MX"].startswith("mail.one.example. IN MX 10 desk.one.example. ")
    assert "relay" not in found


def test_a_record_that_the_check_has_mended_goes_before_ours() -> None:
    mended = "Publish this TXT record at mail.one.example: v=spf1 mx -all"
    assert told([Finding("SPF of one", False, "wrong", mended)])["DNS: SPF"] == mended


def test_nothing_is_made_up_where_nothing_is_known() -> None:
    found = told(SILENT, egress_ips="", required_include="")
    assert found["DNS: SPF"].startswith("A TXT record at mail.one.example")
    assert "egress_ips" in found["relay"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8081", "http://localhost:8081", "https://[2001:db8::1]"])
def test_an_mx_record_names_no_address(url: str) -> None:
    assert "MX 10 NAME-OF-THIS-MACHINE.example.net." in told(SILENT, public_url=url)["DNS: MX"]


def test_what_is_in_order_waits_on_nobody() -> None:
    assert set(told([])) == {"network: port 25", "DNS: DKIM"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"texts": "yes"}, "A certificate for https://desk.one.example"),
        ({"slack_mode": "http"}, "A certificate for https://desk.one.example"),
        (
            {"slack_mode": "http", "texts": "y", "public_url": "http://127.0.0.1:8081"},
            "Slack and Twilio need a public https:// address",
        ),
        ({"texts": "yes", "public_url": "http://127.0.0.1:8081"}, "Twilio needs a public https:// address"),
    ],
)
def test_whoever_is_called_from_outside_needs_a_proxy(more: dict[str, str], says: str) -> None:
    assert told([], **more)["proxy"].startswith(says)


def test_texts_in_america_wait_on_the_carriers_first() -> None:
    assert next(iter(told(SILENT, texts="yes"))) == "carriers (texts, days to weeks)"
    assert "carriers (texts, days to weeks)" not in told(SILENT, texts="yes", region="MX")
