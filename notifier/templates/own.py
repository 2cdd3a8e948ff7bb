"""Templates that a provider owns: read from a directory, and held to what ours keep by themselves.

A file has the name of one of ours (`overdue.es.txt`, `parts/foot.en.html`), or of one in another language.
What is allowed in it is a list, not what is left over: facts, conditions, a few filters. No loop, no
arithmetic and no call can make a message that takes for ever or fills the memory. Each template is rendered
with every sample before the product starts, so that no hole is found by a subscriber.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import TemplateSyntaxError, nodes
from rapidfuzz import process

from notifier.contexts import Brand
from notifier.sms_text import LONGEST_TEXT
from notifier.templates import (
    FALLBACK_LANGUAGE,
    INCLUDE,
    PARTS,
    TemplateProblem,
    Templates,
    built_in_names,
    parse,
    render_part,
)
from notifier.templates.samples import FAMILIES, INVOICE, sample, samples_of, text_sample
from store.models import NotificationKind

LONGEST_FILE: Final = 100_000
"""Octets."""
LONGEST_HTML: Final = 102_400
"""Octets; Gmail cuts what is longer and hides the rest behind a link."""
LONGEST_SUBJECT: Final = 200
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_ACTIVE: Final = re.compile(r"<\s*(script|iframe|object|embed|form)\b|\son[a-z]+\s*=", re.IGNORECASE)
_INCLUDES: Final = re.compile(r"\{#-?\s*include\b.*?#\}")
_FILTERS: Final = frozenset({"capitalize", "default", "d", "e", "escape", "lower", "title", "trim", "upper"})
_ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Not,
    nodes.And,
    nodes.Or,
    nodes.Compare,
    nodes.Operand,
    nodes.Concat,
    nodes.Filter,
    nodes.Test,
    nodes.Assign,
)
_NAMED: Final[Mapping[type[nodes.Node], str]] = {
    nodes.For: "a loop",
    nodes.Call: "a call",
    nodes.Macro: "a macro",
    nodes.Include: "{% include %} (write {# include parts/NAME #})",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% import %}",
    nodes.Extends: "{% extends %}",
    nodes.Block: "{% block %}",
    nodes.BinExpr: "arithmetic",
    nodes.AssignBlock: "{% set %} around a text",
    nodes.Getitem: "an index",
}


@dataclass(frozen=True, slots=True)
class OwnProblem:
    """What is wrong with a provider's file, in a sentence; `line` from 1, None for the whole of it."""

    file: str
    line: int | None
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}{f', line {self.line}' if self.line else ''}: {self.sentence}"


def own_of(directory: Path, brand: Brand, locale: str) -> tuple[dict[str, str], list[OwnProblem]]:
    """The files of a directory, and all that is wrong with them; they are tried once all can be read."""
    own, unread = read_own(directory)
    return own, unread or check_own(own, brand, locale)


