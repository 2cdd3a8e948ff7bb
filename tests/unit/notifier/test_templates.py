"""Templates: pinned by content, complete or refused, and nothing in a value can break out of them."""

from __future__ import annotations

import quopri
from collections.abc import Mapping
from typing import Any

import pytest

from notifier import templates
from notifier.templates import Rendered, TemplateProblem, content_hash, load, render
from store.models import NotificationKind, TemplateSource

CONTEXT: dict[str, Any] = {
    "language": "en",
    "brand": {
        "name": "Cascade Fiber",
        "support_email": "help@cascade.example",
        "support_phone": "541-555-0100",
    },
    "subscriber": {"name": "Dana Whitfield", "account": "1042"},
    "invoice": {
        "number": "INV-1042-03",
        "paid": False,
        "due": "$49.90",
        "due_on": "March 15, 2026",
        "issued_on": "March 1, 2026",
        "total": "$59.90",
    },
    "route": "relay",
}


SUBSCRIBER_CONTEXT: dict[str, Any] = {
    "package": {"name": "Fiber 500"},
    "balance": "$49.90",
    "portal_url": "https://pay.cascade.example",
    "link": "https://in.cascade.example/i/Xk3vB9qTz0aL",
    "address": "dana@inbox.example",
    "code": "K7Q2",
    "title": "Help with account 1042",
    "question": "Why is this refused?",
    "pack": "550 5.7.1 no",
    "ticket_url": "https://help.visp.example",
}


NO_MAIL = (NotificationKind.REPLY, NotificationKind.AUTO_REPLY, NotificationKind.ONCALL)


def source_of(subject: str = "s", text: str = "t", html: str = "h") -> TemplateSource:
    return TemplateSource(content_hash(subject, text, html), "own", "en", subject, text, html)


def parts(rendered: Rendered) -> tuple[str, str, str]:
    return rendered.subject, rendered.text, rendered.html


@pytest.mark.parametrize("kind", list(NotificationKind))
def test_every_template_renders_whatever_it_has_and_is_pinned_whole(kind: NotificationKind) -> None:
    try:
        source = load(kind, "en")
    except TemplateProblem:
        assert kind in NO_MAIL
        return
    assert (source.name, source.language) == (kind, "en")
    assert source.hash == content_hash(source.subject, source.text, source.html, source.sms)
    context = CONTEXT | SUBSCRIBER_CONTEXT | {"body": "Cascade Fiber"}
    texts = parts(render(source, context)) if source.text else ()
    for part in (*texts, *([templates.render_sms(source, context)] if source.sms else ())):
        assert "{{" not in part
        assert "{%" not in part
        assert "{#" not in part
        assert "Cascade Fiber" in part


@pytest.mark.parametrize("kind", [NotificationKind.INVOICE_ISSUED, NotificationKind.RESEND])
@pytest.mark.parametrize("language", ["en", "es"])
def test_an_invoice_mail_says_number_amount_and_due_date_in_both_parts(
    kind: NotificationKind, language: str
) -> None:
    rendered = render(load(kind, language), CONTEXT)
    assert load(kind, language).language == language
    for part in (rendered.text, rendered.html):
        for fact in ("INV-1042-03", "$49.90", "March 15, 2026", "1042", "help@cascade.example"):
            assert fact in part, fact
    assert "INV-1042-03" in rendered.subject
    assert rendered.subject.count("\n") == 1


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_paid_invoice_is_no_demand(language: str) -> None:
    context = CONTEXT | {"invoice": CONTEXT["invoice"] | {"paid": True, "due": "$0.00"}}
    rendered = render(load(NotificationKind.RESEND, language), context)
    for part in (rendered.text, rendered.html):
        assert "$59.90" in part
        assert "$0.00" not in part
        assert "March 15, 2026" not in part
        assert ("Paid in full" if language == "en" else "Pagada") in part


@pytest.mark.parametrize(
    ("asked", "found"), [("es", "es"), ("es-MX", "es"), ("en-GB", "en"), ("fi", "en"), ("", "en")]
)
def test_a_language_falls_back_to_its_family_and_then_to_english(asked: str, found: str) -> None:
    assert load("resend", asked).language == found


@pytest.mark.parametrize("language", ["../../etc/passwd", "es/../en", "/", "\x00", "." * 12])
def test_a_language_from_outside_cannot_name_another_file(language: str) -> None:
    assert load("resend", language).language == "en"


def test_a_template_that_does_not_exist_is_named() -> None:
    with pytest.raises(TemplateProblem, match="no template nothing_such"):
        load("nothing_such", "en")


@pytest.mark.parametrize("missing", ["brand", "subscriber", "invoice"])
def test_a_missing_fact_is_an_error_that_names_it_and_never_a_hole(missing: str) -> None:
    context = {key: value for key, value in CONTEXT.items() if key != missing}
    with pytest.raises(TemplateProblem, match=rf"Template resend\.en: .*'{missing}'"):
        render(load("resend", "en"), context)
    context[missing] = {}
    with pytest.raises(TemplateProblem, match=r"has no attribute"):
        render(load("resend", "en"), context)


def test_a_telephone_number_is_shown_only_where_there_is_one() -> None:
    brand = CONTEXT["brand"] | {"support_phone": ""}
    assert "help@cascade.example, 541-555-0100." in render(load("test", "en"), CONTEXT).text
    assert "help@cascade.example." in render(load("test", "en"), CONTEXT | {"brand": brand}).text


