"""Slips of the finger that must be seen, and real domains that must never be taken for one."""

from __future__ import annotations

import pytest

from notifier.addresses import (
    GENUINE,
    KNOWN_TYPOS,
    WELL_KNOWN,
    AddressStatus,
    check_address,
    nearest,
    respelled,
    unanswered,
)
from notifier.mailauth import StaticResolver

SLIPS = {
    # letters swapped, lost, doubled, or their neighbours
    **dict.fromkeys(("gmial.com", "gamil.com", "gmai.com", "gmil.com", "gmaill.com"), "gmail.com"),
    **dict.fromkeys(("gnail.com", "gmali.com", "ggmail.com", "gmaik.com", "gmsil.com"), "gmail.com"),
    **dict.fromkeys(
        ("gmaiil.com", "gmqil.com", "gmmail.com", "gmaul.com", "gmailll.com", "gail.com"), "gmail.com"
    ),
    **dict.fromkeys(
        ("hotmial.com", "hotmal.com", "homail.com", "hotmaill.com", "hotnail.com"), "hotmail.com"
    ),
    **dict.fromkeys(
        ("hotmaik.com", "hormail.com", "hotmsil.com", "hptmail.com", "hotmaiil.com"), "hotmail.com"
    ),
    **dict.fromkeys(
        ("yaho.com", "yahooo.com", "yhaoo.com", "yhoo.com", "yahho.com", "yajoo.com"), "yahoo.com"
    ),
    **dict.fromkeys(("outlok.com", "outloo.com", "oulook.com", "outlokk.com", "outlool.com"), "outlook.com"),
    **dict.fromkeys(("iclod.com", "icoud.com", "iclould.com", "icluod.com", "icloud.co"), "icloud.com"),
    **dict.fromkeys(("comcat.net", "concast.net", "comcast.ent", "comcats.net", "comast.net"), "comcast.net"),
    **dict.fromkeys(("sbcgloble.net", "sbcgobal.net", "sbcglobal.ner", "sbcglobl.net"), "sbcglobal.net"),
    **dict.fromkeys(("verison.net", "verizon.ent", "verizn.net"), "verizon.net"),
    **dict.fromkeys(("bellsoth.net", "belsouth.net"), "bellsouth.net"),
    **dict.fromkeys(("earthlnk.net", "earthlin.net"), "earthlink.net"),
    **dict.fromkeys(("protonmial.com", "protonmail.con"), "protonmail.com"),
    # the end of the name
    **dict.fromkeys(("gmail.con", "gmail.cmo", "gmail.ocm", "gmail.vom", "gmail.comm"), "gmail.com"),
    **dict.fromkeys(("gmail.co", "gmail.cm", "gmail.om", "gmail.com.com", "gmail.com.us"), "gmail.com"),
    **dict.fromkeys(("yahoo.con", "yahoo.cm", "yahoo.co", "yahoo.xom"), "yahoo.com"),
    **dict.fromkeys(("hotmail.con", "hotmail.cmo", "hotmail.co"), "hotmail.com"),
    **dict.fromkeys(("aol.con", "aol.cm", "aol.cmo"), "aol.com"),
    **dict.fromkeys(("msn.con", "msn.cm"), "msn.com"),
    **dict.fromkeys(("live.con", "live.vom"), "live.com"),
    **dict.fromkeys(("me.con", "me.cmo"), "me.com"),
    **dict.fromkeys(("att.ney", "att.ent"), "att.net"),
    **dict.fromkeys(("cox.nett", "cox.ner"), "cox.net"),
    # two slips, and what was put before it
    **dict.fromkeys(("gmial.con", "gmal.con", "www.gmail.com", "www.gmial.com"), "gmail.com"),
    **dict.fromkeys(("gmail.in", "gmail.co.in", "gmail.co.com", "00gmail.com", "fmail.com"), "gmail.com"),
    **dict.fromkeys(("hotmail.xyz", "hatmail.com"), "hotmail.com"),
    # other countries
    "yaho.co.uk": "yahoo.co.uk",
    "hotmial.co.uk": "hotmail.co.uk",
    "btinternt.com": "btinternet.com",
    "hotmal.fr": "hotmail.fr",
    "wandoo.fr": "wanadoo.fr",
    "laposte.ent": "laposte.net",
    "yahoo.com.mxx": "yahoo.com.mx",
    "hotmial.es": "hotmail.es",
    "t-onlin.de": "t-online.de",
    "rediffmial.com": "rediffmail.com",
}

