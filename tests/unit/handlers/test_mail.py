"""/isp mail: routes, who refuses us, our domains, and a chart that is read at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from handlers.commands.mail import view
from handlers.commands.mail.view import bar, chart, sparkline
from handlers.contract import Services
from handlers.mail_health import MailData, Refuser, SendingDomain, Trend, trend
from handlers.profile import Role
from handlers.reply import To
from handlers.workflows.domains import DomainWatch
from handlers.workflows.oncall import Watch
from notifier.mailauth import StaticResolver
from store.models import (
    Bounces,
    DomainRecord,
    EventKind,
    EventSource,
    Incident,
    IncidentState,
    Outcome,
    Reason,
    RecordVerdict,
    RouteCounts,
    Stage,
)
from store.types import new_id
from tests.builders import NOW, delivery, event, notification
from tests.conftest import FakeClock
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import (
    HOSTILE,
    RELAY,
    Agent,
    buttons,
    golden,
    legal,
    obeyed,
    profile,
    said,
)
from tests.unit.handlers.test_domains import VISP, ZONE

OWN = replace(RELAY, name="own", host="mx.cascade.example", egress_ips=("203.0.113.25",))
MX: dict[str, object] = {
    "riverbend.com": {"MX": ["0 riverbend-com.mail.protection.outlook.com"]},
    "orchard.com": {"MX": ["0 orchard-com.mail.protection.outlook.com"]},
    "down.example": "TIMEOUT",
}


def desk(services: Services, **zone: object) -> Services:
    tenants = {1: profile(routes=(VISP, OWN)), 2: services.profile(2)}
    return replace(services, tenants=tenants, resolver=StaticResolver(ZONE | MX | zone))


async def sent(
    services: Services, addresses: Sequence[str], outcome: Outcome = Outcome.SENT, **more: Any
) -> None:
    """E-mails made and ended at this moment; `event` has what is learnt of those that failed."""
    told = more.pop("event", None)
    async with services.store.begin(1) as tx:
        for address in addresses:
            notice = notification(subscriber_id=new_id())
            fields: dict[str, Any] = {
                "notification_id": notice.id,
                "stage": Stage.CLOSED,
                "attempt": 1,
                "route": "visp",
                "outcome": outcome,
                "outcome_at": tx.now,
                "created_at": tx.now,
            }
            item = delivery(address, **(fields | more))
            await tx.notifications.add([notice])
            await tx.deliveries.add([item])
            if told is not None:
                await tx.events.append([(1, event(item.id, **({"at": tx.now} | told)))])


REPUTATION: dict[str, Any] = {
    "kind": EventKind.BOUNCED,
    "source": EventSource.SMTP,
    "cls": "blocked_reputation",
    "reason": Reason.INFRASTRUCTURE,
}
NO_USER: dict[str, Any] = {
    "kind": EventKind.BOUNCED,
    "cls": "no_such_user",
    "hard": True,
    "reason": Reason.RECIPIENT,
}
GREY: dict[str, Any] = {"kind": EventKind.DEFERRED, "cls": "rate_limited", "reason": Reason.POLICY}


async def busy(services: Services, clock: FakeClock) -> None:
    """Mail of some days: Outlook refuses us for two companies, an address is gone, a server asks to wait."""
    clock.advance(days=-3)
    await sent(services, ["gone@inbox.example"], Outcome.BOUNCED, event=NO_USER)
    clock.advance(days=2, hours=4)
    await sent(services, [f"a{n}@inbox.example" for n in range(5)])
    refused = [f"a{n}@riverbend.com" for n in range(3)] + ["b@orchard.com"]
    await sent(services, refused, Outcome.BOUNCED, event=REPUTATION)
    await sent(
        services, ["slow@greylist.example"], Outcome.NONE, event=GREY, stage=Stage.QUEUED, due_at=clock.now
    )
    clock.advance(hours=20)
    await sent(services, ["c@inbox.example"], route="own")
    async with services.store.begin(1) as tx:
        await tx.failed_attempts.take_turn(clock.now - timedelta(days=4))
    await Watch(services, 1).sweep()


async def test_the_page_tells_routes_refusers_domains_and_bounces(
    services: Services, clock: FakeClock
) -> None:
    ours = desk(services)
    await busy(ours, clock)
    await DomainWatch(ours, 1).sweep()
    agent = agent_on(ours)
    answer = await agent.types("mail")
    golden("mail", answer)
    shown = said(answer)
    assert answer.text == "Mail: Microsoft refuses us, 1 DNS record to mend."
    assert "24 h: 5 accepted, 4 refused, 1 put off · 1 waiting now" in shown
    assert ":no_entry: *Microsoft* refuses our server visp for its reputation since" in shown
    assert "*4 mails* of 4 subscribers" in shown, "two companies' domains, one operator"
    assert "@" not in shown, "nobody's address stands here"
    assert "*Bounces, 14 days*: 5, most on Mar 1 (4), today 0" in shown
    assert "does not authorise our server own" in (await agent.presses(answer, "spf.open:0")).text
    opened = await agent.presses(answer, "incidents.open:r0")
    assert "refuses our mail server" in said(opened)


async def test_bounces_are_broken_down_by_cause_and_by_operator(services: Services, clock: FakeClock) -> None:
    ours = desk(services)
    await busy(ours, clock)
    agent = agent_on(ours)
    pages = await agent.presses(await agent.types("mail"), "mail.trend")
    golden("mail_trend", pages)
    shown = said(pages)
    assert "`▁▁▁▁▁▁▁▁▁▁▁▁█▁` *4* their server does not trust our mail server" in shown
    assert "*4* Microsoft" in shown
    assert "*1* inbox.example" in shown


async def test_many_domains_are_paged(services: Services, clock: FakeClock) -> None:
    ours = desk(services)
    for n in range(20):
        await sent(ours, [f"x@d{n:02}.example"], Outcome.BOUNCED, event=NO_USER)
    agent = agent_on(ours)
    first = await agent.presses(await agent.types("mail"), "mail.trend")
    assert "1 to 8 of 20" in said(first)
    assert "mail.trend:before" not in buttons(first)
    second = await agent.presses(first, "mail.trend:more")
    third = await agent.presses(second, "mail.trend:more")
    assert "17 to 20 of 20" in said(third)
    assert third.to is To.REPLACE
    assert "mail.trend:more" not in buttons(third)
    back = await agent.presses(third, "mail.trend:before")
    assert said(back) == said(second)


async def test_before_anything_was_sent_or_looked_at_the_page_says_so(services: Services) -> None:
    answer = await agent_on(desk(services)).types("mail")
    golden("mail_empty", answer)
    shown = said(answer)
    assert answer.text == "Mail: nothing is wrong that we know of."
    assert "nothing was sent this way, nothing waits" in shown
    assert "Not seen yet" in shown
    assert "*Bounces, 14 days*: none" in shown
    assert set(buttons(answer)) == {"mail.recheck"}


async def test_a_recheck_looks_at_dns_now_and_shows_what_changed_with_before_and_after(
    services: Services, clock: FakeClock
) -> None:
    ours = desk(services)
    agent = agent_on(ours)
    first = await agent.presses(await agent.types("mail"), "mail.recheck")
    assert "nothing has changed since the last look" in said(first)
    assert "mail.drift" not in buttons(first)
    clock.advance(hours=1)
    changed = desk(services, **{"_dmarc.cascade.example": {"TXT": ["v=DMARC1; p=reject"]}})
    agent.services = changed
    second = await agent.presses(await agent.types("mail"), "mail.recheck")
    assert "1 record changed since the last look" in said(second)
    assert "last change: DMARC record, 2:00 AM" in said(second)
    shown = said(await agent.presses(second, "mail.drift"))
    assert "Before:\n```v=DMARC1; p=quarantine```\nNow:\n```v=DMARC1; p=reject```" in shown
    async with services.store.read(1) as tx:
        assert [row.action for row in await tx.audit.of("domains")] == ["mail.recheck"] * 2


async def test_dns_that_does_not_answer_is_said_and_what_was_seen_stays_with_its_age(
    services: Services, clock: FakeClock
) -> None:
    await DomainWatch(desk(services), 1).sweep()
    clock.advance(hours=5)
    down = desk(services, **{"mail.cascade.example": "TIMEOUT", "_dmarc.cascade.example": "TIMEOUT"})
    agent = agent_on(down)
    answer = await agent.presses(await agent.types("mail"), "mail.recheck")
    assert "DNS gave no answer about mail.cascade.example SPF" in said(answer)
    assert "what stands there is what was seen before" in said(answer)
    assert "seen 5 hours ago" in said(answer)


async def test_a_record_that_dns_never_answered_about_is_not_left_out(services: Services) -> None:
    down = desk(services, **{"_dmarc.cascade.example": "TIMEOUT"})
    await DomainWatch(down, 1).sweep()
    shown = said(await agent_on(down).types("mail"))
    assert ":grey_question: DMARC: not known, DNS has never answered" in shown
    assert "DKIM: we do not sign with a key of this domain" in shown


async def test_an_operator_whose_mx_does_not_answer_goes_by_its_domain(services: Services) -> None:
    ours = desk(services)
    await sent(ours, ["a@down.example"], Outcome.BOUNCED, event=REPUTATION)
    await Watch(ours, 1).sweep()
    assert "*down.example* refuses our server visp" in said(await agent_on(ours).types("mail"))


async def test_viewers_see_all_of_it_and_recheck_nothing(services: Services, clock: FakeClock) -> None:
    ours = desk(services)
    await busy(ours, clock)
    answer = await agent_on(ours, Role.VIEWER, "U_VIEWER").types("mail")
    assert "Microsoft" in said(answer)
    assert "mail.recheck" not in buttons(answer)


# --- the chart


@pytest.mark.parametrize(
    ("count", "most", "shown"),
    [
        (0, 10, ""),
        (10, 10, "█" * 14),
        (5, 10, "█" * 7),
        (1, 1000, "▏"),
        (1, 10, "█▍"),
        (0, 0, ""),
    ],
)
def test_a_bar_is_in_proportion_and_never_hides_what_there_is(count: int, most: int, shown: str) -> None:
    assert bar(count, most) == shown


def test_a_sparkline_has_its_lowest_level_for_nothing_alone() -> None:
    assert sparkline([0, 1, 50, 100]) == "▁▂▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


def test_a_line_of_the_chart_fits_a_phone_whatever_the_numbers() -> None:
    days = tuple(date(2026, 9, 20) + timedelta(days=n) for n in range(14))
    counts = (0, 7, 123_456, *[1] * 11)
    rows = chart(Trend(days, counts, (), ()), "en_US")
    assert max(map(len, rows)) <= 30
    assert rows[0] == "Sep 20       0"
    assert rows[2] == "Sep 22 123,456 ██████████████"
    assert len({row.index(c) for row in rows for c in "▏█" if c in row}) == 1, "bars begin in one column"


def test_counts_are_summed_by_what_people_call_an_operator() -> None:
    days = [date(2026, 3, 1), date(2026, 3, 2)]
    found = [
        Bounces(0, "a.example", "mailbox_full", 2),
        Bounces(1, "b.example", "mailbox_full", 3),
        Bounces(1, "c.example", "no_such_user", 1),
    ]
    made = trend(days, found, {"a.example": "Big", "b.example": "Big", "c.example": "Small"}.__getitem__)
    assert made.counts == (2, 4)
    assert made.causes == (("mailbox_full", (2, 3)), ("no_such_user", (0, 1)))
    assert made.domains == (("Big", (2, 3)), ("Small", (0, 1)))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_hostile_in_dns_or_names_is_obeyed(text: str) -> None:
    days = tuple(date(2026, 3, 1) + timedelta(days=n) for n in range(14))
    record = DomainRecord(
        text[:255], f"dkim:{text[:70]}", text, RecordVerdict.WRONG, text, NOW, text, RecordVerdict.OK, NOW
    )
    counts = RouteCounts(1, 1, 1, 1, NOW, NOW, text[:24], Reason.NONE, text)
    incident = Incident(new_id(), f"route_down:{text}"[:200], text, IncidentState.OPEN, False, 1, NOW, NOW)
    rows = tuple((text, tuple(range(14))) for _ in range(40))
    data = MailData(
        routes={"visp": counts, "own": counts},
        refusers=tuple(Refuser(text, "burst", (text,), NOW, 1, 1, new_id()) for _ in range(9)),
        ours=(incident,) * 3,
        domains=tuple(SendingDomain(text, (text,), (record,) * 6) for _ in range(4)),
        trend=Trend(days, tuple(range(14)), rows, rows),
        now=NOW,
    )
    ours = profile(routes=(VISP, OWN))
    for reply in (
        view.overview(data, ours, Role.ADMIN, note=text or "."),
        view.breakdown(data.trend, 8),
        view.drift(data, ours),
    ):
        legal(reply)
        for bad in ("<!channel", "<!here", "<@U_LEAD", "<https:"):
            assert bad not in obeyed(reply)


async def test_the_alias_and_a_page_beyond_the_end_are_answered(agent: Agent) -> None:
    beyond = agent.request("mail", "trend", value={"o": 800, "p": 1})
    assert "Nowhere on this page" in said(await agent.run(beyond))
