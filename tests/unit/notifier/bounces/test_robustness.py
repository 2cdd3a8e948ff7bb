"""Whatever the bytes, an answer in bounded time and never an exception."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.bounces import BounceReport, classify_reply, parse_bounce, returned_headers
from notifier.bounces.mime import MAX_BYTES, canonical, content_type, decoded_words, html_text

from .shapes import SHAPES
from .test_delivery_reports import block, delivery_report
from .test_notices import EXCHANGE, EXIM, GOOGLE, HTML_ONLY, OLD_SENDMAIL, QMAIL
from .test_other_mail import ARF

SAMPLES = [text.encode() for text in (EXCHANGE, EXIM, GOOGLE, HTML_ONLY, OLD_SENDMAIL, QMAIL, ARF)] + [
    delivery_report(
        block("bob@example.com", "failed", "5.1.1", "550 5.1.1 User unknown"), "<bob@example.com>: no"
    )
]
SHAPED = [raw.encode() for raw, _ in SHAPES.values()]
# Generous against a loaded machine under coverage; it guards against minutes, not milliseconds.
LIMIT_S = 15.0


def survives(raw: bytes) -> list[BounceReport]:
    started = time.process_time()
    found = parse_bounce(raw)
    returned_headers(raw)
    assert time.process_time() - started < LIMIT_S
    assert all(isinstance(report.recipient, str) for report in found)
    return found


@given(st.binary(max_size=4000))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_never_raise(raw: bytes) -> None:
    survives(raw)


@given(st.sampled_from(SAMPLES), st.integers(0, 4000), st.sampled_from([b"\n", b"\r\n", b"\r"]))
@settings(max_examples=300, deadline=None)
def test_truncated_bounces_never_raise(raw: bytes, length: int, ending: bytes) -> None:
    survives(raw[:length].replace(b"\n", ending))


@given(
    st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=12)), max_size=8)
)
@settings(max_examples=300, deadline=None)
def test_damaged_bounces_never_raise(raw: bytes, damage: list[tuple[int, bytes]]) -> None:
    for at, junk in damage:
        at %= len(raw)
        raw = raw[:at] + junk + raw[at + len(junk) :]
    survives(raw)


@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_shuffled_lines_never_raise(raw: bytes, chance: random.Random) -> None:
    lines = raw.split(b"\n")
    chance.shuffle(lines)
    survives(b"\n".join(lines))


@pytest.mark.parametrize("name", ["exim several", "courier", "exchange online", "amavis spam"])
def test_a_cut_at_every_place_is_survived(name: str) -> None:
    raw = SHAPES[name][0].encode()
    for length in range(len(raw)):
        parse_bounce(raw[:length])


@given(
    st.sampled_from(SHAPED),
    st.sampled_from([b"\n", b"\r\n", b"\r", b"\r\r\n"]),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 60), st.binary(max_size=6)), max_size=6),
)
@settings(max_examples=400, deadline=None)
def test_mutated_notices_never_raise(raw: bytes, ending: bytes, damage: list[tuple[int, int, bytes]]) -> None:
    for at, cut, junk in damage:
        at %= len(raw)
        raw = (raw[:at] + junk + raw[at + cut :]) or b" "
    survives(raw.replace(b"\n", ending))


@given(st.sampled_from(SHAPED), st.sampled_from(SHAPED))
@settings(max_examples=200, deadline=None)
def test_one_notice_inside_another_never_raises(outer: bytes, inner: bytes) -> None:
    half = len(outer) // 2
    survives(outer[:half] + inner + outer[half:])


TELLING = (
    *("user", "recipient", "mailbox", "message", "host", "server", "sender", "policy", "your", "ip", "the"),
    *("not", "does", "exist", "found", "unknown", "too", "many", "exceeds", "size", "rejected"),
    *("550", "5.1.1", "<a@b.example>", "addr"),
)


@given(
    st.lists(
        st.sampled_from(TELLING),
        max_size=800,
    )
)
@settings(max_examples=100, deadline=None)
def test_sentences_of_telling_words_take_bounded_time(words: list[str]) -> None:
    started = time.process_time()
    classify_reply(550, None, " ".join(words))
    assert time.process_time() - started < LIMIT_S


CODES = st.one_of(st.none(), st.integers(), st.text(max_size=8))


@given(CODES, st.one_of(st.none(), st.text(max_size=8)), st.text())
@settings(max_examples=300, deadline=None)
def test_arbitrary_answers_never_raise(code: int | str | None, enhanced: str | None, text: str) -> None:
    classify_reply(code, enhanced, text)


@given(st.text(max_size=300))
def test_header_helpers_take_any_text(text: str) -> None:
    content_type(text)
    decoded_words(text)
    html_text(text)


DAEMON = b"From: MAILER-DAEMON@mx\nReturn-Path: <>\nSubject: failure notice\n"


def nested(levels: int) -> bytes:
    layer = b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n'
    return DAEMON + b"".join(layer % (n, n) for n in range(levels)) + b"\n550 user unknown"


def daemon(body: bytes) -> bytes:
    return DAEMON + b"\nnot delivered\n" + body


def text_parts() -> bytes:
    part = b"--b\n\n" + b"could not be delivered to: x@y.example\n" * 400
    return DAEMON + b"Content-Type: multipart/mixed; boundary=b\n\n" + part * 64


def status_blocks() -> bytes:
    return delivery_report("\n".join(block(f"u{n}@b.example", "failed", "5.1.1") for n in range(12_000)))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "deep nesting": lambda: nested(5000),
    "rfc822 in rfc822": lambda: (DAEMON + b"Content-Type: message/rfc822\n\n") * 12_000,
    "one huge line": lambda: daemon(b"a" * MAX_BYTES),
    "one huge line of addresses": lambda: daemon(b"<a@b.example> " * 70_000),
    "many lines of addresses": lambda: daemon(b"<a@b.example>: 550 no such user\n" * 30_000),
    "many addresses": lambda: daemon(b"".join(b"<u%d@b.example>:\n550 no\n" % n for n in range(40_000))),
    "bars": lambda: daemon(b"|" * 500_000),
    "dashes": lambda: daemon((b"-" * 900 + b"\n") * 1000),
    "spaces": lambda: daemon(b" " * 500_000 + b"x@y.example"),
    "angle brackets": lambda: daemon(b"<" * 500_000),
    "open style elements": lambda: DAEMON + b"Content-Type: text/html\n\n" + b"<style" * 80_000,
    "header without an end": lambda: b"X" * 500_000 + b": y\n\nz",
    "folded header without an end": lambda: b"Subject: x\n" + b" y\n" * 300_000,
    "a hundred thousand headers": lambda: b"X-A: b\n" * 140_000,
    "encoded words": lambda: b"Subject: " + b"=?utf-8?q?a" * 40_000 + b"\n\nx",
    "boundaries": lambda: b"Content-Type: multipart/report; boundary=b\n\n" + b"--b\n\n" * 200_000,
    "empty boundary": lambda: b'Content-Type: multipart/report; boundary=""\n\n--\n\n--\n',
    "status blocks": status_blocks,
    "same field over and over": lambda: delivery_report("Final-Recipient: rfc822; a@b.example\n" * 25_000),
    "quote mark over and over": lambda: b"Subject: Fwd: x\n\n" + b">" * 400_000,
    "json bomb": lambda: b'From: a@b\n\n{"notificationType"' + b":[" * 200_000,
    "numbers": lambda: daemon(b"5.1.1." * 100_000 + b"550-" * 100_000),
    "parts of text": text_parts,
    "many recipients, each with words": lambda: delivery_report(
        "\n".join(block(f"u{n}@b.example", "failed", "5.0.0") for n in range(900)),
        "\n".join(
            f"<u{n}@b.example>: what the user, the host and the server said of {n}" for n in range(900)
        ),
    ),
    "the same words for ever": lambda: daemon(b"the user host server message not " * 30_000),
    "an answer in every word": lambda: daemon(b"550 5.1.1 550-5.1.1 " * 50_000),
}


@pytest.mark.parametrize("make", list(HOSTILE.values()), ids=list(HOSTILE))
def test_hostile_mail_takes_bounded_time(make: Callable[[], bytes]) -> None:
    survives(make())


def test_missing_and_empty_from_are_no_obstacle() -> None:
    for sender in (b"", b"From:\n", b"From: <>\n", b"From: =?x?b?////?=\n"):
        raw = (
            sender
            + b"Return-Path: <>\nSubject: failure notice\n\n<bob@example.com>:\n550 5.1.1 user unknown\n"
        )
        assert [r.recipient for r in survives(raw)] == ["bob@example.com"]


@pytest.mark.parametrize(
    "charset", ["klingon", "utf-7", "idna", "base64", "utf-16", "x-unknown", "", "rot13", "punycode"]
)
def test_broken_charset_does_not_hide_the_report(charset: str) -> None:
    raw = EXIM.replace("Subject:", f"Content-Type: text/plain; charset={charset}\nSubject:").encode()
    assert [r.recipient for r in survives(raw)] == ["bob@example.com"]


def test_base64_garbage_is_decoded_as_far_as_it_goes() -> None:
    raw = DAEMON + b"Content-Transfer-Encoding: base64\n\n%%%PGJvYkBleGFtcGxlLmNvbT46=\n"
    assert [r.recipient for r in survives(raw)] == ["bob@example.com"]


def test_nul_bytes_are_passed_over() -> None:
    raw = QMAIL.encode().replace(b"failure", b"fail\0ure")
    assert len(survives(raw)) == 2


def test_only_the_first_mebibyte_is_looked_at() -> None:
    assert len(canonical(b"x" * (MAX_BYTES + 10))) == MAX_BYTES
    late = daemon(b"\n" * MAX_BYTES + b"<bob@example.com>:\n550 user unknown\n")
    assert "bob@example.com" not in [r.recipient for r in survives(late)]


def test_missing_closing_boundary_loses_no_recipient() -> None:
    raw = delivery_report(block("bob@example.com", "failed", "5.1.1"))
    assert [r.recipient for r in survives(raw[: raw.index(b"Content-Type: message/rfc822")])] == [
        "bob@example.com"
    ]
