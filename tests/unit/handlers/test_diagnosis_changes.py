"""What has changed between two results, said in plain sentences."""

from __future__ import annotations

import pytest

from handlers.diagnosis.changes import INVOICE, MOST, Finding, changes
from store.models import PastDiagnosis
from store.types import new_id
from tests.builders import NOW


def result(*findings: Finding, headline: str = "NOT DELIVERED") -> PastDiagnosis:
    return PastDiagnosis(
        new_id(), new_id(), None, None, "no_mailbox", "certain", headline, findings, "U_AGENT", NOW
    )


CASES: dict[str, tuple[tuple[Finding, ...], tuple[Finding, ...], tuple[str, ...]]] = {
    "nothing": ((("Profile", "ok", "account active"),), (("Profile", "ok", "account active"),), ()),
    "SPF mended": (
        (("SPF record", "warn", "m.example does not authorise our server"),),
        (("SPF record", "ok", "m.example authorises our server"),),
        ("SPF record: was wrong, is right now",),
    ),
    "SPF not known this time": (
        (("SPF record", "ok", "m.example authorises our server"),),
        (("SPF record", "skipped", "m.example: DNS gave no answer in time"),),
        ("SPF record: was right, is not known now",),
    ),
    "an invoice arrived": (
        (("November (20011)", INVOICE, "bounced (mailbox full)"),),
        (("November (20011)", INVOICE, "was accepted by gmail.com's server"),),
        ("November (20011): bounced (mailbox full) → accepted by gmail.com's server",),
    ),
    "an invoice was issued": (
        (("October (20010)", INVOICE, "is paid"), ("September (20009)", INVOICE, "is paid")),
        (("November (20011)", INVOICE, "is in the queue"), ("October (20010)", INVOICE, "is paid")),
        ("November (20011) is new: is in the queue",),
    ),
    "an address was mended": (
        (("Address", "bad", "k•••n@gmial.com: looks like a slip for gmail.com"),),
        (("Address", "ok", "k•••n@gmail.com: its domain takes mail"),),
        (
            "k•••n@gmail.com: on file now (its domain takes mail)",
            "k•••n@gmial.com: not on file any more",
        ),
    ),
    "an address was put on the list": (
        (("Address", "ok", "k•••n@a.example: its domain takes mail"),),
        (("Address", "bad", "k•••n@a.example: its domain takes mail; on our do-not-send list"),),
        ("k•••n@a.example: its domain takes mail → its domain takes mail; on our do-not-send list",),
    ),
    "two that look alike": (
        (("Address", "ok", "k•••@a.example: takes mail"), ("Address", "ok", "k•••@a.example: takes mail")),
        (("Address", "ok", "k•••@a.example: takes mail"), ("Address", "bad", "k•••@a.example: suppressed")),
        ("k•••@a.example: takes mail; takes mail → takes mail; suppressed",),
    ),
    "no address before": (
        (("Address", "bad", "none on file"),),
        (("Address", "ok", "k•••@a.example: takes mail"),),
        ("k•••@a.example: on file now (takes mail)",),
    ),
    "the account": (
        (("Profile", "bad", "account active, notices switched off, $5 owed"),),
        (("Profile", "ok", "account active, notices on, $5 owed"),),
        ("Profile: notices switched off → notices on",),
    ),
    "a hold": (
        (("Profile", "ok", "account active"),),
        (("Profile", "ok", "account active, held until Mar 9: paying in March"),),
        ("Profile: now held until Mar 9: paying in March",),
    ),
    "a step that was not there": (
        (),
        (("Reports", "warn", "a report waits"),),
        ("Reports: a report waits",),
    ),
    "a step that is gone": (
        (("Reports", "warn", "a report waits"),),
        (),
        ("Reports: no longer: a report waits",),
    ),
    "times alone": (
        (("Last answer", "warn", "Not sent yet: … at 10:12"), ("Other ways", "skipped", "no other address")),
        (("Last answer", "warn", "Not sent yet: … at 10:22"), ("Other ways", "skipped", "b•••@a.example")),
        (),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_change_is_one_sentence(name: str) -> None:
    before, now, said = CASES[name]
    assert changes(result(*before), result(*now)) == said


def test_the_verdict_comes_first() -> None:
    before = result(("November (20011)", INVOICE, "is in the queue"))
    now = result(("November (20011)", INVOICE, "bounced"), headline="NOT DELIVERED: the mailbox is full")
    assert changes(before, now)[0] == "Verdict: NOT DELIVERED → NOT DELIVERED: the mailbox is full"


def test_a_long_list_is_cut_and_says_so() -> None:
    many = [(f"Step {n}", "ok", "new") for n in range(MOST + 3)]
    told = changes(result(), result(*many))
    assert len(told) == MOST + 1
    assert told[-1] == "and 3 more"
