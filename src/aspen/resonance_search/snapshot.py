"""What recall keeps in memory of a store: columns, kept in step with it by its revisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.errors import NotFound
from aspen.memory_graph import PriorityFacts, TurnGraph, TypedGraph
from aspen.repository import NEXT, NO_TIME, AccessRows, Changes, EdgeRows, MemoryRows, TraitRows
from aspen.types import FloatArray, RelationType, Seqs

SESSION_GAP = 2 * 3600 * 1_000_000
"""A pause longer than this (microseconds) between two turns of a conversation begins a new session."""

_USE = frozenset({"counts", "used_at"})
"""Columns of how often memories were used, and when."""


@dataclass(frozen=True)
class Candidates:
    """The memories one recall chooses from: columns of n rows in ascending `seqs`, and their time edges.

    conversation: the only one they are of, or None; rows: where each stands in the snapshot, or None for all of
    it; subjects: a code for each subject, 0 for none, with `subject_names` by code and `subject_codes` by name;
    traits: strengths in [0, 1] by name, [n] each; speakers: a code for each, with `speaker_codes` by name; tags:
    those of each memory; priority: what its priority depends on; corrected_by: for each row that was corrected the seq
    of what holds now, candidate or not; said_at: microseconds since 1970 in UTC, NO_TIME where unknown; sessions: a
    number per session; time_graph: edges between consecutive turns, both ways.
    """

    conversation: str | None
    rows: NDArray[np.int64] | None
    seqs: Seqs
    subjects: NDArray[np.int64]
    subject_codes: Mapping[str | None, int]
    subject_names: Sequence[str | None]
    traits: Mapping[str, FloatArray]
    provenances: NDArray[np.str_]
    speakers: NDArray[np.int64]
    speaker_codes: Mapping[str | None, int]
    tags: Sequence[tuple[str, ...]]
    priority: PriorityFacts
    corrected_by: Mapping[int, int]
    said_at: NDArray[np.int64]
    token_counts: NDArray[np.int32]
    term_counts: NDArray[np.int32]
    sessions: NDArray[np.int64]
    time_graph: TurnGraph


class Snapshot:
    """Columns of every memory and time edge of a store at one revision. Not thread-safe."""

    def __init__(self) -> None:
        self.revision = 0
        self._codes: dict[str | None, int] = {None: 0}
        self._speaker_codes: dict[str | None, int] = {None: 0}
        self._subject_codes: dict[str | None, int] = {None: 0}
        self._subject_names: list[str | None] = [None]
        self._traits: dict[str, FloatArray] = {}
        self._columns: dict[str, NDArray[np.generic]] = {
            "seqs": np.zeros(0, dtype=np.int64),
            "conversations": np.zeros(0, dtype=np.int64),
            "speakers": np.zeros(0, dtype=np.int64),
            "subjects": np.zeros(0, dtype=np.int64),
            "provenances": np.zeros(0, dtype=np.str_),
            "types": np.zeros(0, dtype=np.str_),
            "stabilities": np.zeros(0, dtype=np.str_),
            "importances": np.zeros(0),
            "emotions": np.zeros(0),
            "counts": np.zeros(0, dtype=np.int64),
            "used_at": np.zeros(0, dtype=np.int64),
            "said_at": np.zeros(0, dtype=np.int64),
            "token_counts": np.zeros(0, dtype=np.int32),
            "term_counts": np.zeros(0, dtype=np.int32),
        }
        self._tags: list[tuple[str, ...]] = []
        self._corrections: dict[int, int] = {}
        self._relations = TypedGraph.empty()
        self._unread: list[tuple[Seqs, list[str], EdgeRows]] = []
        """Memories, their types and edges that the graph does not have yet: it is made when it is asked for."""
        self._edges = np.zeros((0, 2), dtype=np.int64)
        self._weights = np.zeros(0)
        self._candidates: dict[str | None, Candidates] = {}

    def __len__(self) -> int:
        return len(self._columns["seqs"])

    def apply(self, changes: Changes) -> None:
        """Bring the columns to `changes.revision`; only where `can_apply`.

        New memories have larger seqs than all before, so that rows stay in ascending order. One that is here already,
        because it was amended, stays in its row.
        """
        rows, known = self.rows_of(changes.memories.seqs)
        kept, added = np.arange(len(self)), len(self) + np.arange(len(rows))
        amended = kept.copy()
        amended[rows[known]] = added[known]
        # Of the rows that are here, followed by those that came: which one stands in each row from now on.
        used, order = (np.concatenate([before, added[~known]]) for before in (kept, amended))
        self._apply_traits(changes.traits, seqs=changes.memories.seqs, order=order)
        for name, came in self._columns_of(changes.memories).items():
            # How often a memory was used, and when, is told apart from the rest of it.
            chosen = used if name in _USE else order
            self._columns[name] = np.concatenate([self._columns[name], came])[chosen]
        tags = self._tags + changes.memories.tags
        self._tags = [tags[place] for place in order.tolist()]
        self._apply_accesses(changes.accesses)
        self._subject_names += list(self._subject_codes)[len(self._subject_names) :]
        self._apply_edges(changes.edges)
        self._unread.append((changes.memories.seqs, changes.memories.types, changes.edges))
        self._candidates.clear()
        self.revision = changes.revision

    def can_apply(self, changes: Changes) -> bool:
        """Whether `changes` take nothing away: no memory was forgotten, no edge removed."""
        return not (len(changes.forgotten) or changes.unrelated)

    def rows_of(self, seqs: Seqs) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The rows of memories [n], and which of them are here [n]; the row of one that is not means nothing."""
        mine = self._columns["seqs"]
        rows = np.searchsorted(mine, seqs)
        known = rows < len(mine)
        known[known] = mine[rows[known]] == seqs[known]
        return rows, known

    def candidates(self, conversation: str | None) -> Candidates:
        """All memories, or those of one conversation; NotFound where it has none."""
        if conversation not in self._candidates:
            self._candidates[conversation] = self._select(conversation)
        return self._candidates[conversation]

    @property
    def relations(self) -> TypedGraph:
        """All edges, as activation spreads over them."""
        while self._unread:
            seqs, types, edges = self._unread.pop(0)
            self._relations = self._relations.changed(
                nodes=seqs, types=types, edges=edges, forgotten=np.zeros(0, dtype=np.int64)
            )
        return self._relations

    def _columns_of(self, rows: MemoryRows) -> dict[str, NDArray[np.generic]]:
        return {
            "seqs": rows.seqs,
            "conversations": _coded(rows.conversations, self._codes),
            "speakers": _coded(rows.speakers, self._speaker_codes),
            "subjects": _coded(rows.subjects, self._subject_codes),
            "provenances": np.array(rows.provenances, dtype=np.str_),
            "types": np.array(rows.types, dtype=np.str_),
            "stabilities": np.array(rows.stabilities, dtype=np.str_),
            "importances": rows.importances,
            "emotions": rows.emotions,
            "counts": np.zeros(len(rows.seqs), dtype=np.int64),
            "used_at": rows.created_at,
            "said_at": rows.said_at,
            "token_counts": rows.token_counts,
            "term_counts": rows.term_counts,
        }

    def _apply_traits(self, traits: TraitRows, *, seqs: Seqs, order: NDArray[np.int64]) -> None:
        names, rows = np.array(traits.names, dtype=np.str_), np.searchsorted(seqs, traits.seqs)
        for name in {*self._traits, *traits.names}:
            new, of_name = np.zeros(len(seqs), dtype=np.float32), names == name
            new[rows[of_name]] = traits.values[of_name]
            before = self._traits.get(name, np.zeros(len(self), dtype=np.float32))
            self._traits[name] = np.concatenate([before, new])[order]

    def _apply_accesses(self, accesses: AccessRows) -> None:
        rows = np.searchsorted(self._columns["seqs"], accesses.seqs)
        for name, values in (("counts", accesses.counts), ("used_at", accesses.times)):
            column = self._columns[name].copy()  # candidates handed out before keep theirs
            column[rows] = values
            self._columns[name] = column

    def _apply_edges(self, edges: EdgeRows) -> None:
        columns = zip(edges.sources.tolist(), edges.targets.tolist(), edges.types, strict=True)
        self._corrections |= {
            source: target for source, target, kind in columns if kind == RelationType.HISTORICAL_VERSION_OF
        }
        is_time = np.array([edge_type == NEXT for edge_type in edges.types], dtype=np.bool_)
        added = np.stack([edges.sources[is_time], edges.targets[is_time]], axis=1)
        pairs = np.concatenate([added, self._edges])  # new ones first: `unique` keeps the first of equals
        weights = np.concatenate([edges.weights[is_time], self._weights])
        self._edges, first = np.unique(pairs, axis=0, return_index=True)
        self._weights = weights[first]

    def _select(self, conversation: str | None) -> Candidates:
        columns, traits, tags = self._columns, self._traits, self._tags
        rows = None
        if conversation is not None:
            rows = np.flatnonzero(columns["conversations"] == self._codes.get(conversation, -1))
            if len(rows) == 0:
                raise NotFound(
                    f"There is no conversation {conversation!r}.",
                    hint="The list of conversations (`aspen list --conversations`) shows them.",
                    conversation=conversation,
                )
            columns = {name: column[rows] for name, column in columns.items()}
            traits = {name: column[rows] for name, column in traits.items()}
            tags = [tags[row] for row in rows.tolist()]
        seqs, said_at = columns["seqs"].astype(np.int64), columns["said_at"].astype(np.int64)
        return Candidates(
            conversation=conversation,
            rows=rows,
            seqs=seqs,
            subjects=columns["subjects"].astype(np.int64),
            subject_codes=self._subject_codes,
            subject_names=self._subject_names,
            traits=dict(traits),
            provenances=columns["provenances"].astype(np.str_),
            speakers=columns["speakers"].astype(np.int64),
            speaker_codes=self._speaker_codes,
            tags=list(tags),
            priority=PriorityFacts(
                types=columns["types"].astype(np.str_),
                stabilities=columns["stabilities"].astype(np.str_),
                importances=columns["importances"].astype(np.float64),
                emotions=columns["emotions"].astype(np.float64),
                counts=columns["counts"].astype(np.int64),
                used_at=columns["used_at"].astype(np.int64),
            ),
            corrected_by=self._corrected(seqs),
            said_at=said_at,
            token_counts=columns["token_counts"].astype(np.int32),
            term_counts=columns["term_counts"].astype(np.int32),
            sessions=_sessions(columns["conversations"].astype(np.int64), said_at),
            time_graph=self._time_graph(seqs),
        )

    def _corrected(self, seqs: Seqs) -> dict[int, int]:
        """By row of a corrected memory the seq of the version that holds now."""
        rows = {int(seq): row for row, seq in enumerate(seqs.tolist())} if self._corrections else {}
        found = {}
        for seq in self._corrections:
            newest, passed = seq, {seq}
            while newest in self._corrections and self._corrections[newest] not in passed:
                newest = self._corrections[newest]
                passed.add(newest)
            if seq in rows and newest not in self._corrections:
                found[rows[seq]] = newest
        return found

    def _time_graph(self, seqs: Seqs) -> TurnGraph:
        ends = np.searchsorted(seqs, self._edges).clip(max=max(len(seqs) - 1, 0))
        inside = (seqs[ends] == self._edges).all(axis=1) if len(seqs) else np.zeros(0, dtype=np.bool_)
        ends, weights = ends[inside], self._weights[inside]
        return TurnGraph.of(
            n_nodes=len(seqs),
            sources=np.concatenate([ends[:, 0], ends[:, 1]]),
            targets=np.concatenate([ends[:, 1], ends[:, 0]]),
            weights=np.concatenate([weights, weights]),
        )


