"""An invoice mail, asked for in Slack, tracked to its end: through the wire, on both databases."""

from __future__ import annotations

import pytest

from tests.contracts.reports import block, complaint, dsn
from tests.desk import Desk, action_ids, words

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


async def test_agent_resends_an_invoice_and_watches_it_arrive(desk: Desk) -> None:
    preview = await desk.type("/isp resend 1001 to me@inbox.example")
    assert "Resend invoice" in words(preview)
    assert "me@inbox.example (not on file for this account)" in words(preview)
    assert preview["ephemeral"]
    assert preview["ephemeral_to"] == "U_AGENT"

    await desk.press(preview, "resend.send")
    card = await desk.shows("Accepted by inbox.example's server", after=preview["ts"])

    assert not card["ephemeral"]
    assert "settled" in words(card)
    assert "me@inbox.example" not in words(card), "a card in a channel is masked"
    assert "Maria S." in words(card)
    mails = await desk.mails("me@inbox.example")
    assert len(mails) == 1
    assert mails[0]["subject"].startswith("Copy of your Cascade Broadband invoice")
    assert mails[0]["headers"]["Auto-Submitted"] == "auto-generated"
    assert "Amount due" in mails[0]["text"]
    assert "Amount due" in mails[0]["html"]
    assert "On its way" in words(await desk.reread(preview))


async def test_pressing_send_twice_sends_once_and_says_so(desk: Desk) -> None:
    preview = await desk.type("/isp resend 1002 to twice@inbox.example")
    await desk.press(preview, "resend.send")
    await desk.shows("Accepted by inbox.example's server", after=preview["ts"])
    again = await desk.type("/isp resend 1002 to twice@inbox.example")
    assert "Already sent" in words(again)
    assert "second copy" in words(again)
    assert len(await desk.mails("twice@inbox.example")) == 1


async def test_refused_mailbox_shows_as_not_delivered_and_is_not_tried_again(desk: Desk) -> None:
    await desk.behaviour(address="gone@inbox.example", reply="550 5.1.1 The mailbox does not exist")
    preview = await desk.resend("1003 to gone@inbox.example")
    card = await desk.shows("the mailbox does not exist", after=preview["ts"])
    assert "Not delivered" in words(card)
    assert "550" not in words(card), "raw codes stay one press away"
    assert "letter by letter" in words(card)
    second = await desk.type("/isp resend 1003 to gone@inbox.example")
    assert "do-not-send list" in words(second)
    assert "resend.send" not in action_ids(second)


async def test_mailbox_that_bounces_later_shows_as_not_delivered_but_stays_usable(desk: Desk) -> None:
    await desk.behaviour(
        address="full@inbox.example",
        bounce={"after_s": 0.5, "status": "5.2.2", "diagnostic": "552 5.2.2 Mailbox full"},
    )
    preview = await desk.resend("1004 to full@inbox.example")
    await desk.shows("Not delivered: the mailbox is full", after=preview["ts"])
    second = await desk.type("/isp resend 1004 to full@inbox.example")
    assert "do-not-send list" not in words(second), "a full mailbox is not a dead one"
    assert "resend.send" in action_ids(second)


async def test_bounce_after_acceptance_is_told_with_its_story(desk: Desk) -> None:
    await desk.behaviour(
        address="slowbounce@inbox.example",
        bounce={"after_s": 1.5, "status": "5.1.1", "diagnostic": "550 5.1.1 No such user"},
    )
    preview = await desk.resend("1005 to slowbounce@inbox.example")
    await desk.shows("Handed to the relay visp, no bounce reported so far", after=preview["ts"])
    card = await desk.shows("Not delivered: the mailbox does not exist", after=preview["ts"])
    await desk.press(card, "messages.timeline")
    timeline = await desk.shows("What the servers said", after=card["ts"])
    text = words(timeline)
    assert text.index("Handed to the relay visp") < text.index("Bounced: the mailbox does not exist")
    assert "550 5.1.1 No such user" in text
    assert timeline["ephemeral"]


