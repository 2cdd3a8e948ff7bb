"""What is exported, imported again, changes nothing; and both databases write the same octets."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from billing.csv_export import export_csv
from billing.csv_kinds import ImportKind
from billing.local import ImportResult, import_csv
from store.models import Channel, ContactOverride, ContactRole
from store.types import new_id
from store.unit import Store
from tests.conftest import FakeClock, OpenStore

SUBSCRIBERS = """\
account,kind,status,name,language,email_billing,email_service,phone,address,city,state,zip,bill_to,balance,currency,\
invoice_notices,sms_consent,tags
1042,residential,active,Dana Whitfield,en,"dana@inbox.example; <mailto:dw@work.example>",dana@inbox.example,\
(541) 555-0142,"12 Juniper Lane, Apt 3",Bend,OR,97701,,49.90,USD,yes,yes,vip; fire-2026
1043,business,active,"Höfer & ""Söhne"", Inc.",es,"maria santos@inbox.example, ap@hofer.example",,,9 Rim St,\
Redmond,OR,97756,1042,-1200.00,USD,no,,
1044,residential,archived,=SUM(A1),fr,nobody at inbox,,12,,,,,,1200,JPY,yes,no,
"""
PACKAGES = """\
account,package,name,kind,status,status_until,price,currency,service,service_kind,service_status,ip,mac
1042,P-1,Fiber 500,internet,active,,59.00,USD,Mail,email,active,,
1042,P-1,Fiber 500,internet,active,,59.00,USD,Line,internet,active,192.0.2.7,00-00-5E-00-53-01
1043,P-2,Voice,voice,suspended,2026-12-24,5.00,USD,,,,,
"""
INVOICES = """\
number,account,status,issued_on,due_on,total,paid,currency
INV-2,1042,open,2026-11-01,2026-11-15,49.90,0.00,USD
INV-10,1043,partially_paid,2026-10-01,2026-10-15,100.00,20.50,USD
INV-1,1044,paid,2026-09-01,2026-09-15,1200,1200,JPY
"""
FILES = {
    ImportKind.SUBSCRIBERS: SUBSCRIBERS,
    ImportKind.PACKAGES: PACKAGES,
    ImportKind.INVOICES: INVOICES,
}


async def give(store: Store, kind: ImportKind, content: bytes, path: Path) -> ImportResult:
    (path / "file.csv").write_bytes(content)
    return await import_csv(store, 1, kind, path / "file.csv")


async def take(store: Store, kind: ImportKind, *, mended: bool = False) -> bytes:
    file = io.BytesIO()
    await export_csv(store, 1, kind, file, mended=mended)
    return file.getvalue()


async def everything(store: Store) -> dict[ImportKind, bytes]:
    return {kind: await take(store, kind) for kind in ImportKind}


async def test_what_was_exported_changes_nothing_and_is_exported_again_octet_for_octet(
    store: Store, tmp_path: Path, clock: FakeClock
) -> None:
    for kind, text in FILES.items():
        assert (await give(store, kind, text.encode(), tmp_path)).errors == []
    before = await everything(store)
    clock.advance(hours=1)
    for kind, content in before.items():
        result = await give(store, kind, content, tmp_path)
        assert (result.errors, result.consents) == ([], 0)
        if kind is ImportKind.SUBSCRIBERS:
            assert (result.created, result.updated, result.unchanged) == (0, 0, 3)
    assert await everything(store) == before
    async with store.read(1) as tx:
        invoices = await tx.invoices.by_numbers(["INV-1", "INV-2", "INV-10"])
    assert {invoice.revision for invoice in invoices.values()} == {1}


async def test_the_other_database_writes_the_same_octets(
    sqlite_url: str, postgres_url: str, open_store: OpenStore, tmp_path: Path
) -> None:
    one, other = await open_store(sqlite_url), await open_store(postgres_url)
    for kind, text in FILES.items():
        await give(one, kind, text.encode(), tmp_path)
    moved = await everything(one)
    assert moved[ImportKind.INVOICES].split(b"\r\n")[1].startswith(b"INV-1,1044,paid")
    assert b",dana@inbox.example; <mailto:dw@work.example>," in moved[ImportKind.SUBSCRIBERS]
    for kind, content in moved.items():
        assert (await give(other, kind, content, tmp_path)).errors == []
    assert await everything(other) == moved


async def override(store: Store, old: str, new: str) -> ContactOverride:
    async with store.begin(1) as tx:
        found = await tx.subscribers.by_account("1042")
        assert found is not None
        made = ContactOverride(new_id(), found.id, ContactRole.BILLING, Channel.EMAIL, old, new, "U1", tx.now)
        await tx.overrides.add(made)
        if old:
            await tx.subscribers.change_point(found.id, made.role, made.channel, old, new)
        else:
            await tx.subscribers.add_point(found.id, made.role, made.channel, new)
    return made


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dana@inbox.example", "dana.w@inbox.example"),
        ("dana@inbox.example", "dw@work.example"),  # which is on file already
        ("", "third@inbox.example"),
    ],
)
async def test_what_was_mended_here_still_stands_after_a_round_trip(
    store: Store, tmp_path: Path, old: str, new: str
) -> None:
    await give(store, ImportKind.SUBSCRIBERS, SUBSCRIBERS.encode(), tmp_path)
    made = await override(store, old, new)
    content = await take(store, ImportKind.SUBSCRIBERS)
    assert b"dana@inbox.example" in content
    assert new == "dw@work.example" or new not in content.decode()
    used = await take(store, ImportKind.SUBSCRIBERS, mended=True)
    result = await give(store, ImportKind.SUBSCRIBERS, content, tmp_path)
    assert (result.updated, result.unchanged) == (0, 3)
    async with store.read(1) as tx:
        assert (await tx.overrides.active([made.subscriber_id]))[made.subscriber_id] == [made]
    assert await take(store, ImportKind.SUBSCRIBERS, mended=True) == used
    assert new in used.decode()


async def test_a_stop_by_text_is_no_yes_in_a_file(store: Store, tmp_path: Path, clock: FakeClock) -> None:
    """A database that never heard of the STOP would believe it."""
    await give(store, ImportKind.SUBSCRIBERS, SUBSCRIBERS.encode(), tmp_path)
    assert b",yes,yes,fire-2026; vip" in await take(store, ImportKind.SUBSCRIBERS)
    clock.advance(hours=1)
    async with store.begin(1) as tx:
        await tx.consents.withdraw(Channel.SMS, "+15415550142", source="sms", evidence="SM1")
    content = await take(store, ImportKind.SUBSCRIBERS)
    assert b",yes,,fire-2026; vip" in content
    assert (await give(store, ImportKind.SUBSCRIBERS, content, tmp_path)).consents == 0


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), max_size=40)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    emails=st.lists(TEXT | st.emails() | st.just("ann smith@x.example") | st.just('"Lee, A" <a@x.example>')),
    phone=TEXT | st.just("541 555 0142"),
    name=TEXT.filter(str.strip),
    tags=st.lists(TEXT),
)
async def test_whatever_a_field_holds_makes_the_round(
    store: Store, tmp_path: Path, emails: list[str], phone: str, name: str, tags: list[str]
) -> None:
    header, row, *_ = csv.reader(SUBSCRIBERS.splitlines())
    typed = {"name": name, "email_billing": ", ".join(emails), "phone": phone, "tags": ";".join(tags)}
    out = io.StringIO()
    csv.writer(out).writerows([header, [typed.get(*pair) for pair in zip(header, row, strict=True)]])
    first = await give(store, ImportKind.SUBSCRIBERS, out.getvalue().encode(), tmp_path)
    assume(not first.errors)
    content = await take(store, ImportKind.SUBSCRIBERS)
    again = await give(store, ImportKind.SUBSCRIBERS, content, tmp_path)
    assert (again.errors, again.updated, again.unchanged, again.consents) == ([], 0, 1, 0)
    assert await take(store, ImportKind.SUBSCRIBERS) == content
