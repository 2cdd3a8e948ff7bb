"""From a delivery to the bytes that leave: envelope, tokens, headers; read back with the standard library."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from notifier.channels import OutgoingMessage, OutgoingText, Route, SmsRoute
from notifier.compose import Composer
from notifier.keys import DeliveryToken, Keyring
from notifier.mime import Attachment
from notifier.templates import TemplateProblem, content_hash, load
from store.models import Delivery, Notification, TemplateSource
from tests.builders import KEYRING, delivery, draft, notification

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ROUTE = Route(
    name="relay",
    kind="relay",
    host="127.0.0.1",
    port=25,
    envelope="verp",
    envelope_domain="mail.cascade.example",
    from_address="billing@cascade.example",
    from_name="Cascade Fiber",
)
WANTED = notification(context=draft().context)


def source(subject: str = "Hello", text: str = "Hello\n", html: str = "<p>Hello</p>\n") -> TemplateSource:
    return TemplateSource(content_hash(subject, text, html), "own", "en", subject, text, html)


def compose(
    item: Delivery | None = None,
    wanted: Notification = WANTED,
    template: TemplateSource | None = None,
    keyring: Keyring = KEYRING,
    **route: Any,
) -> OutgoingMessage:
    item = item or delivery("dana@inbox.example", attempt=1)
    composer = Composer(keyring, lambda: AT)
    return composer.compose(replace(ROUTE, **route), item, wanted, template or load("test", "en"))


def read(message: OutgoingMessage) -> EmailMessage:
    parsed = email.message_from_bytes(message.content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert parsed.defects == []
    return parsed


def test_the_envelope_sender_carries_a_token_that_names_delivery_attempt_and_tenant() -> None:
    item = delivery("dana@inbox.example", tenant=7, attempt=3)
    local, _, domain = compose(item).envelope_from.partition("@")
    assert KEYRING.read_delivery_token(local) == DeliveryToken(7, item.id, 3)
    assert domain == "mail.cascade.example"
    assert len(local) <= 64, "RFC 5321 section 4.5.3.1.1"


def test_a_fixed_envelope_leaves_the_token_to_the_header() -> None:
    item = delivery("dana@inbox.example", attempt=1)
    message = compose(item, envelope="fixed")
    assert message.envelope_from == "bounces@mail.cascade.example"
    token = KEYRING.read_delivery_token(str(read(message)["X-Delivery-Ref"]))
    assert token == DeliveryToken(1, item.id, 1)


@pytest.mark.parametrize("envelope", ["verp", "fixed"])
def test_header_and_envelope_id_hold_the_same_token(envelope: str) -> None:
    message = compose(envelope=envelope)
    assert str(read(message)["X-Delivery-Ref"]) == message.envelope_id


def test_another_attempt_has_another_token_and_the_same_message_id() -> None:
    item = delivery("dana@inbox.example", attempt=1)
    first, second = compose(item), compose(replace(item, attempt=2))
    assert first.envelope_from != second.envelope_from
    assert first.envelope_id != second.envelope_id
    assert read(first)["Message-ID"] == read(second)["Message-ID"] == item.message_id


def test_one_delivery_is_one_recipient_in_envelope_and_header() -> None:
    message = compose(delivery("dana@inbox.example", attempt=1))
    assert message.envelope_to == str(read(message)["To"]) == "dana@inbox.example"
    assert read(message)["Cc"] is None
    assert read(message)["Bcc"] is None


def test_from_is_the_routes_visible_sender_and_not_the_envelopes() -> None:
    (sender,) = read(compose())["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Cascade Fiber", "billing@cascade.example")


@pytest.mark.parametrize(
    "name", ["Fibra Ñandú, S.A.", 'The "Best" Net', "Cascade; Inc.", "会社 <x@y.example>"]
)
def test_any_name_of_a_provider_stays_one_name(name: str) -> None:
    (sender,) = read(compose(from_name=name))["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, "billing@cascade.example")


def test_other_machines_are_told_not_to_answer() -> None:
    assert read(compose())["Auto-Submitted"] == "auto-generated"  # RFC 3834 section 5


def test_the_date_is_business_time() -> None:
    assert read(compose())["Date"].datetime == AT


def test_both_bodies_are_rendered_from_the_frozen_context() -> None:
    parsed = read(compose())
    assert parsed["Subject"] == "Test mail from Cascade"
    for kind in ("plain", "html"):
        body = parsed.get_body((kind,))
        assert body is not None
        assert "help@cascade.example" in body.get_content()


def test_the_template_knows_the_language_it_was_asked_in() -> None:
    message = compose(wanted=replace(WANTED, language="es"), template=source("In {{ language }}"))
    assert read(message)["Subject"] == "In es"


@pytest.mark.parametrize("receipt", [True, False])
def test_a_report_of_success_is_asked_for_when_the_notification_wants_it(receipt: bool) -> None:
    assert compose(wanted=replace(WANTED, receipt=receipt)).receipt is receipt


def test_the_same_attempt_is_the_same_bytes() -> None:
    item = delivery("dana@inbox.example", attempt=1)
    assert compose(item) == compose(item)


@pytest.mark.parametrize(
    "address",
    [
        "dana@inbox.example\r\nBcc: all@inbox.example",
        "dana@inbox.example, leo@inbox.example",
        "Dana <dana@inbox.example>",
        "josé@inbox.example",
        "",
    ],
)
def test_what_is_not_one_plain_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not a plain e-mail address"):
        compose(delivery(address, attempt=1))


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r", "\x00", "\u2028"])
def test_no_value_can_add_a_header(line_end: str) -> None:
    wanted = replace(WANTED, context={"name": f"Dana{line_end}Bcc: all@inbox.example"})
    parsed = read(compose(wanted=wanted, template=source("Hello {{ name }}")))
    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "Hello Dana Bcc: all@inbox.example"


def test_no_value_can_end_a_part_of_the_message() -> None:
    item = delivery("dana@inbox.example", attempt=1)
    forged = f"--=_{item.id.hex}--\r\n\r\nThe end"
    wanted = replace(WANTED, context={"name": forged})
    parsed = read(compose(item, wanted, source(text="{{ name }}\nGoodbye\n")))
    parts = [part.get_content_type() for part in parsed.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    body = parsed.get_body(("plain",))
    assert body is not None
    assert "Goodbye" in body.get_content()


def test_a_hole_in_the_context_is_a_problem_and_never_an_empty_line() -> None:
    with pytest.raises(TemplateProblem, match="'brand' is undefined"):
        compose(wanted=replace(WANTED, context={"route": "relay"}))


TELLS = source(text="{% if attached %}The invoice is attached as a PDF.{% else %}No PDF.{% endif %}\n")
PDF = Attachment("Invoice-20042.pdf", "application/pdf", b"%PDF-1.3")


def with_pdf(*attachments: Attachment, attach_pdf: bool = True) -> EmailMessage:
    wanted = replace(WANTED, attach_pdf=attach_pdf, context={"attached": True})
    item = delivery("dana@inbox.example", attempt=1)
    return read(Composer(KEYRING, lambda: AT).compose(ROUTE, item, wanted, TELLS, attachments))


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).strip()


def test_a_mail_with_its_pdf_says_so() -> None:
    message = with_pdf(PDF)
    assert [part.get_filename() for part in message.iter_attachments()] == ["Invoice-20042.pdf"]
    assert text_of(message) == "The invoice is attached as a PDF."


def test_a_mail_whose_pdf_could_not_be_drawn_does_not_promise_it() -> None:
    message = with_pdf()
    assert message.get_content_type() == "multipart/alternative"
    assert text_of(message) == "No PDF."


def test_a_context_of_its_own_is_left_alone_where_no_pdf_was_asked_for() -> None:
    assert text_of(with_pdf(attach_pdf=False)) == "The invoice is attached as a PDF."


SMS_ROUTE = SmsRoute(
    "twilio", "+12065550100", "AC" + "0" * 32, ("secret",), callback_url="https://desk.example/twilio/status"
)


def worded(sms: str) -> TemplateSource:
    return TemplateSource(content_hash("", "", "", sms), "own", "en", "", "", "", sms)


def sms_of(sms: str, item: Delivery | None = None, wanted: Notification = WANTED) -> OutgoingText:
    item = item or delivery("+15415550142", attempt=2, expires_at=AT + timedelta(hours=3))
    return Composer(KEYRING, lambda: AT).text(SMS_ROUTE, item, wanted, worded(sms))


def test_a_text_is_its_words_and_a_callback_that_names_delivery_attempt_and_tenant() -> None:
    item = delivery("+15415550142", tenant=7, attempt=3)
    text = sms_of("  {{ brand.name }}: your invoice is ready.\n", item)
    assert (text.to, text.body) == ("+15415550142", "Cascade: your invoice is ready.")
    url, _, override = text.callback_url.partition("#")
    base, _, token = url.rpartition("/")
    assert base == "https://desk.example/twilio/status"
    assert KEYRING.read_delivery_token(token) == DeliveryToken(7, item.id, 3)
    assert override == "rc=5&rp=ct,rt,5xx", "Twilio repeats no 5xx unless it is told to"


@pytest.mark.parametrize(
    ("left", "validity_s"),
    [(timedelta(hours=3), 10_800), (timedelta(days=3), 36_000), (timedelta(0), 1), (timedelta(days=-1), 1)],
)
def test_the_carrier_gives_up_when_the_message_is_out_of_date(left: timedelta, validity_s: int) -> None:
    item = delivery("+15415550142", attempt=1, expires_at=AT + left)
    assert sms_of("Hello", item).validity_s == validity_s


def test_a_text_that_is_too_long_or_empty_is_told_plainly() -> None:
    assert len(sms_of("x" * 1600).body) == 1600
    with pytest.raises(ValueError, match="it has 1,601 characters, and a text holds 1,600 at most"):
        sms_of("x" * 1601)
    with pytest.raises(ValueError, match="there is nothing in it"):
        sms_of("{{ '' }}")


def test_a_template_without_words_for_a_text_or_with_a_hole_makes_none() -> None:
    with pytest.raises(TemplateProblem, match="has no text message"):
        Composer(KEYRING, lambda: AT).text(SMS_ROUTE, delivery("+15415550142"), WANTED, source())
    with pytest.raises(TemplateProblem, match="'nothing' is undefined"):
        sms_of("{{ nothing }}")
