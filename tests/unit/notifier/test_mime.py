"""Messages that cannot be broken into, judged by the parser of the standard library."""

from __future__ import annotations

import quopri
import re
import string
from base64 import b64decode
from dataclasses import replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.mime import (
    Attachment,
    body,
    build,
    encode_header,
    header_text,
    is_addr_spec,
    known_texts,
    mailbox,
    safe_filename,
)
from tests.builders import NOW

ADDRESS = "billing@mail.cascade.example"
HEADERS = ["From", "To", "Message-ID", "Date", "Subject", "MIME-Version", "Content-Type"]
HOSTILE = [
    "x\r\nBcc: victim@example.com",
    "x\nBcc: victim@example.com",
    "x\rBcc: victim@example.com",
    "x\r\n\r\n<script>",
    "x\x0bBcc: a@b\x0cBcc: a@b\x1cBcc: a@b\x85Bcc: a@b\u2028Bcc: a@b\u2029Bcc: a@b",
    "\r\n",
    "\x00",
    "Ünï\r\nBcc: victim@example.com",
    "=?utf-8?q?=0D=0ABcc:_victim@example.com?=",
    "\u202etxt.exe",
    '"quoted" \\ backslash',
    "comma, semi; <angle@example.com>",
    "x" * 2000,
    "ü" * 2000,
    "word " * 400,
    "\ud800 lone surrogate",
    "👩‍👩‍👧‍👦" * 60,
]
any_text = st.text(max_size=300)
hostile_text = (
    any_text
    | st.sampled_from(HOSTILE)
    | st.text(alphabet='\r\n\t :=?utf-8qb,<>@"\\.aü\x85\u2028', max_size=200)
)


def message(
    subject: str = "s", name: str = "n", text: str = "t", html: str = "<p>h</p>", *attached: Attachment
) -> bytes:
    return build(
        headers=[
            ("From", mailbox(name, ADDRESS)),
            ("To", mailbox("", "dana@example.com")),
            ("Message-ID", "<ref@mail.cascade.example>"),
        ],
        date=NOW,
        subject=subject,
        text=text,
        html=html,
        boundary="=_0123456789abcdef",
        attachments=attached,
    )


def parsed(raw: bytes) -> EmailMessage:
    """With the parser that reads headers as RFC 5322 and RFC 2047 say; it knows no other defects either."""
    found: Any = message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    return found


def as_shown(text: str) -> str:
    """What remains of a text in a header, with surrogates as the encoder replaces them."""
    return header_text(text).encode("utf-8", "replace").decode()


def lines(raw: bytes) -> list[bytes]:
    assert raw.endswith(b"\r\n")
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", raw) is None, "line ends are CRLF and nothing else"
    return raw.split(b"\r\n")


@given(hostile_text)
@example("=?utf-8?b?" + "A" * 900)
def test_no_subject_can_add_a_header_or_end_the_headers(subject: str) -> None:
    raw = message(subject=subject)
    assert parsed(raw).keys() == HEADERS
    assert parsed(raw)["Subject"] == as_shown(subject)
    assert all(len(line) <= 998 and line.isascii() for line in lines(raw))


@given(hostile_text)
def test_no_display_name_can_add_a_header_or_an_address(name: str) -> None:
    raw = message(name=name)
    found = parsed(raw)
    assert found.keys() == HEADERS
    (sender,) = found["From"].addresses
    assert sender.addr_spec == ADDRESS
    # The modern parser keeps the space between two encoded words of a phrase; the older one does not.
    shown, address = parseaddr(str(message_from_bytes(raw)["From"]).replace("\r\n", ""))
    assert (str(make_header(decode_header(shown))), address) == (as_shown(name), ADDRESS)
    assert all(len(line) <= 998 for line in lines(raw))


