"""A DMARC check in plain sentences. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notifier.mailauth.dmarc import Aligned, DmarcCheck

_ASKED = {
    "none": "asks receivers to treat mail that fails like any other",
    "quarantine": "asks receivers to treat mail that fails as suspicious (the spam folder)",
    "reject": "asks receivers to refuse mail that fails",
}
_NAMES = {"spf": "SPF", "dkim": "DKIM"}


def sentences(check: DmarcCheck) -> tuple[str, ...]:
    return (
        *_policy(check),
        *(_identifier(one, check) for one in (check.spf, *check.dkim) if one),
        _end(check),
    )


def _policy(check: DmarcCheck) -> list[str]:
    if check.problem is not None and check.record is None:
        return [f"{check.problem[0].upper()}{check.problem[1:]}."]
    if check.record_domain is None or check.policy is None:
        return [f"{check.domain} has no DMARC record, and no domain above it has one."]
    whose = "its own" if check.record_domain == check.domain else f"that of {check.record_domain}"
    said = [f"The DMARC policy of {check.domain} is {whose}; it {_ASKED[check.policy]}."]
    if check.testing and check.disposition is not check.policy and check.disposition is not None:
        said.append(f"It is marked as a test (t=y), so for now it {_ASKED[check.disposition]}.")
    return said


def _identifier(one: Aligned, check: DmarcCheck) -> str:
    name = _NAMES[one.method]
    if one.result == "pass":
        subject = f"{name} passes for {one.domain}"
    elif one.result == "unasked":
        subject = f"{name} for {one.domain} was not looked at"
    elif one.result == "temperror":
        subject = f"{name} for {one.domain} is not known yet"
    else:
        subject = f"{name} does not pass for {one.domain}"
    if one.aligned is None:
        return f"{subject}; whether that domain belongs to {check.domain} is not known yet."
    join = "and" if one.aligned == (one.result in ("pass", "unasked")) else "but"
    if one.aligned:
        return f"{subject}, {join} that domain counts for {check.domain}."
    strict = " (the policy wants the very same name)" if one.mode == "strict" else ""
    return f"{subject}, {join} that domain does not count for {check.domain}{strict}."


def _end(check: DmarcCheck) -> str:
    match check.result:
        case "pass":
            by = " and ".join(dict.fromkeys(_NAMES[one.method] for one in check.passing))
            return f"DMARC passes by {by}."
        case "none":
            return "Without a policy there is nothing that DMARC could pass or fail."
        case "temperror":
            return "Whether DMARC passes is not known yet."
        case "permerror":
            return "DMARC cannot be used as it is published."
        case _:
            return f"DMARC fails: nothing that passes counts for {check.domain}."
