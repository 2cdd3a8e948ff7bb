"""Files that subscribers sent: they stay with the provider, and are fetched when a colleague looks.

The link in the thread carries the line's id, signed; it is good for as long as the line is young. Only the
provider's own hosts are asked, with our account's credentials; what they send on is followed within their
delivery network only, without them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from handlers.contract import Services
from handlers.talk import MEDIA
from notifier.channels import SmsRoute
from notifier.keys import Keyring
from store.models import ConversationLine

PATH = "/media/"
SHOWN_FOR = timedelta(days=30)
_PURPOSE = "media"
_TENANT, _MAC = 3, 12
_HOST, _NETWORK = "twilio.com", "twiliocdn.com"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Where a file is, and with what it is asked for."""

    url: str
    content_type: str
    """What the provider said when it came."""
    route: SmsRoute = field(repr=False)


def link_to(services: Services, tenant: int, line: ConversationLine) -> str:
    """Where a colleague can look at this line's file; empty when the line is none of a file."""
    public_url = services.profile(tenant).public_url
    if not line.author.startswith(MEDIA) or not public_url:
        return ""
    return f"{public_url}{PATH}{_code(services.keyring, tenant, line.id)}"


async def file_of(services: Services, code: str) -> StoredFile | None:
    """None: no such link, too old, or not a place that we ask."""
    read = _read(services.keyring, code)
    if read is None or read[0] not in services.tenants:
        return None
    tenant, line_id = read
    sms = services.profile(tenant).sms
    async with services.store.read(tenant) as tx:
        line = await tx.conversations.line(line_id)
        if line is None or sms is None or tx.now - line.at > SHOWN_FOR:
            return None
    if not line.author.startswith(MEDIA) or not may_ask(line.body, sms.route):
        return None
    return StoredFile(line.body, line.author.removeprefix(MEDIA), sms.route)


def may_ask(url: str, route: SmsRoute) -> bool:
    """The host of our account's API, or one of Twilio's, over TLS: nobody else is shown the credentials."""
    try:
        asked, api = urlsplit(url), urlsplit(route.api_url)
        if (asked.scheme, asked.hostname, asked.port) == (api.scheme, api.hostname, api.port):
            return not asked.username
        return asked.scheme == "https" and asked.port in (None, 443) and _within(asked.hostname, _HOST)
    except ValueError:
        return False


def may_follow(url: str) -> bool:
    """Where the provider may send us on to."""
    try:
        sent = urlsplit(url)
        secure = sent.scheme == "https" and sent.port in (None, 443)
        return secure and (_within(sent.hostname, _NETWORK) or _within(sent.hostname, _HOST))
    except ValueError:
        return False


def _within(host: str | None, domain: str) -> bool:
    return host is not None and (host == domain or host.endswith(f".{domain}"))


def _code(keyring: Keyring, tenant: int, line_id: UUID) -> str:
    body = tenant.to_bytes(_TENANT, "big") + line_id.bytes
    mac = _mac(keyring.subkey(_PURPOSE), body)
    return base64.urlsafe_b64encode(body + mac).decode().rstrip("=")


def _read(keyring: Keyring, code: str) -> tuple[int, UUID] | None:
    if len(code) > 64 or not code.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
    except ValueError:
        return None
    body, mac = raw[:-_MAC], raw[-_MAC:]
    if len(body) != _TENANT + 16:
        return None
    if not any(hmac.compare_digest(mac, _mac(key, body)) for key in keyring.subkeys(_PURPOSE)):
        return None
    return int.from_bytes(body[:_TENANT], "big"), UUID(bytes=body[_TENANT:])


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()[:_MAC]
