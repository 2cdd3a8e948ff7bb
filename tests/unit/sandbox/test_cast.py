"""The cast: 500 subscribers that the importer can read and that the demo's stories can rely on."""

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import phonenumbers
import pytest

from sandbox.cast import Cast, split_addresses
from sandbox.cast_rows import Invoice, Subscriber

BASE = date(2026, 3, 1)
TODAY = date(2026, 3, 18)


@pytest.fixture(scope="module")
def cast() -> Cast:
    return Cast.generate(BASE, TODAY)


def subscriber(cast: Cast, account: str) -> Subscriber:
    return next(row for row in cast.subscriber_rows if row.account == account)


def invoices_of(cast: Cast, account: str) -> list[Invoice]:
    return [row for row in cast.invoice_rows if row.account == account]


def unpaid(cast: Cast, account: str) -> Iterator[Invoice]:
    return (row for row in invoices_of(cast, account) if row.status in {"open", "partially_paid"})


def test_there_are_500_accounts_from_1001_to_1500(cast: Cast) -> None:
    assert [row.account for row in cast.subscriber_rows] == [str(n) for n in range(1001, 1501)]


def test_the_same_dates_give_the_same_cast_and_other_dates_another(cast: Cast) -> None:
    assert Cast.generate(BASE, TODAY) == cast
    assert Cast.generate(date(2026, 4, 1), TODAY) != cast


def test_what_was_written_is_what_is_loaded(cast: Cast, tmp_path: Path) -> None:
    cast.write(tmp_path / "cast")
    assert Cast.load(tmp_path) == cast


def test_a_restart_keeps_the_books_that_are_already_there(cast: Cast, tmp_path: Path) -> None:
    cast.write(tmp_path / "cast")
    assert Cast.load_or_write(tmp_path) == cast


def test_a_first_start_makes_a_cast_of_its_own(tmp_path: Path) -> None:
    made = Cast.load_or_write(tmp_path)
    assert len(made.subscriber_rows) == 500
    assert Cast.load(tmp_path) == made


def test_the_files_have_exactly_the_importers_columns(cast: Cast, tmp_path: Path) -> None:
    cast.write(tmp_path)
    headers = {}
    for name in ("subscribers", "packages", "invoices"):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            headers[name] = ",".join(next(csv.reader(file)))
    assert headers == {
        "subscribers": "account,kind,status,name,language,email_billing,email_service,phone,address,city,"
        "state,zip,bill_to,balance,currency,invoice_notices,sms_consent,tags",
        "packages": "account,package,name,kind,status,status_until,price,currency,service,service_kind,"
        "service_status,ip,mac",
        "invoices": "number,account,status,issued_on,due_on,total,paid,currency",
    }


def test_only_the_agreed_words_stand_in_the_columns(cast: Cast) -> None:
    assert {row.kind for row in cast.subscriber_rows} == {"residential", "business"}
    assert {row.status for row in cast.subscriber_rows} == {"prospect", "active", "archived"}
    assert {row.language for row in cast.subscriber_rows} == {"en", "es"}
    assert {row.sms_consent for row in cast.subscriber_rows} == {"yes", "no", ""}
    assert {row.invoice_notices for row in cast.subscriber_rows} == {"yes", "no"}
    assert {row.status for row in cast.service_rows} == {
        *("pending", "active", "suspended", "hibernated", "inactive"),
    }
    assert {row.kind for row in cast.service_rows} == {"internet", "voice", "tv"}
    assert {row.status for row in cast.invoice_rows} == {
        *("draft", "open", "partially_paid", "paid", "void", "uncollectible"),
    }


def test_every_phone_number_is_valid_e164_from_the_fictional_block(cast: Cast) -> None:
    phones = [row.phone for row in cast.subscriber_rows if row.phone]
    assert len(phones) > 450
    for phone in phones:
        parsed = phonenumbers.parse(phone, None)
        assert phonenumbers.is_valid_number(parsed)
        assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == phone
        assert phone[5:10] == "55501"


def test_only_1204_and_1205_share_a_number(cast: Cast) -> None:
    shared = [entry["accounts"] for entry in cast.numbers() if len(entry["accounts"]) > 1]
    assert shared == [["1204", "1205"]]