@given(any_text | st.sampled_from(HOSTILE), any_text | st.sampled_from(HOSTILE))
def test_bodies_come_back_as_they_went(text: str, html: str) -> None:
    raw = message(text=text, html=html)
    found = parsed(raw)
    assert [part.get_content_type() for part in found.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    for part, given_body in zip(found.iter_parts(), (text, html), strict=True):
        expected = given_body.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        assert payload.replace(b"\r\n", b"\n") == expected
    assert all(len(line) <= 76 for line in lines(raw)[8:]), "quoted-printable: RFC 2045 section 6.7"


@pytest.mark.parametrize(
    "body", ["--=_0123456789abcdef\r\n", "--=_0123456789abcdef--\r\nEpilogue", ".\r\n.\r\n"]
)
def test_no_body_can_end_its_part_or_the_message(body: str) -> None:
    raw = message(text=body, html=body)
    assert len(list(parsed(raw).walk())) == 3
    assert b"." not in lines(raw)


@pytest.mark.parametrize(
    "body",
    ["ends in spaces   ", "tab\t", "x" * 75, "x" * 76, "x" * 77, "=" * 80, "é" * 80, "", "\n", " \n \n"],
)
def test_bodies_at_the_edges_of_quoted_printable_come_back(body: str) -> None:
    (part, _) = parsed(message(text=body)).iter_parts()
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.replace(b"\r\n", b"\n") == body.encode()


PIECES = st.text(alphabet="ab=. \t\n\réñ日\x00", max_size=90) | st.sampled_from(
    ["x" * 75, "x" * 76, "x" * 77, "é" * 25, "a\n" + "x" * 76, "x" * 73 + "é", "\n", ".", "\r", " "]
)


@settings(max_examples=200)
@example(["x" * 75, " \r"], [False] * 8)
@example(["x" * 74 + "\t\n"], [False] * 8)
@given(st.lists(PIECES, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_body_is_its_pieces_whether_they_were_known_or_not(pieces: list[str], is_known: list[bool]) -> None:
    known = known_texts(piece for piece, yes in zip(pieces, is_known, strict=False) if yes)
    found = body(pieces, known)
    plain = b64decode(found.octets) if found.encoding == "base64" else quopri.decodestring(found.octets)
    expected = re.sub("\r\n|\r|\n", "\r\n", "".join(pieces)).encode()
    assert re.sub(rb"\r\n|\r|\n", b"\r\n", plain) == expected
    for line in found.octets.split(b"\r\n"):
        assert len(line) <= 76
        assert line != b"."
        assert not line.endswith((b" ", b"\t"))
        assert b"\r" not in line
        assert b"\n" not in line


def test_a_body_in_another_script_is_base64_and_one_with_accents_is_not() -> None:
    assert body(["Su factura está lista. ¿Preguntas? Escríbanos."]).encoding == "quoted-printable"
    assert body(["Your invoice is ready: 1 = 1\n"]).encoding == "quoted-printable"
    (part, _) = parsed(message(text="Ваш счёт готов\n" * 9, html="<p>h</p>")).iter_parts()
    assert part["Content-Transfer-Encoding"] == "base64"
    assert part.get_content() == "Ваш счёт готов\r\n" * 9, "RFC 2045 section 6.8"


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 114, 300_000])
def test_an_attachment_of_any_size_comes_back_in_lines_of_76(size: int) -> None:
    raw = message(
        "s", "n", "t", "h", replace(PDF, content=bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    )
    (found,) = parsed(raw).iter_attachments()
    assert len(found.get_content()) == size
    assert max(map(len, lines(raw)[8:])) <= 78


@pytest.mark.parametrize(
    "subject",
    ["Invoice 1042 is ready", "Su factura está lista", "ü" * 400, "a" * 899, "a" * 5000, "日本語" * 100],
)
def test_subjects_of_any_length_and_script_come_back_folded(subject: str) -> None:
    raw = message(subject=subject)
    assert parsed(raw)["Subject"] == subject
    head = raw.split(b"\r\n\r\n")[0].split(b"\r\n")
    encoded = [line for line in head if b"=?utf-8?" in line]
    assert all(len(line) <= 76 for line in encoded), "RFC 2047 section 2"


def test_an_encoded_word_holds_whole_characters() -> None:
    words = encode_header("日本語" * 40).split("\r\n ")
    assert len(words) > 1
    for word in words:
        assert str(parsed(f"Subject: {word}\r\n\r\n".encode())["Subject"]).strip("日本語") == ""


def test_plain_ascii_is_left_readable() -> None:
    assert encode_header("Invoice 1042 is ready") == "Invoice 1042 is ready"
    assert mailbox("Cascade Fiber", ADDRESS) == f"Cascade Fiber <{ADDRESS}>"
    assert mailbox("Cascade, Inc.", ADDRESS) == f'"Cascade, Inc." <{ADDRESS}>'
    assert mailbox("", ADDRESS) == ADDRESS


@pytest.mark.parametrize("text", HOSTILE)
def test_header_text_has_no_controls_and_no_direction_marks(text: str) -> None:
    clean = header_text(text)
    assert not re.search(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]", clean)
    assert header_text(clean) == clean


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Ref", "a\r\nBcc: victim@example.com"),
        ("X-Ref", "a\nBcc: victim@example.com"),
        ("X-Ref", "a\r\n\r\nbody"),
        ("X-Ref", "a\x00"),
        ("X-Ref", "a\r\n"),
        ("X-Ref", "é"),
        ("X-Ref\r\nBcc", "victim@example.com"),
        ("X-Ref: a\r\nBcc", "victim@example.com"),
        ("X Ref", "a"),
        ("", "a"),
        ("X-Ref", "a" * 992),
    ],
)
def test_a_header_that_would_not_stay_one_header_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        build(headers=[(name, value)], date=NOW, subject="s", text="", html="", boundary="b")


