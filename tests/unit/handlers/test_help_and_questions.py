"""Help shows what there is and what the asker may do; questions never guess."""

from __future__ import annotations

import re

import pytest

from handlers.contract import Services
from handlers.found import AccountOrInvoice, Several
from handlers.profile import CommandSpec, Role
from handlers.questions import account_or_invoice, narrow_down
from store.models import Facts, Invoice, InvoiceStatus, Subscriber, SubscriberKind, SubscriberStatus
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, usd
from tests.unit.handlers.conftest import agent_on, services_on
from tests.unit.handlers.support import buttons, golden, legal, said


@pytest.fixture
def services(sqlite_store: Store) -> Services:
    """Help reads no database."""
    return services_on(sqlite_store)


def _person(account: str, name: str = "Kim Duarte") -> Subscriber:
    return Subscriber(
        id=new_id(),
        account=account,
        kind=SubscriberKind.RESIDENTIAL,
        status=SubscriberStatus.ACTIVE,
        name=name,
        language="en",
        time_zone=None,
        address="",
        city="",
        region="",
        postal_code="",
        payer_account=None,
        balance=usd("0.00"),
        invoice_notices=True,
        facts=Facts("local", NOW),
    )


def _invoice(owner: Subscriber, number: str) -> Invoice:
    day = NOW.date()
    paid = usd("0.00")
    return Invoice(
        new_id(), owner.id, number, InvoiceStatus.OPEN, day, day, usd("5.00"), paid, 1, owner.facts
    )


def _commands_named(text: str) -> set[str]:
    return set(re.findall(r"`/isp (\w+)", text))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT, Role.LEAD, Role.ADMIN])
async def test_help_shows_exactly_the_commands_that_the_role_may_use(services: Services, role: Role) -> None:
    agent = agent_on(services, role)
    allowed = {s.name for s in services.specs if s.in_menu and role >= s.role}
    assert _commands_named(said(await agent.types("help"))) == allowed
    menu = said(await agent.run(agent.request("help", "menu")))
    assert _commands_named(menu) - {"1042"} == allowed


async def test_a_viewer_is_not_shown_resend(services: Services) -> None:
    assert "resend" not in said(await agent_on(services, Role.VIEWER).types("help"))


async def test_the_menu_and_the_page(services: Services) -> None:
    agent = agent_on(services)
    menu = await agent.run(agent.request("help", "menu"))
    golden("help_menu", menu)
    golden("help_page", await agent.presses(menu, "help.open"))


async def test_every_button_of_the_menu_leads_to_a_command_that_exists(services: Services) -> None:
    agent = agent_on(services)
    menu = await agent.run(agent.request("help", "menu"))
    for action_id in buttons(menu):
        assert action_id.partition(".")[0] in agent.commands


def test_every_command_explains_itself(services: Services) -> None:
    for spec in services.specs:
        assert spec.usage.startswith(spec.name)
        assert spec.summary
        assert not spec.in_menu or spec.examples
        assert all(example.startswith(spec.name) for example in spec.examples)


def test_an_action_without_a_role_of_its_own_needs_the_commands() -> None:
    spec = CommandSpec("x", "x", "X", role=Role.AGENT, action_roles={"boom": Role.LEAD})
    assert (spec.needs("boom"), spec.needs("open"), spec.needs("")) == (Role.LEAD, Role.AGENT, Role.AGENT)


def test_the_question_carries_on_what_was_asked_besides() -> None:
    ada, ivo = _person("7001", "Ada"), _person("7002", "Ivo")
    invoice = _invoice(ivo, "7001")
    question = legal(
        account_or_invoice(AccountOrInvoice("7001", ada, invoice, ivo), "resend.open", {"to": "a@b.example"})
    )
    assert buttons(question) == {
        "resend.open:0": {"s": str(ada.id), "to": "a@b.example"},
        "resend.open:1": {"i": str(invoice.id), "to": "a@b.example"},
    }


def test_twenty_five_hostile_names_are_listed_legally() -> None:
    people = tuple(_person(str(n), "<!channel> `*_~" + "😀" * 400) for n in range(25))
    picker = legal(narrow_down(Several(people, more=True), "find.open"))
    assert "<!channel>" not in said(picker)
    assert picker.text.startswith("25+ subscribers fit")
