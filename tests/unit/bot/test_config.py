"""app.yaml and the environment: one Config, or every error at once with its path; no secret is shown."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.config import Config, ConfigProblems, load_config
from bot.limits import DIRECT_PER_S, route_limits
from bot.wiring import mailboxes_of, profile_of, routes_of
from handlers.profile import EscalationProfile
from notifier.limits import EVERYBODY, RouteLimits
from notifier.mailauth.dkim_sign import new_key
from tests.unit.bot.deployment import load, tenant

TOKEN = "xoxb-1234567890-secretsecret"
PASSWORD = "hunter2hunter2"
ENV = {
    "ISPBOT_KEYS": "1:a secret of sufficient length",
    "ISPBOT_SLACK_SIGNING_SECRET": "0123456789abcdef",
    "CASCADE_TOKEN": TOKEN,
    "RELAY_PASSWORD": PASSWORD,
}
TENANT: dict[str, Any] = {
    "id": 1,
    "brand": {"name": "Cascade Fiber", "support_email": "help@cascade.example"},
    "time_zone": "America/Los_Angeles",
    "slack": {"team_id": "T_CASCADE", "bot_token_env": "CASCADE_TOKEN"},
    "channels": {"support": "C_SUPPORT", "oncall": "C_ONCALL"},
    "roles": {"agent": {"users": ["U_AGENT"]}},
    "mail": {
        "envelope_domain": "mail.cascade.example",
        "from": {"address": "billing@cascade.example", "name": "Cascade Billing"},
        "routes": {
            "visp": {
                "kind": "relay",
                "host": "relay.visp.net",
                "port": 587,
                "tls": "starttls",
                "username": "cascade",
                "password_env": "RELAY_PASSWORD",
            }
        },
        "default_route": "visp",
        "send_mode": "live",
    },
}
GOOD: dict[str, Any] = {
    "database": "sqlite:///ispbot.db",
    "public_url": "https://bot.cascade.example",
    "tenants": {"cascade": TENANT},
}


def _with(path: str, value: Any) -> dict[str, Any]:
    """GOOD with one setting changed; `...` takes it away."""
    data = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    node: Any = data
    for name in parents:
        node = node[name]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return data


def _load(tmp_path: Path, data: Any, environ: Mapping[str, str] = ENV) -> Config:
    file = tmp_path / "app.yaml"
    file.write_text(data if isinstance(data, str) else yaml.safe_dump(data), "utf-8")
    return load_config(file, environ)


def _problems(tmp_path: Path, data: Any, environ: Mapping[str, str] = ENV) -> dict[str, str]:
    with pytest.raises(ConfigProblems) as told:
        _load(tmp_path, data, environ)
    return dict(told.value.problems)


def test_a_right_file_becomes_a_config(tmp_path: Path) -> None:
    config = _load(tmp_path, GOOD)
    assert config.database_url == "sqlite+aiosqlite:///ispbot.db"
    assert config.secrets.bot_tokens == {"cascade": TOKEN}
    assert config.secrets.passwords == {("cascade", "visp"): PASSWORD}
    assert config.app.tenants["cascade"].mail.route_in_use == "visp"
    assert config.app.slack.command == "/isp"


def test_the_database_of_the_environment_wins(tmp_path: Path) -> None:
    environ = {**ENV, "ISPBOT_DATABASE_URL": "postgresql://u:p@db/isp"}
    assert _load(tmp_path, GOOD, environ).database_url == "postgresql+asyncpg://u:p@db/isp"


def test_secrets_and_passwords_are_in_no_repr(tmp_path: Path) -> None:
    environ = {**ENV, "ISPBOT_DATABASE_URL": "postgresql://u:database-password@db/isp"}
    config = _load(tmp_path, _with("database", "postgresql://u:in-the-file@db/isp"), environ)
    shown = f"{config!r} {config} {config.secrets!r} {config.app!r} {config.app}"
    for secret in (*ENV.values(), "database-password", "in-the-file", "a secret of sufficient length"):
        assert secret not in shown


DKIM = {"domain": "cascade.example", "selector": "ispbot1", "key_env": "CASCADE_DKIM"}
SIGNED = "tenants/cascade/mail/routes/visp/dkim"


@pytest.mark.parametrize("ed25519", [False, True])
def test_a_route_signs_with_the_key_of_the_environment_which_is_in_no_repr(
    tmp_path: Path, ed25519: bool
) -> None:
    pem = new_key(ed25519=ed25519)
    config = _load(tmp_path, _with(SIGNED, DKIM), {**ENV, "CASCADE_DKIM": pem})
    (route,) = routes_of(config, "cascade", config.app.tenants["cascade"])
    assert route.dkim is not None
    assert (route.dkim.domain, route.dkim.selector) == ("cascade.example", "ispbot1")
    assert route.sender_facts.signs == route.dkim.signing_key
    shown = f"{config!r} {config.secrets!r} {route!r} {route.dkim!r}"
    assert not any(line in shown for line in pem.splitlines())


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("", "CASCADE_DKIM is not set"),
        ("hunter2", "what CASCADE_DKIM holds is no private key"),
        ("-----BEGIN PUBLIC KEY-----", "the private one signs"),
    ],
)
def test_a_signing_key_that_cannot_be_used_is_named_by_its_variable_only(
    tmp_path: Path, pem: str, words: str
) -> None:
    problems = _problems(tmp_path, _with(SIGNED, DKIM), {**ENV, "CASCADE_DKIM": pem})
    (sentence,) = problems.values()
    assert list(problems) == ["tenants.cascade.mail.routes.visp.dkim.key_env"]
    assert words in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"domain": "cascade"}, "no full domain name"),
        ({"selector": "is p"}, "no selector"),
        ({"key_env": "-----BEGIN PRIVATE KEY-----"}, "name an environment variable"),
    ],
)
def test_a_signature_that_could_not_be_published_is_refused(
    tmp_path: Path, change: dict[str, str], words: str
) -> None:
    problems = _problems(tmp_path, _with(SIGNED, {**DKIM, **change}))
    (path,) = problems
    assert path.startswith("tenants.cascade.mail.routes.visp.dkim")
    assert words in problems[path]


ONE_WRONG: dict[str, tuple[str, Any, str, str]] = {
    # what: (setting, value, path of the error, words of it)
    "an unknown key": ("colour", "red", "colour", "is not a setting that exists"),
    "an unknown key deep down": (
        "tenants/cascade/mail/routes/visp/hots",
        "x",
        "tenants.cascade.mail.routes.visp.hots",
        "is not a setting that exists",
    ),
    "a missing key": ("public_url", ..., "public_url", "is missing"),
    "a key missing deep down": (
        "tenants/cascade/channels/oncall",
        ...,
        "tenants.cascade.channels.oncall",
        "is missing",
    ),
    "a zone": ("tenants/cascade/time_zone", "Mars/Base", "tenants.cascade.time_zone", "no IANA time zone"),
    "a zone outside": ("tenants/cascade/time_zone", "../etc/passwd", "tenants.cascade.time_zone", "zone"),
    "a locale": ("tenants/cascade/locale", "klingon", "tenants.cascade.locale", "is no locale"),
    "a region": ("tenants/cascade/region", "usa", "tenants.cascade.region", "pattern"),
    "an address": (
        "tenants/cascade/brand/support_email",
        "help at cascade",
        "tenants.cascade.brand.support_email",
        "one plain e-mail address",
    ),
    "a from address": (
        "tenants/cascade/mail/from/address",
        "A <a@b.example>",
        "tenants.cascade.mail.from.address",
        "one plain e-mail address",
    ),
    "an IP": (
        "tenants/cascade/mail/routes/visp/egress_ips",
        ["203.0.113.300"],
        "tenants.cascade.mail.routes.visp.egress_ips",
        "'203.0.113.300' is no IP address",
    ),
    "a route name": (
        "tenants/cascade/mail/routes/My Route",
        {"kind": "relay", "host": "x"},
        "tenants.cascade.mail",
        "route name 'My Route'",
    ),
    "a route that is not there": (
        "tenants/cascade/mail/default_route",
        "other",
        "tenants.cascade.mail",
        "default_route names 'other'",
    ),
    "a remote route that is not there": (
        "tenants/cascade/mail/remote_route",
        "other",
        "tenants.cascade.mail",
        "remote_route names 'other'",
    ),
    "a failover to itself": (
        "tenants/cascade/mail/failover",
        "visp",
        "tenants.cascade.mail",
        "is the route in use already",
    ),
    "a switch without its route": (
        "tenants/cascade/mail/use_remote_mail_server",
        True,
        "tenants.cascade.mail",
        "needs remote_route",
    ),
    "only_to of nobody": (
        "tenants/cascade/mail/send_mode",
        "only_to",
        "tenants.cascade.mail",
        "at least one address under only_to",
    ),
    "a password in the clear": (
        "tenants/cascade/mail/routes/visp/tls",
        "off",
        "tenants.cascade.mail.routes.visp",
        "a password needs tls",
    ),
    "a user without a password": (
        "tenants/cascade/mail/routes/visp/password_env",
        ...,
        "tenants.cascade.mail.routes.visp",
        "go together",
    ),
    "a port": ("http", {"port": 70000}, "http.port", "65535"),
    "a socket": ("bounces", {"lmtp_socket": "lmtp"}, "bounces.lmtp_socket", "whole path"),
    "one port twice": ("bounces", {"port": 8025, "lmtp_port": 8025}, "bounces", "SMTP already"),
    "a domain that is none": (
        "tenants/cascade/mail/domain_limits",
        {"Gmail": {"per_s": 5}},
        "tenants.cascade.mail.domain_limits",
        'such as gmail.com, or "*"',
    ),
    "a limit of nothing": (
        "tenants/cascade/mail/routes/visp/per_s",
        0,
        "tenants.cascade.mail.routes.visp.per_s",
        "greater than 0",
    ),
    "a rate of none": ("bounces", {"per_s": 0}, "bounces.per_s", "greater than 0"),
    "a command": ("slack", {"command": "isp"}, "slack.command", "pattern"),
    "a public URL": ("public_url", "bot.cascade.example", "public_url", "pattern"),
    "an id": ("tenants/cascade/id", 0, "tenants.cascade.id", "greater than or equal to 1"),
    "no tenant": ("tenants", {}, "tenants", "at least 1"),
    "a database": ("database", "mysql://u:hidden@db/x", "database", "mysql is not supported"),
    "no database": ("database", ..., "database", "ISPBOT_DATABASE_URL"),
}


@pytest.mark.parametrize("wrong", ONE_WRONG.values(), ids=ONE_WRONG.keys())
def test_one_wrong_setting_is_named_by_its_path(tmp_path: Path, wrong: tuple[str, Any, str, str]) -> None:
    setting, value, path, words = wrong
    problems = _problems(tmp_path, _with(setting, value))
    assert list(problems) == [path]
    assert words in problems[path]
    assert "hidden" not in str(problems)


def test_limits_are_set_by_route_and_domain_and_only_direct_routes_have_one_by_themselves(
    tmp_path: Path,
) -> None:
    data = _with("tenants/cascade/mail/domain_limits", {"gmail.com": {"per_s": 5}})
    routes = data["tenants"]["cascade"]["mail"]["routes"]
    routes["visp"]["per_s"] = 50
    routes["own"] = {"kind": "direct"}
    assert route_limits(_load(tmp_path, data).app) == {
        (1, "visp"): RouteLimits(50, {"gmail.com": 5}),
        (1, "own"): RouteLimits(None, {EVERYBODY: DIRECT_PER_S, "gmail.com": 5}),
    }


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    data = _with("tenants/cascade/time_zone", "Mars/Base")
    data["colour"] = "red"
    data["http"] = {"port": 0}
    data["tenants"]["cascade"]["brand"]["support_email"] = "nobody"
    assert set(_problems(tmp_path, data)) == {
        "tenants.cascade.time_zone",
        "colour",
        "http.port",
        "tenants.cascade.brand.support_email",
    }


def test_every_missing_variable_is_told_at_once_with_the_setting_that_names_it(tmp_path: Path) -> None:
    data = _with("database", ...)
    assert set(_problems(tmp_path, data, {})) == {
        "database",
        "keys_env",
        "slack.signing_secret_env",
        "tenants.cascade.slack.bot_token_env",
        "tenants.cascade.mail.routes.visp.password_env",
    }


def test_an_empty_signing_secret_is_a_missing_one(tmp_path: Path) -> None:
    problems = _problems(tmp_path, GOOD, {**ENV, "ISPBOT_SLACK_SIGNING_SECRET": ""})
    assert list(problems) == ["slack.signing_secret_env"]


def test_keys_that_cannot_be_used_are_told_without_showing_them(tmp_path: Path) -> None:
    problems = _problems(tmp_path, GOOD, {**ENV, "ISPBOT_KEYS": "1:short-secret"})
    assert "too short" in problems["environment variable ISPBOT_KEYS"]
    assert "short-secret" not in str(problems)


PASTED: dict[str, Any] = {
    "tenants/cascade/slack/bot_token_env": TOKEN,
    "tenants/cascade/mail/routes/visp/password_env": PASSWORD,
    "keys_env": "1:a secret of sufficient length",
    "database_env": "postgresql://u:hunter2@db/x",
    "slack": {"signing_secret_env": "0123456789abcdef"},
}


@pytest.mark.parametrize("setting", PASTED)
def test_a_secret_pasted_where_a_name_belongs_is_refused_and_not_repeated(
    tmp_path: Path, setting: str
) -> None:
    pasted = PASTED[setting]
    problems = _problems(tmp_path, _with(setting, pasted))
    (sentence,) = problems.values()
    assert "name an environment variable" in sentence
    secret = pasted if isinstance(pasted, str) else pasted["signing_secret_env"]
    assert secret not in str(problems)


@pytest.mark.parametrize(
    ("what", "path", "same"),
    [
        ("id", "id", 1),
        ("slack.team_id", "slack/team_id", "T_CASCADE"),
        ("mail.envelope_domain", "mail/envelope_domain", "Mail.Cascade.Example"),
    ],
)
def test_two_tenants_share_no_identity(tmp_path: Path, what: str, path: str, same: Any) -> None:
    data = copy.deepcopy(GOOD)
    other = copy.deepcopy(TENANT)
    other["id"], other["slack"]["team_id"], other["mail"]["envelope_domain"] = 2, "T_RIO", "mail.rio.example"
    data["tenants"]["rio"] = other
    _load(tmp_path, data)
    *parents, last = path.split("/")
    node = other
    for name in parents:
        node = node[name]
    node[last] = same
    assert list(_problems(tmp_path, data).values()) == [f"two tenants have the same {what}"]


def test_a_key_that_stands_twice_is_an_error_with_its_line(tmp_path: Path) -> None:
    text = yaml.safe_dump(GOOD) + "public_url: https://other.example\n"
    ((where, sentence),) = _problems(tmp_path, text).items()
    assert where == f"line {len(text.splitlines())}"
    assert "'public_url' stands there twice" in sentence


def test_off_is_a_word(tmp_path: Path) -> None:
    text = yaml.safe_dump(_with("tenants/cascade/mail/send_mode", "PLACEHOLDER"))
    config = _load(tmp_path, text.replace("PLACEHOLDER", "off"))
    assert config.app.tenants["cascade"].mail.send_mode == "off"


@pytest.mark.parametrize("word", ["yes", "true", "on"])
def test_a_switch_takes_the_words_that_people_write(tmp_path: Path, word: str) -> None:
    data = _with("tenants/cascade/mail/use_remote_mail_server", "PLACEHOLDER")
    data["tenants"]["cascade"]["mail"]["remote_route"] = "visp"
    assert (
        _load(tmp_path, yaml.safe_dump(data).replace("PLACEHOLDER", word))
        .app.tenants["cascade"]
        .mail.use_remote_mail_server
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just words",
        "- a list",
        "a: [",
        "? [x]\n: y\n",
        "a: *nothing",
        "!!python/object:os.system {}",
        "\t",
    ],
)
def test_what_is_no_settings_file_at_all_is_told(tmp_path: Path, text: str) -> None:
    (sentence,) = _problems(tmp_path, text).values()
    assert sentence.startswith("is ")


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems, match="cannot be read"):
        load_config(tmp_path / "nowhere.yaml", ENV)
    (tmp_path / "app.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigProblems, match="is not UTF-8"):
        load_config(tmp_path / "app.yaml", ENV)


def test_escalations_go_to_one_plain_address_and_link_to_a_web_page(tmp_path: Path) -> None:
    wanted = {"address": "success@visp.example", "ticket_url": "https://support.visp.example/new"}
    config = load(tmp_path, tenants={"cascade": tenant() | {"escalation": wanted}})
    profile = profile_of(config, "cascade", config.app.tenants["cascade"])
    assert profile.escalation == EscalationProfile(**wanted)
    for wrong in (
        {"address": "Success <success@visp.example>"},
        {"address": "a@b.example", "ticket_url": "https://x.example/<!channel>"},
        {"ticket_url": "https://x.example"},
    ):
        with pytest.raises(ConfigProblems) as problems:
            load(tmp_path, tenants={"cascade": tenant() | {"escalation": wrong}})
        assert problems.value.problems[0][0].startswith("tenants.cascade.escalation")


BOX = {
    "address": "bounces@mail.cascade.example",
    "host": "imap.example.net",
    "username": "bounces",
    "password_env": "CASCADE_BOUNCES",
}
MAILBOX = "tenants/cascade/mail/bounce_mailbox"


def test_a_mailbox_of_bounces_is_in_the_envelope_and_its_password_in_no_repr(tmp_path: Path) -> None:
    config = _load(tmp_path, _with(MAILBOX, BOX), {**ENV, "CASCADE_BOUNCES": "hunter2"})
    (route,) = routes_of(config, "cascade", config.app.tenants["cascade"])
    assert route.mailbox == "bounces"
    (box,) = mailboxes_of(config)
    assert (box.host, box.port, box.tls, box.password) == ("imap.example.net", 993, "implicit", "hunter2")
    assert "hunter2" not in f"{config!r} {box!r} {config.secrets!r}"
    assert mailboxes_of(_load(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"address": "bounces@elsewhere.example"}, "has to be at envelope_domain"),
        ({"address": "a-mailbox-too-long@mail.cascade.example"}, "at most 15"),
        ({"address": "Bounces@mail.cascade.example"}, "small letters"),
        ({"tls": "off"}, "a password needs tls"),
        ({"done": "INBOX"}, "another folder"),
        ({"password_env": "hunter2"}, "name an environment variable"),
        ({}, "CASCADE_BOUNCES is not set"),
    ],
)
def test_a_mailbox_that_could_not_work_is_refused(tmp_path: Path, change: dict[str, str], words: str) -> None:
    problems = _problems(tmp_path, _with(MAILBOX, {**BOX, **change}))
    assert words in " ".join(problems.values())
    assert "hunter2" not in " ".join(problems.values())
