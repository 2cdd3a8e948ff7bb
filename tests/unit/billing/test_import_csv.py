"""Importing our CSV files into the mirror, on SQLite: what is taken, what is refused, and in which words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from billing.csv_kinds import ImportKind
from billing.csv_reader import ImportProblem
from billing.csv_rows import COLUMNS
from billing.local import ImportResult, import_csv
from store.engine import Engine
from store.models import (
    Channel,
    ConsentState,
    ContactRole,
    Facts,
    InvoiceStatus,
    PackageStatus,
    Point,
    Subscriber,
    SubscriberKind,
)
from store.money import Money
from store.unit import Store

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
TENANT = 1

PERSON: Mapping[str, str] = {
    "account": "1042",
    "kind": "residential",
    "status": "active",
    "name": "Maria Santos",
    "language": "es",
    "email_billing": "maria@inbox.example",
    "email_service": "",
    "phone": "+15415550142",
    "address": "12 Oak St",
    "city": "Hood River",
    "state": "OR",
    "zip": "97031",
    "bill_to": "",
    "balance": "49.90",
    "currency": "USD",
    "invoice_notices": "yes",
    "sms_consent": "yes",
}
PACKAGE: Mapping[str, str] = {
    "account": "1042",
    "package": "P-1",
    "name": "Fiber 300",
    "kind": "internet",
    "status": "active",
    "status_until": "",
    "price": "59.00",
    "currency": "USD",
    "service": "Internet",
    "service_kind": "fiber",
    "service_status": "active",
    "ip": "192.0.2.7",
    "mac": "00-00-5E-00-53-01",
}
INVOICE: Mapping[str, str] = {
    "number": "INV-1",
    "account": "1042",
    "status": "partially_paid",
    "issued_on": "2026-05-01",
    "due_on": "2026-05-15",
    "total": "59.00",
    "paid": "9.10",
    "currency": "USD",
}
MODEL = {
    ImportKind.SUBSCRIBERS: PERSON,
    ImportKind.PACKAGES: PACKAGE,
    ImportKind.INVOICES: INVOICE,
}


def text_of(kind: ImportKind, *rows: Mapping[str, str], delimiter: str = ",", end: str = "\n") -> str:
    """A CSV file: the model row of this kind, changed by each of `rows`."""
    lines = [delimiter.join(COLUMNS[kind])]
    for row in rows:
        cells = [{**MODEL[kind], **row}[name] for name in COLUMNS[kind]]
        lines.append(
            delimiter.join(
                '"' + cell.replace('"', '""') + '"' if set(cell) & set(delimiter + '"\r\n') else cell
                for cell in cells
            )
        )
    return end.join(lines) + end


class Office:
    """A store, a directory for files, and the import."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.store, self.directory = store, directory

    async def give(
        self,
        kind: ImportKind,
        content: str | bytes,
        *,
        dry_run: bool = False,
        as_of: datetime | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportResult:
        path = self.directory / f"{kind}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return await import_csv(
            self.store, TENANT, kind, path, dry_run=dry_run, as_of=as_of, progress=progress
        )

    async def give_rows(self, kind: ImportKind, *rows: Mapping[str, str]) -> ImportResult:
        return await self.give(kind, text_of(kind, *rows))

    async def subscriber(self, account: str = "1042") -> Subscriber:
        async with self.store.read(TENANT) as tx:
            found = await tx.subscribers.by_account(account)
        assert found is not None
        return found

    async def points(self, account: str = "1042") -> list[Point]:
        subscriber = await self.subscriber(account)
        async with self.store.read(TENANT) as tx:
            return (await tx.subscribers.points([subscriber.id]))[subscriber.id]

    async def count(self) -> int:
        async with self.store.read(TENANT) as tx:
            return await tx.subscribers.count()

    async def consent(self, number: str = "+15415550142") -> ConsentState | None:
        key = (Channel.SMS, number)
        async with self.store.read(TENANT) as tx:
            found = (await tx.consents.current([key])).get(key)
        return found.state if found else None


