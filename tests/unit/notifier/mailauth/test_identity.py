"""What recipients make of a route's mail: SPF of its addresses, its DKIM key, DMARC of its From."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from notifier.channels import Route
from notifier.mailauth import (
    Answer,
    DkimState,
    PublicKey,
    SenderFacts,
    SendingIdentity,
    SigningKey,
    SpfResult,
    Standing,
    StaticResolver,
    sending_identity,
)
from notifier.mailauth.lookup import CachingResolver

KEY = PublicKey("ed25519", bytes(range(32)))
FACTS = SenderFacts("own", "cascade.example", "mail.cascade.example", ("192.0.2.1",), "mx.cascade.example")
SIGNED = replace(FACTS, signs=SigningKey("cascade.example", "k1", KEY))
SPF = {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}
POLICY = {"TXT": ["v=DMARC1; p=reject"]}


def identity(zone: Mapping[str, object], facts: SenderFacts = FACTS) -> SendingIdentity:
    return asyncio.run(sending_identity(facts, resolver=StaticResolver(zone)))


def zone(**changes: object) -> dict[str, object]:
    """All right, but for what is changed: spf, dkim, dmarc."""
    return {
        "mail.cascade.example": changes.get("spf", SPF),
        "k1._domainkey.cascade.example": changes.get("dkim", {"TXT": [KEY.record]}),
        "_dmarc.cascade.example": changes.get("dmarc", POLICY),
    }


def test_all_in_order_passes_by_both() -> None:
    found = identity(zone(), SIGNED)
    assert (found.standing, found.spf_result, found.passes) == (Standing.BOTH, SpfResult.PASS, True)
    assert found.dkim is not None
    assert found.dkim.right
    assert found.headline == "DMARC passes by SPF and by DKIM."


def test_without_a_key_of_ours_it_passes_by_spf_alone_and_says_what_that_is_worth() -> None:
    found = identity(zone())
    assert found.standing is Standing.SPF
    assert "forwards" in found.sentences[-1]


def test_the_worst_of_several_addresses_decides() -> None:
    found = identity(zone(), replace(SIGNED, egress_ips=("192.0.2.1", "198.51.100.9")))
    assert found.spf_result is SpfResult.FAIL
    assert [one.check.result for one in found.spf] == [SpfResult.PASS, SpfResult.FAIL]
    assert found.standing is Standing.DKIM


def test_a_route_whose_addresses_nobody_told_us_is_not_blamed() -> None:
    found = identity(zone(), replace(FACTS, egress_ips=()))
    assert (found.spf_result, found.standing) == (None, Standing.UNKNOWN)
    assert "nobody told us the addresses that 'own' sends from" in found.headline
    assert "egress_ips" in " ".join(found.sentences)
    assert "SPF for mail.cascade.example was not looked at, and that domain counts" in " ".join(
        found.sentences
    )
    assert identity(zone(), replace(SIGNED, egress_ips=())).standing is Standing.DKIM


def test_an_envelope_that_cannot_count_fails_whatever_its_addresses_are() -> None:
    found = identity(zone(), replace(FACTS, egress_ips=(), envelope_domain="bounces.visp.test"))
    assert found.standing is Standing.FAILS
    assert "does not count for cascade.example" in found.headline


def test_what_a_relay_signs_we_cannot_know_and_say_so() -> None:
    said = " ".join(identity(zone(spf={"TXT": ["v=spf1 -all"]}), replace(FACTS, relayed=True)).sentences)
    assert "whether its relay signs, only a mail that arrived can show" in said


@pytest.mark.parametrize(
    ("changes", "standing", "word"),
    [
        ({"spf": {"TXT": ["v=spf1 -all"]}}, Standing.DKIM, "DKIM"),
        ({"dkim": {"TXT": ["v=DKIM1; p="]}}, Standing.SPF, "SPF"),
        ({"spf": {"TXT": ["v=spf1 -all"]}, "dkim": {"A": ["192.0.2.1"]}}, Standing.FAILS, "not right"),
        ({"dmarc": {"A": ["192.0.2.1"]}}, Standing.NO_POLICY, "no DMARC record"),
        ({"dmarc": {"TXT": ["v=DMARC1; p=refuse"]}}, Standing.BROKEN_POLICY, "cannot be used"),
        ({"dmarc": "TIMEOUT"}, Standing.UNKNOWN, "not known yet"),
        ({"spf": {"TXT": ["v=spf1 -all"]}, "dkim": "TIMEOUT"}, Standing.UNKNOWN, "not known yet"),
        ({"spf": {"A": ["192.0.2.1"]}, "dkim": {"TXT": ["v=DKIM1; p=AAAA"]}}, Standing.FAILS, "SPF does not"),
    ],
)
def test_each_fault_has_its_own_standing(changes: dict[str, object], standing: Standing, word: str) -> None:
    found = identity(zone(**changes), SIGNED)
    assert found.standing is standing
    assert word in found.headline


def test_a_missing_key_record_is_printed_ready_to_paste() -> None:
    found = identity(zone(dkim={"A": ["192.0.2.1"]}), SIGNED)
    assert found.dkim is not None
    assert found.dkim.state is DkimState.MISSING
    assert f'Publish at k1._domainkey.cascade.example as TXT: "{KEY.record}"' in found.sentences


def test_an_envelope_of_another_organisation_passes_spf_and_does_not_count() -> None:
    other = replace(FACTS, envelope_domain="bounces.visp.test")
    found = identity({**zone(), "bounces.visp.test": SPF}, other)
    assert found.standing is Standing.FAILS
    assert "does not count for cascade.example" in found.headline


class Slow:
    """The zone at a distance of 20 ms."""

    def __init__(self, zone: Mapping[str, object]) -> None:
        self._inner = StaticResolver(zone)

    async def query(self, name: str, rtype: str) -> Answer:
        await asyncio.sleep(0.02)
        return await self._inner.query(name, rtype)


async def test_what_does_not_depend_on_spf_is_asked_beside_it() -> None:
    resolver = CachingResolver(Slow(zone()))
    started = time.monotonic()
    found = await sending_identity(SIGNED, resolver=resolver)
    took = time.monotonic() - started
    await resolver.aclose()
    assert found.standing is Standing.BOTH
    assert found == await sending_identity(SIGNED, resolver=StaticResolver(zone()))
    assert took < 0.08, "six questions, one after the other, would take 120 ms"


def test_a_route_tells_its_own_facts() -> None:
    route = Route(
        name="own",
        kind="relay",
        host="mx.example",
        port=25,
        envelope="verp",
        envelope_domain="Mail.Cascade.example",
        from_address="billing@Cascade.example",
        from_name="Cascade",
        egress_ips=("192.0.2.1",),
        helo="mx.cascade.example",
    )
    assert route.sender_facts == replace(FACTS, relayed=True)
