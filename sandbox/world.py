"""What every part of the miniature world shares: clock, wire list, change notices, stored documents.

One `World` per process. Business time is real time plus an offset that only the control API moves;
everything else (signatures, time-outs, rate limits) stays in real time. State lives in DIR/sandbox.db,
mirrored in memory, so that it survives a kill -9 and a restart of the sandbox.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
from collections.abc import Coroutine, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from aiohttp import web

Service = Literal["slack", "mail", "dns", "phone", "billing", "product"]
Direction = Literal["in", "out"]
TOPICS = frozenset({"slack", "mail", "phone", "wire", "clock"})
WIRE_KEPT = 5000


class ControlError(Exception):
    """A control call that cannot be obeyed: one sentence for the caller and a 4xx status."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


def write_json_atomically(path: Path, value: object) -> None:
    """Readers see the old file or the new one, never half of one."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    scratch.replace(path)


class Clock:
    """Business time. `DIR/clock.json` holds `{"offset_s": float}` for other processes to follow."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset_s = 0.0
        self._moved = asyncio.Event()
        if path.exists():
            self._offset_s = float(json.loads(path.read_text(encoding="utf-8"))["offset_s"])
        else:
            write_json_atomically(path, {"offset_s": 0.0})

    @property
    def offset_s(self) -> float:
        return self._offset_s

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._offset_s)

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ControlError("Business time only moves forward: advance_s must not be negative.")
        self._offset_s += seconds
        write_json_atomically(self._path, {"offset_s": self._offset_s})
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep_until(self, when: datetime) -> None:
        """Returns once business time has reached `when`, at once when the clock is moved past it."""
        while (left := (when - self.now()).total_seconds()) > 0:
            moved = self._moved
            try:
                await asyncio.wait_for(moved.wait(), timeout=min(left, 86_400.0))
            except TimeoutError:
                continue


class Changes:
    """Numbered notices "something new in <topic>", for long polls and server-sent events."""

    def __init__(self, start: int = 0) -> None:
        self._seq = start
        self._last: dict[str, int] = {}
        self._waiters: set[asyncio.Event] = set()
        self.closed = False

    @property
    def seq(self) -> int:
        return self._seq

    def close(self) -> None:
        """Lets everybody who waits go: the world ends."""
        self.closed = True
        for waiter in self._waiters:
            waiter.set()

    def notify(self, topic: str) -> None:
        self._seq += 1
        self._last[topic] = self._seq
        for waiter in self._waiters:
            waiter.set()

    def topics_since(self, since: int) -> set[str]:
        return {topic for topic, seq in self._last.items() if seq > since}

    async def wait(self, topics: Iterable[str], since: int, timeout_s: float) -> int:
        """The current number, as soon as one of `topics` changed after `since` or the time is over."""
        wanted = set(topics)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            while not self.closed and not wanted & self.topics_since(since):
                waiter.clear()
                try:
                    await asyncio.wait_for(waiter.wait(), timeout=max(deadline - loop.time(), 0.0))
                except TimeoutError:
                    break
        finally:
            self._waiters.discard(waiter)
        return self._seq


class Documents:
    """JSON documents by (kind, id), in insertion order; an overwritten document keeps its place.

    `get` and `all` hand out the mirror itself: after changing a document, `put` it back.
    """

    def __init__(self, path: Path) -> None:
        # Autocommit: every put is in the file's pages when it returns, and a kill -9 loses nothing.
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
            " kind TEXT NOT NULL, id TEXT NOT NULL, doc TEXT NOT NULL, UNIQUE (kind, id))"
        )
        self._mirror: dict[str, dict[str, dict[str, Any]]] = {}
        for kind, key, doc in self._db.execute("SELECT kind, id, doc FROM documents ORDER BY seq"):
            self._mirror.setdefault(kind, {})[key] = json.loads(doc)

    def put(self, kind: str, id: str, doc: dict[str, Any]) -> None:
        text = json.dumps(doc)
        self._db.execute(
            "INSERT INTO documents (kind, id, doc) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET doc = excluded.doc",
            (kind, id, text),
        )
        self._mirror.setdefault(kind, {})[id] = doc

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        return self._mirror.get(kind, {}).get(id)

    def all(self, kind: str) -> list[dict[str, Any]]:
        return list(self._mirror.get(kind, {}).values())

    def delete(self, kind: str, id: str) -> None:
        self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, id))
        self._mirror.get(kind, {}).pop(id, None)

    def delete_all(self, kind: str) -> None:
        self._db.execute("DELETE FROM documents WHERE kind = ?", (kind,))
        self._mirror.pop(kind, None)

    def close(self) -> None:
        self._db.close()


