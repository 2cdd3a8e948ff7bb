"""app.yaml as the wizard writes it: every line with what it is for, values quoted, no secret. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

_KEY: Final = re.compile(r"[^a-z0-9]+")


def tenant_key(brand: str) -> str:
    """`Cascade Broadband, Inc.` -> `cascade-broadband-inc`; at most 30 characters that app.yaml takes."""
    key = _KEY.sub("-", brand.casefold()).strip("-")[:30].strip("-")
    return key if key[:1].isalpha() else f"isp-{key}".strip("-")


def variable(key: str, what: str) -> str:
    """The environment variable of a provider's secret."""
    return f"ISPBOT_{key.upper().replace('-', '_')}_{what}"


def listed(text: str) -> list[str]:
    """What was typed with commas or spaces between."""
    return [part for part in re.split(r"[,;\s]+", text) if part]


def _q(value: str) -> str:
    """A JSON string is a YAML string."""
    return json.dumps(value, ensure_ascii=False)


def _list(values: list[str]) -> str:
    return "[" + ", ".join(_q(value) for value in values) + "]"


def app_yaml(a: Mapping[str, str], *, database: str) -> str:
    """`a` are the wizard's answers; `database` is empty where it stands in the environment."""
    key = a["key"]
    lines = [
        "# Written by `ispbot setup`. No secrets here: only names of environment variables.",
        "# Every setting is explained in docs/operations.md; `ispbot check` tries what they point at.",
        "",
        *([f"database: {_q(database)}"] if database else ["# The database's URL is in ISPBOT_DATABASE_URL."]),
        f"public_url: {_q(a['public_url'])}            # where Slack, Twilio and invoice links reach us",
        "http: {host: 127.0.0.1, port: 8081}      # behind your TLS proxy",
        "bounces: {host: 0.0.0.0, port: 8025}     # lead port 25 of the envelope domain's MX here",
        *_dns(a),
        "",
        *_slack(a),
        "",
        "tenants:",
        f"  {key}:",
        "    id: 1                                # never changes: it travels in bounce addresses",
        f"    brand: {{name: {_q(a['brand'])}, support_email: {_q(a['support_email'])}}}",
        f"    time_zone: {_q(a['time_zone'])}",
        f"    locale: {_q(a['locale'])}",
        f"    region: {_q(a['region'])}                         # how telephone numbers are read",
        *_billing(a, key),
        f"    slack: {{team_id: {_q(a['team_id'])}, bot_token_env: {variable(key, 'BOT_TOKEN')}}}",
        f"    channels: {{support: {_q(a['support_channel'])}, oncall: {_q(a['oncall_channel'])}}}",
        "    roles:                               # Slack user ids; groups: [S...] where your plan has them",
        *(f"      {role}: {{users: {_list(listed(a.get(role + 's', '')))}}}" for role in _ROLES),
        *_mail(a, key),
        *_sms(a, key),
    ]
    return "\n".join(lines) + "\n"


_ROLES: Final = ("agent", "lead", "admin")


def _dns(a: Mapping[str, str]) -> list[str]:
    servers = listed(a.get("dns_servers", ""))
    return [f"dns: {{servers: {_list(servers)}, port: {a.get('dns_port') or 53}}}"] if servers else []


def _slack(a: Mapping[str, str]) -> list[str]:
    lines = ["slack:", f"  mode: {a['slack_mode']}"]
    if a.get("slack_api_url"):
        lines.append(f"  api_url: {_q(a['slack_api_url'])}")
    env = "app_token_env: ISPBOT_SLACK_APP_TOKEN" if a["slack_mode"] == "socket" else _SIGNING
    return [*lines, f"  {env}"]


_SIGNING: Final = "signing_secret_env: ISPBOT_SLACK_SIGNING_SECRET"


def _billing(a: Mapping[str, str], key: str) -> list[str]:
    if a["billing"] != "uisp":
        link = f"    billing_link: {_q(a['billing_link'])}" if a.get("billing_link") else ""
        return ["    billing: local                       # files: ispbot import", *([link] if link else [])]
    return [
        "    billing: uisp",
        f"    uisp: {{url: {_q(a['uisp_url'])}, app_key_env: {variable(key, 'UISP_KEY')}}}",
    ]


def _mail(a: Mapping[str, str], key: str) -> list[str]:
    route = f"kind: relay, host: {_q(a['relay_host'])}, port: {a['relay_port']}, tls: {a['relay_tls']}"
    if a.get("relay_user"):
        route += f", username: {_q(a['relay_user'])}, password_env: {variable(key, 'SMTP_PASSWORD')}"
    if ips := listed(a.get("egress_ips", "")):
        route += f", egress_ips: {_list(ips)}"
    return [
        "    mail:",
        f"      envelope_domain: {_q(a['envelope_domain'])}  # bounces come here; its SPF record counts",
        f"      from: {{address: {_q(a['from_address'])}, name: {_q(a['from_name'])}}}",
        f"      required_include: {_q(a.get('required_include', ''))}",
        "      routes:",
        f"        relay: {{{route}}}",
        "      default_route: relay",
        "      send_mode: only_to",
        f"      only_to: {_list(listed(a['only_to']))}",
    ]


def _sms(a: Mapping[str, str], key: str) -> list[str]:
    if a.get("texts") not in ("yes", "y"):
        return []
    lines = [
        "    sms:",
        f"      account_sid: {_q(a['twilio_sid'])}",
        f"      auth_token_env: {variable(key, 'TWILIO')}",
        f"      sender: {_q(a['twilio_sender'])}",
    ]
    return [*lines, f"      api_url: {_q(a['twilio_api_url'])}"] if a.get("twilio_api_url") else lines


__all__ = ["app_yaml", "listed", "tenant_key", "variable"]
