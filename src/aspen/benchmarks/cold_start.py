"""Cold start: what is found while a store holds few memories.

Conversations are cut into stretches of n memories on end. Each is remembered in a store of its own, which knows
nothing else, and asked the questions whose whole evidence lies in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from aspen.benchmarks import metrics, output
from aspen.benchmarks.interface import Dataset, System
from aspen.benchmarks.report import Report, differences, figure, interval, short, with_intervals
from aspen.errors import InvalidInput
from aspen.types import MemoryItem

SYSTEMS = ("bm25", "activation", "aspen")
"""Measured where none is named."""
CUTOFFS = (1, 5, 10)
"""All of ten memories are among the first ten, hence the smaller ones."""
_COMPARED = (*(f"recall@{k}" for k in CUTOFFS), "mrr")


def stretches(dataset: Dataset, size: int) -> list[Dataset]:
    """The stretches of `size` memories that have questions; what is left at a conversation's end is left out."""
    conversations: dict[str, list[MemoryItem]] = {}
    for item in dataset.items:
        if item.conversation is not None:
            conversations.setdefault(item.conversation, []).append(item)
    found = []
    for group, items in conversations.items():
        asked = [q for q in dataset.questions if q.group == group and q.kind not in dataset.apart]
        for start in range(0, len(items) - size + 1, size):
            stretch = tuple(items[start : start + size])
            sources = {item.source for item in stretch}
            questions = tuple(question for question in asked if question.evidence <= sources)
            if questions:
                found.append(replace(dataset, items=stretch, questions=questions, cutoffs=CUTOFFS))
    return found


def run(dataset: Dataset, systems: Sequence[System], *, sizes: Sequence[int]) -> Report:
    """Figures of every system for each size that `dataset` has questions for; InvalidInput where it has none."""
    parts = {size: stretches(dataset, size) for size in sizes}
    if not any(parts.values()):
        raise InvalidInput(
            f"{dataset.name} has no question whose evidence lies within {max(sizes)} memories of a conversation.",
            hint="Choose other numbers with --memories, or other data.",
        )
    memories: dict[str, Report] = {}
    with output.progress() as bars:
        for size, part in parts.items():
            if part:
                steps = bars.track(_found(part, systems), total=len(part), description=f"{size} memories")
                memories[str(size)] = _figures(list(steps), part)
    return {"unit": "percent", "memories": memories}


def _found(part: Sequence[Dataset], systems: Sequence[System]) -> Iterator[Mapping[str, metrics.Measures]]:
    """Measures of each stretch in turn, by system."""
    for stretch in part:
        found = {}
        with ExitStack() as stack:
            for system in systems:
                stack.enter_context(system)
                system.write(stretch.items, advance=lambda done: None)
                found[system.name] = np.array(
                    [
                        metrics.measured(
                            system.search(question, limit=metrics.DEPTH), question.evidence, cutoffs=CUTOFFS
                        )
                        for question in stretch.questions
                    ]
                )
        yield found


def _figures(found: Sequence[Mapping[str, metrics.Measures]], part: Sequence[Dataset]) -> Report:
    asked = replace(part[0], questions=tuple(question for stretch in part for question in stretch.questions))
    measures = {name: np.concatenate([of[name] for of in found]) for name in found[0]}
    return {
        "stores": len(part),
        "questions": len(asked.questions),
        "systems": {name: with_intervals(asked, of_system) for name, of_system in measures.items()},
        "differences": differences(asked, measures),
    }


def show(report: Report, dataset: Dataset) -> None:
    """Print the tables."""
    names = metrics.names(CUTOFFS)
    sizes: Mapping[str, Report] = report["memories"]
    output.table(
        f"{dataset.name}: evidence found in young stores, percent",
        ["memories", "stores", "questions", "system", *map(short, names), "95 % of R@5"],
        [
            [
                size,
                str(part["stores"]),
                str(part["questions"]),
                name,
                *(figure(figures[measure]) for measure in names),
                interval(figures["ci95"]["recall@5"]),
            ]
            for size, part in sizes.items()
            for name, figures in part["systems"].items()
        ],
    )
    if not next(iter(sizes.values()))["differences"]:
        return
    output.table(
        "Paired differences, in points, and their 95 % intervals",
        ["memories", "", *map(short, _COMPARED)],
        [
            [size, name, *(f"{figure(of[key])} ({interval(of['ci95'][key])})" for key in _COMPARED)]
            for size, part in sizes.items()
            for name, of in part["differences"].items()
        ],
    )
