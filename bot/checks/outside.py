"""What others reach us by, and whom we ask besides: the public address, Twilio, a remote billing system."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import aiohttp

from billing.uisp.client import NoAccess, UispClient, UispError
from bot.checks.finding import LINE_S, Finding, Look, all_tried
from bot.config import Config, TenantConfig
from bot.wiring import remote_of, sms_profile_of
from notifier.channels import NoAnswer, SmsRoute
from notifier.channels.sms_twilio import CHANNEL as TWILIO

_WAIT_S: Final = 10.0


async def public_url(config: Config, session: aiohttp.ClientSession) -> list[Finding]:
    """Asked as the world asks it, from here: /health of our own server has to answer there."""
    url = config.app.public_url.rstrip("/")
    ours = f"http://{config.app.http.host}:{config.app.http.port}"
    needed = config.app.slack.mode == "http" or any(t.sms is not None for t in config.app.tenants.values())
    if url.startswith("http://") and needed and config.app.slack.api_url.startswith("https://slack.com"):
        remedy = "Slack and Twilio call https:// addresses: put a reverse proxy with a certificate in front."
        return [Finding("public address", False, f"{url} is not https", remedy)]
    try:
        async with session.get(
            f"{url}/health", allow_redirects=False, timeout=aiohttp.ClientTimeout(total=_WAIT_S)
        ) as answer:
            told = await answer.content.read(1000)
    except aiohttp.ClientConnectorCertificateError:
        remedy = "Renew the certificate of that address."
        return [Finding("public address", False, f"{url}: its certificate is not good", remedy)]
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        found = f"{url}: no answer ({type(error).__name__})"
        lead = "" if url == ours else f", and lead {url} to {ours}"
        return [Finding("public address", not needed, found, f"Start the product{lead}.")]
    if answer.status == 200 and told.strip().startswith(b'{"ok"'):
        return [Finding("public address", True, f"{url} leads here")]
    remedy = f"Lead {url} to {ours}: paths and all, without redirects."
    return [Finding("public address", not needed, f"{url}: another server answers ({answer.status})", remedy)]


async def billing(config: Config, line_s: float = LINE_S) -> list[Finding]:
    remote = [(key, t) for key, t in config.app.tenants.items() if t.uisp is not None]
    return await all_tried([(f"UISP of {key}", _uisp(config, key, t)) for key, t in remote], line_s)


async def _uisp(config: Config, key: str, tenant: TenantConfig) -> Finding:
    """Asks for its version and for one client; changes nothing."""
    what, remote = f"UISP of {key}", remote_of(config, key, tenant)
    client = UispClient(remote.url, remote.app_key, timeout_s=remote.timeout_s)
    env = tenant.uisp.app_key_env if tenant.uisp else ""
    try:
        version = await client.get("version")
        await client.get("clients", [("limit", "1")])
    except NoAccess as error:
        return Finding(what, False, error.sentence, f"Put an app key of UISP that may write into {env}.")
    except UispError as error:
        return Finding(what, False, error.sentence, f"Check tenants.{key}.uisp.url and the way out to it.")
    finally:
        await client.close()
    named = version.get("version") if isinstance(version, dict) else None
    return Finding(what, True, f"answers, version {named}")


async def texts(config: Config, line_s: float = LINE_S) -> list[Finding]:
    profiles = [(key, sms_profile_of(config, key, t)) for key, t in config.app.tenants.items()]
    looks: list[tuple[str, Look]] = [
        (f"texts of {key}", _texts(key, sms.route, config)) for key, sms in profiles if sms is not None
    ]
    return await all_tried(looks, line_s)


async def _texts(key: str, route: SmsRoute, config: Config) -> list[Finding]:
    sms = config.app.tenants[key].sms
    token = f"the auth token in {sms.auth_token_env}" if sms else "the auth token"
    account, sender = await twilio_answers(key, route, token)
    if not account.ok or sender is None:
        return [account]
    if config.app.public_url.startswith("http://") and route.api_url.startswith("https://"):
        remedy = "Set public_url to an https:// address: Twilio calls us there."
        return [replace(account, ok=False, remedy=remedy)]
    return [account, sender]


async def twilio_answers(key: str, route: SmsRoute, token: str) -> tuple[Finding, Finding | None]:
    """The account and its number, asked for with the token that signs our calls; sends nothing."""
    what = f"texts of {key}"
    inquiry = TWILIO.inquiry(route)
    try:
        answer, owned = await asyncio.gather(inquiry.account(), inquiry.owns(route.sender))
    finally:
        await inquiry.close()
    if isinstance(answer, NoAnswer):
        refused = "20003" in answer.text or "20404" in answer.text
        found = "Twilio refused our login" if refused else "Twilio does not answer"
        remedy = f"Check account_sid and {token}." if refused else "Check sms.api_url and the way out to it."
        return Finding(what, False, found, remedy), None
    if answer != "active":
        return Finding(what, False, f"account {answer}", "Ask Twilio why the account is not active."), None
    return Finding(what, True, f"account {answer}"), _sender(key, route, owned)


def _sender(key: str, route: SmsRoute, owned: bool | NoAnswer) -> Finding:
    what = f"sender of {key}"
    if isinstance(owned, NoAnswer):
        return Finding(what, True, f"{route.sender}: Twilio did not say whose it is", "Try again.")
    if owned:
        return Finding(what, True, f"{route.sender} is the account's")
    remedy = f"Buy the number at Twilio, or set tenants.{key}.sms.sender to one that the account has."
    return Finding(what, False, f"{route.sender} is not among the account's numbers", remedy)


__all__ = ["billing", "public_url", "texts", "twilio_answers"]