@pytest.fixture
async def office(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    store = Store(Engine(sqlite_url), clock=lambda: NOW)
    yield Office(store, tmp_path)
    await store.close()


def complaints(result: ImportResult) -> list[tuple[int, str | None, str]]:
    return [(error.line, error.column, error.reason) for error in result.errors]


# --- what is taken ---


async def test_a_subscriber_is_mirrored_with_source_and_age(office: Office) -> None:
    age = NOW - timedelta(days=1)
    result = await office.give(ImportKind.SUBSCRIBERS, text_of(ImportKind.SUBSCRIBERS, {}), as_of=age)
    assert (result.rows, result.accepted, result.written, result.created) == (1, 1, 1, 1)
    assert result.errors == result.warnings == []
    subscriber = await office.subscriber()
    assert subscriber.kind is SubscriberKind.RESIDENTIAL
    assert (subscriber.name, subscriber.language, subscriber.region) == ("Maria Santos", "es", "OR")
    assert subscriber.balance == Money(4990, "USD")
    assert subscriber.facts == Facts("csv", age)
    assert {point.facts for point in await office.points()} == {Facts("csv", age)}


async def test_a_packages_rows_become_one_package_with_its_services(office: Office) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {})
    result = await office.give_rows(
        ImportKind.PACKAGES,
        {},
        {"package": "P-2", "status": "suspended", "status_until": "2026-06-01"},
        {"service": "Static IP", "service_kind": "ip", "ip": "2001:DB8::1", "mac": ""},
        {"package": "P-3", **dict.fromkeys(("service", "service_kind", "service_status", "ip", "mac"), "")},
    )
    assert (result.rows, result.written, result.errors) == (4, 3, [])
    async with office.store.read(TENANT) as tx:
        first, second, third = await tx.packages.of_subscriber((await office.subscriber()).id)
    assert [(s.name, s.ip, s.mac) for s in first.services] == [
        ("Internet", "192.0.2.7", "00:00:5e:00:53:01"),
        ("Static IP", "2001:db8::1", None),
    ]
    assert (second.status, second.status_until) == (PackageStatus.SUSPENDED, date(2026, 6, 1))
    assert third.services == ()


async def test_an_invoice_is_mirrored_with_what_is_still_owed(office: Office) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {})
    await office.give_rows(ImportKind.INVOICES, {})
    async with office.store.read(TENANT) as tx:
        invoice = await tx.invoices.by_number("INV-1")
    assert invoice is not None
    assert invoice.status is InvoiceStatus.PARTIALLY_PAID
    assert (invoice.due, invoice.due_on, invoice.revision) == (Money(4990, "USD"), date(2026, 5, 15), 1)


async def test_several_billing_addresses_become_points_in_order_each_of_its_own(office: Office) -> None:
    await office.give_rows(
        ImportKind.SUBSCRIBERS,
        {
            "email_billing": 'Ann@Shop.example; "Books, The" <books@shop.example>\nANN@shop.example',
            "email_service": "noc@shop.example",
        },
    )
    points = await office.points()
    assert [(p.role, p.channel, p.address) for p in points] == [
        (ContactRole.BILLING, Channel.EMAIL, "ann@shop.example"),
        (ContactRole.BILLING, Channel.EMAIL, "books@shop.example"),
        (ContactRole.BILLING, Channel.SMS, "+15415550142"),
        (ContactRole.SERVICE, Channel.EMAIL, "noc@shop.example"),
    ]
    assert points[1].raw == '"Books, The" <books@shop.example>'


async def test_an_address_that_cannot_be_normalised_is_kept_with_its_problem(office: Office) -> None:
    result = await office.give_rows(
        ImportKind.SUBSCRIBERS,
        {"email_billing": "maria santos@inbox.example, ok@inbox.example", "phone": "911", "sms_consent": ""},
    )
    assert (result.written, result.errors) == (1, [])
    broken, fine, phone = await office.points()
    assert (broken.address, broken.raw) == ("maria santos@inbox.example", "maria santos@inbox.example")
    assert broken.problem == "There is a space inside the address."
    assert fine.problem is None
    assert phone.address == "911"
    assert phone.problem
    assert [(w.line, w.column) for w in result.warnings] == [(2, "email_billing"), (2, "phone")]
    assert "maria" not in str(result.warnings)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
