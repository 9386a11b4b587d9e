"""What goes into a store and what comes out of it: plain values, and columns of many rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from aspen.types import Edge, MemoryItem, MemoryType, Provenance, RelationType, Seqs, Stability

NEXT = "next"
"""Type of the edge from each memory of a conversation to the one that follows it."""

CORRECTED = RelationType.HISTORICAL_VERSION_OF.value
"""Type of the edge from a memory to what holds in its place: its version counts those that come and go."""

NO_TIME = np.iinfo(np.int64).min
"""Stands for "no said_at" in the columns of `MemoryRows`."""

MAX_TERM_LENGTH = 64
"""Longest term, in characters. Full-text indexes cut long words (FTS5 at 32,768 bytes) or refuse them."""

MAX_NAME_LENGTH = 120
"""Longest subject or mentioned name, in characters."""


@dataclass(frozen=True, slots=True)
class KeyStamp:
    """Which model and which way of making keys the stored keys come from.

    `model_name` is for people: a model that was moved or renamed is still the same one.
    """

    model_id: str
    model_name: str
    key_version: str

    @property
    def identity(self) -> tuple[str, str]:
        """What two stamps must share for their keys to be comparable."""
        return (self.model_id, self.key_version)


@dataclass(frozen=True, slots=True)
class Mention:
    """A name that occurs in a memory, and the terms [start, stop) of the sentence it stands in.

    0 <= start <= stop <= number of terms.
    """

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class NewMemory:
    """A memory on its way into a store: checked, analysed and keyed.

    `terms` are the analysed words of the dated text in order, repeats included: of ASCII only a-z, 0-9 and "_",
    beyond it all but control characters and surrogates, at most MAX_TERM_LENGTH characters each. `key` is the
    encoded pooled activations. `subject` is whom or what the memory is about, `mentions` are the names in it: one
    line of at most MAX_NAME_LENGTH characters each, compared character by character; of two mentions with the same
    name and start the first counts. Under the same stamp as `key` go `traits`, strengths in (0, 1] by name, kept to the
    precision of float32, and `head_keys`, encoded keys of its tokens, of any length.
    """

    id: str
    item: MemoryItem
    created_at: datetime
    token_count: int
    terms: tuple[str, ...]
    key: bytes
    trace_id: str | None = None
    subject: str | None = None
    mentions: tuple[Mention, ...] = ()
    traits: Mapping[str, float] = field(default_factory=dict)
    head_keys: bytes | None = None


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """What a store knows of a trace without decoding it. `size` in bytes."""

    id: str
    conversation: str | None
    created_at: datetime
    seed: int
    level: str
    size: int


@dataclass(frozen=True, slots=True)
class NewTrace:
    """An encoded trace on its way into a store.

    `mentions` are the ids of memories whose text stands in it, beside those that refer to it by `trace_id`: the
    history and the notes of its prompt. The trace of a reply that was not chosen mentions its turn, too.
    """

    info: TraceInfo
    body: bytes
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryRows:
    """The columns that recall keeps in memory, n rows in ascending `seqs`.

    said_at, created_at: microseconds since 1970 in UTC, NO_TIME where unknown; importances, emotions: float64 [n] in
    [0, 1], 0 where there is no emotion; keys: uint8 [n, bytes per key], the key of the current stamp (all keys of one
    stamp are equally long; 0 bytes while the store has none).
    """

    seqs: Seqs
    conversations: list[str | None]
    speakers: list[str | None]
    subjects: list[str | None]
    provenances: list[str]
    types: list[str]
    stabilities: list[str]
    importances: NDArray[np.float64]
    emotions: NDArray[np.float64]
    tags: list[tuple[str, ...]]
    created_at: NDArray[np.int64]
    said_at: NDArray[np.int64]
    token_counts: NDArray[np.int32]
    term_counts: NDArray[np.int32]
    keys: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EdgeRows:
    """Edges as columns of one length."""

    sources: Seqs
    targets: Seqs
    types: list[str]
    weights: NDArray[np.float64]
    provenances: list[str]


def edges_of(rows: EdgeRows) -> list[Edge]:
    """Columns of edges as edges."""
    columns = zip(
        rows.sources.tolist(),
        rows.targets.tolist(),
        rows.types,
        rows.weights.tolist(),
        map(Provenance, rows.provenances),
        strict=True,
    )
    return [Edge(*values) for values in columns]


@dataclass(frozen=True, slots=True)
class AccessRows:
    """How often memories were used, as columns of one length, ascending by seq; those never used are left out.

    counts: int64 [m] >= 1; times: int64 [m], of the last use, microseconds since 1970 in UTC.
    """

    seqs: Seqs
    counts: NDArray[np.int64]
    times: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PathRow:
    """A way activation took: seqs from the seed to the memory reached, types of the edges, and what it brought."""

    nodes: tuple[int, ...]
    types: tuple[str, ...]
    contribution: float


@dataclass(frozen=True, slots=True)
class SpreadRows:
    """Where activation went inside a store.

    nodes: int64 [n] ascending, every memory with activation > 0; values: float64 [n], its activation; seeds: float64
    [n], the part of it that it started with; frames: (nodes, values) that arrived in each hop, the seeds first; paths:
    the strongest ways to each node that was reached, strongest first; truncated: whether the fan left out an edge.
    """

    nodes: Seqs
    values: NDArray[np.float64]
    seeds: NDArray[np.float64]
    frames: tuple[tuple[Seqs, NDArray[np.float64]], ...]
    paths: Mapping[int, tuple[PathRow, ...]]
    truncated: bool


@dataclass(frozen=True, slots=True)
class TraitRows:
    """Traits as columns of one length, ascending by (seq, name). values: float32 [m] in (0, 1]."""

    seqs: Seqs
    names: list[str]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MentionRows:
    """Names as columns of one length. starts, stops: int32 [m], the terms of the sentence that has the name."""

    seqs: Seqs
    names: list[str]
    starts: NDArray[np.int32]
    stops: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to a store after a revision: apply `forgotten` first, then the rows (they replace by seq).

    A memory is handed over, with its traits, when it or its key is new, an edge when it or its weight is, accesses
    when they changed. The edges and accesses of a forgotten memory go with it, unnamed. `forgotten` is ascending, and
    empty for "everything": nothing is known yet. Where `unrelated`, edges were removed: which ones are left, only
    `changes(0)` tells.
    """

    revision: int
    memories: MemoryRows
    traits: TraitRows
    edges: EdgeRows
    accesses: AccessRows
    forgotten: Seqs
    unrelated: bool


