"""A name for this process, and which of the names in the leases belong to processes that are dead for sure.

A name tells machine, role, process-id namespace, process id and a random part. Whoever starts on the same
machine can ask the kernel whether the owner of a lease is still alive, and take over what a dead one left at
once; everybody else's leases run out by themselves. No connection has to be kept for that, so a database
that goes away for a minute makes nobody look dead.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, union

from store.models import ActState, InteractionState, Stage
from store.tables import billing_acts, deliveries, interactions, posts
from store.unit import Store

_HOST_MAX, _ROLE_MAX = 32, 16


@dataclass(frozen=True, slots=True)
class Presence:
    """One process. `name` is what its leases bear."""

    machine: str
    role: str
    namespace: str
    pid: int
    boot: str

    @classmethod
    def mine(cls, role: str) -> Presence:
        return cls(
            machine=socket.gethostname()[:_HOST_MAX].replace("/", "_"),
            role=role[:_ROLE_MAX],
            namespace=_pid_namespace(),
            pid=os.getpid(),
            boot=secrets.token_hex(4),
        )

    @property
    def name(self) -> str:
        return f"{self.machine}/{self.role}/{self.namespace}/{self.pid}/{self.boot}"

    def knows_dead(self, name: str) -> bool:
        """True only when the owner of `name` ran here and cannot be running any more."""
        parts = name.split("/")
        if len(parts) != 5 or not parts[3].isdigit():
            return False
        machine, _role, namespace, pid, boot = parts
        if (machine, namespace) != (self.machine, self.namespace):
            return False
        if int(pid) == self.pid:
            return boot != self.boot  # our own number: its former owner is gone
        return not _alive(int(pid))


def _pid_namespace() -> str:
    """Two containers with one host name have different process tables."""
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return "0"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a zombie answers too, but runs nothing
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


async def dead_names(store: Store, mine: Presence) -> list[str]:
    """The owners of leases that are known to be dead."""
    held = union(
        select(deliveries.c.worker).where(deliveries.c.stage == Stage.CLAIMED),
        select(billing_acts.c.worker).where(billing_acts.c.state == ActState.CALLING),
        select(interactions.c.worker).where(interactions.c.state == InteractionState.RUNNING),
        select(posts.c.worker).where(posts.c.lease_until.is_not(None)),
    )
    async with store.system() as tx:
        owners = (await tx.conn.execute(held)).scalars().all()
    return sorted(owner for owner in owners if owner and mine.knows_dead(owner))
