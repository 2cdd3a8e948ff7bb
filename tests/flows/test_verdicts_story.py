"""Nearly seventy planted troubles, sent through the real worker over the wire, each named by /isp diagnose.

All rows of tests.flows.verdicts are planted first, one invoice run sends them, all of it settles once; then
each is diagnosed in a test of its own. Rows that touch everybody come last and act right before.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from billing.local import ImportKind, import_csv
from bot.config import load_config
from bot.wiring import open_store
from sandbox import cast_rows
from tests.desk import Desk, Message, action_ids, words
from tests.flows.test_run_story import ledger, run_card
from tests.flows.verdicts import ROWS, Row

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

TOWN = ZoneInfo("America/Los_Angeles")
FIRST = 7001
ENVELOPE = "mail.cascade.example"
WRONG_SPF = "v=spf1 mx ip4:203.0.113.25 ~all"
RIGHT_SPF = "v=spf1 mx ip4:203.0.113.25 include:spf.visp.net ~all"
ASIDE = ("messages.timeline", "diagnose.")
ARF = """From: Feedback <feedback@fbl.example>
To: {to}
Subject: FW: Your invoice
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=arf

--arf
Content-Type: text/plain

This is an abuse report.

--arf
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Desk/1.0
Version: 1
Original-Rcpt-To: {address}

--arf
Content-Type: message/rfc822

From: billing@cascade.example
To: {address}
Message-ID: {message_id}

Your invoice
--arf--
"""
FORGED = """From: MAILER-DAEMON@evil.example
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=dsn

--dsn
Content-Type: text/plain

It failed.

--dsn
Content-Type: message/delivery-status

Reporting-MTA: dns; evil.example

Final-Recipient: rfc822; {address}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown
--dsn--
"""
AWAY = """From: {address}
To: {to}
Subject: Automatic reply: Your invoice
Auto-Submitted: auto-replied

