"""The table of Twilio's codes, row by row; and that nothing of ours ever makes a number dead."""

from __future__ import annotations

import pytest

from notifier.sms_codes import (
    CODES,
    FOR_EVER,
    LOGIN,
    UNKNOWN,
    UNKNOWN_REFUSAL,
    SmsClass,
    TextVerdict,
    refusal_of,
    verdict_of,
)
from store.models import EventKind, Reason

B, F, D = EventKind.BOUNCED, EventKind.FAILED, EventKind.DEFERRED
HARD, SOFT = True, False

# code -> how the attempt ends, class, whose matter, whether the number is dead, tries after the first
ROWS: dict[int, tuple[EventKind, str, Reason, bool, int]] = {
    14107: (D, "sms_busy", Reason.CAPACITY, SOFT, FOR_EVER),
    20003: (D, "sms_login", Reason.CONFIG, SOFT, FOR_EVER),
    20005: (D, "sms_login", Reason.CONFIG, SOFT, FOR_EVER),
    20429: (D, "sms_busy", Reason.CAPACITY, SOFT, FOR_EVER),
    21211: (B, "sms_invalid_number", Reason.RECIPIENT, HARD, 0),
    21217: (B, "sms_invalid_number", Reason.RECIPIENT, HARD, 0),
    21401: (B, "sms_invalid_number", Reason.RECIPIENT, HARD, 0),
    21408: (F, "sms_region", Reason.CONFIG, SOFT, 0),
    21421: (B, "sms_invalid_number", Reason.RECIPIENT, HARD, 0),
    21606: (F, "sms_sender", Reason.CONFIG, SOFT, 0),
    21609: (F, "sms_request", Reason.INFRASTRUCTURE, SOFT, 0),
    21610: (B, "opted_out", Reason.OPTED_OUT, HARD, 0),
    21611: (D, "sms_busy", Reason.CAPACITY, SOFT, FOR_EVER),
    21612: (F, "sms_sender", Reason.CONFIG, SOFT, 0),
    21614: (B, "sms_landline", Reason.RECIPIENT, HARD, 0),
    21617: (F, "sms_content", Reason.CONTENT, SOFT, 0),
    21619: (F, "sms_content", Reason.CONTENT, SOFT, 0),
    21624: (F, "sms_request", Reason.INFRASTRUCTURE, SOFT, 0),
    21635: (B, "sms_landline", Reason.RECIPIENT, HARD, 0),
    21659: (F, "sms_sender", Reason.CONFIG, SOFT, 0),
    21701: (F, "sms_sender", Reason.CONFIG, SOFT, 0),
    21703: (F, "sms_sender", Reason.CONFIG, SOFT, 0),
    30001: (D, "sms_busy", Reason.CAPACITY, SOFT, FOR_EVER),
    30002: (F, "sms_account", Reason.CONFIG, SOFT, 0),
    30003: (D, "sms_unreachable", Reason.RECIPIENT, SOFT, 1),
    30004: (B, "sms_blocked", Reason.POLICY, SOFT, 0),
    30005: (B, "sms_number_unknown", Reason.RECIPIENT, HARD, 0),
    30006: (B, "sms_landline", Reason.RECIPIENT, HARD, 0),
    30007: (F, "sms_filtered", Reason.INFRASTRUCTURE, SOFT, 0),
    30008: (B, "sms_other", Reason.NETWORK, SOFT, 0),
    30017: (D, "sms_carrier", Reason.NETWORK, SOFT, 3),
    30022: (D, "sms_busy", Reason.CAPACITY, SOFT, FOR_EVER),
    30023: (D, "sms_daily_cap", Reason.CAPACITY, SOFT, FOR_EVER),
    30027: (D, "sms_daily_cap", Reason.CAPACITY, SOFT, FOR_EVER),
    30032: (F, "sms_sender_unregistered", Reason.CONFIG, SOFT, 0),
    30034: (F, "sms_sender_unregistered", Reason.CONFIG, SOFT, 0),
    30036: (F, "sms_expired", Reason.STALE, SOFT, 0),
    30410: (B, "sms_carrier", Reason.NETWORK, SOFT, 0),
}


@pytest.mark.parametrize("code", sorted(ROWS))
def test_every_code_means_what_its_row_says(code: int) -> None:
    verdict = CODES[code]
    assert (verdict.kind, verdict.cls, verdict.reason, verdict.hard, verdict.retries) == ROWS[code]
    assert verdict_of(code) is verdict
    assert refusal_of(code, 400) is verdict


def test_there_is_no_row_that_nobody_has_checked() -> None:
    assert set(CODES) == set(ROWS)


@pytest.mark.parametrize("code", [None, 0, 30099, 39999, 12345678])
def test_an_unknown_code_of_an_undelivered_text_says_nothing_against_the_number(code: int | None) -> None:
    assert verdict_of(code) is UNKNOWN
    assert (UNKNOWN.kind, UNKNOWN.hard) == (EventKind.BOUNCED, False)


@pytest.mark.parametrize(
    ("code", "http_status", "verdict"),
    [
        (None, 401, LOGIN),
        (None, 403, LOGIN),
        (29999, 403, LOGIN),
        (21408, 403, CODES[21408]),
        (None, 429, CODES[20429]),
        (None, 400, UNKNOWN_REFUSAL),
        (29999, 400, UNKNOWN_REFUSAL),
        (None, 404, UNKNOWN_REFUSAL),
    ],
)
def test_a_refusal_without_a_known_code_is_judged_by_its_http_status(
    code: int | None, http_status: int, verdict: TextVerdict
) -> None:
    assert refusal_of(code, http_status) is verdict


def test_nothing_that_is_our_own_fault_makes_a_number_dead() -> None:
    hard = [verdict for verdict in (*CODES.values(), UNKNOWN, UNKNOWN_REFUSAL) if verdict.hard]
    assert hard
    assert {verdict.reason for verdict in hard} == {Reason.RECIPIENT, Reason.OPTED_OUT}
    assert {verdict.kind for verdict in hard} == {EventKind.BOUNCED}, "only a bounce suppresses"


def test_a_deferral_that_has_had_its_tries_is_an_end_that_suppresses_nobody() -> None:
    unreachable = CODES[30003]
    assert unreachable.after(0) is unreachable
    assert unreachable.after(1) == TextVerdict(
        EventKind.BOUNCED, SmsClass.UNREACHABLE, Reason.RECIPIENT, hard=False
    )
    congested = CODES[30017]
    assert [congested.after(tries).kind for tries in range(5)] == [D, D, D, F, F]
    assert CODES[30001].after(100).kind is EventKind.DEFERRED
    assert CODES[30006].after(7) is CODES[30006], "an end stays one"


def test_every_class_is_used_and_fits_its_column() -> None:
    used = {verdict.cls for verdict in (*CODES.values(), UNKNOWN, UNKNOWN_REFUSAL)}
    assert used == set(SmsClass) - {SmsClass.CANCELED}
    assert all(len(cls) <= 24 for cls in SmsClass)
