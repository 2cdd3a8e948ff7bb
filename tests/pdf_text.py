"""The texts of a PDF with built-in fonts, without a PDF library: inflate its streams, read its strings."""

from __future__ import annotations

import re
import zlib

_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_SHOWN = re.compile(rb"\(((?:[^()\\]|\\.)*)\) Tj")


def texts(pdf: bytes) -> list[str]:
    """Every text as it was drawn, in order."""
    found: list[str] = []
    for stream in _STREAM.findall(pdf):
        try:
            # Not `decompress`: a checksum whose last octet is CR has lost it to the line end.
            content = zlib.decompressobj().decompress(stream)
        except zlib.error:
            content = stream
        for shown in _SHOWN.findall(content):
            found.append(re.sub(rb"\\(.)", rb"\1", shown).decode("cp1252"))
    return found
