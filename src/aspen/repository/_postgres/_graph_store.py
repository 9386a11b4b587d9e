"""Edges, how memories are used, and activation that spreads: the `EdgeStore` and `SpreadingStore` of Postgres."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from aspen.repository import _incoming as incoming
from aspen.repository._postgres import _edges as relating
from aspen.repository._postgres import _spreading as spreading
from aspen.repository._postgres import _steps as steps
from aspen.repository._postgres._open_store import OpenStore
from aspen.repository.values import EdgeRows, SpreadRows
from aspen.types import Edge


class GraphStore(OpenStore):
    """The part of the repository that is about edges."""

    def touch(self, seqs: Sequence[int], *, at: datetime) -> None:
        time = incoming.required_time(at, what="at")
        with self._writing() as session:
            known = steps.existing(session, seqs)
            if known:
                touched = [seq for seq in incoming.storable_seqs(seqs) if seq in known]
                relating.touch(session, touched, at=time, revision=session.value("next_revision"))

    def relate(
        self,
        edges: Sequence[Edge],
        *,
        without: Sequence[tuple[int, int, str]] = (),
        used: Sequence[int] = (),
        at: datetime | None = None,
        versions: Mapping[str, int] | None = None,
    ) -> None:
        checked = [incoming.checked_edge(edge) for edge in edges]
        names = incoming.checked_edge_names(without)
        time = incoming.required_time(at, what="at") if used else None
        if not checked and not names and time is None and not versions:
            return
        with self._writing() as session:
            steps.check_versions(session, versions)
            ends = [end for edge in checked for end in (edge.source, edge.target)]
            known = steps.existing(session, [*ends, *used])
            for end in ends:
                if end not in known:
                    raise incoming.unknown("memory", end)
            removed = relating.remove_edges(session, names)
            touched = [seq for seq in incoming.storable_seqs(used) if seq in known]
            if not (removed or checked or touched):
                return
            revision: int = session.value("next_revision")
            if removed:
                session.run("note_unrelated")
            relating.put_edges(session, checked, revision)
            if time is not None and touched:
                relating.touch(session, touched, at=time, revision=revision)

    def unrelate(self, edges: Sequence[tuple[int, int, str]]) -> int:
        names = incoming.checked_edge_names(edges)
        with self._writing() as session:
            removed = relating.remove_edges(session, names)
            if removed:
                session.run("next_revision")
                session.run("note_unrelated")
            return removed

    def out_edges(
        self, seqs: Sequence[int], *, fan: int, min_weight: float = 0.0, types: Collection[str] | None = None
    ) -> EdgeRows:
        incoming.check_edge_filters(fan=fan, min_weight=min_weight, types=types)
        wanted = incoming.storable_seqs(seqs)
        with self._pool.reading() as session:
            return relating.out_edges(session, wanted, fan=fan, min_weight=min_weight, types=types)

    def in_edges(self, seqs: Sequence[int], *, fan: int) -> EdgeRows:
        incoming.check_edge_filters(fan=fan)
        wanted = incoming.storable_seqs(seqs)
        with self._pool.reading() as session:
            return relating.in_edges(session, wanted, fan=fan)

    def memory_types(self, seqs: Sequence[int]) -> dict[int, str]:
        wanted = incoming.storable_seqs(seqs)
        with self._pool.reading() as session:
            types: dict[int, str] = dict(session.rows("memory_types", seqs=wanted))
        return {seq: types[seq] for seq in wanted if seq in types}

    def spread(
        self,
        initial: Mapping[int, float],
        *,
        max_hops: int,
        decay: float,
        type_boost: Mapping[str, float],
        min_weight: float = 0.0,
        types: Collection[str] | None = None,
        fan: int,
        paths: int = 3,
    ) -> SpreadRows:
        incoming.check_edge_filters(fan=fan, min_weight=min_weight, types=types)
        incoming.check_spreading(
            max_hops=max_hops,
            most_hops=spreading.MAX_HOPS,
            decay=decay,
            type_boost=type_boost,
            paths=paths,
        )
        seeds = incoming.checked_seeds(initial)
        with self._pool.reading() as session:
            return spreading.spread(
                session,
                seeds,
                max_hops=max_hops,
                decay=decay,
                type_boost=type_boost,
                min_weight=min_weight,
                types=types,
                fan=fan,
                paths=paths,
            )
