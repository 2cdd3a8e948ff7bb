"""Bounces from a mailbox, where port 25 is closed: a message is moved away once it is on disk here.

The envelope sender is `bounces+TOKEN@...` then, which the mailbox's server delivers to `bounces`. Each goes
the listener's way into the inbox, where the same mail is the same row: one that is taken and not moved (a
crash between) is taken once. imaplib blocks, so that its calls run in a thread.
RFC 9051 (IMAP4rev2), RFC 6851 (MOVE), RFC 4315 (UIDPLUS), RFC 5233 (the + of an address).
"""

from __future__ import annotations

import asyncio
import imaplib
import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

import structlog

from bot.bounce_address import envelope_to
from bot.bounce_listener import SIZE_LIMIT, bounce_item
from bot.inbox import Inbox, InboxFull
from bot.runner import Runner
from handlers.contract import Services
from handlers.workflows.incidents import INCIDENT_SURFACE, show_again
from notifier.oncall import Cause
from store.unit import Store

log = structlog.get_logger()
AT_ONCE: Final = 50
"""Messages of one round; the next begins at once while there are more."""
PATIENCE_S: Final = 30.0
TELL_AFTER: Final = 3
"""Rounds in a row that fail until somebody is told: servers restart."""
LONGEST_WAIT: Final = timedelta(minutes=10)
CAUSE: Final = "bounce_mailbox"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One provider's, and how it is reached."""

    tenant: int
    address: str
    domains: tuple[str, ...]
    """Whose tokens come to it."""
    host: str
    port: int
    tls: Literal["off", "starttls", "implicit"]
    username: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    done: str = "Processed"
    every_s: float = 30.0
    trusted: ssl.SSLContext | None = field(default=None, repr=False)
    """None: the system's certificates."""


class MailboxError(Exception):
    """In plain words, without a name or a password. `refused`: the login, which no waiting mends."""

    def __init__(self, sentence: str, *, refused: bool = False) -> None:
        super().__init__(sentence)
        self.sentence, self.refused = sentence, refused


class Session:
    """One connection, used from one thread at a time."""

    def __init__(self, box: Mailbox) -> None:
        self._box = box
        where = f"{box.host}:{box.port}"
        try:
            self._imap = _connected(box)
        except ssl.SSLError as error:
            raise MailboxError(f"{where}: no safe connection ({error.reason})") from None
        except (OSError, imaplib.IMAP4.error) as error:
            raise MailboxError(f"{where} does not answer ({type(error).__name__})") from None
        try:
            self._imap.login(box.username, box.password)
        except imaplib.IMAP4.abort:
            self.close()
            raise MailboxError(f"{where} hung up at the login") from None
        except imaplib.IMAP4.error:
            self.close()
            raise MailboxError(f"{where} refuses our login", refused=True) from None
        except OSError as error:
            self.close()
            raise MailboxError(f"{where} hung up ({type(error).__name__})") from None
        try:
            self._say("open the folder", lambda: self._imap.select(_quoted(box.folder)))
        except MailboxError:
            self.close()
            raise

    def _say(self, what: str, call: Callable[[], tuple[str, list[Any]]]) -> list[Any]:
        try:
            status, answer = call()
        except (OSError, imaplib.IMAP4.error) as error:
            raise MailboxError(
                f"the mailbox hung up while we tried to {what} ({type(error).__name__})"
            ) from None
        if status != "OK":
            raise MailboxError(f"the mailbox does not let us {what}")
        return answer

    def waiting(self) -> list[str]:
        """UIDs of what is there, oldest first."""
        (found, *_) = self._say("list messages", lambda: self._imap.uid("SEARCH", "ALL"))
        return found.decode("ascii").split() if isinstance(found, bytes) else []

    def fetch(self, uid: str) -> bytes:
        """The message, at most the listener's limit of it; unread as it was. Empty: it is gone."""
        answer = self._say(
            "read a message", lambda: self._imap.uid("FETCH", uid, f"(BODY.PEEK[]<0.{SIZE_LIMIT}>)")
        )
        for part in answer:
            if isinstance(part, tuple) and len(part) > 1 and isinstance(part[1], bytes):
                return part[1]
        return b""

    def settle(self, uids: Sequence[str]) -> None:
        """They are on disk here: out of the way."""
        if not uids:
            return
        those, folder = ",".join(uids), _quoted(self._box.done)
        if "MOVE" in self._imap.capabilities:
            status, _ = self._imap.uid("MOVE", those, folder)
            if status == "OK":
                return
            self._imap.create(folder)  # the first time; one that is there already says no
            self._say("move messages", lambda: self._imap.uid("MOVE", those, folder))
            return
        self._imap.create(folder)
        self._say("copy messages", lambda: self._imap.uid("COPY", those, folder))
        self._say("mark messages", lambda: self._imap.uid("STORE", those, "+FLAGS.SILENT", r"(\Deleted)"))
        self._say("remove messages", lambda: self._imap.expunge())

    def close(self) -> None:
        with suppress(OSError, imaplib.IMAP4.error):  # a courtesy that may not be answered
            self._imap.logout()
        with suppress(OSError):
            self._imap.shutdown()


