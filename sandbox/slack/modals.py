"""A modal is filled in, submitted or closed; what the app's answer does to the stack of modals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.slack.call import Desk
from sandbox.slack.content import suspicious
from sandbox.slack.errors import SlackError
from sandbox.slack.interactions import Interactions
from sandbox.slack.outbound import Answer, Dispatcher
from sandbox.slack.payloads import actor
from sandbox.slack.state import EXTERNAL, elements, entered, refusals
from sandbox.slack.workspace import User
from sandbox.world import ControlError

TROUBLE = "We had some trouble connecting. Try again?"


class Modals:
    def __init__(self, desk: Desk, dispatcher: Dispatcher, interactions: Interactions) -> None:
        self._desk = desk
        self._dispatcher = dispatcher
        self._interactions = interactions

    async def submit(self, user: User, view_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """`{errors, views, ack_ms, ack, status}`; status None when Slack's client itself refused."""
        view = self._desk.views.shown(user.id, view_id)
        if view["type"] != "modal":
            raise ControlError("Only a modal can be submitted.")
        await self._fill(user, view, values)
        if found := refusals(view["blocks"], view["state"]["values"]):
            return {"ack_ms": None, "ack": None, "status": None, **self._after(user, found)}
        if not view["submit"]:
            raise ControlError("This modal has no submit button.")
        payload = {
            **actor(user),
            "type": "view_submission",
            "trigger_id": self._desk.triggers.issue(user.id, view_id),
            "view": view,
            "response_urls": self._response_urls(user, view),
        }
        answer = await self._dispatcher.interaction(payload, user=user.id, view=view_id)
        control = answer.control()
        errors = None
        if answer.ok:
            errors, trouble = self._obey(user, view, answer)
            if trouble:
                self._problem(trouble)
                control["error"] = TROUBLE
        return {**control, **self._after(user, errors)}

    def _after(self, user: User, errors: dict[str, str] | None) -> dict[str, Any]:
        return {"errors": errors, "views": self._desk.views.stack(user.id)}

    async def _fill(self, user: User, view: dict[str, Any], values: Mapping[str, Any]) -> None:
        known = {block["block_id"] for block, _ in elements(view["blocks"])}
        if unknown := sorted(set(values) - known):
            there = ", ".join(sorted(known)) or "none"
            raise ControlError(f"The modal has no input block {', '.join(unknown)}; there is: {there}.")
        for block, element in elements(view["blocks"]):
            given = values.get(block["block_id"])
            if given is None:
                continue
            if not isinstance(given, Mapping):
                raise ControlError(f"values.{block['block_id']} must be an object {{action_id: value}}.")
            ids = [one["action_id"] for other, one in elements(view["blocks"]) if other is block]
            if strangers := sorted(set(given) - set(ids)):
                raise ControlError(f"{block['block_id']} has no action_id {', '.join(strangers)}: {ids}.")
            if element["action_id"] in given:
                await self._enter(user, view, block, element, given[element["action_id"]])

    async def _enter(
        self, user: User, view: dict[str, Any], block: dict[str, Any], element: dict[str, Any], value: Any
    ) -> None:
        if element["type"] in EXTERNAL and value not in (None, ""):
            # Choosing from an external select means asking the app for its options first.
            state = await self._interactions.external_choice(user, view, block, element, value)
        else:
            state = entered(element, value)
        self._desk.views.keep_state(view, block["block_id"], element["action_id"], state)

    def _response_urls(self, user: User, view: dict[str, Any]) -> list[dict[str, Any]]:
        """For conversation selects with response_url_enabled."""
        urls = []
        for block, element in elements(view["blocks"]):
            if not element.get("response_url_enabled"):
                continue
            state = view["state"]["values"][block["block_id"]][element["action_id"]]
            channel = state.get("selected_conversation") or state.get("selected_channel")
            if channel:
                urls.append(
                    {
                        "response_url": self._desk.response_urls.issue(user.id, channel),
                        "channel_id": channel,
                        "block_id": block["block_id"],
                        "action_id": element["action_id"],
                    }
                )
        return urls

    def _obey(
        self, user: User, view: dict[str, Any], answer: Answer
    ) -> tuple[dict[str, str] | None, str | None]:
        """(errors to show, what was wrong with the answer)."""
        ack = answer.ack()
        still_open = [one["id"] for one in self._desk.views.stack(user.id)]
        if ack is None or ack == {}:
            if still_open and still_open[-1] == view["id"]:
                self._desk.views.close(user.id)
            return None, None
        if not isinstance(ack, dict):
            return None, "a view_submission is acknowledged with nothing or with a response_action"
        action = ack.get("response_action")
        if action == "clear":
            self._desk.views.close_all(user.id)
            return None, None
        if action == "errors":
            return self._errors(view, ack.get("errors"))
        if action not in ("update", "push"):
            return None, f"unknown response_action: {action}"
        if view["id"] not in still_open:
            return None, f"response_action {action} for a modal that is closed"
        try:
            if action == "push":
                shown = self._desk.views.push(user.id, ack.get("view"))
            else:
                shown = self._desk.views.update(view, ack.get("view"))
        except SlackError as refusal:
            return None, refusal.sentence()
        if trouble := suspicious(None, shown["blocks"]):
            self._problem(trouble)
        return None, None

    @staticmethod
    def _errors(view: dict[str, Any], errors: Any) -> tuple[dict[str, str] | None, str | None]:
        inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
        if not isinstance(errors, dict) or not errors:
            return None, "response_action errors without errors"
        if strangers := sorted(set(errors) - inputs):
            return None, f"errors for blocks that are no inputs of the modal: {', '.join(strangers)}"
        if not all(isinstance(sentence, str) and sentence for sentence in errors.values()):
            return None, "every error is a sentence"
        return dict(errors), None

    async def close(self, user: User, view_id: str, *, whole_stack: bool = False) -> dict[str, Any]:
        """Cancel, Back or the cross; the app hears of it only when it asked to (notify_on_close)."""
        view = self._desk.views.shown(user.id, view_id)
        if view["type"] != "modal":
            raise ControlError("Only a modal can be closed.")
        cleared = whole_stack or view["clear_on_close"]
        closed = list(reversed(self._desk.views.stack(user.id))) if cleared else [view]
        if cleared:
            self._desk.views.close_all(user.id)
        else:
            self._desk.views.close(user.id)
        for one in closed:
            if one["notify_on_close"]:
                payload = {**actor(user), "type": "view_closed", "view": one, "is_cleared": cleared}
                await self._dispatcher.interaction(payload, user=user.id, view=one["id"])
        return {"views": self._desk.views.stack(user.id)}

    def _problem(self, problem: str) -> None:
        self._desk.world.wire.record("slack", "in", "view_submission ack", "refused", 0.0, problem)
