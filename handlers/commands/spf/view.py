"""The SPF answer: the verdict in a sentence, what to publish, the include tree. Pure."""

from __future__ import annotations

from handlers.blocks import actions, button, code, context, esc, fit, header, lines, md, section
from handlers.reply import Block, Reply, To
from notifier.mailauth import Required, Severity, SpfNode, SpfReport

_MARK = {Severity.ERROR: ":x:", Severity.WARNING: ":warning:", Severity.INFO: ":information_source:"}


def verdict(report: SpfReport, required: str) -> tuple[str, str]:
    """(mark, sentence)."""
    if report.unavailable and report.record is None:
        return (
            ":grey_question:",
            f"DNS gave no answer for {report.domain}, so nothing can be said. Try again soon.",
        )
    if not report.records:
        return ":x:", f"{report.domain} has no SPF record. Nobody is authorised to send for it."
    if report.required in (Required.DIRECT, Required.NESTED):
        if report.errors:
            return (
                ":warning:",
                f"{report.domain} names {required}, but a mistake in the record makes it useless.",
            )
        via = f" (through {' > '.join(report.required_path)})" if report.required is Required.NESTED else ""
        return ":white_check_mark:", f"{report.domain} authorises the Visp server{via}."
    if report.required is Required.UNKNOWN:
        return (
            ":grey_question:",
            f"A part of the record of {report.domain} could not be read, so this is not sure.",
        )
    if report.record and f"include:{required}" in report.record.casefold():
        return ":x:", f"{report.domain} names {required}, but not in a way that authorises it. See below."
    return ":x:", f"{report.domain} does not authorise the Visp server: include:{required} is missing."


def answer(report: SpfReport, required: str, to: To, *, checked: str = "", nonce: str = "") -> Reply:
    """`checked` is the time of day; without a `nonce` there is nothing to share it with."""
    mark, sentence = verdict(report, required)
    blocks: list[Block] = [header(f"SPF · {report.domain}"), section(md("{} *{}*", esc(mark), sentence))]
    for record in report.records[:3]:
        blocks.append(section(lines([md("Published now:"), code(record)])))
    problems = [
        md("{} {}", esc(_MARK[p.severity]), p.sentence)
        for p in report.problems
        if p.severity is not Severity.INFO
    ]
    if problems:
        blocks.append(section(lines(problems[:12])))
    replaces = "(it replaces what is published now)" if report.records else "(there is none yet)"
    if report.corrected and report.corrected != report.record:
        blocks.append(
            section(
                lines(
                    [
                        md("*Publish this TXT record at {}* {}:", report.domain, replaces),
                        code(
                            " ".join(f'"{s}"' for s in report.strings)
                            if len(report.strings) > 1
                            else report.corrected
                        ),
                    ]
                )
            )
        )
    if report.tree is not None and report.tree.children:
        blocks.append(section(lines([md("*What it includes*"), code("\n".join(tree(report.tree)))])))
    counts = f"{report.lookups} of at most 10 DNS look-ups · {report.voids} of at most 2 empty answers"
    blocks.append(context(md("{}", counts)))
    if checked:
        blocks.append(context(md("Checked at {}", checked)))
    value = {"d": report.domain}
    blocks += actions(
        button("Recheck", "spf.recheck", value, style="primary"),
        button("Share here", "spf.share", value | {"n": nonce}) if nonce else None,
    )
    return Reply(sentence, fit(blocks), to)


def tree(node: SpfNode, depth: int = 0) -> list[str]:
    """One line a record, indented, with the look-ups that it costs."""
    label = node.domain if depth == 0 else node.term
    trouble = f"  ! {node.problem}" if node.problem else ""
    rows = [f"{'  ' * depth}{label} ({node.lookups}){trouble}"]
    for child in node.children:
        rows += tree(child, depth + 1)
    return rows[:40]
