"""Masks hide who it is and keep what support needs; money, dates and ages in the tenant's own way."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from handlers import format as fmt
from handlers.masks import mask_address, mask_email, mask_in_text, mask_name, mask_phone
from store.money import Money
from tests.builders import NOW


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("maria.santos@inbox.example", "m•••s@inbox.example"),
        ("x@y.example", "x•••@y.example"),
        ("@y.example", "•••@y.example"),
        ("a@b@y.example", "a•••@y.example"),
        ("nothing", "•••"),
        ("", "•••"),
    ],
)
def test_an_address_keeps_its_domain_and_one_letter(address: str, masked: str) -> None:
    assert mask_email(address) == masked


@pytest.mark.parametrize(
    ("number", "masked"),
    [("+15415550142", "•••• 0142"), ("555-0142", "•••• 0142"), ("0142", "••••"), ("", "••••")],
)
def test_a_number_keeps_its_last_four_digits_unless_that_is_most_of_it(number: str, masked: str) -> None:
    assert mask_phone(number) == masked


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("550 5.1.1 <maria.santos@inbox.example>: unknown", "550 5.1.1 <m•••s@inbox.example>: unknown"),
        (
            "400 21614 To number: +15415550142, is not a mobile number",
            "400 21614 To number: •••• 0142, is not a mobile number",
        ),
        ("Invalid 'To' Phone Number: 15415550142", "Invalid 'To' Phone Number: •••• 0142"),
        ("whatsapp:+447700900123 is none", "whatsapp:•••• 0123 is none"),
        ("call (541) 555-0142 or 541.555.0142", "call •••• 0142 or •••• 0142"),
        (
            "451 4.7.500 Server busy (S77719) [203.0.113.25]",
            "451 4.7.500 Server busy (S77719) [203.0.113.25]",
        ),
        ("201 queued SM00000000000000000000005415550142", "201 queued SM00000000000000000000005415550142"),
        (
            "550-5.7.26 see 2001:db8::1 at 2026-03-02 10:11:12",
            "550-5.7.26 see 2001:db8::1 at 2026-03-02 10:11:12",
        ),
        ("blocked: https://x.example/5415550142/a", "blocked: https://x.example/5415550142/a"),
    ],
)
def test_raw_answers_are_shown_without_the_people_in_them(said: str, shown: str) -> None:
    assert mask_in_text(said) == shown


def test_what_is_no_address_at_all_is_masked_whole() -> None:
    assert mask_address("call the neighbour") == "••••"
    assert mask_address("a@b.example").startswith("a•••@")


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("Maria Santos Vega", "Maria V."),
        ("Dana Whitfield", "Dana W."),
        ("Bakery", "Bak•••"),
        ("", "•••"),
        (" \n ", "•••"),
    ],
)
def test_a_name_in_a_channel_is_cut_short(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "shown"),
    [
        (4990, "USD", "en_US", "$49.90"),
        (-4990, "USD", "en_US", "-$49.90"),
        (1200, "JPY", "ja_JP", "¥1,200"),
        (12345, "KWD", "en_US", "KWD12.345"),
        (123456, "EUR", "de_DE", "1.234,56 €"),
    ],
)
def test_money_has_the_decimals_of_its_currency(minor: int, currency: str, locale: str, shown: str) -> None:
    written = fmt.money(Money(minor, currency), locale)
    assert written.replace("\u00a0", " ").replace("￥", "¥") == shown


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(0), "just now"),
        (timedelta(seconds=89), "just now"),
        (timedelta(seconds=91), "2 minutes ago"),
        (timedelta(minutes=89), "89 minutes ago"),
        (timedelta(minutes=91), "2 hours ago"),
        (timedelta(hours=35), "35 hours ago"),
        (timedelta(hours=37), "2 days ago"),
        (timedelta(days=400), "400 days ago"),
    ],
)
def test_the_age_of_a_fact_is_told_in_its_largest_sensible_unit(ago: timedelta, shown: str) -> None:
    assert fmt.age(NOW - ago, NOW) == shown


def test_a_moment_is_told_in_the_tenants_zone_across_a_change_of_clocks() -> None:
    zone = ZoneInfo("America/Los_Angeles")
    assert fmt.moment(datetime(2026, 3, 8, 9, 59, tzinfo=UTC), zone) == "Mar 8, 2026, 1:59:00 AM PST"
    assert fmt.moment(datetime(2026, 3, 8, 10, 0, tzinfo=UTC), zone) == "Mar 8, 2026, 3:00:00 AM PDT"
    assert fmt.clock_time(datetime(2026, 3, 8, 10, 0, tzinfo=UTC), zone) == "3:00 AM"


def test_a_day_is_told_in_the_locale() -> None:
    assert fmt.day(date(2026, 11, 3)) == "Nov 3, 2026"
    assert fmt.day(date(2026, 11, 3), "es_MX") == "3 nov 2026"


def test_a_domain_in_other_letters_is_shown_as_people_read_it() -> None:
    assert mask_email("info@xn--mnchen-3ya.example") == "i•••@münchen.example"
    assert mask_address("info@xn--mnchen-3ya.example") == "i•••@münchen.example"


def test_a_domain_that_would_pass_for_another_one_stays_as_dns_has_it() -> None:
    passes_for_apple = "xn--80ak6aa92e.example"
    assert mask_email(f"info@{passes_for_apple}") == f"i•••@{passes_for_apple}"