async def test_the_dialects_of_spreadsheets_are_read(
    office: Office, delimiter: str, end: str, bom: bytes
) -> None:
    text = text_of(
        ImportKind.SUBSCRIBERS,
        {"name": "Jos\u00e9 N\u00fa\u00f1ez", "address": "12 Oak St; rear,\tleft"},
        delimiter=delimiter,
        end=end,
    )
    result = await office.give(ImportKind.SUBSCRIBERS, bom + text.encode())
    assert result.errors == []
    subscriber = await office.subscriber()
    assert (subscriber.name, subscriber.address) == ("Jos\u00e9 N\u00fa\u00f1ez", "12 Oak St; rear, left")


async def test_a_quoted_line_break_is_part_of_the_value_and_lines_are_counted_as_an_editor_does(
    office: Office,
) -> None:
    result = await office.give_rows(
        ImportKind.SUBSCRIBERS,
        {"address": "12 Oak St\r\nUnit 4"},
        {"account": "1043", "kind": "alien"},
        {"account": "1044", "email_billing": "a@x.example\nb@y.example"},
    )
    assert (await office.subscriber()).address == "12 Oak St Unit 4"
    assert len(await office.points("1044")) == 3
    assert [error.line for error in result.errors] == [4]


async def test_columns_may_stand_in_any_order_and_blank_rows_are_nothing(office: Office) -> None:
    names = list(reversed(COLUMNS[ImportKind.SUBSCRIBERS]))
    row = ",".join(PERSON[name] for name in names)
    commas = "," * (len(names) - 1)
    text = "\n".join([",".join(f" {n.upper()} " for n in names), "", row, commas, "", ""])
    result = await office.give(ImportKind.SUBSCRIBERS, text)
    assert (result.rows, result.written, result.errors) == (1, 1, [])


async def test_tags_follow_the_file_and_stay_where_a_file_has_none(office: Office) -> None:
    async def tags() -> list[str]:
        async with office.store.read(TENANT) as tx:
            sid = (await office.subscriber()).id
            return (await tx.tags.of([sid])).get(sid, [])

    def tagged(cell: str) -> str:
        names = (*COLUMNS[ImportKind.SUBSCRIBERS], "tags")
        row = {**PERSON, "tags": f'"{cell}"'}
        return "\n".join([",".join(names), ",".join(row[name] for name in names)])

    first = await office.give(ImportKind.SUBSCRIBERS, tagged(" Fire-2026; VIP  customer,fire-2026 "))
    assert (first.written, first.errors, await tags()) == (1, [], ["fire-2026", "vip customer"])
    again = await office.give(ImportKind.SUBSCRIBERS, tagged("vip customer;fire-2026"))
    assert (again.unchanged, again.updated) == (1, 0)
    await office.give_rows(ImportKind.SUBSCRIBERS, {})
    assert await tags() == ["fire-2026", "vip customer"], "a file without tags knows nothing of them"
    gone = await office.give(ImportKind.SUBSCRIBERS, tagged("vip customer"))
    assert (gone.updated, await tags()) == (1, ["vip customer"])
    long = await office.give(ImportKind.SUBSCRIBERS, tagged("x" * 61))
    assert [(e.column, e.reason) for e in long.errors] == [
        ("tags", "A tag here is longer than 60 characters.")
    ]


async def test_a_child_keeps_its_payer_and_an_unknown_payer_is_pointed_out(office: Office) -> None:
    result = await office.give_rows(
        ImportKind.SUBSCRIBERS,
        {"account": "1103", "bill_to": "1100"},
        {"account": "1100", "bill_to": "1100"},
        {"account": "1104", "bill_to": "9999"},
        {"account": "1105", "bill_to": "1106"},
        {"account": "1106", "kind": "alien"},
    )
    assert (await office.subscriber("1103")).payer_account == "1100"
    assert (await office.subscriber("1100")).payer_account is None
    assert [(w.line, w.column, w.reason) for w in result.warnings] == [
        (4, "bill_to", "Invoices go to account 9999, which is not known."),
        (5, "bill_to", "Invoices go to account 1106, which is not known."),
    ]


# --- once and again ---


async def test_importing_twice_changes_nothing_twice(office: Office) -> None:
    files = {kind: text_of(kind, {}) for kind in ImportKind}
    for kind in (ImportKind.SUBSCRIBERS, ImportKind.PACKAGES, ImportKind.INVOICES):
        await office.give(kind, files[kind])

    async def everything() -> object:
        subscriber = await office.subscriber()
        async with office.store.read(TENANT) as tx:
            key = (Channel.SMS, "+15415550142")
            return (
                subscriber,
                await office.points(),
                await tx.packages.of_subscriber(subscriber.id),
                await tx.invoices.by_number("INV-1"),
                await tx.consents.history([key]),
            )

    before = await everything()
    results = [await office.give(kind, files[kind]) for kind in ImportKind]
    assert await everything() == before
    assert (results[0].created, results[0].updated, results[0].unchanged) == (0, 0, 1)
    assert results[0].consents == 0


