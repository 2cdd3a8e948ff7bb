"""What our own books say of addresses: the do-not-send list, and how many others use the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from handlers.words import bounce_words
from notifier.addresses import Known
from store.models import Channel
from store.unit import Tx


async def known_of(tx: Tx, addresses: Sequence[str], *, other_than: UUID | None) -> Mapping[str, Known]:
    """normal address -> what is known, for each of them. `other_than`: whose they are, or will be."""
    suppressed = await tx.suppressions.active([(Channel.EMAIL, address) for address in addresses])
    sharing = await tx.subscribers.sharing(Channel.EMAIL, addresses, other_than=other_than)
    found: dict[str, Known] = {}
    for address in addresses:
        listed = suppressed.get((Channel.EMAIL, address))
        found[address] = Known(
            suppressed_since=listed.created_at if listed else None,
            suppressed_for=bounce_words(listed.reason) if listed else "",
            others=sharing.get(address, 0),
        )
    return found


__all__ = ["known_of"]
