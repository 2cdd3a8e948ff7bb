"""app.yaml and the environment -> one frozen Config, or every error at once, each with its path.

Secrets are never in app.yaml: it names environment variables. Unknown keys are errors.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from babel import Locale, UnknownLocaleError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from notifier.keys import Keyring, KeyringError
from notifier.limits import EVERYBODY
from notifier.mailauth.dkim_record import key_name
from notifier.mailauth.dkim_sign import DkimSigner, KeyProblem, load_signer
from notifier.mime import is_addr_spec
from store.engine import DatabaseError, normalise_url

if TYPE_CHECKING:
    from notifier.templates import Templates

_ENV = re.compile(r"[A-Z][A-Z0-9_]{2,79}")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class ConfigProblems(Exception):
    """Everything that is wrong with the configuration: (path, sentence)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {sentence}" for path, sentence in problems))
        self.problems = problems


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def _env_name(value: str) -> str:
    if not _ENV.fullmatch(value):
        raise ValueError("name an environment variable, such as ISPBOT_KEYS; never the secret itself")
    return value


class BrandConfig(Section):
    name: str = Field(min_length=1, max_length=80)
    support_email: str
    support_phone: str = ""

    @field_validator("support_email")
    @classmethod
    def _address(cls, value: str) -> str:
        return _addr(value)


def _addr(value: str) -> str:
    if not is_addr_spec(value):
        raise ValueError("write one plain e-mail address, such as billing@example.net")
    return value


class TenantSlack(Section):
    team_id: str = Field(min_length=2)
    bot_token_env: str

    _env = field_validator("bot_token_env")(_env_name)


class Channels(Section):
    support: str
    oncall: str


