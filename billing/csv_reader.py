"""Reading a CSV file (RFC 4180) row by row: header, encoding, delimiter, and which physical line is wrong.

Knows nothing of subscribers. The file streams through: never more than one batch of rows is in memory.
Columns that look like passwords are dropped here, before anything can store or log them.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

DELIMITERS: Final = ",;\t|"
MAX_LINE: Final = 1_000_000
MAX_LINES_PER_ROW: Final = 100
"""A row that goes on for longer has lost a closing quote."""


class ImportProblem(Exception):
    """The file as a whole cannot be used; the message is a sentence for the person who gave it."""


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one row. The reason holds no personal data but an account number."""

    line: int
    """Physical line of the file on which the row begins, from 1."""
    column: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    cells: Mapping[str, str]


# Some old exports hold plaintext passwords.
_PASSWORD: Final = re.compile(
    r"pass(?:w|phrase|code|$|[^a-z])|pwd|secret|contrase|(?:^|[^a-z])(?:pin|pw|clave|psk|cvv|cvc|ssn|hash)(?:$|[^a-z])"
    r"|api.?key|(?:wifi|wi-fi|wpa|wep|private).?key|token|card.?(?:number|no)|credit.?card|iban|radius"
)
_NAMEABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,39}")
_UNDECODED: Final = re.compile("[\udc80-\udcff]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_UTF8: Final = (
    "This is not UTF-8 text. Save the file as CSV UTF-8 and import it again, "
    "or say what it is, such as --encoding windows-1252."
)
_EXCEL: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_BAD_QUOTES: Final = "The quotes in this row do not pair up, so that its columns cannot be told apart."


class Layout(Protocol):
    """How a file's rows become ours: `OwnLayout`, or another system's (billing.csv_shapes)."""

    @property
    def width(self) -> int:
        """Columns of the file."""
        ...

    @property
    def dropped(self) -> tuple[str, ...]: ...

    def row(self, line: int, cells: Sequence[str]) -> Row | RowError: ...


@dataclass(frozen=True, slots=True)
class OwnLayout:
    """Of a file in our own format."""

    places: Mapping[int, str]
    dropped: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.places) + len(self.dropped)

    def row(self, line: int, cells: Sequence[str]) -> Row:
        return Row(line, {name: cells[place] for place, name in self.places.items()})


