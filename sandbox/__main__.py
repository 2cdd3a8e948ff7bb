"""`python -m sandbox --port P --state DIR`: the outside world in miniature, on loopback, until a signal."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.app import CorePart, Site
from sandbox.billing import BillingPart
from sandbox.cast import Cast
from sandbox.dns import DnsPart
from sandbox.mail import MailPart
from sandbox.page import PagePart
from sandbox.phone import PhonePart
from sandbox.product import ProductPart
from sandbox.slack import SlackPart
from sandbox.world import World


def build(
    state_dir: Path,
    port: int = 0,
    host: str = "127.0.0.1",
    product_commands: Sequence[Sequence[str]] = (),
    *,
    socket_mode: bool = False,
) -> Site:
    """The whole world of one state directory, not started yet."""
    world = World(state_dir.resolve(), host)
    product = ProductPart(world, product_commands)
    cast = Cast.load_or_write(world.state_dir)
    world.endpoints["cast"] = str(world.state_dir / "cast")
    dns = DnsPart(world)
    slack = SlackPart(world, socket_mode=socket_mode)
    core = CorePart(world, product, slack, cast)
    mail, phone, page = MailPart(world, dns), PhonePart(world, cast), PagePart(world, slack)
    billing = BillingPart(world, cast, product)
    return Site(world, [product, dns, mail, slack, phone, billing, page, core], port)


def _argv(text: str) -> list[str]:
    value = json.loads(text)
    if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):
        raise ValueError("not a JSON array of words")
    return value


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of the page and the control API; 0 = any")
    parser.add_argument("--state", type=Path, required=True, help="directory that survives a restart")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--product", type=_argv, action="append", default=[], help="JSON argv of a child process; repeatable"
    )
    parser.add_argument(
        "--socket-mode", action="store_true", help="Slack reaches the product over its own connections"
    )
    return parser.parse_args(argv)


async def _serve(arguments: argparse.Namespace) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    site = build(
        arguments.state,
        arguments.port,
        arguments.host,
        arguments.product,
        socket_mode=arguments.socket_mode,
    )
    await site.start()
    print(f"sandbox ready {site.url}", flush=True)
    try:
        await ended.wait()
    finally:
        await site.stop()


def main() -> None:
    asyncio.run(_serve(_arguments(sys.argv[1:])))


if __name__ == "__main__":
    main()
