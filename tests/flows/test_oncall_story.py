"""Failures that are our fault, told once to whoever is on call: over the wire, on both databases."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.desk import Desk, Message, action_ids, words
from tests.flows.test_conversation_story import number_of

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
ONCALL, LEAD = "C_ONCALL", "U_LEAD"
ON_DUTY = "+17755550123"
STUCK = "The route visp"
BIGMAIL = "bigmail.example refuses our mail server"


async def card_of(desk: Desk, title: str, *parts: str) -> Message:
    """The alert of this title in the on-call channel, once it says all of this."""

    async def look() -> Message | None:
        found = [m for m in await desk.messages(LEAD, ONCALL) if title in words(m) and not m["ephemeral"]]
        assert len(found) <= 1, "one alert a cause"
        return found[0] if found and all(part in words(found[0]) for part in parts) else None

    found: Message = await desk.until(look, f"an alert {title!r} that says {parts}", 40)
    return found


async def sends(desk: Desk, what: str) -> None:
    """Resends without mistaking a card that comes late for the preview."""
    before = max((m["ts"] for m in await desk.messages()), default="0")
    typed = {"user": "U_AGENT", "channel": "C_SUPPORT", "text": f"/isp resend {what}"}
    await desk.call("POST", "/sandbox/slack/command", typed)
    await desk.press(await desk.shows("Resend invoice", after=before), "resend.send")


async def test_many_refusals_by_one_operator_are_one_alert(desk: Desk) -> None:
    card = await card_of(desk, BIGMAIL, "*9 messages* of *9 subscribers*")
    said = words(card)
    assert "it can wait until morning" in said
    assert "bigmail.example" in said
    assert "grace.okafor" not in said, "addresses are masked in a channel"
    assert {"incidents.acknowledge", "incidents.resolve", "incidents.affected"} <= set(action_ids(card))


async def test_our_spf_record_raises_an_alert_of_its_own_that_offers_the_check(desk: Desk) -> None:
    card = await card_of(desk, "the sender checks of mail.cascade.example fail", "*1 message*")
    assert "spf.open" in action_ids(card)


async def test_hundreds_of_bounces_are_counted_by_editing_the_one_alert(desk: Desk) -> None:
    before = await card_of(desk, BIGMAIL)
    for number in range(1, 6):
        await sends(desk, f"10{number:02d} to crowd{number}@bigmail.example")
    after = await card_of(desk, BIGMAIL, "*14 messages*")
    assert after["ts"] == before["ts"]
    assert int(after["edits"]) > int(before["edits"])


async def test_the_card_of_somebody_affected_names_the_incident(desk: Desk) -> None:
    await card_of(desk, BIGMAIL)
    card = await desk.type("/isp 1311")
    assert f"*Known incident:* {BIGMAIL}" in words(card)
    assert "Known incident" not in words(await desk.type("/isp 1205"))


async def test_it_is_acknowledged_and_resolved_with_a_word_for_the_next_one(desk: Desk) -> None:
    card = await card_of(desk, BIGMAIL)
    await desk.press(card, "incidents.acknowledge", "U_AGENT")
    card = await card_of(desk, BIGMAIL, "<@U_AGENT>")
    assert "incidents.acknowledge" not in action_ids(card)

    await desk.press(card, "incidents.affected", LEAD)
    affected = await desk.shows("1311", LEAD, ONCALL, after=card["ts"])
    assert affected["ephemeral_to"] == LEAD

    await desk.press(card, "incidents.resolve", LEAD)
    modal = (await desk.call("GET", f"/sandbox/slack/views?user={LEAD}"))["modals"][-1]
    body = {"user": LEAD, "view_id": modal["id"], "values": {"note": {"note": " "}}}
    assert (await desk.call("POST", "/sandbox/slack/submit", body))["errors"]["note"]
    body["values"] = {"note": {"note": "Bigmail has taken us off its list <!channel>"}}
    assert (await desk.call("POST", "/sandbox/slack/submit", body))["errors"] is None
    done = await card_of(desk, BIGMAIL, "Bigmail has taken us off its list")
    assert "<!channel>" not in words(done)
    assert "incidents.resolve" not in action_ids(done)
    assert "Known incident" not in words(await desk.type("/isp 1311"))


async def test_something_urgent_that_is_stuck_is_texted_to_whoever_is_on_call_until_somebody_takes_it(
    desk: Desk,
) -> None:
    await desk.behaviour(relay="visp", refuse="connect")
    await sends(desk, "1020 to stuck@inbox.example")
    card = await card_of(desk, STUCK, "*Urgent:*")

    async def texts() -> list[str]:
        found = await desk.call("GET", f"/sandbox/phone?number={quote(ON_DUTY)}")
        return [one["body"] for one in found]

    assert await texts() == [], "there are ten minutes to take it first"
    await desk.call("POST", "/sandbox/clock", {"advance_s": 11 * 60})
    (told,) = await desk.until(texts, "a text to whoever is on call", 40)
    assert told.startswith("Cascade Broadband")
    await desk.press(card, "incidents.acknowledge", "U_AGENT")
    await card_of(desk, STUCK, "<@U_AGENT>")
    await desk.call("POST", "/sandbox/clock", {"advance_s": 40 * 60})

    await desk.behaviour(relay="visp", refuse=None)
    await desk.call("POST", "/sandbox/clock", {"advance_s": 60})
    await desk.until(lambda: desk.mails("stuck@inbox.example"), "the mail leaves when the relay is back", 40)
    assert len(await texts()) == 1, "nobody is texted about what somebody has taken"
    assert await number_of(desk, "1020") not in told


async def test_the_list_of_incidents_is_for_everybody_and_its_buttons_are_not(desk: Desk) -> None:
    listing = await desk.type("/isp incidents", user="U_VIEWER")
    assert "unresolved" in words(listing)
    assert "Bigmail has taken us off its list" in words(listing), "what was resolved lately"
    card = await card_of(desk, "sender checks")
    before = words(card)
    refused = await desk.press(card, "incidents.acknowledge", "U_VIEWER")
    assert refused["status"] == 200
    await desk.shows("is not enough for that", "U_VIEWER", ONCALL)
    assert words(await desk.reread(card, LEAD)) == before


async def test_nothing_on_the_wire_would_have_displeased_the_real_services(desk: Desk) -> None:
    assert [row["problem"] for row in await desk.problems()] == []