def test_a_balance_is_what_the_open_invoices_leave_to_pay(cast: Cast) -> None:
    for row in cast.subscriber_rows:
        due = sum((Decimal(i.total) - Decimal(i.paid) for i in unpaid(cast, row.account)), Decimal(0))
        if Decimal(row.balance) < 0:
            assert due == 0
        else:
            assert Decimal(row.balance) == due


def test_invoice_amounts_and_statuses_agree(cast: Cast) -> None:
    for row in cast.invoice_rows:
        total, paid = Decimal(row.total), Decimal(row.paid)
        assert 0 <= paid <= total
        assert total > 0
        assert (row.status == "paid") == (paid == total)
        assert (row.status == "partially_paid") == (0 < paid < total)
        assert date.fromisoformat(row.issued_on) < date.fromisoformat(row.due_on)


def test_invoice_numbers_are_unique_and_one_is_an_account_number_too(cast: Cast) -> None:
    numbers = Counter(row.number for row in cast.invoice_rows)
    assert max(numbers.values()) == 1
    accounts = {row.account for row in cast.subscriber_rows}
    assert set(numbers) & accounts == {"1204"}
    assert next(row.account for row in cast.invoice_rows if row.number == "1204") == "1050"


def test_a_year_of_monthly_invoices_ends_at_the_base_date(cast: Cast) -> None:
    issued = sorted({row.issued_on for row in invoices_of(cast, "1001")})
    assert len(issued) == 12
    assert (issued[0], issued[-1]) == ("2025-04-01", "2026-03-01")


def test_this_months_invoices_are_not_overdue_on_any_day_of_the_month(cast: Cast) -> None:
    for row in cast.invoice_rows:
        if row.issued_on == BASE.isoformat():
            assert date.fromisoformat(row.due_on) >= date(2026, 3, 31)


def test_the_cast_of_the_stories(cast: Cast) -> None:
    assert subscriber(cast, "1001").email_billing == "maria.santos@inbox.example"
    assert subscriber(cast, "1042").email_billing.endswith("@gmial.com")
    assert [row.status for row in invoices_of(cast, "1042")[-2:]] == ["open", "open"]
    assert subscriber(cast, "1103").bill_to == "1100"
    assert subscriber(cast, "1150").email_billing.endswith("@strict.example")
    assert subscriber(cast, "1301").email_billing.endswith("@greylist.example")
    assert subscriber(cast, "1315").status == "archived"
    assert cast.landlines() == [subscriber(cast, "1290").phone]
    assert cast.opted_out() == [subscriber(cast, "1188").phone]


def test_the_business_parent_has_three_billing_addresses_in_one_field(cast: Cast) -> None:
    field = subscriber(cast, "1100").email_billing
    assert "," in field
    assert ";" in field
    assert len(split_addresses(field)) == 3


def test_1260_is_past_due_and_suspended(cast: Cast) -> None:
    assert "suspended" in {row.status for row in cast.service_rows if row.account == "1260"}
    assert any(date.fromisoformat(row.due_on) < TODAY for row in unpaid(cast, "1260"))


def test_1277_fell_due_last_week_and_owes_nothing(cast: Cast) -> None:
    newest = invoices_of(cast, "1277")[-1]
    assert (newest.status, newest.due_on) == ("paid", "2026-03-11")
    assert subscriber(cast, "1277").balance == "0.00"


def test_several_accounts_share_the_big_operators_refusal(cast: Cast) -> None:
    accounts = [row.account for row in cast.subscriber_rows if row.email_billing.endswith("@bigmail.example")]
    assert "1311" in accounts
    assert len(accounts) >= 5


def test_names_try_the_escaping(cast: Cast) -> None:
    names = " ".join(row.name for row in cast.subscriber_rows)
    for mark in ("O'Brien", "ñ", "&", "<Taproom>", ", P.C."):
        assert mark in names


def test_mailboxes_list_each_address_once_with_its_accounts(cast: Cast) -> None:
    boxes = {entry["address"]: entry["accounts"] for entry in cast.mailboxes()}
    assert len(boxes) == len(cast.mailboxes())
    assert boxes["maria.santos@inbox.example"] == ["1001"]
    assert boxes["me@inbox.example"] == []
    assert boxes["r.oldfield@harborview.example"] == ["1100"]
    assert set(cast.state()) == {"numbers", "mailboxes", "invoices"}


def test_a_local_part_is_plain_ascii_whatever_the_name(cast: Cast) -> None:
    assert all(row.email_billing.isascii() for row in cast.subscriber_rows)
