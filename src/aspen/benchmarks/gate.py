"""Gates: what must not become less. Each returns what is wrong, a sentence each; nothing where all is well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aspen.errors import InvalidInput

SPREADING = ("aspen", "hybrid")
"""Spreading on, and off."""
TOLERANCE = 3.0
"""Points that a figure without a sound interval may fall: machines differ in the last bits, and so do some ranks."""
LEAST_UNITS = 5
"""Conversations, or questions where there are none, that an interval has to rest on: two show no spread."""
LEAST_AUROC = 0.9
"""Of familiarity, between questions that a store can answer and those it cannot."""

Figures = Mapping[str, Any]


def verdict(difference: Figures, *, measure: str = "recall@10") -> str:
    """Of a paired difference: "higher", "lower", or "within noise".

    The noise is the 95 % interval of the difference; TOLERANCE where that is smaller and rests on few conversations.
    """
    value, ends = difference[measure], difference["ci95"][measure]
    if value is None:
        return "not measured"
    low, high = ends or (value, value)
    if difference["units"] < LEAST_UNITS:
        low, high = min(low, value - TOLERANCE), max(high, value + TOLERANCE)
    return "lower" if high < 0 else "higher" if low > 0 else "within noise"


def spreading_failures(report: Figures) -> list[str]:
    """What `aspen bench recall` found against spreading."""
    more, less = SPREADING
    difference = report["differences"][f"{more} - {less}"]
    if verdict(difference) in ("within noise", "higher"):
        return []
    return [f"Spreading does harm: {more} - {less} is {_shown(difference, 'recall@10')} at recall@10."]


def recorded_failures(report: Figures, recorded: Figures) -> list[str]:
    """Systems that now find less than an earlier report has, by more than TOLERANCE; or that it has none of them."""
    now = {name: figures["recall@10"] for name, figures in report["systems"].items()}
    before = {name: figures["recall@10"] for name, figures in recorded["systems"].items() if name in now}
    if not before:
        return [f"The recorded report has other systems: {', '.join(recorded['systems']) or 'none'}."]
    return [
        f"{name} finds {now[name]} % at recall@10; recorded were {value} %."
        for name, value in before.items()
        if value is not None and (now[name] is None or now[name] < value - TOLERANCE)
    ]


def cold_start_failures(report: Figures) -> list[str]:
    """Numbers of memories at which the default finds less than BM25."""
    return [
        f"With {memories} memories aspen - bm25 is {_shown(difference, measure)} at {measure}."
        for memories, part in report["memories"].items()
        if (difference := part["differences"].get("aspen - bm25"))
        for measure in difference["ci95"]
        if verdict(difference, measure=measure) == "lower"
    ]


def familiarity_failures(report: Figures) -> list[str]:
    """Familiarity that does not tell questions apart."""
    auroc = report["familiarity"]["auroc"]
    return [f"The AUROC is {auroc}, not {LEAST_AUROC} or more."] if auroc < LEAST_AUROC else []


def read_recorded(path: Path, *, data: Figures) -> Figures:
    """The report of an earlier run on the same `data`; InvalidInput where it is none."""
    try:
        recorded: Any = json.loads(path.read_text(encoding="utf-8"))
        figures = [system["recall@10"] for system in recorded["systems"].values()]
        same = recorded.get("data", data) == data
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_report(path, "it cannot be read as one") from error
    if not all(isinstance(figure, float | int | None) for figure in figures):
        raise _no_report(path, "recall@10 is no number")
    if not same:
        raise _no_report(path, "it measured other data")
    return dict(recorded)


def _no_report(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(
        f"{path} is no report to compare with: {reason}.",
        hint="Expected what `aspen bench recall --json` wrote for the same data and limits.",
        path=str(path),
    )


def _shown(difference: Figures, measure: str) -> str:
    value, ends = difference[measure], difference["ci95"][measure]
    interval = "no interval" if ends is None else f"95 %: {ends[0]} to {ends[1]}"
    return "not measured" if value is None else f"{value} points ({interval})"
