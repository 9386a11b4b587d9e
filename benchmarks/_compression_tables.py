"""Tables and curves of `compression.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aspen.benchmarks import output

_FIDELITY = {"bytes": "bytes", "bytes_zlib": "after zlib", "ratio": "times smaller", "cosine": "cosine"}
_RECALL = {"whole": "whole R@10", "whole_lost": "lost (95 %)"}
_TABLES = {
    "keys": (
        "Keys, by memory",
        {
            **_FIDELITY,
            "activation": "activation R@10",
            "activation_lost": "lost (95 %)",
            **_RECALL,
        },
    ),
    "head_keys": ("Head keys, by token", {**_FIDELITY, **_RECALL}),
    "together": (
        "Keys and head keys, of a memory of 40 tokens",
        {
            "bytes": "bytes",
            "ratio": "times smaller",
            **{
                key + suffix: label
                for key, name in (("recall_5", "R@5"), ("recall_10", "R@10"), ("all_10", "all@10"))
                for suffix, label in (("", name), ("_lost", "lost (95 %)"))
            },
        },
    ),
    "traces": ("Traces, by token", {**_FIDELITY, "relative_error": "relative error"}),
}
_CURVES = {"keys": ("activation", "whole"), "head_keys": ("whole",), "traces": ("cosine",)}


def show(report: Mapping[str, Any]) -> None:
    """Print the parts that were measured."""
    for part, (title, columns) in _TABLES.items():
        if part in report:
            rows = [
                [name, *(_cell(figures, key) for key in columns)] for name, figures in report[part].items()
            ]
            output.table(title, ["coding", *columns.values()], rows)


def _cell(figures: Mapping[str, Any], key: str) -> str:
    """A figure, with its interval where it has one; "-" where there is none."""
    if key not in figures:
        return "-"
    ends = figures.get(f"{key}_ci95")
    return f"{figures[key]:,}" + (f" ({ends[0]} to {ends[1]})" if ends else "")


def plot(path: Path, report: Mapping[str, Any]) -> None:
    """Recall with intervals of what is lost, and the fidelity of traces, by bytes on a log scale; the default red."""
    from matplotlib import pyplot  # noqa: PLC0415 - an extra, and slow to import

    parts = [part for part in _CURVES if part in report]
    size = (7 * len(parts), 5.5)
    figure, rows = pyplot.subplots(1, len(parts), figsize=size, layout="constrained", squeeze=False)
    for axes, part in zip(rows[0], parts, strict=True):
        for key in _CURVES[part]:
            _draw(axes, report[part], key, named=key == _CURVES[part][0])
        axes.set(xscale="log", xlabel=f"{_TABLES[part][0]}: bytes")
        axes.set_ylabel("cosine" if part == "traces" else "recall@10, %")
        axes.minorticks_off()
        axes.margins(x=0.12, y=0.15)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _draw(axes: Any, rows: Mapping[str, Mapping[str, Any]], key: str, *, named: bool) -> None:
    """One curve; names, of the first one only, beside what is chosen and what no coding of as few bytes surpasses."""
    best = {name for name, figures in rows.items() if _unsurpassed(figures, rows.values(), key)}
    axes.scatter(
        [figures["bytes"] for figures in rows.values()],
        [figures[key] for figures in rows.values()],
        s=22,
        label=key,
    )
    for name, figures in rows.items():
        size, value = figures["bytes"], figures[key]
        if ends := figures.get(f"{key}_lost_ci95"):
            exact = value + figures[f"{key}_lost"]
            axes.plot([size, size], [exact - ends[1], exact - ends[0]], color="#999", lw=0.8, zorder=0)
        if named and (name in best or name.startswith(("default", "float32"))):
            axes.annotate(name, (size, value), (3, 5), textcoords="offset points", rotation=40, fontsize=7)
        if name.startswith("default"):
            axes.scatter([size], [value], s=70, facecolors="none", edgecolors="red", zorder=3)


def _unsurpassed(figures: Mapping[str, Any], others: Iterable[Mapping[str, Any]], key: str) -> bool:
    """Whether all others that take no more bytes have less of `key`."""
    return all(
        other[key] < figures[key]
        for other in others
        if other is not figures and other["bytes"] <= figures["bytes"]
    )
