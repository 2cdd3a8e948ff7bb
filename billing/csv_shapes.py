"""How a file that is not in our own format is read: which columns fill ours, how values are spelled. Pure.

Made once from the header, by a preset (billing.csv_presets), a map of the person's own, or both; then each
row becomes one of ours. Columns that nobody asked for are left out and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final

from rapidfuzz import fuzz, process

from billing.csv_kinds import DayOrder, DecimalSign, ImportKind, Preset
from billing.csv_presets import DEFAULTS, NEEDED, PRESETS, WORDS, Export
from billing.csv_reader import ImportProblem, Row, RowError, is_nameable, is_secret, shown
from billing.csv_values import Ambiguous, OtherCurrency, amount, day, yes_or_no

_AMOUNTS: Final = frozenset({"balance", "price", "total", "paid", "owed"})
_DAYS: Final = frozenset({"issued_on", "due_on", "status_until"})
_YES: Final = frozenset({"invoice_notices", "sms_consent"})
_ENTRY: Final = re.compile(r"\s*([a-z_]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^,]*))\s*(?:,|$)")
OWED: Final = "owed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person asked for at the command line."""

    preset: Preset | None = None
    map: Mapping[str, str] = field(default_factory=dict)
    """Our column -> the name of theirs."""
    decimal: DecimalSign | None = None
    dates: DayOrder | None = None
    currency: str = ""
    """For files that name none."""

    @property
    def any(self) -> bool:
        return bool(self.preset or self.map or self.decimal or self.dates or self.currency)


def read_map(text: str, kind: ImportKind, columns: Sequence[str]) -> dict[str, str]:
    """`account="Customer ID", email_billing=Email`; ImportProblem where it cannot be read."""
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _ENTRY.match(text, place)
        if match is None or match.end() == place:
            raise ImportProblem('--map is written as account="Customer ID",email_billing=Email.')
        found[match[1]] = next(filter(None, (match[2], match[3], match[4])), "").strip()
        place = match.end()
    _check_map(found, kind, columns)
    return found


def _check_map(found: Mapping[str, str], kind: ImportKind, columns: Sequence[str]) -> None:
    allowed = [*columns, *((OWED,) if kind is ImportKind.INVOICES else ())]
    for ours, theirs in found.items():
        if ours not in allowed:
            close = process.extractOne(ours, allowed, score_cutoff=60)
            hint = f" Did you mean {close[0]}?" if close else f" There are: {', '.join(allowed)}."
            raise ImportProblem(f"--map: {kind} have no column {ours}.{hint}")
        if not theirs:
            raise ImportProblem(f"--map: which column of the file is {ours}?")


@dataclass(frozen=True, slots=True)
class Shape:
    """One file's columns in our words."""

    kind: ImportKind
    columns: tuple[str, ...]
    """Ours, all that a row of ours has."""
    places: Mapping[str, tuple[tuple[int, ...], ...]]
    """Ours -> where in the file: the first of these that says anything; several places are joined."""
    names: Mapping[str, str]
    """Ours -> theirs, for whoever has to mend a row."""
    width: int
    dropped: tuple[str, ...]
    ignored: tuple[str, ...]
    wanted: Wanted
    credit: bool

    def row(self, line: int, cells: Sequence[str]) -> Row | RowError:
        """A row of ours; RowError where a value could mean two things."""
        told = {
            ours: next(filter(None, (_joined(cells, places) for places in choices)), "")
            for ours, choices in self.places.items()
        }
        currency = told.get("currency") or self.wanted.currency
        said: dict[str, str] = {}
        for ours, text in told.items():
            try:
                said[ours] = self._value(ours, text, currency)
            except (Ambiguous, OtherCurrency) as problem:
                return RowError(line, ours, str(problem))
        self._complete(said)
        defaults = DEFAULTS[self.kind]
        return Row(line, {c: said.get(c) or defaults.get(c, "") for c in self.columns})

    def _value(self, ours: str, told: str, currency: str) -> str:
        if ours in _AMOUNTS:
            value = amount(told, self.wanted.decimal, currency)
            return _negated(value) if ours == "balance" and self.credit else value
        if ours in _DAYS:
            return day(told, self.wanted.dates)
        if ours in _YES:
            return yes_or_no(told)
        words = WORDS[self.kind].get(ours)
        if words is not None:
            word = _folded(told)
            return words.get(word, word.replace(" ", "_"))
        return told

    def _complete(self, said: dict[str, str]) -> None:
        if self.wanted.currency and not said.get("currency"):
            said["currency"] = self.wanted.currency
        if self.kind is ImportKind.PACKAGES:
            said.setdefault("service", said.get("name", ""))
        if self.kind is not ImportKind.INVOICES:
            return
        said["due_on"] = said.get("due_on") or said.get("issued_on", "")
        total, owed = _number(said.get("total", "")), _number(said.pop(OWED, ""))
        if not said.get("paid") and total is not None:
            paid = total - owed if owed is not None else total if said.get("status") == "paid" else Decimal(0)
            said["paid"] = str(paid)
        if not said.get("status") and total is not None:
            paid = _number(said.get("paid", "")) or Decimal(0)
            said["status"] = "paid" if paid >= total else "partially_paid" if paid else "open"


