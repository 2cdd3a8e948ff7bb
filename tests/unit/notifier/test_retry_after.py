"""Times that the other side names, as servers word them; what is not understood names nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from notifier.retry_after import LONGEST, SHORTEST, header, in_words
from notifier.schedule import FIRST_RETRY, NAMED_TRIES, next_attempt

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SAID = {
    "4.7.1 Greylisted, please try again in 300 seconds": 300,
    "4.2.0 <a@b.example>: Recipient address rejected: Greylisted, see http://postgrey.example/help": None,
    "Greylisting in action, please come back in 00:05:00": 300,
    "4.7.0 Temporarily deferred, retry after 10 minutes": 600,
    "4.7.0 Too many messages. Try again in 2 hours.": 7200,
    "4.7.0 Please wait 5 sec": SHORTEST.total_seconds(),
    "4.7.0 Try again in 99999 minutes": LONGEST.total_seconds(),
    "4.7.28 Gmail has detected an unusual rate of mail from 203.0.113.25. Try again later.": None,
    "4.3.2 Please try again later (ref 12345)": None,
    "4.5.3 Too many recipients": None,
}


@pytest.mark.parametrize(("text", "seconds"), SAID.items())
def test_a_time_in_words(text: str, seconds: float | None) -> None:
    assert in_words(text) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", timedelta(minutes=2)),
        ("Mon, 02 Mar 2026 09:05:00 GMT", timedelta(minutes=5)),
        ("Mon, 02 Mar 2026 08:00:00 GMT", SHORTEST),
        ("soon", None),
        ("", None),
    ],
)
def test_a_header_in_seconds_or_as_a_date(value: str, wait: timedelta | None) -> None:
    assert header(value, NOW) == wait


def test_a_named_time_is_kept_a_few_times_and_never_tried_earlier() -> None:
    named = timedelta(minutes=1)
    for attempt in range(1, NAMED_TRIES + 1):
        assert next_attempt(attempt, NOW, 0.0, named=named) == NOW + named
    assert next_attempt(NAMED_TRIES + 1, NOW, 0.0, named=named) == NOW + FIRST_RETRY * 16
    assert next_attempt(1, NOW, 0.9, named=named) > NOW + named
