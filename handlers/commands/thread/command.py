"""Conversations by text, in their threads: notes that stay in the team, and the way to a text that is sent.

What a colleague writes in the thread is a note. A text leaves from a preview alone: written in a dialog or
made of a note, shown exactly as it will arrive, sent by a press on Send. Not typed, so in no menu.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from handlers import talk_view as view
from handlers.contract import CommandRequest, NotYet, Services, audit
from handlers.intents import redact_cards
from handlers.masks import mask_phone
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, Reply, To, UserError
from handlers.talk import Decision
from handlers.workflows import conversations as talks
from handlers.workflows.optouts import BY_AGENT, opt_out, opted_out
from store.models import Conversation, Said
from store.unit import Tx

_GONE = UserError("This conversation is gone.", "Look the subscriber up again.")


class Thread:
    spec = CommandSpec(
        name="thread",
        usage="thread",
        summary="Notes and texts in a conversation's thread",
        role=Role.AGENT,
        action_roles={"said": Role.NONE},
        action_max_age={"send": timedelta(hours=1)},
        in_menu=False,
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "said":
            async with services.store.read(request.tenant) as tx:
                ours = await talks.conversation_at(tx, request.channel, request.value["thread_ts"])
                return Answer(done=ours is None and not await talks.may_be_one(tx, request.channel))
        if request.action == "written":
            return talks.checked(request)
        if request.action not in ("reply", "edit", "choose"):
            return Answer()
        async with services.store.read(request.tenant) as tx:
            initial, carry = "", {}
            if request.action == "edit":
                draft = await tx.conversations.line(UUID(request.value["d"]))
                if draft is None or draft.said is not Said.DRAFT:
                    raise UserError("This preview was cancelled or edited.", "Use the newer one.")
                conversation = await _conversation(tx, draft.conversation_id)
                initial, carry = draft.body, {"r": str(draft.id)}
            else:
                conversation = await _conversation(tx, UUID(request.value["c"]))
            if conversation.closed_at is not None:
                raise UserError("This conversation is closed.", "The next text from them opens another one.")
            carry |= {"c": str(conversation.id)} | _thread(request)
            if "thread_ts" not in carry:
                carry |= await talks.thread_of(tx, conversation.id)
            if request.action == "choose":
                modal = view.choose_account(await talks.load(tx, conversation), carry)
                return Answer(modal=modal, done=True)
            await talks.refuse_if_unreachable(tx, conversation.number)
        who = mask_phone(conversation.number)
        return Answer(modal=view.write("thread.written", who, carry, initial), done=True)

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        match request.action:
            case "said":
                return await self._note(request, services)
            case "written" | "as_text":
                return [await self._preview(request, services)]
            case "send":
                sent = await talks.send_text(services, request, UUID(request.value["d"]))
                return [view.sent() if sent is talks.Sent.NOW else view.sent_before()]
            case "cancel":
                async with services.store.begin(request.tenant) as tx:
                    await tx.conversations.drop_draft(UUID(request.value["d"]))
                return [view.cancelled()]
            case "burst":
                return [await self._burst(request, services)]
            case "close":
                return await self._close(request, services)
            case "chosen":
                return await self._chosen(request, services)
            case Decision.TEXTS | Decision.SERVICE:
                return await self._decided(request, services, Decision(request.action))
        raise UserError("This button is from an older version.", "Ask for it again.")

    async def _note(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        """Kept for the team; strangers in the channel are not answered."""
        words = redact_cards(request.text.strip())
        if request.actor.role < Role.VIEWER or not words:
            return []
        async with services.store.begin(request.tenant) as tx:
            conversation_id = await talks.conversation_at(tx, request.channel, request.value["thread_ts"])
            if conversation_id is None:
                if await talks.may_be_one(tx, request.channel):
                    raise NotYet
                return []
            once = request.step("note")
            note = await tx.conversations.say(
                conversation_id,
                Said.NOTE,
                words,
                once=once,
                author=request.actor.user_id,
                ts=request.value.get("ts"),
            )
            note = note or await tx.conversations.line_once(once)
            conversation = await _conversation(tx, conversation_id)
        if note is None:
            raise LookupError("a note that is neither new nor there")
        may_send = request.actor.role >= Role.AGENT and conversation.closed_at is None
        card = words != request.text.strip()
        return [view.not_sent(str(note.id), _thread(request), may_send=may_send, card=card)]

    async def _burst(self, request: CommandRequest, services: Services) -> Reply:
        minute = talks.minute_of(str(request.value["m"]))
        if minute is None:
            raise _GONE
        async with services.store.read(request.tenant) as tx:
            conversation = await _conversation(tx, minute[0])
            talk = await talks.load(tx, conversation)
            said = await tx.conversations.all_between(minute[0], minute[1], minute[1] + timedelta(minutes=1))
        return view.burst(said, talk, services.profile(request.tenant))

    async def _preview(self, request: CommandRequest, services: Services) -> Reply:
        profile = services.profile(request.tenant)
        async with services.store.begin(request.tenant) as tx:
            if request.action == "as_text":
                note = await tx.conversations.line(UUID(request.value["n"]))
                if note is None:
                    raise _GONE
                conversation, words = await _conversation(tx, note.conversation_id), note.body
            else:
                conversation = await _conversation(tx, UUID(request.value["c"]))
                words = request.inputs.get("words", "")
            plan = await talks.plan_text(tx, profile, conversation, words)
            draft = await talks.draft_text(tx, conversation, request, words)
            thread = _thread(request) or await talks.thread_of(tx, conversation.id)
            if "r" in request.value:  # the preview that was edited cannot be sent any more
                await tx.conversations.drop_draft(UUID(request.value["r"]))
        to = To.REPLACE if request.action == "as_text" else To.ASKER
        return view.preview(plan, profile, str(draft.id), thread, to)

    async def _close(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        async with services.store.begin(request.tenant) as tx:
            conversation = await _conversation(tx, UUID(request.value["c"]), lock=True)
            await talks.resume(tx, conversation)
            if await tx.conversations.close(conversation.id, request.actor.user_id):
                await audit(tx, request, "sms.close", f"conversation:{conversation.id}")
                await talks.touch(tx, conversation.id)
        return []

    async def _chosen(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        profile = services.profile(request.tenant)
        async with services.store.begin(request.tenant) as tx:
            conversation = await _conversation(tx, UUID(request.value["c"]), lock=True)
            chosen = request.inputs.get("account", "")
            people = await talks.candidates_of(tx, conversation.number)
            subscriber = next((person for person in people if str(person.id) == chosen), None)
            if subscriber is None:
                raise UserError("This number is not on that account any more.", "Choose again.")
            await tx.conversations.about(conversation.id, subscriber.id)
            told = f"Account {subscriber.account} was chosen."
            await talks.tell(tx, profile, conversation, told, once=request.step("chosen"))
            await audit(
                tx,
                request,
                "sms.choose",
                f"account:{subscriber.account}",
                detail={"conversation": str(conversation.id)},
            )
            await talks.touch(tx, conversation.id)
        return []

    async def _decided(
        self, request: CommandRequest, services: Services, decision: Decision
    ) -> Sequence[Reply]:
        """What a "cancel" was about; the first decision counts."""
        profile = services.profile(request.tenant)
        async with services.store.begin(request.tenant) as tx:
            conversation = await _conversation(tx, UUID(request.value["c"]), lock=True)
            if not conversation.paused:
                return [view.done("That has been decided already.")]
            await talks.resume(tx, conversation)
            told = "It is about the service: texts go on. Talk to them about it."
            if decision is Decision.TEXTS:
                before = await opted_out(tx, conversation.number)
                evidence = f"conversation {conversation.id}"
                actor = request.actor.user_id
                await opt_out(tx, conversation.number, source=BY_AGENT, evidence=evidence, actor=actor)
                if before is None:
                    await talks.confirm_stop(services, tx, profile, conversation, request.step("stopped"))
                told = "It is about the texts: they get no more of them."
            await talks.tell(tx, profile, conversation, told, once=request.step("decided"))
            await audit(
                tx,
                request,
                "sms.decide",
                f"conversation:{conversation.id}",
                detail={"about": decision},
            )
            await talks.touch(tx, conversation.id)
        return []


def _thread(request: CommandRequest) -> dict[str, str]:
    """Where the answers to this stand."""
    ts = request.value.get("thread_ts")
    return {"thread_ts": str(ts)} if ts else {}


async def _conversation(tx: Tx, conversation_id: UUID, *, lock: bool = False) -> Conversation:
    found = await tx.conversations.get(conversation_id, lock=lock)
    if found is None:
        raise _GONE
    return found


COMMAND = Thread()