class Wire:
    """Every call that crossed between the product and this world, and what was wrong with it."""

    def __init__(self, documents: Documents, changes: Changes, clock: Clock) -> None:
        self._documents = documents
        self._changes = changes
        self._clock = clock
        kept = documents.all("wire")
        self._seq = int(kept[-1]["seq"]) if kept else 0
        self._oldest = int(kept[0]["seq"]) if kept else 1

    @property
    def seq(self) -> int:
        return self._seq

    def record(
        self,
        service: Service,
        direction: Direction,
        method: str,
        status: int | str,
        ms: float,
        problem: str | None = None,
        **detail: object,
    ) -> None:
        """`direction` is seen from the sandbox: "in" = the product called us, "out" = we called it."""
        self._seq += 1
        entry = {
            "seq": self._seq,
            "at": self._clock.now().isoformat(),
            "service": service,
            "direction": direction,
            "method": method,
            "status": status,
            "ms": round(ms, 1),
            "problem": problem,
            "detail": detail,
        }
        self._documents.put("wire", str(self._seq), entry)
        while self._seq - self._oldest >= WIRE_KEPT:
            self._documents.delete("wire", str(self._oldest))
            self._oldest += 1
        self._changes.notify("wire")

    def since(self, seq: int) -> list[dict[str, Any]]:
        first = max(seq + 1, self._oldest)
        entries = (self._documents.get("wire", str(number)) for number in range(first, self._seq + 1))
        return [entry for entry in entries if entry is not None]


class World:
    def __init__(self, state_dir: Path, host: str = "127.0.0.1") -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.state_dir = state_dir
        self.host = host
        self.documents = Documents(state_dir / "sandbox.db")
        self.clock = Clock(state_dir / "clock.json")
        # Numbers from before a restart must stay smaller than those after it: each start leaves a gap.
        starts = self.documents.get("counter", "starts") or {"value": 0}
        self.documents.put("counter", "starts", {"value": int(starts["value"]) + 1})
        self.changes = Changes(start=int(starts["value"]) * 1_000_000_000)
        self.wire = Wire(self.documents, self.changes, self.clock)
        self.endpoints: dict[str, Any] = {"clock_file": str(state_dir / "clock.json")}
        """What endpoints.json will hold: parts fill their section in start()."""
        self.previous_endpoints: dict[str, Any] = {}
        """What endpoints.json held before this start: ports and secrets to keep."""
        if self.endpoints_file.exists():
            self.previous_endpoints = json.loads(self.endpoints_file.read_text(encoding="utf-8"))
        self._background: set[asyncio.Task[None]] = set()
        self._given_ports: set[int] = set()

    @property
    def endpoints_file(self) -> Path:
        return self.state_dir / "endpoints.json"

    def free_port(self, preferred: int | None = None) -> int:
        """A port free for TCP and UDP on `host`: `preferred` if it is, else any; never the same twice."""
        for candidate in ([preferred] if preferred else []) + [0] * 50:
            port = _bindable(self.host, candidate)
            if port is not None and port not in self._given_ports:
                self._given_ports.add(port)
                return port
        raise OSError(f"no free port on {self.host}")

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` in the background until `close`; a crash in it shows in the wire list."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (crash := task.exception()) is not None:
            problem = f"the sandbox itself failed: {type(crash).__name__}: {crash}"
            self.wire.record("product", "out", "background", "crash", 0.0, problem)

    async def close(self) -> None:
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.documents.close()


def _bindable(host: str, port: int) -> int | None:
    """`port` (0 for any) if both TCP and UDP can be bound there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind((host, port))
                udp.bind((host, tcp.getsockname()[1]))
            except OSError:
                return None
            return int(tcp.getsockname()[1])


class Part(Protocol):
    """A part of the world: slack, mail, dns, product."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def routes(self) -> list[web.RouteDef]: ...


_KIND_WORDS: dict[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _checked(name: str, value: Any, kind: type) -> Any:
    accepted: tuple[type, ...] = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) and kind is not bool:
        accepted = ()
    if kind is not object and not isinstance(value, accepted):
        word = _KIND_WORDS.get(kind, f"a JSON {'object' if kind is dict else 'array'}")
        raise ControlError(f"{name} must be {word}.")
    return value


def checked_keys(
    given: Mapping[str, Any],
    required: Mapping[str, type] | None = None,
    optional: Mapping[str, type] | None = None,
) -> dict[str, Any]:
    """The call's values, or a ControlError that names every missing, unknown or ill-typed key."""
    required, optional = required or {}, optional or {}
    known = {**required, **optional}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ControlError(f"Unknown key: {', '.join(unknown)}. Known keys: {', '.join(sorted(known))}.")
    missing = sorted(set(required) - set(given))
    if missing:
        raise ControlError(f"Missing key: {', '.join(missing)}.")
    return {
        name: _checked(name, value, known[name])
        for name, value in given.items()
        if not (value is None and name in optional)
    }


async def control_body(
    request: web.Request,
    required: Mapping[str, type] | None = None,
    optional: Mapping[str, type] | None = None,
) -> dict[str, Any]:
    """The JSON object of a control call, checked. Types: str, int, float, bool, dict, list, object=any."""
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        raise ControlError("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise ControlError("The body must be a JSON object.")
    return checked_keys(body, required, optional)


def control_query(
    request: web.Request, required: Iterable[str] = (), optional: Iterable[str] = ()
) -> dict[str, str]:
    """The query of a control call, checked; every value is text."""
    return checked_keys(dict(request.query), dict.fromkeys(required, str), dict.fromkeys(optional, str))


def number_in_query(query: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(query.get(name, default))
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise ControlError(f"{name} must be a number of zero or more.")
    return value
