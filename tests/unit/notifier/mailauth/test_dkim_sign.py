"""DKIM signatures, judged by an independent verifier (dkimpy), over bodies of every kind."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from functools import cache

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from dkim.canonicalization import CanonicalizationPolicy
from hypothesis import given
from hypothesis import strategies as st

from notifier.mailauth.canonical import relaxed_body, relaxed_header, split_message, wire_form
from notifier.mailauth.dkim_sign import DkimSigner, KeyProblem, load_signer, new_key

DOMAIN, SELECTOR, AT = "cascade.example", "ispbot1", 1_780_000_000
HEAD = (
    b"From: Cascade <billing@cascade.example>\r\nTo: dana@inbox.example\r\nMessage-ID: <m1@here.example>\r\n"
    b"X-Delivery-Ref: b0token\r\nAuto-Submitted: auto-generated\r\nDate: Mon, 02 Mar 2026 09:30:00 +0000\r\n"
    b"Subject: =?utf-8?b?SGVs?=\r\n =?utf-8?b?bG8=?=\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative;\tboundary="x"\r\nList-Unsubscribe: <https://x.example/u>\r\n'
)


@cache
def rsa_signer() -> DkimSigner:
    return load_signer(DOMAIN, SELECTOR, new_key())


@cache
def ed_signer() -> DkimSigner:
    return load_signer(DOMAIN, SELECTOR, new_key(ed25519=True))


def verified(message: bytes, signer: DkimSigner) -> bool:
    """By dkimpy, as a receiver with this key record would."""

    def record(name: bytes, timeout: int = 5) -> bytes:
        assert name == f"{SELECTOR}._domainkey.{DOMAIN}.".encode(), timeout
        return signer.public.record.encode()

    return bool(dkim.verify(message, dnsfunc=record))


def message(body: bytes, head: bytes = HEAD) -> bytes:
    return head + b"\r\n" + body


def listed(signed: bytes) -> list[str]:
    """The names in h=."""
    found = re.search(rb"h=([^;]*);", signed)
    assert found is not None
    return re.sub(rb"\s", b"", found.group(1)).decode().split(":")


BODIES = [
    b"",
    b"\r\n",
    b"\r\n\r\n\r\n",
    b"Hello",
    b"Hello\r\n",
    b"Hello\r\n\r\n\r\n",
    b"Hello \t \r\n \r\n\t\r\n",
    b" \r\n",
    b" ",
    b"two  spaces\tand\t \ttabs  \r\n  indented\r\n",
    b"x" * 5000 + b"\r\n",
    "Grüße an Zoë, 100 €\r\n".encode(),
    bytes(range(32, 256)) + b"\r\n",
    b".\r\n..\r\n",
    b"--x\r\nContent-Type: text/plain\r\n\r\nbody\r\n--x--\r\n",
]


@pytest.mark.parametrize("body", BODIES)
def test_a_verifier_accepts_what_we_sign(body: bytes) -> None:
    signer = rsa_signer()
    signed = signer.sign(message(body), AT)
    assert verified(signed, signer)
    assert message(body) in signed, "the message itself stays as it was"


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [b"", b" ", b"\t", b"  a\t b ", b"end \t", b"x" * 1200, b"\x00", b"\xff\xfe", b"."]
            ),
            st.binary(max_size=30).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")),
        ),
        max_size=12,
    ),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b" \r\n\t\r\n"]),
)
def test_a_verifier_accepts_any_body(lines: list[bytes], end: bytes) -> None:
    signer = rsa_signer()
    assert verified(signer.sign(message(b"\r\n".join(lines) + end), AT), signer)


@given(st.binary(max_size=200))
def test_any_line_ends_are_signed_as_they_cross_the_wire(body: bytes) -> None:
    signed = rsa_signer().sign(message(body), AT)
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", signed) is None
    assert verified(signed, rsa_signer())


@given(
    st.text(st.sampled_from(" \tabc\xe9\u20ac"), max_size=60), st.sampled_from(["Subject", "TO", "list-ID"])
)
def test_a_verifier_accepts_any_header(value: str, name: str) -> None:
    head = HEAD + f"{name}:{value}\r\n\t{value}x\r\n".encode()
    assert verified(rsa_signer().sign(message(b"Hello\r\n", head), AT), rsa_signer())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Hello", b"Hallo"),
        (b"dana@inbox", b"eve@inbox"),
        (b"MIME-Version: 1.0", b"MIME-Version: 1.1"),
        (b"\r\nTo:", b"\r\nSubject: another\r\nTo:"),
        (b"\r\nTo:", b"\r\nFrom: ceo@cascade.example\r\nTo:"),
        (b"\r\nTo:", b"\r\nReply-To: eve@evil.example\r\nTo:"),
        (b"\r\nTo:", b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nTo:"),
        (b"b0token", b"b0other"),
    ],
)
def test_whatever_is_changed_or_added_breaks_the_signature(before: bytes, after: bytes) -> None:
    signed = rsa_signer().sign(message(b"Hello\r\n"), AT)
    assert before in signed
    assert not verified(signed.replace(before, after, 1), rsa_signer())


def test_what_a_relay_may_do_does_not_break_the_signature() -> None:
    signed = rsa_signer().sign(message(b"Hello  there\r\n"), AT)
    relayed = b"Received: from x by y; now\r\n" + signed.replace(b"Subject:", b"SUBJECT:  ")
    assert verified(relayed.replace(b"Hello  there", b"Hello there \t") + b"\r\n\r\n", rsa_signer())


def test_each_important_header_is_listed_once_more_than_it_occurs() -> None:
    names = listed(rsa_signer().sign(message(b""), AT))
    for name in ("from", "subject", "to", "date", "message-id", "mime-version", "content-type"):
        assert names.count(name) == 2
    assert names.count("list-unsubscribe") == 2
    assert (names.count("list-id"), names.count("reply-to"), names.count("x-delivery-ref")) == (1, 1, 1)


def test_the_header_says_how_and_when_and_keeps_its_lines_short() -> None:
    signed = rsa_signer().sign(message(b""), AT)
    head = signed[: signed.index(b"\r\nFrom:")]
    assert head.startswith(
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=cascade.example; s=ispbot1;"
    )
    assert f"t={AT};".encode() in head
    assert max(map(len, head.split(b"\r\n"))) < 100


def _ed25519_holds(signed: bytes, signer: DkimSigner) -> bool:
    """RFC 8463 over dkimpy's own canonical form; its Ed25519 needs a library that we do not have."""
    headers, body = dkim.rfc822_parse(signed)
    policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    tags = dkim.util.parse_tag_value(headers[0][1])
    if base64.b64encode(hashlib.sha256(policy.canonicalize_body(body)).digest()) != tags[b"bh"]:
        return False
    names = [name.strip() for name in re.split(rb":", tags[b"h"])]
    hasher = dkim.HashThrough(hashlib.sha256())
    canonical = policy.canonicalize_headers(headers)
    dkim.hash_headers(hasher, policy, canonical, names, headers[0], tags)
    try:
        key = Ed25519PublicKey.from_public_bytes(signer.public.octets)
        key.verify(base64.b64decode(re.sub(rb"\s", b"", tags[b"b"])), hasher.digest())
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("body", BODIES)
def test_an_ed25519_signature_is_over_the_digest_of_the_canonical_headers(body: bytes) -> None:
    signer = ed_signer()
    signed = signer.sign(message(body), AT)
    assert b"a=ed25519-sha256" in signed
    assert _ed25519_holds(signed, signer)
    assert not _ed25519_holds(signed.replace(b"dana", b"eve_"), signer)


