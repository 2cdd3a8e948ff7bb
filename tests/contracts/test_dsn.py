"""Bounce messages to events, over a real database: whose delivery it is, and what may follow from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from notifier import tracking
from notifier.bounces import BounceClass, BounceReport, Fault
from notifier.dsn import Received, event_kind, reason_of, receive
from notifier.keys import DeliveryToken, Keyring
from notifier.tracking import Report, worker_event
from store.models import (
    Channel,
    Confidence,
    Delivery,
    Event,
    EventKind,
    EventSource,
    Orphan,
    Outcome,
    Reason,
    Stage,
)
from store.unit import SYSTEM_TENANT, Store
from tests.builders import DOMAIN, KEYRING, NOW, draft, outbox, take
from tests.conftest import FakeClock
from tests.contracts.attempts import DANA, row, suppressed
from tests.contracts.reports import block, dsn

FIXED = f"bounces@{DOMAIN[1]}"


async def sent(
    store: Store,
    key: str = "k",
    *addresses: str,
    tenant: int = 1,
    confidence: Confidence = Confidence.HANDED_TO_RELAY,
    queue_id: str = "",
) -> Delivery:
    """A delivery whose first attempt was accepted."""
    async with store.begin(tenant) as tx:
        result = await outbox().enqueue(tx, draft(key, *(addresses or (DANA,))))
    async with store.system() as tx:
        claimed = await take(
            tx,
            tenant=tenant,
            route="relay",
            limit=10,
            worker="w1",
            lease_s=60,
            retry_at=NOW + timedelta(minutes=1),
        )
        reports = [
            Report(
                tenant,
                worker_event(d, EventKind.ACCEPTED, NOW, confidence=confidence),
                fenced=True,
                queue_id=queue_id,
            )
            for d in claimed
        ]
        await tracking.record(tx, reports)
    async with store.read(tenant) as tx:
        found = (await tx.deliveries.of_notifications([result.notification_id]))[result.notification_id]
    return next(d for d in found if d.address == (addresses or (DANA,))[0])


def token(item: Delivery, attempt: int = 1, keyring: Keyring = KEYRING) -> str:
    return keyring.delivery_token(DeliveryToken(item.tenant, item.id, attempt))


def verp(item: Delivery, attempt: int = 1, keyring: Keyring = KEYRING) -> str:
    return f"{token(item, attempt, keyring)}@{DOMAIN[item.tenant]}"


async def come(store: Store, raw: bytes, envelope_to: str, tenant: int | None = 1) -> Received:
    return await receive(store, KEYRING, raw=raw, envelope_to=envelope_to, tenant=tenant)


async def history(store: Store, item: Delivery) -> list[Event]:
    """What the worker said first, then what reports said (the clock stands still meanwhile)."""
    async with store.read(item.tenant) as tx:
        found = (await tx.events.of([(item.tenant, item.id)]))[item.tenant, item.id]
    return sorted(found, key=lambda e: e.source is EventSource.DSN)


async def orphans(store: Store, tenant: int = 1) -> list[Orphan]:
    async with store.read(tenant) as tx:
        return await tx.orphans.waiting()


async def test_a_bounce_to_the_verp_address_is_recorded_and_suppresses(store: Store) -> None:
    item = await sent(store)
    assert await come(store, dsn(), verp(item)) is Received.RECORDED
    after = await row(store, item)
    assert (after.stage, after.outcome, after.reason, after.cls) == (
        Stage.CLOSED,
        Outcome.BOUNCED,
        Reason.RECIPIENT,
        BounceClass.NO_SUCH_USER,
    )
    assert "User unknown" in after.diagnostic
    bounce = (await history(store, item))[-1]
    assert (bounce.source, bounce.attempt, bounce.status, bounce.reply_code, bounce.hard) == (
        EventSource.DSN,
        1,
        "5.1.1",
        "550",
        True,
    )
    assert await suppressed(store, DANA) == {DANA}
    assert await orphans(store) == []


@pytest.mark.parametrize("change", [str.upper, str.title, lambda t: f"{t}+tagged-by-a-relay"])
async def test_a_relay_may_change_the_case_of_the_token_and_tag_it(store: Store, change: Any) -> None:
    item = await sent(store)
    assert await come(store, dsn(), f"{change(token(item))}@{DOMAIN[1]}") is Received.RECORDED
    assert (await row(store, item)).outcome is Outcome.BOUNCED


@pytest.mark.parametrize("form", ["X-Delivery-Ref: {token}", "Message-ID: <{own}@mail.cascade.example>"])
async def test_without_verp_the_returned_headers_tell_whose_it_is(store: Store, form: str) -> None:
    item = await sent(store)
    raw = dsn(returned=["Subject: x", form.format(token=token(item), own=token(item, attempt=0))])
    assert await come(store, raw, FIXED) is Received.RECORDED
    assert (await row(store, item)).outcome is Outcome.BOUNCED
    assert (await history(store, item))[-1].attempt == 1
    assert await suppressed(store, DANA) == {DANA}, "the returned header is signed too"


async def test_a_message_id_that_a_relay_replaced_leaves_the_signed_header(store: Store) -> None:
    item = await sent(store)
    raw = dsn(returned=["Message-ID: <0102018a@relay.example>", f"X-Delivery-Ref: {token(item)}"])
    assert await come(store, raw, FIXED) is Received.RECORDED


async def test_a_match_by_queue_id_counts_as_evidence_and_never_suppresses(store: Store) -> None:
    item = await sent(store, queue_id="4Q9ABCdef")
    assert await come(store, dsn(queue_id="4Q9ABCdef"), FIXED) is Received.RECORDED
    assert (await row(store, item)).outcome is Outcome.BOUNCED
    assert await suppressed(store, DANA) == set()


async def test_a_queue_id_that_two_deliveries_share_matches_neither(store: Store) -> None:
    item = await sent(store, "k", "a@example.com", "b@example.com", queue_id="4Q9ABC")
    assert await come(store, dsn(queue_id="4Q9ABC"), FIXED) is Received.UNMATCHED
    assert (await row(store, item)).outcome is Outcome.SENT


async def test_a_forged_token_is_kept_unmatched_and_changes_nothing(store: Store) -> None:
    item = await sent(store)
    before = await row(store, item)
    forged = Keyring.parse("2:a secret that is not ours")
    letters = token(item)
    altered = letters[:30] + ("a" if letters[30] != "a" else "c") + letters[31:]
    for envelope_to in (verp(item, keyring=forged), f"{altered}@{DOMAIN[1]}"):
        raw = dsn(returned=[f"X-Delivery-Ref: {token(item, keyring=forged)}"], words=envelope_to)
        assert await come(store, raw, envelope_to) is Received.UNMATCHED
    assert await row(store, item) == before
    assert await suppressed(store, DANA) == set()
    kept = await orphans(store)
    assert {orphan.recipient for orphan in kept} == {DANA}
    assert len(kept) == 2
    assert kept[0].summary.startswith("no_such_user: ")


async def test_a_token_of_a_retired_key_matches_no_more(store: Store) -> None:
    item = await sent(store)
    old = verp(item, keyring=Keyring.parse("1:the older of two secrets"))
    assert await come(store, dsn(), old) is Received.RECORDED, "still in the list"
    newer = Keyring.parse("2:the newer of two secrets")
    again = await receive(store, newer, raw=dsn(words="again"), envelope_to=old, tenant=1)
    assert again is Received.UNMATCHED


async def test_a_token_for_a_delivery_that_does_not_exist_is_kept_unmatched(store: Store) -> None:
    item = await sent(store)
    nobody = KEYRING.delivery_token(DeliveryToken(1, UUID(int=5), 1))
    moved = KEYRING.delivery_token(DeliveryToken(2, item.id, 1))
    for text in (nobody, moved):
        assert await come(store, dsn(words=text), f"{text}@{DOMAIN[1]}") is Received.UNMATCHED
    assert (await row(store, item)).outcome is Outcome.SENT


async def test_a_token_carries_its_tenant_wherever_the_bounce_comes_in(store: Store) -> None:
    mine, other = await sent(store, "k"), await sent(store, "k", tenant=2)
    assert await come(store, dsn(), f"{token(other)}@{DOMAIN[1]}", tenant=1) is Received.RECORDED
    assert (await row(store, other)).outcome is Outcome.BOUNCED
    assert (await row(store, mine)).outcome is Outcome.SENT
    assert await suppressed(store, DANA, tenant=2) == {DANA}
    assert await suppressed(store, DANA, tenant=1) == set()


async def test_a_replay_changes_nothing_twice(store: Store, clock: FakeClock) -> None:
    item = await sent(store)
    await come(store, dsn(), verp(item))
    before, told = await row(store, item), await history(store, item)
    async with store.begin(1) as tx:
        await tx.suppressions.release(Channel.EMAIL, DANA, actor="U_LEAD")
    clock.advance(days=1)
    for raw in (dsn(), dsn(words="the same report in another envelope")):
        assert await come(store, raw, verp(item)) is Received.KNOWN
    assert await row(store, item) == before
    assert await history(store, item) == told
    assert await suppressed(store, DANA) == set()


async def test_an_unmatched_replay_is_kept_once(store: Store) -> None:
    for _ in range(3):
        assert await come(store, dsn(), FIXED) is Received.UNMATCHED
    assert len(await orphans(store)) == 1


async def test_two_different_bounces_of_one_attempt_are_two_events(store: Store) -> None:
    item = await sent(store)
    await come(store, dsn(block(status="4.2.2", diagnostic="452 4.2.2 Mailbox full")), verp(item))
    await come(store, dsn(), verp(item))
    assert len(await history(store, item)) == 3


async def test_the_attempt_comes_from_the_token(store: Store) -> None:
    item = await sent(store)
    await come(store, dsn(), verp(item, attempt=7))
    assert (await history(store, item))[-1].attempt == 7


async def test_of_several_recipients_none_is_lost_and_only_ours_is_suppressed(store: Store) -> None:
    """A mailbox may forward to others: their bounces are told, and their addresses are not ours to judge."""
    item = await sent(store)
    others = [
        block(
            address,
            diagnostic=f"550 5.1.1 <{address}>: Recipient address rejected: User unknown",
        )
        for address in ("forward-1@other.example", "forward-2@other.example")
    ]
    assert await come(store, dsn(*others, block()), verp(item)) is Received.RECORDED
    bounces = [e for e in await history(store, item) if e.kind is EventKind.BOUNCED]
    assert sorted(e.hard for e in bounces) == [False, False, True]
    assert await suppressed(store, DANA, "forward-1@other.example", "forward-2@other.example") == {DANA}


async def test_a_dead_address_that_a_live_mailbox_forwards_to_suppresses_nobody(store: Store) -> None:
    item = await sent(store)
    elsewhere = "550 5.1.1 <gone@other.example>: User unknown"
    await come(store, dsn(block("gone@other.example", diagnostic=elsewhere)), verp(item))
    assert (await row(store, item)).outcome is Outcome.BOUNCED
    assert await suppressed(store, DANA, "gone@other.example") == set()


async def test_a_dead_forward_says_nothing_against_the_mailbox_that_forwards(store: Store) -> None:
    """Original-Recipient is our own ORCPT come back, also from far behind the mailbox that we know."""
    item = await sent(store)
    fields = block("u1234@backend.example") + f"Original-Recipient: rfc822; {DANA.title()}\r\n"
    await come(store, dsn(fields), verp(item))
    assert await suppressed(store, DANA) == set()
    assert (await row(store, item)).outcome is Outcome.BOUNCED


async def test_relayed_to_somebody_else_is_no_arrival(store: Store) -> None:
    """RFC 3464 section 2.3.3: only that whoever took it sends no success reports."""
    item = await sent(store, confidence=Confidence.HANDED_TO_RELAY)
    raw = dsn(block(action="relayed", status="2.0.0", diagnostic="250 2.0.0 Ok"))
    await come(store, raw, verp(item))
    after = await row(store, item)
    assert (after.stage, after.outcome, after.confidence) == (
        Stage.AWAITING,
        Outcome.SENT,
        Confidence.HANDED_TO_RELAY,
    )


@pytest.mark.parametrize(
    ("action", "status"),
    [("delivered", "2.0.0"), ("expanded", "2.0.0")],
)
async def test_a_report_of_success_is_delivered_as_the_recipients_server_says(
    store: Store, action: str, status: str
) -> None:
    item = await sent(store)
    raw = dsn(block(action=action, status=status, diagnostic="250 2.0.0 Ok"))
    assert await come(store, raw, verp(item)) is Received.RECORDED
    after = await row(store, item)
    assert (after.stage, after.outcome, after.confidence, after.reason, after.cls) == (
        Stage.CLOSED,
        Outcome.DELIVERED,
        Confidence.ACCEPTED_BY_SERVER,
        Reason.NONE,
        "",
    )


@pytest.mark.parametrize("confidence", [Confidence.HANDED_TO_RELAY, Confidence.ACCEPTED_BY_SERVER])
async def test_a_delay_is_news_and_lowers_nothing(store: Store, confidence: Confidence) -> None:
    item = await sent(store, confidence=confidence)
    before = await row(store, item)
    delayed = block(action="delayed", status="4.4.1", diagnostic="connect to mx.example.com: timed out")
    assert await come(store, dsn(delayed), verp(item)) is Received.RECORDED
    after = await row(store, item)
    assert replace(after, due_at=before.due_at) == before
    assert after.due_at > before.due_at, "while the relay is still trying, silence is no arrival"
    assert [e.kind for e in await history(store, item)] == [EventKind.ACCEPTED, EventKind.DELAYED]


async def test_a_delay_about_an_unknown_user_suppresses_nobody_yet(store: Store) -> None:
    item = await sent(store)
    delayed = block(action="delayed", status="4.1.1", diagnostic="450 4.1.1 User unknown")
    await come(store, dsn(delayed), verp(item))
    assert await suppressed(store, DANA) == set()


@pytest.mark.parametrize(
    ("status", "diagnostic", "reason"),
    [
        ("5.2.2", "552 5.2.2 Mailbox full", Reason.CAPACITY),
        ("5.7.23", "550 5.7.23 SPF validation failed", Reason.CONFIG),
        (
            "5.7.1",
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using a reputation list",
            Reason.INFRASTRUCTURE,
        ),
    ],
)
async def test_a_bounce_about_anything_but_the_address_suppresses_nobody(
    store: Store, status: str, diagnostic: str, reason: Reason
) -> None:
    item = await sent(store)
    await come(store, dsn(block(status=status, diagnostic=diagnostic)), verp(item))
    after = await row(store, item)
    assert (after.outcome, after.reason) == (Outcome.BOUNCED, reason)
    assert await suppressed(store, DANA) == set()


async def test_mail_that_is_no_report_is_kept_and_says_so(store: Store) -> None:
    item = await sent(store)
    raw = b"From: Dana <dana@example.com>\r\nSubject: Question\r\n\r\nWhen is my invoice due?\r\n"
    assert await come(store, raw, verp(item)) is Received.NO_REPORT
    (kept,) = await orphans(store)
    assert (kept.raw, kept.envelope_to, kept.summary) == (raw, verp(item), "no delivery report in it")
    assert (await row(store, item)).outcome is Outcome.SENT


async def test_an_automatic_reply_is_noted_once_and_changes_nothing(store: Store) -> None:
    item = await sent(store)
    raw = (
        b"From: dana@example.com\r\nAuto-Submitted: auto-replied\r\nSubject: Out of office\r\n\r\n"
        b"I am away until Monday.\r\n"
    )
    before = await row(store, item)
    assert await come(store, raw, verp(item)) is Received.RECORDED
    assert await come(store, raw, verp(item)) is Received.KNOWN
    assert await row(store, item) == before
    assert [e.kind for e in await history(store, item)] == [EventKind.ACCEPTED, EventKind.ANSWERED]
    assert await come(store, raw, FIXED) is Received.NO_REPORT
    assert await orphans(store) == [], "an out-of-office note that belongs to nothing waits for nobody"


async def test_what_comes_to_no_tenants_domain_is_kept_for_the_operator(store: Store) -> None:
    assert await come(store, dsn(), "somebody@elsewhere.example", tenant=None) is Received.UNMATCHED
    assert len(await orphans(store, SYSTEM_TENANT)) == 1
    assert await orphans(store) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 100,
        bytes(range(256)) * 8,
        dsn(block(diagnostic="550 5.1.1 nul \x00 and bell \x07")),
        dsn(block("da\x00na@example.com")),
        dsn(
            block(
                "dänä@example.com", diagnostic="550 5.1.1 \ud83d unknown".encode("utf-8", "replace").decode()
            )
        ),
        dsn().replace(b"User unknown", b"\xff\xfe\xed\xa0\x80"),
        dsn()[:300],
        dsn(block(status="5." + "9" * 400, action="x" * 400, diagnostic="y" * 5000)),
        dsn(*(block(f"{n}@example.com") for n in range(200))),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("matched", [True, False])
async def test_no_bytes_at_all_can_make_it_raise(store: Store, raw: bytes, matched: bool) -> None:
    item = await sent(store)
    result = await come(store, raw, verp(item) if matched else "b\x00\udcff@mail.cascade.example")
    assert isinstance(result, Received)
    assert result is not Received.KNOWN


def test_every_fault_has_a_reason_and_some_classes_one_of_their_own() -> None:
    assert {reason_of(BounceClass.OTHER, fault) for fault in Fault} == {
        Reason.RECIPIENT,
        Reason.CONTENT,
        Reason.INFRASTRUCTURE,
        Reason.NETWORK,
        Reason.POLICY,
    }
    for cls in (BounceClass.MAILBOX_FULL, BounceClass.RATE_LIMITED, BounceClass.TOO_BIG):
        assert {reason_of(cls, fault) for fault in Fault} == {Reason.CAPACITY}
    assert {reason_of(BounceClass.BLOCKED_AUTH, fault) for fault in Fault} == {Reason.CONFIG}


@pytest.mark.parametrize(
    ("cls", "action", "kind"),
    [
        (BounceClass.NO_SUCH_USER, "failed", EventKind.BOUNCED),
        (BounceClass.OTHER, "", EventKind.BOUNCED),
        (BounceClass.TEMPORARY, "delayed", EventKind.DELAYED),
        (BounceClass.NO_SUCH_USER, "delayed", EventKind.DELAYED),
        (BounceClass.DELIVERED, "relayed", EventKind.DELIVERED),
        (BounceClass.DELIVERED, "", EventKind.DELIVERED),
        (BounceClass.FEEDBACK, "", EventKind.COMPLAINT),
        (BounceClass.AUTO_REPLY, "", EventKind.ANSWERED),
    ],
)
def test_what_kind_of_event_a_report_makes(cls: BounceClass, action: str, kind: EventKind) -> None:
    assert event_kind(BounceReport(DANA, None, cls, False, Fault.RECIPIENT, action=action)) is kind
