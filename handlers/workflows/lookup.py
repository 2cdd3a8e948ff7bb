"""From what somebody typed to the subscriber or invoice that it means.

Account, invoice, phone, e-mail or the beginning of a name. A bare number that fits an account and an
invoice is asked about, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz import process

from handlers.found import AccountOrInvoice, Found, One, Several
from handlers.profile import TenantProfile
from handlers.reply import UserError
from store.addresses import normalise_email, normalise_phone
from store.models import Channel, Subscriber
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
        f"Try an account number, an invoice number, a phone, an e-mail or the first letters of a name: "
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
        email = normalise_email(text)
        matches = await tx.subscribers.by_address(Channel.EMAIL, email.address, LIMIT)
        return _several(matches, text, profile)
    if _PHONE.fullmatch(text):
        phone = normalise_phone(text, profile.region)
        matches = [] if phone.problem else await tx.subscribers.by_address(Channel.SMS, phone.address, LIMIT)
        return _several(matches, text, profile)
    if len(text) < 2:
        raise UserError("One letter fits too many people.", "Type at least two letters of the name.")
    return _several(await tx.subscribers.by_name_prefix(text, LIMIT), text, profile, commands)


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
    matches: list[Subscriber], asked: str, profile: TenantProfile, commands: Sequence[str] = ()
) -> Found:
    if not matches:
        raise nothing(asked, profile.command, commands)
    if len(matches) == 1:
        return One(matches[0])
    return Several(tuple(matches[: LIMIT - 1]), len(matches) >= LIMIT)


async def payer_of(tx: Tx, subscriber: Subscriber) -> Subscriber:
    """Who really gets this subscriber's invoices: the bill-to-another account, else itself."""
    if subscriber.payer_account is None:
        return subscriber
    return await tx.subscribers.by_account(subscriber.payer_account) or subscriber
