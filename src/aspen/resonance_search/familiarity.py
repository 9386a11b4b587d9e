"""Familiarity: how likely it is that a store can answer a prompt at all, whatever its hits look like.

Scores only rank: the best of a store that knows nothing of the matter is still the best. Familiarity is a probability
in [0, 1], made from two absolute figures of the best memories:

    familiarity = 1 / (1 + exp(9.1 - 11.5 x share - 11.6 x cosine))

share: how many of the prompt's words stand together in one chunk of a memory, in [0, 1], by how rare each word is; half
of that is its idf in the store and half its idf in the text that ships with Aspen, for a small store knows little of
which words are rare. cosine: the mean over the layers of the cosine of keys whitened by the calibration alone, in
[-1, 1]. A whitening fitted on the store takes out what its memories have in common, which is just what they are about.

The weights were fitted by logistic regression on questions of LoCoMo and BEAM, each put to the store of its own
conversation, which can answer it, and to those of the others (docs/recall.md, docs/benchmarks/recall.md).
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db import KeyCode, calibration_text
from aspen.resonance_search.keyword import CHUNK, PromptWords, analyse, chunks_of
from aspen.types import FloatArray

LOOKED_AT = 50
"""Memories whose cosine is taken, the nearest by the activation arm.

The greatest cosine of all is nearly always among them; not always, for that arm goes by the whitening fitted on the
store, the cosine by that of the calibration.
"""

# Weight of the share of words, of the cosine, and the constant.
_BOTH = (11.5, 11.6, -9.1)
_WORDS_ALONE = (13.5, 0.0, -5.9)
_COSINE_ALONE = (0.0, 16.2, -5.5)


def familiarity(shares: FloatArray | None, cosines: FloatArray | None) -> NDArray[np.float64]:
    """Probability in [0, 1] by the share of words and the cosine, [n] each; None where there is none."""
    if shares is None and cosines is None:
        return np.zeros(0)
    of_words, of_cosine, constant = (
        _COSINE_ALONE if shares is None else _WORDS_ALONE if cosines is None else _BOTH
    )
    logit = (
        constant
        + of_words * (0 if shares is None else shares)
        + of_cosine * (0 if cosines is None else cosines)
    )
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)


def word_shares(words: PromptWords, *, lengths: NDArray[np.int32]) -> FloatArray:
    """Share in [0, 1] of a prompt's words, by rarity, in the best chunk of each candidate: float32 [n].

    `lengths` [n] in terms. By chunks, because the words of any question lie about in a long text.
    """
    if len(words.seqs) == 0:
        return np.zeros(0, dtype=np.float32)
    rarity = (words.idf + _shipped_idf(words.terms)) / 2
    first_chunk, chunk_lengths = chunks_of(lengths)
    shares = np.zeros(len(chunk_lengths))
    for (rows, positions), weight in zip(words.occurrences, rarity, strict=True):
        found = np.unique(first_chunk[rows] + positions // CHUNK)
        shares[found] += weight
    best = np.maximum.reduceat(shares, first_chunk)
    return (best / max(float(rarity.sum()), 1e-9)).astype(np.float32)


def _shipped_idf(terms: tuple[str, ...]) -> NDArray[np.float64]:
    """How rare each term is in the text that ships with Aspen, Lucene's idf: float64 [terms]."""
    texts, counts = _shipped_words()
    frequency = np.array([counts[term] for term in terms], dtype=np.float64)
    return np.log1p((texts - frequency + 0.5) / (frequency + 0.5))


@cache
def _shipped_words() -> tuple[int, Counter[str]]:
    """How many texts ship with Aspen, and in how many of them each term stands."""
    turns, questions = calibration_text()
    texts = turns + questions
    return len(texts), Counter(term for text in texts for term in set(analyse(text)))


class StoredKeys:
    """The keys of a store as they are stored, one row per memory, for comparing some of them with a prompt.

    They are stored along the principal directions of the calibration text and in units of the spread along each: that
    is, whitened by the calibration alone.
    """

    def __init__(self, code: KeyCode, *, prompt_offset: FloatArray) -> None:
        """`prompt_offset` [K, D]: the mean of prompts minus the mean of memories."""
        self._code = code
        self._prompt_offset = prompt_offset
        self._keys = np.zeros((0, code.size), dtype=np.uint8)

    def append(self, keys: NDArray[np.uint8]) -> None:
        """Add encoded keys, uint8 [n, bytes], as the last n rows."""
        if len(keys):  # a store without keys hands over rows of no bytes at all
            self._keys = np.concatenate([self._keys, keys])

    def has(self, keys: NDArray[np.uint8], *, rows: NDArray[np.int64]) -> bool:
        """Whether these, uint8 [n, bytes], are the keys of those rows."""
        return not len(rows) or np.array_equal(self._keys[rows], keys)

    def cosines(self, prompt: FloatArray, *, rows: NDArray[np.int64]) -> FloatArray:
        """Mean over the layers of the cosine of a prompt's pooled vectors [K, D] with those rows: float32 [n]."""
        by_layer = []
        layers = zip(self._code.layers, self._code.coefficients(self._keys[rows]), strict=True)
        for layer, ((code, memories), pooled) in enumerate(zip(layers, prompt, strict=True)):
            asked = code.analyse((pooled - self._prompt_offset[layer])[None])[0]
            lengths = np.linalg.norm(memories, axis=1) * np.linalg.norm(asked)
            by_layer.append(memories @ asked / (lengths + 1e-9))
        return np.asarray(np.mean(by_layer, axis=0), dtype=np.float32)
