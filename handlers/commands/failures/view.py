"""People without a proven notice: causes with counts, the addresses behind each, and bulk actions. Pure."""

from __future__ import annotations

import csv
import io

from handlers.blocks import Mrkdwn, actions, button, context, fit, header, lines, md, section, user_input
from handlers.csv_cells import safe
from handlers.failures import Bulk, BulkPlan, Failing, Group, Row
from handlers.masks import mask_address, shown_name
from handlers.profile import Role, TenantProfile
from handlers.reply import Block, File, Modal, Reply, To
from handlers.runs import cost
from store.models import Channel

PAGE = 8
_GROUPS = 20


def count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def scope_words(failing: Failing) -> str:
    if failing.run is not None:
        return failing.run.label
    return "today" if failing.scope.days == 1 else f"the last {failing.scope.days} days"


def overview(failing: Failing, profile: TenantProfile) -> Reply:
    title = f"Without a proven notice: {scope_words(failing)}"
    blocks: list[Block] = [header(title)]
    if not failing.groups:
        blocks.append(
            section(md(":white_check_mark: Nobody. Every notice got through or is still on its way."))
        )
        return Reply(f"{title}: nobody", blocks)
    people = count(failing.people, "person", "people")
    addresses = count(failing.addresses, "row")
    blocks.append(section(md("*{}*, {}, by cause", people, addresses)))
    for group in failing.groups[:_GROUPS]:
        mine = sum(row.assigned is not None for row in group.rows)
        taken = f" · {mine:,} assigned" if mine else ""
        text = lines([md("*{}* · {}{}", f"{len(group.rows):,}", group.title, taken), group.hint])
        value = {"s": failing.scope.as_json(), "k": group.cause, "o": 0}
        blocks.append(section(text, accessory=button("Show", f"failures.cause:{group.cause}", value)))
    if len(failing.groups) > _GROUPS:
        blocks.append(context(md("and {} rarer causes", len(failing.groups) - _GROUPS)))
    blocks += actions(button("Export all", "failures.export", {"s": failing.scope.as_json()}))
    blocks.append(
        context(
            md(
                "Whoever is told by another way leaves this list. `{} failures run` for the latest run",
                profile.command,
            )
        )
    )
    return Reply(f"{title}: {people}", fit(blocks))


def group_page(failing: Failing, group: Group, offset: int, profile: TenantProfile, role: Role) -> Reply:
    title = f"{count(len(group.rows), 'row')}: {group.title}"
    scope = failing.scope.as_json()
    blocks: list[Block] = [header(title[:1].upper() + title[1:])]
    if group.hint:
        blocks.append(context(md(":bulb: {}", group.hint)))
    agent = role >= Role.AGENT
    for number, row in enumerate(group.rows[offset : offset + PAGE]):
        value = {"s": scope, "k": group.cause, "j": row.subject}
        assign = button("Assign…", f"failures.assign:{number}", value) if agent and row.subject else None
        blocks.append(section(_row(row), accessory=assign))
    here = {"s": scope, "k": group.cause}
    after = offset + PAGE
    texts = agent and profile.sms is not None and not _was_text(group)
    blocks += actions(
        button(f"More ({len(group.rows) - after:,})", "failures.cause", here | {"o": after})
        if after < len(group.rows)
        else None,
        button("Text the link…", "failures.plan:text", here | {"b": Bulk.TEXT}) if texts else None,
        button(f"Try again ({group.retriable:,})…", "failures.plan:retry", here | {"b": Bulk.RETRY})
        if agent and group.retriable
        else None,
        button("Assign all to me", "failures.mine", here) if agent else None,
        button("Export", "failures.export", here),
        button("All causes", "failures.open", {"s": scope}),
    )
    blocks.append(context(md("{} · {}", scope_words(failing), f"{profile.command} find <account> opens one")))
    return Reply(title, fit(blocks))


def _was_text(group: Group) -> bool:
    d = group.rows[0].delivery
    return d is not None and "@" not in d.address


def _row(row: Row) -> str:
    account = (
        md("`{}` {}", row.whose.account, shown_name(row.whose)) if row.whose else md("not on file any more")
    )
    address = md(" · {}", mask_address(row.delivery.address)) if row.delivery else md("")
    payer = ""
    if row.payer is not None and row.whose is not None and row.payer.id != row.whose.id:
        payer = f" (account {row.payer.account} pays)"
    invoice = f" · invoice {row.invoice.number}" if row.invoice else ""
    assigned = md("\n:bust_in_silhouette: <@{}>", row.assigned.assignee) if row.assigned else md("")
    return md("{}{}{}{}{}", account, address, payer, invoice, assigned)


