"""An invoice by mail and by link: the PDF arrives and opens, the page tells today's truth, five tries."""

from __future__ import annotations

import asyncio
import csv
import re
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.desk import ROOT, Desk
from tests.pdf_text import texts

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """A subscriber's, which knows nothing of the sandbox."""
    async with aiohttp.ClientSession() as session:
        yield session


def cast(desk: Desk, kind: str) -> list[dict[str, str]]:
    with (desk.state / "cast" / f"{kind}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def zip_of(desk: Desk, account: str) -> str:
    return next(row["zip"] for row in cast(desk, "subscribers") if row["account"] == account)


@dataclass(frozen=True)
class Resent:
    mail: Mapping[str, Any]
    link: str
    number: str


async def resent(desk: Desk, account: str, to: str) -> Resent:
    """The invoice that an agent sent again to a fresh address."""
    preview = await desk.resend(f"{account} to {to}")
    # Its card too: one that comes later would be taken for the answer to the next command.
    await desk.shows("Accepted by inbox.example's server", after=preview["ts"])

    async def arrived() -> list[dict[str, Any]]:
        return await desk.mails(to)

    (mail,) = await desk.until(arrived, f"the mail to {to}")
    link = re.search(r"http://\S+/i/\S+", mail["text"])
    number = re.search(r"Invoice: (\S+)", mail["text"])
    assert link is not None
    assert number is not None
    return Resent(mail, link[0], number[1])


async def attached(desk: Desk, browser: aiohttp.ClientSession, mail: Mapping[str, Any]) -> bytes:
    """As the inbox opens it."""
    async with browser.get(f"{desk.url}/sandbox/mail/attachment?id={mail['id']}&number=0") as answer:
        assert answer.status == 200
        assert answer.content_type == "application/pdf"
        return await answer.read()


async def shown(browser: aiohttp.ClientSession, link: str) -> tuple[int, str]:
    async with browser.get(link) as answer:
        return answer.status, await answer.text()


async def tried(browser: aiohttp.ClientSession, link: str, zip_code: str) -> tuple[int, bytes]:
    async with browser.post(link, data={"zip": zip_code}) as answer:
        return answer.status, await answer.read()


async def test_the_invoice_arrives_as_a_pdf_that_opens(desk: Desk, browser: aiohttp.ClientSession) -> None:
    found = await resent(desk, "1001", "pdf@inbox.example")
    (listed,) = found.mail["attachments"]
    assert listed["filename"] == f"Invoice-{found.number}.pdf"
    assert listed["content_type"] == "application/pdf"
    content = await attached(desk, browser, found.mail)
    assert len(content) == listed["size"]
    assert content.startswith(b"%PDF-1.")
    said = texts(content)
    assert {found.number, "1001", "Maria Santos", "Cascade Broadband", "Page 1 of 1"} <= set(said)
    assert "The invoice is attached as a PDF." in found.mail["text"]


async def test_the_page_opens_and_the_right_zip_code_gives_the_very_pdf(
    desk: Desk, browser: aiohttp.ClientSession
) -> None:
    found = await resent(desk, "1002", "page@inbox.example")
    status, page = await shown(browser, found.link)
    name = next(row["name"] for row in cast(desk, "subscribers") if row["account"] == "1002")
    assert status == 200
    assert f"Invoice {found.number}" in page
    assert name not in page, "nothing personal before the ZIP code"
    status, content = await tried(browser, found.link, zip_of(desk, "1002"))
    assert status == 200
    assert content == await attached(desk, browser, found.mail), "one drawing for mail and page"
    assert name in texts(content)


async def test_two_recipients_get_one_drawing_of_a_revision(
    desk: Desk, browser: aiohttp.ClientSession
) -> None:
    first = await resent(desk, "1003", "first@inbox.example")
    second = await resent(desk, "1003", "second@inbox.example")
    assert first.number == second.number
    assert first.link != second.link, "each message has a link of its own"
    assert await attached(desk, browser, first.mail) == await attached(desk, browser, second.mail)


async def test_five_wrong_zip_codes_lock_one_link_and_say_whom_to_call(
    desk: Desk, browser: aiohttp.ClientSession
) -> None:
    found = await resent(desk, "1004", "lock@inbox.example")
    right = zip_of(desk, "1004")
    wrong = [f"{n:05}" for n in range(10000, 10010) if f"{n:05}" != right]
    answers = await asyncio.gather(*(tried(browser, found.link, zip_code) for zip_code in wrong[:7]))
    assert {status for status, _ in answers} == {403}
    status, page = await tried(browser, found.link, right)
    assert status == 403
    assert "Too many wrong codes" in page.decode()
    assert "541-555-0100" in page.decode()
    assert (await shown(browser, found.link))[0] == 200


async def test_a_forged_code_is_not_found(desk: Desk, browser: aiohttp.ClientSession) -> None:
    found = await resent(desk, "1005", "forged@inbox.example")
    forged = found.link[:-1] + ("A" if found.link[-1] != "A" else "B")
    status, page = await shown(browser, forged)
    assert status == 404
    assert "This link does not work" in page
    assert (await tried(browser, forged, zip_of(desk, "1005")))[0] == 404


async def test_what_was_paid_since_shows_as_paid_also_after_a_restart(
    desk: Desk, browser: aiohttp.ClientSession
) -> None:
    found = await resent(desk, "1001", "paid@inbox.example")
    before = await attached(desk, browser, found.mail)
    invoice = next(row for row in cast(desk, "invoices") if row["number"] == found.number)
    assert "Amount due" in (await shown(browser, found.link))[1]
    await desk.product("TERM")
    await take_in(desk, invoice | {"status": "paid", "paid": invoice["total"]})
    await desk.product("START")
    status, page = await shown(browser, found.link)
    assert status == 200
    assert "Paid, thank you" in page
    assert "Pay online" not in page
    status, after = await tried(browser, found.link, zip_of(desk, "1001"))
    assert status == 200
    assert after != before
    assert "Paid in full. Thank you." in texts(after)


async def take_in(desk: Desk, invoice: Mapping[str, str]) -> None:
    """One row of invoices, by the product's own importer."""
    file = desk.state / "paid.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(invoice))
        writer.writeheader()
        writer.writerow(invoice)
    command = [sys.executable, "-m", "bot.cli", "import", "invoices", str(file)]
    settings = ["--config", str(desk.state / "app.yaml"), "--environment", str(desk.state / "environment")]
    process = await asyncio.create_subprocess_exec(
        *command, *settings, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_links_grow_old_after_thirty_days(desk: Desk, browser: aiohttp.ClientSession) -> None:
    found = await resent(desk, "1009", "old@inbox.example")
    assert (await shown(browser, found.link))[0] == 200
    await desk.call("POST", "/sandbox/clock", {"advance_s": 30 * 86400 + 60})

    async def gone() -> str | None:
        status, page = await shown(browser, found.link)
        return page if status == 410 else None

    page = await desk.until(gone, "the link has expired")
    assert "This link has expired" in page
    assert "541-555-0100" in page


async def test_nothing_on_the_wire_would_have_displeased_the_real_services(desk: Desk) -> None:
    assert [row["problem"] for row in await desk.problems()] == []
    codes = re.findall(r"/i/[1-9A-HJ-NP-Za-km-z]{18}", desk.logs())
    assert codes == [], "links are secrets: no log holds one"
