"""Releasing a suppression: why it stands, a reason, and what follows. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers.blocks import actions, button, context, fit, lines, md, section, text_input
from handlers.profile import TenantProfile
from handlers.reply import Block, Modal, Reply
from handlers.words import bounce_words
from store.models import Channel, Suppression

_BACK = {
    Channel.EMAIL: "The next mail that bounces for good puts it back on the list.",
    Channel.SMS: "An opt-out stays: only the subscriber's own START lifts that.",
}


def _facts(found: Suppression, profile: TenantProfile) -> Block:
    since = fmt.day(found.created_at.astimezone(profile.time_zone).date(), profile.locale)
    why = bounce_words(found.reason)
    return section(lines([md("*{}*", found.address), md("On the list since {}: {}.", since, why)]))


def asked(found: Suppression, profile: TenantProfile) -> Reply:
    value = {"c": found.channel, "a": found.address}
    return Reply(
        "Release this address?",
        fit(
            [
                section(md("*Take this address off the do-not-send list?*")),
                _facts(found, profile),
                context(md("{}", _BACK[found.channel])),
                *actions(button("Release…", "release.ask", value)),
            ]
        ),
    )


def dialog(found: Suppression, profile: TenantProfile, invoice: str = "") -> Modal:
    """`invoice`: its id, where one is to go out again afterwards."""
    blocks = [
        _facts(found, profile),
        text_input("reason", "Why?", placeholder="The customer has the mailbox again", longest=200),
        context(md("{}", _BACK[found.channel])),
    ]
    carry = {"c": found.channel, "a": found.address} | ({"i": invoice} if invoice else {})
    return Modal("release.confirmed", "Release an address", blocks, submit="Release", carry=carry)


def released(address: str, invoice: str = "") -> Reply:
    """The invoice that did not go out for it can go out now, with a card that follows it."""
    title = "Released."
    sentence = md(":white_check_mark: *{}* {} may be sent to again.", title, address)
    again = actions(button("Resend", "resend.open", {"i": invoice}, style="primary")) if invoice else []
    return Reply(title, [section(sentence), *again, context("A new hard bounce puts it back on the list.")])
