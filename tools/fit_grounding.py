"""Weighs known right and wrong sentences by their memories with the bundled model, and prints what a threshold keeps.

    python tools/fit_grounding.py

`tools/grounding.jsonl` has memories, each with a sentence that follows from it and one in which facts were changed;
the right sentence of another memory is the third kind. The threshold goes into `aspen/memory_rephraser/model.py` by
hand. Half of the examples choose one for the other half, so that the figures are not those of the choice.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from aspen.config import Config
from aspen.memory_rephraser import SUPPORT, Judge
from aspen.models import load_model

_EXAMPLES = Path(__file__).with_name("grounding.jsonl")
_KINDS = ("right", "changed", "of another memory")
_FURTHER = 7  # examples further on stands the other memory


def main() -> None:
    """Weigh, and print."""
    model = load_model("bundled", cache_dir=Config.from_environment().cache_dir, device="cpu")
    examples = [json.loads(line) for line in _EXAMPLES.read_text(encoding="utf-8").splitlines()]
    judge = Judge(model, [f'The user said: "{one["memory"]}"' for one in examples])
    supports = np.array(
        [
            [
                judge.support(sentence, source=place)
                for sentence in (
                    one["right"],
                    one["wrong"],
                    examples[(place + _FURTHER) % len(examples)]["right"],
                )
            ]
            for place, one in enumerate(track(examples))
        ]
    )
    print(f"kept at {SUPPORT} nats a token: {_kept(supports, SUPPORT)}")
    for chosen, other in ((supports[::2], supports[1::2]), (supports[1::2], supports[::2])):
        threshold = best_threshold(chosen)
        print(f"kept at {threshold:.2f}, chosen on the other half: {_kept(other, threshold)}")


def best_threshold(supports: NDArray[np.float64]) -> float:
    """What keeps the most right sentences less changed ones, of supports [n, kinds]."""
    candidates = np.unique(supports[:, :2])
    gained = [np.mean(supports[:, 0] >= one) - np.mean(supports[:, 1] >= one) for one in candidates]
    return float(candidates[int(np.argmax(gained))])


def _kept(supports: NDArray[np.float64], threshold: float) -> str:
    shares = (supports >= threshold).mean(axis=0)
    return ", ".join(f"{share:.2f} {kind}" for share, kind in zip(shares, _KINDS, strict=True))


if __name__ == "__main__":
    main()
