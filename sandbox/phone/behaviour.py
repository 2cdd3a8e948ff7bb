"""What Twilio and the carriers do with a number other than deliver: stored until reset or used up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.phone.account import control_number
from sandbox.world import ControlError, Documents, checked_keys

KIND: Final = "phone_behaviour"
WORD: Final = re.compile(r"[a-z][a-z_]{0,29}")
KEYS: Final[dict[str, type]] = {
    "error_code": int,
    "statuses": list,
    "shuffle": bool,
    "duplicate": bool,
    "lose_response": bool,
    "lose_callbacks": bool,
    "http_status": int,
    "slow_s": float,
    "times": int,
}


@dataclass(frozen=True)
class Behaviour:
    error_code: int | None = None
    statuses: tuple[str, ...] | None = None
    shuffle: bool = False
    duplicate: bool = False
    lose_response: bool = False
    lose_callbacks: bool = False
    http_status: int | None = None
    slow_s: float = 0.0

    @property
    def refusal(self) -> int | None:
        """The code with which the create call is refused."""
        return self.error_code if self.error_code is not None and self.error_code < 30000 else None

    def course(self) -> list[tuple[str, int | None]]:
        """The statuses after the first one, each with its error code."""
        words = self.statuses
        if words is None:
            words = ("sent", "delivered") if self.error_code is None else ("sent", "undelivered")
        failed = {"undelivered", "failed"}
        return [(word, (self.error_code or 30008) if word in failed else None) for word in words]


DELIVER: Final = Behaviour()


class Behaviours:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def all(self) -> list[dict[str, Any]]:
        """As they were set, `times` counted down."""
        return [dict(document) for document in self._documents.all(KIND)]

    def set(self, body: Mapping[str, Any]) -> None:
        """One body of POST /sandbox/phone/behaviour."""
        wishes = checked_keys(body, {"number": str}, KEYS)
        number = control_number(wishes.pop("number"))
        behaviour = _behaviour(wishes)
        if not wishes:
            self._documents.delete(KIND, number)
            return
        if behaviour == DELIVER:
            raise ControlError("times alone does nothing: say what happens so many times.")
        self._documents.put(KIND, number, {"number": number, **wishes})

    def shown(self, number: str) -> dict[str, Any]:
        """What was set for this number, empty when nothing."""
        found = self._documents.get(KIND, number) or {}
        return {key: value for key, value in found.items() if key != "number"}

    def of(self, number: str) -> Behaviour:
        return _behaviour(self.shown(number))

    def take(self, number: str) -> Behaviour:
        """What the next create call to this number meets."""
        wishes = self.shown(number)
        if "times" in wishes:
            left = wishes["times"] - 1
            if left:
                self._documents.put(KIND, number, {"number": number, **wishes, "times": left})
            else:
                self._documents.delete(KIND, number)
        return _behaviour(wishes)


def _behaviour(wishes: Mapping[str, Any]) -> Behaviour:
    code, statuses, http_status = (wishes.get(key) for key in ("error_code", "statuses", "http_status"))
    if code is not None and not 20000 <= code <= 99999:
        raise ControlError("error_code must be one of Twilio's, such as 30006 or 21614.")
    if statuses is not None and not all(isinstance(one, str) and WORD.fullmatch(one) for one in statuses):
        raise ControlError("statuses must be a list of words such as sent and delivered.")
    if http_status is not None and not 500 <= http_status <= 599:
        raise ControlError("http_status must be from 500 to 599; use error_code for other refusals.")
    if wishes.get("times", 1) < 1:
        raise ControlError("times must be at least 1.")
    if wishes.get("slow_s", 0) < 0:
        raise ControlError("slow_s must not be negative.")
    known = {key: value for key, value in wishes.items() if key != "times"}
    if statuses is not None:
        known["statuses"] = tuple(statuses)
    behaviour = Behaviour(**known)
    if behaviour.refusal is not None and statuses is not None:
        raise ControlError(f"A text refused with {behaviour.refusal} has no statuses.")
    return behaviour
