"""Asking one thing at a time: as it was kept, as a file gives it, or as somebody types it; each is tried.

What does not hold is said with what to do, and asked again. Where nobody is there to ask, everything that is
wrong is told at the end, together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from bot.checks.finding import Finding
from bot.setup.answers import Answers

Problem = Callable[[str], str]
"""What is wrong with what was typed, in a sentence; empty: nothing."""
Try = Callable[[str], Coroutine[Any, Any, Finding]]
_TRIES: Final = 20
"""Wrong answers to one question, after which somebody is better off reading."""


@dataclass
class Asking:
    answers: Answers
    out: Console
    unattended: bool = False
    again: bool = False
    """Ask also what is answered already; the old answers are offered."""
    troubles: list[str] = field(default_factory=list)

    def section(self, title: str, text: str = "") -> None:
        self.out.print()
        self.out.print(f"[bold]{escape(title)}[/bold]")
        if text:
            self.out.print(escape(text), style="dim")

    def text(
        self,
        name: str,
        question: str,
        *,
        default: str = "",
        hint: str = "",
        problem: Problem = lambda _: "",
        tries: Try | None = None,
        optional: bool = False,
    ) -> str:
        """The answer, which is kept. `optional`: it may be empty."""
        kept = self.answers.kept
        if name in self.answers.given:
            return self._given(name, self.answers.given[name], problem, tries, optional=optional)
        if name in kept and not self.again:
            self.out.print(f"[green]✓[/green] {escape(question)}: {escape(kept[name] or 'none')}")
            return kept[name]
        if self.unattended:
            if default or optional:
                return self._given(name, default, problem, tries, optional=optional)
            self.troubles.append(f"{name}: {question}. There is no answer in the file.")
            return ""
        value = self._asked(question, hint, kept.get(name) or default, problem, tries, optional=optional)
        self.answers.keep(name, value)
        return value

    def _given(self, name: str, value: str, problem: Problem, tries: Try | None, *, optional: bool) -> str:
        if value or not optional:
            missing = "There is no answer."
            if not self._holds(name, value, problem, tries, missing):
                return value
        self.answers.keep(name, value)
        return value

    def _holds(self, name: str, value: str, problem: Problem, tries: Try | None, missing: str) -> bool:
        """Whether an answer that nobody can be asked about is good; else it is a trouble."""
        wrong = problem(value) if value else missing
        if not wrong and tries is not None:
            found = asyncio.run(tries(value))
            wrong = "" if found.ok else f"{found.found}. {found.remedy}"
        if wrong:
            self.troubles.append(f"{name}: {wrong}")
        return not wrong

    def _asked(
        self,
        question: str,
        hint: str,
        default: str,
        problem: Problem,
        tries: Try | None,
        *,
        optional: bool,
        hidden: bool = False,
    ) -> str:
        if hint:
            self.out.print(escape(hint), style="dim")
        for _ in range(_TRIES):
            value = str(
                typer.prompt(
                    question,
                    default=default if default or optional else None,
                    hide_input=hidden,
                    show_default=bool(default) and not hidden,
                )
            ).strip()
            wrong = problem(value) if value else ""
            if not value and not optional:
                wrong = "This is needed."
            if wrong:
                self.out.print(f"[red]{escape(wrong)}[/red]")
                continue
            if not value or tries is None:
                return value
            found = self._tried(tries, value)
            if found.ok:
                return value
            if typer.confirm("Keep it all the same, and mend it later?", default=False):
                return value
        raise typer.Abort

    def tried(self, name: str, attempt: Callable[[], Coroutine[Any, Any, Finding]]) -> None:
        """Something that several answers make together; what is wrong is told, and may be mended later."""

        async def tries(_: str) -> Finding:
            return await attempt()

        if not self.unattended:
            self._tried(tries, "")
        elif not (found := asyncio.run(tries(""))).ok:
            self.troubles.append(f"{name}: {found.found}. {found.remedy}")

    def _tried(self, tries: Try, value: str) -> Finding:
        with self.out.status("trying it"):
            found = asyncio.run(tries(value))
        mark = "[green]✓[/green]" if found.ok else "[red]✗[/red]"
        self.out.print(f"{mark} {escape(found.found)}")
        if found.remedy:
            self.out.print(f"  {escape(found.remedy)}")
        return found

    def secret(
        self,
        variable: str,
        question: str,
        *,
        hint: str = "",
        problem: Problem = lambda _: "",
        tries: Try | None = None,
    ) -> str:
        """Goes into the file of secrets under `variable`, and is never shown."""
        held = self.answers.secrets
        given = self.answers.given.get(variable, "")
        if variable in held and not self.again and given in ("", held[variable]):
            self.out.print(f"[green]✓[/green] {escape(question)}: kept in {variable}")
            return held[variable]
        if given or self.unattended:
            missing = "There is no answer in the file or the environment."
            if self._holds(variable, given, problem, tries, missing):
                self.answers.keep_secret(variable, given)
            return given
        value = self._asked(question, hint, "", problem, tries, optional=False, hidden=True)
        self.answers.keep_secret(variable, value)
        return value

    def yes(self, name: str, question: str, *, default: bool, hint: str = "") -> bool:
        def problem(value: str) -> str:
            return "" if value.lower() in _WORDS else "Answer yes or no."

        told = "yes" if default else "no"
        return _WORDS.get(
            self.text(name, question, default=told, hint=hint, problem=problem).lower(), default
        )

    def choice(self, name: str, question: str, choices: dict[str, str], *, default: str) -> str:
        """`choices`: word -> what it means."""
        hint = "\n".join(f"  {word}: {meaning}" for word, meaning in choices.items())

        def problem(value: str) -> str:
            return "" if value in choices else f"One of {', '.join(choices)}."

        return self.text(name, question, default=default, hint=hint, problem=problem)


_WORDS: Final = {"yes": True, "y": True, "no": False, "n": False}

__all__ = ["Asking", "Problem", "Try"]
