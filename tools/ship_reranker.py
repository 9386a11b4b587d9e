"""Learns to re-rank with the bundled model, in each runtime or in those named, and puts the weights into the package.

    python tools/ship_reranker.py [llama.cpp] [transformers]

To be run when the labelled texts, the calibration or the features change; a test holds the shipped files against them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.progress import Progress

import aspen.resonance_search.reranking
from aspen.config import Config
from aspen.engine.reranker import file_name
from aspen.engine.reranker_learning import learn_reranker
from aspen.models import RUNTIMES, load_model
from aspen.resonance_search.reranking import labelled_sets


def main() -> None:
    """Write the files, and delete what they take the place of."""
    folder = Path(aspen.resonance_search.reranking.__file__).parent / "data"
    for runtime in sys.argv[1:] or RUNTIMES:
        ship(runtime, folder=folder)


def ship(runtime: str, *, folder: Path) -> None:
    """Learn with one runtime."""
    cache_dir = Config.from_environment().cache_dir
    # Half precision reads twice as fast, and tells the same heads apart. llama.cpp runs what the file holds.
    dtype = "bfloat16" if runtime == "transformers" else None
    model = load_model("bundled", cache_dir=cache_dir, runtime=runtime, device="cpu", dtype=dtype, progress=print)
    with Progress() as bars:
        bar = bars.add_task("reading", total=None)
        reranker = learn_reranker(
            model,
            cache_dir=cache_dir,
            at_most=sum(len(labelled.questions) for labelled in labelled_sets()),
            progress=lambda done: bars.update(bar, completed=done),
        )
    body = reranker.to_bytes()
    path = folder / file_name(model)
    for old in folder.glob(f"{model.fingerprint.model_id}-*.safetensors"):
        old.unlink()
    path.write_bytes(body)
    print(f"{path}: {len(body):,} bytes")


if __name__ == "__main__":
    main()