class RoleMembers(Section):
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Slack user groups; they need a paid plan, users do not."""


class Roles(Section):
    viewer: RoleMembers = RoleMembers()
    agent: RoleMembers = RoleMembers()
    lead: RoleMembers = RoleMembers()
    admin: RoleMembers = RoleMembers()


class FromConfig(Section):
    address: str
    name: str = Field(min_length=1, max_length=120)

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        return _addr(value)


class DkimConfig(Section):
    """What a route signs with; the private key, in PEM, is in the environment."""

    domain: str
    selector: str
    key_env: str

    _env = field_validator("key_env")(_env_name)

    @model_validator(mode="after")
    def _publishable(self) -> Self:
        key_name(self.domain, self.selector)
        return self


class RouteConfig(Section):
    kind: Literal["direct", "relay"]
    host: str = ""
    """A relay's name; empty for direct, which asks DNS for each recipient's servers."""
    port: int = Field(ge=1, le=65535, default=25)
    envelope: Literal["verp", "fixed"] = "verp"
    tls: Literal["off", "starttls", "implicit"] = "off"
    username: str | None = None
    password_env: str | None = None
    dkim: DkimConfig | None = None
    egress_ips: tuple[str, ...] = ()
    connections: int = Field(ge=1, le=100, default=4)
    per_s: float | None = Field(gt=0, le=10_000, default=None)
    """Messages a second by this route, all workers together; None: as fast as it takes them."""
    timeout_s: float = Field(gt=0, le=300, default=30)

    @field_validator("password_env")
    @classmethod
    def _password(cls, value: str | None) -> str | None:
        return None if value is None else _env_name(value)

    @field_validator("egress_ips")
    @classmethod
    def _ips(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            try:
                ipaddress.ip_address(item)
            except ValueError:
                raise ValueError(f"{item!r} is no IP address") from None
        return value

    @model_validator(mode="after")
    def _login(self) -> Self:
        if self.kind == "relay" and not self.host:
            raise ValueError("a relay needs its host")
        if self.kind == "direct" and self.host not in ("", "127.0.0.1", "::1"):
            raise ValueError("direct asks DNS where mail goes: leave host out, or call it a relay")
        if (self.username is None) != (self.password_env is None):
            raise ValueError("username and password_env go together")
        if (
            self.username is not None
            and self.tls == "off"
            and self.host not in ("127.0.0.1", "::1", "localhost")
        ):
            raise ValueError("a password needs tls: starttls or implicit")
        return self


class DomainLimitConfig(Section):
    per_s: float = Field(gt=0, le=10_000)


class BounceMailbox(Section):
    """A mailbox that bounces come to, read by IMAP: where port 25 cannot be led here."""

    address: str
    """Its domain is the envelope domain. Its server has to take `name+anything@` for it."""
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535, default=993)
    tls: Literal["off", "starttls", "implicit"] = "implicit"
    username: str = Field(min_length=1)
    password_env: str
    folder: str = Field(default="INBOX", min_length=1, pattern=r"^[ -~]+$")
    done: str = Field(default="Processed", min_length=1, pattern=r"^[ -~]+$")
    """Where messages go that are on disk here."""
    every_s: float = Field(ge=1, le=3600, default=30)

    _env = field_validator("password_env")(_env_name)

    @field_validator("address")
    @classmethod
    def _short(cls, value: str) -> str:
        # The token has 48 of the 64 octets of RFC 5321 section 4.5.3.1.1, and the + one.
        if not re.fullmatch(r"[a-z0-9._-]{1,15}@[^@\s]+", value):
            raise ValueError(
                "write it in small letters, with at most 15 of them before the @: bounces@example.net"
            )
        return value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.tls == "off" and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("a password needs tls: implicit or starttls")
        if self.folder == self.done:
            raise ValueError("done has to be another folder")
        return self


class MailConfig(Section):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, populate_by_name=True)

    envelope_domain: str = Field(min_length=3)
    sender: FromConfig = Field(alias="from")
    required_include: str = "spf.visp.net"
    routes: dict[str, RouteConfig] = Field(min_length=1)
    default_route: str
    remote_route: str | None = None
    failover: str | None = None
    """The route by which mail goes when the one in use is dead; it has to take five first."""
    use_remote_mail_server: bool = False
    test_mailboxes: tuple[str, ...] = ()
    """Where leads may send test mails by any route."""
    domain_limits: dict[str, DomainLimitConfig] = Field(default_factory=dict)
    """By recipient domain, on each route; "*" for each domain that is not named."""
    bounce_mailbox: BounceMailbox | None = None
    """None: bounces come by SMTP or LMTP."""
    attach_pdf: bool = True
    send_mode: Literal["off", "only_to", "live"] = "only_to"
    only_to: tuple[str, ...] = ()

    @field_validator("domain_limits")
    @classmethod
    def _domains(cls, value: dict[str, DomainLimitConfig]) -> dict[str, DomainLimitConfig]:
        for domain in value:
            if domain != EVERYBODY and not _DOMAIN.fullmatch(domain):
                raise ValueError(f'{domain!r}: write a domain in small letters, such as gmail.com, or "*"')
        return value

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in self.routes:
            if not _NAME.fullmatch(name):
                raise ValueError(f"route name {name!r}: small letters, digits, - and _ only")
        chosen = {
            "default_route": self.default_route,
            "remote_route": self.remote_route or self.default_route,
        }
        if self.failover is not None:
            chosen["failover"] = self.failover
            if self.failover == self.route_in_use:
                raise ValueError(f"failover names {self.failover!r}, which is the route in use already")
        for key, route in chosen.items():
            if route not in self.routes:
                raise ValueError(f"{key} names {route!r}, which is not among the routes")
        if self.use_remote_mail_server and self.remote_route is None:
            raise ValueError("use_remote_mail_server needs remote_route")
        box = self.bounce_mailbox
        if box is not None and box.address.rpartition("@")[2] != self.envelope_domain.casefold():
            raise ValueError("bounce_mailbox.address has to be at envelope_domain: bounces come back to both")
        if self.send_mode == "only_to" and not self.only_to:
            raise ValueError("send_mode only_to needs at least one address under only_to")
        return self

    @property
    def route_in_use(self) -> str:
        """The "use remote mail server" switch decides."""
        return self.remote_route if self.use_remote_mail_server and self.remote_route else self.default_route


class SmsConfig(Section):
    """Texts by Twilio. The account SID is no secret, the auth tokens are."""

    name: str = "twilio"
    account_sid: str = Field(pattern=r"^AC[0-9a-f]{32}$")
    auth_token_env: str
    """Several tokens, separated by commas, while a rotation lasts: the first one signs."""
    sender: str
    messaging_service_sid: str | None = Field(default=None, pattern=r"^MG[0-9a-f]{32}$")
    api_url: str = Field(default="https://api.twilio.com", pattern=r"^https?://[^\s/]+$")
    connections: int = Field(ge=1, le=100, default=4)
    timeout_s: float = Field(gt=0, le=120, default=15)
    segments_per_s: float | None = Field(gt=0, le=10_000, default=None)
    """What the sender is allowed, all workers together; None: Twilio queues what is over."""
    segment_price: Decimal | None = Field(default=None, ge=0)
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    fallback: bool = False
    window: tuple[time, time] = (time(9), time(20))

    _env = field_validator("auth_token_env")(_env_name)

    @field_validator("name")
    @classmethod
    def _route_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("small letters, digits, - and _ only")
        return value

    @field_validator("sender")
    @classmethod
    def _number(cls, value: str) -> str:
        return _e164(value)

    @field_validator("window")
    @classmethod
    def _opens_before_it_closes(cls, value: tuple[time, time]) -> tuple[time, time]:
        if value[0] >= value[1]:
            raise ValueError("the window opens before it closes, such as ['09:00', '20:00']")
        return value


def _e164(value: str) -> str:
    if not re.fullmatch(r"\+[1-9]\d{6,14}", value):
        raise ValueError("write the number in full, such as '+15415550100' (with quotes)")
    return value


class OncallConfig(Section):
    numbers: tuple[str, ...] = ()
    text_after_minutes: float = Field(ge=0, le=1440, default=10)
    burst: int = Field(ge=2, le=100_000, default=20)
    burst_minutes: float = Field(gt=0, le=1440, default=15)

    @field_validator("numbers")
    @classmethod
    def _numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_e164(number) for number in value)


class RunsConfig(Section):
    """Null for either switches it off: a desk with one lead has nobody else to approve."""

    approve_above: int | None = Field(ge=0, le=10_000_000, default=500)
    stop_at_percent: int | None = Field(ge=1, le=100, default=5)


class EscalationConfig(Section):
    """Whom evidence is mailed to. Never a subscriber: colleagues write into it."""

    address: str
    ticket_url: str = Field(default="", pattern=r"^(https?://[^\s|<>]+)?$")

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        return _addr(value)


class UispConfig(Section):
    """UISP's CRM as the system of record; its app key and its webhooks' secret are in the environment."""

    url: str = Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")
    """Of the server, or of its API."""
    app_key_env: str
    webhook_secret_env: str | None = None
    """None: UISP's webhooks are not listened to, and news waits for the next round."""
    sync_minutes: float = Field(ge=1, le=1440, default=15)
    full_sync_hours: float = Field(ge=1, le=720, default=24)
    timeout_s: float = Field(gt=0, le=120, default=10)
    suspends_by_itself: bool = True
    suspension_reason: int | None = Field(default=None, ge=1)

    _env = field_validator("app_key_env")(_env_name)

    @field_validator("webhook_secret_env")
    @classmethod
    def _secret(cls, value: str | None) -> str | None:
        return None if value is None else _env_name(value)

    @field_validator("url")
    @classmethod
    def _safe(cls, value: str) -> str:
        host = urlsplit(value).hostname or ""
        if value.startswith("http://") and host not in ("127.0.0.1", "localhost"):
            raise ValueError("the app key goes over the line with every call: use https://")
        return value

    @property
    def api(self) -> str:
        """Without a slash at the end."""
        path = urlsplit(self.url).path.strip("/")
        return self.url.rstrip("/") + ("" if path else "/crm/api/v1.0")


