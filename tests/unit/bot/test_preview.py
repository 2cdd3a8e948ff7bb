"""`ispbot notify preview`, and own templates from app.yaml to what is queued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot import cli
from bot.config import ConfigProblems
from bot.wiring import profile_of
from tests.unit.bot.deployment import load, settings, tenant, write


def told(tmp_path: Path, *words: str, code: int = 0, **own: str) -> str:
    """What it prints; `own` by file name with `__` for a dot."""
    cascade = tenant()
    if own:
        (tmp_path / "mine").mkdir(exist_ok=True)
        for name, text in own.items():
            (tmp_path / "mine" / name.replace("__", ".")).write_text(text, "utf-8")
        cascade["templates"] = "mine"
    path = write(tmp_path, tenants={"cascade": cascade})
    result = CliRunner().invoke(cli.app, ["notify", "preview", "--config", str(path), *words])
    assert result.exit_code == code, result.output
    return result.output


def test_the_list_tells_every_message_in_every_language_and_whose_it_is(tmp_path: Path) -> None:
    table = told(tmp_path, overdue__es__sms="{{ brand.name }} {{ link }}")
    assert table.count("invoice_issued") == 2
    assert "is overdue: $49.90" in table
    assert "overdue.es.sms" in table


def test_one_message_is_shown_as_it_would_leave(tmp_path: Path) -> None:
    shown = told(tmp_path, "overdue", "--language", "en", "--sample", "bare")
    assert "Dana Whitfield" in shown
    assert "text, en: 1 segment" in shown
    assert "Pay online" not in shown
    assert "Pay online" in told(tmp_path, "overdue", "--language", "en")


def test_a_page_holds_all_of_them_and_nothing_in_it_can_run(tmp_path: Path) -> None:
    page = tmp_path / "all.html"
    told(tmp_path, "--page", str(page), overdue__en__html="<p>&amp; {{ brand.name }}</p>")
    html = page.read_text("utf-8")
    assert html.count("<iframe sandbox ") == html.count("<iframe") == 40
    assert 'srcdoc="&lt;p&gt;&amp;amp; Cascade&lt;/p&gt;' in html
    assert "yours: overdue.en.html" in html


def test_json_has_what_the_table_has(tmp_path: Path) -> None:
    found: list[dict[str, Any]] = json.loads(told(tmp_path, "suspended", "--language", "es", "--json"))
    (one,) = found
    assert (one["name"], one["language"], one["sample"], one["segments"]) == ("suspended", "es", "full", 1)
    assert "<html" in one["html"]


def test_a_directory_can_be_tried_before_it_is_used_and_problems_are_told_with_file_and_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "overdue.en.txt").write_text("Hello\n{% for a in b %}{% endfor %}")
    words = ("--templates", str(tmp_path / "new"))
    assert "cannot have a loop" in told(tmp_path, *words, code=1)
    found = json.loads(told(tmp_path, *words, "--json", code=1))["problems"]
    assert [(p["file"], p["line"]) for p in found] == [("overdue.en.txt", 2)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("overdu",), "There is no template overdu."),
        (("overdue", "--language", "fr"), "There is no template overdue in fr."),
        (("--tenant", "rio"), "There is no provider rio."),
    ],
)
def test_what_is_not_there_is_told_with_what_there_is(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in told(tmp_path, *words, code=2)


def test_several_providers_have_to_be_told_apart(tmp_path: Path) -> None:
    both = {"cascade": tenant(), "rio": tenant("rio", 2)}
    path = write(tmp_path, tenants=both)
    result = CliRunner().invoke(cli.app, ["notify", "preview", "--config", str(path)])
    assert result.exit_code == 2
    assert "--tenant cascade or rio" in result.output


def test_an_app_yaml_that_cannot_be_used_is_told_with_its_paths(tmp_path: Path) -> None:
    path = tmp_path / "app.yaml"
    path.write_text("public_url: https://desk.example.net\n")
    result = CliRunner().invoke(cli.app, ["notify", "preview", "--config", str(path)])
    assert result.exit_code == 2
    assert "tenants: is missing" in result.output


def test_the_product_does_not_start_with_a_template_that_would_fail(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "overdue.en.txt").write_text("{{ invoice.amount }}")
    with pytest.raises(ConfigProblems) as problems:
        load(tmp_path, tenants={"cascade": tenant() | {"templates": "mine"}})
    ((where, sentence),) = problems.value.problems
    assert where == "tenants.cascade.templates"
    assert sentence.startswith("overdue.en.txt: Template overdue.en: ")


def test_own_templates_are_what_the_outbox_writes_with(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "overdue.en.subject").write_text("Please pay {{ invoice.number }}")
    config = load(tmp_path, tenants={"cascade": tenant() | {"templates": "mine"}, "rio": tenant("rio", 2)})
    mine, other = (profile_of(config, key, config.app.tenants[key]).templates for key in ("cascade", "rio"))
    assert mine.load("overdue", "en").subject == "Please pay {{ invoice.number }}\n"
    assert "is overdue" in other.load("overdue", "en").subject
    assert settings(tmp_path)["tenants"]["cascade"].get("templates") is None
