"""Modals and home tabs: a stack of at most three modals for each person, one home tab each."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Mapping
from typing import Any

from sandbox.slack.blocks import MOST_VIEW_BYTES, check_view
from sandbox.slack.errors import SlackError, block_error
from sandbox.slack.messages import with_ids
from sandbox.slack.rules import Surface
from sandbox.slack.state import state_of
from sandbox.slack.workspace import APP_ID, BOT_ID, TEAM_ID
from sandbox.world import ControlError, World

VIEW = "slack_view"
STACK = "slack_stack"
HOME = "slack_home"
DEEPEST = 3


class Views:
    def __init__(self, world: World) -> None:
        self._world = world

    def stack(self, user: str) -> list[dict[str, Any]]:
        """The open modals of a person, the visible one last."""
        kept = self._world.documents.get(STACK, user)
        views = (self.get(view_id) for view_id in (kept["views"] if kept else []))
        return [view for view in views if view is not None]

    def home(self, user: str) -> dict[str, Any] | None:
        kept = self._world.documents.get(HOME, user)
        return self.get(kept["view"]) if kept else None

    def get(self, view_id: object) -> dict[str, Any] | None:
        kept = self._world.documents.get(VIEW, view_id) if isinstance(view_id, str) else None
        return kept["view"] if kept else None

    def owner(self, view_id: str) -> str | None:
        kept = self._world.documents.get(VIEW, view_id)
        return str(kept["user"]) if kept else None

    def shown(self, user: str, view_id: str) -> dict[str, Any]:
        """The view that a person can use now: the modal on top, or the home tab."""
        usable = [*self.stack(user)[-1:], *filter(None, [self.home(user)])]
        for view in usable:
            if view["id"] == view_id:
                return view
        there = ", ".join(view["id"] for view in usable) or "none"
        raise ControlError(f"{user} has no view {view_id} in front; there is: {there}.", 404)

    def open(self, user: str, payload: object) -> dict[str, Any]:
        view = self._new(user, payload, Surface.MODAL, None)
        self.close_all(user)
        self._set_stack(user, [view["id"]])
        return view

    def push(self, user: str, payload: object) -> dict[str, Any]:
        stack = self.stack(user)
        if len(stack) >= DEEPEST:
            raise SlackError("push_limit_reached")
        view = self._new(user, payload, Surface.MODAL, stack[-1] if stack else None)
        self._set_stack(user, [*(one["id"] for one in stack), view["id"]])
        return view

    def publish(self, user: str, payload: object, expected_hash: object = None) -> dict[str, Any]:
        before = self.home(user)
        if before is not None:
            return self.update(before, payload, expected_hash)
        view = self._new(user, payload, Surface.HOME, None)
        self._world.documents.put(HOME, user, {"view": view["id"]})
        return view

    def update(self, view: dict[str, Any], payload: object, expected_hash: object = None) -> dict[str, Any]:
        if expected_hash and expected_hash != view["hash"]:
            raise SlackError("hash_conflict")
        surface = Surface.HOME if view["type"] == "home" else Surface.MODAL
        checked = self._checked(payload, surface, view["id"])
        changed = view | self._fields(checked, surface) | {"hash": _new_hash()}
        changed["state"] = {"values": state_of(changed["blocks"], view["state"]["values"])}
        self._put(str(self.owner(view["id"])), changed)
        return changed

    def keep_state(self, view: dict[str, Any], block_id: str, action_id: str, entry: dict[str, Any]) -> None:
        view["state"]["values"].setdefault(block_id, {})[action_id] = entry
        self._put(str(self.owner(view["id"])), view)

    def by_external_id(self, external_id: object) -> dict[str, Any] | None:
        for kept in self._world.documents.all(VIEW):
            if external_id and kept["view"]["external_id"] == external_id:
                found: dict[str, Any] = kept["view"]
                return found
        return None

    def close(self, user: str) -> None:
        """Closes the modal on top; the one below appears again."""
        *below, top = self.stack(user)
        self._world.documents.delete(VIEW, top["id"])
        self._set_stack(user, [view["id"] for view in below])

    def close_all(self, user: str) -> None:
        for view in self.stack(user):
            self._world.documents.delete(VIEW, view["id"])
        self._set_stack(user, [])

    def _set_stack(self, user: str, view_ids: list[str]) -> None:
        self._world.documents.put(STACK, user, {"views": view_ids})
        self._world.changes.notify("slack")

    def _put(self, user: str, view: dict[str, Any]) -> None:
        self._world.documents.put(VIEW, view["id"], {"user": user, "view": view})
        self._world.changes.notify("slack")

    def _checked(self, payload: object, surface: Surface, view_id: str) -> Mapping[str, Any]:
        faults = check_view(payload, surface)
        if faults or not isinstance(payload, dict):
            raise block_error("invalid_arguments", faults)
        if len(json.dumps(payload)) > MOST_VIEW_BYTES:
            raise SlackError("view_too_large")
        other = self.by_external_id(payload.get("external_id"))
        if other is not None and other["id"] != view_id:
            raise SlackError("duplicate_external_id")
        return payload

    def _new(
        self, user: str, payload: object, surface: Surface, previous: dict[str, Any] | None
    ) -> dict[str, Any]:
        view_id = f"V{secrets.token_hex(5).upper()}"
        checked = self._checked(payload, surface, view_id)
        view: dict[str, Any] = {
            "id": view_id,
            "team_id": TEAM_ID,
            "app_id": APP_ID,
            "bot_id": BOT_ID,
            "app_installed_team_id": TEAM_ID,
            "root_view_id": previous["root_view_id"] if previous else view_id,
            "previous_view_id": previous["id"] if previous else None,
            "hash": _new_hash(),
            **self._fields(checked, surface),
        }
        view["state"] = {"values": state_of(view["blocks"])}
        self._put(user, view)
        return view

    @staticmethod
    def _fields(payload: Mapping[str, Any], surface: Surface) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "type": surface.value,
            "blocks": with_ids(payload["blocks"]),
            "private_metadata": payload.get("private_metadata") or "",
            "callback_id": payload.get("callback_id") or "",
            "external_id": payload.get("external_id") or "",
            "title": copy.deepcopy(payload.get("title")),
            "submit": copy.deepcopy(payload.get("submit")),
            "close": copy.deepcopy(payload.get("close")),
            "clear_on_close": bool(payload.get("clear_on_close")),
            "notify_on_close": bool(payload.get("notify_on_close")),
        }
        return fields


def _new_hash() -> str:
    return f"{secrets.randbelow(10**10)}.{secrets.token_hex(4)}"