async def test_greylisted_mail_says_when_it_is_tried_again_and_then_arrives(desk: Desk) -> None:
    await desk.behaviour(address="grey@inbox.example", reply="451 4.7.1 Greylisted, try again later", times=1)
    preview = await desk.resend("1006 to grey@inbox.example")
    card = await desk.shows("Not sent yet", after=preview["ts"])
    assert "Trying again at" in words(card)
    await desk.call("POST", "/sandbox/clock", {"advance_s": 700})
    await desk.shows("Accepted by inbox.example's server", after=preview["ts"])
    assert len(await desk.mails("grey@inbox.example")) == 1


async def test_child_account_s_invoice_goes_to_the_payer_s_addresses(desk: Desk) -> None:
    preview = await desk.type("/isp resend 1103")
    assert "account 1100 pays for 1103" in words(preview)
    for mailbox in ("ap", "office", "r.oldfield"):
        assert f"{mailbox}@harborview.example" in words(preview)


async def test_another_address_is_asked_for_in_a_dialog_and_checked_there(desk: Desk) -> None:
    await desk.behaviour(address="dead@inbox.example", reply="550 5.1.1 No such user")
    preview = await desk.resend("1007 to dead@inbox.example")
    card = await desk.shows("Not delivered", after=preview["ts"])
    await desk.press(card, "resend.other")
    modal = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"][-1]
    wrong = await desk.call(
        "POST",
        "/sandbox/slack/submit",
        {"user": "U_AGENT", "view_id": modal["id"], "values": {"address": {"address": "not an address"}}},
    )
    assert wrong["errors"]["address"]
    right = await desk.call(
        "POST",
        "/sandbox/slack/submit",
        {"user": "U_AGENT", "view_id": modal["id"], "values": {"address": {"address": "new@inbox.example"}}},
    )
    assert right["errors"] is None
    second = await desk.shows("new@inbox.example", after=card["ts"])
    assert "resend.send" in action_ids(second)


async def test_bounce_that_nobody_signed_waits_for_an_agent_and_never_stops_mail(desk: Desk) -> None:
    preview = await desk.resend("1009 to stray@inbox.example")
    card = await desk.shows("Accepted by inbox.example's server", after=preview["ts"])
    gone = block("stray@inbox.example", diagnostic="550 5.1.1 <stray@inbox.example>: User unknown")
    for to, said in (("bounces", "a stranger's"), (f"b{'a' * 47}", "forged")):
        raw = dsn(gone, words=said).decode()
        body = {"envelope_from": "", "envelope_to": f"{to}@mail.cascade.example", "raw": raw}
        assert (await desk.call("POST", "/sandbox/mail/inject", body))["reply"].startswith("250")
    await desk.until(lambda: _both_wait(desk), "two reports in the queue")
    assert "Accepted by" in words(await desk.reread(card)), "neither changed anything"

    queue = await desk.type("/isp bounces")
    assert "s•••y@inbox.example" in words(queue)
    assert "a signature that is not ours" in words(queue)
    await desk.press(queue, "bounces.match:0")
    modal = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"][-1]
    sent = await desk.call("POST", "/sandbox/slack/submit", {"user": "U_AGENT", "view_id": modal["id"]})
    assert sent["errors"] is None
    matched = await desk.shows("Mail to the address goes on", after=queue["ts"])
    assert "account 1009" in words(matched)
    again = await desk.type("/isp resend 1009 to stray@inbox.example")
    assert "do-not-send list" not in words(again)

    await desk.press(await desk.type("/isp bounces"), "bounces.dismiss:0")
    await desk.shows("Dismissed: the report about s•••y@inbox.example")


async def _both_wait(desk: Desk) -> bool:
    queue = words(await desk.type("/isp bounces"))
    return "no signature of ours" in queue and "a signature that is not ours" in queue