def _coded(names: Sequence[str | None], codes: dict[str | None, int]) -> NDArray[np.int64]:
    """A number for each name; new ones are added to `codes`."""
    return np.array([codes.setdefault(name, len(codes)) for name in names], dtype=np.int64)


def _sessions(conversations: NDArray[np.int64], said_at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the sessions: runs of turns of one conversation, in order of seq, without a pause of SESSION_GAP.

    A turn without a time goes on with the session before it. Memories outside conversations stand alone.
    """
    order = np.argsort(conversations, kind="stable")
    conversation, time = conversations[order], said_at[order]
    known = time != NO_TIME
    # Where a time is unknown, take the last known one: the pause to it is then 0.
    last_known = np.maximum.accumulate(np.where(known, np.arange(len(time)), -1))
    # The last known time of another conversation says nothing.
    last_known = np.where(conversation[last_known] == conversation, last_known, -1)
    time = np.where(last_known >= 0, time[last_known], NO_TIME)
    begins = np.ones(len(time), dtype=np.bool_)
    same = conversation[1:] == conversation[:-1]
    both = (time[1:] != NO_TIME) & (time[:-1] != NO_TIME)
    pause = np.where(both, np.abs(time[1:] - np.where(both, time[:-1], time[1:])), 0)
    begins[1:] = ~same | (pause > SESSION_GAP) | (conversation[1:] == 0)
    sessions = np.empty(len(time), dtype=np.int64)
    sessions[order] = np.cumsum(begins) - 1
    return sessions
