"""The shape of a rule."""

from __future__ import annotations

from typing import NamedTuple

from ..verdict import BounceClass


class Rule(NamedTuple):
    """One class with the phrases that give it away; `hard` where it differs from the class's own.

    `firm` where the words prove the class by themselves, whatever the stage of the session.
    """

    cls: BounceClass
    phrases: tuple[str, ...]
    hard: bool | None = None
    firm: bool = False
