"""What Twilio calls on our side: form posts signed over URL and sorted parameters, with its retry rules.

Signature: Twilio's "Webhooks security" page (HMAC-SHA1 with the auth token). Retries: its page "Webhook
connection overrides": one after a failed connection, none after an answer, unless the fragment says so.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
from yarl import URL

from sandbox.phone.timing import Timing
from sandbox.world import World

AT_ONCE: Final = 50
MOST_RETRIES: Final = 5
POLICIES: Final = frozenset({"4xx", "5xx", "ct", "rt", "all"})


@dataclass(frozen=True)
class Target:
    """A webhook URL without its fragment, and what the fragment says."""

    url: str
    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})
    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0
    problem: str | None = None

    def wants_retry(self, failure: str | None) -> bool:
        return failure is not None and bool({failure, "all"} & self.policy)


@dataclass(frozen=True)
class Answer:
    """`status` is the HTTP status or "connection_failed" or "timeout"; `failure` as in a retry policy."""

    status: int | str
    ms: float
    failure: str | None
    body: str = ""
    content_type: str = ""
    problem: str | None = None


def target_of(url: str, timing: Timing) -> Target:
    """Reads `#rc=5&rp=ct,rt,5xx&ct=...&rt=...&tt=...`; what is out of range stays at its default."""
    bare, _, fragment = url.partition("#")
    given = {key: values[-1] for key, values in parse_qs(fragment).items()}
    wrong = []

    def number(key: str, low: int, high: int, default: float, unit: float) -> float:
        text = given.get(key)
        if text is None:
            return default
        if not text.isdecimal() or not low <= int(text) <= high:
            wrong.append(key)
            return default
        return int(text) / unit

    policy = frozenset(given.get("rp", "ct").lower().split(","))
    if not policy <= POLICIES:
        wrong.append("rp")
        policy = frozenset({"ct"})
    return Target(
        bare,
        int(number("rc", 0, MOST_RETRIES, 1, 1)),
        policy,
        number("ct", 100, 10_000, timing.connect_s, 1000),
        number("rt", 100, 15_000, timing.answer_s, 1000),
        number("tt", 100, 15_000, timing.answer_s, 1000),
        f"connection override out of range: {', '.join(wrong)}" if wrong else None,
    )


def signature(auth_token: str, url: str, params: Mapping[str, str]) -> str:
    signed = url + "".join(f"{name}{params[name]}" for name in sorted(params))
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


class Webhooks:
    def __init__(self, world: World, auth_token: str, timing: Timing) -> None:
        self._world = world
        self._auth_token = auth_token
        self._timing = timing
        self._session: aiohttp.ClientSession | None = None
        self._room = asyncio.Semaphore(AT_ONCE)

    async def start(self) -> None:
        # A connection for each request: one kept open could be half dead after the product was killed.
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        self._session = aiohttp.ClientSession(connector=connector)

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, method: str, url: str, params: Mapping[str, str], **detail: object) -> Answer:
        """The last attempt's answer; every attempt is in the wire list as `method`."""
        target = target_of(url, self._timing)
        token = str(uuid.uuid4())
        deadline = time.monotonic() + target.total_s
        pause_s = self._timing.retry_pause_s
        for retry in range(target.retries + 1):
            async with self._room:
                left = deadline - time.monotonic()
                answer = await self._attempt(target, params, token, max(left, 0.1))
            problem = "; ".join(part for part in (answer.problem, target.problem) if part) or None
            shown = {**detail, "retry": retry} if retry else detail
            self._world.wire.record("phone", "out", method, answer.status, answer.ms, problem, **shown)
            if not target.wants_retry(answer.failure) or time.monotonic() + pause_s >= deadline:
                break
            if retry < target.retries:
                await asyncio.sleep(pause_s)
                pause_s *= 2
        return answer

    async def _attempt(self, target: Target, params: Mapping[str, str], token: str, left_s: float) -> Answer:
        if self._session is None:
            raise RuntimeError("the webhooks are not started")
        if not _on_loopback(target.url):
            problem = f"{_host(target.url)} is outside this world: nothing but loopback can be called"
            return Answer("not_called", 0.0, None, problem=problem)
        headers = {
            "X-Twilio-Signature": signature(self._auth_token, target.url, params),
            "I-Twilio-Idempotency-Token": token,
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
        }
        timeout = aiohttp.ClientTimeout(total=left_s, sock_connect=target.connect_s, sock_read=target.read_s)
        started = time.monotonic()
        try:
            async with self._session.post(
                # The URL goes out as it was signed: not quoted anew.
                URL(target.url, encoded=True),
                data=urlencode(params).encode(),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                text = await response.text(errors="replace")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as trouble:
            problem = f"the product does not answer ({type(trouble).__name__})"
            return Answer("connection_failed", _ms(started), "ct", problem=problem)
        except TimeoutError:
            problem = f"no answer within {min(left_s, target.read_s):g} s"
            return Answer("timeout", _ms(started), "rt", problem=problem)
        except aiohttp.ClientError as trouble:
            problem = f"the connection broke before an answer ({type(trouble).__name__})"
            return Answer("connection_failed", _ms(started), "rt", problem=problem)
        status = response.status
        failure = "5xx" if status >= 500 else "4xx" if status >= 400 else None
        # 11200: Twilio's notice for a webhook that answers anything but success.
        wrong = f"answered {status} (11200)" if not 200 <= status < 300 else None
        return Answer(status, _ms(started), failure, text, response.content_type, wrong)


def _host(url: str) -> str:
    return urlsplit(url).hostname or "a URL without a host"


def _on_loopback(url: str) -> bool:
    host = _host(url)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ms(started: float) -> float:
    return (time.monotonic() - started) * 1000
