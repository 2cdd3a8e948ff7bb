"""/isp proof on both databases: counted first, asked why, made, and known again by its hash."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import UUID

import pytest

from handlers.contract import Services
from handlers.profile import Role
from handlers.proofs.period import read_period, split
from handlers.reply import File, Reply, To, UserError
from handlers.workflows import proof
from store.models import AuditEntry, Confidence, EventKind, NotificationKind, Reason
from store.unit import Store
from tests.builders import event, hold_of
from tests.conftest import FakeClock
from tests.pdf_text import texts
from tests.unit.handlers import cast
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, said
from tests.unit.handlers.test_hold import TODAY

TAKEN = "250 2.0.0 Ok: queued as 4XyZ"


@pytest.fixture
def lead(services: Services) -> Agent:
    return agent_on(services, Role.LEAD, "U_LEAD")


def whole(pdf: bytes) -> str:
    """All of its words: lines are broken where the paper ends."""
    return " ".join(" ".join(texts(pdf)).split())


async def story(store: Store, clock: FakeClock) -> UUID:
    """An invoice accepted by a relay and bounced, then a copy that the new mailbox's server accepted."""
    sid = await cast.dana(store)
    context = {"invoice": {"number": "20001", "total": "$49.90", "due": "$49.90", "due_on": "Feb 15, 2026"}}
    _, (first,) = await cast.sent(
        store,
        "n1",
        sid,
        "dana@inbox.example",
        invoice="20001",
        kind=NotificationKind.INVOICE_ISSUED,
        context=context,
    )
    await cast.learn(
        store,
        event(
            first.id,
            attempt=0,
            confidence=Confidence.HANDED_TO_RELAY,
            diagnostic=TAKEN,
        ),
    )
    clock.advance(minutes=3)
    said_ = "550 5.1.1 <dana@inbox.example>: unknown; ask other.person@elsewhere.example or +15415550199"
    await cast.learn(
        store,
        event(
            first.id,
            EventKind.BOUNCED,
            attempt=0,
            key="b",
            diagnostic=said_,
            status="5.1.1",
            cls="no_such_user",
            hard=True,
            reason=Reason.RECIPIENT,
        ),
    )
    clock.advance(days=1)
    _, (copy,) = await cast.sent(store, "n2", sid, "dana@other.example", invoice="20001", context=context)
    await cast.learn(
        store,
        event(copy.id, attempt=0, confidence=Confidence.ACCEPTED_BY_SERVER, diagnostic="250 ok taken"),
    )
    clock.advance(hours=1)
    return sid


async def make(lead: Agent, asked: str, reason: str = "Dispute, counsel asked") -> tuple[File, Reply]:
    preview = await lead.types(f"proof {asked}")
    request = lead.request(
        "proof", "make", value=dict(buttons(preview)["proof.ask"]), inputs={"reason": reason}
    )
    file, reply = await lead.commands["proof"].run(request, lead.services)
    assert isinstance(file, File)
    assert isinstance(reply, Reply)
    return file, reply


async def test_the_record_tells_each_notice_with_the_other_side_s_words_and_what_it_does_not_prove(
    lead: Agent, store: Store, clock: FakeClock
) -> None:
    await story(store, clock)
    preview = await lead.types("proof 1001")
    assert "2 notices" in said(preview)
    file, reply = await make(lead, "1001")
    told = whole(file.content)
    assert "1001, Dana Whitfield" in told
    assert "Dispute, counsel asked" in told
    # Each notice, its address in full, how it ended in words that follow the confidence.
    assert "dana@inbox.example (e-mail)" in told
    assert "dana@other.example (e-mail)" in told
    assert "Not delivered: the mailbox does not exist" in told
    assert "Accepted by other.example's server" in told
    assert "Whether it was put into the inbox, and whether it was read, is not known." in told
    assert "250 2.0.0 Ok: queued as 4XyZ" in told
    assert "total $49.90" in told
    assert "2026-03-02 09:00:00 UTC (Mar 2, 2026, 1:00:00 AM PST)" in told
    # A server's words about its own recipient stay; whoever else it names is nobody's business.
    assert "<dana@inbox.example>: unknown" in told
    assert "other.person@" not in told
    assert "5550199" not in told
    # The address went onto the do-not-send list by that bounce.
    assert "dana@inbox.example put on the list (the mailbox does not exist), by bounce" in told
    assert "Not that anybody read a notice" in told
    assert "Page 1 of {pages}" not in told
    assert "Page 1 of " in told
    assert hashlib.sha256(file.content).hexdigest() in said(reply)


async def test_what_may_have_gone_out_is_not_said_to_have_stayed_here(
    lead: Agent, store: Store, clock: FakeClock
) -> None:
    sid = await cast.dana(store)
    _, (item,) = await cast.sent(store, "n1", sid, "dana@inbox.example", kind=NotificationKind.INVOICE_ISSUED)
    await cast.learn(store, event(item.id, EventKind.IN_DOUBT, attempt=0))
    await cast.learn(store, event(item.id, EventKind.EXPIRED, attempt=0, key="x", reason=Reason.STALE))
    clock.advance(hours=1)
    file, _ = await make(lead, "1001")
    told = whole(file.content)
    assert "It was not sent to this address." not in told
    assert "An attempt was cut off: it may have reached this address, and no answer proves either." in told
    assert "1 May have gone out (an attempt was cut off)" in told


