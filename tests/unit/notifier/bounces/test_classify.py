"""Live SMTP answers: class, hardness, fault and permanence."""

from __future__ import annotations

import pytest

from notifier.bounces import BounceClass, Fault, classify_reply
from notifier.bounces import rules as tables
from notifier.bounces.classify import (
    Stage,
    answer_in,
    enhanced_in,
    judge,
    reply_code_in,
    stage_in,
)
from notifier.bounces.codes import GENERIC, REPLY_CODES, SPECIFIC
from notifier.bounces.rulebook import normalised

from .replies import REPLIES

ROWS = [(cls, *row) for cls, rows in REPLIES.items() for row in rows]


@pytest.mark.parametrize(
    ("cls", "code", "enhanced", "text"), ROWS, ids=[f"{r[0]}: {r[3][:50]}" for r in ROWS]
)
def test_answer_of_a_real_system_gets_its_class(
    cls: BounceClass, code: str, enhanced: str, text: str
) -> None:
    assert classify_reply(code or None, enhanced or None, text).cls is cls


@pytest.mark.parametrize("detail", sorted(SPECIFIC))
def test_specific_status_code_decides_where_the_words_say_nothing(detail: str) -> None:
    assert classify_reply(550, f"5.{detail}", "oops").cls is SPECIFIC[detail]


@pytest.mark.parametrize("detail", [d for d in sorted(GENERIC) if "." in d])
def test_generic_status_code_is_the_last_resort(detail: str) -> None:
    assert classify_reply(550, f"5.{detail}", "oops").cls is GENERIC[detail]


@pytest.mark.parametrize("code", sorted(REPLY_CODES))
def test_bare_reply_code_is_judged_by_rfc_5321(code: str) -> None:
    assert classify_reply(code, None, "oops").cls is REPLY_CODES[code]


PHRASES = [
    (rule, phrase)
    for rule in tables.MAIL_LESS + tables.STRONG + tables.WEAK
    for phrase in rule.phrases
    if " * " not in phrase
]


def test_every_phrase_of_the_tables_can_be_found_in_a_text_that_holds_it() -> None:
    for rule, phrase in PHRASES:
        wanted = normalised(phrase).strip()
        assert wanted, (rule.cls, phrase)
        assert wanted in normalised(f"550 {phrase} thank you"), (rule.cls, phrase)


def test_every_phrase_of_a_rule_is_judged_as_something() -> None:
    for rule, phrase in PHRASES:
        assert judge("550", "", f"xyz {phrase} xyz").certainty > 0, (rule.cls, phrase)


