"""Business time follows the sandbox's file; roles follow configuration and Slack's user groups."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.clock import BusinessClock
from bot.config import RoleMembers, Roles
from bot.roles import RoleBook
from handlers.profile import Role
from tests.unit.bot.support import Office
from tests.unit.sandbox.bolt_app import Slack


def _about(found: datetime, wanted: datetime) -> bool:
    return abs(found - wanted) < timedelta(seconds=5)


def test_without_a_file_business_time_is_real_time() -> None:
    assert _about(BusinessClock()(), datetime.now(UTC))
    assert BusinessClock()().tzinfo is UTC


def test_a_file_that_is_not_there_yet_moves_nothing(tmp_path: Path) -> None:
    assert _about(BusinessClock(tmp_path / "clock.json")(), datetime.now(UTC))


def test_the_offset_of_the_file_moves_business_time(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    file.write_text('{"offset_s": 86400}')
    assert _about(BusinessClock(file)(), datetime.now(UTC) + timedelta(days=1))


def test_a_moved_file_is_noticed_by_a_clock_that_runs(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    file.write_text('{"offset_s": 0}')
    clock = BusinessClock(file)
    clock()
    later = tmp_path / "later.json"
    later.write_text('{"offset_s": 3600}')
    later.replace(file)
    deadline = datetime.now(UTC) + timedelta(seconds=2)
    while datetime.now(UTC) < deadline and _about(clock(), datetime.now(UTC)):
        pass  # it looks at the file 20 times a second
    assert _about(clock(), datetime.now(UTC) + timedelta(hours=1))


def test_the_sandboxs_own_clock_file_is_understood(slack: Slack) -> None:
    slack.site.world.clock.advance(7200)
    clock = BusinessClock(Path(slack.endpoints["clock_file"]))
    assert _about(clock(), slack.site.world.clock.now())
    assert os.path.exists(slack.endpoints["clock_file"])


def _book(office: Office, **roles: RoleMembers) -> RoleBook:
    return RoleBook({1: Roles(**roles)}, {1: office.client})


async def _asked(office: Office) -> int:
    return len([e for e in await office.slack.get("wire") if e["method"] == "usergroups.users.list"])


async def test_users_have_the_highest_of_their_roles_and_strangers_none(office: Office) -> None:
    book = _book(
        office,
        viewer=RoleMembers(users=("U_AGENT", "U_VIEWER")),
        agent=RoleMembers(users=("U_AGENT",)),
        admin=RoleMembers(users=("U_ADMIN",)),
    )
    found = [await book.role_of(1, user) for user in ("U_AGENT", "U_VIEWER", "U_ADMIN", "U_X", "")]
    assert found == [Role.AGENT, Role.VIEWER, Role.ADMIN, Role.NONE, Role.NONE]
    assert await _asked(office) == 0


async def test_groups_are_asked_once_a_minute_and_again_when_slack_says_they_changed(
    office: Office,
) -> None:
    office.slack.part.desk.paid_plan = True
    book = _book(office, lead=RoleMembers(groups=("S_LEADS",)))
    assert await book.role_of(1, "U_LEAD") is Role.LEAD
    assert await book.role_of(1, "U_AGENT") is Role.NONE
    assert await _asked(office) == 1
    book.forget_groups()
    assert await book.role_of(1, "U_LEAD") is Role.LEAD
    assert await _asked(office) == 2


async def test_on_a_free_plan_nobody_gets_in_by_a_group(office: Office) -> None:
    book = _book(office, admin=RoleMembers(groups=("S_ADMINS",)), agent=RoleMembers(users=("U_ADMIN",)))
    assert await book.role_of(1, "U_ADMIN") is Role.AGENT
    assert await book.role_of(1, "U_LEAD") is Role.NONE
    assert await _asked(office) == 1


async def test_a_group_that_does_not_exist_lets_nobody_in(office: Office) -> None:
    office.slack.part.desk.paid_plan = True
    book = _book(office, admin=RoleMembers(groups=("S_NOWHERE",)))
    assert await book.role_of(1, "U_ADMIN") is Role.NONE


@pytest.mark.parametrize("how", [{"error": "internal_error"}, {"status": 503}, {"lose_response": True}])
async def test_slack_not_answering_is_no_way_in_and_no_crash(office: Office, how: dict[str, object]) -> None:
    office.slack.part.desk.paid_plan = True
    office.behaves("usergroups.users.list", **how)
    book = _book(office, lead=RoleMembers(groups=("S_LEADS",)), viewer=RoleMembers(users=("U_LEAD",)))
    assert await book.role_of(1, "U_LEAD") is Role.VIEWER


async def test_a_subteam_event_makes_the_bot_ask_again(office: Office) -> None:
    office.slack.part.desk.paid_plan = True
    office.members[1] = Roles(agent=RoleMembers(groups=("S_LEADS",)))
    await office.types("echo x", "U_LEAD")
    asked = await _asked(office)
    await office.types("echo x", "U_LEAD")
    assert await _asked(office) == asked
    event = {"type": "subteam_members_changed", "subteam_id": "S_LEADS", "event_ts": "1.0"}
    body = {"type": "event_callback", "team_id": "T_CASCADE", "event_id": "Ev1", "event": event}
    assert (await office.posts(json.dumps(body).encode()))[0] == 200
    await office.types("echo x", "U_LEAD")
    assert await _asked(office) > asked
