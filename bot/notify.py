"""`ispbot notify invoices`: an invoice run from the command line, rehearsed first and told as a table.

The same run as /isp run (handlers.workflows.run); its card stands in the support channel. On SQLite one
process writes: a rehearsal goes beside the running product, a run does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bot.config import Config
from bot.wiring import build_services, ensure_tenants, open_store
from handlers.contract import Services
from handlers.profile import TenantProfile
from handlers.reply import UserError
from handlers.runs import (
    NEEDS_A_PERSON,
    REASONS,
    STANDING_WORDS,
    Criteria,
    Rehearsal,
    What,
    cost,
    issued_since,
    lasts,
)
from handlers.workflows import rehearsal
from handlers.workflows import run as workflow
from notifier.runs import RUN_SURFACE
from store import migrate
from store.engine import DatabaseError, is_sqlite
from store.models import AuditEntry, Run, RunState, Standing
from store.types import new_id

ASKER = "command line"
LOCKED = (
    "The product is running on this SQLite file, and one process writes it. Use `{command} run` in Slack, "
    "or stop the product for the time of the run (it sends the notices when it starts again). "
    "--dry-run works beside it."
)
WAITS = (
    "{number} notices are more than {most} (runs.approve_above): nothing goes out before somebody with the "
    "role lead approves it. Its card with the button stands in the support channel once the product runs."
)
FOLLOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed; exactly one of the first three."""

    issued_since: str | None = None
    overdue: bool = False
    invoice: str | None = None
    reminders: bool = False
    dry_run: bool = False
    follow: bool = False

    def criteria(self, today: date) -> Criteria:
        """UserError: none, several, or a date that is none."""
        named = [bool(self.issued_since), self.overdue, bool(self.invoice), self.reminders]
        if sum(named) != 1:
            raise UserError("Say one of --issued-since DAY, --overdue, --reminders and --invoice NUMBER.")
        if self.issued_since:
            return issued_since(self.issued_since, today)
        if self.invoice:
            return Criteria(What.INVOICE, today, number=self.invoice)
        return Criteria(What.OVERDUE if self.overdue else What.REMINDERS, today)


async def notify_invoices(config: Config, key: str, wanted: Wanted, out: Console, err: Console) -> None:
    """UserError or DatabaseError with the sentence to print."""
    tenant = config.app.tenants[key].id
    sqlite = is_sqlite(config.database_url)
    if wanted.follow and sqlite:
        raise UserError("--follow needs PostgreSQL: on SQLite nothing is sent while this command runs.")
    if await migrate.current(config.database_url) != migrate.head():
        raise DatabaseError("The database's schema is not that of this version. Run `ispbot migrate`.")
    store = open_store(config)
    try:
        services = build_services(config, store, {})
        profile = services.profile(tenant)
        criteria = wanted.criteria(services.now().astimezone(profile.time_zone).date())
        if not wanted.dry_run:
            _lock(services, profile)
            await ensure_tenants(store, config)
        made = await rehearsal.rehearse(services, tenant, criteria)
        _tell(made, profile, out)
        if wanted.dry_run:
            out.print("Nothing was written (--dry-run).")
        elif not made.notices:
            out.print("Nobody is left to tell.")
        else:
            run = await _carry_out(services, tenant, criteria, made, err)
            if run.state is RunState.WAITING:
                most = profile.runs.approve_above
                out.print(WAITS.format(number=f"{made.notices:,}", most=f"{most:,}"), highlight=False)
                return
            await _told(services, tenant, run, out)
            if wanted.follow:
                await _follow(services, tenant, run, err)
                await _told(services, tenant, run, out)
            elif sqlite:
                out.print("They go out when the product runs.")
    finally:
        await store.close()


def _lock(services: Services, profile: TenantProfile) -> None:
    try:
        services.store.engine.lock_process()
    except DatabaseError:
        raise DatabaseError(LOCKED.format(command=profile.command)) from None


