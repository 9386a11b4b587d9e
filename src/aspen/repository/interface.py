"""What Aspen asks of a store. A store keeps, finds by name and hands over; it ranks nothing.

Every method that writes is one transaction: when it returns, what it wrote survives the loss of power; when it
raises, nothing of it was written. Several threads and processes may use one store at once. Where `versions` are
given, by id, it is a Conflict, and nothing is written, if a memory has another one by then. A value that cannot
be stored as it is (NaN, NUL, a lone surrogate, a key of another length) raises InvalidInput.
"""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from aspen.repository.values import (
    Attached,
    Changes,
    Conversation,
    DayCount,
    EdgeRows,
    KeyStamp,
    MemoryFilter,
    MentionRows,
    NewMemory,
    NewTrace,
    Postings,
    PriorityRows,
    SpreadRows,
    StoreStats,
    TraceInfo,
)
from aspen.types import Edge, Memory, Relation, Seqs


class MemoryStore(Protocol):
    """Memories themselves."""

    def add(
        self,
        memories: Sequence[NewMemory],
        *,
        trace: NewTrace | None = None,
        stamp: KeyStamp | None = None,
        relations: Sequence[Relation] = (),
        versions: Mapping[str, int] | None = None,
    ) -> list[Memory]:
        """Store memories (and the trace they come from, and relations) and return them in input order.

        A memory whose id is stored already, or stands earlier in `memories`, is left as it is. Each new memory
        of a conversation gets a NEXT edge, weight 1, from the one stored before it in the same conversation.

        The keys count as keys of the current stamp: StoreError while the store has none. `stamp` says whose
        they are: ModelMismatch if that is not the current one (another process re-keyed the store meanwhile).

        A `trace_id` names `trace` or a stored trace, a mention of `trace` a memory that is stored or in
        `memories`; NotFound otherwise. `trace` itself is stored if a memory that is new refers to it (otherwise
        nothing could ever forget it), once per id. `relations` are between memories that are stored or in `memories`,
        and are stored as `relate` does it.
        """

    def amend(self, memory_id: str, fields: Mapping[str, object], *, version: int | None = None) -> Memory:
        """Give a memory another type, stability, importance, emotion or tags, as those of a MemoryItem.

        Its version counts one more, unless all is as it was. Conflict, and no change, where `version` is given and is
        not the memory's; NotFound where there is no such memory, InvalidInput for another field.
        """

    def known(self, ids: Sequence[str]) -> set[str]:
        """Which of `ids` are stored."""

    def get(self, ids: Sequence[str]) -> list[Memory]:
        """Memories by id, in the order asked; NotFound names the first unknown one."""

    def get_by_seq(self, seqs: Sequence[int]) -> list[Memory]:
        """Memories by seq, in the order asked, repeats included; those forgotten meanwhile are left out."""

    def list(
        self,
        *,
        conversation: str | None = None,
        speaker: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Memory]:
        """Newest first (by seq), only those with seq < `before` where it is given; `limit` in [1, 10,000]."""

    def conversations(self) -> builtins.list[Conversation]:
        """All conversations, in the order of their last memory, newest first."""

    def touch(self, seqs: Sequence[int], *, at: datetime) -> None:
        """Note that memories were used at a time: each counts one access more, a repeated one as well.

        The time of the last access never goes back. Memories forgotten meanwhile are left out.
        """

    def forget(self, ids: Sequence[str], *, versions: Mapping[str, int] | None = None) -> int:
        """Delete memories with their keys, fragments, terms, names, traits, edges, and every trace in which they stand.

        These are the traces that they refer to, or that mention them; other memories stay, without their trace.
        NotFound, and nothing is deleted, if one id is unknown. Returns how many traces went with them. What is
        deleted is overwritten, so that it cannot be read out of the store's files either; a store on a server says how
        far it can promise that. All statistics go too: they are sums, and what is left of the store would tell what is
        missing in them. The memories of a conversation that a gap parts are joined by a NEXT edge of weight 1.
        """

    def attached(self, ids: Sequence[str]) -> Attached:
        """What `forget` would take along; NotFound names the first unknown id."""


class BrowsingStore(Protocol):
    """Looks through memories. What it takes to rank them is handed over; a store orders by seq alone."""

    def page(
        self, wanted: MemoryFilter, *, newest_first: bool = True, beyond: int | None = None, limit: int
    ) -> list[Memory]:
        """Memories by seq, descending or ascending; only those beyond a seq where it is given.

        `limit` in [1, 10,000].
        """

    def count(self, wanted: MemoryFilter) -> int:
        """How many memories fit."""

    def priority_rows(self, wanted: MemoryFilter) -> PriorityRows:
        """What the priority of each memory that fits follows from."""

    def growth(self) -> list[DayCount]:
        """Days on which something was stored that is still there, ascending."""


