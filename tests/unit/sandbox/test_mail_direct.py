"""The recipients' own servers: refusals are said in the dialogue."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import pytest

from tests.unit.sandbox.mail_world import BOUNCES, MailWorld

HEALTHY = "maria.santos@inbox.example"


@pytest.fixture
async def mail(tmp_path: Path) -> AsyncIterator[MailWorld]:
    world = MailWorld(tmp_path)
    await world.start()
    yield world
    await world.stop()


@pytest.mark.parametrize(
    ("address", "code", "status"),
    [
        ("kevin.obrien@gmial.com", 550, "5.1.1"),
        ("t.lindqvist@mailbox.example", 552, "5.2.2"),
        ("grace.okafor@bigmail.example", 550, "5.7.1"),
        ("mei.tanaka@greylist.example", 451, "4.7.1"),
        ("anyone@gone.example", 550, "5.4.4"),
        ("anyone@nullmx.example", 550, "5.1.10"),
        (BOUNCES, 550, "5.7.1"),
    ],
)
async def test_a_refusal_is_heard_at_rcpt(mail: MailWorld, address: str, code: int, status: str) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refusal:
        await mail.send(address, via="mx")
    assert refusal.value.code == code
    assert refusal.value.message.startswith(status)
    assert await mail.get("/sandbox/mail/queue") == []


async def test_spf_is_refused_in_the_dialogue_for_the_products_own_address(mail: MailWorld) -> None:
    mail.dns.zone.put("mail.cascade.example", "TXT", ["v=spf1 include:spf.visp.net ~all"])
    with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refusal:
        await mail.send("ingrid.johansson@strict.example", via="mx")
    assert refusal.value.message.startswith("5.7.23")
    mail.dns.zone.put("mail.cascade.example", "TXT", ["v=spf1 mx -all"])
    await mail.send("ingrid.johansson@strict.example", via="mx")
    (found,) = await mail.inbox("ingrid.johansson@strict.example")
    assert "client-ip=203.0.113.80" in found["headers"]["Received-SPF"]


async def test_an_spf_lookup_that_fails_is_a_temporary_refusal_where_spf_is_asked_for(
    mail: MailWorld,
) -> None:
    mail.dns.zone.put("mail.cascade.example", "TXT", "SERVFAIL")
    with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refusal:
        await mail.send("ingrid.johansson@strict.example", via="mx")
    assert refusal.value.code == 451
    await mail.send(HEALTHY, via="mx")


async def test_the_null_sender_is_checked_by_its_greeting_name(mail: MailWorld) -> None:
    mail.dns.zone.put("app.cascade.example", "TXT", ["v=spf1 ip4:203.0.113.80 -all"])
    await mail.send("ingrid.johansson@strict.example", via="mx", sender="")
    (found,) = await mail.inbox("ingrid.johansson@strict.example")
    assert found["headers"]["Received-SPF"].startswith("pass")


async def test_accepted_mail_may_bounce_later_from_the_recipients_server(mail: MailWorld) -> None:
    await mail.behave(address=HEALTHY, bounce={"after_s": 5, "status": "5.2.2"})
    await mail.send(HEALTHY, via="mx")
    mail.world.clock.advance(5)
    report = await mail.report()
    assert (report["Reporting-MTA"], report["Status"]) == ("dns; mx.inbox.example", "5.2.2")
    assert await mail.inbox(HEALTHY) == []


async def test_dsn_is_offered_only_when_told_and_then_says_delivered(mail: MailWorld) -> None:
    async with mail.client("mx") as client:
        assert "dsn" not in client.esmtp_extensions
    await mail.behave(relay="mx", dsn=True)
    await mail.send(HEALTHY, via="mx", rcpt_options=["NOTIFY=SUCCESS"])
    assert (await mail.report())["Action"] == "delivered"
    assert len(await mail.inbox(HEALTHY)) == 1


async def test_a_server_of_the_recipients_that_says_later_is_counted_per_try(mail: MailWorld) -> None:
    await mail.behave(address=HEALTHY, onward_reply="421 4.3.2 Going down", times=1)
    with pytest.raises((aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPServerDisconnected)):
        await mail.send(HEALTHY, via="mx")
    await mail.send(HEALTHY, via="mx")
    assert len(await mail.inbox(HEALTHY)) == 1
