"""Message templates: sandboxed Jinja, pinned by the SHA-256 of their content.

A notification stores the hash and the frozen context, so that a resend or a proof renders what was sent,
also after the template has changed. Files: NAME.LANGUAGE.subject, .txt and .html (e-mail) and .sms (text)
beside this module; a message that never goes by one of the two has no files for it. What several share
stands in parts/ and is put in when a file is read: what is pinned is whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
_INCLUDE = re.compile(r"\{# include (parts/[a-z.]+) #\}")
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
    sms: Template


def content_hash(subject: str, text: str, html: str, sms: str = "") -> str:
    parts = (subject, text, html, sms) if sms else (subject, text, html)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


@lru_cache(maxsize=64)
def load(name: str, language: str) -> TemplateSource:
    """The current template in this language, else in English; TemplateProblem when there is none."""
    for candidate in (language, language.split("-")[0], FALLBACK_LANGUAGE):
        parts = [_part(name, candidate, part) for part in ("subject", "txt", "html", "sms")]
        if any(parts):
            subject, text, html, sms = parts
            digest = content_hash(subject, text, html, sms)
            return TemplateSource(digest, name, candidate, subject, text, html, sms)
    raise TemplateProblem(f"There is no template {name}.")


def _part(name: str, language: str, part: str) -> str:
    file = _HERE / f"{name}.{language}.{part}"
    if not file.is_file():
        return ""
    text = file.read_text("utf-8").strip() + "\n"
    return _INCLUDE.sub(lambda found: (_HERE / found[1]).read_text("utf-8").strip(), text)


@lru_cache(maxsize=256)
def _compile(source: TemplateSource) -> _Compiled:
    return _Compiled(
        _text.from_string(source.subject),
        _text.from_string(source.text),
        _html.from_string(source.html),
        _text.from_string(source.sms),
    )


def render(source: TemplateSource, context: Mapping[str, Any]) -> Rendered:
    """The e-mail's parts. TemplateProblem names what is missing; no hole is ever rendered as nothing."""
    if not source.text:
        raise TemplateProblem(f"Template {source.name}.{source.language} has no e-mail.")
    with _problems_of(source):
        compiled = _compile(source)
        return Rendered(
            compiled.subject.render(context), compiled.text.render(context), compiled.html.render(context)
        )


def render_sms(source: TemplateSource, context: Mapping[str, Any]) -> str:
    """The text message, line ends around it trimmed. TemplateProblem as for `render`."""
    if not source.sms:
        raise TemplateProblem(f"Template {source.name}.{source.language} has no text message.")
    with _problems_of(source):
        return _compile(source).sms.render(context).strip()


@contextmanager
def _problems_of(source: TemplateSource) -> Iterator[None]:
    try:
        yield
    except TemplateError as error:
        raise TemplateProblem(f"Template {source.name}.{source.language}: {error.message}.") from error
    except Exception as error:  # whatever a template does wrong is that template's problem
        kind = type(error).__name__
        raise TemplateProblem(f"Template {source.name}.{source.language} failed: {kind}.") from error