class KeywordStore(Protocol):
    """Where a term occurs."""

    def postings(self, terms: Sequence[str]) -> list[Postings]:
        """One `Postings` per term, in order; empty where the term does not occur."""


class NameStore(Protocol):
    """Which memories mention a name, and which are about whom. A name that no memory can have is only not found."""

    def mentions(self, seqs: Sequence[int]) -> MentionRows:
        """All mentions in these memories, ascending by (seq, start, name), each memory once."""

    def mentioning(self, names: Sequence[str], *, conversation: str | None = None, limit: int) -> MentionRows:
        """For each name, the `limit` oldest memories that mention it, with the mention of the smallest start.

        In the order of `names`, repeats included, then ascending by seq; of one conversation where it is given.
        `limit` in [1, 10,000].
        """

    def about(self, names: Sequence[str], *, conversation: str | None = None, limit: int) -> MentionRows:
        """As `mentioning`, the memories whose subject each name is. All starts and stops are 0."""


class EdgeStore(Protocol):
    """Relations between memories.

    The version of a memory counts one more whenever an edge "historical_version_of" from it comes or goes, in whatever
    way: something else holds in its place then, or no longer does.
    """

    def relate(
        self,
        edges: Sequence[Edge],
        *,
        without: Sequence[tuple[int, int, str]] = (),
        used: Sequence[int] = (),
        at: datetime | None = None,
        versions: Mapping[str, int] | None = None,
    ) -> None:
        """Store edges; one with the same ends and type takes the new weight and provenance.

        In the same transaction, and before, edges `without` go as `unrelate` does it, and memories that were `used`
        count an access as `touch` does it, `at` a time. NotFound, and no change, if an end is missing. A weight outside
        [0, 1] and an edge from a memory to itself are InvalidInput.
        """

    def unrelate(self, edges: Sequence[tuple[int, int, str]]) -> int:
        """Remove edges by source, target and type; returns how many there were. Those not there are left out."""

    def out_edges(
        self, seqs: Sequence[int], *, fan: int, min_weight: float = 0.0, types: Collection[str] | None = None
    ) -> EdgeRows:
        """The `fan` heaviest edges out of each of `seqs` (by weight descending, then target, then type).

        Of those with at least `min_weight` in [0, 1] and, where given, of one of `types`. In the order asked, each
        source once. `fan` in [1, 10,000].
        """

    def in_edges(self, seqs: Sequence[int], *, fan: int) -> EdgeRows:
        """The `fan` heaviest edges into each of `seqs` (by weight descending, then source, then type).

        In the order asked, each target once. `fan` in [1, 10,000].
        """

    def memory_types(self, seqs: Sequence[int]) -> dict[int, str]:
        """The types of memories by seq, in the order asked, of those that are there."""


@runtime_checkable
class SpreadingStore(Protocol):
    """A store that lets activation spread by itself, where the edges are. Not every store does."""

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
        """What `aspen.memory_graph.spread_activation` says, for `max_hops` in [0, 2] and without a node budget.

        `initial` has activations >= 0 by seq; NotFound names a seed that is not there. At most `paths` ways to each
        memory are told.
        """


class TraceStore(Protocol):
    """Encoded traces. They go with the memories that refer to them, or that they mention: see `MemoryStore`."""

    def add_trace(self, trace: NewTrace) -> None:
        """Store a trace that no memory refers to, such as that of a reply that was not chosen.

        It has to mention a memory, with which it is forgotten: InvalidInput otherwise; NotFound for a mention that is
        not stored. No change where a trace of this id is stored already.
        """

    def trace(self, trace_id: str) -> bytes:
        """The encoded trace; NotFound where there is none."""

    def trace_memories(self, trace_id: str) -> list[str]:
        """Ids of the memories whose text stands in a trace, ascending by seq: each of them, forgotten, takes it along.

        Those that refer to it and those that it mentions. NotFound where there is no such trace.
        """

    def traces(
        self, *, conversation: str | None = None, seed: int | None = None, limit: int = 100
    ) -> list[TraceInfo]:
        """Newest first, in the order in which they were stored; `limit` in [1, 10,000].

        Only those of a conversation, and with a seed, where these are given.
        """

    def from_traces(self, trace_ids: Sequence[str]) -> list[Memory]:
        """The memories that refer to one of these traces, ascending by seq."""