class TenantConfig(Section):
    id: int = Field(ge=1, lt=1 << 24)
    brand: BrandConfig
    time_zone: str
    locale: str = "en_US"
    region: str = Field(default="US", pattern="^[A-Z]{2}$")
    slack: TenantSlack
    channels: Channels
    roles: Roles
    mail: MailConfig
    sms: SmsConfig | None = None
    oncall: OncallConfig = OncallConfig()
    runs: RunsConfig = RunsConfig()
    escalation: EscalationConfig | None = None
    billing: str = "local"
    """The system of record: the name of a module's BILLING in billing/systems."""
    uisp: UispConfig | None = None
    billing_link: str = Field(default="", pattern=r"^(https?://[^\s|<>{}]*(\{account\}[^\s|<>{}]*)?)?$")
    """Where an account stands in a billing system that only files come from, {account} in it: what is done
    with packages is done there, and cards link to it."""
    portal_url: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    templates: str | None = None
    """A directory with files that stand in for ours; from app.yaml's own directory unless absolute."""

    @model_validator(mode="after")
    def _sms_name(self) -> Self:
        if self.sms is not None and self.sms.name in self.mail.routes:
            raise ValueError(f"sms.name {self.sms.name!r} is the name of a mail route already")
        if self.oncall.numbers and self.sms is None:
            raise ValueError("oncall.numbers are texted: that needs sms")
        return self

    @model_validator(mode="after")
    def _remote_billing(self) -> Self:
        if self.billing == "uisp" and self.uisp is None:
            raise ValueError("billing: uisp needs a section uisp with url and app_key_env (docs/uisp.md)")
        if self.billing != "uisp" and self.uisp is not None:
            raise ValueError("there is a section uisp, but billing is not uisp")
        if self.billing_link and self.billing != "local":
            raise ValueError(f"billing_link is for data from files: billing {self.billing} is asked itself")
        return self

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is no IANA time zone, such as America/Denver") from None
        return value

    @field_validator("locale")
    @classmethod
    def _locale(cls, value: str) -> str:
        try:
            Locale.parse(value)
        except (UnknownLocaleError, ValueError):
            raise ValueError(f"{value!r} is no locale, such as en_US") from None
        return value


