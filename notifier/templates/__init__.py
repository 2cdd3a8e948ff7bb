"""Message templates: sandboxed Jinja, pinned by the SHA-256 of their content.

A notification stores the hash and the frozen context, so that a resend or a proof renders what was sent,
also after the template has changed. Files: NAME.LANGUAGE.subject, .txt and .html beside this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from store.models import TemplateSource

_HERE = Path(__file__).parent
_text = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
_html = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=True, keep_trailing_newline=True)
FALLBACK_LANGUAGE = "en"


class TemplateProblem(Exception):
    """The template cannot be found or rendered; the message names it and what is missing."""


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class _Compiled:
    subject: Template
    text: Template
    html: Template


def content_hash(subject: str, text: str, html: str) -> str:
    return hashlib.sha256("\x00".join((subject, text, html)).encode()).hexdigest()


@lru_cache(maxsize=64)
def load(name: str, language: str) -> TemplateSource:
    """The current template in this language, else in English; TemplateProblem when there is none."""
    for candidate in (language, language.split("-")[0], FALLBACK_LANGUAGE):
        base = _HERE / f"{name}.{candidate}"
        if base.with_name(base.name + ".subject").is_file():
            subject, text, html = (
                base.with_name(f"{base.name}.{part}").read_text("utf-8").strip() + "\n"
                for part in ("subject", "txt", "html")
            )
            digest = content_hash(subject, text, html)
            return TemplateSource(digest, name, candidate, subject, text, html)
    raise TemplateProblem(f"There is no template {name}.")


@lru_cache(maxsize=256)
def _compile(source: TemplateSource) -> _Compiled:
    return _Compiled(
        _text.from_string(source.subject), _text.from_string(source.text), _html.from_string(source.html)
    )


def render(source: TemplateSource, context: Mapping[str, Any]) -> Rendered:
    """TemplateProblem names what is missing; nothing is ever rendered as an empty hole."""
    try:
        compiled = _compile(source)
        return Rendered(
            compiled.subject.render(context), compiled.text.render(context), compiled.html.render(context)
        )
    except TemplateError as error:
        raise TemplateProblem(f"Template {source.name}.{source.language}: {error.message}.") from error
    except Exception as error:  # whatever a template does wrong is that template's problem
        kind = type(error).__name__
        raise TemplateProblem(f"Template {source.name}.{source.language} failed: {kind}.") from error
