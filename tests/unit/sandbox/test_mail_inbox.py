"""The inbox and what is read out of it, injected mail, and enough of it to matter."""

import asyncio
import base64
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from sandbox.mail.reading import read_mail
from sandbox.mail.sink import BRIEF, Sink, Spool
from sandbox.world import ControlError, World
from tests.unit.sandbox.mail_world import BOUNCES, MESSAGE, MailWorld

HEALTHY = "maria.santos@inbox.example"


@pytest.fixture
async def mail(tmp_path: Path) -> AsyncIterator[MailWorld]:
    world = MailWorld(tmp_path)
    await world.start()
    yield world
    await world.stop()


def invoice_mail() -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Cascade Broadband <billing@cascade.example>"
    message["To"] = HEALTHY
    message["Subject"] = "Su factura de María está lista – gracias por elegirnos"
    message["Message-ID"] = "<two@cascade.example>"
    message.set_content("Señora Núñez: adjunta va su factura.\n")
    message.add_alternative("<p>Señora Núñez</p>", subtype="html")
    message.add_attachment(b"%PDF-1.7 ...", maintype="application", subtype="pdf", filename="factura ñ.pdf")
    return message.as_bytes()


async def test_a_mail_is_shown_with_its_parts_in_words(mail: MailWorld) -> None:
    await mail.send(HEALTHY, content=invoice_mail(), mail_options=["BODY=8BITMIME"])
    (found,) = await mail.inbox(HEALTHY)
    assert found["subject"] == "Su factura de María está lista – gracias por elegirnos"
    assert found["headers"]["Subject"] == found["subject"]
    assert found["text"] == "Señora Núñez: adjunta va su factura.\r\n"
    assert found["html"].strip() == "<p>Señora Núñez</p>"
    assert found["attachments"] == [
        {"filename": "factura ñ.pdf", "content_type": "application/pdf", "size": 12}
    ]
    assert isinstance(found["headers"]["Received"], list)
    assert mail.problems() == []


async def test_an_attachment_can_be_opened_but_nothing_in_it_may_run(mail: MailWorld) -> None:
    await mail.send(HEALTHY, content=invoice_mail())
    (found,) = await mail.inbox(HEALTHY)
    response = await mail.control.get("/sandbox/mail/attachment", params={"id": found["id"], "number": "0"})
    assert response.content_type == "application/pdf"
    assert await response.read() == b"%PDF-1.7 ..."
    # A sandboxed PDF is a blank page in Chromium; under its own name it can be kept.
    assert "Content-Security-Policy" not in response.headers
    assert "filename*=UTF-8''factura%20%C3%B1.pdf" in response.headers["Content-Disposition"]
    page = EmailMessage(policy=SMTP)
    page.add_attachment("<script>", subtype="html", filename="x.html")
    await mail.send("me@inbox.example", content=page.as_bytes())
    (found,) = await mail.inbox("me@inbox.example")
    response = await mail.control.get("/sandbox/mail/attachment", params={"id": found["id"], "number": "0"})
    assert response.content_type == "application/octet-stream"
    assert response.headers["Content-Security-Policy"] == "sandbox"
    for query in ({"id": found["id"], "number": "1"}, {"id": "M99", "number": "0"}):
        assert (await mail.control.get("/sandbox/mail/attachment", params=query)).status == 404


async def test_the_list_can_be_narrowed(mail: MailWorld) -> None:
    for local in ("a", "b", "a", "a"):
        await mail.send(f"{local}@inbox.example")
    everything = await mail.get("/sandbox/mail")
    assert [entry["envelope_to"][0] for entry in everything] == ["a", "b", "a", "a"]
    ids = [entry["id"] for entry in everything]

    async def found(**query: str) -> list[str]:
        return [entry["id"] for entry in await mail.get("/sandbox/mail", **query)]

    assert await found(to="A@inbox.example") == [ids[0], ids[2], ids[3]]
    assert await found(limit="2") == ids[2:]
    assert await found(limit="0") == []
    assert await found(since=ids[1]) == ids[2:]
    assert await found(since=everything[2]["received_at"]) == ids[3:]
    assert await found(to="nobody@inbox.example") == []
    for query in ({"since": "yesterday"}, {"since": "2026-01-01T00:00:00"}, {"limit": "x"}, {"from": "me"}):
        assert (await mail.control.get("/sandbox/mail", params=query)).status == 400


