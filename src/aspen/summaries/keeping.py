"""Which pattern memories there are, what they summarize, and what has to change: membership lies in the edges alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aspen.memory_injector.summary import TAG
from aspen.repository import MAX_LIMIT, Changes, Repository, edges_of
from aspen.summaries.finding import Cluster
from aspen.types import Provenance, RelationType

_MADE_FROM = (RelationType.SUMMARIZES, RelationType.DERIVED_FROM)


@dataclass(frozen=True, slots=True)
class Kept:
    """A pattern memory that holds, by seq, and what it summarizes."""

    seq: int
    members: frozenset[int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do so that the summaries are those of the clusters.

    new: clusters without one; changed: a summary and the cluster it is of now; unchanged: so that nothing is to be
    done; retired: summaries of clusters that are no more.
    """

    new: tuple[Cluster, ...]
    changed: tuple[tuple[Kept, Cluster], ...]
    unchanged: tuple[tuple[Kept, Cluster], ...]
    retired: tuple[Kept, ...]


def plan(kept: Sequence[Kept], clusters: Sequence[Cluster]) -> Plan:
    """Hold clusters against the summaries that there are.

    A summary goes with the cluster that most of its members are in; of two that go with one, the one that shares more.
    """
    of_member = {seq: i for i, cluster in enumerate(clusters) for seq in cluster.seqs}
    claims = []
    for one in kept:
        shared: dict[int, int] = {}
        for seq in one.members & of_member.keys():
            shared[of_member[seq]] = shared.get(of_member[seq], 0) + 1
        claims += [(count, one, i) for i, count in shared.items() if 2 * count > len(one.members)]
    taken: dict[int, Kept] = {}
    for _, one, i in sorted(claims, key=lambda claim: (-claim[0], claim[1].seq)):
        taken.setdefault(i, one)
    same = {i for i, one in taken.items() if one.members == set(clusters[i].seqs)}
    return Plan(
        new=tuple(cluster for i, cluster in enumerate(clusters) if i not in taken),
        changed=tuple((one, clusters[i]) for i, one in sorted(taken.items()) if i not in same),
        unchanged=tuple((one, clusters[i]) for i, one in sorted(taken.items()) if i in same),
        retired=tuple(one for one in kept if one not in taken.values()),
    )


def summaries_of(repository: Repository, seqs: Sequence[int]) -> list[str]:
    """Ids of the pattern memories that were made from one of these memories: their text goes with them."""
    edges = edges_of(repository.in_edges(seqs, fan=MAX_LIMIT))
    sources = {edge.source for edge in edges if edge.type in _MADE_FROM} - set(seqs)
    return [
        memory.id
        for memory in repository.get_by_seq(sorted(sources))
        if TAG in memory.tags and memory.provenance is Provenance.INFERRED
    ]


def kept_summaries(changes: Changes) -> list[Kept]:
    """The summaries that hold in `changes`, the whole store, ascending by seq."""
    memories, edges = changes.memories, changes.edges
    columns = list(zip(edges.sources.tolist(), edges.targets.tolist(), edges.types, strict=True))
    corrected = {source for source, _, kind in columns if kind == RelationType.HISTORICAL_VERSION_OF}
    own = zip(memories.seqs.tolist(), memories.provenances, memories.tags, strict=True)
    members: dict[int, set[int]] = {
        seq: set()
        for seq, provenance, tags in own
        if provenance == Provenance.INFERRED and TAG in tags and seq not in corrected
    }
    for source, target, kind in columns:
        if kind == RelationType.SUMMARIZES and source in members:
            members[source].add(target)
    return [Kept(seq, frozenset(found)) for seq, found in members.items()]
