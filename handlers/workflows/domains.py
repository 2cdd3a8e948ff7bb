"""The daily look at the domains that a provider sends from, and what is told of a change there.

What got worse is an incident, one a record; what is mended ends it by itself and says so; what changed and
is still right is told once. What DNS did not answer is neither written down nor told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from handlers.contract import Services
from handlers.domain_words import Drift, dkim_kind, drift_of, post_key, title
from handlers.profile import TenantProfile
from handlers.spf_look import SpfState, alignment
from handlers.workflows.incidents import INCIDENT_SURFACE, cause_of_record
from handlers.workflows.mail import sending_domains
from handlers.workflows.spf import CLOCK, look_at
from notifier.mailauth import (
    DkimState,
    DmarcCheck,
    DmarcResult,
    Required,
    Resolver,
    SendingIdentity,
    Severity,
    Status,
    check_dmarc,
    sending_identity,
)
from notifier.mailauth.dmarc_record import is_dmarc
from notifier.mx import MailHosts, destination
from notifier.oncall import DRIFT, Cause
from store.domain_records import Seen
from store.models import AuditEntry, DomainRecord, Incident, RecordVerdict
from store.unit import Tx

DRIFT_SURFACE = "drift"
"""The word about a change that is no alert. Key: handlers.domain_words.post_key."""
THE_LOOK = "the daily look at DNS"
"""Who resolves what mends itself."""
NOT_OURS = "We do not send from this domain any more"
EVERY = timedelta(days=1)
SOON = timedelta(minutes=15)
"""While something is wrong that we have told of, or DNS did not answer."""
CUT_OFF = timedelta(minutes=10)
"""A process that has not ended its look by then is dead: the next one takes it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """`changed`: what differs from what was seen last. `unanswered`: records that DNS said nothing about."""

    seen: int
    changed: tuple[DomainRecord, ...]
    unanswered: tuple[str, ...]


class DomainWatch:
    """One tenant's daily look."""

    def __init__(self, services: Services, tenant: int) -> None:
        self._services, self._tenant = services, tenant

    async def sweep(self) -> Looked | None:
        """Looks when it is due and this process's turn; None otherwise."""
        store = self._services.store
        async with store.read(self._tenant) as tx:
            if not await tx.domain_records.due():
                return None
        async with store.begin(self._tenant) as tx:
            if not await tx.domain_records.take_turn(tx.now, tx.now + CUT_OFF):
                return None
        looked = await look(self._services, self._tenant)
        async with store.begin(self._tenant) as tx:
            soon = bool(looked.unanswered) or bool(await _drifts(tx))
            await tx.domain_records.next_turn(tx.now + (SOON if soon else EVERY))
        return looked


async def look(services: Services, tenant: int) -> Looked:
    """Asks DNS, writes down what it said, tells what has changed."""
    services.forget_dns()
    profile = services.profile(tenant)
    found = await _ask(services, profile)
    unanswered = [item for item in found if isinstance(item, str)]
    written, changed = 0, []
    async with services.store.begin(tenant) as tx:
        for item in found:
            if isinstance(item, str):
                continue
            if item.partial and await _only_for_silence(tx, item):
                unanswered.append(f"{item.domain} SPF")
                continue
            written += 1
            if (record := await tx.domain_records.seen(item)) is not None:
                changed.append(record)
        for record in changed:
            await _tell(tx, profile, record)
        await _let_go(tx, profile)
    return Looked(written, tuple(changed), tuple(unanswered))


async def _only_for_silence(tx: Tx, item: Seen) -> bool:
    """The record is as it was: its worth differs only because DNS kept silent about a part of it."""
    there = await tx.domain_records.get(item.domain, item.kind)
    return there is not None and there.value == item.value and there.verdict is not item.verdict


