"""The questions, in the order in which one person can answer them, each tried where it can be."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import aiohttp
from babel import Locale, UnknownLocaleError
from rich.console import Console
from rich.markup import escape
from slack_sdk.web.async_client import AsyncWebClient

from billing.uisp.client import NoAccess, UispClient, UispError
from bot.checks.finding import Finding
from bot.checks.mail import route_answers
from bot.checks.outside import twilio_answers
from bot.checks.slack import WAY_OUT, NotAsked, channel_readable, look_at, opens_socket
from bot.config import UispConfig
from bot.setup.answers import Answers
from bot.setup.asking import Asking, Problem, Try
from bot.setup.written import listed, tenant_key, variable
from notifier.channels import Route, SmsRoute
from notifier.mime import is_addr_spec
from store.engine import DatabaseError, Engine

_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
SLACK: Final = "https://slack.com/api/"
TWILIO: Final = "https://api.twilio.com"


# --- what may be typed


def address(value: str) -> str:
    return "" if is_addr_spec(value) else "Write one plain e-mail address, such as help@example.net."


def addresses(value: str) -> str:
    return next((wrong for one in listed(value) if (wrong := address(one))), "")


def ips(value: str) -> str:
    for one in listed(value):
        try:
            ipaddress.ip_address(one)
        except ValueError:
            return "Write IP addresses, such as 198.51.100.10, with commas between."
    return ""


def team(value: str) -> str:
    good = re.fullmatch(r"T[A-Z0-9_]{2,}", value)
    return "" if good else "It begins with T, and stands in the workspace's address in a browser."


def domain(value: str) -> str:
    return "" if _DOMAIN.fullmatch(value.lower()) else "Write a domain, such as mail.example.net."


def zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "That is no IANA time zone, such as America/Denver."
    return ""


def region(value: str) -> str:
    return "" if re.fullmatch("[A-Z]{2}", value) else "Two capital letters, such as US."


def locale(value: str) -> str:
    try:
        Locale.parse(value)
    except (UnknownLocaleError, ValueError):
        return "That is no locale, such as en_US."
    return ""


def https(value: str) -> str:
    good = re.fullmatch(r"https://[^\s/]+(/\S*)?|http://(127\.0\.0\.1|localhost)(:\d+)?(/\S*)?", value)
    return "" if good else "It begins with https://, such as https://desk.example.net."


def port(value: str) -> str:
    return "" if value.isdecimal() and 1 <= int(value) <= 65535 else "A number from 1 to 65535."


def channel(value: str) -> str:
    return (
        ""
        if re.fullmatch(r"[CG][A-Z0-9_]{2,}", value)
        else "Its id begins with C: see the channel's details."
    )


def people(value: str) -> str:
    wrong = [one for one in listed(value) if not re.fullmatch(r"[UW][A-Z0-9_]{2,}", one)]
    return "" if not wrong else "Ids of people begin with U: a profile's menu, Copy member ID."


def number(value: str) -> str:
    return "" if re.fullmatch(r"\+[1-9]\d{6,14}", value) else "Write it in full, such as +15415550100."


def sid(value: str) -> str:
    return "" if re.fullmatch(r"AC[0-9a-f]{32}", value) else "It begins with AC: see the Twilio console."


def begins(*starts: str) -> Problem:
    def problem(value: str) -> str:
        return "" if value.startswith(starts) else f"It begins with {' or '.join(starts)}."

    return problem


# --- the steps


def provider(ask: Asking) -> None:
    ask.section("The provider", "How subscribers know you.")
    brand = ask.text("brand", "Name of the company")
    ask.answers.keep("key", tenant_key(brand or "provider"))
    ask.text("support_email", "Address where subscribers get help", problem=address)
    ask.text("time_zone", "Time zone", default=_local_zone(), problem=zone)
    ask.text(
        "region", "Country whose telephone numbers are read without a code", default="US", problem=region
    )
    ask.text("locale", "How amounts and days are written", default="en_US", problem=locale)


def _local_zone() -> str:
    """The machine's own, where it has a name."""
    try:
        parts = Path("/etc/localtime").resolve().parts
        name = "/".join(parts[parts.index("zoneinfo") + 1 :])
    except (ValueError, OSError):
        return "America/Los_Angeles"
    return name if not zone(name) and "/" in name else "America/Los_Angeles"


def database(ask: Asking) -> None:
    ask.section("The database", "SQLite serves one machine; PostgreSQL any number of processes.")
    default = f"sqlite:///{ask.answers.home.resolve() / 'ispbot.db'}"
    if (
        ask.choice("database_kind", "Which", {"sqlite": "a file", "postgresql": "a server"}, default="sqlite")
        == "sqlite"
    ):
        ask.text("database", "Its file, as a URL", default=default, problem=begins("sqlite:///"))
        return
    hint = "As postgresql://USER:PASSWORD@HOST/DATABASE. It is kept with the secrets."
    ask.secret(
        "ISPBOT_DATABASE_URL",
        "Its URL",
        hint=hint,
        problem=begins("postgresql://", "postgres://"),
        tries=_answers,
    )


