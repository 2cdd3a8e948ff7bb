"""Doubt and trouble: lost replies, closed ports, rewritten mail, a product or a sandbox that was killed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import pytest

from tests.unit.sandbox.mail_world import BOUNCES, MESSAGE, MailWorld

HEALTHY = "maria.santos@inbox.example"
FULL = "t.lindqvist@mailbox.example"


@pytest.fixture
async def mail(tmp_path: Path) -> AsyncIterator[MailWorld]:
    world = MailWorld(tmp_path)
    await world.start()
    yield world
    await world.stop()


async def test_a_connection_closed_after_the_data_leaves_the_mail_accepted(mail: MailWorld) -> None:
    await mail.behave(relay="visp", close_after_data=True, times=1)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await mail.send(HEALTHY)
    await mail.send(HEALTHY)
    assert len(await mail.inbox(HEALTHY)) == 2
    ledger = await mail.ledger()
    assert (ledger["accepted"], ledger["unique"]) == (2, 1)
    assert ledger["by_message_id"] == {"<one@cascade.example>": 2}


async def test_a_discarded_mail_was_never_there(mail: MailWorld) -> None:
    await mail.behave(relay="visp", close_after_data="discard", times=1)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await mail.send(HEALTHY)
    assert await mail.inbox(HEALTHY) == []
    assert (await mail.ledger())["accepted"] == 0


async def test_a_lost_reply_leaves_the_client_waiting_for_mail_that_was_stored(mail: MailWorld) -> None:
    await mail.behave(relay="visp", lose_reply=True)
    async with mail.client(timeout=0.2) as client:
        await client.mail(BOUNCES)
        await client.rcpt(HEALTHY)
        with pytest.raises(aiosmtplib.SMTPTimeoutError):
            await client.data(MESSAGE)
    assert len(await mail.inbox(HEALTHY)) == 1


async def test_a_closed_port_refuses_connections_until_it_is_opened_again(mail: MailWorld) -> None:
    async with mail.client() as open_before:
        await mail.behave(relay="visp", refuse="connect")
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await open_before.noop()
    with pytest.raises(aiosmtplib.SMTPConnectError) as refusal:
        await mail.send(HEALTHY)
    assert isinstance(refusal.value.__cause__, ConnectionRefusedError)
    await mail.send(HEALTHY, via="remote")
    await mail.behave(relay="visp", refuse=None)
    await mail.send(HEALTHY)


async def test_a_closed_port_is_still_closed_after_a_restart(mail: MailWorld) -> None:
    await mail.behave(relay="visp", refuse="connect")
    port = mail.port("visp")
    await mail.restart()
    assert mail.port("visp") == port
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await mail.send(HEALTHY)


async def test_a_relay_may_turn_everyone_away_at_its_greeting_or_at_sign_in(mail: MailWorld) -> None:
    await mail.behave(relay="visp", refuse="greeting")
    with pytest.raises(aiosmtplib.SMTPConnectResponseError) as refusal:
        await mail.send(HEALTHY)
    assert refusal.value.code == 554
    await mail.behave(relay="visp", refuse="auth")
    async with mail.client() as client:
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as denied:
            await client.login("ispbot", "s3cret")
        assert denied.value.code == 535
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as needed:
            await client.mail(BOUNCES)
        assert needed.value.code == 530


async def test_the_delay_before_a_250_is_a_time_in_which_nothing_is_stored(mail: MailWorld) -> None:
    await mail.behave(relay="visp", accept_delay_s=0.05)
    sending = asyncio.create_task(mail.send(HEALTHY))
    while not sending.done():
        stored = (await mail.ledger())["accepted"]
        if not sending.done():
            assert stored == 0
        await asyncio.sleep(0.005)
    assert (await mail.ledger())["accepted"] == 1


async def test_a_client_killed_during_the_delay_has_sent_its_mail(mail: MailWorld) -> None:
    await mail.behave(relay="visp", accept_delay_s=0.05)
    seq = mail.world.changes.seq
    async with mail.client() as client:
        await client.mail(BOUNCES)
        await client.rcpt(HEALTHY)
        sending = asyncio.create_task(client.data(MESSAGE))
        await asyncio.sleep(0.02)
        sending.cancel()
    await mail.world.changes.wait({"mail"}, seq, 5)
    assert len(await mail.inbox(HEALTHY)) == 1


async def test_a_slow_mailbox_is_slow_only_its_number_of_times(mail: MailWorld) -> None:
    loop = asyncio.get_running_loop()
    await mail.behave(address=HEALTHY, slow_s=0.2, times=1)
    started = loop.time()
    await mail.send(HEALTHY)
    slow = loop.time() - started
    await mail.send(HEALTHY)
    assert slow >= 0.2
    assert loop.time() - started - slow < 0.2


async def test_a_rewritten_message_id_shows_in_the_mail_and_in_its_report(mail: MailWorld) -> None:
    await mail.behave(relay="visp", rewrite_message_id=True)
    await mail.send(HEALTHY)
    (found,) = await mail.inbox(HEALTHY)
    assert found["headers"]["Message-ID"].endswith("@relay.visp.net>")
    assert found["headers"]["X-Delivery-Ref"] == "ref-1"
    assert found["text"] == "Hello\r\n"
    await mail.send(FULL, mail_options=["RET=HDRS"])
    assert "<one@cascade.example>" not in (await mail.report()).returned.get_payload()
    assert (await mail.ledger())["by_message_id"] == {"<one@cascade.example>": 2}


async def test_a_message_without_an_id_is_given_one(mail: MailWorld) -> None:
    await mail.behave(relay="visp", rewrite_message_id=True)
    await mail.send(HEALTHY, content=b"Subject: x\r\n\r\nMessage-ID: <in@the.body>\r\n")
    (found,) = await mail.inbox(HEALTHY)
    assert found["headers"]["Message-ID"].endswith("@relay.visp.net>")
    assert "<in@the.body>" in found["text"]


async def test_a_sender_coded_into_the_relays_domain_still_hears_of_the_bounce(mail: MailWorld) -> None:
    await mail.behave(relay="visp", rewrite_envelope=True)
    await mail.send(HEALTHY)
    (found,) = await mail.inbox(HEALTHY)
    assert found["envelope_from"].endswith("@relay.visp.net")
    assert found["headers"]["Received-SPF"].startswith("pass")
    await mail.send(FULL)
    assert (await mail.bounced()).recipient == BOUNCES


async def test_a_fixed_sender_takes_the_reports_from_the_one_that_was_given(mail: MailWorld) -> None:
    await mail.behave(relay="visp", rewrite_envelope="bounces@mail.cascade.example")
    await mail.send(FULL)
    assert (await mail.bounced()).recipient == "bounces@mail.cascade.example"


async def test_extensions_can_be_withheld(mail: MailWorld) -> None:
    await mail.behave(relay="visp", dsn=False, pipelining=False)
    async with mail.client() as client:
        assert not {"dsn", "pipelining"} & set(client.esmtp_extensions)
        await client.mail(BOUNCES)
        with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refusal:
            await client.rcpt(HEALTHY, options=["NOTIFY=NEVER"])
        assert refusal.value.code == 555
    await mail.behave(relay="visp", dsn=None)
    await mail.send(HEALTHY, rcpt_options=["NOTIFY=NEVER"])


async def test_a_bare_relay_name_resets_all_of_its_faults(mail: MailWorld) -> None:
    await mail.behave(relay="visp", accept_delay_s=3, dsn=False)
    await mail.behave(relay="visp")
    async with mail.client() as client:
        assert "dsn" in client.esmtp_extensions
    assert mail.mail.listeners["visp"].faults.current.accept_delay_s == 0


async def test_reports_wait_while_the_product_is_down(mail: MailWorld) -> None:
    await mail.product_server.close()
    for _ in range(3):
        await mail.send(FULL)
    seq = mail.world.changes.seq
    mail.world.clock.advance(1.1)
    await mail.world.changes.wait({"wire"}, seq, 5)
    assert mail.product.received.empty()
    await mail.product_server.open()
    assert [(await mail.bounced()).recipient for _ in range(3)] == [BOUNCES] * 3
    assert mail.problems() == []


async def test_reports_survive_a_kill_of_the_sandbox(mail: MailWorld) -> None:
    await mail.send(FULL)
    await mail.send(HEALTHY)
    await mail.behave(domain="mailbox.example", reply="550 5.1.1 No")
    await mail.restart()
    assert str((await mail.report())["Final-Recipient"]).endswith(FULL)
    assert len(await mail.inbox(HEALTHY)) == 1
    assert (await mail.ledger())["by_message_id"] == {"<one@cascade.example>": 2}
    with pytest.raises(aiosmtplib.SMTPRecipientRefused):
        await mail.send("anyone@mailbox.example")


async def test_deferred_mail_survives_a_kill_of_the_sandbox(mail: MailWorld) -> None:
    await mail.behave(address=HEALTHY, onward_reply="451 4.3.2 Busy", times=1)
    await mail.send(HEALTHY, rcpt_options=["NOTIFY=SUCCESS"])
    await mail.restart()
    mail.world.clock.advance(5.1)
    assert (await mail.report())["Action"] == "relayed"
    assert len(await mail.inbox(HEALTHY)) == 1


async def test_a_product_that_says_later_is_asked_again(mail: MailWorld) -> None:
    mail.product.answer = "451 4.3.0 The inbox is full"
    await mail.send(FULL)
    seq = mail.world.changes.seq
    mail.world.clock.advance(1.1)
    await mail.world.changes.wait({"wire"}, seq, 5)
    mail.product.answer = "250 2.0.0 Ok"
    assert (await mail.bounced()).recipient == BOUNCES


async def test_a_report_that_the_product_refuses_for_good_is_a_problem(mail: MailWorld) -> None:
    mail.product.answer = "550 5.1.1 No such bounce address"
    await mail.send(FULL)
    seq = mail.world.changes.seq
    mail.world.clock.advance(1.1)
    await mail.world.changes.wait({"wire"}, seq, 5)
    assert mail.problems() == ["the product refused it for good at ."]
    assert await mail.get("/sandbox/mail/queue") == []


async def test_after_five_days_a_report_is_given_up(mail: MailWorld) -> None:
    await mail.product_server.close()
    await mail.send(FULL)
    mail.world.clock.advance(1.1)
    await mail.world.changes.wait({"wire"}, mail.world.changes.seq, 5)
    seq = mail.world.changes.seq
    mail.world.clock.advance(5 * 86_400 + 60)
    await mail.world.changes.wait({"wire"}, seq, 5)
    assert mail.problems() == ["the product took no mail for five days"]
    assert await mail.get("/sandbox/mail/queue") == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "Name one"),
        ({"address": "a@b.example", "domain": "b.example"}, "Name one"),
        ({"address": "nobody"}, "not a mail address"),
        ({"domain": "a@b.example"}, "not a domain"),
        ({"domain": "b.example", "colour": "red"}, "colour"),
        ({"domain": "b.example", "reply": "250 Ok"}, "refusal"),
        ({"domain": "b.example", "reply": "550 5.1.1 two\r\nlines"}, "refusal"),
        ({"domain": "b.example", "reply": "550 x", "at": "connect"}, "at must be"),
        ({"domain": "b.example", "times": 0}, "times"),
        ({"domain": "b.example", "slow_s": -1}, "slow_s"),
        ({"domain": "b.example", "bounce": {"after_s": 1}}, "status"),
        ({"domain": "b.example", "bounce": {"after_s": 1, "status": "no"}}, "status"),
        ({"domain": "b.example", "bounce": {"after_s": -1, "status": "5.0.0"}}, "after_s"),
        ({"domain": "b.example", "bounce": {"after_s": 1, "status": "5.0.0", "action": "relayed"}}, "action"),
        (
            {"domain": "b.example", "bounce": {"after_s": 1, "status": "5.0.0", "diagnostic": "é"}},
            "plain text",
        ),
        ({"relay": "visp", "refuse": "everything"}, "refuse"),
        ({"relay": "visp", "rewrite_envelope": "nobody"}, "rewrite_envelope"),
        ({"relay": "visp", "close_after_data": "maybe"}, "close_after_data"),
        ({"relay": "visp", "accept_delay_s": -1}, "negative"),
        ({"relay": "visp", "times": 0}, "times"),
        ({"relay": "visp", "address": "a@b.example"}, "address"),
    ],
)
async def test_a_bad_behaviour_is_refused_with_a_sentence(
    mail: MailWorld, body: dict[str, object], word: str
) -> None:
    before = await mail.get("/sandbox/mail/behaviour")
    assert word in await mail.refused(**body)
    assert await mail.get("/sandbox/mail/behaviour") == before


async def test_an_unknown_relay_and_broken_json_are_refused(mail: MailWorld) -> None:
    assert (await mail.control.post("/sandbox/mail/behaviour", json={"relay": "nowhere"})).status == 404
    assert (await mail.control.post("/sandbox/mail/behaviour", data=b"{")).status == 400
    assert (await mail.control.post("/sandbox/mail/behaviour", json=[])).status == 400
