"""`ispbot dkim`: the key record of each route that signs, ready to publish, and what DNS has of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bot.config import Config
from bot.wiring import routes_of
from notifier.channels import Route
from notifier.mailauth import (
    DkimRecordCheck,
    DmarcCheck,
    PublicKey,
    Resolver,
    check_dkim_record,
    check_dmarc,
    txt_strings,
)
from notifier.mailauth.dkim_sign import GOOD_RSA_BITS, DkimSigner, load_signer, new_key

Say = Callable[[str], None]
_KINDS = {"rsa": "RSA", "ed25519": "Ed25519"}


@dataclass(frozen=True, slots=True)
class SignedRoute:
    """One route with a key: what DNS has of the key, and whether its signature counts for the From domain."""

    name: str
    route: Route
    signer: DkimSigner
    record: DkimRecordCheck
    dmarc: DmarcCheck

    @property
    def counts(self) -> bool | None:
        """None when DNS did not answer."""
        return self.dmarc.dkim[0].aligned if self.dmarc.dkim else None


async def look(config: Config, resolver: Resolver) -> list[SignedRoute]:
    found: list[SignedRoute] = []
    for key, tenant in config.app.tenants.items():
        for route in routes_of(config, key, tenant):
            signer = route.dkim
            if signer is None:
                continue
            record = await check_dkim_record(signer.domain, signer.selector, signer.public, resolver)
            facts = route.sender_facts
            dmarc = await check_dmarc(facts.from_domain, dkim=[(signer.domain, "pass")], resolver=resolver)
            found.append(SignedRoute(f"{key}/{route.name}", route, signer, record, dmarc))
    return found


def tell(found: list[SignedRoute], say: Say) -> bool:
    """Says it all; True when every record is right."""
    if not found:
        say("No route signs with DKIM. Make a key with `ispbot dkim new FILE`, put what the file holds into")
        say("an environment variable, and name that: routes.X.dkim: {domain, selector, key_env}.")
        return True
    for one in found:
        kind = _KINDS[one.signer.public.kind]
        bits = f", {one.signer.bits} bits" if kind == "RSA" else ""
        say(f"{one.name} signs as {one.signer.domain}, selector {one.signer.selector} ({kind}{bits})")
        _tell_record(one.record.name, one.signer.public, say)
        say(f"  DNS:   {one.record.state}. {one.record.sentence}")
        if one.counts is False:
            say(
                f"  Note:  {one.signer.domain} does not count for {one.dmarc.domain}, the From of this route:"
            )
            say("         DMARC cannot pass by this signature.")
        if kind == "RSA" and one.signer.bits < GOOD_RSA_BITS:
            say(f"  Note:  {one.signer.bits} bits are weak (RFC 8301); make a new key with 2048.")
        say("")
    return all(one.record.right for one in found)


def _tell_record(name: str, public: PublicKey, say: Say) -> None:
    say(f"  Name:  {name}")
    say("  Type:  TXT")
    strings = " ".join(f'"{part}"' for part in txt_strings(public.record))
    say(f"  Value: {strings}")


def write_key(path: Path, *, ed25519: bool, bits: int, domain: str, selector: str, say: Say) -> None:
    """A new key in a file that only its owner can read. FileExistsError instead of losing an old one."""
    pem = new_key(ed25519=ed25519, bits=bits)
    signer = load_signer(domain, selector, pem)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(pem)
    say(f"{path} holds a new private key; only you can read it. Publish this:")
    _tell_record(f"{selector.lower()}._domainkey.{signer.domain}", signer.public, say)
    say("Put what the file holds into an environment variable and name it in app.yaml, under the route:")
    say(f'  export ISPBOT_DKIM_KEY="$(cat {path})"')
    say(f"  dkim: {{domain: {signer.domain}, selector: {selector}, key_env: ISPBOT_DKIM_KEY}}")
    say("Then `ispbot dkim` tells whether DNS has it. Publish first, sign after.")
