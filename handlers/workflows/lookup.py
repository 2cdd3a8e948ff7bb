"""From what somebody typed to the subscriber or invoice that it means.

Account, invoice, phone, e-mail, IP, MAC, or any word of a name or an address. A bare number that fits an
account and an invoice is asked about, and so is a name that only fits with a slip: never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address

from rapidfuzz import process

from handlers.found import AccountOrInvoice, Found, One, Several
from handlers.profile import TenantProfile
from handlers.reply import UserError
from store.addresses import normalise_email, normalise_phone
from store.models import Channel, Subscriber
from store.search_words import LAST
from store.unit import Tx

LIMIT = 26
"""One more than is shown, so that "there are more" is known."""

_PHONE = re.compile(r"\+?[\d\s().-]{7,20}")
_PREFIXES = {"account": "account", "acct": "account", "invoice": "invoice", "inv": "invoice"}


def nothing(asked: str, command: str, words: Sequence[str] = ()) -> UserError:
    """`words`: what commands are called, for whoever mistyped one."""
    shown = asked if len(asked) <= 60 else asked[:59] + "…"
    close = process.extractOne(asked.partition(" ")[0].casefold(), words, score_cutoff=75)
    if close is not None:
        rest = asked.partition(" ")[2]
        return UserError(
            f"Nobody fits “{shown}”.", f"Did you mean `{' '.join(filter(None, (command, close[0], rest)))}`?"
        )
    return UserError(
        f"Nobody fits “{shown}”.",
        f"Try an account, an invoice, a phone, an e-mail, an IP or any word of a name or address: "
        f"`{command} find 1042`.",
    )


async def find(tx: Tx, profile: TenantProfile, text: str, commands: Sequence[str] = ()) -> Found:
    """UserError when nothing fits or nothing was asked."""
    text = text.strip("\"' ?!.,;-")
    if not text:
        raise UserError(
            "Whom are you looking for?",
            f"Add an account, a name, a phone, an e-mail or an invoice: `{profile.command} find 1042`.",
        )
    word, _, rest = text.partition(" ")
    if word.casefold().rstrip(":#") in _PREFIXES and rest:
        return await _exact(tx, profile, rest.lstrip("#").strip(), _PREFIXES[word.casefold().rstrip(":#")])
    number = text.lstrip("#")
    if " " not in number and any(c.isdigit() for c in number) and "@" not in number:
        exact = await _number(tx, number)
        if exact is not None:
            return exact
    if "@" in text:
        return await _by_mail(tx, profile, text)
    if (ip := _ip(text)) is not None:
        return _several(await tx.search.by_ip(ip, LIMIT), text, profile)
    # A number of twelve digits may be both: who has that telephone is asked first.
    if _PHONE.fullmatch(text) and ((matches := await _by_phone(tx, profile, text)) or not _mac(text)):
        return _several(matches, text, profile)
    if (mac := _mac(text)) is not None:
        return _several(await tx.search.by_mac(mac, LIMIT), text, profile)
    if len(text) < 2:
        raise UserError("One letter fits too many people.", "Type at least two letters of the name.")
    hits = await tx.search.words(text, LIMIT)
    return _several(hits.subscribers, text, profile, commands, close=not hits.exact)


async def _by_mail(tx: Tx, profile: TenantProfile, text: str) -> Found:
    """The whole address, else those that begin so: the rest is shown before anything is done."""
    matches = await tx.subscribers.by_address(Channel.EMAIL, normalise_email(text).address, LIMIT)
    if matches:
        return _several(matches, text, profile)
    return _several(await tx.search.by_mail(text, LIMIT), text, profile, close=True)


async def _by_phone(tx: Tx, profile: TenantProfile, text: str) -> Sequence[Subscriber]:
    phone = normalise_phone(text, profile.region)
    matches = [] if phone.problem else await tx.subscribers.by_address(Channel.SMS, phone.address, LIMIT)
    digits = re.sub(r"\D", "", text)
    # Without its area code, as neighbours say it; with another one it is another telephone.
    return matches or (await tx.search.by_last_digits(digits, LIMIT) if len(digits) == LAST else [])


def _ip(text: str) -> str | None:
    """As the mirror has it, or None."""
    try:
        return str(ip_address(text)) if "." in text or ":" in text else None
    except ValueError:
        return None


def _mac(text: str) -> str | None:
    """`00:00:5e:00:53:01` of any of its spellings (:, -, . or nothing between); None where it is none."""
    bare = re.sub(r"[:.\-\s]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", bare):
        return None
    return ":".join(bare[place : place + 2] for place in range(0, 12, 2))


async def _number(tx: Tx, number: str) -> Found | None:
    account = await tx.subscribers.by_account(number)
    invoice = await tx.invoices.by_number(number)
    if invoice is not None:
        owner = await tx.subscribers.by_id(invoice.subscriber_id)
        if owner is None:
            raise LookupError("an invoice without its subscriber")
        if account is not None:
            return AccountOrInvoice(number, account, invoice, owner)
        return One(owner, invoice)
    return One(account) if account is not None else None


async def _exact(tx: Tx, profile: TenantProfile, number: str, kind: str) -> Found:
    if kind == "account":
        account = await tx.subscribers.by_account(number)
        if account is not None:
            return One(account)
        raise nothing(f"account {number}", profile.command)
    invoice = await tx.invoices.by_number(number)
    owner = await tx.subscribers.by_id(invoice.subscriber_id) if invoice else None
    if invoice is None or owner is None:
        raise nothing(f"invoice {number}", profile.command)
    return One(owner, invoice)


def _several(
    matches: Sequence[Subscriber],
    asked: str,
    profile: TenantProfile,
    commands: Sequence[str] = (),
    *,
    close: bool = False,
) -> Found:
    if not matches:
        raise nothing(asked, profile.command, commands)
    if len(matches) == 1 and not close:
        return One(matches[0])
    return Several(tuple(matches[: LIMIT - 1]), len(matches) >= LIMIT, close)


async def payer_of(tx: Tx, subscriber: Subscriber) -> Subscriber:
    """Who really gets this subscriber's invoices: the bill-to-another account, else itself."""
    if subscriber.payer_account is None:
        return subscriber
    return await tx.subscribers.by_account(subscriber.payer_account) or subscriber