async def test_a_later_file_updates_facts_and_removes_addresses_that_are_gone(office: Office) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {}, {"account": "1043"})
    result = await office.give_rows(
        ImportKind.SUBSCRIBERS, {"balance": "-5", "email_billing": "new@inbox.example"}, {"account": "1043"}
    )
    assert (result.created, result.updated, result.unchanged) == (0, 1, 1)
    assert (await office.subscriber()).balance == Money(-500, "USD")
    assert [p.address for p in await office.points()] == ["new@inbox.example", "+15415550142"]


async def test_a_changed_total_or_a_payment_is_a_new_revision_and_the_same_again_is_none(
    office: Office,
) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {})
    revisions = []
    for change in ({}, {}, {"status": "paid", "paid": "59.00"}, {"total": "69.00"}):
        await office.give_rows(ImportKind.INVOICES, change)
        async with office.store.read(TENANT) as tx:
            invoice = await tx.invoices.by_number("INV-1")
        assert invoice is not None
        revisions.append(invoice.revision)
    assert revisions == [1, 1, 2, 3]


async def test_a_dry_run_judges_everything_and_writes_nothing(office: Office) -> None:
    text = text_of(ImportKind.SUBSCRIBERS, {}, {"account": "1043", "balance": "lots"})
    result = await office.give(ImportKind.SUBSCRIBERS, text, dry_run=True)
    assert (result.rows, result.accepted, result.written, result.created) == (2, 1, 0, 1)
    assert [error.line for error in result.errors] == [3]
    assert await office.count() == 0
    assert await office.consent() is None
    result = await office.give(ImportKind.INVOICES, text_of(ImportKind.INVOICES, {}), dry_run=True)
    assert [error.column for error in result.errors] == ["account"]


async def test_many_rows_go_in_batches_with_progress(office: Office) -> None:
    people = [{"account": str(n), "email_billing": f"p{n}@inbox.example"} for n in range(1201)]
    steps: list[tuple[int, int]] = []
    text = text_of(ImportKind.SUBSCRIBERS, *people)
    result = await office.give(
        ImportKind.SUBSCRIBERS, text, progress=lambda done, size: steps.append((done, size))
    )
    assert (result.rows, result.written, await office.count()) == (1201, 1201, 1201)
    assert len(steps) == 4  # three batches, and the end
    assert steps == sorted(steps)
    assert steps[-1] == (len(text.encode()), len(text.encode()))


def service(name: str, **more: str) -> dict[str, str]:
    return {"service": name, "ip": "", "mac": "", **more}


async def services_of(office: Office, ref: str = "P-1") -> list[str]:
    subscriber = await office.subscriber()
    async with office.store.read(TENANT) as tx:
        packages = await tx.packages.of_subscriber(subscriber.id)
    return [service.name for package in packages if package.ref == ref for service in package.services]


async def test_a_package_keeps_all_services_when_its_rows_cross_batches_or_lie_apart(office: Office) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {})
    apart = [service("A"), *(service("S", package=f"P-{n}") for n in range(2, 510)), service("B")]
    together = [service(f"T{n:04}", package="P-0") for n in range(1100)]
    for _ in range(2):
        result = await office.give_rows(ImportKind.PACKAGES, *apart, *together)
        assert (result.errors, result.rows, result.written) == ([], 1610, 510)
        assert await services_of(office) == ["A", "B"]
        assert len(await services_of(office, "P-0")) == 1100
        assert await services_of(office, "P-509") == ["S"]


async def test_a_service_that_left_its_package_is_removed_and_one_with_a_wrong_row_is_not(
    office: Office,
) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {})
    await office.give_rows(ImportKind.PACKAGES, service("A"), service("B"), service("C"))
    result = await office.give_rows(ImportKind.PACKAGES, service("A"), service("B", ip="wrong"))
    assert [error.line for error in result.errors] == [3]
    assert await services_of(office) == ["A", "B"]


