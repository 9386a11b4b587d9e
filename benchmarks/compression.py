"""What compression costs: bytes of keys, head keys and traces against what recall and fidelity lose.

    python benchmarks/compression.py --data locomo10.json --json compression.json --plot compression.png
    python benchmarks/compression.py --layout beir --data musique --parts together

The model runs once; each coding then writes the same activations in its own bytes, and the same questions are asked.
"""

from __future__ import annotations

import argparse
import math
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1])
)  # `python benchmarks/compression.py` from anywhere

from benchmarks._activations import (
    DEPTH,
    Corpus,
    KnownMatches,
    corpus_of,
    encoded_head_keys,
    found_with,
    plain_heads,
    plain_keys,
)
from benchmarks._codings import (
    Half,
    Integers,
    OtherKeys,
    Packed,
    Quantised,
    Whitened,
    cosine,
    like,
    low_rank,
    normally_quantised,
    product_quantised,
    with_dims_per_byte,
)
from benchmarks._compression_tables import plot, show
from benchmarks._prefilter import RESCORED, Prefiltered
from benchmarks._program import exit_code, positive
from benchmarks._traces_coded import SIZES, measure_traces

from aspen import Aspen
from aspen.activation_db import HeadSet, KeyCode
from aspen.activation_db.transform_code import TransformCode
from aspen.benchmarks import metrics, output
from aspen.benchmarks.circumstances import circumstances
from aspen.benchmarks.datasets import Layout, read_dataset
from aspen.benchmarks.interface import Dataset
from aspen.benchmarks.plotting import check_plotting
from aspen.types import FloatArray

PARTS = ("keys", "head_keys", "together", "traces")
_SAMPLE = 500  # memories whose fidelity is measured, about
_TRACE_TEXTS = 12
_TOKENS = 40  # of the memory whose bytes are told
_QUICK_TURNS = 100
_WHOLE: Mapping[str, Sequence[str] | None] = {"whole": None}

Advance = Callable[[str], None]
Figures = dict[str, Any]


