"""Which invented facts a template is shown with; apart, since the command line needs no more of templates to
start."""

from __future__ import annotations

from enum import StrEnum


class Sample(StrEnum):
    """`full` has everything that a message can have, `bare` nothing that it can do without."""

    FULL = "full"
    PAID = "paid"
    COPY = "copy"
    BARE = "bare"


__all__ = ["Sample"]