async def _answers(url: str) -> Finding:
    try:
        engine = Engine(url)
        try:
            await engine.time()
        finally:
            await engine.close()
    except DatabaseError as error:
        return Finding("database", False, str(error).rstrip(".?"), "Check the URL, and that the server runs.")
    except Exception as error:  # noqa: BLE001  # whatever the driver says; it may name the password
        return Finding("database", False, f"no answer ({type(error).__name__})", "Check the URL.")
    return Finding("database", True, "it answers")


def slack(ask: Asking, out: Console, *, manifest: Callable[[], str], browser: bool) -> None:
    ask.section("Slack")
    mode = ask.choice(
        "slack_mode",
        "How Slack reaches this machine",
        {
            "socket": "over a connection that we open; needs no public address",
            "http": "at a public https:// address; needs a proxy with a certificate",
        },
        default="socket",
    )
    hint = "Texts and links to invoices need one too. Without one, leave it as it is."
    ask.text(
        "public_url",
        "The public address",
        default="" if mode == "http" else "http://127.0.0.1:8081",
        hint=hint if mode == "socket" else "",
        problem=https,
    )
    _app(ask, out, manifest=manifest(), browser=browser)


def _app(ask: Asking, out: Console, *, manifest: str, browser: bool) -> None:
    file = ask.answers.home / "slack-manifest.yaml"
    url = f"https://api.slack.com/apps?new_app=1&manifest_yaml={quote(manifest)}"
    if not ask.answers.kept.get("team_id") or ask.again:
        file.write_text(manifest, "utf-8")
        out.print(f"The manifest of your Slack app is in [bold]{escape(str(file))}[/bold].")
        out.print("Make the app from it (From a manifest) and install it to the workspace:")
        out.print("  https://api.slack.com/apps?new_app=1", highlight=False)
        if browser and not ask.unattended:
            webbrowser.open(url)
    key, api = (
        ask.answers["key"],
        ask.answers.given.get("slack_api_url", ask.answers["slack_api_url"]) or SLACK,
    )
    if api != SLACK:
        ask.answers.keep("slack_api_url", api)

    async def token(value: str) -> Finding:
        async with aiohttp.ClientSession() as session:
            try:
                found = await look_at(_client(api, value, session))
            except NotAsked as trouble:
                remedy = "Copy it again: OAuth & Permissions." if trouble.code else WAY_OUT
                return Finding("token", False, f"Slack: {trouble.found}", remedy)
        ask.answers.keep("team_id", found.team)
        return Finding("token", True, f"of the workspace {found.team_name or found.team}")

    bot = ask.secret(
        variable(key, "BOT_TOKEN"),
        "Bot token",
        hint="The app's page, OAuth & Permissions: it begins with xoxb-.",
        problem=begins("xoxb-"),
        tries=token,
    )
    _workspace(ask, bot, token)
    if ask.answers["slack_mode"] == "socket":
        _app_token(ask, api)
    else:
        ask.secret("ISPBOT_SLACK_SIGNING_SECRET", "Signing secret", hint="The app's page, Basic Information.")
    _channels(ask, api, bot)
    ask.section("Who may do what", "Ids of people in Slack: their profile's menu, Copy member ID.")
    ask.text("admins", "Admins (all of it)", problem=people)
    ask.text("leads", "Leads (suspend, runs)", problem=people, optional=True)
    ask.text("agents", "Agents (look up, resend)", problem=people, optional=True)


def _workspace(ask: Asking, bot: str, token: Try) -> None:
    """The token tells it; where Slack did not answer, or the token is of an earlier run, it is asked for."""
    if ask.answers["team_id"] or any("_BOT_TOKEN:" in one for one in ask.troubles):
        return
    if bot and "team_id" not in ask.answers.given:
        asyncio.run(token(bot))
    if not ask.answers["team_id"]:
        ask.text("team_id", "Id of the workspace (T...)", problem=team)


def _client(api: str, token: str, session: aiohttp.ClientSession) -> AsyncWebClient:
    return AsyncWebClient(token=token, base_url=api, session=session, retry_handlers=[], timeout=10)


def _app_token(ask: Asking, api: str) -> None:
    async def opens(value: str) -> Finding:
        async with aiohttp.ClientSession() as session:
            return await opens_socket(_client(api, value, session), "ISPBOT_SLACK_APP_TOKEN")

    ask.secret(
        "ISPBOT_SLACK_APP_TOKEN",
        "App-level token",
        hint="Basic Information, App-Level Tokens, with connections:write: it begins with xapp-.",
        problem=begins("xapp-"),
        tries=opens,
    )


