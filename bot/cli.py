"""`ispbot`: demo, run, bot, worker, migrate, import, export, sync, notify, bounce, check, manifest,
dkim, proof, retention."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from billing.csv_kinds import DayOrder, DecimalSign, ImportKind, Preset
from bot import garbage, logs
from bot.config import AppConfig, Config, ConfigProblems, load_config, parse
from bot.demo import DemoFailed, DemoOptions, run_demo
from bot.environment import variables
from bot.terminal import commands as terminal
from handlers.reply import UserError
from notifier.sample_kinds import Sample
from store import migrate as migrations
from store.engine import DatabaseError, Engine, is_sqlite

if TYPE_CHECKING:
    from billing.csv_addresses import AddressTally
    from billing.local import ImportResult

app = typer.Typer(no_args_is_help=True, add_completion=True, help="The support desk of an internet provider.")
notify = typer.Typer(no_args_is_help=True, help="Tell subscribers, many at once.")
app.add_typer(notify, name="notify")
dkim = typer.Typer(help="The DKIM keys of the mail routes: what to publish, and whether DNS has it.")
app.add_typer(dkim, name="dkim")
proof = typer.Typer(no_args_is_help=True, help="Records of notices for a lawyer: make one, check one.")
app.add_typer(proof, name="proof")
# A file or a pipe has no width of its own: lines stay whole there, for whoever greps them.
out = Console(width=None if sys.stdout.isatty() else 300)
err = Console(stderr=True)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="app.yaml of this deployment")]
EnvironmentOption = Annotated[
    Path | None, typer.Option("--environment", help="file with `export NAME='value'` lines to read first")
]
DEFAULT_CONFIG = Path("app.yaml")


class DemoBilling(StrEnum):
    LOCAL = "local"
    UISP = "uisp"


def _fail(message: str, code: int = 1) -> typer.Exit:
    err.print(escape(message), style="red", highlight=False)
    return typer.Exit(code)


@contextmanager
def _told(config: Path) -> Iterator[None]:
    """What somebody asked for in vain (code 2), and what went wrong on the way (code 1), as one sentence."""
    try:
        yield
    except UserError as error:
        raise _fail(" ".join(filter(None, (error.sentence, error.next_step))), 2) from None
    except ConfigProblems as problems:
        raise _unusable(problems, config) from None
    except (DatabaseError, OSError) as error:
        raise _fail(str(error)) from None


def _environment(file: Path | None) -> dict[str, str]:
    if file is None:
        return dict(os.environ)
    try:
        return {**os.environ, **variables(file.read_text("utf-8"))}
    except OSError as error:
        raise _fail(f"{file} cannot be read: {error.strerror}", 2) from None
    except UnicodeDecodeError:
        raise _fail(f"{file} is not UTF-8 text.", 2) from None
    except ValueError as error:
        raise _fail(f"{file} cannot be read: {error}.", 2) from None


def _config(path: Path, environment: Path | None = None) -> Config:
    try:
        return load_config(path, _environment(environment))
    except ConfigProblems as problems:
        raise _unusable(problems, path) from None


def _unusable(problems: ConfigProblems, path: Path) -> typer.Exit:
    err.print(f"{escape(str(path))} cannot be used:", style="red")
    for where, sentence in problems.problems:
        err.print(f"  [bold]{escape(where)}[/bold]: {escape(sentence)}", highlight=False)
    return typer.Exit(2)


def _twin(
    name: str,
    text: str,
    config: Path,
    environment: Path | None,
    tenant: str | None,
    as_data: bool,
    contacts: bool,
) -> None:
    """A command of Slack's that only reads, at the terminal."""
    from bot.terminal.cli import answer

    logs.configure()
    loaded = _config(config, environment)
    key = _provider(loaded.app, tenant)
    with _told(config):
        code = asyncio.run(answer(loaded, key, name, text, out, as_data=as_data, contacts=contacts))
    if code:
        raise typer.Exit(code)


terminal.add_to(app, _twin, DEFAULT_CONFIG)