async def test_complaint_stops_mail_to_that_address_and_the_desk_is_told_what_to_do(desk: Desk) -> None:
    preview = await desk.resend("1010 to annoyed@inbox.example")
    await desk.shows("Accepted by inbox.example's server", after=preview["ts"])
    (mail,) = await desk.mails("annoyed@inbox.example")
    for words_of_it in ("first", "again"):
        raw = complaint("annoyed@inbox.example", mail["headers"]["X-Delivery-Ref"], words_of_it).decode()
        body = {"envelope_from": "", "envelope_to": "bounces@mail.cascade.example", "raw": raw}
        await desk.call("POST", "/sandbox/mail/inject", body)
    told = await desk.shows("Account 1010 marked our mail as spam", user="U_VIEWER", after=preview["ts"])
    assert "annoyed@inbox.example" not in words(told)
    assert "a lead releases the address" in words(told)
    second = await desk.type("/isp resend 1010 to annoyed@inbox.example")
    assert "the recipient marked our mail as spam" in words(second)
    posts = [m for m in await desk.messages("U_VIEWER") if "1010 marked our mail" in words(m)]
    assert len(posts) == 1


async def test_mended_spf_record_turns_the_check_green_and_lets_mail_through(desk: Desk) -> None:
    before = await desk.type("/isp spf")
    assert "does not authorise the Visp server" in words(before)
    assert "v=spf1 mx ip4:203.0.113.25 include:spf.visp.net ~all" in words(before)
    await desk.press(before, "spf.watch")
    card = await desk.shows("*Watching* for <@U_AGENT>", user="U_VIEWER")
    assert ":x: *visp* · 198.51.100.10 · softfail" in words(card)
    await desk.press(await desk.type("/isp spf", "U_LEAD"), "spf.watch", "U_LEAD")
    await desk.shows("*Watching* for <@U_AGENT> and <@U_LEAD>", user="U_VIEWER")
    refused = await desk.resend("1150 to billing@strict.example")
    await desk.shows("sender checks (SPF, DKIM, DMARC) failed", after=refused["ts"])

    record = "v=spf1 mx ip4:203.0.113.25 include:spf.visp.net ~all"
    await desk.call(
        "PUT", "/sandbox/dns", {"name": "mail.cascade.example", "type": "TXT", "values": [record]}
    )
    await desk.call("POST", "/sandbox/clock", {"advance_s": 61})
    fixed = await desk.shows("The SPF record of mail.cascade.example is right now", user="U_VIEWER")
    assert fixed["thread_ts"] == card["ts"], "in the card's thread"
    assert "<@U_AGENT> and <@U_LEAD>" in words(fixed)

    async def edited() -> bool:
        return ":tada: *Fixed*" in words(await desk.reread(card))

    await desk.until(edited, "the card in the channel says that it is fixed")
    await desk.press(before, "spf.recheck")
    await desk.shows("mail.cascade.example authorises the Visp server", after="0")
    mended = await desk.resend("1150 to billing@strict.example")
    await desk.shows("Accepted by strict.example's server", after=mended["ts"])


async def test_a_record_that_somebody_breaks_is_an_alert_the_next_day_and_ends_by_itself(desk: Desk) -> None:
    async def publish(record: str) -> None:
        body = {"name": "mail.cascade.example", "type": "TXT", "values": [record]}
        await desk.call("PUT", "/sandbox/dns", body)

    right = "v=spf1 mx ip4:203.0.113.25 include:spf.visp.net ~all"
    page = await desk.type("/isp mail")
    assert "*visp* · relay" in words(page)
    await desk.press(page, "mail.recheck")
    await desk.shows("The SPF record of mail.cascade.example is right now", channel="C_ONCALL")
    await publish("v=spf1 ip4:203.0.113.25 -all")
    await desk.call("POST", "/sandbox/clock", {"advance_s": 86_400})
    alert = await desk.shows(
        "SPF record of mail.cascade.example was changed and is wrong", channel="C_ONCALL"
    )
    assert f"Before:\n```{right}```" in words(alert)
    await publish(right)
    await desk.call("POST", "/sandbox/clock", {"advance_s": 900})

    async def mended() -> bool:
        return "Resolved by the daily look at DNS" in words(await desk.reread(alert))

    await desk.until(mended, "the alert ends by itself")
    told = await desk.shows("is right now", channel="C_ONCALL", after=alert["ts"])
    assert told["thread_ts"] == alert["ts"]


async def test_nothing_on_the_wire_would_have_displeased_the_real_services(desk: Desk) -> None:
    assert [row["problem"] for row in await desk.problems()] == []
