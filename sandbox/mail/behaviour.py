"""What an address, a domain or a listener does other than accept: stored, counted per address, pure rules.

An address goes before its domain. `times` counts for each address on its own and stops at the first N; the
count of an address starts again when its behaviour, or its domain's, is set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sandbox.world import ControlError, Documents, checked_keys

BEHAVIOUR_KIND: Final = "mail_behaviour"
TRIES_KIND: Final = "mail_tries"
FAULTS_KIND: Final = "mail_listener"

REPLY: Final = re.compile(r"[45]\d\d [ -~]{1,480}")
STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


@dataclass(frozen=True)
class Bounce:
    """Accepted, and reported after `after_s` business seconds."""

    after_s: float
    status: str
    diagnostic: str
    action: str = "failed"


@dataclass(frozen=True)
class Behaviour:
    """`reply` is told at `at` on every way in; `onward_reply` is what the recipient's own server says."""

    reply: str | None = None
    at: str = "rcpt"
    onward_reply: str | None = None
    bounce: Bounce | None = None
    times: int | None = None
    slow_s: float = 0.0


ACCEPT: Final = Behaviour()


class Behaviours:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._by_name: dict[str, Behaviour] = {}
        for document in documents.all(BEHAVIOUR_KIND):
            self._by_name[_name_of(document)] = _behaviour(document)

    def all(self) -> list[dict[str, Any]]:
        """As they were set, oldest first."""
        return [dict(document) for document in self._documents.all(BEHAVIOUR_KIND)]

    def set(self, body: Mapping[str, Any]) -> None:
        """One body of POST /sandbox/mail/behaviour with `address` or `domain`."""
        behaviour = _behaviour(body)
        name = _name_of(body)
        domain = name.rpartition("@")[2]
        # The plain "accept" is stored only where it has a domain's behaviour to override.
        if behaviour == ACCEPT and (name == domain or domain not in self._by_name):
            self._by_name.pop(name, None)
            self._documents.delete(BEHAVIOUR_KIND, name)
        else:
            self._by_name[name] = behaviour
            self._documents.put(BEHAVIOUR_KIND, name, dict(body))
        self._forget_tries(name)

    def of(self, address: str) -> Behaviour:
        """What holds for the next message to this address."""
        name = address.lower()
        behaviour = self._by_name.get(name) or self._by_name.get(name.rpartition("@")[2])
        if behaviour is None or (behaviour.times is not None and self._tries(name) >= behaviour.times):
            return ACCEPT
        return behaviour

    def spend(self, address: str) -> None:
        """The behaviour has taken effect once; only those with `times` are counted."""
        name = address.lower()
        behaviour = self._by_name.get(name) or self._by_name.get(name.rpartition("@")[2])
        if behaviour is not None and behaviour.times is not None:
            count = self._tries(name) + 1
            self._documents.put(TRIES_KIND, name, {"address": name, "count": count})

    def _tries(self, name: str) -> int:
        document = self._documents.get(TRIES_KIND, name)
        return int(document["count"]) if document else 0

    def _forget_tries(self, name: str) -> None:
        for document in self._documents.all(TRIES_KIND):
            if name in (document["address"], document["address"].rpartition("@")[2]):
                self._documents.delete(TRIES_KIND, document["address"])


@dataclass(frozen=True)
class Faults:
    """What a listener does to whoever connects; see the docstring of `sandbox.mail`."""

    rewrite_message_id: bool = False
    rewrite_envelope: bool | str = False
    refuse: str | None = None
    close_after_data: bool | str = False
    lose_reply: bool = False
    times: int | None = None
    accept_delay_s: float = 0.0
    expire_s: float = 30.0
    dsn: bool | None = None
    pipelining: bool = True
    username: str | None = None
    password: str | None = None


_FAULT_TYPES: Final[dict[str, type]] = {
    "rewrite_message_id": bool,
    "rewrite_envelope": object,
    "refuse": str,
    "close_after_data": object,
    "lose_reply": bool,
    "times": int,
    "accept_delay_s": float,
    "expire_s": float,
    "dsn": bool,
    "pipelining": bool,
    "username": str,
    "password": str,
}
REFUSALS: Final = ("connect", "greeting", "auth")


