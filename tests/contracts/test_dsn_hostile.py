"""What somebody can do who mails our bounce address: with a token, bounce that very mail; else nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from notifier import tracking
from notifier.dsn import (
    KEPT_OF_A_LETTER,
    KEPT_OF_A_REPORT,
    MOST_LOOKUPS,
    MOST_OF_ONE,
    MOST_REPORTS,
    MOST_WAITING,
    Received,
    receive,
    rematch,
)
from notifier.keys import Keyring
from notifier.tracking import Report, worker_event
from store.models import (
    Channel,
    Confidence,
    Delivery,
    EventKind,
    Outcome,
    Post,
    Recipient,
    Stage,
    Unmatched,
)
from store.tables import orphans as orphans_table
from store.types import new_id
from store.unit import Store
from tests.builders import KEYRING, NOW, draft, outbox
from tests.conftest import FakeClock
from tests.contracts.attempts import DANA, row, suppressed
from tests.contracts.reports import block, complaint, dsn
from tests.contracts.test_dsn import FIXED, come, history, orphans, sent, token, verp

BOB = "bob@example.com"
DESK = {1: "C_SUPPORT"}


def gone(address: str) -> str:
    return block(address, diagnostic=f"550 5.1.1 <{address}>: Recipient address rejected: User unknown")


def returned(*items: Delivery) -> bytes:
    """One report about all of them with each mail's own headers, as a relay may bundle it."""
    raw = dsn(*(gone(item.address) for item in items), returned=["Subject: x"])
    parts = b"".join(
        (
            "--cut\r\nContent-Type: text/rfc822-headers\r\n\r\n"
            f"To: {i.address}\r\nX-Delivery-Ref: {token(i)}\r\n\r\n"
        ).encode()
        for i in items
    )
    return raw.replace(b"--cut--", parts + b"--cut--")


async def test_a_token_bounces_its_own_mail_and_nobody_elses(store: Store) -> None:
    mine, bobs = await sent(store, "k1", DANA), await sent(store, "k2", BOB)
    before = await row(store, bobs)
    raw = dsn(gone(BOB), returned=[f"X-Delivery-Ref: {token(mine)}"])
    assert await come(store, raw, verp(mine)) is Received.RECORDED
    assert await row(store, bobs) == before
    assert await suppressed(store, DANA, BOB) == set()


async def test_in_a_bundle_each_report_goes_to_its_own_returned_mail(store: Store) -> None:
    mine, bobs = await sent(store, "k1", DANA), await sent(store, "k2", BOB)
    assert await come(store, returned(mine, bobs), FIXED) is Received.RECORDED
    for item in (mine, bobs):
        assert (await row(store, item)).outcome is Outcome.BOUNCED
        assert [e.hard for e in await history(store, item)] == [False, True]
    assert await suppressed(store, DANA, BOB) == {DANA, BOB}


async def test_a_report_about_a_stranger_in_a_bundle_waits_for_a_person(store: Store) -> None:
    mine = await sent(store, "k1", DANA)
    raw = dsn(gone(DANA), gone("stranger@example.com"), returned=[f"X-Delivery-Ref: {token(mine)}"])
    assert await come(store, raw, FIXED) is Received.RECORDED
    assert len(await history(store, mine)) == 2
    (kept,) = await orphans(store)
    assert (kept.recipient, kept.why, kept.cls) == (
        "stranger@example.com",
        Unmatched.AMBIGUOUS,
        "no_such_user",
    )


async def test_the_envelope_id_comes_back_signed_too(store: Store) -> None:
    item = await sent(store)
    raw = dsn().replace(b"Reporting-MTA:", f"Original-Envelope-Id: {token(item)}\r\nReporting-MTA:".encode())
    assert await come(store, raw, FIXED) is Received.RECORDED
    assert await suppressed(store, DANA) == {DANA}


