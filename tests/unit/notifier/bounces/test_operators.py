"""What the big operators answer live, operator by operator, and what anybody else says for the same."""

from __future__ import annotations

import pytest

from notifier.bounces import BounceClass, classify_reply
from notifier.bounces.classify import judge, stage_in

from .operators import ANSWERS
from .wordings import OWN_WORDS, WORDINGS

ROWS = [(operator, *row) for operator, rows in ANSWERS.items() for row in rows]
HARD = {BounceClass.NO_SUCH_USER, BounceClass.DOMAIN_MISSING}


@pytest.mark.parametrize(
    ("operator", "code", "enhanced", "text", "cls"), ROWS, ids=[f"{row[0]}: {row[3][:50]}" for row in ROWS]
)
def test_operators_answer_gets_its_class(
    operator: str, code: int, enhanced: str, text: str, cls: BounceClass
) -> None:
    verdict = classify_reply(code, enhanced, text)
    assert (verdict.cls, verdict.hard) == (cls, cls in HARD), operator
    assert verdict.permanent == (code >= 500)


def test_at_least_150_answers_are_known() -> None:
    assert len(ROWS) >= 150
    assert len({row[1:4] for row in ROWS}) == len(ROWS)


ANY = [(cls, *row) for cls, rows in WORDINGS.items() for row in rows]


@pytest.mark.parametrize(
    ("cls", "code", "enhanced", "text"), ANY, ids=[f"{row[0]}: {row[3][:50]}" for row in ANY]
)
def test_any_wording_is_understood(cls: BounceClass, code: int, enhanced: str, text: str) -> None:
    assert classify_reply(code, enhanced, text).cls == cls


OWN = [(cls, text) for cls, texts in OWN_WORDS.items() for text in texts]


@pytest.mark.parametrize(("cls", "text"), OWN, ids=[f"{cls}: {text[:50]}" for cls, text in OWN])
def test_reporters_own_words_are_understood(cls: BounceClass, text: str) -> None:
    assert judge("", "", text, stage_in(text)).cls == cls
