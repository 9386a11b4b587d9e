"""From what the tools brought to the memories that an answer stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from aspen.hits import newest_versions
from aspen.memory_agent.answer import Evidence
from aspen.memory_agent.findings import Arrival, Findings
from aspen.memory_graph import priority_of
from aspen.repository import Repository
from aspen.types import Hit, Memory, MemoryType

IDENTITY = (MemoryType.SELF, MemoryType.BELIEF, MemoryType.PATTERN)
"""What is told first: who one is, what one believes, what happens again and again."""


def evidence_of(
    findings: Findings, *, repository: Repository, limit: int, now: datetime
) -> tuple[Evidence, ...]:
    """The `limit` memories that answer best, best first, with their priority at `now`.

    What relations brought is added to what a search gave, and makes up for little likeness; none brings more than the
    best direct hit has; half of the places, rounded up, stay with the best direct hits: so does `recall` rank. What was
    corrected gives its place to what holds now. Of equal texts of one speaker the best stands for all. What lies below
    the mean of all that was searched is no evidence, where something lies above.
    """
    arrivals = _lowered(findings.arrivals(), most=max(findings.seed_scores().values(), default=0.0))
    found = {
        id_: _stands(findings.memories[id_], findings.hits.get(id_), arrivals.get(id_))
        for id_ in {**findings.hits, **arrivals}
    }
    newest = newest_versions(repository, [one.memory.seq for one in found.values()])
    best: dict[tuple[str | None, str], Evidence] = {}
    for one in found.values():
        memory = newest.get(one.memory.seq, one.memory)
        told = memory.speaker, " ".join(memory.text.casefold().split())
        if told not in best or one.score > best[told].score:
            best[told] = replace(one, memory=memory, priority=priority_of(memory, now=now))
    ranked = sorted(best.values(), key=_place)
    if ranked and ranked[0].score > 0:  # of a store with one memory it has the mean score, 0
        ranked = [one for one in ranked if one.score > 0]
    return tuple(_with_direct_hits(ranked, limit))


def _lowered(arrivals: Mapping[str, Arrival], *, most: float) -> Mapping[str, Arrival]:
    """All of them less in the same ratios, where one is above `most` > 0."""
    greatest = max((arrival.value for arrival in arrivals.values()), default=0.0)
    if not 0 < most < greatest:
        return arrivals
    share = most / greatest
    return {
        id_: replace(
            arrival,
            value=arrival.value * share,
            paths=tuple(replace(path, contribution=path.contribution * share) for path in arrival.paths),
        )
        for id_, arrival in arrivals.items()
    }


def _stands(memory: Memory, hit: Hit | None, arrival: Arrival | None) -> Evidence:
    direct = hit.seed_score if hit else 0.0
    arrived = arrival.value if arrival else 0.0
    score = direct + arrived + min(arrived, max(-direct, 0.0))
    told = arrival or hit
    return Evidence(
        memory=memory,
        score=max(score, hit.score) if hit else score,
        seed_score=direct,
        activation=arrived,
        type_boost=told.type_boost if told else 1.0,
        priority=0.0,
        paths=told.paths if told else (),
    )


def _place(one: Evidence) -> tuple[float, int]:
    return -one.score, one.memory.seq


def _with_direct_hits(ranked: list[Evidence], limit: int) -> list[Evidence]:
    """The first `limit` of `ranked`, with the best direct hits in place of the last that relations brought."""
    best = ranked[:limit]
    by_seed = sorted(ranked, key=lambda one: (-one.seed_score, one.memory.seq))
    direct = [one for one in by_seed[: (len(best) + 1) // 2] if one.seed_score > 0]
    missing = [one for one in direct if one not in best]
    others = [one for one in best if one not in direct]
    kept = others[: len(others) - len(missing)]
    return sorted([*(one for one in best if one in direct), *missing, *kept], key=_place)