async def test_a_queue_id_counts_only_for_its_very_recipient(store: Store) -> None:
    item = await sent(store, queue_id="4Q9ABCdef")
    assert await come(store, dsn(gone(BOB), queue_id="4Q9ABCdef"), FIXED) is Received.UNMATCHED
    assert (await row(store, item)).outcome is Outcome.SENT
    (kept,) = await orphans(store)
    assert kept.why is Unmatched.AMBIGUOUS


async def test_whoever_forges_a_token_is_not_matched_by_anything_weaker(store: Store) -> None:
    item = await sent(store, queue_id="4Q9ABCdef")
    forged = verp(item, keyring=Keyring.parse("2:a secret that is not ours"))
    assert await come(store, dsn(queue_id="4Q9ABCdef"), forged) is Received.UNMATCHED
    assert (await row(store, item)).outcome is Outcome.SENT
    assert [o.why for o in await orphans(store)] == [Unmatched.FORGED]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: b"Received: from elsewhere by here; Tue, 3 Mar 2026 10:00:00 +0000\r\n" + raw,
        lambda raw: raw.replace(b"\r\n", b"\n"),
        lambda raw: raw.replace(b"User unknown", b"User\r\n    unknown"),
        lambda raw: raw.replace(b"; dana@", b";   DANA@"),
    ],
    ids=["relayed again", "other line ends", "folded", "other case"],
)
async def test_a_replay_in_other_clothes_changes_nothing_twice(store: Store, change: Any) -> None:
    item = await sent(store)
    assert await come(store, dsn(), verp(item)) is Received.RECORDED
    told = await history(store, item)
    assert await come(store, change(dsn()), verp(item)) is Received.KNOWN
    assert await history(store, item) == told


async def test_an_unmatched_report_that_is_relayed_again_waits_once(store: Store) -> None:
    for raw in (dsn(), b"Received: from elsewhere\r\n" + dsn(), dsn().replace(b"\r\n", b"\n")):
        assert await come(store, raw, FIXED) is Received.UNMATCHED
    assert len(await orphans(store)) == 1


async def again(store: Store, item: Delivery) -> Delivery:
    """A second attempt, accepted by the recipient's server."""
    async with store.system() as tx:
        change = worker_event(item, EventKind.ACCEPTED, tx.now, confidence=Confidence.ACCEPTED_BY_SERVER)
        second = replace(change, attempt=2, key="worker:2:accepted")
        await tracking.record(tx, [Report(item.tenant, second)])
        await tx.conn.execute(text("UPDATE deliveries SET attempt = 2"))
    return await row(store, item)


async def test_a_report_of_the_first_attempt_does_not_bounce_the_second(store: Store) -> None:
    """Neither by Message-ID, which names no attempt, nor replayed to the second attempt's own address."""
    item = await sent(store)
    own = f"Message-ID: <{token(item, attempt=0)}@mail.cascade.example>"
    assert await come(store, dsn(returned=[own]), FIXED) is Received.RECORDED
    before = await again(store, item)
    assert before.outcome is Outcome.DELIVERED
    assert await come(store, dsn(returned=[own]), FIXED) is Received.KNOWN
    first = f"X-Delivery-Ref: {token(item, attempt=1)}"
    assert await come(store, dsn(returned=[own, first]), verp(item, attempt=2)) is Received.KNOWN
    assert await row(store, item) == before


async def test_a_retired_keys_token_counts_for_thirty_days(store: Store, clock: FakeClock) -> None:
    item = await sent(store)
    old = Keyring.parse("1:the older of two secrets")
    clock.advance(days=30)
    assert await come(store, dsn(gone(BOB)), verp(item, keyring=old)) is Received.RECORDED
    clock.advance(minutes=1)
    assert await come(store, dsn(), verp(item, keyring=old)) is Received.UNMATCHED
    assert [o.why for o in await orphans(store)] == [Unmatched.OLD_KEY]
    assert await come(store, dsn(), verp(item)) is Received.RECORDED, "the present key's token counts on"