async def test_the_document_is_known_again_by_its_bytes_and_an_altered_one_is_not(
    lead: Agent, store: Store, clock: FakeClock
) -> None:
    await story(store, clock)
    async with store.begin(1) as tx:
        await tx.audit.append("earlier", _entry(clock))
        await tx.audit.seal()
    file, _ = await make(lead, "invoice 20001")
    async with store.begin(1) as tx:
        await tx.audit.seal()
    found = await proof.verify(lead.services, 1, file.content)
    assert found.known
    assert found.made_by == "U_LEAD"
    assert found.broken_at is None
    assert found.head_holds
    assert dict(found.detail)["account"] == "1001"
    assert dict(found.detail)["notices"] == "2"
    altered = await proof.verify(lead.services, 1, file.content.replace(b"/Title", b"/Titel"))
    assert not altered.known
    async with store.read(1) as tx:
        head = await tx.audit.hash_at(1)
        (row,) = [e for e in await tx.audit.of(proof.subject_of(found.digest)) if e.action == proof.MADE]
    assert head is not None
    assert head in whole(file.content).replace(" ", "")
    assert row.personal == {"reason": "Dispute, counsel asked"}


def _entry(clock: FakeClock) -> AuditEntry:
    return AuditEntry(clock(), "U_AGENT", "contact.mend", "account:1001")


async def test_a_time_without_notices_and_one_with_too_many_are_told_in_words(
    lead: Agent, store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story(store, clock)
    empty = await lead.types("proof 1001 2024")
    assert "*0 notices*" in said(empty)
    assert "2 more outside of that time" in said(empty)
    file, _ = await make(lead, "1001 2024")
    assert "No notice of this period is on file" in whole(file.content)
    monkeypatch.setattr("handlers.workflows.proof.MOST_NOTICES", 1)
    monkeypatch.setattr("handlers.proofs.case.MOST_NOTICES", 1)
    crowded = await lead.types("proof 1001")
    assert "at most" in said(crowded)
    assert "proof.ask" not in buttons(crowded)
    value = dict(buttons(empty)["proof.ask"]) | {"f": "2025-01-01", "l": "2026-03-05"}
    with pytest.raises(UserError, match="more than one record holds"):
        await lead.run(lead.request("proof", "make", value=value, inputs={"reason": "why not"}))


async def test_nothing_is_made_without_a_reason(lead: Agent, store: Store) -> None:
    sid = await cast.dana(store)
    answer = await lead.answer(lead.request("proof", "make", inputs={"reason": "  "}))
    assert answer.errors is not None
    assert "reason" in answer.errors.errors
    ask = await lead.answer(lead.request("proof", "ask", value={"s": str(sid)}))
    assert ask.modal is not None
    assert ask.done


async def test_a_legal_hold_is_set_shown_told_in_the_record_and_released(
    lead: Agent, store: Store, clock: FakeClock
) -> None:
    await story(store, clock)
    async with store.begin(1) as tx:  # it began before the time asked for, and stands in it
        await tx.notes.add_hold(hold_of("1001", created_at=clock() - timedelta(days=500)))
        await tx.notes.add_hold(hold_of("bend", scope="town", reason="fire"))
        await tx.notes.add_hold(hold_of("Salem", scope="town", reason="flood"))
    held = await lead.types("proof hold 1001 letter of counsel, case 77")
    assert "nothing of it is removed by age" in said(held)
    assert "letter of counsel, case 77" in said(await lead.types("find 1001"))
    file, _ = await make(lead, "1001")
    told = whole(file.content)
    assert "legal hold by a member of staff (Slack U_LEAD), stands" in told
    assert "Account 1001: reminders held until 2026-03-20 (promise to pay)" in told
    assert "The town bend: all notices held until 2026-03-20 (fire)" in told
    assert "Salem" not in told
    await lead.presses(await lead.types("proof 1001"), "proof.released")
    assert "letter of counsel" not in said(await lead.types("find 1001"))
    async with store.read(1) as tx:
        actions = [e.action for e in await tx.audit.of("account:1001")]
    assert {"legal_hold.set", "legal_hold.release", "proof.export"} <= set(actions)
    await lead.types("proof hold 1001 again")
    typed = await lead.types("proof hold release 1001")
    assert ("is released" in said(typed), typed.to) == (True, To.ASKER), "no message that could be replaced"
    with pytest.raises(UserError, match="No legal hold stands"):
        await agent_on(lead.services, Role.LEAD, "U_OTHER").types("proof hold release 1001")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2025", "2025-01-01", "2025-12-31"),
        ("2026-02", "2026-02-01", "2026-02-28"),
        ("jan 5 to feb 3", "2026-01-05", "2026-02-03"),
        ("nov 3 to jan 5", "2025-11-03", "2026-01-05"),
        ("since 2025-06-01", "2025-06-01", "2026-03-02"),
        ("last 90 days", "2025-12-02", "2026-03-02"),
        ("all", "2000-01-01", "2026-03-02"),
        ("dec 24", "2025-12-24", "2025-12-24"),
    ],
)
def test_a_time_that_is_past_is_read_as_it_was_meant(text: str, first: str, last: str) -> None:
    found = read_period(text, TODAY)
    assert found is not None
    assert (found.first.isoformat(), found.last.isoformat()) == (first, last)
    assert split(f"1042 {text}", TODAY) == ("1042", found)
    assert split(f"invoice 20042 {text}", TODAY) == ("invoice 20042", found)


def test_what_is_no_time_is_a_name_or_asked_about() -> None:
    assert split("dana whitfield", TODAY) == ("dana whitfield", None)
    assert split("2025", TODAY) == ("2025", None)
    for wrong in ("1042 sometime", "1042 2027", "1042 mar 1 to feb 1 2025"):
        with pytest.raises(UserError):
            split(wrong, TODAY)