def _quick_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed: mails cost a third less. None: asyncio's own, which does the same."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _serve(config: Config, *, bot: bool, worker: bool) -> None:
    from bot.wiring import Runtime  # here and below: most of the product, which `demo` starts without

    logs.configure()
    garbage.look_rarely()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        log = structlog.get_logger()

        def told_to_stop(name: signal.Signals) -> None:
            if not stop.is_set():
                stop.set()
            else:  # whoever asks twice does not want to wait: as a kill, and with what a kill leaves in doubt
                log.warning("stopped_at_once", signal=name.name)
                os._exit(128 + name)

        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, told_to_stop, name)
        await Runtime(config, bot=bot, worker=worker).run(lambda: log.info("started"), stop)

    try:
        with asyncio.Runner(loop_factory=_quick_loop()) as runner:
            runner.run(main())
    except (ConfigProblems, DatabaseError) as error:
        raise _fail(str(error)) from None
    except OSError as error:
        raise _fail(f"Could not start: {error.strerror or error}. Is another one running?") from None


def _halves_need_postgresql(config: Config, half: str) -> None:
    if is_sqlite(config.database_url):
        raise _fail(
            f"`ispbot {half}` runs one half beside others, and SQLite serves one process only.\n"
            "Use `ispbot run`, or set database to a postgresql:// URL.",
            2,
        )


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="of the page")] = 8080,
    state: Annotated[Path, typer.Option(help="where it keeps everything")] = Path(".demo"),
    fresh: Annotated[bool, typer.Option("--fresh", help="forget the last demo")] = False,
    database: Annotated[str | None, typer.Option(help="postgresql://... instead of SQLite")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page")] = True,
    halves: Annotated[bool, typer.Option("--halves", help="bot and worker as two processes")] = False,
    socket_mode: Annotated[
        bool, typer.Option("--socket-mode", help="the product opens the connection to Slack")
    ] = False,
    billing: Annotated[
        DemoBilling, typer.Option(help="our own record, or UISP as the sandbox plays it")
    ] = DemoBilling.LOCAL,
) -> None:
    """Try everything on this machine: the product beside an emulated Slack, mail and DNS."""
    if halves and (database is None or is_sqlite(database)):
        raise _fail("--halves needs --database postgresql://...", 2)

    def say(line: str) -> None:
        print(line, flush=True)
        if browser and sys.stdout.isatty():
            typer.launch(line.removeprefix("ready "))

    options = DemoOptions(port, state, fresh, database, halves, socket_mode, billing.value)
    try:
        asyncio.run(run_demo(options, say))
    except (DemoFailed, ConfigProblems, DatabaseError) as error:
        raise _fail(str(error)) from None


@app.command()
def setup(
    config: ConfigOption = DEFAULT_CONFIG,
    answers: Annotated[
        Path | None, typer.Option(help="a YAML file with all answers: nobody is asked (docs/setup.md)")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="ask everything again; old answers are offered")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open Slack's page")] = True,
    undo: Annotated[bool, typer.Option("--undo", help="put back the app.yaml that was there before")] = False,
) -> None:
    """Set a deployment up: asks, tries each answer, writes app.yaml, tells what waits on others."""
    from bot.setup.answers import SetupProblem
    from bot.setup.cli import given_in, set_up
    from bot.setup.keeping import put_back

    logs.configure(level=logging.ERROR)
    try:
        with _told(config):
            if undo:
                put_back(config, out)
                return
            given = None if answers is None else given_in(answers)
            right = set_up(config, given, out, browser=browser, again=again)
    except SetupProblem as problem:
        raise _fail(str(problem), 2) from None
    except (typer.Abort, KeyboardInterrupt):
        raise _fail("Stopped. Your answers are kept: ispbot setup goes on where you were.", 130) from None
    if not right:
        raise typer.Exit(1)


@app.command()
def golive(
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="back to test mode")] = False,
    notices_off: Annotated[
        bool, typer.Option("--notices-off", help="billing's own invoice notices are off: do not ask")
    ] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="also where a check fails")] = False,
) -> None:
    """Send to everybody (send_mode: live), once all is in order; --undo goes back to test mode."""
    from bot.setup.answers import SetupProblem
    from bot.setup.golive import go_live

    logs.configure(level=logging.ERROR)
    loaded = _config(config, environment)
    key = _provider(loaded.app, tenant)
    try:
        with _told(config):
            go_live(loaded, key, out, undo=undo, notices_off=notices_off, anyway=anyway)
    except SetupProblem as problem:
        raise _fail(str(problem), 1) from None


