"""From an SMTP answer or a diagnostic to a verdict: words first, then codes.

RFC 3463 codes alone class about half of real answers rightly, so precedence runs: an operator's documented
token, a telling sentence, a specific status code, a vague word, a generic code. The stage of the session
that was answered (RFC 5321) bends some sentences: what is said about an address at MAIL FROM is about ours.
"""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from typing import NamedTuple

from .codes import (
    EXACT,
    FIRM,
    GENERIC,
    HARD_DETAILS,
    HARD_REPLY_CODES,
    OPERATOR_AT_DATA,
    REPLY_CODES,
    SPECIFIC,
    SPECIFIC_REPLY,
)
from .rulebook import Found, Rulebook, normalised
from .verdict import FAULT_OF, HARD_CLASSES, BounceClass, BounceVerdict, Fault

MAX_DIAGNOSTIC = 4096

_book = Rulebook()


def use(book: Rulebook) -> None:
    """Judge by another rulebook from now on: benchmarks leave rules out and count what is still right."""
    global _book
    _book = book


_CONTINUATION = re.compile(r"(?<![\d.])([245]\d\d)[- ](?:#?[245]\.\d{1,3}\.\d{1,3}[- ]?)?")
_ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.\w-])([245][0-5]\d)(?=[- #:.]|$)(?!\.\d)")


_ANSWER = re.compile(r"(?<![\d.\w-])[45][0-5]\d[ -](?=\D|[45]\.)|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])")


def answer_in(text: str) -> str:
    """The quoted server's own words in a notice: from the first refusal code on; empty without one."""
    match = _ANSWER.search(text)
    return text[match.start() : match.start() + 1500] if match else ""


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
    SPECIFIC = 3  # a status that says one thing
    MEANT = 4  # a sentence, by its meaning
    STRONG = 5  # a known phrase or an operator's token


class Judgement(NamedTuple):
    cls: BounceClass
    hard: bool
    certainty: Certainty


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
            "sending data block",
            "after pipelined data",
            "following data command",
            "smtp:data",
            "(state 15)",
            "(state 16)",
            "(state 17)",
            "(state 18)",
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
            "following rcpt command",
            "smtp:rcpt",
            "after rcpt command",
            "(state 9)",  # Google's stages of old: 9 to 14 the recipient, 15 to 18 the content
            "(state 10)",
            "(state 12)",
            "(state 13)",
            "(state 14)",
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
            "after mail command",
            "following mail command",
            "smtp:mail",
            "(state 8)",
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


def judge(code: str, enhanced: str, text: str, stage: Stage = Stage.UNKNOWN, host: str = "") -> Judgement:
    """The verdict and how it was reached. Codes that are missing are looked for in the text.

    `host` is the server that answered, where the report names it apart from the text.
    """
    text = text[:MAX_DIAGNOSTIC]
    raw = " ".join(f"{host} {text}".lower().split())
    code = code or reply_code_in(text)
    if not enhanced or enhanced.endswith(".0.0"):
        enhanced = enhanced_in(text) or enhanced
    rule = _book.by_operator(raw)
    if rule is not None:
        return Judgement(rule.cls, rule.hard, Certainty.STRONG)
    words = normalised(_CONTINUATION.sub(" ", raw[len(host) :] if host else raw))
    reply = _Reply(code, enhanced, words, stage, host.lower())
    detail = reply.detail
    if detail in EXACT:
        return Judgement(SPECIFIC[detail], SPECIFIC[detail] in HARD_CLASSES, Certainty.STRONG)
    rule = _book.telling(words)
    if rule is not None:
        return _judgement(rule, reply, Certainty.STRONG)
    if detail not in FIRM:
        rule = _by_meaning(text, words)
        if rule is not None:
            return _judgement(rule, reply, Certainty.MEANT)
    rule = _book.late(words)
    if rule is not None:
        return _judgement(rule, reply, Certainty.MEANT)
    return _by_code_or_weak_word(reply)


class _Reply(NamedTuple):
    """An answer taken apart."""

    code: str
    enhanced: str
    words: str
    stage: Stage
    host: str

    @property
    def detail(self) -> str:
        return self.enhanced.partition(".")[2]

    @property
    def passing(self) -> bool:
        return (self.code or self.enhanced).startswith("4")


def _by_meaning(text: str, words: str) -> Found | None:
    """What the quoted server means, else what the words around its answer mean."""
    answer = answer_in(text)
    if answer and len(answer) < len(text):
        found = _book.by_meaning(normalised(_CONTINUATION.sub(" ", answer.lower())))
        if found is not None:
            return found
    return _book.by_meaning(words)


def _judgement(rule: Found, reply: _Reply, certainty: Certainty) -> Judgement:
    cls = rule.cls if rule.firm else _bent(rule.cls, reply)
    if cls is BounceClass.MAILBOX_DISABLED and rule.hard and reply.detail == "1.1":
        cls = BounceClass.NO_SUCH_USER  # "not our customer" with x.1.1: nobody, rather than moved
    hard = rule.hard if cls is rule.cls else cls in HARD_CLASSES
    if cls is BounceClass.RELAY_OR_SECURITY and reply.passing:
        hard = False  # a null MX reported as a passing error is asked again
    return Judgement(cls, hard, certainty)


_NO_SERVICE = (
    "service not available",
    "service unavailable",
    "service is unavailable",
    "closing transmission",
)


def _bent(cls: BounceClass, reply: _Reply) -> BounceClass:
    """What the stage of the session and the status make of a sentence."""
    if reply.stage in (Stage.MAIL, Stage.CONNECT):
        # Before RCPT only our own address or host can be meant.
        if cls in (BounceClass.NO_SUCH_USER, BounceClass.DOMAIN_MISSING, BounceClass.MAILBOX_DISABLED):
            return BounceClass.BLOCKED_REPUTATION
        if cls is BounceClass.RELAY_OR_SECURITY and "access denied" in reply.words:
            return BounceClass.BLOCKED_REPUTATION
        if cls is BounceClass.TEMPORARY and any(phrase in reply.words for phrase in _NO_SERVICE):
            return BounceClass.BLOCKED_REPUTATION
    if cls is BounceClass.DOMAIN_MISSING and reply.passing:
        return BounceClass.TEMPORARY  # the name may be back tomorrow, says the one who looked it up
    if cls is BounceClass.MAILBOX_FULL and reply.detail == "3.1":
        return BounceClass.TEMPORARY  # RFC 3463 section 3.4: the disk of the whole system
    if cls is BounceClass.MAILBOX_FULL and reply.detail in ("2.3", "3.4"):
        return BounceClass.TOO_BIG  # Exchange: "larger than the current limit, or the mailbox is full"
    if cls is BounceClass.NO_SUCH_USER:
        return _bent_unknown(reply)
    return cls


def _bent_unknown(reply: _Reply) -> BounceClass:
    """Whether "unknown" really means that nobody is there: it does in an answer to RCPT, or with x.1.y.

    Said of the content, of an existing mailbox (x.2.y) or of policy (x.7.1), or where the report tells
    neither the stage nor a code, it may be a filter that plays dead: that is no proof, and suppresses nobody.
    """
    detail = reply.detail
    if detail.startswith("1."):
        return BounceClass.NO_SUCH_USER
    if reply.stage is Stage.DATA:
        for domain, cls in OPERATOR_AT_DATA.items():
            if reply.host.endswith(domain):
                return cls
        return BounceClass.FILTERED
    if detail == "7.1" and "user unknown" in reply.words:
        return BounceClass.FILTERED
    if reply.stage is Stage.UNKNOWN:
        return BounceClass.FILTERED
    return BounceClass.NO_SUCH_USER


_SAYS_NOTHING = frozenset({"rejected", "refused", "reject", "message rejected", "mail rejected", "blocked"})


def _by_code_or_weak_word(reply: _Reply) -> Judgement:
    code, detail = reply.code, reply.detail
    if detail in SPECIFIC:
        cls = SPECIFIC[detail]
        hard = cls in HARD_CLASSES or detail in HARD_DETAILS
        return Judgement(cls, hard, Certainty.SPECIFIC)
    if code in SPECIFIC_REPLY:
        cls = SPECIFIC_REPLY[code]
        return Judgement(cls, cls in HARD_CLASSES, Certainty.SPECIFIC)
    rule = _book.vague(reply.words)
    if rule is not None:
        cls = _bent(rule.cls, reply)
        if cls is BounceClass.NO_SUCH_USER and reply.passing:
            cls = BounceClass.TEMPORARY  # 450 mailbox unavailable: busy, not gone
        if (
            cls is BounceClass.BLOCKED_REPUTATION
            and detail.startswith("7.")
            and reply.words.strip() in _SAYS_NOTHING
        ):
            cls = BounceClass.RELAY_OR_SECURITY  # a bare "rejected" adds nothing to x.7.y
        hard = rule.hard if cls is rule.cls else cls in HARD_CLASSES
        return Judgement(cls, hard, Certainty.WEAK)
    if reply.stage in (Stage.CONNECT, Stage.MAIL) and code.startswith("5"):
        # Nothing but our host or our sender address was known yet: it is that which is refused.
        return Judgement(BounceClass.BLOCKED_REPUTATION, False, Certainty.CODE)
    cls = _generic(code, detail, reply.enhanced)
    hard = code in HARD_REPLY_CODES or cls in HARD_CLASSES
    return Judgement(cls, hard, Certainty.CODE if code or reply.enhanced else Certainty.NOTHING)


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