@dataclass(frozen=True, slots=True)
class Postings:
    """Where one term occurs: one row per occurrence, in ascending order of memory, then of place.

    seqs: int64 [m], the memory, repeated for each occurrence; positions: int32 [m], the place among the memory's
    terms, from 0.
    """

    seqs: Seqs
    positions: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Size and span of one conversation."""

    name: str
    memories: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class MemoryFilter:
    """Which memories are wanted: those that fit everything that is given.

    words: terms that all have to occur; beginning: what some term has to begin with; tag: one of its tags; since,
    until: said, or where nobody knows when stored, at this time or later, and before that one.
    """

    words: tuple[str, ...] = ()
    beginning: str | None = None
    type: MemoryType | None = None
    tag: str | None = None
    speaker: str | None = None
    conversation: str | None = None
    provenance: Provenance | None = None
    stability: Stability | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PriorityRows:
    """What the priority of memories follows from, as columns of one length, ascending by seq.

    importances, emotions: float64 [n] in [0, 1], 0 where there is no emotion; counts: int64 [n], accesses; used_at:
    int64 [n], the last access, or where there was none the moment of storing, in microseconds since 1970 in UTC.
    """

    seqs: Seqs
    types: list[str]
    stabilities: list[str]
    importances: NDArray[np.float64]
    emotions: NDArray[np.float64]
    counts: NDArray[np.int64]
    used_at: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many of the memories and traces that are there were stored on a day (in UTC)."""

    day: date
    memories: int
    traces: int


@dataclass(frozen=True, slots=True)
class Attached:
    """What hangs on some memories, and goes when they are forgotten: traces, newest first, and a number of edges."""

    traces: tuple[TraceInfo, ...]
    edges: int


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Counts, and bytes by part (`text`, `keys`, `fragments`, `traces`, `edges`, `keywords`, `names`, `file`).

    Head keys count as `keys`, traits as `names`.
    """

    memories: int
    traces: int
    edges: int
    conversations: int
    bytes: Mapping[str, int]
