"""Reads an SPF record the way its author meant it: finds the damage, names it, keeps where it was.

Strictness belongs to `record`; here every token ends as a valid term, a repaired one, or a named loss.
"""

import re
from dataclasses import dataclass, field

from notifier.mailauth.record import Directive, Modifier
from notifier.mailauth.repairs import RepairError, repair
from notifier.mailauth.report import Mistake, Severity, SpfProblem

_SMART_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb\u2033"
_SMART_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_SPACES = (
    "\t\r\n\x0b\x0c\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000"
)
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f"
_NEAR_VERSION = re.compile(r"\s*(?:v\s*[=:]\s*spf\s*1|v=spf(?![0-9a-z])|spf1(?=[\s;:,.]|$))", re.IGNORECASE)
_OPEN = re.compile(
    r"[-+~?]?(?:includes?|a|mx|ptr|exists|ip[46]?|ipv[46]|redirect|exp)(?P<sign>[:=])", re.IGNORECASE
)
_NEEDS_VALUE = re.compile(r"[-+~?]?(?:includes?|exists|ip[46]?|ipv[46]|redirect)", re.IGNORECASE)
_LOOKS_LIKE_TERM = re.compile(
    r"[-+~?]?(?:(?:includes?|exists|ip[46]|ipv[46]|a|mx|ptr):.|(?:a|mx)/\d|(?:redirect|exp)=|all(?![^\s]))",
    re.IGNORECASE,
)
_SIGNED_WORD = re.compile(r"[-+~?](?:a|mx|ptr|all)", re.IGNORECASE)
_BETWEEN = re.compile(r"[,;]+(?![^{}]*\})")  # not the delimiters of a macro
_BETWEEN_PLAIN = re.compile(r"[,;]+")
_NEARLY_FULL = 240
_BARE_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\.?")


@dataclass(frozen=True, slots=True)
class ReadTerm:
    """A valid term, possibly repaired, and where its author wrote it."""

    term: Directive | Modifier
    start: int
    end: int
    written: str
    record: int = 0


@dataclass(slots=True)
class Reading:
    terms: list[ReadTerm] = field(default_factory=list)
    problems: list[SpfProblem] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)  # places of terms that could not be repaired


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int


def looks_like_spf(text: str) -> bool:
    """Whether somebody meant this TXT record to be SPF, however it was damaged on the way."""
    return _NEAR_VERSION.match(_cleaned(text)) is not None


def read_record(strings: tuple[str, ...], record: int = 0) -> Reading:
    return _Reader(strings, record).read()


def _cleaned(text: str) -> str:
    drop = "\"'`" + _SMART_QUOTES + _ZERO_WIDTH
    return "".join(" " if character in _SPACES else character for character in text if character not in drop)