def shape_of(
    kind: ImportKind, names: Sequence[str], columns: Sequence[str], wanted: Wanted, file: str
) -> Shape:
    """From the header's names; ImportProblem says what is missing, with what the file has instead."""
    preset = PRESETS[wanted.preset][kind] if wanted.preset else Export({c: (c,) for c in (*columns, OWED)})
    folded = [_folded(name) for name in names]
    secret = {place for place, name in enumerate(names) if is_secret(name)}
    open_places = {name: place for place, name in reversed(list(enumerate(folded))) if place not in secret}
    places: dict[str, tuple[tuple[int, ...], ...]] = {}
    for ours, theirs in wanted.map.items():
        if _folded(theirs) not in open_places:
            raise ImportProblem(
                f"{file} has no column “{theirs}”, which --map names for {ours}.{_has(names)}"
            )
        places[ours] = ((open_places[_folded(theirs)],),)
    for ours in (*columns, OWED):
        if ours not in places and (found := _found(ours, preset, open_places)):
            places[ours] = found
    missing = [c for c in NEEDED[kind] if c not in places]
    if missing:
        raise ImportProblem(_ask(file, missing, names))
    if "currency" not in places and not wanted.currency:
        raise ImportProblem(
            f"{file} does not say in which currency its amounts are: add --currency USD, say."
        )
    taken = {place for choices in places.values() for several in choices for place in several}
    return Shape(
        kind=kind,
        columns=tuple(c for c in columns if c != "tags" or "tags" in places),
        places=places,
        names={
            ours: " or ".join(" + ".join(names[p] for p in several) for several in choices)
            for ours, choices in places.items()
        },
        width=len(names),
        dropped=shown(names, sorted(secret)),
        ignored=shown(names, (p for p in range(len(names)) if p not in taken | secret)),
        wanted=wanted,
        credit=preset.credit and "balance" not in wanted.map,
    )


def _found(ours: str, preset: Export, places: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    single = [(places[n],) for n in map(_folded, preset.columns.get(ours, ())) if n in places]
    joined = tuple(places[n] for n in map(_folded, preset.joined.get(ours, ())) if n in places)
    return (*single, joined) if joined else tuple(single)


def _joined(cells: Sequence[str], places: Sequence[int]) -> str:
    return " ".join(filter(None, (cells[place].strip() for place in places)))


def preset_that_fits(kind: ImportKind, names: Iterable[str]) -> str:
    """The preset whose needed columns a header has and that knows most of it; empty: none."""
    have = {_folded(name) for name in names}

    def known(preset: Export) -> int:
        theirs = [*preset.columns.values(), *preset.joined.values()]
        return sum(any(_folded(n) in have for n in choices) for choices in theirs)

    def fits(preset: Export) -> bool:
        return all(
            any(_folded(n) in have for n in (*preset.columns.get(c, ()), *preset.joined.get(c, ())))
            for c in NEEDED[kind]
        )

    fitting = {name: known(kinds[kind]) for name, kinds in PRESETS.items() if fits(kinds[kind])}
    return max(fitting, key=lambda name: fitting[name], default="")


def _ask(file: str, missing: Sequence[str], names: Sequence[str]) -> str:
    hints = []
    for ours in missing:
        choices = {n: _folded(n) for n in names if is_nameable(n) and not is_secret(n)}
        close = process.extractOne(ours.replace("_", " "), choices, scorer=fuzz.WRatio, score_cutoff=55)
        guess = close[2] if close else "their name"
        found = f"is it “{guess}”? " if close else ""
        hints.append(f"{ours}: {found}Add --map {ours}='{guess}'.")
    return f"{file} has no column that I know as {', '.join(missing)}. {' '.join(hints)}{_has(names)}"


def _has(names: Sequence[str]) -> str:
    return f" The file has: {', '.join(shown(names, range(len(names)))[:20])}."


def _folded(name: str) -> str:
    return " ".join(re.sub(r"[^\w#]+|_", " ", name.casefold()).split())


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None


def _negated(value: str) -> str:
    if not value or _number(value) in (None, Decimal(0)):
        return value
    return value[1:] if value.startswith("-") else f"-{value}"


__all__ = ["Shape", "Wanted", "preset_that_fits", "read_map", "shape_of"]
