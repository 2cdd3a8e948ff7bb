"""The slowest way out decides how long a run takes."""

from __future__ import annotations

from notifier.estimate import Ceiling, Estimate, estimate

ROUTE = Ceiling(100.0, "the route")
SENDER = Ceiling(1.0, "the texting number")


def slow(domain: str) -> Ceiling | None:
    return Ceiling(2.0, "slow.example") if domain == "slow.example" else None


def test_the_slowest_of_route_domain_and_sender_decides() -> None:
    mails = {"slow.example": 100, "fast.example": 5900}
    assert estimate(mails, 0, route=ROUTE) == Estimate(60.0, "the route")
    assert estimate(mails, 30, route=ROUTE, sender=SENDER) == Estimate(60.0, "the route")
    assert estimate(mails, 61, route=ROUTE, sender=SENDER) == Estimate(61.0, "the texting number")
    assert estimate({"slow.example": 150, "b": 10}, 0, route=ROUTE, domain=slow) == Estimate(
        75, "slow.example"
    )


def test_nothing_to_send_takes_no_time_that_could_be_told() -> None:
    assert estimate({}, 0, route=ROUTE, sender=SENDER) is None
