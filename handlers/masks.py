"""Personal data made fit for a channel that many read. Pure."""

from __future__ import annotations


def mask_email(address: str) -> str:
    """`maria.santos@inbox.example` -> `m•••@inbox.example`: the domain is what support needs."""
    local, at, domain = address.rpartition("@")
    if not at:
        return "•••"
    return f"{local[:1]}•••@{domain}"


def mask_phone(number: str) -> str:
    """`+15415550142` -> `•••• 0142`."""
    digits = "".join(c for c in number if c.isdigit())
    return f"•••• {digits[-4:]}" if len(digits) >= 7 else "••••"


def mask_address(address: str) -> str:
    return mask_email(address) if "@" in address else mask_phone(address)


def mask_name(name: str) -> str:
    """`Maria Santos Vega` -> `Maria V.`; a single word keeps its first three letters."""
    words = name.split()
    if not words:
        return "•••"
    if len(words) == 1:
        return words[0][:3] + "•••"
    return f"{words[0]} {words[-1][:1]}."
