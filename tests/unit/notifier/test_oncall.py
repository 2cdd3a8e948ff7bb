"""Which failure belongs to which cause, and what is urgent: row by row."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from notifier.bounces.verdict import FAULT_OF, BounceClass, Fault
from notifier.dsn import reason_of
from notifier.oncall import (
    CAUSES,
    MOST_KEY,
    NEXT,
    RUN_STUCK,
    Cause,
    Press,
    Urgent,
    Way,
    burst_of,
    cause_of,
    counts_messages,
    is_urgent,
    kind_of,
    operator,
    organisation,
    parse,
)
from store.models import (
    Channel,
    EventKind,
    EventSource,
    FailedAttempt,
    IncidentState,
    NotificationKind,
    Priority,
    Reason,
)
from store.types import new_id
from tests.builders import NOW

WAYS = {"visp": Way("mail.cascade.example"), "own": Way("mail.cascade.example", relay=False)}


def failure(cls: str = "", **more: Any) -> FailedAttempt:
    fields: dict[str, Any] = {
        "event_id": new_id(),
        "delivery_id": new_id(),
        "notification_id": new_id(),
        "subscriber_id": new_id(),
        "notification_kind": NotificationKind.INVOICE_ISSUED,
        "channel": Channel.EMAIL,
        "address": "dana@bigmail.example",
        "route": "visp",
        "priority": Priority.BULK,
        "kind": EventKind.BOUNCED,
        "source": EventSource.DSN,
        "reason": reason_of(BounceClass(cls), FAULT_OF[BounceClass(cls)])
        if cls in list(BounceClass)
        else Reason.NETWORK,
        "cls": cls,
        "hard": False,
        "reply_code": "550",
        "status": "5.7.1",
        "diagnostic": "550 5.7.1 no",
        "remote": "mx1.bigmail.example",
        "recorded_at": NOW,
    }
    return FailedAttempt(**(fields | more))


def key(item: FailedAttempt) -> str | None:
    cause = cause_of(item, WAYS)
    return cause.key if cause else None


OF_CLASS: dict[BounceClass, str | None] = dict.fromkeys(BounceClass, None) | {
    BounceClass.BLOCKED_AUTH: "blocked_auth:mail.cascade.example",
    BounceClass.BLOCKED_REPUTATION: "blocked_reputation:bigmail.example",
    BounceClass.SPAM_CONTENT: "spam_content:bigmail.example",
    BounceClass.RELAY_OR_SECURITY: "relay_or_security:bigmail.example",
}


@pytest.mark.parametrize("cls", list(BounceClass))
def test_every_class_of_bounce_belongs_to_its_cause_or_to_none(cls: BounceClass) -> None:
    assert key(failure(cls)) == OF_CLASS[cls]


@pytest.mark.parametrize("cls", [c for c in BounceClass if FAULT_OF[c] is Fault.OURS])
def test_whatever_is_our_fault_has_a_cause(cls: BounceClass) -> None:
    assert key(failure(cls)) is not None


@pytest.mark.parametrize("cls", list(BounceClass))
def test_a_dead_address_is_nobodys_fault_here(cls: BounceClass) -> None:
    assert key(failure(cls, hard=True)) is None


SENDER = {"kind": EventKind.FAILED, "reason": Reason.CONFIG}
ROWS: list[tuple[dict[str, Any], str | None]] = [
    # The relay itself, at our own door.
    ({"cls": "relay_or_security", "source": EventSource.SMTP, "remote": "visp"}, "relay_refuses:visp"),
    (
        {"cls": "relay_or_security", "source": EventSource.SMTP, "route": "own"},
        "relay_or_security:bigmail.example",
    ),
    # Put off: ours waits, theirs is tried again by itself.
    ({"cls": "blocked_reputation", "kind": EventKind.DEFERRED}, "blocked_reputation:bigmail.example"),
    ({"cls": "rate_limited", "kind": EventKind.DEFERRED}, None),
    ({"cls": "relay_or_security", "kind": EventKind.DEFERRED}, None),
    # The way out.
    ({"kind": EventKind.DEFERRED, "remote": "visp"}, "route_down:visp"),
    ({"kind": EventKind.FAILED, "remote": "visp"}, "route_down:visp"),
    ({"kind": EventKind.DEFERRED, "remote": "bigmail.example"}, None),
    ({"kind": EventKind.DEFERRED, "remote": "visp", "reason": Reason.CONFIG}, "login_refused:visp"),
    ({"kind": EventKind.FAILED, "reply_code": "535", "reason": Reason.CONFIG}, "login_refused:visp"),
    # Our sender, refused at MAIL FROM: nothing was said of the recipient, so there is no class.
    (SENDER | {"diagnostic": "553 no"}, "sender_refused:visp"),
    (
        {
            "kind": EventKind.FAILED,
            "reason": Reason.CONFIG,
            "status": "5.7.23",
            "diagnostic": "550 5.7.23 SPF fail",
        },
        "blocked_auth:mail.cascade.example",
    ),
    (
        {
            "kind": EventKind.FAILED,
            "reason": Reason.CONFIG,
            "route": "own",
            "status": "",
            "diagnostic": "553 no",
        },
        "relay_or_security:bigmail.example",
    ),
    # Ourselves.
    ({"kind": EventKind.FAILED, "reason": Reason.INFRASTRUCTURE}, "compose:invoice issued"),
    ({"cls": "other", "kind": EventKind.FAILED, "reason": Reason.INFRASTRUCTURE}, "infrastructure:visp"),
]


@pytest.mark.parametrize(("fields", "expected"), ROWS)
def test_every_row_of_causes(fields: dict[str, Any], expected: str | None) -> None:
    assert key(failure(**fields)) == expected


TEXTS: list[tuple[str, Reason, EventKind, str | None]] = [
    ("sms_filtered", Reason.INFRASTRUCTURE, EventKind.FAILED, "sms_filtered:sms"),
    ("sms_sender_unregistered", Reason.CONFIG, EventKind.FAILED, "sms_sender_unregistered:sms"),
    ("sms_sender", Reason.CONFIG, EventKind.FAILED, "sms_sender:sms"),
    ("sms_region", Reason.CONFIG, EventKind.FAILED, "sms_region:sms"),
    ("sms_account", Reason.CONFIG, EventKind.FAILED, "sms_account:sms"),
    ("sms_request", Reason.INFRASTRUCTURE, EventKind.FAILED, "sms_request:sms"),
    ("sms_daily_cap", Reason.CAPACITY, EventKind.DEFERRED, "sms_daily_cap:sms"),
    ("sms_login", Reason.CONFIG, EventKind.DEFERRED, "login_refused:sms"),
    ("sms_of_tomorrow", Reason.INFRASTRUCTURE, EventKind.FAILED, "infrastructure:sms"),
    ("sms_landline", Reason.RECIPIENT, EventKind.BOUNCED, None),
    ("sms_unreachable", Reason.RECIPIENT, EventKind.DEFERRED, None),
    ("sms_busy", Reason.CAPACITY, EventKind.DEFERRED, None),
    ("sms_opted_out", Reason.OPTED_OUT, EventKind.BOUNCED, None),
    ("", Reason.NETWORK, EventKind.DEFERRED, "route_down:sms"),
    ("", Reason.INFRASTRUCTURE, EventKind.FAILED, "compose:invoice issued"),
]


@pytest.mark.parametrize(("cls", "reason", "kind", "expected"), TEXTS)
def test_every_row_of_causes_of_texts(
    cls: str, reason: Reason, kind: EventKind, expected: str | None
) -> None:
    item = failure(
        cls,
        channel=Channel.SMS,
        address="+15415550142",
        route="sms",
        remote="sms",
        reason=reason,
        kind=kind,
        source=EventSource.SMTP,
    )
    assert key(item) == expected


@pytest.mark.parametrize(
    ("address", "remote", "source", "expected"),
    [
        ("ann@bigmail.example", "mx1.bigmail.example", EventSource.DSN, "bigmail.example"),
        ("ann@harbor.example", "mx.mail.BigMail.example.", EventSource.DSN, "bigmail.example"),
        ("ann@harbor.example", "harbor-example.mail.protection.outlook.com", EventSource.DSN, "outlook.com"),
        ("ann@tienda.mx", "mx1.correo.com.mx", EventSource.DSN, "correo.com.mx"),
        ("ann@Harbor.example", "", EventSource.DSN, "harbor.example"),
        ("ann@harbor.example", "192.0.2.7", EventSource.DSN, "harbor.example"),
        ("ann@harbor.example", "<script> x", EventSource.DSN, "harbor.example"),
        ("ann@harbor.example", "visp", EventSource.SMTP, "harbor.example"),
        ("ann@mail.co.uk", "mx.mail.co.uk", EventSource.DSN, "mail.co.uk"),
    ],
)
def test_the_operator_is_who_runs_the_recipients_mail(
    address: str, remote: str, source: EventSource, expected: str
) -> None:
    assert operator(failure("other", address=address, remote=remote, source=source)) == expected


def test_an_organisation_is_the_registered_part_of_a_name() -> None:
    assert [organisation(h) for h in ("a.b.c.example", "c.example", "mx.x.co.nz", "co.nz")] == [
        "c.example",
        "c.example",
        "x.co.nz",
        "co.nz",
    ]


def test_bursts_are_by_class_and_domain_and_a_postponement_is_none() -> None:
    found = burst_of(failure("no_such_user", hard=True))
    assert found == Cause("burst", "bigmail.example", "no_such_user")
    assert burst_of(failure("", kind=EventKind.FAILED)) == Cause("burst", "bigmail.example", "other")
    assert burst_of(failure("rate_limited", kind=EventKind.DEFERRED)) is None
    dns = failure("", kind=EventKind.DEFERRED, remote="bigmail.example")
    assert burst_of(dns) == Cause("burst_dns")
    text = failure("sms_landline", channel=Channel.SMS, address="+15415550142")
    assert burst_of(text) == Cause("burst", "the text provider", "sms_landline")


@pytest.mark.parametrize("name", list(CAUSES))
def test_every_cause_has_words_and_its_key_is_read_back(name: str) -> None:
    cause = Cause(name, "bigmail.example", "no_such_user" if name == "burst" else "")
    assert parse(cause.key) == cause
    assert kind_of(cause.key) is CAUSES[name]
    assert "{" not in cause.title
    assert CAUSES[name].todo.endswith(".")
    assert CAUSES[name].proof


def test_a_cause_of_another_version_is_still_told() -> None:
    assert kind_of("yesterdays_cause:x").urgent is Urgent.NEVER


def test_a_key_fits_its_column_and_tells_long_names_apart() -> None:
    ours = [Cause("burst", "a" * 240 + end + ".example", "other").key for end in ("1", "2")]
    assert [len(k) for k in ours] == [MOST_KEY, MOST_KEY]
    assert ours[0] != ours[1]


MINUTES = timedelta(minutes=1)
URGENCY: list[tuple[str, dict[str, Any], bool]] = [
    ("blocked_auth", {"count": 20}, False),
    ("blocked_auth", {"count": 21}, True),
    ("blocked_reputation", {"count": 21, "age": 9 * MINUTES}, True),
    ("route_down", {"waiting": 3, "age": 4.9 * MINUTES}, False),
    ("route_down", {"waiting": 3, "age": 5 * MINUTES}, True),
    ("route_down", {"waiting": 0, "age": 60 * MINUTES}, False),
    ("route_down", {"waiting": 1, "urgent": 1}, True),
    ("sender_refused", {"count": 1}, True),
    ("burst", {"count": 10_000}, False),
    ("burst_all", {"count": 10_000}, False),
    ("sms_daily_cap", {"count": 500}, False),
]


@pytest.mark.parametrize(("name", "fields", "expected"), URGENCY)
def test_what_cannot_wait_until_morning(name: str, fields: dict[str, Any], expected: bool) -> None:
    plain: dict[str, Any] = {"count": 1, "waiting": 0, "urgent": 0, "age": timedelta(), "burst": 20}
    assert is_urgent(CAUSES[name], **(plain | fields)) is expected


def test_every_pair_of_state_and_press_is_decided() -> None:
    assert set(NEXT) == set(itertools.product(IncidentState, Press))


def test_what_alarms_count_are_not_told_as_messages() -> None:
    counted = {"blocked_reputation:inbox.example": True, "burst_all": True}
    counted |= dict.fromkeys(
        ("no_worker", "stalled:visp", "run_stopped:March", f"{RUN_STUCK}:March", "ledger_gap:March"), False
    )
    assert {cause: counts_messages(cause) for cause in counted} == counted
