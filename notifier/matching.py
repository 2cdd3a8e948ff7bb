"""Whose delivery each report of a bounce message is about.

In the order of proof: the VERP token in the envelope recipient; the signed header, Message-ID or ENVID of the
mail that came back; the relay's queue id, which nobody signed. A token of another's making matches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from notifier import returned
from notifier.bounces import BounceReport
from notifier.keys import DeliveryToken, Keyring
from notifier.returned import Returned
from store.addresses import normalise_email
from store.deliveries import Ref
from store.models import Channel, Delivery, Unmatched
from store.unit import Tx

OLD_KEY_GOOD = timedelta(days=30)
"""How old a delivery may be whose token a retired key made."""


@dataclass(frozen=True, slots=True)
class Match:
    tenant: int
    delivery: Delivery
    attempt: int
    signed: bool
    named: bool = True
    """The report says which attempt it is about; else the latest is taken for it."""


async def match(
    tx: Tx,
    keyring: Keyring,
    found: Returned,
    envelope_to: str,
    tenant: int | None,
    *,
    lock: bool = True,
    locked: Mapping[Ref, Delivery] | None = None,
) -> list[Match | Unmatched]:
    """For each report its delivery (locked, but where somebody only looks), or why there is none.

    `locked`: those of all tokens in it (`signed_refs`), where the caller has locked them for many messages.
    """
    verp = returned.verp_token(envelope_to)
    tokens = _tokens(keyring, found, verp)
    valid = {text: token for text, token in tokens.items() if token is not None}
    refs = [(t.tenant, t.delivery_id) for t in valid.values()]
    rows = locked if locked is not None else await _rows(tx, refs, lock)
    good: dict[str, Match] = {}
    problems = {Unmatched.FORGED} if len(valid) < len(tokens) else set()
    for text, token in valid.items():
        delivery = rows.get((token.tenant, token.delivery_id))
        problem = _problem(token, delivery, tx.now)
        if problem is not None or delivery is None:
            problems.add(problem or Unmatched.GONE)
        else:
            good[text] = Match(token.tenant, delivery, token.attempt, signed=True)
    named = _by_delivery([good[t] for t in found.tokens if t in good])
    if verp in good:
        own = good[verp]
        returned_too = named.get((own.tenant, own.delivery.id))
        if returned_too is not None and returned_too.attempt:
            own = returned_too  # a report of one attempt, replayed to the address of another
        return [_of_latest(own)] * len(found.reports)
    if named:
        return _each_to_its_own(found.reports, [_of_latest(m) for m in named.values()])
    if problems:
        return [min(problems, key=list(Unmatched).index)] * len(found.reports)
    return await _by_queue_id(tx, found, tenant, lock)


def signed_refs(keyring: Keyring, found: Returned, envelope_to: str) -> list[Ref]:
    """The deliveries that tokens of ours in it name."""
    tokens = _tokens(keyring, found, returned.verp_token(envelope_to))
    return sorted({(t.tenant, t.delivery_id) for t in tokens.values() if t is not None})


def _tokens(keyring: Keyring, found: Returned, verp: str) -> dict[str, DeliveryToken | None]:
    return {text: keyring.read_delivery_token(text) for text in (verp, *found.tokens) if text}


async def _rows(tx: Tx, refs: Sequence[Ref], lock: bool) -> dict[Ref, Delivery]:
    if lock:
        return await tx.deliveries.lock(refs)
    found: dict[Ref, Delivery] = {}
    for tenant in sorted({tenant for tenant, _ in refs}):
        mine = await tx.of(tenant).deliveries.get_many([one for owner, one in refs if owner == tenant])
        found |= {(tenant, delivery_id): delivery for delivery_id, delivery in mine.items()}
    return found


def _problem(token: DeliveryToken, delivery: Delivery | None, now: datetime) -> Unmatched | None:
    if delivery is None or delivery.channel is not Channel.EMAIL:
        return Unmatched.GONE  # a text's token goes to the text provider, which sends no bounces
    if token.by_old_key and now - delivery.created_at > OLD_KEY_GOOD:
        return Unmatched.OLD_KEY
    return None


def _of_latest(found: Match) -> Match:
    """A Message-ID is that of all attempts (attempt 0): the latest is meant."""
    return found if found.attempt else replace(found, attempt=found.delivery.attempt, named=False)


def _by_delivery(found: Sequence[Match]) -> dict[Ref, Match]:
    """Each delivery once; the header that names an attempt before the Message-ID that names none."""
    best: dict[Ref, Match] = {}
    for one in found:
        ref = (one.tenant, one.delivery.id)
        if ref not in best or not best[ref].attempt:
            best[ref] = one
    return best


def _each_to_its_own(reports: Sequence[BounceReport], candidates: Sequence[Match]) -> list[Match | Unmatched]:
    """Without VERP: a report goes to the returned mail that was addressed to its recipient.

    A report about a stranger belongs to a returned mail only where that is the only one, and nothing is said
    about its own recipient: that is forwarding. Else somebody's mail would take another's bounce.
    """
    own = [next((c for c in candidates if names(r, c.delivery.address)), None) for r in reports]
    alone = candidates[0] if len(candidates) == 1 and not any(own) else None
    return [found or alone or Unmatched.AMBIGUOUS for found in own]


async def _by_queue_id(tx: Tx, found: Returned, tenant: int | None, lock: bool) -> list[Match | Unmatched]:
    """Unsigned: what was queued under that name, and only about its very recipient."""
    if not found.queue_id:
        return [Unmatched.NO_TOKEN] * len(found.reports)
    rows = await tx.deliveries.by_queue_id(found.queue_id)
    if len(rows) != 1 or rows[0].tenant != tenant or rows[0].channel is not Channel.EMAIL:
        return [Unmatched.AMBIGUOUS if rows else Unmatched.NO_TOKEN] * len(found.reports)
    ref = (rows[0].tenant, rows[0].id)
    delivery = (await _rows(tx, [ref], lock)).get(ref, rows[0])
    unsigned = Match(delivery.tenant, delivery, delivery.attempt, signed=False, named=False)
    return [
        unsigned if names(r, delivery.address, silent=False) else Unmatched.AMBIGUOUS for r in found.reports
    ]


def names(report: BounceReport, address: str, *, silent: bool = True) -> bool:
    """Whether it is about this mailbox, and not about one that it forwards to.

    `silent`: what holds of a report that names nobody.
    """
    # Original-Recipient is our own ORCPT come back: it says whom we mailed, not who is gone.
    failed = report.recipient or report.original_recipient
    if not failed:
        return silent
    if failed.casefold() == address.casefold():  # nearly always; normalising costs 60 microseconds each
        return True
    return normalise_email(failed).address.casefold() == normalise_email(address).address.casefold()
