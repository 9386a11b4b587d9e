"""What it takes a model to find the memories that decide an answer, and how often it gets there by itself.

    python benchmarks/orchestration.py --json orchestration.json --plot orchestration.png

The questions of the acceptance tests are put to the store of a character in each of the three orchestrations: *prompt*,
where the model searches, reads relations and follows them with the plain tools; *tool*, where it searches and lets
activation spread; *repository*, where one search spreads by itself. The bundled model makes the keys of the memories
throughout, so that every model that runs the agent is offered the same hits.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1])
)  # `python benchmarks/orchestration.py` from anywhere

from benchmarks._program import exit_code, positive

from aspen import Aspen
from aspen.benchmarks import output
from aspen.benchmarks.circumstances import circumstances
from aspen.benchmarks.plotting import check_plotting
from aspen.config import Config
from aspen.errors import AspenError, InvalidInput
from aspen.interchange import import_file
from aspen.memory_agent import LocalAgentModel, MemoryAgent, Orchestration
from aspen.models import LanguageModel, load_model
from aspen.types import Memory

_ROOT = Path(__file__).resolve().parents[1]
_STORE = _ROOT / "src" / "aspen" / "demo" / "creator.jsonl"
_QUESTIONS = _ROOT / "tests" / "acceptance" / "creator_queries.json"
_KINDS = ("bring", "unchanged")
_FIRST = 5
_SEED = 7
_COLOURS = ("#08519c", "#4292c6", "#9ecae1")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the memory that decides the answer, by its name in the file.

    `kind` is "bring" where search alone does not have it among the first five, and "unchanged" where it has.
    """

    kind: str
    text: str
    expected: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question took. `place` counts from 1; None where the memory is not among those of the answer.

    `seconds` are from the question to the written answer, `tool_seconds` those of them that tools took.
    """

    question: str
    kind: str
    expected: str
    place: int | None
    finished_by: str
    reason: str
    written_by: str
    steps_by_model: int
    steps_by_plan: int
    tool_calls: int
    refused_calls: int
    turns: int
    prompt_tokens: int
    reply_tokens: int
    seconds: float
    processor_seconds: float
    tool_seconds: float


def questions(limit: int | None) -> list[Question]:
    """The first `limit` questions of the acceptance tests, both kinds in turn."""
    rows = [
        Question(row["kind"], row["question"], row["expected"])
        for row in json.loads(_QUESTIONS.read_text(encoding="utf-8"))
    ]
    by_kind = ([row for row in rows if row.kind == kind] for kind in _KINDS)
    return [row for turn in zip_longest(*by_kind) for row in turn if row is not None][:limit]


def _place(expected: str, memories: Iterable[Memory]) -> int | None:
    names = [memory.source for memory in memories]
    return names.index(expected) + 1 if expected in names else None


def _asked(agent: MemoryAgent, question: Question, orchestration: str) -> Asked:
    started = time.process_time()
    answer = agent.ask(question.text, seed=_SEED, orchestration=orchestration, limit=_FIRST)
    used = time.process_time() - started
    return Asked(
        question=question.text,
        kind=question.kind,
        expected=question.expected,
        place=_place(question.expected, (one.memory for one in answer.memories)),
        finished_by=answer.finished_by,
        reason=answer.reason,
        written_by=answer.written_by,
        steps_by_model=answer.steps_by_model,
        steps_by_plan=answer.steps_by_plan,
        tool_calls=len(answer.steps),
        refused_calls=sum(bool(step.error) for step in answer.steps),
        turns=answer.turns,
        prompt_tokens=answer.prompt_tokens,
        reply_tokens=answer.reply_tokens,
        seconds=round(answer.seconds, 3),
        processor_seconds=round(used, 3),
        tool_seconds=round(sum(step.seconds for step in answer.steps), 3),
    )


def ask_all(aspen: Aspen, model: LanguageModel, asked: Sequence[Question]) -> dict[str, list[Asked]]:
    """Each question in each orchestration, in turn, so that a busy machine slows all of them alike."""
    agent = MemoryAgent(aspen, LocalAgentModel(model), count_tokens=lambda text: len(model.tokenize(text)))
    rows: dict[str, list[Asked]] = {orchestration.value: [] for orchestration in Orchestration}
    with output.progress() as shown:
        task = shown.add_task(model.info.name, total=len(asked) * len(rows))
        # The first answer sets up the grammars of the model's vocabulary: it is not counted.
        agent.ask("What do I like?", seed=_SEED, orchestration="repository", limit=_FIRST)
        for question in asked:
            for orchestration, found in rows.items():
                found.append(_asked(agent, question, orchestration))
                shown.advance(task)
    return rows


def recall_all(aspen: Aspen, asked: Sequence[Question]) -> dict[str, Any]:
    """The same questions put to `Aspen.recall`: no model calls a tool, and none writes an answer."""
    places, seconds = [], []
    for question in asked:
        started = time.perf_counter()
        hits = aspen.recall(question.text, limit=_FIRST).hits
        seconds.append(time.perf_counter() - started)
        places.append((question.kind, _place(question.expected, (hit.memory for hit in hits))))
    return {"expected_in_first_5": _found(places), **_percentiles(seconds)}


def _found(places: Sequence[tuple[str, int | None]]) -> dict[str, list[int]]:
    """Of each kind, how many were found, and of how many."""
    return {
        kind: [
            sum(place is not None for one, place in places if one == kind),
            sum(one == kind for one, _ in places),
        ]
        for kind in _KINDS
    }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    return {f"p{q}_s": round(float(np.percentile(seconds, q)), 3) for q in (50, 95)}


def figures(rows: Sequence[Asked]) -> dict[str, Any]:
    """Counts, means over the questions, and percentiles of the time."""

    def mean(name: str) -> float:
        return round(float(np.mean([getattr(row, name) for row in rows])), 2)

    return {
        "questions": len(rows),
        "finished_by_model": sum(row.finished_by == "model" for row in rows),
        "written_by_model": sum(row.written_by == "model" for row in rows),
        "steps_by_model": sum(row.steps_by_model for row in rows),
        "steps_by_plan": sum(row.steps_by_plan for row in rows),
        "expected_in_first_5": _found([(row.kind, row.place) for row in rows]),
        **{
            name: mean(name)
            for name in ("tool_calls", "refused_calls", "turns", "prompt_tokens", "reply_tokens")
        },
        **_percentiles([row.seconds for row in rows]),
        "processor_s": mean("processor_seconds"),
        "tools_s": mean("tool_seconds"),
    }


def _show(model: str, by_orchestration: Mapping[str, Mapping[str, Any]], alone: Mapping[str, Any]) -> None:
    def shares(found: Mapping[str, Any]) -> list[str]:
        return [f"{hits} of {count}" for hits, count in found["expected_in_first_5"].values()]

    def row(name: str, found: Mapping[str, Any]) -> list[str]:
        finished = f"{found['finished_by_model']} of {found['questions']}"
        spent = [f"{found[key]:g}" for key in ("tool_calls", "turns", "prompt_tokens", "reply_tokens")]
        seconds = [f"{found[key]:.2f}" for key in ("p50_s", "p95_s", "processor_s", "tools_s")]
        return [name, finished, *shares(found), *spent, *seconds]

    output.table(
        model,
        [
            "", "finished", *_KINDS, "tool calls", "turns", "prompt tokens", "reply tokens",
            "p50 s", "p95 s", "processor s", "tools s",
        ],
        [
            *(row(name, found) for name, found in by_orchestration.items()),
            [
                "recall alone", "", *shares(alone), "0", "0", "0", "0",
                f"{alone['p50_s']:.2f}", f"{alone['p95_s']:.2f}", "", "",
            ],
        ],
        caption=f"finished: plans without the fallback; {', '.join(_KINDS)}: the expected memory is among the first "
        f"{_FIRST}; the others are means, and percentiles, of a question with its written answer",
    )  # fmt: skip


def _plot(path: Path, models: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """For each model: how often it finished the plan, and the tokens and seconds of a recall."""
    check_plotting(path)
    from matplotlib import pyplot  # noqa: PLC0415 - an extra, and slow to import

    panels: dict[str, Callable[[Mapping[str, Any]], float]] = {
        "plans finished by the model, %": lambda one: 100 * one["finished_by_model"] / one["questions"],
        "tokens of a recall": lambda one: one["prompt_tokens"] + one["reply_tokens"],
        "s of a recall, p50": lambda one: one["p50_s"],
    }
    figure, all_axes = pyplot.subplots(1, len(panels), figsize=(10.5, 3.4), layout="constrained")
    places, width = np.arange(len(models)), 0.8 / len(Orchestration)
    for axes, (title, value) in zip(all_axes, panels.items(), strict=True):
        for i, (orchestration, colour) in enumerate(zip(Orchestration, _COLOURS, strict=True)):
            heights = [value(found[orchestration.value]) for found in models.values()]
            axes.bar(
                places + (i - 1) * width, heights, width=0.93 * width, color=colour, label=orchestration.value
            )
        axes.set_xticks(places, [re.sub(r"(?<=B)-", "\n", name) for name in models])
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    all_axes[0].set_ylim(0, 100)
    figure.legend(
        *all_axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(Orchestration),
        frameon=False,
    )
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _fill(aspen: Aspen) -> None:
    report = import_file(aspen, _STORE)
    if report.bad:
        raise AspenError(f"{_STORE} has {report.bad} lines that cannot be read: {report.problems[0]}.")
    aspen.recall("What do I like?")  # the first recall builds the index


def _load(spec: str, config: Config, *, dtype: str | None) -> LanguageModel:
    return load_model(
        spec, cache_dir=config.cache_dir, device=config.device, dtype=dtype, threads=config.threads
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, and write after each model: a large one takes hours."""
    output.check_output(arguments.json)
    if arguments.plot:
        check_plotting(arguments.plot)
    config, asked = Config.from_environment(), questions(arguments.questions)
    models: dict[str, dict[str, Any]] = {}
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with Aspen.open(":memory:", model="bundled", config=config) as aspen:
        _fill(aspen)
        alone = recall_all(aspen, asked)
        for spec in dict.fromkeys(arguments.model or ["bundled"]):
            started = time.perf_counter()
            model = aspen.model if spec == "bundled" else _load(spec, config, dtype=arguments.dtype)
            name = Path(model.info.name).name  # that of a model in a folder is its path
            if name in models:
                raise InvalidInput(f"Two of the models are called {name}.")
            output.note(f"{name} loaded in {time.perf_counter() - started:.0f} s")
            found = ask_all(aspen, model, asked)
            models[name] = {key: figures(each) for key, each in found.items()}
            rows[name] = {key: [asdict(row) for row in each] for key, each in found.items()}
            _show(name, models[name], alone)
            report = {
                **circumstances(title="orchestration", command=["python", *sys.argv]),
                "memories": aspen.repository.stats().memories,
                "questions": {kind: sum(one.kind == kind for one in asked) for kind in _KINDS},
                "seed": _SEED,
                "recall_alone": alone,
                "models": models,
                "rows": rows,
            }
            output.write_json(arguments.json, report)
            if arguments.plot:
                _plot(arguments.plot, models)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write all figures here, and each question's own")
    made.add_argument("--plot", type=Path, help="draw them here (.png, .svg, .pdf)")
    made.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help='runs the agent: "bundled" (the default), a Hugging Face id, a folder or a .gguf file; several times',
    )
    made.add_argument("--dtype", help="of models other than the bundled one: float32, bfloat16 or float16")
    made.add_argument("--questions", type=positive, metavar="N", help="only the first N questions")
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(exit_code(lambda: run(parsed)))
