"""What each way to feed memories back is worth: for the answer, and what it costs.

    python benchmarks/strategies.py --data locomo5.json --json strategies.json --plot strategies.png

Each question is answered with every strategy through the front door, without any memory, with the gold evidence as a
note, and with the whole history cut to the context. Told are the mean log-likelihood of the right answer per token
under the model, exact match and F1 of its greedy answer, the tokens that memories add, and the times. The questions are
LoCoMo's, and those of a small set of problems that were solved several times in the same way (`solutions.json`), which
are really talked through with the model first, so that there are traces. With `--foreign`, the questions are also put
to the store of another conversation, which cannot know: how often is something told all the same?

The data is not part of Aspen (CC BY-NC 4.0): https://github.com/snap-research/locomo
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1])
)  # `python benchmarks/strategies.py` from anywhere

from benchmarks._answers import answer_tokens, contains, f1
from benchmarks._asked import Asked, Episode, locomo_questions, solutions
from benchmarks._history import WholeHistory
from benchmarks._program import exit_code, positive
from benchmarks._rows import Figures, Row, by_kind, figures, on_the_questions_of, show

from aspen import Aspen, SamplerSettings
from aspen.benchmarks import output
from aspen.benchmarks.circumstances import circumstances
from aspen.benchmarks.plotting import check_plotting
from aspen.config import Config
from aspen.errors import InvalidInput
from aspen.memory_injector import (
    STRATEGIES,
    Note,
    Prepared,
    ReadsRecording,
    Situation,
    Strategy,
    WithoutMemory,
    framed,
    memory_line,
    prepare_text,
)
from aspen.models.likelihood import log_likelihoods
from aspen.types import Memory, MemoryItem

NONE, GOLD, HISTORY = "none", "gold", "history"
_GREEDY = SamplerSettings(temperature=0.0)
_SEED = 7
_REPLY = 24
_CONVERSATION = "benchmark"
_DECIDE = ("note", "two_pass", "auto")
"""Put to another's store: what tells every reply, and what decides whether to."""
_BRIEFLY = "Answer in a few words."
"""The system prompt of all answers: without it a small model talks on, and F1 measures how much."""


class Scored:
    """A strategy, and how likely the right answer is after what it prepared. One question at a time."""

    def __init__(self, strategy: Strategy, right: str) -> None:
        self._strategy, self._right = strategy, right
        self.logprob, self.seconds = 0.0, 0.0

    def prepare(self, situation: Situation) -> Prepared:
        """As the strategy does; scoring leaves the session as it was, and does not count as time."""
        started = time.perf_counter()
        prepared = self._strategy.prepare(situation)
        self.seconds = time.perf_counter() - started
        answer = answer_tokens(situation.model, self._right)
        logs = log_likelihoods(situation.session, prepared.logits, answer)
        self.logprob = float(logs.mean())
        return prepared


class ScoredRecording(Scored):
    """The same for a strategy that holds the recording of its reply against an older one."""

    reads_recording: Literal[True] = True


class GoldEvidence:
    """The memories that hold the answer, as a note: what a perfect recall would give."""

    def __init__(self, memories: Sequence[Memory]) -> None:
        self._memories = memories

    def prepare(self, situation: Situation) -> Prepared:
        """All of them, none cut."""
        lines = [
            memory_line(memory, budget=10**6, count_tokens=situation.count_tokens)
            for memory in self._memories
        ]
        text = framed(lines)
        note = Note(text, situation.count_tokens(text), tuple(memory.id for memory in self._memories))
        return prepare_text(situation, note, strategy=GOLD)


def ask(aspen: Aspen, asked: Asked, strategy: Strategy) -> Row:
    """One answer, not remembered."""
    kind = ScoredRecording if isinstance(strategy, ReadsRecording) else Scored
    scored = kind(strategy, asked.answer)
    started = time.perf_counter()
    reply = aspen.chat(
        asked.text,
        conversation=_CONVERSATION,
        strategy=scored,
        system=_BRIEFLY,
        seed=_SEED,
        sampler=_GREEDY,
        max_tokens=_REPLY,
        remember=False,
    )
    scoring = time.perf_counter() - started - scored.seconds - reply.decode_seconds
    injection = reply.injection
    return Row(
        question=asked.text,
        kind=asked.kind,
        group=asked.group,
        strategy=injection.strategy if injection else NONE,
        reason=injection.reason if injection else "",
        injected=bool(injection and injection.tokens),
        logprob=scored.logprob,
        exact=contains(reply.text, asked.answer),
        f1=f1(reply.text, asked.answer),
        said=reply.text,
        tokens_added=injection.tokens if injection else 0,
        first_token_s=scored.seconds,
        total_s=time.perf_counter() - started - max(scoring, 0.0),
    )