async def test_whoever_stops_in_the_middle_waits_for_the_batch_that_is_read_ahead(office: Office) -> None:
    people = [{"account": str(n)} for n in range(1600)]
    text = text_of(ImportKind.SUBSCRIBERS, *people)

    def stop(done: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await office.give(ImportKind.SUBSCRIBERS, text, progress=stop)
    assert await office.count() == 500
    result = await office.give(ImportKind.SUBSCRIBERS, text)
    assert (result.created, result.unchanged, await office.count()) == (1100, 500, 1600)


async def test_a_batch_that_is_committed_stays_when_a_later_one_cannot_be_read(office: Office) -> None:
    people = [{"account": str(n)} for n in range(600)]
    text = text_of(ImportKind.SUBSCRIBERS, *people) + "x" * 1_000_001
    with pytest.raises(ImportProblem, match=r"Line 602 .* is this a CSV file"):
        await office.give(ImportKind.SUBSCRIBERS, text)
    assert await office.count() == 500


async def test_all_three_files_go_into_either_database_twice_with_the_same_end(
    store: Store, tmp_path: Path
) -> None:
    office = Office(store, tmp_path)
    people = [
        {"account": str(n), "email_billing": f"p{n}@inbox.example", "sms_consent": ("yes", "no")[n % 2]}
        for n in range(1, 3)
    ]
    for _ in range(2):
        for kind, rows in (
            (ImportKind.SUBSCRIBERS, people),
            (ImportKind.PACKAGES, [{"account": "1"}, service("Static IP", account="1")]),
            (ImportKind.INVOICES, [{"account": "2"}, {"account": "2", "number": "INV-2"}]),
        ):
            result = await office.give_rows(kind, *rows)
            assert (result.rows, result.accepted, result.errors) == (2, 2, [])
    assert await office.count() == 2
    assert await office.consent() is ConsentState.WITHDRAWN
    async with store.read(TENANT) as tx:
        one, two = (await tx.subscribers.by_accounts(["1", "2"])).values()
        [package] = await tx.packages.of_subscriber(one.id)
        assert len(package.services) == 2
        assert len(await tx.invoices.latest(two.id)) == 2
        assert len((await tx.consents.history([(Channel.SMS, "+15415550142")])).popitem()[1]) == 2


# --- consent ---


@pytest.mark.parametrize(
    ("cell", "state"),
    [("yes", ConsentState.GRANTED), ("no", ConsentState.WITHDRAWN), ("", None)],
)
async def test_consent_to_texts_goes_to_the_ledger(
    office: Office, cell: str, state: ConsentState | None
) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {"sms_consent": cell})
    assert await office.consent() is state


async def test_a_file_never_lifts_an_opt_out_that_the_subscriber_made(office: Office) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {"sms_consent": "no"})
    async with office.store.begin(TENANT) as tx:
        await tx.consents.withdraw(Channel.SMS, "+15415550142", source="sms", evidence="SM1")
    result = await office.give_rows(ImportKind.SUBSCRIBERS, {"sms_consent": "yes"})
    assert await office.consent() is ConsentState.WITHDRAWN
    assert [(w.line, w.column) for w in result.warnings] == [(2, "sms_consent")]
    assert result.written == 1


async def test_a_subscriber_who_opts_in_again_stays_in_when_the_old_file_is_imported_again(
    office: Office,
) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {"sms_consent": "no"})
    async with office.store.begin(TENANT) as tx:
        await tx.consents.grant(
            Channel.SMS, "+15415550142", source="sms", evidence="SM1", at=NOW + timedelta(seconds=1)
        )
    await office.give_rows(ImportKind.SUBSCRIBERS, {"sms_consent": "no"})
    assert await office.consent() is ConsentState.GRANTED


async def test_two_accounts_on_one_number_that_disagree_mean_no_texts_in_either_order(
    office: Office,
) -> None:
    for first, second in (("yes", "no"), ("no", "yes")):
        rows = ({"account": "1204", "sms_consent": first}, {"account": "1205", "sms_consent": second})
        await office.give_rows(ImportKind.SUBSCRIBERS, *rows)
        assert await office.consent() is ConsentState.WITHDRAWN
        assert (await office.give_rows(ImportKind.SUBSCRIBERS, *rows)).consents == 0


