"""What our own books say of addresses: the do-not-send list, and how many others use the same one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from uuid import UUID

from handlers.words import bounce_words
from notifier.addresses import AddressReport, Known, check_address, unanswered
from notifier.mailauth import Resolver
from store.models import Channel
from store.unit import Tx


async def known_of(
    tx: Tx, addresses: Sequence[str], *, other_than: UUID | None, zone: tzinfo
) -> Mapping[str, Known]:
    """normal address -> what is known, for each of them. `other_than`: whose they are, or will be.

    `zone`: the reader's, for the day since when.
    """
    suppressed = await tx.suppressions.active([(Channel.EMAIL, address) for address in addresses])
    sharing = await tx.subscribers.sharing(Channel.EMAIL, addresses, other_than=other_than)
    found: dict[str, Known] = {}
    for address in addresses:
        listed = suppressed.get((Channel.EMAIL, address))
        found[address] = Known(
            suppressed_since=listed.created_at.astimezone(zone) if listed else None,
            suppressed_for=bounce_words(listed.reason) if listed else "",
            others=sharing.get(address, 0),
        )
    return found


CHECK_S = 1.2
"""DNS has this long: a dialog must be answered within Slack's 3 s."""


async def look_at(resolver: Resolver, address: str, known: Known | None = None) -> AddressReport:
    """What is found about an address, within CHECK_S. No answer of DNS in time is no objection."""
    books = known or Known()
    try:
        async with asyncio.timeout(CHECK_S):
            return await check_address(address, resolver, books)
    except TimeoutError:
        return unanswered(address, books)


__all__ = ["known_of", "look_at"]
