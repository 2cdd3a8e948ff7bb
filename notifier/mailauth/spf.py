"""check_host of RFC 7208 over any resolver: SPF for one connecting address and one envelope."""

import time
from ipaddress import IPv4Address, IPv6Address

from notifier.mailauth.answers import Resolver
from notifier.mailauth.client import client_of, envelope_of
from notifier.mailauth.driver import TIME_LIMIT, drive
from notifier.mailauth.evaluate import Evaluation
from notifier.mailauth.result import SpfCheck


async def check_host(
    ip: str | IPv4Address | IPv6Address,
    mail_from: str | None,
    helo: str | None,
    *,
    resolver: Resolver,
    receiver: str = "unknown",
    now: float | None = None,
    time_limit: float = TIME_LIMIT,
) -> SpfCheck:
    """SPF's answer for a client at `ip` that says `helo` and MAIL FROM:<mail_from>.

    Without a `mail_from`, postmaster at the HELO name is checked. `now` is seconds since the epoch and
    `receiver` our own host name; both only fill macros of explanations. Raises ValueError when `ip` is no IP
    address.
    """
    moment = time.time() if now is None else now
    envelope = envelope_of(mail_from or "", helo or "")
    evaluation = Evaluation(client_of(str(ip)), envelope, receiver=receiver, now=int(moment))
    return await drive(evaluation.run(), resolver, time_limit=time_limit)
