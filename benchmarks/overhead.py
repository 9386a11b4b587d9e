"""What memory costs: recording, partial forward passes, traces, recall and writing.

    python benchmarks/overhead.py --json overhead.json

Everything that is compared runs interleaved in one process, so that a busy machine slows all of it alike: ratios
are the figures to look at, times hold for the machine they were measured on.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `python benchmarks/overhead.py` from anywhere

from benchmarks import _overhead_tables, _stores
from benchmarks._known_passes import KnownPasses
from benchmarks._program import exit_code

from aspen import Aspen
from aspen.activation_db.calibration import calibration_text
from aspen.activation_logger import record
from aspen.benchmarks import output
from aspen.benchmarks.circumstances import circumstances
from aspen.models import Generation, LanguageModel, generate
from aspen.turns import Reply
from aspen.types import Message, Role, SamplerSettings, TokenIds, TraceLevel

_MESSAGE = "Tell me a long story about a lighthouse keeper and the letters that he never sent."
_SEED = 7
_SAMPLER = SamplerSettings(temperature=0.8, top_p=0.95)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything to do."""

    pairs: int
    reply_tokens: int
    rounds: int
    store_sizes: tuple[int, ...]
    queries: int
    writes: int
    seeds: int


_FULL = Plan(
    pairs=12, reply_tokens=48, rounds=15, store_sizes=(1000, 10_000), queries=200, writes=60, seeds=400
)
_QUICK = Plan(pairs=1, reply_tokens=6, rounds=1, store_sizes=(60,), queries=3, writes=2, seeds=30)


def _percentile(seconds: Sequence[float], q: float) -> float:
    """In milliseconds."""
    return round(float(np.percentile(seconds, q)) * 1000, 2)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _timed(work: Callable[..., object], *arguments: object, **named: object) -> float:
    """Seconds."""
    started = time.perf_counter()
    work(*arguments, **named)
    return time.perf_counter() - started


def _median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return round(float(np.median(np.divide(above, below))), 3)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector falls into single calls by chance; it stays on where recall is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# -- recording ---------------------------------------------------------------------------------------------


def measure_capture(model: LanguageModel, plan: Plan) -> dict[str, object]:
    """Tokens a second with recording on, as a share of off: same prompt, same seed, in interleaved pairs.

    Beside the time on the clock, the processor's: it hardly knows what else runs on the machine.
    """
    prompt = _prompt(model)
    decode: dict[bool, list[float]] = {False: [], True: []}
    whole: dict[bool, list[float]] = {False: [], True: []}
    processor: dict[bool, list[float]] = {False: [], True: []}
    for pair in range(-1, plan.pairs):  # the first pair warms up
        # Which comes first alternates, for what comes second finds warmer caches.
        for on in (bool(pair % 2), not pair % 2):
            with record(model) if on else nullcontext(), _no_collection():
                started = time.process_time()
                made = _generated(model, prompt, plan)
                used = time.process_time() - started
            if pair >= 0:
                count = len(made.token_ids)
                decode[on].append(count / made.decode_seconds)
                whole[on].append(count / (made.prefill_seconds + made.decode_seconds))
                processor[on].append(count / used)
    return {
        "capture_tokens_per_second_ratio": _median_ratio(decode[True], decode[False]),
        "capture_with_prefill_ratio": _median_ratio(whole[True], whole[False]),
        "capture_processor_time_ratio": _median_ratio(processor[True], processor[False]),
        "tokens_per_second": {
            "off": round(float(np.median(decode[False])), 2),
            "on": round(float(np.median(decode[True])), 2),
        },
    }


def measure_turn(aspen: Aspen, plan: Plan) -> dict[str, object]:
    """Tokens a second of whole `chat` turns that are remembered, as a share of turns that are not.

    To remember is to record, to build the trace, to make keys and to store all of it. Without recall, so that the
    prompts are the same.
    """
    rates: dict[bool, list[float]] = {False: [], True: []}
    reply: Reply | None = None
    for turn in range(-1, plan.pairs):
        for on in (bool(turn % 2), not turn % 2):
            started = time.perf_counter()
            reply = _chat(aspen, plan, conversation=f"turn {turn} {on}", remember=on, level=TraceLevel.POOLED)
            if turn >= 0:
                rates[on].append(reply.reply_tokens / (time.perf_counter() - started))
    return {
        "chat_turn_ratio": _median_ratio(rates[True], rates[False]),
        "prompt_tokens": reply.prompt_tokens if reply else 0,
        "reply_tokens": reply.reply_tokens if reply else 0,
    }