class HttpConfig(Section):
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535, default=8081)


class BounceConfig(Section):
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535, default=8025)
    lmtp_port: int | None = Field(ge=1, le=65535, default=None)
    """For a mail server of one's own in front, on the same host."""
    lmtp_socket: str | None = None
    per_client_per_s: float = Field(gt=0, le=1000, default=20)
    per_s: float = Field(gt=0, le=10_000, default=50)
    connections: int = Field(ge=1, le=10_000, default=100)
    connections_per_client: int = Field(ge=1, le=10_000, default=20)

    @field_validator("lmtp_socket")
    @classmethod
    def _whole_path(cls, value: str | None) -> str | None:
        # unix(7): 108 octets with the end mark
        if value is not None and (not value.startswith("/") or len(value.encode()) > 107):
            raise ValueError(
                "name the socket by its whole path, such as /run/ispbot/lmtp (at most 107 octets)"
            )
        return value

    @model_validator(mode="after")
    def _ports(self) -> Self:
        if self.lmtp_port == self.port:
            raise ValueError("lmtp_port is the port of SMTP already")
        return self


class SlackConfig(Section):
    command: str = Field(default="/isp", pattern=r"^/[a-z0-9_-]{1,31}$")
    signing_secret_env: str = "ISPBOT_SLACK_SIGNING_SECRET"  # noqa: S105  # the name of a variable
    mode: Literal["http", "socket"] = "http"
    """How Slack reaches us: at public_url, or over a connection that we open (Socket Mode)."""
    app_token_env: str = "ISPBOT_SLACK_APP_TOKEN"  # noqa: S105  # the name of a variable
    """Of the app-level token (xapp-...) with connections:write; Socket Mode only."""
    api_url: str = "https://slack.com/api/"

    _env = field_validator("signing_secret_env", "app_token_env")(_env_name)


class DnsConfig(Section):
    servers: tuple[str, ...] = ()
    port: int = Field(ge=1, le=65535, default=53)


class WorkerConfig(Section):
    lease_s: float = Field(ge=1, le=600, default=30)
    poll_s: float = Field(gt=0, le=60, default=1)
    sweep_s: float = Field(gt=0, le=60, default=5)


