"""Two runtimes side by side: what each found of LoCoMo, and how alike their activations are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aspen.benchmarks.interface import Dataset
from aspen.benchmarks.report import described, summarised
from aspen.benchmarks.running import Outcome
from aspen.errors import AspenError
from aspen.models import RUNTIMES

_SINK = 1
"""First tokens of a text that are left out: attention rests on them, and their activations are those of no text."""


def recall(dataset: Dataset, rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Figures of each system in each runtime, and what the runtimes differ by on the same questions."""
    outcomes = {
        f"{system}, {runtime}": Outcome(
            np.array(found["measures"]), np.array(found["seconds"]), found["write_seconds"]
        )
        for runtime, (told,) in rows.items()
        for system, found in told.items()
    }
    systems = dict.fromkeys(name.partition(", ")[0] for name in outcomes)
    pairs = [(f"{system}, {RUNTIMES[0]}", f"{system}, {RUNTIMES[1]}") for system in systems]
    return {"data": described(dataset), **summarised(dataset, outcomes, pairs=pairs)}


def activations(folder: Path, rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Cosine of each token's residual stream in both runtimes, by layer: the mean over tokens, and the lowest.

    `centred`: the mean of each layer over all tokens is taken off first. Without that, a few dimensions that are large
    in every token decide, and all texts are alike.
    """
    if rows[RUNTIMES[0]][0]["ids"] != rows[RUNTIMES[1]][0]["ids"]:
        raise AspenError("The runtimes cut the same texts into other tokens.")
    first, second = (_states(folder / f"{runtime}.npz") for runtime in RUNTIMES)
    mean = second.mean(axis=1, keepdims=True)
    plain, centred = _cosines(first, second), _cosines(first - mean, second - mean)
    return {
        "texts": len(rows[RUNTIMES[0]][0]["ids"]),
        "tokens": int(plain.shape[1]),
        "cosine": plain.mean(axis=1).round(5).tolist(),
        "cosine_centred": centred.mean(axis=1).round(5).tolist(),
        "lowest_centred": centred.min(axis=1).round(4).tolist(),
    }


def _states(path: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """float64 [L + 1, tokens, D]."""
    with np.load(path) as arrays:
        texts = [arrays[str(number)][:, _SINK:] for number in range(len(arrays.files))]
    return np.concatenate(texts, axis=1).astype(np.float64)


def _cosines(
    first: np.ndarray[Any, np.dtype[np.float64]], second: np.ndarray[Any, np.dtype[np.float64]]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """float64 [L + 1, tokens]."""
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    cosines: np.ndarray[Any, np.dtype[np.float64]] = np.einsum("ltd,ltd->lt", first, second) / lengths
    return cosines
