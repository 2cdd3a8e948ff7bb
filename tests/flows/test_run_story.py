"""An invoice run over the whole town with forty planted failures: a ledger that adds up to the row against
the sandbox's own mailboxes and telephones, on both databases."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from tests.desk import Desk, Message, action_ids, words

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

TOWN = ZoneInfo("America/Los_Angeles")
KINDS: dict[str, dict[str, Any]] = {
    "no such user": {"reply": "550 5.1.1 The mailbox does not exist"},
    "full": {"bounce": {"after_s": 0.5, "status": "5.2.2", "diagnostic": "552 5.2.2 Mailbox full"}},
    "SPF": {"reply": "550 5.7.23 SPF validation failed"},
    "greylisted": {"reply": "451 4.7.1 Greylisted, try again later", "times": 1},
    "later bounce": {"bounce": {"after_s": 1.5, "status": "5.1.1", "diagnostic": "550 5.1.1 No such user"}},
}
EACH = 8
SEND = "run.start"
CARD = re.compile(r"(?:Begun|Asked for) [A-Z]")


@dataclass
class Town:
    """What the demo's own files say of the invoices of the last month, and what was planted on them."""

    since: str
    numbers: set[str]
    planted: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def audience(self) -> int:
        return len(self.numbers)

    @property
    def audience_line(self) -> str:
        """By which the card of the first run is known."""
        return f"= {self.audience:,} invoices"

    def of(self, *kinds: str) -> list[dict[str, str]]:
        return [person for kind in kinds for person in self.planted[kind]]