class AppConfig(Section):
    """app.yaml as it is written."""

    database: str | None = Field(default=None, repr=False)
    database_env: str = "ISPBOT_DATABASE_URL"
    keys_env: str = "ISPBOT_KEYS"
    public_url: str = Field(pattern=r"^https?://[^\s/]+(/.*)?$")
    http: HttpConfig = HttpConfig()
    bounces: BounceConfig = BounceConfig()
    slack: SlackConfig = SlackConfig()
    dns: DnsConfig = DnsConfig()
    worker: WorkerConfig = WorkerConfig()
    clock_file: str | None = None
    """Moves business time; for the sandbox only."""
    tenants: dict[str, TenantConfig] = Field(min_length=1)

    _env = field_validator("database_env", "keys_env")(_env_name)

    @model_validator(mode="after")
    def _tenants(self) -> Self:
        for what, values in (
            ("id", [t.id for t in self.tenants.values()]),
            ("slack.team_id", [t.slack.team_id for t in self.tenants.values()]),
            ("mail.envelope_domain", [t.mail.envelope_domain.casefold() for t in self.tenants.values()]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"two tenants have the same {what}")
        for key in self.tenants:
            if not _NAME.fullmatch(key):
                raise ValueError(f"tenant name {key!r}: small letters, digits, - and _ only")
        return self


@dataclass(frozen=True, slots=True)
class RemoteSecrets:
    """What a remote billing system wants to hear, and what it has to say."""

    app_key: str = field(repr=False)
    webhook_secret: str = field(default="", repr=False)


MIN_WEBHOOK_SECRET = 24


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the environment holds; never printed."""

    keyring: Keyring
    signing_secret: str
    bot_tokens: Mapping[str, str]
    passwords: Mapping[tuple[str, str], str]
    sms_tokens: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    signers: Mapping[tuple[str, str], DkimSigner] = field(default_factory=dict)
    billing: Mapping[str, RemoteSecrets] = field(default_factory=dict)
    """Of the tenants whose system of record is a remote one."""
    mailboxes: Mapping[str, str] = field(default_factory=dict)
    """The passwords of those tenants' bounce mailboxes."""
    app_token: str = ""
    """Socket Mode only; then there is no signing secret."""

    def __repr__(self) -> str:
        return "Secrets(...)"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, checked."""

    app: AppConfig
    database_url: str = field(repr=False)
    secrets: Secrets
    path: Path
    templates: Mapping[str, Templates] = field(default_factory=dict)
    """Of the tenants that have files of their own."""


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a later key win over an earlier one in silence; here that is an error.

    `off` is a word, as in YAML 1.2, and not false: `send_mode: off` and `tls: off` mean what they say.
    """


_BOOL = "tag:yaml.org,2002:bool"
_UniqueKeys.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != _BOOL]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_UniqueKeys.add_implicit_resolver(_BOOL, re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, "a key is one word", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"{key!r} stands there twice", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """ConfigProblems lists everything that is wrong, in the file and in the environment."""
    app = parse(path)
    problems: list[tuple[str, str]] = []
    url = _database(app, environ, problems)
    keyring = _keyring(app, environ, problems)

    def secret(name: str, where: str) -> str:
        value = environ.get(name, "")
        if not value:
            problems.append((where, f"the environment variable {name} is not set"))
        return value

    signing = app_token = ""
    if app.slack.mode == "socket":
        app_token = secret(app.slack.app_token_env, "slack.app_token_env")
    else:
        signing = secret(app.slack.signing_secret_env, "slack.signing_secret_env")
    tokens = {
        key: secret(t.slack.bot_token_env, f"tenants.{key}.slack.bot_token_env")
        for key, t in app.tenants.items()
    }
    passwords = {
        (key, name): secret(route.password_env, f"tenants.{key}.mail.routes.{name}.password_env")
        for key, t in app.tenants.items()
        for name, route in t.mail.routes.items()
        if route.password_env
    }
    sms_tokens = {
        key: tuple(filter(None, secret(t.sms.auth_token_env, f"tenants.{key}.sms.auth_token_env").split(",")))
        for key, t in app.tenants.items()
        if t.sms is not None
    }
    signers: dict[tuple[str, str], DkimSigner] = {}
    for key, t in app.tenants.items():
        for name, route in t.mail.routes.items():
            where = f"tenants.{key}.mail.routes.{name}.dkim.key_env"
            if route.dkim and (pem := secret(route.dkim.key_env, where)):
                try:
                    signers[key, name] = load_signer(route.dkim.domain, route.dkim.selector, pem)
                except KeyProblem as error:
                    problems.append((where, f"what {route.dkim.key_env} holds {error}"))
    billing = {key: _remote(key, t.uisp, secret, problems) for key, t in app.tenants.items() if t.uisp}
    _webhooks_apart(billing, problems)
    templates = {key: own_templates(path, key, t, problems) for key, t in app.tenants.items() if t.templates}
    mailboxes = {
        key: secret(box.password_env, f"tenants.{key}.mail.bounce_mailbox.password_env")
        for key, t in app.tenants.items()
        if (box := t.mail.bounce_mailbox) is not None
    }
    if problems or keyring is None:
        raise ConfigProblems(problems)
    secrets = Secrets(keyring, signing, tokens, passwords, sms_tokens, signers, billing, mailboxes, app_token)
    return Config(app, url, secrets, path, templates)


def _remote(
    key: str, uisp: UispConfig, secret: Callable[[str, str], str], problems: list[tuple[str, str]]
) -> RemoteSecrets:
    where = f"tenants.{key}.uisp"
    app_key = secret(uisp.app_key_env, f"{where}.app_key_env")
    webhook = ""
    if uisp.webhook_secret_env:
        webhook = secret(uisp.webhook_secret_env, f"{where}.webhook_secret_env")
        if webhook and not re.fullmatch(rf"[A-Za-z0-9_-]{{{MIN_WEBHOOK_SECRET},}}", webhook):
            problems.append(
                (
                    f"{where}.webhook_secret_env",
                    f"what {uisp.webhook_secret_env} holds goes into a URL: at least {MIN_WEBHOOK_SECRET} "
                    "letters and digits",
                )
            )
    return RemoteSecrets(app_key, webhook)


def _webhooks_apart(billing: Mapping[str, RemoteSecrets], problems: list[tuple[str, str]]) -> None:
    """The secret alone says whose billing system calls."""
    secrets = [one.webhook_secret for one in billing.values() if one.webhook_secret]
    for key, one in billing.items():
        if secrets.count(one.webhook_secret) > 1:
            where = f"tenants.{key}.uisp.webhook_secret_env"
            problems.append((where, "another tenant has the same secret"))


def own_templates(path: Path, key: str, tenant: TenantConfig, problems: list[tuple[str, str]]) -> Templates:
    """A tenant's, read and tried; what is wrong with them is added to `problems`."""
    # Here: most deployments have none of their own, and every command reads app.yaml.
    from notifier.templates import Templates
    from notifier.templates.own import own_of

    own, wrong = own_of(path.parent / (tenant.templates or ""), tenant.brand, tenant.locale)
    problems.extend((f"tenants.{key}.templates", str(problem)) for problem in wrong)
    return Templates(own)


def parse(path: Path) -> AppConfig:
    """app.yaml alone, without the secrets that it names; ConfigProblems."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigProblems([(str(path), f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigProblems([(str(path), "is not UTF-8 text")]) from None
    try:
        data = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "somewhere"
        raise ConfigProblems([(where, f"is not YAML: {getattr(error, 'problem', error)}")]) from None
    if not isinstance(data, dict):
        raise ConfigProblems([(str(path), "is empty: start from the app.yaml of the project")])
    try:
        return AppConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigProblems([(_path(e["loc"]), _sentence(e)) for e in error.errors()]) from None


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "app.yaml"


def _sentence(error: Mapping[str, Any]) -> str:
    """Pydantic's own words, but for the ones that people meet most."""
    match error["type"]:
        case "extra_forbidden":
            return "is not a setting that exists"
        case "missing":
            return "is missing"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return str(error["msg"])


def _database(app: AppConfig, environ: Mapping[str, str], problems: list[tuple[str, str]]) -> str:
    url = environ.get(app.database_env) or app.database or ""
    if not url:
        problems.append(("database", f"set it here, or {app.database_env} in the environment"))
        return ""
    try:
        return normalise_url(url)
    except DatabaseError as error:
        problems.append(("database", str(error)))
        return ""


def _keyring(app: AppConfig, environ: Mapping[str, str], problems: list[tuple[str, str]]) -> Keyring | None:
    text = environ.get(app.keys_env, "")
    if not text:
        problems.append(("keys_env", f"the environment variable {app.keys_env} is not set"))
        return None
    try:
        return Keyring.parse(text)
    except KeyringError as error:
        problems.append((f"environment variable {app.keys_env}", str(error)))
        return None
