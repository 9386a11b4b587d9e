"""Memories in and out: importing a file as a job, exporting as a stream."""

from __future__ import annotations

import asyncio
import queue
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from aspen.aspen import Aspen
from aspen.errors import InvalidInput
from aspen.interchange import Format, ImportProgress, export_memories, import_file
from aspen.server.asked import InRoom, JsonRoute, Store
from aspen.server.jobs import Job, Progress
from aspen.server.problems import responses
from aspen.validation import check_name

_FILE_TYPES = ("application/octet-stream", "application/x-ndjson", "application/jsonl", "application/json")
_EXPORT_TYPE = "application/x-ndjson"
_CHUNK = 64 * 1024
_WAITING = 8
"""Chunks that may wait for a slow client."""
_LOOK_SECONDS = 0.5


class FileRoute(JsonRoute):
    """Takes a file as the body."""

    media_types = _FILE_TYPES


router = APIRouter(route_class=JsonRoute, tags=["transfer"])
_files = APIRouter(route_class=FileRoute)

Named = Annotated[str | None, Query(min_length=1, max_length=500)]
_FILE_BODY = {
    "requestBody": {
        "required": True,
        "description": "A file of one of the formats.",
        "content": {kind: {"schema": {}} for kind in _FILE_TYPES},
    }
}


@_files.post("/import", status_code=202, responses=responses(413, 415), openapi_extra=_FILE_BODY)
async def import_memories(
    request: Request,
    *,
    room: InRoom,
    response: Response,
    format: Annotated[Format | None, Query(description="Told by the content where it is left out.")] = None,  # noqa: A002
    conversation: Named = None,
    name: Annotated[
        str,
        Query(
            min_length=1, max_length=200, description="What the file is called: places in it are named by it."
        ),
    ] = "import.jsonl",
) -> Job:
    """Remember what a file holds; it is the body. A file that was imported before adds nothing.

    A job that was cancelled goes on where it was when the same file, of the same name, is sent again.
    """
    check_name(conversation, what="conversation")
    if name != Path(name).name or not name.isprintable() or name in (".", ".."):
        raise InvalidInput("The name of a file has no folders in it.", hint="Write it as in chat.jsonl.")
    folder = Path(await run_in_threadpool(tempfile.mkdtemp, prefix="aspen-import-"))  # for its owner only
    try:
        await _receive(request, folder / name)
        job = room.jobs.start(
            "import",
            lambda progress: _imported(
                room.aspen, folder / name, format=format, conversation=conversation, progress=progress
            ),
            unit="share of the file",
            after=lambda: shutil.rmtree(folder, ignore_errors=True),
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job


async def _receive(request: Request, path: Path) -> None:
    """Write the body of a request to a file. InvalidInput where there is none."""
    size = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            await run_in_threadpool(file.write, chunk)
    if size == 0:
        raise InvalidInput("The file is empty.", hint="Send it as the body of the request.")


def _imported(
    aspen: Aspen,
    path: Path,
    *,
    format: Format | None,  # noqa: A002 - the word of the field
    conversation: str | None,
    progress: Progress,
) -> Mapping[str, Any]:
    def tell(now: ImportProgress) -> None:
        progress.report(round(now.done, 4), total=1, message=f"{now.stored:,} stored")

    return asdict(import_file(aspen, path, format=format, conversation=conversation, progress=tell))


router.include_router(_files)


@router.get(
    "/export",
    response_class=Response,
    responses={
        200: {
            "description": "One JSON document a line: a header, memories oldest first, then relations.",
            "content": {_EXPORT_TYPE: {"schema": {"type": "string"}}},
        },
        **responses(404),
    },
)
async def export(aspen: Store, conversation: Named = None) -> Response:
    """All memories and their relations, or those of one conversation, as `/import` takes them."""
    pipe = _Pipe()

    def write() -> None:
        try:
            export_memories(aspen, cast("TextIO", pipe), conversation=conversation)
            pipe.end(None)
        except _Abandoned:
            pass
        except Exception as error:  # noqa: BLE001 - raised again where the response is made
            pipe.end(error)

    threading.Thread(target=write, name="aspen-export", daemon=True).start()
    first = await _next(pipe)  # what is refused is refused here, with a status of its own

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            chunk = first
            while chunk:
                yield chunk
                chunk = await _next(pipe)
        finally:
            pipe.abandoned.set()

    headers = {"Content-Disposition": 'attachment; filename="memories.jsonl"'}
    return StreamingResponse(chunks(), media_type=_EXPORT_TYPE, headers=headers)


class _Abandoned(Exception):
    """Nobody reads any more."""


class _Pipe:
    """What one thread writes as text, another reads as bytes; nothing of it lies in a file."""

    def __init__(self) -> None:
        self.abandoned = threading.Event()
        self.chunks: queue.Queue[bytes | Exception] = queue.Queue(maxsize=_WAITING)
        self._parts: list[str] = []
        self._length = 0

    def write(self, text: str) -> int:
        self._parts.append(text)
        self._length += len(text)
        if self._length >= _CHUNK:
            self._flush()
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def end(self, error: Exception | None) -> None:
        """No more comes, for all is written, or because of an error."""
        if error is None:
            self._flush()
        self._put(error or b"")

    def take(self) -> bytes | Exception:
        """The next chunk; empty at the end, and where it was given up: nobody writes any more then."""
        while True:
            try:
                return self.chunks.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if self.abandoned.is_set():
                    return b""

    def _flush(self) -> None:
        if self._parts:
            self._put("".join(self._parts).encode())
            self._parts, self._length = [], 0

    def _put(self, chunk: bytes | Exception) -> None:
        while not self.abandoned.is_set():
            try:
                self.chunks.put(chunk, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return
        raise _Abandoned


async def _next(pipe: _Pipe) -> bytes:
    chunk = await asyncio.get_running_loop().run_in_executor(None, pipe.take)
    if isinstance(chunk, Exception):
        raise chunk
    return chunk
