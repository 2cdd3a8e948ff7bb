"""What the billing system does with the next calls, as told by POST /sandbox/billing/behaviour."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from sandbox.world import ControlError

KEYS: Final[dict[str, type]] = {
    "path": str,
    "method": str,
    "status": int,
    "retry_after_s": int,
    "lose_response": bool,
    "slow_s": float,
    "page": int,
    "access": str,
    "times": int,
}


@dataclass
class Behaviour:
    path: str = ""
    method: str = ""
    status: int = 0
    retry_after_s: int = 1
    lose_response: bool = False
    slow_s: float = 0.0
    page: int = 0
    access: str = ""
    times: int = -1
    """How many more calls; below zero: all."""


class Behaviours:
    def __init__(self) -> None:
        self._told: list[Behaviour] = []

    def tell(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        if not body:
            self._told = []
        elif body.get("status", 500) not in range(400, 600):
            raise ControlError("status must be 400 to 599.")
        elif body.get("access", "read") != "read":
            raise ControlError('access must be "read", or left out.')
        else:
            self._told.append(Behaviour(**body))
        return [asdict(one) for one in self._told]

    def take(self, method: str, path: str) -> Behaviour:
        """The first that is about this call, used up by one."""
        for one in self._told:
            if path.startswith(one.path) and one.method in ("", method) and one.times != 0:
                one.times -= one.times > 0
                return one
        return Behaviour()
