"""Slack's text formats as safe HTML: mrkdwn, plain text with emoji, markdown blocks, rich_text.

Everything is escaped first; only the markup that these functions know comes out as tags, and only links
to http, https, mailto and tel are links.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from sandbox.page.emoji import EMOJI
from sandbox.page.times import ZONE
from sandbox.slack.workspace import CHANNELS, USERS

_SHORTCODE = re.compile(r":([a-z0-9_+-]+):")
_FENCE = re.compile(r"```\n?(.*?)```", re.DOTALL)
_TOKEN = re.compile(r"`([^`\n]+)`|<([^<>\n]+)>|(https?://[^\s<>|]*[^\s<>|.,;:!?)])")
_STYLES = (
    (re.compile(r"(?<![\w*])\*(\S|\S[^\n]*?\S)\*(?![\w*])"), "strong"),
    (re.compile(r"(?<![\w_])_(\S|\S[^\n]*?\S)_(?![\w_])"), "em"),
    (re.compile(r"(?<![\w~])~(\S|\S[^\n]*?\S)~(?![\w~])"), "s"),
)
_BULLET = re.compile(r"^\s*[•\-*]\s+")
_NUMBER = re.compile(r"^\s*\d+[.)]\s+")
_HELD = re.compile("\ue000(\\d+)\ue001")


def emoji(text: str) -> str:
    return _SHORTCODE.sub(lambda hit: EMOJI.get(hit.group(1), hit.group()), text)


def plain(text: str) -> Markup:
    """A plain_text object: shortcodes and line ends, no other markup."""
    return Markup("<br>").join(emoji(text).split("\n"))


def mrkdwn(text: str) -> Markup:
    pieces = _FENCE.split(text)
    # Odd pieces are what stood between fences.
    return Markup("").join(
        Markup("<pre>{}</pre>").format(_decoded(piece)) if index % 2 else _lines(piece.strip("\n"))
        for index, piece in enumerate(pieces)
    )


def _decoded(text: str) -> str:
    """Slack's three entities back to characters; whatever uses the result escapes it again."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _lines(text: str) -> Markup:
    """Quotes and lists are runs of lines; the other lines are joined by line breaks."""
    if not text:
        return Markup("")
    runs: list[tuple[str, list[Markup]]] = []
    for line in text.split("\n"):
        kind, content = _line_kind(line)
        if not runs or runs[-1][0] != kind:
            runs.append((kind, []))
        runs[-1][1].append(_inline(content))
    return Markup("").join(_run(kind, lines) for kind, lines in runs)


def _line_kind(line: str) -> tuple[str, str]:
    for mark in ("&gt; ", "&gt;", "> "):
        if line.startswith(mark):
            return "quote", line[len(mark) :]
    for pattern, kind in ((_BULLET, "ul"), (_NUMBER, "ol")):
        if hit := pattern.match(line):
            return kind, line[hit.end() :]
    return "text", line


def _run(kind: str, lines: list[Markup]) -> Markup:
    if kind == "quote":
        return Markup("<blockquote>{}</blockquote>").format(Markup("<br>").join(lines))
    if kind == "text":
        return Markup("<p>{}</p>").format(Markup("<br>").join(lines))
    items = Markup("").join(Markup("<li>{}</li>").format(line) for line in lines)
    return _wrapped(kind, items)


def _wrapped(tag: str, inner: Markup) -> Markup:
    return Markup(f"<{tag}>{{}}</{tag}>").format(inner)  # noqa: S704 - tag is one of ours


def _inline(text: str) -> Markup:
    held: list[Markup] = []

    def hold(made: Markup) -> str:
        held.append(made)
        return f"\ue000{len(held) - 1}\ue001"

    def token(hit: re.Match[str]) -> str:
        code, control, address = hit.groups()
        if code is not None:
            return hold(Markup("<code>{}</code>").format(_decoded(code)))
        if control is not None:
            return hold(_control(control))
        return hold(link(_decoded(address), _decoded(address)))

    text = text.replace("\ue000", "").replace("\ue001", "")
    text = emoji(_decoded(_TOKEN.sub(token, text)))
    styled = str(escape(text))
    for pattern, tag in _STYLES:
        styled = pattern.sub(rf"<{tag}>\1</{tag}>", styled)
    while _HELD.search(styled):
        styled = _HELD.sub(lambda hit: str(held[int(hit.group(1))]), styled)
    return Markup(styled)  # noqa: S704 - escaped above, then only our own tags