HARD = [
    (550, "5.1.1", "User unknown"),
    (550, "5.4.310", "DNS domain gmial.con does not exist"),
    (551, "", "User not local; please try <new@example.net>"),
    (550, "5.1.6", "recipient no longer on server: bob@example.com"),
    (556, "5.1.10", "Recipient address has null MX"),
]
SOFT = [
    (552, "5.2.2", "Mailbox full"),
    (550, "5.2.1", "The email account that you tried to reach is disabled"),
    (550, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
    (550, "5.7.23", "SPF validation failed"),
    (554, "5.7.1", "Message rejected as spam by Content Filtering"),
    (552, "5.3.4", "Message size exceeds fixed maximum message size"),
    (451, "4.7.1", "Greylisted, please try again in 300 seconds"),
    (550, "5.7.1", "RESOLVER.RST.AuthRequired; authentication required"),
    (550, "", "user filtered"),
]


@pytest.mark.parametrize(("code", "enhanced", "text"), HARD)
def test_gone_address_is_hard_and_the_recipients_fault(code: int, enhanced: str, text: str) -> None:
    verdict = classify_reply(code, enhanced, text)
    assert (verdict.hard, verdict.fault, verdict.permanent) == (True, Fault.RECIPIENT, True)


@pytest.mark.parametrize(("code", "enhanced", "text"), SOFT)
def test_living_address_is_never_hard(code: int, enhanced: str, text: str) -> None:
    assert not classify_reply(code, enhanced, text).hard


@pytest.mark.parametrize(
    "text",
    [
        "unknown error",
        "Unknown command",
        "our domain does not have a policy for this",
        "Transaction failed",
        "the value is not valid",
        "rejected",
        "internal error, database does not answer",
        "",
    ],
)
def test_vague_permanent_refusal_never_ends_an_address(text: str) -> None:
    assert not classify_reply(550, None, text).hard


def test_refusal_of_our_server_is_our_fault() -> None:
    for text in ("blocked using zen.spamhaus.org", "SPF check failed", "no reverse DNS for your address"):
        assert classify_reply(550, "5.7.1", text).fault is Fault.OURS


def test_refusal_of_the_content_is_the_contents_fault() -> None:
    assert classify_reply(554, "5.7.1", "message contains a virus").fault is Fault.CONTENT
    assert classify_reply(552, "5.3.4", "message too big").fault is Fault.CONTENT


def test_4xx_is_tried_again_whatever_it_says() -> None:
    verdict = classify_reply(450, "4.1.1", "<bob@example.com>: User unknown in virtual alias table")
    assert verdict.cls is BounceClass.NO_SUCH_USER
    assert not verdict.permanent


def test_codes_are_read_out_of_the_text_when_they_are_not_given() -> None:
    assert classify_reply(None, None, "552 5.2.2 over the limit").cls is BounceClass.MAILBOX_FULL
    assert classify_reply(None, None, "550-5.1.1 oops\n550 5.1.1 oops").permanent


def test_success_is_delivered_and_nothing_else() -> None:
    verdict = classify_reply(250, "2.1.5", "user unknown is not what this says")
    assert (verdict.cls, verdict.hard, verdict.permanent) == (BounceClass.DELIVERED, False, False)


def test_nonsense_code_is_not_trusted() -> None:
    assert classify_reply("abc", None, "hello").cls is BounceClass.OTHER


def test_an_address_that_spells_a_reason_decides_nothing() -> None:
    verdict = classify_reply(550, "5.1.1", "<spam.blacklist@quota-exceeded.example>: user unknown")
    assert verdict.cls is BounceClass.NO_SUCH_USER


def test_unknown_user_before_rcpt_is_about_our_sender() -> None:
    for text in (
        "550 5.1.7 No such domain (in reply to MAIL FROM command)",
        "550 user unknown (in reply to MAIL FROM)",
    ):
        assert classify_reply(550, None, text).cls is BounceClass.BLOCKED_REPUTATION


def test_unknown_user_after_the_content_is_a_filter_and_not_hard() -> None:
    judged = judge("550", "", "550 Unknown user bob@example.com", Stage.DATA)
    assert (judged.cls, judged.hard) == (BounceClass.FILTERED, False)


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("host mx said: 550 no (in reply to RCPT TO command)", Stage.RCPT),
        ("host mx said: 550 no (in reply to end of\n    DATA command)", Stage.DATA),
        ("SMTP error from remote mail server after MAIL FROM:<a@b>", Stage.MAIL),
        ("host mx refused to talk to me: 554 no", Stage.CONNECT),
        ("192.0.2.1 does not like recipient.", Stage.RCPT),
        ("550 no", Stage.UNKNOWN),
    ],
)
def test_stage_is_read_from_the_reporters_words(text: str, stage: Stage) -> None:
    assert stage_in(text) is stage


def test_most_telling_code_is_preferred() -> None:
    assert enhanced_in("250 2.0.0 ok, 550 5.0.0 no, 550 5.2.2 full") == "5.2.2"
    assert enhanced_in("from 192.5.1.1 at 5.1.1.2") == ""
    assert reply_code_in("250 fine, then 550 no") == "550"
    assert answer_in("Remote host said: 550 5.1.1 no such user") == "550 5.1.1 no such user"


def test_megabyte_of_text_is_judged_at_once() -> None:
    assert classify_reply(550, "5.1.1", "user unknown " * 100_000).cls is BounceClass.NO_SUCH_USER
