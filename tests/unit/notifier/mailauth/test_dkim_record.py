"""DKIM key records: what is published against what signs."""

import asyncio
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from notifier.mailauth import DkimRecordCheck, DkimState, PublicKey, StaticResolver, check_dkim_record
from notifier.mailauth.dkim_sign import load_signer, new_key

ED = PublicKey("ed25519", bytes(range(32)))
P = b64encode(ED.octets).decode()
RSA = load_signer("d.example", "k1", new_key()).public


def checked(content: object, key: PublicKey = ED) -> DkimRecordCheck:
    zone = {} if content is None else {"k1._domainkey.d.example": content}
    return asyncio.run(check_dkim_record("d.example", "k1", key, StaticResolver(zone)))


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (None, DkimState.MISSING),
        ({"A": ["192.0.2.1"]}, DkimState.MISSING),
        ("TIMEOUT", DkimState.UNKNOWN),
        ({"TXT": [f"v=DKIM1; k=ed25519; p={P}"]}, DkimState.RIGHT),
        ({"TXT": [f"p={P[:9]} {P[9:]};k=ed25519 ; "]}, DkimState.RIGHT),
        ({"TXT": [(f"v=DKIM1; k=ed25519; p={P[:20]}", P[20:])]}, DkimState.RIGHT),
        ({"TXT": [f"v=DKIM1; k=ed25519; s=email:other; h=sha1:sha256; n=hi; p={P}"]}, DkimState.RIGHT),
        ({"TXT": [f"v=DKIM1; p={P}"]}, DkimState.DIFFERENT),
        ({"TXT": ["v=DKIM1; k=ed25519; p=AAAA"]}, DkimState.DIFFERENT),
        ({"TXT": ["v=DKIM1; k=ed25519; p="]}, DkimState.REVOKED),
        ({"TXT": ["v=DKIM1; k=ed25519; p=%%"]}, DkimState.BROKEN),
        ({"TXT": ["v=DKIM1; k=ed25519"]}, DkimState.BROKEN),
        ({"TXT": [f"v=DKIM2; k=ed25519; p={P}"]}, DkimState.BROKEN),
        ({"TXT": [f"v=DKIM1; k=ed25519; h=sha1; p={P}"]}, DkimState.BROKEN),
        ({"TXT": [f"v=DKIM1; k=ed25519; s=other; p={P}"]}, DkimState.BROKEN),
        ({"TXT": [f"k=ed25519; p={P}", "v=DKIM1; p="]}, DkimState.BROKEN),
        ({"TXT": ["hello"]}, DkimState.BROKEN),
    ],
)
def test_each_state_of_a_key_record_is_told_apart(content: object, state: DkimState) -> None:
    check = checked(content)
    assert check.state is state
    assert check.name == "k1._domainkey.d.example"
    assert check.wanted == ED.record
    assert check.right is (state is DkimState.RIGHT)
    assert check.sentence.endswith(".")


def test_an_rsa_key_is_right_with_and_without_its_wrapping() -> None:
    key = load_der_public_key(RSA.octets)
    bare = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert checked({"TXT": [RSA.record]}, RSA).right
    assert checked({"TXT": [f"v=DKIM1; p={b64encode(bare).decode()}"]}, RSA).right
    assert not checked({"TXT": [f"v=DKIM1; p={b64encode(bare[9:]).decode()}"]}, RSA).right
    assert not checked({"TXT": [f"v=DKIM1; p={b64encode(RSA.octets[-8:]).decode()}"]}, RSA).right


def test_a_test_flag_is_told() -> None:
    check = checked({"TXT": [f"v=DKIM1; t=y:s; k=ed25519; p={P}"]})
    assert (check.state, check.testing) == (DkimState.RIGHT, True)
    assert "t=y" in check.sentence


def test_a_cname_to_somebody_elses_record_is_followed() -> None:
    zone = {
        "k1._domainkey.d.example": {"CNAME": ["key.host.example"]},
        "key.host.example": {"TXT": [ED.record]},
    }
    assert asyncio.run(check_dkim_record("D.example.", "k1", ED, StaticResolver(zone))).right


@pytest.mark.parametrize(
    ("domain", "selector"), [("nodots", "k1"), ("d.example", "a b"), ("x" * 64 + ".d", "k")]
)
def test_a_name_that_is_none_is_refused(domain: str, selector: str) -> None:
    with pytest.raises(ValueError):
        asyncio.run(check_dkim_record(domain, selector, ED, StaticResolver({})))
