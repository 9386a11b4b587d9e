"""The two runtimes side by side on the bundled model: what they weigh, how fast they are, and whether they agree.

    python benchmarks/runtimes.py --json runtimes.json
    python benchmarks/runtimes.py --install --data locomo10.json --json runtimes.json

Every figure comes from fresh processes, one runtime after the other in turn, so that a busy machine slows both alike;
what stands in the table is the median of the rounds. `--install` makes two virtual environments, which takes minutes
and asks the index that pip is set up with. LoCoMo is not part of Aspen (CC BY-NC 4.0):
https://github.com/snap-research/locomo
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `python benchmarks/runtimes.py` from anywhere

from benchmarks import _runtime_compared, _runtime_steps, _runtime_tables
from benchmarks._program import exit_code, positive
from benchmarks._runtime_steps import Found, Plan, Step

from aspen.benchmarks import output
from aspen.benchmarks.circumstances import circumstances
from aspen.benchmarks.datasets.locomo import read_locomo_set
from aspen.config import Config
from aspen.errors import AspenError, InvalidInput
from aspen.models import RUNTIMES
from aspen.models.bundled import NAME

PARTS = ("start", "running", "remembering", "activations", "replay", "install", "recall")
_WHOLE = ("replay", "activations", "store", "closeness", "recall")
"""Done once; the other sections of the report are medians of their rounds."""
_FULL = Plan(
    rounds=3,
    pairs=6,
    reply_tokens=48,
    read_tokens=400,
    singles=40,
    memories=1000,
    texts=24,
    replays=100,
    threads=(1, 2),
)
_QUICK = Plan(
    rounds=1,
    pairs=1,
    reply_tokens=6,
    read_tokens=40,
    singles=2,
    memories=5,
    texts=5,
    replays=2,
    threads=(1,),
)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    output.check_output(arguments.json)
    parts, plan = _parts(arguments), _plan(arguments)
    if "recall" in parts:
        read_locomo_set(arguments.data)  # what is no data is refused before the work
    measured = _measured(parts, plan, data=arguments.data)
    report: dict[str, object] = {
        **circumstances(title="runtimes", command=["python", *sys.argv]),
        "quick": arguments.quick,
        "model": NAME,
        "threads": Config.from_environment().threads or os.cpu_count(),
        "threads_compared": list(plan.threads),
        "memories": plan.memories,
        **measured,
    }
    _runtime_tables.show(report)
    output.write_json(arguments.json, report)
    for runtime, figures in measured.get("replay", {}).items():
        if figures["verified"] != figures["generations"]:
            lost = figures["generations"] - figures["verified"]
            raise AspenError(f"{lost} of {figures['generations']} did not come out again in {runtime}.")


def _measured(parts: list[str], plan: Plan, *, data: Path | None) -> dict[str, Any]:
    """All figures, by section of the report."""
    found = Found()
    with tempfile.TemporaryDirectory() as name, output.progress() as progress:
        folder = Path(name)
        steps = list(_steps(parts, plan, data=data, folder=folder))
        bar = progress.add_task("measuring", total=len(steps))
        for step in steps:
            progress.update(bar, description=f"{step.section}, {step.runtime}")
            found.add(step)
            progress.advance(bar)
        repeated = [section for section in found.rows if section not in _WHOLE]
        report: dict[str, Any] = {section: found.medians(section) for section in repeated}
        if "replay" in parts:
            report["replay"] = {runtime: rows[0] for runtime, rows in found.rows["replay"].items()}
        if "activations" in parts:
            (told,) = found.rows["closeness"][RUNTIMES[0]]
            report["activations"] = {
                **_runtime_compared.activations(folder, found.rows["activations"]),
                "closeness": told["sentence"],
                "closeness_by_layer": told["layers"],
            }
    if "recall" in parts and data is not None:
        dataset = read_locomo_set(data).part(conversations=plan.conversations, questions=plan.limit)
        report["recall"] = _runtime_compared.recall(dataset, found.rows["recall"])
    report["each_round"] = {section: found.rows[section] for section in repeated}
    return report


def _parts(arguments: argparse.Namespace) -> list[str]:
    wanted = arguments.parts or [part for part in PARTS if part not in ("install", "recall")]
    if arguments.install:
        wanted.append("install")
    if arguments.data is not None and not arguments.parts:
        wanted.append("recall")
    if "recall" in wanted and arguments.data is None:
        raise InvalidInput("The part recall needs LoCoMo.", hint="Name its file with --data.")
    return [part for part in PARTS if part in wanted]


def _plan(arguments: argparse.Namespace) -> Plan:
    plan = _QUICK if arguments.quick else _FULL
    given = {
        name: getattr(arguments, name)
        for name in ("rounds", "memories", "replays", "conversations", "limit")
        if getattr(arguments, name) is not None
    }
    if arguments.threads:
        given["threads"] = tuple(arguments.threads)
    return replace(plan, **given)


def _steps(parts: list[str], plan: Plan, *, data: Path | None, folder: Path) -> Iterator[Step]:
    if "start" in parts:
        yield from _runtime_steps.starting(plan)
    if "running" in parts:
        yield from _runtime_steps.running(plan)
    if "remembering" in parts:
        yield from _runtime_steps.remembering(plan)
    if "activations" in parts:
        yield from _runtime_steps.comparing(plan, folder)
    if "replay" in parts:
        yield from _runtime_steps.replaying(plan)
    if "install" in parts:
        yield from _runtime_steps.installing()
    if "recall" in parts and data is not None:
        yield from _runtime_steps.recalling(plan, data)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write all figures here")
    made.add_argument("--parts", nargs="+", choices=PARTS, help="measure these only")
    made.add_argument("--install", action="store_true", help="install each into a virtual environment, too")
    made.add_argument("--data", type=Path, help="LoCoMo in its official format: recall quality, too")
    made.add_argument("--conversations", type=positive, metavar="N", help="of LoCoMo, the first N only")
    made.add_argument("--limit", type=positive, metavar="N", help="first N questions of each conversation")
    made.add_argument("--rounds", type=positive, metavar="N", help="processes for each figure (3)")
    made.add_argument("--memories", type=positive, metavar="N", help="memories to import (1000)")
    made.add_argument("--replays", type=positive, metavar="N", help="generations to replay (100)")
    made.add_argument(
        "--threads", type=positive, nargs="+", metavar="N", help="for reading and writing (1 2)"
    )
    made.add_argument("--quick", action="store_true", help="hardly measure: only try whether it runs")
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(exit_code(lambda: run(parsed)))
