"""Pictures of what was found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aspen.benchmarks.interface import Dataset
from aspen.benchmarks.report import Report
from aspen.plotting import check_plotting, open_pyplot

__all__ = ["check_plotting", "plot_cold_start", "plot_growth", "plot_recall", "plot_reliability"]

_SHADES = ("#c6dbef", "#9ecae1", "#4292c6", "#08519c")


def plot_recall(path: Path, report: Report, dataset: Dataset) -> None:
    """recall@k of every system as a bar chart, with intervals; the format is that of the path's ending."""
    pyplot = open_pyplot(path)
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
    axes.legend(loc="upper left", ncols=count, frameon=False)
    _finish(pyplot, figure, axes, path)


def plot_cold_start(path: Path, report: Report, dataset: Dataset) -> None:
    """recall@5 of every system by the number of memories, with intervals."""
    pyplot = open_pyplot(path)
    sizes: dict[str, Report] = report["memories"]
    places = np.arange(len(sizes))
    figure, axes = pyplot.subplots(figsize=(5.0, 3.8), layout="constrained")
    names = list(next(iter(sizes.values()))["systems"])
    for i, name in enumerate(names):
        found = [part["systems"][name] for part in sizes.values()]
        values = np.array([figures["recall@5"] for figures in found])
        ends = [
            figures["ci95"]["recall@5"] or (value, value)
            for figures, value in zip(found, values, strict=True)
        ]
        low, high = np.array(ends).T
        bounds = [np.maximum(values - low, 0), np.maximum(high - values, 0)]
        aside = 0.04 * (i - (len(names) - 1) / 2)  # intervals at one place would hide each other
        axes.errorbar(places + aside, values, bounds, marker="o", capsize=2, label=name)
    axes.set_xticks(places, [f"{size}\n({part['questions']} questions)" for size, part in sizes.items()])
    axes.set(xlabel="memories in the store", ylabel="recall@5, %", title=f"{dataset.name}: cold start")
    axes.legend(frameon=False)
    _finish(pyplot, figure, axes, path)


def plot_reliability(path: Path, report: Report, dataset: Dataset) -> None:
    """Reliability diagram of familiarity: what was observed by what was predicted."""
    pyplot = open_pyplot(path)
    bins = [bin_ for bin_ in report["familiarity"]["reliability"] if bin_["count"]]
    figure, axes = pyplot.subplots(figsize=(4.2, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color="#999", lw=1, ls="--", label="perfect calibration")
    predicted, observed = zip(*((bin_["mean_predicted"], bin_["observed"]) for bin_ in bins), strict=True)
    axes.plot(predicted, observed, color=_SHADES[-1], marker="o", label="familiarity")
    for bin_ in bins:
        place = (bin_["mean_predicted"], bin_["observed"])
        axes.annotate(f"{bin_['count']}", place, (6, -10), textcoords="offset points", fontsize=8)
    axes.set(
        xlim=(0, 1.02), ylim=(0, 1.02), xlabel="familiarity", ylabel="share of questions that are answerable"
    )
    axes.set(title=f"{dataset.name}: AUROC {report['familiarity']['auroc']:.3f}", aspect="equal")
    axes.legend(loc="upper left", frameon=False)
    _finish(pyplot, figure, axes, path)


def plot_growth(
    path: Path, curves: Mapping[str, Mapping[int, float]], *, title: str, across: str, up: str
) -> None:
    """Curves of positive figures by size, both axes logarithmic."""
    pyplot = open_pyplot(path)
    figure, axes = pyplot.subplots(figsize=(5.0, 3.8), layout="constrained")
    for name, figures in curves.items():
        axes.plot(list(figures), list(figures.values()), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel=across, ylabel=up, title=title)
    # The sizes that were measured, and whole numbers: the ticks of logarithmic axes run into each other.
    sizes = sorted({size for figures in curves.values() for size in figures})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_locator(pyplot.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.yaxis.minorticks_off()
    axes.legend(frameon=False)
    _finish(pyplot, figure, axes, path)


def _finish(pyplot: Any, figure: Any, axes: Any, path: Path) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
