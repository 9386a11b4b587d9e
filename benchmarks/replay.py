"""Whether what was generated comes out again bit for bit, in a process that knows nothing but the store.

    python benchmarks/replay.py --json replay.json
    python benchmarks/replay.py --runtime transformers --count 100 --json replay.json

Random turns are chatted with the bundled model: each with a seed of its own, one of the strategies, a temperature, a
history and a message of random length, so that prompts have some tens to some hundreds of tokens. Then fresh processes
open the store, a batch of traces each, and replay them: tokens and activations have to be the same.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `python benchmarks/replay.py` from anywhere

from benchmarks._program import exit_code, positive

from aspen import Aspen, SamplerSettings
from aspen.benchmarks import output
from aspen.benchmarks.circumstances import circumstances
from aspen.config import Config
from aspen.errors import AspenError
from aspen.interchange import import_file
from aspen.memory_injector import STRATEGIES
from aspen.models import RUNTIMES

_STORE = Path(__file__).resolve().parents[1] / "src" / "aspen" / "demo" / "creator.jsonl"
_OPENINGS = (
    "What do I think of this:",
    "Remember when I said:",
    "Do you know why?",
    "Go on:",
    "In one word:",
)
_TEMPERATURES = (0.0, 0.2, 0.7, 1.0, 1.5)
_TURNS_OF_A_CONVERSATION = 5


@dataclass(frozen=True, slots=True)
class Generated:
    """One stored generation. `injected` is the strategy that was done in the end, for one may fall back on another."""

    trace_id: str
    seed: int
    strategy: str
    injected: str
    temperature: float
    prompt_tokens: int
    reply_tokens: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What the replay of one found."""

    trace_id: str
    verified: bool
    explanation: str
    seconds: float


def opened(store: str | Path, *, runtime: str | None) -> Aspen:
    """The store, with the bundled model in `runtime`; the one it runs in by itself where None."""
    config = Config.from_environment()
    return Aspen.open(
        store, model="bundled", config=replace(config, runtime=runtime or config.runtime), notify=output.note
    )


def generate_all(aspen: Aspen, *, count: int, seed: int, most_tokens: int) -> list[Generated]:
    """`count` turns; what is asked, and how, is drawn from `seed`."""
    report = import_file(aspen, _STORE)
    if report.bad:
        raise AspenError(f"{_STORE} has {report.bad} lines that cannot be read: {report.problems[0]}.")
    texts = [memory.text for memory in aspen.repository.list(limit=1000)]
    chosen, strategies = random.Random(seed), list(STRATEGIES)
    generated = []
    with output.progress() as shown:
        task = shown.add_task("generating", total=count)
        for number in range(count):
            strategy = strategies[number % len(strategies)]
            words = " ".join(chosen.sample(texts, chosen.choice((0, 0, 1, 3, 8)))).split()
            message = " ".join([chosen.choice(_OPENINGS), *words[: chosen.randint(0, 300)]])
            sampler = SamplerSettings(
                temperature=chosen.choice(_TEMPERATURES),
                top_k=chosen.choice((0, 40)),
                top_p=chosen.choice((0.8, 0.95, 1.0)),
                repetition_penalty=chosen.choice((1.0, 1.2)),
            )
            reply = aspen.chat(
                message,
                conversation=f"c{number // _TURNS_OF_A_CONVERSATION}",
                strategy=strategy,
                seed=chosen.randrange(2**53),
                sampler=sampler,
                max_tokens=chosen.randint(1, most_tokens),
            )
            if reply.trace_id is None or reply.injection is None:
                raise AspenError(f"Turn {number} of strategy {strategy.value} has no trace.")
            generated.append(
                Generated(
                    reply.trace_id,
                    reply.seed,
                    strategy.value,
                    reply.injection.strategy,
                    sampler.temperature,
                    reply.prompt_tokens,
                    reply.reply_tokens,
                )
            )
            shown.advance(task)
    return generated


