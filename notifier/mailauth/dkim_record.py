"""DKIM key records (RFC 6376 section 3.6.1, RFC 8463): what to publish, and whether DNS has it. No I/O.

A key is compared by its octets, so that spaces, tag order and how the strings were split do not matter.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from notifier.mailauth.answers import Answer, Question, Resolver, Status, Steps
from notifier.mailauth.dmarc_record import tags_of
from notifier.mailauth.domains import checkable_domain, is_queryable
from notifier.mailauth.driver import TIME_LIMIT, drive

KeyType = Literal["rsa", "ed25519"]
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")  # the AlgorithmIdentifier of rsaEncryption


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`octets` as they stand in p=: an RSA key in its SubjectPublicKeyInfo, an Ed25519 key as it is."""

    kind: KeyType
    octets: bytes = field(repr=False)

    @property
    def record(self) -> str:
        """The TXT record to publish."""
        return f"v=DKIM1; k={self.kind}; p={base64.b64encode(self.octets).decode('ascii')}"


class DkimState(StrEnum):
    """How a published key record stands to the key that signs."""

    RIGHT = "right"
    MISSING = "missing"
    DIFFERENT = "different"
    """Another key, or one of another kind: every signature fails."""
    REVOKED = "revoked"
    """p= is empty (RFC 6376 section 3.6.1): every signature fails."""
    BROKEN = "broken"
    """Receivers cannot use it: several records, no readable key, another hash or service."""
    UNKNOWN = "unknown"
    """DNS did not answer."""


@dataclass(frozen=True, slots=True)
class DkimRecordCheck:
    """`name` is where the record belongs, `wanted` what to publish there, `found` what is there now.
    `testing` is the t=y flag: receivers treat failing mail as if it had no signature."""

    name: str
    domain: str
    selector: str
    state: DkimState
    wanted: str
    found: tuple[str, ...]
    testing: bool
    sentence: str

    @property
    def right(self) -> bool:
        return self.state is DkimState.RIGHT


async def check_dkim_record(
    domain: str, selector: str, public_key: PublicKey, resolver: Resolver, *, time_limit: float = TIME_LIMIT
) -> DkimRecordCheck:
    """Whether the record of `selector` at `domain` publishes this key. ValueError for a name that is none."""
    return await drive(dkim_record_steps(domain, selector, public_key), resolver, time_limit=time_limit)


def key_name(domain: str, selector: str) -> str:
    """`selector._domainkey.domain`; ValueError when that is no DNS name."""
    plain = checkable_domain(domain)
    if plain is None:
        raise ValueError(f"'{domain}' is no full domain name")
    if not _SELECTOR.fullmatch(selector):
        raise ValueError(f"'{selector}' is no selector: letters, digits and hyphens, such as ispbot1")
    name = f"{selector.lower()}._domainkey.{plain}"
    if not is_queryable(name):
        raise ValueError(f"'{name}' is too long for a DNS name")
    return name


def dkim_record_steps(domain: str, selector: str, key: PublicKey) -> Steps[DkimRecordCheck]:
    name = key_name(domain, selector)
    answer = yield Question(name, "TXT")
    state, testing, sentence = _judged(name, answer, key)
    return DkimRecordCheck(name, domain, selector, state, key.record, answer.records, testing, sentence)


def _judged(name: str, answer: Answer, key: PublicKey) -> tuple[DkimState, bool, str]:
    if answer.status is Status.UNAVAILABLE:
        return DkimState.UNKNOWN, False, f"DNS gave no answer about {name}; its record is not known yet."
    if not answer.records:
        return DkimState.MISSING, False, f"There is no TXT record at {name}, so every signature fails."
    if len(answer.records) > 1:
        # RFC 6376 section 3.6.2.2: with several records it is undefined which one a receiver takes.
        count = len(answer.records)
        return DkimState.BROKEN, False, f"There are {count} TXT records at {name}; there may be only one."
    return _compared(name, answer.records[0], key)


def _compared(name: str, text: str, key: PublicKey) -> tuple[DkimState, bool, str]:
    tags = {tag.name: tag.value for tag in reversed(tags_of(text)) if tag.value is not None}
    testing = "y" in tags.get("t", "").replace(" ", "").split(":")
    if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return DkimState.BROKEN, testing, f"The TXT record at {name} is no DKIM key record."
    published = "".join(tags["p"].split())
    if not published:
        return (
            DkimState.REVOKED,
            testing,
            f"The key at {name} is revoked (p= is empty): every signature fails.",
        )
    kind = tags.get("k", "rsa").lower()
    try:
        octets = base64.b64decode(published, validate=True)
    except (binascii.Error, ValueError):
        return DkimState.BROKEN, testing, f"The key at {name} is damaged: it is not base64."
    if kind != key.kind or not _same(octets, key):
        other = "a key of another kind" if kind != key.kind else "another key"
        return DkimState.DIFFERENT, testing, f"{name} publishes {other} than ours, so every signature fails."
    hashes = [one.strip().lower() for one in tags.get("h", "sha256").split(":")]
    services = [one.strip().lower() for one in tags.get("s", "*").split(":")]
    if "sha256" not in hashes or not {"*", "email"} & set(services):
        return DkimState.BROKEN, testing, f"The record at {name} forbids its use for our mail (h= or s=)."
    if testing:
        return DkimState.RIGHT, True, f"{name} publishes our key, marked as a test (t=y)."
    return DkimState.RIGHT, False, f"{name} publishes our key."


def _same(octets: bytes, key: PublicKey) -> bool:
    """RFC 6376 asks for a bare RSAPublicKey, everybody publishes it wrapped; receivers take both."""
    return octets == key.octets or (key.kind == "rsa" and octets == _unwrapped(key.octets))


def _unwrapped(spki: bytes) -> bytes:
    """The RSAPublicKey inside a SubjectPublicKeyInfo: in its BIT STRING (RFC 5280 section 4.1.2.7)."""
    _, algorithm, bits = spki.partition(_RSA)
    longer = bits[1] & 0x7F if algorithm and bits[1] & 0x80 else 0  # DER: octets of a length beyond 127
    return bits[3 + longer :]  # after tag, length and the count of unused bits
