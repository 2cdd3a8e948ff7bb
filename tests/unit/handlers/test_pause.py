"""Pausing a package until a day, with UISP at the wire: typed, chosen, done, read back; on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from billing.acts import ActExecutor
from billing.judgement import step_of
from billing.package_states import Becomes, Stays
from billing.port import Rejected, SyncResult
from billing.systems.uisp import BILLING
from billing.uisp.system import UispSystem
from handlers.contract import Services
from handlers.profile import Role
from handlers.reply import Modal, Reply, UserError
from handlers.surfaces.act import SURFACE
from handlers.workflows.act_notices import ActNotices
from store.models import ActKind, ActState, BillingAct, PackageKind, PackageStatus
from tests.builders import package_record, subscriber_record
from tests.uisp_world import OWES, UispWorld, small_cast, uisp_world
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import buttons, legal, profile, said

NOBODY = UUID(int=7)


class Desk:
    def __init__(self, services: Services, world: UispWorld, system: UispSystem) -> None:
        self.services = replace(services, billing={1: system}, tenants={1: profile(billing="uisp")})
        self.world, self.system = world, system
        self.lead = agent_on(self.services, Role.LEAD, "U_LEAD")

    async def dialog(self, preview: Reply) -> Modal:
        answer = await self.lead.answer(self.lead.press(preview, "pause.choose"))
        assert answer.modal is not None
        return answer.modal

    def sent(self, modal: Modal, **inputs: str) -> Any:
        initial = {}
        for block in modal.blocks:
            element = block.get("element", {})
            if "options" in element:
                initial[block["block_id"]] = element["options"][0]["value"]
            elif "initial_date" in element:
                initial[block["block_id"]] = element["initial_date"]
        return self.lead.request("pause", "chosen", value=dict(modal.carry or {}), inputs=initial | inputs)

    async def work(self) -> None:
        executor = ActExecutor(
            store=self.services.store,
            systems=self.services.billing,
            outbox=self.services.outbox,
            announce=ActNotices(self.services.tenants),
            name="w1",
        )
        assert await executor.work() == 1

    async def act(self) -> BillingAct:
        async with self.services.store.read(1) as tx:
            found = await tx.subscribers.by_account(OWES)
            assert found is not None
            (act,) = await tx.acts.of_subscriber(found.id)
        return act


@pytest.fixture
async def desk(services: Services, tmp_path: Path) -> AsyncIterator[Desk]:
    async with uisp_world(tmp_path / "uisp", small_cast(OWES)) as world:
        system = BILLING.open(services.store, 1, world.remote())
        assert isinstance(system, UispSystem)
        assert isinstance(await system.sync(full=True), SyncResult)
        yield Desk(services, world, system)
        assert await world.problems() == []
        await system.close()


async def test_a_package_is_paused_in_uisp_until_its_day_and_nobody_is_told(desk: Desk) -> None:
    preview = await desk.lead.types(f"pause {OWES} until Mar 20")
    assert f"Pause a package of account {OWES} until Mar 20" in said(preview)
    modal = await desk.dialog(preview)
    request = desk.sent(modal, reason="away for the winter")
    assert (await desk.lead.answer(request)).errors is None
    await desk.lead.run(request)
    await desk.lead.run(request)
    await desk.work()
    act = await desk.act()
    assert (act.kind, act.state, act.tell) == (ActKind.PAUSE, ActState.DONE, False)
    card = await SURFACE.draw(desk.services, 1, str(act.id))
    assert card is not None
    shown = said(legal(card))
    assert "Paused until Mar 20" in shown
    assert "read back from billing" in shown
    assert "Told" not in shown
    assert sorted(one["status"] for one in (await desk.world.client(OWES))["services"]) == [1, 8]
    assert len([call for call in await desk.world.asked() if call.endswith("/pause")]) == 1
    again = await desk.lead.types(f"suspend {OWES}")
    assert "suspend.choose" in buttons(again), "the other package may still be suspended"


async def test_only_packages_that_may_be_paused_are_offered(desk: Desk) -> None:
    modal = await desk.dialog(await desk.lead.types(f"pause {OWES}"))
    (choice,) = [block for block in modal.blocks if block.get("block_id") == "package"]
    async with desk.services.store.read(1) as tx:
        found = await tx.subscribers.by_account(OWES)
        assert found is not None
        packages = await tx.packages.of_subscriber(found.id)
    internet = {str(p.id) for p in packages if p.kind is PackageKind.INTERNET}
    assert {one["value"] for one in choice["element"]["options"]} == internet
    assert len(internet) < len(packages)


@pytest.mark.parametrize(
    ("inputs", "field", "words"),
    [
        ({"until": ""}, "until", "Choose a day."),
        ({"until": "2026-03-02"}, "until", "tomorrow at the earliest"),
        ({"until": "2026-03-01"}, "until", "is past"),
        ({"until": "2027-03-01"}, "until", "days away"),
        ({"package": ""}, "package", "Choose a package."),
    ],
)
async def test_what_is_wrong_in_the_dialog_is_said_at_its_field(
    desk: Desk, inputs: dict[str, str], field: str, words: str
) -> None:
    modal = await desk.dialog(await desk.lead.types(f"pause {OWES} until Mar 20"))
    answer = await desk.lead.answer(desk.sent(modal, **inputs))
    assert answer.errors is not None
    assert words in answer.errors.errors[field]


async def test_a_day_that_is_none_is_asked_for_again(desk: Desk) -> None:
    with pytest.raises(UserError) as told:
        await desk.lead.types(f"pause {OWES} until whenever")
    assert "do not understand that day" in told.value.sentence
    cancelled = await desk.lead.presses(await desk.lead.types(f"pause {OWES}"), "pause.cancel")
    assert "Nothing was done" in said(cancelled)


async def test_whoever_has_nothing_to_pause_is_told_why(desk: Desk) -> None:
    for service in (await desk.world.client(OWES))["services"]:
        await desk.world.change(OWES, service={"id": service["id"], "status": 8})
    preview = await desk.lead.types(f"pause {OWES}")
    assert "There is nothing to pause" in said(preview)
    assert "is paused already" in said(preview)
    assert "pause.choose" not in buttons(preview)
    async with desk.services.store.read(1) as tx:
        found = await tx.subscribers.by_account(OWES)
    assert found is not None
    with pytest.raises(UserError, match="nothing to pause"):
        await desk.lead.answer(desk.lead.request("pause", "choose", value={"s": str(found.id)}))


async def test_uisp_pauses_only_until_a_day(desk: Desk) -> None:
    answer = await desk.system.carry_out(ActKind.PAUSE, NOBODY, NOBODY, "away")
    assert answer == Rejected("UISP pauses a package only until a day.")


async def test_our_own_record_pauses_nothing_and_says_where_to(services: Services) -> None:
    lead = agent_on(services, Role.LEAD, "U_LEAD")
    with pytest.raises(UserError) as told:
        await lead.types("pause 1001 until Mar 20")
    assert "nothing would bring them back" in told.value.sentence
    answer = await services.billing[1].carry_out(ActKind.PAUSE, NOBODY, NOBODY, "away")
    assert isinstance(answer, Rejected)


@pytest.mark.parametrize("status", list(PackageStatus))
@pytest.mark.parametrize("kind", list(PackageKind))
async def test_only_an_active_internet_package_is_paused(
    services: Services, status: PackageStatus, kind: PackageKind
) -> None:
    async with services.store.begin(1) as tx:
        sid = (await tx.subscribers.upsert([subscriber_record()]))["1001"]
        await tx.packages.upsert([package_record(sid, status=status, kind=kind)])
        (package,) = await tx.packages.of_subscriber(sid)
    may = status is PackageStatus.ACTIVE and kind is PackageKind.INTERNET
    assert isinstance(step_of(ActKind.PAUSE, package), Becomes if may else Stays)