REAL = (
    *("gmail.com", "googlemail.com", "yahoo.com", "ymail.com", "rocketmail.com", "myyahoo.com", "aol.com"),
    *("aim.com", "hotmail.com", "hotmail.fr", "hotmail.co.uk", "hotmail.es", "hotmail.it", "outlook.com"),
    *("outlook.fr", "outlook.de", "outlook.es", "outlook.com.br", "live.com", "live.co.uk", "live.fr"),
    *("live.ca", "live.nl", "msn.com", "icloud.com", "me.com", "mac.com", "proton.me", "protonmail.com"),
    *("pm.me", "hey.com", "fastmail.com", "fastmail.fm", "mail.com", "email.com", "inbox.com", "gmx.com"),
    *("gmx.de", "gmx.net", "gmx.at", "gmx.ch", "web.de", "t-online.de", "freenet.de", "posteo.de"),
    *("mailbox.org", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "yahoo.ca", "yahoo.com.mx", "yahoo.com.br"),
    *("yahoo.co.jp", "yahoo.in", "zoho.com", "tutanota.com", "mail.ru", "yandex.ru", "qq.com", "163.com"),
    *("126.com", "naver.com", "att.net", "sbcglobal.net", "bellsouth.net", "comcast.net", "cox.net"),
    *("charter.net", "verizon.net", "frontier.com", "q.com", "tds.net", "gci.net", "rcn.com", "ptd.net"),
    *("bell.net", "shaw.ca", "telus.net", "rogers.com", "orange.fr", "free.fr", "sfr.fr", "wanadoo.fr"),
    *("libero.it", "alice.it", "uol.com.br", "bol.com.br", "ig.com.br", "sky.com", "plus.net", "duck.com"),
)

STRANGERS = (
    *("cedarmill.example", "you.com", "google.com", "mall.com", "apl.com", "act.net"),
    *("fix.net", "one.com", "mean.com", "oulu.fi", "yoyo.com", "cloud.com", "harborview.org", "bt.com"),
    *("yopmail.com", "famous.com", "kasmail.com", "zetmail.com", "omail.de", "spymail.net"),
    *("hotmarket.com", "commcast.io", "liveoak.com", "verdant.net", "earthworks.net", "goldmail.io"),
)
"""Domains of businesses that nobody of ours knows: not even a dead one is taken for a mailbox operator's."""


def test_the_tables_are_as_large_as_promised() -> None:
    assert len(SLIPS) >= 60
    assert len(REAL) + len(STRANGERS) >= 60
    assert len(set(REAL)) == len(REAL)


@pytest.mark.parametrize(("typed", "meant"), SLIPS.items())
async def test_a_slip_at_a_dead_domain_is_suggested_rightly(typed: str, meant: str) -> None:
    found = await check_address(f"ann@{typed}", StaticResolver({}))
    assert (found.status, found.suggestion) == (AddressStatus.TYPO, f"ann@{meant}")
    assert found.takes_mail is False


@pytest.mark.parametrize("domain", REAL)
async def test_a_real_domain_is_never_corrected_whatever_dns_says(domain: str) -> None:
    zones: tuple[dict[str, object], ...] = (
        {domain: {"MX": ["10 mx.example"]}},
        {},
        {domain: "TIMEOUT"},
        {domain: {"MX": ["0 ."]}},
    )
    for zone in zones:
        found = await check_address(f"ann@{domain}", StaticResolver(zone))
        assert found.suggestion is None
        assert found.status is not AddressStatus.TYPO


@pytest.mark.parametrize("domain", STRANGERS)
async def test_a_stranger_s_domain_is_no_slip_even_when_it_is_dead(domain: str) -> None:
    for zone in ({domain: {"MX": ["10 mx.example"]}}, {}):
        assert (await check_address(f"ann@{domain}", StaticResolver(zone))).suggestion is None


@pytest.mark.parametrize("typed", sorted(set(SLIPS) - set(KNOWN_TYPOS)))
async def test_a_guess_gives_way_when_the_domain_takes_mail_after_all(typed: str) -> None:
    found = await check_address(f"ann@{typed}", StaticResolver({typed: {"MX": ["10 mx.example"]}}))
    assert (found.status, found.suggestion) == (AddressStatus.OK, None)


@pytest.mark.parametrize("zone", [{"cedar.com": {"MX": ["10 mx.cedar.com"]}}, {}, {"cedar.com": "TIMEOUT"}])
async def test_a_mistyped_end_of_an_unknown_domain_is_suggested_only_when_the_other_takes_mail(
    zone: dict[str, object],
) -> None:
    found = await check_address("ann@cedar.con", StaticResolver(zone))
    taken = isinstance(zone.get("cedar.com"), dict)
    assert found.suggestion == ("ann@cedar.com" if taken else None)
    assert found.status is (AddressStatus.TYPO if taken else AddressStatus.NO_DOMAIN)


def test_a_known_misspelling_is_known_without_dns_and_nothing_else_is() -> None:
    assert unanswered("ann@gmial.com").suggestion == "ann@gmail.com"
    assert unanswered("ann@gmial.com").takes_mail is None
    assert unanswered("ann@hotmzil.com").status is AddressStatus.UNKNOWN
    assert unanswered("ann@gone.example").status is AddressStatus.UNKNOWN


def test_no_genuine_domain_stands_among_the_misspellings() -> None:
    assert not GENUINE & set(KNOWN_TYPOS)
    assert set(KNOWN_TYPOS.values()) <= GENUINE
    assert len(set(WELL_KNOWN)) == len(WELL_KNOWN)


@pytest.mark.parametrize("domain", sorted(GENUINE))
def test_no_genuine_domain_is_a_misspelling_of_another(domain: str) -> None:
    assert nearest(domain) is None
    assert respelled(domain, takes_mail=False) is None
