"""A process that talks to a server as fast as it is answered: prepared octets, one answer awaited for each.

`python -m benchmarks.load HOST PORT CONNECTIONS FILE END`: the file holds one request after the other, each
behind its length (4 octets, big endian); END tells how an answer ends: `http` (its body is there) or `line`.
With several parts to a request (SMTP), the parts are separated by NUL octets, each answered by one line.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

AGAIN_S = 0.02
"""Who is told to come again later does, as Twilio and every relay do."""
HTTP_END = b"\r\n\r\n"


def write_requests(path: Path, requests: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(struct.pack(">I", len(one)) + one for one in requests))


def _requests(path: Path) -> list[bytes]:
    raw, at, found = path.read_bytes(), 0, []
    while at < len(raw):
        (length,) = struct.unpack_from(">I", raw, at)
        found.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    return found


async def _http(host: str, port: int, requests: list[bytes]) -> int:
    """How many were not answered 200."""
    reader, writer = await asyncio.open_connection(host, port)
    bad = 0
    while requests:
        request = requests.pop()
        writer.write(request)
        head = await reader.readuntil(HTTP_END)
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        if head.startswith(b"HTTP/1.1 503"):
            requests.append(request)
            await asyncio.sleep(AGAIN_S)
            continue
        bad += not head.startswith(b"HTTP/1.1 200")
    writer.close()
    return bad


async def _smtp(host: str, port: int, requests: list[bytes]) -> int:
    """How many messages were not taken; several a connection."""
    reader, writer = await asyncio.open_connection(host, port)
    await reader.readline()
    writer.write(b"EHLO bench.example\r\n")
    while (await reader.readline())[3:4] == b"-":
        pass
    bad = 0
    while requests:
        request, line = requests.pop(), b""
        for part in request.split(b"\x00"):
            writer.write(part)
            line = await reader.readline()
            if line.startswith(b"4"):
                break
        if line.startswith(b"4"):
            requests.append(request)
            writer.write(b"RSET\r\n")
            await reader.readline()
            await asyncio.sleep(AGAIN_S)
            continue
        bad += not line.startswith(b"250")
    writer.write(b"QUIT\r\n")
    writer.close()
    return bad


async def main(host: str, port: int, connections: int, file: Path, end: str) -> int:
    requests = _requests(file)[::-1]
    talk = _http if end == "http" else _smtp
    bad = await asyncio.gather(*(talk(host, port, requests) for _ in range(connections)))
    return sum(bad)


async def run_load(host: str, port: int, connections: int, file: Path, end: str) -> None:
    """From a process of its own, to its end; RuntimeError when anything was answered otherwise."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.load", host, str(port), str(connections), str(file), end
    )
    if await process.wait():
        raise RuntimeError("the load was not answered as it should be")


if __name__ == "__main__":
    import uvloop

    failed = uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5]))
    if failed:
        print(f"{failed} were not taken", file=sys.stderr)
    sys.exit(1 if failed else 0)
