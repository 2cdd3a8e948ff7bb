"""A provider's own templates: what is allowed, what is refused and where, and that each sample renders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from handlers.profile import Brand
from notifier.sample_kinds import Sample
from notifier.templates import Templates, built_in, built_in_names
from notifier.templates.own import LONGEST_FILE, OwnProblem, check_own, languages, read_own
from notifier.templates.samples import FAMILIES, sample, samples_of

BRAND = Brand("Cascade Fiber", "help@cascade.example", "541-555-0100")
SMS = "{{ brand.name }}: {{ invoice.number }} {{ link }} STOP"


def problems(**own: str) -> list[str]:
    """By file name with `__` for a dot."""
    named = {name.replace("__", "."): text for name, text in own.items()}
    return [str(problem) for problem in check_own(named, BRAND, "en_US")]


def test_ours_pass_their_own_check_and_can_be_copied_as_a_start() -> None:
    assert check_own({}, BRAND, "en_US") == []
    mine = {n: built_in(n) for n in built_in_names() if n.startswith("parts/") or n.split(".")[0] in FAMILIES}
    assert check_own(mine, BRAND, "en_US") == []


def test_one_part_of_one_language_may_be_ones_own() -> None:
    assert problems(overdue__es__sms="{{ brand.name }}: {% if link is defined %}{{ link }}{% endif %}") == []
    assert (
        problems(overdue__en__subject="{% set n = invoice.number %}{{ n | upper }} of {{ brand.name }}") == []
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{% for a in 'ab' %}{{ a }}{% endfor %}", "cannot have a loop"),
        ("{{ 9 * 9 }}", "cannot have arithmetic"),
        ("{{ brand.name.lower() }}", "cannot have a call"),
        ("{{ brand['name'] }}", "cannot have an index"),
        ("{% include 'parts/foot.en.txt' %}", "cannot have {% include %}"),
        ("{% macro a() %}{% endmacro %}", "cannot have a macro"),
        ("{% set a %}x{% endset %}", "cannot have {% set %} around a text"),
        ("{{ [1, 2] }}", "cannot have list"),
        ("{{ brand.name | safe }}", "The filters are"),
        ("{{ brand.name is string }}", "The only test is"),
        ("{% set a = link %}{% set b = a ~ a %}{{ b }}", "cannot use what another one has set"),
        ("{{ brand._name }}", "There is no _name"),
        ("{{ brand.name ", "line 1"),
        ("a\x07b", "control character"),
        ("a\u202eb", "control character"),
        ("   ", "It is empty"),
        ("{# include parts/fot.en.txt #}", "Did you mean parts/foot.en.txt?"),
        ("{# include parts/../../../etc/passwd.en.txt #}", "Write it as {# include"),
        ("{#include parts/foot.en.txt#}", "Write it as {# include"),
    ],
)
def test_what_is_not_allowed_is_named_with_its_place(text: str, told: str) -> None:
    (problem,) = problems(overdue__en__txt=text)
    assert problem.startswith("overdue.en.txt")
    assert told in problem


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ("txt", "{{ nothing }}", "nothing"),
        ("txt", "{{ invoice.amount }}", "amount"),
        ("txt", "{{ link }}", "Tried with the sample `bare`"),
        ("txt", "{% if invoice.paid %}{% else %}due{% endif %}", "Tried with the sample `paid`"),
        ("subject", "a\nb", "A subject is one line"),
        ("subject", "x" * 201, "A subject is one line"),
        (
            "html",
            "<p>" + "x" * 99_990 + "</p>{# include parts/head.html #}{# include parts/foot.en.html #}",
            "",
        ),
        ("sms", "Pay {{ invoice.due }}", "It needs {{ link }}"),
        ("sms", "{{ link }}" + "x" * 1600, "A text has at most 1,600"),
    ],
)
def test_each_sample_is_tried_before_anybody_gets_it(part: str, text: str, told: str) -> None:
    found = problems(**{f"overdue__en__{part}": text})
    assert len(found) == 1
    assert found[0].startswith(f"overdue.en.{part}")
    assert told in found[0]


def test_a_script_is_refused_with_its_line() -> None:
    (problem,) = problems(overdue__en__html="<p>\n<script>alert(1)</script>")
    assert problem == "overdue.en.html, line 2: Mail programs drop <script: take it out."
    assert "onclick" in problems(overdue__en__html="<p onclick='x'>")[0]


def test_a_part_is_tried_in_all_that_include_it() -> None:
    found = problems(**{"parts/foot__en__txt": "{{ invoice.number }}"})
    assert {problem.split(":")[0] for problem in found} == {"suspended.en.txt", "unsuspended.en.txt"}
    assert problems(**{"parts/foot__en__txt": "{# include parts/head.html #}"}) == [
        "parts/foot.en.txt, line 1: A part cannot include another part."
    ]


def test_a_new_language_needs_all_its_parts() -> None:
    (problem,) = problems(overdue__fr__sms=SMS)
    assert problem == (
        "overdue.fr.*: In a language that we do not have, it needs overdue.fr.subject, overdue.fr.txt, "
        "overdue.fr.html too."
    )
    whole = {
        "overdue.fr.sms": SMS,
        "overdue.fr.subject": "Facture {{ invoice.number }}",
        "overdue.fr.txt": "Bonjour {{ subscriber.name }}\n\n{# include parts/foot.fr.txt #}",
        "overdue.fr.html": "<p>Bonjour {{ subscriber.name }}</p>",
        "parts/foot.fr.txt": "{{ brand.support_email }}",
    }
    assert check_own(whole, BRAND, "en_US") == []
    assert languages(whole) == ["en", "es", "fr"]
    assert Templates(whole).load("overdue", "fr-CA").language == "fr"


def test_a_directory_is_read_by_names_and_what_stands_for_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    files = {
        "overdue.es.txt": "\ufeffHola",
        "parts/head.html": "<html>",
        ".git": "no file of anybody's",
        "overdue.es.txt~": "an editor's copy",
        "overdu.es.txt": "a slip",
        "oncall.en.sms": "ours",
        "overdue.klingon.txt": "no language",
        "README.md": "a word about it",
        "resend.en.txt": "x" * (LONGEST_FILE + 1),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "reminder.en.txt").write_bytes(b"\xff\xfe")
    own, found = read_own(tmp_path)
    assert own == {"overdue.es.txt": "Hola", "parts/head.html": "<html>"}
    told = {problem.file: problem.sentence for problem in found}
    assert set(told) == {
        "overdu.es.txt",
        "oncall.en.sms",
        "overdue.klingon.txt",
        "README.md",
        "resend.en.txt",
        "reminder.en.txt",
    }
    assert "Did you mean overdue.es.txt?" in told["overdu.es.txt"]
    assert "stays ours" in told["oncall.en.sms"]
    assert "no language" in told["overdue.klingon.txt"]
    assert "UTF-8" in told["reminder.en.txt"]
    assert read_own(tmp_path / "nowhere")[1] == [
        OwnProblem(str(tmp_path / "nowhere"), None, "There is no such directory.")
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "overdue.en.txt").write_text("x")
    (tmp_path / "overdue.en.txt").chmod(0)
    assert "cannot be read" in str(read_own(tmp_path)[1][0])


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_are_of_the_providers_brand_and_bare_has_no_telephone(name: str) -> None:
    for which in samples_of(name):
        brand = sample(name, "en", BRAND, "en_US", which)["brand"]
        assert isinstance(brand, dict)
        assert brand["name"] == "Cascade Fiber"
        assert bool(brand["support_phone"]) == (which is not Sample.BARE)