async def test_a_corrected_file_of_the_same_age_corrects_the_consent(office: Office) -> None:
    for cell in ("no", "yes", "yes"):
        result = await office.give_rows(ImportKind.SUBSCRIBERS, {"sms_consent": cell})
    assert await office.consent() is ConsentState.GRANTED
    assert result.consents == 0


async def test_no_consent_is_recorded_for_a_number_that_cannot_be_texted(office: Office) -> None:
    result = await office.give_rows(ImportKind.SUBSCRIBERS, {"phone": "911"})
    assert (result.written, result.consents) == (1, 0)


# --- rows that are refused ---

SUBSCRIBER_FAULTS = [
    ({"account": " "}, "account", "This value is missing."),
    ({"account": "9" * 41}, "account", "This value is longer than 40 characters."),
    ({"name": ""}, "name", "This value is missing."),
    ({"kind": "alien"}, "kind", "This must be one of residential, business."),
    ({"status": ""}, "status", "This must be one of prospect, active, archived."),
    ({"language": "spanish!"}, "language", "This is not a language code: use one such as en or es."),
    ({"balance": "1,234.50"}, "balance", "This is not an amount: write it as 49.90."),
    ({"balance": "1e3"}, "balance", "This is not an amount: write it as 49.90."),
    ({"balance": ""}, "balance", "This is not an amount: write it as 49.90."),
    ({"balance": "1.005"}, "balance", "An amount in USD has at most 2 decimals, 15 digits in all."),
    (
        {"balance": "1.5", "currency": "JPY"},
        "balance",
        "An amount in JPY has at most 0 decimals, 15 digits in all.",
    ),
    ({"balance": "9" * 17}, "balance", "An amount in USD has at most 2 decimals, 15 digits in all."),
    ({"currency": "BTC"}, "currency", "This is not a currency code: use an ISO 4217 code such as USD."),
    ({"invoice_notices": ""}, "invoice_notices", "This must be yes or no."),
    ({"sms_consent": "perhaps"}, "sms_consent", "This must be yes or no, or empty."),
    ({"name": "Maria\x00"}, "name", "There is a control character in this value."),
    ({"phone": "5" * 501}, "phone", "An address here is longer than 500 characters."),
    (
        {"email_billing": "x" * 501 + "@inbox.example"},
        "email_billing",
        "An address here is longer than 500 characters.",
    ),
    (
        {"email_service": ",".join(f"p{n}@inbox.example" for n in range(51))},
        "email_service",
        "There are more than 50 addresses in this field.",
    ),
]