I am away until Monday.
"""


@dataclass(frozen=True)
class Person:
    """One row's subscriber."""

    row: Row
    account: str
    today: date

    @property
    def domain(self) -> str:
        return f"r{self.account}.example"

    @property
    def invoice(self) -> str:
        return f"8{self.account}"

    @property
    def older(self) -> str:
        return f"6{self.account}"

    @property
    def number(self) -> str:
        return f"+1530555{int(self.account) - FIRST + 100:04d}" if self.row.phone else ""

    def fill(self, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        names = {
            "d": self.domain,
            "D": self.domain.upper(),
            "a": self.account,
            "n": str(int(self.account) - 1),
            "yesterday": (self.today - timedelta(days=1)).isoformat(),
        }
        for name, value in names.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def filled(self, body: dict[str, Any]) -> dict[str, Any]:
        return {self.fill(k): self.fill(v) for k, v in body.items()}

    @property
    def address(self) -> str:
        """Whose mailbox behaves."""
        return str(self.fill(self.row.mailbox or self.row.to))

    def subscriber(self, **more: Any) -> cast_rows.Subscriber:
        fields: dict[str, Any] = {
            "account": self.account,
            "kind": "residential",
            "status": "active",
            "name": f"Ann Row {self.account}",
            "language": "en",
            "email_billing": self.fill(self.row.to),
            "email_service": "",
            "phone": self.number,
            "address": "1 Oak St",
            "city": "Bend",
            "state": "OR",
            "zip": "97701",
            "bill_to": "",
            "balance": "54.95",
            "currency": "USD",
            "invoice_notices": "yes",
            "sms_consent": "yes" if self.row.phone else "",
            "tags": "",
        }
        return cast_rows.Subscriber(**(fields | self.filled(self.row.facts) | more))

    def invoices(self, **more: Any) -> list[cast_rows.Invoice]:
        if self.row.invoice is None:
            return []
        made = [self._invoice(self.invoice, self.today) | self.filled(self.row.invoice) | more]
        if self.row.older:
            made.append(self._invoice(self.older, self.today - timedelta(days=31)))
        return [cast_rows.Invoice(**fields) for fields in made]

    def _invoice(self, number: str, issued: date) -> dict[str, Any]:
        return {
            "number": number,
            "account": self.account,
            "status": "open",
            "issued_on": issued.isoformat(),
            "due_on": (issued + timedelta(days=30)).isoformat(),
            "total": "54.95",
            "paid": "0.00",
            "currency": "USD",
        }


@dataclass(frozen=True)
class Town:
    people: dict[str, Person]


async def take_in(desk: Desk, **rows: Sequence[Any]) -> None:
    """New facts by the product's importer, while the product stands still: on SQLite one process writes."""
    await desk.product("TERM")
    lines = (desk.state / "environment").read_text().splitlines()
    named = (line.removeprefix("export ").partition("=") for line in lines)
    config = load_config(desk.state / "app.yaml", {name: value.strip("'") for name, _, value in named})
    store = open_store(config)
    try:
        store.engine.lock_process()
        for kind, planted in rows.items():
            file = desk.state / f"planted-{kind}.csv"
            with file.open("w", newline="", encoding="utf-8") as out:
                writer = csv.DictWriter(out, list(asdict(planted[0])))
                writer.writeheader()
                writer.writerows(asdict(row) for row in planted)
            result = await import_csv(store, 1, ImportKind(kind), file, source="csv")
            assert not result.errors, result.errors[:3]
    finally:
        await store.close()
    await desk.product("START")


async def record(desk: Desk, name: str, rtype: str, values: Any) -> None:
    await desk.call("PUT", "/sandbox/dns", {"name": name, "type": rtype, "values": values})


async def now(desk: Desk) -> datetime:
    state = await desk.call("GET", "/sandbox/state")
    return datetime.fromisoformat(state["clock"]["now"]).astimezone(TOWN)


async def advance_to(desk: Desk, then: datetime) -> None:
    await desk.call("POST", "/sandbox/clock", {"advance_s": (then - await now(desk)).total_seconds()})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(desk: Desk) -> Town:
    """Tomorrow at ten: a day on which nobody else's invoice was issued, and texts go at once."""
    morning = (await now(desk) + timedelta(days=1)).replace(hour=10, minute=0, second=0)
    await advance_to(desk, morning)
    people = {row.name: Person(row, str(FIRST + n), morning.date()) for n, row in enumerate(ROWS)}
    await desk.behaviour(relay="visp", expire_s=10 * 86400.0)
    for person in people.values():
        await plant(desk, person)
    await take_in(
        desk,
        subscribers=[p.subscriber() for p in people.values()],
        invoices=[i for p in people.values() for i in p.invoices()],
    )
    for person in people.values():
        if person.row.older:
            await send_copy(desk, person.older)
            if person.row.older_does:
                await arrives(desk, person.address)
                await DOES[person.row.older_does](desk, person)
            ended = "marked as spam" if person.row.older_does else "NOT DELIVERED"
            await says(desk, f"invoice {person.older}", ended, within_s=20)
    await the_run(desk, morning.date(), sum(p.row.waits for p in people.values()))
    for person in people.values():
        if person.row.does:
            await DOES[person.row.does](desk, person)
    await settled(desk)
    await take_in(
        desk,
        subscribers=[p.subscriber(**p.row.facts_since) for p in people.values() if p.row.facts_since],
        invoices=[p.invoices(**p.row.invoice_since)[0] for p in people.values() if p.row.invoice_since],
    )
    for person in people.values():
        for name, rtype, values in person.row.later_zone:
            await record(desk, person.fill(name), rtype, values)
    return Town(people)


async def plant(desk: Desk, person: Person) -> None:
    row = person.row
    # A mail server of its own: what one operator does is known about all of its domains.
    await record(desk, person.domain, "MX", [f"10 mx.{person.domain}."])
    await record(desk, f"mx.{person.domain}", "A", ["192.0.2.179"])
    for name, rtype, values in row.zone:
        await record(desk, person.fill(name), rtype, values)
    if row.mail:
        await desk.behaviour(address=person.address, **row.mail)
    if row.number:
        await desk.call("POST", "/sandbox/phone/behaviour", {"number": person.number, **row.number})


async def the_run(desk: Desk, since: date, waiting: int) -> None:
    await _never_stops_itself(desk)
    preview = await desk.type(f"/isp run issued since {since}", "U_LEAD")
    await desk.press(preview, "run.start", user="U_LEAD")
    if "Ask to send" in words(preview):
        card = await run_card(desk, preview["ts"], "Waits for approval")
        await desk.press(card, "run.approve", user="U_ADMIN")

    async def only_those_that_wait() -> bool:
        card = await run_card(desk, preview["ts"], "Begun")
        return ledger(card)["under way"] <= waiting and "Writing" not in words(card)

    await desk.until(only_those_that_wait, "the run is sent", 120)
    await settled(desk)


async def _never_stops_itself(desk: Desk) -> None:
    """So many planted failures would pause any run."""
    config = desk.state / "app.yaml"
    text = config.read_text("utf-8")
    assert "stop_at_percent: 5" in text
    config.write_text(text.replace("stop_at_percent: 5", "stop_at_percent: 100"), "utf-8")
    await desk.product("TERM")
    await desk.product("START")


async def settled(desk: Desk) -> None:
    """No report is due within the next minute, and every text has its last status."""

    async def quiet() -> bool:
        queue = await desk.call("GET", "/sandbox/mail/queue")
        soon = await now(desk) + timedelta(minutes=1)
        reports = [datetime.fromisoformat(one["due_at"]) for one in queue if one["work"] == "outgoing"]
        texts = await desk.call("GET", "/sandbox/phone")
        under_way = [t for t in texts if t["direction"] == "outbound" and t["status"] in ("queued", "sent")]
        return not under_way and not [at for at in reports if at < soon]

    await desk.until(quiet, "nothing is on its way", 60)


async def send_copy(desk: Desk, number: str) -> None:
    preview = await desk.type(f"/isp resend invoice {number}", "U_AGENT")
    await desk.press(preview, "resend.send")


async def arrives(desk: Desk, address: str) -> None:
    await desk.until(lambda: desk.mails(address), f"a mail to {address}")


async def says(desk: Desk, what: str, *parts: str, user: str = "U_AGENT", within_s: float = 15.0) -> Message:
    """Asked again until it says so: what was reported a moment ago may not be recorded yet."""
    last = ""

    async def look() -> Message | None:
        nonlocal last
        answer = await desk.type(f"/isp diagnose {what}", user)
        last = words(answer)
        return answer if all(part in last for part in parts) else None

    try:
        found: Message = await desk.until(look, "the diagnosis", within_s)
    except AssertionError:
        raise AssertionError(f"{what} does not say {parts} but:\n{last}") from None
    return found


# What happens after the run.


async def _inject(desk: Desk, person: Person, raw: str, to: str | None = None) -> None:
    (mail,) = await desk.mails(person.address)
    to = to or mail["envelope_from"]
    message_id = mail["headers"].get("Message-ID", "") if isinstance(mail["headers"], dict) else ""
    content = raw.format(to=to, address=person.address, message_id=message_id)
    body = {"envelope_from": "", "envelope_to": to, "raw": content}
    await desk.call("POST", "/sandbox/mail/inject", body)


async def complaint(desk: Desk, person: Person) -> None:
    await _inject(desk, person, ARF)


async def forge(desk: Desk, person: Person) -> None:
    """Somebody who holds no token of ours."""
    await _inject(desk, person, FORGED, f"b{'a' * 47}@{ENVELOPE}")


async def auto_reply(desk: Desk, person: Person) -> None:
    await _inject(desk, person, AWAY)


async def resend(desk: Desk, person: Person) -> None:
    await send_copy(desk, person.invoice)


async def hold(desk: Desk, person: Person) -> None:
    until = person.today + timedelta(days=20)
    await desk.type(f"/isp hold {person.account} until {until} paying in December", "U_AGENT")


DOES: dict[str, Callable[[Desk, Person], Awaitable[None]]] = {
    f.__name__: f for f in (complaint, forge, auto_reply, hold, resend)
}


# What touches everybody, and so comes right before the question.


async def hide_spf(desk: Desk, person: Person) -> None:
    await record(desk, ENVELOPE, "TXT", "TIMEOUT")


async def mend_spf(desk: Desk, person: Person) -> None:
    await record(desk, ENVELOPE, "TXT", [RIGHT_SPF])


async def close_relay(desk: Desk, person: Person) -> None:
    await desk.behaviour(relay="visp", refuse="connect")
    await send_copy(desk, person.invoice)


async def lock_relay(desk: Desk, person: Person) -> None:
    await desk.behaviour(relay="visp", refuse="auth", username="isp", password="secret")
    await send_copy(desk, person.invoice)


async def cut_relay(desk: Desk, person: Person) -> None:
    await desk.behaviour(relay="visp", refuse=None, username=None, password=None)
    await desk.behaviour(relay="visp", close_after_data="discard", times=50)
    await send_copy(desk, person.invoice)


async def by_night(desk: Desk, person: Person) -> None:
    """A run at half past nine in the evening."""
    await advance_to(desk, (await now(desk)).replace(hour=21, minute=30))
    preview = await desk.type(f"/isp run invoice {person.invoice}", "U_LEAD")
    await desk.press(preview, "run.start", user="U_LEAD")


async def switch_off(desk: Desk, person: Person) -> None:
    await desk.product("TERM")
    file = desk.state / "app.yaml"
    file.write_text(file.read_text().replace("send_mode: live", "send_mode: 'off'"))
    await desk.product("START")
    preview = await desk.type(f"/isp resend invoice {person.invoice}", "U_LEAD")
    await desk.press(preview, "resend.send", user="U_LEAD")


LATE: dict[str, Callable[[Desk, Person], Awaitable[None]]] = {
    f.__name__: f for f in (hide_spf, mend_spf, close_relay, lock_relay, cut_relay, by_night, switch_off)
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_the_planted_cause_is_named(desk: Desk, town: Town, row: Row) -> None:
    person = town.people[row.name]
    if row.late:
        await LATE[row.late](desk, person)
    asks = f"account {person.account}"
    wanted = [person.fill(row.says), *map(person.fill, row.shows), f"{row.sure}: "]
    answer = await says(desk, asks, *wanted, user="U_LEAD")
    # While sending is off everything says so first (bot.badges); then comes the verdict.
    said = re.sub(r"\A:no_entry: \*Sending is off[^\n]*\n", "", words(answer))
    assert said.startswith(person.fill(row.says)), said
    steps = [a for a in action_ids(answer) if not a.startswith(ASIDE)]
    assert not row.first or steps[0] == row.first, steps
    for text in map(person.fill, row.silent):
        assert text not in said, f"{text!r} must not be said:\n{said}"
    innocent(row, said)


def innocent(row: Row, said: str) -> None:
    """What holds for every verdict: nobody is blamed for what was not theirs, nothing is promised."""
    verdict = said.splitlines()[0]
    assert ("OUR PROBLEM" in verdict) == (row.ours or verdict.startswith("WAS OUR PROBLEM")), verdict
    if row.ours:
        assert "letter by letter" not in said, "the customer's address is not in question"
    assert "DELIVERED" not in verdict.replace("NOT DELIVERED", "").replace("PARTLY DELIVERED", "")
    assert "inbox" not in verdict.lower()


async def test_nothing_on_the_wire_would_have_displeased_the_real_services(desk: Desk, town: Town) -> None:
    assert [row["problem"] for row in await desk.problems()] == []