async def test_a_texts_token_is_no_bounce_address(store: Store) -> None:
    async with store.begin(1) as tx:
        number = Recipient(Channel.SMS, "+15415550142")
        result = await outbox().enqueue(tx, draft("t", recipients=[number], sms_route="twilio"))
        (item,) = (await tx.deliveries.of_notifications([result.notification_id]))[result.notification_id]
    assert await come(store, dsn(block("+15415550142")), verp(item)) is Received.UNMATCHED
    assert (await row(store, item)).stage is Stage.QUEUED


async def test_a_flood_of_reports_about_one_mail_is_kept_within_bounds(store: Store) -> None:
    item = await sent(store)
    for start in range(0, 2 * MOST_REPORTS, MOST_REPORTS):
        many = [gone(f"forward-{n}@other.example") for n in range(start, start + MOST_REPORTS)]
        await come(store, dsn(*many, *([gone(DANA)] if not start else [])), verp(item))
    events = await history(store, item)
    assert len(events) == 1 + MOST_REPORTS
    assert any(e.hard for e in events), "what is said of the address itself goes first"


async def complains(store: Store, item: Delivery, address: str = DANA, kind: str = "abuse") -> Received:
    raw = complaint(address, token(item), kind=kind)
    return await receive(store, KEYRING, raw=raw, envelope_to=FIXED, tenant=1, desk=DESK)


async def told(store: Store, item: Delivery) -> list[Post]:
    async with store.read(1) as tx:
        return await tx.posts.of("complaint", str(item.id))


@pytest.mark.parametrize("address", [DANA, "", "redacted-4f2a@example.com"])
async def test_a_complaint_stops_our_mail_and_tells_the_desk_once(store: Store, address: str) -> None:
    item = await sent(store)
    assert await complains(store, item, address=address) is Received.RECORDED
    assert await complains(store, item, address=address) is Received.KNOWN
    async with store.read(1) as tx:
        (standing,) = (await tx.suppressions.active([(Channel.EMAIL, DANA)])).values()
    assert standing.reason == "complaint"
    assert (await row(store, item)).outcome is Outcome.SENT, "it arrived: a complaint is no bounce"
    assert [p.channel for p in await told(store, item)] == ["C_SUPPORT"]
    second = await sent(store, "k2")
    assert await complains(store, second) is Received.RECORDED
    assert await told(store, second) == [], "the desk knows that this address wants no mail"


@pytest.mark.parametrize(
    ("how", "posts"),
    [
        ({"kind": "not-spam"}, 0),
        ({"kind": "auth-failure"}, 0),
        ({"kind": "virus"}, 1),
        ({"address": BOB}, 1),
    ],
    ids=str,
)
async def test_a_complaint_of_another_sort_stops_nobodys_mail(
    store: Store, how: dict[str, str], posts: int
) -> None:
    item = await sent(store)
    await complains(store, item, **how)
    assert await suppressed(store, DANA, BOB) == set()
    assert len(await told(store, item)) == posts


async def test_a_complaint_that_counts_redraws_the_word_about_one_that_did_not(store: Store) -> None:
    item = await sent(store)
    await complains(store, item, kind="virus")
    (first,) = await told(store, item)
    await complains(store, item)
    (second,) = await told(store, item)
    assert await suppressed(store, DANA) == {DANA}
    assert second.wanted > first.wanted, "it said that mail goes on"


async def test_a_forged_complaint_changes_nothing_and_tells_nobody(store: Store) -> None:
    item = await sent(store)
    raw = complaint(DANA, token(item)).replace(token(item).encode(), b"b" + b"a" * 47)
    result = await receive(store, KEYRING, raw=raw, envelope_to=FIXED, tenant=1, desk=DESK)
    assert result is Received.UNMATCHED
    assert await suppressed(store, DANA) == set()
    assert await told(store, item) == []


