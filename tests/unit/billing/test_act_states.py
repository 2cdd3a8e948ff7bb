"""Every state meets every event, every package status every act: nothing is left to chance."""

from __future__ import annotations

import pytest

from billing.act_states import TRANSITIONS, ActEvent, Ignored, after
from billing.package_states import ACTS, WANTED, Becomes, Stays
from store.models import ActKind, ActState, PackageStatus

INTENDED, CALLING, DOUBT = ActState.INTENDED, ActState.CALLING, ActState.IN_DOUBT
DONE, FAILED = ActState.DONE, ActState.FAILED
EXPECTED: dict[tuple[ActState, ActEvent], ActState] = {
    (INTENDED, ActEvent.TAKEN): CALLING,
    (DOUBT, ActEvent.TAKEN): CALLING,
    (CALLING, ActEvent.TAKEN): CALLING,
    (CALLING, ActEvent.DONE): DONE,
    (CALLING, ActEvent.REFUSED): FAILED,
    (CALLING, ActEvent.PUT_OFF): INTENDED,
    (CALLING, ActEvent.DOUBTED): DOUBT,
}


@pytest.mark.parametrize("event", list(ActEvent))
@pytest.mark.parametrize("state", list(ActState))
def test_each_state_answers_each_event_as_declared(state: ActState, event: ActEvent) -> None:
    step = TRANSITIONS[state][event]
    expected = EXPECTED.get((state, event))
    if expected is None:
        assert isinstance(step, Ignored)
        assert step.reason
        with pytest.raises(LookupError, match=step.reason):
            after(state, event)
    else:
        assert after(state, event) is expected


def test_only_whoever_holds_an_act_ends_it() -> None:
    enders = {state for (state, _), to in EXPECTED.items() if to in (DONE, FAILED)}
    assert enders == {CALLING}


CHANGES = {
    (PackageStatus.ACTIVE, ActKind.SUSPEND): PackageStatus.SUSPENDED,
    (PackageStatus.SUSPENDED, ActKind.UNSUSPEND): PackageStatus.ACTIVE,
    (PackageStatus.ACTIVE, ActKind.PAUSE): PackageStatus.HIBERNATED,
}


@pytest.mark.parametrize("kind", list(ActKind))
@pytest.mark.parametrize("status", list(PackageStatus))
def test_each_package_status_answers_each_act_as_declared(status: PackageStatus, kind: ActKind) -> None:
    step = ACTS[status][kind]
    expected = CHANGES.get((status, kind))
    if expected is None:
        assert isinstance(step, Stays)
        assert not step.because.endswith(".")
    else:
        assert step == Becomes(expected)
        assert WANTED[kind] is expected