def read_own(directory: Path) -> tuple[dict[str, str], list[OwnProblem]]:
    """The files of a directory by their names; what cannot be read or is none of ours is a problem."""
    if not directory.is_dir():
        return {}, [OwnProblem(str(directory), None, "There is no such directory.")]
    own: dict[str, str] = {}
    problems: list[OwnProblem] = []
    for file in sorted(directory.rglob("*")):
        name = file.relative_to(directory).as_posix()
        if file.is_dir() or any(part.startswith(".") for part in name.split("/")) or name.endswith("~"):
            continue
        if sentence := _misnamed(name):
            problems.append(OwnProblem(name, None, sentence))
            continue
        try:
            if file.stat().st_size > LONGEST_FILE:
                problems.append(OwnProblem(name, None, f"It is longer than {LONGEST_FILE:,} octets."))
                continue
            own[name] = file.read_text("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError:
            problems.append(OwnProblem(name, None, "It is not UTF-8 text: save it as UTF-8."))
        except OSError as error:
            problems.append(OwnProblem(name, None, f"It cannot be read: {error.strerror}."))
    return own, problems


def check_own(own: Mapping[str, str], brand: Brand, locale: str) -> list[OwnProblem]:
    """Everything that is wrong with these files; empty: they may be sent."""
    problems = [problem for name in sorted(own) for problem in _check_file(name, own[name])]
    problems += _incomplete(own)
    # What cannot be read cannot be tried either: one mistake is told once.
    return problems or list(_try_all(own, brand, locale))


def languages(own: Mapping[str, str]) -> list[str]:
    """Those of ours and of these files."""
    found = (name.rsplit("/", 1)[-1].split(".") for name in (*built_in_names(), *own))
    return sorted({parts[1] for parts in found if len(parts) == 3})


def _misnamed(name: str) -> str:
    """Why a file of this name would never be used; empty where it is."""
    folder, _, last = name.rpartition("/")
    if folder == "parts" and name in built_in_names():
        return ""
    pieces = last.split(".")
    if folder not in ("", "parts") or len(pieces) != 3 or pieces[2] not in PARTS:
        return f"Name it NAME.LANGUAGE.{'|'.join(PARTS)}, such as overdue.es.txt.{_close(name)}"
    if not _LANGUAGE.fullmatch(pieces[1]):
        return f"{pieces[1]} is no language: write en, es, pt-BR."
    if f"{folder}/{pieces[0]}.{FALLBACK_LANGUAGE}.{pieces[2]}".lstrip("/") not in built_in_names():
        return f"There is none of ours that it would stand in for.{_close(name)}"
    if not folder and pieces[0] not in FAMILIES:
        return "What it says is not written to subscribers, and stays ours."
    return ""


def _close(name: str) -> str:
    ours = sorted(n for n in built_in_names() if n.startswith("parts/") or n.split(".")[0] in FAMILIES)
    close = process.extractOne(name, ours, score_cutoff=70)
    return f" Did you mean {close[0]}?" if close else ""


def _check_file(name: str, text: str) -> Iterator[OwnProblem]:
    if not text.strip():
        yield OwnProblem(name, None, "It is empty: delete it to have ours again.")
        return
    for place, line in enumerate(text.splitlines(), 1):
        if _CONTROL.search(line):
            yield OwnProblem(name, place, "There is a control character in it.")
        for comment in _INCLUDES.findall(line):
            if not INCLUDE.fullmatch(comment):  # else it would be a comment, and nothing would be put in
                yield OwnProblem(name, place, "Write it as {# include parts/foot.en.txt #}.")
        for part in INCLUDE.findall(line):
            if name.startswith("parts/"):
                yield OwnProblem(name, place, "A part cannot include another part.")
            elif _misnamed(part):
                close = process.extractOne(part, sorted(built_in_names()), score_cutoff=60)
                hint = f" Did you mean {close[0]}?" if close else ""
                yield OwnProblem(name, place, f"There is no {part}.{hint}")
        if name.endswith(".html") and (found := _ACTIVE.search(line)):
            yield OwnProblem(name, place, f"Mail programs drop {found[0].strip()}: take it out.")
    try:
        tree = parse(text)
    except TemplateSyntaxError as error:
        yield OwnProblem(name, error.lineno, f"{error.message}.")
        return
    yield from _forbidden(name, tree)


def _forbidden(name: str, tree: nodes.Template) -> Iterator[OwnProblem]:
    own = {node.target.name for node in tree.find_all(nodes.Assign) if isinstance(node.target, nodes.Name)}
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            what = next((words for kind, words in _NAMED.items() if isinstance(node, kind)), "")
            what = what or f"{type(node).__name__.lower()}"
            yield OwnProblem(name, node.lineno, f"A template cannot have {what}.")
        elif isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            yield OwnProblem(name, node.lineno, f"The filters are {', '.join(sorted(_FILTERS))}.")
        elif isinstance(node, nodes.Test) and node.name != "defined":
            yield OwnProblem(name, node.lineno, "The only test is `is defined`.")
        elif isinstance(node, nodes.Assign) and any(
            inner.name in own for inner in node.node.find_all(nodes.Name)
        ):
            # Each could double the one before.
            yield OwnProblem(name, node.lineno, "{% set %} cannot use what another one has set.")
        elif isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            yield OwnProblem(name, node.lineno, f"There is no {node.attr}.")


def _incomplete(own: Mapping[str, str]) -> Iterator[OwnProblem]:
    """In a language that we do not have, a template needs all its files: English cannot fill a hole in it."""
    for name in sorted({tuple(n.split(".")[:2]) for n in own if not n.startswith("parts/")}):
        template, language = name
        if any(f"{template}.{language}.{part}" in built_in_names() for part in PARTS):
            continue
        needed = [p for p in PARTS if f"{template}.{FALLBACK_LANGUAGE}.{p}" in built_in_names()]
        missing = [f"{template}.{language}.{p}" for p in needed if f"{template}.{language}.{p}" not in own]
        if missing:
            sentence = f"In a language that we do not have, it needs {', '.join(missing)} too."
            yield OwnProblem(f"{template}.{language}.*", None, sentence)


def _try_all(own: Mapping[str, str], brand: Brand, locale: str) -> Iterator[OwnProblem]:
    templates = Templates(own)
    for name in FAMILIES:
        for language in languages(own):
            if templates.load(name, language).language != language:
                continue  # another language's stands in for it, and is tried as that
            yield from _try(templates, name, language, brand, locale)


def _try(
    templates: Templates, name: NotificationKind, language: str, brand: Brand, locale: str
) -> Iterator[OwnProblem]:
    source = templates.load(name, language)
    told: set[str] = set()
    for which in samples_of(name):
        context = sample(name, language, brand, locale, which)
        for part, text in zip(PARTS, (source.subject, source.text, source.html, source.sms), strict=True):
            file = f"{name}.{language}.{part}"
            if not text or file in told:
                continue
            filled = text_sample(context) if part == "sms" else context
            try:
                rendered = render_part(source, part, filled)
                sentence = _unfit(name, part, rendered, str(filled.get("link", "")))
            except TemplateProblem as problem:
                sentence = str(problem)
            if sentence:
                told.add(file)
                yield OwnProblem(file, None, f"{sentence} (Tried with the sample `{which}`.)")


def _unfit(name: str, part: str, rendered: str, link: str) -> str:
    """Why a rendered part cannot be sent; empty where it can."""
    words = rendered.strip()
    if not words:
        return "It says nothing."
    if part == "subject" and ("\n" in words or len(words) > LONGEST_SUBJECT):
        return f"A subject is one line of at most {LONGEST_SUBJECT} characters."
    if part == "html" and len(rendered.encode()) > LONGEST_HTML:
        return f"It has more than {LONGEST_HTML:,} octets, and Gmail would hide the end."
    if part == "sms":
        if len(words) > LONGEST_TEXT:
            return f"A text has at most {LONGEST_TEXT:,} characters, this one {len(words):,}."
        if name in INVOICE and link not in words:
            return "It needs {{ link }}: without it nobody finds the invoice."
    return ""


__all__ = ["OwnProblem", "check_own", "languages", "own_of", "read_own"]
