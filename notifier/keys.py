"""Keys and the tokens made with them: an ordered list of secrets, a subkey per purpose.

The first key signs; all of them verify, so that a rotation keeps old tokens good until it is retired.

VERP local part (RFC 5321 section 4.5.3.1.1: at most 64 octets): `b` + base32 lower case of version and
key id (1), attempt (1), tenant (3), delivery (16), HMAC-SHA256 cut to 8 bytes = 48 octets. The same
token stands in Message-ID and X-Delivery-Ref; whoever holds one can bounce only that mail.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

if TYPE_CHECKING:
    from hashlib import _Hash

MIN_SECRET = 16
_VERSION = 1
_MAC = 8
READ_LATELY = 4096
_NUMBERS = frozenset(str(number) for number in range(1, 16))


class KeyringError(ValueError):
    """The configured keys cannot be used; the message names no secret."""


@dataclass(frozen=True, slots=True)
class Key:
    id: int
    """1 to 15; it travels in tokens."""
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryToken:
    tenant: int
    delivery_id: UUID
    attempt: int
    by_old_key: bool = field(default=False, compare=False)
    """Read only: it was made with a key that signs no more."""


class Keyring:
    """The deployment's keys, newest first."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)
        self._by_id = {key.id: key for key in keys}
        self._subkeys: dict[tuple[int, str], bytes] = {}
        # News is read at the rim and again when it is worked on, a moment later. Keys never change.
        self._read = lru_cache(maxsize=READ_LATELY)(self._read_token)
        self._keyed: dict[int, tuple[_Hash, _Hash]] = {}

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """`2:secret,1:older secret`, newest first; KeyringError says what is wrong with it."""
        keys: list[Key] = []
        for part in text.split(","):
            name, separator, secret = part.strip().partition(":")
            if not separator or name not in _NUMBERS:
                raise KeyringError("each key is written as NUMBER:SECRET, with a number from 1 to 15")
            if len(secret) < MIN_SECRET:
                raise KeyringError(f"key {name} is too short: at least {MIN_SECRET} characters")
            keys.append(Key(int(name), secret.encode()))
        if len({key.id for key in keys}) != len(keys):
            raise KeyringError("two keys have the same number")
        return cls(keys)

    def subkey(self, purpose: str, key: Key | None = None) -> bytes:
        """32 bytes for one purpose only, so that a token of one kind is none of another."""
        key = key or self._keys[0]
        found = self._subkeys.get((key.id, purpose))
        if found is None:
            found = hmac.new(key.secret, b"ispbot/" + purpose.encode(), hashlib.sha256).digest()
            self._subkeys[(key.id, purpose)] = found
        return found

    def subkeys(self, purpose: str) -> list[bytes]:
        """All of them, oldest first (the order that itsdangerous wants)."""
        return [self.subkey(purpose, key) for key in reversed(self._keys)]

    def _fernet(self, purpose: str) -> MultiFernet:
        return MultiFernet(
            [Fernet(base64.urlsafe_b64encode(self.subkey(purpose, key))) for key in self._keys]
        )

    def encrypt(self, purpose: str, plain: bytes) -> bytes:
        return self._fernet(purpose).encrypt(plain)

    def decrypt(self, purpose: str, token: bytes) -> bytes | None:
        """None when no key of ours made it."""
        try:
            return self._fernet(purpose).decrypt(token)
        except InvalidToken:
            return None

    def delivery_token(self, token: DeliveryToken) -> str:
        """48 characters of [a-z2-7], fit for a local part, a Message-ID and a header."""
        (made,) = self.delivery_tokens(token.tenant, [token.delivery_id], token.attempt)
        return made

    def delivery_tokens(self, tenant: int, delivery_ids: Sequence[UUID], attempt: int = 0) -> list[str]:
        """`delivery_token` for many: what they have in common is made once."""
        key = self._keys[0]
        head = bytes((_VERSION << 4 | key.id, min(attempt, 255))) + tenant.to_bytes(3, "big")
        inner, outer = self._keyed_hashes(key)
        begin, three, shifts = "b" + _base32(head), _THREE, _SHIFTS
        made = []
        for delivery_id in delivery_ids:
            tail = delivery_id.bytes
            first, second = inner.copy(), outer.copy()
            first.update(head + tail)
            second.update(first.digest())
            # 24 bytes are 192 bits, filled up to 195: three letters at a time out of one number takes a
            # third of the time of base64.b32encode.
            number = int.from_bytes(tail + second.digest()[:_MAC], "big") << 3
            made.append(begin + "".join([three[number >> shift & 0x7FFF] for shift in shifts]))
        return made

    def read_delivery_token(self, text: str) -> DeliveryToken | None:
        """None unless it is a token of ours, whole and untouched (case does not count)."""
        return self._read(text) if len(text) == 48 else None

    def _read_token(self, text: str) -> DeliveryToken | None:
        if len(text) != 48 or not text.isascii() or text[0] not in "bB":
            return None
        try:
            raw = base64.b32decode(text[1:].upper() + "=")
        except (binascii.Error, ValueError):
            return None
        if _base32(raw) != text[1:].lower():
            return None  # the last letter has three bits to spare: one spelling only
        body, mac = raw[:-_MAC], raw[-_MAC:]
        key = self._by_id.get(body[0] & 0x0F)
        if key is None or body[0] >> 4 != _VERSION or not hmac.compare_digest(mac, self._mac(key, body)):
            return None
        old = key is not self._keys[0]
        return DeliveryToken(int.from_bytes(body[2:5], "big"), UUID(bytes=body[5:21]), body[1], old)

    def _mac(self, key: Key, body: bytes) -> bytes:
        inner, outer = self._keyed_hashes(key)
        first, second = inner.copy(), outer.copy()
        first.update(body)
        second.update(first.digest())
        return second.digest()[:_MAC]

    def _keyed_hashes(self, key: Key) -> tuple[_Hash, _Hash]:
        """RFC 2104 section 4: both hashes after their first block, which the key alone decides."""
        if (known := self._keyed.get(key.id)) is not None:
            return known
        block = self.subkey("delivery", key).ljust(64, b"\x00")
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._keyed[key.id] = inner, outer
        return inner, outer


_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_THREE = tuple(a + b + c for a in _LETTERS for b in _LETTERS for c in _LETTERS)
_SHIFTS = tuple(range(180, -1, -15))


def _base32(raw: bytes) -> str:
    """RFC 4648 section 6, in small letters and without padding."""
    return base64.b32encode(raw).decode().rstrip("=").lower()
