"""files.*: the external upload in three steps, as files.upload is gone."""

from __future__ import annotations

import mimetypes
import secrets
from typing import Any
from urllib.parse import quote

from aiohttp import web

from sandbox.slack.call import Call, Desk
from sandbox.slack.content import parsed, suspicious
from sandbox.slack.errors import SlackError
from sandbox.slack.workspace import BOT_USER_ID

KIND = "slack_file"


def get_upload_url(call: Call) -> dict[str, Any]:
    filename = call.text("filename")
    length = call.whole("length", 0, 1024**3) if call.args.get("length") else None
    if length is None:
        raise SlackError("invalid_arguments", messages=["[ERROR] missing required field: length"])
    file_id = f"F{secrets.token_hex(5).upper()}"
    kept = {
        "id": file_id,
        "name": filename,
        "length": length,
        "size": None,
        "message": None,
        "title": filename,
    }
    call.desk.world.documents.put(KIND, file_id, kept)
    return {"upload_url": f"{call.desk.world.endpoints['http']}/slack/upload/{file_id}", "file_id": file_id}


def _file(call: Call, file_id: object) -> dict[str, Any]:
    kept = call.desk.world.documents.get(KIND, file_id) if isinstance(file_id, str) else None
    if kept is None or kept["size"] is None:
        raise SlackError("file_not_found")
    return kept


def file_view(desk: Desk, kept: dict[str, Any]) -> dict[str, Any]:
    mimetype = mimetypes.guess_type(kept["name"])[0] or "application/octet-stream"
    address = f"{desk.world.endpoints['http']}/slack/files/{kept['id']}"
    return {
        "id": kept["id"],
        "name": kept["name"],
        "title": kept["title"],
        "mimetype": mimetype,
        "filetype": kept["name"].rpartition(".")[2],
        "size": kept["size"],
        "user": BOT_USER_ID,
        "mode": "hosted",
        "url_private": address,
        "url_private_download": address,
    }


def complete_upload(call: Call) -> dict[str, Any]:
    files = parsed(call.args, "files", "invalid_arguments")
    if not isinstance(files, list) or not files or not all(isinstance(one, dict) for one in files):
        raise SlackError("invalid_arguments", messages=["[ERROR] missing required field: files"])
    done = []
    for one in files:
        kept = _file(call, one.get("id"))
        kept["title"] = one.get("title") or kept["name"]
        done.append(kept)
    views = [file_view(call.desk, kept) for kept in done]
    if channel_id := call.args.get("channel_id"):
        call.args = {**call.args, "channel": channel_id}
        channel = call.joined(call.channel())
        comment = str(call.args.get("initial_comment") or "")
        call.complain(suspicious(comment, None))
        thread_ts = str(call.args["thread_ts"]) if call.args.get("thread_ts") else None
        message = call.desk.messages.add(channel.id, BOT_USER_ID, comment, files=views, thread_ts=thread_ts)
        for kept in done:
            kept["message"] = [channel.id, message["ts"]]
    for kept in done:
        call.desk.world.documents.put(KIND, kept["id"], kept)
    return {"files": views}


def info(call: Call) -> dict[str, Any]:
    kept = _file(call, call.args.get("file"))
    view = file_view(call.desk, kept)
    channel, ts = kept["message"] or (None, None)
    view["channels"] = [channel] if channel else []
    view["shares"] = {"public": {channel: [{"ts": ts}]}} if channel else {}
    return {"file": view, "comments": [], "response_metadata": {"next_cursor": ""}}


METHODS = {
    "files.getUploadURLExternal": get_upload_url,
    "files.completeUploadExternal": complete_upload,
    "files.info": info,
}


class FileStore:
    """Where the bytes go (the upload URL) and where people read them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._directory = desk.world.state_dir / "slack-files"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/slack/upload/{id}", self._receive),
            web.put("/slack/upload/{id}", self._receive),
            web.get("/slack/files/{id}", self._show),
        ]

    async def _receive(self, request: web.Request) -> web.Response:
        kept = self._desk.world.documents.get(KIND, request.match_info["id"])
        if kept is None:
            return web.Response(status=404, text="no such upload")
        content = await _content(request)
        problem = None
        if len(content) != kept["length"]:
            problem = f"announced {kept['length']} bytes and sent {len(content)}"
        self._directory.mkdir(exist_ok=True)
        (self._directory / kept["id"]).write_bytes(content)
        kept["size"] = len(content)
        self._desk.world.documents.put(KIND, kept["id"], kept)
        self._desk.world.wire.record("slack", "in", "upload", 200, 0.0, problem, file=kept["id"])
        return web.Response(text=f"OK - {len(content)}")

    async def _show(self, request: web.Request) -> web.StreamResponse:
        kept = self._desk.world.documents.get(KIND, request.match_info["id"])
        if kept is None or kept["size"] is None:
            return web.Response(status=404, text="no such file")
        # Always a download: an uploaded HTML file must not run on the page's origin.
        return web.FileResponse(
            self._directory / kept["id"],
            headers={
                "Content-Type": file_view(self._desk, kept)["mimetype"],
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(kept['name'], safe='')}",
                "X-Content-Type-Options": "nosniff",
            },
        )


async def _content(request: web.Request) -> bytes:
    """The raw body, or the one file of a multipart form."""
    if request.content_type != "multipart/form-data":
        return await request.read()
    for value in (await request.post()).values():
        if isinstance(value, web.FileField):
            return value.file.read()
    return b""
