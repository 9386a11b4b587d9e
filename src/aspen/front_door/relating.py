"""Relations between memories: making them, spreading activation over them, learning them by use."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from aspen.errors import InvalidInput, NotFound, StoreBusy
from aspen.front_door.remembering import Remembering
from aspen.hits import spread_of
from aspen.memory_graph import (
    CARRYING,
    DEFAULT_TYPE_BOOST,
    Activated,
    SpreadingSettings,
    spread_in,
    strengthened,
)
from aspen.repository import MAX_LIMIT, edges_of
from aspen.types import (
    Edge,
    LinkChange,
    MemoryType,
    Provenance,
    Relation,
    RelationType,
    Spread,
)
from aspen.validation import check_choice, check_choices, check_count, check_kind, check_share

_USED_TOGETHER = RelationType.CO_ACTIVATED


class Relating(Remembering):
    """What works on the graph of memories."""

    def relate(
        self,
        source: str,
        target: str,
        relation: RelationType | str,
        *,
        weight: float = 0.8,
        both_ways: bool = False,
        provenance: Provenance | str = Provenance.SAID,
    ) -> None:
        """Say how the memory `source` relates to `target`, by id: "source supports target".

        Activation flows along the direction; `both_ways` makes the relation back, too. Errors: `relate_many`.
        """
        kind = check_choice(relation, RelationType, what="relation")
        origin = check_choice(provenance, Provenance, what="provenance")
        one = Relation(source, target, kind, weight, origin)
        self.relate_many([one, replace(one, source=target, target=source)] if both_ways else [one])

    def relate_many(self, relations: Sequence[Relation]) -> None:
        """Store relations in one transaction; one with the same ends and type takes the new weight and provenance.

        NotFound for a memory that there is not; InvalidInput for a type that there is not, a weight outside [0, 1] and
        a relation from a memory to itself. Nothing is stored then.
        """
        checked = [
            replace(
                relation,
                type=check_choice(relation.type, RelationType, what="relation"),
                weight=check_share(relation.weight, what="weight"),
            )
            for relation in relations
        ]
        for one in checked:
            if one.source == one.target:
                raise InvalidInput(
                    f"A relation must join two memories, got {one.source!r} at both ends.", id=one.source
                )
        seqs = self._seqs(end for one in checked for end in (one.source, one.target))
        self.repository.relate(
            [
                Edge(seqs[one.source], seqs[one.target], one.type.value, one.weight, one.provenance)
                for one in checked
            ]
        )

    def unrelate(self, source: str, target: str, relation: RelationType | str) -> bool:
        """Remove a relation; False where there was none. NotFound for a memory that there is not."""
        kind = check_choice(relation, RelationType, what="relation")
        seqs = self._seqs([source, target])
        return self.repository.unrelate([(seqs[source], seqs[target], kind.value)]) > 0

    def relations(self, memory_id: str) -> tuple[Relation, ...]:
        """The relations from a memory, then those to it, heaviest first; at most 10,000 of each."""
        seq = self._seqs([memory_id])[memory_id]
        edges = [
            *edges_of(self.repository.out_edges([seq], fan=MAX_LIMIT)),
            *edges_of(self.repository.in_edges([seq], fan=MAX_LIMIT)),
        ]
        ids = self._ids({end for edge in edges for end in (edge.source, edge.target)})
        return tuple(
            Relation(
                ids[edge.source], ids[edge.target], RelationType(edge.type), edge.weight, edge.provenance
            )
            for edge in edges
            if edge.source in ids and edge.target in ids
        )

    # -- spreading activation ------------------------------------------------------------------------------

    def spread_activation(
        self,
        seed_ids: Sequence[str] | Mapping[str, float],
        *,
        max_hops: int = 2,
        type_boost: Mapping[MemoryType | str, float] | None = None,
        top_k: int = 10,
        decay: float = 0.6,
        min_weight: float = 0.0,
        relation_types: Collection[RelationType | str] | None = None,
        fan: int = 64,
        frames: bool = False,
    ) -> Spread:
        """Where activation goes from some memories over their relations: the `top_k` most active ones.

        Each hop carries `activation x weight x boost of the receiving type x decay`, summed over all paths. No model
        is needed. NotFound for an unknown id, InvalidInput for a value out of its range.

        Parameters
        ----------
        seed_ids:
            Ids, each of which starts at 1.0, or activations >= 0 by id.
        max_hops:
            In [0, 3].
        type_boost:
            Factors in [1, 10] by type of memory, 1 for those not named; self and belief 1.75, pattern 1.35 where None.
        top_k:
            Most memories to return, in [1, 10,000].
        decay:
            What is left after each hop, in (0, 1].
        min_weight:
            Relations lighter than this carry nothing; in [0, 1].
        relation_types:
            The relations that carry; all but "next" and "historical_version_of" where None.
        fan:
            Most relations that carry out of one memory, the heaviest ones.
        frames:
            Tell what arrived in each hop, too, and the strongest edges that carried it.
        """
        started = time.perf_counter()
        check_kind(seed_ids, list | tuple | Mapping, what="seed_ids")
        check_count(top_k, what="top_k")
        boosts = DEFAULT_TYPE_BOOST if type_boost is None else type_boost
        check_kind(boosts, Mapping, what="type_boost")
        carrying = CARRYING if relation_types is None else relation_types
        settings = SpreadingSettings(
            max_hops=max_hops,
            decay=decay,
            type_boost={check_choice(kind, MemoryType, what="type").value: boosts[kind] for kind in boosts},
            min_weight=min_weight,
            relation_types=frozenset(
                kind.value for kind in check_choices(carrying, RelationType, what="relation")
            ),
            fan=fan,
        )
        active = dict(seed_ids) if isinstance(seed_ids, Mapping) else dict.fromkeys(seed_ids, 1.0)
        seqs = self._seqs(active)
        activation = self._spread({seqs[id_]: value for id_, value in active.items()}, settings, tell=frames)
        return spread_of(
            activation,
            repository=self.repository,
            settings=settings,
            top_k=top_k,
            frames=frames,
            started=started,
        )

    def _spread(
        self, initial: Mapping[int, float], settings: SpreadingSettings, *, tell: bool = False
    ) -> Activated:
        """Over the graph that a search holds in memory, where there is one; else straight from the store.

        To `tell` the edges as well, it is not left to a store that can spread by itself: it does not tell them.
        """
        if self._engine is not None:
            return self._engine.search.spread(initial, settings=settings, here=tell)
        return spread_in(self.repository, initial, settings=settings, inside=not tell)

    # -- use -----------------------------------------------------------------------------------------------

    def reinforce(
        self, used: Sequence[str] | Mapping[str, float], *, dry_run: bool = False
    ) -> tuple[LinkChange, ...]:
        """Note that memories were used together: each counts an access, and links between them grow.

        `chat` calls it with the memories of its note. Links are `co_activated` relations, strengthened within bounds
        (see `aspen.memory_graph.coactivation`); memories that were recalled and stored again make none. With `dry_run`
        nothing is written. Returns what changes, or would. NotFound, and no change, for an unknown id.

        Parameters
        ----------
        used:
            Ids, or how active each memory was, in (0, 1], by id.
        """
        check_kind(used, list | tuple | Mapping, what="used")
        active = dict(used) if isinstance(used, Mapping) else dict.fromkeys(used, 1.0)
        memories = {memory.seq: memory for memory in self.repository.get(list(active))}
        learning = {
            seq: active[memory.id]
            for seq, memory in memories.items()
            if memory.provenance is not Provenance.RECALLED
        }
        kind = _USED_TOGETHER.value
        known = edges_of(self.repository.out_edges(sorted(learning), fan=MAX_LIMIT, types=[kind]))
        changes = strengthened({(edge.source, edge.target): edge.weight for edge in known}, learning)
        if not dry_run:
            self.repository.relate(
                [
                    Edge(change.source, change.target, kind, change.after)
                    for change in changes
                    if change.after
                ],
                without=[(change.source, change.target, kind) for change in changes if not change.after],
                used=list(memories),
                at=datetime.now(UTC),
            )
        ids = self._ids({end for change in changes for end in (change.source, change.target)})
        return tuple(
            LinkChange(ids[change.source], ids[change.target], change.before, change.after)
            for change in changes
            if change.source in ids and change.target in ids
        )

    def _note_use(self, memory_ids: Sequence[str]) -> None:
        """`reinforce` what stood in a note, where that is wanted and the store can be written.

        The answer is there already: it is not lost where the store is busy, or a memory was forgotten meanwhile.
        """
        if self.config.reinforce and self.repository.writable:
            with suppress(StoreBusy, NotFound):
                self.reinforce(sorted(self.repository.known(memory_ids)))

    def _ids(self, seqs: Collection[int]) -> dict[int, str]:
        """Ids by seq, of the memories that are there."""
        return {memory.seq: memory.id for memory in self.repository.get_by_seq(sorted(seqs))}
