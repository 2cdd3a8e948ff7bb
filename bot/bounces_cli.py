"""`ispbot bounce FILE|DIR|-`: bounce messages from files, by the way that the listener's mail takes.

Reads .eml files, mbox files, Maildirs and folders of any of them. The same message twice changes nothing
twice. What a file cannot give is told, and does not stop the rest.
"""

from __future__ import annotations

import json
import mailbox
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import structlog
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bot.bounce_address import envelope_to
from bot.bounce_listener import SIZE_LIMIT, bounce_item
from bot.config import Config
from bot.wiring import build_services, ensure_tenants, mx_hosts, open_store
from handlers.contract import Services
from handlers.masks import mask_email
from handlers.unmatched import class_words
from notifier import dsn, matching, returned
from notifier.dsn import Line, Received, Taken
from notifier.keys import Keyring
from store import migrate
from store.engine import DatabaseError
from store.models import Unmatched
from store.unit import Store

log = structlog.get_logger()
WORKER = "command line"
LEASE_S = 60.0
LOCKED = (
    "The product is running on this SQLite file, and one process writes it. Send the files to its bounce "
    "port instead, or stop it for the time of this. --dry-run works beside it."
)
_WORDS = {
    Received.RECORDED: "recorded",
    Received.KNOWN: "known already",
    Received.UNMATCHED: "belongs to no message: see /isp bounces",
    Received.NO_REPORT: "no report in it",
}
_COUNTED = {
    Received.RECORDED: "recorded",
    Received.KNOWN: "known already",
    Received.UNMATCHED: "belong to no message",
    Received.NO_REPORT: "without a report",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One message of a source, or why it could not be read."""

    name: str
    raw: bytes = b""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    sources: Sequence[str]
    dry_run: bool = False
    as_json: bool = False
    full: bool = False
    """Addresses unmasked."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message and what became of it; `accounts` go with the lines."""

    found: Found
    taken: Taken | None = None
    accounts: tuple[str, ...] = ()


def messages(source: str, stdin: BinaryIO) -> Iterator[Found]:
    """Every message of a file, folder, or `-`; lazily."""
    if source == "-":
        yield from _split("standard input", stdin.read())
        return
    path = Path(source)
    if not path.is_dir():
        yield from _file(path)
        return
    maildir = [path / name for name in ("cur", "new") if (path / name).is_dir()]
    inside = (file for folder in maildir or [path] for file in folder.rglob("*"))
    files = sorted(f for f in inside if f.is_file() and not f.name.startswith("."))
    if not files:
        yield Found(source, problem="nothing in it")
    for file in files:
        yield from _file(file)


def _file(path: Path) -> Iterator[Found]:
    name = str(path)
    try:
        with path.open("rb") as opened:
            raw = opened.read(SIZE_LIMIT + 1)
        if raw.startswith(b"From "):
            box = mailbox.mbox(path, create=False)
            try:
                for number, key in enumerate(box.keys(), 1):
                    yield _checked(f"{name}#{number}", box.get_bytes(key))
            finally:
                box.close()
            return
    except OSError as error:
        yield Found(name, problem=f"cannot be read: {error.strerror or error}")
        return
    yield _checked(name, raw)


_MBOX_LINE = re.compile(rb"^From [^\n]*\n", re.MULTILINE)


def _split(name: str, raw: bytes) -> Iterator[Found]:
    if not raw.startswith(b"From "):
        yield _checked(name, raw)
        return
    # RFC 4155: a line that begins with "From " inside a message is written ">From ".
    for number, message in enumerate(_MBOX_LINE.split(raw)[1:], 1):
        yield _checked(f"{name}#{number}", message)


def _checked(name: str, raw: bytes) -> Found:
    if not raw.strip():
        return Found(name, problem="is empty")
    if len(raw) > SIZE_LIMIT:
        return Found(name, problem=f"is larger than {SIZE_LIMIT // 1024 // 1024} MiB")
    return Found(name, raw)


class Intake:
    """Takes messages in as the listener does: a row of the inbox first, then its reports."""

    def __init__(self, services: Services, keyring: Keyring, domains: dict[str, int], tenant: int) -> None:
        self._services, self._keyring, self._domains, self._tenant = services, keyring, domains, tenant
        self._desk = {t: profile.support_channel for t, profile in services.tenants.items()}

    @property
    def _store(self) -> Store:
        return self._services.store

    async def take(self, found: Found, *, dry_run: bool) -> Told:
        to = envelope_to(found.raw, list(self._domains))
        tenant = self._domains.get(to.rpartition("@")[2].casefold(), self._tenant)
        taken = await (self._look(found, to, tenant) if dry_run else self._record(found, to, tenant))
        return Told(found, taken, await self._accounts(taken.lines))

    async def _record(self, found: Found, to: str, tenant: int) -> Taken:
        item = bounce_item(tenant, to, found.raw, self._store)
        async with self._store.system() as tx:  # so that the product goes on where we are cut off
            await tx.interactions.add([item], worker=WORKER, lease_s=LEASE_S)
        taken = await dsn.take_in(
            self._store,
            self._keyring,
            raw=found.raw,
            envelope_to=to,
            tenant=tenant,
            mx_hosts=mx_hosts(self._services),
            desk=self._desk,
        )
        async with self._store.begin(tenant) as tx:
            await tx.interactions.finish(item)
        return taken

    async def _look(self, found: Found, to: str, tenant: int) -> Taken:
        """What would be recorded; nothing is written."""
        read = await dsn.read(found.raw)
        if not read.reports:
            return Taken(Received.NO_REPORT)
        async with self._store.read(tenant) as tx:
            matches = await matching.match(tx, self._keyring, read, to, tenant, lock=False)
            refs = sorted({(m.tenant, m.delivery.id) for m in matches if not isinstance(m, Unmatched)})
            events = await tx.events.of(refs)
        lines = tuple(
            Line(report, None, new=False, why=one)
            if isinstance(one, Unmatched)
            else Line(report, one.delivery, new=dsn.is_new(report, one, events[one.tenant, one.delivery.id]))
            for report, one in zip(read.reports, matches, strict=True)
        )
        if any(line.new for line in lines):
            return Taken(Received.RECORDED, lines)
        known = all(line.delivery for line in lines)
        return Taken(Received.KNOWN if known else Received.UNMATCHED, lines)

    async def _accounts(self, lines: Sequence[Line]) -> tuple[str, ...]:
        accounts: list[str] = []
        for line in lines:
            d = line.delivery
            whose = None
            if d is not None and d.subscriber_id is not None:
                async with self._store.read(d.tenant) as tx:
                    whose = await tx.subscribers.by_id(d.subscriber_id)
            accounts.append(whose.account if whose else "")
        return tuple(accounts)


async def take_bounces(
    config: Config, key: str, wanted: Wanted, stdin: BinaryIO, out: Console, err: Console
) -> bool:
    """True when every message could be read. DatabaseError with the sentence to print."""
    if await migrate.current(config.database_url) != migrate.head():
        raise DatabaseError("The database's schema is not that of this version. Run `ispbot migrate`.")
    store = open_store(config)
    try:
        if not wanted.dry_run:
            try:
                store.engine.lock_process()
            except DatabaseError:
                raise DatabaseError(LOCKED) from None
            await ensure_tenants(store, config)
        services = build_services(config, store, {})
        domains = {t.mail.envelope_domain.casefold(): t.id for t in config.app.tenants.values()}
        intake = Intake(services, config.secrets.keyring, domains, config.app.tenants[key].id)
        told: list[Told] = []
        with _progress(err) as progress:
            task = progress.add_task("messages", total=None)
            for source in wanted.sources:
                for found in messages(source, stdin):
                    one = await _one(intake, found, wanted)
                    told.append(Told(replace(one.found, raw=b""), one.taken, one.accounts))
                    progress.advance(task)
                    if not wanted.as_json:
                        _print(one, wanted, out)
    finally:
        await store.close()
    if wanted.as_json:
        out.file.write(json.dumps(_document(told, wanted), indent=1, ensure_ascii=False) + "\n")
    else:
        out.print(escape(_summary(told, wanted)), highlight=False, soft_wrap=True)
    return not any(one.found.problem for one in told)


async def _one(intake: Intake, found: Found, wanted: Wanted) -> Told:
    """A fault of ours in one message is told, and does not stop the rest."""
    if found.problem:
        return Told(found)
    try:
        return await intake.take(found, dry_run=wanted.dry_run)
    except Exception as error:
        log.exception("bounce_file_failed", error=type(error).__name__)
        return Told(Found(found.name, b"", f"could not be worked on ({type(error).__name__})"))


def _progress(err: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _print(one: Told, wanted: Wanted, out: Console) -> None:
    for line in _lines(one, wanted):
        out.print(escape(line), highlight=False, soft_wrap=True)


def _lines(one: Told, wanted: Wanted) -> list[str]:
    name = returned.printable(one.found.name)
    if one.taken is None:
        return [f"{name}: {one.found.problem}"]
    if not one.taken.lines:
        return [f"{name}: {_WORDS[one.taken.result]}"]
    return [
        f"{name}: {_whom(line, wanted)}, {class_words(line.report.cls)}, {_where(line, account, wanted)}"
        for line, account in zip(one.taken.lines, one.accounts, strict=True)
    ]


def _whom(line: Line, wanted: Wanted) -> str:
    address = line.report.recipient or line.report.original_recipient or ""
    if not address:
        return "nobody named"
    return returned.printable(address) if wanted.full else mask_email(returned.printable(address))


def _where(line: Line, account: str, wanted: Wanted) -> str:
    if line.delivery is None:
        return _WORDS[Received.UNMATCHED]
    whose = f"account {account}" if account else "a message to nobody on file"
    recorded = "would be recorded" if wanted.dry_run else "recorded"
    return f"{whose}: {recorded if line.new else 'known already'}"


def _counts(told: Sequence[Told]) -> dict[Received, int]:
    results = [one.taken.result for one in told if one.taken is not None]
    return {result: results.count(result) for result in Received}


def _summary(told: Sequence[Told], wanted: Wanted) -> str:
    counted = _COUNTED | ({Received.RECORDED: "would be recorded"} if wanted.dry_run else {})
    counts = [f"{n:,} {counted[result]}" for result, n in _counts(told).items() if n]
    unread = sum(bool(one.found.problem) for one in told)
    if unread:
        counts.append(f"{unread:,} could not be read")
    what = f"{len(told):,} message{'' if len(told) == 1 else 's'}: {', '.join(counts) or 'nothing'}."
    return f"{what} Nothing was written (--dry-run)." if wanted.dry_run else what


def _document(told: Sequence[Told], wanted: Wanted) -> dict[str, object]:
    return {
        "dry_run": wanted.dry_run,
        "messages": [
            {
                "name": one.found.name,
                "problem": one.found.problem or None,
                "result": one.taken.result if one.taken else None,
                "reports": [
                    {
                        "recipient": _whom(line, wanted),
                        "class": line.report.cls,
                        "hard": line.report.hard,
                        "status": line.report.status,
                        "account": account or None,
                        "matched": line.delivery is not None,
                        "new": line.new,
                        "why": line.why,
                    }
                    for line, account in zip(one.taken.lines, one.accounts, strict=True)
                ]
                if one.taken
                else [],
            }
            for one in told
        ],
        "summary": {result.value: n for result, n in _counts(told).items()}
        | {"unread": sum(bool(one.found.problem) for one in told)},
    }