def measure_traces(aspen: Aspen, plan: Plan) -> dict[str, object]:
    """Bytes of a stored trace per token of prompt and reply, at each level."""
    sizes = {}
    for level in TraceLevel:
        name = f"trace {level.value}"
        reply = _chat(aspen, plan, conversation=name, remember=True, level=level)
        (info,) = aspen.repository.traces(conversation=name)
        sizes[level.value] = round(info.size / (reply.prompt_tokens + reply.reply_tokens))
    return {"bytes_per_token": sizes}


def _chat(aspen: Aspen, plan: Plan, *, conversation: str, remember: bool, level: TraceLevel) -> Reply:
    return aspen.chat(
        _MESSAGE,
        conversation=conversation,
        seed=_SEED,
        memory=False,
        remember=remember,
        sampler=_SAMPLER,
        max_tokens=plan.reply_tokens,
        level=level,
    )


def _prompt(model: LanguageModel) -> TokenIds:
    return model.apply_chat_template([Message(Role.USER, _MESSAGE)]).token_ids


def _generated(model: LanguageModel, prompt: TokenIds, plan: Plan) -> Generation:
    return generate(
        model,
        session=model.start_session(),
        prompt_ids=prompt,
        settings=_SAMPLER,
        seed=_SEED,
        max_tokens=plan.reply_tokens,
    )


# -- partial forward passes --------------------------------------------------------------------------------


def measure_partial(model: LanguageModel, plan: Plan) -> dict[str, object]:
    """Time of a pass to depth k, as a share of the pass through all blocks, for prompts of 16 and 64 tokens."""
    n_layers = model.info.n_layers
    depths = sorted({0, *(round(n_layers * share) for share in (0.1, 0.3, 0.5, 0.8, 1))})
    ids = model.tokenize(" ".join(calibration_text()[0][:20]))
    ratios, full_ms = {}, {}
    for tokens in (16, 64):
        seconds: dict[int, list[float]] = {depth: [] for depth in depths}
        for turn in range(-1, plan.rounds):
            for depth in depths if turn % 2 else depths[::-1]:
                taken = _timed(model.capture, [ids[:tokens]], layers=[depth])
                if turn >= 0:
                    seconds[depth].append(taken)
        ratios[tokens] = {str(depth): _median_ratio(seconds[depth], seconds[n_layers]) for depth in depths}
        full_ms[str(tokens)] = _percentile(seconds[n_layers], 50)
    return {
        "partial_forward_ratio": ratios[64],
        "partial_forward_ratio_16_tokens": ratios[16],
        "full_forward_ms": full_ms,
        "n_layers": n_layers,
    }


# -- stores ------------------------------------------------------------------------------------------------


def measure_stores(folder: Path, aspen: Aspen, plan: Plan) -> dict[str, object]:
    """Recall, writing, opening and size of stores that were filled with synthetic memories."""
    questions = calibration_text()[1][: plan.queries]
    seeds = _stores.Seeds.encode(aspen.engine, count=plan.seeds)
    model = KnownPasses(aspen.model, questions, heads=aspen.engine.encoder.heads)
    found = {}
    for size in plan.store_sizes:
        store = folder / f"{size}.db"
        with Aspen.open(store, model=model) as filled:
            _stores.fill(filled.engine, seeds, count=size)
            fitting = _timed(filled.recall, questions[0])
        # Opened again, as by the next process: the statistics are there, the index has to be built.
        with Aspen.open(store, model=model) as opened:
            starting = _timed(getattr, opened, "engine")
            building = _timed(opened.recall, questions[0])
            found[str(size)] = {
                **_measure_recall(opened, questions, plan),
                "open_ms": _milliseconds(starting),
                "index_build_ms": _milliseconds(building),
                "first_recall_with_fit_ms": _milliseconds(fitting),
                **_measure_writes(opened, seeds, size, plan),
                **_measure_changes(opened, plan),
                "bytes_per_memory": _bytes_per_memory(opened),
            }
    report: dict[str, object] = {
        name: {size: figures[name] for size, figures in found.items()} for name in next(iter(found.values()))
    }
    # One number, as a person meets it: `remember` of one text, on the largest store.
    report["write_p50_ms"] = found[str(plan.store_sizes[-1])]["write_ms"]
    return report