# --- the canonical form alone


@given(st.binary(max_size=120))
def test_the_body_is_canonical_as_the_witness_has_it(raw: bytes) -> None:
    body = wire_form(raw)
    policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    assert relaxed_body(body) == policy.canonicalize_body(body)


def test_the_examples_of_the_standard_come_out_as_printed() -> None:
    fields, body = split_message(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n")
    assert [relaxed_header(*one) for one in fields] == [b"a:X", b"b:Y Z"]
    assert relaxed_body(body) == b" C\r\nD E\r\n"


@pytest.mark.parametrize("head", [b"no field\r\n", b" folded first: x\r\n", b": nameless\r\n"])
def test_what_is_no_header_block_is_not_signed(head: bytes) -> None:
    with pytest.raises(ValueError, match="no header field"):
        rsa_signer().sign(head + b"\r\nbody", AT)


def test_a_message_without_from_is_not_signed() -> None:
    with pytest.raises(ValueError, match="From"):
        rsa_signer().sign(b"To: a@b.example\r\n\r\nbody", AT)


# --- keys


def pem(key: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8, password: bytes = b"") -> str:
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    made = rsa.generate_private_key(65537, 2048)
    return made.private_bytes(serialization.Encoding.PEM, key, locked).decode()


def test_a_key_may_be_pkcs1_and_its_line_ends_may_be_written_out() -> None:
    text = pem(serialization.PrivateFormat.TraditionalOpenSSL)
    assert text.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert (
        load_signer(DOMAIN, SELECTOR, text.replace("\n", "\\n")).public
        == load_signer(DOMAIN, SELECTOR, text).public
    )


def _other(kind: str) -> str:
    if kind == "curve":
        made = ec.generate_private_key(ec.SECP256R1())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return made.private_bytes(*form).decode()
    if kind == "public":
        public = serialization.load_pem_private_key(pem().encode(), None).public_key()
        form_of = serialization.PublicFormat.SubjectPublicKeyInfo
        return public.public_bytes(serialization.Encoding.PEM, form_of).decode()
    if kind == "small":
        small = rsa.generate_private_key(65537, 1024)
        text = small.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        return text.replace("MII", "MIJ", 1)
    return {"locked": pem(password=b"secret"), "words": "hunter2"}[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("curve", "neither an RSA nor an Ed25519 key"),
        ("public", "is the public key"),
        ("small", "no private key in PEM"),
        ("locked", "locked with a password"),
        ("words", "no private key in PEM"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_without_showing_any_of_it(kind: str, words: str) -> None:
    text = _other(kind)
    with pytest.raises(KeyProblem, match=words) as told:
        load_signer(DOMAIN, SELECTOR, text)
    assert text.split("\n")[len(text.split("\n")) // 2] not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize(
    ("domain", "selector"), [("nodots", "k1"), (DOMAIN, "no spaces"), (DOMAIN, ""), (DOMAIN, "k;1")]
)
def test_a_name_that_cannot_be_published_is_refused(domain: str, selector: str) -> None:
    with pytest.raises(KeyProblem):
        load_signer(domain, selector, new_key(ed25519=True))


def test_a_signer_shows_nothing_of_its_key() -> None:
    signer = rsa_signer()
    assert "PRIVATE" not in repr(signer)
    assert "_key" not in repr(signer)
    assert len(repr(signer)) < 200


def test_without_a_key_no_cryptography_is_loaded() -> None:
    code = "import sys, notifier.mailauth.dkim_sign; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
