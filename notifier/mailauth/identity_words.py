"""A route's standing with SPF, DKIM and DMARC in plain sentences. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from notifier.mailauth.report import txt_strings

if TYPE_CHECKING:
    from notifier.mailauth.identity import SendingIdentity

_HEADLINES = {
    "both": "DMARC passes by SPF and by DKIM.",
    "dkim": "DMARC passes by DKIM.",
    "spf": "DMARC passes by SPF.",
}
_SPF = {
    "pass": "is authorised to send for",
    "fail": "is not authorised to send for",
    "softfail": "is not authorised to send for",
    "neutral": "is neither authorised nor forbidden to send for",
    "none": "cannot be authorised: there is no SPF record at",
    "permerror": "cannot be judged: the SPF record is broken at",
    "temperror": "is not judged yet, since DNS did not answer, for",
}


def headline(identity: SendingIdentity) -> str:
    known = _HEADLINES.get(identity.standing)
    if known is not None:
        return known
    facts, dmarc = identity.facts, identity.dmarc
    match identity.standing:
        case "unknown" if identity.spf_result is None and dmarc.result == "fail":
            return (
                "Whether DMARC passes is not known, since nobody told us the addresses that "
                f"'{facts.route}' sends from."
            )
        case "unknown":
            return "Whether DMARC passes is not known yet, since DNS did not answer."
        case "no_policy":
            return f"{facts.from_domain} has no DMARC record."
        case "broken_policy":
            return f"DMARC cannot be used: {dmarc.problem}."
    return f"DMARC fails: {' and '.join(_reasons(identity))}."


def _reasons(identity: SendingIdentity) -> list[str]:
    facts, dmarc = identity.facts, identity.dmarc
    reasons: list[str] = []
    spf = dmarc.spf
    if spf is not None and spf.result not in ("pass", "unasked"):
        reasons.append(f"SPF does not pass for {facts.envelope_domain}")
    elif spf is not None and not spf.aligned:
        reasons.append(
            f"SPF passes for {facts.envelope_domain}, which does not count for {facts.from_domain}"
        )
    if not dmarc.dkim:
        reasons.append("we do not sign with DKIM on this route")
    for one in dmarc.dkim:
        if one.result != "pass":
            reasons.append(f"the DKIM key record of {one.domain} is not right")
        elif not one.aligned:
            reasons.append(f"DKIM signs for {one.domain}, which does not count for {facts.from_domain}")
    return reasons


def sentences(identity: SendingIdentity) -> tuple[str, ...]:
    facts = identity.facts
    said = [f"{one.ip} {_SPF[one.check.result]} {facts.envelope_domain}." for one in identity.spf]
    if not facts.egress_ips:
        said.append(
            f"The addresses that '{facts.route}' sends from are not configured (egress_ips), so its SPF "
            "cannot be checked."
        )
    if identity.dkim is None:
        relay = "; whether its relay signs, only a mail that arrived can show" if facts.relayed else ""
        said.append(f"'{facts.route}' does not sign with a DKIM key of ours{relay}.")
    else:
        said.append(identity.dkim.sentence)
        if identity.dkim.state in ("missing", "different", "revoked", "broken"):
            strings = " ".join(f'"{one}"' for one in txt_strings(identity.dkim.wanted))
            said.append(f"Publish at {identity.dkim.name} as TXT: {strings}")
    said += identity.dmarc.sentences[:-1]
    if identity.standing == "spf":
        said.append("By SPF alone it fails whenever a recipient forwards it: sign with DKIM too.")
    return tuple(said)
