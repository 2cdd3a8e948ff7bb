"""Mails with a PDF: fetched before the attempt, outside any transaction, and never a reason not to send."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from uuid import UUID

from notifier.attachments import WITHOUT_PDF
from notifier.mime import Attachment
from store.models import EventKind, Stage
from store.types import new_id
from store.unit import in_transaction
from tests.contracts.sending import MARIA, Sending, eventually

PDF = Attachment("Invoice-20042.pdf", "application/pdf", b"%PDF-1.3 drawn once")


class Drawer:
    """Fills the port; notes what it was asked for."""

    def __init__(self, *answers: Attachment | Exception | None) -> None:
        self.answers, self.asked = list(answers), list[tuple[int, UUID]]()

    async def invoice(self, tenant: int, invoice_id: UUID) -> Attachment | None:
        assert not in_transaction()
        self.asked.append((tenant, invoice_id))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_the_pdf_leaves_with_the_mail(sending: Sending) -> None:
    invoice, drawer = new_id(), Drawer(PDF)
    (item,) = await sending.queue(MARIA, invoice_id=invoice, attach_pdf=True)
    async with sending.working(attachments=drawer):
        await sending.until(item, Stage.AWAITING)
    (mail,) = await sending.mail.inbox(MARIA)
    assert b64encode(PDF.content).decode() in str(mail["raw"])
    assert drawer.asked == [(1, invoice)]
    (event,) = await sending.events(item)
    assert WITHOUT_PDF not in event.diagnostic
    assert sending.mail.problems() == []


async def test_a_pdf_that_cannot_be_drawn_stops_no_mail_and_the_timeline_says_so(sending: Sending) -> None:
    (item,) = await sending.queue(MARIA, invoice_id=new_id(), attach_pdf=True)
    async with sending.working(attachments=Drawer(None)):
        await sending.until(item, Stage.AWAITING)
    (event,) = await sending.events(item)
    assert event.kind is EventKind.ACCEPTED
    assert event.diagnostic.startswith("250 2.0.0 Ok")
    assert event.diagnostic.endswith(f"({WITHOUT_PDF})")


async def test_nothing_is_fetched_for_a_mail_without_a_pdf(sending: Sending) -> None:
    drawer = Drawer()
    items = [
        *await sending.queue(MARIA, invoice_id=new_id()),
        *await sending.queue(MARIA, attach_pdf=True),
    ]
    async with sending.working(attachments=drawer):
        for item in items:
            await sending.until(item, Stage.AWAITING)
    assert drawer.asked == []


async def test_a_store_that_is_gone_leaves_the_delivery_queued_and_not_in_doubt(sending: Sending) -> None:
    drawer = Drawer(ConnectionError("gone"), PDF)
    (item,) = await sending.queue(MARIA, invoice_id=new_id(), attach_pdf=True)
    async with sending.working(attachments=drawer):

        async def given_back() -> bool:
            row = await sending.row(item)
            return bool(drawer.asked) and (row.stage, row.attempt) == (Stage.QUEUED, 0)

        await eventually(given_back, "the delivery is given back")
        sending.clock.advance(timedelta(minutes=1))
        await sending.until(item, Stage.AWAITING, attempt=1)
    assert await sending.kinds(item) == [EventKind.ACCEPTED]
    assert await sending.copies(item) == 1
