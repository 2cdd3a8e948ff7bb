"""`ispbot notify preview`: what subscribers are sent, with invented facts: a list, one message, or a page.

Needs app.yaml and the templates, no database and no secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape as plain
from rich.panel import Panel
from rich.table import Column, Table

from bot.config import TenantConfig
from handlers.reply import UserError
from notifier.sample_kinds import Sample
from notifier.sms_text import count_segments
from notifier.templates import PARTS, Templates, render, render_sms
from notifier.templates.own import OwnProblem, languages, own_of
from notifier.templates.samples import FAMILIES, sample, samples_of, text_sample
from store.models import TemplateSource


@dataclass(frozen=True, slots=True)
class Wanted:
    name: str
    language: str
    sample: Sample
    page: Path | None
    directory: Path | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One message as it would leave; empty where it has no mail or no text."""

    name: str
    language: str
    sample: str
    own: tuple[str, ...]
    """The provider's files in it, parts included."""
    subject: str = ""
    text: str = ""
    html: str = ""
    sms: str = ""
    segments: int = 0


def preview(settings: TenantConfig, home: Path, wanted: Wanted, out: Console) -> bool:
    """False where a file of the provider's is wrong; then the problems are shown, and nothing else.

    `home`: the directory of app.yaml.
    """
    directory = wanted.directory or (home / settings.templates if settings.templates else None)
    own, problems = own_of(directory, settings.brand, settings.locale) if directory else ({}, [])
    if problems:
        _tell_problems(problems, wanted, out)
        return False
    templates = Templates(own)
    shown = list(_all(templates, settings, wanted))
    if not shown:
        raise UserError(
            f"There is no template {wanted.name or 'like that'}"
            + (f" in {wanted.language}." if wanted.language else "."),
            f"There are: {', '.join(FAMILIES)}, in {', '.join(languages(own))}.",
        )
    if wanted.page is not None:
        wanted.page.write_text(page_of(shown, settings.brand.name), "utf-8")
        out.print(f"{len(shown)} messages on {plain(str(wanted.page))}")
    elif wanted.as_json:
        out.print_json(json.dumps([asdict(one) for one in shown]))
    elif wanted.name:
        for one in shown:
            _tell(one, out)
    else:
        _tell_list(shown, out)
    return True


def _all(templates: Templates, settings: TenantConfig, wanted: Wanted) -> Iterator[Shown]:
    for name in FAMILIES:
        for language in languages(templates.own):
            source = templates.load(name, language)
            asked = wanted.name in ("", name) and wanted.language in ("", language)
            if not asked or source.language != language:
                continue
            every = samples_of(name)
            chosen = every if wanted.page else [wanted.sample if wanted.sample in every else Sample.FULL]
            for which in chosen:
                yield _shown(templates, source, settings, which)


def _shown(templates: Templates, source: TemplateSource, settings: TenantConfig, which: Sample) -> Shown:
    context = sample(source.name, source.language, settings.brand, settings.locale, which)
    mail = render(source, context) if source.text else None
    sms = render_sms(source, text_sample(context)) if source.sms else ""
    return Shown(
        name=source.name,
        language=source.language,
        sample=which,
        own=tuple(sorted(_files(templates, source))),
        subject=mail.subject.strip() if mail else "",
        text=mail.text if mail else "",
        html=mail.html if mail else "",
        sms=sms,
        segments=count_segments(sms).count,
    )


def _files(templates: Templates, source: TemplateSource) -> Iterator[str]:
    for part in PARTS:
        name = f"{source.name}.{source.language}.{part}"
        yield from (file for file in (name, *templates.included(name)) if file in templates.own)


def _tell_problems(problems: Sequence[OwnProblem], wanted: Wanted, out: Console) -> None:
    if wanted.as_json:
        out.print_json(json.dumps({"problems": [asdict(problem) for problem in problems]}))
        return
    table = Table(Column("file", no_wrap=True), "line", "what is wrong")
    for problem in problems:
        table.add_row(plain(problem.file), str(problem.line or ""), plain(problem.sentence))
    out.print(table)


def _tell_list(shown: Sequence[Shown], out: Console) -> None:
    table = Table(Column("template", no_wrap=True), "language", "subject, or the text", "segments", "yours")
    for one in shown:
        segments = str(one.segments) if one.sms else ""
        table.add_row(
            one.name, one.language, plain(one.subject or one.sms), segments, plain("\n".join(one.own))
        )
    out.print(table)
    out.print("One of them: ispbot notify preview NAME. All as they look: add --page FILE.html")


_WIDTH: Final = 100
"""A file or a pipe has no width of its own."""


def _tell(one: Shown, out: Console) -> None:
    if one.text:
        out.print(Panel(plain(one.text.strip()), title=plain(one.subject), title_align="left", width=_WIDTH))
    if one.sms:
        count = f"{one.segments} segment{'s' if one.segments != 1 else ''}"
        out.print(
            Panel(plain(one.sms), title=f"text, {one.language}: {count}", title_align="left", width=_WIDTH)
        )
    if one.own:
        out.print(f"Yours: {plain(', '.join(one.own))}")


def page_of(shown: Sequence[Shown], brand: str) -> str:
    """One HTML page; each mail in a frame of its own that runs no script and asks for nothing."""
    names = list(dict.fromkeys(one.name for one in shown))
    links = "".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
    blocks = []
    for name in names:
        articles = "".join(_article(one) for one in shown if one.name == name)
        blocks.append(f'<h2 id="{escape(name)}">{escape(name)}</h2>{articles}')
    style = (Path(__file__).parent / "templates" / "preview.css").read_text("utf-8")
    title = f"What subscribers of {escape(brand)} are sent"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body><main><h1>{title}</h1><p><small>Invented facts. Nothing here was sent.</small></p>"
        f"<nav>{links}</nav>{''.join(blocks)}</main></body></html>\n"
    )


def _article(one: Shown) -> str:
    yours = f" · yours: {escape(', '.join(one.own))}" if one.own else ""
    told = f"<small>{escape(one.language)} · {escape(one.sample)}{yours}</small>"
    subject = f"<strong>{escape(one.subject)}</strong><br>" if one.subject else ""
    frame = (
        f'<iframe sandbox title="{escape(one.subject)}" srcdoc="{escape(one.html)}"></iframe>'
        if one.html
        else ""
    )
    count = f"{one.segments} segment{'s' if one.segments != 1 else ''}"
    sms = f'<p class="text">{escape(one.sms)}</p><small>{count}</small>' if one.sms else ""
    text = (
        f"<details><summary>as plain text</summary><pre>{escape(one.text)}</pre></details>"
        if one.text
        else ""
    )
    beside = f"<div>{sms}{text if one.text else ''}</div>"
    return f"<article><header>{subject}{told}</header><div>{frame}</div>{beside}</article>"
