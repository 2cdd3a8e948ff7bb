"""Asking by text whether an address is right, and reading the answer. Pure.

A yes mends an address by itself, so a text is one only when it is nothing else: all of it has to be known
words, or the very address that was asked about. What is unsure goes to a person.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from handlers.intents import core_of, normalise
from notifier.sms_text import Segments
from store.addresses import normalise_email
from store.models import Invoice, Point, Subscriber


class AnswerKind(StrEnum):
    YES = "yes"
    NO = "no"
    ADDRESS = "address"
    """Another address than the one asked about: an agent looks at it."""
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    kind: AnswerKind
    address: str = ""
    """What they wrote out; empty for an answer in mere words."""


_LONGEST = 60
"""Letters of an answer in words; what is longer says more than yes or no."""
_RIGHT = r"(?:(?:the )?(?:correct|right)(?: one)?|mine|it|me|my (?:e ?mail|mail|address)(?: address)?)"
_CORRECTO = r"(?:correcto|correcta|exacto|mio|mia|mi correo|el correcto)"
_IS = rf"(?:(?:it is|its|that is|thats|this is) {_RIGHT}|it is)"
_ES = rf"(?:(?:es|ese es|esa es|lo es|asi es) {_CORRECTO}|asi es|ese es|lo es)"
_CEST = r"(?:cest (?:ca|bien ca|correct|le mien))"
_YES = re.compile(
    r"(?:(?:y|yes|yess|yeah|yea|yep|yup|si|sip|oui|ouais|correct|confirm|confirmed|confirmo|claro)"
    rf"(?: (?:yes|si|oui))*(?: (?:correct|right|mine|{_IS}|{_CORRECTO}|{_ES}|{_CEST}))?"
    rf"|{_IS}|{_ES}|{_CEST}|{_CORRECTO})"
)
_NOT = r"(?:it|mine|me|right|correct|my (?:e ?mail|mail|address)(?: address)?)"
_DENIED = (
    rf"(?:(?:it is|its|that is|thats) (?:not(?: {_NOT})?|wrong)|it isnt(?: {_NOT})?|not {_NOT}"
    r"|no es(?: (?:mio|mia|correcto|correcta|mi correo))?|es incorrecto|incorrecto"
    r"|ce nest pas (?:ca|le mien)|incorrect|wrong(?: (?:address|e ?mail|one))?)"
)
_NO = re.compile(rf"(?:(?:n|no|nope|nah|non)(?: no)*(?: {_DENIED})?|{_DENIED})")
_BEFORE_ADDRESS = re.compile(
    r"(?:(?:my|the)(?: right| correct)? (?:e ?mail|mail|address)(?: address)? is|it is|its|thats|that is"
    r"|(?:mi|el) correo es|es|cest)"
)
_NOT_ADDRESS = re.compile(
    r"(?:(?:no|nope|non) )?(?:not|(?:it|that|this) is not|(?:it|that) isnt|its not|thats not|no es"
    r"|ce nest pas|my (?:e ?mail|mail|address)(?: address)? is not)"
)
_ASKS = re.compile("[?¿؟？]")
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")


def read_answer(text: str, suggested: str) -> AddressAnswer:
    """What this text answers to "is `suggested` your address?". The address itself, written out, is a yes.

    Whoever asks back has confirmed nothing: with a question mark neither a yes nor a no is sure.
    """
    answer = _read(text, suggested)
    if answer.kind is not AnswerKind.ADDRESS and _ASKS.search(text):
        return AddressAnswer(AnswerKind.UNCLEAR)
    return answer


def _read(text: str, suggested: str) -> AddressAnswer:
    found = [match.rstrip(".!?") for match in _ADDRESS.findall(text)]
    rest = _ADDRESS.sub(" ", text)
    if not found:
        return AddressAnswer(_of_words(text))
    addresses = {checked.address for item in found if (checked := normalise_email(item)).problem is None}
    if len(addresses) != 1 or len(found) != len(addresses):
        return AddressAnswer(AnswerKind.UNCLEAR)
    (address,) = addresses
    if address.casefold() != suggested.casefold():
        return AddressAnswer(AnswerKind.ADDRESS, address)
    said = core_of(rest)
    if len(said) <= _LONGEST and _NOT_ADDRESS.fullmatch(said):
        return AddressAnswer(AnswerKind.NO, address)
    words = _YES.fullmatch(said) or _BEFORE_ADDRESS.fullmatch(said)
    known = not said or (len(said) <= _LONGEST and words is not None)
    return AddressAnswer(AnswerKind.YES, address) if known else AddressAnswer(AnswerKind.UNCLEAR)


def _of_words(text: str) -> AnswerKind:
    for said in (normalise(text), core_of(text)):
        if len(said) > _LONGEST:
            return AnswerKind.UNCLEAR
        if _YES.fullmatch(said):
            return AnswerKind.YES
        if _NO.fullmatch(said):
            return AnswerKind.NO
    return AnswerKind.UNCLEAR


@dataclass(frozen=True, slots=True)
class AskPlan:
    """One question as it would leave, before anybody presses Ask."""

    payer: Subscriber
    """Whose address it is."""
    point: Point
    suggested: str
    number: str
    invoice: Invoice | None
    """What goes out again after a yes."""
    segments: Segments
    zones: tuple[ZoneInfo, ...]
    now: datetime
    opens_at: datetime | None
    """When it goes out, where it is quiet now; None: at once."""

    @property
    def seen(self) -> str:
        """What the preview showed; compared again at the press."""
        shown = (self.number, self.point.address, self.segments.text)
        return hashlib.sha256("\n".join(shown).encode()).hexdigest()[:24]


__all__ = ["AddressAnswer", "AnswerKind", "AskPlan", "read_answer"]
