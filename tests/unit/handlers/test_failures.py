"""/isp failures at the desk: who has no proven notice, why, and what is done for many at once."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Sequence

import pytest

from handlers.contract import Services
from handlers.csv_cells import safe
from handlers.failures import Row, Scope, read_scope
from handlers.profile import Role
from handlers.reply import File, Reply, UserError
from store.models import (
    Channel,
    Confidence,
    ContactRole,
    Delivery,
    EventKind,
    InvoiceStatus,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
)
from store.unit import Store
from tests.builders import billing_email, delivery, event, mobile, usd
from tests.conftest import FakeClock
from tests.unit.handlers.cast import add, learn, sent, set_invoice
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, golden, legal, said
from tests.unit.handlers.test_run import SINCE, notices_of, run_of, texting


async def failed(store: Store, item: Delivery, cls: str = "no_such_user", **more: object) -> None:
    hard = cls in ("no_such_user", "domain_missing")
    reason = Reason.RECIPIENT if hard else Reason.CAPACITY
    fields = {"attempt": 0, "cls": cls, "hard": hard, "reason": reason} | more
    await learn(store, event(item.id, EventKind.BOUNCED, **fields))


async def town(store: Store, services: Services) -> list[Delivery]:
    """A run of eight: three dead mailboxes, two full ones, one SPF refusal, one accepted, one left out."""
    for n in range(7):
        points = [billing_email(f"p{n}@inbox.example")]
        if n != 1:
            points.append(mobile(f"+1541555014{n}"))
        await add(store, f"300{n}", *points, invoices=(f"3000{n}",), name=f"Ann Bell{n}")
    await add(store, "3009", invoices=("30009",), name="No Way")
    run = await run_of(services, SINCE)
    items = {d.address: d for _, ds in await notices_of(store, run) for d in ds}
    for n, cls in enumerate(["no_such_user"] * 3 + ["mailbox_full"] * 2 + ["blocked_auth"]):
        await failed(store, items[f"p{n}@inbox.example"], cls)
    await learn(store, event(items["p6@inbox.example"].id, attempt=0, confidence=Confidence.HANDED_TO_RELAY))
    return [items[f"p{n}@inbox.example"] for n in range(7)]


@pytest.fixture
def texts(services: Services) -> Services:
    return texting(services, sms=None)


@pytest.fixture
def desk(services: Services) -> Agent:
    return agent_on(texting(services), Role.AGENT)


async def test_the_overview_counts_people_by_cause_with_what_helps(
    desk: Agent, texts: Services, store: Store
) -> None:
    await town(store, texts)
    overview = await desk.types("failures")
    golden("failures_overview", overview)
    assert "7 people" in said(overview)
    assert "3* · the mailbox does not exist" in said(overview)
    assert "left out: no address on file" in said(overview)
    assert "p6" not in said(overview)


async def test_the_run_s_own_list_comes_from_its_card_or_by_name(
    desk: Agent, texts: Services, store: Store, clock: FakeClock
) -> None:
    await town(store, texts)
    async with store.read(1) as tx:
        (run,) = await tx.runs.latest()
    by_name = await desk.types("failures run")
    pressed = await desk.run(desk.request("failures", "run", value={"r": str(run.id)}))
    assert said(by_name) == said(pressed)
    assert "Invoices issued since Feb 1, 2026" in said(by_name)
    clock.advance(days=2)
    assert "Nobody." in said(await desk.types("failures"))
    assert "7 people" in said(await desk.types("failures 3 days"))
    assert "7 people" in said(await desk.types("failures run"))


async def test_one_cause_lists_each_address_masked_with_its_account(
    desk: Agent, texts: Services, store: Store
) -> None:
    await town(store, texts)
    page = await desk.presses(await desk.types("failures"), "failures.cause:bounced:no_such_user")
    golden("failures_cause", page)
    text = said(page)
    assert "`3000` Ann B. · p•••@inbox.example · invoice 30000" in text
    assert "p0@inbox.example" not in text
    assert "failures.plan:retry" not in buttons(page), "a dead mailbox stays dead"
    assert "failures.plan:text" in buttons(page)
    full = await desk.presses(await desk.types("failures"), "failures.cause:bounced:mailbox_full")
    assert "failures.plan:retry" in buttons(full)


async def test_a_viewer_reads_and_has_no_buttons_that_act(
    texts: Services, services: Services, store: Store
) -> None:
    await town(store, texts)
    viewer = agent_on(texting(services), Role.VIEWER, "U_VIEWER")
    page = await viewer.presses(await viewer.types("failures"), "failures.cause:bounced:mailbox_full")
    acting = ("plan", "mine", "assign")
    assert not [a for a in buttons(page) if a.partition(".")[2].partition(":")[0] in acting]
    spec = viewer.commands["failures"].spec
    assert all(spec.needs(a) is Role.AGENT for a in ("plan", "do", "mine", "assign", "assigned"))
    assert all(spec.needs(a) is Role.VIEWER for a in ("", "cause", "export", "run", "open"))


async def test_a_cause_with_many_addresses_has_pages(desk: Agent, texts: Services, store: Store) -> None:
    for n in range(11):
        sid = await add(store, f"40{n:02}", billing_email(f"q{n}@a.example"), invoices=(f"40{n:02}1",))
        _, (item,) = await sent(
            store, f"k{n}", sid, f"q{n}@a.example", invoice=f"40{n:02}1", kind=NotificationKind.INVOICE_ISSUED
        )
        await failed(store, item)
    page = await desk.presses(await desk.types("failures"), "failures.cause:bounced:no_such_user")
    assert said(page).count("Assign…") == 8
    rest = await desk.presses(page, "failures.cause")
    assert said(rest).count("Assign…") == 3


async def test_a_text_goes_to_whom_it_can_reach_and_the_told_leave_the_list(
    desk: Agent, texts: Services, store: Store
) -> None:
    await town(store, texts)
    page = await desk.presses(await desk.types("failures"), "failures.cause:bounced:no_such_user")
    await set_invoice(store, "30002", status=InvoiceStatus.PAID, paid=usd("49.90"))
    preview = await desk.presses(page, "failures.plan:text")
    text = said(preview)
    assert "Text the link: 1 notice" in text
    assert "1 left out: no number that can be texted" in text
    assert "30002" not in text, "paid since: nobody has to be told any more"
    assert "about $0.01" in text
    press = desk.press(preview, "failures.do")
    assert "1 message on the way" in said(await desk.run(press))
    assert "nothing went out twice" in said(await desk.run(press))
    async with store.read(1) as tx:
        invoice = await tx.invoices.by_number("30000")
        assert invoice is not None
        notifications, _ = await tx.notifications.page(invoice_id=invoice.id)
        (item,) = (await tx.deliveries.of_notifications([notifications[0].id]))[notifications[0].id]
    assert (item.channel, item.address, item.priority) == (Channel.SMS, "+15415550140", Priority.NORMAL)
    assert notifications[0].context["link"].startswith("https://in.cascade.example/i/")
    after = await desk.presses(await desk.types("failures"), "failures.cause:bounced:no_such_user")
    assert "`3000`" not in said(after), "it is on its way again"


async def test_a_retry_goes_to_the_same_addresses_and_comes_back_when_it_fails_again(
    desk: Agent, texts: Services, store: Store
) -> None:
    await town(store, texts)
    page = await desk.presses(await desk.types("failures"), "failures.cause:bounced:mailbox_full")
    preview = await desk.presses(page, "failures.plan:retry")
    assert "until the mailbox was emptied" in said(preview)
    assert "2 messages on the way" in said(await desk.presses(preview, "failures.do"))
    assert "the mailbox is full" not in said(await desk.types("failures"))
    async with store.read(1) as tx:
        invoice = await tx.invoices.by_number("30003")
        assert invoice is not None
        notifications, _ = await tx.notifications.page(invoice_id=invoice.id)
        (item,) = (await tx.deliveries.of_notifications([notifications[0].id]))[notifications[0].id]
    assert item.address == "p3@inbox.example"
    await failed(store, item, "mailbox_full")
    again = await desk.presses(await desk.types("failures"), "failures.cause:bounced:mailbox_full")
    assert said(again).count("`3003`") == 1, "one row an address"


@pytest.mark.parametrize("bulk", ["text", "retry"])
async def test_two_who_press_send_at_once_send_each_notice_once(
    desk: Agent, texts: Services, store: Store, bulk: str
) -> None:
    await town(store, texts)
    other = agent_on(desk.services, Role.AGENT, "U_OTHER")
    presses = []
    for who in (desk, other):
        page = await who.presses(await who.types("failures"), "failures.cause:bounced:mailbox_full")
        preview = await who.presses(page, f"failures.plan:{bulk}")
        presses.append((who, who.press(preview, "failures.do")))
    told = await asyncio.gather(*(who.run(press) for who, press in presses))
    assert sorted(said(reply) for reply in told) == [
        ":outbox_tray: 2 messages on the way. Whoever gets it leaves the list.",
        ":outbox_tray: They are on their way already: nothing went out twice.",
    ]
    async with store.read(1) as tx:
        for number in ("30003", "30004"):
            invoice = await tx.invoices.by_number(number)
            assert invoice is not None
            _, notifications = await tx.notifications.page(invoice_id=invoice.id)
            assert notifications == 2, "the run's, and one more"


async def test_whoever_was_told_later_by_another_way_is_off_the_list(
    desk: Agent, texts: Services, store: Store
) -> None:
    items = await town(store, texts)
    assert items[0].subscriber_id is not None
    async with store.begin(1) as tx:
        await tx.subscribers.add_point(
            items[0].subscriber_id, ContactRole.BILLING, Channel.EMAIL, "new@inbox.example"
        )
    about = {"invoice": "30000", "kind": NotificationKind.RESEND}
    _, (copy,) = await sent(store, "copy", items[0].subscriber_id, "new@inbox.example", **about)
    assert "2* · the mailbox does not exist" in said(await desk.types("failures"))
    await failed(store, copy)
    text = said(await desk.types("failures"))
    assert "4* · the mailbox does not exist" in text, "one row an address"
    assert "7 people" in text


async def test_an_earlier_success_does_not_hide_that_the_overdue_notice_failed(
    desk: Agent, store: Store
) -> None:
    sid = await add(store, "1001", billing_email("dana@inbox.example"), invoices=("20001",))
    _, (first,) = await sent(
        store, "a", sid, "dana@inbox.example", invoice="20001", kind=NotificationKind.INVOICE_ISSUED
    )
    await learn(store, event(first.id, attempt=0, confidence=Confidence.ACCEPTED_BY_SERVER))
    _, (second,) = await sent(
        store, "b", sid, "dana@inbox.example", invoice="20001", kind=NotificationKind.OVERDUE
    )
    await failed(store, second, "mailbox_full")
    assert "1 person" in said(await desk.types("failures"))


async def test_somebody_takes_care_of_one_row_or_of_all(desk: Agent, texts: Services, store: Store) -> None:
    await town(store, texts)
    page = await desk.presses(await desk.types("failures"), "failures.cause:bounced:no_such_user")
    opened = await desk.answer(desk.press(page, "failures.assign:1"))
    assert opened.modal is not None
    carried = dict(opened.modal.carry or {})
    nobody = await desk.answer(desk.request("failures", "assigned", value=carried))
    assert nobody.errors is not None
    for who in ("x", "U" * 500, "<!channel>", "C_SUPPORT"):
        made_up = await desk.answer(desk.request("failures", "assigned", value=carried, inputs={"who": who}))
        assert made_up.errors is not None, who
    done = await desk.run(desk.request("failures", "assigned", value=carried, inputs={"who": "U_LEAD"}))
    assert "<@U_LEAD> takes care" in said(done)
    page = await desk.presses(await desk.types("failures"), "failures.cause:bounced:no_such_user")
    assert said(page).count("<@U_LEAD>") == 1
    assert "3 rows assigned" in said(await desk.presses(page, "failures.mine"))
    page = await desk.presses(await desk.types("failures"), "failures.cause:bounced:no_such_user")
    assert said(page).count("<@U_AGENT>") == 3
    assert "3 assigned" in said(await desk.types("failures"))


async def test_an_export_is_a_file_without_names_or_addresses_in_full(
    desk: Agent, texts: Services, store: Store
) -> None:
    await town(store, texts)
    await add(store, "=1+1", invoices=("66",), name="=cmd()")
    overview = await desk.types("failures")
    press = desk.press(overview, "failures.export")
    replies: Sequence[Reply | File] = await desk.commands["failures"].run(press, desk.services)  # type: ignore[assignment]
    file, told = replies
    assert isinstance(file, File)
    assert isinstance(told, Reply)
    legal(told)
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert len(rows) == 7
    assert rows[0]["cause"] == "the mailbox does not exist"
    assert "@inbox.example" in rows[0]["address"]
    text = file.content.decode("utf-8-sig")
    assert "p0@" not in text
    assert "Bell0" not in text


async def test_a_cause_that_is_gone_meanwhile_is_said_to_be(
    desk: Agent, texts: Services, store: Store
) -> None:
    items = await town(store, texts)
    page = await desk.presses(await desk.types("failures"), "failures.cause:bounced:blocked_auth")
    await learn(store, event(items[5].id, EventKind.DELIVERED, attempt=1))
    assert "Nobody is left" in said(await desk.presses(page, "failures.plan:retry"))


async def test_a_press_on_send_asks_again_when_more_have_failed_since(
    desk: Agent, texts: Services, store: Store
) -> None:
    items = await town(store, texts)
    page = await desk.presses(await desk.types("failures"), "failures.cause:bounced:mailbox_full")
    preview = await desk.presses(page, "failures.plan:retry")
    await failed(store, items[6], "mailbox_full", attempt=1)
    again = await desk.presses(preview, "failures.do")
    assert "failures.do" in buttons(again)
    assert buttons(again)["failures.do"]["n"] == 3


@pytest.mark.parametrize(
    ("typed", "scope"),
    [
        ("", Scope()),
        ("today", Scope()),
        ("run", Scope(run="")),
        ("3 days", Scope(days=3)),
        ("last 30 days", Scope(days=30)),
        ("7d", Scope(days=7)),
        ("week", Scope(days=7)),
    ],
)
def test_what_people_type_is_read(typed: str, scope: Scope) -> None:
    assert read_scope(typed, "/isp") == scope
    assert Scope.from_json(scope.as_json()) == scope


@pytest.mark.parametrize("typed", ["0 days", "91 days", "yesteryear", "-1 days"])
def test_what_cannot_be_read_is_asked_back(typed: str) -> None:
    with pytest.raises(UserError):
        read_scope(typed, "/isp")


async def test_a_desk_without_runs_says_so(desk: Agent) -> None:
    with pytest.raises(UserError, match="no run yet"):
        await desk.types("failures run")


def test_an_expired_notice_may_be_tried_again_and_a_suppressed_one_may_not() -> None:
    def row(**more: object) -> Row:
        return Row(None, None, None, delivery(**more))  # type: ignore[arg-type]

    assert row(outcome=Outcome.EXPIRED).may_retry
    assert row(outcome=Outcome.FAILED, reason=Reason.NETWORK).may_retry
    assert not row(outcome=Outcome.SUPPRESSED, cls="mailbox_full").may_retry
    assert not row(outcome=Outcome.BOUNCED, cls="no_such_user").may_retry
    assert not row(outcome=Outcome.BOUNCED, cls="a class of tomorrow").may_retry


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\uff1d1+1",
        "\uff20x",
        "\x00=1",
        "\u202e=1",
    ],
)
def test_no_cell_of_an_export_is_a_formula(text: str) -> None:
    assert safe(text).startswith("'")


@pytest.mark.parametrize("text", ["", "Dana W.", "3001", "a=b", " Ann", "•••• 0142", "k•••@inbox.example"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert safe(text) == text