class _Reader:
    def __init__(self, strings: tuple[str, ...], record: int) -> None:
        self._text = "".join(strings)
        self._record = record
        self._reading = Reading()
        self._joints: set[int] = set()
        self._full: set[int] = set()  # joints that only the limit of 255 octets made
        offset = 0
        for string in strings[:-1]:
            offset += len(string)
            self._joints.add(offset)
            if len(string) > _NEARLY_FULL:
                self._full.add(offset)

    def read(self) -> Reading:
        cells = self._visible_cells()
        cells = self._after_version(cells)
        tokens = self._joined(self._split(cells))
        previous = ""
        for token in tokens:
            pieces = self._separated(token)
            for index, piece in enumerate(pieces):
                text = piece.text
                if index and _BARE_NAME.fullmatch(text) and ":" in previous and not _is_address(text):
                    text = previous.partition(":")[0] + ":" + text  # "include:a,b" means both
                previous = text
                self._take(_Token(text, piece.start, piece.end))
        self._reading.problems.sort(key=lambda problem: (problem.start, problem.end))
        return self._reading

    # --- characters

    def _visible_cells(self) -> list[tuple[str, int]]:
        """The characters that count, each with its offset; the others are named and go."""
        cells: list[tuple[str, int]] = []
        places: dict[Mistake, list[int]] = {}
        for offset, character in enumerate(self._text):
            if character == '"' or (character in "'`" and offset in (0, len(self._text) - 1)):
                places.setdefault(Mistake.QUOTES, []).append(offset)
            elif character in _SMART_QUOTES:
                places.setdefault(Mistake.SMART_QUOTES, []).append(offset)
            elif character in _ZERO_WIDTH:
                places.setdefault(Mistake.INVISIBLE_CHARACTER, []).append(offset)
            elif character in _SPACES:
                places.setdefault(Mistake.INVISIBLE_CHARACTER, []).append(offset)
                cells.append((" ", offset))
            elif character in _SMART_DASHES:
                places.setdefault(Mistake.SMART_DASH, []).append(offset)
                cells.append(("-", offset))
            else:
                cells.append((character, offset))
        for code, offsets in places.items():
            sentence = _CHARACTER_SENTENCES[code]
            self._problem(code, offsets[0], offsets[0] + 1, sentence)
        return cells

    def _after_version(self, cells: list[tuple[str, int]]) -> list[tuple[str, int]]:
        text = "".join(character for character, _ in cells)
        found = _NEAR_VERSION.match(text)
        if found is None:
            return cells
        blank = len(text) - len(text.lstrip(" "))
        if blank:
            self._problem(
                Mistake.LEADING_SPACE,
                cells[0][1],
                cells[blank - 1][1] + 1,
                "The record begins with a space, so receivers do not see an SPF record. Remove the space.",
            )
        end = found.end()
        start_offset, end_offset = cells[blank][1], cells[end - 1][1] + 1
        if found.group().strip().lower() != "v=spf1":
            self._problem(
                Mistake.BAD_VERSION,
                start_offset,
                end_offset,
                f"The record begins with '{found.group().strip()}'; it must begin with exactly 'v=spf1'.",
            )
        after = end
        while after < len(text) and text[after] in ";:,.":
            after += 1
        if after > end:
            self._problem(
                Mistake.VERSION_PUNCTUATION,
                start_offset,
                cells[after - 1][1] + 1,
                "'v=spf1' must be followed by a space and nothing else. Remove the punctuation after it.",
            )
        elif after < len(text) and text[after] != " ":
            self._glued_version(cells, start_offset, after)
        return cells[after:]

    def _glued_version(self, cells: list[tuple[str, int]], start: int, after: int) -> None:
        offset = cells[after][1]
        if offset in self._joints:
            self._joint(start, offset, offset)
            return
        self._problem(
            Mistake.BAD_VERSION, start, offset, "There must be a space after 'v=spf1'. Put one there."
        )

    # --- tokens

    def _split(self, cells: list[tuple[str, int]]) -> list[_Token]:
        tokens: list[_Token] = []
        run: list[tuple[str, int]] = []
        for cell in [*cells, (" ", -1)]:
            if cell[0] != " ":
                run.append(cell)
            elif run:
                tokens.extend(self._unglued(run))
                run = []
        return tokens

    def _unglued(self, run: list[tuple[str, int]]) -> list[_Token]:
        """Two TXT strings meet inside this word: were they meant to be two terms?"""
        for index in range(1, len(run)):
            if run[index][1] not in self._joints and not (self._joints & set(_gap(run, index))):
                continue
            left, right = _word(run[:index]), _word(run[index:])
            if right.start in self._full and right.text.isalpha():
                continue
            if _meant_apart(left.text, right.text):
                self._joint(left.start, left.end, right.end)
                return [left, *self._unglued(run[index:])]
        return [_word(run)]

    def _joint(self, start: int, middle: int, end: int) -> None:
        self._problem(
            Mistake.STRINGS_JOINED,
            start,
            end,
            f"Two strings of the TXT record are joined without a space at character {middle}, so two terms "
            "grow together. Put a space at the end of the first string or the start of the second.",
        )

    def _joined(self, tokens: list[_Token]) -> list[_Token]:
        """Puts together what a stray space took apart."""
        joined: list[_Token] = []
        index = 0
        while index < len(tokens):
            token = tokens[index]
            following = tokens[index + 1] if index + 1 < len(tokens) else None
            code = _stray_space(token.text, following.text) if following else None
            if code is None or following is None:
                joined.append(token)
                index += 1
                continue
            colon = ":" if code is Mistake.MISSING_COLON and not following.text.startswith(":") else ""
            whole = _Token(token.text + colon + following.text, token.start, following.end)
            self._problem(code, whole.start, whole.end, _SPACE_SENTENCES[code].format(fixed=whole.text))
            tokens[index + 1] = whole
            index += 1
        return joined

    def _separated(self, token: _Token) -> list[_Token]:
        between = _BETWEEN if "}" in token.text else _BETWEEN_PLAIN  # the first looks far ahead each time
        found = list(between.finditer(token.text))
        if not found:
            return [token]
        comma = any("," in separator.group() for separator in found)
        code = Mistake.COMMA if comma else Mistake.SEMICOLON
        word = "commas" if comma else "semicolons"
        self._problem(
            code,
            token.start,
            token.end,
            f"Terms are separated by spaces, not by {word}. Write '{between.sub(' ', token.text).strip()}'.",
        )
        pieces: list[_Token] = []
        position = 0
        for begin, end in [*(separator.span() for separator in found), (len(token.text), 0)]:
            if begin > position:
                pieces.append(_Token(token.text[position:begin], token.start + position, token.start + begin))
            position = end
        return pieces

    # --- terms

    def _take(self, token: _Token) -> None:
        try:
            repaired = repair(token.text)
        except RepairError as loss:
            self._problem(loss.code, token.start, token.end, loss.sentence)
            self._reading.lost.append((token.start, token.end))
            return
        for finding in repaired.findings:
            self._problem(finding.code, token.start, token.end, finding.sentence, finding.severity)
        if repaired.term is not None:
            written = self._text[token.start : token.end]
            self._reading.terms.append(ReadTerm(repaired.term, token.start, token.end, written, self._record))

    def _problem(
        self, code: Mistake, start: int, end: int, sentence: str, severity: Severity = Severity.ERROR
    ) -> None:
        term = self._text[start:end]
        self._reading.problems.append(SpfProblem(severity, code, start, end, term, sentence, self._record))


