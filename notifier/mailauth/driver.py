"""Runs an evaluator against a resolver. The evaluator decides what is asked; this only carries it there.

RFC 7208 section 4.6.4 wants a limit of at least 20 seconds over the whole check; past it every question is
answered UNAVAILABLE, which the evaluator turns into temperror.
"""

import time

from notifier.mailauth.answers import (
    NOTHING,
    Answer,
    Prefetch,
    Question,
    Resolver,
    Result,
    Status,
    Steps,
)

TIME_LIMIT = 20.0


async def drive(steps: Steps[Result], resolver: Resolver, *, time_limit: float = TIME_LIMIT) -> Result:
    deadline = time.monotonic() + time_limit
    late = False
    query = resolver.query
    # LookAheadResolver by shape: isinstance() against a protocol costs more than a whole lookup here.
    prefetch: Prefetch | None = getattr(resolver, "prefetch", None)
    try:
        step = next(steps)
        while True:
            if isinstance(step, Question):
                if not late:
                    answer = await query(step[0], step[1])
                    late = time.monotonic() > deadline
                if late:  # and nothing more is asked
                    answer = Answer(Status.UNAVAILABLE, detail=f"no answer within {time_limit:g} seconds")
                step = steps.send(answer)
            else:
                if prefetch is not None:
                    prefetch(step.plan(), step.follow)
                step = steps.send(NOTHING)
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        steps.close()
