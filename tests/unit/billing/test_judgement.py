"""What forbids an act, each reason by itself and in words; what does not."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from billing.judgement import Against, Case, refusal
from store.models import (
    ActKind,
    Facts,
    NoteLevel,
    Package,
    PackageKind,
    PackageStatus,
    Subscriber,
    SubscriberKind,
    SubscriberStatus,
)
from store.types import new_id
from tests.builders import NOW, hold_of, note_of, usd

FACTS = Facts("local", NOW)
SID = new_id()


def subscriber(**more: Any) -> Subscriber:
    fields: dict[str, Any] = {
        "id": SID,
        "account": "1260",
        "kind": SubscriberKind.RESIDENTIAL,
        "status": SubscriberStatus.ACTIVE,
        "name": "Sam Ortiz",
        "language": "en",
        "time_zone": None,
        "address": "",
        "city": "",
        "region": "",
        "postal_code": "",
        "payer_account": None,
        "balance": usd("49.90"),
        "invoice_notices": True,
        "facts": FACTS,
    }
    return Subscriber(**(fields | more))


def package(status: PackageStatus = PackageStatus.ACTIVE, name: str = "Fiber 500") -> Package:
    kind = PackageKind.INTERNET
    return Package(new_id(), SID, "P-1", name, kind, status, None, usd("49.90"), FACTS)


def case(*packages: Package, holds: Any = (), notes: Any = (), **more: Any) -> Case:
    return Case(subscriber(**more), packages or (package(),), holds, notes)


def against(kind: ActKind, judged: Case, *more: Any) -> Against | None:
    found = refusal(kind, judged, *more)
    if found is not None:
        assert found.sentence.strip()
        assert found.against.value not in found.sentence.split(), "words, no codes"
    return found.against if found else None


def test_an_overdue_account_with_an_active_package_may_be_suspended() -> None:
    assert against(ActKind.SUSPEND, case()) is None


def test_a_suspended_package_may_be_unsuspended_whatever_is_owed() -> None:
    judged = case(package(PackageStatus.SUSPENDED), holds=[hold_of("1260")])
    assert against(ActKind.UNSUSPEND, judged) is None


@pytest.mark.parametrize(
    ("balance", "expected"), [("0.00", Against.ZERO_BALANCE), ("-25.00", Against.CREDIT), ("0.01", None)]
)
def test_whoever_owes_nothing_is_not_suspended(balance: str, expected: Against | None) -> None:
    assert against(ActKind.SUSPEND, case(balance=usd(balance))) is expected
    paid = case(package(PackageStatus.SUSPENDED), balance=usd(balance))
    assert against(ActKind.UNSUSPEND, paid) is None


@pytest.mark.parametrize(("before", "expected"), [(4991, Against.PAID_SINCE), (4990, None), (4989, None)])
def test_a_payment_since_the_decision_refuses_and_a_new_charge_does_not(
    before: int, expected: Against | None
) -> None:
    judged = case()
    assert against(ActKind.SUSPEND, judged, judged.packages[0], before) is expected


def test_a_hold_stops_a_suspension_and_names_its_last_day_and_reason() -> None:
    found = refusal(ActKind.SUSPEND, case(holds=[hold_of("1260", until=date(2026, 3, 20))]))
    assert found is not None
    assert found.against is Against.HELD
    assert "until Mar 20 (promise to pay)" in found.sentence


@pytest.mark.parametrize("kind", list(ActKind))
def test_only_a_blocking_note_blocks(kind: ActKind) -> None:
    status = PackageStatus.SUSPENDED if kind is ActKind.UNSUSPEND else PackageStatus.ACTIVE
    warned = case(package(status), notes=[note_of(SID, level=NoteLevel.WARN), note_of(SID)])
    assert against(kind, warned) is None
    blocked = case(package(status), notes=[note_of(SID), note_of(SID, level=NoteLevel.BLOCK)])
    assert against(kind, blocked) is Against.BLOCKED


@pytest.mark.parametrize(
    ("status", "expected"),
    [(SubscriberStatus.ARCHIVED, Against.ARCHIVED), (SubscriberStatus.PROSPECT, Against.PROSPECT)],
)
def test_nothing_is_done_to_an_account_that_does_not_run(status: SubscriberStatus, expected: Against) -> None:
    for kind in ActKind:
        assert against(kind, case(status=status)) is expected


@pytest.mark.parametrize("status", [s for s in PackageStatus if s is not PackageStatus.ACTIVE])
def test_a_package_that_cannot_be_suspended_says_why_for_itself_and_for_the_account(
    status: PackageStatus,
) -> None:
    found = refusal(ActKind.SUSPEND, case(package(status)))
    assert found is not None
    assert found.against is Against.STATUS
    assert "Fiber 500" in found.sentence
    one = package(status)
    assert against(ActKind.SUSPEND, case(package(), one), one) is Against.STATUS
    assert against(ActKind.SUSPEND, case(package(), one)) is None, "another one may be"


def test_without_any_package_there_is_nothing_to_act_on() -> None:
    assert refusal(ActKind.SUSPEND, Case(subscriber(), (), (), ())).against is Against.NO_PACKAGE  # type: ignore[union-attr]
