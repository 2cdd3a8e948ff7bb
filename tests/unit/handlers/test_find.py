"""/isp find on both databases: what is found, what is asked, what is masked, what is audited."""

from __future__ import annotations

import pytest

from handlers.contract import Services
from handlers.profile import Role
from handlers.reply import To, UserError
from store.models import AuditEntry
from tests.builders import billing_email, subscriber_record
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, golden, said


async def _audit(services: Services, subject: str) -> list[AuditEntry]:
    async with services.store.read(1) as tx:
        return await tx.audit.of(subject)


NAMED = (
    *("1001", "#1001", "account 1001", "acct: #1001", "20001", "invoice 20001", "inv #20001"),
    *("Whitfield", "dana whit", "dana@inbox.example", "DANA@INBOX.EXAMPLE"),
    *("541 555 0142", "(541) 555-0142", "+15415550142"),
)


async def test_a_subscriber_is_found_however_they_are_named(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    for text in NAMED:
        reply = await agent.types(f"find {text}")
        assert "Dana Whitfield · 1001" in said(reply), text
        assert reply.to is To.ASKER


async def test_the_card_of_a_healthy_subscriber(agent: Agent) -> None:
    sid = await cast.dana(agent.services.store)
    await cast.sent(agent.services.store, "k", sid, "dana@inbox.example", invoice="20001")
    golden("find_card", await agent.types("find 1001"))


async def test_the_card_of_a_troubled_subscriber(agent: Agent) -> None:
    await cast.troubled(agent.services.store)
    await cast.suppress(agent.services.store, "sam@inbox.example")
    golden("find_card_troubled", await agent.types("find 1260"))


async def test_the_card_says_who_pays_for_whom(agent: Agent) -> None:
    await cast.family(agent.services.store)
    assert "Invoices go to account *1100*" in said(await agent.types("find 1103"))
    assert "Pays for account *1103*" in said(await agent.types("find 1100"))


async def test_contacts_are_masked_until_they_are_asked_for_and_that_is_audited(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    card = await agent.types("find 1001")
    assert "dana@inbox.example" not in said(card)
    assert "d•••@inbox.example" in said(card)
    assert "•••• 0142" in said(card)
    assert [row.action for row in await _audit(agent.services, "account:1001")] == ["subscriber.look"]
    shown = await agent.presses(card, "find.contacts")
    assert "dana@inbox.example" in said(shown)
    assert "+15415550142" in said(shown)
    assert shown.to is To.REPLACE
    assert "find.contacts" not in buttons(shown)
    rows = await _audit(agent.services, "account:1001")
    assert [(row.action, row.actor) for row in rows] == [
        ("subscriber.contacts", "U_AGENT"),
        ("subscriber.look", "U_AGENT"),
    ]


async def test_an_unusable_address_is_flagged_and_shown_as_it_was_written_only_on_the_button(
    agent: Agent,
) -> None:
    await cast.family(agent.services.store)
    card = await agent.types("find 1100")
    assert "front desk" not in said(card)
    assert "There is a space inside the address." in said(card)
    assert "front desk@cedar.example" in said(await agent.presses(card, "find.contacts"))


async def test_running_the_same_press_twice_audits_it_once(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    press = agent.press(await agent.types("find 1001"), "find.contacts")
    assert await agent.run(press) == await agent.run(press)
    actions = [row.action for row in await _audit(agent.services, "account:1001")]
    assert actions.count("subscriber.contacts") == 1


async def test_several_people_are_listed_and_none_is_guessed(agent: Agent) -> None:
    store = agent.services.store
    for account in ("1204", "1205"):
        await cast.add(store, account, billing_email("shared@inbox.example"), name=f"Kim Duarte {account}")
    picker = await agent.types("find shared@inbox.example")
    golden("find_several", picker)
    card = await agent.presses(picker, "find.open:1")
    assert "Kim Duarte 1205" in said(card)


async def test_more_than_fit_are_cut_at_twenty_five_and_that_is_said(agent: Agent) -> None:
    async with agent.services.store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record(str(3000 + n), name=f"Lee {n}") for n in range(40)])
    picker = await agent.types("find lee")
    assert len(buttons(picker)) == 25
    assert "There are more" in said(picker)
    assert picker.text.startswith("25+")


async def test_a_number_that_is_an_account_and_an_invoice_is_asked_about(agent: Agent) -> None:
    store = agent.services.store
    await cast.add(store, "7001", name="Ada Account")
    await cast.add(store, "7002", name="Ivo Invoice", invoices=("7001",))
    question = await agent.types("find 7001")
    golden("find_account_or_invoice", question)
    assert "Ada Account" in said(await agent.presses(question, "find.open:0"))
    assert "Ivo Invoice" in said(await agent.presses(question, "find.open:1"))


NOBODY = (
    *("9999", "nobody here", "no@where.example", "541 555 0199", "account 9999", "invoice 9999"),
    *("@", "%", "_ _", "\\", "' OR 1=1 --"),
)


async def test_nobody_is_found_and_the_answer_says_what_to_try(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    for text in NOBODY:
        with pytest.raises(UserError) as told:
            await agent.types(f"find {text}")
        assert told.value.sentence
        assert told.value.next_step


async def test_a_huge_question_is_answered_in_short(agent: Agent) -> None:
    with pytest.raises(UserError) as told:
        await agent.types("find " + "x" * 2000)
    assert len(told.value.sentence) < 100


async def test_asking_for_nobody_explains_how_to_ask(agent: Agent) -> None:
    with pytest.raises(UserError, match="Whom are you looking for"):
        await agent.types("find")


async def test_one_letter_is_too_little(agent: Agent) -> None:
    with pytest.raises(UserError, match="One letter"):
        await agent.types("find d")


async def test_another_tenants_subscriber_is_not_found(agent: Agent) -> None:
    async with agent.services.store.begin(2) as tx:
        await tx.subscribers.upsert([subscriber_record("1001", name="Somebody Else")])
    with pytest.raises(UserError):
        await agent.types("find 1001")


async def test_a_button_of_a_vanished_subscriber_says_so(agent: Agent) -> None:
    request = agent.request("find", "open", value={"s": "01900000-0000-7000-8000-000000000000"})
    with pytest.raises(UserError, match="not on file any more"):
        await agent.run(request)


async def test_the_menus_button_opens_a_dialog_whose_text_is_looked_up(agent: Agent) -> None:
    await cast.dana(agent.services.store)
    opened = await agent.answer(agent.request("find", "ask"))
    assert opened.done
    assert opened.modal is not None
    assert opened.modal.callback == "find.asked"
    asked = agent.request("find", "asked", inputs={"query": " 10\u200b01\u00a0"})
    assert (await agent.answer(asked)).errors is None
    assert "Dana Whitfield" in said(await agent.run(asked))


@pytest.mark.parametrize("typed", ["", "   ", "\u00a0\u200b"])
async def test_an_empty_dialog_is_refused_at_its_field(agent: Agent, typed: str) -> None:
    refused = await agent.answer(agent.request("find", "asked", inputs={"query": typed}))
    assert refused.errors is not None
    assert set(refused.errors.errors) == {"query"}


async def test_sharing_wants_one_masked_post_however_often_it_runs(agent: Agent) -> None:
    sid = await cast.dana(agent.services.store)
    press = agent.press(await agent.types("find 1001"), "find.share")
    for _ in range(2):
        assert "Shared here" in (await agent.run(press)).text
    async with agent.services.store.read(1) as tx:
        (post,) = await tx.posts.of("subscriber", f"{sid}:{press.value['n']}")
    assert post.channel == "C_SUPPORT"
    (row,) = [r for r in await _audit(agent.services, "account:1001") if r.action == "subscriber.share"]
    assert row.detail == {"channel": "C_SUPPORT"}


async def test_showing_contacts_and_sharing_need_an_agent(services: Services) -> None:
    spec = agent_on(services).commands["find"].spec
    assert spec.needs("contacts") == spec.needs("share") == Role.AGENT
    assert spec.needs("open") == spec.needs("") == Role.VIEWER
