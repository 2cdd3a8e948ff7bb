"""What is odd about a run is a sentence with examples; what is usual is not told."""

from __future__ import annotations

import pytest

from handlers.run_anomalies import Figures, anomalies

LAST = Figures(audience=1000, mails=900, zero=2, stale=20, unproven=30, templates={"en": "a", "es": "b"})
PAIR = (("20042", "1001", "20043", "1002"),)


@pytest.mark.parametrize(
    ("now", "last", "told"),
    [
        (
            Figures(audience=1000, zero=12, zero_examples=("20042", "20043")),
            LAST,
            "12 invoices are about 0.00",
        ),
        (Figures(audience=1000, zero=1, zero_examples=("20042",)), None, "1 invoice is about 0.00 (20042)."),
        (Figures(audience=1600), LAST, "much larger than last time: 1,600 invoices, 1,000 then"),
        (Figures(audience=500), LAST, "much smaller than last time"),
        (
            Figures(audience=1000, stale=90),
            LAST,
            "90 of 1,000 have no address that works (9%); last time it was 2%",
        ),
        (Figures(audience=1000, stale=90), None, "90 of 1,000 have no address that works (9%)."),
        (Figures(audience=1000, mails=900, unproven=400), LAST, "Nothing has ever arrived at 400 of the 900"),
        (Figures(audience=1000, templates={"en": "x", "es": "b"}), LAST, "since the last run (en)"),
        (
            Figures(shared=((31, ("1001", "1002")),)),
            None,
            "31 accounts have one and the same billing address",
        ),
        (
            Figures(same_pdf=PAIR),
            None,
            "20042 (account 1001) and 20043 (account 1002) have the very same PDF",
        ),
        (Figures(alike=PAIR), None, "numbers that are easily taken for one another"),
    ],
)
def test_what_is_odd_is_told_with_examples(now: Figures, last: Figures | None, told: str) -> None:
    assert any(told in sentence for sentence in anomalies(now, last)), anomalies(now, last)


def test_a_run_like_the_last_one_tells_nothing() -> None:
    assert anomalies(LAST, LAST) == ()
    assert anomalies(LAST, Figures.from_json(LAST.as_json())) == ()
    assert anomalies(Figures(audience=12, mails=10, unproven=10, templates={"en": "a"}), None) == ()
