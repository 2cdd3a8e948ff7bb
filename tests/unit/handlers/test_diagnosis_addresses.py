"""What a diagnosis tells of an address beside whether its domain takes mail; both databases."""

from __future__ import annotations

import pytest

from handlers.diagnosis.lines import Mark, Step
from handlers.workflows.diagnose import examine
from store.models import SubscriberStatus
from tests.builders import billing_email
from tests.unit.handlers import cast
from tests.unit.handlers.support import Agent


async def told(agent: Agent, address: str, account: str = "1001") -> tuple[Mark, str]:
    store = agent.services.store
    sid = await cast.add(store, account, billing_email(address), invoices=("20001",))
    async with store.read(1) as tx:
        subscriber = await tx.subscribers.by_id(sid)
    assert subscriber is not None
    found = await examine(agent.services, 1, subscriber, None)
    (line,) = [line for line in found.lines if line.step is Step.ADDRESS]
    assert address not in line.text, "a channel reads it: addresses are masked"
    return line.mark, line.text


@pytest.mark.parametrize(
    ("address", "mark", "says"),
    [
        ("dana@inbox.example", Mark.OK, "d•••@inbox.example: its domain takes mail"),
        ("office@inbox.example", Mark.OK, "its domain takes mail; a mailbox of a role"),
        ("noreply@inbox.example", Mark.WARN, "its domain takes mail; by its name nobody reads it"),
        ("noemail@inbox.example", Mark.WARN, "it looks made up to fill the field"),
        ("noreply@nullmx.example", Mark.BAD, "its domain says that it takes no mail; by its name nobody"),
        ("dana@nothing.example", Mark.OK, "without an MX, so to the domain's own address"),
    ],
)
async def test_what_is_worth_knowing_stands_behind_whether_the_domain_takes_mail(
    agent: Agent, address: str, mark: Mark, says: str
) -> None:
    found = await told(agent, address)
    assert found[0] is mark
    assert says in found[1]


async def test_how_many_others_use_the_address_is_told_and_never_who(agent: Agent) -> None:
    shared = billing_email("books@cedar.example")
    await cast.add(agent.services.store, "1002", shared, name="Ana Primera")
    await cast.add(agent.services.store, "1003", shared, status=SubscriberStatus.ARCHIVED)
    mark, text = await told(agent, "books@cedar.example")
    assert (mark, text.endswith("; 1 other account uses it too")) == (Mark.OK, True)
    assert "Ana" not in text
    assert "1002" not in text
