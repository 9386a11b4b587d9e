"""The processes that `runtimes.py` starts, one after the other, and what is made of their figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks._runtime_install import install, size

from aspen.errors import AspenError
from aspen.models import RUNTIMES

HERE = Path(__file__).resolve().parent
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything to do. limit, conversations: of LoCoMo, None for all."""

    rounds: int
    pairs: int
    reply_tokens: int
    read_tokens: int
    singles: int
    memories: int
    texts: int
    replays: int
    threads: tuple[int, ...]
    conversations: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A process, or a few: `section` of the report, and what runs it and gives its figures."""

    section: str
    runtime: str
    work: Callable[[], Figures]


@dataclass(slots=True)
class Found:
    """The figures of all steps so far, by section and runtime."""

    rows: dict[str, dict[str, list[Figures]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, step: Step) -> None:
        """Take the step."""
        self.rows[step.section][step.runtime].append(step.work())

    def medians(self, section: str) -> dict[str, Figures]:
        """By runtime, of each figure over the rounds."""
        return {
            runtime: {name: _median([row[name] for row in rows]) for name in rows[0]}
            for runtime, rows in self.rows[section].items()
        }


def _median(values: Sequence[float]) -> float:
    return round(float(np.median(values)), 3)


def process(
    task: str, options: Mapping[str, Any], *, runtime: str, environment: Mapping[str, str] | None = None
) -> Figures:
    """One task of `_runtime_child.py` in a fresh process."""
    return _told([str(HERE / "_runtime_child.py"), task, json.dumps(options)], runtime, environment or {})


def _told(arguments: Sequence[str], runtime: str, environment: Mapping[str, str]) -> Figures:
    # Threads are those of ASPEN_THREADS: a setting of OpenMP for the whole shell would cut them down unsaid.
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**inherited, "ASPEN_RUNTIME": runtime, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AspenError(
            f"A process with {runtime} ended with {done.returncode}: {done.stderr.strip()[-2000:]}"
        )
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def installing() -> Iterator[Step]:
    """Each runtime into a virtual environment of its own."""
    for runtime in RUNTIMES:
        yield Step("install", runtime, partial(install, runtime))


def starting(plan: Plan) -> Iterator[Step]:
    """The first reply of a process: once with an empty cache, as on a new machine, then with what that left there."""
    for runtime in RUNTIMES:
        yield Step("first_use", runtime, partial(_first_use, runtime))
    for _ in range(plan.rounds):
        for runtime in RUNTIMES:
            yield Step("start", runtime, partial(_start, runtime))


def _first_use(runtime: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        found = _start(runtime, {"ASPEN_CACHE": folder})
        return {
            "new_first_words_s": found["first_words_s"],
            "cache_mb": round(size(Path(folder)) / 1e6, 1),
        }


def _start(runtime: str, environment: Mapping[str, str] | None = None) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(HERE / "_runtime_start.py"), str(time.monotonic()), f"{folder}/store.db"]
        return _told(arguments, runtime, environment or {})


def running(plan: Plan) -> Iterator[Step]:
    """Writing and reading tokens, with each number of threads."""
    written = {"pairs": plan.pairs, "reply_tokens": plan.reply_tokens}
    read = {"rounds": plan.pairs, "tokens": plan.read_tokens}
    for _ in range(plan.rounds):
        for threads in plan.threads:
            environment = {"ASPEN_THREADS": str(threads)}
            for task, options in (("writing", written), ("reading", read)):
                for runtime in RUNTIMES:
                    work = partial(process, task, options, runtime=runtime, environment=environment)
                    yield Step(f"{task} {threads}", runtime, work)


def remembering(plan: Plan) -> Iterator[Step]:
    """Memories one at a time and many at once, into a new store each time."""
    for _ in range(plan.rounds):
        for runtime in RUNTIMES:
            yield Step("remembering", runtime, partial(_remembering, plan, runtime))


def _remembering(plan: Plan, runtime: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        options = {"store": f"{folder}/store.db", "singles": plan.singles, "memories": plan.memories}
        return process("remembering", options, runtime=runtime)


def replaying(plan: Plan) -> Iterator[Step]:
    """`replay.py`, with each runtime."""
    for runtime in RUNTIMES:
        yield Step("replay", runtime, partial(_replaying, plan, runtime))


def _replaying(plan: Plan, runtime: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "replay.json"
        command = [sys.executable, str(HERE / "replay.py"), "--runtime", runtime, "--json", str(out)]
        done = subprocess.run(
            [*command, "--count", str(plan.replays), "--max-tokens", "12"],
            capture_output=True,
            text=True,
            check=False,
        )
        if not out.exists():  # where one is not verified, the figures say so
            raise AspenError(f"replay.py ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        report = json.loads(out.read_text())
        figures: Figures = {**report["all"], "processes": report["processes"]}
        return figures


def recalling(plan: Plan, data: Path) -> Iterator[Step]:
    """The questions of LoCoMo, put to Aspen as it is and to its activations alone."""
    options = {
        "data": str(data),
        "conversations": plan.conversations,
        "limit": plan.limit,
        "systems": ["aspen", "activation"],
    }
    for runtime in RUNTIMES:
        yield Step("recall", runtime, partial(process, "recall", options, runtime=runtime))


def comparing(plan: Plan, folder: Path) -> Iterator[Step]:
    """All activations of some texts into `folder`; then a store of one runtime opened with the other."""
    store = str(folder / "store.db")
    for runtime in RUNTIMES:
        options = {"out": str(folder / f"{runtime}.npz"), "texts": plan.texts}
        yield Step("activations", runtime, partial(process, "activations", options, runtime=runtime))
    made = {"store": store, "singles": 1, "memories": plan.texts}
    yield Step("store", RUNTIMES[1], partial(process, "remembering", made, runtime=RUNTIMES[1]))
    yield Step("closeness", RUNTIMES[0], partial(process, "closeness", {"store": store}, runtime=RUNTIMES[0]))
