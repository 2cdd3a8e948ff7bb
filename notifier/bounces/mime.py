"""A walker over the MIME structure of broken mail: bytes in, parts out, never an exception.

Follows RFC 2045/2046 as far as bounces do. The standard library's parser is slower than the whole
budget of a bounce and raises on some of what arrives, hence this one; it never builds a message.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_BYTES = 1 << 20
MAX_DEPTH = 8
MAX_PARTS = 64
MAX_TEXT = 64 * 1024

_HEADER = re.compile(rb"^([!-9;-~]{1,200})[ \t]{0,20}:[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_LINE_END = re.compile(rb"\r{1,3}\n")
_PARAM = re.compile(r';\s*([a-z0-9*_-]{1,40})\s*=\s*(?:"([^"]{0,300})"|([^\s;"]{1,300}))', re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,40})\?([bq])\?([^?]{0,400})\?=(?:\s+(?==\?))?", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,2000}>")
_HIDDEN = re.compile(r"<(style|script|head)\b", re.IGNORECASE)
_BREAKING = re.compile(r"<(?:br|/p|/div|/tr|/li|/h\d|hr)\b[^<>]{0,300}>", re.IGNORECASE)
_ENTITY = re.compile(r"&(lt|gt|amp|quot|nbsp|#39|#x27|#64|#x40|apos);", re.IGNORECASE)
_ENTITIES = {
    "lt": "<",
    "gt": ">",
    "amp": "&",
    "quot": '"',
    "nbsp": " ",
    "#39": "'",
    "#x27": "'",
    "apos": "'",
    "#64": "@",
    "#x40": "@",
}


class Headers(dict[str, list[str]]):
    """Header fields by lower-case name, each with its values in order, unfolded."""

    def first(self, name: str) -> str:
        values = self.get(name)
        return values[0] if values else ""


class ContentType(NamedTuple):
    kind: str
    params: dict[str, str]


@dataclass(slots=True)
class Part:
    """A leaf of the MIME tree: decoded text is made on demand and only once."""

    content_type: str
    params: dict[str, str]
    headers: Headers
    body: bytes
    depth: int
    _text: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = _decoded_text(self)
        return self._text

    @property
    def payload(self) -> bytes:
        """The bytes behind the transfer encoding."""
        return _transfer_decoded(self.body, self.headers.first("content-transfer-encoding"))


def canonical(raw: bytes) -> bytes:
    """LF line ends, a bounded size, no NUL and no mbox line: what every later step relies on."""
    head = raw[:MAX_BYTES]
    if b"\r" in head:
        # Relays that convert line ends twice leave CR CR LF.
        head = _LINE_END.sub(b"\n", head).replace(b"\r", b"\n")
    if b"\0" in head:
        head = head.replace(b"\0", b"")
    head = head.lstrip(b"\n \t")
    while head.startswith((b"From ", b">From ")) and b"\n" in head:
        head = head[head.index(b"\n") + 1 :]
    return head


def split_message(data: bytes) -> tuple[Headers, bytes]:
    """Headers and body; a block that does not look like headers is all body."""
    end = data.find(b"\n\n")
    if data.startswith(b"\n"):
        return Headers(), data[1:]
    block, body = (data, b"") if end < 0 else (data[:end], data[end + 2 :])
    headers = parse_headers(block)
    if not headers and block:
        return headers, data
    return headers, body


def parse_headers(block: bytes) -> Headers:
    """The fields of a header block, stopping at nothing: lines that are no field are passed over."""
    headers = Headers()
    for match in _HEADER.finditer(block[:MAX_TEXT]):
        name = match[1].decode("ascii").lower()
        value = _as_text(match[2], "")
        if "\n" in value:
            value = " ".join(line.strip() for line in value.split("\n"))
        headers.setdefault(name, []).append(value.strip())
    return headers


def content_type(value: str) -> ContentType:
    """`text/plain; charset=x` -> kind and parameters, lower-case names; text/plain where unusable."""
    kind, _, rest = value.partition(";")
    kind = kind.strip().lower()
    if "/" not in kind:
        kind = "text/plain"
    params: dict[str, str] = {}
    if rest:
        for match in _PARAM.finditer(";" + rest[:2000]):
            params.setdefault(match[1].lower().rstrip("*"), match[2] if match[2] is not None else match[3])
    return ContentType(kind, params)


def leaves(headers: Headers, body: bytes) -> list[Part]:
    """Every leaf part in order. message/rfc822 is a leaf: what it holds is the returned mail."""
    found: list[Part] = []
    _descend(headers, body, 0, found)
    return found


def _descend(headers: Headers, body: bytes, depth: int, found: list[Part]) -> None:
    kind, params = content_type(headers.first("content-type"))
    if kind.startswith("multipart/") and depth < MAX_DEPTH:
        boundary = params.get("boundary", "")
        pieces = _pieces(body, boundary) if boundary else []
        for piece in pieces:
            if len(found) >= MAX_PARTS:
                return
            part_headers, part_body = split_message(piece)
            _descend(part_headers, part_body, depth + 1, found)
        if pieces:
            return
        kind = "text/plain"
    found.append(Part(kind, params, headers, body, depth))


def _pieces(body: bytes, boundary: str) -> list[bytes]:
    """What stands between the delimiters; a missing closing delimiter loses nothing."""
    delimiter = b"\n--" + boundary.rstrip().encode("utf-8", "replace")
    chunks = (b"\n" + body).split(delimiter, MAX_PARTS + 1)
    pieces: list[bytes] = []
    for chunk in chunks[1:]:
        if chunk.startswith(b"--"):
            break
        # RFC 2046 section 5.1.1: white space may follow the delimiter up to the line end.
        line_end = chunk.find(b"\n")
        if line_end >= 0:
            pieces.append(chunk[line_end + 1 :])
    return pieces


def decoded_words(value: str) -> str:
    """RFC 2047 encoded words as text; what cannot be decoded stays as it is."""
    if "=?" not in value:
        return value
    return _ENCODED_WORD.sub(_decode_word, value[:4000])


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, text = match[1].partition("*")[0], match[2].lower(), match[3]
    data = text.encode("utf-8", "replace")
    decoded = _lenient_base64(data) if encoding == "b" else binascii.a2b_qp(data.replace(b"_", b" "))
    return _as_text(decoded, charset)


def _transfer_decoded(body: bytes, encoding: str) -> bytes:
    encoding = encoding.strip().lower()
    if encoding == "base64":
        return _lenient_base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    return body


def _lenient_base64(data: bytes) -> bytes:
    """Garbage is dropped and a cut end is padded: half a diagnosis is better than none."""
    clean = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    clean = clean[: len(clean) - (len(clean) % 4 == 1)]
    return base64.b64decode(clean + b"=" * (-len(clean) % 4))


def _as_text(data: bytes, charset: str) -> str:
    """UTF-8 first, then what the part declares, then latin-1, which cannot fail."""
    for guess in (charset or "ascii", "utf-8"):
        try:
            return data.decode(guess)
        except (LookupError, ValueError, TypeError):
            continue  # an unknown or wrong charset: the next guess is as good as the sender's word
    return data.decode("latin-1")


def _decoded_text(part: Part) -> str:
    data = _transfer_decoded(part.body[:MAX_TEXT], part.headers.first("content-transfer-encoding"))
    text = _as_text(data, part.params.get("charset", ""))
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if part.content_type == "text/html":
        text = html_text(text)
    return text


def html_text(markup: str) -> str:
    """The words of an HTML notice, one block a line. No parser: bounces carry flat templates."""
    text = _without_hidden(markup)
    text = _BREAKING.sub("\n", text.replace("\n", " "))
    # An address in angle brackets written unescaped is content, not a tag.
    text = _TAG.sub(lambda m: m[0] if "@" in m[0] and " " not in m[0] else " ", text)
    text = _ENTITY.sub(lambda m: _ENTITIES[m[1].lower()], text)
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


def _without_hidden(markup: str) -> str:
    """The markup without style sheets and scripts, in one pass: an unclosed one hides nothing."""
    kept: list[str] = []
    low = markup.lower()
    at = 0
    while (found := _HIDDEN.search(markup, at)) is not None:
        end = low.find(f"</{found[1].lower()}", found.end())
        if end < 0:
            break
        kept.append(markup[at : found.start()])
        at = end
    kept.append(markup[at:])
    return "".join(kept)