@app.command()
def run(config: ConfigOption = DEFAULT_CONFIG, environment: EnvironmentOption = None) -> None:
    """Bot and worker in one process (the SQLite way)."""
    _serve(_config(config, environment), bot=True, worker=True)


@app.command()
def bot(config: ConfigOption = DEFAULT_CONFIG, environment: EnvironmentOption = None) -> None:
    """The half that talks to people: Slack, bounces in. Any number, on PostgreSQL."""
    loaded = _config(config, environment)
    _halves_need_postgresql(loaded, "bot")
    _serve(loaded, bot=True, worker=False)


@app.command()
def worker(config: ConfigOption = DEFAULT_CONFIG, environment: EnvironmentOption = None) -> None:
    """The half that sends. Any number, on PostgreSQL."""
    loaded = _config(config, environment)
    _halves_need_postgresql(loaded, "worker")
    _serve(loaded, bot=False, worker=True)


@app.command()
def migrate(
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    to: Annotated[str, typer.Option(help="revision, or `base` for none")] = "head",
    lock_timeout: Annotated[
        float, typer.Option(min=0, help="seconds to wait for a table that others use; 0: for ever")
    ] = 10.0,
) -> None:
    """Bring the database's schema up to date (or down, with --to)."""
    loaded = _config(config, environment)
    engine = Engine(loaded.database_url)
    try:
        engine.lock_process()  # SQLite: two processes that write is how files are lost
        _migrate(loaded.database_url, to, lock_timeout)
    except DatabaseError as error:
        raise _fail(str(error)) from None
    finally:
        asyncio.run(engine.close())


def _migrate(url: str, to: str, lock_s: float) -> None:
    before = asyncio.run(migrations.current(url))
    target = migrations.head() if to == "head" else to
    down = to == "base" or (to != "head" and (before or "") > to)
    step = migrations.downgrade if down else migrations.upgrade
    asyncio.run(step(url, to, lock_s=lock_s))
    out.print(f"{before or 'nothing'} -> {target}")


def _provider(app_config: AppConfig, tenant: str | None) -> str:
    """The key of the one that is meant."""
    tenants = app_config.tenants
    if tenant is None and len(tenants) > 1:
        raise _fail(f"Say which provider: --tenant {' or '.join(tenants)}", 2)
    key = tenant or next(iter(tenants))
    if key not in tenants:
        raise _fail(f"There is no provider {key}. There is: {', '.join(tenants)}", 2)
    return key


@app.command("import")
def import_(
    kind: Annotated[ImportKind, typer.Argument(help="what the file holds")],
    file: Annotated[Path, typer.Argument(help="a CSV file with our header")],
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
    source: Annotated[
        str, typer.Option(help="what cards name as the source: csv, or the preset's system")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check the file, change nothing")] = False,
    dns: Annotated[bool, typer.Option("--dns/--no-dns", help="ask DNS about each mail domain")] = True,
    preset: Annotated[
        Preset | None, typer.Option(help="whose export it is, where it is not in our format")
    ] = None,
    columns: Annotated[
        str, typer.Option("--map", help='our columns by theirs: account="Customer ID",email_billing=Email')
    ] = "",
    decimal: Annotated[
        DecimalSign | None, typer.Option(help="of amounts that could be read both ways")
    ] = None,
    dates: Annotated[DayOrder | None, typer.Option(help="of days such as 03/04/2026")] = None,
    currency: Annotated[str, typer.Option(help="of a file that names none, such as USD")] = "",
    encoding: Annotated[str, typer.Option(help="of a file that is not UTF-8, such as windows-1252")] = "",
) -> None:
    """Take subscribers, packages or invoices in from a CSV file; twice changes nothing twice."""
    loaded = _config(config, environment)
    tenants, key = loaded.app.tenants, _provider(loaded.app, tenant)

    from billing.csv_rows import COLUMNS, OPTIONAL
    from billing.csv_shapes import Wanted, read_map
    from billing.local import ImportProblem, import_csv
    from bot.wiring import ensure_tenants, open_store

    async def main() -> ImportResult:
        store = open_store(loaded)
        try:
            if not dry_run:  # which only reads: beside a running product too
                store.engine.lock_process()
                await ensure_tenants(store, loaded)
            with _progress() as progress:
                task = progress.add_task(kind.value, total=None)

                def step(done: int, total: int) -> None:
                    progress.update(task, completed=done, total=total)

                result = await import_csv(
                    store,
                    tenants[key].id,
                    kind,
                    file,
                    source=source or named,
                    dry_run=dry_run,
                    progress=step,
                    region=tenants[key].region,
                    wanted=wanted,
                    encoding=encoding,
                )
        finally:
            await store.close()
        await _judge_domains(loaded, result, dns=dns)
        return result

    try:
        theirs = read_map(columns, kind, (*COLUMNS[kind], *OPTIONAL[kind])) if columns else {}
        named = preset.value if preset in (Preset.UISP, Preset.SPLYNX) else "csv"
        wanted = Wanted(preset, theirs, decimal, dates, currency.upper())
        result = asyncio.run(main())
    except (ImportProblem, DatabaseError, OSError) as error:
        raise _fail(str(error)) from None
    except KeyboardInterrupt:
        raise _fail("Stopped. What was taken in stays; the same command again goes on.", 130) from None
    _tell_import(result, kind, dry_run)
    if result.errors:
        raise typer.Exit(1)


@app.command()
def export(
    kind: Annotated[ImportKind, typer.Argument(help="what is wanted")],
    file: Annotated[Path, typer.Argument(help="where it goes; - for the terminal")],
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
    mended: Annotated[
        bool, typer.Option("--mended", help="addresses as they are used here, not as billing has them")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="replace a file that is there")] = False,
) -> None:
    """Write subscribers, packages or invoices to a CSV file that `ispbot import` finds unchanged."""
    from bot.export_cli import export as write

    loaded = _config(config, environment)
    key = _provider(loaded.app, tenant)
    try:
        with _told(config):
            asyncio.run(write(loaded, key, kind, file, err, mended=mended, force=force))
    except KeyboardInterrupt:
        raise _fail("Stopped. No file was written.", 130) from None