@pytest.mark.parametrize(("change", "column", "reason"), SUBSCRIBER_FAULTS)
async def test_a_wrong_subscriber_is_skipped_and_its_neighbours_are_not(
    office: Office, change: dict[str, str], column: str, reason: str
) -> None:
    result = await office.give_rows(
        ImportKind.SUBSCRIBERS, {"account": "1"}, {"account": "2", **change}, {"account": "3"}
    )
    assert complaints(result) == [(3, column, reason)]
    assert (result.rows, result.accepted, result.written) == (3, 2, 2)
    assert await office.count() == 2


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"account": "9"}, "account", "Account 9 is not known. Import its subscriber first."),
        ({"kind": "radio"}, "kind", "This must be one of internet, voice, tv."),
        ({"status_until": "soon"}, "status_until", "This is not a date: write it as 2026-01-31."),
        ({"price": "free"}, "price", "This is not an amount: write it as 49.90."),
        ({"ip": "192.0.2.300"}, "ip", "This is not an IP address."),
        ({"mac": "00:00:5e"}, "mac", "This is not a MAC address: write it as 00:00:5e:00:53:01."),
        ({"service": ""}, "service", "This value is missing."),
        (
            {"service_status": "up"},
            "service_status",
            "This must be one of pending, active, suspended, hibernated, inactive.",
        ),
        (
            {"package": "P-1", "service": "Internet"},
            "service",
            "This service of the package stands on line 2 of this file already.",
        ),
        (
            {"package": "P-1", "service": "Second", "price": "1.00"},
            "package",
            "Line 2 says otherwise of this package: account, name, kind, status, status_until, price and "
            "currency must be the same on each of its rows.",
        ),
    ],
)
async def test_a_wrong_package_row_is_skipped_and_its_neighbours_are_not(
    office: Office, change: dict[str, str], column: str, reason: str
) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {})
    result = await office.give_rows(ImportKind.PACKAGES, {}, {"package": "P-2", **change}, {"package": "P-3"})
    assert complaints(result) == [(3, column, reason)]
    async with office.store.read(TENANT) as tx:
        packages = await tx.packages.of_subscriber((await office.subscriber()).id)
    assert [(p.ref, len(p.services), p.price.minor) for p in packages] == [("P-1", 1, 5900), ("P-3", 1, 5900)]


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"number": ""}, "number", "This value is missing."),
        ({"number": "INV-1"}, "number", "Invoice INV-1 stands on line 2 of this file already."),
        ({"account": "9"}, "account", "Account 9 is not known. Import its subscriber first."),
        (
            {"status": "overdue"},
            "status",
            "This must be one of draft, open, partially_paid, paid, void, uncollectible.",
        ),
        ({"issued_on": "05/01/2026"}, "issued_on", "This is not a date: write it as 2026-01-31."),
        ({"issued_on": "20260501"}, "issued_on", "This is not a date: write it as 2026-01-31."),
        ({"due_on": "2026-02-30"}, "due_on", "This is not a date: write it as 2026-01-31."),
        ({"due_on": ""}, "due_on", "This is not a date: write it as 2026-01-31."),
        ({"paid": "59.01"}, "paid", "What is paid must lie between zero and the total."),
        ({"paid": "-0.01"}, "paid", "What is paid must lie between zero and the total."),
        ({"total": "-59.00", "paid": "0"}, "paid", "What is paid must lie between zero and the total."),
        ({"currency": ""}, "currency", "This is not a currency code: use an ISO 4217 code such as USD."),
    ],
)
async def test_a_wrong_invoice_is_skipped_and_its_neighbours_are_not(
    office: Office, change: dict[str, str], column: str, reason: str
) -> None:
    await office.give_rows(ImportKind.SUBSCRIBERS, {})
    result = await office.give_rows(
        ImportKind.INVOICES, {}, {"number": "INV-2", **change}, {"number": "INV-3"}
    )
    assert complaints(result) == [(3, column, reason)]
    assert (result.rows, result.accepted, result.written) == (3, 2, 2)


async def test_an_account_that_stands_twice_is_refused_the_second_time_batches_apart(office: Office) -> None:
    people = [{"account": str(n)} for n in range(501)]
    result = await office.give_rows(ImportKind.SUBSCRIBERS, *people, {"account": "7", "name": "Other"})
    assert complaints(result) == [(503, "account", "Account 7 stands on line 9 of this file already.")]
    assert (await office.subscriber("7")).name == "Maria Santos"


async def test_everything_that_is_wrong_with_a_row_is_said_at_once(office: Office) -> None:
    result = await office.give_rows(
        ImportKind.SUBSCRIBERS, {"kind": "alien", "balance": "x", "currency": "?"}
    )
    assert {error.column for error in result.errors} == {"kind", "balance", "currency"}
    assert (result.rows, result.accepted) == (1, 0)


async def test_no_complaint_repeats_what_a_row_says_of_a_person(office: Office) -> None:
    secrets = dict.fromkeys(set(PERSON) - {"account"}, "hushhush")
    result = await office.give_rows(ImportKind.SUBSCRIBERS, secrets, {"account": "2", "phone": "hushhush"})
    assert result.errors
    assert result.warnings
    assert "hushhush" not in str(result)


# --- damaged files ---


async def test_bytes_that_are_no_utf8_are_an_error_of_their_row(office: Office) -> None:
    rows = [{"account": "1"}, {"account": "2", "name": "Jos\u00e9"}, {"account": "3"}]
    text = text_of(ImportKind.SUBSCRIBERS, *rows).encode("latin-1")
    result = await office.give(ImportKind.SUBSCRIBERS, text)
    assert complaints(result) == [
        (
            3,
            "name",
            "This is not UTF-8 text. Save the file as CSV UTF-8 and import it again, "
            "or say what it is, such as --encoding windows-1252.",
        )
    ]
    assert await office.count() == 2


