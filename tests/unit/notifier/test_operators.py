"""Mail operators by the names of their MX hosts."""

from __future__ import annotations

import pytest

from notifier.operators import OPERATORS, operator_of, operator_of_domain

HOSTS = {
    "aspmx.l.google.com": "Google",
    "SMTP.GOOGLE.COM.": "Google",
    "alt1.gmail-smtp-in.l.google.com": "Google",
    "riverbend-com.mail.protection.outlook.com": "Microsoft",
    "outlook-com.olc.protection.outlook.com": "Microsoft",
    "riverbend-com.b-v1.mx.microsoft": "Microsoft",
    "mta5.am0.yahoodns.net": "Yahoo",
    "mx01.mail.icloud.com": "Apple iCloud",
    "mx1a1.comcast.net": "Comcast",
    "ff-ip4-mx-vip1.prodigy.net": "AT&T",
    "prodigy.net.mx": "Telmex",
    "mx01.ionos.com": "IONOS",
    "mx00.kundenserver.de": "IONOS",
    "mx-ha02.web.de": "GMX and WEB.DE",
    "mx2.zoho.eu": "Zoho",
    "mxa-0012ab01.gslb.pphosted.com": "Proofpoint",
    "us-smtp-inbound-1.mimecast.com": "Mimecast",
    "d12345a.ess.barracudanetworks.com": "Barracuda",
    "inbound-smtp.us-east-1.amazonaws.com": "Amazon SES",
    "mx1.bigmail.example": "bigmail.example",
    "mx.provider.com.mx": "provider.com.mx",
    "notgoogle.com": "notgoogle.com",
    "google.com.evil.example": "evil.example",
    "mx": "mx",
    "": "",
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_s_operator(host: str) -> None:
    assert operator_of(host) == HOSTS[host]


def test_a_company_s_domain_is_its_operator_s_and_one_without_mx_its_own() -> None:
    assert operator_of_domain("riverbend.com", ["riverbend-com.mail.protection.outlook.com"]) == "Microsoft"
    assert operator_of_domain("riverbend.com", []) == "riverbend.com"


def test_no_suffix_stands_for_two_operators() -> None:
    suffixes = [suffix for found in OPERATORS.values() for suffix in found]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.casefold().strip(".") and "." in suffix for suffix in suffixes)
