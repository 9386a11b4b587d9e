"""What it takes a model to find the memories that decide an answer, and how often it gets there by itself.

    python benchmarks/orchestration.py --json orchestration.json --plot orchestration.png

The questions of the acceptance tests are put to the store of a character in each of the three orchestrations: *prompt*,
where the model searches, reads relations and follows them with the plain tools; *tool*, where it searches and lets
activation spread; *repository*, where one search spreads by itself. The bundled model makes the keys of the memories
throughout, so that every model is offered the same hits; --model names others to run the agent.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
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
from aspen.memory_agent import AgentAnswer, LocalAgentModel, MemoryAgent, Orchestration
from aspen.models import LanguageModel, load_model

_ROOT = Path(__file__).resolve().parents[1]
_STORE = _ROOT / "src" / "aspen" / "demo" / "creator.jsonl"
_QUESTIONS = _ROOT / "tests" / "acceptance" / "creator_queries.json"
_KINDS = {"bring": "found only by spreading", "unchanged": "found by search already"}
_FIRST = 5
_SEED = 7
_COLOURS = ("#08519c", "#4292c6", "#9ecae1")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the memory that decides the answer, by its name in the file; `kind` is one of _KINDS."""

    kind: str
    text: str
    expected: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question took. `place` counts from 1; None where the memory is not among those of the answer."""

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


def questions(limit: int | None) -> list[Question]:
    """The first `limit` questions of the acceptance tests, both kinds in turn."""
    rows = [
        Question(row["kind"], row["question"], row["expected"])
        for row in json.loads(_QUESTIONS.read_text(encoding="utf-8"))
    ]
    by_kind = ([row for row in rows if row.kind == kind] for kind in _KINDS)
    return [row for turn in zip_longest(*by_kind) for row in turn if row is not None][:limit]


def _row(question: Question, answer: AgentAnswer) -> Asked:
    names = [one.memory.source for one in answer.memories]
    return Asked(
        question=question.text,
        kind=question.kind,
        expected=question.expected,
        place=names.index(question.expected) + 1 if question.expected in names else None,
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
    )


def ask_all(aspen: Aspen, model: LanguageModel, asked: Sequence[Question]) -> dict[str, list[Asked]]:
    """Each question in each orchestration, in turn, so that a busy machine slows all of them alike."""
    agent = MemoryAgent(aspen, LocalAgentModel(model), count_tokens=lambda text: len(model.tokenize(text)))
    rows: dict[str, list[Asked]] = {orchestration.value: [] for orchestration in Orchestration}
    with output.progress() as shown:
        task = shown.add_task(model.info.name, total=len(asked) * len(rows))
        # The first answer compiles grammars and reads memories from disk: it is not counted.
        agent.ask("What do I like?", seed=_SEED, orchestration=Orchestration.REPOSITORY, limit=_FIRST)
        for question in asked:
            for orchestration, found in rows.items():
                answer = agent.ask(question.text, seed=_SEED, orchestration=orchestration, limit=_FIRST)
                found.append(_row(question, answer))
                shown.advance(task)
    return rows


def figures(rows: Sequence[Asked]) -> dict[str, Any]:
    """Means over the questions, percentiles of the time, and counts."""

    def mean(values: Sequence[float]) -> float:
        return round(float(np.mean(values)), 2)

    seconds = [row.seconds for row in rows]
    return {
        "questions": len(rows),
        "finished_by_model": sum(row.finished_by == "model" for row in rows),
        "written_by_model": sum(row.written_by == "model" for row in rows),
        "steps_by_model": sum(row.steps_by_model for row in rows),
        "steps_by_plan": sum(row.steps_by_plan for row in rows),
        "expected_in_first_5": {
            kind: [
                sum(row.place is not None for row in rows if row.kind == kind),
                sum(row.kind == kind for row in rows),
            ]
            for kind in _KINDS
        },
        "tool_calls": mean([row.tool_calls for row in rows]),
        "refused_calls": mean([row.refused_calls for row in rows]),
        "turns": mean([row.turns for row in rows]),
        "prompt_tokens": mean([row.prompt_tokens for row in rows]),
        "reply_tokens": mean([row.reply_tokens for row in rows]),
        "p50_s": round(float(np.percentile(seconds, 50)), 2),
        "p95_s": round(float(np.percentile(seconds, 95)), 2),
    }


def _show(model: str, by_orchestration: Mapping[str, Mapping[str, Any]]) -> None:
    def row(name: str, found: Mapping[str, Any]) -> list[str]:
        first = [f"{hits} of {count}" for hits, count in found["expected_in_first_5"].values()]
        finished = f"{found['finished_by_model']} of {found['questions']}"
        spent = [str(found[key]) for key in ("tool_calls", "turns", "prompt_tokens", "reply_tokens")]
        return [name, finished, *first, *spent, f"{found['p50_s']} / {found['p95_s']}"]

    output.table(
        f"{model}: means of a recall, from the question to the written answer",
        [
            "orchestration", "plan finished by the model", *(f"first {_FIRST}, {told}" for told in _KINDS.values()),
            "tool calls", "turns", "prompt tokens", "reply tokens", "s, p50 / p95",
        ],
        [row(name, found) for name, found in by_orchestration.items()],
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
        axes.set_xticks(places, [name.replace("-", "-\n", 1) for name in models])
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    all_axes[0].set_ylim(0, 100)
    all_axes[-1].legend(frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    output.check_output(arguments.json)
    if arguments.plot:
        check_plotting(arguments.plot)
    config = Config.from_environment()
    asked = questions(arguments.questions)
    models: dict[str, dict[str, Any]] = {}
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with Aspen.open(":memory:", model="bundled", config=config) as aspen:
        report = import_file(aspen, _STORE)
        if report.bad:
            raise AspenError(f"{_STORE} has {report.bad} lines that cannot be read: {report.problems[0]}.")
        stats = aspen.repository.stats()
        for name in dict.fromkeys(["bundled", *arguments.model]):
            started = time.perf_counter()
            model = (
                aspen.model
                if name == "bundled"
                else load_model(
                    name,
                    cache_dir=config.cache_dir,
                    device=config.device,
                    dtype=config.dtype,
                    threads=config.threads,
                )
            )
            output.note(f"{model.info.name} loaded in {time.perf_counter() - started:.0f} s")
            found = ask_all(aspen, model, asked)
            if model.info.name in models:
                raise InvalidInput(f"Two of the models are called {model.info.name}.")
            models[model.info.name] = {key: figures(each) for key, each in found.items()}
            rows[model.info.name] = {key: [asdict(row) for row in each] for key, each in found.items()}
            _show(model.info.name, models[model.info.name])
    output.write_json(
        arguments.json,
        {
            **circumstances(title="orchestration", command=["python", *sys.argv]),
            "store": {"memories": stats.memories},
            "questions": {kind: sum(one.kind == kind for one in asked) for kind in _KINDS},
            "seed": _SEED,
            "models": models,
            "rows": rows,
        },
    )
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
        default=[],
        metavar="NAME",
        help="another model for the agent: a Hugging Face id, a folder or a .gguf file; several times",
    )
    made.add_argument("--questions", type=positive, metavar="N", help="only the first N questions")
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(exit_code(lambda: run(parsed)))