def _control(control: str) -> Markup:
    """What stands between < and >: a mention, a channel, a special word, a date or a link."""
    target, _, label = control.partition("|")
    if target.startswith("@"):
        return mention(target[1:], label)
    if target.startswith("#"):
        channel = CHANNELS.get(target[1:])
        return Markup('<span class="mention">#{}</span>').format(channel.name if channel else label or target)
    if target.startswith("!date^"):
        return Markup("{}").format(_date(target, label))
    if target.startswith("!"):
        return Markup('<span class="mention loud">@{}</span>').format(label or target[1:].partition("^")[0])
    return link(_decoded(target), emoji(_decoded(label or target)))


def mention(user_id: str, label: str = "") -> Markup:
    user = USERS.get(user_id)
    return Markup('<span class="mention">@{}</span>').format(user.name if user else label or user_id)


def _date(target: str, fallback: str) -> str:
    try:
        when = datetime.fromtimestamp(int(target.split("^")[1]), UTC)
    except (ValueError, IndexError, OverflowError):
        return fallback
    when = when.astimezone(ZONE)
    return when.strftime("%Y-%m-%d %H:%M") if "time" in target else when.strftime("%Y-%m-%d")


def link(address: str, label: str) -> Markup:
    if not is_safe(address):
        return Markup("{}").format(label)
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(address, label)


_ADDRESS = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]'`]")


def linked(text: str) -> Markup:
    """Plain text, as of a mail or a text message, with its web addresses as links; phones do the same."""
    pieces, end = [], 0
    for hit in _ADDRESS.finditer(text):
        pieces += [Markup("{}").format(text[end : hit.start()]), link(hit.group(), hit.group())]
        end = hit.end()
    return Markup("").join([*pieces, Markup("{}").format(text[end:])])


def is_safe(address: str) -> bool:
    try:
        return urlsplit(address).scheme in ("http", "https", "mailto", "tel")
    except ValueError:
        return False


_MD_LINK = re.compile(r"\[([^\]\n]+)\]\(([^)\s]+)\)")
_MD_HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)


def markdown(text: str) -> Markup:
    """A markdown block, well enough for a preview: headings, bold, italic, links, lists, code."""
    text = _MD_LINK.sub(lambda hit: f"<{hit.group(2)}|{hit.group(1)}>", text)
    text = re.sub(r"~~(.+?)~~", r"~\1~", text)
    text = re.sub(r"(?<![*\w])\*(?!\*)([^*\n]+)\*(?!\*)", r"_\1_", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"*\1*", text)
    return mrkdwn(_MD_HEADING.sub(r"*\1*", text))


_RICH_TAGS = {"bold": "strong", "italic": "em", "strike": "s", "code": "code", "underline": "u"}


def rich(element: Mapping[str, Any]) -> Markup:
    """A rich_text element, from sections down to single words."""
    kind = element.get("type")
    inner = Markup("").join(rich(one) for one in element.get("elements") or [] if isinstance(one, dict))
    if kind == "rich_text_list":
        items = Markup("").join(Markup("<li>{}</li>").format(rich(one)) for one in element["elements"])
        return _wrapped("ol" if element.get("style") == "ordered" else "ul", items)
    if kind in ("rich_text_preformatted", "rich_text_quote"):
        tag = "pre" if kind == "rich_text_preformatted" else "blockquote"
        return _wrapped(tag, inner)
    if kind in ("rich_text", "rich_text_section"):
        return Markup("<p>{}</p>").format(inner) if kind == "rich_text_section" else inner
    return _styled(_rich_word(element), element.get("style"))


def _rich_word(element: Mapping[str, Any]) -> Markup:
    kind, text = element.get("type"), str(element.get("text", ""))
    if kind == "link":
        address = str(element.get("url", ""))
        return link(address, text or address)
    if kind == "user":
        return mention(str(element.get("user_id", "")))
    if kind == "emoji":
        name = str(element.get("name", ""))
        return Markup("{}").format(EMOJI.get(name, f":{name}:"))
    if kind == "broadcast":
        return Markup('<span class="mention loud">@{}</span>').format(str(element.get("range", "")))
    if kind == "channel":
        return _control(f"#{element.get('channel_id', '')}")
    return plain(text)


def _styled(word: Markup, style: object) -> Markup:
    for name, tag in _RICH_TAGS.items():
        if isinstance(style, dict) and style.get(name):
            word = _wrapped(tag, word)
    return word
