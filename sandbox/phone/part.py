"""The phone part of the world: builds Twilio's account, its API, the carriers behind it and the phones."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from sandbox.cast import Cast
from sandbox.phone.account import Account
from sandbox.phone.behaviour import Behaviours
from sandbox.phone.carrier import Carrier
from sandbox.phone.control import PhoneControl
from sandbox.phone.inbound import Inbound
from sandbox.phone.messages import Messages
from sandbox.phone.optout import OptOuts
from sandbox.phone.rest import RestApi
from sandbox.phone.timing import Timing
from sandbox.phone.webhook import Webhooks
from sandbox.world import World

SEED_KIND: Final = "phone_seed"
LANDLINE: Final = 30006


class PhonePart:
    """The API listens with the control API, at endpoints["http"]."""

    def __init__(self, world: World, cast: Cast, timing: Timing | None = None) -> None:
        self._world = world
        timing = timing or Timing()
        self.account = Account.kept_in(world.documents)
        self._messages = Messages(world, self.account.sid)
        self._behaviours = Behaviours(world.documents)
        self._opt_outs = OptOuts(world.documents)
        if world.documents.get(SEED_KIND, "done") is None:
            self._seed(cast)
            world.documents.put(SEED_KIND, "done", {"done": True})
        self._webhooks = Webhooks(world, self.account.auth_token, timing)
        self._carrier = Carrier(world, self.account, self._messages, self._webhooks, timing)
        known = (self._messages, self._behaviours, self._opt_outs)
        inbound = Inbound(world, self.account, *known, self._carrier, self._webhooks)
        self._rest = RestApi(world, self.account, *known, self._carrier, timing)
        self._control = PhoneControl(world, cast, *known, inbound)

    def _seed(self, cast: Cast) -> None:
        for number in cast.opted_out():
            for sender in self.account.senders:
                self._opt_outs.block(number, sender)
        for number in cast.landlines():
            self._behaviours.set({"number": number, "error_code": LANDLINE})

    async def start(self) -> None:
        self._world.endpoints["twilio"] = self.account.endpoint(self._world.endpoints["http"])
        await self._webhooks.start()
        self._carrier.start()

    async def stop(self) -> None:
        await self._carrier.stop()
        await self._webhooks.stop()

    def routes(self) -> list[web.RouteDef]:
        return [*self._control.routes(), *self._rest.routes()]