def verify_all(store: Path, trace_ids: Sequence[str], *, batch: int, runtime: str | None) -> list[Verified]:
    """Each batch of traces replayed in a process of its own."""
    found: list[Verified] = []
    chosen = ["--runtime", runtime] if runtime else []
    with output.progress() as shown:
        task = shown.add_task("verifying in fresh processes", total=len(trace_ids))
        for part in _batches(trace_ids, batch):
            done = subprocess.run(
                [sys.executable, __file__, *chosen, "--verify", str(store), *part],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise AspenError(
                    f"A process that replays ended with {done.returncode}: {done.stderr.strip()}"
                )
            found += [Verified(**row) for row in json.loads(done.stdout)]
            shown.advance(task, len(part))
    return found


def _batches(trace_ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(trace_ids), size):
        yield trace_ids[start : start + size]


def verify(store: str, trace_ids: Sequence[str], *, runtime: str | None) -> None:
    """What a fresh process does: replay, and print the findings as JSON."""
    found = []
    with opened(store, runtime=runtime) as aspen:
        for trace_id in trace_ids:
            started = time.perf_counter()
            report = aspen.replay(trace_id)
            seconds = round(time.perf_counter() - started, 3)
            found.append(asdict(Verified(trace_id, report.verified, report.explain(), seconds)))
    print(json.dumps(found))


def figures(rows: Sequence[Generated], found: Sequence[Verified]) -> dict[str, Any]:
    """Counts and ranges of some of the generations."""
    lengths = [row.prompt_tokens for row in rows]
    return {
        "generations": len(rows),
        "verified": sum(one.verified for one in found),
        "prompt_tokens": [min(lengths), round(float(np.median(lengths))), max(lengths)],
        "reply_tokens": [min(row.reply_tokens for row in rows), max(row.reply_tokens for row in rows)],
        "fell_back": sum(row.injected != row.strategy for row in rows),
        "replay_p50_s": round(float(np.median([one.seconds for one in found])), 3),
    }


def run(arguments: argparse.Namespace) -> None:
    """Generate, verify, print and write."""
    output.check_output(arguments.json)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.db"
        with opened(store, runtime=arguments.runtime) as aspen:
            fingerprint = aspen.model.fingerprint
            generated = generate_all(
                aspen, count=arguments.count, seed=arguments.seed, most_tokens=arguments.max_tokens
            )
        found = verify_all(
            store,
            [row.trace_id for row in generated],
            batch=arguments.batch,
            runtime=arguments.runtime,
        )
    by_strategy = {
        strategy.value: figures(
            [row for row in generated if row.strategy == strategy],
            [one for row, one in zip(generated, found, strict=True) if row.strategy == strategy],
        )
        for strategy in STRATEGIES
        if any(row.strategy == strategy for row in generated)
    }
    report = {
        **circumstances(title="replay", command=["python", *sys.argv]),
        "fingerprint": asdict(fingerprint),
        "all": figures(generated, found),
        "strategies": by_strategy,
        "processes": -(-len(generated) // arguments.batch),
        "rows": [asdict(row) | asdict(one) for row, one in zip(generated, found, strict=True)],
    }
    output.write_json(arguments.json, report)
    _show(report)
    failed = [one for one in found if not one.verified]
    for one in failed:
        output.note(f"{one.trace_id}: {one.explanation}")
    print(f"{len(found) - len(failed)} of {len(found)} verified")
    if failed:
        raise AspenError(f"{len(failed)} of {len(found)} generations did not come out again.")


def _show(report: dict[str, Any]) -> None:
    def row(name: str, found: dict[str, Any]) -> list[str]:
        return [
            name,
            f"{found['verified']} of {found['generations']}",
            " / ".join(map(str, found["prompt_tokens"])),
            " - ".join(map(str, found["reply_tokens"])),
            str(found["fell_back"]),
            f"{found['replay_p50_s']:.2f}",
        ]

    output.table(
        "replay in fresh processes",
        ["strategy", "verified", "prompt tokens", "reply tokens", "fell back", "p50 s"],
        [*(row(name, found) for name, found in report["strategies"].items()), row("all", report["all"])],
        caption="prompt tokens: least / median / most; fell back: another strategy was done, and said so",
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write all figures here, and each generation's own")
    made.add_argument("--count", type=positive, default=200, metavar="N", help="how many generations (200)")
    made.add_argument("--batch", type=positive, default=25, metavar="N", help="traces of one process (25)")
    made.add_argument(
        "--max-tokens", type=positive, default=24, metavar="N", help="most tokens of a reply (24)"
    )
    made.add_argument(
        "--seed", type=positive, default=7, metavar="N", help="what is asked, and how, is drawn from it"
    )
    made.add_argument("--runtime", choices=RUNTIMES, help="runs the model; default as for Aspen.open")
    made.add_argument("--verify", nargs="+", metavar="WORD", help="a store, then traces: replay them here")
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    if parsed.verify:
        sys.exit(exit_code(lambda: verify(parsed.verify[0], parsed.verify[1:], runtime=parsed.runtime)))
    sys.exit(exit_code(lambda: run(parsed)))