def assign_dialog(carry: dict[str, object]) -> Modal:
    field = user_input("who", "Who takes care of it?")
    return Modal("failures.assigned", "Assign", [field], submit="Assign", carry=carry)


def assigned(number: int, to: str) -> Reply:
    text = f"{count(number, 'row')} assigned."
    return Reply(text, [section(md("{} <@{}> takes care.", text, to))])


def bulk_preview(made: BulkPlan, scope: dict[str, object], profile: TenantProfile, preview_id: str) -> Reply:
    what = "Text the link" if made.bulk is Bulk.TEXT else "Try again"
    number = len(made.going)
    title = f"{what}: {count(number, 'notice')}"
    rows = [md("*{}*: {}", f"{number:,}", made.group.title)]
    if made.bulk is Bulk.RETRY:
        rows += _same(made)
    if made.to(Channel.SMS):
        sms = profile.sms
        price = cost(made.segments, sms.segment_price, sms.currency) if sms else ""
        about = f", about {price}" if price else ""
        rows.append(md(":iphone: {}{}", count(made.segments, "segment"), about))
        if made.waiting:
            rows.append(md(":crescent_moon: {} wait for the morning where they live", f"{made.waiting:,}"))
    if made.bulk is Bulk.RETRY and made.group.caution:
        rows.append(md(":warning: {}", made.group.caution))
    for words_, many in sorted(made.left_out.items(), key=lambda item: -item[1]):
        rows.append(md(":heavy_minus_sign: {} left out: {}", f"{many:,}", words_))
    blocks: list[Block] = [header(title), section(lines(rows))]
    if number:
        value = {"s": scope, "k": made.group.cause, "b": made.bulk, "p": preview_id, "n": number}
        do = "failures.do_again" if "i" in scope else "failures.do"
        blocks += actions(
            button(f"Send {number:,}", do, value, style="primary"),
            button("Cancel", "failures.dismiss"),
        )
    else:
        blocks.append(section(md("There is nobody for whom this would help.")))
    return Reply(title, fit(blocks))


def _same(made: BulkPlan) -> list[Mrkdwn]:
    mails, texts = made.to(Channel.EMAIL), made.to(Channel.SMS)
    rows = [md(":email: to the same {}", count(mails, "address", "addresses"))] if mails or not texts else []
    return rows + ([md(":iphone: to the same {}", count(texts, "number"))] if texts else [])


def done(number: int) -> Reply:
    text = f"{count(number, 'message')} on the way. Whoever gets it leaves the list." if number else ""
    text = text or "They are on their way already: nothing went out twice."
    return Reply(text, [section(md(":outbox_tray: {}", text))], To.REPLACE)


def dismissed() -> Reply:
    return Reply("Nothing was sent.", [section(md("Cancelled. Nothing was sent."))], To.REPLACE)


def gone() -> Reply:
    text = "Nobody is left with this cause."
    return Reply(text, [section(md(":white_check_mark: {}", text))])


def exported() -> Reply:
    text = "The file is in your direct message with me."
    return Reply(text, [section(md(":page_facing_up: {}", text))])


def export(failing: Failing, groups: tuple[Group, ...]) -> File:
    """A CSV file with what a viewer may see: names and addresses are masked."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["account", "name", "address", "invoice", "cause", "outcome", "known_at", "assigned_to"])
    number = 0
    for group in groups:
        for row in group.rows:
            d = row.delivery
            number += 1
            writer.writerow(
                [
                    safe(row.whose.account if row.whose else ""),
                    safe(shown_name(row.whose) if row.whose else ""),
                    safe(mask_address(d.address) if d else ""),
                    safe(row.invoice.number if row.invoice else ""),
                    safe(group.title),
                    str(d.outcome) if d else "left out",
                    d.outcome_at.isoformat() if d and d.outcome_at else "",
                    safe(row.assigned.assignee) if row.assigned else "",
                ]
            )
    name = "failures.csv"
    text = f"{count(number, 'row')} without a proven notice, {scope_words(failing)}"
    return File(name, text, out.getvalue().encode("utf-8-sig"))