class _Lines:
    """Physical lines for csv.reader, which can be taken back: a lost quote costs one row, not the rest."""

    def __init__(self, path: Path, encoding: str) -> None:
        # surrogateescape: an undecodable byte is found in its cell and becomes an error of its row
        self._bytes = path.open("rb")
        errors = "replace" if encoding.startswith("utf-16") else "surrogateescape"
        self._file = TextIOWrapper(self._bytes, encoding=encoding, errors=errors, newline="")
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self.number = 0
        """Lines handed out and not taken back."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._row) >= MAX_LINES_PER_ROW:
            raise csv.Error("a row without an end")
        line = self._again.popleft() if self._again else self._file.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == MAX_LINE:
            raise ImportProblem(f"Line {self.number} has over {MAX_LINE:,} characters: is this a CSV file?")
        self._row.append(line)
        return line

    def begin_row(self) -> int:
        """The number of the line on which the next row begins."""
        self._row.clear()
        return self.number + 1

    def keep_first_only(self) -> None:
        """Takes back all lines of the current row but its first."""
        self._again.extendleft(reversed(self._row[1:]))
        self.number -= len(self._row) - 1

    def position(self) -> int:
        """Bytes taken from the file, read-ahead included."""
        return self._bytes.tell()

    def close(self) -> None:
        self._file.close()


class CsvFile:
    """An open CSV file whose header was found good; ImportProblem where it is not."""

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        optional: Sequence[str] = (),
        *,
        shape: Callable[[Sequence[str]], Layout] | None = None,
        hint: Callable[[Sequence[str]], str] | None = None,
        encoding: str = "",
    ) -> None:
        """`columns` are those the header must name, in any order; it may name `optional` ones besides.

        `shape` makes rows of ours out of another system's file, from its header; `hint` adds what to do to
        the complaint about a header that is none of ours. `encoding`: a name that Python knows; UTF-8, or
        UTF-16 where the file begins with its mark.
        """
        self._columns, self._optional, self._shape, self._hint = columns, optional, shape, hint
        try:
            self.size = path.stat().st_size
            self._lines = _Lines(path, _encoding_of(path, encoding))
        except OSError as error:
            raise ImportProblem(f"{path.name} cannot be read: {error.strerror or error}.") from None
        try:
            self.layout = self._read_header(path.name)
        except BaseException:
            self._lines.close()
            raise
        self._rows = self._read_rows()

    def __enter__(self) -> CsvFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    @property
    def position(self) -> int:
        return min(self._lines.position(), self.size)

    def batch(self, size: int) -> list[Row | RowError]:
        """The next rows, and errors in the place of rows that cannot be told apart; empty at the end."""
        return list(islice(self._rows, size))

    def _read_header(self, name: str) -> Layout:
        first = next(self._lines, "")
        while first and not first.strip():
            first = next(self._lines, "")
        if not first:
            raise ImportProblem(f"{name} is empty. Its first line must name the columns.")
        if _UNDECODED.search(first):
            raise ImportProblem(f"Line {self._lines.number} of {name}: {_NOT_UTF8}")
        self._delimiter = max(DELIMITERS, key=first.count)
        try:
            names = next(csv.reader([first], delimiter=self._delimiter, strict=True))
        except csv.Error:
            raise ImportProblem(f"The header of {name} cannot be read: its quotes do not pair up.") from None
        names = [" ".join(cell.split()) for cell in names]
        if self._shape is not None:
            return self._shape(names)
        try:
            return judge_header([cell.lower() for cell in names], self._columns, self._optional)
        except ImportProblem as problem:
            hint = self._hint(names) if self._hint is not None else ""
            raise ImportProblem(f"{problem} {hint}".strip()) from None

    def _read_rows(self) -> Iterator[Row | RowError]:
        reader = csv.reader(self._lines, delimiter=self._delimiter, strict=True)
        while True:
            line = self._lines.begin_row()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                self._lines.keep_first_only()
                yield RowError(line, None, _BAD_QUOTES)
                continue
            if any(cell.strip() for cell in cells):  # spreadsheets leave rows of mere commas at the end
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Row | RowError:
        if len(cells) != self.layout.width:
            return RowError(
                line,
                None,
                f"This row has {len(cells)} values where the header has {self.layout.width} columns. "
                "A value with the separator or a line break in it needs quotes around it.",
            )
        row = self.layout.row(line, cells)
        if isinstance(row, RowError):
            return row
        for name, cell in row.cells.items():
            if _UNDECODED.search(cell):
                return RowError(line, name, _NOT_UTF8)
            if _CONTROL.search(cell):
                return RowError(line, name, "There is a control character in this value.")
        return row


def _encoding_of(path: Path, asked: str) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(_EXCEL):
        raise ImportProblem(f"{path.name} is a workbook, not a CSV file. Save it as CSV UTF-8 first.")
    if asked:
        try:
            return codecs.lookup(asked).name
        except LookupError:
            raise ImportProblem(f"{asked} is no encoding that I know; windows-1252 is one.") from None
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def is_secret(name: str) -> bool:
    """Whether a column of this name looks like one of passwords, keys or card numbers."""
    return _PASSWORD.search(name.lower()) is not None


def is_nameable(name: str) -> bool:
    """Whether this is a column's name and nobody's data: it may be repeated."""
    return _NAMEABLE.fullmatch(name) is not None


def shown(names: Sequence[str], places: Iterable[int]) -> tuple[str, ...]:
    """By name where that is a name, else by its place: a first line may be somebody already."""
    return tuple(names[place] if is_nameable(names[place]) else f"number {place + 1}" for place in places)


def judge_header(names: Sequence[str], columns: Sequence[str], optional: Sequence[str] = ()) -> OwnLayout:
    """Where each column is, and what was dropped; ImportProblem with what is missing or unknown."""
    wanted = {*columns, *optional}
    places = {place: name for place, name in enumerate(names) if name in wanted}
    if not places:
        # Perhaps the first line is a subscriber already: nothing of it is repeated.
        raise ImportProblem(f"The first line must name the columns: {', '.join(columns)}.")
    secret = {place for place, name in enumerate(names) if name not in wanted and is_secret(name)}
    unknown = shown(names, (p for p in range(len(names)) if p not in places and p not in secret))
    missing = [name for name in columns if name not in places.values()]
    twice = sorted({name for name in places.values() if names.count(name) > 1})
    faults = [
        f"{what}: {', '.join(which)}."
        for what, which in (
            ("Missing columns", missing),
            ("Unknown columns", unknown),
            ("Named twice", twice),
        )
        if which
    ]
    dropped = shown(names, sorted(secret))
    if not faults:
        return OwnLayout(places, dropped)
    if dropped:
        faults.append(
            f"By the way, {', '.join(dropped)} looks like a password: such a column is never stored, "
            "but do not export it."
        )
    raise ImportProblem(" ".join(faults))


__all__ = [
    "CsvFile",
    "ImportProblem",
    "Layout",
    "OwnLayout",
    "Row",
    "RowError",
    "is_nameable",
    "is_secret",
    "judge_header",
    "shown",
]
