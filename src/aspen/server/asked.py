"""What requests have in common: strict bodies, the kinds of their fields, and how a route gets at the store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any

from fastapi import Body as FromBody
from fastapi import Depends, Path, Query
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from aspen.aspen import Aspen
from aspen.errors import InvalidInput
from aspen.memory_graph import PRESETS
from aspen.memory_injector import StrategyName
from aspen.server.problems import Refused
from aspen.server.room import Room
from aspen.types import MemoryType, Provenance, RelationType, Stability
from aspen.validation import MAX_NAME_LENGTH, MAX_SEED, MAX_TEXT_LENGTH

ALWAYS = (400, 401, 403, 421, 422, 429, 503)
"""Problems that every route of the API may answer."""
_JSON = "application/json"


def _whole(given: object) -> object:
    """JSON has one kind of numbers: 1.0 is the whole number 1."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


Whole = Annotated[int, BeforeValidator(_whole)]


class Body(BaseModel):
    """A JSON object with these fields and no others, each of its own kind: "1" is no number."""

    model_config = ConfigDict(strict=True, extra="forbid")


def optional(kind: type[Body]) -> Any:
    """Goes with a body of which every field may be left out: all of it may be."""
    return FromBody(default_factory=kind)


class JsonRoute(APIRoute):
    """A route that takes the parameters it names and no others, and whose unsafe methods take JSON only.

    No form of a foreign page can send JSON.
    """

    media_types: tuple[str, ...] = (_JSON,)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI: what answers a request."""
        answer = super().get_route_handler()
        known = sorted(_parameters(self.dependant))

        async def checked(request: Request) -> Response:
            _check_parameters(request, known=known)
            if request.method in ("POST", "PUT", "PATCH") and not self._may_be_without(request):
                self._check_media_type(request)
            return await answer(request)

        return checked

    def _may_be_without(self, request: Request) -> bool:
        """Whether there is no body, of no kind, and none is needed."""
        length = request.headers.get("content-length", "0")
        nothing = length == "0" and not {"content-type", "transfer-encoding"} & set(request.headers)
        return nothing and self.body_field is not None and not self.body_field.field_info.is_required()

    def _check_media_type(self, request: Request) -> None:
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given not in self.media_types:
            came = f"not {given}" if given else "and the request does not say what its body is"
            raise Refused(
                415,
                error="UnsupportedMediaType",
                detail=f"This takes {' or '.join(self.media_types)}, {came}.",
                hint=f"Send the header `Content-Type: {self.media_types[0]}`.",
            )


def _check_parameters(request: Request, *, known: list[str]) -> None:
    for name in request.query_params:
        if name not in known:
            raise InvalidInput(
                f"There is no parameter {name!r} here.",
                hint=f"What there is: {', '.join(known)}." if known else "This takes none.",
                parameter=name,
                known=known,
            )


def _parameters(dependant: Dependant) -> set[str]:
    """The query parameters of a route and of all that it depends on."""
    own = {one.alias for one in dependant.query_params}
    return own.union(*map(_parameters, dependant.dependencies))


def _room(request: Request) -> Room:
    room: Room = request.app.state.room
    return room


def _aspen(request: Request) -> Aspen:
    return _room(request).aspen


def _time(given: object) -> object:
    if not isinstance(given, str):
        raise ValueError("a time is text in ISO 8601, such as 2026-05-02T18:30:00+02:00")  # noqa: TRY004 - for pydantic
    try:
        return datetime.fromisoformat(given)
    except ValueError as error:
        raise ValueError("is no time in ISO 8601, such as 2026-05-02T18:30:00+02:00") from error


InRoom = Annotated[Room, Depends(_room)]
Store = Annotated[Aspen, Depends(_aspen)]

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_LENGTH)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[Whole, Field(ge=0, le=MAX_SEED)]
Tokens = Annotated[Whole, Field(ge=1, le=100_000)]
NoteTokens = Annotated[Whole, Field(ge=0, le=100_000)]
Temperature = Annotated[float, Field(ge=0, le=100)]
When = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "ISO 8601; UTC where it has no zone.",
            "examples": ["2026-05-02T18:30:00+02:00"],
        }
    ),
]
# Members of these are text in JSON, which strict checking would not take for them.
Type = Annotated[MemoryType, Field(strict=False)]
HowStable = Annotated[Stability, Field(strict=False)]
Origin = Annotated[Provenance, Field(strict=False)]
Kind = Annotated[RelationType, Field(strict=False)]
HowFed = Annotated[StrategyName, Field(strict=False)]
Preset = Annotated[str, Field(json_schema_extra={"enum": list(PRESETS)})]

Id = Annotated[str, Path(min_length=1, max_length=MAX_NAME_LENGTH)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most items.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")]
