"""What is on file from another system's files is a copy: suspending only links to where it is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from handlers.contract import Services
from handlers.profile import Role
from handlers.reply import UserError
from handlers.standing import Elsewhere, elsewhere
from store.models import Facts, PackageStatus
from tests.builders import NOW, billing_email, package_record, subscriber_record
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, obeyed, profile, said

LINK = "https://billing.example.net/clients/{account}/view"


def lead_on(services: Services, **more: Any) -> Agent:
    tenants = {1: profile(**more)}
    return agent_on(replace(services, tenants=tenants), Role.LEAD, "U_LEAD")


async def _late(services: Services, source: str, **package: Any) -> UUID:
    facts = Facts(source, NOW)
    sid = await cast.add(
        services.store, "1333", billing_email("pat@inbox.example"), invoices=("21333",), facts=facts
    )
    async with services.store.begin(1) as tx:
        await tx.packages.upsert([package_record(sid, "P-1", facts=facts, **package)])
    return sid


async def test_with_a_link_configured_the_preview_links_and_offers_no_act(services: Services) -> None:
    lead = lead_on(services, billing_link=LINK)
    await _late(services, "csv")
    preview = await lead.types("suspend 1333")
    assert "This is done in your billing system, not here" in said(preview)
    assert "<https://billing.example.net/clients/1333/view|Open account 1333 there>" in obeyed(preview)
    assert set(buttons(preview)) == {"hold.ask"}
    assert "No proof that an invoice arrived" in said(preview), "what speaks against it is said all the same"


async def test_facts_from_another_systems_files_say_where_it_is_done(services: Services) -> None:
    lead = lead_on(services)
    await _late(services, "splynx", status=PackageStatus.SUSPENDED)
    for command in ("suspend", "unsuspend"):
        preview = await lead.types(f"{command} 1333")
        assert "This is done in splynx, not here" in said(preview)
        assert "The next file tells here what was done there" in said(preview)
        assert f"{command}.choose" not in buttons(preview)


async def test_a_dialog_that_was_opened_before_acts_no_more(services: Services) -> None:
    lead = lead_on(services, billing_link=LINK)
    sid = await _late(services, "csv")
    chosen = {"s": str(sid), "b": 4990}
    with pytest.raises(UserError) as opened:
        await lead.answer(lead.request("suspend", "choose", value=chosen))
    with pytest.raises(UserError):
        await lead.answer(lead.request("unsuspend", "choose", value=chosen))
    async with services.store.read(1) as tx:
        (package,) = await tx.packages.of_subscriber(sid)
    with pytest.raises(UserError) as sent:
        await lead.run(lead.request("suspend", "chosen", value=chosen, inputs={"package": str(package.id)}))
    for told in (opened.value, sent.value):
        assert "not here: what is on file is a copy" in told.sentence
        assert "https://billing.example.net/clients/1333/view" in told.next_step
    async with services.store.read(1) as tx:
        assert await tx.acts.of_subscriber(sid) == []


async def test_a_hold_says_that_billing_has_to_be_told_too(services: Services) -> None:
    lead = lead_on(services, billing_link=LINK)
    await _late(services, "csv")
    held = await lead.types("hold 1333 until friday promised")
    assert "Billing may still suspend by its own schedule" in said(held)


@pytest.mark.parametrize(
    ("billing", "link", "source", "found"),
    [
        ("local", "", "csv", None),
        ("local", "", "local", None),
        ("local", "", "uisp", Elsewhere("uisp")),
        ("local", "https://b.example", "csv", Elsewhere("", "https://b.example")),
        ("local", "https://b.example/{account}", "uisp", Elsewhere("uisp", "https://b.example/A%2F1")),
        ("uisp", "", "uisp", None),
        ("uisp", "", "csv", None),
    ],
)
async def test_where_it_is_done(
    services: Services, billing: str, link: str, source: str, found: Elsewhere | None
) -> None:
    async with services.store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("A/1", facts=Facts(source, NOW))])
        subscriber = await tx.subscribers.by_account("A/1")
    assert subscriber is not None
    assert elsewhere(billing, link, subscriber) == found
