"""Addresses to mend, read already, and what became of them. Pure: values only."""

from __future__ import annotations

from dataclasses import dataclass

from store.models import ContactOverride, Point, Subscriber


@dataclass(frozen=True, slots=True)
class Contact:
    """Whose addresses, and which ones invoices go to."""

    subscriber: Subscriber
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Mended:
    """An address that was changed here, or taken back."""

    subscriber: Subscriber
    override: ContactOverride
