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
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

MIN_SECRET = 16
_VERSION = 1
_MAC = 8
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
        key = self._keys[0]
        head = bytes([_VERSION << 4 | key.id, min(token.attempt, 255)]) + token.tenant.to_bytes(3, "big")
        body = head + token.delivery_id.bytes
        mac = self._mac(key, body)
        return "b" + base64.b32encode(body + mac).decode().rstrip("=").lower()

    def read_delivery_token(self, text: str) -> DeliveryToken | None:
        """None unless it is a token of ours, whole and untouched (case does not count)."""
        if len(text) != 48 or not text.isascii() or text[0] not in "bB":
            return None
        try:
            raw = base64.b32decode(text[1:].upper() + "=")
        except (binascii.Error, ValueError):
            return None
        if base64.b32encode(raw).decode().rstrip("=") != text[1:].upper():
            return None  # the last letter has three bits to spare: one spelling only
        body, mac = raw[:-_MAC], raw[-_MAC:]
        key = self._by_id.get(body[0] & 0x0F)
        if key is None or body[0] >> 4 != _VERSION or not hmac.compare_digest(mac, self._mac(key, body)):
            return None
        old = key is not self._keys[0]
        return DeliveryToken(int.from_bytes(body[2:5], "big"), UUID(bytes=body[5:21]), body[1], old)

    def _mac(self, key: Key, body: bytes) -> bytes:
        return hmac.digest(self.subkey("delivery", key), body, "sha256")[:_MAC]
