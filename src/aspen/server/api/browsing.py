"""Many memories at once: pages, edits in place, duplicates, and what forgetting would take along."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from aspen.front_door.browsing import ALIKE
from aspen.repository import DayCount
from aspen.server.api.memories import Feeling
from aspen.server.asked import (
    Body,
    Cursor,
    HowStable,
    Id,
    JsonRoute,
    Limit,
    Name,
    Share,
    Store,
    Type,
    When,
    optional,
)
from aspen.server.problems import responses
from aspen.server.told import Listed, Page, ToldMemory, told
from aspen.server.versions import Version, tagged
from aspen.types import Emotion, MemorySort, MemoryType, Provenance, Stability

router = APIRouter(route_class=JsonRoute, tags=["memories"])

Named = Annotated[str | None, Query(min_length=1, max_length=500)]


class MemoryList(Page[ToldMemory]):
    """A page of memories; `total` counts all that fit the filters."""

    total: int


class Edit(Body):
    """What is to be changed of a memory; what is left out stays. Its text is changed by a correction."""

    type: Type | None = None
    stability: HowStable | None = None
    importance: Share | None = None
    emotion: Feeling | None = Field(default=None, description="null takes it away.")
    tags: Annotated[list[Name], Field(max_length=100)] | None = None


class Restoring(Body):
    """Nothing can be chosen yet."""


class Others(Body):
    """Memories that say the same."""

    others: Annotated[list[Name], Field(min_length=1, max_length=100)]


class WhatGoes(BaseModel):
    """What forgetting deletes: the memory, patterns made of it, ids of traces in which one of them stands, and how many
    relations lead from or to one.
    """

    memories: list[ToldMemory]
    summaries: list[ToldMemory]
    traces: list[str]
    relations: int


class ToldPair(BaseModel):
    """Two memories that seem to say the same, the older one first; `similarity` in [0, 1], 1 for equal words."""

    first: ToldMemory
    second: ToldMemory
    similarity: float


@router.get("/memories")
def memories(
    aspen: Store,
    *,
    text: Annotated[
        str | None, Query(min_length=1, max_length=1000, description="Words in the text.")
    ] = None,
    type: Annotated[MemoryType | None, Query()] = None,  # noqa: A002 - the word of the field
    tag: Named = None,
    speaker: Named = None,
    conversation: Named = None,
    provenance: Annotated[Provenance | None, Query()] = None,
    stability: Annotated[Stability | None, Query()] = None,
    since: When | None = None,
    until: When | None = None,
    min_priority: Annotated[float | None, Query(ge=0, le=1)] = None,
    sort: MemorySort = MemorySort.NEWEST,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> MemoryList:
    """Memories that fit all of the filters."""
    page = aspen.page(
        text=text,
        type=type,
        tag=tag,
        speaker=speaker,
        conversation=conversation,
        provenance=provenance,
        stability=stability,
        since=since,
        until=until,
        min_priority=min_priority,
        sort=sort,
        cursor=cursor,
        limit=limit,
    )
    return MemoryList(items=told(aspen, page.memories), next=page.next, total=page.total)


@router.patch("/memories/{memory_id}", responses=responses(404, 409, 412, 413, 415))
def amend(memory_id: Id, body: Edit, aspen: Store, version: Version, response: Response) -> ToldMemory:
    """Change a memory in place. With `If-Match`, only where nobody else changed it meanwhile: 412 otherwise."""
    changes: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    if isinstance(body.emotion, Feeling):
        changes["emotion"] = Emotion(body.emotion.label, body.emotion.intensity)
    (found,) = told(aspen, [aspen.amend(memory_id, version=version, **changes)])
    return tagged(found, response)


@router.get("/memories/{memory_id}/forgetting", responses=responses(404))
def forgetting(memory_id: Id, aspen: Store) -> WhatGoes:
    """What would go with a memory if it was forgotten."""
    found = aspen.forgetting(memory_id)
    return WhatGoes(
        memories=told(aspen, found.memories),
        summaries=told(aspen, found.summaries),
        traces=list(found.traces),
        relations=found.relations,
    )


@router.post("/memories/{memory_id}/merge", responses=responses(404, 409, 412, 413, 415))
def merge(memory_id: Id, body: Others, aspen: Store, version: Version, response: Response) -> ToldMemory:
    """Keep one of several memories that say the same; the others become its historical versions.

    `If-Match` is about the one that is kept. 412 also where one of the others is changed while they are merged.
    """
    (found,) = told(aspen, [aspen.merge(memory_id, *body.others, version=version)])
    return tagged(found, response)


@router.post("/memories/{memory_id}/restore", responses=responses(404, 409, 412, 413, 415))
def restore(
    memory_id: Id,
    body: Annotated[Restoring, optional(Restoring)],
    aspen: Store,
    version: Version,
    response: Response,
) -> ToldMemory:
    """Let a memory hold again that was corrected or merged. `If-Match` as for an edit."""
    (found,) = told(aspen, [aspen.restore(memory_id, version=version)])
    return tagged(found, response)


@router.get("/duplicates")
def duplicates(
    aspen: Store, threshold: Annotated[float, Query(ge=0, le=1)] = ALIKE, limit: Limit = 50
) -> Listed[ToldPair]:
    """Memories that seem to say the same as an older one of the same speaker, the most alike first."""
    pairs = aspen.duplicates(threshold=threshold, limit=limit)
    ends = told(aspen, [end for pair in pairs for end in (pair.first, pair.second)])
    return Listed(
        items=[
            ToldPair(first=first, second=second, similarity=pair.similarity)
            for pair, first, second in zip(pairs, ends[::2], ends[1::2], strict=True)
        ]
    )


@router.get("/growth")
def growth(aspen: Store) -> Listed[DayCount]:
    """Of each day (in UTC), how many of the memories and traces that are there were stored on it."""
    return Listed(items=list(aspen.growth()))