async def test_a_row_with_too_few_or_too_many_values_is_refused(office: Office) -> None:
    lines = text_of(ImportKind.SUBSCRIBERS, {"account": "1"}, {"account": "2"}, {"account": "3"}).split("\n")
    lines[1] += ",more"
    lines[2] = lines[2].rpartition(",")[0]
    result = await office.give(ImportKind.SUBSCRIBERS, "\n".join(lines))
    assert [(e.line, e.column) for e in result.errors] == [(2, None), (3, None)]
    assert "18 values where the header has 17 columns" in result.errors[0].reason
    assert await office.count() == 1


@pytest.mark.parametrize("rows_after", [3, 700])
async def test_a_quote_that_never_closes_costs_its_own_row_only(office: Office, rows_after: int) -> None:
    rows = [{"account": str(n)} for n in range(rows_after + 1)]
    lines = text_of(ImportKind.SUBSCRIBERS, *rows).split("\n")
    lines[1] = lines[1].replace("12 Oak St", '"12 Oak St')
    result = await office.give(ImportKind.SUBSCRIBERS, "\n".join(lines))
    assert [(e.line, e.column) for e in result.errors] == [(2, None)]
    assert "quotes" in result.errors[0].reason
    assert await office.count() == rows_after


# --- headers ---


def with_column(name: str, value: str) -> str:
    header, row, _ = text_of(ImportKind.SUBSCRIBERS, {}).split("\n")
    return f"{name},{header}\n{value},{row}\n"


@pytest.mark.parametrize(
    "name", ["password", "Portal Password", "pppoe_passwd", "pwd", "portal-pass", "PIN", "wifi_psk", "secret"]
)
async def test_a_password_column_is_dropped_and_never_stored(office: Office, name: str) -> None:
    result = await office.give(ImportKind.SUBSCRIBERS, with_column(name, "hunter2hunter2"))
    assert (result.written, result.errors, result.warnings) == (1, [], [])
    assert result.dropped_columns == (name.lower(),)
    assert "hunter2" not in str(result)
    await office.store.close()
    for file in office.directory.glob("ispbot.db*"):
        assert b"hunter2" not in file.read_bytes()


async def test_a_header_names_what_is_missing_and_unknown_and_hints_at_passwords(office: Office) -> None:
    text = with_column("password,shoe size", "hunter2,44").replace("email_billing", "e-mail", 1)
    with pytest.raises(ImportProblem) as problem:
        await office.give(ImportKind.SUBSCRIBERS, text)
    assert str(problem.value) == (
        "Missing columns: email_billing. Unknown columns: shoe size, e-mail. By the way, password looks like "
        "a password: such a column is never stored, but do not export it."
    )
    assert await office.count() == 0


async def test_a_column_named_twice_is_refused(office: Office) -> None:
    with pytest.raises(ImportProblem, match="Named twice: phone"):
        await office.give(ImportKind.SUBSCRIBERS, with_column("phone", "+15415550143"))


async def test_a_file_without_a_header_is_refused_without_repeating_its_first_row(office: Office) -> None:
    text = text_of(ImportKind.SUBSCRIBERS, {}).split("\n", 1)[1]
    with pytest.raises(ImportProblem, match="The first line must name the columns: account, kind") as problem:
        await office.give(ImportKind.SUBSCRIBERS, text)
    assert "Maria" not in str(problem.value)


async def test_an_unknown_column_that_looks_like_a_value_is_named_by_its_place(office: Office) -> None:
    with pytest.raises(ImportProblem, match=r"Unknown columns: number 1\.$"):
        await office.give(ImportKind.SUBSCRIBERS, with_column("maria@inbox.example", ""))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        ("account,kind".encode("utf-16"), "Missing columns"),
        (b"PK\x03\x04rest", "is a workbook"),
        ("account,stra\u00dfe".encode("latin-1"), "Line 1 .* not UTF-8"),
        (b'"account,kind\n', "quotes do not pair up"),
    ],
)
async def test_a_file_without_a_readable_header_is_refused(office: Office, content: bytes, says: str) -> None:
    with pytest.raises(ImportProblem, match=says):
        await office.give(ImportKind.SUBSCRIBERS, content)


async def test_a_file_that_is_not_there_is_said_plainly(office: Office) -> None:
    with pytest.raises(ImportProblem, match=r"none\.csv cannot be read: No such file"):
        await import_csv(office.store, TENANT, ImportKind.INVOICES, office.directory / "none.csv")
