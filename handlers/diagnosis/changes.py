"""What has changed between two results of one diagnosis, in plain sentences. Pure.

Compared is what was shown: the verdict, what became of each invoice, and each step's lines. Contacts are
masked in all of it, so that the sentences may stand in a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from handlers.diagnosis.lines import Line, Mark, Step
from store.models import PastDiagnosis

INVOICE = "invoice"
"""The mark of what became of one invoice; its step is the invoice's name."""
MOST = 12
Finding = tuple[str, str, str]
"""(step, mark, text)."""


def findings_of(lines: Sequence[Line], told: Sequence[tuple[str, str]]) -> tuple[Finding, ...]:
    """As they are kept. `told`: (invoice, what became of it)."""
    invoices = tuple((name, INVOICE, what) for name, what in told)
    return invoices + tuple((str(line.step), str(line.mark), line.text) for line in lines)


def changes(before: PastDiagnosis, now: PastDiagnosis) -> tuple[str, ...]:
    """One sentence each, the verdict first; empty when nothing has changed."""
    said = []
    if before.headline != now.headline:
        said.append(f"Verdict: {before.headline} → {now.headline}")
    said += _invoices(_told(before.findings), _told(now.findings))
    was, is_now = _steps(before.findings), _steps(now.findings)
    for step in [*was, *(step for step in is_now if step not in was)]:
        if was.get(step) != is_now.get(step):
            said += _HOW.get(step, _step)(step, was.get(step, ()), is_now.get(step, ()))
    if len(said) > MOST:
        return (*said[:MOST], f"and {len(said) - MOST} more")
    return tuple(said)


def _told(findings: Sequence[Finding]) -> Mapping[str, str]:
    return {step: text for step, mark, text in findings if mark == INVOICE}


def _steps(findings: Sequence[Finding]) -> Mapping[str, tuple[Finding, ...]]:
    grouped: dict[str, tuple[Finding, ...]] = {}
    for finding in findings:
        if finding[1] != INVOICE:
            grouped[finding[0]] = (*grouped.get(finding[0], ()), finding)
    return grouped


def _invoices(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One that is no longer among the last three has not changed."""
    said = []
    for name, what in now.items():
        if name not in was:
            said.append(f"{name} is new: {what}")
        elif was[name] != what:
            said.append(f"{name}: {was[name].removeprefix('was ')} → {what.removeprefix('was ')}")
    return said


def _step(step: str, was: Sequence[Finding], now: Sequence[Finding]) -> list[str]:
    before, after = ("; ".join(text for _, _, text in findings) for findings in (was, now))
    if not before:
        return [f"{step}: {after}"]
    if not after:
        return [f"{step}: no longer: {before}"]
    return [f"{step}: {before} → {after}"]


_SPF = {Mark.OK: "right", Mark.WARN: "wrong", Mark.BAD: "wrong", Mark.SKIPPED: "not known"}


def _state(step: str, was: Sequence[Finding], now: Sequence[Finding]) -> list[str]:
    """Right or wrong, where both are known to be one of them."""
    if len(was) != 1 or len(now) != 1 or was[0][1] == now[0][1]:
        return _step(step, was, now)
    return [f"{step}: was {_SPF[Mark(was[0][1])]}, is {_SPF[Mark(now[0][1])]} now"]


def _parts(step: str, was: Sequence[Finding], now: Sequence[Finding]) -> list[str]:
    """A line of facts between commas: those that came and those that went."""
    before, after = ([part for f in findings for part in f[2].split(", ")] for findings in (was, now))
    gone, new = [p for p in before if p not in after], [p for p in after if p not in before]
    if not gone:
        return [f"{step}: now {', '.join(new)}"] if new else []
    return [f"{step}: {', '.join(gone)} → {', '.join(new) or 'no longer so'}"]


def _addresses(step: str, was: Sequence[Finding], now: Sequence[Finding]) -> list[str]:
    before, after = _by_address(was), _by_address(now)
    said = [f"{a}: on file now ({text})" for a, text in after.items() if a not in before]
    said += [f"{a}: not on file any more" for a in before if a not in after]
    both = ((a, before[a], after[a]) for a in before if a in after)
    return said + [f"{a}: {old} → {new}" for a, old, new in both if old != new]


def _by_address(findings: Sequence[Finding]) -> Mapping[str, str]:
    """Two that look alike once they are masked are told as one."""
    found: dict[str, str] = {}
    for _, _, text in findings:
        address, colon, rest = text.partition(": ")
        if colon:
            found[address] = f"{found[address]}; {rest}" if address in found else rest
    return found


def _nothing(step: str, was: Sequence[Finding], now: Sequence[Finding]) -> list[str]:
    """Told by the verdict and the invoices, without their times; or no evidence of anything."""
    return []


_HOW: Mapping[str, Callable[[str, Sequence[Finding], Sequence[Finding]], list[str]]] = {
    Step.PROFILE: _parts,
    Step.ADDRESS: _addresses,
    Step.ERRORS: _nothing,
    Step.SPF: _state,
    Step.OTHER_WAYS: _nothing,
}

__all__ = ["INVOICE", "changes", "findings_of"]
