"""Which failure belongs to which cause, how urgent a cause is, and when it seems over. Pure: no I/O.

A failure whose fault is ours belongs to one cause: a class and whom it is about (an operator's domain, a
route, our envelope domain). One that is the recipient's own matter belongs to none; only many of a kind at
once do. Causes are data: CAUSES says what each is called, what to do, and when it cannot wait.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from notifier.bounces import classify_reply
from store.models import Channel, EventKind, EventSource, FailedAttempt, IncidentState, Outcome, Reason

MOST_KEY = 200
"""Characters in a cause's key (store.tables)."""
STUCK_AFTER = timedelta(minutes=5)
"""A way out that is down for so long with messages waiting does not come back by itself."""
QUIET = timedelta(minutes=5)
"""No failure for so long, and something got through since: it seems over."""
TEXT_AGAIN = timedelta(minutes=30)
MOST_TEXTS = 2
OVERALL = 3
"""So many times a burst, of all kinds together, is a burst too: single dead addresses add up in a big run."""


class Urgent(StrEnum):
    """What makes a cause urgent. An urgent message that is stuck in it always does."""

    AT_ONCE = "at_once"
    """Everything that goes this way is refused."""
    STUCK = "stuck"
    """Work waits, and has waited for STUCK_AFTER."""
    MANY = "many"
    """More than a burst of messages."""
    NEVER = "never"


class About(StrEnum):
    """Whom a cause is about, and so where to look for mail that gets through again."""

    OPERATOR = "operator"
    ROUTE = "route"
    ENVELOPE = "envelope"
    """Our envelope domain: any of the servers that refused it may take it again."""
    RECORD = "record"
    """A record of ours in DNS: whoever looks at it next says whether it is over."""
    OTHER = "other"
    WATCH = "watch"
    """Something that the watchdog sees and no delivery tells of; it says itself when it is over."""


@dataclass(frozen=True, slots=True)
class CauseKind:
    title: str
    """Told in the channel; `{about}` is filled in."""
    todo: str
    urgent: Urgent
    about: About = About.ROUTE

    @property
    def proof(self) -> tuple[Outcome, ...]:
        """What shows that it is over: a relay's word is enough where the way to it was the trouble."""
        if self.about is About.ROUTE:
            return (Outcome.SENT, Outcome.DELIVERED)
        return (Outcome.DELIVERED,)


DRIFT = "dns_drift"
RUN_STOPPED, RUN_STUCK, LEDGER_GAP = "run_stopped", "run_stuck", "ledger_gap"

