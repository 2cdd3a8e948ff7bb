"""Bounces without a machine-readable part: qmail, Exim, old sendmail, Exchange, Notes, carriers, gateways.

No system is recognised by name. What they share is: a robot writes, a line names the address, what follows
says why, and then comes the returned mail. Each of the three is found by its shape.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from . import wording
from .addresses import ADDRESS, addresses, first_address, tidy
from .classify import Certainty, Judgement, Stage, answer_in, enhanced_in, fault_of, judge, reply_code_in
from .dsn import MAX_SNIPPET, stage_of
from .mime import Headers
from .verdict import BounceClass, BounceReport
from .wording import any_of

MAX_LINES = 600
MAX_LINE = 2000
MAX_MENTIONS = 500

_ROBOT = any_of(wording.ROBOTS)
_MAYBE_ROBOT = any_of(wording.MAYBE_ROBOTS)
_SUBJECT = any_of(wording.SUBJECTS)
_FAILURE_TEXT = any_of(wording.FAILURES)
_DELAYED = any_of(wording.DELAYS)
_DELIVERED = any_of(wording.SUCCESSES)
_CONTACT = any_of(wording.CONTACTS)

_RETURNED = any_of(
    (
        any_of(wording.RULED_OFF, r"[ \t>|]{0,20}[-=*_#|]{2,120}[^\n]{0,12}?").pattern,
        any_of(wording.ANNOUNCED, r"[ \t>|]{0,40}").pattern,
        any_of(wording.RETURNED_FIELDS, r"(?:>[ \t]?)?", r"[ \t]*:").pattern,
    ),
    "^",
    r"[^\n]*$",
    re.MULTILINE,
)
_HEADER_LIKE = re.compile(r"^[ \t>]*(?:from|to|cc|subject|date|sent|reply-to|message id)\s*:", re.IGNORECASE)
_CONTACT_ABOVE = re.compile(
    r"to the address\s*:?\s*$|(?:please|contact)[^\n]{0,80}(?:to|at|address|:)\s*$", re.IGNORECASE
)
_START = re.compile(r"^[ \t>]*(?:[-*•·]|\d{1,3}[.)]|to:|>>>)?[ \t]*[<\"'\[(`]*$", re.IGNORECASE)
# `name@example.org <real@example.org>`: the display name is an address too.
_NAME_THEN_ADDRESS = re.compile(r"^[ \t>]*[^\s<>@]+@[^\s<>@]+ <[^\s<>@]+@[^\s<>@]+>")
_LABEL = any_of(wording.LABELS, after=r"\s*(?:was|is|:|=|->|;)*\s*[<\"'\[(`]*$")
_REFUSAL = re.compile(r"^[ \t>]*(?:<<<\s*)?[45]\d\d[ \-]|rcpt to:", re.IGNORECASE)


# Sendmail and carriers print `<<< 550 ...`, Postfix's own server transcript ` Out: 451 ...`.
_ANSWERED = re.compile(r"^[ \t>]*(?:<<<|Out:)[ \t]*([45]\d\d[ -][^\n]*)")


# A pipelined DATA after the only RCPT was refused: it says nothing about the refusal.
_NO_RECIPIENT_LEFT = re.compile(
    r"^[ \t]*<<<[ \t]*(?:503|554)[^\n]*(?:need rcpt|no valid recipients)", re.IGNORECASE
)


class _Mention(NamedTuple):
    address: str
    line: int
    rank: int


class _Words(NamedTuple):
    body: str
    subject: str
    action: str


def notice(
    headers: Headers, subject: str, text: str, returned: Headers, evidence: bool
) -> list[BounceReport]:
    """The reports of a notice in words, or nothing when the mail is not one.

    `evidence` says that the structure already proves a bounce (multipart/report, a failed-recipients header).
    """
    body, quoted = cut_returned(text)
    if not evidence and not is_notice(headers, subject, body, bool(returned) or bool(quoted)):
        return []
    own = _own_addresses(headers)
    lines = [line[:MAX_LINE] for line in body.split("\n")[:MAX_LINES]]
    if any(line.startswith("<<<") and not _NO_RECIPIENT_LEFT.match(line) for line in lines):
        lines = [line for line in lines if not _NO_RECIPIENT_LEFT.match(line)]
        body = "\n".join(lines)
    mentions = _mentions(lines, own, headers)
    if not evidence and not is_robot(headers) and not any(m.rank >= 2 for m in mentions):
        return []
    words = _Words(body, subject, _action(subject, body))
    if not mentions:
        address = _recipient_elsewhere(headers, returned, quoted)
        return [_report(address, body, words, True)]
    order: dict[str, list[int]] = {}
    for mention in mentions[:MAX_MENTIONS]:
        at = order.setdefault(mention.address, [])
        if mention.line not in at[-1:]:
            at.append(mention.line)
    starts = sorted({m.line for m in mentions})
    transcript = all(m.rank == 1 for m in mentions)
    found = []
    for address, at in order.items():
        snippet = "\n".join(_section(lines, starts, line, transcript) for line in at)[:MAX_SNIPPET]
        found.append(_report(address, snippet, words, len(order) == 1))
    return found


def cut_returned(text: str) -> tuple[str, str]:
    """The words of the notice, and what follows them: the mail that came back."""
    for match in _RETURNED.finditer(text):
        if match.start() > 0 and text[: match.start()].strip():
            return text[: match.start()], text[match.start() :]
    return text, ""


def is_robot(headers: Headers) -> bool:
    """Whether a mail system wrote this: its name, no name at all, or the null envelope sender."""
    sender = headers.first("from").strip("<> \t")
    return not sender or bool(_ROBOT.search(sender)) or _null_path(headers)


def names_robot(headers: Headers) -> bool:
    """Whether the name or address in From is one that only mail systems use."""
    return bool(_ROBOT.search(headers.first("from")) or _MAYBE_ROBOT.search(headers.first("from")))


def _null_path(headers: Headers) -> bool:
    path = headers.first("return-path").strip().lower()
    return path in ("<>", "<null>") or "mailer-daemon" in path


def is_notice(headers: Headers, subject: str, body: str, has_returned: bool) -> bool:
    """Whether a robot wrote about failed delivery. A person who quotes a bounce is not a robot."""
    robot = is_robot(headers)
    reply = (
        re.match(r"\s*(?:re|aw|sv|antw|fwd?|wg|tr|rv)\s*(?:\[\d+\])?:", subject, re.IGNORECASE) is not None
    )
    if reply and not (robot and _null_path(headers)):
        return False
    if ("list-unsubscribe" in headers or "list-id" in headers) and not robot:
        return False
    if not robot and "in-reply-to" in headers:
        return False
    telling = bool(_SUBJECT.search(subject))
    says = bool(_FAILURE_TEXT.search(body[:6000]))
    if robot:
        return (
            (telling and says)
            or (telling and not _is_automatic(headers))
            or (says and (has_returned or _null_path(headers)))
        )
    maybe = bool(_MAYBE_ROBOT.search(headers.first("from")))
    return telling and says and (maybe or has_returned)


def _is_automatic(headers: Headers) -> bool:
    return headers.first("auto-submitted").lower().startswith("auto-replied")


def _own_addresses(headers: Headers) -> set[str]:
    """Who the notice goes to is who sent the mail; who writes it is the robot."""
    own: set[str] = set()
    for name in ("to", "from", "reply-to", "errors-to", "x-envelope-to", "delivered-to"):
        for value in headers.get(name, []):
            own.update(a.casefold() for a in addresses(value, 5))
    return own


def _mentions(lines: list[str], own: set[str], headers: Headers) -> list[_Mention]:
    """The addresses that the notice is about, with the line of each mention."""
    listed = [a for v in headers.get("x-failed-recipients", []) for a in addresses(v)]
    stated = {a.casefold() for a in listed}
    every = []
    above = ""
    for number, line in enumerate(lines):
        if "@" in line and not _CONTACT_ABOVE.search(above[-200:]):
            every.extend(_ranked(line, number))
        above = line if line.strip() else above
    named = [m for m in every if _is_one_of(m.address, stated)]
    if named or (stated and not any(m.rank == 3 and not _is_one_of(m.address, own) for m in every)):
        seen = {m.address.casefold() for m in named}
        return named + [_Mention(a, 0, 3) for a in listed if not _is_one_of(a, seen)]
    others = [m for m in every if not _is_one_of(m.address, own)]
    # A mail to oneself bounces too: own addresses count where they alone are named as failed.
    pool = [m for m in others if m.rank > 0] or [m for m in every if m.rank == 3] or others
    if not pool:
        return []
    best = max(m.rank for m in pool)
    chosen = {m.address.casefold() for m in pool if m.rank == best}
    return [m for m in pool if m.address.casefold() in chosen]


def _is_one_of(address: str, others: set[str]) -> bool:
    return address.casefold() in others


def _ranked(line: str, number: int) -> list[_Mention]:
    found = []
    header_like = bool(_HEADER_LIKE.match(line))
    matches = [match for match, _ in zip(ADDRESS.finditer(line), range(20), strict=False)]
    for index, match in enumerate(matches):
        before = line[: match.start()]
        if header_like:
            rank = 0
        elif index == 0 and len(before) < 60 and _START.match(before):
            rank = 3
        elif _REFUSAL.search(before):
            rank = 1
        elif _LABEL.search(before[-120:]):
            rank = 2
        else:
            rank = 0
        if rank < 3 and _CONTACT.search(before):
            continue
        found.append(_Mention(tidy(match), number, rank))
    if len(found) > 1 and found[0].rank == 3 and _NAME_THEN_ADDRESS.match(line):
        return [_Mention(found[1].address, number, 3)]
    return found


def _section(lines: list[str], starts: list[int], line: int, transcript: bool) -> str:
    """From a mention to the next one; in a transcript what explains a line stands above it."""
    if transcript:
        place = bisect_left(starts, line)
        earlier = starts[place - 1] + 1 if place else 0
        return "\n".join(lines[max(earlier, line - 40) : line + 1])
    place = bisect_right(starts, line)
    end = starts[place] if place < len(starts) else len(lines)
    while place < len(starts) and end - line < 40 and not _says_anything(lines[line:end]):
        # Addresses in a row, the reason under the last of them: it is everybody's.
        place += 1
        end = starts[place] if place < len(starts) else len(lines)
    return "\n".join(lines[line : min(end, line + 40)])


def _says_anything(lines: list[str]) -> bool:
    """Whether there is a word besides addresses and their marks."""
    return any(char.isalnum() for line in lines for char in ADDRESS.sub("", line))


def _recipient_elsewhere(headers: Headers, returned: Headers, quoted: str) -> str:
    for name in ("x-failed-recipients", "x-actual-recipient", "original-recipient", "x-original-to"):
        found = first_address(headers.first(name))
        if found:
            return found
    for name in ("x-original-to", "to", "cc"):
        found = first_address(returned.first(name))
        if found:
            return found
    match = re.search(r"^[ \t>|]*to[ \t]*:([^\n]{0,1000})", quoted, re.IGNORECASE | re.MULTILINE)
    return first_address(match[1]) if match else ""


def _action(subject: str, body: str) -> str:
    """What the notice as a whole announces, in the words of RFC 3464."""
    if _DELIVERED.search(body):
        return "delivered"
    return "delayed" if _DELAYED.search(subject + "\n" + body) else "failed"


def _report(address: str, snippet: str, words: _Words, alone: bool) -> BounceReport:
    """One recipient's report. `alone` allows the whole notice to speak for him."""
    body, subject, action = words
    answers = _answers(body) if alone and ("<<<" in body or "\n Out: " in body) else ""
    code = enhanced_in(answers or snippet)
    reply = reply_code_in(answers or snippet)
    if alone and not code and not reply:
        code = enhanced_in(body)
    if alone and not reply:
        reply = reply_code_in(body)
    stage = stage_of(snippet, body if alone else snippet, "")
    best = _judged(reply, code, snippet, stage)
    if answers:
        said = _judged(reply, code, answers, stage)
        # The commands and greetings around a telling answer say nothing more.
        best = said if said.certainty >= Certainty.SPECIFIC else max(said, best, key=lambda j: j.certainty)
    if alone and best.certainty < Certainty.SPECIFIC:
        best = max(best, _judged(reply, code, body, stage), key=lambda j: j.certainty)
    if alone and best.certainty < Certainty.WEAK:
        best = max(best, judge(reply, code, subject, stage), key=lambda j: j.certainty)
    cls, hard = best.cls, best.hard and action != "delayed"
    if action == "delivered":
        if best.certainty < Certainty.SPECIFIC:
            cls, hard = BounceClass.DELIVERED, False
        else:
            action = "failed"  # one of several was delivered, this one was not
    elif action == "delayed" and best.certainty <= Certainty.CODE:
        cls = BounceClass.TEMPORARY
    diagnostic = " ".join(snippet.split())[:MAX_SNIPPET]
    return BounceReport(address, None, cls, hard, fault_of(cls, hard), code, reply, diagnostic, action)


def _judged(reply: str, code: str, text: str, stage: Stage) -> Judgement:
    """The server's own words first; the notice's words around them only where those say less."""
    answer = answer_in(text)
    best = judge(reply, code, answer, stage) if answer else None
    if best is None or best.certainty < Certainty.SPECIFIC:
        around = judge(reply, code, text, stage)
        best = around if best is None or around.certainty > best.certainty else best
    return best


def _answers(body: str) -> str:
    """The refusals of a transcript (`<<< 550 ...`), without the commands and the reporter's own lines."""
    found = []
    for line in body.split("\n"):
        said = _ANSWERED.match(line)
        if said:
            found.append(said[1])
    return "\n".join(found)
