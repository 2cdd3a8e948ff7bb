"""Message templates: sandboxed Jinja, pinned by the SHA-256 of their content.

A notification stores the hash and the frozen context, so that a resend or a proof renders what was sent,
also after the template has changed. Files: NAME.LANGUAGE.subject, .txt and .html (e-mail) and .sms (text)
beside this module; a message that never goes by one of the two has no files for it. What several share
stands in parts/ and is put in when a file is read: what is pinned is whole. A provider's own files
(`Templates`) stand in for ours one by one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from notifier.mime import Body, Known, body, known_texts
from store.models import TemplateSource

_HERE = Path(__file__).parent
_SPECIAL = re.compile("[&<>\"']")
_OF_DICTS = frozenset(dir(dict))


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox; what a plain dict holds is looked up without the detour over an AttributeError."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute not in _OF_DICTS:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)


_text = _Environment(undefined=StrictUndefined, keep_trailing_newline=True)
_html = _Environment(undefined=StrictUndefined, autoescape=True, keep_trailing_newline=True)
INCLUDE = re.compile(r"\{# include (parts/[a-z.]+) #\}")
PARTS = ("subject", "txt", "html", "sms")
FALLBACK_LANGUAGE = "en"


class TemplateProblem(Exception):
    """The template cannot be found or rendered; the message names it and what is missing."""


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    text: str
    html: str


class MailParts(NamedTuple):
    """An e-mail's parts, the bodies as they are written into it."""

    subject: str
    text: Body
    html: Body


def _escape(value: Any) -> str:
    """markupsafe's, but for plain text with nothing to escape: nearly all values, and it only goes out."""
    return value if type(value) is str and not _SPECIAL.search(value) else escape(value)


class _Part:
    """One compiled part; what of it never changes is encoded for mails once."""

    def __init__(self, environment: _Environment, source: str) -> None:
        self._template: Template = environment.from_string(source)
        # A plain dict: Jinja's chain of maps is walked in Python for each rendering.
        self._template.globals = dict(self._template.globals)
        self._template.root_render_func.__globals__["escape"] = _escape
        code = self._template.root_render_func.__code__
        self._known: Known = known_texts(text for text in code.co_consts if isinstance(text, str))

    def text(self, context: Mapping[str, Any]) -> str:
        return "".join(self._pieces(context))

    def body(self, context: Mapping[str, Any]) -> Body:
        return body(self._pieces(context), self._known)

    def _pieces(self, context: Mapping[str, Any]) -> list[str]:
        template = self._template
        return list(template.root_render_func(template.new_context(dict(context))))


@dataclass(frozen=True, slots=True)
class _Compiled:
    subject: _Part
    text: _Part
    html: _Part
    sms: _Part


def content_hash(subject: str, text: str, html: str, sms: str = "") -> str:
    parts = (subject, text, html, sms) if sms else (subject, text, html)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


class Templates:
    """What one provider sends: its own files by their names (`overdue.es.txt`, `parts/foot.es.txt`), ours
    for whatever it has none of. Read once: a new file counts from the next start.
    """

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self.own: Mapping[str, str] = dict(own or {})
        self._kept = lru_cache(maxsize=64)(self._load)

    def load(self, name: str, language: str) -> TemplateSource:
        """The current template in this language, else in English; TemplateProblem when there is none."""
        return self._kept(name, language)

    def _load(self, name: str, language: str) -> TemplateSource:
        for candidate in (language, language.split("-")[0], FALLBACK_LANGUAGE):
            subject, text, html, sms = (self._part(name, candidate, part) for part in PARTS)
            if subject or text or html or sms:
                digest = content_hash(subject, text, html, sms)
                return TemplateSource(digest, name, candidate, subject, text, html, sms)
        raise TemplateProblem(f"There is no template {name}.")

    def _part(self, name: str, language: str, part: str) -> str:
        text = self._file(f"{name}.{language}.{part}")
        return INCLUDE.sub(lambda found: self._file(found[1]).strip(), text)

    def included(self, name: str) -> list[str]:
        """The parts that a file puts in."""
        return INCLUDE.findall(self._file(name))

    def _file(self, name: str) -> str:
        text = self.own.get(name) or built_in(name)
        return text.strip() + "\n" if text else ""


def built_in(name: str) -> str:
    """Our file of this name; empty where there is none."""
    # A language comes from outside: its name is looked up among ours, and never makes a path of its own.
    return (_HERE / name).read_text("utf-8") if name in built_in_names() else ""


@cache
def built_in_names() -> frozenset[str]:
    """Of all our files, those in parts/ with that before their name."""
    own = {file.name for file in _HERE.iterdir() if file.suffix[1:] in PARTS}
    return frozenset(own | {f"parts/{file.name}" for file in (_HERE / "parts").iterdir()})


BUILT_IN = Templates()


def load(name: str, language: str) -> TemplateSource:
    """Ours, whatever a provider has written."""
    return BUILT_IN.load(name, language)


@lru_cache(maxsize=256)
def _compile(source: TemplateSource) -> _Compiled:
    return _Compiled(
        _Part(_text, source.subject),
        _Part(_text, source.text),
        _Part(_html, source.html),
        _Part(_text, source.sms),
    )


def render(source: TemplateSource, context: Mapping[str, Any]) -> Rendered:
    """The e-mail's parts. TemplateProblem names what is missing; no hole is ever rendered as nothing."""
    _needs(source, "e-mail", source.text)
    try:
        compiled = _compile(source)
        return Rendered(
            compiled.subject.text(context), compiled.text.text(context), compiled.html.text(context)
        )
    except Exception as error:
        raise _problem(source, error) from error


def render_mail(source: TemplateSource, context: Mapping[str, Any]) -> MailParts:
    """The same, with bodies ready for `mime.build`."""
    _needs(source, "e-mail", source.text)
    try:
        compiled = _compile(source)
        return MailParts(
            compiled.subject.text(context), compiled.text.body(context), compiled.html.body(context)
        )
    except Exception as error:
        raise _problem(source, error) from error


def render_sms(source: TemplateSource, context: Mapping[str, Any]) -> str:
    """The text message, line ends around it trimmed. TemplateProblem as for `render`."""
    _needs(source, "text message", source.sms)
    try:
        return _compile(source).sms.text(context).strip()
    except Exception as error:
        raise _problem(source, error) from error


def render_part(source: TemplateSource, part: str, context: Mapping[str, Any]) -> str:
    """One of PARTS; TemplateProblem as for `render`."""
    try:
        compiled = _compile(source)
        parts = (compiled.subject, compiled.text, compiled.html, compiled.sms)
        return parts[PARTS.index(part)].text(context)
    except Exception as error:
        raise _problem(source, error) from error


def parse(text: str) -> nodes.Template:
    """The syntax of one file, its includes left as comments. TemplateSyntaxError of Jinja's."""
    return _text.parse(text)


def _needs(source: TemplateSource, what: str, part: str) -> None:
    if not part:
        raise TemplateProblem(f"Template {source.name}.{source.language} has no {what}.")


def _problem(source: TemplateSource, error: Exception) -> TemplateProblem:
    """Whatever a template does wrong is that template's problem; only Jinja's own words are shown."""
    if isinstance(error, TemplateError):
        return TemplateProblem(f"Template {source.name}.{source.language}: {error.message}.")
    return TemplateProblem(f"Template {source.name}.{source.language} failed: {type(error).__name__}.")
