"""The ledger of a run: invoices issued against notified, to the row, in words and as a file. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from handlers.blocks import Mrkdwn, actions, button, fit, header, lines, md, section
from handlers.csv_cells import safe
from handlers.reply import Block, File, Reply
from handlers.runs import LEDGER_HEAD, REASONS, STANDING_WORDS
from store.models import Ledger

MOST_ROWS = 50_000
"""Lines of a file in Slack."""


def ledger(
    made: Ledger,
    label: str,
    days: Ledger | None,
    days_words: str,
    value: Mapping[str, str],
    missing: Sequence[str] = (),
) -> Reply:
    """Of one run, and of all invoices issued on its days."""
    title = f"Ledger: {label}"
    blocks: list[Block] = [header(title), section(lines(_sums(made, "invoices in its audience")))]
    if days is not None:
        rows = [md("*All invoices issued {}*", days_words), *_sums(days, "issued")]
        if missing:
            rows.append(md("Missing: {}", ", ".join(missing)))
        blocks.append(section(lines(rows)))
    blocks += actions(button("Export", "run.ledger", value))
    return Reply(title, fit(blocks))


def _sums(made: Ledger, what: str) -> list[Mrkdwn]:
    rows = [md("*{}* {}", f"{made.issued:,}", what)]
    rows += [
        md("{} {}", f"{made.notified[s]:,}", STANDING_WORDS[s]) for s in STANDING_WORDS if s in made.notified
    ]
    order = sorted(made.left_out.items(), key=lambda item: -item[1])
    rows += [md("{} left out: {}", f"{number:,}", REASONS.get(reason, reason)) for reason, number in order]
    if made.outside:
        rows.append(md("{} in no run so far", f"{made.outside:,}"))
    if made.archived:
        rows.append(md("{} archived by age: `proof` tells of each account's", f"{made.archived:,}"))
    if made.gap:
        rows.append(md(":rotating_light: *{} missing*: tell whoever runs this bot", f"{made.gap:,}"))
    else:
        rows.append(md(":white_check_mark: it adds up"))
    return rows


def exported() -> Reply:
    text = "The file is in your direct message with me."
    return Reply(text, [section(md(":page_facing_up: {}", text))])


def file(rows: Iterable[Sequence[str]], *, cut: bool) -> File:
    """One line an invoice; no name and no address."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(LEDGER_HEAD)
    writer.writerows([safe(cell) for cell in row] for row in rows)
    text = "The ledger, one line an invoice."
    if cut:
        text += f" It was cut after {MOST_ROWS:,}: `ispbot notify ledger --csv FILE` writes all of them."
    return File("ledger.csv", text, out.getvalue().encode())
