"""What was found, as data and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aspen.benchmarks import metrics, output
from aspen.benchmarks.gate import verdict
from aspen.benchmarks.interface import Dataset
from aspen.benchmarks.running import Outcome
from aspen.benchmarks.systems import DEFAULT

Report = dict[str, Any]
"""Plain data for JSON; figures in percent with one decimal."""
_MANY = 12
"""Kinds, or conversations, that are told one by one in a table; more stand in the JSON only."""


def described(dataset: Dataset) -> Report:
    """What was measured on."""
    return {
        "name": dataset.name,
        "files": dict(dataset.files),
        "memories": len(dataset.items),
        "not_read": dataset.not_read,
        "conversations": dataset.conversations,
        "questions": {kind: _count(dataset, kind) for kind in _kinds(dataset)},
        "apart": sorted(dataset.apart),
    }


def summarised(
    dataset: Dataset,
    outcomes: Mapping[str, Outcome],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> Report:
    """Figures of all systems, and paired differences of `pairs`: the default minus each other where None."""
    main = _main(dataset)
    measures = {name: outcome.measures[main] for name, outcome in outcomes.items()}
    return {
        "unit": "percent",
        "systems": {name: _figures(dataset, outcome) for name, outcome in outcomes.items()},
        "differences": differences(dataset, measures, pairs=pairs),
    }


def differences(
    dataset: Dataset,
    measures: Mapping[str, metrics.Measures],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> Report:
    """Paired differences of systems by `measures` of the questions that count; `pairs` as in `summarised`."""
    if pairs is None:
        pairs = [(DEFAULT, other) for other in measures if other != DEFAULT]
    paired = {
        f"{more} - {less}": with_intervals(dataset, measures[more] - measures[less])
        for more, less in pairs
        if more in measures and less in measures
    }
    units = len(set(metrics.units(_groups(dataset))))
    return {
        name: {**figures, "units": units, "verdict": verdict({**figures, "units": units})}
        for name, figures in paired.items()
    }


def _figures(dataset: Dataset, outcome: Outcome) -> Report:
    kinds = np.array([question.kind for question in dataset.questions])
    groups = np.array([question.group for question in dataset.questions])
    main = _main(dataset)

    def means(chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> metrics.Figures:
        return metrics.means(outcome.measures[chosen], cutoffs=dataset.cutoffs)

    return {
        **with_intervals(dataset, outcome.measures[main]),
        "write_ms": _milliseconds(outcome.write_seconds / max(len(dataset.items), 1)),
        "query_ms": {
            "p50": _milliseconds(float(np.percentile(outcome.seconds, 50))),
            "p95": _milliseconds(float(np.percentile(outcome.seconds, 95))),
        },
        "per_kind": {kind: means(kinds == kind) for kind in _kinds(dataset)},
        "per_group": {
            group: means(main & (groups == group)) for group in dict.fromkeys(groups.tolist()) if group
        },
    }


def with_intervals(dataset: Dataset, measures: metrics.Measures) -> Report:
    """Means of the questions that count, and their 95 % intervals."""
    return {
        **metrics.means(measures, cutoffs=dataset.cutoffs),
        "ci95": metrics.intervals(measures, _groups(dataset), cutoffs=dataset.cutoffs),
    }


def _groups(dataset: Dataset) -> list[str]:
    return [question.group for question in dataset.questions if question.kind not in dataset.apart]


def _main(dataset: Dataset) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([question.kind not in dataset.apart for question in dataset.questions], dtype=np.bool_)


def _kinds(dataset: Dataset) -> list[str]:
    return sorted({question.kind for question in dataset.questions})


def _count(dataset: Dataset, kind: str) -> int:
    return sum(question.kind == kind for question in dataset.questions)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)


# -- tables ------------------------------------------------------------------------------------------------


def show(report: Report, dataset: Dataset) -> None:
    """Print the tables."""
    systems: dict[str, Report] = report["systems"]
    measures = metrics.names(dataset.cutoffs)
    asked = int(_main(dataset).sum())
    apart = f" Not in these figures: {', '.join(sorted(dataset.apart))}." if dataset.apart else ""
    output.table(
        f"{dataset.name}: evidence found, percent; {asked} questions, {len(dataset.items):,} memories",
        ["", *map(short, measures), "95 % of R@10", "write ms", "query ms"],
        [
            [
                name,
                *(figure(figures[measure]) for measure in measures),
                interval(figures["ci95"]["recall@10"]),
                f"{figures['write_ms']:.1f}",
                f"{figures['query_ms']['p50']:.1f}",
            ]
            for name, figures in systems.items()
        ],
        caption=f"Writing: mean of a memory; query: median.{apart}",
    )
    _show_parts(report, "per_kind", f"recall@10 by kind of question ({_counts(dataset)})")
    _show_parts(report, "per_group", "recall@10 by conversation")
    if report["differences"]:
        output.table(
            "Paired differences of recall@10, in points",
            ["", "recall@10", "95 %", "verdict"],
            [
                [
                    name,
                    figure(figures["recall@10"]),
                    interval(figures["ci95"]["recall@10"]),
                    figures["verdict"],
                ]
                for name, figures in report["differences"].items()
            ],
        )


def _show_parts(report: Report, part: str, title: str) -> None:
    """A table of recall@10 with systems down the side, or across where that is narrower.

    None for a single part, which the first table has told, and none for so many that nobody would read it.
    """
    systems: dict[str, Report] = report["systems"]
    across = list(next(iter(systems.values()))[part])
    if not 1 < len(across) <= _MANY:
        return
    rows = [
        [name, *(figure(figures[part][key]["recall@10"]) for key in across)]
        for name, figures in systems.items()
    ]
    if _width(list(systems), across) > _width(across, list(systems)):
        rows = [[key, *column] for key, column in zip(across, list(zip(*rows, strict=True))[1:], strict=True)]
        across = list(systems)
    output.table(title, ["", *map(_folded, across)], rows)


def _folded(name: str) -> str:
    """For the head of a column: narrow."""
    return name.replace("_", "\n")


def _width(down: Sequence[str], across: Sequence[str]) -> int:
    """Characters of a table with these rows and columns."""
    heads = (max(map(len, _folded(name).split("\n"))) for name in across)
    return max(map(len, down)) + sum(max(head, 5) + 3 for head in heads)


def _counts(dataset: Dataset) -> str:
    return ", ".join(f"{_count(dataset, kind)} {kind}" for kind in _kinds(dataset))


def short(measure: str) -> str:
    """A measure as the head of a column."""
    return (
        measure.replace("all_recall", "all")
        .replace("recall", "R")
        .replace("ndcg", "nDCG")
        .replace("mrr", "MRR")
    )


def figure(value: float | None) -> str:
    """With one decimal."""
    return "-" if value is None else f"{value:.1f}"


def interval(value: list[float] | None) -> str:
    """Its two ends."""
    return "-" if value is None else f"{value[0]:.1f} to {value[1]:.1f}"