@dataclass
class Stores:
    """A store for each group of questions. Who enters it leaves with all of them closed."""

    by_group: dict[str, Aspen]
    stack: ExitStack

    @classmethod
    def made(
        cls,
        items: Mapping[str, Sequence[MemoryItem]],
        episodes: Sequence[Episode],
        *,
        model: str,
        config: Config,
    ) -> Stores:
        """Import what was said, and talk the episodes through, recorded, one conversation each."""
        stores = cls({}, ExitStack())
        shared: Any = model
        with output.progress() as shown:
            task = shown.add_task("stores", total=len(items) + len(episodes))
            for group, memories in items.items():
                aspen = stores._open(group, shared, config)
                shared = aspen.model
                aspen.remember_many(memories)
                aspen.recall("What do we know?")  # the first recall builds the index
                shown.advance(task)
            if episodes:
                aspen = stores._open("solutions", shared, config)
                for episode in episodes:
                    for said in episode.said:
                        aspen.chat(
                            said,
                            conversation=episode.conversation,
                            system=_BRIEFLY,
                            seed=_SEED,
                            max_tokens=_REPLY,
                            memory=False,
                        )
                    shown.advance(task)
                aspen.summarise()
        return stores

    def _open(self, group: str, model: Any, config: Config) -> Aspen:
        self.by_group[group] = self.stack.enter_context(Aspen.open(":memory:", model=model, config=config))
        return self.by_group[group]


def strategies_for(aspen: Aspen, asked: Asked, names: Sequence[str]) -> dict[str, Strategy]:
    """What to compare for one question."""
    compared: dict[str, Strategy] = {NONE: WithoutMemory()}
    gold = [memory for memory in _all(aspen) if memory.source in asked.evidence]
    if gold:
        compared[GOLD] = GoldEvidence(sorted(gold, key=lambda memory: memory.seq))
    compared |= {name.value: strategy for name, strategy in STRATEGIES.items() if name.value in names}
    return compared


def _all(aspen: Aspen) -> list[Memory]:
    return aspen.repository.list(limit=10_000)


def answer_all(
    stores: Mapping[str, Aspen], questions: Sequence[Asked], names: Sequence[str], *, history_every: int
) -> dict[str, list[Row]]:
    """Each question with each strategy in turn, so that a busy machine slows all of them alike.

    The whole history goes before every `history_every`-th question: to read it takes longer than all the rest.
    """
    rows: dict[str, list[Row]] = {}
    with output.progress() as shown:
        task = shown.add_task("questions", total=len(questions))
        for asked in questions:
            aspen = stores[asked.group]
            for name, strategy in strategies_for(aspen, asked, names).items():
                rows.setdefault(name, []).append(ask(aspen, asked, strategy))
            shown.advance(task)
        if history_every:
            some = questions[::history_every]
            task = shown.add_task("whole history", total=len(some))
            for asked in some:
                history = WholeHistory(_all(stores[asked.group])[::-1])
                rows.setdefault(HISTORY, []).append(ask(stores[asked.group], asked, history))
                shown.advance(task)
    return rows


def foreign(questions: Sequence[Asked], groups: Sequence[str]) -> list[Asked]:
    """The same questions, each put to the store after its own: it cannot know."""
    return [
        Asked(
            one.text, one.answer, frozenset(), "foreign", groups[(groups.index(one.group) + 1) % len(groups)]
        )
        for one in questions
    ]


