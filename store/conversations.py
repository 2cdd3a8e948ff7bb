"""What was said by text with each number: conversations and their lines."""

from __future__ import annotations

from store.repository import Repository


class Conversations(Repository):
    """What was said by text with each number: conversations and their lines."""
