"""The labelled corpus of real bounces, where it is present: accuracy and cost as promised."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from notifier.bounces import BounceReport, parse_bounce

CORPUS = Path(__file__).resolve().parents[5] / "shared" / "corpora" / "bounces"

pytestmark = pytest.mark.skipif(not (CORPUS / "labels.json").is_file(), reason="the corpus is not here")


class Pair(NamedTuple):
    file: str
    label: dict[str, str | bool]
    report: BounceReport | None


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    labels: dict[str, list[dict[str, str | bool]]] = json.loads((CORPUS / "labels.json").read_text())
    found = []
    for name, wanted in labels.items():
        reports = parse_bounce((CORPUS / "messages" / name).read_bytes())
        for label in wanted:
            match = next((r for r in reports if r.recipient.lower() == str(label["recipient"]).lower()), None)
            if match is not None:
                reports.remove(match)
            found.append(Pair(name, label, match))
    return found


def test_98_of_100_recipients_are_found(pairs: list[Pair]) -> None:
    assert sum(pair.report is not None for pair in pairs) >= 0.98 * len(pairs)


def test_95_of_100_classes_are_right(pairs: list[Pair]) -> None:
    right = sum(pair.report is not None and pair.report.cls == pair.label["cls"] for pair in pairs)
    assert right >= 0.95 * len(pairs)


def test_97_of_100_hard_flags_are_right(pairs: list[Pair]) -> None:
    right = sum(pair.report is not None and pair.report.hard == pair.label["hard"] for pair in pairs)
    assert right >= 0.97 * len(pairs)


def test_no_soft_class_is_ever_called_hard(pairs: list[Pair]) -> None:
    soft = {"mailbox_full", "blocked_auth", "blocked_reputation", "spam_content", "too_big", "rate_limited"}
    soft |= {"feedback", "auto_reply", "delivered"}
    wrong = [pair.file for pair in pairs if pair.report and pair.report.hard and pair.label["cls"] in soft]
    assert wrong == []


def test_a_message_costs_under_a_millisecond(pairs: list[Pair]) -> None:
    messages = [path.read_bytes() for path in sorted((CORPUS / "messages").iterdir())]
    best = 1.0
    for _ in range(3):
        started = time.process_time()
        for raw in messages:
            parse_bounce(raw)
        best = min(best, (time.process_time() - started) / len(messages))
    # The figure itself is benchmarks/bounces.py's; coverage and a busy machine must not decide here.
    assert best < 0.008
