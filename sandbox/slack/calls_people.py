"""auth.*, users.*, usergroups.* and bots.info: who is who."""

from __future__ import annotations

from typing import Any

from sandbox.slack.call import Call
from sandbox.slack.errors import SlackError
from sandbox.slack.workspace import (
    APP_ID,
    BOT,
    BOT_ID,
    BOT_USER_ID,
    GROUPS,
    TEAM_DOMAIN,
    TEAM_ID,
    USERS,
    user_view,
)


def auth_test(call: Call) -> dict[str, Any]:
    return {
        "url": f"https://{TEAM_DOMAIN}.slack.com/",
        "team": "Cascade Broadband",
        "user": BOT.handle,
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def api_test(call: Call) -> dict[str, Any]:
    if call.args.get("error"):
        raise SlackError(str(call.args["error"]), args=dict(call.args))
    return {"args": {name: value for name, value in call.args.items() if name != "token"}}


def user_info(call: Call) -> dict[str, Any]:
    user = USERS.get(str(call.args.get("user", "")))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": user_view(user)}


def users_list(call: Call) -> dict[str, Any]:
    return {
        "members": [user_view(user) for user in USERS.values()],
        "cache_ts": int(call.desk.world.clock.now().timestamp()),
        "response_metadata": {"next_cursor": ""},
    }


def bot_info(call: Call) -> dict[str, Any]:
    if call.args.get("bot") not in (None, "", BOT_ID):
        raise SlackError("bot_not_found")
    return {
        "bot": {
            "id": BOT_ID,
            "app_id": APP_ID,
            "user_id": BOT_USER_ID,
            "name": BOT.name,
            "deleted": False,
            "updated": 1_700_000_000,
            "icons": {},
        }
    }


def _paid(call: Call) -> None:
    """User groups need a paid plan; the demo's workspace has none unless it is told so."""
    if not call.desk.paid_plan:
        raise SlackError("paid_teams_only")


def groups_list(call: Call) -> dict[str, Any]:
    _paid(call)
    groups = [
        {
            "id": group["id"],
            "team_id": TEAM_ID,
            "is_usergroup": True,
            "name": group["name"],
            "handle": group["handle"],
            "date_delete": 0,
            "user_count": len(group["users"]),
            **({"users": group["users"]} if call.flag("include_users") else {}),
        }
        for group in GROUPS
    ]
    return {"usergroups": groups}


def group_users(call: Call) -> dict[str, Any]:
    _paid(call)
    wanted = call.text("usergroup")
    for group in GROUPS:
        if group["id"] == wanted:
            return {"users": group["users"]}
    raise SlackError("no_such_subteam")


METHODS = {
    "auth.test": auth_test,
    "api.test": api_test,
    "users.info": user_info,
    "users.list": users_list,
    "bots.info": bot_info,
    "usergroups.list": groups_list,
    "usergroups.users.list": group_users,
}