class ListenerFaults:
    """The faults of one listener; calls add up, null resets one key, a bare name resets all."""

    def __init__(self, documents: Documents, name: str) -> None:
        self._documents = documents
        self._name = name
        self.current = Faults(**(documents.get(FAULTS_KIND, name) or {}))

    def change(self, body: Mapping[str, Any]) -> None:
        """`body` is what came beside "relay"."""
        checked = checked_keys(body, optional=_FAULT_TYPES)
        kept = asdict(self.current) if body else {}
        for key in body:
            kept.pop(key, None)
        faults = Faults(**{**kept, **checked})
        _check_faults(faults)
        self._keep(faults)

    def take_fault(self) -> Faults:
        """The faults for one message; `times` is counted down by the ones that leave the sender in doubt."""
        now = self.current
        if now.times is None or not (now.close_after_data or now.lose_reply):
            return now
        left = now.times - 1
        if left > 0:
            self._keep(Faults(**{**asdict(now), "times": left}))
        else:
            self._keep(
                Faults(**{**asdict(now), "times": None, "close_after_data": False, "lose_reply": False})
            )
        return now

    def _keep(self, faults: Faults) -> None:
        self.current = faults
        self._documents.put(FAULTS_KIND, self._name, asdict(faults))


def _check_faults(faults: Faults) -> None:
    if faults.refuse is not None and faults.refuse not in REFUSALS:
        raise ControlError(f"refuse must be one of {', '.join(REFUSALS)}, or null.")
    if not isinstance(faults.rewrite_envelope, bool) and not _is_address(faults.rewrite_envelope):
        raise ControlError("rewrite_envelope must be true, false or the address to put there.")
    if not isinstance(faults.close_after_data, bool) and faults.close_after_data != "discard":
        raise ControlError('close_after_data must be true, false or "discard".')
    if faults.times is not None and faults.times < 1:
        raise ControlError("times must be 1 or more.")
    if faults.accept_delay_s < 0 or faults.expire_s < 0:
        raise ControlError("accept_delay_s and expire_s must not be negative.")


def _is_address(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", value) is not None


def _name_of(body: Mapping[str, Any]) -> str:
    return str(body.get("address") or body.get("domain")).lower()


def _behaviour(body: Mapping[str, Any]) -> Behaviour:
    """The checked behaviour of a control call, or a ControlError that says what is wrong with it."""
    keys = checked_keys(
        body,
        optional={
            "address": str,
            "domain": str,
            "reply": str,
            "at": str,
            "onward_reply": str,
            "bounce": dict,
            "times": int,
            "slow_s": float,
        },
    )
    address, domain = keys.pop("address", None), keys.pop("domain", None)
    if (address is None) == (domain is None):
        raise ControlError("Name one address, one domain or one relay.")
    if address is not None and not _is_address(address):
        raise ControlError(f"{address!r} is not a mail address.")
    if domain is not None and ("@" in domain or not domain):
        raise ControlError(f"{domain!r} is not a domain.")
    for key in ("reply", "onward_reply"):
        if key in keys and REPLY.fullmatch(keys[key]) is None:
            raise ControlError(f'{key} must be an SMTP refusal such as "550 5.1.1 No such user".')
    if keys.get("at", "rcpt") not in ("rcpt", "data"):
        raise ControlError('at must be "rcpt" or "data".')
    if keys.get("times", 1) < 1 or keys.get("slow_s", 0) < 0:
        raise ControlError("times must be 1 or more and slow_s must not be negative.")
    bounce = keys.pop("bounce", None)
    return Behaviour(**keys, bounce=_bounce(bounce) if bounce is not None else None)


def _bounce(body: Mapping[str, Any]) -> Bounce:
    keys = checked_keys(body, {"after_s": float, "status": str}, {"diagnostic": str, "action": str})
    action = keys.get("action", "failed")
    if STATUS.fullmatch(keys["status"]) is None:
        raise ControlError('bounce.status must be an enhanced status code such as "5.2.2".')
    if action not in ("failed", "delayed"):
        raise ControlError('bounce.action must be "failed" or "delayed".')
    if keys["after_s"] < 0:
        raise ControlError("bounce.after_s must not be negative.")
    diagnostic = keys.get("diagnostic", f"smtp; 550 {keys['status']} Delivery failed")
    if not isinstance(diagnostic, str) or not re.fullmatch(r"[ -~]{1,480}", diagnostic):
        raise ControlError("bounce.diagnostic must be one line of plain text.")
    if re.match(r"[\w-]+;", diagnostic) is None:
        diagnostic = f"smtp; {diagnostic}"
    return Bounce(float(keys["after_s"]), keys["status"], diagnostic, action)