def key_codings(corpus: Corpus) -> dict[str, KeyCode]:
    """All that are compared, float32 first, and the product's own as "default"."""
    chosen = corpus.calibration.key_code
    recipe, wide = corpus.recipe, [len(code.spread) for code in chosen.layers]

    def whitened(bits: int) -> KeyCode:
        return OtherKeys(tuple(Whitened.of(code, Integers, bits=bits) for code in chosen.layers))

    def per_byte(count: int) -> KeyCode:
        return KeyCode(tuple(with_dims_per_byte(code, count) for code in chosen.layers))

    def deflated(dims: int, bits: int) -> KeyCode:
        return Packed(tuple(Whitened.of(low_rank(code, dims), Integers, bits=bits) for code in chosen.layers))

    def quantised(dims_per_byte: int) -> KeyCode:
        # The calibration has too few texts to train centroids on; whitened keys are nearly normal.
        layers = zip(chosen.layers, wide, strict=True)
        return OtherKeys(
            tuple(
                Whitened.of(code, Quantised, **normally_quantised(dims, size=-(-dims // dims_per_byte)))
                for code, dims in layers
            )
        )

    signs = per_byte(8)
    return {
        "float32": plain_keys(recipe),
        "float16": plain_keys(recipe, Half),
        "int8": plain_keys(recipe, Integers, bits=8),
        "int4": plain_keys(recipe, Integers, bits=4),
        "1 bit": plain_keys(recipe, Integers, bits=1),
        "whitened int8": whitened(8),
        "whitened int4": whitened(4),
        "whitened 3 bits": whitened(3),
        "low rank (192 a layer), int8, zlib": deflated(192, 8),
        "low rank (96 a layer), int8, zlib": deflated(96, 8),
        "whitened, 16 levels": per_byte(2),
        "default: whitened, 6 and 16 levels": chosen,
        "whitened, 6 levels": per_byte(3),
        "whitened, 4 levels": per_byte(4),
        "whitened, 3 levels": per_byte(5),
        "whitened, binary": signs,
        f"binary, then int8 of {RESCORED}": _prefiltered(signs, whitened(8)),
        f"binary, then default of {RESCORED}": _prefiltered(signs, chosen),
        "whitened, product quantised, 4 a byte": quantised(4),
        "whitened, product quantised, 8 a byte": quantised(8),
    }


def _prefiltered(signs: KeyCode, better: KeyCode) -> KeyCode:
    return Prefiltered(better.layers, signs=signs, better=better)


def head_codings(corpus: Corpus) -> dict[str, HeadSet]:
    """All that are compared, float32 first, and the product's own as "default"."""
    heads, width = corpus.heads, corpus.heads.head_dim
    tokens = [
        np.concatenate([keys[row] for keys in corpus.turns]).astype(np.float32)
        for row in range(heads.n_key_heads)
    ]

    def quantised(size: int) -> HeadSet:
        codes = [like(Quantised, width, **product_quantised(keys, size=size)) for keys in tokens]
        return replace(heads, codes=tuple(codes))

    def sized(size: int) -> HeadSet:
        codes = zip(heads.codes, tokens, strict=True)
        return replace(heads, codes=tuple(_resized(code, keys, size) for code, keys in codes))

    return {
        "float32": plain_heads(heads),
        "int8": plain_heads(heads, Integers, bits=8),
        "int4": plain_heads(heads, Integers, bits=4),
        "transform code, 32 bytes": sized(width // 4),
        "default: transform code, 24 bytes": heads,
        "transform code, 16 bytes": sized(width // 8),
        "product quantised, 24 bytes": quantised(3 * width // 16),
        "product quantised, 16 bytes": quantised(width // 8),
    }


def _resized(code: TransformCode, keys: FloatArray, size: int) -> TransformCode:
    mean = keys.mean(axis=0, dtype=np.float64)
    return TransformCode.fit(mean, np.cov(keys.T), size=size, weights=code.weights)


def measure_keys(corpus: Corpus, advance: Advance) -> dict[str, Figures]:
    """Bytes, ratio to float32, cosine and recall of every coding of keys; head keys as float32."""
    heads = plain_heads(corpus.heads)
    bodies, matches = encoded_head_keys(corpus, heads), KnownMatches()
    pooled = corpus.pooled[:: max(1, len(corpus.pooled) // _SAMPLE)]
    mean = pooled.mean(axis=0)
    arms = {"activation": ["activation"], **_WHOLE}
    report, recall = {}, {}
    for name, code in key_codings(corpus).items():
        advance(f"keys, {name}")
        keys = [code.encode(one) for one in pooled]
        back = code.decode(np.stack([np.frombuffer(key, dtype=np.uint8) for key in keys]))
        deflated = round(float(np.mean([len(zlib.compress(key, 9)) for key in keys])))
        size = deflated if isinstance(code, Packed) else code.size
        report[name] = {
            "bytes": size,
            "bytes_zlib": deflated,
            "ratio": round(pooled[0].nbytes / size, 1),
            "cosine": cosine(back - mean, pooled - mean),
        }
        found = found_with(corpus, f"key {name}", code, heads, bodies, arms=arms, matches=matches)
        recall[name] = {arm: _recalls(corpus, ranked, k=DEPTH) for arm, ranked in found.items()}
    return _with_recall(corpus, report, recall)


def measure_heads(corpus: Corpus, advance: Advance) -> dict[str, Figures]:
    """The same of head keys, by token; keys as float32."""
    exact = plain_keys(corpus.recipe)
    sample = np.concatenate(corpus.head_keys[:_SAMPLE], axis=1)
    mean = sample.mean(axis=1, keepdims=True)
    raw = sample[:, 0].nbytes
    report, recall = {}, {}
    for name, heads in head_codings(corpus).items():
        advance(f"head keys, {name}")
        coded = [code.encode(keys) for code, keys in zip(heads.codes, sample, strict=True)]
        back = np.stack([code.decode(body) for code, body in zip(heads.codes, coded, strict=True)])
        bodies = encoded_head_keys(corpus, heads)
        tokens = sum(keys.shape[1] for keys in corpus.head_keys[:_SAMPLE])
        report[name] = {
            "bytes": heads.token_size,
            "bytes_zlib": round(
                sum(len(zlib.compress(body[heads.head_size :], 9)) for body in bodies[:_SAMPLE]) / tokens
            ),
            "ratio": round(raw / heads.token_size, 1),
            "cosine": cosine(back - mean, sample - mean),
        }
        found = found_with(corpus, f"heads {name}", exact, heads, bodies, arms=_WHOLE)
        recall[name] = {arm: _recalls(corpus, ranked, k=DEPTH) for arm, ranked in found.items()}
    return _with_recall(corpus, report, recall)


def measure_together(corpus: Corpus, advance: Advance) -> dict[str, Figures]:
    """Recall of the whole ranking with keys and head keys both coded, and the bytes of a memory of 40 tokens."""
    recipe, heads = corpus.recipe, corpus.heads
    exact = plain_heads(heads)
    pairs = {
        "float32": (plain_keys(recipe), exact),
        "int8": (plain_keys(recipe, Integers, bits=8), plain_heads(heads, Integers, bits=8)),
        "default": (corpus.calibration.key_code, heads),
    }
    # All tokens: that the first one's key need not be kept is part of the saving.
    raw = corpus.pooled[0].nbytes + _TOKENS * exact.token_size
    report, recall = {}, {}
    for name, (code, head_set) in pairs.items():
        advance(f"together, {name}")
        size = code.size + head_set.head_size + (_TOKENS - 1) * head_set.token_size
        size = raw if name == "float32" else size
        report[name] = {"bytes": size, "ratio": round(raw / size, 1)}
        bodies = encoded_head_keys(corpus, head_set)
        ranked = found_with(corpus, f"both {name}", code, head_set, bodies, arms=_WHOLE)["whole"]
        recall[name] = {
            "recall_5": _recalls(corpus, ranked, k=5),
            "recall_10": _recalls(corpus, ranked, k=10),
            "all_10": np.floor(_recalls(corpus, ranked, k=10)),
        }
    return _with_recall(corpus, report, recall)


def _recalls(corpus: Corpus, ranked: Sequence[Sequence[str]], *, k: int) -> NDArray[np.float64]:
    """Of each question the share of its evidence among the first k."""
    questions = zip(ranked, corpus.dataset.questions, strict=True)
    return np.array([metrics.recall(hits, question.evidence, k=k) for hits, question in questions])


def _with_recall(
    corpus: Corpus,
    report: Mapping[str, Figures],
    recall: Mapping[str, Mapping[str, NDArray[np.float64]]],
) -> dict[str, Figures]:
    """`report` with the means of recall in percent, what is lost against the first row, and its 95 % interval."""
    exact = next(iter(recall.values()))
    whole = {}
    for row, (name, figures) in enumerate(report.items()):
        whole[name] = dict(figures)
        for measure, values in recall[name].items():
            whole[name][measure] = round(100 * float(values.mean()), 2)
            if row:
                lost = 100 * (exact[measure] - values)
                whole[name][f"{measure}_lost"] = round(float(lost.mean()), 2)
                whole[name][f"{measure}_lost_ci95"] = _interval(lost, corpus.groups)
    return whole


def _interval(values: NDArray[np.float64], groups: Sequence[str]) -> list[float] | None:
    """Of the mean, by a bootstrap over conversations, or over questions where there are none; None of a single one."""
    drawn = [weights @ values / weights.sum() for weights in metrics.resamples(groups)]
    return [round(float(end), 2) for end in np.percentile(drawn, [2.5, 97.5])] if drawn else None


def measure(corpus: Corpus, aspen: Aspen, advance: Advance, *, parts: Sequence[str], quick: bool) -> Figures:
    """The parts that are asked for."""
    measured: Mapping[str, Callable[[], dict[str, Figures]]] = {
        "keys": lambda: measure_keys(corpus, advance),
        "head_keys": lambda: measure_heads(corpus, advance),
        "together": lambda: measure_together(corpus, advance),
        "traces": lambda: measure_traces(
            aspen.model,
            [item.text for item in corpus.dataset.items[:_TRACE_TEXTS]],
            sizes=SIZES[-1:] if quick else SIZES,
        ),
    }
    return {part: measured[part]() for part in parts}


def chosen(dataset: Dataset, arguments: argparse.Namespace) -> Dataset:
    """The part of the data set to measure on."""
    conversations, questions = arguments.conversations, None
    if arguments.quick:
        conversations, questions = 1 if dataset.conversations else None, 3
    return counted(
        dataset.part(conversations=conversations, questions=questions), limit=arguments.limit_questions
    )


def counted(dataset: Dataset, *, limit: int | None) -> Dataset:
    """The data set with every n-th of the questions that count in averages, `limit` of them at most."""
    questions = [question for question in dataset.questions if question.kind not in dataset.apart]
    step = math.ceil(len(questions) / limit) if limit and questions else 1
    return replace(dataset, questions=tuple(questions[::step]))


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    for path in (arguments.json, arguments.plot):
        output.check_output(path)
    if arguments.plot is not None:
        check_plotting(arguments.plot)
    dataset = chosen(read_dataset(Layout(arguments.layout), arguments.data), arguments)
    with output.progress() as progress, Aspen.open(":memory:", model=arguments.model) as aspen:
        bar = progress.add_task("activations", total=None)
        turns = (_QUICK_TURNS if arguments.quick else None) if "head_keys" in arguments.parts else 0
        corpus = corpus_of(dataset, aspen, turns=turns)

        def advance(name: str) -> None:
            progress.update(bar, description=name)

        report = {
            **circumstances(title="compression", command=["python", *sys.argv]),
            "data": {"name": dataset.name, **dataset.files},
            "memories": len(corpus.memories),
            "questions": len(corpus.dataset.questions),
            "model": aspen.model.info.name,
            **measure(corpus, aspen, advance, parts=arguments.parts, quick=arguments.quick),
        }
    show(report)
    output.write_json(arguments.json, report)
    if arguments.plot is not None:
        plot(arguments.plot, report)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, help="a data set; default: what ships with Aspen")
    made.add_argument("--layout", choices=list(Layout), default=Layout.LOCOMO, help="of its files")
    made.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="measure these only")
    made.add_argument("--conversations", type=positive, metavar="N", help="take the first N only")
    made.add_argument(
        "--limit-questions", type=positive, metavar="N", help="ask N at most, every n-th of all that count"
    )
    made.add_argument("--json", type=Path, help="write all figures here")
    made.add_argument("--plot", type=Path, help="draw the curves here (.png, .svg)")
    made.add_argument("--model", help="bundled, a Hugging Face id or a folder; default as for Aspen.open")
    made.add_argument("--quick", action="store_true", help="hardly measure: only try whether it runs")
    return made


if __name__ == "__main__":
    parsed = parser().parse_args()
    sys.exit(exit_code(lambda: run(parsed)))
