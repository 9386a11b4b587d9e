"""The viewer's page and its files, out of the package `aspen.memory_viewer`."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from aspen.server.problems import problem_response

PAGES = ("conversation", "recall", "graph", "trace", "memories", "health")
FOLDER = Path(str(files("aspen"))) / "memory_viewer" / "static"
_MISSING = """<!doctype html>
<html lang="en">
<title>Aspen: no page</title>
<h1>The page of the memory viewer is not installed</h1>
<p>Its files are missing in this copy of the package, so only the REST API answers, under <code>/api/v1</code>.</p>
<p>Install the package again: <code>pip install --force-reinstall "aspen-memory[server]"</code></p>
</html>
"""
_LONGEST = 255
"""Characters: more are no name of a file, and some systems say so by an error."""
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""What a system may name otherwise, and browsers then refuse."""


def add_pages(app: FastAPI, *, folder: Path = FOLDER) -> None:
    """Serve the page at `/` and at the addresses of its parts, and its files under `/static`."""

    async def page(request: Request) -> Response:
        return _file(folder, "index.html", request) or HTMLResponse(_MISSING, status_code=503)

    async def file(request: Request) -> Response:
        return _file(folder, request.path_params["path"], request) or _no_file()

    app.add_route("/", page, methods=["GET"], include_in_schema=False)
    for name in PAGES:
        app.add_route(f"/{name}", page, methods=["GET"], include_in_schema=False)
        app.add_route(f"/{name}/{{rest:path}}", page, methods=["GET"], include_in_schema=False)
    app.add_route("/static/{path:path}", file, methods=["GET"], include_in_schema=False)


def _no_file() -> Response:
    return problem_response(404, error="NotFound", detail="There is no such file.")


def _file(folder: Path, name: str, request: Request) -> Response | None:
    """A file of the folder; None where there is none. 304 where the client has it."""
    path = _inside(folder, name)
    if path is None:
        return None
    body, digest = _read(path, path.stat().st_mtime_ns)
    # Not kept without asking: after an upgrade the page must not be put together from old parts and new ones.
    headers = {"ETag": f'"{digest}"', "Cache-Control": "no-cache"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Response(body, media_type=kind, headers=headers)


def _inside(folder: Path, name: str) -> Path | None:
    """The file of this name, which lies in the folder, also where links lead out of it; None otherwise."""
    if "\\" in name or "\0" in name or len(name) > _LONGEST:
        return None
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


@lru_cache(maxsize=256)
def _read(path: Path, changed: int) -> tuple[bytes, str]:
    """Content and hash of a file, which changed last at `changed`."""
    body = path.read_bytes()
    return body, hashlib.sha256(body).hexdigest()[:32]
