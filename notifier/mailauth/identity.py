"""What receivers make of the mail that one of our routes really sends: SPF, DKIM and DMARC together.

SPF is about the envelope domain and the route's own addresses, DKIM about the key that signs, DMARC about
the From domain that people see. Generators underneath; what DNS did not answer is unknown, never wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from notifier.mailauth.answers import Ahead, Question, Resolver, Steps
from notifier.mailauth.client import client_of, envelope_of
from notifier.mailauth.dkim_record import DkimRecordCheck, DkimState, PublicKey, dkim_record_steps, key_name
from notifier.mailauth.dmarc import DmarcCheck, DmarcResult, Identifier, dmarc_steps, walk_questions
from notifier.mailauth.driver import drive
from notifier.mailauth.evaluate import Evaluation
from notifier.mailauth.identity_words import headline, sentences
from notifier.mailauth.result import SpfCheck, SpfResult

TIME_LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The public side of a route's DKIM key: where its record belongs and what it has to say."""

    domain: str
    selector: str
    public: PublicKey


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What a route puts on the wire. `egress_ips` are the addresses that recipients see it come from; none
    means that nobody told us. `signs` is None for a route without a DKIM key of ours; where mail is
    `relayed`, the relay may sign it and we cannot know."""

    route: str
    from_domain: str
    envelope_domain: str
    egress_ips: tuple[str, ...]
    helo: str
    signs: SigningKey | None = None
    relayed: bool = False


@dataclass(frozen=True, slots=True)
class EgressSpf:
    """SPF as a recipient sees it for mail from one of the route's addresses."""

    ip: str
    check: SpfCheck


class Standing(StrEnum):
    """How the mail of a route stands with DMARC."""

    BOTH = "both"
    """Passes by SPF and by DKIM: either may break and it still passes."""
    DKIM = "dkim"
    """Passes by DKIM alone."""
    SPF = "spf"
    """Passes by SPF alone: it fails whenever somebody forwards it."""
    FAILS = "fails"
    NO_POLICY = "no_policy"
    """No DMARC record applies: big receivers refuse bulk mail of such a domain."""
    BROKEN_POLICY = "broken_policy"
    """There is a DMARC record, and receivers cannot use it."""
    UNKNOWN = "unknown"
    """DNS did not answer, or nobody told us the addresses that decide about SPF."""


@dataclass(frozen=True, slots=True)
class SendingIdentity:
    """One route's standing. `spf_result` is the worst over its addresses, None when none is known; `spf` has
    each. `dkim` is None when we do not sign on this route."""

    facts: SenderFacts
    spf: tuple[EgressSpf, ...]
    spf_result: SpfResult | None
    dkim: DkimRecordCheck | None
    dmarc: DmarcCheck
    standing: Standing

    @property
    def spf_passes(self) -> bool:
        """Every known address of the route is authorised for the envelope domain."""
        return self.spf_result is SpfResult.PASS

    @property
    def passes(self) -> bool:
        """DMARC passes for what this route sends."""
        return self.standing in (Standing.BOTH, Standing.DKIM, Standing.SPF)

    @property
    def headline(self) -> str:
        """One sentence: "DMARC passes by DKIM.", "DMARC fails: ..."."""
        return headline(self)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What stands behind the headline, and what to do about what is wrong; plain words."""
        return sentences(self)


# Worst first: what a recipient may see at least.
_WORST = (
    SpfResult.PERMERROR,
    SpfResult.FAIL,
    SpfResult.SOFTFAIL,
    SpfResult.NONE,
    SpfResult.NEUTRAL,
    SpfResult.TEMPERROR,
    SpfResult.PASS,
)


async def sending_identity(
    facts: SenderFacts, *, resolver: Resolver, time_limit: float = TIME_LIMIT
) -> SendingIdentity:
    """Asks DNS as a recipient would. ValueError when an egress address is no IP address."""
    return await drive(identity_steps(facts), resolver, time_limit=time_limit)


def identity_steps(facts: SenderFacts) -> Steps[SendingIdentity]:
    spf: list[EgressSpf] = []
    envelope = envelope_of(f"bounces@{facts.envelope_domain}", facts.helo)
    yield Ahead(lambda: _questions(facts), lambda _question, _answer: ())
    for ip in facts.egress_ips:
        spf.append(EgressSpf(ip, (yield from Evaluation(client_of(ip), envelope).run())))
    worst = worst_result([one.check.result for one in spf])
    dkim = None
    signatures: list[Identifier] = []
    key = facts.signs
    if key is not None:
        dkim = yield from dkim_record_steps(key.domain, key.selector, key.public)
        signatures.append(Identifier(key.domain, _SIGNATURE.get(dkim.state, "fail")))
    # Without addresses SPF is asked of nobody; whether it would count can be said all the same.
    sender = Identifier(facts.envelope_domain, _UNASKED if worst is None else worst.value)
    dmarc = yield from dmarc_steps(facts.from_domain, sender, signatures)
    return SendingIdentity(facts, tuple(spf), worst, dkim, dmarc, _standing(dmarc))


def _questions(facts: SenderFacts) -> list[Question]:
    """What will be asked whatever SPF says, so that it is on its way meanwhile."""
    domains = [facts.from_domain, facts.envelope_domain]
    questions: list[Question] = []
    if facts.signs is not None:
        domains.append(facts.signs.domain)
        questions.append(Question(key_name(facts.signs.domain, facts.signs.selector), "TXT"))
    for domain in domains:
        questions += walk_questions(domain)
    return list(dict.fromkeys(questions))


_UNASKED = "unasked"
_SIGNATURE = {DkimState.RIGHT: "pass", DkimState.UNKNOWN: "temperror"}


def worst_result(results: Sequence[SpfResult]) -> SpfResult | None:
    return next((result for result in _WORST if result in results), None)


_STANDINGS = {
    DmarcResult.NONE: Standing.NO_POLICY,
    DmarcResult.FAIL: Standing.FAILS,
    DmarcResult.TEMPERROR: Standing.UNKNOWN,
    DmarcResult.PERMERROR: Standing.BROKEN_POLICY,
}
_BY = {("spf",): Standing.SPF, ("dkim",): Standing.DKIM, ("spf", "dkim"): Standing.BOTH}


def _standing(dmarc: DmarcCheck) -> Standing:
    spf = dmarc.spf
    if dmarc.result is DmarcResult.FAIL and spf is not None and spf.result == _UNASKED and spf.aligned:
        return Standing.UNKNOWN
    if dmarc.result is DmarcResult.PASS:
        return _BY[tuple(dict.fromkeys(one.method for one in dmarc.passing))]
    return _STANDINGS[dmarc.result]