@pytest.mark.parametrize("kind", list(NotificationKind))
def test_a_mails_bodies_are_what_is_rendered(kind: NotificationKind) -> None:
    for language in ("en", "es"):
        if kind not in NO_MAIL and load(kind, language).text:
            source = load(kind, language)
        else:
            source = source_of("{{ x }}", "{{ subscriber.name }}\n", "{{ x }} .\n{{ subscriber.account }}")
        hostile = {"name": "Zoë <&'\"> & Söhne\r\nBcc: x \n.\n", "account": "1 = 2 "}
        context = (
            CONTEXT | SUBSCRIBER_CONTEXT | {"body": "b", "x": "a word = " * 20 + "é", "subscriber": hostile}
        )
        whole, mail = render(source, context), templates.render_mail(source, context)
        assert mail.subject == whole.subject
        for found, text in ((mail.text, whole.text), (mail.html, whole.html)):
            assert quopri.decodestring(found.octets).replace(b"\r\n", b"\n").decode() == text.replace(
                "\r\n", "\n"
            )


def test_what_a_dict_is_able_to_do_is_no_value_and_a_missing_name_in_it_is_a_problem() -> None:
    for text in ("{{ brand.copy }}", "{{ brand.items }}"):
        assert "built-in method" in render(source_of(text=text), CONTEXT).text, "as in Jinja itself"
    with pytest.raises(TemplateProblem, match="'dict object' has no attribute 'nothing'"):
        render(source_of(text="{{ brand.nothing }}"), CONTEXT)


def test_values_are_escaped_in_the_html_part_and_left_alone_in_the_text_part() -> None:
    hostile = "<script>alert('1')</script> & \"Co\" {{ invoice.number }}"
    context = CONTEXT | {"subscriber": {"name": hostile, "account": "1"}}
    rendered = render(load("resend", "en"), context)
    assert hostile in rendered.text, "and a template in a value stays text"
    assert "<script>" not in rendered.html
    assert "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp;" in rendered.html


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ brand.__init__.__globals__ }}",
        "{{ items.append(1) }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{% for %}",
        "{{ unknown_function() }}",
    ],
)
def test_a_stored_template_can_reach_nothing_and_spoil_nothing(text: str) -> None:
    context: Mapping[str, Any] = CONTEXT | {"items": []}
    with pytest.raises(TemplateProblem, match=r"Template own\.en: "):
        render(source_of(text=text), context)
    assert context["items"] == []


@pytest.mark.parametrize(
    "text",
    ["{% include 'other' %}", "{{ 1 / 0 }}", "{{ 'a' + 1 }}", "{{ brand | sum }}", "{{ route.upper(1) }}"],
)
def test_a_template_that_fails_while_rendering_is_a_template_problem_too(text: str) -> None:
    with pytest.raises(TemplateProblem, match=r"Template own\.en"):
        render(source_of(text=text), CONTEXT)


def test_the_hash_tells_apart_what_moved_between_parts() -> None:
    hashes = {
        content_hash("a", "b", "c"),
        content_hash("ab", "", "c"),
        content_hash("a", "bc", ""),
        content_hash("", "ab", "c"),
        content_hash("a", "b", "C"),
    }
    assert len(hashes) == 5


def test_the_same_source_renders_the_same_bytes_whatever_the_files_say_today() -> None:
    frozen = source_of("Hello {{ brand.name }}", "T {{ route }}\n", "<p>{{ brand.name }}</p>")
    assert parts(render(frozen, CONTEXT)) == ("Hello Cascade Fiber", "T relay\n", "<p>Cascade Fiber</p>")


def test_every_template_file_belongs_to_a_complete_set() -> None:
    names: dict[str, set[str]] = {}
    for path in templates._HERE.iterdir():
        if path.suffix in (".subject", ".txt", ".html"):
            names.setdefault(path.stem, set()).add(path.suffix)
    assert names
    assert all(found == {".subject", ".txt", ".html"} for found in names.values()), names


def test_a_providers_own_file_stands_in_for_ours_and_the_other_parts_stay() -> None:
    mine = templates.Templates({"overdue.es.subject": "Factura {{ invoice.number }} de {{ brand.name }}\n"})
    ours, found = load("overdue", "es"), mine.load("overdue", "es-MX")
    assert found.subject == "Factura {{ invoice.number }} de {{ brand.name }}\n"
    assert (found.text, found.html, found.sms) == (ours.text, ours.html, ours.sms)
    assert found.hash == content_hash(found.subject, found.text, found.html, found.sms) != ours.hash
    assert mine.load("overdue", "en") == load("overdue", "en")


def test_a_part_of_the_providers_own_is_in_each_message_that_includes_it() -> None:
    mine = templates.Templates({"parts/foot.en.txt": "Call {{ brand.support_phone }}.\n"})
    for kind in ("overdue", "reminder", "resend"):
        assert mine.load(kind, "en").text.endswith("Call {{ brand.support_phone }}.\n")
        assert mine.load(kind, "en").html == load(kind, "en").html
        assert "Call {{" not in load(kind, "en").text


def test_a_language_that_only_the_provider_writes_is_found() -> None:
    mine = templates.Templates({"resend.fr.sms": "{{ brand.name }} : {{ link }} STOP\n"})
    assert (mine.load("resend", "fr-CA").language, load("resend", "fr-CA").language) == ("fr", "en")