def rows(desk: Desk, name: str) -> list[dict[str, str]]:
    with (desk.state / "cast" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(desk: Desk) -> Town:
    """By day, so that texts go at once; with eight failures of each kind, half of them with a telephone."""
    now = datetime.fromisoformat((await desk.call("GET", "/sandbox/state"))["clock"]["now"]).astimezone(TOWN)
    if not 9 <= now.hour < 18:
        morning = now.replace(hour=10, minute=0) + timedelta(days=now.hour >= 18)
        await desk.call("POST", "/sandbox/clock", {"advance_s": (morning - now).total_seconds()})
    invoices, people = rows(desk, "invoices"), {p["account"]: p for p in rows(desk, "subscribers")}
    since = max(i["issued_on"] for i in invoices)
    mine = [i for i in invoices if i["issued_on"] >= since]
    made = Town(since, {i["number"] for i in mine})
    uses = Counter(p["email_billing"] for p in people.values())
    sound = [
        people[i["account"]] | {"number": i["number"]}
        for i in mine
        if i["status"] == "open" and int(i["account"]) > 1320 and _simple(people[i["account"]], uses)
    ]
    by_phone = [p for p in sound if _textable(p)]
    without = [p for p in sound if not _textable(p)]
    for kind, behaviour in KINDS.items():
        half = EACH // 2 if kind != "greylisted" else 0
        made.planted[kind] = [without.pop() for _ in range(half)]
        made.planted[kind] += [by_phone.pop() for _ in range(EACH - half)]
        for person in made.planted[kind]:
            await desk.behaviour(address=person["email_billing"], **behaviour)
    return made


def _simple(person: dict[str, str], uses: Counter[str]) -> bool:
    """One billing address of their own at an operator that takes our mail, and nothing against a notice."""
    address = person["email_billing"]
    sound = re.fullmatch(r"[a-z0-9.]+@(inbox|mailbox|freemail|cascade-mail)\.example", address) is not None
    plain = person["status"] == "active" and person["invoice_notices"] == "yes" and not person["bill_to"]
    return sound and plain and uses[address] == 1


def _textable(person: dict[str, str]) -> bool:
    return bool(person["phone"]) and person["sms_consent"] != "no"


def ledger(card: Message) -> dict[str, int]:
    """The numbers on a run's card."""
    text = words(card)
    patterns = {
        "accepted": r"\*([\d,]+)\* accepted by their servers",
        "handed": r"\*([\d,]+)\* handed to the relay",
        "presumed": r"\*([\d,]+)\* handed over, no bounce",
        "under way": r"\*([\d,]+)\* (?:under way|wait until it goes on)",
        "failed": r"\*([\d,]+)\* failed",
        "suppressed": r"\*([\d,]+)\* not sent: on our do-not-send list",
        "cancelled": r"\*([\d,]+)\* not sent: called back",
        "left out": r"\*([\d,]+)\* left out",
        "audience": r"= ([\d,]+) invoices",
    }
    found = {name: re.search(pattern, text) for name, pattern in patterns.items()}
    return {name: int(match[1].replace(",", "")) if match else 0 for name, match in found.items()}


def adds_up(card: Message) -> bool:
    found = ledger(card)
    return sum(number for name, number in found.items() if name != "audience") == found["audience"]


async def run_card(desk: Desk, after: str, done: str, timeout_s: float = 90) -> Message:
    """The card of the run that was begun after `after`, once it says `done`."""

    async def look() -> Message | None:
        found = [
            m
            for m in await desk.messages("U_LEAD")
            if not m["ephemeral"] and float(m["ts"]) > float(after) and CARD.search(words(m))
        ]
        return found[-1] if found and done in words(found[-1]) else None

    card: Message = await desk.until(look, f"a run's card with {done!r}", timeout_s)
    return card


async def invoice_mails(desk: Desk, known: set[str]) -> list[tuple[str, str]]:
    """(address, invoice number) of every notice in a mailbox that was not there before."""
    mails = await desk.call("GET", "/sandbox/mail?brief=1")
    found = [(m, re.match(r"(?:Your .* invoice|Su factura) (\d+)", m["subject"])) for m in mails]
    return [(m["envelope_to"], match[1]) for m, match in found if match and m["id"] not in known]


async def texts_to(desk: Desk, person: dict[str, str]) -> list[str]:
    number = person["phone"].replace("+", "%2B")
    found = await desk.call("GET", f"/sandbox/phone?number={number}") if number else []
    return [t["body"] for t in found if person["number"] in t["body"]]


async def test_a_run_over_the_town_ends_in_a_ledger_that_adds_up_to_the_row(desk: Desk, town: Town) -> None:
    before = {m["id"] for m in await desk.call("GET", "/sandbox/mail?brief=1")}
    preview = await desk.type(f"/isp run issued since {town.since}", user="U_LEAD")
    assert f"{town.audience:,} invoices" in words(preview), words(preview)
    promised, left_out = _promised(preview), ledger(preview)["left out"]
    assert promised + left_out == town.audience
    await desk.press(preview, SEND, user="U_LEAD")
    await _approved_by_another(desk, preview, promised)
    failing = town.of("no such user", "full", "SPF", "later bounce")
    by_text = [p for p in failing if _textable(p)]

    async def only_the_greylisted_wait() -> Message | None:
        card = await run_card(desk, preview["ts"], "Begun")
        found = ledger(card)
        last = found["under way"] == EACH and found["failed"] == len(failing) - len(by_text)
        return card if last and "Writing" not in words(card) else None

    await _goes_on_after_it_stopped_itself(desk, preview)
    waiting: Message = await desk.until(only_the_greylisted_wait, "only the greylisted ones wait", 180)
    assert adds_up(waiting), words(waiting)
    await desk.call("POST", "/sandbox/clock", {"advance_s": 900})
    card = await run_card(desk, preview["ts"], "All sent", 120)

    found = ledger(card)
    assert adds_up(card), words(card)
    assert (found["audience"], found["left out"]) == (town.audience, left_out)
    assert found["failed"] == len(failing) - len(by_text), words(card)
    assert found["accepted"] + found["handed"] == promised - found["failed"]
    assert f"{len(by_text)} by text" in words(card)
    for cause in ("16 × the mailbox does not exist", "8 × the mailbox is full", "8 × their server refused"):
        assert cause in words(card)
    # The witnesses: one copy in each mailbox, none where it failed, one text in place of a mail.
    copies = Counter(await invoice_mails(desk, before))
    assert max(copies.values()) == 1
    failed_addresses = {p["email_billing"] for p in failing}
    told = {number for address, number in copies if address not in failed_addresses}
    # The demo's past may still deliver (somebody greylisted): those are whom an earlier run had told.
    told &= town.numbers - await _told_before(desk, card)
    assert len(told) == promised - len(failing)
    for person in failing:
        assert len(await texts_to(desk, person)) == (person in by_text), person["account"]
    assert [row["problem"] for row in await desk.problems()] == []


async def _approved_by_another(desk: Desk, preview: Message, promised: int) -> None:
    """More than 300 in the demo: whoever asks cannot be who approves."""
    card = await run_card(desk, preview["ts"], "Waits for approval")
    assert f"*{promised:,} notices*" in words(card), words(card)
    await desk.press(card, "run.approve", user="U_LEAD")
    await desk.shows("You asked for this run yourself", user="U_LEAD", after=preview["ts"])
    await desk.press(card, "run.approve", user="U_AGENT")
    await desk.shows("is not enough for that", user="U_AGENT", after=preview["ts"])
    await desk.press(card, "run.approve", user="U_ADMIN")


async def _goes_on_after_it_stopped_itself(desk: Desk, preview: Message) -> None:
    """One in eleven fails by plan, and those that were greylisted still wait: it pauses and tells."""
    card = await run_card(desk, preview["ts"], "Paused.", 120)
    assert re.search(r"\d+ of \d+ messages failed: more than 5%", words(card)), words(card)
    assert "by itself: too many failed" in words(card)
    alert = await desk.shows("An invoice run has paused itself", channel="C_ONCALL")
    assert "press Resume" in words(alert)
    await desk.press(card, "run.resume", user="U_LEAD")
    await desk.shows("Going on with", user="U_LEAD", after=preview["ts"])


async def _told_before(desk: Desk, card: Message) -> set[str]:
    """The numbers of the invoices that the run left out because an earlier one had told of them."""
    await desk.press(card, "run.left", user="U_LEAD")
    listed = await desk.shows("Left out of this run", user="U_LEAD", after=card["ts"])
    await desk.press(listed, "run.left:already", user="U_LEAD")
    page = await desk.shows("Left out: a notice went out already", user="U_LEAD", after=listed["ts"])
    return set(re.findall(r"invoice (\d+) · a notice went out already", words(page)))


def _promised(preview: Message) -> int:
    found = re.search(r"(?:Send|Ask to send) ([\d,]+)", words(preview))
    assert found is not None, words(preview)
    return int(found[1].replace(",", ""))


async def test_failures_are_those_whom_no_way_reached(desk: Desk, town: Town) -> None:
    overview = await desk.type("/isp failures run")
    lost = [p for p in town.of("no such user", "full", "SPF", "later bounce") if not _textable(p)]
    assert f"{len(lost)} people" in words(overview), words(overview)
    listed: set[str] = set()
    for cause in ("bounced:no_such_user", "bounced:mailbox_full", "bounced:blocked_auth"):
        await desk.press(overview, f"failures.cause:{cause}")
        page = await desk.shows("Assign all to me", after=overview["ts"])
        listed |= set(re.findall(r"`(\d{4})`", words(page)))
        retry = [a for a in action_ids(page) if a.startswith("failures.plan:retry")]
        assert bool(retry) == (cause != "bounced:no_such_user"), words(page)
        assert "failures.plan:text" in action_ids(page)
        overview = await desk.type("/isp failures run")
    assert listed == {p["account"] for p in lost}


async def test_what_was_mended_is_tried_again_and_leaves_the_list(desk: Desk, town: Town) -> None:
    mended = [p for p in town.of("full") if not _textable(p)]
    for person in town.of("full"):
        await desk.behaviour(address=person["email_billing"])
    overview = await desk.type("/isp failures run")
    await desk.press(overview, "failures.cause:bounced:mailbox_full")
    page = await desk.shows("Try again", after=overview["ts"])
    await desk.press(page, "failures.plan:retry")
    preview = await desk.shows("Try again: 4 notices", after=page["ts"])
    await desk.press(preview, "failures.do")
    await desk.shows("4 messages on the way", after=overview["ts"])
    again = await desk.type("/isp failures run")
    assert "the mailbox is full" not in words(again)

    async def arrived() -> bool:
        return all([len(await desk.mails(p["email_billing"])) >= 1 for p in mended])

    await desk.until(arrived, "the copies")


async def test_an_export_lies_in_the_direct_message_and_is_masked(desk: Desk, town: Town) -> None:
    overview = await desk.type("/isp failures run")
    await desk.press(overview, "failures.export")
    await desk.shows("The file is in your direct message", after=overview["ts"])

    async def filed() -> Message | None:
        found = [m for m in await desk.messages("U_AGENT", "D_U_AGENT") if m["files"]]
        return found[-1] if found else None

    message = await desk.until(filed, "a file in the direct message")
    assert message["files"][0]["name"] == "failures.csv"
    assert "without a proven notice" in message["text"]


async def test_a_second_run_tells_nobody_twice(desk: Desk, town: Town) -> None:
    again = await desk.type(f"/isp run issued since {town.since}", user="U_LEAD")
    assert "is left whom a run could tell" in words(again)
    assert SEND not in action_ids(again)
    assert ledger(again)["left out"] == town.audience


async def test_a_run_cancelled_in_the_middle_calls_back_what_waits(desk: Desk, town: Town) -> None:
    before = {m["id"] for m in await desk.call("GET", "/sandbox/mail?brief=1")}
    for domain in ("inbox", "mailbox", "freemail", "cascade-mail"):
        await desk.behaviour(domain=f"{domain}.example", slow_s=2)
    preview = await desk.type("/isp run overdue", user="U_LEAD")
    promised = _promised(preview)
    await desk.press(preview, SEND, user="U_LEAD")
    card = await run_card(desk, preview["ts"], "under way")
    await desk.press(card, "run.pause", user="U_LEAD")
    await desk.shows("Nothing is lost", user="U_LEAD", after=preview["ts"])
    paused = await run_card(desk, preview["ts"], "Paused.")
    assert adds_up(paused), words(paused)
    await desk.press(paused, "run.resume", user="U_ADMIN")
    await desk.shows("Going on with", user="U_ADMIN", after=preview["ts"])
    card = await run_card(desk, preview["ts"], "resumed")
    await desk.press(card, "run.cancel", user="U_LEAD")
    answer = await desk.shows("Cancelled. ", user="U_LEAD", after=preview["ts"])
    called = re.search(r"([\d,]+) messages? called back", words(answer))
    assert called is not None, words(answer)
    assert 0 < int(called[1]) <= promised

    async def still() -> Message | None:
        card = await run_card(desk, preview["ts"], "Cancelled")
        return card if ledger(card)["under way"] == 0 else None

    card = await desk.until(still, "nothing under way", 60)
    found = ledger(card)
    assert adds_up(card), words(card)
    assert found["cancelled"] > 0
    assert found["cancelled"] + found["handed"] + found["accepted"] + found["failed"] == promised
    assert "run.cancel" not in action_ids(card)
    mails = {number for _, number in await invoice_mails(desk, before)}
    assert len(mails) <= promised - found["cancelled"]


async def test_a_run_begun_before_the_product_is_killed_goes_on_where_it_was(desk: Desk, town: Town) -> None:
    """Four months at once: several batches, so that the kill falls among them."""
    for domain in ("inbox", "mailbox", "freemail", "cascade-mail"):
        await desk.behaviour(domain=f"{domain}.example")
    since = (date.fromisoformat(town.since) - timedelta(days=100)).isoformat()
    preview = await desk.type(f"/isp run issued since {since}", user="U_LEAD")
    promised, left_out = _promised(preview), ledger(preview)["left out"]
    assert promised + left_out > 1500
    await desk.press(preview, SEND, user="U_LEAD")
    await desk.product("KILL")
    await desk.product("START")
    card = await run_card(desk, preview["ts"], f"= {promised + left_out:,} invoices")
    assert adds_up(card), words(card)

    async def written() -> Message | None:
        card = await run_card(desk, preview["ts"], "Begun")
        return card if "Writing" not in words(card) else None

    card = await desk.until(written, "all of it is written")
    assert ledger(card)["left out"] == left_out
    await desk.press(card, "run.more", user="U_VIEWER")
    more = await desk.shows("Ledger: ", user="U_VIEWER", after=preview["ts"])
    assert words(more).count("it adds up") == 2, words(more)
    assert "is left whom a run could tell" in words(
        await desk.type(f"/isp run issued since {since}", user="U_LEAD")
    )


async def test_a_run_settles_when_no_bounce_can_come_any_more(desk: Desk, town: Town) -> None:
    await desk.call("POST", "/sandbox/clock", {"advance_s": 74 * 3600})

    async def settled() -> Message | None:
        found = [m for m in await desk.messages("U_LEAD") if town.audience_line in words(m)]
        return found[-1] if found and "\n*Settled*" in words(found[-1]) else None

    card: Message = await desk.until(settled, "the run is settled", 60)
    assert adds_up(card), words(card)
    assert "handed over, no bounce in 72 hours" in words(card)
    assert "run.cancel" not in action_ids(card)
