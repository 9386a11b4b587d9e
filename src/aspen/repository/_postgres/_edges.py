"""Edges and accesses: steps inside one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from aspen.repository import _incoming as incoming
from aspen.repository._postgres import _columns as columns
from aspen.repository._postgres._pool import Session
from aspen.repository.values import CORRECTED, EdgeRows
from aspen.types import Edge


def put_edges(session: Session, edges: Iterable[Edge], revision: int) -> None:
    """Add or replace edges; of several with the same ends and type the last counts.

    What one of them corrects anew counts a version more.
    """
    last = {(edge.source, edge.target, edge.type): edge for edge in edges}
    if corrections := [edge for edge in last.values() if edge.type == CORRECTED]:
        ends = {
            "sources": [one.source for one in corrections],
            "targets": [one.target for one in corrections],
        }
        count_versions(session, [seq for (seq,) in session.rows("corrected_anew", type=CORRECTED, **ends)])
    session.run_many(
        "put_edges",
        [
            {
                "source": edge.source,
                "target": edge.target,
                "type": edge.type,
                "weight": edge.weight,
                "provenance": edge.provenance.value,
            }
            for edge in last.values()
        ],
        revision=revision,
    )


def remove_edges(session: Session, names: Sequence[tuple[int, int, str]]) -> int:
    """Delete the edges that are there; returns how many. Those who follow the changes have to be told."""
    sought = [name for name in names if incoming.findable(name[2])]
    sources, targets, types = zip(*sought, strict=True) if sought else ((), (), ())
    removed = session.rows("remove_edges", sources=list(sources), targets=list(targets), types=list(types))
    count_versions(session, [source for source, kind in removed if kind == CORRECTED])
    return len(removed)


def count_versions(session: Session, seqs: Sequence[int]) -> None:
    """Let the versions of memories count one more: something holds in their place, or no longer."""
    if seqs:
        session.run("count_versions", seqs=seqs)


def out_edges(
    session: Session, seqs: Sequence[int], *, fan: int, min_weight: float, types: Collection[str] | None
) -> EdgeRows:
    """The heaviest edges out of each memory, in the order asked, each once."""
    wanted = None if types is None else [kind for kind in types if incoming.findable(kind)]
    (found,) = session.rows(
        "out_edges", seqs=list(dict.fromkeys(seqs)), fan=fan, min_weight=min_weight, types=wanted
    )
    return columns.edge_rows_of(found)


def in_edges(session: Session, seqs: Sequence[int], *, fan: int) -> EdgeRows:
    """As `out_edges`, by target."""
    (found,) = session.rows("in_edges", seqs=list(dict.fromkeys(seqs)), fan=fan)
    return columns.edge_rows_of(found)


def touch(session: Session, seqs: Iterable[int], *, at: datetime, revision: int) -> None:
    """Count accesses of memories that are there."""
    used = Counter(seqs)
    session.run(
        "touch",
        seqs=list(used),
        counts=list(used.values()),
        at=incoming.to_microseconds(at),
        revision=revision,
    )