async def test_a_report_that_was_quicker_than_its_queue_id_finds_its_mail_later(
    store: Store, clock: FakeClock
) -> None:
    item = await sent(store)
    assert await come(store, dsn(queue_id="4Q9ABCdef"), FIXED) is Received.UNMATCHED
    assert await rematch(store, KEYRING, since=NOW) == 0
    async with store.system() as tx:
        told = worker_event(item, EventKind.ACCEPTED, tx.now, confidence=Confidence.HANDED_TO_RELAY)
        again_ = replace(told, key="worker:1:accepted again")
        await tracking.record(tx, [Report(1, again_, queue_id="4Q9ABCdef")])
    assert await rematch(store, KEYRING, since=NOW + timedelta(seconds=1)) == 0, "too long ago"
    assert await rematch(store, KEYRING, since=NOW) == 1
    assert (await row(store, item)).outcome is Outcome.BOUNCED
    assert await orphans(store) == []
    assert await rematch(store, KEYRING, since=NOW) == 0


async def test_a_long_report_that_is_tried_again_waits_once(store: Store) -> None:
    await sent(store)
    long = dsn(words="word " * (KEPT_OF_A_REPORT // 4))
    assert await come(store, long, FIXED) is Received.UNMATCHED
    for _ in range(2):
        await rematch(store, KEYRING, since=NOW)
    assert len(await orphans(store)) == 1


async def test_a_key_that_comes_back_finds_what_it_signed(store: Store) -> None:
    item = await sent(store)
    other = Keyring.parse("3:the third of all secrets")
    assert await come(store, dsn(), verp(item, keyring=other)) is Received.UNMATCHED
    assert await rematch(store, KEYRING, since=NOW) == 0
    both = Keyring.parse("2:the newer of two secrets,3:the third of all secrets")
    assert await rematch(store, both, since=NOW) == 1
    assert await suppressed(store, DANA) == {DANA}


async def test_strangers_mail_fills_neither_the_disk_nor_the_queue(store: Store) -> None:
    await come(store, dsn(*(gone(f"{n}@b.example") for n in range(900)), words="x" * 500_000), FIXED)
    kept_of_it = await orphans(store)
    assert len(kept_of_it) == MOST_OF_ONE
    assert len(kept_of_it[0].raw) == KEPT_OF_A_REPORT
    async with store.begin(1) as tx:
        for orphan in kept_of_it:
            await tx.orphans.dismiss(orphan.id, by="U_AGENT")
    letter = b"From: a@b.example\r\n\r\n" + b"x" * (2 * KEPT_OF_A_LETTER)
    assert await come(store, letter, FIXED) is Received.NO_REPORT
    (kept,) = await orphans(store)
    assert len(kept.raw) == KEPT_OF_A_LETTER
    async with store.begin(1) as tx:
        common = {"tenant_id": 1, "source": "dsn", "recipient": "", "envelope_to": FIXED, "summary": ""}
        rows = [
            common | {"id": new_id(), "key": str(number), "raw": b"", "received_at": NOW}
            for number in range(MOST_WAITING - 1)
        ]
        await tx.conn.execute(orphans_table.insert(), rows)
    await come(store, dsn(), FIXED)
    async with store.read(1) as tx:
        assert await tx.orphans.count_waiting() == MOST_WAITING


async def test_a_report_that_names_a_thousand_domains_asks_dns_about_a_few(store: Store) -> None:
    item = await sent(store)
    asked: list[str] = []

    async def hosts(domain: str) -> frozenset[str]:
        asked.append(domain)
        return frozenset({"mx.example.net"})

    relayed = "Action: relayed\r\nStatus: 2.0.0\r\nRemote-MTA: dns; mx.example.net\r\n"
    many = [f"Final-Recipient: rfc822; a@d{n}.example\r\n{relayed}" for n in range(900)]
    await receive(store, KEYRING, raw=dsn(*many), envelope_to=verp(item), tenant=1, mx_hosts=hosts)
    assert len(asked) == len(set(asked)) == MOST_LOOKUPS