async def _ask(services: Services, profile: TenantProfile) -> list[Seen | str]:
    """Each record that matters to what we send: as it is, or its name where DNS did not answer."""
    envelopes = sorted({route.envelope_domain.lower() for route in profile.routes})
    senders = sorted({route.sender_facts.from_domain for route in profile.routes})
    identities = await asyncio.gather(
        *(sending_identity(route.sender_facts, resolver=services.resolver) for route in profile.routes)
    )
    asked: list[Awaitable[Seen | str]] = [_spf(services, profile.id, domain) for domain in envelopes]
    asked += [_mx(services.resolver, d, bounces=d in envelopes) for d in sorted({*envelopes, *senders})]
    asked += [_dmarc(services.resolver, domain, identities) for domain in senders]
    return [*await asyncio.gather(*asked), *_dkim(identities)]


async def _spf(services: Services, tenant: int, domain: str) -> Seen | str:
    found = await look_at(services, tenant, domain)
    report = found.report
    if found.state is SpfState.UNKNOWN:
        return f"{domain} SPF"
    warned = any(problem.severity is Severity.WARNING for problem in found.problems)
    verdict = RecordVerdict.WEAK if warned else RecordVerdict.OK
    if found.state is SpfState.WRONG:
        verdict = RecordVerdict.WRONG if report.records else RecordVerdict.MISSING
    why = [p.sentence for p in found.problems if p.severity is not Severity.INFO][:1]
    told = not report.records or report.required is Required.MISSING  # by the sentence itself
    said = " ".join([found.sentence, *([] if told else why)])
    partial = found.partial and found.state is not SpfState.WRONG
    return Seen(domain, "spf", _value(report.records), verdict, said, partial)


def _value(records: Iterable[str]) -> str:
    """Name servers turn the records of one name round at will: their order is no change."""
    return "\n".join(sorted(records))


async def _mx(resolver: Resolver, domain: str, *, bounces: bool) -> Seen | str:
    answer, where = await asyncio.gather(resolver.query(domain, "MX"), destination(resolver, domain))
    if answer.status is Status.UNAVAILABLE or where.kind is MailHosts.UNKNOWN:
        return f"{domain} MX"
    value = _value(record.lower() for record in answer.records)
    if where.kind is MailHosts.FOUND:
        hosts = ", ".join(where.hosts[:3])
        return Seen(domain, "mx", value, RecordVerdict.OK, f"Mail for {domain} goes to {hosts}.")
    what = "bounces cannot come back" if bounces else "answers to our mail cannot arrive"
    verdict = RecordVerdict.MISSING if bounces else RecordVerdict.WEAK
    return Seen(domain, "mx", value, verdict, f"At {domain} {where.why}, so {what}.")


async def _dmarc(resolver: Resolver, domain: str, identities: Iterable[SendingIdentity]) -> Seen | str:
    check = await check_dmarc(domain, resolver=resolver)
    if check.result is DmarcResult.TEMPERROR:
        return f"{domain} DMARC"
    published = _dmarc_records(check)
    said = " ".join(
        [
            _policy(check, published),
            *alignment([i for i in identities if i.facts.from_domain == domain]),
        ]
    )
    return Seen(domain, "dmarc", _value(published), _dmarc_verdict(check, published), said)


def _dmarc_records(check: DmarcCheck) -> Sequence[str]:
    """What stands in DNS: the record that applies, else those that receivers cannot use."""
    if check.record is not None:
        return (check.record,)
    found = ([text for text in one.answer.records if is_dmarc(text)] for one in check.asked)
    return next((records for records in found if records), ())


def _dmarc_verdict(check: DmarcCheck, published: Sequence[str]) -> RecordVerdict:
    if check.result is DmarcResult.PERMERROR or (check.record is None and published):
        return RecordVerdict.WRONG
    if check.record is None:
        return RecordVerdict.MISSING
    # RFC 9989: p=none and t=y ask receivers to let failing mail through.
    return RecordVerdict.WEAK if check.testing or check.policy == "none" else RecordVerdict.OK


