"""Files of other systems: which columns fill ours, how values are spelled, and what is asked back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.csv_kinds import ImportKind
from billing.csv_reader import ImportProblem, Row, RowError
from billing.csv_rows import COLUMNS, OPTIONAL
from billing.csv_shapes import Shape, Wanted, preset_that_fits, read_map, shape_of
from billing.csv_values import Ambiguous, OtherCurrency, amount, day, yes_or_no

SUBSCRIBERS, INVOICES, PACKAGES = ImportKind.SUBSCRIBERS, ImportKind.INVOICES, ImportKind.PACKAGES
AMOUNTS = {
    "49.90": "49.90",
    "$1,234.50": "1234.50",
    "1.234,50 €": "1234.50",
    "USD 12": "12",
    "1 234,5": "1234.5",
    "1'234.50": "1234.50",
    "(12.00)": "-12.00",
    "12.00-": "-12.00",
    "-3,5": "-3.5",
    "1,234,567": "1234567",
    "12,34,567.5": "1234567.5",
    ".50": "0.50",
    "US$ 12": "12",
    "$12.00 USD": "12.00",
    "USD $12": "12",
    "12 KR": "12",
    "12 ZŁ": "12",
    "KRW 12": "12",
    "kr 1.234,50 SEK": "1234.50",
    "XY$ 12": "XY$ 12",
    "1,234,56": "1,234,56",
    "1,2345.00": "1,2345.00",
    "1,234.567,8": "1,234.567,8",
    "1.2,345": "1.2,345",
    "free": "free",
    "": "",
    "1e9": "1e9",
}
DAYS = {
    "2026-01-31": "2026-01-31",
    "2016-09-12T00:00:00+0000": "2016-09-12",
    "31/01/2026": "2026-01-31",
    "01/31/2026": "2026-01-31",
    "03.04.2026": "2026-04-03",
    "05/05/2026": "2026-05-05",
    "Sep 12, 2026": "2026-09-12",
    "12 September 2026": "2026-09-12",
    "2026-02-30": "2026-02-30",
    "soon": "soon",
}


def shape(kind: ImportKind, header: str, **wanted: object) -> Shape:
    columns = (*COLUMNS[kind], *OPTIONAL[kind])
    return shape_of(kind, header.split(","), columns, Wanted(**wanted), "clients.csv")  # type: ignore[arg-type]


def cells(made: Shape, line: str) -> dict[str, str]:
    row = made.row(2, line.split(","))
    assert isinstance(row, Row), row
    return dict(row.cells)


@pytest.mark.parametrize(
    "told", ["EUR 12", "12 €", "12eur", "£12", "kr 12", "12 zł", "CA$ 12", "A$12", "$12 EUR", "US$ 12 CAD"]
)
def test_an_amount_in_another_currency_than_its_row_is_refused(told: str) -> None:
    with pytest.raises(OtherCurrency, match="another currency than USD"):
        amount(told, currency="USD")
    with pytest.raises(OtherCurrency):
        amount("$12", currency="EUR")
    assert [amount("$12", currency=c) for c in ("USD", "CAD", "MXN", "")] == ["12"] * 4
    made = shape(INVOICES, "account,number,date,total", currency="USD", map={"issued_on": "date"})
    assert isinstance(made.row(2, ["1001", "7", "2026-01-31", told]), RowError)


@pytest.mark.parametrize(
    ("told", "currency"), [("12 kr", "SEK"), ("kr. 12", "DKK"), ("R$12", "BRL"), ("usd 12", "usd")]
)
def test_an_amount_that_names_its_rows_currency_is_read(told: str, currency: str) -> None:
    assert amount(told, currency=currency) == "12"


@pytest.mark.parametrize(("told", "read"), AMOUNTS.items())
def test_amounts_as_people_write_them(told: str, read: str) -> None:
    assert amount(told) == read


@pytest.mark.parametrize(("told", "read"), DAYS.items())
def test_days_as_people_write_them(told: str, read: str) -> None:
    assert day(told) == read


def test_what_could_mean_two_things_is_asked_about() -> None:
    with pytest.raises(Ambiguous, match="--decimal"):
        amount("1,234")
    assert (amount("1,234", "comma"), amount("1,234", "point")) == ("1.234", "1234")
    with pytest.raises(Ambiguous, match="--dates"):
        day("03/04/2026")
    assert (day("03/04/2026", "mdy"), day("03/04/2026", "dmy")) == ("2026-03-04", "2026-04-03")
    made = shape(INVOICES, "Invoice,Account,Date,Total", preset="generic", currency="USD")
    problem = made.row(7, ["1", "1042", "03/04/2026", "5.00"])
    assert isinstance(problem, RowError)
    assert (problem.line, problem.column) == (7, "issued_on")


@given(st.text(max_size=40))
def test_no_value_breaks_the_readers(text: str) -> None:
    for read in (amount, day):
        try:
            assert isinstance(read(text), str)
        except Ambiguous:
            continue
    assert isinstance(yes_or_no(text), str)


def test_a_uisp_export_of_clients_is_ours_with_the_sign_of_the_balance_turned() -> None:
    header = (
        "ID,Custom ID,Client type,First name,Last name,Company name,E-mail,Street 1,Street 2,City,"
        "Account balance,Currency,Is archived,Password,Note"
    )
    made = shape(SUBSCRIBERS, header, preset="uisp")
    assert (made.dropped, made.ignored) == (("Password",), ("Note",))
    person = cells(
        made, "7,1042,1,Maria,Santos,,maria@x.example,12 Oak St,Unit 2,Bend,-49.90,USD,no,hunter2,x"
    )
    assert person["account"] == "1042"
    assert (person["name"], person["kind"], person["status"]) == ("Maria Santos", "residential", "active")
    assert (person["address"], person["balance"]) == ("12 Oak St Unit 2", "49.90")
    assert (person["invoice_notices"], person["language"]) == ("yes", "en")
    assert "hunter2" not in person.values()
    firm = cells(made, "8,,2,Ann,Lee,Lee Ltd,ann@x.example,,,Bend,0,USD,yes,,")
    assert (firm["account"], firm["name"], firm["kind"], firm["status"]) == (
        "8",
        "Lee Ltd",
        "business",
        "archived",
    )


def test_a_splynx_export_bills_to_the_billing_address_and_else_to_the_address() -> None:
    made = shape(
        SUBSCRIBERS,
        "Portal login,Full name,Status,Billing email,Email,Account balance",
        preset="splynx",
        currency="EUR",
    )
    one = cells(made, "m1,Maria Santos,Blocked,,maria@x.example,10.00")
    assert (one["email_billing"], one["status"], one["balance"]) == ("maria@x.example", "active", "-10.00")
    assert one["currency"] == "EUR"


@pytest.mark.parametrize(
    ("line", "paid", "status"),
    [
        ("1,1042,2026-05-01,59.00,59.00", "0.00", "open"),
        ("1,1042,2026-05-01,59.00,9.00", "50.00", "partially_paid"),
        ("1,1042,2026-05-01,59.00,0.00", "59.00", "paid"),
    ],
)
def test_what_is_owed_tells_what_is_paid_and_how_the_invoice_stands(
    line: str, paid: str, status: str
) -> None:
    made = shape(INVOICES, "Invoice,Account,Date,Total,Balance due", preset="generic", currency="USD")
    found = cells(made, line)
    assert (found["paid"], found["status"], found["due_on"]) == (paid, status, "2026-05-01")


def test_a_package_is_its_own_service() -> None:
    made = shape(PACKAGES, "Service ID,Client ID,Service name,Status,Price,Currency", preset="uisp")
    found = cells(made, "S1,1042,Fiber 300,Ended,59.00,USD")
    assert (found["service"], found["status"], found["kind"]) == ("Fiber 300", "inactive", "internet")


def test_a_map_is_read_and_goes_before_the_preset() -> None:
    columns = (*COLUMNS[SUBSCRIBERS], *OPTIONAL[SUBSCRIBERS])
    found = read_map("account=\"Cust, No\", email_billing=Mail,name='Who'", SUBSCRIBERS, columns)
    assert found == {"account": "Cust, No", "email_billing": "Mail", "name": "Who"}
    made = shape(SUBSCRIBERS, "Cust No,ID,Name", preset="generic", map={"account": "cust no"}, currency="USD")
    assert cells(made, "77,1,Ann")["account"] == "77"
    for wrong, says in (
        ("acount=X", "Did you mean account"),
        ("account", "is written as"),
        ("account=", "which column"),
    ):
        with pytest.raises(ImportProblem, match=says):
            read_map(wrong, SUBSCRIBERS, columns)


def test_what_is_missing_is_asked_for_with_a_guess() -> None:
    with pytest.raises(ImportProblem, match=r"is it “Account ref”\? Add --map account='Account ref'"):
        shape(SUBSCRIBERS, "Account ref,Name,secret token", preset="generic", currency="USD")
    with pytest.raises(ImportProblem, match="--currency USD"):
        shape(SUBSCRIBERS, "ID,Name", preset="generic")
    with pytest.raises(ImportProblem, match="no column “Nr”"):
        shape(SUBSCRIBERS, "ID,Name", map={"account": "Nr"}, currency="USD")


def test_the_preset_that_knows_most_of_a_header_is_named() -> None:
    assert preset_that_fits(SUBSCRIBERS, ["Custom ID", "First name", "Last name", "Street 1"]) == "uisp"
    assert preset_that_fits(SUBSCRIBERS, ["Portal login", "Full name"]) == "splynx"
    assert preset_that_fits(SUBSCRIBERS, ["Shoe size"]) == ""