class KeyStore(Protocol):
    """Keys of memories, and the model that made them."""

    def stamp(self) -> KeyStamp | None:
        """Whose keys the store holds; None while it is new."""

    def set_stamp(self, stamp: KeyStamp) -> None:
        """Stamp a store that has none. ModelMismatch if another process stamped it otherwise meanwhile.

        No change where the store has a stamp of the same identity.
        """

    def missing_keys(self, stamp: KeyStamp, *, limit: int) -> list[Memory]:
        """Memories without a key of `stamp`, ascending by seq: what is left of re-keying.

        `limit` in [1, 10,000].
        """

    def keys(self, stamp: KeyStamp, *, after: int = 0) -> tuple[Seqs, NDArray[np.uint8]]:
        """Seqs > `after` of memories with a key of `stamp`, ascending, and the keys, uint8 [n, bytes per key]."""

    def add_keys(
        self,
        stamp: KeyStamp,
        keys: Mapping[int, bytes],
        *,
        head_keys: Mapping[int, bytes] | None = None,
        traits: Mapping[int, Mapping[str, float]] | None = None,
    ) -> None:
        """Store keys of a stamp, current or coming, by seq; those of forgotten memories are dropped.

        A key that is stored already is replaced. All keys of one stamp have one length; head keys have any. Head
        keys and traits belong to the stamp as keys do, and come with the key of their memory (InvalidInput otherwise);
        where none come, those of this stamp stay. The traits of a memory are replaced all at once.
        """

    def head_keys(self, seqs: Sequence[int]) -> dict[int, bytes]:
        """Head keys of the current stamp by seq, in the order asked, of those memories that have them."""

    def activate(self, stamp: KeyStamp) -> bool:
        """Make `stamp` the current one, and delete all keys, head keys, traits and fragments of others.

        False, and no change, while keys are missing. Statistics are deleted with the keys they were fitted on.
        Activating the current stamp only drops the keys of others.
        """


class FragmentStore(Protocol):
    """Encoded KV fragments of memories, of the model of the current stamp. A cache: their text makes them again."""

    def fragments(self, places: Collection[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        """Fragments of the current stamp by memory (seq) and name, in the order asked, of those that are there."""

    def save_fragments(self, stamp: KeyStamp, fragments: Mapping[tuple[int, str], bytes]) -> None:
        """Store fragments by memory (seq) and name; one that is stored is replaced, those of forgotten memories are
        dropped. ModelMismatch where `stamp` is not the current one, StoreError while the store has none.

        They go with their memory, and with the stamp when another one is activated.
        """


class StatisticsStore(Protocol):
    """What was fitted on the keys of this store."""

    def statistics(self, name: str) -> bytes | None:
        """A named body of statistics fitted on this store, or None."""

    def save_statistics(self, name: str, body: bytes, *, as_of: int) -> bool:
        """Replace it with what was fitted on the store as it was at revision `as_of` (that of its `Changes`).

        False, and no change, where a memory was forgotten or the current stamp became it after `as_of`, or `as_of`
        lies ahead of the store (it was put back from a backup). Fitting takes a while, and `forget` and `activate`
        delete statistics: sums over what went meanwhile must not come back after them.
        """


class Repository(
    MemoryStore,
    BrowsingStore,
    KeywordStore,
    NameStore,
    EdgeStore,
    TraceStore,
    KeyStore,
    FragmentStore,
    StatisticsStore,
    Protocol,
):
    """A whole store. A context manager: leaving it closes the store; a closed one raises StoreError."""

    @property
    def location(self) -> str:
        """Where the store lives, as a person would name it."""

    @property
    def writable(self) -> bool:
        """False where the store could only be opened for reading: every write raises StoreNotWritable."""

    def revision(self) -> int:
        """Counts the transactions that wrote something; cheap enough to ask before every recall."""

    def changes(self, since: int) -> Changes:
        """All that changed after revision `since` (0: everything), read at one moment.

        InvalidInput where `since` lies ahead of the store (it was put back from a backup): start from 0 again.
        """

    def stats(self) -> StoreStats:
        """Sizes, for people; it may read the whole store."""

    def check(self) -> list[str]:
        """Look for damage and orphans; one sentence for each thing found, empty when sound."""

    def backup(self, path: str) -> None:
        """A consistent copy of the whole store at `path`, whole or not at all, while others go on using it.

        An older copy there is replaced; a store in use is not (InvalidInput).
        """

    def close(self) -> None:
        """Wait for calls under way, then close. A second time does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