def _bytes_per_memory(aspen: Aspen) -> int:
    stats = aspen.repository.stats()
    return round(stats.bytes["file"] / stats.memories)


def _measure_recall(aspen: Aspen, questions: Sequence[str], plan: Plan) -> dict[str, float]:
    """`Aspen.recall` over the whole store, all arms, spreading, ten hits fetched; the forward pass is known."""
    seconds = [
        _timed(aspen.recall, questions[turn % len(questions)], limit=10) for turn in range(plan.queries)
    ]
    return {"recall_p50_ms": _percentile(seconds, 50), "recall_p95_ms": _percentile(seconds, 95)}


def _measure_writes(aspen: Aspen, seeds: _stores.Seeds, size: int, plan: Plan) -> dict[str, float]:
    """One memory at a time: `remember` with its forward pass; the store's part alone; the recall after a write."""
    random = np.random.default_rng(1)
    question = calibration_text()[1][0]
    aspen.remember("The first write of a connection takes longer.", conversation="warm")
    whole, store, after = [], [], []
    for turn in range(plan.writes):
        new = seeds.memory(size + turn, random, source="written")
        text = seeds.memory(size + turn, random).item.text
        whole.append(_timed(aspen.remember, text, conversation="written"))
        store.append(_timed(aspen.repository.add, [new], stamp=aspen.engine.stamp))
        after.append(_timed(aspen.recall, question))
    return {
        "write_ms": _percentile(whole, 50),
        "write_store_p50_ms": _percentile(store, 50),
        "recall_after_write_p50_ms": _percentile(after, 50),
    }


def _measure_changes(aspen: Aspen, plan: Plan) -> dict[str, float]:
    """The recall that follows a change of something that was stored before."""
    question = calibration_text()[1][0]
    changed = max(1, plan.writes // 4)
    ids = [memory.id for memory in aspen.repository.list(limit=2 * changed)]
    seconds: dict[str, list[float]] = defaultdict(list)
    for first, second in zip(ids[::2], ids[1::2], strict=True):
        changes: dict[str, Callable[[], object]] = {
            "amend": partial(aspen.amend, first, importance=0.9),
            "relate": partial(aspen.relate, first, second, "supports"),
            "unrelate": partial(aspen.unrelate, first, second, "supports"),
            "forget": partial(aspen.forget, first),
        }
        for name, change in changes.items():
            change()
            seconds[name].append(_timed(aspen.recall, question))
    return {f"recall_after_{name}_p50_ms": _percentile(each, 50) for name, each in seconds.items()}


# -- the program -------------------------------------------------------------------------------------------


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    output.check_output(arguments.json)
    plan = _QUICK if arguments.quick else _FULL
    with tempfile.TemporaryDirectory() as folder, output.progress() as progress:
        bar = progress.add_task("measuring", total=5)
        report: dict[str, object] = {"quick": arguments.quick}
        with Aspen.open(Path(folder) / "chat.db", model=arguments.model, notify=output.note) as aspen:
            model = aspen.model
            report["model"] = model.info.name
            report["threads"] = model.fingerprint.threads
            steps: list[tuple[str, Callable[[], dict[str, object]]]] = [
                ("recording", lambda: measure_capture(model, plan)),
                ("chat turns", lambda: measure_turn(aspen, plan)),
                ("traces", lambda: measure_traces(aspen, plan)),
                ("partial passes", lambda: measure_partial(model, plan)),
                ("stores", lambda: measure_stores(Path(folder), aspen, plan)),
            ]
            for name, step in steps:
                progress.update(bar, description=name)
                report |= step()
                progress.advance(bar)
    report = {**circumstances(title="overhead", command=["python", *sys.argv]), **report}
    _overhead_tables.show(report)
    output.write_json(arguments.json, report)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write all figures here")
    made.add_argument("--model", help="bundled, a Hugging Face id or a folder; default as for Aspen.open")
    made.add_argument("--quick", action="store_true", help="hardly measure: only try whether it runs")
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(exit_code(lambda: run(parsed)))
