"""The word about a record of ours that changed: in its incident's thread, or by itself where it is no alert.

Key: handlers.domain_words.post_key.
"""

from __future__ import annotations

from handlers.blocks import fit, lines, md, section
from handlers.contract import Services
from handlers.domain_words import MARKS, before_and_after, meaning, record_key, title
from handlers.reply import Reply
from handlers.workflows.domains import DRIFT_SURFACE
from store.models import DomainRecord


class DriftSurface:
    name = DRIFT_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            records = await tx.domain_records.all()
        wanted = key.partition("#")[0]
        return next((word(record) for record in records if record_key(record) == wanted), None)


def word(record: DomainRecord) -> Reply:
    """Pure."""
    said = title(record)
    rows = [md("{} *{}*", MARKS[record.verdict], said), md("{}", meaning(record)), before_and_after(record)]
    return Reply(f"{said}.", fit([section(lines(rows))]))


SURFACE = DriftSurface()
