"""What was measured of each answer, and the figures that are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aspen.benchmarks import output
from aspen.benchmarks.metrics import resamples


@dataclass(frozen=True, slots=True)
class Row:
    """One question, answered in one way. `logprob` in nats a token, `f1` in [0, 1]; times in seconds.

    strategy: what was done, which differs from what was asked for where it fell back; injected: whether memories
    reached the model; first_token_s: from the question to the logits of the first token, recall and all.
    """

    question: str
    kind: str
    group: str
    strategy: str
    reason: str
    injected: bool
    logprob: float
    exact: bool
    f1: float
    said: str
    tokens_added: int
    first_token_s: float
    total_s: float


Rows = Mapping[str, Sequence[Row]]
"""By what was asked for: a strategy, or "none", "gold", "history"."""
Figures = dict[str, dict[str, Any]]


def figures(rows: Rows, *, without: str) -> Figures:
    """Means over the questions, the median times, and the gain over the same questions in `without`."""
    before = {(row.group, row.question): row.logprob for row in rows[without]}
    return {
        name: _figures(some, [before[row.group, row.question] for row in some]) for name, some in rows.items()
    }


def _figures(rows: Sequence[Row], before: Sequence[float]) -> dict[str, Any]:
    def mean(name: str) -> float:
        return round(float(np.mean([getattr(row, name) for row in rows])), 4)

    def median(name: str) -> float:
        return round(float(np.median([getattr(row, name) for row in rows])), 3)

    gains = np.array([row.logprob for row in rows]) - before
    drawn = [float(weights @ gains / weights.sum()) for weights in resamples([""] * len(rows))]
    done = [row.strategy for row in rows]
    return {
        "questions": len(rows),
        "gold_logprob_per_token": mean("logprob"),
        "gain": round(float(gains.mean()), 4),
        "gain_interval": np.percentile(drawn, [2.5, 97.5]).round(4).tolist() if drawn else None,
        "worse": round(float((gains < 0).mean()), 4),
        "exact": mean("exact"),
        "f1": mean("f1"),
        "context_tokens_added": mean("tokens_added"),
        "injected": mean("injected"),
        "time_to_first_token_s": median("first_token_s"),
        "total_s": median("total_s"),
        "done": {name: done.count(name) for name in sorted(set(done))},
    }


def by_kind(rows: Rows, *, without: str) -> dict[str, Figures]:
    """The figures of each kind of question."""
    kinds: dict[str, set[tuple[str, str]]] = {}
    for row in sorted(rows[without], key=lambda row: row.kind):
        kinds.setdefault(row.kind, set()).add((row.group, row.question))
    return {kind: figures(_where(rows, asked), without=without) for kind, asked in kinds.items()}


def on_the_questions_of(name: str, rows: Rows, *, without: str) -> Figures:
    """The figures of all on the questions that were answered in the way `name`, too."""
    return figures(_where(rows, {(row.group, row.question) for row in rows[name]}), without=without)


def _where(rows: Rows, asked: set[tuple[str, str]]) -> Rows:
    chosen = {
        name: [row for row in some if (row.group, row.question) in asked] for name, some in rows.items()
    }
    return {name: some for name, some in chosen.items() if some}


def show(title: str, found: Figures) -> None:
    """One table."""
    headings = ["", "log p / token", "gain", "95 %", "worse %", "exact %", "F1 %", "injected %", "tokens"]
    output.table(
        title,
        [*headings, "first token s", "total s", "questions"],
        [_cells(name, one) for name, one in found.items()],
        caption="log p: mean over the right answer's tokens, nats; gain: over no memory, with its bootstrap interval; "
        "worse: less likely than without memory; tokens: of memories in the prompt; medians of times",
    )


def _cells(name: str, one: Mapping[str, Any]) -> list[str]:
    low, high = one["gain_interval"] or (one["gain"], one["gain"])
    return [
        name,
        f"{one['gold_logprob_per_token']:.3f}",
        f"{one['gain']:+.2f}",
        f"{low:+.2f} {high:+.2f}",
        f"{100 * one['worse']:.0f}",
        f"{100 * one['exact']:.1f}",
        f"{100 * one['f1']:.1f}",
        f"{100 * one['injected']:.0f}",
        f"{one['context_tokens_added']:.0f}",
        f"{one['time_to_first_token_s']:.2f}",
        f"{one['total_s']:.2f}",
        str(one["questions"]),
    ]
