"""How our mail is doing, on one page for a phone: routes, refusers, domains, a chart of bounces. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from handlers import format as fmt
from handlers import words
from handlers.blocks import Mrkdwn, actions, button, code, context, esc, fit, header, lines, md, section
from handlers.domain_words import BAD, MARKS, before_and_after, kind_name, meaning, title
from handlers.mail_health import DAYS, MailData, Refuser, SendingDomain, Trend
from handlers.profile import Role, TenantProfile
from handlers.reply import Block, Reply, To
from notifier.channels import Route
from store.models import DomainRecord, Reason, RouteCounts

BAR = 14
"""Characters of the longest bar: with day and number a line still fits a phone."""
PAGE = 8
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"
_MOST_REFUSERS = 6
_TOO_MANY = 10
"""More than one in so many is refused: somebody should look."""
_MOST_CHANGES = 5
_REFUSAL = {
    "blocked_reputation": "refuses our server {route} for its reputation",
    "spam_content": "takes our mails (by {route}) for spam",
    "relay_or_security": "does not accept our mails (by {route})",
    "burst": "refuses many mails at once (by {route})",
}


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def overview(data: MailData, profile: TenantProfile, role: Role, to: To = To.ASKER, note: str = "") -> Reply:
    """`note`: what a recheck has just found."""
    head = headline(data)
    blocks: list[Block] = [header(f"Mail · {head}")]
    if note:
        blocks.append(section(md("{}", note)))
    blocks.append(section(lines([md("*Routes*"), *_routes(data, profile)])))
    blocks += _trouble(data, profile)
    blocks += [_domain(domain, data, profile) for domain in data.domains]
    blocks.append(section(_chart(data.trend, profile)))
    changed = any(record.changed_at for domain in data.domains for record in domain.records)
    blocks += actions(
        button("Recheck DNS", "mail.recheck", {"p": 1}) if role >= Role.AGENT else None,
        *_checks(data),
        button("Bounces by cause and domain", "mail.trend", {"o": 0}) if data.trend.total else None,
        button("What changed in DNS", "mail.drift") if changed else None,
    )
    return Reply(f"Mail: {head}.", fit(blocks), to)


def _checks(data: MailData) -> list[Block]:
    """The next step for each SPF record that is not right."""
    wrong = [r for domain in data.domains for r in domain.records if r.kind == "spf" and r.verdict in BAD]
    return [
        button(f"Check SPF of {record.domain}", f"spf.open:{n}", {"d": record.domain})
        for n, record in enumerate(wrong[:3])
    ]


def headline(data: MailData) -> str:
    """The worst of it first, in a few words."""
    parts: list[str] = []
    if data.ours:
        parts.append("something fails on our side")
    if data.refusers:
        names = list(dict.fromkeys(r.operator for r in data.refusers))
        parts.append(f"{names[0]} refuses us" if len(names) == 1 else f"{len(names)} operators refuse us")
    bad = [record for domain in data.domains for record in domain.records if record.verdict in BAD]
    if bad:
        parts.append(f"{_plural(len(bad), 'DNS record')} to mend")
    return ", ".join(parts) or "nothing is wrong that we know of"


# --- routes


def _routes(data: MailData, profile: TenantProfile) -> Iterator[str]:
    failing = {incident.cause.partition(":")[2] for incident in data.ours}
    for route in profile.routes:
        counts = data.routes[route.name]
        yield md("{} *{}*{}", esc(_route_mark(route, counts, failing)), route.name, _kind(route, profile))
        yield md("      {}", _day(counts))
        yield md("      {}", _last(counts, profile, data))


def _route_mark(route: Route, counts: RouteCounts, failing: set[str]) -> str:
    if route.name in failing:
        return ":x:"
    if not counts.accepted and not counts.refused and not counts.put_off:
        return ":white_circle:"
    return ":warning:" if _TOO_MANY * counts.refused > counts.accepted else ":white_check_mark:"


def _kind(route: Route, profile: TenantProfile) -> str:
    what = "directly to their servers" if route.kind == "direct" else f"relay {route.host}"
    return f" · {what}{' · in use' if route.name == profile.default_route else ''}"


def _day(counts: RouteCounts) -> str:
    if not counts.accepted and not counts.refused and not counts.put_off and not counts.waiting:
        return "24 h: nothing was sent this way, nothing waits"
    waiting = f" · {counts.waiting:,} waiting now" if counts.waiting else ""
    done = f"{counts.accepted:,} accepted, {counts.refused:,} refused, {counts.put_off:,} put off"
    return f"24 h: {done}{waiting}"


def _last(counts: RouteCounts, profile: TenantProfile, data: MailData) -> str:
    good = f"last success {_when(counts.last_success, profile, data.now)}" if counts.last_success else ""
    if counts.last_failure is None:
        return good or "no success and no failure in four days"
    why = words.BOUNCE_WORDS.get(counts.last_cls) or _REASONS.get(counts.last_reason, "it was refused")
    bad = f"last failure {_when(counts.last_failure, profile, data.now)} at {counts.last_domain}: {why}"
    return f"{good or 'no success in four days'} · {bad}"


_REASONS: dict[Reason, str] = words.REASON_WORDS


# --- who refuses us


def _trouble(data: MailData, profile: TenantProfile) -> list[Block]:
    blocks: list[Block] = []
    for index, incident in enumerate(data.ours):
        since = _when(incident.first_at, profile, data.now)
        text = md(":x: {} · since {}, {}", incident.title, since, _plural(incident.count, "mail"))
        look = button("Open", f"incidents.open:o{index}", {"i": str(incident.id)})
        blocks.append(section(text, accessory=look))
    for index, refuser in enumerate(data.refusers[:_MOST_REFUSERS]):
        look = button("Open", f"incidents.open:r{index}", {"i": str(refuser.incident_id)})
        blocks.append(section(_refuser(refuser, data, profile), accessory=look))
    if len(data.refusers) > _MOST_REFUSERS:
        more = len(data.refusers) - _MOST_REFUSERS
        blocks.append(context(md("And {} more: `{} incidents` has them.", more, profile.command)))
    if not blocks:
        blocks.append(section(md(":white_check_mark: No operator is known to refuse us.")))
    return blocks


def _refuser(refuser: Refuser, data: MailData, profile: TenantProfile) -> Mrkdwn:
    said = _REFUSAL.get(refuser.cause, "refuses our mails (by {route})")
    routes = " and ".join(refuser.routes) or "unknown"
    people = f" of {_plural(refuser.people, 'subscriber')}" if refuser.people else ""
    return md(
        ":no_entry: *{}* {} since {}: *{}*{}",
        refuser.operator,
        said.replace("{route}", routes),
        _when(refuser.since, profile, data.now),
        _plural(refuser.mails, "mail"),
        people,
    )


# --- our domains


def _domain(domain: SendingDomain, data: MailData, profile: TenantProfile) -> Block:
    rows = [md("*{}* · {}", domain.domain, ", ".join(domain.uses))]
    said = [(_order(record.kind), _record(record)) for record in domain.records]
    if domain.records and "From" in domain.uses and not domain.signed:
        none = md(":heavy_minus_sign: DKIM: we do not sign with a key of this domain.")
        said.append(((_ORDER.index("dkim"), ""), none))
    if domain.records:
        said += [(_order(kind), _unseen(kind)) for kind in domain.unseen]
    rows += [row for _, row in sorted(said)]
    if domain.records:
        oldest = min(record.checked_at for record in domain.records)
        rows.append(md("_seen {}{}_", fmt.age(oldest, data.now), _change(domain, data, profile)))
    else:
        rows.append(md(":grey_question: Not seen yet: DNS is asked at the start and once a day."))
    return section(lines(rows))


_ORDER = ("spf", "dkim", "dmarc", "mx")


def _order(kind: str) -> tuple[int, str]:
    base = kind.partition(":")[0]
    return (_ORDER.index(base) if base in _ORDER else len(_ORDER), kind)


def _record(record: DomainRecord) -> Mrkdwn:
    return md("{} {}: {}", esc(MARKS[record.verdict]), _short_name(record.kind), record.said)


def _unseen(kind: str) -> Mrkdwn:
    return md(":grey_question: {}: not known, DNS has never answered", _short_name(kind))


def _short_name(kind: str) -> str:
    return kind_name(kind).removesuffix(" record").removeprefix("mail servers ").strip("()")


def _change(domain: SendingDomain, data: MailData, profile: TenantProfile) -> str:
    changed = [record for record in domain.records if record.changed_at is not None]
    if not changed:
        return ""
    last = max(changed, key=lambda record: record.changed_at or data.now)
    at = _when(last.changed_at or data.now, profile, data.now)
    return f" · last change: {kind_name(last.kind)}, {at}"


def rechecked(changed: int, unanswered: Sequence[str]) -> str:
    """What a look at DNS has just found."""
    if unanswered:
        what = ", ".join(unanswered)
        return f"DNS gave no answer about {what}: what stands there is what was seen before. Try again soon."
    if changed:
        return f"Looked just now: {_plural(changed, 'record')} changed since the last look."
    return "Looked just now: nothing has changed since the last look."


def drift(data: MailData, profile: TenantProfile) -> Reply:
    """The last changes of our records, with what stood there before and what stands there now."""
    changed = [r for domain in data.domains for r in domain.records if r.changed_at is not None]
    changed.sort(key=lambda record: record.changed_at or data.now, reverse=True)
    text = (
        "What changed in the DNS of our domains" if changed else "Nothing has changed since we first looked."
    )
    blocks: list[Block] = [section(md("*{}*", text))]
    for record in changed[:_MOST_CHANGES]:
        at = _when(record.changed_at or data.now, profile, data.now)
        head = md("{} *{}* · {}", esc(MARKS[record.verdict]), title(record), at)
        blocks.append(section(lines([head, md("{}", meaning(record)), before_and_after(record)])))
    return Reply(text, fit(blocks))


# --- bounces


def bar(count: int, most: int, width: int = BAR) -> str:
    """A bar of block characters, in eighths; whatever there is shows at least a sliver."""
    if not count or not most:
        return ""
    eighths = max(round(count / most * width * 8), 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def sparkline(counts: Sequence[int]) -> str:
    """One character a day; nothing is the lowest, and only nothing is."""
    most = max(counts, default=0)
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[0] if not n else _LEVELS[max(1, round(n / most * top))] for n in counts)


def chart(trend: Trend, locale: str) -> list[str]:
    """A line a day: the day, the number, its bar."""
    most = max(trend.counts, default=0)
    width = len(f"{most:,}")
    names = [fmt.month_day(day, locale) for day in trend.days]
    longest = max(map(len, names))
    return [
        f"{name:<{longest}} {count:>{width},} {bar(count, most)}".rstrip()
        for name, count in zip(names, trend.counts, strict=True)
    ]


def _when(value: datetime, profile: TenantProfile, now: datetime) -> str:
    return fmt.lately(value, now, profile.time_zone, profile.locale)


def _chart(trend: Trend, profile: TenantProfile) -> Mrkdwn:
    if not trend.total:
        return md("*Bounces, {} days*: none", DAYS)
    most = max(trend.counts)
    worst = trend.days[trend.counts.index(most)]
    head = md(
        "*Bounces, {} days*: {}, most on {} ({}), today {}",
        DAYS,
        f"{trend.total:,}",
        fmt.month_day(worst, profile.locale),
        f"{most:,}",
        f"{trend.counts[-1]:,}",
    )
    return lines([head, code("\n".join(chart(trend, profile.locale)))])


def breakdown(trend: Trend, offset: int, to: To = To.ASKER) -> Reply:
    """By cause, and by recipients' operator or domain, a page at a time."""
    head = f"Bounces of {DAYS} days by cause and domain"
    causes = [
        _line(words.bounce_words(cls) if cls else "our side failed", counts) for cls, counts in trend.causes
    ]
    page = trend.domains[offset : offset + PAGE]
    blocks: list[Block] = [section(md("*{}*: {}", head, f"{trend.total:,}"))]
    if not offset:
        blocks.append(section(lines([md("*Why*"), *causes[:PAGE]])))
    rows = [_line(name or "no address", counts) for name, counts in page]
    blocks.append(section(lines([md("*Where*"), *(rows or [md("Nowhere on this page.")])])))
    last = offset + len(page)
    of = f"{min(offset + 1, last)} to {last} of {len(trend.domains)} · " if len(trend.domains) > PAGE else ""
    blocks.append(context(md("{}each line on its own scale, today is the last", of)))
    blocks += actions(
        button("Before", "mail.trend:before", {"o": max(offset - PAGE, 0), "p": 1}) if offset else None,
        button("More", "mail.trend:more", {"o": last, "p": 1}) if last < len(trend.domains) else None,
    )
    return Reply(head, fit(blocks), to)


def _line(name: str, counts: Sequence[int]) -> Mrkdwn:
    return md("`{}` *{}* {}", sparkline(counts), f"{sum(counts):,}", name)
