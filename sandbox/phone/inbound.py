"""A subscriber texts: Twilio's own opt-out words first, then the product's webhook, then what it answers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urljoin

from sandbox.phone.account import Account, control_number
from sandbox.phone.behaviour import Behaviour, Behaviours
from sandbox.phone.carrier import Carrier
from sandbox.phone.messages import API_VERSION, Messages, Text
from sandbox.phone.optout import OptOuts
from sandbox.phone.segments import count_segments
from sandbox.phone.twiml import Reply, read_twiml
from sandbox.phone.webhook import Answer, Webhooks
from sandbox.world import ControlError, World, checked_keys

LONGEST_BODY: Final = 1600
MOST_MEDIA: Final = 10
PATH: Final = "/twilio/inbound"


class Inbound:
    def __init__(
        self,
        world: World,
        account: Account,
        messages: Messages,
        behaviours: Behaviours,
        opt_outs: OptOuts,
        carrier: Carrier,
        webhooks: Webhooks,
    ) -> None:
        self._world = world
        self._account = account
        self._messages = messages
        self._behaviours = behaviours
        self._opt_outs = opt_outs
        self._carrier = carrier
        self._webhooks = webhooks

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._world.endpoints['product']['http_port']}{PATH}"

    async def send(self, phone: str, body: str, to: str | None, media: Sequence[Any]) -> dict[str, Any]:
        """The answer of POST /sandbox/phone/send."""
        number, sender = control_number(phone), self._sender(phone, to)
        if not body and not media:
            raise ControlError("A text has a body or media.")
        if len(body) > LONGEST_BODY or len(media) > MOST_MEDIA:
            raise ControlError(f"A text has at most {LONGEST_BODY} characters and {MOST_MEDIA} media.")
        if number in self._account.senders:
            raise ControlError(f"{number} is the provider's own sender, not a subscriber's phone.")
        text = self._messages.enter(
            "inbound",
            number,
            sender,
            body,
            "received",
            segments=count_segments(body),
            service=self._account.messaging_service_sid,
            media=[self._attachment(one) for one in media],
        )
        for one in text["media"]:
            if "sid" in one:
                api = self._world.endpoints["twilio"]["api"]
                one["url"] = f"{api}{self._messages.uri(text)}/Media/{one['sid']}"
        self._messages.move(text, "received")
        answered = self._opt_outs.hear(number, sender, body)
        if answered is not None:
            self._automatic(sender, number, answered)
        return await self._hand_over(text)

    def _sender(self, phone: str, to: str | None) -> str:
        """Who the phone answers: the last one that wrote to it."""
        if to is None:
            last = self._messages.last_of(control_number(phone))
            numbers = {last["from"], last["to"]} if last is not None else set()
            return next((one for one in self._account.senders if one in numbers), self._account.senders[0])
        sender = control_number(to)
        if sender not in self._account.senders:
            known = ", ".join(self._account.senders)
            raise ControlError(f"{sender} is not a sender of this world; senders: {known}.", 404)
        return sender

    def _attachment(self, given: Any) -> dict[str, Any]:
        if isinstance(given, str):
            return {"content_type": "application/octet-stream", "url": given}
        if not isinstance(given, dict):
            raise ControlError("media holds URLs or objects of content_type and base64.")
        one = checked_keys(given, {"content_type": str, "base64": str})
        try:
            base64.b64decode(one["base64"], validate=True)
        except binascii.Error:
            raise ControlError("base64 of a media is not base64.") from None
        sid = self._messages.keep_media(one["content_type"], one["base64"])
        return {"sid": sid, "content_type": one["content_type"]}

    def _automatic(self, sender: str, number: str, body: str) -> None:
        text = self._messages.enter("outbound-reply", sender, number, body, "sent", automatic=True)
        self._messages.move(text, "delivered")

    async def _hand_over(self, text: Text) -> dict[str, Any]:
        params = self._params(text)
        answer = await self._webhooks.post("inbound text", self.url, params, sid=text["sid"])
        replies = [] if answer.problem else self._obey(text, answer)
        if self._behaviours.of(text["from"]).duplicate:
            await self._webhooks.post("inbound text", self.url, params, sid=text["sid"], duplicate=True)
        result: dict[str, Any] = {
            "sid": text["sid"],
            "status": answer.status,
            "ms": round(answer.ms, 1),
            "replies": replies,
        }
        if answer.problem:
            result["error"] = f"The text went out, but {_sentence(answer)}"
        return result

    def _params(self, text: Text) -> dict[str, str]:
        params = {
            "AccountSid": self._account.sid,
            "ApiVersion": API_VERSION,
            "Body": text["body"],
            "From": text["from"],
            "FromCity": "",
            "FromCountry": "US",
            "FromState": "",
            "FromZip": "",
            "MessageSid": text["sid"],
            "MessagingServiceSid": self._account.messaging_service_sid,
            "NumMedia": str(len(text["media"])),
            "NumSegments": str(text["segments"]),
            "SmsMessageSid": text["sid"],
            "SmsSid": text["sid"],
            "SmsStatus": "received",
            "To": text["to"],
            "ToCity": "",
            "ToCountry": "US",
            "ToState": "WA",
            "ToZip": "",
        }
        for number, one in enumerate(text["media"]):
            params[f"MediaContentType{number}"] = one["content_type"]
            params[f"MediaUrl{number}"] = one["url"]
        return params

    def _obey(self, text: Text, answer: Answer) -> list[str]:
        """The sids of the texts that the product's TwiML sends."""
        twiml = read_twiml(answer.body, answer.content_type)
        problems = list(twiml.problems)
        sids = []
        for reply in twiml.replies:
            trouble = self._refuses(text, reply)
            if trouble:
                problems.append(trouble)
            else:
                sids.append(self._reply(text, reply))
        for problem in problems:
            self._world.wire.record("phone", "in", "TwiML", answer.status, 0.0, problem, sid=text["sid"])
        return sids

    def _refuses(self, text: Text, reply: Reply) -> str | None:
        if not reply.body and not reply.media:
            return "14103: a <Message> without a body"
        if len(reply.body) > LONGEST_BODY:
            return "21617: a <Message> of more than 1600 characters"
        if self._opt_outs.blocked(reply.to or text["from"], text["to"]):
            return "21610: a <Message> to a number that has unsubscribed"
        return None

    def _reply(self, text: Text, reply: Reply) -> str:
        sent = self._messages.enter(
            "outbound-reply",
            text["to"],
            reply.to or text["from"],
            reply.body,
            "queued",
            segments=count_segments(reply.body, smart=True),
            service=text["service"],
            media=[{"url": url} for url in reply.media],
            callback=urljoin(self.url, reply.callback) if reply.callback else None,
        )
        behaviour = self._behaviours.take(sent["to"])
        if behaviour.refusal is not None:
            behaviour = Behaviour(error_code=30008)
        self._carrier.take(sent, behaviour)
        return str(sent["sid"])


def _sentence(answer: Answer) -> str:
    if answer.status == "connection_failed":
        return "the product does not answer."
    if answer.status == "timeout":
        return "the product did not answer in time."
    return f"the product answered {answer.status} instead of 200."
