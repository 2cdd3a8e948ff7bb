"""Signs a message with DKIM (RFC 6376; Ed25519 by RFC 8463), relaxed/relaxed. No I/O and no clock.

Loading this module loads no cryptography: only a configured key does. A private key never shows in a repr,
an error or a log.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from notifier.mailauth.canonical import CRLF, relaxed_body, relaxed_header, split_message, wire_form
from notifier.mailauth.dkim_record import PublicKey, key_name
from notifier.mailauth.identity import SigningKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

# Section 8.15: listed once more than they occur, so that nobody can add another one to a signed message.
OVERSIGNED = (
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",  # RFC 8058 section 4: one-click needs both under the signature
)
SIGNED = ("auto-submitted", "x-delivery-ref")
"""Signed where they occur."""

MIN_RSA_BITS, MAX_RSA_BITS = 1024, 4096
"""RFC 8301 section 3.2: what signers may use and verifiers must understand."""
GOOD_RSA_BITS = 2048
_LINE = 72


class KeyProblem(ValueError):
    """A sentence about a private key that cannot be used. Never holds any of the key."""


@dataclass(frozen=True, slots=True)
class DkimSigner:
    """One key, ready to sign. `slow` says that signing is worth a thread (RSA)."""

    domain: str
    selector: str
    public: PublicKey
    bits: int
    _key: RSAPrivateKey | Ed25519PrivateKey = field(repr=False, compare=False)

    @property
    def slow(self) -> bool:
        return self.public.kind == "rsa"

    @property
    def signing_key(self) -> SigningKey:
        return SigningKey(self.domain, self.selector, self.public)

    def sign(self, message: bytes, timestamp: int) -> bytes:
        """The message as it goes over the wire, with its DKIM-Signature in front. `timestamp` is in seconds
        since the epoch. ValueError for a header block that is none, or has no From."""
        message = wire_form(message)
        fields, body = split_message(message)
        names, signed = _selected(fields)
        body_hash = b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode("ascii")
        value = (
            f" v=1; a={self.public.kind}-sha256; c=relaxed/relaxed; d={self.domain}; s={self.selector};\r\n"
            f"\tt={timestamp}; h={_folded(names)};\r\n\tbh={body_hash};\r\n\tb="
        )
        header = relaxed_header(b"DKIM-Signature", value.encode("ascii"))
        signature = b64encode(self._signature(CRLF.join([*signed, header]))).decode("ascii")
        lines = [signature[at : at + _LINE] for at in range(0, len(signature), _LINE)]
        folded = "\r\n\t".join(lines)
        return f"DKIM-Signature:{value}{folded}\r\n".encode("ascii") + message

    def _signature(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ed25519, padding

        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            # RFC 8463 section 3: the SHA-256 digest is what PureEdDSA signs.
            return self._key.sign(hashlib.sha256(data).digest())
        return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def _selected(fields: Sequence[tuple[bytes, bytes]]) -> tuple[list[str], list[bytes]]:
    """Names for h= and the canonical fields, both in the order of signing (section 5.4.2)."""
    found: dict[str, list[bytes]] = {}
    for field_name, value in reversed(fields):  # of a repeated field, the lowest is signed first
        key = field_name.strip(b" \t").lower().decode("latin-1")
        found.setdefault(key, []).append(relaxed_header(field_name, value))
    if "from" not in found:
        raise ValueError("a message without From cannot be signed")
    names: list[str] = []
    signed: list[bytes] = []
    for name in (*OVERSIGNED, *SIGNED):
        values = found.get(name, [])
        signed += values
        names += [name] * (len(values) + (name in OVERSIGNED))
    return names, signed


def _folded(names: Sequence[str]) -> str:
    """h= in lines of a readable length; white space may stand around the colons (section 3.5)."""
    lines: list[str] = []
    line = ""
    for name in names:
        if line and len(line) + len(name) > _LINE:
            lines.append(line)
            line = ""
        line += f"{name}:"
    return "\r\n\t ".join([*lines, line]).removesuffix(":")


def load_signer(domain: str, selector: str, pem: str) -> DkimSigner:
    """A signer for a private key in PEM (PKCS#8 or PKCS#1; a literal backslash-n counts as a line end, since
    that is how PEM survives in many environment files). KeyProblem says what is wrong, without the key."""
    try:
        key_name(domain, selector)
    except ValueError as error:
        raise KeyProblem(str(error)) from None
    key = _private_key(pem)
    public, bits = _public(key)
    if public.kind == "rsa" and not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise KeyProblem(f"is an RSA key of {bits} bits; receivers take {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    return DkimSigner(domain.lower().rstrip("."), selector, public, bits, key)


def _private_key(pem: str) -> RSAPrivateKey | Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = re.sub(r"\\n", "\n", pem).strip()
    if "PUBLIC KEY" in text:
        raise KeyProblem("is the public key; the private one signs")
    try:
        key = load_pem_private_key(text.encode("utf-8", "replace"), password=None)
    except TypeError:
        raise KeyProblem("is locked with a password; store it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyProblem("is no private key in PEM (-----BEGIN PRIVATE KEY-----)") from None
    if isinstance(key, (rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)):
        return key
    raise KeyProblem("is neither an RSA nor an Ed25519 key, and DKIM knows no other")


def _public(key: RSAPrivateKey | Ed25519PrivateKey) -> tuple[PublicKey, int]:
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return PublicKey("ed25519", key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)), 256
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey("rsa", spki), key.key_size


def new_key(*, ed25519: bool = False, bits: int = GOOD_RSA_BITS) -> str:
    """A fresh private key in PEM (PKCS#8, not locked)."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate() if ed25519 else rsa.generate_private_key(65537, bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