async def _carry_out(
    services: Services, tenant: int, criteria: Criteria, made: Rehearsal, err: Console
) -> Run:
    """Goes on with a run of the same label that was cut off, else begins one."""
    profile = services.profile(tenant)
    label = criteria.label(profile.locale)
    async with services.store.begin(tenant) as tx:
        run = await tx.runs.interrupted(label, ASKER)
        if run is None:
            run = await workflow.begin(
                tx,
                criteria,
                f"cli:{new_id()}",
                requested_by=ASKER,
                locale=profile.locale,
                made=made,
                guard=profile.runs,
            )
            entry = AuditEntry(tx.now, ASKER, "run.start", f"run:{run.id}", {"criteria": dict(run.criteria)})
            await tx.audit.append(f"cli:{run.id}:run.start", entry)
            await tx.posts.want(RUN_SURFACE, str(run.id), profile.support_channel)
    if run.state is RunState.WAITING:
        return run
    with _progress(err) as progress:
        task = progress.add_task("written", total=made.audience)
        await workflow.carry_out(services, tenant, run, lambda size: progress.advance(task, size))
    return run


def _progress(err: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err)


def _tell(made: Rehearsal, profile: TenantProfile, out: Console) -> None:
    sms = profile.sms

    def price(segments: int) -> str:
        return cost(segments, sms.segment_price, sms.currency) if sms else ""

    out.print(escape(made.criteria.label(profile.locale)), style="bold", highlight=False)
    table = Table("audience", "invoices", "addresses", "segments", "cost")
    table.add_row("by mail", f"{made.by_mail:,}", f"{made.mails:,}", "", "")
    texts = (f"{made.by_text:,}", f"{made.by_text:,}", f"{made.segments:,}", price(made.segments))
    table.add_row("by text", *texts)
    if made.with_fallback:
        behind = f"{made.with_fallback:,}"
        most = made.fallback_segments
        table.add_row("by text if the mail fails", behind, behind, f"{most:,} at most", price(most))
    table.add_row("left out", f"{made.excluded:,}", "", "", "")
    table.add_row("in all", f"{made.audience:,}", "", "", "", style="bold")
    out.print(table)
    if made.left_out:
        reasons = Table("left out because", "invoices", "such as accounts", "")
        for reason, number in sorted(made.left_out.items(), key=lambda item: -item[1]):
            hint = "ought to be told" if reason in NEEDS_A_PERSON else ""
            examples = escape(", ".join(made.examples.get(reason, ())))
            reasons.add_row(REASONS[reason], f"{number:,}", examples, hint)
        out.print(reasons)
    for sentence in made.anomalies:
        out.print(f"Look at this first: {sentence}", style="yellow", highlight=False, markup=False)
    if made.takes is not None:
        how = f"Takes {lasts(made.takes.seconds)}, limited by {made.takes.decides}."
        out.print(how, highlight=False, markup=False)
    if made.waiting:
        out.print(f"{made.waiting:,} texts wait for the morning of their readers.")
    if profile.send_mode != "live":
        out.print(f"send_mode is {profile.send_mode}: what it does not let out is held.")


async def _told(services: Services, tenant: int, run: Run, out: Console) -> None:
    async with services.store.read(tenant) as tx:
        standings = await tx.runs.standings(run.id)
        left_out = sum((await tx.runs.left_out(run.id)).values())
    told = ", ".join(f"{number:,} {STANDING_WORDS[standing]}" for standing, number in _in_order(standings))
    out.print(f"{told or 'no notices'}, {left_out:,} left out", highlight=False)


def _in_order(standings: Mapping[Standing, int]) -> list[tuple[Standing, int]]:
    return [(standing, standings[standing]) for standing in STANDING_WORDS if standing in standings]


async def _follow(services: Services, tenant: int, run: Run, err: Console) -> None:
    """Until nothing is under way; what a relay took may still bounce, and its card goes on telling."""
    with _progress(err) as progress:
        task = progress.add_task("sent", total=None)
        while True:
            async with services.store.read(tenant) as tx:
                standings = await tx.runs.standings(run.id)
                current = await tx.runs.get(run.id)
            if current is not None and current.state in (RunState.PAUSED, RunState.CANCELLED):
                progress.console.print(f"The run is {current.state}. {current.pause_reason}".rstrip())
                return
            total, waiting = sum(standings.values()), standings.get(Standing.UNDER_WAY, 0)
            progress.update(task, total=total, completed=total - waiting)
            if not waiting:
                return
            await asyncio.sleep(FOLLOW_S)
