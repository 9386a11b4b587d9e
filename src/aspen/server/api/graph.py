"""The graph of memories around one of them, or of the heaviest ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from aspen.repository import Repository, edges_of
from aspen.server.asked import JsonRoute, Store
from aspen.server.problems import responses
from aspen.server.told import told
from aspen.types import Edge, Memory, MemoryType, RelationType

router = APIRouter(route_class=JsonRoute, tags=["relations"])

_TEXT = 160
"""Characters of a text that a node shows."""
_FAN = 1000
"""Relations of one memory that are followed each way, the heaviest ones."""
_PAGE = 1000


class Node(BaseModel):
    """A memory. `text` is cut at 160 characters; `degree` counts its relations, also those not shown."""

    id: str
    type: MemoryType
    text: str
    priority: float
    degree: int


class Line(BaseModel):
    """A relation between two of the nodes."""

    source: str
    target: str
    type: RelationType
    weight: float


class Graph(BaseModel):
    """Memories and the relations between them; `truncated` where there are more of them than `limit`."""

    nodes: list[Node]
    edges: list[Line]
    truncated: bool


@router.get("/graph", responses=responses(404))
def graph(
    aspen: Store,
    center: Annotated[str | None, Query(min_length=1, max_length=500)] = None,
    hops: Annotated[int, Query(ge=1, le=3)] = 1,
    limit: Annotated[int, Query(ge=1, le=5000)] = 2000,
) -> Graph:
    """What lies up to `hops` relations from the memory `center`; without it, the memories that matter most."""
    if center is None:
        memories, truncated = _heaviest(aspen, limit)
    else:
        memories, truncated = _around(aspen.repository, center, hops=hops, limit=limit)
    ids = {memory.seq: memory.id for memory in memories}
    edges, degrees = _edges(aspen.repository, sorted(ids))
    nodes = [
        Node(
            id=one.id,
            type=one.type,
            text=one.text if len(one.text) <= _TEXT else f"{one.text[: _TEXT - 1]}…",
            priority=one.priority,
            degree=degrees[one.seq],
        )
        for one in told(aspen, memories)
    ]
    lines = [
        Line(
            source=ids[edge.source], target=ids[edge.target], type=RelationType(edge.type), weight=edge.weight
        )
        for edge in edges
        if edge.source in ids and edge.target in ids
    ]
    return Graph(nodes=nodes, edges=lines, truncated=truncated)


def _heaviest(aspen: Store, limit: int) -> tuple[list[Memory], bool]:
    found: list[Memory] = []
    cursor = None
    while True:
        page = aspen.page(sort="priority", cursor=cursor, limit=min(_PAGE, limit - len(found)))
        found += page.memories
        cursor = page.next
        if cursor is None or len(found) >= limit:
            return found, cursor is not None


def _around(repository: Repository, center: str, *, hops: int, limit: int) -> tuple[list[Memory], bool]:
    """The nearest memories first; of those of one hop, the ones with the heaviest relations."""
    start = repository.get([center])[0]
    seqs, edge_of_what_is_known = {start.seq: None}, [start.seq]
    truncated = False
    for _ in range(hops):
        edges, _degrees = _edges(repository, edge_of_what_is_known)
        edges.sort(key=lambda edge: -edge.weight)
        reached = dict.fromkeys(end for edge in edges for end in (edge.source, edge.target))
        new = [seq for seq in reached if seq not in seqs]
        room = limit - len(seqs)
        truncated = truncated or len(new) > room
        edge_of_what_is_known = new[:room]
        seqs |= dict.fromkeys(edge_of_what_is_known)
        if not edge_of_what_is_known:
            break
    return repository.get_by_seq(list(seqs)), truncated


def _edges(repository: Repository, seqs: Sequence[int]) -> tuple[list[Edge], Counter[int]]:
    """Every relation that begins or ends at one of these memories, once; and how many each memory has."""
    found = [
        *edges_of(repository.out_edges(seqs, fan=_FAN)),
        *edges_of(repository.in_edges(seqs, fan=_FAN)),
    ]
    edges = {(edge.source, edge.target, edge.type): edge for edge in found}
    degrees = Counter(end for edge in edges.values() for end in (edge.source, edge.target))
    return list(edges.values()), degrees
