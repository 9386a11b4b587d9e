"""Recall of the systems as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aspen.benchmarks.interface import Dataset
from aspen.benchmarks.report import Report
from aspen.errors import InvalidInput, MissingDependency

_ENDINGS = (".png", ".svg", ".pdf")
_SHADES = ("#c6dbef", "#9ecae1", "#4292c6", "#08519c")


def check_plotting(path: Path) -> None:
    """MissingDependency or InvalidInput where nothing can be drawn to `path`: said before the work."""
    if path.suffix.lower() not in _ENDINGS:
        raise InvalidInput(f"{path} is no picture.", hint=f"It has to end in {', '.join(_ENDINGS)}.")
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise MissingDependency(
            "matplotlib, which draws the plot, is not installed.",
            hint='pip install "aspen-memory[benchmark]", or leave --plot out.',
        ) from error
    mpl.use("Agg")


def plot(path: Path, report: Report, dataset: Dataset) -> None:
    """recall@k of every system as a bar chart, with intervals; the format is that of the path's ending."""
    check_plotting(path)
    from matplotlib import pyplot  # noqa: PLC0415

    systems: dict[str, Report] = report["systems"]
    count = len(dataset.cutoffs)
    width = 0.81 / count
    figure, axes = pyplot.subplots(figsize=(max(5.0, 1.0 * len(systems)), 3.8), layout="constrained")
    for i, (k, shade) in enumerate(zip(dataset.cutoffs, _SHADES[-count:], strict=True)):
        values = np.array([figures[f"recall@{k}"] or 0.0 for figures in systems.values()])
        places = np.arange(len(systems)) + (i - (count - 1) / 2) * width
        axes.bar(places, values, width=0.93 * width, color=shade, label=f"recall@{k}")
        known = [figures["ci95"][f"recall@{k}"] for figures in systems.values()]
        if all(known):
            low, high = np.array(known).T
            # Rounding may put a bound past the mean it belongs to.
            bounds = [np.maximum(values - low, 0), np.maximum(high - values, 0)]
            axes.errorbar(places, values, bounds, fmt="none", ecolor="#444", lw=1)
        for place, value in zip(places, values, strict=True):
            colour = "black" if shade in _SHADES[:2] else "white"
            axes.annotate(f"{value:.0f}", (place, 2), ha="center", fontsize=8, color=colour)
    labels = [name.replace("bm25", "BM25").replace("minilm", "MiniLM") for name in systems]
    axes.set_xticks(range(len(systems)), [label.replace("_", "\n+ ") for label in labels])
    axes.set(ylim=(0, 100), ylabel="evidence found, %", title=f"{dataset.name}: recall@k")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", ncols=count, frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
