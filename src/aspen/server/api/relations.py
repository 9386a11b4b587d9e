"""Relations between memories, and the links that grew by use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from aspen.repository import EdgeRows, edges_of
from aspen.server.asked import Body, Id, JsonRoute, Kind, Limit, Name, Origin, Share, Store
from aspen.server.problems import responses
from aspen.server.told import Listed, ListedTrace, told_traces
from aspen.types import Edge, MemoryType, Provenance, Relation, RelationType

router = APIRouter(route_class=JsonRoute, tags=["relations"])

_MOST_TRACES = 10_000

End = Annotated[str, Query(min_length=1, max_length=500)]


class NewRelation(Body):
    """Read "source TYPE target". One with the same ends and type takes the new weight and provenance."""

    source: Annotated[Name, Field(examples=["m_00000000000000000001"])]
    target: Annotated[Name, Field(examples=["m_00000000000000000002"])]
    type: Kind
    weight: Share = 0.8
    provenance: Origin = Provenance.SAID


class NewRelations(Body):
    """Stored together, or none of them."""

    items: Annotated[list[NewRelation], Field(min_length=1, max_length=1000)]


class ToldRelation(BaseModel):
    """A relation of a memory, with the memory at its other end."""

    source: str
    target: str
    type: RelationType
    weight: float
    provenance: Provenance
    other: str
    other_text: str
    other_type: MemoryType


class Removed(BaseModel):
    """Whether there was such a relation."""

    removed: bool


class Link(BaseModel):
    """Two memories that were used together. `weight` in [0, 1].

    `uses` counts how often the less used of the two was used: they were together no more often than that.
    """

    source: str
    target: str
    weight: float
    source_text: str
    target_text: str
    uses: int


@router.get("/memories/{memory_id}/relations", responses=responses(404))
def relations(memory_id: Id, aspen: Store) -> Listed[ToldRelation]:
    """The relations from a memory, then those to it, heaviest first."""
    found = aspen.relations(memory_id)
    others = [one.target if one.source == memory_id else one.source for one in found]
    known = aspen.repository.known(others)
    memories = {one.id: one for one in aspen.repository.get(sorted(known))}
    return Listed(
        items=[
            ToldRelation(
                source=one.source,
                target=one.target,
                type=one.type,
                weight=one.weight,
                provenance=one.provenance,
                other=other,
                other_text=memories[other].text,
                other_type=memories[other].type,
            )
            for one, other in zip(found, others, strict=True)
            if other in memories
        ]
    )


@router.get("/memories/{memory_id}/traces", responses=responses(404))
def traces(memory_id: Id, aspen: Store) -> Listed[ListedTrace]:
    """The traces of the turns in which a memory was said, answered or fed back, newest first."""
    infos = {info.id: info for info in aspen.repository.traces(limit=_MOST_TRACES)}
    wanted = aspen.forgetting(memory_id).traces
    return Listed(items=told_traces(aspen, [infos[id_] for id_ in wanted if id_ in infos]))


@router.post("/relations", status_code=201, responses=responses(404, 409, 413, 415))
def relate(body: NewRelations, aspen: Store) -> Listed[Relation]:
    """Say how memories relate to each other."""
    made = [Relation(**item.model_dump()) for item in body.items]
    aspen.relate_many(made)
    return Listed(items=made)


@router.delete("/relations", responses=responses(404, 409))
def unrelate(
    source: End,
    target: End,
    type: Annotated[RelationType, Query()],  # noqa: A002 - the word of the field
    aspen: Store,
) -> Removed:
    """Remove a relation."""
    return Removed(removed=aspen.unrelate(source, target, type))


@router.get("/coactivation")
def coactivation(aspen: Store, limit: Limit = 50) -> Listed[Link]:
    """The links that grew because memories were used together, heaviest first."""
    kind = RelationType.CO_ACTIVATED.value
    edges = _edges_of_type(aspen.repository.changes(0).edges, kind)
    edges.sort(key=lambda edge: (-edge.weight, edge.source, edge.target))
    ends = sorted({end for edge in edges[:limit] for end in (edge.source, edge.target)})
    memories = {one.seq: one for one in aspen.repository.get_by_seq(ends)}
    links = []
    for edge in edges[:limit]:
        source, target = memories.get(edge.source), memories.get(edge.target)
        if source is not None and target is not None:  # neither was forgotten meanwhile
            links.append(
                Link(
                    source=source.id,
                    target=target.id,
                    weight=edge.weight,
                    source_text=source.text,
                    target_text=target.text,
                    uses=min(source.access_count, target.access_count),
                )
            )
    return Listed(items=links)


def _edges_of_type(rows: EdgeRows, kind: str) -> list[Edge]:
    """Only those are made into edges: a store has a hundred thousand others."""
    found = [place for place, name in enumerate(rows.types) if name == kind]
    return edges_of(
        EdgeRows(
            sources=rows.sources[found],
            targets=rows.targets[found],
            types=[kind] * len(found),
            weights=rows.weights[found],
            provenances=[rows.provenances[place] for place in found],
        )
    )