_CHARACTER_SENTENCES = {
    Mistake.QUOTES: "There are quotation marks inside the record. Remove them; the zone editor adds its own.",
    Mistake.SMART_QUOTES: "There are typographic quotation marks in the record. Remove them.",
    Mistake.INVISIBLE_CHARACTER: (
        "There is a character that looks like a space or like nothing but is not a plain space. "
        "Type the record again instead of pasting it."
    ),
    Mistake.SMART_DASH: "There is a typographic dash where a plain hyphen belongs. Type '-'.",
}
_SPACE_SENTENCES = {
    Mistake.SPACE_AFTER_COLON: "There is a space inside a term. Write '{fixed}' without it.",
    Mistake.SPACE_AFTER_QUALIFIER: "There is a space after the sign. Write '{fixed}' without it.",
    Mistake.MISSING_COLON: "A colon is missing. Write '{fixed}'.",
}


def _word(run: list[tuple[str, int]]) -> _Token:
    return _Token("".join(character for character, _ in run), run[0][1], run[-1][1] + 1)


def _gap(run: list[tuple[str, int]], index: int) -> range:
    """Offsets of characters that were dropped just before this one (quotes at a joint)."""
    return range(run[index - 1][1] + 1, run[index][1])


def _is_address(text: str) -> bool:
    return text.replace(".", "").isdigit()


def _parses(text: str) -> bool:
    try:
        return not repair(text).findings
    except RepairError:
        return False


def _meant_apart(left: str, right: str) -> bool:
    if not _parses(left) or left.endswith("."):
        return False
    if _LOOKS_LIKE_TERM.match(right) or _SIGNED_WORD.fullmatch(right):
        return True
    # "a", "mx" and "ptr" may also end a name or an address that was cut where the string was full. Nobody
    # cuts a name by hand, though, so a shorter string ends where a term was meant to end.
    if right.lower() not in ("a", "mx", "ptr"):
        return False
    return not _parses(left + right) or not left.lower().lstrip("+-~?").startswith("ip6:")


def _stray_space(first: str, second: str) -> Mistake | None:
    if first in ("+", "-", "~", "?"):
        return Mistake.SPACE_AFTER_QUALIFIER
    if second.startswith((":", "=")) and _OPEN.fullmatch(first + second[0]):
        return Mistake.SPACE_AFTER_COLON
    is_term = bool(_LOOKS_LIKE_TERM.match(second) or _SIGNED_WORD.fullmatch(second)) or _parses(second)
    if is_term:
        return None
    if _OPEN.fullmatch(first):
        return Mistake.SPACE_AFTER_COLON
    if _NEEDS_VALUE.fullmatch(first) and ("." in second or ":" in second):
        return Mistake.MISSING_COLON
    return None
