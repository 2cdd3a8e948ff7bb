"""The demo's provider, Cascade Broadband: 500 subscribers and a year of invoices, as CSV for the importer.

Everything comes from one seed and two dates, so that a run can be repeated; the accounts that the demo
tells stories about are in `cast_build.py`, the behaviour of their mailboxes is in `cast_mail.py`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from sandbox.cast_build import build
from sandbox.cast_mail import BEHAVIOURS, HELPERS_MAILBOX, NOBODYS_MAILBOX
from sandbox.cast_rows import Invoice, Service, Subscriber

TENANT_NAME: Final = "Cascade Broadband"
TIME_ZONE: Final = "America/Los_Angeles"
CURRENCY: Final = "USD"

LANDLINE_ACCOUNT: Final = "1290"
OPTED_OUT_ACCOUNT: Final = "1188"


Row = TypeVar("Row", Subscriber, Service, Invoice)


@dataclass(frozen=True)
class Cast:
    """The whole cast; `service_rows` are the rows of packages.csv, one for each service."""

    subscriber_rows: tuple[Subscriber, ...]
    service_rows: tuple[Service, ...]
    invoice_rows: tuple[Invoice, ...]

    @classmethod
    def generate(cls, base_date: date | None = None, today: date | None = None) -> Cast:
        """The cast as it stands on `today`, with the newest monthly invoices issued on `base_date`.

        Without dates: today in the tenant's zone and the first of its month, so that the demo is fresh.
        With a base date alone, today is the fifteenth day from it.
        """
        if today is None:
            today = (
                datetime.now(ZoneInfo(TIME_ZONE)).date()
                if base_date is None
                else base_date + timedelta(days=14)
            )
        return cls(*build(base_date or today.replace(day=1), today))

    def write(self, directory: Path) -> None:
        """Write subscribers.csv, packages.csv and invoices.csv into `directory`, creating it."""
        directory.mkdir(parents=True, exist_ok=True)
        _write_rows(directory / "subscribers.csv", Subscriber, self.subscriber_rows)
        _write_rows(directory / "packages.csv", Service, self.service_rows)
        _write_rows(directory / "invoices.csv", Invoice, self.invoice_rows)

    @classmethod
    def load(cls, state_dir: Path) -> Cast:
        """The cast that lies in STATE/cast; FileNotFoundError when none was written there."""
        directory = state_dir / "cast"
        return cls(
            _read_rows(directory / "subscribers.csv", Subscriber),
            _read_rows(directory / "packages.csv", Service),
            _read_rows(directory / "invoices.csv", Invoice),
        )

    @classmethod
    def load_or_write(cls, state_dir: Path) -> Cast:
        """The cast of this state directory, made on first use: a restart must not change the books."""
        if not (state_dir / "cast" / "invoices.csv").exists():
            cls.generate().write(state_dir / "cast")
        return cls.load(state_dir)

    def state(self) -> dict[str, list[dict[str, Any]]]:
        """The parts of GET /sandbox/state that the cast knows: numbers, mailboxes, invoices."""
        return {"numbers": self.numbers(), "mailboxes": self.mailboxes(), "invoices": self.invoices()}

    def numbers(self) -> list[dict[str, Any]]:
        """`[{number, accounts}]`, each number once."""
        return _by_value("number", ((s.phone, s.account) for s in self.subscriber_rows if s.phone))

    def mailboxes(self) -> list[dict[str, Any]]:
        """`[{address, accounts}]`, each address once, with the mailbox that belongs to nobody at the end."""
        pairs = (
            (address, s.account)
            for s in self.subscriber_rows
            for address in (*split_addresses(s.email_billing), *split_addresses(s.email_service))
        )
        ours = [{"address": mailbox, "accounts": []} for mailbox in (NOBODYS_MAILBOX, HELPERS_MAILBOX)]
        return [*_by_value("address", pairs), *ours]

    def invoices(self) -> list[dict[str, str]]:
        """`[{number, account, status}]` of every invoice, drafts too."""
        return [{"number": i.number, "account": i.account, "status": i.status} for i in self.invoice_rows]

    def phone_of(self, account: str) -> str:
        """The number of an account, empty when it has none; KeyError for an unknown account."""
        for subscriber in self.subscriber_rows:
            if subscriber.account == account:
                return subscriber.phone
        raise KeyError(account)

    def landlines(self) -> list[str]:
        """Numbers that no text can reach."""
        return [self.phone_of(LANDLINE_ACCOUNT)]

    def opted_out(self) -> list[str]:
        """Numbers whose owner has answered STOP."""
        return [self.phone_of(OPTED_OUT_ACCOUNT)]

    @staticmethod
    def mail_behaviours() -> list[dict[str, Any]]:
        """What the cast's mailboxes do at first, as bodies of /sandbox/mail/behaviour."""
        return [dict(behaviour) for behaviour in BEHAVIOURS]


def split_addresses(text: str) -> list[str]:
    """The addresses of a billing field, which holds several separated by commas or semicolons."""
    return [part for part in re.split(r"[,;\s]+", text) if part]


def _by_value(key: str, pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    accounts: dict[str, list[str]] = {}
    for value, account in pairs:
        known = accounts.setdefault(value, [])
        if account not in known:
            known.append(account)
    return [{key: value, "accounts": known} for value, known in accounts.items()]


def _write_rows(path: Path, row_type: type[Row], rows: Iterable[Row]) -> None:
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(row_type)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    unfinished.replace(path)


def _read_rows(path: Path, row_type: type[Row]) -> tuple[Row, ...]:
    with path.open(encoding="utf-8", newline="") as file:
        rows: Iterable[Mapping[str, str]] = csv.DictReader(file)
        return tuple(row_type(**row) for row in rows)
