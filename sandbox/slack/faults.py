"""Web API methods that misbehave on request: fail, answer late, or do the work and lose the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.world import ControlError


@dataclass
class Behaviour:
    """`times` counts down; None lasts until it is reset."""

    error: str | None = None
    status: int | None = None
    retry_after: int | None = None
    delay_s: float = 0.0
    lose_response: bool = False
    times: int | None = None

    @property
    def refuses(self) -> bool:
        return self.error is not None or self.status is not None


class Behaviours:
    """One behaviour per method; the name `response_url` stands for answers to response URLs."""

    def __init__(self) -> None:
        self._by_method: dict[str, Behaviour] = {}

    def set(self, method: str, wishes: dict[str, Any]) -> None:
        times = wishes.get("times")
        if times is not None and times < 1:
            raise ControlError("times must be at least 1.")
        if not wishes:
            self._by_method.pop(method, None)
            return
        behaviour = Behaviour(**wishes)
        if behaviour == Behaviour(times=times):
            raise ControlError("times alone does nothing: add error, status, delay_s or lose_response.")
        self._by_method[method] = behaviour

    def take(self, method: str) -> Behaviour:
        """What the next call of `method` meets."""
        behaviour = self._by_method.get(method)
        if behaviour is None:
            return Behaviour()
        if behaviour.times is not None:
            behaviour.times -= 1
            if behaviour.times == 0:
                del self._by_method[method]
        return behaviour
