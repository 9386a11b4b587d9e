"""Errors as problem+json (RFC 9457), with what an `AspenError` knows of them."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from aspen import errors

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("aspen.server")
_RETRY_SECONDS = 2

_STATUS: tuple[tuple[type[errors.AspenError], int], ...] = (
    # The first that fits counts: the leaves of the tree before what they grow from.
    (errors.InvalidInput, 422),
    (errors.NotFound, 404),
    (errors.AlreadyCorrected, 409),
    (errors.Conflict, 412),
    (errors.StoreBusy, 503),
    (errors.StoreNotWritable, 409),
    (errors.ModelMismatch, 409),
    (errors.StoreError, 503),
    (errors.MissingDependency, 503),
    (errors.ModelNotFound, 503),
    (errors.ModelError, 409),
    (errors.TraceError, 409),
    (errors.FragmentError, 409),
)
_SAID_WITH_HTTP = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed", 413: "BodyTooLarge"}


class Problem(BaseModel):
    """What went wrong, and what to do about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:aspen:problem:NotFound",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "The store has no memory 'm_0'.",
                    "error": "NotFound",
                    "hint": "Give the id whole, as it stands in the list of memories (`aspen list`).",
                    "details": {"id": "m_0"},
                }
            ]
        }
    )

    type: str = Field(description="A URN made of `error`.")
    title: str = Field(description="The name of the status.")
    status: int
    detail: str = Field(description="What was expected and what came, in a sentence.")
    error: str = Field(
        description="The kind of error: the name of a class in `aspen.errors`, or of the server's own."
    )
    hint: str = Field(description="What to do about it; empty where there is nothing to do.")
    details: dict[str, Any] = Field(description="The facts of the sentence as data.")


class Refused(Exception):
    """A request is refused before anything of Aspen sees it; becomes a problem of `status`."""

    def __init__(
        self,
        status: int,
        *,
        error: str,
        detail: str,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.error, self.detail, self.hint = status, error, detail, hint
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The problem, ready to be sent."""
        return problem_response(
            self.status, error=self.error, detail=self.detail, hint=self.hint, headers=self.headers
        )


class Busy(Refused):
    """Too much is under way just now: the same request may do later."""

    def __init__(self, detail: str, *, retry_seconds: int = _RETRY_SECONDS) -> None:
        super().__init__(
            503,
            error="Busy",
            detail=detail,
            hint=f"Try again in {retry_seconds} seconds or more.",
            headers={"Retry-After": str(retry_seconds)},
        )


def problem(
    status: int, *, error: str, detail: str, hint: str = "", details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A problem as plain data, whatever is among its details."""
    body = {
        "type": f"urn:aspen:problem:{error}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "error": error,
        "hint": hint,
        "details": dict(details or {}),
    }
    plain: dict[str, Any] = json.loads(json.dumps(body, default=str))
    return plain


def problem_of(error: Exception) -> dict[str, Any]:
    """The problem that an error is to a client; of an unexpected one it says no more than that there was one."""
    if isinstance(error, Refused):
        return problem(error.status, error=error.error, detail=error.detail, hint=error.hint)
    if isinstance(error, errors.AspenError):
        told = error.diagnostics()
        return problem(
            status_of(error),
            error=told["error"],
            detail=told["message"],
            hint=told["hint"],
            details=told["details"],
        )
    _LOG.error("unexpected error: %s", _place(error))
    return problem(
        500,
        error="Unexpected",
        detail="The server made a mistake; nothing was half-written.",
        hint="What happened stands in the server's own output.",
    )


def _place(error: BaseException) -> str:
    """What kind of error it is and where it was raised; not its message, which may quote a memory."""
    kind = type(error)
    told = f"{kind.__module__}.{kind.__qualname__}\n{''.join(traceback.format_tb(error.__traceback__))}"
    before = error.__cause__ or error.__context__
    return told if before is None else f"{told}after {_place(before)}"


def status_of(error: errors.AspenError) -> int:
    """The HTTP status of an error of the tree."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem_response(
    status: int,
    *,
    error: str,
    detail: str,
    hint: str = "",
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response."""
    return _sent(problem(status, error=error, detail=detail, hint=hint, details=details), headers)


def _sent(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    # ASCII: what was refused may hold half a surrogate pair, which has no UTF-8 form.
    return Response(
        json.dumps(body), status_code=body["status"], headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def mistake_response(error: Exception) -> Response:
    """An error that nobody expected as a response; the log says where it was raised."""
    return _sent(problem_of(error))


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the problems that a route answers."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def handle_errors(app: FastAPI) -> None:
    """Let every error that a route may raise become a problem; for all others there is `Mistakes`."""

    @app.exception_handler(errors.AspenError)
    async def of_aspen(request: Request, error: errors.AspenError) -> Response:
        body = problem_of(error)
        retry = {"Retry-After": str(_RETRY_SECONDS)} if body["status"] == 503 else {}
        return _sent(body, retry)

    @app.exception_handler(Refused)
    async def of_refusal(request: Request, error: Refused) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> Response:
        return _validation(error)

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        status = error.status_code
        headers, hint = dict(error.headers or {}), ""
        if status == 405:
            # The router names the methods of the first route with this path alone; pages stand in no OpenAPI.
            methods = _methods(app, request) or set(re.findall(r"[A-Z]+", headers.get("Allow", "")))
            headers["Allow"] = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
            hint = f"This path takes {headers['Allow']}."
        name = _SAID_WITH_HTTP.get(status, HTTPStatus(status).phrase.replace(" ", ""))
        detail = f"{request.method} {request.url.path}: {error.detail}."
        return problem_response(status, error=name, detail=detail, hint=hint, headers=headers)


def _methods(app: FastAPI, request: Request) -> set[str]:
    """The methods that the path of a request has; a path that is named as it stands has those alone."""
    path, paths = request.url.path, app.openapi()["paths"]
    fitting = [path] if path in paths else [one for one in paths if compile_path(one)[0].fullmatch(path)]
    return {method.upper() for one in fitting for method in paths[one]}


def _validation(error: RequestValidationError) -> Response:
    """422 for a value that is refused, 400 for a body that is no JSON. What was sent is not sent back."""
    found = [
        {"where": ".".join(map(str, one["loc"])), "problem": str(one["msg"]), "kind": str(one["type"])}
        for one in error.errors()
    ]
    first = found[0]
    if first["kind"] == "json_invalid":
        return problem_response(
            400,
            error="BadRequest",
            detail=f"The body is no JSON: it cannot be read from character {first['where'].rpartition('.')[2]} on.",
            hint="Send one JSON document in UTF-8.",
        )
    return problem_response(
        422,
        error="InvalidInput",
        detail=f"{first['where']}: {first['problem']}.",
        hint="The schema of this request stands in /api/v1/openapi.json.",
        details={"problems": found},
    )
