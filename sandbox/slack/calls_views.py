"""views.*: modals that a trigger opens or stacks, and home tabs."""

from __future__ import annotations

from typing import Any

from sandbox.slack.call import Call
from sandbox.slack.content import parsed, suspicious
from sandbox.slack.errors import SlackError
from sandbox.slack.workspace import PEOPLE


def _payload(call: Call) -> Any:
    payload = parsed(call.args, "view", "invalid_arguments")
    if payload is None:
        raise SlackError("invalid_arguments", messages=["[ERROR] missing required field: view"])
    return payload


def _answer(call: Call, view: dict[str, Any]) -> dict[str, Any]:
    call.complain(suspicious(None, view["blocks"]))
    return {"view": view}


def open_(call: Call) -> dict[str, Any]:
    trigger = call.desk.triggers.exchange(call.args.get("trigger_id"))
    return _answer(call, call.desk.views.open(trigger.user, _payload(call)))


def push(call: Call) -> dict[str, Any]:
    trigger = call.desk.triggers.exchange(call.args.get("trigger_id"))
    if trigger.view_id is None or call.desk.views.get(trigger.view_id) is None:
        raise SlackError("invalid_arguments", messages=["[ERROR] the trigger_id comes from no open modal"])
    return _answer(call, call.desk.views.push(trigger.user, _payload(call)))


def update(call: Call) -> dict[str, Any]:
    if not call.args.get("view_id") and not call.args.get("external_id"):
        raise SlackError("invalid_arguments", messages=["[ERROR] missing required field: view_id"])
    view = call.desk.views.get(call.args.get("view_id"))
    if view is None:
        view = call.desk.views.by_external_id(call.args.get("external_id"))
    if view is None:
        raise SlackError("not_found")
    return _answer(call, call.desk.views.update(view, _payload(call), call.args.get("hash")))


def publish(call: Call) -> dict[str, Any]:
    user_id = call.text("user_id")
    if not any(person.id == user_id for person in PEOPLE):
        raise SlackError("invalid_arguments", messages=["[ERROR] invalid `user_id`"])
    return _answer(call, call.desk.views.publish(user_id, _payload(call), call.args.get("hash")))


METHODS = {
    "views.open": open_,
    "views.push": push,
    "views.update": update,
    "views.publish": publish,
}
