"""Every order of every small multiset of events ends in one outcome AND one stage, or it is declared why not.

On the pure change of notifier.tracking: 1 to 3 events of all kinds, of the attempt under way and of the one
before, by the worker that holds the claim and by others, each order of them, repetitions too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, permutations
from typing import Any

import pytest

from notifier.tracking import Report, _change
from store.models import Channel, Confidence, Delivery, Event, EventKind, Outcome, Stage
from tests.builders import NOW, delivery, event

ENDS = (EventKind.ACCEPTED, EventKind.DEFERRED, EventKind.FAILED, EventKind.BOUNCED, EventKind.IN_DOUBT)
"""What a worker says of its attempt."""
CLAIMED = delivery(stage=Stage.CLAIMED, attempt=2)
DEFERRED, DOUBT = (2, EventKind.DEFERRED), (2, EventKind.IN_DOUBT)
RETRIED: list[set[tuple[int, EventKind]]] = [
    # What an earlier attempt ended with was known when this one was begun (somebody has pressed Retry): being
    # put off is no end then. News of it that come while the next try waits make that one needless.
    {(1, EventKind.BOUNCED), DEFERRED},
    {(1, EventKind.BOUNCED), DOUBT},
    {(1, EventKind.ACCEPTED), (1, EventKind.FAILED), DEFERRED},
    {(1, EventKind.ACCEPTED), (1, EventKind.FAILED), DOUBT},
]
DECLARED: dict[Channel, list[set[tuple[int, EventKind]]]] = {
    Channel.EMAIL: RETRIED,
    Channel.SMS: [
        *RETRIED,
        # A text in doubt is looked for at its provider even when its own worker, whose claim was lost, says
        # late that it was put off: it is queued a few minutes later, and never sent twice.
        {DEFERRED, DOUBT},
        # Of a doubt that is not there yet nothing can be "not on the list": it never comes first.
        {(2, EventKind.REQUEUED), DOUBT},
    ],
}
"""(attempt, kind) whose order may decide whether and when it is tried again; never what became of it."""


def _report(kind: EventKind, *, attempt: int, fenced: bool, **more: Any) -> Report:
    key = f"{'worker' if fenced else 'other'}:{attempt}:{kind}"
    return Report(1, event(CLAIMED.id, kind, attempt=attempt, key=key, **more), fenced=fenced)


def _alphabet() -> list[Report]:
    relay = {"confidence": Confidence.HANDED_TO_RELAY}
    mine = [_report(k, attempt=2, fenced=True, **(relay if k is ENDS[0] else {})) for k in ENDS]
    others = [_report(k, attempt=2, fenced=False) for k in EventKind if k is not EventKind.ACCEPTED]
    earlier = [_report(k, attempt=1, fenced=True) for k in ENDS]
    earlier += [_report(k, attempt=1, fenced=False) for k in (EventKind.DELIVERED, EventKind.BOUNCED)]
    return mine + others + earlier


def _end(item: Delivery, order: Sequence[Report]) -> tuple[Outcome, Stage, str | None]:
    history: dict[str, Event] = {}
    for report in order:
        if report.event.key in history:
            continue  # known already: tracking.record changes nothing for it
        history[report.event.key] = report.event
        change = _change(item, list(history.values()), [report], NOW)
        item = replace(
            item,
            **{
                name: getattr(change, name)
                for name in ("stage", "due_at", "stage_reason", "stage_by", "outcome", "reason")
            },
        )
    return item.outcome, item.stage, item.stage_by


@pytest.mark.parametrize("channel", Channel)
def test_no_order_of_up_to_three_events_changes_the_outcome_or_the_stage(channel: Channel) -> None:
    item = replace(CLAIMED, channel=channel)
    met = []
    for size in (2, 3):
        for events in combinations_with_replacement(_alphabet(), size):
            ends = {_end(item, order) for order in permutations(events)}
            assert len({outcome for outcome, _, _ in ends}) == 1, events
            told = {(r.event.attempt, r.event.kind) for r in events}
            why = [some for some in DECLARED[channel] if some <= told]
            assert len(ends) == 1 or why, (ends, events)
            met += [some for some in why if len(ends) > 1 and some not in met]
    assert all(some in met for some in DECLARED[channel]), "what is declared is met"