def _policy(check: DmarcCheck, published: Sequence[str]) -> str:
    if check.problem:
        return f"The DMARC record cannot be used: {check.problem}."
    if check.record is None and published:
        # RFC 9989 section 4.10: several at one name are all discarded.
        return f"{check.domain} has {len(published)} DMARC records, so receivers use none. Keep one."
    if check.record is None:
        return f"{check.domain} has no DMARC record."
    asks = {"none": "let mail that fails through", "quarantine": "put mail that fails into spam"}
    what = asks.get(str(check.disposition or check.policy), "refuse mail that fails")
    return f"Receivers are asked to {what}."


_DKIM = {
    DkimState.RIGHT: RecordVerdict.OK,
    DkimState.MISSING: RecordVerdict.MISSING,
    DkimState.DIFFERENT: RecordVerdict.WRONG,
    DkimState.REVOKED: RecordVerdict.WRONG,
    DkimState.BROKEN: RecordVerdict.WRONG,
}


def _dkim(identities: Iterable[SendingIdentity]) -> list[Seen | str]:
    """One for each key that signs, however many routes sign with it."""
    found: dict[tuple[str, str], Seen | str] = {}
    for identity in identities:
        check = identity.dkim
        if check is None:
            continue
        key = (check.domain, check.selector)
        if check.state is DkimState.UNKNOWN:
            found[key] = f"{check.domain} DKIM {check.selector}"
            continue
        verdict = RecordVerdict.WEAK if check.right and check.testing else _DKIM[check.state]
        kind = dkim_kind(check.selector)
        found[key] = Seen(check.domain, kind, _value(check.found), verdict, check.sentence)
    return list(found.values())


async def _tell(tx: Tx, profile: TenantProfile, record: DomainRecord) -> None:
    drift, cause = drift_of(record), cause_of_record(record)
    entry = AuditEntry(
        tx.now,
        CLOCK,
        f"domain.{drift}",
        f"domain:{record.domain}"[:120],
        {"kind": record.kind, "before": record.before, "now": record.value, "verdict": record.verdict},
    )
    await tx.audit.append(f"domain:{post_key(record)}", entry)
    open_ = next((i for i in await _drifts(tx) if i.cause == cause.key), None)
    if drift is Drift.WORSE or (drift is Drift.STILL_BAD and open_ is not None):
        raised = await tx.incidents.alarm(cause.key, title(record))
        await tx.posts.want(INCIDENT_SURFACE, str(raised.incident.id), profile.oncall_channel)
        await tx.posts.bump(INCIDENT_SURFACE, [(tx.tenant, str(raised.incident.id))])
    elif drift is Drift.MENDED and open_ is not None:
        await _resolve(tx, open_, record)
    else:
        await tx.posts.want(DRIFT_SURFACE, post_key(record), profile.oncall_channel)


async def _resolve(tx: Tx, incident: Incident, record: DomainRecord) -> None:
    """By itself, with a word in its thread: an edit alone would be seen by nobody."""
    if not await tx.incidents.resolve(incident.id, THE_LOOK, title(record)):
        return
    key = str(incident.id)
    for card in await tx.posts.of(INCIDENT_SURFACE, key):
        await tx.posts.want(DRIFT_SURFACE, post_key(record), card.channel, parent=card.id)
    await tx.posts.bump(INCIDENT_SURFACE, [(tx.tenant, key)])


async def _let_go(tx: Tx, profile: TenantProfile) -> None:
    """Nobody looks at a domain that we do not send from any more: its alert would never end."""
    ours = {Cause(DRIFT, d.domain, kind).key for d in sending_domains(profile, ()) for kind in d.wanted}
    for incident in await _drifts(tx):
        if incident.cause not in ours and await tx.incidents.resolve(incident.id, THE_LOOK, NOT_OURS):
            await tx.posts.bump(INCIDENT_SURFACE, [(tx.tenant, str(incident.id))])


async def _drifts(tx: Tx) -> list[Incident]:
    """Unresolved incidents of records that got worse."""
    return [i for i in await tx.incidents.unresolved() if i.cause.partition(":")[0] == DRIFT]
