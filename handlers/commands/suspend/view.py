"""The preview of a suspension and its dialog. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers.blocks import (
    actions,
    button,
    context,
    fit,
    lines,
    md,
    option,
    section,
    select_input,
    text_input,
)
from handlers.profile import TenantProfile
from handlers.reply import Block, Modal, Reply, To
from handlers.standing import Standing
from handlers.standing_view import against, done_there, facts, source
from store.models import Package, PackageStatus

REASONS = {
    "unpaid": "Unpaid balance",
    "promise": "A promise to pay was not kept",
    "returned": "A payment came back",
}
CHECKED = "checked"


def preview(standing: Standing, profile: TenantProfile) -> Reply:
    s = standing.subscriber
    title = f"Suspend account {s.account}?"
    blocks: list[Block] = facts(standing, profile, title)
    value = {"s": str(s.id), "b": s.balance.minor}
    busy = standing.under_way is not None
    if standing.elsewhere is not None:
        if standing.refusal is None and (warnings := against(standing)):
            blocks.insert(2, section(lines(warnings)))
        blocks += done_there(standing)
        blocks += actions(button("Hold reminders instead…", "hold.ask", {"s": str(s.id)}))
    elif standing.refusal is None and not busy:
        if warnings := against(standing):
            blocks.insert(2, section(lines(warnings)))
        blocks += actions(
            button("Choose package…", "suspend.choose", value, style=None if warnings else "primary"),
            button("Hold instead…", "hold.ask", {"s": str(s.id)}),
            button("Cancel", "suspend.cancel"),
        )
    elif busy:
        blocks.append(section(md(":hourglass_flowing_sand: Something is being done with it already.")))
    blocks.append(source(standing, profile))
    return Reply(_spoken(standing, title), fit(blocks))


def _spoken(standing: Standing, title: str) -> str:
    return standing.refusal.sentence if standing.refusal is not None else title


def may_choose(standing: Standing) -> list[Package]:
    return [p for p in standing.packages if p.status is PackageStatus.ACTIVE]


def dialog(standing: Standing, profile: TenantProfile, owed_before: int) -> Modal:
    s = standing.subscriber
    packages = [option(_label(p, profile), str(p.id)) for p in may_choose(standing)]
    reasons = [option(text, key) for key, text in REASONS.items()]
    tell = [
        option("Yes, by mail and text", "yes"),
        option("No", "no"),
    ]
    blocks: list[Block] = [
        section(
            md("*{}* · account {} · balance *{}*", s.name, s.account, fmt.money(s.balance, profile.locale))
        ),
        select_input(
            "package",
            "Package",
            packages,
            initial=packages[0] if len(packages) == 1 else None,
            hint="All its services stop.",
        ),
        select_input("reason", "Reason", reasons, initial=reasons[0]),
        text_input("detail", "More about it", optional=True, longest=150, hint="For the team; not sent."),
        select_input(
            "tell",
            "Tell the subscriber",
            tell,
            initial=tell[0],
            hint="They read that the service is suspended because of the balance, and how to pay.",
        ),
    ]
    if standing.old_import and standing.imported_at is not None:
        when = fmt.moment(standing.imported_at, profile.time_zone, profile.locale)
        choices = [
            option("Not looked yet", "no"),
            option("Looked in billing: nothing was paid", CHECKED),
        ]
        blocks.append(
            select_input(
                CHECKED,
                "Payments since the last import",
                choices,
                initial=choices[0],
                hint=f"The last import is of {when}.",
            )
        )
    return Modal(
        "suspend.chosen",
        "Suspend a package",
        blocks,
        submit="Suspend",
        carry={"s": str(s.id), "b": owed_before},
    )


def _label(package: Package, profile: TenantProfile) -> str:
    return f"{package.name} · {fmt.money(package.price, profile.locale)}"


def under_way(package: str) -> Reply:
    text = f"Suspending {package}. The card in this channel follows it."
    return Reply(text, [section(md(":hourglass_flowing_sand: {}", text))])


def cancelled() -> Reply:
    return Reply("Nothing was done.", [section(md("Cancelled. Nothing was done."))], To.REPLACE)


def looking_again() -> Reply:
    text = "Looking at it again. Its card shows what is found."
    return Reply(text, [context(md(text))])
