"""What Slack refuses for good is told to whoever can mend it, ends by itself, and loses nothing meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from handlers.workflows.incidents import INCIDENT_SURFACE
from store.models import Incident, IncidentState
from store.unit import Store
from tests.conftest import FakeClock
from tests.unit.bot.support import Office
from tests.unit.bot.support import office as open_office
from tests.unit.bot.test_poster import _post, _wanted
from tests.unit.sandbox.bolt_app import Slack


async def incidents(office: Office) -> list[Incident]:
    async with office.store.read(1) as tx:
        return list(await tx.incidents.unresolved())


async def ready(office: Office) -> Any:
    async with office.session.get(f"{office.url}/ready") as answer:
        return await answer.json()


@pytest.mark.parametrize("code", ["token_revoked", "account_inactive", "invalid_auth"])
async def test_a_token_that_is_refused_is_urgent_told_once_and_over_when_it_works_again(
    office: Office, clock: FakeClock, code: str
) -> None:
    await _wanted(office)
    office.behaves("chat.postMessage", error=code)
    for _ in range(3):
        await office.poster.show_behind()
        clock.advance(minutes=2)
    (told,) = await incidents(office)
    assert (told.cause, told.urgent, told.count) == ("slack_token", True, 1), "the on-call number is texted"
    assert told.title == "Slack refuses our token: nobody is answered there"
    assert (await ready(office)) == {"ready": True, "slack": ["slack_token"]}
    async with office.store.read(1) as tx:
        assert len(await tx.posts.of(INCIDENT_SURFACE, str(told.id))) == 1
    office.behaves("chat.postMessage")
    for _ in range(3):
        await office.poster.show_behind()
        clock.advance(minutes=2)
    assert await incidents(office) == []
    assert (await ready(office)) == {"ready": True, "slack": []}
    async with office.store.read(1) as tx:
        ended = await tx.incidents.get(told.id)
    assert ended is not None
    assert (ended.state, ended.resolved_by) == (IncidentState.RESOLVED, "Slack")
    assert any("Test mail" in m["text"] for m in await office.slack.messages("U_LEAD")), "nothing was lost"


async def test_what_another_process_told_is_ended_by_the_first_call_that_works(
    slack: Slack, sqlite_store: Store
) -> None:
    async with open_office(slack, sqlite_store) as before:
        await _wanted(before)
        before.behaves("chat.postMessage", error="token_revoked", times=1)
        await before.poster.show_behind()
        assert len(await incidents(before)) == 1
    async with open_office(slack, sqlite_store) as after:
        await after.types("help")
        await after.client.auth_test()
        assert await incidents(after) == []


async def test_a_scope_that_is_missing_is_named_and_waits_for_a_person(office: Office) -> None:
    office.behaves("views.publish", error="missing_scope", times=1)
    view = {"type": "home", "blocks": []}
    with pytest.raises(SlackApiError, match="missing_scope"):
        await office.client.views_publish(user_id="U_AGENT", view=view)
    (told,) = await incidents(office)
    assert told.cause.startswith("slack_scope:")
    assert not told.urgent
    await office.client.auth_test()
    assert len(await incidents(office)) == 1


@pytest.mark.parametrize("code", ["is_archived", "channel_not_found", "not_in_channel"])
async def test_what_is_meant_for_a_channel_that_is_gone_waits_until_it_is_mended(
    office: Office, clock: FakeClock, code: str
) -> None:
    notification, _ = await _wanted(office)
    office.behaves("chat.postMessage", error=code, times=1)
    await office.poster.show_behind()
    (told,) = await incidents(office)
    assert (told.cause, told.urgent) == ("slack_channel:C_SUPPORT", True)
    assert "C_SUPPORT" in told.title
    post = await _post(office, notification)
    assert (post.ts, post.shown < post.wanted) == (None, True)
    for _ in range(3):
        clock.advance(minutes=2)
        await office.poster.show_behind()
    assert (await _post(office, notification)).ts is not None
    assert await incidents(office) == []


async def test_a_channel_where_somebody_only_typed_is_nobodys_trouble(office: Office) -> None:
    await _wanted(office, channel="C_ELSEWHERE")
    await office.poster.show_behind()
    assert await incidents(office) == []


async def test_an_answer_that_comes_too_fast_for_slack_waits_and_arrives(office: Office) -> None:
    office.behaves("views.publish", error="ratelimited", retry_after=0, times=2)
    view = {"type": "home", "blocks": []}
    assert (await office.client.views_publish(user_id="U_AGENT", view=view))["ok"]
    assert await incidents(office) == []


async def test_a_call_that_went_through_is_one_also_when_nobody_can_be_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised behind it, the answer would be given a second time."""

    def gone(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(office.store, "begin", gone)
    assert (await office.client.auth_test())["ok"]
    office.behaves("auth.test", error="token_revoked", times=1)
    with pytest.raises(SlackApiError, match="token_revoked"):
        await office.client.auth_test()
