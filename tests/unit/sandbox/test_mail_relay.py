"""What a relay does with the product's mail: handed on, refused, deferred, reported on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import pytest

from tests.unit.sandbox.mail_world import BOUNCES, MESSAGE, MailWorld

HEALTHY = "maria.santos@inbox.example"
STRICT = "ingrid.johansson@strict.example"
ASK_ALL = ["NOTIFY=SUCCESS,FAILURE,DELAY"]


@pytest.fixture
async def mail(tmp_path: Path) -> AsyncIterator[MailWorld]:
    world = MailWorld(tmp_path)
    await world.start()
    yield world
    await world.stop()


async def test_an_accepted_mail_lies_in_the_inbox_with_its_trace(mail: MailWorld) -> None:
    reply = await mail.send(HEALTHY)
    assert reply.startswith("250 2.0.0 Ok: queued as ")
    (found,) = await mail.inbox(HEALTHY.upper())
    assert found["envelope_from"] == BOUNCES
    assert found["envelope_to"] == HEALTHY
    assert found["subject"] == "Your invoice"
    assert found["text"] == "Hello\r\n"
    assert found["headers"]["Received-SPF"].startswith("softfail")
    assert found["headers"]["Return-Path"] == f"<{BOUNCES}>"
    assert found["raw"].endswith(MESSAGE.decode())
    assert mail.problems() == []


async def test_arrival_is_announced_to_whoever_waits(mail: MailWorld) -> None:
    seq = mail.world.changes.seq
    waiting = asyncio.create_task(mail.world.changes.wait({"mail"}, seq, 5))
    await mail.send(HEALTHY)
    assert await waiting > seq


async def test_the_strict_server_refuses_by_dsn_until_the_record_is_mended(mail: MailWorld) -> None:
    assert (await mail.send(STRICT)).startswith("250")
    bounced = await mail.bounced()
    report = bounced.report()
    assert (bounced.sender, bounced.recipient) == ("", BOUNCES)
    assert (report["Action"], report["Status"]) == ("failed", "5.7.23")
    assert "smtp; 550 5.7.23 SPF validation failed" in str(report["Diagnostic-Code"])
    assert await mail.inbox(STRICT) == []
    mail.mend_spf()
    await mail.send(STRICT)
    (found,) = await mail.inbox(STRICT)
    assert found["headers"]["Received-SPF"].startswith("pass")


async def test_spf_is_checked_for_the_address_of_each_relay(mail: MailWorld) -> None:
    await mail.send(STRICT, via="remote")
    (found,) = await mail.inbox(STRICT)
    assert "client-ip=203.0.113.25" in found["headers"]["Received-SPF"]


async def test_a_plain_spf_fail_is_refused_by_ordinary_servers_too(mail: MailWorld) -> None:
    mail.dns.zone.put("mail.cascade.example", "TXT", ["v=spf1 ip4:192.0.2.1 -all"])
    await mail.send(HEALTHY)
    assert (await mail.report())["Status"] == "5.7.23"


async def test_an_unreadable_record_is_an_spf_error_at_the_strict_server(mail: MailWorld) -> None:
    mail.dns.zone.put("mail.cascade.example", "TXT", ["v=spf1 include:spf.visp.net ipv4:192.0.2.1 -all"] * 2)
    await mail.send(STRICT)
    assert (await mail.report())["Status"] == "5.7.24"
    await mail.send(HEALTHY)
    (found,) = await mail.inbox(HEALTHY)
    assert found["headers"]["Received-SPF"].startswith("permerror")


async def test_a_record_with_the_senders_local_part_is_not_remembered_for_others(mail: MailWorld) -> None:
    mail.dns.zone.put("mail.cascade.example", "TXT", ["v=spf1 exists:%{l}.allowed.example -all"])
    mail.dns.zone.put("good.allowed.example", "A", ["127.0.0.2"])
    await mail.send(STRICT, sender="good@mail.cascade.example")
    await mail.send(STRICT, sender="evil@mail.cascade.example")
    assert (await mail.bounced()).recipient == "evil@mail.cascade.example"
    assert len(await mail.inbox(STRICT)) == 1


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("kevin.obrien@gmial.com", "5.1.1"),
        ("t.lindqvist@mailbox.example", "5.2.2"),
        ("r.oldfield@harborview.example", "5.1.1"),
        ("grace.okafor@bigmail.example", "5.7.1"),
        ("anyone@gone.example", "5.4.4"),
        ("anyone@nomx.example", "5.4.4"),
        ("anyone@nullmx.example", "5.1.10"),
    ],
)
async def test_the_casts_dead_ends_bounce_by_dsn(mail: MailWorld, address: str, status: str) -> None:
    await mail.send(address)
    report = await mail.report()
    assert (report["Action"], report["Status"]) == ("failed", status)
    assert str(report["Final-Recipient"]) == f"rfc822; {address}"
    assert await mail.inbox(address) == []


async def test_the_other_two_addresses_of_the_business_are_healthy(mail: MailWorld) -> None:
    for local in ("ap", "office", "dock"):
        await mail.send(f"{local}@harborview.example")
        assert len(await mail.inbox(f"{local}@harborview.example")) == 1


async def test_a_dsn_carries_what_the_envelope_gave_it(mail: MailWorld) -> None:
    reply = await mail.send(
        "t.lindqvist@mailbox.example",
        mail_options=["RET=HDRS", "ENVID=delivery+2B42"],
        rcpt_options=[*ASK_ALL, "ORCPT=rfc822;T.Lindqvist@mailbox.example"],
    )
    report = await mail.report()
    assert report["Reporting-MTA"] == "dns; relay.visp.net"
    assert report["Original-Envelope-Id"] == "delivery+42"
    assert report["Original-Recipient"] == "rfc822;T.Lindqvist@mailbox.example"
    assert report["Remote-MTA"] == "dns; mx.mailbox.example"
    assert reply.endswith(str(report["X-Postfix-Queue-ID"]))
    assert report.mail["Auto-Submitted"] == "auto-replied"
    assert report.returned.get_content_type() == "text/rfc822-headers"
    assert "X-Delivery-Ref: ref-1" in report.returned.get_payload()
    assert "Hello" not in report.returned.get_payload()


async def test_the_whole_message_comes_back_unless_headers_were_asked_for(mail: MailWorld) -> None:
    await mail.send("t.lindqvist@mailbox.example")
    report = await mail.report()
    assert report.returned.get_content_type() == "message/rfc822"
    (returned,) = report.returned.get_payload()
    assert returned["Message-ID"] == "<one@cascade.example>"
    assert "Hello" in returned.get_payload()


async def test_success_asked_for_is_answered_with_relayed(mail: MailWorld) -> None:
    await mail.send(HEALTHY, rcpt_options=ASK_ALL)
    report = await mail.report()
    assert (report["Action"], report["Status"]) == ("relayed", "2.0.0")
    assert str(report["Diagnostic-Code"]).startswith("smtp; 250 ")
    assert report["Remote-MTA"] == "dns; mx.inbox.example"


async def test_nothing_is_reported_that_notify_did_not_ask_for(mail: MailWorld) -> None:
    await mail.send("t.lindqvist@mailbox.example", rcpt_options=["NOTIFY=NEVER"])
    await mail.send("t.lindqvist@mailbox.example", rcpt_options=["NOTIFY=SUCCESS,DELAY"])
    await mail.send("t.lindqvist@mailbox.example", sender="")
    assert await mail.get("/sandbox/mail/queue") == []
    await mail.send("t.lindqvist@mailbox.example", rcpt_options=["NOTIFY=FAILURE"])
    assert len(await mail.get("/sandbox/mail/queue")) == 1


async def test_each_recipient_of_one_message_has_its_own_fate(mail: MailWorld) -> None:
    async with mail.client() as client:
        await client.mail(BOUNCES)
        for address in (HEALTHY, "r.oldfield@harborview.example", "ap@harborview.example"):
            await client.rcpt(address)
        await client.data(MESSAGE)
    assert str((await mail.report())["Final-Recipient"]).endswith("r.oldfield@harborview.example")
    assert len(await mail.inbox(HEALTHY)) == len(await mail.inbox("ap@harborview.example")) == 1
    assert (await mail.ledger())["accepted"] == 1


async def test_greylisting_defers_the_first_two_tries_of_each_address(mail: MailWorld) -> None:
    for address in ("mei.tanaka@greylist.example", "other@greylist.example"):
        for _ in range(2):
            with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refusal:
                await mail.send(address)
            assert refusal.value.code == 451
        await mail.send(address)
        assert len(await mail.inbox(address)) == 1
    assert (await mail.ledger())["refused"] == 4


async def test_a_refusal_can_be_set_for_an_address_over_its_domain(mail: MailWorld) -> None:
    await mail.behave(domain="inbox.example", reply="550 5.7.1 Not today")
    await mail.behave(address="me@inbox.example", reply="452 4.2.2 Full", times=1)
    for code in (452, 250):
        if code == 250:
            await mail.send("me@inbox.example")
        else:
            with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refusal:
                await mail.send("me@inbox.example")
            assert refusal.value.code == code
    with pytest.raises(aiosmtplib.SMTPRecipientRefused):
        await mail.send(HEALTHY)
    await mail.behave(domain="inbox.example")
    await mail.send(HEALTHY)


async def test_a_bare_address_accepts_although_its_domain_refuses(mail: MailWorld) -> None:
    await mail.behave(address="grace.okafor@bigmail.example")
    await mail.send("grace.okafor@bigmail.example")
    assert len(await mail.inbox("grace.okafor@bigmail.example")) == 1


async def test_a_refusal_may_come_at_the_end_of_data(mail: MailWorld) -> None:
    await mail.behave(address=HEALTHY, reply="554 5.7.1 Looks like spam", at="data", times=1)
    with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
        await mail.send(HEALTHY)
    assert refusal.value.message == "5.7.1 Looks like spam"
    await mail.send(HEALTHY)
    assert len(await mail.inbox(HEALTHY)) == 1


async def test_a_bounce_comes_when_business_time_has_come(mail: MailWorld) -> None:
    await mail.behave(
        address=HEALTHY, bounce={"after_s": 86_400, "status": "5.2.1", "diagnostic": "550 5.2.1 Disabled"}
    )
    await mail.send(HEALTHY)
    assert await mail.inbox(HEALTHY) == []
    assert mail.product.received.empty()
    mail.world.clock.advance(86_401)
    report = await mail.report()
    assert (report["Status"], report["Diagnostic-Code"]) == ("5.2.1", "smtp; 550 5.2.1 Disabled")


async def test_a_delay_can_be_reported_for_a_mail_that_arrives(mail: MailWorld) -> None:
    await mail.behave(address=HEALTHY, bounce={"after_s": 0, "status": "4.4.1", "action": "delayed"}, times=1)
    await mail.send(HEALTHY)
    assert (await mail.report())["Action"] == "delayed"
    assert len(await mail.inbox(HEALTHY)) == 1


async def test_deferred_mail_is_tried_again_and_the_delay_reported_once(mail: MailWorld) -> None:
    await mail.behave(address=HEALTHY, onward_reply="451 4.3.2 Busy", times=2)
    await mail.send(HEALTHY)
    mail.world.clock.advance(5.1)
    report = await mail.report()
    assert (report["Action"], report["Status"]) == ("delayed", "4.3.2")
    assert report["Will-Retry-Until"] is not None
    seq = mail.world.changes.seq
    arrived = asyncio.create_task(mail.world.changes.wait({"mail"}, seq, 5))
    mail.world.clock.advance(5.1)
    await arrived
    assert len(await mail.inbox(HEALTHY)) == 1
    assert mail.product.received.empty()


async def test_deferred_mail_expires_into_a_failure(mail: MailWorld) -> None:
    await mail.behave(relay="visp", expire_s=60)
    await mail.behave(domain="inbox.example", onward_reply="451 4.3.2 Busy")
    await mail.send(HEALTHY, rcpt_options=["NOTIFY=FAILURE"])
    mail.world.clock.advance(61)
    report = await mail.report()
    assert (report["Action"], report["Status"]) == ("failed", "4.3.2")
    assert await mail.get("/sandbox/mail/queue") == []


async def test_a_name_server_that_fails_defers_the_mail(mail: MailWorld) -> None:
    mail.dns.zone.put("inbox.example", "MX", "SERVFAIL")
    await mail.send(HEALTHY)
    mail.world.clock.advance(5.1)
    report = await mail.report()
    assert (report["Action"], report["Status"], report["Remote-MTA"]) == ("delayed", "4.4.3", None)


async def test_mail_to_the_bounce_domain_is_forwarded_to_the_product(mail: MailWorld) -> None:
    await mail.send(BOUNCES, sender="someone@inbox.example")
    bounced = await mail.bounced()
    assert (bounced.sender, bounced.recipient) == ("someone@inbox.example", BOUNCES)
    assert b"Subject: Your invoice" in bounced.content


async def test_a_report_to_another_sender_lies_in_that_senders_inbox(mail: MailWorld) -> None:
    await mail.send("t.lindqvist@mailbox.example", sender="me@inbox.example")
    seq = mail.world.changes.seq
    mail.world.clock.advance(1.1)
    await mail.world.changes.wait({"mail"}, seq, 5)
    (found,) = await mail.inbox("me@inbox.example")
    assert found["envelope_from"] == ""
    assert found["subject"] == "Undelivered Mail Returned to Sender"


async def test_a_report_to_nowhere_is_named_in_the_wire_list(mail: MailWorld) -> None:
    await mail.send("t.lindqvist@mailbox.example", sender="x@gone.example")
    seq = mail.world.changes.seq
    mail.world.clock.advance(1.1)
    await mail.world.changes.wait({"wire"}, seq, 5)
    assert "gone.example does not exist" in mail.problems()[0]


async def test_non_ascii_recipients_get_an_internationalised_report(mail: MailWorld) -> None:
    async with mail.client() as client:
        await client.mail(BOUNCES, options=["SMTPUTF8"], encoding="utf-8")
        await client.rcpt("josé@gmial.com", encoding="utf-8")
        await client.data(MESSAGE)
    bounced = await mail.bounced()
    assert b"Content-Type: message/global-delivery-status" in bounced.content
    assert "Final-Recipient: utf-8; josé@gmial.com".encode() in bounced.content
