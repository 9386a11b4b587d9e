"""What `runtimes.py` measures inside one process, with the runtime and the threads that its environment names.

    ASPEN_RUNTIME=llama.cpp ASPEN_THREADS=1 python benchmarks/_runtime_child.py reading '{"rounds": 3, "tokens": 400}'

The figures come as one line of JSON on standard output.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1])
)  # `python benchmarks/_runtime_child.py` from anywhere

from benchmarks._peak import peak_bytes
from benchmarks._program import exit_code
from benchmarks.overhead import Plan, measure_capture

from aspen import Aspen
from aspen.activation_db.calibration import calibration_text
from aspen.benchmarks import catalogue, output
from aspen.benchmarks.datasets.locomo import read_locomo_set
from aspen.benchmarks.running import run
from aspen.config import Config
from aspen.models import LanguageModel, load_model
from aspen.types import TokenIds

Options = Mapping[str, Any]
Figures = dict[str, Any]


def bundled_model() -> LanguageModel:
    """The bundled model, in the runtime that the environment names."""
    config = Config.from_environment()
    return load_model("bundled", cache_dir=config.cache_dir, runtime=config.runtime, threads=config.threads)


def writing(options: Options) -> Figures:
    """Tokens a second of a reply, recorded and not, in interleaved pairs."""
    plan = Plan(
        pairs=options["pairs"],
        reply_tokens=options["reply_tokens"],
        rounds=0,
        store_sizes=(),
        queries=0,
        writes=0,
        seeds=0,
    )
    found = measure_capture(bundled_model(), plan)
    rates: Any = found["tokens_per_second"]
    return {
        "written_per_s": rates["off"],
        "recorded_per_s": rates["on"],
        "recorded_share": found["capture_tokens_per_second_ratio"],
    }


def reading(options: Options) -> Figures:
    """Tokens a second of a prompt, each time in a new session; the first time warms up."""
    model = bundled_model()
    prompt = long_prompt(model, options["tokens"])
    seconds = []
    for _ in range(-1, options["rounds"]):
        session = model.start_session()
        started = time.perf_counter()
        session.prefill(prompt)
        seconds.append(time.perf_counter() - started)
    return {"read_per_s": round(len(prompt) / float(np.median(seconds[1:])), 1), "read_tokens": len(prompt)}


def long_prompt(model: LanguageModel, tokens: int) -> TokenIds:
    """The first tokens of the calibration text."""
    return model.tokenize("\n".join(calibration_text()[0]))[:tokens]


def remembering(options: Options) -> Figures:
    """One text at a time, then many at once; each text goes through the model up to the layer of its key."""
    turns = calibration_text()[0]
    with Aspen.open(options["store"], model="bundled", notify=output.note) as aspen:
        aspen.remember("The first one waits for the calibration, and for the store.", conversation="warm")
        single = []
        for text in turns[: options["singles"]]:
            started = time.perf_counter()
            aspen.remember(text, conversation="one at a time")
            single.append(time.perf_counter() - started)
        items = list(_texts(options["memories"]))
        started = time.perf_counter()
        memories = aspen.remember_many(items)
        seconds = time.perf_counter() - started
        return {
            "remember_ms": round(1000 * float(np.median(single)), 1),
            "import_s": round(seconds, 2),
            "import_ms_each": round(1000 * seconds / len(items), 2),
            "import_peak_mb": round(peak_bytes() / 1e6, 1),
            "import_tokens_each": round(float(np.mean([memory.token_count for memory in memories])), 1),
        }


def _texts(count: int) -> Iterator[dict[str, object]]:
    """So many different memories: the calibration text's turns, told in one conversation after the other."""
    turns = calibration_text()[0]
    for number in range(count):
        again, turn = divmod(number, len(turns))
        yield {"text": turns[turn], "speaker": f"Speaker {again}", "conversation": f"conversation {again}"}


def activations(options: Options) -> Figures:
    """Every layer and token of some turns, float32 [L + 1, T, D] each, into the file `out`."""
    model = bundled_model()
    layers = range(model.info.n_layers + 1)
    batch = [model.tokenize(text) for text in calibration_text()[0][: options["texts"]]]
    captured = [model.capture([ids], layers=layers)[0] for ids in batch]
    arrays: Mapping[str, Any] = {str(number): states for number, states in enumerate(captured)}
    np.savez(options["out"], **arrays)
    return {"ids": [ids.tolist() for ids in batch]}


def closeness(options: Options) -> Figures:
    """What Aspen tells of a store whose keys another runtime made."""
    with Aspen.open(options["store"], model="bundled", notify=output.note) as aspen:
        found = aspen.closeness()
        return {} if found is None else {**found.as_data(), "sentence": found.sentence()}


def recall(options: Options) -> Figures:
    """LoCoMo, at the settings of `aspen bench recall`: measures of each question, by system."""
    dataset = read_locomo_set(Path(options["data"])).part(
        conversations=options["conversations"], questions=options["limit"]
    )
    setting = catalogue.Setting(Config.from_environment(), notify=output.note)
    with catalogue.opened(options["systems"], setting) as opened:
        outcomes = run(dataset, opened.systems)
    return {
        name: {
            "measures": outcome.measures.tolist(),
            "seconds": outcome.seconds.tolist(),
            "write_seconds": outcome.write_seconds,
        }
        for name, outcome in outcomes.items()
    }


TASKS: Mapping[str, Callable[[Options], Figures]] = {
    task.__name__: task for task in (writing, reading, remembering, activations, closeness, recall)
}


def main(task: str, options: str) -> None:
    """Do one task."""
    print(json.dumps(TASKS[task](json.loads(options))))


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(*sys.argv[1:])))
