"""The daily look at our domains: what is written down, what is told of a change, and what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from handlers.contract import Services
from handlers.domain_words import Drift, drift_of, title
from handlers.surfaces.drift import SURFACE as WORD
from handlers.surfaces.incident import SURFACE as CARD
from handlers.workflows.domains import DRIFT_SURFACE, DomainWatch, Looked
from handlers.workflows.incidents import INCIDENT_SURFACE
from handlers.workflows.oncall import Watch
from notifier.mailauth import PublicKey, StaticResolver
from notifier.mailauth.dkim_sign import DkimSigner
from store.models import DomainRecord, Incident, IncidentState, Post, RecordVerdict
from tests.builders import NOW
from tests.conftest import FakeClock
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import RELAY, golden, legal, profile, said

ENVELOPE, SENDER = "mail.cascade.example", "cascade.example"
SPF = "v=spf1 mx include:spf.visp.net ~all"
ZONE: dict[str, object] = {
    ENVELOPE: {"TXT": [SPF], "MX": ["10 mx.mail.cascade.example"]},
    "mx.mail.cascade.example": {"A": ["203.0.113.80"]},
    SENDER: {"MX": ["10 mx.cascade.example"]},
    "mx.cascade.example": {"A": ["203.0.113.11"]},
    "_dmarc.cascade.example": {"TXT": ["v=DMARC1; p=quarantine"]},
    "spf.visp.net": {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]},
}
BROKEN = "v=spf1 mx ~all"
VISP = replace(RELAY, egress_ips=("198.51.100.10",))


def seeing(services: Services, **changed: object) -> Services:
    """`spf`, `mx`, `dmarc`: what DNS has instead."""
    zone = {name: dict(rows) if isinstance(rows, dict) else rows for name, rows in ZONE.items()}
    names = {"spf": (ENVELOPE, "TXT"), "mx": (ENVELOPE, "MX"), "dmarc": ("_dmarc.cascade.example", "TXT")}
    for key, value in changed.items():
        name, rtype = names[key]
        if value == "TIMEOUT":
            zone[name] = "TIMEOUT"
        else:
            rows = zone[name]
            assert isinstance(rows, dict)
            rows[rtype] = value
    tenants = {1: profile(routes=(VISP,)), 2: services.profile(2)}
    return replace(services, tenants=tenants, resolver=StaticResolver(zone))


async def look(services: Services) -> Looked | None:
    return await DomainWatch(services, 1).sweep()


async def records(services: Services) -> dict[tuple[str, str], DomainRecord]:
    async with services.store.read(1) as tx:
        return {(r.domain, r.kind): r for r in await tx.domain_records.all()}


async def unresolved(services: Services) -> list[Incident]:
    async with services.store.read(1) as tx:
        return await tx.incidents.unresolved()


async def posts(services: Services, surface: str) -> list[Post]:
    async with services.store.system() as tx:
        behind = await tx.posts.claim_behind(worker="test", lease_s=0)
    return [post for post in behind if post.surface == surface]


async def test_each_record_that_matters_to_our_mail_is_written_down_with_its_worth(
    services: Services,
) -> None:
    looked = await look(seeing(services))
    assert looked is not None
    assert (looked.seen, looked.changed, looked.unanswered) == (4, (), ())
    found = await records(services)
    assert {key: record.verdict for key, record in found.items()} == {
        (ENVELOPE, "spf"): RecordVerdict.OK,
        (ENVELOPE, "mx"): RecordVerdict.OK,
        (SENDER, "mx"): RecordVerdict.OK,
        (SENDER, "dmarc"): RecordVerdict.OK,
    }
    assert found[ENVELOPE, "spf"].value == SPF
    assert "DMARC passes by SPF." in found[SENDER, "dmarc"].said
    assert await posts(services, DRIFT_SURFACE) == [], "the first sight is no news"


async def test_the_look_is_daily_and_at_start_when_it_is_older(services: Services, clock: FakeClock) -> None:
    seen = seeing(services)
    assert await look(seen) is not None
    assert await look(seen) is None
    clock.advance(hours=23, minutes=59)
    assert await look(seen) is None
    clock.advance(minutes=1)
    assert await look(seen) is not None


@pytest.mark.parametrize(
    ("changed", "kind", "verdict"),
    [
        ({"spf": [BROKEN]}, "spf", RecordVerdict.WRONG),
        ({"spf": []}, "spf", RecordVerdict.MISSING),
        ({"spf": [SPF, SPF]}, "spf", RecordVerdict.WRONG),
        ({"spf": ["v=spf1 mx include:spf.visp.net ?all"]}, "spf", RecordVerdict.WEAK),
        ({"mx": ["0 ."]}, "mx", RecordVerdict.MISSING),
        ({"dmarc": []}, "dmarc", RecordVerdict.MISSING),
        ({"dmarc": ["v=DMARC1; p=none"]}, "dmarc", RecordVerdict.WEAK),
    ],
)
async def test_a_record_s_worth(
    services: Services, changed: dict[str, object], kind: str, verdict: RecordVerdict
) -> None:
    await look(seeing(services, **changed))
    domain = SENDER if kind == "dmarc" else ENVELOPE
    assert (await records(services))[domain, kind].verdict is verdict


async def test_a_record_that_got_worse_is_one_alert_that_ends_by_itself_with_a_word_in_its_thread(
    services: Services, clock: FakeClock
) -> None:
    await look(seeing(services))
    clock.advance(days=1)
    await look(seeing(services, spf=[BROKEN]))
    (incident,) = await unresolved(services)
    assert incident.title == f"The SPF record of {ENVELOPE} was changed and is wrong now"
    (card,) = await posts(services, INCIDENT_SURFACE)
    assert (card.channel, card.key) == ("C_ONCALL", str(incident.id))
    reply = await CARD.draw(services, 1, card.key)
    assert reply is not None
    golden("drift_card", reply)
    shown = said(reply)
    assert f"Before:\n```{SPF}```\nNow:\n```{BROKEN}```" in shown
    assert "Receivers may refuse our mail" in shown
    assert "message" not in shown

    await Watch(services, 1).look()
    assert len(await unresolved(services)) == 1, "the look at incidents leaves it alone"
    clock.advance(minutes=14)
    assert await look(seeing(services)) is None
    clock.advance(minutes=1)
    assert await look(seeing(services)) is not None, "looked at more often while it is told"
    assert await unresolved(services) == []
    async with services.store.read(1) as tx:
        after = await tx.incidents.get(incident.id)
    assert after is not None
    assert after.state is IncidentState.RESOLVED
    (word,) = await posts(services, DRIFT_SURFACE)
    assert word.parent_id == card.id
    told = await WORD.draw(services, 1, word.key)
    assert told is not None
    golden("drift_mended", told)
    edited = await CARD.draw(services, 1, card.key)
    assert edited is not None
    assert "Resolved by the daily look at DNS" in said(legal(edited))
    assert await look(seeing(services)) is None, "daily again"


async def test_a_change_that_breaks_nothing_is_told_once_and_is_no_incident(
    services: Services, clock: FakeClock
) -> None:
    await look(seeing(services))
    clock.advance(days=1)
    await look(seeing(services, spf=["v=spf1 a include:spf.visp.net ~all"]))
    assert await unresolved(services) == []
    (post,) = await posts(services, DRIFT_SURFACE)
    assert (post.channel, post.parent_id) == ("C_ONCALL", None)
    reply = await WORD.draw(services, 1, post.key)
    assert reply is not None
    assert "was changed and is still right" in said(legal(reply))


async def test_a_time_out_is_never_drift_and_is_asked_again_soon(
    services: Services, clock: FakeClock
) -> None:
    await look(seeing(services))
    clock.advance(days=1)
    looked = await look(seeing(services, spf="TIMEOUT", dmarc="TIMEOUT"))
    assert looked is not None
    assert set(looked.unanswered) == {f"{ENVELOPE} SPF", f"{ENVELOPE} MX", f"{SENDER} DMARC"}
    assert await unresolved(services) == []
    assert await posts(services, DRIFT_SURFACE) == []
    record = (await records(services))[ENVELOPE, "spf"]
    assert (record.value, record.checked_at) == (SPF, NOW), "its age tells that nobody has seen it since"
    clock.advance(minutes=15)
    assert await look(seeing(services)) is not None


async def test_an_include_that_breaks_behind_an_unchanged_record_is_told(
    services: Services, clock: FakeClock
) -> None:
    await look(seeing(services))
    clock.advance(days=1)
    gone = {k: v for k, v in ZONE.items() if k != "spf.visp.net"}
    await look(replace(seeing(services), resolver=StaticResolver(gone)))
    (incident,) = await unresolved(services)
    assert incident.title == f"The SPF record of {ENVELOPE} is the same, but does not work"
    reply = await CARD.draw(services, 1, str(incident.id))
    assert reply is not None
    assert f"Published (unchanged):\n```{SPF}```" in said(legal(reply))


async def test_another_wrong_record_while_it_is_told_is_the_same_alert(
    services: Services, clock: FakeClock
) -> None:
    await look(seeing(services))
    clock.advance(days=1)
    await look(seeing(services, spf=[BROKEN]))
    clock.advance(minutes=15)
    await look(seeing(services, spf=["v=spf1 -all"]))
    (incident,) = await unresolved(services)
    assert incident.count == 2
    reply = await CARD.draw(services, 1, str(incident.id))
    assert reply is not None
    assert f"Before:\n```{BROKEN}```\nNow:\n```v=spf1 -all```" in said(legal(reply))


async def test_two_records_that_break_are_two_alerts(services: Services, clock: FakeClock) -> None:
    await look(seeing(services))
    clock.advance(days=1)
    await look(seeing(services, spf=[BROKEN], dmarc=[]))
    assert len(await unresolved(services)) == 2


async def test_people_see_the_alert_in_the_list_and_may_resolve_it_themselves(
    services: Services, clock: FakeClock
) -> None:
    await look(seeing(services))
    clock.advance(days=1)
    await look(seeing(services, spf=[BROKEN]))
    agent = agent_on(services)
    assert "*1 change*" in said(await agent.types("incidents"))
    (incident,) = await unresolved(services)
    async with services.store.begin(1) as tx:
        await tx.incidents.resolve(incident.id, "U_AGENT", "known")
    clock.advance(days=1)
    await look(seeing(services, spf=[BROKEN]))
    assert await unresolved(services) == [], "nothing has changed since: no second alert"
    clock.advance(days=1)
    await look(seeing(services))
    (post,) = await posts(services, DRIFT_SURFACE)
    assert post.parent_id is None


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PublicKey("ed25519", KEY.public_key().public_bytes_raw())
OTHER = PublicKey("ed25519", bytes(32))
SIGNING = replace(VISP, dkim=DkimSigner(SENDER, "ispbot1", PUBLIC, 256, KEY))
KEY_NAME = f"ispbot1._domainkey.{SENDER}"


def signing(services: Services, record: object) -> Services:
    """Our route signs; `record` is what DNS has of the key."""
    zone = ZONE | ({} if record is None else {KEY_NAME: record})
    tenants = {1: profile(routes=(SIGNING, replace(SIGNING, name="own"))), 2: services.profile(2)}
    return replace(services, tenants=tenants, resolver=StaticResolver(zone))


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ({"TXT": [PUBLIC.record]}, RecordVerdict.OK),
        ({"TXT": [PUBLIC.record + "; t=y"]}, RecordVerdict.WEAK),
        ({"TXT": [OTHER.record]}, RecordVerdict.WRONG),
        ({"TXT": ["v=DKIM1; k=ed25519; p="]}, RecordVerdict.WRONG),
        ({"TXT": [PUBLIC.record, OTHER.record]}, RecordVerdict.WRONG),
        (None, RecordVerdict.MISSING),
        ("TIMEOUT", None),
    ],
)
async def test_a_key_that_we_sign_with_is_looked_at_once_however_many_routes_use_it(
    services: Services, record: object, verdict: RecordVerdict | None
) -> None:
    looked = await look(signing(services, record))
    assert looked is not None
    found = (await records(services)).get((SENDER, "dkim:ispbot1"))
    assert (found.verdict if found else None) is verdict
    assert looked.unanswered == (() if verdict else (f"{SENDER} DKIM ispbot1",))


async def test_a_key_that_somebody_replaces_is_an_alert(services: Services, clock: FakeClock) -> None:
    await look(signing(services, {"TXT": [PUBLIC.record]}))
    clock.advance(days=1)
    await look(signing(services, {"TXT": [OTHER.record]}))
    (incident,) = await unresolved(services)
    assert incident.title == f"The DKIM key ispbot1 of {SENDER} was changed and is wrong now"
    reply = await CARD.draw(services, 1, str(incident.id))
    assert reply is not None
    shown = said(legal(reply))
    assert f"Before:\n```{PUBLIC.record}```\nNow:\n```{OTHER.record}```" in shown
    assert "Our signatures count for nothing" in shown
    page = said(await agent_on(signing(services, None)).types("mail"))
    assert "DKIM key ispbot1: " in page
    assert "we do not sign" not in page


OK, WEAK, WRONG, MISSING = (
    RecordVerdict.OK,
    RecordVerdict.WEAK,
    RecordVerdict.WRONG,
    RecordVerdict.MISSING,
)


@pytest.mark.parametrize(
    ("was", "now", "drift", "words"),
    [
        (OK, WRONG, Drift.WORSE, "was changed and is wrong now"),
        (WEAK, MISSING, Drift.WORSE, "is gone"),
        (WRONG, MISSING, Drift.STILL_BAD, "is gone"),
        (WRONG, WRONG, Drift.STILL_BAD, "was changed and is still wrong"),
        (WRONG, OK, Drift.MENDED, "is right now"),
        (MISSING, WEAK, Drift.MENDED, "is right now"),
        (OK, WEAK, Drift.HARMLESS, "was changed and is still right"),
        (OK, OK, Drift.HARMLESS, "was changed and is still right"),
    ],
)
def test_what_a_change_is_to_us(was: RecordVerdict, now: RecordVerdict, drift: Drift, words: str) -> None:
    value = "" if now is MISSING else "b"
    record = DomainRecord("d.example", "spf", value, now, "", NOW, "a", was, NOW + timedelta(hours=1))
    assert drift_of(record) is drift
    assert title(record) == f"The SPF record of d.example {words}"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("spf", ["v=spf1 mx -all", "v=spf1 a -all"]),
        ("mx", ["10 mx.mail.cascade.example", "10 B.mail.cascade.example"]),
        ("dmarc", ["v=DMARC1; p=none", "v=DMARC1; p=reject"]),
    ],
)
async def test_the_order_of_what_dns_answers_is_no_change(
    services: Services, clock: FakeClock, kind: str, values: list[str]
) -> None:
    await look(seeing(services, **{kind: values}))
    clock.advance(days=1)
    looked = await look(seeing(services, **{kind: values[::-1]}))
    assert looked is not None
    assert looked.changed == ()


@pytest.mark.parametrize(
    "silent",
    [{"spf.other.example": "TIMEOUT"}, {"x.example": "TIMEOUT"}, {"mx.mail.cascade.example": "TIMEOUT"}],
)
async def test_an_include_that_dns_is_silent_about_neither_mends_nor_spoils_a_record(
    services: Services, clock: FakeClock, silent: dict[str, object]
) -> None:
    record = "v=spf1 include:spf.visp.net include:spf.other.example exists:x.example mx ~all"
    zone: dict[str, object] = {
        **ZONE,
        ENVELOPE: {"TXT": [record], "MX": ["10 mx.mail.cascade.example"]},
        "x.example": {"A": ["127.0.0.2"]},
    }
    whole = zone | {"spf.other.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}
    broken = zone | {"spf.other.example": {"TXT": ["v=spf1 moo -all"]}}
    for before in (whole, broken):
        await look(replace(seeing(services), resolver=StaticResolver(before)))
        was = (await records(services))[ENVELOPE, "spf"].verdict
        clock.advance(days=1)
        looked = await look(replace(seeing(services), resolver=StaticResolver(before | silent)))
        assert looked is not None
        assert [record.kind for record in looked.changed] == []
        assert (await records(services))[ENVELOPE, "spf"].verdict is was
        clock.advance(days=1)


@pytest.mark.parametrize(
    ("published", "title_", "words"),
    [
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "was changed and is wrong now", "has 2 DMARC records"),
        (["v=DMARC1; p=moo"], "was changed and is wrong now", "cannot be used"),
        ([], "is gone", "has no DMARC record"),
    ],
)
async def test_a_dmarc_record_that_receivers_cannot_use_is_wrong_and_shown_and_not_called_gone(
    services: Services, clock: FakeClock, published: list[str], title_: str, words: str
) -> None:
    await look(seeing(services))
    clock.advance(days=1)
    await look(seeing(services, dmarc=published))
    record = (await records(services))[SENDER, "dmarc"]
    assert title(record) == f"The DMARC record of {SENDER} {title_}"
    assert record.value == "\n".join(published)
    assert words in record.said


async def test_the_alert_of_a_domain_that_we_do_not_send_from_any_more_ends(
    services: Services, clock: FakeClock
) -> None:
    await look(seeing(services))
    clock.advance(days=1)
    await look(seeing(services, spf=[BROKEN]))
    (incident,) = await unresolved(services)
    clock.advance(minutes=15)
    moved = replace(VISP, envelope_domain=SENDER)
    there = replace(seeing(services, spf=[BROKEN]), tenants={1: profile(routes=(moved,))})
    assert await look(there) is not None
    assert await unresolved(services) == []
    async with services.store.read(1) as tx:
        after = await tx.incidents.get(incident.id)
    assert after is not None
    assert after.state is IncidentState.RESOLVED
    clock.advance(hours=23)
    assert await look(there) is None, "daily again"
