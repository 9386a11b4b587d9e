"""How close the keys that a store holds come to those that the model in use makes of the same memories.

It is told, and decides nothing: keys of two models are never compared in one search, however close they are.

What is compared are the coefficients that the code of the stored keys keeps of each layer: centred, in the principal
directions of the calibration text, divided by the spread along each. Of the vectors themselves a few massive dimensions
decide: with the bundled model, those of two texts that share nothing have a cosine of 0.91 on average at layers 9 and
15, but their coefficients one of 0.00. What the present model makes goes through the same code, so that rounding counts
on both sides, and equal keys have a cosine of 1.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db import MAX_KEY_TOKENS, KeyCode, KeyVersion, capture_pooled, known_calibration
from aspen.engine.mismatch import mismatch_of
from aspen.errors import AspenError, ModelMismatch
from aspen.models import LanguageModel
from aspen.repository import KeyStamp, Repository
from aspen.resonance_search import ModelKeys, spoken_text
from aspen.types import FloatArray, Memory
from aspen.wording import counted

MOST_COMPARED = 24
"""Memories in a comparison: enough for a mean to three digits, and under a second with the bundled model."""
QUICK_SECONDS = 1.0
"""After so many seconds an error waits for no further memory; a large model compares fewer then."""

# Measured with the bundled model on 300 turns and 100 questions of the calibration text: the weights were rounded to
# 8, 6, 5, 4 and 3 bits (groups of 32), or noise of a share of each matrix's spread was added. Beside the lowest mean
# cosine of the three layers, the share of the 10 best memories that stayed the same, all keys made anew:
# bfloat16 0.998, .96; 8 bits 0.997, .96; 6 bits 0.987, .90; noise of 2 % 0.988, .90; 5 bits 0.966, .84; noise of 5 %
# 0.959, .83; 4 bits 0.893, .68; noise of 10 % 0.878, .70; 3 bits 0.680, .49; noise of 20 % 0.513, .44, of 40 % 0.104,
# .21, and of 100 % 0.005, .10.
CLOSE = 0.98
"""Lowest mean cosine of a layer from which on nine of ten hits stay the same."""
RELATED = 0.5
"""Below this most hits are others: the two models share nothing, or too little to matter."""

_MODERATE = range(8, 65)
"""Tokens of the memories that are preferred: shorter ones say little of a model, longer ones take long."""


class Verdict(StrEnum):
    """What a comparison comes to."""

    CLOSE = "close"
    RELATED = "related"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


_IN_WORDS = {
    Verdict.CLOSE: "close: keys of both models find nearly the same",
    Verdict.RELATED: "related, but not the same: keys of both models find other memories in part",
    Verdict.DIFFERENT: "not the same model",
}


@dataclass(frozen=True, slots=True)
class LayerCloseness:
    """Cosine of stored keys and keys made now at one layer, mean and lowest over the memories, in [-1, 1]."""

    layer: int
    mean: float
    lowest: float


@dataclass(frozen=True, slots=True)
class Closeness:
    """How close keys of `stored`, a model by name, come to those of `present`.

    layers: as the keys have them, ascending; memories: how many were compared; reason: why none could be; own: whether
    both are one model, which made the keys at another time. Without a comparison there are no layers, and the verdict
    is UNKNOWN.
    """

    stored: str
    present: str
    layers: tuple[LayerCloseness, ...] = ()
    memories: int = 0
    reason: str = ""
    own: bool = False

    @property
    def verdict(self) -> Verdict:
        """The worst layer decides: a search sums over all."""
        if not self.layers:
            return Verdict.UNKNOWN
        lowest = min(layer.mean for layer in self.layers)
        if lowest >= CLOSE:
            return Verdict.CLOSE
        return Verdict.RELATED if lowest >= RELATED else Verdict.DIFFERENT

    def sentence(self) -> str:
        """The figures and the verdict, for people."""
        if not self.layers:
            if self.own:
                return f"The stored keys cannot be held against new ones: {self.reason}."
            return f"How close the keys of both are cannot be measured: {self.reason}."
        figures = ", ".join(
            f"{one.mean:.3f} at layer {one.layer} (lowest {one.lowest:.3f})" for one in self.layers
        )
        memories = counted(self.memories, "memory", "memories")
        verdict = _IN_WORDS[self.verdict]
        if self.own:
            same = self.verdict is Verdict.CLOSE
            verdict = "the same, as they should be" if same else "they should be the same, and are not"
        return f"Cosine of stored keys and this model's, on {memories}: {figures}; {verdict}."

    def as_data(self) -> dict[str, object]:
        """Plain data, for the details of an error and for JSON: all of it, and the verdict."""
        return {**asdict(self), "layers": [asdict(one) for one in self.layers], "verdict": self.verdict.value}


class KeyComparison:
    """Compares the keys of a store with those of a loaded model, whose `keys` say what it makes them with."""

    def __init__(
        self,
        model: LanguageModel,
        *,
        keys: ModelKeys,
        repository: Repository,
        cache_dir: Path,
        rekey: str = "Aspen.rekey",
    ) -> None:
        """`rekey` is what a person runs to make the keys anew with this model."""
        self._model = model
        self._keys = keys
        self._repository = repository
        self._cache_dir = cache_dir
        self._rekey = rekey
        self._told: tuple[KeyStamp, Closeness] | None = None  # figures alone, nothing of a memory

    def measure(self, *, seconds: float = math.inf) -> Closeness | None:
        """Of up to MOST_COMPARED memories, spread over the store; None where it has no stamp yet.

        At least one is compared; after `seconds` no further one is begun. InvalidInput where the model's activations
        are not finite.
        """
        stored = self._repository.stamp()
        return None if stored is None else self._measured(stored, seconds=seconds)

    def mismatch(self, stored: KeyStamp) -> ModelMismatch:
        """The error for a store whose keys are of `stored`, another model; measured once, and quickly.

        Whatever goes wrong in measuring is told in it, and takes the place of the figures.
        """
        closeness = self._quickly(stored)
        error = mismatch_of(stored, self._keys.stamp, location=self._repository.location, rekey=self._rekey)
        return ModelMismatch(
            f"{error.message} {closeness.sentence()}",
            hint=error.hint,
            **error.details,
            closeness=closeness.as_data(),
        )

    def _quickly(self, stored: KeyStamp) -> Closeness:
        told = self._told
        if told is not None and told[0] == stored:
            return told[1]
        try:
            closeness = self._measured(stored, seconds=QUICK_SECONDS)
        except AspenError as error:
            return self._unknown(stored, error.message.rstrip("."))
        if closeness.layers:  # otherwise the first memory, or a calibration that comes back, changes it
            self._told = stored, closeness
        return closeness

    def _unknown(self, stored: KeyStamp, reason: str) -> Closeness:
        return Closeness(
            stored.model_name, self._keys.stamp.model_name, reason=reason, own=self._is_own(stored)
        )

    def _is_own(self, stored: KeyStamp) -> bool:
        return stored.identity == self._keys.stamp.identity

    def _measured(self, stored: KeyStamp, *, seconds: float) -> Closeness:
        code = self._code_of(stored)
        if isinstance(code, str):
            return self._unknown(stored, code)
        memories, kept = self._sample(stored)
        if not memories:
            return self._unknown(stored, "the store holds no memories")
        made = self._made(memories, code=code, seconds=seconds)
        layers = []
        for layer, was, now in zip(
            self._keys.recipe.layers,
            code.coefficients(kept[: len(made)]),
            code.coefficients(made),
            strict=True,
        ):
            cosines = _cosines(was, now)
            layers.append(LayerCloseness(layer, float(cosines.mean()), float(cosines.min())))
        return Closeness(
            stored.model_name,
            self._keys.stamp.model_name,
            tuple(layers),
            len(made),
            own=self._is_own(stored),
        )

    def _code_of(self, stored: KeyStamp) -> KeyCode | str:
        """What the stored keys were coded with, where this model's can be coded with it; a reason where not."""
        recipe, own = self._keys.recipe, self._keys.calibration
        version = KeyVersion.parse(stored.key_version)
        if version is None:
            return f"the store does not say how its keys {stored.key_version!r} were made"
        if version.recipe != recipe.version:
            return (
                f"its keys are of layers {_layers(version.recipe)} of {stored.model_name}, "
                f"this model's are of layers {_layers(recipe.version)}"
            )
        code = own.key_code
        if code.version != version.code:
            # Its own code, not that of the present model: bytes of one code mean nothing in another.
            former = known_calibration(
                stored.model_id, key_version=stored.key_version, cache_dir=self._cache_dir
            )
            if former is None or former.key_code.version != version.code:
                return (
                    f"the calibration that reads the keys of {stored.model_name} is not in {self._cache_dir}"
                )
            code = former.key_code
        width = len(code.layers[0].mean)
        if width != recipe.width:
            return f"its keys are of a model of width {width}, this one has width {recipe.width}"
        return code

    def _sample(self, stored: KeyStamp) -> tuple[list[Memory], NDArray[np.uint8]]:
        """Memories spread over the store, of moderate length where there are such, and their keys, uint8 [n, bytes]."""
        seqs, keys = self._repository.keys(stored)
        n = len(seqs)
        # Four times as many to choose from; in an order of their own, so that the first few are spread as well.
        spread = np.linspace(0, max(n - 1, 0), min(n, 4 * MOST_COMPARED)).astype(np.int64)
        rows = {int(seqs[row]): int(row) for row in np.random.default_rng(0).permutation(spread)}
        memories = self._repository.get_by_seq(list(rows))  # without those forgotten meanwhile
        memories.sort(key=lambda memory: memory.token_count not in _MODERATE)
        chosen = memories[:MOST_COMPARED]
        return chosen, keys[[rows[memory.seq] for memory in chosen]]

    def _made(self, memories: Sequence[Memory], *, code: KeyCode, seconds: float) -> NDArray[np.uint8]:
        """Keys that this model makes of the first memories, in a given `code`, uint8 [n, bytes], n >= 1."""
        weights, started = self._keys.calibration.token_weights, time.perf_counter()
        bodies: list[bytes] = []
        for memory in memories:
            if bodies and time.perf_counter() - started >= seconds:
                break
            ids = self._model.tokenize(spoken_text(memory.text, speaker=memory.speaker))[:MAX_KEY_TOKENS]
            (pooled,) = capture_pooled(self._model, [ids], recipe=self._keys.recipe, token_weights=weights)
            bodies.append(code.encode(pooled))
        return np.frombuffer(b"".join(bodies), dtype=np.uint8).reshape(len(bodies), code.size)


def _layers(recipe_version: str) -> str:
    return recipe_version.rpartition(":")[2].replace(",", ", ")


def _cosines(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of each row, float32 [n, d] each -> float64 [n] in [-1, 1]."""
    first, second = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosines: FloatArray = np.clip(np.einsum("nd,nd->n", first, second) / np.maximum(lengths, 1e-30), -1, 1)
    return cosines
