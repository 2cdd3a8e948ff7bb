"""Lints the DMARC record that holds for one of our domains (RFC 9989, reports by RFC 9990).

Pure generator in `dmarc_lint_steps`; `lint_dmarc` runs it over a resolver. Unanswered is unknown.
"""

from __future__ import annotations

from notifier.mailauth.answers import Resolver, Steps
from notifier.mailauth.dmarc import PREFIX, TreeWalker, Unanswered, Walk
from notifier.mailauth.dmarc_reading import DmarcReading, looks_like_dmarc, meant_as_dmarc, read_dmarc
from notifier.mailauth.dmarc_record import Policy, ReportTo, is_dmarc, report_uris
from notifier.mailauth.dmarc_report import DmarcMistake, DmarcProblem, DmarcReport
from notifier.mailauth.domains import checkable_domain
from notifier.mailauth.driver import drive
from notifier.mailauth.report import Severity, txt_strings

TIME_LIMIT = 30.0
MAX_TARGETS = 10  # domains of report addresses; a hostile record may name thousands


async def lint_dmarc(domain: str, *, resolver: Resolver, time_limit: float = TIME_LIMIT) -> DmarcReport:
    """Judges the DMARC record that receivers apply to mail with `domain` in its From."""
    return await drive(dmarc_lint_steps(domain), resolver, time_limit=time_limit)


def dmarc_lint_steps(domain: str) -> Steps[DmarcReport]:
    name = checkable_domain(domain)
    if name is None:
        sentence = (
            f"'{domain}' is not a full domain name, so it cannot have a DMARC record. Correct the name."
        )
        return _unknown(domain, DmarcMistake.DOMAIN_INVALID, sentence, Severity.ERROR)
    walker = TreeWalker()
    try:
        return (yield from _Lint(name, walker).run())
    except Unanswered as unknown:
        sentence = f"{unknown}. Try again later."
        return _unknown(name, DmarcMistake.DNS_UNAVAILABLE, sentence, Severity.WARNING)


class _Lint:
    def __init__(self, domain: str, walker: TreeWalker) -> None:
        self._domain, self._walker = domain, walker
        self._problems: list[DmarcProblem] = []

    def run(self) -> Steps[DmarcReport]:
        walk = yield from self._walker.walk(self._domain)
        own = yield from self._walker.ask(PREFIX + self._domain, "TXT")
        texts = [text for text in own.records if is_dmarc(text) or meant_as_dmarc(text)]
        texts.sort(key=lambda text: not is_dmarc(text))
        if texts:
            if len(texts) > 1:
                sentence = (
                    f"There are {len(texts)} DMARC records at {PREFIX}{self._domain} and there may be only "
                    "one, so receivers use none of them. Replace them by the one below."
                )
                self._problem(Severity.ERROR, DmarcMistake.TWO_RECORDS, sentence)
            return (yield from self._read(walk, self._domain, texts[0]))
        found = walk.applies
        if found is None:
            return (yield from self._without(walk))
        sentence = f"{self._domain} has no DMARC record of its own; that of {found.domain} holds for it."
        self._problem(Severity.INFO, DmarcMistake.INHERITED, sentence)
        return (yield from self._read(walk, found.domain, found.record.text))

    def _without(self, walk: Walk) -> Steps[DmarcReport]:
        at_domain = yield from self._walker.ask(self._domain, "TXT")
        misplaced = next((text for text in at_domain.records if looks_like_dmarc(text)), None)
        if misplaced is None:
            sentence = (
                f"{self._domain} has no DMARC record. Big receivers refuse bulk mail of such domains, and "
                "anybody can write in its name. Publish the record below: it changes nothing yet and brings "
                "reports."
            )
            self._problem(Severity.ERROR, DmarcMistake.NO_RECORD, sentence)
            return self._report(walk, None, None, DmarcReading())
        sentence = (
            f"The DMARC record stands at {self._domain}, where receivers do not look. "
            f"It belongs to {PREFIX}{self._domain}."
        )
        self._problem(Severity.ERROR, DmarcMistake.WRONG_PLACE, sentence)
        return self._report(walk, None, misplaced, read_dmarc(misplaced))

    def _read(self, walk: Walk, record_domain: str, text: str) -> Steps[DmarcReport]:
        reading = read_dmarc(text)
        targets = [one for tag in ("rua", "ruf") for one in report_uris(reading.values.get(tag, ""))]
        homes = {target.domain: target for target in targets}
        for target in list(homes.values())[:MAX_TARGETS]:
            yield from self._reports_to(record_domain, target)
        return self._report(walk, record_domain, text, reading)

    def _reports_to(self, record_domain: str, target: ReportTo) -> Steps[None]:
        """RFC 9990 section 4: who reports to another organisation asks that one for its consent first."""
        host = checkable_domain(target.domain)
        if host is None:
            sentence = f"'{target.address}' has no full domain name, so no reports go there."
            self._problem(Severity.ERROR, DmarcMistake.REPORT_ADDRESS_INVALID, sentence)
            return
        name = f"{record_domain}._report._dmarc.{host}"
        try:
            home = yield from self._walker.walk(record_domain)
            away = yield from self._walker.walk(host)
            if home.organisational == away.organisational:
                return
            answer = yield from self._walker.ask(name, "TXT")
        except Unanswered as unknown:
            sentence = f"Whether reports may go to {target.address} is not known: {unknown}."
            self._problem(Severity.WARNING, DmarcMistake.REPORT_UNKNOWN, sentence)
            return
        if not any(is_dmarc(text) for text in answer.records):
            sentence = (
                f"{host} has not agreed to receive your reports, so nobody sends them to {target.address}. "
                f'{host} has to publish "v=DMARC1" as TXT at {name}.'
            )
            self._problem(Severity.WARNING, DmarcMistake.REPORT_NOT_AUTHORISED, sentence)

    def _problem(self, severity: Severity, code: DmarcMistake, sentence: str) -> None:
        self._problems.append(DmarcProblem(severity, code, 0, 0, "", sentence))

    def _report(
        self, walk: Walk, record_domain: str | None, text: str | None, reading: DmarcReading
    ) -> DmarcReport:
        place = record_domain or self._domain
        corrected = reading.corrected(place)
        problems = sorted([*self._problems, *reading.problems], key=lambda one: _ORDER[one.severity])
        return DmarcReport(
            self._domain,
            walk.organisational,
            record_domain,
            text,
            tuple(problems),
            self._policy(walk, record_domain),
            PREFIX + place,
            corrected,
            txt_strings(corrected),
            False,
        )

    def _policy(self, walk: Walk, record_domain: str | None) -> Policy | None:
        """What is asked for this domain's own mail: sp counts when the record is that of a domain above."""
        found = walk.applies
        if found is None or found.domain != record_domain or not found.record.usable:
            return None
        record = found.record
        return record.policy if record_domain == self._domain else record.subdomains or record.policy


_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def _unknown(domain: str, code: DmarcMistake, sentence: str, severity: Severity) -> DmarcReport:
    problem = DmarcProblem(severity, code, 0, 0, "", sentence)
    return DmarcReport(domain, None, None, None, (problem,), None, PREFIX + domain, None, (), True)