CAUSES: dict[str, CauseKind] = {
    "blocked_auth": CauseKind(
        "Servers refuse our mail: the sender checks of {about} fail",
        "Check SPF, publish the record that it shows, then send again what was refused.",
        Urgent.MANY,
        About.ENVELOPE,
    ),
    "blocked_reputation": CauseKind(
        "{about} refuses our mail server",
        "The raw answer says where to ask them to lift the block. Until then, send by another route.",
        Urgent.MANY,
        About.OPERATOR,
    ),
    "spam_content": CauseKind(
        "{about} takes our mails for spam",
        "Compare what was sent with the raw answer, and tell whoever writes our mails.",
        Urgent.MANY,
        About.OPERATOR,
    ),
    "relay_or_security": CauseKind(
        "{about} does not accept our mails",
        "The raw answer says what it asks for (encryption, a login, an entry in its list).",
        Urgent.MANY,
        About.OPERATOR,
    ),
    "relay_refuses": CauseKind(
        "The route {about} refuses to pass our mails on",
        "Whoever runs that mail server must let us send by it again. Until then, use another route.",
        Urgent.MANY,
    ),
    "sender_refused": CauseKind(
        "The route {about} refuses our sender address",
        "Nothing goes out that way. Ask whoever runs that mail server what has changed.",
        Urgent.AT_ONCE,
    ),
    "route_down": CauseKind(
        "The route {about} cannot be reached",
        "Messages wait and are tried again by themselves. Call whoever runs it, or use another route.",
        Urgent.STUCK,
    ),
    "login_refused": CauseKind(
        "The route {about} refuses our login",
        "Put the right user name and password into the configuration and restart; messages wait for it.",
        Urgent.STUCK,
    ),
    "compose": CauseKind(
        "Messages cannot be written: {about}",
        "The template is broken: the raw answer names it. Mend it, then send again what failed.",
        Urgent.MANY,
        About.OTHER,
    ),
    "infrastructure": CauseKind(
        "Sending by {about} fails on our side",
        "The raw answer says what failed.",
        Urgent.MANY,
    ),
    "sms_filtered": CauseKind(
        "Carriers filter our texts (sender {about})",
        "Stop bulk texts from that number and ask the provider why. Notices go by e-mail meanwhile.",
        Urgent.MANY,
    ),
    "sms_sender_unregistered": CauseKind(
        "Our texting number is not registered (sender {about})",
        "Register the number with the provider. Until then no carrier takes texts from it.",
        Urgent.MANY,
    ),
    "sms_sender": CauseKind(
        "The texting provider refuses our number (sender {about})",
        "Check the sender in the configuration against the numbers of the account.",
        Urgent.MANY,
    ),
    "sms_region": CauseKind(
        "Texts to this region are not permitted (sender {about})",
        "Permit the region in the provider's settings.",
        Urgent.MANY,
    ),
    "sms_account": CauseKind(
        "The texting account is suspended (sender {about})",
        "Ask the provider why; it is often an unpaid bill.",
        Urgent.AT_ONCE,
    ),
    "sms_request": CauseKind(
        "The texting provider refuses our requests (sender {about})",
        "The raw answer says what it does not like.",
        Urgent.MANY,
    ),
    "sms_daily_cap": CauseKind(
        "The texting number has reached its daily limit (sender {about})",
        "Texts wait until tomorrow. Ask the provider for a higher limit if that happens again.",
        Urgent.NEVER,
    ),
    "recorder": CauseKind(
        "What became of messages could not be written down",
        "The database refused it: the log has the reason. Messages may go out twice until it is mended.",
        Urgent.AT_ONCE,
        About.OTHER,
    ),
    "reports": CauseKind(
        "Bounce reports could not be worked on",
        "They are kept. The log has the reason under the reference in the raw answer.",
        Urgent.NEVER,
        About.OTHER,
    ),
    DRIFT: CauseKind(
        "A DNS record of {about} has got worse",
        "If none of us changed it, put back what stood there before. This ends by itself once it is right.",
        Urgent.NEVER,  # what is refused because of it makes an incident of its own, which may be urgent
        About.RECORD,
    ),
    "no_worker": CauseKind(
        "No worker is running: nothing is sent",
        "Start `ispbot worker` again and look into its log. Nothing is lost: what waits goes out then.",
        Urgent.AT_ONCE,
        About.WATCH,
    ),
    "stalled": CauseKind(
        "Nothing leaves by {about}, though messages are due",
        "A worker runs and takes none of them: its log says why. Restarting it is safe.",
        Urgent.AT_ONCE,
        About.WATCH,
    ),
    "billing_stale": CauseKind(
        "The billing system is not followed: what cards show grows old",
        "The log says why (billing_sync_waits), and so does `ispbot sync`: often a key that was taken back.",
        Urgent.NEVER,
        About.WATCH,
    ),
    "slack_token": CauseKind(
        "Slack refuses our token: nobody is answered there",
        "Install the app to the workspace again, put its bot token into the environment, and restart. "
        "Mail goes on; what waits for Slack is kept.",
        Urgent.AT_ONCE,
        About.WATCH,
    ),
    "slack_scope": CauseKind(
        "Slack does not permit the app something that it needs: {about}",
        "Paste what `ispbot manifest` prints into the app, install it again, then resolve this.",
        Urgent.NEVER,
        About.WATCH,
    ),
    "slack_channel": CauseKind(
        "The app cannot write into the channel {about}",
        "Invite it there, or unarchive the channel, or set another in app.yaml. What was meant for it waits.",
        Urgent.AT_ONCE,
        About.WATCH,
    ),
    "bounce_mailbox": CauseKind(
        "The mailbox of bounces cannot be read: {about}",
        "Check host, user name and password of mail.bounce_mailbox. Nothing is lost: they wait there.",
        Urgent.NEVER,
        About.WATCH,
    ),
    "slow_database": CauseKind(
        "The database answers slowly: everything waits for it",
        "Look at its disk, its load and long transactions. Messages go on as soon as it answers again.",
        Urgent.AT_ONCE,
        About.WATCH,
    ),
    LEDGER_GAP: CauseKind(
        "The run {about} ended with a gap in its ledger",
        "Press More on the run's card: the ledger says how many have neither a notice nor a reason.",
        Urgent.NEVER,
        About.OTHER,
    ),
    "failure_band": CauseKind(
        "Far more mails than usual fail by {about}",
        "See /isp failures for what they have in common, and /isp mail for the route.",
        Urgent.NEVER,
        About.WATCH,
    ),
    "orphans": CauseKind(
        "Bounce reports pile up that match no message of ours",
        "Look at them with /isp bounces: our keys or envelope domain may have changed, or it is forged.",
        Urgent.NEVER,
        About.WATCH,
    ),
    "clock_skew": CauseKind(
        "The clock of {about} is wrong",
        "Set it by NTP: messages leave too early or too late by as much, until it is right.",
        Urgent.NEVER,
        About.WATCH,
    ),
    RUN_STUCK: CauseKind(
        "The notices of an invoice run cannot be written to the end: {about}",
        "It is tried again every few seconds. The log of the worker says why; Cancel on its card ends it.",
        Urgent.NEVER,
        About.OTHER,
    ),
    RUN_STOPPED: CauseKind(
        "An invoice run has paused itself, since too many of its notices fail: {about}",
        "Its card names the causes. Mend them, then press Resume there. Nothing is lost meanwhile.",
        Urgent.NEVER,  # what fails makes incidents of its own, which may be urgent
        About.OTHER,
    ),
    "burst": CauseKind(
        "Many messages fail at once at {about}",
        "See by the examples whether it is them or something that we send.",
        Urgent.NEVER,
        About.OPERATOR,
    ),
    "burst_dns": CauseKind(
        "The addresses of mail servers cannot be looked up",
        "Our DNS server may be down. Messages wait and are tried again by themselves.",
        Urgent.STUCK,
        About.OTHER,
    ),
    "burst_all": CauseKind(
        "Many messages fail at once, for different reasons",
        "See by the examples whether something has changed in what we send, or to whom.",
        Urgent.NEVER,
        About.OTHER,
    ),
}


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """`name` is a key of CAUSES, `about` whom it is about."""

    name: str
    about: str = ""
    detail: str = ""
    """What tells two causes of one kind and subject apart: a burst's class."""

    @property
    def key(self) -> str:
        key = ":".join(part for part in (self.name, self.about, self.detail) if part)
        if len(key) <= MOST_KEY:
            return key
        return f"{key[: MOST_KEY - 17]}#{hashlib.sha256(key.encode()).hexdigest()[:16]}"

    @property
    def title(self) -> str:
        return CAUSES[self.name].title.format(about=self.about)


