"""The tables are compiled when first asked, once, and not when the product starts."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from notifier.bounces import BounceClass, classify_reply

ASK = (
    "import sys, notifier.bounces; print(*sorted(m for m in sys.modules if m.startswith('notifier.bounces')))"
)


def test_importing_the_package_compiles_nothing() -> None:
    shown = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["notifier.bounces", "notifier.bounces.verdict"]


def test_threads_that_ask_at_once_get_the_same_judgement() -> None:
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: classify_reply(552, "5.2.2", "Mailbox full").cls, range(40)))
    assert found == {BounceClass.MAILBOX_FULL}
