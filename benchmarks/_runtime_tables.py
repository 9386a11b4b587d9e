"""The tables that `runtimes.py` prints of its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aspen.benchmarks import output
from aspen.models import RUNTIMES

_ROWS = (
    ("install", "installed_mb", "installed, without the model, MB", 0),
    ("install", "packages", "packages", 0),
    ("install", "install_s", "pip install, s", 0),
    ("first_use", "cache_mb", "put into the cache folder at the first use, MB", 0),
    ("first_use", "new_first_words_s", "first words of all: with an empty cache folder, s", 1),
    ("start", "import_seconds", "import aspen, s", 2),
    ("start", "loaded_s", "from starting Python to a loaded model, s", 2),
    ("start", "first_words_s", "to the first words of a reply, s", 2),
    ("start", "reply_s", "to the whole reply, s", 2),
    ("start", "peak_mb", "most memory in use, a chat turn, MB", 0),
    ("remembering", "remember_ms", "remember one text, p50, ms", 1),
    ("remembering", "import_ms_each", "each of many at once, ms", 1),
    ("remembering", "import_s", "all of them, s", 1),
    ("remembering", "import_peak_mb", "most memory in use meanwhile, MB", 0),
)
_BY_THREADS = (
    ("writing", "written_per_s", "tokens a second written", 1),
    ("writing", "recorded_per_s", "the same, recorded", 1),
    ("writing", "recorded_share", "recorded, share of not recorded", 3),
    ("reading", "read_per_s", "tokens a second read", 1),
)
_CUTOFFS = (5, 10, 25)


def show(report: Mapping[str, Any]) -> None:
    """Print what was measured."""
    rows = [_row(report, *row) for row in _ROWS if row[0] in report]
    for threads in report["threads_compared"]:
        rows += [
            _row(report, f"{task} {threads}", name, f"{label}, threads: {threads}", digits)
            for task, name, label, digits in _BY_THREADS
            if f"{task} {threads}" in report
        ]
    if "replay" in report:
        found = report["replay"]
        rows.append(
            [
                "replayed bit for bit",
                *(f"{found[r]['verified']} of {found[r]['generations']}" for r in RUNTIMES),
            ]
        )
        rows.append(_row(report, "replay", "replay_p50_s", "one replay, p50, s", 2))
    if rows:
        output.table(f"Runtimes, {report['model']}", ["", *RUNTIMES], rows, caption=_caption(report))
    if "recall" in report:
        _show_recall(report["recall"])
    if "activations" in report:
        _show_activations(report["activations"])


def _row(report: Mapping[str, Any], section: str, name: str, label: str, digits: int) -> list[str]:
    return [label, *(f"{report[section][runtime][name]:,.{digits}f}" for runtime in RUNTIMES)]


def _caption(report: Mapping[str, Any]) -> str:
    load = report["machine"]["load_at_end"]
    return f"threads: {report['threads']} where none are named; load of the machine at the end: {load}"


def _show_recall(found: Mapping[str, Any]) -> None:
    def cells(figures: Mapping[str, Any]) -> list[str]:
        return [str(figures[f"recall@{k}"]) for k in _CUTOFFS]

    rows: list[Sequence[str]] = [
        [name, *cells(figures), str(figures["write_ms"]), str(figures["query_ms"]["p50"])]
        for name, figures in found["systems"].items()
    ]
    for name, figures in found["differences"].items():
        interval = figures["ci95"]["recall@10"]
        told = f" (recall@10: {interval[0]:+.1f} to {interval[1]:+.1f})" if interval else ""
        rows.append([name + told, *cells(figures), "", ""])
    output.table(
        "Recall, LoCoMo",
        ["percent", *(f"recall@{k}" for k in _CUTOFFS), "write ms", "question ms"],
        rows,
        caption="differences on the same questions, with their 95 % interval",
    )


def _show_activations(found: Mapping[str, Any]) -> None:
    layers = range(0, len(found["cosine"]), 5)
    output.table(
        f"Activations in both runtimes, cosine over {found['tokens']:,} tokens",
        ["layer", *map(str, layers), "worst"],
        [
            [name, *(f"{found[key][layer]:.4f}" for layer in layers), f"{min(found[key]):.4f}"]
            for key, name in (
                ("cosine", "mean"),
                ("cosine_centred", "mean, centred"),
                ("lowest_centred", "lowest of a token, centred"),
            )
        ],
        caption=found["closeness"],
    )
