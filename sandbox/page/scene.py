"""What the page shows now, read from its address: whose eyes, which channel, thread, mail and phone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from sandbox.slack.workspace import CHANNELS, PEOPLE, USERS, User

HOME = "home"
MOST_PAGES = 50
"""Pages of a list that a person can open by "show more"."""


@dataclass(frozen=True)
class Scene:
    user: User
    channel: str
    thread: str = ""
    to: str = ""
    mail: str = ""
    number: str = ""
    find: str = ""
    more: Mapping[str, int] = field(default_factory=dict)
    """How often "show more" was pressed under each list."""

    @property
    def at_home(self) -> bool:
        return self.channel == HOME

    def shown(self, name: str, page: int) -> int:
        """How many entries of that list are shown, `page` at a time."""
        return page * (1 + self.more.get(name, 0))

    def address(self, **changes: str) -> str:
        """The page's address with something changed. Another user starts without a thread."""
        fields = {"user": self.user.id, "channel": self.channel, "thread": self.thread}
        fields |= {"to": self.to, "mail": self.mail, "number": self.number, "find": self.find, **changes}
        return "/?" + urlencode({name: value for name, value in fields.items() if value})

    def as_user(self, user: User) -> Scene:
        channel = f"D_{user.id}" if self.channel.startswith("D_") else self.channel
        return replace(self, user=user, channel=channel, thread="")


def read_scene(query: Mapping[str, str]) -> Scene:
    """Never fails: what does not exist becomes the first user or channel."""
    user = USERS.get(query.get("user", ""), PEOPLE[0])
    if user not in PEOPLE:
        user = PEOPLE[0]
    wanted = query.get("channel", "")
    channel = CHANNELS.get(wanted)
    if wanted != HOME and (channel is None or channel.im_user not in (None, user.id)):
        wanted = "C_SUPPORT"
    kept = {name: query.get(name, "") for name in ("thread", "to", "mail", "number", "find")}
    return Scene(user, wanted, more=_more(query.get("more", "")), **kept)


def _more(text: str) -> dict[str, int]:
    """`messages:2,inbox:1`; whatever else stands there is ignored."""
    found = {}
    for part in text.split(","):
        name, _, times = part.partition(":")
        if name and times.isdecimal():
            found[name] = min(int(times), MOST_PAGES)
    return found
