"""The SPF answer: the verdict in a sentence, our servers, what to publish, the include tree. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from handlers import format as fmt
from handlers.blocks import (
    Mrkdwn,
    actions,
    button,
    code,
    context,
    esc,
    fit,
    header,
    lines,
    md,
    mention,
    section,
)
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply, To
from handlers.spf_look import RESULT_WORDS, SpfLook, SpfState, Way
from notifier.mailauth import Required, Severity, SpfNode, SpfProblem, SpfResult
from store.models import DnsWatch, WatchEnd

_MARK = {Severity.ERROR: ":x:", Severity.WARNING: ":warning:", Severity.INFO: ":information_source:"}
_STATE = {
    SpfState.RIGHT: ":white_check_mark:",
    SpfState.WRONG: ":x:",
    SpfState.UNKNOWN: ":grey_question:",
}
_MOST_LINES = 40
_MOST_PROBLEMS = 12


def mark(look: SpfLook) -> str:
    broken = look.report.required in (Required.DIRECT, Required.NESTED) and look.broken
    return ":warning:" if broken else _STATE[look.state]


def answer(look: SpfLook, to: To, *, checked: str = "", nonce: str = "") -> Reply:
    """`checked` is the time of day; without a `nonce` the asker may neither share it nor have it watched.
    Nothing is published at what is no domain name, so nobody can wait for that."""
    value = {"d": look.domain}
    watch = button("Tell me when it is fixed", "spf.watch", value | {"n": nonce})
    blocks = [
        *_body(look, checked),
        *actions(
            button("Recheck", "spf.recheck", value, style="primary"),
            watch if nonce and look.state is SpfState.WRONG and look.report.corrected else None,
            button("Share here", "spf.share", value | {"n": nonce}) if nonce else None,
        ),
    ]
    return Reply(look.sentence, fit(blocks), to)


def _body(look: SpfLook, checked: str) -> list[Block]:
    report = look.report
    blocks: list[Block] = [
        header(f"SPF · {look.domain}"),
        section(md("{} *{}*", esc(mark(look)), look.sentence)),
    ]
    if look.ways:
        blocks.append(section(lines([md("*Our mail servers*"), *(_way(way) for way in look.ways)])))
    if look.alignment:
        blocks.append(section(lines([md("*What people's mailboxes make of it*"), *map(esc, look.alignment)])))
    blocks += _record(look)
    blocks += _remedy(look)
    if report.tree is not None and report.tree.children:
        blocks.append(section(lines([md("*What it includes*"), code("\n".join(tree(report.tree)))])))
    if report.flattening:
        blocks.append(section(md(":information_source: {}", report.flattening)))
    counts = f"{report.lookups} of at most 10 DNS look-ups · {report.voids} of at most 2 empty answers"
    blocks.append(context(md("{}", counts)))
    if checked:
        blocks.append(context(md("Checked at {}", checked)))
    return blocks


def _way(way: Way) -> Mrkdwn:
    """One sending address: what receivers get, and by which term."""
    if way.check is None:
        text = "*{}* · its address is not in the configuration (egress_ips), so it cannot be checked"
        return md(":grey_question: " + text, way.route)
    check = way.check
    sign = _way_mark(way)
    if check.matching_term:
        by = md(" by {}", _term(check.matching_term))
    else:
        by = md("")
    # RFC 7208 section 8.1 and 8.2: none and neutral are told apart, and treated alike.
    return md(
        "{} *{}* · {} · {}{}: {}",
        esc(sign),
        way.route,
        way.ip,
        check.result.value,
        by,
        RESULT_WORDS[check.result],
    )


def _way_mark(way: Way) -> str:
    result = way.check.result if way.check is not None else SpfResult.TEMPERROR
    if result is SpfResult.PASS:
        return ":white_check_mark:"
    if result is SpfResult.TEMPERROR:
        return ":grey_question:"
    return ":x:" if way.matters else ":heavy_minus_sign:"


def _term(text: str) -> Mrkdwn:
    return md("`{}`", text.replace("`", "ˋ")[:80])


def _record(look: SpfLook) -> list[Block]:
    """What is published, with the place of each problem marked, and the problems by their numbers."""
    report = look.report
    problems = [p for p in look.problems if p.severity is not Severity.INFO][:_MOST_PROBLEMS]
    placed = any(p.end for p in problems) and bool(report.records)
    blocks: list[Block] = []
    for index, record in enumerate(report.records[:3]):
        numbered = [(n, p) for n, p in enumerate(problems, 1) if p.record == index and p.end]
        shown = marked(record, numbered)
        title = "Published now" if shown == record else "Published now, with the number of each ⟦problem⟧"
        blocks.append(section(lines([md("{}:", title), code(shown)])))
    if problems:
        rows = [
            md("{} {}{}", esc(_MARK[p.severity]), f"{n}. " if placed else "", p.sentence)
            for n, p in enumerate(problems, 1)
        ]
        blocks.append(section(lines(rows)))
    return blocks


def marked(record: str, problems: Sequence[tuple[int, SpfProblem]]) -> str:
    """`v=spf1 ⟦a:192.0.2.1⟧1 ~all`; what is missing shows as `⟦…⟧`. Marks of one place share it."""
    places: dict[tuple[int, int], list[int]] = {}
    for number, problem in problems:
        if not (problem.start == 0 and problem.end >= len(record)):  # the whole record needs no mark
            places.setdefault((problem.start, problem.end), []).append(number)
    out, at = [], 0
    for (start, end), numbers in sorted(places.items()):
        if start < at:
            continue  # inside another's place
        label = ",".join(map(str, numbers))
        gap = " " if start == end and start and record[start - 1] != " " else ""
        inside = record[start:end] or "…"
        out.append(f"{record[at:start]}{gap}⟦{inside}⟧{label}")
        at = end
    return "".join([*out, record[at:]])


def _remedy(look: SpfLook) -> list[Block]:
    report = look.report
    if not report.corrected or report.corrected == report.record:
        return []
    replaces = "(it replaces what is published now)" if report.records else "(there is none yet)"
    several = len(report.strings) > 1
    text = " ".join(f'"{s}"' for s in report.strings) if several else report.corrected
    if look.ours:
        title = md("*Publish this TXT record at {}* {}:", look.domain, replaces)
    else:
        title = md(
            "None of our mail goes out as {}. *If it is to, its owner publishes* {}:", look.domain, replaces
        )
    return [section(lines([title, code(text)]))]


def tree(root: SpfNode) -> list[str]:
    """Who includes whom, one record a line, with the look-ups of each branch and what it finds empty."""
    told = any(child.problem == root.problem for child in root.children)
    top = replace(root, problem=None) if told else root
    rows = [_node(top, root.domain), *_branches(root.children, "")]
    if len(rows) > _MOST_LINES:
        rows = [*rows[: _MOST_LINES - 1], f"… and {len(rows) - _MOST_LINES + 1} more"]
    return rows


def _branches(children: Sequence[SpfNode], indent: str) -> Iterator[str]:
    for place, child in enumerate(children, 1):
        last = place == len(children)
        yield f"{indent}{'└' if last else '├'} {_node(child, child.term)}"
        yield from _branches(child.children, indent + ("  " if last else "│ "))


def _node(node: SpfNode, label: str) -> str:
    empty = f", {node.voids} empty" if node.voids else ""
    trouble = f"  ✗ {node.problem}" if node.problem else ""
    return f"{label} ({node.lookups}{empty}){trouble}"


# --- the watch's card, in a channel


def watch_card(look: SpfLook, watch: DnsWatch, profile: TenantProfile, now: datetime) -> Reply:
    """Like an answer, with who waits for it and when it was looked at last."""
    standing = _watching(watch, profile, now)
    blocks = _body(look, "")
    blocks.insert(2, section(standing))
    value = {"w": str(watch.id)}
    if watch.ended is None:
        blocks += actions(
            button("Look now", "spf.look", value, style="primary"), button("Stop watching", "spf.stop", value)
        )
    return Reply(f"{look.sentence} {_spoken(watch)}", fit(blocks))


def _spoken(watch: DnsWatch) -> str:
    if watch.ended is None:
        return "It is watched until it is fixed."
    return {
        WatchEnd.FIXED: "It is fixed.",
        WatchEnd.EXPIRED: "It was not fixed in time, and is not watched any more.",
        WatchEnd.CANCELLED: "It is not watched any more.",
    }[watch.ended]


def _watching(watch: DnsWatch, profile: TenantProfile, now: datetime) -> Mrkdwn:
    looks = f"{watch.checks} look{'' if watch.checks == 1 else 's'}"
    at = fmt.lately(watch.last_at, now, profile.time_zone, profile.locale) if watch.last_at else ""
    if watch.ended is None:
        last = f"last look {at}, {looks}" if at else "the first look is within a minute"
        return md(":eyes: *Watching* for {}, {}", names(watch.actors), last)
    if watch.ended is WatchEnd.FIXED:
        return md(":tada: *Fixed*, seen at {} after {}", at, looks)
    if watch.ended is WatchEnd.EXPIRED:
        return md(":hourglass: *Not watched any more*: not seen right in a week and {}", looks)
    return md(":no_bell: *Not watched any more*: stopped by {}", mention(watch.ended_by or "somebody"))


def names(actors: Sequence[str]) -> Mrkdwn:
    """Everybody who asked."""
    *most, last = map(mention, actors)
    return Mrkdwn(f"{', '.join(most)} and {last}") if most else last


def word(watch: DnsWatch) -> Reply:
    """In the card's thread, when it ends by itself."""
    who, domain = names(watch.actors), watch.domain
    if watch.ended is WatchEnd.FIXED:
        text = f"The SPF record of {domain} is right now."
        more = md("What was refused meanwhile can be sent again: `/isp failures` has it.")
        return Reply(text, [section(lines([md(":white_check_mark: {} *{}*", who, text), more]))])
    # What DNS did not answer at the end is not known to be wrong.
    text = f"I have not seen the SPF record of {domain} right in a week, and stop looking."
    more = md("Last seen: {} Ask again with `/isp spf {}`.", watch.last_seen, domain)
    return Reply(text, [section(lines([md(":hourglass: {} {}", who, text), more]))])


def asked(watch: DnsWatch) -> Reply:
    """To whoever pressed."""
    others = len(watch.actors) > 1
    text = "It was watched already: you are told too." if others else "I look, and tell you here."
    more = "In 1, 2, 5, 10, 15 and 30 minutes, then every hour for a week; the card here shows each look."
    return Reply(text, [section(md(":eyes: {}", text)), context(md("{}", more))])


def stopped(watch: DnsWatch) -> Reply:
    if watch.ended is None:
        text = "You are not told any more; it is still watched for the others."
    else:
        text = "It is not watched any more."
    return Reply(text, [section(md(":no_bell: {}", text))])


def looking(still: bool) -> Reply:
    text = "I look now; the card changes by itself." if still else "It is not watched any more."
    return Reply(text, [section(md("{}", text))])
