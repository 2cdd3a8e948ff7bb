"""The section `uisp` of app.yaml: what it needs, what it refuses, and that its secrets are never shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.config import Config, ConfigProblems, load_config
from bot.wiring import open_billing, open_store, profile_of, remote_of
from tests.unit.bot.deployment import ENVIRON, tenant, write

SECRET = "s3cretS3cretS3cretS3cret"
KEYS = ENVIRON | {"UISP_KEY": "the app key", "UISP_HOOK": SECRET}
UISP: dict[str, Any] = {
    "url": "https://uisp.example.net/",
    "app_key_env": "UISP_KEY",
    "webhook_secret_env": "UISP_HOOK",
}


def _load(home: Path, environ: dict[str, str] = KEYS, **changed: Any) -> Config:
    own = tenant() | {"billing": "uisp", "uisp": UISP | changed}
    return load_config(write(home, tenants={"cascade": own}), environ)


def _problems(home: Path, environ: dict[str, str] = KEYS, **changed: Any) -> dict[str, str]:
    with pytest.raises(ConfigProblems) as told:
        _load(home, environ, **changed)
    return dict(told.value.problems)


def test_a_server_or_its_api_may_be_named(tmp_path: Path) -> None:
    config = _load(tmp_path, suspension_reason=3, sync_minutes=5)
    remote = remote_of(config, "cascade", config.app.tenants["cascade"])
    assert remote.url == "https://uisp.example.net/crm/api/v1.0"
    assert (remote.app_key, remote.webhook_secret) == ("the app key", SECRET)
    assert (remote.catch_up_every, remote.read_all_every) == (timedelta(minutes=5), timedelta(days=1))
    assert (remote.suspension_reason, remote.suspends_by_itself) == (3, True)
    named = _load(tmp_path, url="https://host.example/api/v1.0/")
    assert named.app.tenants["cascade"].uisp is not None
    assert named.app.tenants["cascade"].uisp.api == "https://host.example/api/v1.0"


def test_no_secret_is_shown(tmp_path: Path) -> None:
    config = _load(tmp_path)
    shown = repr(config) + repr(remote_of(config, "cascade", config.app.tenants["cascade"]))
    assert "the app key" not in shown
    assert SECRET not in shown


async def test_uisp_is_opened_for_whom_it_is_set_up(tmp_path: Path) -> None:
    config = _load(tmp_path)
    store = open_store(config)
    system = open_billing(config, store)[1]
    assert system.acts_by_itself
    await system.close()
    await store.close()


@pytest.mark.parametrize(
    ("changed", "path", "words"),
    [
        ({"url": "http://uisp.example.net"}, "uisp.url", "use https://"),
        ({"url": "uisp.example.net"}, "uisp.url", "pattern"),
        ({"app_key_env": "the key itself"}, "uisp.app_key_env", "never the secret itself"),
        ({"webhook_secret_env": "so so"}, "uisp.webhook_secret_env", "never the secret itself"),
        ({"sync_minutes": 0}, "uisp.sync_minutes", "greater than or equal to 1"),
        ({"colour": 1}, "uisp.colour", "is not a setting that exists"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(
    tmp_path: Path, changed: dict[str, Any], path: str, words: str
) -> None:
    assert words in _problems(tmp_path, **changed)[f"tenants.cascade.{path}"]


def test_secrets_that_are_missing_or_too_short_are_named_by_their_variable(tmp_path: Path) -> None:
    missing = _problems(tmp_path, ENVIRON)
    assert "UISP_KEY is not set" in missing["tenants.cascade.uisp.app_key_env"]
    assert "UISP_HOOK is not set" in missing["tenants.cascade.uisp.webhook_secret_env"]
    short = _problems(tmp_path, KEYS | {"UISP_HOOK": "short"})
    assert "at least 24" in short["tenants.cascade.uisp.webhook_secret_env"]
    assert "short" not in short["tenants.cascade.uisp.webhook_secret_env"]


def test_two_providers_never_share_the_secret_of_their_webhooks(tmp_path: Path) -> None:
    uisp = {"billing": "uisp", "uisp": UISP}
    both = {"cascade": tenant() | uisp, "rio": tenant("rio", 2) | uisp}
    with pytest.raises(ConfigProblems) as told:
        load_config(write(tmp_path, tenants=both), KEYS)
    assert "another tenant has the same secret" in dict(told.value.problems).values()


@pytest.mark.parametrize(
    ("link", "right"),
    [
        ("https://billing.example/clients/{account}", True),
        ("https://billing.example/", True),
        ("billing.example/{account}", False),
        ("https://billing.example/{name}", False),
        ("https://billing.example/|<!channel>", False),
    ],
)
def test_a_link_to_billing_has_the_account_in_it_and_no_markup(
    tmp_path: Path, link: str, right: bool
) -> None:
    path = write(tmp_path, tenants={"cascade": tenant() | {"billing_link": link}})
    if right:
        config = load_config(path, KEYS)
        assert profile_of(config, "cascade", config.app.tenants["cascade"]).billing_link == link
    else:
        with pytest.raises(ConfigProblems) as told:
            load_config(path, KEYS)
        assert [where for where, _ in told.value.problems] == ["tenants.cascade.billing_link"]


def test_a_link_is_for_data_from_files_only(tmp_path: Path) -> None:
    own = tenant() | {"billing": "uisp", "uisp": UISP, "billing_link": "https://billing.example/"}
    with pytest.raises(ConfigProblems, match="billing_link is for data from files"):
        load_config(write(tmp_path, tenants={"cascade": own}), KEYS)


def test_the_section_and_the_name_go_together(tmp_path: Path) -> None:
    for own in (tenant() | {"billing": "uisp"}, tenant() | {"uisp": UISP}):
        with pytest.raises(ConfigProblems) as told:
            load_config(write(tmp_path, tenants={"cascade": own}), KEYS)
        ((path, sentence),) = told.value.problems
        assert path == "tenants.cascade"
        assert "uisp" in sentence
