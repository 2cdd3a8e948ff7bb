"""From an SMTP answer or a diagnostic to a verdict: words first, then codes.

RFC 3463 codes alone class about half of real answers rightly, so precedence runs: an operator's documented
token, a telling sentence, a specific status code, a vague word, a generic code. The stage of the session
that was answered (RFC 5321) bends some sentences: what is said about an address at MAIL FROM is about ours.
"""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from typing import NamedTuple

from . import rules
from .codes import GENERIC, HARD_DETAILS, HARD_REPLY_CODES, REPLY_CODES, SPECIFIC, SPECIFIC_REPLY
from .verdict import FAULT_OF, HARD_CLASSES, BounceClass, BounceVerdict, Fault

MAX_DIAGNOSTIC = 4096

_ADDRESS = re.compile(r"<?[^\s<>()\[\]:;,\"'@]{1,64}@[^\s<>()\[\]:;,\"']{1,255}>?")
_PUNCTUATION = str.maketrans(dict.fromkeys('"`“”„()<>[]{},;:!?*|=_-–—\t\n\r~\\', " ") | dict.fromkeys("'’‘´"))
_CONTINUATION = re.compile(r"(?<![\d.])([245]\d\d)[- ](?:#?[245]\.\d{1,3}\.\d{1,3}[- ]?)?")
_ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.\w-])([245][0-5]\d)(?=[- #:.]|$)(?!\.\d)")


_ANSWER = re.compile(r"(?<![\d.\w-])[45][0-5]\d[ -](?=\D|[45]\.)|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])")


def answer_in(text: str) -> str:
    """The quoted server's own words in a notice: from the first refusal code on; empty without one."""
    match = _ANSWER.search(text)
    return text[match.start() : match.start() + 1500] if match else ""


# What Google prints before every answer that it quotes; Zoho puts its own guess before every 550.
_BOILERPLATE = (
    "invalid address, error_code",
    "rejected by the recipient domain",
    "rejected by the server for the recipient domain",
)


class Stage(StrEnum):
    """The command that was answered; empty where the notice does not tell."""

    UNKNOWN = ""
    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"


class Certainty(IntEnum):
    """How much of an answer decided: a later, vaguer text does not overrule a telling one."""

    NOTHING = 0
    CODE = 1
    WEAK = 2
    SPECIFIC = 3
    STRONG = 4


class Judgement(NamedTuple):
    cls: BounceClass
    hard: bool
    certainty: Certainty


def normalised(text: str) -> str:
    """Lower case, single spaces, addresses and most punctuation gone: what phrases are written in."""
    flat = _ADDRESS.sub(" addr ", text) if "@" in text else text
    for words in _BOILERPLATE:
        if words in flat:
            flat = flat.replace(words, " ")
    return " " + " ".join(flat.lower().translate(_PUNCTUATION).split()) + " "


class _Phrase(NamedTuple):
    first: str
    rest: tuple[str, ...]


class _Compiled(NamedTuple):
    cls: BounceClass
    hard: bool
    whole: tuple[str, ...]
    bridged: tuple[_Phrase, ...]


def _phrase(text: str) -> str:
    inner = normalised(text).strip()
    return (" " if text.startswith(" ") else "") + inner + (" " if text.endswith(" ") else "")


def _compile(table: tuple[rules.Rule, ...]) -> tuple[_Compiled, ...]:
    compiled = []
    for rule in table:
        whole = tuple(dict.fromkeys(_phrase(p) for p in rule.phrases if " * " not in p))
        # A phrase that contains a shorter one of the same rule can never be the one that decides.
        whole = tuple(p for p in whole if not any(q != p and q in p for q in whole))
        bridged = []
        for text in rule.phrases:
            if " * " in text:
                first, *rest = (_phrase(part) for part in text.split(" * "))
                bridged.append(_Phrase(first, tuple(rest)))
        hard = rule.cls in HARD_CLASSES if rule.hard is None else rule.hard
        compiled.append(_Compiled(rule.cls, hard, whole, tuple(bridged)))
    return tuple(compiled)


_PROVIDER = tuple((rule.cls, rule.phrases) for rule in rules.PROVIDER)
_STRONG = _compile(rules.MAIL_LESS + rules.STRONG)
_WEAK = _compile(rules.WEAK)
_BRIDGE = 80


def _bridged(phrase: _Phrase, text: str) -> bool:
    """Whether the pieces follow one another, each at most 80 characters on."""
    start = text.find(phrase.first)
    while start >= 0:
        at = start + len(phrase.first)
        for piece in phrase.rest:
            found = text.find(piece, at, at + _BRIDGE + len(piece))
            if found < 0:
                break
            at = found + len(piece)
        else:
            return True
        start = text.find(phrase.first, start + 1)
    return False


def _first_match(table: tuple[_Compiled, ...], text: str) -> _Compiled | None:
    for rule in table:
        for phrase in rule.whole:
            if phrase in text:
                return rule
        for bridge in rule.bridged:
            if bridge.first in text and _bridged(bridge, text):
                return rule
    return None


def enhanced_in(text: str) -> str:
    """The most telling RFC 3463 code in a text: a refusal before a success, x.0.0 only without another."""
    best = ""
    for match in _ENHANCED.finditer(text):
        code = f"{match[1]}.{int(match[2])}.{int(match[3])}"
        if code[0] != "2" and not code.endswith(".0.0"):
            return code
        if not best or (best[0] == "2" and code[0] != "2"):
            best = code
    return best


def reply_code_in(text: str) -> str:
    """The first three-digit SMTP reply code that is a refusal, else any."""
    best = ""
    for match in _REPLY.finditer(text):
        if match[1][0] != "2":
            return match[1]
        best = best or match[1]
    return best


_STAGES: tuple[tuple[Stage, tuple[str, ...]], ...] = (
    # Postfix "in reply to X command", Exim "after X", qmail "does not like X", DragonFly "did not like our X"
    (
        Stage.DATA,
        (
            "end of data",
            "reply to data",
            "after data",
            "final data",
            "failed after i sent the message",
            "[data]",
            "response to data",
            "smtp command data",
        ),
    ),
    (
        Stage.RCPT,
        (
            "reply to rcpt",
            "after rcpt",
            "pipelined rcpt",
            "our rcpt",
            "does not like recipient",
            "[rcpt_to]",
            "response to rcpt",
            "most progress was rcpt",
            ">>> rcpt",
            "smtp command rcpt",
        ),
    ),
    (
        Stage.MAIL,
        (
            "reply to mail",
            "after mail from",
            "pipelined mail from",
            "our mail from",
            "does not like sender",
            "but sender was rejected",
            "[mail_from]",
            "response to mail",
            ">>> mail",
            "smtp command mail",
        ),
    ),
    (
        Stage.CONNECT,
        (
            "refused to talk to me",
            "initial connection",
            "after ehlo",
            "after helo",
            "reply to ehlo",
            "reply to helo",
            "connected to * but greeting failed",
            "greeting failed",
            "but my name was rejected",
            "[connect]",
        ),
    ),
)


def stage_in(text: str) -> Stage:
    """The command that the quoted answer replied to, as the reporting system words it."""
    low = " ".join(text.lower().split())
    for stage, marks in _STAGES:
        if any(mark in low for mark in marks):
            return stage
    return Stage.UNKNOWN


def judge(code: str, enhanced: str, text: str, stage: Stage = Stage.UNKNOWN) -> Judgement:
    """The verdict and how it was reached. Codes that are missing are looked for in the text."""
    text = text[:MAX_DIAGNOSTIC]
    raw = " ".join(text.lower().split())
    code = code or reply_code_in(text)
    if not enhanced or enhanced.endswith(".0.0"):
        enhanced = enhanced_in(text) or enhanced
    for cls, tokens in _PROVIDER:
        if any(token in raw for token in tokens):
            return Judgement(cls, cls in HARD_CLASSES, Certainty.STRONG)
    words = normalised(_CONTINUATION.sub(" ", raw))
    rule = _first_match(_STRONG, words)
    if rule is not None:
        cls = _bent(rule.cls, stage, enhanced, words)
        hard = rule.hard if cls is rule.cls else cls in HARD_CLASSES
        if cls is BounceClass.RELAY_OR_SECURITY and (code or enhanced).startswith("4"):
            hard = False  # a null MX reported as a passing error is asked again
        return Judgement(cls, hard, Certainty.STRONG)
    return _by_code_or_weak_word(code, enhanced, words, stage)


_BARE_UNKNOWN = ("user unknown", "unknown user", "no such user", "no such recipient", "invalid recipient")
_NO_SERVICE = (
    "service not available",
    "service unavailable",
    "service is unavailable",
    "closing transmission",
)


def _bent(cls: BounceClass, stage: Stage, enhanced: str, words: str) -> BounceClass:
    """What the stage of the session makes of a sentence."""
    if stage in (Stage.MAIL, Stage.CONNECT):
        # Before RCPT only our own address or host can be meant.
        if cls in (BounceClass.NO_SUCH_USER, BounceClass.DOMAIN_MISSING, BounceClass.MAILBOX_DISABLED):
            return BounceClass.BLOCKED_REPUTATION
        if cls is BounceClass.RELAY_OR_SECURITY and "access denied" in words:
            return BounceClass.BLOCKED_REPUTATION
        if cls is BounceClass.TEMPORARY and any(phrase in words for phrase in _NO_SERVICE):
            return BounceClass.BLOCKED_REPUTATION
    if cls is BounceClass.DOMAIN_MISSING and enhanced.startswith("4"):
        return BounceClass.TEMPORARY  # the name may be back tomorrow, says the one who looked it up
    if cls is BounceClass.NO_SUCH_USER and any(phrase in words for phrase in _BARE_UNKNOWN):
        # The address was taken at RCPT and "unknown" only once the content was seen, or the status
        # speaks of an existing mailbox (x.2.x) or of policy (x.7.1): a carrier's or a user's filter.
        if stage is Stage.DATA and not enhanced.endswith((".1.1", ".1.6")):
            return BounceClass.FILTERED
        if stage is Stage.UNKNOWN and enhanced[1:4] == ".2.":
            return BounceClass.FILTERED
        if enhanced[1:] == ".7.1" and "user unknown" in words:
            return BounceClass.FILTERED
    return cls


_UNAVAILABLE = "requested action not taken mailbox unavailable"
_SAYS_NOTHING = frozenset({"rejected", "refused", "reject", "message rejected", "mail rejected", "blocked"})


def _by_code_or_weak_word(code: str, enhanced: str, words: str, stage: Stage) -> Judgement:
    detail = enhanced.partition(".")[2]
    if detail in SPECIFIC:
        cls = SPECIFIC[detail]
        hard = cls in HARD_CLASSES or detail in HARD_DETAILS
        return Judgement(cls, hard, Certainty.SPECIFIC)
    if code in SPECIFIC_REPLY:
        cls = SPECIFIC_REPLY[code]
        return Judgement(cls, cls in HARD_CLASSES, Certainty.SPECIFIC)
    rule = _first_match(_WEAK, words)
    if rule is not None:
        cls = _bent(rule.cls, stage, enhanced, words)
        if cls is BounceClass.NO_SUCH_USER and (code.startswith("4") or enhanced.startswith("4")):
            cls = BounceClass.TEMPORARY  # 450 mailbox unavailable: busy, not gone
        if (
            cls is BounceClass.NO_SUCH_USER
            and stage is Stage.UNKNOWN
            and not enhanced
            and _UNAVAILABLE in words
        ):
            # RFC 5321 section 4.2.3 lets these words mean "not found" and "policy" alike.
            cls = BounceClass.FILTERED
        if (
            cls is BounceClass.BLOCKED_REPUTATION
            and detail.startswith("7.")
            and words.strip() in _SAYS_NOTHING
        ):
            cls = BounceClass.RELAY_OR_SECURITY  # a bare "rejected" adds nothing to x.7.y
        hard = rule.hard if cls is rule.cls else cls in HARD_CLASSES
        return Judgement(cls, hard, Certainty.WEAK)
    cls = _generic(code, detail, enhanced)
    hard = code in HARD_REPLY_CODES or cls in HARD_CLASSES
    return Judgement(cls, hard, Certainty.CODE if code or enhanced else Certainty.NOTHING)


def _generic(code: str, detail: str, enhanced: str) -> BounceClass:
    if detail and detail != "0.0":
        found = GENERIC.get(detail) or GENERIC.get(detail.partition(".")[0])
        if found is not None:
            return found
    if code in REPLY_CODES:
        return REPLY_CODES[code]
    if code.startswith("4") or enhanced.startswith("4"):
        return BounceClass.TEMPORARY
    if code.startswith("2") or enhanced.startswith("2"):
        return BounceClass.DELIVERED
    return BounceClass.OTHER


def fault_of(cls: BounceClass, hard: bool) -> Fault:
    """A refusal that ends the address is the recipient's, whatever its class."""
    return Fault.RECIPIENT if hard else FAULT_OF[cls]


def classify_reply(code: int | str | None, enhanced: str | None, text: str) -> BounceVerdict:
    """The judgement of a live SMTP answer: reply code, RFC 3463 code if any, and its text.

    `permanent` follows the reply (5xx), not the words: a 4xx is tried again whatever it says. The text may
    still carry the codes; it need not.
    """
    reply = "" if code is None else str(code).strip()[:3]
    reply = reply if reply.isdecimal() else ""
    status = (enhanced or "").strip()
    # A live answer that does not say otherwise is taken as the answer to RCPT.
    judgement = judge(reply, status, text, stage_in(text) or Stage.RCPT)
    cls = judgement.cls
    shown = reply or reply_code_in(text) or status or enhanced_in(text)
    if reply.startswith("2"):
        return BounceVerdict(BounceClass.DELIVERED, False, FAULT_OF[BounceClass.DELIVERED], False)
    permanent = shown.startswith("5") if shown else judgement.hard
    return BounceVerdict(cls, judgement.hard, fault_of(cls, judgement.hard), permanent)
