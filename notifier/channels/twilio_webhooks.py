"""Whether a webhook really comes from our Twilio account: the library's RequestValidator, unable to raise.

Follows Twilio's "Webhooks security" page: the signature covers the URL as configured at Twilio (never one
rebuilt from forwarded headers) and all parameters, known to us or not, blank ones too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from twilio.request_validator import (
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    compare,
    get_signature_algorithm,
)

FORM = "application/x-www-form-urlencoded"
MOST_PARAMETERS = 500


class _Parameters(dict[str, list[str]]):
    """The library asks for all values of a name by this method."""

    def getall(self, name: str) -> list[str]:
        return self[name]


def verified(
    url: str, headers: Mapping[str, str], body: bytes, tokens: Sequence[str]
) -> dict[str, str] | None:
    """The parameters of a genuine webhook, blank ones too; None for everything else: answer 403.

    `url` is our public one, with path and query as they came; any of `tokens` may have signed (rotation).
    Only forms are taken: that is how Twilio tells of texts.
    """
    given = {name.lower(): value for name, value in headers.items()}
    signature = given.get(SIGNATURE_HEADER.lower(), "")
    content_type = given.get("content-type", "").partition(";")[0].strip().lower()
    parameters = _parameters(body) if content_type == FORM else None
    if not signature or parameters is None:
        return None
    # Webhooks signed with a SharedKey name their algorithm; without that header it is HMAC-SHA1.
    algorithm = get_signature_algorithm(given.get(SIGNATURE_SETTINGS_HEADER.lower(), ""))
    for token in filter(None, tokens):
        try:
            genuine = _genuine(RequestValidator(token), url, parameters, signature, algorithm)
        except ValueError:  # a URL without a readable port, or one that is no UTF-8
            return None
        if genuine:
            # Values of one name are signed in the order of the alphabet: so is the one that counts.
            return {name: min(values) for name, values in parameters.items()}
    return None


def _genuine(
    validator: RequestValidator, url: str, parameters: _Parameters, signature: str, algorithm: str
) -> bool:
    """The library tries the URL with and without its port, at the price of both; nearly always it is ours."""
    mine = validator.compute_signature(url, parameters, algorithm)
    return bool(compare(mine, signature) or validator.validate(url, parameters, signature, algorithm))


def _parameters(body: bytes) -> _Parameters | None:
    """None when it is not a form in UTF-8."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        return None
    found = _Parameters()
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
