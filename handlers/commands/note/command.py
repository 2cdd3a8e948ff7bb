"""/isp note: sticky notes on every card; a warning or a block stands before acts."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from handlers.commands.note import view
from handlers.contract import CommandRequest, Services
from handlers.found import One
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, Reply, To, UserError
from handlers.typed import plain_text
from handlers.workflows import notes
from handlers.workflows.pointing import asked_for
from store.models import NoteLevel

_FLAGS = {"--warn": NoteLevel.WARN, "--block": NoteLevel.BLOCK}
_KINDS = frozenset({"account", "acct", "invoice", "inv"})


class NoteCommand:
    spec = CommandSpec(
        name="note",
        usage="note <account> <text> [--warn or --block]",
        summary="Stick a note to an account, for everybody to see",
        examples=("note 1042 calls after six only", "note 1042 medical line, never suspend --block"),
        aliases=("notes",),
        role=Role.AGENT,
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "ask":
            data = await notes.load(services, request.tenant, UUID(request.value["s"]))
            return Answer(modal=view.dialog(data.subscriber), done=True)
        if request.action == "asked" and not plain_text(request.inputs.get("text", "")):
            return Answer(errors=FieldErrors({"text": "Write what everybody should know."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        profile = services.profile(request.tenant)
        if request.action == "remove":
            ids = UUID(request.value["n"]), UUID(request.value["s"])
            return [view.listed(await notes.remove(services, request, *ids), profile, To.REPLACE)]
        named, text, level = _read(request)
        found = await self._found(request, services, named, _carry(text, level))
        if isinstance(found, Reply):
            return [found]
        if not text:
            data = await notes.load(services, request.tenant, found.subscriber.id)
            return [view.listed(data, profile)]
        data = await notes.add(services, request, found.subscriber, text, level)
        return [view.listed(data, profile, just_added=True)]

    async def _found(
        self, request: CommandRequest, services: Services, named: str, carry: dict[str, str]
    ) -> One | Reply:
        try:
            return await asked_for(
                services, request, "note.open", "On which account?", text=named, carry=carry
            )
        except UserError as error:
            if " " not in named:
                raise
            # Words without a number: a name with a text behind it cannot be told from a longer name.
            usage = f"`{services.profile(request.tenant).command} note 1042 {named.partition(' ')[2]}`"
            raise UserError(error.sentence, f"Write the account's number first: {usage}.") from None


def _read(request: CommandRequest) -> tuple[str, str, NoteLevel]:
    """(who, what, how loud)."""
    if request.action == "asked":
        level = NoteLevel(request.inputs.get("level") or NoteLevel.INFO)
        return "", plain_text(request.inputs["text"]), level
    if request.action:
        return "", str(request.value.get("t", "")), NoteLevel(request.value.get("l", NoteLevel.INFO))
    return split(request.text)


def split(text: str) -> tuple[str, str, NoteLevel]:
    """`1042 never after six --warn` -> ("1042", "never after six", WARN)."""
    words = text.split()
    flags = {word.casefold() for word in words if word.casefold() in _FLAGS}
    if len(flags) > 1:
        raise UserError("A note warns or blocks, not both.", "Keep one of `--warn` and `--block`.")
    words = [word for word in words if word.casefold() not in _FLAGS]
    level = _FLAGS[flags.pop()] if flags else NoteLevel.INFO
    count = 2 if words and words[0].casefold().rstrip(":#") in _KINDS else 1
    if not any(c.isdigit() for c in " ".join(words[:count])):
        return " ".join(words), "", level  # a name: look it up, and write from there
    return " ".join(words[:count]), " ".join(words[count:]), level


def _carry(text: str, level: NoteLevel) -> dict[str, str]:
    """Through a question back; a text that no button can hold is asked for anew."""
    fits = len(text.encode("unicode_escape")) <= 600
    return {"t": text, "l": level} if text and fits else {}


COMMAND = NoteCommand()
