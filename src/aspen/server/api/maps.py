"""Maps of traces: where in the model, and at which token, something happened; as numbers or as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from aspen import memory_viewer
from aspen.server.asked import Id, JsonRoute, Store
from aspen.server.problems import responses

router = APIRouter(route_class=JsonRoute, tags=["traces"])

_PNG = "image/png"
_MAP = {
    200: {
        "description": "The map. With `Accept: image/png` it comes as a picture.",
        "content": {"application/json": {"schema": {"type": "object"}}, _PNG: {"schema": {"type": "string"}}},
    },
    **responses(404, 409),
}
Measure = Literal["norm", "change", "surprise", "resonance"]
Prompt = Annotated[
    str | None, Query(min_length=1, max_length=10_000, description="What resonance is held against.")
]


@router.get("/traces/{trace_id}/map", response_class=Response, responses=_MAP)
def trace_map(
    trace_id: Id,
    request: Request,
    aspen: Store,
    measure: Measure = "norm",
    prompt: Prompt = None,
) -> Response:
    """Layer by token: how long the residual stream is, how much each layer changes it, how surprising a token was, or
    how close it is to a prompt.
    """
    return _answer(request, memory_viewer.trace_map(aspen, trace_id, measure=measure, prompt=prompt))


@router.get("/traces/{trace_id}/attention", response_class=Response, responses=_MAP)
def attention_map(
    trace_id: Id,
    request: Request,
    aspen: Store,
    layer: Annotated[int | None, Query(ge=0, le=1000, description="The block, from 0.")] = None,
    head: Annotated[int | None, Query(ge=0, le=1000, description="The mean of all where left out.")] = None,
) -> Response:
    """Where tokens looked, in one block; without `layer`, where the reply looked in each block and head."""
    if layer is None:
        return _answer(request, memory_viewer.attention_summary(aspen, trace_id))
    return _answer(request, memory_viewer.attention_map(aspen, trace_id, layer=layer, head=head))


@router.get("/traces/{trace_id}/compare/{other_id}", response_class=Response, responses=_MAP)
def compare(
    trace_id: Id,
    other_id: Id,
    request: Request,
    *,
    aspen: Store,
    measure: Measure = "norm",
    prompt: Prompt = None,
) -> Response:
    """Two traces beside each other, and their difference where their tokens agree."""
    found = memory_viewer.compare_traces(aspen, trace_id, other_id, measure=measure, prompt=prompt)
    return _answer(request, found)


def _answer(request: Request, found: Any) -> Response:
    if _PNG in request.headers.get("accept", ""):
        return Response(memory_viewer.png(found), media_type=_PNG)
    return JSONResponse(_data(found))


def _data(value: Any) -> Any:
    """Dataclasses, arrays and what they hold as plain data; what is no finite number is null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return _data(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _data(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_data(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