@app.command()
def sync(
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
    full: Annotated[bool, typer.Option("--full", help="everything, not only what may have changed")] = False,
) -> None:
    """Catch up with the billing system now, as the product does by itself every few minutes."""
    from bot.sync_cli import catch_up

    loaded = _config(config, environment)
    key = _provider(loaded.app, tenant)
    with _told(config):
        asyncio.run(catch_up(loaded, key, out, err, full=full))


async def _judge_domains(loaded: Config, result: ImportResult, *, dns: bool) -> None:
    """After the rows are in, with no database open: it may take a minute."""
    tally = result.addresses
    if not dns or not tally.domains:
        tally.judge_domains_unasked()
        return
    from notifier.mailauth.lookup import DnsResolver

    resolver = DnsResolver(list(loaded.app.dns.servers) or None, loaded.app.dns.port, timeout=1.5, lifetime=3)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        task = progress.add_task("mail domains", total=len(tally.domains))
        try:
            await tally.judge_domains(
                resolver, progress=lambda done, total: progress.update(task, completed=done, total=total)
            )
        finally:
            await resolver.aclose()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=err,
    )


def _tell_import(result: ImportResult, kind: ImportKind, dry_run: bool) -> None:
    taken = f"{result.accepted} {kind} would be" if dry_run else f"{result.written} {kind}"
    out.print(f"{result.rows} rows read, {taken} taken in, {len(result.errors)} with errors")
    if result.dropped_columns:
        out.print(f"Left out, never stored: {escape(', '.join(result.dropped_columns))}")
    if result.ignored_columns:
        out.print(f"Not taken in: {escape(', '.join(result.ignored_columns))}")
    for row in result.warnings[:10]:
        out.print(f"Worth a look, line {row.line}: {escape(row.reason)}")
    _tell_addresses(result.addresses)
    if result.errors:
        table = Table("line", "column", "what is wrong")
        for row in result.errors[:50]:
            named = result.names.get(row.column or "", row.column or "")
            table.add_row(str(row.line), escape(named), escape(row.reason))
        out.print(table)
        if len(result.errors) > 50:
            out.print(f"... and {len(result.errors) - 50} more")


def _tell_addresses(tally: AddressTally) -> None:
    """Lines and domains only: an address is nobody's business but the subscriber's."""
    if not tally.found:
        return
    from notifier.addresses import KIND_WORDS

    table = Table("addresses", "what was found", "for example")
    for kind in KIND_WORDS:
        if kind in tally.found:
            found = tally.found[kind]
            examples = ", ".join(f"line {e.line} {e.domain}".rstrip() for e in found.examples)
            table.add_row(f"{found.count:,}", KIND_WORDS[kind], escape(examples))
    out.print(f"{tally.addresses:,} e-mail addresses at {len(tally.domains):,} domains")
    out.print(table)
    if tally.suggested:
        out.print(
            f"Of those that are no address, {tally.suggested:,} have a plain slip: `/isp contact` mends it."
        )


