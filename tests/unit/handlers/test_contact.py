"""Mending an address on both databases: it holds at once, survives imports, and can be taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from handlers.contacts import billing_has
from handlers.contract import CommandRequest
from handlers.profile import Role
from handlers.reply import Answer, Reply, To, UserError
from store.models import Channel, ContactOverride, ContactRole
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, billing_email, subscriber_record
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, golden, legal, said

OLD, NEW = "dana@gmial.com", "dana@gmail.com"


async def dana(store: Store, *addresses: str) -> UUID:
    points = [billing_email(address) for address in addresses or (OLD,)]
    return await cast.add(store, "1001", *points, invoices=("20001",))


async def on_file(store: Store, sid: UUID) -> list[str]:
    async with store.read(1) as tx:
        points = (await tx.subscribers.points([sid]))[sid]
    return [p.address for p in points if p.channel is Channel.EMAIL]


async def imported(store: Store, *addresses: str) -> None:
    """Billing says these addresses (again)."""
    async with store.begin(1) as tx:
        await tx.subscribers.upsert(
            [subscriber_record("1001", points=tuple(billing_email(a) for a in addresses))]
        )


def submits(agent: Agent, sid: UUID, address: str, **value: Any) -> CommandRequest:
    inputs = {"address": address} | ({"which": value.pop("which")} if "which" in value else {})
    return agent.request("contact", "mended", value={"s": str(sid)} | value, inputs=inputs)


async def mends(agent: Agent, sid: UUID, address: str = NEW, **value: Any) -> Reply:
    return await agent.run(submits(agent, sid, address, **value))


async def test_the_dialog_shows_before_and_what_was_probably_meant(agent: Agent) -> None:
    sid = await dana(agent.services.store)
    shown = await agent.types("contact 1001")
    assert OLD in said(shown)
    answer = await agent.answer(agent.request("contact", "mend", value={"s": str(sid), "g": NEW}))
    assert answer.modal is not None
    (field,) = [b for b in answer.modal.blocks if b.get("block_id") == "address"]
    assert field["element"]["initial_value"] == NEW
    assert OLD in str(answer.modal.blocks)


async def test_the_list_tells_what_is_known_of_each_address_and_carries_what_was_meant(agent: Agent) -> None:
    store = agent.services.store
    points = (
        billing_email(OLD),
        billing_email("dana@gmail,com", problem="There is a comma in the domain name."),
        billing_email("office@inbox.example"),
        billing_email("dana@down.example"),
    )
    await cast.add(store, "1001", *points, invoices=("20001",))
    await cast.add(store, "1002", billing_email("office@inbox.example"))
    await cast.suppress(store, "dana@down.example")
    shown = await agent.types("contact 1001")
    golden("contact_list", shown)
    meant = {name: value.get("g") for name, value in buttons(shown).items()}
    assert meant == {
        "contact.mend:0": NEW,
        "contact.mend:1": NEW,
        "contact.mend:2": None,
        "contact.mend:3": None,
        "contact.add": None,
    }
    dialog = await agent.answer(agent.press(shown, "contact.mend:1"))
    assert dialog.modal is not None
    assert NEW in str(dialog.modal.blocks)


async def test_since_when_an_address_is_suppressed_is_a_day_of_the_desk(
    agent: Agent, clock: FakeClock
) -> None:
    store = agent.services.store
    await cast.add(store, "1001", billing_email("dana@down.example"))
    clock.advance(hours=16)  # March 3 in UTC, 5 PM on March 2 at the desk
    await cast.suppress(store, "dana@down.example")
    assert "on our do-not-send list since March 2, 2026" in said(await agent.types("contact 1001"))


async def test_opening_the_dialog_is_a_look_at_contacts_and_audited(agent: Agent) -> None:
    sid = await dana(agent.services.store)
    request = agent.request("contact", "mend", value={"s": str(sid)})
    assert not (await agent.answer(request)).done
    assert await agent.commands["contact"].run(request, agent.services) == []
    async with agent.services.store.read(1) as tx:
        (row,) = await tx.audit.of("account:1001")
    assert row.action == "subscriber.contacts"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("not an address", "There is no @ sign"),
        ("dana lee@inbox.example", "There is a space inside the address. Ask for the address"),
        (OLD, "on file already"),
        ("dana@nowhere.example", "does not exist"),
        ("dana@nullmx.example", "takes no mail"),
        ("dana@nomx.example", "no mail server"),
        ("dana@down.example", None),
        ("office@inbox.example", None),
        (NEW, None),
    ],
)
async def test_the_new_address_is_checked_in_the_dialog(
    agent: Agent, typed: str, sentence: str | None
) -> None:
    sid = await dana(agent.services.store)
    answer = await agent.answer(submits(agent, sid, typed))
    if sentence is None:
        assert (answer.errors, answer.modal) == (None, None)
    else:
        assert answer.errors is not None
        assert sentence in answer.errors.errors["address"]


@pytest.mark.parametrize(
    ("typed", "sentence", "filled_in", "submit"),
    [
        ("dana@gmial.com,", "arrives, at a stranger's", "dana@gmail.com", "Use it"),
        ("dana@hotmial.com", "looks like a slip for hotmail.com", "dana@hotmail.com", "Use it"),
        ("dana@gmail,com", "a comma in the domain name", "dana@gmail.com", "Use it"),
        ("dana (at) inbox.example", "There is no @ sign", "dana@inbox.example", "Use it"),
        ("gone@inbox.example", "do-not-send list", "gone@inbox.example", "Save all the same"),
        (
            "books@cedar.example",
            "2 other accounts use this address",
            "books@cedar.example",
            "Save all the same",
        ),
        ("noreply@inbox.example", "nobody reads this mailbox", "noreply@inbox.example", "Save all the same"),
    ],
)
async def test_what_somebody_should_read_first_stands_on_a_second_page(
    agent: Agent, typed: str, sentence: str, filled_in: str, submit: str
) -> None:
    store = agent.services.store
    sid = await dana(store, "dana.old@inbox.example")
    await cast.suppress(store, "gone@inbox.example")
    await cast.family(store)
    await cast.add(store, "1102", billing_email("books@cedar.example"))
    answer = await agent.answer(submits(agent, sid, typed))
    assert answer.done, "nothing is saved before it was read"
    assert answer.modal is not None
    assert sentence in str(answer.modal.blocks)
    assert "dana.old@inbox.example" in str(answer.modal.blocks), "what it replaces"
    (field,) = [b for b in answer.modal.blocks if b.get("block_id") == "again1"]
    assert field["element"]["initial_value"] == filled_in
    assert answer.modal.submit == submit


async def turns_page(agent: Agent, sid: UUID, typed: str, then: str, **value: Any) -> CommandRequest:
    """The submission of the second page, in which `then` stands."""
    answer = await agent.answer(submits(agent, sid, typed, **value))
    assert answer.modal is not None
    carried = dict(answer.modal.carry or {})
    return agent.request("contact", "mended", value=carried, inputs={"again1": then})


async def test_what_was_probably_meant_is_saved_by_one_press(agent: Agent) -> None:
    sid = await dana(agent.services.store)
    request = await turns_page(agent, sid, "dana@hotmial.com", "dana@inbox.example")
    assert await agent.answer(request) == Answer()
    done = await agent.run(request)
    assert await on_file(agent.services.store, sid) == ["dana@inbox.example"]
    assert OLD in said(done)


async def test_who_has_read_it_may_keep_what_they_typed_unless_nothing_can_arrive(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store, "dana.old@inbox.example")
    kept = await turns_page(agent, sid, OLD, OLD)
    assert await agent.answer(kept) == Answer()
    dead = await turns_page(agent, sid, "dana@hotmial.com", "dana@hotmial.com")
    again = await agent.answer(dead)
    assert again.modal is not None, "nothing can arrive at hotmial.com"
    assert [b["block_id"] for b in again.modal.blocks if b["type"] == "input"] == ["again2"], (
        "Slack keeps what was typed in a field of the same name"
    )
    third = await turns_page(agent, sid, OLD, "dana@nowhere.example")
    refused = await agent.answer(third)
    assert refused.errors is not None
    assert list(refused.errors.errors) == ["again1"], "the field that is on the page"


async def test_a_suppressed_address_is_kept_but_no_resend_is_offered(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store)
    await cast.suppress(store, "gone@inbox.example")
    done = await agent.run(await turns_page(agent, sid, "gone@inbox.example", "gone@inbox.example"))
    assert set(buttons(done)) == {"contact.undo"}
    assert "until a lead releases it" in said(done)


async def test_a_second_address_is_added_beside_the_first_and_taken_back(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store, "dana@inbox.example")
    shown = await agent.types("contact 1001")
    press = agent.press(shown, "contact.add")
    opened = await agent.answer(press)
    assert opened.modal is not None
    assert (opened.modal.title, opened.done) == ("Add an address", False)
    assert "dana@inbox.example" in str(opened.modal.blocks)
    assert await agent.commands["contact"].run(press, agent.services) == []
    carried = dict(opened.modal.carry or {})
    request = agent.request("contact", "mended", value=carried, inputs={"address": NEW})
    assert await agent.answer(request) == Answer()
    first, second = await agent.run(request), await agent.run(request)
    assert first == second
    golden("contact_added", first)
    assert await on_file(store, sid) == ["dana@inbox.example", NEW]
    await imported(store, "dana@inbox.example")
    assert await on_file(store, sid) == ["dana@inbox.example", NEW]
    back = await agent.presses(first, "contact.undo")
    assert "is no address of account 1001 any more" in said(back)
    assert await on_file(store, sid) == ["dana@inbox.example"]


async def test_adding_the_address_that_is_there_already_adds_nothing(agent: Agent) -> None:
    sid = await dana(agent.services.store, "dana@inbox.example")
    request = submits(agent, sid, "dana@inbox.example", add=1)
    answer = await agent.answer(request)
    assert answer.errors is not None
    with pytest.raises(UserError, match="on file already"):
        await agent.run(request)


async def test_an_address_is_added_beside_service_addresses_and_does_not_turn_invoices_away(
    agent: Agent,
) -> None:
    store = agent.services.store
    service = replace(billing_email("dana@inbox.example"), role=ContactRole.SERVICE)
    sid = await cast.add(store, "1001", service, invoices=("20001",))
    await agent.run(submits(agent, sid, NEW, add=1))
    async with store.read(1) as tx:
        points = (await tx.subscribers.points([sid]))[sid]
    assert [(p.role, p.address) for p in points] == [
        (ContactRole.SERVICE, "dana@inbox.example"),
        (ContactRole.SERVICE, NEW),
    ]


async def test_a_mended_address_holds_at_once_and_offers_resend_and_undo(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store)
    done = await mends(agent, sid)
    golden("contact_mended", done)
    assert set(buttons(done)) == {"resend.open", "contact.undo"}
    assert "Tell billing too" in said(done)
    assert await on_file(store, sid) == [NEW]
    card = await agent.types("find 1001")
    assert "mended here, billing still has d•••@gmial.com" in said(card)


async def test_what_was_mended_is_audited_with_the_addresses_in_the_personal_part(agent: Agent) -> None:
    sid = await dana(agent.services.store)
    await mends(agent, sid)
    async with agent.services.store.read(1) as tx:
        (row,) = [r for r in await tx.audit.of("account:1001") if r.action == "contact.mend"]
    assert row.personal == {"old": OLD, "new": NEW}
    assert "gmail" not in str(row.detail)


async def test_one_dialog_mends_once_however_often_it_is_carried_out(agent: Agent) -> None:
    sid = await dana(agent.services.store)
    request = submits(agent, sid, NEW)
    first, second = await agent.run(request), await agent.run(request)
    assert first == second
    async with agent.services.store.read(1) as tx:
        assert len((await tx.overrides.active([sid]))[sid]) == 1


async def test_a_mended_address_survives_the_next_import(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store)
    await mends(agent, sid)
    await imported(store, OLD)
    assert await on_file(store, sid) == [NEW]


async def test_the_override_ends_when_billing_agrees(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store)
    await mends(agent, sid)
    await imported(store, NEW)
    assert await on_file(store, sid) == [NEW]
    async with store.read(1) as tx:
        assert await tx.overrides.active([sid]) == {}
    assert "mended here" not in said(await agent.types("find 1001"))


async def test_undo_after_billing_agreed_takes_nothing_back_and_says_so(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store)
    done = await mends(agent, sid)
    await imported(store, NEW)
    assert "Billing has this address too" in said(await agent.presses(done, "contact.undo"))
    assert await on_file(store, sid) == [NEW]


async def test_an_undo_that_is_run_again_after_a_crash_says_the_same(agent: Agent) -> None:
    sid = await dana(agent.services.store)
    press = agent.press(await mends(agent, sid), "contact.undo")
    first, second = await agent.run(press), await agent.run(press)
    assert first == second


async def test_billing_s_newer_word_counts(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store)
    await mends(agent, sid)
    await imported(store, "dana.new@inbox.example")
    assert await on_file(store, sid) == ["dana.new@inbox.example"]
    await imported(store, OLD)
    assert await on_file(store, sid) == [OLD], "an override that ended does not come back"


async def test_mending_what_was_mended_keeps_the_last(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store)
    await mends(agent, sid)
    second = await mends(agent, sid, "dana@inbox.example")
    assert f"it still has *{OLD}*" in said(second), "what lay between never was at billing"
    for asked in ("find 1001", "diagnose 1001"):
        assert "mended here, billing still has d•••@gmial.com" in said(await agent.types(asked))
    await imported(store, OLD)
    assert await on_file(store, sid) == ["dana@inbox.example"]


async def test_what_is_mended_back_to_what_billing_has_is_nothing_to_tell_billing(agent: Agent) -> None:
    sid = await dana(agent.services.store)
    await mends(agent, sid)
    back = await mends(agent, sid, OLD, w=OLD)
    assert await on_file(agent.services.store, sid) == [OLD]
    assert "billing" not in said(back)
    for asked in ("find 1001", "diagnose 1001"):
        assert "mended here" not in said(await agent.types(asked))


async def test_undo_puts_the_old_address_back_once(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store)
    done = await mends(agent, sid)
    back = await agent.presses(done, "contact.undo")
    assert back.to is To.REPLACE
    assert OLD in said(back)
    assert await on_file(store, sid) == [OLD]
    assert "already" in said(await agent.presses(done, "contact.undo"))


async def test_an_earlier_change_is_not_taken_back_over_a_later_one(agent: Agent) -> None:
    sid = await dana(agent.services.store)
    first = await mends(agent, sid)
    await mends(agent, sid, "dana@inbox.example")
    with pytest.raises(UserError, match="changed again"):
        await agent.presses(first, "contact.undo")
    async with agent.services.store.read(1) as tx:
        assert len((await tx.overrides.active([sid]))[sid]) == 2, "nothing was ended"


async def test_of_several_addresses_the_chosen_one_is_mended_in_its_place(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store, "a@cedar.example", OLD, "c@cedar.example")
    async with store.read(1) as tx:
        points = (await tx.subscribers.points([sid]))[sid]
    which = next(str(p.id) for p in points if p.address == OLD)
    answer = await agent.answer(agent.request("contact", "mend", value={"s": str(sid), "p": which}))
    assert answer.modal is not None
    (choice,) = [b for b in answer.modal.blocks if b.get("block_id") == "which"]
    assert choice["element"]["initial_option"]["value"] == which
    await mends(agent, sid, which=which)
    assert await on_file(store, sid) == ["a@cedar.example", NEW, "c@cedar.example"]


async def test_where_there_is_no_address_one_is_added_and_taken_back(agent: Agent) -> None:
    store = agent.services.store
    sid = await cast.add(store, "1001", invoices=("20001",))
    done = await mends(agent, sid)
    assert await on_file(store, sid) == [NEW]
    await imported(store)
    assert await on_file(store, sid) == [NEW]
    await agent.presses(done, "contact.undo")
    assert await on_file(store, sid) == []


async def test_an_address_that_is_gone_meanwhile_is_said(agent: Agent) -> None:
    store = agent.services.store
    sid = await dana(store)
    request = submits(agent, sid, NEW, which=str(sid))
    with pytest.raises(UserError, match="not on file any more"):
        await agent.run(request)


async def test_a_child_s_addresses_are_the_payer_s(agent: Agent) -> None:
    await cast.family(agent.services.store)
    shown = await agent.types("contact 1103")
    assert "Account 1100 pays for 1103" in said(shown)
    assert "books@cedar.example" in said(shown)


async def test_releasing_asks_why_and_is_undone_by_a_new_hard_bounce(agent: Agent) -> None:
    services = agent.services
    lead = agent_on(services, Role.LEAD, "U_LEAD")
    await dana(services.store)
    await cast.suppress(services.store, OLD)
    asked = await lead.types(f"release {OLD}")
    assert "the mailbox does not exist" in said(asked)
    dialog = await lead.answer(lead.press(asked, "release.ask"))
    assert dialog.modal is not None
    carried = dict(dialog.modal.carry or {})
    empty = await lead.answer(lead.request("release", "confirmed", value=carried, inputs={"reason": " "}))
    assert empty.errors is not None
    sure = lead.request("release", "confirmed", value=carried, inputs={"reason": "Has it again"})
    assert await lead.run(sure) == await lead.run(sure)
    async with services.store.read(1) as tx:
        assert await tx.suppressions.active([(Channel.EMAIL, OLD)]) == {}
        (row,) = [r for r in await tx.audit.of("address:email") if r.action == "suppression.release"]
    assert row.personal == {"address": OLD, "reason": "Has it again"}
    await cast.suppress(services.store, OLD)
    async with services.store.read(1) as tx:
        assert (Channel.EMAIL, OLD) in await tx.suppressions.active([(Channel.EMAIL, OLD)])


async def test_what_is_released_under_a_diagnosis_can_be_resent_at_once(agent: Agent) -> None:
    services = agent.services
    lead = agent_on(services, Role.LEAD, "U_LEAD")
    await dana(services.store, "dana@inbox.example")
    await cast.suppress(services.store, "dana@inbox.example")
    more = await lead.presses(await lead.types("diagnose 1001"), "diagnose.more")
    shown = {**buttons(await lead.types("diagnose 1001")), **buttons(more)}
    value = dict(shown["release.ask"])
    dialog = await lead.answer(lead.request("release", "ask", value=value))
    assert dialog.modal is not None
    carried = dict(dialog.modal.carry or {})
    done = await lead.run(
        lead.request("release", "confirmed", value=carried, inputs={"reason": "Has it again"})
    )
    preview = await lead.presses(done, "resend.open")
    assert "dana@inbox.example" in said(preview)
    assert "resend.send" in buttons(preview)


async def test_what_is_not_on_the_list_is_not_released(agent: Agent) -> None:
    lead = agent_on(agent.services, Role.LEAD)
    with pytest.raises(UserError, match="not on the do-not-send list"):
        await lead.types("release dana@inbox.example")


async def test_hostile_addresses_in_the_dialog_are_shown_and_obeyed_by_nobody(agent: Agent) -> None:
    hostile = "<!channel>*x*@inbox.example"
    sid = await cast.add(
        agent.services.store, "1001", billing_email(hostile, problem="There is more."), invoices=("20001",)
    )
    legal(await agent.types("contact 1001"))
    await agent.answer(agent.request("contact", "mend", value={"s": str(sid)}))
    legal(await mends(agent, sid))


async def test_a_card_whose_address_was_changed_meanwhile_opens_no_other_address(agent: Agent) -> None:
    await dana(agent.services.store, OLD, "office@inbox.example")
    card = await agent.types("contact 1001")
    stale = next(a for a, value in buttons(card).items() if a.startswith("contact.mend"))
    async with agent.services.store.read(1) as tx:
        subscriber = await tx.subscribers.by_account("1001")
    assert subscriber is not None
    await mends(agent, subscriber.id, NEW, p=buttons(card)[stale]["p"])
    with pytest.raises(UserError, match="changed meanwhile"):
        await agent.answer(agent.press(card, stale))


async def test_what_is_no_address_cannot_be_released_and_says_how_one_is_written(agent: Agent) -> None:
    with pytest.raises(UserError, match="no e-mail address and no telephone number"):
        await agent_on(agent.services, Role.LEAD).types("release foo")


@pytest.mark.parametrize(
    "typed",
    [
        "*dana*@hotmial.com",
        "`x`@gmial.com",
        "a&b@gmial.com",
        "{0}{x}@hotmial.com",
        "~_%s_~@gmail,com",
        "!channel@gmail..com",
        "d" * 64 + "@hotmial.com",
        "\u202edana@gmial.com",
    ],
)
async def test_hostile_text_on_the_second_page_is_shown_and_obeyed_by_nobody(
    agent: Agent, typed: str
) -> None:
    sid = await dana(agent.services.store, "dana@inbox.example")
    answer = await agent.answer(submits(agent, sid, typed))
    assert answer.modal is not None
    (field,) = [b for b in answer.modal.blocks if b.get("block_id") == "again1"]
    meant = field["element"]["initial_value"]
    again = agent.request("contact", "mended", value=dict(answer.modal.carry or {}), inputs={"again1": meant})
    answer = await agent.answer(again)
    if answer.modal is None and answer.errors is None:
        legal(await agent.run(again))


def test_what_billing_has_is_found_backwards_in_time() -> None:
    def change(old: str, new: str, minute: int) -> ContactOverride:
        at = NOW + timedelta(minutes=minute)
        return ContactOverride(
            new_id(), new_id(), ContactRole.BILLING, Channel.EMAIL, old, new, "U_AGENT", at
        )

    assert billing_has([change("a", "b", 1), change("b", "c", 2)], "c") == "a"
    assert billing_has([change("a", "b", 1), change("b", "a", 2)], "a") is None
    assert billing_has([change("a", "b", 1), change("c", "a", 2)], "b") == "a"
    assert billing_has([change("", "b", 1)], "b") == ""
    assert billing_has([], "b") is None
