"""Learns to re-rank with the bundled model and puts the weights into the package.

    python tools/ship_reranker.py

To be run when the labelled texts, the calibration or the features change; a test holds the shipped files against them.
"""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

import aspen.resonance_search.reranking
from aspen.config import Config
from aspen.engine.reranker import file_name
from aspen.engine.reranker_learning import learn_reranker
from aspen.models import RUNTIMES, load_model
from aspen.resonance_search.reranking import labelled_sets


def main() -> None:
    """Write a file for each runtime, and delete those of older versions.

    The weights belong to the heads of a model, and are the same whatever it runs in. They are learned in half
    precision, which reads fastest and tells the same heads apart.
    """
    cache_dir = Config.from_environment().cache_dir
    model = load_model(
        "bundled", cache_dir=cache_dir, runtime="transformers", device="cpu", dtype="bfloat16", progress=print
    )
    folder = Path(aspen.resonance_search.reranking.__file__).parent / "data"
    with Progress() as bars:
        bar = bars.add_task("reading", total=None)
        reranker = learn_reranker(
            model,
            cache_dir=cache_dir,
            at_most=sum(len(labelled.questions) for labelled in labelled_sets()),
            progress=lambda done: bars.update(bar, completed=done),
        )
    body = reranker.to_bytes()
    for old in folder.glob("*.safetensors"):
        old.unlink()
    for runtime in RUNTIMES:
        path = folder / file_name(load_model("bundled", cache_dir=cache_dir, runtime=runtime))
        path.write_bytes(body)
        print(f"{path}: {len(body):,} bytes")


if __name__ == "__main__":
    main()
