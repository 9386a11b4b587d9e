"""What stored keys and values save against reading the same memories as text, and how far they lead away from it.

    python benchmarks/kv.py --json kv.json --plot kv.png

Notes of 128 to 2,048 tokens, once as text and once as KV fragments out of a SQLite store, in turn in one run: time to
the logits of the first token. Then prompts with notes of four lines: how far the distribution of the next token lies
from that of the text (Kullback-Leibler divergence), how often both have the same first choice, and what a token takes
in the store, by level of compression. Lines and questions are those of the dialogues that ship with Aspen.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `python benchmarks/kv.py` from anywhere

from benchmarks._program import exit_code, positive

from aspen.activation_db import FragmentLevel, calibration_text
from aspen.benchmarks import output
from aspen.benchmarks.circumstances import circumstances
from aspen.benchmarks.plotting import check_plotting, plot_growth
from aspen.config import Config
from aspen.errors import AspenError
from aspen.memory_injector import FragmentMaker, Note, compose_prompt
from aspen.memory_injector.fragments import cut_lines
from aspen.memory_injector.framing import framed
from aspen.memory_injector.kv import divergence
from aspen.models import KVFragment, LanguageModel, feed, load_model
from aspen.repository import SQLiteRepository
from aspen.testing.repository_builders import STAMP, new_memory
from aspen.types import FloatArray, Pass, TokenIds

_SYSTEM = "You are a helpful assistant who answers in one short sentence."
_LINES = 4
"""Of a note as a chat writes it."""


@dataclass(frozen=True)
class Prompt:
    """A prompt, int32 [T], and where the lines of its note begin and the last one ends."""

    token_ids: TokenIds
    cuts: list[int]

    @property
    def pieces(self) -> list[TokenIds]:
        """The lines."""
        ends = self.cuts[1:]
        return [self.token_ids[start:stop] for start, stop in zip(self.cuts, ends, strict=False)]

    def brought_in(self, model: LanguageModel, fragments: list[KVFragment]) -> FloatArray:
        """The logits after the prompt, its lines put as fragments."""
        passes = (
            Pass(self.cuts[0]),
            *(Pass(len(fragment.token_ids), fragment.digest) for fragment in fragments),
            Pass(len(self.token_ids) - self.cuts[-1]),
        )
        known = {fragment.digest: fragment for fragment in fragments}
        return feed(model.start_session(), self.token_ids, passes=passes, fragments=known)


def prompt_of(model: LanguageModel, lines: list[str], *, question: str, system: str | None) -> Prompt:
    """A question behind a note of these lines; of none, without a note."""
    note = Note(framed(lines), 0, ()) if lines else None
    composed = compose_prompt(model, system=system, note=note, history=(), message=question, reserve=0)
    token_ids = composed.chat.token_ids
    if not lines:
        return Prompt(token_ids, [])
    cuts = cut_lines(model, token_ids, lines=lines, system=system)
    if not cuts:
        raise AspenError("The tokenizer joins the lines of a note: there is nothing to put.")
    return Prompt(token_ids, cuts)


class Material:
    """Lines and questions, drawn anew for each prompt."""

    def __init__(self, *, seed: int) -> None:
        turns, self._questions = calibration_text()
        self._lines = [
            f'- {speaker} said: "{text}"' for speaker, _, text in (t.partition(": ") for t in turns)
        ]
        self._random = np.random.default_rng(seed)

    def lines(self, count: int) -> list[str]:
        """Lines, each once as long as there are enough."""
        order = [*self._random.permutation(len(self._lines)), *self._random.permutation(len(self._lines))]
        return [self._lines[i] for i in order[:count]]

    def lines_of(self, model: LanguageModel, tokens: int) -> list[str]:
        """As many lines as have `tokens` together, the last one cut."""
        chosen: list[str] = []
        for line in self.lines(2 * len(self._lines)):
            left = tokens - sum(len(model.tokenize(f"{one}\n")) for one in chosen)
            if left <= len(model.tokenize('- : ""\n')):
                break
            words = line.split()
            while words and len(model.tokenize(f"{' '.join(words)}\n")) > left:
                words.pop()
            chosen += [" ".join(words)] if words else []
        return chosen

    def question(self) -> str:
        """Any."""
        return self._questions[int(self._random.integers(len(self._questions)))]


def time_to_first_token(
    model: LanguageModel, *, tokens: int, rounds: int, material: Material, folder: Path
) -> dict[str, float]:
    """Milliseconds (p50) to the first logits, by text and by fragments out of a store, in turn."""
    lines = material.lines_of(model, tokens)
    prompt = prompt_of(model, lines, question=material.question(), system=None)
    maker = FragmentMaker.of(model)
    with SQLiteRepository(folder / f"{tokens}.db") as store:
        store.set_stamp(STAMP)
        seqs = [
            memory.seq for memory in store.add([new_memory(f"m{number}") for number in range(len(lines))])
        ]
        places = [(seq, maker.name(ids)) for seq, ids in zip(seqs, prompt.pieces, strict=True)]
        started = time.perf_counter()
        made = maker.make(prompt.pieces)
        making = time.perf_counter() - started
        store.save_fragments(STAMP, dict(zip(places, made, strict=True)))
        reading: list[float] = []

        def by_fragments() -> None:
            began = time.perf_counter()
            bodies = store.fragments(places)
            fragments = [
                maker.read(bodies[place], token_ids=ids)
                for place, ids in zip(places, prompt.pieces, strict=True)
            ]
            reading.append(time.perf_counter() - began)
            prompt.brought_in(model, fragments)

        def by_text() -> None:
            model.start_session().prefill(prompt.token_ids)

        ways: Mapping[str, Callable[[], None]] = {"text": by_text, "kv": by_fragments}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                if number:  # the first time warms up
                    seconds[name].append(time.perf_counter() - began)
    p50 = {name: float(np.median(found)) for name, found in seconds.items()}
    return {
        "memory_tokens": prompt.cuts[-1] - prompt.cuts[0],
        "prompt_tokens": len(prompt.token_ids),
        "fragments": len(lines),
        "text_ms": round(p50["text"] * 1000, 1),
        "kv_ms": round(p50["kv"] * 1000, 1),
        "of_which_reading_ms": round(float(np.median(reading[1:])) * 1000, 1),
        "making_ms": round(making * 1000, 1),
        "speedup": round(p50["text"] / p50["kv"], 2),
    }


def quality(model: LanguageModel, *, prompts: int, material: Material) -> dict[str, dict[str, float]]:
    """Divergence from the text, in nats, and agreement on the most likely token, by level; "none" without a note."""
    makers = {level.value: FragmentMaker.of(model, level=level) for level in FragmentLevel}
    found: dict[str, list[tuple[float, bool]]] = {name: [] for name in ("none", *makers)}
    size = dict.fromkeys(makers, 0)
    tokens = 0
    for number in range(prompts):
        system = _SYSTEM if number % 2 else None
        lines, question = material.lines(_LINES), material.question()
        prompt = prompt_of(model, lines, question=question, system=system)
        text = model.start_session().prefill(prompt.token_ids)
        bare = prompt_of(model, [], question=question, system=system).token_ids
        reached = {"none": model.start_session().prefill(bare)}
        tokens += prompt.cuts[-1] - prompt.cuts[0]
        for name, maker in makers.items():
            made = maker.make(prompt.pieces)
            size[name] += sum(map(len, made))
            fragments = [
                maker.read(data, token_ids=ids) for data, ids in zip(made, prompt.pieces, strict=True)
            ]
            reached[name] = prompt.brought_in(model, fragments)
            if any(KVFragment(one.token_ids, one.keys, one.values).digest != one.digest for one in fragments):
                raise AspenError(f"A fragment of level {name} was changed by being put.")
        for name, logits in reached.items():
            found[name].append((divergence(logits, of=text), int(logits.argmax()) == int(text.argmax())))
    report: dict[str, dict[str, float]] = {}
    for name, pairs in found.items():
        divergences, same = np.array(pairs, dtype=np.float64).T
        report[name] = {
            "kl_mean": round(float(divergences.mean()), 4),
            "kl_median": round(float(np.median(divergences)), 4),
            "kl_p95": round(float(np.percentile(divergences, 95)), 4),
            "top1_agreement": round(float(same.mean()), 3),
        }
        if name in size:
            report[name]["bytes_per_token"] = round(size[name] / tokens)
    return report


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    output.check_output(arguments.json)
    if arguments.plot:
        check_plotting(arguments.plot)
    tokens, rounds, prompts = arguments.tokens, arguments.rounds, arguments.prompts
    if arguments.quick:
        tokens, rounds, prompts = tokens[:2], 2, 4
    config = Config.from_environment()
    model = load_model(arguments.model or config.model, cache_dir=config.cache_dir, threads=config.threads)
    if reason := model.fragments_refused():
        raise AspenError(reason)
    material = Material(seed=arguments.seed)
    timed: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for length in tokens:
            output.note(f"timing {length} memory tokens")
            timed[length] = time_to_first_token(
                model, tokens=length, rounds=rounds, material=material, folder=Path(folder)
            )
    output.note(f"comparing {prompts} prompts")
    levels = quality(model, prompts=prompts, material=material)
    output.table(
        "Time to first token, ms (p50)",
        ["memory tokens", "fragments", "text", "kv", "reading", "making once", "faster"],
        [
            [
                f"{found['memory_tokens']:,}",
                str(found["fragments"]),
                *(f"{found[key]:,}" for key in ("text_ms", "kv_ms", "of_which_reading_ms", "making_ms")),
                f"{found['speedup']}x",
            ]
            for found in timed.values()
        ],
    )
    output.table(
        f"Next token against the text: {prompts} prompts with {_LINES} lines each",
        ["level", "KL mean", "KL median", "KL p95", "same first choice", "bytes a token"],
        [
            [
                name,
                *(str(found[key]) for key in ("kl_mean", "kl_median", "kl_p95", "top1_agreement")),
                f"{found['bytes_per_token']:,}" if "bytes_per_token" in found else "",
            ]
            for name, found in levels.items()
        ],
        caption="none: the same prompt without its note.",
    )
    report = {
        **circumstances(title="kv", command=["python", *sys.argv]),
        "model": model.info.name,
        "threads": model.fingerprint.threads,
        "time_to_first_token": {str(length): found for length, found in timed.items()},
        "levels": levels,
    }
    output.write_json(arguments.json, report)
    if arguments.plot:
        plot_growth(
            arguments.plot,
            {
                name: {length: found[f"{name}_ms"] for length, found in timed.items()}
                for name in ("text", "kv")
            },
            title="Time to first token",
            across="tokens of memories",
            up="p50, ms",
        )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write all figures here")
    made.add_argument("--plot", type=Path, help="draw them here (.png, .svg, .pdf)")
    made.add_argument("--model", help="bundled, a folder or a Hugging Face id")
    made.add_argument(
        "--tokens", type=positive, nargs="+", default=[128, 512, 1024, 2048], help="lengths of notes"
    )
    made.add_argument("--rounds", type=positive, default=5, help="times that each length is timed")
    made.add_argument("--prompts", type=positive, default=60, help="prompts that are compared with the text")
    made.add_argument("--seed", type=int, default=0, help="of the draw of lines and questions")
    made.add_argument("--quick", action="store_true", help="two lengths, few rounds: whether it runs at all")
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(exit_code(lambda: run(parsed)))
