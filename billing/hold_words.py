"""Holds by name: what is held, as people say it and as the queue and the audit call it. Pure."""

from __future__ import annotations

from store.models import ACCOUNT, TAG, TOWN, Hold

PREFIX = "hold:"


def held_by(account: str) -> str:
    """Who holds a delivery because of a hold on this account."""
    return f"{PREFIX}{account}"


def holder(hold: Hold) -> str:
    """Who holds a delivery because of this hold: `hold:1042`, `hold:town:Grants Pass`, `hold:tag:fire`."""
    return held_by(hold.scope_key) if hold.scope == ACCOUNT else f"{PREFIX}{hold.scope}:{hold.scope_key}"


def held_thing(by: str) -> tuple[str, str] | None:
    """(scope, key) of the hold that a delivery waits for; None when something else holds it."""
    if not by.startswith(PREFIX):
        return None
    scope, _, key = by.removeprefix(PREFIX).partition(":")
    return (scope, key) if key and scope in (TOWN, TAG) else (ACCOUNT, by.removeprefix(PREFIX))


def thing(scope: str, key: str) -> str:
    """`account 1042`, `the town Grants Pass`, `the tag fire-2026`."""
    return {ACCOUNT: "account", TOWN: "the town", TAG: "the tag"}[scope] + f" {key}"


def what_is_held(hold: Hold) -> str:
    """At the beginning of a sentence."""
    named = thing(hold.scope, hold.scope_key)
    return named[0].upper() + named[1:]


def subject_of(hold: Hold) -> str:
    """What the audit calls it by."""
    return f"{hold.scope}:{hold.scope_key}"