def plot(path: Path, found: Figures) -> None:
    """What each gains over no memory, with its interval, and the time to the first token."""
    check_plotting(path)
    from matplotlib import pyplot  # noqa: PLC0415 - an extra, and slow to import

    names = list(found)[::-1]
    figure, (gains, times) = pyplot.subplots(
        1, 2, figsize=(8, 0.8 + 0.34 * len(names)), sharey=True, layout="constrained"
    )
    for row, name in enumerate(names):
        one = found[name]
        low, high = one["gain_interval"] or (one["gain"], one["gain"])
        gains.plot([low, high], [row, row], color="#9ecae1", linewidth=5, solid_capstyle="round")
        gains.plot([one["gain"]], [row], "o", color="#08519c")
        times.plot([one["time_to_first_token_s"]], [row], "o", color="#08519c")
    gains.axvline(0, color="#888888", linewidth=0.8)
    gains.set_yticks(range(len(names)), names)
    gains.set_xlabel("gain over no memory, nats a token of the right answer")
    times.set(xscale="log", xlabel="time to first token, s")
    for axes in (gains, times):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    output.check_output(arguments.json)
    if arguments.plot:
        check_plotting(arguments.plot)
    if arguments.read:
        tell(with_figures(json.loads(arguments.read.read_text(encoding="utf-8"))), picture=arguments.plot)
        return
    if arguments.data is None and (arguments.without_solutions or arguments.foreign):
        raise InvalidInput("Questions are missing.", hint="Add --data locomo.json.")
    names = arguments.strategy or [name.value for name in STRATEGIES]
    if unknown := set(names) - {name.value for name in STRATEGIES}:
        raise InvalidInput(
            f"unknown strategy {min(unknown)!r}.",
            hint=f"One of {', '.join(name.value for name in STRATEGIES)}.",
        )
    items: dict[str, list[MemoryItem]] = {}
    questions: list[Asked] = []
    if arguments.data:
        items, questions = locomo_questions(arguments.data, count=arguments.questions)
    episodes, of_solutions = ([], []) if arguments.without_solutions else solutions()
    config = Config.from_environment()
    groups = [group for group in items if any(one.group == group for one in questions)]
    needed = items if arguments.foreign else {group: items[group] for group in groups}
    stores = Stores.made(needed, episodes, model=arguments.model, config=config)
    with stores.stack:
        parts: dict[str, Callable[[], dict[str, list[Row]]]] = {}
        if questions:
            parts["strategies"] = lambda: answer_all(
                stores.by_group, questions, names, history_every=arguments.history_every
            )
        if of_solutions:
            parts["solutions"] = lambda: answer_all(stores.by_group, of_solutions, names, history_every=0)
        if arguments.foreign:
            others = foreign(questions, list(items))
            deciding = [name for name in names if name in _DECIDE]
            parts["foreign"] = lambda: answer_all(stores.by_group, others, deciding, history_every=0)
        report: dict[str, Any] = {"questions": len(questions), "seed": _SEED, "rows": {}}
        for part, answer in parts.items():
            report["rows"][part] = {name: [asdict(row) for row in rows] for name, rows in answer().items()}
            model = next(iter(stores.by_group.values())).model.info.name
            head = circumstances(title="strategies", command=["python", *sys.argv])
            output.write_json(arguments.json, {**head, "model": Path(model).name, **with_figures(report)})
    tell(report, picture=arguments.plot)


def with_figures(report: dict[str, Any]) -> dict[str, Any]:
    """Fill in what is computed of the rows of each part."""
    for part, named in report["rows"].items():
        rows = {name: [Row(**row) for row in some] for name, some in named.items()}
        report[part] = figures(rows, without=NONE)
        if part == "strategies":
            report["kinds"] = by_kind(rows, without=NONE)
            if HISTORY in rows:
                report["history_questions"] = on_the_questions_of(HISTORY, rows, without=NONE)
    return report


def tell(report: Mapping[str, Any], *, picture: Path | None) -> None:
    """The tables, and the picture where one is wanted."""
    for part in report["rows"]:
        show(part, report[part])
    if "history_questions" in report:
        show("the questions that the whole history went before", report["history_questions"])
    for kind, found in report.get("kinds", {}).items():
        show(kind, found)
    if picture:
        plot(picture, report.get("strategies") or report["solutions"])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, help="LoCoMo, in its official format; without it, solutions alone")
    made.add_argument("--read", type=Path, metavar="JSON", help="tell and draw what an earlier run wrote")
    made.add_argument("--questions", type=positive, default=100, metavar="N", help="of LoCoMo (default: 100)")
    made.add_argument("--strategy", action="append", metavar="NAME", help="only this one; several times")
    made.add_argument("--foreign", action="store_true", help="put the questions to another's store, too")
    made.add_argument(
        "--without-solutions", action="store_true", help="leave the set of solution patterns out"
    )
    made.add_argument(
        "--history-every", type=int, default=10, metavar="N",
        help="the whole history goes before every Nth question; 0: before none (default: 10)",
    )  # fmt: skip
    made.add_argument(
        "--model", default="bundled", help='"bundled", a Hugging Face id, a folder or a .gguf file'
    )
    made.add_argument("--json", type=Path, help="write all figures here, and each question's own")
    made.add_argument("--plot", type=Path, help="draw them here (.png, .svg, .pdf)")
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(exit_code(lambda: run(parsed)))
