"""Edges and accesses: steps inside one transaction."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._sqlite._pool import Session
from aspen.repository.values import CORRECTED, EdgeRows
from aspen.types import Edge


def put_edges(session: Session, edges: Sequence[Edge], revision: int) -> None:
    """Add or replace edges. What one of them corrects anew counts a version more."""
    corrections = [edge for edge in edges if edge.type == CORRECTED]
    count_versions(
        session,
        {
            edge.source
            for edge in corrections
            if not session.rows("edge_exists", source=edge.source, target=edge.target, type=edge.type)
        },
    )
    session.run_many(
        "put_edge",
        [
            {
                "source": edge.source,
                "target": edge.target,
                "type": edge.type,
                "weight": edge.weight,
                "provenance": edge.provenance.value,
                "revision": revision,
            }
            for edge in edges
        ],
    )


def remove_edges(session: Session, names: Iterable[tuple[int, int, str]]) -> int:
    """Delete the edges that are there; returns how many. Those who follow the changes have to be told."""
    removed = [
        (source, kind)
        for source, target, kind in names
        if incoming.findable(kind) and session.rows("remove_edge", source=source, target=target, type=kind)
    ]
    count_versions(session, {source for source, kind in removed if kind == CORRECTED})
    return len(removed)


def count_versions(session: Session, seqs: Collection[int]) -> None:
    """Let the versions of memories count one more: something holds in their place, or no longer."""
    session.run_many("count_version", [{"seq": seq} for seq in seqs])


def out_edges(
    session: Session, seqs: Sequence[int], *, fan: int, min_weight: float, types: Collection[str] | None
) -> EdgeRows:
    """One short index scan for each source: a join would read all edges of a hub to keep `fan` of them."""
    wanted = None if types is None else json.dumps([kind for kind in types if incoming.findable(kind)])
    values = {"fan": fan, "min_weight": min_weight, "types": wanted}
    return rows.edge_rows_of(
        [row for seq in dict.fromkeys(seqs) for row in session.rows("out_edges", source=seq, **values)]
    )


def in_edges(session: Session, seqs: Sequence[int], *, fan: int) -> EdgeRows:
    """As `out_edges`, by target."""
    return rows.edge_rows_of(
        [row for seq in dict.fromkeys(seqs) for row in session.rows("in_edges", target=seq, fan=fan)]
    )


def touch(session: Session, seqs: Iterable[int], *, at: datetime, revision: int) -> None:
    """Count accesses of memories that are there."""
    time = incoming.to_microseconds(at)
    session.run_many(
        "touch",
        [
            {"seq": seq, "at": time, "count": count, "revision": revision}
            for seq, count in Counter(seqs).items()
        ],
    )
