"""What counts as proof that whoever gets the invoices has a notice: the rule, once.

Failures, suspending, diagnoses and cards all ask here. A delivery counts when

- it is no test of a mail server (`test_of` in its message's context), or one that got through to what is on
  file: the invoice is there, by whichever server; and
- its address or number is on file for its recipient, who is the payer: now, or when it was sent. Runs and
  reminders go only to what is on file; a copy (`resend`) says so in its context (`on_file`), else it was on
  file if an override has replaced it since.

What was mended since had been wrong: only a receipt from there stays a proof; that a relay took it is none.
A copy that went elsewhere, or a test of our own, is told as such and proves nothing; neither's failure undoes
anything.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, not_, or_, select

from store.models import Aside, Confidence, NotificationKind, Outcome, Stage
from store.tables import contact_overrides, points


def reaches(delivery: Any) -> ColumnElement[bool]:
    """It got through, as far as is known, or still may."""
    d = delivery.c
    return or_(d.outcome.in_([Outcome.SENT, Outcome.DELIVERED]), d.stage != Stage.CLOSED)


def counts(message: Any, delivery: Any) -> ColumnElement[bool]:
    """Whether this delivery tells anything of the recipient. Both are tables, or aliases of them."""
    now, replaced = _on_file(message, delivery), _replaced(message, delivery)
    was = and_(~replaced, _sent_to_file(message))
    return and_(~_mere_test(message, delivery), or_(now, was, and_(replaced, _receipt(delivery))))


def aside(message: Any, delivery: Any) -> ColumnElement[str | None]:
    """Why it counts less than others (store.models.Aside); null: it counts."""
    replaced = _replaced(message, delivery)
    return case(
        (_mere_test(message, delivery), literal(Aside.TEST.value)),
        (_on_file(message, delivery), None),
        (and_(replaced, _receipt(delivery)), literal(Aside.KEPT.value)),
        (replaced, literal(Aside.MENDED.value)),
        (_sent_to_file(message), None),
        else_=literal(Aside.ELSEWHERE.value),
    )


def _copy(message: Any) -> ColumnElement[bool]:
    copy: ColumnElement[bool] = message.c.kind == NotificationKind.RESEND
    return copy


def _test(message: Any) -> ColumnElement[bool]:
    # Never null: "not null" would be no answer either.
    return and_(_copy(message), message.c.context["test_of"].as_string().is_not(None))


def _mere_test(message: Any, delivery: Any) -> ColumnElement[bool]:
    """Unless it got through to what is on file."""
    arrived = delivery.c.outcome.in_([Outcome.SENT, Outcome.DELIVERED])
    return and_(_test(message), not_(and_(arrived, _on_file(message, delivery))))


def _sent_to_file(message: Any) -> ColumnElement[bool]:
    said = func.coalesce(message.c.context["on_file"].as_string(), "")
    return or_(not_(_copy(message)), said.in_(["true", "1"]))  # as PostgreSQL and as SQLite write it


def _on_file(message: Any, delivery: Any) -> ColumnElement[bool]:
    m, d, p = message.c, delivery.c, points.c
    return exists(
        select(literal(1))
        .select_from(points)
        .where(
            p.tenant_id == d.tenant_id,
            p.subscriber_id == func.coalesce(d.subscriber_id, m.subscriber_id),
            p.channel == d.channel,
            p.address == d.address,
        )
        .correlate_except(points)
    )


def _replaced(message: Any, delivery: Any) -> ColumnElement[bool]:
    """Mended after it had gone out; or it went to a mended one that was taken back."""
    m, d, o = message.c, delivery.c, contact_overrides.c
    mended = and_(o.old_address == d.address, o.created_at >= d.created_at)
    taken_back = and_(o.new_address == d.address, o.created_at <= d.created_at, o.ended_at >= d.created_at)
    return exists(
        select(literal(1))
        .select_from(contact_overrides)
        .where(
            o.tenant_id == d.tenant_id,
            o.subscriber_id == func.coalesce(d.subscriber_id, m.subscriber_id),
            o.channel == d.channel,
            or_(mended, taken_back),
        )
        .correlate_except(contact_overrides)
    )


def _receipt(delivery: Any) -> ColumnElement[bool]:
    d = delivery.c
    return and_(d.outcome == Outcome.DELIVERED, d.confidence != Confidence.PRESUMED)
