"""The server as an ASGI application: routers, what stands before them, and what happens at its start and end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from aspen import __version__
from aspen.aspen import Aspen
from aspen.server import static
from aspen.server.api import (
    ask,
    browsing,
    chat,
    conversations,
    graph,
    health,
    jobs,
    maps,
    memories,
    recall,
    relations,
    traces,
    transfer,
    upkeep,
)
from aspen.server.asked import ALWAYS
from aspen.server.heads import Heads
from aspen.server.limits import BodyLimit, TimeLimit
from aspen.server.mistakes import Mistakes
from aspen.server.problems import Problem, handle_errors, responses
from aspen.server.room import Room
from aspen.server.security import Guard, SafeHeaders
from aspen.server.settings import ServerSettings

_PREFIX = "/api/v1"
_ROUTERS: tuple[APIRouter, ...] = (
    memories.router,
    browsing.router,
    relations.router,
    graph.router,
    recall.router,
    chat.router,
    ask.router,
    conversations.router,
    traces.router,
    maps.router,
    jobs.router,
    transfer.router,
    upkeep.router,
    health.router,
)
_ABOUT = """Memories that come back by what a model computes. Errors are `application/problem+json`; lists have a
`next`, which is the `cursor` of their next page; times are ISO 8601, durations seconds, sizes bytes."""


def create_app(aspen: Aspen, *, settings: ServerSettings, warm: bool = True) -> ASGIApp:
    """Serve a store, which the caller goes on owning. `warm` loads the model at the start, in the background."""
    return guarded(create_api(aspen, settings=settings, warm=warm), settings=settings)


def guarded(app: ASGIApp, *, settings: ServerSettings) -> ASGIApp:
    """What stands before the routes, outermost first: HEAD, headers, who asks, how much, how long."""
    limited = BodyLimit(TimeLimit(app, settings=settings), settings=settings)
    return Heads(SafeHeaders(Guard(limited, settings=settings)))


def create_api(aspen: Aspen, *, settings: ServerSettings, warm: bool) -> FastAPI:
    """The routes alone, with nothing before them: for `create_app`, and to read their OpenAPI."""
    room = Room(aspen, settings=settings, warm=warm)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # made now: it takes a while, and nobody waits yet
        await room.open()
        yield
        await room.close()

    app = _Api(
        title="Aspen",
        version=__version__,
        description=_ABOUT,
        openapi_url=f"{_PREFIX}/openapi.json",
        docs_url=None,  # its page comes from a CDN
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        responses=responses(*ALWAYS),
    )
    app.state.room = room
    handle_errors(app)
    app.add_middleware(Mistakes)
    for router in _ROUTERS:
        app.include_router(router, prefix=_PREFIX)
    static.add_pages(app)
    return app


class _Api(FastAPI):
    """Adds to the OpenAPI what FastAPI does not know of: problems, and the token."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if not self.openapi_schema:
            document = super().openapi()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            document["components"]["securitySchemes"] = {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token printed at the start; none is needed where none was.",
                }
            }
            if self.state.room.settings.token is not None:
                document["security"] = [{"token": []}]
        return self.openapi_schema or {}