def _connected(box: Mailbox) -> imaplib.IMAP4:
    trusted = box.trusted or ssl.create_default_context()
    if box.tls == "implicit":
        return imaplib.IMAP4_SSL(box.host, box.port, ssl_context=trusted, timeout=PATIENCE_S)
    plain = imaplib.IMAP4(box.host, box.port, timeout=PATIENCE_S)
    try:
        if box.tls == "starttls":
            plain.starttls(trusted)
    except BaseException:
        plain.shutdown()
        raise
    return plain


def _quoted(folder: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", folder) + '"'


class ImapIntake:
    """Every mailbox of this deployment, in one process at a time."""

    def __init__(
        self, services: Services, inbox: Inbox, runner: Runner, boxes: Sequence[Mailbox], store: Store
    ) -> None:
        self._services, self._inbox, self._runner = services, inbox, runner
        self._boxes, self._store = boxes, store

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(*(self._watch(box) for box in self._boxes))

    async def _watch(self, box: Mailbox) -> None:
        async with self._store.duty(f"mailbox-{box.tenant}") as duty:
            failed = 0
            while True:
                wait = box.every_s
                if await duty.mine():
                    try:
                        more = await self.round(box)
                    except MailboxError as trouble:
                        failed += 1
                        log.warning("bounce_mailbox", error=trouble.sentence, failed=failed)
                        if failed == TELL_AFTER or (trouble.refused and failed == 1):
                            await self._tell(box, trouble)
                        wait = min(box.every_s * 2**failed, LONGEST_WAIT.total_seconds())
                    else:
                        failed = await self._over(box, failed)
                        wait = 0.0 if more else wait
                await asyncio.sleep(wait)

    async def round(self, box: Mailbox) -> bool:
        """Takes what is there, and says whether there is more. MailboxError."""
        session = await asyncio.to_thread(Session, box)
        try:
            uids = await asyncio.to_thread(session.waiting)
            taken: list[str] = []
            for uid in uids[:AT_ONCE]:
                raw = await asyncio.to_thread(session.fetch, uid)
                if raw and not await self._take(box, raw):
                    break  # the inbox is full: the rest stays where it is
                taken.append(uid)
            await asyncio.to_thread(session.settle, taken)
        finally:
            await asyncio.to_thread(session.close)
        return len(uids) > len(taken) > 0

    async def _take(self, box: Mailbox, raw: bytes) -> bool:
        """True once it is on disk."""
        item = bounce_item(box.tenant, envelope_to(raw, box.domains) or box.address, raw, self._store)
        try:
            if await self._inbox.put(item):
                self._runner.start(item)
        except InboxFull:
            return False
        return True

    async def _tell(self, box: Mailbox, trouble: MailboxError) -> None:
        cause = Cause(CAUSE, trouble.sentence)
        profile = self._services.profile(box.tenant)
        async with self._store.begin(box.tenant) as tx:
            raised = await tx.incidents.alarm(Cause(CAUSE).key, cause.title)
            await tx.posts.want(INCIDENT_SURFACE, str(raised.incident.id), profile.oncall_channel)

    async def _over(self, box: Mailbox, failed: int) -> int:
        if failed:
            async with self._store.begin(box.tenant) as tx:
                for incident in await tx.incidents.unresolved():
                    if incident.cause == Cause(CAUSE).key and await tx.incidents.resolve(
                        incident.id, "the mailbox", "It is read again."
                    ):
                        await show_again(tx, incident.id)
        return 0


__all__ = ["ImapIntake", "Mailbox", "MailboxError", "Session"]
