"""The phones on the page, as the server renders them."""

from __future__ import annotations

from pathlib import Path

from sandbox.page.phone import behaviour_words, dashed, status_words
from tests.unit.sandbox.bolt_app import slack_world
from tests.unit.sandbox.phone_world import LANDLINE, Phones, phone_world

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


async def page_of(phones: Phones, **query: str) -> str:
    async with phones.http.get(f"{phones.site.url}/", params=query) as response:
        assert response.status == 200
        return await response.text()


def test_words_for_numbers_statuses_and_behaviours() -> None:
    assert dashed("+15415550123") == "(541) 555-0123"
    assert dashed("+442079460018") == "+442079460018"
    assert status_words({"status": "delivered", "error_code": None}) == "Delivered"
    assert status_words({"status": "undelivered", "error_code": 30003}) == (
        "Not delivered: 30003 Handset unreachable"
    )
    assert status_words({"status": "teleported", "error_code": None}) == "teleported"
    assert behaviour_words({}) == ""
    assert behaviour_words({"error_code": 21614, "times": 2}) == "refused: 21614, 2 more"
    assert behaviour_words({"statuses": ["sent", "read"], "shuffle": True}) == (
        "then sent, read, callbacks shuffled"
    )
    assert behaviour_words({"statuses": [], "http_status": 503}) == "no further status, Twilio answers 503"


async def test_texts_are_shown_with_their_fate_and_never_as_tags(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.create(to=LANDLINE, body=HOSTILE)
        await phones.settled("undelivered", LANDLINE)
        await phones.text(HOSTILE, LANDLINE)
        html = await page_of(phones, number=LANDLINE, find=HOSTILE)
        assert "Not delivered: 30006 Landline or unreachable carrier" in html
        assert "<img" not in html
        assert html.count("&lt;img") >= 3


async def test_a_number_of_nobody_can_be_chosen_by_typing_it(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        html = await page_of(phones, find="212 555 0188")
        assert "(212) 555-0188" in html
        assert "Nobody&#39;s phone" in html
        assert "No phone fits" in await page_of(phones, find="nobody of this name")


async def test_a_page_of_a_world_without_phones_still_opens(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack, slack.http.get(f"{slack.site.url}/?number=x") as response:
        assert response.status == 200
        assert "Choose a phone" in await response.text()
