"""The record of notices as a PDF: pure drawing from values to bytes, with fpdf2 and its built-in fonts.

The paper is A4 or US Letter by region, as invoices are (billing.invoice_pdf). What must be exact (addresses,
servers' answers) is never spelled differently: a letter that the font lacks stands as its Unicode escape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from billing.invoice_pdf import LETTER_REGIONS
from billing.latin import latin, spelled
from handlers.proofs import telling
from handlers.proofs.case import ProofCase
from handlers.proofs.telling import Told, both, utc, who
from store.filed import ChainHead

if TYPE_CHECKING:
    from fpdf import FPDF

_INK, _QUIET, _BLUE, _RULE, _BOX = (
    (28, 39, 51),
    (91, 107, 123),
    (11, 90, 138),
    (214, 221, 229),
    (243, 248, 252),
)
_MARGIN = 20.0
_LABEL = 32.0
_LINE = 4.6
_PT = 72 / 25.4
_ROOM = 42.0
"""A notice begins on the next page when less than this is left of the page, in millimetres."""


def exact(text: str) -> str:
    """As it is; what cp1252 lacks by its escape, so that nothing passes for what it is not."""
    return text.encode("cp1252", "backslashreplace").decode("cp1252")


def wrapped(text: str, font: str, size: float, width: float) -> list[str]:
    """The lines of a paragraph in cp1252 that fit into `width` millimetres; a word that does not is cut.

    Measured here: fpdf2's own paragraphs take eight times as long, and a record has hundreds of pages.
    """
    from fpdf.fonts import CORE_FONTS_CHARWIDTHS

    widths, room = CORE_FONTS_CHARWIDTHS[font], width * _PT * 1000 / size
    rows: list[str] = []
    for paragraph in text.split("\n"):
        row, used = "", 0.0
        for word in paragraph.split(" "):
            length = _measured(word, widths)
            gap = widths[" "] if row else 0
            if row and used + gap + length > room:
                rows.append(row)
                row, used, gap = "", 0.0, 0
            while length > room:  # a hash, an address: no place to break it at
                kept = len(word) - 1
                while kept > 1 and _measured(word[:kept], widths) > room:
                    kept -= 1
                rows.append(word[:kept])
                word, length = word[kept:], _measured(word[kept:], widths)
            row, used = (f"{row} {word}" if row else word), used + gap + length
        rows.append(row)
    return rows


def _measured(text: str, widths: Mapping[str, int]) -> float:
    return sum(widths[char] for char in text.encode("cp1252", "replace").decode("latin-1"))


def draw(case: ProofCase) -> bytes:
    return _Document(case).draw()


def file_name(case: ProofCase) -> str:
    about = f"invoice-{case.invoice.number}" if case.invoice else f"account-{case.subscriber.account}"
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in about)
    return f"notices-{safe}-{case.made_at:%Y%m%d}.pdf"


class _Document:
    def __init__(self, case: ProofCase) -> None:
        self._case = case
        self._pdf = _paper(case)
        self._width = self._pdf.w - 2 * _MARGIN

    def draw(self) -> bytes:
        self._pdf.add_page()
        self._cover()
        self._notices()
        self._around()
        self._meaning()
        self._verifying()
        return bytes(self._pdf.output())

    def _put(
        self,
        text: str,
        *,
        size: float = 9.5,
        style: str = "",
        colour: tuple[int, int, int] = _INK,
        indent: float = 0,
        line: float = _LINE,
        font: str = "helvetica",
    ) -> None:
        """A paragraph from the left margin (plus `indent`) to the right one, over pages if need be."""
        pdf = self._pdf
        for row in wrapped(text, f"{font}{style}", size, self._width - indent):
            self._keep_together(line)
            pdf.set_font(font, style, size)
            pdf.set_text_color(*colour)
            if row:
                pdf.text(_MARGIN + indent, pdf.get_y() + line * 0.74, row)
            pdf.set_y(pdf.get_y() + line)

    def _heading(self, text: str) -> None:
        self._keep_together(24)
        self._pdf.ln(4)
        self._put(text, size=13, style="B", colour=_BLUE, line=6.5)
        self._rule()
        self._pdf.ln(2.5)

    def _rule(self) -> None:
        pdf = self._pdf
        pdf.set_draw_color(*_RULE)
        pdf.set_line_width(0.25)
        pdf.line(_MARGIN, pdf.get_y() + 0.8, pdf.w - _MARGIN, pdf.get_y() + 0.8)
        pdf.ln(1.2)

    def _keep_together(self, room: float) -> None:
        if self._pdf.get_y() + room > self._pdf.page_break_trigger:
            self._pdf.add_page()

    def _fact(self, label: str, value: str, *, style: str = "", font: str = "helvetica") -> None:
        self._keep_together(_LINE)
        self._label(label)
        self._put(value, size=9 if font == "helvetica" else 8, style=style, indent=_LABEL, font=font)

    def _label(
        self, text: str, *, size: float = 8.5, colour: tuple[int, int, int] = _QUIET, indent: float = 0
    ) -> None:
        """Beside what comes next: it takes no room of its own."""
        pdf = self._pdf
        pdf.set_font("helvetica", "", size)
        pdf.set_text_color(*colour)
        pdf.text(_MARGIN + indent, pdf.get_y() + _LINE * 0.74, text)

    def _cover(self) -> None:
        case = self._case
        profile = case.profile
        self._put(latin(profile.brand.name), size=12, style="B", colour=_BLUE, line=6)
        self._put("Record of notices sent", size=20, style="B", line=11)
        self._pdf.ln(2)
        self._fact("Provider", _contact(case))
        self._fact("Account", f"{case.subscriber.account}, {_name(case.subscriber.name)}", style="B")
        if case.payer.id != case.subscriber.id:
            self._fact("Invoices go to", f"account {case.payer.account}, which pays for it")
        if case.invoice:
            self._fact("Invoice", f"{latin(case.invoice.number)} only", style="B")
        self._fact("Period", _period(case))
        self._fact("Made", f"{both(case.made_at, profile)} by {who(case.made_by)}")
        self._fact("Why", exact(case.reason))
        if case.head:
            self._fact("Audit chain", _head(case.head), font="courier")
        self._heading("In short")
        if not case.filed:
            self._put(
                "No notice of this period is on file. That is no proof that none was ever sent: "
                "see the last pages."
            )
            return
        kept = sum(filed.archived_at is not None for filed in case.filed)
        from_archive = f", of which {kept:,} from the archive" if kept else ""
        self._put(f"{len(case.filed):,} notices, each to one address{from_archive}.")
        self._pdf.ln(1)
        for ended, number in telling.summary(case):
            self._put(f"{number:,}  {ended}", indent=4)
        self._pdf.ln(1)
        self._put(
            "“Accepted” and “handed over” say who took a message, not that anybody read it. What each of "
            "these words shows and does not prove stands on the page “What this shows and what it does not "
            "prove”.",
            colour=_QUIET,
            size=9,
        )

    def _notices(self) -> None:
        if not self._case.filed:
            return
        self._heading("Notices, oldest first")
        for number, filed in enumerate(self._case.filed, start=1):
            self._notice(number, telling.told(self._case, filed))

    def _notice(self, number: int, told: Told) -> None:
        pdf = self._pdf
        self._keep_together(_ROOM)
        pdf.set_fill_color(*_BOX)
        pdf.rect(_MARGIN, pdf.get_y(), self._width, 7, style="F")
        self._put(f"{number}.  {latin(told.title)}", size=10.5, style="B", indent=2, line=7)
        pdf.ln(1.5)
        self._fact("How it ended", exact(told.ended), style="B")
        if told.means:
            self._fact("", told.means)
        for label, value in told.facts:
            self._fact(label, exact(value), font="courier" if _is_code(label) else "helvetica")
        for index, attempt in enumerate(told.attempts):
            text = ": ".join(filter(None, (attempt.when, attempt.text)))
            self._fact("What happened" if not index else "", exact(text))
            if attempt.raw:
                self._put(exact(attempt.raw), size=8, font="courier", indent=_LABEL + 4, line=3.8)
        pdf.ln(4)

    def _around(self) -> None:
        self._heading("What else happened in this period")
        for title, rows in telling.around(self._case):
            self._keep_together(12)
            self._put(title, style="B")
            self._bullets(rows or ["nothing on record"])
            self._pdf.ln(1.5)

    def _bullets(self, rows: Iterable[str]) -> None:
        for row in rows:
            self._keep_together(_LINE)
            self._label("•", size=9.5, colour=_INK, indent=1)
            self._put(exact(row), indent=5)
            self._pdf.ln(0.6)

    def _meaning(self) -> None:
        self._pdf.add_page()
        self._heading("What this shows and what it does not prove")
        self._put("It shows", style="B", size=10.5, line=6)
        self._bullets(telling.SHOWS)
        self._pdf.ln(2)
        self._put("It does not prove", style="B", size=10.5, line=6)
        self._bullets((*telling.SHOWS_NOT, telling.removed_by_age(self._case)))

    def _verifying(self) -> None:
        case = self._case
        self._heading("How to verify this document")
        self._put(
            "The SHA-256 of this very file was written to the provider's audit when it was made. Whoever "
            "holds the file can have the provider run:"
        )
        self._pdf.ln(1)
        self._put(f"ispbot proof verify {file_name(case)}", font="courier", size=9, indent=4)
        self._pdf.ln(1)
        self._put(
            "It says whether a file with exactly these bytes was made, when, by whom and about what, and "
            "whether the audit chain holds from its beginning to its end. Each entry of the chain holds the "
            "SHA-256 of the entry before it; an entry changed or removed later breaks every hash after it."
        )
        if case.head:
            self._pdf.ln(1)
            self._put(f"The chain stood at entry {case.head.seq:,} when the record was read; its hash was")
            self._put(case.head.hash, font="courier", size=9, indent=4)
            self._put(
                "A copy on paper fixes that hash: a chain that was rewritten since has another one there."
            )


def _paper(case: ProofCase) -> FPDF:
    # It brings font tools and an imaging library along: a start that draws nothing does without them.
    from fpdf import FPDF

    foot = f"{latin(case.profile.brand.name)} · account {case.subscriber.account} · record of notices"

    class Paper(FPDF):
        def footer(self) -> None:
            self.set_y(-14)
            self.set_font("helvetica", "", 8)
            self.set_text_color(*_QUIET)
            self.set_x(_MARGIN)
            self.cell(0, 5, f"{foot} · made {utc(case.made_at)}")
            self.set_x(_MARGIN)
            self.cell(self.epw, 5, f"Page {self.page_no()} of {{pages}}", align="R")

    pdf = Paper(format="letter" if case.profile.region in LETTER_REGIONS else "a4")
    pdf.core_fonts_encoding = "cp1252"
    pdf.c_margin = 0
    pdf.alias_nb_pages("{pages}")  # as wide as a four-digit number
    pdf.set_margins(_MARGIN, 18, _MARGIN)
    pdf.set_auto_page_break(True, 20)
    pdf.set_creation_date(case.made_at)
    pdf.set_producer("ispbot")
    pdf.set_lang("en-US")
    pdf.set_title(f"Record of notices sent, account {latin(case.subscriber.account)}")
    pdf.set_author(latin(case.profile.brand.name))
    return pdf


def _name(name: str) -> str:
    shown, missing = spelled(name)
    return f"{shown} (the name on file has letters that this font lacks)" if missing else shown


def _contact(case: ProofCase) -> str:
    brand = case.profile.brand
    return latin(" · ".join(filter(None, (brand.name, brand.support_phone, brand.support_email))))


def _period(case: ProofCase) -> str:
    since, until = (both(at, case.profile) for at in (case.asked.since, case.asked.until))
    return f"from {since}\nuntil {until}"


def _head(head: ChainHead) -> str:
    return f"{head.hash}\nentry {head.seq:,} of {utc(head.at)}"


def _is_code(label: str) -> bool:
    return "SHA-256" in label or label in ("Message-ID", "Queue id", "MessageSid", "Our name for it")


__all__ = ["draw", "exact", "file_name"]
