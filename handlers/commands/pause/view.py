"""The preview of a pause and its dialog. Pure."""

from __future__ import annotations

from datetime import date

from billing.judgement import step_of
from billing.package_states import Becomes
from handlers import format as fmt
from handlers.blocks import actions, button, date_input, fit, md, option, section, select_input, text_input
from handlers.profile import TenantProfile
from handlers.reply import Block, Modal, Reply, To
from handlers.standing import Standing
from handlers.standing_view import facts, source
from store.models import ActKind, Package


def preview(standing: Standing, profile: TenantProfile, until: date | None) -> Reply:
    s = standing.subscriber
    day = f" until {fmt.day(until, profile.locale)}" if until else ""
    title = f"Pause a package of account {s.account}{day}?"
    blocks: list[Block] = facts(standing, profile, title)
    if standing.under_way is not None:
        blocks.append(section(md(":hourglass_flowing_sand: Something is being done with it already.")))
    elif standing.refusal is None:
        value = {"s": str(s.id)} | ({"d": until.isoformat()} if until else {})
        blocks.append(
            section(
                md("It is neither used nor billed while it is paused. Billing brings it back on its day.")
            )
        )
        blocks += actions(
            button("Choose package and day…", "pause.choose", value, style="primary"),
            button("Cancel", "pause.cancel"),
        )
    blocks.append(source(standing, profile))
    spoken = standing.refusal.sentence if standing.refusal is not None else title
    return Reply(spoken, fit(blocks))


def may_choose(standing: Standing) -> list[Package]:
    return [p for p in standing.packages if isinstance(step_of(ActKind.PAUSE, p), Becomes)]


def dialog(standing: Standing, profile: TenantProfile, until: date | None) -> Modal:
    s = standing.subscriber
    packages = [
        option(f"{p.name} · {fmt.money(p.price, profile.locale)}", str(p.id)) for p in may_choose(standing)
    ]
    blocks: list[Block] = [
        section(md("*{}* · account {}", s.name, s.account)),
        select_input("package", "Package", packages, initial=packages[0] if len(packages) == 1 else None),
        date_input("until", "Until", initial=until, hint="Billing brings it back on that day."),
        text_input("reason", "Reason", optional=True, longest=150, hint="For the team; not sent."),
    ]
    return Modal("pause.chosen", "Pause a package", blocks, submit="Pause", carry={"s": str(s.id)})


def under_way(package: str) -> Reply:
    text = f"Pausing {package}. The card in this channel follows it."
    return Reply(text, [section(md(":hourglass_flowing_sand: {}", text))])


def cancelled() -> Reply:
    return Reply("Nothing was done.", [section(md("Cancelled. Nothing was done."))], To.REPLACE)