@notify.command("invoices")
def notify_invoices_(
    issued_since: Annotated[str | None, typer.Option(help="day: invoices issued from then to today")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="invoices whose due date has passed")] = False,
    reminders: Annotated[bool, typer.Option("--reminders", help="invoices due within five days")] = False,
    invoice: Annotated[str | None, typer.Option(help="one invoice, by its number")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="rehearse only, write nothing")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="wait until all are sent (PostgreSQL, beside the product)")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
) -> None:
    """Tell subscribers of their invoices; nobody is told twice of the same one."""
    from bot.notify import Wanted, notify_invoices

    loaded = _config(config, environment)
    key = _provider(loaded.app, tenant)
    wanted = Wanted(issued_since, overdue, invoice, reminders, dry_run, follow)
    with _told(config):
        asyncio.run(notify_invoices(loaded, key, wanted, out, err))


@notify.command("preview")
def notify_preview_(
    name: Annotated[str, typer.Argument(help="such as overdue; none: a list of all")] = "",
    language: Annotated[str, typer.Option(help="such as es; none: every one that there is")] = "",
    sample: Annotated[Sample, typer.Option(help="which invented facts it is filled with")] = Sample.FULL,
    page: Annotated[Path | None, typer.Option(help="write a page with everything, and open it")] = None,
    templates: Annotated[Path | None, typer.Option(help="a directory to try instead")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
) -> None:
    """Show what subscribers are sent, with invented facts. Exit code 1 where a file of yours is wrong."""
    from bot.preview import Wanted, preview

    with _told(config):
        written = parse(config)
        settings = written.tenants[_provider(written, tenant)]
        wanted = Wanted(name, language, sample, page, templates, as_json)
        right = preview(settings, config.parent, wanted, out)
    if not right:
        raise typer.Exit(1)
    if page is not None and sys.stdout.isatty():
        typer.launch(page.resolve().as_uri())


@notify.command("ledger")
def notify_ledger_(
    since: Annotated[str | None, typer.Option(help="first day of issue (default: a month ago)")] = None,
    csv: Annotated[Path | None, typer.Option(help="write one line an invoice into this file")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
) -> None:
    """Invoices issued against notified, to the row. Exit code 1 when some are missing."""
    from bot.notify_ledger import notify_ledger

    loaded = _config(config, environment)
    with _told(config):
        missing = asyncio.run(notify_ledger(loaded, _provider(loaded.app, tenant), since, csv, out))
    if missing:
        raise typer.Exit(1)


@app.command()
def bounce(
    sources: Annotated[list[str], typer.Argument(help="FILE (.eml, mbox), DIR (Maildir or files), or -")],
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    tenant: Annotated[str | None, typer.Option(help="whose they are where no header tells")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only read and match, write nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document instead of lines")] = False,
    full: Annotated[bool, typer.Option("--full", help="addresses as they are, not masked")] = False,
) -> None:
    """Take bounce messages in from files; twice changes nothing twice."""
    from bot.bounces_cli import Wanted, take_bounces

    loaded = _config(config, environment)
    key = _provider(loaded.app, tenant)
    wanted = Wanted(sources, dry_run, as_json, full)
    try:
        all_read = asyncio.run(take_bounces(loaded, key, wanted, sys.stdin.buffer, out, err))
    except DatabaseError as error:
        raise _fail(str(error)) from None
    if not all_read:
        raise typer.Exit(1)


@app.command()
def check(
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    send_test: Annotated[
        str | None, typer.Option(help="an address that gets a test mail by each mail route")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON list, for programs")] = False,
) -> None:
    """Try everything that this deployment depends on; say what to do about what fails."""
    from bot.checks.cli import as_data, look, unusable

    logs.configure(level=logging.ERROR)
    environ = _environment(environment)
    with _told(config):
        try:
            loaded = load_config(config, environ)
        except ConfigProblems as problems:
            if not as_json:
                raise
            typer.echo(as_data(unusable(problems, config)))
            raise typer.Exit(2) from None
        right = asyncio.run(look(loaded, send_test, out, err, as_json=as_json))
    if not right:
        raise typer.Exit(1)


@proof.command("make")
def proof_make(
    whose: Annotated[str, typer.Argument(help="an account's or an invoice's number")],
    reason: Annotated[str, typer.Option(help="why it is needed; stands in the record and in the audit")],
    time: Annotated[str, typer.Option("--time", help="such as 2026, 'Jan 5 to Mar 31' or all")] = "",
    to: Annotated[Path, typer.Option("--to", help="the directory where the PDF goes")] = Path(),
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
) -> None:
    """Make the record of an account's or an invoice's notices, as `/isp proof` does."""
    from bot.proof_cli import make_record

    loaded = _config(config, environment)
    key = _provider(loaded.app, tenant)
    with _told(config):
        asyncio.run(make_record(loaded, key, f"{whose} {time}".strip(), reason, to, typer.echo))


@proof.command("verify")
def proof_verify(
    file: Annotated[Path, typer.Argument(help="a record that somebody shows")],
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    tenant: Annotated[str | None, typer.Option(help="which provider, where there are several")] = None,
) -> None:
    """Whether exactly this file was made here, by whom, and whether the audit holds; exit code 1 if not."""
    from bot.proof_cli import verify_record

    loaded = _config(config, environment)
    key = _provider(loaded.app, tenant)
    with _told(config):
        genuine = asyncio.run(verify_record(loaded, key, file.read_bytes(), typer.echo))
    if not genuine:
        raise typer.Exit(1)


@app.command()
def manifest(
    config: ConfigOption = DEFAULT_CONFIG,
    name: Annotated[str, typer.Option(help="what the app is called in Slack")] = "",
    socket_mode: Annotated[
        bool,
        typer.Option("--socket-mode", help="for a desk without a public address"),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of YAML")] = False,
) -> None:
    """Print the manifest of the Slack app: paste it at api.slack.com/apps, "From a manifest"."""
    from bot.manifest_cli import written

    with _told(config):
        typer.echo(written(config, name=name, socket_mode=socket_mode, as_json=as_json), nl=False)


@app.command()
def retention(
    config: ConfigOption = DEFAULT_CONFIG,
    environment: EnvironmentOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count, remove nothing")] = False,
) -> None:
    """Remove what is past its time, as the product does once a day; --dry-run tells what that would be."""
    from bot.retention_cli import keep_house

    loaded = _config(config, environment)
    with _told(config):
        asyncio.run(keep_house(loaded, out, dry_run=dry_run))


@dkim.callback(invoke_without_command=True)
def dkim_(
    context: typer.Context, config: ConfigOption = DEFAULT_CONFIG, environment: EnvironmentOption = None
) -> None:
    """Print each route's key record, ready to paste, and whether DNS has it; exit code 1 if not."""
    if context.invoked_subcommand is not None:
        return
    from bot.dkim import look, tell
    from bot.wiring import open_resolver

    loaded = _config(config, environment)

    async def main() -> bool:
        resolver = open_resolver(loaded)
        try:
            return tell(await look(loaded, resolver), typer.echo)
        finally:
            await resolver.aclose()

    if not asyncio.run(main()):
        raise typer.Exit(1)


@dkim.command("new")
def dkim_new(
    file: Annotated[Path, typer.Argument(help="where the private key goes; must not exist yet")],
    domain: Annotated[str, typer.Option(help="the d= of the signature: the domain of your From, as a rule")],
    selector: Annotated[str, typer.Option(help="tells keys apart; a new one for each new key")] = "ispbot1",
    ed25519: Annotated[
        bool, typer.Option("--ed25519", help="small, but not every receiver knows it")
    ] = False,
    bits: Annotated[int, typer.Option(min=2048, max=4096, help="of an RSA key")] = 2048,
) -> None:
    """Make a key and print the record to publish and the lines for app.yaml."""
    from bot.dkim import write_key

    try:
        write_key(file, ed25519=ed25519, bits=bits, domain=domain, selector=selector, say=typer.echo)
    except FileExistsError:
        raise _fail(
            f"{file} is there already, and it may be a key that signs. Choose another name."
        ) from None
    except (OSError, ValueError) as error:
        raise _fail(str(error)) from None


def main() -> None:
    app()


if __name__ == "__main__":
    main()
