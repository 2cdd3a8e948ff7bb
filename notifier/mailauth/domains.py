"""Which names can be asked of DNS at all: RFC 1035 lengths, RFC 7208 section 4.3, A-labels (RFC 8616)."""

import re

import idna

MAX_NAME = 253

# RFC 7208 section 7.1, toplabel: letters and digits with at least one letter, or with an inner hyphen.
TOPLABEL = r"(?:[0-9A-Za-z]*[A-Za-z][0-9A-Za-z]*|[0-9A-Za-z]+-[0-9A-Za-z-]*[0-9A-Za-z])"
_TOPLABEL = re.compile(TOPLABEL)
# Nearly every name that there is: known to be full and valid without looking further.
_PLAIN_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)+[A-Za-z]{2,63}")
# ASCII from the space on in labels of 1 to 63; "-./" is three neighbours, of which the dot is left out.
_NAME = re.compile(r"[ -\-/-~]{1,63}(?:\.[ -\-/-~]{1,63})*")


def is_plain(name: str) -> bool:
    """Whether it is a full name of plain letters, digits, hyphens and underscores, in labels that fit DNS."""
    return len(name) <= MAX_NAME and _PLAIN_NAME.fullmatch(name) is not None


def ends_in_toplabel(text: str) -> bool:
    """RFC 7208 section 7.1, domain-end: a dot and a top label, and maybe a last dot."""
    _, dot, label = text.removesuffix(".").rpartition(".")
    return dot == "." and _TOPLABEL.fullmatch(label) is not None


def is_queryable(name: str) -> bool:
    """Whether a name without its trailing dot fits DNS: plain ASCII, labels of 1-63, 253 in all.

    A space fits too: "%_" of RFC 7208 section 7.1 may put one into a name.
    """
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def ascii_domain(domain: str) -> str | None:
    """The domain in lower-case A-labels without a trailing dot; None when it has no such form."""
    name = domain.strip()
    if not name.isascii():
        try:
            # RFC 8616 section 4: U-labels are converted to A-labels before anything is looked up.
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    if name.endswith("."):
        name = name[:-1]
    return name.lower()


def checkable_domain(domain: str) -> str | None:
    """The name to start a check at, or None for what RFC 7208 section 4.3 answers "none" to: a malformed
    name, a single label, an address literal."""
    if is_plain(domain):
        return domain.lower()
    name = ascii_domain(domain)
    if name is None or "." not in name or " " in name or not is_queryable(name):
        return None
    return name if _TOPLABEL.fullmatch(name.rpartition(".")[2]) else None


def fit_name(name: str) -> str:
    """RFC 7208 section 7.3: an expansion over 253 characters loses labels from the left until it fits."""
    if name.endswith("."):
        name = name[:-1]
    excess = len(name) - MAX_NAME
    if excess > 0:
        # The first dot that leaves few enough; label by label would take hours over a hostile expansion.
        name = name[name.find(".", excess - 1) + 1 :]
    return name.lower()
