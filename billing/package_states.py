"""What an act makes of a package.

pending -> active; active <-> suspended; active <-> hibernated; any live -> inactive. Suspending acts on
the package and all its services. A hibernated package is not suspended: it is not billed either. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from store.models import ActKind, PackageStatus


@dataclass(frozen=True, slots=True)
class Becomes:
    status: PackageStatus


@dataclass(frozen=True, slots=True)
class Stays:
    """The act does not apply; `because` completes "This package ..."."""

    because: str


ACTS: Mapping[PackageStatus, Mapping[ActKind, Becomes | Stays]] = {
    PackageStatus.PENDING: {
        ActKind.SUSPEND: Stays("was never switched on"),
        ActKind.UNSUSPEND: Stays("was never switched on"),
        ActKind.PAUSE: Stays("was never switched on"),
    },
    PackageStatus.ACTIVE: {
        ActKind.SUSPEND: Becomes(PackageStatus.SUSPENDED),
        ActKind.UNSUSPEND: Stays("is not suspended"),
        ActKind.PAUSE: Becomes(PackageStatus.HIBERNATED),
    },
    PackageStatus.SUSPENDED: {
        ActKind.SUSPEND: Stays("is suspended already"),
        ActKind.UNSUSPEND: Becomes(PackageStatus.ACTIVE),
        ActKind.PAUSE: Stays("is suspended: bring it back first"),
    },
    PackageStatus.HIBERNATED: {
        ActKind.SUSPEND: Stays("is hibernated: it is neither used nor billed"),
        ActKind.UNSUSPEND: Stays("is hibernated, not suspended"),
        ActKind.PAUSE: Stays("is paused already"),
    },
    PackageStatus.INACTIVE: {
        ActKind.SUSPEND: Stays("has ended"),
        ActKind.UNSUSPEND: Stays("has ended"),
        ActKind.PAUSE: Stays("has ended"),
    },
}

WANTED: Mapping[ActKind, PackageStatus] = {
    ActKind.SUSPEND: PackageStatus.SUSPENDED,
    ActKind.UNSUSPEND: PackageStatus.ACTIVE,
    ActKind.PAUSE: PackageStatus.HIBERNATED,
}
"""What reading back has to show when the act is done."""
