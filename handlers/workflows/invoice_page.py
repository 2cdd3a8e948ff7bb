"""Opening an invoice link, and trying a ZIP code on it.

Five wrong tries close that link for good; they are counted under the row's lock, so that tries at once are
five as well. Fifteen on all links of one reader close them all until they expire: whoever can ask for more
links must not get more tries. Looking never counts a try: links are fetched by scanners and previews too.
"""

from __future__ import annotations

import hmac

import structlog

from handlers.contract import Services
from handlers.invoice_page import Gate, InvoicePage, Tried, zip_key
from store.unit import Tx

log = structlog.get_logger()


async def look(services: Services, tenant: int, code: str, *, opened: bool) -> InvoicePage | None:
    """None: no such link. `opened`: the page itself was fetched, which is noted the first time."""
    async with services.store.read(tenant) as tx:
        page = await _page(tx, services, code)
    if page is not None and opened and not page.expired and page.link.opened_at is None:
        async with services.store.begin(tenant) as tx:
            await tx.links.opened(page.link.id)
    return page


async def try_zip(services: Services, tenant: int, code: str, typed: str) -> tuple[InvoicePage, Tried] | None:
    """One try, counted when it is wrong; the page as it stands after it. None: no such link."""
    async with services.store.begin(tenant) as tx:
        page = await _page(tx, services, code, lock=True)
        if page is None:
            return None
        if page.gate is not Gate.ASK:
            return page, Tried.REFUSED
        region = page.profile.region
        given = zip_key(typed, region)
        if given is None:
            return page, Tried.UNREADABLE
        right = zip_key(page.reader.postal_code, region) or ""
        if hmac.compare_digest(given.encode(), right.encode()):
            return page, Tried.RIGHT
        await tx.links.wrong_zip(page.link.id)
        after = await _page(tx, services, code)
    if after is None:
        raise LookupError("a link that was locked is gone")
    if after.gate is Gate.LOCKED:
        log.info("invoice_link_locked", tenant=tenant, link=str(after.link.id))
    return after, Tried.WRONG


async def _page(tx: Tx, services: Services, code: str, *, lock: bool = False) -> InvoicePage | None:
    link = await tx.links.by_code(code, lock=lock)
    if link is None:
        return None
    invoice = await tx.invoices.by_id(link.invoice_id)
    reader = await tx.subscribers.by_id(link.subscriber_id)
    if invoice is None or reader is None:
        return None
    profile = services.profile(tx.tenant)
    today = tx.now.astimezone(profile.time_zone).date()
    return InvoicePage(
        profile,
        link,
        invoice,
        reader,
        today,
        expired=tx.now >= link.expires_at,
        failed_in_all=await tx.links.wrong_zips_of(reader.id),
    )