def parse(key: str) -> Cause:
    """The cause of an incident's key; `about` may be cut where it was too long."""
    name, _, rest = key.partition(":")
    about, _, detail = rest.partition(":")
    return Cause(name, about, detail)


def counts_messages(cause: str) -> bool:
    """Not the watchdog's, a record's or a run's own alarm: what they count are looks, changes and alarms."""
    alarm = parse(cause).name in (RUN_STOPPED, RUN_STUCK, LEDGER_GAP)
    return not alarm and kind_of(cause).about not in (About.RECORD, About.WATCH)


def kind_of(key: str) -> CauseKind:
    """What is known of a cause; of one that an older or newer version knew, the plainest."""
    return CAUSES.get(key.partition(":")[0], _UNKNOWN)


_UNKNOWN = CauseKind("{about}", "Look at the examples and the raw answers.", Urgent.NEVER, About.OTHER)


@dataclass(frozen=True, slots=True)
class Way:
    """What is known of a route: whose name its envelopes bear, and whether it is a relay."""

    envelope_domain: str
    relay: bool = True


def cause_of(failure: FailedAttempt, ways: Mapping[str, Way]) -> Cause | None:
    """The cause of ours that this failure belongs to; None when it is somebody else's matter.

    `ways` by the route's name; texts' routes are not in it.
    """
    if failure.hard:
        return None
    if failure.channel is Channel.SMS:
        return _of_text(failure)
    way = ways.get(failure.route)
    if not failure.cls:
        return _of_way_out(failure, way)
    if failure.kind is EventKind.DEFERRED and failure.cls not in _OURS_ALSO_WHILE_WAITING:
        return None
    return _of_class(failure, failure.cls, way)


_OURS_ALSO_WHILE_WAITING = frozenset({"blocked_auth", "blocked_reputation"})
"""Put off for our own fault: it waits, and will not mend itself."""


def _of_class(failure: FailedAttempt, cls: str, way: Way | None) -> Cause | None:
    if cls == "blocked_auth":
        return Cause(cls, way.envelope_domain if way else failure.route)
    if cls in ("blocked_reputation", "spam_content"):
        return Cause(cls, operator(failure))
    if cls == "relay_or_security":
        by_relay = failure.source is EventSource.SMTP and way is not None and way.relay
        return Cause("relay_refuses", failure.route) if by_relay else Cause(cls, operator(failure))
    if failure.reason is Reason.INFRASTRUCTURE:
        return Cause("infrastructure", failure.route)
    return None