def _channels(ask: Asking, api: str, token: str) -> None:
    hint = "Invite the app there first: /invite @app. The id stands at the end of the channel's details."
    for name, question in (("support", "Support channel (its id)"), ("oncall", "On-call channel (its id)")):

        async def readable(value: str, name: str = name) -> Finding:
            async with aiohttp.ClientSession() as session:
                return await channel_readable(ask.answers["key"], name, value, _client(api, token, session))

        ask.text(f"{name}_channel", question, hint=hint, problem=channel, tries=readable)
        hint = ""


def mail(ask: Asking) -> None:
    ask.section(
        "Mail", "By your relay. Bounces come back to a domain of their own, such as mail.example.net."
    )
    ask.text("envelope_domain", "Domain for bounces (envelope sender)", problem=domain)
    ask.text("from_address", "Address that invoices come from", problem=address)
    ask.text("from_name", "Name beside it", default=f"{ask.answers['brand']} Billing")
    ask.text("relay_host", "Relay: host")
    ask.text("relay_port", "Relay: port", default="587", problem=port)
    kinds = {"starttls": "port 587 and 25", "implicit": "port 465", "off": "only on a network of your own"}
    ask.choice("relay_tls", "Relay: TLS", kinds, default="starttls")
    user = ask.text("relay_user", "Relay: user name (empty: none)", optional=True)
    key = ask.answers["key"]

    async def login(password: str) -> Finding:
        return await route_answers("relay", _route(ask.answers, password or None))

    if user:
        ask.secret(variable(key, "SMTP_PASSWORD"), "Relay: password", tries=login)
    else:
        ask.tried("relay", lambda: login(""))
    ask.text(
        "egress_ips",
        "IP addresses that its mail leaves from",
        hint="Of the relay, where you know them: SPF is checked for them. Empty: not checked.",
        problem=ips,
        optional=True,
    )
    ask.text("required_include", "Include that your SPF record needs", default="spf.visp.net", optional=True)
    ask.text(
        "only_to",
        "Your own address: until you go live, only this one gets mail",
        problem=addresses,
    )


def _route(a: Answers, password: str | None) -> Route:
    tls = a["relay_tls"]
    return Route(
        name="relay",
        kind="relay",
        host=a["relay_host"],
        port=int(a["relay_port"] or 25),
        envelope="verp",
        envelope_domain=a["envelope_domain"],
        from_address=a["from_address"],
        from_name=a["from_name"],
        tls="implicit" if tls == "implicit" else "off" if tls == "off" else "starttls",
        username=a["relay_user"] or None,
        password=password,
    )


def texts(ask: Asking) -> None:
    ask.section("Texts", "By Twilio. You may leave them out now, and run this again later.")
    if not ask.yes("texts", "Do you send texts?", default=False):
        return
    ask.text("twilio_sid", "Account SID", problem=sid)
    api = ask.answers.given.get("twilio_api_url", ask.answers["twilio_api_url"]) or TWILIO
    if api != TWILIO:
        ask.answers.keep("twilio_api_url", api)
    ask.text("twilio_sender", "Number that sends", problem=number)

    async def works(token: str) -> Finding:
        a = ask.answers
        route = SmsRoute("twilio", a["twilio_sender"], a["twilio_sid"], (token,), api_url=api)
        account, sender = await twilio_answers(a["key"], route, "the auth token")
        return account if sender is None or not account.ok else sender

    ask.secret(variable(ask.answers["key"], "TWILIO"), "Auth token", tries=works)


def billing(ask: Asking) -> None:
    ask.section("Billing", "Where subscribers and invoices come from.")
    choices = {"local": "files: ispbot import", "uisp": "UISP's CRM"}
    if ask.choice("billing", "Which", choices, default="local") == "local":
        ask.text(
            "billing_link",
            "Where an account stands in your billing system, {account} in it (empty: none)",
            problem=begins("https://", "http://"),
            optional=True,
        )
        return
    ask.text("uisp_url", "UISP's address", problem=https)

    async def reads(key: str) -> Finding:
        api = UispConfig(url=ask.answers["uisp_url"], app_key_env="ISPBOT_UISP_KEY").api
        client = UispClient(api, key, timeout_s=10)
        try:
            await client.get("clients", [("limit", "1")])
        except NoAccess as error:
            return Finding("UISP", False, error.sentence, "Make an app key that may write.")
        except UispError as error:
            return Finding("UISP", False, error.sentence, "Check the address.")
        finally:
            await client.close()
        return Finding("UISP", True, "it answers")

    ask.secret(variable(ask.answers["key"], "UISP_KEY"), "App key", tries=reads)
