"""How fast and how rightly bounces are read: messages per CPU second, answers per CPU second, accuracy.

The labelled corpus is used where it is present, else a built-in shape (then without accuracy); the figures
of accuracy, and what hides in them, are `bounces_accuracy`'s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from benchmarks.memory import peak_mb
from notifier.bounces import classify_reply, parse_bounce

from . import bounces_accuracy

# 0.8 ms of CPU a message.
LIMIT_RATE = 1250

DSN = (
    b"Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nSubject: Undelivered Mail Returned to Sender\n"
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
    b"--b\nContent-Type: text/plain\n\n"
    b"<bob@example.com>: host mx said: 550 5.1.1 User unknown (in reply to RCPT TO command)\n\n--b\n"
    b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n"
    b"Final-Recipient: rfc822; bob@example.com\nAction: failed\nStatus: 5.1.1\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 User unknown\n\n--b--\n"
)
ANSWERS = (
    (550, "5.1.1", "<bob@example.com>: Recipient address rejected: User unknown in virtual mailbox table"),
    (552, "5.2.2", "Mailbox full"),
    (550, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
    (451, "4.7.1", "Greylisted, please try again in 300 seconds"),
    (554, None, "Transaction failed"),
)


def _rate(work: Callable[[], int]) -> float:
    """Units per CPU second, the best of five rounds."""
    best = 0.0
    for _ in range(5):
        started = time.process_time()
        count = work()
        best = max(best, count / max(time.process_time() - started, 1e-9))
    return best


def run() -> list[dict[str, object]]:
    """Print one JSON line per measurement and give them back."""
    corpus = bounces_accuracy.load()
    messages = [DSN] * 200 if corpus is None else list(corpus.messages.values())

    def parse_all() -> int:
        for raw in messages:
            parse_bounce(raw)
        return len(messages)

    def classify_all() -> int:
        for _ in range(200):
            for answer in ANSWERS:
                classify_reply(*answer)
        return 200 * len(ANSWERS)

    results: list[dict[str, object]] = []
    for name, work, limit in (
        ("parse_bounce, messages per CPU second", parse_all, LIMIT_RATE),
        ("classify_reply, answers per CPU second", classify_all, None),
    ):
        rate = round(_rate(work))
        rss_mb = peak_mb()
        results.append({"name": name, "rate": rate, "limit": limit, "peer": None, "rss_mb": rss_mb})
    if corpus is not None:
        for name, figure in bounces_accuracy.figures(corpus).items():
            results.append({"name": f"bounces, {name}", **figure._asdict()})
    for line in results:
        print(json.dumps(line))
    return results


if __name__ == "__main__":
    run()
