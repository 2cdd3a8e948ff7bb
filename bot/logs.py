"""Logs: one JSON object a line on standard error, with personal data and secrets masked on the way out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from store.outage import quieten

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"xox[a-z]-[A-Za-z0-9-]+|xapp-[A-Za-z0-9-]+"), "[token]"),
    # Up to the last @ before the path: people forget to quote one in a password.
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/\"']*@"), r"\1[login]@"),
    (re.compile(r"https?://[^\s\"']*/(?:response|commands|actions)/[^\s\"']+"), "[response url]"),
    (re.compile(r"/i/[1-9A-HJ-NP-Za-km-z]{18}(?![0-9A-Za-z])"), "/i/[code]"),
    # PostgreSQL repeats a row that it refuses, names and all; its driver repeats a value of the wrong kind.
    (re.compile(r"(DETAIL:\s+(?:Key \([^)]*\)=|Failing row contains ))[^\n]*"), r"\1[values]"),
    (re.compile(r"(invalid input for query argument \$\d+: )[^\n]*"), r"\1[value]"),
    # An address keeps its domain: that is what operators look for.
    (re.compile(r"(?<!\[login\])[^\s@<>()\[\]\"',;:\\]+@(?=[\w-]+\.)"), "[mail]@"),
    (re.compile(r"(?<![\w.-])\+?\d[\d ().-]{8,17}\d(?![\w:-])"), "[number]"),
)
_KEEP = frozenset({"timestamp", "level", "reference"})


def redact(text: str) -> str:
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {_value(key): _value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "replace"))
    return redact(repr(value))  # an exception, say: the renderer would write it as it is


def redactor(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: every value but the few that we make ourselves."""
    return {key: value if key in _KEEP else _value(value) for key, value in event.items()}


def configure(stream: TextIO | None = None, *, level: int = logging.NOTSET) -> None:
    """structlog and the standard library's loggers in one format; libraries speak from WARNING up.

    `level`: what is below is not written, where somebody reads a table on the same screen.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Any] = [
        structlog.processors.format_exc_info,
        redactor,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[quieten, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in ("slack_bolt", "slack_sdk", "aiohttp", "aiosqlite", "mail.log", "alembic", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
