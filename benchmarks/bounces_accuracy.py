"""How rightly bounces are read: on the labelled mail, and with what a hidden part of it taught left out.

Class, hard flag and recipients found, as shares of all labelled recipients:

- `seen`: all rules, all messages. Rules were written with these messages at hand, so it flatters.
- `family hidden`: for each family of messages (the name before the number), the rules whose only support
  in the corpus is that family are left out, and the family is read without them.
- `half hidden`: the same for a random half, several splits of fixed seeds; rules supported by the hidden
  half alone are left out. Rules that no message supports (from documentation) stay in both.
- `family hidden, phrases`: as above, but only phrases are left out; operators' documented tokens and the
  meanings, which are about language and not about messages, stay.
- `without phrases`: operators' tokens, meanings and codes alone.

`--misses` lists what is wrong, `--confusion` counts label against verdict, `--rules` lists rules by support.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from notifier.bounces import BounceReport, classify, parse, rulebook

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "bounces"
SPLITS = 10
NOBODY = "(not found)"


class Label(NamedTuple):
    recipient: str
    cls: str
    hard: bool
    reason: str


class Corpus(NamedTuple):
    messages: dict[str, bytes]
    labels: dict[str, list[Label]]


class Row(NamedTuple):
    """One labelled recipient with what was read of it."""

    file: str
    label: Label
    report: BounceReport | None

    @property
    def right(self) -> bool:
        return self.report is not None and self.report.cls == self.label.cls


class Score(NamedTuple):
    recipients: int
    cls: float
    hard: float
    found: float


class _Recorder(rulebook.Rulebook):
    """Notes the texts that were judged, to see which rules speak of which message."""

    texts: set[str]

    def by_operator(self, raw: str) -> rulebook.Found | None:
        self.texts.add(raw)
        return super().by_operator(raw)

    def telling(self, words: str) -> rulebook.Found | None:
        self.texts.add(words)
        return super().telling(words)


def load(corpus: Path = CORPUS) -> Corpus | None:
    """The labelled corpus, or None where it is absent."""
    if not (corpus / "labels.json").is_file():
        return None
    stated = json.loads((corpus / "labels.json").read_text())
    labels = {
        name: [Label(str(w["recipient"]), str(w["cls"]), bool(w["hard"]), str(w["reason"])) for w in wanted]
        for name, wanted in stated.items()
    }
    return Corpus({name: (corpus / "messages" / name).read_bytes() for name in labels}, labels)


def read(corpus: Corpus, files: Iterable[str]) -> list[Row]:
    """Each labelled recipient of these files, paired with its report."""
    rows = []
    for name in files:
        reports = parse.parse_bounce(corpus.messages[name])
        for label in corpus.labels[name]:
            match = next((r for r in reports if r.recipient.lower() == label.recipient.lower()), None)
            if match is not None:
                reports.remove(match)
            rows.append(Row(name, label, match))
    return rows


def score(rows: list[Row]) -> Score:
    """Shares of all labelled recipients; one that was not found is wrong in all three."""
    total = max(len(rows), 1)
    return Score(
        len(rows),
        round(sum(row.right for row in rows) / total, 4),
        round(sum(row.report is not None and row.report.hard == row.label.hard for row in rows) / total, 4),
        round(sum(row.report is not None for row in rows) / total, 4),
    )


def family(name: str) -> str:
    return name.rpartition("-")[0]


def support(corpus: Corpus) -> dict[str, set[str]]:
    """Rule name -> the messages whose judged texts it matches, first or not."""
    recorder = _Recorder()
    found: dict[str, set[str]] = {name: set() for name in rulebook.names()}
    single = {name: rulebook.Rulebook(name.__eq__) for name in found}
    texts: dict[str, set[str]] = defaultdict(set)
    classify.use(recorder)
    for name, raw in corpus.messages.items():
        recorder.texts = texts[name]
        parse.parse_bounce(raw)
    classify.use(rulebook.Rulebook())
    for rule, book in single.items():
        for name, judged in texts.items():
            asked = (book.by_operator, book.telling, book.by_meaning, book.late, book.vague)
            if any(ask(text) for ask in asked for text in judged):
                found[rule].add(name)
    return found


def hidden(corpus: Corpus, supported: dict[str, set[str]], files: set[str]) -> list[Row]:
    """These files, read without the rules (of those given) that only they support."""
    fitted = {rule for rule, names in supported.items() if names and names <= files}
    classify.use(rulebook.Rulebook(lambda name: name not in fitted))
    try:
        return read(corpus, sorted(files))
    finally:
        classify.use(rulebook.Rulebook())


def families_hidden(corpus: Corpus, supported: dict[str, set[str]]) -> list[Row]:
    groups: dict[str, set[str]] = defaultdict(set)
    for name in corpus.messages:
        groups[family(name)].add(name)
    return [row for files in groups.values() for row in hidden(corpus, supported, files)]


def halves_hidden(corpus: Corpus, supported: dict[str, set[str]], splits: int = SPLITS) -> list[Row]:
    rows: list[Row] = []
    for seed in range(splits):
        names = sorted(corpus.messages)
        random.Random(seed).shuffle(names)
        half = set(names[: len(names) // 2])
        rows += hidden(corpus, supported, half) + hidden(corpus, supported, set(names) - half)
    return rows


def without_phrases(corpus: Corpus) -> list[Row]:
    phrases = rulebook.phrases()
    classify.use(rulebook.Rulebook(lambda name: name not in phrases))
    try:
        return read(corpus, corpus.messages)
    finally:
        classify.use(rulebook.Rulebook())


def figures(corpus: Corpus) -> dict[str, Score]:
    """The honest and less honest figures by name."""
    supported = support(corpus)
    phrases = rulebook.phrases()
    only_phrases = {name: files for name, files in supported.items() if name in phrases}
    return {
        "seen": score(read(corpus, corpus.messages)),
        "family hidden": score(families_hidden(corpus, supported)),
        "half hidden": score(halves_hidden(corpus, supported)),
        "family hidden, phrases": score(families_hidden(corpus, only_phrases)),
        "without phrases": score(without_phrases(corpus)),
    }


def _print_misses(rows: list[Row]) -> None:
    for file, label, report in rows:
        verdict = f"{report.cls}{' hard' if report.hard else ''}" if report else NOBODY
        if report is None or report.cls != label.cls or report.hard != label.hard:
            words = report.diagnostic[:160] if report else label.recipient
            print(f"{file:30} {label.reason:16} {label.cls} -> {verdict} | {words}")


def _print_confusion(rows: list[Row]) -> None:
    pairs = Counter((row.label.cls, str(row.report.cls) if row.report else NOBODY) for row in rows)
    for (wanted, got), count in sorted(pairs.items()):
        print(f"{count:5}  {wanted} -> {got}{'' if wanted == got else '   <--'}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--misses", choices=("seen", "family", "half"))
    options.add_argument("--confusion", action="store_true")
    options.add_argument("--rules", action="store_true")
    options.add_argument("--corpus", type=Path, default=CORPUS)
    chosen = options.parse_args()
    corpus = load(chosen.corpus)
    if corpus is None:
        print("the labelled corpus is not here")
        return
    for name, figure in figures(corpus).items():
        print(json.dumps({"name": f"bounces, {name}", **figure._asdict()}))
    if chosen.confusion:
        _print_confusion(read(corpus, corpus.messages))
    if chosen.misses == "seen":
        _print_misses(read(corpus, corpus.messages))
    elif chosen.misses == "family":
        _print_misses(families_hidden(corpus, support(corpus)))
    elif chosen.misses == "half":
        _print_misses(halves_hidden(corpus, support(corpus), 1))
    if chosen.rules:
        for rule, names in sorted(support(corpus).items(), key=lambda item: len(item[1])):
            print(f"{len(names):4}  {rule}")


if __name__ == "__main__":
    main()
