"""How attempts end: a real worker, a real database, and the sandbox's relays and servers on sockets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from notifier.keys import DeliveryToken
from notifier.schedule import DOUBT_RETRY, FIRST_RETRY, PRESUMED_AFTER
from store.models import Confidence, EventKind, EventSource, Outcome, Reason, Stage
from tests.builders import KEYRING, NOW
from tests.contracts.attempts import suppressed
from tests.contracts.sending import MARIA, Sending
from tests.contracts.smtp_script import Script

GONE = "k.obrien@inbox.example"
NO_SUCH_USER = "550 5.1.1 No such user here"
LATER = "451 4.3.2 Try again later"


async def test_a_relays_250_is_sent_handed_to_the_relay_and_waits_for_evidence(sending: Sending) -> None:
    (item,) = await sending.queue(MARIA)
    async with sending.working():
        after = await sending.until(item, Stage.AWAITING)
    assert (after.outcome, after.confidence) == (Outcome.SENT, Confidence.HANDED_TO_RELAY)
    assert (after.attempt, after.due_at, after.outcome_at) == (1, NOW + PRESUMED_AFTER, NOW)
    (event,) = await sending.events(item)
    assert (event.kind, event.source, event.remote) == (EventKind.ACCEPTED, EventSource.SMTP, "relay")
    assert event.diagnostic.startswith("250 2.0.0 Ok: queued as ")
    async with sending.store.system() as tx:
        named = await tx.deliveries.by_queue_id(event.diagnostic.rpartition(" ")[2])
    assert [d.id for d in named] == [item.id], "the relay's name for it finds it again"


async def test_the_mail_that_leaves_carries_the_deliverys_and_the_attempts_tokens(sending: Sending) -> None:
    (item,) = await sending.queue(MARIA)
    async with sending.working():
        await sending.until(item, Stage.AWAITING)
    (mail,) = await sending.mail.inbox(MARIA)
    token = DeliveryToken(1, item.id, 1)
    local, _, domain = mail["envelope_from"].partition("@")
    assert (KEYRING.read_delivery_token(local), domain) == (token, "mail.cascade.example")
    headers = {name.lower(): value for name, value in dict(mail["headers"]).items()}
    assert KEYRING.read_delivery_token(headers["x-delivery-ref"]) == token
    assert headers["message-id"] == item.message_id
    assert sending.mail.problems() == [], "nothing in the dialogue broke the protocol"


async def test_a_fixed_envelope_has_one_sender_and_the_token_in_the_header(sending: Sending) -> None:
    (item,) = await sending.queue(MARIA)
    async with sending.working(sending.route(envelope="fixed")):
        await sending.until(item, Stage.AWAITING)
    (mail,) = await sending.mail.inbox(MARIA)
    assert mail["envelope_from"] == "bounces@mail.cascade.example"
    headers = {name.lower(): value for name, value in dict(mail["headers"]).items()}
    assert KEYRING.read_delivery_token(headers["x-delivery-ref"]) == DeliveryToken(1, item.id, 1)


async def test_how_long_a_server_took_to_answer_is_measured_and_kept(sending: Sending) -> None:
    await sending.mail.behave(address=MARIA, slow_s=0.3)
    (item,) = await sending.queue(MARIA)
    async with sending.working(sending.route("mx")):
        await sending.until(item, Stage.AWAITING)
    (event,) = await sending.events(item)
    assert event.took_ms is not None
    assert 300 <= event.took_ms < 30_000


async def test_the_recipients_own_servers_250_is_delivered_accepted_by_that_server(sending: Sending) -> None:
    (item,) = await sending.queue(MARIA)
    async with sending.working(sending.route("mx")):
        after = await sending.until(item, Stage.AWAITING)
    assert (after.outcome, after.confidence) == (Outcome.DELIVERED, Confidence.ACCEPTED_BY_SERVER)
    assert len(await sending.mail.inbox(MARIA)) == 1


@pytest.mark.parametrize("via", ["visp", "mx"])
async def test_an_unknown_user_refused_at_rcpt_is_a_bounce_and_that_address_is_suppressed(
    sending: Sending, via: str
) -> None:
    await sending.mail.behave(address=GONE, reply=NO_SUCH_USER)
    dead, healthy = await sending.queue(GONE, MARIA)
    async with sending.working(sending.route(via, connections=1)):
        after = await sending.until(dead, Stage.CLOSED)
        await sending.until(healthy, Stage.AWAITING)
    assert (after.outcome, after.reason, after.cls) == (
        Outcome.BOUNCED,
        Reason.RECIPIENT,
        "no_such_user",
    )
    assert after.diagnostic == NO_SUCH_USER
    assert await suppressed(sending.store, GONE, MARIA) == {GONE}
    assert await sending.accepted() == 1


@pytest.mark.parametrize("via", ["visp", "mx"])
async def test_the_time_that_a_server_names_is_when_it_is_asked_again(sending: Sending, via: str) -> None:
    reply = "450 4.7.1 Greylisted, please try again in 300 seconds"
    await sending.mail.behave(address=MARIA, reply=reply, times=1)
    (item,) = await sending.queue(MARIA)
    async with sending.working(sending.route(via)):
        put_off = await sending.until(item, Stage.QUEUED, attempt=1)
        assert timedelta(seconds=300) <= put_off.due_at - NOW < timedelta(seconds=450)
        sending.clock.advance(seconds=450)
        assert (await sending.until(item, Stage.AWAITING)).attempt == 2


async def test_a_refusal_that_is_about_us_bounces_and_suppresses_nobody(sending: Sending) -> None:
    reputation = "550 5.7.1 Our system has detected that your IP has a poor reputation; message blocked"
    await sending.mail.behave(address=MARIA, reply=reputation, at="data")
    (item,) = await sending.queue(MARIA)
    async with sending.working():
        after = await sending.until(item, Stage.CLOSED)
    assert (after.outcome, after.reason) == (Outcome.BOUNCED, Reason.INFRASTRUCTURE)
    assert await suppressed(sending.store, MARIA) == set()


async def test_a_server_that_refuses_our_envelope_sender_says_nothing_about_the_recipient(
    sending: Sending,
) -> None:
    script = Script({"MAIL": [b"550 5.1.1 Unknown user: sender address rejected"]})
    async with script.listening(), sending.working(sending.route(port=script.port)):
        (item,) = await sending.queue(MARIA)
        after = await sending.until(item, Stage.CLOSED)
    assert (after.outcome, after.reason) == (Outcome.FAILED, Reason.CONFIG)
    assert await suppressed(sending.store, MARIA) == set()


@pytest.mark.parametrize("at", ["rcpt", "data"])
async def test_a_temporary_refusal_is_tried_again_after_seven_and_a_half_minutes_with_the_same_message_id(
    sending: Sending, at: str
) -> None:
    await sending.mail.behave(address=MARIA, reply=LATER, at=at, times=1)
    (item,) = await sending.queue(MARIA)
    async with sending.working():
        waiting = await sending.until(item, Stage.QUEUED, attempt=1)
        assert timedelta(minutes=7.5) <= waiting.due_at - NOW <= timedelta(minutes=9)
        assert (waiting.outcome, waiting.message_id) == (Outcome.NONE, item.message_id)
        assert await sending.accepted() == 0
        sending.clock.now = waiting.due_at
        after = await sending.until(item, Stage.AWAITING)
    assert (after.outcome, after.attempt) == (Outcome.SENT, 2)
    assert await sending.copies(item) == 1
    assert await sending.kinds(item) == [EventKind.DEFERRED, EventKind.ACCEPTED]


async def test_the_wait_doubles_with_every_temporary_refusal(sending: Sending) -> None:
    await sending.mail.behave(address=MARIA, reply=LATER)
    (item,) = await sending.queue(MARIA)
    async with sending.working():
        for attempt in (1, 2, 3):
            waiting = await sending.until(item, Stage.QUEUED, attempt=attempt)
            wait = FIRST_RETRY * 2 ** (attempt - 1)
            assert wait <= waiting.due_at - sending.clock.now <= wait * 1.2
            sending.clock.now = waiting.due_at
        await sending.until(item, Stage.QUEUED, attempt=4)


async def test_a_temporary_refusal_with_no_time_left_is_a_failure(sending: Sending) -> None:
    await sending.mail.behave(address=MARIA, reply="452 4.2.2 Mailbox full, over quota")
    (item,) = await sending.queue(MARIA, lifetime=timedelta(minutes=7))
    async with sending.working():
        after = await sending.until(item, Stage.CLOSED)
    assert (after.outcome, after.reason) == (Outcome.FAILED, Reason.CAPACITY)
    assert await suppressed(sending.store, MARIA) == set()


@pytest.mark.parametrize(
    ("refuse", "login"),
    [("connect", False), ("greeting", False), ("auth", False), ("auth", True)],
    ids=["port closed", "554 greeting", "530 at MAIL", "535 at AUTH"],
)
async def test_our_own_way_out_being_down_is_tried_again_soon_and_is_never_a_bounce(
    sending: Sending, refuse: str, login: bool
) -> None:
    await sending.mail.behave(relay="visp", refuse=refuse)
    (item,) = await sending.queue(MARIA)
    who: dict[str, Any] = {"username": "cascade", "password": "wrong"} if login else {}
    async with sending.working(sending.route(**who)):
        waiting = await sending.until(item, Stage.QUEUED, attempt=1)
        assert timedelta(seconds=15) <= waiting.due_at - NOW <= timedelta(seconds=18)
        assert waiting.outcome is Outcome.NONE
        (event,) = await sending.events(item)
        assert (event.kind, event.hard) == (EventKind.DEFERRED, False)
        await sending.mail.behave(relay="visp", refuse=None, **who)
        sending.clock.now = waiting.due_at
        after = await sending.until(item, Stage.AWAITING)
    assert (after.outcome, after.attempt) == (Outcome.SENT, 2)
    assert await suppressed(sending.store, MARIA) == set()


@pytest.mark.parametrize(
    ("fault", "copies"),
    [({"close_after_data": True}, 2), ({"close_after_data": "discard"}, 1), ({"lose_reply": True}, 2)],
    ids=["stored and closed", "closed and not stored", "stored and silent"],
)
async def test_a_connection_lost_after_the_data_leaves_a_doubt_and_the_same_message_goes_again(
    sending: Sending, fault: dict[str, object], copies: int
) -> None:
    await sending.mail.behave(relay="visp", times=1, **fault)
    (item,) = await sending.queue(MARIA)
    async with sending.working(sending.route(timeout_s=0.3)):
        waiting = await sending.until(item, Stage.QUEUED, attempt=1)
        assert DOUBT_RETRY <= waiting.due_at - NOW <= DOUBT_RETRY * 1.2
        assert waiting.outcome is Outcome.NONE
        sending.clock.now = waiting.due_at
        after = await sending.until(item, Stage.AWAITING)
    assert (after.outcome, after.attempt) == (Outcome.SENT, 2)
    assert await sending.kinds(item) == [EventKind.IN_DOUBT, EventKind.ACCEPTED]
    assert await sending.copies(item) == copies, "the mailbox folds them by their Message-ID"


async def test_a_server_that_closed_the_idle_connection_costs_the_next_mail_nothing(sending: Sending) -> None:
    (first,) = await sending.queue(MARIA)
    async with sending.working(sending.route(connections=1)):
        await sending.until(first, Stage.AWAITING)
        await sending.mail.behave(relay="visp", refuse="connect")  # ends every session
        await sending.mail.behave(relay="visp", refuse=None)
        (second,) = await sending.queue(MARIA)
        after = await sending.until(second, Stage.AWAITING, Stage.QUEUED, attempt=1)
    assert (after.stage, after.outcome) == (Stage.AWAITING, Outcome.SENT)
    assert await sending.kinds(second) == [EventKind.ACCEPTED]


async def test_a_server_that_says_421_on_a_used_connection_costs_the_next_mail_nothing(
    sending: Sending,
) -> None:
    """So say servers that close an idle connection, or that take only so many mails on one."""
    script = Script({"MAIL": [b"250 2.1.0 Ok", b"421 4.4.2 Timeout exceeded, closing"]})
    async with script.listening(), sending.working(sending.route(port=script.port, connections=1)):
        (first,) = await sending.queue(MARIA)
        await sending.until(first, Stage.AWAITING)
        (second,) = await sending.queue(MARIA)
        after = await sending.until(second, Stage.AWAITING, Stage.QUEUED, attempt=1)
    assert (after.stage, after.outcome) == (Stage.AWAITING, Outcome.SENT)
    assert await sending.kinds(second) == [EventKind.ACCEPTED]


async def test_a_reply_that_is_not_utf_8_is_recorded_like_any_other(sending: Sending) -> None:
    script = Script({"RCPT": ["550 5.1.1 Usuário desconhecido\x00".encode("latin-1")]})
    async with script.listening(), sending.working(sending.route(port=script.port)):
        (item,) = await sending.queue(MARIA)
        after = await sending.until(item, Stage.CLOSED)
    assert (after.outcome, after.cls) == (Outcome.BOUNCED, "no_such_user")
    assert "desconhecido" in after.diagnostic


async def test_a_mail_that_cannot_be_written_fails_with_its_reason_and_the_others_go_on(
    sending: Sending,
) -> None:
    (holey,) = await sending.queue(MARIA, context={"route": "relay"})
    (no_address,) = await sending.queue("josé@inbox.example")
    (fine,) = await sending.queue(MARIA)
    async with sending.working(sending.route(connections=1)):
        for item, why in ((holey, "'brand' is undefined"), (no_address, "not a plain e-mail address")):
            after = await sending.until(item, Stage.CLOSED)
            assert (after.outcome, after.reason) == (Outcome.FAILED, Reason.INFRASTRUCTURE)
            assert why in after.diagnostic
        await sending.until(fine, Stage.AWAITING)
    assert await sending.accepted() == 1
    assert await suppressed(sending.store, MARIA, "josé@inbox.example") == set()


@pytest.mark.parametrize("receipt", [True, False])
async def test_a_report_of_success_is_asked_for_where_somebody_is_watching(
    sending: Sending, receipt: bool
) -> None:
    script = Script()
    async with script.listening(), sending.working(sending.route(port=script.port)):
        (item,) = await sending.queue(MARIA, receipt=receipt)
        await sending.until(item, Stage.AWAITING)
    (rcpt,) = [line for line in script.heard if line.startswith("RCPT")]
    asked = rcpt.partition("NOTIFY=")[2].partition(" ")[0].split(",")
    assert ("SUCCESS" in asked) is receipt
    assert {"FAILURE", "DELAY"} <= set(asked)


async def test_a_relay_reports_success_on_a_watched_mail_under_the_attempts_token(sending: Sending) -> None:
    (item,) = await sending.queue(MARIA, receipt=True)
    async with sending.working():
        await sending.until(item, Stage.AWAITING)
    bounced = await sending.mail.bounced()
    token = KEYRING.delivery_token(DeliveryToken(1, item.id, 1))
    assert bounced.recipient == f"{token}@mail.cascade.example"
    report = bounced.report()
    assert (report["Action"], report["Original-Envelope-Id"]) == ("relayed", token)


async def test_every_tenants_mail_leaves_by_its_own_route_and_domain(sending: Sending) -> None:
    (ours,) = await sending.queue(MARIA)
    (theirs,) = await sending.queue("luis@mailbox.example", tenant=2)
    routes = {1: [sending.route()], 2: [sending.route("remote", tenant=2)]}
    async with sending.working(routes=routes):
        await sending.until(ours, Stage.AWAITING)
        await sending.until(theirs, Stage.AWAITING)
    (mail,) = await sending.mail.inbox(MARIA)
    assert (mail["route"], mail["envelope_from"].rpartition("@")[2]) == (
        "relay.visp.net",
        "mail.cascade.example",
    )
    entries = await sending.mail.ledger()
    assert entries["by_message_id"] == {ours.message_id: 1, theirs.message_id: 1}
    assert theirs.message_id.endswith("@mail.rio.example>")