@pytest.mark.parametrize(
    "address",
    [
        "dana@example.com",
        "d@e",
        "o'brien+isp@sub.example.co.uk",
        "a.b-c_d~e@x-y.example",
        f"{'l' * 64}@example.com",
    ],
)
def test_a_plain_address_is_one(address: str) -> None:
    assert is_addr_spec(address)
    assert (
        str(parsed(f"To: {mailbox('Ünï, Name', address)}\r\n\r\n".encode())["To"].addresses[0].addr_spec)
        == address
    )


@pytest.mark.parametrize(
    "address",
    [
        "",
        "dana",
        "@example.com",
        "dana@",
        "dana@example.com\r\nRCPT TO:<x@y>",
        "dana@example.com\n",
        "dana@example.com ",
        " dana@example.com",
        "a@example.com,b@example.com",
        "a@example.com;b@example.com",
        "<dana@example.com>",
        "Dana <dana@example.com>",
        'dana"@example.com',
        "da na@example.com",
        "dana@exam ple.com",
        "dana@@example.com",
        "dana@example..com",
        "dana@.example.com",
        "dana@example.com.",
        "dänä@example.com",
        "dana@exämple.com",
        "dana@[192.0.2.1]",
        "dana@example.com>",
        "dana\x00@example.com",
        f"{'l' * 65}@example.com",
        f"dana@{'x' * 250}.com",
    ],
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    assert not is_addr_spec(address)
    with pytest.raises(ValueError, match="not a plain"):
        mailbox("Dana", address)


@given(st.text(alphabet=string.printable, max_size=60))
def test_an_accepted_address_is_the_one_that_a_parser_reads(text: str) -> None:
    if is_addr_spec(text):
        assert re.search(r"[\s<>,;\"\\()\[\]:]", text) is None


PDF = Attachment("Invoice-20042.pdf", "application/pdf", b"%PDF-1.3\r\n--=_0123456789abcdef\x00\xff")


def test_without_attachments_a_message_is_what_it_always_was() -> None:
    assert message("Invoice", "Cascade", "Hello\n", "<p>Hello</p>\n") == (
        b"From: Cascade <billing@mail.cascade.example>\r\nTo: dana@example.com\r\n"
        b"Message-ID: <ref@mail.cascade.example>\r\nDate: Mon, 02 Mar 2026 09:00:00 +0000\r\n"
        b"Subject: Invoice\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/alternative; boundary="=_0123456789abcdef"\r\n\r\n'
        b"--=_0123456789abcdef\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nHello\r\n\r\n"
        b"--=_0123456789abcdef\r\nContent-Type: text/html; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Hello</p>\r\n\r\n"
        b"--=_0123456789abcdef--\r\n"
    )


def test_an_attachment_stands_beside_the_two_bodies() -> None:
    found = parsed(message("s", "n", "text", "<p>html</p>", PDF))
    assert found.keys() == HEADERS
    assert [part.get_content_type() for part in found.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/pdf",
    ]
    (part,) = found.iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("Invoice-20042.pdf", PDF.content)
    assert part["Content-Disposition"] == 'attachment; filename="Invoice-20042.pdf"'
    body = found.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "text"


@given(st.lists(st.binary(max_size=600), min_size=1, max_size=3), st.sampled_from(HOSTILE) | any_text)
def test_attachments_come_back_byte_for_byte_whatever_the_bodies_say(
    contents: list[bytes], text: str
) -> None:
    items = [Attachment(f"{n}.bin", "application/octet-stream", c) for n, c in enumerate(contents)]
    raw = message("s", "n", text, text, *items)
    parts = list(parsed(raw).iter_attachments())
    assert [part.get_content() for part in parts] == contents
    assert [part.get_filename() for part in parts] == [item.filename for item in items]
    assert all(len(line) <= 998 and line.isascii() for line in lines(raw))


@given(hostile_text)
@example("../../etc/passwd")
@example("C:\\autoexec.bat")
@example('x"; filename="evil.exe')
@example(".htaccess")
@example("Факту́ра.pdf")
@example("a." + "b" * 50)
def test_no_file_name_is_a_path_or_breaks_its_header(name: str) -> None:
    safe = safe_filename(name)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", safe) or safe.startswith("_")
    assert len(safe) <= 70
    (part,) = parsed(
        message("s", "n", "t", "h", Attachment(name, "application/pdf", b"x"))
    ).iter_attachments()
    assert part.get_filename() == safe


def test_a_good_file_name_stays_as_it_is() -> None:
    assert safe_filename("Invoice-20042.pdf") == "Invoice-20042.pdf"
    assert safe_filename("Invoice-INV/2026 7.pdf") == "Invoice-INV-2026-7.pdf"


@pytest.mark.parametrize("kind", ["", "pdf", "application/pdf; x=y", "a/b\r\nBcc: x", "É/pdf"])
def test_a_content_type_that_is_none_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="content type"):
        message("s", "n", "t", "h", Attachment("a", kind, b""))
