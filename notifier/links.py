"""Short signed links to an invoice's page, for texts and mails.

A code is 18 letters and digits of base 58 (no 0, O, I or l: it may be read out on the telephone) for 13
bytes: an id that nobody can guess (6), tenant (3), HMAC-SHA256 over both, cut to 4. The HMAC only keeps
made-up codes away from the database; what makes a code secret are the 80 bits of id and HMAC together, and
what it opens is an amount and a date: the rest is behind the subscriber's ZIP code (docs/invoice-links.md).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from notifier.keys import Keyring
from store.models import Invoice, InvoiceLink
from store.types import derived_id
from store.unit import Tx

LIFETIME = timedelta(days=30)
"""As long as retired keys are kept: a link outlives no key that signed it."""
CODE_LENGTH = 18
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_ID, _TENANT, _MAC = 6, 3, 4
_BYTES = _ID + _TENANT + _MAC
_PURPOSE = "invoice-link"
_MOST_SALTS = 4
"""Two of 2**48 ids meet once in tens of millions of links; then another one is taken."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One link: whose invoice, for which message (`key`), and who gets it (None: whoever pays)."""

    invoice: Invoice
    key: str
    recipient: UUID | None = None


def read_code(keyring: Keyring, text: str) -> int | None:
    """The tenant of a code that one of our keys signed, else None; asks no database."""
    if len(text) != CODE_LENGTH:
        return None
    number = 0
    for letter in text:
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number * 58 + value
    if number >> (8 * _BYTES):
        return None
    raw = number.to_bytes(_BYTES, "big")
    body, mac = raw[:-_MAC], raw[-_MAC:]
    if not any(hmac.compare_digest(mac, _mac(subkey, body)) for subkey in keyring.subkeys(_PURPOSE)):
        return None
    return int.from_bytes(body[_ID:], "big")


def make_code(keyring: Keyring, tenant: int, link_id: UUID, salt: int = 0) -> str:
    """The code of a link under the newest key."""
    subkey = keyring.subkey(_PURPOSE)
    secret = hmac.new(subkey, b"id" + bytes([salt]) + link_id.bytes, hashlib.sha256).digest()[:_ID]
    body = secret + tenant.to_bytes(_TENANT, "big")
    number = int.from_bytes(body + _mac(subkey, body), "big")
    letters = []
    for _ in range(CODE_LENGTH):
        number, value = divmod(number, 58)
        letters.append(_ALPHABET[value])
    return "".join(reversed(letters))


def _mac(subkey: bytes, body: bytes) -> bytes:
    return hmac.new(subkey, body, hashlib.sha256).digest()[:_MAC]


async def link_for(
    tx: Tx,
    keyring: Keyring,
    public_url: str,
    invoice: Invoice,
    *,
    key: str,
    lifetime: timedelta = LIFETIME,
    recipient: UUID | None = None,
) -> str:
    """The URL of this invoice's page, kept in the caller's transaction.

    The same invoice and key give the same URL, also after a rotation of keys: what is enqueued again has the
    same context. `recipient` is the subscriber who gets it (their ZIP code opens the PDF); None: whoever
    pays.
    """
    wanted = [Wanted(invoice, key, recipient)]
    return (await links_for(tx, keyring, public_url, wanted, lifetime=lifetime))[0]


async def links_for(
    tx: Tx, keyring: Keyring, public_url: str, wanted: Sequence[Wanted], *, lifetime: timedelta = LIFETIME
) -> list[str]:
    """`link_for` for many at once, in their order: a few statements for hundreds."""
    ids = [derived_id(w.invoice.id, "link", w.key) for w in wanted]
    kept = await tx.links.by_ids(ids)
    missing = {link_id: w for link_id, w in zip(ids, wanted, strict=True) if link_id not in kept}
    recipients = await _recipients(tx, list(missing.values()))
    for salt in range(_MOST_SALTS):
        if not missing:
            break
        kept |= await tx.links.add(
            InvoiceLink(
                id=link_id,
                code=make_code(keyring, tx.tenant, link_id, salt),
                invoice_id=w.invoice.id,
                subscriber_id=recipients[w.invoice.subscriber_id] if w.recipient is None else w.recipient,
                expires_at=tx.now + lifetime,
                created_at=tx.now,
            )
            for link_id, w in sorted(missing.items())
        )
        missing = {link_id: w for link_id, w in missing.items() if link_id not in kept}
    if missing:
        raise LookupError("no free code was found for a link")
    return [f"{public_url}/i/{kept[link_id].code}" for link_id in ids]


async def _recipients(tx: Tx, wanted: Sequence[Wanted]) -> dict[UUID, UUID]:
    """Owner -> who pays (bill-to-another), else the owner."""
    owners = await tx.subscribers.by_ids(list({w.invoice.subscriber_id for w in wanted if not w.recipient}))
    accounts = {o.payer_account for o in owners.values() if o.payer_account is not None}
    payers = await tx.subscribers.by_accounts(sorted(accounts))
    found = {owner.id: payers.get(owner.payer_account or "", owner) for owner in owners.values()}
    return {owner_id: payer.id for owner_id, payer in found.items()}