async def test_an_inbox_lists_the_newest_in_brief_and_one_mail_in_full(mail: MailWorld) -> None:
    for local in ("ann", "bob", "hannah", "zoe"):
        await mail.send(f"{local}@inbox.example", content=invoice_mail())

    async def found(**query: str) -> list[dict[str, str]]:
        listed: list[dict[str, str]] = await mail.get("/sandbox/mail", brief="1", **query)
        return listed

    ann, hannah = await found(containing="ANN")
    assert (ann["envelope_to"], hannah["envelope_to"]) == ("ann@inbox.example", "hannah@inbox.example")
    assert set(ann) == set(BRIEF)
    assert [one["id"] for one in await found(containing="ann", limit="1")] == [hannah["id"]]
    assert len(await found(containing="")) == 4
    (whole,) = await mail.get("/sandbox/mail", id=ann["id"])
    assert whole["html"].strip() == "<p>Señora Núñez</p>"
    assert {key: whole[key] for key in BRIEF} == ann
    assert (await mail.control.get("/sandbox/mail", params={"id": "M99"})).status == 404
    for query in ({"id": "M1", "to": "x"}, {"containing": "x", "since": "M1"}):
        assert (await mail.control.get("/sandbox/mail", params=query)).status == 400


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"no header at all",
        b"Subject: =?utf-9?B?////?=\r\n\r\nx",
        b"Subject: =?utf-8?B?!!!?=\r\n\r\nx",
        b"Subject: caf\xe9\r\n\r\n\xff\xfe",
        b"Subject: caf\xc3\xa9\r\n\r\nx",
        b"Content-Type: text/plain; charset=nonsense\r\n\r\n\xe9",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<p",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Transfer-Encoding: base64\r\n\r\n????",
        b"From: \r\nFrom: \r\nFrom: \r\n\r\n",
        b"Content-Disposition: attachment; filename*=utf-9''%ff\r\n\r\nx",
    ],
)
def test_reading_never_raises(content: bytes) -> None:
    seen = read_mail(content)
    assert set(seen) == {"subject", "headers", "text", "html", "attachments"}


def test_raw_utf8_headers_are_read_as_such() -> None:
    assert read_mail("Subject: café\r\n\r\nx".encode())["subject"] == "café"


async def test_injected_mail_reaches_the_bounce_listener_as_it_is(mail: MailWorld) -> None:
    body = {"envelope_from": "", "envelope_to": BOUNCES, "raw": "Subject: x\n\n.dot\nend"}
    response = await mail.control.post("/sandbox/mail/inject", json=body)
    assert await response.json() == {"reply": "250 2.0.0 Ok"}
    bounced = await mail.product.next()
    assert (bounced.sender, bounced.recipient) == ("", BOUNCES)
    assert bounced.content == b"Subject: x\r\n\r\n.dot\r\nend\r\n"
    octets = b"Subject: caf\xe9\r\n\r\nx\r\n"
    encoded = base64.b64encode(octets).decode()
    body = {"envelope_from": "a@b.example", "envelope_to": BOUNCES, "raw_base64": encoded}
    await mail.control.post("/sandbox/mail/inject", json=body)
    assert (await mail.product.next()).content == octets


async def test_a_refused_injection_says_how_it_was_refused(mail: MailWorld) -> None:
    mail.product.answer = "550 5.1.1 No such bounce address"
    body = {"envelope_from": "", "envelope_to": BOUNCES, "raw": "x"}
    response = await mail.control.post("/sandbox/mail/inject", json=body)
    assert await response.json() == {"reply": "550 5.1.1 No such bounce address"}
    await mail.product_server.close()
    assert (await mail.control.post("/sandbox/mail/inject", json=body)).status == 409


@pytest.mark.parametrize(
    "body",
    [
        {"envelope_to": BOUNCES, "raw": "x"},
        {"envelope_from": "", "envelope_to": BOUNCES},
        {"envelope_from": "", "envelope_to": BOUNCES, "raw": "x", "raw_base64": "eA=="},
        {"envelope_from": "", "envelope_to": BOUNCES, "raw_base64": "?"},
        {"envelope_from": "", "envelope_to": f"{BOUNCES}>\r\nQUIT", "raw": "x"},
        {"envelope_from": "", "envelope_to": BOUNCES, "raw": "x", "when": "now"},
    ],
)
async def test_a_bad_injection_is_refused(mail: MailWorld, body: dict[str, str]) -> None:
    assert (await mail.control.post("/sandbox/mail/inject", json=body)).status == 400
    assert mail.product.received.empty()


async def test_a_thousand_mails_over_ten_connections_are_all_there(mail: MailWorld) -> None:
    async def batch(number: int) -> None:
        async with mail.client() as client:
            for place in range(100):
                await client.mail(BOUNCES)
                await client.rcpt(f"box{place}@inbox.example")
                await client.data(MESSAGE.replace(b"<one@", f"<{number}-{place}@".encode()))

    async with asyncio.timeout(20):
        await asyncio.gather(*(batch(number) for number in range(10)))
    ledger = await mail.ledger()
    assert (ledger["accepted"], ledger["unique"], ledger["refused"]) == (1000, 1000, 0)
    assert len(await mail.inbox("box7@inbox.example")) == 10


def test_a_delivery_written_twice_is_one_mail(tmp_path: Path) -> None:
    world = asyncio.run(_world(tmp_path))
    spool = Spool(tmp_path / "mail.spool")
    sink = Sink(world.documents, spool)
    now = world.clock.now()
    place = spool.append(MESSAGE)
    mail_id = sink.enter(
        route="visp", message_id="<m>", sender="", recipient="A@b.example", now=now, place=place,
        counted=True, trace=None,
    )  # fmt: skip
    assert sink.ids("a@b.example", None, None) == []
    with pytest.raises(ControlError):
        sink.content(mail_id)
    for _ in range(2):
        sink.deliver(mail_id, trace="Return-Path: <>\r\n", now=now)
    assert sink.ids("a@B.example", None, None) == [mail_id]
    assert Sink(world.documents, spool).ids(None, None, None) == [mail_id]
    assert sink.content(mail_id) == b"Return-Path: <>\r\n" + MESSAGE
    spool.close()
    world.documents.close()


async def _world(state_dir: Path) -> World:
    return World(state_dir)
