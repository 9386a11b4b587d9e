"""How many of the turns that hold the answer come back: LoCoMo, through Aspen's front door.

Measures what `aspen bench recall --dataset locomo` measures, and writes it in a form of its own: recall@k alone, kinds
of questions by LoCoMo's numbers (`per_category`, `category_5`), `write_ms` once for all, and what is `aspen` and
`aspen_minilm` there as `spreading` and `spreading_minilm`. docs/benchmarks/recall.md has the names and keys of that
program. This one can keep a store for each conversation, too.

    python benchmarks/locomo.py --data locomo10.json --json recall.json --plot recall.png

The data is not part of Aspen (CC BY-NC 4.0): https://github.com/snap-research/locomo
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `python benchmarks/locomo.py` from anywhere

from benchmarks._program import exit_code, positive

from aspen.benchmarks import catalogue, output
from aspen.benchmarks.circumstances import circumstances
from aspen.benchmarks.datasets.locomo import KINDS, read_locomo_set
from aspen.benchmarks.interface import Dataset
from aspen.benchmarks.plotting import check_plotting, plot_recall
from aspen.benchmarks.report import Report, show, summarised
from aspen.benchmarks.running import Outcome, run
from aspen.benchmarks.systems import VARIANTS
from aspen.config import Config

_VARIANTS = {
    **VARIANTS,
    "spreading": VARIANTS["aspen"],
    "spreading_minilm": VARIANTS["aspen_minilm"],
}
_PRODUCT = ("bm25", "bm25_spreading", "activation", "hybrid", "spreading")
_ORDER = (
    "bm25",
    "bm25_spreading",
    "minilm",
    "bm25_minilm",
    "bm25_minilm_spreading",
    "activation",
    "hybrid",
    "spreading",
    "spreading_minilm",
)
_PAIRS = (
    ("spreading", "hybrid"),
    ("spreading", "bm25_spreading"),
    ("spreading", "bm25_minilm_spreading"),
    ("spreading_minilm", "bm25_minilm_spreading"),
)
_NUMBERS = {kind: str(number) for number, kind in KINDS.items()}
_ADVERSARIAL = KINDS[5]


def measure(arguments: argparse.Namespace) -> None:
    """Import, ask, print, write."""
    for path in (arguments.json, arguments.plot):
        output.check_output(path)
    if arguments.plot is not None:
        check_plotting(arguments.plot)
    dataset = read_locomo_set(arguments.data).part(
        conversations=arguments.conversations, questions=arguments.limit
    )
    setting = catalogue.Setting(
        Config.from_environment(),
        model=arguments.model,
        apart=arguments.store_per_conversation,
        notify=output.note,
    )
    names = _ORDER if arguments.minilm else _PRODUCT
    with catalogue.opened(names, setting, variants=_VARIANTS) as opened:
        outcomes = run(dataset, opened.systems)
        facts = {**opened.facts, "data": _described(dataset), "write_ms": _write_ms(dataset, outcomes)}
    report = summarised(dataset, outcomes, pairs=_PAIRS)
    head = circumstances(title="locomo", command=["python", *sys.argv])
    output.write_json(arguments.json, {**head, **facts, **_in_own_form(report, dataset)})
    if arguments.plot is not None:
        plot_recall(arguments.plot, report, dataset)
    show(report, dataset)


def _in_own_form(report: Report, dataset: Dataset) -> Report:
    """The report with the keys of this program: recall@k only, categories by their numbers."""
    keys = [f"recall@{k}" for k in dataset.cutoffs]

    def recall(figures: Mapping[str, object]) -> dict[str, object]:
        return {key: figures.get(key) for key in keys}

    return {
        "unit": report["unit"],
        "systems": {
            name: {
                **recall(figures),
                "ci95": recall(figures["ci95"]),
                "category_5": recall(figures["per_kind"].get(_ADVERSARIAL, {})),
                "per_category": {
                    number: recall(figures["per_kind"][kind])
                    for kind, number in sorted(_NUMBERS.items(), key=lambda pair: pair[1])
                    if kind in figures["per_kind"]
                },
                "per_conversation": {name: recall(group) for name, group in figures["per_group"].items()},
                "query_ms": figures["query_ms"],
            }
            for name, figures in report["systems"].items()
        },
        "differences": {
            name: {**recall(figures), "ci95": recall(figures["ci95"])}
            for name, figures in report["differences"].items()
        },
    }


def _described(dataset: Dataset) -> Report:
    """What was measured on."""
    ((file, sha256),) = dataset.files.items()
    kinds = [question.kind for question in dataset.questions]
    return {
        "file": file,
        "sha256": sha256,
        "conversations": dataset.conversations,
        "turns": len(dataset.items),
        "turns_not_read": dataset.not_read,
        "questions_by_category": {
            number: kinds.count(kind)
            for number, kind in sorted((n, k) for k, n in _NUMBERS.items())
            if kind in kinds
        },
    }


def _write_ms(dataset: Dataset, outcomes: Mapping[str, Outcome]) -> float:
    return round(1000 * outcomes["spreading"].write_seconds / len(dataset.items), 2)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="LoCoMo in its official format")
    made.add_argument("--json", type=Path, help="write all figures here")
    made.add_argument("--plot", type=Path, help="draw recall@k here (.png, .svg)")
    made.add_argument("--conversations", type=positive, help="take the first N only")
    made.add_argument("--limit", type=positive, help="ask the first N questions of each conversation only")
    made.add_argument("--model", help="bundled, a Hugging Face id or a folder; default as for Aspen.open")
    made.add_argument("--no-minilm", dest="minilm", action="store_false", help="leave MiniLM out")
    made.add_argument(
        "--store-per-conversation", action="store_true", help="one store for each, not one for all"
    )
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(exit_code(lambda: measure(parsed)))
