"""Memories one by one: remembering, looking, correcting, forgetting."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from aspen.server.asked import (
    Body,
    HowStable,
    Id,
    JsonRoute,
    Name,
    Origin,
    Share,
    Store,
    Text,
    Type,
    When,
)
from aspen.server.problems import responses
from aspen.server.told import Listed, ToldMemory, told
from aspen.server.versions import Version, tagged
from aspen.types import MemoryType, Provenance, Stability

router = APIRouter(route_class=JsonRoute, tags=["memories"])


class Feeling(Body):
    """A feeling that goes with a memory."""

    label: Name
    intensity: Share


class NewMemory(Body):
    """What is to be remembered. Equal text, speaker, time, conversation and source are one memory."""

    text: Annotated[Text, Field(examples=["My sister Mara moved to Lisbon."])]
    speaker: Annotated[Name | None, Field(examples=["Ann"])] = None
    said_at: When | None = None
    conversation: Annotated[Name | None, Field(examples=["family"])] = None
    source: Name | None = None
    provenance: Origin = Provenance.SAID
    type: Type = MemoryType.EPISODIC
    stability: HowStable = Stability.TENTATIVE
    importance: Share = 0.6
    emotion: Feeling | None = None
    tags: Annotated[list[Name], Field(max_length=100)] = Field(default_factory=list)


class NewMemories(Body):
    """Stored together, or none of them."""

    items: Annotated[list[NewMemory], Field(min_length=1, max_length=1000)]


class Ids(Body):
    """Memories by id."""

    ids: Annotated[list[Name], Field(min_length=1, max_length=1000)]


class Correction(Body):
    """What holds instead."""

    text: Annotated[Text, Field(examples=["My sister Mara moved to Porto."])]
    said_at: When | None = None


class Gone(Body):
    """How many went."""

    memories: int
    traces: int


class Forgotten(Body):
    """What was deleted, for good: memories with the patterns made of them, and every trace in which one stood."""

    forgotten: Gone


@router.post("/memories", status_code=201, responses=responses(404, 409, 413, 415))
def remember(body: NewMemories, aspen: Store) -> Listed[ToldMemory]:
    """Remember texts. What is remembered already comes back as it is."""
    items = [item.model_dump(exclude_unset=True) for item in body.items]
    return Listed(items=told(aspen, aspen.remember_many(items)))


@router.post("/memories/forget", responses=responses(404, 409, 413, 415))
def forget_many(body: Ids, aspen: Store) -> Forgotten:
    """Delete memories for good; all of them, or none where one is unknown."""
    return _forgotten(aspen, body.ids)


@router.get("/memories/{memory_id}", responses=responses(404))
def memory(memory_id: Id, aspen: Store, response: Response) -> ToldMemory:
    """A memory. Its ETag is its version, for `If-Match` of an edit."""
    (found,) = told(aspen, aspen.repository.get([memory_id]))
    return tagged(found, response)


@router.delete("/memories/{memory_id}", responses=responses(404, 409, 412))
def forget(memory_id: Id, aspen: Store, version: Version) -> Forgotten:
    """Delete a memory for good. `If-Match` as for an edit."""
    return _forgotten(aspen, [memory_id], version=version)


@router.post("/memories/{memory_id}/correct", status_code=201, responses=responses(404, 409, 412, 413, 415))
def correct(
    memory_id: Id, body: Correction, aspen: Store, version: Version, response: Response
) -> ToldMemory:
    """Put a text in the place of a memory, which stays as its historical version. Returns the new memory.

    `If-Match` as for an edit. 412 also where the memory is changed while the correction is made, 409 where it was
    corrected otherwise: `details` names the memory that holds now.
    """
    (new,) = told(aspen, [aspen.correct(memory_id, body.text, said_at=body.said_at, version=version)])
    return tagged(new, response)


@router.get("/memories/{memory_id}/history", responses=responses(404))
def history(memory_id: Id, aspen: Store) -> Listed[ToldMemory]:
    """All versions of a memory, oldest first; the last one is what holds now."""
    return Listed(items=told(aspen, aspen.history(memory_id)))


def _forgotten(aspen: Store, ids: list[str], *, version: int | None = None) -> Forgotten:
    going = aspen.forgetting(*ids)
    traces = aspen.forget(*ids, version=version)
    return Forgotten(forgotten=Gone(memories=len(going.memories) + len(going.summaries), traces=traces))