def _of_way_out(failure: FailedAttempt, way: Way | None) -> Cause | None:
    """Without a class nothing was said about the recipient: the way out failed, or we did."""
    if failure.reason is Reason.INFRASTRUCTURE:
        return Cause("compose", failure.notification_kind.replace("_", " "))
    if failure.reason is Reason.CONFIG:
        if failure.kind is EventKind.DEFERRED or failure.reply_code.startswith("53"):
            return Cause("login_refused", failure.route)
        # MAIL FROM was refused: for its checks or its name, or by a server that wants none of us.
        cls = classify_reply(failure.reply_code, failure.status, failure.diagnostic).cls
        if cls in _OURS_ALSO_WHILE_WAITING:
            return _of_class(failure, cls, way)
        if way is not None and not way.relay:
            return Cause("relay_or_security", operator(failure))
        return Cause("sender_refused", failure.route)
    if failure.remote == failure.route:
        return Cause("route_down", failure.route)
    return None


_TEXTS = frozenset(name for name in CAUSES if name.startswith("sms_"))


def _of_text(failure: FailedAttempt) -> Cause | None:
    if failure.cls in _TEXTS:
        return Cause(failure.cls, failure.route)
    if failure.cls == "sms_login":
        return Cause("login_refused", failure.route)
    if failure.cls:
        return Cause("infrastructure", failure.route) if failure.reason is Reason.INFRASTRUCTURE else None
    return _of_way_out(failure, None)


def burst_of(failure: FailedAttempt) -> Cause | None:
    """Which burst this failure would be part of; None for a postponement, which is no failure yet."""
    if failure.kind is EventKind.DEFERRED:
        unnamed = failure.channel is Channel.EMAIL and not failure.cls
        return Cause("burst_dns") if unnamed else None
    where = "the text provider" if failure.channel is Channel.SMS else _domain(failure.address)
    return Cause("burst", where, failure.cls or "other")


def operator(failure: FailedAttempt) -> str:
    """Who runs the recipient's mail: a domain. Of a report's remote server, else of the address.

    Companies have addresses at their own domain and their mail at an operator's, who refuses us for all.
    """
    domain = _domain(failure.address)
    remote = failure.remote.rstrip(".").casefold()
    if failure.source is not EventSource.DSN or not _HOST.fullmatch(remote):
        return domain
    if remote == domain or remote.endswith(f".{domain}"):
        return domain
    return organisation(remote)


_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)+[a-z][a-z0-9-]{1,62}")
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gob", "gov", "gub", "net", "or", "org"})


def organisation(host: str) -> str:
    """`mx1.mail.bigmail.example` -> `bigmail.example`; `mx.provider.com.mx` -> `provider.com.mx`."""
    labels = host.split(".")
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3 if country else -2 :])


def _domain(address: str) -> str:
    return address.rpartition("@")[2].casefold()


def is_urgent(kind: CauseKind, *, count: int, burst: int, waiting: int, urgent: int, age: timedelta) -> bool:
    """`waiting` messages for this cause to end, `urgent` ones of them that were tried before."""
    if urgent:
        return True
    return {
        Urgent.AT_ONCE: True,
        Urgent.STUCK: waiting > 0 and age >= STUCK_AFTER,
        Urgent.MANY: count > burst,
        Urgent.NEVER: False,
    }[kind.urgent]


class Press(StrEnum):
    """What can happen to an incident."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing changes, for this reason; words for whoever pressed."""

    reason: str


@dataclass(frozen=True, slots=True)
class OpensAnother:
    """It stays as it is: the cause has come back, which is another incident."""


_S = IncidentState
NEXT: dict[tuple[IncidentState, Press], IncidentState | Ignored | OpensAnother] = {
    (_S.OPEN, Press.ACKNOWLEDGE): _S.ACKNOWLEDGED,
    (_S.OPEN, Press.RESOLVE): _S.RESOLVED,
    (_S.OPEN, Press.FAILURE): _S.OPEN,
    (_S.ACKNOWLEDGED, Press.ACKNOWLEDGE): Ignored("Somebody has it already."),
    (_S.ACKNOWLEDGED, Press.RESOLVE): _S.RESOLVED,
    (_S.ACKNOWLEDGED, Press.FAILURE): _S.ACKNOWLEDGED,
    (_S.RESOLVED, Press.ACKNOWLEDGE): Ignored("It is resolved already."),
    (_S.RESOLVED, Press.RESOLVE): Ignored("It is resolved already."),
    (_S.RESOLVED, Press.FAILURE): OpensAnother(),
}
"""Total: store.incidents carries it out by compare-and-set, and the contracts walk every pair."""
