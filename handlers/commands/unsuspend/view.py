"""The preview of an unsuspension and its dialog. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers.blocks import actions, button, fit, md, option, section, select_input, text_input
from handlers.profile import Role, TenantProfile
from handlers.reply import Block, Modal, Reply, To
from handlers.standing import Standing
from handlers.standing_view import done_there, facts, source
from store.models import PackageStatus


def preview(standing: Standing, profile: TenantProfile, role: Role) -> Reply:
    s = standing.subscriber
    title = f"Unsuspend account {s.account}?"
    blocks: list[Block] = facts(standing, profile, title)
    if standing.elsewhere is not None:
        blocks += done_there(standing)
    elif standing.under_way is not None:
        blocks.append(section(md(":hourglass_flowing_sand: Something is being done with it already.")))
    elif standing.refusal is None:
        owed = s.balance.minor > 0
        if owed:
            who = "" if role >= Role.LEAD else " Only a lead may unsuspend it now."
            amount = fmt.money(s.balance, profile.locale)
            blocks.insert(2, section(md(":warning: *{} is still owed.*{}", amount, who)))
        if not owed or role >= Role.LEAD:
            blocks += actions(
                button(
                    "Choose package…",
                    "unsuspend.choose",
                    {"s": str(s.id)},
                    style=None if owed else "primary",
                ),
                button("Cancel", "unsuspend.cancel"),
            )
    blocks.append(source(standing, profile))
    spoken = standing.refusal.sentence if standing.refusal is not None else title
    return Reply(spoken, fit(blocks))


def dialog(standing: Standing, profile: TenantProfile) -> Modal:
    s = standing.subscriber
    packages = [
        option(f"{p.name} · {fmt.money(p.price, profile.locale)}", str(p.id))
        for p in standing.packages
        if p.status is PackageStatus.SUSPENDED
    ]
    tell = [option("Yes, by mail and text", "yes"), option("No", "no")]
    about = md("*{}* · account {} · balance *{}*", s.name, s.account, fmt.money(s.balance, profile.locale))
    blocks: list[Block] = [
        section(about),
        select_input(
            "package", "Package", packages, initial=packages[0], hint="All its suspended services run again."
        ),
        text_input(
            "reason", "Reason", initial=_reason(standing), longest=150, hint="For the team; not sent."
        ),
        select_input("tell", "Tell the subscriber", tell, initial=tell[0]),
    ]
    return Modal(
        "unsuspend.chosen", "Unsuspend a package", blocks, submit="Unsuspend", carry={"s": str(s.id)}
    )


def _reason(standing: Standing) -> str:
    return "paid" if standing.subscriber.balance.minor <= 0 else ""


def under_way(package: str) -> Reply:
    text = f"Unsuspending {package}. The card in this channel follows it."
    return Reply(text, [section(md(":hourglass_flowing_sand: {}", text))])


def cancelled() -> Reply:
    return Reply("Nothing was done.", [section(md("Cancelled. Nothing was done."))], To.REPLACE)
